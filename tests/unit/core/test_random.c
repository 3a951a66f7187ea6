/* Random histories against simple agents and an independent model: whatever happens, every job ends
 * once, no agent is given more than its slots, and in the end nothing is left waiting. A seed that
 * fails is printed and replays alone: EMP_TEST_SEED=n. */
#include "world.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

enum { AGENTS = 4, JOBS_MAX = 4000, HELD_MAX = 64, STEPS = 400 };

struct run {
    emp_job_num job;
    uint32_t attempt;
    bool started, finished, acked;
    enum emp_message_kind kind;
    int code;
};
struct agent {
    char id[16], boot[16];
    uint32_t slots, boots;
    emp_link link; /* 0: down */
    struct run runs[HELD_MAX];
    uint32_t count;
};
struct model {
    struct world w;
    struct emp_random r;
    struct agent agents[AGENTS];
    emp_link next_link;
    uint8_t ended[JOBS_MAX + 1];
    uint8_t completed_runs[JOBS_MAX + 1];
    emp_job_num submitted;
    uint64_t seed;
};

static struct agent *agent_of(struct model *m, emp_link link)
{
    for (int i = 0; i < AGENTS; i++)
        if (m->agents[i].link == link)
            return &m->agents[i];
    return NULL;
}

static uint32_t occupied(const struct agent *a)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->count; i++)
        n += !a->runs[i].finished;
    return n;
}

static void drop_run(struct agent *a, uint32_t i)
{
    a->runs[i] = a->runs[--a->count];
}

static void agent_assign(struct model *m, struct agent *a, const struct emp_message_assign *x)
{
    if (occupied(a) >= a->slots)
        fail_msg("seed %llu: %s is given job %llu beyond its %u slots", (unsigned long long)m->seed,
                 a->id, (unsigned long long)x->job, a->slots);
    assert_true(a->count < HELD_MAX);
    a->runs[a->count++] = (struct run){.job = x->job, .attempt = x->attempt};
}

static void agent_lease(struct agent *a, const struct emp_message *msg)
{
    for (uint32_t i = 0; i < a->count; i++) {
        struct run *run = &a->runs[i];
        if (run->job != msg->lease.job || run->attempt != msg->lease.attempt)
            continue;
        if (msg->kind == EMP_MESSAGE_ACK) {
            drop_run(a, i);
        } else if (!run->finished) {
            drop_run(a, i);
        }
        return;
    }
}

static void on_action(struct world *w, const struct emp_action *a)
{
    struct model *m = w->user;
    if (a->kind == EMP_ACTION_NOTIFY && a->notice.kind == EMP_NOTICE_ENDED) {
        if (m->ended[a->notice.job]++)
            fail_msg("seed %llu: job %llu ended twice", (unsigned long long)m->seed,
                     (unsigned long long)a->notice.job);
        return;
    }
    struct agent *agent = a->kind == EMP_ACTION_SEND    ? agent_of(m, a->send.link)
                          : a->kind == EMP_ACTION_CLOSE ? agent_of(m, a->close.link)
                                                        : NULL;
    if (agent == NULL || agent->link == 0)
        return;
    if (a->kind == EMP_ACTION_CLOSE)
        agent->link = 0;
    else if (a->send.message.kind == EMP_MESSAGE_ASSIGN)
        agent_assign(m, agent, &a->send.message.assign);
    else if (a->send.message.kind == EMP_MESSAGE_CANCEL || a->send.message.kind == EMP_MESSAGE_ACK)
        agent_lease(agent, &a->send.message);
}

static void connect_agent(struct model *m, struct agent *a)
{
    static const char *const pools[] = {"fast-lane", "standard", "heavy"};
    struct emp_machine_facts f = world_facts(a->id, pools[(a - m->agents) % 3], a->slots);
    f.boot = emp_str_z(a->boot);
    struct emp_held held[HELD_MAX];
    for (uint32_t i = 0; i < a->count; i++)
        held[i] = (struct emp_held){.job = a->runs[i].job,
                                    .attempt = a->runs[i].attempt,
                                    .started = a->runs[i].started,
                                    .finished = a->runs[i].finished};
    a->link = ++m->next_link;
    world_hello(&m->w, a->link, &f, held, a->count, NULL, 0);
}

static void close_agent(struct model *m, struct agent *a)
{
    struct emp_event e = {.kind = EMP_EVENT_LINK_CLOSED};
    e.link = a->link;
    a->link = 0;
    world_step(&m->w, &e);
}

static void restart_agent(struct model *m, struct agent *a)
{
    if (a->link && emp_random_below(&m->r, 2))
        close_agent(m, a);
    a->link = 0;
    a->count = 0;
    snprintf(a->boot, sizeof a->boot, "boot-%u", ++a->boots);
}

/* One thing a run may do next: start, end, or tell its end again. */
static void run_step(struct model *m, struct agent *a, bool only_well)
{
    if (a->count == 0 || a->link == 0)
        return;
    struct run *run = &a->runs[emp_random_below(&m->r, a->count)];
    if (!run->finished && !run->started) {
        run->started = true;
        world_started(&m->w, a->link, run->job, run->attempt);
        return;
    }
    if (!run->finished) {
        uint64_t dice = only_well ? 0 : emp_random_below(&m->r, 10);
        run->finished = true;
        run->kind = dice < 7   ? EMP_MESSAGE_COMPLETED
                    : dice < 9 ? EMP_MESSAGE_FAILED
                               : EMP_MESSAGE_RETURNED;
        run->code = dice < 7 ? 0 : dice < 9 ? EMP_E_JOB_FAILED : EMP_E_UNAVAILABLE;
    }
    struct run copy = *run; /* the ACK may remove it */
    world_finished(&m->w, a->link, copy.kind, copy.job, copy.attempt, copy.code,
                   (int64_t)emp_random_below(&m->r, 5000));
}

static void submit_one(struct model *m)
{
    static const char *const services[] = {"simulation", "video"};
    static const char *const customers[] = {"", "a", "b"};
    struct emp_job_spec s = world_spec(services[emp_random_below(&m->r, 2)]);
    s.customer = emp_str_z(customers[emp_random_below(&m->r, 3)]);
    s.priority = (double)emp_random_below(&m->r, 5) * 25;
    s.tier = (enum emp_tier)emp_random_below(&m->r, EMP_TIER_COUNT);
    s.estimated_duration_ms = (int64_t[]){0, 2000, 60000, 400000}[emp_random_below(&m->r, 4)];
    s.wait = true;
    m->submitted = world_submit(&m->w, &s);
    assert_true(m->submitted > 0 && m->submitted <= JOBS_MAX);
}

static void cancel_one(struct model *m)
{
    struct emp_event e = {.kind = EMP_EVENT_CANCEL, .request = 9};
    e.job = 1 + emp_random_below(&m->r, m->submitted ? m->submitted : 1);
    world_step(&m->w, &e);
}

static void beat_all(struct model *m)
{
    for (int i = 0; i < AGENTS; i++)
        if (m->agents[i].link)
            world_message(&m->w, m->agents[i].link,
                          &(struct emp_message){.kind = EMP_MESSAGE_BEAT});
}

static void broker_restart(struct model *m)
{
    for (int i = 0; i < AGENTS; i++)
        m->agents[i].link = 0;
    world_restart(&m->w);
}

static void random_step(struct model *m)
{
    struct agent *a = &m->agents[emp_random_below(&m->r, AGENTS)];
    uint64_t dice = emp_random_below(&m->r, 100);
    if (dice < 30)
        submit_one(m);
    else if (dice < 70)
        run_step(m, a, false);
    else if (dice < 80 && a->link == 0)
        connect_agent(m, a);
    else if (dice < 83 && a->link)
        close_agent(m, a);
    else if (dice < 85)
        restart_agent(m, a);
    else if (dice < 88)
        cancel_one(m);
    else if (dice < 89)
        broker_restart(m);
    else if (dice < 96)
        world_pass(&m->w, (int64_t)emp_random_below(&m->r, 3000));
    else
        beat_all(m);
}

static bool all_ended(const struct model *m)
{
    for (emp_job_num n = 1; n <= m->submitted; n++)
        if (!m->ended[n])
            return false;
    return true;
}

/* Everything heals: now every job must come to its end. */
static void settle(struct model *m)
{
    for (int round = 0; round < 4000 && !all_ended(m); round++) {
        for (int i = 0; i < AGENTS; i++) {
            if (m->agents[i].link == 0)
                connect_agent(m, &m->agents[i]);
            for (int k = 0; k < 8; k++)
                run_step(m, &m->agents[i], true);
        }
        beat_all(m);
        world_pass(&m->w, 700);
        world_quiet(&m->w);
    }
    for (emp_job_num n = 1; n <= m->submitted; n++)
        if (!m->ended[n])
            fail_msg("seed %llu: job %llu of %llu never ended", (unsigned long long)m->seed,
                     (unsigned long long)n, (unsigned long long)m->submitted);
}

static void run_seed(uint64_t seed)
{
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->seed = seed;
    emp_random_init(&m->r, seed);
    world_init(&m->w);
    m->w.user = m;
    m->w.on_action = on_action;
    for (int i = 0; i < AGENTS; i++) {
        snprintf(m->agents[i].id, sizeof m->agents[i].id, "m%u", (unsigned)i % 100);
        snprintf(m->agents[i].boot, sizeof m->agents[i].boot, "boot-0");
        m->agents[i].slots = 1 + (uint32_t)emp_random_below(&m->r, 3);
    }
    for (int i = 0; i < STEPS; i++) {
        random_step(m);
        world_quiet(&m->w);
    }
    settle(m);
    world_release(&m->w);
    free(m);
}

static void every_job_ends_once_whatever_happens(void **state)
{
    (void)state;
    const char *one = getenv("EMP_TEST_SEED");
    if (one) {
        run_seed(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= 200; seed++)
        run_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_job_ends_once_whatever_happens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

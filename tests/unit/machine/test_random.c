/* Random events against an independent checker, which knows only what goes in and what comes out: a
 * list of leases, a list of files. Whatever happens, it must hold that
 *   - no more runs than slots, none without all its models whole on the disk, none twice;
 *   - bytes on the disk never exceed the budget, a running fetch counted as whole; no model is
 *     fetched twice at once;
 *   - nothing a run uses is deleted; nothing is loaded while anything runs, and nothing runs before
 *     the load has ended; no model is loaded that is not whole;
 *   - every assignment ends in exactly one kind of report, or was cancelled; and once the world
 *     answers, nothing stays behind. EMP_TEST_SEED=N replays one seed, with its trace. */
#include "story.h"

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 400, STEPS = 500, MODELS = 8, LEASES = 4096, BUDGET = 1000, SLOTS = 3 };

enum file { FILE_NONE, FILE_HALF, FILE_FETCHING, FILE_WHOLE, FILE_DELETING };

struct lease {
    emp_job_num job;
    uint32_t attempt;
    uint32_t models; /* bits */
    bool running, cancelled, forgotten, superseded;
    int reports; /* different steps that sent one */
    enum emp_message_kind report;
    emp_mono_ms assigned_at;
};

enum {
    SEEN_RUN,
    SEEN_FETCH,
    SEEN_DELETE,
    SEEN_RESUME,
    SEEN_CANCELLED,
    SEEN_RETURNED,
    SEEN_TIMEOUT,
    SEEN_EXIT,
    SEEN_LOAD,
    SEEN_PREFETCH, /* a fetch that no lease asked for */
    SEEN_COUNT
};

struct world {
    struct story s;
    struct emp_random r;
    uint64_t seed;
    bool loud, link, exited, leaving;
    enum file files[MODELS];
    int64_t kept[MODELS];
    bool was_half[MODELS];
    struct lease leases[LEASES];
    uint32_t lease_count;
    emp_job_num jobs;
    emp_mono_ms loading_since;
    int loading;                 /* model that is brought into memory + 1; 0: none */
    uint64_t counts[SEEN_COUNT]; /* that the test exercises what it claims */
};

static uint64_t totals[SEEN_COUNT];

#define DEMAND(w, cond)                                                      \
    do {                                                                     \
        if (!(cond))                                                         \
            fail_msg("seed %llu: %s", (unsigned long long)(w)->seed, #cond); \
    } while (0)

static int64_t size_of(int model)
{
    return 90 + 45 * model; /* 90 … 405 of 1000 */
}

static int model_of(struct emp_str name)
{
    return name.ptr[1] - '0';
}

static uint64_t below(struct world *w, uint64_t n)
{
    return emp_random_below(&w->r, n);
}

static struct lease *lease_of(struct world *w, emp_job_num job, uint32_t attempt)
{
    for (uint32_t i = 0; i < w->lease_count; i++)
        if (w->leases[i].job == job && w->leases[i].attempt == attempt)
            return &w->leases[i];
    fail_msg("seed %llu: lease %llu.%u was never given", (unsigned long long)w->seed,
             (unsigned long long)job, attempt);
    return NULL;
}

/* ---------------------------------------------------------------- what comes out */

static int64_t disk(const struct world *w)
{
    int64_t sum = 0;
    for (int i = 0; i < MODELS; i++) {
        bool half = w->files[i] == FILE_HALF || (w->files[i] == FILE_DELETING && w->was_half[i]);
        if (w->files[i] != FILE_NONE)
            sum += half ? w->kept[i] : size_of(i);
    }
    return sum;
}

static void saw_fetch(struct world *w, const struct emp_machine_action *a)
{
    int m = model_of(a->fetch.model->name);
    DEMAND(w, w->files[m] == FILE_NONE || w->files[m] == FILE_HALF);
    DEMAND(w, a->fetch.kept_bytes == (w->files[m] == FILE_HALF ? w->kept[m] : 0));
    if (a->fetch.kept_bytes)
        w->counts[SEEN_RESUME]++;
    w->files[m] = FILE_FETCHING;
    w->counts[SEEN_FETCH]++;
    bool asked = false;
    for (uint32_t i = 0; i < w->lease_count; i++) {
        const struct lease *l = &w->leases[i];
        asked |= (l->models >> m & 1) && !l->reports && !l->cancelled && !l->superseded;
    }
    w->counts[SEEN_PREFETCH] += !asked;
    DEMAND(w, disk(w) <= BUDGET);
}

static void saw_fetch_cancel(struct world *w, const struct emp_machine_action *a)
{
    DEMAND(w, w->files[model_of(a->fetch_cancel.model)] == FILE_FETCHING);
}

static void saw_delete(struct world *w, const struct emp_machine_action *a)
{
    int m = model_of(a->del.model);
    DEMAND(w, w->files[m] == FILE_WHOLE || w->files[m] == FILE_HALF);
    for (uint32_t i = 0; i < w->lease_count; i++)
        DEMAND(w, !w->leases[i].running || !(w->leases[i].models >> m & 1));
    DEMAND(w, w->loading != m + 1);
    w->was_half[m] = w->files[m] == FILE_HALF;
    DEMAND(w, w->was_half[m] == a->del.half);
    w->files[m] = FILE_DELETING;
    w->counts[SEEN_DELETE]++;
}

static void saw_run(struct world *w, const struct emp_machine_action *a)
{
    struct lease *l = lease_of(w, a->run->job, a->run->attempt);
    DEMAND(w, !l->running && !l->cancelled && l->reports == 0);
    DEMAND(w, w->loading == 0);
    l->running = true;
    int running = 0;
    for (uint32_t i = 0; i < w->lease_count; i++)
        running += w->leases[i].running;
    DEMAND(w, running <= SLOTS);
    for (int m = 0; m < MODELS; m++)
        DEMAND(w, !(l->models >> m & 1) || w->files[m] == FILE_WHOLE);
    w->counts[SEEN_RUN]++;
}

static void saw_stop(struct world *w, const struct emp_machine_action *a)
{
    DEMAND(w, lease_of(w, a->stop.job, a->stop.attempt)->running);
    if (a->stop.reason == EMP_STOP_TIMEOUT)
        w->counts[SEEN_TIMEOUT]++;
}

static void saw_forget(struct world *w, const struct emp_machine_action *a)
{
    struct lease *l = lease_of(w, a->lease.job, a->lease.attempt);
    DEMAND(w, !l->forgotten && (!l->running || w->leaving));
    DEMAND(w, l->cancelled || l->superseded || l->reports > 0);
    l->forgotten = true;
}

static void saw_send(struct world *w, const struct emp_machine_action *a)
{
    DEMAND(w, w->link);
    const struct emp_message *m = &a->send;
    if (m->kind != EMP_MESSAGE_COMPLETED && m->kind != EMP_MESSAGE_FAILED &&
        m->kind != EMP_MESSAGE_RETURNED)
        return;
    struct lease *l = lease_of(w, m->finished.job, m->finished.attempt);
    DEMAND(w, (!l->running || w->leaving) && !l->cancelled && !l->forgotten); // leaving has a bound
    DEMAND(w, l->reports == 0 || l->report == m->kind);
    l->report = m->kind;
    l->reports++;
    if (m->kind == EMP_MESSAGE_RETURNED)
        w->counts[SEEN_RETURNED]++;
}

static void saw_exit(struct world *w, const struct emp_machine_action *a)
{
    (void)a;
    DEMAND(w, w->leaving && !w->exited);
    w->exited = true;
    w->counts[SEEN_EXIT]++;
}

static void saw_load(struct world *w, const struct emp_machine_action *a)
{
    int m = model_of(a->load.model->name);
    DEMAND(w, w->loading == 0 && w->files[m] == FILE_WHOLE);
    for (uint32_t i = 0; i < w->lease_count; i++)
        DEMAND(w, !w->leases[i].running);
    w->loading = m + 1;
    w->loading_since = w->s.now.mono;
    w->counts[SEEN_LOAD]++;
}

static void saw_load_cancel(struct world *w, const struct emp_machine_action *a)
{
    DEMAND(w, w->loading == model_of(a->load_cancel.model) + 1);
}

static void saw_nothing(struct world *w, const struct emp_machine_action *a)
{
    (void)w;
    (void)a;
}

static void step(struct world *w, const struct emp_machine_event *e)
{
    static void (*const saw[EMP_MACHINE_ACTION_COUNT])(struct world *,
                                                       const struct emp_machine_action *) = {
        [EMP_MACHINE_SEND] = saw_send,
        [EMP_MACHINE_FETCH] = saw_fetch,
        [EMP_MACHINE_FETCH_CANCEL] = saw_fetch_cancel,
        [EMP_MACHINE_DELETE] = saw_delete,
        [EMP_MACHINE_RUN] = saw_run,
        [EMP_MACHINE_STOP] = saw_stop,
        [EMP_MACHINE_WATCHDOG] = saw_nothing,
        [EMP_MACHINE_FORGET] = saw_forget,
        [EMP_MACHINE_LOAD] = saw_load,
        [EMP_MACHINE_LOAD_CANCEL] = saw_load_cancel,
        [EMP_MACHINE_RECONNECT] = saw_nothing,
        [EMP_MACHINE_EXIT] = saw_exit,
    };
    emp_arena_reset(&w->s.arena);
    struct emp_machine_actions out = {.arena = &w->s.arena};
    emp_machine_step(w->s.machine, w->s.now, e, &out);
    for (uint32_t i = 0; i < out.count; i++) {
        if (w->loud) {
            emp_buf_clear(&w->s.trace);
            emp_machine_action_format(&out.items[i], &w->s.trace);
            printf("%lld event %d: %s\n", (long long)w->s.now.mono, e->kind, w->s.trace.data);
        }
        saw[out.items[i].kind](w, &out.items[i]);
    }
    const char *fault = emp_machine_check(w->s.machine, &w->s.arena);
    if (fault)
        fail_msg("seed %llu: %s", (unsigned long long)w->seed, fault);
}

static void message(struct world *w, const struct emp_message *m)
{
    step(w, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_MESSAGE, .message = m});
}

/* ---------------------------------------------------------------- what goes in */

static void assign(struct world *w)
{
    if (!w->link || w->lease_count == LEASES)
        return;
    struct lease *l = &w->leases[w->lease_count];
    *l = (struct lease){
        .job = ++w->jobs, .attempt = 1 + (uint32_t)below(w, 3), .assigned_at = w->s.now.mono};
    if (w->lease_count && below(w, 8) == 0) { // another attempt of a job it may still hold
        struct lease *old = &w->leases[below(w, w->lease_count)];
        uint32_t last = 0;
        for (uint32_t i = 0; i < w->lease_count; i++)
            if (w->leases[i].job == old->job && w->leases[i].attempt > last)
                last = w->leases[i].attempt;
        w->jobs--;
        l->job = old->job;
        l->attempt = last + 1;
        for (uint32_t i = 0; i < w->lease_count; i++)
            if (w->leases[i].job == l->job)
                w->leases[i].superseded = true;
    }
    w->lease_count++;
    struct emp_model models[3];
    uint32_t n = (uint32_t)below(w, 4);
    for (uint32_t i = 0; i < n; i++) {
        char word[32];
        int m = (int)below(w, MODELS);
        snprintf(word, sizeof word, "m%d:%lld", m, (long long)size_of(m));
        models[i] = story_model(&w->s.arena, word);
        l->models |= 1u << m;
    }
    struct emp_message msg = {.kind = EMP_MESSAGE_ASSIGN,
                              .assign = {.job = l->job,
                                         .attempt = l->attempt,
                                         .models = models,
                                         .model_count = n,
                                         .timeout_ms = (int64_t)below(w, 20000)}};
    struct emp_arena keep = w->s.arena; // the step resets it; the models live in it
    emp_arena_init(&w->s.arena, 0);
    message(w, &msg);
    if (below(w, 4) == 0)
        message(w, &msg); // again: nothing may come of it
    emp_arena_release(&keep);
}

static void cancel_or_ack(struct world *w)
{
    if (!w->link || !w->lease_count)
        return;
    struct lease *l =
        &w->leases[w->lease_count - 1 - below(w, w->lease_count < 12 ? w->lease_count : 12)];
    bool ack = l->reports > 0 && below(w, 4);
    if (!ack && below(w, 3))
        return;
    if (!ack) {
        l->cancelled = true;
        w->counts[SEEN_CANCELLED]++;
    }
    message(w, &(struct emp_message){.kind = ack ? EMP_MESSAGE_ACK : EMP_MESSAGE_CANCEL,
                                     .lease = {.job = l->job, .attempt = l->attempt}});
}

static void answer_file(struct world *w, int m, bool kindly)
{
    char name[16];
    snprintf(name, sizeof name, "m%d", m);
    struct emp_str model = emp_str_z(name);
    bool fails = !kindly && below(w, 4) == 0;
    if (w->files[m] == FILE_FETCHING) {
        int64_t kept = fails && below(w, 2) ? (int64_t)below(w, (uint64_t)size_of(m)) : 0;
        w->files[m] = !fails ? FILE_WHOLE : kept ? FILE_HALF : FILE_NONE;
        w->kept[m] = kept;
        step(w, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_FETCH_DONE,
                                            .fetch_done = {.model = model,
                                                           .code = fails ? EMP_E_NET : 0,
                                                           .machine_fault = below(w, 2),
                                                           .kept_bytes = kept}});
    } else if (w->files[m] == FILE_DELETING) {
        w->files[m] = !fails ? FILE_NONE : w->was_half[m] ? FILE_HALF : FILE_WHOLE;
        if (!fails)
            w->kept[m] = 0;
        step(w, &(struct emp_machine_event){
                    .kind = EMP_MACHINE_EVENT_DELETED,
                    .deleted = {.model = model, .code = fails ? EMP_E_IO : 0}});
    } else { // an answer nobody waits for
        step(w, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_DELETED,
                                            .deleted = {.model = model}});
    }
}

static void answer_run(struct world *w, struct lease *l)
{
    if (!l->running)
        return;
    if (below(w, 2)) {
        step(w, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_RUN_STARTED,
                                            .run_started = {.job = l->job,
                                                            .attempt = l->attempt,
                                                            .keeps_loaded = below(w, 2)}});
        if (below(w, 2))
            return;
    }
    l->running = false;
    step(w, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_RUN_DONE,
                                        .run_done = {.job = l->job,
                                                     .attempt = l->attempt,
                                                     .code = below(w, 3) ? 0 : EMP_E_JOB_FAILED,
                                                     .machine_fault = below(w, 4) == 0}});
}

static void plan(struct world *w)
{
    struct emp_planned planned[MODELS];
    uint32_t n = (uint32_t)below(w, MODELS);
    if (!w->link)
        return;
    struct emp_arena keep = w->s.arena; // the step resets it; the models live in it
    emp_arena_init(&w->s.arena, 0);
    for (uint32_t i = 0; i < n; i++) {
        char word[32];
        int m = (int)below(w, MODELS);
        snprintf(word, sizeof word, "m%d:%lld", m, (long long)size_of(m));
        planned[i] =
            (struct emp_planned){.model = story_model(&keep, word),
                                 .residency = EMP_RESIDENCY_DISK + (enum emp_residency)below(w, 3),
                                 .seconds_saved = (double)below(w, 100)};
    }
    message(w, &(struct emp_message){.kind = EMP_MESSAGE_PLAN, .plan = {planned, n}});
    emp_arena_release(&keep);
}

static void answer_load(struct world *w)
{
    char name[16];
    if (w->loading == 0)
        return;
    snprintf(name, sizeof name, "m%d", w->loading - 1);
    w->loading = 0;
    step(w, &(struct emp_machine_event){
                .kind = EMP_MACHINE_EVENT_LOADED,
                .loaded = {emp_str_z(name), below(w, 4) ? 0 : EMP_E_CANCELLED}});
}

static void link_changes(struct world *w)
{
    w->link = !w->link;
    step(w, &(struct emp_machine_event){.kind = w->link ? EMP_MACHINE_EVENT_LINK_UP
                                                        : EMP_MACHINE_EVENT_LINK_DOWN});
    if (w->link && below(w, 4))
        message(w,
                &(struct emp_message){.kind = EMP_MESSAGE_WELCOME, .welcome = {.beat_ms = 2000}});
}

static void pass(struct world *w, int64_t ms)
{
    w->s.now.mono += ms;
    w->s.now.wall += ms;
    if (w->s.now.mono - w->loading_since > 10000)
        answer_load(w); // before the brain gives it up
    step(w, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_TICK});
}

static void random_event(struct world *w)
{
    uint64_t dice = below(w, 100);
    if (dice < 25)
        assign(w);
    else if (dice < 45)
        cancel_or_ack(w);
    else if (dice < 65)
        answer_file(w, (int)below(w, MODELS), false);
    else if (dice < 85 && w->lease_count)
        answer_run(
            w,
            &w->leases[w->lease_count - 1 - below(w, w->lease_count < 12 ? w->lease_count : 12)]);
    else if (dice < 88)
        link_changes(w);
    else if (dice < 91)
        plan(w);
    else if (dice < 94)
        answer_load(w);
    else if (dice == 99 && below(w, 20) == 0) {
        w->leaving = true;
        step(w, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_SHUTDOWN,
                                            .shutdown = {.drain = below(w, 2)}});
    } else
        pass(w, (int64_t)below(w, 4000));
}

/* The world answers everything, and the broker acknowledges: nothing may stay behind. */
static void settle(struct world *w)
{
    if (!w->link)
        link_changes(w);
    message(w, &(struct emp_message){.kind = EMP_MESSAGE_PLAN}); // an empty one: nothing to fetch
    for (int round = 0; round < 200 && !w->exited; round++) {
        for (int m = 0; m < MODELS; m++)
            if (w->files[m] == FILE_FETCHING || w->files[m] == FILE_DELETING)
                answer_file(w, m, true);
        answer_load(w);
        for (uint32_t i = 0; i < w->lease_count; i++)
            answer_run(w, &w->leases[i]);
        for (uint32_t i = 0; i < w->lease_count; i++) {
            struct lease *l = &w->leases[i];
            if (l->reports && !l->forgotten)
                message(w, &(struct emp_message){.kind = EMP_MESSAGE_ACK,
                                                 .lease = {.job = l->job, .attempt = l->attempt}});
        }
        pass(w, 1000);
    }
    if (w->leaving)
        DEMAND(w, w->exited);
    struct emp_machine_stats stats;
    emp_machine_stats(w->s.machine, &stats);
    if (w->exited)
        return;
    DEMAND(w, stats.leased == 0 && stats.running == 0 && stats.unacknowledged == 0 &&
                  stats.fetching == 0);
    DEMAND(w, stats.disk_bytes == disk(w) && stats.fetch_left_bytes == 0);
    for (uint32_t i = 0; i < w->lease_count; i++)
        DEMAND(w, w->leases[i].forgotten);
}

static void play(uint64_t seed, bool loud)
{
    struct world *w = calloc(1, sizeof *w);
    *w = (struct world){.seed = seed, .loud = loud};
    emp_random_init(&w->r, seed);
    w->s.facts = (struct emp_machine_facts){.slots = SLOTS,
                                            .disk_budget_bytes = BUDGET,
                                            .gpu_budget_bytes = 500,
                                            .ram_budget_bytes = 600};
    w->s.settings = (struct emp_machine_settings){.fetches_max = 2, .drain_ms = 30000};
    story_begin(&w->s);
    for (int m = 0; m < MODELS; m += 3) { // m0, m3, m6: 90 + 225 + a half of 360
        int64_t half = m == 6 ? 100 : 0;
        w->files[m] = half ? FILE_HALF : FILE_WHOLE;
        w->kept[m] = half;
        char name[16];
        snprintf(name, sizeof name, "m%d", m);
        story_found(&w->s, name, size_of(m), half);
    }
    for (int i = 0; i < STEPS && !w->exited; i++)
        random_event(w);
    settle(w);
    for (int i = 0; i < SEEN_COUNT; i++)
        totals[i] += w->counts[i];
    story_end(&w->s);
    free(w);
}

static void the_rules_hold_whatever_happens(void **state)
{
    (void)state;
    const char *one = getenv("EMP_TEST_SEED");
    if (one) {
        play(strtoull(one, NULL, 10), true);
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        play(seed, false);
    for (int i = 0; i < SEEN_COUNT; i++)
        assert_true(totals[i] > SEEDS / 10); // else the test has lost its teeth
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_rules_hold_whatever_happens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

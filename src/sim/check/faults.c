/* Each fault has a timer; each fires in a random machine's life. What was broken comes back after a
 * while. When the run calms down everything is mended, and every connection is opened anew, as it
 * must be after messages were lost on one that stands. */
#include "sim/check/scene.h"

enum { POLL_MS = 5000, SETTLE_HOURS = 3 };

static int64_t between(struct emp_sim_scene *c, int64_t low, int64_t high)
{
    return emp_sim_between(&c->fault_random, low, high);
}

static struct emp_sim_agent *any_agent(struct emp_sim_scene *c)
{
    return c->system.agents[emp_random_below(&c->fault_random, c->system.agent_count)];
}

void emp_sim_agent_back(struct emp_sim_scene *c, uint32_t agent, int64_t after_ms)
{
    emp_sim_timer_after(&c->system.world, &c->restart[agent], after_ms);
}

static void restarted(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_agent *a = ctx;
    (void)w;
    if (a->brain == NULL)
        emp_sim_agent_start(a);
}

/* ---- machines ---- */

static void die(struct emp_sim_scene *c)
{
    struct emp_sim_agent *a = any_agent(c);
    emp_sim_agent_kill(a, false);
    emp_sim_agent_back(c, a->index, between(c, 100, 15000));
}

static void vanish(struct emp_sim_scene *c)
{
    struct emp_sim_agent *a = any_agent(c);
    if (a->brain == NULL)
        return;
    emp_sim_agent_kill(a, true);
    if (emp_sim_chance(&c->fault_random, 7500))
        emp_sim_agent_back(c, a->index, between(c, 3000, 90000));
}

static void hang(struct emp_sim_scene *c)
{
    struct emp_sim_agent *a = any_agent(c);
    int64_t ms = between(c, 500, 30000);
    emp_sim_oracle_disturbed(&c->oracle, a->index, ms);
    emp_sim_agent_hang(a, ms);
}

static void spot(struct emp_sim_scene *c)
{
    emp_sim_agent_shutdown(any_agent(c), emp_sim_chance(&c->fault_random, 4000), "spot notice");
}

static void slow(struct emp_sim_scene *c)
{
    struct emp_sim_agent *a = any_agent(c);
    int64_t percent = emp_sim_chance(&c->fault_random, 5000) ? 100 : between(c, 30, 500);
    a->slowness = (double)percent / 100;
    emp_sim_log(&c->system.world, EMP_SIM_TRACE_SLOW, (int32_t)a->index, percent, 0, 0);
}

static void lose_disk(struct emp_sim_scene *c)
{
    struct emp_sim_agent *a = any_agent(c);
    emp_sim_agent_kill(a, true);
    emp_sim_agent_lose_disk(a);
    emp_sim_agent_back(c, a->index, between(c, 1000, 60000));
}

static void lie(struct emp_sim_scene *c)
{
    static const enum emp_message_kind kinds[] = {EMP_MESSAGE_COMPLETED, EMP_MESSAGE_FAILED,
                                                  EMP_MESSAGE_RETURNED, EMP_MESSAGE_STARTED};
    struct emp_sim_agent *a = any_agent(c);
    struct emp_random *r = &c->fault_random;
    struct emp_message m = {.kind = kinds[emp_random_below(r, 4)]};
    emp_job_num job = 1 + emp_random_below(r, c->system.broker->store.last_num + 1);
    uint32_t attempt = emp_sim_oracle_other_attempt(&c->oracle, job, a->index, r);
    if (a->brain == NULL || a->hung_until || !emp_sim_network_is_open(&c->system.network, a->index))
        return;
    if (m.kind == EMP_MESSAGE_STARTED) {
        m.started = (struct emp_message_started){.job = job, .attempt = attempt};
    } else {
        m.finished = (struct emp_message_finished){.job = job, .attempt = attempt, .run_ms = 1};
        if (m.kind != EMP_MESSAGE_COMPLETED)
            m.finished.error_code = EMP_E_JOB_FAILED;
    }
    emp_sim_log(&c->system.world, EMP_SIM_TRACE_LIE, (int32_t)a->index, m.kind, (int64_t)job,
                attempt);
    emp_sim_oracle_lie(&c->oracle, job, attempt);
    emp_sim_agent_say(a, &m);
}

/* ---- network ---- */

static void broken(struct emp_sim_scene *c)
{
    struct emp_sim_agent *a = any_agent(c);
    emp_sim_oracle_disturbed(&c->oracle, a->index, 0);
    emp_sim_network_break(&c->system.network, a->index);
}

static void healed(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_agent *a = ctx;
    (void)w;
    emp_sim_network_heal(&a->system->network, a->index);
}

static void cut_one(struct emp_sim_scene *c, uint32_t agent, int64_t ms)
{
    uint64_t ways = emp_random_below(&c->fault_random, 4);
    emp_sim_oracle_disturbed(&c->oracle, agent, ms);
    emp_sim_network_cut(&c->system.network, agent, ways != 1, ways != 2);
    emp_sim_timer_after(&c->system.world, &c->heal[agent], ms);
}

static void cut(struct emp_sim_scene *c)
{
    cut_one(c, any_agent(c)->index, between(c, 500, 40000));
}

static void cut_all(struct emp_sim_scene *c)
{
    int64_t ms = between(c, 1000, 30000);
    for (uint32_t i = 0; i < c->system.agent_count; i++)
        if (!emp_sim_chance(&c->fault_random, 2000))
            cut_one(c, i, ms);
}

/* ---- broker and operators ---- */

static void broker_back(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_scene *c = ctx;
    (void)w;
    if (!emp_sim_broker_is_up(c->system.broker))
        emp_sim_broker_start(c->system.broker);
}

static void broker_crash(struct emp_sim_scene *c)
{
    if (!emp_sim_broker_is_up(c->system.broker))
        return;
    emp_sim_broker_crash(c->system.broker, emp_sim_chance(&c->fault_random, 5000));
    emp_sim_timer_after(&c->system.world, &c->broker_back, between(c, 50, 12000));
}

static void clock_jump(struct emp_sim_scene *c)
{
    int64_t ms = between(c, -600000, 600000);
    if (emp_sim_chance(&c->fault_random, 5000))
        emp_sim_broker_jump(c->system.broker, ms);
    else
        emp_sim_agent_jump(any_agent(c), ms);
}

static void drain(struct emp_sim_scene *c)
{
    struct emp_sim_agent *a = any_agent(c);
    bool on = !c->drained[a->index];
    emp_sim_log(&c->system.world, EMP_SIM_TRACE_DRAIN, EMP_SIM_CLIENT, a->index, on, 0);
    c->drained[a->index] = on;
    emp_sim_broker_drain(c->system.broker, emp_sim_operator_request(c), a->settings.facts.id, on);
}

static void forget(struct emp_sim_scene *c)
{
    struct emp_sim_agent *a = any_agent(c);
    emp_sim_log(&c->system.world, EMP_SIM_TRACE_FORGET, EMP_SIM_CLIENT, a->index, 0, 0);
    c->drained[a->index] = false;
    emp_sim_broker_forget(c->system.broker, emp_sim_operator_request(c), a->settings.facts.id);
}

static void model(struct emp_sim_scene *c)
{
    uint32_t i = 1 + (uint32_t)emp_random_below(&c->fault_random, c->plan.model_count);
    struct emp_model m = c->plan.models[i];
    if (m.url_count == 0 || !emp_sim_broker_is_up(c->system.broker))
        return;
    uint32_t number = emp_sim_model_put(&c->system, &m);
    emp_sim_log(&c->system.world, EMP_SIM_TRACE_MODEL, EMP_SIM_CLIENT, number,
                c->system.models[number].version, m.bytes);
    emp_sim_broker_model(c->system.broker, emp_sim_operator_request(c),
                         &c->system.models[number].model);
}

static void (*const acts[EMP_SIM_FAULT_COUNT])(struct emp_sim_scene *c) = {
    [EMP_SIM_FAULT_DIE] = die,
    [EMP_SIM_FAULT_VANISH] = vanish,
    [EMP_SIM_FAULT_HANG] = hang,
    [EMP_SIM_FAULT_SPOT] = spot,
    [EMP_SIM_FAULT_SLOW] = slow,
    [EMP_SIM_FAULT_DISK_LOST] = lose_disk,
    [EMP_SIM_FAULT_BREAK] = broken,
    [EMP_SIM_FAULT_CUT] = cut,
    [EMP_SIM_FAULT_CUT_ALL] = cut_all,
    [EMP_SIM_FAULT_BROKER_CRASH] = broker_crash,
    [EMP_SIM_FAULT_CLOCK_JUMP] = clock_jump,
    [EMP_SIM_FAULT_LIE] = lie,
    [EMP_SIM_FAULT_CANCEL] = emp_sim_client_cancel,
    [EMP_SIM_FAULT_RETRY] = emp_sim_client_retry,
    [EMP_SIM_FAULT_DRAIN] = drain,
    [EMP_SIM_FAULT_FORGET] = forget,
    [EMP_SIM_FAULT_MODEL] = model,
};

static void fault_arm(struct emp_sim_fault_timer *f)
{
    int64_t mean = f->scene->plan.fault_ms[f->fault];
    if (mean)
        emp_sim_timer_after(&f->scene->system.world, &f->timer,
                            between(f->scene, mean / 10, mean * 2));
}

static void fault_fires(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_fault_timer *f = ctx;
    acts[f->fault](f->scene);
    if (!w->ended)
        fault_arm(f);
}

/* ---- calm ---- */

static void mend_agent(struct emp_sim_scene *c, struct emp_sim_agent *a)
{
    emp_sim_network_heal(&c->system.network, a->index);
    a->slowness = 1;
    if (a->brain == NULL && !emp_sim_timer_is_set(&c->restart[a->index]))
        emp_sim_agent_back(c, a->index, between(c, 10, 5000));
    emp_sim_oracle_disturbed(&c->oracle, a->index, 0);
    emp_sim_network_break(&c->system.network, a->index);
}

static void calm_down(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_scene *c = ctx;
    struct emp_sim_network_settings *n = &c->system.network.settings;
    emp_sim_log(w, EMP_SIM_TRACE_CALM, EMP_SIM_WORLD, 0, 0, 0);
    c->calm = true;
    n->lost = n->doubled = n->swapped = 0;
    c->system.broker->settings.slow_commits = 0;
    for (int i = 0; i < EMP_SIM_FAULT_COUNT; i++)
        emp_sim_timer_cancel(w, &c->faults[i].timer);
    for (uint32_t i = 0; i < c->system.agent_count; i++)
        mend_agent(c, c->system.agents[i]);
    if (!emp_sim_broker_is_up(c->system.broker))
        emp_sim_broker_start(c->system.broker);
    for (uint32_t i = 0; i < c->system.agent_count; i++)
        emp_sim_broker_drain(c->system.broker, emp_sim_operator_request(c),
                             c->system.agents[i]->settings.facts.id, false);
    c->give_up_at = w->now + SETTLE_HOURS * INT64_C(3600000);
    emp_sim_timer_after(w, &c->poll, POLL_MS);
}

static void poll(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_scene *c = ctx;
    emp_job_num left = emp_sim_oracle_unfinished(&c->oracle);
    uint64_t ended = c->oracle.completed + c->oracle.failed + c->oracle.cancelled;
    if (ended != c->ended)
        c->give_up_at = w->now + SETTLE_HOURS * INT64_C(3600000);
    c->ended = ended;
    if (left == 0) {
        emp_sim_oracle_at_end(&c->oracle);
        w->ended = true;
    } else if (w->now >= c->give_up_at) {
        emp_sim_violation(w, "job %llu could run, and no job has ended for %d h",
                          (unsigned long long)left, SETTLE_HOURS);
    } else {
        emp_sim_timer_after(w, &c->poll, POLL_MS);
    }
}

void emp_sim_faults_start(struct emp_sim_scene *c)
{
    struct emp_sim_world *w = &c->system.world;
    for (int i = 0; i < EMP_SIM_FAULT_COUNT; i++) {
        c->faults[i] = (struct emp_sim_fault_timer){.scene = c, .fault = (enum emp_sim_fault)i};
        emp_sim_timer_init(&c->faults[i].timer, fault_fires, &c->faults[i]);
        fault_arm(&c->faults[i]);
    }
    for (uint32_t i = 0; i < c->system.agent_count; i++) {
        emp_sim_timer_init(&c->restart[i], restarted, c->system.agents[i]);
        emp_sim_timer_init(&c->heal[i], healed, c->system.agents[i]);
    }
    emp_sim_timer_init(&c->broker_back, broker_back, c);
    emp_sim_timer_init(&c->calm_down, calm_down, c);
    emp_sim_timer_init(&c->poll, poll, c);
    emp_sim_timer_after(w, &c->calm_down, c->plan.faulty_ms);
}

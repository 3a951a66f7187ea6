/* Clients: submit, one by one or in bursts; send again what was not answered, under the same
 * idempotency key or not at all; cancel, retry by hand. */
#include "sim/check/scene.h"

enum { ANSWER_WAIT_MS = 4000, AGAIN_MS = 1000 };

static struct emp_sim_request *request_new(struct emp_sim_scene *c, uint32_t work,
                                           emp_request *ret_number)
{
    emp_arena_reserve(&c->system.world.arena, c->requests, c->request_count, c->request_cap);
    struct emp_sim_request *r = &c->requests[c->request_count++];
    *r = (struct emp_sim_request){.work = work, .sent_at = c->system.world.now};
    *ret_number = c->request_count;
    return r;
}

static void send(struct emp_sim_scene *c, uint32_t work)
{
    emp_request number;
    request_new(c, work, &number);
    emp_sim_log(&c->system.world, EMP_SIM_TRACE_SUBMIT, EMP_SIM_CLIENT, work, (int64_t)number, 0);
    emp_sim_broker_submit(c->system.broker, number, work);
}

static uint32_t work_new(struct emp_sim_scene *c)
{
    struct emp_random *r = &c->client_random;
    struct emp_arena *a = &c->plan.arena;
    struct emp_sim_work w = {.kind = (uint32_t)emp_random_below(r, c->plan.kind_count)};
    w.spec = c->plan.kinds[w.kind].spec;
    w.spec.priority = emp_sim_chance(r, 5000) ? 50 : (double)emp_sim_between(r, 0, 100);
    w.spec.body_hash = ++c->submitted;
    if (emp_sim_chance(r, c->plan.keys))
        w.spec.idempotency_key = emp_str_z(emp_arena_printf(a, "key-%u", c->submitted));
    if (emp_sim_chance(r, 600)) {
        w.spec.workflow =
            emp_str_z(emp_arena_printf(a, "workflow-%d", (int)emp_sim_between(r, 0, 3)));
        if (emp_sim_chance(r, 5000))
            w.spec.workflow_datetime = emp_sim_broker_now(c->system.broker).wall - 60000;
    }
    return emp_sim_work_new(c->system.broker, &w);
}

static void arrive(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_scene *c = ctx;
    struct emp_random *r = &c->client_random;
    int64_t n = emp_sim_between(r, 1, c->plan.burst_max);
    for (int64_t i = 0; i < n && !emp_sim_client_is_done(c) && !w->ended; i++) {
        uint32_t work = work_new(c);
        bool keyed = emp_sim_work_at(c->system.broker, work)->spec.idempotency_key.len > 0;
        send(c, work);
        if (keyed && emp_sim_chance(r, 2000)) /* a client that is in a hurry */
            send(c, work);
    }
    if (!emp_sim_client_is_done(c))
        emp_sim_timer_after(w, &c->arrival,
                            emp_sim_between(r, 0, 2 * c->plan.arrival_ms * c->plan.burst_max));
}

bool emp_sim_client_is_done(const struct emp_sim_scene *c)
{
    return c->submitted >= c->plan.jobs_max || c->calm;
}

/* What was not answered in time: a keyed one is sent again (the shell looks into the store first),
 * the others are given up, for nobody knows whether they were taken. */
static void again(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_scene *c = ctx;
    size_t count = c->request_count;
    for (size_t i = 0; i < count && !w->ended; i++) {
        struct emp_sim_request *r = &c->requests[i];
        const struct emp_sim_work *work = emp_sim_work_at(c->system.broker, r->work);
        if (r->answered || w->now - r->sent_at < ANSWER_WAIT_MS)
            continue;
        r->answered = true;
        r->code = EMP_E_NET;
        if (work->spec.idempotency_key.len == 0)
            continue;
        emp_job_num seen = emp_sim_store_key(&c->system.broker->store, work->spec.customer,
                                             work->spec.idempotency_key);
        if (seen)
            r->job = seen;
        else
            send(c, r->work);
    }
    emp_sim_timer_after(w, &c->again, AGAIN_MS);
}

/* ---- at the worst moment: a decision has been taken, and is not durable ---- */

enum { HASTY = 200 }; /* of 10,000 decisions */

static void hasty(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_scene *c = ctx;
    emp_request request = emp_sim_operator_request(c);
    if (c->hasty_retries) {
        emp_sim_log(w, EMP_SIM_TRACE_RETRY, EMP_SIM_CLIENT, (int64_t)c->hasty_job, 0, 0);
        emp_sim_broker_retry(c->system.broker, request, c->hasty_job);
    } else {
        emp_sim_log(w, EMP_SIM_TRACE_CANCEL, EMP_SIM_CLIENT, (int64_t)c->hasty_job, 0, 0);
        emp_sim_broker_cancel(c->system.broker, request, c->hasty_job);
    }
}

static void watch(void *ctx, const struct emp_event *e, const struct emp_action *actions,
                  size_t count)
{
    struct emp_sim_scene *c = ctx;
    bool often = c->plan.fault_ms[EMP_SIM_FAULT_RETRY] > 0;
    (void)e;
    for (size_t i = 0; i < count && often && !c->calm; i++) {
        const struct emp_action *a = &actions[i];
        if (a->kind != EMP_ACTION_PERSIST || a->change.kind != EMP_CHANGE_JOB ||
            a->change.job.spec || !emp_sim_chance(&c->hasty_random, HASTY))
            continue;
        c->hasty_job = a->change.job.record.num;
        c->hasty_retries = emp_job_state_terminal(a->change.job.record.state);
        emp_sim_timer_after(&c->system.world, &c->hasty, 0);
    }
}

void emp_sim_client_start(struct emp_sim_scene *c)
{
    emp_sim_random(&c->system.world, "hasty", 0, &c->hasty_random);
    emp_sim_timer_init(&c->hasty, hasty, c);
    emp_sim_system_observe(&c->system, &(struct emp_sim_observer){.ctx = c, .core_stepped = watch});
    emp_sim_timer_init(&c->arrival, arrive, c);
    emp_sim_timer_init(&c->again, again, c);
    emp_sim_timer_after(&c->system.world, &c->arrival, 100);
    emp_sim_timer_after(&c->system.world, &c->again, AGAIN_MS);
}

void emp_sim_client_replied(struct emp_sim_scene *c, emp_request request,
                            const struct emp_reply *reply)
{
    if (request == 0 || request > c->request_count)
        return;
    struct emp_sim_request *r = &c->requests[request - 1];
    r->answered = true;
    r->code = reply->code;
    r->job = reply->job;
}

emp_request emp_sim_operator_request(struct emp_sim_scene *c)
{
    return (1ULL << 40) + ++c->operator_requests;
}

static emp_job_num any_job(struct emp_sim_scene *c)
{
    emp_job_num last = c->system.broker->store.last_num;
    return last ? 1 + emp_random_below(&c->client_random, last) : 0;
}

void emp_sim_client_cancel(struct emp_sim_scene *c)
{
    emp_job_num job = any_job(c);
    if (job == 0)
        return;
    emp_sim_log(&c->system.world, EMP_SIM_TRACE_CANCEL, EMP_SIM_CLIENT, (int64_t)job, 0, 0);
    emp_sim_broker_cancel(c->system.broker, emp_sim_operator_request(c), job);
}

void emp_sim_client_retry(struct emp_sim_scene *c)
{
    emp_job_num job = any_job(c);
    if (job == 0)
        return;
    emp_sim_log(&c->system.world, EMP_SIM_TRACE_RETRY, EMP_SIM_CLIENT, (int64_t)job, 0, 0);
    emp_sim_broker_retry(c->system.broker, emp_sim_operator_request(c), job);
}

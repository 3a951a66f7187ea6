/* What connectors do: load, compute, hand outputs over, or stop. One timer per run moves it through
 * its phases; how long each takes was planned when it began. */
#include "sim/agent_internal.h"

#include <assert.h>
#include <stdio.h>

enum { ABANDON_MS = 10, RESULT_MAX = 64 };

enum phase { LOADING, COMPUTING, STORING, STOPPING };

struct emp_sim_run {
    struct emp_sim_run *next;
    struct emp_sim_agent *agent;
    emp_job_num job;
    uint32_t attempt;
    enum phase phase;
    struct emp_sim_run_plan plan;
    emp_mono_ms begun_at, computes_at, ends_at; /* ends_at: of computing */
    struct emp_sim_timer timer;
};

static struct emp_sim_run *find(const struct emp_sim_agent *a, emp_job_num job, uint32_t attempt)
{
    for (struct emp_sim_run *r = a->runs; r; r = r->next)
        if (r->job == job && r->attempt == attempt)
            return r;
    return NULL;
}

static void drop(struct emp_sim_run *r)
{
    struct emp_sim_agent *a = r->agent;
    struct emp_sim_run **at = &a->runs;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    a->run_count--;
    emp_sim_timer_cancel(&a->system->world, &r->timer);
    r->next = a->spare_runs;
    a->spare_runs = r;
}

static void done(struct emp_sim_run *r, int code)
{
    struct emp_sim_agent *a = r->agent;
    struct emp_sim_world *w = &a->system->world;
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_RUN_DONE};
    char result[RESULT_MAX];
    e.run_done.job = r->job;
    e.run_done.attempt = r->attempt;
    e.run_done.code = code;
    e.run_done.run_ms = r->computes_at ? w->now - r->computes_at : 0;
    if (code) {
        e.run_done.text = EMP_STR("the service did not do it");
        e.run_done.retryable = r->plan.retryable;
        e.run_done.machine_fault = r->plan.machine_fault;
    } else {
        int n = snprintf(result, sizeof result, "{\"of\":\"%llu.%u\"}", (unsigned long long)r->job,
                         r->attempt);
        e.run_done.result = (struct emp_str){result, (uint32_t)n};
        a->completed++;
    }
    emp_sim_log(w, EMP_SIM_TRACE_DONE, (int32_t)a->index, (int64_t)r->job, r->attempt, code);
    EMP_SIM_WATCH(a->system, run_ended, a, r->job, r->attempt, code);
    drop(r);
    emp_sim_agent_step(a, &e);
}

static void arm_computing(struct emp_sim_run *r)
{
    struct emp_sim_world *w = &r->agent->system->world;
    emp_mono_ms at = r->ends_at;
    if (r->plan.progress_ms && w->now + r->plan.progress_ms < at)
        at = w->now + r->plan.progress_ms;
    emp_sim_timer_set(w, &r->timer, at);
}

static void loaded(struct emp_sim_run *r)
{
    struct emp_sim_agent *a = r->agent;
    struct emp_sim_world *w = &a->system->world;
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_RUN_STARTED};
    if (r->plan.code && r->plan.fails_early) {
        done(r, r->plan.code);
        return;
    }
    r->phase = COMPUTING;
    r->computes_at = w->now;
    r->ends_at = r->plan.run_ms < EMP_NEVER - w->now ? w->now + r->plan.run_ms : EMP_NEVER;
    arm_computing(r);
    e.run_started.job = r->job;
    e.run_started.attempt = r->attempt;
    e.run_started.load_ms = w->now - r->begun_at;
    e.run_started.keeps_loaded = r->plan.keeps_loaded;
    emp_sim_log(w, EMP_SIM_TRACE_COMPUTE, (int32_t)a->index, (int64_t)r->job, r->attempt,
                e.run_started.load_ms);
    emp_sim_agent_step(a, &e);
}

static void progress(struct emp_sim_run *r)
{
    struct emp_sim_agent *a = r->agent;
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_RUN_PROGRESS};
    emp_mono_ms now = a->system->world.now;
    arm_computing(r);
    e.run_progress.job = r->job;
    e.run_progress.attempt = r->attempt;
    e.run_progress.percent = r->ends_at == EMP_NEVER ? 50
                                                     : 100 * (double)(now - r->computes_at) /
                                                           (double)(r->ends_at - r->computes_at);
    e.run_progress.text = EMP_STR("under way");
    emp_sim_agent_step(a, &e);
}

static void computed(struct emp_sim_run *r)
{
    struct emp_sim_agent *a = r->agent;
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_RUN_STORING};
    if (r->plan.code || r->plan.store_ms <= 0) {
        done(r, r->plan.code);
        return;
    }
    r->phase = STORING;
    emp_sim_timer_after(&a->system->world, &r->timer, r->plan.store_ms);
    e.run_storing.job = r->job;
    e.run_storing.attempt = r->attempt;
    emp_sim_agent_step(a, &e);
}

static void fired(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_run *r = ctx;
    if (emp_sim_agent_defer(r->agent, &r->timer))
        return;
    switch (r->phase) {
    case LOADING:
        loaded(r);
        break;
    case COMPUTING:
        if (w->now < r->ends_at)
            progress(r);
        else
            computed(r);
        break;
    case STORING:
        done(r, 0);
        break;
    case STOPPING:
        done(r, EMP_E_CANCELLED);
        break;
    }
}

void emp_sim_run_begin(struct emp_sim_agent *a, const struct emp_message_assign *assign)
{
    struct emp_sim_system *s = a->system;
    struct emp_sim_run *r = a->spare_runs;
    assert(find(a, assign->job, assign->attempt) == NULL);
    if (r)
        a->spare_runs = r->next;
    else
        r = emp_arena_new(&s->world.arena, struct emp_sim_run);
    *r = (struct emp_sim_run){
        .agent = a, .job = assign->job, .attempt = assign->attempt, .begun_at = s->world.now};
    s->behaviour.run(s->behaviour.ctx, a, assign, &r->plan);
    r->next = a->runs;
    a->runs = r;
    a->run_count++;
    emp_sim_log(&s->world, EMP_SIM_TRACE_RUN, (int32_t)a->index, (int64_t)r->job, r->attempt, 0);
    emp_sim_timer_init(&r->timer, fired, r);
    emp_sim_timer_after(&s->world, &r->timer, r->plan.load_ms);
}

void emp_sim_run_stop(struct emp_sim_agent *a, emp_job_num job, uint32_t attempt)
{
    struct emp_sim_run *r = find(a, job, attempt);
    if (r == NULL)
        return;
    r->phase = STOPPING;
    emp_sim_timer_after(&a->system->world, &r->timer, r->plan.stop_ms);
}

void emp_sim_run_abandon(struct emp_sim_agent *a, emp_job_num job, uint32_t attempt)
{
    struct emp_sim_run *r = find(a, job, attempt);
    if (r == NULL)
        return;
    r->phase = STOPPING;
    emp_sim_timer_after(&a->system->world, &r->timer, ABANDON_MS);
}

void emp_sim_runs_drop(struct emp_sim_agent *a)
{
    while (a->runs)
        drop(a->runs);
}

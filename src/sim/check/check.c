#include "sim/check/check.h"

#include "sim/check/scene.h"

#include <stdlib.h>

enum { SHOWN = 24 };

static void build(struct emp_sim_scene *c)
{
    for (uint32_t i = 1; i <= c->plan.model_count; i++)
        emp_sim_model_put(&c->system, &c->plan.models[i]);
    for (uint32_t i = 0; i < c->plan.machine_count; i++) {
        struct emp_sim_agent *a = emp_sim_agent_add(&c->system, &c->plan.machines[i].settings);
        for (uint32_t m = 1; m <= c->plan.model_count; m++)
            if (c->plan.machines[i].given >> m & 1)
                emp_sim_agent_give(a, m);
    }
    emp_sim_broker_new(&c->system, &c->plan.broker);
}

static void begin(struct emp_sim_scene *c)
{
    emp_sim_random(&c->system.world, "client", 0, &c->client_random);
    emp_sim_random(&c->system.world, "faults", 0, &c->fault_random);
    emp_sim_broker_start(c->system.broker);
    for (uint32_t i = 1; i <= c->plan.model_count; i++)
        emp_sim_broker_model(c->system.broker, emp_sim_operator_request(c),
                             &c->system.models[i].model);
    for (uint32_t i = 0; i < c->system.agent_count; i++)
        emp_sim_agent_start(c->system.agents[i]);
    emp_sim_client_start(c);
    emp_sim_faults_start(c);
}

static void show(const struct emp_sim_scene *c, FILE *report)
{
    const struct emp_sim_world *w = &c->system.world;
    struct emp_buf last;
    emp_buf_init(&last, 1 << 20);
    emp_sim_trace_last(&w->trace, SHOWN, &last);
    fprintf(report,
            "seed %llu, step %llu, at %lld.%03lld s: %s\n  the last events:\n%s"
            "  replay: emp sim check --seed %llu --trace-log\n",
            (unsigned long long)w->seed, (unsigned long long)w->events, (long long)w->now / 1000,
            (long long)w->now % 1000, w->violation, last.data ? last.data : "",
            (unsigned long long)w->seed);
    emp_buf_release(&last);
}

static void fill(const struct emp_sim_scene *c, struct emp_sim_check_result *ret)
{
    const struct emp_sim_world *w = &c->system.world;
    const struct emp_sim_oracle *o = &c->oracle;
    *ret = (struct emp_sim_check_result){.seed = w->seed,
                                         .log_hash = w->trace.hash,
                                         .events = w->events,
                                         .jobs = o->last_durable,
                                         .completed = o->completed,
                                         .failed = o->failed,
                                         .cancelled = o->cancelled,
                                         .requeued = o->requeued,
                                         .crashes = o->crashes,
                                         .refused = o->refused,
                                         .messages = c->system.network.messages,
                                         .bytes = c->system.network.bytes,
                                         .ended_at = w->now};
    memcpy(ret->violation, w->violation, sizeof ret->violation);
}

void emp_sim_check_seed(uint64_t seed, const struct emp_sim_check_options *o,
                        struct emp_sim_check_result *ret)
{
    struct emp_sim_scene *c = calloc(1, sizeof *c);
    struct emp_sim_world first = {.seed = seed};
    struct emp_sim_behaviour behaviour = emp_sim_check_behaviour;
    if (c == NULL)
        abort();
    behaviour.ctx = c;
    emp_sim_plan_make(&c->plan, &first);
    emp_sim_system_init(&c->system, seed, &c->plan.network, &behaviour);
    emp_sim_oracle_init(&c->oracle, c);
    c->system.world.trace.file = o->log;
    c->oracle.outside_only = o->outside_only;
    c->plan.broker.check = !o->outside_only;
    if (o->watch)
        o->watch(o->watch_ctx, &c->system);
    build(c);
    begin(c);
    emp_sim_world_run(&c->system.world, EMP_NEVER - 1);
    fill(c, ret);
    if (o->report && ret->violation[0])
        show(c, o->report);
    emp_sim_system_release(&c->system);
    emp_sim_oracle_release(&c->oracle);
    emp_sim_plan_release(&c->plan);
    free(c);
}

uint64_t emp_sim_check_range(uint64_t first, uint64_t last, bool stop_early, FILE *out)
{
    struct emp_sim_check_result r;
    uint64_t seeds = 0, violations = 0, jobs = 0, events = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        emp_sim_check_seed(seed, &(struct emp_sim_check_options){.report = out}, &r);
        seeds++;
        jobs += r.jobs;
        events += r.events;
        violations += r.violation[0] != '\0';
        if ((r.violation[0] && stop_early) || seed == UINT64_MAX)
            break;
    }
    fprintf(out, "%llu jobs, %llu events\n%llu seeds, %llu violations\n", (unsigned long long)jobs,
            (unsigned long long)events, (unsigned long long)seeds, (unsigned long long)violations);
    return violations;
}

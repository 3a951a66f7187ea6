#include "sim/check/oracle.h"

#include "sim/check/scene.h"

#include <stdarg.h>
#include <stdio.h>

void emp_sim_oracle_init(struct emp_sim_oracle *o, struct emp_sim_scene *scene)
{
    *o = (struct emp_sim_oracle){.scene = scene};
    emp_arena_init(&o->arena, 1 << 16);
    emp_map_init(&o->attempt_index, &o->arena);
    for (uint32_t i = 0; i < EMP_SIM_MACHINES_MAX; i++)
        o->machines[i] = (struct emp_sim_oracle_machine){
            .facts = &scene->plan.machines[i].settings.facts, .lose_at = EMP_NEVER};
    emp_sim_system_observe(&scene->system, &(struct emp_sim_observer){
                                               .ctx = o,
                                               .core_event = emp_sim_oracle_core_event,
                                               .core_stepped = emp_sim_oracle_core_stepped,
                                               .committed = emp_sim_oracle_committed,
                                               .released = emp_sim_oracle_released,
                                               .broker_down = emp_sim_oracle_broker_down,
                                               .broker_up = emp_sim_oracle_broker_up,
                                               .agent_down = emp_sim_oracle_agent_down,
                                               .machine_event = emp_sim_oracle_machine_event,
                                               .machine_action = emp_sim_oracle_machine_action,
                                               .machine_stepped = emp_sim_oracle_machine_stepped,
                                               .run_ended = emp_sim_oracle_run_ended,
                                           });
}

void emp_sim_oracle_release(struct emp_sim_oracle *o)
{
    emp_arena_release(&o->arena);
}

void emp_sim_oracle_wrong(struct emp_sim_oracle *o, const char *fmt, ...)
{
    char text[EMP_SIM_VIOLATION_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    emp_sim_violation(&o->scene->system.world, "%s", text);
}

struct emp_sim_oracle_job *emp_sim_oracle_job(struct emp_sim_oracle *o, emp_job_num num)
{
    emp_arena_reach(&o->arena, o->jobs, num, o->job_cap, 256);
    return &o->jobs[num];
}

struct emp_sim_oracle_attempt *emp_sim_oracle_attempt(struct emp_sim_oracle *o, emp_job_num job,
                                                      uint32_t attempt, bool make)
{
    uint64_t key = job << 20 | attempt;
    uint32_t at;
    if (emp_map_get(&o->attempt_index, key, &at))
        return &o->attempts[at];
    if (!make)
        return NULL;
    emp_arena_reserve(&o->arena, o->attempts, o->attempt_count, o->attempt_cap);
    emp_map_put(&o->attempt_index, key, (uint32_t)o->attempt_count);
    o->attempts[o->attempt_count] = (struct emp_sim_oracle_attempt){.machine = EMP_SIM_NOBODY};
    return &o->attempts[o->attempt_count++];
}

uint32_t emp_sim_oracle_other_attempt(const struct emp_sim_oracle *o, emp_job_num job,
                                      uint32_t machine, struct emp_random *r)
{
    const struct emp_sim_oracle_attempt *a;
    uint32_t current = job < o->job_cap ? o->jobs[job].live.attempt : 0;
    if (current && emp_sim_chance(r, 4000) &&
        (a = emp_sim_oracle_attempt((struct emp_sim_oracle *)o, job, current, false)) && a->sent &&
        a->machine != machine)
        return current;
    if (current > 1 && emp_sim_chance(r, 5000))
        return current - 1;
    return current + 1000 +
           (uint32_t)emp_random_below(r, 2); /* none that could yet become its own */
}

void emp_sim_oracle_lie(struct emp_sim_oracle *o, emp_job_num job, uint32_t attempt)
{
    emp_sim_oracle_attempt(o, job, attempt, true)->lied = true;
}

bool emp_sim_oracle_was_lie(struct emp_sim_oracle *o, emp_job_num job, uint32_t attempt)
{
    const struct emp_sim_oracle_attempt *a = emp_sim_oracle_attempt(o, job, attempt, false);
    return a && a->lied;
}

void emp_sim_oracle_disturbed(struct emp_sim_oracle *o, uint32_t machine, int64_t for_ms)
{
    emp_mono_ms until = o->scene->system.world.now + for_ms;
    if (o->machines[machine].trouble_at < until)
        o->machines[machine].trouble_at = until;
}

/* ---- what fits ---- */

static bool offers(const struct emp_machine_facts *f, struct emp_str service)
{
    for (uint32_t i = 0; i < f->service_count; i++)
        if (emp_str_eq(f->services[i], service))
            return true;
    return false;
}

static bool admits(const struct emp_machine_facts *f, const struct emp_job_spec *s)
{
    if (s->isolation == EMP_ISOLATION_NONE)
        return true;
    bool allowed = f->allowed_count == 0;
    for (uint32_t i = 0; i < f->allowed_count; i++)
        allowed |= emp_str_eq(f->allowed_customers[i], s->customer);
    return allowed &&
           (s->isolation != EMP_ISOLATION_STRICT || f->isolation == EMP_ISOLATION_STRICT);
}

bool emp_sim_oracle_meets(const struct emp_sim_oracle *o, uint32_t kind, uint32_t machine)
{
    const struct emp_sim_kind *k = &o->scene->plan.kinds[kind];
    const struct emp_sim_machine_plan *m = &o->scene->plan.machines[machine];
    const struct emp_machine_facts *f = &m->settings.facts;
    if (!offers(f, k->spec.service) || !admits(f, &k->spec))
        return false;
    if (k->gpu_memory_gb > m->gpu_memory_gb)
        return false;
    if (k->not_spot && emp_str_eq(f->provider, EMP_STR("spot")))
        return false;
    if (k->spec.region.len && !emp_str_eq(k->spec.region, f->region))
        return false;
    return k->spec.node_count == 0 || f->node_count > 0;
}

bool emp_sim_oracle_can_hold(const struct emp_sim_oracle *o, uint32_t kind, uint32_t machine)
{
    const struct emp_sim_kind *k = &o->scene->plan.kinds[kind];
    const struct emp_sim_oracle_machine *m = &o->machines[machine];
    for (uint32_t i = 0; i < k->spec.model_count; i++)
        if (o->scene->plan.models[k->models[i]].url_count == 0 && !(m->copies >> k->models[i] & 1))
            return false;
    return k->models_bytes <= m->facts->disk_budget_bytes;
}

bool emp_sim_oracle_waits(const struct emp_sim_oracle *o, const struct emp_sim_oracle_job *j)
{
    return j->live.exists && j->live.state == EMP_JOB_PENDING && j->due_at <= o->now.mono;
}

void emp_sim_oracle_arrived(const struct emp_sim_oracle *o, struct emp_sim_oracle_job *j)
{
    int64_t ago = o->now.wall - j->live.submitted_at;
    j->arrived_at = o->now.mono - (ago > 0 ? ago : 0);
}

/* ---- the end ---- */

static bool could_run(const struct emp_sim_oracle *o, uint32_t kind)
{
    for (uint32_t i = 0; i < o->scene->plan.machine_count; i++)
        if (emp_sim_oracle_meets(o, kind, i) && emp_sim_oracle_can_hold(o, kind, i))
            return true;
    return false;
}

emp_job_num emp_sim_oracle_unfinished(struct emp_sim_oracle *o)
{
    for (emp_job_num num = 1; num <= o->last; num++) {
        const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, num);
        if (!j->live.exists)
            continue;
        bool ended = emp_job_state_terminal(j->live.state) && j->durable.state == j->live.state;
        if (!ended && (j->live.state != EMP_JOB_PENDING || could_run(o, j->live.kind)))
            return num;
    }
    return 0;
}

void emp_sim_oracle_at_end(struct emp_sim_oracle *o)
{
    const struct emp_sim_scene *c = o->scene;
    for (size_t i = 0; i < c->request_count; i++) {
        const struct emp_sim_request *r = &c->requests[i];
        if (r->answered && r->code == 0 && !emp_sim_oracle_job(o, r->job)->durable.exists)
            emp_sim_oracle_wrong(o, "request %zu was answered with job %llu, which does not exist",
                                 i + 1, (unsigned long long)r->job);
    }
}

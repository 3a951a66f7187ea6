/* Who waits, and whether he should: invariants 6 and 7, after every step. Ranks are computed here
 * anew from the job's durable place and priority. Where pools are configured only jobs that name
 * their pool are judged, on machines that name it too: where others belong is a matter of
 * estimates. */
#include "sim/check/scene.h"

enum {
    RECHECK_MS = 300, /* a promise that has broken is noticed within that */
    HOLD_SLACK_MS = 3000,
    CROWD = 12, /* so many of one kind: the core holds no more of them for busy machines */
    PASSED_MAX = 10,
};

static bool usable(const struct emp_sim_oracle_machine *m)
{
    return m->link && !m->leaving && !m->drained;
}

static bool has_slot(const struct emp_sim_oracle_machine *m)
{
    return usable(m) && m->leases < m->facts->slots;
}

/* May this job be judged by what happens on this machine? */
static bool judged(const struct emp_sim_oracle *o, uint32_t kind, uint32_t machine)
{
    const struct emp_sim_kind *k = &o->scene->plan.kinds[kind];
    return !o->scene->plan.pooled ||
           (k->pool_given && emp_str_eq(k->spec.pool, o->machines[machine].facts->pool));
}

static bool fits(const struct emp_sim_oracle *o, uint32_t kind, uint32_t machine)
{
    return emp_sim_oracle_meets(o, kind, machine) && emp_sim_oracle_can_hold(o, kind, machine);
}

static uint32_t idle_for(const struct emp_sim_oracle *o, uint32_t kind)
{
    for (uint32_t i = 0; i < o->scene->plan.machine_count; i++)
        if (has_slot(&o->machines[i]) && judged(o, kind, i) && fits(o, kind, i))
            return i;
    return EMP_SIM_NOBODY;
}

/* A busy machine that it may be waiting for. */
static bool better_promised(const struct emp_sim_oracle *o, uint32_t kind)
{
    for (uint32_t i = 0; o->scene->plan.policy.may_wait && i < o->scene->plan.machine_count; i++)
        if (usable(&o->machines[i]) && !has_slot(&o->machines[i]) && fits(o, kind, i))
            return true;
    return false;
}

static int64_t rank_of(const struct emp_sim_oracle *o, const struct emp_sim_job_facts *f)
{
    return f->tag - (int64_t)(f->priority * (double)o->scene->plan.core.fairness.point_ms);
}

static bool goes_before(const struct emp_sim_oracle *o, emp_job_num a,
                        const struct emp_sim_job_facts *x, emp_job_num b,
                        const struct emp_sim_job_facts *y)
{
    int64_t ra = rank_of(o, x), rb = rank_of(o, y);
    return ra != rb ? ra < rb : a < b;
}

static bool overdue(const struct emp_sim_oracle *o, const struct emp_sim_oracle_job *j)
{
    enum emp_tier tier = o->scene->plan.kinds[j->live.kind].spec.tier;
    return o->now.mono - j->arrived_at >= o->scene->plan.core.fairness.patience_ms[tier];
}

/* Is it in quarantine, and has it deserved it? */
static bool quarantined(struct emp_sim_oracle *o, uint32_t machine)
{
    struct emp_arena scratch;
    struct emp_core_machine *list;
    bool found = false;
    emp_arena_init(&scratch, 4096);
    uint32_t n = emp_core_machines(o->scene->system.broker->core, o->now, &scratch, &list);
    for (uint32_t i = 0; i < n; i++)
        found |= list[i].state == EMP_MACHINE_QUARANTINED &&
                 emp_str_eq(list[i].facts->id, o->machines[machine].facts->id);
    emp_arena_release(&scratch);
    if (found && o->machines[machine].failures < o->scene->plan.core.blame.quarantine_failures)
        emp_sim_oracle_wrong(o, "m%u is in quarantine after %u failures", machine,
                             o->machines[machine].failures);
    return found;
}

/* ---- assignments of this step ---- */

void emp_sim_oracle_assigned(struct emp_sim_oracle *o, emp_job_num num, uint32_t machine)
{
    if (o->assigned_count == EMP_SIM_ASSIGNED_MAX)
        return;
    o->assigned[o->assigned_count].num = num;
    o->assigned[o->assigned_count++].machine = machine;
}

static uint32_t waiting_of_kind(struct emp_sim_oracle *o, uint32_t kind)
{
    uint32_t n = 0;
    for (emp_job_num num = 1; num <= o->last; num++) {
        const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, num);
        n += j->live.kind == kind && emp_sim_oracle_waits(o, j);
    }
    return n;
}

static bool is_older(struct emp_sim_oracle *o, emp_job_num x, emp_job_num y)
{
    emp_mono_ms a = emp_sim_oracle_job(o, x)->arrived_at, b = emp_sim_oracle_job(o, y)->arrived_at;
    return a != b ? a < b : x < y;
}

static uint32_t older_overdue(struct emp_sim_oracle *o, emp_job_num than)
{
    uint32_t n = 0;
    for (emp_job_num num = 1; num <= o->last; num++) {
        const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, num);
        n += emp_sim_oracle_waits(o, j) && overdue(o, j) && is_older(o, num, than);
    }
    return n;
}

/* x went to the machine while y, whom it fits too, still waits. */
static void check_order(struct emp_sim_oracle *o, emp_job_num x, emp_job_num y, uint32_t machine)
{
    const struct emp_sim_oracle_job *jx = emp_sim_oracle_job(o, x);
    struct emp_sim_oracle_job *jy = emp_sim_oracle_job(o, y);
    bool late = overdue(o, jx);
    if (!judged(o, jy->live.kind, machine) || !fits(o, jy->live.kind, machine) ||
        better_promised(o, jy->live.kind))
        return;
    if (!late && goes_before(o, y, &jy->live, x, &jx->live) &&
        waiting_of_kind(o, jy->live.kind) < CROWD)
        emp_sim_oracle_wrong(o, "job %llu (rank %lld) is given m%u before job %llu (rank %lld)",
                             (unsigned long long)x, (long long)rank_of(o, &jx->live), machine,
                             (unsigned long long)y, (long long)rank_of(o, &jy->live));
    if (!overdue(o, jy))
        return;
    if (late && is_older(o, x, y)) { /* the older first; every other turn may be of rank */
        jy->passed_over -= jy->passed_over > 0;
        return;
    }
    if (++jy->passed_over > PASSED_MAX + older_overdue(o, y))
        emp_sim_oracle_wrong(o, "job %llu is past its patience and was passed over %u times",
                             (unsigned long long)y, jy->passed_over);
}

static void check_assigned(struct emp_sim_oracle *o)
{
    for (uint32_t i = 0; i < o->assigned_count; i++)
        for (emp_job_num y = 1; y <= o->last; y++)
            if (y != o->assigned[i].num && emp_sim_oracle_waits(o, emp_sim_oracle_job(o, y)))
                check_order(o, o->assigned[i].num, y, o->assigned[i].machine);
    o->assigned_count = 0;
}

/* ---- beside idle machines ---- */

static void check_idle(struct emp_sim_oracle *o, emp_job_num num, struct emp_sim_oracle_job *j)
{
    const struct emp_sim_plan *p = &o->scene->plan;
    uint32_t idle = idle_for(o, j->live.kind);
    bool better = better_promised(o, j->live.kind), had_better = j->had_better;
    int64_t late = p->broker.late_ms_max;
    if (idle == EMP_SIM_NOBODY || quarantined(o, idle)) {
        j->idle_since = j->alone_since = 0;
        j->had_better = false;
        return;
    }
    if (j->idle_since == 0)
        j->idle_since = o->now.mono;
    if (better)
        j->alone_since = 0;
    else if (j->alone_since == 0)
        j->alone_since = o->now.mono;
    j->had_better = better || (had_better && o->now.mono - j->alone_since <= RECHECK_MS + late);
    if (!better && !j->had_better)
        emp_sim_oracle_wrong(o, "job %llu waits, m%u is idle and fits, and nothing is better",
                             (unsigned long long)num, idle);
    if (o->now.mono - j->idle_since > p->core.routing.warm_wait_ms_max + HOLD_SLACK_MS + late)
        emp_sim_oracle_wrong(o, "job %llu has waited %lld ms beside idle machines that fit",
                             (unsigned long long)num, (long long)(o->now.mono - j->idle_since));
}

static emp_job_num head_of_kind(struct emp_sim_oracle *o, uint32_t kind)
{
    emp_job_num head = 0;
    for (emp_job_num num = 1; num <= o->last; num++) {
        const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, num);
        if (j->live.kind == kind && emp_sim_oracle_waits(o, j) &&
            (head == 0 || goes_before(o, num, &j->live, head, &emp_sim_oracle_job(o, head)->live)))
            head = num;
    }
    return head;
}

void emp_sim_oracle_queue_check(struct emp_sim_oracle *o)
{
    if (o->pending == 0) {
        o->assigned_count = 0;
        return;
    }
    check_assigned(o);
    for (uint32_t kind = 0; kind < o->scene->plan.kind_count; kind++) {
        emp_job_num head = head_of_kind(o, kind);
        if (head)
            check_idle(o, head, emp_sim_oracle_job(o, head));
    }
}

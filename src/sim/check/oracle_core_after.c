/* After each step of the core: leases that had to end, runs past their limit, who had to be told to
 * stop, what the core now knows, and when it wants to be stepped again. */
#include "sim/check/scene.h"

enum { LOOK_EVERY = 16 }; /* steps: comparing every job at every one would take too long */

void emp_sim_oracle_to_cancel(struct emp_sim_oracle *o, emp_job_num job, uint32_t attempt,
                              uint32_t machine)
{
    if (o->to_cancel_count < EMP_SIM_ASSIGNED_MAX && o->machines[machine].link)
        o->to_cancel[o->to_cancel_count++] = (struct emp_sim_oracle_cancel){job, attempt, machine};
}

/* What a greeting machine holds and nobody wants must be cancelled; what it should hold and does
 * not must be taken back. */
static void check_hello(struct emp_sim_oracle *o, uint32_t machine)
{
    const struct emp_message_hello *h = emp_sim_oracle_hello(o, machine);
    if (h == NULL || o->machines[machine].link != o->event->message.link)
        return;
    for (uint32_t i = 0; i < h->held_count; i++) {
        const struct emp_sim_job_facts *f = &emp_sim_oracle_job(o, h->held[i].job)->live;
        if (f->machine != machine || f->attempt != h->held[i].attempt || !f->exists)
            emp_sim_oracle_to_cancel(o, h->held[i].job, h->held[i].attempt, machine);
    }
    for (emp_job_num num = 1; num <= o->last; num++) {
        const struct emp_sim_job_facts *f = &emp_sim_oracle_job(o, num)->live;
        bool held = !f->exists || f->machine != machine;
        for (uint32_t i = 0; i < h->held_count; i++)
            held |= h->held[i].job == num && h->held[i].attempt == f->attempt;
        for (uint32_t i = 0; i < o->assigned_count; i++)
            held |= o->assigned[i].num == num; /* in this very step */
        if (!held)
            emp_sim_oracle_wrong(o, "m%u greets without %llu.%u, and keeps the lease", machine,
                                 (unsigned long long)num, f->attempt);
    }
}

static void check_cancelled(struct emp_sim_oracle *o)
{
    for (uint32_t i = 0; i < o->to_cancel_count; i++) {
        const struct emp_sim_oracle_cancel *want = &o->to_cancel[i];
        bool told = false;
        for (uint32_t k = 0; k < o->cancelled_count; k++)
            told |= o->cancelled_here[k].job == want->job &&
                    o->cancelled_here[k].attempt == want->attempt &&
                    o->cancelled_here[k].machine == want->machine;
        if (!told && o->cancelled_count < EMP_SIM_ASSIGNED_MAX)
            emp_sim_oracle_wrong(o, "m%u is not told to stop %llu.%u", want->machine,
                                 (unsigned long long)want->job, want->attempt);
    }
    o->to_cancel_count = o->cancelled_count = 0;
}

static void check_leases(struct emp_sim_oracle *o)
{
    for (uint32_t i = 0; i < o->scene->plan.machine_count; i++) {
        const struct emp_sim_oracle_machine *m = &o->machines[i];
        if (m->link && o->now.mono >= m->heard_at + o->scene->plan.core.lease.silent_ms)
            emp_sim_oracle_wrong(o, "m%u has been silent for %lld ms and counts as connected", i,
                                 (long long)(o->now.mono - m->heard_at));
        if (m->link == 0 && m->leases && o->now.mono >= m->lose_at)
            emp_sim_oracle_wrong(o, "m%u is away past its time and keeps %u leases", i, m->leases);
    }
}

static emp_mono_ms limit_at(const struct emp_sim_oracle *o, const struct emp_sim_oracle_job *j)
{
    return j->started_at + emp_sim_oracle_limit(o, &j->live) + EMP_SIM_BACKSTOP_MS;
}

/* The earliest time at which something that is known here must happen. */
static emp_mono_ms must_step_by(struct emp_sim_oracle *o)
{
    emp_mono_ms at = EMP_NEVER;
    for (uint32_t i = 0; i < o->scene->plan.machine_count; i++) {
        const struct emp_sim_oracle_machine *m = &o->machines[i];
        if (m->link == 0 && m->leases && m->lose_at < at)
            at = m->lose_at;
        if (m->link && m->heard_at + o->scene->plan.core.lease.silent_ms < at)
            at = m->heard_at + o->scene->plan.core.lease.silent_ms;
    }
    for (emp_job_num num = 1; num <= o->last; num++) {
        const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, num);
        bool delayed = j->live.state == EMP_JOB_PENDING && j->due_at > o->now.mono;
        if (j->live.exists && delayed && j->due_at < at)
            at = j->due_at;
        if (j->live.exists && j->live.state == EMP_JOB_IN_PROGRESS && limit_at(o, j) < at)
            at = limit_at(o, j);
    }
    return at;
}

static void check_jobs(struct emp_sim_oracle *o)
{
    const struct emp_core *core = o->scene->system.broker->core;
    struct emp_core_job_view view;
    for (emp_job_num num = 1; num <= o->last; num++) {
        const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, num);
        bool known = emp_core_job(core, num, &view) == 0;
        if (!j->live.exists)
            continue;
        if (known == emp_job_state_terminal(j->live.state) ||
            (known && view.state != j->live.state))
            emp_sim_oracle_wrong(o, "job %llu was made %s in the store, the broker has it as %s",
                                 (unsigned long long)num, emp_job_state_word(j->live.state),
                                 known ? emp_job_state_word(view.state) : "ended");
        if (j->live.state == EMP_JOB_IN_PROGRESS && o->now.mono > limit_at(o, j))
            emp_sim_oracle_wrong(o, "job %llu.%u has run past its limit and is not ended",
                                 (unsigned long long)num, j->live.attempt);
    }
}

void emp_sim_oracle_core_after(struct emp_sim_oracle *o)
{
    for (uint32_t i = 0; i < o->scene->plan.machine_count; i++)
        check_hello(o, i);
    check_cancelled(o);
    check_leases(o);
    if (++o->steps % LOOK_EVERY)
        return;
    check_jobs(o);
    emp_mono_ms due = emp_core_next_due(o->scene->system.broker->core), must = must_step_by(o);
    if (due > must)
        emp_sim_oracle_wrong(o, "something is due in %lld ms, the core wants to sleep for %lld",
                             (long long)(must - o->now.mono), (long long)(due - o->now.mono));
}

/* Restoring: the store's changes are replayed in order (models, machines, what was learned, live
 * jobs), then start. Nothing is persisted again. */
#include "core/internal.h"

static void restore_attempt(struct emp_core *c, struct job *j, const struct emp_job_record *r)
{
    struct machine *m = emp_machine_get(c, r->attempt.machine);
    j->machine = m;
    j->assigned_at = r->attempt.assigned_at;
    j->started_at = r->attempt.started_at;
    j->fetch_bytes = r->attempt.bytes_fetched;
    j->next = m->running;
    if (m->running)
        m->running->prev = j;
    m->running = j;
    m->busy++;
    if (r->decision.count == 0)
        return;
    struct emp_decision *d = emp_slab_new(&c->decisions, &j->decision);
    *d = r->decision;
    d->pool = emp_core_name(c, emp_intern(&c->names, d->pool)); /* names live as long as the core */
    for (uint32_t i = 0; i < d->count; i++) {
        d->candidates[i].machine =
            emp_core_name(c, emp_intern(&c->names, d->candidates[i].machine));
        d->candidates[i].pool = emp_core_name(c, emp_intern(&c->names, d->candidates[i].pool));
    }
}

static void restore_job(struct emp_core *c, const struct emp_change *change)
{
    const struct emp_job_record *r = &change->job.record;
    const struct emp_job_spec *spec = change->job.spec;
    if (emp_job_state_terminal(r->state))
        return;
    assert(spec != NULL);
    struct job *j = emp_job_new(c, r->num, spec);
    j->submitted_at = r->submitted_at;
    j->not_before = r->not_before;
    j->priority = r->order_priority;
    j->tag = r->order_tag;
    j->rank = emp_core_rank(c, j);
    j->counted = r->counted_attempts;
    j->returns = r->returns;
    j->losses = r->losses;
    j->retried_by_hand = r->retried_by_hand;
    j->attempt = r->attempt.number;
    struct emp_flow *flow = emp_core_flow(
        c, j->customer, j->priority); /* its next job stands behind what it has waiting */
    if (flow->next_tag < j->tag)
        flow->next_tag = j->tag;
    emp_core_order_restored(c, j, spec->workflow);
    if (r->state != EMP_JOB_PENDING) {
        emp_job_move(c, j, EMP_JOB_ASSIGNED);
        if (r->state == EMP_JOB_IN_PROGRESS)
            emp_job_move(c, j, EMP_JOB_IN_PROGRESS);
        restore_attempt(c, j, r);
    }
}

static void restore_machine(struct emp_core *c, const struct emp_change *change)
{
    const struct emp_change_machine *cm = &change->machine;
    struct machine *m = emp_machine_get(c, cm->facts.id);
    emp_machine_facts_set(c, m, &cm->facts);
    m->first_seen = cm->first_seen;
    m->last_seen = cm->last_seen;
    m->jobs_completed = cm->jobs_completed;
    m->jobs_failed = cm->jobs_failed;
    m->drained = cm->drained;
}

void emp_core_restore(struct emp_core *c, const struct emp_change *change)
{
    assert(!c->started);
    emp_arena_reset(&c->scratch);
    switch (change->kind) {
    case EMP_CHANGE_JOB:
        restore_job(c, change);
        break;
    case EMP_CHANGE_MACHINE:
        restore_machine(c, change);
        break;
    case EMP_CHANGE_MODEL:
        emp_core_model_put(c, &change->model);
        break;
    case EMP_CHANGE_LEARNED:
        emp_learned_restore(c, &change->learned);
        break;
    case EMP_CHANGE_ATTEMPT:
    case EMP_CHANGE_MACHINE_FORGOTTEN:
    case EMP_CHANGE_MODEL_REMOVED:
        break; /* of the past */
    }
}

/* A restored job's clock starts anew: its lease has the grace, its run the time it has left. */
static void start_attempt(struct emp_core *c, struct job *j)
{
    int64_t ran = j->started_at ? c->now.wall - j->started_at : 0;
    j->expected_end = c->now.mono + (ran < j->class->mean_ms ? j->class->mean_ms - ran : 0);
    j->starts_at = c->now.mono;
    j->computes_at = c->now.mono - (ran > 0 ? ran : 0);
    j->left_at = 0;
    if (j->state != EMP_JOB_IN_PROGRESS)
        return;
    int64_t limit = j->timeout_ms ? j->timeout_ms : c->settings->retry.timeout_ms;
    int64_t left = ran < 0 ? limit : ran > limit ? 0 : limit - ran;
    emp_job_timer(c, j, c->now.mono + left + RUN_BACKSTOP_MS);
}

static void start_pending(struct emp_core *c, struct job *j)
{
    int64_t delay = j->not_before - c->now.wall;
    emp_job_wait(c, j,
                 delay < 0                               ? 0
                 : delay > c->settings->retry.max_ms * 2 ? c->settings->retry.max_ms * 2
                                                         : delay);
}

/* When each arrived, on the new clock. Whatever the wall clock did meanwhile, an earlier job has
 * waited at least as long as a later one; restored jobs stand in the slab in order of number. */
static void start_arrivals(struct emp_core *c)
{
    emp_mono_ms earliest = c->now.mono;
    for (uint32_t n = c->jobs.high; n >= 1; n--) {
        struct job *j = emp_slab_at(&c->jobs, n);
        emp_job_arrived_at(c, j, j->submitted_at);
        if (j->arrived > earliest)
            j->arrived = earliest;
        earliest = j->arrived;
    }
}

/* All are away, and those that were there when the old broker died are on their way back. */
static void start_machine(struct emp_core *c, struct machine *m)
{
    if (m->running)
        emp_machine_deadline(c, m, c->now.mono + c->settings->lease.start_grace_ms);
    if (c->now.wall - m->last_seen < MACHINE_SAVE_MS + AWAY_HOME_MS)
        m->awaited_until = c->now.mono + AWAY_HOME_MS;
}

void emp_core_start(struct emp_core *c, struct emp_now now, emp_job_num last_num)
{
    assert(!c->started);
    c->started = true;
    c->now = now;
    c->last_num = last_num;
    c->machines_saved = c->learned_saved = now.mono;
    c->plan_at = now.mono + c->settings->intelligence.every_ms;
    for (size_t i = 0; i < c->all_count; i++)
        start_machine(c, c->all[i]);
    int64_t oldest_tag = INT64_MAX, largest_tag = 0;
    start_arrivals(c);
    for (uint32_t n = 1; n <= c->jobs.high; n++) {
        struct job *j = emp_slab_at(&c->jobs, n);
        if (j->machine)
            start_attempt(c, j);
        else
            start_pending(c, j);
        if (j->machine == NULL && j->tag < oldest_tag)
            oldest_tag = j->tag;
        if (j->tag > largest_tag)
            largest_tag = j->tag;
    }
    /* the virtual clock goes on where the oldest waiting job stands: newcomers queue behind what
     * was there, fairly */
    c->virtual_now = oldest_tag == INT64_MAX ? largest_tag : oldest_tag;
    c->dirty_all = true;
}

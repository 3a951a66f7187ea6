/* Attempts: a job's lease on a machine, from ASSIGN to its end, whichever way it ends.
 *
 * Fencing: a lease is (job, attempt number, machine). Numbers only grow and are durable before
 * ASSIGN leaves, so a report of an older one is recognised and changes nothing. An attempt that
 * is cancelled frees its slot here at once: the agent takes the next one and starts it when the old
 * run has stopped (machine/). */
#include "core/internal.h"

static void running_insert(struct machine *m, struct job *j)
{
    j->prev = NULL;
    j->next = m->running;
    if (m->running)
        m->running->prev = j;
    m->running = j;
}

static void running_remove(struct machine *m, struct job *j)
{
    *(j->prev ? &j->prev->next : &m->running) = j->next;
    if (j->next)
        j->next->prev = j->prev;
    j->prev = j->next = NULL;
}

/* Marks the job's models as used there, and the missing ones as coming. Returns the bytes to fetch.
 */
static int64_t claim_copies(struct emp_core *c, struct job *j, struct machine *m)
{
    int64_t missing = 0;
    for (uint32_t i = 0; i < j->class->spec.model_count; i++) {
        struct model_entry *e = emp_core_model_entry(c, j->class->models[i]);
        struct copy *copy = emp_machine_copy(m, e->name);
        e->uses++;
        emp_heat_use(&e->heat, c->now.mono);
        if (copy && copy->residency >= EMP_RESIDENCY_DISK)
            c->stats.hits++;
        if (copy == NULL) {
            c->stats.fetches++;
            missing += e->model.bytes;
            emp_machine_copy_set(c, m, e->name, e->model.bytes, EMP_RESIDENCY_FETCHING, true);
            copy = emp_machine_copy(m, e->name);
        }
        copy->uses = emp_evict_use(copy->uses, c->now.mono - copy->last_use);
        copy->last_use = c->now.mono;
        m->copies_version++;
        emp_heat_use(&copy->heat, c->now.mono);
    }
    if (missing > 0)
        emp_machine_fetch_told(c, m, emp_machine_fetch_left(c, m) + missing);
    m->disk_free -= missing < m->disk_free ? missing : m->disk_free;
    return missing;
}

static void send_assign(struct emp_core *c, const struct job *j, struct machine *m)
{
    const struct class *k = j->class;
    uint32_t n = k->spec.model_count;
    struct emp_model *models = emp_arena_array(c->out->arena, struct emp_model, n);
    for (uint32_t i = 0; i < n; i++) {
        emp_model_copy(c->out->arena, &emp_core_model_entry(c, k->models[i])->model, &models[i]);
        if (models[i].name.len == 0) /* known from the machine alone */
            models[i].name = emp_core_name(c, k->models[i]);
    }
    struct emp_message *msg = emp_core_send(c, m, EMP_MESSAGE_ASSIGN);
    msg->assign = (struct emp_message_assign){
        .job = j->num,
        .attempt = j->attempt,
        .service = emp_str_copy(c->out->arena, k->spec.service),
        .customer = emp_core_name(c, j->customer),
        .models = models,
        .model_count = n,
        .timeout_ms = j->timeout_ms ? j->timeout_ms : c->settings->retry.timeout_ms,
        .estimated_run_ms = k->run_ms,
    };
}

static void keep_decision(struct emp_core *c, struct job *j, const struct emp_decision *d)
{
    struct emp_decision *kept = j->decision ? emp_slab_at(&c->decisions, j->decision) : NULL;
    if (kept == NULL)
        kept = emp_slab_new(&c->decisions, &j->decision);
    *kept = *d;
}

void emp_attempt_assign(struct emp_core *c, struct job *j, struct machine *m,
                        const struct emp_decision *d)
{
    assert(m->busy < m->facts.slots && m->link != 0);
    emp_job_move(c, j, EMP_JOB_ASSIGNED);
    j->attempt++;
    j->machine = m;
    j->assigned_at = c->now.wall;
    j->started_at = 0;
    j->percent = 0;
    j->not_before = 0;
    j->held_for = NULL;
    keep_decision(c, j, d);
    const struct emp_route_terms *t = &d->candidates[0].terms;
    int64_t ready_us = (t->fetch > t->slot_free ? t->fetch : t->slot_free) + t->load;
    j->starts_at = c->now.mono + ready_us / 1000;
    j->expected_end = j->starts_at + (int64_t)((double)j->class->mean_ms * emp_machine_speed(m));
    emp_eta_went(c, j);
    j->left_at = 0;
    running_insert(m, j);
    emp_machine_busy(c, m, 1);
    m->last_assigned = ++c->turn;
    j->fetch_bytes = claim_copies(c, j, m);
    c->virtual_now = emp_fair_clock(&c->settings->fairness, c->virtual_now, j->tag, j->tier,
                                    j->class->mean_ms, c->slots);
    c->stats.assigned++;
    c->stats.by_fallback[d->fallback]++;
    emp_job_persist(c, j);
    send_assign(c, j, m);
    emp_job_notify(c, j, EMP_NOTICE_ASSIGNED);
}

static bool runs_with(const struct machine *m, uint32_t model)
{
    for (const struct job *j = m->running; j; j = j->next)
        for (uint32_t i = 0; i < j->class->spec.model_count; i++)
            if (j->class->models[i] == model)
                return true;
    return false;
}

/* The agent tells of copies when their residency changes; that they are no longer in use is seen
 * from here. */
static void free_copies(struct machine *m, const struct job *j)
{
    for (uint32_t i = 0; i < j->class->spec.model_count; i++) {
        struct copy *copy = emp_machine_copy(m, j->class->models[i]);
        if (copy)
            copy->in_use = runs_with(m, j->class->models[i]);
    }
}

void emp_attempt_release(struct emp_core *c, struct job *j)
{
    struct machine *m = j->machine;
    running_remove(m, j);
    free_copies(m, j);
    j->machine = NULL;
    if (j->timer_place != EMP_HEAP_OUT)
        emp_job_timer(c, j, EMP_NEVER);
    if (j->progress) {
        emp_slab_free(&c->progresses, j->progress);
        j->progress = 0;
    }
    emp_machine_busy(c, m, -1);
}

/* ---- the end of an attempt ---- */

static bool outcome_counts(const struct emp_core *c, struct job *j, enum emp_outcome o)
{
    if (o == EMP_OUTCOME_RETURNED)
        return ++j->returns > (uint32_t)c->settings->retry.returns_max;
    if (o == EMP_OUTCOME_LOST)
        return ++j->losses > (uint32_t)c->settings->retry.losses_max;
    return emp_outcome_counted(o);
}

static struct machine *machine_at(struct emp_core *c, uint32_t number)
{
    for (size_t i = 0; i < c->all_count; i++)
        if (c->all[i]->number == number)
            return c->all[i];
    return NULL;
}

/* How well the other machines do that ran jobs: suspicion weighs only against that. */
static float peers_success(const struct emp_core *c, const struct machine *m)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->all_count; i++) {
        const struct machine *other = c->all[i];
        if (other == m || other->link == 0 || other->jobs_completed + other->jobs_failed == 0)
            continue;
        sum += 1.0 - (double)other->blame.failure_rate;
        n++;
    }
    return n ? (float)(sum / (double)n) : 0;
}

static void maybe_quarantine(struct emp_core *c, struct machine *m)
{
    m->blame.peers_success = peers_success(c, m);
    int64_t ms = emp_blame_quarantine_ms(&c->settings->blame, &m->blame);
    if (ms > 0)
        emp_machine_quarantine(c, m, ms);
}

/* Settles what other machines are held to have done to this job: it completed here, or it failed
 * here too. */
static bool settle_others(struct emp_core *c, struct job *j, const struct machine *m,
                          bool completed)
{
    bool others = false;
    for (uint8_t i = 0; i < j->avoid_count; i++) {
        struct machine *other =
            j->avoid[i].machine == m->number ? NULL : machine_at(c, j->avoid[i].machine);
        others |= j->avoid[i].machine != m->number;
        if (other == NULL || j->avoid[i].settled)
            continue;
        j->avoid[i].settled = true;
        (completed ? emp_blame_convict : emp_blame_acquit)(&other->blame);
        maybe_quarantine(c, other);
    }
    return others;
}

/* Who is to blame: the machine for what others can do, the job for what nobody can. */
static void blame(struct emp_core *c, struct job *j, struct machine *m,
                  const struct attempt_end *end)
{
    if (end->outcome == EMP_OUTCOME_COMPLETED) {
        settle_others(c, j, m, true);
        emp_blame_success(&m->blame);
        return;
    }
    if (end->outcome != EMP_OUTCOME_FAILED && end->outcome != EMP_OUTCOME_TIMEOUT &&
        !(end->outcome == EMP_OUTCOME_RETURNED && end->machine_fault))
        return;
    emp_blame_failure(&m->blame, end->machine_fault);
    bool everywhere = !end->machine_fault && settle_others(c, j, m, false);
    if (everywhere)
        emp_blame_acquit(&m->blame);
    emp_job_avoid(j, m, everywhere || end->machine_fault);
    maybe_quarantine(c, m);
}

static void count_outcome(struct emp_core *c, struct machine *m, enum emp_outcome o)
{
    struct emp_core_stats *s = &c->stats;
    uint64_t *const counter[EMP_OUTCOME_COUNT] = {
        [EMP_OUTCOME_FAILED] = &s->attempts_failed,
        [EMP_OUTCOME_REJECTED] = &s->attempts_failed,
        [EMP_OUTCOME_TIMEOUT] = &s->attempts_timed_out,
        [EMP_OUTCOME_LOST] = &s->attempts_lost,
        [EMP_OUTCOME_RETURNED] = &s->attempts_returned,
    };
    if (counter[o])
        ++*counter[o];
    if (o == EMP_OUTCOME_COMPLETED)
        m->jobs_completed++;
    else if (o == EMP_OUTCOME_FAILED || o == EMP_OUTCOME_REJECTED || o == EMP_OUTCOME_TIMEOUT)
        m->jobs_failed++;
}

static void fill_attempt(struct emp_core *c, const struct job *j, const struct attempt_end *end,
                         bool counted, struct emp_attempt *a)
{
    a->number = j->attempt;
    a->outcome = end->outcome;
    a->counted = counted;
    a->machine = emp_core_name(c, j->machine->name);
    a->pool = emp_pool_name(c, j->machine->pool);
    a->assigned_at = j->assigned_at;
    a->started_at = end->started_at ? end->started_at : j->started_at;
    a->ended_at = end->ended_at ? end->ended_at : c->now.wall;
    a->bytes_fetched = end->bytes_fetched;
    a->error_code = end->code;
    a->error = emp_core_keep(c, end->text);
}

static void finish(struct emp_core *c, struct job *j, enum emp_job_state state,
                   const struct emp_attempt *a, const struct attempt_end *end)
{
    emp_attempt_release(c, j);
    emp_job_move(c, j, state);
    struct emp_change_job *change = emp_job_persist(c, j);
    change->record.attempt = *a;
    change->record.finished_at = c->now.wall;
    change->record.error_code = a->error_code;
    change->record.error = a->error;
    change->result = state == EMP_JOB_COMPLETED ? end->result : 0;
    struct emp_notice *n = emp_job_notify(c, j, EMP_NOTICE_ENDED);
    n->machine = a->machine;
    n->pool = a->pool;
    n->code = a->error_code;
    n->text = a->error;
    n->result = state == EMP_JOB_COMPLETED ? end->result : 0;
    uint64_t *counter = state == EMP_JOB_COMPLETED ? &c->stats.completed
                        : state == EMP_JOB_FAILED  ? &c->stats.failed
                                                   : &c->stats.cancelled;
    ++*counter;
    emp_job_forget(c, j);
}

static void requeue(struct emp_core *c, struct job *j, const struct emp_attempt *a,
                    const struct attempt_end *end)
{
    emp_attempt_release(c, j);
    emp_job_move(c, j, EMP_JOB_PENDING);
    struct emp_action *act = emp_core_act(c, EMP_ACTION_PERSIST);
    act->change.kind = EMP_CHANGE_ATTEMPT;
    act->change.attempt.job = j->num;
    act->change.attempt.attempt = *a;
    int64_t delay = 0;
    if (a->counted || (end->outcome == EMP_OUTCOME_RETURNED && end->machine_fault)) {
        uint32_t tries = a->counted ? j->counted : j->returns;
        delay = emp_retry_backoff_ms(&c->settings->retry, tries, &c->random);
    }
    j->not_before = delay ? c->now.wall + delay : 0;
    emp_job_persist(c, j)->record.attempt = *a;
    struct emp_notice *n = emp_job_notify(c, j, EMP_NOTICE_REQUEUED);
    n->machine = a->machine;
    n->pool = a->pool;
    n->code = a->error_code;
    n->text = a->error;
    c->stats.requeued++;
    emp_job_wait(c, j, delay);
}

static bool may_retry(const struct emp_core *c, const struct job *j, const struct attempt_end *end)
{
    if (end->outcome == EMP_OUTCOME_RETURNED || end->outcome == EMP_OUTCOME_LOST ||
        end->retryable) {
        struct emp_job_spec spec = {.max_retries = j->max_retries};
        return j->counted < emp_retry_executions(&c->settings->retry, &spec);
    }
    return false;
}

static void learn(struct emp_core *c, struct job *j, struct machine *m,
                  const struct attempt_end *end)
{
    int64_t expected = j->class->mean_ms;
    double speed = m->speed.value > 0 ? m->speed.value : 1;
    emp_core_learn_run(c, j, m, end->run_ms);
    emp_eta_learn_from(c, j);
    emp_class_learn(c, j->class, (int64_t)((double)end->run_ms / speed));
    if (expected > 0 && end->run_ms > 0 && j->class->own &&
        j->class->own->estimate.observations > 8) {
        double ratio = (double)end->run_ms / (double)expected;
        emp_rate_observe(&m->speed, ratio < 0.1 ? 0.1 : ratio > 10 ? 10 : ratio);
        emp_learned_changed(c, &m->speed_mark, EMP_LEARNED_SPEED, m->name);
    }
}

void emp_attempt_end(struct emp_core *c, struct job *j, const struct attempt_end *end)
{
    struct machine *m = j->machine;
    struct emp_attempt a = {0};
    bool counted = outcome_counts(c, j, end->outcome);
    j->counted += counted;
    fill_attempt(c, j, end, counted, &a);
    count_outcome(c, m, end->outcome);
    c->stats.fetched_bytes += (uint64_t)(end->bytes_fetched > 0 ? end->bytes_fetched : 0);
    blame(c, j, m, end);
    if (end->outcome == EMP_OUTCOME_COMPLETED) {
        learn(c, j, m, end);
        finish(c, j, EMP_JOB_COMPLETED, &a, end);
    } else if (end->outcome == EMP_OUTCOME_CANCELLED) {
        finish(c, j, EMP_JOB_CANCELLED, &a, end);
    } else if (may_retry(c, j, end)) {
        requeue(c, j, &a, end);
    } else {
        finish(c, j, EMP_JOB_FAILED, &a, end);
    }
}

void emp_attempts_lose(struct emp_core *c, struct machine *m, const char *why)
{
    while (m->running)
        emp_attempt_end(c, m->running,
                        &(struct attempt_end){.outcome = EMP_OUTCOME_LOST,
                                              .code = EMP_E_LOST,
                                              .text = emp_str_z(why)});
}

/* ---- cancel ---- */

static void cancel_waiting(struct emp_core *c, struct job *j)
{
    emp_job_unwait(c, j);
    emp_job_move(c, j, EMP_JOB_CANCELLED);
    struct emp_change_job *change = emp_job_persist(c, j);
    change->record.finished_at = c->now.wall;
    change->record.error_code = EMP_E_CANCELLED;
    change->record.error = EMP_STR("Job cancelled by user");
    struct emp_notice *n = emp_job_notify(c, j, EMP_NOTICE_ENDED);
    n->code = EMP_E_CANCELLED;
    n->text = EMP_STR("Job cancelled by user");
    c->stats.cancelled++;
    emp_job_forget(c, j);
}

void emp_core_on_cancel(struct emp_core *c, const struct emp_event *e)
{
    struct job *j = emp_job_find(c, e->job);
    if (j == NULL) {
        struct emp_error err;
        emp_fail(&err, EMP_E_NOT_FOUND, NULL, "the job is not live");
        emp_core_reply_error(c, e->request, &err);
        return;
    }
    emp_core_reply(c, e->request, j->num);
    if (j->machine == NULL) {
        cancel_waiting(c, j);
        return;
    }
    emp_core_send_lease(c, j->machine->link, EMP_MESSAGE_CANCEL, j->num, j->attempt,
                        "cancelled by user");
    emp_attempt_end(c, j,
                    &(struct attempt_end){.outcome = EMP_OUTCOME_CANCELLED,
                                          .code = EMP_E_CANCELLED,
                                          .text = EMP_STR("Job cancelled by user")});
}

/* What agents say: one handler per message, in a table. Reports about a lease are fenced here: only
 * the current attempt, on the machine that holds it, moves a job. Whatever else is reported is
 * acknowledged, so that the agent forgets it, and changes nothing. */
#include "core/internal.h"

static struct job *fenced(struct emp_core *c, const struct machine *m, emp_job_num num,
                          uint32_t attempt)
{
    struct job *j = emp_job_find(c, num);
    return j && j->machine == m && j->attempt == attempt ? j : NULL;
}

static void copies_set(struct emp_core *c, struct machine *m, const struct emp_copy *copies,
                       uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t name = emp_intern(&c->names, copies[i].model);
        if (name && copies[i].residency != EMP_RESIDENCY_NONE)
            emp_machine_copy_set(c, m, name, copies[i].bytes, copies[i].residency,
                                 copies[i].in_use);
    }
}

/* Once it is known what else there is: that says for whom they had to go. */
static void copies_gone(struct emp_core *c, struct machine *m, const struct emp_message_copies *x)
{
    for (uint32_t i = 0; i < x->copy_count; i++) {
        uint32_t name = emp_intern_find(&c->names, x->copies[i].model);
        const struct copy *copy = name ? emp_machine_copy(m, name) : NULL;
        if (copy == NULL || x->copies[i].residency != EMP_RESIDENCY_NONE)
            continue;
        if (copy->residency >= EMP_RESIDENCY_DISK)
            emp_plan_note_evict(c, m, copy);
        emp_machine_copy_set(c, m, name, 0, EMP_RESIDENCY_NONE, false);
    }
}

/* HELLO's copies are all there are. Those a held lease is fetching are among them. */
static void copies_replace(struct emp_core *c, struct machine *m, const struct emp_message_hello *h)
{
    for (uint32_t i = 0; i < m->copy_count; i++)
        m->copies[i].residency = EMP_RESIDENCY_NONE;
    m->gpu_bytes = m->ram_bytes = m->fetching_bytes = 0;
    copies_set(c, m, h->copies, h->copy_count);
    for (uint32_t i = m->copy_count; i-- > 0;)
        if (m->copies[i].residency == EMP_RESIDENCY_NONE)
            emp_machine_copy_set(c, m, m->copies[i].model, 0, EMP_RESIDENCY_NONE, false);
    emp_machine_fetch_told(c, m, m->fetching_bytes);
}

static void started(struct emp_core *c, struct job *j, emp_wall_ms at)
{
    if (j->state == EMP_JOB_IN_PROGRESS)
        return;
    emp_job_move(c, j, EMP_JOB_IN_PROGRESS);
    j->started_at = at ? at : c->now.wall;
    j->computes_at = c->now.mono;
    j->left_at = 0;
    int64_t limit = j->timeout_ms ? j->timeout_ms : c->settings->retry.timeout_ms;
    emp_job_timer(c, j, c->now.mono + limit + RUN_BACKSTOP_MS);
}

static const struct emp_held *held_find(const struct emp_message_hello *h, const struct job *j)
{
    for (uint32_t i = 0; i < h->held_count; i++)
        if (h->held[i].job == j->num && h->held[i].attempt == j->attempt)
            return &h->held[i];
    return NULL;
}

/* Leases of this boot: what both know goes on; what the agent never received is taken back; what is
 * no longer its own is cancelled. */
static void leases_reconcile(struct emp_core *c, struct machine *m,
                             const struct emp_message_hello *h)
{
    for (struct job *j = m->running, *next; j; j = next) {
        next = j->next;
        const struct emp_held *held = held_find(h, j);
        if (held == NULL) {
            emp_attempt_end(
                c, j,
                &(struct attempt_end){.outcome = EMP_OUTCOME_RETURNED,
                                      .code = EMP_E_LOST,
                                      .text = EMP_STR("the assignment did not reach the machine")});
        } else if (held->started && j->state == EMP_JOB_ASSIGNED) {
            started(c, j, held->started_at);
            emp_job_persist(c, j);
            emp_job_notify(c, j, EMP_NOTICE_STARTED);
        }
    }
    for (uint32_t i = 0; i < h->held_count; i++) {
        const struct emp_held *held = &h->held[i];
        if (fenced(c, m, held->job, held->attempt))
            continue;
        emp_core_send_lease(c, m->link, EMP_MESSAGE_CANCEL, held->job, held->attempt,
                            "the lease has ended");
    }
}

static void refuse(struct emp_core *c, emp_link link, int code, const char *why)
{
    struct emp_action *a = emp_core_act(c, EMP_ACTION_SEND);
    a->send.link = link;
    a->send.message.kind = EMP_MESSAGE_REFUSED;
    a->send.message.refused.code = code;
    a->send.message.refused.reason = emp_str_z(why);
    a->send.message.refused.retry = emp_error_retryable(code);
    emp_core_close(c, link, "refused");
}

/* A machine greets: known or new, same process or a new one. */
static void on_hello(struct emp_core *c, emp_link link, const struct emp_message_hello *h)
{
    if (h->protocol != EMP_PROTOCOL_VERSION) {
        refuse(c, link, EMP_E_PROTOCOL,
               emp_arena_printf(c->out->arena, "this broker speaks protocol %d, the agent %u",
                                EMP_PROTOCOL_VERSION, h->protocol));
        return;
    }
    if (c->all_count >= EMP_MACHINES_MAX && emp_machine_find(c, h->facts.id) == NULL) {
        refuse(c, link, EMP_E_QUEUE_FULL, "too many machines are known");
        return;
    }
    struct machine *m = emp_machine_get(c, h->facts.id);
    if (m->link) { /* its older connection is dead, or a twin's: the newest wins */
        emp_core_close(c, m->link, "replaced by a newer connection");
        emp_machine_disconnect(c, m, 0);
    }
    if (!emp_str_eq(m->facts.boot, h->facts.boot)) {
        emp_attempts_lose(c, m, "the agent restarted");
        m->quarantined_until =
            m->quarantined_until ? 1 : 0; /* a restart may have mended it: ends at the next tick */
    }
    emp_machine_facts_set(c, m, &h->facts);
    copies_replace(c, m, h);
    emp_machine_connect(c, m, link);
    m->leaving = h->draining;
    struct emp_message *msg = emp_core_send(c, m, EMP_MESSAGE_WELCOME);
    msg->welcome = (struct emp_message_welcome){
        .protocol = EMP_PROTOCOL_VERSION,
        .beat_ms = c->settings->lease.beat_ms,
        .lease_ms = c->settings->lease.silent_ms,
        .pool = emp_pool_name(c, m->pool),
    };
    leases_reconcile(c, m, h);
    if (m->planned_count)
        emp_plan_send(c, m);
    emp_machine_slots_changed(c, m);
    emp_machine_persist(c, m);
}

static void on_beat(struct emp_core *c, struct machine *m, const struct emp_event *e)
{
    const struct emp_message_beat *b = &e->message.message->beat;
    m->disk_free = b->disk_free_bytes;
    emp_machine_fetch_told(c, m, b->fetch_left_bytes);
    if (b->link_bytes_per_s > 0)
        m->link_rate = b->link_bytes_per_s;
    emp_spare_settle(c, m);
}

static void on_started(struct emp_core *c, struct machine *m, const struct emp_event *e)
{
    const struct emp_message_started *s = &e->message.message->started;
    struct job *j = fenced(c, m, s->job, s->attempt);
    if (j == NULL || j->state != EMP_JOB_ASSIGNED) {
        c->stats.stale_reports += j == NULL;
        return;
    }
    emp_core_learn_load(c, j->class, m, s->load_ms);
    started(c, j, s->at);
    j->fetch_bytes = s->bytes_fetched;
    emp_job_persist(c, j);
    emp_job_notify(c, j, EMP_NOTICE_STARTED);
    emp_plan_note_start(c, j, s->bytes_fetched);
}

static void on_progress(struct emp_core *c, struct machine *m, const struct emp_event *e)
{
    const struct emp_message_progress *p = &e->message.message->progress;
    struct job *j = fenced(c, m, p->job, p->attempt);
    if (j == NULL) {
        c->stats.stale_reports++;
        return;
    }
    j->percent = p->percent;
    struct progress *kept = j->progress ? emp_slab_at(&c->progresses, j->progress) : NULL;
    if (kept == NULL)
        kept = emp_slab_new(&c->progresses, &j->progress);
    kept->length = p->text.len < sizeof kept->text ? p->text.len : sizeof kept->text;
    if (kept->length)
        memcpy(kept->text, p->text.ptr, kept->length);
    emp_job_notify(c, j, EMP_NOTICE_PROGRESS)->text = emp_core_keep(c, p->text);
}

/* COMPLETED, FAILED, RETURNED: how each becomes an end. */
static enum emp_outcome outcome_of(const struct emp_message *msg)
{
    if (msg->kind == EMP_MESSAGE_COMPLETED)
        return EMP_OUTCOME_COMPLETED;
    if (msg->kind == EMP_MESSAGE_RETURNED)
        return EMP_OUTCOME_RETURNED;
    if (msg->finished.error_code == EMP_E_TIMEOUT)
        return EMP_OUTCOME_TIMEOUT;
    return msg->finished.retryable ? EMP_OUTCOME_FAILED : EMP_OUTCOME_REJECTED;
}

static void on_finished(struct emp_core *c, struct machine *m, const struct emp_event *e)
{
    const struct emp_message *msg = e->message.message;
    const struct emp_message_finished *f = &msg->finished;
    struct job *j = fenced(c, m, f->job, f->attempt);
    if (j) {
        emp_attempt_end(c, j,
                        &(struct attempt_end){
                            .outcome = outcome_of(msg),
                            .code = f->error_code,
                            .text = f->error,
                            .started_at = f->started_at,
                            .ended_at = f->ended_at,
                            .run_ms = f->run_ms,
                            .bytes_fetched = f->bytes_fetched,
                            .result = e->message.result,
                            .retryable = f->retryable || f->error_code == EMP_E_TIMEOUT,
                            .machine_fault = f->machine_fault,
                        });
    } else {
        c->stats.stale_reports++;
    }
    emp_core_send_lease(c, m->link, EMP_MESSAGE_ACK, f->job, f->attempt, NULL);
    if (msg->kind == EMP_MESSAGE_RETURNED && f->error_code == EMP_E_AGAIN) {
        /* It has no slot where our books have one: a message was lost, whosever fault that is. Its
         * next greeting sets both right; until then it gets nothing, or it would return that too.
         */
        emp_core_close(c, m->link, "its leases are not those we know of: greet again");
        emp_machine_disconnect(c, m, c->settings->lease.closed_ms);
    }
}

static void on_copies(struct emp_core *c, struct machine *m, const struct emp_event *e)
{
    const struct emp_message_copies *x = &e->message.message->copies;
    copies_set(c, m, x->copies, x->copy_count);
    copies_gone(c, m, x);
    m->disk_free = x->disk_free_bytes;
    emp_spare_settle(c, m);
    c->dirty_all = true; /* a job may have waited for this model */
}

static void on_goodbye(struct emp_core *c, struct machine *m, const struct emp_event *e)
{
    (void)e;
    m->leaving = true;
    emp_machine_slots_changed(c, m);
}

static void (*const handlers[EMP_MESSAGE_COUNT])(struct emp_core *, struct machine *,
                                                 const struct emp_event *) = {
    [EMP_MESSAGE_BEAT] = on_beat,         [EMP_MESSAGE_STARTED] = on_started,
    [EMP_MESSAGE_PROGRESS] = on_progress, [EMP_MESSAGE_COMPLETED] = on_finished,
    [EMP_MESSAGE_FAILED] = on_finished,   [EMP_MESSAGE_RETURNED] = on_finished,
    [EMP_MESSAGE_COPIES] = on_copies,     [EMP_MESSAGE_GOODBYE] = on_goodbye,
};

void emp_core_on_message(struct emp_core *c, const struct emp_event *e)
{
    const struct emp_message *msg = e->message.message;
    struct machine *m = emp_machine_of_link(c, e->message.link);
    if (msg->kind == EMP_MESSAGE_HELLO && m == NULL) {
        on_hello(c, e->message.link, &msg->hello);
        return;
    }
    if (m == NULL || handlers[msg->kind] == NULL) {
        refuse(c, e->message.link, EMP_E_PROTOCOL,
               "unexpected message: hello comes first, and once");
        if (m)
            emp_machine_disconnect(c, m, c->settings->lease.closed_ms);
        return;
    }
    m->last_heard = c->now.mono;
    handlers[msg->kind](c, m, e);
}

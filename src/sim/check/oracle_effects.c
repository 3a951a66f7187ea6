/* What has become durable, what takes effect, and what is left after a crash: nothing is seen that
 * does not rest on the store, and the store's content is what a new broker knows. */
#include "sim/check/scene.h"

static bool leased(enum emp_job_state s)
{
    return s == EMP_JOB_ASSIGNED || s == EMP_JOB_IN_PROGRESS;
}

/* ---- the store ---- */

void emp_sim_oracle_committed(void *ctx, const struct emp_change *change)
{
    struct emp_sim_oracle *o = ctx;
    if (change->kind == EMP_CHANGE_MACHINE) {
        uint32_t m = emp_sim_agent_number(&o->scene->system, change->machine.facts.id);
        if (m < EMP_SIM_MACHINES_MAX)
            o->machines[m].drained_durably = change->machine.drained;
    }
    if (change->kind == EMP_CHANGE_MACHINE_FORGOTTEN) {
        uint32_t m = emp_sim_agent_number(&o->scene->system, change->machine_forgotten);
        if (m < EMP_SIM_MACHINES_MAX)
            o->machines[m].drained_durably = false;
    }
    if (change->kind != EMP_CHANGE_JOB)
        return;
    const struct emp_job_record *r = &change->job.record;
    struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, r->num);
    struct emp_sim_job_facts *d = &j->durable;
    bool was_terminal = d->exists && emp_job_state_terminal(d->state);
    if (change->job.spec) {
        *d = (struct emp_sim_job_facts){
            .exists = true, .work = (uint32_t)change->job.body, .kind = j->live.kind};
        if (r->num != o->last_durable + 1)
            emp_sim_oracle_wrong(o, "job %llu is stored after job %llu", (unsigned long long)r->num,
                                 (unsigned long long)o->last_durable);
        o->last_durable = r->num;
    }
    if (r->attempt.number < d->attempt)
        emp_sim_oracle_wrong(o, "job %llu: attempt %u is stored after %u",
                             (unsigned long long)r->num, r->attempt.number, d->attempt);
    if (was_terminal && r->state != EMP_JOB_PENDING)
        emp_sim_oracle_wrong(o, "job %llu was %s, and is stored as %s", (unsigned long long)r->num,
                             emp_job_state_word(d->state), emp_job_state_word(r->state));
    d->state = r->state;
    d->attempt = r->attempt.number;
    d->machine = leased(r->state) ? emp_sim_agent_number(&o->scene->system, r->attempt.machine)
                                  : EMP_SIM_NOBODY;
    d->counted = r->counted_attempts;
    d->returns = r->returns;
    d->losses = r->losses;
    d->by_hand = r->retried_by_hand;
    d->tag = r->order_tag;
    d->priority = r->order_priority;
    d->submitted_at = r->submitted_at;
    d->not_before = r->not_before;
    d->result = change->job.result;
    emp_sim_log(&o->scene->system.world, EMP_SIM_TRACE_JOB, EMP_SIM_BROKER, (int64_t)r->num,
                r->state, r->attempt.number);
}

/* ---- effects ---- */

static void on_reply(struct emp_sim_oracle *o, const struct emp_reply *r, emp_request request)
{
    struct emp_sim_scene *c = o->scene;
    emp_sim_client_replied(c, request, r);
    if (r->code || r->job == 0)
        return;
    const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, r->job);
    if (!j->durable.exists)
        emp_sim_oracle_wrong(o, "job %llu is acknowledged before it is durable",
                             (unsigned long long)r->job);
    if (request && request <= c->request_count &&
        c->requests[request - 1].work != j->durable.work &&
        !emp_str_eq(
            emp_sim_work_at(c->system.broker, c->requests[request - 1].work)->spec.idempotency_key,
            emp_sim_work_at(c->system.broker, j->durable.work)->spec.idempotency_key))
        emp_sim_oracle_wrong(o, "request %llu is answered with another's job %llu",
                             (unsigned long long)request, (unsigned long long)r->job);
}

static void on_assign(struct emp_sim_oracle *o, const struct emp_message_assign *a, emp_link link)
{
    const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, a->job);
    uint32_t to = emp_sim_network_agent_of(&o->scene->system.network, link);
    struct emp_sim_oracle_attempt *t = emp_sim_oracle_attempt(o, a->job, a->attempt, true);
    if (j->durable.attempt < a->attempt ||
        (j->durable.attempt == a->attempt && leased(j->durable.state) && to != EMP_SIM_NOBODY &&
         j->durable.machine != to))
        emp_sim_oracle_wrong(o, "assignment %llu.%u leaves before it is durable",
                             (unsigned long long)a->job, a->attempt);
    if (t->sent && t->machine != to && to != EMP_SIM_NOBODY)
        emp_sim_oracle_wrong(o, "attempt %llu.%u is sent to two machines",
                             (unsigned long long)a->job, a->attempt);
    if (to == EMP_SIM_NOBODY)
        return;
    t->sent = true;
    t->machine = to;
    for (uint32_t i = 0; i < a->model_count; i++)
        t->versions[emp_sim_model_find(&o->scene->system, a->models[i].name)] =
            emp_sim_sha_version(a->models[i].sha256);
}

static void on_ack(struct emp_sim_oracle *o, const struct emp_message_lease *l)
{
    const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, l->job);
    if (j->durable.exists && leased(j->durable.state) && j->durable.attempt == l->attempt &&
        !emp_sim_oracle_was_lie(o, l->job, l->attempt))
        emp_sim_oracle_wrong(o, "the report of %llu.%u is acknowledged and not durable",
                             (unsigned long long)l->job, l->attempt);
}

static void on_ended(struct emp_sim_oracle *o, const struct emp_notice *n)
{
    struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, n->job);
    if (!j->durable.exists || j->durable.state != n->state)
        emp_sim_oracle_wrong(o, "job %llu is told to be %s, and is not stored so",
                             (unsigned long long)n->job, emp_job_state_word(n->state));
    if (++j->ends > 1)
        emp_sim_oracle_wrong(o, "job %llu ends twice", (unsigned long long)n->job);
    o->completed += n->state == EMP_JOB_COMPLETED;
    o->failed += n->state == EMP_JOB_FAILED;
    o->cancelled += n->state == EMP_JOB_CANCELLED;
}

void emp_sim_oracle_released(void *ctx, const struct emp_action *a)
{
    struct emp_sim_oracle *o = ctx;
    if (a->kind == EMP_ACTION_REPLY)
        on_reply(o, &a->reply.reply, a->reply.request);
    else if (a->kind == EMP_ACTION_SEND && a->send.message.kind == EMP_MESSAGE_ASSIGN)
        on_assign(o, &a->send.message.assign, a->send.link);
    else if (a->kind == EMP_ACTION_SEND && a->send.message.kind == EMP_MESSAGE_ACK)
        on_ack(o, &a->send.message.lease);
    else if (a->kind == EMP_ACTION_NOTIFY && a->notice.kind == EMP_NOTICE_ENDED)
        on_ended(o, &a->notice);
}

/* ---- crash and return ---- */

void emp_sim_oracle_broker_down(void *ctx)
{
    struct emp_sim_oracle *o = ctx;
    o->crashes++;
    o->last = o->last_durable;
    o->pending = 0;
    for (uint32_t i = 0; i < EMP_SIM_MACHINES_MAX; i++) {
        struct emp_sim_oracle_machine *m = &o->machines[i];
        m->link = 0;
        m->leaving = false;
        m->leases = 0;
        m->lose_at = EMP_NEVER;
        m->drained = m->drained_durably;
        m->copies = 0;
        emp_sim_oracle_disturbed(o, i, 0);
    }
    for (emp_job_num num = 1; num < o->job_cap; num++) {
        struct emp_sim_oracle_job *j = &o->jobs[num];
        j->live = j->durable;
        j->idle_since = j->alone_since = 0;
        j->had_better = false;
        j->passed_over = 0;
        if (!j->live.exists)
            continue;
        if (leased(j->live.state))
            o->machines[j->live.machine].leases++;
        else
            o->pending += j->live.state == EMP_JOB_PENDING;
    }
}

static void restored(struct emp_sim_oracle *o, emp_job_num num, struct emp_sim_oracle_job *j)
{
    int64_t most = o->scene->plan.core.retry.max_ms * 2;
    int64_t delay = j->live.not_before - o->now.wall;
    struct emp_core_job_view view;
    bool known = emp_core_job(o->scene->system.broker->core, num, &view) == 0;
    if (known == emp_job_state_terminal(j->live.state) || (known && view.state != j->live.state))
        emp_sim_oracle_wrong(o, "job %llu was stored as %s, and after the restart is %s",
                             (unsigned long long)num, emp_job_state_word(j->live.state),
                             known ? emp_job_state_word(view.state) : "not live");
    j->due_at = o->now.mono + (delay < 0 ? 0 : delay > most ? most : delay);
    j->started_at = o->now.mono;
    j->restored = true;
    emp_sim_oracle_arrived(o, j);
}

/* Whatever the wall clock did, an earlier job has waited at least as long as a later one. */
static void order_arrivals(struct emp_sim_oracle *o)
{
    emp_mono_ms earliest = o->now.mono;
    for (emp_job_num num = o->last; num >= 1; num--) {
        struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, num);
        if (!j->live.exists || emp_job_state_terminal(j->live.state))
            continue;
        if (j->arrived_at > earliest)
            j->arrived_at = earliest;
        earliest = j->arrived_at;
    }
}

void emp_sim_oracle_broker_up(void *ctx)
{
    struct emp_sim_oracle *o = ctx;
    struct emp_core_stats stats;
    struct emp_arena scratch;
    struct emp_core_machine *list;
    o->now = emp_sim_broker_now(o->scene->system.broker);
    for (emp_job_num num = 1; num <= o->last; num++)
        if (emp_sim_oracle_job(o, num)->live.exists)
            restored(o, num, emp_sim_oracle_job(o, num));
    order_arrivals(o);
    emp_core_stats(o->scene->system.broker->core, &stats);
    if (stats.pending != o->pending)
        emp_sim_oracle_wrong(o, "%llu jobs were pending, after the restart %llu are",
                             (unsigned long long)o->pending, (unsigned long long)stats.pending);
    emp_arena_init(&scratch, 4096);
    uint32_t n = emp_core_machines(o->scene->system.broker->core, o->now, &scratch, &list);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t m = emp_sim_agent_number(&o->scene->system, list[i].facts->id);
        if (m < EMP_SIM_MACHINES_MAX && list[i].drained != o->machines[m].drained)
            emp_sim_oracle_wrong(o, "m%u: drained %d before the restart, %d after", m,
                                 o->machines[m].drained, list[i].drained);
        if (m < EMP_SIM_MACHINES_MAX && list[i].busy != o->machines[m].leases)
            emp_sim_oracle_wrong(o, "m%u had %u leases before the restart, %u after", m,
                                 o->machines[m].leases, list[i].busy);
    }
    for (uint32_t i = 0; i < EMP_SIM_MACHINES_MAX; i++)
        o->machines[i].lose_at = o->now.mono + o->scene->plan.core.lease.start_grace_ms;
    emp_arena_release(&scratch);
}

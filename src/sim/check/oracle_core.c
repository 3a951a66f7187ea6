/* What the core decides, held against the event it was given. A job's way is followed through the
 * durable changes of each step, in order; whatever ends an attempt must be the agent's own report,
 * its greeting, its silence, an operator, or time; and what follows is computed here anew. */
#include "sim/check/scene.h"

#include <stdio.h>

enum { HEALTHY_MS = 20000 }; /* undisturbed for so long, a machine has no reason to be silent */

/* ---- events, before the core sees them ---- */

static uint32_t machine_of_link(const struct emp_sim_oracle *o, emp_link link)
{
    for (uint32_t i = 0; i < o->scene->plan.machine_count; i++)
        if (link && o->machines[i].link == link)
            return i;
    return EMP_SIM_NOBODY;
}

static bool greets_anew(const struct emp_sim_oracle *o, const struct emp_event *e)
{
    if (e->kind != EMP_EVENT_MESSAGE || e->message.message->kind != EMP_MESSAGE_HELLO)
        return false;
    const struct emp_machine_facts *f = &e->message.message->hello.facts;
    uint32_t m = emp_sim_agent_number(&o->scene->system, f->id);
    return m < EMP_SIM_MACHINES_MAX && !emp_str_eq(f->boot, emp_str_z(o->machines[m].boot));
}

void emp_sim_oracle_core_event(void *ctx, const struct emp_event *e, struct emp_now now)
{
    struct emp_sim_oracle *o = ctx;
    o->event = e;
    o->now = now;
    o->new_boot = greets_anew(o, e);
    if (e->kind == EMP_EVENT_MESSAGE) {
        uint32_t m = machine_of_link(o, e->message.link);
        if (m != EMP_SIM_NOBODY)
            o->machines[m].heard_at = now.mono;
    }
}

/* ---- why an attempt ended ---- */

static const struct emp_message *message_from(const struct emp_sim_oracle *o, uint32_t machine)
{
    const struct emp_event *e = o->event;
    if (e->kind != EMP_EVENT_MESSAGE || o->machines[machine].link != e->message.link)
        return NULL;
    return e->message.message;
}

/* Its own report of this very attempt, over its own link. */
static const struct emp_message_finished *report_of(const struct emp_sim_oracle *o, emp_job_num num,
                                                    const struct emp_sim_job_facts *j)
{
    const struct emp_message *m = message_from(o, j->machine);
    if (m == NULL || (m->kind != EMP_MESSAGE_COMPLETED && m->kind != EMP_MESSAGE_FAILED &&
                      m->kind != EMP_MESSAGE_RETURNED))
        return NULL;
    return m->finished.job == num && m->finished.attempt == j->attempt ? &m->finished : NULL;
}

/* It greets: in this step, before its link is known. */
const struct emp_message_hello *emp_sim_oracle_hello(const struct emp_sim_oracle *o,
                                                     uint32_t machine)
{
    const struct emp_event *e = o->event;
    if (e->kind != EMP_EVENT_MESSAGE || e->message.message->kind != EMP_MESSAGE_HELLO)
        return NULL;
    const struct emp_message_hello *h = &e->message.message->hello;
    return emp_str_eq(h->facts.id, o->machines[machine].facts->id) ? h : NULL;
}

static bool held_in(const struct emp_message_hello *h, emp_job_num num, uint32_t attempt)
{
    for (uint32_t i = 0; i < h->held_count; i++)
        if (h->held[i].job == num && h->held[i].attempt == attempt)
            return true;
    return false;
}

static bool may_be_lost(const struct emp_sim_oracle *o, const struct emp_sim_job_facts *j)
{
    const struct emp_sim_oracle_machine *m = &o->machines[j->machine];
    const struct emp_message_hello *h = emp_sim_oracle_hello(o, j->machine);
    const struct emp_event *e = o->event;
    if (h && o->new_boot)
        return true;
    if (e->kind == EMP_EVENT_MACHINE_FORGET && emp_str_eq(e->machine.id, m->facts->id))
        return true;
    if (m->lose_at != EMP_NEVER && o->now.mono >= m->lose_at)
        return true;
    return m->link && o->now.mono >= m->heard_at + o->scene->plan.core.lease.silent_ms;
}

int64_t emp_sim_oracle_limit(const struct emp_sim_oracle *o, const struct emp_sim_job_facts *j)
{
    int64_t ms = o->scene->plan.kinds[j->kind].spec.timeout_ms;
    return ms ? ms : o->scene->plan.core.retry.timeout_ms;
}

static bool ran_over(const struct emp_sim_oracle *o, const struct emp_sim_oracle_job *j)
{
    int64_t limit = j->restored ? 0 : emp_sim_oracle_limit(o, &j->live);
    return j->live.state == EMP_JOB_IN_PROGRESS &&
           o->now.mono >= j->started_at + limit + EMP_SIM_BACKSTOP_MS;
}

/* Its run ended, and over a connection that nothing has disturbed since the broker does not know.
 */
static bool unheard(const struct emp_sim_oracle *o, emp_job_num num,
                    const struct emp_sim_oracle_job *j)
{
    const struct emp_sim_network_settings *n = &o->scene->plan.network;
    const struct emp_sim_oracle_machine *m = &o->machines[j->live.machine];
    const struct emp_sim_oracle_attempt *a =
        emp_sim_oracle_attempt((struct emp_sim_oracle *)o, num, j->live.attempt, false);
    emp_mono_ms settled = o->scene->system.world.now - HEALTHY_MS;
    return a && a->completed && a->machine == j->live.machine && m->link &&
           n->lost + n->swapped == 0 && a->ended_at < settled && m->trouble_at < settled;
}

/* ---- what follows the end of an attempt ---- */

struct end {
    enum emp_outcome outcome;
    bool again_can_help, machine_fault;
};

static enum emp_outcome outcome_of(const struct emp_message *m)
{
    if (m->kind == EMP_MESSAGE_COMPLETED)
        return EMP_OUTCOME_COMPLETED;
    if (m->kind == EMP_MESSAGE_RETURNED)
        return EMP_OUTCOME_RETURNED;
    if (m->finished.error_code == EMP_E_TIMEOUT)
        return EMP_OUTCOME_TIMEOUT;
    return m->finished.retryable ? EMP_OUTCOME_FAILED : EMP_OUTCOME_REJECTED;
}

static void not_ended_so(struct emp_sim_oracle *o, emp_job_num num,
                         const struct emp_sim_job_facts *j, enum emp_outcome outcome,
                         const char *why)
{
    emp_sim_oracle_wrong(o, "job %llu.%u on m%u ends as %s: %s", (unsigned long long)num,
                         j->attempt, j->machine, emp_outcome_word(outcome), why);
}

/* Is this how it may end now? */
static void explain_end(struct emp_sim_oracle *o, emp_job_num num,
                        const struct emp_sim_oracle_job *j, enum emp_outcome said, struct end *ret)
{
    const struct emp_message_finished *f = report_of(o, num, &j->live);
    const struct emp_message_hello *h = emp_sim_oracle_hello(o, j->live.machine);
    *ret = (struct end){.outcome = said, .again_can_help = true};
    if (f) {
        ret->outcome = outcome_of(o->event->message.message);
        ret->machine_fault = f->machine_fault;
        ret->again_can_help = ret->outcome == EMP_OUTCOME_RETURNED || f->retryable ||
                              ret->outcome == EMP_OUTCOME_TIMEOUT;
        if (said != ret->outcome)
            not_ended_so(o, num, &j->live, said, emp_outcome_word(ret->outcome));
    } else if (said == EMP_OUTCOME_LOST) {
        if (!may_be_lost(o, &j->live))
            not_ended_so(o, num, &j->live, said, "its machine is neither silent nor gone");
    } else if (said == EMP_OUTCOME_TIMEOUT) {
        emp_sim_oracle_to_cancel(o, num, j->live.attempt, j->live.machine);
        if (!ran_over(o, j))
            not_ended_so(o, num, &j->live, said, "it has time left");
        if (unheard(o, num, j))
            not_ended_so(o, num, &j->live, said, "it ended long ago, and its report never came");
    } else if (said == EMP_OUTCOME_RETURNED) {
        if (h == NULL || o->new_boot || held_in(h, num, j->live.attempt))
            not_ended_so(o, num, &j->live, said, "its machine has not said so");
    } else {
        not_ended_so(o, num, &j->live, said, "nobody reported that");
    }
}

static bool counts(struct emp_sim_oracle *o, struct emp_sim_job_facts *j, enum emp_outcome outcome)
{
    const struct emp_settings_retry *s = &o->scene->plan.core.retry;
    if (outcome == EMP_OUTCOME_RETURNED)
        return ++j->returns > (uint32_t)s->returns_max;
    if (outcome == EMP_OUTCOME_LOST)
        return ++j->losses > (uint32_t)s->losses_max;
    return true;
}

static uint32_t executions(const struct emp_sim_oracle *o, const struct emp_sim_job_facts *j)
{
    int32_t n = o->scene->plan.kinds[j->kind].spec.max_retries;
    if (n < 0)
        n = o->scene->plan.core.retry.max_retries;
    return n < 1 ? 1 : (uint32_t)n;
}

/* The back-off must lie within the jitter around its doubling base. */
static void check_backoff(struct emp_sim_oracle *o, emp_job_num num, uint32_t tries, int64_t delay)
{
    const struct emp_settings_retry *s = &o->scene->plan.core.retry;
    int64_t ms = s->base_ms;
    for (uint32_t n = 1; n < tries && ms < s->max_ms; n++)
        ms *= 2;
    ms = ms < s->max_ms ? ms : s->max_ms;
    double low = (double)ms * (1 - s->jitter) - 1, high = (double)ms * (1 + s->jitter) + 1;
    if (tries == 0 ? delay != 0 : (double)delay < low || (double)delay > high)
        emp_sim_oracle_wrong(o, "job %llu backs off %lld ms after %u tries, base is %lld",
                             (unsigned long long)num, (long long)delay, tries, (long long)ms);
}

static void note_failure(struct emp_sim_oracle *o, uint32_t machine, const struct end *end)
{
    if (end->outcome == EMP_OUTCOME_FAILED || end->outcome == EMP_OUTCOME_TIMEOUT ||
        (end->outcome == EMP_OUTCOME_RETURNED && end->machine_fault))
        o->machines[machine].failures++;
}

static void attempt_ends(struct emp_sim_oracle *o, emp_job_num num, struct emp_sim_oracle_job *j,
                         const struct emp_job_record *r)
{
    struct emp_sim_job_facts *f = &j->live;
    struct end end;
    if (r->state == EMP_JOB_CANCELLED) {
        if (o->event->kind != EMP_EVENT_CANCEL || o->event->job != num)
            emp_sim_oracle_wrong(o, "job %llu is cancelled by nobody", (unsigned long long)num);
        emp_sim_oracle_to_cancel(o, num, f->attempt, f->machine);
        return;
    }
    explain_end(o, num, j, r->attempt.outcome, &end);
    bool counted = counts(o, f, end.outcome);
    f->counted += counted;
    note_failure(o, f->machine, &end);
    bool again = end.again_can_help && f->counted < executions(o, f);
    enum emp_job_state next = end.outcome == EMP_OUTCOME_COMPLETED ? EMP_JOB_COMPLETED
                              : again                              ? EMP_JOB_PENDING
                                                                   : EMP_JOB_FAILED;
    if (r->state != next)
        emp_sim_oracle_wrong(o, "job %llu.%u ended as %s, %u attempts count, and is %s, not %s",
                             (unsigned long long)num, f->attempt, emp_outcome_word(end.outcome),
                             f->counted, emp_job_state_word(r->state), emp_job_state_word(next));
    if (next != EMP_JOB_PENDING)
        return;
    uint32_t tries = counted ? f->counted : end.machine_fault ? f->returns : 0;
    int64_t delay = r->not_before ? r->not_before - o->now.wall : 0;
    check_backoff(o, num, tries, delay);
    j->due_at = o->now.mono + delay;
    o->requeued++;
}

/* ---- a job's changes ---- */

static bool leased(enum emp_job_state s)
{
    return s == EMP_JOB_ASSIGNED || s == EMP_JOB_IN_PROGRESS;
}

static void unchanged(struct emp_sim_oracle *o, const struct emp_sim_job_facts *f,
                      const struct emp_job_record *r)
{
    bool same = f->tag == r->order_tag && f->priority == r->order_priority &&
                f->submitted_at == r->submitted_at && f->counted == r->counted_attempts &&
                f->returns == r->returns && f->losses == r->losses &&
                f->by_hand == r->retried_by_hand;
    if (!same)
        emp_sim_oracle_wrong(
            o,
            "job %llu: place %lld/%g, counted %u, returns %u, losses %u, by hand %u became "
            "%lld/%g, %u, %u, %u, %u",
            (unsigned long long)r->num, (long long)f->tag, f->priority, f->counted, f->returns,
            f->losses, f->by_hand, (long long)r->order_tag, r->order_priority, r->counted_attempts,
            r->returns, r->losses, r->retried_by_hand);
}

/* A key stands for one job. */
static void check_key(struct emp_sim_oracle *o, emp_job_num num, const struct emp_job_spec *spec)
{
    for (emp_job_num other = 1; spec->idempotency_key.len && other <= o->last; other++) {
        const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, other);
        const struct emp_job_spec *s =
            &emp_sim_work_at(o->scene->system.broker, j->live.work)->spec;
        if (j->live.exists && emp_str_eq(s->idempotency_key, spec->idempotency_key) &&
            emp_str_eq(s->customer, spec->customer))
            emp_sim_oracle_wrong(o, "jobs %llu and %llu carry one idempotency key",
                                 (unsigned long long)other, (unsigned long long)num);
    }
}

/* Jobs of one customer and one priority queue behind one another. */
static void check_tag(struct emp_sim_oracle *o, const struct emp_job_record *r,
                      const struct emp_sim_job_facts *f)
{
    enum { LONG_MS = 5000 }; /* shorter ones may share a virtual millisecond */
    const struct emp_job_spec *spec = &emp_sim_work_at(o->scene->system.broker, f->work)->spec;
    for (emp_job_num n = r->num - 1; n >= 1; n--) {
        const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, n);
        const struct emp_job_spec *s =
            &emp_sim_work_at(o->scene->system.broker, j->live.work)->spec;
        if (!j->live.exists || j->life != o->scene->system.broker->starts || s->workflow.len ||
            spec->workflow.len || !emp_str_eq(s->customer, spec->customer) ||
            s->priority != spec->priority ||
            o->scene->plan.kinds[j->live.kind].run_ms_min < LONG_MS)
            continue;
        if (f->tag <= j->live.tag)
            emp_sim_oracle_wrong(o, "job %llu stands at %lld, its customer's job %llu at %lld",
                                 (unsigned long long)r->num, (long long)f->tag,
                                 (unsigned long long)n, (long long)j->live.tag);
        return;
    }
}

static void job_new(struct emp_sim_oracle *o, struct emp_sim_oracle_job *j,
                    const struct emp_change_job *c)
{
    const struct emp_job_record *r = &c->record;
    const struct emp_sim_work *w = emp_sim_work_at(o->scene->system.broker, (uint32_t)c->body);
    if (o->event->kind != EMP_EVENT_SUBMIT || r->num != o->last + 1 || r->attempt.number ||
        r->state != EMP_JOB_PENDING || r->counted_attempts || o->event->submit.body != c->body)
        emp_sim_oracle_wrong(o, "job %llu appears from nowhere", (unsigned long long)r->num);
    if (o->pending >= o->scene->plan.core.pending_max)
        emp_sim_oracle_wrong(o, "job %llu is taken although %llu are pending",
                             (unsigned long long)r->num, (unsigned long long)o->pending);
    check_key(o, r->num, &w->spec);
    o->last = r->num;
    *j = (struct emp_sim_oracle_job){.life = o->scene->system.broker->starts};
    j->live = (struct emp_sim_job_facts){.exists = true,
                                         .work = (uint32_t)c->body,
                                         .kind = w->kind,
                                         .state = EMP_JOB_PENDING,
                                         .machine = EMP_SIM_NOBODY,
                                         .tag = r->order_tag,
                                         .priority = r->order_priority,
                                         .submitted_at = r->submitted_at};
    j->due_at = j->arrived_at = o->now.mono;
    o->pending++;
    check_tag(o, r, &j->live);
}

static void job_retried(struct emp_sim_oracle *o, struct emp_sim_oracle_job *j,
                        const struct emp_job_record *r)
{
    if (o->event->kind != EMP_EVENT_RETRY || o->event->retry.record->num != r->num ||
        r->state != EMP_JOB_PENDING || j->live.state == EMP_JOB_COMPLETED)
        emp_sim_oracle_wrong(o, "job %llu was %s and is %s", (unsigned long long)r->num,
                             emp_job_state_word(j->live.state), emp_job_state_word(r->state));
    j->live.counted = j->live.returns = j->live.losses = 0;
    j->live.by_hand++;
    j->ends = 0;
    j->due_at = o->now.mono;
    emp_sim_oracle_arrived(o, j);
    o->pending++;
}

static void job_assigned(struct emp_sim_oracle *o, struct emp_sim_oracle_job *j,
                         const struct emp_job_record *r)
{
    struct emp_sim_job_facts *f = &j->live;
    uint32_t n = emp_sim_agent_number(&o->scene->system, r->attempt.machine);
    struct emp_sim_oracle_machine *m = &o->machines[n < EMP_SIM_MACHINES_MAX ? n : 0];
    unsigned long long num = r->num;
    if (n >= EMP_SIM_MACHINES_MAX || m->link == 0)
        emp_sim_oracle_wrong(o, "job %llu is assigned to a machine that is not connected", num);
    if (m->leaving || m->drained)
        emp_sim_oracle_wrong(o, "job %llu is assigned to m%u, which takes nothing new", num, n);
    if (++m->leases > m->facts->slots)
        emp_sim_oracle_wrong(o, "m%u has %u slots and is given a job more", n, m->facts->slots);
    if (!emp_sim_oracle_meets(o, f->kind, n) || !emp_sim_oracle_can_hold(o, f->kind, n))
        emp_sim_oracle_wrong(o, "job %llu is assigned to m%u, which does not meet what it asks",
                             num, n);
    if (r->attempt.number != f->attempt + 1)
        emp_sim_oracle_wrong(o, "job %llu: attempt %u follows %u", num, r->attempt.number,
                             f->attempt);
    if (o->now.mono < j->due_at)
        emp_sim_oracle_wrong(o, "job %llu is assigned before its back-off has passed", num);
    for (uint32_t i = 0; i < o->scene->plan.kinds[f->kind].spec.model_count; i++)
        m->copies |= 1u << o->scene->plan.kinds[f->kind].models[i];
    f->machine = n;
    f->attempt = r->attempt.number;
    emp_sim_oracle_assigned(o, r->num, n);
}

static void job_started(struct emp_sim_oracle *o, struct emp_sim_oracle_job *j,
                        const struct emp_job_record *r)
{
    const struct emp_message *m = message_from(o, j->live.machine);
    const struct emp_message_hello *h = emp_sim_oracle_hello(o, j->live.machine);
    bool said = m && m->kind == EMP_MESSAGE_STARTED && m->started.job == r->num &&
                m->started.attempt == j->live.attempt;
    for (uint32_t i = 0; h && i < h->held_count; i++)
        said |= h->held[i].job == r->num && h->held[i].attempt == j->live.attempt &&
                h->held[i].started;
    if (!said)
        emp_sim_oracle_wrong(o, "job %llu.%u has started, says nobody", (unsigned long long)r->num,
                             j->live.attempt);
    j->started_at = o->now.mono;
    j->restored = false;
}

static void job_completed(struct emp_sim_oracle *o, struct emp_sim_oracle_job *j,
                          const struct emp_change_job *c)
{
    const struct emp_sim_oracle_attempt *a =
        emp_sim_oracle_attempt(o, c->record.num, j->live.attempt, false);
    if (c->result != (c->record.num << 24 | j->live.attempt))
        emp_sim_oracle_wrong(o, "job %llu.%u is completed with the result of %llu.%llu",
                             (unsigned long long)c->record.num, j->live.attempt,
                             (unsigned long long)c->result >> 24,
                             (unsigned long long)c->result & 0xffffff);
    if (a == NULL || !a->completed || a->machine != j->live.machine)
        emp_sim_oracle_wrong(o, "job %llu.%u is completed, but did not complete on m%u",
                             (unsigned long long)c->record.num, j->live.attempt, j->live.machine);
    j->live.result = c->result;
}

static void on_job(struct emp_sim_oracle *o, const struct emp_change_job *c)
{
    const struct emp_job_record *r = &c->record;
    struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, r->num);
    enum emp_job_state before = j->live.state;
    if (c->spec) {
        job_new(o, j, c);
        return;
    }
    if (!j->live.exists) {
        emp_sim_oracle_wrong(o, "job %llu is changed and was never taken",
                             (unsigned long long)r->num);
        return;
    }
    if (leased(before) && leased(r->state) && r->attempt.number != j->live.attempt)
        emp_sim_oracle_wrong(o, "job %llu changes its attempt while one is current",
                             (unsigned long long)r->num);
    if (emp_job_state_terminal(before))
        job_retried(o, j, r);
    else if (leased(before) && !leased(r->state))
        attempt_ends(o, r->num, j, r);
    else if (before == EMP_JOB_PENDING && r->state == EMP_JOB_ASSIGNED)
        job_assigned(o, j, r);
    else if (before == EMP_JOB_ASSIGNED && r->state == EMP_JOB_IN_PROGRESS)
        job_started(o, j, r);
    else if (before == EMP_JOB_PENDING && r->state == EMP_JOB_CANCELLED) {
        if (o->event->kind != EMP_EVENT_CANCEL || o->event->job != r->num)
            emp_sim_oracle_wrong(o, "job %llu is cancelled by nobody", (unsigned long long)r->num);
    } else if (before != r->state)
        emp_sim_oracle_wrong(o, "job %llu was %s and is %s", (unsigned long long)r->num,
                             emp_job_state_word(before), emp_job_state_word(r->state));
    if (r->state == EMP_JOB_COMPLETED)
        job_completed(o, j, c);
    if (leased(before) && !leased(r->state)) {
        o->machines[j->live.machine].leases--;
        j->live.machine = EMP_SIM_NOBODY;
    }
    if (r->state != EMP_JOB_PENDING && before == EMP_JOB_PENDING)
        o->pending--;
    if (r->state == EMP_JOB_PENDING && leased(before))
        o->pending++;
    j->live.state = r->state;
    if (r->state == EMP_JOB_PENDING || emp_job_state_terminal(r->state))
        j->idle_since = 0;
    unchanged(o, &j->live, r);
}

/* ---- other actions ---- */

static void on_persist(struct emp_sim_oracle *o, const struct emp_change *c)
{
    uint32_t m;
    if (c->kind == EMP_CHANGE_JOB) {
        on_job(o, &c->job);
    } else if (c->kind == EMP_CHANGE_MACHINE) {
        m = emp_sim_agent_number(&o->scene->system, c->machine.facts.id);
        if (m < EMP_SIM_MACHINES_MAX)
            o->machines[m].drained = c->machine.drained;
    } else if (c->kind == EMP_CHANGE_MACHINE_FORGOTTEN) {
        m = emp_sim_agent_number(&o->scene->system, c->machine_forgotten);
        o->machines[m].known = o->machines[m].drained = false;
        o->machines[m].boot[0] = '\0';
        o->machines[m].failures = 0;
    }
}

static void leave_link(struct emp_sim_oracle *o, uint32_t machine, int64_t grace_ms)
{
    struct emp_sim_oracle_machine *m = &o->machines[machine];
    const struct emp_settings_lease *l = &o->scene->plan.core.lease;
    emp_mono_ms closed = o->now.mono + grace_ms, silent = m->heard_at + l->silent_ms + l->beat_ms;
    m->link = 0;
    m->leaving = false;
    m->lose_at = closed < silent ? closed : silent > o->now.mono ? silent : o->now.mono;
}

static void on_welcome(struct emp_sim_oracle *o, emp_link link)
{
    for (uint32_t i = 0; i < o->scene->plan.machine_count; i++) {
        const struct emp_message_hello *h = emp_sim_oracle_hello(o, i);
        struct emp_sim_oracle_machine *m = &o->machines[i];
        if (h == NULL)
            continue;
        m->known = true;
        m->link = link;
        m->leaving = h->draining;
        m->heard_at = o->now.mono;
        m->lose_at = EMP_NEVER;
        m->copies = 0;
        for (uint32_t k = 0; k < h->copy_count; k++)
            m->copies |= 1u << emp_sim_model_find(&o->scene->system, h->copies[k].model);
        snprintf(m->boot, sizeof m->boot, "%.*s", EMP_STR_FMT(h->facts.boot));
    }
}

/* A machine that nothing has disturbed is heard every two seconds: it cannot be silent. */
static void check_silence(struct emp_sim_oracle *o, uint32_t machine)
{
    const struct emp_sim_plan *p = &o->scene->plan;
    const struct emp_sim_oracle_machine *m = &o->machines[machine];
    bool quick = p->network.delay_ms_max < 1000 && p->network.lost + p->network.swapped == 0;
    if (o->event->kind != EMP_EVENT_TICK || !quick)
        return;
    if (o->scene->system.world.now - m->trouble_at > HEALTHY_MS)
        emp_sim_oracle_wrong(o, "m%u is well, and is taken for silent", machine);
}

static void on_close(struct emp_sim_oracle *o, emp_link link)
{
    uint32_t m = machine_of_link(o, link);
    if (m == EMP_SIM_NOBODY)
        return;
    check_silence(o, m);
    bool spoke = emp_sim_oracle_hello(o, m) ||
                 (o->event->kind == EMP_EVENT_MESSAGE && o->event->message.link == link);
    leave_link(o, m, spoke ? o->scene->plan.core.lease.closed_ms : 0);
}

static void on_send(struct emp_sim_oracle *o, const struct emp_action *a)
{
    const struct emp_message *m = &a->send.message;
    if (m->kind == EMP_MESSAGE_WELCOME) {
        on_welcome(o, a->send.link);
    } else if (m->kind == EMP_MESSAGE_ASSIGN) {
        const struct emp_sim_oracle_job *j = emp_sim_oracle_job(o, m->assign.job);
        uint32_t to = machine_of_link(o, a->send.link);
        if (j->live.state != EMP_JOB_ASSIGNED || j->live.attempt != m->assign.attempt ||
            j->live.machine != to)
            emp_sim_oracle_wrong(o, "an assignment of %llu.%u leaves for m%u, which has no lease",
                                 (unsigned long long)m->assign.job, m->assign.attempt, to);
    } else if (m->kind == EMP_MESSAGE_CANCEL && o->cancelled_count < EMP_SIM_ASSIGNED_MAX) {
        o->cancelled_here[o->cancelled_count++] = (struct emp_sim_oracle_cancel){
            m->lease.job, m->lease.attempt, machine_of_link(o, a->send.link)};
    }
}

static void on_reply(struct emp_sim_oracle *o, const struct emp_reply *r)
{
    uint64_t max = o->scene->plan.core.pending_max;
    if (o->event->kind != EMP_EVENT_SUBMIT)
        return;
    o->refused += r->code != 0;
    if (r->code == EMP_E_QUEUE_FULL && o->pending < max)
        emp_sim_oracle_wrong(o, "refused as full with %llu of %llu pending",
                             (unsigned long long)o->pending, (unsigned long long)max);
    if (r->code == 0 && !r->duplicate && r->job != o->last)
        emp_sim_oracle_wrong(o, "a submission is answered with job %llu, it became %llu",
                             (unsigned long long)r->job, (unsigned long long)o->last);
}

/* What messages say of machines, where no action shows it. */
static void take_note(struct emp_sim_oracle *o, const struct emp_event *e)
{
    uint32_t i;
    if (e->kind == EMP_EVENT_LINK_CLOSED && (i = machine_of_link(o, e->link)) != EMP_SIM_NOBODY)
        leave_link(o, i, o->scene->plan.core.lease.closed_ms);
    if (e->kind != EMP_EVENT_MESSAGE || (i = machine_of_link(o, e->message.link)) == EMP_SIM_NOBODY)
        return;
    const struct emp_message *m = e->message.message;
    if (m->kind == EMP_MESSAGE_GOODBYE)
        o->machines[i].leaving = true;
    for (uint32_t k = 0; m->kind == EMP_MESSAGE_COPIES && k < m->copies.copy_count; k++) {
        uint32_t bit = 1u << emp_sim_model_find(&o->scene->system, m->copies.copies[k].model);
        if (m->copies.copies[k].residency == EMP_RESIDENCY_NONE)
            o->machines[i].copies &= ~bit;
        else
            o->machines[i].copies |= bit;
    }
}

/* ---- the step ---- */

void emp_sim_oracle_core_stepped(void *ctx, const struct emp_event *e,
                                 const struct emp_action *actions, size_t count)
{
    struct emp_sim_oracle *o = ctx;
    take_note(o, e);
    for (size_t i = 0; i < count; i++) {
        const struct emp_action *a = &actions[i];
        if (a->kind == EMP_ACTION_PERSIST)
            on_persist(o, &a->change);
        else if (a->kind == EMP_ACTION_SEND)
            on_send(o, a);
        else if (a->kind == EMP_ACTION_CLOSE)
            on_close(o, a->close.link);
        else if (a->kind == EMP_ACTION_REPLY)
            on_reply(o, &a->reply.reply);
    }
    emp_sim_oracle_core_after(o);
    emp_sim_oracle_queue_check(o);
}

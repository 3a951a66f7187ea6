#include "sim/copy.h"

#include "domain/copy.h"

/* ---- messages ---- */

static struct emp_copy *copies_copy(struct emp_arena *a, const struct emp_copy *from, uint32_t n)
{
    struct emp_copy *to = emp_arena_array(a, struct emp_copy, n);
    for (uint32_t i = 0; i < n; i++) {
        to[i] = from[i];
        to[i].model = emp_str_copy(a, from[i].model);
    }
    return to;
}

static void hello(struct emp_arena *a, struct emp_message *m)
{
    struct emp_message_hello *h = &m->hello;
    struct emp_machine_facts facts = h->facts;
    emp_facts_copy(a, &facts, &h->facts);
    h->copies = copies_copy(a, h->copies, h->copy_count);
    if (h->held_count)
        h->held = emp_arena_dup(a, h->held, h->held_count * sizeof *h->held);
}

static void progress(struct emp_arena *a, struct emp_message *m)
{
    m->progress.text = emp_str_copy(a, m->progress.text);
}

static void finished(struct emp_arena *a, struct emp_message *m)
{
    struct emp_message_finished *f = &m->finished;
    const struct emp_output *from = f->outputs;
    f->result = emp_str_copy(a, f->result);
    f->error = emp_str_copy(a, f->error);
    f->outputs = emp_arena_array(a, struct emp_output, f->output_count);
    for (uint32_t i = 0; i < f->output_count; i++) {
        f->outputs[i] = from[i];
        f->outputs[i].name = emp_str_copy(a, from[i].name);
        f->outputs[i].type = emp_str_copy(a, from[i].type);
    }
}

static void copies(struct emp_arena *a, struct emp_message *m)
{
    m->copies.copies = copies_copy(a, m->copies.copies, m->copies.copy_count);
}

static void goodbye(struct emp_arena *a, struct emp_message *m)
{
    m->goodbye.reason = emp_str_copy(a, m->goodbye.reason);
}

static void welcome(struct emp_arena *a, struct emp_message *m)
{
    m->welcome.pool = emp_str_copy(a, m->welcome.pool);
}

static void refused(struct emp_arena *a, struct emp_message *m)
{
    m->refused.reason = emp_str_copy(a, m->refused.reason);
}

static void assign(struct emp_arena *a, struct emp_message *m)
{
    struct emp_message_assign *x = &m->assign;
    const struct emp_model *from = x->models;
    x->job_id = emp_str_copy(a, x->job_id);
    x->service = emp_str_copy(a, x->service);
    x->customer = emp_str_copy(a, x->customer);
    x->payload = emp_str_copy(a, x->payload);
    x->models = emp_arena_array(a, struct emp_model, x->model_count);
    for (uint32_t i = 0; i < x->model_count; i++)
        emp_model_copy(a, &from[i], &x->models[i]);
}

static void lease(struct emp_arena *a, struct emp_message *m)
{
    m->lease.reason = emp_str_copy(a, m->lease.reason);
}

static void worth(struct emp_arena *a, struct emp_message *m)
{
    const struct emp_worth *from = m->worth.worths;
    m->worth.worths = emp_arena_array(a, struct emp_worth, m->worth.worth_count);
    for (uint32_t i = 0; i < m->worth.worth_count; i++) {
        m->worth.worths[i] = from[i];
        m->worth.worths[i].model = emp_str_copy(a, from[i].model);
    }
}

static void plan(struct emp_arena *a, struct emp_message *m)
{
    const struct emp_planned *from = m->plan.planned;
    m->plan.planned = emp_arena_array(a, struct emp_planned, m->plan.planned_count);
    for (uint32_t i = 0; i < m->plan.planned_count; i++) {
        m->plan.planned[i] = from[i];
        emp_model_copy(a, &from[i].model, &m->plan.planned[i].model);
    }
}

void emp_sim_message_copy(struct emp_arena *a, const struct emp_message *from,
                          struct emp_message *to)
{
    static void (*const deepen[EMP_MESSAGE_COUNT])(struct emp_arena *, struct emp_message *) = {
        [EMP_MESSAGE_HELLO] = hello,        [EMP_MESSAGE_PROGRESS] = progress,
        [EMP_MESSAGE_COMPLETED] = finished, [EMP_MESSAGE_FAILED] = finished,
        [EMP_MESSAGE_RETURNED] = finished,  [EMP_MESSAGE_COPIES] = copies,
        [EMP_MESSAGE_GOODBYE] = goodbye,    [EMP_MESSAGE_WELCOME] = welcome,
        [EMP_MESSAGE_REFUSED] = refused,    [EMP_MESSAGE_ASSIGN] = assign,
        [EMP_MESSAGE_CANCEL] = lease,       [EMP_MESSAGE_ACK] = lease,
        [EMP_MESSAGE_DRAIN] = lease,        [EMP_MESSAGE_WORTH] = worth,
        [EMP_MESSAGE_PLAN] = plan,
    };
    *to = *from;
    if (deepen[from->kind])
        deepen[from->kind](a, to);
}

/* ---- changes ---- */

void emp_sim_spec_copy(struct emp_arena *a, const struct emp_job_spec *from,
                       struct emp_job_spec *to)
{
    *to = *from;
    to->service = emp_str_copy(a, from->service);
    to->customer = emp_str_copy(a, from->customer);
    to->workflow = emp_str_copy(a, from->workflow);
    to->pool = emp_str_copy(a, from->pool);
    to->specialty = emp_str_copy(a, from->specialty);
    to->region = emp_str_copy(a, from->region);
    to->idempotency_key = emp_str_copy(a, from->idempotency_key);
    to->models = emp_strs_copy(a, from->models, from->model_count);
    to->custom_nodes = emp_strs_copy(a, from->custom_nodes, from->node_count);
    to->compliance = emp_strs_copy(a, from->compliance, from->compliance_count);
    to->requirements = emp_arena_array(a, struct emp_requirement, from->requirement_count);
    for (uint32_t i = 0; i < from->requirement_count; i++) {
        to->requirements[i] = from->requirements[i];
        to->requirements[i].path = emp_str_copy(a, from->requirements[i].path);
        to->requirements[i].text = emp_str_copy(a, from->requirements[i].text);
    }
}

static void attempt_deepen(struct emp_arena *a, struct emp_attempt *t)
{
    t->machine = emp_str_copy(a, t->machine);
    t->pool = emp_str_copy(a, t->pool);
    t->error = emp_str_copy(a, t->error);
}

static void job_deepen(struct emp_arena *a, struct emp_change_job *j)
{
    struct emp_decision *d = &j->record.decision;
    attempt_deepen(a, &j->record.attempt);
    j->record.error = emp_str_copy(a, j->record.error);
    d->pool = emp_str_copy(a, d->pool);
    for (uint32_t i = 0; i < d->count; i++) {
        d->candidates[i].machine = emp_str_copy(a, d->candidates[i].machine);
        d->candidates[i].pool = emp_str_copy(a, d->candidates[i].pool);
    }
    if (j->spec) {
        struct emp_job_spec *spec = emp_arena_new(a, struct emp_job_spec);
        emp_sim_spec_copy(a, j->spec, spec);
        j->spec = spec;
    }
}

void emp_sim_change_copy(struct emp_arena *a, const struct emp_change *from, struct emp_change *to)
{
    *to = *from;
    switch (from->kind) {
    case EMP_CHANGE_JOB:
        job_deepen(a, &to->job);
        break;
    case EMP_CHANGE_ATTEMPT:
        attempt_deepen(a, &to->attempt.attempt);
        break;
    case EMP_CHANGE_MACHINE:
        emp_facts_copy(a, &from->machine.facts, &to->machine.facts);
        break;
    case EMP_CHANGE_MACHINE_FORGOTTEN:
        to->machine_forgotten = emp_str_copy(a, from->machine_forgotten);
        break;
    case EMP_CHANGE_MODEL:
        emp_model_copy(a, &from->model, &to->model);
        break;
    case EMP_CHANGE_MODEL_REMOVED:
        to->model_removed = emp_str_copy(a, from->model_removed);
        break;
    case EMP_CHANGE_LEARNED:
        to->learned.key = emp_str_copy(a, from->learned.key);
        if (from->learned.length)
            to->learned.bytes = emp_arena_dup(a, from->learned.bytes, from->learned.length);
        break;
    }
}

#include "sim/copy.h"

static struct emp_str str(struct emp_arena *a, struct emp_str s)
{
    return s.len ? emp_str_copy(a, s) : (struct emp_str){0};
}

static struct emp_str *strs(struct emp_arena *a, const struct emp_str *s, uint32_t n)
{
    if (n == 0)
        return NULL;
    struct emp_str *to = emp_arena_array(a, struct emp_str, n);
    for (uint32_t i = 0; i < n; i++)
        to[i] = str(a, s[i]);
    return to;
}

void emp_sim_model_copy(struct emp_arena *a, const struct emp_model *from, struct emp_model *to)
{
    *to = *from;
    to->name = str(a, from->name);
    to->kind = str(a, from->kind);
    to->category = str(a, from->category);
    to->path = str(a, from->path);
    to->owner = str(a, from->owner);
    to->urls = strs(a, from->urls, from->url_count);
}

static void facts_copy(struct emp_arena *a, const struct emp_machine_facts *from,
                       struct emp_machine_facts *to)
{
    *to = *from;
    to->id = str(a, from->id);
    to->boot = str(a, from->boot);
    to->version = str(a, from->version);
    to->pool = str(a, from->pool);
    to->region = str(a, from->region);
    to->provider = str(a, from->provider);
    to->services = strs(a, from->services, from->service_count);
    to->specialties = strs(a, from->specialties, from->specialty_count);
    to->compliance = strs(a, from->compliance, from->compliance_count);
    to->custom_nodes = strs(a, from->custom_nodes, from->node_count);
    to->allowed_customers = strs(a, from->allowed_customers, from->allowed_count);
    to->denied_customers = strs(a, from->denied_customers, from->denied_count);
    to->caps = emp_arena_array(a, struct emp_capability, from->cap_count);
    for (uint32_t i = 0; i < from->cap_count; i++) {
        to->caps[i] = from->caps[i];
        to->caps[i].path = str(a, from->caps[i].path);
        to->caps[i].text = str(a, from->caps[i].text);
    }
    to->gpus = emp_arena_array(a, struct emp_gpu, from->gpu_count);
    for (uint32_t i = 0; i < from->gpu_count; i++) {
        to->gpus[i] = from->gpus[i];
        to->gpus[i].model = str(a, from->gpus[i].model);
    }
}

/* ---- messages ---- */

static struct emp_copy *copies_copy(struct emp_arena *a, const struct emp_copy *from, uint32_t n)
{
    struct emp_copy *to = emp_arena_array(a, struct emp_copy, n);
    for (uint32_t i = 0; i < n; i++) {
        to[i] = from[i];
        to[i].model = str(a, from[i].model);
    }
    return to;
}

static void hello(struct emp_arena *a, struct emp_message *m)
{
    struct emp_message_hello *h = &m->hello;
    struct emp_machine_facts facts = h->facts;
    facts_copy(a, &facts, &h->facts);
    h->copies = copies_copy(a, h->copies, h->copy_count);
    if (h->held_count)
        h->held = emp_arena_dup(a, h->held, h->held_count * sizeof *h->held);
}

static void progress(struct emp_arena *a, struct emp_message *m)
{
    m->progress.text = str(a, m->progress.text);
}

static void finished(struct emp_arena *a, struct emp_message *m)
{
    struct emp_message_finished *f = &m->finished;
    const struct emp_output *from = f->outputs;
    f->result = str(a, f->result);
    f->error = str(a, f->error);
    f->outputs = emp_arena_array(a, struct emp_output, f->output_count);
    for (uint32_t i = 0; i < f->output_count; i++) {
        f->outputs[i] = from[i];
        f->outputs[i].name = str(a, from[i].name);
        f->outputs[i].type = str(a, from[i].type);
    }
}

static void copies(struct emp_arena *a, struct emp_message *m)
{
    m->copies.copies = copies_copy(a, m->copies.copies, m->copies.copy_count);
}

static void goodbye(struct emp_arena *a, struct emp_message *m)
{
    m->goodbye.reason = str(a, m->goodbye.reason);
}

static void welcome(struct emp_arena *a, struct emp_message *m)
{
    m->welcome.pool = str(a, m->welcome.pool);
}

static void refused(struct emp_arena *a, struct emp_message *m)
{
    m->refused.reason = str(a, m->refused.reason);
}

static void assign(struct emp_arena *a, struct emp_message *m)
{
    struct emp_message_assign *x = &m->assign;
    const struct emp_model *from = x->models;
    x->job_id = str(a, x->job_id);
    x->service = str(a, x->service);
    x->customer = str(a, x->customer);
    x->payload = str(a, x->payload);
    x->models = emp_arena_array(a, struct emp_model, x->model_count);
    for (uint32_t i = 0; i < x->model_count; i++)
        emp_sim_model_copy(a, &from[i], &x->models[i]);
}

static void lease(struct emp_arena *a, struct emp_message *m)
{
    m->lease.reason = str(a, m->lease.reason);
}

static void worth(struct emp_arena *a, struct emp_message *m)
{
    const struct emp_worth *from = m->worth.worths;
    m->worth.worths = emp_arena_array(a, struct emp_worth, m->worth.worth_count);
    for (uint32_t i = 0; i < m->worth.worth_count; i++) {
        m->worth.worths[i] = from[i];
        m->worth.worths[i].model = str(a, from[i].model);
    }
}

static void plan(struct emp_arena *a, struct emp_message *m)
{
    const struct emp_planned *from = m->plan.planned;
    m->plan.planned = emp_arena_array(a, struct emp_planned, m->plan.planned_count);
    for (uint32_t i = 0; i < m->plan.planned_count; i++) {
        m->plan.planned[i] = from[i];
        emp_sim_model_copy(a, &from[i].model, &m->plan.planned[i].model);
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
    to->service = str(a, from->service);
    to->customer = str(a, from->customer);
    to->workflow = str(a, from->workflow);
    to->pool = str(a, from->pool);
    to->specialty = str(a, from->specialty);
    to->region = str(a, from->region);
    to->idempotency_key = str(a, from->idempotency_key);
    to->models = strs(a, from->models, from->model_count);
    to->custom_nodes = strs(a, from->custom_nodes, from->node_count);
    to->compliance = strs(a, from->compliance, from->compliance_count);
    to->requirements = emp_arena_array(a, struct emp_requirement, from->requirement_count);
    for (uint32_t i = 0; i < from->requirement_count; i++) {
        to->requirements[i] = from->requirements[i];
        to->requirements[i].path = str(a, from->requirements[i].path);
        to->requirements[i].text = str(a, from->requirements[i].text);
    }
}

static void attempt_deepen(struct emp_arena *a, struct emp_attempt *t)
{
    t->machine = str(a, t->machine);
    t->pool = str(a, t->pool);
    t->error = str(a, t->error);
}

static void job_deepen(struct emp_arena *a, struct emp_change_job *j)
{
    struct emp_decision *d = &j->record.decision;
    attempt_deepen(a, &j->record.attempt);
    j->record.error = str(a, j->record.error);
    d->pool = str(a, d->pool);
    for (uint32_t i = 0; i < d->count; i++) {
        d->candidates[i].machine = str(a, d->candidates[i].machine);
        d->candidates[i].pool = str(a, d->candidates[i].pool);
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
        facts_copy(a, &from->machine.facts, &to->machine.facts);
        break;
    case EMP_CHANGE_MACHINE_FORGOTTEN:
        to->machine_forgotten = str(a, from->machine_forgotten);
        break;
    case EMP_CHANGE_MODEL:
        emp_sim_model_copy(a, &from->model, &to->model);
        break;
    case EMP_CHANGE_MODEL_REMOVED:
        to->model_removed = str(a, from->model_removed);
        break;
    case EMP_CHANGE_LEARNED:
        to->learned.key = str(a, from->learned.key);
        if (from->learned.length)
            to->learned.bytes = emp_arena_dup(a, from->learned.bytes, from->learned.length);
        break;
    }
}

/* Taking jobs in: limits, repeated keys, unknown names, the place in the queue. */
#include "core/internal.h"

#include <math.h>

uint64_t emp_core_idempotency_hash(struct emp_str customer, struct emp_str key)
{
    uint64_t h = emp_mix64(emp_str_hash(customer) + 0x9e3779b97f4a7c15ULL) ^ emp_str_hash(key);
    return h ? h : 1;
}

/* The first job of this key if it is among the recent ones. */
static struct idempotency_entry *key_seen(struct emp_core *c, const struct emp_job_spec *s)
{
    uint32_t at;
    if (s->idempotency_key.len == 0 ||
        !emp_map_get(&c->recent_key_index,
                     emp_core_idempotency_hash(s->customer, s->idempotency_key), &at))
        return NULL;
    return &c->recent_keys[at];
}

static void key_remember(struct emp_core *c, const struct emp_job_spec *s, emp_job_num job)
{
    if (s->idempotency_key.len == 0)
        return;
    struct idempotency_entry *e = &c->recent_keys[c->recent_key_next];
    if (e->key)
        emp_map_del(&c->recent_key_index, e->key);
    e->key = emp_core_idempotency_hash(s->customer, s->idempotency_key);
    e->body_hash = s->body_hash;
    e->job = job;
    emp_map_put(&c->recent_key_index, e->key, c->recent_key_next);
    c->recent_key_next = (c->recent_key_next + 1) % IDEMPOTENCY_RECENT;
}

/* The nearest catalogue names, ", " between, for an error text. */
static const char *nearest_names(struct emp_core *c, struct emp_str name)
{
    struct emp_str best[3] = {0};
    unsigned dist[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    unsigned far = name.len / 2 + 2;
    for (size_t i = 0; i < c->model_count; i++) {
        struct emp_str other = emp_core_name(c, c->model_order[i]);
        unsigned d = emp_str_distance(name, other, far);
        if (d > far || d >= dist[2])
            continue;
        int at = d < dist[0] ? 0 : d < dist[1] ? 1 : 2;
        for (int k = 2; k > at; k--) {
            best[k] = best[k - 1];
            dist[k] = dist[k - 1];
        }
        best[at] = other;
        dist[at] = d;
    }
    if (best[0].len == 0)
        return "";
    char *text = emp_arena_printf(&c->scratch, "; did you mean \"%.*s\"", EMP_STR_FMT(best[0]));
    for (int k = 1; k < 3 && best[k].len; k++)
        text = emp_arena_printf(&c->scratch, "%s, \"%.*s\"", text, EMP_STR_FMT(best[k]));
    return emp_arena_printf(&c->scratch, "%s?", text);
}

static bool model_known(struct emp_core *c, struct emp_str name, struct emp_str customer)
{
    uint32_t id = emp_intern_find(&c->names, name);
    const struct model_entry *e = id && id < c->model_cap ? c->models[id] : NULL;
    if (e == NULL || (!e->catalogued && e->holders == 0))
        return false;
    return e->model.owner.len == 0 || emp_str_eq(e->model.owner, customer);
}

static int check_models(struct emp_core *c, const struct emp_job_spec *s, struct emp_error *err)
{
    for (uint32_t i = 0; i < s->model_count; i++)
        if (!model_known(c, s->models[i], s->customer))
            return emp_fail(err, EMP_E_UNKNOWN_MODEL, "models",
                            "model \"%.*s\" is not in the catalogue%s", EMP_STR_FMT(s->models[i]),
                            nearest_names(c, s->models[i]));
    return 0;
}

/* The first eight are named. */
static int check_pool(struct emp_core *c, const struct emp_job_spec *s, struct emp_error *err)
{
    const struct emp_settings *set = c->settings;
    if (s->wait || s->pool.len == 0 || emp_pool_find(set, s->pool) != EMP_POOL_NONE)
        return 0;
    const char *names = "";
    for (uint32_t i = 0; i < set->pool_count && i < 8; i++)
        names = emp_arena_printf(&c->scratch, "%s%s\"%.*s\"", names, i ? ", " : "",
                                 EMP_STR_FMT(set->pools[i].name));
    return emp_fail(err, EMP_E_UNRUNNABLE, "pool",
                    "pool \"%.*s\" is not configured; there are %s%s", EMP_STR_FMT(s->pool), names,
                    set->pool_count > 8 ? ", …" : "");
}

static int check(struct emp_core *c, const struct emp_job_spec *s, struct emp_error *err)
{
    if (c->stats.pending >= c->settings->pending_max)
        return emp_fail(err, EMP_E_QUEUE_FULL, NULL,
                        "%llu jobs are pending, the limit is %llu: try again later",
                        (unsigned long long)c->stats.pending,
                        (unsigned long long)c->settings->pending_max);
    int r = check_models(c, s, err);
    if (r == 0)
        r = check_pool(c, s, err);
    if (r < 0)
        return r;
    struct class *k = emp_class_get(c, s);
    struct emp_error why;
    if (s->wait || emp_class_runnable(c, k, &why))
        return 0;
    emp_class_unuse(c, k);
    *err = why;
    return err->code;
}

static struct workflow_place *workflow_find(struct emp_core *c, struct emp_str name)
{
    uint32_t at;
    return name.len && emp_map_get(&c->workflow_by_name, emp_mix64(emp_str_hash(name)) | 1, &at)
               ? &c->workflows[at]
               : NULL;
}

/* The fair share of a job's workflow begins where its first step stands, and goes on from there as
 * a flow does: later steps keep the place, and a flood under one workflow's name stands behind
 * itself. */
static int64_t workflow_advance(struct emp_core *c, struct workflow_place *w, const struct job *j)
{
    return emp_fair_tag(&c->settings->fairness, &w->flow, INT64_MIN, j->tier, j->class->mean_ms,
                        c->slots ? c->slots : 1);
}

static void workflow_remember(struct emp_core *c, struct emp_str name, const struct job *j)
{
    if (name.len == 0)
        return;
    if (c->workflow_count ==
        WORKFLOWS_MAX) { /* start over: an old workflow's later steps then queue like new ones */
        emp_map_init(&c->workflow_by_name, &c->arena);
        c->workflow_count = 0;
    }
    emp_arena_reserve(&c->arena, c->workflows, c->workflow_count, c->workflow_cap);
    struct workflow_place *w = &c->workflows[c->workflow_count];
    *w = (struct workflow_place){.flow.next_tag = j->tag, .priority = j->priority};
    workflow_advance(c, w, j);
    emp_map_put(&c->workflow_by_name, emp_mix64(emp_str_hash(name)) | 1,
                (uint32_t)c->workflow_count++);
}

/* Flows are forgotten all at once when there are too many: everybody then starts at V. Priorities
 * count in whole points, so that nobody gains shares by shades of priority. */
struct emp_flow *emp_core_flow(struct emp_core *c, uint32_t customer, double priority)
{
    uint64_t key = emp_mix64(((uint64_t)customer << 32) +
                             (uint64_t)(EMP_PRIORITY_MAX + lround(priority)) + 1) |
                   1;
    uint32_t at;
    if (emp_map_get(&c->flow_by_key, key, &at))
        return &c->flows[at];
    if (c->flow_count == FLOWS_MAX) {
        emp_map_init(&c->flow_by_key, &c->arena);
        c->flow_count = 0;
    }
    emp_arena_reserve(&c->arena, c->flows, c->flow_count, c->flow_cap);
    emp_map_put(&c->flow_by_key, key, (uint32_t)c->flow_count);
    c->flows[c->flow_count] = (struct emp_flow){0};
    return &c->flows[c->flow_count++];
}

int64_t emp_core_rank(const struct emp_core *c, const struct job *j)
{
    struct emp_settings_fairness strict = {.point_ms = INT64_C(4000000000000)}; /* 126 years */
    return emp_fair_rank(c->policy->strict_order ? &strict : &c->settings->fairness, j->tag,
                         j->priority);
}

/* A job's place: a later step of a workflow stands behind the earlier ones, however long ago they
 * came; workflow_datetime moves a first one back in time as far as it says (a day at most);
 * otherwise its customer's fair share decides, to which every step is charged. */
void emp_core_order(struct emp_core *c, struct job *j, const struct emp_job_spec *s)
{
    if (c->policy->strict_order) {
        j->priority = isnan(s->workflow_priority) ? s->priority : s->workflow_priority;
        j->tag = s->workflow_datetime > 0 ? s->workflow_datetime : c->now.wall;
        j->rank = emp_core_rank(c, j);
        return;
    }
    struct workflow_place *w = workflow_find(c, s->workflow);
    bool given = !isnan(s->workflow_priority);
    j->priority = given ? s->workflow_priority : w ? w->priority : s->priority;
    j->tag = emp_fair_tag(&c->settings->fairness, emp_core_flow(c, j->customer, j->priority),
                          c->virtual_now, j->tier, j->class->mean_ms, c->slots ? c->slots : 1);
    if (w) {
        int64_t kept = workflow_advance(c, w, j);
        j->tag = kept < j->tag ? kept : j->tag;
    } else {
        if (s->workflow_datetime > 0) {
            int64_t ago = c->now.wall - s->workflow_datetime, day = 24 * 3600 * 1000;
            j->tag -= ago < 0 ? 0 : ago > day ? day : ago;
        }
        workflow_remember(c, s->workflow, j);
    }
    j->rank = emp_core_rank(c, j);
}

/* A restored job's workflow goes on behind it. Jobs come in the order of their numbers. */
void emp_core_order_restored(struct emp_core *c, const struct job *j, struct emp_str workflow)
{
    struct workflow_place *w = workflow_find(c, workflow);
    if (w == NULL)
        workflow_remember(c, workflow, j);
    else
        workflow_advance(c, w, j);
}

static void admit(struct emp_core *c, const struct emp_event *e)
{
    const struct emp_job_spec *s = e->submit.spec;
    struct job *j = emp_job_new(c, ++c->last_num, s);
    emp_job_arrived_at(c, j, c->now.wall);
    emp_core_order(c, j, s);
    key_remember(c, s, j->num);
    emp_spare_note(c, j->class);
    c->stats.submitted++;

    struct emp_change_job *change = emp_job_persist(c, j);
    change->spec = s;
    change->body = e->submit.body;
    emp_core_reply(c, e->request, j->num);
    c->submitted = j;
    c->submitted_reply = c->out->count - 1;
    emp_job_notify(c, j, EMP_NOTICE_SUBMITTED);
    emp_plan_note_use(c, j);
    emp_job_wait(c, j, 0);
}

void emp_core_on_submit(struct emp_core *c, const struct emp_event *e)
{
    const struct emp_job_spec *s = e->submit.spec;
    struct emp_error err = {0};
    const struct idempotency_entry *seen = key_seen(c, s);
    if (seen && seen->body_hash == s->body_hash) {
        emp_core_reply(c, e->request, seen->job)->duplicate = true;
        return;
    }
    if (seen)
        emp_fail(&err, EMP_E_KEY_REUSED, "idempotency_key",
                 "key \"%.*s\" was used with another body", EMP_STR_FMT(s->idempotency_key));
    else
        check(c, s, &err);
    if (err.code) {
        c->stats.refused++;
        emp_core_reply_error(c, e->request, &err)->retry_after_ms =
            err.code == EMP_E_QUEUE_FULL ? 5000 : 0;
        return;
    }
    admit(c, e);
}

/* Has this job finished again since the record was read? */
static bool record_is_stale(const struct emp_core *c, const struct emp_job_record *r)
{
    uint32_t at;
    return emp_map_get(&c->finished_index, r->num, &at) && c->finished[at].num == r->num &&
           c->finished[at].attempt != r->attempt.number;
}

void emp_core_on_retry(struct emp_core *c, const struct emp_event *e)
{
    const struct emp_job_record *r = e->retry.record;
    struct emp_error err;
    bool ended = emp_job_state_terminal(r->state); /* as far as the store knew */
    if (!ended || emp_job_find(c, r->num) || !emp_job_move_allowed(r->state, EMP_JOB_PENDING) ||
        record_is_stale(c, r)) {
        emp_fail(&err, EMP_E_CONFLICT, NULL,
                 "only a failed or cancelled job can be retried; this one is %s",
                 emp_job_find(c, r->num) ? "live" : emp_job_state_word(r->state));
        emp_core_reply_error(c, e->request, &err);
        return;
    }
    struct job *j = emp_job_new(c, r->num, e->retry.spec);
    emp_job_arrived_at(c, j, r->submitted_at);
    j->priority = r->order_priority;
    j->tag = r->order_tag;
    j->rank = emp_core_rank(c, j);
    j->attempt = r->attempt.number;
    j->retried_by_hand = r->retried_by_hand + 1;
    if (r->attempt.number) { /* the attempt that ended it becomes one of the earlier ones */
        struct emp_action *a = emp_core_act(c, EMP_ACTION_PERSIST);
        a->change.kind = EMP_CHANGE_ATTEMPT;
        a->change.attempt.job = r->num;
        a->change.attempt.attempt = r->attempt;
        a->change.attempt.attempt.machine = emp_core_keep(c, r->attempt.machine);
        a->change.attempt.attempt.pool = emp_core_keep(c, r->attempt.pool);
        a->change.attempt.attempt.error = emp_core_keep(c, r->attempt.error);
    }
    emp_job_persist(c, j);
    emp_core_reply(c, e->request, j->num);
    emp_job_notify(c, j, EMP_NOTICE_REQUEUED);
    emp_job_wait(c, j, 0);
}

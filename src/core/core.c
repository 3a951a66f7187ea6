/* The step: one table of events, then whatever has become due, then scheduling. See core.h for the
 * contract. */
#include "core/internal.h"

static bool less_head(const void *a, const void *b)
{
    const struct job *x = ((const struct class *)a)->head, *y = ((const struct class *)b)->head;
    return x->rank != y->rank ? x->rank < y->rank : x->num < y->num;
}

static bool less_late(const void *a, const void *b)
{
    return emp_job_is_older(((const struct class *)a)->late, ((const struct class *)b)->late);
}

static bool less_due(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    return x->due != y->due ? x->due < y->due : x->num < y->num;
}

static bool less_deadline(const void *a, const void *b)
{
    const struct machine *x = a, *y = b;
    return x->deadline != y->deadline ? x->deadline < y->deadline : x->number < y->number;
}

static void init_tables(struct emp_core *c)
{
    struct emp_arena *a = &c->arena;
    emp_slab_init(&c->jobs, a, sizeof(struct job));
    emp_slab_init(&c->decisions, a, sizeof(struct emp_decision));
    emp_slab_init(&c->progresses, a, sizeof(struct progress));
    emp_slab_init(&c->classes, a, sizeof(struct class));
    emp_slab_init(&c->machines, a, sizeof(struct machine));
    emp_slab_init(&c->estimates, a, sizeof(struct estimate_entry));
    struct emp_map *maps[] = {&c->job_by_num,       &c->class_by_hash,   &c->machine_by_name,
                              &c->machine_by_link,  &c->estimate_by_key, &c->workflow_by_name,
                              &c->recent_key_index, &c->finished_index,  &c->flow_by_key,
                              &c->model_by_path,    &c->kind_by_name,    &c->watch[0].by_key,
                              &c->watch[1].by_key};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
        emp_map_init(maps[i], a);
    emp_heap_init(&c->ready, a, less_head, offsetof(struct class, ready_place));
    emp_heap_init(&c->late, a, less_late, offsetof(struct class, late_place));
    emp_heap_init(&c->timers, a, less_due, offsetof(struct job, timer_place));
    emp_heap_init(&c->deadlines, a, less_deadline, offsetof(struct machine, deadline_place));
}

struct emp_core *emp_core_new(const struct emp_settings *settings, const struct emp_policy *policy,
                              uint64_t seed)
{
    struct emp_arena arena;
    emp_arena_init(&arena, 1 << 20);
    struct emp_core *c = emp_arena_new(&arena, struct emp_core);
    c->arena = arena;
    c->settings = settings;
    c->policy = policy;
    c->fleet_version = 1;
    emp_random_init(&c->random, seed);
    emp_arena_init(&c->scratch, 1 << 18);
    emp_arena_init(&c->note_arena, 0);
    emp_intern_init(&c->names, &c->arena);
    emp_duration_init(&c->duration, &c->arena);
    emp_eta_errors_init(&c->eta);
    init_tables(c);
    c->recent_keys = emp_arena_array(&c->arena, struct idempotency_entry, IDEMPOTENCY_RECENT);
    c->finished = emp_arena_array(&c->arena, struct emp_job_num_attempt, FINISHED_RECENT);
    return c;
}

void emp_core_free(struct emp_core *c)
{
    if (c == NULL)
        return;
    for (uint32_t i = 1; i <= c->classes.high;
         i++) /* a freed one's arena is empty already: releasing again is harmless */
        if (((struct class *)emp_slab_at(&c->classes, i))->arena.blocks)
            emp_arena_release(&((struct class *)emp_slab_at(&c->classes, i))->arena);
    for (size_t i = 0; i < c->all_count; i++)
        emp_machine_release(c->all[i]);
    for (size_t i = 0; i < c->model_cap; i++)
        if (c->models[i])
            emp_arena_release(&c->models[i]->arena);
    emp_arena_release(&c->scratch);
    emp_arena_release(&c->note_arena);
    struct emp_arena arena = c->arena; /* c lives in it */
    emp_arena_release(&arena);
}

/* ---- models ---- */

struct model_entry *emp_core_model_entry(struct emp_core *c, uint32_t name)
{
    emp_arena_reach(&c->arena, c->models, name, c->model_cap, 64);
    struct model_entry *e = c->models[name];
    if (e)
        return e;
    e = c->models[name] = emp_arena_new(&c->arena, struct model_entry);
    e->name = name;
    emp_arena_init(&e->arena, 512);
    emp_arena_reserve(&c->arena, c->model_order, c->model_count, c->model_order_cap);
    c->model_order[c->model_count++] = name;
    return e;
}

void emp_core_model_put(struct emp_core *c, const struct emp_model *model)
{
    struct model_entry *e = emp_core_model_entry(c, emp_intern(&c->names, model->name));
    struct emp_arena old = e->arena;
    if (e->catalogued)
        emp_map_del(&c->model_by_path, emp_intern(&c->names, e->model.path));
    if (model->path.len)
        emp_map_put(&c->model_by_path, emp_intern(&c->names, model->path), e->name);
    emp_arena_init(&e->arena, 512);
    emp_model_copy(&e->arena, model, &e->model);
    emp_arena_release(&old);
    e->catalogued = true;
    e->modifies = emp_model_kind_modifies(model->kind);
    emp_core_kind_set(c, e);
    emp_classes_model_changed(c, e->name);
    c->fleet_version++;
    c->dirty_all = true;
}

int emp_core_model_check(const struct emp_core *c, const struct emp_model *model,
                         struct emp_error *err)
{
    uint32_t path = emp_intern_find(&c->names, model->path), holder;
    if (c->model_count >= EMP_MODELS_MAX && !emp_core_model_find(c, model->name))
        return emp_fail(err, EMP_E_QUEUE_FULL, "name", "the catalogue holds %d models already",
                        EMP_MODELS_MAX);
    if (path && emp_map_get(&c->model_by_path, path, &holder) &&
        holder != emp_intern_find(&c->names, model->name))
        return emp_fail(err, EMP_E_CONFLICT, "path",
                        "path: \"%.*s\" is that of model \"%.*s\", so \"%.*s\" needs another",
                        EMP_STR_FMT(model->path), EMP_STR_FMT(emp_core_name(c, holder)),
                        EMP_STR_FMT(model->name));
    return 0;
}

void emp_core_on_model(struct emp_core *c, const struct emp_event *e)
{
    struct emp_error err;
    if (emp_core_model_check(c, e->model, &err) < 0) {
        emp_core_reply_error(c, e->request, &err);
        return;
    }
    emp_core_model_put(c, e->model);
    struct emp_action *a = emp_core_act(c, EMP_ACTION_PERSIST);
    a->change.kind = EMP_CHANGE_MODEL;
    emp_model_copy(c->out->arena, e->model, &a->change.model);
    emp_core_reply(c, e->request, 0);
}

/* Copies stay where they stand, as those of a model that machines brought with them. */
static void model_remove(struct emp_core *c, struct model_entry *e)
{
    uint32_t path = emp_intern_find(&c->names, e->model.path), holder;
    if (path && emp_map_get(&c->model_by_path, path, &holder) && holder == e->name)
        emp_map_del(&c->model_by_path, path);
    emp_learned_forget_model(c, e);
    emp_arena_release(&e->arena);
    emp_arena_init(&e->arena, 512);
    e->model = (struct emp_model){0};
    e->catalogued = e->modifies = false;
    emp_classes_model_changed(c, e->name);
    c->fleet_version++;
    c->dirty_all = true;
}

void emp_core_on_model_remove(struct emp_core *c, const struct emp_event *e)
{
    struct emp_error err;
    struct emp_str name = e->model_name;
    if (emp_core_model_find(c, name) == NULL) {
        emp_fail(&err, EMP_E_NOT_FOUND, "name", "model \"%.*s\" is not in the catalogue",
                 EMP_STR_FMT(name));
        emp_core_reply_error(c, e->request, &err);
        return;
    }
    struct model_entry *entry = c->models[emp_intern_find(&c->names, name)];
    uint64_t jobs = emp_classes_need(c, entry->name);
    if (jobs) {
        emp_fail(&err, EMP_E_CONFLICT, "name",
                 "model \"%.*s\" is needed by %llu jobs that wait or run", EMP_STR_FMT(name),
                 (unsigned long long)jobs);
        emp_core_reply_error(c, e->request, &err);
        return;
    }
    model_remove(c, entry);
    struct emp_action *a = emp_core_act(c, EMP_ACTION_PERSIST);
    a->change.kind = EMP_CHANGE_MODEL_REMOVED;
    a->change.model_removed = emp_core_name(c, entry->name);
    emp_core_reply(c, e->request, 0);
}

/* ---- the step ---- */

static void on_tick(struct emp_core *c, const struct emp_event *e)
{
    (void)c;
    (void)e; /* what is due is done after every event */
}

static void (*const handlers[])(struct emp_core *, const struct emp_event *) = {
    [EMP_EVENT_SUBMIT] = emp_core_on_submit,
    [EMP_EVENT_CANCEL] = emp_core_on_cancel,
    [EMP_EVENT_RETRY] = emp_core_on_retry,
    [EMP_EVENT_MESSAGE] = emp_core_on_message,
    [EMP_EVENT_LINK_CLOSED] = emp_core_on_link_closed,
    [EMP_EVENT_MODEL] = emp_core_on_model,
    [EMP_EVENT_MODEL_REMOVE] = emp_core_on_model_remove,
    [EMP_EVENT_MACHINE_DRAIN] = emp_core_on_drain,
    [EMP_EVENT_MACHINE_FORGET] = emp_core_on_forget,
    [EMP_EVENT_PLAN] = emp_core_on_plan,
    [EMP_EVENT_TICK] = on_tick,
};

static void overran(struct emp_core *c, struct job *j)
{
    emp_core_send_lease(c, j->machine->link, EMP_MESSAGE_CANCEL, j->num, j->attempt,
                        "it ran past its limit");
    emp_attempt_end(c, j,
                    &(struct attempt_end){
                        .outcome = EMP_OUTCOME_TIMEOUT,
                        .code = EMP_E_TIMEOUT,
                        .text = EMP_STR("it ran past its limit and the agent did not stop it"),
                        .retryable = true});
}

static void timers_run(struct emp_core *c)
{
    struct job *j;
    while ((j = emp_heap_peek(&c->timers)) && j->due <= c->now.mono) {
        if (j->machine) {
            overran(c, j);
            continue;
        }
        emp_job_unwait(c, j);
        j->not_before = 0;
        emp_class_enqueue(c, j->class, j);
    }
}

static void due(struct emp_core *c)
{
    timers_run(c);
    emp_machines_tick(c);
    emp_learned_save(c);
    emp_plan_tick(c);
    if (c->holding || c->now.mono - c->heads_refreshed >= HEADS_REFRESH_MS)
        c->dirty_all |= c->idle_count > 0 && c->ready.count > 0;
}

void emp_core_step(struct emp_core *c, struct emp_now now, const struct emp_event *e,
                   struct emp_actions *out)
{
    assert(c->started && now.mono >= c->now.mono);
    emp_arena_reset(&c->scratch);
    c->now = now;
    c->out = out;
    c->submitted = NULL;
    handlers[e->kind](c, e);
    due(c);
    emp_core_schedule(c);
    if (c->submitted) /* and what became of it in this very step */
        emp_eta_tell_submitted(c, c->submitted, &out->items[c->submitted_reply].reply.reply.eta);
    c->out = NULL;
}

static emp_mono_ms sooner(emp_mono_ms a, emp_mono_ms b)
{
    return a < b ? a : b;
}

emp_mono_ms emp_core_next_due(const struct emp_core *c)
{
    emp_mono_ms at = EMP_NEVER;
    const struct job *j = emp_heap_peek(&c->timers);
    const struct machine *m = emp_heap_peek(&c->deadlines);
    if (j)
        at = sooner(at, j->due);
    if (m)
        at = sooner(at, m->deadline);
    if (c->policy->pull_ms > 0)
        at = sooner(at, emp_core_pull_due(c));
    at = sooner(at, emp_plan_next(c));
    if (c->holding)
        at = sooner(at, c->now.mono + HOLD_RECHECK_MS);
    if (c->quarantined || (c->idle_count && c->ready.count))
        at = sooner(at, c->now.mono + 1000);
    if (c->learned_dirty)
        at = sooner(at, c->learned_saved + LEARNED_SAVE_MS);
    if (c->all_count)
        at = sooner(at, c->machines_saved + MACHINE_SAVE_MS);
    return at;
}

const char *emp_notice_word(enum emp_notice_kind k)
{
    static const char *const words[EMP_NOTICE_COUNT] = {"submitted", "assigned", "started",
                                                        "progress",  "requeued", "ended"};
    return (unsigned)k < EMP_NOTICE_COUNT ? words[k] : "unknown";
}

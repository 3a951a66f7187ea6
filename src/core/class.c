/* Classes: jobs with equal requirements, matched to machines once for all of them.
 *
 * A class's key is the canonical text of what its jobs need: service, models, nodes, predicates,
 * isolation, region, compliance, wishes of pool and specialty, and the submitter's guess of the
 * duration, rounded to powers of two and to the pools' limits (so that a five-second and a
 * ten-minute job of one service are told apart before anything is learned). The customer belongs to
 * it only where it decides (isolation, a pool of one's own), and so does the workflow (a machine is
 * reserved for it when the job comes): both are many, and classes should be few.
 *
 * Whether a machine matches is asked once and kept until that machine greets again with new facts.
 * A class whose last live job is gone stays for its learned estimate's sake until there are too
 * many. */
#include "core/internal.h"

#include <math.h>

static void key_add(struct emp_arena *a, char **p, size_t *len, size_t *cap, const void *bytes,
                    size_t n)
{
    if (*len + n > *cap) {
        size_t want = (*len + n) * 2 + 64;
        *p = emp_arena_realloc(a, *p, *cap, want);
        *cap = want;
    }
    memcpy(*p + *len, bytes, n);
    *len += n;
}

struct key {
    struct emp_arena *arena;
    char *p;
    size_t len, cap;
};

static void key_str(struct key *k, struct emp_str s)
{
    key_add(k->arena, &k->p, &k->len, &k->cap, &s.len, sizeof s.len);
    if (s.len)
        key_add(k->arena, &k->p, &k->len, &k->cap, s.ptr, s.len);
}

static void key_num(struct key *k, int64_t v)
{
    key_add(k->arena, &k->p, &k->len, &k->cap, &v, sizeof v);
}

static struct emp_str *sorted(struct emp_arena *a, const struct emp_str *s, uint32_t n)
{
    struct emp_str *v = emp_arena_array(a, struct emp_str, n);
    for (uint32_t i = 0; i < n; i++) { /* insertion: lists are short */
        uint32_t at = i;
        for (; at > 0 && emp_str_cmp(v[at - 1], s[i]) > 0; at--)
            v[at] = v[at - 1];
        v[at] = s[i];
    }
    return v;
}

static void key_strs(struct key *k, const struct emp_str *s, uint32_t n)
{
    key_num(k, n);
    struct emp_str *v = sorted(k->arena, s, n);
    for (uint32_t i = 0; i < n; i++)
        key_str(k, v[i]);
}

static void key_requirements(struct key *k, const struct emp_requirement *r, uint32_t n)
{
    key_num(k, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t bits;
        memcpy(&bits, &r[i].number, sizeof bits);
        key_str(k, r[i].path);
        key_str(k, r[i].text);
        key_num(k, bits);
        key_num(k, (int64_t)r[i].kind * 2 + r[i].negated);
    }
}

static int64_t guess_bucket(int64_t ms)
{
    int64_t b = 0;
    for (; ms > 0; ms >>= 1)
        b++;
    return b;
}

/* How many pools' durations end before it: two guesses of one bucket may be of different pools. */
static int64_t guess_band(const struct emp_core *c, int64_t ms)
{
    int64_t band = 0;
    for (uint32_t i = 0; i < c->settings->pool_count; i++)
        band += ms >= c->settings->pools[i].run_ms_max;
    return band;
}

static bool customer_decides(const struct emp_core *c, const struct emp_job_spec *s)
{
    if (s->customer.len == 0)
        return false;
    if (s->isolation != EMP_ISOLATION_NONE)
        return true;
    for (uint32_t i = 0; i < c->settings->pool_count; i++)
        if (emp_str_eq(c->settings->pools[i].customer, s->customer))
            return true;
    return false;
}

static bool workflow_decides(const struct emp_core *c, const struct emp_job_spec *s)
{
    if (s->workflow.len == 0 || c->reserved == 0)
        return false;
    for (size_t i = 0; i < c->all_count; i++)
        if (c->all[i]->reserved && emp_match_reserved(&c->all[i]->facts, s->workflow))
            return true;
    return false;
}

/* What the run time depends on; the full key adds who may run it where. */
static void key_work(struct key *k, const struct emp_job_spec *s)
{
    key_str(k, s->service);
    key_strs(k, s->models, s->model_count);
    key_strs(k, s->custom_nodes, s->node_count);
    key_requirements(k, s->requirements, s->requirement_count);
    key_num(k, guess_bucket(s->estimated_duration_ms));
}

static void key_where(const struct emp_core *c, struct key *k, const struct emp_job_spec *s)
{
    key_str(k, s->pool);
    key_str(k, s->specialty);
    key_str(k, s->region);
    key_strs(k, s->compliance, s->compliance_count);
    key_num(k, s->isolation);
    key_num(k, guess_band(c, s->estimated_duration_ms));
    key_str(k, customer_decides(c, s) ? s->customer : (struct emp_str){0});
    key_str(k, workflow_decides(c, s) ? s->workflow : (struct emp_str){0});
}

static void copy_spec(const struct emp_core *c, struct class *k, const struct emp_job_spec *s)
{
    struct emp_arena *a = &k->arena;
    k->spec = *s;
    k->spec.service = emp_str_copy(a, s->service);
    k->spec.customer = emp_str_copy(a, s->customer);
    k->spec.pool = emp_str_copy(a, s->pool);
    k->spec.specialty = emp_str_copy(a, s->specialty);
    k->spec.region = emp_str_copy(a, s->region);
    k->spec.workflow = workflow_decides(c, s) ? emp_str_copy(a, s->workflow) : (struct emp_str){0};
    k->spec.idempotency_key = (struct emp_str){0};
    k->spec.models = emp_strs_copy(a, s->models, s->model_count);
    k->spec.custom_nodes = emp_strs_copy(a, s->custom_nodes, s->node_count);
    k->spec.compliance = emp_strs_copy(a, s->compliance, s->compliance_count);
    k->spec.requirements = emp_arena_array(a, struct emp_requirement, s->requirement_count);
    for (uint32_t i = 0; i < s->requirement_count; i++) {
        k->spec.requirements[i] = s->requirements[i];
        k->spec.requirements[i].path = emp_str_copy(a, s->requirements[i].path);
        k->spec.requirements[i].text = emp_str_copy(a, s->requirements[i].text);
    }
}

struct estimate_entry *emp_estimate_at(struct emp_core *c, uint64_t key)
{
    uint32_t n;
    if (key == 0)
        key = 1;
    if (emp_map_get(&c->estimate_by_key, key, &n))
        return emp_slab_at(&c->estimates, n);
    if (c->estimates.count >= ESTIMATES_MAX)
        return NULL;
    struct estimate_entry *e = emp_slab_new(&c->estimates, &n);
    e->key = key;
    e->number = n;
    emp_estimate_init(&e->estimate);
    emp_map_put(&c->estimate_by_key, key, n);
    return e;
}

static void infer_specialty(struct emp_core *c, struct class *k)
{
    k->specialty = k->spec.specialty;
    if (k->specialty.len)
        return;
    const struct emp_model *models[EMP_JOB_MODELS_MAX];
    for (uint32_t i = 0; i < k->spec.model_count; i++)
        models[i] = &emp_core_model_entry(c, k->models[i])->model;
    struct emp_str inferred = emp_pool_infer_specialty(models, k->spec.model_count);
    k->specialty = emp_str_copy(&k->arena, inferred); /* the model may be replaced */
}

/* A freed class uses nothing. */
static bool class_uses(const struct class *k, uint32_t model)
{
    bool uses = false;
    for (uint32_t n = 0; k->arena.blocks && n < k->spec.model_count; n++)
        uses |= k->models[n] == model;
    return uses;
}

uint64_t emp_classes_need(const struct emp_core *c, uint32_t model)
{
    uint64_t jobs = 0;
    for (uint32_t i = 1; i <= c->classes.high; i++) {
        const struct class *k = emp_slab_at(&c->classes, i);
        if (class_uses(k, model))
            jobs += k->pending + k->running;
    }
    return jobs;
}

void emp_classes_model_changed(struct emp_core *c, uint32_t model)
{
    for (uint32_t i = 1; i <= c->classes.high; i++) {
        struct class *k = emp_slab_at(&c->classes, i);
        if (!class_uses(k, model))
            continue;
        infer_specialty(c, k);
        emp_class_refresh_estimate(c, k);
    }
}

static bool less_rank(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    return x->rank != y->rank ? x->rank < y->rank : x->num < y->num;
}

static struct class *class_new(struct emp_core *c, const struct emp_job_spec *s, uint64_t hash,
                               struct emp_str key, uint64_t work_hash)
{
    uint32_t number;
    struct class *k = emp_slab_new(&c->classes, &number);
    k->number = number;
    k->hash = hash;
    emp_arena_init(&k->arena, 1024);
    k->key = emp_str_copy(&k->arena, key);
    copy_spec(c, k, s);
    k->models = emp_arena_array(&k->arena, uint32_t, s->model_count);
    for (uint32_t i = 0; i < s->model_count; i++)
        k->models[i] = emp_intern(&c->names, s->models[i]);
    infer_specialty(c, k);
    k->own = emp_estimate_at(c, work_hash);
    k->service = emp_estimate_at(c, emp_mix64(emp_str_hash(s->service)));
    k->prior_ms = s->estimated_duration_ms;
    emp_heap_init(&k->waiting, &k->arena, less_rank, offsetof(struct job, place));
    k->ready_place = k->late_place = EMP_HEAP_OUT;
    emp_class_refresh_estimate(c, k);
    emp_map_put(&c->class_by_hash, hash, number);
    return k;
}

static uint32_t observations(const struct class *k)
{
    return (k->own ? k->own->estimate.observations : 0) +
           (k->service ? k->service->estimate.observations : 0);
}

struct class *emp_class_get(struct emp_core *c, const struct emp_job_spec *s)
{
    struct key work = {.arena = &c->scratch};
    key_work(&work, s);
    uint64_t work_hash = emp_str_hash((struct emp_str){work.p, (uint32_t)work.len});
    struct key key = work;
    key_where(c, &key, s);
    struct emp_str text = {key.p, (uint32_t)key.len};
    /* two keys with one hash: the next number is tried, so that equality of keys decides */
    uint64_t hash = emp_str_hash(text);
    for (;; hash++) {
        uint32_t n;
        if (hash == 0)
            continue;
        if (!emp_map_get(&c->class_by_hash, hash, &n))
            return class_new(c, s, hash, text, work_hash);
        struct class *k = emp_slab_at(&c->classes, n);
        if (!emp_str_eq(k->key, text))
            continue;
        if (k->estimated_at !=
            observations(k)) /* classes that differ in place alone learn together */
            emp_class_refresh_estimate(c, k);
        return k;
    }
}

void emp_class_unuse(struct emp_core *c, struct class *k)
{
    if (k->pending || k->running || k->dirty || c->classes.count <= CLASSES_KEPT)
        return;
    assert(k->waiting.count == 0 && k->ready_place == EMP_HEAP_OUT);
    emp_map_del(&c->class_by_hash, k->hash);
    emp_arena_release(&k->arena);
    emp_slab_free(&c->classes, k->number);
}

/* The guess for a class nobody has seen run: the submitter's, else how this service runs in
 * general. */
static int64_t prior(const struct class *k)
{
    if (k->prior_ms > 0)
        return k->prior_ms;
    int64_t ms = k->service ? emp_estimate_mean(&k->service->estimate, 0) : -1;
    return ms >= 0 ? ms : FIRST_GUESS_MS;
}

void emp_class_refresh_estimate(struct emp_core *c, struct class *k)
{
    static const struct emp_estimate none;
    const struct emp_estimate *e = k->own ? &k->own->estimate : &none;
    k->run_ms = emp_estimate_quantile(e, c->settings->routing.pool_quantile, prior(k));
    k->mean_ms = emp_estimate_mean(e, prior(k));
    k->pool = emp_pool_for_job(c->settings, &k->spec, k->specialty, k->run_ms);
    k->estimated_at = observations(k);
    k->has_home = false; /* not known: its length may have changed */
}

static void learn_into(struct emp_core *c, struct estimate_entry *e, int64_t run_ms)
{
    if (e == NULL)
        return;
    emp_estimate_observe(&e->estimate, run_ms);
    emp_learned_changed(c, &e->mark, EMP_LEARNED_RUN, e->number);
}

void emp_class_learn(struct emp_core *c, struct class *k, int64_t run_ms)
{
    learn_into(c, k->own, run_ms);
    if (k->service != k->own)
        learn_into(c, k->service, run_ms);
    emp_class_refresh_estimate(c, k);
}

bool emp_class_matches(struct emp_core *c, struct class *k, struct machine *m)
{
    (void)c;
    if (m->number >= k->match_cap) {
        uint32_t cap = k->match_cap ? k->match_cap : 16;
        while (cap <= m->number)
            cap *= 2;
        k->match = emp_arena_realloc(&k->arena, k->match, k->match_cap, cap);
        k->match_version = emp_arena_realloc(&k->arena, k->match_version,
                                             k->match_cap * sizeof *k->match_version,
                                             cap * sizeof *k->match_version);
        k->match_cap = cap;
    }
    if (k->match[m->number] == 0 || k->match_version[m->number] != m->version) {
        k->match[m->number] = emp_match_machine(&k->spec, &m->facts, NULL) ? 1 : 2;
        k->match_version[m->number] = m->version;
    }
    return k->match[m->number] == 1;
}

/* ---- the queue ---- */

static void list_insert(struct job_list *l, struct job *j)
{
    struct job *before = l->last; /* arrivals come in order: the end is nearly always right */
    while (before && emp_job_is_older(j, before))
        before = before->prev;
    j->prev = before;
    j->next = before ? before->next : l->first;
    *(j->prev ? &j->prev->next : &l->first) = j;
    *(j->next ? &j->next->prev : &l->last) = j;
    j->in_list = true;
}

static void list_remove(struct job_list *l, struct job *j)
{
    *(j->prev ? &j->prev->next : &l->first) = j->next;
    *(j->next ? &j->next->prev : &l->last) = j->prev;
    j->prev = j->next = NULL;
    j->in_list = false;
}

void emp_class_mark(struct emp_core *c, struct class *k)
{
    if (k->dirty)
        return;
    k->dirty = true;
    emp_arena_reserve(&c->arena, c->dirty_classes, c->dirty_count, c->dirty_cap);
    c->dirty_classes[c->dirty_count++] = k;
}

void emp_class_enqueue(struct emp_core *c, struct class *k, struct job *j)
{
    emp_heap_push(&k->waiting, j);
    if (!j->in_list)
        list_insert(&k->by_age[j->tier], j);
    emp_class_refresh_head(c, k);
    emp_class_mark(c, k);
}

void emp_class_dequeue(struct emp_core *c, struct class *k, struct job *j)
{
    if (j->place != EMP_HEAP_OUT)
        emp_heap_remove(&k->waiting, j);
    if (j->in_list)
        list_remove(&k->by_age[j->tier], j);
    emp_class_refresh_head(c, k);
}

/* The oldest of those whose patience is over, else NULL. */
static struct job *overdue_head(const struct emp_core *c, const struct class *k)
{
    struct job *oldest = NULL;
    for (int t = 0; t < EMP_TIER_COUNT && !c->policy->strict_order; t++) {
        struct job *j = k->by_age[t].first;
        /* one that is set aside in this very pass is in no heap */
        if (j == NULL || j->place == EMP_HEAP_OUT)
            continue;
        if (emp_fair_overdue(&c->settings->fairness, j->tier, emp_job_waited_ms(c, j)) &&
            (oldest == NULL || emp_job_is_older(j, oldest)))
            oldest = j;
    }
    return oldest;
}

static void keep_listed(struct emp_heap *h, struct class *k, uint32_t place, bool wanted)
{
    if (wanted && place == EMP_HEAP_OUT)
        emp_heap_push(h, k);
    else if (wanted)
        emp_heap_fix(h, k);
    else if (place != EMP_HEAP_OUT)
        emp_heap_remove(h, k);
}

void emp_class_refresh_head(struct emp_core *c, struct class *k)
{
    k->head = emp_heap_peek(&k->waiting);
    k->late = overdue_head(c, k);
    keep_listed(&c->ready, k, k->ready_place, k->head != NULL);
    keep_listed(&c->late, k, k->late_place, k->late != NULL);
}

/* ---- could it ever run? ---- */

static bool models_fit(struct emp_core *c, const struct class *k, const struct machine *m,
                       struct emp_error *why)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; i < k->spec.model_count; i++) {
        const struct model_entry *e = emp_core_model_entry(c, k->models[i]);
        const struct copy *copy = emp_machine_copy(m, k->models[i]);
        if (e->model.url_count == 0 && copy == NULL) {
            emp_fail(why, EMP_E_UNRUNNABLE, "models",
                     "model \"%.*s\" has no URL, and machine %.*s does not have it",
                     EMP_STR_FMT(emp_core_name(c, k->models[i])), EMP_STR_FMT(m->facts.id));
            return false;
        }
        bytes += copy ? copy->bytes : e->model.bytes;
    }
    if (bytes <= m->facts.disk_budget_bytes || bytes == 0)
        return true;
    emp_fail(why, EMP_E_UNRUNNABLE, "models",
             "its models take %lld bytes, and the disk of machine %.*s holds %lld",
             (long long)bytes, EMP_STR_FMT(m->facts.id), (long long)m->facts.disk_budget_bytes);
    return false;
}

static bool pool_open(const struct emp_core *c, const struct class *k, const struct machine *m,
                      struct emp_error *why)
{
    if (emp_machine_serves(c, m, k->spec.customer))
        return true;
    emp_fail(why, EMP_E_UNRUNNABLE, "customer_id",
             "machine %.*s belongs to a pool of another customer", EMP_STR_FMT(m->facts.id));
    return false;
}

/* Until when it is remembered. */
static emp_wall_ms remembered_until(const struct emp_core *c, const struct machine *m)
{
    return (m->link ? c->now.wall : m->last_seen) + c->settings->machine_memory_ms;
}

static bool any_machine(struct emp_core *c, struct class *k, struct emp_error *why)
{
    struct emp_error one;
    bool seen = false, offered = false;
    for (size_t i = 0; i < c->all_count; i++) {
        struct machine *m = c->all[i];
        if (m->facts.slots == 0 || remembered_until(c, m) < c->now.wall)
            continue;
        if (emp_match_machine(&k->spec, &m->facts, &one) && pool_open(c, k, m, &one) &&
            models_fit(c, k, m, &one)) {
            k->runnable_until = remembered_until(c, m);
            return true;
        }
        /* the telling reason is one about a machine that offers the service */
        if (!seen || (!offered && one.code != EMP_E_UNKNOWN_SERVICE)) {
            *why = one;
            offered = one.code != EMP_E_UNKNOWN_SERVICE;
        }
        seen = true;
    }
    return false;
}

static bool is_builtin(const struct emp_core *c, struct emp_str service)
{
    for (uint32_t i = 0; i < c->settings->builtin_service_count; i++)
        if (emp_str_eq(c->settings->builtin_services[i], service))
            return true;
    return false;
}

bool emp_class_runnable(struct emp_core *c, struct class *k, struct emp_error *why)
{
    if (k->runnable_version == c->fleet_version && k->runnable && c->now.wall <= k->runnable_until)
        return true;
    emp_fail(why, EMP_E_UNKNOWN_SERVICE, "service_required",
             "service \"%.*s\": no machine that offers it was ever seen",
             EMP_STR_FMT(k->spec.service));
    k->runnable_until = INT64_MAX;
    bool ok = any_machine(c, k, why);
    for (uint32_t i = 0; !ok && i < c->settings->pool_count; i++)
        ok = emp_match_pool(&k->spec, &c->settings->pools[i], NULL);
    if (!ok && c->all_count == 0)
        ok = is_builtin(c, k->spec.service);
    k->runnable = ok;
    k->runnable_version = c->fleet_version;
    return ok;
}

/* Which waiting job starts where: list scheduling over classes.
 *
 * A pass takes the classes that may have changed, in order of their best job's rank, while a
 * machine is idle. For the head of a class every machine that matches gets one number, its cost in
 * seconds (policy's terms). If the cheapest is idle, the job is assigned. If the cheapest is busy
 * (warm, soon free) the job is held for it, within warm_wait_ms_max, and the promise is added to
 * that machine's timeline, so that the next job of the class sees a longer queue there and may take
 * the idle one. With no better promise a fitting idle machine is always taken in the same step
 * (invariant 6).
 *
 * A new job makes only its own class worth a look; a machine that became free, or news of a model,
 * makes all. A job that runs too long for a machine's pool goes there if no pool of its own
 * length has a machine that could run it, or had one a moment ago that may return; else it may
 * borrow of the next shorter pool while three in ten there stay idle: long jobs do not block short
 * ones. */
#include "core/internal.h"

#include <math.h>

static uint32_t promised(const struct emp_core *c, const struct machine *m)
{
    return m->promised_pass == c->pass ? m->promised : 0;
}

static void promise(struct emp_core *c, struct machine *m)
{
    m->promised = promised(c, m) + 1;
    m->promised_pass = c->pass;
}

/* Expected ms until a slot is free for one more job, after those running and those promised in this
 * pass. */
static int64_t slot_free_ms(const struct emp_core *c, const struct machine *m, int64_t run_ms)
{
    uint32_t queue = promised(c, m), idle = m->busy < m->facts.slots ? m->facts.slots - m->busy : 0;
    if (queue < idle)
        return 0;
    queue -= idle;
    int64_t first = INT64_MAX;
    for (struct job *j = m->running; j; j = j->next) {
        int64_t left = emp_job_left_ms(c, j);
        first = left < first ? left : first;
    }
    if (first == INT64_MAX)
        first = 0;
    return first + (int64_t)((double)queue * (double)run_ms * emp_machine_speed(m)) /
                       (m->facts.slots ? m->facts.slots : 1);
}

static void count_model(struct emp_route_models *n, enum emp_residency at)
{
    uint32_t *const places[EMP_RESIDENCY_COUNT] = {&n->absent, &n->absent, &n->on_disk, &n->in_ram,
                                                   &n->in_gpu};
    ++*places[at];
}

/* What has to be loaded into GPU memory. */
struct load {
    int64_t load_bytes, ram_bytes; /* in all; of that, from RAM */
    double load_s;
};

/* Models: what is missing there, what must be loaded. False: it cannot have them. */
static bool model_facts(struct emp_core *c, const struct class *k, const struct machine *m,
                        struct emp_route_facts *f, struct load *need)
{
    int64_t all = 0, behind = 0;
    bool waits = false;
    for (uint32_t i = 0; i < k->spec.model_count; i++) {
        const struct model_entry *e = emp_core_model_entry(c, k->models[i]);
        const struct copy *copy = emp_machine_copy(m, k->models[i]);
        enum emp_residency at = copy ? copy->residency : EMP_RESIDENCY_NONE;
        int64_t bytes = copy ? copy->bytes : e->model.bytes;
        all += bytes;
        if (at == EMP_RESIDENCY_NONE) {
            if (e->model.url_count == 0)
                return false;
            f->missing_bytes += bytes;
        }
        waits |= at <= EMP_RESIDENCY_FETCHING;
        count_model(e->modifies ? &f->modifier : &f->whole, at);
        if (at == EMP_RESIDENCY_GPU)
            continue;
        need->load_bytes += bytes;
        need->ram_bytes += at == EMP_RESIDENCY_RAM ? bytes : 0;
        need->load_s += emp_core_load_s(c, e, bytes, at);
    }
    if (all > m->facts.disk_budget_bytes && waits)
        return false;
    if (waits)
        behind = emp_machine_fetch_left(c, m);
    f->fetch_bytes = f->missing_bytes + behind;
    f->load_ms = m->facts.gpu_count ? (int64_t)(need->load_s * 1000) : 0;
    return true;
}

static bool gather(struct emp_core *c, struct class *k, const struct job *j, struct machine *m,
                   struct emp_route_facts *f)
{
    *f = (struct emp_route_facts){0};
    struct load need = {0};
    if (!model_facts(c, k, m, f, &need))
        return false;
    const struct emp_pool *pool = m->pool == (uint32_t)EMP_POOL_NONE ? NULL
                                                                     : &c->settings->pools[m->pool];
    if (!emp_machine_serves(c, m, k->spec.customer))
        return false;
    f->slot_free_ms = slot_free_ms(c, m, k->mean_ms);
    f->waited_ms = emp_job_waited_ms(c, j);
    f->link_bytes_per_s = m->link_rate;
    f->run_ms = k->mean_ms;
    f->speed = emp_machine_speed(m);
    f->own_pool = m->pool == k->pool || pool == NULL || k->pool == (uint32_t)EMP_POOL_NONE;
    f->pool_penalty_ms = pool ? pool->penalty_ms : 0;
    f->pool_run_ms_min = pool ? pool->run_ms_min : 0;
    f->pool_run_ms_max = pool ? pool->run_ms_max : EMP_NEVER;
    f->age_ms = m->facts.booted_at ? c->now.wall - m->facts.booted_at : 0;
    f->failure_rate = (double)m->blame.failure_rate;
    f->failed_this_job = emp_job_avoids(j, m);
    f->slots = m->facts.slots;
    f->busy = m->busy;
    f->displaced_ms = emp_core_displaced_disk_ms(c, m, f->missing_bytes - m->disk_free);
    if (m->facts.gpu_count)
        f->displaced_ms += emp_core_displaced_memory_ms(c, k, m, need.load_bytes, need.ram_bytes);
    return true;
}

static bool too_short(const struct emp_core *c, const struct class *k, const struct machine *m)
{
    return !c->policy->pool_blind && m->pool != (uint32_t)EMP_POOL_NONE &&
           k->pool != (uint32_t)EMP_POOL_NONE && m->pool != k->pool &&
           k->run_ms >= c->settings->pools[m->pool].run_ms_max;
}

bool emp_core_candidate(struct emp_core *c, struct class *k, const struct job *j, struct machine *m,
                        struct candidate *x)
{
    struct emp_route_facts f;
    if (!emp_machine_usable(c, m) || !emp_class_matches(c, k, m) || !gather(c, k, j, m, &f))
        return false;
    *x = (struct candidate){
        .machine = m,
        .has_models = f.missing_bytes == 0,
        .own_pool = f.own_pool,
        .too_short = too_short(c, k, m),
    };
    c->policy->terms(&c->settings->routing, &f, &x->terms);
    x->cost = emp_route_cost(&x->terms);
    return true;
}

/* With equal starts: the less loaded region, then the less loaded machine, then who waited longest.
 * A machine that has the models and one that has not are never equal: the copy would be a second.
 */
static bool lighter(const struct emp_core *c, const struct machine *a, const struct machine *b)
{
    const struct region *ra = &c->regions[a->region], *rb = &c->regions[b->region];
    uint64_t la = (uint64_t)ra->busy * rb->slots, lb = (uint64_t)rb->busy * ra->slots;
    if (la != lb)
        return la < lb;
    la = (uint64_t)a->busy * b->facts.slots, lb = (uint64_t)b->busy * a->facts.slots;
    if (la != lb)
        return la < lb;
    return a->last_assigned < b->last_assigned;
}

static bool starts_now(const struct candidate *x)
{
    return x->terms.slot_free == 0;
}

static struct candidate *cheapest(struct emp_core *c, struct verdict *v, bool idle_only)
{
    struct candidate *best = NULL;
    for (uint32_t i = 0; i < v->count; i++) {
        struct candidate *x = &v->candidates[i];
        if ((!idle_only || starts_now(x)) && (best == NULL || x->cost < best->cost))
            best = x;
    }
    if (best == NULL || !starts_now(best))
        return best;
    struct candidate *pick = best;
    for (uint32_t i = 0; i < v->count; i++) {
        struct candidate *x = &v->candidates[i];
        if (starts_now(x) && (c->policy->model_blind || x->has_models == best->has_models) &&
            x->cost - best->cost <= TIE_US && x != pick && lighter(c, x->machine, pick->machine))
            pick = x;
    }
    return pick;
}

/* A machine for jobs of this length whose connection broke a moment ago; NULL: there is none. */
static struct machine *home_away(struct emp_core *c, struct class *k)
{
    for (size_t i = 0; i < c->all_count; i++) {
        struct machine *m = c->all[i];
        if (m->link == 0 && !m->drained && m->facts.slots && !too_short(c, k, m) &&
            m->awaited_until > c->now.mono && emp_class_matches(c, k, m) &&
            emp_machine_serves(c, m, k->spec.customer))
            return m;
    }
    return NULL;
}

/* May a job too long for m's pool borrow m? Only while three in ten of that pool's slots stay idle,
 * and only of the longest such pool: a video must never stand in the way of a text. What it costs
 * to leave its own pool is in its price, and that is its run time and more. */
static bool lends(const struct emp_core *c, const struct machine *m, int64_t longest)
{
    uint64_t slots = 0, busy = 0;
    if (m->busy >= m->facts.slots || c->settings->pools[m->pool].run_ms_max != longest)
        return false;
    for (size_t i = 0; i < c->all_count; i++) {
        const struct machine *other = c->all[i];
        if (other->pool != m->pool || !emp_machine_usable(c, other))
            continue;
        slots += other->facts.slots;
        busy += other->busy;
    }
    return (busy + 1) * 10 <= slots * 7;
}

/* Which of those in too short pools are no candidates. Without a machine of its own length the job
 * takes what there is, but not before its patience ends while one may return. With one, it may
 * borrow. */
static void drop_too_short(struct emp_core *c, struct class *k, const struct job *j,
                           struct verdict *v)
{
    int64_t longest = 0;
    uint32_t n = 0;
    k->has_home = v->count == 0;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct candidate *x = &v->candidates[i];
        k->has_home |= !x->too_short;
        if (x->too_short && c->settings->pools[x->machine->pool].run_ms_max > longest)
            longest = c->settings->pools[x->machine->pool].run_ms_max;
    }
    if (longest == 0)
        return;
    if (!k->has_home && !emp_fair_overdue(&c->settings->fairness, j->tier, emp_job_waited_ms(c, j)))
        v->away = home_away(c, k);
    if (!k->has_home && v->away == NULL)
        return;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct candidate *x = &v->candidates[i];
        if (!x->too_short || (k->has_home && lends(c, x->machine, longest)))
            v->candidates[n++] = *x;
    }
    v->count = n;
}

static bool may_hold(struct emp_core *c, const struct job *j, const struct candidate *best)
{
    const struct emp_settings *s = c->settings;
    if (!c->policy->may_wait || emp_fair_overdue(&s->fairness, j->tier, emp_job_waited_ms(c, j)))
        return false;
    int64_t start = best->terms.slot_free > best->terms.fetch ? best->terms.slot_free
                                                              : best->terms.fetch;
    int64_t held = j->held_since ? c->now.mono - j->held_since : 0;
    return start / 1000 + held <= s->routing.warm_wait_ms_max;
}

void emp_core_decide(struct emp_core *c, struct class *k, struct job *j, struct verdict *v)
{
    *v = (struct verdict){
        .candidates = emp_arena_array(&c->scratch, struct candidate, c->all_count)};
    for (size_t i = 0; i < c->all_count; i++)
        if (c->all[i]->link && emp_core_candidate(c, k, j, c->all[i], &v->candidates[v->count]))
            v->count++;
    drop_too_short(c, k, j, v);
    v->best = cheapest(c, v, false);
    if (v->best == NULL)
        return;
    if (starts_now(v->best))
        v->chosen = v->best;
    else if (!may_hold(c, j, v->best))
        v->chosen = cheapest(c, v, true);
}

enum emp_fallback emp_core_fallback(const struct verdict *v, const struct candidate *x)
{
    if (x->own_pool)
        return x->has_models ? EMP_FALLBACK_NONE : EMP_FALLBACK_FETCH;
    if (x->has_models)
        return EMP_FALLBACK_OTHER_POOL;
    for (uint32_t i = 0; i < v->count; i++)
        if (v->candidates[i].has_models)
            return EMP_FALLBACK_OTHER_POOL;
    return EMP_FALLBACK_EMERGENCY;
}

void emp_core_choice_fill(struct emp_core *c, const struct candidate *x,
                          struct emp_route_choice *ret)
{
    const struct machine *m = x->machine;
    *ret = (struct emp_route_choice){
        .machine = emp_core_name(c, m->name),
        .pool = emp_pool_name(c, m->pool),
        .terms = x->terms,
        .cost = x->cost,
        .has_models = x->has_models,
        .load_suitability = m->facts.slots > m->busy ? 1.0f - (float)m->busy / (float)m->facts.slots
                                                     : 0,
    };
}

/* The chosen one first, then the others by cost. */
uint32_t emp_core_best_first(struct verdict *v, struct candidate **ret, uint32_t max)
{
    uint32_t n = 0;
    struct candidate *first = v->chosen ? v->chosen : v->best;
    if (first && max)
        ret[n++] = first;
    for (uint32_t i = 0; i < v->count; i++) {
        struct candidate *x = &v->candidates[i];
        if (x == first)
            continue;
        uint32_t at = n;
        while (at > 1 && ret[at - 1]->cost > x->cost)
            at--;
        if (at >= max)
            continue;
        uint32_t last = n < max ? n : max - 1;
        memmove(&ret[at + 1], &ret[at], (last - at) * sizeof *ret);
        ret[at] = x;
        n = last + 1;
    }
    return n;
}

void emp_core_decision_fill(struct emp_core *c, const struct class *k, const struct verdict *v,
                            struct emp_decision *d)
{
    struct candidate *best[EMP_DECISION_KEPT];
    struct verdict copy = *v;
    *d = (struct emp_decision){
        .considered = v->count,
        .estimated_run_ms = k->run_ms,
        .pool = emp_pool_name(c, k->pool),
        .fallback = emp_core_fallback(v, v->chosen),
    };
    d->count = emp_core_best_first(&copy, best, EMP_DECISION_KEPT);
    for (uint32_t i = 0; i < d->count; i++)
        emp_core_choice_fill(c, best[i], &d->candidates[i]);
}

/* ---- the pass ---- */

/* Where a class has machines of its own length, idle ones for shorter jobs are looked at once a
 * second: they are seldom borrowed, and a long queue would be gone through at every event. */
static bool any_idle_matches(struct emp_core *c, struct class *k)
{
    enum { LOOK_AGAIN_MS = 1000 };
    bool borrowable = false;
    for (size_t i = 0; i < c->idle_count; i++) {
        struct machine *m = c->idle[i];
        if (promised(c, m) >= m->facts.slots - m->busy || !emp_class_matches(c, k, m))
            continue;
        if (!k->has_home || !too_short(c, k, m))
            return true;
        borrowable = true;
    }
    if (borrowable && c->now.mono - k->borrow_looked >= LOOK_AGAIN_MS) {
        k->borrow_looked = c->now.mono;
        k->borrow_pass = c->pass;
    }
    return borrowable && k->borrow_pass == c->pass;
}

struct held {
    struct job **jobs;
    size_t count, cap;
};

static bool any_starts_now(const struct verdict *v)
{
    for (uint32_t i = 0; i < v->count; i++)
        if (starts_now(&v->candidates[i]))
            return true;
    return false;
}

/* Nothing of the class can start now: its jobs are promised to the machines that are free first, so
 * that those behind it see their queues. */
static void promise_all(struct emp_core *c, const struct class *k, struct verdict *v)
{
    uint64_t n = k->waiting.count < PROMISES_PER_CLASS ? k->waiting.count : PROMISES_PER_CLASS;
    for (; n > 0; n--) {
        struct candidate *best = cheapest(c, v, false);
        const struct machine *m = best->machine;
        promise(c, best->machine);
        best->cost += (int64_t)((double)k->mean_ms * emp_machine_speed(m) * 1000) / m->facts.slots;
    }
}

static uint32_t *class_promises(struct emp_core *c, struct class *k)
{
    if (k->promises_pass != c->pass) {
        k->promises_pass = c->pass;
        k->promises = 0;
    }
    return &k->promises;
}

/* A line so long that not each job in it is looked at: were all its jobs to queue where they cost
 * least, would the last of them go to a machine that is idle? Then this one does, for their sake.
 * They are dealt out by the sixteenth part. */
static struct candidate *for_the_line(struct emp_core *c, const struct class *k,
                                      const struct verdict *v)
{
    struct verdict line = *v;
    uint64_t part = k->waiting.count / PROMISES_PER_CLASS + 1;
    line.candidates = emp_arena_dup(&c->scratch, v->candidates, v->count * sizeof *v->candidates);
    for (uint64_t dealt = 0; dealt < k->waiting.count; dealt += part) {
        struct candidate *best = cheapest(c, &line, false);
        const struct machine *m = best->machine;
        if (starts_now(best))
            return &v->candidates[best - line.candidates];
        best->cost += (int64_t)((double)part * (double)k->mean_ms * emp_machine_speed(m) * 1000) /
                      m->facts.slots;
    }
    return NULL;
}

/* Tries one job of a class. True: the class may have more to give in this pass. */
static bool try_job(struct emp_core *c, struct class *k, struct job *j, struct held *held)
{
    if (c->idle_count == 0 || !any_idle_matches(c, k))
        return false;
    struct verdict v;
    emp_core_decide(c, k, j, &v);
    emp_eta_saw(c, k, &v);
    if (v.chosen == NULL && v.best && *class_promises(c, k) >= PROMISES_PER_CLASS)
        v.chosen = for_the_line(c, k, &v);
    if (v.chosen) {
        struct emp_decision d;
        emp_core_decision_fill(c, k, &v, &d);
        v.chosen->machine->late_last = c->late_turn;
        emp_class_dequeue(c, k, j);
        emp_spare_consider(c, k, &v, v.chosen->machine);
        emp_attempt_assign(c, j, v.chosen->machine, &d);
        return k->head != NULL;
    }
    c->holding |= v.best != NULL || v.away != NULL;
    if (v.best == NULL)
        return false;
    if (!any_starts_now(&v)) {
        promise_all(c, k, &v);
        return false;
    }
    emp_spare_consider(c, k, &v, NULL);
    if (j->held_since == 0)
        j->held_since = c->now.mono;
    j->held_for = v.best->machine;
    promise(c, v.best->machine);
    emp_arena_reserve(&c->scratch, held->jobs, held->count, held->cap);
    held->jobs[held->count++] = j;
    emp_heap_remove(&k->waiting,
                    j); /* out of the way for this pass; it keeps its place in the list by age */
    emp_class_refresh_head(c, k);
    return k->head != NULL && ++*class_promises(c, k) <= PROMISES_PER_CLASS;
}

/* Patience and rank take turns on each machine: in an overload everything is late, and fairness
 * must not end there. Turns of the fleet as a whole would not do: of two machines that become free
 * in turn one would always be patience's, and who is late and fits the other alone would never go.
 */
static bool patience_owed(const struct emp_core *c)
{
    enum { LOOKED_AT = 64 }; /* where so many are idle nobody is late for long */
    for (size_t i = 0; i < c->idle_count && i < LOOKED_AT; i++)
        if (!c->idle[i]->late_last)
            return true;
    return false;
}

static struct job *next_of(struct emp_core *c, const struct class *late, const struct class *ready)
{
    c->late_turn = late && (ready == NULL || patience_owed(c));
    if (c->late_turn)
        return late->late;
    return ready ? ready->head : NULL;
}

static void put_aside(struct emp_core *c, struct class *k)
{
    if (k->ready_place != EMP_HEAP_OUT)
        emp_heap_remove(&c->ready, k);
    if (k->late_place != EMP_HEAP_OUT)
        emp_heap_remove(&c->late, k);
}

static void pass_all(struct emp_core *c, struct held *held)
{
    struct class **aside = NULL;
    size_t count = 0, cap = 0;
    struct job *j;
    while (c->idle_count && (j = next_of(c, emp_heap_peek(&c->late), emp_heap_peek(&c->ready)))) {
        struct class *k = j->class;
        if (try_job(c, k, j, held))
            continue;
        put_aside(c, k);
        emp_arena_reserve(&c->scratch, aside, count, cap);
        aside[count++] = k;
    }
    for (size_t i = 0; i < count; i++)
        emp_class_refresh_head(c, aside[i]);
    for (size_t i = 0; i < c->idle_count; i++)
        c->idle[i]->late_last = true; /* nobody who is late fits it: that was patience's turn */
}

static void pass_dirty(struct emp_core *c, struct held *held)
{
    for (;;) {
        struct class *ready = NULL, *late = NULL;
        for (size_t i = 0; i < c->dirty_count; i++) {
            struct class *k = c->dirty_classes[i];
            if (k->dirty && k->head && (ready == NULL || c->ready.less(k, ready)))
                ready = k;
            if (k->dirty && k->late && (late == NULL || c->late.less(k, late)))
                late = k;
        }
        struct job *j = next_of(c, late, ready);
        if (j == NULL || c->idle_count == 0)
            return;
        struct class *k = j->class;
        if (!try_job(c, k, j, held))
            k->dirty = false;
    }
}

static void refresh_heads(struct emp_core *c)
{
    if (c->now.mono - c->heads_refreshed < HEADS_REFRESH_MS)
        return;
    c->heads_refreshed = c->now.mono;
    size_t n = c->ready.count;
    struct class **all = emp_arena_array(&c->scratch, struct class *, n);
    if (n)
        memcpy(all, c->ready.items, n * sizeof *all);
    for (size_t i = 0; i < n; i++)
        emp_class_refresh_head(c, all[i]);
}

static void clean(struct emp_core *c)
{
    for (size_t i = 0; i < c->dirty_count; i++)
        c->dirty_classes[i]->dirty = false;
    c->dirty_count = 0;
    c->dirty_all = false;
}

void emp_core_schedule(struct emp_core *c)
{
    if (c->policy->pull_ms > 0) {
        emp_core_pull(c);
        clean(c);
        return;
    }
    if (!c->dirty_all && c->dirty_count == 0)
        return;
    struct held held = {0};
    c->pass++;
    if (c->dirty_all) {
        c->holding = false;
        refresh_heads(c);
        pass_all(c, &held);
    } else {
        pass_dirty(c, &held);
    }
    for (size_t i = 0; i < held.count; i++) {
        struct job *j = held.jobs[i];
        emp_heap_push(&j->class->waiting, j);
        emp_class_refresh_head(c, j->class);
    }
    clean(c);
}

/* When a job is expected to start and to be done; told with the answer to its submission, and to
 * whoever asks later.
 *
 * It must cost next to nothing at submission, whatever the fleet and the queue: a job that got its
 * machine in the same step has its terms already (schedule.c). For one that waits two things are
 * put together:
 *
 *   - what scheduling saw when it last weighed the machines for the job's class: how soon the best
 *     is free, has the models and has them loaded, and how many slots there are in the class's pool
 *     that would do. Where that is older than a second the machines are weighed anew, but at most
 *     20,000 of them a second: beyond that what was seen has to do.
 *   - the work in line before it: jobs of one pool and service stand in one line, by rank. Where
 *     each would stand is a table of at most 1,024 sampled jobs, made anew once a second or after
 *     256 have come; who came and went since is added up.
 *
 * Expected is then the first free slot, and after it the work ahead over the slots, stretched by
 * what jobs there take beside computing. What this leaves out (who comes later and overtakes, who
 * fits where) is in the errors made so far: policy/eta.h. */
#include "core/internal.h"

#include <stdlib.h>

enum {
    SEEN_MS = 1000,
    WEIGHED_PER_S = 20000,
    LINE_MS = 1000,
    LINE_MS_PER = 8, /* waiting classes: a long queue is looked through less often */
    LINES_MAX = 256,
    STRETCH_MEMORY = 64,
    WHY_MAX = 240,
};

/* ------------------------------------------------------------------ lines */

static uint64_t line_key(const struct class *k)
{
    return emp_mix64(emp_str_hash(k->spec.service) + k->pool) | 1;
}

static struct line *line_find(const struct watch *w, const struct class *k)
{
    uint32_t at;
    return emp_map_get(&w->by_key, line_key(k), &at) ? &w->lines[at] : NULL;
}

/* Where there are too many all start over; their places are used again. */
static struct line *line_of(struct emp_core *c, struct watch *w, const struct class *k)
{
    struct line *l = line_find(w, k);
    if (l)
        return l;
    if (w->line_count == LINES_MAX)
        while (w->line_count)
            emp_map_del(&w->by_key, w->lines[--w->line_count].key);
    emp_arena_reserve(&c->arena, w->lines, w->line_count, w->line_cap);
    emp_map_put(&w->by_key, line_key(k), (uint32_t)w->line_count);
    l = &w->lines[w->line_count++];
    *l = (struct line){.key = line_key(k), .at = INT64_MIN / 2, .stretch = 1, .places = l->places};
    return l;
}

static int by_rank(const void *a, const void *b)
{
    const struct line_place *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Every n-th waiting job of its classes, so that they fit; each stands for n. */
static void line_refresh(struct emp_core *c, struct line *l)
{
    uint64_t jobs = 0, step, seen = 0;
    double ahead = 0;
    for (uint32_t i = 0; i < c->ready.count; i++) {
        const struct class *k = c->ready.items[i];
        jobs += line_key(k) == l->key ? k->waiting.count : 0;
    }
    step = jobs / LINE_PLACES + 1;
    if (l->places == NULL)
        l->places = emp_arena_array(&c->arena, struct line_place, LINE_PLACES);
    l->count = 0;
    for (uint32_t i = 0; i < c->ready.count && jobs; i++) {
        const struct class *k = c->ready.items[i];
        if (line_key(k) != l->key)
            continue;
        for (uint32_t n = 0; n < k->waiting.count; n++)
            if (seen++ % step == 0 && l->count < LINE_PLACES)
                l->places[l->count++] =
                    (struct line_place){((const struct job *)k->waiting.items[n])->rank,
                                        (double)k->mean_ms * (double)step};
    }
    qsort(l->places, l->count, sizeof *l->places, by_rank);
    for (uint32_t i = 0; i < l->count; i++) {
        double work = l->places[i].ahead_ms;
        l->places[i].ahead_ms = ahead;
        ahead += work;
    }
    l->all_ms = ahead;
    l->at = c->now.mono;
    l->went_ms = 0;
    l->came_count = 0;
}

/* Of the table: the work before the first place that a job of this rank does not stand behind. */
static double table_ahead(const struct line *l, int64_t rank)
{
    uint32_t low = 0, high = l->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (l->places[middle].rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->count ? l->places[low].ahead_ms : l->all_ms;
}

/* Work that goes before a job of this rank. */
static double work_ahead(struct emp_core *c, const struct job *j, enum watcher who)
{
    struct line *l = line_of(c, &c->watch[who], j->class);
    if (l->came_count == LINE_CAME || c->now.mono - l->at >= LINE_MS + c->ready.count / LINE_MS_PER)
        line_refresh(c, l);
    double ahead = table_ahead(l, j->rank) - l->went_ms;
    for (uint32_t i = 0; i < l->came_count; i++)
        ahead += l->came[i].rank < j->rank ? l->came[i].ahead_ms : 0;
    return ahead > 0 ? ahead * l->stretch : 0;
}

static void came(struct emp_core *c, const struct job *j)
{
    for (int who = 0; who < 2 && j->machine == NULL; who++) {
        struct line *l = line_find(&c->watch[who], j->class);
        if (l && l->came_count < LINE_CAME)
            l->came[l->came_count++] = (struct line_place){j->rank, (double)j->class->mean_ms};
    }
}

/* One that got its machine at once never came. */
void emp_eta_went(struct emp_core *c, const struct job *j)
{
    for (int who = 0; who < 2 && j->told.is; who++) {
        struct line *l = line_find(&c->watch[who], j->class);
        if (l)
            l->went_ms += (double)j->class->mean_ms;
    }
}

/* Its machine was its own for so long; much of that is loading, in some lines. */
static void stretch(struct emp_core *c, const struct job *j)
{
    const double most = 8;
    int64_t held = c->now.wall - j->assigned_at;
    if (held <= 0 || j->class->mean_ms <= 0)
        return;
    double to = (double)held / (double)j->class->mean_ms;
    for (int who = 0; who < 2; who++) {
        struct line *l = line_find(&c->watch[who], j->class);
        if (l)
            l->stretch += ((to < most ? to : most) - l->stretch) / STRETCH_MEMORY;
    }
}

/* ------------------------------------------------------------------ what scheduling saw */

static void see(const struct emp_core *c, const struct verdict *v, struct foresight *f)
{
    *f =
        (struct foresight){.at = c->now.mono, .known = true, .any = v->best != NULL, .why = f->why};
    if (v->best == NULL)
        return;
    const struct emp_route_terms *t = &v->best->terms;
    f->slot_ms = t->slot_free / 1000;
    f->fetch_ms = t->fetch / 1000;
    f->load_ms = t->load / 1000;
    f->machine = v->best->machine;
    f->machine_name = v->best->machine->name;
    for (uint32_t i = 0; i < v->count; i++)
        if (v->candidates[i].own_pool || !v->best->own_pool)
            f->slots += v->candidates[i].machine->facts.slots;
    if (f->slots == 0)
        f->slots = 1;
}

/* Where one goes now, the next finds it otherwise. */
void emp_eta_saw(struct emp_core *c, struct class *k, const struct verdict *v)
{
    struct foresight *f = &k->seen[WATCHER_TELLS];
    see(c, v, f);
    f->known = v->chosen == NULL;
}

static bool may_look(struct emp_core *c, struct watch *w)
{
    int64_t second = c->now.mono / 1000;
    if (w->second != second) {
        w->second = second;
        w->weighed = 0;
    }
    if (w->weighed >= WEIGHED_PER_S)
        return false;
    w->weighed += c->all_count;
    return true;
}

static void look(struct emp_core *c, struct job *j, struct foresight *f)
{
    struct verdict v;
    emp_core_weigh(c, j, &v);
    see(c, &v, f);
    if (v.best)
        return;
    struct emp_str why = emp_str_z(emp_core_why_waiting(c, j, &v, &c->scratch));
    if (f->why == NULL)
        f->why = emp_arena_alloc(&j->class->arena, WHY_MAX);
    f->why_len = why.len < WHY_MAX ? why.len : WHY_MAX;
    memcpy(f->why, why.ptr, f->why_len);
}

/* ------------------------------------------------------------------ telling */

struct foreseen {
    int64_t start_ms;
    enum emp_eta_start kind;
    const struct machine *machine; /* NULL: not known which */
};

/* False: nobody can tell; *why then says why. */
static bool foresee_waiting(struct emp_core *c, struct job *j, enum watcher who,
                            struct foreseen *ret, struct emp_str *why)
{
    *why = EMP_STR("no machine is connected");
    if (c->slots == 0)
        return false;
    struct foresight *f = &j->class->seen[who];
    if ((!f->known || c->now.mono - f->at >= SEEN_MS) && may_look(c, &c->watch[who]))
        look(c, j, f);
    *why = (struct emp_str){f->why, f->why_len};
    if (!f->any)
        return false;
    *why = (struct emp_str){0};
    int64_t passed = c->now.mono - f->at, slot = f->slot_ms - passed, fetch = f->fetch_ms - passed;
    slot = (slot > 0 ? slot : 0) + (int64_t)(work_ahead(c, j, who) / f->slots);
    if (j->timer_place != EMP_HEAP_OUT && j->due - c->now.mono > slot)
        slot = j->due - c->now.mono; /* backs off */
    ret->kind = emp_eta_start_of(slot > 0 ? slot : 1, fetch, f->load_ms);
    ret->start_ms = (slot > fetch ? slot : fetch) + f->load_ms;
    ret->machine = f->machine->name == f->machine_name ? f->machine : NULL;
    return true;
}

/* Its machine is chosen: what was foreseen when it was. */
static void foresee_assigned(const struct emp_core *c, const struct job *j, struct foreseen *ret)
{
    const struct emp_decision *d = j->decision ? emp_slab_at(&c->decisions, j->decision) : NULL;
    const struct emp_route_terms *t = d && d->count ? &d->candidates[0].terms : NULL;
    int64_t start = j->starts_at - c->now.mono;
    ret->start_ms = start > 0 ? start : 0;
    ret->kind = t ? emp_eta_start_of(t->slot_free, t->fetch, t->load) : EMP_ETA_FETCH;
    ret->machine = j->machine;
}

/* The run, as far as it is still to come. */
static void tell_running(struct emp_core *c, struct job *j, struct emp_eta *ret)
{
    struct emp_duration_guess g;
    int64_t ran = c->now.mono - j->computes_at, left = emp_job_left_ms(c, j);
    bool known = emp_core_guess_run(c, j, j->machine, &g);
    ret->finish_p50_ms = known && g.p50_ms > ran ? g.p50_ms - ran : left;
    ret->finish_p90_ms = known && g.p90_ms > ran ? g.p90_ms - ran : 2 * left;
    if (ret->finish_p90_ms < ret->finish_p50_ms)
        ret->finish_p90_ms = ret->finish_p50_ms;
}

static const struct emp_eta unknown = {
    EMP_ETA_UNKNOWN, EMP_ETA_UNKNOWN, EMP_ETA_UNKNOWN, EMP_ETA_UNKNOWN, {0}};

/* `told`: what is kept of it; NULL: of one who only asks nothing is, and nothing else changes. */
static void expect(struct emp_core *c, struct job *j, struct emp_eta *ret, struct told *told)
{
    struct foreseen f = {0};
    struct emp_duration_guess g = {0};
    *ret = unknown;
    if (c->policy->pull_ms > 0) /* machines choose, nobody knows when */
        return;
    if (j->state == EMP_JOB_IN_PROGRESS) {
        tell_running(c, j, ret);
        return;
    }
    if (j->machine)
        foresee_assigned(c, j, &f);
    else if (!foresee_waiting(c, j, told ? WATCHER_TELLS : WATCHER_ASKS, &f, &ret->reason))
        return;
    if (!emp_core_guess_run(c, j, f.machine, &g))
        g.p50_ms = j->class->mean_ms;
    uint32_t end_kind = emp_eta_end_of(f.kind, g.known);
    int64_t end_ms = f.start_ms + g.p50_ms;
    emp_eta_tell(&c->eta, f.kind, f.start_ms, &ret->start_p50_ms, &ret->start_p90_ms);
    emp_eta_tell(&c->eta, end_kind, end_ms, &ret->finish_p50_ms, &ret->finish_p90_ms);
    if (ret->finish_p50_ms < ret->start_p50_ms)
        ret->finish_p50_ms = ret->start_p50_ms;
    if (ret->finish_p90_ms < ret->start_p90_ms)
        ret->finish_p90_ms = ret->start_p90_ms;
    if (told)
        *told = (struct told){.is = true,
                              .start_kind = (uint8_t)f.kind,
                              .end_kind = (uint8_t)end_kind,
                              .start_ms = f.start_ms,
                              .end_ms = end_ms};
}

void emp_eta_tell_submitted(struct emp_core *c, struct job *j, struct emp_eta *ret)
{
    expect(c, j, ret, &j->told);
    ret->reason = emp_core_keep(c, ret->reason);
    came(c, j);
}

/* It completed: what was told at its submission is held against it. */
void emp_eta_learn_from(struct emp_core *c, const struct job *j)
{
    if (!j->told.is)
        return;
    int64_t start = j->computes_at - j->arrived, end = c->now.mono - j->arrived;
    emp_eta_learn(&c->eta, j->told.start_kind, j->told.start_ms, start > 0 ? start : 0);
    emp_eta_learn(&c->eta, j->told.end_kind, j->told.end_ms, end > 0 ? end : 0);
    stretch(c, j);
    c->learned_dirty = true;
}

int emp_core_expect(struct emp_core *c, struct emp_now now, emp_job_num num, struct emp_eta *ret)
{
    struct job *j = emp_core_asked(c, now, num);
    if (j == NULL)
        return EMP_E_NOT_FOUND;
    expect(c, j, ret, NULL);
    return 0;
}

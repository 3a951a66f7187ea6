/* What a placement is worth: for each set the expected wait of a job, as it counts, against that
 * without any copy.
 *
 * A job meets each holder free, busy or gone, independently (p_free, p_busy, rest), and takes the
 * cheapest start: a free holder at its cost, a busy one at its cost and a run more, or at the end
 * the way of bringing everything. Walking both kinds of start by rising cost gives the expectation
 * in as many steps as it takes until the chance that nothing was free is nil. Being the expected
 * minimum over options, the value has diminishing returns in replicas.
 *
 * What a holder lacks comes over its own link, but counts as no faster than the mean: a fast link
 * is there without the copy as well, and a crumb on each machine that has one would look like a
 * gain.
 *
 * "Busy" joins two causes: other work (the machine's busy share u), and the set's own bursts, which
 * the mean load hides: a job that finds `a` jobs of its set running on average finds a holder busy
 * with one of them by a / (1 + a). Together: 1 - (1 - u) / (1 + a).
 *
 * All changes the search makes concern one machine, so a change touches one entry in the lists of
 * those sets that have one of the changed models. place_value_gain() walks these lists with the
 * entry exchanged on the fly, place_value_apply() exchanges it. */
#include "policy/place_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_S_MAX  1800.0 /* longer waits count as this */
#define FIRST_LOOK  24
#define KEPT_BEYOND 4    /* holders kept in a list beyond those that a job may come to */
#define CHANCE_NONE 1e-7 /* of none before being free: the rest is not looked at */

double place_count_wait(const struct emp_place_settings *s, double seconds)
{
    double x = seconds < WAIT_S_MAX ? seconds : WAIT_S_MAX;
    double late = s->promise_s > 0 ? (x - s->promise_s / 2) / s->promise_s : x > 0;
    return x + s->late_s * (late < 0 ? 0 : late > 1 ? 1 : late);
}

/* ---- one machine, one set ---- */

void place_cost(const struct place *p, const struct place_set *s, uint32_t machine,
                double ret[WINDOWS])
{
    const struct place_machine *m = &p->machine[machine];
    const uint8_t *tier = p->tier + place_cell(p, machine, 0);
    double mean_s = p->scopes[s->scope].link_s, fetch = 0, load = 0, disk = 0, ram = 0;
    double link_s = m->link_s > mean_s ? m->link_s : mean_s;
    bool holds = false;
    for (uint32_t i = 0; i < s->model_count; i++) {
        uint8_t t = tier[s->models[i]];
        const struct place_weight *model = &p->weight[s->models[i]];
        holds |= t != TIER_NONE;
        fetch += t == TIER_NONE ? model->fetch : 0;
        load += model->load;
        disk += t <= TIER_DISK ? model->load : 0;
        ram += t == TIER_RAM ? model->load : 0;
    }
    double near = fetch * link_s + disk * m->disk_s + ram * m->ram_s;
    double far = fetch * link_s + load * m->disk_s;
    holds &= s->bytes <= m->budget[TIER_DISK];
    ret[WINDOW_NEAR] = holds && near < s->none_s ? near : INFINITY;
    ret[WINDOW_FAR] = holds && far < s->none_s ? far : INFINITY;
}

static struct place_holder holder_of(const struct place *p, const struct place_set *s,
                                     uint32_t machine, enum place_window w, double cost)
{
    const struct place_machine *m = &p->machine[machine];
    double free = m->stays[w] * (1 - m->busy) / (1 + s->concurrency);
    return (struct place_holder){
        .cost = cost,
        .free = place_count_wait(&p->s, cost),
        .later = place_count_wait(&p->s, cost + s->run_s),
        .p_free = free,
        .p_busy = free < 1 ? (m->stays[w] - free) / (1 - free) : 0,
        .machine = machine,
    };
}

static bool goes_before(const struct place_holder *a, const struct place_holder *b)
{
    if (a->cost < b->cost || a->cost > b->cost)
        return a->cost < b->cost;
    return a->machine < b->machine;
}

/* ---- the walk ---- */

struct walk {
    const struct place_list *list;
    uint32_t at, skip;                /* skip: machine */
    const struct place_holder *extra; /* NULL once it came by */
};

static inline const struct place_holder *step(struct walk *w)
{
    while (w->at < w->list->count && w->list->at[w->at].machine == w->skip)
        w->at++;
    const struct place_holder *next = w->at < w->list->count ? &w->list->at[w->at] : NULL;
    if (w->extra && (next == NULL || goes_before(w->extra, next))) {
        next = w->extra;
        w->extra = NULL;
        return next;
    }
    w->at++;
    return next;
}

/* Expected wait with `extra` (may be NULL) in place of `machine`'s entry. Nothing changes before
 * place `from`, so the walk begins one before it, as it was then. */
static double expect(const struct place_set *s, const struct place_list *list, uint32_t from,
                     uint32_t machine, const struct place_holder *extra)
{
    double none = 1, sum = 0;
    struct walk free = {list, 0, machine, extra}, busy = free;
    if (from > list->reached)
        from = list->reached;
    if (from > 0) {
        const struct place_holder *h = &list->at[from - 1];
        none = h->none;
        sum = h->sum;
        free.at = from - 1;
        busy.at = h->busy_at;
    }
    const struct place_holder *f = step(&free), *b = step(&busy);
    while (none > CHANCE_NONE) {
        if (f && !(b->cost + s->run_s < f->cost)) { // b is never past f
            sum += none * f->p_free * f->free;
            none *= 1 - f->p_free;
            f = step(&free);
        } else if (b && b->cost + s->run_s < s->none_s) {
            sum += none * b->p_busy * b->later;
            none *= 1 - b->p_busy;
            b = step(&busy);
        } else {
            break;
        }
    }
    return sum + none * s->none;
}

/* The same for the list as it is, leaving its traces. */
static void walk(const struct place_set *s, struct place_list *l)
{
    double none = 1, sum = 0, last = 0;
    uint32_t f = 0, b = 0;
    while (none > CHANCE_NONE) {
        if (f < l->count && !(l->at[b].cost + s->run_s < l->at[f].cost)) {
            struct place_holder *h = &l->at[f++];
            h->none = none;
            h->sum = sum;
            h->busy_at = b;
            last = h->cost;
            sum += none * h->p_free * h->free;
            none *= 1 - h->p_free;
        } else if (b < l->count && l->at[b].cost + s->run_s < s->none_s) {
            sum += none * l->at[b].p_busy * l->at[b].later;
            none *= 1 - l->at[b].p_busy;
            last = l->at[b++].cost + s->run_s;
        } else {
            break;
        }
    }
    l->reached = f;
    l->beyond = none > CHANCE_NONE ? INFINITY : last;
    l->expected = sum + none * s->none;
}

/* ---- lists ---- */

static uint32_t find_holder(const struct place_list *l, double cost, uint32_t machine)
{
    const struct place_holder h = {.cost = cost, .machine = machine};
    uint32_t low = 0, high = l->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (goes_before(&l->at[mid], &h))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int by_cost(const void *a, const void *b)
{
    const struct place_key *x = a, *y = b;
    if (x->cost < y->cost || x->cost > y->cost)
        return x->cost < y->cost ? -1 : 1;
    return x->machine < y->machine ? -1 : 1;
}

/* The list anew, of sorted keys: as many of them as a job may come to, and some more. */
static void fill(struct place *p, struct place_set *s, enum place_window w, uint32_t count)
{
    const struct place_key *keys = p->keys[w];
    struct place_list *l = &s->list[w], all = {.at = p->gathered};
    uint32_t wanted = FIRST_LOOK;
    do { // most end early
        for (; all.count < wanted && all.count < count; all.count++)
            all.at[all.count] = holder_of(p, s, keys[all.count].machine, w, keys[all.count].cost);
        walk(s, &all);
        wanted *= 4;
    } while (all.count < count && !(all.beyond < keys[all.count - 1].cost));
    uint32_t keep = all.beyond < INFINITY ? all.reached + all.reached / 4 + KEPT_BEYOND : count;
    keep = keep < all.count ? keep : all.count;
    if (keep > l->cap) {
        emp_arena_give_back(p->arena, l->at, l->cap * sizeof *l->at);
        l->cap = keep + 2;
        l->at = emp_arena_array(p->arena, struct place_holder, l->cap);
    }
    if (keep > 0)
        memcpy(l->at, all.at, keep * sizeof *l->at);
    l->count = keep;
    l->reached = all.reached;
    l->beyond = all.beyond;
    l->expected = all.expected;
    l->complete = keep < count ? l->at[keep - 1].cost : INFINITY;
}

/* Both lists anew, from what stands on the machines. */
static void gather(struct place *p, struct place_set *s)
{
    const struct place_scope *scope = &p->scopes[s->scope];
    uint32_t count[WINDOWS] = {0};
    for (uint32_t i = 0; i < scope->machine_count; i++) {
        uint32_t machine = scope->machines[i];
        const uint8_t *tier = p->tier + place_cell(p, machine, 0);
        uint8_t any = 0;
        for (uint32_t k = 0; k < s->model_count; k++)
            any |= tier[s->models[k]];
        if (!any)
            continue;
        double cost[WINDOWS];
        place_cost(p, s, machine, cost);
        for (int w = 0; w < WINDOWS; w++)
            if (cost[w] < INFINITY)
                p->keys[w][count[w]++] = (struct place_key){cost[w], machine};
    }
    for (int w = 0; w < WINDOWS; w++) {
        if (count[w] > 1)
            qsort(p->keys[w], count[w], sizeof *p->keys[w], by_cost);
        fill(p, s, w, count[w]);
    }
}

static void remove_holder(struct place_list *l, uint32_t machine)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->at[i].machine != machine)
            continue;
        memmove(l->at + i, l->at + i + 1, (l->count - i - 1) * sizeof *l->at);
        l->count--;
        return;
    }
}

static void insert_holder(struct place *p, struct place_list *l, const struct place_holder *h)
{
    emp_arena_reserve(p->arena, l->at, l->count, l->cap);
    uint32_t at = find_holder(l, h->cost, h->machine);
    memmove(l->at + at + 1, l->at + at, (l->count - at) * sizeof *l->at);
    l->at[at] = *h;
    l->count++;
}

/* Cut off once it has grown far beyond what a job may come to. */
static void cut(struct place_list *l)
{
    if (!(l->beyond < INFINITY) || l->count < 4 * (l->reached + KEPT_BEYOND))
        return;
    l->count = 2 * (l->reached + KEPT_BEYOND);
    l->complete = l->at[l->count - 1].cost;
}

static void refresh(struct place *p, struct place_set *s, uint32_t machine)
{
    double cost[WINDOWS];
    bool missing = false;
    place_cost(p, s, machine, cost);
    s->dirty = true;
    for (int w = 0; w < WINDOWS; w++) {
        struct place_list *l = &s->list[w];
        remove_holder(l, machine);
        if (cost[w] < INFINITY && cost[w] <= l->complete) {
            struct place_holder h = holder_of(p, s, machine, w, cost[w]);
            insert_holder(p, l, &h);
        }
        walk(s, l);
        if (l->complete < INFINITY && !(l->beyond <= l->complete))
            missing = true; // those that were cut off matter now
        cut(l);
    }
    if (missing)
        gather(p, s);
}

static void init_none(const struct place *p, struct place_set *s)
{
    const struct place_scope *scope = &p->scopes[s->scope];
    double cost = scope->queue * s->run_s;
    for (uint32_t i = 0; i < s->model_count; i++) {
        const struct place_weight *model = &p->weight[s->models[i]];
        s->bytes += p->bytes[s->models[i]];
        cost += model->fetch * scope->link_s + model->load * scope->disk_s;
    }
    s->none_s = cost < WAIT_S_MAX ? cost : WAIT_S_MAX;
    s->none = place_count_wait(&p->s, s->none_s);
}

void place_value_init(struct place *p)
{
    for (uint32_t i = 0; i < p->set_count; i++) {
        init_none(p, &p->sets[i]);
        gather(p, &p->sets[i]);
    }
}

double place_value_total(const struct place *p)
{
    double sum = 0;
    for (uint32_t i = 0; i < p->real_count; i++)
        for (int w = 0; w < WINDOWS; w++)
            sum += p->sets[i].weight[w] * (p->sets[i].none - p->sets[i].list[w].expected);
    return sum;
}

/* ---- changes ---- */

static double gain_of_set(struct place *p, const struct place_touch *t, uint32_t machine)
{
    const struct place_set *s = &p->sets[t->set];
    double gain = 0, cost[WINDOWS];
    place_cost(p, s, machine, cost);
    for (int w = 0; w < WINDOWS; w++) {
        const struct place_list *l = &s->list[w];
        double least = cost[w] < t->cost[w] ? cost[w] : t->cost[w];
        bool same = !(cost[w] < t->cost[w] || cost[w] > t->cost[w]);
        if (same || least > l->beyond || !(s->weight[w] > 0))
            continue;
        struct place_holder h;
        bool is = cost[w] < INFINITY;
        if (is)
            h = holder_of(p, s, machine, w, cost[w]);
        p->evaluations++;
        gain += s->weight[w] * (l->expected - expect(s, l, find_holder(l, least, machine), machine,
                                                     is ? &h : NULL));
    }
    return gain;
}

static uint32_t touch_sets(struct place *p, uint32_t machine, const struct place_change *c,
                           uint32_t n)
{
    uint32_t touched = 0;
    p->stamp_now++;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = p->sets_from[c[i].model]; j < p->sets_from[c[i].model + 1]; j++) {
            struct place_member member = p->sets_by_model[j];
            if (member.set >= p->real_count)
                break;
            if (!p->scopes[member.scope].has[machine] || p->stamp[member.set] == p->stamp_now)
                continue;
            p->stamp[member.set] = p->stamp_now;
            struct place_touch *t = &p->touch[touched++];
            t->set = member.set;
            place_cost(p, &p->sets[member.set], machine, t->cost);
        }
    return touched;
}

double place_value_gain(struct place *p, uint32_t machine, const struct place_change *c, uint32_t n)
{
    uint8_t old[PLACE_CHANGES_MAX];
    uint32_t touched = touch_sets(p, machine, c, n);
    double gain = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *t = &p->tier[place_cell(p, machine, c[i].model)];
        old[i] = *t;
        *t = c[i].tier;
    }
    p->evaluations += touched / 4; // looking costs too
    for (uint32_t i = 0; i < touched; i++)
        gain += gain_of_set(p, &p->touch[i], machine);
    for (uint32_t i = n; i-- > 0;)
        p->tier[place_cell(p, machine, c[i].model)] = old[i];
    return gain;
}

static void set_tier(struct place *p, uint32_t machine, uint32_t model, uint8_t to)
{
    struct place_machine *m = &p->machine[machine];
    size_t cell = place_cell(p, machine, model);
    uint8_t from = p->tier[cell];
    if (from == to)
        return;
    p->tier[cell] = to;
    if (from > TIER_DISK)
        m->used[from] -= p->bytes[model];
    if (to > TIER_DISK)
        m->used[to] += p->bytes[model];
    if (from != TIER_NONE && to != TIER_NONE)
        return;
    int64_t sign = to == TIER_NONE ? -1 : 1;
    m->used[TIER_DISK] += sign * p->bytes[model];
    if (p->present[cell] == TIER_NONE) {
        m->fetches += (uint32_t)sign;
        m->fetch_bytes += sign * p->bytes[model];
        p->fetch_bytes += sign * p->bytes[model];
    } else if (!(p->flags[cell] & COPY_FETCHING) && p->in->machines[machine].serves) {
        p->whole[model] += (uint32_t)sign;
    }
    if (sign > 0) {
        emp_arena_reserve(p->arena, m->held, m->held_count, m->held_cap);
        m->held[m->held_count++] = model;
        return;
    }
    for (uint32_t i = 0; i < m->held_count; i++)
        if (m->held[i] == model) {
            memmove(m->held + i, m->held + i + 1, (m->held_count - i - 1) * sizeof *m->held);
            m->held_count--;
            return;
        }
}

static void forget_loss(struct place_machine *m, uint32_t model)
{
    m->losses_stale = m->touched = true;
    m->loss_age++;
    for (uint32_t i = 0; i < m->loss_count; i++)
        if (m->losses[i].model == model)
            for (int t = TIER_DISK; t < TIER_COUNT; t++)
                m->losses[i].of[t] = LOSS_UNKNOWN;
}

void place_value_apply(struct place *p, uint32_t machine, const struct place_change *c, uint32_t n)
{
    p->stamp_now++;
    for (uint32_t i = 0; i < n; i++) {
        emp_arena_reserve(p->arena, p->undo, p->undo_count, p->undo_cap);
        p->undo[p->undo_count++] =
            (struct place_undo){machine, c[i].model, p->tier[place_cell(p, machine, c[i].model)]};
        set_tier(p, machine, c[i].model, c[i].tier);
        forget_loss(&p->machine[machine], c[i].model);
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = p->sets_from[c[i].model]; j < p->sets_from[c[i].model + 1]; j++) {
            struct place_member member = p->sets_by_model[j];
            if (!p->scopes[member.scope].has[machine] || p->stamp[member.set] == p->stamp_now)
                continue;
            p->stamp[member.set] = p->stamp_now;
            refresh(p, &p->sets[member.set], machine);
        }
}

void place_value_losses(struct place *p, const struct place_set *s, uint8_t to, place_loss_fn fn,
                        void *ctx)
{
    for (int w = 0; w < WINDOWS; w++)
        for (uint32_t i = 0; i < s->list[w].reached && s->weight[w] > 0; i++) {
            const struct place_list *l = &s->list[w];
            uint32_t machine = l->at[i].machine;
            for (uint32_t k = 0; k < s->model_count; k++) {
                uint8_t *tier = &p->tier[place_cell(p, machine, s->models[k])], was = *tier;
                double cost[WINDOWS];
                if (was <= to)
                    continue;
                *tier = to;
                place_cost(p, s, machine, cost);
                *tier = was;
                struct place_holder h = holder_of(p, s, machine, w, cost[w]);
                double wait = expect(s, l, i, machine, cost[w] < INFINITY ? &h : NULL);
                fn(ctx, machine, s->models[k], s->weight[w] * (wait - l->expected));
            }
        }
}

/* ---- prices ---- */

int64_t place_left(const struct place *p, uint32_t machine, uint32_t model)
{
    size_t cell = place_cell(p, machine, model);
    uint32_t at;
    if (p->present[cell] == TIER_NONE)
        return p->bytes[model];
    if (!(p->flags[cell] & COPY_FETCHING) || !emp_map_get(&p->left, cell + 1, &at))
        return 0;
    int64_t left = p->in->copies[at].bytes_left;
    return left < 0 ? 0 : left > p->bytes[model] ? p->bytes[model] : left;
}

double place_load_s(const struct place *p, uint32_t machine, uint32_t model, uint8_t from,
                    uint8_t to)
{
    if (to <= TIER_DISK || to <= from || !p->in->models[model].loads)
        return 0;
    double rate = from == TIER_RAM ? p->machine[machine].ram_s : p->machine[machine].disk_s;
    return (double)p->bytes[model] * rate;
}

double place_price(const struct place *p, uint32_t machine, uint32_t model, uint8_t tier,
                   bool margin)
{
    uint8_t present = p->present[place_cell(p, machine, model)];
    bool fetching = p->flags[place_cell(p, machine, model)] & COPY_FETCHING;
    double gb = 1e-9 * (double)p->bytes[model], price = 0, least = 0;
    if (tier == TIER_NONE)
        return 0;
    if (present == TIER_NONE) {
        price += gb * (p->s.gb_moved_s + p->s.gb_hour_s * p->s.far_h);
        least += p->s.gain_fetch_s;
    } else if (fetching) { // begun: what is left, without margin, so that plans do not waver
        price += 1e-9 * (double)place_left(p, machine, model) * p->s.gb_moved_s;
    }
    double load = place_load_s(p, machine, model, present, tier);
    if (load > 0 || (tier > present && tier > TIER_DISK)) {
        price += load * p->s.load_s;
        least += p->s.gain_load_s;
    }
    return margin && (least > 0 || present == TIER_NONE) ? price * (1 + p->s.margin) + least
                                                         : price;
}

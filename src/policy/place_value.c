/* What a placement is worth: for each set the expected wait of a job, as it counts, against that
 * without any copy.
 *
 * A job meets each holder free, busy or gone, independently (p_free, p_busy, rest), and takes the
 * cheapest start: a free holder at its cost, a busy one at its cost and a run more, or at the end
 * the way of bringing everything. Walking both kinds of start by rising cost gives the expectation
 * in as many steps as it takes until the chance that nothing was free is nil. Being the expected
 * minimum over options, the value has diminishing returns in replicas.
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
#include <string.h>

#define WAIT_S_MAX  1800.0 /* longer waits count as this */
#define CHANCE_NONE 1e-9   /* of none before being free: the rest is not looked at */

double place_count_wait(const struct emp_place_settings *s, double seconds)
{
    double x = seconds < WAIT_S_MAX ? seconds : WAIT_S_MAX;
    double late = s->promise_s > 0 ? (x - s->promise_s / 2) / s->promise_s : x > 0;
    return x + s->late_s * (late < 0 ? 0 : late > 1 ? 1 : late);
}

/* ---- one machine, one set ---- */

static double fetch_s(const struct place *p, uint32_t model, double link_s)
{
    if (!p->in->models[model].fetchable)
        return WAIT_S_MAX;
    return (double)p->bytes[model] * link_s;
}

double place_cost(const struct place *p, const struct place_set *s, uint32_t machine,
                  enum place_window w)
{
    const struct place_machine *m = &p->machine[machine];
    const uint8_t *tier = p->tier + machine;
    double cost = 0;
    for (uint32_t i = 0; i < s->model_count; i++) {
        uint32_t model = s->models[i];
        uint8_t t = tier[(size_t)model * p->machines];
        if (t == TIER_NONE)
            cost += fetch_s(p, model, m->link_s);
        if (!p->in->models[model].loads || (t == TIER_GPU && w == WINDOW_NEAR))
            continue;
        cost += (double)p->bytes[model] *
                (t == TIER_RAM && w == WINDOW_NEAR ? m->ram_s : m->disk_s);
    }
    return cost;
}

/* The machine's entry in the set's list; false: it belongs not there. */
static bool holder_of(const struct place *p, const struct place_set *s, uint32_t machine,
                      enum place_window w, struct place_holder *ret)
{
    const uint8_t *tier = p->tier + machine;
    bool holds = false;
    for (uint32_t i = 0; i < s->model_count && !holds; i++)
        holds = tier[(size_t)s->models[i] * p->machines] != TIER_NONE;
    if (!holds)
        return false;
    double cost = place_cost(p, s, machine, w);
    if (!(cost < s->none_s))
        return false;
    const struct place_machine *m = &p->machine[machine];
    double free = m->stays[w] * (1 - m->busy) / (1 + s->concurrency);
    *ret = (struct place_holder){
        .cost = cost,
        .free = place_count_wait(&p->s, cost),
        .later = place_count_wait(&p->s, cost + s->run_s),
        .p_free = free,
        .p_busy = free < 1 ? (m->stays[w] - free) / (1 - free) : 0,
        .machine = machine,
    };
    return true;
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

static const struct place_holder *step(struct walk *w)
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

/* Expected wait with `extra` (may be NULL) in place of `machine`'s entry. */
static double expect(const struct place_set *s, const struct place_list *list, uint32_t machine,
                     const struct place_holder *extra)
{
    struct walk free = {list, 0, machine, extra}, busy = free;
    const struct place_holder *f = step(&free), *b = step(&busy);
    double none = 1, sum = 0;
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

/* ---- lists ---- */

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
    uint32_t low = 0, high = l->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (goes_before(&l->at[mid], h))
            low = mid + 1;
        else
            high = mid;
    }
    memmove(l->at + low + 1, l->at + low, (l->count - low) * sizeof *l->at);
    l->at[low] = *h;
    l->count++;
}

static void refresh(struct place *p, struct place_set *s, uint32_t machine)
{
    for (int w = 0; w < WINDOWS; w++) {
        struct place_holder h;
        remove_holder(&s->list[w], machine);
        if (holder_of(p, s, machine, w, &h))
            insert_holder(p, &s->list[w], &h);
        s->list[w].expected = expect(s, &s->list[w], EMP_PLACE_NONE, NULL);
    }
}

static void init_none(const struct place *p, struct place_set *s)
{
    const struct place_scope *scope = &p->scopes[s->scope];
    double cost = scope->queue * s->run_s;
    for (uint32_t i = 0; i < s->model_count; i++) {
        uint32_t model = s->models[i];
        cost += fetch_s(p, model, scope->link_s);
        if (p->in->models[model].loads)
            cost += (double)p->bytes[model] * scope->disk_s;
    }
    s->none_s = cost < WAIT_S_MAX ? cost : WAIT_S_MAX;
    s->none = place_count_wait(&p->s, s->none_s);
}

void place_value_init(struct place *p)
{
    for (uint32_t i = 0; i < p->set_count; i++)
        init_none(p, &p->sets[i]);
    for (uint32_t m = 0; m < p->machines; m++) {
        if (!p->in->machines[m].serves)
            continue;
        for (uint32_t k = 0; k < p->machine[m].held_count; k++) {
            uint32_t model = p->machine[m].held[k];
            for (uint32_t j = p->sets_from[model]; j < p->sets_from[model + 1]; j++) {
                struct place_set *s = &p->sets[p->sets_by_model[j]];
                struct place_holder h;
                if (!p->scopes[s->scope].has[m] || p->stamp[p->sets_by_model[j]] == m + 1)
                    continue;
                p->stamp[p->sets_by_model[j]] = m + 1;
                for (int w = 0; w < WINDOWS; w++)
                    if (holder_of(p, s, m, w, &h))
                        insert_holder(p, &s->list[w], &h);
            }
        }
    }
    p->stamp_now = p->machines + 1;
    for (uint32_t i = 0; i < p->set_count; i++)
        for (int w = 0; w < WINDOWS; w++)
            p->sets[i].list[w].expected =
                expect(&p->sets[i], &p->sets[i].list[w], EMP_PLACE_NONE, NULL);
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

static double gain_of_set(struct place *p, const struct place_set *s, uint32_t machine)
{
    double gain = 0;
    for (int w = 0; w < WINDOWS; w++) {
        struct place_holder h;
        if (!(s->weight[w] > 0))
            continue;
        bool is = holder_of(p, s, machine, w, &h);
        p->evaluations++;
        gain += s->weight[w] *
                (s->list[w].expected - expect(s, &s->list[w], machine, is ? &h : NULL));
    }
    return gain;
}

double place_value_gain(struct place *p, uint32_t machine, const struct place_change *c, uint32_t n)
{
    uint8_t old[PLACE_CHANGES_MAX];
    double gain = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *t = &p->tier[place_cell(p, machine, c[i].model)];
        old[i] = *t;
        *t = c[i].tier;
    }
    p->stamp_now++;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = p->sets_from[c[i].model]; j < p->sets_from[c[i].model + 1]; j++) {
            uint32_t set = p->sets_by_model[j];
            if (set >= p->real_count) // guides stand behind
                break;
            if (p->stamp[set] == p->stamp_now || !p->scopes[p->sets[set].scope].has[machine])
                continue;
            p->stamp[set] = p->stamp_now;
            gain += gain_of_set(p, &p->sets[set], machine);
        }
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

void place_value_apply(struct place *p, uint32_t machine, const struct place_change *c, uint32_t n)
{
    p->stamp_now++;
    p->machine[machine].losses_stale = p->machine[machine].touched = true;
    for (uint32_t i = 0; i < n; i++) {
        emp_arena_reserve(p->arena, p->undo, p->undo_count, p->undo_cap);
        p->undo[p->undo_count++] =
            (struct place_undo){machine, c[i].model, p->tier[place_cell(p, machine, c[i].model)]};
        set_tier(p, machine, c[i].model, c[i].tier);
    }
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = p->sets_from[c[i].model]; j < p->sets_from[c[i].model + 1]; j++) {
            uint32_t set = p->sets_by_model[j];
            if (p->stamp[set] == p->stamp_now || !p->scopes[p->sets[set].scope].has[machine])
                continue;
            p->stamp[set] = p->stamp_now;
            refresh(p, &p->sets[set], machine);
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

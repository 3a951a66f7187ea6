/* The search: lazy greedy over sets (Minoux 1978), then ruin and recreate on single machines.
 *
 * A candidate brings all models of a set that one machine lacks to a tier, and lets go there what
 * room it takes, least loss per byte first. It is ranked by net gain (value, less prices with
 * margin, less losses) per share of the machine's room: with several budgets a byte of GPU memory
 * is dear and one of disk cheap. Machines are ranked by a guess from the set's own lists; the best
 * few are measured exactly. Gains shrink as copies are added, so a set whose last measured gain is
 * below another's present one need not be looked at. Where that is not so (a base was brought, so
 * its add-ons gain) the next round finds it.
 *
 * The improvement takes a machine or two, lets go of all or some of what may go, fills them anew,
 * and keeps the result if it is better. It finds the exchanges that adding cannot see: two small
 * for one large, and copies that should have gone to another machine. Its random choices are seeded
 * by a constant: same input, same plan.
 *
 * Every step starts from what stands, and prices are those against what stands: what is not worth
 * its move is left alone, and what was let go comes back for nothing. */
#include "policy/place_internal.h"

#include "base/random.h"

#include <math.h>
#include <string.h>

#define MEASURED     2 /* machines of a set that are measured exactly */
#define ROUNDS_MAX   4 /* of greedy; */
#define ROUNDS_LARGE 2 /* from so many sets × machines on: the next plan goes on */
#define LARGE        1e6
#define SCAN_ALL     64 /* machines of a scope; of larger ones: */
#define SCAN_HOLDERS 16
#define SCAN_OTHERS  32
#define TRIES        1000     /* of improvement, at effort 1 */
#define TRIES_IDLE   250      /* without success: enough */
#define WALKS_MAX    150000   /* of improvement, at effort 1 */
#define GUESS_SETS   100      /* from so many sets on, refilling trusts guesses … */
#define GENEROUS     2.0      /* … with this margin */
#define NOT_POSSIBLE (-1e301) /* worse than any density */

static void undo(struct place *p, uint32_t to, double gained)
{
    while (p->undo_count > to) {
        struct place_undo u = p->undo[p->undo_count - 1];
        uint32_t at = p->undo_count - 1;
        place_value_apply(p, u.machine, &(struct place_change){u.model, u.tier}, 1);
        p->undo_count = at;
    }
    p->gained = gained;
}

/* ---- the best machine for a set ---- */

struct guess {
    double density;
    uint32_t machine;
    uint8_t tier;
};

/* What raising the set's models to a tier there looks like, judged by the set alone. */
static double guess_density(const struct place *p, const struct place_set *s, uint32_t machine,
                            uint8_t tier, int how, const double old[WINDOWS])
{
    const struct place_machine *m = &p->machine[machine];
    double share = PLACE_SHARE_LEAST, net = 0, cost[WINDOWS] = {0};
    int64_t add[TIER_COUNT] = {0};
    bool any = false;
    for (uint32_t i = 0; i < s->model_count; i++) {
        uint32_t model = s->models[i];
        int64_t bytes = p->bytes[model];
        uint8_t from = p->tier[place_cell(p, machine, model)];
        uint8_t to = place_target(p, machine, model, tier);
        double load = p->weight[model].load;
        cost[WINDOW_FAR] += load * m->disk_s;
        if (to != TIER_GPU)
            cost[WINDOW_NEAR] += load * (to == TIER_RAM ? m->ram_s : m->disk_s);
        if (from == to)
            continue;
        any = true;
        if (from == TIER_NONE) {
            if (!(how & PLACE_WITH_FETCH) || bytes > m->budget[TIER_DISK])
                return NOT_POSSIBLE;
            add[TIER_DISK] += bytes;
            share += (double)bytes / ((double)m->budget[TIER_DISK] + 1);
        }
        if (to > TIER_DISK) {
            add[to] += bytes;
            share += (double)bytes / ((double)m->budget[to] + 1);
        }
        net -= place_price(p, machine, model, to, true) -
               place_price(p, machine, model, from, true);
    }
    if (!any)
        return NOT_POSSIBLE;
    for (int t = TIER_DISK; t < TIER_COUNT; t++) {
        if (add[t] > m->budget[t])
            return NOT_POSSIBLE;
        int64_t need = m->used[t] + add[t] - m->budget[t];
        if (add[t] > 0 && need > 0)
            net -= fmax((double)need * m->drop_density[t], m->drop_least[t]);
    }
    for (int w = 0; w < WINDOWS; w++) {
        double now = place_count_wait(&p->s, old[w]);
        now = s->list[w].expected < now ? s->list[w].expected : now;
        double gain = now - place_count_wait(&p->s, cost[w]);
        if (gain > 0)
            net += s->guide[w] * gain * m->stays[w] * (1 - m->busy) / (1 + s->concurrency);
    }
    return net / share;
}

static void keep_best(struct guess best[MEASURED], struct guess g)
{
    for (int i = 0; i < MEASURED; i++)
        if (g.density > best[i].density) {
            memmove(best + i + 1, best + i, (size_t)(MEASURED - 1 - i) * sizeof *best);
            best[i] = g;
            return;
        }
}

static void copy_candidate(struct place_candidate *to, const struct place_candidate *from)
{
    to->machine = from->machine;
    to->count = from->count;
    to->net = from->net;
    to->density = from->density;
    memcpy(to->change, from->change, from->count * sizeof *from->change);
}

static void guess_machine(const struct place *p, const struct place_set *s, uint32_t machine,
                          int how, struct guess best[MEASURED])
{
    if (!p->machine[machine].may)
        return;
    for (int i = 0; i < MEASURED; i++)
        if (best[i].tier != TIER_NONE && best[i].machine == machine)
            return; // sampled twice
    double old[WINDOWS];
    place_cost(p, s, machine, old);
    for (uint8_t t = TIER_DISK; t < TIER_COUNT; t++) {
        double density = guess_density(p, s, machine, t, how, old);
        if (density > best[MEASURED - 1].density)
            keep_best(best, (struct guess){density, machine, t});
    }
}

/* In a large scope: the best holders, and a sample of the others that moves on from time to time
 * (machines without anything of a set differ little: Mirzasoleiman 2015). */
static void guess_machines(struct place *p, struct place_set *s, int how,
                           struct guess best[MEASURED])
{
    const struct place_scope *scope = &p->scopes[s->scope];
    uint32_t n = scope->machine_count;
    if (n <= SCAN_ALL) {
        for (uint32_t i = 0; i < n; i++)
            guess_machine(p, s, scope->machines[i], how, best);
        return;
    }
    const struct place_list *l = &s->list[WINDOW_NEAR];
    for (uint32_t i = 0; i < l->count && i < SCAN_HOLDERS; i++)
        guess_machine(p, s, l->at[i].machine, how, best);
    for (uint32_t i = 0; i < SCAN_OTHERS; i++) {
        guess_machine(p, s, scope->machines[s->offset % n], how, best);
        s->offset++;
    }
}

static bool best_candidate(struct place *p, struct place_set *s, int how,
                           struct place_candidate *ret)
{
    struct guess best[MEASURED] = {0};
    struct place_candidate c;
    bool found = false;
    for (int i = 0; i < MEASURED; i++)
        best[i].density = how & PLACE_URGENT ? NOT_POSSIBLE : 0;
    guess_machines(p, s, how, best);
    for (int i = 0; i < MEASURED; i++) {
        if (best[i].tier == TIER_NONE ||
            !place_propose(p, s, best[i].machine, best[i].tier, how, &c))
            continue;
        if (found ? c.density > ret->density : (c.net > PLACE_EPSILON || (how & PLACE_URGENT))) {
            copy_candidate(ret, &c);
            s->machine = best[i].machine;
            s->tier = best[i].tier;
            found = true;
        }
    }
    return found;
}

/* ---- lazy greedy ---- */

struct heap {
    uint32_t *at, count;
};

static bool key_before(const struct place *p, uint32_t a, uint32_t b)
{
    double x = p->sets[a].key, y = p->sets[b].key;
    return x > y || (!(x < y) && a < b);
}

static void heap_push(const struct place *p, struct heap *h, uint32_t set)
{
    uint32_t i = h->count++;
    for (; i > 0 && key_before(p, set, h->at[(i - 1) / 2]); i = (i - 1) / 2)
        h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = set;
}

static uint32_t heap_pop(const struct place *p, struct heap *h)
{
    uint32_t top = h->at[0], last = h->at[--h->count], i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && key_before(p, h->at[child + 1], h->at[child]))
            child++;
        if (!key_before(p, h->at[child], last))
            break;
        h->at[i] = h->at[child];
        i = child;
    }
    h->at[i] = last;
    return top;
}

/* All that one more copy could save for a set: less than the smallest gain means that it need not
 * be tried.
 */
static double potential(const struct place_set *s)
{
    return (s->guide[WINDOW_NEAR] * s->list[WINDOW_NEAR].expected +
            s->guide[WINDOW_FAR] * s->list[WINDOW_FAR].expected) /
           (1 + s->concurrency);
}

/* Is what was measured last for the set still the best of all? Then it is in *ret. */
static bool still_best(struct place *p, const struct heap *h, uint32_t set, int how,
                       struct place_candidate *ret)
{
    struct place_set *s = &p->sets[set];
    if (s->tier == TIER_NONE || !place_propose(p, s, s->machine, (uint8_t)s->tier, how, ret) ||
        !(ret->net > PLACE_EPSILON))
        return false;
    s->key = ret->density;
    return h->count == 0 || !key_before(p, h->at[0], set);
}

static bool greedy_round(struct place *p, struct heap *h)
{
    struct place_candidate c;
    bool changed = false;
    h->count = 0;
    for (uint32_t i = 0; i < p->set_count; i++) {
        struct place_set *s = &p->sets[i];
        s->key = 1e300;
        s->tier = TIER_NONE;
        if (s->dirty && s->sure && potential(s) > p->s.gain_load_s)
            heap_push(p, h, i);
    }
    while (h->count > 0) {
        uint32_t i = heap_pop(p, h);
        struct place_set *s = &p->sets[i];
        int how = s->likely ? PLACE_WITH_FETCH : 0;
        if (still_best(p, h, i, how, &c)) {
            place_apply(p, c.machine, c.change, c.count, c.net);
            changed = true;
            s->tier = TIER_NONE; // its next place is another
        } else if (best_candidate(p, s, how, &c)) {
            s->key = c.density;
        } else {
            s->dirty = false;
            continue;
        }
        heap_push(p, h, i);
    }
    return changed;
}

static void bring_urgent(struct place *p)
{
    struct place_candidate c;
    if (p->urgent == NULL)
        return;
    for (uint32_t i = 0; i < p->real_count; i++) {
        struct place_set *s = &p->sets[i];
        const struct emp_place_demand *d = &p->in->demands[s->demand];
        bool lacks = false;
        for (uint32_t k = 0; k < s->model_count; k++)
            lacks |= p->urgent[s->models[k]];
        if (!lacks || !d->critical || d->waiting == 0 ||
            !best_candidate(p, s, PLACE_WITH_FETCH | PLACE_URGENT, &c))
            continue;
        place_apply(p, c.machine, c.change, c.count, c.net);
        for (uint32_t k = 0; k < c.count; k++)
            if (p->urgent[c.change[k].model] && c.change[k].tier != TIER_NONE)
                p->flags[place_cell(p, c.machine, c.change[k].model)] |= COPY_URGENT;
    }
}

/* Moves of former plans that go on for nothing any more. */
static void cancel_useless(struct place *p)
{
    for (uint32_t i = 0; i < p->in->copy_count; i++) {
        const struct emp_place_copy *c = &p->in->copies[i];
        if (c->machine >= p->machines || c->model >= p->models || !p->machine[c->machine].may)
            continue;
        size_t cell = place_cell(p, c->machine, c->model);
        if (!(p->flags[cell] & COPY_PLANNED) || !place_may_delete(p, c->machine, c->model) ||
            p->tier[cell] == TIER_NONE)
            continue;
        struct place_change drop = {c->model, TIER_NONE};
        double net = place_net(p, c->machine, &drop, 1);
        if (net > PLACE_EPSILON)
            place_apply(p, c->machine, &drop, 1, net);
    }
}

/* ---- ruin and recreate ---- */

static void ruin(struct place *p, struct emp_random *r, uint32_t machine, bool all)
{
    struct place_machine *m = &p->machine[machine];
    uint32_t held[PLACE_CHANGES_MAX], n = m->held_count;
    if (n > PLACE_CHANGES_MAX)
        n = PLACE_CHANGES_MAX;
    if (n > 0)
        memcpy(held, m->held, n * sizeof *held);
    for (uint32_t i = 0; i < n; i++) {
        size_t cell = place_cell(p, machine, held[i]);
        if ((p->flags[cell] & COPY_FIXED) || (!all && emp_random_below(r, 2)))
            continue;
        struct place_change c = {held[i], TIER_NONE};
        if (!place_may_delete(p, machine, held[i]))
            c.tier = TIER_DISK;
        if (c.tier != p->tier[cell])
            place_apply(p, machine, &c, 1, place_net(p, machine, &c, 1));
    }
}

/* A set that might be brought to a tier of one of the machines that are filled anew. */
struct chance {
    double density; /* as measured last; at first what it looks like, generously */
    double noise;   /* by which it is multiplied: what is best for now may not be in the end */
    uint32_t machine, set;
    uint8_t tier;
};
struct refill {
    struct chance *at; /* room for 6 a set */
    uint32_t count, machines[2], machine_count;
};

static void list_chances(struct place *p, struct refill *f, struct emp_random *r)
{
    bool noisy = emp_random_below(r, 2);
    f->count = 0;
    for (uint32_t k = 0; k < f->machine_count; k++)
        for (uint32_t i = 0; i < p->set_count; i++) {
            const struct place_set *s = &p->sets[i];
            uint32_t machine = f->machines[k];
            if (!s->sure || !(potential(s) > p->s.gain_load_s) || !p->scopes[s->scope].has[machine])
                continue;
            double old[WINDOWS];
            place_cost(p, s, machine, old);
            for (uint8_t t = TIER_DISK; t < TIER_COUNT; t++) {
                double density = 1e300;
                if (p->set_count > GUESS_SETS)
                    density = GENEROUS * guess_density(p, s, machine, t,
                                                       s->likely ? PLACE_WITH_FETCH : 0, old);
                double noise = noisy ? exp2(4 * emp_random_unit(r) - 2) : 1;
                if (density > 0)
                    f->at[f->count++] = (struct chance){density * noise, noise, machine, i, t};
            }
            p->evaluations++;
        }
}

/* Fills the machines with the best there is for them; lazily, like the greedy rounds. */
static void recreate(struct place *p, struct refill *f, struct emp_random *r)
{
    struct place_candidate c;
    list_chances(p, f, r);
    while (f->count > 0) {
        uint32_t best = 0;
        double second = 0;
        for (uint32_t i = 1; i < f->count; i++)
            if (f->at[i].density > f->at[best].density) {
                second = f->at[best].density;
                best = i;
            } else if (f->at[i].density > second) {
                second = f->at[i].density;
            }
        struct chance *at = &f->at[best];
        const struct place_set *s = &p->sets[at->set];
        bool can =
            place_propose(p, s, at->machine, at->tier, s->likely ? PLACE_WITH_FETCH : 0, &c) &&
            c.net > PLACE_EPSILON;
        if (can && c.density * at->noise < second) {
            at->density = c.density * at->noise;
            continue;
        }
        if (can)
            place_apply(p, c.machine, c.change, c.count, c.net);
        f->at[best] = f->at[--f->count]; // once it is there, nothing is left to bring
    }
}

/* What was let go and has room again comes back: it costs nothing. */
static void restore(struct place *p, uint32_t machine)
{
    struct place_machine *m = &p->machine[machine];
    for (uint32_t i = 0; i < p->models; i++) {
        size_t cell = place_cell(p, machine, i);
        for (uint8_t t = p->present[cell]; t > p->tier[cell]; t--) {
            bool fits = t == TIER_DISK || m->used[t] + p->bytes[i] <= m->budget[t];
            if (p->tier[cell] == TIER_NONE)
                fits &= m->used[TIER_DISK] + p->bytes[i] <= m->budget[TIER_DISK];
            struct place_change c = {i, t};
            double net = fits ? place_net(p, machine, &c, 1) : -1;
            if (fits && (net >= 0 || !(p->flags[cell] & COPY_FETCHING)))
                place_apply(p, machine, &c, 1, net);
        }
    }
}

static void improve(struct place *p)
{
    struct emp_random r;
    uint32_t *able = emp_arena_array(p->arena, uint32_t, p->machines), n = 0, idle = 0;
    uint64_t limit = p->evaluations + (uint64_t)(WALKS_MAX * p->s.effort);
    struct refill f = {.at = emp_arena_array(p->arena, struct chance, (size_t)p->set_count * 6)};
    emp_random_init(&r, 1);
    for (uint32_t i = 0; i < p->machines; i++)
        if (p->machine[i].may)
            able[n++] = i;
    uint32_t tries = n ? (uint32_t)(TRIES * p->s.effort) : 0;
    for (uint32_t i = 0; i < tries && idle < TRIES_IDLE && p->evaluations < limit; i++, idle++) {
        uint32_t mark = p->undo_count;
        double before = p->gained;
        f.machine_count = n > 1 && emp_random_below(&r, 2) ? 2 : 1;
        f.machines[0] = able[emp_random_below(&r, n)];
        do
            f.machines[1] = able[emp_random_below(&r, n)];
        while (f.machine_count == 2 && f.machines[1] == f.machines[0]);
        bool all = emp_random_below(&r, 2);
        for (uint32_t k = 0; k < f.machine_count; k++)
            ruin(p, &r, f.machines[k], all);
        recreate(p, &f, &r);
        for (uint32_t k = 0; k < f.machine_count; k++)
            restore(p, f.machines[k]);
        if (p->gained > before + PLACE_EPSILON)
            idle = 0;
        else
            undo(p, mark, before);
    }
}

void place_search(struct place *p)
{
    struct heap h = {.at = emp_arena_array(p->arena, uint32_t, p->set_count)};
    cancel_useless(p);
    bring_urgent(p);
    int rounds = (double)p->set_count * p->machines > LARGE ? ROUNDS_LARGE : ROUNDS_MAX;
    place_first_losses(p);
    for (int i = 0; i < rounds && greedy_round(p, &h); i++) {}
    if (p->s.effort > 0 && p->real_count > 0 && p->urgent == NULL)
        improve(p);
    for (uint32_t i = 0; i < p->machines; i++)
        if (p->machine[i].touched)
            restore(p, i);
}

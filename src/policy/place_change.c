/* One change on one machine: what may be done, what room it takes, what it is worth.
 *
 * A candidate brings all models of a set that one machine lacks to a tier, and lets go there what
 * room it takes, least loss per byte first. Losses are measured when they are needed and kept until
 * the machine has changed much: they only tell victims apart. What the whole change is worth is
 * measured exactly. */
#include "policy/place_internal.h"

#include <stdlib.h>
#include <string.h>

#define LOSS_MAX 1e12

/* ---- what may be done ---- */

bool place_may_delete(const struct place *p, uint32_t machine, uint32_t model)
{
    size_t cell = place_cell(p, machine, model);
    uint8_t flags = p->flags[cell];
    if (flags & (COPY_FIXED | COPY_PINNED))
        return false;
    if (p->present[cell] == TIER_NONE || (flags & COPY_FETCHING))
        return true;
    bool last_matters = (p->s.keep_last && p->wanted[model]) || !p->in->models[model].fetchable;
    return !last_matters || p->whole[model] > 1;
}

static bool may_stand(const struct place *p, uint32_t machine, uint32_t model)
{
    const struct emp_place_model *mo = &p->in->models[model];
    uint32_t customer = p->in->machines[machine].customer;
    return mo->fetchable && (mo->customer == 0 || customer == 0 || customer == mo->customer);
}

double place_net(struct place *p, uint32_t machine, const struct place_change *c, uint32_t n)
{
    double net = place_value_gain(p, machine, c, n);
    for (uint32_t i = 0; i < n; i++)
        net +=
            place_price(p, machine, c[i].model, p->tier[place_cell(p, machine, c[i].model)], true) -
            place_price(p, machine, c[i].model, c[i].tier, true);
    return net;
}

void place_apply(struct place *p, uint32_t machine, const struct place_change *c, uint32_t n,
                 double net)
{
    place_value_apply(p, machine, c, n);
    p->gained += net;
}

/* ---- letting go ---- */

static double loss_of(struct place *p, uint32_t machine, uint32_t model, uint8_t to)
{
    double net = place_net(p, machine, &(struct place_change){model, to}, 1);
    return net < 0 ? -net : 0;
}

/* One entry for each copy held, in their order. */
static void sync_losses(struct place *p, struct place_machine *m)
{
    if (m->loss_age > m->held_count / 2) {
        m->loss_count = 0;
        m->loss_age = 0;
    }
    uint32_t old_count = m->loss_count, old_cap = m->loss_cap;
    struct place_loss *old = m->losses;
    m->loss_cap = m->held_count + 8;
    m->loss_count = m->held_count;
    m->losses = emp_arena_array(p->arena, struct place_loss, m->loss_cap);
    for (uint32_t i = 0, j = 0; i < m->held_count; i++) {
        m->losses[i] =
            (struct place_loss){m->held[i], {0, LOSS_UNKNOWN, LOSS_UNKNOWN, LOSS_UNKNOWN}};
        for (uint32_t k = 0; k < old_count; k++, j++) { // mostly the next one
            if (j >= old_count)
                j = 0;
            if (old[j].model == m->held[i]) {
                m->losses[i] = old[j];
                break;
            }
        }
    }
    emp_arena_give_back(p->arena, old, old_cap * sizeof *old);
    m->losses_stale = false;
}

static double measure_loss(struct place *p, uint32_t machine, uint32_t model, uint8_t tier)
{
    size_t cell = place_cell(p, machine, model);
    if (tier == TIER_DISK)
        return place_may_delete(p, machine, model) ? loss_of(p, machine, model, TIER_NONE)
                                                   : LOSS_NOT_POSSIBLE;
    if (p->tier[cell] != tier || (p->flags[cell] & COPY_FIXED))
        return LOSS_NOT_POSSIBLE;
    return loss_of(p, machine, model, TIER_DISK);
}

/* What is cheapest to let go, for guesses. */
static void sum_up_losses(const struct place *p, struct place_machine *m, uint8_t tier)
{
    m->drop_density[tier] = m->drop_least[tier] = LOSS_MAX;
    for (uint32_t i = 0; i < m->loss_count; i++) {
        const struct place_loss *l = &m->losses[i];
        double density = l->of[tier] / ((double)p->bytes[l->model] + 1);
        if (l->of[tier] < 0)
            continue;
        if (density < m->drop_density[tier])
            m->drop_density[tier] = density;
        if (l->of[tier] < m->drop_least[tier])
            m->drop_least[tier] = l->of[tier];
    }
}

static void measure_losses(struct place *p, uint32_t machine, uint8_t tier)
{
    struct place_machine *m = &p->machine[machine];
    if (m->losses_stale)
        sync_losses(p, m);
    for (uint32_t i = 0; i < m->loss_count; i++)
        if (m->losses[i].of[tier] == LOSS_UNKNOWN)
            m->losses[i].of[tier] = measure_loss(p, machine, m->losses[i].model, tier);
    sum_up_losses(p, m, tier);
}

struct first_losses {
    struct place *p;
    uint8_t to;
};

static void add_loss(void *ctx, uint32_t machine, uint32_t model, double loss)
{
    const struct first_losses *f = ctx;
    struct place *p = f->p;
    struct place_machine *m = &p->machine[machine];
    uint8_t tier = f->to == TIER_NONE ? TIER_DISK : p->tier[place_cell(p, machine, model)];
    for (uint32_t i = 0; i < m->loss_count; i++)
        if (m->losses[i].model == model && m->losses[i].of[tier] >= 0 && loss > 0)
            m->losses[i].of[tier] += loss;
}

/* The losses of what stands, all at once: set by set is faster than copy by copy. */
void place_first_losses(struct place *p)
{
    for (uint32_t m = 0; m < p->machines; m++) {
        struct place_machine *at = &p->machine[m];
        sync_losses(p, at);
        for (uint32_t i = 0; i < at->loss_count; i++) {
            struct place_loss *l = &at->losses[i];
            size_t cell = place_cell(p, m, l->model);
            l->of[TIER_DISK] = place_may_delete(p, m, l->model) ? 0 : LOSS_NOT_POSSIBLE;
            for (int t = TIER_RAM; t < TIER_COUNT; t++)
                l->of[t] = p->tier[cell] == t && !(p->flags[cell] & COPY_FIXED) ? 0
                                                                                : LOSS_NOT_POSSIBLE;
        }
    }
    for (uint8_t to = TIER_NONE; to <= TIER_DISK; to++) {
        struct first_losses f = {p, to};
        for (uint32_t i = 0; i < p->real_count; i++)
            place_value_losses(p, &p->sets[i], to, add_loss, &f);
    }
    for (uint32_t m = 0; m < p->machines; m++)
        for (uint8_t t = TIER_DISK; t < TIER_COUNT; t++)
            sum_up_losses(p, &p->machine[m], t);
}

struct victim {
    double density;
    int64_t bytes;
    uint32_t model;
};

static int by_density(const void *a, const void *b)
{
    const struct victim *x = a, *y = b;
    if (x->density < y->density || x->density > y->density)
        return x->density < y->density ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->model < y->model ? -1 : 1;
}

static bool is_changed(const struct place_candidate *c, uint32_t model)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->change[i].model == model)
            return true;
    return false;
}

static bool in_set(const uint32_t *models, uint32_t n, uint32_t model)
{
    for (uint32_t i = 0; i < n; i++)
        if (models[i] == model)
            return true;
    return false;
}

/* Lets go `need` bytes of a tier: cheapest per byte first, then takes back, dearest first, those
 * that turned out not to be needed. room: by tier, kept up to date. */
static bool make_room(struct place *p, struct place_candidate *c, const uint32_t *keep,
                      uint32_t keep_count, uint8_t tier, int64_t room[TIER_COUNT])
{
    struct victim victims[PLACE_CHANGES_MAX];
    uint32_t n = 0, chosen = 0;
    struct place_machine *m = &p->machine[c->machine];
    measure_losses(p, c->machine, tier);
    for (uint32_t i = 0; i < m->loss_count && n < PLACE_CHANGES_MAX; i++) {
        const struct place_loss *l = &m->losses[i];
        int64_t bytes = p->bytes[l->model];
        if (l->of[tier] < 0 || bytes == 0 || in_set(keep, keep_count, l->model) ||
            is_changed(c, l->model) ||
            (tier == TIER_DISK && !place_may_delete(p, c->machine, l->model)))
            continue;
        victims[n++] = (struct victim){l->of[tier] / (double)bytes, bytes, l->model};
    }
    qsort(victims, n, sizeof *victims, by_density);
    int64_t after = room[tier];
    for (; chosen < n && after < 0; chosen++)
        after += victims[chosen].bytes;
    if (after < 0)
        return false;
    for (uint32_t i = chosen; i-- > 0;) {
        struct victim *v = &victims[i];
        if (after >= v->bytes) {
            after -= v->bytes;
            continue;
        }
        if (c->count == PLACE_CHANGES_MAX)
            return false;
        uint8_t from = p->tier[place_cell(p, c->machine, v->model)], to = TIER_NONE;
        if (tier != TIER_DISK) {
            to = tier == TIER_GPU && room[TIER_RAM] >= v->bytes ? TIER_RAM : TIER_DISK;
            if (to == TIER_RAM)
                room[TIER_RAM] -= v->bytes;
        } else if (from > TIER_DISK) {
            room[from] += v->bytes;
        }
        c->change[c->count++] = (struct place_change){v->model, to};
    }
    room[tier] = after;
    return true;
}

/* ---- candidates ---- */

uint8_t place_target(const struct place *p, uint32_t machine, uint32_t model, uint8_t tier)
{
    size_t cell = place_cell(p, machine, model);
    if (tier > TIER_DISK &&
        (!p->in->models[model].loads || p->machine[machine].budget[TIER_GPU] == 0))
        tier = TIER_DISK;
    if (p->flags[cell] & COPY_FIXED)
        return p->tier[cell];
    return tier > p->tier[cell] ? tier : p->tier[cell];
}

static bool within_limits(const struct place *p, const struct place_candidate *c)
{
    const struct place_machine *m = &p->machine[c->machine];
    int64_t bytes = 0, fetches = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        size_t cell = place_cell(p, c->machine, c->change[i].model);
        if (p->present[cell] != TIER_NONE)
            continue;
        int sign = (c->change[i].tier != TIER_NONE) - (p->tier[cell] != TIER_NONE);
        fetches += sign;
        bytes += sign * p->bytes[c->change[i].model];
    }
    if (fetches <= 0 && bytes <= 0)
        return true;
    return m->fetches + fetches <= p->s.moves_per_machine &&
           m->fetch_bytes + bytes <= m->fetch_bytes_max &&
           p->fetch_bytes + bytes <= p->s.fetch_bytes;
}

/* The set's models to `tier` on the machine; false when that is nothing, or cannot be. */
bool place_propose(struct place *p, const struct place_set *s, uint32_t machine, uint8_t tier,
                   int how, struct place_candidate *c)
{
    struct place_machine *m = &p->machine[machine];
    int64_t room[TIER_COUNT] = {0};
    bool adds[TIER_COUNT] = {false};
    double share = PLACE_SHARE_LEAST;
    c->machine = machine;
    c->count = 0;
    for (int t = TIER_DISK; t < TIER_COUNT; t++)
        room[t] = m->budget[t] - m->used[t];
    for (uint32_t i = 0; i < s->model_count; i++) {
        uint32_t model = s->models[i];
        uint8_t from = p->tier[place_cell(p, machine, model)];
        uint8_t to = place_target(p, machine, model, tier);
        int64_t bytes = p->bytes[model];
        if (from == to)
            continue;
        if (from == TIER_NONE) {
            if (!(how & PLACE_WITH_FETCH) || !may_stand(p, machine, model))
                return false;
            room[TIER_DISK] -= bytes;
            adds[TIER_DISK] = true;
            share += (double)bytes / ((double)m->budget[TIER_DISK] + 1);
        }
        if (from > TIER_DISK)
            room[from] += bytes;
        if (to > TIER_DISK) {
            room[to] -= bytes;
            adds[to] = true;
            share += (double)bytes / ((double)m->budget[to] + 1);
        }
        c->change[c->count++] = (struct place_change){model, to};
    }
    if (c->count == 0)
        return false;
    for (int t = 0; t < 3;
         t++) { // what is deleted leaves memory too; what leaves the GPU may go to RAM
        static const uint8_t order[] = {TIER_DISK, TIER_GPU, TIER_RAM};
        uint8_t at = order[t];
        if (adds[at] && room[at] < 0 && !make_room(p, c, s->models, s->model_count, at, room))
            return false;
    }
    if (!(how & PLACE_URGENT) && !within_limits(p, c))
        return false;
    c->net = place_net(p, machine, c->change, c->count);
    c->density = c->net / share;
    return true;
}

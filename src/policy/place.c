/* The plan's frame: what comes in is bounded and brought into shape, then searched, then written.
 *
 * Machines × models cells of a byte hold where copies stand: 2 MB for 1,000 × 2,000, which makes
 * "what does this machine lack of that set" a few loads. Demands become sets in scopes. Beside them
 * stand guides. A base that 300 rare sets share is wanted often though none of the sets is, so
 * searching set by set would never fetch it: a guide is the base by itself, another large model by
 * itself, or the base and one add-on, with the demand of all sets that contain these. */
#include "policy/place_internal.h"

#include "base/random.h"
#include "domain/limits.h"

#include <math.h>
#include <string.h>

#define RATE_MAX    1e13 /* bytes per second */
#define USES_MAX    1e9
#define SECONDS_MAX 1e7
#define RUN_S_MIN   0.01

static const struct emp_place_settings defaults = {
    .near_h = 1,
    .far_h = 6,
    .far_share = 1,
    .promise_s = 10,
    .late_s = 20,
    .gb_moved_s = 0.5,
    .gb_hour_s = 0.02,
    .load_s = 0.01,
    .margin = 0.2,
    .gain_fetch_s = 2,
    .gain_load_s = 0.2,
    .chance_min = 0.2,
    .confidence_min = 0.1,
    .keep_last = true,
    .moves_per_machine = 8,
    .fetch_bytes = 4LL * 1000 * 1000 * 1000 * 1000,
    .link_share = 0.8,
    .link_bytes_per_s = 25LL * 1000 * 1000,
    .disk_load_bytes_per_s = 300LL * 1000 * 1000,
    .ram_load_bytes_per_s = 2500LL * 1000 * 1000,
    .effort = 1,
};

const struct emp_place_settings *emp_place_settings_default(void)
{
    return &defaults;
}

static int64_t bounded_bytes(int64_t x)
{
    return x < 0 ? 0 : x > EMP_BYTES_MAX ? EMP_BYTES_MAX : x;
}

static int64_t bounded_rate(int64_t x, int64_t otherwise)
{
    if (x <= 0)
        x = otherwise;
    return x < 1 ? 1 : x > (int64_t)RATE_MAX ? (int64_t)RATE_MAX : x;
}

static void bound_settings(struct emp_place_settings *s)
{
    s->near_h = place_bounded(s->near_h, 0.01, 1000);
    s->far_h = place_bounded(s->far_h, s->near_h, 10000);
    s->far_share = place_bounded(s->far_share, 0, 1);
    s->promise_s = place_bounded(s->promise_s, 0, SECONDS_MAX);
    s->late_s = place_bounded(s->late_s, 0, SECONDS_MAX);
    s->gb_moved_s = place_bounded(s->gb_moved_s, 0, SECONDS_MAX);
    s->gb_hour_s = place_bounded(s->gb_hour_s, 0, SECONDS_MAX);
    s->load_s = place_bounded(s->load_s, 0, SECONDS_MAX);
    s->margin = place_bounded(s->margin, 0, 1000);
    s->gain_fetch_s = place_bounded(s->gain_fetch_s, 0, 1e12);
    s->gain_load_s = place_bounded(s->gain_load_s, 0, 1e12);
    s->chance_min = place_bounded(s->chance_min, 0, 1);
    s->confidence_min = place_bounded(s->confidence_min, 0, 1);
    s->fetch_bytes = s->fetch_bytes < 0 ? 0 : s->fetch_bytes;
    s->link_share = place_bounded(s->link_share, 0, 1000);
    s->link_bytes_per_s = bounded_rate(s->link_bytes_per_s, defaults.link_bytes_per_s);
    s->disk_load_bytes_per_s =
        bounded_rate(s->disk_load_bytes_per_s, defaults.disk_load_bytes_per_s);
    s->ram_load_bytes_per_s = bounded_rate(s->ram_load_bytes_per_s, defaults.ram_load_bytes_per_s);
    s->effort = place_bounded(s->effort, 0, 1000);
}

static void build_model(struct place *p, uint32_t i)
{
    const struct emp_place_model *m = &p->in->models[i];
    p->bytes[i] = bounded_bytes(m->bytes);
    p->weight[i].load = m->loads ? (double)p->bytes[i] : 0;
    p->weight[i].fetch = m->fetchable ? (double)p->bytes[i] : PLACE_NEVER_BYTES;
}

static void build_machines(struct place *p)
{
    p->machine = emp_arena_array(p->arena, struct place_machine, p->machines);
    for (uint32_t i = 0; i < p->machines; i++) {
        const struct emp_place_machine *from = &p->in->machines[i];
        struct place_machine *m = &p->machine[i];
        int64_t link = bounded_rate(from->link_bytes_per_s, p->s.link_bytes_per_s);
        double hazard = place_bounded(from->hazard_per_hour, 0, 1000);
        m->losses_stale = true;
        m->may = from->serves && from->moves;
        m->link_s = 1 / (double)link;
        m->busy = place_bounded(from->busy, 0, 0.999);
        m->stays[WINDOW_NEAR] = exp(-hazard * p->s.near_h / 2);
        m->stays[WINDOW_FAR] = exp(-hazard * (p->s.near_h + p->s.far_h) / 2);
        m->budget[TIER_DISK] = bounded_bytes(from->disk_bytes);
        m->fetch_bytes_max = (int64_t)place_bounded(
            (double)link * p->s.near_h * 3600 * p->s.link_share, 0, EMP_BYTES_MAX);
        if (from->gpu_bytes <= 0)
            continue;
        m->budget[TIER_GPU] = bounded_bytes(from->gpu_bytes);
        m->budget[TIER_RAM] = bounded_bytes(from->ram_bytes);
        m->disk_s = 1 /
                    (double)bounded_rate(from->disk_load_bytes_per_s, p->s.disk_load_bytes_per_s);
        m->ram_s = 1 / (double)bounded_rate(from->ram_load_bytes_per_s, p->s.ram_load_bytes_per_s);
    }
}

static uint8_t tier_of(enum emp_residency r)
{
    switch (r) {
    case EMP_RESIDENCY_FETCHING:
    case EMP_RESIDENCY_DISK:
        return TIER_DISK;
    case EMP_RESIDENCY_RAM:
        return TIER_RAM;
    case EMP_RESIDENCY_GPU:
        return TIER_GPU;
    default:
        return TIER_NONE;
    }
}

static void hold(struct place *p, struct place_machine *m, uint32_t model, uint8_t tier)
{
    emp_arena_reserve(p->arena, m->held, m->held_count, m->held_cap);
    m->held[m->held_count++] = model;
    m->used[TIER_DISK] += p->bytes[model];
    if (tier > TIER_DISK)
        m->used[tier] += p->bytes[model];
}

static void build_copies(struct place *p)
{
    size_t cells = (size_t)p->machines * p->models;
    p->tier = emp_arena_alloc(p->arena, cells);
    p->present = emp_arena_alloc(p->arena, cells);
    p->flags = emp_arena_alloc(p->arena, cells);
    p->whole = emp_arena_array(p->arena, uint32_t, p->models);
    emp_map_init(&p->left, p->arena);
    for (uint32_t i = 0; i < p->in->copy_count; i++) {
        const struct emp_place_copy *c = &p->in->copies[i];
        uint8_t tier = tier_of(c->residency);
        if (c->machine >= p->machines || c->model >= p->models || tier == TIER_NONE)
            continue;
        size_t cell = place_cell(p, c->machine, c->model);
        if (p->tier[cell] != TIER_NONE)
            continue;
        bool fetching = c->residency == EMP_RESIDENCY_FETCHING;
        p->tier[cell] = p->present[cell] = tier;
        if (c->in_use || (fetching && !c->planned))
            p->flags[cell] |= COPY_FIXED;
        if (c->pinned || p->in->models[c->model].keep)
            p->flags[cell] |= COPY_PINNED;
        if (fetching) {
            p->flags[cell] |= COPY_FETCHING | (c->planned ? COPY_PLANNED : 0);
            emp_map_put(&p->left, cell + 1, i);
        } else if (p->in->machines[c->machine].serves) {
            p->whole[c->model]++;
        }
        hold(p, &p->machine[c->machine], c->model, tier);
    }
}

/* ---- scopes ---- */

static bool serves(const struct emp_place_machine *m, const struct place_scope *s)
{
    return m->serves && (s->pool == EMP_PLACE_ANY || m->pool == s->pool) &&
           (s->region == EMP_PLACE_ANY || m->region == s->region) &&
           (m->customer == 0 || m->customer == s->customer) && (s->needs & ~m->can) == 0;
}

/* Wait for any of n machines that are busy `load` of the time, in runs: Erlang's C. */
static double queue_runs(uint32_t n, double load)
{
    double offered = load * n, blocked = 1;
    for (uint32_t k = 1; k <= n; k++)
        blocked = offered * blocked / (k + offered * blocked);
    double waits = blocked / (1 - load * (1 - blocked));
    return waits / (n * (1 - load));
}

static void measure_scope(const struct place *p, struct place_scope *s)
{
    double busy = 0, link = 0, disk = 0, weight = 0;
    for (uint32_t i = 0; i < s->machine_count; i++) {
        const struct place_machine *m = &p->machine[s->machines[i]];
        double idle = 1 - m->busy;
        busy += m->busy;
        link += idle * m->link_s;
        disk += idle * m->disk_s;
        weight += idle;
    }
    if (s->machine_count == 0)
        return;
    s->queue = queue_runs(s->machine_count, busy / s->machine_count);
    s->link_s = link / weight;
    s->disk_s = disk / weight;
}

static uint32_t scope_of(struct place *p, const struct emp_place_demand *d)
{
    for (uint32_t i = 0; i < p->scope_count; i++) {
        const struct place_scope *s = &p->scopes[i];
        if (s->pool == d->pool && s->region == d->region && s->customer == d->customer &&
            s->needs == d->needs)
            return i;
    }
    emp_arena_reserve(p->arena, p->scopes, p->scope_count, p->scope_cap);
    struct place_scope *s = &p->scopes[p->scope_count];
    *s = (struct place_scope){
        .pool = d->pool, .region = d->region, .customer = d->customer, .needs = d->needs};
    s->machines = emp_arena_array(p->arena, uint32_t, p->machines);
    s->has = emp_arena_alloc(p->arena, p->machines);
    for (uint32_t i = 0; i < p->machines; i++) {
        if (!serves(&p->in->machines[i], s))
            continue;
        s->has[i] = 1;
        s->machines[s->machine_count++] = i;
    }
    measure_scope(p, s);
    return p->scope_count++;
}

/* ---- sets ---- */

static uint64_t set_key(const uint32_t *models, uint32_t n, uint32_t scope)
{
    uint64_t key = emp_mix64(scope + 1), sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += emp_mix64(models[i] + 0x9e3779b97f4a7c15); // in any order
    key = emp_mix64(key ^ sum);
    return key ? key : 1;
}

static uint32_t add_set(struct place *p, const uint32_t *models, uint32_t n, uint32_t scope)
{
    emp_arena_reserve(p->arena, p->sets, p->set_count, p->set_cap);
    struct place_set *s = &p->sets[p->set_count];
    memset(s, 0, sizeof *s);
    memcpy(s->models, models, n * sizeof *models);
    s->model_count = n;
    s->scope = scope;
    s->demand = EMP_PLACE_NONE;
    s->miss = 1;
    return p->set_count++;
}

static uint32_t distinct_models(const struct place *p, const struct emp_place_demand *d,
                                uint32_t *ret)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->model_count && n < EMP_PLACE_SET_MODELS; i++) {
        bool seen = d->models[i] >= p->models;
        for (uint32_t j = 0; j < n && !seen; j++)
            seen = ret[j] == d->models[i];
        if (!seen)
            ret[n++] = d->models[i];
    }
    return n;
}

static void build_demand(struct place *p, uint32_t index)
{
    const struct emp_place_demand *d = &p->in->demands[index];
    uint32_t models[EMP_PLACE_SET_MODELS], n = distinct_models(p, d, models);
    double near = place_bounded(d->uses_near, 0, USES_MAX) + d->waiting;
    double far = place_bounded(d->uses_far, 0, USES_MAX) + d->waiting;
    double weight = place_bounded(d->weight, 0, 1e6);
    if (n == 0 || !((far > near ? far : near) * weight > 0))
        return;
    for (uint32_t i = 0; i < n; i++) // also where nobody serves it at the moment
        p->wanted[models[i]] = true;
    uint32_t scope = scope_of(p, d);
    if (p->scopes[scope].machine_count == 0)
        return;
    uint32_t at = add_set(p, models, n, scope); // may move the array
    struct place_set *s = &p->sets[at];
    s->demand = index;
    s->weight[WINDOW_NEAR] = near * weight;
    s->weight[WINDOW_FAR] = far > near ? (far - near) * weight * p->s.far_share : 0;
    s->miss = d->waiting ? 0 : 1 - place_bounded(d->chance_far, 0, 1);
    s->confidence = d->waiting ? 1 : place_bounded(d->confidence, 0, 1);
    s->run_s = place_bounded(d->run_s, RUN_S_MIN, SECONDS_MAX);
    s->concurrency = d->concurrency >= 0
                         ? place_bounded(d->concurrency, 0, USES_MAX)
                         : place_bounded(near / p->s.near_h * s->run_s / 3600, 0, USES_MAX);
}

/* Adds the demand of a set to what is told by a part of it. */
static void guide(struct place *p, uint32_t part, const struct place_set *s)
{
    struct place_set *g = &p->sets[part];
    double weight = s->weight[WINDOW_NEAR] + s->weight[WINDOW_FAR];
    double before = g->guide[WINDOW_NEAR] + g->guide[WINDOW_FAR];
    for (int w = 0; w < WINDOWS; w++)
        g->guide[w] += s->weight[w];
    if (g->demand == EMP_PLACE_NONE) {
        double share = weight / (before + weight);
        g->confidence += share * (s->confidence - g->confidence);
        g->run_s += share * (s->run_s - g->run_s);
        g->concurrency += s->concurrency;
    } else if (s->confidence > g->confidence) {
        g->confidence = s->confidence;
    }
    if (g != s)
        g->miss *= s->miss;
}

static void guide_part(struct place *p, uint32_t whole, const uint32_t *models, uint32_t n)
{
    uint32_t scope = p->sets[whole].scope, at;
    uint64_t key = set_key(models, n, scope);
    if (!emp_map_get(&p->set_of, key, &at)) {
        at = add_set(p, models, n, scope);
        emp_map_put(&p->set_of, key, at);
    }
    if (at != whole && p->sets[at].model_count == n)
        guide(p, at, &p->sets[whole]);
}

static void build_sets(struct place *p)
{
    emp_map_init(&p->set_of, p->arena);
    p->wanted = emp_arena_array(p->arena, bool, p->models);
    for (uint32_t i = 0; i < p->in->demand_count; i++)
        build_demand(p, i);
    p->real_count = p->set_count;
    for (uint32_t i = 0; i < p->real_count; i++) {
        struct place_set *s = &p->sets[i];
        emp_map_put(&p->set_of, set_key(s->models, s->model_count, s->scope), i);
        guide(p, i, s);
    }
    for (uint32_t i = 0; i < p->real_count; i++) {
        struct place_set s = p->sets[i]; // the array may move
        if (s.model_count < 2)
            continue;
        guide_part(p, i, s.models, 1);
        for (uint32_t k = 1; k < s.model_count; k++) {
            if (p->bytes[s.models[k]] * 2 >= p->bytes[s.models[0]]) // not a mere add-on
                guide_part(p, i, &s.models[k], 1);
            if (s.model_count > 2)
                guide_part(p, i, (uint32_t[]){s.models[0], s.models[k]}, 2);
        }
    }
    for (uint32_t i = 0; i < p->set_count; i++) {
        struct place_set *s = &p->sets[i];
        s->dirty = true;
        s->sure = s->confidence >= p->s.confidence_min;
        s->likely = s->sure && 1 - s->miss >= p->s.chance_min;
    }
}

static void index_sets(struct place *p)
{
    p->sets_from = emp_arena_array(p->arena, uint32_t, (size_t)p->models + 2);
    for (uint32_t i = 0; i < p->set_count; i++)
        for (uint32_t k = 0; k < p->sets[i].model_count; k++)
            p->sets_from[p->sets[i].models[k] + 2]++;
    for (uint32_t i = 0; i < p->models; i++)
        p->sets_from[i + 2] += p->sets_from[i + 1];
    p->sets_by_model = emp_arena_array(p->arena, struct place_member, p->sets_from[p->models + 1]);
    for (uint32_t i = 0; i < p->set_count; i++)
        for (uint32_t k = 0; k < p->sets[i].model_count; k++)
            p->sets_by_model[p->sets_from[p->sets[i].models[k] + 1]++] =
                (struct place_member){i, p->sets[i].scope};
}

/* What waiting jobs of the highest tier want and no serving machine has. */
static void find_urgent(struct place *p)
{
    for (uint32_t i = 0; i < p->real_count; i++) {
        const struct place_set *s = &p->sets[i];
        const struct emp_place_demand *d = &p->in->demands[s->demand];
        if (!d->critical || d->waiting == 0)
            continue;
        for (uint32_t k = 0; k < s->model_count; k++) {
            const struct place_scope *scope = &p->scopes[s->scope];
            bool stands = false;
            for (uint32_t j = 0; j < scope->machine_count && !stands; j++)
                stands = p->tier[place_cell(p, scope->machines[j], s->models[k])] != TIER_NONE;
            if (stands || !p->in->models[s->models[k]].fetchable)
                continue;
            if (p->urgent == NULL)
                p->urgent = emp_arena_array(p->arena, bool, p->models);
            p->urgent[s->models[k]] = true;
        }
    }
}

void place_build(struct place *p, struct emp_arena *arena, const struct emp_place_input *in)
{
    *p = (struct place){.arena = arena,
                        .in = in,
                        .s = in->settings ? *in->settings : defaults,
                        .machines = in->machine_count,
                        .models = in->model_count};
    bound_settings(&p->s);
    p->bytes = emp_arena_array(arena, int64_t, p->models);
    p->weight = emp_arena_array(arena, struct place_weight, p->models);
    for (uint32_t i = 0; i < p->models; i++)
        build_model(p, i);
    build_machines(p);
    build_copies(p);
    build_sets(p);
    index_sets(p);
    find_urgent(p);
    p->stamp = emp_arena_array(arena, uint32_t, p->set_count);
    p->touch = emp_arena_array(arena, struct place_touch, p->set_count);
    for (int w = 0; w < WINDOWS; w++)
        p->keys[w] = emp_arena_array(arena, struct place_key, p->machines);
    p->gathered = emp_arena_array(arena, struct place_holder, p->machines);
    place_value_init(p);
}

void emp_place_plan(struct emp_arena *arena, const struct emp_place_input *in,
                    struct emp_place_plan *ret)
{
    struct place p;
    place_build(&p, arena, in);
    *ret = (struct emp_place_plan){.value_before = place_value_total(&p)};
    place_search(&p);
    place_write(&p, ret);
}

double emp_place_value(struct emp_arena *arena, const struct emp_place_input *in)
{
    struct place p;
    place_build(&p, arena, in);
    return place_value_total(&p);
}

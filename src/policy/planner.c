/* What a set of models needs besides its models (service, pool, region, customer, run time, tier)
 * is kept beside the usage log, as the last job of the set said; it is not durable: after a restart
 * a set is taken to run anywhere until its next job. */
#include "policy/planner_internal.h"

#include "base/error.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVICES_MAX = 64 };
#define BUSY_MEMORY 0.3 /* weight of the newest look at how busy a pool is */
#define BUSY_MOST   0.95
#define KEY         "use/"

/* ------------------------------------------------------------------ life */

/* Memory is idle most of the time, and a load that a job needs undone is undone at once: so even a
 * small gain is taken there. What comes over a link has to be worth it: forecasts waver, and with a
 * plan a minute whatever looks good in one of them would be fetched. So of the hours after the next
 * one little counts yet, unless it is known for certain. At a plan a minute, improving one plan is
 * worth less than making the next. Figures and what was tried: docs/model-intelligence.md. */
static struct emp_place_settings eager(bool certain)
{
    struct emp_place_settings s = *emp_place_settings_default();
    s.margin = 0;
    s.far_share = certain ? 1 : 0.3;
    s.gb_moved_s = certain ? 0.5 : 1;
    s.gain_fetch_s = certain ? 0.5 : 3;
    s.gain_load_s = 0.05;
    s.chance_min = 0.02;
    s.confidence_min = 0;
    s.effort = 0;
    return s;
}

struct emp_planner *emp_planner_new(const struct emp_place_settings *place)
{
    struct emp_arena arena;
    emp_arena_init(&arena, 1 << 16);
    struct emp_planner *p = emp_arena_new(&arena, struct emp_planner);
    p->arena = arena;
    p->place = place ? *place : eager(false);
    p->place_certain = place ? *place : eager(true);
    emp_usage_init(&p->usage, &p->arena, NULL);
    emp_forecast_init(&p->forecast, &p->arena, &p->usage);
    emp_scorecard_init(&p->score, &p->arena);
    emp_intern_init(&p->names, &p->arena);
    emp_intern_init(&p->services, &p->arena);
    return p;
}

void emp_planner_free(struct emp_planner *p)
{
    if (p == NULL)
        return;
    struct emp_arena arena = p->arena; /* p lives in it */
    emp_arena_release(&arena);
}

const struct emp_scorecard *emp_planner_scorecard(const struct emp_planner *p)
{
    return &p->score;
}

struct emp_str emp_planner_key(struct emp_arena *arena, const struct emp_usage_row *row)
{
    return emp_str_z(emp_arena_printf(arena, KEY "%d/%u", (int)row->table, row->number));
}

int emp_planner_load(struct emp_planner *p, struct emp_str key, const void *bytes, uint32_t length)
{
    char text[32], *end;
    struct emp_usage_row row = {.bytes = bytes, .length = length};
    if (key.len < sizeof KEY || key.len >= sizeof text || memcmp(key.ptr, KEY, sizeof KEY - 1) != 0)
        return EMP_E_NOT_FOUND;
    memcpy(text, key.ptr, key.len);
    text[key.len] = '\0';
    unsigned long long table = strtoull(text + sizeof KEY - 1, &end, 10);
    if (table > EMP_USAGE_TABLE_PAIRS || *end != '/')
        return EMP_E_INVALID;
    row.table = (enum emp_usage_table)table;
    row.number = (uint32_t)strtoull(end + 1, &end, 10);
    p->loading = true;
    return *end == '\0' ? emp_usage_load(&p->usage, &row) : EMP_E_INVALID;
}

/* ------------------------------------------------------------------ from log to demand */

struct building {
    struct emp_planner *p;
    const struct emp_snapshot *in;
    struct emp_arena *a;
    struct emp_map index; /* hash of a model's name | 1 -> its place in the snapshot */
    emp_wall_ms now;
    struct emp_place_demand *demands;
    uint32_t demand_count;
    struct emp_map demand_of; /* hash of models, pool, region, customer -> demand + 1 */
    double *pool_work;        /* by name: expected busy slots */
    size_t pool_cap;
};

static bool model_index(const struct building *b, struct emp_str name, uint32_t *ret)
{
    return emp_map_get(&b->index, emp_str_hash(name) | 1, ret) &&
           emp_str_eq(b->in->models[*ret].name, name);
}

/* Beyond the bits any machine will do. */
static uint64_t service_bit(uint32_t service)
{
    return service && service <= SERVICES_MAX ? UINT64_C(1) << (service - 1) : 0;
}

static uint32_t any(uint32_t name)
{
    return name ? name : EMP_PLACE_ANY;
}

static uint64_t demand_key(const struct emp_place_demand *d)
{
    uint64_t h = emp_mix64(((uint64_t)d->pool << 32 | d->region) ^ d->needs * 31);
    h = emp_mix64(h + d->customer);
    for (uint32_t i = 0; i < d->model_count; i++)
        h = emp_mix64(h + d->models[i] + 1);
    return h | 1;
}

static const uint32_t *set_models(struct building *b, const struct emp_usage_series *s,
                                  uint32_t *ret_count)
{
    uint32_t *models = emp_arena_array(b->a, uint32_t, s->model_count);
    *ret_count = 0;
    for (uint32_t i = 0; i < s->model_count; i++)
        if (model_index(b, b->p->usage.series[s->models[i]].name, &models[*ret_count]))
            (*ret_count)++;
        else
            return NULL; /* no longer in the catalogue: nothing can be brought for it */
    return models;
}

static struct emp_place_demand *demand_add(struct building *b, const struct emp_place_demand *d)
{
    uint32_t at = b->demand_count++;
    b->demands[at] = *d;
    emp_map_put(&b->demand_of, demand_key(d), at + 1);
    return &b->demands[at];
}

static void work_add(struct building *b, uint32_t pool, double slots)
{
    if (pool < b->pool_cap)
        b->pool_work[pool] += slots;
}

static double used_lately(const struct building *b, const struct emp_usage_series *s)
{
    return emp_usage_between(s, b->now - EMP_USAGE_HOUR_MS, b->now, b->now);
}

/* The forecast learns from whole hours: of what has begun within this one it knows nothing yet.
 * Until it does, half of the last hour is expected of the next, and of the next six as much again.
 */
static void expect_newcomer(double lately, enum emp_forecast_window w, struct emp_forecast_one *one)
{
    static const double share[EMP_FORECAST_WINDOWS] = {1.0 / 12, 0.5, 1, 1};
    one->expected = share[w] * lately;
    one->any = 1 - exp(-one->expected);
    for (int q = 0; q < EMP_FORECAST_QUANTILES; q++) /* nothing is known but the mean */
        one->quantiles[q] = -one->expected * log1p(-emp_forecast_levels[q]);
}

static void demand_of_set(struct building *b, uint32_t number)
{
    const struct emp_usage_series *s = &b->p->usage.series[number];
    struct emp_forecast_one near_, far_;
    struct emp_planner_facts *f = emp_planner_facts_of(b->p, number);
    struct emp_place_demand d = {.concurrency = -1};
    emp_forecast_of(&b->p->forecast, number, EMP_FORECAST_1_HOUR, b->now, &near_);
    emp_forecast_of(&b->p->forecast, number, EMP_FORECAST_6_HOURS, b->now, &far_);
    double lately = used_lately(b, s);
    if (!(far_.expected > 0 || near_.expected > 0)) {
        expect_newcomer(lately, EMP_FORECAST_1_HOUR, &near_);
        expect_newcomer(lately, EMP_FORECAST_6_HOURS, &far_);
    }
    if (!(far_.expected > 0) || (d.models = set_models(b, s, &d.model_count)) == NULL)
        return;
    d.pool = any(f->pool);
    d.region = any(f->region);
    d.customer = f->customer;
    d.needs = service_bit(f->service);
    d.uses_near = near_.expected;
    d.uses_far = far_.expected;
    d.chance_far = far_.any;
    d.confidence = near_.confidence;
    d.weight = f->weight;
    d.run_s = (f->run_ms > 0 ? f->run_ms : EMP_PLANNER_RUN_GUESS_MS) / 1000;
    demand_add(b, &d);
    work_add(b, f->pool, d.uses_near * d.run_s / 3600);
}

/* What a job of these needs, of its models, those first that others hang on. False: it names one
 * that is not in the catalogue. */
static bool demand_fill(struct building *b, const struct emp_str *names, uint32_t count,
                        struct emp_place_demand *d)
{
    uint32_t *models = emp_arena_array(b->a, uint32_t, count);
    for (int hangs = 0; hangs < 2; hangs++)
        for (uint32_t i = 0; i < count; i++) {
            uint32_t m;
            if (!model_index(b, names[i], &m))
                return false;
            if (b->in->models[m].modifies == (hangs == 1))
                models[d->model_count++] = m;
        }
    d->models = models;
    return d->model_count > 0;
}

static void demand_place(struct building *b, struct emp_place_demand *d, struct emp_str service,
                         struct emp_str pool, struct emp_str region, struct emp_str customer,
                         enum emp_tier tier, int64_t run_ms)
{
    d->pool = any(emp_planner_name(b->p, pool));
    d->region = any(emp_planner_name(b->p, region));
    d->customer = emp_planner_name(b->p, customer);
    d->needs = service_bit(service.len ? emp_intern_find(&b->p->services, service) : 0);
    d->weight = emp_planner_tier_weight[(unsigned)tier < EMP_TIER_COUNT ? tier : 0];
    d->run_s = (double)(run_ms > 0 ? run_ms : EMP_PLANNER_RUN_GUESS_MS) / 1000;
    d->concurrency = -1;
}

/* Jobs that wait join the demand of their set, or make one. */
static void demand_of_waiting(struct building *b, const struct emp_planner_waiting *w)
{
    struct emp_place_demand d = {.confidence = 1};
    uint32_t at;
    if (!demand_fill(b, w->models, w->model_count, &d))
        return;
    demand_place(b, &d, w->service, w->pool, w->region, w->customer, w->tier, w->run_ms);
    struct emp_place_demand *known =
        emp_map_get(&b->demand_of, demand_key(&d), &at) ? &b->demands[at - 1] : demand_add(b, &d);
    known->waiting += w->count;
    known->critical |= w->tier == EMP_TIER_COUNT - 1;
}

static void demand_foretold(struct building *b, const struct emp_planner_foretold *f)
{
    struct emp_place_demand d = {.confidence = 1};
    if (!demand_fill(b, f->models, f->model_count, &d))
        return;
    demand_place(b, &d, f->service, f->pool, f->region, f->customer, f->tier, f->run_ms);
    d.uses_near = f->uses_near;
    d.uses_far = f->uses_far;
    d.chance_far = f->uses_far >= 1 ? 1 : f->uses_far;
    demand_add(b, &d);
    work_add(b, emp_intern_find(&b->p->names, f->pool), d.uses_near * d.run_s / 3600);
}

static void demands_make(struct building *b)
{
    const struct emp_usage *u = &b->p->usage;
    b->demands = emp_arena_array(b->a, struct emp_place_demand,
                                 u->series_count + b->in->waiting_count + b->in->foretold_count);
    emp_map_init(&b->demand_of, b->a);
    for (uint32_t i = 0; i < b->in->machine_count; i++)
        emp_planner_name(
            b->p, b->in->machines[i].pool); /* now, so that all of them are within pool_cap */
    b->pool_cap = b->p->names.count + 1;
    b->pool_work = emp_arena_array(b->a, double, b->pool_cap);
    for (uint32_t i = 0; b->in->clairvoyant && i < b->in->foretold_count; i++)
        demand_foretold(b, &b->in->foretold[i]);
    for (uint32_t i = 1; !b->in->clairvoyant && i < u->series_count; i++)
        if (u->series[i].kind == EMP_USAGE_KIND_SET)
            demand_of_set(b, i);
    for (uint32_t i = 0; i < b->in->waiting_count; i++)
        demand_of_waiting(b, &b->in->waiting[i]);
}

/* ------------------------------------------------------------------ from snapshot to placement */

static bool moves_there(const struct emp_snapshot *in, struct emp_str pool)
{
    for (uint32_t i = 0; i < in->no_plan_count; i++)
        if (emp_str_eq(in->no_plans[i], pool))
            return false;
    return true;
}

/* How busy a pool's slots are: what was seen of late, or what is expected of the next hour,
 * whichever is more. */
static double *pools_busy(struct building *b)
{
    struct emp_planner *p = b->p;
    double *busy = emp_arena_array(b->a, double, b->pool_cap);
    double *slots = emp_arena_array(b->a, double, b->pool_cap);
    if (b->pool_cap > p->pool_cap) {
        p->pools = emp_arena_realloc(&p->arena, p->pools, p->pool_cap * sizeof *p->pools,
                                     b->pool_cap * sizeof *p->pools);
        memset(p->pools + p->pool_cap, 0, (b->pool_cap - p->pool_cap) * sizeof *p->pools);
        p->pool_cap = b->pool_cap;
    }
    for (uint32_t i = 0; i < b->in->machine_count; i++) {
        const struct emp_planner_machine *m = &b->in->machines[i];
        uint32_t pool = emp_planner_name(p, m->pool);
        slots[pool] += m->serves ? m->slots : 0;
        busy[pool] += m->serves ? m->busy : 0;
    }
    for (size_t i = 0; i < b->pool_cap; i++) {
        struct emp_planner_pool *load = &p->pools[i];
        if (slots[i] <= 0)
            continue;
        double seen = busy[i] / slots[i], expected = b->pool_work[i] / slots[i];
        load->busy = load->known ? load->busy + BUSY_MEMORY * (seen - load->busy) : seen;
        load->known = true;
        busy[i] = fmin(fmax(load->busy, expected), BUSY_MOST);
    }
    return busy;
}

static void machines_make(struct building *b, struct emp_place_input *ret, struct emp_str *ids)
{
    const double *busy = pools_busy(b);
    struct emp_place_machine *list =
        emp_arena_array(b->a, struct emp_place_machine, b->in->machine_count);
    for (uint32_t i = 0; i < b->in->machine_count; i++) {
        const struct emp_planner_machine *m = &b->in->machines[i];
        uint32_t pool = emp_planner_name(b->p, m->pool);
        ids[i] = m->id;
        list[i] = (struct emp_place_machine){
            .pool = pool,
            .region = emp_planner_name(b->p, m->region),
            .customer = emp_planner_name(b->p, m->customer),
            .serves = m->serves,
            .moves = moves_there(b->in, m->pool),
            .disk_bytes = m->disk_bytes,
            .ram_bytes = m->ram_bytes,
            .gpu_bytes = m->gpu_bytes,
            .link_bytes_per_s = m->link_bytes_per_s,
            .busy = pow(busy[pool], m->slots ? m->slots : 1), /* all of them at once */
            .hazard_per_hour = m->hazard_per_hour,
        };
        for (uint32_t s = 0; s < m->service_count; s++)
            list[i].can |= service_bit(emp_intern(&b->p->services, m->services[s]));
    }
    ret->machines = list;
    ret->machine_count = b->in->machine_count;
}

static void models_make(struct building *b, struct emp_place_input *ret, struct emp_str *names)
{
    struct emp_place_model *list =
        emp_arena_array(b->a, struct emp_place_model, b->in->model_count);
    for (uint32_t i = 0; i < b->in->model_count; i++) {
        const struct emp_planner_model *m = &b->in->models[i];
        names[i] = m->name;
        list[i] = (struct emp_place_model){.bytes = m->bytes,
                                           .customer = emp_planner_name(b->p, m->owner),
                                           .fetchable = m->fetchable,
                                           .loads = true,
                                           .keep = m->pinned};
    }
    ret->models = list;
    ret->model_count = b->in->model_count;
}

/* A fetch under way is taken for one of a plan unless the copy is in use: the machine knows better,
 * and lets no plan take what a job wants. */
static void copies_make(struct building *b, struct emp_place_input *ret)
{
    uint32_t count = 0, n = 0;
    for (uint32_t i = 0; i < b->in->machine_count; i++)
        count += b->in->machines[i].copy_count;
    struct emp_place_copy *list = emp_arena_array(b->a, struct emp_place_copy, count);
    for (uint32_t i = 0; i < b->in->machine_count; i++)
        for (uint32_t c = 0; c < b->in->machines[i].copy_count; c++) {
            const struct emp_planner_copy *from = &b->in->machines[i].copies[c];
            bool fetching = from->residency == EMP_RESIDENCY_FETCHING;
            list[n++] = (struct emp_place_copy){
                .machine = i,
                .model = from->model,
                .residency = from->residency,
                .bytes_left = fetching ? b->in->models[from->model].bytes : 0,
                .pinned = b->in->models[from->model].pinned,
                .in_use = from->in_use,
                .planned = fetching && !from->in_use,
            };
        }
    ret->copies = list;
    ret->copy_count = n;
}

/* ------------------------------------------------------------------ out */

struct order {
    const struct emp_place_want *want;
    bool urgent;
};

static int most_worth_first(const void *x, const void *y)
{
    const struct order *a = x, *b = y;
    if (a->urgent != b->urgent)
        return a->urgent ? -1 : 1;
    if (a->want->worth < b->want->worth || a->want->worth > b->want->worth)
        return a->want->worth > b->want->worth ? -1 : 1;
    return a->want->model < b->want->model ? -1 : a->want->model > b->want->model;
}

static void mark_urgent(const struct emp_place_plan *plan, uint32_t machine, struct order *list,
                        uint32_t count)
{
    for (uint32_t i = 0; i < plan->move_count && plan->moves[i].urgent; i++)
        for (uint32_t k = 0; plan->moves[i].machine == machine && k < count; k++)
            list[k].urgent |= list[k].want->model == plan->moves[i].model;
}

/* In whole ms: what is told can be written down and read back as it was. */
static double worth_told(const struct emp_place_want *w)
{
    return w->worth > 0 ? round(fmin(w->worth, 1e6) * 1000) / 1000 : 0;
}

static void machine_plan(struct building *b, const struct emp_place_plan *plan, uint32_t from,
                         uint32_t to, struct emp_plan_machine *ret)
{
    struct order *wanted = emp_arena_array(b->a, struct order, to - from);
    struct emp_plan_item *planned = emp_arena_array(b->a, struct emp_plan_item, to - from);
    struct emp_plan_item *others = emp_arena_array(b->a, struct emp_plan_item, to - from);
    for (uint32_t i = from; i < to; i++) {
        const struct emp_place_want *w = &plan->wants[i];
        if (w->tier >= EMP_RESIDENCY_DISK)
            wanted[ret->planned_count++].want = w;
        else if (w->present >= EMP_RESIDENCY_DISK)
            others[ret->other_count++] = (struct emp_plan_item){w->model, w->tier, worth_told(w)};
    }
    if (ret->planned_count)
        mark_urgent(plan, wanted[0].want->machine, wanted, ret->planned_count);
    qsort(wanted, ret->planned_count, sizeof *wanted, most_worth_first);
    for (uint32_t i = 0; i < ret->planned_count; i++)
        planned[i] = (struct emp_plan_item){wanted[i].want->model, wanted[i].want->tier,
                                            worth_told(wanted[i].want)};
    ret->planned = planned;
    ret->others = others;
}

static void plans_make(struct building *b, struct emp_plan_result *ret)
{
    const struct emp_place_plan *plan = &ret->plan;
    ret->machine_count = b->in->machine_count;
    ret->machines = emp_arena_array(b->a, struct emp_plan_machine, ret->machine_count);
    uint32_t at = 0;
    for (uint32_t i = 0; i < ret->machine_count; i++) {
        uint32_t from = at;
        while (at < plan->want_count && plan->wants[at].machine == i)
            at++;
        ret->machines[i].id = b->in->machines[i].id;
        if (ret->input.machines[i].moves)
            machine_plan(b, plan, from, at, &ret->machines[i]);
    }
}

static void rows_make(struct building *b, struct emp_plan_result *ret)
{
    size_t cap = 0, count = 0;
    struct emp_usage_row row;
    while (emp_usage_changed(&b->p->usage, b->a, &row)) {
        emp_arena_reserve(b->a, ret->rows, count, cap);
        ret->rows[count++] = row;
    }
    ret->row_count = (uint32_t)count;
}

static struct emp_str text_copy(struct building *b, struct emp_str s)
{
    return s.len ? emp_str_copy(b->a, s) : (struct emp_str){0};
}

/* By expected uses in 1 h, then by uses and name. */
static int more_expected(const void *x, const void *y)
{
    const struct emp_plan_forecast *a = x, *b = y;
    double of_a = a->windows[EMP_FORECAST_1_HOUR].expected,
           of_b = b->windows[EMP_FORECAST_1_HOUR].expected;
    if (of_a != of_b)
        return of_a > of_b ? -1 : 1;
    if (a->uses != b->uses)
        return a->uses > b->uses ? -1 : 1;
    return emp_str_cmp(a->model, b->model);
}

static void windows_make(struct building *b, uint32_t series, struct emp_plan_forecast *f)
{
    bool known = false;
    for (int w = 0; w < EMP_FORECAST_WINDOWS; w++) {
        emp_forecast_of(&b->p->forecast, series, (enum emp_forecast_window)w, b->now,
                        &f->windows[w]);
        known |= f->windows[w].expected > 0;
    }
    double lately = used_lately(b, &b->p->usage.series[series]);
    for (int w = 0; w < EMP_FORECAST_WINDOWS && !known; w++)
        expect_newcomer(lately, (enum emp_forecast_window)w, &f->windows[w]);
}

static void forecasts_make(struct building *b, struct emp_plan_result *ret)
{
    const struct emp_usage *u = &b->p->usage;
    struct emp_forecast_rank *rank;
    ret->forecast_count =
        emp_forecast_ranking(&b->p->forecast, EMP_FORECAST_1_HOUR, b->now, b->a, &rank);
    ret->forecasts = emp_arena_array(b->a, struct emp_plan_forecast, ret->forecast_count);
    for (uint32_t i = 0; i < ret->forecast_count; i++) {
        const struct emp_usage_series *s = &u->series[rank[i].series];
        struct emp_plan_forecast *f = &ret->forecasts[i];
        *f = (struct emp_plan_forecast){
            .model = text_copy(b, s->name),
            .kind = s->group ? text_copy(b, emp_intern_name(&u->groups, s->group))
                             : (struct emp_str){0},
            .pattern = emp_forecast_pattern_of(&b->p->forecast, rank[i].series, b->now),
            .life = emp_usage_evidence(u, rank[i].series, b->now),
            .first = s->first,
            .repeat = s->repeat,
            .downloads = s->downloads,
            .uses = s->uses,
            .last_at = s->last_at,
        };
        windows_make(b, rank[i].series, f);
    }
    if (ret->forecast_count)
        qsort(ret->forecasts, ret->forecast_count, sizeof *ret->forecasts, more_expected);
}

static void collections_make(struct building *b, struct emp_plan_result *ret)
{
    struct emp_usage_collection *found;
    ret->collection_count = emp_usage_collections(&b->p->usage, b->now, b->a, &found);
    ret->collections = emp_arena_array(b->a, struct emp_plan_collection, ret->collection_count);
    for (uint32_t i = 0; i < ret->collection_count; i++) {
        struct emp_plan_collection *c = &ret->collections[i];
        *c = (struct emp_plan_collection){
            .models = emp_arena_array(b->a, struct emp_str, found[i].model_count),
            .model_count = found[i].model_count,
            .strength = found[i].strength,
            .uses = found[i].uses};
        for (uint32_t m = 0; m < c->model_count; m++)
            c->models[m] = text_copy(b, b->p->usage.series[found[i].models[m]].name);
    }
}

/* ------------------------------------------------------------------ the run */

void emp_planner_run(struct emp_planner *p, const struct emp_snapshot *in, emp_wall_ms now,
                     struct emp_arena *arena, struct emp_plan_result *ret)
{
    struct building b = {.p = p, .in = in, .a = arena, .now = now};
    struct emp_place_settings *settings = emp_arena_new(arena, struct emp_place_settings);
    *ret = (struct emp_plan_result){
        .at = now,
        .machine_ids = emp_arena_array(arena, struct emp_str, in->machine_count),
        .model_names = emp_arena_array(arena, struct emp_str, in->model_count)};
    *settings = in->clairvoyant ? p->place_certain : p->place;
    settings->link_bytes_per_s = in->link_bytes_per_s;
    settings->disk_load_bytes_per_s = in->disk_load_bytes_per_s;
    settings->ram_load_bytes_per_s = in->ram_load_bytes_per_s;
    ret->input.settings = settings;
    emp_map_init(&b.index, arena);
    for (uint32_t i = 0; i < in->model_count; i++)
        emp_map_put(&b.index, emp_str_hash(in->models[i].name) | 1, i);

    if (p->loading)
        emp_usage_load_end(&p->usage);
    p->loading = false;
    emp_planner_take_notes(p, in, &b.index, arena);
    emp_planner_hours_pass(p, in, &b.index, now, arena);
    emp_scorecard_time(&p->score, now);
    ret->score = p->score.figures;
    ret->score_lately = emp_scorecard_lately(&p->score);
    demands_make(&b);
    machines_make(&b, &ret->input, ret->machine_ids);
    models_make(&b, &ret->input, ret->model_names);
    copies_make(&b, &ret->input);
    ret->input.demands = b.demands;
    ret->input.demand_count = b.demand_count;
    emp_place_plan(arena, &ret->input, &ret->plan);
    plans_make(&b, ret);
    rows_make(&b, ret);
    forecasts_make(&b, ret);
    collections_make(&b, ret);
}

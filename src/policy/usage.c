/* Numbers are given out once and again: a dropped series leaves its number, its arrays and its
 * name's memory to the next, so that a log under an endless stream of new names stays within what
 * its limits need. Which series goes is found among the next few dozen of that sort, round and
 * round: nearly the stalest, and no list to keep in order.
 *
 * Buckets are sparse: a model of which 300 jobs came in a year has at most 300 of each grain. */
#include "policy/usage.h"

#include "base/random.h"
#include "domain/limits.h"
#include "policy/usage_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const uint32_t emp_usage_kept[EMP_USAGE_GRAINS] = {EMP_USAGE_FINE_KEPT, EMP_USAGE_HOURS_KEPT,
                                                   EMP_USAGE_DAYS_KEPT};

enum { MODELS_MIN = 2 * EMP_USAGE_SET_MODELS };

static uint32_t or_default(uint32_t value, uint32_t usual)
{
    return value ? value : usual;
}

void emp_usage_init(struct emp_usage *u, struct emp_arena *arena,
                    const struct emp_usage_options *options)
{
    struct emp_usage_options o = options ? *options : (struct emp_usage_options){0};
    *u = (struct emp_usage){.arena = arena};
    u->options.models_max = or_default(o.models_max, 4096);
    if (u->options.models_max < MODELS_MIN)
        u->options.models_max = MODELS_MIN;
    u->options.sets_max = or_default(o.sets_max, 8192);
    u->options.pairs_max = or_default(o.pairs_max, 65536);
    emp_map_init(&u->by_name, arena);
    emp_map_init(&u->pair_of, arena);
    emp_intern_init(&u->groups, arena);
    emp_arena_reserve(arena, u->series, u->series_count, u->series_cap);
    u->series_count = 1;
    emp_usage_take(u, EMP_USAGE_KIND_FLEET, emp_usage_key(EMP_USAGE_KIND_FLEET, EMP_STR("")), 0);
    u->series[EMP_USAGE_FLEET].changed = false;
    u->places = 0; // the fleet is none
}

bool emp_usage_is_name(struct emp_str name)
{
    return name.len > 0 && name.len <= EMP_NAME_MAX && !memchr(name.ptr, '\n', name.len);
}

static uint64_t never_zero(uint64_t key)
{
    return key ? key : 1;
}

uint64_t emp_usage_key(enum emp_usage_kind kind, struct emp_str name)
{
    return never_zero(emp_mix64(emp_str_hash(name) + (uint64_t)kind));
}

uint64_t emp_usage_set_key(const uint32_t *models, uint32_t count)
{
    uint64_t key = EMP_USAGE_KIND_SET;
    for (uint32_t i = 0; i < count; i++)
        key = emp_mix64(key ^ models[i]) + 1;
    return never_zero(key);
}

/* ---- series and their numbers ---- */

void emp_usage_mark(struct emp_usage *u, struct emp_usage_series *s)
{
    uint32_t n = (uint32_t)(s - u->series);
    s->changed = true;
    if (n < u->changed_from)
        u->changed_from = n;
}

static uint32_t *count_of(struct emp_usage *u, enum emp_usage_kind kind)
{
    return kind == EMP_USAGE_KIND_MODEL ? &u->models
           : kind == EMP_USAGE_KIND_SET ? &u->sets
                                        : &u->places;
}

static uint32_t new_number(struct emp_usage *u)
{
    while (u->free_count > 0) {
        uint32_t n = u->free[--u->free_count];
        if (u->series[n].kind == EMP_USAGE_KIND_FREE) // a load may have filled it meanwhile
            return n;
    }
    emp_arena_reserve(u->arena, u->series, u->series_count, u->series_cap);
    return u->series_count++;
}

struct emp_usage_series *emp_usage_take(struct emp_usage *u, enum emp_usage_kind kind, uint64_t key,
                                        uint32_t n)
{
    if (n == 0)
        n = new_number(u);
    struct emp_usage_series *s = &u->series[n], old = *s;
    assert(old.kind == EMP_USAGE_KIND_FREE);
    *s = (struct emp_usage_series){
        .kind = kind,
        .generation = old.generation + 1,
        .name = {old.name.ptr, 0},
        .name_cap = old.name_cap,
        .models = old.models,
        .model_cap = old.model_cap,
        .key = key,
        .touched = u->clock,
    };
    for (int g = 0; g < EMP_USAGE_GRAINS; g++)
        s->grain[g] = (struct emp_usage_buckets){.at = old.grain[g].at, .cap = old.grain[g].cap};
    emp_map_put(&u->by_name, key, n);
    ++*count_of(u, kind);
    emp_usage_mark(u, s);
    return s;
}

void emp_usage_set_text(struct emp_usage *u, struct emp_usage_series *s, struct emp_str name)
{
    char *text = (char *)s->name.ptr;
    if (name.len > s->name_cap) {
        uint32_t cap = name.len < 32 ? 32 : name.len * 2;
        text = emp_arena_alloc(u->arena, cap);
        s->name_cap = cap;
    }
    if (name.len)
        memcpy(text, name.ptr, name.len);
    s->name = (struct emp_str){text, name.len};
}

void emp_usage_set_models(struct emp_usage *u, struct emp_usage_series *s, const uint32_t *models,
                          uint32_t count)
{
    if (count > s->model_cap) {
        s->models = emp_arena_array(u->arena, uint32_t, EMP_USAGE_SET_MODELS);
        s->model_cap = EMP_USAGE_SET_MODELS;
    }
    memcpy(s->models, models, count * sizeof *models);
    s->model_count = count;
    s->base = models[0];
}

static void give_up(struct emp_usage *u, uint32_t n)
{
    struct emp_usage_series *s = &u->series[n];
    uint32_t found;
    --*count_of(u, s->kind);
    if (emp_map_get(&u->by_name, s->key, &found) && found == n)
        emp_map_del(&u->by_name, s->key);
    s->kind = EMP_USAGE_KIND_FREE;
    emp_usage_mark(u, s);
    emp_arena_reserve(u->arena, u->free, u->free_count, u->free_cap);
    u->free[u->free_count++] = n;
}

static bool has_model(const struct emp_usage_series *s, uint32_t model)
{
    for (uint32_t i = 0; i < s->model_count; i++)
        if (s->models[i] == model)
            return true;
    return false;
}

void emp_usage_drop(struct emp_usage *u, uint32_t number)
{
    if (u->series[number].kind == EMP_USAGE_KIND_MODEL) {
        for (uint32_t n = 1; n < u->series_count; n++)
            if (u->series[n].kind == EMP_USAGE_KIND_SET && has_model(&u->series[n], number))
                give_up(u, n);
        for (uint32_t i = 0; i < u->pair_count; i++)
            if (u->pairs[i].a == number || u->pairs[i].b == number)
                emp_usage_drop_pair(u, i);
    }
    give_up(u, number);
}

static bool is_place(enum emp_usage_kind k)
{
    return k == EMP_USAGE_KIND_POOL || k == EMP_USAGE_KIND_REGION || k == EMP_USAGE_KIND_TIER;
}

/* Of the next few of that sort, the one that was touched least recently. */
static uint32_t stalest(struct emp_usage *u, enum emp_usage_kind kind)
{
    enum { LOOKED_AT = 64 };
    uint32_t worst = 0, seen = 0;
    for (uint32_t i = 0; i < u->series_count && seen < LOOKED_AT; i++) {
        u->hand = u->hand + 1 < u->series_count ? u->hand + 1 : 1;
        const struct emp_usage_series *s = &u->series[u->hand], *w = &u->series[worst];
        if (s->kind != kind && !(is_place(kind) && is_place(s->kind)))
            continue;
        seen++;
        if (!worst || s->touched < w->touched ||
            (s->touched == w->touched && s->last_at < w->last_at))
            worst = u->hand;
    }
    return worst;
}

static struct emp_usage_series *enter(struct emp_usage *u, enum emp_usage_kind kind, uint64_t key)
{
    uint32_t max = kind == EMP_USAGE_KIND_MODEL ? u->options.models_max
                   : kind == EMP_USAGE_KIND_SET ? u->options.sets_max
                                                : EMP_USAGE_PLACES_MAX;
    if (*count_of(u, kind) >= max)
        emp_usage_drop(u, stalest(u, kind));
    return emp_usage_take(u, kind, key, 0);
}

uint32_t emp_usage_find(const struct emp_usage *u, enum emp_usage_kind kind, struct emp_str name)
{
    uint32_t n;
    if (!emp_map_get(&u->by_name, emp_usage_key(kind, name), &n))
        return EMP_USAGE_NONE;
    return u->series[n].kind == kind && emp_str_eq(u->series[n].name, name) ? n : EMP_USAGE_NONE;
}

static uint32_t find_or_enter(struct emp_usage *u, enum emp_usage_kind kind, struct emp_str name)
{
    uint64_t key = emp_usage_key(kind, name);
    uint32_t n;
    if (!emp_usage_is_name(name))
        return EMP_USAGE_NONE;
    if (!emp_map_get(&u->by_name, key, &n)) {
        struct emp_usage_series *s = enter(u, kind, key);
        emp_usage_set_text(u, s, name);
        return (uint32_t)(s - u->series);
    }
    // two names of one 64-bit hash: the later one counts nowhere
    return u->series[n].kind == kind && emp_str_eq(u->series[n].name, name) ? n : EMP_USAGE_NONE;
}

static uint32_t group_number(struct emp_usage *u, struct emp_str group)
{
    if (group.len > EMP_NAME_MAX)
        return 0;
    if (u->groups.count > EMP_USAGE_GROUPS_MAX)
        return emp_intern_find(&u->groups, group);
    return emp_intern(&u->groups, group);
}

uint32_t emp_usage_model(struct emp_usage *u, struct emp_str name, struct emp_str group)
{
    uint32_t n = find_or_enter(u, EMP_USAGE_KIND_MODEL, name);
    if (n && group.len) {
        uint32_t g = group_number(u, group);
        if (g && g != u->series[n].group) {
            u->series[n].group = g;
            emp_usage_mark(u, &u->series[n]);
        }
    }
    return n;
}

/* Base first, the others by number. */
static void sort_set(uint32_t *models, uint32_t count)
{
    for (uint32_t i = 2; i < count; i++)
        for (uint32_t k = i; k > 1 && models[k - 1] > models[k]; k--) {
            uint32_t swap = models[k];
            models[k] = models[k - 1];
            models[k - 1] = swap;
        }
}

/* False: there is none of this key. */
static bool set_known(const struct emp_usage *u, uint64_t key, const uint32_t *models,
                      uint32_t count, uint32_t *ret)
{
    if (!emp_map_get(&u->by_name, key, ret))
        return false;
    const struct emp_usage_series *s = &u->series[*ret];
    if (s->kind != EMP_USAGE_KIND_SET || s->model_count != count ||
        memcmp(s->models, models, count * sizeof *models) != 0)
        *ret = EMP_USAGE_NONE;
    return true;
}

/* The set of these models (base first, no duplicates); sorts the others. */
static uint32_t set_of(struct emp_usage *u, uint32_t *models, uint32_t count)
{
    sort_set(models, count);
    uint64_t key = emp_usage_set_key(models, count);
    uint32_t n;
    if (set_known(u, key, models, count, &n))
        return n;
    struct emp_usage_series *s = enter(u, EMP_USAGE_KIND_SET, key);
    emp_usage_set_models(u, s, models, count);
    return (uint32_t)(s - u->series);
}

static uint32_t enter_once(uint32_t *list, uint32_t count, uint32_t model)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == model)
            return count;
    if (model != EMP_USAGE_NONE && count < EMP_USAGE_SET_MODELS)
        list[count++] = model;
    return count;
}

uint32_t emp_usage_find_set(const struct emp_usage *u, const struct emp_str *models, uint32_t count)
{
    uint32_t list[EMP_USAGE_SET_MODELS], n = 0, found;
    for (uint32_t i = 0; i < count; i++)
        n = enter_once(list, n, emp_usage_find(u, EMP_USAGE_KIND_MODEL, models[i]));
    sort_set(list, n);
    return n && set_known(u, emp_usage_set_key(list, n), list, n, &found) ? found : EMP_USAGE_NONE;
}

/* ---- counting ---- */

/* Place of the first bucket whose index is not below `index`. */
static uint32_t lower_bound(const struct emp_usage_buckets *b, uint32_t index)
{
    uint32_t low = 0, high = b->count;
    if (high && b->at[high - 1].index < index) // nearly always: now is later than all before
        return high;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (b->at[mid].index < index)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Forgets what is older than what is kept; when the array is full all the same, the oldest. */
static void make_room(struct emp_usage_buckets *b, uint32_t kept, uint32_t newest)
{
    uint32_t gone = lower_bound(b, newest >= kept ? newest - kept + 1 : 0);
    if (gone == 0 && b->count >= kept)
        gone = 1;
    if (gone == 0)
        return;
    memmove(b->at, b->at + gone, (b->count - gone) * sizeof *b->at);
    b->count -= gone;
}

static bool add(struct emp_usage *u, struct emp_usage_series *s, enum emp_usage_grain g,
                uint32_t index)
{
    struct emp_usage_buckets *b = &s->grain[g];
    uint32_t kept = emp_usage_kept[g], at = lower_bound(b, index);
    if (at < b->count && b->at[at].index == index) {
        b->at[at].count += b->at[at].count < UINT32_MAX;
        return true;
    }
    uint32_t newest = b->count && b->at[b->count - 1].index > index ? b->at[b->count - 1].index
                                                                    : index;
    if (newest - index >= kept)
        return false;
    if (b->count == b->cap || b->count >= kept) {
        make_room(b, kept, newest);
        at = lower_bound(b, index);
        emp_arena_reserve(u->arena, b->at, b->count, b->cap);
    }
    memmove(b->at + at + 1, b->at + at, (b->count - at) * sizeof *b->at);
    b->at[at] = (struct emp_usage_bucket){index, 1};
    b->count++;
    return true;
}

static void count(struct emp_usage *u, uint32_t number, emp_wall_ms at)
{
    struct emp_usage_series *s = &u->series[number];
    if (number == EMP_USAGE_NONE)
        return;
    bool all = true;
    for (int g = 0; g < EMP_USAGE_GRAINS; g++)
        all &= add(u, s, (enum emp_usage_grain)g, emp_usage_index(at, (enum emp_usage_grain)g));
    if (number == EMP_USAGE_FLEET)
        u->late += !all;
    if (!s->uses || at < s->first_at)
        s->first_at = at;
    if (!s->uses || at > s->last_at)
        s->last_at = at;
    s->uses++;
    s->touched = u->clock;
    emp_usage_mark(u, s);
}

/* ---- pairs ---- */

void emp_usage_mark_pair(struct emp_usage *u, uint32_t at)
{
    u->pairs[at].changed = true;
    if (at < u->pair_changed_from)
        u->pair_changed_from = at;
}

static uint64_t pair_key(uint32_t a, uint32_t b)
{
    return (uint64_t)a << 32 | b;
}

struct emp_usage_pair *emp_usage_take_pair(struct emp_usage *u, uint32_t at, uint32_t a, uint32_t b)
{
    u->pairs[at] = (struct emp_usage_pair){.a = a, .b = b};
    emp_map_put(&u->pair_of, pair_key(a, b), at);
    emp_usage_mark_pair(u, at);
    return &u->pairs[at];
}

void emp_usage_drop_pair(struct emp_usage *u, uint32_t at)
{
    uint32_t found;
    uint64_t key = pair_key(u->pairs[at].a, u->pairs[at].b);
    if (emp_map_get(&u->pair_of, key, &found) && found == at)
        emp_map_del(&u->pair_of, key);
    u->pairs[at] = (struct emp_usage_pair){0};
    emp_usage_mark_pair(u, at);
}

double emp_usage_pair_weight(const struct emp_usage_pair *p, emp_wall_ms now)
{
    double days = (double)(now - p->at) / EMP_USAGE_DAY_MS;
    return days > 0 ? p->weight * exp2(-days / EMP_USAGE_PAIR_HALF_LIFE_DAYS) : p->weight;
}

/* A place for a new pair: a new one, or the weakest of the next few. */
static uint32_t place_for_pair(struct emp_usage *u, emp_wall_ms now)
{
    enum { LOOKED_AT = 64 };
    if (u->pair_count < u->options.pairs_max) {
        emp_arena_reserve(u->arena, u->pairs, u->pair_count, u->pair_cap);
        return u->pair_count++;
    }
    uint32_t weakest = u->pair_hand;
    for (uint32_t i = 0; i < LOOKED_AT; i++) {
        uint32_t at = u->pair_hand;
        u->pair_hand = (u->pair_hand + 1) % u->pair_count;
        if (emp_usage_pair_weight(&u->pairs[at], now) <
            emp_usage_pair_weight(&u->pairs[weakest], now))
            weakest = at;
    }
    if (u->pairs[weakest].a)
        emp_usage_drop_pair(u, weakest);
    return weakest;
}

static void count_pair(struct emp_usage *u, uint32_t x, uint32_t y, emp_wall_ms now)
{
    uint32_t a = x < y ? x : y, b = x < y ? y : x, at;
    if (!emp_map_get(&u->pair_of, pair_key(a, b), &at)) {
        at = place_for_pair(u, now);
        emp_usage_take_pair(u, at, a, b)->at = now;
    }
    struct emp_usage_pair *p = &u->pairs[at];
    p->weight = emp_usage_pair_weight(p, now) + 1;
    p->at = now > p->at ? now : p->at;
    emp_usage_mark_pair(u, at);
}

/* ---- what is observed ---- */

static uint32_t numbers_of(struct emp_usage *u, const struct emp_usage_event *e,
                           uint32_t out[EMP_USAGE_SET_MODELS])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->model_count && i < EMP_USAGE_SET_MODELS;
         i++) // newcomers spare them
        u->series[emp_usage_find(u, EMP_USAGE_KIND_MODEL, e->models[i])].touched = u->clock;
    for (uint32_t i = 0; i < e->model_count && n < EMP_USAGE_SET_MODELS; i++) {
        uint32_t m = emp_usage_model(u, e->models[i], e->groups ? e->groups[i] : EMP_STR(""));
        bool known = m == EMP_USAGE_NONE;
        for (uint32_t k = 0; k < n && !known; k++)
            known = out[k] == m;
        if (!known) {
            out[n++] = m;
            u->series[m].touched = u->clock; // the event's next newcomer must not displace it
        }
    }
    return n;
}

uint32_t emp_usage_observe(struct emp_usage *u, const struct emp_usage_event *e)
{
    uint32_t models[EMP_USAGE_SET_MODELS], set = EMP_USAGE_NONE;
    emp_wall_ms at = e->at > 0 ? e->at : 0;
    u->clock++;
    if (at > u->last_at)
        u->last_at = at;
    count(u, EMP_USAGE_FLEET, at);
    count(u, find_or_enter(u, EMP_USAGE_KIND_POOL, e->pool), at);
    count(u, find_or_enter(u, EMP_USAGE_KIND_REGION, e->region), at);
    count(u, find_or_enter(u, EMP_USAGE_KIND_TIER, e->tier), at);

    uint32_t n = numbers_of(u, e, models);
    for (uint32_t i = 0; i < n; i++) {
        count(u, models[i], at);
        for (uint32_t k = 0; k < i; k++)
            count_pair(u, models[k], models[i], at);
    }
    if (n > 0)
        count(u, set = set_of(u, models, n), at);
    return set;
}

static void add_wait(struct emp_usage_waits *w, int64_t ms)
{
    w->count++;
    w->sum_ms += (uint64_t)ms;
    w->within_10s += ms <= 10000;
}

static bool is_kind(const struct emp_usage *u, uint32_t n, enum emp_usage_kind kind)
{
    return n != EMP_USAGE_NONE && n < u->series_count && u->series[n].kind == kind;
}

void emp_usage_observe_wait(struct emp_usage *u, uint32_t set, int64_t wait_ms, bool first_use)
{
    if (!is_kind(u, set, EMP_USAGE_KIND_SET) || wait_ms < 0)
        return;
    struct emp_usage_series *s = &u->series[set];
    for (uint32_t i = 0; i <= s->model_count; i++) {
        struct emp_usage_series *one = i < s->model_count ? &u->series[s->models[i]] : s;
        add_wait(first_use ? &one->first : &one->repeat, wait_ms);
        emp_usage_mark(u, one);
    }
}

void emp_usage_observe_download(struct emp_usage *u, uint32_t model, int64_t bytes, int64_t ms,
                                bool succeeded)
{
    if (!is_kind(u, model, EMP_USAGE_KIND_MODEL) || bytes < 0 || ms < 0)
        return;
    struct emp_usage_downloads *d = &u->series[model].downloads;
    d->count++;
    d->failed += !succeeded;
    d->bytes += succeeded ? (uint64_t)bytes : 0;
    d->ms += succeeded ? (uint64_t)ms : 0;
    emp_usage_mark(u, &u->series[model]);
}

/* ---- what is asked ---- */

uint32_t emp_usage_bucket(const struct emp_usage_series *s, enum emp_usage_grain g, uint32_t index)
{
    const struct emp_usage_buckets *b = &s->grain[g];
    uint32_t at = lower_bound(b, index);
    return at < b->count && b->at[at].index == index ? b->at[at].count : 0;
}

double emp_usage_between(const struct emp_usage_series *s, emp_wall_ms from, emp_wall_ms to,
                         emp_wall_ms now)
{
    static const int64_t ms[EMP_USAGE_GRAINS] = {EMP_USAGE_FINE_MS, EMP_USAGE_HOUR_MS,
                                                 EMP_USAGE_DAY_MS};
    int g = EMP_USAGE_FINE;
    if (from < 0)
        from = 0;
    while (g < EMP_USAGE_DAY && now / ms[g] - from / ms[g] >= (int64_t)emp_usage_kept[g])
        g++;
    const struct emp_usage_buckets *b = &s->grain[g];
    double sum = 0;
    for (uint32_t i = lower_bound(b, (uint32_t)(from / ms[g])); i < b->count; i++) {
        int64_t start = b->at[i].index * ms[g], end = start + ms[g];
        if (start >= to)
            break;
        int64_t inside = (end < to ? end : to) - (start > from ? start : from);
        sum += b->at[i].count * (double)inside / (double)ms[g];
    }
    return sum;
}

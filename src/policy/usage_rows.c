/* Rows: numbers as LEB128 (seven bits a byte, low first), buckets as differences, so that a busy
 * model's row takes some kilobytes and a quiet one's some dozen bytes. Reading trusts nothing: what
 * is not exactly of this form is refused before anything is changed. */
#include "policy/usage_internal.h"

#include "base/error.h"
#include "domain/limits.h"

#include <string.h>

enum { LAYOUT = 1, VARINT_MAX = 10 };

struct out {
    unsigned char *at;
};
struct in {
    const unsigned char *at, *end;
    bool bad;
};

static void put(struct out *o, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *o->at++ = (unsigned char)(v | 0x80);
    *o->at++ = (unsigned char)v;
}

static uint64_t get(struct in *i, uint64_t max)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && i->at < i->end; shift += 7) {
        unsigned char byte = *i->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        i->bad |= v > max || (shift == 63 && byte > 1);
        return i->bad ? 0 : v;
    }
    i->bad = true;
    return 0;
}

static void put_text(struct out *o, struct emp_str s)
{
    put(o, s.len);
    if (s.len)
        memcpy(o->at, s.ptr, s.len);
    o->at += s.len;
}

static struct emp_str get_text(struct in *i)
{
    uint32_t len = (uint32_t)get(i, EMP_USAGE_ROW_BYTES_MAX);
    if (i->bad || len > (size_t)(i->end - i->at)) {
        i->bad = true;
        return EMP_STR("");
    }
    i->at += len;
    return (struct emp_str){(const char *)i->at - len, len};
}

/* ---- series ---- */

static const enum emp_usage_grain grains[] = {EMP_USAGE_FINE, EMP_USAGE_HOUR, EMP_USAGE_DAY};

static void put_waits(struct out *o, const struct emp_usage_waits *w)
{
    put(o, w->count);
    put(o, w->sum_ms);
    put(o, w->within_10s);
}

static struct emp_usage_waits get_waits(struct in *i)
{
    struct emp_usage_waits w = {.count = get(i, INT64_MAX)};
    w.sum_ms = get(i, INT64_MAX);
    w.within_10s = get(i, w.count);
    return w;
}

static void put_buckets(struct out *o, const struct emp_usage_buckets *b)
{
    put(o, b->count);
    for (uint32_t i = 0, last = 0; i < b->count; last = b->at[i++].index) {
        put(o, b->at[i].index - last);
        put(o, b->at[i].count);
    }
}

/* At most EMP_USAGE_HOURS_KEPT, the largest of all. */
static uint32_t get_buckets(struct in *i, uint32_t kept, struct emp_usage_bucket *out)
{
    uint32_t n = (uint32_t)get(i, kept), index = 0;
    for (uint32_t k = 0; k < n && !i->bad; k++) {
        uint32_t step = (uint32_t)get(i, UINT32_MAX - index);
        i->bad |= k > 0 && step == 0;
        index += step;
        out[k] = (struct emp_usage_bucket){index, (uint32_t)get(i, UINT32_MAX)};
        i->bad |= out[k].count == 0;
    }
    return i->bad ? 0 : n;
}

static uint32_t row_bound(const struct emp_usage_series *s)
{
    uint32_t n = 24 * VARINT_MAX + s->name.len;
    n += s->model_count * 2 * VARINT_MAX;
    for (int g = 0; g < EMP_USAGE_GRAINS; g++)
        n += s->grain[g].count * 10;
    return n;
}

static void save_series(const struct emp_usage *u, uint32_t number, struct emp_arena *arena,
                        struct emp_usage_row *ret)
{
    const struct emp_usage_series *s = &u->series[number];
    struct emp_str group = emp_intern_name(&u->groups, s->group);
    unsigned char *bytes = emp_arena_alloc(arena, row_bound(s) + group.len);
    struct out o = {bytes};
    put(&o, LAYOUT);
    put(&o, s->kind);
    put_text(&o, s->name);
    put_text(&o, group);
    put(&o, s->model_count);
    for (uint32_t i = 0; i < s->model_count; i++) {
        put(&o, s->models[i]);
        put(&o, u->series[s->models[i]].key);
    }
    put(&o, (uint64_t)s->first_at);
    put(&o, (uint64_t)s->last_at);
    put(&o, s->uses);
    put_waits(&o, &s->first);
    put_waits(&o, &s->repeat);
    put(&o, s->downloads.count);
    put(&o, s->downloads.failed);
    put(&o, s->downloads.bytes);
    put(&o, s->downloads.ms);
    for (int g = 0; g < EMP_USAGE_GRAINS; g++)
        put_buckets(&o, &s->grain[grains[g]]);
    *ret = (struct emp_usage_row){EMP_USAGE_TABLE_SERIES, number, bytes, (uint32_t)(o.at - bytes)};
}

/* A series as its row says it. */
struct read_series {
    struct emp_usage_series s; /* buckets: counts only */
    struct emp_str group;
    uint32_t models[EMP_USAGE_SET_MODELS];
    uint64_t model_keys[EMP_USAGE_SET_MODELS];
    struct emp_usage_bucket buckets[EMP_USAGE_GRAINS][EMP_USAGE_HOURS_KEPT];
};

static void read_models(struct in *i, struct read_series *r)
{
    r->s.model_count = (uint32_t)get(i, EMP_USAGE_SET_MODELS);
    i->bad |= (r->s.kind == EMP_USAGE_KIND_SET) != (r->s.model_count > 0);
    for (uint32_t k = 0; k < r->s.model_count && !i->bad; k++) {
        r->models[k] = (uint32_t)get(i, UINT32_MAX);
        r->model_keys[k] = get(i, UINT64_MAX);
        i->bad |= r->models[k] <= EMP_USAGE_FLEET || !r->model_keys[k];
        for (uint32_t j = 0; j < k; j++)
            i->bad |= r->models[j] == r->models[k] || (j > 0 && r->models[j] > r->models[k]);
    }
}

static bool name_fits(const struct emp_usage_series *s)
{
    bool nameless = s->kind == EMP_USAGE_KIND_FLEET || s->kind == EMP_USAGE_KIND_SET;
    return nameless ? s->name.len == 0 : emp_usage_is_name(s->name);
}

static bool read_series(struct in *i, struct read_series *r)
{
    i->bad |= get(i, UINT64_MAX) != LAYOUT;
    r->s.kind = (enum emp_usage_kind)get(i, EMP_USAGE_KIND_SET);
    r->s.name = get_text(i);
    r->group = get_text(i);
    i->bad |= r->group.len > EMP_NAME_MAX;
    read_models(i, r);
    r->s.first_at = (emp_wall_ms)get(i, INT64_MAX);
    r->s.last_at = (emp_wall_ms)get(i, INT64_MAX);
    r->s.uses = get(i, INT64_MAX);
    r->s.first = get_waits(i);
    r->s.repeat = get_waits(i);
    r->s.downloads.count = get(i, INT64_MAX);
    r->s.downloads.failed = get(i, r->s.downloads.count);
    r->s.downloads.bytes = get(i, INT64_MAX);
    r->s.downloads.ms = get(i, INT64_MAX);
    for (int g = 0; g < EMP_USAGE_GRAINS; g++)
        r->s.grain[g].count = get_buckets(i, emp_usage_kept[g], r->buckets[g]);
    return !i->bad && i->at == i->end && r->s.kind != EMP_USAGE_KIND_FREE && name_fits(&r->s) &&
           r->s.first_at <= r->s.last_at;
}

/* Numbers that a log of these limits can have given out. */
static uint32_t numbers_max(const struct emp_usage *u)
{
    return 2 + u->options.models_max + u->options.sets_max + EMP_USAGE_PLACES_MAX;
}

static bool has_room(const struct emp_usage *u, enum emp_usage_kind k)
{
    return k == EMP_USAGE_KIND_MODEL ? u->models < u->options.models_max
           : k == EMP_USAGE_KIND_SET ? u->sets < u->options.sets_max
                                     : u->places < EMP_USAGE_PLACES_MAX;
}

static struct emp_usage_series *room_for(struct emp_usage *u, const struct read_series *r,
                                         uint32_t number, uint64_t key)
{
    if (number == EMP_USAGE_FLEET)
        return r->s.kind == EMP_USAGE_KIND_FLEET ? &u->series[number] : NULL;
    if (number == 0 || number >= numbers_max(u) || r->s.kind == EMP_USAGE_KIND_FLEET ||
        !has_room(u, r->s.kind) || emp_map_get(&u->by_name, key, NULL))
        return NULL;
    if (number < u->series_count && u->series[number].kind != EMP_USAGE_KIND_FREE)
        return NULL;
    while (u->series_count <= number) {
        emp_arena_reserve(u->arena, u->series, u->series_count, u->series_cap);
        emp_arena_reserve(u->arena, u->free, u->free_count, u->free_cap);
        u->free[u->free_count++] = u->series_count++;
    }
    return emp_usage_take(u, r->s.kind, key, number);
}

static void fill(struct emp_usage *u, struct emp_usage_series *s, const struct read_series *r)
{
    emp_usage_set_text(u, s, r->s.name);
    if (r->group.len)
        s->group = emp_intern(&u->groups, r->group);
    if (r->s.model_count)
        emp_usage_set_models(u, s, r->models, r->s.model_count);
    s->first_at = r->s.first_at;
    s->last_at = r->s.last_at;
    s->uses = r->s.uses;
    s->first = r->s.first;
    s->repeat = r->s.repeat;
    s->downloads = r->s.downloads;
    for (int g = 0; g < EMP_USAGE_GRAINS; g++) {
        struct emp_usage_buckets *b = &s->grain[g];
        for (b->count = 0; b->count < r->s.grain[g].count; b->count++) {
            emp_arena_reserve(u->arena, b->at, b->count, b->cap);
            b->at[b->count] = r->buckets[g][b->count];
        }
    }
    if (s->last_at > u->last_at)
        u->last_at = s->last_at;
    s->changed = false;
}

static int load_series(struct emp_usage *u, const struct emp_usage_row *row)
{
    struct in i = {row->bytes, (const unsigned char *)row->bytes + row->length, false};
    struct read_series *r = emp_arena_new(u->arena, struct read_series);
    int result = EMP_E_INVALID;
    if (read_series(&i, r) && (u->groups.count <= EMP_USAGE_GROUPS_MAX ||
                               emp_intern_find(&u->groups, r->group) || !r->group.len)) {
        uint64_t key = r->s.kind == EMP_USAGE_KIND_SET
                           ? emp_usage_set_key(r->models, r->s.model_count)
                           : emp_usage_key(r->s.kind, r->s.name);
        struct emp_usage_series *s = room_for(u, r, row->number, key);
        if (s) {
            fill(u, s, r);
            // until load_end, the keys tell whether its models are those it was saved with
            for (uint32_t k = 0; k < r->s.model_count; k++)
                s->touched ^= emp_usage_set_key(&r->models[k], 1) ^ r->model_keys[k];
            result = 0;
        }
    }
    emp_arena_give_back(u->arena, r, sizeof *r);
    return result;
}

/* ---- pairs ---- */

static void save_pair(const struct emp_usage *u, uint32_t number, struct emp_arena *arena,
                      struct emp_usage_row *ret)
{
    const struct emp_usage_pair *p = &u->pairs[number];
    unsigned char *bytes = emp_arena_alloc(arena, 8 * VARINT_MAX);
    struct out o = {bytes};
    put(&o, LAYOUT);
    put(&o, p->a);
    put(&o, p->b);
    put(&o, (uint64_t)(p->weight * 1e6 + 0.5));
    put(&o, (uint64_t)p->at);
    *ret = (struct emp_usage_row){EMP_USAGE_TABLE_PAIRS, number, bytes, (uint32_t)(o.at - bytes)};
}

static int load_pair(struct emp_usage *u, const struct emp_usage_row *row)
{
    struct in i = {row->bytes, (const unsigned char *)row->bytes + row->length, false};
    i.bad |= get(&i, UINT64_MAX) != LAYOUT;
    uint32_t a = (uint32_t)get(&i, UINT32_MAX), b = (uint32_t)get(&i, UINT32_MAX);
    double weight = (double)get(&i, INT64_MAX / 2) / 1e6;
    emp_wall_ms at = (emp_wall_ms)get(&i, INT64_MAX);
    if (i.bad || i.at != i.end || a <= EMP_USAGE_FLEET || a >= b ||
        row->number >= u->options.pairs_max ||
        emp_map_get(&u->pair_of, (uint64_t)a << 32 | b, NULL) ||
        (row->number < u->pair_count && u->pairs[row->number].a))
        return EMP_E_INVALID;
    while (u->pair_count <= row->number) {
        emp_arena_reserve(u->arena, u->pairs, u->pair_count, u->pair_cap);
        u->pairs[u->pair_count++] = (struct emp_usage_pair){0};
    }
    struct emp_usage_pair *p = emp_usage_take_pair(u, row->number, a, b);
    p->weight = weight;
    p->at = at;
    p->changed = false;
    return 0;
}

/* ---- both ---- */

bool emp_usage_changed(struct emp_usage *u, struct emp_arena *arena, struct emp_usage_row *ret)
{
    for (; u->changed_from < u->series_count; u->changed_from++) {
        struct emp_usage_series *s = &u->series[u->changed_from];
        if (!s->changed)
            continue;
        s->changed = false;
        *ret = (struct emp_usage_row){EMP_USAGE_TABLE_SERIES, u->changed_from, NULL, 0};
        if (s->kind != EMP_USAGE_KIND_FREE)
            save_series(u, u->changed_from, arena, ret);
        return true;
    }
    for (; u->pair_changed_from < u->pair_count; u->pair_changed_from++) {
        struct emp_usage_pair *p = &u->pairs[u->pair_changed_from];
        if (!p->changed)
            continue;
        p->changed = false;
        *ret = (struct emp_usage_row){EMP_USAGE_TABLE_PAIRS, u->pair_changed_from, NULL, 0};
        if (p->a)
            save_pair(u, u->pair_changed_from, arena, ret);
        return true;
    }
    return false;
}

int emp_usage_load(struct emp_usage *u, const struct emp_usage_row *row)
{
    if (row->length == 0 || row->length > EMP_USAGE_ROW_BYTES_MAX)
        return EMP_E_INVALID;
    return row->table == EMP_USAGE_TABLE_SERIES  ? load_series(u, row)
           : row->table == EMP_USAGE_TABLE_PAIRS ? load_pair(u, row)
                                                 : EMP_E_INVALID;
}

static bool is_model(const struct emp_usage *u, uint32_t n)
{
    return n < u->series_count && u->series[n].kind == EMP_USAGE_KIND_MODEL;
}

static bool set_fits(const struct emp_usage *u, const struct emp_usage_series *s)
{
    uint64_t seal = 0;
    for (uint32_t i = 0; i < s->model_count; i++) {
        if (!is_model(u, s->models[i]))
            return false;
        seal ^= emp_usage_set_key(&s->models[i], 1) ^ u->series[s->models[i]].key;
    }
    return s->touched == seal;
}

void emp_usage_load_end(struct emp_usage *u)
{
    for (uint32_t n = 1; n < u->series_count; n++) {
        struct emp_usage_series *s = &u->series[n];
        if (s->kind == EMP_USAGE_KIND_SET && !set_fits(u, s))
            emp_usage_drop(u, n);
        s->touched = 0;
    }
    for (uint32_t i = 0; i < u->pair_count; i++)
        if (u->pairs[i].a && !(is_model(u, u->pairs[i].a) && is_model(u, u->pairs[i].b)))
            emp_usage_drop_pair(u, i);
}

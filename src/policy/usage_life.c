/* Life-cycle: growth is judged against chance. Jobs come in clusters, so the variance of a count is
 * its mean times the mean size of a cluster (a compound Poisson process), taken here as the
 * use-weighted size of a 10-minute (hour, day) bucket. A window is compared with the one before it,
 * or with the same days of the week before as soon as there are such, scaled by the fleet's growth.
 */
#include "policy/usage_internal.h"

#include <math.h>
#include <stdlib.h>

#define DAY           ((int64_t)EMP_USAGE_DAY_MS)
#define WINDOW        (3 * DAY)
#define SIGNIFICANT   2.5 /* standard deviations */
#define GROWTH        1.5 /* and at least this factor */
#define JOIN_SHARE    0.5
#define SILENT_FACTOR 6 /* usual gaps between days of use */

const char *emp_usage_life_word(enum emp_usage_life l)
{
    static const char *const words[EMP_USAGE_LIFE_COUNT] = {"new", "trending", "stable",
                                                            "declining", "deprecated"};
    return (unsigned)l < EMP_USAGE_LIFE_COUNT ? words[l] : "unknown";
}

/* Mean size of a cluster as a use sees it; 1 at least. */
static double cluster(const struct emp_usage_series *s)
{
    const struct emp_usage_buckets *b = &s->grain[EMP_USAGE_FINE];
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        sum += b->at[i].count;
        squares += (double)b->at[i].count * b->at[i].count;
    }
    return sum > 0 ? squares / sum : 1;
}

static double usual_gap_days(const struct emp_usage_series *s)
{
    uint32_t days = s->grain[EMP_USAGE_DAY].count;
    return days > 1 ? (double)(s->last_at - s->first_at) / (double)DAY / (days - 1) : 1;
}

struct emp_usage_evidence emp_usage_evidence(const struct emp_usage *u, uint32_t model,
                                             emp_wall_ms now)
{
    struct emp_usage_evidence e = {.life = EMP_USAGE_LIFE_NEW};
    if (model == EMP_USAGE_NONE || model >= u->series_count || !u->series[model].uses)
        return e;
    const struct emp_usage_series *s = &u->series[model], *fleet = &u->series[EMP_USAGE_FLEET];
    e.age_days = fmax(0, (double)(now - s->first_at) / (double)DAY);
    e.silent_days = fmax(0, (double)(now - s->last_at) / (double)DAY);
    int64_t back = e.age_days >= 10 ? 7 * DAY : WINDOW;
    e.recent = emp_usage_between(s, now - WINDOW, now, now);
    e.before = emp_usage_between(s, now - WINDOW - back, now - back, now);
    e.fleet_recent = emp_usage_between(fleet, now - WINDOW, now, now);
    e.fleet_before = emp_usage_between(fleet, now - WINDOW - back, now - back, now);

    double growth = (e.fleet_recent + 1) / (e.fleet_before + 1), expected = e.before * growth;
    e.score = (e.recent - expected) / sqrt(cluster(s) * (e.recent + expected * growth + 1));
    if (e.silent_days > fmax(7, SILENT_FACTOR * usual_gap_days(s)))
        e.life = EMP_USAGE_LIFE_DEPRECATED;
    else if (e.age_days < 3)
        e.life = EMP_USAGE_LIFE_NEW;
    else if (e.score > SIGNIFICANT && e.recent > GROWTH * expected)
        e.life = EMP_USAGE_LIFE_TRENDING;
    else if (e.score < -SIGNIFICANT && e.recent * GROWTH < expected)
        e.life = EMP_USAGE_LIFE_DECLINING;
    else
        e.life = EMP_USAGE_LIFE_STABLE;
    return e;
}

/* ---- co-use ---- */

/* A series' uses, decayed as pairs are. */
static double decayed_uses(const struct emp_usage_series *s, emp_wall_ms now)
{
    const struct emp_usage_buckets *b = &s->grain[EMP_USAGE_DAY];
    double today = (double)now / (double)DAY, sum = 0;
    for (uint32_t i = 0; i < b->count; i++)
        sum += b->at[i].count *
               exp2(fmin(0, (b->at[i].index + 0.5 - today) / EMP_USAGE_PAIR_HALF_LIFE_DAYS));
    return sum;
}

static double share_of(double together, double uses)
{
    return uses > 0 ? fmin(1, together / uses) : 0;
}

static int by_together(const void *a, const void *b)
{
    const struct emp_usage_partner *x = a, *y = b;
    if (x->together != y->together)
        return x->together < y->together ? 1 : -1;
    return (x->model > y->model) - (x->model < y->model);
}

uint32_t emp_usage_partners(const struct emp_usage *u, uint32_t model, emp_wall_ms now,
                            struct emp_usage_partner *out, uint32_t max)
{
    uint32_t n = 0;
    if (model == EMP_USAGE_NONE || model >= u->series_count || max == 0)
        return 0;
    double own = decayed_uses(&u->series[model], now);
    double fleet = decayed_uses(&u->series[EMP_USAGE_FLEET], now);
    for (uint32_t i = 0; i < u->pair_count; i++) {
        const struct emp_usage_pair *p = &u->pairs[i];
        if (!p->a || (p->a != model && p->b != model))
            continue;
        struct emp_usage_partner one = {.model = p->a == model ? p->b : p->a,
                                        .together = emp_usage_pair_weight(p, now)};
        if (n == max && by_together(&out[n - 1], &one) < 0)
            continue;
        uint32_t at = n < max ? n++ : n - 1;
        for (; at > 0 && by_together(&out[at - 1], &one) > 0; at--)
            out[at] = out[at - 1];
        out[at] = one;
    }
    for (uint32_t i = 0; i < n; i++) {
        double other = decayed_uses(&u->series[out[i].model], now);
        out[i].share = share_of(out[i].together, own);
        out[i].lift = fleet > 0 && other > 0 ? out[i].share / share_of(other, fleet) : 0;
    }
    return n;
}

struct join {
    uint32_t a, b;
    double share;
};

static int by_share(const void *a, const void *b)
{
    const struct join *x = a, *y = b;
    if (x->share != y->share)
        return x->share < y->share ? 1 : -1;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

static int by_uses(const void *a, const void *b)
{
    const struct emp_usage_collection *x = a, *y = b;
    if (x->uses != y->uses)
        return x->uses < y->uses ? 1 : -1;
    return (x->models[0] > y->models[0]) - (x->models[0] < y->models[0]);
}

static uint32_t root(uint32_t *parent, uint32_t n)
{
    while (parent[n] != n)
        n = parent[n] = parent[parent[n]];
    return n;
}

/* Joins that bind, strongest first. */
static uint32_t find_joins(const struct emp_usage *u, const double *uses, emp_wall_ms now,
                           struct join *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < u->pair_count; i++) {
        const struct emp_usage_pair *p = &u->pairs[i];
        double w = p->a ? emp_usage_pair_weight(p, now) : 0;
        double share = p->a ? share_of(w, fmin(uses[p->a], uses[p->b])) : 0;
        if (share >= JOIN_SHARE && w >= 2) // once together is no habit
            out[n++] = (struct join){p->a, p->b, share};
    }
    qsort(out, n, sizeof *out, by_share);
    return n;
}

enum { COLLECTION_MAX = 32 };

uint32_t emp_usage_collections(const struct emp_usage *u, emp_wall_ms now, struct emp_arena *arena,
                               struct emp_usage_collection **ret)
{
    uint32_t n = u->series_count, found = 0;
    double *uses = emp_arena_array(arena, double, n), *shares = emp_arena_array(arena, double, n);
    uint32_t *parent = emp_arena_array(arena, uint32_t, n);
    uint32_t *size = emp_arena_array(arena, uint32_t, n);
    struct join *joins = emp_arena_array(arena, struct join, u->pair_count + 1);
    for (uint32_t i = 1; i < n; i++) {
        parent[i] = i;
        size[i] = 1;
        uses[i] = u->series[i].kind == EMP_USAGE_KIND_MODEL ? decayed_uses(&u->series[i], now) : 0;
    }
    uint32_t join_count = find_joins(u, uses, now, joins);
    for (uint32_t i = 0; i < join_count; i++) {
        uint32_t a = root(parent, joins[i].a), b = root(parent, joins[i].b);
        if (a == b || size[a] + size[b] > COLLECTION_MAX)
            continue;
        parent[b] = a;
        size[a] += size[b];
        shares[a] += shares[b] + joins[i].share;
    }
    struct emp_usage_collection *all = emp_arena_array(arena, struct emp_usage_collection, n);
    uint32_t *place = emp_arena_array(arena, uint32_t, n); // by root: place in all, plus 1
    for (uint32_t i = 1; i < n; i++) {
        uint32_t r = root(parent, i);
        if (size[r] < 2)
            continue;
        if (!place[r]) {
            place[r] = ++found;
            all[found - 1] =
                (struct emp_usage_collection){.models = emp_arena_array(arena, uint32_t, size[r]),
                                              .strength = shares[r] / (size[r] - 1)};
        }
        struct emp_usage_collection *c = &all[place[r] - 1];
        uint32_t at = c->model_count++;
        for (; at > 0 && uses[c->models[at - 1]] < uses[i]; at--)
            c->models[at] = c->models[at - 1];
        c->models[at] = i;
        c->uses = uses[c->models[0]];
    }
    qsort(all, found, sizeof *all, by_uses);
    *ret = all;
    return found;
}

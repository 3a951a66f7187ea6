/* What is asked of a forecast: one series, all models in order, patterns. */
#include "policy/forecast_internal.h"

#include <math.h>
#include <stdlib.h>

/* ---- ranking ---- */

static int by_expected(const void *a, const void *b)
{
    const struct emp_forecast_rank *x = a, *y = b;
    if (x->one.expected != y->one.expected)
        return x->one.expected < y->one.expected ? 1 : -1;
    return (x->series > y->series) - (x->series < y->series);
}

uint32_t emp_forecast_ranking(const struct emp_forecast *f, enum emp_forecast_window w,
                              emp_wall_ms now, struct emp_arena *arena,
                              struct emp_forecast_rank **ret)
{
    const struct emp_usage *u = f->usage;
    struct emp_forecast_rank *all = emp_arena_array(arena, struct emp_forecast_rank, u->models);
    struct emp_forecast_view v;
    uint32_t n = 0;
    bool known = emp_forecast_view_of(f, w, now, &v);
    for (uint32_t i = 1; i < u->series_count && n < u->models; i++) {
        if (u->series[i].kind != EMP_USAGE_KIND_MODEL)
            continue;
        all[n].series = i;
        if (known)
            emp_forecast_in_view(&v, i, &all[n].one);
        n++;
    }
    if (n > 0)
        qsort(all, n, sizeof *all, by_expected);
    *ret = all;
    return n;
}

/* ---- patterns ---- */

enum { PATTERN_HOURS = 28 * 24, USES_MIN = 20, DAYS_MIN = 3 };
#define CLEAR   4.0 /* ratio of variances (F): between phases over chance */
#define SELDOM  0.1 /* of the hours */
#define CLUSTER 5.0 /* uses in a 10-minute bucket, as a use sees it */

const char *emp_forecast_pattern_word(enum emp_forecast_pattern p)
{
    static const char *const words[] = {"unknown", "steady", "daily",
                                        "weekly",  "bursty", "sporadic"};
    return (unsigned)p < sizeof words / sizeof *words ? words[p] : "unknown";
}

/* F of one-way analysis of variance: values in `phases` groups, value i in group i % phases. */
static double variance_ratio(const double *y, uint32_t n, uint32_t phases)
{
    double mean = 0, between = 0, within = 0;
    uint32_t rounds = n / phases;
    if (rounds < 2)
        return 0;
    n = rounds * phases;
    for (uint32_t i = 0; i < n; i++)
        mean += y[i] / n;
    for (uint32_t p = 0; p < phases; p++) {
        double own = 0;
        for (uint32_t i = p; i < n; i += phases)
            own += y[i] / rounds;
        between += rounds * (own - mean) * (own - mean);
        for (uint32_t i = p; i < n; i += phases)
            within += (y[i] - own) * (y[i] - own);
    }
    between /= phases - 1;
    within /= n - phases;
    return within > 0 ? between / within : between > 0 ? INFINITY : 0;
}

static double cluster(const struct emp_usage_buckets *b)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        sum += b->at[i].count;
        squares += (double)b->at[i].count * b->at[i].count;
    }
    return sum > 0 ? squares / sum : 0;
}

enum emp_forecast_pattern emp_forecast_pattern_of(const struct emp_forecast *f, uint32_t series,
                                                  emp_wall_ms now)
{
    if (series == EMP_USAGE_NONE || series >= f->usage->series_count ||
        f->usage->series[series].kind == EMP_USAGE_KIND_FREE)
        return EMP_FORECAST_UNKNOWN;
    const struct emp_usage_series *s = &f->usage->series[series];
    double y[PATTERN_HOURS], days[PATTERN_HOURS / 24] = {0}, uses = 0;
    int64_t end = now / EMP_USAGE_HOUR_MS, born = s->first_at / EMP_USAGE_HOUR_MS;
    uint32_t n = end - born < PATTERN_HOURS ? (uint32_t)(end > born ? end - born : 0)
                                            : PATTERN_HOURS;
    uint32_t active = 0;
    for (uint32_t i = 0; i < n; i++) { // newest first
        y[i] = emp_usage_bucket(s, EMP_USAGE_HOUR, (uint32_t)(end - 1 - i));
        days[i / 24] += y[i];
        uses += y[i];
        active += y[i] > 0;
    }
    if (uses < USES_MIN || n < DAYS_MIN * 24)
        return EMP_FORECAST_UNKNOWN;
    if (variance_ratio(days, n / 24, 7) > CLEAR)
        return EMP_FORECAST_WEEKLY;
    if (variance_ratio(y, n, 24) > CLEAR)
        return EMP_FORECAST_DAILY;
    if (active > SELDOM * n)
        return EMP_FORECAST_STEADY;
    return cluster(&s->grain[EMP_USAGE_FINE]) > CLUSTER ? EMP_FORECAST_BURSTY
                                                        : EMP_FORECAST_SPORADIC;
}

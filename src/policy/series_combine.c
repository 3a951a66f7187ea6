/* The combination: every expert forecasts from earlier origins of the same series, as if what came
 * after were not known; its weight is a power of its inverse mean error there. That is the
 * simplest of the schemes that did well in M4 (Pawlikowski & Chorowska 2020), and needs nothing but
 * the series itself. Experts work on the values and, where all are above zero, on their logarithms
 * (which makes seasons multiplicative).
 *
 * The interval is split conformal (Vovk et al. 2005; Lei et al. 2018) over the same origins: errors
 * of the combination whose weights come from the other origins, scaled by how errors grow with the
 * step, and the quantile with its finite-sample correction. */
#include "policy/series_internal.h"

#include <math.h>
#include <string.h>

enum { ORIGINS_MAX = 4, EXPERTS_MAX = 16 };

#define POWER    3.0
#define COVERAGE 0.8

static int damped_naive(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out)
{
    emp_series_forecast(EMP_SERIES_SES, s, h, a, out);
    return 1;
}

static int theta(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out)
{
    emp_series_forecast(EMP_SERIES_THETA, s, h, a, out);
    return 1;
}

static int snaive(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out)
{
    emp_series_forecast(EMP_SERIES_SNAIVE, s, h, a, out);
    return 1;
}

static const struct {
    emp_series_expert run;
    int logarithmic; /* may it work on logarithms too? */
} experts[] = {
    {snaive, 0},
    {damped_naive, 0},
    {theta, 0},
    {emp_series_smooth_one, 1},
    {emp_series_smooth_two, 1},
    {emp_series_smooth_long, 1},
    {emp_series_profile, 1},
    {emp_series_regress, 1},
};

struct panel {
    uint32_t count, horizon;
    int applies[EXPERTS_MAX];
    double *forecast[EXPERTS_MAX];
};

static int has_only_positive(const struct emp_series *s)
{
    for (uint32_t t = 0; t < s->n; t++)
        if (!(s->y[t] > 0))
            return 0;
    return 1;
}

/* Beyond what was ever seen by a wide margin, or not a number: an expert that went astray. */
static int is_sane(const struct emp_series *s, const double *out, uint32_t h)
{
    double low = s->y[0], high = s->y[0];
    for (uint32_t t = 0; t < s->n; t++) {
        low = fmin(low, s->y[t]);
        high = fmax(high, s->y[t]);
    }
    double margin = high - low;
    for (uint32_t i = 0; i < h; i++)
        if (!(out[i] >= low - margin && out[i] <= high + margin))
            return 0;
    return 1;
}

/* All experts from one origin. */
static void run(const struct emp_series *s, uint32_t horizon, struct emp_arena *arena,
                struct panel *p)
{
    struct emp_series logs = *s;
    p->count = 0;
    p->horizon = horizon;
    if (has_only_positive(s)) {
        double *y = emp_arena_array(arena, double, s->n);
        for (uint32_t t = 0; t < s->n; t++)
            y[t] = log(s->y[t]);
        logs.y = y;
    }
    for (uint32_t e = 0; e < sizeof experts / sizeof *experts; e++) {
        for (int on_logs = 0; on_logs <= experts[e].logarithmic; on_logs++) {
            double *out = emp_arena_array(arena, double, horizon);
            int ok = (!on_logs || logs.y != s->y) &&
                     experts[e].run(on_logs ? &logs : s, horizon, arena, out);
            for (uint32_t i = 0; ok && on_logs && i < horizon; i++)
                out[i] = exp(out[i]);
            p->applies[p->count] = ok && is_sane(s, out, horizon);
            p->forecast[p->count++] = out;
        }
    }
}

static double mean_error(const double *actual, const double *forecast, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += fabs(actual[i] - forecast[i]);
    return sum / n;
}

/* The weighted mean of those that apply; the naive way when none has weight. */
static void mix(const struct emp_series *s, const struct panel *p, const double *weight,
                double *out)
{
    double sum = 0;
    memset(out, 0, p->horizon * sizeof *out);
    for (uint32_t e = 0; e < p->count; e++) {
        double w = p->applies[e] ? weight[e] : 0;
        sum += w;
        for (uint32_t i = 0; w > 0 && i < p->horizon; i++)
            out[i] += w * p->forecast[e][i];
    }
    for (uint32_t i = 0; i < p->horizon; i++)
        out[i] = sum > 0 ? out[i] / sum : s->y[s->n - 1];
}

/* Weights from the errors at all origins but `left_out`. Who did not apply somewhere has none. */
static void weigh(double errors[][EXPERTS_MAX], uint32_t origins, uint32_t experts_count,
                  uint32_t left_out, double *weight)
{
    double best = INFINITY, error[EXPERTS_MAX];
    for (uint32_t e = 0; e < experts_count; e++) {
        error[e] = 0;
        for (uint32_t o = 0; o < origins; o++)
            error[e] += o == left_out ? 0 : errors[o][e];
        best = fmin(best, error[e]);
    }
    for (uint32_t e = 0; e < experts_count; e++)
        weight[e] = isfinite(error[e]) ? pow((best + 1e-12) / (error[e] + 1e-12), POWER) : 0;
}

static void not_below_zero(const struct emp_series *s, double *out, uint32_t h)
{
    for (uint32_t t = 0; t < s->n; t++)
        if (s->y[t] < 0)
            return;
    for (uint32_t i = 0; i < h; i++)
        out[i] = fmax(out[i], 0);
}

static void sort(double *v, uint32_t n)
{
    for (uint32_t gap = n / 2; gap > 0; gap /= 2)
        for (uint32_t i = gap; i < n; i++) {
            double one = v[i];
            uint32_t k = i;
            for (; k >= gap && v[k - gap] > one; k -= gap)
                v[k] = v[k - gap];
            v[k] = one;
        }
}

/* Half width per step from absolute errors (origins × horizon), which grow with the step as their
 * mean over a window of steps does. */
static void half_widths(double *errors, uint32_t origins, uint32_t horizon, struct emp_arena *arena,
                        double *width)
{
    uint32_t n = origins * horizon, around = horizon / 4 + 1;
    double *scaled = emp_arena_array(arena, double, n + 1), all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += errors[i] / n;
    for (uint32_t i = 0; i < horizon; i++) {
        double sum = 0;
        uint32_t count = 0;
        for (uint32_t k = i > around ? i - around : 0; k < horizon && k <= i + around; k++, count++)
            for (uint32_t o = 0; o < origins; o++)
                sum += errors[o * horizon + k] / origins;
        width[i] = 0.5 * sum / count + 0.5 * all + 1e-12;
    }
    for (uint32_t i = 0; i < n; i++)
        scaled[i] = errors[i] / width[i % horizon];
    sort(scaled, n);
    uint32_t at = (uint32_t)ceil(COVERAGE * (n + 1));
    for (uint32_t i = 0; i < horizon; i++)
        width[i] *= scaled[at > n ? n - 1 : at - 1];
}

void emp_series_combine(const struct emp_series *s, uint32_t horizon, struct emp_arena *arena,
                        double *out, double *low, double *high)
{
    struct panel now, then[ORIGINS_MAX];
    double errors[ORIGINS_MAX][EXPERTS_MAX], weight[EXPERTS_MAX];
    uint32_t origins = 0;
    double *width = emp_arena_array(arena, double, horizon), *mixed = NULL;
    run(s, horizon, arena, &now);
    while (origins < ORIGINS_MAX && s->n > (origins + 1) * horizon + 2 * s->season + 2) {
        struct emp_series past = {s->y, s->n - (origins + 1) * horizon, s->season};
        run(&past, horizon, arena, &then[origins]);
        for (uint32_t e = 0; e < now.count; e++)
            errors[origins][e] = then[origins].applies[e]
                                     ? mean_error(s->y + past.n, then[origins].forecast[e], horizon)
                                     : INFINITY;
        origins++;
    }
    weigh(errors, origins, now.count, ORIGINS_MAX, weight);
    if (origins == 0) // nothing to judge by: the plain methods alike
        for (uint32_t e = 0; e < now.count; e++)
            weight[e] = e < 3;
    mix(s, &now, weight, out);
    not_below_zero(s, out, horizon);
    if (!low || !high)
        return;
    mixed = emp_arena_array(arena, double, (size_t)(origins + 1) * horizon);
    for (uint32_t o = 0; o < origins; o++) {
        uint32_t n = s->n - (o + 1) * horizon;
        weigh(errors, origins, now.count, origins > 1 ? o : ORIGINS_MAX, weight);
        mix(s, &then[o], weight, mixed + o * horizon);
        for (uint32_t i = 0; i < horizon; i++)
            mixed[o * horizon + i] = fabs(s->y[n + i] - mixed[o * horizon + i]);
    }
    if (origins > 0)
        half_widths(mixed, origins, horizon, arena, width);
    for (uint32_t i = 0; i < horizon; i++) {
        low[i] = out[i] - width[i];
        high[i] = out[i] + width[i];
    }
    not_below_zero(s, low, horizon);
}

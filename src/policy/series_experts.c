/* The experts of the combination.
 *
 * Smoothing: level, one or two seasons and an error that is autocorrelated (AR(1)), all corrected
 * by each step's error: the additive BATS model of De Livera, Hyndman & Snyder (2011), which with
 * two seasons is Taylor's (2003) double seasonal Holt-Winters. Profile: the median of the last
 * weeks at this place in the week, drawn to the last day's level. Regression: ridge regression on
 * the last values and those one to seven seasons before, iterated. */
#include "policy/series_internal.h"

#include <math.h>
#include <string.h>

/* ---- smoothing ---- */

struct smoother {
    const struct emp_series *s;
    uint32_t short_season, long_season; /* 0: none */
    double *first_short, *first_long;   /* states at the start */
    double *in_short, *in_long;
    double first_level, level, error;
};

/* First states from the first weeks: means per phase. */
static void first_states(struct smoother *w)
{
    const struct emp_series *s = w->s;
    uint32_t season = w->long_season ? w->long_season : w->short_season;
    uint32_t rounds = s->n / season < 3 ? s->n / season : 3, n = rounds * season;
    double level = 0;
    for (uint32_t t = 0; t < n; t++)
        level += s->y[t] / n;
    w->first_level = level;
    if (w->short_season)
        memset(w->first_short, 0, w->short_season * sizeof(double));
    for (uint32_t t = 0; w->short_season && t < n; t++)
        w->first_short[t % w->short_season] += (s->y[t] - level) * w->short_season / n;
    if (w->long_season)
        memset(w->first_long, 0, w->long_season * sizeof(double));
    for (uint32_t t = 0; w->long_season && t < n; t++) {
        double left = s->y[t] - level - (w->short_season ? w->first_short[t % w->short_season] : 0);
        w->first_long[t % w->long_season] += left / rounds;
    }
}

/* x: alpha of level, gain of the short season, of the long one, AR coefficient. Mean absolute
 * one-step error, the state after the last value stays. */
static double smooth_loss(const double *x, void *context)
{
    struct smoother *w = context;
    uint32_t n = w->s->n, m = w->short_season, l = w->long_season, settled = l ? l : m;
    double loss = 0;
    w->level = w->first_level;
    w->error = 0;
    if (m)
        memcpy(w->in_short, w->first_short, m * sizeof(double));
    if (l)
        memcpy(w->in_long, w->first_long, l * sizeof(double));
    for (uint32_t t = 0, i = 0, k = 0; t < n; t++) {
        double base = w->level + (m ? w->in_short[i] : 0) + (l ? w->in_long[k] : 0);
        double d = w->s->y[t] - base, e = d - x[3] * w->error;
        if (t >= settled)
            loss += e * e;
        w->error = d;
        w->level += x[0] * e;
        if (m)
            w->in_short[i] += x[1] * e;
        if (l)
            w->in_long[k] += x[2] * e;
        i = i + 1 == m ? 0 : i + 1;
        k = k + 1 == l ? 0 : k + 1;
    }
    return loss;
}

static int smooth(const struct emp_series *s, uint32_t short_season, uint32_t long_season,
                  uint32_t horizon, struct emp_arena *arena, double *out)
{
    static const double low[4] = {0, 0, 0, 0}, high[4] = {0.6, 0.6, 0.6, 0.98};
    struct smoother w = {.s = s, .short_season = short_season, .long_season = long_season};
    double x[4] = {0.02, short_season ? 0.1 : 0, long_season ? 0.15 : 0, 0.6};
    uint32_t longest = long_season ? long_season : short_season;
    if (longest < 2 || s->n < 2 * longest)
        return 0;
    w.first_short = emp_arena_array(arena, double, short_season + 1);
    w.in_short = emp_arena_array(arena, double, short_season + 1);
    w.first_long = emp_arena_array(arena, double, long_season + 1);
    w.in_long = emp_arena_array(arena, double, long_season + 1);
    first_states(&w);
    emp_series_minimise(smooth_loss, &w, x, low, high, 4, 160);
    smooth_loss(x, &w);
    double error = w.error;
    for (uint32_t i = 0; i < horizon; i++) {
        error *= x[3];
        out[i] = w.level + error + (short_season ? w.in_short[(s->n + i) % short_season] : 0) +
                 (long_season ? w.in_long[(s->n + i) % long_season] : 0);
    }
    return 1;
}

int emp_series_smooth_one(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out)
{
    return smooth(s, s->season, 0, h, a, out);
}

int emp_series_smooth_two(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out)
{
    return smooth(s, s->season, s->season * EMP_SERIES_LONG, h, a, out);
}

int emp_series_smooth_long(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out)
{
    return smooth(s, 0, s->season * EMP_SERIES_LONG, h, a, out);
}

/* ---- profile ---- */

enum { ROUNDS = 5 };

static double median(double *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k > 0 && v[k - 1] > v[k]; k--) {
            double swap = v[k];
            v[k] = v[k - 1];
            v[k - 1] = swap;
        }
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* What the weeks before t say of it. */
static double usual(const struct emp_series *s, uint32_t t)
{
    uint32_t l = s->season * EMP_SERIES_LONG, n = 0;
    double v[ROUNDS];
    for (uint32_t back = l; back <= t && n < ROUNDS; back += l)
        if (t - back < s->n)
            v[n++] = s->y[t - back];
    return median(v, n);
}

int emp_series_profile(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out)
{
    uint32_t l = s->season * EMP_SERIES_LONG;
    double off = 0;
    (void)a;
    if (s->season < 2 || s->n < l + s->season)
        return 0;
    for (uint32_t t = s->n - s->season; t < s->n; t++)
        off += (s->y[t] - usual(s, t)) / s->season;
    for (uint32_t i = 0; i < h; i++)
        out[i] = usual(s, s->n + i) + off * exp2(-(double)i / s->season);
    return 1;
}

/* ---- regression ---- */

enum { LAGS_MAX = 24 };

static uint32_t lags_of(const struct emp_series *s, uint32_t *lag)
{
    uint32_t n = 0, m = s->season, l = m * EMP_SERIES_LONG;
    for (uint32_t i = 1; i <= 3; i++)
        lag[n++] = i;
    for (uint32_t k = 1; m > 4 && k <= EMP_SERIES_LONG + 1; k++) {
        if (s->n < k * m * 3 / 2 + 4 * LAGS_MAX)
            break;
        lag[n++] = k * m;
        if (k == 1 || k == EMP_SERIES_LONG) {
            lag[n++] = k * m - 1;
            lag[n++] = k * m + 1;
        }
    }
    if (m > 4 && s->n > 3 * l)
        lag[n++] = 2 * l;
    return n;
}

int emp_series_regress(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out)
{
    uint32_t lag[LAGS_MAX], k = lags_of(s, lag), far = 0;
    double *gram = emp_arena_array(a, double, (size_t)k *k), *w = emp_arena_array(a, double, k);
    double *y = emp_arena_array(a, double, s->n + h), mean = 0, size = 0;
    for (uint32_t i = 0; i < k; i++)
        far = lag[i] > far ? lag[i] : far;
    if (s->n < far + 4 * k)
        return 0;
    for (uint32_t t = 0; t < s->n; t++)
        mean += s->y[t] / s->n;
    for (uint32_t t = 0; t < s->n; t++) {
        y[t] = s->y[t] - mean;
        size += y[t] * y[t] / s->n;
    }
    if (!(size > 0))
        return 0;
    for (uint32_t t = far; t < s->n; t++) {
        double weight = exp2(-(double)(s->n - t) / (28.0 * s->season)); // four weeks' half-life
        for (uint32_t i = 0; i < k; i++) {
            for (uint32_t j = 0; j <= i; j++)
                gram[i * k + j] += weight * y[t - lag[i]] * y[t - lag[j]];
            w[i] += weight * y[t - lag[i]] * y[t];
        }
    }
    for (uint32_t i = 0; i < k; i++)
        gram[i * k + i] += size * 2;
    emp_series_solve(gram, w, k);
    for (uint32_t i = 0; i < h; i++) {
        double sum = 0;
        for (uint32_t j = 0; j < k; j++)
            sum += w[j] * y[s->n + i - lag[j]];
        y[s->n + i] = sum;
        out[i] = sum + mean;
    }
    return 1;
}

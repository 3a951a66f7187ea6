/* The classical methods. Those of M4 work on the seasonally adjusted series: classical
 * multiplicative decomposition (centred moving average, mean ratio per phase), where the test finds
 * a season and no value is below or at zero; the forecast is seasonalised again. */
#include "policy/series.h"

#include "policy/series_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const char *emp_series_method_name(enum emp_series_method m)
{
    static const char *const names[] = {"naive",   "snaive", "ses",  "holt-winters", "theta",
                                        "croston", "tsb",    "ours", "naive2"};
    return (unsigned)m < sizeof names / sizeof *names ? names[m] : "unknown";
}

/* ---- errors ---- */

double emp_series_smape(const double *actual, const double *forecast, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        double size = fabs(actual[i]) + fabs(forecast[i]);
        sum += size > 0 ? 200 * fabs(actual[i] - forecast[i]) / size : 0;
    }
    return n ? sum / n : 0;
}

double emp_series_mase(const struct emp_series *s, const double *actual, const double *forecast,
                       uint32_t n)
{
    double scale = 0, sum = 0;
    if (s->n <= s->season || n == 0)
        return -1;
    for (uint32_t t = s->season; t < s->n; t++)
        scale += fabs(s->y[t] - s->y[t - s->season]);
    scale /= s->n - s->season;
    for (uint32_t i = 0; i < n; i++)
        sum += fabs(actual[i] - forecast[i]);
    return scale > 0 ? sum / n / scale : -1;
}

/* ---- season ---- */

static double autocorrelation(const double *y, uint32_t n, double mean, double variance,
                              uint32_t lag)
{
    double sum = 0;
    for (uint32_t t = lag; t < n; t++)
        sum += (y[t] - mean) * (y[t - lag] - mean);
    return sum / variance;
}

int emp_series_is_seasonal(const struct emp_series *s)
{
    if (s->season <= 1 || s->n < 3 * s->season)
        return 0;
    double mean = 0, variance = 0, sum = 0;
    for (uint32_t t = 0; t < s->n; t++)
        mean += s->y[t] / s->n;
    for (uint32_t t = 0; t < s->n; t++)
        variance += (s->y[t] - mean) * (s->y[t] - mean);
    if (!(variance > 0))
        return 0;
    for (uint32_t lag = 1; lag < s->season; lag++) {
        double r = autocorrelation(s->y, s->n, mean, variance, lag);
        sum += r * r;
    }
    double limit = 1.645 * sqrt((1 + 2 * sum) / s->n);
    return fabs(autocorrelation(s->y, s->n, mean, variance, s->season)) > limit;
}

/* Centred moving average over one season at t (t at least season/2 from both ends). */
static double centred(const struct emp_series *s, uint32_t t)
{
    uint32_t half = s->season / 2;
    double sum = 0;
    for (uint32_t i = t - half; i <= t + half; i++)
        sum += s->y[i];
    if (s->season % 2 == 0)
        sum -= (s->y[t - half] + s->y[t + half]) / 2;
    return sum / s->season;
}

/* Factor per phase (season of them), all 1 where there is no season; and the adjusted series. */
static const double *adjust(const struct emp_series *s, struct emp_arena *arena, double *adjusted)
{
    double *factor = emp_arena_array(arena, double, s->season), sum = 0;
    uint32_t *count = emp_arena_array(arena, uint32_t, s->season), half = s->season / 2;
    int seasonal = emp_series_is_seasonal(s);
    for (uint32_t t = 0; t < s->n; t++)
        seasonal &= s->y[t] > 0;
    for (uint32_t t = half; seasonal && t + half < s->n; t++) {
        factor[t % s->season] += s->y[t] / centred(s, t);
        count[t % s->season]++;
    }
    for (uint32_t i = 0; i < s->season; i++) {
        factor[i] = seasonal ? factor[i] / count[i] : 1;
        sum += factor[i];
    }
    for (uint32_t i = 0; i < s->season; i++)
        factor[i] *= s->season / sum;
    for (uint32_t t = 0; t < s->n; t++)
        adjusted[t] = s->y[t] / factor[t % s->season];
    return factor;
}

/* ---- smoothing ---- */

/* Sum of squared one-step errors for one alpha, with the first level that makes it least: the
 * forecast is a + b·level0, so that is a linear regression. Level after the last value into *ret.
 */
static double ses_loss(const double *y, uint32_t n, double alpha, double *ret)
{
    double a = 0, b = 1, ab = 0, bb = 0, aa = 0;
    for (uint32_t t = 0; t < n; t++) {
        double e = y[t] - a;
        aa += e * e;
        ab += e * b;
        bb += b * b;
        a += alpha * e;
        b *= 1 - alpha;
    }
    double level0 = bb > 0 ? ab / bb : y[0];
    *ret = a + b * level0;
    return aa - ab * level0;
}

static double ses_level(const double *y, uint32_t n)
{
    double best = INFINITY, level = y[n - 1], at = 0.5;
    for (double step = 0.02; step > 1e-4; step /= 10) {
        double centre = at;
        for (int i = -25; i <= 25; i++) {
            double alpha = centre + i * step, l;
            if (alpha < 1e-4 || alpha > 0.9999)
                continue;
            double loss = ses_loss(y, n, alpha, &l);
            if (loss < best) {
                best = loss;
                level = l;
                at = alpha;
            }
        }
    }
    return level;
}

static void line(const double *y, uint32_t n, double *ret_at_zero, double *ret_slope)
{
    double mt = (n - 1) / 2.0, my = 0, ty = 0, tt = 0;
    for (uint32_t t = 0; t < n; t++)
        my += y[t] / n;
    for (uint32_t t = 0; t < n; t++) {
        ty += (t - mt) * (y[t] - my);
        tt += (t - mt) * (t - mt);
    }
    *ret_slope = tt > 0 ? ty / tt : 0;
    *ret_at_zero = my - *ret_slope * mt;
}

/* Theta lines 0 (the regression line) and 2 (twice the distance from it, smoothed), averaged. */
static void theta(const double *y, uint32_t n, uint32_t horizon, struct emp_arena *arena,
                  double *out)
{
    double at_zero, slope, *two = emp_arena_array(arena, double, n);
    line(y, n, &at_zero, &slope);
    for (uint32_t t = 0; t < n; t++)
        two[t] = 2 * y[t] - (at_zero + slope * t);
    double level = ses_level(two, n);
    for (uint32_t i = 0; i < horizon; i++)
        out[i] = (level + at_zero + slope * (n + i)) / 2;
}

struct winters {
    const struct emp_series *s;
    double *season; /* scratch */
    double level, trend;
};

/* Squared one-step errors of additive Holt-Winters; the state after the last value stays in it. */
static double winters_loss(const double *x, void *context)
{
    struct winters *w = context;
    const double *y = w->s->y;
    uint32_t m = w->s->season, n = w->s->n;
    double first = 0, second = 0, loss = 0;
    for (uint32_t i = 0; i < m; i++) {
        first += y[i] / m;
        second += y[m + i] / m;
    }
    w->trend = (second - first) / m;
    w->level = first + w->trend * (m - 1) / 2.0;
    for (uint32_t i = 0; i < m; i++)
        w->season[i] = y[i] - (first + w->trend * (i - (m - 1) / 2.0));
    for (uint32_t t = m; t < n; t++) {
        double was = w->level, e = y[t] - (was + w->trend + w->season[t % m]);
        loss += e * e;
        w->level = was + w->trend + x[0] * e;
        w->trend += x[0] * x[1] * e;
        w->season[t % m] += x[2] * (1 - x[0]) * e;
    }
    return loss;
}

static void holt_winters(const struct emp_series *s, uint32_t horizon, struct emp_arena *arena,
                         double *out)
{
    static const double low[3] = {0.001, 0, 0}, high[3] = {0.999, 0.9, 0.999};
    struct winters w = {s, emp_arena_array(arena, double, s->season), 0, 0};
    double x[3] = {0.2, 0.05, 0.1};
    if (s->n < 2 * s->season + 1) {
        emp_series_forecast(EMP_SERIES_SNAIVE, s, horizon, arena, out);
        return;
    }
    emp_series_minimise(winters_loss, &w, x, low, high, 3, 200);
    winters_loss(x, &w);
    for (uint32_t i = 0; i < horizon; i++)
        out[i] = w.level + (i + 1) * w.trend + w.season[(s->n + i) % s->season];
}

/* ---- intermittent demand ---- */

#define CROSTON_ALPHA 0.1
#define TSB_ALPHA     0.1

static double croston(const struct emp_series *s)
{
    double size = 0, gap = 0;
    uint32_t since = 1;
    for (uint32_t t = 0; t < s->n; t++, since++) {
        if (s->y[t] == 0)
            continue;
        size = gap > 0 ? size + CROSTON_ALPHA * (s->y[t] - size) : s->y[t];
        gap = gap > 0 ? gap + CROSTON_ALPHA * (since - gap) : since;
        since = 0;
    }
    return gap > 0 ? size / gap : 0;
}

static double tsb(const struct emp_series *s)
{
    double size = 0, chance = 0;
    for (uint32_t t = 0; t < s->n; t++) {
        int used = s->y[t] != 0;
        if (used)
            size = size != 0 ? size + TSB_ALPHA * (s->y[t] - size) : s->y[t];
        chance += (t < 1 / TSB_ALPHA ? 1.0 / (t + 1) : TSB_ALPHA) * (used - chance);
    }
    return size * chance;
}

static void constant(double value, uint32_t horizon, double *out)
{
    for (uint32_t i = 0; i < horizon; i++)
        out[i] = value;
}

/* ---- by name ---- */

static void adjusted(enum emp_series_method m, const struct emp_series *s, uint32_t horizon,
                     struct emp_arena *arena, double *out)
{
    double *y = emp_arena_array(arena, double, s->n);
    const double *factor = adjust(s, arena, y);
    if (m == EMP_SERIES_THETA)
        theta(y, s->n, horizon, arena, out);
    else
        constant(m == EMP_SERIES_SES ? ses_level(y, s->n) : y[s->n - 1], horizon, out);
    for (uint32_t i = 0; i < horizon; i++)
        out[i] *= factor[(s->n + i) % s->season];
}

void emp_series_forecast(enum emp_series_method m, const struct emp_series *s, uint32_t horizon,
                         struct emp_arena *arena, double *out)
{
    assert(s->n >= 1 && s->season >= 1);
    switch (m) {
    case EMP_SERIES_NAIVE:
        constant(s->y[s->n - 1], horizon, out);
        break;
    case EMP_SERIES_SNAIVE:
        for (uint32_t i = 0; i < horizon; i++)
            out[i] = s->y[s->n >= s->season ? s->n - s->season + i % s->season : s->n - 1];
        break;
    case EMP_SERIES_HOLT_WINTERS:
        holt_winters(s, horizon, arena, out);
        break;
    case EMP_SERIES_CROSTON:
        constant(croston(s), horizon, out);
        break;
    case EMP_SERIES_TSB:
        constant(tsb(s), horizon, out);
        break;
    case EMP_SERIES_OURS:
        emp_series_combine(s, horizon, arena, out, NULL, NULL);
        break;
    default:
        adjusted(m, s, horizon, arena, out);
    }
}

/* ---- numerics ---- */

enum { DIMS_MAX = 6 };

static void clamp(double *x, const double *low, const double *high, uint32_t dims)
{
    for (uint32_t i = 0; i < dims; i++)
        x[i] = x[i] < low[i] ? low[i] : x[i] > high[i] ? high[i] : x[i];
}

struct corner {
    double x[DIMS_MAX], f;
};

static void sort_in(struct corner *c, uint32_t n, struct corner one)
{
    while (n > 0 && c[n - 1].f > one.f) {
        c[n] = c[n - 1];
        n--;
    }
    c[n] = one;
}

void emp_series_minimise(emp_series_loss f, void *context, double *x, const double *low,
                         const double *high, uint32_t dims, uint32_t evals)
{
    struct corner c[DIMS_MAX + 2], try, far;
    uint32_t done = 0;
    assert(dims <= DIMS_MAX);
    for (uint32_t i = 0; i <= dims; i++) {
        struct corner one;
        memcpy(one.x, x, dims * sizeof *x);
        if (i > 0)
            one.x[i - 1] += (high[i - 1] - low[i - 1]) *
                            (one.x[i - 1] < (low[i - 1] + high[i - 1]) / 2 ? 0.25 : -0.25);
        one.f = f(one.x, context);
        done++;
        sort_in(c, i, one);
    }
    while (done < evals && c[dims].f - c[0].f > 1e-9 * fabs(c[0].f)) {
        for (uint32_t k = 0; k < dims; k++) {
            double mean = 0;
            for (uint32_t i = 0; i < dims; i++)
                mean += c[i].x[k] / dims;
            try.x[k] = 2 * mean - c[dims].x[k];
            far.x[k] = 3 * mean - 2 * c[dims].x[k];
        }
        clamp(try.x, low, high, dims);
        try.f = f(try.x, context);
        done++;
        if (try.f < c[0].f) {
            clamp(far.x, low, high, dims);
            far.f = f(far.x, context);
            done++;
            try = far.f < try.f ? far : try;
        } else if (try.f >= c[dims - 1].f) { // contract towards the better of the two
            const struct corner *to = try.f < c[dims].f ? &
            try:
                &c[dims];
            for (uint32_t k = 0; k < dims; k++) {
                double mean = 0;
                for (uint32_t i = 0; i < dims; i++)
                    mean += c[i].x[k] / dims;
                far.x[k] = (mean + to->x[k]) / 2;
            }
            far.f = f(far.x, context);
            done++;
            if (far.f < to->f) {
                try = far;
            } else { // shrink around the best
                struct corner old[DIMS_MAX + 2];
                memcpy(old, c, sizeof old);
                for (uint32_t i = 1; i <= dims; i++, done++) {
                    for (uint32_t k = 0; k < dims; k++)
                        old[i].x[k] = (old[i].x[k] + old[0].x[k]) / 2;
                    old[i].f = f(old[i].x, context);
                    sort_in(c, i, old[i]);
                }
                continue;
            }
        }
        sort_in(c, dims, try);
    }
    memcpy(x, c[0].x, dims * sizeof *x);
}

void emp_series_solve(double *a, double *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) { // Cholesky: a becomes L below the diagonal
        for (uint32_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (uint32_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / a[j * n + j];
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < i; k++)
            b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (uint32_t i = n; i-- > 0;) {
        for (uint32_t k = i + 1; k < n; k++)
            b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
}

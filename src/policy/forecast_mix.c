/* Experts into one number, and one number into a distribution.
 *
 * The mix minimises absolute, not squared errors: counts of jobs come in clusters, and one burst
 * would pull a least-squares fit for days. What is lost by that, the mean, is given back by the
 * spread, which knows for each size of forecast what came on average. The spread is empirical (a
 * conformal predictive distribution, Vovk et al. 2005, in bins of the forecast's size) over a weak
 * prior: a geometric law's share of nothing and a wide lognormal, worth PRIOR observations. */
#include "policy/forecast_internal.h"

#include <math.h>
#include <string.h>

enum { NEAR_SIZES = 4 };
#define PRIOR      10.0
#define ENOUGH     150.0 /* observations that a law wants */
#define RATIO_LOW  -6.0  /* log2 of the lowest edge */
#define RATIO_STEP 0.2
#define SIZE_LOW   -8.0 /* log2 of the smallest size told apart */
#define MIX_PRIOR  1000.0
#define NEAR_ZERO  0.15
#define SMALLEST   0.00390625 /* 2^SIZE_LOW */

/* ---- mix ---- */

static const double first_weight[EMP_EXPERTS] = {
    [EMP_EXPERT_SHARE_LONG] = 0.35, [EMP_EXPERT_SHARE_SHORT] = 0.1, [EMP_EXPERT_LAST_HOUR] = 0.2,
    [EMP_EXPERT_DAY] = 0.1,         [EMP_EXPERT_KIND] = 0.1,
};

void emp_forecast_mix_init(struct emp_forecast_mix *m)
{
    memset(m, 0, sizeof *m);
    memcpy(m->weight, first_weight, sizeof m->weight);
}

double emp_forecast_mix_of(const struct emp_forecast_mix *m, const float x[EMP_EXPERTS])
{
    double sum = 0;
    for (int i = 0; i < EMP_EXPERTS; i++)
        sum += m->weight[i] * x[i];
    return sum;
}

void emp_forecast_mix_learn(struct emp_forecast_mix *m, const float x[EMP_EXPERTS], double y)
{
    double far = fabs(y - emp_forecast_mix_of(m, x)), trust = 1 / fmax(far, NEAR_ZERO);
    for (int i = 0; i < EMP_EXPERTS; i++) {
        if (x[i] == 0)
            continue;
        double t = trust * x[i];
        for (int j = 0; j <= i; j++)
            m->gram[i][j] += t * x[j];
        m->right[i] += t * y;
    }
}

/* Coordinate descent on the quadratic, each weight kept at zero or above. The prior pulls each
 * expert's weight to its first one with the force of some observations of its usual size. */
void emp_forecast_mix_settle(struct emp_forecast_mix *m, double keep)
{
    enum { ROUNDS = 6 };
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EMP_EXPERTS; i++) {
            double own = m->gram[i][i] + MIX_PRIOR, rest = m->right[i];
            for (int j = 0; j < EMP_EXPERTS; j++)
                rest -= j == i ? 0 : (j < i ? m->gram[i][j] : m->gram[j][i]) * m->weight[j];
            m->weight[i] = fmax(0, (rest + MIX_PRIOR * first_weight[i]) / own);
        }
    }
    for (int i = 0; i < EMP_EXPERTS; i++) {
        for (int j = 0; j <= i; j++)
            m->gram[i][j] *= keep;
        m->right[i] *= keep;
    }
}

/* ---- spread ---- */

static int size_bin(double size)
{
    int b = (int)((log2(fmax(size, SMALLEST)) - SIZE_LOW) * 2);
    return b < EMP_SPREAD_SIZES ? b : EMP_SPREAD_SIZES - 1;
}

void emp_forecast_spread_learn(struct emp_forecast_spread *s, double size, double y)
{
    size = fmax(size, SMALLEST);
    int b = size_bin(size);
    s->came[b] += (float)y;
    s->said[b] += (float)size;
    if (y <= 0) {
        s->none[b]++;
        return;
    }
    int r = (int)floor((log2(y / size) - RATIO_LOW) / RATIO_STEP);
    s->some[b][r < 0 ? 0 : r < EMP_SPREAD_RATIOS ? r : EMP_SPREAD_RATIOS - 1]++;
}

void emp_forecast_spread_forget(struct emp_forecast_spread *s, float keep)
{
    float *v = (float *)s;
    for (size_t i = 0; i < sizeof *s / sizeof *v; i++)
        v[i] = v[i] * keep < 1e-12F ? 0 : v[i] * keep;
}

/* Adds bin b's observations with weight w; what weight they have together. */
static double add_bin(const struct emp_forecast_spread *s, int b, float w,
                      struct emp_forecast_shape *l, double *came, double *said)
{
    double sum = w * s->none[b];
    if (s->said[b] <= 0)
        return 0;
    l->none += (float)sum;
    for (int r = 0; r < EMP_SPREAD_RATIOS; r++) {
        l->below[r + 1] += w * s->some[b][r];
        sum += w * s->some[b][r];
    }
    *came += w * s->came[b];
    *said += w * s->said[b];
    return sum;
}

/* A cluster process before anything is known: nothing with a geometric law's chance;
 * else ratios as of a lognormal, two doublings wide, around what then makes the mean. */
static void add_prior(double size, struct emp_forecast_shape *l)
{
    double none = 1 / (1 + size), mass = 0, middle = log2(1 / (1 - none)) - 0.5,
           w[EMP_SPREAD_RATIOS];
    for (int r = 0; r < EMP_SPREAD_RATIOS; r++) {
        double z = (RATIO_LOW + (r + 0.5) * RATIO_STEP - middle) / 1.4;
        mass += w[r] = exp(-z * z / 2);
    }
    l->none += (float)(PRIOR * none);
    for (int r = 0; r < EMP_SPREAD_RATIOS; r++)
        l->below[r + 1] += (float)(PRIOR * (1 - none) * w[r] / mass);
}

/* Bin b of forecasts, with its neighbours', and farther ones' where it has seen little. */
static void make_shape(const struct emp_forecast_spread *s, int b, struct emp_forecast_shape *ret)
{
    double size = exp2(SIZE_LOW + (b + 0.5) / 2), came = PRIOR * size, said = came, some = 0;
    memset(ret, 0, sizeof *ret);
    double seen = add_bin(s, b, 1, ret, &came, &said);
    for (int d = 1; d <= NEAR_SIZES && (d == 1 || seen < ENOUGH); d++) {
        float w = d == 1 ? 0.5F : 0.25F;
        if (b - d >= 0)
            seen += add_bin(s, b - d, w, ret, &came, &said);
        if (b + d < EMP_SPREAD_SIZES)
            seen += add_bin(s, b + d, w, ret, &came, &said);
    }
    add_prior(size, ret);
    for (int r = 0; r < EMP_SPREAD_RATIOS; r++)
        some += ret->below[r + 1];
    ret->none = (float)(ret->none / (ret->none + some));
    for (int r = 0; r < EMP_SPREAD_RATIOS; r++)
        ret->below[r + 1] = ret->below[r] + (float)(ret->below[r + 1] / some);
    ret->mean = (float)(came / said);
}

void emp_forecast_shapes_make(const struct emp_forecast_spread *s, struct emp_forecast_shapes *ret)
{
    for (int b = 0; b < EMP_SPREAD_SIZES; b++)
        make_shape(s, b, &ret->of[b]);
}

struct emp_forecast_law emp_forecast_law_of(const struct emp_forecast_shapes *s, double size)
{
    return (struct emp_forecast_law){&s->of[size_bin(size)], size};
}

double emp_forecast_law_mean(const struct emp_forecast_law *l)
{
    return l->size * l->shape->mean;
}

static double value_at(const struct emp_forecast_law *l, double edge)
{
    return fmax(l->size, SMALLEST) * exp2(RATIO_LOW + edge * RATIO_STEP);
}

double emp_forecast_law_quantile(const struct emp_forecast_law *l, double q)
{
    if (q <= l->shape->none)
        return 0;
    double wanted = (q - l->shape->none) / (1 - l->shape->none);
    int r = 0;
    while (r < EMP_SPREAD_RATIOS - 1 && l->shape->below[r + 1] < wanted)
        r++;
    double mass = l->shape->below[r + 1] - l->shape->below[r];
    double inside = mass > 0 ? fmin(1, fmax(0, (wanted - l->shape->below[r]) / mass)) : 0.5;
    return value_at(l, r + inside);
}

double emp_forecast_law_below(const struct emp_forecast_law *l, double y)
{
    if (y < 0)
        return 0;
    double edge = (log2((y + 0.5) / fmax(l->size, SMALLEST)) - RATIO_LOW) / RATIO_STEP;
    if (edge <= 0)
        return l->shape->none;
    int r = edge >= EMP_SPREAD_RATIOS ? EMP_SPREAD_RATIOS : (int)edge;
    double share = l->shape->below[r];
    if (r < EMP_SPREAD_RATIOS)
        share += (edge - r) * (l->shape->below[r + 1] - l->shape->below[r]);
    return l->shape->none + (1 - l->shape->none) * fmin(1, share);
}

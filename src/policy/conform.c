#include "policy/conform.h"

#include <math.h>
#include <stdbool.h>

void emp_conform_count(struct emp_conform *c, double error, double keep)
{
    if (isnan(error))
        return;
    double at = floor(error / EMP_CONFORM_WIDTH) + EMP_CONFORM_BINS / 2;
    uint32_t bin = at < 0 ? 0 : at < EMP_CONFORM_BINS ? (uint32_t)at : EMP_CONFORM_BINS - 1;
    for (uint32_t i = 0; i < EMP_CONFORM_BINS; i++)
        c->bins[i] *= (float)keep;
    c->bins[bin]++;
}

double emp_conform_weight(const struct emp_conform *c)
{
    double sum = 0;
    for (uint32_t i = 0; i < EMP_CONFORM_BINS; i++)
        sum += c->bins[i];
    return sum;
}

void emp_conform_quantiles(const struct emp_conform *own, const struct emp_conform *all,
                           double prior, const double *q, uint32_t n, double *out)
{
    double pooled = emp_conform_weight(all), scale = pooled > 0 ? prior / pooled : 0, below = 0;
    double sum = emp_conform_weight(own) + scale * pooled;
    uint32_t k = 0;
    for (uint32_t i = 0; i < EMP_CONFORM_BINS && k < n && sum > 0; i++) {
        double mass = own->bins[i] + scale * all->bins[i];
        for (; k < n && mass > 0 && below + mass >= q[k] * sum; k++)
            out[k] = (i + (q[k] * sum - below) / mass - EMP_CONFORM_BINS / 2) * EMP_CONFORM_WIDTH;
        below += mass;
    }
    for (; k < n; k++) // rounding, or no errors at all
        out[k] = sum > 0 ? EMP_CONFORM_BINS / 2 * EMP_CONFORM_WIDTH : 0;
}

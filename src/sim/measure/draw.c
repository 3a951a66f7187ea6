#include "sim/measure/draw.h"

#include <math.h>

double emp_draw_normal(struct emp_random *r)
{
    double u = 1 - emp_random_unit(r); /* (0, 1] */
    return sqrt(-2 * log(u)) * cos(2 * M_PI * emp_random_unit(r));
}

uint32_t emp_draw_poisson(struct emp_random *r, double mean)
{
    if (!(mean > 0))
        return 0;
    if (mean > 200) {
        double v = round(mean + sqrt(mean) * emp_draw_normal(r));
        return v < 0 ? 0 : v > 1e9 ? 1000000000 : (uint32_t)v;
    }
    double left = exp(-mean), product = emp_random_unit(r);
    uint32_t n = 0;
    for (; product > left; n++)
        product *= emp_random_unit(r);
    return n;
}

/* Gamma of shape >= 1, scale 1. */
static double gamma_large(struct emp_random *r, double shape)
{
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = emp_draw_normal(r), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        double u = 1 - emp_random_unit(r);
        if (log(u) < x * x / 2 + d - d * v + d * log(v))
            return d * v;
    }
}

double emp_draw_gamma(struct emp_random *r, double cv)
{
    double shape = 1 / (cv * cv);
    if (shape >= 1)
        return gamma_large(r, shape) / shape;
    double u = 1 - emp_random_unit(r);
    return gamma_large(r, shape + 1) * pow(u, 1 / shape) / shape;
}

double emp_normal_share(double x)
{
    return erfc(-x / M_SQRT2) / 2;
}

double emp_normal_quantile(double share)
{
    double low = -9, high = 9;
    for (int i = 0; i < 60; i++) { /* bisection: called once a base, not once a job */
        double mid = (low + high) / 2;
        if (emp_normal_share(mid) < share)
            low = mid;
        else
            high = mid;
    }
    return (low + high) / 2;
}

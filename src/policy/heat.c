/* A count that halves every T and is fed λ times an hour settles at λ × T / ln 2: so count × ln 2 /
 * T is a rate. */
#include "policy/heat.h"

#include <math.h>

#define LN_2 0.69314718055994531

static double decay(int64_t ms, int64_t half_life_ms)
{
    return ms > 0 ? exp2(-(double)ms / (double)half_life_ms) : 1;
}

void emp_heat_use(struct emp_heat *h, emp_mono_ms now)
{
    h->slow = h->slow * decay(now - h->at, EMP_HEAT_SLOW_MS) + 1;
    h->fast = h->fast * decay(now - h->at, EMP_HEAT_FAST_MS) + 1;
    h->at = now;
}

double emp_heat_per_hour(const struct emp_heat *h, emp_mono_ms now)
{
    const double hour_ms = 3600000;
    double slow = h->slow * decay(now - h->at, EMP_HEAT_SLOW_MS) * LN_2 * hour_ms /
                  EMP_HEAT_SLOW_MS;
    double fast = h->fast * decay(now - h->at, EMP_HEAT_FAST_MS) * LN_2 * hour_ms /
                  EMP_HEAT_FAST_MS;
    return slow > fast ? slow : fast;
}

double emp_busy_mean(const struct emp_busy *b, emp_mono_ms now)
{
    double keep = decay(now - b->at, EMP_HEAT_FAST_MS);
    return b->mean * keep + b->share * (1 - keep);
}

void emp_busy_set(struct emp_busy *b, double share, emp_mono_ms now)
{
    b->mean = emp_busy_mean(b, now);
    b->share = share > 0 ? share < 1 ? share : 1 : 0;
    b->at = now;
}

#include "sim/measure/scenario.h"

#include <math.h>

double emp_quantiles_at(const struct emp_quantiles *q, double share)
{
    if (q->count == 0)
        return 0;
    uint32_t low = 0, high = q->count - 1;
    if (!(share > q->share[0]))
        return q->value[0];
    if (share >= q->share[high])
        return q->value[high];
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (q->share[mid] <= share)
            low = mid;
        else
            high = mid;
    }
    double part = (share - q->share[low]) / (q->share[high] - q->share[low]);
    return q->value[low] + part * (q->value[high] - q->value[low]);
}

double emp_quantiles_draw(const struct emp_quantiles *q, struct emp_random *r)
{
    return emp_quantiles_at(q, emp_random_unit(r));
}

double emp_quantiles_mean(const struct emp_quantiles *q)
{
    double sum = 0;
    for (uint32_t i = 1; i < q->count; i++)
        sum += (q->share[i] - q->share[i - 1]) * (q->value[i] + q->value[i - 1]) / 2;
    return sum;
}

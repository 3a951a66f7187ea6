/* Everything saturates: a tag or rank at the end of the int64 range still orders, an overflow would
 * not. */
#include "policy/fair.h"

#include <math.h>

#define SPACING_MAX ((double)EMP_DURATION_MS_MAX * 1024)
#define WEIGHT_MIN  1e-3

static int64_t add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

/* Virtual ms that a job occupies of its flow: the service it takes, over the share the flow is
 * entitled to. */
static double spacing(const struct emp_settings_fairness *s, enum emp_tier tier, int64_t run_ms,
                      uint32_t slots)
{
    double weight = s->weight[tier] > WEIGHT_MIN ? s->weight[tier] : WEIGHT_MIN;
    double run = run_ms > 0 ? (double)run_ms : 1;
    double ms = run / (weight * (slots ? slots : 1));
    return ms < SPACING_MAX ? ms : SPACING_MAX;
}

int64_t emp_fair_tag(const struct emp_settings_fairness *s, struct emp_flow *flow,
                     int64_t virtual_now, enum emp_tier tier, int64_t run_ms, uint32_t slots)
{
    if (flow->next_tag < virtual_now) {
        flow->next_tag = virtual_now;
        flow->fraction = 0;
    }
    int64_t tag = flow->next_tag;

    double step = spacing(s, tier, run_ms, slots) + flow->fraction, whole = floor(step);
    flow->next_tag = add(tag, (int64_t)whole);
    flow->fraction = step - whole;
    return tag;
}

int64_t emp_fair_clock(const struct emp_settings_fairness *s, int64_t virtual_now, int64_t tag,
                       enum emp_tier tier, int64_t run_ms, uint32_t slots)
{
    if (tag <= virtual_now)
        return virtual_now;
    int64_t limit = add(virtual_now, (int64_t)ceil(spacing(s, tier, run_ms, slots)));
    return tag < limit ? tag : limit;
}

int64_t emp_fair_rank(const struct emp_settings_fairness *s, int64_t tag, double priority)
{
    const double most = 4e18; // well inside int64, so that the conversion is defined
    double bonus = priority * (double)s->point_ms;
    if (!(bonus > -most))
        bonus = isnan(bonus) ? 0 : -most;
    return add(tag, -(int64_t)(bonus < most ? bonus : most));
}

bool emp_fair_overdue(const struct emp_settings_fairness *s, enum emp_tier tier, int64_t waited_ms)
{
    return waited_ms >= s->patience_ms[tier];
}

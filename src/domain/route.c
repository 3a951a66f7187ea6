/* The sum of a candidate's terms. Terms come from measurements and settings, so any of them may be
 * absurd: sums stop at the ends of int64_t, and the order of candidates stays meaningful. */
#include "domain/route.h"

static int64_t add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

int64_t emp_route_cost(const struct emp_route_terms *t)
{
    int64_t start = t->slot_free > t->fetch ? t->slot_free : t->fetch;
    int64_t rest[] = {t->load, t->pool_penalty, t->displacement, t->risk, t->run_delta};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        start = add(start, rest[i]);
    return start;
}

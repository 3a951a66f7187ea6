/* How often something is being used right now: uses per hour, by two decaying counts. The slow one
 * (hours) tells a steady demand; the fast one (minutes) a session that has just begun, after whose
 * first job more are likely within minutes. The larger one is believed: underrating a burst costs a
 * cold start, overrating it lasts for minutes. And how busy a machine is, by the same decay. Pure.
 */
#ifndef EMP_POLICY_HEAT_H
#define EMP_POLICY_HEAT_H

#include "base/time.h"

#include <stdbool.h>

enum {
    EMP_HEAT_SLOW_MS = 6 * 3600 * 1000, /* half-lives */
    EMP_HEAT_FAST_MS = 15 * 60 * 1000,
};

struct emp_heat {
    double slow, fast; /* decayed counts at `at` */
    emp_mono_ms at;
};
void emp_heat_use(struct emp_heat *h, emp_mono_ms now);
double emp_heat_per_hour(const struct emp_heat *h, emp_mono_ms now);

/* Share of the last minutes that a machine's slots were taken. */
struct emp_busy {
    double mean;  /* of the time before `at`, by decay */
    double share; /* since then */
    emp_mono_ms at;
};
void emp_busy_set(struct emp_busy *b, double share, emp_mono_ms now); /* from now on */
double emp_busy_mean(const struct emp_busy *b, emp_mono_ms now);      /* 0 … 1 */

#endif

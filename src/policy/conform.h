/* Errors that were made, as a histogram that forgets, and quantiles of it: what turns a guess into
 * an interval that holds what it promises, whatever the errors' law (split conformal prediction,
 * Vovk et al. 2005, made online). Errors are natural logarithms of truth over guess, so that a
 * factor of two is the same at a second and at an hour. A kind of guess that few errors are known
 * of borrows of the errors of all kinds. Pure, plain data. */
#ifndef EMP_POLICY_CONFORM_H
#define EMP_POLICY_CONFORM_H

#include <stdint.h>

enum { EMP_CONFORM_BINS = 160 };
#define EMP_CONFORM_WIDTH 0.05 /* of a bin; they reach from -4 to 4, beyond counts at the ends */

struct emp_conform {
    float bins[EMP_CONFORM_BINS];
};

/* Counts one error; each earlier one keeps `keep` (0 … 1) of its weight. NaN: passed over. */
void emp_conform_count(struct emp_conform *c, double error, double keep);

double emp_conform_weight(const struct emp_conform *c); /* errors that it holds, faded ones less */

/* Quantiles q[0 … n), ascending, of own errors and of all together (`all`, may be `own`), the
 * latter weighing `prior` errors. Interpolated inside the bin; 0 each when there are none. */
void emp_conform_quantiles(const struct emp_conform *own, const struct emp_conform *all,
                           double prior, const double *q, uint32_t n, double *out);

#endif

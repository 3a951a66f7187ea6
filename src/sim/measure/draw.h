/* Draws from the laws that traces and streams need, each from base/random's numbers, so that a seed
 * gives the same everywhere that libm does. Pure. */
#ifndef EMP_SIM_MEASURE_DRAW_H
#define EMP_SIM_MEASURE_DRAW_H

#include "base/random.h"

#include <stdint.h>

double emp_draw_normal(struct emp_random *r); /* mean 0, deviation 1; Box & Muller 1958 */
uint32_t emp_draw_poisson(struct emp_random *r, double mean); /* [0, 1e9]; normal law above 200 */
/* Mean 1, coefficient of variation `cv` > 0; Marsaglia & Tsang 2000. */
double emp_draw_gamma(struct emp_random *r, double cv);

double emp_normal_share(double x);        /* of a normal law below x */
double emp_normal_quantile(double share); /* the inverse, share in (0, 1), error below 1e-8 */

#endif

/* What the files of series.h share. */
#ifndef EMP_POLICY_SERIES_INTERNAL_H
#define EMP_POLICY_SERIES_INTERNAL_H

#include "policy/series.h"

/* Minimises f over the box [low, high]^dims by the simplex method of Nelder & Mead (1965), from x,
 * with at most `evals` evaluations; x becomes the best point. dims <= 6. */
typedef double (*emp_series_loss)(const double *x, void *context);
void emp_series_minimise(emp_series_loss f, void *context, double *x, const double *low,
                         const double *high, uint32_t dims, uint32_t evals);

/* An expert of the combination: forecasts into out; false: it does not apply to this series. */
typedef int (*emp_series_expert)(const struct emp_series *s, uint32_t horizon,
                                 struct emp_arena *arena, double *out);
int emp_series_smooth_one(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out);
int emp_series_smooth_two(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out);
int emp_series_smooth_long(const struct emp_series *s, uint32_t h, struct emp_arena *a,
                           double *out);
int emp_series_profile(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out);
int emp_series_regress(const struct emp_series *s, uint32_t h, struct emp_arena *a, double *out);

/* Solves A x = b for symmetric positive definite A (n×n, row by row; destroyed), x into b. */
void emp_series_solve(double *a, double *b, uint32_t n);

enum { EMP_SERIES_LONG = 7 }; /* seasons of a long season: days of a week */

#endif

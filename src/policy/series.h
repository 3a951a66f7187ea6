/* Forecasts of one regularly spaced series of numbers, by the classical methods, and by a
 * combination of better ones. This is for series that are long and known as a whole (`emp forecast
 * eval`, loads of a fleet); what jobs want of models is forecast online by policy/forecast.h.
 *
 * Pure and deterministic; temporary arrays come from the arena that is passed, one thread. Series
 * are y[0 … n), finite, n >= 1; `season` is the number of steps in a period, 1: none. A method that
 * wants more history than there is falls back to a simpler one, so every call gives finite numbers.
 *
 * Sources: Naive2, SES, Theta and the test for seasonality as in the M4 competition's benchmarks
 * (Makridakis, Spiliotis, Assimakopoulos 2020; Assimakopoulos & Nikolopoulos 2000); Holt-Winters
 * (Winters 1960); Croston (1972); TSB (Teunter, Syntetos & Babai 2011). */
#ifndef EMP_POLICY_SERIES_H
#define EMP_POLICY_SERIES_H

#include "base/arena.h"

#include <stdint.h>

enum emp_series_method {
    EMP_SERIES_NAIVE,        /* the last value */
    EMP_SERIES_SNAIVE,       /* the value one season before */
    EMP_SERIES_SES,          /* simple exponential smoothing of the seasonally adjusted series */
    EMP_SERIES_HOLT_WINTERS, /* additive trend and season */
    EMP_SERIES_THETA,        /* of the seasonally adjusted series */
    EMP_SERIES_CROSTON,
    EMP_SERIES_TSB,
    EMP_SERIES_OURS,
    EMP_SERIES_METHODS,
    EMP_SERIES_NAIVE2 =
        EMP_SERIES_METHODS, /* naive of the seasonally adjusted series: the OWA's yardstick */
};
const char *emp_series_method_name(enum emp_series_method m);

struct emp_series {
    const double *y;
    uint32_t n, season;
};

enum { EMP_SERIES_LENGTH_MAX = 1 << 20, EMP_SERIES_HORIZON_MAX = 4096 };

/* The next `horizon` values into out. EMP_SERIES_OURS: as emp_series_combine. */
void emp_series_forecast(enum emp_series_method m, const struct emp_series *s, uint32_t horizon,
                         struct emp_arena *arena, double *out);

/* Ours: experts (exponential smoothing with one and two seasons and autocorrelated errors, adaptive
 * profiles of the period and of seven periods, autoregression on seasonal lags, damped trend,
 * Theta, seasonal naive; on the values and on their logarithms) combined by what each was worth at
 * earlier origins of the same series. `low` and `high` (may be NULL): 80% interval, from the
 * combination's own errors at those origins (conformal). Nothing is below zero when the series
 * never was. */
void emp_series_combine(const struct emp_series *s, uint32_t horizon, struct emp_arena *arena,
                        double *out, double *low, double *high);

/* The seasonality test of M4's benchmarks, at 90%: is the autocorrelation at `season` beyond
 * chance? */
int emp_series_is_seasonal(const struct emp_series *s);

/* Errors as M4 defines them: sMAPE in percent; MASE, scaled by the seasonal naive's mean error in
 * the history (-1 where that is zero or not known). */
double emp_series_smape(const double *actual, const double *forecast, uint32_t n);
double emp_series_mase(const struct emp_series *s, const double *actual, const double *forecast,
                       uint32_t n);

#endif

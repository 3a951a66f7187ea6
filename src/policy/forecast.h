/* How often each model will be wanted: a predictive distribution per series of policy/usage.h and
 * per window of the near future, learned as time goes by.
 *
 * For each window (10 min, 1 h, 6 h, 24 h) ten experts give an expected count: the series' own hour
 * of day and of week, its level, its share of the fleet's profile, its short memory (bursts excite
 * themselves), intermittent demand, new models by analogy with their kind. They are mixed by
 * weights that follow what each was worth lately over all series of a class; what came of forecasts
 * of that size gives the spread. Method, sources and figures: docs/model-intelligence.md.
 *
 * A set's forecast is its base's times its part of the base's uses of the last week, so the sets of
 * a base add up to no more than the base (to exactly that when it is never used otherwise).
 *
 * Nothing here is persisted: the state follows from the usage log. emp_forecast_update() brings it
 * up to date hour by hour (after a restart: over the last EMP_FORECAST_REPLAY_HOURS, less than a
 * second of CPU per thousand models), and never looks at an hour before it has forecast it.
 *
 * Pure, deterministic, arena-owned; one thread. */
#ifndef EMP_POLICY_FORECAST_H
#define EMP_POLICY_FORECAST_H

#include "policy/usage.h"

enum emp_forecast_window {
    EMP_FORECAST_10_MIN,
    EMP_FORECAST_1_HOUR,
    EMP_FORECAST_6_HOURS,
    EMP_FORECAST_24_HOURS,
    EMP_FORECAST_WINDOWS
};
extern const int64_t emp_forecast_window_ms[EMP_FORECAST_WINDOWS];

enum { EMP_FORECAST_REPLAY_HOURS = 28 * 24, EMP_FORECAST_QUANTILES = 7 };
extern const double emp_forecast_levels[EMP_FORECAST_QUANTILES]; /* .05 .1 .25 .5 .75 .9 .95 */

struct emp_forecast_state;
struct emp_forecast {
    struct emp_arena *arena;
    const struct emp_usage *usage; /* must outlive it */
    struct emp_forecast_state *state;
};
void emp_forecast_init(struct emp_forecast *f, struct emp_arena *arena,
                       const struct emp_usage *usage);

/* Learns from all hours that are over at `now`. Cheap when none is; call before asking. Going back
 * in time does nothing. */
void emp_forecast_update(struct emp_forecast *f, emp_wall_ms now);

/* When in the day or week a series is used. */
enum emp_forecast_pattern {
    EMP_FORECAST_UNKNOWN, /* too few uses */
    EMP_FORECAST_STEADY,
    EMP_FORECAST_DAILY,
    EMP_FORECAST_WEEKLY,
    EMP_FORECAST_BURSTY,   /* long silences, many at once */
    EMP_FORECAST_SPORADIC, /* now and then one */
};
const char *emp_forecast_pattern_word(enum emp_forecast_pattern p);

/* Uses of a series in [now, now + window). */
struct emp_forecast_one {
    double expected;                          /* mean, >= 0 */
    double quantiles[EMP_FORECAST_QUANTILES]; /* ascending, >= 0 */
    double any;                               /* probability of at least one use, 0 … 1 */
    double confidence; /* 0 … 1: 1 less the relative error that this series' forecasts had lately
                        * for this window, drawn to that of its like while it has few of its own */
};
/* `series` without a forecast (free number): all zero. */
void emp_forecast_of(const struct emp_forecast *f, uint32_t series, enum emp_forecast_window w,
                     emp_wall_ms now, struct emp_forecast_one *ret);
/* Probability of at most `uses` uses: the same distribution. */
double emp_forecast_below(const struct emp_forecast *f, uint32_t series, enum emp_forecast_window w,
                          emp_wall_ms now, double uses);
enum emp_forecast_pattern emp_forecast_pattern_of(const struct emp_forecast *f, uint32_t series,
                                                  emp_wall_ms now);

/* All models (kind MODEL) by expected uses in the window, most wanted first; in `arena`. */
struct emp_forecast_rank {
    uint32_t series;
    struct emp_forecast_one one;
};
uint32_t emp_forecast_ranking(const struct emp_forecast *f, enum emp_forecast_window w,
                              emp_wall_ms now, struct emp_arena *arena,
                              struct emp_forecast_rank **ret);

#endif

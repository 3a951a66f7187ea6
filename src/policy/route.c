/* All terms are computed in seconds as doubles from clamped facts and rounded to whole microseconds
 * once, at the end. Every step is monotone under rounding, so that a worse fact never makes a
 * candidate look better, not even by a microsecond.
 *
 * Risk is expected loss. The machine may vanish while it fetches, loads or runs: what is lost is
 * then, on average, half of that time and the notice. And the job may fail there: the machine's
 * record is priced by failure_weight_ms, an earlier failure of this very job by another such weight
 * and the run that would probably be wasted. */
#include "policy/route.h"

#define TERM_MAX_S    1e9 /* 31 years: the sum of all terms in microseconds stays far inside int64 */
#define SPEED_MIN     0.02
#define SPEED_MAX     50.0
#define LOSS_NOTICE_S 10.0 /* until a silent machine's leases are lost */
#define SPARE_EFFORT  0.03 /* of the seconds that fetching and loading take, in idle time */

/* Hazard over the mean hazard, by age: HIGH until YOUNG hours, then LOW + (HIGH - LOW) / (1 +
 * beyond / FALL)^2. Over a machine's first 60 hours (the mean life in the SALAD figures) it
 * averages 0.9. */
#define HAZARD_YOUNG_H 2.0
#define HAZARD_FALL_H  12.0
#define HAZARD_HIGH    3.0
#define HAZARD_LOW     (1.0 / 3)

/* x within [low, high]; NaN is low */
static double bounded(double x, double low, double high)
{
    if (!(x > low))
        return low;
    return x < high ? x : high;
}

static double seconds(int64_t ms)
{
    return bounded((double)ms / 1000, 0, TERM_MAX_S);
}

static int64_t microseconds(double s)
{
    double us = bounded(s, -TERM_MAX_S, TERM_MAX_S) * 1e6;
    return (int64_t)(us < 0 ? us - 0.5 : us + 0.5);
}

static double moving(int64_t bytes, int64_t bytes_per_s)
{
    if (bytes <= 0)
        return 0;
    return bounded((double)bytes / (bytes_per_s > 0 ? (double)bytes_per_s : 1), 0, TERM_MAX_S);
}

double emp_route_hazard_per_hour(const struct emp_settings_routing *s, int64_t age_ms)
{
    double beyond_h = bounded((double)age_ms / 3600000 - HAZARD_YOUNG_H, 0, 1e9);
    double aged = 1 + beyond_h / HAZARD_FALL_H;
    double factor = HAZARD_LOW + (HAZARD_HIGH - HAZARD_LOW) / (aged * aged);
    return bounded(s->hazard_per_hour, 0, 1e6) * factor;
}

static double vanishing(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                        double exposed_s)
{
    double expected = emp_route_hazard_per_hour(s, f->age_ms) * exposed_s / 3600;
    double probability = 1 - 1 / (1 + expected);
    return probability * (exposed_s / 2 + LOSS_NOTICE_S);
}

static double failing(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                      double run_s)
{
    double weight = bounded(s->failure_weight_ms / 1000, 0, TERM_MAX_S);
    double price = bounded(f->failure_rate, 0, 1) * weight;
    return f->failed_this_job ? price + weight + run_s : price;
}

static double pool_penalty(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                           double run_s)
{
    if (f->own_pool)
        return 0;
    double penalty = seconds(f->pool_penalty_ms), shortest = seconds(f->pool_run_ms_min);
    if (run_s < shortest)
        penalty *= run_s / shortest; // it is in the way only for as long as it runs
    if (f->run_ms >= f->pool_run_ms_max)
        penalty += bounded(s->longer_job_weight, 0, 1e6) * run_s;
    return penalty;
}

/* A start later than promised, time waited so far included: from half the promise to half as much
 * again the price grows to all of it, for nobody knows to the second. */
static double breaking(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                       double start_s)
{
    double promise = seconds(s->promise_ms), late = seconds(s->late_ms);
    if (!(promise > 0))
        return 0;
    return late * bounded((seconds(f->waited_ms) + start_s) / promise - 0.5, 0, 1);
}

void emp_route_terms(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                     struct emp_route_terms *ret)
{
    int64_t link = f->link_bytes_per_s > 0 ? f->link_bytes_per_s : s->link_bytes_per_s;
    int64_t to_fetch = f->fetch_bytes > f->missing_bytes ? f->fetch_bytes : f->missing_bytes;
    double mean_run = seconds(f->run_ms);
    double run = mean_run * bounded(f->speed > 0 ? f->speed : 1, SPEED_MIN, SPEED_MAX);
    double free = seconds(f->slot_free_ms), fetch = moving(to_fetch, link);
    double load = seconds(f->load_ms), start = (free > fetch ? free : fetch) + load;
    double exposed = bounded(moving(f->missing_bytes, link) + load + run, 0, TERM_MAX_S);

    *ret = (struct emp_route_terms){
        .slot_free = microseconds(free),
        .fetch = microseconds(fetch),
        .load = microseconds(load),
        .run_delta = microseconds((run - mean_run) * bounded(s->run_delta_weight, 0, 1e6)),
        .pool_penalty = microseconds(pool_penalty(s, f, run)),
        .displacement =
            microseconds(seconds(f->displaced_ms) * bounded(s->displacement_weight, 0, 1e6)),
        .risk = microseconds(vanishing(s, f, exposed) + failing(s, f, run) + breaking(s, f, start)),
    };
}

int64_t emp_route_spare(const struct emp_settings_routing *s, const struct emp_route_terms *there,
                        int64_t crowd_ms, int64_t crowd_with_ms)
{
    double saved = seconds(crowd_ms) - seconds(crowd_with_ms);
    double effort = ((double)there->fetch + (double)there->load) / 1e6 * SPARE_EFFORT;
    return microseconds(saved * bounded(s->spare_weight, 0, 1e6) -
                        (double)there->displacement / 1e6 - effort);
}

/* How long jobs of a class run: an online distribution, its quantiles, a prior for the first ones.
 * A log-spaced histogram (EMP_ESTIMATE_BINS bins from 1 ms to 30 days) whose weight decays, so that
 * old behaviour is forgotten: half-life EMP_ESTIMATE_HALF_LIFE observations. Run times are divided
 * by the machine's speed factor first. Pure, plain data, may be copied and stored. */
#ifndef EMP_POLICY_ESTIMATE_H
#define EMP_POLICY_ESTIMATE_H

#include <stdint.h>

enum { EMP_ESTIMATE_BINS = 96, EMP_ESTIMATE_HALF_LIFE = 200 };

struct emp_estimate {
    uint32_t version;      /* of this layout; another one is not loaded */
    uint32_t observations; /* ever, saturating */
    float weight;          /* sum of bins */
    float bins[EMP_ESTIMATE_BINS];
};
void emp_estimate_init(struct emp_estimate *e);
void emp_estimate_observe(struct emp_estimate *e, int64_t run_ms);
/* Quantile q in (0,1) in ms, interpolated inside the bin; the prior counts as three observations at
 * prior_ms (0: none), so a submitter's guess matters first and fades. 0 observations and no prior:
 * -1. */
int64_t emp_estimate_quantile(const struct emp_estimate *e, double q, int64_t prior_ms);
int64_t emp_estimate_mean(const struct emp_estimate *e, int64_t prior_ms); /* -1 as above */

/* Expected ms that a run goes on which has taken `ran_ms` already: the mean of what longer ones
 * took beyond it. Past everything seen: an eighth of what it took, for nothing tells. -1 as above.
 */
int64_t emp_estimate_left(const struct emp_estimate *e, int64_t ran_ms, int64_t prior_ms);

/* Versioned bytes for the store (sparse; at most emp_estimate_bytes_max) and back: 0, or
 * EMP_E_INVALID and *e initialised. */
enum { EMP_ESTIMATE_BYTES_MAX = 16 + EMP_ESTIMATE_BINS * 6 };
uint32_t emp_estimate_save(const struct emp_estimate *e, unsigned char out[EMP_ESTIMATE_BYTES_MAX]);
int emp_estimate_load(struct emp_estimate *e, const void *bytes, uint32_t length);

/* A rate learned by exponential averaging (link, machine speed): weight of the newest value
 * 1/min(n, 16). */
struct emp_rate {
    double value; /* 0: not known */
    uint32_t n;
};
void emp_rate_observe(struct emp_rate *r,
                      double value); /* ignores values <= 0 and non-finite ones */

#endif

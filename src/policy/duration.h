/* How long a job will run, from what it is: a first guess before its class has an estimate of its
 * own (policy/estimate.h), and a sharper one after. The logarithm of the run time is a ridge
 * regression on the job's features (steps, pixels, images, frames, LoRAs), plus what jobs like it
 * were off by: of this service on this GPU type, with this base model, with this set of models, of
 * exactly this shape, of this customer with this base; each level corrects what is left by the one
 * before, shrunk towards nothing while it has seen little (an additive hierarchy of empirical Bayes
 * means), plus what the last jobs had in common (load). Intervals are conformal: quantiles of the
 * errors made so far, by how well the job's like is known. Both forget.
 *
 * Bounded: EMP_DURATION_LIKES_MAX likes of each level; the one that was seen least lately makes
 * room. Pure, deterministic, arena-owned; one thread. */
#ifndef EMP_POLICY_DURATION_H
#define EMP_POLICY_DURATION_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { EMP_DURATION_LIKES_MAX = 4096, EMP_DURATION_MODELS_MAX = 16 };

/* A job as far as its run time hangs on it. Numbers <= 0 and empty strings: not known. */
struct emp_duration_job {
    struct emp_str service, gpu, customer;
    const struct emp_str *models; /* base first; the others in any order */
    uint32_t model_count;         /* those after EMP_DURATION_MODELS_MAX do not count */
    double steps, pixels, images, frames;
};

struct emp_duration_guess {
    int64_t p05_ms, p50_ms, p90_ms, p95_ms; /* ascending, 1 ms … EMP_DURATION_MS_MAX */
    uint32_t known; /* levels of the hierarchy that have seen jobs like it, 0 … 5 */
};

struct emp_duration_state;
struct emp_duration {
    struct emp_arena *arena;
    struct emp_duration_state *state;
};
void emp_duration_init(struct emp_duration *d, struct emp_arena *arena);

/* The job ran for `ms` (> 0; others are passed over). */
void emp_duration_observe(struct emp_duration *d, const struct emp_duration_job *job, int64_t ms);

/* false, *ret untouched: nothing was observed yet. */
bool emp_duration_guess(const struct emp_duration *d, const struct emp_duration_job *job,
                        struct emp_duration_guess *ret);

/* Durability: what was learned as numbered rows, at most EMP_DURATION_ROWS_MAX. One that changed
 * since it was last handed out, its bytes in `arena`; false when none did. Hand-out clears the
 * mark: the caller makes it durable, all of one turn together. */
enum { EMP_DURATION_ROWS_MAX = 321, EMP_DURATION_ROW_BYTES_MAX = 8 * 1024 };
struct emp_duration_row {
    uint32_t number;
    const void *bytes;
    uint32_t length;
};
bool emp_duration_changed(struct emp_duration *d, struct emp_arena *arena,
                          struct emp_duration_row *ret);
/* Into a fresh one, rows in any order: 0, or EMP_E_INVALID for bytes that were not written by the
 * above (nothing changed). */
int emp_duration_load(struct emp_duration *d, const struct emp_duration_row *row);

#endif

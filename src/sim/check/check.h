/* Fault finding: one seed is one run. A plan is drawn from it (plan.h), clients submit, faults
 * happen, and an oracle that knows nothing of how the brains work holds what it sees against what
 * must hold (ARCHITECTURE's nine invariants). After a time all faults end and everything heals:
 * then every job that a machine could run must come to its end.
 *
 * Same seed, same log. A violation stops the run. */
#ifndef EMP_SIM_CHECK_CHECK_H
#define EMP_SIM_CHECK_CHECK_H

#include "base/time.h"
#include "sim/world.h"

#include <stdint.h>
#include <stdio.h>

struct emp_sim_check_result {
    uint64_t seed, log_hash, events;
    uint64_t jobs, completed, failed, cancelled, requeued, crashes, refused;
    uint64_t messages, bytes;
    emp_mono_ms ended_at;
    char violation[EMP_SIM_VIOLATION_MAX]; /* empty: none */
};

struct emp_sim_system;
struct emp_sim_check_options {
    FILE *log;    /* every entry as a line; NULL: none */
    FILE *report; /* on a violation the seed, the step and the last events; NULL: none */
    bool
        outside_only; /* the oracle alone: the brains' own checks (emp_core_check …) are left out */
    void (*watch)(void *ctx, struct emp_sim_system *s); /* may add an observer before anything
                                                           happens; NULL: nobody does */
    void *watch_ctx;
};
void emp_sim_check_seed(uint64_t seed, const struct emp_sim_check_options *o,
                        struct emp_sim_check_result *ret);

/* Seeds first … last; stops at the first violation when stop_early. Prints to `out` each violation,
 * and at the end "N seeds, N violations". The number of violations. */
uint64_t emp_sim_check_range(uint64_t first, uint64_t last, bool stop_early, FILE *out);

#endif

/* The existing system (its section 4.2): workers poll once a second and take the first of the top
 * 100 by priority that they can run; nothing is weighed. A worker that finds nothing sleeps on. Its
 * models come during the run, when they are not there; what went unused longest makes room.
 *
 * Kinder than the original: a crashed worker's job is not lost, since leases are the core's. */
#include "sim/measure/policies/policies.h"

const struct emp_policy emp_policy_incumbent = {
    .name = "incumbent",
    .terms = emp_route_terms, // shown with a decision, decides nothing
    .model_blind = true,
    .pool_blind = true,
    .strict_order = true,
    .pull_ms = 1000,
    .pull_window = 100,
};

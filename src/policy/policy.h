/* The policy table that a core is given: rivals (least-loaded, affinity, the incumbent …) fill it
 * with their own functions and run in the very same core. Every function is pure. */
#ifndef EMP_POLICY_POLICY_H
#define EMP_POLICY_POLICY_H

#include "policy/route.h"

struct emp_policy {
    const char *name; /* one word */
    /* terms of one candidate; the core adds them up, smallest cost wins, ties go to the machine
     * seen first */
    void (*terms)(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                  struct emp_route_terms *ret);
    bool may_wait; /* may a job wait for a busy machine while an idle one fits? */
    bool spares;   /* are further machines made ready when all that have a model are busy? */
    /* What a rival does without. */
    bool model_blind;  /* two starts are equal whether or not the models are there */
    bool pool_blind;   /* a machine's pool does not count, however long the job runs */
    bool strict_order; /* by priority, then by arrival: no shares, no ageing, no patience */
    /* Machines ask for work instead of being given it: an idle one every pull_ms, at a phase of its
     * own, and takes the first job in order that it can run, of pull_window that it looks at. 0:
     * they are given it at once; terms choose. */
    int64_t pull_ms;
    uint32_t pull_window;
};
extern const struct emp_policy emp_policy_default;

#endif

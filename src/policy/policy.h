/* The policy table that a core is given: rivals (least-loaded, affinity, the incumbent …) fill it
 * with their own functions and run in the very same core. Every function is pure. */
#ifndef EMP_POLICY_POLICY_H
#define EMP_POLICY_POLICY_H

#include "policy/route.h"

struct emp_policy {
    const char *name;
    /* terms of one candidate; the core adds them up, smallest cost wins, ties go to the machine
     * seen first */
    void (*terms)(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                  struct emp_route_terms *ret);
    bool may_wait; /* may a job wait for a busy machine while an idle one fits? */
};
extern const struct emp_policy emp_policy_default;

#endif

/* Ours among its rivals: the machine that could start soonest, everything counted. */
#include "policy/policy.h"

const struct emp_policy emp_policy_default = {
    .name = "estimated-start",
    .terms = emp_route_terms,
    .may_wait = true,
    .spares = true,
};

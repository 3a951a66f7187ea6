/* Who is compared with whom. A rival is a struct emp_policy for the core (policy/policy.h), and
 * what else belongs to it: how machines evict, and what a bound may know. */
#ifndef EMP_SIM_MEASURE_POLICIES_POLICIES_H
#define EMP_SIM_MEASURE_POLICIES_POLICIES_H

#include "policy/policy.h"
#include "sim/system.h"

struct emp_measure_policy {
    const char *name;
    const char *about; /* one sentence */
    const struct emp_policy *core;
    bool evict_oldest; /* machines evict least recently used, not by worth */
    bool predictive;   /* with intelligence: forecast, plan, move */
    bool clairvoyant;  /* its forecast is the truth */
    bool no_models;    /* every model is in every GPU's memory, all GPUs are average */
};

extern const struct emp_measure_policy *const emp_measure_policies[];          /* ends with NULL */
const struct emp_measure_policy *emp_measure_policy_find(struct emp_str name); /* NULL: unknown */

extern const struct emp_policy emp_policy_incumbent, emp_policy_least_loaded, emp_policy_affinity,
    emp_policy_unlimited;

#endif

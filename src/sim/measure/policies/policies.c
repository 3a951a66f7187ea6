#include "sim/measure/policies/policies.h"

static const struct emp_measure_policy incumbent = {
    .name = "incumbent",
    .about = "the existing system: machines pull, first fit in order of priority; "
             "evicts the "
             "least recently used",
    .core = &emp_policy_incumbent,
    .evict_oldest = true,
};
static const struct emp_measure_policy least_loaded = {
    .name = "least-loaded",
    .about =
        "the machine with the shortest queue, whatever it holds; evicts the least recently used",
    .core = &emp_policy_least_loaded,
    .evict_oldest = true,
};
static const struct emp_measure_policy affinity = {
    .name = "affinity",
    .about = "queue wait plus fixed prices for models that are not there; evicts the "
             "least recently used",
    .core = &emp_policy_affinity,
    .evict_oldest = true,
};
static const struct emp_measure_policy emp = {
    .name = "emp",
    .about = "ours without intelligence: soonest start, everything counted",
    .core = &emp_policy_default,
};
static const struct emp_measure_policy emp_predictive = {
    .name = "emp-predictive",
    .about = "ours: models forecast, placed, fetched and loaded ahead",
    .core = &emp_policy_default,
    .predictive = true,
};
static const struct emp_measure_policy clairvoyant = {
    .name = "clairvoyant",
    .about = "a bound: emp-predictive told the true demand of the next hour and the next six",
    .core = &emp_policy_default,
    .predictive = true,
    .clairvoyant = true,
};
static const struct emp_measure_policy unlimited = {
    .name = "unlimited",
    .about =
        "a bound: every model in every GPU's memory, all GPUs average, first come first served",
    .core = &emp_policy_unlimited,
    .no_models = true,
};

const struct emp_measure_policy *const emp_measure_policies[] = {
    &incumbent, &least_loaded, &affinity, &emp, &emp_predictive, &clairvoyant, &unlimited, NULL};

const struct emp_measure_policy *emp_measure_policy_find(struct emp_str name)
{
    for (size_t i = 0; emp_measure_policies[i]; i++)
        if (emp_str_eq(name, emp_str_z(emp_measure_policies[i]->name)))
            return emp_measure_policies[i];
    return NULL;
}

/* A queue and nothing else: whoever is free takes who has waited longest. With every model in every
 * GPU's memory and all GPUs alike there is nothing to weigh: no machine is worth waiting for, none
 * is another length's, nobody goes before his time. */
#include "sim/measure/policies/policies.h"

static void terms(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                  struct emp_route_terms *ret)
{
    (void)s;
    *ret = (struct emp_route_terms){.slot_free = f->slot_free_ms * 1000};
}

const struct emp_policy emp_policy_unlimited = {
    .name = "unlimited",
    .terms = terms,
    .model_blind = true,
    .pool_blind = true,
    .strict_order = true,
};

/* To whoever is least busy, at once; among idle ones, to who has been idle longest. */
#include "sim/measure/policies/policies.h"

static void terms(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                  struct emp_route_terms *ret)
{
    (void)s;
    *ret = (struct emp_route_terms){.slot_free = f->slot_free_ms * 1000};
}

const struct emp_policy emp_policy_least_loaded = {
    .name = "least-loaded",
    .terms = terms,
    .model_blind = true,
    .pool_blind = true,
};

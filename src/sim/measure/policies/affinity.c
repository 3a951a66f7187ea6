/* The honest baseline: the machine where the sum of its queue and of fixed prices for missing
 * models is least. It knows what stands where, and nothing of links, bytes, plans or pools. */
#include "sim/measure/policies/policies.h"

enum { SECOND_US = 1000000, TENTH_US = 100000 };
enum { /* of a model that is not in GPU memory, by where it is */
       WHOLE_ABSENT = 60 * SECOND_US,
       WHOLE_DISK = 30 * SECOND_US,
       WHOLE_RAM = 28 * TENTH_US,
       MODIFIER_ABSENT = 8 * SECOND_US,
       MODIFIER_COLD = 44 * TENTH_US,
};

static void terms(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                  struct emp_route_terms *ret)
{
    (void)s;
    *ret = (struct emp_route_terms){
        .slot_free = f->slot_free_ms * 1000,
        .load = (int64_t)f->whole.absent * WHOLE_ABSENT + (int64_t)f->whole.on_disk * WHOLE_DISK +
                (int64_t)f->whole.in_ram * WHOLE_RAM +
                (int64_t)f->modifier.absent * MODIFIER_ABSENT +
                (int64_t)f->modifier.on_disk * MODIFIER_COLD,
    };
}

const struct emp_policy emp_policy_affinity = {
    .name = "affinity",
    .terms = terms,
    .may_wait = true,
    .pool_blind = true,
};

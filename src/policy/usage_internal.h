/* What the files of the usage log share. */
#ifndef EMP_POLICY_USAGE_INTERNAL_H
#define EMP_POLICY_USAGE_INTERNAL_H

#include "policy/usage.h"

static inline uint32_t emp_usage_index(emp_wall_ms at, enum emp_usage_grain g)
{
    static const int64_t ms[EMP_USAGE_GRAINS] = {EMP_USAGE_FINE_MS, EMP_USAGE_HOUR_MS,
                                                 EMP_USAGE_DAY_MS};
    return at < 0 ? 0 : (uint32_t)(at / ms[g]);
}
extern const uint32_t emp_usage_kept[EMP_USAGE_GRAINS];

/* Puts a series of that kind and key into number `n` (which must be free), or into a free one when
 * n is 0. The caller has made room. */
struct emp_usage_series *emp_usage_take(struct emp_usage *u, enum emp_usage_kind kind, uint64_t key,
                                        uint32_t n);
void emp_usage_set_text(struct emp_usage *u, struct emp_usage_series *s, struct emp_str name);
void emp_usage_set_models(struct emp_usage *u, struct emp_usage_series *s, const uint32_t *models,
                          uint32_t count);
void emp_usage_drop(struct emp_usage *u, uint32_t number); /* with sets and pairs that need it */
void emp_usage_mark(struct emp_usage *u, struct emp_usage_series *s);
void emp_usage_mark_pair(struct emp_usage *u, uint32_t at);
struct emp_usage_pair *emp_usage_take_pair(struct emp_usage *u, uint32_t at, uint32_t a,
                                           uint32_t b); /* `at` is free */
void emp_usage_drop_pair(struct emp_usage *u, uint32_t at);
uint64_t emp_usage_key(enum emp_usage_kind kind, struct emp_str name);
uint64_t emp_usage_set_key(const uint32_t *models, uint32_t count);
bool emp_usage_is_name(struct emp_str name);
double emp_usage_pair_weight(const struct emp_usage_pair *p, emp_wall_ms now);

#endif

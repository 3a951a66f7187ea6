/* Deep copies: every string and list of `to` is in the arena, so that it outlives what it was
 * copied from. No memory is fatal, as everywhere with arenas. Any thread that owns the arena. */
#ifndef EMP_DOMAIN_COPY_H
#define EMP_DOMAIN_COPY_H

#include "base/arena.h"
#include "base/str.h"
#include "domain/machine.h"
#include "domain/model.h"

/* NULL for none. */
struct emp_str *emp_strs_copy(struct emp_arena *a, const struct emp_str *s, uint32_t n);
void emp_model_copy(struct emp_arena *a, const struct emp_model *from, struct emp_model *to);
void emp_facts_copy(struct emp_arena *a, const struct emp_machine_facts *from,
                    struct emp_machine_facts *to);

#endif

/* Deep copies of what brains hand out for the length of a step: messages and durable changes. Each
 * copy lives in the arena, with all its strings. */
#ifndef EMP_SIM_COPY_H
#define EMP_SIM_COPY_H

#include "base/arena.h"
#include "domain/change.h"
#include "domain/message.h"

void emp_sim_message_copy(struct emp_arena *a, const struct emp_message *from,
                          struct emp_message *to);
/* A JOB change's spec is copied too where it has one. */
void emp_sim_change_copy(struct emp_arena *a, const struct emp_change *from, struct emp_change *to);
void emp_sim_spec_copy(struct emp_arena *a, const struct emp_job_spec *from,
                       struct emp_job_spec *to);

#endif

/* Which pool a job belongs to, and which a machine. Duration picks the general pool (a quantile of
 * the estimate against run_ms_min/max), specialty, customer, compliance and region pick the
 * sub-pool. Pure. */
#ifndef EMP_POLICY_POOL_H
#define EMP_POLICY_POOL_H

#include "domain/machine.h"
#include "domain/settings.h"

enum { EMP_POOL_NONE = UINT32_MAX };

/* Index into settings->pools. The job's own wish (spec->pool) wins when such a pool exists; then
 * pools whose customer is the job's; then the narrowest that fits duration, specialty, region,
 * compliance and service; the general one for the duration otherwise. Pools of another customer
 * never. A pool with a parent takes its durations from there. EMP_POOL_NONE only when no pools are
 * configured, or all belong to other customers. */
uint32_t emp_pool_for_job(const struct emp_settings *s, const struct emp_job_spec *job,
                          struct emp_str specialty, int64_t run_ms);

/* Of a machine that named none: by its disk, GPU memory, RAM and cores, the most demanding pool
 * that it satisfies; among pools of a customer, specialty, region or compliance only those that the
 * machine says it serves, and such a one before a general one. A machine too small for every pool
 * goes to the least demanding. EMP_POOL_NONE only when no pools are configured. */
uint32_t emp_pool_for_machine(const struct emp_settings *s, const struct emp_machine_facts *m);
uint32_t emp_pool_find(const struct emp_settings *s,
                       struct emp_str name); /* EMP_POOL_NONE when absent or empty */

/* The specialty a job's models point to: the category most of them (by bytes) carry; empty when
 * none does. Borrowed from the model. */
struct emp_str emp_pool_infer_specialty(const struct emp_model *const *models, uint32_t count);

#endif

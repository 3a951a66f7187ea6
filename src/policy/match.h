/* May this job run on this machine, at all? Requirements, custom nodes, compliance, region, isolation; not load, not pools, not models.
 * The core asks once per class and machine and keeps the answer. Pure. The meaning of requirements is the
 * existing system's, mended where it was broken: docs/compatibility.md. */
#ifndef EMP_POLICY_MATCH_H
#define EMP_POLICY_MATCH_H

#include "base/error.h"
#include "domain/job.h"
#include "domain/machine.h"
#include "domain/settings.h"

/* True if all hold. Else false and, where `why` is not NULL, a sentence naming the first thing that failed, the wanted and the
 * found value ("hardware.gpu_memory_gb: needs 24, has 16"), code EMP_E_UNRUNNABLE or EMP_E_UNKNOWN_SERVICE. */
bool emp_match_machine(const struct emp_job_spec *job, const struct emp_machine_facts *m, struct emp_error *why);

/* Does the configured pool promise machines that could run it: lists the service, guarantees the hardware, region, customer, compliance? A pool
 * that names no services promises nothing (false). */
bool emp_match_pool(const struct emp_job_spec *job, const struct emp_pool *pool, struct emp_error *why);

#endif

/* May this job run on this machine, at all? Service, workflow restriction, region, compliance,
 * custom nodes, isolation, requirements; not load, not pools, not models. The core asks once per
 * class and machine and keeps the answer. Pure. The meaning of requirements is the existing
 * system's, mended where it was broken: docs/compatibility.md.
 *
 * Where a value is looked up: a path that the facts have a field for ("hardware.gpu_memory_gb", the
 * largest GPU; "hardware.cpu_cores", "hardware.ram_gb", "region", "custom_nodes" …: the table in
 * match.c) is answered from that field; where the field is unknown (0, empty), from the
 * capabilities of that path; then, for a job's words whose machine's word differs ("quality_level"
 * – "performance.quality_levels"), from the capabilities of the other path. Bytes count as decimal
 * gigabytes: what is sold as 24 GB satisfies 24.
 *
 * A capability "workflow_id" reserves its machine for that workflow. Who may use a machine
 * (allowed, denied customers) is asked only of jobs that demand isolation, as in the existing
 * system. */
#ifndef EMP_POLICY_MATCH_H
#define EMP_POLICY_MATCH_H

#include "base/error.h"
#include "domain/job.h"
#include "domain/machine.h"
#include "domain/settings.h"

/* True if all hold. Else false and, where `why` is not NULL, a sentence naming the first thing that
 * failed, the wanted and the found value ("hardware.gpu_memory_gb: needs 24, has 16"), code
 * EMP_E_UNRUNNABLE or EMP_E_UNKNOWN_SERVICE. */
bool emp_match_machine(const struct emp_job_spec *job, const struct emp_machine_facts *m,
                       struct emp_error *why);

/* Is the machine reserved for this workflow (among others)? For any at all, when it is empty? */
bool emp_match_reserved(const struct emp_machine_facts *m, struct emp_str workflow);

/* Does the configured pool promise machines that could run it: lists the service, guarantees the
 * hardware, region, customer, compliance? A pool that names no services promises nothing (false);
 * none promises custom nodes or free capabilities. A customer's own pool counts as strictly
 * isolated. `why` as above. */
bool emp_match_pool(const struct emp_job_spec *job, const struct emp_pool *pool,
                    struct emp_error *why);

#endif

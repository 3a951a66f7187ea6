/* The `simulation` connector: work that only takes time, for tests, load and demonstrations.
 * Service "simulation".
 *
 * Members of the payload:
 *   - duration_ms: how long; default: the agent's setting
 *   - load_ms: before that, as if models were loaded; default 0
 *   - fail: true: fails, retryable; "permanent": no retry can help; "machine": blames this machine
 *   - fail_attempts: fails, retryable, while the attempt's number is not above it
 *   - steps, 0 … 1000: progress reports; default 10, none for runs under 200 ms
 *   - output_bytes, 0 … 1 GB: writes an output "output.bin" of so many bytes
 *   - result, anything: becomes the result; default {"duration_ms": …}
 *
 * Other members are ignored. A wrong type or range: EMP_E_JOB_REJECTED, naming member and value. */
#ifndef EMP_AGENT_CONNECTORS_SIMULATION_H
#define EMP_AGENT_CONNECTORS_SIMULATION_H

#include "agent/connectors/connector.h"

/* NULL when there is no memory. */
struct emp_connector *emp_simulation_new(const struct emp_connector_host *host,
                                         int64_t default_run_ms);

#endif

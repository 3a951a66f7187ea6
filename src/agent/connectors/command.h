/* The `command` connector: each service the operator defines (struct emp_command_service) is a
 * program started per job: argv template (template.h), input files, output files, progress lines,
 * limits. A run lives in its scratch directory:
 *
 *   - SCRATCH/: the command's working directory
 *   - SCRATCH/in/NAME: from payload.inputs, {"NAME": {"text": "…"} | {"base64": "…"} | "…text…"}
 *   - SCRATCH/out/: every regular file in here (at most EMP_ATTEMPT_OUTPUTS_MAX, and
 *     EMP_COMMAND_OUTPUT_DEPTH_MAX deep) becomes an output under its relative name
 *   - SCRATCH/tmp/: TMPDIR
 *   - SCRATCH/payload.json, SCRATCH/result.json: where the service wants them
 *
 * The environment is PATH, HOME, LANG, TMPDIR and what the service adds; EMP_JOB_ID, EMP_ATTEMPT.
 * stdin is /dev/null.
 *
 * How it ends: exit status 0, and every {output.NAME} was written: completed. 64 or 65 (EX_USAGE,
 * EX_DATAERR): rejected, no retry. Any other, or a signal: failed, retryable, with the last lines
 * of stderr. Program missing: this machine's fault. A limit: failed, not retryable (LIMIT), or
 * retryable (TIMEOUT). When it ends, however it ends, all processes it started are killed. */
#ifndef EMP_AGENT_CONNECTORS_COMMAND_H
#define EMP_AGENT_CONNECTORS_COMMAND_H

#include "agent/agent.h"
#include "agent/connectors/connector.h"

enum {
    EMP_COMMAND_RESULT_BYTES_MAX = 4 * 1024 * 1024, /* of stdout, or of result.json */
    EMP_COMMAND_INPUTS_MAX = 256,
    EMP_COMMAND_OUTPUT_DEPTH_MAX = 16,
};

/* 0; EMP_E_INVALID: a service's template is wrong, the text names service, word and reason.
 * `services` is borrowed for the life of the connector. */
int emp_command_new(const struct emp_connector_host *host,
                    const struct emp_command_service *services, uint32_t count,
                    struct emp_connector **ret, struct emp_error *err);

#endif

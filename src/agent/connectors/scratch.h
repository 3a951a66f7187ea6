/* Files of a command's run: inputs out of the payload, outputs out of a directory. All of it blocks
 * as long as the disk does; sizes are bounded by the payload's limit and by the service's. */
#ifndef EMP_AGENT_CONNECTORS_SCRATCH_H
#define EMP_AGENT_CONNECTORS_SCRATCH_H

#include "agent/connectors/connector.h"
#include "base/arena.h"
#include "proto/json.h"

/* Writes payload.inputs as files below `dir`, and lists their names (in the arena, or the
 * payload's). 0; EMP_E_JOB_REJECTED: a name that could leave the directory, a member that is no
 * text and no base64, too many; EMP_E_IO, EMP_E_DISK_FULL. */
int emp_inputs_write(struct emp_arena *a, const struct emp_json *payload, const char *dir,
                     struct emp_str **ret_names, uint32_t *ret_count, struct emp_error *err);

/* Lists every regular file below `dir`, sorted by name; links and special files are left out. 0;
 * EMP_E_LIMIT: more than EMP_ATTEMPT_OUTPUTS_MAX files, deeper than EMP_COMMAND_OUTPUT_DEPTH_MAX,
 * or more than bytes_max bytes together; EMP_E_JOB_FAILED: a name that is no safe relative path;
 * EMP_E_IO. */
int emp_outputs_collect(struct emp_arena *a, const char *dir, int64_t bytes_max,
                        struct emp_run_output **ret_outputs, uint32_t *ret_count,
                        struct emp_error *err);

/* Strict RFC 4648 section 4: padding wanted, bits behind the last byte 0, no white space. Bytes
 * written to out (room for len / 4
 * * 3), or EMP_E_MALFORMED. */
int64_t emp_base64_decode(const char *text, size_t len, uint8_t *out);

#endif

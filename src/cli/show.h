/* What several commands show of a job. */
#ifndef EMP_CLI_SHOW_H
#define EMP_CLI_SHOW_H

#include "base/arena.h"
#include "base/str.h"
#include "proto/json.h"

#include <stdbool.h>

/* "status     completed": a label, padded, and a value made safe; nothing where the value is empty.
 */
void emp_show_field(const char *label, struct emp_str value, struct emp_buf *out);
/* All of a job: fields, attempts, outputs, result. `job` is the API's job object. */
void emp_show_job(const struct emp_json *job, struct emp_arena *arena, bool colours,
                  struct emp_buf *out);
/* Is this status final? */
bool emp_show_is_final(struct emp_str status);

#endif

/* What `emp plan` and `emp models --forecast` share: lists of /api/intelligence. */
#ifndef EMP_CLI_PLAN_H
#define EMP_CLI_PLAN_H

#include "cli/cli.h"
#include "proto/json.h"

/* GET `path` and what `write` makes of the answer, or the JSON. With intelligence switched off, or
 * before the first plan, a sentence that says so. 0 or EMP_E_*. */
int emp_cli_intelligence(struct emp_cli *cli, const char *path,
                         void (*write)(struct emp_cli *cli, const struct emp_json *answer,
                                       struct emp_buf *out),
                         struct emp_error *err);

#endif

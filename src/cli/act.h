/* What several commands do: ask for one thing on each of some jobs or machines; show a list as a
 * table. */
#ifndef EMP_CLI_ACT_H
#define EMP_CLI_ACT_H

#include "cli/cli.h"
#include "cli/table.h"
#include "proto/json.h"

/* Sends `method` (with `body`, JSON, unless NULL) to "<prefix><id><suffix>" for every argument and
 * prints "<done>: <id>", or the JSON. Goes on after a refusal; the first one becomes the result. */
int emp_cli_act(struct emp_cli *cli, const char *method, const char *prefix, const char *suffix,
                const char *body, const char *done, struct emp_error *err);

/* GET "<prefix><id><suffix>", and what `write` makes of the answer; or the JSON. */
int emp_cli_show(struct emp_cli *cli, const char *prefix, const char *id, const char *suffix,
                 void (*write)(struct emp_cli *cli, const char *id, const struct emp_json *answer,
                               struct emp_buf *out),
                 struct emp_error *err);

/* GET `path`, and its array `name` as a table, one row by `add_row` each; or the JSON. */
int emp_cli_list(struct emp_cli *cli, const char *path, const char *name,
                 const struct emp_column *columns,
                 void (*add_row)(struct emp_table *t, const struct emp_json *element),
                 struct emp_error *err);

#endif

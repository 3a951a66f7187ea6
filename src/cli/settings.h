/* Configuration for `serve` and `agent`: file, environment, then options, by the `key` of the
 * option table. */
#ifndef EMP_CLI_SETTINGS_H
#define EMP_CLI_SETTINGS_H

#include "cli/cli.h"
#include "config/config.h"

/* Initialises and fills `c`; release it in any case. All faults of a file are printed, the last is
 * returned. Sets the log's level. */
int emp_cli_settings(const struct emp_cli *cli, struct emp_config *c, struct emp_error *err);

#endif

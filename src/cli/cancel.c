#include "cli/act.h"

static int run(struct emp_cli *cli, struct emp_error *err)
{
    return emp_cli_act(cli, "POST", "/api/jobs/", "/cancel", NULL, "cancelled", err);
}

const struct emp_command emp_command_cancel = {
    .name = "cancel",
    .args = "JOB…",
    .summary = "Cancel jobs; what runs is stopped.",
    .client = true,
    .args_min = 1,
    .args_max = EMP_CLI_ARGS_MAX,
    .run = run,
};

#include "cli/act.h"

static int run(struct emp_cli *cli, struct emp_error *err)
{
    return emp_cli_act(cli, "POST", "/api/jobs/", "/retry", NULL, "waiting again", err);
}

const struct emp_command emp_command_retry = {
    .name = "retry",
    .args = "JOB…",
    .summary = "Let failed or cancelled jobs wait for a machine again.",
    .client = true,
    .args_min = 1,
    .args_max = EMP_CLI_ARGS_MAX,
    .run = run,
};

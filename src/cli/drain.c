#include "cli/act.h"

static int run(struct emp_cli *cli, struct emp_error *err)
{
    return emp_cli_act(cli, "POST", "/api/machines/", "/drain", "draining", err);
}

const struct emp_command emp_command_drain = {
    .name = "drain",
    .args = "MACHINE…",
    .summary = "Let machines finish what they run, and take nothing new.",
    .client = true,
    .args_min = 1,
    .args_max = EMP_CLI_ARGS_MAX,
    .run = run,
};

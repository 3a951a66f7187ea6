#include "cli/act.h"

static const struct emp_option options[] = {
    {"off", 0, NULL, "Let them take work again.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

static int run(struct emp_cli *cli, struct emp_error *err)
{
    bool off = emp_options_has(&cli->options, "off");
    return emp_cli_act(cli, "POST", "/api/machines/", "/drain",
                       off ? "{\"drain\":false}" : "{\"drain\":true}",
                       off ? "takes work again" : "draining", err);
}

const struct emp_command emp_command_drain = {
    .name = "drain",
    .args = "MACHINE…",
    .summary = "Let machines finish what they run, and take nothing new.",
    .options = options,
    .client = true,
    .args_min = 1,
    .args_max = EMP_CLI_ARGS_MAX,
    .run = run,
};

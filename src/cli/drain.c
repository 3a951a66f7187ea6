#include "cli/act.h"

static const struct emp_option options[] = {
    {"leave", 0, NULL, "Their agents end when they have finished.", false, NULL},
    {"off", 0, NULL, "Let them take work again.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

static int run(struct emp_cli *cli, struct emp_error *err)
{
    bool leave = emp_options_has(&cli->options, "leave");
    const char *body = "{\"drain\":true}", *done = "draining";

    if (leave)
        body = "{\"drain\":true,\"leave\":true}", done = "draining, then leaves";
    if (emp_options_has(&cli->options, "off")) {
        if (leave)
            return emp_fail(err, EMP_E_INVALID, "leave", "--leave contradicts --off");
        body = "{\"drain\":false}", done = "takes work again";
    }
    return emp_cli_act(cli, "POST", "/api/machines/", "/drain", body, done, err);
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

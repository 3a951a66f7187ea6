#include "cli/cli.h"

static int run(struct emp_cli *cli, struct emp_error *err)
{
    const struct emp_command *about = NULL;
    struct emp_buf out;
    if (cli->options.arg_count == 1 && !(about = emp_command_find(cli->options.args[0])))
        return emp_fail(err, EMP_E_INVALID, NULL, "unknown command \"%s\"; `emp help` lists all",
                        cli->options.args[0]);
    emp_buf_init(&out, 1 << 20);
    emp_cli_help(about, &out);
    int r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

const struct emp_command emp_command_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "Show what there is, or one command's options.",
    .args_max = 1,
    .run = run,
};

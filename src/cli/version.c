#include "cli/cli.h"
#include "domain/message.h"

static int run(struct emp_cli *cli, struct emp_error *err)
{
    struct emp_buf out;
    (void)cli;
    emp_buf_init(&out, 4096);
    emp_buf_printf(&out, "emp %s, broker–agent protocol %d\n", EMP_VERSION, EMP_PROTOCOL_VERSION);
    int r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

const struct emp_command emp_command_version = {
    .name = "version",
    .args = "",
    .summary = "Show the version.",
    .run = run,
};

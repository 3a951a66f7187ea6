#include "cli/act.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/view.h"

static void write_job(struct emp_cli *cli, const char *id, const struct emp_json *answer,
                      struct emp_buf *out)
{
    emp_buf_addz(out, id == cli->options.args[0] ? "" : "\n");
    emp_show_job(emp_view_get(answer, "job"), &cli->arena, emp_terminal_colours(stdout), out);
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    int r = 0;
    for (uint32_t i = 0; i < cli->options.arg_count && r == 0; i++)
        r = emp_cli_show(cli, "/api/jobs/", cli->options.args[i], "", write_job, err);
    return r;
}

const struct emp_command emp_command_job = {
    .name = "job",
    .args = "JOB…",
    .summary = "Show everything about a job: fields, attempts, outputs, result.",
    .client = true,
    .args_min = 1,
    .args_max = EMP_CLI_ARGS_MAX,
    .run = run,
};

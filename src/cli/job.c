#include "cli/client.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/view.h"

static int run(struct emp_cli *cli, struct emp_error *err)
{
    struct emp_client client;
    int r = emp_client_open(&client, cli, err);
    for (uint32_t i = 0; i < cli->options.arg_count && r == 0; i++) {
        struct emp_reply reply;
        struct emp_buf out;
        emp_buf_init(&out, EMP_CLIENT_OUTPUT_MAX);
        r = emp_client_get(&client, "/api/jobs/", cli->options.args[i], "", &reply, err);
        if (r == 0 && cli->json) {
            r = emp_client_print_json(&reply, err);
        } else if (r == 0) {
            emp_buf_addz(&out, i ? "\n" : "");
            emp_show_job(emp_view_get(reply.json, "job"), &cli->arena, emp_terminal_colours(stdout),
                         &out);
            r = emp_cli_print(&out, err);
        }
        emp_buf_release(&out);
        emp_reply_release(&reply);
    }
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

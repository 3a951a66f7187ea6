#include "cli/cli.h"

static const struct emp_option options[] = {
    {"doc", 0, NULL, "Print the manual of all commands (docs/cli.md).", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

static void document(struct emp_buf *out)
{
    emp_buf_addz(out, "# The `emp` command\n\nWritten by `emp help --doc`.\n\n```\n");
    emp_cli_help(NULL, out);
    emp_buf_addz(out, "```\n");
    for (size_t i = 0; emp_commands[i]; i++) {
        emp_buf_printf(out, "\n## emp %s\n\n```\n", emp_commands[i]->name);
        emp_cli_help(emp_commands[i], out);
        emp_buf_addz(out, "```\n");
    }
    emp_buf_addz(out, "\n## Exit status\n\n"
                      "0: done. 1: a job that was watched did not complete, or part of a batch was "
                      "refused. Else the table of errors\n"
                      "(`src/base/error.def`), the same that gives the API its codes:\n\n| status "
                      "| code | meaning |\n|---|---|---|\n");
    for (int code = EMP_E_FIRST_UNUSED + 1; code < EMP_E_END; code++)
        emp_buf_printf(out, "| %d | `%s` | %s |\n", emp_error_exit(code), emp_error_name(code),
                       emp_error_text(code));
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    const struct emp_options *o = &cli->options;
    const struct emp_command *about = NULL;
    struct emp_buf out;
    if (o->arg_count == 1 && !(about = emp_command_find(o->args[0])))
        return emp_fail(err, EMP_E_INVALID, NULL, "unknown command \"%s\"; `emp help` lists all",
                        o->args[0]);
    emp_buf_init(&out, 1 << 20);
    if (emp_options_has(o, "doc"))
        document(&out);
    else
        emp_cli_help(about, &out);
    int r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

const struct emp_command emp_command_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "Show what there is, or one command's options.",
    .options = options,
    .args_max = 1,
    .run = run,
};

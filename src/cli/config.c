#include "config/config.h"

#include "cli/cli.h"
#include "cli/terminal.h"

#include <stdlib.h>

static const struct emp_option options[] = {
    {"check", 0, NULL, "Read FILE and name every fault.", false, NULL},
    {"dump", 0, NULL, "Print effective values and where each came from, as YAML.", false, NULL},
    {"doc", 0, NULL, "Print the manual of all keys (docs/configuration.md).", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

static int check(struct emp_config *c, const char *path, struct emp_error *err)
{
    struct emp_buf out;
    if (!path)
        return emp_fail(err, EMP_E_INVALID, NULL, "usage: emp config --check FILE");
    int r = emp_config_read_file(c, path, err);
    for (uint32_t i = 0; i < c->fault_count; i++)
        emp_terminal_error(c->faults[i].text);
    if (r < 0)
        return emp_error_exit(r); /* all is told */
    emp_buf_init(&out, 4096);
    emp_buf_printf(&out, "%s: good\n", path);
    r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

static int dump(struct emp_config *c, const char *path, struct emp_error *err)
{
    struct emp_buf out;
    int r = path ? emp_config_read_file(c, path, err) : 0;
    if (r < 0 || (r = emp_config_environment(c, getenv, err)) < 0)
        return r;
    emp_buf_init(&out, 4 * (size_t)EMP_CONFIG_BYTES_MAX);
    emp_config_dump(c, &out);
    r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

static int document(struct emp_error *err)
{
    struct emp_buf out;
    emp_buf_init(&out, 1 << 24);
    emp_config_document(&out);
    int r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    const struct emp_options *o = &cli->options;
    const char *path = o->arg_count ? o->args[0] : NULL;
    bool checks = emp_options_has(o, "check"), dumps = emp_options_has(o, "dump"),
         documents = emp_options_has(o, "doc");
    struct emp_config c;
    if (checks + dumps + documents != 1)
        return emp_fail(err, EMP_E_INVALID, NULL, "one of --check FILE, --dump [FILE], --doc");
    emp_config_init(&c);
    int r = checks ? check(&c, path, err) : dumps ? dump(&c, path, err) : document(err);
    emp_config_release(&c);
    return r;
}

const struct emp_command emp_command_config = {
    .name = "config",
    .args = "[FILE]",
    .summary = "Check a configuration, show effective values, print the manual.",
    .options = options,
    .args_max = 1,
    .run = run,
};

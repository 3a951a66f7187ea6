#include "cli/settings.h"

#include "cli/terminal.h"
#include "os/log.h"

#include <stdlib.h>

/* The caller prints the error that is returned; a file's other faults are told here. */
static int read_file(struct emp_config *c, const char *path, struct emp_error *err)
{
    int r = emp_config_read_file(c, path, err);
    for (uint32_t i = 0; i + 1 < c->fault_count; i++)
        emp_terminal_error(c->faults[i].text);
    if (c->fault_count)
        *err = c->faults[c->fault_count - 1];
    return r;
}

/* A flag stands for "true". */
static int apply(struct emp_config *c, const struct emp_given *given, struct emp_error *err)
{
    struct emp_error why = {0};
    const char *value = given->value ? given->value : "true";
    if (!given->option->key || emp_config_set(c, given->option->key, value, &why) == 0)
        return 0;
    return emp_fail(err, EMP_E_INVALID, given->option->name, "--%s: %s", given->option->name,
                    why.text);
}

int emp_cli_settings(const struct emp_cli *cli, struct emp_config *c, struct emp_error *err)
{
    const char *path = emp_options_value(&cli->options, "config");
    int r;
    emp_config_init(c);
    if (path && (r = read_file(c, path, err)) < 0)
        return r;
    if ((r = emp_config_environment(c, getenv, err)) < 0)
        return r;
    for (uint32_t i = 0; i < cli->options.given_count; i++)
        if ((r = apply(c, &cli->options.given[i], err)) < 0)
            return r;
    if ((r = emp_config_check(c, err)) < 0)
        return r;
    emp_log_setup((enum emp_log_level)c->log_level, c->log_json);
    return 0;
}

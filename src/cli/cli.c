/* Finds the subcommand, parses its options by its table, runs it, prints its error once. */
#include "cli/cli.h"

#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

const struct emp_command *const emp_commands[] = {
#define EMP_COMMAND(name) &emp_command_##name,
#include "cli/commands.def"
#undef EMP_COMMAND
    NULL,
};

const struct emp_option emp_client_options[] = {
    {"broker", 0, "URL", "Broker, http://HOST:PORT; else EMP_BROKER, else http://127.0.0.1:3331.",
     false, NULL},
    {"json", 0, NULL, "Print the API's JSON.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

static const struct emp_option common_options[] = {
    {"help", 'h', NULL, "Show this help.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

const struct emp_command *emp_command_find(const char *name)
{
    for (size_t i = 0; emp_commands[i]; i++)
        if (strcmp(emp_commands[i]->name, name) == 0)
            return emp_commands[i];
    return NULL;
}

static void help_all(struct emp_buf *out)
{
    emp_buf_addz(out, "emp: a job queue for generative AI on rented GPU machines\n\nusage: emp "
                      "COMMAND [OPTION…]\n\n");
    for (size_t i = 0; emp_commands[i]; i++)
        emp_buf_printf(out, "  %-10s %s\n", emp_commands[i]->name, emp_commands[i]->summary);
    emp_buf_addz(
        out,
        "\n`emp COMMAND --help` shows the options of a command.\n"
        "Environment: EMP_BROKER (URL of the broker), EMP_API_KEY, EMP_AGENT_TOKEN, NO_COLOR.\n");
}

void emp_cli_help(const struct emp_command *c, struct emp_buf *out)
{
    if (!c) {
        help_all(out);
        return;
    }
    emp_buf_printf(out, "usage: emp %s%s%s [OPTION…]\n\n%s\n", c->name, *c->args ? " " : "",
                   c->args, c->summary);
    if (c->text)
        emp_buf_printf(out, "\n%s", c->text);
    emp_buf_addz(out, "\n");
    if (c->options)
        emp_options_help(c->options, out);
    if (c->client)
        emp_options_help(emp_client_options, out);
    emp_options_help(common_options, out);
}

int emp_cli_write(const char *text, size_t len, struct emp_error *err)
{
    if ((len == 0 || fwrite(text, 1, len, stdout) == len) && fflush(stdout) == 0)
        return 0;
    return errno == EPIPE ? 0 : emp_fail(err, EMP_E_IO, NULL, "writing to standard output: %m");
}

int emp_cli_print(const struct emp_buf *text, struct emp_error *err)
{
    if (text->failed)
        return emp_fail(err, EMP_E_TOO_LARGE, NULL, "the output is too large to be held");
    return emp_cli_write(text->data, text->len, err);
}

static int print_help(const struct emp_command *c, struct emp_error *err)
{
    struct emp_buf out;
    emp_buf_init(&out, 1 << 20);
    emp_cli_help(c, &out);
    int r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

static int unknown_command(const char *name, struct emp_error *err)
{
    const char *best = NULL;
    unsigned best_distance = 4;
    for (size_t i = 0; emp_commands[i]; i++) {
        unsigned d = emp_str_distance(emp_str_z(emp_commands[i]->name), emp_str_z(name), 3);
        if (d < best_distance) {
            best_distance = d;
            best = emp_commands[i]->name;
        }
    }
    if (best)
        return emp_fail(err, EMP_E_INVALID, NULL, "unknown command \"%s\"; did you mean \"%s\"?",
                        name, best);
    return emp_fail(err, EMP_E_INVALID, NULL, "unknown command \"%s\"; `emp help` lists all", name);
}

static int run_command(struct emp_cli *cli, int argc, char **argv, struct emp_error *err)
{
    const struct emp_command *c = cli->command;
    struct emp_options *o = &cli->options;
    if (c->options)
        o->tables[o->table_count++] = c->options;
    if (c->client)
        o->tables[o->table_count++] = emp_client_options;
    o->tables[o->table_count++] = common_options;
    int r = emp_options_parse(o, argc, argv, &cli->arena, err);
    if (r < 0)
        return r;
    if (emp_options_has(o, "help"))
        return print_help(c, err);
    if (o->arg_count < c->args_min)
        return emp_fail(err, EMP_E_INVALID, NULL, "usage: emp %s %s", c->name, c->args);
    if (o->arg_count > c->args_max)
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "\"%s\" is one argument too many; usage: emp %s %s", o->args[c->args_max],
                        c->name, c->args);
    cli->json = c->client && emp_options_has(o, "json");
    return c->run(cli, err);
}

/* `emp`, `emp --help`, `emp -h`, `emp --version` are commands, too. */
static const struct emp_command *command_of(const char *word, struct emp_error *err)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return &emp_command_help;
    if (strcmp(word, "--version") == 0)
        return &emp_command_version;
    const struct emp_command *c = emp_command_find(word);
    if (!c)
        unknown_command(word, err);
    return c;
}

int emp_cli_main(int argc, char **argv)
{
    struct emp_cli cli = {0};
    struct emp_error err = {0};
    int r;
    signal(SIGPIPE, SIG_IGN); /* `emp jobs | head`: a failed write, not a death */
    emp_arena_init(&cli.arena, 0);
    if (argc < 2) {
        print_help(NULL, &err);
        emp_arena_release(&cli.arena);
        return emp_error_exit(EMP_E_INVALID);
    }
    cli.command = command_of(argv[1], &err);
    r = cli.command ? run_command(&cli, argc - 2, argv + 2, &err) : err.code;
    if (r < 0 && err.code == 0)
        emp_fail(&err, r, NULL, "%s", emp_error_text(r));
    if (r < 0)
        emp_terminal_error(err.text);
    emp_arena_release(&cli.arena);
    return r < 0 ? emp_error_exit(r) : r;
}

/* The `emp` command: what its subcommands share. One file per subcommand, each with one `struct
 * emp_command`; commands.def is the list of them. A subcommand runs once in a process, on the main
 * thread, and may block. */
#ifndef EMP_CLI_CLI_H
#define EMP_CLI_CLI_H

#include "base/arena.h"
#include "base/error.h"
#include "cli/options.h"

#include <stdbool.h>
#include <stdio.h>

struct emp_cli {
    struct emp_arena arena; /* until the process ends */
    struct emp_options options;
    const struct emp_command *command;
    bool json; /* --json: the API's own JSON, nothing else, on stdout */
};

struct emp_command {
    const char *name;
    const char *args;                 /* of the usage line: "JOB…"; empty: none */
    const char *summary;              /* one line */
    const char *text;                 /* more, for its own help; may be NULL */
    const struct emp_option *options; /* its own; NULL: none */
    bool client;                      /* speaks to a broker: takes --broker and --json too */
    uint32_t args_min, args_max;      /* how many positional arguments */
    /* The process's exit status (0 …), or an EMP_E_* with `err` filled: printed by the caller, and
     * turned into a status. */
    int (*run)(struct emp_cli *cli, struct emp_error *err);
};

enum { EMP_CLI_ARGS_MAX = 100000 };

#define EMP_COMMAND(name) extern const struct emp_command emp_command_##name;
#include "cli/commands.def"
#undef EMP_COMMAND

extern const struct emp_command
    *const emp_commands[];                           /* in the order of the help; ends with NULL */
extern const struct emp_option emp_client_options[]; /* --broker, --json */

const struct emp_command *emp_command_find(const char *name); /* NULL when unknown */

void emp_cli_help(const struct emp_command *c, struct emp_buf *out); /* c NULL: of `emp` itself */

/* The whole command: returns the process's exit status. argv[0] is the program. */
int emp_cli_main(int argc, char **argv);

/* Writes to stdout; 0, or EMP_E_IO (a full disk). A reader that has left (`emp jobs | head`) has
 * seen enough: that is no error. */
int emp_cli_write(const char *text, size_t len, struct emp_error *err);
int emp_cli_print(const struct emp_buf *text, struct emp_error *err);

#endif

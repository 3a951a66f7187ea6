/* Command lines by table: long options (--name VALUE, --name=VALUE), flags, letters where a table
 * gives one, positional arguments in between; "--" ends the options. An unknown option is an error
 * that names the nearest known one. From the same table comes the help. Pure but for the arena; all
 * strings borrow from argv. */
#ifndef EMP_CLI_OPTIONS_H
#define EMP_CLI_OPTIONS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct emp_option {
    const char *name;    /* without dashes; NULL ends a table */
    char letter;         /* "-w"; 0: none */
    const char *value;   /* what stands for its value in the help ("N"); NULL: a flag */
    const char *meaning; /* one sentence */
    bool repeats;        /* may be given several times; else twice is an error */
    const char *key;     /* of the configuration, which this option overrides; NULL: none */
};

enum { EMP_OPTION_TABLES_MAX = 4 };

struct emp_given {
    const struct emp_option *option;
    const char *value; /* NULL for a flag */
};

struct emp_options {
    const struct emp_option *tables[EMP_OPTION_TABLES_MAX]; /* each ends with name NULL */
    unsigned table_count;
    struct emp_given *given; /* in order */
    uint32_t given_count, given_cap;
    const char **args; /* positional */
    uint32_t arg_count, arg_cap;
};

/* Fills `o` (tables set by the caller) from argv[0 … argc). 0, or EMP_E_INVALID. */
int emp_options_parse(struct emp_options *o, int argc, char **argv, struct emp_arena *arena,
                      struct emp_error *err);

bool emp_options_has(const struct emp_options *o, const char *name);
const char *emp_options_value(const struct emp_options *o,
                              const char *name); /* NULL when not given */
/* The n-th (from 0) value of a repeated option; NULL when there are no more. */
const char *emp_options_nth(const struct emp_options *o, const char *name, uint32_t n);
/* 0 and *ret (untouched when the option is not given); EMP_E_INVALID: not a whole number in [min,
 * max]. */
int emp_options_int(const struct emp_options *o, const char *name, int64_t min, int64_t max,
                    int64_t *ret, struct emp_error *err);
/* A duration with a unit ("30s"), in ms; likewise. */
int emp_options_duration(const struct emp_options *o, const char *name, int64_t *ret_ms,
                         struct emp_error *err);

/* The option lines of a help text, aligned. */
void emp_options_help(const struct emp_option *table, struct emp_buf *out);

#endif

/* No getopt: it keeps its state in globals, prints by itself, and knows nothing of the nearest
 * name. */
#include "cli/options.h"

#include "config/units.h"

#include <errno.h>
#include <stdlib.h>

enum { HELP_COLUMN = 28 };

static const struct emp_option *find_long(const struct emp_options *o, struct emp_str name)
{
    for (unsigned t = 0; t < o->table_count; t++)
        for (const struct emp_option *p = o->tables[t]; p->name; p++)
            if (emp_str_eq(emp_str_z(p->name), name))
                return p;
    return NULL;
}

static const struct emp_option *find_letter(const struct emp_options *o, char letter)
{
    for (unsigned t = 0; t < o->table_count; t++)
        for (const struct emp_option *p = o->tables[t]; p->name; p++)
            if (p->letter && p->letter == letter)
                return p;
    return NULL;
}

static int unknown_option(const struct emp_options *o, struct emp_str name, struct emp_error *err)
{
    const char *best = NULL;
    unsigned best_distance = 4;
    for (unsigned t = 0; t < o->table_count; t++)
        for (const struct emp_option *p = o->tables[t]; p->name; p++) {
            unsigned d = emp_str_distance(emp_str_z(p->name), name, 3);
            if (d < best_distance) {
                best_distance = d;
                best = p->name;
            }
        }
    if (best)
        return emp_fail(err, EMP_E_INVALID, NULL, "unknown option --%.*s; did you mean --%s?",
                        EMP_STR_FMT(name), best);
    return emp_fail(err, EMP_E_INVALID, NULL, "unknown option --%.*s; --help lists all",
                    EMP_STR_FMT(name));
}

static int give(struct emp_options *o, const struct emp_option *p, const char *value,
                struct emp_arena *arena, struct emp_error *err)
{
    if (!p->repeats && emp_options_has(o, p->name))
        return emp_fail(err, EMP_E_INVALID, p->name, "--%s is given twice", p->name);
    emp_arena_reserve(arena, o->given, o->given_count, o->given_cap);
    o->given[o->given_count++] = (struct emp_given){p, value};
    return 0;
}

/* argv[*i] is "--name" or "--name=value"; moves *i when the value is the next argument. */
static int parse_long(struct emp_options *o, int argc, char **argv, int *i, struct emp_arena *arena,
                      struct emp_error *err)
{
    const char *text = argv[*i] + 2, *equals = strchr(text, '=');
    struct emp_str name = {text, (uint32_t)(equals ? (size_t)(equals - text) : strlen(text))};
    const struct emp_option *p = find_long(o, name);
    if (!p)
        return unknown_option(o, name, err);
    if (!p->value && equals)
        return emp_fail(err, EMP_E_INVALID, p->name, "--%s takes no value", p->name);
    if (!p->value)
        return give(o, p, NULL, arena, err);
    if (!equals && *i + 1 >= argc)
        return emp_fail(err, EMP_E_INVALID, p->name, "--%s wants a value: --%s %s", p->name,
                        p->name, p->value);
    return give(o, p, equals ? equals + 1 : argv[++*i], arena, err);
}

static int parse_letters(struct emp_options *o, int argc, char **argv, int *i,
                         struct emp_arena *arena, struct emp_error *err)
{
    for (const char *c = argv[*i] + 1; *c; c++) {
        const struct emp_option *p = find_letter(o, *c);
        int r;
        if (!p)
            return emp_fail(err, EMP_E_INVALID, NULL, "unknown option -%c; --help lists all", *c);
        if (!p->value) {
            if ((r = give(o, p, NULL, arena, err)) < 0)
                return r;
            continue;
        }
        if (!c[1] && *i + 1 >= argc)
            return emp_fail(err, EMP_E_INVALID, p->name, "-%c wants a value: -%c %s", *c, *c,
                            p->value);
        return give(o, p, c[1] ? c + 1 : argv[++*i], arena, err);
    }
    return 0;
}

int emp_options_parse(struct emp_options *o, int argc, char **argv, struct emp_arena *arena,
                      struct emp_error *err)
{
    bool ended = false;
    for (int i = 0; i < argc; i++) {
        const char *a = argv[i];
        int r = 0;
        if (!ended && strcmp(a, "--") == 0) {
            ended = true;
        } else if (!ended && a[0] == '-' && a[1] == '-') {
            r = parse_long(o, argc, argv, &i, arena, err);
        } else if (!ended && a[0] == '-' && a[1]) { /* "-" alone is an argument: standard input */
            r = parse_letters(o, argc, argv, &i, arena, err);
        } else {
            emp_arena_reserve(arena, o->args, o->arg_count, o->arg_cap);
            o->args[o->arg_count++] = a;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

const char *emp_options_nth(const struct emp_options *o, const char *name, uint32_t n)
{
    for (uint32_t i = 0; i < o->given_count; i++)
        if (strcmp(o->given[i].option->name, name) == 0 && n-- == 0)
            return o->given[i].value;
    return NULL;
}

const char *emp_options_value(const struct emp_options *o, const char *name)
{
    return emp_options_nth(o, name, 0);
}

bool emp_options_has(const struct emp_options *o, const char *name)
{
    for (uint32_t i = 0; i < o->given_count; i++)
        if (strcmp(o->given[i].option->name, name) == 0)
            return true;
    return false;
}

int emp_options_int(const struct emp_options *o, const char *name, int64_t min, int64_t max,
                    int64_t *ret, struct emp_error *err)
{
    const char *text = emp_options_value(o, name);
    char *end;
    if (!text)
        return 0;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < min || v > max)
        return emp_fail(err, EMP_E_INVALID, name,
                        "--%s %s: it wants a whole number from %lld to %lld", name, text,
                        (long long)min, (long long)max);
    *ret = v;
    return 0;
}

int emp_options_duration(const struct emp_options *o, const char *name, int64_t *ret_ms,
                         struct emp_error *err)
{
    const char *text = emp_options_value(o, name);
    if (!text)
        return 0;
    if (emp_duration_parse(emp_str_z(text), ret_ms) < 0)
        return emp_fail(err, EMP_E_INVALID, name,
                        "--%s %s: it wants a duration such as 500ms, 30s, 5m", name, text);
    return 0;
}

void emp_options_help(const struct emp_option *table, struct emp_buf *out)
{
    for (const struct emp_option *p = table; p->name; p++) {
        size_t start = out->len;
        if (p->letter)
            emp_buf_printf(out, "  -%c, ", p->letter);
        else
            emp_buf_addz(out, "      ");
        emp_buf_printf(out, "--%s%s%s", p->name, p->value ? " " : "", p->value ? p->value : "");
        size_t width = out->len - start;
        if (width + 2 > HELP_COLUMN)
            emp_buf_printf(out, "\n%*s", HELP_COLUMN, "");
        else
            emp_buf_printf(out, "%*s", (int)(HELP_COLUMN - width), "");
        emp_buf_printf(out, "%s%s\n", p->meaning, p->repeats ? " May be repeated." : "");
    }
}

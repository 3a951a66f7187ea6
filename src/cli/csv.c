#include "cli/csv.h"

#include <math.h>
#include <stdlib.h>

void emp_csv_init(struct emp_csv *c, const char *name, struct emp_str text)
{
    *c = (struct emp_csv){.at = text.ptr, .name = name, .next_line = 1};
    if (text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0)
        c->at += 3;
    c->end = text.len ? text.ptr + text.len : c->at;
}

static int fail(const struct emp_csv *c, struct emp_error *err, const char *what)
{
    return emp_fail(err, EMP_E_MALFORMED, NULL, "%s:%u: %s", c->name, c->line, what);
}

/* A quoted field; c->at stands behind its opening quote, and then behind its closing one. */
static int quoted(struct emp_csv *c, struct emp_arena *arena, struct emp_str *ret,
                  struct emp_error *err)
{
    const char *start = c->at;
    uint32_t doubled = 0;
    for (;; c->at++) {
        if (c->at == c->end)
            return fail(c, err, "a quote is not closed");
        if (*c->at == '\n')
            c->next_line++;
        if (*c->at != '"')
            continue;
        if (c->at + 1 == c->end || c->at[1] != '"')
            break;
        c->at++;
        doubled++;
    }
    *ret = (struct emp_str){start, (uint32_t)(c->at - start)};
    if (doubled) {
        char *text = emp_arena_alloc(arena, ret->len);
        uint32_t n = 0;
        for (uint32_t i = 0; i < ret->len; i++, n++) {
            text[n] = start[i];
            i += start[i] == '"';
        }
        *ret = (struct emp_str){text, n};
    }
    c->at++;
    if (c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r')
        return fail(c, err, "text follows a closing quote");
    return 0;
}

static int field(struct emp_csv *c, struct emp_arena *arena, struct emp_error *err)
{
    struct emp_str f = {c->at, 0};
    emp_arena_reserve(arena, c->fields, c->count, c->cap);
    if (c->at < c->end && *c->at == '"') {
        c->at++;
        int r = quoted(c, arena, &f, err);
        if (r < 0)
            return r;
    } else {
        while (c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r')
            c->at++;
        f.len = (uint32_t)(c->at - f.ptr);
    }
    if (f.len && memchr(f.ptr, '\0', f.len))
        return fail(c, err, "there is a NUL byte");
    c->fields[c->count++] = f;
    return 0;
}

int emp_csv_next(struct emp_csv *c, struct emp_arena *arena, struct emp_error *err)
{
    while (c->at < c->end && (*c->at == '\n' || *c->at == '\r'))
        c->next_line += *c->at++ == '\n';
    c->line = c->next_line;
    if (c->at == c->end)
        return 0;
    c->count = 0;
    for (;;) {
        int r = field(c, arena, err);
        if (r < 0)
            return r;
        if (c->at == c->end)
            return 1;
        char stop = *c->at++;
        if (stop == ',' && c->count >= EMP_CSV_FIELDS_MAX)
            return fail(c, err, "there are too many fields");
        if (stop == ',')
            continue;
        c->next_line += stop == '\n'; // of "\r\n", the '\n' is met as an empty line
        return 1;
    }
}

bool emp_csv_is_number(struct emp_str s, double *ret)
{
    char text[64], *end;
    while (s.len && *s.ptr == ' ')
        s = (struct emp_str){s.ptr + 1, s.len - 1};
    while (s.len && s.ptr[s.len - 1] == ' ')
        s.len--;
    if (s.len == 0 || s.len >= sizeof text)
        return false;
    for (uint32_t i = 0; i < s.len; i++)
        if (!strchr("0123456789+-.eE", s.ptr[i])) // no hexadecimal, nan, inf
            return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    double v = strtod(text, &end);
    if (*end || !isfinite(v))
        return false;
    *ret = v;
    return true;
}

int emp_csv_number(const struct emp_csv *c, uint32_t i, double *ret, struct emp_error *err)
{
    if (emp_csv_is_number(c->fields[i], ret))
        return 0;
    struct emp_str f = c->fields[i];
    return emp_fail(err, EMP_E_MALFORMED, NULL, "%s:%u: field %u, \"%.*s\", is not a number",
                    c->name, c->line, i + 1, (int)(f.len < 40 ? f.len : 40), f.ptr);
}

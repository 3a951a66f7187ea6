#include "sim/measure/csv.h"

#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

int emp_trace_csv_open(struct emp_trace_csv *r, const char *name, FILE *in, struct emp_error *err)
{
    *r = (struct emp_trace_csv){.name = name, .in = in, .next_line = 1, .err = err};
    r->buf = malloc(EMP_CSV_LINE_MAX + 1);
    return r->buf ? 0 : emp_fail(err, EMP_E_INTERNAL, NULL, "no memory to read %s", name);
}

void emp_trace_csv_release(struct emp_trace_csv *r)
{
    free(r->buf);
    r->buf = NULL;
}

static int __attribute__((format(printf, 3, 4)))
fail(struct emp_trace_csv *r, int code, const char *fmt, ...)
{
    char text[EMP_ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return emp_fail(r->err, code, NULL, "%s:%llu: %s", r->name, (unsigned long long)r->line, text);
}

/* Where a record's reading stands. */
struct record {
    size_t len;
    bool quoted, was_quoted, any; /* inside quotes; this field had some; a byte has come */
};

static int field_end(struct emp_trace_csv *r, struct record *rec, char *start)
{
    if (r->field_count == EMP_CSV_COLUMNS_MAX)
        return fail(r, EMP_E_LIMIT, "more than %d columns", EMP_CSV_COLUMNS_MAX);
    r->fields[r->field_count++] = (struct emp_str){start, (uint32_t)(r->buf + rec->len - start)};
    r->buf[rec->len++] = '\0';
    rec->was_quoted = false;
    return 0;
}

/* One byte of a quoted field; a quote ends it unless another follows. */
static void quoted_byte(struct emp_trace_csv *r, struct record *rec, int c)
{
    if (c == '"') {
        int next = getc_unlocked(r->in);
        if (next != '"') {
            if (next != EOF)
                ungetc(next, r->in);
            rec->quoted = false;
            return;
        }
    }
    if (c == '\n')
        r->next_line++;
    r->buf[rec->len++] = (char)c;
}

static int open_quote(struct emp_trace_csv *r, struct record *rec, const char *start)
{
    if (r->buf + rec->len != start || rec->was_quoted)
        return fail(r, EMP_E_MALFORMED, "a quote inside a field; quote the whole field");
    rec->quoted = rec->was_quoted = true;
    return 0;
}

static int plain_byte(struct emp_trace_csv *r, struct record *rec, int c, char **start)
{
    int e = 0;
    if (c == ',') {
        e = field_end(r, rec, *start);
        *start = r->buf + rec->len;
    } else if (c == '"') {
        e = open_quote(r, rec, *start);
    } else if (rec->was_quoted) {
        e = fail(r, EMP_E_MALFORMED, "text after a closing quote");
    } else if (c == '\0') {
        e = fail(r, EMP_E_MALFORMED, "a NUL byte");
    } else {
        r->buf[rec->len++] = (char)c;
    }
    return e;
}

/* The byte that ends a line, CR LF as one; else the byte. */
static int next_byte(struct emp_trace_csv *r, bool quoted)
{
    int c = getc_unlocked(r->in);
    if (c != '\r' || quoted)
        return c;
    int next = getc_unlocked(r->in);
    if (next == '\n' || next == EOF)
        return next;
    ungetc(next, r->in);
    return c;
}

int emp_trace_csv_next(struct emp_trace_csv *r)
{
    struct record rec = {0};
    char *start = r->buf;
    int e = 0, c;
    r->line = r->next_line;
    r->field_count = 0;
    while ((c = next_byte(r, rec.quoted)) != EOF && (c != '\n' || rec.quoted)) {
        rec.any = true;
        if (rec.len + 2 > EMP_CSV_LINE_MAX)
            return fail(r, EMP_E_LIMIT, "longer than %d bytes", EMP_CSV_LINE_MAX);
        if (rec.quoted)
            quoted_byte(r, &rec, c);
        else if ((e = plain_byte(r, &rec, c, &start)) < 0)
            return e;
    }
    if (ferror(r->in))
        return fail(r, EMP_E_IO, "reading failed: %s", strerror(errno));
    if (rec.quoted)
        return fail(r, EMP_E_MALFORMED, "the file ends inside quotes");
    if (c == EOF && !rec.any)
        return 0;
    r->next_line++;
    e = field_end(r, &rec, start);
    return e < 0 ? e : 1;
}

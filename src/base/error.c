/* The table of error.def as arrays; a code is its row counted from EMP_E_FIRST_UNUSED. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct row {
    const char *name, *text;
    short http;
    unsigned char exit;
    bool retryable;
} rows[] = {
#define EMP_ERROR(name, code, http, exit, retry, text) {code, text, http, exit, retry},
#include "base/error.def"
#undef EMP_ERROR
};

enum { ROW_COUNT = sizeof rows / sizeof *rows };
_Static_assert(EMP_E_FIRST_UNUSED + 1 + ROW_COUNT == EMP_E_END, "codes and rows run in step");
_Static_assert(EMP_E_END <= 0, "every code is negative");

static const struct row *row_of(int code)
{
    if (code <= EMP_E_FIRST_UNUSED || code >= EMP_E_END)
        code = EMP_E_INTERNAL;
    return &rows[code - EMP_E_FIRST_UNUSED - 1];
}

const char *emp_error_name(int code)
{
    return row_of(code)->name;
}

const char *emp_error_text(int code)
{
    return row_of(code)->text;
}

int emp_error_http(int code)
{
    return row_of(code)->http;
}

int emp_error_exit(int code)
{
    return row_of(code)->exit;
}

bool emp_error_retryable(int code)
{
    return row_of(code)->retryable;
}

int emp_error_from_name(const char *name)
{
    for (int i = 0; i < ROW_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return EMP_E_FIRST_UNUSED + 1 + i;
    return EMP_E_INTERNAL;
}

/* Drops a UTF-8 sequence that the end of the array cut in two; `text` fills its array up to the
 * NUL. */
static void trim_cut_sequence(char *text, size_t len)
{
    size_t start = len;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t needs = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (len - (start - 1) < needs)
        text[start - 1] = 0;
}

int emp_fail(struct emp_error *err, int code, const char *field, const char *fmt, ...)
{
    if (!err)
        return code;
    err->code = code;
    int n = snprintf(err->field, sizeof err->field, "%s", field ? field : "");
    if (n >= (int)sizeof err->field)
        trim_cut_sequence(err->field, sizeof err->field - 1);
    va_list ap;
    va_start(ap, fmt);
    n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n < 0)
        snprintf(err->text, sizeof err->text, "%s", emp_error_text(code));
    else if (n >= (int)sizeof err->text)
        trim_cut_sequence(err->text, sizeof err->text - 1);
    return code;
}

/* The error table as code, and the making of error texts. */
#include "base/error.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name, *text;
    int http, exit;
    bool retry;
} table[] = {
#define EMP_ERROR(sym, name, http, exit, retry, text) {name, text, http, exit, retry},
#include "base/error.def"
#undef EMP_ERROR
};
enum { TABLE_COUNT = sizeof table / sizeof table[0] };

static int row_of(int code)
{
    int row = code - (EMP_E_FIRST_UNUSED + 1);
    return row >= 0 && row < TABLE_COUNT ? row : EMP_E_INTERNAL - (EMP_E_FIRST_UNUSED + 1);
}

static void cut_at_character(char *text, size_t len)
{
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80) /* text[len] is the first byte cut off */
        len--;
    text[len] = '\0';
}

int emp_fail(struct emp_error *err, int code, const char *field, const char *fmt, ...)
{
    if (err == NULL)
        return code;
    char text[EMP_ERROR_TEXT_MAX + 8];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        text[0] = '\0';
    if (n >= EMP_ERROR_TEXT_MAX)
        cut_at_character(text, EMP_ERROR_TEXT_MAX - 1);
    err->code = code;
    memcpy(err->text, text, strlen(text) + 1);
    snprintf(err->field, sizeof err->field, "%s", field ? field : "");
    return code;
}

const char *emp_error_name(int code)
{
    return table[row_of(code)].name;
}
const char *emp_error_text(int code)
{
    return table[row_of(code)].text;
}
int emp_error_http(int code)
{
    return table[row_of(code)].http;
}
int emp_error_exit(int code)
{
    return table[row_of(code)].exit;
}
bool emp_error_retryable(int code)
{
    return table[row_of(code)].retry;
}

int emp_error_from_name(const char *name)
{
    for (int i = 0; i < TABLE_COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return EMP_E_FIRST_UNUSED + 1 + i;
    return EMP_E_INTERNAL;
}

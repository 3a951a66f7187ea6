/* Errors: one table (error.def) that the API, the CLI, the messages and the manual share.
 *
 * Convention of the whole code base: functions that can fail return int; 0 or positive is success,
 * negative is an EMP_E_*. Functions that know more than the code fill a `struct emp_error`, whose
 * text names what was wrong with which value and what to do. Pure, thread-safe, never blocks. */
#ifndef EMP_BASE_ERROR_H
#define EMP_BASE_ERROR_H

#include <stdbool.h>

enum emp_error_code {
    EMP_E_FIRST_UNUSED = -1000,
#define EMP_ERROR(name, code, http, exit, retry, text) EMP_E_##name,
#include "base/error.def"
#undef EMP_ERROR
    EMP_E_END /* one past the last; not an error */
};

enum { EMP_ERROR_TEXT_MAX = 512, EMP_ERROR_FIELD_MAX = 128 };

/* An error with its story. `code` 0 means none. `field` names the input at fault
 * ("requirements.hardware.ram_gb"), or is empty. Caller's storage, plain data, may be copied. */
struct emp_error {
    int code;
    char field[EMP_ERROR_FIELD_MAX];
    char text[EMP_ERROR_TEXT_MAX];
};

/* Fills `err` (may be NULL) and returns `code`, so that `return emp_fail(err, EMP_E_INVALID,
 * "priority", "…", …)` reads well. The text is cut at EMP_ERROR_TEXT_MAX - 1 bytes, never inside a
 * UTF-8 sequence. `field` may be NULL. */
int emp_fail(struct emp_error *err, int code, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

const char *emp_error_name(
    int code); /* stable word, "not_found"; "internal" for a number not in the table */
const char *emp_error_text(int code); /* general sentence */
int emp_error_http(int code);         /* HTTP status */
int emp_error_exit(int code);         /* process exit status, sysexits-like */
bool emp_error_retryable(int code);   /* may the same thing succeed later or elsewhere? */
int emp_error_from_name(
    const char *name); /* the EMP_E_* of a stable word; EMP_E_INTERNAL when unknown */

#endif

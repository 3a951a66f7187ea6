/* Log: one line per event on stderr, "2026-11-24T04:15:45.123Z info  broker: job accepted job=17",
 * or one JSON object per line. What a line says is decided where the event is handled: a function
 * either logs or returns an error, never both.
 *
 * Any thread; a line is one write(2), so that lines of threads and processes do not mix. Longer
 * than EMP_LOG_LINE_MAX: cut. Control characters and invalid UTF-8 in the text are written as \xNN,
 * so that no input can forge a line. Blocks as long as stderr does. */
#ifndef EMP_OS_LOG_H
#define EMP_OS_LOG_H

#include "base/error.h"

#include <stdbool.h>

enum { EMP_LOG_LINE_MAX = 2048 };

/* In the order of enum emp_log_choice of the configuration. */
enum emp_log_level { EMP_LOG_ERROR, EMP_LOG_WARN, EMP_LOG_INFO, EMP_LOG_DEBUG };

/* Before: level INFO, text, descriptor 2. May be called again at any time (a reload). */
void emp_log_setup(enum emp_log_level level, bool json);

/* Other descriptor than stderr; borrowed. For tests and for the CLI. */
void emp_log_to_fd(int fd);

bool emp_log_on(enum emp_log_level level); /* would a line of this level be written? Cheap: ask
                                              before costly arguments */

/* `area` is the room or part ("broker", "ws", "fetch"). The text ends in key=value pairs where
 * there are values. Saves errno. */
void emp_log(enum emp_log_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A line "text: err's text field=… code=…". */
void emp_log_failure(enum emp_log_level level, const char *area, const char *text,
                     const struct emp_error *err);

/* Short forms for a file that logs under one area: `#define EMP_LOG_AREA "broker"` before the
 * include. */
#ifndef EMP_LOG_AREA
#define EMP_LOG_AREA "emp"
#endif
#define emp_log_error(...) emp_log(EMP_LOG_ERROR, EMP_LOG_AREA, __VA_ARGS__)
#define emp_log_warn(...)  emp_log(EMP_LOG_WARN, EMP_LOG_AREA, __VA_ARGS__)
#define emp_log_info(...)  emp_log(EMP_LOG_INFO, EMP_LOG_AREA, __VA_ARGS__)
#define emp_log_debug(...)                                     \
    do {                                                       \
        if (emp_log_on(EMP_LOG_DEBUG))                         \
            emp_log(EMP_LOG_DEBUG, EMP_LOG_AREA, __VA_ARGS__); \
    } while (0)

const char *emp_log_level_name(enum emp_log_level level); /* "error", "warn", "info", "debug" */
int emp_log_level_parse(const char *name, enum emp_log_level *ret); /* 0 or EMP_E_INVALID */

#endif

/* One buffer on the stack, one write(2): lines of threads and processes do not mix. The text comes
 * from everywhere, so what could forge a line or upset a terminal is escaped while it is copied. */
#include "os/log.h"
#include "base/str.h"
#include "os/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"error", "warn", "info", "debug"};
enum { LEVELS = sizeof names / sizeof *names, TAIL = 4 /* closing quote, brace, newline */ };

static atomic_int log_level = EMP_LOG_INFO;
static atomic_bool log_json;
static atomic_int log_fd = STDERR_FILENO;

void emp_log_setup(enum emp_log_level level, bool json)
{
    atomic_store(&log_level, (int)level);
    atomic_store(&log_json, json);
}

void emp_log_to_fd(int fd)
{
    atomic_store(&log_fd, fd);
}

bool emp_log_on(enum emp_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

const char *emp_log_level_name(enum emp_log_level level)
{
    return (unsigned)level < LEVELS ? names[level] : "?";
}

int emp_log_level_parse(const char *name, enum emp_log_level *ret)
{
    for (int i = 0; i < LEVELS; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum emp_log_level)i;
            return 0;
        }
    return EMP_E_INVALID;
}

/* How many bytes of valid, printable UTF-8 stand at p; 0: the first byte must be escaped. */
static size_t emp_log_plain(const char *p, size_t left)
{
    unsigned char c = (unsigned char)*p;
    if (c < 0x80)
        return c >= 0x20 && c != 0x7f;
    for (size_t n = 2; n <= 4 && n <= left; n++)
        if (emp_utf8_valid(p, n))
            return c == 0xc2 && (unsigned char)p[1] < 0xa0 ? 0 : n; // C1 controls
    return 0;
}

/* Appends `text` to out[*at … max), whole characters only. */
static void emp_log_escape(char *out, size_t *at, size_t max, const char *text, bool json)
{
    for (size_t left = strlen(text); left > 0;) {
        char esc[8];
        size_t n = emp_log_plain(text, left), len = n;
        const char *from = text;
        if (n == 1 && json && (*text == '"' || *text == '\\'))
            len = (size_t)snprintf(esc, sizeof esc, "\\%c", *text), from = esc;
        else if (n == 0)
            len = (size_t)snprintf(esc, sizeof esc, json ? "\\u00%02x" : "\\x%02x",
                                   (unsigned char)*text),
            from = esc;
        if (*at + len > max)
            return;
        memcpy(out + *at, from, len);
        *at += len;
        text += n ? n : 1;
        left -= n ? n : 1;
    }
}

static size_t emp_log_line(char line[EMP_LOG_LINE_MAX], enum emp_log_level level, const char *area,
                           const char *text)
{
    bool json = atomic_load(&log_json);
    char iso[EMP_ISO_MAX];
    emp_iso_format(emp_wall_now(), iso);
    size_t max = EMP_LOG_LINE_MAX - TAIL;
    size_t at = (size_t)snprintf(
        line, max, json ? "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"" : "%s %-5s ", iso,
        names[level]);
    emp_log_escape(line, &at, max / 2, area, json);
    const char *between = json ? "\",\"text\":\"" : ": ";
    memcpy(line + at, between, strlen(between));
    at += strlen(between);
    emp_log_escape(line, &at, max, text, json);
    const char *end = json ? "\"}\n" : "\n";
    memcpy(line + at, end, strlen(end));
    return at + strlen(end);
}

void emp_log(enum emp_log_level level, const char *area, const char *fmt, ...)
{
    if ((unsigned)level >= LEVELS || !emp_log_on(level))
        return;
    int saved = errno;
    char text[EMP_LOG_LINE_MAX], line[EMP_LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n >= 0) {
        size_t len = emp_log_line(line, level, area, text);
        ssize_t w;
        do
            w = write(atomic_load(&log_fd), line, len);
        while (w < 0 && errno == EINTR); // other failures: nowhere is left to say so
    }
    errno = saved;
}

void emp_log_failure(enum emp_log_level level, const char *area, const char *text,
                     const struct emp_error *err)
{
    emp_log(level, area, "%s: %s%s%s code=%s", text, err->text, err->field[0] ? " field=" : "",
            err->field, emp_error_name(err->code));
}

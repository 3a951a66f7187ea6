/* Commas are the writer's business, so that callers only say what stands where. Strings are copied
 * in runs of bytes that need no escape. A double is written with as few digits as read back to the
 * same value: 15 suffice nearly always, 17 do always. */
#include "proto/writer.h"

#include "proto/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define PUT(w, lit) emp_buf_add((w)->buf, lit, sizeof(lit) - 1)

void emp_writer_init(struct emp_writer *w, struct emp_buf *buf)
{
    *w = (struct emp_writer){.buf = buf};
}

/* What stands before every value: a comma, and the name. */
static void lead(struct emp_writer *w, const char *name)
{
    if (w->keyed) {
        w->keyed = false;
        return;
    }
    if (w->comma)
        PUT(w, ",");
    w->comma = true;
    if (name) {
        PUT(w, "\"");
        emp_buf_addz(w->buf, name);
        PUT(w, "\":");
    }
}

static void begin(struct emp_writer *w, const char *name, bool array)
{
    assert(w->depth < 64);
    lead(w, name);
    w->arrays = w->arrays << 1 | array;
    w->depth++;
    w->comma = false;
    if (array)
        PUT(w, "[");
    else
        PUT(w, "{");
}

void emp_write_object(struct emp_writer *w, const char *name)
{
    begin(w, name, false);
}

void emp_write_array(struct emp_writer *w, const char *name)
{
    begin(w, name, true);
}

void emp_write_end(struct emp_writer *w)
{
    assert(w->depth > 0);
    if (w->arrays & 1)
        PUT(w, "]");
    else
        PUT(w, "}");
    w->arrays >>= 1;
    w->depth--;
    w->comma = true;
}

/* ---- strings ---- */

static void escaped(struct emp_writer *w, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    static const char hex[] = "0123456789abcdef";
    const char *known = c ? strchr(from, c) : NULL;
    char out[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    if (known)
        out[1] = to[known - from];
    emp_buf_add(w->buf, out, known ? 2 : 6);
}

static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The string in quotes, up to `max` bytes of what it says. */
static void quoted(struct emp_writer *w, struct emp_str s, uint32_t max)
{
    const char *p = s.ptr, *end = s.len ? s.ptr + s.len : s.ptr;
    PUT(w, "\"");
    while (p < end) {
        const char *run = p;
        while (p < end && plain((unsigned char)*p) && (uint32_t)(p - run) < max)
            p++;
        emp_buf_add(w->buf, run, (size_t)(p - run));
        max -= (uint32_t)(p - run);
        if (p == end || max == 0)
            break;
        unsigned n = *p ? emp_utf8_bytes(p, end) : 0,
                 said = n ? n : 3; // our own reader takes no NUL
        if (said > max)
            break;
        if (n > 1)
            emp_buf_add(w->buf, p, n);
        else if (n == 1)
            escaped(w, (unsigned char)*p);
        else
            PUT(w, "\xef\xbf\xbd");
        p += n ? n : 1;
        max -= said;
    }
    PUT(w, "\"");
}

void emp_write_key(struct emp_writer *w, struct emp_str key)
{
    lead(w, NULL);
    quoted(w, key, UINT32_MAX);
    PUT(w, ":");
    w->keyed = true;
}

void emp_write_str(struct emp_writer *w, const char *name, struct emp_str s)
{
    lead(w, name);
    quoted(w, s, UINT32_MAX);
}

void emp_write_str_cut(struct emp_writer *w, const char *name, struct emp_str s, uint32_t max)
{
    lead(w, name);
    quoted(w, s, max);
}

void emp_write_str_opt(struct emp_writer *w, const char *name, struct emp_str s)
{
    if (s.len > 0)
        emp_write_str(w, name, s);
}

void emp_write_z(struct emp_writer *w, const char *name, const char *z)
{
    if (z)
        emp_write_str(w, name, emp_str_z(z));
    else
        emp_write_null(w, name);
}

void emp_write_strs(struct emp_writer *w, const char *name, const struct emp_str *v, uint32_t count)
{
    emp_write_array(w, name);
    for (uint32_t i = 0; i < count; i++)
        emp_write_str(w, NULL, v[i]);
    emp_write_end(w);
}

/* ---- numbers ---- */

enum { NUMBER_MAX = 40 };

/* Digits of v from the right into out[NUMBER_MAX]; where they start. */
static char *decimal(uint64_t v, char *end)
{
    do
        *--end = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    return end;
}

static void signed_digits(struct emp_writer *w, bool minus, uint64_t v)
{
    char text[NUMBER_MAX], *end = text + sizeof text, *p = decimal(v, end);
    if (minus)
        *--p = '-';
    emp_buf_add(w->buf, p, (size_t)(end - p));
}

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? ~(uint64_t)v + 1 : (uint64_t)v;
}

void emp_write_i64(struct emp_writer *w, const char *name, int64_t v)
{
    lead(w, name);
    signed_digits(w, v < 0, magnitude(v));
}

void emp_write_u64(struct emp_writer *w, const char *name, uint64_t v)
{
    lead(w, name);
    signed_digits(w, false, v);
}

void emp_write_double(struct emp_writer *w, const char *name, double v)
{
    char text[NUMBER_MAX];
    int n = 0;
    if (!isfinite(v)) {
        emp_write_null(w, name);
        return;
    }
    if (v > -1e15 && v < 1e15 && v == trunc(v)) {
        emp_write_i64(w, name, (int64_t)v);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (!(back < v) && !(back > v))
            break;
    }
    lead(w, name);
    emp_buf_add(w->buf, text, (size_t)n);
}

/* v / 10^places without rounding and without zeros at the end. */
static void fixed(struct emp_writer *w, const char *name, int64_t v, int places)
{
    char text[NUMBER_MAX], *end = text + sizeof text, *p = end;
    uint64_t rest = magnitude(v);
    bool shown = false;
    for (; places > 0; places--, rest /= 10) {
        shown |= rest % 10 > 0;
        if (shown)
            *--p = (char)('0' + rest % 10);
    }
    if (shown)
        *--p = '.';
    p = decimal(rest, p);
    if (v < 0)
        *--p = '-';
    lead(w, name);
    emp_buf_add(w->buf, p, (size_t)(end - p));
}

void emp_write_ms(struct emp_writer *w, const char *name, int64_t ms)
{
    fixed(w, name, ms, 3);
}

void emp_write_us(struct emp_writer *w, const char *name, int64_t us)
{
    fixed(w, name, us, 6);
}

/* ---- the rest ---- */

void emp_write_bool(struct emp_writer *w, const char *name, bool v)
{
    lead(w, name);
    if (v)
        PUT(w, "true");
    else
        PUT(w, "false");
}

void emp_write_null(struct emp_writer *w, const char *name)
{
    lead(w, name);
    PUT(w, "null");
}

void emp_write_raw(struct emp_writer *w, const char *name, struct emp_str json)
{
    if (json.len == 0) {
        emp_write_null(w, name);
        return;
    }
    lead(w, name);
    emp_buf_add(w->buf, json.ptr, json.len);
}

void emp_write_time(struct emp_writer *w, const char *name, emp_wall_ms t)
{
    char iso[EMP_ISO_MAX];
    emp_iso_format(t, iso);
    emp_write_z(w, name, iso);
}

void emp_write_time_opt(struct emp_writer *w, const char *name, emp_wall_ms t)
{
    if (t != 0)
        emp_write_time(w, name, t);
}

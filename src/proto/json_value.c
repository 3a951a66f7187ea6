/* What values of the tree say: names, numbers, excerpts for people. */
#include "proto/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_TEXT = 1024, EXCERPT_MAX = 60 };

const char *emp_json_type_word(enum emp_json_type t)
{
    static const char *const words[] = {
        [EMP_JSON_NULL] = "null",       [EMP_JSON_BOOL] = "true or false",
        [EMP_JSON_NUMBER] = "a number", [EMP_JSON_STRING] = "a string",
        [EMP_JSON_ARRAY] = "an array",  [EMP_JSON_OBJECT] = "an object",
    };
    return (unsigned)t < sizeof words / sizeof *words ? words[t] : "?";
}

struct emp_json *emp_json_find(const struct emp_json *object, const char *name)
{
    if (object == NULL || object->type != EMP_JSON_OBJECT)
        return NULL;
    struct emp_str wanted = emp_str_z(name);
    struct emp_json *m = object->first;
    while (m && !emp_str_eq(m->key, wanted))
        m = m->next;
    return m;
}

bool emp_json_true(const struct emp_json *v)
{
    return v->type == EMP_JSON_BOOL && v->count == 1;
}

/* A whole number of up to 15 digits, perhaps with a point, without an exponent: exact as digits /
 * power of ten, both being exact doubles (Clinger 1990). Most numbers are such. */
static bool short_decimal(struct emp_str s, double *ret)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    uint64_t mantissa = 0;
    uint32_t i = s.len > 0 && s.ptr[0] == '-', behind = 0;
    bool point = false;
    if (s.len > 17)
        return false;
    for (uint32_t seen = 0; i < s.len; i++) {
        if (s.ptr[i] == '.') {
            point = true;
            continue;
        }
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || ++seen > 15)
            return false;
        mantissa = mantissa * 10 + (uint64_t)(s.ptr[i] - '0');
        behind += point;
    }
    *ret = (double)mantissa / powers[behind];
    if (s.ptr[0] == '-')
        *ret = -*ret;
    return true;
}

double emp_json_number(const struct emp_json *v)
{
    char text[NUMBER_TEXT]; // the number may be the last of a text without NUL
    double d;
    if (short_decimal(v->raw, &d))
        return d;
    uint32_t n = v->raw.len < sizeof text ? v->raw.len : (uint32_t)sizeof text - 1;
    memcpy(text, v->raw.ptr, n);
    text[n] = '\0';
    return strtod(text, NULL);
}

bool emp_json_integer(const struct emp_json *v, int64_t *ret)
{
    struct emp_str s = v->raw;
    bool minus = s.ptr[0] == '-';
    int64_t n = 0;
    for (uint32_t i = minus; i < s.len; i++) {
        int digit = s.ptr[i] - '0';
        if (digit < 0 || digit > 9) { // a point or an exponent: 5.0, 5e3
            double d = emp_json_number(v);
            if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0) || d != trunc(d))
                return false;
            *ret = (int64_t)d;
            return true;
        }
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, minus ? -digit : digit, &n))
            return false;
    }
    *ret = n;
    return true;
}

const char *emp_json_excerpt(struct emp_arena *a, const struct emp_json *v)
{
    uint32_t n = v->raw.len;
    if (v->type == EMP_JSON_OBJECT || v->type == EMP_JSON_ARRAY)
        return v->count == 0 ? (v->type == EMP_JSON_OBJECT ? "{}" : "[]")
                             : emp_json_type_word(v->type);
    if (n <= EXCERPT_MAX)
        return emp_arena_printf(a, "%.*s", (int)n, v->raw.ptr);
    for (n = EXCERPT_MAX; n > 0 && ((unsigned char)v->raw.ptr[n] & 0xc0) == 0x80;)
        n--;
    return emp_arena_printf(a, "%.*s…", (int)n, v->raw.ptr);
}

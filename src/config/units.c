/* Units are two small tables. A value is read as integer digits and up to nine decimals and scaled
 * in integers, so that "1.1gb" is 1100000000 and not one off: no floating point takes part. */
#include "config/units.h"

#include "base/error.h"

#include <stdio.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t scale;
};

/* Largest first: formatting takes the first that fits. */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit byte_units[] = {
    {"tb", 1000000000000},
    {"tib", 1099511627776},
    {"gb", 1000000000},
    {"gib", 1073741824},
    {"mb", 1000000},
    {"mib", 1048576},
    {"kb", 1000},
    {"kib", 1024},
    {"b", 1},
    {NULL, 0},
};

enum { DECIMALS_MAX = 9, DECIMALS_SHOWN = 3 };
static const int64_t pow10_of[DECIMALS_MAX + 1] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
};

/* A decimal number: whole + fraction / 10^decimals. */
struct decimal {
    int64_t whole, fraction;
    int decimals;
};

/* Where the digits from `at` on end; `at` itself when there are none, or too many. */
static uint32_t digits_parse(struct emp_str s, uint32_t at, uint32_t digits_max, int64_t *ret)
{
    uint32_t i = at;
    *ret = 0;
    for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
        if (i - at >= digits_max || __builtin_mul_overflow(*ret, 10, ret) ||
            __builtin_add_overflow(*ret, s.ptr[i] - '0', ret))
            return at;
    return i;
}

/* Bytes of `s` that were the number, or 0 when it does not start with one. */
static uint32_t decimal_parse(struct emp_str s, struct decimal *ret)
{
    uint32_t whole_end = digits_parse(s, 0, 19, &ret->whole), end = whole_end;
    ret->fraction = 0;
    ret->decimals = 0;
    if (whole_end == 0)
        return 0;
    if (whole_end < s.len && s.ptr[whole_end] == '.') {
        end = digits_parse(s, whole_end + 1, DECIMALS_MAX, &ret->fraction);
        if (end == whole_end + 1)
            return 0;
        ret->decimals = (int)(end - whole_end - 1);
    }
    return end;
}

static int decimal_scale(const struct decimal *d, int64_t scale, int64_t *ret)
{
    int64_t whole, part, part_scale = scale;
    int decimals = d->decimals;
    for (; decimals > 0 && part_scale % 10 == 0; decimals--) /* keeps the product small */
        part_scale /= 10;
    if (__builtin_mul_overflow(d->whole, scale, &whole) ||
        __builtin_mul_overflow(d->fraction, part_scale, &part))
        return EMP_E_LIMIT;
    if (part % pow10_of[decimals] != 0)
        return EMP_E_LIMIT;
    if (__builtin_add_overflow(whole, part / pow10_of[decimals], &whole))
        return EMP_E_LIMIT;
    *ret = whole;
    return 0;
}

static const struct unit *unit_find(const struct unit *units, struct emp_str name)
{
    for (; units->name; units++)
        if (strlen(units->name) == name.len && strncasecmp(units->name, name.ptr, name.len) == 0)
            return units;
    return NULL;
}

/* `bare`: the scale of a number without unit, 0 where that is refused (but for zero itself). */
static int quantity_parse(const struct unit *units, struct emp_str text, int64_t bare, int64_t *ret)
{
    struct decimal d;
    uint32_t end = decimal_parse(text, &d);
    if (end == 0)
        return EMP_E_INVALID;
    if (end < text.len && text.ptr[end] == ' ')
        end++;
    struct emp_str rest = {text.ptr + end, text.len - end};
    if (rest.len == 0) {
        if (bare == 0 && (d.whole != 0 || d.fraction != 0))
            return EMP_E_INVALID;
        return decimal_scale(&d, bare ? bare : 1, ret);
    }
    const struct unit *unit = unit_find(units, rest);
    return unit ? decimal_scale(&d, unit->scale, ret) : EMP_E_INVALID;
}

int emp_duration_parse(struct emp_str text, int64_t *ret_ms)
{
    return quantity_parse(duration_units, text, 0, ret_ms);
}

int emp_bytes_parse(struct emp_str text, int64_t *ret_bytes)
{
    return quantity_parse(byte_units, text, 1, ret_bytes);
}

int emp_rate_parse(struct emp_str text, int64_t *ret_bytes_per_s)
{
    if (text.len > 2 && strncasecmp(text.ptr + text.len - 2, "/s", 2) == 0)
        text.len -= 2;
    return emp_bytes_parse(text, ret_bytes_per_s);
}

/* `decimals_max` 0 asks for whole multiples of a unit. */
static void quantity_format(const struct unit *units, int64_t v, int decimals_max, const char *zero,
                            const char *suffix, char out[EMP_UNIT_TEXT_MAX])
{
    if (v <= 0) {
        snprintf(out, EMP_UNIT_TEXT_MAX, "%s", zero);
        return;
    }
    for (; units->name; units++) {
        if (v < units->scale)
            continue;
        int64_t whole = v / units->scale, rest = v % units->scale;
        for (int n = 0; n <= decimals_max; n++) { /* rest * 1000 < 2^51 for the largest unit */
            if (rest * pow10_of[n] % units->scale != 0)
                continue;
            if (n == 0)
                snprintf(out, EMP_UNIT_TEXT_MAX, "%lld%s%s", (long long)whole, units->name, suffix);
            else
                snprintf(out, EMP_UNIT_TEXT_MAX, "%lld.%0*lld%s%s", (long long)whole, n,
                         (long long)(rest * pow10_of[n] / units->scale), units->name, suffix);
            return;
        }
    }
}

void emp_duration_format(int64_t ms, char out[EMP_UNIT_TEXT_MAX])
{
    quantity_format(duration_units, ms, 0, "0s", "", out);
}

void emp_bytes_format(int64_t bytes, char out[EMP_UNIT_TEXT_MAX])
{
    quantity_format(byte_units, bytes, DECIMALS_SHOWN, "0", "", out);
}

void emp_rate_format(int64_t bytes_per_s, char out[EMP_UNIT_TEXT_MAX])
{
    quantity_format(byte_units, bytes_per_s, DECIMALS_SHOWN, "0", "/s", out);
}

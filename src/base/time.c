/* Wall time as text, by the proleptic Gregorian calendar (days algorithm after Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms"). */
#include "base/time.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void civil_from_days(int64_t z, int *y, unsigned *m, unsigned *d)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = mp < 10 ? mp + 3 : mp - 9;
    *y = (int)((int64_t)yoe + era * 400 + (*m <= 2));
}

void emp_iso_format(emp_wall_ms t, char out[EMP_ISO_MAX])
{
    const emp_wall_ms last = 253402300799999; /* end of 9999 */
    t = t < 0 ? 0 : t > last ? last : t;
    int y;
    unsigned m, d, ms = (unsigned)(t % 1000), s = (unsigned)(t / 1000 % 86400);
    civil_from_days(t / 86400000, &y, &m, &d);
    snprintf(out, EMP_ISO_MAX, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", y % 10000, m, d, s / 3600, s / 60 % 60, s % 60, ms);
}

/* n digits at *p, advancing; -1 if there are not. */
static int digits(const char **p, const char *end, int n)
{
    int v = 0;
    for (; n > 0; n--, ++*p) {
        if (*p == end || **p < '0' || **p > '9')
            return -1;
        v = v * 10 + (**p - '0');
    }
    return v;
}

static int literal(const char **p, const char *end, const char *any)
{
    return *p != end && strchr(any, **p) && **p ? *(*p)++ : -1;
}

static int fraction_ms(const char **p, const char *end)
{
    int ms = 0, scale = 100;
    const char *start = *p;
    for (; *p != end && **p >= '0' && **p <= '9'; ++*p, scale /= 10)
        ms += (**p - '0') * scale;
    return *p == start ? -1 : ms;
}

/* Offset from UTC in minutes, or INT32_MAX. */
static int zone(const char **p, const char *end)
{
    int sign = literal(p, end, "Zz+-");
    if (sign == 'Z' || sign == 'z')
        return 0;
    int h = sign < 0 ? -1 : digits(p, end, 2);
    int m = h < 0 || literal(p, end, ":") < 0 ? -1 : digits(p, end, 2);
    if (m < 0 || m > 59 || h > 23)
        return INT32_MAX;
    return (h * 60 + m) * (sign == '-' ? -1 : 1);
}

static int days_in_month(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[m - 1] + (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0));
}

int emp_iso_parse(const char *s, size_t len, emp_wall_ms *ret)
{
    const char *p = s, *end = s + len;
    static const char *const before[6] = {"", "-", "-", "Tt ", ":", ":"};
    static const int width[6] = {4, 2, 2, 2, 2, 2};
    int v[6];
    for (int i = 0; i < 6; i++) {
        if (i && literal(&p, end, before[i]) < 0)
            return EMP_E_INVALID;
        if ((v[i] = digits(&p, end, width[i])) < 0)
            return EMP_E_INVALID;
    }
    int ms = 0;
    if (p != end && *p == '.') {
        p++;
        ms = fraction_ms(&p, end);
    }
    int offset = zone(&p, end);
    if (ms < 0 || offset == INT32_MAX || p != end || v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 ||
        v[2] > days_in_month(v[0], v[1]) || v[3] > 23 || v[4] > 59 || v[5] > 59)
        return EMP_E_INVALID;
    int64_t seconds = days_from_civil(v[0], (unsigned)v[1], (unsigned)v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5];
    *ret = (seconds - offset * 60) * 1000 + ms;
    return 0;
}

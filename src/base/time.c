/* ISO 8601 / RFC 3339 to and from milliseconds, without libc's calendar (locale, time zone, locks).
 * Days and dates by the method of Howard Hinnant, "chrono-compatible low-level date algorithms":
 * years run from March, eras of 400 years have 146,097 days. */
#include "base/time.h"

#include "base/error.h"

#include <stdbool.h>
#include <string.h>

#define MS_PER_DAY INT64_C(86400000)
#define ISO_LAST   INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

struct civil {
    int year, month, day;
};

/* Days since 1970-01-01 of a date in the years 0 to 9999. */
static int64_t days_from_civil(struct civil c)
{
    int y = c.month <= 2 ? c.year - 1 : c.year;
    int era = (y >= 0 ? y : y - 399) / 400;
    int year_of_era = y - era * 400;
    int day_of_year = (153 * (c.month > 2 ? c.month - 3 : c.month + 9) + 2) / 5 + c.day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

static struct civil civil_from_days(int64_t days /* from 1970 on */)
{
    int64_t z = days + 719468;
    int era = (int)(z / 146097);
    int day_of_era = (int)(z % 146097);
    int year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) /
                      365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int mp = (5 * day_of_year + 2) / 153;
    int month = mp < 10 ? mp + 3 : mp - 9;
    return (struct civil){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * mp + 2) / 5 + 1,
    };
}

static int days_in_month(int year, int month)
{
    static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static void put_digits(char *out, int digits, int value)
{
    while (digits-- > 0) {
        out[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

void emp_iso_format(emp_wall_ms t, char out[EMP_ISO_MAX])
{
    t = t < 0 ? 0 : t > ISO_LAST ? ISO_LAST : t;
    struct civil date = civil_from_days(t / MS_PER_DAY);
    int ms = (int)(t % MS_PER_DAY);
    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    put_digits(out, 4, date.year);
    put_digits(out + 5, 2, date.month);
    put_digits(out + 8, 2, date.day);
    put_digits(out + 11, 2, ms / 3600000);
    put_digits(out + 14, 2, ms / 60000 % 60);
    put_digits(out + 17, 2, ms / 1000 % 60);
    put_digits(out + 20, 3, ms % 1000);
}

/* What is left to read; every reader returns false at the first byte that does not fit. */
struct cursor {
    const char *p, *end;
};

static bool read_number(struct cursor *c, int digits, int low, int high, int *ret)
{
    int value = 0;
    if (c->end - c->p < digits)
        return false;
    for (int i = 0; i < digits; i++, c->p++) {
        if (*c->p < '0' || *c->p > '9')
            return false;
        value = value * 10 + (*c->p - '0');
    }
    *ret = value;
    return value >= low && value <= high;
}

static bool read_char(struct cursor *c, char upper)
{
    if (c->p == c->end || (*c->p != upper && !(upper >= 'A' && *c->p == upper + ('a' - 'A'))))
        return false;
    c->p++;
    return true;
}

/* Milliseconds of an optional fraction of any length; what is finer is dropped. */
static bool read_fraction(struct cursor *c, int *ret_ms)
{
    *ret_ms = 0;
    if (!read_char(c, '.'))
        return true;
    const char *start = c->p;
    for (int unit = 100; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++, unit /= 10)
        *ret_ms += (*c->p - '0') * unit;
    return c->p > start;
}

static bool read_offset(struct cursor *c, int *ret_minutes)
{
    *ret_minutes = 0;
    if (read_char(c, 'Z'))
        return true;
    int sign = read_char(c, '+') ? 1 : read_char(c, '-') ? -1 : 0;
    int hours, minutes;
    if (sign == 0 || !read_number(c, 2, 0, 23, &hours) || !read_char(c, ':') ||
        !read_number(c, 2, 0, 59, &minutes))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

static bool read_date(struct cursor *c, struct civil *ret)
{
    return read_number(c, 4, 0, 9999, &ret->year) && read_char(c, '-') &&
           read_number(c, 2, 1, 12, &ret->month) && read_char(c, '-') &&
           read_number(c, 2, 1, days_in_month(ret->year, ret->month), &ret->day);
}

int emp_iso_parse(const char *s, size_t len, emp_wall_ms *ret)
{
    struct cursor c = {s, s + len};
    struct civil date;
    int hour, minute, second, ms, offset;
    if (!read_date(&c, &date) || !read_char(&c, 'T') || !read_number(&c, 2, 0, 23, &hour) ||
        !read_char(&c, ':') || !read_number(&c, 2, 0, 59, &minute) || !read_char(&c, ':') ||
        !read_number(&c, 2, 0, 60, &second) || !read_fraction(&c, &ms) ||
        !read_offset(&c, &offset) || c.p != c.end)
        return EMP_E_INVALID;
    int64_t minutes = days_from_civil(date) * 1440 + hour * 60 + minute - offset;
    /* A leap second ends a UTC day, and stands for the first one of the next. */
    if (second == 60 && (minutes % 1440 + 1440) % 1440 != 1439)
        return EMP_E_INVALID;
    *ret = minutes * 60000 + second * 1000 + ms;
    return 0;
}

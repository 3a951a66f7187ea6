/* Every day from 1970 to 9999 against gmtime_r, and the parser against what RFC 3339 allows and
 * forbids. */
#include "base/time.h"

#include "seeded.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

static void every_day_matches_libc(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 2932897; day++) {
        char ours[EMP_ISO_MAX];
        emp_wall_ms t = day * 86400000 + day % 86400000;
        time_t seconds = (time_t)(t / 1000);
        struct tm tm;
        emp_wall_ms back = -1;
        gmtime_r(&seconds, &tm);
        emp_iso_format(t, ours);
        if (atoi(ours) != tm.tm_year + 1900 || atoi(ours + 5) != tm.tm_mon + 1 ||
            atoi(ours + 8) != tm.tm_mday || atoi(ours + 11) != tm.tm_hour ||
            atoi(ours + 14) != tm.tm_min || atoi(ours + 17) != tm.tm_sec)
            fail_msg("day %" PRId64 " became %s", day, ours);
        assert_int_equal(emp_iso_parse(ours, strlen(ours), &back), 0);
        assert_true(back == t);
    }
}

static void formats(void **state)
{
    (void)state;
    char s[EMP_ISO_MAX];
    emp_iso_format(1795493745123, s);
    assert_string_equal(s, "2026-11-24T04:15:45.123Z");
    emp_iso_format(-1, s);
    assert_string_equal(s, "1970-01-01T00:00:00.000Z");
    emp_iso_format(INT64_MAX, s);
    assert_string_equal(s, "9999-12-31T23:59:59.999Z");
}

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        emp_wall_ms is;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-24T04:15:45.123Z", 1795493745123},
        {"2026-11-24t04:15:45.1239999999999z", 1795493745123},
        {"2026-11-24T04:15:45.1Z", 1795493745100},
        {"2026-11-24T05:45:45.123+01:30", 1795493745123},
        {"2026-11-23T20:15:45.123-08:00", 1795493745123},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2000-02-29T00:00:00Z", 951782400000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"2016-12-31T15:59:60-08:00", 1483228800000},
        {"0000-03-01T00:00:00Z", -62162035200000},
        {"0000-01-01T00:00:00Z", -62167219200000},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        emp_wall_ms t = 77;
        if (emp_iso_parse(good[i].text, strlen(good[i].text), &t) != 0 || t != good[i].is)
            fail_msg("%s became %" PRId64, good[i].text, t);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026",
        "2026-11-24",
        "2026-11-24T04:15:45",
        "2026-11-24 04:15:45Z",
        "2026-11-24T04:15Z",
        "2026-13-24T04:15:45Z",
        "2026-00-24T04:15:45Z",
        "2026-02-29T04:15:45Z",
        "1900-02-29T04:15:45Z",
        "2026-11-31T04:15:45Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T04:60:45Z",
        "2026-11-24T04:15:61Z",
        "2026-11-24T04:15:60Z",
        "2026-11-24T04:15:45.Z",
        "2026-11-24T04:15:45+0100",
        "2026-11-24T04:15:45+24:00",
        "2026-11-24T04:15:45Zx",
        "+026-11-24T04:15:45Z",
        "2026-11-24T04:15:45,5Z",
        "20261124T041545Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        emp_wall_ms t = 77;
        assert_int_equal(emp_iso_parse(bad[i], strlen(bad[i]), &t), EMP_E_INVALID);
        assert_true(t == 77);
    }
}

/* Nothing beyond the length is read, and whatever is left out or changed is refused or still a
 * time. */
static void damaged(struct emp_random *r)
{
    const char whole[] = "2026-11-24T05:45:45.123+01:30";
    for (int n = 0; n < 2000; n++) {
        size_t len = emp_random_below(r, sizeof whole);
        char *copy =
            malloc(len + (len == 0)); /* exact, so that a sanitizer sees one byte too far */
        emp_wall_ms t = 77;
        memcpy(copy, whole, len);
        if (len && emp_random_below(r, 2))
            copy[emp_random_below(r, len)] = (char)emp_random_u64(r);
        if (emp_iso_parse(copy, len, &t) != 0)
            assert_true(t == 77);
        free(copy);
    }
}

static void survives_damage(void **state)
{
    (void)state;
    each_seed("time", damaged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_matches_libc),
        cmocka_unit_test(formats),
        cmocka_unit_test(parses),
        cmocka_unit_test(refuses),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests_name("base/time", tests, NULL, NULL);
}

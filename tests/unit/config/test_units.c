#include "config/units.h"

#include "base/error.h"
#include "base/random.h"
#include "check.h"

struct good {
    const char *text;
    int64_t value;
};

static void reads_durations(void **state)
{
    static const struct good cases[] = {
        {"0", 0},
        {"0s", 0},
        {"500ms", 500},
        {"10s", 10000},
        {"5m", 300000},
        {"24h", 86400000},
        {"7d", 604800000},
        {"1.5s", 1500},
        {"0.25m", 15000},
        {"10 s", 10000},
        {"10S", 10000},
        {"0.001s", 1},
        {"1.000000000h", 3600000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = -1;
        if (emp_duration_parse(emp_str_z(cases[i].text), &ms) < 0 || ms != cases[i].value)
            fail_msg("%s gave %lld", cases[i].text, (long long)ms);
    }
}

static void reads_sizes(void **state)
{
    static const struct good cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"4096b", 4096},
        {"64kb", 64000},
        {"512mb", 512000000},
        {"1.1gb", 1100000000},
        {"1.5tb", 1500000000000},
        {"1.123456789tb", 1123456789000},
        {"1kib", 1024},
        {"0.5kib", 512},
        {"2gib", 2147483648},
        {"20GB", 20000000000},
        {"20 GiB", 21474836480},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t bytes = -1;
        if (emp_bytes_parse(emp_str_z(cases[i].text), &bytes) < 0 || bytes != cases[i].value)
            fail_msg("%s gave %lld", cases[i].text, (long long)bytes);
    }
}

static void reads_rates(void **state)
{
    int64_t rate;
    (void)state;
    assert_int_equal(emp_rate_parse(EMP_STR("25mb/s"), &rate), 0);
    assert_int_equal(rate, 25000000);
    assert_int_equal(emp_rate_parse(EMP_STR("1gib"), &rate), 0);
    assert_int_equal(rate, 1073741824);
    assert_int_equal(emp_rate_parse(EMP_STR("/s"), &rate), EMP_E_INVALID);
}

static void refuses_what_is_no_quantity(void **state)
{
    static const char *const bad[] = {"",     " ",     "s",   "-5s",   "+5s",          "5",
                                      "5 ",   "5  s",  "5x",  "5.s",   ".5s",          "1e3s",
                                      "5sec", "0x10s", "5s ", " 5s",   "1,5s",         "5m5s",
                                      "inf",  "nan",   "５s", "5ms/s", "1.0000000001s"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 42;
        if (emp_duration_parse(emp_str_z(bad[i]), &ms) >= 0)
            fail_msg("accepted \"%s\"", bad[i]);
        assert_int_equal(ms, 42);
    }
}

static void refuses_what_does_not_fit(void **state)
{
    int64_t v = 42;
    (void)state;
    assert_int_equal(emp_duration_parse(EMP_STR("1.5ms"), &v), EMP_E_LIMIT);
    assert_int_equal(emp_bytes_parse(EMP_STR("0.3b"), &v), EMP_E_LIMIT);
    assert_int_equal(emp_bytes_parse(EMP_STR("99999999tb"), &v), EMP_E_LIMIT);
    assert_int_equal(emp_duration_parse(EMP_STR("999999999999999999d"), &v), EMP_E_LIMIT);
    assert_int_equal(v, 42);
}

static void writes_a_short_exact_form(void **state)
{
    static const struct good durations[] = {{"0s", 0},      {"1ms", 1},     {"1500ms", 1500},
                                            {"90s", 90000}, {"2m", 120000}, {"1d", 86400000}};
    static const struct good sizes[] = {{"0", 0},
                                        {"1b", 1},
                                        {"1.5tb", 1500000000000},
                                        {"20gb", 20000000000},
                                        {"2gib", 2147483648},
                                        {"1.001kb", 1001},
                                        {"1000.001kb", 1000001}};
    char text[EMP_UNIT_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        emp_duration_format(durations[i].value, text);
        assert_string_equal(text, durations[i].text);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        emp_bytes_format(sizes[i].value, text);
        assert_string_equal(text, sizes[i].text);
    }
    emp_rate_format(25000000, text);
    assert_string_equal(text, "25mb/s");
}

static void what_is_written_reads_the_same(void **state)
{
    struct emp_random random;
    (void)state;
    emp_random_init(&random, 7);
    for (int i = 0; i < 20000; i++) {
        int64_t v = (int64_t)(emp_random_u64(&random) >> (1 + emp_random_below(&random, 63))),
                back = -1;
        char text[EMP_UNIT_TEXT_MAX];
        emp_duration_format(v, text);
        assert_int_equal(emp_duration_parse(emp_str_z(text), &back), 0);
        assert_int_equal(back, v);
        emp_bytes_format(v, text);
        assert_int_equal(emp_bytes_parse(emp_str_z(text), &back), 0);
        assert_int_equal(back, v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_rates),
        cmocka_unit_test(refuses_what_is_no_quantity),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(writes_a_short_exact_form),
        cmocka_unit_test(what_is_written_reads_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

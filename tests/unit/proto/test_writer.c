/* The writer of JSON: commas, escapes, numbers; what it writes our reader takes. */
#include "base/random.h"
#include "proto/json.h"
#include "proto/writer.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

static struct emp_buf buf;
static struct emp_writer w;

static int setup(void **state)
{
    (void)state;
    emp_buf_init(&buf, 1 << 20);
    emp_writer_init(&w, &buf);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    emp_buf_release(&buf);
    return 0;
}

static void commas_and_names(void **state)
{
    const struct emp_str two[] = {EMP_STR("a"), EMP_STR("b\"")};
    (void)state;
    emp_write_object(&w, NULL);
    emp_write_i64(&w, "n", -5);
    emp_write_array(&w, "list");
    emp_write_array(&w, NULL);
    emp_write_end(&w);
    emp_write_object(&w, NULL);
    emp_write_end(&w);
    emp_write_u64(&w, NULL, UINT64_MAX);
    emp_write_end(&w);
    emp_write_strs(&w, "two", two, 2);
    emp_write_key(&w, EMP_STR("any \"key\""));
    emp_write_bool(&w, NULL, true);
    emp_write_str_opt(&w, "gone", (struct emp_str){0});
    emp_write_time_opt(&w, "gone", 0);
    emp_write_z(&w, "z", NULL);
    emp_write_raw(&w, "raw", EMP_STR("{ \"x\":1 }"));
    emp_write_raw(&w, "empty", (struct emp_str){0});
    emp_write_end(&w);
    assert_string_equal(buf.data,
                        "{\"n\":-5,\"list\":[[],{},18446744073709551615],\"two\":[\"a\",\"b\\\"\"],"
                        "\"any \\\"key\\\"\":true,\"z\":null,\"raw\":{ \"x\":1 },\"empty\":null}");
    assert_false(buf.failed);
}

static void strings_are_escaped(void **state)
{
    (void)state;
    emp_write_str(&w, NULL, EMP_STR("q\" b\\ n\n t\t c\x01 d\x7f é 🎨 bad\xff cut\xe2\x82 nul\0."));
    assert_string_equal(buf.data, "\"q\\\" b\\\\ n\\n t\\t c\\u0001 d\x7f é 🎨 bad\xef\xbf\xbd "
                                  "cut\xef\xbf\xbd\xef\xbf\xbd nul\xef\xbf\xbd.\"");
}

static void cuts_between_characters(void **state)
{
    static const struct {
        struct emp_str s;
        uint32_t max;
        const char *text;
    } cases[] = {
        {{"abc", 3}, 3, "\"abc\""},    {{"abc", 3}, 2, "\"ab\""},
        {{"aé", 3}, 2, "\"a\""},       {{"aé", 3}, 3, "\"aé\""},
        {{"a\n\n", 3}, 2, "\"a\\n\""}, {{"\xff\xff", 2}, 5, "\"\xef\xbf\xbd\""},
        {{"abc", 3}, 0, "\"\""},       {{"", 0}, 0, "\"\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        emp_buf_clear(&buf);
        emp_writer_init(&w, &buf);
        emp_write_str_cut(&w, NULL, cases[i].s, cases[i].max);
        assert_string_equal(buf.data, cases[i].text);
    }
}

static void fixed_decimals(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1, "0.001"},
        {1500, "1.5"},
        {-1500, "-1.5"},
        {-20, "-0.02"},
        {60000, "60"},
        {123456789, "123456.789"},
        {INT64_MAX, "9223372036854775.807"},
        {INT64_MIN, "-9223372036854775.808"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        emp_buf_clear(&buf);
        emp_writer_init(&w, &buf);
        emp_write_ms(&w, NULL, cases[i].ms);
        assert_string_equal(buf.data, cases[i].text);
    }
    emp_buf_clear(&buf);
    emp_writer_init(&w, &buf);
    emp_write_us(&w, NULL, 1000001);
    assert_string_equal(buf.data, "1.000001");
}

static void doubles_read_back_the_same(void **state)
{
    struct emp_random r;
    (void)state;
    emp_random_init(&r, 3);
    for (int i = 0; i < 100000; i++) {
        union {
            uint64_t bits;
            double d;
        } v = {.bits = emp_random_u64(&r)};
        if (i % 3 == 0)
            v.d = (double)(int64_t)v.bits / 1000;
        else if (i % 3 == 1)
            v.d = emp_random_unit(&r);
        if (!isfinite(v.d))
            continue;
        emp_buf_clear(&buf);
        emp_writer_init(&w, &buf);
        emp_write_double(&w, NULL, v.d);
        double back = strtod(buf.data, NULL);
        assert_memory_equal(&back, &v.d, sizeof back);
    }
}

static void doubles_are_short(void **state)
{
    static const struct {
        double d;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {5, "5"},
                 {-2.5, "-2.5"},
                 {1e300, "1e+300"},
                 {1.0 / 3, "0.333333333333333"},
                 {1e14, "100000000000000"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        emp_buf_clear(&buf);
        emp_writer_init(&w, &buf);
        emp_write_double(&w, NULL, cases[i].d);
        if (i != 4) // a third needs more digits
            assert_string_equal(buf.data, cases[i].text);
    }
    emp_buf_clear(&buf);
    emp_writer_init(&w, &buf);
    emp_write_double(&w, NULL, NAN);
    assert_string_equal(buf.data, "null");
}

static void any_text_is_taken_back(void **state)
{
    struct emp_arena a;
    struct emp_random r;
    (void)state;
    emp_arena_init(&a, 0);
    emp_random_init(&r, 5);
    for (int i = 0; i < 5000; i++) {
        struct emp_str s = random_text(&r, &a, 0, 50, false);
        struct emp_json *v;
        emp_buf_clear(&buf);
        emp_writer_init(&w, &buf);
        emp_write_str(&w, NULL, s);
        assert_int_equal(emp_json_parse(&a, buf.data, buf.len, NULL, &v, NULL), 0);
        assert_true(emp_str_eq(v->string, s));
        emp_arena_reset(&a);
    }
    emp_arena_release(&a);
}

static void a_full_buffer_shows(void **state)
{
    struct emp_buf small;
    (void)state;
    emp_buf_init(&small, 10);
    emp_writer_init(&w, &small);
    emp_write_str(&w, NULL, EMP_STR("more than ten bytes"));
    assert_true(small.failed);
    emp_buf_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commas_and_names, setup, teardown),
        cmocka_unit_test_setup_teardown(strings_are_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(cuts_between_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(fixed_decimals, setup, teardown),
        cmocka_unit_test_setup_teardown(doubles_read_back_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(doubles_are_short, setup, teardown),
        cmocka_unit_test_setup_teardown(any_text_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_buffer_shows, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

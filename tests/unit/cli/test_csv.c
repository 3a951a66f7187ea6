#include "cli/csv.h"

#include "check.h"

static struct emp_arena arena;

static void open_text(struct emp_csv *c, const char *text)
{
    emp_csv_init(c, "file.csv", emp_str_z(text));
}

static void check_record(struct emp_csv *c, uint32_t line, const char *const *fields)
{
    struct emp_error err;
    assert_int_equal(emp_csv_next(c, &arena, &err), 1);
    assert_int_equal(c->line, line);
    uint32_t n = 0;
    for (; fields[n]; n++) {
        assert_true(n < c->count);
        assert_true(emp_str_eq(c->fields[n], emp_str_z(fields[n])));
    }
    assert_int_equal(c->count, n);
}
#define RECORD(c, line, ...) check_record((c), (line), (const char *const[]){__VA_ARGS__, NULL})

static void reads_records(void **state)
{
    (void)state;
    struct emp_csv c;
    struct emp_error err;
    open_text(&c, "\xef\xbb\xbf"
                  "a,b,\r\n\n\"x, y\",\"say \"\"hi\"\"\",\"two\nlines\"\n,\nlast");
    RECORD(&c, 1, "a", "b", "");
    RECORD(&c, 3, "x, y", "say \"hi\"", "two\nlines");
    RECORD(&c, 5, "", "");
    RECORD(&c, 6, "last");
    assert_int_equal(emp_csv_next(&c, &arena, &err), 0);
    open_text(&c, "");
    assert_int_equal(emp_csv_next(&c, &arena, &err), 0);
}

static void names_the_line_at_fault(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"a\nb,\"open\nmore", "file.csv:2: a quote is not closed"},
        {"a\n\n\"b\"c", "file.csv:3: text follows a closing quote"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_csv c;
        struct emp_error err;
        open_text(&c, cases[i].text);
        RECORD(&c, 1, "a");
        assert_int_equal(emp_csv_next(&c, &arena, &err), EMP_E_MALFORMED);
        assert_string_equal(err.text, cases[i].error);
    }
    struct emp_csv c;
    struct emp_error err;
    emp_csv_init(&c, "file.csv", (struct emp_str){"a\0b", 3});
    assert_int_equal(emp_csv_next(&c, &arena, &err), EMP_E_MALFORMED);
}

static void knows_numbers(void **state)
{
    (void)state;
    static const char *const good[] = {"1", "-2.5", " 3e2 ", "+.5"};
    static const char *const bad[] = {"",    " ",   "x",     "1x",  "0x10",
                                      "nan", "inf", "1e999", "1,2", "--1"};
    double v = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(emp_csv_is_number(emp_str_z(good[i]), &v));
    assert_true(v == 0.5);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(emp_csv_is_number(emp_str_z(bad[i]), &v));
    struct emp_csv c;
    struct emp_error err;
    open_text(&c, "1\n2,x");
    emp_csv_next(&c, &arena, &err);
    emp_csv_next(&c, &arena, &err);
    assert_int_equal(emp_csv_number(&c, 1, &v, &err), EMP_E_MALFORMED);
    assert_string_equal(err.text, "file.csv:2: field 2, \"x\", is not a number");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_records),
        cmocka_unit_test(names_the_line_at_fault),
        cmocka_unit_test(knows_numbers),
    };
    emp_arena_init(&arena, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    emp_arena_release(&arena);
    return failed;
}

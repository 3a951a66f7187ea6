/* The error table is complete and unambiguous; emp_fail cuts without breaking characters. */
#include "base/error.h"

#include "seeded.h"

#include "base/str.h"

static void every_row_is_whole(void **state)
{
    (void)state;
    for (int code = EMP_E_FIRST_UNUSED + 1; code < EMP_E_END; code++) {
        assert_true(code < 0);
        assert_true(emp_error_name(code)[0] != 0 && emp_error_text(code)[0] != 0);
        assert_int_equal(emp_error_from_name(emp_error_name(code)), code); /* words are unique */
        assert_in_range(emp_error_http(code), 400, 599);
        assert_in_range(emp_error_exit(code), 1, 125); /* 126 and up belong to shells */
        for (const char *c = emp_error_name(code); *c; c++)
            assert_true((*c >= 'a' && *c <= 'z') || *c == '_');
    }
}

static void known_rows(void **state)
{
    (void)state;
    assert_string_equal(emp_error_name(EMP_E_NOT_FOUND), "not_found");
    assert_int_equal(emp_error_http(EMP_E_NOT_FOUND), 404);
    assert_int_equal(emp_error_exit(EMP_E_NOT_FOUND), 3);
    assert_false(emp_error_retryable(EMP_E_NOT_FOUND));
    assert_true(emp_error_retryable(EMP_E_LOST));
}

static void unknown_is_internal(void **state)
{
    (void)state;
    const int odd[] = {0, 1, -5, EMP_E_FIRST_UNUSED, EMP_E_END, -100000};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        assert_string_equal(emp_error_name(odd[i]), "internal");
        assert_int_equal(emp_error_http(odd[i]), 500);
    }
    assert_int_equal(emp_error_from_name("no such word"), EMP_E_INTERNAL);
    assert_int_equal(emp_error_from_name(""), EMP_E_INTERNAL);
}

static void fail_fills(void **state)
{
    (void)state;
    struct emp_error e = {0};
    assert_int_equal(emp_fail(&e, EMP_E_INVALID, "priority", "%d is above %d", 101, 100),
                     EMP_E_INVALID);
    assert_int_equal(e.code, EMP_E_INVALID);
    assert_string_equal(e.field, "priority");
    assert_string_equal(e.text, "101 is above 100");
    assert_int_equal(emp_fail(&e, EMP_E_IO, NULL, "x"), EMP_E_IO);
    assert_string_equal(e.field, "");
    assert_int_equal(emp_fail(NULL, EMP_E_IO, "f", "x"), EMP_E_IO);
}

/* Characters of every length, so that the cut falls at every place of them. */
static void cut_is_never_inside_a_character(void **state)
{
    (void)state;
    const char *const characters[] = {"a", "ä", "€", "😀"};
    for (size_t c = 0; c < 4; c++) {
        for (int shift = 0; shift < 4; shift++) {
            struct emp_buf b;
            struct emp_error e;
            emp_buf_init(&b, 4000);
            emp_buf_printf(&b, "%.*s", shift, "zzz");
            while (b.len < 600)
                emp_buf_addz(&b, characters[c]);
            emp_fail(&e, EMP_E_INVALID, b.data, "%s", b.data);
            assert_true(emp_utf8_valid(e.text, strlen(e.text)));
            assert_true(emp_utf8_valid(e.field, strlen(e.field)));
            assert_in_range(strlen(e.text), EMP_ERROR_TEXT_MAX - 4, EMP_ERROR_TEXT_MAX - 1);
            assert_in_range(strlen(e.field), EMP_ERROR_FIELD_MAX - 4, EMP_ERROR_FIELD_MAX - 1);
            emp_buf_release(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(known_rows),
        cmocka_unit_test(unknown_is_internal),
        cmocka_unit_test(fail_fills),
        cmocka_unit_test(cut_is_never_inside_a_character),
    };
    return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}

#include "check.h"

#include "broker/progress.h"

static void test_set_get_forget(void **state)
{
    (void)state;
    struct emp_progress_table t;
    struct emp_progress p;

    emp_progress_init(&t);
    assert_false(emp_progress_get(&t, 7, &p));
    emp_progress_set(&t, 7, 12.5f, EMP_STR("loading"), 1000);
    emp_progress_set(&t, 8, 1, EMP_STR(""), 1001);
    emp_progress_set(&t, 7, 50, EMP_STR("half"), 1002);
    assert_true(emp_progress_get(&t, 7, &p));
    assert_true(p.percent == 50);
    assert_int_equal(p.text_len, 4);
    assert_memory_equal(p.text, "half", 4);
    assert_int_equal(p.at, 1002);
    emp_progress_forget(&t, 7);
    emp_progress_forget(&t, 7);
    assert_false(emp_progress_get(&t, 7, &p));
    assert_true(emp_progress_get(&t, 8, &p));
    assert_int_equal(p.text_len, 0);
    emp_progress_release(&t);
}

static void test_long_text_is_cut(void **state)
{
    (void)state;
    struct emp_progress_table t;
    struct emp_progress p;
    static char text[2 * EMP_PROGRESS_TEXT_MAX];

    emp_progress_init(&t);
    memset(text, 'x', sizeof text);
    emp_progress_set(&t, 1, 0, (struct emp_str){text, sizeof text}, 1);
    assert_true(emp_progress_get(&t, 1, &p));
    assert_int_equal(p.text_len, EMP_PROGRESS_TEXT_MAX);
    emp_progress_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_get_forget),
        cmocka_unit_test(test_long_text_is_cut),
    };
    return cmocka_run_group_tests_name("broker/progress", tests, NULL, NULL);
}

/* Intervals of told times: they hold what they promise whatever the foresight's error is. */
#include "policy/eta.h"

#include "base/error.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>

static double normal(struct emp_random *r)
{
    return sqrt(-2 * log(1 - emp_random_unit(r))) * cos(6.283185307 * emp_random_unit(r));
}

static void kinds_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(emp_eta_start_of(0, 0, 0), EMP_ETA_WARM);
    assert_int_equal(emp_eta_start_of(0, 0, 1), EMP_ETA_LOAD);
    assert_int_equal(emp_eta_start_of(0, 1, 1), EMP_ETA_FETCH);
    assert_int_equal(emp_eta_start_of(1, 1, 1), EMP_ETA_SOON);
    assert_int_equal(emp_eta_start_of(EMP_ETA_SOON_MS + 1, 0, 0), EMP_ETA_LATER);
    assert_int_equal(emp_eta_start_of(INT64_MAX, 0, 0), EMP_ETA_LATE);
    bool seen[EMP_ETA_KINDS] = {false};
    for (int start = 0; start < EMP_ETA_STARTS; start++)
        for (uint32_t known = 0; known < 7; known++) {
            uint32_t kind = emp_eta_end_of((enum emp_eta_start)start, known);
            assert_true(kind >= EMP_ETA_STARTS && kind < EMP_ETA_KINDS);
            seen[kind] = true;
        }
    for (uint32_t known = 0; known < EMP_ETA_KNOWN; known++)
        assert_true(seen[2 * EMP_ETA_STARTS + known]);
}

/* One kind is foreseen three times too long with little noise, one too short with much. */
static void they_cover_whatever_the_bias(void **state)
{
    (void)state;
    static const struct {
        double bias, noise;
    } law[] = {{-1.1, 0.1}, {0.4, 0.8}, {0, 0}};
    struct emp_eta_errors e;
    struct emp_random r;
    emp_eta_errors_init(&e);
    emp_random_init(&r, 7);
    int below_50[3] = {0}, below_90[3] = {0}, n = 0;
    for (int i = 0; i < 4000; i++) {
        for (uint32_t kind = 0; kind < 3; kind++) {
            int64_t foreseen = 1000 + (int64_t)emp_random_below(&r, 60000), p50, p90;
            int64_t took = (int64_t)(((double)foreseen + 500) *
                                     exp(law[kind].bias + law[kind].noise * normal(&r))) -
                           500;
            took = took > 0 ? took : 0;
            emp_eta_tell(&e, kind, foreseen, &p50, &p90);
            check_case(i, p50 >= 0 && p50 <= p90);
            if (i >= 1000) {
                below_50[kind] += took <= p50;
                below_90[kind] += took <= p90;
                n += kind == 0;
            }
            emp_eta_learn(&e, kind, foreseen, took);
        }
    }
    for (int kind = 0; kind < 2; kind++) {
        check_case(kind, abs(below_50[kind] - n / 2) < n / 20);
        check_case(kind, abs(below_90[kind] - n * 9 / 10) < n / 25);
    }
    int64_t p50, p90;
    emp_eta_tell(&e, 2, 20000, &p50, &p90); /* what is always right is nearly told as it is */
    assert_true(p50 > 18000 && p90 < 23000);
}

/* Before anything is known: an honest doubt, and no more. */
static void at_first_there_is_doubt(void **state)
{
    (void)state;
    struct emp_eta_errors e;
    int64_t p50, p90;
    emp_eta_errors_init(&e);
    emp_eta_tell(&e, EMP_ETA_LOAD, 10000, &p50, &p90);
    assert_true(p50 > 9000 && p50 < 11000 && p90 > 12000 && p90 < 25000);
    emp_eta_tell(&e, EMP_ETA_WARM, 0, &p50, &p90);
    assert_true(p50 < 100 && p90 < 1000);
    emp_eta_tell(&e, EMP_ETA_LATE, INT64_MAX / 2, &p50, &p90);
    assert_true(p50 > 0 && p50 <= p90);
}

static void rows_bring_them_back(void **state)
{
    (void)state;
    struct emp_eta_errors e, back;
    struct emp_arena arena;
    struct emp_eta_row row;
    int rows = 0;
    emp_arena_init(&arena, 0);
    emp_eta_errors_init(&e);
    emp_eta_errors_init(&back);
    assert_false(emp_eta_changed(&e, &arena, &row));
    for (int i = 0; i < 200; i++)
        emp_eta_learn(&e, (uint32_t)i % EMP_ETA_KINDS, 5000, 4000 + 50 * i);
    for (; emp_eta_changed(&e, &arena, &row); rows++)
        assert_int_equal(emp_eta_load(&back, &row), 0);
    assert_int_equal(rows, EMP_ETA_ROWS);
    for (uint32_t kind = 0; kind < EMP_ETA_KINDS; kind++) {
        int64_t a50, a90, b50, b90;
        emp_eta_tell(&e, kind, 12345, &a50, &a90);
        emp_eta_tell(&back, kind, 12345, &b50, &b90);
        check_case(kind, a50 == b50 && a90 == b90);
    }
    emp_eta_learn(&e, 3, 1, 1);
    assert_true(emp_eta_changed(&e, &arena, &row));
    unsigned char bad[2000];
    memcpy(bad, row.bytes, row.length);
    memset(bad + 100, 0xff, 4); /* not a number */
    assert_int_equal(emp_eta_load(&back, &(struct emp_eta_row){3, bad, row.length}), EMP_E_INVALID);
    assert_int_equal(emp_eta_load(&back, &(struct emp_eta_row){3, row.bytes, row.length - 1}),
                     EMP_E_INVALID);
    assert_int_equal(
        emp_eta_load(&back, &(struct emp_eta_row){EMP_ETA_ROWS, row.bytes, row.length}),
        EMP_E_INVALID);
    emp_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(they_cover_whatever_the_bias),
        cmocka_unit_test(at_first_there_is_doubt),
        cmocka_unit_test(rows_bring_them_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "check.h"

#include "policy/heat.h"

#include <math.h>

#define MINUTE (60 * 1000LL)
#define HOUR   (60 * MINUTE)

static void nothing_used_is_cold(void **state)
{
    (void)state;
    struct emp_heat h = {0};
    assert_true(emp_heat_per_hour(&h, 5 * HOUR) < 1e-12);
}

/* One use: ln 2 / 15 min of the fast count, 2.77 an hour; a quarter of an hour later half of that;
 * after a night what the slow count says. */
static void one_use_is_the_beginning_of_a_session_for_minutes(void **state)
{
    (void)state;
    struct emp_heat h = {0};
    emp_heat_use(&h, HOUR);
    assert_true(fabs(emp_heat_per_hour(&h, HOUR) - 2.7726) < 0.001);
    assert_true(fabs(emp_heat_per_hour(&h, HOUR + 15 * MINUTE) - 1.3863) < 0.001);
    assert_true(fabs(emp_heat_per_hour(&h, 13 * HOUR) - 0.11552 / 4) < 0.0001);
}

static void a_steady_demand_is_told_as_it_is(void **state)
{
    (void)state;
    for (int64_t every = MINUTE / 2; every <= 40 * MINUTE; every *= 2) {
        struct emp_heat h = {0};
        emp_mono_ms now = 0;
        double sum = 0;
        long n = 0;
        for (; now < 72 * HOUR; now += every) {
            emp_heat_use(&h, now);
            if (now < 36 * HOUR)
                continue;
            sum += emp_heat_per_hour(&h, now + every / 2);
            n++;
        }
        double truth = (double)HOUR / (double)every, told = sum / (double)n;
        assert_true(told > truth * 0.95 && told < truth * 2);
    }
}

static void busy_is_the_share_of_the_last_minutes(void **state)
{
    (void)state;
    struct emp_busy b = {0};
    emp_busy_set(&b, 0, 0);
    assert_true(emp_busy_mean(&b, HOUR) < 1e-12);
    emp_busy_set(&b, 1, HOUR);
    assert_true(fabs(emp_busy_mean(&b, HOUR + 15 * MINUTE) - 0.5) < 1e-9);
    emp_busy_set(&b, 0, HOUR + 15 * MINUTE);
    assert_true(fabs(emp_busy_mean(&b, HOUR + 30 * MINUTE) - 0.25) < 1e-9);
    emp_busy_set(&b, 7, 3 * HOUR); // absurd: all of it
    assert_true(emp_busy_mean(&b, 90 * HOUR) <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_used_is_cold),
        cmocka_unit_test(one_use_is_the_beginning_of_a_session_for_minutes),
        cmocka_unit_test(a_steady_demand_is_told_as_it_is),
        cmocka_unit_test(busy_is_the_share_of_the_last_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

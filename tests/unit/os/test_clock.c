/* Clocks: forward only, in the unit they say, and in step with each other. */
#include "check.h"

#include "os/clock.h"

#include <time.h>

static void monotonic_time_never_goes_back(void **state)
{
    int64_t last = emp_mono_us();
    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t now = emp_mono_us();
        assert_true(now >= last);
        last = now;
    }
}

static void milliseconds_and_microseconds_are_one_scale(void **state)
{
    (void)state;
    int64_t before = emp_mono_us() / 1000;
    emp_mono_ms now = emp_mono_now();
    int64_t after = emp_mono_us() / 1000;
    assert_true(before <= now && now <= after);
}

static void wall_time_is_the_systems(void **state)
{
    (void)state;
    time_t before = time(NULL);
    emp_wall_ms now = emp_wall_now();
    time_t after = time(NULL);
    assert_true((emp_wall_ms)before * 1000 - 1000 <= now);
    assert_true(now <= ((emp_wall_ms)after + 1) * 1000);
}

static void an_instant_has_both_scales(void **state)
{
    struct emp_now now;
    (void)state;
    emp_mono_ms before = emp_mono_now();
    emp_wall_ms wall = emp_wall_now();
    emp_now_read(&now);
    assert_true(now.mono >= before && now.mono <= emp_mono_now());
    assert_true(now.wall >= wall - 1000 && now.wall <= emp_wall_now() + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_never_goes_back),
        cmocka_unit_test(milliseconds_and_microseconds_are_one_scale),
        cmocka_unit_test(wall_time_is_the_systems),
        cmocka_unit_test(an_instant_has_both_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

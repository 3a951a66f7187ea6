/* The defaults hold together: pools cover every duration once, and every number is usable. */
#include "domain/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void pools_cover_all_durations_once(void **state)
{
    const struct emp_settings *s = emp_settings_default();
    const char *const names[] = {"fast-lane", "standard", "heavy"};
    int64_t next = 0;
    (void)state;
    assert_int_equal(s->pool_count, 3);
    for (uint32_t i = 0; i < s->pool_count; i++) {
        assert_true(emp_str_eq(s->pools[i].name, emp_str_z(names[i])));
        assert_true(s->pools[i].run_ms_min == next);
        assert_true(s->pools[i].disk_bytes_min < s->pools[i].disk_bytes_max);
        next = s->pools[i].run_ms_max;
    }
    assert_true(next == EMP_NEVER);
    assert_true(s->pools[0].run_ms_max == 30 * 1000 && s->pools[1].run_ms_max == 180 * 1000);
}

static void numbers_are_usable(void **state)
{
    const struct emp_settings *s = emp_settings_default();
    (void)state;
    assert_true(s->routing.pool_quantile > 0 && s->routing.pool_quantile < 1);
    assert_true(s->routing.link_bytes_per_s > 0 && s->routing.load_bytes_per_s > 0);
    assert_true(s->routing.ram_load_bytes_per_s > s->routing.load_bytes_per_s);
    for (int t = 0; t < EMP_TIER_COUNT; t++)
        assert_true(s->fairness.weight[t] > 0 && s->fairness.patience_ms[t] > 0);
    assert_true(s->lease.beat_ms * 3 <= s->lease.silent_ms);
    assert_true(s->lease.silent_ms + s->lease.beat_ms <=
                10000); // leases are gone within ten seconds
    assert_true(s->retry.base_ms > 0 && s->retry.base_ms <= s->retry.max_ms);
    assert_int_equal(s->retry.max_retries, 3);
    assert_true(s->pending_max == 10000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_cover_all_durations_once),
        cmocka_unit_test(numbers_are_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

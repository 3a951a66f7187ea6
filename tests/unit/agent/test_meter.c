/* The measured download rate, fed by made-up fetches under a made-up clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/meter.h"

#define MB INT64_C(1000000)

/* A fetch of `bytes` at `rate`, in chunks every `step` ms; the rest comes at once, at the end. */
static emp_mono_ms fetch(struct emp_meter *m, emp_mono_ms now, int64_t bytes, int64_t rate,
                         int64_t step)
{
    emp_meter_begin(m, now);
    int64_t chunk = rate * step / 1000;
    for (; bytes >= chunk; bytes -= chunk)
        emp_meter_add(m, now += step, chunk);
    if (bytes > 0)
        emp_meter_add(m, now, bytes);
    emp_meter_end(m, now);
    return now;
}

static void assert_near(int64_t rate, int64_t wanted)
{
    assert_in_range((uint64_t)rate, (uint64_t)(wanted * 9 / 10), (uint64_t)(wanted * 11 / 10));
}

static void short_first_fetch_is_a_sample(void **state)
{
    (void)state;
    struct emp_meter m = {0};
    fetch(&m, 5000, 1 * MB, 4 * MB, 10);
    assert_near(m.bytes_per_s, 4 * MB);
}

static void last_bytes_of_a_fetch_are_no_sample(void **state)
{
    (void)state;
    struct emp_meter m = {0};
    emp_mono_ms now = 5000;
    for (int i = 0; i < 20; i++) {
        emp_meter_begin(&m, now);
        for (int k = 0; k < 4; k++)
            emp_meter_add(&m, now += 250, MB / 2);
        emp_meter_add(&m, now, MB / 8); // a window has just been closed
        emp_meter_end(&m, now);
        now += 60000;
    }
    assert_near(m.bytes_per_s, 2 * MB * 17 / 16);
}

static void pauses_between_fetches_do_not_count(void **state)
{
    (void)state;
    struct emp_meter m = {0};
    emp_mono_ms now = 5000;
    for (int i = 0; i < 20; i++)
        now = fetch(&m, now, 3 * MB, 8 * MB, 5) + 100000;
    assert_near(m.bytes_per_s, 8 * MB);
}

static void fetches_at_once_are_added(void **state)
{
    (void)state;
    struct emp_meter m = {0};
    emp_mono_ms now = 5000;
    emp_meter_begin(&m, now);
    emp_meter_begin(&m, now);
    for (int i = 0; i < 400; i++) {
        emp_meter_add(&m, now += 10, 30000);
        emp_meter_add(&m, now, 30000);
    }
    emp_meter_end(&m, now);
    emp_meter_end(&m, now);
    assert_near(m.bytes_per_s, 6 * MB);
}

static void follows_a_link_that_changes(void **state)
{
    (void)state;
    struct emp_meter m = {0};
    emp_mono_ms now = fetch(&m, 5000, 40 * MB, 8 * MB, 10);
    now = fetch(&m, now, 20 * MB, 1 * MB, 10);
    assert_near(m.bytes_per_s, 1 * MB);
}

static void a_trickle_says_nothing(void **state)
{
    (void)state;
    struct emp_meter m = {0};
    fetch(&m, 5000, 1000, 10, 1000);
    assert_int_equal(m.bytes_per_s, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_first_fetch_is_a_sample),
        cmocka_unit_test(last_bytes_of_a_fetch_are_no_sample),
        cmocka_unit_test(pauses_between_fetches_do_not_count),
        cmocka_unit_test(fetches_at_once_are_added),
        cmocka_unit_test(follows_a_link_that_changes),
        cmocka_unit_test(a_trickle_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The figures of runs so small that each can be computed by hand: the comments do. */
#include "bench.h"

#define GB INT64_C(1000000000)

#define TINY(machines, disk) BENCH_SCENARIO(BENCH_POOL("standard", machines, disk))

/* GPU memory for one base, RAM for two. */
static void one_machine(void **state)
{
    /*                                            wait = 25 ms and                     models
     *  1  a is nowhere                           .5 + 10 to fetch, 10 to load: 20.525  first use
     *  2  a is in GPU memory                                                    0.025
     *  3  … behind 2, which ends at 11:05.05: sent then, there 25 ms later      4.075
     *  4  b is nowhere                                                         20.525  first use
     *  5  a went to RAM when b was loaded                            2 to load: 2.025
     *  6  c is nowhere; RAM now holds a and c                                  20.525  first use
     *  7  b is on the disk alone                                   10 to load: 10.025
     *  8  d is nowhere, and room for three: a goes, used longest ago (5).
     *     20 ms to delete it, then as 1                                        20.545  first use
     *  9  a is fetched again, c goes (6)                                       20.545
     * 10  a day and two hours later a is still in GPU memory                    0.025  first use */
    static const char trace[] = "submitted_at,models,run_ms,customer\n"
                                "2026-01-05 00:10:00,a:1000000000:base,5000,u\n"
                                "2026-01-05 00:11:00,a:1000000000:base,5000,u\n"
                                "2026-01-05 00:11:01,a:1000000000:base,5000,u\n"
                                "2026-01-05 00:12:00,b:1000000000:base,10000,u\n"
                                "2026-01-05 00:13:00,a:1000000000:base,5000,u\n"
                                "2026-01-05 00:14:00,c:1000000000:base,5000,u\n"
                                "2026-01-05 00:15:00,b:1000000000:base,5000,u\n"
                                "2026-01-05 00:16:00,d:1000000000:base,5000,u\n"
                                "2026-01-05 00:17:00,a:1000000000:base,5000,u\n"
                                "2026-01-06 02:20:00,a:1000000000:base,5000,u\n";
    static const int64_t waits[] = {20525, 25, 4075, 20525, 2025, 20525, 10025, 20545, 20545, 25};
    struct bench b;
    const struct emp_measure_figures *f = &b.figures;
    (void)state;
    bench_init(&b, TINY("1", "3.5gb"), trace, 1);
    bench_run(&b, "affinity", 1);
    for (uint32_t i = 1; i <= 10; i++) {
        if (b.jobs[i].computes - b.jobs[i].submitted != waits[i - 1])
            fail_msg("job %u waits %lld ms, not %lld", i,
                     (long long)(b.jobs[i].computes - b.jobs[i].submitted),
                     (long long)waits[i - 1]);
    }
    assert_int_equal(f->jobs, 10);
    assert_int_equal(f->completed, 10);
    /* in order: .025 .025 2.025 4.075 10.025 20.525 20.525 20.525 20.545 20.545 */
    bench_near(f->wait_s.p50, 10.025, 1e-9); /* the 5th of 10 */
    bench_near(f->wait_s.p90, 20.545, 1e-9); /* the 9th */
    bench_near(f->wait_s.p95, 20.545, 1e-9); /* the 10th, as 9.5 do not suffice */
    bench_near(f->wait_s.p99, 20.545, 1e-9);
    bench_near(f->wait_s.max, 20.545, 1e-9);
    bench_near(f->wait_s.mean, 11.884, 1e-9); /* 118.84 / 10 */
    bench_near(emp_measure_part(f->within_10s), 0.4, 1e-9);
    assert_int_equal(f->first_use.jobs, 5); /* 1 4 6 8 10, of which 10 */
    assert_int_equal(f->first_use.within, 1);
    assert_int_equal(f->repeat_use.jobs, 5); /* 2 3 5 7 9, of which 2 3 5 */
    assert_int_equal(f->repeat_use.within, 3);
    assert_int_equal(f->hit_gpu.within, 3);      /* 2 3 10 */
    assert_int_equal(f->hit_resident.within, 4); /* and 5 */
    assert_int_equal(f->hit_disk.within, 5);     /* and 7 */
    assert_int_equal(f->hit_disk.jobs, 10);
    assert_int_equal(f->bytes_fetched, 5 * GB); /* a b c d a */
    assert_int_equal(f->fetches, 5);
    assert_int_equal(f->redundant_bytes, GB); /* a, again */
    assert_int_equal(f->evictions, 2);
    assert_int_equal(f->attempts, 10);
    assert_int_equal(f->attempts_lost, 0);
    bench_near(f->download_wait_s, 3 * 10.5 + 2 * 10.52, 1e-9); /* 1 4 6, 8 9 */
    bench_near(f->wasted_gpu_s, 6 * 10 + 2, 1e-9);              /* loads of 1 4 6 7 8 9, and 5 */
    bench_near(f->busy_hours, 55.0 / 3600, 1e-9);               /* 9 × 5 s and 10 s */
    bench_near(f->offered_load, 55.0 / (94800 - 600), 1e-12);   /* from the first to the last */
    /* counted until the broker knows that 10 is done: 94800 + .025 + 5 + .025 */
    bench_near(f->machine_hours, (94805.05 - 600) / 3600, 1e-9);
    bench_near(f->cost_usd, 0.5 * (94805.05 - 600) / 3600, 1e-9);
    /* (wait + run) / run, a run being 25 ms longer for the broker: in order 10 and 2, 5 (1.40), 3
     * (1.81), 7: 15.05 / 5.025; 4 (3.05), 1 and 6 (5.08), 8 and 9: 25.57 / 5.025 */
    bench_near(f->slowdown.p50, 15.05 / 5.025, 1e-9);
    bench_near(f->slowdown.p90, 25.57 / 5.025, 1e-9);
    bench_near(f->slowdown.max, 25.57 / 5.025, 1e-9);
    bench_near(emp_measure_part(f->short_done), 0.9, 1e-9); /* 4 takes 30.55 s */
    bench_near(emp_measure_part(f->prompt), 0.4, 1e-9);     /* 2 3 5 10 start within 5 s */
    bench_near(emp_measure_part(f->best_machine), 1, 1e-9); /* there is but one */
    /* each minute: 0 GB at 10:00, 1 at 11:00 and 12:00, 2 at 13:00 and 14:00, then 3 until 26:20 */
    bench_near(f->pools[0].disk_used, (2 * 1 + 2 * 2 + 1566 * 3) / 3.5 / 1571, 1e-9);
    assert_int_equal(f->pool_count, 1);
    assert_int_equal(f->pools[0].within_10s.jobs, 10);
    bench_near(f->pools[0].wait_s.mean, 11.884, 1e-9);
    assert_int_equal(f->by_tier[EMP_TIER_FREE].jobs, 10);
    bench_release(&b);
}

static void machines_that_die(void **state)
{
    /* Both machines die after an hour, and are replaced by empty ones five minutes later.
     *  1  starts at 30:20.525 on m0 and would run 40 minutes; 1779.475 s of it are lost
     *  2  comes to m1 at 59:00.025. Half a second later a and b share the link until a is there,
     *     at 59:20.525; then b has its GB too, and 39.475 s of the whole link until m1 dies.
     * The new ones have said hello at 65:00.075 and get both jobs:
     *  1  65:00.1 + .5 + 10 to fetch + 10 to load, and runs to its end at 105:20.6
     *  2  65:00.1 + .5 + 110 to fetch + 20 to load, as b is loaded as any base is */
    static const char scenario[] =
        TINY("2", "20gb") "churn:\n"
                          "  on: true\n"
                          "  outlives: 0\n"
                          "  uptime_h: {source: by hand, at: [[0, 1], [1, 1]]}\n"
                          "  startup_min: {source: by hand, at: [[0, 5], [1, 5]]}\n";
    static const char trace[] = "submitted_at,models,run_ms,tier\n"
                                "2026-01-05 00:30:00,a:1000000000:base,2400000,premium\n"
                                "2026-01-05 00:59:00,a:1000000000;b:10000000000:base,5000,free\n";
    struct bench b;
    const struct emp_measure_figures *f = &b.figures;
    (void)state;
    bench_init(&b, scenario, trace, 1);
    bench_run(&b, "least-loaded", 1);
    assert_int_equal(f->completed, 2);
    assert_int_equal(f->attempts, 4);
    assert_int_equal(f->attempts_lost, 2);
    bench_near(f->wait_s.max, 3920.6 - 1800, 1e-9);
    bench_near(f->wait_s.p50, 4030.6 - 3540, 1e-9);
    /* before: a, a, and of b 1 GB and 3.9475; then a for one, a and b for the other */
    assert_int_equal(f->bytes_fetched, 2 * GB + 4947500000 + 12 * GB);
    assert_int_equal(f->fetches, 5);
    assert_int_equal(f->redundant_bytes, GB); /* a on m1, before: m0 had it, nobody used it */
    assert_int_equal(f->evictions, 0);
    /* 1 twice 10.5; 2 until m1 dies, and 110.5 */
    bench_near(f->download_wait_s, 21 + 59.975 + 110.5, 1e-9);
    bench_near(f->wasted_gpu_s, 10 + 1779.475 + 10 + 20, 1e-9);
    bench_near(f->busy_hours, 2405.0 / 3600, 1e-9);
    bench_near(f->machine_hours, 2 * (1800 + 6320.625 - 3900) / 3600, 1e-9);
    bench_near(f->cost_usd, f->machine_hours * 0.5, 1e-9);
    assert_int_equal(f->best_machine.within, 0); /* had they lived, both would have begun sooner */
    assert_int_equal(f->hit_disk.within, 0);
    assert_int_equal(f->by_tier[EMP_TIER_FREE].jobs, 1);
    assert_int_equal(f->by_tier[EMP_TIER_PREMIUM].jobs, 1);
    bench_release(&b);
}

static void what_comes_before_warms_up_and_does_not_count(void **state)
{
    /*  1  before the day: on m0, computes from 23:50:20.525 to 00:10:20.525
     *  2  on m1: 20.525 s, as b is nowhere; counting begins with it, 10 s after midnight
     *  3  on m1, as m0 is busy: 20.525 s; the day before somebody used a. Its copy is a second
     *     one, and used */
    static const char trace[] = "submitted_at,models,run_ms\n"
                                "2026-01-05 23:50:00,a:1000000000:base,1200000\n"
                                "2026-01-06 00:00:10,b:1000000000:base,5000\n"
                                "2026-01-06 00:01:00,a:1000000000:base,5000\n";
    struct bench b;
    const struct emp_measure_figures *f = &b.figures;
    (void)state;
    bench_init(&b, TINY("2", "3.5gb"), trace, 1);
    bench_select(&b, "2026-01-06", NULL);
    bench_run(&b, "least-loaded", 1);
    assert_int_equal(f->jobs, 2);
    assert_int_equal(f->attempts, 2);
    bench_near(f->wait_s.p50, 20.525, 1e-9);
    bench_near(f->wait_s.max, 20.525, 1e-9);
    assert_int_equal(f->first_use.jobs, 1);
    assert_int_equal(f->repeat_use.jobs, 1);
    assert_int_equal(f->bytes_fetched, 2 * GB);
    assert_int_equal(f->redundant_bytes, 0);
    bench_near(f->download_wait_s, 21, 1e-9);
    bench_near(f->wasted_gpu_s, 20, 1e-9);
    /* of 1 what is left of it when counting begins */
    bench_near(f->busy_hours, (620.525 - 10 + 5 + 5) / 3600, 1e-9);
    bench_near(f->machine_hours, 2 * (620.55 - 10) / 3600, 1e-9);
    bench_near(f->offered_load, 10.0 / 50, 1e-9);
    bench_release(&b);
}

static void what_no_disk_can_hold_never_completes(void **state)
{
    static const char trace[] = "submitted_at,models,run_ms\n"
                                "2026-01-06 00:00:10,huge:4000000000:base,5000\n"
                                "2026-01-06 00:01:00,a:1000000000:base,5000\n"
                                "2026-01-06 00:02:00,a:1000000000:base;huge:4000000000,5000\n";
    struct bench b;
    (void)state;
    bench_init(&b, TINY("2", "3.5gb"), trace, 1);
    bench_run(&b, "emp", 1);
    assert_int_equal(b.figures.jobs, 3);
    assert_int_equal(b.figures.completed, 1);
    assert_int_equal(b.figures.within_10s.jobs, 3);
    assert_int_equal(b.figures.within_10s.within, 0);
    bench_near(b.figures.wait_s.max, 20.525, 1e-9); /* of those that started */
    assert_true(b.figures.virtual_s < 130);
    bench_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_machine),
        cmocka_unit_test(machines_that_die),
        cmocka_unit_test(what_comes_before_warms_up_and_does_not_count),
        cmocka_unit_test(what_no_disk_can_hold_never_completes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

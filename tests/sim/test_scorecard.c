/* What came of plans, as figures say it: by hand on a run that can be computed, and as the broker's
 * own planner knows it from what agents tell, against what happened on the machines. */
#include "bench.h"

#include <math.h>

/* One machine with room for two of three models; 8 Mbit/s are 1 MB/s: 10 MB come in 10 s. */
static const char one_machine[] =
    "like: office\n"
    "fleet:\n"
    "  pools:\n"
    "    - {name: standard, machines: 1, slots: 1, gpu_memory: 24gb, ram: 32gb, disk: 25mb, "
    "jobs: [trace]}\n"
    "  link_mbit_per_s: {source: by hand, at: [[0, 8], [1, 8]]}\n";

static const char back_and_forth[] = "submitted_at,models,run_ms\n"
                                     "2025-01-06 00:00:00,a:10000000:base,1000\n"
                                     "2025-01-06 00:10:00,a:10000000:base,1000\n"
                                     "2025-01-06 00:20:00,b:10000000:base,1000\n"
                                     "2025-01-06 00:30:00,c:10000000:base,1000\n" /* a goes */
                                     "2025-01-06 06:40:00,a:10000000:base,1000\n" /* b goes; late */
                                     "2025-01-06 07:00:00,b:10000000:base,1000\n" /* c goes; soon */
                                     "2025-01-06 07:10:00,b:10000000:base,1000\n"
                                     "2025-01-06 20:00:00,b:10000000:base,1000\n";

static void evictions_and_readiness_by_hand(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, one_machine, back_and_forth, 1);
    bench_run(&b, "affinity", 1); /* least recently used goes */
    const struct emp_measure_figures *f = &b.figures;
    assert_int_equal(f->evictions, 3);
    assert_int_equal(f->score.moves.evicted[EMP_SCORECARD_FOR_JOB], 3);
    assert_int_equal(f->score.moves.evicted[EMP_SCORECARD_FOR_PLAN], 0);
    assert_int_equal(f->score.moves.regretted[EMP_SCORECARD_FOR_JOB], 1); /* b, after 20 minutes */
    assert_int_equal(f->score.moves.regretted_bytes[EMP_SCORECARD_FOR_JOB], 10000000);
    assert_int_equal(f->score.moves.planned, 0);
    assert_int_equal(f->ready.jobs, 8);
    assert_int_equal(f->ready.within, 3); /* the second, and the last two */
    assert_int_equal(f->redundant_bytes, 20000000);
    assert_int_equal(f->score.forecast.hours, 0);
    bench_release(&b);
}

/* What was fetched for a job that came while it was under way was not there before it. */
static const char together[] = "submitted_at,models,run_ms\n"
                               "2025-01-06 00:00:00,a:10000000:base,1000\n"
                               "2025-01-06 00:00:05,a:10000000:base,1000\n"
                               "2025-01-06 00:00:30,a:10000000:base,1000\n";

static void a_model_on_its_way_is_not_there(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, one_machine, together, 1);
    bench_run(&b, "emp", 1);
    assert_int_equal(b.figures.ready.jobs, 3);
    assert_int_equal(b.figures.ready.within, 1);
    bench_release(&b);
}

static const char small_office[] =
    "like: churn\n"
    "fleet:\n"
    "  pools:\n"
    "    - {name: standard, machines: 6, slots: 1, gpu_memory: 24gb, "
    "ram: 32gb, disk: 60gb, jobs: [trace]}\n"
    "generator: {days: 3, history: 500, jobs_per_workday: 1500}\n";

static void about(uint64_t told, uint64_t happened)
{
    if (fabs((double)told - (double)happened) > 2 + 0.03 * (double)happened)
        fail_msg("%llu were told, %llu happened", (unsigned long long)told,
                 (unsigned long long)happened);
}

/* The core guesses from reports what a fetch or a deletion was for; machines know. They differ by
 * what was under way when one of them vanished, or a message crossed another. */
static void the_broker_knows_from_reports_what_happened(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct bench b;
        bench_init(&b, small_office, NULL, seed);
        bench_run(&b, "emp-predictive", seed);
        const struct emp_scorecard_moves *told = &b.figures.moves_told, *m = &b.figures.score.moves;
        about(told->jobs, m->jobs);
        about(told->ready, m->ready);
        about(told->planned, m->planned);
        about(told->used, m->used);
        for (int why = 0; why < EMP_SCORECARD_FORS; why++) {
            about(told->evicted[why], m->evicted[why]);
            about(told->regretted[why], m->regretted[why]);
            assert_true(m->evicted[why] >= m->regretted[why]);
        }
        assert_true(m->planned > 20 && m->used > 0 && m->used < m->planned);
        assert_true(m->evicted[EMP_SCORECARD_FOR_PLAN] + m->evicted[EMP_SCORECARD_FOR_JOB] > 5);
        const struct emp_scorecard_forecast *f = &b.figures.score.forecast;
        assert_in_range(f->hours, 60, 72);
        assert_true(f->came > 2000 && f->missed > 0 && f->missed < 1.5 * f->came);
        assert_true(f->held > 0.6 * (double)f->intervals);
        assert_true(f->top[0] <= f->top[1] && f->top[1] <= f->top[2] && f->top[2] <= f->came);
        bench_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evictions_and_readiness_by_hand),
        cmocka_unit_test(a_model_on_its_way_is_not_there),
        cmocka_unit_test(the_broker_knows_from_reports_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

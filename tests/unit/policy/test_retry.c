/* Retries and blame: ranges, and a small fleet in which somebody is to blame. */
#include "policy/retry.h"

#include "check.h"

#include <math.h>

static const struct emp_settings_retry retry = {
    .base_ms = 1000, .max_ms = 60000, .jitter = 0.3, .max_retries = 3};
static const struct emp_settings_blame blame = {.quarantine_failures = 3, .quarantine_ms = 300000};

static void executions(void **state)
{
    (void)state;
    static const struct {
        int32_t asked, configured;
        uint32_t executions;
    } cases[] = {{-1, 3, 3},
                 {0, 3, 1},
                 {1, 3, 1},
                 {7, 3, 7},
                 {-1, 0, 1},
                 {-1, -5, 1},
                 {INT32_MIN, 4, 4},
                 {INT32_MAX, 3, EMP_RETRIES_MAX},
                 {-1, INT32_MAX, EMP_RETRIES_MAX}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct emp_settings_retry s = {.max_retries = cases[i].configured};
        struct emp_job_spec job = {.max_retries = cases[i].asked};
        check_case(i, emp_retry_executions(&s, &job) == cases[i].executions);
    }
}

static void backoff_doubles_within_jitter(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 1);
    double low = 1, high = 0;
    for (int i = 0; i < 20000; i++) {
        uint32_t counted = (uint32_t)emp_random_below(&r, 40);
        double middle = counted ? fmin(60000, 1000 * exp2(counted - 1)) : 0;
        double ratio = middle > 0 ? (double)emp_retry_backoff_ms(&retry, counted, &r) / middle : 1;
        check_case(counted, ratio > 0.699 && ratio < 1.301);
        low = fmin(low, ratio);
        high = fmax(high, ratio);
    }
    assert_true(low < 0.71 && high > 1.29); // the whole width is used
    assert_int_equal(emp_retry_backoff_ms(&retry, 0, &r), 0);
}

static void backoff_of_absurd_settings(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 2);
    static const int64_t times[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    static const double jitters[] = {-1, 0, NAN, 7, INFINITY};
    for (size_t b = 0; b < COUNT(times); b++)
        for (size_t m = 0; m < COUNT(times); m++)
            for (size_t j = 0; j < COUNT(jitters); j++) {
                struct emp_settings_retry s = {
                    .base_ms = times[b], .max_ms = times[m], .jitter = jitters[j]};
                int64_t ms = emp_retry_backoff_ms(&s, UINT32_MAX, &r);
                check_case(b, ms >= 0 && ms <= 2 * EMP_DURATION_MS_MAX);
            }
}

/* ---- a fleet: jobs go to a random machine that has not failed them and is not in quarantine,
 * three executions ---- */

enum { MACHINES = 10 };
struct fleet {
    struct emp_blame blame[MACHINES];
    int64_t quarantine[MACHINES];
    struct emp_random random;
    uint32_t machines;
    double bad_machine; /* how often machine 0 fails, */
    double flaky;       /* any machine, at random, */
    uint32_t failures_before_quarantine;
};

static float peers_success(const struct fleet *f, uint32_t machine)
{
    double sum = 0;
    for (uint32_t m = 0; m < f->machines; m++)
        sum += m == machine ? 0 : (double)f->blame[m].failure_rate;
    return f->machines > 1 ? (float)(1 - sum / (f->machines - 1)) : 0;
}

static void ask(struct fleet *f, uint32_t machine)
{
    f->blame[machine].peers_success = peers_success(f, machine);
    f->quarantine[machine] += emp_blame_quarantine_ms(&blame, &f->blame[machine]);
}

static uint32_t pick(struct fleet *f, const bool *failed)
{
    for (int tries = 0; tries < 200; tries++) {
        uint32_t m = (uint32_t)emp_random_below(&f->random, f->machines);
        if (!failed[m] && f->quarantine[m] == 0)
            return m;
    }
    return f->machines;
}

/* What the core does with one job: failures are suspicions until the job is seen elsewhere. */
static void run_job(struct fleet *f, double poison, int executions_max)
{
    bool failed[MACHINES] = {false};
    for (int n = 0; n < executions_max; n++) {
        uint32_t m = pick(f, failed);
        if (m == f->machines)
            return;
        double chance = m == 0 ? fmax(poison, fmax(f->flaky, f->bad_machine))
                               : fmax(poison, f->flaky);
        if (emp_random_unit(&f->random) >= chance) {
            emp_blame_success(&f->blame[m]);
            for (uint32_t other = 0; other < f->machines; other++)
                if (failed[other]) {
                    emp_blame_convict(&f->blame[other]);
                    ask(f, other);
                }
            return;
        }
        emp_blame_failure(&f->blame[m], false);
        if (m == 0)
            f->failures_before_quarantine += f->quarantine[0] == 0;
        bool elsewhere = false;
        for (uint32_t other = 0; other < f->machines; other++)
            elsewhere |= failed[other];
        for (uint32_t other = 0; other < f->machines && n == 1;
             other++) // the second failure tells both apart from blame
            if (failed[other])
                emp_blame_acquit(&f->blame[other]);
        if (elsewhere)
            emp_blame_acquit(&f->blame[m]);
        failed[m] = true;
        ask(f, m);
    }
}

static struct fleet fleet(uint64_t seed)
{
    struct fleet f = {.machines = MACHINES};
    emp_random_init(&f.random, seed);
    return f;
}

static uint32_t others_quarantined(const struct fleet *f)
{
    uint32_t n = 0;
    for (uint32_t m = 1; m < f->machines; m++)
        n += f->quarantine[m] > 0;
    return n;
}

static void a_bad_machine_is_found_within_few_jobs(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct fleet f = fleet(seed);
        f.bad_machine = 1;
        for (int jobs = 0; jobs < 300 && f.quarantine[0] == 0; jobs++)
            run_job(&f, 0, 3);
        check_case(seed, f.quarantine[0] > 0 && others_quarantined(&f) == 0);
        check_case(seed, f.failures_before_quarantine <= blame.quarantine_failures);
    }
}

static void a_half_bad_machine_is_found_too(void **state)
{
    (void)state;
    uint32_t found = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct fleet f = fleet(seed);
        f.bad_machine = 0.6;
        for (int jobs = 0; jobs < 400 && f.quarantine[0] == 0; jobs++)
            run_job(&f, 0, 3);
        found += f.quarantine[0] > 0;
        check_case(seed, others_quarantined(&f) == 0);
    }
    assert_true(found > 190);
}

/* Jobs that may be executed once only convict nobody: then the streak speaks, when the others do
 * well. */
static void suspicion_alone_is_enough_in_the_end(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fleet f = fleet(seed);
        f.bad_machine = 1;
        for (int jobs = 0; jobs < 400 && f.quarantine[0] == 0; jobs++)
            run_job(&f, 0, 1);
        check_case(seed, f.quarantine[0] > 0 && others_quarantined(&f) == 0);
        check_case(seed, f.failures_before_quarantine == 2 * blame.quarantine_failures);
    }
}

static void poison_never_quarantines(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct fleet f = fleet(seed);
        f.machines = 1 + (uint32_t)(seed % MACHINES);
        int executions_max = 1 + (int)(seed % 3);
        for (int jobs = 0; jobs < 300; jobs++) { // alone, among good ones, and as a flood
            bool poison = jobs < 100 ? jobs % 10 == 0 : jobs < 200 ? jobs % 2 == 0 : true;
            run_job(&f, poison, executions_max);
        }
        for (uint32_t m = 0; m < f.machines; m++)
            check_case(seed, f.quarantine[m] == 0);
    }
}

/* Jobs that fail by chance, one in five, everywhere: everybody is convicted of something, nobody
 * stands out. */
static void flakiness_is_nobodys_fault(void **state)
{
    (void)state;
    uint32_t wrong = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fleet f = fleet(seed);
        f.flaky = 0.2;
        for (int jobs = 0; jobs < 1000; jobs++)
            run_job(&f, 0, 3);
        wrong += others_quarantined(&f);
    }
    assert_true(wrong < 100 * MACHINES / 20); // of a thousand machines over a hundred jobs each
}

static void machine_faults_count_at_once(void **state)
{
    (void)state;
    struct emp_blame b = {0};
    for (int i = 0; i < 2; i++) {
        emp_blame_failure(&b, true);
        assert_int_equal(emp_blame_quarantine_ms(&blame, &b), 0);
    }
    emp_blame_failure(&b, true);
    assert_int_equal(emp_blame_quarantine_ms(&blame, &b), 300000);
    assert_int_equal(emp_blame_quarantine_ms(&blame, &b), 0); // once
}

static void a_success_pays_for_one_conviction(void **state)
{
    (void)state;
    struct emp_blame b = {0};
    for (int i = 0; i < 2; i++)
        emp_blame_failure(&b, true);
    emp_blame_success(&b);
    emp_blame_failure(&b, true);
    assert_int_equal(emp_blame_quarantine_ms(&blame, &b), 0);
    emp_blame_failure(&b, true);
    assert_int_equal(emp_blame_quarantine_ms(&blame, &b), 300000);
}

/* One after the other, each acquitted when its job has failed elsewhere: no streak, no rate. */
static void acquittals_leave_nothing_behind(void **state)
{
    (void)state;
    struct emp_blame b = {.peers_success = 1};
    for (int i = 0; i < 100; i++) {
        emp_blame_failure(&b, false);
        assert_int_equal(emp_blame_quarantine_ms(&blame, &b), 0);
        emp_blame_acquit(&b);
        assert_true(b.streak == 0 && b.failure_rate < 1e-6F);
    }
}

static void quarantine_doubles_up_to_an_hour_and_is_forgiven(void **state)
{
    (void)state;
    static const int64_t minutes[] = {5, 10, 20, 40, 60, 60};
    struct emp_blame b = {0};
    for (size_t n = 0; n < COUNT(minutes); n++) {
        int64_t ms = 0;
        for (int i = 0; i < 3; i++) {
            emp_blame_failure(&b, true);
            ms += emp_blame_quarantine_ms(&blame, &b);
        }
        check_case(n, ms == minutes[n] * 60000);
    }
    for (int i = 0; i < 3; i++)
        emp_blame_success(&b);
    assert_int_equal(b.quarantines, COUNT(minutes)); // not by a few lucky jobs
    for (int i = 0; i < 40; i++)
        emp_blame_success(&b);
    assert_int_equal(b.quarantines, 0);
}

static void counters_stay_in_range(void **state)
{
    (void)state;
    struct emp_random r;
    struct emp_blame b = {
        .streak = UINT32_MAX, .convictions = UINT32_MAX, .quarantines = UINT32_MAX};
    emp_random_init(&r, 5);
    emp_blame_failure(&b, true);
    assert_true(b.streak == UINT32_MAX && b.convictions == UINT32_MAX);
    assert_int_equal(emp_blame_quarantine_ms(&blame, &b), 3600000);
    for (int i = 0; i < 100000; i++) {
        switch (emp_random_below(&r, 5)) {
        case 0:
            emp_blame_success(&b);
            break;
        case 1:
            emp_blame_failure(&b, false);
            break;
        case 2:
            emp_blame_acquit(&b);
            break;
        case 3:
            emp_blame_convict(&b);
            break;
        default:
            emp_blame_quarantine_ms(&blame, &b);
            break;
        }
        assert_true(b.failure_rate >= 0 && b.failure_rate <= 1 && b.streak < 200000 &&
                    b.convictions < 200000);
    }
    struct emp_settings_blame odd = {.quarantine_failures = UINT32_MAX, .quarantine_ms = INT64_MAX};
    b = (struct emp_blame){.convictions = UINT32_MAX, .quarantines = 70};
    assert_int_equal(emp_blame_quarantine_ms(&odd, &b), INT64_MAX);
    odd = (struct emp_settings_blame){.quarantine_failures = 0, .quarantine_ms = -1};
    assert_int_equal(emp_blame_quarantine_ms(&odd, &b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executions),
        cmocka_unit_test(backoff_doubles_within_jitter),
        cmocka_unit_test(backoff_of_absurd_settings),
        cmocka_unit_test(a_bad_machine_is_found_within_few_jobs),
        cmocka_unit_test(a_half_bad_machine_is_found_too),
        cmocka_unit_test(suspicion_alone_is_enough_in_the_end),
        cmocka_unit_test(poison_never_quarantines),
        cmocka_unit_test(flakiness_is_nobodys_fault),
        cmocka_unit_test(machine_faults_count_at_once),
        cmocka_unit_test(a_success_pays_for_one_conviction),
        cmocka_unit_test(acquittals_leave_nothing_behind),
        cmocka_unit_test(quarantine_doubles_up_to_an_hour_and_is_forgiven),
        cmocka_unit_test(counters_stay_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

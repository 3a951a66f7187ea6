/* What each policy does where it matters, on one or two machines. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

#define ONE BENCH_SCENARIO(BENCH_POOL("standard", "1", "3.5gb"))
#define TWO BENCH_SCENARIO(BENCH_POOL("standard", "2", "3.5gb"))

enum { SECOND = 1000 };

static char *csv(char *out, const char *header)
{
    return out + sprintf(out, "submitted_at,models,run_ms%s\n", header);
}

/* A row `at` ms after midnight. */
static char *row(char *out, int64_t at, const char *models, int run_ms, const char *more)
{
    return out + sprintf(out, "2026-01-05 %02d:%02d:%02d.%03d,%s,%d%s\n", (int)(at / 3600000),
                         (int)(at / 60000 % 60), (int)(at / 1000 % 60), (int)(at % 1000), models,
                         run_ms, more);
}

#define A "a:1000000000:base"

/* ---- incumbent ---- */

static int64_t next_ask(int64_t at, int64_t phase)
{
    return at + ((phase - at) % SECOND + SECOND) % SECOND;
}

static void incumbent_asks_once_a_second(void **state)
{
    char trace[2048], *at = csv(trace, "");
    struct bench b;
    (void)state;
    for (int i = 0; i < 10; i++) /* alone; then in pairs, of which one waits for the other */
        at = row(at, (600 + 60 * i) * SECOND + 137 * i, A, 5000, "");
    for (int i = 0; i < 10; i++)
        at = row(at, (1800 + 60 * i) * SECOND + 137 * i, A, 5000, ""),
        at = row(at, (1800 + 60 * i) * SECOND + 137 * i + 1, A, 5000, "");
    bench_init(&b, ONE, trace, 1);
    bench_run(&b, "incumbent", 1);
    int64_t phase = b.jobs[1].assigned % SECOND;
    for (uint32_t i = 1; i <= b.job_count; i++) {
        int64_t free_at = i > 1 ? b.jobs[i - 1].ended : 0, ready = b.jobs[i].submitted;
        assert_int_equal(b.jobs[i].assigned, next_ask(free_at > ready ? free_at : ready, phase));
    }
    bench_release(&b);
}

static void incumbent_takes_what_comes_first_whatever_it_holds(void **state)
{
    enum { JOBS = 40 };
    char trace[8192], *at = csv(trace, "");
    int64_t phase[2] = {-1, -1};
    uint32_t in_vain = 0;
    struct bench b;
    (void)state;
    for (int i = 0; i < JOBS; i++) /* one at a time, at every part of a second */
        at = row(at, (600 + 60 * i) * SECOND + 25 * i, i % 2 ? A : "b:1000000000:base", 5000, "");
    bench_init(&b, TWO, trace, 1);
    bench_run(&b, "incumbent", 1);
    for (uint32_t i = 1; i <= JOBS; i++)
        phase[b.jobs[i].machine] = b.jobs[i].assigned % SECOND;
    assert_true(phase[0] >= 0 && phase[1] >= 0 && phase[0] != phase[1]);
    for (uint32_t i = 1; i <= JOBS; i++) {
        const struct bench_job *j = &b.jobs[i];
        int64_t mine = next_ask(j->submitted, phase[j->machine]),
                other = next_ask(j->submitted, phase[!j->machine]);
        assert_int_equal(j->assigned, mine);
        assert_true(mine < other);
        in_vain += j->computes > j->assigned + BENCH_DELAY_MS;
    }
    assert_true(in_vain > 2); /* a and b take turns: loaded again, though the other may have it */
    bench_release(&b);
}

static void incumbent_goes_by_priority_then_by_age(void **state)
{
    char trace[1024], *at = csv(trace, ",priority,customer");
    struct bench b;
    (void)state;
    at = row(at, 600 * SECOND, A, 900 * SECOND, ",50,x");
    at = row(at, 601 * SECOND, A, 5000, ",50,x"); /* has waited 919 s when there is a machine */
    at = row(at, 602 * SECOND, A, 5000, ",60,x");
    at = row(at, 603 * SECOND, A, 5000, ",50,y"); /* another customer counts for nothing */
    at = row(at, 1400 * SECOND, A, 5000, ",60,x");
    bench_init(&b, ONE, trace, 1);
    bench_run(&b, "incumbent", 1);
    const struct bench_job *j = b.jobs;
    assert_true(j[1].assigned < j[3].assigned && j[3].assigned < j[5].assigned);
    assert_true(j[5].assigned < j[2].assigned && j[2].assigned < j[4].assigned);
    bench_release(&b);
}

static void incumbent_looks_at_the_first_hundred(void **state)
{
    enum { LARGE = 130 };
    static const char scenario[] =
        BENCH_SCENARIO(BENCH_POOL("small", "1", "1.5gb") ", " BENCH_POOL("large", "1", "20gb"));
    char trace[16384], *at = csv(trace, ",priority");
    struct bench b;
    (void)state;
    for (int i = 0; i < LARGE; i++)
        at = row(at, 600 * SECOND, "big:5000000000:base", 10000, ",60");
    at = row(at, 601 * SECOND, A, 5000, ",50");
    bench_init(&b, scenario, trace, 1);
    bench_run(&b, "incumbent", 1);
    /* The small machine can run the last alone, and sees it when 99 stand before it: once 31 of the
     * large ones have gone. */
    const struct bench_job *small = &b.jobs[LARGE + 1];
    assert_int_equal(small->machine, 0);
    assert_true(small->assigned > b.jobs[31].assigned);
    assert_true(small->assigned <= b.jobs[31].assigned + SECOND);
    for (int i = 1; i <= LARGE; i++)
        assert_int_equal(b.jobs[i].machine, 1);
    bench_run(&b, "emp", 1); /* has no window */
    assert_int_equal(b.jobs[LARGE + 1].assigned, b.jobs[LARGE + 1].submitted);
    bench_release(&b);
}

/* ---- least-loaded ---- */

static void least_loaded_takes_who_is_idle_longest(void **state)
{
    char trace[2048], *at = csv(trace, "");
    struct bench b;
    (void)state;
    for (int i = 0; i < 10; i++)
        at = row(at, (600 + 60 * i) * SECOND, A, 5000, "");
    /* nobody is idle: whoever is first */
    at = row(at, 1800 * SECOND, A, 100 * SECOND, "");
    at = row(at, 1801 * SECOND, A, 50 * SECOND, "");
    at = row(at, 1802 * SECOND, A, 5000, "");
    bench_init(&b, TWO, trace, 1);
    bench_run(&b, "least-loaded", 1);
    for (uint32_t i = 1; i <= 10; i++) {
        assert_int_equal(b.jobs[i].assigned, b.jobs[i].submitted);
        assert_int_equal(b.jobs[i].machine, (i + 1) % 2); /* in turn, though one has the model */
    }
    assert_int_equal(b.jobs[13].machine, b.jobs[12].machine);
    assert_int_equal(b.jobs[13].assigned, b.jobs[12].ended);
    bench_release(&b);
}

/* ---- affinity ---- */

static int64_t affinity_us(int64_t slot_free_ms, struct emp_route_models whole,
                           struct emp_route_models modifier)
{
    struct emp_route_facts f = {.slot_free_ms = slot_free_ms,
                                .whole = whole,
                                .modifier = modifier,
                                /* of no interest to it */
                                .fetch_bytes = 1 << 30,
                                .missing_bytes = 1 << 30,
                                .link_bytes_per_s = 1,
                                .load_ms = 77777,
                                .run_ms = 5000,
                                .speed = 3,
                                .pool_penalty_ms = 5000,
                                .failure_rate = 1,
                                .failed_this_job = true,
                                .displaced_ms = 9999,
                                .slots = 4,
                                .busy = 3};
    struct emp_route_terms t;
    emp_policy_affinity.terms(&emp_settings_default()->routing, &f, &t);
    return emp_route_cost(&t);
}

static void affinity_adds_fixed_prices(void **state)
{
    static const struct {
        int64_t slot_free_ms;
        struct emp_route_models whole, modifier; /* absent, on disk, in RAM, in GPU memory */
        double seconds;
    } cases[] = {
        {0, {0, 0, 0, 1}, {0, 0, 0, 2}, 0},
        {0, {1, 0, 0, 0}, {0, 0, 0, 0}, 60},
        {0, {0, 1, 0, 0}, {0, 0, 0, 0}, 30},
        {0, {0, 0, 1, 0}, {0, 0, 0, 0}, 2.8},
        {0, {0, 0, 0, 1}, {1, 0, 0, 0}, 8},
        {0, {0, 0, 0, 1}, {0, 1, 0, 0}, 4.4},
        {12345, {0, 0, 0, 1}, {0, 0, 0, 0}, 12.345},
        {1000, {1, 1, 1, 1}, {2, 1, 0, 1}, 1 + 60 + 30 + 2.8 + 2 * 8 + 4.4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        bench_near((double)affinity_us(cases[i].slot_free_ms, cases[i].whole, cases[i].modifier) /
                       1e6,
                   cases[i].seconds, 1e-9);
}

/* Twenty jobs of 5 s, one after the other, so that their length is known; then `burst` at once. */
static void known_then_at_once(struct bench *b, const char *scenario, const char *policy, int burst,
                               int run_ms)
{
    char trace[32768], *at = csv(trace, "");
    for (int i = 0; i < 20; i++)
        at = row(at, (600 + 300 * i) * SECOND, A, run_ms, "");
    for (int i = 0; i < burst; i++)
        at = row(at, 7800 * SECOND, A, run_ms, "");
    bench_init(b, scenario, trace, 1);
    bench_run(b, policy, 1);
}

static uint32_t on_second(const struct bench *b)
{
    uint32_t n = 0;
    for (uint32_t i = 1; i <= b->job_count; i++)
        n += b->jobs[i].machine == 1;
    return n;
}

static void nobody_leaves_a_machine_idle_for_long(void **state)
{
    enum { BURST = 300 };
    static const char *const policies[] = {"affinity", "emp", "emp-predictive"};
    (void)state;
    for (size_t p = 0; p < sizeof policies / sizeof *policies; p++) {
        struct bench b;
        known_then_at_once(&b, TWO, policies[p], BURST, 1000);
        uint32_t second = 0;
        int64_t last = 0;
        for (uint32_t i = 21; i <= b.job_count; i++) {
            second += b.jobs[i].machine == 1;
            last = b.jobs[i].ended > last ? b.jobs[i].ended : last;
        }
        /* one machine would take 315 s; both, with a fetch and a load before, 168 */
        if (second < BURST / 3 || last - b.jobs[21].submitted > 180 * SECOND)
            fail_msg("%s: %u of %u on the other machine, the last after %g s", policies[p], second,
                     BURST, (double)(last - b.jobs[21].submitted) / 1000);
        bench_release(&b);
    }
}

static void affinity_waits_for_the_model_a_minute_long(void **state)
{
    struct bench b;
    (void)state;
    known_then_at_once(&b, TWO, "affinity", 4, 5000); /* the last waits 15 s: less than 60 */
    assert_int_equal(on_second(&b), 0);
    bench_release(&b);
    known_then_at_once(&b, TWO, "affinity", 20, 5000); /* the last would wait 95 s */
    uint32_t first = 0;
    for (uint32_t i = 21; i <= 40; i++)
        if (b.jobs[i].machine == 1 && b.jobs[i].assigned == b.jobs[i].submitted)
            first = first ? UINT32_MAX : i;
    assert_in_range(first, 21 + 11, 21 + 14); /* it sees 60 s before it: 12 or 13 of nearly 5 s */
    bench_release(&b);
}

/* ---- emp ---- */

/* Half of the links carry 10 MB/s, the others 100. */
#define UNEVEN                                                                                  \
    "like: office\nfleet:\n  pools: [" BENCH_POOL(                                              \
        "standard", "2", "3.5gb") "]\n"                                                         \
                                  "  link_mbit_per_s: {source: by hand, at: [[0, 80], [0.499, " \
                                  "80], [0.501, 800], [1, 800]]}\n"                             \
                                  "  gpus: [{name: X, share: 1, time: 1, usd_per_h: 0.5}]\n"

static uint64_t seed_with_the_first_link_slow(const struct emp_scenario *sc)
{
    for (uint64_t seed = 1; seed < 100; seed++) {
        struct emp_scenario_machine m[2];
        for (uint32_t i = 0; i < 2; i++)
            emp_scenario_machine(sc, seed, i, 0, &m[i]);
        if (m[0].link_bytes_per_s == 10000000 && m[1].link_bytes_per_s == 100000000)
            return seed;
    }
    fail_msg("no such seed");
    return 0;
}

static void emp_fetches_where_the_link_is_fast(void **state)
{
    char trace[512], *at = csv(trace, "");
    struct bench b;
    (void)state;
    at = row(at, 600 * SECOND, A, 5000, "");
    bench_init(&b, UNEVEN, trace, 1);
    uint64_t seed = seed_with_the_first_link_slow(&b.scenario);
    bench_run(&b, "emp", seed);
    assert_int_equal(b.jobs[1].machine, 1);
    bench_run(&b, "affinity", seed); /* knows nothing of links: the first of two equals */
    assert_int_equal(b.jobs[1].machine, 0);
    bench_release(&b);
}

static void emp_waits_for_a_model_if_that_is_sooner(void **state)
{
    struct bench b;
    (void)state;
    known_then_at_once(&b, TWO, "emp", 2, 5000); /* 5 s to wait, 20.5 s to fetch and load */
    assert_int_equal(on_second(&b), 0);
    assert_int_equal(b.jobs[22].assigned, b.jobs[21].ended);
    bench_release(&b);
}

static void emp_makes_a_second_machine_ready_where_jobs_would_wait_long(void **state)
{
    struct bench b;
    (void)state;
    known_then_at_once(&b, TWO, "emp", 2, 100 * SECOND);
    for (uint32_t i = 21; i <= 22; i++)
        assert_int_equal(b.jobs[i].computes - b.jobs[i].submitted, BENCH_DELAY_MS);
    assert_int_equal(b.figures.attempts, 22);
    assert_int_equal(b.figures.fetches, 2);
    bench_release(&b);
}

/* ---- bounds ---- */

/* Once somebody has used a; hours later it is wanted twice at once, a few times. */
static void a_clairvoyant_has_the_model_there_before(void **state)
{
    char trace[2048], *at = csv(trace, "");
    struct bench b;
    (void)state;
    at = row(at, 600 * SECOND, A, 60000, "");
    for (int i = 0; i < 8; i++)
        at = row(at, (5 * 3600 + i / 2 * 600) * SECOND, A, 60000, "");
    bench_init(&b, TWO, trace, 1);
    bench_run(&b, "emp", 1);
    assert_true(b.jobs[3].computes - b.jobs[3].submitted > 20000); /* the other machine fetches */
    bench_run(&b, "clairvoyant", 1);
    for (uint32_t i = 2; i <= b.job_count; i++)
        assert_int_equal(b.jobs[i].computes - b.jobs[i].submitted, BENCH_DELAY_MS);
    bench_release(&b);
}

static void unlimited_has_no_patience(void **state)
{
    char trace[1024], *at = csv(trace, ",priority,customer");
    struct bench b;
    (void)state;
    at = row(at, 600 * SECOND, A, 900 * SECOND, ",50,x");
    at = row(at, 601 * SECOND, A, 5000, ",50,x"); /* longer than anybody's patience */
    at = row(at, 602 * SECOND, A, 5000, ",50,y");
    at = row(at, 1400 * SECOND, A, 5000, ",60,x");
    bench_init(&b, ONE, trace, 1);
    bench_run(&b, "unlimited", 1);
    const struct bench_job *j = b.jobs;
    assert_int_equal(j[4].assigned, j[1].ended);
    assert_int_equal(j[2].assigned, j[4].ended);
    assert_int_equal(j[3].assigned, j[2].ended);
    bench_run(&b, "emp", 1); /* has */
    assert_true(b.jobs[2].assigned < b.jobs[4].assigned);
    bench_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incumbent_asks_once_a_second),
        cmocka_unit_test(incumbent_takes_what_comes_first_whatever_it_holds),
        cmocka_unit_test(incumbent_goes_by_priority_then_by_age),
        cmocka_unit_test(incumbent_looks_at_the_first_hundred),
        cmocka_unit_test(least_loaded_takes_who_is_idle_longest),
        cmocka_unit_test(affinity_adds_fixed_prices),
        cmocka_unit_test(affinity_waits_for_the_model_a_minute_long),
        cmocka_unit_test(nobody_leaves_a_machine_idle_for_long),
        cmocka_unit_test(emp_fetches_where_the_link_is_fast),
        cmocka_unit_test(emp_waits_for_a_model_if_that_is_sooner),
        cmocka_unit_test(emp_makes_a_second_machine_ready_where_jobs_would_wait_long),
        cmocka_unit_test(a_clairvoyant_has_the_model_there_before),
        cmocka_unit_test(unlimited_has_no_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Run times: laws that are known must be found, intervals hold what they promise, limits hold. */
#include "policy/duration.h"

#include "base/error.h"
#include "check.h"
#include "domain/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double normal(struct emp_random *r)
{
    return sqrt(-2 * log(1 - emp_random_unit(r))) * cos(6.283185307 * emp_random_unit(r));
}

struct made {
    struct emp_duration_job job;
    struct emp_str models[3];
    char names[3][16];
    double truth_ms;
};

/* Bases that differ by up to a factor of five, LoRAs that cost a little, time proportional to steps
 * and to the root of images, twice as long on the slow GPU; noise of 15%. */
static void make(struct made *m, struct emp_random *r, int bases)
{
    int base = (int)emp_random_below(r, (uint64_t)bases);
    uint32_t loras = (uint32_t)emp_random_below(r, 3);
    static const double steps[] = {20, 30, 50}, images[] = {1, 4, 8};
    bool slow = emp_random_below(r, 2);
    snprintf(m->names[0], sizeof m->names[0], "b%d", base);
    m->models[0] = emp_str_z(m->names[0]);
    for (uint32_t i = 1; i <= loras; i++) {
        snprintf(m->names[i], sizeof m->names[i], "l%d", (int)emp_random_below(r, 500));
        m->models[i] = emp_str_z(m->names[i]);
    }
    m->job = (struct emp_duration_job){.service = EMP_STR("draw"),
                                       .gpu = slow ? EMP_STR("T4") : EMP_STR("L40"),
                                       .models = m->models,
                                       .model_count = 1 + loras,
                                       .steps = steps[emp_random_below(r, 3)],
                                       .images = images[emp_random_below(r, 3)]};
    m->truth_ms = 4000 * (1 + base % 5) * m->job.steps / 30 * sqrt(m->job.images) *
                  (1 + 0.1 * loras) * (slow ? 2 : 1);
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void a_law_is_found_and_its_noise_covered(void **state)
{
    (void)state;
    enum { JOBS = 12000, JUDGED = 2000 };
    static double off[JUDGED];
    struct emp_arena arena;
    struct emp_random r;
    struct emp_duration d;
    int held = 0, below_90 = 0, n = 0;
    emp_arena_init(&arena, 0);
    emp_random_init(&r, 1);
    emp_duration_init(&d, &arena);
    for (int i = 0; i < JOBS; i++) {
        struct made m;
        struct emp_duration_guess g;
        make(&m, &r, 20);
        double ms = m.truth_ms * exp(0.15 * normal(&r));
        if (i >= JOBS - JUDGED) {
            assert_true(emp_duration_guess(&d, &m.job, &g));
            check_case(i, g.p05_ms <= g.p50_ms && g.p50_ms <= g.p90_ms && g.p90_ms <= g.p95_ms);
            off[n++] = fabs((double)g.p50_ms - m.truth_ms) / m.truth_ms;
            held += ms >= (double)g.p05_ms && ms <= (double)g.p95_ms;
            below_90 += ms <= (double)g.p90_ms;
        }
        emp_duration_observe(&d, &m.job, (int64_t)ms);
    }
    qsort(off, JUDGED, sizeof *off, by_number);
    assert_true(off[JUDGED / 2] < 0.08);
    assert_true(held > 0.87 * JUDGED && held < 0.93 * JUDGED);
    assert_true(below_90 > 0.87 * JUDGED && below_90 < 0.93 * JUDGED);
    emp_arena_release(&arena);
}

/* A base never seen before is guessed from its features; ten jobs later from its own past. */
static void the_unknown_becomes_known(void **state)
{
    (void)state;
    struct emp_arena arena;
    struct emp_random r;
    struct emp_duration d;
    struct emp_duration_guess before, after, g = {.p50_ms = 7};
    struct emp_str name = EMP_STR("video");
    struct emp_duration_job job = {.service = EMP_STR("draw"),
                                   .gpu = EMP_STR("T4"),
                                   .models = &name,
                                   .model_count = 1,
                                   .steps = 30,
                                   .images = 1};
    emp_arena_init(&arena, 0);
    emp_random_init(&r, 2);
    emp_duration_init(&d, &arena);
    assert_false(emp_duration_guess(&d, &job, &g));
    assert_int_equal(g.p50_ms, 7);
    emp_duration_observe(&d, &job, 0); // no run time at all
    assert_false(emp_duration_guess(&d, &job, &g));
    for (int i = 0; i < 3000; i++) {
        struct made m;
        make(&m, &r, 20);
        emp_duration_observe(&d, &m.job, (int64_t)m.truth_ms);
    }
    assert_true(emp_duration_guess(&d, &job, &before));
    assert_int_equal(before.known, 1);
    assert_true(before.p50_ms > 8000 && before.p50_ms < 60000); // like others on this GPU
    for (int i = 0; i < 10; i++)
        emp_duration_observe(&d, &job, 240000);
    assert_true(emp_duration_guess(&d, &job, &after));
    assert_int_equal(after.known, 5);
    assert_true(after.p50_ms > 2 * before.p50_ms && after.p50_ms < 300000);
    emp_arena_release(&arena);
}

/* What a payload does not say (a sampler, a resolution) is told by who asks: one customer's jobs
 * take half as long again. */
static void a_customer_has_ways_of_its_own(void **state)
{
    (void)state;
    struct emp_arena arena;
    struct emp_random r;
    struct emp_duration d;
    struct emp_duration_guess slow, others, stranger;
    struct emp_str name = EMP_STR("sdxl");
    struct emp_duration_job job = {
        .service = EMP_STR("draw"), .gpu = EMP_STR("T4"), .models = &name, .model_count = 1};
    emp_arena_init(&arena, 0);
    emp_random_init(&r, 9);
    emp_duration_init(&d, &arena);
    for (int i = 0; i < 2000; i++) {
        char who[8];
        int customer = (int)emp_random_below(&r, 8);
        snprintf(who, sizeof who, "c%d", customer);
        job.customer = emp_str_z(who);
        emp_duration_observe(&d, &job,
                             (int64_t)((customer ? 20000 : 30000) * exp(0.05 * normal(&r))));
    }
    job.customer = EMP_STR("c0");
    assert_true(emp_duration_guess(&d, &job, &slow));
    job.customer = EMP_STR("c1");
    assert_true(emp_duration_guess(&d, &job, &others));
    job.customer = EMP_STR("new");
    assert_true(emp_duration_guess(&d, &job, &stranger));
    assert_true(slow.p50_ms > 25000 && slow.p50_ms < 33000);
    assert_true(others.p50_ms > 18500 && others.p50_ms < 22500);
    assert_true(stranger.p50_ms > 18500 && stranger.p50_ms < 24000);
    emp_arena_release(&arena);
}

static void odd_jobs_do_no_harm(void **state)
{
    (void)state;
    struct emp_arena arena;
    struct emp_random r;
    struct emp_duration d;
    size_t settled = 0;
    emp_arena_init(&arena, 0);
    emp_random_init(&r, 3);
    emp_duration_init(&d, &arena);
    for (long i = 0; i < 60000; i++) {
        static const double odd[] = {0, -1, 1, 1e-300, 1e300, INFINITY, NAN, 30};
        char name[24];
        snprintf(name, sizeof name, "m%ld", i);
        struct emp_str model = emp_str_z(name);
        struct emp_duration_job job = {.models = &model, .model_count = i % 3 ? 1 : 0};
        double *numbers[] = {&job.steps, &job.pixels, &job.images, &job.frames};
        for (size_t k = 0; k < COUNT(numbers); k++)
            *numbers[k] = odd[emp_random_below(&r, COUNT(odd))];
        static const int64_t times[] = {1, 1000, 60000, INT64_MAX, EMP_DURATION_MS_MAX, -5};
        emp_duration_observe(&d, &job, times[emp_random_below(&r, COUNT(times))]);
        struct emp_duration_guess g;
        if (i % 50 == 49) {
            check_case(i, emp_duration_guess(&d, &job, &g));
            check_case(i, g.p05_ms >= 1 && g.p05_ms <= g.p50_ms && g.p50_ms <= g.p90_ms &&
                              g.p90_ms <= g.p95_ms && g.p95_ms <= EMP_DURATION_MS_MAX);
        }
        if (i == 20000)
            settled = arena.total_bytes;
    }
    assert_true(arena.total_bytes <= settled + 64 * 1024);
    emp_arena_release(&arena);
}

/* Saved now and then, only what changed, and loaded into a fresh one: it guesses the same and goes
 * on learning the same. */
static void rows_bring_it_back(void **state)
{
    (void)state;
    struct saved {
        unsigned char bytes[EMP_DURATION_ROW_BYTES_MAX];
        uint32_t length;
    };
    struct saved *rows = calloc(EMP_DURATION_ROWS_MAX, sizeof *rows);
    struct emp_arena arena;
    struct emp_random r;
    struct emp_duration d, back;
    struct emp_duration_row row;
    emp_arena_init(&arena, 0);
    emp_random_init(&r, 5);
    emp_duration_init(&d, &arena);
    emp_duration_init(&back, &arena);
    assert_false(emp_duration_changed(&d, &arena, &row));
    for (int i = 0; i < 9000; i++) {
        struct made m;
        make(&m, &r, 30);
        emp_duration_observe(&d, &m.job, (int64_t)m.truth_ms);
        while (i % 500 == 499 && emp_duration_changed(&d, &arena, &row)) {
            assert_true(row.number < EMP_DURATION_ROWS_MAX && row.length <= sizeof rows->bytes);
            memcpy(rows[row.number].bytes, row.bytes, row.length);
            rows[row.number].length = row.length;
        }
    }
    for (uint32_t n = EMP_DURATION_ROWS_MAX; n-- > 0;) {
        row = (struct emp_duration_row){n, rows[n].bytes, rows[n].length};
        assert_int_equal(emp_duration_load(&back, &row), rows[n].length ? 0 : EMP_E_INVALID);
        row.length--;
        assert_int_equal(emp_duration_load(&back, &row), EMP_E_INVALID);
    }
    for (int i = 0; i < 3000; i++) {
        struct made m;
        struct emp_duration_guess a, b;
        make(&m, &r, 30);
        assert_true(emp_duration_guess(&d, &m.job, &a) && emp_duration_guess(&back, &m.job, &b));
        check_case(i, a.p05_ms == b.p05_ms && a.p50_ms == b.p50_ms && a.p95_ms == b.p95_ms &&
                          a.known == b.known);
        emp_duration_observe(&d, &m.job, (int64_t)m.truth_ms);
        emp_duration_observe(&back, &m.job, (int64_t)m.truth_ms);
    }
    emp_arena_release(&arena);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_law_is_found_and_its_noise_covered),
        cmocka_unit_test(the_unknown_becomes_known),
        cmocka_unit_test(a_customer_has_ways_of_its_own),
        cmocka_unit_test(odd_jobs_do_no_harm),
        cmocka_unit_test(rows_bring_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

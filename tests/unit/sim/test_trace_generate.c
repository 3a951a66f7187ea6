/* Generated traces have the shape of their tables, and are the same for the same seed. */
#include "check.h"
#include "sim/measure/draw.h"
#include "sim/measure/scenario.h"

#include <math.h>

#define DAY_MS INT64_C(86400000)

static void generate(struct emp_trace *t, const char *name, uint64_t seed)
{
    struct emp_scenario sc;
    struct emp_error err = {0};
    emp_trace_init(t);
    if (emp_scenario_load(&sc, name, &err) < 0 ||
        emp_trace_open(t, &sc, NULL, NULL, NULL, seed, &err) < 0)
        fail_msg("%s", err.text);
    emp_scenario_release(&sc);
}

static void one_seed_is_one_trace(void **state)
{
    struct emp_trace a, b, c;
    (void)state;
    generate(&a, "mixed", 3);
    generate(&b, "mixed", 3);
    generate(&c, "mixed", 4);
    assert_int_equal(a.job_count, b.job_count);
    assert_int_equal(a.model_count, b.model_count);
    assert_memory_equal(a.jobs, b.jobs, a.job_count * sizeof *a.jobs);
    assert_memory_equal(a.job_models, b.job_models, a.job_model_count * sizeof *a.job_models);
    for (uint32_t i = 0; i < a.model_count; i++)
        assert_true(emp_str_eq(a.models[i].name, b.models[i].name));
    assert_false(emp_str_eq(a.models[0].name, c.models[0].name));
    assert_true(a.job_count != c.job_count ||
                memcmp(a.jobs, c.jobs, a.job_count * sizeof *a.jobs) != 0);
    emp_trace_release(&a);
    emp_trace_release(&b);
    emp_trace_release(&c);
}

static void jobs_are_in_order_of_time(void **state)
{
    struct emp_trace t;
    (void)state;
    generate(&t, "mixed", 1);
    for (uint32_t i = 0; i < t.job_count; i++) {
        const struct emp_trace_job *j = &t.jobs[i];
        assert_true((j->submitted_at == 0) == (i < t.history_count));
        assert_true(i == 0 || j->submitted_at >= t.jobs[i - 1].submitted_at);
        assert_true(j->model + j->model_count <= t.job_model_count);
        assert_true(j->model_count >= 1 && j->exec_ms > 0);
        for (uint16_t k = 0; k < j->model_count; k++)
            assert_true(t.job_models[j->model + k] < t.model_count);
    }
    emp_trace_release(&t);
}

/* Of one trace, what the tables speak of. */
struct shape {
    double workday, weekend, lora, first_use, top1, top10, mean_exec_s, new_loras;
};

static int descending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void add(struct shape *s, const struct emp_trace *t, double weight)
{
    int64_t *last = calloc(t->model_count, sizeof *last);
    uint32_t *uses = calloc(t->model_count, sizeof *uses), first = 0, lora = 0, days = 0;
    double exec = 0, n = t->job_count - t->history_count;
    for (uint32_t i = 0; i < t->job_count; i++) {
        const struct emp_trace_job *j = &t->jobs[i];
        bool fresh = false;
        for (uint16_t k = 0; k < j->model_count; k++) {
            uint32_t m = t->job_models[j->model + k];
            if (i < t->history_count) {
                last[m] = -1;
                continue;
            }
            s->new_loras += (t->models[m].kind == EMP_TRACE_LORA && last[m] == 0) * weight;
            fresh |= last[m] <= 0 || j->submitted_at - last[m] > DAY_MS;
            last[m] = j->submitted_at;
            uses[m] += t->models[m].kind == EMP_TRACE_BASE;
        }
        if (i < t->history_count)
            continue;
        int64_t weekday = (j->submitted_at / DAY_MS + 3) % 7;
        s->workday += (weekday < 5) * weight / 5;
        s->weekend += (weekday >= 5) * weight / 2;
        exec += j->exec_ms / 1000.0;
        lora += j->model_count > 1;
        first += fresh;
        days = (uint32_t)((j->submitted_at - t->origin) / DAY_MS + 1);
    }
    assert_int_equal(days, 7);
    qsort(uses, t->model_count, sizeof *uses, descending);
    s->top1 += uses[0] / n * weight;
    for (int i = 0; i < 10; i++)
        s->top10 += uses[i] / n * weight;
    s->lora += lora / n * weight;
    s->first_use += first / n * weight;
    s->mean_exec_s += exec / n * weight;
    free(last);
    free(uses);
}

#define NEAR(value, low, high)                                                            \
    do {                                                                                  \
        if (!((value) >= (low) && (value) <= (high)))                                     \
            fail_msg("%s is %g, not in [%g, %g]", #value, (double)(value), (double)(low), \
                     (double)(high));                                                     \
    } while (0)

/* The bounds are around what the recorded trace shows before the judged days. */
static void its_shape_is_the_recorded_ones(void **state)
{
    struct shape s = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct emp_trace t;
        generate(&t, "office", seed);
        assert_int_equal(t.history_count, 40000);
        add(&s, &t, 0.2);
        emp_trace_release(&t);
    }
    NEAR(s.workday, 1440, 1500);
    NEAR(s.weekend, 60, 115);
    NEAR(s.lora, 0.13, 0.18);
    NEAR(s.first_use, 0.03, 0.07); /* recorded: 0.040 */
    NEAR(s.top1, 0.22, 0.31);      /* 0.276 */
    NEAR(s.top10, 0.80, 0.88);     /* 0.865 */
    NEAR(s.mean_exec_s, 24, 28);   /* 26.2 */
    NEAR(s.new_loras, 5, 56);      /* 32 in four days, of models that had turned up before */
}

static void streams_have_their_rates(void **state)
{
    struct emp_trace t;
    uint32_t kinds[EMP_TRACE_JOB_KIND_COUNT] = {0}, many = 0;
    (void)state;
    generate(&t, "mixed", 1);
    for (uint32_t i = t.history_count; i < t.job_count; i++) {
        const struct emp_trace_job *j = &t.jobs[i];
        kinds[j->kind]++;
        many += j->kind == EMP_TRACE_JOB_VIDEO && j->model_count > 2;
        if (j->kind == EMP_TRACE_JOB_VIDEO)
            assert_in_range(j->exec_ms, 180000, 1200000);
        if (j->kind == EMP_TRACE_JOB_TEXT)
            assert_in_range(j->exec_ms, 500, 10000);
    }
    NEAR(kinds[EMP_TRACE_JOB_TEXT], 7 * 24 * 400 * 0.9, 7 * 24 * 400 * 1.1);
    NEAR(kinds[EMP_TRACE_JOB_VIDEO], 7 * 24 * 18 * 0.9, 7 * 24 * 18 * 1.1);
    NEAR(many, kinds[EMP_TRACE_JOB_VIDEO] / 2, kinds[EMP_TRACE_JOB_VIDEO]);
    emp_trace_release(&t);
}

static void draws_follow_their_laws(void **state)
{
    struct emp_random r;
    enum { N = 200000 };
    static const double cvs[] = {0.5, 1, 3}, means[] = {0.5, 20, 1000};
    (void)state;
    emp_random_init(&r, 11);
    for (int k = 0; k < 3; k++) {
        double sum = 0, squares = 0, count = 0, count2 = 0;
        for (int i = 0; i < N; i++) {
            double g = emp_draw_gamma(&r, cvs[k]), p = emp_draw_poisson(&r, means[k]);
            sum += g;
            squares += g * g;
            count += p;
            count2 += p * p;
        }
        double mean = sum / N, cv = sqrt(squares / N - mean * mean) / mean;
        NEAR(mean, 0.97, 1.03);
        NEAR(cv, cvs[k] * 0.97, cvs[k] * 1.03);
        mean = count / N;
        NEAR(mean, means[k] * 0.98, means[k] * 1.02);
        NEAR(count2 / N - mean * mean, means[k] * 0.97, means[k] * 1.03);
    }
    assert_true(fabs(emp_normal_quantile(0.975) - 1.959963985) < 1e-7);
    assert_true(fabs(emp_normal_share(1.959963985) - 0.975) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_seed_is_one_trace),
        cmocka_unit_test(jobs_are_in_order_of_time),
        cmocka_unit_test(its_shape_is_the_recorded_ones),
        cmocka_unit_test(streams_have_their_rates),
        cmocka_unit_test(draws_follow_their_laws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Estimates: quantiles against exact ones, forgetting, the prior, bytes. */
#include "policy/estimate.h"

#include "base/error.h"
#include "check.h"
#include "domain/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BIN_WIDTH 1.2599210498948732 /* a bin's upper edge over its lower one */

typedef int64_t (*distribution)(struct emp_random *r, double scale);

static int64_t constant(struct emp_random *r, double scale)
{
    (void)r;
    return (int64_t)scale;
}

static int64_t flat(struct emp_random *r, double scale)
{
    return (int64_t)uniform(r, scale / 10, scale);
}

static int64_t exponential(struct emp_random *r, double scale)
{
    return 1 + (int64_t)(-log(1 - emp_random_unit(r)) * scale);
}

static int64_t lognormal(struct emp_random *r, double scale)
{
    double normal = sqrt(-2 * log(1 - emp_random_unit(r))) * cos(6.283185307 * emp_random_unit(r));
    return 1 + (int64_t)(scale * exp(0.8 * normal));
}

static int64_t two_humps(struct emp_random *r, double scale)
{
    return emp_random_below(r, 4) ? flat(r, scale) : flat(r, scale * 40);
}

static const distribution distributions[] = {constant, flat, exponential, lognormal, two_humps};

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum { EXACT = 50000 };

/* Forgetting makes it a sample of about 290; the exact quantiles a little below and above q bound
 * what such a sample may say. */
static void check_quantiles(long n_case, const struct emp_estimate *e, distribution d, double scale,
                            struct emp_random *r)
{
    static int64_t exact[EXACT];
    for (int i = 0; i < EXACT; i++)
        exact[i] = d(r, scale);
    qsort(exact, EXACT, sizeof *exact, by_value);
    static const double quantiles[] = {0.1, 0.25, 0.5, 0.8, 0.9};
    for (size_t i = 0; i < COUNT(quantiles); i++) {
        double q = quantiles[i], sampling = 4 * sqrt(q * (1 - q) / 144);
        double low = (double)exact[(int)(EXACT * fmax(q - sampling, 0))];
        double high = (double)exact[(int)((EXACT - 1) * fmin(q + sampling, 1))];
        double got = (double)emp_estimate_quantile(e, q, 0);
        check_case(n_case, got >= floor(low / BIN_WIDTH) && got <= ceil(high * BIN_WIDTH));
    }
}

static void quantiles_and_drift(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 7);
    for (long n_case = 0; n_case < 40; n_case++) {
        struct emp_estimate e;
        emp_estimate_init(&e);
        distribution before = distributions[emp_random_below(&r, COUNT(distributions))];
        distribution after = distributions[emp_random_below(&r, COUNT(distributions))];
        double scale = exp(uniform(&r, log(20), log(1e6)));
        for (int i = 0; i < 2000; i++)
            emp_estimate_observe(&e, before(&r, scale));
        check_quantiles(n_case, &e, before, scale, &r);

        scale = exp(
            uniform(&r, log(20), log(1e6))); // it drifts: nine half-lives later the past is 0.2%
        for (int i = 0; i < 9 * EMP_ESTIMATE_HALF_LIFE; i++)
            emp_estimate_observe(&e, after(&r, scale));
        check_quantiles(n_case, &e, after, scale, &r);
    }
}

struct weighed {
    int64_t ms;
    double weight;
};

static int by_ms(const void *a, const void *b)
{
    return by_value(&((const struct weighed *)a)->ms, &((const struct weighed *)b)->ms);
}

/* The exact quantile of observations that fade with their age. */
static double weighed_quantile(const struct weighed *sorted, int n, double q)
{
    double total = 0, below = 0;
    for (int i = 0; i < n; i++)
        total += sorted[i].weight;
    for (int i = 0; i < n; i++) {
        below += sorted[i].weight;
        if (below >= q * total)
            return (double)sorted[i].ms;
    }
    return (double)sorted[n - 1].ms;
}

/* Against the exact quantile of the very same, fading observations: within a bin's width, always.
 */
static void exact_to_a_bin(void **state)
{
    (void)state;
    enum { MOST = 1500 };
    static struct weighed seen[MOST];
    struct emp_random r;
    emp_random_init(&r, 8);
    for (long n_case = 0; n_case < 300; n_case++) {
        struct emp_estimate e;
        int n = 1 + (int)emp_random_below(&r, n_case % 3 ? 12 : MOST);
        distribution d = distributions[emp_random_below(&r, COUNT(distributions))];
        double scale = exp(uniform(&r, log(20), log(1e7)));
        emp_estimate_init(&e);
        for (int i = 0; i < n; i++) {
            seen[i] =
                (struct weighed){d(&r, scale), exp2(-(n - 1 - i) / (double)EMP_ESTIMATE_HALF_LIFE)};
            emp_estimate_observe(&e, seen[i].ms);
        }
        qsort(seen, (size_t)n, sizeof *seen, by_ms);
        int64_t last = 0;
        for (double q = 0.03; q < 1; q += 0.05) {
            int64_t got = emp_estimate_quantile(&e, q, 0);
            check_case(n_case,
                       (double)got >= floor(weighed_quantile(seen, n, q - 1e-4) / BIN_WIDTH));
            check_case(n_case,
                       (double)got <= ceil(weighed_quantile(seen, n, q + 1e-4) * BIN_WIDTH));
            check_case(n_case, got >= last);
            last = got;
        }
    }
}

static void prior_first_then_fading(void **state)
{
    (void)state;
    struct emp_estimate e;
    emp_estimate_init(&e);
    assert_int_equal(emp_estimate_quantile(&e, 0.8, 0), -1);
    assert_int_equal(emp_estimate_mean(&e, 0), -1);
    assert_int_equal(emp_estimate_quantile(&e, 0.8, 29999), 29999); // exact: it decides a pool
    assert_int_equal(emp_estimate_mean(&e, 29999), 29999);
    assert_int_equal(emp_estimate_mean(&e, INT64_MAX), EMP_DURATION_MS_MAX);

    /* one run of 1 s against a guess of 100 s: three to one for the guess */
    emp_estimate_observe(&e, 1000);
    assert_true(emp_estimate_quantile(&e, 0.5, 100000) > 50000);
    assert_true(emp_estimate_quantile(&e, 0.2, 100000) < 1300);
    assert_in_range(emp_estimate_mean(&e, 100000), 75000, 75500);

    for (int i = 0; i < 60; i++)
        emp_estimate_observe(&e, 1000);
    assert_in_range(emp_estimate_quantile(&e, 0.8, 100000), 1000 / BIN_WIDTH, 1000 * BIN_WIDTH);
}

static void mean_is_close(void **state)
{
    (void)state;
    struct emp_random r;
    struct emp_estimate e;
    emp_random_init(&r, 9);
    emp_estimate_init(&e);
    for (int i = 0; i < 3000; i++)
        emp_estimate_observe(&e, flat(&r, 100000));
    int64_t mean = emp_estimate_mean(&e, 0);
    assert_true(mean > 49000 && mean < 61000);
}

static void range_of_observations(void **state)
{
    (void)state;
    struct emp_estimate e;
    static const int64_t extremes[] = {INT64_MIN, -1, 0, 1, 2, 3, EMP_DURATION_MS_MAX, INT64_MAX};
    for (size_t i = 0; i < COUNT(extremes); i++) {
        emp_estimate_init(&e);
        emp_estimate_observe(&e, extremes[i]);
        int64_t want = extremes[i] < 1                     ? 1
                       : extremes[i] > EMP_DURATION_MS_MAX ? EMP_DURATION_MS_MAX
                                                           : extremes[i];
        double got = (double)emp_estimate_quantile(&e, 0.5, 0);
        check_case(i, got >= (double)want / BIN_WIDTH && got <= (double)want * BIN_WIDTH);
        check_case(i, emp_estimate_quantile(&e, -3, 0) >= 1);
        check_case(i, emp_estimate_quantile(&e, 1, 0) <= EMP_DURATION_MS_MAX);
        check_case(i, emp_estimate_quantile(&e, NAN, 0) >= 1);
    }
}

/* A zeroed one is as good as an initialised one. */
static void zeroed(void **state)
{
    (void)state;
    static const struct emp_estimate none;
    assert_int_equal(emp_estimate_quantile(&none, 0.8, 0), -1);
    assert_int_equal(emp_estimate_mean(&none, 5), 5);
}

static void saved_and_loaded(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 10);
    for (int n = 0; n < 300; n++) {
        struct emp_estimate e, f;
        unsigned char bytes[EMP_ESTIMATE_BYTES_MAX];
        emp_estimate_init(&e);
        for (int i = 0; i < n; i++)
            emp_estimate_observe(&e, exponential(&r, 5000));
        uint32_t length = emp_estimate_save(&e, bytes);
        assert_true(length <= EMP_ESTIMATE_BYTES_MAX);
        assert_int_equal(emp_estimate_load(&f, bytes, length), 0);
        assert_memory_equal(&e, &f, sizeof e);
    }
}

static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    struct emp_random r;
    struct emp_estimate e, f, empty;
    unsigned char good[EMP_ESTIMATE_BYTES_MAX], bad[EMP_ESTIMATE_BYTES_MAX + 6];
    emp_random_init(&r, 11);
    emp_estimate_init(&empty);
    emp_estimate_init(&e);
    for (int i = 0; i < 100; i++)
        emp_estimate_observe(&e, exponential(&r, 5000));
    uint32_t length = emp_estimate_save(&e, good);

    for (uint32_t cut = 0; cut < length; cut++) {
        assert_int_equal(emp_estimate_load(&f, good, cut), EMP_E_INVALID);
        assert_memory_equal(&f, &empty, sizeof f);
    }
    memcpy(bad, good, length);
    assert_int_equal(emp_estimate_load(&f, bad, length + 6), EMP_E_INVALID);
    for (int n = 0; n < 20000; n++) { // whatever else is accepted behaves
        memcpy(bad, good, length);
        for (uint64_t k = 1 + emp_random_below(&r, 3); k > 0; k--)
            bad[emp_random_below(&r, length)] = (unsigned char)emp_random_u64(&r);
        if (emp_estimate_load(&f, bad, length) != 0)
            assert_memory_equal(&f, &empty, sizeof f);
        int64_t q = emp_estimate_quantile(&f, 0.8, 0);
        assert_true(q == -1 || (q >= 1 && q <= EMP_DURATION_MS_MAX));
    }
}

static void rates(void **state)
{
    (void)state;
    struct emp_rate rate = {0};
    emp_rate_observe(&rate, -1);
    emp_rate_observe(&rate, NAN);
    emp_rate_observe(&rate, INFINITY);
    emp_rate_observe(&rate, 0);
    assert_int_equal(rate.n, 0);
    emp_rate_observe(&rate, 10);
    assert_true(fabs(rate.value - 10) < 1e-9);
    emp_rate_observe(&rate, 20);
    assert_true(fabs(rate.value - 15) < 1e-9);
    for (int i = 0; i < 200; i++)
        emp_rate_observe(&rate, 40);
    assert_true(fabs(rate.value - 40) < 0.01);
    emp_rate_observe(&rate, 56);
    assert_true(fabs(rate.value - 41) < 0.01);
}

/* Half of all take 10 s, half 100 s: who has run for 20 s takes 80 s more. */
static void what_has_run_long_runs_longer(void **state)
{
    (void)state;
    struct emp_estimate e;
    emp_estimate_init(&e);
    assert_int_equal(emp_estimate_left(&e, 5000, 0), -1);
    for (int i = 0; i < 400; i++)
        emp_estimate_observe(&e, i % 2 ? 10000 : 100000);
    assert_in_range(emp_estimate_left(&e, 0, 0), 50000, 60000); // the mean
    assert_in_range(emp_estimate_left(&e, 20000, 0), 65000, 85000);
    assert_in_range(emp_estimate_left(&e, 60000, 0), 25000, 45000);
    assert_in_range(emp_estimate_left(&e, 800000, 0), 90000, 110000); // nothing tells: an eighth
    int64_t before = 0;
    for (int64_t ran = 20000; ran < 80000;
         ran += 500) { // inside a gap: one second less each second
        int64_t ends = ran + emp_estimate_left(&e, ran, 0);
        assert_true(before == 0 || llabs(ends - before) <= 2);
        before = ends;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_run_long_runs_longer),
        cmocka_unit_test(quantiles_and_drift),
        cmocka_unit_test(exact_to_a_bin),
        cmocka_unit_test(prior_first_then_fading),
        cmocka_unit_test(mean_is_close),
        cmocka_unit_test(range_of_observations),
        cmocka_unit_test(zeroed),
        cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Eviction: the promises of evict.h on random disks, and the optimum by brute force on small ones.
 */
#include "policy/evict.h"

#include "check.h"

#include <math.h>

#define GB   (1000LL * 1000 * 1000)
#define HOUR (3600LL * 1000)
#define LINK (25LL * 1000 * 1000)

static struct emp_evict_copy random_copy(struct emp_random *r)
{
    struct emp_evict_copy c = {
        .bytes = (int64_t)uniform(r, 1, 24e9),
        .uses = emp_random_below(r, 3) ? uniform(r, 1, 100) : 0,
        .idle_ms = (int64_t)uniform(r, 0, 48.0 * HOUR),
        .seconds_saved = emp_random_below(r, 2) ? -1 : uniform(r, 0, 1000),
        .keep = emp_random_below(r, 4) == 0,
    };
    return c;
}

static int64_t evictable(const struct emp_evict_copy *copies, uint32_t n)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += copies[i].keep ? 0 : copies[i].bytes;
    return sum;
}

/* never a kept one, never one twice, enough or nothing, and none without which it would be enough
 */
static void check_choice(long n_case, const struct emp_evict_copy *copies, uint32_t n, int64_t need,
                         const uint32_t *v, uint32_t count)
{
    int64_t freed = 0;
    if (count == 0) {
        check_case(n_case, need <= 0 || evictable(copies, n) < need);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        check_case(n_case, v[i] < n && !copies[v[i]].keep);
        for (uint32_t j = 0; j < i; j++)
            check_case(n_case, v[i] != v[j]);
        freed += copies[v[i]].bytes;
    }
    check_case(n_case, freed >= need);
    for (uint32_t i = 0; i < count; i++)
        check_case(n_case, freed - copies[v[i]].bytes < need);
}

static void random_disks(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 1);
    for (long n_case = 0; n_case < 20000; n_case++) {
        struct emp_evict_copy copies[40];
        uint32_t v[40], n = (uint32_t)emp_random_below(&r, 41);
        for (uint32_t i = 0; i < n; i++)
            copies[i] = random_copy(&r);
        int64_t need = (int64_t)uniform(&r, -1e9, 1.2 * (double)evictable(copies, n));
        double lean = uniform(&r, -1, 1);
        uint32_t count = emp_evict_choose(copies, n, need, (int64_t)uniform(&r, 0, 2e8), lean, v);
        check_choice(n_case, copies, n, need, v, count);
    }
}

static double worth_of_set(const struct emp_evict_copy *copies, const uint32_t *v, uint32_t count,
                           double lean)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += emp_evict_worth(&copies[v[i]], LINK, lean);
    return sum;
}

static double optimum(const struct emp_evict_copy *copies, uint32_t n, int64_t need, double lean)
{
    double best = INFINITY;
    for (uint32_t set = 0; set < 1u << n; set++) {
        int64_t freed = 0;
        double worth = 0;
        bool allowed = true;
        for (uint32_t i = 0; i < n; i++) {
            if (!(set >> i & 1))
                continue;
            allowed &= !copies[i].keep;
            freed += copies[i].bytes;
            worth += emp_evict_worth(&copies[i], LINK, lean);
        }
        if (allowed && freed >= need && worth < best)
            best = worth;
    }
    return best;
}

static void at_most_twice_the_optimum(void **state)
{
    (void)state;
    struct emp_random r;
    double ratios = 0;
    long cases = 0;
    emp_random_init(&r, 2);
    for (long n_case = 0; n_case < 600; n_case++) {
        struct emp_evict_copy copies[10];
        uint32_t v[10], n = 1 + (uint32_t)emp_random_below(&r, 10);
        for (uint32_t i = 0; i < n; i++)
            copies[i] = random_copy(&r);
        int64_t need = 1 + (int64_t)(emp_random_unit(&r) * (double)evictable(copies, n));
        uint32_t count = emp_evict_choose(copies, n, need, LINK, 0, v);
        if (count == 0)
            continue;
        double best = optimum(copies, n, need, 0), ours = worth_of_set(copies, v, count, 0);
        check_case(n_case, ours <= 2 * best * (1 + 1e-9));
        if (best > 0) {
            ratios += ours / best;
            cases++;
        }
    }
    assert_true(cases > 200 && ratios / (double)cases < 1.1);
}

static void one_large_rather_than_many_small_and_it(void **state)
{
    (void)state;
    struct emp_evict_copy copies[11];
    uint32_t v[11];
    for (uint32_t i = 0; i < 10; i++)
        copies[i] = (struct emp_evict_copy){.bytes = GB / 10, .seconds_saved = 1};
    copies[10] = (struct emp_evict_copy){.bytes = 10 * GB, .seconds_saved = 101};
    assert_int_equal(emp_evict_choose(copies, 11, 10 * GB, LINK, 0, v), 1);
    assert_int_equal(v[0], 10);
}

static void least_worth_goes_first(void **state)
{
    (void)state;
    uint32_t v[3];
    /* same use, older */
    struct emp_evict_copy age[] = {
        {.bytes = GB, .uses = 3, .idle_ms = HOUR, .seconds_saved = -1},
        {.bytes = GB, .uses = 3, .idle_ms = 9 * HOUR, .seconds_saved = -1},
    };
    assert_int_equal(emp_evict_choose(age, 2, GB, LINK, 0, v), 1);
    assert_int_equal(v[0], 1);

    /* the broker's word beats use */
    struct emp_evict_copy told[] = {
        {.bytes = GB, .uses = 50, .seconds_saved = 0},
        {.bytes = GB, .uses = 1, .seconds_saved = 30},
    };
    assert_int_equal(emp_evict_choose(told, 2, GB, LINK, 0, v), 1);
    assert_int_equal(v[0], 0);

    /* one that came just now and waits for its first job is not the first to go */
    struct emp_evict_copy fresh[] = {
        {.bytes = GB, .uses = 0, .idle_ms = 1000, .seconds_saved = -1},
        {.bytes = GB, .uses = 1, .idle_ms = 24 * HOUR, .seconds_saved = -1},
    };
    assert_int_equal(emp_evict_choose(fresh, 2, GB, LINK, 0, v), 1);
    assert_int_equal(v[0], 1);
}

static void leaning_decides_between_small_and_large(void **state)
{
    (void)state;
    uint32_t v[3];
    struct emp_evict_copy copies[] = {
        {.bytes = GB, .uses = 3, .seconds_saved = -1},
        {.bytes = GB, .uses = 3, .seconds_saved = -1},
        {.bytes = 20 * GB, .uses = 3, .seconds_saved = -1},
    };
    assert_int_equal(emp_evict_choose(copies, 3, GB, LINK, 1, v), 1); // keeps the small
    assert_int_equal(v[0], 2);
    assert_int_equal(emp_evict_choose(copies, 3, GB, LINK, -1, v), 1); // keeps the large
    assert_int_not_equal(v[0], 2);
}

static void worth_is_monotone(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 3);
    for (long n_case = 0; n_case < 20000; n_case++) {
        struct emp_evict_copy c = random_copy(&r), d = c;
        double lean = uniform(&r, -1, 1), worth = emp_evict_worth(&c, LINK, lean);
        check_case(n_case, isfinite(worth) && worth >= 0);
        d.uses += uniform(&r, 0, 10);
        check_case(n_case, emp_evict_worth(&d, LINK, lean) >= worth);
        d = c;
        d.idle_ms += (int64_t)uniform(&r, 0, 1e9);
        check_case(n_case, emp_evict_worth(&d, LINK, lean) <= worth);
        check_case(n_case, emp_evict_worth(&c, LINK / 2, lean) >= worth);
    }
}

/* 12 uses an hour over a 25 MB/s link: 1 GB is 40 s away, so keeping it saves 480 s per hour */
static void worth_is_seconds_per_hour(void **state)
{
    (void)state;
    struct emp_evict_copy c = {.bytes = GB, .seconds_saved = -1};
    for (int i = 0; i < 2000; i++)
        c.uses = emp_evict_use(c.uses, 5 * 60 * 1000);
    double worth = emp_evict_worth(&c, LINK, 0);
    assert_true(worth > 470 && worth < 490);
}

static void use_halves_in_a_half_life(void **state)
{
    (void)state;
    assert_true(fabs(emp_evict_use(8, 0) - 9) < 1e-9);
    assert_true(fabs(emp_evict_use(8, EMP_EVICT_HALF_LIFE_MS) - 5) < 1e-9);
    assert_true(fabs(emp_evict_use(8, INT64_MAX) - 1) < 1e-9);
    assert_true(fabs(emp_evict_use(NAN, -5) - 1) < 1e-9);
    assert_true(isfinite(emp_evict_use(INFINITY, 0)));
}

static void absurd_input(void **state)
{
    (void)state;
    uint32_t v[4];
    struct emp_evict_copy copies[] = {
        {.bytes = INT64_MAX, .uses = INFINITY, .idle_ms = INT64_MIN, .seconds_saved = -1},
        {.bytes = INT64_MAX, .uses = NAN, .idle_ms = INT64_MAX, .seconds_saved = NAN},
        {.bytes = 0, .seconds_saved = 1},
        {.bytes = -GB, .seconds_saved = INFINITY},
    };
    assert_int_equal(emp_evict_choose(copies, 4, INT64_MAX, 0, NAN, v), 1);
    assert_true(v[0] < 2);
    assert_int_equal(emp_evict_choose(copies + 2, 2, 1, INT64_MAX, -7, v), 0);
    assert_int_equal(emp_evict_choose(NULL, 0, 1, LINK, 0, v), 0);
    assert_int_equal(emp_evict_choose(copies, 4, 0, LINK, 0, v), 0);
    assert_int_equal(emp_evict_choose(copies, 4, INT64_MIN, LINK, 0, v), 0);
}

static void a_copy_let_go_is_missed_once(void **state)
{
    (void)state;
    assert_true(emp_evict_regret(0, 60) < 1e-12);
    double seldom = emp_evict_regret(1.0 / 24, 60); // once a day: 1 - 1/e of it
    assert_true(seldom > 37 && seldom < 39);
    assert_true(emp_evict_regret(100, 60) > 59.999 && emp_evict_regret(1e9, 60) <= 60);
    assert_true(emp_evict_regret(NAN, 60) < 1e-12 && emp_evict_regret(5, -1) < 1e-12);
}

static void the_oldest_goes_whatever_it_is_worth(void **state)
{
    (void)state;
    const struct emp_evict_copy c[] = {{.bytes = 10, .idle_ms = 5, .uses = 1},
                                       {.bytes = 10, .idle_ms = 9, .uses = 1000},
                                       {.bytes = 10, .idle_ms = 50, .keep = true},
                                       {.bytes = 10, .idle_ms = 7}};
    uint32_t v[4];
    assert_int_equal(emp_evict_choose_oldest(c, 4, 15, v), 2);
    assert_int_equal(v[0], 1);
    assert_int_equal(v[1], 3);
    assert_int_equal(emp_evict_choose_oldest(c, 4, 31, v), 0); // it cannot be done
    assert_int_equal(emp_evict_choose_oldest(c, 4, 0, v), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_let_go_is_missed_once),
        cmocka_unit_test(the_oldest_goes_whatever_it_is_worth),
        cmocka_unit_test(random_disks),
        cmocka_unit_test(at_most_twice_the_optimum),
        cmocka_unit_test(one_large_rather_than_many_small_and_it),
        cmocka_unit_test(least_worth_goes_first),
        cmocka_unit_test(leaning_decides_between_small_and_large),
        cmocka_unit_test(worth_is_monotone),
        cmocka_unit_test(worth_is_seconds_per_hour),
        cmocka_unit_test(use_halves_in_a_half_life),
        cmocka_unit_test(absurd_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

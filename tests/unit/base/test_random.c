/* Known answers, and the statistics that a mistake would show. */
#include "base/random.h"

#include "seeded.h"

/* splitmix64 from 0 and xoshiro256++ from {1,2,3,4}, as the authors' programs print them. */
static void known_answers(void **state)
{
    (void)state;
    assert_true(emp_mix64(UINT64_C(0x9e3779b97f4a7c15)) == UINT64_C(0xe220a8397b1dcdaf));
    struct emp_random r = {{1, 2, 3, 4}};
    const uint64_t expect[] = {41943041, 58720359, 3588806011781223, 3591011842654386};
    for (int i = 0; i < 4; i++)
        assert_true(emp_random_u64(&r) == expect[i]);
}

static void same_seed_same_numbers(void **state)
{
    (void)state;
    struct emp_random a, b, c;
    int same = 0;
    emp_random_init(&a, 7);
    emp_random_init(&b, 7);
    emp_random_init(&c, 8);
    for (int i = 0; i < 1000; i++) {
        uint64_t x = emp_random_u64(&a);
        assert_true(x == emp_random_u64(&b));
        same += x == emp_random_u64(&c);
    }
    assert_int_equal(same, 0);
}

static void below_is_even(void **state)
{
    (void)state;
    enum { N = 10, DRAWS = 100000 };
    struct emp_random r;
    int seen[N] = {0};
    emp_random_init(&r, 1);
    for (int i = 0; i < DRAWS; i++)
        seen[emp_random_below(&r, N)]++;
    for (int i = 0; i < N; i++) /* five standard deviations of 95 */
        assert_in_range(seen[i], DRAWS / N - 475, DRAWS / N + 475);
    assert_int_equal(emp_random_below(&r, 0), 0);
    assert_int_equal(emp_random_below(&r, 1), 0);
    uint64_t high = 0, n = UINT64_C(3) << 62; /* a careless modulo would favour the low third */
    for (int i = 0; i < DRAWS; i++) {
        uint64_t x = emp_random_below(&r, n);
        assert_true(x < n);
        high += x >= n / 2;
    }
    assert_in_range(high, DRAWS / 2 - 800, DRAWS / 2 + 800);
}

static void unit_is_in_its_interval(void **state)
{
    (void)state;
    struct emp_random r;
    double sum = 0;
    emp_random_init(&r, 2);
    for (int i = 0; i < 100000; i++) {
        double u = emp_random_unit(&r);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(sum > 49500 && sum < 50500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(same_seed_same_numbers),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(unit_is_in_its_interval),
    };
    return cmocka_run_group_tests_name("base/random", tests, NULL, NULL);
}

/* The sum of a route's terms. */
#include "domain/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void start_is_the_later_of_slot_and_fetch(void **state)
{
    struct emp_route_terms t = {.slot_free = 5,
                                .fetch = 3,
                                .load = 10,
                                .run_delta = -4,
                                .pool_penalty = 100,
                                .displacement = 20,
                                .risk = 1};
    (void)state;
    assert_true(emp_route_cost(&t) == 5 + 10 - 4 + 100 + 20 + 1);
    t.fetch = 50;
    assert_true(emp_route_cost(&t) == 50 + 10 - 4 + 100 + 20 + 1);
}

static void sums_stop_at_the_ends(void **state)
{
    struct emp_route_terms high = {
        .slot_free = INT64_MAX, .load = INT64_MAX, .risk = INT64_MAX, .pool_penalty = 1};
    struct emp_route_terms low = {
        .slot_free = INT64_MIN, .fetch = INT64_MIN, .run_delta = INT64_MIN, .load = -1};
    (void)state;
    assert_true(emp_route_cost(&high) == INT64_MAX);
    assert_true(emp_route_cost(&low) == INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_is_the_later_of_slot_and_fetch),
        cmocka_unit_test(sums_stop_at_the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

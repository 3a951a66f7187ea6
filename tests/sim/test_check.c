/* Random systems under faults, held against the oracle: no seed may violate anything, and a seed is
 * its log, byte for byte. EMP_TEST_SEED=N runs one seed and prints its log. */
#include "sim/check/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 300, TWICE = 50 };

static uint64_t scaled(uint64_t seeds)
{
    const char *slow = getenv("EMP_TEST_SLOW"); /* under a sanitizer: fewer */
    return slow && atoi(slow) > 1 ? seeds / (uint64_t)atoi(slow) : seeds;
}

static void nothing_is_violated(void **state)
{
    (void)state;
    const char *one = getenv("EMP_TEST_SEED");
    if (one) {
        struct emp_sim_check_result r;
        emp_sim_check_seed(strtoull(one, NULL, 10),
                           &(struct emp_sim_check_options){.log = stdout, .report = stdout}, &r);
        assert_string_equal(r.violation, "");
        return;
    }
    assert_int_equal(emp_sim_check_range(1, scaled(SEEDS), false, stdout), 0);
}

static char *log_of(uint64_t seed, struct emp_sim_check_result *r)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    assert_non_null(f);
    emp_sim_check_seed(seed, &(struct emp_sim_check_options){.log = f}, r);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void a_seed_is_its_log(void **state)
{
    (void)state;
    uint64_t last_hash = 0;
    for (uint64_t seed = 1; seed <= scaled(TWICE); seed++) {
        struct emp_sim_check_result a, b;
        char *first = log_of(seed, &a), *second = log_of(seed, &b);
        assert_string_equal(first, second);
        assert_true(a.log_hash == b.log_hash && a.log_hash != last_hash);
        last_hash = a.log_hash;
        free(first);
        free(second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_violated),
        cmocka_unit_test(a_seed_is_its_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

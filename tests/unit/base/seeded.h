/* For tests that compare a container with a naive model over random operations. each_seed() runs
 * `body` under a dozen fixed seeds and one fresh one, naming each on stderr: after a failure the
 * last one named is the one to repeat, and EMP_TEST_SEED=... runs it alone. */
#ifndef EMP_TESTS_BASE_SEEDED_H
#define EMP_TESTS_BASE_SEEDED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"

enum { FIXED_SEEDS = 12 };

static inline void each_seed(const char *what, void (*body)(struct emp_random *))
{
    const char *one = getenv("EMP_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t fresh = emp_mix64((uint64_t)now.tv_sec ^ (uint64_t)now.tv_nsec << 32) >> 16;
    for (uint64_t i = 0; i <= FIXED_SEEDS; i++) {
        uint64_t seed = i < FIXED_SEEDS ? i : fresh;
        struct emp_random r;
        if (one)
            seed = strtoull(one, NULL, 0);
        fprintf(stderr, "%s: EMP_TEST_SEED=%llu\n", what, (unsigned long long)seed);
        emp_random_init(&r, seed);
        body(&r);
        if (one)
            return;
    }
}

#endif

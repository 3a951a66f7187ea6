/* What the tests of policy/ share: cmocka with the headers it wants, and random facts. */
#ifndef EMP_TESTS_POLICY_CHECK_H
#define EMP_TESTS_POLICY_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/str.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static inline double uniform(struct emp_random *r, double low, double high)
{
    return low + (high - low) * emp_random_unit(r);
}

#define assert_str(s, z) assert_true(emp_str_eq((s), emp_str_z(z)))

/* fails with the case's number, which cmocka's own messages lack */
#define check_case(n, cond)                             \
    do {                                                \
        if (!(cond))                                    \
            fail_msg("case %ld: %s", (long)(n), #cond); \
    } while (0)

#endif

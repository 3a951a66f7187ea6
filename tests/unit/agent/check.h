/* cmocka with what it needs first, and a place to test in: a directory of its own and a loop, both
 * of which must be left as they were found (an open handle fails the test). */
#ifndef EMP_TEST_AGENT_CHECK_H
#define EMP_TEST_AGENT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "base/error.h"
#include "base/str.h"
#include "os/clock.h"

enum { PLACE_WAIT_MS = 30000 };

struct place {
    char dir[64];
    uv_loop_t loop;
    uv_timer_t heart; /* wakes the loop, so that conditions which no event announces are seen */
    struct emp_arena arena;
};

int place_make(void **state); /* cmocka's setup: *state becomes a struct place */
int place_remove(void **state);

/* Runs the loop until the condition holds; fails after PLACE_WAIT_MS. */
#define UNTIL(place, condition)                                                 \
    do {                                                                        \
        emp_mono_ms until_ = emp_mono_now() + PLACE_WAIT_MS;                    \
        while (!(condition)) {                                                  \
            if (emp_mono_now() > until_)                                        \
                fail_msg("%s:%d: in vain: %s", __FILE__, __LINE__, #condition); \
            uv_run(&(place)->loop, UV_RUN_ONCE);                                \
        }                                                                       \
    } while (0)

const char *place_path(struct place *p, const char *name); /* DIR/name, in the arena */
void place_write(struct place *p, const char *name, const void *bytes,
                 size_t len);                              /* parents made */
const char *place_read(struct place *p, const char *path); /* NUL-terminated; NULL: not there */
bool place_has(struct place *p, const char *name);

#define CASE(function)   cmocka_unit_test(function)
#define PLACED(function) cmocka_unit_test_setup_teardown(function, place_make, place_remove)

#endif

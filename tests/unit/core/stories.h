/* What every file of stories begins with. */
#ifndef EMP_TEST_CORE_STORIES_H
#define EMP_TEST_CORE_STORIES_H

#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static inline int setup(void **state)
{
    static struct world w;
    world_init(&w);
    *state = &w;
    return 0;
}

static inline int teardown(void **state)
{
    world_release(*state);
    return 0;
}

#define STORY(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static inline emp_job_num submit(struct world *w, const char *service)
{
    struct emp_job_spec s = world_spec(service);
    return world_submit(w, &s);
}

/* Does its work on `link`, whatever it is. */
static inline void complete(struct world *w, emp_link link, emp_job_num job, uint32_t attempt,
                            int64_t run_ms)
{
    world_started(w, link, job, attempt);
    world_finished(w, link, EMP_MESSAGE_COMPLETED, job, attempt, 0, run_ms);
}

static inline struct emp_explanation explain(struct world *w, emp_job_num job)
{
    struct emp_explanation x;
    assert_int_equal(emp_core_explain(w->core, w->now, job, &w->arena, &x), 0);
    return x;
}

static inline void assert_str(struct emp_str s, const char *z)
{
    if (!emp_str_eq(s, emp_str_z(z)))
        fail_msg("\"%.*s\" is not \"%s\"", EMP_STR_FMT(s), z);
}

static inline void assert_text(struct emp_str s, const char *part)
{
    if (!s.len || !memmem(s.ptr, s.len, part, strlen(part)))
        fail_msg("\"%s\" is not in \"%.*s\"", part, EMP_STR_FMT(s));
}

#endif

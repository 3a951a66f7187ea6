/* Tells a small system a story and holds its own trace against text: a broker, machines named m0,
 * m1, … in the order in which they are added, models, jobs that run exactly as long as they are
 * told to. No chance is involved: messages take 10 ms, a commit 5 ms. */
#ifndef EMP_TESTS_SIM_STORY_H
#define EMP_TESTS_SIM_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/agent.h"
#include "sim/broker.h"

struct story {
    struct emp_sim_system system;
    struct emp_settings settings;
    struct emp_buf trace;
    uint64_t requests;
};

void story_begin(struct story *s); /* the broker is up */
void story_end(struct story *s);

uint32_t story_model(struct story *s, const char *name, int64_t bytes);
/* Started; its link carries 100 MB/s, loading takes a second per gigabyte. */
struct emp_sim_agent *story_machine(struct story *s, const char *pool, uint32_t slots);
/* models: names with a space between, or "". estimated_ms: 0, nothing is said. */
void story_submit(struct story *s, const char *models, int64_t run_ms, int64_t estimated_ms);
void story_pass(struct story *s, int64_t ms);

/* The trace since the last call, exactly. */
void story_expect(struct story *s, const char *text);
void story_quiet(struct story *s); /* forgets it */

#endif

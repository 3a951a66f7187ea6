/* Tells a brain a story, one event a call, and holds what it does against text. Every step is
 * checked from inside. */
#ifndef EMP_TESTS_MACHINE_STORY_H
#define EMP_TESTS_MACHINE_STORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "machine/machine.h"

struct story {
    struct emp_machine *machine;
    struct emp_machine_settings settings;
    struct emp_machine_facts facts;
    struct emp_now now;
    struct emp_arena arena; /* of the last step */
    struct emp_buf trace;   /* its actions, one a line */
};

/* Slots and disk budget; link down, an empty disk. Call after changing settings. */
void story_begin(struct story *s);
void story_end(struct story *s);

void story_step(struct story *s, const struct emp_machine_event *e);
void story_pass(struct story *s, int64_t ms); /* time passes, then TICK */

/* The actions of the last step, "a\nb\n". */
#define story_expect(s, text) assert_string_equal((s)->trace.data ? (s)->trace.data : "", text)

void story_link(struct story *s, bool up); /* up: with WELCOME, whose step is not traced */
void story_found(struct story *s, const char *model, int64_t bytes, int64_t half_bytes);
/* models: "sdxl:6000 vae:300"; a name with '!' has no URL, one with '^' is pinned. */
void story_assign(struct story *s, emp_job_num job, uint32_t attempt, const char *models,
                  int64_t timeout_ms);
/* models: "sdxl:6000 vae:300", wanted at `residency`, worth 10 s an hour each. */
void story_plan(struct story *s, enum emp_residency residency, const char *models);
void story_loaded(struct story *s, const char *model, int code);
void story_cancel(struct story *s, emp_job_num job, uint32_t attempt);
void story_ack(struct story *s, emp_job_num job, uint32_t attempt);
void story_fetched(struct story *s, const char *model);
void story_fetch_failed(struct story *s, const char *model, int code, bool machine_fault,
                        int64_t kept_bytes);
void story_deleted(struct story *s, const char *model, int code);
void story_started(struct story *s, emp_job_num job, uint32_t attempt, bool keeps_loaded);
void story_done(struct story *s, emp_job_num job,
                uint32_t attempt); /* with result {} after 10 ms */
void story_run_failed(struct story *s, emp_job_num job, uint32_t attempt, int code, bool retryable,
                      bool machine_fault);
void story_shutdown(struct story *s, bool drain);

struct emp_model story_model(struct emp_arena *a, const char *word); /* "sdxl:6000" */

#endif

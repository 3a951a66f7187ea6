/* A world for core's tests: a core, a clock, a store in memory, agents that speak only when a test
 * makes them. Every action is written as a line of text, so that a test reads as a story;
 * emp_core_check runs after every step. */
#ifndef EMP_TEST_CORE_WORLD_H
#define EMP_TEST_CORE_WORLD_H

#include "base/arena.h"
#include "base/map.h"
#include "core/core.h"

struct world {
    struct emp_core *core;
    struct emp_settings settings;
    struct emp_now now;
    struct emp_arena arena; /* of the test */
    struct emp_arena store_arena;
    struct emp_arena step_arena;
    struct emp_buf trace;
    bool show_persist; /* persisted changes in the trace too */
    /* store: everything persisted, latest last */
    struct emp_change *changes;
    size_t change_count, change_cap;
    struct emp_change *rows; /* what was learned: the last of each key; length 0: deleted */
    size_t row_count, row_cap;
    emp_job_num last_num;
    struct emp_reply reply; /* the last one */
    void (*on_action)(struct world *w, const struct emp_action *a);
    void *user;
};
void world_init(struct world *w);
void world_release(struct world *w);
void world_restart(struct world *w); /* the core dies; a new one is restored from the store */
void world_step(struct world *w, const struct emp_event *e);
void world_pass(struct world *w, int64_t ms); /* time passes, with ticks when due */
void world_expect(struct world *w,
                  const char *expected); /* the trace since the last call, exactly */
void world_quiet(struct world *w);       /* forgets the trace so far */

struct emp_job_spec world_spec(const char *service);
emp_job_num world_submit(struct world *w, const struct emp_job_spec *s); /* 0 when refused */
void world_message(struct world *w, emp_link link, const struct emp_message *m);
/* A machine greets on `link`: id "m<number>". */
struct emp_machine_facts world_facts(const char *id, const char *pool, uint32_t slots);
void world_hello(struct world *w, emp_link link, const struct emp_machine_facts *f,
                 const struct emp_held *held, uint32_t held_count, const struct emp_copy *copies,
                 uint32_t copy_count);
/* The same with nothing held, and the defaults of world_facts. */
void world_join(struct world *w, emp_link link, const char *id, const char *pool, uint32_t slots);
void world_close(struct world *w, emp_link link); /* its connection breaks */
void world_beat(struct world *w, emp_link link);
void world_started(struct world *w, emp_link link, emp_job_num job, uint32_t attempt);
void world_finished(struct world *w, emp_link link, enum emp_message_kind kind, emp_job_num job,
                    uint32_t attempt, int code, int64_t run_ms);
void world_model(struct world *w, const char *name, int64_t bytes, const char *category);

#endif

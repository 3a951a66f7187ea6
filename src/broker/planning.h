/* The planner's thread. When the core asks for a plan, the loop takes a snapshot and hands it over;
 * the thread runs the planner (policy/planner.h) over it; the loop gives the core the result, and
 * keeps it for those who ask what is planned and why. One run at a time.
 *
 * The loop's, but where said. */
#ifndef EMP_BROKER_PLANNING_H
#define EMP_BROKER_PLANNING_H

#include "core/core.h"

#include <pthread.h>
#include <uv.h>

struct emp_broker;

/* One snapshot and what came of it. */
struct emp_planning_run {
    struct emp_arena arena; /* of all below */
    struct emp_snapshot snapshot;
    struct emp_now now;
    struct emp_plan_result result;
    int64_t took_us;
};

struct emp_planning {
    struct emp_planner *planner;   /* the thread's, once it runs; NULL: intelligence is off */
    struct emp_planning_run *last; /* NULL: none yet. Constant while it stands here */
    uint64_t runs;
    int64_t took_us; /* by all of them */
    uv_async_t done;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* guards those below */
    pthread_cond_t work;
    struct emp_planning_run *todo, *finished;
    bool stop;
};

/* Before the store is restored: makes the planner, if the settings want one. */
void emp_planning_init(struct emp_broker *b);
/* Of each change that is restored: what was learned of usage goes to the planner. */
void emp_planning_restored(struct emp_broker *b, const struct emp_change *change);
/* Once the loop is there, and the core started. 0 or EMP_E_*. */
int emp_planning_start(struct emp_broker *b);
void emp_planning_due(struct emp_broker *b); /* the core asks */
/* Before the loop goes: waits for a run under way. */
void emp_planning_stop(struct emp_broker *b);
void emp_planning_release(struct emp_broker *b);

#endif

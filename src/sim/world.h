/* The world a simulation runs in: one virtual clock, one queue of what happens next, one seed, one
 * log. Nothing here knows of jobs; broker, agents, network and store stand on top.
 *
 *   - Time is whole milliseconds from 0. What is due at one instant happens in the order in which
 * it was arranged, so a run is a function of its seed alone.
 *   - Randomness comes in streams, each named by its purpose: a new draw in one place moves nothing
 * in another.
 *   - The first violation is kept and ends the run.
 *
 * One thread; everything lives in the world's arena or in its owner. Not for production code. */
#ifndef EMP_SIM_WORLD_H
#define EMP_SIM_WORLD_H

#include "base/arena.h"
#include "base/heap.h"
#include "base/random.h"
#include "base/time.h"
#include "sim/trace.h"

#include <stdbool.h>
#include <stdint.h>

struct emp_sim_world;

/* Something that happens at a time. Embedded in its owner, who is `ctx`; init once, then set as
 * often as wanted. `fire` may set it again, and may free the owner. */
typedef void (*emp_sim_fire)(struct emp_sim_world *w, void *ctx);
struct emp_sim_timer {
    emp_mono_ms at;
    uint64_t order; /* among equals: order of arrangement */
    uint32_t place;
    emp_sim_fire fire;
    void *ctx;
};

enum {
    EMP_SIM_VIOLATION_MAX = 1024,
    EMP_SIM_INSTANT_EVENTS_MAX = 100000, /* more at one instant: somebody wants a tick for ever */
};

struct emp_sim_world {
    uint64_t seed;
    emp_mono_ms now;
    emp_wall_ms epoch; /* wall time at 0 */
    struct emp_arena arena;
    struct emp_arena heap_arena; /* of the queue alone */
    struct emp_heap queue;
    uint64_t order;
    uint64_t instant_events;
    uint64_t events; /* fired so far: the "step" of messages */
    struct emp_sim_trace trace;
    bool ended;                            /* emp_sim_world_run returns */
    char violation[EMP_SIM_VIOLATION_MAX]; /* empty: none */
};

void emp_sim_world_init(struct emp_sim_world *w, uint64_t seed);
void emp_sim_world_release(struct emp_sim_world *w);

void emp_sim_timer_init(struct emp_sim_timer *t, emp_sim_fire fire, void *ctx);
void emp_sim_timer_set(struct emp_sim_world *w, struct emp_sim_timer *t,
                       emp_mono_ms at); /* not before now; EMP_NEVER: cancel */
void emp_sim_timer_after(struct emp_sim_world *w, struct emp_sim_timer *t, int64_t ms);
void emp_sim_timer_cancel(struct emp_sim_world *w, struct emp_sim_timer *t);
bool emp_sim_timer_is_set(const struct emp_sim_timer *t);

/* Fires what is due until the clock would pass `until`, nothing is left, or the run has ended; the
 * clock then stands at `until` unless it ended. */
void emp_sim_world_run(struct emp_sim_world *w, emp_mono_ms until);

/* A stream of its own for a purpose ("network", "agent") and a number within it. */
void emp_sim_random(const struct emp_sim_world *w, const char *purpose, uint64_t number,
                    struct emp_random *ret);
int64_t emp_sim_between(struct emp_random *r, int64_t low, int64_t high); /* both included */
bool emp_sim_chance(struct emp_random *r, uint32_t per_10000);

/* What must not be has been: the first one is kept, and the run ends. */
void emp_sim_violation(struct emp_sim_world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif

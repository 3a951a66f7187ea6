/* A binary heap of timers by (time, order of arrangement). The heap's arena is its own, so that
 * what a run keeps in the world's arena never mixes with the queue's growth. */
#include "sim/world.h"

#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define EPOCH INT64_C(1764000000000) /* some day in November 2025: any will do */

static bool sooner(const void *a, const void *b)
{
    const struct emp_sim_timer *x = a, *y = b;
    return x->at != y->at ? x->at < y->at : x->order < y->order;
}

void emp_sim_world_init(struct emp_sim_world *w, uint64_t seed)
{
    *w = (struct emp_sim_world){.seed = seed, .epoch = EPOCH};
    emp_arena_init(&w->arena, 0);
    emp_arena_init(&w->heap_arena, 0);
    emp_heap_init(&w->queue, &w->heap_arena, sooner, offsetof(struct emp_sim_timer, place));
}

void emp_sim_world_release(struct emp_sim_world *w)
{
    emp_arena_release(&w->arena);
    emp_arena_release(&w->heap_arena);
}

void emp_sim_timer_init(struct emp_sim_timer *t, emp_sim_fire fire, void *ctx)
{
    *t = (struct emp_sim_timer){.at = EMP_NEVER, .place = EMP_HEAP_OUT, .fire = fire, .ctx = ctx};
}

bool emp_sim_timer_is_set(const struct emp_sim_timer *t)
{
    return t->place != EMP_HEAP_OUT;
}

void emp_sim_timer_cancel(struct emp_sim_world *w, struct emp_sim_timer *t)
{
    if (t->place != EMP_HEAP_OUT)
        emp_heap_remove(&w->queue, t);
    t->at = EMP_NEVER;
}

void emp_sim_timer_set(struct emp_sim_world *w, struct emp_sim_timer *t, emp_mono_ms at)
{
    if (at == EMP_NEVER) {
        emp_sim_timer_cancel(w, t);
        return;
    }
    t->at = at > w->now ? at : w->now;
    t->order = ++w->order;
    if (t->place == EMP_HEAP_OUT)
        emp_heap_push(&w->queue, t);
    else
        emp_heap_fix(&w->queue, t);
}

void emp_sim_timer_after(struct emp_sim_world *w, struct emp_sim_timer *t, int64_t ms)
{
    emp_sim_timer_set(w, t, ms < EMP_NEVER - w->now ? w->now + ms : EMP_NEVER);
}

void emp_sim_world_run(struct emp_sim_world *w, emp_mono_ms until)
{
    struct emp_sim_timer *t;
    while (!w->ended && (t = emp_heap_peek(&w->queue)) && t->at <= until) {
        assert(t->at >= w->now);
        emp_heap_pop(&w->queue);
        w->instant_events = w->now == t->at ? w->instant_events + 1 : 0;
        w->now = t->at;
        w->events++;
        if (w->instant_events > EMP_SIM_INSTANT_EVENTS_MAX)
            emp_sim_violation(w, "time stands still: %d things happen at one instant",
                              EMP_SIM_INSTANT_EVENTS_MAX);
        t->fire(w, t->ctx);
    }
    if (!w->ended && w->now < until)
        w->now = until;
}

void emp_sim_random(const struct emp_sim_world *w, const char *purpose, uint64_t number,
                    struct emp_random *ret)
{
    uint64_t stream = emp_str_hash(emp_str_z(purpose));
    emp_random_init(ret, emp_mix64(w->seed ^ emp_mix64(stream + number)));
}

int64_t emp_sim_between(struct emp_random *r, int64_t low, int64_t high)
{
    return high <= low ? low : low + (int64_t)emp_random_below(r, (uint64_t)(high - low) + 1);
}

bool emp_sim_chance(struct emp_random *r, uint32_t per_10000)
{
    return emp_random_below(r, 10000) < per_10000;
}

void emp_sim_violation(struct emp_sim_world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->violation[0])
        return;
    va_start(ap, fmt);
    vsnprintf(w->violation, sizeof w->violation, fmt, ap);
    va_end(ap);
    w->ended = true;
}

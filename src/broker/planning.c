/* See planning.h. A snapshot borrows names from the core, which outlives the thread. */
#include "broker/planning.h"

#include "broker/shell.h"
#include "os/clock.h"
#include "os/log.h"

#include <stdlib.h>

static void run_free(struct emp_planning_run *r)
{
    if (r == NULL)
        return;
    emp_arena_release(&r->arena);
    free(r);
}

/* ------------------------------------------------------------------ the thread */

static void *plan_all(void *arg)
{
    struct emp_planning *p = arg;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->todo == NULL && !p->stop)
            pthread_cond_wait(&p->work, &p->lock);
        struct emp_planning_run *r = p->todo;
        if (p->stop)
            break;
        p->todo = NULL;
        pthread_mutex_unlock(&p->lock);

        int64_t began = emp_mono_us();
        emp_planner_run(p->planner, &r->snapshot, r->now.wall, &r->arena, &r->result);
        r->took_us = emp_mono_us() - began;

        pthread_mutex_lock(&p->lock);
        p->finished = r;
        uv_async_send(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ------------------------------------------------------------------ the loop's side */

static void on_done(uv_async_t *h)
{
    struct emp_broker *b = h->data;
    struct emp_planning *p = &b->planning;

    pthread_mutex_lock(&p->lock);
    struct emp_planning_run *r = p->finished;
    p->finished = NULL;
    pthread_mutex_unlock(&p->lock);
    if (r == NULL || b->loop.ended) {
        run_free(r);
        return;
    }
    p->runs++;
    p->took_us += r->took_us;
    emp_log_debug("plan %llu: %u copies wanted, %u moves, %lld ms", (unsigned long long)p->runs,
                  r->result.plan.want_count, r->result.plan.move_count,
                  (long long)r->took_us / 1000);
    emp_loop_step(b, &(struct emp_event){.kind = EMP_EVENT_PLAN, .plan = &r->result});
    run_free(p->last);
    p->last = r;
}

void emp_planning_init(struct emp_broker *b)
{
    if (b->o.settings->intelligence.on)
        b->planning.planner = emp_planner_new(NULL);
}

void emp_planning_restored(struct emp_broker *b, const struct emp_change *change)
{
    const struct emp_change_learned *l = &change->learned;

    if (b->planning.planner == NULL || change->kind != EMP_CHANGE_LEARNED)
        return;
    if (emp_planner_load(b->planning.planner, l->key, l->bytes, l->length) == EMP_E_INVALID)
        emp_log_warn("a row of the usage log cannot be read and is left out: %.*s",
                     EMP_STR_FMT(l->key));
}

int emp_planning_start(struct emp_broker *b)
{
    struct emp_planning *p = &b->planning;

    if (p->planner == NULL)
        return 0;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    uv_async_init(&b->loop.uv, &p->done, on_done);
    p->done.data = b;
    p->running = pthread_create(&p->thread, NULL, plan_all, p) == 0;
    return p->running ? 0 : EMP_E_INTERNAL;
}

void emp_planning_due(struct emp_broker *b)
{
    struct emp_planning *p = &b->planning;

    if (!p->running)
        return;
    struct emp_planning_run *r = calloc(1, sizeof *r);
    if (r == NULL)
        abort();
    emp_arena_init(&r->arena, 1 << 16);
    r->now = emp_loop_now();
    emp_core_snapshot(b->core, r->now, &r->arena, &r->snapshot);
    pthread_mutex_lock(&p->lock);
    p->todo = r;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

void emp_planning_stop(struct emp_broker *b)
{
    struct emp_planning *p = &b->planning;

    if (!p->running)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->running = false;
    uv_close((uv_handle_t *)&p->done, NULL);
    run_free(p->todo);
    run_free(p->finished);
    p->todo = p->finished = NULL;
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
}

void emp_planning_release(struct emp_broker *b)
{
    run_free(b->planning.last);
    emp_planner_free(b->planning.planner);
}

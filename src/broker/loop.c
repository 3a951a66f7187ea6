/* Order: at most one batch is with the writer; the next gathers meanwhile. A batch without changes,
 * when nothing is under way, is released at once. So effects always leave in the order in which the
 * core asked for them, and never before what they rest on.
 *
 * While commits fail the loop goes on stepping (agents' heartbeats must be heard), but waiting
 * requests are answered with the error, looks are answered at once and kept by no batch, notices of
 * progress are dropped, and submissions are refused: what gathers is bounded by what already runs.
 *
 * A batch that has grown large takes no more operations: they wait in `drained`, and with them,
 * through the queue's bound, their clients. */
#include "broker/loop.h"

#include "broker/shell.h"
#include "os/clock.h"
#include "os/log.h"

#include <stdlib.h>

enum {
    EMP_LOOP_SLICE_US = 5000, /* operations run so long before the sockets are looked at again */
    EMP_LOOP_FAILING_EFFECTS =
        4096, /* while commits fail, progress beyond so many withheld effects is dropped */
    EMP_LOOP_QUEUE_MAX = 65536,
};

struct emp_now emp_loop_now(void)
{
    struct emp_now now;

    emp_now_read(&now);
    return now;
}

struct emp_batch *emp_loop_batch(struct emp_broker *b)
{
    return b->loop.batch;
}

/* ------------------------------------------------------------------ stepping */

/* While commits fail, what is only for people to look at is not hoarded. */
static bool emp_loop_drops(struct emp_broker *b, const struct emp_action *a)
{
    return a->kind == EMP_ACTION_NOTIFY && a->notice.kind == EMP_NOTICE_PROGRESS &&
           b->loop.batch->actions.count >= EMP_LOOP_FAILING_EFFECTS &&
           emp_committer_failing(b->committer) != 0;
}

/* Sorts what a step appended: changes go to the writer's array, replies to their operations; the
 * rest, the effects, closes ranks and waits. */
static void emp_loop_gather(struct emp_broker *b, size_t from)
{
    struct emp_batch *batch = b->loop.batch;
    size_t kept = from;

    for (size_t i = from; i < batch->actions.count; i++) {
        struct emp_action *a = &batch->actions.items[i];
        if (a->kind == EMP_ACTION_PERSIST) {
            emp_batch_change(batch, &a->change);
        } else if (a->kind == EMP_ACTION_REPLY) {
            struct emp_op *op = (struct emp_op *)(uintptr_t)a->reply.request;
            if (op)
                op->type->reply(op, &a->reply.reply);
            else if (a->reply.reply.code < 0)
                emp_log_warn("a model of the configuration is left out: %s",
                             a->reply.reply.error.text);
        } else if (emp_loop_drops(b, a)) {
            b->loop.progress_dropped++;
        } else if (kept++ != i) {
            batch->actions.items[kept - 1] = *a;
        }
    }
    batch->actions.count = kept;
}

void emp_loop_step(struct emp_broker *b, const struct emp_event *event)
{
    size_t from = b->loop.batch->actions.count;
    struct emp_now now = emp_loop_now();

    emp_blackbox_event(b->blackbox, now, event);
    emp_core_step(b->core, now, event, &b->loop.batch->actions);
    emp_blackbox_answered(b->blackbox, b->loop.batch->actions.items + from,
                          b->loop.batch->actions.count - from);
    b->loop.steps++;
    emp_loop_gather(b, from);
}

void emp_loop_take(struct emp_broker *b, struct emp_op *op)
{
    int failing = emp_committer_failing(b->committer);

    if (op->type->detached) {
        op->type->run(b, op);
        return;
    }
    if (failing == 0) {
        emp_batch_op(b->loop.batch, op);
        op->type->run(b, op);
        return;
    }
    if (!op->type->writes)
        op->type->run(b, op);
    emp_op_finish(b, op, op->type->writes ? failing : 0);
    emp_op_free(op);
}

/* ------------------------------------------------------------------ releasing */

static void emp_loop_notice(struct emp_broker *b, const struct emp_notice *n)
{
    switch (n->kind) {
    case EMP_NOTICE_PROGRESS:
        emp_progress_set(&b->progress, n->job, n->percent, n->text, n->at);
        break;
    case EMP_NOTICE_ENDED:
        emp_payloads_drop(&b->payloads, n->job);
        emp_progress_forget(&b->progress, n->job);
        if (n->attempt > 1 || (n->attempt > 0 && n->state != EMP_JOB_COMPLETED))
            emp_trash_add(&b->trash, n->job, n->state == EMP_JOB_COMPLETED ? n->attempt : 0);
        break;
    case EMP_NOTICE_REQUEUED:
        emp_progress_forget(&b->progress, n->job);
        break;
    default:
        break;
    }
    emp_events_notice(b, n);
}

static void emp_loop_release_batch(struct emp_broker *b, struct emp_batch *batch)
{
    for (size_t i = 0; i < batch->actions.count; i++) {
        struct emp_action *a = &batch->actions.items[i];
        if (a->kind == EMP_ACTION_SEND)
            emp_agents_send(b, batch, a->send.link, &a->send.message);
        else if (a->kind == EMP_ACTION_CLOSE)
            emp_agents_close(b, a->close.link, a->close.reason);
        else if (a->kind == EMP_ACTION_NOTIFY)
            emp_loop_notice(b, &a->notice);
        else if (a->kind == EMP_ACTION_PLAN_DUE)
            emp_planning_due(b);
    }
    emp_batch_answer_on_loop(b, batch, 0);
    emp_batch_free(batch);
}

static void emp_loop_hand(struct emp_broker *b)
{
    b->loop.handed = b->loop.batch;
    b->loop.batch = emp_batch_new();
    emp_committer_hand(b->committer, b->loop.handed);
}

/* Hands the gathered batch on, or releases it, if its turn has come. */
static void emp_loop_seal(struct emp_broker *b)
{
    while (emp_committer_under_way(b->committer) == 0 && !emp_batch_empty(b->loop.batch)) {
        if (b->loop.batch->change_count > 0) {
            emp_loop_hand(b);
            return;
        }
        struct emp_batch *batch = b->loop.batch;
        b->loop.batch = emp_batch_new();
        emp_batch_answer(b, batch, 0);
        emp_loop_release_batch(b, batch); /* may gather anew */
    }
}

/* Nobody waits for a disk: requests that wait for commits which fail are told so. Those of the
 * batch under way are answered by the writer, but for the loop's own. */
static void emp_loop_answer_failing(struct emp_broker *b)
{
    int failing = emp_committer_failing(b->committer);

    if (failing == 0)
        return;
    emp_batch_answer(b, b->loop.batch, failing);
    emp_batch_answer_on_loop(b, b->loop.batch, failing);
    if (b->loop.handed)
        emp_batch_answer_on_loop(b, b->loop.handed, failing);
}

/* The writer has its next batch before the last one is released: it need not wait for that. */
static void emp_loop_release_done(struct emp_broker *b)
{
    struct emp_batch *done;

    while ((done = emp_committer_done(b->committer)) != NULL) {
        b->loop.handed = NULL;
        if (b->loop.batch->change_count > 0 && !b->loop.ended)
            emp_loop_hand(b);
        emp_loop_release_batch(b, done);
    }
}

static bool emp_loop_full(const struct emp_loop *l)
{
    return l->batch->change_count >= EMP_BATCH_CHANGES_MAX;
}

/* ------------------------------------------------------------------ turns */

int emp_loop_post(struct emp_broker *b, struct emp_op *op)
{
    return emp_queue_push(b->loop.queue, op);
}

static void emp_loop_drain(struct emp_broker *b)
{
    struct emp_loop *l = &b->loop;
    int64_t began = emp_mono_us();

    while (l->drained && !emp_loop_full(l)) {
        struct emp_op *op = l->drained;
        l->drained = op->next;
        if (!l->drained)
            l->drained_end = &l->drained;
        emp_loop_take(b, op);
        if (l->drained && emp_mono_us() - began > EMP_LOOP_SLICE_US) {
            uv_async_send(&l->wake);
            return;
        }
    }
}

static void emp_loop_queued(void *ctx, void **items, size_t count)
{
    struct emp_broker *b = ctx;
    struct emp_loop *l = &b->loop;

    for (size_t i = 0; i < count; i++) {
        struct emp_op *op = items[i];
        op->next = NULL;
        *l->drained_end = op;
        l->drained_end = &op->next;
    }
    if (!l->ended)
        emp_loop_drain(b);
}

static void emp_loop_woken(uv_async_t *h)
{
    struct emp_broker *b = h->data;

    emp_loop_release_done(b);
    emp_loop_drain(b);
}

static void emp_loop_tick(struct emp_broker *b)
{
    emp_loop_step(b, &(struct emp_event){.kind = EMP_EVENT_TICK});
}

static void emp_loop_due(uv_timer_t *h)
{
    struct emp_broker *b = h->data;

    b->loop.due_at = EMP_NEVER;
    emp_loop_tick(b);
}

/* Sets the timer to when the core wants to be asked next. */
static void emp_loop_set_due(struct emp_broker *b)
{
    struct emp_loop *l = &b->loop;
    emp_mono_ms due = emp_core_next_due(b->core);

    if (due == l->due_at)
        return;
    l->due_at = due;
    if (due == EMP_NEVER) {
        uv_timer_stop(&l->due);
        return;
    }
    emp_mono_ms now = emp_mono_now();
    uv_update_time(&l->uv);
    uv_timer_start(&l->due, emp_loop_due, due > now ? (uint64_t)(due - now) : 0, 0);
}

/* Before the loop sleeps. */
static void emp_loop_turn(uv_prepare_t *h)
{
    struct emp_broker *b = h->data;
    bool full = emp_loop_full(&b->loop);

    emp_loop_seal(b);
    emp_loop_answer_failing(b);
    emp_loop_set_due(b);
    if (full && b->loop.drained && !emp_loop_full(&b->loop))
        uv_async_send(&b->loop.wake); /* there is room again */
}

/* ------------------------------------------------------------------ life */

static void emp_loop_signal(void *ctx, int number)
{
    struct emp_broker *b = ctx;

    if (number == SIGHUP)
        return;
    if (atomic_exchange(&b->stopping, true)) {
        emp_log_warn("signal %d again: ending at once", number);
        _Exit(1);
    }
    emp_log_info("signal %d: finishing what was taken in, then ending", number);
    atomic_store(&b->ready, false);
    uv_stop(&b->loop.uv);
}

int emp_loop_init(struct emp_broker *b)
{
    struct emp_loop *l = &b->loop;

    l->due_at = EMP_NEVER;
    l->drained_end = &l->drained;
    l->batch = emp_batch_new();
    if (uv_loop_init(&l->uv) < 0)
        return EMP_E_INTERNAL;
    uv_async_init(&l->uv, &l->wake, emp_loop_woken);
    uv_prepare_init(&l->uv, &l->turn);
    uv_timer_init(&l->uv, &l->due);
    l->wake.data = l->turn.data = l->due.data = b;
    uv_prepare_start(&l->turn, emp_loop_turn);
    int r = emp_queue_new(&l->uv, EMP_LOOP_QUEUE_MAX, emp_loop_queued, b, &l->queue);
    if (r < 0)
        return r;
    return emp_signals_start(&l->uv, emp_loop_signal, b, &l->signals);
}

/* Everything taken in has been run, committed and released? */
static bool emp_loop_settled(struct emp_broker *b)
{
    struct emp_loop *l = &b->loop;

    return emp_queue_depth(l->queue) == 0 && !l->drained && emp_batch_empty(l->batch) &&
           emp_committer_idle(b->committer);
}

static void emp_loop_timeout(uv_timer_t *h)
{
    (void)h; /* the turn itself is what is wanted */
}

void emp_loop_run(struct emp_broker *b)
{
    uv_run(&b->loop.uv, UV_RUN_DEFAULT);
}

void emp_loop_flush(struct emp_broker *b, int64_t grace_ms)
{
    struct emp_loop *l = &b->loop;
    emp_mono_ms end = emp_mono_now() + grace_ms;
    uv_timer_t poke;

    uv_timer_init(&l->uv, &poke);
    uv_timer_start(&poke, emp_loop_timeout, 10, 10);
    do
        uv_run(&l->uv, UV_RUN_ONCE);
    while (!emp_loop_settled(b) && emp_mono_now() < end);
    uv_close((uv_handle_t *)&poke, NULL);
    uv_run(&l->uv, UV_RUN_NOWAIT);
}

/* Requests that will not reach the core any more. */
static void emp_loop_refuse_rest(struct emp_broker *b)
{
    struct emp_loop *l = &b->loop;

    while (l->drained) {
        struct emp_op *op = l->drained;
        l->drained = op->next;
        emp_op_finish(b, op, EMP_E_UNAVAILABLE);
        emp_op_free(op);
    }
    for (struct emp_op *op = l->batch->ops; op; op = op->next)
        emp_op_finish(b, op, EMP_E_UNAVAILABLE);
    for (struct emp_op *op = l->handed ? l->handed->ops : NULL; op; op = op->next)
        emp_op_finish(b, op, EMP_E_UNAVAILABLE); /* given up by the writer */
}

static void emp_loop_queue_closed(void *arg)
{
    *(bool *)arg = true;
}

void emp_loop_refuse(struct emp_broker *b)
{
    bool closed = false;

    b->loop.ended = true;
    emp_loop_release_done(b);
    emp_queue_close(b->loop.queue, emp_loop_queue_closed,
                    &closed); /* hands over what is left: see emp_loop_queued */
    while (!closed)
        uv_run(&b->loop.uv, UV_RUN_ONCE);
    emp_loop_refuse_rest(b);
}

void emp_loop_release(struct emp_broker *b)
{
    struct emp_loop *l = &b->loop;

    emp_batch_free(l->batch);
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->turn, NULL);
    uv_close((uv_handle_t *)&l->due, NULL);
    emp_signals_stop(l->signals);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    emp_queue_free(l->queue);
    if (uv_loop_close(&l->uv) < 0)
        emp_log_debug("the loop ended with open handles");
}

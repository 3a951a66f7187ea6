/* The loop: one thread that owns the core, the agents' links and the event streams. A turn takes
 * what came in (operations from HTTP threads, messages of agents, time), steps the core, and
 * gathers what comes out into a batch; before it sleeps, it hands the batch to the writer if that
 * is idle, and else lets it grow. What comes back durable is released in order.
 *
 * emp_loop_post: any thread. Everything else: the loop's. */
#ifndef EMP_BROKER_LOOP_H
#define EMP_BROKER_LOOP_H

#include "broker/commit.h"
#include "broker/op.h"

#include "os/queue.h"
#include "os/signals.h"

#include <uv.h>

struct emp_broker;

struct emp_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t turn;
    uv_timer_t due;
    struct emp_signals *signals;
    struct emp_queue *queue; /* operations from HTTP threads */
    emp_mono_ms due_at;
    struct emp_batch *batch;  /* what gathers */
    struct emp_batch *handed; /* what the writer has; its own but for operations of the loop */

    struct emp_op *drained, **drained_end; /* taken from the queue, not yet run */
    bool ended;                            /* nothing is run any more */
    uint64_t steps, progress_dropped;
};

int emp_loop_init(struct emp_broker *b);
void emp_loop_run(struct emp_broker *b); /* until a signal asks for the end */

/* After emp_loop_run, with new requests refused already: runs, commits and releases all that was
 * taken in, if that can be done in time. */
void emp_loop_flush(struct emp_broker *b, int64_t grace_ms);
/* What is left is answered with EMP_E_UNAVAILABLE; nothing is taken in any more. After the writer
 * has ended; turns the loop until the queue is closed. */
void emp_loop_refuse(struct emp_broker *b);
/* Last, when the writer has ended and every other handle of the loop is closed or closing. */
void emp_loop_release(struct emp_broker *b);

/* Queues an operation, whose owner is then the loop. 0; or EMP_E_UNAVAILABLE (stopping),
 * EMP_E_AGAIN (the queue is full): the caller keeps it. */
int emp_loop_post(struct emp_broker *b, struct emp_op *op);

/* Steps the core; what comes out goes into the gathering batch. */
void emp_loop_step(struct emp_broker *b, const struct emp_event *event);
struct emp_now emp_loop_now(void);

/* Runs `op` as if it had just been taken from the queue. */
void emp_loop_take(struct emp_broker *b, struct emp_op *op);

/* The gathering batch: references and arena that live until what rests on them is durable. */
struct emp_batch *emp_loop_batch(struct emp_broker *b);

#endif

/* An operation: one request on its way from an HTTP thread through the loop and, where it changes
 * something, the writer, and back to its client. It owns all it needs until its batch is over,
 * since changes borrow from it; the HTTP request may be answered earlier.
 *
 * One owner at a time: the HTTP thread that made it, the queue, the loop (run), the batch (until
 * freed). */
#ifndef EMP_BROKER_OP_H
#define EMP_BROKER_OP_H

#include "base/arena.h"
#include "broker/answer.h"
#include "core/core.h"

#include <stdbool.h>

struct emp_broker;
struct emp_op;

struct emp_op_type {
    const char *name;
    /* On the loop: steps the core (emp_loop_step), or looks into it and prepares an answer. */
    void (*run)(struct emp_broker *b, struct emp_op *op);
    /* On the loop, during `run`: the core's answer to emp_op_request(op). Strings live as long as
     * the batch. NULL where run never asks. */
    void (*reply)(struct emp_op *op, const struct emp_reply *reply);
    /* Once, when everything the answer rests on is durable (code 0), or will not be soon (code < 0,
     * EMP_E_*): answers the HTTP request. On the writer's thread or the loop's; on the loop's only,
     * where `on_loop`. */
    void (*finish)(struct emp_broker *b, struct emp_op *op, int code);
    void (*release)(struct emp_op *op); /* what the arena does not hold; may be NULL */
    bool on_loop;
    bool writes;   /* refused while commits fail */
    bool detached; /* `run` takes it over: it belongs to no batch, and `run` or what follows
                      finishes and frees it */
};

struct emp_op {
    struct emp_op *next;
    const struct emp_op_type *type;
    struct emp_peer peer;
    bool finished;
    struct emp_arena arena;
};

static inline emp_request emp_op_request(const struct emp_op *op)
{
    return (emp_request)(uintptr_t)op;
}

/* Zeroed memory of `bytes` (at least sizeof(struct emp_op), which stands first in it) with an
 * arena; the peer's origin is copied. No memory is fatal. Any thread. */
void *emp_op_new(size_t bytes, const struct emp_op_type *type, const struct emp_peer *peer);
void emp_op_free(struct emp_op *op);
void emp_op_finish(struct emp_broker *b, struct emp_op *op,
                   int code); /* at most once, whatever is asked */

#endif

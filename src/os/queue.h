/* A bounded queue of pointers from any number of threads to one libuv loop. Pushing appends to a
 * vector under a mutex and wakes the loop when the vector was empty; the loop swaps vectors and
 * hands the whole batch over in one call. So under load there is one wake-up and one lock of the
 * loop per batch, not per item.
 *
 * Lock order: the queue's mutex is a leaf. Nothing is called while it is held, so emp_queue_push
 * may be called under any lock, and `drain` is called under none. Order: items of one thread keep
 * theirs. */
#ifndef EMP_OS_QUEUE_H
#define EMP_OS_QUEUE_H

#include <stddef.h>
#include <uv.h>

struct emp_queue;

/* On the loop. The array is borrowed for the call; the items are the callee's from now on. count
 * ≥ 1. May push, may close. */
typedef void (*emp_queue_drain)(void *ctx, void **items, size_t count);

/* On the loop's thread. `max` is the number of items that may wait. 0, EMP_E_INTERNAL (no memory),
 * EMP_E_IO (no descriptors). */
int emp_queue_new(uv_loop_t *loop, size_t max, emp_queue_drain drain, void *ctx,
                  struct emp_queue **ret);

/* Any thread. 0: the item belongs to the queue. EMP_E_QUEUE_FULL, or EMP_E_UNAVAILABLE after
 * emp_queue_close began: it stays the caller's. */
int emp_queue_push(struct emp_queue *q, void *item);

/* Like push, but beyond `max` too: for what must not be lost and is bounded elsewhere (a close, a
 * commit's end). */
int emp_queue_push_urgent(struct emp_queue *q, void *item);

size_t emp_queue_depth(struct emp_queue *q); /* items that wait; any thread */

/* On the loop. Refuses new items from now on; what waits is drained in a later turn; then calls
 * closed(arg) (may be NULL). The memory stays until emp_queue_free, so that late pushers get an
 * answer. */
void emp_queue_close(struct emp_queue *q, void (*closed)(void *arg), void *arg);
void emp_queue_free(struct emp_queue *q); /* after `closed`, when no thread can push any more */

#endif

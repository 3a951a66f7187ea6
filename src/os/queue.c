/* Two vectors change places: threads append to one, the loop walks the other. The wake-up is sent
 * by whoever finds the vector empty, so that a burst costs one. Vectors keep their size, up to a
 * bound, between bursts. */
#include "os/queue.h"
#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { FIRST_CAP = 64, KEEP_CAP = 64 << 10 };

struct emp_queue_vec {
    void **items;
    size_t count, cap;
};

struct emp_queue {
    uv_async_t wake;
    pthread_mutex_t lock; /* guards `in`, `closing` */
    struct emp_queue_vec in;
    bool closing;
    struct emp_queue_vec out; /* the loop's */
    size_t max;
    emp_queue_drain drain;
    void *ctx;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void emp_queue_take(struct emp_queue *q)
{
    pthread_mutex_lock(&q->lock);
    struct emp_queue_vec got = q->in;
    q->in = q->out;
    pthread_mutex_unlock(&q->lock);
    q->out = (struct emp_queue_vec){NULL, 0, 0}; // while drain runs, nobody else may use it
    if (got.count > 0)
        q->drain(q->ctx, got.items, got.count);
    got.count = 0;
    if (got.cap > KEEP_CAP) {
        free(got.items);
        got = (struct emp_queue_vec){NULL, 0, 0};
    }
    q->out = got;
}

static void emp_queue_closed(uv_handle_t *handle)
{
    struct emp_queue *q = handle->data;
    if (q->closed)
        q->closed(q->closed_arg);
}

static void emp_queue_woken(uv_async_t *async)
{
    struct emp_queue *q = async->data;
    emp_queue_take(q);
    pthread_mutex_lock(&q->lock);
    bool end = q->closing && q->in.count == 0;
    pthread_mutex_unlock(&q->lock);
    if (end && !uv_is_closing((uv_handle_t *)async))
        uv_close((uv_handle_t *)async, emp_queue_closed);
}

int emp_queue_new(uv_loop_t *loop, size_t max, emp_queue_drain drain, void *ctx,
                  struct emp_queue **ret)
{
    struct emp_queue *q = calloc(1, sizeof *q);
    if (!q)
        return EMP_E_INTERNAL;
    if (uv_async_init(loop, &q->wake, emp_queue_woken) != 0) {
        free(q);
        return EMP_E_IO;
    }
    pthread_mutex_init(&q->lock, NULL);
    q->wake.data = q;
    q->max = max;
    q->drain = drain;
    q->ctx = ctx;
    *ret = q;
    return 0;
}

static int emp_queue_append(struct emp_queue_vec *v, void *item)
{
    if (v->count == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : FIRST_CAP;
        void **items = realloc(v->items, cap * sizeof *items);
        if (!items)
            return EMP_E_QUEUE_FULL;
        v->items = items;
        v->cap = cap;
    }
    v->items[v->count++] = item;
    return 0;
}

static int emp_queue_add(struct emp_queue *q, void *item, bool urgent)
{
    pthread_mutex_lock(&q->lock);
    int r = 0;
    if (q->closing)
        r = EMP_E_UNAVAILABLE;
    else if (!urgent && q->in.count >= q->max)
        r = EMP_E_QUEUE_FULL;
    else
        r = emp_queue_append(&q->in, item);
    /* Under the lock: the loop cannot close the handle between our append and the wake-up. */
    if (r == 0 && q->in.count == 1)
        uv_async_send(&q->wake);
    pthread_mutex_unlock(&q->lock);
    return r;
}

int emp_queue_push(struct emp_queue *q, void *item)
{
    return emp_queue_add(q, item, false);
}

int emp_queue_push_urgent(struct emp_queue *q, void *item)
{
    return emp_queue_add(q, item, true);
}

size_t emp_queue_depth(struct emp_queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t n = q->in.count;
    pthread_mutex_unlock(&q->lock);
    return n;
}

void emp_queue_close(struct emp_queue *q, void (*closed)(void *arg), void *arg)
{
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_mutex_unlock(&q->lock);
    q->closed = closed;
    q->closed_arg = arg;
    uv_async_send(&q->wake);
}

void emp_queue_free(struct emp_queue *q)
{
    if (!q)
        return;
    pthread_mutex_destroy(&q->lock);
    free(q->in.items);
    free(q->out.items);
    free(q);
}

/* The way from any thread into the loop: nothing lost, order kept, bounded, closed cleanly. */
#include "check.h"

#include "os/queue.h"

#include <pthread.h>

enum { THREADS = 4, EACH = 20000 };

struct box {
    uv_loop_t loop;
    struct emp_queue *q;
    uintptr_t last[THREADS]; /* highest number seen of each thread */
    size_t drained, batches, largest;
    size_t until; /* close when so many have come */
    int closed;
};

static void box_init(struct box *b, size_t max, emp_queue_drain drain)
{
    memset(b, 0, sizeof *b);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(emp_queue_new(&b->loop, max, drain, b, &b->q), 0);
}

static void on_closed(void *arg)
{
    ((struct box *)arg)->closed++;
}

static void box_end(struct box *b)
{
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(b->closed, 1);
    emp_queue_free(b->q);
    assert_int_equal(uv_loop_close(&b->loop), 0);
}

/* Items are thread << 32 | number, counting from 1. */
static void count(void *ctx, void **items, size_t n)
{
    struct box *b = ctx;
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        uintptr_t item = (uintptr_t)items[i], thread = item >> 32, number = item & UINT32_MAX;
        assert_int_equal(number, b->last[thread] + 1);
        b->last[thread] = number;
    }
    b->drained += n;
    b->batches++;
    b->largest = n > b->largest ? n : b->largest;
    if (b->until && b->drained == b->until)
        emp_queue_close(b->q, on_closed, b);
}

struct pusher {
    struct box *b;
    uintptr_t thread;
};

static void *push_many(void *arg)
{
    struct pusher *p = arg;
    for (uintptr_t i = 1; i <= EACH; i++)
        while (emp_queue_push(p->b->q, (void *)(p->thread << 32 | i)) == EMP_E_QUEUE_FULL)
            sched_yield();
    return NULL;
}

static void nothing_is_lost_and_each_thread_keeps_its_order(void **state)
{
    struct box b;
    pthread_t threads[THREADS];
    struct pusher pushers[THREADS];
    (void)state;
    box_init(&b, 1000, count);
    b.until = (size_t)THREADS * EACH;
    for (int i = 0; i < THREADS; i++) {
        pushers[i] = (struct pusher){&b, (uintptr_t)i};
        assert_int_equal(pthread_create(&threads[i], NULL, push_many, &pushers[i]), 0);
    }
    uv_run(&b.loop, UV_RUN_DEFAULT);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(b.drained, b.until);
    assert_true(b.largest <= 1000);
    box_end(&b);
}

static void a_burst_is_one_batch(void **state)
{
    struct box b;
    (void)state;
    box_init(&b, 1000, count);
    for (uintptr_t i = 1; i <= 500; i++)
        assert_int_equal(emp_queue_push(b.q, (void *)i), 0);
    assert_int_equal(emp_queue_depth(b.q), 500);
    uv_run(&b.loop, UV_RUN_ONCE);
    assert_int_equal(b.drained, 500);
    assert_int_equal(b.batches, 1);
    assert_int_equal(emp_queue_depth(b.q), 0);
    emp_queue_close(b.q, on_closed, &b);
    box_end(&b);
}

static void a_full_queue_refuses_all_but_the_urgent(void **state)
{
    struct box b;
    (void)state;
    box_init(&b, 2, count);
    assert_int_equal(emp_queue_push(b.q, (void *)1), 0);
    assert_int_equal(emp_queue_push(b.q, (void *)2), 0);
    assert_int_equal(emp_queue_push(b.q, (void *)3), EMP_E_QUEUE_FULL);
    assert_int_equal(emp_queue_push_urgent(b.q, (void *)3), 0);
    uv_run(&b.loop, UV_RUN_ONCE);
    assert_int_equal(b.drained, 3);
    assert_int_equal(emp_queue_push(b.q, (void *)4), 0);
    emp_queue_close(b.q, on_closed, &b);
    box_end(&b);
    assert_int_equal(b.drained, 4);
}

static void what_waits_at_the_close_is_drained_first(void **state)
{
    struct box b;
    (void)state;
    box_init(&b, 10, count);
    assert_int_equal(emp_queue_push(b.q, (void *)1), 0);
    emp_queue_close(b.q, on_closed, &b);
    assert_int_equal(b.closed, 0);
    assert_int_equal(emp_queue_push(b.q, (void *)2), EMP_E_UNAVAILABLE);
    assert_int_equal(emp_queue_push_urgent(b.q, (void *)2), EMP_E_UNAVAILABLE);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    assert_int_equal(b.drained, 1);
    assert_int_equal(emp_queue_push(b.q, (void *)2),
                     EMP_E_UNAVAILABLE); // the memory is still there
    box_end(&b);
}

/* From inside drain: what is pushed then comes in a later batch. */
static void push_again(void *ctx, void **items, size_t n)
{
    struct box *b = ctx;
    count(b, items, n);
    if (b->drained < 100)
        for (int i = 0; i < 2; i++) {
            uintptr_t next = b->drained + 1 + (uintptr_t)i;
            if (next <= 100)
                assert_int_equal(emp_queue_push(b->q, (void *)next), 0);
        }
}

static void the_drain_may_push_and_close(void **state)
{
    struct box b;
    (void)state;
    box_init(&b, 10, push_again);
    b.until = 100;
    assert_int_equal(emp_queue_push(b.q, (void *)1), 0);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    assert_int_equal(b.drained, 100);
    box_end(&b);
}

/* A batch beyond what is kept between bursts. */
static void a_huge_burst_comes_through_whole(void **state)
{
    enum { HUGE = 100000 };
    struct box b;
    (void)state;
    box_init(&b, HUGE, count);
    for (uintptr_t i = 1; i <= HUGE; i++)
        assert_int_equal(emp_queue_push(b.q, (void *)i), 0);
    uv_run(&b.loop, UV_RUN_ONCE);
    assert_int_equal(b.largest, HUGE);
    assert_int_equal(emp_queue_push(b.q, (void *)(uintptr_t)(HUGE + 1)), 0);
    emp_queue_close(b.q, NULL, NULL);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    b.closed = 1; // nobody asked to be told
    box_end(&b);
    emp_queue_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_and_each_thread_keeps_its_order),
        cmocka_unit_test(a_burst_is_one_batch),
        cmocka_unit_test(a_full_queue_refuses_all_but_the_urgent),
        cmocka_unit_test(what_waits_at_the_close_is_drained_first),
        cmocka_unit_test(the_drain_may_push_and_close),
        cmocka_unit_test(a_huge_burst_comes_through_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

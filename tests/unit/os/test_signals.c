/* Signals on the loop, and their old meaning after it. */
#include "check.h"

#include "os/signals.h"

#include <signal.h>
#include <sys/wait.h>

struct heard {
    uv_loop_t loop;
    uv_timer_t limit; /* keeps the loop alive meanwhile */
    int signals[8];
    int count;
};

static void on_signal(void *ctx, int signum)
{
    struct heard *h = ctx;
    h->signals[h->count++] = signum;
}

static void on_limit(uv_timer_t *t)
{
    (void)t;
    abort();
}

static void each_of_the_three_is_delivered_on_the_loop(void **state)
{
    static const int wanted[] = {SIGTERM, SIGINT, SIGHUP};
    struct heard h = {.count = 0};
    struct emp_signals *s;
    (void)state;
    assert_int_equal(uv_loop_init(&h.loop), 0);
    assert_int_equal(emp_signals_start(&h.loop, on_signal, &h, &s), 0);
    uv_timer_init(&h.loop, &h.limit);
    uv_timer_start(&h.limit, on_limit, 60000, 0);
    for (int i = 0; i < 3; i++) {
        kill(getpid(), wanted[i]);
        while (h.count == i)
            uv_run(&h.loop, UV_RUN_ONCE);
        assert_int_equal(h.signals[i], wanted[i]);
    }
    uv_close((uv_handle_t *)&h.limit, NULL);
    emp_signals_stop(s);
    uv_run(&h.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&h.loop), 0);
}

static void they_do_not_keep_the_loop_alive(void **state)
{
    struct heard h = {.count = 0};
    struct emp_signals *s;
    (void)state;
    assert_int_equal(uv_loop_init(&h.loop), 0);
    assert_int_equal(emp_signals_start(&h.loop, on_signal, &h, &s), 0);
    assert_int_equal(uv_run(&h.loop, UV_RUN_DEFAULT), 0); // returns at once
    emp_signals_stop(s);
    uv_run(&h.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&h.loop), 0);
    emp_signals_stop(NULL);
}

/* In a child: after the stop SIGTERM kills again. */
static void after_the_stop_the_default_is_back(void **state)
{
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct heard h = {.count = 0};
        struct emp_signals *s;
        if (uv_loop_init(&h.loop) != 0 || emp_signals_start(&h.loop, on_signal, &h, &s) != 0)
            _exit(1);
        emp_signals_stop(s);
        uv_run(&h.loop, UV_RUN_DEFAULT);
        raise(SIGTERM);
        _exit(2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void a_reader_that_left_is_an_error_and_not_the_end(void **state)
{
    int fds[2];
    (void)state;
    emp_signals_ignore_pipe();
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    assert_int_equal(write(fds[1], "x", 1), -1);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_the_three_is_delivered_on_the_loop),
        cmocka_unit_test(they_do_not_keep_the_loop_alive),
        cmocka_unit_test(after_the_stop_the_default_is_back),
        cmocka_unit_test(a_reader_that_left_is_an_error_and_not_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

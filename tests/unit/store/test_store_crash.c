/* kill -9: a child commits batch after batch and says so through a pipe; it is killed at moments of
 * chance; whoever opens the store then finds every batch that was acknowledged, at most the one
 * that was under way, and no half one. Then the next child goes on. */
#include "fixture.h"

#include "store/backend.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 25, ACKS_MAX = 12 };

static struct emp_store *open_small(const char *path, const char *backend)
{
    /* The log is folded in all the time, so that kills fall into that, too. */
    struct emp_store_options o = {
        .backend = backend, .checkpoint_bytes = 128 << 10, .log_bytes_max = 512 << 10};
    struct emp_error err = {0};
    struct emp_store *s;
    if (emp_store_open(path, &o, &s, &err) < 0)
        fail_msg("open: %s", err.text);
    return s;
}

/* The child: never returns. */
static void commit_for_ever(const char *path, const char *backend, int first, int pipe_fd)
{
    struct changes *c = changes_new();
    struct emp_store *s = open_small(path, backend);
    for (int b = first;; b++) {
        story_batch(c, b);
        if (emp_store_commit(s, c->items, c->count, resolve_bytes, &c->arena, NULL) < 0 ||
            write(pipe_fd, &b, sizeof b) != sizeof b)
            _exit(1);
    }
}

/* Waits for some acknowledgements, then a moment of chance, then kills; the last batch
 * acknowledged, or `last`. */
static int kill_at_random(pid_t child, int fd, int last, struct emp_random *r)
{
    int b, status;
    for (uint64_t acks = emp_random_below(r, ACKS_MAX); acks && read(fd, &b, sizeof b) == sizeof b;
         acks--)
        last = b;
    for (volatile uint64_t spin = emp_random_below(r, 2000000); spin; spin--)
        ;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(fd, &b, sizeof b) == sizeof b) // acknowledged before the kill, read after it
        last = b;
    return last;
}

static void test_killed_at_random(void **state)
{
    const struct emp_store_ops *ops = *state;
    struct dir dir;
    struct emp_random r;
    int done = 0; // batches the store holds
    emp_random_init(&r, (uint64_t)getpid());
    print_message("seed %d\n", getpid());
    dir_init(&dir);
    for (int round = 0; round < ROUNDS; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(fds[0]);
            commit_for_ever(dir.path, ops->name, done, fds[1]);
        }
        close(fds[1]);
        int acked = kill_at_random(child, fds[0], done - 1, &r) + 1;
        close(fds[0]);
        struct emp_store *s = open_small(dir.path, ops->name);
        done = story_holds(s, acked) ? acked : acked + 1;
        assert_true(story_holds(s, done));
        emp_store_close(s);
    }
    assert_true(done > 0);
    dir_release(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"killed at random over sqlite", test_killed_at_random, NULL, NULL,
         (void *)(uintptr_t)&emp_store_sqlite},
    };
    return cmocka_run_group_tests_name("kill -9", tests, NULL, NULL);
}

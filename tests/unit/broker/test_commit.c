/* Group commit with a store that fails on demand: nothing leaves before it is durable, nothing is
 * lost when it cannot be, and who waits is told. */
#include "store.h"

#include "broker/blob.h"
#include "broker/commit.h"
#include "os/clock.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------ what a test has */

static struct {
    struct emp_committer *c;
    sem_t woken;
    atomic_uint gone; /* jobs that retention told of */
} at;

struct note {
    struct emp_op op;
    int code;
    atomic_uint times;
    uint32_t durable_then; /* commits that had succeeded when it was answered */
};

static void note_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct note *n = (struct note *)op;

    (void)b;
    n->code = code;
    n->durable_then = store_commits();
    atomic_fetch_add(&n->times, 1);
}

static const struct emp_op_type writing = {.name = "writes", .finish = note_finish, .writes = true};
static const struct emp_op_type looking = {.name = "looks", .finish = note_finish};
static const struct emp_op_type loops = {
    .name = "on_loop", .finish = note_finish, .writes = true, .on_loop = true};

static struct note *note(struct emp_batch *b, const struct emp_op_type *type)
{
    struct note *n = emp_op_new(sizeof *n, type, &(struct emp_peer){0});
    emp_batch_op(b, &n->op);
    return n;
}

static void wake(void *ctx)
{
    (void)ctx;
    sem_post(&at.woken);
}

static void retained(void *ctx, const emp_job_num *nums, uint32_t count)
{
    (void)ctx;
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(nums[i], atomic_fetch_add(&at.gone, 1) + 1);
    sem_post(&at.woken);
}

static void begin(int64_t retention_ms)
{
    struct emp_committer_options o = {
        .retention_ms = retention_ms, .wake = wake, .retained = retained};

    store_init();
    sem_init(&at.woken, 0, 0);
    atomic_store(&at.gone, 0);
    assert_int_equal(emp_committer_new(&o, &at.c), 0);
}

static void end(bool through, int64_t grace_ms)
{
    assert_int_equal(emp_committer_stop(at.c, grace_ms), through);
    emp_committer_free(at.c);
    sem_destroy(&at.woken);
    store_release();
}

static void wait_woken(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    while (sem_timedwait(&at.woken, &until) < 0)
        if (errno == ETIMEDOUT)
            fail_msg("the writer does not say anything");
}

static struct emp_batch *wait_done(void)
{
    struct emp_batch *b;

    while ((b = emp_committer_done(at.c)) == NULL)
        wait_woken();
    return b;
}

/* Until requests are answered, too: that may come after `done`. */
static void wait_idle(void)
{
    while (!emp_committer_idle(at.c))
        sched_yield();
}

static void change(struct emp_batch *b, emp_job_num job)
{
    emp_batch_change(b, &(struct emp_change){.kind = EMP_CHANGE_JOB, .job.record.num = job});
}

static struct emp_batch *batch_of(emp_job_num job)
{
    struct emp_batch *b = emp_batch_new();
    change(b, job);
    return b;
}

static void assert_durable(const emp_job_num *want, uint32_t count)
{
    const emp_job_num *got;

    assert_int_equal(store_durable(&got), count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(got[i], want[i]);
}

/* ------------------------------------------------------------------ all is well */

static void test_answers_leave_after_the_commit(void **state)
{
    (void)state;
    begin(EMP_NEVER);
    struct emp_batch *b = batch_of(1);
    struct note *w = note(b, &writing), *l = note(b, &looking), *own = note(b, &loops);

    store_hold();
    emp_committer_hand(at.c, b);
    store_wait_tries(1);
    assert_int_equal(atomic_load(&w->times), 0);
    assert_int_equal(emp_committer_under_way(at.c), 1);
    assert_null(emp_committer_done(at.c));

    store_open_gate();
    assert_ptr_equal(wait_done(), b);
    wait_idle();
    assert_int_equal(emp_committer_under_way(at.c), 0);
    assert_int_equal(atomic_load(&w->times), 1);
    assert_int_equal(w->code, 0);
    assert_int_equal(w->durable_then, 1);
    assert_int_equal(l->durable_then, 1);          // what was looked at is durable by then, too
    assert_int_equal(atomic_load(&own->times), 0); // that is the loop's
    emp_batch_free(b);
    end(true, 0);
}

static void test_batches_keep_their_order(void **state)
{
    (void)state;
    begin(EMP_NEVER);
    struct emp_batch *b[3] = {batch_of(1), batch_of(2), batch_of(3)};

    change(b[1], 20);
    store_hold();
    for (size_t i = 0; i < 3; i++)
        emp_committer_hand(at.c, b[i]);
    assert_int_equal(emp_committer_under_way(at.c), 3);
    store_open_gate();
    for (size_t i = 0; i < 3; i++) {
        struct emp_batch *done = wait_done();
        assert_ptr_equal(done, b[i]);
        emp_batch_free(done);
    }
    assert_durable((emp_job_num[]){1, 2, 20, 3}, 4);
    end(true, 0);
}

static void test_bodies_are_the_blobs_bytes(void **state)
{
    (void)state;
    begin(EMP_NEVER);
    struct emp_batch *b = emp_batch_new();
    struct emp_blob *blob = emp_blob_new(EMP_STR("{\"service_required\":\"x\"}"));

    emp_batch_keep(b, emp_blob_ref(blob));
    emp_batch_change(
        b, &(struct emp_change){.kind = EMP_CHANGE_JOB, .job = {.body = emp_blob_token_of(blob)}});
    emp_blob_unref(blob); // the batch's reference is enough
    emp_committer_hand(at.c, b);
    emp_batch_free(wait_done());
    assert_string_equal(store_last_body(), "{\"service_required\":\"x\"}");
    end(true, 0);
}

static void test_a_batch_lives_as_long_as_somebody_needs_it(void **state)
{
    (void)state;
    begin(EMP_NEVER);
    struct emp_batch *b = emp_batch_new();
    assert_true(emp_batch_empty(b));
    const char *text = emp_str_copy(&b->arena, EMP_STR("still here")).ptr;

    emp_batch_ref(b);
    emp_batch_free(b);
    assert_string_equal(text, "still here");
    emp_batch_free(b);
    end(true, 0);
}

/* ------------------------------------------------------------------ the disk fails */

static void test_a_full_disk_is_told_and_nothing_is_lost(void **state)
{
    (void)state;
    begin(EMP_NEVER);
    struct emp_batch *b = batch_of(1);
    struct note *w = note(b, &writing), *l = note(b, &looking), *own = note(b, &loops);

    assert_int_equal(emp_committer_failing(at.c), 0);
    store_fail(EMP_E_DISK_FULL, 1000000);
    emp_committer_hand(at.c, b);
    store_wait_tries(3); // it goes on trying …
    assert_int_equal(emp_committer_failing(at.c), EMP_E_DISK_FULL);
    assert_int_equal(atomic_load(&w->times), 1); // … but who waits is told at once, and once
    assert_int_equal(w->code, EMP_E_DISK_FULL);
    assert_int_equal(l->code, 0); // a look changes nothing, so nothing failed
    assert_int_equal(atomic_load(&own->times), 0);
    wait_woken(); // so that the loop can answer its own
    emp_batch_answer_on_loop(NULL, b, EMP_E_DISK_FULL);
    assert_int_equal(own->code, EMP_E_DISK_FULL);
    assert_null(emp_committer_done(at.c)); // nothing of it is released
    assert_durable(NULL, 0);

    store_fail(0, 0);
    assert_ptr_equal(wait_done(), b);
    wait_idle();
    assert_int_equal(emp_committer_failing(at.c), 0);
    assert_int_equal(atomic_load(&w->times), 1);
    assert_int_equal(atomic_load(&l->times), 1);
    assert_int_equal(atomic_load(&own->times), 1);
    assert_durable((emp_job_num[]){1}, 1);
    emp_batch_free(b);

    struct emp_committer_stats s;
    emp_committer_stats(at.c, &s);
    assert_int_equal(s.commits, 1);
    assert_int_equal(s.changes, 1);
    assert_int_equal(s.failures, store_tries() - 1);
    end(true, 0);
}

static void test_faults_that_pass(void **state)
{
    (void)state;
    const int codes[] = {EMP_E_DISK_FULL, EMP_E_IO, EMP_E_AGAIN};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        begin(EMP_NEVER);
        struct emp_batch *first = batch_of(1), *second = batch_of(2);
        store_fail(codes[i], 2);
        emp_committer_hand(at.c, first);
        emp_committer_hand(at.c, second);
        assert_ptr_equal(wait_done(), first);
        assert_ptr_equal(wait_done(), second); // it never overtakes
        assert_int_equal(store_tries(), 4);
        emp_batch_free(first);
        emp_batch_free(second);
        end(true, 0);
    }
}

/* What no repetition mends ends the process: in a child of the test's. */
static void test_a_damaged_store_ends_the_process(void **state)
{
    int status;

    (void)state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fclose(stderr); // the log, and what a sanitizer says of abort
        begin(EMP_NEVER);
        store_fail(EMP_E_INTERNAL, 1);
        emp_committer_hand(at.c, batch_of(1));
        wait_done();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* ------------------------------------------------------------------ the end */

static void test_the_end_writes_what_waits(void **state)
{
    (void)state;
    begin(EMP_NEVER);
    store_hold();
    for (emp_job_num n = 1; n <= 3; n++)
        emp_committer_hand(at.c, batch_of(n));
    store_wait_tries(1);
    store_open_gate();
    assert_true(emp_committer_stop(at.c, 0)); // no time is given to failures; there are none
    assert_durable((emp_job_num[]){1, 2, 3}, 3);
    emp_committer_free(at.c); // with the batches that nobody fetched
    sem_destroy(&at.woken);
    store_release();
}

static void test_the_end_gives_a_failing_disk_its_time_and_no_more(void **state)
{
    (void)state;
    begin(EMP_NEVER);
    store_fail(EMP_E_IO, 1000000);
    struct emp_batch *b = batch_of(1);
    struct note *w = note(b, &writing);

    emp_committer_hand(at.c, b);
    emp_committer_hand(at.c, batch_of(2));
    store_wait_tries(1);
    uint32_t before = store_tries();
    emp_mono_ms began = emp_mono_now();
    assert_false(emp_committer_stop(at.c, 300));
    assert_true(emp_mono_now() - began >= 300);
    assert_true(store_tries() > before);
    assert_int_equal(w->code, EMP_E_IO);
    assert_null(emp_committer_done(at.c));
    assert_durable(NULL, 0);
    emp_committer_free(at.c);
    sem_destroy(&at.woken);
    store_release();
}

static void test_the_end_waits_for_a_disk_that_recovers(void **state)
{
    (void)state;
    begin(EMP_NEVER);
    store_fail(EMP_E_DISK_FULL, 3);
    emp_committer_hand(at.c, batch_of(1));
    store_wait_tries(1);
    assert_true(emp_committer_stop(at.c, 60000));
    assert_durable((emp_job_num[]){1}, 1);
    emp_committer_free(at.c);
    sem_destroy(&at.woken);
    store_release();
}

/* ------------------------------------------------------------------ retention */

static void test_retention_goes_on_while_there_is_more(void **state)
{
    (void)state;
    begin(1000);
    store_retain(1, 5); // each with one job, more to look at
    while (atomic_load(&at.gone) < 5)
        wait_woken();
    struct emp_committer_stats s;
    do {
        emp_committer_stats(at.c, &s); // counted just after it was told
    } while (s.retained < 5);
    assert_int_equal(s.retained, 5);
    assert_int_equal(s.commits, 0);

    struct emp_batch *b = batch_of(9); // commits as ever
    emp_committer_hand(at.c, b);
    assert_ptr_equal(wait_done(), b);
    emp_batch_free(b);
    end(true, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_leave_after_the_commit),
        cmocka_unit_test(test_batches_keep_their_order),
        cmocka_unit_test(test_bodies_are_the_blobs_bytes),
        cmocka_unit_test(test_a_batch_lives_as_long_as_somebody_needs_it),
        cmocka_unit_test(test_a_full_disk_is_told_and_nothing_is_lost),
        cmocka_unit_test(test_faults_that_pass),
        cmocka_unit_test(test_a_damaged_store_ends_the_process),
        cmocka_unit_test(test_the_end_writes_what_waits),
        cmocka_unit_test(test_the_end_gives_a_failing_disk_its_time_and_no_more),
        cmocka_unit_test(test_the_end_waits_for_a_disk_that_recovers),
        cmocka_unit_test(test_retention_goes_on_while_there_is_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

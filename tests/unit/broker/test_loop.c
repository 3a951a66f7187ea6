/* The loop over a store that does as it is told: persist, then act; who waits for a failing disk is
 * told; large batches stop taking more. */
#include "store.h"

#include "broker/shell.h"
#include "os/clock.h"
#include "os/signals.h"

#include <stdatomic.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ a broker without its doors */

static struct emp_broker *b;

static void wake(void *ctx)
{
    (void)ctx;
    uv_async_send(&b->loop.wake);
}

static void begin(void)
{
    struct emp_committer_options o = {.retention_ms = EMP_NEVER, .wake = wake};

    store_init();
    b = calloc(1, sizeof *b);
    b->o.settings = emp_settings_default();
    b->core = emp_core_new(b->o.settings, &emp_policy_default, 1);
    emp_core_start(b->core, emp_loop_now(), 0);
    emp_payloads_init(&b->payloads, 1 << 20);
    emp_progress_init(&b->progress);
    assert_int_equal(emp_loop_init(b), 0);
    o.broker = b;
    assert_int_equal(emp_committer_new(&o, &b->committer), 0);
}

static void end(bool through)
{
    store_open_gate();
    assert_int_equal(emp_committer_stop(b->committer, 100), through);
    emp_loop_refuse(b);
    emp_committer_free(b->committer);
    emp_loop_release(b);
    emp_progress_release(&b->progress);
    emp_payloads_release(&b->payloads);
    emp_core_free(b->core);
    free(b);
    store_release();
}

/* ------------------------------------------------------------------ operations */

static struct {
    uint32_t run;
    atomic_uint answered, refused, freed;
    int last_code;
} seen;

struct job {
    struct emp_op op;
    emp_job_num first;
    uint32_t changes;
};

static void job_run(struct emp_broker *broker, struct emp_op *op)
{
    struct job *j = (struct job *)op;

    seen.run++;
    for (uint32_t i = 0; i < j->changes; i++)
        emp_batch_change(emp_loop_batch(broker), &(struct emp_change){
                                                     .kind = EMP_CHANGE_JOB,
                                                     .job.record.num = j->first + i,
                                                 });
}

static void job_finish(struct emp_broker *broker, struct emp_op *op, int code)
{
    (void)broker;
    (void)op;
    seen.last_code = code;
    atomic_fetch_add(code == 0 ? &seen.answered : &seen.refused, 1);
}

static void job_release(struct emp_op *op)
{
    (void)op;
    atomic_fetch_add(&seen.freed, 1);
}

static const struct emp_op_type writing = {
    .name = "write",
    .run = job_run,
    .finish = job_finish,
    .release = job_release,
    .writes = true,
};
static const struct emp_op_type looking = {
    .name = "look", .run = job_run, .finish = job_finish, .release = job_release};
static const struct emp_op_type loops = {
    .name = "on_loop",
    .run = job_run,
    .finish = job_finish,
    .release = job_release,
    .writes = true,
    .on_loop = true,
};

static void post(const struct emp_op_type *type, emp_job_num first, uint32_t changes)
{
    struct job *j = emp_op_new(sizeof *j, type, &(struct emp_peer){.broker = b});

    j->first = first;
    j->changes = changes;
    assert_int_equal(emp_loop_post(b, &j->op), 0);
}

static void tick(uv_timer_t *t)
{
    if (emp_mono_now() > *(emp_mono_ms *)t->data)
        fail_msg("it does not happen: %u run, %u answered, %u refused, %u freed", seen.run,
                 seen.answered, seen.refused, seen.freed);
}

/* Turns the loop until the condition holds. It is looked at after every turn and every few ms. */
#define TURN_UNTIL(...)                              \
    do {                                             \
        emp_mono_ms end_at = emp_mono_now() + 60000; \
        uv_timer_t poke;                             \
        uv_timer_init(&b->loop.uv, &poke);           \
        poke.data = &end_at;                         \
        uv_timer_start(&poke, tick, 2, 2);           \
        while (!(__VA_ARGS__))                       \
            uv_run(&b->loop.uv, UV_RUN_ONCE);        \
        uv_close((uv_handle_t *)&poke, NULL);        \
        uv_run(&b->loop.uv, UV_RUN_NOWAIT);          \
    } while (0)

static int set_up(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    begin();
    return 0;
}

/* ------------------------------------------------------------------ persist, then act */

static void test_what_rests_on_a_commit_waits_for_it(void **state)
{
    (void)state;
    store_hold();
    post(&writing, 1, 1);
    TURN_UNTIL(emp_committer_under_way(b->committer) == 1);
    store_wait_tries(1);
    post(&looking, 0, 0);
    post(&writing, 2, 1);
    post(&looking, 0, 0);
    TURN_UNTIL(seen.run == 4); // gathered meanwhile …
    assert_int_equal(atomic_load(&seen.answered), 0);

    store_let(1);
    TURN_UNTIL(store_tries() == 2); // … and handed over as one
    assert_int_equal(atomic_load(&seen.answered), 1);
    store_let(1);
    TURN_UNTIL(atomic_load(&seen.freed) == 4);
    assert_int_equal(atomic_load(&seen.answered), 4);
    assert_int_equal(store_commits(), 2);
    end(true);
}

static void test_looks_alone_need_no_commit(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        post(&looking, 0, 0);
    TURN_UNTIL(atomic_load(&seen.freed) == 10);
    assert_int_equal(atomic_load(&seen.answered), 10);
    assert_int_equal(store_tries(), 0);
    end(true);
}

/* ------------------------------------------------------------------ the disk fails */

static void test_nobody_waits_for_a_failing_disk(void **state)
{
    (void)state;
    store_hold();
    post(&writing, 1, 1);
    post(&loops, 2, 1);
    TURN_UNTIL(emp_committer_under_way(b->committer) == 1);
    post(&writing, 3, 1); // gather while that one fails
    post(&loops, 4, 1);
    post(&looking, 0, 0);
    TURN_UNTIL(seen.run == 5);
    store_fail(EMP_E_DISK_FULL, 1000000);
    store_open_gate();
    TURN_UNTIL(atomic_load(&seen.refused) + atomic_load(&seen.answered) == 5);
    assert_int_equal(atomic_load(&seen.refused), 4);
    assert_int_equal(seen.last_code == 0 ? EMP_E_DISK_FULL : seen.last_code, EMP_E_DISK_FULL);
    assert_int_equal(atomic_load(&seen.freed), 0); // changes may borrow from them

    post(&writing, 5, 1); // not even run
    TURN_UNTIL(atomic_load(&seen.refused) == 5);
    assert_int_equal(seen.run, 5);
    assert_int_equal(atomic_load(&seen.freed), 1);
    for (int i = 0; i < 10; i++)
        post(&looking, 0, 0); // answered, and kept by nothing
    TURN_UNTIL(atomic_load(&seen.freed) == 11);
    assert_int_equal(atomic_load(&seen.answered), 11);

    store_fail(0, 0);
    TURN_UNTIL(atomic_load(&seen.freed) == 16);
    const emp_job_num *durable;
    assert_int_equal(store_durable(&durable), 4); // all that the core had taken in
    for (emp_job_num n = 1; n <= 4; n++)
        assert_int_equal(durable[n - 1], n);
    assert_int_equal(atomic_load(&seen.refused), 5); // and nobody was answered twice
    assert_int_equal(atomic_load(&seen.answered), 11);

    post(&writing, 6, 1);
    TURN_UNTIL(atomic_load(&seen.answered) == 12);
    end(true);
}

static void test_the_end_answers_what_a_failing_disk_holds(void **state)
{
    (void)state;
    store_hold();
    post(&writing, 1, 1);
    post(&loops, 2, 1);
    TURN_UNTIL(emp_committer_under_way(b->committer) == 1);
    post(&loops, 3, 1);
    TURN_UNTIL(seen.run == 3);
    post(&writing, 4, 1); // still in the queue
    store_fail(EMP_E_IO, 1000000);
    end(false);
    assert_int_equal(atomic_load(&seen.refused), 4);
    assert_int_equal(atomic_load(&seen.freed), 4);
}

/* ------------------------------------------------------------------ size */

static void test_a_large_batch_takes_no_more(void **state)
{
    const uint32_t half = EMP_BATCH_CHANGES_MAX / 2;
    const emp_job_num *durable;

    (void)state;
    store_hold();
    post(&writing, 1, 1);
    TURN_UNTIL(emp_committer_under_way(b->committer) == 1);
    for (uint32_t i = 0; i < 5; i++)
        post(&writing, 2 + i * half, half);
    TURN_UNTIL(seen.run == 3);
    for (int i = 0; i < 100; i++)
        uv_run(&b->loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(seen.run, 3); // two halves are a whole; the rest waits

    store_let(1);
    TURN_UNTIL(seen.run == 5); // while the first large one is being written
    assert_int_equal(store_commits(), 1);
    store_open_gate();
    TURN_UNTIL(atomic_load(&seen.freed) == 6);
    assert_int_equal(store_commits(), 4);
    uint32_t count = store_durable(&durable);
    assert_int_equal(count, 1 + 5 * half);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(durable[i], i + 1);
    end(true);
}

static void test_the_end_settles_what_was_taken_in(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        post(i % 3 ? &writing : &looking, i, i % 3 ? 1 : 0);
    emp_loop_flush(b, 60000);
    assert_int_equal(atomic_load(&seen.answered), 100);
    assert_int_equal(atomic_load(&seen.freed), 100);
    end(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_rests_on_a_commit_waits_for_it, set_up),
        cmocka_unit_test_setup(test_looks_alone_need_no_commit, set_up),
        cmocka_unit_test_setup(test_nobody_waits_for_a_failing_disk, set_up),
        cmocka_unit_test_setup(test_the_end_answers_what_a_failing_disk_holds, set_up),
        cmocka_unit_test_setup(test_a_large_batch_takes_no_more, set_up),
        cmocka_unit_test_setup(test_the_end_settles_what_was_taken_in, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

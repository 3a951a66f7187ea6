/* Joining changes: the last word of each thing stands, what earlier ones brought is kept, the order
 * is that of first mention. */
#include "fixture.h"

#include "store/batch.h"

struct world {
    struct changes *changes;
    struct emp_arena arena;
    struct emp_batch batch;
};

static int setup(void **state)
{
    static struct world w;
    w.changes = changes_new();
    emp_arena_init(&w.arena, 0);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    changes_free(w->changes);
    emp_arena_release(&w->arena);
    return 0;
}

static void make(struct world *w)
{
    emp_batch_make(w->changes->items, (uint32_t)w->changes->count, &w->arena, &w->batch);
}

static void test_a_job_is_written_once(void **state)
{
    struct world *w = *state;
    for (int step = 0; step <= 3; step++) {
        add_job(w->changes, 8, step, step == 0);
        add_job(w->changes, 9, step, step == 0);
    }
    make(w);
    assert_int_equal(w->batch.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct emp_batch_item *item = &w->batch.items[i];
        assert_int_equal(item->change->job.record.num, 8 + i);
        assert_int_equal(item->change->job.record.state, EMP_JOB_COMPLETED);
        assert_ptr_equal(item->spec, w->changes->items[i].job.spec);
        assert_int_equal(item->body, body_token(8 + i));
        assert_int_equal(item->result, result_token(8 + i));
        assert_true(item->packed.len && item->packed_spec.len);
    }
}

static void test_known_job_brings_no_spec(void **state)
{
    struct world *w = *state;
    add_job(w->changes, 8, 1, false);
    make(w);
    assert_null(w->batch.items[0].spec);
    assert_int_equal(w->batch.items[0].body, 0);
    assert_int_equal(w->batch.items[0].result, 0);
}

static void test_attempts_of_one_job_stay_apart(void **state)
{
    struct world *w = *state;
    add_attempt(w->changes, 8, 1);
    add_attempt(w->changes, 8, 2);
    add_attempt(w->changes, 9, 1);
    add_attempt(w->changes, 8, 1);
    add_job(w->changes, 8, 1, false);
    make(w);
    assert_int_equal(w->batch.count, 4);
}

static void test_kinds_do_not_mix(void **state)
{
    struct world *w = *state;
    add_machine(w->changes, 1, 1);
    add_model(w->changes, 1, 1);
    add_learned(w->changes, 1, 1);
    w->changes->items[0].machine.facts.id = w->changes->items[1].model.name =
        w->changes->items[2].learned.key = EMP_STR("the same name");
    make(w);
    assert_int_equal(w->batch.count, 3);
}

static void test_last_word_on_a_machine_stands(void **state)
{
    struct world *w = *state;
    struct emp_change forgotten = {.kind = EMP_CHANGE_MACHINE_FORGOTTEN,
                                   .machine_forgotten = EMP_STR("machine-1")};
    add_machine(w->changes, 1, 1);
    w->changes->items[w->changes->count++] = forgotten;
    make(w);
    assert_int_equal(w->batch.count, 1);
    assert_int_equal(w->batch.items[0].change->kind, EMP_CHANGE_MACHINE_FORGOTTEN);
    add_machine(w->changes, 1, 2);
    make(w);
    assert_int_equal(w->batch.count, 1);
    assert_int_equal(w->batch.items[0].change->kind, EMP_CHANGE_MACHINE);
}

static void test_last_word_on_a_model_stands(void **state)
{
    struct world *w = *state;
    struct emp_change removed = {.kind = EMP_CHANGE_MODEL_REMOVED,
                                 .model_removed = EMP_STR("model-1")};
    add_model(w->changes, 1, 1);
    w->changes->items[w->changes->count++] = removed;
    make(w);
    assert_int_equal(w->batch.count, 1);
    assert_int_equal(w->batch.items[0].change->kind, EMP_CHANGE_MODEL_REMOVED);
    add_model(w->changes, 1, 2);
    make(w);
    assert_int_equal(w->batch.count, 1);
    assert_int_equal(w->batch.items[0].change->kind, EMP_CHANGE_MODEL);
}

static void test_thousands_join(void **state)
{
    struct world *w = *state;
    for (emp_job_num n = 1; n <= 1000; n++)
        for (int step = 0; step <= 3; step++)
            add_job(w->changes, n, step, step == 0);
    make(w);
    assert_int_equal(w->batch.count, 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(w->batch.items[i].change->job.record.num, i + 1);
}

static void test_pool_that_a_job_is_found_under(void **state)
{
    (void)state;
    struct emp_job_spec spec = {.pool = EMP_STR("wished")};
    struct emp_job_record record = {0};
    assert_str(emp_batch_pool(&record, NULL), (struct emp_str){0});
    assert_str(emp_batch_pool(&record, &spec), EMP_STR("wished"));
    record.decision.pool = EMP_STR("judged");
    assert_str(emp_batch_pool(&record, &spec), EMP_STR("judged"));
    record.attempt.number = 1;
    record.attempt.pool = EMP_STR("ran");
    assert_str(emp_batch_pool(&record, &spec), EMP_STR("ran"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_job_is_written_once),
        TEST(test_known_job_brings_no_spec),
        TEST(test_attempts_of_one_job_stay_apart),
        TEST(test_kinds_do_not_mix),
        TEST(test_last_word_on_a_machine_stands),
        TEST(test_last_word_on_a_model_stands),
        TEST(test_thousands_join),
        TEST(test_pool_that_a_job_is_found_under),
    };
    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}

/* The store's contract, held against every back end: what was committed is found, by number, by
 * key, by restoring; after reopening, too. */
#include "fixture.h"

#include "store/backend.h"

#include <stdlib.h>
#include <unistd.h>

struct world {
    const struct emp_store_ops *ops;
    struct dir dir;
    struct emp_store *store;
    struct emp_store_reader *reader;
    struct changes *changes;
    struct emp_arena arena;
};

static void world_open(struct world *w)
{
    struct emp_store_options o = {.backend = w->ops->name};
    struct emp_error err = {0};
    if (emp_store_open(w->dir.path, &o, &w->store, &err) < 0)
        fail_msg("open: %s", err.text);
    assert_int_equal(emp_store_reader_new(w->store, &w->reader, &err), 0);
}

static void world_close(struct world *w)
{
    emp_store_reader_free(w->reader);
    emp_store_close(w->store);
}

static void reopen(struct world *w)
{
    world_close(w);
    world_open(w);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->ops = *state;
    dir_init(&w->dir);
    w->changes = changes_new();
    emp_arena_init(&w->arena, 0);
    world_open(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    world_close(w);
    changes_free(w->changes);
    emp_arena_release(&w->arena);
    dir_release(&w->dir);
    free(w);
    return 0;
}

static struct emp_store_job read_job(struct world *w, emp_job_num num, unsigned want)
{
    struct emp_store_job job;
    assert_int_equal(emp_store_job(w->reader, num, want, &w->arena, &job, NULL), 0);
    return job;
}

/* ------------------------------------------------------------------ one job */

static void test_new_job_is_read_back_whole(void **state)
{
    struct world *w = *state;
    for (emp_job_num num = 1; num <= 70; num++)
        add_job(w->changes, num, 0, true);
    commit(w->store, w->changes);
    for (int again = 0; again < 2; again++) {
        for (emp_job_num num = 1; num <= 70; num++) {
            struct emp_store_job job =
                read_job(w, num, EMP_STORE_BODY | EMP_STORE_RESULT | EMP_STORE_ATTEMPTS);
            check_record(&job.record, num, 0);
            check_spec(&job.spec, num);
            check_bytes(job.body, body_token(num));
            assert_null(job.result.ptr);
            assert_int_equal(job.attempt_count, 0);
        }
        reopen(w);
    }
}

static void test_job_is_followed_through_its_life(void **state)
{
    struct world *w = *state;
    for (int step = 0; step <= 3; step++) {
        add_job(w->changes, 7, step, step == 0);
        commit(w->store, w->changes);
        struct emp_store_job job = read_job(w, 7, EMP_STORE_BODY | EMP_STORE_RESULT);
        check_record(&job.record, 7, step);
        check_bytes(job.body, body_token(7));
        if (step == 3)
            check_bytes(job.result, result_token(7));
        else
            assert_null(job.result.ptr);
    }
}

static void test_whole_life_in_one_batch(void **state)
{
    struct world *w = *state;
    for (int step = 0; step <= 3; step++)
        add_job(w->changes, 9, step, step == 0);
    commit(w->store, w->changes);
    struct emp_store_job job = read_job(w, 9, EMP_STORE_BODY | EMP_STORE_RESULT);
    check_record(&job.record, 9, 3);
    check_spec(&job.spec, 9);
    check_bytes(job.body, body_token(9));
    check_bytes(job.result, result_token(9));
}

static void test_attempts_come_in_order_with_the_last(void **state)
{
    struct world *w = *state;
    add_job(w->changes, 5, 0, true);
    add_attempt(w->changes, 5, 2);
    add_attempt(w->changes, 5, 1);
    add_attempt(w->changes, 5, 3);
    add_job(w->changes, 5, 3, false);
    w->changes->items[w->changes->count - 1].job.record.attempt.number =
        3; // told twice: once in the record
    commit(w->store, w->changes);
    struct emp_store_job job = read_job(w, 5, EMP_STORE_ATTEMPTS);
    assert_int_equal(job.attempt_count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(job.attempts[i].number, i + 1);
    assert_int_equal(job.attempts[0].outcome, EMP_OUTCOME_FAILED);
    assert_int_equal(job.attempts[0].error_code, EMP_E_JOB_FAILED);
    assert_int_equal(job.attempts[2].outcome, EMP_OUTCOME_COMPLETED);
}

static void test_a_job_that_waits_again_keeps_what_its_last_attempt_was(void **state)
{
    struct world *w = *state;
    add_job(w->changes, 5, 0, true);
    add_attempt(w->changes, 5, 1);
    add_job(w->changes, 5, 0, false);
    w->changes->items[w->changes->count - 1].job.record.attempt =
        (struct emp_attempt){.number = 1, .outcome = EMP_OUTCOME_FAILED};
    commit(w->store, w->changes);
    struct emp_store_job job = read_job(w, 5, EMP_STORE_ATTEMPTS);
    assert_int_equal(job.attempt_count, 1);
    assert_int_equal(job.attempts[0].error_code, EMP_E_JOB_FAILED);
    assert_true(job.attempts[0].machine.len > 0);
}

static int resolve_large(void *ctx, emp_blob_token token, struct emp_str *ret)
{
    (void)token;
    *ret = *(struct emp_str *)ctx;
    return 0;
}

static void test_a_body_of_many_megabytes(void **state)
{
    struct world *w = *state;
    struct emp_str body = {.len = 12u << 20};
    char *p = malloc(body.len);
    for (uint32_t i = 0; i < body.len; i++)
        p[i] = (char)emp_mix64(i / 3);
    body.ptr = p;
    add_job(w->changes, 1, 0, true);
    assert_int_equal(emp_store_commit(w->store, w->changes->items, 1, resolve_large, &body, NULL),
                     0);
    struct emp_str got;
    assert_int_equal(emp_store_body(w->reader, 1, &w->arena, &got, NULL), 0);
    assert_str(got, body);
    free(p);
}

static void test_an_empty_result_is_kept_as_empty(void **state)
{
    struct world *w = *state;
    struct emp_str nothing = {0};
    add_job(w->changes, 1, 3, true);
    assert_int_equal(
        emp_store_commit(w->store, w->changes->items, 1, resolve_large, &nothing, NULL), 0);
    struct emp_store_job job = read_job(w, 1, EMP_STORE_RESULT);
    assert_non_null(job.result.ptr);
    assert_int_equal(job.result.len, 0);
}

static void test_what_is_not_there_is_not_found(void **state)
{
    struct world *w = *state;
    struct emp_store_job job;
    struct emp_str body;
    emp_job_num num = 77;
    uint64_t hash = 78;
    static const emp_job_num absent[] = {0, 1, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(emp_store_job(w->reader, absent[i], 7, &w->arena, &job, NULL),
                         EMP_E_NOT_FOUND);
        assert_int_equal(emp_store_body(w->reader, absent[i], &w->arena, &body, NULL),
                         EMP_E_NOT_FOUND);
    }
    assert_int_equal(
        emp_store_idempotency(w->reader, EMP_STR("a"), EMP_STR("b"), &num, &hash, NULL),
        EMP_E_NOT_FOUND);
    assert_int_equal(num, 77);
    assert_int_equal(hash, 78);
}

static void test_change_of_an_unknown_job_is_passed_over(void **state)
{
    struct world *w = *state;
    struct emp_store_stats stats;
    add_job(w->changes, 40, 3, false);
    add_job(w->changes, 41, 0, true);
    commit(w->store, w->changes);
    struct emp_store_job job;
    assert_int_equal(emp_store_job(w->reader, 40, EMP_STORE_RESULT, &w->arena, &job, NULL),
                     EMP_E_NOT_FOUND);
    read_job(w, 41, 0);
    emp_store_stats(w->store, &stats);
    assert_int_equal(stats.passed_over, 1);
    assert_int_equal(stats.commits, 1);
    assert_int_equal(stats.changes, 2);
    assert_true(stats.data_bytes + stats.log_bytes > 0);
}

/* ------------------------------------------------------------------ keys and counts */

static void test_idempotency_key_finds_the_first_job(void **state)
{
    struct world *w = *state;
    emp_job_num num;
    uint64_t hash;
    for (emp_job_num n = 1; n <= 20; n++)
        add_job(w->changes, n, 0, true);
    commit(w->store, w->changes);
    add_job(w->changes, 21, 0, true); // the race that core does not let happen: the same key again
    struct emp_job_spec *again = (struct emp_job_spec *)w->changes->items[0].job.spec;
    again->customer = EMP_STR("customer-3");
    again->idempotency_key = EMP_STR("key-3");
    commit(w->store, w->changes);
    assert_int_equal(emp_store_idempotency(w->reader, EMP_STR("customer-3"), EMP_STR("key-3"), &num,
                                           &hash, NULL),
                     0);
    assert_int_equal(num, 3);
    assert_true(hash == emp_mix64(3));
    assert_int_equal(emp_store_idempotency(w->reader, EMP_STR("customer-4"), EMP_STR("key-3"), &num,
                                           &hash, NULL),
                     EMP_E_NOT_FOUND);
    assert_int_equal(
        emp_store_idempotency(w->reader, (struct emp_str){0}, EMP_STR("key-5"), &num, &hash, NULL),
        0);
    assert_int_equal(num, 5);
    assert_int_equal(emp_store_idempotency(w->reader, EMP_STR("customer-2"), EMP_STR("key-2"), &num,
                                           &hash, NULL),
                     EMP_E_NOT_FOUND);
}

static void check_counts(struct world *w, const uint64_t wanted[EMP_JOB_STATE_COUNT])
{
    uint64_t counts[EMP_JOB_STATE_COUNT];
    assert_int_equal(emp_store_counts(w->reader, counts, NULL), 0);
    for (int i = 0; i < EMP_JOB_STATE_COUNT; i++)
        assert_int_equal(counts[i], wanted[i]);
}

static void test_counts_follow_every_move(void **state)
{
    struct world *w = *state;
    check_counts(w, (uint64_t[EMP_JOB_STATE_COUNT]){0});
    for (emp_job_num n = 1; n <= 6; n++)
        add_job(w->changes, n, 0, true);
    commit(w->store, w->changes);
    check_counts(w, (uint64_t[EMP_JOB_STATE_COUNT]){[EMP_JOB_PENDING] = 6});
    for (int step = 0; step <= 5; step++)
        add_job(w->changes, (emp_job_num)step + 1, step, false);
    commit(w->store, w->changes);
    const uint64_t one_each[EMP_JOB_STATE_COUNT] = {1, 1, 1, 1, 1, 1};
    check_counts(w, one_each);
    reopen(w);
    check_counts(w, one_each);
    add_job(w->changes, 5, 0, false); // retried by hand
    commit(w->store, w->changes);
    check_counts(w, (uint64_t[EMP_JOB_STATE_COUNT]){[EMP_JOB_PENDING] = 2,
                                                    [EMP_JOB_ASSIGNED] = 1,
                                                    [EMP_JOB_IN_PROGRESS] = 1,
                                                    [EMP_JOB_COMPLETED] = 1,
                                                    [EMP_JOB_CANCELLED] = 1});
}

/* ------------------------------------------------------------------ restoring */

struct restored {
    struct emp_arena arena;
    unsigned jobs, machines, models, learned;
    emp_job_num last;
    uint32_t machine_completed[8];
    int64_t model_bytes[8];
    uint32_t learned_length[8];
    int step_of[100];
    enum emp_change_kind previous;
};

static unsigned last_digit(struct emp_str s)
{
    return (unsigned)(s.ptr[s.len - 1] - '0');
}

static void restored_one(void *ctx, const struct emp_change *c)
{
    struct restored *r = ctx;
    switch (c->kind) {
    case EMP_CHANGE_MODEL:
        assert_int_equal(last_digit(c->model.name), r->models++);
        assert_int_equal(c->model.url_count, 1);
        assert_int_equal(strlen(c->model.sha256), 64);
        r->model_bytes[last_digit(c->model.name)] = c->model.bytes;
        break;
    case EMP_CHANGE_MACHINE:
        r->machines++;
        assert_true(c->machine.facts.caps[0].number == 63.5);
        r->machine_completed[last_digit(c->machine.facts.id)] = c->machine.jobs_completed;
        break;
    case EMP_CHANGE_LEARNED:
        r->learned++;
        r->learned_length[last_digit(c->learned.key)] = c->learned.length;
        break;
    case EMP_CHANGE_JOB:
        r->jobs++;
        assert_true(c->job.record.num > r->last); // in order of number
        r->last = c->job.record.num;
        assert_int_equal(c->job.body, 0);
        assert_int_equal(c->job.result, 0);
        check_spec(c->job.spec, c->job.record.num);
        check_record(&c->job.record, c->job.record.num, r->step_of[c->job.record.num]);
        break;
    default:
        fail_msg("restored a change of kind %d", c->kind);
    }
    r->previous = c->kind;
}

static void test_restore_tells_what_lives(void **state)
{
    struct world *w = *state;
    struct restored r = {0};
    emp_job_num last = 99;
    assert_int_equal(emp_store_restore(w->store, restored_one, &r, &last, NULL), 0);
    assert_int_equal(last, 0);
    unsigned living = 0;
    for (emp_job_num n = 1; n < 100; n++) {
        int step = (int)(n % 6);
        add_job(w->changes, n, 0, true);
        if (n % 2)
            commit(w->store, w->changes); // some move in their own batch, some later
        if (step)
            add_job(w->changes, n, step, false);
        r.step_of[n] = step;
        living += step < 3;
    }
    for (unsigned i = 0; i < 4; i++) {
        add_machine(w->changes, i, i);
        add_model(w->changes, i, 100 + i);
        add_learned(w->changes, i, 10 + i);
    }
    commit(w->store, w->changes);
    add_machine(w->changes, 2, 50);
    add_model(w->changes, 0, 7);
    add_learned(w->changes, 1, 3);
    add_learned(w->changes, 2, 0);
    struct emp_change *forgotten = &w->changes->items[w->changes->count++];
    *forgotten = (struct emp_change){.kind = EMP_CHANGE_MACHINE_FORGOTTEN,
                                     .machine_forgotten = EMP_STR("machine-3")};
    struct emp_change *removed = &w->changes->items[w->changes->count++];
    *removed =
        (struct emp_change){.kind = EMP_CHANGE_MODEL_REMOVED, .model_removed = EMP_STR("model-3")};
    commit(w->store, w->changes);
    reopen(w);
    assert_int_equal(emp_store_restore(w->store, restored_one, &r, &last, NULL), 0);
    assert_int_equal(last, 99);
    assert_int_equal(r.jobs, living);
    assert_int_equal(r.machines, 3);
    assert_int_equal(r.machine_completed[2], 50);
    assert_int_equal(r.models, 3);
    assert_int_equal(r.model_bytes[0], 7);
    assert_int_equal(r.learned, 3);
    assert_int_equal(r.learned_length[1], 3);
}

static void test_revived_job_is_restored(void **state)
{
    struct world *w = *state;
    struct restored r = {0};
    emp_job_num last;
    add_job(w->changes, 1, 4, true);
    commit(w->store, w->changes);
    add_job(w->changes, 1, 0, false);
    commit(w->store, w->changes);
    assert_int_equal(emp_store_restore(w->store, restored_one, &r, &last, NULL), 0);
    assert_int_equal(r.jobs, 1);
}

/* ------------------------------------------------------------------ failing, locking, secrets */

static int resolve_nothing(void *ctx, emp_blob_token token, struct emp_str *ret)
{
    (void)ctx;
    if (token == body_token(3))
        return EMP_E_IO;
    *ret = EMP_STR("{}");
    return 0;
}

static void test_missing_bytes_fail_the_whole_batch(void **state)
{
    struct world *w = *state;
    struct emp_error err = {0};
    struct emp_store_job job;
    for (emp_job_num n = 1; n <= 5; n++)
        add_job(w->changes, n, 0, true);
    int rc = emp_store_commit(w->store, w->changes->items, w->changes->count, resolve_nothing, NULL,
                              &err);
    assert_int_equal(rc, EMP_E_IO);
    assert_true(err.text[0]);
    for (emp_job_num n = 1; n <= 5; n++)
        assert_int_equal(emp_store_job(w->reader, n, 0, &w->arena, &job, NULL), EMP_E_NOT_FOUND);
    check_counts(w, (uint64_t[EMP_JOB_STATE_COUNT]){0});
    commit(w->store, w->changes); // the same again, with its bytes
    check_counts(w, (uint64_t[EMP_JOB_STATE_COUNT]){[EMP_JOB_PENDING] = 5});
}

static void test_one_broker_per_directory(void **state)
{
    struct world *w = *state;
    struct emp_store *second = NULL;
    struct emp_error err = {0};
    assert_int_equal(emp_store_open(w->dir.path, NULL, &second, &err), EMP_E_CONFLICT);
    assert_null(second);
    assert_non_null(strstr(err.text, w->dir.path));
    reopen(w);
}

static void test_secret_is_random_and_stays(void **state)
{
    struct world *w = *state;
    struct emp_job_secret before = *emp_store_secret(w->store);
    assert_true(before.k[0] && before.k[1] && before.k[0] != before.k[1]);
    reopen(w);
    assert_memory_equal(&before, emp_store_secret(w->store), sizeof before);
    struct dir other;
    struct emp_store *s;
    dir_init(&other);
    assert_int_equal(emp_store_open(other.path, NULL, &s, NULL), 0);
    assert_memory_not_equal(&before, emp_store_secret(s), sizeof before);
    emp_store_close(s);
    dir_release(&other);
}

static void test_directory_is_made_with_its_parents(void **state)
{
    struct world *w = *state;
    char path[300];
    struct emp_store *s;
    dir_path(&w->dir, "a/b/c", path, sizeof path);
    assert_int_equal(emp_store_open(path, NULL, &s, NULL), 0);
    assert_string_equal(emp_store_backend(s), "sqlite");
    emp_store_close(s);
}

static void test_impossible_options_are_refused(void **state)
{
    (void)state;
    struct emp_store *s;
    struct emp_error err = {0};
    assert_int_equal(
        emp_store_open("/tmp", &(struct emp_store_options){.backend = "oracle"}, &s, &err),
        EMP_E_INVALID);
    assert_non_null(strstr(err.text, "oracle"));
    assert_int_equal(emp_store_open("", NULL, &s, &err), EMP_E_INVALID);
    assert_int_equal(emp_store_open("/proc/nowhere", NULL, &s, &err), EMP_E_IO);
    assert_non_null(strstr(err.text, "/proc/nowhere"));
}

/* ------------------------------------------------------------------ history and retention */

struct walk {
    emp_job_num next;
    unsigned seen, stop_after;
};

static int walk_one(void *ctx, const struct emp_store_job *job)
{
    struct walk *k = ctx;
    assert_int_equal(job->record.num, k->next++);
    check_spec(&job->spec, job->record.num);
    check_bytes(job->body, body_token(job->record.num));
    return ++k->seen == k->stop_after ? 42 : 0;
}

static void test_history_is_walked_in_pieces(void **state)
{
    struct world *w = *state;
    for (emp_job_num n = 1; n <= 50; n++)
        add_job(w->changes, n, (int)(n % 6), true);
    commit(w->store, w->changes);
    struct walk k = {.next = 1, .stop_after = 20};
    assert_int_equal(emp_store_history(w->reader, 0, EMP_STORE_BODY, walk_one, &k, NULL), 42);
    assert_int_equal(k.seen, 20);
    k.stop_after = 0;
    assert_int_equal(emp_store_history(w->reader, 20, EMP_STORE_BODY, walk_one, &k, NULL), 0);
    assert_int_equal(k.seen, 50);
    assert_int_equal(emp_store_history(w->reader, 50, EMP_STORE_BODY, walk_one, &k, NULL), 0);
    assert_int_equal(k.seen, 50);
}

static void test_retention_deletes_what_is_old_and_over(void **state)
{
    struct world *w = *state;
    emp_job_num nums[16];
    uint32_t count, deleted = 0, calls = 0;
    const emp_wall_ms before = 1700000003500;
    bool gone[201] = {false};
    for (emp_job_num n = 1; n <= 200; n++) {
        add_job(w->changes, n, (int)(n % 6), true);
        add_attempt(w->changes, n, 1);
    }
    commit(w->store, w->changes);
    int rc;
    do {
        rc = emp_store_retain(w->store, before, 30, nums, 16, &count, NULL);
        assert_true(rc >= 0);
        for (uint32_t i = 0; i < count; i++)
            gone[nums[i]] = true;
        deleted += count;
        assert_true(++calls < 100);
    } while (rc > 0);
    uint64_t counts[EMP_JOB_STATE_COUNT], left = 0;
    assert_int_equal(emp_store_counts(w->reader, counts, NULL), 0);
    for (int i = 0; i < EMP_JOB_STATE_COUNT; i++)
        left += counts[i];
    assert_int_equal(left, 200 - deleted);
    for (emp_job_num n = 1; n <= 200; n++) {
        struct emp_job_record r;
        struct emp_store_job job;
        struct emp_str body;
        job_record(&w->arena, n, (int)(n % 6), &r);
        bool old = r.finished_at && r.finished_at < before && n != 200;
        assert_int_equal(gone[n], old);
        assert_int_equal(emp_store_job(w->reader, n, 7, &w->arena, &job, NULL),
                         old ? EMP_E_NOT_FOUND : 0);
        assert_int_equal(emp_store_body(w->reader, n, &w->arena, &body, NULL),
                         old ? EMP_E_NOT_FOUND : 0);
        emp_job_num found;
        uint64_t hash;
        struct emp_job_spec spec;
        job_spec(&w->arena, n, &spec);
        bool key = spec.idempotency_key.len && !old;
        assert_int_equal(emp_store_idempotency(w->reader, spec.customer, spec.idempotency_key,
                                               &found, &hash, NULL),
                         key ? 0 : EMP_E_NOT_FOUND);
    }
}

static void test_retention_never_gives_a_number_twice(void **state)
{
    struct world *w = *state;
    emp_job_num nums[16], last;
    uint32_t count;
    struct restored r = {0};
    for (emp_job_num n = 1; n <= 5; n++)
        add_job(w->changes, n, 3, true);
    commit(w->store, w->changes);
    assert_int_equal(emp_store_retain(w->store, INT64_MAX, 100, nums, 16, &count, NULL), 0);
    assert_int_equal(count, 4);
    assert_int_equal(emp_store_restore(w->store, restored_one, &r, &last, NULL), 0);
    assert_int_equal(last, 5);
}

int main(void)
{
#define TEST(name)                                                         \
    {                                                                      \
#name, name, setup, teardown, (void *)(uintptr_t)&emp_store_sqlite \
    }
    const struct CMUnitTest sqlite[] = {
        TEST(test_new_job_is_read_back_whole),
        TEST(test_job_is_followed_through_its_life),
        TEST(test_whole_life_in_one_batch),
        TEST(test_attempts_come_in_order_with_the_last),
        TEST(test_a_job_that_waits_again_keeps_what_its_last_attempt_was),
        TEST(test_a_body_of_many_megabytes),
        TEST(test_an_empty_result_is_kept_as_empty),
        TEST(test_what_is_not_there_is_not_found),
        TEST(test_change_of_an_unknown_job_is_passed_over),
        TEST(test_idempotency_key_finds_the_first_job),
        TEST(test_counts_follow_every_move),
        TEST(test_restore_tells_what_lives),
        TEST(test_revived_job_is_restored),
        TEST(test_missing_bytes_fail_the_whole_batch),
        TEST(test_one_broker_per_directory),
        TEST(test_secret_is_random_and_stays),
        TEST(test_directory_is_made_with_its_parents),
        TEST(test_impossible_options_are_refused),
        TEST(test_history_is_walked_in_pieces),
        TEST(test_retention_deletes_what_is_old_and_over),
        TEST(test_retention_never_gives_a_number_twice),
    };
    return cmocka_run_group_tests_name("store over sqlite", sqlite, NULL, NULL);
}

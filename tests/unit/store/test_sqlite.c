/* What is SQLite's own: versions, foreign and damaged files, the log's length, readers beside the
 * writer. */
#include "fixture.h"

#include "store/sqlite.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void change_database(const struct dir *d, const char *sql)
{
    char path[300];
    sqlite3 *db;
    dir_path(d, "emp.db", path, sizeof path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void make_store(const struct dir *d)
{
    struct emp_store *s;
    struct changes *c = changes_new();
    assert_int_equal(emp_store_open(d->path, NULL, &s, NULL), 0);
    story_batch(c, 0);
    commit(s, c);
    emp_store_close(s);
    changes_free(c);
}

static void check_refused(const struct dir *d, int code, const char *part_of_text)
{
    struct emp_store *s = NULL;
    struct emp_error err = {0};
    assert_int_equal(emp_store_open(d->path, NULL, &s, &err), code);
    assert_null(s);
    if (!strstr(err.text, part_of_text))
        fail_msg("\"%s\" is not in \"%s\"", part_of_text, err.text);
}

static void test_newer_version_is_refused(void **state)
{
    (void)state;
    struct dir d;
    dir_init(&d);
    make_store(&d);
    change_database(&d, "PRAGMA user_version=99");
    check_refused(&d, EMP_E_CONFLICT, "schema version 99");
    change_database(&d, "PRAGMA user_version=1"); // nothing was changed by the refusal
    struct emp_store *s;
    assert_int_equal(emp_store_open(d.path, NULL, &s, NULL), 0);
    assert_true(story_holds(s, 1));
    emp_store_close(s);
    dir_release(&d);
}

static void test_foreign_database_is_refused(void **state)
{
    (void)state;
    struct dir d;
    dir_init(&d);
    change_database(&d, "CREATE TABLE cats(name TEXT)");
    check_refused(&d, EMP_E_CONFLICT, "another program");
    dir_release(&d);
}

static void write_file(const struct dir *d, const char *bytes, size_t len)
{
    char path[300];
    dir_path(d, "emp.db", path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static void test_what_is_no_database_is_refused(void **state)
{
    (void)state;
    struct dir d;
    char noise[8192];
    memset(noise, 'x', sizeof noise);
    dir_init(&d);
    write_file(&d, noise, sizeof noise);
    check_refused(&d, EMP_E_INTERNAL, "emp.db");
    dir_release(&d);
}

static void ignore_change(void *ctx, const struct emp_change *change)
{
    (void)ctx, (void)change;
}

static void test_damaged_rows_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *text;
    } damages[] = {
        {"UPDATE job SET record = x'ffff' WHERE num = 3", "record of job 3"},
        {"UPDATE job SET state = 'asleep' WHERE num = 3", "state of job 3"},
        {"UPDATE job_spec SET spec = x'07' WHERE num = 3", "submission of job 3"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct dir d;
        struct emp_store *s;
        struct emp_store_reader *r;
        struct emp_store_job job;
        struct emp_error err = {0};
        struct emp_arena a;
        emp_job_num last;
        dir_init(&d);
        emp_arena_init(&a, 0);
        make_store(&d);
        change_database(&d, damages[i].sql);
        assert_int_equal(emp_store_open(d.path, NULL, &s, NULL), 0);
        assert_int_equal(emp_store_restore(s, ignore_change, NULL, &last, &err), EMP_E_INTERNAL);
        assert_non_null(strstr(err.text, damages[i].text));
        assert_int_equal(emp_store_reader_new(s, &r, NULL), 0);
        assert_int_equal(emp_store_job(r, 3, 0, &a, &job, &err), EMP_E_INTERNAL);
        assert_int_equal(emp_store_job(r, 4, 0, &a, &job, &err), 0); // the others are not disturbed
        emp_store_reader_free(r);
        emp_store_close(s);
        emp_arena_release(&a);
        dir_release(&d);
    }
}

static void test_missing_secret_is_told(void **state)
{
    (void)state;
    struct dir d;
    dir_init(&d);
    make_store(&d);
    change_database(&d, "DELETE FROM meta");
    check_refused(&d, EMP_E_INTERNAL, "secret");
    dir_release(&d);
}

/* ------------------------------------------------------------------ the log */

static void test_log_stays_within_its_limit(void **state)
{
    (void)state;
    struct dir d;
    struct emp_store *s;
    struct changes *c = changes_new();
    struct emp_store_stats stats;
    int64_t longest = 0;
    const int64_t limit = 1 << 20;
    struct emp_store_options o = {.checkpoint_bytes = 128 << 10, .log_bytes_max = limit};
    dir_init(&d);
    assert_int_equal(emp_store_open(d.path, &o, &s, NULL), 0);
    for (int b = 0; b < 400; b++) {
        story_batch(c, b);
        commit(s, c);
        emp_store_stats(s, &stats);
        longest = stats.log_bytes > longest ? stats.log_bytes : longest;
    }
    assert_true(stats.checkpoints > 0);
    assert_true(stats.data_bytes > 0);
    assert_true(longest < 3 * limit);
    assert_true(story_holds(s, 400));
    emp_store_close(s);
    emp_store_close(NULL);
    changes_free(c);
    dir_release(&d);
}

/* ------------------------------------------------------------------ readers beside the writer */

struct beside {
    struct emp_store *store;
    atomic_int done; /* batches committed */
    atomic_bool over;
    int reads;
};

/* Counts and lists are of one moment, never behind what was acknowledged before they were asked
 * for. */
static void *read_on(void *arg)
{
    struct beside *x = arg;
    struct emp_store_reader *r;
    struct emp_arena a;
    emp_arena_init(&a, 0);
    if (emp_store_reader_new(x->store, &r, NULL) < 0)
        abort();
    while (!atomic_load(&x->over)) {
        uint64_t counts[EMP_JOB_STATE_COUNT], sum = 0;
        struct emp_store_list list;
        int done = atomic_load(&x->done);
        if (emp_store_counts(r, counts, NULL) < 0 ||
            emp_store_jobs(
                r, &(struct emp_store_query){.limit = 30, .customer = EMP_STR("customer-1")}, &a,
                &list, NULL) < 0)
            abort();
        for (int i = 0; i < EMP_JOB_STATE_COUNT; i++)
            sum += counts[i];
        if (sum % STORY_JOBS || sum < (uint64_t)done * STORY_JOBS ||
            (list.count < 30 && list.count != list.total))
            abort();
        emp_arena_reset(&a);
        x->reads++;
    }
    emp_store_reader_free(r);
    emp_arena_release(&a);
    return NULL;
}

static void test_readers_beside_the_writer(void **state)
{
    (void)state;
    enum { READERS = 3, BATCHES = 150 };
    struct dir d;
    struct changes *c = changes_new();
    struct beside sides[READERS] = {0};
    pthread_t threads[READERS];
    struct emp_store *s;
    struct emp_store_options o = {.checkpoint_bytes = 64 << 10, .log_bytes_max = 256 << 10};
    dir_init(&d);
    assert_int_equal(emp_store_open(d.path, &o, &s, NULL), 0);
    for (int i = 0; i < READERS; i++) {
        sides[i].store = s;
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &sides[i]), 0);
    }
    for (int b = 0; b < BATCHES; b++) {
        story_batch(c, b);
        commit(s, c);
        for (int i = 0; i < READERS; i++)
            atomic_store(&sides[i].done, b + 1);
    }
    for (int i = 0; i < READERS; i++) {
        atomic_store(&sides[i].over, true);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(story_holds(s, BATCHES));
    emp_store_close(s);
    changes_free(c);
    dir_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newer_version_is_refused),
        cmocka_unit_test(test_foreign_database_is_refused),
        cmocka_unit_test(test_what_is_no_database_is_refused),
        cmocka_unit_test(test_damaged_rows_are_told),
        cmocka_unit_test(test_missing_secret_is_told),
        cmocka_unit_test(test_log_stays_within_its_limit),
        cmocka_unit_test(test_readers_beside_the_writer),
    };
    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}

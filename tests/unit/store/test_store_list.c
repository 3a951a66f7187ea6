/* Lists against a model that is too simple to be wrong: all jobs in an array, filtered, sorted and
 * cut by hand. Random queries. */
#include "fixture.h"

#include "store/backend.h"

#include <stdlib.h>

enum { JOBS = 600, QUERIES = 1500 };

struct model_job {
    struct emp_job_record record;
    struct emp_job_spec spec;
};
static const struct emp_store_ops *over; /* the back end of this round */

struct world {
    struct dir dir;
    struct emp_store *store;
    struct emp_store_reader *reader;
    struct emp_arena arena, query_arena;
    struct model_job jobs[JOBS];
};

static int step_of(emp_job_num num)
{
    return (int)(emp_mix64(num) % 6);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct changes *c = changes_new();
    struct emp_store_options o = {.backend = over->name};
    dir_init(&w->dir);
    emp_arena_init(&w->arena, 0);
    emp_arena_init(&w->query_arena, 0);
    assert_int_equal(emp_store_open(w->dir.path, &o, &w->store, NULL), 0);
    for (emp_job_num n = 1; n <= JOBS; n++) {
        add_job(c, n, 0, true);
        if (n % 2)
            commit(w->store, c);
        if (step_of(n))
            add_job(c, n, step_of(n), false);
        job_record(&w->arena, n, step_of(n), &w->jobs[n - 1].record);
        job_spec(&w->arena, n, &w->jobs[n - 1].spec);
    }
    commit(w->store, c);
    changes_free(c);
    assert_int_equal(emp_store_reader_new(w->store, &w->reader, NULL), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    emp_store_reader_free(w->reader);
    emp_store_close(w->store);
    emp_arena_release(&w->arena);
    emp_arena_release(&w->query_arena);
    dir_release(&w->dir);
    free(w);
    return 0;
}

/* ------------------------------------------------------------------ the model */

static bool agrees(struct emp_str wanted, struct emp_str has)
{
    return wanted.len == 0 || emp_str_eq(wanted, has);
}

static bool matches(const struct emp_store_query *q, const struct model_job *j)
{
    struct emp_str pool = j->record.attempt.number ? j->record.attempt.pool : j->spec.pool;
    return (q->states == 0 || (q->states >> j->record.state & 1)) &&
           agrees(q->service, j->spec.service) && agrees(q->customer, j->spec.customer) &&
           agrees(q->workflow, j->spec.workflow) && agrees(q->pool, pool) &&
           agrees(q->machine, j->record.attempt.machine) &&
           (!q->created_from || j->record.submitted_at >= q->created_from) &&
           (!q->created_before || j->record.submitted_at < q->created_before);
}

static const struct emp_store_query *sorting;

static int compare(const void *a, const void *b)
{
    const struct emp_job_record *x = &(*(const struct model_job *const *)a)->record,
                                *y = &(*(const struct model_job *const *)b)->record;
    int order = 0;
    if (sorting->sort == EMP_STORE_BY_PRIORITY)
        order = (x->order_priority > y->order_priority) - (x->order_priority < y->order_priority);
    if (sorting->sort == EMP_STORE_BY_FINISHED)
        order = (x->finished_at > y->finished_at) - (x->finished_at < y->finished_at);
    if (order == 0)
        order = (x->num > y->num) - (x->num < y->num);
    return sorting->ascending ? order : -order;
}

static void check_query(struct world *w, const struct emp_store_query *q)
{
    const struct model_job *wanted[JOBS];
    uint32_t total = 0, count = 0;
    struct emp_store_list got;
    for (uint32_t i = 0; i < JOBS; i++)
        if (matches(q, &w->jobs[i]))
            wanted[total++] = &w->jobs[i];
    sorting = q;
    qsort(wanted, total, sizeof wanted[0], compare);
    assert_int_equal(emp_store_jobs(w->reader, q, &w->query_arena, &got, NULL), 0);
    assert_int_equal(got.total, total);
    for (uint64_t i = q->offset; i < total && count < q->limit; i++, count++) {
        assert_true(count < got.count);
        assert_int_equal(got.jobs[count].record.num, wanted[i]->record.num);
    }
    assert_int_equal(got.count, count);
    emp_arena_reset(&w->query_arena);
}

static struct emp_store_query any_query(struct emp_random *r)
{
    static const struct emp_str
        services[] = {EMP_STR("service-0"), EMP_STR("service-2"), EMP_STR("none")},
        customers[] = {EMP_STR("customer-1"), EMP_STR("customer-4"), EMP_STR("' OR 1=1 --")},
        workflows[] = {EMP_STR("workflow-0"), EMP_STR("workflow-7"), EMP_STR("none")},
        pools[] = {EMP_STR("heavy"), EMP_STR("fast-lane"), EMP_STR("standard")},
        machines[] = {EMP_STR("6a3a9d5e-1f0b-4c5d-8f5e-machine00003"),
                      EMP_STR("6a3a9d5e-1f0b-4c5d-8f5e-machine00006"), EMP_STR("none")};
    struct emp_store_query q = {.sort = (enum emp_store_sort)emp_random_below(r, 3),
                                .ascending = emp_random_below(r, 2)};
    uint64_t given = emp_random_u64(r) & emp_random_u64(r); // each with probability 1/4
    q.states = given & 1 ? (uint32_t)emp_random_below(r, 64) : 0;
    q.service = given & 2 ? services[emp_random_below(r, 3)] : q.service;
    q.customer = given & 4 ? customers[emp_random_below(r, 3)] : q.customer;
    q.workflow = given & 8 ? workflows[emp_random_below(r, 3)] : q.workflow;
    q.pool = given & 16 ? pools[emp_random_below(r, 3)] : q.pool;
    q.machine = given & 32 ? machines[emp_random_below(r, 3)] : q.machine;
    q.created_from = given & 64 ? (emp_wall_ms)(1700000000000 + emp_random_below(r, JOBS)) : 0;
    q.created_before = given & 128 ? (emp_wall_ms)(1700000000000 + emp_random_below(r, JOBS)) : 0;
    q.limit = (uint32_t)emp_random_below(r, given & 256 ? 1001 : 20);
    q.offset = given & 512 ? emp_random_below(r, 100) : 0;
    return q;
}

static void test_random_queries_agree_with_the_model(void **state)
{
    struct world *w = *state;
    struct emp_random r;
    emp_random_init(&r, 7);
    check_query(w, &(struct emp_store_query){.limit = 1000});
    for (int i = 0; i < QUERIES; i++) {
        struct emp_store_query q = any_query(&r);
        check_query(w, &q);
    }
}

/* ------------------------------------------------------------------ what a list brings along */

static void test_listed_jobs_are_whole(void **state)
{
    struct world *w = *state;
    struct emp_store_query q = {.limit = 1000,
                                .want = EMP_STORE_BODY | EMP_STORE_RESULT | EMP_STORE_ATTEMPTS};
    struct emp_store_list list;
    assert_int_equal(emp_store_jobs(w->reader, &q, &w->query_arena, &list, NULL), 0);
    assert_int_equal(list.count, JOBS);
    for (uint32_t i = 0; i < JOBS; i++) {
        const struct emp_store_job *j = &list.jobs[i];
        check_record(&j->record, JOBS - i, step_of(JOBS - i));
        check_spec(&j->spec, JOBS - i);
        check_bytes(j->body, body_token(JOBS - i));
        assert_false(j->body_left_out);
        assert_int_equal(j->attempt_count, j->record.attempt.number ? 1 : 0);
        if (j->record.state == EMP_JOB_COMPLETED)
            check_bytes(j->result, result_token(JOBS - i));
    }
    emp_arena_reset(&w->query_arena);
}

static void test_bodies_end_where_their_room_ends(void **state)
{
    struct world *w = *state;
    struct emp_store_query q = {.limit = 100, .want = EMP_STORE_BODY, .bodies_bytes_max = 20000};
    struct emp_store_list list;
    size_t sum = 0;
    bool left_out = false;
    assert_int_equal(emp_store_jobs(w->reader, &q, &w->query_arena, &list, NULL), 0);
    for (uint32_t i = 0; i < list.count; i++) {
        assert_true(!left_out || list.jobs[i].body_left_out);
        left_out = list.jobs[i].body_left_out;
        assert_int_equal(left_out, sum >= q.bodies_bytes_max);
        assert_int_equal(left_out, list.jobs[i].body.ptr == NULL);
        sum += list.jobs[i].body.len;
    }
    assert_true(left_out);
    emp_arena_reset(&w->query_arena);
}

static void test_impossible_queries_are_refused(void **state)
{
    struct world *w = *state;
    struct emp_store_list list;
    struct emp_error err = {0};
    assert_int_equal(emp_store_jobs(w->reader, &(struct emp_store_query){.limit = 1001},
                                    &w->query_arena, &list, &err),
                     EMP_E_INVALID);
    assert_string_equal(err.field, "limit");
    assert_int_equal(emp_store_jobs(w->reader, &(struct emp_store_query){.limit = 1, .sort = 9},
                                    &w->query_arena, &list, &err),
                     EMP_E_INVALID);
    check_query(w, &(struct emp_store_query){.limit = 10, .offset = UINT64_MAX});
    check_query(w, &(struct emp_store_query){.limit = 0});
    assert_int_equal(emp_store_jobs(w->reader,
                                    &(struct emp_store_query){.limit = 9, .states = 1u << 31},
                                    &w->query_arena, &list, NULL),
                     0);
    assert_int_equal(list.total, 0);
}

int main(void)
{
    const struct CMUnitTest sqlite[] = {
        cmocka_unit_test(test_random_queries_agree_with_the_model),
        cmocka_unit_test(test_listed_jobs_are_whole),
        cmocka_unit_test(test_bodies_end_where_their_room_ends),
        cmocka_unit_test(test_impossible_queries_are_refused),
    };
    over = &emp_store_sqlite;
    return cmocka_run_group_tests_name("lists over sqlite", sqlite, setup, teardown);
}

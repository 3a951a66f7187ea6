/* Lists: filters, order, page, true total. The statement is put together from a table of filters;
 * numbers of the page come first, the jobs are then fetched by number, so that sorting never
 * carries rows. Totals by state alone come from the tally; lists of living states read only the
 * living, those of a workflow only its steps, any other filter reads the narrow `job` table. */
#include "store/sqlite_read.h"

#include <stdio.h>

enum { SQL_MAX = 1024 };

struct sql {
    char text[SQL_MAX];
    size_t len;
    bool any; /* a condition stands */
};

static void add(struct sql *s, const char *text)
{
    s->len +=
        (size_t)snprintf(s->text + s->len, s->len < SQL_MAX ? SQL_MAX - s->len : 0, "%s", text);
}

static void condition(struct sql *s, const char *text)
{
    add(s, s->any ? " AND " : " WHERE ");
    add(s, text);
    s->any = true;
}

/* Filters by text; each is bound to the parameter of its own number. */
static const struct filter {
    size_t offset;
    const char *text;
    int parameter;
} filters[] = {
    {offsetof(struct emp_store_query, service), "service = ?1", 1},
    {offsetof(struct emp_store_query, customer), "customer = ?2", 2},
    {offsetof(struct emp_store_query, workflow), "workflow = ?3", 3},
    {offsetof(struct emp_store_query, pool), "pool = ?4", 4},
    {offsetof(struct emp_store_query, machine), "machine = ?5", 5},
};
enum {
    FILTER_COUNT = sizeof filters / sizeof filters[0],
    FROM_PARAMETER = 6,
    BEFORE_PARAMETER,
    LIMIT_PARAMETER,
    OFFSET_PARAMETER
};

static const char *const orders[][2] = {
    [EMP_STORE_BY_CREATED] = {" ORDER BY num DESC", " ORDER BY num"},
    [EMP_STORE_BY_PRIORITY] = {" ORDER BY priority DESC, num DESC", " ORDER BY priority, num"},
    [EMP_STORE_BY_FINISHED] = {" ORDER BY finished_at DESC, num DESC",
                               " ORDER BY finished_at, num"},
};

static struct emp_str wanted(const struct emp_store_query *q, const struct filter *f)
{
    struct emp_str s;
    memcpy(&s, (const char *)q + f->offset, sizeof s);
    return s;
}

static uint32_t all_states(void)
{
    return (1u << EMP_JOB_STATE_COUNT) - 1;
}

static uint32_t states_of(const struct emp_store_query *q)
{
    uint32_t states = q->states & all_states();
    return q->states ? states : all_states();
}

static bool only_live(uint32_t states)
{
    for (int i = 0; i < EMP_JOB_STATE_COUNT; i++)
        if ((states >> i & 1) && emp_job_state_terminal((enum emp_job_state)i))
            return false;
    return true;
}

/* Words of states come from our own table and need no quoting. */
static void add_states(struct sql *s, uint32_t states)
{
    if (states == all_states())
        return;
    if (only_live(states))
        condition(s, "live = 1");
    condition(s, "state IN (");
    bool first = true;
    for (int i = 0; i < EMP_JOB_STATE_COUNT; i++) {
        if (!(states >> i & 1))
            continue;
        add(s, first ? "'" : ",'");
        add(s, emp_job_state_word((enum emp_job_state)i));
        add(s, "'");
        first = false;
    }
    add(s, ")");
}

static void add_where(struct sql *s, const struct emp_store_query *q)
{
    add_states(s, states_of(q));
    for (int i = 0; i < FILTER_COUNT; i++)
        if (wanted(q, &filters[i]).len)
            condition(s, filters[i].text);
    if (q->created_from)
        condition(s, "submitted_at >= ?6");
    if (q->created_before)
        condition(s, "submitted_at < ?7");
}

static bool only_states(const struct emp_store_query *q)
{
    for (int i = 0; i < FILTER_COUNT; i++)
        if (wanted(q, &filters[i]).len)
            return false;
    return !q->created_from && !q->created_before;
}

/* Prepares and binds; parameters that a statement lacks are passed over. */
static int prepare_rc(struct emp_sqlite_reader *r, const struct sql *s,
                      const struct emp_store_query *q, sqlite3_stmt **ret)
{
    int rc = s->len < SQL_MAX ? sqlite3_prepare_v2(r->conn.db, s->text, -1, ret, NULL)
                              : SQLITE_TOOBIG;
    const int64_t numbers[] = {q->created_from, q->created_before, q->limit, (int64_t)q->offset};
    for (int i = 0; rc == SQLITE_OK && i < FILTER_COUNT; i++) {
        struct emp_str text = wanted(q, &filters[i]);
        if (text.len)
            rc = sqlite3_bind_text(*ret, filters[i].parameter, text.ptr, (int)text.len,
                                   SQLITE_STATIC);
    }
    for (int i = 0; rc == SQLITE_OK && i < 4; i++)
        if (FROM_PARAMETER + i <= sqlite3_bind_parameter_count(*ret))
            rc = sqlite3_bind_int64(*ret, FROM_PARAMETER + i, numbers[i]);
    return rc;
}

static int count(struct emp_sqlite_reader *r, const struct emp_store_query *q, uint64_t *ret,
                 struct emp_error *err)
{
    if (only_states(q)) {
        uint64_t tally[EMP_JOB_STATE_COUNT] = {0};
        int rc = emp_sqlite_counts(&r->base, tally, err);
        *ret = 0;
        for (int i = 0; i < EMP_JOB_STATE_COUNT; i++)
            *ret += states_of(q) >> i & 1 ? tally[i] : 0;
        return rc;
    }
    struct sql s = {.any = false};
    sqlite3_stmt *st = NULL;
    add(&s, "SELECT count(*) FROM job");
    add_where(&s, q);
    int rc = prepare_rc(r, &s, q, &st);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(st, 0);
    rc = rc == SQLITE_ROW ? 0 : emp_sqlite_fail(&r->conn, rc, err, "count jobs");
    sqlite3_finalize(st);
    return rc;
}

/* Numbers of the page, q->limit at most. */
static int page(struct emp_sqlite_reader *r, const struct emp_store_query *q, emp_job_num *nums,
                uint32_t *ret_count, struct emp_error *err)
{
    struct sql s = {.any = false};
    sqlite3_stmt *st = NULL;
    add(&s, "SELECT num FROM job");
    add_where(&s, q);
    add(&s, orders[q->sort][q->ascending]);
    add(&s, " LIMIT ?8 OFFSET ?9");
    int rc = prepare_rc(r, &s, q, &st);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    for (; rc == SQLITE_ROW && *ret_count < q->limit; rc = sqlite3_step(st))
        nums[(*ret_count)++] = (emp_job_num)sqlite3_column_int64(st, 0);
    rc = rc == SQLITE_DONE ? 0 : emp_sqlite_fail(&r->conn, rc, err, "list jobs");
    sqlite3_finalize(st);
    return rc;
}

/* What is wanted of one job, while there is room for it: a body or result that brings the sum above
 * the limit is the last one. */
static int add_wanted(struct emp_sqlite_reader *r, const struct emp_store_query *q,
                      struct emp_arena *a, struct emp_store_job *job, size_t *left,
                      struct emp_error *err)
{
    unsigned want = q->want;
    if (*left == 0) {
        want &= ~(unsigned)(EMP_STORE_BODY | EMP_STORE_RESULT);
        job->body_left_out = want != q->want;
    }
    int rc = emp_sqlite_add(r, want, a, job, err);
    size_t took = (size_t)job->body.len + job->result.len;
    *left = took < *left ? *left - took : 0;
    return rc;
}

static int fetch(struct emp_sqlite_reader *r, const struct emp_store_query *q, struct emp_arena *a,
                 struct emp_store_list *ret, struct emp_error *err)
{
    size_t left = q->bodies_bytes_max;
    emp_job_num *nums = emp_arena_array(a, emp_job_num, q->limit);
    int rc = page(r, q, nums, &ret->count, err);
    ret->jobs = emp_arena_array(a, struct emp_store_job, ret->count);
    for (uint32_t i = 0; rc == 0 && i < ret->count; i++) {
        rc = emp_sqlite_job_row(r, nums[i], a, &ret->jobs[i], err);
        if (rc == 0)
            rc = add_wanted(r, q, a, &ret->jobs[i], &left, err);
    }
    return rc;
}

int emp_sqlite_jobs(struct emp_store_reader *reader, const struct emp_store_query *q,
                    struct emp_arena *a, struct emp_store_list *ret, struct emp_error *err)
{
    struct emp_sqlite_reader *r = emp_sqlite_reader_of(reader);
    *ret = (struct emp_store_list){0};
    if (states_of(q) == 0)
        return 0;
    int rc = emp_sqlite_snapshot(r, err);
    if (rc < 0)
        return rc;
    rc = count(r, q, &ret->total, err);
    if (rc == 0 && q->limit && q->offset < ret->total)
        rc = fetch(r, q, a, ret, err);
    emp_sqlite_snapshot_end(r);
    return rc;
}

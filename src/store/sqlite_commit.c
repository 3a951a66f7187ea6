/* Writing: batches and retention. One transaction each; what goes wrong anywhere rolls all of it
 * back, and only a commit that has returned moves what is kept in memory (the tally, the cursor).
 *
 * A new job that ended in its own batch is one insert per table. The state that a known job had is
 * read first: the tally needs it, and the index of living jobs is touched only when it changes. */
#include "store/shapes.h"
#include "store/sqlite.h"

struct writing {
    struct emp_sqlite *q;
    struct emp_arena *arena;
    emp_store_resolve resolve;
    void *ctx;
    struct emp_error *err;
    int64_t tally[EMP_JOB_STATE_COUNT]; /* as it will be */
    uint64_t passed_over;
};

/* ------------------------------------------------------------------ transactions */

static void roll_back(struct emp_sqlite *q)
{
    if (!sqlite3_get_autocommit(q->conn.db)) // SQLite rolls back by itself after some failures
        emp_sqlite_run_rc(&q->conn, EMP_SQL_ROLLBACK, "");
}

static int write_tally_rc(struct emp_sqlite *q, const int64_t tally[EMP_JOB_STATE_COUNT])
{
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < EMP_JOB_STATE_COUNT; i++)
        if (tally[i] != q->tally[i])
            rc = emp_sqlite_run_rc(&q->conn, EMP_SQL_SET_TALLY, "ti",
                                   emp_str_z(emp_job_state_word((enum emp_job_state)i)), tally[i]);
    return rc;
}

static int finish_rc(struct emp_sqlite *q, const int64_t tally[EMP_JOB_STATE_COUNT])
{
    int rc = write_tally_rc(q, tally);
    if (rc == SQLITE_OK)
        rc = emp_sqlite_run_rc(&q->conn, EMP_SQL_COMMIT, "");
    if (rc == SQLITE_OK)
        memcpy(q->tally, tally, sizeof q->tally);
    return rc;
}

/* ------------------------------------------------------------------ items */

static int failed(struct writing *w, int rc, const char *doing)
{
    return rc == SQLITE_OK ? 0 : emp_sqlite_fail(&w->q->conn, rc, w->err, doing);
}

static int bytes_of(struct writing *w, emp_blob_token token, struct emp_str *ret,
                    enum emp_zip_codec *ret_codec)
{
    struct emp_str raw = {0};
    *ret = raw;
    *ret_codec = EMP_ZIP_NONE;
    if (!token)
        return 0;
    int rc = w->resolve ? w->resolve(w->ctx, token, &raw) : EMP_E_INTERNAL;
    if (rc < 0)
        return emp_fail(w->err, rc, NULL,
                        "the bytes of a payload or result are gone before they were written");
    *ret_codec = emp_zip_pack(w->q->zip, raw, w->arena, ret);
    return 0;
}

static int add_spec(struct writing *w, const struct emp_batch_item *item)
{
    int64_t num = (int64_t)item->change->job.record.num;
    const struct emp_job_spec *spec = item->spec;
    struct emp_str body;
    enum emp_zip_codec codec;
    int rc = bytes_of(w, item->body, &body, &codec);
    if (rc < 0)
        return rc;
    rc = emp_sqlite_run_rc(&w->q->conn, EMP_SQL_ADD_SPEC, "iibb", num, (int64_t)codec,
                           item->packed_spec, body);
    if (rc == SQLITE_OK && spec->idempotency_key.len)
        rc = emp_sqlite_run_rc(&w->q->conn, EMP_SQL_ADD_KEY, "ttii", spec->customer,
                               spec->idempotency_key, num, (int64_t)spec->body_hash);
    return failed(w, rc, "write a new job");
}

static int64_t live_of(enum emp_job_state state)
{
    return emp_job_state_terminal(state) ? 0 : 1;
}

static int add_job(struct writing *w, const struct emp_batch_item *item)
{
    const struct emp_job_record *r = &item->change->job.record;
    const struct emp_job_spec *spec = item->spec;
    sqlite3_stmt *st = emp_sqlite_statement(&w->q->conn, EMP_SQL_ADD_JOB);
    if (!st)
        return failed(w, sqlite3_extended_errcode(w->q->conn.db), "write a new job");
    int rc = emp_sqlite_bind_rc(
        st, "iitdiitttttb", (int64_t)r->num, (int64_t)1, emp_str_z(emp_job_state_word(r->state)),
        r->order_priority, r->submitted_at, r->finished_at, spec->service, spec->customer,
        spec->workflow, emp_batch_pool(r, spec), r->attempt.machine, item->packed);
    if (rc == SQLITE_OK && !live_of(r->state))
        rc = sqlite3_bind_null(st, 2);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    sqlite3_reset(st);
    w->tally[r->state]++;
    return failed(w, rc == SQLITE_DONE ? SQLITE_OK : rc, "write a new job");
}

/* 1 and *ret, or 0 when there is no such job. */
static int state_of(struct writing *w, emp_job_num num, enum emp_job_state *ret)
{
    sqlite3_stmt *st = emp_sqlite_statement(&w->q->conn, EMP_SQL_STATE);
    int rc = st ? emp_sqlite_bind_rc(st, "i", (int64_t)num)
                : sqlite3_extended_errcode(w->q->conn.db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int parsed = rc == SQLITE_ROW ? emp_job_state_parse(emp_sqlite_text(st, 0), ret) : 0;
    if (st)
        sqlite3_reset(st);
    if (parsed < 0)
        return emp_fail(w->err, EMP_E_INTERNAL, NULL,
                        "the store is damaged: job %llu has an unknown state",
                        (unsigned long long)num);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : failed(w, rc, "find a job");
}

static int set_job(struct writing *w, const struct emp_batch_item *item)
{
    const struct emp_job_record *r = &item->change->job.record;
    enum emp_job_state before;
    int rc = state_of(w, r->num, &before);
    if (rc <= 0) {
        w->passed_over += rc == 0;
        return rc;
    }
    bool moves = live_of(before) != live_of(r->state);
    sqlite3_stmt *st =
        emp_sqlite_statement(&w->q->conn, moves ? EMP_SQL_SET_JOB_LIVE : EMP_SQL_SET_JOB);
    if (!st)
        return failed(w, sqlite3_extended_errcode(w->q->conn.db), "write a job");
    rc = emp_sqlite_bind_rc(
        st, "itdiittb", (int64_t)r->num, emp_str_z(emp_job_state_word(r->state)), r->order_priority,
        r->submitted_at, r->finished_at, emp_batch_pool(r, NULL), r->attempt.machine, item->packed);
    if (rc == SQLITE_OK && moves)
        rc = live_of(r->state) ? sqlite3_bind_int64(st, 9, 1) : sqlite3_bind_null(st, 9);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    sqlite3_reset(st);
    w->tally[before]--;
    w->tally[r->state]++;
    rc = failed(w, rc == SQLITE_DONE ? SQLITE_OK : rc, "write a job");
    return rc < 0 ? rc : 1;
}

static int write_result(struct writing *w, const struct emp_batch_item *item)
{
    struct emp_str bytes;
    enum emp_zip_codec codec;
    int rc = bytes_of(w, item->result, &bytes, &codec);
    if (rc < 0)
        return rc;
    rc = emp_sqlite_run_rc(&w->q->conn, EMP_SQL_SET_RESULT, "iib",
                           (int64_t)item->change->job.record.num, (int64_t)codec, bytes);
    return failed(w, rc, "write a result");
}

static int write_job(struct writing *w, const struct emp_batch_item *item)
{
    int rc = 1;
    if (item->spec) {
        rc = add_spec(w, item);
        if (rc == 0)
            rc = add_job(w, item);
        rc = rc < 0 ? rc : 1;
    } else {
        rc = set_job(w, item);
    }
    return rc == 1 && item->result ? write_result(w, item) : rc;
}

static int write_attempt(struct writing *w, const struct emp_batch_item *item)
{
    const struct emp_change_attempt *c = &item->change->attempt;
    return failed(w,
                  emp_sqlite_run_rc(&w->q->conn, EMP_SQL_SET_ATTEMPT, "iib", (int64_t)c->job,
                                    (int64_t)c->attempt.number, item->packed),
                  "write an attempt");
}

static int write_machine(struct writing *w, const struct emp_batch_item *item)
{
    return failed(w,
                  emp_sqlite_run_rc(&w->q->conn, EMP_SQL_SET_MACHINE, "tb",
                                    item->change->machine.facts.id, item->packed),
                  "write a machine");
}

static int write_forgotten(struct writing *w, const struct emp_batch_item *item)
{
    return failed(
        w,
        emp_sqlite_run_rc(&w->q->conn, EMP_SQL_DEL_MACHINE, "t", item->change->machine_forgotten),
        "forget a machine");
}

static int write_model(struct writing *w, const struct emp_batch_item *item)
{
    return failed(w,
                  emp_sqlite_run_rc(&w->q->conn, EMP_SQL_SET_MODEL, "tb", item->change->model.name,
                                    item->packed),
                  "write a model");
}

static int write_removed(struct writing *w, const struct emp_batch_item *item)
{
    return failed(
        w, emp_sqlite_run_rc(&w->q->conn, EMP_SQL_DEL_MODEL, "t", item->change->model_removed),
        "remove a model");
}

static int write_learned(struct writing *w, const struct emp_batch_item *item)
{
    struct emp_str key = item->change->learned.key;
    int rc = item->packed.len
                 ? emp_sqlite_run_rc(&w->q->conn, EMP_SQL_SET_LEARNED, "tb", key, item->packed)
                 : emp_sqlite_run_rc(&w->q->conn, EMP_SQL_DEL_LEARNED, "t", key);
    return failed(w, rc, "write what was learned");
}

/* By kind of change; negative: EMP_E_*. */
static int (*const write_item[])(struct writing *w, const struct emp_batch_item *item) = {
    [EMP_CHANGE_JOB] = write_job,         [EMP_CHANGE_ATTEMPT] = write_attempt,
    [EMP_CHANGE_MACHINE] = write_machine, [EMP_CHANGE_MACHINE_FORGOTTEN] = write_forgotten,
    [EMP_CHANGE_MODEL] = write_model,     [EMP_CHANGE_MODEL_REMOVED] = write_removed,
    [EMP_CHANGE_LEARNED] = write_learned,
};

int emp_sqlite_commit(struct emp_store *s, const struct emp_batch *b, emp_store_resolve resolve,
                      void *ctx, struct emp_arena *a, struct emp_error *err)
{
    struct emp_sqlite *q = emp_sqlite_of(s);
    struct writing w = {.q = q, .arena = a, .resolve = resolve, .ctx = ctx, .err = err};
    memcpy(w.tally, q->tally, sizeof w.tally);
    int rc = failed(&w, emp_sqlite_run_rc(&q->conn, EMP_SQL_BEGIN, ""), "begin a batch");
    for (uint32_t i = 0; rc >= 0 && i < b->count; i++)
        rc = write_item[b->items[i].change->kind](&w, &b->items[i]);
    if (rc >= 0)
        rc = failed(&w, finish_rc(q, w.tally), "commit a batch");
    if (rc < 0) {
        roll_back(q);
        return rc;
    }
    atomic_fetch_add_explicit(&s->passed_over, w.passed_over, memory_order_relaxed);
    emp_sqlite_checkpointer_note(&q->checkpointer, &q->conn, q->log_frames);
    return 0;
}

/* ------------------------------------------------------------------ retention */

struct retaining {
    struct emp_sqlite *q;
    emp_wall_ms before;
    emp_job_num *nums;
    uint32_t cap, count, looked, young;
    int64_t tally[EMP_JOB_STATE_COUNT];
    emp_job_num cursor;
};

static int delete_rc(struct retaining *w, int64_t num, struct emp_str packed_spec)
{
    struct emp_sqlite_conn *c = &w->q->conn;
    struct emp_job_spec spec;
    int rc = SQLITE_OK;
    if (packed_spec.len &&
        emp_unpack(&emp_shape_spec, packed_spec, &w->q->base.arena, &spec) == 0 &&
        spec.idempotency_key.len)
        rc = emp_sqlite_run_rc(c, EMP_SQL_DEL_KEY, "tti", spec.customer, spec.idempotency_key, num);
    static const enum emp_sqlite_statement deletes[] = {EMP_SQL_DEL_JOB, EMP_SQL_DEL_SPEC,
                                                        EMP_SQL_DEL_RESULT, EMP_SQL_DEL_ATTEMPTS};
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof deletes / sizeof deletes[0]; i++)
        rc = emp_sqlite_run_rc(c, deletes[i], "i", num);
    return rc;
}

struct old_job {
    int64_t num;
    enum emp_job_state state;
    struct emp_str spec;
};

/* Looks at the next slice; what is to go is copied, for rows are not deleted under a statement that
 * walks them. */
static int look_rc(struct retaining *w, uint32_t look_max, struct old_job *old, uint32_t *ret_count)
{
    struct emp_arena *a = &w->q->base.arena;
    sqlite3_stmt *st = emp_sqlite_statement(&w->q->conn, EMP_SQL_OLD_JOBS);
    int rc = st ? emp_sqlite_bind_rc(st, "ii", (int64_t)w->cursor, (int64_t)look_max)
                : sqlite3_extended_errcode(w->q->conn.db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    for (; rc == SQLITE_ROW && *ret_count < w->cap; rc = sqlite3_step(st)) {
        struct old_job *o = &old[*ret_count];
        o->num = sqlite3_column_int64(st, 0);
        w->cursor = (emp_job_num)o->num;
        w->looked++;
        w->young += sqlite3_column_int64(st, 4) >= w->before;
        bool live = sqlite3_column_type(st, 2) != SQLITE_NULL;
        if (live || sqlite3_column_int64(st, 3) >= w->before ||
            emp_job_state_parse(emp_sqlite_text(st, 1), &o->state) < 0)
            continue;
        struct emp_str spec = emp_sqlite_blob(st, 5);
        o->spec = (struct emp_str){emp_arena_dup(a, spec.ptr, spec.len), spec.len};
        ++*ret_count;
    }
    if (st)
        sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int delete_old_rc(struct retaining *w, uint32_t look_max)
{
    uint32_t count = 0;
    struct old_job *old = emp_arena_array(&w->q->base.arena, struct old_job, w->cap);
    int rc = look_rc(w, look_max, old, &count);
    for (; rc == SQLITE_OK && w->count < count; w->count++) {
        const struct old_job *o = &old[w->count];
        rc = delete_rc(w, o->num, o->spec);
        w->nums[w->count] = (emp_job_num)o->num;
        w->tally[o->state]--;
    }
    return rc == SQLITE_OK ? finish_rc(w->q, w->tally) : rc;
}

/* A pass ends at the newest job, or at a whole slice of jobs that are younger than what is to go.
 * The next one starts from the oldest. */
int emp_sqlite_retain(struct emp_store *s, emp_wall_ms finished_before, uint32_t look_max,
                      emp_job_num *nums, uint32_t nums_cap, uint32_t *ret_count,
                      struct emp_error *err)
{
    struct emp_sqlite *q = emp_sqlite_of(s);
    struct retaining w = {.q = q,
                          .before = finished_before,
                          .nums = nums,
                          .cap = nums_cap,
                          .cursor = q->retain_cursor};
    memcpy(w.tally, q->tally, sizeof w.tally);
    int rc = emp_sqlite_run_rc(&q->conn, EMP_SQL_BEGIN, "");
    if (rc == SQLITE_OK)
        rc = delete_old_rc(&w, look_max);
    if (rc != SQLITE_OK) {
        rc = emp_sqlite_fail(&q->conn, rc, err, "delete old jobs");
        roll_back(q);
        return rc;
    }
    bool more = (w.looked == look_max || w.count == nums_cap) && w.young < w.looked;
    q->retain_cursor = more ? w.cursor : 0;
    *ret_count = w.count;
    emp_sqlite_checkpointer_note(&q->checkpointer, &q->conn, q->log_frames);
    return more ? 1 : 0;
}

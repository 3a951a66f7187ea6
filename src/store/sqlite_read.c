/* Reading jobs, by number and in order; restoring. All statements that give a job give the columns
 * of EMP_SQL_LIVE_JOBS. What one call reads is of one moment: it runs inside a transaction where it
 * takes several statements. */
#include "store/sqlite_read.h"

#include "store/shapes.h"

#include <stdlib.h>

static int damaged(struct emp_error *err, int64_t num, const char *what)
{
    return emp_fail(err, EMP_E_INTERNAL, NULL,
                    "the store is damaged: %s of job %lld cannot be read", what, (long long)num);
}

int emp_sqlite_decode(sqlite3_stmt *st, struct emp_arena *a, bool copy,
                      struct emp_job_record *ret_record, struct emp_job_spec *ret_spec,
                      struct emp_error *err)
{
    int64_t num = sqlite3_column_int64(st, 0);
    struct emp_str record = emp_sqlite_blob(st, 5), spec = emp_sqlite_blob(st, 6);
    if (copy) {
        record.ptr = emp_arena_dup(a, record.ptr, record.len);
        spec.ptr = emp_arena_dup(a, spec.ptr, spec.len);
    }
    if (emp_unpack(&emp_shape_record, record, a, ret_record) < 0)
        return damaged(err, num, "the record");
    if (emp_job_state_parse(emp_sqlite_text(st, 1), &ret_record->state) < 0)
        return damaged(err, num, "the state");
    if (emp_unpack(&emp_shape_spec, spec, a, ret_spec) < 0)
        return damaged(err, num, "the submission");
    ret_record->num = (emp_job_num)num;
    ret_record->order_priority = sqlite3_column_double(st, 2);
    ret_record->submitted_at = sqlite3_column_int64(st, 3);
    ret_record->finished_at = sqlite3_column_int64(st, 4);
    return 0;
}

/* The one row of a statement with one number: 1; 0: there is none; the caller resets *ret. */
static int row_of(struct emp_sqlite_reader *r, enum emp_sqlite_statement which, emp_job_num num,
                  sqlite3_stmt **ret, struct emp_error *err)
{
    sqlite3_stmt *st = emp_sqlite_statement(&r->conn, which);
    int rc = st ? emp_sqlite_bind_rc(st, "i", (int64_t)num) : sqlite3_extended_errcode(r->conn.db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    *ret = st;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return rc == SQLITE_ROW;
    if (st)
        sqlite3_reset(st);
    return emp_sqlite_fail(&r->conn, rc, err, "read a job");
}

int emp_sqlite_blob_of(struct emp_sqlite_reader *r, enum emp_sqlite_statement which,
                       emp_job_num num, struct emp_arena *a, struct emp_str *ret,
                       struct emp_error *err)
{
    sqlite3_stmt *st;
    int rc = row_of(r, which, num, &st, err);
    if (rc < 0)
        return rc;
    int unzipped = 0;
    if (rc > 0)
        unzipped = emp_zip_unpack(r->zip, sqlite3_column_int(st, 0), emp_sqlite_blob(st, 1),
                                  EMP_STORE_BODY_BYTES_MAX, a, ret);
    sqlite3_reset(st);
    if (unzipped < 0)
        return damaged(err, (int64_t)num, "payload or result");
    return rc > 0 ? 0 : EMP_E_NOT_FOUND;
}

/* The record knows its last attempt better than the table of attempts, as long as that holds a
 * machine. Of a job that waits again it knows the number alone. */
static int add_attempts(struct emp_sqlite_reader *r, struct emp_arena *a, struct emp_store_job *job,
                        struct emp_error *err)
{
    const struct emp_attempt *newest = &job->record.attempt;
    size_t cap = 0;
    sqlite3_stmt *st;
    int rc = row_of(r, EMP_SQL_ATTEMPTS, job->record.num, &st, err);
    if (rc < 0)
        return rc;
    for (rc = rc ? SQLITE_ROW : SQLITE_DONE; rc == SQLITE_ROW; rc = sqlite3_step(st)) {
        struct emp_str packed = emp_sqlite_blob(st, 0);
        packed.ptr = emp_arena_dup(a, packed.ptr, packed.len);
        emp_arena_reserve(a, job->attempts, job->attempt_count, cap);
        struct emp_attempt *attempt = &job->attempts[job->attempt_count];
        if (emp_unpack(&emp_shape_attempt, packed, a, attempt) < 0) {
            sqlite3_reset(st);
            return damaged(err, (int64_t)job->record.num, "an attempt");
        }
        bool last = attempt->number == job->record.attempt.number;
        if (last && job->record.attempt.machine.len == 0) // it has ended and its job waits
            job->record.attempt = *attempt;
        job->attempt_count += !last; // the record knows the last one better
    }
    sqlite3_reset(st);
    if (rc != SQLITE_DONE)
        return emp_sqlite_fail(&r->conn, rc, err, "read attempts");
    if (newest->machine.len > 0) {
        emp_arena_reserve(a, job->attempts, job->attempt_count, cap);
        job->attempts[job->attempt_count++] = *newest;
    }
    return 0;
}

static int optional(int rc)
{
    return rc == EMP_E_NOT_FOUND ? 0 : rc;
}

int emp_sqlite_add(struct emp_sqlite_reader *r, unsigned want, struct emp_arena *a,
                   struct emp_store_job *job, struct emp_error *err)
{
    int rc = 0;
    if (want & EMP_STORE_ATTEMPTS)
        rc = add_attempts(r, a, job, err);
    if (rc == 0 && (want & EMP_STORE_BODY))
        rc = optional(emp_sqlite_blob_of(r, EMP_SQL_BODY, job->record.num, a, &job->body, err));
    if (rc == 0 && (want & EMP_STORE_RESULT))
        rc = optional(emp_sqlite_blob_of(r, EMP_SQL_RESULT, job->record.num, a, &job->result, err));
    return rc;
}

int emp_sqlite_job_row(struct emp_sqlite_reader *r, emp_job_num num, struct emp_arena *a,
                       struct emp_store_job *ret, struct emp_error *err)
{
    sqlite3_stmt *st;
    *ret = (struct emp_store_job){0};
    int rc = row_of(r, EMP_SQL_JOB, num, &st, err);
    if (rc < 0)
        return rc;
    rc = rc > 0 ? emp_sqlite_decode(st, a, true, &ret->record, &ret->spec, err) : EMP_E_NOT_FOUND;
    sqlite3_reset(st);
    return rc;
}

/* ------------------------------------------------------------------ readers */

int emp_sqlite_reader_new(struct emp_store *s, struct emp_store_reader **ret, struct emp_error *err)
{
    struct emp_sqlite *q = emp_sqlite_of(s);
    struct emp_sqlite_reader *r = calloc(1, sizeof *r);
    if (r)
        r->zip = emp_zip_new();
    if (!r || !r->zip) {
        free(r);
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory for a connection to the store");
    }
    int rc = emp_sqlite_conn_open(&r->conn, q->path, q->options.vfs, EMP_SQLITE_READER,
                                  q->options.reader_cache_bytes, err);
    if (rc < 0) {
        emp_sqlite_reader_free(&r->base);
        return rc;
    }
    *ret = &r->base;
    return 0;
}

void emp_sqlite_reader_free(struct emp_store_reader *reader)
{
    struct emp_sqlite_reader *r = emp_sqlite_reader_of(reader);
    emp_sqlite_conn_close(&r->conn);
    emp_zip_free(r->zip);
    free(r);
}

int emp_sqlite_snapshot(struct emp_sqlite_reader *r, struct emp_error *err)
{
    int rc = emp_sqlite_run_rc(&r->conn, EMP_SQL_SNAPSHOT, "");
    return rc == SQLITE_OK ? 0 : emp_sqlite_fail(&r->conn, rc, err, "begin to read");
}

void emp_sqlite_snapshot_end(struct emp_sqlite_reader *r)
{
    emp_sqlite_run_rc(&r->conn, EMP_SQL_COMMIT, "");
}

/* ------------------------------------------------------------------ operations */

int emp_sqlite_job(struct emp_store_reader *reader, emp_job_num num, unsigned want,
                   struct emp_arena *a, struct emp_store_job *ret, struct emp_error *err)
{
    struct emp_sqlite_reader *r = emp_sqlite_reader_of(reader);
    int rc = emp_sqlite_snapshot(r, err);
    if (rc < 0)
        return rc;
    rc = emp_sqlite_job_row(r, num, a, ret, err);
    if (rc == 0)
        rc = emp_sqlite_add(r, want, a, ret, err);
    emp_sqlite_snapshot_end(r);
    return rc;
}

int emp_sqlite_body(struct emp_store_reader *reader, emp_job_num num, struct emp_arena *a,
                    struct emp_str *ret, struct emp_error *err)
{
    return emp_sqlite_blob_of(emp_sqlite_reader_of(reader), EMP_SQL_BODY, num, a, ret, err);
}

int emp_sqlite_idempotency(struct emp_store_reader *reader, struct emp_str customer,
                           struct emp_str key, emp_job_num *ret_num, uint64_t *ret_body_hash,
                           struct emp_error *err)
{
    struct emp_sqlite_reader *r = emp_sqlite_reader_of(reader);
    sqlite3_stmt *st = emp_sqlite_statement(&r->conn, EMP_SQL_KEY);
    int rc = st ? emp_sqlite_bind_rc(st, "tt", customer, key)
                : sqlite3_extended_errcode(r->conn.db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *ret_num = (emp_job_num)sqlite3_column_int64(st, 0);
        *ret_body_hash = (uint64_t)sqlite3_column_int64(st, 1);
    }
    int code = rc == SQLITE_ROW    ? 0
               : rc == SQLITE_DONE ? EMP_E_NOT_FOUND
                                   : emp_sqlite_fail(&r->conn, rc, err, "look up a key");
    if (st)
        sqlite3_reset(st);
    return code;
}

int emp_sqlite_counts(struct emp_store_reader *reader, uint64_t ret[EMP_JOB_STATE_COUNT],
                      struct emp_error *err)
{
    struct emp_sqlite_reader *r = emp_sqlite_reader_of(reader);
    sqlite3_stmt *st = emp_sqlite_statement(&r->conn, EMP_SQL_ALL_TALLY);
    int rc = st ? sqlite3_step(st) : sqlite3_extended_errcode(r->conn.db);
    for (; rc == SQLITE_ROW; rc = sqlite3_step(st)) {
        enum emp_job_state state;
        if (emp_job_state_parse(emp_sqlite_text(st, 0), &state) == 0)
            ret[state] = (uint64_t)sqlite3_column_int64(st, 1);
    }
    int code = rc == SQLITE_DONE ? 0 : emp_sqlite_fail(&r->conn, rc, err, "count jobs");
    if (st)
        sqlite3_reset(st);
    return code;
}

static int see(struct emp_sqlite_reader *r, sqlite3_stmt *st, unsigned want, struct emp_arena *a,
               emp_store_seen seen, void *ctx, struct emp_error *err)
{
    struct emp_store_job job = {0};
    int rc = emp_sqlite_decode(st, a, false, &job.record, &job.spec, err);
    if (rc == 0)
        rc = emp_sqlite_add(r, want, a, &job, err);
    return rc == 0 ? seen(ctx, &job) : rc;
}

int emp_sqlite_history(struct emp_store_reader *reader, emp_job_num after, unsigned want,
                       emp_store_seen seen, void *ctx, struct emp_error *err)
{
    struct emp_sqlite_reader *r = emp_sqlite_reader_of(reader);
    struct emp_arena a;
    int rc = emp_sqlite_snapshot(r, err);
    if (rc < 0)
        return rc;
    sqlite3_stmt *st;
    int step = row_of(r, EMP_SQL_JOBS_AFTER, after, &st, err);
    rc = step < 0 ? step : 0;
    step = step > 0 ? SQLITE_ROW : SQLITE_DONE;
    emp_arena_init(&a, 0);
    for (; rc == 0 && step == SQLITE_ROW; emp_arena_reset(&a)) {
        rc = see(r, st, want, &a, seen, ctx, err);
        if (rc == 0)
            step = sqlite3_step(st);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = emp_sqlite_fail(&r->conn, step, err, "read history");
    if (st)
        sqlite3_reset(st);
    emp_arena_release(&a);
    emp_sqlite_snapshot_end(r);
    return rc;
}

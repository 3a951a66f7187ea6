/* Restoring: the store's content told as changes. Reads on the writer's connection, before the
 * first commit or between two. Living jobs come through their own index, so the time depends on
 * them and not on history. */
#include "store/shapes.h"
#include "store/sqlite_read.h"

struct restoring {
    struct emp_sqlite *q;
    emp_store_restored restored;
    void *ctx;
    struct emp_arena arena; /* reset after each row */
    struct emp_error *err;
};

static int unpack(struct restoring *w, const struct emp_pack_shape *shape, struct emp_str bytes,
                  void *ret, const char *what)
{
    if (emp_unpack(shape, bytes, &w->arena, ret) == 0)
        return 0;
    return emp_fail(w->err, EMP_E_INTERNAL, NULL, "the store is damaged: a %s in %s cannot be read",
                    what, w->q->path);
}

static int tell_model(struct restoring *w, sqlite3_stmt *st)
{
    struct emp_change c = {.kind = EMP_CHANGE_MODEL};
    int rc = unpack(w, &emp_shape_model, emp_sqlite_blob(st, 0), &c.model, "model");
    if (rc == 0)
        w->restored(w->ctx, &c);
    return rc;
}

static int tell_machine(struct restoring *w, sqlite3_stmt *st)
{
    struct emp_change c = {.kind = EMP_CHANGE_MACHINE};
    int rc = unpack(w, &emp_shape_machine, emp_sqlite_blob(st, 0), &c.machine, "machine");
    if (rc == 0)
        w->restored(w->ctx, &c);
    return rc;
}

static int tell_learned(struct restoring *w, sqlite3_stmt *st)
{
    struct emp_str bytes = emp_sqlite_blob(st, 1);
    struct emp_change c = {.kind = EMP_CHANGE_LEARNED,
                           .learned = {emp_sqlite_text(st, 0), bytes.ptr, bytes.len}};
    w->restored(w->ctx, &c);
    return 0;
}

static int tell_job(struct restoring *w, sqlite3_stmt *st)
{
    struct emp_job_spec spec;
    struct emp_change c = {.kind = EMP_CHANGE_JOB, .job.spec = &spec};
    int rc = emp_sqlite_decode(st, &w->arena, false, &c.job.record, &spec, w->err);
    if (rc == 0)
        w->restored(w->ctx, &c);
    return rc;
}

static const struct part {
    enum emp_sqlite_statement which;
    int (*tell)(struct restoring *w, sqlite3_stmt *st);
} parts[] = {
    {EMP_SQL_ALL_MODELS, tell_model},
    {EMP_SQL_ALL_MACHINES, tell_machine},
    {EMP_SQL_ALL_LEARNED, tell_learned},
    {EMP_SQL_LIVE_JOBS, tell_job},
};

static int tell_part(struct restoring *w, const struct part *part)
{
    sqlite3_stmt *st = emp_sqlite_statement(&w->q->conn, part->which);
    int step = st ? sqlite3_step(st) : sqlite3_extended_errcode(w->q->conn.db), rc = 0;
    while (rc == 0 && step == SQLITE_ROW) {
        rc = part->tell(w, st);
        emp_arena_reset(&w->arena);
        if (rc == 0)
            step = sqlite3_step(st);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = emp_sqlite_fail(&w->q->conn, step, w->err, "restore");
    if (st)
        sqlite3_reset(st);
    return rc;
}

static int last_num(struct restoring *w, emp_job_num *ret)
{
    sqlite3_stmt *st = emp_sqlite_statement(&w->q->conn, EMP_SQL_LAST_NUM);
    int rc = st ? sqlite3_step(st) : sqlite3_extended_errcode(w->q->conn.db);
    if (rc == SQLITE_ROW)
        *ret = (emp_job_num)sqlite3_column_int64(st, 0);
    rc = rc == SQLITE_ROW ? 0 : emp_sqlite_fail(&w->q->conn, rc, w->err, "find the last job");
    if (st)
        sqlite3_reset(st);
    return rc;
}

int emp_sqlite_restore(struct emp_store *s, emp_store_restored restored, void *ctx,
                       emp_job_num *ret_last_num, struct emp_error *err)
{
    struct restoring w = {.q = emp_sqlite_of(s), .restored = restored, .ctx = ctx, .err = err};
    int rc = 0;
    emp_arena_init(&w.arena, 0);
    for (size_t i = 0; rc == 0 && i < sizeof parts / sizeof parts[0]; i++)
        rc = tell_part(&w, &parts[i]);
    if (rc == 0)
        rc = last_num(&w, ret_last_num);
    emp_arena_release(&w.arena);
    return rc;
}

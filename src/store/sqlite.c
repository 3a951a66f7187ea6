/* The SQLite back end: opening, closing, its table of operations. sqlite.h is the map of its files.
 *
 * One database file in WAL mode, synchronous=FULL: a commit is one sync of the log. */
#include "store/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int on_log(void *arg, sqlite3 *db, const char *schema, int frames)
{
    (void)db, (void)schema;
    ((struct emp_sqlite *)arg)->log_frames = frames;
    return SQLITE_OK;
}

static void sqlite_close(struct emp_store *s)
{
    struct emp_sqlite *q = emp_sqlite_of(s);
    emp_sqlite_checkpointer_stop(&q->checkpointer);
    emp_sqlite_conn_close(&q->conn);
    emp_zip_free(q->zip);
    free((char *)q->options.vfs);
    free(q->log_path);
    free(q->path);
    free(q);
}

static int fill_in(struct emp_sqlite *q, const char *data_dir, const struct emp_store_options *o)
{
    q->options = *o;
    q->options.vfs = o->vfs ? strdup(o->vfs) : NULL;
    q->zip = emp_zip_new();
    size_t path_max = strlen(data_dir) + sizeof "/emp.db-wal";
    q->path = malloc(path_max);
    q->log_path = malloc(path_max);
    if (!q->zip || !q->path || !q->log_path || (o->vfs && !q->options.vfs))
        return EMP_E_INTERNAL;
    snprintf(q->path, path_max, "%s/emp.db", data_dir);
    snprintf(q->log_path, path_max, "%s-wal", q->path);
    return 0;
}

static int open_parts(struct emp_sqlite *q, struct emp_error *err)
{
    char sql[64];
    const struct emp_store_options *o = &q->options;
    int rc = emp_sqlite_conn_open(&q->conn, q->path, emp_sqlite_vfs(o->vfs), EMP_SQLITE_WRITER,
                                  o->cache_bytes, err);
    if (rc < 0)
        return rc;
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA journal_size_limit=%lld",
                     (long long)o->log_bytes_max * 2);
    rc = emp_sqlite_exec_rc(&q->conn, sql);
    if (rc != SQLITE_OK)
        return emp_sqlite_fail(&q->conn, rc, err, "set the limit of the log");
    sqlite3_wal_hook(q->conn.db, on_log, q);
    rc = emp_sqlite_schema(q, err);
    if (rc < 0)
        return rc;
    return emp_sqlite_checkpointer_start(&q->checkpointer, q->path, o, &q->base.checkpoints, err);
}

static int sqlite_open(const char *data_dir, const struct emp_store_options *o,
                       struct emp_store **ret, struct emp_error *err)
{
    struct emp_sqlite *q = calloc(1, sizeof *q);
    if (!q)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory to open the store");
    int rc = fill_in(q, data_dir, o);
    if (rc < 0)
        emp_fail(err, rc, NULL, "no memory to open the store");
    else
        rc = open_parts(q, err);
    if (rc < 0) {
        sqlite_close(&q->base);
        return rc;
    }
    *ret = &q->base;
    return 0;
}

static int64_t bytes_of(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

static void sqlite_files(const struct emp_store *s, int64_t *ret_data_bytes, int64_t *ret_log_bytes)
{
    const struct emp_sqlite *q = (const struct emp_sqlite *)(const void *)s;
    *ret_data_bytes = bytes_of(q->path);
    *ret_log_bytes = bytes_of(q->log_path);
}

const struct emp_store_ops emp_store_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .commit = emp_sqlite_commit,
    .retain = emp_sqlite_retain,
    .restore = emp_sqlite_restore,
    .files = sqlite_files,
    .reader_new = emp_sqlite_reader_new,
    .reader_free = emp_sqlite_reader_free,
    .job = emp_sqlite_job,
    .body = emp_sqlite_body,
    .idempotency = emp_sqlite_idempotency,
    .counts = emp_sqlite_counts,
    .jobs = emp_sqlite_jobs,
    .history = emp_sqlite_history,
};

/* Tables of the SQLite back end, and how an older database becomes a newer one.
 *
 * Rows are appended in order of arrival (integer keys), so a batch touches few pages. What never
 * changes (job_spec) stands apart from what changes often and is small (job), so that a new state
 * rewrites no payload. A job's columns are what lists search by; the rest of its record is packed
 * (shapes.h). The one index of `job` holds only living jobs: a restart finds them without reading
 * history. `tally` counts jobs by state. Tables with `seq` keep the order of first sight. */
#include "store/sqlite.h"

#include <stdlib.h>
#include <sys/random.h>

/* migrations[v] makes version v + 1 of version v, inside the transaction of opening. */
static const char *const migrations[EMP_SQLITE_VERSION] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL, value) WITHOUT ROWID;"
    "CREATE TABLE tally(state TEXT PRIMARY KEY NOT NULL, jobs INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE job_spec(num INTEGER PRIMARY KEY, codec INTEGER NOT NULL, spec BLOB NOT NULL, "
    "body BLOB NOT NULL);"
    "CREATE TABLE job(num INTEGER PRIMARY KEY, live INTEGER, state TEXT NOT NULL, priority REAL "
    "NOT NULL,"
    " submitted_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, service TEXT, customer TEXT, "
    "workflow TEXT, pool TEXT,"
    " machine TEXT, record BLOB NOT NULL);"
    "CREATE INDEX job_live ON job(live) WHERE live IS NOT NULL;"
    "CREATE INDEX job_workflow ON job(workflow) WHERE workflow IS NOT NULL;"
    "CREATE TABLE attempt(job INTEGER NOT NULL, number INTEGER NOT NULL, record BLOB NOT NULL,"
    " PRIMARY KEY(job, number)) WITHOUT ROWID;"
    "CREATE TABLE result(num INTEGER PRIMARY KEY, codec INTEGER NOT NULL, bytes BLOB NOT NULL);"
    "CREATE TABLE idempotency(customer TEXT NOT NULL, key TEXT NOT NULL, num INTEGER NOT NULL, "
    "body_hash INTEGER NOT NULL,"
    " PRIMARY KEY(customer, key)) WITHOUT ROWID;"
    "CREATE TABLE machine(seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, record BLOB NOT NULL);"
    "CREATE TABLE model(seq INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, record BLOB NOT NULL);"
    "CREATE TABLE learned(seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, bytes BLOB NOT NULL);",
};

static int pragma_rc(struct emp_sqlite_conn *c, const char *name, int64_t *ret)
{
    char sql[64];
    sqlite3_stmt *st;
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA %s", name);
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st) == SQLITE_ROW ? SQLITE_OK : sqlite3_extended_errcode(c->db);
    if (rc == SQLITE_OK)
        *ret = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return rc;
}

/* Whose database it is and of which version: 0 a fresh one. */
static int read_version(struct emp_sqlite *q, int64_t *ret, struct emp_error *err)
{
    int64_t application = 0, tables = 0;
    int rc = pragma_rc(&q->conn, "application_id", &application);
    if (rc == SQLITE_OK)
        rc = pragma_rc(&q->conn, "user_version", ret);
    if (rc == SQLITE_OK)
        rc = pragma_rc(&q->conn, "schema_version", &tables);
    if (rc != SQLITE_OK)
        return emp_sqlite_fail(&q->conn, rc, err, "read the version of the database");
    if (tables != 0 && application != EMP_SQLITE_APPLICATION)
        return emp_fail(err, EMP_E_CONFLICT, NULL,
                        "%s is a database of another program: choose another data directory",
                        q->path);
    if (*ret > EMP_SQLITE_VERSION)
        return emp_fail(err, EMP_E_CONFLICT, NULL,
                        "%s was written by a newer emp (schema version %lld, this one knows up to "
                        "%d): use that version, or "
                        "another data directory",
                        q->path, (long long)*ret, EMP_SQLITE_VERSION);
    return 0;
}

static int migrate_rc(struct emp_sqlite *q, int64_t version)
{
    char sql[128];
    int rc = SQLITE_OK;
    for (int64_t v = version; rc == SQLITE_OK && v < EMP_SQLITE_VERSION; v++)
        rc = emp_sqlite_exec_rc(&q->conn, migrations[v]);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_snprintf(sizeof sql, sql, "PRAGMA application_id=%d; PRAGMA user_version=%d",
                     EMP_SQLITE_APPLICATION, EMP_SQLITE_VERSION);
    return emp_sqlite_exec_rc(&q->conn, sql);
}

static int make_secret_rc(struct emp_sqlite *q)
{
    uint64_t k[2];
    if (getrandom(k, sizeof k, 0) != (ssize_t)sizeof k)
        return SQLITE_IOERR;
    return emp_sqlite_run_rc(&q->conn, EMP_SQL_SET_META, "tb", EMP_STR("job_secret"),
                             (struct emp_str){(const char *)k, sizeof k});
}

static int migrate(struct emp_sqlite *q, int64_t version, struct emp_error *err)
{
    int rc = emp_sqlite_run_rc(&q->conn, EMP_SQL_BEGIN, "");
    if (rc == SQLITE_OK)
        rc = migrate_rc(q, version);
    if (rc == SQLITE_OK && version == 0)
        rc = make_secret_rc(q);
    if (rc == SQLITE_OK)
        rc = emp_sqlite_run_rc(&q->conn, EMP_SQL_COMMIT, "");
    if (rc == SQLITE_OK)
        return 0;
    rc = emp_sqlite_fail(&q->conn, rc, err, "set up the tables");
    if (!sqlite3_get_autocommit(q->conn.db))
        emp_sqlite_exec_rc(&q->conn, "ROLLBACK");
    return rc;
}

static int read_secret(struct emp_sqlite *q, struct emp_error *err)
{
    sqlite3_stmt *st = emp_sqlite_statement(&q->conn, EMP_SQL_META);
    int rc = st ? emp_sqlite_bind_rc(st, "t", EMP_STR("job_secret"))
                : sqlite3_extended_errcode(q->conn.db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    struct emp_str secret = rc == SQLITE_ROW ? emp_sqlite_blob(st, 0) : (struct emp_str){0};
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        rc = emp_sqlite_fail(&q->conn, rc, err, "read the secret of job ids");
    else if (secret.len != sizeof q->base.secret.k)
        rc = emp_fail(err, EMP_E_INTERNAL, NULL, "%s is damaged: the secret of job ids is missing",
                      q->path);
    else
        rc = 0;
    if (rc == 0)
        memcpy(q->base.secret.k, secret.ptr, sizeof q->base.secret.k);
    if (st)
        sqlite3_reset(st);
    return rc;
}

static int read_tally(struct emp_sqlite *q, struct emp_error *err)
{
    sqlite3_stmt *st = emp_sqlite_statement(&q->conn, EMP_SQL_ALL_TALLY);
    int rc = st ? sqlite3_step(st) : sqlite3_extended_errcode(q->conn.db);
    for (; rc == SQLITE_ROW; rc = sqlite3_step(st)) {
        enum emp_job_state state;
        if (emp_job_state_parse(emp_sqlite_text(st, 0), &state) == 0)
            q->tally[state] = sqlite3_column_int64(st, 1);
    }
    if (rc != SQLITE_DONE)
        return emp_sqlite_fail(&q->conn, rc, err, "read the counts of jobs");
    sqlite3_reset(st);
    return 0;
}

int emp_sqlite_schema(struct emp_sqlite *q, struct emp_error *err)
{
    int64_t version = 0;
    int rc = read_version(q, &version, err);
    if (rc == 0 && version < EMP_SQLITE_VERSION)
        rc = migrate(q, version, err);
    if (rc == 0)
        rc = read_secret(q, err);
    if (rc == 0)
        rc = read_tally(q, err);
    return rc;
}

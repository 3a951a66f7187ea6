/* Connections, statements and errors of the SQLite back end: sqlite.h. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static const char *const texts[] = {
#define EMP_SQL(name, text) [EMP_SQL_##name] = text,
#include "store/sqlite.def"
#undef EMP_SQL
};

/* Allocation statistics take a global lock at every malloc of every connection. Refused when SQLite
 * is initialised already, which is harmless. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
}

/* WAL's autocheckpoint is off everywhere: the checkpointer does it. A reader may find the database
 * locked for the moments of recovery after a crash; the time-out is for these. */
static const char *const settings[] = {
    [EMP_SQLITE_WRITER] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
        "PRAGMA temp_store=MEMORY; PRAGMA cache_spill=0; PRAGMA cache_size=-%lld;",
    [EMP_SQLITE_READER] = "PRAGMA wal_autocheckpoint=0; PRAGMA temp_store=MEMORY; PRAGMA "
                          "query_only=1; PRAGMA cache_size=-%lld;",
};

static int is_wal_rc(struct emp_sqlite_conn *c)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode", -1, &st, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    bool wal = rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(st, 0), "wal") == 0;
    sqlite3_finalize(st);
    return wal ? SQLITE_OK : SQLITE_CANTOPEN; // a file system without shared memory
}

int emp_sqlite_conn_open(struct emp_sqlite_conn *c, const char *path, const char *vfs,
                         enum emp_sqlite_mode mode, int64_t cache_bytes, struct emp_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    *c = (struct emp_sqlite_conn){0};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                (mode == EMP_SQLITE_WRITER ? SQLITE_OPEN_CREATE : 0);
    int rc = sqlite3_open_v2(path, &c->db, flags, vfs);
    if (rc == SQLITE_OK) {
        char sql[512];
        sqlite3_extended_result_codes(c->db, 1);
        sqlite3_busy_timeout(c->db, 10000);
        sqlite3_snprintf(sizeof sql, sql, settings[mode], (long long)(cache_bytes / 1024));
        rc = emp_sqlite_exec_rc(c, sql);
    }
    if (rc == SQLITE_OK)
        rc = is_wal_rc(c);
    if (rc == SQLITE_OK)
        return 0;
    rc = emp_sqlite_fail(c, rc, err, "open the database");
    emp_sqlite_conn_close(c);
    return rc;
}

void emp_sqlite_conn_close(struct emp_sqlite_conn *c)
{
    for (int i = 0; i < EMP_SQL_COUNT; i++)
        sqlite3_finalize(c->statements[i]);
    sqlite3_close(c->db);
    *c = (struct emp_sqlite_conn){0};
}

sqlite3_stmt *emp_sqlite_statement(struct emp_sqlite_conn *c, enum emp_sqlite_statement which)
{
    sqlite3_stmt **st = &c->statements[which];
    if (*st)
        sqlite3_reset(*st);
    else if (sqlite3_prepare_v3(c->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL) !=
             SQLITE_OK)
        return NULL;
    return *st;
}

static int bind_blob_rc(sqlite3_stmt *st, int at, struct emp_str s)
{
    return s.len ? sqlite3_bind_blob(st, at, s.ptr, (int)s.len, SQLITE_STATIC)
                 : sqlite3_bind_zeroblob(st, at, 0);
}

static int bind_text_rc(sqlite3_stmt *st, int at, struct emp_str s)
{
    return s.len ? sqlite3_bind_text(st, at, s.ptr, (int)s.len, SQLITE_STATIC)
                 : sqlite3_bind_null(st, at);
}

static int vbind_rc(sqlite3_stmt *st, const char *letters, va_list args)
{
    int rc = SQLITE_OK;
    for (int at = 1; rc == SQLITE_OK && letters[at - 1]; at++) {
        switch (letters[at - 1]) {
        case 'i':
            rc = sqlite3_bind_int64(st, at, va_arg(args, int64_t));
            break;
        case 'd':
            rc = sqlite3_bind_double(st, at, va_arg(args, double));
            break;
        case 't':
            rc = bind_text_rc(st, at, va_arg(args, struct emp_str));
            break;
        case 'b':
            rc = bind_blob_rc(st, at, va_arg(args, struct emp_str));
            break;
        default:
            rc = SQLITE_MISUSE;
        }
    }
    return rc;
}

int emp_sqlite_bind_rc(sqlite3_stmt *st, const char *letters, ...)
{
    va_list args;
    va_start(args, letters);
    int rc = vbind_rc(st, letters, args);
    va_end(args);
    return rc;
}

int emp_sqlite_run_rc(struct emp_sqlite_conn *c, enum emp_sqlite_statement which,
                      const char *letters, ...)
{
    sqlite3_stmt *st = emp_sqlite_statement(c, which);
    if (!st)
        return sqlite3_extended_errcode(c->db);
    va_list args;
    va_start(args, letters);
    int rc = vbind_rc(st, letters, args);
    va_end(args);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_DONE || rc == SQLITE_ROW)
            rc = SQLITE_OK;
    }
    sqlite3_reset(st);
    return rc;
}

int emp_sqlite_exec_rc(struct emp_sqlite_conn *c, const char *sql)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

struct emp_str emp_sqlite_text(sqlite3_stmt *st, int column)
{
    const char *p = (const char *)sqlite3_column_text(st, column);
    return (struct emp_str){p, p ? (uint32_t)sqlite3_column_bytes(st, column) : 0};
}

struct emp_str emp_sqlite_blob(sqlite3_stmt *st, int column)
{
    const void *p = sqlite3_column_blob(st, column);
    return (struct emp_str){p, p ? (uint32_t)sqlite3_column_bytes(st, column) : 0};
}

static bool no_room(int rc, int os_errno)
{
    return (rc & 0xff) == SQLITE_FULL ||
           ((rc & 0xff) == SQLITE_IOERR && (os_errno == ENOSPC || os_errno == EDQUOT));
}

static int code_of(int rc, int os_errno)
{
    if (no_room(rc, os_errno))
        return EMP_E_DISK_FULL;
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
        return EMP_E_INTERNAL;
    default:
        return EMP_E_IO;
    }
}

int emp_sqlite_fail(const struct emp_sqlite_conn *c, int rc, struct emp_error *err,
                    const char *doing)
{
    int os_errno = c->db ? sqlite3_system_errno(c->db) : 0;
    const char *file = c->db ? sqlite3_db_filename(c->db, NULL) : NULL;
    const char *why = c->db && sqlite3_extended_errcode(c->db) == rc ? sqlite3_errmsg(c->db)
                                                                     : sqlite3_errstr(rc);
    const char *system = (rc & 0xff) == SQLITE_IOERR && os_errno ? strerrordesc_np(os_errno) : NULL;
    return emp_fail(err, code_of(rc, os_errno), NULL, "cannot %s%s%s: %s%s%s (SQLite %d)", doing,
                    file ? " in " : "", file ? file : "", why, system ? ": " : "",
                    system ? system : "", rc);
}

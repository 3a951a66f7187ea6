/* The SQLite back end's own header. Its files, split along meaning:
 *
 *   sqlite.c            opening, closing, the table of operations
 *   sqlite_schema.c     tables, versions, migration, meta
 *   sqlite_util.c       connections, statements, binding, errors
 *   sqlite_commit.c     writing batches; retention
 *   sqlite_checkpoint.c folding the log in, beside the writer
 *   sqlite_vfs.c        writing the log in one piece
 *   sqlite_read.c       jobs by number, keys, counts, history; restoring
 *   sqlite_list.c       filtered, sorted, paged lists
 *
 * Connections: the writer's (in struct emp_sqlite), the checkpointer's, one per reader; none is
 * ever used by two threads at once, so all are opened NOMUTEX. Internal functions return SQLite's
 * result codes where they end in `_rc`, else EMP_E_*. */
#ifndef EMP_STORE_SQLITE_H
#define EMP_STORE_SQLITE_H

#include "store/backend.h"
#include "store/zip.h"

#include <pthread.h>
#include <sqlite3.h>

/* ------------------------------------------------------------------ statements */

enum emp_sqlite_statement {
#define EMP_SQL(name, text) EMP_SQL_##name,
#include "store/sqlite.def"
#undef EMP_SQL
    EMP_SQL_COUNT
};

/* A connection with its statements, prepared when first used and kept. */
struct emp_sqlite_conn {
    sqlite3 *db;
    sqlite3_stmt *statements[EMP_SQL_COUNT];
};

enum emp_sqlite_mode { EMP_SQLITE_WRITER, EMP_SQLITE_READER };
int emp_sqlite_conn_open(struct emp_sqlite_conn *c, const char *path, const char *vfs,
                         enum emp_sqlite_mode mode, int64_t cache_bytes, struct emp_error *err);
void emp_sqlite_conn_close(struct emp_sqlite_conn *c); /* zeroed or closed before is allowed */

/* The statement, reset and ready to bind; NULL when it cannot be prepared (the connection knows
 * why). */
sqlite3_stmt *emp_sqlite_statement(struct emp_sqlite_conn *c, enum emp_sqlite_statement which);

/* Binds ?1, ?2, … by letters: i int64_t, d double, t struct emp_str as text (empty: NULL), b struct
 * emp_str as blob. Bytes must live until the statement is reset. */
int emp_sqlite_bind_rc(sqlite3_stmt *st, const char *letters, ...);

/* Binds, runs to the end and resets: SQLITE_OK or what went wrong. */
int emp_sqlite_run_rc(struct emp_sqlite_conn *c, enum emp_sqlite_statement which,
                      const char *letters, ...);

int emp_sqlite_exec_rc(struct emp_sqlite_conn *c, const char *sql);

/* Columns, borrowed until the statement steps or is reset. */
struct emp_str emp_sqlite_text(sqlite3_stmt *st, int column);
struct emp_str emp_sqlite_blob(sqlite3_stmt *st, int column);

/* The EMP_E_* for a result code, with the connection's story: "cannot <doing>: …". */
int emp_sqlite_fail(const struct emp_sqlite_conn *c, int rc, struct emp_error *err,
                    const char *doing);

/* The name of a VFS over the named one (NULL: SQLite's own) for a connection that writes: it hands
 * the log's small writes on together. Lives as long as the process. */
const char *emp_sqlite_vfs(const char *lower_name);

/* ------------------------------------------------------------------ checkpoints */

/* Folds the log (WAL) into the database on a thread of its own, passively: it never makes the
 * writer or a reader wait for a lock. Only the writer, between two transactions, can let the log
 * start from its beginning again, and only when nothing is left to fold in; so when the log is long
 * and the thread has left little, the writer folds in that rest itself. */
struct emp_sqlite_checkpointer {
    struct emp_sqlite_conn conn;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t cond;
    bool started, stop, wanted, busy;
    int left; /* frames that the last pass left; -1: no pass ended since the writer looked */
    int step_frames, long_frames; /* from options */
    int folded_at;                /* writer's own: frames in the log at its last request */
    atomic_uint_fast64_t *counter;
};
int emp_sqlite_checkpointer_start(struct emp_sqlite_checkpointer *k, const char *path,
                                  const struct emp_store_options *o, atomic_uint_fast64_t *counter,
                                  struct emp_error *err);
void emp_sqlite_checkpointer_stop(struct emp_sqlite_checkpointer *k);

/* The writer says after a commit how many frames the log has. */
void emp_sqlite_checkpointer_note(struct emp_sqlite_checkpointer *k, struct emp_sqlite_conn *writer,
                                  int frames);

/* ------------------------------------------------------------------ the store, its readers */

struct emp_sqlite {
    struct emp_store base;
    struct emp_sqlite_conn conn;
    struct emp_zip *zip;
    char *path, *log_path;
    struct emp_store_options options;   /* filled in; vfs is a copy */
    int log_frames;                     /* told by SQLite at each commit */
    int64_t tally[EMP_JOB_STATE_COUNT]; /* as committed */
    emp_job_num retain_cursor;          /* looked at up to here */
    struct emp_sqlite_checkpointer checkpointer;
};
struct emp_sqlite_reader {
    struct emp_store_reader base;
    struct emp_sqlite_conn conn;
    struct emp_zip *zip;
};

static inline struct emp_sqlite *emp_sqlite_of(struct emp_store *s)
{
    return (struct emp_sqlite *)(void *)s;
}
static inline struct emp_sqlite_reader *emp_sqlite_reader_of(struct emp_store_reader *r)
{
    return (struct emp_sqlite_reader *)(void *)r;
}

/* ------------------------------------------------------------------ schema */

enum {
    EMP_SQLITE_VERSION = 1,
    EMP_SQLITE_APPLICATION = 0x656d7051 /* "empQ" in the file's header */
};

/* Makes or migrates the tables, reads the secret (making it when new) and the tally. */
int emp_sqlite_schema(struct emp_sqlite *q, struct emp_error *err);

/* ------------------------------------------------------------------ operations */

int emp_sqlite_commit(struct emp_store *s, const struct emp_batch *b, emp_store_resolve resolve,
                      void *ctx, struct emp_arena *a, struct emp_error *err);
int emp_sqlite_retain(struct emp_store *s, emp_wall_ms finished_before, uint32_t look_max,
                      emp_job_num *nums, uint32_t nums_cap, uint32_t *ret_count,
                      struct emp_error *err);
int emp_sqlite_restore(struct emp_store *s, emp_store_restored restored, void *ctx,
                       emp_job_num *ret_last_num, struct emp_error *err);
int emp_sqlite_reader_new(struct emp_store *s, struct emp_store_reader **ret,
                          struct emp_error *err);
void emp_sqlite_reader_free(struct emp_store_reader *r);
int emp_sqlite_job(struct emp_store_reader *r, emp_job_num num, unsigned want, struct emp_arena *a,
                   struct emp_store_job *ret, struct emp_error *err);
int emp_sqlite_body(struct emp_store_reader *r, emp_job_num num, struct emp_arena *a,
                    struct emp_str *ret, struct emp_error *err);
int emp_sqlite_idempotency(struct emp_store_reader *r, struct emp_str customer, struct emp_str key,
                           emp_job_num *ret_num, uint64_t *ret_body_hash, struct emp_error *err);
int emp_sqlite_counts(struct emp_store_reader *r, uint64_t ret[EMP_JOB_STATE_COUNT],
                      struct emp_error *err);
int emp_sqlite_jobs(struct emp_store_reader *r, const struct emp_store_query *q,
                    struct emp_arena *a, struct emp_store_list *ret, struct emp_error *err);
int emp_sqlite_history(struct emp_store_reader *r, emp_job_num after, unsigned want,
                       emp_store_seen seen, void *ctx, struct emp_error *err);

#endif

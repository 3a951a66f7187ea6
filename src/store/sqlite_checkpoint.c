/* The checkpointer: sqlite.h says what it is for. Passive checkpoints take no lock that the writer
 * or a reader waits for; their cost is the disk's time. The log's file is kept at its length:
 * overwriting it is cheaper than growing it again.
 *
 * Order of locks: the mutex is never held while SQLite works. */
#include "store/sqlite.h"

enum { REST_FRAMES = 1024 }; /* what the writer takes upon itself: about 4 MB */

static int fold_rc(struct emp_sqlite_conn *c, int *ret_left)
{
    int log = 0, folded = 0;
    int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &folded);
    if (rc == SQLITE_OK)
        *ret_left = log - folded;
    return rc;
}

/* A pass that fails (full disk, I/O error) changes nothing: the log stays, and the next commit asks
 * again. What is wrong with the disk is told by the commits that it fails. */
static void *run(void *arg)
{
    struct emp_sqlite_checkpointer *k = arg;
    pthread_mutex_lock(&k->mutex);
    while (!k->stop) {
        if (!k->wanted) {
            pthread_cond_wait(&k->cond, &k->mutex);
            continue;
        }
        k->wanted = false;
        k->busy = true;
        pthread_mutex_unlock(&k->mutex);
        int left = -1;
        if (fold_rc(&k->conn, &left) == SQLITE_OK)
            atomic_fetch_add_explicit(k->counter, 1, memory_order_relaxed);
        pthread_mutex_lock(&k->mutex);
        k->busy = false;
        k->left = left;
    }
    pthread_mutex_unlock(&k->mutex);
    return NULL;
}

int emp_sqlite_checkpointer_start(struct emp_sqlite_checkpointer *k, const char *path,
                                  const struct emp_store_options *o, atomic_uint_fast64_t *counter,
                                  struct emp_error *err)
{
    enum { PAGE = 4096, CACHE = 1024 * 1024 };
    int rc = emp_sqlite_conn_open(&k->conn, path, o->vfs, EMP_SQLITE_WRITER, CACHE, err);
    if (rc < 0)
        return rc;
    k->step_frames = (int)(o->checkpoint_bytes / PAGE);
    k->long_frames = (int)(o->log_bytes_max / PAGE);
    k->counter = counter;
    k->left = -1;
    pthread_mutex_init(&k->mutex, NULL);
    pthread_cond_init(&k->cond, NULL);
    if (pthread_create(&k->thread, NULL, run, k) != 0) {
        pthread_cond_destroy(&k->cond);
        pthread_mutex_destroy(&k->mutex);
        emp_sqlite_conn_close(&k->conn);
        return emp_fail(
            err, EMP_E_INTERNAL, NULL,
            "cannot start the store's checkpoint thread: too many threads or no memory");
    }
    k->started = true;
    return 0;
}

void emp_sqlite_checkpointer_stop(struct emp_sqlite_checkpointer *k)
{
    if (!k->started)
        return;
    pthread_mutex_lock(&k->mutex);
    k->stop = true;
    pthread_cond_signal(&k->cond);
    pthread_mutex_unlock(&k->mutex);
    pthread_join(k->thread, NULL);
    pthread_cond_destroy(&k->cond);
    pthread_mutex_destroy(&k->mutex);
    emp_sqlite_conn_close(&k->conn);
    k->started = false;
}

/* A log shorter than it was has started again. A long one is folded in without pause, until the
 * thread leaves so little (or the log is so much too long) that the writer ends it. */
void emp_sqlite_checkpointer_note(struct emp_sqlite_checkpointer *k, struct emp_sqlite_conn *writer,
                                  int frames)
{
    if (frames < k->folded_at)
        k->folded_at = 0;
    bool grown = frames - k->folded_at >= k->step_frames, is_long = frames >= k->long_frames;
    if (!grown && !is_long)
        return;
    pthread_mutex_lock(&k->mutex);
    int left = k->left;
    bool idle = !k->busy && !k->wanted;
    if (idle) {
        k->left = -1;
        k->wanted = grown || left < 0;
        if (k->wanted) {
            k->folded_at = frames;
            pthread_cond_signal(&k->cond);
        }
    }
    pthread_mutex_unlock(&k->mutex);
    if (is_long && idle && left >= 0 && (left <= REST_FRAMES || frames >= 2 * k->long_frames))
        fold_rc(writer, &left);
}

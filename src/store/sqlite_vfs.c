/* A VFS for the writer's connection, laid over another, that gathers what SQLite writes to the log
 * and hands it on in one piece.
 *
 * SQLite writes each frame of the log as two small writes (24 bytes, one page), unaligned: a batch
 * of 200 jobs is some 200 system calls that each touch two pages of the file. Gathered, it is one.
 * Measured on the way: half of the processor time of a batch was spent there.
 *
 * Why this is safe: with synchronous=FULL a commit syncs the log before its frames are published in
 * the shared index, so what other connections read has always been handed on. What this connection
 * itself reads, sizes or truncates is handed on first. A failure is told by the call that hands on
 * (a write or the sync) and the transaction fails with it; what was gathered is dropped, for the
 * next transaction writes the same places again.
 *
 * All files but the log are the lower VFS's own. */
#include "store/sqlite.h"

#include <stdio.h>
#include <stdlib.h>

/* SQLite's unix VFS takes at most 2^17 - 1 bytes of one write for granted. */
enum { GATHER_BYTES = 1024 * 1024, PIECE_BYTES = 64 * 1024, NAME_MAX_BYTES = 128 };

struct log_file {
    sqlite3_file base; /* what SQLite sees; must be first */
    sqlite3_file *lower;
    char *bytes; /* [GATHER_BYTES], for places [at, at + len) */
    sqlite3_int64 at;
    int len;
};

static struct log_file *log_of(sqlite3_file *f)
{
    return (struct log_file *)(void *)f;
}

static int hand_on(struct log_file *f)
{
    int len = f->len, rc = SQLITE_OK;
    f->len = 0;
    for (int done = 0; rc == SQLITE_OK && done < len; done += PIECE_BYTES) {
        int piece = len - done < PIECE_BYTES ? len - done : PIECE_BYTES;
        rc = f->lower->pMethods->xWrite(f->lower, f->bytes + done, piece, f->at + done);
    }
    return rc;
}

static int log_close(sqlite3_file *file)
{
    struct log_file *f = log_of(file);
    int rc = hand_on(f), closed = f->lower->pMethods->xClose(f->lower);
    free(f->bytes);
    return rc == SQLITE_OK ? closed : rc;
}

static int log_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 at)
{
    struct log_file *f = log_of(file);
    bool overlaps = at < f->at + f->len && f->at < at + amount;
    int rc = overlaps ? hand_on(f) : SQLITE_OK;
    return rc == SQLITE_OK ? f->lower->pMethods->xRead(f->lower, to, amount, at) : rc;
}

static int log_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 at)
{
    struct log_file *f = log_of(file);
    int rc = SQLITE_OK;
    if (f->len && (at != f->at + f->len || f->len + amount > GATHER_BYTES))
        rc = hand_on(f);
    if (rc != SQLITE_OK)
        return rc;
    if (amount > GATHER_BYTES)
        return f->lower->pMethods->xWrite(f->lower, from, amount, at);
    if (f->len == 0)
        f->at = at;
    memcpy(f->bytes + f->len, from, (size_t)amount);
    f->len += amount;
    return SQLITE_OK;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct log_file *f = log_of(file);
    int rc = hand_on(f);
    return rc == SQLITE_OK ? f->lower->pMethods->xTruncate(f->lower, size) : rc;
}

static int log_sync(sqlite3_file *file, int flags)
{
    struct log_file *f = log_of(file);
    int rc = hand_on(f);
    return rc == SQLITE_OK ? f->lower->pMethods->xSync(f->lower, flags) : rc;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    struct log_file *f = log_of(file);
    int rc = hand_on(f);
    return rc == SQLITE_OK ? f->lower->pMethods->xFileSize(f->lower, ret) : rc;
}

static int log_lock(sqlite3_file *file, int level)
{
    return log_of(file)->lower->pMethods->xLock(log_of(file)->lower, level);
}

static int log_unlock(sqlite3_file *file, int level)
{
    return log_of(file)->lower->pMethods->xUnlock(log_of(file)->lower, level);
}

static int log_reserved(sqlite3_file *file, int *ret)
{
    return log_of(file)->lower->pMethods->xCheckReservedLock(log_of(file)->lower, ret);
}

static int log_control(sqlite3_file *file, int op, void *arg)
{
    return log_of(file)->lower->pMethods->xFileControl(log_of(file)->lower, op, arg);
}

static int log_sector(sqlite3_file *file)
{
    return log_of(file)->lower->pMethods->xSectorSize(log_of(file)->lower);
}

static int log_characteristics(sqlite3_file *file)
{
    return log_of(file)->lower->pMethods->xDeviceCharacteristics(log_of(file)->lower);
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_characteristics,
};

static sqlite3_vfs *lower_of(sqlite3_vfs *v)
{
    return v->pAppData;
}

static int vfs_open(sqlite3_vfs *v, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
    sqlite3_vfs *lower = lower_of(v);
    if (!(flags & SQLITE_OPEN_WAL))
        return lower->xOpen(lower, path, file, flags, ret_flags);
    struct log_file *f = log_of(file);
    *f = (struct log_file){.lower = (sqlite3_file *)(void *)(f + 1), .bytes = malloc(GATHER_BYTES)};
    if (!f->bytes)
        return SQLITE_NOMEM;
    f->lower->pMethods = NULL;
    int rc = lower->xOpen(lower, path, f->lower, flags, ret_flags);
    if (f->lower->pMethods) // to be closed even when opening failed
        f->base.pMethods = &log_methods;
    else
        free(f->bytes);
    return rc;
}

static int vfs_delete(sqlite3_vfs *v, const char *path, int sync_dir)
{
    return lower_of(v)->xDelete(lower_of(v), path, sync_dir);
}

static int vfs_access(sqlite3_vfs *v, const char *path, int flags, int *ret)
{
    return lower_of(v)->xAccess(lower_of(v), path, flags, ret);
}

static int vfs_full_path(sqlite3_vfs *v, const char *path, int out_bytes, char *out)
{
    return lower_of(v)->xFullPathname(lower_of(v), path, out_bytes, out);
}

static int vfs_randomness(sqlite3_vfs *v, int bytes, char *out)
{
    return lower_of(v)->xRandomness(lower_of(v), bytes, out);
}

static int vfs_sleep(sqlite3_vfs *v, int us)
{
    return lower_of(v)->xSleep(lower_of(v), us);
}

static int vfs_time(sqlite3_vfs *v, double *ret)
{
    return lower_of(v)->xCurrentTime(lower_of(v), ret);
}

static int vfs_last_error(sqlite3_vfs *v, int bytes, char *out)
{
    return lower_of(v)->xGetLastError(lower_of(v), bytes, out);
}

static int vfs_time_ms(sqlite3_vfs *v, sqlite3_int64 *ret)
{
    return lower_of(v)->xCurrentTimeInt64(lower_of(v), ret);
}

/* One per lower VFS, made when first asked for, never taken away. */
struct gathering {
    sqlite3_vfs vfs;
    char name[NAME_MAX_BYTES];
};

static struct gathering *make(sqlite3_vfs *lower, const char *name)
{
    struct gathering *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    snprintf(g->name, sizeof g->name, "%s", name);
    g->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = lower->szOsFile + (int)sizeof(struct log_file),
        .mxPathname = lower->mxPathname,
        .zName = g->name,
        .pAppData = lower,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time_ms,
    };
    return g;
}

/* Opening stores from two threads at once must not make two of one name. */
const char *emp_sqlite_vfs(const char *lower_name)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    char name[NAME_MAX_BYTES];
    sqlite3_vfs *lower = sqlite3_vfs_find(lower_name);
    if (!lower || lower->iVersion < 2)
        return lower_name;
    snprintf(name, sizeof name, "emp-gathering-%s", lower->zName);
    pthread_mutex_lock(&mutex);
    sqlite3_vfs *found = sqlite3_vfs_find(name);
    if (!found) {
        struct gathering *g = make(lower, name);
        if (g && sqlite3_vfs_register(&g->vfs, 0) == SQLITE_OK)
            found = &g->vfs;
        else
            free(g);
    }
    pthread_mutex_unlock(&mutex);
    return found ? found->zName : lower_name; // without it all works, only slower
}

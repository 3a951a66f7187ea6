/* The store's front: what is the same for every back end. It checks arguments, fills in options,
 * holds the data directory for one process, makes batches of changes and counts. The lock is a
 * flock on DATA/lock: it ends with the process, however that ends. */
#include "store/store.h"

#include "store/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct emp_store_ops *const backends[] = {&emp_store_sqlite};

enum { COMMIT_ARENA_BYTES = 1024 * 1024 };

/* ------------------------------------------------------------------ opening */

static const struct emp_store_ops *find_backend(const char *name)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (!name || strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

static int64_t or_default(int64_t value, int64_t mb)
{
    return value > 0 ? value : mb << 20;
}

static struct emp_store_options fill_in(const struct emp_store_options *options)
{
    struct emp_store_options o = options ? *options : (struct emp_store_options){0};
    o.cache_bytes = or_default(o.cache_bytes, 256);
    o.reader_cache_bytes = or_default(o.reader_cache_bytes, 16);
    o.checkpoint_bytes = or_default(o.checkpoint_bytes, 16);
    o.log_bytes_max = or_default(o.log_bytes_max, 256);
    return o;
}

static int fail_errno(struct emp_error *err, const char *doing, const char *path)
{
    int why = errno;
    char text[128];
    return emp_fail(err, why == ENOSPC || why == EDQUOT ? EMP_E_DISK_FULL : EMP_E_IO, NULL,
                    "cannot %s %s: %s", doing, path, strerror_r(why, text, sizeof text));
}

/* Makes the directory and those above it. */
static int make_dir(const char *dir, struct emp_error *err)
{
    char path[PATH_MAX];
    size_t len = strlen(dir);
    if (len == 0 || len >= sizeof path - sizeof "/emp.db-journal")
        return emp_fail(err, EMP_E_INVALID, "data",
                        "the data directory's name is empty or too long (%zu bytes)", len);
    memcpy(path, dir, len + 1);
    for (char *p = path + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char was = *p;
        *p = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return fail_errno(err, "make the directory", path);
        *p = was;
        if (was == '\0')
            return 0;
    }
}

/* The descriptor that holds the directory, or EMP_E_*. */
static int lock_dir(const char *dir, struct emp_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int rc = errno == EWOULDBLOCK
                 ? emp_fail(err, EMP_E_CONFLICT, "data",
                            "another broker uses the data directory %s: stop it, or choose another",
                            dir)
                 : fail_errno(err, "lock", path);
    close(fd);
    return rc;
}

int emp_store_open(const char *data_dir, const struct emp_store_options *options,
                   struct emp_store **ret, struct emp_error *err)
{
    struct emp_store_options o = fill_in(options);
    const struct emp_store_ops *ops = find_backend(o.backend);
    if (!ops)
        return emp_fail(err, EMP_E_INVALID, "store", "there is no store \"%s\": use \"%s\"",
                        o.backend, backends[0]->name);
    int rc = make_dir(data_dir, err);
    int fd = rc < 0 ? rc : lock_dir(data_dir, err);
    if (fd < 0)
        return fd;
    struct emp_store *s;
    rc = ops->open(data_dir, &o, &s, err);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    s->ops = ops;
    s->lock_fd = fd;
    emp_arena_init(&s->arena, COMMIT_ARENA_BYTES);
    *ret = s;
    return 0;
}

void emp_store_close(struct emp_store *s)
{
    if (!s)
        return;
    int fd = s->lock_fd;
    emp_arena_release(&s->arena);
    s->ops->close(s);
    close(fd);
}

const struct emp_job_secret *emp_store_secret(const struct emp_store *s)
{
    return &s->secret;
}

const char *emp_store_backend(const struct emp_store *s)
{
    return s->ops->name;
}

/* ------------------------------------------------------------------ writing */

static void tell(atomic_uint_fast64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

int emp_store_commit(struct emp_store *s, const struct emp_change *changes, size_t count,
                     emp_store_resolve resolve, void *ctx, struct emp_error *err)
{
    if (count == 0)
        return 0;
    if (count > EMP_BATCH_MAX)
        return emp_fail(err, EMP_E_INTERNAL, NULL,
                        "a batch of %zu changes is too large: at most %d", count, EMP_BATCH_MAX);
    struct emp_batch batch;
    emp_batch_make(changes, (uint32_t)count, &s->arena, &batch);
    int rc = s->ops->commit(s, &batch, resolve, ctx, &s->arena, err);
    emp_arena_reset(&s->arena);
    if (rc < 0) {
        tell(&s->failures, 1);
        return rc;
    }
    tell(&s->commits, 1);
    tell(&s->changes, count);
    return 0;
}

int emp_store_retain(struct emp_store *s, emp_wall_ms finished_before, uint32_t look_max,
                     emp_job_num *nums, uint32_t nums_cap, uint32_t *ret_count,
                     struct emp_error *err)
{
    *ret_count = 0;
    if (look_max == 0 || nums_cap == 0)
        return 0;
    int rc = s->ops->retain(s, finished_before, look_max, nums, nums_cap, ret_count, err);
    emp_arena_reset(&s->arena);
    if (rc < 0)
        tell(&s->failures, 1);
    return rc;
}

int emp_store_restore(struct emp_store *s, emp_store_restored restored, void *ctx,
                      emp_job_num *ret_last_num, struct emp_error *err)
{
    return s->ops->restore(s, restored, ctx, ret_last_num, err);
}

/* ------------------------------------------------------------------ reading */

int emp_store_reader_new(struct emp_store *s, struct emp_store_reader **ret, struct emp_error *err)
{
    int rc = s->ops->reader_new(s, ret, err);
    if (rc == 0)
        (*ret)->ops = s->ops;
    return rc;
}

void emp_store_reader_free(struct emp_store_reader *r)
{
    if (r)
        r->ops->reader_free(r);
}

int emp_store_job(struct emp_store_reader *r, emp_job_num num, unsigned want, struct emp_arena *a,
                  struct emp_store_job *ret, struct emp_error *err)
{
    if (num == 0 || num > INT64_MAX)
        return EMP_E_NOT_FOUND;
    return r->ops->job(r, num, want, a, ret, err);
}

int emp_store_body(struct emp_store_reader *r, emp_job_num num, struct emp_arena *a,
                   struct emp_str *ret, struct emp_error *err)
{
    if (num == 0 || num > INT64_MAX)
        return EMP_E_NOT_FOUND;
    return r->ops->body(r, num, a, ret, err);
}

int emp_store_idempotency(struct emp_store_reader *r, struct emp_str customer, struct emp_str key,
                          emp_job_num *ret_num, uint64_t *ret_body_hash, struct emp_error *err)
{
    if (key.len == 0)
        return EMP_E_NOT_FOUND;
    return r->ops->idempotency(r, customer, key, ret_num, ret_body_hash, err);
}

int emp_store_counts(struct emp_store_reader *r, uint64_t ret[EMP_JOB_STATE_COUNT],
                     struct emp_error *err)
{
    memset(ret, 0, sizeof(uint64_t) * EMP_JOB_STATE_COUNT);
    return r->ops->counts(r, ret, err);
}

int emp_store_jobs(struct emp_store_reader *r, const struct emp_store_query *q, struct emp_arena *a,
                   struct emp_store_list *ret, struct emp_error *err)
{
    struct emp_store_query query = *q;
    if (q->limit > EMP_STORE_LIST_MAX)
        return emp_fail(err, EMP_E_INVALID, "limit", "limit %u is too large: at most %d", q->limit,
                        EMP_STORE_LIST_MAX);
    if (q->sort > EMP_STORE_BY_FINISHED)
        return emp_fail(err, EMP_E_INVALID, "sort", "there is no order %d", (int)q->sort);
    if (query.offset > INT64_MAX)
        query.offset = INT64_MAX;
    if (query.bodies_bytes_max == 0)
        query.bodies_bytes_max = 32u << 20;
    return r->ops->jobs(r, &query, a, ret, err);
}

int emp_store_history(struct emp_store_reader *r, emp_job_num after, unsigned want,
                      emp_store_seen seen, void *ctx, struct emp_error *err)
{
    if (after > INT64_MAX)
        return 0;
    return r->ops->history(r, after, want, seen, ctx, err);
}

void emp_store_stats(const struct emp_store *s, struct emp_store_stats *ret)
{
    *ret = (struct emp_store_stats){
        .commits = atomic_load_explicit(&s->commits, memory_order_relaxed),
        .changes = atomic_load_explicit(&s->changes, memory_order_relaxed),
        .failures = atomic_load_explicit(&s->failures, memory_order_relaxed),
        .checkpoints = atomic_load_explicit(&s->checkpoints, memory_order_relaxed),
        .passed_over = atomic_load_explicit(&s->passed_over, memory_order_relaxed),
    };
    s->ops->files(s, &ret->data_bytes, &ret->log_bytes);
}

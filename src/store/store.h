/* The store: all that must outlive the broker's process. Durable changes, the submissions as
 * received, results, history; behind one interface, so that SQLite (the default) and others can
 * stand behind it. Whatever emp_store_commit acknowledged is found again after kill -9 and power
 * loss; a batch is there as a whole or not at all.
 *
 * Threads. `struct emp_store` belongs to one thread, the writer (open, restore, commit, retain,
 * close may move between threads, never overlap). A `struct emp_store_reader` is a connection of
 * its own: one per thread, any number beside the writer; it sees every batch whose commit has
 * returned. Readers are freed before the store is closed. emp_store_secret and emp_store_backend
 * may be called from any thread. Checkpoints run on a thread of the store's own. All calls may
 * block on the disk.
 *
 * Limits. Bodies up to EMP_STORE_BODY_BYTES_MAX, results up to EMP_RESULT_BYTES_MAX plus their
 * outputs; a batch up to 2^20 changes.
 *
 * Errors. EMP_E_DISK_FULL, EMP_E_IO (the disk), EMP_E_CONFLICT (the data directory is another
 * broker's, or of a newer version), EMP_E_INTERNAL (the content is damaged, or the caller's fault);
 * `err` (may be NULL) tells the story. */
#ifndef EMP_STORE_STORE_H
#define EMP_STORE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "domain/change.h"
#include "domain/job_id.h"

struct emp_store;
struct emp_store_reader;

enum {
    EMP_STORE_BODY_BYTES_MAX = 64 * 1024 * 1024,
    EMP_STORE_LIST_MAX = 1000, /* jobs of one emp_store_jobs */
};

/* ------------------------------------------------------------------ opening */

/* Zero means the default everywhere. */
struct emp_store_options {
    const char *backend;        /* "sqlite" */
    int64_t cache_bytes;        /* of the writer's pages; default 256 MB */
    int64_t reader_cache_bytes; /* of each reader's; default 16 MB */
    int64_t checkpoint_bytes;   /* the log is folded in when it has grown by this; default 16 MB */
    int64_t log_bytes_max; /* above this the writer itself helps to fold it in, once what is left is
                              short; default 256 MB */
    const char *vfs;       /* tests: a registered SQLite VFS */
};

/* Opens, creating what is missing (the directory itself, too) and migrating what is old. Refuses
 * (EMP_E_CONFLICT) a directory that a living process uses and one that a newer version wrote.
 * `options` may be NULL. On success *ret is the caller's, to be closed. */
int emp_store_open(const char *data_dir, const struct emp_store_options *options,
                   struct emp_store **ret, struct emp_error *err);

/* Folds the log in and gives the directory free. NULL is allowed. */
void emp_store_close(struct emp_store *s);

/* The secret that job ids are made with: made at the first opening, the same ever after. Lives as
 * long as the store. */
const struct emp_job_secret *emp_store_secret(const struct emp_store *s);

/* "sqlite", … */
const char *emp_store_backend(const struct emp_store *s);

/* ------------------------------------------------------------------ writing */

/* Gives the bytes of a token that stands in a change: 0 and *ret, valid until emp_store_commit
 * returns; or an EMP_E_*, which the commit then fails with. Never called for token 0. */
typedef int (*emp_store_resolve)(void *ctx, emp_blob_token token, struct emp_str *ret);

/* Makes `count` changes durable, in order, all or none; returns when they are. Several JOB changes
 * to one job are written as the last one. A JOB change of a job that is unknown and brings no spec
 * is passed over (retention may have removed it: refuse to revive what is about to be). 0; or
 * EMP_E_DISK_FULL, EMP_E_IO, EMP_E_INTERNAL or what `resolve` said: nothing of it is kept, and the
 * same batch may be tried again. When the process dies after such a failure of the final sync, the
 * batch may be found whole. count 0 does nothing; more than 2^20 are refused (EMP_E_INTERNAL). */
int emp_store_commit(struct emp_store *s, const struct emp_change *changes, size_t count,
                     emp_store_resolve resolve, void *ctx, struct emp_error *err);

/* Deletes terminal jobs that ended before `finished_before`, with all that belongs to them, in one
 * small transaction: looks at no more than `look_max` jobs and continues there at the next call, so
 * that the caller can slip it in between commits. Numbers of deleted ones go to nums[nums_cap],
 * *ret_count of them: their artifacts may be removed. 1: there is more to look at; 0: done for now;
 * or EMP_E_*. The newest job is never deleted: its number must not be given twice. */
int emp_store_retain(struct emp_store *s, emp_wall_ms finished_before, uint32_t look_max,
                     emp_job_num *nums, uint32_t nums_cap, uint32_t *ret_count,
                     struct emp_error *err);

/* ------------------------------------------------------------------ restoring */

/* Strings of the change and of its spec live for the call. JOB changes come with spec and tokens 0.
 */
typedef void (*emp_store_restored)(void *ctx, const struct emp_change *change);

/* Tells every remembered model, machine and learned thing, in order of first sight, then every job
 * that is not terminal in order of number. *ret_last_num: the highest number ever given, 0 when
 * none. */
int emp_store_restore(struct emp_store *s, emp_store_restored restored, void *ctx,
                      emp_job_num *ret_last_num, struct emp_error *err);

/* ------------------------------------------------------------------ reading */

int emp_store_reader_new(struct emp_store *s, struct emp_store_reader **ret, struct emp_error *err);
void emp_store_reader_free(struct emp_store_reader *r); /* NULL is allowed */

/* What to fetch of a job beside its record and spec. */
enum emp_store_want {
    EMP_STORE_BODY = 1,     /* the submission, byte for byte */
    EMP_STORE_RESULT = 2,   /* the result, byte for byte */
    EMP_STORE_ATTEMPTS = 4, /* all attempts, the last one included */
};

/* Everything in the caller's arena. */
struct emp_store_job {
    struct emp_job_record record;
    struct emp_job_spec spec;
    struct emp_str body,
        result; /* NUL-terminated; ptr NULL: not wanted, left out, or there is none */
    struct emp_attempt *attempts; /* in order of number; the one in the record last */
    uint32_t attempt_count;
    bool body_left_out; /* of a list: it did not fit into bodies_bytes_max */
};

/* 0, EMP_E_NOT_FOUND, or another EMP_E_*. `want`: EMP_STORE_* or'ed together. */
int emp_store_job(struct emp_store_reader *r, emp_job_num num, unsigned want, struct emp_arena *a,
                  struct emp_store_job *ret, struct emp_error *err);

/* The submission alone, byte for byte, NUL-terminated, in the arena. 0, EMP_E_NOT_FOUND, … */
int emp_store_body(struct emp_store_reader *r, emp_job_num num, struct emp_arena *a,
                   struct emp_str *ret, struct emp_error *err);

/* Whether this customer has used the key before: 0 with the job's number and its spec's body_hash,
 * or EMP_E_NOT_FOUND. */
int emp_store_idempotency(struct emp_store_reader *r, struct emp_str customer, struct emp_str key,
                          emp_job_num *ret_num, uint64_t *ret_body_hash, struct emp_error *err);

/* Jobs now in each state, by enum emp_job_state. Cheap. */
int emp_store_counts(struct emp_store_reader *r, uint64_t ret[EMP_JOB_STATE_COUNT],
                     struct emp_error *err);

enum emp_store_sort {
    EMP_STORE_BY_CREATED,  /* by number, which is the order of arrival */
    EMP_STORE_BY_PRIORITY, /* order_priority, then number */
    EMP_STORE_BY_FINISHED, /* finished_at, unfinished ones as 0, then number */
};

/* Empty or zero: no restriction. What is given must all hold. */
struct emp_store_query {
    uint32_t states; /* set of bits 1 << EMP_JOB_* */
    struct emp_str service, customer, workflow;
    struct emp_str pool;      /* where the last attempt ran; before: the pool it was asked for */
    struct emp_str machine;   /* of the last attempt */
    emp_wall_ms created_from; /* submitted_at >= */
    emp_wall_ms created_before;
    enum emp_store_sort sort;
    bool ascending; /* false: latest, highest first */
    uint32_t limit; /* 0 … EMP_STORE_LIST_MAX; 0: only the total */
    uint64_t offset;
    unsigned want;           /* EMP_STORE_BODY, EMP_STORE_RESULT, EMP_STORE_ATTEMPTS */
    size_t bodies_bytes_max; /* bodies of the list together; 0: 32 MB. Results count too. */
};
struct emp_store_list {
    struct emp_store_job *jobs; /* in the arena */
    uint32_t count;
    uint64_t total; /* of all that match, whatever limit and offset */
};
/* Total and page are of one moment. EMP_E_INVALID: limit above EMP_STORE_LIST_MAX. */
int emp_store_jobs(struct emp_store_reader *r, const struct emp_store_query *q, struct emp_arena *a,
                   struct emp_store_list *ret, struct emp_error *err);

/* Walks the history in order of number, from the first job with a number above `after`; `want` as
 * above. The job lives for the call; a return other than 0 ends the walk and is returned. A long
 * walk keeps the log from being folded in: end and continue it every second or so. */
typedef int (*emp_store_seen)(void *ctx, const struct emp_store_job *job);
int emp_store_history(struct emp_store_reader *r, emp_job_num after, unsigned want,
                      emp_store_seen seen, void *ctx, struct emp_error *err);

/* Figures for /metrics; any reader's thread. */
struct emp_store_stats {
    uint64_t commits, changes, failures; /* since opening */
    uint64_t checkpoints;
    uint64_t passed_over;          /* JOB changes of unknown jobs */
    int64_t data_bytes, log_bytes; /* of the files */
};
void emp_store_stats(const struct emp_store *s, struct emp_store_stats *ret);

#endif

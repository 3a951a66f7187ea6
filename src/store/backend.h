/* What a back end of the store provides, and what it finds prepared. store.c checks arguments,
 * locks the data directory, makes batches and counts; a back end keeps rows. Contracts are those of
 * store.h; arguments are never NULL, counts never 0. */
#ifndef EMP_STORE_BACKEND_H
#define EMP_STORE_BACKEND_H

#include "store/batch.h"
#include "store/store.h"

#include <stdatomic.h>

struct emp_store_ops {
    const char *name;
    /* Allocates its own struct that begins with struct emp_store and fills in `secret`; the rest of
     * the base is store.c's. */
    int (*open)(const char *data_dir, const struct emp_store_options *o, struct emp_store **ret,
                struct emp_error *err);
    void (*close)(struct emp_store *s);
    int (*commit)(struct emp_store *s, const struct emp_batch *b, emp_store_resolve resolve,
                  void *ctx, struct emp_arena *a, struct emp_error *err);
    int (*retain)(struct emp_store *s, emp_wall_ms finished_before, uint32_t look_max,
                  emp_job_num *nums, uint32_t nums_cap, uint32_t *ret_count, struct emp_error *err);
    int (*restore)(struct emp_store *s, emp_store_restored restored, void *ctx,
                   emp_job_num *ret_last_num, struct emp_error *err);
    void (*files)(const struct emp_store *s, int64_t *ret_data_bytes, int64_t *ret_log_bytes);

    int (*reader_new)(struct emp_store *s, struct emp_store_reader **ret, struct emp_error *err);
    void (*reader_free)(struct emp_store_reader *r);
    int (*job)(struct emp_store_reader *r, emp_job_num num, unsigned want, struct emp_arena *a,
               struct emp_store_job *ret, struct emp_error *err);
    int (*body)(struct emp_store_reader *r, emp_job_num num, struct emp_arena *a,
                struct emp_str *ret, struct emp_error *err);
    int (*idempotency)(struct emp_store_reader *r, struct emp_str customer, struct emp_str key,
                       emp_job_num *ret_num, uint64_t *ret_body_hash, struct emp_error *err);
    int (*counts)(struct emp_store_reader *r, uint64_t ret[EMP_JOB_STATE_COUNT],
                  struct emp_error *err);
    int (*jobs)(struct emp_store_reader *r, const struct emp_store_query *q, struct emp_arena *a,
                struct emp_store_list *ret, struct emp_error *err);
    int (*history)(struct emp_store_reader *r, emp_job_num after, unsigned want,
                   emp_store_seen seen, void *ctx, struct emp_error *err);
};

/* Back ends embed these as their first member. */
struct emp_store {
    const struct emp_store_ops *ops;
    struct emp_job_secret secret;
    struct emp_arena arena; /* of the commit that runs */
    int lock_fd;            /* holds the data directory */
    atomic_uint_fast64_t commits, changes, failures, checkpoints, passed_over;
};
struct emp_store_reader {
    const struct emp_store_ops *ops;
};

extern const struct emp_store_ops emp_store_sqlite;

#endif

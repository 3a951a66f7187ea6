/* A batch of changes made ready for a back end: several changes to one thing become one, records
 * and specs become bytes. The same for every back end. Pure; everything lives in the arena, strings
 * in the changes. */
#ifndef EMP_STORE_BATCH_H
#define EMP_STORE_BATCH_H

#include "base/arena.h"
#include "domain/change.h"

/* One thing to write: the last change of it, and for jobs what earlier ones of the batch brought.
 */
struct emp_batch_item {
    const struct emp_change *change;
    const struct emp_job_spec
        *spec; /* of the first change that had one; NULL: the job is known already */
    emp_blob_token body, result; /* 0: none */
    struct emp_str packed;       /* record, attempt, machine or model; learned: its bytes */
    struct emp_str packed_spec;  /* with spec */
};
struct emp_batch {
    struct emp_batch_item *items; /* in order of first mention */
    uint32_t count;
};

enum { EMP_BATCH_MAX = 1 << 20 }; /* changes */

void emp_batch_make(const struct emp_change *changes, uint32_t count, struct emp_arena *a,
                    struct emp_batch *ret);

/* The pool that a job is found under: of its last attempt, else the one it was judged to belong to,
 * else the one asked for. `spec` may be NULL. */
struct emp_str emp_batch_pool(const struct emp_job_record *record, const struct emp_job_spec *spec);

#endif

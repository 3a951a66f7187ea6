/* Cache of recent submissions, so that an ASSIGN soon after the submission needs no look into the
 * store. Bounded in bytes; the oldest go first, whether used or not: a queue that is deep reads its
 * payloads from the store in any case. One thread (the loop). */
#ifndef EMP_BROKER_PAYLOADS_H
#define EMP_BROKER_PAYLOADS_H

#include "base/arena.h"
#include "base/map.h"
#include "broker/blob.h"
#include "domain/job.h"

struct emp_payloads_entry {
    emp_job_num job;
    struct emp_blob *blob; /* NULL: taken out */
};
struct emp_payloads {
    struct emp_arena arena;
    struct emp_map by_job; /* job -> place in the ring */
    struct emp_payloads_entry *ring;
    uint32_t head, count, cap; /* cap is a power of two */
    size_t bytes, bytes_max;
    uint64_t hits, misses;
};

void emp_payloads_init(struct emp_payloads *p, size_t bytes_max);
void emp_payloads_release(struct emp_payloads *p);

/* Remembers a submission, with a reference of its own; one larger than a quarter of the cache is
 * not kept. */
void emp_payloads_put(struct emp_payloads *p, emp_job_num job, struct emp_blob *blob);
/* A new reference, to be dropped by the caller; NULL: not here. */
struct emp_blob *emp_payloads_get(struct emp_payloads *p, emp_job_num job);
void emp_payloads_drop(struct emp_payloads *p, emp_job_num job); /* the job has ended */

#endif

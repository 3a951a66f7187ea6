/* How far running jobs are: the one thing about a live job that the store does not have. Written by
 * the loop when a notice leaves, read by HTTP threads that answer from the store. Any thread; one
 * lock, held for a copy. */
#ifndef EMP_BROKER_PROGRESS_H
#define EMP_BROKER_PROGRESS_H

#include "base/arena.h"
#include "base/map.h"
#include "base/slab.h"
#include "base/time.h"
#include "domain/job.h"

#include <pthread.h>

struct emp_progress {
    emp_wall_ms at;
    float percent; /* 0 … 100 */
    uint32_t text_len;
    char text[EMP_PROGRESS_TEXT_MAX];
};

struct emp_progress_table {
    pthread_mutex_t lock;
    struct emp_arena arena;
    struct emp_map by_job;
    struct emp_slab slab;
};

void emp_progress_init(struct emp_progress_table *t);
void emp_progress_release(struct emp_progress_table *t);
void emp_progress_set(struct emp_progress_table *t, emp_job_num job, float percent,
                      struct emp_str text, emp_wall_ms at);
void emp_progress_forget(struct emp_progress_table *t, emp_job_num job); /* it no longer runs */
bool emp_progress_get(struct emp_progress_table *t, emp_job_num job,
                      struct emp_progress *ret); /* false: nothing was said */

#endif

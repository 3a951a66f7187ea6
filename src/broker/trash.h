/* Removes output files that nobody can see any more: those of attempts that lost, and of jobs that
 * retention deleted. In the background, on libuv's workers, one round at a time. What a crash
 * leaves behind goes with its job. */
#ifndef EMP_BROKER_TRASH_H
#define EMP_BROKER_TRASH_H

#include "base/error.h"
#include "domain/job.h"
#include "domain/job_id.h"

#include <pthread.h>
#include <uv.h>

struct emp_trash_entry {
    emp_job_num job;
    uint32_t keep_attempt; /* 0: everything goes */
};
struct emp_trash {
    pthread_mutex_t lock;
    struct emp_trash_entry *entries;
    size_t count, cap;
    struct emp_trash_entry *round; /* being removed now */
    size_t round_count;
    uv_work_t work;
    uv_async_t wake;
    bool busy;
    const char *dir; /* DATA/artifacts */
    const struct emp_job_secret *secret;
};

int emp_trash_init(struct emp_trash *t, uv_loop_t *loop, const char *dir,
                   const struct emp_job_secret *secret);
void emp_trash_close(
    struct emp_trash *t); /* before the loop's last turns; a round under way ends first */
void emp_trash_release(struct emp_trash *t);

void emp_trash_add(struct emp_trash *t, emp_job_num job, uint32_t keep_attempt); /* any thread */

#endif

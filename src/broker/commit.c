/* The writer thread takes the oldest batch from `waiting`, commits it, puts it on `done`, and
 * answers its requests, while the loop already releases the rest of it and hands over the next: the
 * writer is what all wait for, and should wait for nobody. A batch that fails stays at the front.
 * Between batches it runs one small step of retention at a time, so that deleting history never
 * delays a commit by more than such a step.
 */
#include "broker/commit.h"

#include "broker/blob.h"
#include "os/clock.h"
#include "os/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    EMP_BATCH_BLOCK_BYTES = 256 * 1024,
    EMP_COMMIT_RETRY_MIN_MS = 50,
    EMP_COMMIT_RETRY_MAX_MS = 2000,
    EMP_COMMIT_LOG_EVERY_MS = 10000,
};

struct emp_committer {
    struct emp_committer_options o;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below but the atomics and the writer's own */
    pthread_cond_t work;
    struct emp_batch *waiting, **waiting_end;
    struct emp_batch *done, **done_end;
    uint32_t under_way;
    bool stopping;
    emp_mono_ms give_up_at;
    struct emp_committer_stats stats;
    atomic_int failing;
    atomic_bool answering;
    /* the writer's own */
    emp_mono_ms retain_at, logged_at;
};

/* ------------------------------------------------------------------ batches */

struct emp_batch *emp_batch_new(void)
{
    struct emp_batch *b = calloc(1, sizeof *b);
    if (!b)
        abort();
    emp_arena_init(&b->arena, EMP_BATCH_BLOCK_BYTES);
    b->actions.arena = &b->arena;
    b->ops_end = &b->ops;
    atomic_init(&b->refs, 1);
    return b;
}

struct emp_batch *emp_batch_ref(struct emp_batch *b)
{
    atomic_fetch_add(&b->refs, 1);
    return b;
}

void emp_batch_free(struct emp_batch *b)
{
    if (atomic_fetch_sub(&b->refs, 1) > 1)
        return;
    for (struct emp_op *op = b->ops, *next; op; op = next) {
        next = op->next;
        emp_op_free(op);
    }
    for (size_t i = 0; i < b->blob_count; i++)
        emp_blob_unref(b->blobs[i]);
    emp_arena_release(&b->arena);
    free(b);
}

bool emp_batch_empty(const struct emp_batch *b)
{
    return b->change_count == 0 && b->actions.count == 0 && b->ops == NULL && b->blob_count == 0;
}

void emp_batch_keep(struct emp_batch *b, struct emp_blob *blob)
{
    emp_arena_reserve(&b->arena, b->blobs, b->blob_count, b->blob_cap);
    b->blobs[b->blob_count++] = blob;
}

void emp_batch_change(struct emp_batch *b, const struct emp_change *change)
{
    emp_arena_reserve(&b->arena, b->changes, b->change_count, b->change_cap);
    b->changes[b->change_count++] = *change;
}

void emp_batch_op(struct emp_batch *b, struct emp_op *op)
{
    op->next = NULL;
    *b->ops_end = op;
    b->ops_end = &op->next;
}

static void emp_batch_answer_those(struct emp_broker *broker, struct emp_batch *b, int code,
                                   bool on_loop)
{
    for (struct emp_op *op = b->ops; op; op = op->next)
        if (op->type->on_loop == on_loop)
            emp_op_finish(broker, op, op->type->writes ? code : 0);
}

void emp_batch_answer(struct emp_broker *broker, struct emp_batch *b, int code)
{
    emp_batch_answer_those(broker, b, code, false);
}

void emp_batch_answer_on_loop(struct emp_broker *broker, struct emp_batch *b, int code)
{
    emp_batch_answer_those(broker, b, code, true);
}

/* ------------------------------------------------------------------ the writer */

static int emp_commit_resolve(void *ctx, emp_blob_token token, struct emp_str *ret)
{
    (void)ctx;
    *ret = emp_blob_text(emp_blob_of(token));
    return 0;
}

/* Faults that waiting may mend. */
static bool emp_commit_may_recover(int code)
{
    return code == EMP_E_DISK_FULL || code == EMP_E_IO || code == EMP_E_AGAIN;
}

static void emp_committer_log_failure(struct emp_committer *c, const struct emp_error *err,
                                      emp_mono_ms now)
{
    if (!emp_commit_may_recover(err->code)) {
        emp_log_error("the store refuses a batch and no repetition can help: %s; ending, so that a "
                      "restart finds what was acknowledged",
                      err->text);
        abort();
    }
    if (atomic_load(&c->failing) != 0 && now - c->logged_at < EMP_COMMIT_LOG_EVERY_MS)
        return;
    c->logged_at = now;
    emp_log_error("the store cannot be written: %s; submissions are refused until it can",
                  err->text);
}

/* Waits `ms` with the lock held, or until it is time to give up. False: give up. */
static bool emp_committer_pause(struct emp_committer *c, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (!c->stopping && pthread_cond_timedwait(&c->work, &c->lock, &until) != ETIMEDOUT)
        ;
    if (!c->stopping)
        return true;
    if (emp_mono_now() >= c->give_up_at)
        return false;
    pthread_mutex_unlock(&c->lock);
    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000}, NULL);
    pthread_mutex_lock(&c->lock);
    return true;
}

/* Commits one batch, however often it takes. False: given up. Called and returns without the lock.
 */
static bool emp_committer_write(struct emp_committer *c, struct emp_batch *b)
{
    int64_t pause_ms = EMP_COMMIT_RETRY_MIN_MS;
    uint64_t failures = 0;

    for (;;) {
        struct emp_error err = {0};
        int64_t began = emp_mono_us();
        int r = emp_store_commit(c->o.store, b->changes, b->change_count, emp_commit_resolve, NULL,
                                 &err);
        int64_t took = emp_mono_us() - began;

        pthread_mutex_lock(&c->lock);
        c->stats.busy_us += (uint64_t)took;
        if (r >= 0) {
            c->stats.commits++;
            c->stats.changes += b->change_count;
            pthread_mutex_unlock(&c->lock);
            break;
        }
        c->stats.failures++;
        pthread_mutex_unlock(&c->lock);

        err.code = r;
        emp_committer_log_failure(c, &err, emp_mono_now());
        atomic_store(&c->failing, r);
        if (failures++ == 0)
            emp_batch_answer(c->o.broker, b, r);
        c->o.wake(c->o.ctx);

        pthread_mutex_lock(&c->lock);
        bool go_on = emp_committer_pause(c, pause_ms);
        pthread_mutex_unlock(&c->lock);
        if (!go_on)
            return false;
        pause_ms = pause_ms * 2 < EMP_COMMIT_RETRY_MAX_MS ? pause_ms * 2 : EMP_COMMIT_RETRY_MAX_MS;
    }
    if (failures > 0) {
        atomic_store(&c->failing, 0);
        emp_log_warn("the store can be written again, after %llu attempts",
                     (unsigned long long)failures + 1);
    }
    return true;
}

/* One step of retention; sets when the next is due. Called without the lock. */
static void emp_committer_retain(struct emp_committer *c)
{
    emp_job_num nums[EMP_RETAIN_LOOK];
    uint32_t count = 0;
    struct emp_error err = {0};

    int r = emp_store_retain(c->o.store, emp_wall_now() - c->o.retention_ms, EMP_RETAIN_LOOK, nums,
                             EMP_RETAIN_LOOK, &count, &err);
    if (r < 0)
        emp_log_warn("old jobs cannot be deleted: %s", err.text);
    if (count > 0)
        c->o.retained(c->o.ctx, nums, count);
    c->retain_at = emp_mono_now() + (r > 0   ? 0
                                     : r < 0 ? EMP_COMMIT_LOG_EVERY_MS
                                             : EMP_RETAIN_EVERY_MS);

    pthread_mutex_lock(&c->lock);
    c->stats.retained += count;
    pthread_mutex_unlock(&c->lock);
}

/* Waits, with the lock held, for a batch or for retention to be due. */
static void emp_committer_wait(struct emp_committer *c)
{
    struct timespec until;
    int64_t left = c->retain_at - emp_mono_now();

    if (c->o.retention_ms == EMP_NEVER) {
        pthread_cond_wait(&c->work, &c->lock);
        return;
    }
    if (left <= 0) {
        pthread_mutex_unlock(&c->lock);
        emp_committer_retain(c);
        pthread_mutex_lock(&c->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += left / 1000 + 1;
    pthread_cond_timedwait(&c->work, &c->lock, &until);
}

/* From `waiting` to `done`. */
static void emp_committer_pass_on(struct emp_committer *c, struct emp_batch *b)
{
    pthread_mutex_lock(&c->lock);
    c->waiting = b->next;
    if (!c->waiting)
        c->waiting_end = &c->waiting;
    b->next = NULL;
    *c->done_end = b;
    c->done_end = &b->next;
    pthread_mutex_unlock(&c->lock);
    c->o.wake(c->o.ctx);
}

static void *emp_committer_run(void *arg)
{
    struct emp_committer *c = arg;

    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!c->waiting && !c->stopping)
            emp_committer_wait(c);
        struct emp_batch *b = c->waiting;
        if (!b)
            break;
        pthread_mutex_unlock(&c->lock);

        if (!emp_committer_write(c, b)) {
            pthread_mutex_lock(&c->lock);
            break;
        }
        atomic_store(&c->answering, true);
        emp_committer_pass_on(c, b);
        emp_batch_answer(c->o.broker, b, 0);
        emp_batch_free(b);
        atomic_store(&c->answering, false);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* ------------------------------------------------------------------ the loop's side */

int emp_committer_new(const struct emp_committer_options *o, struct emp_committer **ret)
{
    struct emp_committer *c = calloc(1, sizeof *c);
    pthread_condattr_t attr;

    if (!c)
        return EMP_E_INTERNAL;
    c->o = *o;
    c->waiting_end = &c->waiting;
    c->done_end = &c->done;
    c->retain_at = emp_mono_now() + EMP_RETAIN_EVERY_MS;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->work, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&c->thread, NULL, emp_committer_run, c) != 0) {
        pthread_cond_destroy(&c->work);
        pthread_mutex_destroy(&c->lock);
        free(c);
        return EMP_E_INTERNAL;
    }
    *ret = c;
    return 0;
}

void emp_committer_hand(struct emp_committer *c, struct emp_batch *b)
{
    b->next = NULL;
    emp_batch_ref(b);
    pthread_mutex_lock(&c->lock);
    *c->waiting_end = b;
    c->waiting_end = &b->next;
    c->under_way++;
    pthread_mutex_unlock(&c->lock);
    pthread_cond_signal(&c->work);
}

struct emp_batch *emp_committer_done(struct emp_committer *c)
{
    pthread_mutex_lock(&c->lock);
    struct emp_batch *b = c->done;
    if (b) {
        c->done = b->next;
        if (!c->done)
            c->done_end = &c->done;
        b->next = NULL;
        c->under_way--;
    }
    pthread_mutex_unlock(&c->lock);
    return b;
}

uint32_t emp_committer_under_way(const struct emp_committer *c)
{
    return c->under_way; /* changed by the loop alone, which is who asks */
}

bool emp_committer_idle(const struct emp_committer *c)
{
    return c->under_way == 0 && !atomic_load(&c->answering);
}

int emp_committer_failing(const struct emp_committer *c)
{
    return atomic_load(&c->failing);
}

bool emp_committer_stop(struct emp_committer *c, int64_t grace_ms)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    c->give_up_at = emp_mono_now() + grace_ms;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    return c->waiting == NULL;
}

void emp_committer_free(struct emp_committer *c)
{
    for (struct emp_batch *b = c->waiting, *next; b; b = next) {
        next = b->next;
        emp_batch_free(b); // the writer's reference
        emp_batch_free(b);
    }
    for (struct emp_batch *b = c->done, *next; b; b = next) {
        next = b->next;
        emp_batch_free(b);
    }
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void emp_committer_stats(struct emp_committer *c, struct emp_committer_stats *ret)
{
    pthread_mutex_lock(&c->lock);
    *ret = c->stats;
    pthread_mutex_unlock(&c->lock);
}

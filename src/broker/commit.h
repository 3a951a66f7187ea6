/* Group commit. The loop gathers what core steps produced into a batch: durable changes, and the
 * effects that rest on them. A writer thread makes the changes durable; only then are the effects
 * released: requests' replies by the writer itself (so that no client waits for a busy loop),
 * everything else by the loop, at the same time. While one commit runs, the next batch gathers: the
 * busier the broker, the larger its batches.
 *
 * When a commit fails, the core's memory is ahead of the store and must not be seen. The batch is
 * kept and tried again with back-off, until it goes through; its waiting requests are answered with
 * the error at once, nothing else of it is released, and the broker refuses submissions and says so
 * in /ready (emp_committer_failing). Nothing acknowledged is lost. A fault that no repetition mends
 * (the content damaged, a fault of ours) ends the process: a restart finds what was acknowledged.
 *
 * Threads: everything but the writer's own calls belongs to the loop; emp_committer_failing may be
 * called from anywhere. */
#ifndef EMP_BROKER_COMMIT_H
#define EMP_BROKER_COMMIT_H

#include "broker/op.h"
#include "core/core.h"
#include "store/store.h"

#include <stdatomic.h>

enum {
    EMP_BATCH_CHANGES_MAX =
        20000, /* a batch that has so many takes no more requests: bounds the time of one commit */
    EMP_RETAIN_LOOK = 256, /* jobs looked at by one step of retention */
    EMP_RETAIN_EVERY_MS = 2000,
};

struct emp_batch {
    struct emp_batch *next;
    atomic_uint refs; /* the loop's, the writer's, and of messages that wait for a payload */
    struct emp_arena arena;
    struct emp_actions actions; /* of the core, in order, but PERSIST and REPLY: the effects */
    struct emp_change *changes;
    size_t change_count, change_cap;
    struct emp_op *ops, **ops_end; /* requests that end with this batch, in order */
    struct emp_blob **blobs;       /* references held until the batch is durable */
    size_t blob_count, blob_cap;
};

struct emp_batch *emp_batch_new(void); /* never fails: no memory is fatal */
struct emp_batch *emp_batch_ref(struct emp_batch *b);
void emp_batch_free(struct emp_batch *b); /* drops a reference; with the last one it goes */
bool emp_batch_empty(const struct emp_batch *b);
void emp_batch_keep(struct emp_batch *b,
                    struct emp_blob *blob); /* takes over the caller's reference */
void emp_batch_change(struct emp_batch *b, const struct emp_change *change);
void emp_batch_op(struct emp_batch *b, struct emp_op *op);

/* Answers the requests of a batch but those that are answered on the loop; with `code` other than
 * 0, those that write are told it. */
void emp_batch_answer(struct emp_broker *broker, struct emp_batch *b, int code);
/* The same for those that are answered on the loop; on the loop, also while the writer has it. */
void emp_batch_answer_on_loop(struct emp_broker *broker, struct emp_batch *b, int code);

struct emp_committer;
struct emp_committer_options {
    struct emp_broker *broker; /* given to finish */
    struct emp_store *store;
    int64_t retention_ms;    /* EMP_NEVER: nothing is deleted */
    void (*wake)(void *ctx); /* from the writer: something is done, or has begun to fail; call
                                emp_committer_done on the loop */
    void (*retained)(void *ctx, const emp_job_num *nums,
                     uint32_t count); /* on the writer: these jobs are gone */
    void *ctx;
};
int emp_committer_new(const struct emp_committer_options *o, struct emp_committer **ret);

/* Gives a batch to the writer: until emp_committer_done returns it, all but its operations of the
 * loop is the writer's. */
void emp_committer_hand(struct emp_committer *c, struct emp_batch *b);
/* The oldest batch that is durable, to be released and freed; NULL: none. The writer may be
 * answering its requests meanwhile. */
struct emp_batch *emp_committer_done(struct emp_committer *c);
uint32_t emp_committer_under_way(const struct emp_committer *c); /* handed and not yet returned */
/* Is there nothing under way, and nothing to be answered any more? */
bool emp_committer_idle(const struct emp_committer *c);

/* 0, or the EMP_E_* that commits fail with now. */
int emp_committer_failing(const struct emp_committer *c);

/* Ends the writer, once; blocks. Batches that still wait are written, but a failing one is given up
 * after `grace_ms`. True: all went through. */
bool emp_committer_stop(struct emp_committer *c, int64_t grace_ms);
void emp_committer_free(struct emp_committer *c); /* after _stop */

struct emp_committer_stats {
    uint64_t commits, changes, failures, retained;
    uint64_t busy_us;
};
void emp_committer_stats(struct emp_committer *c, struct emp_committer_stats *ret);

#endif

/* The black box of a broker: records what its core is told, so that an incident can be replayed
 * decision for decision (`emp sim replay`). Off unless a size is configured.
 *
 * A recording begins with its broker and is only of use from its beginning, for a core is what it
 * has been told. So the ring is one of recordings: DIR/blackbox/TIME.box, of which this run's may
 * fill half of the size, and the oldest others go until all fit into the other half. A recording
 * that has filled its half ends there; the next start of the broker begins a new one.
 *
 * Off the hot path: the loop encodes into a block of memory that is mapped from TIME.box.tail; a
 * thread compresses full blocks and appends them to TIME.box. What is in the tail outlives the
 * process, however it ends, so the event that killed a core is in its recording. When the thread
 * falls behind by all blocks, or an event cannot be encoded, the recording ends with a warning;
 * the broker is never held up, but at its start, where the state restored is written first.
 *
 * Thread: the loop's (and the starting one's). All functions take NULL for "off". */
#ifndef EMP_BROKER_BLACKBOX_H
#define EMP_BROKER_BLACKBOX_H

#include "base/error.h"
#include "core/core.h"

struct emp_blackbox;

enum {
    EMP_BLACKBOX_BLOCKS = 8,
    EMP_BLACKBOX_BLOCK_BYTES = 1 << 20, /* of records; one larger is not recorded */
};

struct emp_blackbox_options {
    const char *data;  /* the data directory */
    int64_t bytes_max; /* of all recordings */
    const struct emp_settings *settings;
    const char *policy;
    uint64_t seed; /* the core's */
    emp_wall_ms now;
};

/* 0 and *ret; EMP_E_* of os/files.h when the files cannot be made: then nothing is recorded. */
int emp_blackbox_open(const struct emp_blackbox_options *o, struct emp_blackbox **ret,
                      struct emp_error *err);

/* In this order: each change that is restored; the start; then before and after each step. */
void emp_blackbox_restored(struct emp_blackbox *b, const struct emp_change *change);
void emp_blackbox_started(struct emp_blackbox *b, struct emp_now now, emp_job_num last_num);
void emp_blackbox_event(struct emp_blackbox *b, struct emp_now now, const struct emp_event *e);
void emp_blackbox_answered(struct emp_blackbox *b, const struct emp_action *actions, size_t count);

/* Why it records no more; NULL while it does. */
const char *emp_blackbox_ended(const struct emp_blackbox *b);

/* Writes what is left and ends the thread. */
void emp_blackbox_close(struct emp_blackbox *b);

/* ── reading, for the replay ── */

/* Calls `block` with the bytes of each block in order, and with what stands in the tail. A file cut
 * inside a block (a crash, a full disk) ends before it: *ret_cut. 0; what `block` returned, if
 * below 0; EMP_E_* of os/files.h, EMP_E_MALFORMED (no recording, or damaged). */
int emp_blackbox_blocks(const char *path, int (*block)(void *ctx, struct emp_str bytes), void *ctx,
                        bool *ret_cut, struct emp_error *err);

#endif

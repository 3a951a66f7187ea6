/* The bytes of a black box: what a core was told from its start, in order, and a hash of what it
 * answered each time. Given to a core of the same build they make it take the same decisions again
 * (broker/replay.h). Pure; no I/O, no thread.
 *
 * A recording is a sequence of records: HEAD once, a RESTORE for every change that the store told,
 * START, then an EVENT with its time before each step and an ANSWER behind it. A recording that was
 * ended early has an END with the reason. Left out is what a core passes on without looking:
 * results of jobs, bodies, numbers of requests (kept: whether there was one).
 *
 * Settings are kept as the bytes of their struct, so a recording belongs to one build: HEAD says
 * which, and the reader refuses others. */
#ifndef EMP_BROKER_BLACKBOX_FORMAT_H
#define EMP_BROKER_BLACKBOX_FORMAT_H

#include "base/arena.h"
#include "base/error.h"
#include "core/core.h"

enum { EMP_BLACKBOX_RECORD_MAX = 1 << 20 }; /* bytes of one record */

enum emp_blackbox_kind {
    EMP_BLACKBOX_HEAD,
    EMP_BLACKBOX_RESTORE,
    EMP_BLACKBOX_START,
    EMP_BLACKBOX_EVENT,
    EMP_BLACKBOX_ANSWER,
    EMP_BLACKBOX_END,
    EMP_BLACKBOX_KIND_COUNT
};

struct emp_blackbox_head {
    struct emp_str version; /* of the program */
    struct emp_str policy;
    uint64_t seed; /* the core's */
    struct emp_settings settings;
};

struct emp_blackbox_record {
    enum emp_blackbox_kind kind;
    struct emp_now now; /* of START and EVENT */
    union {
        struct emp_blackbox_head head;
        struct emp_change change; /* RESTORE */
        emp_job_num last_num;     /* START */
        struct emp_event event;   /* its pointers lead into the arena and the bytes */
        struct {
            uint64_t hash;
            uint32_t count; /* of actions */
        } answer;
        struct emp_str reason; /* END */
    };
};

/* Both sides count time as differences, so each keeps where it is. Zero it at the beginning. */
struct emp_blackbox_clock {
    struct emp_now last;
};

/* Appends one record to `out`. 0; EMP_E_LIMIT (larger than EMP_BLACKBOX_RECORD_MAX), EMP_E_INTERNAL
 * (an event or a change that this format does not know): then nothing is appended. `scratch` is
 * reset. */
int emp_blackbox_write(struct emp_blackbox_clock *clock, const struct emp_blackbox_record *r,
                       struct emp_arena *scratch, struct emp_buf *out);

/* Reads the record at *at and moves it on. 1; 0 at the end; EMP_E_MALFORMED with a text. What it
 * points to is in `bytes` and `arena`. */
int emp_blackbox_read(struct emp_blackbox_clock *clock, struct emp_str bytes, size_t *at,
                      struct emp_arena *arena, struct emp_blackbox_record *ret,
                      struct emp_error *err);

/* What a step answered, as a number: kinds, jobs, attempts, states, places in the queue, machines,
 * links, codes, in order. Texts, tokens and numbers of requests are not in it. */
uint64_t emp_blackbox_hash(const struct emp_action *actions, size_t count);

#endif

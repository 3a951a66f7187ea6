/* Durable changes: all that a broker's core must find again after a restart, as plain structs. Core
 * emits them, the store keeps them, and restoring is their replay. Order within a batch matters; a
 * batch is durable as a whole or not at all.
 *
 * A JOB change carries the whole record, so that of several changes to one job in one batch only
 * the last need be written. */
#ifndef EMP_DOMAIN_CHANGE_H
#define EMP_DOMAIN_CHANGE_H

#include "domain/job.h"
#include "domain/machine.h"
#include "domain/model.h"

/* Opaque to brains: names bytes (a payload, a result) that the shell holds; 0 is none. */
typedef uint64_t emp_blob_token;

enum emp_change_kind {
    EMP_CHANGE_JOB,     /* record; with spec and body when new; with a result when it completed */
    EMP_CHANGE_ATTEMPT, /* an attempt that ended while its job goes on */
    EMP_CHANGE_MACHINE, /* remembered machine */
    EMP_CHANGE_MACHINE_FORGOTTEN,
    EMP_CHANGE_MODEL, /* catalogue entry */
    EMP_CHANGE_MODEL_REMOVED,
    EMP_CHANGE_LEARNED, /* what was learned under a key (duration statistics), opaque bytes of
                           policy/ */
};

struct emp_change_job {
    struct emp_job_record record;
    const struct emp_job_spec *spec; /* not NULL: the job is new */
    emp_blob_token body;             /* with spec: the submission as received */
    emp_blob_token result; /* with state completed: the finished message's result and outputs */
};
struct emp_change_attempt {
    emp_job_num job;
    struct emp_attempt attempt;
};
struct emp_change_machine {
    struct emp_machine_facts facts;
    emp_wall_ms first_seen, last_seen;
    uint32_t jobs_completed, jobs_failed;
    bool drained; /* by an operator; survives restarts */
};
struct emp_change_learned {
    struct emp_str key;
    const void *bytes;
    uint32_t length;
};

struct emp_change {
    enum emp_change_kind kind;
    union {
        struct emp_change_job job;
        struct emp_change_attempt attempt;
        struct emp_change_machine machine;
        struct emp_str machine_forgotten; /* id */
        struct emp_model model;
        struct emp_str model_removed; /* name */
        struct emp_change_learned learned;
    };
};

#endif

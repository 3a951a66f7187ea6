/* A recording of a black box, given to a core of this build again: it prints what was decided, and
 * holds each step's answer against the recorded one. Blocks on the file; one thread. */
#ifndef EMP_BROKER_REPLAY_H
#define EMP_BROKER_REPLAY_H

#include "base/error.h"
#include "domain/job.h"
#include "policy/policy.h"

#include <stdio.h>

struct emp_replay_options {
    FILE *out;                       /* decisions go here, a line each; NULL: nowhere */
    emp_job_num job;                 /* only those about this job; 0: all */
    const struct emp_policy *policy; /* that it was recorded under; NULL: the broker's */
};
struct emp_replay_result {
    uint64_t restored, events, actions, decisions;
    emp_wall_ms first, last; /* times of the events */
    uint64_t differs;        /* number of the first event whose answer was another; 0: none */
    emp_wall_ms differs_at;
    bool unanswered;  /* the last event has no answer: the process ended inside that step */
    bool cut;         /* the file ends inside a block */
    char ended[256];  /* why the recording ended early; empty: it did not */
    char version[64]; /* of the program that recorded */
};

/* Stops at the first difference. 0 with *ret; EMP_E_MALFORMED (no recording, damaged, of another
 * build or policy), EMP_E_* of os/files.h. */
int emp_replay(const char *path, const struct emp_replay_options *o, struct emp_replay_result *ret,
               struct emp_error *err);
/* The same from records in memory (blackbox_format.h), all of them. */
int emp_replay_records(struct emp_str records, const struct emp_replay_options *o,
                       struct emp_replay_result *ret, struct emp_error *err);

#endif

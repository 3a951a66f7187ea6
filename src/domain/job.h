/* A job: what was asked (spec, never changes), where it stands (record), how each attempt went.
 * Plain structs, borrowed strings: whoever fills one says how long they live. */
#ifndef EMP_DOMAIN_JOB_H
#define EMP_DOMAIN_JOB_H

#include "base/str.h"
#include "base/time.h"
#include "domain/limits.h"
#include "domain/route.h"

#include <stdbool.h>
#include <stdint.h>

/* Number of a job: 1, 2, … in order of arrival. The outside sees a UUID made from it:
 * domain/job_id.h. */
typedef uint64_t emp_job_num;

enum emp_job_state {
#define EMP_JOB_STATE(name, word, terminal) EMP_JOB_##name,
#include "domain/states.def"
    EMP_JOB_STATE_COUNT
};
const char *emp_job_state_word(enum emp_job_state s);
int emp_job_state_parse(struct emp_str word, enum emp_job_state *ret); /* 0 or EMP_E_INVALID */
bool emp_job_state_terminal(enum emp_job_state s);
bool emp_job_move_allowed(enum emp_job_state from, enum emp_job_state to);

enum emp_tier { EMP_TIER_FREE, EMP_TIER_PREMIUM, EMP_TIER_ENTERPRISE, EMP_TIER_COUNT };
const char *emp_tier_word(enum emp_tier t);
int emp_tier_parse(struct emp_str word, enum emp_tier *ret);

enum emp_isolation { EMP_ISOLATION_NONE, EMP_ISOLATION_LOOSE, EMP_ISOLATION_STRICT };
const char *emp_isolation_word(enum emp_isolation i);
int emp_isolation_parse(struct emp_str word, enum emp_isolation *ret); /* 0 or EMP_E_INVALID */

/* One predicate over a machine's capabilities. A path is dotted ("hardware.gpu_memory_gb"). A job's
 * requirements are a list of them; all must hold, and a negated one must not. Existing meaning:
 * existing-system section 4.2, mended as in its section 0. */
enum emp_requirement_kind {
    EMP_REQUIRE_NUMBER_AT_LEAST, /* the machine has the number, and it is >= number (an array holds:
                                    any member equals) */
    EMP_REQUIRE_TEXT,            /* equal, or a member of the machine's array */
    EMP_REQUIRE_TRUE,
    EMP_REQUIRE_FALSE, /* present and false */
    EMP_REQUIRE_NEVER, /* what no machine can offer (null, an empty object) */
};
struct emp_requirement {
    struct emp_str path;
    struct emp_str text;
    double number;
    enum emp_requirement_kind kind;
    bool negated;
};

/* How much work it is, as far as its payload says: what run times hang on (policy/duration.h). 0:
 * not said. */
struct emp_job_work {
    float steps, pixels, images, frames;
};

/* What the submitter asked. 0 / empty / NULL is "not said" unless stated. */
struct emp_job_spec {
    struct emp_str service; /* service_required; never empty */
    struct emp_str customer;
    struct emp_str workflow;                /* workflow_id */
    struct emp_str pool, specialty, region; /* explicit wishes; region: must run there */
    struct emp_str idempotency_key;
    struct emp_str *models;
    struct emp_str *custom_nodes;
    struct emp_str *compliance;
    struct emp_requirement *requirements;
    uint32_t model_count, node_count, compliance_count, requirement_count;
    double priority; /* [-EMP_PRIORITY_MAX, EMP_PRIORITY_MAX]; default 50; higher is sooner */
    double workflow_priority;      /* NaN: not said; replaces priority for ordering */
    emp_wall_ms workflow_datetime; /* 0: not said; replaces the arrival time for ordering */
    int64_t estimated_duration_ms; /* 0: not said */
    int64_t timeout_ms;            /* 0: the configured default */
    int32_t max_retries; /* executions in total; 0 means: not retried, as 1; -1: not said, the
                            configured default */
    int32_t retry_count; /* as the submitter sent it */
    int32_t current_step, total_steps;
    enum emp_tier tier;
    enum emp_isolation isolation;
    struct emp_job_work work;
    bool wait; /* accept although nothing could run it now */
    uint32_t payload_bytes;
    uint64_t
        body_hash; /* of the request as received: tells a repeated idempotency key's body apart */
};

/* How an attempt ended. "counted" against max_retries: see emp_outcome_counted. */
enum emp_outcome {
    EMP_OUTCOME_RUNNING,
    EMP_OUTCOME_COMPLETED,
    EMP_OUTCOME_FAILED,   /* the service reported a failure */
    EMP_OUTCOME_REJECTED, /* the service says that no retry can help */
    EMP_OUTCOME_TIMEOUT,
    EMP_OUTCOME_LOST,     /* machine silent, closed or restarted */
    EMP_OUTCOME_RETURNED, /* handed back: shutdown, spot notice, drain, not startable there */
    EMP_OUTCOME_CANCELLED,
    EMP_OUTCOME_COUNT
};
const char *emp_outcome_word(enum emp_outcome o);
int emp_outcome_parse(struct emp_str word, enum emp_outcome *ret);
/* By itself: FAILED, REJECTED, TIMEOUT, COMPLETED count; RETURNED, LOST, CANCELLED do not (but see
 * settings' returns_max, losses_max). */
bool emp_outcome_counted(enum emp_outcome o);

/* One execution of a job on a machine. Numbers start at 1 and only grow: they fence. */
struct emp_attempt {
    uint32_t number; /* 0: there was none yet */
    enum emp_outcome outcome;
    struct emp_str machine;                        /* machine id */
    struct emp_str pool;                           /* of that machine */
    emp_wall_ms assigned_at, started_at, ended_at; /* 0: not yet */
    int64_t bytes_fetched;                         /* of models, for this attempt */
    bool counted;                                  /* held against max_retries */
    int error_code;                                /* EMP_E_*, 0 none */
    struct emp_str error;
};

/* Where a job stands: all that changes. The last attempt stands in it, earlier ones in the store.
 */
struct emp_job_record {
    emp_job_num num;
    enum emp_job_state state;
    double order_priority; /* what it is ordered by, after workflow rules */
    int64_t order_tag;     /* its place, in virtual ms: policy/fair.h */
    emp_wall_ms submitted_at;
    emp_wall_ms not_before;       /* back-off; 0: now */
    emp_wall_ms finished_at;      /* 0: not terminal */
    uint32_t counted_attempts;    /* held against max_retries */
    uint32_t returns, losses;     /* hand-backs and machine losses so far */
    uint32_t retried_by_hand;     /* POST …/retry: how often */
    struct emp_attempt attempt;   /* the last one */
    struct emp_decision decision; /* of the last assignment */
    struct emp_str error;         /* why it failed; empty otherwise */
    int error_code;
};

#endif

/* The broker–agent messages as plain structs: docs/protocol.md is their manual, proto/ makes them
 * bytes. Numbers of jobs and attempts identify a lease everywhere. Borrowed strings; a decoded
 * message lives in the arena it was decoded into. */
#ifndef EMP_DOMAIN_MESSAGE_H
#define EMP_DOMAIN_MESSAGE_H

#include "domain/job.h"
#include "domain/machine.h"
#include "domain/model.h"

enum { EMP_PROTOCOL_VERSION = 1, EMP_PLANNED_MAX = 1024 /* models in one PLAN */ };

/* EMP_MESSAGE(NAME, word, from): from A = agent to broker, B = broker to agent */
#define EMP_MESSAGES(X)                                                                   \
    X(HELLO, "hello", 'A')     /* who I am, what I hold: first message of a connection */ \
    X(BEAT, "beat", 'A')       /* I live; facts that drift; every beat_ms */              \
    X(STARTED, "started", 'A') /* the connector runs */                                   \
    X(PROGRESS, "progress", 'A')                                                          \
    X(COMPLETED, "completed", 'A') /* kept and repeated until ACK */                      \
    X(FAILED, "failed", 'A')       /* likewise */                                         \
    X(RETURNED, "returned", 'A')   /* handed back, not counted; likewise */               \
    X(COPIES, "copies", 'A')       /* models whose residency changed */                   \
    X(GOODBYE, "goodbye", 'A')     /* takes nothing new, or leaves */                     \
    X(WELCOME, "welcome", 'B')     /* answer to HELLO: the terms of the lease */          \
    X(REFUSED, "refused", 'B')     /* answer to HELLO: why not; the connection closes */  \
    X(ASSIGN, "assign", 'B')                                                              \
    X(CANCEL, "cancel", 'B') /* stop this attempt; it is no longer yours */               \
    X(ACK, "ack",                                                                         \
      'B') /* COMPLETED, FAILED or RETURNED is durable, or no longer wanted: forget it */ \
    X(DRAIN, "drain", 'B') /* take nothing new; finish; then leave */                     \
    X(WORTH, "worth", 'B') /* what each model is worth here: for eviction when alone */   \
    X(PLAN, "plan", 'B')   /* what to have here, in idle time: replaces the last one */

enum emp_message_kind {
#define EMP_MESSAGE_ENUM(name, word, from) EMP_MESSAGE_##name,
    EMP_MESSAGES(EMP_MESSAGE_ENUM)
#undef EMP_MESSAGE_ENUM
        EMP_MESSAGE_COUNT
};

/* A lease an agent says it holds, in HELLO. */
struct emp_held {
    emp_job_num job;
    uint32_t attempt;
    bool started;
    bool finished; /* its result follows */
    emp_wall_ms started_at;
};

struct emp_message_hello {
    uint32_t protocol;
    struct emp_machine_facts facts;
    struct emp_copy *copies;
    struct emp_held *held;
    uint32_t copy_count, held_count;
    bool draining;
};
struct emp_message_beat {
    int64_t disk_free_bytes;
    int64_t link_bytes_per_s; /* 0: not known */
    int64_t fetch_left_bytes; /* of all running fetches */
    double cpu_load;          /* 0 … 1 */
};
struct emp_message_started {
    emp_job_num job;
    uint32_t attempt;
    emp_wall_ms at;
    int64_t bytes_fetched; /* for this attempt */
    int64_t fetch_ms, load_ms;
};
struct emp_message_progress {
    emp_job_num job;
    uint32_t attempt;
    float percent;       /* 0 … 100 */
    struct emp_str text; /* at most EMP_PROGRESS_TEXT_MAX */
};
struct emp_output {
    struct emp_str name; /* relative path */
    struct emp_str type; /* media type */
    int64_t bytes;
    char sha256[65];
};
/* COMPLETED, FAILED and RETURNED share one shape. */
struct emp_message_finished {
    emp_job_num job;
    uint32_t attempt;
    emp_wall_ms started_at, ended_at;
    int64_t run_ms; /* of the connector alone */
    int64_t bytes_fetched;
    struct emp_str result; /* COMPLETED: JSON text, byte for byte; may be empty */
    struct emp_output *outputs;
    uint32_t output_count;
    int error_code;       /* FAILED, RETURNED: EMP_E_* */
    struct emp_str error; /* at most EMP_ERROR_REPORT_MAX */
    bool retryable;       /* FAILED: may another attempt succeed? */
    bool machine_fault;   /* FAILED, RETURNED: the agent blames its machine (disk, network,
                             connector), not the job */
};
struct emp_message_copies {
    struct emp_copy *copies; /* EMP_RESIDENCY_NONE: gone */
    uint32_t copy_count;
    int64_t disk_free_bytes;
};
struct emp_message_goodbye {
    struct emp_str reason;
    bool
        draining; /* finishes what it has first; false: leaves now, its leases have been RETURNED */
};
struct emp_message_welcome {
    uint32_t protocol;
    uint32_t beat_ms, lease_ms;
    struct emp_str pool; /* the pool it was put into */
};
struct emp_message_refused {
    int code; /* EMP_E_* */
    struct emp_str reason;
    bool retry; /* may it try again later? */
};
struct emp_message_assign {
    emp_job_num job;
    uint32_t attempt;
    struct emp_str job_id; /* as the outside knows it */
    struct emp_str service;
    struct emp_str customer;
    struct emp_model *models;
    uint32_t model_count;
    int64_t timeout_ms; /* of the run, from its start */
    int64_t estimated_run_ms;
    struct emp_str payload; /* JSON text as received; joined by the shell from payload_token */
};
struct emp_message_lease { /* CANCEL, ACK */
    emp_job_num job;
    uint32_t attempt;
    struct emp_str reason;
};
struct emp_worth {
    struct emp_str model;
    double seconds_saved; /* expected waiting seconds saved per hour by keeping it here */
    bool pinned;
};
/* A model that is to be on the machine before a job asks for it. */
struct emp_planned {
    struct emp_model model;
    enum emp_residency residency; /* DISK, RAM or GPU: at least so near */
    double seconds_saved;         /* as in WORTH, which it replaces for this model */
};
struct emp_message_plan {
    struct emp_planned *planned; /* most worth first */
    uint32_t planned_count;      /* at most EMP_PLANNED_MAX */
};
struct emp_message_worth {
    struct emp_worth *worths;
    uint32_t worth_count;
};

struct emp_message {
    enum emp_message_kind kind;
    union {
        struct emp_message_hello hello;
        struct emp_message_beat beat;
        struct emp_message_started started;
        struct emp_message_progress progress;
        struct emp_message_finished finished; /* COMPLETED, FAILED, RETURNED */
        struct emp_message_copies copies;
        struct emp_message_goodbye goodbye;
        struct emp_message_welcome welcome;
        struct emp_message_refused refused;
        struct emp_message_assign assign;
        struct emp_message_lease lease; /* CANCEL, ACK */
        struct emp_message_lease drain; /* DRAIN: only reason is used */
        struct emp_message_worth worth;
        struct emp_message_plan plan;
    };
};
const char *emp_message_word(enum emp_message_kind k);
int emp_message_kind_parse(struct emp_str word,
                           enum emp_message_kind *ret); /* 0 or EMP_E_PROTOCOL */

#endif

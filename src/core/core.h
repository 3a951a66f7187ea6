/* The broker's brain: a state machine. Events go in, actions come out; nothing else happens: no
 * clock, no I/O, no threads. What the shell must keep:
 *
 *   - One thread. Time in events never goes back (mono); wall time may jump and is used for records
 *     only.
 *   - Persist, then act: of one step's actions (or of several steps' put together) all PERSIST are
 *     durable, together and in order, before any other of them takes effect. Actions take effect in
 *     order.
 *   - Strings of an event live for the call; strings of actions live in the caller's arena
 *     (actions->arena) or in the core as long as that.
 *   - Call emp_core_step with TICK no later than emp_core_next_due.
 *
 * Invariants (ARCHITECTURE, "What must always hold") are asserted in core/check.c, which tests and
 * the simulator run after every step.
 *
 * A job lives in the core from SUBMIT until it is terminal; then only the store knows it. Jobs with
 * equal requirements share a class; classes, not jobs, are matched to machines. Memory: about 250
 * bytes a waiting job. */
#ifndef EMP_CORE_CORE_H
#define EMP_CORE_CORE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/random.h"
#include "base/time.h"
#include "domain/change.h"
#include "domain/eta.h"
#include "domain/message.h"
#include "domain/settings.h"
#include "policy/planner.h"
#include "policy/policy.h"

struct emp_core;

/* A connection of an agent, numbered by the shell, never reused, never 0. */
typedef uint64_t emp_link;
/* A request that waits for a REPLY, numbered by the shell; 0: nobody waits. */
typedef uint64_t emp_request;

/* ------------------------------------------------------------------ events */

enum emp_event_kind {
    EMP_EVENT_SUBMIT, /* → REPLY 0 with the job, or EMP_E_* with the reason */
    EMP_EVENT_CANCEL, /* → REPLY 0, or NOT_FOUND when the job is not live (the shell tells terminal
                         from unknown) */
    EMP_EVENT_RETRY,  /* of a terminal job, given as the store has it → REPLY 0, or CONFLICT */
    EMP_EVENT_MESSAGE, /* from an agent; the first of a link is HELLO */
    EMP_EVENT_LINK_CLOSED,
    EMP_EVENT_MODEL,          /* add or replace a catalogue entry → REPLY */
    EMP_EVENT_MODEL_REMOVE,   /* → REPLY: NOT_FOUND, or CONFLICT while a live job needs it */
    EMP_EVENT_MACHINE_DRAIN,  /* → REPLY; on=false takes it back */
    EMP_EVENT_MACHINE_FORGET, /* its leases are lost at once → REPLY */
    EMP_EVENT_PLAN,           /* the answer to PLAN_DUE */
    EMP_EVENT_TICK,           /* time has passed */
};
struct emp_event {
    enum emp_event_kind kind;
    emp_request request;
    union {
        struct {
            const struct emp_job_spec *spec;
            emp_blob_token body;
        } submit;
        emp_job_num job; /* CANCEL */
        struct {
            const struct emp_job_record *record;
            const struct emp_job_spec *spec;
        } retry;
        struct {
            emp_link link;
            const struct emp_message *message;
            emp_blob_token
                result; /* with COMPLETED: the bytes to keep; handed on to PERSIST if accepted */
        } message;
        emp_link link; /* LINK_CLOSED */
        const struct emp_model *model;
        struct emp_str model_name; /* MODEL_REMOVE */
        struct {
            struct emp_str id;
            bool on;
            bool leave; /* of DRAIN: its agent ends once it has finished */
        } machine;      /* MACHINE_DRAIN, MACHINE_FORGET */
        const struct emp_plan_result *plan;
    };
};

/* ------------------------------------------------------------------ actions */

enum emp_action_kind {
    EMP_ACTION_PERSIST,
    EMP_ACTION_REPLY,    /* to the event's request, also when that is 0 */
    EMP_ACTION_SEND,     /* a message to an agent; ASSIGN without payload: the shell joins it by job
                            number */
    EMP_ACTION_CLOSE,    /* the link, after what was sent before */
    EMP_ACTION_PLAN_DUE, /* take a snapshot, let a planner run over it, answer with PLAN in any
                            later step; nothing else waits for it */
    EMP_ACTION_NOTIFY,   /* for event streams and webhooks */
};
struct emp_reply {
    int code; /* 0 or EMP_E_* */
    emp_job_num job;
    bool duplicate;         /* SUBMIT: the idempotency key's first job */
    int64_t retry_after_ms; /* with QUEUE_FULL */
    struct emp_eta eta;     /* SUBMIT: what the job, if new, is told */
    struct emp_error error;
};
enum emp_notice_kind {
    EMP_NOTICE_SUBMITTED,
    EMP_NOTICE_ASSIGNED,
    EMP_NOTICE_STARTED,
    EMP_NOTICE_PROGRESS,
    EMP_NOTICE_REQUEUED,
    EMP_NOTICE_ENDED, /* completed, failed, cancelled: see state */
    EMP_NOTICE_COUNT
};
const char *emp_notice_word(enum emp_notice_kind k);
struct emp_notice {
    enum emp_notice_kind kind;
    emp_job_num job;
    enum emp_job_state state;
    uint32_t attempt;
    struct emp_str machine, pool;
    float percent;
    struct emp_str text; /* progress text, or the reason */
    int code;
    emp_wall_ms at;
    emp_blob_token result; /* ENDED as completed */
};
struct emp_action {
    enum emp_action_kind kind;
    union {
        struct emp_change change;
        struct {
            emp_request request;
            struct emp_reply reply;
        } reply;
        struct {
            emp_link link;
            struct emp_message message;
        } send;
        struct {
            emp_link link;
            struct emp_str reason;
        } close;
        struct emp_notice notice;
    };
};
/* A growing list in the caller's arena; zero it and set the arena. Several steps may append to one
 * list. */
struct emp_actions {
    struct emp_arena *arena;
    struct emp_action *items;
    size_t count, cap;
};

/* ------------------------------------------------------------------ life */

/* `settings` and `policy` must outlive the core. `seed` feeds jitter only. Never fails. */
struct emp_core *emp_core_new(const struct emp_settings *settings, const struct emp_policy *policy,
                              uint64_t seed);
void emp_core_free(struct emp_core *c);

/* Restoring: every change the store holds, in its order, then start. Jobs that were assigned keep
 * their leases for start_grace_ms. No actions: what is restored is durable already. */
void emp_core_restore(struct emp_core *c, const struct emp_change *change);
void emp_core_start(struct emp_core *c, struct emp_now now, emp_job_num last_num);

void emp_core_step(struct emp_core *c, struct emp_now now, const struct emp_event *e,
                   struct emp_actions *out);
emp_mono_ms emp_core_next_due(const struct emp_core *c); /* EMP_NEVER when nothing is due */

/* ------------------------------------------------------------------ looking in (same thread) */

struct emp_core_job_view {
    enum emp_job_state state;
    float percent;
    struct emp_str progress_text;
    int64_t expected_start_ms; /* of a waiting job: from now, -1 not known */
};
int emp_core_job(const struct emp_core *c, emp_job_num num,
                 struct emp_core_job_view *ret); /* 0 or EMP_E_NOT_FOUND: not live */

/* When a live job is expected to start and end, as it is now or, of a waiting one, was within the
 * last second or so: cheap however often it is asked. 0 or EMP_E_NOT_FOUND. Strings until the next
 * step or look. */
int emp_core_expect(struct emp_core *c, struct emp_now now, emp_job_num num, struct emp_eta *ret);

/* Why a live job is where it is. A waiting one is evaluated now over all machines; an assigned one
 * gives the decision that was taken. Strings in `arena` or the core's, until the next step. */
struct emp_explanation {
    bool waiting;
    uint32_t count; /* all candidates, best first, at most 64 */
    struct emp_route_choice *candidates;
    uint32_t considered;
    enum emp_fallback fallback;
    int64_t estimated_run_ms;
    struct emp_str pool;
    struct emp_str waiting_for; /* machine id, or empty */
    struct emp_str reason;      /* a sentence */
    struct emp_str *models, *nodes;
    uint32_t model_count, node_count;
    double priority;
    enum emp_tier tier;
};
int emp_core_explain(struct emp_core *c, struct emp_now now, emp_job_num num,
                     struct emp_arena *arena,
                     struct emp_explanation *ret); /* 0 or EMP_E_NOT_FOUND */

/* All that planning rests on; in the arena and in memory that lives and stands still as long as the
 * core, so that another thread may read it while this one steps on. Takes the notes with it. */
void emp_core_snapshot(struct emp_core *c, struct emp_now now, struct emp_arena *arena,
                       struct emp_snapshot *ret);

struct emp_core_machine {
    const struct emp_machine_facts *facts;
    enum emp_machine_state state;
    struct emp_str pool;
    uint32_t busy;
    emp_job_num *jobs; /* [busy], in the arena */
    struct emp_copy *copies;
    uint32_t copy_count;
    int64_t disk_free_bytes, link_bytes_per_s, fetch_left_bytes;
    double speed; /* run time relative to the fleet's mean; 1 unknown */
    uint32_t jobs_completed, jobs_failed;
    emp_wall_ms first_seen, last_seen;
    emp_wall_ms quarantined_until; /* 0 none */
    bool drained;
};
/* All remembered machines in order of first sight. In the arena; strings until the next step. */
uint32_t emp_core_machines(const struct emp_core *c, struct emp_now now, struct emp_arena *arena,
                           struct emp_core_machine **ret);

struct emp_core_pool {
    const struct emp_pool *pool;
    uint32_t machines, slots, busy; /* connected ones */
    uint64_t pending, running;
};
uint32_t emp_core_pools(const struct emp_core *c, struct emp_arena *arena,
                        struct emp_core_pool **ret);

struct emp_core_model {
    const struct emp_model *model;
    uint32_t copies, fetching; /* on connected machines */
    uint64_t uses;             /* assignments since start */
    struct emp_str *machines;  /* [copies]: where it stands */
};
/* The catalogue in order of name of first sight. */
uint32_t emp_core_models(const struct emp_core *c, struct emp_arena *arena,
                         struct emp_core_model **ret);
const struct emp_model *emp_core_model_find(const struct emp_core *c,
                                            struct emp_str name); /* NULL when unknown */
/* May it join the catalogue, or replace the entry of its name? 0; EMP_E_CONFLICT: another has its
 * path; EMP_E_QUEUE_FULL. MODEL asks the same. */
int emp_core_model_check(const struct emp_core *c, const struct emp_model *model,
                         struct emp_error *err);

/* Counters since start, and gauges. */
struct emp_core_stats {
    uint64_t submitted, refused, completed, failed, cancelled, requeued, assigned;
    uint64_t attempts_lost, attempts_returned, attempts_failed, attempts_timed_out, stale_reports;
    uint64_t hits, fetches; /* models found on disk / to be fetched, over assignments */
    uint64_t fetched_bytes;
    uint64_t by_fallback[EMP_FALLBACK_COUNT];
    uint64_t plans, plans_sent; /* runs of the planner; machines that were told a new plan */
    uint64_t spares; /* times that a machine was told to make a model ready for the next jobs */
    uint64_t pending, delayed /* backing off, of pending */, running;
    uint32_t classes, machines_connected, machines_known, slots, slots_busy;
};
void emp_core_stats(const struct emp_core *c, struct emp_core_stats *ret);

/* Checks every invariant that can be seen from inside; NULL, or a sentence naming the first that is
 * broken. O(everything): for tests. */
const char *emp_core_check(const struct emp_core *c, struct emp_arena *arena);

#endif

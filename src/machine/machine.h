/* The agent's brain: a state machine. Events go in, actions come out; nothing else happens: no
 * clock, no I/O, no threads. It owns the leases a broker has given to this machine, its slots, and
 * the room on its disk for models. The states are drawn in states.def.
 *
 * What a shell (the agent, or the simulator) must keep:
 *   - One thread. Monotonic time never goes back. Call emp_machine_step with TICK no later than
 *     emp_machine_next_due.
 *   - INVENTORY comes first, and once.
 *   - Actions are carried out in order. Each action names the event that answers it:
 *       FETCH → any FETCH_PROGRESS, one FETCH_DONE (FETCH_CANCEL only hastens it)
 *       DELETE → one DELETED
 *       RUN → at most one RUN_STARTED, any RUN_PROGRESS, at most one RUN_STORING, one RUN_DONE
 *             (STOP only hastens it)
 *       LOAD → one LOADED (LOAD_CANCEL only hastens it); none is begun while a run is, nor a run
 *             before it has been answered
 *     Answers that nobody waits for are ignored. After EXIT nothing is answered any more.
 *   - What actions point to lives until the next step, unless stated otherwise. Strings of an event
 *     live for the call.
 *
 * What it keeps (emp_machine_check tests it from inside):
 *   1. No more attempts hold a lease than there are slots, and no more runs are in their
 *      connectors' hands. An ASSIGN beyond that is RETURNED.
 *   2. Bytes on the disk, counting a running fetch as whole, never exceed the budget, unless more
 *      was found at start.
 *   3. A model of an attempt that fetches, is ready, runs or stops is never deleted. One fetch per
 *      model, however many want it.
 *   4. Every ASSIGN that is not a repetition ends in exactly one COMPLETED, FAILED or RETURNED, or
 *      in a CANCEL; that report is kept and repeated at every LINK_UP until it is acknowledged.
 *   5. Nothing waits without an end: for room room_wait_ms, for a run its limit, a stop
 *      stop_wait_ms (a cancelled LOAD too), leaving ack_wait_ms.
 *   6. The broker's PLAN is carried out in idle time and gives way to jobs at once: plan.c.
 *
 * Who is to blame decides the report. The machine (no room, disk fault, connector missing) before
 * the work began: RETURNED with machine_fault, not counted against the job, it may go elsewhere. A
 * model's origin (gone, wrong size or content): FAILED, retryable. Its own run: FAILED as the
 * connector says. */
#ifndef EMP_MACHINE_MACHINE_H
#define EMP_MACHINE_MACHINE_H

#include "base/arena.h"
#include "base/str.h"
#include "base/time.h"
#include "domain/machine.h"
#include "domain/message.h"

struct emp_machine;

enum {
    EMP_MACHINE_FINISHED_MAX =
        100000, /* reports waiting for ACK; with more than that an ASSIGN makes it reconnect */
    EMP_MACHINE_PROGRESS_MS = 100, /* progress of one attempt is reported at most this often */
};

/* Must outlive the brain; constant, but that `facts` may be changed between LINK_DOWN and LINK_UP.
 * 0: the default named. */
struct emp_machine_settings {
    const struct emp_machine_facts *facts; /* slots and the budgets of disk, RAM and GPU memory
                                              count here too; free bytes and link rate are filled
                                              in */
    uint32_t fetches_max;                  /* at once; 0: 3 */
    int64_t
        link_bytes_per_s; /* assumed until MEASURED; 0: 25 MB/s. Prices what an eviction costs */
    double evict_lean;    /* the pool's eviction leaning: policy/evict.h */
    bool evict_oldest;    /* least recently used instead: what rivals do */
    int64_t room_wait_ms; /* an attempt waits so long for others to free disk room; 0: 60 s */
    int64_t stop_wait_ms; /* then a stop that had no effect becomes WATCHDOG; 0: 20 s */
    int64_t ack_wait_ms;  /* bound of leaving; 0: 3 s */
    int64_t drain_ms;     /* a drain that takes longer becomes leaving; 0: never */
    int64_t beat_ms;      /* until WELCOME says; 0: 2 s */
};

/* ------------------------------------------------------------------ events */

enum emp_machine_event_kind {
    EMP_MACHINE_EVENT_INVENTORY, /* what is on the disk at start */
    EMP_MACHINE_EVENT_LINK_UP,   /* → HELLO, then what is finished */
    EMP_MACHINE_EVENT_LINK_DOWN,
    EMP_MACHINE_EVENT_MESSAGE, /* from the broker; other kinds are ignored */
    EMP_MACHINE_EVENT_FETCH_PROGRESS,
    EMP_MACHINE_EVENT_FETCH_DONE,
    EMP_MACHINE_EVENT_DELETED,
    EMP_MACHINE_EVENT_RUN_STARTED,
    EMP_MACHINE_EVENT_RUN_PROGRESS,
    EMP_MACHINE_EVENT_RUN_STORING, /* the work is done, its outputs are being handed over: its time
                                      limit no longer counts */
    EMP_MACHINE_EVENT_RUN_DONE,
    EMP_MACHINE_EVENT_LOADED,
    EMP_MACHINE_EVENT_MEASURED, /* facts that drift */
    EMP_MACHINE_EVENT_SHUTDOWN, /* another one: a drain becomes leaving, leaving becomes EXIT */
    EMP_MACHINE_EVENT_TICK,
    EMP_MACHINE_EVENT_COUNT
};

struct emp_machine_found {
    struct emp_str name, path;
    char sha256[65];
    int64_t bytes;      /* of the whole model */
    int64_t half_bytes; /* > 0: only so much is there */
    bool pinned;
};

struct emp_machine_event {
    enum emp_machine_event_kind kind;
    union {
        struct {
            const struct emp_machine_found *found;
            uint32_t count;
        } inventory;
        const struct emp_message *message;
        struct {
            struct emp_str model;
            int64_t bytes; /* so far */
        } fetch_progress;
        struct {
            struct emp_str model;
            int code;            /* 0: whole, verified, visible */
            struct emp_str text; /* why not, naming model and origin */
            bool machine_fault;  /* disk, not origin */
            int64_t kept_bytes;  /* with a code: a half file of so much stays, and may be resumed */
        } fetch_done;
        struct {
            struct emp_str model;
            int code; /* 0: gone; else the file is still there */
        } deleted;
        struct {
            emp_job_num job;
            uint32_t attempt;
            int64_t load_ms;
            bool keeps_loaded; /* its connector keeps the models in GPU memory */
        } run_started;
        struct {
            emp_job_num job;
            uint32_t attempt;
            double percent;
            struct emp_str text;
        } run_progress;
        struct {
            emp_job_num job;
            uint32_t attempt;
        } run_storing;
        struct {
            emp_job_num job;
            uint32_t attempt;
            int code; /* 0: completed; after STOP any code will do */
            struct emp_str text;
            bool retryable, machine_fault;
            int64_t run_ms;
            struct emp_str result; /* JSON text */
            const struct emp_output *outputs;
            uint32_t output_count;
        } run_done;
        struct {
            struct emp_str model;
            int code; /* 0: it is there; else it is not, or the shell cannot do that */
        } loaded;
        struct {
            int64_t link_bytes_per_s; /* 0: not known */
            double cpu_load;
        } measured;
        struct {
            bool drain; /* finish first */
            struct emp_str reason;
        } shutdown;
    };
};

/* ------------------------------------------------------------------ actions */

enum emp_machine_action_kind {
    EMP_MACHINE_SEND,  /* to the broker; dropped when the link is down (what matters is repeated) */
    EMP_MACHINE_FETCH, /* the mirrors in turn, resuming from kept_bytes if it can */
    EMP_MACHINE_FETCH_CANCEL,
    EMP_MACHINE_DELETE,
    EMP_MACHINE_RUN,
    EMP_MACHINE_STOP,
    EMP_MACHINE_WATCHDOG, /* a stop had no effect: abandon the run by force, then RUN_DONE */
    EMP_MACHINE_LOAD, /* into RAM or GPU memory, for the plan; no run begins before its LOADED */
    EMP_MACHINE_LOAD_CANCEL,
    EMP_MACHINE_FORGET, /* the broker has taken or dropped the attempt: nothing of it is needed any
                           more */
    EMP_MACHINE_RECONNECT, /* close the link and connect again */
    EMP_MACHINE_EXIT,      /* what was sent before should still leave */
    EMP_MACHINE_ACTION_COUNT
};

enum emp_stop_reason { EMP_STOP_CANCELLED, EMP_STOP_TIMEOUT, EMP_STOP_LEAVING, EMP_STOP_COUNT };
const char *emp_stop_reason_word(enum emp_stop_reason r);

struct emp_machine_action {
    enum emp_machine_action_kind kind;
    union {
        struct emp_message send;
        struct {
            const struct emp_model *model; /* until its FETCH_DONE */
            int64_t kept_bytes;
            bool planned; /* for the plan: no attempt wants it yet */
        } fetch;
        struct {
            struct emp_str model; /* until the brain ends */
        } fetch_cancel;
        struct {
            struct emp_str model; /* likewise */
            struct emp_str path;  /* until DELETED */
            bool half;
            bool planned; /* to make room for what the plan wants, not for an attempt */
        } del;
        const struct emp_message_assign *run; /* until its RUN_DONE */
        struct {
            emp_job_num job;
            uint32_t attempt;
            enum emp_stop_reason reason;
        } stop;
        struct {
            emp_job_num job;
            uint32_t attempt;
        } lease; /* WATCHDOG, FORGET */
        struct {
            const struct emp_model *model; /* until its LOADED */
            enum emp_residency to;         /* RAM or GPU */
        } load;
        struct {
            struct emp_str model; /* until the brain ends */
        } load_cancel;
        struct {
            struct emp_str reason;
        } reconnect;
        struct {
            int code; /* 0, or why the broker refuses this agent for good */
            struct emp_str reason;
        } exit;
    };
};

/* A growing list in the caller's arena; zero it and set the arena. Several steps may not share one:
 * see lifetimes above. */
struct emp_machine_actions {
    struct emp_arena *arena;
    struct emp_machine_action *items;
    uint32_t count, cap;
};

/* ------------------------------------------------------------------ life */

struct emp_machine *emp_machine_new(const struct emp_machine_settings *s);
void emp_machine_free(struct emp_machine *m); /* NULL is allowed */

void emp_machine_step(struct emp_machine *m, struct emp_now now, const struct emp_machine_event *e,
                      struct emp_machine_actions *out);
emp_mono_ms emp_machine_next_due(const struct emp_machine *m); /* EMP_NEVER when nothing is due */

/* ------------------------------------------------------------------ looking in (same thread) */

struct emp_machine_stats {
    uint32_t leased;  /* attempts that hold a slot towards the broker */
    uint32_t running; /* in their connectors' hands */
    uint32_t unacknowledged;
    uint32_t copies, fetching;
    int64_t disk_bytes; /* counting a running fetch as whole */
    int64_t fetch_left_bytes;
    uint64_t fetches, evictions; /* since start */
};
void emp_machine_stats(const struct emp_machine *m, struct emp_machine_stats *ret);

/* Where a model's copy stands now. What a run has to load is told by this when it is begun: its
 * models get to GPU memory, through RAM, with its RUN_STARTED (keeps_loaded), and what has to leave
 * for them leaves then, least recently used first. */
enum emp_residency emp_machine_residency(const struct emp_machine *m, struct emp_str model);

/* Checks every invariant that can be seen from inside; NULL, or a sentence (in `arena`) naming the
 * first that is broken. */
const char *emp_machine_check(const struct emp_machine *m, struct emp_arena *arena);

/* One line per action, as test traces and the log show it: "fetch sdxl 6900000000", "send
 * returned 17.2 disk_full: …". */
void emp_machine_action_format(const struct emp_machine_action *a, struct emp_buf *out);

#endif

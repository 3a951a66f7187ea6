/* What the files of the brain share: the structs, and who calls whom.
 *
 *   machine.c   steps, link, leaving            calls down
 *   attempt.c   attempts: accept, run, finish   calls copy.c
 *   copy.c      copies: room, fetch, delete     calls back attempt.c for those who wait for a copy
 *   memory.c    which copies stand in RAM and GPU memory
 *   plan.c      what to have before a job asks  calls copy.c, memory.c
 *   check.c, describe.c                         only look */
#ifndef EMP_MACHINE_INTERNAL_H
#define EMP_MACHINE_INTERNAL_H

#include "base/error.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/slab.h"
#include "machine/chain.h"
#include "machine/machine.h"

enum emp_attempt_state {
#define EMP_ATTEMPT_STATE(name, word, leased, running) EMP_ATTEMPT_##name,
#include "machine/states.def"
    EMP_ATTEMPT_STATE_COUNT
};
enum emp_copy_state {
#define EMP_COPY_STATE(name, word) EMP_COPY_##name,
#include "machine/states.def"
    EMP_COPY_STATE_COUNT
};

/* Where a copy can stand besides the disk. */
enum emp_memory { EMP_MEMORY_RAM, EMP_MEMORY_GPU, EMP_MEMORY_COUNT };
struct emp_machine_memory {
    struct emp_chain lru; /* copies, least recently used first */
    int64_t bytes;
};

/* A model's place on this disk. Made at first sight, never freed (bounded by EMP_MODELS_MAX); its
 * number is that of its name. */
struct emp_machine_copy {
    struct emp_chain chain; /* of its state */
    uint32_t number;
    struct emp_str name;
    enum emp_copy_state state;
    struct emp_arena arena; /* holds `model`; replaced as a whole */
    struct emp_model model; /* as the catalogue last said; bytes is 0 until known */
    struct emp_arena fresh_arena;
    struct emp_model
        fresh; /* with `stale`: what it is to become when nobody uses the old content */
    bool stale;
    int64_t kept_bytes;      /* HALF, QUEUED, FETCHING, DELETING: on the disk already */
    int64_t got_bytes;       /* FETCHING: progress */
    bool cancelled;          /* FETCHING: FETCH_CANCEL went out */
    bool was_half;           /* DELETING: what it was */
    emp_mono_ms stuck_until; /* could not be deleted: not tried again before */
    uint32_t wanted;         /* live attempts that list it */
    uint32_t pins;           /* of those: fetching or further: never deleted */
    uint32_t runs;           /* of those: in their connectors' hands */
    double uses;             /* decayed count at used_at */
    emp_mono_ms used_at;
    double seconds_saved; /* WORTH, PLAN; negative: not told */
    bool worth_pinned;
    uint32_t planned;          /* its place in the plan + 1; 0: not in it */
    bool prefetch;             /* QUEUED, FETCHING: for the plan, no attempt needs it */
    emp_mono_ms plan_retry_at; /* the plan leaves it alone before */
    struct emp_chain memory[EMP_MEMORY_COUNT];
    enum emp_residency told; /* what the broker knows */
    bool dirty;              /* on the list of what may have changed */
};

struct emp_machine_attempt {
    struct emp_chain chain; /* of its state */
    uint32_t number;        /* in the slab */
    uint32_t older;         /* superseded attempt of the same job that still stops; 0 none */
    uint32_t place;         /* in the heap of deadlines */
    emp_mono_ms due;        /* of its state: room_wait, run limit, stop_wait; EMP_NEVER none */
    enum emp_attempt_state state;
    emp_job_num job;
    uint32_t attempt;
    struct emp_arena arena;            /* assign and copies; once finished: the report */
    struct emp_message_assign *assign; /* NULL once finished */
    uint32_t *copies;                  /* numbers, each once */
    uint32_t copy_count;
    uint32_t missing;          /* FETCHING: copies not yet present */
    bool pinned;               /* its copies are pinned */
    bool in_use;               /* its copies are counted as running */
    bool started;              /* RUN_STARTED came */
    enum emp_stop_reason stop; /* STOPPING */
    emp_mono_ms accepted_at, ready_at, run_at, progress_at;
    emp_wall_ms started_at;
    int64_t bytes_fetched, load_ms;
    enum emp_message_kind report_kind;
    struct emp_message_finished report;
};

struct emp_machine_planned {
    uint32_t copy;
    enum emp_residency residency;
};

enum emp_link_state { EMP_LINK_DOWN, EMP_LINK_GREETED, EMP_LINK_WELCOME };
enum emp_leave_state { EMP_WORKING, EMP_DRAINING, EMP_LEAVING, EMP_LEFT };

struct emp_machine {
    struct emp_machine_settings s; /* defaults filled in */
    struct emp_arena arena;
    struct emp_now now;
    struct emp_machine_actions *out; /* during a step */

    struct emp_slab attempts;
    struct emp_map by_job; /* job -> number of its newest attempt */
    struct emp_chain attempt_chain[EMP_ATTEMPT_STATE_COUNT];
    uint32_t attempt_count[EMP_ATTEMPT_STATE_COUNT];
    struct emp_heap dues;

    struct emp_intern names;
    struct emp_slab copies; /* number: that of the name */
    struct emp_chain copy_chain[EMP_COPY_STATE_COUNT];
    uint32_t copy_count[EMP_COPY_STATE_COUNT];
    int64_t disk_bytes;     /* on the disk, a running fetch as whole */
    int64_t promised_bytes; /* the same, with queued fetches as whole and what is being deleted as
                               gone */
    struct emp_machine_memory memory[EMP_MEMORY_COUNT];
    uint32_t *dirty;
    uint32_t dirty_count, dirty_cap;

    struct emp_arena plan_arena;
    struct emp_machine_planned *plan; /* most worth first */
    uint32_t plan_count;
    uint32_t loading; /* copy on its way into memory; pinned; 0: none */
    enum emp_residency load_to;
    bool load_cancelled;
    emp_mono_ms load_due; /* EMP_NEVER: nothing loads */

    enum emp_link_state link;
    emp_mono_ms beat_due;
    int64_t beat_ms;
    int64_t link_bytes_per_s;
    double cpu_load;

    enum emp_leave_state leave;
    emp_mono_ms leave_due;
    int exit_code;
    struct emp_str leave_reason;
    bool shut_down; /* told once already */
    bool said_goodbye;

    uint64_t fetches, evictions;
};

/* machine.c */
struct emp_machine_action *emp_machine_act(struct emp_machine *m,
                                           enum emp_machine_action_kind kind);
struct emp_message *emp_machine_send(struct emp_machine *m,
                                     enum emp_message_kind kind); /* NULL when the link is down */
uint32_t emp_machine_slots(const struct emp_machine *m);
int64_t emp_machine_budget(const struct emp_machine *m);

/* attempt.c */
void emp_machine_attempt_assign(struct emp_machine *m, const struct emp_message_assign *a);
void emp_attempt_cancel(struct emp_machine *m, const struct emp_message_lease *l);
void emp_attempt_ack(struct emp_machine *m, const struct emp_message_lease *l);
void emp_attempt_started(struct emp_machine *m, const struct emp_machine_event *e);
void emp_attempt_progress(struct emp_machine *m, const struct emp_machine_event *e);
void emp_attempt_storing(struct emp_machine *m, const struct emp_machine_event *e);
void emp_attempt_done(struct emp_machine *m, const struct emp_machine_event *e);
void emp_attempts_expire(struct emp_machine *m);  /* deadlines of attempts that have passed */
void emp_attempts_pump(struct emp_machine *m);    /* admits and runs what can be */
void emp_attempts_leave(struct emp_machine *m);   /* hands back what does not run, stops the rest */
void emp_attempts_abandon(struct emp_machine *m); /* hands back what has not stopped in time */
void emp_attempts_repeat(struct emp_machine *m);  /* sends every report that is not acknowledged */
void emp_attempts_held(const struct emp_machine *m, struct emp_arena *a,
                       struct emp_message_hello *h);
uint32_t emp_attempts_live(const struct emp_machine *m); /* neither finished nor gone */
/* For copy.c: the copy has come; or those who fetch it end with this report. */
void emp_attempts_copy_came(struct emp_machine *m, uint32_t copy, int64_t fetched_bytes);
void emp_attempts_copy_failed(struct emp_machine *m, uint32_t copy, int code, struct emp_str text,
                              bool machine_fault);

/* copy.c */
struct emp_machine_copy *emp_copy_at(const struct emp_machine *m, uint32_t number);
/* Finds or makes the copy of a model and takes over what the catalogue says; 0 when there are too
 * many models. */
uint32_t emp_copy_describe(struct emp_machine *m, const struct emp_model *model);
void emp_copies_found(struct emp_machine *m, const struct emp_machine_found *found, uint32_t count);
void emp_copies_worth(struct emp_machine *m, const struct emp_message_worth *w);

enum emp_room {
    EMP_ROOM_NOW,   /* reserved and pinned; ret_missing are on their way */
    EMP_ROOM_LATER, /* others use what would have to go, or a copy is on its way out */
    EMP_ROOM_NEVER, /* error says why */
};
/* Reserves room for all missing copies at once, and pins them; or does nothing. may_grow: may it
 * take room at all? */
enum emp_room emp_copies_admit(struct emp_machine *m, const uint32_t *copies, uint32_t count,
                               bool may_grow, uint32_t *ret_missing, struct emp_error *err);
/* Counters of what attempts do with their copies; a copy nobody wants any more is let go. */
void emp_copies_want(struct emp_machine *m, const uint32_t *copies, uint32_t count, int by);
void emp_copies_pin(struct emp_machine *m, const uint32_t *copies, uint32_t count);
void emp_copies_unpin(struct emp_machine *m, const uint32_t *copies, uint32_t count);
void emp_copies_use(struct emp_machine *m, const uint32_t *copies, uint32_t count, int by);
void emp_copy_mark(struct emp_machine *m, struct emp_machine_copy *c); /* may have to be told */

void emp_copy_fetch_progress(struct emp_machine *m, const struct emp_machine_event *e);
void emp_copy_fetch_done(struct emp_machine *m, const struct emp_machine_event *e);
void emp_copy_deleted(struct emp_machine *m, const struct emp_machine_event *e);
/* Queues it for the plan, if there is room but for what is worth more. */
bool emp_copy_prefetch(struct emp_machine *m, struct emp_machine_copy *c);
/* Lets go of fetches for the plan: of all, or of those it no longer names. */
void emp_prefetches_drop(struct emp_machine *m, bool all);
void emp_copies_pump(struct emp_machine *m); /* starts queued fetches that have room */
void emp_copies_tell(struct emp_machine *m); /* COPIES of what has changed */
void emp_copies_list(struct emp_machine *m, struct emp_arena *a, struct emp_message_hello *h);
int64_t emp_copies_left(const struct emp_machine *m); /* bytes still to be fetched */
int64_t emp_copies_free(const struct emp_machine *m); /* of the budget */
enum emp_residency emp_copy_residency(const struct emp_machine_copy *c);

/* memory.c */
void emp_memory_init(struct emp_machine *m);
bool emp_memory_holds(const struct emp_machine_copy *c, enum emp_memory where);
void emp_memory_loaded(struct emp_machine *m, const uint32_t *copies,
                       uint32_t count); /* now in GPU memory, through RAM */
/* The plan has put a copy into RAM or GPU memory. A copy whose file is not there, or that is larger
 * than the whole budget of RAM, stays where it was. */
void emp_memory_came(struct emp_machine *m, uint32_t copy, enum emp_residency to);
int64_t emp_memory_budget(const struct emp_machine *m, enum emp_memory where);
void emp_memory_drop(struct emp_machine *m, struct emp_machine_copy *c); /* its file goes */

/* plan.c */
void emp_plan_replace(struct emp_machine *m, const struct emp_message_plan *plan);
bool emp_plan_in_memory(const struct emp_machine *m,
                        const struct emp_machine_copy *c); /* does the plan want it there? */
/* May a run with these copies begin? If not, it may soon: what loads is told to stop, or is its
 * own. */
bool emp_plan_lets_run(struct emp_machine *m, const uint32_t *copies, uint32_t count);
void emp_plan_stop_loading(struct emp_machine *m);
void emp_plan_loaded(struct emp_machine *m, const struct emp_machine_event *e);
void emp_plan_fetch_failed(struct emp_machine *m, struct emp_machine_copy *c);
void emp_plan_expire(struct emp_machine *m);
void emp_plan_pump(struct emp_machine *m); /* begins what can be begun */
emp_mono_ms emp_plan_due(const struct emp_machine *m);

/* describe.c */
const char *emp_attempt_state_word(enum emp_attempt_state s);
bool emp_attempt_state_leased(
    enum emp_attempt_state s); /* does it take a slot towards the broker? */
bool emp_attempt_state_running(enum emp_attempt_state s); /* does it take a connector's slot? */
const char *emp_copy_state_word(enum emp_copy_state s);

#endif

/* What the files of core/ share: the objects, and who may change them.
 *
 *   job      slab; state changes only through emp_job_move (job.c)
 *   class    jobs with equal requirements; their queue; whom they match (class.c)
 *   machine  facts, copies, running attempts, health (machine.c)
 *
 * A waiting job is in its class's heap (by rank) and in one list of its class (by arrival, per
 * tier, for patience). A delayed one is in the timer heap only. An assigned one is in its machine's
 * list; a started one in the timer heap too. */
#ifndef EMP_CORE_INTERNAL_H
#define EMP_CORE_INTERNAL_H

#include "base/heap.h"
#include "base/map.h"
#include "base/slab.h"
#include "core/core.h"
#include "domain/copy.h"
#include "policy/duration.h"
#include "policy/estimate.h"
#include "policy/eta.h"
#include "policy/evict.h"
#include "policy/fair.h"
#include "policy/heat.h"
#include "policy/match.h"
#include "policy/pool.h"
#include "policy/retry.h"

#include <assert.h>

enum {
    JOB_AVOID_MAX = 4,          /* machines remembered to have failed a job */
    IDEMPOTENCY_RECENT = 65536, /* keys kept in memory; older ones are in the store */
    FINISHED_RECENT = 65536,    /* attempts of finished jobs kept against a stale retry by hand */
    CLASSES_KEPT = 20000,       /* classes without live jobs beyond this are forgotten */
    ESTIMATES_MAX = 100000,
    WORKFLOWS_MAX = 100000,
    FLOWS_MAX = 1000000,
    PROMISES_PER_CLASS = 16, /* jobs of one class held for busy machines in one pass */
    HOLD_RECHECK_MS = 1000,  /* a held job is looked at again this often */
    RUN_BACKSTOP_MS = 30000, /* beyond its limit: the agent should have stopped it */
    LEARNED_SAVE_MS = 5000,
    MACHINE_SAVE_MS = 10 * 60 * 1000,
    HEADS_REFRESH_MS = 1000,
    AWAY_HOME_MS = 60000,   /* a machine gone for less may return: core/schedule.c */
    FIRST_GUESS_MS = 10000, /* run time of a service nobody has seen run */
};
#define MACHINE_PRUNE_MS (30LL * 24 * 3600 * 1000)
#define TIE_US           250000 /* starts closer than this are equal: load decides */

/* What of a thing was learned and not yet written: learned.c. */
enum emp_learned { EMP_LEARNED_RUN, EMP_LEARNED_LOAD, EMP_LEARNED_KIND, EMP_LEARNED_SPEED };
struct emp_learned_mark {
    bool queued;
};
struct emp_learned_item {
    enum emp_learned what;
    uint32_t name; /* interned; of RUN the entry's number */
};

struct estimate_entry {
    uint64_t key;
    uint32_t number; /* in the slab */
    struct emp_estimate estimate;
    struct emp_learned_mark mark;
};

/* Of a model, or of a kind of models: seconds into GPU memory, from disk and from RAM. */
enum { EMP_LOAD_PLACES = 2 };
struct load_kind {
    struct emp_rate load[EMP_LOAD_PLACES];
    uint32_t name;
    struct emp_learned_mark mark;
};

struct job;
struct machine;
struct verdict;
struct job_list {
    struct job *first, *last; /* in order of arrival */
};

/* What scheduling saw for a class when it last weighed the machines: eta.c. */
struct foresight {
    emp_mono_ms at;
    int64_t slot_ms, fetch_ms, load_ms; /* at the best machine */
    const struct machine *machine;      /* that one, while it is of this name */
    uint32_t machine_name;
    uint32_t slots; /* of all that would do */
    bool known, any;
    char *why; /* where none would do: why, in the class's arena */
    uint32_t why_len;
};

struct class
{
    uint32_t number;
    uint64_t hash;
    struct emp_arena arena;   /* of everything below */
    struct emp_str key;       /* canonical bytes; equality */
    struct emp_job_spec spec; /* the requirements only */
    struct emp_str specialty;
    uint32_t *models;                     /* interned, spec.model_count of them */
    struct estimate_entry *own, *service; /* own may be NULL: table full */
    int64_t prior_ms;                     /* the submitter's guess; 0 none */
    int64_t run_ms;                       /* quantile that decides the pool */
    int64_t mean_ms;
    uint32_t pool;             /* index or EMP_POOL_NONE */
    uint64_t pending, running; /* live jobs; pending includes delayed */
    struct emp_heap waiting;   /* by rank */
    struct job_list by_age[EMP_TIER_COUNT];
    struct job *head;     /* next to go, by rank */
    struct job *late;     /* oldest of those past their patience; NULL: none */
    uint32_t ready_place; /* in core->ready */
    uint32_t late_place;  /* in core->late */
    bool dirty;           /* in core->dirty_classes */
    bool has_home;        /* when last decided: a machine whose pool is not too short for it */
    uint64_t borrow_pass;
    emp_mono_ms borrow_looked; /* when one in a too short pool was last looked at */
    uint32_t promises;         /* of this pass */
    uint64_t promises_pass;
    uint8_t *match; /* by machine number: 0 not asked, 1 yes, 2 no */
    uint32_t *match_version;
    uint32_t match_cap;
    uint64_t runnable_version;  /* fleet_version at which runnable was found */
    emp_wall_ms runnable_until; /* then the machine that could run it is forgotten */
    bool runnable;
    struct foresight seen[2]; /* by enum watcher */
    uint32_t estimated_at;    /* observations that run_ms, mean_ms and pool rest on */
};

/* A machine that failed the job, and whether blame for it has been settled. */
struct grudge {
    uint32_t machine; /* number */
    bool settled;
};

/* What a job was told at its submission, from then. */
struct told {
    int64_t start_ms, end_ms; /* as foreseen */
    uint8_t start_kind, end_kind;
    bool is;
};

struct job {
    emp_job_num num;
    uint32_t number; /* in the slab */
    enum emp_job_state state;
    enum emp_tier tier;
    struct class *class;
    uint32_t customer;
    double priority;
    int64_t tag, rank;
    emp_wall_ms submitted_at, not_before;
    emp_mono_ms arrived; /* what patience counts from; of a restored job: before this start */
    int64_t timeout_ms;
    struct emp_job_work work;
    int32_t max_retries; /* as in the spec; -1 not said */
    uint32_t counted, returns, losses, retried_by_hand;
    emp_mono_ms held_since; /* waiting for a busy machine since; 0 not held */
    struct machine *held_for;
    /* the attempt */
    uint32_t attempt;
    struct machine *machine; /* NULL unless assigned */
    emp_wall_ms assigned_at, started_at;
    emp_mono_ms starts_at; /* expected, with its models loaded */
    struct told told;
    emp_mono_ms expected_end, due; /* due: timer heap's key */
    emp_mono_ms computes_at;       /* in progress: since then */
    emp_mono_ms left_at;           /* when left_ms was reckoned; 0: not */
    int64_t left_ms;               /* of the run */
    int64_t fetch_bytes;
    uint32_t decision; /* slab number; 0 none */
    uint32_t progress; /* slab number; 0 none */
    float percent;
    bool in_list;
    struct job *prev, *next; /* class list by age, or machine's running list */
    uint32_t place;          /* class->waiting */
    uint32_t timer_place;    /* core->timers */
    struct grudge avoid[JOB_AVOID_MAX];
    uint8_t avoid_count;
};

struct progress {
    char text[EMP_PROGRESS_TEXT_MAX];
    uint32_t length;
};

struct copy {
    uint32_t model;
    emp_mono_ms fetching_since;
    emp_mono_ms came_at; /* on the disk, as far as was seen; 0: before it was first heard of */
    int64_t bytes;
    enum emp_residency residency;
    bool in_use;
    bool planned; /* its fetch was begun for the plan */
    bool warm;    /* in its model's list of warm ones */
    double uses;  /* as policy/evict.h counts them */
    emp_mono_ms last_use;
    struct emp_heat heat;
};

struct planned {
    uint32_t model;
    enum emp_residency residency;
    double seconds_saved;
};

/* What the machine makes ready for jobs that come next: spare.c. */
enum { SPARE_MODELS_MAX = 8 };
struct spare {
    uint32_t models[SPARE_MODELS_MAX];
    uint32_t count; /* 0: nothing */
    uint32_t key;   /* the model that it is about */
    enum emp_residency residency;
    emp_mono_ms until; /* in its plan so long */
    double seconds_saved;
};

struct region {
    uint32_t slots, busy;
};

/* A machine's copies in the order in which they would leave; of one version and moment. */
struct leaving {
    uint32_t *copies; /* indices */
    uint32_t count, cap;
    uint64_t version;
    emp_mono_ms at;
};

struct machine {
    uint32_t number;        /* slab: index of match tables */
    uint32_t version;       /* of the facts: grows with each HELLO */
    uint32_t name;          /* interned id */
    uint32_t region;        /* interned, index into core->regions */
    struct emp_arena arena; /* of facts */
    struct emp_machine_facts facts;
    uint32_t pool;
    bool reserved;         /* for some workflow */
    emp_link link;         /* 0: none */
    bool drained, leaving; /* by an operator; by itself */
    bool late_last;        /* its last assignment was patience's: now it is rank's turn */
    emp_mono_ms last_heard;
    emp_mono_ms deadline;      /* leases end then; EMP_NEVER: none to end */
    emp_mono_ms awaited_until; /* away: until then it may be on its way back */
    uint32_t deadline_place;
    emp_mono_ms quarantined_until; /* 0: not */
    struct job *running;
    uint32_t busy;             /* length of running */
    uint32_t idle_index;       /* in core->idle; UINT32_MAX: not there */
    struct emp_map copy_index; /* model → index */
    struct copy *copies;
    uint32_t copy_count, copy_cap;
    int64_t disk_free, link_rate;
    int64_t fetch_left; /* bytes of its fetches at fetch_told; from there on it is reckoned */
    emp_mono_ms fetch_told;
    int64_t fetching_bytes;                    /* of the copies that are on their way, whole */
    struct leaving disk_leaves, memory_leaves; /* displace.c */
    uint64_t copies_version;                   /* grows when a copy comes, goes, moves or is used */
    int64_t gpu_bytes, ram_bytes; /* of copies there; what is in GPU memory counts in RAM too */
    struct emp_rate speed;
    struct emp_learned_mark speed_mark;
    struct emp_busy busy_share;
    struct emp_blame blame;
    uint32_t jobs_completed, jobs_failed;
    emp_wall_ms first_seen, last_seen, saved_at;
    uint64_t last_assigned; /* turn: ties go to who waited longest */
    emp_mono_ms idle_since; /* a slot is free; while idle_index says so */
    uint32_t promised;      /* of this pass */
    uint64_t promised_pass;
    struct emp_arena plan_arena;
    struct planned *planned; /* as last sent, or to be sent when it is back */
    uint32_t planned_count;
    struct spare spare;
};

struct model_entry {
    struct emp_arena arena;
    struct emp_model model; /* name empty: known from machines only, not in the catalogue */
    uint32_t name;
    uint32_t holders;                      /* connected or remembered machines with a copy */
    struct emp_rate load[EMP_LOAD_PLACES]; /* seconds into GPU memory: from disk, from RAM */
    struct emp_learned_mark load_mark;
    uint64_t uses;
    struct emp_heat heat;  /* of assignments, anywhere */
    double found_none;     /* share of jobs that came lately and found none of these idle: */
    struct machine **warm; /* machines where it can be used at once: from memory, or, where nothing
                              is loaded, from the disk */
    uint32_t warm_count, warm_cap;
    bool catalogued;
    uint32_t load_kind; /* of its kind: index + 1; 0: none */
    bool modifies;      /* by its kind: emp_model_kind_modifies */
};

/* Waiting jobs of one pool and service, by rank: eta.c. */
enum { LINE_PLACES = 1024, LINE_CAME = 256 };
struct line_place {
    int64_t rank;
    double ahead_ms; /* run times of all before */
};
struct line {
    uint64_t key;
    emp_mono_ms at; /* of the places; since then: */
    double went_ms;
    struct line_place came[LINE_CAME]; /* with the run time of each */
    uint32_t came_count;
    double all_ms;
    double stretch; /* a job's time with its machine, over its run time */
    struct line_place *places;
    uint32_t count;
};

/* Who looks for telling times. Each has its own notes, so that who only asks changes nothing of
 * what jobs are told (and a recording replays the same). */
enum watcher { WATCHER_TELLS, WATCHER_ASKS };
struct watch {
    struct line *lines;
    size_t line_count, line_cap;
    struct emp_map by_key;
    int64_t second; /* machines were weighed, so many in it: */
    uint64_t weighed;
};

struct idempotency_entry {
    uint64_t key, body_hash;
    emp_job_num job;
};
struct workflow_place {
    struct emp_flow flow; /* where its next step stands */
    double priority;
};

struct emp_core {
    const struct emp_settings *settings;
    const struct emp_policy *policy;
    struct emp_random random;
    struct emp_arena arena;   /* for good */
    struct emp_arena scratch; /* reset at each step */
    struct emp_now now;       /* of the step at hand */
    struct emp_actions *out;  /* of the step at hand */
    bool started;

    struct emp_intern names; /* services, models, customers, machines, regions … */
    emp_job_num last_num;
    struct emp_slab jobs, decisions, progresses, classes, machines, estimates;
    struct emp_map job_by_num, class_by_hash, machine_by_name, machine_by_link, estimate_by_key,
        workflow_by_name, model_by_path; /* model_by_path: of the catalogue, path -> name */
    struct workflow_place *workflows;
    size_t workflow_count, workflow_cap;

    struct emp_heap ready;     /* classes with waiting jobs, by their head's rank */
    struct emp_heap late;      /* classes with overdue jobs, by arrival of the oldest */
    bool late_turn;            /* the job that is being tried is patience's */
    struct emp_heap timers;    /* delayed and started jobs, by due */
    struct emp_heap deadlines; /* machines, by deadline */
    struct class **dirty_classes;
    size_t dirty_count, dirty_cap;
    bool dirty_all;
    bool holding; /* some job is held for a busy or absent machine although another is idle */
    emp_mono_ms heads_refreshed;

    struct machine **all; /* remembered, in order of first sight */
    size_t all_count, all_cap;
    struct machine **idle; /* usable, with a free slot */
    size_t idle_count, idle_cap;
    uint32_t slots;         /* of connected machines */
    struct region *regions; /* by interned name */
    size_t region_cap;
    uint64_t turn, pass, fleet_version;
    emp_mono_ms pull_seen;          /* machines that asked before found nothing */
    uint64_t quarantined, reserved; /* machines */
    int64_t virtual_now;
    struct emp_flow *flows; /* a customer's jobs of one priority */
    size_t flow_count, flow_cap;
    struct emp_map flow_by_key;

    struct model_entry **models; /* by interned name; NULL: not a model */
    size_t model_cap;
    struct load_kind *kinds;
    size_t kind_count, kind_cap;
    struct emp_map kind_by_name; /* interned kind → index */
    uint32_t *model_order;       /* interned names, in order of first sight */
    size_t model_count, model_order_cap;

    struct emp_duration duration;
    struct emp_eta_errors eta;
    struct watch watch[2]; /* by enum watcher */
    struct job *submitted; /* in this step; its reply is action number: */
    size_t submitted_reply;
    struct emp_learned_item *learned; /* changed, not yet written */
    size_t learned_count, learned_cap;
    bool learned_dirty; /* that, or the duration's */
    emp_mono_ms learned_saved;
    emp_mono_ms machines_saved;

    struct idempotency_entry *recent_keys; /* ring */
    struct emp_map recent_key_index;
    uint32_t recent_key_next;
    struct emp_job_num_attempt {
        emp_job_num num;
        uint32_t attempt;
    } * finished; /* ring */
    struct emp_map finished_index;
    uint32_t finished_next;

    struct emp_note *notes; /* since the last snapshot */
    size_t note_count, note_cap;
    uint64_t notes_lost;
    struct emp_arena note_arena;
    emp_mono_ms plan_at; /* when the next plan is due */
    uint64_t plan_fleet; /* fleet_version of the last snapshot */
    bool noted;          /* something, since then */
    bool plan_asked;     /* PLAN_DUE is out, its answer is not in */

    struct emp_core_stats stats;
};

/* action.c: appending actions, and copying what they show */
struct emp_action *emp_core_act(struct emp_core *c, enum emp_action_kind kind);
struct emp_str emp_core_keep(struct emp_core *c, struct emp_str s); /* into the actions' arena */
/* The reply appended, to be completed; valid until the next action. */
struct emp_reply *emp_core_reply(struct emp_core *c, emp_request r, emp_job_num job);
struct emp_reply *emp_core_reply_error(struct emp_core *c, emp_request r,
                                       const struct emp_error *err);
struct emp_message *emp_core_send(struct emp_core *c, struct machine *m,
                                  enum emp_message_kind kind);
void emp_core_send_lease(struct emp_core *c, emp_link link, enum emp_message_kind kind,
                         emp_job_num job, uint32_t attempt, const char *reason);
void emp_core_close(struct emp_core *c, emp_link link, const char *reason);

/* class.c */
struct class *emp_class_get(struct emp_core *c,
                            const struct emp_job_spec *spec); /* finds or makes */
void emp_class_unuse(struct emp_core *c, struct class *k);    /* a job of it is gone: may free it */
void emp_class_learn(struct emp_core *c, struct class *k, int64_t run_ms);
void emp_class_refresh_estimate(struct emp_core *c, struct class *k);
bool emp_class_matches(struct emp_core *c, struct class *k, struct machine *m);
void emp_class_enqueue(struct emp_core *c, struct class *k, struct job *j);
void emp_class_dequeue(struct emp_core *c, struct class *k, struct job *j);
void emp_class_refresh_head(struct emp_core *c, struct class *k);
void emp_class_mark(struct emp_core *c, struct class *k); /* look at it in this step */
/* Could a machine seen lately, or a configured pool, ever run it? Else `why`. */
bool emp_class_runnable(struct emp_core *c, struct class *k, struct emp_error *why);
uint64_t emp_classes_need(const struct emp_core *c, uint32_t model); /* live jobs that do */
void emp_classes_model_changed(struct emp_core *c, uint32_t model);  /* its catalogue entry */
struct estimate_entry *emp_estimate_at(struct emp_core *c, uint64_t key);

/* job.c */
struct job *emp_job_find(const struct emp_core *c, emp_job_num num); /* live ones; NULL */
struct job *emp_job_new(struct emp_core *c, emp_job_num num, const struct emp_job_spec *spec);
void emp_job_move(struct emp_core *c, struct job *j,
                  enum emp_job_state to); /* the only one to change state; keeps counts */
void emp_job_record(struct emp_core *c, const struct job *j, struct emp_job_record *r);
struct emp_change_job *emp_job_persist(struct emp_core *c, const struct job *j);
struct emp_notice *emp_job_notify(struct emp_core *c, const struct job *j,
                                  enum emp_notice_kind kind);
void emp_job_forget(struct emp_core *c, struct job *j); /* terminal: out of memory */
void emp_job_wait(struct emp_core *c, struct job *j,
                  int64_t delay_ms);                    /* pending: into the queue now or later */
void emp_job_unwait(struct emp_core *c, struct job *j); /* out of queue or timer */
bool emp_job_is_older(const struct job *a, const struct job *b); /* by arrival, then number */
int64_t emp_job_waited_ms(const struct emp_core *c, const struct job *j);
/* It was submitted at submitted_at, by a wall clock that may have jumped since. */
void emp_job_arrived_at(struct emp_core *c, struct job *j, emp_wall_ms submitted_at);
void emp_job_timer(struct emp_core *c, struct job *j, emp_mono_ms due);
void emp_job_avoid(struct job *j, const struct machine *m, bool settled);
bool emp_job_avoids(const struct job *j, const struct machine *m);

/* submit.c */
void emp_core_on_submit(struct emp_core *c, const struct emp_event *e);
void emp_core_on_retry(struct emp_core *c, const struct emp_event *e);
void emp_core_order(struct emp_core *c, struct job *j, const struct emp_job_spec *spec);
int64_t emp_core_rank(const struct emp_core *c, const struct job *j); /* of its tag, priority */
void emp_core_order_restored(struct emp_core *c, const struct job *j, struct emp_str workflow);
struct emp_flow *emp_core_flow(struct emp_core *c, uint32_t customer, double priority);
uint64_t emp_core_idempotency_hash(struct emp_str customer, struct emp_str key);

/* attempt.c: leases, from assignment to end */
void emp_attempt_assign(struct emp_core *c, struct job *j, struct machine *m,
                        const struct emp_decision *d);
struct attempt_end {
    enum emp_outcome outcome;
    int code;
    struct emp_str text;
    emp_wall_ms started_at, ended_at;
    int64_t run_ms, bytes_fetched;
    emp_blob_token result;
    bool retryable, machine_fault;
};
void emp_attempt_end(struct emp_core *c, struct job *j,
                     const struct attempt_end *end); /* requeues, or ends the job */
void emp_attempt_release(struct emp_core *c, struct job *j);
void emp_core_on_cancel(struct emp_core *c, const struct emp_event *e);
void emp_attempts_lose(struct emp_core *c, struct machine *m, const char *why);

/* machine.c */
struct machine *emp_machine_get(struct emp_core *c,
                                struct emp_str id); /* finds or makes, beyond any limit */
struct machine *emp_machine_find(const struct emp_core *c, struct emp_str id);
struct machine *emp_machine_of_link(const struct emp_core *c, emp_link link);
bool emp_machine_usable(const struct emp_core *c, const struct machine *m);
/* Does its pool take this customer's jobs? */
bool emp_machine_serves(const struct emp_core *c, const struct machine *m, struct emp_str customer);
enum emp_machine_state emp_machine_state(const struct emp_core *c, const struct machine *m);
void emp_machine_facts_set(struct emp_core *c, struct machine *m,
                           const struct emp_machine_facts *f);
void emp_machine_slots_changed(struct emp_core *c,
                               struct machine *m); /* busy or usable changed: idle list */
void emp_machine_busy(struct emp_core *c, struct machine *m, int delta);
void emp_machine_deadline(struct emp_core *c, struct machine *m, emp_mono_ms deadline);
void emp_machine_persist(struct emp_core *c, struct machine *m);
void emp_machine_disconnect(struct emp_core *c, struct machine *m, int64_t grace_ms);
void emp_machine_connect(struct emp_core *c, struct machine *m, emp_link link);
void emp_machine_forget(struct emp_core *c, struct machine *m);
void emp_machines_tick(struct emp_core *c);
void emp_machine_release(struct machine *m); /* its memory */
/* Bytes its fetches still have to move, by what was last told and its link's rate since. */
int64_t emp_machine_fetch_left(const struct emp_core *c, const struct machine *m);
void emp_machine_fetch_told(struct emp_core *c, struct machine *m, int64_t left);
bool emp_machine_is_warm(const struct machine *m, enum emp_residency at); /* usable at once? */
struct copy *emp_machine_copy(const struct machine *m, uint32_t model);   /* NULL when absent */
void emp_machine_copy_set(struct emp_core *c, struct machine *m, uint32_t model, int64_t bytes,
                          enum emp_residency residency, bool in_use);
void emp_core_on_drain(struct emp_core *c, const struct emp_event *e);
void emp_core_on_forget(struct emp_core *c, const struct emp_event *e);
void emp_core_on_link_closed(struct emp_core *c, const struct emp_event *e);
void emp_machine_quarantine(struct emp_core *c, struct machine *m, int64_t ms);

/* report.c: messages of agents */
void emp_core_on_message(struct emp_core *c, const struct emp_event *e);

/* core.c */
struct model_entry *emp_core_model_entry(struct emp_core *c, uint32_t name); /* finds or makes */
void emp_core_on_model(struct emp_core *c, const struct emp_event *e);
void emp_core_on_model_remove(struct emp_core *c, const struct emp_event *e);
void emp_core_model_put(struct emp_core *c, const struct emp_model *model);

/* expect.c: how long loading and running is expected to take */
void emp_core_kind_set(struct emp_core *c, struct model_entry *e); /* its model is new */
double emp_core_load_s(const struct emp_core *c, const struct model_entry *e, int64_t bytes,
                       enum emp_residency from); /* into GPU memory */
/* STARTED came, and what it changed in memory is not yet told. */
void emp_core_learn_load(struct emp_core *c, const struct class *k, const struct machine *m,
                         int64_t load_ms);
void emp_core_learn_run(struct emp_core *c, const struct job *j, const struct machine *m,
                        int64_t run_ms);
int64_t emp_job_left_ms(const struct emp_core *c, struct job *j); /* of an assigned one */
double emp_machine_speed(
    const struct machine *m); /* of its runs, relative to the mean; 1 unknown */

/* NULL: no name. Finds or makes. */
struct load_kind *emp_core_load_kind(struct emp_core *c, uint32_t name);

bool emp_core_guess_run(struct emp_core *c, const struct job *j, const struct machine *m,
                        struct emp_duration_guess *ret);

/* eta.c */
void emp_eta_saw(struct emp_core *c, struct class *k, const struct verdict *v);
void emp_eta_went(struct emp_core *c, const struct job *j); /* it got a machine */
void emp_eta_tell_submitted(struct emp_core *c, struct job *j, struct emp_eta *ret);
void emp_eta_learn_from(struct emp_core *c, const struct job *j);

/* explain.c: for who asks between steps */
struct job *emp_core_asked(struct emp_core *c, struct emp_now now,
                           emp_job_num num); /* a live one; scratch is empty then. NULL: none */
/* As scheduling would now; no decision comes out otherwise for it. */
void emp_core_weigh(struct emp_core *c, struct job *j, struct verdict *v);
/* A sentence, in the arena. */
const char *emp_core_why_waiting(struct emp_core *c, const struct job *j, const struct verdict *v,
                                 struct emp_arena *arena);

/* learned.c */
void emp_learned_changed(struct emp_core *c, struct emp_learned_mark *mark, enum emp_learned what,
                         uint32_t name);
void emp_learned_save(struct emp_core *c); /* where it is time to */
void emp_learned_forget_model(struct emp_core *c, struct model_entry *e);
void emp_learned_forget_machine(struct emp_core *c, const struct machine *m);
void emp_learned_restore(struct emp_core *c, const struct emp_change_learned *l);

/* displace.c: what a job would push out, as expected waiting of later jobs */
int64_t emp_core_displaced_disk_ms(struct emp_core *c, struct machine *m, int64_t need);
/* load_bytes: of its models that are not in GPU memory; of these, ram_bytes are in RAM */
int64_t emp_core_displaced_memory_ms(struct emp_core *c, const struct class *k, struct machine *m,
                                     int64_t load_bytes, int64_t ram_bytes);

/* schedule.c */
struct candidate {
    struct machine *machine;
    struct emp_route_terms terms;
    int64_t cost;
    bool has_models, own_pool, too_short, any_missing;
};
struct verdict {
    struct candidate *candidates; /* in scratch */
    uint32_t count;
    struct candidate *best;   /* of all; NULL: none fits */
    struct candidate *chosen; /* to start now; NULL: wait */
    struct machine *away;     /* all that is there is in pools for shorter jobs, and this one of its
                                 own may return; NULL: not so */
};
void emp_core_schedule(struct emp_core *c);
/* What the job would cost there; false: it cannot run there. */
bool emp_core_candidate(struct emp_core *c, struct class *k, const struct job *j, struct machine *m,
                        struct candidate *x);
void emp_core_decide(struct emp_core *c, struct class *k, struct job *j, struct verdict *v);
void emp_core_decision_fill(struct emp_core *c, const struct class *k, const struct verdict *v,
                            struct emp_decision *d);
uint32_t emp_core_best_first(struct verdict *v, struct candidate **ret, uint32_t max);
void emp_core_choice_fill(struct emp_core *c, const struct candidate *x,
                          struct emp_route_choice *ret);
enum emp_fallback emp_core_fallback(const struct verdict *v, const struct candidate *x);

/* spare.c: ready ahead of the next job, without a forecast */
void emp_spare_note(struct emp_core *c, const struct class *k); /* a job of it comes */
/* A job of k was weighed: `taken` is about to get it; NULL: it is held for a busy machine. */
void emp_spare_consider(struct emp_core *c, const struct class *k, const struct verdict *v,
                        const struct machine *taken);
void emp_spare_settle(struct emp_core *c, struct machine *m); /* ends it when its time is over */

/* plan.c */
void emp_plan_note_use(struct emp_core *c, const struct job *j);
void emp_plan_note_start(struct emp_core *c, const struct job *j, int64_t bytes_fetched);
void emp_plan_note_fetch(struct emp_core *c, const struct machine *m, const struct copy *copy,
                         bool ok);
void emp_plan_note_evict(struct emp_core *c, const struct machine *m, const struct copy *copy);
/* Is what begins there now (a fetch of the model) the plan's doing, or a job's? */
bool emp_plan_fetches(const struct machine *m, uint32_t model);
void emp_plan_send(struct emp_core *c, struct machine *m);
void emp_core_on_plan(struct emp_core *c, const struct emp_event *e);
void emp_plan_tick(struct emp_core *c);
emp_mono_ms emp_plan_next(const struct emp_core *c);

/* pull.c: machines that ask for work */
void emp_core_pull(struct emp_core *c);
emp_mono_ms emp_core_pull_due(const struct emp_core *c); /* when the next one asks */

static inline struct emp_str emp_core_name(const struct emp_core *c, uint32_t id)
{
    return emp_intern_name(&c->names, id);
}
static inline struct emp_str emp_pool_name(const struct emp_core *c, uint32_t pool)
{
    return pool == (uint32_t)EMP_POOL_NONE ? (struct emp_str){0} : c->settings->pools[pool].name;
}

#endif

/* A broker: the shell around the real core, as broker/ is one. Steps gather in a batch; a batch is
 * committed to the store, one at a time; only then does what rests on it take effect (persist, then
 * act). A crash loses the core, every batch that was not durable, every connection and every reply
 * still owed.
 *
 * Without a store (durable false, for measuring) what a step wants takes effect at once and nothing
 * is kept; such a broker must not crash. */
#ifndef EMP_SIM_BROKER_H
#define EMP_SIM_BROKER_H

#include "core/core.h"
#include "sim/store.h"
#include "sim/system.h"

struct emp_sim_broker_settings {
    const struct emp_settings *core; /* must outlive the broker */
    const struct emp_policy *policy; /* likewise */
    bool durable;
    bool check;                           /* emp_core_check after every step */
    int64_t commit_ms_min, commit_ms_max; /* of a batch */
    uint32_t slow_commits;                /* of 10,000: take commit_slow_ms instead */
    int64_t commit_slow_ms;
    int64_t plan_ms_min, plan_ms_max; /* a planner takes so long */
    /* Says what there is to be known beyond the snapshot before the planner runs; may be NULL. What
     * it adds lives in the arena. */
    void (*foretell)(void *ctx, struct emp_arena *a, struct emp_snapshot *s);
    void *foretell_ctx;
    uint32_t batch_steps_max; /* a batch is closed after so many steps; 0: never by count */
    int64_t late_ms_max;      /* ticks come up to so late */
};

/* A job as its submitter knows it. The work's number is the body's token: the payload of its
 * ASSIGN names it, and agents find it again by that. */
struct emp_sim_work {
    struct emp_job_spec spec;
    int64_t run_ms;  /* on a machine of normal speed */
    uint32_t kind;   /* of whoever submits */
    emp_job_num job; /* once the core has taken it */
    emp_mono_ms submitted_at;
    void *user;
};

struct emp_sim_batch;
struct emp_sim_broker {
    struct emp_sim_system *system;
    struct emp_sim_broker_settings settings;
    struct emp_core *core; /* NULL: down */
    uint32_t starts;
    struct emp_random random;
    int64_t mono_offset, wall_skew;
    struct emp_sim_store store;
    struct emp_arena arena;
    struct emp_slab works;
    struct emp_map work_of_job;
    struct emp_map links; /* of the agents' links that are open: 1, 2 once it has greeted */
    struct emp_sim_timer tick, commit, greet, plan;
    struct emp_planner *planner;                         /* NULL: intelligence is off */
    struct emp_arena plan_arena;                         /* of plan_result */
    struct emp_plan_result *plan_result;                 /* on its way to the core, or the last */
    struct emp_sim_batch *gather, *sealed, **sealed_end; /* sealed: the first is being committed */
    struct emp_sim_batch *spare;
    bool stepping;
    uint64_t steps, commits;
};

struct emp_sim_broker *emp_sim_broker_new(struct emp_sim_system *s,
                                          const struct emp_sim_broker_settings *settings);
void emp_sim_broker_release(struct emp_sim_broker *b);
void emp_sim_broker_start(struct emp_sim_broker *b);
/* durable: the batch under way had reached the disk, its effects nobody. */
void emp_sim_broker_crash(struct emp_sim_broker *b, bool durable);
void emp_sim_broker_jump(struct emp_sim_broker *b, int64_t ms); /* its wall clock */
bool emp_sim_broker_is_up(const struct emp_sim_broker *b);
struct emp_now emp_sim_broker_now(const struct emp_sim_broker *b);

/* ---- requests: dropped while it is down. Replies are seen by observers (released) ---- */

/* A copy of `work`; its number. `spec`'s strings must live as long as the broker, or, when not
 * durable, until the job's end has been released: then the work is gone. */
uint32_t emp_sim_work_new(struct emp_sim_broker *b, const struct emp_sim_work *work);
struct emp_sim_work *emp_sim_work_at(const struct emp_sim_broker *b, uint32_t number);
struct emp_sim_work *emp_sim_work_of(const struct emp_sim_broker *b,
                                     const struct emp_message_assign *assign);
struct emp_sim_work *emp_sim_work_of_job(const struct emp_sim_broker *b, emp_job_num job);

void emp_sim_broker_submit(struct emp_sim_broker *b, emp_request request, uint32_t work);
void emp_sim_broker_cancel(struct emp_sim_broker *b, emp_request request, emp_job_num job);
/* As the store has it; of an unknown or living job nothing happens, as the shell refuses it. */
void emp_sim_broker_retry(struct emp_sim_broker *b, emp_request request, emp_job_num job);
void emp_sim_broker_model(struct emp_sim_broker *b, emp_request request,
                          const struct emp_model *model);
void emp_sim_broker_drain(struct emp_sim_broker *b, emp_request request, struct emp_str machine,
                          bool on);
void emp_sim_broker_forget(struct emp_sim_broker *b, emp_request request, struct emp_str machine);

/* ---- the network's end ---- */
void emp_sim_broker_opened(struct emp_sim_broker *b, emp_link link);
void emp_sim_broker_message(struct emp_sim_broker *b, emp_link link, const struct emp_message *m);
void emp_sim_broker_closed(struct emp_sim_broker *b, emp_link link);

#endif

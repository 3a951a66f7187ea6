/* The oracle: a simple model of what must hold, that knows messages, durable changes and files, and
 * nothing of how the brains decide. What it checks, by the number of ARCHITECTURE's invariants:
 *
 *   1  a job's states follow one another as they may; it ends once; what was acknowledged exists;
 *      how an attempt ends decides what follows, and counts as it should
 *   2  attempt numbers only grow; only the current attempt, on its machine, moves a job; ASSIGN and
 *      what clients see rest on durable changes
 *   3  a job is assigned to, and runs on, a machine that meets what it asks
 *   4  no more leases and runs than slots, no more bytes than the disk's budget
 *   5  nothing that a run uses is deleted; a run begins with every model whole, of the right
 * content 6  nobody waits beside an idle machine that fits, but for a better one, for a bounded
 * time 7  order: rank decides among those who could go; who is past his patience is not passed
 * over; in the end all that can run has ended 8  (the log's hash: tests) 9  after a restart the
 * broker knows what was durable, nothing less, nothing more
 *
 * and leases: they end in time when a machine is silent or away, and not before. */
#ifndef EMP_SIM_CHECK_ORACLE_H
#define EMP_SIM_CHECK_ORACLE_H

#include "base/arena.h"
#include "base/map.h"
#include "base/random.h"
#include "core/core.h"
#include "machine/machine.h"
#include "sim/check/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct emp_sim_scene;

#define EMP_SIM_NOBODY UINT32_MAX
enum { EMP_SIM_ASSIGNED_MAX = 64 };

/* Where a job stands: once as the core has decided, once as it is durable. */
struct emp_sim_job_facts {
    bool exists;
    uint32_t work, kind;
    enum emp_job_state state;
    uint32_t attempt, machine; /* machine: of a leased job, else EMP_SIM_NOBODY */
    uint32_t counted, returns, losses, by_hand;
    int64_t tag;
    double priority;
    emp_wall_ms submitted_at, not_before;
    emp_blob_token result;
};

struct emp_sim_oracle_job {
    struct emp_sim_job_facts live, durable;
    emp_mono_ms arrived_at;  /* on the broker's clock; restored: before its start */
    emp_mono_ms due_at;      /* pending: may start from then on (broker's clock) */
    emp_mono_ms started_at;  /* in progress: since when, as the broker was told */
    bool restored;           /* its start was before the broker's: only bounds are known */
    emp_mono_ms idle_since;  /* waits although an idle machine fits, since; 0: does not */
    emp_mono_ms alone_since; /* and although nothing better is promised */
    bool had_better;         /* something was, a moment ago */
    uint32_t passed_over;    /* assignments that went before it since it is overdue */
    uint32_t life;           /* of the broker in which it was taken */
    uint32_t ends;           /* since it was last taken up: may be one */
};

struct emp_sim_oracle_machine {
    bool known; /* it has greeted this broker's store */
    emp_link link;
    char boot[32];
    const struct emp_machine_facts *facts; /* of its plan: they do not change */
    emp_mono_ms heard_at, lose_at; /* lose_at: away, its leases end by then; EMP_NEVER none */
    bool leaving, drained, drained_durably;
    uint32_t leases;
    uint32_t copies;        /* bits of models that it said it has or fetches, or was told to */
    uint32_t failures;      /* attempts that may be held against it */
    emp_mono_ms trouble_at; /* its link, process or clock was last disturbed (world's clock) */
};

/* A run in a connector's hands. */
struct emp_sim_oracle_run {
    emp_job_num job;
    uint32_t attempt, machine, kind;
    emp_mono_ms limit_at; /* its time is up (world's clock); EMP_NEVER not yet known */
    int64_t timeout_ms;
    bool stopping, cancelled; /* it has to stop; the broker wants it so */
};

/* What became of an attempt on a machine, by job and attempt. */
struct emp_sim_oracle_attempt {
    uint32_t machine;
    bool sent, ran, completed, lied;
    uint32_t boot; /* of the agent that was given it; 0: not yet, or it is no longer its own */
    emp_mono_ms ended_at;                      /* of the run, world's clock */
    uint32_t versions[EMP_SIM_MODELS_MAX + 1]; /* of its models' content, as assigned */
};

struct emp_sim_oracle {
    struct emp_sim_scene *scene;
    struct emp_arena arena;
    struct emp_sim_oracle_job *jobs; /* by number */
    size_t job_cap;
    emp_job_num last, last_durable;
    struct emp_sim_oracle_machine machines[EMP_SIM_MACHINES_MAX];
    struct emp_sim_oracle_run *runs;
    size_t run_count, run_cap;
    struct emp_map attempt_index; /* job << 20 | attempt -> attempts */
    struct emp_sim_oracle_attempt *attempts;
    size_t attempt_count, attempt_cap;
    uint64_t pending;              /* live */
    const struct emp_event *event; /* of the step at hand */
    bool new_boot;                 /* in that step a machine greets with another boot than before */
    struct emp_now now;            /* the broker's, of the step at hand */
    struct {
        emp_job_num num;
        uint32_t machine;
    } assigned[EMP_SIM_ASSIGNED_MAX]; /* in the step at hand */
    struct emp_sim_oracle_cancel {
        emp_job_num job;
        uint32_t attempt, machine;
    } to_cancel[EMP_SIM_ASSIGNED_MAX], cancelled_here[EMP_SIM_ASSIGNED_MAX]; /* likewise */
    uint32_t assigned_count, to_cancel_count, cancelled_count;
    bool outside_only; /* the brains' own checks are left out */
    uint64_t steps;
    uint64_t completed, failed, cancelled, requeued, crashes, refused;
};

void emp_sim_oracle_init(struct emp_sim_oracle *o, struct emp_sim_scene *scene);
void emp_sim_oracle_release(struct emp_sim_oracle *o);

/* A job that could run and has not ended; 0: none. */
emp_job_num emp_sim_oracle_unfinished(struct emp_sim_oracle *o);
/* Everything has healed and ended: what must hold now. */
void emp_sim_oracle_at_end(struct emp_sim_oracle *o);
/* An attempt of this job that the machine does not hold (for liars): an older one, one to come, or
 * the current one of another machine. */
uint32_t emp_sim_oracle_other_attempt(const struct emp_sim_oracle *o, emp_job_num job,
                                      uint32_t machine, struct emp_random *r);

/* An agent is about to report a lease that it does not hold. */
void emp_sim_oracle_lie(struct emp_sim_oracle *o, emp_job_num job, uint32_t attempt);
/* Its machine is disturbed, by what no event of its brain shows, until so long from now. */
void emp_sim_oracle_disturbed(struct emp_sim_oracle *o, uint32_t machine, int64_t for_ms);

/* ---- for the oracle's own files ---- */

struct emp_sim_oracle_job *emp_sim_oracle_job(struct emp_sim_oracle *o, emp_job_num num);
struct emp_sim_oracle_attempt *emp_sim_oracle_attempt(struct emp_sim_oracle *o, emp_job_num job,
                                                      uint32_t attempt, bool make);
/* Does the machine meet what jobs of this kind ask? Its own reading, apart from policy/match. */
bool emp_sim_oracle_meets(const struct emp_sim_oracle *o, uint32_t kind, uint32_t machine);
/* Could it have the kind's models: they fit its disk, and can be fetched or are there? */
bool emp_sim_oracle_can_hold(const struct emp_sim_oracle *o, uint32_t kind, uint32_t machine);
bool emp_sim_oracle_waits(const struct emp_sim_oracle *o, const struct emp_sim_oracle_job *j);
bool emp_sim_oracle_was_lie(struct emp_sim_oracle *o, emp_job_num job, uint32_t attempt);
/* When it arrived, on the broker's clock, as far as its record tells. */
void emp_sim_oracle_arrived(const struct emp_sim_oracle *o, struct emp_sim_oracle_job *j);
void emp_sim_oracle_wrong(struct emp_sim_oracle *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* oracle_core.c */
void emp_sim_oracle_core_event(void *ctx, const struct emp_event *e, struct emp_now now);
void emp_sim_oracle_core_stepped(void *ctx, const struct emp_event *e,
                                 const struct emp_action *actions, size_t count);
/* oracle_core_after.c: after each step */
void emp_sim_oracle_core_after(struct emp_sim_oracle *o);
void emp_sim_oracle_to_cancel(struct emp_sim_oracle *o, emp_job_num job, uint32_t attempt,
                              uint32_t machine);
int64_t emp_sim_oracle_limit(const struct emp_sim_oracle *o, const struct emp_sim_job_facts *f);
const struct emp_message_hello *emp_sim_oracle_hello(const struct emp_sim_oracle *o,
                                                     uint32_t machine); /* NULL: not in this step */
enum {
    EMP_SIM_BACKSTOP_MS = 30000
}; /* the broker trusts the agent to stop a run so long beyond
      its limit */
/* oracle_queue.c: who waits, and for how long */
void emp_sim_oracle_assigned(struct emp_sim_oracle *o, emp_job_num num, uint32_t machine);
void emp_sim_oracle_queue_check(struct emp_sim_oracle *o);
/* oracle_effects.c */
void emp_sim_oracle_committed(void *ctx, const struct emp_change *change);
void emp_sim_oracle_released(void *ctx, const struct emp_action *action);
void emp_sim_oracle_broker_down(void *ctx);
void emp_sim_oracle_broker_up(void *ctx);
/* oracle_machine.c */
void emp_sim_oracle_agent_down(void *ctx, struct emp_sim_agent *a);
void emp_sim_oracle_machine_event(void *ctx, struct emp_sim_agent *a,
                                  const struct emp_machine_event *e);
void emp_sim_oracle_machine_action(void *ctx, struct emp_sim_agent *a,
                                   const struct emp_machine_action *action);
void emp_sim_oracle_machine_stepped(void *ctx, struct emp_sim_agent *a);
void emp_sim_oracle_run_ended(void *ctx, struct emp_sim_agent *a, emp_job_num job, uint32_t attempt,
                              int code);

#endif

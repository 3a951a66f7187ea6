/* What the files of a run share. */
#ifndef EMP_SIM_MEASURE_ENGINE_H
#define EMP_SIM_MEASURE_ENGINE_H

#include "sim/agent.h"
#include "sim/broker.h"
#include "sim/measure/measure.h"

/* A job, by its number in the trace less history_count. */
struct emp_measure_job {
    emp_mono_ms submitted_at;
    emp_mono_ms best_at;              /* earliest start in hindsight; EMP_NEVER: not looked at */
    emp_mono_ms arrived_at;           /* at the machine of its last attempt */
    emp_mono_ms started_at, ended_at; /* computing, of its last attempt; -1: not yet */
    int32_t run_ms;                   /* on the mean machine */
    /* told at submission, from then; -1: nothing */
    int32_t told_start_ms, told_start_p90_ms, told_end_ms, told_end_p90_ms;
    uint8_t pool; /* meant for */
    uint8_t tier;
    bool first_use, counted, completed;
    bool beside_full;                     /* submitted while the last of several pools was full */
    bool hit_gpu, hit_resident, hit_disk; /* of its last attempt */
    bool ready; /* likewise: its models had all been there when it was submitted */
};

/* An attempt in a machine's hands. */
struct emp_measure_hand {
    uint32_t job;
    uint32_t attempt;
    emp_mono_ms begun_at;             /* in the connector's hands; -1: fetching */
    emp_mono_ms computes_at, ends_at; /* -1: not yet */
};

/* A model's copy on a machine, by the model's number in the system. */
struct emp_measure_copy {
    bool had;     /* it was here before, in this life */
    bool present; /* whole */
    bool used;    /* since it came */
    bool second;  /* it came while counting, and another machine had it */
    bool fetching;
    int64_t from;  /* bytes that were there when the fetch began */
    int64_t bytes; /* of it that are there, fetches under way left out */
    bool planned;  /* its fetch was begun for a plan */
    emp_mono_ms came_at;
};

/* A place in the fleet, and the machine that stands there now. */
struct emp_measure_place {
    struct emp_measure *run;
    uint32_t number, life, pool;
    struct emp_scenario_machine is;
    struct emp_sim_agent *agent; /* NULL: none yet */
    bool up;
    emp_mono_ms up_since;
    struct emp_sim_timer turn; /* it dies, or its replacement comes */
    struct emp_measure_hand *hands;
    uint32_t hand_count;
    size_t hand_cap;
    struct emp_measure_copy *copies;
    size_t copy_cap;
};

struct emp_measure {
    const struct emp_measure_run *asked;
    const struct emp_scenario *scenario;
    const struct emp_trace *trace;
    double speedup;
    struct emp_sim_system system;
    struct emp_arena arena;
    struct emp_settings settings; /* of the core */
    struct emp_pool pools[EMP_MEASURE_POOLS_MAX];
    struct emp_str services[EMP_TRACE_JOB_KIND_COUNT + 256];
    uint32_t service_count;

    /* submitting */
    struct emp_measure_job *jobs;
    uint32_t job_count, next, ended; /* next to be submitted; how many have ended */
    uint32_t *job_of_num;            /* by the core's number */
    struct emp_str *names;           /* of models, beside trace->job_models */
    uint32_t *model_number; /* in the system, of a trace's model; 0: not in the catalogue */
    struct emp_sim_timer submit, sample;
    bool counting;
    emp_mono_ms counting_since; /* what machines began earlier counts from then on */

    struct emp_measure_place *places; /* [scenario->machines] */
    struct emp_measure_place **place_of_agent;
    size_t place_of_agent_cap;
    uint32_t *holders; /* machines with a whole copy, by the model's number in the system */
    size_t holder_cap;

    /* sums while counting */
    double disk_share[EMP_MEASURE_POOLS_MAX];
    uint64_t disk_samples[EMP_MEASURE_POOLS_MAX];
    double disk_bytes[EMP_MEASURE_POOLS_MAX];
    uint64_t samples;
    int64_t machine_ms, busy_ms, wasted_ms, download_wait_ms;
    double cost;
    int64_t bytes_fetched, redundant_bytes[EMP_MEASURE_REDUNDANT_COUNT][2]; /* as in figures */
    uint64_t fetches, evictions, attempts, attempts_lost;

    /* Of what happens on the machines, whoever decides; and the planner's own. As they stood when
     * counting began, and ended. */
    struct emp_scorecard score;
    struct emp_scorecard_figures score_from, planner_from, planner_to;
};

static inline emp_mono_ms emp_measure_now(const struct emp_measure *m)
{
    return m->system.world.now;
}
static inline const struct emp_trace_job *emp_measure_row(const struct emp_measure *m, uint32_t job)
{
    return &m->trace->jobs[m->trace->history_count + job];
}
static inline struct emp_measure_place *emp_measure_place_of(const struct emp_measure *m,
                                                             const struct emp_sim_agent *a)
{
    return m->place_of_agent[a->index];
}

/* measure.c */
uint32_t emp_measure_job_of(const struct emp_measure *m, emp_job_num num); /* UINT32_MAX: none */
void emp_measure_job_ended(struct emp_measure *m, uint32_t job);

/* fleet.c */
void emp_measure_fleet_settings(struct emp_measure *m);
void emp_measure_fleet_start(struct emp_measure *m);
void emp_measure_fleet_count_until_now(struct emp_measure *m); /* hours and price of who is up */

/* behave.c */
extern const struct emp_sim_behaviour emp_measure_behaviour; /* ctx: the run */
/* Until the job's models are in GPU memory there, were it to load them now. */
int64_t emp_measure_load_ms(const struct emp_measure *m, const struct emp_sim_agent *a,
                            uint32_t job);
int64_t emp_measure_run_ms(const struct emp_measure *m, const struct emp_measure_place *p,
                           uint32_t job);

/* record.c */
void emp_measure_record_init(struct emp_measure *m);
void emp_measure_record_end(struct emp_measure *m);   /* copies that were never used */
void emp_measure_record_count(struct emp_measure *m); /* counting begins */

/* hindsight.c: the earliest start of the job, were it sent somewhere now */
emp_mono_ms emp_measure_best_start(const struct emp_measure *m, uint32_t job);

/* picture.c; each does nothing unless a picture is asked for */
void emp_measure_picture_begin(struct emp_measure *m); /* once the jobs are known */
void emp_measure_picture_hand(struct emp_measure *m, const struct emp_measure_place *p,
                              const struct emp_measure_hand *h); /* it is over, now */
void emp_measure_picture_down(struct emp_measure *m, const struct emp_measure_place *p);
void emp_measure_picture_up(struct emp_measure *m, const struct emp_measure_place *p);
void emp_measure_picture_end(struct emp_measure *m);

/* foretell.c: the true demand, for a clairvoyant (struct emp_sim_broker_settings) */
void emp_measure_foretell(void *ctx, struct emp_arena *a, struct emp_snapshot *s);

/* figures.c */
void emp_measure_figures_make(struct emp_measure *m, struct emp_measure_figures *ret);

#endif

/* What a seed means: the fleet, the models, the kinds of jobs, how things behave, what goes wrong
 * and how often. Everything is drawn here, before the run, so that a run can be read from its plan;
 * what is drawn later (which machine dies now) comes from streams of their own.
 *
 * Each run is one of many shapes: a run in which everything goes wrong a little finds less than
 * runs in which some things go wrong often and others never. */
#ifndef EMP_SIM_CHECK_PLAN_H
#define EMP_SIM_CHECK_PLAN_H

#include "base/arena.h"
#include "base/random.h"
#include "domain/settings.h"
#include "sim/agent.h"
#include "sim/broker.h"
#include "sim/world.h"

enum {
    EMP_SIM_MACHINES_MAX = 8,
    EMP_SIM_KINDS_MAX = 10,
    EMP_SIM_MODELS_MAX = 10,
};

/* A kind of job: all of one kind ask for the same, but for priority, key and the like. */
struct emp_sim_kind {
    struct emp_job_spec spec;
    double gpu_memory_gb; /* it asks for; 0: nothing */
    bool not_spot;        /* it asks for a machine that is not one of provider "spot" */
    uint32_t models[4];   /* numbers, spec.model_count of them */
    int64_t models_bytes;
    int64_t run_ms_min, run_ms_max;
    uint32_t fails, rejects, hangs, blames, starts_badly; /* of 10,000 executions */
    bool pool_given; /* spec.pool names where it must be able to start */
};

struct emp_sim_machine_plan {
    struct emp_sim_agent_settings settings;
    double gpu_memory_gb;
    uint32_t fails; /* of 10,000 executions: a bad machine */
    uint32_t given; /* bits by model number: on its disk from the beginning */
    int64_t load_bytes_per_s;
};

/* What goes wrong: mean time between two of each, in ms; 0: never. */
enum emp_sim_fault {
#define EMP_SIM_FAULT(name, mean_s) EMP_SIM_FAULT_##name,
#include "sim/check/faults.def"
    EMP_SIM_FAULT_COUNT
};

struct emp_sim_plan {
    struct emp_arena arena;
    struct emp_settings core;
    struct emp_policy policy;
    struct emp_sim_network_settings network;
    struct emp_sim_broker_settings broker;
    struct emp_sim_machine_plan machines[EMP_SIM_MACHINES_MAX];
    uint32_t machine_count;
    struct emp_model models[EMP_SIM_MODELS_MAX + 1]; /* from 1 */
    uint32_t model_count;
    struct emp_sim_kind kinds[EMP_SIM_KINDS_MAX];
    uint32_t kind_count;
    int64_t fault_ms[EMP_SIM_FAULT_COUNT];
    uint32_t bad_fetches; /* of 10,000 fetches: corrupted, cut short, refused */
    uint32_t bad_deletes; /* of 10,000 */
    uint32_t bad_loads;   /* of 10,000 loads into memory for the plan */
    uint32_t keys;        /* of 10,000 submissions carry an idempotency key */
    int64_t arrival_ms;   /* mean time between submissions */
    uint32_t burst_max;   /* so many at once, at most */
    uint32_t jobs_max;
    int64_t faulty_ms; /* submissions and faults until then; then all heals */
    bool pooled;       /* there are pools: where a job belongs is a matter of estimates */
};

void emp_sim_plan_make(struct emp_sim_plan *p, const struct emp_sim_world *w);
void emp_sim_plan_release(struct emp_sim_plan *p);

#endif

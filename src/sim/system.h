/* A whole system under simulation: one broker around the real core, agents around the real machine
 * brains, a network between them, a store, a catalogue of models. Who builds one says what machines
 * there are (emp_sim_agent_add), how things behave (struct emp_sim_behaviour), and who watches
 * (struct emp_sim_observer); then submits jobs and lets the world run.
 *
 * Users: sim/check (fault finding) and sim/measure (policies on traces). Neither is known here.
 *
 * Ownership: everything lives until emp_sim_system_release. Strings given in facts, models and
 * specs must live as long. */
#ifndef EMP_SIM_SYSTEM_H
#define EMP_SIM_SYSTEM_H

#include "core/core.h"
#include "machine/machine.h"
#include "sim/network.h"
#include "sim/world.h"

struct emp_sim_system;
struct emp_sim_agent;
struct emp_sim_broker;

/* ------------------------------------------------------------------ how things behave */

/* What a job's execution on a machine will be: decided when it begins. */
struct emp_sim_run_plan {
    int64_t load_ms;  /* until all its models are in GPU memory and it computes */
    int64_t run_ms;   /* of computing; EMP_NEVER: until it is stopped */
    int64_t store_ms; /* of handing its outputs over; 0: at once, without RUN_STORING */
    int64_t
        stop_ms; /* from STOP to its end; EMP_NEVER: it does not listen, only WATCHDOG ends it */
    int64_t progress_ms; /* a progress report this often; 0: none */
    int code;            /* 0, or EMP_E_* that it ends with */
    bool retryable, machine_fault;
    bool fails_early;  /* with a code: before it computes */
    bool keeps_loaded; /* its models stay in GPU memory */
};
/* How a fetch will go. */
struct emp_sim_fetch_plan {
    int64_t setup_ms;  /* before the first byte */
    int64_t end_bytes; /* it ends when the file has so many; model's size: it is whole */
    int code;          /* 0, or EMP_E_* that it ends with there */
    bool machine_fault;
    bool keeps_half; /* with a code: what has come stays and may be resumed */
};

struct emp_sim_behaviour {
    void (*run)(void *ctx, struct emp_sim_agent *a, const struct emp_message_assign *assign,
                struct emp_sim_run_plan *ret);
    void (*fetch)(void *ctx, struct emp_sim_agent *a, const struct emp_model *model,
                  int64_t kept_bytes, struct emp_sim_fetch_plan *ret);
    /* ms to bring a model from where it stands into RAM or GPU memory for the plan; negative:
     * EMP_E_*, that cannot be. NULL: it never can */
    int64_t (*load)(void *ctx, struct emp_sim_agent *a, const struct emp_model *model,
                    enum emp_residency to);
    int (*del)(void *ctx, struct emp_sim_agent *a, uint32_t model); /* 0, or why it cannot be */
    void (*exited)(void *ctx, struct emp_sim_agent *a, int code); /* the process has ended itself */
    void *ctx;
};

/* ------------------------------------------------------------------ who watches */

/* Any may be NULL. Pointers live for the call. */
struct emp_sim_observer {
    void *ctx;
    /* the core, as it is stepped */
    void (*core_event)(void *ctx, const struct emp_event *e, struct emp_now now); /* before */
    void (*core_stepped)(void *ctx, const struct emp_event *e, const struct emp_action *actions,
                         size_t count); /* what this step appended */
    /* the store and what rests on it */
    void (*committed)(void *ctx, const struct emp_change *change);
    void (*released)(void *ctx, const struct emp_action *action); /* takes effect now */
    void (*broker_down)(void *ctx);
    void (*broker_up)(void *ctx); /* restored and started */
    /* an agent */
    void (*agent_up)(void *ctx, struct emp_sim_agent *a);
    void (*agent_down)(void *ctx, struct emp_sim_agent *a);
    void (*machine_event)(void *ctx, struct emp_sim_agent *a,
                          const struct emp_machine_event *e); /* before */
    void (*machine_action)(void *ctx, struct emp_sim_agent *a,
                           const struct emp_machine_action *action); /* before it is carried out */
    void (*machine_stepped)(void *ctx, struct emp_sim_agent *a);     /* after all of them */
    void (*run_ended)(void *ctx, struct emp_sim_agent *a, emp_job_num job, uint32_t attempt,
                      int code); /* the connector has ended, whether or not the brain hears of it */
};
enum { EMP_SIM_OBSERVERS_MAX = 4 };

/* ------------------------------------------------------------------ the system */

struct emp_sim_model {
    struct emp_model model;
    uint32_t version; /* of its content: the sha256 tells it */
};

struct emp_sim_system {
    struct emp_sim_world world;
    struct emp_sim_network network;
    struct emp_sim_behaviour behaviour;
    struct emp_sim_observer observers[EMP_SIM_OBSERVERS_MAX];
    uint32_t observer_count;
    struct emp_sim_broker *broker;
    struct emp_sim_agent **agents;
    uint32_t agent_count;
    size_t agent_cap;
    struct emp_intern machine_names; /* of a machine's id: its index + 1 */
    struct emp_intern model_names;   /* number of a model everywhere in sim/, from 1 */
    struct emp_sim_model *models;    /* by that number */
    size_t model_cap;
};

void emp_sim_system_init(struct emp_sim_system *s, uint64_t seed,
                         const struct emp_sim_network_settings *network,
                         const struct emp_sim_behaviour *behaviour);
void emp_sim_system_release(struct emp_sim_system *s);
void emp_sim_system_observe(struct emp_sim_system *s, const struct emp_sim_observer *o);

/* Adds a model or a new version of one; fills in its sha256. The number. What origins serve from
 * now on; the broker learns it from its own operator (emp_sim_broker_model). */
uint32_t emp_sim_model_put(struct emp_sim_system *s, const struct emp_model *model);
uint32_t emp_sim_model_find(const struct emp_sim_system *s, struct emp_str name); /* 0: unknown */
/* A machine's index by its id; UINT32_MAX: unknown. */
uint32_t emp_sim_agent_number(const struct emp_sim_system *s, struct emp_str id);
void emp_sim_sha_make(struct emp_str name, uint32_t version, char out[65]);
uint32_t emp_sim_sha_version(const char sha256[65]);

/* EMP_SIM_WATCH(s, core_event, &e, now): every observer that has it. */
#define EMP_SIM_WATCH(s, call, ...)                                             \
    do {                                                                        \
        for (uint32_t ow_ = 0; ow_ < (s)->observer_count; ow_++)                \
            if ((s)->observers[ow_].call)                                       \
                (s)->observers[ow_].call((s)->observers[ow_].ctx, __VA_ARGS__); \
    } while (0)
#define EMP_SIM_WATCH0(s, call)                                    \
    do {                                                           \
        for (uint32_t ow_ = 0; ow_ < (s)->observer_count; ow_++)   \
            if ((s)->observers[ow_].call)                          \
                (s)->observers[ow_].call((s)->observers[ow_].ctx); \
    } while (0)

#endif

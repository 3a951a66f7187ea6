/* What one candidate machine would cost a job, in seconds until it could start and what that start
 * spends: the terms of domain/route.h. Pure arithmetic over facts that the core gathers; whole
 * microseconds. */
#ifndef EMP_POLICY_ROUTE_H
#define EMP_POLICY_ROUTE_H

#include "domain/route.h"
#include "domain/settings.h"

/* How many of a job's models stand where; what its running fetches bring is absent still. */
struct emp_route_models {
    uint32_t absent, on_disk, in_ram, in_gpu;
};

struct emp_route_facts {
    int64_t waited_ms;    /* by the job so far */
    int64_t slot_free_ms; /* expected until one of its slots is free for this job; 0: now */
    int64_t fetch_bytes;  /* of the job's models not yet on its disk, plus bytes its running fetches
                             must move first */
    int64_t missing_bytes;    /* of the job's models alone, not on disk and not being fetched */
    int64_t link_bytes_per_s; /* measured; 0: settings' assumption */
    int64_t load_ms; /* of the job's models into GPU memory, from where they are or will be */
    int64_t run_ms;  /* expected on the fleet's mean machine */
    double speed;    /* its run time relative to the mean; 1 when not known */
    bool own_pool;   /* of the job's pool, or a sub-pool that shares its durations */
    int64_t pool_penalty_ms;                  /* of the machine's pool for outsiders */
    int64_t pool_run_ms_min, pool_run_ms_max; /* of the machine's pool */
    int64_t displaced_ms; /* worth of what must be evicted or pushed out of GPU memory */
    int64_t age_ms;       /* since its boot: hazard falls with age (SALAD: anchors) */
    double failure_rate;  /* 0 … 1, recent attempts it failed */
    bool failed_this_job; /* an earlier attempt of this very job ended badly here */
    uint32_t slots, busy;
    struct emp_route_models whole;    /* models that stand for themselves: checkpoints … */
    struct emp_route_models modifier; /* that modify these: LoRAs … (emp_model_kind_modifies) */
};
void emp_route_terms(const struct emp_settings_routing *s, const struct emp_route_facts *f,
                     struct emp_route_terms *ret);

/* Is it worth to make a job's models ready there, in idle time, for the jobs that come next?
 * Microseconds of their waiting saved within the hour, less what is pushed out for it and some of
 * the effort; more than 0: yes. `there`: the terms of such a job; crowd_ms: expected waiting of the
 * next hour's jobs as things are, crowd_with_ms: if that machine had the models too. */
int64_t emp_route_spare(const struct emp_settings_routing *s, const struct emp_route_terms *there,
                        int64_t crowd_ms, int64_t crowd_with_ms);

/* Hazard of the machine vanishing, per hour, at that age: falls from three times the settings' rate
 * in the first two hours towards a third of it after three days. */
double emp_route_hazard_per_hour(const struct emp_settings_routing *s, int64_t age_ms);

#endif

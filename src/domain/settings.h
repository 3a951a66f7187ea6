/* What the brains can be told by configuration: plain numbers with defaults, filled by config/.
 * Times in ms, bytes in bytes. */
#ifndef EMP_DOMAIN_SETTINGS_H
#define EMP_DOMAIN_SETTINGS_H

#include "base/str.h"
#include "domain/job.h"

struct emp_pool {
    struct emp_str name;
    struct emp_str specialty;   /* empty: general */
    struct emp_str region;      /* empty: any */
    struct emp_str customer;    /* set: only this customer's jobs */
    struct emp_str parent;      /* the general pool whose durations it shares; empty: none */
    struct emp_str *compliance; /* tags its machines fulfil */
    struct emp_str *services;   /* what it is for; none: any */
    uint32_t compliance_count, service_count;
    int64_t run_ms_min;                     /* jobs of [run_ms_min, run_ms_max) belong here */
    int64_t run_ms_max;                     /* EMP_NEVER: no upper end */
    int64_t disk_bytes_min, disk_bytes_max; /* what its machines are expected to have */
    double gpu_memory_gb_min, ram_gb_min, cpu_cores_min; /* hardware class */
    int64_t penalty_ms;                                  /* for a job of another pool to run here */
    bool reactive;           /* models come only when jobs ask for them: no plans here */
    double evict_small_lean; /* eviction leaning: 1 keeps small and frequent, 0 neutral, -1 keeps
                                large and costly */
};

struct emp_settings_routing {
    double pool_quantile; /* of the run-time estimate that decides the pool; (0,1), default 0.8 */
    double longer_job_weight;     /* a job too long for a pool pays this share of its run time;
                                     default 0.3 */
    int64_t warm_wait_ms_max;     /* longest wait for a busy warm machine while an idle one fits;
                                     default 120 s */
    int64_t link_bytes_per_s;     /* assumed where not measured; default 25 MB/s */
    int64_t load_bytes_per_s;     /* disk to GPU memory; default 300 MB/s */
    int64_t ram_load_bytes_per_s; /* RAM to GPU memory; default 2.5 GB/s */
    double displacement_weight;   /* of what is pushed out; default 1 */
    double spare_weight;     /* of later jobs' waiting that a spare copy saves; 0: no spares; 0.6 */
    double run_delta_weight; /* of run time saved on a faster machine, against waiting; 0.1 */
    int64_t promise_ms;      /* a start later than this after submission … ; 10 s */
    int64_t late_ms;         /* … counts so much more; 40 s */
    double hazard_per_hour;  /* of a machine vanishing in its first hours; default 0.0108 (SALAD) */
    double failure_weight_ms; /* risk per unit of failure rate; default 30 s */
};
struct emp_settings_fairness {
    int64_t point_ms; /* virtual ms that one point of priority is worth (ageing); default 60 s */
    int64_t patience_ms[EMP_TIER_COUNT]; /* after it a runnable job goes first; defaults 600, 300,
                                            120 s */
    double weight[EMP_TIER_COUNT];       /* shares; defaults 1, 3, 6 */
};
struct emp_settings_lease {
    uint32_t beat_ms;        /* default 2 s */
    uint32_t silent_ms;      /* default 8 s: leases are gone within 10 s */
    uint32_t closed_ms;      /* default 5 s to return after a close */
    uint32_t start_grace_ms; /* default 10 s after a broker start */
};
struct emp_settings_retry {
    int64_t base_ms,
        max_ms; /* back-off min(max, base * 2^(n-1)), with jitter ± jitter; defaults 1 s, 60 s */
    double jitter;       /* default 0.3 */
    int32_t max_retries; /* executions in total where not said; default 3 */
    int32_t returns_max; /* hand-backs beyond this count as attempts; default 20 */
    int32_t losses_max; /* losses of the machine beyond this count (the job may be what kills them);
                           default 3 */
    int64_t timeout_ms; /* run limit where not said; default 30 min */
};
struct emp_settings_blame {
    uint32_t quarantine_failures; /* failures in a row of otherwise good jobs; default 3 */
    int64_t quarantine_ms;        /* default 5 min, doubling up to 1 h */
};

struct emp_settings_intelligence {
    bool on;          /* forecast, place and move models ahead of demand; default true */
    int64_t every_ms; /* a plan so often; default 60 s */
};

struct emp_settings {
    struct emp_pool *pools;
    uint32_t pool_count;
    struct emp_str
        *builtin_services; /* of built-in connectors: accepted while no machine was ever seen */
    uint32_t builtin_service_count;
    uint64_t pending_max;      /* default 10,000,000 */
    int64_t machine_memory_ms; /* seen within this: could run jobs again; default 24 h */
    struct emp_settings_routing routing;
    struct emp_settings_fairness fairness;
    struct emp_settings_lease lease;
    struct emp_settings_retry retry;
    struct emp_settings_blame blame;
    struct emp_settings_intelligence intelligence;
};

/* The defaults, with the three pools fast-lane, standard, heavy. Static storage, never freed. */
const struct emp_settings *emp_settings_default(void);

#endif

/* A scenario: on what fleet, with what assumptions. Read from YAML (docs/simulation.md: every key),
 * five of which are built in (src/sim/scenarios/). Each distribution is a table of quantiles that
 * names its source, so that a run needs no file beside it, and every assumption can be printed.
 *
 * Ownership: a scenario lives in its own arena until emp_scenario_release; plain data after
 * loading, any number of threads may read it. */
#ifndef EMP_SIM_MEASURE_SCENARIO_H
#define EMP_SIM_MEASURE_SCENARIO_H

#include "base/arena.h"
#include "base/error.h"
#include "base/random.h"
#include "base/str.h"
#include "sim/measure/trace.h"

#include <stdbool.h>
#include <stdint.h>

/* ------------------------------------------------------------------ tables */

/* Value by share: value[i] is reached by share[i] of all; straight lines between. share[0] is 0,
 * the last 1; both grow. */
struct emp_quantiles {
    uint32_t count; /* >= 2; 0: the scenario does not have this table */
    double *share, *value;
    struct emp_str source;
};
double emp_quantiles_at(const struct emp_quantiles *q, double share /* clamped to [0, 1] */);
double emp_quantiles_draw(const struct emp_quantiles *q, struct emp_random *r);
double emp_quantiles_mean(const struct emp_quantiles *q);

/* ------------------------------------------------------------------ the fleet */

struct emp_scenario_pool {
    struct emp_str name; /* fast-lane, standard, heavy, or one's own */
    uint32_t machines, slots;
    int64_t gpu_memory_bytes; /* each machine's; models in it are there for all slots */
    int64_t ram_bytes;        /* for models */
    int64_t disk_bytes;       /* for models */
    uint32_t streams;         /* whose jobs are meant for it: bits 1 << enum emp_trace_job_kind */
};

struct emp_scenario_gpu {
    struct emp_str name;
    double share;   /* of the machines */
    double time;    /* run time relative to the table's reference; the fleet's mean is made 1 */
    double price_h; /* USD an hour */
};

/* ------------------------------------------------------------------ models */

/* One family of models of a kind: SD1, SDXL, Flux are those of the bases. */
struct emp_scenario_family {
    struct emp_str name;
    double share; /* of the kind's models, by hash of the id */
    struct emp_quantiles bytes;
};
struct emp_scenario_kind {
    uint32_t family_count;
    struct emp_scenario_family *families;
    struct emp_quantiles load_disk_ms; /* from disk into GPU memory; none: by rate */
    struct emp_quantiles load_ram_ms;  /* from RAM into GPU memory; none: by rate */
};

/* ------------------------------------------------------------------ the generated trace */

/* In what way requests follow each other, over which models, by whom; read emp_trace_generate. */
struct emp_scenario_generator {
    struct emp_str source;
    emp_wall_ms start;       /* local midnight of the first day */
    double days;             /* with times, whole */
    double history;          /* rows without time before them */
    double jobs_per_workday; /* mean */
    double weekend_share;    /* a Saturday's or Sunday's jobs relative to a workday's */
    double hour_weight[24];  /* of local hours; sum made 1 */
    struct emp_quantiles
        burst;           /* factor of a 10-minute bin's rate over its hour's mean; mean made 1 */
    double follow_share; /* of jobs that follow another of their user's session … */
    struct emp_quantiles follow_ms; /* … after such a gap */
    double follow_same_base;        /* of those, the share that keeps the base … */
    double follow_same_loras;       /* … and of these, its LoRAs too */
    /* Popularity: the rank (from 0, whole part) that such a share of requests stays below; the last
     * value is how many there are at a time. */
    struct emp_quantiles base_rank, lora_rank, user_rank;
    double new_bases_per_day, new_loras_per_day; /* replace others; the most used stay */
    double lora_job_share;                       /* of jobs that have a LoRA */
    double lora_count_share[4];                  /* of those, with 1, 2, 3, 4 of them; sum made 1 */
    double lora_home_share;                      /* of a LoRA's uses that are on its one base */
    struct emp_quantiles exec_ms;                /* as recorded, loads of LoRAs included */
    double exec_base_share; /* [0, 1]: of its variance (of ranks) that the base decides */
};

/* Jobs beside the trace, for `mixed`. */
struct emp_scenario_text {
    struct emp_str source;
    double jobs_per_hour;      /* mean over the day; 0: no such stream */
    double hour_weight[24];    /* sum made 1 */
    struct emp_quantiles rate; /* factor of a 10-minute window's rate over its hour's mean */
    struct emp_quantiles cv;   /* of the gaps inside a window (gamma law) */
    struct emp_quantiles run_ms;
    struct emp_quantiles model_rank; /* popularity, as above */
    double priority;
};
struct emp_scenario_video {
    struct emp_str source;
    double jobs_per_hour;
    double hour_weight[24];
    struct emp_quantiles run_ms;
    struct emp_quantiles workflow_rank; /* popularity of sets of models */
    struct emp_quantiles extra_count;   /* models of a set beside its diffusion model */
    double extras;                      /* different ones that there are */
    double priority;
};

/* ------------------------------------------------------------------ all of it */

struct emp_scenario {
    struct emp_arena arena;
    struct emp_str name, about;
    uint32_t pool_count;
    struct emp_scenario_pool *pools;
    uint32_t machines; /* of all pools */

    struct emp_quantiles link_bytes_per_s; /* download rate of a machine */
    double fetch_setup_ms;                 /* before a download's first byte */

    uint32_t gpu_count;
    struct emp_scenario_gpu *gpus;
    struct emp_str gpu_source;
    bool gpu_mixed; /* false: every machine is the mean one (factor 1, mean price) */

    bool churn;
    struct emp_quantiles uptime_ms;  /* of a machine, until it is gone without warning */
    double uptime_censored;          /* share that lives on past the table's end … */
    struct emp_quantiles startup_ms; /* from the loss of a machine to its cold replacement */

    double speedup;   /* of the trace's times; 1 as recorded */
    double run_scale; /* of recorded run times; 1 */
    int64_t run_ms_min;
    double lora_ms_in_exec; /* what a row's exec_ms holds for each of its LoRAs */

    struct emp_scenario_kind kinds[EMP_TRACE_MODEL_KIND_COUNT];
    double disk_load_bytes_per_s, ram_load_bytes_per_s; /* where a kind has no load table */
    struct emp_str rate_source;

    struct emp_scenario_generator generator;
    struct emp_scenario_text text;
    struct emp_scenario_video video;

    struct emp_str *notes; /* [note_count] further assumptions, sentences */
    uint32_t note_count;
};

/* Loads a built-in scenario by name, or a file of an operator's (a word with '/' or ".yaml"). 0;
 * EMP_E_NOT_FOUND naming those there are; EMP_E_IO; EMP_E_INVALID with "FILE:LINE: key: what". */
int emp_scenario_load(struct emp_scenario *sc, const char *name_or_path, struct emp_error *err);
/* From text; `file` is for messages. On an error `sc` is released already. */
int emp_scenario_parse(struct emp_scenario *sc, const char *file, const char *text, size_t len,
                       struct emp_error *err);
void emp_scenario_release(struct emp_scenario *sc);

/* The built-in ones. */
struct emp_scenario_builtin {
    const char *name;
    const char *text; /* the YAML */
    size_t len;
};
uint32_t emp_scenario_builtins(const struct emp_scenario_builtin **ret);

/* Every assumption, a line each, with its source: what `emp sim run` prints first. */
void emp_scenario_print(const struct emp_scenario *sc, struct emp_buf *out);

/* ------------------------------------------------------------------ what follows from it */

/* Bytes of a model: the file's, else by a hash of its name over the kind's families. > 0. */
int64_t emp_scenario_model_bytes(const struct emp_scenario *sc, const struct emp_trace_model *m);
/* One load into GPU memory, drawn: from disk or from RAM. >= 0. */
int64_t emp_scenario_load_ms(const struct emp_scenario *sc, enum emp_trace_model_kind kind,
                             int64_t bytes, bool from_ram, double share /* the draw, [0, 1) */);
/* Computing time of a job on a GPU of factor 1: exec_ms less what it holds of loads. */
int64_t emp_scenario_run_ms(const struct emp_scenario *sc, const struct emp_trace *t,
                            const struct emp_trace_job *j);

/* Some pool's machines have a disk for all of its models. */
bool emp_scenario_holds(const struct emp_scenario *sc, const struct emp_trace *t,
                        const struct emp_trace_job *j);

/* What a machine is, by its number and life (0: the first; a replacement is the next), from the
 * seed: the same for every policy. */
struct emp_scenario_machine {
    const struct emp_scenario_pool *pool;
    const struct emp_scenario_gpu *gpu; /* NULL: the mean one */
    double time;                        /* factor on run times, mean of the fleet 1 */
    double price_h;
    int64_t link_bytes_per_s;
    int64_t up_ms;      /* how long it lives; EMP_NEVER without churn or past the table's end */
    int64_t startup_ms; /* how long its replacement takes */
};
void emp_scenario_machine(const struct emp_scenario *sc, uint64_t seed, uint32_t number,
                          uint32_t life, struct emp_scenario_machine *ret);

#endif

/* A trace: who asked for what, when. Read from a file (two formats, told apart by their header:
 * docs/simulation.md), or generated from a scenario's tables; then narrowed to the days that count.
 *
 * Times are local wall time as the file writes it, kept as if it were UTC. Rows without time stand
 * first and are history only: they tell which models go together and how often, and never run.
 * Everything after them is in order of time.
 *
 * Ownership: all of a trace lives in its own arena until emp_trace_release. One thread. A trace
 * takes about 48 bytes a job and 4 a model that it names. */
#ifndef EMP_SIM_MEASURE_TRACE_H
#define EMP_SIM_MEASURE_TRACE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "domain/job.h"

#include <stdbool.h>
#include <stdint.h>

struct emp_scenario;

enum { EMP_TRACE_ROWS_MAX = 100000000 };

/* What a model is; decides its size (where the file does not say) and how long it loads. */
enum emp_trace_model_kind {
    EMP_TRACE_BASE, /* an image checkpoint */
    EMP_TRACE_LORA,
    EMP_TRACE_CONTROLNET,
    EMP_TRACE_VIDEO, /* the diffusion model of a video workflow */
    EMP_TRACE_TEXT,  /* a language model */
    EMP_TRACE_OTHER, /* text encoder, VAE, upscaler, … */
    EMP_TRACE_MODEL_KIND_COUNT
};
const char *emp_trace_model_kind_word(enum emp_trace_model_kind k); /* "base", "lora", … */

struct emp_trace_model {
    struct emp_str name; /* unique among all kinds: one name is one model */
    enum emp_trace_model_kind kind;
    int64_t bytes; /* as the file says; 0: it does not, ask emp_scenario_model_bytes */
};

enum emp_trace_job_kind {
    EMP_TRACE_JOB_TRACE, /* a row of the file, or of the generated trace */
    EMP_TRACE_JOB_TEXT,  /* of the scenario's text stream */
    EMP_TRACE_JOB_VIDEO, /* of the scenario's video stream */
    EMP_TRACE_JOB_KIND_COUNT
};

struct emp_trace_job {
    emp_wall_ms submitted_at; /* local; 0 for history */
    uint32_t model;         /* its models are numbers of `models`: job_models[model … + count) */
    uint32_t user;          /* number in `users`, 0: not said */
    int32_t exec_ms;        /* as recorded, >= 0; see `exec_has_load`, and emp_scenario_run_ms */
    float priority;         /* default 50 */
    uint16_t model_count;   /* the base first, then LoRAs in their order */
    uint16_t images, steps; /* 0: not said */
    uint8_t service, pool;  /* numbers in `services`, `pools`; 0: not said */
    uint8_t kind;           /* enum emp_trace_job_kind */
    uint8_t tier;           /* enum emp_tier */
    bool exec_has_load;     /* exec_ms holds the old system's loading of LoRAs too */
};

/* Rows that were read over, by reason. */
enum emp_trace_skip {
    EMP_TRACE_SKIP_PENDING,  /* status PENDING or PROCESSING: never ended */
    EMP_TRACE_SKIP_NO_MODEL, /* empty base_model */
    EMP_TRACE_SKIP_NO_EXEC,  /* empty exec_s */
    EMP_TRACE_SKIP_NO_TIME,  /* no time, after rows that have one */
    EMP_TRACE_SKIP_COUNT
};
const char *emp_trace_skip_text(enum emp_trace_skip s); /* "still pending or processing", … */

struct emp_trace {
    struct emp_arena arena;
    struct emp_str name;            /* file name without folders, or "generated" */
    struct emp_trace_model *models; /* [model_count]; number 0 is the first */
    uint32_t *job_models;
    struct emp_trace_job *jobs; /* [job_count]: history, then timed */
    struct emp_intern users, services, pools;
    uint32_t model_count, job_model_count, job_count;
    uint32_t history_count; /* jobs[0 … history_count) have no time */
    uint32_t counted_from;  /* jobs[counted_from … job_count) count; timed ones before: warm-up */
    emp_wall_ms counted_since; /* local midnight of the first day that counts */
    emp_wall_ms origin;        /* local midnight before the first timed job; 0 without any */
    uint64_t skipped[EMP_TRACE_SKIP_COUNT];
    uint64_t failed_rows; /* status FAILED: they run as others */
    /* the reader's and generators' own */
    struct emp_intern model_names; /* number - 1 is the index in `models` */
    size_t model_cap, job_model_cap, job_cap;
};

void emp_trace_init(struct emp_trace *t);
void emp_trace_release(struct emp_trace *t);

/* Reads a file into an initialised trace. 0; what emp_file errors say (os/files.h), or
 * EMP_E_INVALID, _MALFORMED, _LIMIT with "FILE:LINE: COLUMN: what is wrong" in `err`; what was read
 * until then stays in `t`. */
int emp_trace_read(struct emp_trace *t, const char *path, struct emp_error *err);
/* The same from memory; `name` stands for the file. */
int emp_trace_parse(struct emp_trace *t, const char *name, const char *text, size_t len,
                    struct emp_error *err);

/* A trace of the shape that the scenario's tables describe (scenario.h: `generator`). The same seed
 * gives the same trace. */
void emp_trace_generate(struct emp_trace *t, const struct emp_scenario *sc, uint64_t seed);

/* Adds the scenario's text and video streams over the days of the trace; nothing where it has none.
 * Their shares of time are the counted days', so call it after select. */
void emp_trace_add_streams(struct emp_trace *t, const struct emp_scenario *sc, uint64_t seed);

/* Inclusive local dates ("2025-02-11"; NULL: open). Jobs after `to` go; those before `from` stay as
 * warm-up (counted_from). 0, or EMP_E_INVALID: no date, none in it, or the wrong way round. */
int emp_trace_select(struct emp_trace *t, const char *from, const char *to, struct emp_error *err);

/* All of it, as `emp sim run` wants it: read `path` or generate (NULL), select, add the streams. */
int emp_trace_open(struct emp_trace *t, const struct emp_scenario *sc, const char *path,
                   const char *from, const char *to, uint64_t seed, struct emp_error *err);

/* Virtual ms of a timed job: since `origin`, times compressed by `speedup` (> 0); run times are
 * not. */
static inline int64_t emp_trace_virtual_ms(const struct emp_trace *t, const struct emp_trace_job *j,
                                           double speedup)
{
    return (int64_t)((double)(j->submitted_at - t->origin) / speedup);
}

/* ── for those who build one ── */

/* The model's index in `models`; added when unknown. The first kind and size named stay. */
uint32_t emp_trace_model(struct emp_trace *t, struct emp_str name, enum emp_trace_model_kind kind,
                         int64_t bytes);
/* Keeps a job's models; where they start in `job_models`. */
uint32_t emp_trace_job_models(struct emp_trace *t, const uint32_t *models, uint16_t count);
/* Appends one job with its models. Times must not go back; history first. */
void emp_trace_add(struct emp_trace *t, struct emp_trace_job job, const uint32_t *models,
                   uint16_t count);

#endif

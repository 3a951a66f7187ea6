/* From what was used to what should be where: the broker's planner thread and the simulator give it
 * snapshots of the core, and it answers with a plan for each machine.
 *
 *   notes (submissions, starts, downloads) ─► usage log ─► forecast ─► placement ─► plans
 *
 * The planner owns usage log and forecast; nobody else touches it. A result stands on its own: it
 * lives in the arena given, with all that it says, until the caller releases that, and may be read
 * by another thread meanwhile. Restart: load every row that former results handed out.
 *
 * Pure, deterministic; one thread. */
#ifndef EMP_POLICY_PLANNER_H
#define EMP_POLICY_PLANNER_H

#include "domain/job.h"
#include "policy/forecast.h"
#include "policy/place.h"
#include "policy/scorecard.h"

/* ------------------------------------------------------------------ in */

enum emp_note_kind {
    EMP_NOTE_USE,   /* a job was submitted */
    EMP_NOTE_START, /* a job started after wait_ms; brought: some model had to be fetched */
    EMP_NOTE_FETCH, /* a copy came (ok), or its fetch ended without it; the first model alone */
    EMP_NOTE_EVICT, /* a machine let a copy go; the first model alone */
};
struct emp_note {
    enum emp_note_kind kind;
    enum emp_tier tier;
    emp_wall_ms at;
    const struct emp_str *models; /* as the job names them */
    uint32_t model_count;
    struct emp_str service, pool, region, customer; /* customer: only where the job may run on
                                              machines of its own alone; else empty */
    int64_t run_ms;                                 /* USE: expected */
    int64_t wait_ms;                                /* START */
    bool brought;                                   /* START */
    bool ready;             /* START: all models were on the disk before the job was submitted */
    int64_t bytes;          /* FETCH, EVICT */
    int64_t ms;             /* FETCH */
    bool ok;                /* FETCH */
    bool planned;           /* FETCH, EVICT: for the plan, not for a job */
    struct emp_str machine; /* START, FETCH, EVICT; empty: not known, kept out of the scorecard */
};

struct emp_planner_model {
    struct emp_str name, kind;
    int64_t bytes;
    struct emp_str owner; /* customer; empty: everybody's */
    bool fetchable, pinned;
    bool modifies; /* hangs on another model of the job */
};
struct emp_planner_copy {
    uint32_t model; /* index of the snapshot */
    enum emp_residency residency;
    bool in_use;
};
struct emp_planner_machine {
    struct emp_str id, pool, region, customer; /* customer: of a pool of its own */
    const struct emp_str *services;
    uint32_t service_count;
    bool serves; /* connected, neither draining nor quarantined */
    uint32_t slots, busy;
    int64_t disk_bytes, ram_bytes, gpu_bytes; /* for models */
    int64_t link_bytes_per_s;                 /* 0: not known */
    double hazard_per_hour;
    const struct emp_planner_copy *copies;
    uint32_t copy_count;
};
/* Jobs of equal requirements that wait now. */
struct emp_planner_waiting {
    const struct emp_str *models;
    uint32_t model_count, count;
    struct emp_str service, pool, region, customer;
    enum emp_tier tier; /* the highest among them */
    int64_t run_ms;
};
/* Demand that is known, not forecast: of a clairvoyant in the simulator, of tests. */
struct emp_planner_foretold {
    const struct emp_str *models;
    uint32_t model_count;
    struct emp_str service, pool, region, customer;
    enum emp_tier tier;
    double uses_near, uses_far; /* jobs in the next hour, the next six */
    int64_t run_ms;
};
struct emp_snapshot {
    const struct emp_planner_machine *machines;
    const struct emp_planner_model *models;
    const struct emp_planner_waiting *waiting;
    const struct emp_note *notes; /* since the last snapshot, oldest first */
    uint32_t machine_count, model_count, waiting_count, note_count;
    uint64_t notes_lost;           /* beyond the core's bound, since the last snapshot */
    int64_t disk_load_bytes_per_s, /* into GPU memory, from disk … */
        ram_load_bytes_per_s;      /* … and from RAM */
    int64_t link_bytes_per_s;      /* assumed where not measured */
    bool clairvoyant;              /* `foretold` takes the forecast's place */
    const struct emp_planner_foretold *foretold;
    uint32_t foretold_count;
    const struct emp_str *no_plans; /* pools in which nothing is to be moved */
    uint32_t no_plan_count;
};

/* ------------------------------------------------------------------ out */

struct emp_plan_item {
    uint32_t model; /* index of the snapshot */
    enum emp_residency residency;
    double seconds_saved; /* per hour */
};
/* What one machine should have, most worth first, and what its other copies are worth. */
struct emp_plan_machine {
    struct emp_str id;
    const struct emp_plan_item *planned, *others;
    uint32_t planned_count, other_count;
};
/* A model's forecast, for people. What was first used within this hour is expected as the plan
 * expects it: half of the last hour's uses in the next one, as many as those in the next six. */
struct emp_plan_forecast {
    struct emp_str model, kind;
    struct emp_forecast_one windows[EMP_FORECAST_WINDOWS];
    enum emp_forecast_pattern pattern;
    struct emp_usage_evidence life;
    struct emp_usage_waits first, repeat;
    struct emp_usage_downloads downloads;
    uint64_t uses; /* ever */
    emp_wall_ms last_at;
};
struct emp_plan_collection {
    struct emp_str *models;
    uint32_t model_count;
    double strength, uses;
};
struct emp_plan_result {
    emp_wall_ms at;
    struct emp_plan_machine *machines;   /* one for each of the snapshot, in its order */
    struct emp_usage_row *rows;          /* to be made durable */
    struct emp_plan_forecast *forecasts; /* by expected uses in 1 h, most wanted first */
    struct emp_plan_collection *collections;
    uint32_t machine_count, row_count, forecast_count, collection_count;
    struct emp_scorecard_figures score;         /* since the planner began */
    struct emp_scorecard_forecast score_lately; /* of the last day */
    /* what it rests on: for emp_place_find and emp_place_explain */
    struct emp_place_input input;
    struct emp_place_plan plan;
    struct emp_str *machine_ids, *model_names; /* by index of input */
};

/* ------------------------------------------------------------------ life */

struct emp_planner;
struct emp_planner *emp_planner_new(
    const struct emp_place_settings *place /* NULL: eager, see planner.c */);
void emp_planner_free(struct emp_planner *p);

/* Rows as durable changes know them (emp_change_learned): by a key. */
struct emp_str emp_planner_key(struct emp_arena *arena, const struct emp_usage_row *row);
/* Before the first run. 0; EMP_E_NOT_FOUND: the key is not of a planner's row; EMP_E_INVALID: the
 * bytes are not, nothing has changed. */
int emp_planner_load(struct emp_planner *p, struct emp_str key, const void *bytes, uint32_t length);

/* How good it was so far; lives in the planner. */
const struct emp_scorecard *emp_planner_scorecard(const struct emp_planner *p);

/* Takes in the notes, brings the forecast up to `now`, and plans. */
void emp_planner_run(struct emp_planner *p, const struct emp_snapshot *in, emp_wall_ms now,
                     struct emp_arena *arena, struct emp_plan_result *ret);

#endif

/* What the files of the planner share. */
#ifndef EMP_POLICY_PLANNER_INTERNAL_H
#define EMP_POLICY_PLANNER_INTERNAL_H

#include "policy/planner.h"

enum { EMP_PLANNER_RUN_GUESS_MS = 20000 };

/* Of a set of models. */
struct emp_planner_facts {
    uint32_t generation;                      /* of the series these are facts of */
    uint32_t service, pool, region, customer; /* names; 0: any */
    double run_ms, weight;
};

struct emp_planner_pool {
    double busy; /* share of slots, remembered */
    bool known;
};

struct emp_planner {
    struct emp_arena arena;
    struct emp_usage usage;
    struct emp_forecast forecast;
    struct emp_scorecard score;
    int64_t hour; /* up to which the forecast has learned, since 1970; 0: not yet */
    struct emp_place_settings place, place_certain; /* certain: where demand is known */
    struct emp_intern names, services; /* names: of pools, regions, customers; never many */
    struct emp_planner_facts *sets;    /* by series number */
    size_t set_cap;
    struct emp_planner_pool *pools; /* by name */
    size_t pool_cap;
    bool loading; /* rows came; the log has to be told that there are no more */
};

extern const double emp_planner_tier_weight[EMP_TIER_COUNT];
uint32_t emp_planner_name(struct emp_planner *p, struct emp_str s); /* 0: empty */
struct emp_planner_facts *emp_planner_facts_of(struct emp_planner *p, uint32_t set);

/* planner_notes.c; `index`: hash of a model's name | 1 -> its place in the snapshot */
void emp_planner_take_notes(struct emp_planner *p, const struct emp_snapshot *in,
                            const struct emp_map *index, struct emp_arena *a);
/* Judges each hour that is over at `until`, and learns from it. */
void emp_planner_hours_pass(struct emp_planner *p, const struct emp_snapshot *in,
                            const struct emp_map *index, emp_wall_ms until, struct emp_arena *a);

#endif

/* What was used, when and together with what: the memory behind the forecast.
 *
 * A series counts uses of one thing over time: of the whole fleet, a pool, a region, a tier, a
 * model, a set of models (those that one job names). Each is kept in three grains, of which only
 * buckets with uses take memory: 10 minutes for 8 days, hours for 8 weeks, days for 400. Older
 * detail lives on in the coarser grain. Beside them: which models go together (decaying pair
 * counts), how downloads went, how long first and repeated uses waited.
 *
 * Bounded: at most `models_max` models and `sets_max` sets, EMP_USAGE_PLACES_MAX pools, regions and
 * tiers, `pairs_max` pairs; a newcomer takes the place of one that was not used for long (of
 * the weakest pair). Series are known by number, which stays until its series is displaced: whoever
 * keeps a number keeps `generation` with it.
 *
 * Names are as the catalogue has them; one with a line break in it, an empty one or
 * one longer than EMP_NAME_MAX is no name and
 * counts nowhere.
 *
 * Pure, deterministic, arena-owned; one thread. Time is wall time as the caller says it (UTC; hours
 * and days are counted from 1970). It may jump back: late events are counted where they belong as
 * far as their grain is still kept. Durable: what changed is handed out as rows (emp_usage_changed)
 * and read back (emp_usage_load). */
#ifndef EMP_POLICY_USAGE_H
#define EMP_POLICY_USAGE_H

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EMP_USAGE_FINE_MS = 10 * 60 * 1000,
    EMP_USAGE_HOUR_MS = 3600 * 1000,
    EMP_USAGE_DAY_MS = 24 * 3600 * 1000,
    EMP_USAGE_FINE_KEPT = 8 * 144,
    EMP_USAGE_HOURS_KEPT = 8 * 7 * 24,
    EMP_USAGE_DAYS_KEPT = 400,
    EMP_USAGE_SET_MODELS = 16,  /* of a job's models, those after these do not count for its set */
    EMP_USAGE_GROUPS_MAX = 256, /* further kinds of model are "not known" */
    EMP_USAGE_PLACES_MAX = 512, /* pools, regions and tiers together */
    EMP_USAGE_NONE = 0,         /* no series; the fleet is 1 */
    EMP_USAGE_FLEET = 1,
    EMP_USAGE_PAIR_HALF_LIFE_DAYS = 14,
};

enum emp_usage_grain { EMP_USAGE_FINE, EMP_USAGE_HOUR, EMP_USAGE_DAY, EMP_USAGE_GRAINS };

enum emp_usage_kind {
    EMP_USAGE_KIND_FREE, /* a number without a series */
    EMP_USAGE_KIND_FLEET,
    EMP_USAGE_KIND_POOL,
    EMP_USAGE_KIND_REGION,
    EMP_USAGE_KIND_TIER,
    EMP_USAGE_KIND_MODEL,
    EMP_USAGE_KIND_SET,
};

/* `index` counts buckets of the grain since 1970. */
struct emp_usage_bucket {
    uint32_t index, count;
};
struct emp_usage_buckets {
    struct emp_usage_bucket *at; /* ascending by index; at most the kept number */
    uint32_t count, cap;
};

/* Waits of one sort, from submission to start. */
struct emp_usage_waits {
    uint64_t count, sum_ms, within_10s;
};
struct emp_usage_downloads {
    uint64_t count, failed, bytes, ms; /* bytes and ms of those that succeeded */
};

struct emp_usage_series {
    enum emp_usage_kind kind;
    uint32_t generation; /* of this number; differs once another series has taken it */
    struct emp_str name; /* empty: fleet, sets */
    uint32_t group;      /* model: number of its kind ("lora"), of `groups`; else 0 */
    uint32_t base;       /* set: series of the model the others hang on; else 0 */
    uint32_t *models;    /* set: series numbers of its models, base first; NULL otherwise */
    uint32_t model_count;
    emp_wall_ms first_at, last_at; /* of uses; 0: none yet */
    uint64_t uses;                 /* ever */
    struct emp_usage_buckets grain[EMP_USAGE_GRAINS];
    struct emp_usage_waits first, repeat; /* models and sets */
    struct emp_usage_downloads downloads; /* models */
    uint64_t touched;                     /* the later, the longer it stays */
    uint64_t key;                         /* in by_name */
    uint32_t name_cap, model_cap;
    bool changed;
};

struct emp_usage_options {
    uint32_t models_max; /* 0: 4096 */
    uint32_t sets_max;   /* 0: 8192 */
    uint32_t pairs_max;  /* 0: 65536 */
};

/* Two models that one job named. */
struct emp_usage_pair {
    uint32_t a, b;  /* a < b; 0: free */
    double weight;  /* jobs, each halved every EMP_USAGE_PAIR_HALF_LIFE_DAYS */
    emp_wall_ms at; /* when weight was that */
    bool changed;
};

struct emp_usage {
    struct emp_arena *arena;
    struct emp_usage_options options;
    struct emp_usage_series *series; /* by number; [0] is not used */
    uint32_t series_count, series_cap;
    uint32_t models, sets, places; /* how many there are */
    struct emp_map by_name;        /* hash of kind and name -> number */
    uint32_t *free;                /* numbers without a series, the last is taken first */
    uint32_t free_count, free_cap;
    uint32_t hand;            /* where the search for the stalest goes on */
    uint64_t clock;           /* of touched */
    uint32_t changed_from;    /* no series below it is marked; likewise for pairs */
    struct emp_intern groups; /* kinds of model */
    struct emp_usage_pair *pairs;
    uint32_t pair_count, pair_cap, pair_hand, pair_changed_from;
    struct emp_map pair_of; /* both numbers -> place in pairs */
    emp_wall_ms last_at;    /* latest event; 0: none yet */
    uint64_t late;          /* events that came too late for their finest grain */
};

void emp_usage_init(struct emp_usage *u, struct emp_arena *arena,
                    const struct emp_usage_options *options /* NULL: as said above */);

/* The model's series, made when it is new (`group`: its kind, "checkpoint", "lora", …; empty: not
 * known; the last known one counts). EMP_USAGE_NONE for what is no name. */
uint32_t emp_usage_model(struct emp_usage *u, struct emp_str name, struct emp_str group);
/* EMP_USAGE_NONE when there is none. */
uint32_t emp_usage_find(const struct emp_usage *u, enum emp_usage_kind kind, struct emp_str name);

/* The set of a job that names these models, base first; EMP_USAGE_NONE when there is none. */
uint32_t emp_usage_find_set(const struct emp_usage *u, const struct emp_str *models,
                            uint32_t count);

/* A job was submitted. Strings may be empty. Duplicate models count once. */
struct emp_usage_event {
    emp_wall_ms at;
    const struct emp_str *models; /* base first */
    const struct emp_str *groups; /* their kinds; NULL: not known */
    uint32_t model_count;         /* 0: counts for fleet and places alone */
    struct emp_str pool, region, tier;
};
/* The series of the job's set, or EMP_USAGE_NONE without models. */
uint32_t emp_usage_observe(struct emp_usage *u, const struct emp_usage_event *e);

/* The job of set `set` started after `wait_ms`; first use: some model had to be brought there.
 * Counts for the set and each of its models. */
void emp_usage_observe_wait(struct emp_usage *u, uint32_t set, int64_t wait_ms, bool first_use);
void emp_usage_observe_download(struct emp_usage *u, uint32_t model, int64_t bytes, int64_t ms,
                                bool succeeded);

/* Uses in [from, to): whole buckets of the finest grain that reaches back to `from`; buckets cut by
 * an end count by the share that lies inside. */
double emp_usage_between(const struct emp_usage_series *s, emp_wall_ms from, emp_wall_ms to,
                         emp_wall_ms now);
/* Count of one bucket; 0 when there is none. */
uint32_t emp_usage_bucket(const struct emp_usage_series *s, enum emp_usage_grain g, uint32_t index);

/* Where a model stands in its life, and why. */
enum emp_usage_life {
    EMP_USAGE_LIFE_NEW,      /* first used less than 3 days ago */
    EMP_USAGE_LIFE_TRENDING, /* grows, and not by chance */
    EMP_USAGE_LIFE_STABLE,
    EMP_USAGE_LIFE_DECLINING,  /* shrinks, and not by chance */
    EMP_USAGE_LIFE_DEPRECATED, /* silent for much longer than its usual gap, and 7 days at least */
    EMP_USAGE_LIFE_COUNT
};
const char *emp_usage_life_word(enum emp_usage_life l);
struct emp_usage_evidence {
    enum emp_usage_life life;
    double age_days, silent_days;      /* since first and last use */
    double recent, before;             /* uses in the last 3 days, and in the 3 before (of the same
                                        * week days a week earlier when it is old enough) */
    double fleet_recent, fleet_before; /* the fleet's in the same windows: growth is against it */
    double score; /* standard deviations by which `recent` differs from what `before` and the
                   * fleet's growth let expect */
};
struct emp_usage_evidence emp_usage_evidence(const struct emp_usage *u, uint32_t model,
                                             emp_wall_ms now);

/* With whom a model is used: up to `max` partners, strongest first; returns how many. */
struct emp_usage_partner {
    uint32_t model;
    double together; /* decayed number of jobs that named both */
    double share;    /* of this model's jobs, those that named the partner too */
    double lift;     /* share over the partner's share of all jobs: 1 is chance */
};
uint32_t emp_usage_partners(const struct emp_usage *u, uint32_t model, emp_wall_ms now,
                            struct emp_usage_partner *out, uint32_t max);

/* Collections: groups of models found to go together, each model in one at most. Two models join
 * when at least half of the rarer one's recent uses named both. Arrays in `arena`, largest use
 * first. */
struct emp_usage_collection {
    uint32_t *models; /* most used first */
    uint32_t model_count;
    double strength; /* mean share over its joins, 0.5 … 1 */
    double uses;     /* decayed, of its most used model */
};
uint32_t emp_usage_collections(const struct emp_usage *u, emp_wall_ms now, struct emp_arena *arena,
                               struct emp_usage_collection **ret);

/* Durability: the log as numbered rows of two tables, so that what takes another's place overwrites
 * its row and a store holds no more than the limits above. One row that changed since it was last
 * handed out, its bytes in `arena` (length 0: delete the row); false when nothing did. Hand-out
 * clears the mark: the caller makes it durable, or loads all anew. */
enum emp_usage_table { EMP_USAGE_TABLE_SERIES, EMP_USAGE_TABLE_PAIRS };
struct emp_usage_row {
    enum emp_usage_table table;
    uint32_t number;
    const void *bytes;
    uint32_t length; /* at most EMP_USAGE_ROW_BYTES_MAX */
};
enum { EMP_USAGE_ROW_BYTES_MAX = 64 * 1024 };
bool emp_usage_changed(struct emp_usage *u, struct emp_arena *arena, struct emp_usage_row *ret);
/* Into a fresh log, rows in any order: 0, or EMP_E_INVALID for bytes that were not written by the
 * above or do not fit the options (nothing changed). Then once emp_usage_load_end(): sets and pairs
 * whose models are not there are dropped (a crash between two commits can leave such). */
int emp_usage_load(struct emp_usage *u, const struct emp_usage_row *row);
void emp_usage_load_end(struct emp_usage *u);

#endif

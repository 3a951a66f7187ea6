/* Where copies of models should stand in the coming hours, and which moves lead there.
 *
 * Demand comes per set of models (base + LoRA + …), pool and region: how many jobs are expected in
 * the near window (settings: 1 h) and by the end of the far one (6 h). A job of a set starts on the
 * machine where it starts soonest. As seen by it, each machine is free, busy or gone,
 * independently: a free one costs what it still has to fetch (over its own link) and to load; a
 * busy one the rest of a run more; and bringing everything to a machine that has nothing of it is
 * always possible. The value of a placement is the expected waiting that it saves against no copies
 * at all: near uses see disk, RAM and GPU memory, far ones the disk alone (memory is planned anew
 * by then). Each further replica is worth less than the one before: it counts when all better ones
 * are busy or gone. From the value goes what moving costs: bytes fetched and stored, seconds of
 * loading.
 *
 * The plan starts from what stands, so that what is not worth a move stays: a move has to pay for
 * itself with a margin. Nothing is dropped but for room. Never dropped: what is pinned, in use, or
 * fetched for a job, the last whole copy of what somebody wants or nobody can fetch again. What is
 * dropped stands whole somewhere else already, if it is wanted: migration is replicate now, drop in
 * a later plan.
 *
 * Copies being fetched count as whole. See docs/model-intelligence.md for the method. Pure,
 * deterministic (ties by index), one thread. Input is borrowed and must outlive the plan; the plan
 * lives in the arena given. Absurd numbers (NaN, negative, huge) are bounded, never an error. */
#ifndef EMP_POLICY_PLACE_H
#define EMP_POLICY_PLACE_H

#include "base/arena.h"
#include "domain/model.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EMP_PLACE_ANY = UINT32_MAX,  /* any pool, any region */
    EMP_PLACE_NONE = UINT32_MAX, /* no index */
    EMP_PLACE_SET_MODELS = 16,   /* of a demand's models, those after these are left out */
};

struct emp_place_machine {
    uint32_t pool, region; /* caller's numbers */
    uint32_t customer;     /* dedicated to this customer's jobs; 0: everybody's */
    uint64_t can;          /* services and other needs it meets, a bit each; caller's meaning */
    bool serves;           /* connected, neither draining nor quarantined. If not: its copies count
                              for nothing, and nothing is planned there */
    bool moves;            /* false: counts as it stands, but nothing is planned there */
    int64_t disk_bytes, ram_bytes,
        gpu_bytes;            /* budgets for models; gpu_bytes 0: nothing is loaded */
    int64_t link_bytes_per_s; /* 0: settings */
    int64_t disk_load_bytes_per_s, ram_load_bytes_per_s; /* into GPU memory; 0: settings */
    double busy;            /* expected share of time that no slot of it is free, 0 … 1 */
    double hazard_per_hour; /* of vanishing */
};

struct emp_place_model {
    int64_t bytes;
    uint32_t customer; /* private: only on this customer's and everybody's machines; 0: public */
    bool fetchable;    /* false: copies can only be kept */
    bool loads;        /* connectors load it into GPU memory; false: it is used from disk */
    bool keep;         /* pinned: never dropped where it stands */
};

/* A copy as it stands. Those that are not listed do not exist; of several for one machine and model
 * the first counts. */
struct emp_place_copy {
    uint32_t machine, model;
    enum emp_residency residency; /* FETCHING: bytes_left are still to come */
    int64_t bytes_left;
    bool pinned;  /* here */
    bool in_use;  /* by a running or accepted job, or fetched or loaded for one: is not touched */
    bool planned; /* FETCHING: a move of a former plan, may be cancelled; false: for a job */
};

struct emp_place_demand {
    const uint32_t *models; /* indices, base first; duplicates count once */
    uint32_t model_count;
    uint32_t pool, region;      /* of the machines that serve it; or EMP_PLACE_ANY */
    uint32_t customer;          /* 0: of anybody in particular */
    uint64_t needs;             /* machines whose `can` lacks one of these bits do not serve it */
    double uses_near, uses_far; /* expected jobs in [0, near) and [0, far), beside `waiting` */
    double chance_far;          /* probability of at least one in [0, far) */
    double confidence;          /* 0 … 1 */
    double weight;              /* what a second of these jobs' waiting counts; 1: free tier */
    double run_s;               /* mean run */
    double concurrency;         /* jobs of the set that a new one finds running, on average
                                   (bursts); negative: from uses_near and run_s */
    uint32_t waiting;           /* jobs that wait now */
    bool critical;              /* some of those are of the highest tier: models of it that
                                   stand nowhere are brought at once, outside of all limits */
};

struct emp_place_settings {
    double near_h, far_h; /* windows; 1, 6 */
    double far_share;  /* of what copies save far uses, what counts: the rest can still be gained by
                          a later plan, which knows more; 1 */
    double promise_s;  /* a wait that is longer … ; 10 */
    double late_s;     /* … counts so many seconds more (from half to 1.5 times the promise
                          the addition grows from 0 to all of it); 20 */
    double gb_moved_s; /* price of fetching a GB, in seconds of waiting; 0.5 */
    double gb_hour_s;  /* price of storing a GB that is brought, for an hour; 0.02 */
    double load_s;     /* price of a second of loading into GPU memory or RAM; 0.01 */
    double margin;     /* a move's gain must exceed its price by this share of it, … ; 0.2 */
    double gain_fetch_s, gain_load_s; /* … and reach this; 2, 0.2 */
    double chance_min;          /* less likely to be used by the end of far: not fetched; 0.2 */
    double confidence_min;      /* less sure demand: counts, but nothing is moved for it; 0.1 */
    bool keep_last;             /* keep last copies of what is wanted; true */
    uint32_t moves_per_machine; /* fetches; 8 */
    int64_t fetch_bytes;        /* of all moves of a plan; 4 TB */
    double link_share;          /* of a machine's link in `near_h` that its fetches may take; 0.8 */
    int64_t link_bytes_per_s;   /* assumed where not measured; 25 MB/s */
    int64_t disk_load_bytes_per_s; /* 300 MB/s */
    int64_t ram_load_bytes_per_s;  /* 2.5 GB/s */
    double effort; /* of the search, 1: default; 0: greedy alone, without improvement */
};
const struct emp_place_settings *emp_place_settings_default(void);

struct emp_place_input {
    const struct emp_place_settings *settings; /* NULL: default */
    const struct emp_place_machine *machines;
    const struct emp_place_model *models;
    const struct emp_place_copy *copies;
    const struct emp_place_demand *demands;
    uint32_t machine_count, model_count, copy_count, demand_count;
};

/* What should be where: one for each machine and model with a copy now or wanted, ascending by
 * machine, then model. */
struct emp_place_want {
    uint32_t machine, model;
    enum emp_residency tier;    /* NONE, DISK, RAM or GPU; of FETCHING copies that go on: DISK up */
    enum emp_residency present; /* as given */
    double worth;         /* waiting seconds saved per hour by this copy at this tier, the others
                             standing as planned: for the machine's own eviction (WORTH), before
                             leaning */
    double uses_per_hour; /* expected jobs that name the model and this machine may serve */
    uint32_t replica, replicas; /* the how-manieth copy of how many wanted ones that may serve the
                                   same pool and region; by machine index */
    double move_s;              /* price of the moves that lead there, in seconds of waiting */
};

enum emp_place_kind { EMP_PLACE_FETCH, EMP_PLACE_LOAD, EMP_PLACE_DROP, EMP_PLACE_CANCEL };
const char *emp_place_kind_word(enum emp_place_kind k); /* "fetch", "load", "drop", "cancel" */

struct emp_place_move {
    uint32_t machine, model;
    enum emp_place_kind kind;
    enum emp_residency
        tier;          /* where it stands afterwards. FETCH: DISK; LOAD: RAM or GPU; DROP: NONE
                          (deleted), or DISK or RAM (it only leaves memory); CANCEL: NONE */
    int64_t bytes;     /* fetched, loaded or freed */
    double seconds;    /* on this machine's link, or of loading */
    double gain;       /* waiting seconds saved in the windows, price deducted; of a fetch
                          with what is loaded afterwards. Drops: minus what is lost */
    double confidence; /* 0 … 1, of the demand it serves most */
    uint32_t demand;   /* that it serves most, index; EMP_PLACE_NONE: none */
    uint32_t after;    /* DROP: index of the fetch or load that it makes room for; LOAD: of
                          the fetch that comes first; else EMP_PLACE_NONE */
    bool urgent;       /* jobs wait for it now, and it stands nowhere */
};

struct emp_place_plan {
    struct emp_place_want *wants;
    uint32_t want_count;
    struct emp_place_move *moves; /* urgent first, then by gain, largest first; drops behind all */
    uint32_t move_count;
    double value_before, value; /* waiting seconds saved in the windows, as things stand and as
                                   planned; prices of moves not deducted */
    double price;               /* of all moves, seconds */
    uint32_t evaluations;       /* of single changes, for measuring the search */
};

void emp_place_plan(struct emp_arena *arena, const struct emp_place_input *in,
                    struct emp_place_plan *ret);

/* The want of a machine and model, or NULL. */
const struct emp_place_want *emp_place_find(const struct emp_place_plan *plan, uint32_t machine,
                                            uint32_t model);

/* What the want rests on, for `emp plan --explain MODEL`: English sentence in `arena`. */
const char *emp_place_explain(struct emp_arena *arena, const struct emp_place_input *in,
                              const struct emp_place_plan *plan, const struct emp_place_want *w);

/* Value of a placement that is given by its copies (as whole ones), waiting seconds saved in the
 * windows: the plan's objective without prices. For tests and for judging plans. */
double emp_place_value(struct emp_arena *arena, const struct emp_place_input *in);

#endif

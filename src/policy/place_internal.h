/* What the files of the placement plan share: the state of the search, and who calls whom.
 *
 *   place.c         bounds the input, builds the state, runs the steps    calls down
 *   place_search.c  chooses changes                                       calls place_change.c
 *   place_change.c  what may change on a machine, and makes room for it   calls place_value.c
 *   place_moves.c   writes the plan out, explains it                      calls place_value.c
 *   place_value.c   what a placement, and a change of it, is worth        only arithmetic */
#ifndef EMP_POLICY_PLACE_INTERNAL_H
#define EMP_POLICY_PLACE_INTERNAL_H

#include "base/map.h"
#include "policy/place.h"

/* Where copies stand in the search: FETCHING ones count as on disk. Same order as residency. */
enum place_tier { TIER_NONE, TIER_DISK, TIER_RAM, TIER_GPU, TIER_COUNT };

/* A machine as one demand sees it. */
struct place_holder {
    double cost;        /* seconds until a job starts on it when it is free */
    double free, later; /* what a wait of `cost`, and of that and a run, counts */
    double p_free;      /* it is there and free */
    double p_busy;      /* it is there, given that it is not free */
    /* of the walk, when it came to this holder: */
    double none, sum; /* chance that none was taken before; wait gathered until then */
    uint32_t busy_at; /* holders whose being busy was looked at */
    uint32_t machine;
};
/* A holder to be: what lists are sorted by. */
struct place_key {
    double cost;
    uint32_t machine;
};

/* Machines that have something of a set and are better than bringing all, cheapest first; of many,
 * as far as a job may come to them, and some more. */
struct place_list {
    struct place_holder *at;
    uint32_t count, cap;
    uint32_t reached; /* holders that the walk came to: the others change nothing */
    double beyond;    /* a holder that costs more changes nothing */
    double complete;  /* all that cost no more are in the list; INFINITY: all are */
    double expected;  /* wait of a job, as it counts */
};

enum place_window { WINDOW_NEAR, WINDOW_FAR, WINDOWS };

/* Who serves it: demands with equal pool, region, customer and needs share a scope. */
struct place_scope {
    uint32_t pool, region, customer;
    uint64_t needs;
    uint32_t *machines; /* serving, ascending */
    uint32_t machine_count;
    uint8_t *has;          /* by machine */
    double queue;          /* wait for any machine, in runs */
    double link_s, disk_s; /* seconds per byte on the machine that takes it when none has it */
};

/* A set in a scope. Guides stand for a base, or a base and one add-on, of which many sets with
 * little demand each are made: they weigh nothing, but tell the search what is worth bringing. */
struct place_set {
    uint32_t model_count;
    uint32_t scope, demand; /* demand: EMP_PLACE_NONE for guides */
    uint32_t models[EMP_PLACE_SET_MODELS];
    double weight[WINDOWS]; /* uses × what their waiting counts */
    double guide[WINDOWS];  /* likewise, with all sets that contain it */
    double miss;            /* 1 - chance of any use, with all sets that contain it */
    double confidence;      /* mean of those, by weight */
    double run_s, concurrency;
    int64_t bytes; /* of all its models */
    double none_s; /* wait where all has to be brought */
    double none;   /* what that counts */
    struct place_list list[WINDOWS];
    bool sure, likely; /* enough to move anything for it; to fetch for it */
    double key; /* of the search: gain per share of a machine's room, when it was measured last */
    uint32_t machine, tier; /* where that was; tier 0: not measured yet */
    uint32_t offset;        /* of the next sample of machines */
    bool dirty;             /* its lists have changed since nothing was found for it */
};

#define PLACE_NEVER_BYTES 1e30 /* to fetch what cannot be fetched */

/* Of a model, for place_cost(): bytes to load, 0 where nothing is loaded; bytes to fetch. */
struct place_weight {
    double load, fetch;
};

struct place_member {
    uint32_t set, scope;
};

struct place_machine {
    double link_s, disk_s, ram_s; /* seconds per byte; the last two 0: nothing is loaded */
    double busy, stays[WINDOWS];
    int64_t budget[TIER_COUNT], used[TIER_COUNT];
    uint32_t *held; /* models with a tier above NONE */
    uint32_t held_count, held_cap;
    uint32_t fetches;
    int64_t fetch_bytes, fetch_bytes_max;
    struct place_loss *losses;               /* of `held`, when they were measured last */
    uint32_t loss_count, loss_cap, loss_age; /* age: changes since all were measured */
    double drop_density[TIER_COUNT];         /* least loss per byte of what may leave a tier */
    double drop_least[TIER_COUNT];           /* least loss of any */
    bool losses_stale, may, touched;
};

/* What letting go of a copy costs: value less refunded price. By tier it leaves: DISK: deleted;
 * RAM, GPU: goes to disk. They tell victims apart, no more, so they may be old; what a change
 * really costs is measured when it is chosen. */
enum { LOSS_NOT_POSSIBLE = -1, LOSS_UNKNOWN = -2 };
struct place_loss {
    uint32_t model;
    double of[TIER_COUNT];
};

enum {
    COPY_FIXED = 1, /* in use: stays as it is */
    COPY_PINNED = 2,
    COPY_FETCHING = 4,
    COPY_PLANNED = 8, /* fetched by a former plan */
    COPY_URGENT = 16, /* brought for waiting jobs of the highest tier, by this plan */
};

struct place_change {
    uint32_t model;
    uint8_t tier;
};
enum { PLACE_CHANGES_MAX = 512 };

/* A set that a change touches, and at what cost the machine stood in its lists. */
struct place_touch {
    uint32_t set;
    double cost[WINDOWS];
};

struct place_undo {
    uint32_t machine, model;
    uint8_t tier;
};

struct place {
    struct emp_arena *arena;
    const struct emp_place_input *in;
    struct emp_place_settings s; /* bounded */
    uint32_t machines, models;
    struct place_machine *machine;
    int64_t *bytes;              /* by model, bounded */
    struct place_weight *weight; /* by model: what it costs */
    uint8_t *tier;               /* [machine * models + model] */
    uint8_t *present;            /* likewise, as given */
    uint8_t *flags;              /* likewise, COPY_* */
    struct emp_map left;         /* of FETCHING copies: place in `copies`, by cell + 1 */
    struct place_scope *scopes;
    uint32_t scope_count, scope_cap;
    struct place_set *sets; /* real ones first */
    uint32_t set_count, set_cap, real_count;
    struct emp_map set_of;
    uint32_t *sets_from;                /* by model: first of its sets */
    struct place_member *sets_by_model; /* ascending by set: guides behind */
    bool *wanted;                       /* by model */
    uint32_t *whole; /* by model: whole copies on serving machines that the plan keeps */
    int64_t fetch_bytes;
    uint32_t *stamp, stamp_now;      /* by set */
    struct place_touch *touch;       /* scratch of a gain: the sets it touches */
    struct place_key *keys[WINDOWS]; /* scratch of lists: by machines */
    struct place_holder *gathered;   /* likewise */
    struct place_undo *undo;
    uint32_t undo_count, undo_cap;
    bool *urgent;         /* by model; NULL: none is */
    uint64_t evaluations; /* walks along a list */
    double gained;        /* by applied changes, prices and margins deducted */
};

static inline size_t place_cell(const struct place *p, uint32_t machine, uint32_t model)
{
    return (size_t)machine * p->models + model; // changes look at one machine and many sets
}
static inline double place_bounded(double x, double low, double high) /* NaN is low */
{
    if (!(x > low))
        return low;
    return x < high ? x : high;
}

/* place.c */
void place_build(struct place *p, struct emp_arena *arena, const struct emp_place_input *in);

/* place_value.c */
void place_value_init(struct place *p); /* lists of all sets, from p->tier */
double place_value_total(const struct place *p);
/* What the value gains by changes on one machine. */
double place_value_gain(struct place *p, uint32_t machine, const struct place_change *c,
                        uint32_t n);
void place_value_apply(struct place *p, uint32_t machine, const struct place_change *c, uint32_t n);
double place_count_wait(const struct emp_place_settings *s, double seconds);
/* Seconds until a job of the set starts on the machine when that is free, as its list has it:
 * INFINITY where bringing all elsewhere is as good. */
void place_cost(const struct place *p, const struct place_set *s, uint32_t machine,
                double ret[WINDOWS]);
/* Price of a copy's way from where it stands to a tier; with margin: as the search counts it. */
double place_price(const struct place *p, uint32_t machine, uint32_t model, uint8_t tier,
                   bool margin);
double place_load_s(const struct place *p, uint32_t machine, uint32_t model, uint8_t from,
                    uint8_t to);
int64_t place_left(const struct place *p, uint32_t machine, uint32_t model); /* bytes to fetch */

/* For each window and each holder that a job may come to: what the set loses when that holder's
 * copy of one model falls from tiers above `to` to it. */
typedef void (*place_loss_fn)(void *ctx, uint32_t machine, uint32_t model, double loss);
void place_value_losses(struct place *p, const struct place_set *s, uint8_t to, place_loss_fn fn,
                        void *ctx);

/* place_change.c */
#define PLACE_EPSILON     1e-9
#define PLACE_SHARE_LEAST 1e-6 /* of a machine's room: keeps densities finite */
enum { PLACE_WITH_FETCH = 1, PLACE_URGENT = 2 /* outside of limits */ };
struct place_candidate {
    uint32_t machine, count;
    double net, density;
    struct place_change change[PLACE_CHANGES_MAX];
};
bool place_may_delete(const struct place *p, uint32_t machine, uint32_t model);
/* The tier a copy there has after its set was raised to `tier`. */
uint8_t place_target(const struct place *p, uint32_t machine, uint32_t model, uint8_t tier);
/* Value gained, less prices with margin. */
double place_net(struct place *p, uint32_t machine, const struct place_change *c, uint32_t n);
void place_apply(struct place *p, uint32_t machine, const struct place_change *c, uint32_t n,
                 double net);
/* Losses of what stands, all at once: set by set is faster than copy by copy. */
void place_first_losses(struct place *p);
/* The set's models to `tier` on the machine; false when that is nothing, or cannot be. */
bool place_propose(struct place *p, const struct place_set *s, uint32_t machine, uint8_t tier,
                   int how, struct place_candidate *c);

/* place_search.c */
void place_search(struct place *p);

/* place_moves.c */
void place_write(struct place *p, struct emp_place_plan *ret);

#endif

/* A routing decision as data: the terms of each candidate's cost, the winner, the runner-up. Kept
 * with every assignment, and shown by GET /api/jobs/:id/decision. Whole microseconds, so that
 * comparing is exact on every machine. */
#ifndef EMP_DOMAIN_ROUTE_H
#define EMP_DOMAIN_ROUTE_H

#include "base/str.h"
#include "domain/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* cost = max(slot_free, fetch) + load + run_delta + pool_penalty + displacement + risk,
 * microseconds */
struct emp_route_terms {
    int64_t slot_free; /* until a slot is free there */
    int64_t fetch;     /* until every missing byte is on its disk, over its own link, behind what it
                          fetches already */
    int64_t load;      /* from disk or RAM into GPU memory */
    int64_t run_delta; /* expected run time there less that on the fleet's mean; may be negative */
    int64_t pool_penalty; /* for leaving the job's pool */
    int64_t
        displacement; /* worth of what would have to be evicted, and of warm models pushed out */
    int64_t risk;     /* expected loss by the machine vanishing, plus its record of failures */
};
int64_t emp_route_cost(const struct emp_route_terms *t); /* saturates, never overflows */

struct emp_route_choice {
    struct emp_str machine; /* id */
    struct emp_str pool;
    struct emp_route_terms terms;
    int64_t cost;
    bool has_models;        /* all on disk or better */
    float load_suitability; /* 0 (all slots taken) … 1 (idle) */
};

/* EMP_FALLBACK_*: how far down the list of fallbacks the choice lies. */
enum emp_fallback {
    EMP_FALLBACK_NONE,       /* a machine of the job's own pool that has the models */
    EMP_FALLBACK_FETCH,      /* own pool, models are fetched first */
    EMP_FALLBACK_OTHER_POOL, /* another pool, with its penalty */
    EMP_FALLBACK_EMERGENCY,  /* nobody had the models: fetched outside the pool */
    EMP_FALLBACK_COUNT
};
const char *emp_fallback_word(enum emp_fallback f);

struct emp_decision {
    uint32_t count;      /* of kept candidates, best first: [0] the chosen one, [1] the runner-up */
    uint32_t considered; /* machines that met the requirements */
    enum emp_fallback fallback;
    int64_t estimated_run_ms; /* that the pool was chosen by */
    struct emp_str pool;      /* the job's pool */
    struct emp_route_choice candidates[EMP_DECISION_KEPT];
};

#endif

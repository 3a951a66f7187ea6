/* What the files of the duration guess share: its state. */
#ifndef EMP_POLICY_DURATION_INTERNAL_H
#define EMP_POLICY_DURATION_INTERNAL_H

#include "base/map.h"
#include "policy/conform.h"
#include "policy/duration.h"

enum {
    FEATURES = 9,
    LEVELS = 5,
    PAGE = 64, /* likes of a level that are saved together */
    PAGES = EMP_DURATION_LIKES_MAX / PAGE,
};

struct like {
    uint64_t key; /* 0: free */
    uint64_t touched;
    float weight, off;
};

struct level {
    struct like *likes;
    uint32_t count, cap, hand;
    struct emp_map by_key;
    uint64_t changed; /* pages, a bit each */
};
_Static_assert(PAGES == 64, "a bit for each page");

struct emp_duration_state {
    double gram[FEATURES * FEATURES], right[FEATURES], weight[FEATURES];
    struct level level[LEVELS];
    struct emp_conform errors[LEVELS + 1], pooled; /* by levels that knew the job; all */
    double load;
    uint64_t observed;
    bool changed; /* of all but likes */
};

#endif

/* When a job is expected to start computing and to be done: the middle of what may come, and what
 * nine in ten keep. Or why nobody can tell. */
#ifndef EMP_DOMAIN_ETA_H
#define EMP_DOMAIN_ETA_H

#include "base/str.h"

#include <stdint.h>

/* Milliseconds from now, >= 0; EMP_ETA_UNKNOWN each where nothing can be told, and both of start
 * once it has started. p50 <= p90, start <= finish. */
#define EMP_ETA_UNKNOWN (-1)
struct emp_eta {
    int64_t start_p50_ms, start_p90_ms;
    int64_t finish_p50_ms, finish_p90_ms;
    struct emp_str reason; /* why it cannot run now; empty: it can, or it runs */
};

#endif

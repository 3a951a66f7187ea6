/* GET /metrics: one table (metrics.def) of names, kinds, help texts and values, written as
 * Prometheus text 0.0.4. Pure. */
#ifndef EMP_BROKER_METRICS_H
#define EMP_BROKER_METRICS_H

#include "base/str.h"
#include "broker/commit.h"
#include "core/core.h"
#include "store/store.h"

struct emp_metrics {
    struct emp_core_stats core;
    struct emp_committer_stats commit;
    struct emp_store_stats store;
    double up_seconds, ready, failing;
    uint64_t plan_us, plan_wanted, plan_fetches; /* of all plans; of the last one */
    struct emp_scorecard_figures score;          /* as of the last plan */
    uint64_t core_steps, payload_hits, payload_misses;
    uint64_t event_streams, links, messages, messages_bad, artifact_bytes;
    uint64_t responses[6]; /* by hundred of the status */
    uint64_t resident_bytes;
};
struct emp_pool_metric {
    struct emp_str pool;
    uint64_t machines, slots, busy, pending, running;
};

void emp_metrics_write(struct emp_buf *out, const struct emp_metrics *m,
                       const struct emp_pool_metric *pools, uint32_t pool_count);

#endif

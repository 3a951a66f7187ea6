/* The download rate of this machine's link, as all fetches together reach it: an exponentially
 * weighted mean over windows of time in which something was being fetched. A window goes on from
 * one fetch to the next: the last bytes of a fetch, which may all come within a millisecond, are no
 * sample of their own. Only the first sample may be shorter, so that something is known after the
 * first fetch. Fetches that a rate limit holds back measure the limit: it is the truth about this
 * link. Plain data, one thread. */
#ifndef EMP_AGENT_METER_H
#define EMP_AGENT_METER_H

#include "base/time.h"

enum { EMP_METER_WINDOW_MS = 1000, EMP_METER_SAMPLE_BYTES = 64 * 1024 };

struct emp_meter {
    int64_t bytes_per_s; /* 0: not yet known */
    int64_t window_bytes, window_ms;
    emp_mono_ms seen; /* window_ms counts up to here, while fetches run */
    int running;      /* fetches that are receiving */
};

void emp_meter_begin(struct emp_meter *m, emp_mono_ms now);
void emp_meter_add(struct emp_meter *m, emp_mono_ms now, int64_t bytes);
void emp_meter_end(struct emp_meter *m, emp_mono_ms now);

#endif

#include "agent/meter.h"

static void close_window(struct emp_meter *m, emp_mono_ms now)
{
    int64_t ms = now - m->window_at;
    if (m->window_bytes >=
        EMP_METER_SAMPLE_BYTES) { // less says more about latency than about the link
        int64_t sample = m->window_bytes * 1000 / (ms > 0 ? ms : 1);
        m->bytes_per_s = m->bytes_per_s ? (m->bytes_per_s * 7 + sample * 3) / 10 : sample;
    }
    m->window_at = now;
    m->window_bytes = 0;
}

void emp_meter_begin(struct emp_meter *m, emp_mono_ms now)
{
    if (m->running++ == 0) {
        m->window_at = now;
        m->window_bytes = 0;
    }
}

void emp_meter_add(struct emp_meter *m, emp_mono_ms now, int64_t bytes)
{
    m->window_bytes += bytes;
    if (now - m->window_at >= EMP_METER_WINDOW_MS)
        close_window(m, now);
}

void emp_meter_end(struct emp_meter *m, emp_mono_ms now)
{
    if (--m->running == 0)
        close_window(m, now);
}

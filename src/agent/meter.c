#include "agent/meter.h"

static void pass(struct emp_meter *m, emp_mono_ms now)
{
    if (m->running > 0 && now > m->seen)
        m->window_ms += now - m->seen;
    m->seen = now;
}

static void close_window(struct emp_meter *m)
{
    if (m->window_bytes >= EMP_METER_SAMPLE_BYTES) { // less says more about latency than the link
        int64_t sample = m->window_bytes * 1000 / (m->window_ms > 0 ? m->window_ms : 1);
        m->bytes_per_s = m->bytes_per_s ? (m->bytes_per_s * 7 + sample * 3) / 10 : sample;
    }
    m->window_bytes = m->window_ms = 0;
}

void emp_meter_begin(struct emp_meter *m, emp_mono_ms now)
{
    pass(m, now);
    m->running++;
}

void emp_meter_add(struct emp_meter *m, emp_mono_ms now, int64_t bytes)
{
    pass(m, now);
    m->window_bytes += bytes;
    if (m->window_ms >= EMP_METER_WINDOW_MS)
        close_window(m);
}

void emp_meter_end(struct emp_meter *m, emp_mono_ms now)
{
    pass(m, now);
    m->running--;
    if (m->bytes_per_s == 0)
        close_window(m);
}

/* The plain format of traces, written: what emp_trace_read reads back (docs/simulation.md). Pure.
 */
#ifndef EMP_SIM_MEASURE_TRACE_WRITE_H
#define EMP_SIM_MEASURE_TRACE_WRITE_H

#include "base/str.h"
#include "base/time.h"
#include "domain/job.h"

struct emp_trace_row_model {
    struct emp_str name, kind; /* kind: the catalogue's word; empty: not known */
    int64_t bytes;             /* 0: not known */
};
struct emp_trace_row {
    emp_wall_ms submitted_at; /* 0: history only */
    struct emp_str customer, service, pool;
    enum emp_tier tier;
    double priority;
    const struct emp_trace_row_model *models;
    uint32_t model_count;
    int64_t run_ms; /* < 0: not known, such a row is read over */
};

void emp_trace_write_header(struct emp_buf *out);
void emp_trace_write_row(struct emp_buf *out, const struct emp_trace_row *row);

#endif

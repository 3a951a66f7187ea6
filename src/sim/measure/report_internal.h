/* What the two files of the report share. */
#ifndef EMP_SIM_MEASURE_REPORT_INTERNAL_H
#define EMP_SIM_MEASURE_REPORT_INTERNAL_H

#include "sim/measure/picture.h"

/* Text into HTML. */
void emp_report_text(struct emp_buf *out, struct emp_str s);
/* "Mon 3 14:20" of a virtual time. */
void emp_report_time(struct emp_buf *out, const struct emp_measure_picture *p, emp_mono_ms at);
const char *emp_report_colour(uint32_t n); /* of a policy, of a model */

enum { EMP_REPORT_COLOURS = 10 };

/* report_draw.c: SVG */
void emp_report_waits(const struct emp_measure_report *r, struct emp_buf *out);
void emp_report_queue(const struct emp_measure_picture *p, uint32_t most, struct emp_buf *out);
/* Models in `shown` have the colours in its order; others are grey. */
void emp_report_machines(const struct emp_measure_picture *p,
                         const struct emp_str shown[EMP_REPORT_COLOURS], uint32_t count,
                         struct emp_buf *out);

#endif

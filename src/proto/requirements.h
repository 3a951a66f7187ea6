/* The `requirements` of a submission, compiled: job_json.h says what each member means. Internal to
 * proto. */
#ifndef EMP_PROTO_REQUIREMENTS_H
#define EMP_PROTO_REQUIREMENTS_H

#include "domain/job.h"
#include "proto/shape.h"

/* Adds what `v` (an object) asks to the spec, whose other fields are read already. 0 or
 * EMP_E_INVALID. */
int emp_requirements_compile(struct emp_shape_reader *r, const struct emp_json *v,
                             struct emp_job_spec *spec);

/* Writes predicates and isolation as the member `requirements` that compiles to them; nothing when
 * there are none. */
void emp_requirements_write(struct emp_writer *w, const struct emp_job_spec *spec);

#endif

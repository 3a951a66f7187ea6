/* The check of a catalogue entry, with the place it stands at, for shapes. See emp_model_check. */
#ifndef EMP_PROTO_MODEL_CHECK_H
#define EMP_PROTO_MODEL_CHECK_H

#include "domain/model.h"
#include "proto/shape.h"

int emp_model_check_at(struct emp_shape_reader *r, const struct emp_place *at, struct emp_model *m);

#endif

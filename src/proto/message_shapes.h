/* The tables that message.def makes: one shape per message, and those of the objects inside. For
 * the rooms' own use: encoder, decoder, catalogue entries, the manual, tests. Static storage. */
#ifndef EMP_PROTO_MESSAGE_SHAPES_H
#define EMP_PROTO_MESSAGE_SHAPES_H

#include "domain/message.h"
#include "proto/shape.h"

const struct emp_shape *emp_message_shape(enum emp_message_kind kind);

extern const struct emp_shape emp_shape_of_model, emp_shape_of_machine, emp_shape_of_copy,
    emp_shape_of_held, emp_shape_of_output, emp_shape_of_gpu, emp_shape_of_worth_of,
    emp_shape_of_planned;

/* The capabilities: {"path": value, …}, arrays of values, objects inside (paths are joined by
 * dots). */
extern const struct emp_field_codec emp_caps_codec;
void emp_caps_write(struct emp_writer *w, const char *name, const struct emp_capability *caps,
                    uint32_t count);

#endif

/* Random structs of any shape, and their comparison: so that a field that is added to a table is
 * tested with it. */
#ifndef EMP_TESTS_PROTO_RANDOM_H
#define EMP_TESTS_PROTO_RANDOM_H

#include "base/random.h"
#include "proto/shape.h"

/* Valid UTF-8 of up to `max` bytes; `name`: without control characters, slashes and points. */
struct emp_str random_text(struct emp_random *r, struct emp_arena *a, uint32_t min, uint32_t max,
                           bool name);

/* Fills every field with something that the table allows; sometimes with its default. */
void random_object(struct emp_random *r, struct emp_arena *a, const struct emp_shape *shape,
                   void *object);

/* NULL when all fields are the same, or the name of one that is not. */
const char *shape_difference(const struct emp_shape *shape, const void *a, const void *b);

#endif

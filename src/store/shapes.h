/* The durable form of domain structs: one table each for pack.h. Back ends keep these bytes beside
 * the columns that they search by.
 *
 * To add a field to a struct: give it the next free tag in its table, and mention it in the test
 * that fills every field. To take one away: drop its line and never use its tag again. */
#ifndef EMP_STORE_SHAPES_H
#define EMP_STORE_SHAPES_H

#include "store/pack.h"

/* struct emp_job_spec */
extern const struct emp_pack_shape emp_shape_spec;

/* struct emp_job_record without num, state, order_priority, submitted_at, finished_at: those are
 * columns */
extern const struct emp_pack_shape emp_shape_record;

extern const struct emp_pack_shape emp_shape_attempt; /* struct emp_attempt */
extern const struct emp_pack_shape emp_shape_machine; /* struct emp_change_machine */
extern const struct emp_pack_shape emp_shape_model;   /* struct emp_model */

#endif

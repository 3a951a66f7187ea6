/* A look into the core: runs on the loop, writes the answer's body there (what the core shows is
 * the core's until its next step), and is answered like every other operation. */
#ifndef EMP_BROKER_LOOK_H
#define EMP_BROKER_LOOK_H

#include "broker/api.h"
#include "broker/query.h"
#include "proto/writer.h"

struct emp_look;
/* Writes l->body, or fails l->err. */
typedef void (*emp_look_fn)(struct emp_broker *b, struct emp_look *l);

struct emp_look {
    struct emp_op op;
    emp_look_fn look;
    const char *type;             /* media type */
    struct emp_str arg;           /* the path's first parameter; in the arena */
    struct emp_query_short query; /* of emp_look_post_list; in the arena */
    struct emp_buf body;
    struct emp_error err; /* code 0: good */
};

/* Makes the operation for a call and queues it. `type` is a literal. */
void emp_look_post(const struct emp_call *c, emp_look_fn look, const char *type);

/* Likewise for a route that looks at its query parameters itself; `known` as in emp_query_short. A
 * query that is not understood is answered with 400. */
void emp_look_post_list(const struct emp_call *c, emp_look_fn look, const char *type,
                        unsigned known);

#endif

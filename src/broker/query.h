/* The query parameters of GET /api/jobs: a table of what is understood. Pure, any thread. */
#ifndef EMP_BROKER_QUERY_H
#define EMP_BROKER_QUERY_H

#include "base/error.h"
#include "base/str.h"
#include "store/store.h"

enum { EMP_QUERY_LIMIT_DEFAULT = 50 };

struct emp_query_pair {
    struct emp_str name, value; /* decoded */
};

/* Strings of *ret are those of the pairs. 0, or EMP_E_INVALID naming parameter and value: an
 * unknown one, one given twice, a wrong type, a number out of range. */
int emp_query_jobs(const struct emp_query_pair *pairs, uint32_t count, struct emp_store_query *ret,
                   struct emp_error *err);

#endif

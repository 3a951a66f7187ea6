/* Query parameters: of GET /api/jobs (a table of what is understood), and of lists that know fewer.
 * Pure, any thread. */
#ifndef EMP_BROKER_QUERY_H
#define EMP_BROKER_QUERY_H

#include "base/error.h"
#include "base/str.h"
#include "store/store.h"

enum { EMP_QUERY_LIMIT_DEFAULT = 50, EMP_QUERY_SHORT_LIMIT_DEFAULT = 100 };

struct emp_query_pair {
    struct emp_str name, value; /* decoded */
};

/* Strings of *ret are those of the pairs. 0, or EMP_E_INVALID naming parameter and value: an
 * unknown one, one given twice, a wrong type, a number out of range. */
int emp_query_jobs(const struct emp_query_pair *pairs, uint32_t count, struct emp_store_query *ret,
                   struct emp_error *err);

/* limit (1 … 1000), and those of model and machine that a list knows. */
enum emp_query_word { EMP_QUERY_LIMIT = 1, EMP_QUERY_MODEL = 2, EMP_QUERY_MACHINE = 4 };
struct emp_query_short {
    uint32_t limit;
    struct emp_str model, machine; /* empty: all */
};
/* `known`: emp_query_word, or'ed. Results and errors as above. */
int emp_query_short(const struct emp_query_pair *pairs, uint32_t count, unsigned known,
                    struct emp_query_short *ret, struct emp_error *err);

#endif

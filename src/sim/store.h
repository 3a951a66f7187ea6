/* The store of a simulated broker: what was committed, folded as the real one folds it (the last
 * record of each job, machine, model and learned key), in deep copies. A crash of the broker loses
 * what was not committed; restoring tells a new core what is here, in the real store's order. */
#ifndef EMP_SIM_STORE_H
#define EMP_SIM_STORE_H

#include "core/core.h"

struct emp_sim_stored_job {
    bool known;
    struct emp_job_record record;
    const struct emp_job_spec *spec;
    emp_blob_token body, result;
};

struct emp_sim_store {
    struct emp_arena arena;
    struct emp_sim_stored_job *jobs; /* by number */
    size_t job_cap;
    emp_job_num last_num;
    struct emp_change *machines, *models, *learned; /* in order of first sight */
    size_t machine_count, machine_cap, model_count, model_cap, learned_count, learned_cap;
    uint64_t changes;
};

void emp_sim_store_init(struct emp_sim_store *s);
void emp_sim_store_release(struct emp_sim_store *s);

/* One change of a committed batch. False: a JOB change of a job it does not know, without a spec.
 */
bool emp_sim_store_apply(struct emp_sim_store *s, const struct emp_change *change);
/* Tells all that a broker finds again, in the real store's order. */
void emp_sim_store_restore(const struct emp_sim_store *s,
                           void (*restored)(void *ctx, const struct emp_change *change), void *ctx);

/* NULL: it was never committed. */
const struct emp_sim_stored_job *emp_sim_store_job(const struct emp_sim_store *s, emp_job_num num);
/* The job of an idempotency key, 0 when there is none: what the shell asks before the core. */
emp_job_num emp_sim_store_key(const struct emp_sim_store *s, struct emp_str customer,
                              struct emp_str key);

#endif

/* What the files of an agent share: agent.c is the process and its link, transfer.c disk and
 * fetches, run.c connectors. */
#ifndef EMP_SIM_AGENT_INTERNAL_H
#define EMP_SIM_AGENT_INTERNAL_H

#include "sim/agent.h"

/* Steps the brain, carries out what it wants. The process must live and not hang. */
void emp_sim_agent_step(struct emp_sim_agent *a, const struct emp_machine_event *e);
/* Its process hangs: the timer is set to when it wakes. True: nothing is to be done now. */
bool emp_sim_agent_defer(struct emp_sim_agent *a, struct emp_sim_timer *t);

/* transfer.c */
void emp_sim_transfer_init(struct emp_sim_agent *a);
void emp_sim_fetch_begin(struct emp_sim_agent *a, const struct emp_model *model, int64_t kept);
void emp_sim_fetch_cancel(struct emp_sim_agent *a, struct emp_str model);
void emp_sim_delete(struct emp_sim_agent *a, struct emp_str model, bool half);
void emp_sim_transfers_drop(struct emp_sim_agent *a); /* the process is gone: halves stay */
void emp_sim_inventory(struct emp_sim_agent *a);      /* steps the brain with what is on the disk */

/* run.c */
void emp_sim_run_begin(struct emp_sim_agent *a, const struct emp_message_assign *assign);
void emp_sim_run_stop(struct emp_sim_agent *a, emp_job_num job, uint32_t attempt);
void emp_sim_run_abandon(struct emp_sim_agent *a, emp_job_num job, uint32_t attempt);
void emp_sim_runs_drop(struct emp_sim_agent *a);

/* What the plan wants in memory: one load at a time. */
void emp_sim_load_init(struct emp_sim_agent *a);
void emp_sim_load_begin(struct emp_sim_agent *a, const struct emp_model *model,
                        enum emp_residency to);
void emp_sim_load_cancel(struct emp_sim_agent *a);

#endif

/* Runs in connectors' hands: finds the connector of a service, starts, stops, brings the outputs to
 * the broker, and answers the brain's RUN with RUN_STARTED, RUN_PROGRESS, RUN_STORING, RUN_DONE.
 * Each run has a scratch directory DATA/runs/JOB.ATTEMPT, removed at its end (and all of them at
 * start).
 *
 * On the loop's thread. Events never come from inside a function called here. */
#ifndef EMP_AGENT_RUNS_H
#define EMP_AGENT_RUNS_H

#include "agent/connectors/connectors.h"
#include "agent/models.h"
#include "agent/upload.h"
#include "machine/chain.h"
#include "machine/machine.h"

struct emp_runs {
    uv_loop_t *loop;
    struct emp_connector *connectors[EMP_CONNECTORS_MAX];
    uint32_t busy[EMP_CONNECTORS_MAX]; /* runs in each one's hands */
    uint32_t connector_count;
    const struct emp_models *models;
    char dir[EMP_MODELS_PATH]; /* of scratch directories, absolute */
    struct emp_upload_options upload;
    void (*event)(void *arg, const struct emp_machine_event *e);
    void *arg;
    struct emp_chain all; /* in order of RUN */
};

/* The caller has filled everything but dir, busy and all. Empties the directory of scratch
 * directories. 0 or EMP_E_*. */
int emp_runs_init(struct emp_runs *r, const char *data_dir, struct emp_error *err);

/* `assign` is borrowed until its RUN_DONE has returned. */
void emp_runs_start(struct emp_runs *r, const struct emp_message_assign *assign);
void emp_runs_stop(struct emp_runs *r, emp_job_num job, uint32_t attempt, bool hard);
/* Gives a run up that does not stop: RUN_DONE comes now, whatever its connector still does. */
void emp_runs_abandon(struct emp_runs *r, emp_job_num job, uint32_t attempt);

/* The agent ends: everything is stopped without courtesy; emp_runs_empty tells when nothing is
 * left. Events still come. */
void emp_runs_stop_all(struct emp_runs *r);
bool emp_runs_empty(const struct emp_runs *r);

#endif

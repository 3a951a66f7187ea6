/* A connector turns an assigned job into work of some program: it sleeps (simulation), starts a
 * process (command), or speaks to a server of its own (ComfyUI, Ollama). One instance per name,
 * made at start; all on the agent's loop thread, nothing may block.
 *
 * The life of a run:  start() ─► started ─► progress … ─► done
 *   - start() either fails at once (negative, nothing is called later) or takes the run; from then
 *     on exactly one `done` comes, also after stop(). `started` comes at most once, before any
 *     progress. No callback comes from inside start() or stop().
 *   - What emp_run_task borrows (payload, models, directories) stays until `done` has returned.
 *   - After `done` the run no longer exists: the connector frees it when the callback returns.
 *   - stop() asks for an early end; `done` must follow within seconds (a child that ignores SIGTERM
 *     is killed). hard: without courtesy.
 *
 * Whose fault a failure is decides where the job goes next: retryable says that another attempt may
 * succeed; machine_fault that this machine is to blame (program missing, server down, disk), not
 * the job. */
#ifndef EMP_AGENT_CONNECTORS_CONNECTOR_H
#define EMP_AGENT_CONNECTORS_CONNECTOR_H

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"
#include "domain/job.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct emp_run_model {
    struct emp_str name, kind;
    const char *path; /* absolute; whole and verified */
};

/* What is to be done. */
struct emp_run_task {
    emp_job_num job;
    uint32_t attempt;
    struct emp_str job_id, service, customer;
    struct emp_str payload; /* JSON text; empty: {} */
    const struct emp_run_model *models;
    uint32_t model_count;
    const char *model_dir; /* absolute */
    /* Absolute path of a directory of the run's own, not yet there: a connector that wants it makes
     * it; removed after `done` and the uploads. */
    const char *scratch;
    int64_t timeout_ms; /* the brain enforces it; 0: none */
};

struct emp_run_output {
    struct emp_str name; /* relative, "/" between parts; becomes the artifact's name */
    struct emp_str type; /* media type; empty: by the name's extension */
    const char *path;    /* absolute, inside scratch: a regular file */
};

struct emp_run_end {
    int code;                      /* 0: completed; else EMP_E_* */
    struct emp_str text;           /* what went wrong; cut to EMP_ERROR_REPORT_MAX */
    bool retryable, machine_fault; /* with code < 0 */
    int64_t run_ms;                /* of the work alone */
    struct emp_str result;         /* JSON text; empty: null */
    const struct emp_run_output *outputs;
    uint32_t output_count;
};

/* Strings given to the callbacks are borrowed for the call. */
struct emp_run_sink {
    void *arg;
    void (*started)(void *arg, int64_t load_ms); /* load_ms: spent loading models before */
    /* As often as it likes: thinned out above. */
    void (*progress)(void *arg, double percent, struct emp_str text);
    void (*done)(void *arg, const struct emp_run_end *end);
};

struct emp_run; /* each connector's own */

struct emp_connector {
    const struct emp_connector_ops *ops;
    const char *name;
    const struct emp_str *services; /* what jobs may say in service_required */
    uint32_t service_count;
    uint32_t runs_max;        /* at once; 0: as many as there are slots. More wait in the agent */
    bool keeps_models_loaded; /* models of a run stay in GPU memory until others need the room */
};

struct emp_connector_ops {
    int (*start)(struct emp_connector *c, const struct emp_run_task *task,
                 const struct emp_run_sink *sink, struct emp_run **ret, struct emp_error *err);
    void (*stop)(struct emp_connector *c, struct emp_run *run, bool hard);
    /* No run is left. Closes what it has on the loop, calls closed(arg) when that is done; the
     * memory is its own to free. */
    void (*close)(struct emp_connector *c, void (*closed)(void *arg), void *arg);
};

/* What every connector gets when it is made. */
struct emp_connector_host {
    uv_loop_t *loop;
    void *arg;
    /* Services appeared or went (a server came up, or died): the agent says HELLO again. May be
     * NULL. */
    void (*services_changed)(void *arg, struct emp_connector *c);
};

#endif

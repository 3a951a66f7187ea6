/* What the HTTP API shows: domain structs and small views to JSON, appended to a writer. Times are
 * ISO 8601, durations seconds, sizes bytes; what is empty is left out, except where a client may
 * rely on a member being there. Pure, any thread. */
#ifndef EMP_PROTO_VIEW_JSON_H
#define EMP_PROTO_VIEW_JSON_H

#include "base/error.h"
#include "domain/change.h"
#include "domain/eta.h"
#include "domain/job.h"
#include "domain/machine.h"
#include "domain/message.h"
#include "domain/model.h"
#include "domain/settings.h"
#include "proto/writer.h"

/* ------------------------------------------------------------------ jobs */

/* Makes public ids of numbers. */
typedef void (*emp_view_job_id)(void *ctx, emp_job_num num, char out[37]);

struct emp_job_view {
    const char *id; /* as the outside knows it */
    const struct emp_job_record *record;
    const struct emp_job_spec *spec;
    struct emp_str body;        /* the submission: payload and requirements are shown as they came;
                                   empty: left out */
    struct emp_str result_blob; /* emp_result_blob_write's; empty: none */
    const struct emp_attempt *attempts; /* all, in order; NULL: `attempts` is left out */
    uint32_t attempt_count;
    int32_t max_retries_default; /* shown where the spec says -1 */
    float percent;               /* of a running job; < 0: not known */
    struct emp_str progress_text;
    const struct emp_eta *eta; /* from `now`; NULL: nobody was asked */
    emp_wall_ms now;
};
/* The job object of GET /api/jobs/:id and of the list. `scratch` holds what is parsed on the way.
 */
void emp_view_job(struct emp_writer *w, const char *name, const struct emp_job_view *v,
                  struct emp_arena *scratch);

/* The decision object: of an assignment taken (from the record), or of a job that waits. Mirrors
 * core's emp_explanation. */
struct emp_decision_view {
    bool waiting;                              /* nothing is chosen yet: `chosen` is null */
    const struct emp_route_choice *candidates; /* best first */
    uint32_t count, considered;
    enum emp_fallback fallback;
    int64_t estimated_run_ms;
    struct emp_str pool, waiting_for, reason;
    const struct emp_str *models, *nodes;
    uint32_t model_count, node_count;
    double priority;
    enum emp_tier tier;
};
void emp_view_decision(struct emp_writer *w, const char *name, const struct emp_decision_view *v);
/* The view of a decision that was taken, for emp_view_decision; `record` and `spec` must outlive
 * it. */
void emp_decision_view_of(const struct emp_job_record *record, const struct emp_job_spec *spec,
                          struct emp_decision_view *ret);

/* An event of GET /api/jobs/:id/events and of webhooks: the `data` object. */
struct emp_notice_view {
    const char *event; /* "job_submitted", "update_job_progress", … */
    const char *job_id;
    enum emp_job_state state;
    uint32_t attempt;
    struct emp_str machine, pool, text;
    float percent; /* < 0: left out */
    int code;      /* EMP_E_*, 0 none */
    emp_wall_ms at;
    struct emp_str result; /* JSON; empty: left out */
};
void emp_view_notice(struct emp_writer *w, const char *name, const struct emp_notice_view *v);

/* ------------------------------------------------------------------ machines, models, pools */

struct emp_machine_view {
    const struct emp_machine_facts *facts;
    enum emp_machine_state state;
    struct emp_str pool;
    uint32_t busy;
    const emp_job_num *jobs; /* [busy] */
    const struct emp_copy *copies;
    uint32_t copy_count;
    int64_t disk_free_bytes, link_bytes_per_s, fetch_left_bytes;
    double speed;
    uint32_t jobs_completed, jobs_failed;
    emp_wall_ms first_seen, last_seen, quarantined_until;
    bool drained;
    bool brief; /* in a list: without copies and capabilities */
};
void emp_view_machine(struct emp_writer *w, const char *name, const struct emp_machine_view *v,
                      emp_view_job_id id_of, void *ctx);

struct emp_model_view {
    const struct emp_model *model;
    uint32_t copies, fetching;
    uint64_t uses;
    const struct emp_str *machines; /* [copies] */
};
void emp_view_model(struct emp_writer *w, const char *name, const struct emp_model_view *v);

struct emp_pool_view {
    const struct emp_pool *pool;
    uint32_t machines, slots, busy;
    uint64_t pending, running;
};
void emp_view_pool(struct emp_writer *w, const char *name, const struct emp_pool_view *v);

/* ------------------------------------------------------------------ answers */

/* {"success":false,"error":…,"code":…,"field":…,"timestamp":…}; the general sentence where
 * err->text is empty. */
void emp_view_error(struct emp_writer *w, const char *name, const struct emp_error *err,
                    emp_wall_ms now);

/* {"success":true,"job_id":…,"message":"Job submitted successfully","timestamp":…}, then what of
 * its times is known: estimated_start, estimated_start_p90, estimated_completion,
 * estimated_completion_p90, or waiting_reason. eta NULL: none. */
void emp_view_submitted(struct emp_writer *w, const char *name, const char *job_id, emp_wall_ms now,
                        const struct emp_eta *eta);

/* An element of a batch's answer: {"success":true,"job_id":…} and times as above, or
 * {"success":false,"error":…,"code":…,"field":…}. err NULL or code 0: good. */
void emp_view_batch_element(struct emp_writer *w, const char *job_id, const struct emp_error *err,
                            emp_wall_ms now, const struct emp_eta *eta);

#endif

/* Jobs and answers for the HTTP API. The fields and their order are those that clients of the
 * existing system read, then what is new. Of the submission, three levels are looked into: the
 * deepest that a shown field comes from (ctx.workflow_context.retry_attempt). */
#include "proto/view_json.h"

#include "proto/job_json.h"
#include "proto/json.h"
#include "proto/message_json.h"

#include <math.h>

enum { LEVELS_SHOWN = 3, URL_MAX = 4096 };

/* ---- the submission's own parts ---- */

struct parts {
    struct emp_str payload, requirements;
    double retry_count; /* as the submission's context says; 0: it does not */
};

static double truthy_number(const struct emp_json *v)
{
    return v && v->type == EMP_JSON_NUMBER ? emp_json_number(v) : 0;
}

/* Where the existing system looks for the count of a retry that is somebody else's doing; the first
 * that is not 0. */
static double retry_count_said(const struct emp_json *root)
{
    const struct emp_json *workflow = emp_json_find(emp_json_find(root, "ctx"), "workflow_context");
    const struct emp_json *ctx = emp_json_find(emp_json_find(root, "payload"), "ctx");
    const double said[] = {
        truthy_number(emp_json_find(workflow, "retry_attempt")),
        truthy_number(emp_json_find(ctx, "retry_count")),
        truthy_number(emp_json_find(ctx, "retryCount")),
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (said[i] > 0)
            return said[i];
    return 0;
}

static void parts_of(struct emp_str body, struct emp_arena *scratch, struct parts *ret)
{
    const struct emp_json_options options = {.tree_depth = LEVELS_SHOWN};
    struct emp_json *root;
    *ret = (struct parts){.payload = EMP_STR("{}")};
    if (body.len == 0 || emp_json_parse(scratch, body.ptr, body.len, &options, &root, NULL) < 0)
        return;
    const struct emp_json *payload = emp_json_find(root, "payload"),
                          *requirements = emp_json_find(root, "requirements");
    if (payload && payload->type == EMP_JSON_OBJECT)
        ret->payload = payload->raw;
    if (requirements && requirements->type == EMP_JSON_OBJECT)
        ret->requirements = requirements->raw;
    ret->retry_count = retry_count_said(root);
}

/* ---- what became of it ---- */

/* A relative path as part of a URL: everything but unreserved characters and slashes as %XX (RFC
 * 3986). */
static void url_add(struct emp_buf *out, struct emp_str path)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    for (uint32_t i = 0; i < path.len; i++) {
        if (path.ptr[i] != '\0' && strchr(plain, path.ptr[i]))
            emp_buf_add(out, &path.ptr[i], 1);
        else
            emp_buf_printf(out, "%%%02X", (unsigned char)path.ptr[i]);
    }
}

static void write_output(struct emp_writer *w, const char *job_id, const struct emp_output *o)
{
    struct emp_buf url;
    emp_buf_init(&url, URL_MAX);
    emp_buf_printf(&url, "/api/artifacts/%s/", job_id);
    url_add(&url, o->name);
    emp_write_object(w, NULL);
    emp_write_str(w, "name", o->name);
    emp_write_str_opt(w, "type", o->type);
    emp_write_i64(w, "bytes", o->bytes);
    emp_write_str_opt(w, "sha256", emp_str_z(o->sha256));
    if (!url.failed)
        emp_write_str(w, "url", (struct emp_str){url.data, (uint32_t)url.len});
    emp_write_end(w);
    emp_buf_release(&url);
}

static void write_result(struct emp_writer *w, const struct emp_job_view *v,
                         struct emp_arena *scratch)
{
    struct emp_str result = {0};
    struct emp_output *outputs = NULL;
    uint32_t count = 0;
    if (v->result_blob.len == 0 ||
        emp_result_blob_parse(scratch, v->result_blob, &result, &outputs, &count, NULL) < 0)
        return;
    emp_write_raw(w, "result", result);
    emp_write_array(w, "outputs");
    for (uint32_t i = 0; i < count; i++)
        write_output(w, v->id, &outputs[i]);
    emp_write_end(w);
}

static void write_attempt(struct emp_writer *w, const struct emp_attempt *a)
{
    emp_write_object(w, NULL);
    emp_write_u64(w, "attempt", a->number);
    emp_write_str(w, "machine_id", a->machine);
    emp_write_str_opt(w, "pool", a->pool);
    emp_write_time_opt(w, "assigned_at", a->assigned_at);
    emp_write_time_opt(w, "started_at", a->started_at);
    emp_write_time_opt(w, "ended_at", a->ended_at);
    emp_write_z(w, "outcome", emp_outcome_word(a->outcome));
    emp_write_bool(w, "counted", a->counted);
    if (a->bytes_fetched > 0)
        emp_write_i64(w, "bytes_fetched", a->bytes_fetched);
    emp_write_str_opt(w, "error", a->error);
    if (a->error_code != 0)
        emp_write_z(w, "code", emp_error_name(a->error_code));
    emp_write_end(w);
}

static bool ended_badly(const struct emp_attempt *a)
{
    return a->outcome == EMP_OUTCOME_FAILED || a->outcome == EMP_OUTCOME_REJECTED ||
           a->outcome == EMP_OUTCOME_TIMEOUT || a->outcome == EMP_OUTCOME_LOST;
}

static struct emp_str last_failed_machine(const struct emp_job_view *v)
{
    const struct emp_attempt *last = &v->record->attempt;
    if (last->machine.len > 0 && ended_badly(last))
        return last->machine;
    for (uint32_t i = v->attempt_count; i > 0; i--)
        if (ended_badly(&v->attempts[i - 1]))
            return v->attempts[i - 1].machine;
    return (struct emp_str){0};
}

/* ---- the job object ---- */

static void write_times(struct emp_writer *w, const struct emp_job_record *r)
{
    static const char *const ended[EMP_JOB_STATE_COUNT] = {
        [EMP_JOB_COMPLETED] = "completed_at",
        [EMP_JOB_FAILED] = "failed_at",
        [EMP_JOB_CANCELLED] = "cancelled_at",
    };
    emp_write_time(w, "created_at", r->submitted_at);
    if (r->state != EMP_JOB_PENDING) {
        emp_write_time_opt(w, "assigned_at", r->attempt.assigned_at);
        emp_write_time_opt(w, "started_at", r->attempt.started_at);
    }
    if (ended[r->state])
        emp_write_time_opt(w, ended[r->state], r->finished_at);
}

/* The machine it is or was on; not that of an attempt that a waiting job has behind it. */
static void write_place(struct emp_writer *w, const struct emp_job_view *v)
{
    const struct emp_attempt *a = &v->record->attempt;
    if (v->record->state == EMP_JOB_PENDING || a->machine.len == 0) {
        emp_write_str_opt(w, "pool", v->spec->pool);
        return;
    }
    emp_write_str(w, "worker_id", a->machine);
    emp_write_str(w, "machine_id", a->machine);
    emp_write_str_opt(w, "pool", a->pool);
    emp_write_u64(w, "attempt", a->number);
}

static void write_retries(struct emp_writer *w, const struct emp_job_view *v, const struct parts *p)
{
    const struct emp_job_record *r = v->record;
    int64_t failures = (int64_t)r->counted_attempts -
                       (r->state == EMP_JOB_COMPLETED && r->counted_attempts > 0);
    if (p->retry_count > 0)
        emp_write_double(w, "retry_count", p->retry_count);
    else
        emp_write_i64(w, "retry_count", v->spec->retry_count + failures);
    emp_write_i64(w, "max_retries",
                  v->spec->max_retries >= 0 ? v->spec->max_retries : v->max_retries_default);
    emp_write_str_opt(w, "last_failed_worker", last_failed_machine(v));
    if (r->state == EMP_JOB_PENDING && r->not_before > v->now)
        emp_write_time(w, "retry_at", r->not_before);
}

/* What is known of its times, or why nothing is. */
static void write_eta(struct emp_writer *w, const struct emp_eta *eta, emp_wall_ms now)
{
    const struct {
        const char *name;
        int64_t ms;
    } times[] = {
        {"estimated_start", eta->start_p50_ms},
        {"estimated_start_p90", eta->start_p90_ms},
        {"estimated_completion", eta->finish_p50_ms},
        {"estimated_completion_p90", eta->finish_p90_ms},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (times[i].ms >= 0)
            emp_write_time(w, times[i].name, now + times[i].ms);
    emp_write_str_opt(w, "waiting_reason", eta->reason);
}

/* How long it took, how far it is, when it is expected to be done. */
static void write_progress(struct emp_writer *w, const struct emp_job_view *v)
{
    const struct emp_job_record *r = v->record;
    const struct emp_attempt *a = &r->attempt;
    if (emp_job_state_terminal(r->state) && a->started_at > 0 && r->finished_at >= a->started_at)
        emp_write_i64(w, "processing_time", r->finished_at - a->started_at);
    if (v->eta && !emp_job_state_terminal(r->state))
        write_eta(w, v->eta, v->now);
    else if (r->state == EMP_JOB_IN_PROGRESS && a->started_at > 0 &&
             r->decision.estimated_run_ms > 0)
        emp_write_time(w, "estimated_completion", a->started_at + r->decision.estimated_run_ms);
    if (r->state == EMP_JOB_COMPLETED)
        emp_write_i64(w, "progress", 100);
    else if (v->percent >= 0 && !emp_job_state_terminal(r->state))
        emp_write_double(w, "progress", round((double)v->percent * 100) / 100);
    emp_write_str_opt(w, "progress_message", v->progress_text);
}

static void write_workflow(struct emp_writer *w, const struct emp_job_spec *s)
{
    emp_write_str_opt(w, "workflow_id", s->workflow);
    if (!isnan(s->workflow_priority))
        emp_write_double(w, "workflow_priority", s->workflow_priority);
    if (s->workflow_datetime != 0)
        emp_write_i64(w, "workflow_datetime", s->workflow_datetime);
    if (s->current_step != 0)
        emp_write_i64(w, "current_step", s->current_step);
    if (s->total_steps != 0)
        emp_write_i64(w, "total_steps", s->total_steps);
}

static void write_wishes(struct emp_writer *w, const struct emp_job_spec *s)
{
    const struct {
        const char *name;
        const struct emp_str *list;
        uint32_t count;
    } lists[] = {
        {"models", s->models, s->model_count},
        {"custom_nodes", s->custom_nodes, s->node_count},
        {"compliance", s->compliance, s->compliance_count},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i].count > 0)
            emp_write_strs(w, lists[i].name, lists[i].list, lists[i].count);
    emp_write_z(w, "user_tier", emp_tier_word(s->tier));
    emp_write_str_opt(w, "specialty", s->specialty);
    emp_write_str_opt(w, "region", s->region);
    if (s->estimated_duration_ms > 0)
        emp_write_ms(w, "estimated_duration_s", s->estimated_duration_ms);
    if (s->timeout_ms > 0)
        emp_write_ms(w, "timeout_s", s->timeout_ms);
    if (s->wait)
        emp_write_bool(w, "wait", true);
    emp_write_str_opt(w, "idempotency_key", s->idempotency_key);
}

void emp_view_job(struct emp_writer *w, const char *name, const struct emp_job_view *v,
                  struct emp_arena *scratch)
{
    const struct emp_job_record *r = v->record;
    struct parts p;
    parts_of(v->body, scratch, &p);
    emp_write_object(w, name);
    emp_write_z(w, "id", v->id);
    emp_write_str(w, "service_required", v->spec->service);
    emp_write_double(w, "priority", v->spec->priority);
    if (v->body.len > 0)
        emp_write_raw(w, "payload", p.payload);
    if (p.requirements.len > 0)
        emp_write_raw(w, "requirements", p.requirements);
    emp_write_str_opt(w, "customer_id", v->spec->customer);
    emp_write_z(w, "status", emp_job_state_word(r->state));
    write_times(w, r);
    write_place(w, v);
    write_retries(w, v, &p);
    write_workflow(w, v->spec);
    write_wishes(w, v->spec);
    write_progress(w, v);
    write_result(w, v, scratch);
    emp_write_str_opt(w, "error", r->error);
    if (r->error_code != 0)
        emp_write_z(w, "code", emp_error_name(r->error_code));
    if (v->attempts) {
        emp_write_array(w, "attempts");
        for (uint32_t i = 0; i < v->attempt_count; i++)
            write_attempt(w, &v->attempts[i]);
        emp_write_end(w);
    }
    emp_write_end(w);
}

void emp_view_notice(struct emp_writer *w, const char *name, const struct emp_notice_view *v)
{
    emp_write_object(w, name);
    emp_write_z(w, "type", v->event);
    emp_write_z(w, "job_id", v->job_id);
    emp_write_z(w, "status", emp_job_state_word(v->state));
    if (v->attempt > 0)
        emp_write_u64(w, "attempt", v->attempt);
    emp_write_str_opt(w, "worker_id", v->machine);
    emp_write_str_opt(w, "machine_id", v->machine);
    emp_write_str_opt(w, "pool", v->pool);
    if (v->percent >= 0)
        emp_write_double(w, "progress", round((double)v->percent * 100) / 100);
    emp_write_str_opt(w, v->code != 0 ? "error" : "message", v->text);
    if (v->code != 0)
        emp_write_z(w, "code", emp_error_name(v->code));
    if (v->result.len > 0)
        emp_write_raw(w, "result", v->result);
    emp_write_time(w, "timestamp", v->at);
    emp_write_end(w);
}

/* ---- answers ---- */

static void write_error(struct emp_writer *w, const struct emp_error *err)
{
    emp_write_bool(w, "success", false);
    emp_write_z(w, "error", err->text[0] ? err->text : emp_error_text(err->code));
    emp_write_z(w, "code", emp_error_name(err->code));
    if (err->field[0])
        emp_write_z(w, "field", err->field);
}

void emp_view_error(struct emp_writer *w, const char *name, const struct emp_error *err,
                    emp_wall_ms now)
{
    emp_write_object(w, name);
    write_error(w, err);
    emp_write_time(w, "timestamp", now);
    emp_write_end(w);
}

void emp_view_submitted(struct emp_writer *w, const char *name, const char *job_id, emp_wall_ms now,
                        const struct emp_eta *eta)
{
    emp_write_object(w, name);
    emp_write_bool(w, "success", true);
    emp_write_z(w, "job_id", job_id);
    emp_write_z(w, "message", "Job submitted successfully");
    emp_write_time(w, "timestamp", now);
    if (eta)
        write_eta(w, eta, now);
    emp_write_end(w);
}

void emp_view_batch_element(struct emp_writer *w, const char *job_id, const struct emp_error *err,
                            emp_wall_ms now, const struct emp_eta *eta)
{
    emp_write_object(w, NULL);
    if (err && err->code != 0) {
        write_error(w, err);
    } else {
        emp_write_bool(w, "success", true);
        emp_write_z(w, "job_id", job_id);
        if (eta)
            write_eta(w, eta, now);
    }
    emp_write_end(w);
}

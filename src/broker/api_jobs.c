/* Looking at jobs: the list, one job, its decision, its events. What is shown is what the store
 * has, which is what was acknowledged; beside it stand the progress of running jobs, and for a
 * waiting one the core's own explanation. */
#include "broker/api.h"
#include "broker/query.h"
#include "os/clock.h"
#include "proto/job_json.h"
#include "proto/view_json.h"

/* ------------------------------------------------------------------ job objects */

static void write_job(struct emp_writer *w, struct emp_broker *b, const char *name,
                      const struct emp_store_job *job, bool attempts, const struct emp_eta *eta,
                      struct emp_arena *a)
{
    char id[EMP_JOB_ID_TEXT];
    struct emp_progress progress;
    struct emp_job_view v = {
        .id = id,
        .record = &job->record,
        .spec = &job->spec,
        .body = job->body,
        .result_blob = job->result,
        .max_retries_default = b->o.settings->retry.max_retries,
        .percent = -1,
        .eta = eta,
        .now = emp_wall_now(),
    };

    emp_job_id_format(b->secret, job->record.num, id);
    if (attempts) {
        static const struct emp_attempt none[1];
        v.attempts = job->attempt_count ? job->attempts : none;
        v.attempt_count = job->attempt_count;
    }
    if (job->record.state == EMP_JOB_IN_PROGRESS &&
        emp_progress_get(&b->progress, job->record.num, &progress)) {
        v.percent = progress.percent;
        v.progress_text = (struct emp_str){progress.text, progress.text_len};
    }
    emp_view_job(w, name, &v, a);
}

static void answer_job(const struct emp_peer *p, const struct emp_store_job *job,
                       const struct emp_eta *eta, struct emp_arena *a)
{
    struct emp_buf body;
    struct emp_writer w;

    emp_api_begin_success(&w, &body);
    write_job(&w, p->broker, "job", job, true, eta, a);
    emp_api_end_success(&w);
    emp_answer_json(p, 200, &body);
}

/* A live one: the core is asked for its times. */
struct show {
    struct emp_op op;
    struct emp_store_job job;
    struct emp_eta eta;
    bool told;
};

static void show_run(struct emp_broker *b, struct emp_op *op)
{
    struct show *s = (struct show *)op;

    s->told = emp_core_expect(b->core, emp_loop_now(), s->job.record.num, &s->eta) == 0;
    if (s->told)
        s->eta.reason = emp_str_copy(&op->arena, s->eta.reason);
}

/* What the store said stands, whatever becomes of commits. */
static void show_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct show *s = (struct show *)op;

    (void)b;
    answer_job(&op->peer, &s->job, code == 0 && s->told ? &s->eta : NULL, &op->arena);
}

static const struct emp_op_type show_type = {.name = "job", .run = show_run, .finish = show_finish};

void emp_api_job(const struct emp_call *c)
{
    struct show *s = emp_op_new(sizeof *s, &show_type, &c->peer);
    unsigned want = EMP_STORE_BODY | EMP_STORE_RESULT | EMP_STORE_ATTEMPTS;

    int r = emp_api_job_of(c, want, &s->op.arena, &s->job);
    if (r >= 0 && !emp_job_state_terminal(s->job.record.state)) {
        emp_api_post(c, &s->op);
        return;
    }
    if (r >= 0)
        answer_job(&c->peer, &s->job, NULL, &s->op.arena);
    emp_op_free(&s->op);
}

/* ------------------------------------------------------------------ the list */

static int list_read(const struct emp_call *c, struct emp_arena *a, struct emp_store_list *ret,
                     struct emp_error *err)
{
    struct emp_broker *b = c->peer.broker;
    struct emp_query_pair pairs[EMP_HTTP_PARAMS_MAX];
    uint32_t count = emp_http_param_count(c->peer.http);
    struct emp_store_query q;
    struct emp_store_reader *reader;

    for (uint32_t i = 0; i < count; i++) {
        struct emp_http_param p = emp_http_param_at(c->peer.http, i);
        pairs[i] = (struct emp_query_pair){p.name, p.value};
    }
    int r = emp_query_jobs(pairs, count, &q, err);
    if (r < 0)
        return r;
    q.want = EMP_STORE_BODY | EMP_STORE_RESULT;
    r = emp_readers_take(&b->readers, &reader, err);
    if (r < 0)
        return r;
    r = emp_store_jobs(reader, &q, a, ret, err);
    emp_readers_give(&b->readers, reader);
    return r;
}

void emp_api_job_list(const struct emp_call *c)
{
    struct emp_arena a;
    struct emp_store_list list;
    struct emp_error err;
    struct emp_buf body;
    struct emp_writer w;

    emp_arena_init(&a, 0);
    if (list_read(c, &a, &list, &err) < 0) {
        emp_answer_error(&c->peer, &err);
        emp_arena_release(&a);
        return;
    }
    emp_api_begin_success(&w, &body);
    emp_write_array(&w, "jobs");
    for (uint32_t i = 0; i < list.count; i++)
        write_job(&w, c->peer.broker, NULL, &list.jobs[i], false, NULL, &a);
    emp_write_end(&w);
    emp_write_u64(&w, "total", list.total);
    emp_api_end_success(&w);
    emp_answer_json(&c->peer, 200, &body);
    emp_arena_release(&a);
}

/* ------------------------------------------------------------------ decisions */

/* The decision's own members, at the top, between "success" and the rest. */
static void answer_decision(const struct emp_peer *p, emp_job_num num, enum emp_job_state state,
                            const struct emp_decision_view *v)
{
    struct emp_buf body;
    struct emp_writer w;
    char id[EMP_JOB_ID_TEXT], time[EMP_ISO_MAX];

    emp_job_id_format(p->broker->secret, num, id);
    emp_iso_format(emp_wall_now(), time);
    emp_buf_init(&body, EMP_API_ANSWER_MAX);
    emp_buf_printf(&body,
                   "{\"success\":true,\"job_id\":\"%s\",\"status\":\"%s\",\"timestamp\":\"%s\",",
                   id, emp_job_state_word(state), time);
    size_t brace = body.len;
    emp_writer_init(&w, &body);
    emp_view_decision(&w, NULL, v);
    if (!body.failed)
        body.data[brace] = ' '; /* its own opening brace: the members join those above */
    emp_answer_json(p, 200, &body);
}

static void answer_stored_decision(const struct emp_peer *p, const struct emp_store_job *job)
{
    const struct emp_str never = EMP_STR("it ended before a machine was chosen");
    struct emp_decision_view v;

    emp_decision_view_of(&job->record, &job->spec, &v);
    if (v.count == 0) {
        v.waiting = false;
        v.reason = job->record.error.len ? job->record.error : never;
    }
    answer_decision(p, job->record.num, job->record.state, &v);
}

struct decision {
    struct emp_op op;
    emp_job_num num;
    enum emp_job_state state;
    struct emp_explanation e;
    int code;
};

static void decision_run(struct emp_broker *b, struct emp_op *op)
{
    struct decision *d = (struct decision *)op;
    struct emp_core_job_view view;

    d->code = emp_core_job(b->core, d->num, &view);
    if (d->code < 0)
        return;
    d->state = view.state;
    d->code = emp_core_explain(b->core, emp_loop_now(), d->num, &op->arena, &d->e);
    if (d->code < 0)
        return;
    /* Strings may be the core's until its next step: what the answer shows is copied. */
    struct emp_route_choice *copies =
        emp_arena_dup(&op->arena, d->e.candidates, d->e.count * sizeof *copies);
    for (uint32_t i = 0; i < d->e.count; i++) {
        copies[i].machine = emp_str_copy(&op->arena, copies[i].machine);
        copies[i].pool = emp_str_copy(&op->arena, copies[i].pool);
    }
    d->e.candidates = copies;
    d->e.pool = emp_str_copy(&op->arena, d->e.pool);
    d->e.waiting_for = emp_str_copy(&op->arena, d->e.waiting_for);
    d->e.reason = emp_str_copy(&op->arena, d->e.reason);
    d->e.models = emp_arena_dup(&op->arena, d->e.models, d->e.model_count * sizeof *d->e.models);
    for (uint32_t i = 0; i < d->e.model_count; i++)
        d->e.models[i] = emp_str_copy(&op->arena, d->e.models[i]);
    d->e.nodes = emp_arena_dup(&op->arena, d->e.nodes, d->e.node_count * sizeof *d->e.nodes);
    for (uint32_t i = 0; i < d->e.node_count; i++)
        d->e.nodes[i] = emp_str_copy(&op->arena, d->e.nodes[i]);
}

/* It ended between the look into the store and the core's turn; by now the store has its end. Rare:
 * a short read on this thread. */
static void decision_finish_ended(struct decision *d)
{
    struct emp_call c = {.peer = d->op.peer};
    struct emp_store_job job;

    if (emp_api_job_read(&c, d->num, 0, &d->op.arena, &job) >= 0)
        answer_stored_decision(&d->op.peer, &job);
}

static void decision_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct decision *d = (struct decision *)op;
    const struct emp_explanation *e = &d->e;
    struct emp_error err;

    (void)b;
    if (code < 0) {
        emp_fail(&err, code, NULL, "%s", emp_error_text(code));
        emp_answer_error(&op->peer, &err);
        return;
    }
    if (d->code < 0) {
        decision_finish_ended(d);
        return;
    }
    struct emp_decision_view v = {
        .waiting = e->waiting,
        .candidates = e->candidates,
        .count = e->count,
        .considered = e->considered,
        .fallback = e->fallback,
        .estimated_run_ms = e->estimated_run_ms,
        .pool = e->pool,
        .waiting_for = e->waiting_for,
        .reason = e->reason,
        .models = e->models,
        .nodes = e->nodes,
        .model_count = e->model_count,
        .node_count = e->node_count,
        .priority = e->priority,
        .tier = e->tier,
    };
    answer_decision(&op->peer, d->num, d->state, &v);
}

static const struct emp_op_type decision_type = {
    .name = "decision", .run = decision_run, .finish = decision_finish};

void emp_api_decision(const struct emp_call *c)
{
    struct emp_arena a;
    struct emp_store_job job;

    emp_arena_init(&a, 0);
    if (emp_api_job_of(c, 0, &a, &job) >= 0) {
        if (emp_job_state_terminal(job.record.state)) {
            answer_stored_decision(&c->peer, &job);
        } else {
            struct decision *d = emp_op_new(sizeof *d, &decision_type, &c->peer);
            d->num = job.record.num;
            emp_api_post(c, &d->op);
        }
    }
    emp_arena_release(&a);
}

/* ------------------------------------------------------------------ events */

struct events {
    struct emp_op op;
    emp_job_num num;
};

static void events_run(struct emp_broker *b, struct emp_op *op)
{
    (void)b;
    (void)op; /* its place in the order of batches is all that matters: what came before has been
                 told to others already */
}

static void events_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct emp_http_header headers[EMP_ANSWER_HEADERS + 2];
    struct emp_http_stream *stream;
    struct emp_error err;
    size_t count = 0;

    if (code >= 0 && b->events.count >= b->o.event_streams_max)
        code = emp_fail(&err, EMP_E_UNAVAILABLE, NULL,
                        "there are %u event streams open already: try again later",
                        b->events.count);
    else if (code < 0)
        emp_fail(&err, code, NULL, "%s", emp_error_text(code));
    if (code < 0) {
        emp_answer_error(&op->peer, &err);
        return;
    }
    emp_answer_headers(&op->peer, headers, &count);
    headers[count++] = (struct emp_http_header){"Cache-Control", "no-cache"};
    headers[count++] = (struct emp_http_header){"X-Accel-Buffering", "no"};
    emp_answer_count(b, 200);
    if (emp_http_stream_open(op->peer.http, "text/event-stream", EMP_EVENTS_BUFFER_MAX, headers,
                             count, &stream) == 0)
        emp_events_open(b, stream, ((struct events *)op)->num);
}

static const struct emp_op_type events_type = {
    .name = "events", .run = events_run, .finish = events_finish, .on_loop = true};

void emp_api_events(const struct emp_call *c)
{
    struct emp_arena a;
    struct emp_store_job job;

    emp_arena_init(&a, 0);
    if (emp_api_job_of(c, 0, &a, &job) >= 0) {
        struct events *e = emp_op_new(sizeof *e, &events_type, &c->peer);
        e->num = job.record.num;
        emp_api_post(c, &e->op);
    }
    emp_arena_release(&a);
}

/* POST /api/jobs and /api/jobs/batch: parsed and checked on the HTTP thread, taken in by the core,
 * answered when durable.
 *
 * A repeated idempotency key is found in the store, before the core is asked; the core knows the
 * most recent ones, which closes the gap between the look and the commit. */
#include "broker/api.h"
#include "broker/blob.h"
#include "os/clock.h"
#include "proto/job_json.h"
#include "proto/view_json.h"

#include <stdlib.h>

/* How a submission ended. */
struct outcome {
    int code; /* 0 or EMP_E_* */
    emp_job_num job;
    int64_t retry_after_ms;
    const struct emp_eta *eta;   /* NULL: of a repeated key's job nothing is told */
    const struct emp_error *err; /* where code < 0 and there is more to say */
};

static void outcome_take(struct outcome *o, struct emp_arena *a, const struct emp_reply *reply)
{
    o->code = reply->code;
    o->job = reply->job;
    o->retry_after_ms = reply->retry_after_ms;
    if (reply->code < 0)
        o->err = emp_arena_dup(a, &reply->error, sizeof reply->error);
    else if (!reply->duplicate)
        o->eta = emp_arena_dup(a, &reply->eta, sizeof reply->eta);
}

/* The error of an outcome, or of commits that fail (`failing` < 0). */
static void outcome_error(const struct outcome *o, int failing, struct emp_error *err)
{
    if (failing) {
        emp_fail(err, failing, NULL,
                 "the store cannot be written now (%s); the job may still be taken when it can be: "
                 "repeat it with the same "
                 "Idempotency-Key to be sure that it runs once",
                 emp_error_text(failing));
        return;
    }
    if (o->err)
        *err = *o->err;
    else
        emp_fail(err, o->code, NULL, "%s", emp_error_text(o->code));
    err->code = o->code;
}

/* Looks a key up in the store. 1: this very job is there, *o is filled; 0: new; or EMP_E_KEY_REUSED
 * or another, with err. */
static int key_seen(struct emp_broker *b, const struct emp_job_spec *s, struct outcome *o,
                    struct emp_error *err)
{
    struct emp_store_reader *reader;
    uint64_t hash;

    int r = emp_readers_take(&b->readers, &reader, err);
    if (r < 0)
        return r;
    r = emp_store_idempotency(reader, s->customer, s->idempotency_key, &o->job, &hash, err);
    emp_readers_give(&b->readers, reader);
    if (r == EMP_E_NOT_FOUND)
        return 0;
    if (r < 0)
        return r;
    if (hash != s->body_hash)
        return emp_fail(err, EMP_E_KEY_REUSED, "idempotency_key",
                        "the key \"%.*s\" was used with another body",
                        EMP_STR_FMT(s->idempotency_key));
    o->code = 0;
    return 1;
}

/* The bytes a submission is kept as, and where its payload stands in them. NULL: no memory. */
static struct emp_blob *blob_of(struct emp_str body, struct emp_str payload)
{
    struct emp_blob *blob = emp_blob_new(body);

    if (blob && payload.len) {
        blob->payload_at = (uint32_t)(payload.ptr - body.ptr);
        blob->payload_len = payload.len;
    }
    return blob;
}

static void step_submit(struct emp_broker *b, struct emp_op *op, const struct emp_job_spec *spec,
                        struct emp_blob *blob)
{
    emp_loop_step(b, &(struct emp_event){
                         .kind = EMP_EVENT_SUBMIT,
                         .request = emp_op_request(op),
                         .submit = {.spec = spec, .body = emp_blob_token_of(blob)},
                     });
}

/* ------------------------------------------------------------------ one job */

struct submit {
    struct emp_op op;
    struct emp_job_spec spec;
    struct emp_blob *blob;
    struct outcome outcome;
};

static void submit_run(struct emp_broker *b, struct emp_op *op)
{
    struct submit *s = (struct submit *)op;
    step_submit(b, op, &s->spec, s->blob);
}

static void submit_reply(struct emp_op *op, const struct emp_reply *reply)
{
    struct submit *s = (struct submit *)op;

    outcome_take(&s->outcome, &op->arena, reply);
    if (reply->code == 0 && !reply->duplicate)
        emp_payloads_put(&op->peer.broker->payloads, reply->job, s->blob);
}

static void submit_answer(const struct emp_peer *p, const struct outcome *o, int failing)
{
    char id[EMP_JOB_ID_TEXT];
    struct emp_buf body;
    struct emp_writer w;
    struct emp_error err;

    if (failing || o->code < 0) {
        outcome_error(o, failing, &err);
        emp_answer_error_with(p, &err, o->retry_after_ms, NULL, NULL);
        return;
    }
    emp_job_id_format(p->broker->secret, o->job, id);
    emp_buf_init(&body, 1024);
    emp_writer_init(&w, &body);
    emp_view_submitted(&w, NULL, id, emp_wall_now(), o->eta);
    emp_answer_json(p, 201, &body);
}

static void submit_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    (void)b;
    submit_answer(&op->peer, &((struct submit *)op)->outcome, code);
}

static void submit_release(struct emp_op *op)
{
    emp_blob_unref(((struct submit *)op)->blob);
}

static const struct emp_op_type submit_type = {
    .name = "submit",
    .run = submit_run,
    .reply = submit_reply,
    .finish = submit_finish,
    .release = submit_release,
    .writes = true,
};

/* Body and header into the operation. 0; 1: a repeated key, s->outcome is filled; or an EMP_E_*. */
static int submit_parse(const struct emp_call *c, struct submit *s, struct emp_error *err)
{
    struct emp_job_parts parts;
    const char *key = emp_http_header(c->peer.http, "Idempotency-Key");
    struct emp_str body = emp_http_body(c->peer.http);

    s->blob = emp_blob_new(body);
    if (!s->blob)
        return emp_fail(err, EMP_E_UNAVAILABLE, NULL, "no memory for this body now");
    if (body.len == 0)
        return emp_fail(err, EMP_E_INVALID, "service_required",
                        "the body is empty: send a JSON object with service_required");
    int r = emp_job_spec_parse(&s->op.arena, s->blob->bytes, s->blob->len, &s->spec, &parts, err);
    if (r >= 0 && key)
        r = emp_job_spec_set_key(&s->spec, emp_str_copy(&s->op.arena, emp_str_z(key)), err);
    if (r < 0)
        return r;
    if (parts.payload.len) {
        s->blob->payload_at = (uint32_t)(parts.payload.ptr - s->blob->bytes);
        s->blob->payload_len = parts.payload.len;
    }
    return s->spec.idempotency_key.len ? key_seen(c->peer.broker, &s->spec, &s->outcome, err) : 0;
}

void emp_api_submit(const struct emp_call *c)
{
    struct submit *s = emp_op_new(sizeof *s, &submit_type, &c->peer);
    struct emp_error err;

    int r = submit_parse(c, s, &err);
    if (r == 0) {
        emp_api_post(c, &s->op);
        return;
    }
    if (r > 0)
        submit_answer(&c->peer, &s->outcome, 0);
    else
        emp_answer_error(&c->peer, &err);
    emp_op_free(&s->op);
}

/* ------------------------------------------------------------------ many */

struct batch {
    struct emp_op op;
    char *text;
    struct emp_job_request *jobs;
    struct emp_blob **blobs; /* NULL where an element is settled already */
    struct outcome *outcomes;
    uint32_t count, current;
};

static void batch_run(struct emp_broker *b, struct emp_op *op)
{
    struct batch *t = (struct batch *)op;

    for (t->current = 0; t->current < t->count; t->current++)
        if (t->blobs[t->current])
            step_submit(b, op, &t->jobs[t->current].spec, t->blobs[t->current]);
}

static void batch_reply(struct emp_op *op, const struct emp_reply *reply)
{
    struct batch *t = (struct batch *)op;

    outcome_take(&t->outcomes[t->current], &op->arena, reply);
    if (reply->code == 0 && !reply->duplicate)
        emp_payloads_put(&op->peer.broker->payloads, reply->job, t->blobs[t->current]);
}

static void batch_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct batch *t = (struct batch *)op;
    struct emp_buf body;
    struct emp_writer w;
    struct emp_error err;
    char id[EMP_JOB_ID_TEXT];
    emp_wall_ms now = emp_wall_now();

    if (code < 0) {
        outcome_error(NULL, code, &err);
        emp_answer_error(&op->peer, &err);
        return;
    }
    emp_api_begin_success(&w, &body);
    emp_write_array(&w, "jobs");
    for (uint32_t i = 0; i < t->count; i++) {
        const struct outcome *o = &t->outcomes[i];
        if (o->code < 0) {
            outcome_error(o, 0, &err);
            emp_view_batch_element(&w, NULL, &err, 0, NULL);
            continue;
        }
        emp_job_id_format(b->secret, o->job, id);
        emp_view_batch_element(&w, id, NULL, now, o->eta);
    }
    emp_write_end(&w);
    emp_api_end_success(&w);
    emp_answer_json(&op->peer, 200, &body);
}

static void batch_release(struct emp_op *op)
{
    struct batch *t = (struct batch *)op;

    for (uint32_t i = 0; t->blobs && i < t->count; i++)
        emp_blob_unref(t->blobs[i]);
    free(t->text);
}

static const struct emp_op_type batch_type = {
    .name = "batch",
    .run = batch_run,
    .reply = batch_reply,
    .finish = batch_finish,
    .release = batch_release,
    .writes = true,
};

/* Settles an element here, or makes its blob. 0 or, for the batch as a whole, EMP_E_UNAVAILABLE. */
static int batch_prepare(struct emp_broker *b, struct batch *t, uint32_t i, struct emp_error *err)
{
    struct emp_job_request *job = &t->jobs[i];
    struct outcome *o = &t->outcomes[i];
    struct emp_error why;

    if (job->err) {
        o->err = job->err;
        o->code = job->err->code;
        return 0;
    }
    int seen = job->spec.idempotency_key.len ? key_seen(b, &job->spec, o, &why) : 0;
    if (seen < 0) {
        o->err = emp_arena_dup(&t->op.arena, &why, sizeof why);
        o->code = seen;
    }
    if (seen != 0)
        return 0;
    t->blobs[i] = blob_of(job->body, job->parts.payload);
    return t->blobs[i] ? 0 : emp_fail(err, EMP_E_UNAVAILABLE, NULL, "no memory for this body now");
}

static int batch_parse(const struct emp_call *c, struct batch *t, struct emp_error *err)
{
    size_t len;

    t->text = emp_http_body_take(c->peer.http, &len);
    if (!t->text)
        return emp_fail(err, EMP_E_INVALID, "jobs", "the body is empty: send {\"jobs\":[…]}");
    int r = emp_job_batch_parse(&t->op.arena, t->text, len, &t->jobs, &t->count, err);
    if (r < 0)
        return r;
    t->blobs = emp_arena_array(&t->op.arena, struct emp_blob *, t->count);
    t->outcomes = emp_arena_array(&t->op.arena, struct outcome, t->count);
    for (uint32_t i = 0; i < t->count && r >= 0; i++)
        r = batch_prepare(c->peer.broker, t, i, err);
    return r;
}

void emp_api_batch(const struct emp_call *c)
{
    struct batch *t = emp_op_new(sizeof *t, &batch_type, &c->peer);
    struct emp_error err;

    if (batch_parse(c, t, &err) >= 0) {
        emp_api_post(c, &t->op);
        return;
    }
    emp_answer_error(&c->peer, &err);
    emp_op_free(&t->op);
}

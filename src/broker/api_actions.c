/* Cancel and retry. Both look into the store first, to tell an unknown job from one whose state
 * does not allow it.
 *
 * A retry gives the core the record as the store has it. That record must be the last word: a job
 * that was retried and ended again meanwhile would otherwise begin with a number of attempt that
 * was used already. So each bucket of jobs has an epoch, which moves when a retry is stepped and
 * again when it is durable; a record read under another epoch than the one at its step is read
 * again, on a worker. */
#include "broker/api.h"
#include "os/clock.h"
#include "proto/view_json.h"

#include <stdlib.h>

static void answer_action(const struct emp_peer *p, emp_job_num num, enum emp_job_state state,
                          const char *message)
{
    char id[EMP_JOB_ID_TEXT];
    struct emp_buf body;
    struct emp_writer w;

    emp_job_id_format(p->broker->secret, num, id);
    emp_api_begin_success(&w, &body);
    emp_write_z(&w, "job_id", id);
    emp_write_z(&w, "status", emp_job_state_word(state));
    emp_write_z(&w, "message", message);
    emp_api_end_success(&w);
    emp_answer_json(p, 200, &body);
}

/* ------------------------------------------------------------------ cancel */

struct cancel {
    struct emp_op op;
    emp_job_num num;
    int code;
};

static void cancel_run(struct emp_broker *b, struct emp_op *op)
{
    emp_loop_step(b, &(struct emp_event){
                         .kind = EMP_EVENT_CANCEL,
                         .request = emp_op_request(op),
                         .job = ((struct cancel *)op)->num,
                     });
}

static void cancel_reply(struct emp_op *op, const struct emp_reply *reply)
{
    ((struct cancel *)op)->code = reply->code;
}

static void answer_ended(const struct emp_peer *p, const char *state)
{
    struct emp_error err;

    emp_fail(&err, EMP_E_CONFLICT, NULL, "the job has ended already%s%s: it cannot be cancelled",
             state ? ", it is " : "", state ? state : "");
    emp_answer_error(p, &err);
}

static void cancel_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct cancel *t = (struct cancel *)op;

    (void)b;
    if (emp_api_unwritten(&op->peer, code))
        return;
    if (t->code < 0)
        answer_ended(&op->peer, NULL);
    else
        answer_action(&op->peer, t->num, EMP_JOB_CANCELLED, "Job cancelled");
}

static const struct emp_op_type cancel_type = {
    .name = "cancel",
    .run = cancel_run,
    .reply = cancel_reply,
    .finish = cancel_finish,
    .writes = true,
};

void emp_api_cancel(const struct emp_call *c)
{
    struct emp_arena a;
    struct emp_store_job job;

    emp_arena_init(&a, 0);
    if (emp_api_job_of(c, 0, &a, &job) >= 0) {
        if (emp_job_state_terminal(job.record.state)) {
            answer_ended(&c->peer, emp_job_state_word(job.record.state));
        } else {
            struct cancel *t = emp_op_new(sizeof *t, &cancel_type, &c->peer);
            t->num = job.record.num;
            emp_api_post(c, &t->op);
        }
    }
    emp_arena_release(&a);
}

/* ------------------------------------------------------------------ retry */

struct retry {
    struct emp_op op;
    emp_job_num num;
    unsigned epoch;           /* when `job` was read */
    struct emp_store_job job; /* in the operation's arena */
    uv_work_t work;           /* reading again */
    struct emp_error err;
    int code;
    bool stepped;
};

static const struct emp_op_type retry_type;

/* Reads the record under the present epoch. 0, or an EMP_E_* with retry->err. */
static int retry_read(struct emp_broker *b, struct retry *t)
{
    struct emp_store_reader *reader;

    t->epoch = atomic_load(emp_broker_retry_epoch(b, t->num));
    int r = emp_readers_take(&b->readers, &reader, &t->err);
    if (r < 0)
        return r;
    r = emp_store_job(reader, t->num, 0, &t->op.arena, &t->job, &t->err);
    emp_readers_give(&b->readers, reader);
    return r == EMP_E_NOT_FOUND ? emp_fail(&t->err, r, NULL, "Job not found") : r;
}

/* May it be retried, as far as the record tells? 0, or EMP_E_CONFLICT with a text. */
static int retry_allowed(struct emp_broker *b, const struct emp_store_job *job,
                         struct emp_error *err)
{
    const struct emp_job_record *r = &job->record;
    /* retention must not delete it under our hands */
    const int64_t margin_ms = b->o.retention_ms / 2 < 60000 ? b->o.retention_ms / 2 : 60000;

    if (!emp_job_move_allowed(r->state, EMP_JOB_PENDING) || !emp_job_state_terminal(r->state))
        return emp_fail(err, EMP_E_CONFLICT, NULL,
                        "the job is %s: only failed and cancelled jobs can be retried",
                        emp_job_state_word(r->state));
    if (b->o.retention_ms != EMP_NEVER &&
        emp_wall_now() - r->finished_at > b->o.retention_ms - margin_ms)
        return emp_fail(err, EMP_E_CONFLICT, NULL,
                        "the job ended too long ago and is about to be deleted: submit it anew");
    return 0;
}

static void retry_run(struct emp_broker *b, struct emp_op *op)
{
    struct retry *t = (struct retry *)op;
    atomic_uint *epoch = emp_broker_retry_epoch(b, t->num);

    if (t->code < 0)
        return;
    if (atomic_load(epoch) != t->epoch) {
        t->code = EMP_E_AGAIN; /* finish reads it again */
        return;
    }
    emp_loop_step(b, &(struct emp_event){
                         .kind = EMP_EVENT_RETRY,
                         .request = emp_op_request(op),
                         .retry = {.record = &t->job.record, .spec = &t->job.spec},
                     });
    atomic_fetch_add(epoch, 1);
    t->stepped = true;
}

static void retry_reply(struct emp_op *op, const struct emp_reply *reply)
{
    struct retry *t = (struct retry *)op;

    t->code = reply->code;
    t->err = reply->error;
    t->err.code = reply->code;
    if (reply->code == EMP_E_CONFLICT && !reply->error.text[0])
        emp_fail(&t->err, EMP_E_CONFLICT, NULL, "the job waits or runs already");
}

/* A fresh operation for the same request, its record read on a worker. */
static void retry_again_work(uv_work_t *w)
{
    struct retry *t = w->data;

    t->code = retry_read(t->op.peer.broker, t);
    if (t->code >= 0)
        t->code = retry_allowed(t->op.peer.broker, &t->job, &t->err);
}

static void retry_again_done(uv_work_t *w, int status)
{
    struct retry *t = w->data;

    (void)status;
    emp_loop_take(t->op.peer.broker, &t->op);
}

static void retry_again(struct emp_broker *b, const struct retry *old)
{
    struct retry *t = emp_op_new(sizeof *t, &retry_type, &old->op.peer);

    t->num = old->num;
    t->work.data = t;
    if (uv_queue_work(&b->loop.uv, &t->work, retry_again_work, retry_again_done) < 0)
        abort();
}

static void retry_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct retry *t = (struct retry *)op;

    if (emp_api_unwritten(&op->peer, code))
        return;
    if (t->code == EMP_E_AGAIN && !t->stepped)
        retry_again(b, t);
    else if (t->code < 0)
        emp_answer_error(&op->peer, &t->err);
    else
        answer_action(&op->peer, t->num, EMP_JOB_PENDING, "Job queued again");
}

/* With its batch, which is durable by now; an answer may have left before, while commits failed. */
static void retry_release(struct emp_op *op)
{
    struct retry *t = (struct retry *)op;

    if (t->stepped)
        atomic_fetch_add(emp_broker_retry_epoch(op->peer.broker, t->num), 1);
}

static const struct emp_op_type retry_type = {
    .name = "retry",
    .run = retry_run,
    .reply = retry_reply,
    .finish = retry_finish,
    .release = retry_release,
    .on_loop = true,
    .writes = true,
};

void emp_api_retry(const struct emp_call *c)
{
    struct emp_broker *b = c->peer.broker;
    struct retry *t;
    emp_job_num num;

    if (emp_api_job_num(c, &num) < 0)
        return;
    t = emp_op_new(sizeof *t, &retry_type, &c->peer);
    t->num = num;
    int r = retry_read(b, t);
    if (r >= 0)
        r = retry_allowed(b, &t->job, &t->err);
    if (r >= 0) {
        emp_api_post(c, &t->op);
        return;
    }
    emp_answer_error(&c->peer, &t->err);
    emp_op_free(&t->op);
}

#include "agent/runs.h"

#include "os/files.h"
#include "os/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* waiting ─► running ─► storing ─► (done)      abandoned: RUN_DONE is out, the connector's own end
 * is still to come */
enum state { WAITING, RUNNING, STORING, ABANDONED };

struct run {
    struct emp_chain chain;
    struct emp_runs *runs;
    enum state state;
    const struct emp_message_assign *assign;
    emp_job_num job;
    uint32_t attempt;
    uint32_t connector;
    struct emp_run *handle;
    struct emp_run_task task;
    struct emp_arena arena;
    struct emp_run_end end; /* STORING: as the connector gave it, result copied */
    struct emp_upload *upload;
    uv_timer_t timer; /* tells what went wrong at once, but later */
    struct emp_error err;
};

int emp_runs_init(struct emp_runs *r, const char *data_dir, struct emp_error *err)
{
    if (snprintf(r->dir, sizeof r->dir, "%s/runs", data_dir) >= (int)sizeof r->dir)
        return emp_fail(err, EMP_E_INVALID, "data", "the data directory's path is too long");
    emp_chain_init(&r->all);
    int code = emp_dir_make(r->dir, 0755, err);
    return code < 0 ? code : emp_dir_clear(r->dir, err);
}

static struct run *find(const struct emp_runs *r, emp_job_num job, uint32_t attempt)
{
    for (struct emp_chain *i = r->all.next; i != &r->all; i = i->next) {
        struct run *run = emp_chain_of(i, struct run, chain);
        if (run->job == job && run->attempt == attempt && run->state != ABANDONED)
            return run;
    }
    return NULL;
}

/* ---------------------------------------------------------------- scratch directories */

struct removal {
    uv_work_t work;
    char path[EMP_MODELS_PATH];
    struct emp_error err;
};

static void remove_work(uv_work_t *w)
{
    struct removal *m = w->data;
    emp_remove_tree(m->path, &m->err);
}

static void remove_after(uv_work_t *w, int status)
{
    struct removal *m = w->data;
    (void)status;
    if (m->err.code)
        emp_log_failure(EMP_LOG_WARN, "runs", "a scratch directory stays behind", &m->err);
    free(m);
}

static void remove_scratch(struct emp_runs *r, const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return; // most connectors never make it
    struct removal *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->work.data = m;
    snprintf(m->path, sizeof m->path, "%s", path);
    uv_queue_work(r->loop, &m->work, remove_work, remove_after);
}

/* ---------------------------------------------------------------- the end of a run */

static void on_closed(uv_handle_t *h)
{
    struct run *run = h->data;
    emp_arena_release(&run->arena);
    free(run);
}

static void discard(struct run *run)
{
    emp_chain_del(&run->chain);
    remove_scratch(run->runs, run->task.scratch);
    uv_close((uv_handle_t *)&run->timer, on_closed);
}

static void tell_done(struct run *run, const struct emp_run_end *end,
                      const struct emp_output *outputs, uint32_t count)
{
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_RUN_DONE,
                                  .run_done = {.job = run->job,
                                               .attempt = run->attempt,
                                               .code = end->code,
                                               .text = end->text,
                                               .retryable = end->retryable,
                                               .machine_fault = end->machine_fault,
                                               .run_ms = end->run_ms,
                                               .result = end->result,
                                               .outputs = outputs,
                                               .output_count = count}};
    run->runs->event(run->runs->arg, &e);
    run->assign = NULL;
}

static void tell_error(struct run *run, const struct emp_error *err, bool machine_fault)
{
    struct emp_run_end end = {.code = err->code,
                              .text = emp_str_z(err->text),
                              .retryable = machine_fault || emp_error_retryable(err->code),
                              .machine_fault = machine_fault,
                              .run_ms = run->end.run_ms};
    tell_done(run, &end, NULL, 0);
}

static void start_waiting(struct emp_runs *r, uint32_t connector);

static void leave_connector(struct run *run)
{
    struct emp_runs *r = run->runs;
    uint32_t connector = run->connector;
    run->handle = NULL;
    r->busy[connector]--;
    start_waiting(r, connector);
}

static void on_stored(void *arg, const struct emp_error *err, const struct emp_output *outputs,
                      uint32_t count)
{
    struct run *run = arg;
    run->upload = NULL;
    if (run->state == ABANDONED) {
        discard(run);
        return;
    }
    if (err->code)
        tell_error(run, err, err->code == EMP_E_IO);
    else
        tell_done(run, &run->end, outputs, count);
    discard(run);
}

static void store(struct run *run, const struct emp_run_end *end)
{
    struct emp_upload_job job = {.job_id = run->task.job_id,
                                 .attempt = run->attempt,
                                 .outputs = end->outputs,
                                 .count = end->output_count};
    struct emp_upload_sink sink = {.arg = run, .done = on_stored};
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_RUN_STORING,
                                  .run_storing = {.job = run->job, .attempt = run->attempt}};
    run->state = STORING;
    run->end = *end;
    run->end.result = emp_str_copy(&run->arena, end->result);
    run->end.outputs = NULL;
    run->upload = emp_upload_start(&run->runs->upload, &job, &sink);
    run->runs->event(run->runs->arg, &e);
}

static void on_run_done(void *arg, const struct emp_run_end *end)
{
    struct run *run = arg;
    bool abandoned = run->state == ABANDONED;
    if (end->code == 0 && end->result.len > EMP_RESULT_BYTES_MAX) {
        emp_fail(&run->err, EMP_E_LIMIT, NULL,
                 "the result has %u bytes; at most %d are kept, more belongs into an output file",
                 end->result.len, EMP_RESULT_BYTES_MAX);
        if (!abandoned)
            tell_error(run, &run->err, false);
        abandoned = true;
    } else if (!abandoned && end->code == 0 && end->output_count) {
        store(run, end);
        leave_connector(run);
        return;
    } else if (!abandoned) {
        tell_done(run, end, NULL, 0);
    }
    leave_connector(run);
    discard(run);
}

/* ---------------------------------------------------------------- during a run */

static void on_run_started(void *arg, int64_t load_ms)
{
    struct run *run = arg;
    if (run->state == ABANDONED)
        return;
    struct emp_connector *c = run->runs->connectors[run->connector];
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_RUN_STARTED,
                                  .run_started = {.job = run->job,
                                                  .attempt = run->attempt,
                                                  .load_ms = load_ms,
                                                  .keeps_loaded = c->keeps_models_loaded}};
    run->runs->event(run->runs->arg, &e);
}

static void on_run_progress(void *arg, double percent, struct emp_str text)
{
    struct run *run = arg;
    if (run->state == ABANDONED)
        return;
    struct emp_machine_event e = {
        .kind = EMP_MACHINE_EVENT_RUN_PROGRESS,
        .run_progress = {
            .job = run->job, .attempt = run->attempt, .percent = percent, .text = text}};
    run->runs->event(run->runs->arg, &e);
}

/* ---------------------------------------------------------------- the start */

/* A start that failed: is it the job's own fault? Everything else is this machine's. */
static bool is_jobs_fault(int code)
{
    return code == EMP_E_JOB_REJECTED || code == EMP_E_MALFORMED || code == EMP_E_LIMIT ||
           code == EMP_E_CANCELLED;
}

static void on_fail_later(uv_timer_t *t)
{
    struct run *run = t->data;
    if (run->state != ABANDONED)
        tell_error(run, &run->err, !is_jobs_fault(run->err.code));
    discard(run);
}

/* Callbacks into the brain must not come while it hands out actions. */
static void fail_later(struct run *run)
{
    run->state = WAITING;
    uv_timer_start(&run->timer, on_fail_later, 0, 0);
}

static void fill_task(struct run *run)
{
    const struct emp_message_assign *a = run->assign;
    struct emp_runs *r = run->runs;
    struct emp_run_model *models =
        emp_arena_array(&run->arena, struct emp_run_model, a->model_count);
    for (uint32_t i = 0; i < a->model_count; i++) {
        models[i].name = a->models[i].name;
        models[i].kind = a->models[i].kind;
        models[i].path = emp_arena_printf(&run->arena, "%s/%.*s", r->models->dir,
                                          EMP_STR_FMT(a->models[i].path));
    }
    run->task = (struct emp_run_task){
        .job = a->job,
        .attempt = a->attempt,
        .job_id = a->job_id,
        .service = a->service,
        .customer = a->customer,
        .payload = a->payload,
        .models = models,
        .model_count = a->model_count,
        .model_dir = r->models->dir,
        .scratch = emp_arena_printf(&run->arena, "%s/%llu.%u", r->dir, (unsigned long long)a->job,
                                    a->attempt),
        .timeout_ms = a->timeout_ms,
    };
}

static bool offers(const struct emp_connector *c, struct emp_str service)
{
    for (uint32_t i = 0; i < c->service_count; i++)
        if (emp_str_eq(c->services[i], service))
            return true;
    return false;
}

static void hand_over(struct run *run)
{
    static const struct emp_run_sink sink = {
        .started = on_run_started, .progress = on_run_progress, .done = on_run_done};
    struct emp_runs *r = run->runs;
    struct emp_connector *c = r->connectors[run->connector];
    struct emp_run_sink mine = sink;
    mine.arg = run;
    int code = c->ops->start(c, &run->task, &mine, &run->handle, &run->err);
    if (code < 0) {
        run->err.code = code;
        fail_later(run);
        return;
    }
    run->state = RUNNING;
    r->busy[run->connector]++;
}

static bool has_room(const struct emp_runs *r, uint32_t connector)
{
    uint32_t max = r->connectors[connector]->runs_max;
    return max == 0 || r->busy[connector] < max;
}

static void start_waiting(struct emp_runs *r, uint32_t connector)
{
    for (struct emp_chain *i = r->all.next; i != &r->all && has_room(r, connector); i = i->next) {
        struct run *run = emp_chain_of(i, struct run, chain);
        if (run->state == WAITING && run->connector == connector &&
            !uv_is_active((uv_handle_t *)&run->timer))
            hand_over(run);
    }
}

void emp_runs_start(struct emp_runs *r, const struct emp_message_assign *assign)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        abort();
    run->runs = r;
    run->assign = assign;
    run->job = assign->job;
    run->attempt = assign->attempt;
    emp_arena_init(&run->arena, 1024);
    fill_task(run);
    uv_timer_init(r->loop, &run->timer);
    run->timer.data = run;
    emp_chain_add(&r->all, &run->chain);
    while (run->connector < r->connector_count &&
           !offers(r->connectors[run->connector], assign->service))
        run->connector++;
    if (run->connector == r->connector_count) {
        emp_fail(&run->err, EMP_E_UNKNOWN_SERVICE, NULL,
                 "no connector of this agent offers \"%.*s\"", EMP_STR_FMT(assign->service));
        fail_later(run);
    } else if (has_room(r, run->connector)) {
        hand_over(run);
    }
}

/* ---------------------------------------------------------------- stopping */

void emp_runs_stop(struct emp_runs *r, emp_job_num job, uint32_t attempt, bool hard)
{
    struct run *run = find(r, job, attempt);
    if (!run)
        return;
    if (run->state == RUNNING) {
        r->connectors[run->connector]->ops->stop(r->connectors[run->connector], run->handle, hard);
    } else if (run->state == STORING) {
        emp_upload_cancel(run->upload);
    } else {
        emp_fail(&run->err, EMP_E_CANCELLED, NULL, "stopped before it began");
        fail_later(run);
    }
}

void emp_runs_abandon(struct emp_runs *r, emp_job_num job, uint32_t attempt)
{
    struct run *run = find(r, job, attempt);
    if (!run)
        return;
    emp_runs_stop(r, job, attempt, true);
    if (run->state == WAITING)
        return; // its end is on its way
    emp_log(EMP_LOG_ERROR, "runs", "a run does not stop and is given up job=%llu attempt=%u",
            (unsigned long long)job, attempt);
    emp_fail(&run->err, EMP_E_INTERNAL, NULL, "the run did not stop when asked and was given up");
    run->state = ABANDONED;
    tell_error(run, &run->err, true);
}

void emp_runs_stop_all(struct emp_runs *r)
{
    for (struct emp_chain *i = r->all.next; i != &r->all; i = i->next) {
        struct run *run = emp_chain_of(i, struct run, chain);
        emp_runs_stop(r, run->job, run->attempt, true);
    }
}

bool emp_runs_empty(const struct emp_runs *r)
{
    return emp_chain_empty(&r->all);
}

#include "record.h"

static void on_started(void *arg, int64_t load_ms)
{
    struct record *r = arg;
    assert_false(r->done);
    emp_buf_printf(&r->story, load_ms ? "started %lld\n" : "started\n", (long long)load_ms);
}

static void on_progress(void *arg, double percent, struct emp_str text)
{
    struct record *r = arg;
    assert_false(r->done);
    emp_buf_printf(&r->story, "progress %g %.*s\n", percent, EMP_STR_FMT(text));
}

static void on_done(void *arg, const struct emp_run_end *end)
{
    struct record *r = arg;
    assert_false(r->done);
    r->done = true;
    r->run_ms = end->run_ms;
    if (end->code) {
        emp_buf_printf(&r->story, "failed %s%s%s: %.*s\n", emp_error_name(end->code),
                       end->retryable ? " retryable" : "", end->machine_fault ? " machine" : "",
                       EMP_STR_FMT(end->text));
        return;
    }
    emp_buf_printf(&r->story, "completed %.*s", EMP_STR_FMT(end->result));
    for (uint32_t i = 0; i < end->output_count; i++)
        emp_buf_printf(&r->story, " %.*s", EMP_STR_FMT(end->outputs[i].name));
    emp_buf_addz(&r->story, "\n");
    if (end->output_count)
        r->out = (char *)place_read(r->place, end->outputs[0].path);
}

void record_init(struct record *r, struct place *p, struct emp_connector *c, const char *service,
                 const char *payload)
{
    static int runs;
    *r = (struct record){.place = p, .connector = c};
    emp_buf_init(&r->story, 1 << 20);
    r->task = (struct emp_run_task){
        .job = 7,
        .attempt = 1,
        .job_id = EMP_STR("0198-seven"),
        .service = emp_str_z(service),
        .payload = emp_str_z(payload),
        .model_dir = p->dir,
        .scratch = emp_arena_printf(&p->arena, "%s/runs/%d", p->dir, ++runs),
    };
}

int record_start(struct record *r)
{
    struct emp_run_sink sink = {r, on_started, on_progress, on_done};
    int code = r->connector->ops->start(r->connector, &r->task, &sink, &r->run, &r->err);
    assert_false(r->done); // never from inside start()
    return code;
}

const char *record_end(struct record *r)
{
    UNTIL(r->place, r->done);
    char *text = emp_arena_dup(&r->place->arena, r->story.data, r->story.len + 1);
    emp_buf_release(&r->story);
    return text;
}

bool record_said(const struct record *r, const char *part)
{
    return r->story.data && strstr(r->story.data, part);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

void connector_close(struct place *p, struct emp_connector *c)
{
    bool closed = false;
    c->ops->close(c, on_closed, &closed);
    UNTIL(p, closed);
}

/* One timer per run: first the load, then a tick per step. */
#include "agent/connectors/simulation.h"

#include "base/arena.h"
#include "os/clock.h"
#include "os/files.h"
#include "proto/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEPS_DEFAULT = 10, STEPS_MAX = 1000, QUIET_MS = 200, PATH_BYTES = 4096 };
#define OUTPUT_BYTES_MAX 1000000000.0

struct simulation {
    struct emp_connector base;
    struct emp_connector_host host;
    int64_t default_run_ms;
};

struct plan {
    double run_ms, load_ms, steps, output_bytes, fail_attempts;
    bool fail, permanent, machine;
    struct emp_str result;
};

struct emp_run {
    struct emp_run_task task;
    struct emp_run_sink sink;
    struct emp_arena arena; /* the payload's tree */
    struct plan plan;
    uv_timer_t timer;
    emp_mono_ms started_at;
    int64_t step; /* -1: loading */
    bool stopped;
};

/* ---------------------------------------------------------------- the payload */

static int number(struct emp_arena *a, const struct emp_json *payload, const char *name, double max,
                  double *ret, struct emp_error *err)
{
    const struct emp_json *v = emp_json_find(payload, name);
    if (!v)
        return 0;
    if (v->type != EMP_JSON_NUMBER || emp_json_number(v) < 0 || emp_json_number(v) > max)
        return emp_fail(err, EMP_E_JOB_REJECTED, name,
                        "payload.%s is %s; a number from 0 to %.0f is wanted", name,
                        emp_json_excerpt(a, v), max);
    *ret = emp_json_number(v);
    return 0;
}

static int fail_word(struct emp_arena *a, const struct emp_json *payload, struct plan *p,
                     struct emp_error *err)
{
    const struct emp_json *v = emp_json_find(payload, "fail");
    if (!v)
        return 0;
    if (v->type == EMP_JSON_BOOL) {
        p->fail = emp_json_true(v);
        return 0;
    }
    p->permanent = v->type == EMP_JSON_STRING && emp_str_eq(v->string, EMP_STR("permanent"));
    p->machine = v->type == EMP_JSON_STRING && emp_str_eq(v->string, EMP_STR("machine"));
    p->fail = p->permanent || p->machine;
    if (p->fail)
        return 0;
    return emp_fail(err, EMP_E_JOB_REJECTED, "fail",
                    "payload.fail is %s; true, false, \"permanent\" or \"machine\" is wanted",
                    emp_json_excerpt(a, v));
}

static int read_plan(struct simulation *s, struct emp_run *r, struct emp_error *err)
{
    struct plan *p = &r->plan;
    struct emp_arena *a = &r->arena;
    struct emp_json *payload;
    struct emp_str text = r->task.payload.len ? r->task.payload : EMP_STR("{}");
    int code = emp_json_parse(a, text.ptr, text.len, NULL, &payload, err);
    if (code < 0)
        return code;
    if (payload->type != EMP_JSON_OBJECT)
        return emp_fail(err, EMP_E_JOB_REJECTED, "payload",
                        "the payload of a simulation is an object, not %s",
                        emp_json_type_word(payload->type));
    p->run_ms = (double)s->default_run_ms;
    p->steps = -1;
    if ((code = number(a, payload, "duration_ms", (double)EMP_DURATION_MS_MAX, &p->run_ms, err)) <
            0 ||
        (code = number(a, payload, "load_ms", (double)EMP_DURATION_MS_MAX, &p->load_ms, err)) < 0 ||
        (code = number(a, payload, "steps", STEPS_MAX, &p->steps, err)) < 0 ||
        (code = number(a, payload, "output_bytes", OUTPUT_BYTES_MAX, &p->output_bytes, err)) < 0 ||
        (code = number(a, payload, "fail_attempts", 1e9, &p->fail_attempts, err)) < 0 ||
        (code = fail_word(a, payload, p, err)) < 0)
        return code;
    if (p->steps < 0)
        p->steps = p->run_ms < QUIET_MS ? 0 : STEPS_DEFAULT;
    const struct emp_json *result = emp_json_find(payload, "result");
    p->result =
        result ? result->raw
               : emp_str_z(emp_arena_printf(a, "{\"duration_ms\":%lld}", (long long)p->run_ms));
    return 0;
}

/* ---------------------------------------------------------------- the end */

static void on_closed(uv_handle_t *h)
{
    struct emp_run *r = h->data;
    emp_arena_release(&r->arena);
    free(r);
}

static void finish(struct emp_run *r, const struct emp_run_end *end)
{
    uv_timer_stop(&r->timer);
    r->sink.done(r->sink.arg, end);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

static int write_output(struct emp_run *r, const char *path)
{
    static const char zeros[65536];
    if (emp_dir_make_parent(path, 0755, NULL) < 0)
        return EMP_E_IO;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return EMP_E_IO;
    int code = 0;
    for (int64_t left = (int64_t)r->plan.output_bytes; left > 0 && code == 0;) {
        size_t n = left < (int64_t)sizeof zeros ? (size_t)left : sizeof zeros;
        code = emp_fd_write_all(fd, zeros, n);
        left -= (int64_t)n;
    }
    close(fd);
    return code;
}

static void complete(struct emp_run *r, int64_t run_ms)
{
    struct emp_run_end end = {.run_ms = run_ms, .result = r->plan.result};
    char path[PATH_BYTES];
    struct emp_run_output output = {.name = EMP_STR("output.bin"), .path = path};
    if (r->plan.output_bytes > 0) {
        snprintf(path, sizeof path, "%s/output.bin", r->task.scratch);
        end.outputs = &output;
        end.output_count = 1;
        if (write_output(r, path) < 0) {
            struct emp_run_end failed = {.code = EMP_E_IO,
                                         .text = EMP_STR("the output could not be written"),
                                         .retryable = true,
                                         .machine_fault = true,
                                         .run_ms = run_ms};
            finish(r, &failed);
            return;
        }
    }
    finish(r, &end);
}

static void conclude(struct emp_run *r)
{
    const struct plan *p = &r->plan;
    int64_t run_ms = r->step < 0 ? 0 : emp_mono_now() - r->started_at;
    struct emp_run_end end = {
        .run_ms = run_ms, .retryable = !p->permanent, .machine_fault = p->machine};
    if (r->stopped) {
        end.code = EMP_E_CANCELLED;
        end.text = EMP_STR("stopped");
    } else if (p->fail || r->task.attempt <= p->fail_attempts) {
        end.code = p->permanent ? EMP_E_JOB_REJECTED : EMP_E_JOB_FAILED;
        end.text = EMP_STR("the simulation was asked to fail");
    } else {
        complete(r, run_ms);
        return;
    }
    finish(r, &end);
}

/* ---------------------------------------------------------------- the run */

static void on_tick(uv_timer_t *t)
{
    struct emp_run *r = t->data;
    int64_t steps = (int64_t)r->plan.steps;
    if (r->stopped) {
        conclude(r);
        return;
    }
    if (r->step < 0) {
        r->started_at = emp_mono_now();
        r->step = 0;
        r->sink.started(r->sink.arg, (int64_t)r->plan.load_ms);
    } else if (steps > 0) {
        char text[64];
        int n =
            snprintf(text, sizeof text, "step %lld of %lld", (long long)r->step, (long long)steps);
        r->sink.progress(r->sink.arg, 100.0 * (double)r->step / (double)steps,
                         (struct emp_str){text, (uint32_t)n});
    }
    if (++r->step > (steps > 0 ? steps : 1)) {
        conclude(r);
        return;
    }
    double due = r->plan.run_ms * (double)r->step / (double)(steps > 0 ? steps : 1);
    double wait = due - (double)(emp_mono_now() - r->started_at);
    uv_update_time(t->loop);
    uv_timer_start(t, on_tick, wait > 0 ? (uint64_t)wait : 0, 0);
}

static int start(struct emp_connector *c, const struct emp_run_task *task,
                 const struct emp_run_sink *sink, struct emp_run **ret, struct emp_error *err)
{
    struct simulation *s = (struct simulation *)c;
    struct emp_run *r = calloc(1, sizeof *r);
    if (!r)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory for a run");
    r->task = *task;
    r->sink = *sink;
    r->step = -1;
    emp_arena_init(&r->arena, 1024);
    int code = read_plan(s, r, err);
    if (code < 0) {
        emp_arena_release(&r->arena);
        free(r);
        return code;
    }
    uv_timer_init(s->host.loop, &r->timer);
    r->timer.data = r;
    uv_timer_start(&r->timer, on_tick, (uint64_t)r->plan.load_ms, 0);
    *ret = r;
    return 0;
}

static void stop(struct emp_connector *c, struct emp_run *run, bool hard)
{
    (void)c;
    (void)hard;
    run->stopped = true;
    uv_timer_start(&run->timer, on_tick, 0, 0);
}

static void close_connector(struct emp_connector *c, void (*closed)(void *arg), void *arg)
{
    free(c);
    closed(arg);
}

struct emp_connector *emp_simulation_new(const struct emp_connector_host *host,
                                         int64_t default_run_ms)
{
    static const struct emp_connector_ops ops = {start, stop, close_connector};
    static const struct emp_str services[] = {{"simulation", 10}};
    struct simulation *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->base = (struct emp_connector){
        .ops = &ops, .name = "simulation", .services = services, .service_count = 1};
    s->host = *host;
    s->default_run_ms = default_run_ms > 0 ? default_run_ms : 1000;
    return &s->base;
}

/* One emp_process per run, and one timer that watches its time and its bytes. */
#include "agent/connectors/command.h"

#include "agent/connectors/scratch.h"
#include "agent/connectors/template.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/process.h"
#include "proto/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    WATCH_MS = 1000,
    GRACE_MS = 2000,
    STDERR_TAIL = 3000,
    EXIT_USAGE = 64,
    EXIT_DATA = 65,
};
#define OUTPUT_BYTES_DEFAULT 1000000000LL

struct service {
    struct emp_command_service def; /* defaults filled in */
    struct emp_template *template;
};

struct command {
    struct emp_connector base;
    struct emp_connector_host host;
    struct emp_arena arena;
    struct service *services;
};

struct emp_run {
    struct emp_run_task task;
    struct emp_run_sink sink;
    const struct service *service;
    struct emp_arena arena;
    const char *in_dir, *out_dir;
    int64_t input_bytes; /* on disk before the start */
    struct emp_process *process;
    uv_timer_t timer;
    emp_mono_ms started_at;
    bool started;       /* told */
    struct emp_buf out; /* stdout without progress lines */
    size_t line;        /* where its last line begins */
    bool out_over;
    int limit; /* EMP_E_LIMIT, EMP_E_TIMEOUT: why it was killed */
    char limit_text[160];
};

/* ---------------------------------------------------------------- the end */

static void on_closed(uv_handle_t *h)
{
    struct emp_run *r = h->data;
    emp_buf_release(&r->out);
    emp_arena_release(&r->arena);
    free(r);
}

static void tell_started(struct emp_run *r)
{
    if (r->started)
        return;
    r->started = true;
    r->sink.started(r->sink.arg, 0);
}

static struct emp_str trimmed(struct emp_str s)
{
    while (s.len && strchr(" \t\r\n", s.ptr[0]))
        s = (struct emp_str){s.ptr + 1, s.len - 1};
    while (s.len && strchr(" \t\r\n", s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static bool is_json(struct emp_arena *a, struct emp_str s)
{
    const struct emp_json_options closed = {.tree_depth = 1};
    struct emp_json *tree;
    return s.len && emp_json_parse(a, s.ptr, s.len, &closed, &tree, NULL) == 0;
}

static int result_stdout(struct emp_run *r, struct emp_buf *out, struct emp_error *err)
{
    struct emp_str text = trimmed((struct emp_str){r->out.data, (uint32_t)r->out.len});
    if (r->out_over || r->out.failed)
        return emp_fail(
            err, EMP_E_LIMIT, NULL,
            "the command wrote more than %d bytes to standard output, which was to be the result",
            EMP_COMMAND_RESULT_BYTES_MAX);
    if (is_json(&r->arena, text)) {
        emp_buf_add(out, text.ptr, text.len);
        return 0;
    }
    struct emp_writer w;
    emp_writer_init(&w, out);
    emp_write_object(&w, NULL);
    emp_write_str(&w, "stdout", (struct emp_str){r->out.data, (uint32_t)r->out.len});
    emp_write_end(&w);
    return 0;
}

static int result_file(struct emp_run *r, struct emp_buf *out, struct emp_error *err)
{
    const char *path = emp_arena_printf(&r->arena, "%s/result.json", r->task.scratch);
    int code = emp_file_read_all(path, EMP_COMMAND_RESULT_BYTES_MAX, out, err);
    if (code == EMP_E_NOT_FOUND)
        return emp_fail(err, EMP_E_JOB_FAILED, NULL,
                        "the command ended well but wrote no result.json");
    if (code == EMP_E_TOO_LARGE)
        return emp_fail(err, EMP_E_LIMIT, NULL, "the command's result.json is larger than %d bytes",
                        EMP_COMMAND_RESULT_BYTES_MAX);
    if (code < 0)
        return code;
    if (!is_json(&r->arena, trimmed((struct emp_str){out->data, (uint32_t)out->len})))
        return emp_fail(err, EMP_E_JOB_FAILED, NULL, "the command's result.json is not valid JSON");
    return 0;
}

static int result_none(struct emp_run *r, struct emp_buf *out, struct emp_error *err)
{
    (void)r;
    (void)out;
    (void)err;
    return 0;
}

static int promised_outputs(struct emp_run *r, const struct emp_run_output *outputs, uint32_t count,
                            struct emp_error *err)
{
    const struct emp_str *names;
    uint32_t n = emp_template_outputs(r->service->template, &names);
    for (uint32_t i = 0; i < n; i++) {
        bool found = false;
        for (uint32_t j = 0; j < count; j++)
            found = found || emp_str_eq(outputs[j].name, names[i]);
        if (!found)
            return emp_fail(err, EMP_E_JOB_FAILED, NULL,
                            "the command ended well but did not write its output \"%.*s\"",
                            EMP_STR_FMT(names[i]));
    }
    return 0;
}

/* Fills `end` from a command that ended well; `result` must live until it is told. */
static int gather(struct emp_run *r, struct emp_run_end *end, struct emp_buf *result,
                  struct emp_error *err)
{
    static int (*const results[])(struct emp_run *, struct emp_buf *, struct emp_error *) = {
        [EMP_COMMAND_RESULT_STDOUT] = result_stdout,
        [EMP_COMMAND_RESULT_FILE] = result_file,
        [EMP_COMMAND_RESULT_NONE] = result_none,
    };
    struct emp_run_output *outputs = NULL;
    int code = emp_outputs_collect(&r->arena, r->out_dir, r->service->def.output_bytes_max,
                                   &outputs, &end->output_count, err);
    if (code < 0 || (code = promised_outputs(r, outputs, end->output_count, err)) < 0 ||
        (code = results[r->service->def.result](r, result, err)) < 0)
        return code;
    end->outputs = outputs;
    end->result = trimmed((struct emp_str){result->data, (uint32_t)result->len});
    return 0;
}

/* Text, and whose fault, of a command that did not end well. */
static int blame(struct emp_run *r, const struct emp_process_end *p, struct emp_run_end *end,
                 struct emp_error *err)
{
    if (r->limit)
        return emp_fail(err, r->limit, NULL, "%s", r->limit_text);
    if (!p->started) {
        end->machine_fault = true;
        return emp_fail(err, p->code, NULL, "the command %.*s could not be started: %s",
                        EMP_STR_FMT(r->service->def.argv[0]), p->text);
    }
    if (p->code == EMP_E_LIMIT)
        return emp_fail(err, p->code, NULL, "the command %s (%lld bytes)", p->text,
                        (long long)r->service->def.output_bytes_max);
    int code = p->exit_status == EXIT_USAGE || p->exit_status == EXIT_DATA ? EMP_E_JOB_REJECTED
                                                                           : p->code;
    struct emp_str tail = trimmed((struct emp_str){p->stderr_tail, (uint32_t)p->stderr_tail_len});
    end->text = emp_str_z(emp_arena_printf(&r->arena, "the command %s%s%.*s", p->text,
                                           tail.len ? ": " : "", EMP_STR_FMT(tail)));
    return emp_fail(err, code, NULL, "%s", p->text);
}

static void on_exit_process(void *ctx, const struct emp_process_end *p)
{
    struct emp_run *r = ctx;
    struct emp_run_end end = {.run_ms = p->wall_ms};
    struct emp_error err = {0};
    struct emp_buf result;
    emp_buf_init(&result,
                 8 * EMP_COMMAND_RESULT_BYTES_MAX); // escaped text may be longer than the text
    uv_timer_stop(&r->timer);
    if (p->started)
        tell_started(r);
    end.code = p->code == 0 && !r->limit ? gather(r, &end, &result, &err) : blame(r, p, &end, &err);
    if (end.code < 0 && end.text.len == 0)
        end.text = emp_str_z(err.text);
    end.retryable = end.code != EMP_E_LIMIT && end.code != EMP_E_JOB_REJECTED;
    if (end.code == EMP_E_IO || end.code == EMP_E_DISK_FULL)
        end.machine_fault = true;
    r->sink.done(r->sink.arg, &end);
    emp_buf_release(&result);
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

/* ---------------------------------------------------------------- during the run */

static void kill_for(struct emp_run *r, int code)
{
    if (r->limit)
        return;
    r->limit = code;
    emp_process_kill(r->process, false);
}

static void watch(struct emp_run *r, int64_t left_ms);

static void on_watch(uv_timer_t *t)
{
    struct emp_run *r = t->data;
    const struct emp_command_service *def = &r->service->def;
    int64_t ran = emp_mono_now() - r->started_at;
    if (def->timeout_ms > 0 && ran >= def->timeout_ms) {
        snprintf(r->limit_text, sizeof r->limit_text,
                 "the command ran longer than its service's limit of %.3f s and was stopped",
                 (double)def->timeout_ms / 1000);
        kill_for(r, EMP_E_TIMEOUT);
    }
    if (emp_dir_bytes(r->task.scratch, NULL) > def->output_bytes_max + r->input_bytes + (1 << 20)) {
        snprintf(r->limit_text, sizeof r->limit_text,
                 "the command wrote more than the %lld bytes allowed and was stopped",
                 (long long)def->output_bytes_max);
        kill_for(r, EMP_E_LIMIT);
    }
    watch(r, def->timeout_ms - ran);
}

/* Again in a while; or when `left_ms` of its time are over. */
static void watch(struct emp_run *r, int64_t left_ms)
{
    uv_timer_start(&r->timer, on_watch,
                   left_ms > 0 && left_ms < WATCH_MS ? (uint64_t)left_ms : WATCH_MS, 0);
}

static void on_running(void *ctx)
{
    tell_started(ctx);
}

/* "progress 42 text": true, and taken. */
static bool take_progress(struct emp_run *r, const char *line, size_t len)
{
    struct emp_str prefix = r->service->def.progress;
    if (len <= prefix.len || memcmp(line, prefix.ptr, prefix.len) != 0)
        return false;
    char text[EMP_PROGRESS_TEXT_MAX + 64];
    size_t n = len - prefix.len < sizeof text - 1 ? len - prefix.len : sizeof text - 1;
    memcpy(text, line + prefix.len, n);
    text[n] = '\0';
    char *end;
    double percent = strtod(text, &end);
    if (end == text)
        return false;
    end += strspn(end, "% \t");
    tell_started(r);
    r->sink.progress(r->sink.arg, percent, emp_str_z(end));
    return true;
}

/* stdout is kept as it comes; a line that turns out to be progress is taken out again. */
static void on_stdout(void *ctx, const char *data, size_t len)
{
    struct emp_run *r = ctx;
    while (len) {
        size_t n = 0;
        while (n < len && data[n] != '\n' && data[n] != '\r')
            n++;
        bool stop = n < len;
        n += stop;
        if (r->out.len + n > EMP_COMMAND_RESULT_BYTES_MAX) {
            r->out_over = true; // no result any more: the rest is read for its progress alone
            if (r->line && r->out.len > r->line)
                memmove(r->out.data, r->out.data + r->line, r->out.len - r->line);
            r->out.len -= r->line;
            r->line = 0;
            if (r->out.len + n > EMP_COMMAND_RESULT_BYTES_MAX)
                r->out.len = 0; // a line that no progress is as long as
        }
        if (n < EMP_COMMAND_RESULT_BYTES_MAX)
            emp_buf_add(&r->out, data, n);
        if (stop && !r->out.failed) {
            bool taken = take_progress(r, r->out.data + r->line, r->out.len - r->line - 1);
            if (taken || r->out_over) {
                r->out.len = r->line;
                r->out.data[r->out.len] = '\0';
            }
            r->line = r->out.len;
        }
        data += n;
        len -= n;
    }
}

/* ---------------------------------------------------------------- the start */

static int make_dirs(struct emp_run *r, struct emp_error *err)
{
    static const char *const names[] = {"in", "out", "tmp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int code = emp_dir_make(emp_arena_printf(&r->arena, "%s/%s", r->task.scratch, names[i]),
                                0755, err);
        if (code < 0)
            return code;
    }
    r->in_dir = emp_arena_printf(&r->arena, "%s/in", r->task.scratch);
    r->out_dir = emp_arena_printf(&r->arena, "%s/out", r->task.scratch);
    return 0;
}

static int make_output_parents(struct emp_run *r, struct emp_error *err)
{
    const struct emp_str *names;
    uint32_t n = emp_template_outputs(r->service->template, &names);
    for (uint32_t i = 0; i < n; i++) {
        const char *path =
            emp_arena_printf(&r->arena, "%s/%.*s", r->out_dir, EMP_STR_FMT(names[i]));
        int code = emp_dir_make_parent(path, 0755, err);
        if (code < 0)
            return code;
    }
    return 0;
}

/* Files, then the argv. */
static int prepare(struct emp_run *r, const char *const **ret_argv, struct emp_error *err)
{
    struct emp_str text = r->task.payload.len ? r->task.payload : EMP_STR("{}");
    struct emp_json *payload;
    int code = emp_json_parse(&r->arena, text.ptr, text.len, NULL, &payload, err);
    if (code < 0)
        return EMP_E_JOB_REJECTED;
    if (payload->type != EMP_JSON_OBJECT)
        return emp_fail(err, EMP_E_JOB_REJECTED, "payload",
                        "the payload of this service is an object, not %s",
                        emp_json_type_word(payload->type));
    struct emp_str *inputs = NULL;
    struct emp_template_values v = {.task = &r->task, .payload = payload};
    if ((code = make_dirs(r, err)) < 0 || (code = make_output_parents(r, err)) < 0 ||
        (code = emp_inputs_write(&r->arena, payload, r->in_dir, &inputs, &v.input_count, err)) < 0)
        return code;
    v.inputs = inputs;
    v.input_dir = r->in_dir;
    v.output_dir = r->out_dir;
    v.payload_file = emp_arena_printf(&r->arena, "%s/payload.json", r->task.scratch);
    if (emp_template_wants_payload_file(r->service->template) &&
        (code = emp_file_write_atomic(v.payload_file, text.ptr, text.len, 0644, err)) < 0)
        return code;
    return emp_template_fill(r->service->template, &v, &r->arena, ret_argv, err);
}

static const char *const *environment(struct emp_run *r)
{
    const struct emp_command_service *def = &r->service->def;
    const char **env = emp_arena_array(&r->arena, const char *, def->env_count + 4);
    uint32_t n = 0;
    env[n++] = emp_arena_printf(&r->arena, "TMPDIR=%s/tmp", r->task.scratch);
    env[n++] = emp_arena_printf(&r->arena, "EMP_JOB_ID=%.*s", EMP_STR_FMT(r->task.job_id));
    env[n++] = emp_arena_printf(&r->arena, "EMP_ATTEMPT=%u", r->task.attempt);
    for (uint32_t i = 0; i < def->env_count; i++)
        env[n++] = emp_arena_printf(&r->arena, "%.*s", EMP_STR_FMT(def->env[i]));
    return env;
}

static int spawn(struct command *c, struct emp_run *r, struct emp_error *err)
{
    struct emp_process_options o = {
        .clear_env = true,
        .cwd = r->task.scratch,
        .memory_bytes_max = r->service->def.memory_bytes_max,
        .file_bytes_max = r->service->def.output_bytes_max,
        .stdout_bytes_max = r->service->def.output_bytes_max,
        .grace_ms = GRACE_MS,
        .stderr_tail_max = STDERR_TAIL,
        .ctx = r,
        .on_running = on_running,
        .on_stdout = on_stdout,
        .on_exit = on_exit_process,
    };
    int code = prepare(r, &o.argv, err);
    if (code < 0)
        return code;
    o.env = environment(r);
    int64_t before = emp_dir_bytes(r->task.scratch, NULL);
    r->input_bytes = before > 0 ? before : 0;
    return emp_process_start(c->host.loop, &o, &r->process, err);
}

static const struct service *find_service(const struct command *c, struct emp_str name)
{
    for (uint32_t i = 0; i < c->base.service_count; i++)
        if (emp_str_eq(c->services[i].def.name, name))
            return &c->services[i];
    return NULL;
}

static int start(struct emp_connector *base, const struct emp_run_task *task,
                 const struct emp_run_sink *sink, struct emp_run **ret, struct emp_error *err)
{
    struct command *c = (struct command *)base;
    const struct service *s = find_service(c, task->service);
    if (!s)
        return emp_fail(err, EMP_E_UNKNOWN_SERVICE, NULL, "this agent defines no service \"%.*s\"",
                        EMP_STR_FMT(task->service));
    struct emp_run *r = calloc(1, sizeof *r);
    if (!r)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory for a run");
    r->task = *task;
    r->sink = *sink;
    r->service = s;
    r->started_at = emp_mono_now();
    emp_arena_init(&r->arena, 0);
    emp_buf_init(&r->out, EMP_COMMAND_RESULT_BYTES_MAX + 1);
    int code = spawn(c, r, err);
    if (code < 0) {
        emp_arena_release(&r->arena);
        emp_buf_release(&r->out);
        free(r);
        return code;
    }
    uv_timer_init(c->host.loop, &r->timer);
    r->timer.data = r;
    watch(r, s->def.timeout_ms);
    *ret = r;
    return 0;
}

static void stop(struct emp_connector *base, struct emp_run *run, bool hard)
{
    (void)base;
    emp_process_kill(run->process, hard);
}

static void close_connector(struct emp_connector *base, void (*closed)(void *arg), void *arg)
{
    struct command *c = (struct command *)base;
    emp_arena_release(&c->arena);
    free(c);
    closed(arg);
}

/* ---------------------------------------------------------------- services */

static int add_service(struct command *c, struct service *s, const struct emp_command_service *def,
                       struct emp_error *err)
{
    struct emp_error why = {0};
    s->def = *def;
    if (s->def.output_bytes_max <= 0)
        s->def.output_bytes_max = OUTPUT_BYTES_DEFAULT;
    if (s->def.progress.len == 0)
        s->def.progress = EMP_STR("progress");
    if (def->name.len == 0 || def->name.len > EMP_NAME_MAX)
        return emp_fail(err, EMP_E_INVALID, "services", "a service's name has 1 to %d bytes",
                        EMP_NAME_MAX);
    for (uint32_t i = 0; i < def->env_count; i++)
        if (!def->env[i].len || !memchr(def->env[i].ptr, '=', def->env[i].len))
            return emp_fail(err, EMP_E_INVALID, "services",
                            "service %.*s: env \"%.*s\" is not NAME=value", EMP_STR_FMT(def->name),
                            EMP_STR_FMT(def->env[i]));
    int code = emp_template_compile(&c->arena, def->argv, def->argv_count, &s->template, &why);
    if (code < 0)
        return emp_fail(err, code, "services", "service %.*s: %s", EMP_STR_FMT(def->name),
                        why.text);
    return 0;
}

int emp_command_new(const struct emp_connector_host *host,
                    const struct emp_command_service *services, uint32_t count,
                    struct emp_connector **ret, struct emp_error *err)
{
    static const struct emp_connector_ops ops = {start, stop, close_connector};
    struct command *c = calloc(1, sizeof *c);
    if (!c)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory for a connector");
    emp_arena_init(&c->arena, 0);
    c->host = *host;
    c->services = emp_arena_array(&c->arena, struct service, count);
    struct emp_str *names = emp_arena_array(&c->arena, struct emp_str, count);
    for (uint32_t i = 0; i < count; i++) {
        int code = add_service(c, &c->services[i], &services[i], err);
        if (code < 0) {
            emp_arena_release(&c->arena);
            free(c);
            return code;
        }
        names[i] = services[i].name;
    }
    c->base = (struct emp_connector){
        .ops = &ops, .name = "command", .services = names, .service_count = count};
    *ret = &c->base;
    return 0;
}

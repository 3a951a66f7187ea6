/* One job from the options, or batches from files. What the options say becomes the body's fields
 * by a table; the rest is the broker's to judge: a wrong value gets its answer, with the field's
 * name. */
#include "cli/client.h"
#include "cli/terminal.h"
#include "cli/view.h"
#include "cli/watch.h"

#include "proto/writer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

static const struct emp_option options[] = {
    {"payload", 'p', "JSON", "Payload: JSON text, @FILE, or - for standard input.", false, NULL},
    {"model", 'm', "NAME", "Model that it needs.", true, NULL},
    {"node", 0, "NAME", "Custom node that it needs.", true, NULL},
    {"requirements", 0, "JSON", "Requirements, as the API takes them; or @FILE.", false, NULL},
    {"priority", 0, "N", "Higher is sooner; default 50.", false, NULL},
    {"customer", 0, "ID", "Customer on whose behalf it runs.", false, NULL},
    {"tier", 0, "TIER", "free, premium or enterprise.", false, NULL},
    {"pool", 0, "NAME", "Pool to run in.", false, NULL},
    {"specialty", 0, "NAME", "Specialty; default: that of its models.", false, NULL},
    {"region", 0, "NAME", "Region to run in.", false, NULL},
    {"compliance", 0, "TAG", "Compliance tag that the machine must fulfil.", true, NULL},
    {"workflow", 0, "ID", "Workflow that it is a step of.", false, NULL},
    {"estimate", 0, "TIME", "How long it is expected to run (30s).", false, NULL},
    {"timeout", 0, "TIME", "Longest run (30s).", false, NULL},
    {"max-retries", 0, "N", "Executions in total.", false, NULL},
    {"idempotency-key", 0, "KEY", "The same key and job again give the first job.", false, NULL},
    {"wait", 0, NULL, "Accept it although nothing known could run it now.", false, NULL},
    {"watch", 'w', NULL, "Follow it to its end; exit status 0 when it completed, else 1.", false,
     NULL},
    {"file", 'f', "FILE", "Jobs as JSON: {\"jobs\":[…]}, […], or one job; - for standard input.",
     true, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

/* ── texts from where they are ── */

static int read_stream(FILE *f, const char *name, struct emp_buf *out, struct emp_error *err)
{
    char chunk[16384];
    size_t n;
    while (!out->failed && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
        emp_buf_add(out, chunk, n);
    if (ferror(f))
        return emp_fail(err, EMP_E_IO, NULL, "%s: %m", name);
    if (out->failed)
        return emp_fail(err, EMP_E_TOO_LARGE, NULL, "%s: larger than %d MB", name,
                        FILE_BYTES_MAX / 1000000);
    return 0;
}

static int read_file(const char *path, struct emp_buf *out, struct emp_error *err)
{
    if (strcmp(path, "-") == 0)
        return read_stream(stdin, "standard input", out, err);
    FILE *f = fopen(path, "rbe");
    if (!f)
        return emp_fail(err, EMP_E_IO, NULL, "%s: %m", path);
    int r = read_stream(f, path, out, err);
    fclose(f);
    return r;
}

/* Checked here only so far that the message can name the option; what stands deep inside stays as
 * it is written. */
static int check_json(struct emp_cli *cli, struct emp_str text, const char *what,
                      struct emp_json **ret, struct emp_error *err)
{
    static const struct emp_json_options shallow = {.tree_depth = 1};
    struct emp_error why = {0};
    int r = emp_json_parse(&cli->arena, text.ptr ? text.ptr : "", text.len, &shallow, ret, &why);
    return r < 0 ? emp_fail(err, r, NULL, "%s: %s", what, why.text) : 0;
}

/* A whole file, in the command's arena. */
static int file_text(struct emp_cli *cli, const char *path, struct emp_str *ret,
                     struct emp_error *err)
{
    struct emp_buf file;
    emp_buf_init(&file, FILE_BYTES_MAX);
    int r = read_file(path, &file, err);
    if (r == 0)
        *ret = emp_str_copy(&cli->arena, (struct emp_str){file.data, (uint32_t)file.len});
    emp_buf_release(&file);
    return r;
}

/* ── options → body ── */

enum field_kind { FIELD_TEXT, FIELD_TEXTS, FIELD_NUMBER, FIELD_SECONDS, FIELD_FLAG, FIELD_JSON };

static const struct field {
    const char *option, *name;
    enum field_kind kind;
} fields[] = {
    {"payload", "payload", FIELD_JSON},
    {"requirements", "requirements", FIELD_JSON},
    {"model", "models", FIELD_TEXTS},
    {"node", "custom_nodes", FIELD_TEXTS},
    {"compliance", "compliance", FIELD_TEXTS},
    {"priority", "priority", FIELD_NUMBER},
    {"max-retries", "max_retries", FIELD_NUMBER},
    {"customer", "customer_id", FIELD_TEXT},
    {"tier", "user_tier", FIELD_TEXT},
    {"pool", "pool", FIELD_TEXT},
    {"specialty", "specialty", FIELD_TEXT},
    {"region", "region", FIELD_TEXT},
    {"workflow", "workflow_id", FIELD_TEXT},
    {"estimate", "estimated_duration_s", FIELD_SECONDS},
    {"timeout", "timeout_s", FIELD_SECONDS},
    {"wait", "wait", FIELD_FLAG},
};

static int write_number(const char *option, const char *text, const char *name,
                        struct emp_writer *w, struct emp_error *err)
{
    char *end;
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    if (end != text && !*end && !errno) {
        emp_write_i64(w, name, whole);
        return 0;
    }
    double real = strtod(text, &end);
    if (end == text || *end || !isfinite(real))
        return emp_fail(err, EMP_E_INVALID, option, "--%s %s: it wants a number", option, text);
    emp_write_double(w, name, real);
    return 0;
}

/* TEXT, @FILE or -. */
static int write_json(struct emp_cli *cli, const char *option, const char *text, const char *name,
                      struct emp_writer *w, struct emp_error *err)
{
    struct emp_str json = emp_str_z(text);
    struct emp_json *ignored;
    int r = 0;
    if (text[0] == '@' || strcmp(text, "-") == 0)
        r = file_text(cli, text[0] == '@' ? text + 1 : text, &json, err);
    if (r == 0)
        r = check_json(cli, json, option, &ignored, err);
    if (r == 0)
        emp_write_raw(w, name, json);
    return r;
}

static void write_texts(const struct emp_options *o, const struct field *f, struct emp_writer *w)
{
    const char *text;
    emp_write_array(w, f->name);
    for (uint32_t i = 0; (text = emp_options_nth(o, f->option, i)) != NULL; i++)
        emp_write_str(w, NULL, emp_str_z(text));
    emp_write_end(w);
}

static int write_field(struct emp_cli *cli, const struct field *f, struct emp_writer *w,
                       struct emp_error *err)
{
    const struct emp_options *o = &cli->options;
    const char *text = emp_options_value(o, f->option);
    int64_t ms = 0;
    int r = 0;
    switch (f->kind) {
    case FIELD_TEXT:
        emp_write_str(w, f->name, emp_str_z(text));
        break;
    case FIELD_TEXTS:
        write_texts(o, f, w);
        break;
    case FIELD_NUMBER:
        r = write_number(f->option, text, f->name, w, err);
        break;
    case FIELD_SECONDS:
        r = emp_options_duration(o, f->option, &ms, err);
        emp_write_ms(w, f->name, ms);
        break;
    case FIELD_FLAG:
        emp_write_bool(w, f->name, true);
        break;
    case FIELD_JSON:
        r = write_json(cli, f->option, text, f->name, w, err);
        break;
    }
    return r;
}

static int job_body(struct emp_cli *cli, struct emp_buf *body, struct emp_error *err)
{
    struct emp_writer w;
    emp_writer_init(&w, body);
    emp_write_object(&w, NULL);
    emp_write_str(&w, "service_required", emp_str_z(cli->options.args[0]));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        int r = emp_options_has(&cli->options, fields[i].option)
                    ? write_field(cli, &fields[i], &w, err)
                    : 0;
        if (r < 0)
            return r;
    }
    emp_write_end(&w);
    return body->failed ? emp_fail(err, EMP_E_TOO_LARGE, NULL, "the job is larger than %d MB",
                                   FILE_BYTES_MAX / 1000000)
                        : 0;
}

/* ── one job ── */

struct submitted {
    const char **ids;
    uint32_t count, cap;
    bool refused; /* at least one element of a batch was */
};

static const char *keep_id(struct emp_cli *cli, struct submitted *s, struct emp_str id)
{
    emp_arena_reserve(&cli->arena, s->ids, s->count, s->cap);
    return s->ids[s->count++] = emp_str_copy(&cli->arena, id).ptr;
}

/* The ids go to stdout, alone on their lines, for scripts; while watching, the watch tells them. */
static int print_id(const struct emp_cli *cli, const char *id, struct emp_error *err)
{
    struct emp_buf out;
    if (cli->json || emp_options_has(&cli->options, "watch"))
        return 0;
    emp_buf_init(&out, 4096);
    emp_text_safe(emp_str_z(id), 0, &out);
    emp_buf_addz(&out, "\n");
    int r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

/* What the answer says of its times, for people: on stderr, when they watch the terminal. */
static void tell_times(const struct emp_cli *cli, const struct emp_json *reply)
{
    char start[EMP_SPAN_TEXT_MAX], end[EMP_SPAN_TEXT_MAX], late[EMP_SPAN_TEXT_MAX];
    struct emp_str why = emp_view_text(reply, "waiting_reason");
    emp_wall_ms now = emp_view_time(reply, "timestamp");
    if (cli->json || emp_options_has(&cli->options, "watch") || !emp_terminal_live(stdout))
        return;
    if (why.len) {
        struct emp_buf out;
        emp_buf_init(&out, 4096);
        emp_buf_addz(&out, "waits: ");
        emp_text_safe(why, 0, &out);
        fprintf(stderr, "%s\n", out.failed ? "waits" : out.data);
        emp_buf_release(&out);
    } else if (emp_view_time(reply, "estimated_completion")) {
        fprintf(stderr,
                "expected to start in %s and to be done in %s; in nine of ten cases by %s\n",
                emp_between_text(now, emp_view_time(reply, "estimated_start"), start),
                emp_between_text(now, emp_view_time(reply, "estimated_completion"), end),
                emp_between_text(now, emp_view_time(reply, "estimated_completion_p90"), late));
    }
}

static int post(struct emp_client *c, const char *path, struct emp_str body, const char *key,
                struct emp_reply *reply, struct emp_error *err)
{
    int r = emp_client_call(c, "POST", path, &body, key, reply, err);
    if (r == 0 && c->cli->json && !emp_options_has(&c->cli->options, "watch"))
        r = emp_client_print_json(reply, err);
    return r;
}

static int post_job(struct emp_cli *cli, struct emp_client *c, struct emp_str body,
                    struct submitted *s, struct emp_error *err)
{
    struct emp_reply reply;
    int r = post(c, "/api/jobs", body, emp_options_value(&cli->options, "idempotency-key"), &reply,
                 err);
    struct emp_str id = r == 0 ? emp_view_text(reply.json, "job_id") : (struct emp_str){0};
    if (r == 0 && id.len == 0)
        r = emp_fail(err, EMP_E_PROTOCOL, NULL, "the broker's reply names no job_id");
    if (r == 0)
        r = print_id(cli, keep_id(cli, s, id), err);
    if (r == 0)
        tell_times(cli, reply.json);
    emp_reply_release(&reply);
    return r;
}

static int submit_one(struct emp_cli *cli, struct emp_client *c, struct submitted *s,
                      struct emp_error *err)
{
    struct emp_buf body;
    emp_buf_init(&body, FILE_BYTES_MAX);
    int r = job_body(cli, &body, err);
    if (r == 0)
        r = post_job(cli, c, (struct emp_str){body.data, (uint32_t)body.len}, s, err);
    emp_buf_release(&body);
    return r;
}

/* ── batches ── */

static int take_elements(struct emp_cli *cli, const char *path, const struct emp_json *reply,
                         struct submitted *s, struct emp_error *err)
{
    uint32_t number = 0;
    int r = 0;
    for (const struct emp_json *e = emp_view_first(reply, "jobs"); e && r == 0; e = e->next) {
        struct emp_str id = emp_view_text(e, "job_id");
        char text[EMP_ERROR_TEXT_MAX];
        number++;
        if (id.len) {
            r = print_id(cli, keep_id(cli, s, id), err);
            continue;
        }
        s->refused = true;
        snprintf(text, sizeof text, "%s: job %u: %.*s", path, number,
                 EMP_STR_FMT(emp_view_text(e, "error")));
        emp_terminal_error(text);
    }
    return r;
}

static int post_batch(struct emp_cli *cli, struct emp_client *c, const char *path,
                      struct emp_str batch, struct submitted *s, struct emp_error *err)
{
    struct emp_reply reply;
    int r = post(c, "/api/jobs/batch", batch, NULL, &reply, err);
    if (r == 0)
        r = take_elements(cli, path, reply.json, s, err);
    emp_reply_release(&reply);
    return r;
}

/* {"jobs":[…]} goes as it is, […] is wrapped, anything else is one job. */
static int submit_file(struct emp_cli *cli, struct emp_client *c, const char *path,
                       struct submitted *s, struct emp_error *err)
{
    struct emp_str text;
    struct emp_json *o;
    int r = file_text(cli, path, &text, err);
    if (r < 0 || (r = check_json(cli, text, path, &o, err)) < 0)
        return r;
    if (emp_json_find(o, "jobs"))
        return post_batch(cli, c, path, text, s, err);
    if (o->type != EMP_JSON_ARRAY)
        return post_job(cli, c, text, s, err);
    struct emp_buf wrapped;
    emp_buf_init(&wrapped, FILE_BYTES_MAX + 64);
    emp_buf_printf(&wrapped, "{\"jobs\":");
    emp_buf_add(&wrapped, text.ptr, text.len);
    emp_buf_addz(&wrapped, "}");
    r = wrapped.failed ? emp_fail(err, EMP_E_TOO_LARGE, NULL, "%s: too large", path)
                       : post_batch(cli, c, path,
                                    (struct emp_str){wrapped.data, (uint32_t)wrapped.len}, s, err);
    emp_buf_release(&wrapped);
    return r;
}

static int submit_all(struct emp_cli *cli, struct emp_client *c, struct submitted *s,
                      struct emp_error *err)
{
    const char *path;
    if (cli->options.arg_count)
        return submit_one(cli, c, s, err);
    for (uint32_t i = 0; (path = emp_options_nth(&cli->options, "file", i)) != NULL; i++) {
        int r = submit_file(cli, c, path, s, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A file has its own fields: options of a single job beside it would silently do nothing. */
static int check_usage(const struct emp_cli *cli, struct emp_error *err)
{
    const struct emp_options *o = &cli->options;
    bool files = emp_options_has(o, "file");
    if (files == (o->arg_count > 0))
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "either a service or --file FILE; see `emp submit --help`");
    for (size_t i = 0; files && i < sizeof fields / sizeof *fields; i++)
        if (emp_options_has(o, fields[i].option))
            return emp_fail(err, EMP_E_INVALID, NULL, "--%s does not go with --file",
                            fields[i].option);
    if (files && emp_options_has(o, "idempotency-key"))
        return emp_fail(
            err, EMP_E_INVALID, NULL,
            "--idempotency-key does not go with --file: set idempotency_key in each job");
    return 0;
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    struct emp_client client;
    struct submitted s = {0};
    int r = check_usage(cli, err);
    if (r < 0 || (r = emp_client_open(&client, cli, err)) < 0 ||
        (r = submit_all(cli, &client, &s, err)) < 0)
        return r;
    if (emp_options_has(&cli->options, "watch"))
        r = emp_watch_jobs(&client, s.ids, s.count, s.count == 1, err);
    return r < 0 ? r : r || s.refused;
}

const struct emp_command emp_command_submit = {
    .name = "submit",
    .args = "SERVICE",
    .summary = "Submit a job, or with --file many, and print the ids.",
    .text = "  emp submit simulation --payload '{\"duration_ms\":500}' --watch\n"
            "  emp submit image --payload @job.json --model sdxl.safetensors --priority 80\n"
            "  emp submit --file batch.json\n"
            "\nOn a terminal it says, too, when a job is expected to start and to be done.\n",
    .options = options,
    .client = true,
    .args_max = 1,
    .run = run,
};

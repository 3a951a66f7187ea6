#include "agent/upload.h"

#include "base/random.h"
#include "os/files.h"
#include "os/random.h"
#include "os/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { PAUSE_MS_MIN = 100, PAUSE_MS_MAX = 5000, STALL_MS = 30000 };

struct emp_upload {
    struct emp_upload_options o;
    struct emp_upload_sink sink;
    struct emp_arena arena;
    const char *prefix; /* BASE/api/artifacts/JOB_ID/ATTEMPT/ */
    struct emp_run_output *files;
    struct emp_output *outputs;
    uint32_t count, at;
    int fd;
    int64_t pause_ms;
    struct emp_http_fetch *fetch;
    uv_timer_t timer;
    uv_work_t work;
    bool working, cancelled;
    struct emp_random random;
    struct emp_error err;
};

struct emp_str emp_media_type(struct emp_str name)
{
    static const struct {
        const char *extension, *type;
    } known[] = {
#define EMP_MEDIA(extension, type) {extension, type},
#include "agent/media.def"
    };
    const char *dot = name.len ? memrchr(name.ptr, '.', name.len) : NULL;
    size_t len = dot ? (size_t)(name.ptr + name.len - dot - 1) : 0;
    for (size_t i = 0; dot && i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].extension) == len && strncasecmp(known[i].extension, dot + 1, len) == 0)
            return emp_str_z(known[i].type);
    return EMP_STR("application/octet-stream");
}

/* ---------------------------------------------------------------- the end */

static void on_closed(uv_handle_t *h)
{
    struct emp_upload *u = h->data;
    emp_arena_release(&u->arena);
    free(u);
}

static void close_file(struct emp_upload *u)
{
    if (u->fd >= 0)
        close(u->fd);
    u->fd = -1;
}

static void conclude(struct emp_upload *u)
{
    close_file(u);
    if (u->cancelled)
        emp_fail(&u->err, EMP_E_CANCELLED, NULL, "the upload of the outputs was cancelled");
    u->sink.done(u->sink.arg, &u->err, u->outputs, u->err.code ? 0 : u->count);
    uv_close((uv_handle_t *)&u->timer, on_closed);
}

/* ---------------------------------------------------------------- one file */

static void begin(struct emp_upload *u);

static const char *escaped(struct emp_arena *a, struct emp_str s)
{
    static const char hex[] = "0123456789ABCDEF", plain[] = "-._~/";
    char *out = emp_arena_alloc(a, (size_t)s.len * 3 + 1), *p = out;
    for (uint32_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool as_is = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr(plain, c));
        if (as_is) {
            *p++ = (char)c;
        } else {
            *p++ = '%';
            *p++ = hex[c >> 4];
            *p++ = hex[c & 15];
        }
    }
    return out;
}

static void hash_work(uv_work_t *w)
{
    struct emp_upload *u = w->data;
    struct emp_output *out = &u->outputs[u->at];
    uint8_t digest[EMP_SHA256_BYTES];
    if (emp_sha256_file(u->files[u->at].path, NULL, digest, &out->bytes, &u->err) < 0) {
        u->err.code = EMP_E_IO; // whatever the reason: it was there, and it is ours
        return;
    }
    emp_sha256_hex(digest, out->sha256);
    u->fd = open(u->files[u->at].path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (u->fd < 0)
        emp_fail(&u->err, EMP_E_IO, NULL, "cannot open output \"%.*s\": %s", EMP_STR_FMT(out->name),
                 strerror(errno));
}

static void send_file(struct emp_upload *u);

static void hash_after(uv_work_t *w, int status)
{
    struct emp_upload *u = w->data;
    (void)status;
    u->working = false;
    if (u->cancelled || u->err.code)
        conclude(u);
    else
        send_file(u);
}

static void on_pause_over(uv_timer_t *t)
{
    struct emp_upload *u = t->data;
    if (u->cancelled)
        conclude(u);
    else
        send_file(u);
}

static void try_later(struct emp_upload *u)
{
    int64_t pause = u->pause_ms / 2 +
                    (int64_t)emp_random_below(&u->random, (uint64_t)u->pause_ms / 2 + 1);
    u->pause_ms = u->pause_ms * 2 < u->o.pause_ms_max ? u->pause_ms * 2 : u->o.pause_ms_max;
    uv_timer_start(&u->timer, on_pause_over, (uint64_t)pause, 0);
}

/* What the broker's refusal means for the attempt. */
static int refusal(int status)
{
    static const struct {
        int status, code;
    } known[] = {
        {404, EMP_E_CONFLICT}, {409, EMP_E_CONFLICT}, {410, EMP_E_CONFLICT}, {413, EMP_E_LIMIT}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].code;
    return EMP_E_JOB_FAILED;
}

static void on_done(void *ctx, const struct emp_http_result *r)
{
    struct emp_upload *u = ctx;
    bool again = r->code != 0 || r->status >= 500 || r->status == 408 || r->status == 429 ||
                 r->status == 401;
    u->fetch = NULL;
    if (u->cancelled) {
        conclude(u);
    } else if (again) {
        try_later(u);
    } else if (r->status < 200 || r->status > 299) {
        struct emp_str body = r->body.len > 300 ? (struct emp_str){r->body.ptr, 300} : r->body;
        emp_fail(&u->err, refusal(r->status), NULL,
                 "the broker refused output \"%.*s\" with status %d: %.*s",
                 EMP_STR_FMT(u->outputs[u->at].name), r->status, EMP_STR_FMT(body));
        conclude(u);
    } else {
        close_file(u);
        u->at++;
        begin(u);
    }
}

static void send_file(struct emp_upload *u)
{
    const struct emp_output *out = &u->outputs[u->at];
    struct emp_http_header headers[] = {
        {"Content-Type", emp_arena_printf(&u->arena, "%.*s", EMP_STR_FMT(out->type))},
        {"X-Content-SHA256", out->sha256},
    };
    struct emp_http_fetch_options o = {
        .method = "PUT",
        .url = emp_arena_printf(&u->arena, "%s%s", u->prefix, escaped(&u->arena, out->name)),
        .bearer = u->o.bearer,
        .headers = headers,
        .header_count = 2,
        .upload_fd = u->fd,
        .upload_bytes = out->bytes,
        .upload = true,
        .stall_ms = STALL_MS,
        .ctx = u,
        .on_done = on_done,
    };
    if (emp_http_fetch_start(u->o.http, &o, &u->fetch) < 0)
        try_later(u);
}

static void begin(struct emp_upload *u)
{
    if (u->at == u->count) {
        conclude(u);
        return;
    }
    u->pause_ms = PAUSE_MS_MIN;
    u->working = true;
    uv_queue_work(u->o.loop, &u->work, hash_work, hash_after);
}

static void on_begin(uv_timer_t *t)
{
    begin(t->data);
}

/* ---------------------------------------------------------------- start */

static void copy_outputs(struct emp_upload *u, const struct emp_upload_job *job)
{
    u->count = job->count;
    u->files = emp_arena_array(&u->arena, struct emp_run_output, job->count);
    u->outputs = emp_arena_array(&u->arena, struct emp_output, job->count);
    for (uint32_t i = 0; i < job->count; i++) {
        u->files[i].path = emp_arena_printf(&u->arena, "%s", job->outputs[i].path);
        u->outputs[i].name = emp_str_copy(&u->arena, job->outputs[i].name);
        u->outputs[i].type = job->outputs[i].type.len
                                 ? emp_str_copy(&u->arena, job->outputs[i].type)
                                 : emp_media_type(job->outputs[i].name);
    }
}

struct emp_upload *emp_upload_start(const struct emp_upload_options *o,
                                    const struct emp_upload_job *job,
                                    const struct emp_upload_sink *sink)
{
    struct emp_upload *u = calloc(1, sizeof *u);
    if (!u)
        abort();
    uint64_t seed;
    u->o = *o;
    u->o.pause_ms_max = o->pause_ms_max > 0 ? o->pause_ms_max : PAUSE_MS_MAX;
    u->sink = *sink;
    u->fd = -1;
    u->timer.data = u->work.data = u;
    emp_arena_init(&u->arena, 4096);
    emp_os_random(&seed, sizeof seed);
    emp_random_init(&u->random, seed);
    u->prefix = emp_arena_printf(&u->arena, "%s/api/artifacts/%s/%u/", o->base,
                                 escaped(&u->arena, job->job_id), job->attempt);
    copy_outputs(u, job);
    uv_timer_init(o->loop, &u->timer);
    uv_timer_start(&u->timer, on_begin, 0, 0);
    return u;
}

void emp_upload_cancel(struct emp_upload *u)
{
    if (u->cancelled)
        return;
    u->cancelled = true;
    if (u->fetch)
        emp_http_fetch_cancel(u->fetch);
    else if (!u->working)
        uv_timer_start(&u->timer, on_pause_over, 0, 0);
}

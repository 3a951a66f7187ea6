/* Output files. An agent sends one by PUT under job and attempt: its bytes go to
 * DATA/artifacts/.incoming/N while they come, hashed on the way; when they are whole, a worker
 * makes them durable as DATA/artifacts/JOB/ATTEMPT/NAME, and only then is the agent answered. They
 * become visible by GET when that attempt has completed, because only names in the job's stored
 * result are served.
 *
 * An upload has two owners, the request (until the server says that it is over) and the operation
 * that publishes it. */
#include "broker/api.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/log.h"
#include "os/sha256.h"
#include "proto/message_json.h"
#include "proto/model_json.h"
#include "proto/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct upload {
    atomic_uint refs;
    struct emp_broker *broker;
    emp_job_num job;
    uint32_t attempt;
    char *name;
    char want[EMP_SHA256_HEX]; /* what the sender says; empty: nothing */
    char sha256[EMP_SHA256_HEX];
    char path[PATH_MAX]; /* where it gathers */
    int fd;
    int64_t bytes, bytes_max;
    struct emp_sha256 *hash;
};

static void upload_unref(void *arg)
{
    struct upload *u = arg;

    if (atomic_fetch_sub(&u->refs, 1) != 1)
        return;
    if (u->fd >= 0) {
        close(u->fd);
        unlink(u->path); // not published
    }
    emp_sha256_free(u->hash);
    free(u->name);
    free(u);
}

static int upload_data(void *arg, const void *data, size_t len)
{
    struct upload *u = arg;

    if ((int64_t)len > u->bytes_max - u->bytes)
        return EMP_E_TOO_LARGE;
    int r = emp_fd_write_all(u->fd, data, len);
    if (r < 0)
        return r;
    emp_sha256_add(u->hash, data, len);
    u->bytes += (int64_t)len;
    atomic_fetch_add(&u->broker->bytes_uploaded, len);
    return 0;
}

/* ------------------------------------------------------------------ before the body */

static int parse_attempt(struct emp_str text, uint32_t *ret, struct emp_error *err)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < text.len && n <= UINT32_MAX; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            n = UINT64_MAX;
        else
            n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (n == 0 || n > UINT32_MAX)
        return emp_fail(err, EMP_E_INVALID, "attempt", "\"%.*s\" is no number of an attempt",
                        EMP_STR_FMT(text));
    *ret = (uint32_t)n;
    return 0;
}

/* Does the sender hold the job? What an older attempt made is of no use to anybody. */
static int check_current(const struct emp_job_record *r, uint32_t attempt, struct emp_error *err)
{
    if (emp_job_state_terminal(r->state) || r->state == EMP_JOB_PENDING ||
        r->attempt.number != attempt)
        return emp_fail(err, EMP_E_CONFLICT, "attempt",
                        "attempt %u is not the current one: the job is %s, its last attempt %u",
                        attempt, emp_job_state_word(r->state), r->attempt.number);
    return 0;
}

static struct upload *upload_new(struct emp_broker *b, struct emp_str name, struct emp_error *err)
{
    struct upload *u = calloc(1, sizeof *u);

    if (u == NULL || (u->name = emp_str_heap(name)) == NULL ||
        (u->hash = emp_sha256_new()) == NULL) {
        if (u)
            free(u->name);
        free(u);
        emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
        return NULL;
    }
    u->broker = b;
    u->bytes_max = b->o.artifact_bytes_max;
    atomic_init(&u->refs, 1);
    snprintf(u->path, sizeof u->path, "%s/artifacts/.incoming/XXXXXX", b->data);
    u->fd = mkostemp(u->path, O_CLOEXEC);
    if (u->fd < 0) {
        emp_fail(err, emp_os_error(errno), NULL, "an output file cannot be written: %s",
                 strerror(errno));
        upload_unref(u);
        return NULL;
    }
    return u;
}

static int check_put(const struct emp_call *c, uint32_t *ret_attempt, struct emp_error *err)
{
    struct emp_str name = c->args[2];
    int64_t length = emp_http_content_length(c->peer.http),
            most = c->peer.broker->o.artifact_bytes_max;

    if (!emp_path_safe(name))
        return emp_fail(err, EMP_E_INVALID, "name", "\"%.*s\" may not be the name of an output",
                        name.len > 200 ? 200 : (int)name.len, name.ptr);
    if (length > most)
        return emp_fail(err, EMP_E_TOO_LARGE, NULL,
                        "an output of %lld bytes is over the limit of %lld", (long long)length,
                        (long long)most);
    return parse_attempt(c->args[1], ret_attempt, err);
}

bool emp_artifact_begin(const struct emp_call *c)
{
    const char *sha256 = emp_http_header(c->peer.http, "X-Content-SHA256");
    struct emp_store_job job;
    struct emp_error err = {0};
    struct emp_arena a;
    struct upload *u = NULL;
    uint32_t attempt = 0;
    emp_job_num num;

    if (emp_api_job_num(c, &num) < 0)
        return true;
    emp_arena_init(&a, 0);
    int r = check_put(c, &attempt, &err);
    if (r == 0 && emp_api_job_read(c, num, 0, &a, &job) < 0) {
        emp_arena_release(&a);
        return true;
    }
    if (r == 0 && (r = check_current(&job.record, attempt, &err)) == 0)
        u = upload_new(c->peer.broker, c->args[2], &err);
    emp_arena_release(&a);
    if (u == NULL) {
        emp_answer_error(&c->peer, &err);
        return true;
    }
    u->job = num;
    u->attempt = attempt;
    if (sha256 && strlen(sha256) == EMP_SHA256_HEX - 1)
        memcpy(u->want, sha256, EMP_SHA256_HEX);
    emp_http_set_user(c->peer.http, u);
    emp_http_set_sink(c->peer.http, &(struct emp_http_sink){u, upload_data, upload_unref});
    return false;
}

/* ------------------------------------------------------------------ after it */

struct publish {
    struct emp_op op;
    struct upload *upload; /* a reference */
    uv_work_t work;
    struct emp_error err;
};

/* The file's directories and name, durable. */
static int place(struct upload *u, struct emp_error *err)
{
    char id[EMP_JOB_ID_TEXT], job_dir[PATH_MAX], path[PATH_MAX];

    emp_job_id_format(u->broker->secret, u->job, id);
    int n = snprintf(job_dir, sizeof job_dir, "%s/artifacts/%s", u->broker->data, id);
    int m = snprintf(path, sizeof path, "%s/%u/%s", job_dir, u->attempt, u->name);
    if (n >= (int)sizeof job_dir || m >= (int)sizeof path)
        return emp_fail(err, EMP_E_INVALID, "name", "the path of the output is too long");
    int r = emp_dir_make_parent(path, 0755, err);
    if (r == 0)
        r = emp_file_publish(u->fd, u->path, path, err);
    if (r < 0)
        return r;
    close(u->fd);
    u->fd = -1;
    for (char *slash = strrchr(path, '/'); r == 0 && slash > path + n; slash = strrchr(path, '/')) {
        *slash = '\0';
        r = emp_dir_fsync_parent(path, err); // the directories that were made on the way
    }
    return r == 0 ? emp_dir_fsync_parent(job_dir, err) : r;
}

static void publish_work(uv_work_t *w)
{
    struct publish *p = w->data;
    struct upload *u = p->upload;
    uint8_t digest[EMP_SHA256_BYTES];

    emp_sha256_end(u->hash, digest);
    emp_sha256_hex(digest, u->sha256);
    if (u->want[0] && strcasecmp(u->want, u->sha256) != 0)
        emp_fail(&p->err, EMP_E_HASH, "X-Content-SHA256", "output \"%s\" came as %s, not %s",
                 u->name, u->sha256, u->want);
    else if (place(u, &p->err) < 0)
        emp_log_error("an output of attempt %u cannot be kept: %s", u->attempt, p->err.text);
}

static void publish_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct publish *p = (struct publish *)op;
    const struct upload *u = p->upload;
    char id[EMP_JOB_ID_TEXT];
    struct emp_buf body;
    struct emp_writer w;

    if (code < 0 && p->err.code == 0)
        emp_fail(&p->err, code, NULL, "%s", emp_error_text(code));
    if (p->err.code) {
        emp_answer_error(&op->peer, &p->err);
        return;
    }
    emp_job_id_format(b->secret, u->job, id);
    emp_api_begin_success(&w, &body);
    emp_write_z(&w, "job_id", id);
    emp_write_u64(&w, "attempt", u->attempt);
    emp_write_z(&w, "name", u->name);
    emp_write_i64(&w, "bytes", u->bytes);
    emp_write_z(&w, "sha256", u->sha256);
    emp_api_end_success(&w);
    emp_answer_json(&op->peer, 201, &body);
}

static void publish_after(uv_work_t *w, int status)
{
    struct publish *p = w->data;

    (void)status;
    p->op.peer.broker->uploads--;
    emp_op_finish(p->op.peer.broker, &p->op, p->err.code);
    emp_op_free(&p->op);
}

static void publish_run(struct emp_broker *b, struct emp_op *op)
{
    struct publish *p = (struct publish *)op;

    p->work.data = p;
    b->uploads++;
    if (uv_queue_work(&b->loop.uv, &p->work, publish_work, publish_after) < 0)
        abort();
}

static void publish_release(struct emp_op *op)
{
    upload_unref(((struct publish *)op)->upload);
}

static const struct emp_op_type publish_type = {
    .name = "artifact",
    .run = publish_run,
    .finish = publish_finish,
    .release = publish_release,
    .detached = true,
};

void emp_api_artifact_put(const struct emp_call *c)
{
    struct upload *u = emp_http_user(c->peer.http);
    struct emp_error err;
    int r = emp_http_sink_code(c->peer.http);

    if (r < 0) {
        emp_fail(&err, r, NULL, "output \"%s\" cannot be taken: %s", u->name, emp_error_text(r));
        emp_answer_error(&c->peer, &err);
        return;
    }
    struct publish *p = emp_op_new(sizeof *p, &publish_type, &c->peer);
    p->upload = u;
    atomic_fetch_add(&u->refs, 1);
    emp_api_post(c, &p->op);
}

/* ------------------------------------------------------------------ reading */

/* Nothing that came from a job may run as a page of this origin. */
static const struct emp_http_header careful[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy",
     "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"},
    {"Cache-Control", "private, max-age=31536000, immutable"},
};

static void send_file(const struct emp_call *c, emp_job_num num, uint32_t attempt,
                      const struct emp_output *out, struct emp_arena *a)
{
    struct emp_broker *b = c->peer.broker;
    struct emp_http_header headers[EMP_ANSWER_HEADERS + 3];
    char id[EMP_JOB_ID_TEXT];
    struct emp_error err;
    struct stat st;
    size_t count = 0;

    emp_job_id_format(b->secret, num, id);
    const char *path = emp_arena_printf(a, "%s/artifacts/%s/%u/%.*s", b->data, id, attempt,
                                        EMP_STR_FMT(out->name));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        emp_log_error("output \"%.*s\" of job %s is missing: %s", EMP_STR_FMT(out->name), id,
                      strerror(errno));
        if (fd >= 0)
            close(fd);
        emp_fail(&err, EMP_E_NOT_FOUND, NULL, "the output file is missing at the broker");
        emp_answer_error(&c->peer, &err);
        return;
    }
    emp_answer_headers(&c->peer, headers, &count);
    for (size_t i = 0; i < sizeof careful / sizeof *careful; i++)
        headers[count++] = careful[i];
    const char *etag = out->sha256[0] ? emp_arena_printf(a, "\"%s\"", out->sha256) : NULL;
    struct emp_str type = out->type.len ? out->type : EMP_STR("application/octet-stream");
    emp_answer_count(b, 200);
    emp_http_respond_file(c->peer.http, fd, (uint64_t)st.st_size, emp_str_copy(a, type).ptr, etag,
                          headers, count);
}

void emp_api_artifact(const struct emp_call *c)
{
    struct emp_store_job job;
    struct emp_output *outputs = NULL;
    struct emp_str result;
    struct emp_error err;
    struct emp_arena a;
    uint32_t count = 0, i = 0;

    emp_arena_init(&a, 0);
    if (emp_api_job_of(c, EMP_STORE_RESULT, &a, &job) >= 0) {
        if (job.record.state == EMP_JOB_COMPLETED && job.result.len)
            emp_result_blob_parse(&a, job.result, &result, &outputs, &count, NULL);
        while (i < count && !emp_str_eq(outputs[i].name, c->args[1]))
            i++;
        if (i < count) {
            send_file(c, job.record.num, job.record.attempt.number, &outputs[i], &a);
        } else {
            emp_fail(&err, EMP_E_NOT_FOUND, NULL, "the job (%s) has no output \"%.*s\"",
                     emp_job_state_word(job.record.state),
                     c->args[1].len > 200 ? 200 : (int)c->args[1].len, c->args[1].ptr);
            emp_answer_error(&c->peer, &err);
        }
    }
    emp_arena_release(&a);
}

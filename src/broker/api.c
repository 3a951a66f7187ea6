#include "broker/api.h"

#include "base/error.h"
#include "os/clock.h"
#include "proto/writer.h"

#include <stdio.h>

static const struct emp_route routes[] = {
#define EMP_ROUTE(method, path, who, query, body, writes, handler) \
    {EMP_HTTP_##method, path, EMP_AUTH_##who, EMP_QUERY_##query, EMP_BODY_##body, writes, handler},
#include "broker/routes.def"
};
enum { ROUTE_COUNT = sizeof routes / sizeof *routes, SMALL_BYTES = 64 * 1024 };

/* ------------------------------------------------------------------ dispatch */

static const struct emp_route *find(struct emp_http_request *req, struct emp_str *args)
{
    enum emp_http_method method = emp_http_method(req);

    if (method == EMP_HTTP_HEAD)
        method = EMP_HTTP_GET;
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (routes[i].method == method && emp_http_match(req, routes[i].path, args))
            return &routes[i];
    return NULL;
}

/* The methods that the path has, "GET, HEAD, POST"; empty: there is no such path. */
static void allowed(struct emp_http_request *req, char *out, size_t bytes)
{
    static const struct {
        enum emp_http_method method;
        const char *words;
    } words[] = {{EMP_HTTP_GET, "GET, HEAD"},
                 {EMP_HTTP_POST, "POST"},
                 {EMP_HTTP_PUT, "PUT"},
                 {EMP_HTTP_DELETE, "DELETE"}};
    size_t len = 0;

    out[0] = '\0';
    for (size_t m = 0; m < sizeof words / sizeof *words; m++) {
        bool has = false;
        for (size_t i = 0; i < ROUTE_COUNT; i++)
            has |= routes[i].method == words[m].method && emp_http_match(req, routes[i].path, NULL);
        if (has)
            len +=
                (size_t)snprintf(out + len, bytes - len, "%s%s", len ? ", " : "", words[m].words);
    }
}

static void refuse_unknown(const struct emp_peer *p)
{
    struct emp_error err;
    struct emp_str path = emp_http_raw_path(p->http);
    int shown = path.len > 200 ? 200 : (int)path.len;
    char methods[64];

    allowed(p->http, methods, sizeof methods);
    if (methods[0]) {
        emp_fail(&err, EMP_E_METHOD, NULL, "%.*s has no method %s, only %s", shown,
                 path.len ? path.ptr : "", emp_http_method_name(p->http), methods);
        emp_answer_error_with(p, &err, 0, "Allow", methods);
        return;
    }
    emp_fail(&err, EMP_E_NOT_FOUND, NULL, "there is no path %.*s", shown, path.len ? path.ptr : "");
    emp_answer_error(p, &err);
}

/* 0, or EMP_E_INVALID where there is a parameter that nobody would look at. */
static int check_query(const struct emp_route *route, struct emp_http_request *req,
                       struct emp_error *err)
{
    if (route->query != EMP_QUERY_NONE || emp_http_param_count(req) == 0)
        return 0;
    struct emp_str name = emp_http_param_at(req, 0).name;
    return emp_fail(err, EMP_E_INVALID, NULL, "\"%.*s\" is no parameter of %s %s, which has none",
                    (int)(name.len > 64 ? 64 : name.len), name.len ? name.ptr : "",
                    emp_http_method_name(req), route->path);
}

static size_t body_max(const struct emp_broker *b, enum emp_route_body kind)
{
    switch (kind) {
    case EMP_BODY_JOB:
        return (size_t)b->o.body_bytes_max;
    case EMP_BODY_BATCH:
        return (size_t)b->o.batch_bytes_max;
    default:
        return SMALL_BYTES;
    }
}

static void options_answer(const struct emp_peer *p)
{
    struct emp_buf body;

    emp_buf_init(&body, 16);
    emp_buf_addz(&body, "OK");
    emp_answer_text(p, 200, "text/plain; charset=utf-8", &body);
}

void emp_api_begin(void *ctx, struct emp_http_request *req)
{
    struct emp_broker *b = ctx;
    struct emp_str args[EMP_HTTP_SEGMENTS_MAX] = {{0}};
    struct emp_call c = {.peer = {b, req, emp_answer_origin(b, req)}, .args = args};
    struct emp_error err;

    if (emp_http_method(req) == EMP_HTTP_OPTIONS) {
        options_answer(&c.peer);
        return;
    }
    c.route = find(req, args);
    if (!c.route) {
        refuse_unknown(&c.peer);
        return;
    }
    if (emp_auth_check(&b->auth, c.route->who, emp_http_header(req, "Authorization"), &err) < 0) {
        emp_answer_error_with(&c.peer, &err, 0, "WWW-Authenticate", "Bearer realm=\"emp\"");
        return;
    }
    if (check_query(c.route, req, &err) < 0) {
        emp_answer_error(&c.peer, &err);
        return;
    }
    if (c.route->who != EMP_AUTH_OPEN && emp_broker_accepts(b, c.route->writes, &err) < 0) {
        emp_answer_error(&c.peer, &err);
        return;
    }
    if (c.route->body == EMP_BODY_FILE)
        emp_artifact_begin(&c);
    else
        emp_http_set_body_max(req, body_max(b, c.route->body));
}

void emp_api_handle(void *ctx, struct emp_http_request *req)
{
    struct emp_broker *b = ctx;
    struct emp_str args[EMP_HTTP_SEGMENTS_MAX] = {{0}};
    struct emp_call c = {.peer = {b, req, emp_answer_origin(b, req)}, .args = args};

    c.route = find(req, args);
    c.route->handler(&c);
}

void emp_api_error(void *ctx, struct emp_http_request *req, const struct emp_error *err)
{
    struct emp_broker *b = ctx;
    struct emp_peer p = {b, req, emp_answer_origin(b, req)};

    emp_answer_error(&p, err);
}

/* ------------------------------------------------------------------ for handlers */

int emp_broker_accepts(struct emp_broker *b, bool writes, struct emp_error *err)
{
    if (atomic_load(&b->stopping))
        return emp_fail(err, EMP_E_UNAVAILABLE, NULL,
                        "the broker is shutting down: try again in a moment");
    if (!atomic_load(&b->ready))
        return emp_fail(err, EMP_E_UNAVAILABLE, NULL,
                        "the broker is starting: try again in a moment");
    int failing = writes ? emp_committer_failing(b->committer) : 0;
    if (failing)
        return emp_fail(err, failing, NULL,
                        "the store cannot be written now (%s): nothing was taken, try again later",
                        emp_error_text(failing));
    return 0;
}

void emp_api_post(const struct emp_call *c, struct emp_op *op)
{
    struct emp_error err;

    if (emp_loop_post(c->peer.broker, op) == 0)
        return;
    emp_op_free(op);
    emp_fail(&err, EMP_E_UNAVAILABLE, NULL,
             "the broker has too much to do, or is shutting down: try again in a moment");
    emp_answer_error(&c->peer, &err);
}

static int job_not_found(const struct emp_call *c)
{
    struct emp_error err;

    emp_fail(&err, EMP_E_NOT_FOUND, NULL, "Job not found");
    emp_answer_error(&c->peer, &err);
    return EMP_E_NOT_FOUND;
}

int emp_api_job_num(const struct emp_call *c, emp_job_num *ret)
{
    return emp_job_id_parse(c->peer.broker->secret, c->args[0], ret) < 0 ? job_not_found(c) : 0;
}

int emp_api_job_read(const struct emp_call *c, emp_job_num num, unsigned want, struct emp_arena *a,
                     struct emp_store_job *ret)
{
    struct emp_readers *readers = &c->peer.broker->readers;
    struct emp_store_reader *reader;
    struct emp_error err;

    int r = emp_readers_take(readers, &reader, &err);
    if (r >= 0) {
        r = emp_store_job(reader, num, want, a, ret, &err);
        emp_readers_give(readers, reader);
    }
    if (r == EMP_E_NOT_FOUND)
        return job_not_found(c);
    if (r < 0)
        emp_answer_error(&c->peer, &err);
    return r;
}

int emp_api_job_of(const struct emp_call *c, unsigned want, struct emp_arena *a,
                   struct emp_store_job *ret)
{
    emp_job_num num;
    int r = emp_api_job_num(c, &num);

    return r < 0 ? r : emp_api_job_read(c, num, want, a, ret);
}

bool emp_api_unwritten(const struct emp_peer *p, int code)
{
    struct emp_error err;

    if (code >= 0)
        return false;
    emp_fail(&err, code, NULL,
             "the store cannot be written now (%s): it may still happen when it can be",
             emp_error_text(code));
    emp_answer_error(p, &err);
    return true;
}

bool emp_api_refused(const struct emp_peer *p, int code, const struct emp_error *err)
{
    if (emp_api_unwritten(p, code))
        return true;
    if (err->code == 0)
        return false;
    emp_answer_error(p, err);
    return true;
}

void emp_api_begin_success(struct emp_writer *w, struct emp_buf *buf)
{
    emp_buf_init(buf, EMP_API_ANSWER_MAX);
    emp_writer_init(w, buf);
    emp_write_object(w, NULL);
    emp_write_bool(w, "success", true);
}

void emp_api_end_success(struct emp_writer *w)
{
    emp_write_time(w, "timestamp", emp_wall_now());
    emp_write_end(w);
}

#include "broker/answer.h"

#include "broker/shell.h"
#include "os/clock.h"
#include "proto/view_json.h"

#include <stdio.h>
#include <strings.h>

enum { ERROR_BYTES_MAX = 8192 };

/* A page served by this computer itself: developers' servers are allowed without being listed. */
static bool is_local(const char *origin)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = strstr(origin, "://");

    if (!host)
        return false;
    host += 3;
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (len == strlen(hosts[i]) && strncasecmp(host, hosts[i], len) == 0)
            return true;
    return len > 10 && strncasecmp(host + len - 10, ".localhost", 10) == 0;
}

const char *emp_answer_origin(struct emp_broker *b, struct emp_http_request *http)
{
    const char *origin;

    for (uint32_t i = 0; i < b->o.cors_count; i++)
        if (emp_str_eq(b->o.cors_origins[i], EMP_STR("*")))
            return "*";
    origin = emp_http_origin(http);
    if (!origin || strlen(origin) > 255)
        return NULL;
    for (uint32_t i = 0; i < b->o.cors_count; i++)
        if (emp_str_eq(b->o.cors_origins[i], emp_str_z(origin)))
            return origin;
    return is_local(origin) ? origin : NULL;
}

void emp_answer_headers(const struct emp_peer *p, struct emp_http_header *out, size_t *count)
{
    static const struct emp_http_header always[] = {
        {"Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS, HEAD"},
        {"Access-Control-Allow-Headers",
         "Content-Type, Authorization, X-Requested-With, Accept, Origin, Idempotency-Key"},
        {"Access-Control-Allow-Credentials", "true"},
        {"Access-Control-Max-Age", "86400"},
    };

    if (p->origin)
        out[(*count)++] = (struct emp_http_header){"Access-Control-Allow-Origin", p->origin};
    if (p->origin && p->origin[0] != '*')
        out[(*count)++] = (struct emp_http_header){"Vary", "Origin"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        out[(*count)++] = always[i];
}

void emp_answer_count(struct emp_broker *b, unsigned status)
{
    atomic_fetch_add_explicit(&b->requests[status / 100 < 6 ? status / 100 : 5], 1,
                              memory_order_relaxed);
}

void emp_answer_text(const struct emp_peer *p, unsigned status, const char *type,
                     struct emp_buf *body)
{
    struct emp_http_header headers[EMP_ANSWER_HEADERS];
    size_t count = 0;

    if (body->failed) {
        struct emp_error err;
        emp_buf_release(body);
        emp_fail(&err, EMP_E_INTERNAL, NULL, "the answer is larger than %zu bytes: ask for less",
                 body->max);
        emp_answer_error(p, &err);
        return;
    }
    emp_answer_headers(p, headers, &count);
    emp_answer_count(p->broker, status);
    emp_http_respond_take(p->http, status, type, body->data, body->len, headers, count);
    emp_buf_init(body, body->max);
}

void emp_answer_json(const struct emp_peer *p, unsigned status, struct emp_buf *body)
{
    emp_answer_text(p, status, EMP_ANSWER_JSON, body);
}

void emp_answer_error_with(const struct emp_peer *p, const struct emp_error *err,
                           int64_t retry_after_ms, const char *name, const char *value)
{
    struct emp_http_header headers[EMP_ANSWER_HEADERS + 2];
    size_t count = 0;
    char after[24];
    struct emp_buf body;
    struct emp_writer w;
    int status = emp_error_http(err->code);

    emp_answer_headers(p, headers, &count);
    if (status == 503 || status == 507) {
        snprintf(after, sizeof after, "%lld",
                 (long long)(retry_after_ms > 0 ? (retry_after_ms + 999) / 1000 : 1));
        headers[count++] = (struct emp_http_header){"Retry-After", after};
    }
    if (name)
        headers[count++] = (struct emp_http_header){name, value};
    emp_buf_init(&body, ERROR_BYTES_MAX);
    emp_writer_init(&w, &body);
    emp_view_error(&w, NULL, err, emp_wall_now());
    emp_answer_count(p->broker, (unsigned)status);
    emp_http_respond_take(p->http, (unsigned)status, EMP_ANSWER_JSON, body.data, body.len, headers,
                          count);
}

void emp_answer_error(const struct emp_peer *p, const struct emp_error *err)
{
    emp_answer_error_with(p, err, 0, NULL, NULL);
}

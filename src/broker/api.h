/* The HTTP API: one table of routes (routes.def) from which requests are dispatched, 404 and 405
 * are told apart, and who may call what is decided. Handlers run on the server's threads; what
 * needs the core becomes an operation (op.h). */
#ifndef EMP_BROKER_API_H
#define EMP_BROKER_API_H

#include "broker/answer.h"
#include "broker/op.h"
#include "broker/shell.h"
#include "net/http_server.h"
#include "proto/writer.h"

enum emp_route_body { EMP_BODY_NONE, EMP_BODY_SMALL, EMP_BODY_JOB, EMP_BODY_BATCH, EMP_BODY_FILE };

enum emp_route_query { EMP_QUERY_NONE, EMP_QUERY_OWN, EMP_QUERY_ANY };

struct emp_call;
struct emp_route {
    enum emp_http_method method;
    const char *path;
    enum emp_auth_role who;
    enum emp_route_query query;
    enum emp_route_body body;
    bool writes;
    void (*handler)(const struct emp_call *c);
};

/* A request that a handler is to answer, or to make an operation of. */
struct emp_call {
    struct emp_peer peer;
    const struct emp_route *route;
    const struct emp_str *args; /* of the path's parameters, in order */
};

/* Callbacks for emp_http_server_start; ctx is the broker. */
void emp_api_begin(void *ctx, struct emp_http_request *req);
void emp_api_handle(void *ctx, struct emp_http_request *req);
void emp_api_error(void *ctx, struct emp_http_request *req, const struct emp_error *err);

/* The handlers. */
#define EMP_ROUTE(method, path, who, query, body, writes, handler) \
    void handler(const struct emp_call *c);
#include "broker/routes.def"

/* In `begin` of an upload: chooses the sink. True: the request has been answered. */
bool emp_artifact_begin(const struct emp_call *c);

/* An operation for this call, queued. When that is not possible, the request is answered and the
 * operation freed. */
void emp_api_post(const struct emp_call *c, struct emp_op *op);

/* The number of the job whose id is the call's first argument: 0; or the request has been answered
 * with 404. */
int emp_api_job_num(const struct emp_call *c, emp_job_num *ret);

/* A job from the store: 0; or the request has been answered (404, 500). */
int emp_api_job_read(const struct emp_call *c, emp_job_num num, unsigned want, struct emp_arena *a,
                     struct emp_store_job *ret);

/* Both in one. */
int emp_api_job_of(const struct emp_call *c, unsigned want, struct emp_arena *a,
                   struct emp_store_job *ret);

/* In `finish` of an operation that writes: is its change not durable (code < 0)? Then the request
 * has been answered with that. */
bool emp_api_unwritten(const struct emp_peer *p, int code);

/* The same, or the core refused it (err->code is not 0). */
bool emp_api_refused(const struct emp_peer *p, int code, const struct emp_error *err);

/* Starts {"success":true, and ends …,"timestamp":…}. */
void emp_api_begin_success(struct emp_writer *w, struct emp_buf *buf);
void emp_api_end_success(struct emp_writer *w);

enum { EMP_API_ANSWER_MAX = 512 * 1024 * 1024 };

#endif

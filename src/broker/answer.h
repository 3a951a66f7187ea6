/* Answering a request: the headers that every answer has, bodies in JSON, errors in their one
 * shape. Any thread; each call but emp_answer_headers takes the request away, so exactly one of
 * them for each request. */
#ifndef EMP_BROKER_ANSWER_H
#define EMP_BROKER_ANSWER_H

#include "base/error.h"
#include "base/str.h"
#include "net/http_server.h"

struct emp_broker;

#define EMP_ANSWER_JSON "application/json; charset=utf-8"

/* To whom an answer goes. */
struct emp_peer {
    struct emp_broker *broker;
    struct emp_http_request *http;
    const char *origin; /* value of Access-Control-Allow-Origin; NULL: no such header */
};

/* Who asks, as far as browsers care: "*" where everybody may, else the request's own origin where
 * it is listed or on this machine. Only inside the server's `begin` and `handle`; the text belongs
 * to the request or lives for ever. */
const char *emp_answer_origin(struct emp_broker *b, struct emp_http_request *http);

/* The headers of every answer into out, beginning with *count; at most six. */
enum { EMP_ANSWER_HEADERS = 6 };
void emp_answer_headers(const struct emp_peer *p, struct emp_http_header *out, size_t *count);

/* Takes the buffer's bytes. A buffer that has overflowed becomes a 500. */
void emp_answer_json(const struct emp_peer *p, unsigned status, struct emp_buf *body);
void emp_answer_text(const struct emp_peer *p, unsigned status, const char *type,
                     struct emp_buf *body);
void emp_answer_error(const struct emp_peer *p, const struct emp_error *err);
/* With Retry-After (rounded up to seconds; 0: one second for errors that pass) and one more header,
 * if name is not NULL. */
void emp_answer_error_with(const struct emp_peer *p, const struct emp_error *err,
                           int64_t retry_after_ms, const char *name, const char *value);

/* To be called by who answers in another way (files, streams, upgrades): counts. */
void emp_answer_count(struct emp_broker *b, unsigned status);

#endif

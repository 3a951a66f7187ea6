/* HTTP/1.1 server over libmicrohttpd: N threads accept, parse and answer. The life of a request:
 *
 *   head is in ─► begin()   may set the body's limit, choose a sink for a large upload, or answer
 *                           at once
 *   body is in ─► handle()  answers at once, or lets the request wait (keeps the pointer) and has
 *                           it answered later by any thread
 *
 * Answered by emp_http_respond…(), emp_http_stream_open() or emp_http_upgrade(): exactly one of
 * them, exactly once: each takes the request away.
 *
 * `begin` and `handle` run on one of the server's threads and must not block for long: other
 * connections share it. A request that waits costs no thread. When the client leaves or the server
 * stops while a request waits, the request stays valid, and the answer that comes at last is thrown
 * away: so every request must be answered, whatever happens.
 *
 * Reading a request (path, query, headers, body) is allowed until it is answered; by one thread at
 * a time. Headers only inside `begin` and `handle`.
 *
 * What is refused before any callback sees it, through `error`: malformed escapes, %00, control
 * characters, invalid UTF-8, "." and ".." in the path (400), too long or too many parts (400), body
 * over the limit (413). TLS ends in front of us. Sockets are IPv4 or IPv6. */
#ifndef EMP_NET_HTTP_SERVER_H
#define EMP_NET_HTTP_SERVER_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EMP_HTTP_SEGMENTS_MAX = 24,
    EMP_HTTP_PARAMS_MAX = 32,
    EMP_HTTP_URI_BYTES_MAX = 8192,
    EMP_HTTP_HEADERS_MAX = 16, /* extra ones of a response */
    EMP_HTTP_DRAIN_BYTES =
        16 << 20, /* of a refused body is read and dropped, so that the client sees the answer; of
                     one that a sink failed on, all that Content-Length announced */
};

struct emp_http_server;
struct emp_http_request;
struct emp_http_stream;

enum emp_http_method {
    EMP_HTTP_GET,
    EMP_HTTP_HEAD, /* handle it like GET: the body is left out for you */
    EMP_HTTP_POST,
    EMP_HTTP_PUT,
    EMP_HTTP_DELETE,
    EMP_HTTP_PATCH,
    EMP_HTTP_OPTIONS,
    EMP_HTTP_OTHER,
};

struct emp_http_header {
    const char *name, *value;
};

struct emp_http_param {
    struct emp_str name, value; /* decoded; '+' is a space */
};

struct emp_http_options {
    const char *host; /* IP address or "localhost"; NULL: 127.0.0.1 */
    uint16_t port;    /* 0: the system chooses */
    uint32_t threads; /* 0: as many as processors, 1 … 8 */
    uint32_t
        connections_max; /* 0: 10,000. Beyond: new ones wait in the kernel's queue or are closed */
    int64_t idle_timeout_ms; /* of a connection that neither sends nor takes bytes, whole seconds;
                                0: 60 s. Not while a request waits */
    size_t body_bytes_max;   /* unless begin says otherwise; 0: 10 MB */

    void *ctx;
    /* May be NULL. After the head; a request it answers never reaches `handle`. */
    void (*begin)(void *ctx, struct emp_http_request *req);
    void (*handle)(void *ctx, struct emp_http_request *req);
    /* Must answer `req` (with emp_http_respond) for an error found by the server: `err` has code
     * and text. NULL: plain text. */
    void (*error)(void *ctx, struct emp_http_request *req, const struct emp_error *err);
};

/* Listens and starts. 0; EMP_E_INVALID (host), EMP_E_CONFLICT (port taken), EMP_E_FORBIDDEN,
 * EMP_E_IO, with a text. Options are copied; host may go. */
int emp_http_server_start(const struct emp_http_options *o, struct emp_http_server **ret,
                          struct emp_error *err);
uint16_t emp_http_server_port(const struct emp_http_server *s); /* the real one */

/* Stops in order: no new connections; requests that wait and new ones get 503 (through `error`,
 * EMP_E_UNAVAILABLE, on this thread); streams end; answers on their way get up to grace_ms; then
 * everything is closed. Blocks. Afterwards no callback runs, but requests that somebody still holds
 * must be answered (a no-op) before emp_http_server_free. */
void emp_http_server_stop(struct emp_http_server *s, int64_t grace_ms);
void emp_http_server_free(struct emp_http_server *s); /* after stop; NULL is fine */

struct emp_http_server_stats {
    uint64_t connections; /* open now */
    uint64_t requests;    /* since start */
    uint64_t
        waiting; /* requests and streams that hold a connection without an answer in progress */
};
void emp_http_server_stats(struct emp_http_server *s,
                           struct emp_http_server_stats *ret); /* any thread */

/* ---- Reading a request ---- */

enum emp_http_method emp_http_method(const struct emp_http_request *req);
const char *emp_http_method_name(const struct emp_http_request *req); /* as sent; NUL-terminated */
struct emp_str emp_http_raw_path(const struct emp_http_request *req); /* undecoded, without query */

/* The path's segments, decoded; "/" has none; one slash at the end is ignored. A segment may hold a
 * decoded '/' ("org%2Fmodel"). */
uint32_t emp_http_segment_count(const struct emp_http_request *req);
struct emp_str emp_http_segment(const struct emp_http_request *req,
                                uint32_t i); /* empty when i is beyond */

/* Does the path fit the pattern "/api/jobs/:id/events"? ":x" fits one segment that is not empty,
 * which goes to args in order; "*" at the end fits one segment or more, which arrive joined by '/'
 * as the last arg. args holds EMP_HTTP_SEGMENTS_MAX and may be NULL. */
bool emp_http_match(struct emp_http_request *req, const char *pattern, struct emp_str *args);

uint32_t emp_http_param_count(const struct emp_http_request *req);
struct emp_http_param emp_http_param_at(const struct emp_http_request *req, uint32_t i);
bool emp_http_param(const struct emp_http_request *req, const char *name,
                    struct emp_str *ret); /* the first; ret may be NULL */
bool emp_http_param_duplicate(const struct emp_http_request *req,
                              struct emp_str *ret_name); /* is a name there twice? */

const char *emp_http_header(
    const struct emp_http_request *req,
    const char *name); /* NULL: absent. Any case. Only in begin and handle */
const char *emp_http_origin(const struct emp_http_request
                                *req); /* the Origin header, at any time, in `error` too; or NULL */
struct emp_str emp_http_peer(const struct emp_http_request *req); /* "127.0.0.1:4711" */

/* The body, NUL-terminated, in memory of the request. Empty in `begin` and where a sink took it. */
struct emp_str emp_http_body(const struct emp_http_request *req);
/* The same, and the caller owns it from now on (free(3)); NULL when empty. */
char *emp_http_body_take(struct emp_http_request *req, size_t *ret_len);

void *emp_http_user(
    const struct emp_http_request *req); /* a pointer of the handler's own; NULL at first */
void emp_http_set_user(struct emp_http_request *req, void *user);

/* ---- In begin only ---- */

void emp_http_set_body_max(struct emp_http_request *req, size_t bytes);
int64_t emp_http_content_length(
    const struct emp_http_request *req); /* -1: chunked, not said. Any time */

/* Takes the body in pieces, on the server's thread, instead of memory. */
struct emp_http_sink {
    void *arg;
    int (*data)(void *arg, const void *data,
                size_t len);   /* negative EMP_E_*: the rest is dropped, see emp_http_sink_code */
    void (*closed)(void *arg); /* exactly once: the request is over and the server will not use
                                  `arg` again; also when the client broke off before `handle` */
};
void emp_http_set_sink(struct emp_http_request *req, const struct emp_http_sink *sink);
int emp_http_sink_code(
    const struct emp_http_request *req); /* in handle: 0, or the first failure of `data` */

/* ---- Answering: any thread, exactly one call per request ---- */

/* Copies the body. content_type may be NULL (no body). Extra headers are copied; at most
 * EMP_HTTP_HEADERS_MAX. No memory: the connection closes. */
void emp_http_respond(struct emp_http_request *req, unsigned status, const char *content_type,
                      const void *body, size_t len, const struct emp_http_header *headers,
                      size_t header_count);

/* The same with a body from malloc, which it frees. */
void emp_http_respond_take(struct emp_http_request *req, unsigned status, const char *content_type,
                           char *body, size_t len, const struct emp_http_header *headers,
                           size_t header_count);

/* Sends a file from its descriptor (taken over, closed at the end) by sendfile, honouring Range
 * (one range; 206, 416), If-Range, If-None-Match (304) and HEAD. etag with its quotes, or NULL.
 * bytes: the file's size. Status 200, 206, 304 or 416. Only from `handle` (it reads headers), or
 * earlier in `begin`. */
void emp_http_respond_file(struct emp_http_request *req, int fd, uint64_t bytes,
                           const char *content_type, const char *etag,
                           const struct emp_http_header *headers, size_t header_count);

/* Answers with an open end (server-sent events): 200 and what is written later. buffer_max bytes
 * may wait for a slow client; beyond, it is dropped. The stream is the caller's until
 * emp_http_stream_close, which must come. 0; EMP_E_UNAVAILABLE (client gone or stopping),
 * EMP_E_INTERNAL: no stream, the request is answered all the same. */
int emp_http_stream_open(struct emp_http_request *req, const char *content_type, size_t buffer_max,
                         const struct emp_http_header *headers, size_t header_count,
                         struct emp_http_stream **ret);
/* Any thread, never blocks. 0; EMP_E_LIMIT: too slow, dropped; EMP_E_NET: the client has left, or
 * the server stops. Then only close remains. Bytes of one call stay together. A client's leaving is
 * noticed by writing: call emp_http_stream_beat at least every 15 s. */
int emp_http_stream_write(struct emp_http_stream *st, const void *data, size_t len);
/* An event in the format of text/event-stream; id and event may be NULL; data is split at newlines
 * (CR, LF, CR LF: to a reader each of them ends a line). */
int emp_http_stream_event(struct emp_http_stream *st, const char *id, const char *event,
                          struct emp_str data);
int emp_http_stream_beat(struct emp_http_stream *st); /* a comment line, ":" */
void emp_http_stream_close(
    struct emp_http_stream *st); /* what waits is still sent; the handle is gone */

/* Turns the connection into a WebSocket (RFC 6455): checks the headers, answers 101 and gives the
 * socket away. Only from `begin` or `handle`.
 *
 * `done` is called exactly once, on a thread of the server: with a non-blocking descriptor that the
 * callee owns and the bytes that came behind the head (borrowed); or with fd -1 when the client
 * left before. It may be called before this function returns. Negative: EMP_E_PROTOCOL, no proper
 * upgrade request: `done` is not called and the request is answered by `error`. */
typedef void (*emp_http_upgraded)(void *arg, int fd, const void *extra, size_t extra_len);
int emp_http_upgrade(struct emp_http_request *req, emp_http_upgraded done, void *arg);

#endif

/* What the files of the HTTP server share. A request is made when its first line has come
 * (http_server.c) and has two owners: the connection, until libmicrohttpd says that it is
 * completed, and, from `handle` on, whoever is to answer it. Its memory goes with the second.
 *
 * Whether a request has been answered is settled under the server's mutex, which is a leaf but for
 * libmicrohttpd's own locks (suspend and resume are called under it, so that an answer cannot
 * fall between "not answered yet" and "now it sleeps"). What libmicrohttpd calls with its locks
 * held must therefore not take it: the end of an upgraded connection is told so, which is why open
 * requests are counted under a mutex of their own. */
#ifndef EMP_NET_HTTP_INTERNAL_H
#define EMP_NET_HTTP_INTERNAL_H

#include "net/http_server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum emp_http_phase {
    EMP_HTTP_AT_HEAD, /* nothing seen yet */
    EMP_HTTP_AT_BODY, /* `begin` has run */
    EMP_HTTP_AT_END,  /* `handle` has run, or needs not */
    EMP_HTTP_SENT,    /* the response is libmicrohttpd's */
};

struct emp_http_upgrade {
    emp_http_upgraded done;
    void *arg;
};

struct emp_http_request {
    struct emp_http_server *server;
    struct MHD_Connection *connection;
    atomic_uint refs;
    enum emp_http_phase phase; /* the connection's thread alone */
    bool inside;               /* in `begin` or `handle`: headers may be read */
    bool client_ended;         /* will send no more; see http_server.c */

    /* under the server's mutex */
    bool held; /* somebody owes an answer */
    bool suspended;
    atomic_bool answered; /* `response` stands, or there is none to be had; read without it, too */
    struct MHD_Response *response;
    unsigned status;
    struct emp_http_request *next, *prev; /* of those that wait */

    enum emp_http_method method;
    char *method_name;
    char *origin; /* NULL: no such header */
    char *uri;    /* as sent */
    struct emp_str raw_path;
    char *decoded; /* what segments and parameters point into */
    struct emp_str segments[EMP_HTTP_SEGMENTS_MAX];
    struct emp_http_param params[EMP_HTTP_PARAMS_MAX];
    uint32_t segment_count, param_count;
    char *joined; /* the last match's "*" */

    char *body;
    size_t body_len, body_cap, body_max;
    uint64_t body_seen; /* whatever became of it */
    size_t dropped;     /* of a body that nobody wants */
    int64_t content_length;
    bool body_over;
    struct emp_http_sink sink;
    bool has_sink;
    int sink_code;
    struct emp_http_upgrade upgrade;
    char content_range[40]; /* header of an error's answer: how long the file is */

    void *user;
    struct sockaddr_storage peer;
    char peer_text[64];
};

struct emp_http_server {
    struct emp_http_options o;
    struct MHD_Daemon *daemon;
    int listen_fd;
    uint16_t port;
    pthread_mutex_t lock;
    struct emp_http_request *waiting; /* under lock, like the two below */
    struct emp_http_stream *streams;
    bool stopping;
    pthread_mutex_t open_lock;
    pthread_cond_t idle; /* `open` fell to 0 */
    uint64_t open;       /* requests between their first line and their end */
    atomic_ullong requests, waits;
    atomic_uint refs; /* itself, its requests, its streams */
};

/* Splits and decodes req->uri. 0; EMP_E_INVALID or EMP_E_MALFORMED. */
int emp_http_uri_parse(struct emp_http_request *req, struct emp_error *err);

void emp_http_request_unref(struct emp_http_request *req);
void emp_http_server_unref(struct emp_http_server *s);

/* Gives the response (taken over; NULL: the connection just closes) to the request, and the
 * caller's hold up. */
void emp_http_answer(struct emp_http_request *req, unsigned status, struct MHD_Response *response);
/* By the server's `error`, else as plain text. */
void emp_http_answer_error(struct emp_http_request *req, const struct emp_error *err);

/* Content type and extra headers. The response is destroyed and NULL returned when there is no
 * memory for them. */
struct MHD_Response *emp_http_dress(struct MHD_Response *response, const char *content_type,
                                    const struct emp_http_header *headers, size_t header_count);

/* The server stops: every stream ends after what it has. */
void emp_http_streams_end(struct emp_http_server *s);

#endif

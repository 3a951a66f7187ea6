/* The daemon, and the way of a request through it.
 *
 * libmicrohttpd calls `access_handler` when the head is in, for each piece of the body, and once
 * more at the end; and, after a suspended connection was resumed, again. A response may only be
 * queued at the head or at the end; at the head it would close the connection of a POST. So an
 * answer given in `begin` is kept until the body has been read and dropped, unless the client waits
 * for "100 Continue" or the body is longer than EMP_HTTP_DRAIN_BYTES: then it leaves at once and
 * the connection closes.
 *
 * libmicrohttpd waits on edges, and takes a short read for the last there is: when the end of a
 * client's bytes (it has left, or shut its side) comes together with the bytes, it is not noticed
 * before the idle timeout. So we look ourselves where that would hurt: while a body is not whole,
 * and when an answer leaves at once. A connection that slept is read anew and needs no look. */
#include "net/http_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS_MAX = 8,
    BODY_FIRST_BYTES = 4096,
    BODY_BYTES_DEFAULT = 10 * 1000 * 1000,
    CONNECTIONS_DEFAULT = 10000,
    CONNECTION_MEMORY = 32 * 1024, /* head, and a window of the body; cleared for each request */
    ENDED_TIMEOUT_S = 1,           /* for a body whose sender has ended */
    BACKLOG = 4096,
};

/* ------------------------------------------------------------------ life of a request */

void emp_http_server_unref(struct emp_http_server *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->open_lock);
    pthread_cond_destroy(&s->idle);
    free(s);
}

void emp_http_request_unref(struct emp_http_request *req)
{
    if (atomic_fetch_sub(&req->refs, 1) != 1)
        return;
    struct emp_http_server *s = req->server;
    free(req->method_name);
    free(req->origin);
    free(req->uri);
    free(req->decoded);
    free(req->joined);
    free(req->body);
    free(req);
    emp_http_server_unref(s);
}

/* libmicrohttpd's first word of a request: its first line has been read. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct emp_http_server *s = cls;
    struct emp_http_request *req = calloc(1, sizeof *req);
    if (req == NULL || (req->uri = strdup(uri)) == NULL) {
        free(req);
        return NULL;
    }
    req->server = s;
    req->connection = connection;
    req->body_max = s->o.body_bytes_max;
    atomic_init(&req->refs, 1);
    atomic_fetch_add(&s->refs, 1);
    pthread_mutex_lock(&s->open_lock);
    s->open++;
    pthread_mutex_unlock(&s->open_lock);
    return req;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **req_cls,
                         enum MHD_RequestTerminationCode why)
{
    struct emp_http_server *s = cls;
    struct emp_http_request *req = *req_cls;
    (void)connection, (void)why;
    if (req == NULL)
        return;
    *req_cls = NULL;
    if (req->upgrade.done) // answered 101, but the client left before it could be given away
        req->upgrade.done(req->upgrade.arg, -1, NULL, 0);
    if (req->has_sink)
        req->sink.closed(req->sink.arg);
    if (req->response && req->phase != EMP_HTTP_SENT)
        MHD_destroy_response(req->response);
    pthread_mutex_lock(&s->open_lock);
    if (--s->open == 0)
        pthread_cond_broadcast(&s->idle);
    pthread_mutex_unlock(&s->open_lock);
    emp_http_request_unref(req);
}

/* ------------------------------------------------------------------ the answer meets the
 * connection */

static void list_waiting(struct emp_http_server *s, struct emp_http_request *req)
{
    req->prev = NULL;
    req->next = s->waiting;
    if (req->next)
        req->next->prev = req;
    s->waiting = req;
    atomic_fetch_add(&s->waits, 1);
}

static void unlist_waiting(struct emp_http_server *s, struct emp_http_request *req)
{
    *(req->prev ? &req->prev->next : &s->waiting) = req->next;
    if (req->next)
        req->next->prev = req->prev;
    atomic_fetch_sub(&s->waits, 1);
}

/* While the server stops, it answers those that wait itself, and their holders' answers come too
 * late. */
static _Thread_local struct emp_http_request *answered_by_stop;

void emp_http_answer(struct emp_http_request *req, unsigned status, struct MHD_Response *response)
{
    struct emp_http_server *s = req->server;
    bool mine = false, holder = answered_by_stop != req;
    pthread_mutex_lock(&s->lock);
    if (!req->answered) {
        mine = true;
        atomic_store(&req->answered, true);
        req->response = response;
        req->status = status;
        if (req->suspended) {
            req->suspended = false;
            unlist_waiting(s, req);
            MHD_resume_connection(req->connection);
        }
    }
    bool held = holder && req->held;
    if (held)
        req->held = false;
    pthread_mutex_unlock(&s->lock);
    if (!mine && response)
        MHD_destroy_response(response);
    if (held)
        emp_http_request_unref(req);
}

void emp_http_answer_error(struct emp_http_request *req, const struct emp_error *err)
{
    struct emp_http_server *s = req->server;
    if (s->o.error)
        s->o.error(s->o.ctx, req, err);
    else
        emp_http_respond(req, (unsigned)emp_error_http(err->code), "text/plain; charset=utf-8",
                         err->text, strlen(err->text), NULL, 0);
}

/* Has the client sent its last byte, and have all been read? */
static bool client_ended(struct emp_http_request *req)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char byte;
    if (!req->client_ended && info)
        req->client_ended = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    return req->client_ended;
}

static void set_timeout(struct emp_http_request *req, unsigned seconds)
{
    MHD_set_connection_option(req->connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

static enum MHD_Result send_answer(struct emp_http_request *req)
{
    struct MHD_Response *response = req->response;
    if (response == NULL)
        return MHD_NO;
    req->phase = EMP_HTTP_SENT;
    if (req->client_ended && !req->upgrade.done)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result r = MHD_queue_response(req->connection, req->status, response);
    MHD_destroy_response(response);
    return r;
}

/* Answered already: the answer leaves. Else the connection sleeps until it comes. */
static enum MHD_Result send_or_sleep(struct emp_http_request *req)
{
    struct emp_http_server *s = req->server;
    struct emp_error err;
    pthread_mutex_lock(&s->lock);
    bool late = s->stopping && !req->answered;
    bool ready = req->answered;
    if (!ready && !late) {
        req->suspended = true;
        list_waiting(s, req);
        MHD_suspend_connection(req->connection);
    }
    pthread_mutex_unlock(&s->lock);
    if (late) {
        emp_fail(&err, EMP_E_UNAVAILABLE, NULL, "the server is stopping");
        answered_by_stop = req;
        emp_http_answer_error(req, &err);
        answered_by_stop = NULL;
    }
    if (!ready && !late)
        return MHD_YES;
    if (!req->upgrade.done)
        client_ended(req);
    return send_answer(req);
}

/* ------------------------------------------------------------------ head, body, end */

static enum emp_http_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum emp_http_method method;
    } methods[] = {{"GET", EMP_HTTP_GET},        {"HEAD", EMP_HTTP_HEAD},
                   {"POST", EMP_HTTP_POST},      {"PUT", EMP_HTTP_PUT},
                   {"DELETE", EMP_HTTP_DELETE},  {"PATCH", EMP_HTTP_PATCH},
                   {"OPTIONS", EMP_HTTP_OPTIONS}};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(name, methods[i].name) == 0)
            return methods[i].method;
    return EMP_HTTP_OTHER;
}

static int64_t content_length(const char *text)
{
    if (text == NULL)
        return 0;
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return errno || end == text || n < 0 ? -1 : n;
}

static void read_head(struct emp_http_request *req, const char *method)
{
    struct MHD_Connection *c = req->connection;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info && info->client_addr) {
        size_t len = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                              : sizeof(struct sockaddr_in);
        memcpy(&req->peer, info->client_addr, len);
    }
    req->method = method_of(method);
    if (req->method == EMP_HTTP_OTHER)
        req->method_name = strdup(method);
    const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Origin");
    if (origin)
        req->origin = strdup(origin);
    const char *coding = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Transfer-Encoding");
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length");
    req->content_length = coding ? -1 : content_length(length);
}

static void refuse_length(struct emp_http_request *req)
{
    struct emp_error err;
    req->body_over = true;
    emp_fail(&err, EMP_E_TOO_LARGE, NULL, "the body is longer than the %zu bytes allowed here",
             req->body_max);
    emp_http_answer_error(req, &err);
}

static bool is_answered(struct emp_http_request *req)
{
    return atomic_load(&req->answered);
}

/* No callback of the owner's may begin any more: a request that comes now is answered here. */
static bool refuse_late(struct emp_http_request *req)
{
    struct emp_http_server *s = req->server;
    struct emp_error err;
    pthread_mutex_lock(&s->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    if (!stopping)
        return false;
    emp_fail(&err, EMP_E_UNAVAILABLE, NULL, "the server is stopping");
    emp_http_answer_error(req, &err);
    return true;
}

static enum MHD_Result at_head(struct emp_http_request *req, const char *method)
{
    struct emp_http_server *s = req->server;
    struct emp_error err;
    read_head(req, method);
    req->phase = EMP_HTTP_AT_BODY;
    req->inside = true;
    if (emp_http_uri_parse(req, &err) < 0)
        emp_http_answer_error(req, &err);
    else if (!refuse_late(req) && s->o.begin)
        s->o.begin(s->o.ctx, req);
    req->inside = false;
    bool answered = is_answered(req);
    if (!answered && !req->has_sink && req->content_length > 0 &&
        (uint64_t)req->content_length > req->body_max) {
        refuse_length(req);
        answered = true;
    }
    if (!answered)
        return MHD_YES;
    const char *expect = MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, "Expect");
    bool now = (expect && strcasecmp(expect, "100-continue") == 0) ||
               req->content_length > EMP_HTTP_DRAIN_BYTES || req->upgrade.done;
    return now ? send_answer(req) : MHD_YES;
}

static void gather(struct emp_http_request *req, const char *data, size_t len)
{
    if (len > req->body_max - req->body_len) {
        free(req->body);
        req->body = NULL;
        req->body_len = req->body_cap = 0;
        refuse_length(req);
        return;
    }
    size_t need = req->body_len + len + 1;
    if (need > req->body_cap) {
        size_t cap = req->body_cap             ? req->body_cap * 2
                     : req->content_length > 0 ? (size_t)req->content_length + 1
                                               : BODY_FIRST_BYTES;
        if (cap < need)
            cap = need;
        char *body = realloc(req->body, cap);
        if (body == NULL) {
            struct emp_error err;
            emp_fail(&err, EMP_E_INTERNAL, NULL, "no memory for the body");
            emp_http_answer_error(req, &err);
            return;
        }
        req->body = body;
        req->body_cap = cap;
    }
    memcpy(req->body + req->body_len, data, len);
    req->body_len += len;
    req->body[req->body_len] = '\0';
}

/* How much is dropped? Of what a sink failed on, all that was announced: the answer, which says
 * why, can leave only after it. */
static bool must_end(struct emp_http_request *req, bool unwanted, size_t n)
{
    if (!unwanted && req->content_length > 0)
        return false;
    req->dropped += n;
    return req->dropped > EMP_HTTP_DRAIN_BYTES;
}

static enum MHD_Result at_body(struct emp_http_request *req, const char *data, size_t *len)
{
    size_t n = *len;
    *len = 0;
    req->body_seen += n;
    bool unwanted = is_answered(req);
    if (!unwanted && req->has_sink && req->sink_code == 0)
        req->sink_code = req->sink.data(req->sink.arg, data, n);
    else if (!unwanted && !req->has_sink)
        gather(req, data, n);
    else if (must_end(req, unwanted, n))
        return MHD_NO;
    bool more = req->content_length < 0 || req->body_seen < (uint64_t)req->content_length;
    if (more && !req->client_ended && client_ended(req))
        set_timeout(req, ENDED_TIMEOUT_S); // what is read but not parsed yet may still be whole
    return MHD_YES;
}

static unsigned idle_seconds(const struct emp_http_server *s)
{
    return (unsigned)((s->o.idle_timeout_ms + 999) / 1000);
}

static enum MHD_Result at_end(struct emp_http_request *req)
{
    struct emp_http_server *s = req->server;
    req->phase = EMP_HTTP_AT_END;
    if (req->client_ended)
        set_timeout(req, idle_seconds(s));
    if (!is_answered(req) && !refuse_late(req)) {
        atomic_fetch_add(&req->refs, 1);
        req->held = true;
        req->inside = true;
        s->o.handle(s->o.ctx, req);
        req->inside = false;
    }
    return send_or_sleep(req);
}

static enum MHD_Result access_handler(void *cls, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version, const char *data,
                                      size_t *len, void **req_cls)
{
    struct emp_http_request *req = *req_cls;
    (void)cls, (void)connection, (void)url, (void)version;
    if (req == NULL)
        return MHD_NO;
    switch (req->phase) {
    case EMP_HTTP_AT_HEAD:
        atomic_fetch_add(&req->server->requests, 1);
        return at_head(req, method);
    case EMP_HTTP_AT_BODY:
        return *len ? at_body(req, data, len) : at_end(req);
    case EMP_HTTP_AT_END:
        return send_answer(req); // resumed
    default:
        return MHD_YES;
    }
}

/* ------------------------------------------------------------------ start */

static size_t keep_raw(void *cls, struct MHD_Connection *connection, char *s)
{
    (void)cls, (void)connection;
    return strlen(s);
}

static int address_of(const char *host, uint16_t port, struct sockaddr_storage *ret, socklen_t *len,
                      struct emp_error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    memset(ret, 0, sizeof *ret);
    if (host == NULL || strcasecmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *len = sizeof *v4;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *len = sizeof *v6;
    } else {
        return emp_fail(err, EMP_E_INVALID, "listen", "\"%s\" is no IP address to listen on", host);
    }
    return 0;
}

static int listen_failed(int fd, const char *host, uint16_t port, struct emp_error *err)
{
    int e = errno, code = e == EADDRINUSE             ? EMP_E_CONFLICT
                          : e == EACCES || e == EPERM ? EMP_E_FORBIDDEN
                                                      : EMP_E_IO;
    if (fd >= 0)
        close(fd);
    return emp_fail(err, code, "listen", "cannot listen on %s, port %u: %s",
                    host ? host : "127.0.0.1", port, strerror(e));
}

static int listen_on(struct emp_http_server *s, struct emp_error *err)
{
    struct sockaddr_storage a;
    socklen_t len;
    int on = 1, off = 0;
    int r = address_of(s->o.host, s->o.port, &a, &len, err);
    if (r < 0)
        return r;
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return listen_failed(fd, s->o.host, s->o.port, err);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return listen_failed(fd, s->o.host, s->o.port, err);
    s->listen_fd = fd;
    s->port = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                            : ((struct sockaddr_in *)&a)->sin_port);
    return 0;
}

static void defaults(struct emp_http_options *o)
{
    if (o->threads == 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        o->threads = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (uint32_t)n;
    }
    if (o->connections_max == 0)
        o->connections_max = CONNECTIONS_DEFAULT;
    if (o->connections_max < o->threads)
        o->connections_max = o->threads;
    if (o->idle_timeout_ms <= 0)
        o->idle_timeout_ms = 60000;
    if (o->body_bytes_max == 0)
        o->body_bytes_max = BODY_BYTES_DEFAULT;
}

static struct MHD_Daemon *start_daemon(struct emp_http_server *s)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
                     MHD_USE_ITC;
    struct MHD_OptionItem pool[] = {
        {s->o.threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)s->o.threads,
         NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(
        flags, 0, NULL, NULL, access_handler, s, MHD_OPTION_LISTEN_SOCKET, s->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, s->o.connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
        idle_seconds(s), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_raw, NULL, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
}

static void init_idle(pthread_cond_t *c)
{
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(c, &a);
    pthread_condattr_destroy(&a);
}

int emp_http_server_start(const struct emp_http_options *o, struct emp_http_server **ret,
                          struct emp_error *err)
{
    struct emp_http_server *s = calloc(1, sizeof *s);
    if (s == NULL)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
    s->o = *o;
    defaults(&s->o);
    int r = listen_on(s, err);
    s->o.host = NULL;
    if (r < 0) {
        free(s);
        return r;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->open_lock, NULL);
    init_idle(&s->idle);
    atomic_init(&s->refs, 1);
    s->daemon = start_daemon(s);
    if (s->daemon == NULL) {
        close(s->listen_fd);
        emp_http_server_unref(s);
        return emp_fail(err, EMP_E_IO, "listen",
                        "the HTTP server cannot start (threads, descriptors?)");
    }
    *ret = s;
    return 0;
}

uint16_t emp_http_server_port(const struct emp_http_server *s)
{
    return s->port;
}

/* ------------------------------------------------------------------ stop */

static void answer_waiting(struct emp_http_server *s)
{
    struct emp_error err;
    emp_fail(&err, EMP_E_UNAVAILABLE, NULL, "the server is stopping");
    for (;;) {
        pthread_mutex_lock(&s->lock);
        struct emp_http_request *req = s->waiting;
        if (req)
            atomic_fetch_add(&req->refs, 1);
        pthread_mutex_unlock(&s->lock);
        if (req == NULL)
            return;
        answered_by_stop = req;
        emp_http_answer_error(req, &err);
        answered_by_stop = NULL;
        emp_http_request_unref(req);
    }
}

static void wait_until_idle(struct emp_http_server *s, int64_t grace_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += grace_ms / 1000;
    until.tv_nsec += (long)(grace_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->open_lock);
    while (s->open > 0 && pthread_cond_timedwait(&s->idle, &s->open_lock, &until) == 0)
        ;
    pthread_mutex_unlock(&s->open_lock);
}

/* Puts a descriptor that never becomes readable in the listening socket's place, which the kernel
 * thereby closes and takes out of everybody's epoll. MHD_quiesce_daemon would race with the threads
 * of a pool, which take the socket out themselves once they see its mark: whoever is second finds
 * it gone and aborts the process. The number stays taken, so that a thread about to accept cannot
 * meet another socket under it; MHD_stop_daemon closes it. */
static void stop_listening(struct emp_http_server *s)
{
    int inert = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (inert < 0 || dup3(inert, s->listen_fd, O_CLOEXEC) < 0)
        shutdown(s->listen_fd, SHUT_RDWR); // no descriptor left: busy until the end, but refusing
    if (inert >= 0)
        close(inert);
}

void emp_http_server_stop(struct emp_http_server *s, int64_t grace_ms)
{
    if (s->daemon == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_mutex_unlock(&s->lock);
    stop_listening(s);
    answer_waiting(s);
    emp_http_streams_end(s);
    wait_until_idle(s, grace_ms);
    pthread_mutex_lock(&s->lock);
    struct MHD_Daemon *daemon = s->daemon;
    s->daemon = NULL; // nobody asks it for numbers any more
    pthread_mutex_unlock(&s->lock);
    MHD_stop_daemon(daemon);
}

void emp_http_server_free(struct emp_http_server *s)
{
    if (s == NULL)
        return;
    emp_http_server_stop(s, 0);
    emp_http_server_unref(s);
}

void emp_http_server_stats(struct emp_http_server *s, struct emp_http_server_stats *ret)
{
    const union MHD_DaemonInfo *info = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->daemon)
        info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    uint64_t connections = info ? info->num_connections : 0;
    pthread_mutex_unlock(&s->lock);
    *ret = (struct emp_http_server_stats){
        .connections = connections,
        .requests = atomic_load(&s->requests),
        .waiting = atomic_load(&s->waits),
    };
}

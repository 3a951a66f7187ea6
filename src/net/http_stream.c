/* Answers without an end. The connection sleeps while there is nothing to send; a write wakes it,
 * and libmicrohttpd's thread takes what has gathered.
 *
 * A stream has two owners: its writer, until emp_http_stream_close, and the response. Lock order:
 * the stream's mutex, then libmicrohttpd's own. */
#include "net/http_internal.h"

#include <stdlib.h>

struct emp_http_stream {
    struct emp_http_server *server;
    struct MHD_Connection *connection;
    atomic_uint refs;
    pthread_mutex_t lock;
    char *data; /* waits for the connection */
    size_t len, cap, max;
    bool suspended;
    bool ending;                         /* no more will be written */
    bool dropped;                        /* too slow */
    bool gone;                           /* the response is no more */
    struct emp_http_stream *next, *prev; /* the server's, under its lock */
};

static void unref(struct emp_http_stream *st)
{
    if (atomic_fetch_sub(&st->refs, 1) != 1)
        return;
    emp_http_server_unref(st->server);
    pthread_mutex_destroy(&st->lock);
    free(st->data);
    free(st);
}

static void wake(struct emp_http_stream *st)
{
    if (!st->suspended)
        return;
    st->suspended = false;
    atomic_fetch_sub(&st->server->waits, 1);
    MHD_resume_connection(st->connection);
}

/* libmicrohttpd wants bytes. */
static ssize_t on_read(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct emp_http_stream *st = cls;
    ssize_t n = 0;
    (void)pos;
    pthread_mutex_lock(&st->lock);
    if (st->dropped) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (st->len) {
        n = (ssize_t)(st->len < max ? st->len : max);
        memcpy(buf, st->data, (size_t)n);
        st->len -= (size_t)n;
        memmove(st->data, st->data + n, st->len);
    } else if (st->ending) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        st->suspended = true;
        atomic_fetch_add(&st->server->waits, 1);
        MHD_suspend_connection(st->connection);
    }
    pthread_mutex_unlock(&st->lock);
    return n;
}

/* The response is destroyed: the client has left, or all was sent. */
static void on_gone(void *cls)
{
    struct emp_http_stream *st = cls;
    struct emp_http_server *s = st->server;
    pthread_mutex_lock(&s->lock);
    *(st->prev ? &st->prev->next : &s->streams) = st->next;
    if (st->next)
        st->next->prev = st->prev;
    pthread_mutex_unlock(&s->lock);
    pthread_mutex_lock(&st->lock);
    st->gone = true;
    pthread_mutex_unlock(&st->lock);
    unref(st);
}

/* From now on a stop ends it; a stop that has passed already has ended it. */
static void list(struct emp_http_server *s, struct emp_http_stream *st)
{
    pthread_mutex_lock(&s->lock);
    st->ending = s->stopping;
    st->next = s->streams;
    if (st->next)
        st->next->prev = st;
    s->streams = st;
    pthread_mutex_unlock(&s->lock);
}

/* libmicrohttpd would send the chunk that ends a body after a HEAD's head as well, in the place of
 * the next answer. So a HEAD gets a response without a body, and its stream has no reader. */
static struct MHD_Response *response_for(struct emp_http_stream *st, bool reader)
{
    if (reader)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, on_read, st, on_gone);
    return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
}

int emp_http_stream_open(struct emp_http_request *req, const char *content_type, size_t buffer_max,
                         const struct emp_http_header *headers, size_t header_count,
                         struct emp_http_stream **ret)
{
    struct emp_http_server *s = req->server;
    struct emp_http_stream *st = calloc(1, sizeof *st);
    bool reader = req->method != EMP_HTTP_HEAD;
    struct MHD_Response *r = st ? response_for(st, reader) : NULL;
    if (r == NULL) {
        free(st);
        emp_http_answer(req, 500, NULL);
        return EMP_E_INTERNAL;
    }
    st->server = s;
    st->connection = req->connection;
    st->max = buffer_max;
    pthread_mutex_init(&st->lock, NULL);
    st->gone = !reader;
    atomic_init(&st->refs, reader ? 2 : 1);
    atomic_fetch_add(&s->refs, 1);
    if (reader)
        list(s, st);
    r = emp_http_dress(r, content_type, headers, header_count);
    bool dressed = r != NULL;
    emp_http_answer(req, 200, r);
    pthread_mutex_lock(&st->lock);
    bool late = st->ending || (reader && st->gone);
    pthread_mutex_unlock(&st->lock);
    if (dressed && !late) {
        *ret = st;
        return 0;
    }
    unref(st);
    return dressed ? EMP_E_UNAVAILABLE : EMP_E_INTERNAL;
}

static bool make_room(struct emp_http_stream *st, size_t len)
{
    if (len > st->max || st->len > st->max - len)
        return false;
    if (st->len + len <= st->cap)
        return true;
    size_t cap = st->cap ? st->cap : 1024;
    while (cap < st->len + len)
        cap *= 2;
    char *data = realloc(st->data, cap);
    if (data == NULL)
        return false;
    st->data = data;
    st->cap = cap;
    return true;
}

int emp_http_stream_write(struct emp_http_stream *st, const void *data, size_t len)
{
    int r = 0;
    pthread_mutex_lock(&st->lock);
    if (st->gone || st->ending) {
        r = EMP_E_NET;
    } else if (st->dropped || !make_room(st, len)) {
        st->dropped = true;
        r = EMP_E_LIMIT;
        wake(st);
    } else {
        if (len)
            memcpy(st->data + st->len, data, len);
        st->len += len;
        wake(st);
    }
    pthread_mutex_unlock(&st->lock);
    return r;
}

int emp_http_stream_event(struct emp_http_stream *st, const char *id, const char *event,
                          struct emp_str data)
{
    struct emp_buf b;
    emp_buf_init(&b, st->max + 1);
    if (id)
        emp_buf_printf(&b, "id: %s\n", id);
    if (event)
        emp_buf_printf(&b, "event: %s\n", event);
    uint32_t from = 0;
    for (uint32_t i = 0; i <= data.len; i++) {
        if (i < data.len && data.ptr[i] != '\n' && data.ptr[i] != '\r')
            continue;
        emp_buf_addz(&b, "data: ");
        emp_buf_add(&b, data.ptr + from, i - from);
        emp_buf_addz(&b, "\n");
        if (i + 1 < data.len && data.ptr[i] == '\r' && data.ptr[i + 1] == '\n')
            i++;
        from = i + 1;
    }
    emp_buf_addz(&b, "\n");
    int r = emp_http_stream_write(st, b.data, b.failed ? st->max + 1 : b.len);
    emp_buf_release(&b);
    return r;
}

int emp_http_stream_beat(struct emp_http_stream *st)
{
    return emp_http_stream_write(st, ":\n\n", 3);
}

void emp_http_stream_close(struct emp_http_stream *st)
{
    pthread_mutex_lock(&st->lock);
    st->ending = true;
    if (!st->gone)
        wake(st);
    pthread_mutex_unlock(&st->lock);
    unref(st);
}

void emp_http_streams_end(struct emp_http_server *s)
{
    pthread_mutex_lock(&s->lock);
    for (struct emp_http_stream *st = s->streams; st; st = st->next) {
        pthread_mutex_lock(&st->lock);
        st->ending = true;
        wake(st);
        pthread_mutex_unlock(&st->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

#include "cli/bench_http.h"

#include "base/error.h"
#include "os/clock.h"

#include <stdlib.h>
#include <strings.h>

enum { EMP_BENCH_READ_BYTES = 256 * 1024 };

struct emp_bench_connection {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct emp_bench_http *http;
    uint32_t number;
    bool closing;
    int64_t sent_at;
    struct emp_buf in;
    char chunk[16384];
};

/* ------------------------------------------------------------------ histogram */

static uint32_t emp_histogram_bucket(uint64_t us)
{
    if (us < 32)
        return (uint32_t)us;
    unsigned top = 63u - (unsigned)__builtin_clzll(us);
    uint32_t at = (top - 4) * 32 + (uint32_t)((us >> (top - 5)) & 31);
    return at < EMP_HISTOGRAM_BUCKETS ? at : EMP_HISTOGRAM_BUCKETS - 1;
}

static uint64_t emp_histogram_floor(uint32_t bucket)
{
    if (bucket < 32)
        return bucket;
    unsigned top = bucket / 32 + 4;
    return (1ull << top) | ((uint64_t)(bucket % 32) << (top - 5));
}

void emp_histogram_add(struct emp_histogram *h, uint64_t us)
{
    h->buckets[emp_histogram_bucket(us)]++;
    h->count++;
    h->sum += us;
    if (us > h->max)
        h->max = us;
}

uint64_t emp_histogram_quantile(const struct emp_histogram *h, double q)
{
    uint64_t rank = (uint64_t)(q * (double)h->count), seen = 0;

    for (uint32_t i = 0; i < EMP_HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > rank)
            return emp_histogram_floor(i);
    }
    return h->max;
}

/* ------------------------------------------------------------------ connections */

static void emp_bench_closed(uv_handle_t *h)
{
    struct emp_bench_connection *c = h->data;
    c->http->open--;
}

static void emp_bench_close(struct emp_bench_connection *c, bool broken)
{
    if (c->closing)
        return;
    c->closing = true;
    c->http->errors += broken;
    uv_close((uv_handle_t *)&c->tcp, emp_bench_closed);
}

static void emp_bench_written(uv_write_t *w, int status)
{
    if (status < 0)
        emp_bench_close(w->data, true);
}

static void emp_bench_send(struct emp_bench_connection *c)
{
    struct emp_str request;

    if (!c->http->next(c->http->ctx, c->number, &request)) {
        emp_bench_close(c, false);
        return;
    }
    c->sent_at = emp_clock_mono_us();
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)request.ptr, request.len);
    int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (sent == (int)request.len)
        return;
    if (sent < 0 && sent != UV_EAGAIN) {
        emp_bench_close(c, true);
        return;
    }
    buf.base += sent > 0 ? sent : 0;
    buf.len -= sent > 0 ? (size_t)sent : 0;
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, emp_bench_written) < 0)
        emp_bench_close(c, true);
}

/* Finds the header's value; the head is NUL-terminated text of whole lines. -1: absent. */
static long emp_bench_content_length(const char *head)
{
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, "content-length:", 15) == 0)
            return strtol(line + 17, NULL, 10);
    return -1;
}

/* Takes one whole answer off the buffer. 1: taken, 0: more bytes are needed, -1: not understood. */
static int emp_bench_take(struct emp_bench_connection *c)
{
    const char *end = c->in.len ? strstr(c->in.data, "\r\n\r\n") : NULL;

    if (!end)
        return c->in.len > EMP_BENCH_READ_BYTES ? -1 : 0;
    size_t head = (size_t)(end - c->in.data) + 4;
    long length = emp_bench_content_length(c->in.data);
    if (length < 0 || strncmp(c->in.data, "HTTP/1.1 ", 9) != 0)
        return -1;
    if (c->in.len < head + (size_t)length)
        return 0;
    uint64_t us = (uint64_t)(emp_clock_mono_us() - c->sent_at);
    c->http->answer(c->http->ctx, c->number, atoi(c->in.data + 9), (struct emp_str){c->in.data + head, (uint32_t)length}, us);
    emp_buf_clear(&c->in);
    return 1;
}

static void emp_bench_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct emp_bench_connection *c = h->data;

    (void)suggested;
    *buf = uv_buf_init(c->chunk, sizeof c->chunk);
}

static void emp_bench_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct emp_bench_connection *c = s->data;

    if (n < 0) {
        emp_bench_close(c, true);
        return;
    }
    emp_buf_add(&c->in, buf->base, (size_t)n);
    int r = emp_bench_take(c);
    if (r < 0 || c->in.failed)
        emp_bench_close(c, true);
    else if (r > 0)
        emp_bench_send(c);
}

static void emp_bench_connected(uv_connect_t *req, int status)
{
    struct emp_bench_connection *c = req->data;

    if (status < 0) {
        emp_bench_close(c, true);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, emp_bench_alloc, emp_bench_read);
    emp_bench_send(c);
}

int emp_bench_http_start(struct emp_bench_http *h)
{
    h->connections = calloc(h->connection_count, sizeof *h->connections);
    if (!h->connections)
        return EMP_E_INTERNAL;
    for (uint32_t i = 0; i < h->connection_count; i++) {
        struct emp_bench_connection *c = &h->connections[i];
        c->http = h;
        c->number = i;
        emp_buf_init(&c->in, 64 * 1024 * 1024);
        uv_tcp_init(h->loop, &c->tcp);
        c->tcp.data = c->connect.data = c;
        h->open++;
        if (uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)&h->address, emp_bench_connected) < 0)
            emp_bench_close(c, true);
    }
    return 0;
}

void emp_bench_http_release(struct emp_bench_http *h)
{
    for (uint32_t i = 0; i < h->connection_count; i++)
        emp_buf_release(&h->connections[i].in);
    free(h->connections);
    h->connections = NULL;
}

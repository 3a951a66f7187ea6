#include "cli/bench_http.h"

#include "os/clock.h"

#include <stdlib.h>
#include <strings.h>

enum { HEAD_BYTES_MAX = 64 * 1024 };

static void send_next(struct emp_bench_connection *c)
{
    struct emp_bench_http *h = c->http;

    c->sent_at = 0;
    if (h->left == 0)
        return;
    h->left--;
    c->sent_at = emp_mono_us();
    emp_load_send(&c->peer, c->request.ptr, c->request.len);
}

/* The value of Content-Length in a head of whole lines; -1: absent. */
static long content_length(const char *head, size_t len)
{
    const char *end = head + len;

    for (const char *at = head; (at = memchr(at, '\n', (size_t)(end - at))) != NULL;) {
        at++;
        if (end - at > 15 && strncasecmp(at, "content-length:", 15) == 0)
            return strtol(at + 15, NULL, 10);
    }
    return -1;
}

static ssize_t take(struct emp_load_peer *p, const char *data, size_t len)
{
    struct emp_bench_connection *c = (struct emp_bench_connection *)p;
    const char *end = memmem(data, len, "\r\n\r\n", 4);

    if (!end)
        return len > HEAD_BYTES_MAX ? -1 : 0;
    size_t head = (size_t)(end - data) + 4;
    long body = content_length(data, head);
    if (body < 0 || strncmp(data, "HTTP/1.1 ", 9) != 0 || c->sent_at == 0)
        return -1;
    if (len < head + (size_t)body)
        return 0;
    if (data[9] != '2') {
        emp_load_fail(p, "answered %.3s: %.*s", data + 9, (int)(body > 300 ? 300 : body),
                      data + head);
        return (ssize_t)len;
    }
    emp_histogram_add(&c->http->times, emp_mono_us() - c->sent_at);
    c->http->answered++;
    send_next(c);
    return (ssize_t)(head + (size_t)body);
}

int emp_bench_http_open(struct emp_bench_http *h, struct emp_load *load,
                        const struct sockaddr *address, socklen_t len, uint32_t connections,
                        const struct emp_str *requests, uint32_t request_count,
                        struct emp_error *err)
{
    *h = (struct emp_bench_http){.load = load};
    h->connections = calloc(connections, sizeof *h->connections);
    if (!h->connections)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory for %u connections", connections);
    while (h->connection_count < connections) {
        struct emp_bench_connection *c = &h->connections[h->connection_count++];
        c->peer =
            (struct emp_load_peer){.load = load, .name = "HTTP connection", .fd = -1, .take = take};
        c->http = h;
        c->request = requests[h->connection_count % request_count];
        int r = emp_load_open(&c->peer, address, len, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void emp_bench_http_add(struct emp_bench_http *h, uint64_t count)
{
    h->left += count;
    for (uint32_t i = 0; i < h->connection_count && h->left > 0; i++)
        if (h->connections[i].sent_at == 0)
            send_next(&h->connections[i]);
}

void emp_bench_http_close(struct emp_bench_http *h)
{
    for (uint32_t i = 0; i < h->connection_count; i++)
        emp_load_close(&h->connections[i].peer);
    free(h->connections);
    h->connections = NULL;
    h->connection_count = 0;
}

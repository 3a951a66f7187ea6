/* Load on an HTTP server from one thread: N keep-alive connections, each with one request under way, over bare libuv sockets. Understands
 * just enough HTTP/1.1 for answers with Content-Length. For `emp bench` only. */
#ifndef EMP_CLI_BENCH_HTTP_H
#define EMP_CLI_BENCH_HTTP_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Latencies in microseconds, in buckets of about 2 % width from 1 µs to 17 minutes. */
enum { EMP_HISTOGRAM_BUCKETS = 30 * 32 };
struct emp_histogram {
    uint64_t count, sum, max;
    uint64_t buckets[EMP_HISTOGRAM_BUCKETS];
};
void emp_histogram_add(struct emp_histogram *h, uint64_t us);
uint64_t emp_histogram_quantile(const struct emp_histogram *h, double q); /* 0 when empty */

struct emp_bench_connection;
struct emp_bench_http {
    uv_loop_t *loop;
    struct sockaddr_in address;
    uint32_t connection_count;
    struct emp_bench_connection *connections;
    /* The next request for a connection: whole bytes, valid until the answer. False: that connection is done. */
    bool (*next)(void *ctx, uint32_t connection, struct emp_str *ret);
    /* An answer: status and body. */
    void (*answer)(void *ctx, uint32_t connection, int status, struct emp_str body, uint64_t us);
    void *ctx;
    uint32_t open;
    uint64_t errors; /* connections that broke */
};

/* Opens the connections and begins; runs with the loop; when no connection has anything more to do, all are closed. */
int emp_bench_http_start(struct emp_bench_http *h);
void emp_bench_http_release(struct emp_bench_http *h); /* after the loop ran out */

#endif

/* HTTP load for `emp bench`: keep-alive connections, each with one request under way (no
 * pipelining), the same prebuilt bytes again and again. Understands just enough HTTP/1.1 for
 * answers with Content-Length. */
#ifndef EMP_CLI_BENCH_HTTP_H
#define EMP_CLI_BENCH_HTTP_H

#include "cli/bench_load.h"

struct emp_bench_connection {
    struct emp_load_peer peer; /* first */
    struct emp_bench_http *http;
    struct emp_str request;
    int64_t sent_at; /* 0: idle */
};

struct emp_bench_http {
    struct emp_load *load;
    struct emp_bench_connection *connections;
    uint32_t connection_count;
    uint64_t left;     /* requests still to be sent */
    uint64_t answered; /* with 2xx; any other answer ends the run */
    struct emp_histogram times;
};

/* Opens them all. Connection i repeats requests[i % request_count], which must outlive it. */
int emp_bench_http_open(struct emp_bench_http *h, struct emp_load *load,
                        const struct sockaddr *address, socklen_t len, uint32_t connections,
                        const struct emp_str *requests, uint32_t request_count,
                        struct emp_error *err);
/* `count` more requests; idle connections begin at once. */
void emp_bench_http_add(struct emp_bench_http *h, uint64_t count);
void emp_bench_http_close(struct emp_bench_http *h);

#endif

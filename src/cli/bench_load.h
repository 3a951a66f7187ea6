/* What makes load for `emp bench`: sockets over bare epoll in one thread, as cheap as can be,
 * because it shares the processors with the broker it measures. And a histogram of times. */
#ifndef EMP_CLI_BENCH_LOAD_H
#define EMP_CLI_BENCH_LOAD_H

#include "base/error.h"
#include "base/str.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Times in microseconds, in buckets about 3 % wide, up to half an hour. */
enum { EMP_HISTOGRAM_BUCKETS = 27 * 32 };
struct emp_histogram {
    uint64_t count, sum, max;
    uint64_t buckets[EMP_HISTOGRAM_BUCKETS];
};
void emp_histogram_add(struct emp_histogram *h, int64_t us);
void emp_histogram_merge(struct emp_histogram *into, const struct emp_histogram *from);
/* The time that the share q (0 … 1) stayed below; 0 when empty. */
uint64_t emp_histogram_quantile(const struct emp_histogram *h, double q);

/* For a signal handler to set: the turn then ends with EMP_E_CANCELLED. */
extern volatile sig_atomic_t emp_load_interrupted;

struct emp_load {
    int epoll;
    uint32_t open;        /* connections */
    struct emp_error err; /* why the first connection was lost; code 0: none was */
    char *chunk;          /* what one recv(2) brings */
};
int emp_load_init(struct emp_load *l, struct emp_error *err);
void emp_load_release(struct emp_load *l); /* after its peers are closed */
/* Waits for what comes, at most timeout_ms, and hands it on. 0; or the error of a connection that
 * was lost, now or earlier. */
int emp_load_turn(struct emp_load *l, int timeout_ms, struct emp_error *err);

/* A connection. Its owner has the memory, zeroed at first, until it is closed. */
struct emp_load_peer {
    struct emp_load *load;
    const char *name; /* for errors: "HTTP connection" */
    int fd;
    bool waiting; /* for room in the socket */
    struct emp_buf in, out;
    /* Takes what is whole off the front and says how many bytes that were; negative: it is not
     * understood, which ends the run. Called again with the rest and what has come since. */
    ssize_t (*take)(struct emp_load_peer *p, const char *data, size_t len);
};
/* Connects; blocks meanwhile. load, name and take are set by the caller. 0 or EMP_E_NET. */
int emp_load_open(struct emp_load_peer *p, const struct sockaddr *address, socklen_t len,
                  struct emp_error *err);
void emp_load_close(struct emp_load_peer *p); /* also one never opened, or lost */
/* Sends at once what the socket takes, the rest later. */
void emp_load_send(struct emp_load_peer *p, const void *data, size_t len);
/* Ends the run: what came from this peer is not what should come. */
void emp_load_fail(struct emp_load_peer *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif

/* Level-triggered, one recv(2) into a shared chunk per readiness: an answer that fits costs three
 * system calls with its request, and no copy. Only what is cut off is kept in the peer's buffer. */
#include "cli/bench_load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CHUNK_BYTES = 256 * 1024, EVENTS = 256, KEPT_BYTES_MAX = 64 << 20 };

/* ------------------------------------------------------------------ histogram */

static uint32_t bucket_of(uint64_t us)
{
    if (us < 32)
        return (uint32_t)us;
    unsigned top = 63u - (unsigned)__builtin_clzll(us);
    uint64_t at = (top - 4) * 32 + ((us >> (top - 5)) & 31);
    return at < EMP_HISTOGRAM_BUCKETS ? (uint32_t)at : EMP_HISTOGRAM_BUCKETS - 1;
}

static uint64_t bucket_end(uint32_t bucket)
{
    if (bucket < 32)
        return bucket;
    unsigned top = bucket / 32 + 4;
    return ((1ull << top) | ((uint64_t)(bucket % 32) << (top - 5))) + (1ull << (top - 5)) - 1;
}

void emp_histogram_add(struct emp_histogram *h, int64_t us)
{
    uint64_t value = us > 0 ? (uint64_t)us : 0;

    h->buckets[bucket_of(value)]++;
    h->count++;
    h->sum += value;
    if (value > h->max)
        h->max = value;
}

void emp_histogram_merge(struct emp_histogram *into, const struct emp_histogram *from)
{
    for (uint32_t i = 0; i < EMP_HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
}

uint64_t emp_histogram_quantile(const struct emp_histogram *h, double q)
{
    uint64_t rank = (uint64_t)(q * (double)h->count), seen = 0;

    for (uint32_t i = 0; i < EMP_HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > rank)
            return bucket_end(i) < h->max ? bucket_end(i) : h->max;
    }
    return h->max;
}

/* ------------------------------------------------------------------ connections */

static void watch(struct emp_load_peer *p, int operation)
{
    struct epoll_event e = {.events = EPOLLIN | (p->waiting ? (uint32_t)EPOLLOUT : 0),
                            .data.ptr = p};
    epoll_ctl(p->load->epoll, operation, p->fd, &e);
}

int emp_load_open(struct emp_load_peer *p, const struct sockaddr *address, socklen_t len,
                  struct emp_error *err)
{
    const int on = 1;

    emp_buf_init(&p->in, KEPT_BYTES_MAX);
    emp_buf_init(&p->out, KEPT_BYTES_MAX);
    p->waiting = false;
    p->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, address, len) < 0) {
        int r = emp_fail(err, EMP_E_NET, NULL, "connecting to the broker: %m");
        if (p->fd >= 0)
            close(p->fd);
        p->fd = -1;
        return r;
    }
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    watch(p, EPOLL_CTL_ADD);
    p->load->open++;
    return 0;
}

void emp_load_close(struct emp_load_peer *p)
{
    if (!p->load)
        return;
    if (p->fd >= 0) {
        close(p->fd);
        p->load->open--;
    }
    p->fd = -1;
    emp_buf_release(&p->in);
    emp_buf_release(&p->out);
}

void emp_load_fail(struct emp_load_peer *p, const char *fmt, ...)
{
    char text[EMP_ERROR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (p->load->err.code == 0)
        emp_fail(&p->load->err, EMP_E_NET, NULL, "%s: %s", p->name, text);
}

void emp_load_send(struct emp_load_peer *p, const void *data, size_t len)
{
    ssize_t n = 0;

    if (p->out.len == 0)
        n = send(p->fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        emp_load_fail(p, "sending: %m");
        return;
    }
    n = n < 0 ? 0 : n;
    if ((size_t)n == len)
        return;
    emp_buf_add(&p->out, (const char *)data + n, len - (size_t)n);
    if (p->out.failed)
        emp_load_fail(p, "the broker takes nothing any more");
    if (!p->waiting) {
        p->waiting = true;
        watch(p, EPOLL_CTL_MOD);
    }
}

static void send_rest(struct emp_load_peer *p)
{
    ssize_t n = send(p->fd, p->out.data, p->out.len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN)
        emp_load_fail(p, "sending: %m");
    if (n <= 0)
        return;
    p->out.len -= (size_t)n;
    memmove(p->out.data, p->out.data + n, p->out.len);
    if (p->out.len == 0) {
        p->waiting = false;
        watch(p, EPOLL_CTL_MOD);
    }
}

/* What came joins what was kept; what is not whole is kept. */
static void receive(struct emp_load_peer *p)
{
    ssize_t n = recv(p->fd, p->load->chunk, CHUNK_BYTES, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        emp_load_fail(p, n < 0 ? "receiving: %m" : "closed by the broker");
        return;
    }
    const char *data = p->load->chunk;
    size_t len = (size_t)n;
    bool kept = p->in.len > 0;
    if (kept) {
        emp_buf_add(&p->in, data, len);
        data = p->in.data;
        len = p->in.len;
    }
    ssize_t taken = p->take(p, data, len);
    if (taken < 0 || p->in.failed) {
        emp_load_fail(p, "the broker sent what is not understood, or too much of it");
        return;
    }
    len -= (size_t)taken;
    if (kept) {
        memmove(p->in.data, p->in.data + taken, len);
        p->in.len = len;
    } else if (len > 0) {
        emp_buf_add(&p->in, data + taken, len);
    }
}

volatile sig_atomic_t emp_load_interrupted;

int emp_load_init(struct emp_load *l, struct emp_error *err)
{
    *l = (struct emp_load){.epoll = epoll_create1(EPOLL_CLOEXEC), .chunk = malloc(CHUNK_BYTES)};
    if (l->epoll < 0 || !l->chunk)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory or descriptors for the load");
    return 0;
}

void emp_load_release(struct emp_load *l)
{
    if (l->epoll >= 0)
        close(l->epoll);
    free(l->chunk);
    *l = (struct emp_load){.epoll = -1};
}

int emp_load_turn(struct emp_load *l, int timeout_ms, struct emp_error *err)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(l->epoll, events, EVENTS, timeout_ms);

    for (int i = 0; i < n && l->err.code == 0; i++) {
        struct emp_load_peer *p = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            send_rest(p);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(p);
    }
    if (emp_load_interrupted)
        return emp_fail(err, EMP_E_CANCELLED, NULL, "interrupted");
    if (l->err.code)
        *err = l->err;
    return l->err.code;
}

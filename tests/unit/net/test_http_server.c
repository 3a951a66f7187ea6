/* The server against clients that no library would be: raw sockets that say half, lie, leave, hang
 * about, and a server that stops while they do. Each case has a server of its own, and must leave
 * it without an open request: a stop that has to wait for its grace has lost one. */
#include "check.h"
#include "net/http_server.h"
#include "os/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum { PARKED_MAX = 64, GRACE_MS = 20000, PROMPT_MS = 10000 };

static struct emp_http_server *server;
static _Atomic(struct emp_http_request *) parked[PARKED_MAX];
static atomic_uint parked_count, handled, closed_sinks;
static atomic_int sink_fails;
static _Atomic(struct emp_http_stream *) opened;
static atomic_int upgraded, upgraded_fd = -1;

static void text(struct emp_http_request *req, unsigned status, const char *body)
{
    emp_http_respond(req, status, "text/plain", body, strlen(body), NULL, 0);
}

static int on_data(void *arg, const void *data, size_t len)
{
    (void)arg, (void)data, (void)len;
    return atomic_load(&sink_fails);
}

static void on_closed(void *arg)
{
    (void)arg;
    atomic_fetch_add(&closed_sinks, 1);
}

static void on_begin(void *ctx, struct emp_http_request *req)
{
    (void)ctx;
    if (emp_http_match(req, "/sink", NULL))
        emp_http_set_sink(req, &(struct emp_http_sink){NULL, on_data, on_closed});
}

static void on_upgraded(void *arg, int fd, const void *extra, size_t extra_len)
{
    (void)arg, (void)extra, (void)extra_len;
    int before = atomic_exchange(&upgraded_fd, fd);
    if (before >= 0)
        close(before);
    atomic_fetch_add(&upgraded, 1);
}

static void send_file(struct emp_http_request *req, uint64_t bytes)
{
    char name[] = "/tmp/emp-test-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    emp_http_respond_file(req, fd, bytes, "application/octet-stream", "\"v1\"", NULL, 0);
}

static void on_handle(void *ctx, struct emp_http_request *req)
{
    (void)ctx;
    atomic_fetch_add(&handled, 1);
    if (emp_http_match(req, "/park", NULL)) {
        atomic_store(&parked[atomic_load(&parked_count) % PARKED_MAX], req);
        atomic_fetch_add(&parked_count, 1);
    } else if (emp_http_match(req, "/ws", NULL)) {
        emp_http_upgrade(req, on_upgraded, NULL);
    } else if (emp_http_match(req, "/events", NULL)) {
        struct emp_http_stream *st;
        if (emp_http_stream_open(req, "text/event-stream", 1 << 20, NULL, 0, &st) == 0)
            atomic_store(&opened, st);
    } else if (emp_http_match(req, "/big", NULL)) {
        send_file(req, 64 << 20);
    } else if (emp_http_match(req, "/empty", NULL)) {
        send_file(req, 0);
    } else if (emp_http_match(req, "/sink", NULL)) {
        text(req, emp_http_sink_code(req) ? 507 : 201, "sunk");
    } else {
        text(req, 200, emp_http_body(req).ptr);
    }
}

static void on_error(void *ctx, struct emp_http_request *req, const struct emp_error *err)
{
    (void)ctx;
    text(req, (unsigned)emp_error_http(err->code), err->text);
}

static void serve(uint32_t threads, int64_t idle_ms)
{
    struct emp_http_options o = {.threads = threads,
                                 .idle_timeout_ms = idle_ms,
                                 .body_bytes_max = 1 << 20,
                                 .begin = on_begin,
                                 .handle = on_handle,
                                 .error = on_error};
    struct emp_error err;
    atomic_store(&parked_count, 0);
    atomic_store(&handled, 0);
    atomic_store(&closed_sinks, 0);
    atomic_store(&sink_fails, 0);
    if (emp_http_server_start(&o, &server, &err) < 0)
        fail_msg("%s", err.text);
}

static void stop_promptly(void)
{
    emp_mono_ms from = emp_mono_now();
    emp_http_server_stop(server, GRACE_MS);
    if (emp_mono_now() - from >= GRACE_MS)
        fail_msg("a request was never completed: the stop waited for all of its grace");
    emp_http_server_free(server);
}

static int start_one(void **state)
{
    (void)state;
    serve(1, 0);
    return 0;
}

static int start_two(void **state)
{
    (void)state;
    serve(2, 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    stop_promptly();
    return 0;
}

static int dial_here(void)
{
    return dial(emp_http_server_port(server));
}

static void sayz(int fd, const char *z)
{
    say(fd, z, strlen(z));
}

#define until(condition)                                                         \
    do {                                                                         \
        emp_mono_ms limit_ = emp_mono_now() + PROMPT_MS;                         \
        while (!(condition)) {                                                   \
            if (emp_mono_now() > limit_)                                         \
                fail_msg("waited %d ms in vain for: %s", PROMPT_MS, #condition); \
            poll(NULL, 0, 1);                                                    \
        }                                                                        \
    } while (0)

/* Reads until `part` has come; the rest stays for the next. */
static void hear(int fd, const char *part)
{
    char heard[8192];
    size_t n = 0;
    while (n < sizeof heard - 1) {
        ssize_t r = recv(fd, heard + n, 1, 0);
        heard[n + (r > 0)] = '\0';
        if (r <= 0)
            fail_msg("\"%s\" did not come, but: %s", part, heard);
        n++;
        if (n >= strlen(part) && strcmp(heard + n - strlen(part), part) == 0)
            return;
    }
    fail_msg("\"%s\" is not in %zu bytes", part, n);
}

static bool refused(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = connect(fd, (struct sockaddr *)&a, sizeof a);
    close(fd);
    return r < 0;
}

static uint64_t connections(void)
{
    struct emp_http_server_stats s;
    emp_http_server_stats(server, &s);
    return s.connections;
}

static void assert_lives(void)
{
    int fd = dial_here();
    sayz(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nalive");
    hear(fd, "\r\n\r\nalive");
    close(fd);
}

/* ------------------------------------------------------------------ garbage */

static void garbage_ends_its_connection_and_nothing_else(void **state)
{
    static const char *const rows[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /a HTTP/1.1\r\n\r\n", // no Host
        "GET /a HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n",
        "GET /a HTTP/1.1\r\n: nameless\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: five\r\n\r\nhello",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello in TLS \r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = dial_here();
        sayz(fd, rows[i]);
        shutdown(fd, SHUT_WR);
        char *answer = hear_all(fd, NULL);
        if (strstr(answer, " 500 "))
            fail_msg("row %zu is no fault of the server: %s", i, answer);
        free(answer);
        close(fd);
    }
    assert_lives();
}

static void heads_without_end(void **state)
{
    char *head = malloc(200001);
    (void)state;
    memset(head, 'a', 200000);
    head[200000] = '\0';
    for (int round = 0; round < 2; round++) {
        int fd = dial_here();
        sayz(fd, round ? "GET /a HTTP/1.1\r\nHost: x\r\nX-Long: " : "GET /");
        say(fd, head, 200000);
        shutdown(fd, SHUT_WR);
        free(hear_all(fd, NULL));
        close(fd);
    }
    int fd = dial_here(); // still a head that can be read, but an address over our limit
    sayz(fd, "GET /");
    say(fd, head, EMP_HTTP_URI_BYTES_MAX);
    sayz(fd, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    char *answer = hear_all(fd, NULL);
    assert_has(answer, "HTTP/1.1 400");
    free(answer);
    close(fd);
    assert_int_equal(atomic_load(&handled), 0);
    free(head);
    assert_lives();
}

/* Mutations of a proper request. Where a head is cut short there is nothing but silence to go by.
 */
static void noise(void **state)
{
    static const char proper[] = "POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                                 "Connection: close\r\n\r\nhello";
    int fds[200];
    uint32_t x = 12345;
    (void)state;
    serve(2, 1000);
    for (int i = 0; i < 200; i++) {
        char bytes[sizeof proper];
        memcpy(bytes, proper, sizeof proper);
        for (int k = 0; k < 1 + i % 7; k++) {
            x = x * 1664525 + 1013904223;
            bytes[(x >> 8) % (sizeof proper - 1)] = (char)(x >> 24);
        }
        fds[i] = dial_here();
        say(fds[i], bytes, sizeof proper - 1);
        shutdown(fds[i], SHUT_WR);
    }
    for (int i = 0; i < 200; i++) {
        free(hear_all(fds[i], NULL));
        close(fds[i]);
    }
    until(connections() == 0);
    assert_lives();
    stop_promptly();
}

/* ------------------------------------------------------------------ keeping alive, leaving */

static void requests_in_one_write_are_answered_in_order(void **state)
{
    int fd = dial_here();
    (void)state;
    sayz(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
             "GET /park HTTP/1.1\r\nHost: x\r\n\r\n"
             "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nthree");
    hear(fd, "\r\n\r\none");
    until(atomic_load(&parked_count) == 1);
    text(atomic_load(&parked[0]), 200, "two");
    hear(fd, "\r\n\r\ntwo");
    hear(fd, "\r\n\r\nthree");
    close(fd);
}

/* The end of the client's bytes comes together with them, and the event loop below hears of both
 * at once. */
static void the_end_that_comes_with_half_a_body(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 4; i++) {
        int fd = dial_here();
        sayz(fd, i % 2 ? "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"
                       : "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "64\r\nhalf");
        close(fd);
        until(atomic_load(&closed_sinks) == i);
    }
    until(connections() == 0);
    assert_int_equal(atomic_load(&handled), 0);
}

static void half_closed_after_a_whole_request(void **state)
{
    static const char *const rows[] = {
        "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\n\r\n",
        "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\n\r\n",
    };
    (void)state;
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            int fd = dial_here();
            sayz(fd, rows[i]);
            shutdown(fd, SHUT_WR);
            size_t len;
            char *answer = hear_all(fd, &len); // fails after 10 s without the end
            assert_has(answer, i < 3 ? "HTTP/1.1 200" : "HTTP/1.1 201");
            assert_int_equal(recv(fd, answer, 1, 0), 0); // the end, not the limit of patience
            free(answer);
            close(fd);
        }
    }
    until(connections() == 0);
}

static void clients_that_leave_while_they_wait(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        int fd = dial_here();
        sayz(fd, "POST /park HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
        until(atomic_load(&parked_count) == i + 1);
        if (i % 2) {
            struct linger hard = {1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        close(fd);
    }
    for (int i = 0; i < 20; i++) {
        struct emp_http_request *req = atomic_load(&parked[i]);
        assert_memory_equal(emp_http_body(req).ptr, "hi", 3); // valid although nobody is there
        text(req, 200, "to nobody");
    }
    until(connections() == 0);
    assert_lives();
}

static void a_client_that_leaves_during_a_file(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        int fd = dial_here();
        sayz(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
        hear(fd, "\r\n\r\n");
        close(fd);
    }
    until(connections() == 0);
    assert_lives();
}

static void a_file_of_no_bytes(void **state)
{
    (void)state;
    char *answer = ask(emp_http_server_port(server),
                       "GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_has(answer, "HTTP/1.1 200");
    assert_has(answer, "Content-Length: 0");
    assert_has(answer, "ETag: \"v1\"");
    free(answer);
    answer = ask(emp_http_server_port(server), "GET /empty HTTP/1.1\r\nHost: x\r\n"
                                               "Range: bytes=0-\r\nConnection: close\r\n\r\n");
    assert_has(answer, "HTTP/1.1 416");
    assert_has(answer, "bytes */0");
    free(answer);
}

static void an_event_cannot_forge_lines(void **state)
{
    struct emp_http_stream *st;
    int fd = dial_here();
    (void)state;
    sayz(fd, "GET /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    until((st = atomic_exchange(&opened, NULL)) != NULL);
    assert_int_equal(emp_http_stream_event(st, NULL, NULL, EMP_STR("a\rid: 7\r\n\nb\r")), 0);
    emp_http_stream_close(st);
    char *answer = hear_all(fd, NULL);
    assert_has(answer, "data: a\ndata: id: 7\ndata: \ndata: b\ndata: \n\n");
    free(answer);
    close(fd);
}

static void streams_whose_readers_leave(void **state)
{
    struct emp_http_stream *st;
    (void)state;
    for (int i = 0; i < 10; i++) {
        int fd = dial_here();
        sayz(fd, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
        hear(fd, "\r\n\r\n");
        until((st = atomic_exchange(&opened, NULL)) != NULL);
        assert_int_equal(emp_http_stream_beat(st), 0);
        close(fd);
        until(emp_http_stream_beat(st) == EMP_E_NET);
        emp_http_stream_close(st);
    }
    int fd = dial_here(); // asked for with HEAD: a head, and the end
    sayz(fd, "HEAD /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    char *answer = hear_all(fd, NULL);
    assert_has(answer, "HTTP/1.1 200");
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    free(answer);
    close(fd);
    until((st = atomic_exchange(&opened, NULL)) != NULL);
    until(emp_http_stream_beat(st) == EMP_E_NET);
    emp_http_stream_close(st);
}

static void a_sink_that_fails_early_is_still_told(void **state)
{
    enum { BYTES = EMP_HTTP_DRAIN_BYTES + (4 << 20) };
    char *body = calloc(1, BYTES), head[128];
    int fd = dial_here();
    (void)state;
    atomic_store(&sink_fails, EMP_E_DISK_FULL);
    snprintf(head, sizeof head, "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
             BYTES);
    sayz(fd, head);
    say(fd, body, BYTES);
    hear(fd, "HTTP/1.1 507");
    close(fd);
    free(body);
    until(atomic_load(&closed_sinks) == 1);
}

/* ------------------------------------------------------------------ upgrades */

static const char hello[] =
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static void no_proper_upgrade(void **state)
{
    static const char *const rows[] = {
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close, Upgrade\r\n"
        "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close, Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: close, Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    };
    int before = atomic_load(&upgraded);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *answer = ask(emp_http_server_port(server), rows[i]);
        assert_has(answer, "HTTP/1.1 400");
        free(answer);
    }
    assert_int_equal(atomic_load(&upgraded), before);
}

static void an_upgraded_socket_lives_without_the_server(void **state)
{
    int fd = dial_here(), before = atomic_load(&upgraded), there;
    char byte;
    (void)state;
    say(fd, hello, sizeof hello - 1);
    hear(fd, "\r\n\r\n");
    until(atomic_load(&upgraded) == before + 1);
    there = atomic_exchange(&upgraded_fd, -1);
    assert_true(there >= 0);
    assert_true(fcntl(there, F_GETFL) & O_NONBLOCK);
    until(connections() == 0);
    assert_int_equal(send(there, "x", 1, 0), 1);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    close(there);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static atomic_bool enough;

static void *upgrade_again_and_again(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        int fd = dial_here();
        say(fd, hello, sizeof hello - 1);
        hear(fd, "\r\n\r\n");
        close(fd);
    }
    return NULL;
}

static void *answer_parked(void *arg)
{
    (void)arg;
    for (unsigned next = 0; !atomic_load(&enough) || next < atomic_load(&parked_count);) {
        if (next < atomic_load(&parked_count))
            text(atomic_load(&parked[next++ % PARKED_MAX]), 200, "done");
        else
            sched_yield();
    }
    return NULL;
}

/* libmicrohttpd tells of an upgraded connection's end with a lock held that waking a connection
 * takes as well. One server thread, so that it is the same lock. */
static void upgrades_beside_requests_that_wait(void **state)
{
    pthread_t upgrader, answerer;
    int fd = dial_here();
    (void)state;
    atomic_store(&enough, false);
    pthread_create(&upgrader, NULL, upgrade_again_and_again, NULL);
    pthread_create(&answerer, NULL, answer_parked, NULL);
    int before = atomic_load(&upgraded);
    for (int i = 0; i < 2000 || atomic_load(&upgraded) < before + 200; i++) {
        sayz(fd, "GET /park HTTP/1.1\r\nHost: x\r\n\r\n");
        hear(fd, "\r\n\r\ndone");
    }
    atomic_store(&enough, true);
    pthread_join(upgrader, NULL);
    pthread_join(answerer, NULL);
    close(fd);
    int left = atomic_exchange(&upgraded_fd, -1);
    if (left >= 0)
        close(left);
}

/* ------------------------------------------------------------------ stopping */

static void *stop_in_thread(void *arg)
{
    (void)arg;
    emp_http_server_stop(server, GRACE_MS);
    return NULL;
}

/* A stop in its grace (for a body that is not whole yet) hands no request to `handle`. */
static void what_comes_during_the_stop(void **state)
{
    pthread_t stopper;
    struct emp_http_server_stats s;
    uint16_t port;
    (void)state;
    serve(2, 0);
    port = emp_http_server_port(server);
    int half = dial_here(), idle = dial_here();
    sayz(half, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
    sayz(idle, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(idle, "\r\n\r\n");
    until((emp_http_server_stats(server, &s), s.requests == 2));
    pthread_create(&stopper, NULL, stop_in_thread, NULL);
    until(refused(port));
    sayz(idle, "GET /park HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(idle, "HTTP/1.1 503");
    sayz(half, "67890");
    hear(half, "HTTP/1.1 503");
    pthread_join(stopper, NULL);
    emp_http_server_stats(server, &s);
    assert_int_equal(s.connections, 0);
    assert_int_equal(atomic_load(&handled), 1);
    close(half);
    close(idle);
    emp_http_server_free(server);
}

static void *ask_until_it_ends(void *arg)
{
    uint16_t port = *(uint16_t *)arg;
    while (!refused(port)) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char bytes[512];
        struct timeval limit = {.tv_sec = 10};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
            for (int i = 0; i < 20; i++) {
                sayz(fd, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
                if (recv(fd, bytes, sizeof bytes, 0) <= 0)
                    break;
            }
        close(fd);
    }
    return NULL;
}

static void stopping_under_load(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        pthread_t askers[4];
        serve(3, 0);
        uint16_t port = emp_http_server_port(server);
        for (int i = 0; i < 4; i++)
            pthread_create(&askers[i], NULL, ask_until_it_ends, &port);
        until(atomic_load(&handled) > 50);
        stop_promptly();
        for (int i = 0; i < 4; i++)
            pthread_join(askers[i], NULL);
    }
}

static void held_requests_outlive_the_server(void **state)
{
    (void)state;
    serve(1, 0);
    int fd = dial_here();
    sayz(fd, "POST /park HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    until(atomic_load(&parked_count) == 1);
    emp_http_server_stop(server, GRACE_MS);
    struct emp_http_request *req = atomic_load(&parked[0]);
    assert_memory_equal(emp_http_body(req).ptr, "hi", 3);
    assert_int_equal(emp_http_segment_count(req), 1);
    struct emp_http_stream *st;
    assert_int_equal(emp_http_stream_open(req, "text/event-stream", 1024, NULL, 0, &st),
                     EMP_E_UNAVAILABLE);
    hear(fd, "HTTP/1.1 503");
    emp_http_server_free(server);
    close(fd);
}

/* ------------------------------------------------------------------ limits */

static void more_connections_than_allowed(void **state)
{
    struct emp_http_options o = {.threads = 1, .connections_max = 4, .handle = on_handle};
    struct emp_error err;
    int fds[8];
    (void)state;
    assert_int_equal(emp_http_server_start(&o, &server, &err), 0);
    for (int i = 0; i < 4; i++) {
        fds[i] = dial_here();
        sayz(fds[i], "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
        hear(fds[i], "HTTP/1.1 200");
    }
    for (int i = 4; i < 8; i++) {
        fds[i] = dial_here();
        sayz(fds[i], "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    until(connections() == 0 || connections() == 4);
    for (int i = 4; i < 8; i++)
        close(fds[i]);
    until(connections() == 0);
    assert_lives();
    stop_promptly();
}

static void silence_is_timed(void **state)
{
    char byte;
    (void)state;
    serve(1, 1000);
    int half = dial_here(), waits = dial_here();
    sayz(half, "GET /never HTT");
    sayz(waits, "GET /park HTTP/1.1\r\nHost: x\r\n\r\n");
    until(atomic_load(&parked_count) == 1);
    assert_int_equal(recv(half, &byte, 1, 0), 0);
    text(atomic_load(&parked[0]), 200, "in good time"); // who waits is not idle
    hear(waits, "in good time");
    close(half);
    close(waits);
    stop_promptly();
}

int main(int argc, char **argv)
{
#define one(f) cmocka_unit_test_setup_teardown(f, start_one, stop)
#define two(f) cmocka_unit_test_setup_teardown(f, start_two, stop)
    const struct CMUnitTest tests[] = {
        two(garbage_ends_its_connection_and_nothing_else),
        two(heads_without_end),
        cmocka_unit_test(noise),
        two(requests_in_one_write_are_answered_in_order),
        two(the_end_that_comes_with_half_a_body),
        two(half_closed_after_a_whole_request),
        two(clients_that_leave_while_they_wait),
        two(a_client_that_leaves_during_a_file),
        two(a_file_of_no_bytes),
        two(an_event_cannot_forge_lines),
        two(streams_whose_readers_leave),
        two(a_sink_that_fails_early_is_still_told),
        two(no_proper_upgrade),
        two(an_upgraded_socket_lives_without_the_server),
        one(upgrades_beside_requests_that_wait),
        cmocka_unit_test(what_comes_during_the_stop),
        cmocka_unit_test(stopping_under_load),
        cmocka_unit_test(held_requests_outlive_the_server),
        cmocka_unit_test(more_connections_than_allowed),
        cmocka_unit_test(silence_is_timed),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

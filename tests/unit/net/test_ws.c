/* WebSockets between our client, our server and a raw socket. */
#include "base/time.h"
#include "check.h"
#include "net/http_server.h"
#include "net/ws_client.h"

#include <fcntl.h>
#include <stdatomic.h>

static uv_loop_t loop;
static struct emp_http_server *server;

/* What one end has seen. */
struct seen {
    struct emp_ws *ws;
    int messages, closed, code;
    size_t last_len;
    char last[128], reason[128];
    bool echo;
};

static struct seen at_server;
static atomic_int handed = -1;

static void on_message(void *ctx, struct emp_ws *ws, const char *data, size_t len)
{
    struct seen *s = ctx;
    s->messages++;
    s->last_len = len;
    snprintf(s->last, sizeof s->last, "%.*s", (int)(len < 100 ? len : 100), data);
    if (s->echo)
        emp_ws_send_text(ws, data, len);
}

static void on_close(void *ctx, struct emp_ws *ws, int code, const char *reason)
{
    struct seen *s = ctx;
    (void)ws;
    s->closed++;
    s->code = code;
    s->ws = NULL;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
}

static void on_upgraded(void *arg, int fd, const void *extra, size_t extra_len)
{
    (void)arg, (void)extra, (void)extra_len;
    atomic_store(&handed, fd);
}

static void on_handle(void *ctx, struct emp_http_request *req)
{
    (void)ctx;
    if (emp_http_match(req, "/refuse", NULL))
        emp_http_respond(req, 401, NULL, NULL, 0, NULL, 0);
    else
        emp_http_upgrade(req, on_upgraded, NULL);
}

static int start(void **state)
{
    struct emp_http_options o = {.threads = 1, .handle = on_handle};
    struct emp_error err;
    (void)state;
    uv_loop_init(&loop);
    assert_int_equal(emp_http_server_start(&o, &server, &err), 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    emp_http_server_free(server);
    return uv_loop_close(&loop);
}

static void turn_until(const int *what, int at_least)
{
    uint64_t end = uv_hrtime() + 10000000000;
    while (*what < at_least) {
        uv_run(&loop, UV_RUN_NOWAIT);
        if (uv_hrtime() > end)
            fail_msg("waited for ten seconds in vain");
    }
}

static void serve(int fd, struct emp_ws_options o)
{
    memset(&at_server, 0, sizeof at_server);
    at_server.echo = true;
    o.ctx = &at_server;
    o.on_message = on_message;
    o.on_close = on_close;
    assert_int_equal(emp_ws_new_server(&loop, fd, NULL, 0, &o, &at_server.ws), 0);
}

/* A raw connection after its handshake. */
static int raw(struct emp_ws_options o)
{
    static const char hello[] =
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char head[512];
    int fd = dial(emp_http_server_port(server)), given;
    size_t n = 0;
    say(fd, hello, sizeof hello - 1);
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
        assert_int_equal(recv(fd, head + n++, 1, 0), 1);
    head[n] = '\0';
    assert_has(head, "HTTP/1.1 101");
    assert_has(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    while ((given = atomic_exchange(&handed, -1)) < 0)
        usleep(1000);
    serve(given, o);
    return fd;
}

/* A masked frame. */
static size_t frame(unsigned char *out, int first, const void *data, size_t len)
{
    size_t n = 0;
    out[n++] = (unsigned char)first;
    if (len < 126) {
        out[n++] = (unsigned char)(0x80 | len);
    } else {
        out[n++] = 0x80 | 126;
        out[n++] = (unsigned char)(len >> 8);
        out[n++] = (unsigned char)len;
    }
    for (int i = 0; i < 4; i++)
        out[n++] = 0; // a mask of zeros changes nothing
    memcpy(out + n, data, len);
    return n + len;
}

static void say_frame(int fd, int first, const void *data, size_t len)
{
    unsigned char bytes[70000];
    say(fd, (char *)bytes, frame(bytes, first, data, len));
}

/* Turns until the server has ended, and gives all that the peer got. */
static unsigned char *what_came(int fd, size_t *len)
{
    turn_until(&at_server.closed, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    return (unsigned char *)hear_all(fd, len);
}

static void assert_close_code(const unsigned char *bytes, size_t len, int code)
{
    for (size_t i = 0; i + 4 <= len; i++)
        if (bytes[i] == 0x88 && bytes[i + 1] >= 2 && bytes[i + 2] * 256 + bytes[i + 3] == code)
            return;
    fail_msg("no close frame with %d", code);
}

static void bytes_are_answered(const void *said, size_t len, int code)
{
    struct emp_ws_options o = {.message_bytes_max = 1000};
    int fd = raw(o);
    size_t n;
    say(fd, said, len);
    shutdown(fd, SHUT_WR);
    unsigned char *bytes = what_came(fd, &n);
    assert_close_code(bytes, n, code);
    assert_int_equal(at_server.code, code);
    assert_int_equal(at_server.messages, 0);
    free(bytes);
    close(fd);
}

static void violation(int first, const void *data, size_t len, int code)
{
    unsigned char bytes[70000];
    bytes_are_answered(bytes, frame(bytes, first, data, len), code);
}

static void violations_are_answered_with_their_code(void **state)
{
    char big[2000] = {0};
    (void)state;
    violation(0x81, "\xff\xfe", 2, EMP_WS_BAD_TEXT);
    violation(0x82, "binary", 6, EMP_WS_UNSUPPORTED);
    violation(0x83, "reserved", 8, EMP_WS_PROTOCOL);
    violation(0xc1, "compressed?", 11, EMP_WS_PROTOCOL);
    violation(0x81, big, sizeof big, EMP_WS_TOO_BIG);
}

/* What wslay itself gives no code for. */
static void a_head_that_is_none_is_answered_too(void **state)
{
    static const char noise[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    char ping[200] = {0};
    (void)state;
    bytes_are_answered(noise, sizeof noise - 1, EMP_WS_PROTOCOL);
    bytes_are_answered("\x81\xfe\x00\x05\0\0\0\0hello", 13, EMP_WS_PROTOCOL); // 5, the long way
    violation(0x89, ping, sizeof ping, EMP_WS_PROTOCOL);                      // at most 125
    violation(0x09, "half a ping", 11, EMP_WS_PROTOCOL);
}

static void fragments_are_joined_and_pings_answered(void **state)
{
    int fd = raw((struct emp_ws_options){0});
    size_t n;
    (void)state;
    say_frame(fd, 0x01, "hel", 3);
    say_frame(fd, 0x89, "hi", 2);
    say_frame(fd, 0x80, "lo", 2);
    turn_until(&at_server.messages, 1);
    assert_string_equal(at_server.last, "hello");
    say_frame(fd, 0x88,
              "\x03\xe8"
              "bye",
              5);
    unsigned char *bytes = what_came(fd, &n);
    assert_memory_equal(bytes, "\x8a\x02hi", 4);
    assert_memory_equal(bytes + 4, "\x81\x05hello", 7);
    assert_close_code(bytes, n, 1000);
    assert_int_equal(at_server.code, 1000);
    assert_string_equal(at_server.reason, "bye");
    free(bytes);
    close(fd);
}

static void what_is_queued_leaves_before_the_close(void **state)
{
    static char big[100000];
    int fd = raw((struct emp_ws_options){0});
    size_t n, at = 2 + 5 + 10;
    (void)state;
    memset(big, 'b', sizeof big);
    emp_ws_send_text(at_server.ws, "first", 5);
    emp_ws_send_text(at_server.ws, big, sizeof big);
    emp_ws_send_text(at_server.ws, "last", 4);
    emp_ws_close(at_server.ws, EMP_WS_POLICY, "why");
    assert_int_equal(emp_ws_send_text(at_server.ws, "too late", 8), EMP_E_NET);
    shutdown(fd, SHUT_WR);
    unsigned char *bytes = what_came(fd, &n);
    assert_int_equal(n, at + sizeof big + 6 + 7);
    assert_memory_equal(bytes,
                        "\x81\x05"
                        "first",
                        7);
    assert_memory_equal(bytes + at, big, sizeof big);
    assert_memory_equal(bytes + at + sizeof big,
                        "\x81\x04"
                        "last\x88\x05\x03\xf0why",
                        13);
    assert_int_equal(at_server.code, EMP_WS_POLICY);
    free(bytes);
    close(fd);
}

static void silence_ends_it(void **state)
{
    int fd = raw((struct emp_ws_options){.ping_ms = 20, .idle_ms = 100});
    size_t n;
    (void)state;
    unsigned char *bytes = what_came(fd, &n);
    assert_int_equal(at_server.code, EMP_WS_ABNORMAL);
    assert_true(n >= 2 && bytes[0] == 0x89);
    free(bytes);
    close(fd);
}

static void a_peer_that_vanishes(void **state)
{
    int fd = raw((struct emp_ws_options){0});
    (void)state;
    say_frame(fd, 0x81, "x", 1);
    turn_until(&at_server.messages, 1);
    close(fd);
    turn_until(&at_server.closed, 1);
    assert_int_equal(at_server.code, EMP_WS_ABNORMAL);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void a_peer_that_does_not_read(void **state)
{
    static char chunk[100000];
    int fd = raw((struct emp_ws_options){.send_bytes_max = 4 << 20});
    int r = 0;
    (void)state;
    memset(chunk, 'x', sizeof chunk);
    for (int i = 0; i < 1000 && r == 0; i++) {
        r = emp_ws_send_text(at_server.ws, chunk, sizeof chunk);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(r, EMP_E_LIMIT);
    turn_until(&at_server.closed, 1);
    assert_int_equal(at_server.code, EMP_WS_TRY_LATER);
    uv_run(&loop, UV_RUN_DEFAULT);
    close(fd);
}

/* ------------------------------------------------------------------ our own client */

struct dialled {
    struct seen seen;
    int opened, failed, status, code;
    char text[EMP_ERROR_TEXT_MAX];
};

static void on_open(void *ctx, struct emp_ws *ws)
{
    struct dialled *d = ctx;
    d->opened = 1;
    d->seen.ws = ws;
}

static void on_fail(void *ctx, int status, const struct emp_error *err)
{
    struct dialled *d = ctx;
    d->failed = 1;
    d->status = status;
    d->code = err->code;
    snprintf(d->text, sizeof d->text, "%s", err->text);
}

static struct emp_ws_dial *connect_to(struct emp_http_client *c, struct dialled *d, const char *url)
{
    struct emp_ws_dial *dial;
    struct emp_error err;
    struct emp_ws_connect_options o = {
        .url = url,
        .bearer = "token",
        .ws = {.ctx = &d->seen, .on_message = on_message, .on_close = on_close},
        .ctx = d,
        .on_open = on_open,
        .on_fail = on_fail,
    };
    assert_int_equal(emp_ws_connect(c, &o, &dial, &err), 0);
    return dial;
}

static void client_and_server_talk(void **state)
{
    struct emp_http_client *c;
    struct dialled d = {0};
    char url[64], big[200000];
    int given;
    (void)state;
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/ws", emp_http_server_port(server));
    emp_http_client_new(&loop, NULL, &c);
    connect_to(c, &d, url);
    turn_until(&d.opened, 1);
    while ((given = atomic_exchange(&handed, -1)) < 0)
        usleep(1000);
    serve(given, (struct emp_ws_options){0});
    memset(big, 'y', sizeof big);
    emp_ws_send_text(d.seen.ws, big, sizeof big);
    struct emp_ws_piece pieces[] = {{"one ", 4}, {"message", 7}};
    emp_ws_send_pieces(d.seen.ws, pieces, 2);
    for (int i = 0; i < 1000; i++)
        emp_ws_send_text(d.seen.ws, "small", 5);
    turn_until(&d.seen.messages, 1002);
    assert_string_equal(d.seen.last, "small");
    assert_int_equal(at_server.messages, 1002);
    emp_ws_close(d.seen.ws, 1000, "done");
    assert_int_equal(emp_ws_send_text(d.seen.ws, "x", 1), EMP_E_NET);
    turn_until(&d.seen.closed, 1);
    turn_until(&at_server.closed, 1);
    assert_int_equal(at_server.code, 1000);
    assert_string_equal(at_server.reason, "done");
    assert_int_equal(d.seen.code, 1000);
    emp_http_client_close(c, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
}

static void closing_the_client_ends_its_connections(void **state)
{
    struct emp_http_client *c;
    struct dialled d = {0}, never = {0};
    char url[64];
    int given, silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    (void)state;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(silent, (struct sockaddr *)&a, sizeof a), 0);
    listen(silent, 1);
    getsockname(silent, (struct sockaddr *)&a, &len);
    emp_http_client_new(&loop, NULL, &c);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/ws", emp_http_server_port(server));
    connect_to(c, &d, url);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/ws", ntohs(a.sin_port));
    connect_to(c, &never, url);
    turn_until(&d.opened, 1);
    while ((given = atomic_exchange(&handed, -1)) < 0)
        usleep(1000);
    serve(given, (struct emp_ws_options){0});
    emp_http_client_close(c, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(d.seen.closed, 1);
    assert_int_equal(never.code, EMP_E_CANCELLED);
    assert_int_equal(at_server.code, EMP_WS_ABNORMAL);
    close(silent);
}

static void refusals(void **state)
{
    struct emp_http_client *c;
    struct dialled d = {0}, nobody = {0};
    char url[64];
    (void)state;
    emp_http_client_new(&loop, NULL, &c);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/refuse", emp_http_server_port(server));
    connect_to(c, &d, url);
    connect_to(c, &nobody, "ws://127.0.0.1:1/");
    turn_until(&d.failed, 1);
    turn_until(&nobody.failed, 1);
    assert_int_equal(d.code, EMP_E_UNAUTHORIZED);
    assert_int_equal(d.status, 401);
    assert_int_equal(nobody.code, EMP_E_NET);
    assert_has(nobody.text, "127.0.0.1");
    emp_http_client_close(c, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(violations_are_answered_with_their_code),
        cmocka_unit_test(a_head_that_is_none_is_answered_too),
        cmocka_unit_test(fragments_are_joined_and_pings_answered),
        cmocka_unit_test(what_is_queued_leaves_before_the_close),
        cmocka_unit_test(silence_ends_it),
        cmocka_unit_test(a_peer_that_vanishes),
        cmocka_unit_test(a_peer_that_does_not_read),
        cmocka_unit_test(client_and_server_talk),
        cmocka_unit_test(closing_the_client_ends_its_connections),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

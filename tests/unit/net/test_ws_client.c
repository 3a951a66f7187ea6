/* Dialling: every way in which a handshake can go wrong, and WebSockets over TLS and through a
 * proxy. */
#include "base/time.h"
#include "check.h"
#include "net/ws_client.h"
#include "net/ws_internal.h"
#include "script.h"

#include <assert.h>

static uv_loop_t loop;
static struct emp_http_client *client;

struct dialled {
    int opened, failed, closed, messages;
    int code, status, close_code;
    char text[EMP_ERROR_TEXT_MAX];
    char last[64]; /* beginning of the last message */
    size_t last_len, bytes;
    struct emp_ws *ws;
    struct emp_ws_dial *dial;
};

static void on_message(void *ctx, struct emp_ws *ws, const char *data, size_t len)
{
    struct dialled *d = ctx;
    (void)ws;
    d->messages++;
    d->bytes += len;
    d->last_len = len;
    snprintf(d->last, sizeof d->last, "%.*s", (int)(len < 60 ? len : 60), data);
}

static void on_close(void *ctx, struct emp_ws *ws, int code, const char *reason)
{
    struct dialled *d = ctx;
    (void)ws, (void)reason;
    d->closed++;
    d->close_code = code;
}

static void on_open(void *ctx, struct emp_ws *ws)
{
    struct dialled *d = ctx;
    d->opened++;
    d->ws = ws;
}

static void on_fail(void *ctx, int status, const struct emp_error *err)
{
    struct dialled *d = ctx;
    d->failed++;
    d->code = err->code;
    d->status = status;
    snprintf(d->text, sizeof d->text, "%s", err->text);
}

static void dial_to(struct dialled *d, const char *url, int64_t timeout_ms)
{
    struct emp_error err;
    struct emp_http_header h = {"X-Test", "seen"};
    struct emp_ws_connect_options o = {
        .url = url,
        .bearer = "token",
        .headers = &h,
        .header_count = 1,
        .timeout_ms = timeout_ms,
        .ws = {.ctx = d,
               .on_message = on_message,
               .on_close = on_close,
               .ping_ms = EMP_NEVER,
               .idle_ms = EMP_NEVER},
        .ctx = d,
        .on_open = on_open,
        .on_fail = on_fail,
    };
    assert_int_equal(emp_ws_connect(client, &o, &d->dial, &err), 0);
    assert_int_equal(d->opened + d->failed, 0);
}

static void dial_script(struct dialled *d, const struct script *s, const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", s->tls ? "wss" : "ws", s->port, path);
    dial_to(d, url, 0);
}

static void turn_until(const int *count, int want)
{
    while (*count < want)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(*count, want);
}

static int set_up(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    return emp_http_client_new(&loop, NULL, &client);
}

static int tear_down(void **state)
{
    (void)state;
    emp_http_client_close(client, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

/* ------------------------------------------------------------------ the other side */

static void accept_ws(struct peer *p, const char *more)
{
    char accept[EMP_WS_ACCEPT_TEXT] = "";
    const char *key = peer_header(p, "Sec-WebSocket-Key");
    emp_ws_accept(key ? key : "", accept);
    peer_say(p,
             "HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n%s",
             accept, more);
}

/* One frame of a client, unmasked; its length, or -1. */
static ssize_t read_frame(struct peer *p, unsigned *ret_op, char *data, size_t max)
{
    unsigned char h[14];
    if (peer_read(p, h, 2) < 2 || (h[1] & 0x80) == 0)
        return -1;
    uint64_t len = h[1] & 0x7f;
    size_t more = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (peer_read(p, h + 2, more + 4) < more + 4)
        return -1;
    if (more)
        len = 0;
    for (size_t i = 0; i < more; i++)
        len = len << 8 | h[2 + i];
    if (len > max || peer_read(p, data, len) < len)
        return -1;
    for (uint64_t i = 0; i < len; i++)
        data[i] ^= (char)h[2 + more + i % 4];
    *ret_op = h[0];
    return (ssize_t)len;
}

static void send_frame(struct peer *p, unsigned op, const char *data, size_t len)
{
    unsigned char h[10] = {(unsigned char)op};
    size_t n = 2;
    if (len < 126) {
        h[1] = (unsigned char)len;
    } else {
        h[1] = 127;
        for (int i = 0; i < 8; i++)
            h[n++] = (unsigned char)((uint64_t)len >> (56 - 8 * i));
    }
    peer_send(p, h, n);
    peer_send(p, data, len);
}

static bool serve_echo(struct peer *p)
{
    enum { MAX = 16 << 20 };
    char *data = malloc(MAX);
    unsigned op = 0;
    ssize_t n;
    accept_ws(p, "");
    while ((n = read_frame(p, &op, data, MAX)) >= 0) {
        send_frame(p, op, data, (size_t)n);
        if ((op & 15) == 8) {
            peer_wait_end(p); // RFC 6455: the client closes after us
            break;
        }
    }
    free(data);
    return false;
}

static bool serve_answers(struct peer *p)
{
    static const char good[] = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    int status;
    if (sscanf(p->head, "GET /status/%d ", &status) == 1) {
        peer_say(p, "HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno", status);
    } else if (strstr(p->head, "/garbage ")) {
        peer_say(p, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
    } else if (strstr(p->head, "/key ")) {
        peer_say(p,
                 "HTTP/1.1 101 X\r\n%sSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
                 good);
    } else if (strstr(p->head, "/none ")) {
        peer_say(p, "HTTP/1.1 101 X\r\n%s\r\n", good);
    } else if (strstr(p->head, "/bare ")) {
        peer_say(p, "HTTP/1.1 101 X\r\n\r\n");
    } else if (strstr(p->head, "/endless ")) {
        peer_say(p, "HTTP/1.1 101 X\r\n");
        while (peer_send(p, "X-Filler: 0123456789012345678901234567890123456789\r\n", 52))
            ;
    } else if (strstr(p->head, "/half ")) {
        peer_say(p, "HTTP/1.1 101 X\r\nUpgr");
    } else if (strstr(p->head, "/silent ")) {
        peer_wait_end(p);
    } else if (strstr(p->head, "/early?a=b%20c ")) {
        char host[32];
        snprintf(host, sizeof host, "127.0.0.1:%u", p->script->port);
        const char *seen = peer_header(p, "Host");
        assert(seen && strcmp(seen, host) == 0);
        seen = peer_header(p, "Authorization");
        assert(seen && strcmp(seen, "Bearer token") == 0);
        seen = peer_header(p, "X-Test");
        assert(seen && strcmp(seen, "seen") == 0);
        seen = peer_header(p, "Sec-WebSocket-Version");
        assert(seen && strcmp(seen, "13") == 0);
        accept_ws(p, "\x81\x05"
                     "early");
        peer_wait_end(p);
    }
    return false;
}

/* ------------------------------------------------------------------ handshakes */

static void bad_answers_are_told_apart(void **state)
{
    static const struct {
        const char *path;
        int code, status;
    } cases[] = {
        {"/status/401", EMP_E_UNAUTHORIZED, 401},
        {"/status/403", EMP_E_FORBIDDEN, 403},
        {"/status/404", EMP_E_NOT_FOUND, 404},
        {"/status/503", EMP_E_UNAVAILABLE, 503},
        {"/status/200", EMP_E_PROTOCOL, 200},
        {"/status/301", EMP_E_PROTOCOL, 301},
        {"/garbage", EMP_E_PROTOCOL, 0},
        {"/key", EMP_E_PROTOCOL, 101},
        {"/none", EMP_E_PROTOCOL, 101},
        {"/bare", EMP_E_PROTOCOL, 101},
        {"/endless", EMP_E_PROTOCOL, 0},
        {"/half", EMP_E_NET, 0},
        {"/nothing", EMP_E_NET, 0},
    };
    struct script s;
    (void)state;
    script_start(&s, serve_answers, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dialled d = {0};
        dial_script(&d, &s, cases[i].path);
        turn_until(&d.failed, 1);
        if (d.code != cases[i].code || d.status != cases[i].status)
            fail_msg("%s: code %d, status %d: %s", cases[i].path, d.code, d.status, d.text);
        assert_true(d.text[0]);
        assert_int_equal(d.opened, 0);
    }
    assert_int_equal(s.peer_count, sizeof cases / sizeof *cases);
    script_stop(&s);
}

static void time_runs_out(void **state)
{
    struct script s;
    struct dialled d = {0};
    char url[64];
    (void)state;
    script_start(&s, serve_answers, NULL);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/silent", s.port);
    dial_to(&d, url, 100);
    turn_until(&d.failed, 1);
    assert_int_equal(d.code, EMP_E_TIMEOUT);
    script_stop(&s);
}

static void a_dial_can_be_cancelled(void **state)
{
    struct script s;
    struct dialled at_once = {0}, waiting = {0};
    (void)state;
    script_start(&s, serve_answers, NULL);
    dial_script(&at_once, &s, "/silent");
    emp_ws_dial_cancel(at_once.dial);
    assert_int_equal(at_once.failed, 0); // not from inside
    turn_until(&at_once.failed, 1);
    assert_int_equal(at_once.code, EMP_E_CANCELLED);
    dial_script(&waiting, &s, "/silent");
    while (atomic_load(&s.open) == 0)
        uv_run(&loop, UV_RUN_NOWAIT);
    emp_ws_dial_cancel(waiting.dial);
    turn_until(&waiting.failed, 1);
    assert_int_equal(waiting.code, EMP_E_CANCELLED);
    assert_int_equal(waiting.opened + at_once.opened, 0);
    script_stop(&s);
}

static void bytes_behind_the_handshake_count(void **state)
{
    struct script s;
    struct dialled d = {0};
    (void)state;
    script_start(&s, serve_answers, NULL);
    dial_script(&d, &s, "/early?a=b%20c");
    turn_until(&d.opened, 1);
    turn_until(&d.messages, 1);
    assert_string_equal(d.last, "early");
    emp_ws_abort(d.ws);
    turn_until(&d.closed, 1);
    assert_int_equal(d.close_code, EMP_WS_ABNORMAL);
    script_stop(&s);
}

static void bad_addresses(void **state)
{
    static const char *const bad[] = {"", "ftp://x/", "ws://", "ws://127.0.0.1:99999/",
                                      "127.0.0.1"};
    struct emp_ws_connect_options o = {.on_open = on_open, .on_fail = on_fail};
    struct emp_ws_dial *dial;
    struct emp_error err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.url = bad[i];
        assert_int_equal(emp_ws_connect(client, &o, &dial, &err), EMP_E_INVALID);
        assert_has(err.text, bad[i]);
    }
    o.url = "ws://127.0.0.1/";
    o.bearer = "to\r\nken: x";
    assert_int_equal(emp_ws_connect(client, &o, &dial, &err), EMP_E_INVALID);
    assert_null(strstr(err.text, "ken: x"));
}

/* ------------------------------------------------------------------ TLS, proxies */

static void talk(const struct script *s)
{
    enum { BIG = 3 << 20, MANY = 2000 };
    struct dialled d = {0};
    char *big = malloc(BIG);
    dial_script(&d, s, "/");
    turn_until(&d.opened, 1);
    memset(big, 'b', BIG);
    emp_ws_send_text(d.ws, "hello", 5);
    turn_until(&d.messages, 1);
    assert_string_equal(d.last, "hello");
    emp_ws_send_text(d.ws, big, BIG);
    turn_until(&d.messages, 2);
    assert_int_equal(d.last_len, BIG);
    for (int i = 0; i < MANY; i++)
        emp_ws_send_text(d.ws, "small", 5);
    turn_until(&d.messages, 2 + MANY);
    assert_int_equal(d.bytes, 5 + BIG + MANY * 5);
    emp_ws_close(d.ws, EMP_WS_NORMAL, "done");
    turn_until(&d.closed, 1);
    assert_int_equal(d.close_code, EMP_WS_NORMAL);
    free(big);
}

static void trust(const struct script *s)
{
    struct emp_http_client_options o = {.ca_file = s->ca_file};
    emp_http_client_close(client, NULL, NULL);
    assert_int_equal(emp_http_client_new(&loop, &o, &client), 0);
}

static void messages_travel_over_tls(void **state)
{
    struct script s;
    (void)state;
    script_start_tls(&s, serve_echo, NULL);
    trust(&s);
    talk(&s);
    script_stop(&s);
}

static void a_stranger_s_certificate_is_refused(void **state)
{
    struct script s;
    struct dialled d = {0};
    (void)state;
    script_start_tls(&s, serve_echo, NULL);
    dial_script(&d, &s, "/");
    turn_until(&d.failed, 1);
    assert_int_equal(d.code, EMP_E_NET);
    assert_has(d.text, "certificate");
    script_stop(&s);
}

/* A proxy that knows CONNECT and is the end of the tunnel itself. */
static bool serve_proxy(struct peer *p)
{
    atomic_int *tunnels = p->script->arg;
    if (strncmp(p->head, "CONNECT ", 8) != 0)
        return p->turn > 0 ? serve_echo(p) : false;
    atomic_fetch_add(tunnels, 1);
    peer_say(p, "HTTP/1.1 200 Established\r\n\r\n");
    return true;
}

static void a_proxy_only_sees_a_tunnel(void **state)
{
    struct script s;
    struct dialled d = {0};
    atomic_int tunnels = 0;
    char proxy[64];
    (void)state;
    script_start(&s, serve_proxy, &tunnels);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", s.port);
    setenv("http_proxy", proxy, 1);
    dial_to(&d, "ws://broker.example:3331/", 0);
    while (!d.opened && !d.failed)
        uv_run(&loop, UV_RUN_ONCE);
    unsetenv("http_proxy");
    assert_string_equal(d.text, "");
    emp_ws_send_text(d.ws, "through", 7);
    turn_until(&d.messages, 1);
    assert_string_equal(d.last, "through");
    assert_int_equal(atomic_load(&tunnels), 1);
    emp_ws_close(d.ws, EMP_WS_NORMAL, NULL);
    turn_until(&d.closed, 1);
    script_stop(&s);
}

int main(void)
{
#define on_loop(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        on_loop(bad_answers_are_told_apart),
        on_loop(time_runs_out),
        on_loop(a_dial_can_be_cancelled),
        on_loop(bytes_behind_the_handshake_count),
        on_loop(bad_addresses),
        on_loop(messages_travel_over_tls),
        on_loop(a_stranger_s_certificate_is_refused),
        on_loop(a_proxy_only_sees_a_tunnel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

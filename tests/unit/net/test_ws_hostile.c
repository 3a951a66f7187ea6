/* A WebSocket's peer that breaks the rules, or keeps them and means harm: the server's role over
 * one end of a socket pair, with the test as the peer, byte by byte, on the other. */
#include "base/time.h"
#include "check.h"
#include "net/ws.h"
#include "net/ws_internal.h"

#include <fcntl.h>
#include <poll.h>

static uv_loop_t loop;

static struct {
    struct emp_ws *ws;
    int messages, closed, code;
    size_t last_len;
    char last[64], reason[EMP_WS_REASON_MAX + 1];
    int close_at; /* after so many messages it closes; 0: never */
    int abort_at;
} end;

static void on_message(void *ctx, struct emp_ws *ws, const char *data, size_t len)
{
    (void)ctx;
    end.messages++;
    end.last_len = len;
    snprintf(end.last, sizeof end.last, "%.*s", (int)(len < 60 ? len : 60), data);
    if (end.messages == end.close_at)
        emp_ws_close(ws, EMP_WS_NORMAL, "enough");
    if (end.messages == end.abort_at)
        emp_ws_abort(ws);
}

static void on_close(void *ctx, struct emp_ws *ws, int code, const char *reason)
{
    (void)ctx;
    end.closed++;
    end.code = code;
    snprintf(end.reason, sizeof end.reason, "%s", reason);
    assert_int_equal(emp_ws_send_text(ws, "x", 1), EMP_E_NET); // too late, and harmless
    emp_ws_close(ws, EMP_WS_NORMAL, NULL);
    emp_ws_abort(ws);
    end.ws = NULL;
}

/* The peer's end; the other is `end`. */
static int open_pair(struct emp_ws_options o, const void *extra, size_t extra_len)
{
    int fds[2];
    struct timeval limit = {.tv_sec = 10};
    memset(&end, 0, sizeof end);
    o.on_message = on_message;
    o.on_close = on_close;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(emp_ws_new_server(&loop, fds[1], extra, extra_len, &o, &end.ws), 0);
    return fds[0];
}

static int pair(void)
{
    return open_pair((struct emp_ws_options){0}, NULL, 0);
}

#define turn_until(condition)                                               \
    do {                                                                    \
        uint64_t limit_ = uv_hrtime() + 10000000000;                        \
        while (!(condition)) {                                              \
            uv_run(&loop, UV_RUN_NOWAIT);                                   \
            if (uv_hrtime() > limit_)                                       \
                fail_msg("waited ten seconds in vain for: %s", #condition); \
        }                                                                   \
    } while (0)

/* Everything has ended, and no handle is left. */
static void finish(int fd)
{
    turn_until(end.closed == 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(end.closed, 1);
    close(fd);
}

enum { MASKED = 0x80 };

static void say_head(int fd, int first, int masked, uint64_t len)
{
    unsigned char h[14];
    size_t n = 0;
    h[n++] = (unsigned char)first;
    if (len < 126) {
        h[n++] = (unsigned char)(masked | (int)len);
    } else if (len < 65536) {
        h[n++] = (unsigned char)(masked | 126);
        h[n++] = (unsigned char)(len >> 8);
        h[n++] = (unsigned char)len;
    } else {
        h[n++] = (unsigned char)(masked | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            h[n++] = (unsigned char)(len >> shift);
    }
    for (int i = 0; masked && i < 4; i++)
        h[n++] = 0; // a mask of zeros changes nothing
    say(fd, (char *)h, n);
}

static void frame(int fd, int first, const char *data, size_t len)
{
    say_head(fd, first, MASKED, len);
    say(fd, data, len);
}

static void framez(int fd, int first, const char *z)
{
    frame(fd, first, z, strlen(z));
}

/* The peer's own end has come: the last frame it got is a close frame with this code. */
static void assert_told(int fd, int code)
{
    size_t n;
    turn_until(end.closed == 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    unsigned char *bytes = (unsigned char *)hear_all(fd, &n);
    for (size_t i = 0; i + 4 <= n; i++)
        if (bytes[i] == 0x88 && bytes[i + 2] * 256 + bytes[i + 3] == code) {
            free(bytes);
            return;
        }
    fail_msg("no close frame with code %d in %zu bytes", code, n);
}

/* ------------------------------------------------------------------ violations */

struct row {
    const char *name;
    int first;
    const char *data;
    size_t len;
    int code;
};

static void rules_of_frames(void **state)
{
    static const struct row rows[] = {
        {"reserved opcode", 0x83, "x", 1, EMP_WS_PROTOCOL},
        {"reserved control opcode", 0x8b, "x", 1, EMP_WS_PROTOCOL},
        {"reserved bit", 0xa1, "x", 1, EMP_WS_PROTOCOL},
        {"continuation of nothing", 0x80, "x", 1, EMP_WS_PROTOCOL},
        {"close with 1005", 0x88, "\x03\xed", 2, EMP_WS_PROTOCOL},
        {"close with 999", 0x88, "\x03\xe7", 2, EMP_WS_PROTOCOL},
        {"close with bad text", 0x88, "\x03\xe8\xff\xfe", 4, EMP_WS_BAD_TEXT},
        {"not UTF-8", 0x81, "\xff", 1, EMP_WS_BAD_TEXT},
        {"cut UTF-8", 0x81, "\xe2\x82", 2, EMP_WS_BAD_TEXT},
        {"surrogate", 0x81, "\xed\xa0\x80", 3, EMP_WS_BAD_TEXT},
        {"overlong", 0x81, "\xc0\xaf", 2, EMP_WS_BAD_TEXT},
        {"binary", 0x82, "x", 1, EMP_WS_UNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = pair();
        frame(fd, rows[i].first, rows[i].data, rows[i].len);
        shutdown(fd, SHUT_WR);
        turn_until(end.closed == 1);
        if (end.code != rows[i].code)
            fail_msg("%s: ended with %d, not %d", rows[i].name, end.code, rows[i].code);
        assert_told(fd, rows[i].code);
        assert_int_equal(end.messages, 0);
        close(fd);
    }
}

/* Those that wslay's frame layer finds: the peer gets a close frame without a code. */
static void rules_of_control_frames(void **state)
{
    char big[126] = {0};
    (void)state;
    for (int row = 0; row < 3; row++) {
        int fd = pair();
        unsigned char close_frame[2];
        if (row == 0)
            frame(fd, 0x09, "fragmented", 10);
        else if (row == 1)
            frame(fd, 0x89, big, sizeof big);
        else
            say(fd, "\x81\xfe\x00\x05\0\0\0\0short", 13); // a length that needs not two bytes
        shutdown(fd, SHUT_WR);
        turn_until(end.closed == 1);
        assert_int_equal(end.code, EMP_WS_PROTOCOL);
        assert_has(end.reason, "frame");
        assert_int_equal(recv(fd, close_frame, 2, 0), 2);
        assert_int_equal(close_frame[0], 0x88);
        assert_int_equal(end.messages, 0);
        finish(fd);
    }
}

static void a_client_must_mask(void **state)
{
    int fd = pair();
    (void)state;
    say_head(fd, 0x81, 0, 5);
    say(fd, "naked", 5);
    shutdown(fd, SHUT_WR);
    assert_told(fd, EMP_WS_PROTOCOL);
    assert_int_equal(end.messages, 0);
    close(fd);
}

static ssize_t pair_recv(void *arg, void *buf, size_t len)
{
    return recv(*(int *)arg, buf, len, MSG_DONTWAIT);
}

static ssize_t pair_send(void *arg, const void *buf, size_t len)
{
    return send(*(int *)arg, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void pair_close(void *arg)
{
    close(*(int *)arg);
}

static void a_server_must_not(void **state)
{
    int fds[2];
    struct emp_ws_options o = {.on_message = on_message, .on_close = on_close};
    (void)state;
    memset(&end, 0, sizeof end);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    struct emp_ws_transport t = {fds[1], &fds[1], pair_recv, pair_send, pair_close};
    assert_int_equal(emp_ws_new_client(&loop, &t, NULL, 0, &o, &end.ws), 0);
    framez(fds[0], 0x81, "masked");
    shutdown(fds[0], SHUT_WR);
    turn_until(end.closed == 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(end.messages, 0);
    assert_int_equal(end.code, EMP_WS_PROTOCOL);
    close(fds[0]);
}

static void sizes_are_bounded_before_the_bytes_come(void **state)
{
    (void)state;
    int fd = open_pair((struct emp_ws_options){.message_bytes_max = 1000}, NULL, 0);
    say_head(fd, 0x81, MASKED, (uint64_t)1 << 40);
    say(fd, "x", 1); // the first byte is enough
    turn_until(end.ws == NULL || !emp_ws_is_open(end.ws));
    shutdown(fd, SHUT_WR);
    assert_told(fd, EMP_WS_TOO_BIG);
    close(fd);

    fd = open_pair((struct emp_ws_options){.message_bytes_max = 1000}, NULL, 0);
    char part[400];
    memset(part, 'p', sizeof part);
    frame(fd, 0x01, part, sizeof part);
    frame(fd, 0x00, part, sizeof part);
    frame(fd, 0x00, part, sizeof part);
    shutdown(fd, SHUT_WR);
    assert_told(fd, EMP_WS_TOO_BIG);
    assert_int_equal(end.messages, 0);
    close(fd);

    fd = open_pair((struct emp_ws_options){.message_bytes_max = 800}, NULL, 0);
    frame(fd, 0x01, part, sizeof part);
    frame(fd, 0x80, part, sizeof part); // just fits
    turn_until(end.messages == 1);
    assert_int_equal(end.last_len, 800);
    emp_ws_abort(end.ws);
    finish(fd);

    fd = pair(); // 2^63 and more are no lengths at all
    say_head(fd, 0x81, MASKED, (uint64_t)1 << 63);
    say(fd, "x", 1);
    shutdown(fd, SHUT_WR);
    finish(fd);
    assert_int_equal(end.code, EMP_WS_PROTOCOL);
}

static void text_may_be_split_anywhere(void **state)
{
    int fd = pair();
    (void)state;
    frame(fd, 0x01, "\xe2", 1); // a character over three frames, a ping in between, then nothing
    frame(fd, 0x89, "p", 1);
    frame(fd, 0x00, "\x82", 1);
    frame(fd, 0x00, "", 0);
    frame(fd, 0x80, "\xac", 1);
    turn_until(end.messages == 1);
    assert_string_equal(end.last, "\xe2\x82\xac");
    frame(fd, 0x81, "", 0);
    turn_until(end.messages == 2);
    assert_int_equal(end.last_len, 0);
    say_head(fd, 0x81, MASKED, 4); // and over writes
    turn_until(end.messages == 2);
    for (int i = 0; i < 4; i++) {
        say(fd, &"abcd"[i], 1);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    turn_until(end.messages == 3);
    assert_string_equal(end.last, "abcd");
    emp_ws_abort(end.ws);
    finish(fd);
    assert_int_equal(end.code, EMP_WS_ABNORMAL);
}

static void bytes_read_before_count(void **state)
{
    static const char extra[] = "\x81\x83\0\0\0\0one\x81\x83\0\0\0\0tw";
    int fd = open_pair((struct emp_ws_options){0}, extra, sizeof extra - 1);
    (void)state;
    assert_int_equal(end.messages, 0); // not from inside
    turn_until(end.messages == 1);
    say(fd, "o", 1);
    turn_until(end.messages == 2);
    assert_string_equal(end.last, "two");
    emp_ws_abort(end.ws);
    finish(fd);
}

/* ------------------------------------------------------------------ floods */

/* Pings that are never read back: their answers must not gather without end. */
static void pings_without_end(void **state)
{
    int fd = open_pair((struct emp_ws_options){.send_bytes_max = 1 << 20}, NULL, 0);
    char ping[6 + 100] = {(char)0x89, (char)(0x80 | 100)};
    size_t most = 0, sent = 0;
    (void)state;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (end.closed == 0 && sent < (size_t)64 << 20) {
        ssize_t n = send(fd, ping, sizeof ping, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        if (n != (ssize_t)sizeof ping) { // whole frames only: let it read, then go on
            if (n > 0)
                while (n < (ssize_t)sizeof ping && end.closed == 0) {
                    ssize_t more = send(fd, ping + n, sizeof ping - (size_t)n, MSG_NOSIGNAL);
                    n += more > 0 ? more : 0;
                    uv_run(&loop, UV_RUN_NOWAIT);
                }
            uv_run(&loop, UV_RUN_NOWAIT);
        }
        if (end.ws && emp_ws_waiting_bytes(end.ws) > most)
            most = emp_ws_waiting_bytes(end.ws);
    }
    assert_int_equal(end.closed, 1);
    assert_int_equal(end.code, EMP_WS_TRY_LATER);
    assert_true(most <= (2 << 20));
    finish(fd);
}

static void empty_messages_without_end(void **state)
{
    int fd = open_pair((struct emp_ws_options){.send_bytes_max = 1 << 20}, NULL, 0), r = 0;
    (void)state;
    for (int i = 0; i < 2000000 && r == 0; i++)
        r = emp_ws_send_text(end.ws, "", 0);
    assert_int_equal(r, EMP_E_LIMIT);
    finish(fd);
    assert_int_equal(end.code, EMP_WS_TRY_LATER);
}

/* A peer that sends as fast as it can owns no turn of the loop. */
static void one_turn_is_bounded(void **state)
{
    enum { BYTES = 4 << 20 };
    int fd = pair(), big = BYTES;
    char *bytes = calloc(1, BYTES);
    size_t len = 0;
    (void)state;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    for (; len + 106 <= BYTES; len += 106) {
        bytes[len] = (char)0x81;
        bytes[len + 1] = (char)(0x80 | 100);
        memset(bytes + len + 6, 'm', 100);
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
    assert_true(n > 0);
    for (int total = 0; end.messages < n / 106; total = end.messages) {
        uv_run(&loop, UV_RUN_NOWAIT); // two handlers may run in it: the poll, and what goes on
        assert_true((end.messages - total) * 106 <= 2 * (EMP_WS_TURN_BYTES + 8192));
    }
    emp_ws_abort(end.ws);
    finish(fd);
    free(bytes);
}

/* ------------------------------------------------------------------ the end */

static void nothing_arrives_after_the_owner_closed(void **state)
{
    int fd = pair();
    (void)state;
    end.close_at = 2;
    for (int i = 0; i < 5; i++)
        framez(fd, 0x81, "again");
    frame(fd, 0x88, "\x03\xe8", 2);
    finish(fd);
    assert_int_equal(end.messages, 2);
    assert_int_equal(end.code, EMP_WS_NORMAL);

    /* also while what was queued before the close cannot leave yet */
    static char big[4 << 20];
    fd = pair();
    memset(big, 'b', sizeof big);
    emp_ws_send_text(end.ws, big, sizeof big);
    emp_ws_close(end.ws, EMP_WS_GOING_AWAY, NULL);
    framez(fd, 0x81, "late");
    for (int i = 0; i < 5; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(end.messages, 0);
    shutdown(fd, SHUT_RDWR);
    finish(fd);

    fd = pair();
    end.abort_at = 1;
    framez(fd, 0x81, "one");
    framez(fd, 0x81, "two");
    finish(fd);
    assert_int_equal(end.messages, 1);
    assert_int_equal(end.code, EMP_WS_ABNORMAL);
}

static void a_peer_that_never_answers_the_close(void **state)
{
    int fd = pair();
    uint64_t from = uv_hrtime();
    (void)state;
    emp_ws_close(end.ws, EMP_WS_POLICY, "go");
    assert_false(emp_ws_is_open(end.ws));
    finish(fd);
    assert_int_equal(end.code, EMP_WS_POLICY);
    assert_true(uv_hrtime() - from >= (EMP_WS_CLOSE_MS - 100) * 1000000ull);
}

static void a_violator_that_never_goes(void **state)
{
    int fd = pair();
    (void)state;
    framez(fd, 0x82, "binary");
    finish(fd); // bounded by the same time
    assert_int_equal(end.code, EMP_WS_UNSUPPORTED);
}

static void reasons_fit_and_stay_text(void **state)
{
    char reason[200];
    size_t n;
    int fd = pair();
    (void)state;
    memset(reason, 'r', sizeof reason);
    memcpy(reason + EMP_WS_REASON_MAX - 1, "\xe2\x82\xac", 3); // would be cut inside
    reason[sizeof reason - 1] = '\0';
    emp_ws_close(end.ws, EMP_WS_INTERNAL, reason);
    shutdown(fd, SHUT_WR);
    turn_until(end.closed == 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    unsigned char *bytes = (unsigned char *)hear_all(fd, &n);
    assert_int_equal(bytes[1], 2 + EMP_WS_REASON_MAX - 1);
    assert_int_equal(n, 4 + EMP_WS_REASON_MAX - 1);
    free(bytes);
    close(fd);

    fd = pair();
    frame(fd, 0x88, "\x03\xe8line\nline", 11);
    finish(fd);
    assert_string_equal(end.reason, "line?line");
    fd = pair();
    frame(fd, 0x88, "", 0);
    finish(fd);
    assert_int_equal(end.code, EMP_WS_NO_STATUS);
}

/* The loop was held up (a slow disk, a stopped machine) for longer than the limit of silence, but
 * the peer has spoken meanwhile. */
static void a_late_loop_is_no_silent_peer(void **state)
{
    int fd = open_pair((struct emp_ws_options){.ping_ms = EMP_NEVER, .idle_ms = 100}, NULL, 0);
    (void)state;
    uv_run(&loop, UV_RUN_NOWAIT);
    framez(fd, 0x81, "here I am");
    poll(NULL, 0, 300); // this is the late loop: no condition to wait for
    uv_update_time(&loop);
    turn_until(end.messages == 1 || end.closed);
    assert_int_equal(end.closed, 0);
    finish(fd); // and now it is silent
    assert_int_equal(end.code, EMP_WS_ABNORMAL);
}

static void pings_keep_it_alive(void **state)
{
    int fd = open_pair((struct emp_ws_options){.ping_ms = 20, .idle_ms = 2000}, NULL, 0);
    unsigned char ping[2];
    (void)state;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 5; i++) {
        turn_until(recv(fd, ping, 2, 0) == 2);
        assert_int_equal(ping[0], 0x89);
        frame(fd, 0x8a, "", 0);
    }
    assert_int_equal(end.closed, 0);
    emp_ws_abort(end.ws);
    finish(fd);
}

static void no_socket_no_connection(void **state)
{
    struct emp_ws *ws = NULL;
    struct emp_ws_options o = {.on_message = on_message, .on_close = on_close};
    char name[] = "/tmp/emp-test-XXXXXX";
    int fd = mkstemp(name);
    (void)state;
    unlink(name);
    assert_int_equal(emp_ws_new_server(&loop, fd, NULL, 0, &o, &ws), EMP_E_IO); // epoll takes none
    assert_null(ws);
    assert_int_equal(close(fd), 0); // and it is still ours
    uv_run(&loop, UV_RUN_DEFAULT);
}

static int start(void **state)
{
    (void)state;
    return uv_loop_init(&loop);
}

static int stop(void **state)
{
    (void)state;
    return uv_loop_close(&loop);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_of_frames),
        cmocka_unit_test(rules_of_control_frames),
        cmocka_unit_test(a_client_must_mask),
        cmocka_unit_test(a_server_must_not),
        cmocka_unit_test(sizes_are_bounded_before_the_bytes_come),
        cmocka_unit_test(text_may_be_split_anywhere),
        cmocka_unit_test(bytes_read_before_count),
        cmocka_unit_test(pings_without_end),
        cmocka_unit_test(empty_messages_without_end),
        cmocka_unit_test(one_turn_is_bounded),
        cmocka_unit_test(nothing_arrives_after_the_owner_closed),
        cmocka_unit_test(a_peer_that_never_answers_the_close),
        cmocka_unit_test(a_violator_that_never_goes),
        cmocka_unit_test(reasons_fit_and_stay_text),
        cmocka_unit_test(a_late_loop_is_no_silent_peer),
        cmocka_unit_test(pings_keep_it_alive),
        cmocka_unit_test(no_socket_no_connection),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, start, stop);
}

/* Server and client over real sockets. The server's handler does what the path says. */
#include "base/time.h"
#include "check.h"
#include "net/http_client.h"
#include "net/http_server.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

static struct emp_http_server *server;
static _Atomic(struct emp_http_request *) parked;
static _Atomic(struct emp_http_stream *) stream;
static atomic_int sink_closed;
static atomic_llong sink_bytes;

static void text(struct emp_http_request *req, unsigned status, const char *body)
{
    emp_http_respond(req, status, "text/plain", body, strlen(body), NULL, 0);
}

static int sink_data(void *arg, const void *data, size_t len)
{
    (void)arg, (void)data;
    atomic_fetch_add(&sink_bytes, (long long)len);
    return atomic_load(&sink_bytes) > 4000000 ? EMP_E_DISK_FULL : 0;
}

static void sink_end(void *arg)
{
    (void)arg;
    atomic_fetch_add(&sink_closed, 1);
}

static void on_begin(void *ctx, struct emp_http_request *req)
{
    (void)ctx;
    if (emp_http_match(req, "/refused", NULL))
        text(req, 403, "not you");
    if (emp_http_match(req, "/small", NULL))
        emp_http_set_body_max(req, 10);
    if (emp_http_match(req, "/sink", NULL))
        emp_http_set_sink(req, &(struct emp_http_sink){NULL, sink_data, sink_end});
}

static void *answer_later(void *req)
{
    text(req, 200, "later");
    return NULL;
}

static void send_file(struct emp_http_request *req)
{
    char name[] = "/tmp/emp-test-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    emp_http_respond_file(req, fd, 10, "text/plain", "\"v1\"", NULL, 0);
}

static void on_handle(void *ctx, struct emp_http_request *req)
{
    struct emp_str body = emp_http_body(req);
    pthread_t thread;
    (void)ctx;
    if (emp_http_match(req, "/later", NULL)) {
        pthread_create(&thread, NULL, answer_later, req);
        pthread_detach(thread);
    } else if (emp_http_match(req, "/park", NULL)) {
        atomic_store(&parked, req);
    } else if (emp_http_match(req, "/file", NULL)) {
        send_file(req);
    } else if (emp_http_match(req, "/events", NULL)) {
        struct emp_http_stream *st;
        if (emp_http_stream_open(req, "text/event-stream", 1 << 20, NULL, 0, &st) == 0)
            atomic_store(&stream, st);
    } else if (emp_http_match(req, "/sink", NULL)) {
        text(req, emp_http_sink_code(req) ? 507 : 201, "sunk");
    } else if (emp_http_match(req, "/who", NULL)) {
        const char *who = emp_http_header(req, "authorization");
        text(req, 200, who ? who : "nobody");
    } else if (emp_http_match(req, "/hop", NULL)) {
        struct emp_http_header h = {"Location", "/who"};
        emp_http_respond(req, 302, NULL, NULL, 0, &h, 1);
    } else {
        emp_http_respond(req, 200, "text/plain", body.ptr, body.len, NULL, 0);
    }
}

static void on_error(void *ctx, struct emp_http_request *req, const struct emp_error *err)
{
    (void)ctx;
    text(req, (unsigned)emp_error_http(err->code), err->text);
}

static int start(void **state)
{
    struct emp_http_options o = {.threads = 2,
                                 .body_bytes_max = 1 << 20,
                                 .begin = on_begin,
                                 .handle = on_handle,
                                 .error = on_error};
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_http_server_start(&o, &server, &err), 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    emp_http_server_stop(server, 2000);
    emp_http_server_free(server);
    return 0;
}

static char *get(const char *rest)
{
    char request[4096];
    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", rest);
    return ask(emp_http_server_port(server), request);
}

static struct emp_http_response call(const char *method, const char *path, const void *body,
                                     size_t len)
{
    struct emp_http_response r;
    struct emp_error err = {0};
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", emp_http_server_port(server), path);
    if (emp_http_call(method, url, NULL, 0, body, len, 0, &r, &err) < 0)
        fail_msg("%s %s: %s", method, path, err.text);
    return r;
}

static void bodies_come_back(void **state)
{
    size_t sizes[] = {0, 1, 4096, 100000, 1 << 20};
    char *body = malloc(1 << 20);
    (void)state;
    memset(body, 'x', 1 << 20);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct emp_http_response r = call("POST", "/echo", body, sizes[i]);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.len, sizes[i]);
        assert_memory_equal(r.body, body, r.len);
        emp_http_response_release(&r);
    }
    free(body);
}

static void another_thread_may_answer(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct emp_http_response r = call("GET", "/later", NULL, 0);
        assert_string_equal(r.body, "later");
        emp_http_response_release(&r);
    }
}

static void what_is_too_long_is_refused(void **state)
{
    char *body = calloc(1, (1 << 20) + 1);
    struct emp_http_response r = call("POST", "/small", "12345678901", 11);
    (void)state;
    assert_int_equal(r.status, 413);
    emp_http_response_release(&r);
    r = call("POST", "/echo", body, (1 << 20) + 1);
    assert_int_equal(r.status, 413);
    emp_http_response_release(&r);
    char *answer =
        ask(emp_http_server_port(server),
            "POST /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n");
    assert_has(answer, "HTTP/1.1 413");
    free(answer);
    free(body);
}

static void an_early_answer_reaches_who_still_sends(void **state)
{
    char *body = calloc(1, 1 << 20);
    struct emp_http_response r = call("POST", "/refused", body, 1 << 20);
    (void)state;
    assert_int_equal(r.status, 403);
    assert_string_equal(r.body, "not you");
    emp_http_response_release(&r);
    char *answer = ask(emp_http_server_port(server),
                       "POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n"
                       "Expect: 100-continue\r\n\r\n");
    assert_has(answer, "HTTP/1.1 403");
    free(answer);
    free(body);
}

static void bad_addresses_and_garbage(void **state)
{
    (void)state;
    char *a = get("GET /%2e%2e/etc");
    assert_has(a, "HTTP/1.1 400");
    free(a);
    a = get("GET /x%00");
    assert_has(a, "HTTP/1.1 400");
    free(a);
    a = ask(emp_http_server_port(server), "\x16\x03\x01\x02garbage\r\n\r\n");
    free(a); // whatever it says, it lives on
    struct emp_http_response r = call("GET", "/echo", NULL, 0);
    assert_int_equal(r.status, 200);
    emp_http_response_release(&r);
}

static void ranges(void **state)
{
    static const struct {
        const char *headers, *status, *part;
    } rows[] = {
        {"", "200", "\r\n\r\n0123456789"},
        {"Range: bytes=2-4\r\n", "206", "Content-Range: bytes 2-4/10"},
        {"Range: bytes=7-\r\n", "206", "\r\n\r\n789"},
        {"Range: bytes=-3\r\n", "206", "\r\n\r\n789"},
        {"Range: bytes=10-\r\n", "416", "Content-Range: bytes */10"},
        {"Range: bytes=-0\r\n", "416", "bytes */10"},
        {"Range: bytes=4-2\r\n", "200", "0123456789"},
        {"Range: bytes=0-1,3-4\r\n", "200", "0123456789"},
        {"Range: bytes=2-\r\nIf-Range: \"v1\"\r\n", "206", "\r\n\r\n23456789"},
        {"Range: bytes=2-\r\nIf-Range: \"v0\"\r\n", "200", "0123456789"},
        {"If-None-Match: \"v0\", \"v1\"\r\n", "304", "ETag: \"v1\""},
    };
    char request[512], status[32];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(request, sizeof request,
                 "GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", rows[i].headers);
        snprintf(status, sizeof status, "HTTP/1.1 %s", rows[i].status);
        char *a = ask(emp_http_server_port(server), request);
        assert_has(a, status);
        assert_has(a, rows[i].part);
        free(a);
    }
    char *a = get("HEAD /file");
    assert_has(a, "Content-Length: 10");
    assert_string_equal(strstr(a, "\r\n\r\n"), "\r\n\r\n");
    free(a);
}

static void a_sink_takes_large_bodies_and_is_always_closed(void **state)
{
    char *body = calloc(1, 3000000);
    int closed = atomic_load(&sink_closed);
    (void)state;
    atomic_store(&sink_bytes, 0);
    struct emp_http_response r = call("PUT", "/sink", body, 3000000);
    assert_int_equal(r.status, 201);
    emp_http_response_release(&r);
    assert_int_equal(atomic_load(&sink_bytes), 3000000);
    r = call("PUT", "/sink", body, 3000000);
    assert_int_equal(r.status, 507);
    emp_http_response_release(&r);
    atomic_store(&sink_bytes, 0);
    int fd = dial(emp_http_server_port(server));
    static const char half[] = "PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf";
    say(fd, half, sizeof half - 1);
    close(fd);
    while (atomic_load(&sink_closed) < closed + 3)
        usleep(1000);
    free(body);
}

static int count_lines(void *arg, const void *data, size_t len)
{
    struct emp_buf *b = arg;
    emp_buf_add(b, data, len);
    return 0;
}

static void *write_events(void *arg)
{
    struct emp_http_stream *st;
    (void)arg;
    while ((st = atomic_exchange(&stream, NULL)) == NULL)
        usleep(1000);
    for (int i = 0; i < 1000; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(emp_http_stream_event(st, id, "tick", EMP_STR("a\nb")), 0);
    }
    emp_http_stream_close(st);
    return NULL;
}

static void a_stream_arrives_whole_and_ends(void **state)
{
    struct emp_http_response r;
    struct emp_error err;
    struct emp_buf b;
    pthread_t writer;
    char url[64];
    (void)state;
    emp_buf_init(&b, 1 << 20);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/events", emp_http_server_port(server));
    pthread_create(&writer, NULL, write_events, NULL);
    assert_int_equal(emp_http_call_stream("GET", url, NULL, 0, 0, count_lines, &b, &r, &err), 0);
    pthread_join(writer, NULL);
    assert_has(b.data, "id: 0\nevent: tick\ndata: a\ndata: b\n\n");
    assert_has(b.data, "id: 999\nevent: tick\ndata: a\ndata: b\n\n");
    emp_http_response_release(&r);
    emp_buf_release(&b);
}

static void a_reader_that_is_too_slow_is_dropped(void **state)
{
    static char chunk[65536];
    struct emp_http_stream *st;
    int fd = dial(emp_http_server_port(server)), r = 0;
    (void)state;
    say(fd, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n", 34);
    while ((st = atomic_exchange(&stream, NULL)) == NULL)
        usleep(1000);
    for (int i = 0; i < 1000 && r == 0; i++)
        r = emp_http_stream_write(st, chunk, sizeof chunk);
    assert_int_equal(r, EMP_E_LIMIT);
    emp_http_stream_close(st);
    close(fd);
}

static void stopping_answers_who_waits(void **state)
{
    struct emp_http_options o = {.threads = 1, .handle = on_handle, .error = on_error};
    struct emp_http_server *s;
    struct emp_http_request *req;
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_http_server_start(&o, &s, &err), 0);
    int fd = dial(emp_http_server_port(s)), other = dial(emp_http_server_port(s));
    struct emp_http_stream *st;
    say(other, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n", 34);
    while ((st = atomic_exchange(&stream, NULL)) == NULL)
        usleep(1000);
    say(fd, "GET /park HTTP/1.1\r\nHost: x\r\n\r\n", 32);
    while ((req = atomic_exchange(&parked, NULL)) == NULL)
        usleep(1000);
    emp_http_server_stop(s, 2000);
    char *a = hear_all(fd, NULL);
    assert_has(a, "HTTP/1.1 503");
    free(a);
    a = hear_all(other, NULL);
    assert_has(a, "HTTP/1.1 200");
    free(a);
    text(req, 200, "too late");
    assert_int_equal(emp_http_stream_beat(st), EMP_E_NET);
    emp_http_stream_close(st);
    emp_http_server_free(s);
    close(fd);
    close(other);
}

static void a_client_that_leaves_while_it_waits(void **state)
{
    struct emp_http_request *req;
    int fd = dial(emp_http_server_port(server));
    (void)state;
    say(fd, "GET /park HTTP/1.1\r\nHost: x\r\n\r\n", 32);
    while ((req = atomic_exchange(&parked, NULL)) == NULL)
        usleep(1000);
    close(fd);
    text(req, 200, "to nobody");
    struct emp_http_response r = call("GET", "/echo", NULL, 0);
    assert_int_equal(r.status, 200);
    emp_http_response_release(&r);
}

static void a_port_that_is_taken(void **state)
{
    struct emp_http_options o = {.port = emp_http_server_port(server), .handle = on_handle};
    struct emp_http_server *s;
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_http_server_start(&o, &s, &err), EMP_E_CONFLICT);
    assert_has(err.text, "127.0.0.1");
    o.host = "example";
    assert_int_equal(emp_http_server_start(&o, &s, &err), EMP_E_INVALID);
}

/* ------------------------------------------------------------------ the client on a loop */

struct fetched {
    int done, code, status;
    char body[256], text[EMP_ERROR_TEXT_MAX];
    int64_t offset, total, received;
    int limit;
};

static int on_head(void *ctx, const struct emp_http_head *h)
{
    struct fetched *f = ctx;
    f->offset = h->offset;
    f->total = h->total;
    return f->limit == 1 ? EMP_E_SIZE : 0;
}

static void on_done(void *ctx, const struct emp_http_result *r)
{
    struct fetched *f = ctx;
    f->done++;
    f->code = r->code;
    f->status = r->status;
    f->received = r->received_bytes;
    snprintf(f->body, sizeof f->body, "%.*s", EMP_STR_FMT(r->body));
    snprintf(f->text, sizeof f->text, "%s", r->text);
}

static struct emp_http_fetch *start_fetch(struct emp_http_client *c, struct fetched *f,
                                          const char *path, struct emp_http_fetch_options o)
{
    struct emp_http_fetch *fetch;
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", emp_http_server_port(server), path);
    o.url = url;
    o.ctx = f;
    o.on_head = on_head;
    o.on_done = on_done;
    assert_int_equal(emp_http_fetch_start(c, &o, &fetch), 0);
    return fetch;
}

static void fetches(void **state)
{
    enum { MANY = 100 };
    struct emp_http_client *c;
    struct fetched many[MANY] = {0}, part = {0}, sized = {.limit = 1}, who = {0}, up = {0};
    uv_loop_t loop;
    char name[] = "/tmp/emp-test-XXXXXX";
    int fd = mkstemp(name);
    (void)state;
    unlink(name);
    assert_int_equal(write(fd, "uploaded", 8), 8);
    uv_loop_init(&loop);
    assert_int_equal(emp_http_client_new(&loop, NULL, &c), 0);
    for (int i = 0; i < MANY; i++)
        start_fetch(c, &many[i], "/later", (struct emp_http_fetch_options){0});
    start_fetch(c, &part, "/file",
                (struct emp_http_fetch_options){.resume_from = 6, .if_range = "\"v1\""});
    start_fetch(c, &sized, "/file", (struct emp_http_fetch_options){0});
    start_fetch(c, &who, "/hop", (struct emp_http_fetch_options){.bearer = "secret"});
    start_fetch(c, &up, "/echo",
                (struct emp_http_fetch_options){.upload_fd = fd, .upload_bytes = 8});
    while (!part.done || !sized.done || !who.done || !up.done || !many[MANY - 1].done)
        uv_run(&loop, UV_RUN_ONCE);
    emp_http_client_close(c, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(many[i].done, 1);
        if (many[i].code != EMP_E_CANCELLED) // the client was closed before it had come
            assert_string_equal(many[i].body, "later");
    }
    assert_int_equal(part.status, 206);
    assert_int_equal(part.offset, 6);
    assert_int_equal(part.total, 10);
    assert_string_equal(part.body, "6789");
    assert_int_equal(sized.code, EMP_E_SIZE);
    assert_string_equal(who.body, "Bearer secret");
    assert_string_equal(up.body, "uploaded");
    assert_int_equal(uv_loop_close(&loop), 0);
    close(fd);
}

static void cancelled_and_refused_fetches(void **state)
{
    struct emp_http_client *c;
    struct fetched parked_one = {0}, nobody = {0};
    struct emp_http_request *req;
    struct emp_http_fetch *fetch;
    uv_loop_t loop;
    (void)state;
    uv_loop_init(&loop);
    emp_http_client_new(&loop, NULL, &c);
    fetch = start_fetch(c, &parked_one, "/park", (struct emp_http_fetch_options){0});
    while ((req = atomic_exchange(&parked, NULL)) == NULL)
        uv_run(&loop, UV_RUN_NOWAIT);
    emp_http_fetch_cancel(fetch);
    assert_int_equal(parked_one.done, 0);
    struct emp_http_fetch_options o = {
        .url = "http://127.0.0.1:1/x", .ctx = &nobody, .on_done = on_done};
    assert_int_equal(emp_http_fetch_start(c, &o, &fetch), 0);
    while (!parked_one.done || !nobody.done)
        uv_run(&loop, UV_RUN_ONCE);
    text(req, 200, "gone");
    assert_int_equal(parked_one.code, EMP_E_CANCELLED);
    assert_int_equal(nobody.code, EMP_E_NET);
    assert_has(nobody.text, "127.0.0.1");
    o.url = "ftp://127.0.0.1/";
    assert_int_equal(emp_http_fetch_start(c, &o, &fetch), EMP_E_INVALID);
    emp_http_client_close(c, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_come_back),
        cmocka_unit_test(another_thread_may_answer),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(an_early_answer_reaches_who_still_sends),
        cmocka_unit_test(bad_addresses_and_garbage),
        cmocka_unit_test(ranges),
        cmocka_unit_test(a_sink_takes_large_bodies_and_is_always_closed),
        cmocka_unit_test(a_stream_arrives_whole_and_ends),
        cmocka_unit_test(a_reader_that_is_too_slow_is_dropped),
        cmocka_unit_test(stopping_answers_who_waits),
        cmocka_unit_test(a_client_that_leaves_while_it_waits),
        cmocka_unit_test(a_port_that_is_taken),
        cmocka_unit_test(fetches),
        cmocka_unit_test(cancelled_and_refused_fetches),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

/* The client on a loop, against a server that says what real ones say on bad days. */
#include "base/time.h"
#include "check.h"
#include "net/http_client.h"
#include "script.h"

#include <assert.h>
#include <fcntl.h>

static uv_loop_t loop;
static struct emp_http_client *client;

/* What a fetch told, and what its callbacks are to do. */
struct fetched {
    int done, code, status, heads, pieces;
    char text[EMP_ERROR_TEXT_MAX], url[256], body[4096], etag[64], type[64];
    size_t body_len; /* all of it, from on_data or gathered */
    int64_t offset, total, received, sent, retry_after_s;
    bool streams;
    struct emp_http_fetch *fetch;
    int cancel_at_piece, end_at_head, end_at_piece; /* 0: no */
    bool cancel_at_head, cancelled, close_at_end;
};

static int on_head(void *ctx, const struct emp_http_head *h)
{
    struct fetched *f = ctx;
    f->heads++;
    f->status = h->status;
    f->offset = h->offset;
    f->total = h->total;
    snprintf(f->etag, sizeof f->etag, "%s", h->etag ? h->etag : "(none)");
    snprintf(f->type, sizeof f->type, "%s", h->content_type ? h->content_type : "(none)");
    if (f->cancel_at_head) {
        f->cancelled = true;
        emp_http_fetch_cancel(f->fetch);
    }
    return f->end_at_head;
}

static void keep(struct fetched *f, const char *data, size_t len)
{
    if (f->body_len + len < sizeof f->body)
        memcpy(f->body + f->body_len, data, len);
    f->body_len += len;
}

static int on_data(void *ctx, const void *data, size_t len)
{
    struct fetched *f = ctx;
    assert_false(f->cancelled); // nothing comes after that
    assert_int_equal(f->heads, 1);
    f->pieces++;
    keep(f, data, len);
    if (f->pieces == f->cancel_at_piece) {
        f->cancelled = true;
        emp_http_fetch_cancel(f->fetch);
    }
    return f->pieces == f->end_at_piece ? EMP_E_HASH : 0;
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void on_done(void *ctx, const struct emp_http_result *r)
{
    struct fetched *f = ctx;
    f->done++;
    f->code = r->code;
    f->status = r->status;
    f->received = r->received_bytes;
    f->sent = r->sent_bytes;
    f->retry_after_s = r->retry_after_s;
    keep(f, r->body.ptr, r->body.len);
    snprintf(f->text, sizeof f->text, "%s", r->text);
    snprintf(f->url, sizeof f->url, "%s", r->url);
    assert_int_equal(r->code == 0, r->text[0] == '\0');
    if (f->close_at_end)
        emp_http_client_close(client, NULL, NULL);
}

static void begin(struct fetched *f, const struct script *s, const char *path,
                  struct emp_http_fetch_options o)
{
    char url[256];
    snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", s->tls ? "https" : "http", s->port, path);
    o.url = url;
    o.ctx = f;
    o.on_head = on_head;
    o.on_data = f->streams ? on_data : NULL;
    o.on_done = on_done;
    assert_int_equal(emp_http_fetch_start(client, &o, &f->fetch), 0);
    assert_int_equal(f->done, 0);
}

static void end(const struct fetched *f)
{
    while (!f->done)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(f->done, 1);
}

static struct fetched fetch(const struct script *s, const char *path,
                            struct emp_http_fetch_options o)
{
    struct fetched f = {.streams = o.on_data != NULL};
    begin(&f, s, path, o);
    end(&f);
    return f;
}

static int set_up(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    return emp_http_client_new(&loop, NULL, &client);
}

static int tear_down(void **state)
{
    bool closed = false;
    (void)state;
    if (client)
        emp_http_client_close(client, on_closed, &closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(closed, client != NULL);
    client = NULL;
    return uv_loop_close(&loop);
}

/* ------------------------------------------------------------------ resuming */

static bool serve_parts(struct peer *p)
{
    const char *range = peer_header(p, "Range");
    if (range == NULL) {
        peer_say(p, "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Type: text/x\r\nContent-Length: 10"
                    "\r\n\r\n0123456789");
        return true;
    }
    assert(strcmp(range, "bytes=6-") == 0);
    const char *version = peer_header(p, "If-Range");
    if (version == NULL || strcmp(version, "\"v1\"") == 0)
        peer_say(p, "HTTP/1.1 206 Partial\r\nContent-Range: bytes 6-9/10\r\nETag: \"v1\"\r\n"
                    "Content-Length: 4\r\n\r\n6789");
    else
        peer_say(p, "HTTP/1.1 200 OK\r\nETag: \"v2\"\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nnew\r\n0\r\n\r\n");
    return true;
}

static void a_resumed_fetch_says_where_it_begins(void **state)
{
    struct script s;
    (void)state;
    script_start(&s, serve_parts, NULL);
    struct fetched f = fetch(&s, "/", (struct emp_http_fetch_options){.on_data = on_data});
    assert_int_equal(f.status, 200);
    assert_int_equal(f.offset, 0);
    assert_int_equal(f.total, 10);
    assert_string_equal(f.etag, "\"v1\"");
    assert_string_equal(f.type, "text/x");
    assert_string_equal(f.body, "0123456789");
    f = fetch(&s, "/",
              (struct emp_http_fetch_options){
                  .on_data = on_data, .resume_from = 6, .if_range = "\"v1\""});
    assert_int_equal(f.status, 206);
    assert_int_equal(f.offset, 6);
    assert_int_equal(f.total, 10);
    assert_string_equal(f.body, "6789");
    assert_int_equal(f.received, 4);
    f = fetch(&s, "/",
              (struct emp_http_fetch_options){
                  .on_data = on_data, .resume_from = 6, .if_range = "\"v0\""});
    assert_int_equal(f.code, 0);
    assert_int_equal(f.status, 200);
    assert_int_equal(f.offset, 0); // the whole, from its beginning
    assert_int_equal(f.total, -1); // not said
    assert_string_equal(f.etag, "\"v2\"");
    assert_string_equal(f.body, "new");
    script_stop(&s);
}

/* ------------------------------------------------------------------ bad days */

static bool serve_broken(struct peer *p)
{
    if (strncmp(p->head, "GET /short ", 11) == 0)
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    else if (strncmp(p->head, "GET /chunk ", 11) == 0)
        peer_say(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n0123456789");
    else if (strncmp(p->head, "GET /head ", 10) == 0)
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Le");
    else if (strncmp(p->head, "GET /garbage ", 13) == 0)
        peer_say(p, "\x16\x03\x01 what is this\r\n\r\n");
    return false;
}

static void what_breaks_off_is_an_error(void **state)
{
    static const struct {
        const char *path;
        int64_t received;
    } cases[] = {{"/short", 10}, {"/chunk", 10}, {"/head", 0}, {"/garbage", 0}, {"/nothing", 0}};
    struct script s;
    (void)state;
    script_start(&s, serve_broken, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fetched f =
            fetch(&s, cases[i].path, (struct emp_http_fetch_options){.on_data = on_data});
        assert_int_equal(f.code, EMP_E_NET);
        assert_int_equal(f.received, cases[i].received);
        assert_int_equal(f.body_len, cases[i].received);
        assert_has(f.text, "127.0.0.1");
    }
    script_stop(&s);
}

static bool serve_silence(struct peer *p)
{
    if (strncmp(p->head, "GET /body ", 10) == 0)
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    peer_wait_end(p);
    return false;
}

static void silence_ends_a_fetch(void **state)
{
    struct script s;
    (void)state;
    script_start(&s, serve_silence, NULL);
    struct fetched f = fetch(&s, "/body", (struct emp_http_fetch_options){.stall_ms = 100});
    assert_int_equal(f.code, EMP_E_TIMEOUT);
    assert_has(f.text, "stalled");
    f = fetch(&s, "/head", (struct emp_http_fetch_options){.stall_ms = 100});
    assert_int_equal(f.code, EMP_E_TIMEOUT);
    f = fetch(&s, "/head",
              (struct emp_http_fetch_options){.stall_ms = EMP_NEVER, .timeout_ms = 100});
    assert_int_equal(f.code, EMP_E_TIMEOUT);
    script_stop(&s);
}

/* ------------------------------------------------------------------ redirects */

struct hop {
    uint16_t other;
    char seen[2][256]; /* Authorization at the first place and at the last */
};

static bool serve_last(struct peer *p)
{
    struct hop *hop = p->script->arg;
    const char *who = peer_header(p, "Authorization");
    snprintf(hop->seen[1], sizeof hop->seen[1], "%s", who ? who : "(nobody)");
    peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast");
    return true;
}

static bool serve_hops(struct peer *p)
{
    struct hop *hop = p->script->arg;
    const char *who = peer_header(p, "Authorization");
    snprintf(hop->seen[0], sizeof hop->seen[0], "%s", who ? who : "(nobody)");
    if (strncmp(p->head, "GET /elsewhere ", 15) == 0)
        peer_say(p,
                 "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:%u/x\r\nETag: \"no\"\r\n"
                 "Content-Length: 5\r\n\r\nmoved",
                 hop->other);
    else if (strncmp(p->head, "GET /here ", 10) == 0)
        peer_say(p, "HTTP/1.1 307 Go\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
    else if (strncmp(p->head, "GET /there ", 11) == 0)
        return serve_last(p);
    else if (strncmp(p->head, "GET /file ", 10) == 0)
        peer_say(p, "HTTP/1.1 302 Go\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
    else
        peer_say(p, "HTTP/1.1 302 Go\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n");
    return true;
}

static void redirects_keep_secrets(void **state)
{
    struct hop hop = {0};
    struct script s, other;
    (void)state;
    script_start(&s, serve_hops, &hop);
    script_start(&other, serve_last, &hop);
    hop.other = other.port;
    struct emp_http_fetch_options o = {.bearer = "secret", .on_data = on_data};
    struct fetched f = fetch(&s, "/here", o);
    assert_string_equal(f.body, "last");
    assert_has(f.url, "/there");
    assert_string_equal(hop.seen[1], "Bearer secret");
    f = fetch(&s, "/elsewhere", o);
    assert_string_equal(f.body, "last");
    assert_int_equal(f.heads, 1); // of the last answer alone
    assert_string_equal(f.etag, "(none)");
    assert_string_equal(hop.seen[0], "Bearer secret");
    assert_string_equal(hop.seen[1], "(nobody)");
    f = fetch(&s, "/round", o);
    assert_int_equal(f.code, EMP_E_NET);
    assert_has(f.text, "redirects");
    f = fetch(&s, "/file", o);
    assert_true(f.code < 0);
    assert_int_equal(f.body_len, 0);
    script_stop(&s);
    script_stop(&other);
}

/* ------------------------------------------------------------------ limits */

static bool serve_much(struct peer *p)
{
    static char zeros[65536];
    int64_t bytes = 0;
    int status = 200;
    if (sscanf(p->head, "GET /%d/%ld ", &status, &bytes) != 2)
        return false;
    peer_say(p, "HTTP/1.1 %d X\r\nRetry-After: 7\r\nContent-Length: %ld\r\n\r\n", status, bytes);
    while (bytes > 0) {
        size_t n = bytes < (int64_t)sizeof zeros ? (size_t)bytes : sizeof zeros;
        if (!peer_send(p, zeros, n))
            return false;
        bytes -= (int64_t)n;
    }
    return true;
}

static void bodies_are_bounded(void **state)
{
    struct script s;
    (void)state;
    script_start(&s, serve_much, NULL);
    struct fetched f =
        fetch(&s, "/200/1000", (struct emp_http_fetch_options){.body_bytes_max = 1000});
    assert_int_equal(f.code, 0);
    assert_int_equal(f.body_len, 1000);
    f = fetch(&s, "/200/1001", (struct emp_http_fetch_options){.body_bytes_max = 1000});
    assert_int_equal(f.code, EMP_E_LIMIT);
    assert_has(f.text, "longer");
    f = fetch(&s, "/200/1048577", (struct emp_http_fetch_options){0}); // the default
    assert_int_equal(f.code, EMP_E_LIMIT);
    f = fetch(&s, "/503/5000",
              (struct emp_http_fetch_options){.body_bytes_max = 1000, .on_data = on_data});
    assert_int_equal(f.code, 0); // of an error's body the beginning will do
    assert_int_equal(f.status, 503);
    assert_int_equal(f.pieces, 0);
    assert_int_equal(f.body_len, 1000);
    assert_int_equal(f.retry_after_s, 7);
    script_stop(&s);
}

static void a_rate_is_kept_and_can_be_lifted(void **state)
{
    enum { BYTES = 16 << 20 };
    struct script s;
    struct fetched f = {.streams = true};
    uint64_t began = uv_hrtime();
    char path[32];
    (void)state;
    script_start(&s, serve_much, NULL);
    snprintf(path, sizeof path, "/200/%d", BYTES);
    begin(&f, &s, path, (struct emp_http_fetch_options){.bytes_per_s_max = 200000});
    while (uv_hrtime() - began < 500 * 1000000ull)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(f.done, 0);
    assert_true(emp_http_fetch_received(f.fetch) > 0);
    assert_true(emp_http_fetch_received(f.fetch) < BYTES / 4);
    emp_http_fetch_set_rate(f.fetch, 0);
    end(&f); // at 200 kB/s it would take 80 s
    assert_int_equal(f.code, 0);
    assert_int_equal(f.received, BYTES);
    assert_true(uv_hrtime() - began < 40 * 1000000000ull);
    script_stop(&s);
}

/* ------------------------------------------------------------------ ended from callbacks */

static void callbacks_may_end_it(void **state)
{
    struct script s;
    (void)state;
    script_start(&s, serve_much, NULL);
    struct fetched head = {.streams = true, .cancel_at_head = true};
    begin(&head, &s, "/200/3000000", (struct emp_http_fetch_options){0});
    end(&head);
    assert_int_equal(head.code, EMP_E_CANCELLED);
    assert_int_equal(head.pieces, 0);
    struct fetched piece = {.streams = true, .cancel_at_piece = 2};
    begin(&piece, &s, "/200/3000000", (struct emp_http_fetch_options){0});
    end(&piece);
    assert_int_equal(piece.code, EMP_E_CANCELLED);
    assert_int_equal(piece.pieces, 2);
    struct fetched refuses = {.streams = true, .end_at_head = EMP_E_SIZE};
    begin(&refuses, &s, "/200/3000000", (struct emp_http_fetch_options){0});
    end(&refuses);
    assert_int_equal(refuses.code, EMP_E_SIZE);
    assert_int_equal(refuses.pieces, 0);
    struct fetched bad = {.streams = true, .end_at_piece = 1};
    begin(&bad, &s, "/200/3000000", (struct emp_http_fetch_options){0});
    end(&bad);
    assert_int_equal(bad.code, EMP_E_HASH);
    script_stop(&s);
}

static void closing_ends_all_once(void **state)
{
    enum { RUNNING = 10 };
    struct script silent, s;
    struct fetched running[RUNNING] = {0}, last = {.close_at_end = true};
    (void)state;
    script_start(&silent, serve_silence, NULL);
    script_start(&s, serve_much, NULL);
    for (int i = 0; i < RUNNING; i++)
        begin(&running[i], &silent, i % 2 ? "/body" : "/head", (struct emp_http_fetch_options){0});
    begin(&last, &s, "/200/10", (struct emp_http_fetch_options){0});
    uv_run(&loop, UV_RUN_DEFAULT); // ends, since nothing is left
    client = NULL;
    assert_int_equal(last.code, 0);
    for (int i = 0; i < RUNNING; i++) {
        assert_int_equal(running[i].done, 1);
        assert_int_equal(running[i].code, EMP_E_CANCELLED);
        assert_string_equal(running[i].text, "cancelled");
    }
    script_stop(&silent);
    script_stop(&s);
}

/* ------------------------------------------------------------------ many */

static bool serve_slowly(struct peer *p)
{
    usleep(2000); // so that they overlap
    peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    return true;
}

static void many_at_once_share_connections(void **state)
{
    enum { MANY = 100, CONNECTIONS = 4 };
    static struct fetched many[MANY];
    struct emp_http_client_options o = {.per_host_max = CONNECTIONS};
    struct script s;
    (void)state;
    memset(many, 0, sizeof many);
    emp_http_client_close(client, NULL, NULL);
    assert_int_equal(emp_http_client_new(&loop, &o, &client), 0);
    script_start(&s, serve_slowly, NULL);
    for (int i = 0; i < MANY; i++)
        begin(&many[i], &s, "/", (struct emp_http_fetch_options){0});
    for (int i = 0; i < MANY; i++) {
        end(&many[i]);
        assert_int_equal(many[i].code, 0);
        assert_string_equal(many[i].body, "ok");
    }
    assert_int_equal(s.peer_count, CONNECTIONS);
    assert_int_equal(atomic_load(&s.open_max), CONNECTIONS);
    script_stop(&s);
}

/* ------------------------------------------------------------------ uploads */

static bool serve_upload(struct peer *p)
{
    static char body[1 << 20];
    const char *length = peer_header(p, "Content-Length");
    size_t len = length ? strtoul(length, NULL, 10) : 0;
    if (strncmp(p->head, "PUT /again ", 11) == 0 && p->turn == 0) {
        peer_read(p, body, len);
        peer_say(p, "HTTP/1.1 307 Go\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
        return true;
    }
    if (peer_header(p, "Expect"))
        peer_say(p, "HTTP/1.1 100 Continue\r\n\r\n");
    size_t got = peer_read(p, body, len);
    unsigned long sum = 0;
    for (size_t i = 0; i < got; i++)
        sum += (unsigned char)body[i] * (i % 251 + 1);
    char answer[128];
    int n = snprintf(answer, sizeof answer, "%.*s %zu %lu", (int)strcspn(p->head, " "), p->head,
                     got, sum);
    peer_say(p, "HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s", n, answer);
    return got == len;
}

static int temporary(size_t len, unsigned long *ret_sum)
{
    char name[] = "/tmp/emp-test-XXXXXX", *bytes = malloc(len + 1);
    int fd = mkstemp(name);
    unlink(name);
    *ret_sum = 0;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(i * 7 + i / 256);
        *ret_sum += (unsigned char)bytes[i] * (i % 251 + 1);
    }
    assert_int_equal(write(fd, bytes, len), len);
    free(bytes);
    return fd;
}

static void uploads_are_read_from_the_start(void **state)
{
    enum { BYTES = 700000 };
    struct script s;
    unsigned long sum;
    char want[64];
    int fd = temporary(BYTES, &sum), directory = open("/tmp", O_RDONLY);
    (void)state;
    script_start(&s, serve_upload, NULL);
    snprintf(want, sizeof want, "PUT %d %lu", BYTES, sum);
    struct emp_http_fetch_options o = {.upload_fd = fd, .upload_bytes = BYTES};
    struct fetched f = fetch(&s, "/a", o);
    assert_int_equal(f.status, 201);
    assert_string_equal(f.body, want);
    assert_int_equal(f.sent, BYTES);
    f = fetch(&s, "/again", o); // the redirect wants it once more
    assert_string_equal(f.body, want);
    f = fetch(&s, "/none", (struct emp_http_fetch_options){.upload_fd = fd, .upload = true});
    assert_string_equal(f.body, "PUT 0 0");
    f = fetch(&s, "/b",
              (struct emp_http_fetch_options){.method = "POST", .body = "abc", .body_len = 3});
    assert_string_equal(f.body, "POST 3 590");
    f = fetch(&s, "/c",
              (struct emp_http_fetch_options){.upload_fd = directory, .upload_bytes = 10});
    assert_int_equal(f.code, EMP_E_IO);
    close(fd);
    close(directory);
    script_stop(&s);
}

/* ------------------------------------------------------------------ TLS */

static void tls_is_verified(void **state)
{
    struct script s;
    (void)state;
    script_start_tls(&s, serve_parts, NULL);
    struct fetched f = fetch(&s, "/", (struct emp_http_fetch_options){0});
    assert_int_equal(f.code, EMP_E_NET);
    assert_has(f.text, "certificate");
    emp_http_client_close(client, NULL, NULL);
    struct emp_http_client_options o = {.ca_file = s.ca_file};
    assert_int_equal(emp_http_client_new(&loop, &o, &client), 0);
    f = fetch(&s, "/", (struct emp_http_fetch_options){.resume_from = 6});
    assert_int_equal(f.code, 0);
    assert_string_equal(f.body, "6789");
    script_stop(&s);
}

/* ------------------------------------------------------------------ the start */

static void what_cannot_be_started(void **state)
{
    struct emp_http_fetch *fetch_;
    struct fetched nobody = {0};
    struct emp_http_fetch_options o = {.ctx = &nobody, .on_done = on_done};
    static const char *const bad[] = {"ftp://127.0.0.1/", "file:///etc/passwd", "", "127.0.0.1:80"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.url = bad[i];
        assert_int_equal(emp_http_fetch_start(client, &o, &fetch_), EMP_E_INVALID);
    }
    o.url = "http://127.0.0.1:1/x"; // nothing listens there
    assert_int_equal(emp_http_fetch_start(client, &o, &fetch_), 0);
    end(&nobody);
    assert_int_equal(nobody.code, EMP_E_NET);
    assert_int_equal(nobody.status, 0);
    assert_int_equal(nobody.retry_after_s, -1);
    assert_has(nobody.text, "127.0.0.1");
    nobody = (struct fetched){0};
    o.url = "http://127.0.0.1:99999/";
    int r = emp_http_fetch_start(client, &o, &fetch_);
    if (r == 0) {
        end(&nobody);
        r = nobody.code;
    }
    assert_int_equal(r, EMP_E_INVALID);
}

int main(void)
{
#define on_loop(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        on_loop(a_resumed_fetch_says_where_it_begins),
        on_loop(what_breaks_off_is_an_error),
        on_loop(silence_ends_a_fetch),
        on_loop(redirects_keep_secrets),
        on_loop(bodies_are_bounded),
        on_loop(a_rate_is_kept_and_can_be_lifted),
        on_loop(callbacks_may_end_it),
        on_loop(closing_ends_all_once),
        on_loop(many_at_once_share_connections),
        on_loop(uploads_are_read_from_the_start),
        on_loop(tls_is_verified),
        on_loop(what_cannot_be_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

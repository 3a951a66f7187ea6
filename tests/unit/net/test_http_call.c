/* The blocking calls. */
#include "check.h"
#include "net/http_client.h"
#include "script.h"

static char url_text[256];

static const char *url(const struct script *s, const char *path)
{
    snprintf(url_text, sizeof url_text, "http://127.0.0.1:%u%s", s->port, path);
    return url_text;
}

static bool serve_echo(struct peer *p)
{
    static _Thread_local char body[1 << 20];
    char method[16], path[64];
    const char *length = peer_header(p, "Content-Length");
    size_t len = peer_read(p, body, length ? strtoul(length, NULL, 10) : 0);
    int status = 200;
    if (sscanf(p->head, "%15s %63s", method, path) != 2)
        return false;
    sscanf(path, "/status/%d", &status);
    if (strcmp(path, "/break") == 0)
        return false;
    if (strcmp(path, "/half") == 0) {
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Len");
        return false;
    }
    if (strcmp(path, "/silent") == 0) {
        peer_wait_end(p);
        return false;
    }
    const char *x = peer_header(p, "X-Test");
    peer_say(p,
             "HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nRetry-After: 3\r\nX-Method: %s\r\n"
             "Content-Length: %zu\r\n\r\n",
             status, method, strlen(method) + 1 + len + (x ? strlen(x) : 0));
    if (strcmp(method, "HEAD") == 0)
        return true;
    peer_say(p, "%s ", method);
    peer_send(p, body, len);
    if (x)
        peer_say(p, "%s", x);
    return true;
}

static void whatever_is_answered_comes_back(void **state)
{
    struct script s;
    struct emp_http_response r;
    struct emp_error err = {0};
    static char big[300000];
    (void)state;
    script_start(&s, serve_echo, NULL);
    struct emp_http_header h = {"X-Test", "seen"};
    assert_int_equal(emp_http_call("POST", url(&s, "/a"), &h, 1, "body ", 5, 0, &r, &err), 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "POST body seen");
    assert_int_equal(r.len, 14);
    assert_string_equal(r.content_type, "text/plain");
    assert_int_equal(r.retry_after_s, 3);
    emp_http_response_release(&r);
    assert_int_equal(emp_http_call("DELETE", url(&s, "/status/404"), NULL, 0, NULL, 0, 0, &r, &err),
                     0);
    assert_int_equal(r.status, 404);
    assert_string_equal(r.body, "DELETE ");
    emp_http_response_release(&r);
    assert_int_equal(emp_http_call("HEAD", url(&s, "/a"), NULL, 0, NULL, 0, 0, &r, &err), 0);
    assert_string_equal(r.body, "");
    emp_http_response_release(&r);
    memset(big, 'x', sizeof big);
    assert_int_equal(emp_http_call("PUT", url(&s, "/a"), NULL, 0, big, sizeof big, 0, &r, &err), 0);
    assert_int_equal(r.len, 4 + sizeof big);
    emp_http_response_release(&r);
    assert_int_equal(s.peer_count, 1); // one connection, kept
    script_stop(&s);
}

static void what_goes_wrong_is_told(void **state)
{
    struct script s;
    struct emp_http_response r;
    struct emp_error err = {0};
    static char long_value[10000];
    (void)state;
    script_start(&s, serve_echo, NULL);
    assert_int_equal(emp_http_call("GET", url(&s, "/break"), NULL, 0, NULL, 0, 0, &r, &err),
                     EMP_E_NET);
    assert_has(err.text, "127.0.0.1");
    assert_int_equal(emp_http_call("GET", url(&s, "/half"), NULL, 0, NULL, 0, 0, &r, &err),
                     EMP_E_NET);
    assert_has(err.text, "inside the answer's head");
    assert_int_equal(emp_http_call("GET", url(&s, "/silent"), NULL, 0, NULL, 0, 100, &r, &err),
                     EMP_E_TIMEOUT);
    assert_int_equal(emp_http_call("GET", "http://127.0.0.1:1/", NULL, 0, NULL, 0, 0, &r, &err),
                     EMP_E_NET);
    assert_has(err.text, "127.0.0.1");
    assert_int_equal(emp_http_call("GET", "ftp://127.0.0.1/", NULL, 0, NULL, 0, 0, &r, &err),
                     EMP_E_INVALID);
    assert_has(err.text, "ftp://127.0.0.1/");
    memset(long_value, 'x', sizeof long_value - 1);
    struct emp_http_header h = {"X-Long", long_value};
    assert_int_equal(emp_http_call("GET", url(&s, "/a"), &h, 1, NULL, 0, 0, &r, &err),
                     EMP_E_INVALID);
    assert_has(err.text, "X-Long");
    assert_int_equal(emp_http_call("GET", url(&s, "/a"), NULL, 0, NULL, 0, 0, &r, &err), 0);
    emp_http_response_release(&r); // and the next one is well again
    script_stop(&s);
}

/* ------------------------------------------------------------------ streams */

static bool serve_stream(struct peer *p)
{
    if (strncmp(p->head, "GET /no ", 8) == 0) {
        peer_say(p, "HTTP/1.1 409 No\r\nContent-Length: 6\r\n\r\nreason");
        return true;
    }
    peer_say(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n");
    if (strncmp(p->head, "GET /end ", 9) == 0)
        peer_say(p, "0\r\nX-Trailer: y\r\n\r\n");
    else
        peer_wait_end(p);
    return true;
}

struct heard {
    char text[64];
    size_t len, enough;
};

static int on_data(void *arg, const void *data, size_t len)
{
    struct heard *h = arg;
    assert_true(h->len + len < sizeof h->text);
    memcpy(h->text + h->len, data, len);
    h->len += len;
    return h->enough && h->len >= h->enough ? EMP_E_CANCELLED : 0;
}

static void streams_come_in_pieces(void **state)
{
    struct script s;
    struct emp_http_response r;
    struct emp_error err = {0};
    struct heard all = {0}, some = {.enough = 6}, none = {0}, silence = {0};
    (void)state;
    script_start(&s, serve_stream, NULL);
    assert_int_equal(
        emp_http_call_stream("GET", url(&s, "/end"), NULL, 0, 0, on_data, &all, &r, &err), 0);
    assert_string_equal(all.text, "onetwo");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "");
    emp_http_response_release(&r);
    assert_int_equal(
        emp_http_call_stream("GET", url(&s, "/open"), NULL, 0, 0, on_data, &some, &r, &err),
        EMP_E_CANCELLED);
    assert_string_equal(some.text, "onetwo");
    assert_int_equal(
        emp_http_call_stream("GET", url(&s, "/no"), NULL, 0, 0, on_data, &none, &r, &err), 0);
    assert_int_equal(r.status, 409);
    assert_string_equal(r.body, "reason");
    assert_int_equal(none.len, 0);
    emp_http_response_release(&r);
    assert_int_equal(
        emp_http_call_stream("GET", url(&s, "/open"), NULL, 0, 1000, on_data, &silence, &r, &err),
        EMP_E_TIMEOUT);
    assert_string_equal(silence.text, "onetwo");
    script_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_answered_comes_back),
        cmocka_unit_test(what_goes_wrong_is_told),
        cmocka_unit_test(streams_come_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

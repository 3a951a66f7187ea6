/* Dispatch over real sockets: which path has which methods, who may call, what a browser is told,
 * what a broker that starts, stops or cannot write answers. The broker behind it has no loop and no
 * store: whatever would need them must not be reached. */
#include "store.h"

#include "broker/api.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct {
    struct emp_broker b;
    struct emp_http_server *server;
    uint16_t port;
    char answer[65536];
} at;

static const struct emp_str everybody[] = {{"*", 1}};
static const struct emp_str one_key[] = {{"sesame", 6}}, one_token[] = {{"gpu", 3}};

static void wake(void *ctx)
{
    (void)ctx;
}

static int set_up(void **state)
{
    struct emp_committer_options c = {.retention_ms = EMP_NEVER, .wake = wake};
    struct emp_http_options o = {
        .threads = 1,
        .ctx = &at.b,
        .begin = emp_api_begin,
        .handle = emp_api_handle,
        .error = emp_api_error,
    };
    struct emp_error err;

    (void)state;
    memset(&at, 0, sizeof at);
    at.b.o.cors_origins = everybody;
    at.b.o.cors_count = 1;
    at.b.o.body_bytes_max = 1000;
    at.b.o.batch_bytes_max = 5000;
    atomic_store(&at.b.ready, true);
    store_init();
    assert_int_equal(emp_committer_new(&c, &at.b.committer), 0);
    assert_int_equal(emp_http_server_start(&o, &at.server, &err), 0);
    at.port = emp_http_server_port(at.server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    emp_http_server_stop(at.server, 0);
    emp_http_server_free(at.server);
    emp_committer_stop(at.b.committer, 0);
    emp_committer_free(at.b.committer);
    store_release();
    return 0;
}

/* One request; the whole answer. `more`: further lines of the head, each with its \r\n. */
static const char *ask(const char *method, const char *path, const char *more, const char *body)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(at.port)};
    struct timeval limit = {.tv_sec = 30};
    char head[4096];
    size_t len = 0;
    ssize_t n;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    int head_len = snprintf(head, sizeof head,
                            "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                            "%zu\r\n%s\r\n",
                            method, path, strlen(body), more);
    assert_int_equal(send(fd, head, (size_t)head_len, MSG_NOSIGNAL), head_len);
    send(fd, body, strlen(body), MSG_NOSIGNAL); // may be refused before it has all left
    while ((n = recv(fd, at.answer + len, sizeof at.answer - 1 - len, 0)) > 0)
        len += (size_t)n;
    at.answer[len] = '\0';
    close(fd);
    return at.answer;
}

static void assert_status(int want)
{
    int got = 0;
    sscanf(at.answer, "HTTP/1.1 %d", &got);
    if (got != want)
        fail_msg("%d, not %d: %s", got, want, at.answer);
}

static void assert_has(const char *part)
{
    if (strstr(at.answer, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, at.answer);
}

static void assert_lacks(const char *part)
{
    if (strstr(at.answer, part) != NULL)
        fail_msg("\"%s\" is in: %s", part, at.answer);
}

/* ------------------------------------------------------------------ paths and methods */

static void test_unknown_paths(void **state)
{
    static const char *const paths[] = {"/",        "/api",           "/api/job", "/api/jobs/1/2/3",
                                        "/healthy", "/api/artifacts", "/API/jobs"};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ask("GET", paths[i], "", "");
        assert_status(404);
        assert_has("application/json");
        assert_has("\"success\":false");
        assert_has("\"code\":\"not_found\"");
        assert_has(paths[i]);
        assert_has("\"timestamp\":\"");
    }
}

static void test_methods_of_a_path(void **state)
{
    static const struct {
        const char *method, *path, *allow;
    } cases[] = {
        {"PUT", "/api/jobs", "Allow: GET, HEAD, POST\r\n"},
        {"PATCH", "/api/jobs/x", "Allow: GET, HEAD, DELETE\r\n"},
        {"GET", "/api/jobs/x/cancel", "Allow: POST\r\n"},
        {"DELETE", "/api/artifacts/x/1/a/b", "Allow: GET, HEAD, PUT\r\n"},
        {"POST", "/health", "Allow: GET, HEAD\r\n"},
        {"BREW", "/health", "Allow: GET, HEAD\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask(cases[i].method, cases[i].path, "", "");
        assert_status(405);
        assert_has(cases[i].allow);
        assert_has("\"code\":\"method_not_allowed\"");
    }
}

static void test_head_is_get_without_the_body(void **state)
{
    (void)state;
    ask("HEAD", "/health", "", "");
    assert_status(200);
    assert_has("Content-Length: ");
    assert_has("\r\n\r\n");
    assert_string_equal(strstr(at.answer, "\r\n\r\n"), "\r\n\r\n");
}

/* ------------------------------------------------------------------ browsers */

static void test_preflight(void **state)
{
    static const char *const paths[] = {"/api/jobs", "/no/such/path", "/"};

    (void)state;
    at.b.auth = (struct emp_auth){one_key, one_token, 1, 1}; // no key is asked for
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ask("OPTIONS", paths[i], "Origin: https://a.example\r\n", "");
        assert_status(200);
        assert_has("\r\n\r\nOK");
        assert_has("Access-Control-Allow-Origin: *\r\n");
        assert_has("Access-Control-Allow-Methods: GET, POST, PUT, DELETE, OPTIONS, HEAD\r\n");
        assert_has("Access-Control-Allow-Credentials: true\r\n");
        assert_has("Access-Control-Max-Age: 86400\r\n");
    }
}

static void test_listed_origins(void **state)
{
    static const struct emp_str listed[] = {{"https://a.example", 17}};
    static const struct {
        const char *origin;
        bool allowed;
    } cases[] = {
        {"https://a.example", true},       {"https://b.example", false},
        {"http://localhost:5173", true},   {"http://127.0.0.1:8080", true},
        {"https://a.example.evil", false}, {"https://app.localhost", true},
        {"http://[::1]:3000", true},       {"http://localhost", true},
        {"https://localhost.evil", false}, {"https://evil.example/localhost", false},
        {"https://127.0.0.1.evil", false}, {"https://evillocalhost", false},
    };
    char line[128];

    (void)state;
    at.b.o.cors_origins = listed;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(line, sizeof line, "Origin: %s\r\n", cases[i].origin);
        ask("GET", "/health", line, "");
        assert_status(200); // served all the same
        snprintf(line, sizeof line, "Access-Control-Allow-Origin: %s\r\n", cases[i].origin);
        if (cases[i].allowed) {
            assert_has(line);
            assert_has("Vary: Origin\r\n");
        } else {
            assert_lacks("Access-Control-Allow-Origin");
        }
    }
    ask("GET", "/health", "", "");
    assert_lacks("Access-Control-Allow-Origin");

    /* a page may read what the server refuses before any route sees it, too */
    static const char mine[] = "Origin: https://a.example\r\n";
    ask("GET", "/api/jobs?service=%zz", mine, "");
    assert_status(400);
    assert_has("Access-Control-Allow-Origin: https://a.example\r\n");
    at.b.o.body_bytes_max = 10;
    ask("POST", "/api/jobs", mine, "{\"service_required\":\"simulation\"}");
    assert_status(413);
    assert_has("Access-Control-Allow-Origin: https://a.example\r\n");
}

/* ------------------------------------------------------------------ who, and when */

static void test_keys(void **state)
{
    (void)state;
    at.b.auth = (struct emp_auth){one_key, one_token, 1, 1};
    ask("GET", "/health", "", "");
    assert_status(200);
    ask("GET", "/ready", "", "");
    assert_status(200);
    ask("GET", "/api/jobs", "", "");
    assert_status(401);
    assert_has("WWW-Authenticate: Bearer");
    assert_has("\"code\":\"unauthorized\"");
    ask("GET", "/api/jobs", "Authorization: Bearer gpu\r\n", ""); // an agent is no client
    assert_status(401);
    ask("PUT", "/api/artifacts/x/1/a", "Authorization: Bearer sesame\r\n", "");
    assert_status(401);
    ask("POST", "/api/jobs", "", "{}"); // before the body is looked at
    assert_status(401);
    ask("GET", "/no/such/path", "", "");
    assert_status(404);
}

static void test_starting_and_stopping(void **state)
{
    (void)state;
    for (int stopping = 0; stopping < 2; stopping++) {
        atomic_store(&at.b.ready, stopping);
        atomic_store(&at.b.stopping, stopping);
        ask("GET", "/health", "", "");
        assert_status(200);
        static const char *const calls[][2] = {
            {"GET", "/ready"}, {"GET", "/api/jobs"}, {"POST", "/api/jobs"}, {"GET", "/ws/agent"}};
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            ask(calls[i][0], calls[i][1], "", "");
            assert_status(503);
            assert_has("\"code\":\"unavailable\"");
            assert_has(stopping ? "shutting down" : "starting");
            assert_has("Retry-After: 1\r\n");
        }
    }
}

static void test_a_store_that_cannot_be_written(void **state)
{
    struct emp_batch *batch = emp_batch_new();

    (void)state;
    emp_batch_change(batch, &(struct emp_change){.kind = EMP_CHANGE_JOB});
    store_fail(EMP_E_DISK_FULL, 1000000);
    emp_committer_hand(at.b.committer, batch);
    store_wait_tries(2); // the first has failed
    static const char *const writes[][2] = {
        {"POST", "/api/jobs"},         {"POST", "/api/jobs/batch"},
        {"POST", "/api/models"},       {"DELETE", "/api/jobs/x"},
        {"POST", "/api/jobs/x/retry"}, {"POST", "/api/machines/x/drain"},
        {"DELETE", "/api/machines/x"}};
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        ask(writes[i][0], writes[i][1], "", "{}");
        assert_status(507);
        assert_has("\"code\":\"disk_full\"");
        assert_has("nothing was taken");
    }
    ask("GET", "/ready", "", "");
    assert_status(503); // what load balancers look for
    assert_has("no room on the disk");
    ask("GET", "/health", "", "");
    assert_status(200);
    store_fail(0, 0);
}

/* ------------------------------------------------------------------ bodies */

static void test_limits_of_bodies(void **state)
{
    char body[8001];

    (void)state;
    memset(body, ' ', sizeof body);
    static const struct {
        const char *path;
        size_t over;
    } cases[] = {{"/api/jobs", 1001}, {"/api/jobs/batch", 5001}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        body[cases[i].over] = '\0';
        ask("POST", cases[i].path, "", body);
        assert_status(413);
        assert_has("\"code\":\"too_large\"");
        body[cases[i].over] = ' ';
    }
}

static void test_bodies_that_are_no_jobs(void **state)
{
    static const struct {
        const char *body, *text;
    } cases[] = {
        {"", "service_required"},
        {"{}", "service_required"},
        {"[]", "object"},
        {"{\"service_required\":", "\"code\":\"malformed\""},
        {"{\"service_required\":7}", "service_required"},
        {"{\"service_required\":\"x\",\"priority\":\"high\"}", "priority"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask("POST", "/api/jobs", "", cases[i].body);
        assert_status(400);
        assert_has(cases[i].text);
    }
    ask("POST", "/api/jobs/batch", "", "{\"jobs\":7}");
    assert_status(400);
    assert_has("jobs");
}

static void test_answers_are_counted(void **state)
{
    (void)state;
    ask("GET", "/health", "", "");
    ask("GET", "/health", "", "");
    ask("GET", "/no/such/path", "", "");
    assert_int_equal(atomic_load(&at.b.requests[2]), 2);
    assert_int_equal(atomic_load(&at.b.requests[4]), 1);
    assert_int_equal(atomic_load(&at.b.requests[5]), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_paths),
        TEST(test_methods_of_a_path),
        TEST(test_head_is_get_without_the_body),
        TEST(test_preflight),
        TEST(test_listed_origins),
        TEST(test_keys),
        TEST(test_starting_and_stopping),
        TEST(test_a_store_that_cannot_be_written),
        TEST(test_limits_of_bodies),
        TEST(test_bodies_that_are_no_jobs),
        TEST(test_answers_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

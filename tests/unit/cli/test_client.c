/* The client commands against a broker of paper: what they ask, what they print, how they exit. */
#include "check.h"
#include "cli/cli.h"
#include "server.h"

#include <fcntl.h>
#include <unistd.h>

struct ran {
    int status;
    char out[65536], err[65536];
};

static void slurp(FILE *f, char *text, size_t max)
{
    rewind(f);
    text[fread(text, 1, max - 1, f)] = 0;
    fclose(f);
}

/* Runs `emp` in this process, with stdout and stderr in files. */
static void run(struct ran *r, const char *broker, const char **argv)
{
    FILE *out = tmpfile(), *err = tmpfile();
    int argc = 0, saved_out, saved_err;
    setenv("EMP_BROKER", broker, 1);
    while (argv[argc])
        argc++;
    fflush(stdout);
    saved_out = dup(1);
    saved_err = dup(2);
    dup2(fileno(out), 1);
    dup2(fileno(err), 2);
    r->status = emp_cli_main(argc, (char **)argv);
    fflush(stdout);
    fflush(stderr);
    dup2(saved_out, 1);
    dup2(saved_err, 2);
    close(saved_out);
    close(saved_err);
    slurp(out, r->out, sizeof r->out);
    slurp(err, r->err, sizeof r->err);
}
#define RUN(r, url, ...) run((r), (url), (const char *[]){"emp", __VA_ARGS__, NULL})

static struct server server;
static struct ran r;

static void jobs_are_a_table(void **state)
{
    static const struct answer answers[] = {
        {"GET /api/jobs", 200,
         "{\"success\":true,\"jobs\":[{\"id\":\"j-1\",\"status\":\"completed\",\"service_"
         "required\":\"ocr\",\"priority\":50,"
         "\"worker_id\":\"m-1\",\"created_at\":\"2026-01-01T00:00:00.000Z\",\"started_at\":\"2026-"
         "01-01T00:00:01.000Z\","
         "\"completed_at\":\"2026-01-01T00:00:03.500Z\"}],\"total\":7}",
         NULL},
        {0},
    };
    (void)state;
    server_start(&server, answers);
    setenv("EMP_API_KEY", "sesame", 1);
    RUN(&r, server.url, "jobs", "--status", "completed", "--customer", "a&b", "--limit", "1");
    unsetenv("EMP_API_KEY");
    server_stop(&server);
    assert_int_equal(r.status, 0);
    assert_contains(server.log,
                    "GET /api/jobs?limit=1&offset=0&status=completed&customer_id=a%26b HTTP/1.1");
    assert_contains(server.log, "Authorization: Bearer sesame\r\n");
    assert_contains(r.out, "JOB  STATUS     SERVICE  PRIORITY  MACHINE");
    assert_contains(r.out, "j-1  completed  ocr            50  m-1");
    assert_contains(r.out, "1.00 s  2.50 s");
    assert_contains(r.out, "1 of 7; --limit and --offset show others");
    assert_null(strchr(r.out, '\x1b'));
}

static void json_comes_as_it_is(void **state)
{
    static const struct answer answers[] = {
        {"GET /api/pools", 200, "{ \"pools\" : [ ] }", NULL},
        {"GET /api/jobs/nope", 404,
         "{\"success\":false,\"error\":\"Job not found\",\"code\":\"not_found\"}", NULL},
        {0},
    };
    (void)state;
    server_start(&server, answers);
    RUN(&r, server.url, "pools", "--json");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "{ \"pools\" : [ ] }\n");
    RUN(&r, server.url, "job", "nope", "--json");
    assert_int_equal(r.status, emp_error_exit(EMP_E_NOT_FOUND));
    assert_contains(r.out, "\"code\":\"not_found\"");
    assert_string_equal(r.err, "emp: Job not found\n");
    server_stop(&server);
}

static void refusals_become_exit_codes(void **state)
{
    static const struct answer answers[] = {
        {"GET /api/machines", 401,
         "{\"success\":false,\"error\":\"no key\",\"code\":\"unauthorized\"}", NULL},
        {"GET /api/models", 502, "<html>", "text/html"},
        {"GET /api/pools", 200, "<html>", "text/html"},
        {"POST /api/jobs/a/cancel", 200, "{\"success\":true}", NULL},
        {"POST /api/jobs/b/cancel", 409,
         "{\"success\":false,\"error\":\"it has \\u001b[2J ended\",\"code\":\"conflict\"}", NULL},
        {"POST /api/jobs/c/cancel", 200, "{\"success\":true}", NULL},
        {0},
    };
    (void)state;
    server_start(&server, answers);
    RUN(&r, server.url, "machines");
    assert_int_equal(r.status, emp_error_exit(EMP_E_UNAUTHORIZED));
    assert_contains(r.err, "set EMP_API_KEY");
    RUN(&r, server.url, "models");
    assert_int_equal(r.status, emp_error_exit(EMP_E_INTERNAL));
    assert_contains(r.err, "answered with status 502");
    RUN(&r, server.url, "pools");
    assert_int_equal(r.status, emp_error_exit(EMP_E_PROTOCOL));
    RUN(&r, server.url, "cancel", "a", "b", "c");
    assert_int_equal(r.status, emp_error_exit(EMP_E_CONFLICT));
    assert_string_equal(r.out, "cancelled: a\ncancelled: c\n");
    assert_string_equal(r.err, "emp: it has  [2J ended\n");
    server_stop(&server);
    RUN(&r, server.url, "jobs"); /* nobody listens there any more */
    assert_int_equal(r.status, emp_error_exit(EMP_E_NET));
}

static void a_submission_holds_what_was_said(void **state)
{
    static const struct answer answers[] = {
        {"POST /api/jobs", 201, "{\"success\":true,\"job_id\":\"j-9\"}", NULL},
        {0},
    };
    (void)state;
    server_start(&server, answers);
    RUN(&r, server.url, "submit", "ocr", "--payload", "{\"seed\": 18446744073709551615}", "--model",
        "eng", "-m", "deu", "--priority", "0", "--customer", "c\"1", "--tier", "premium", "--pool",
        "heavy", "--timeout", "1500ms", "--wait", "--idempotency-key", "k1");
    server_stop(&server);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "j-9\n");
    assert_contains(server.log, "Idempotency-Key: k1\r\n");
    assert_contains(
        server.log,
        "\r\n\r\n{\"service_required\":\"ocr\",\"payload\":{\"seed\": 18446744073709551615},"
        "\"models\":[\"eng\",\"deu\"],\"priority\":0,\"customer_id\":\"c\\\"1\",\"user_tier\":"
        "\"premium\","
        "\"pool\":\"heavy\",\"timeout_s\":1.5,\"wait\":true}");
}

static void wrong_submissions_never_leave(void **state)
{
    static const struct answer none[] = {{0}};
    (void)state;
    server_start(&server, none);
    RUN(&r, server.url, "submit", "ocr", "--payload", "{\"a\":");
    assert_int_equal(r.status, 2);
    assert_contains(r.err, "emp: payload: ");
    RUN(&r, server.url, "submit", "ocr", "--payload", "@/nonexistent");
    assert_contains(r.err, "/nonexistent: No such file");
    RUN(&r, server.url, "submit", "ocr", "--timeout", "5");
    assert_contains(r.err, "--timeout 5: it wants a duration");
    RUN(&r, server.url, "submit", "ocr", "--priority", "high");
    assert_contains(r.err, "--priority high: it wants a number");
    RUN(&r, server.url, "submit");
    assert_contains(r.err, "either a service or --file");
    RUN(&r, server.url, "submit", "--file", "/dev/null", "--priority", "5");
    assert_contains(r.err, "--priority does not go with --file");
    RUN(&r, server.url, "submit", "ocr", "--idempotency-key", "a\r\nX: y");
    assert_contains(r.err, "control characters");
    RUN(&r, "ftp://x", "jobs");
    assert_contains(r.err, "EMP_BROKER ftp://x: it wants http://HOST:PORT");
    server_stop(&server);
    assert_string_equal(server.log, "");
}

static void batches_tell_each_refusal(void **state)
{
    static const struct answer answers[] = {
        {"POST /api/jobs/batch", 200,
         "{\"success\":true,\"jobs\":[{\"success\":true,\"job_id\":\"a\"},{\"success\":false,"
         "\"error\":\"unknown service\","
         "\"code\":\"unknown_service\"}]}",
         NULL},
        {0},
    };
    char path[] = "/tmp/emp-test-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "[{\"service_required\":\"x\"},{\"service_required\":\"y\"}]\n";
    (void)state;
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    server_start(&server, answers);
    RUN(&r, server.url, "submit", "--file", path);
    server_stop(&server);
    unlink(path);
    assert_int_equal(r.status, 1);
    assert_string_equal(r.out, "a\n");
    assert_contains(r.err, "job 2: unknown service");
    assert_contains(server.log,
                    "{\"jobs\":[{\"service_required\":\"x\"},{\"service_required\":\"y\"}]\n}");
}

#define STREAM "text/event-stream"

static void watching_follows_the_events(void **state)
{
    static const struct answer answers[] = {
        {"POST /api/jobs", 201, "{\"success\":true,\"job_id\":\"j-9\"}", NULL},
        {"GET /api/jobs/j-9", 200, "{\"job\":{\"id\":\"j-9\",\"status\":\"pending\"}}", NULL},
        {"GET /api/jobs/j-9", 200,
         "{\"job\":{\"id\":\"j-9\",\"status\":\"completed\",\"result\":{\"ok\":1}}}", NULL},
        {"GET /api/jobs/j-9/events", 200,
         ": hello\n\nevent: state\ndata: "
         "{\"job_id\":\"j-9\",\"status\":\"in_progress\",\"worker_id\":\"m-1\"}\n\n"
         "event: progress\ndata: {\"progress\":40,\"message\":\"half\"}\n\n"
         "event: end\ndata: {\"status\":\"completed\"}\n\n",
         STREAM},
        {0},
    };
    (void)state;
    server_start(&server, answers);
    RUN(&r, server.url, "submit", "ocr", "--watch");
    server_stop(&server);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.err, "j-9 pending\nj-9 in_progress on m-1\nj-9 completed on m-1\n");
    assert_contains(r.out, "status      completed\n");
    assert_contains(r.out, "\"ok\": 1");
}

static void watching_polls_where_there_is_no_stream(void **state)
{
    static const struct answer answers[] = {
        {"POST /api/jobs", 201, "{\"success\":true,\"job_id\":\"j-9\"}", NULL},
        {"GET /api/jobs/j-9", 200, "{\"job\":{\"id\":\"j-9\",\"status\":\"pending\"}}", NULL},
        {"GET /api/jobs/j-9", 503,
         "{\"success\":false,\"error\":\"not ready\",\"code\":\"unavailable\"}", NULL},
        {"GET /api/jobs/j-9", 200,
         "{\"job\":{\"id\":\"j-9\",\"status\":\"failed\",\"error\":\"no luck\"}}", NULL},
        {0},
    };
    (void)state;
    server_start(&server, answers);
    RUN(&r, server.url, "submit", "ocr", "--watch");
    server_stop(&server);
    assert_int_equal(r.status, 1);
    assert_contains(r.out, "error       no luck\n");
}

static void a_decision_is_explained(void **state)
{
    static const struct answer answers[] = {
        {"GET /api/jobs/j/decision", 200,
         "{\"success\":true,\"decision\":{\"chosen\":\"m-1\",\"runner_up\":\"m-2\",\"candidates\":["
         "{\"machine_id\":\"m-1\",\"poolType\":\"heavy\",\"machineHasModels\":true,"
         "\"estimatedWaitTime\":0.5,\"cost\":2.25,"
         "\"terms\":{\"slot_free\":0,\"fetch\":0,\"load\":0.5,\"run_delta\":-0.25,\"pool_penalty\":"
         "0,\"displacement\":0,\"risk\":2}},"
         "{\"machine_id\":\"m-2\",\"poolType\":\"standard\",\"machineHasModels\":false,\"cost\":"
         "200,\"terms\":{\"fetch\":180}}],"
         "\"requiredModels\":[\"eng\",\"deu\"],\"fallback\":\"none\",\"reason\":\"it starts there "
         "first\",\"waiting_for\":null}}",
         NULL},
        {0},
    };
    (void)state;
    server_start(&server, answers);
    RUN(&r, server.url, "explain", "j");
    server_stop(&server);
    assert_int_equal(r.status, 0);
    assert_contains(r.out, "chosen      m-1\nrunner-up   m-2\n");
    assert_contains(r.out, "reason      it starts there first\n");
    assert_contains(r.out, "models      eng, deu\n");
    assert_contains(r.out,
                    "→    m-1      heavy     there          0 s        0 s  500 ms  -250 ms");
    assert_contains(r.out, "2nd  m-2      standard  missing             3 min 0 s");
}

static void a_model_is_added(void **state)
{
    static const struct answer answers[] = {{"POST /api/models", 201, "{\"success\":true}", NULL},
                                            {0}};
    (void)state;
    server_start(&server, answers);
    RUN(&r, server.url, "models", "add", "eng", "--bytes", "4mb", "--url", "http://a/x", "--url",
        "http://b/x", "--pinned");
    assert_int_equal(r.status, 0);
    assert_contains(server.log, "{\"name\":\"eng\",\"bytes\":4000000,\"urls\":[\"http://a/"
                                "x\",\"http://b/x\"],\"pinned\":true}");
    RUN(&r, server.url, "models", "add", "eng");
    assert_contains(r.err, "--bytes SIZE is needed");
    RUN(&r, server.url, "models", "--bytes", "5");
    assert_contains(r.err, "--bytes goes with `emp models add NAME` only");
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_a_table),
        cmocka_unit_test(json_comes_as_it_is),
        cmocka_unit_test(refusals_become_exit_codes),
        cmocka_unit_test(a_submission_holds_what_was_said),
        cmocka_unit_test(wrong_submissions_never_leave),
        cmocka_unit_test(batches_tell_each_refusal),
        cmocka_unit_test(watching_follows_the_events),
        cmocka_unit_test(watching_polls_where_there_is_no_stream),
        cmocka_unit_test(a_decision_is_explained),
        cmocka_unit_test(a_model_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Outputs on their way to a broker that is busy, away, or wants nothing of them. */
#include "agent/upload.h"

#include "check.h"
#include "origin.h"
#include "os/sha256.h"

#include <fcntl.h>
#include <unistd.h>

enum { OUTPUTS_MAX = 8, BIG = 3000000 };

struct rig {
    struct place *p;
    struct origin origin;
    struct emp_http_client *http;
    struct emp_run_output outputs[OUTPUTS_MAX];
    uint32_t count;
    struct emp_upload *upload;
    bool done;
    struct emp_error err;
    struct emp_output told[OUTPUTS_MAX];
    uint32_t told_count;
    struct emp_buf got; /* what arrived: "METHOD PATH BODY" lines; by the origin's thread alone
                           until it stops */
    char token[64], type[64], sha[80];
};

/* ---------------------------------------------------------------- behaviours */

static void answer(int fd, const char *status, const char *body)
{
    origin_say(fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
               strlen(body), body);
}

static void keep(char *to, size_t max, const struct origin_request *r, const char *name)
{
    const char *at = strcasestr(r->head, name);
    if (at)
        snprintf(to, max, "%.*s", (int)strcspn(at + strlen(name), "\r"), at + strlen(name));
}

static void takes(void *arg, int fd, const struct origin_request *r)
{
    struct rig *g = arg;
    emp_buf_printf(&g->got, "%s %s %zu\n", r->method, r->path, r->body_len);
    keep(g->token, sizeof g->token, r, "\r\nauthorization: ");
    keep(g->type, sizeof g->type, r, "\r\ncontent-type: ");
    keep(g->sha, sizeof g->sha, r, "\r\nx-content-sha256: ");
    answer(fd, "201 Created", "");
}

static void busy(void *arg, int fd, const struct origin_request *r)
{
    if (r->nth < 3)
        answer(fd, (const char *[]){"503 Busy", "429 Slower", "500 Oops"}[r->nth], "");
    else
        takes(arg, fd, r);
}

static void hangs_up(void *arg, int fd, const struct origin_request *r)
{
    if (r->nth >= 2)
        takes(arg, fd, r);
}

static void never(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    origin_hold(fd);
}

static void refuses(void *arg, int fd,
                    const struct origin_request *r) // with the status that the job's id names
{
    (void)arg;
    answer(fd,
           strstr(r->path, "job-404")   ? "404 Not Found"
           : strstr(r->path, "job-409") ? "409 Conflict"
           : strstr(r->path, "job-410") ? "410 Gone"
           : strstr(r->path, "job-413") ? "413 Too Large"
                                        : "400 Bad Request",
           "{\"error\":\"not this one\"}");
}

#define ACT(name)      \
    {                  \
#name, name, 0 \
    }
static const struct origin_act acts_all[] = {ACT(takes), ACT(busy),    ACT(hangs_up),
                                             ACT(never), ACT(refuses), {NULL, NULL, 0}};

/* ---------------------------------------------------------------- the rig */

static void on_done(void *arg, const struct emp_error *err, const struct emp_output *outputs,
                    uint32_t count)
{
    struct rig *g = arg;
    assert_false(g->done);
    g->done = true;
    g->err = *err;
    g->told_count = count;
    for (uint32_t i = 0; i < count; i++) {
        g->told[i] = outputs[i];
        g->told[i].name = emp_str_copy(&g->p->arena, outputs[i].name);
    }
}

static void add(struct rig *g, const char *name, const void *bytes, size_t len)
{
    place_write(g->p, name, bytes, len);
    g->outputs[g->count++] =
        (struct emp_run_output){.name = emp_str_z(name), .path = place_path(g->p, name)};
}

static void start(struct rig *g, const char *behaviour, const char *job_id)
{
    struct emp_upload_options o = {.loop = &g->p->loop,
                                   .http = g->http,
                                   .base = origin_url(&g->origin, g->p, behaviour).ptr,
                                   .bearer = "the token",
                                   .pause_ms_max = 10};
    struct emp_upload_job job = {emp_str_z(job_id), 3, g->outputs, g->count};
    struct emp_upload_sink sink = {g, on_done};
    g->upload = emp_upload_start(&o, &job, &sink);
    assert_false(g->done);
}

static int upload(struct rig *g, const char *behaviour, const char *job_id)
{
    start(g, behaviour, job_id);
    UNTIL(g->p, g->done);
    return g->err.code;
}

static int setup(void **state)
{
    static struct origin_act acts[sizeof acts_all / sizeof *acts_all];
    if (place_make(state) < 0)
        return -1;
    struct rig *g = calloc(1, sizeof *g);
    g->p = *state;
    emp_buf_init(&g->got, 1 << 20);
    memcpy(acts, acts_all, sizeof acts);
    origin_start(&g->origin, acts, g);
    *state = g;
    return emp_http_client_new(&g->p->loop, NULL, &g->http);
}

static int teardown(void **state)
{
    struct rig *g = *state;
    *state = g->p;
    if (g->upload && !g->done) // of a case that failed
        emp_upload_cancel(g->upload);
    emp_http_client_close(g->http, NULL, NULL);
    while (uv_loop_alive(&g->p->loop))
        uv_run(&g->p->loop, UV_RUN_ONCE);
    origin_stop(&g->origin);
    emp_buf_release(&g->got);
    free(g);
    return place_remove(state);
}

/* ---------------------------------------------------------------- cases */

static void outputs_arrive_one_after_the_other(void **state)
{
    struct rig *g = *state;
    char *big = test_calloc(1, BIG);
    add(g, "a.png", "12345", 5);
    add(g, "d/\xc3\xa9 ?#%.TXT", "", 0);
    add(g, "big", big, BIG);
    assert_int_equal(upload(g, "takes", "job-1"), 0);
    assert_string_equal(g->got.data, "PUT /api/artifacts/job-1/3/a.png 5\n"
                                     "PUT /api/artifacts/job-1/3/d/%C3%A9%20%3F%23%25.TXT 0\n"
                                     "PUT /api/artifacts/job-1/3/big 3000000\n");
    assert_int_equal(g->told_count, 3);
    assert_true(emp_str_eq(g->told[0].name, EMP_STR("a.png")) &&
                emp_str_eq(g->told[0].type, EMP_STR("image/png")));
    assert_true(emp_str_eq(g->told[1].type, EMP_STR("text/plain; charset=utf-8")));
    assert_int_equal(g->told[2].bytes, BIG);
    assert_string_equal(g->token, "Bearer the token");
    assert_string_equal(g->type, "application/octet-stream");
    assert_string_equal(g->sha, g->told[2].sha256);
    test_free(big);
}

static void nothing_to_bring_is_done(void **state)
{
    struct rig *g = *state;
    assert_int_equal(upload(g, "takes", "job-1"), 0);
    assert_int_equal(g->told_count, 0);
}

static void the_hash_is_that_of_the_file(void **state)
{
    struct rig *g = *state;
    uint8_t digest[EMP_SHA256_BYTES];
    char hex[EMP_SHA256_HEX];
    add(g, "a", "12345", 5);
    emp_sha256_of("12345", 5, digest);
    emp_sha256_hex(digest, hex);
    assert_int_equal(upload(g, "takes", "job-1"), 0);
    assert_string_equal(g->told[0].sha256, hex);
}

static void a_busy_broker_is_asked_until_it_takes_it(void **state)
{
    struct rig *g = *state;
    add(g, "a", "12345", 5);
    add(g, "b", "1", 1);
    assert_int_equal(upload(g, "busy", "job-1"), 0);
    assert_string_equal(origin_story(&g->origin, g->p), "busy; busy; busy; busy; busy");
    assert_string_equal(g->got.data,
                        "PUT /api/artifacts/job-1/3/a 5\nPUT /api/artifacts/job-1/3/b 1\n");
}

static void a_broken_connection_is_made_anew(void **state)
{
    struct rig *g = *state;
    add(g, "a", "12345", 5);
    assert_int_equal(upload(g, "hangs_up", "job-1"), 0);
    assert_string_equal(g->got.data, "PUT /api/artifacts/job-1/3/a 5\n");
}

static void what_is_not_wanted_any_more_ends(void **state)
{
    static const char *const gone[] = {"job-404", "job-409", "job-410"};
    struct rig *g = *state;
    add(g, "a", "12345", 5);
    add(g, "b", "1", 1);
    for (int i = 0; i < 3; i++) {
        g->done = false;
        assert_int_equal(upload(g, "refuses", gone[i]), EMP_E_CONFLICT);
        assert_int_equal(g->told_count, 0);
    }
    assert_string_equal(origin_story(&g->origin, g->p),
                        "refuses; refuses; refuses"); // one try each
}

static void what_is_refused_is_told_with_the_brokers_words(void **state)
{
    struct rig *g = *state;
    add(g, "a", "12345", 5);
    assert_int_equal(upload(g, "refuses", "job-413"), EMP_E_LIMIT);
    assert_non_null(strstr(g->err.text, "output \"a\""));
    assert_non_null(strstr(g->err.text, "413"));
    assert_non_null(strstr(g->err.text, "not this one"));
    g->done = false;
    assert_int_equal(upload(g, "refuses", "job-1"), EMP_E_JOB_FAILED);
}

static void a_file_that_is_gone_is_this_machines_fault(void **state)
{
    struct rig *g = *state;
    add(g, "a", "12345", 5);
    unlink(g->outputs[0].path);
    assert_int_equal(upload(g, "takes", "job-1"), EMP_E_IO);
    assert_non_null(strstr(g->err.text, "a"));
}

static void a_link_is_not_followed(void **state)
{
    struct rig *g = *state;
    add(g, "a", "12345", 5);
    unlink(g->outputs[0].path);
    assert_int_equal(symlink("/etc/passwd", g->outputs[0].path), 0);
    assert_true(upload(g, "takes", "job-1") < 0);
    assert_string_equal(origin_story(&g->origin, g->p), "");
}

static void cancelled_at_any_moment(void **state)
{
    struct rig *g = *state;
    add(g, "a", "12345", 5);
    start(g, "takes", "job-1"); // before it began
    emp_upload_cancel(g->upload);
    UNTIL(g->p, g->done);
    assert_int_equal(g->err.code, EMP_E_CANCELLED);
    g->done = false;
    start(g, "never", "job-1"); // while the broker does not answer
    UNTIL(g->p, strcmp(origin_story(&g->origin, g->p), "never") == 0);
    emp_upload_cancel(g->upload);
    emp_upload_cancel(g->upload);
    assert_false(g->done);
    UNTIL(g->p, g->done);
    assert_int_equal(g->err.code, EMP_E_CANCELLED);
    assert_int_equal(g->told_count, 0);
}

static void types_come_from_extensions(void **state)
{
    (void)state;
    assert_true(emp_str_eq(emp_media_type(EMP_STR("x.JPeG")), EMP_STR("image/jpeg")));
    assert_true(emp_str_eq(emp_media_type(EMP_STR("x.tar.gz")), EMP_STR("application/gzip")));
    assert_true(emp_str_eq(emp_media_type(EMP_STR("png")), EMP_STR("application/octet-stream")));
    assert_true(emp_str_eq(emp_media_type(EMP_STR("x.")), EMP_STR("application/octet-stream")));
    assert_true(
        emp_str_eq(emp_media_type((struct emp_str){0}), EMP_STR("application/octet-stream")));
}

int main(void)
{
#define RIGGED(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        RIGGED(outputs_arrive_one_after_the_other),
        RIGGED(nothing_to_bring_is_done),
        RIGGED(the_hash_is_that_of_the_file),
        RIGGED(a_busy_broker_is_asked_until_it_takes_it),
        RIGGED(a_broken_connection_is_made_anew),
        RIGGED(what_is_not_wanted_any_more_ends),
        RIGGED(what_is_refused_is_told_with_the_brokers_words),
        RIGGED(a_file_that_is_gone_is_this_machines_fault),
        RIGGED(a_link_is_not_followed),
        RIGGED(cancelled_at_any_moment),
        CASE(types_come_from_extensions),
    };
    return cmocka_run_group_tests_name("agent/upload", tests, NULL, NULL);
}

/* Paths and queries, by a table; the request is made by hand, no server is needed. */
#include "check.h"
#include "net/http_internal.h"

static struct emp_http_request *parsed(const char *uri, int want)
{
    struct emp_http_request *req = calloc(1, sizeof *req);
    struct emp_error err = {0};
    req->uri = strdup(uri);
    int r = emp_http_uri_parse(req, &err);
    if (r != want)
        fail_msg("%s: %d (%s), not %d", uri, r, err.text, want);
    return req;
}

static void drop(struct emp_http_request *req)
{
    free(req->uri);
    free(req->decoded);
    free(req->joined);
    free(req);
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *uri;
        int code;
    } rows[] = {
        {"/%", EMP_E_MALFORMED},
        {"/a%2", EMP_E_MALFORMED},
        {"/%zz", EMP_E_MALFORMED},
        {"/a%00b", EMP_E_INVALID},
        {"/a%0ab", EMP_E_INVALID},
        {"/%7f", EMP_E_INVALID},
        {"/%ff", EMP_E_INVALID},
        {"/%c0%af", EMP_E_INVALID},
        {"/.", EMP_E_INVALID},
        {"/..", EMP_E_INVALID},
        {"/a/../b", EMP_E_INVALID},
        {"/a/%2e%2e/b", EMP_E_INVALID},
        {"/%2e%2e%2fb", EMP_E_INVALID},
        {"/a%2f..", EMP_E_INVALID},
        {"a", EMP_E_INVALID},
        {"", EMP_E_INVALID},
        {"/?a=%", EMP_E_MALFORMED},
        {"/?%00=1", EMP_E_INVALID},
        {"/?a=%ff", EMP_E_INVALID},
        {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25", EMP_E_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        drop(parsed(rows[i].uri, rows[i].code));
}

static void too_long_or_too_many(void **state)
{
    char uri[EMP_HTTP_URI_BYTES_MAX + 2];
    (void)state;
    memset(uri, 'a', sizeof uri);
    uri[0] = '/';
    uri[sizeof uri - 1] = '\0';
    drop(parsed(uri, EMP_E_INVALID));
    uri[sizeof uri - 2] = '\0';
    drop(parsed(uri, 0));
    strcpy(uri, "/?");
    for (int i = 0; i <= EMP_HTTP_PARAMS_MAX; i++)
        strcat(uri, "a&");
    drop(parsed(uri, EMP_E_INVALID));
}

static void segments_are_split_before_they_are_decoded(void **state)
{
    struct emp_http_request *req = parsed("/api/models/org%2Fmodel%20x/", 0);
    (void)state;
    assert_int_equal(emp_http_segment_count(req), 3);
    assert_true(emp_str_eq(emp_http_segment(req, 2), EMP_STR("org/model x")));
    assert_int_equal(emp_http_segment(req, 3).len, 0);
    drop(req);
    req = parsed("/", 0);
    assert_int_equal(emp_http_segment_count(req), 0);
    drop(req);
    drop(parsed("/...", 0)); // three dots are a name
}

static void queries(void **state)
{
    struct emp_http_request *req = parsed("/x?a=1+2&b=%2B&&c&d==&a=9", 0);
    struct emp_str v, name;
    (void)state;
    assert_int_equal(emp_http_param_count(req), 5);
    assert_true(emp_http_param(req, "a", &v) && emp_str_eq(v, EMP_STR("1 2")));
    assert_true(emp_http_param(req, "b", &v) && emp_str_eq(v, EMP_STR("+")));
    assert_true(emp_http_param(req, "c", &v) && v.len == 0);
    assert_true(emp_http_param(req, "d", &v) && emp_str_eq(v, EMP_STR("=")));
    assert_false(emp_http_param(req, "e", NULL));
    assert_true(emp_http_param_duplicate(req, &name) && emp_str_eq(name, EMP_STR("a")));
    assert_true(emp_str_eq(emp_http_raw_path(req), EMP_STR("/x")));
    drop(req);
}

static void patterns(void **state)
{
    struct emp_str args[EMP_HTTP_SEGMENTS_MAX];
    struct emp_http_request *req = parsed("/api/artifacts/j1/2/out/a%20b.png", 0);
    (void)state;
    assert_true(emp_http_match(req, "/api/artifacts/:job/:attempt/*", args));
    assert_true(emp_str_eq(args[0], EMP_STR("j1")));
    assert_true(emp_str_eq(args[1], EMP_STR("2")));
    assert_true(emp_str_eq(args[2], EMP_STR("out/a b.png")));
    assert_true(emp_http_match(req, "/api/*", args));
    assert_true(emp_str_eq(args[0], EMP_STR("artifacts/j1/2/out/a b.png")));
    assert_false(emp_http_match(req, "/api/artifacts/:job", NULL));
    assert_false(emp_http_match(req, "/api/jobs/*", NULL));
    drop(req);
    req = parsed("/api/jobs//", 0);
    assert_false(emp_http_match(req, "/api/jobs/:id", args)); // an empty part is no id
    drop(req);
    req = parsed("/", 0);
    assert_true(emp_http_match(req, "/", NULL));
    assert_false(emp_http_match(req, "/*", NULL));
    drop(req);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(too_long_or_too_many),
        cmocka_unit_test(segments_are_split_before_they_are_decoded),
        cmocka_unit_test(queries),
        cmocka_unit_test(patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

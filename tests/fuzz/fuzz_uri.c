/* Addresses of requests: what is taken holds nothing that leads elsewhere, and GET /api/jobs makes
 * of its query what lies within the limits. */
#include "fuzz.h"

#include "broker/query.h"
#include "net/http_internal.h"

const char *const fuzz_words[] = {
    "/api/jobs",
    "/api/artifacts/",
    "%2e%2e",
    "%2f",
    "%2F..",
    "?limit=10",
    "status=failed",
    "sort=",
    "offset=",
    "&",
    "=",
    "+",
    "%ff",
    "%c3%a4",
    "/./",
    "//",
    "?",
    "%",
    NULL,
};

static void check_text(struct emp_str s)
{
    FUZZ_CHECK(emp_utf8_valid(s.ptr, s.len));
    for (uint32_t i = 0; i < s.len; i++)
        FUZZ_CHECK((unsigned char)s.ptr[i] >= 0x20 && s.ptr[i] != 0x7f);
}

static void check_segment(struct emp_str s)
{
    check_text(s);
    FUZZ_CHECK(!emp_str_eq(s, EMP_STR(".")) && !emp_str_eq(s, EMP_STR("..")));
    FUZZ_CHECK(!s.len ||
               (!memmem(s.ptr, s.len, "/../", 4) && !(s.len > 2 && memcmp(s.ptr, "../", 3) == 0)));
    FUZZ_CHECK(s.len < 3 || memcmp(s.ptr + s.len - 3, "/..", 3) != 0);
}

static void check_matches(struct emp_http_request *req)
{
    static const char *const patterns[] = {
        "/", "/api/jobs", "/api/jobs/:id", "/api/jobs/:id/cancel", "/api/artifacts/:id/*", "/*"};
    struct emp_str args[EMP_HTTP_SEGMENTS_MAX];
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (emp_http_match(req, patterns[i], args) && strchr(patterns[i], ':'))
            check_text(args[0]);
}

static void check_query(const struct emp_http_request *req)
{
    struct emp_query_pair pairs[EMP_HTTP_PARAMS_MAX];
    struct emp_store_query q;
    struct emp_error err = {0};
    for (uint32_t i = 0; i < req->param_count; i++)
        pairs[i] = (struct emp_query_pair){req->params[i].name, req->params[i].value};
    int r = emp_query_jobs(pairs, req->param_count, &q, &err);
    if (r < 0)
        FUZZ_CHECK(r == EMP_E_INVALID && err.text[0]);
    else
        FUZZ_CHECK(q.limit <= 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_http_request *req = calloc(1, sizeof *req);
    struct emp_error err = {0};
    req->uri = malloc(size + 1);
    memcpy(req->uri, data, size);
    req->uri[size] = '\0';
    int r = emp_http_uri_parse(req, &err);
    if (r < 0) {
        FUZZ_CHECK((r == EMP_E_INVALID || r == EMP_E_MALFORMED) && err.text[0]);
    } else {
        fuzz_taken++;
        FUZZ_CHECK(req->segment_count <= EMP_HTTP_SEGMENTS_MAX &&
                   req->param_count <= EMP_HTTP_PARAMS_MAX);
        for (uint32_t i = 0; i < req->segment_count; i++)
            check_segment(req->segments[i]);
        for (uint32_t i = 0; i < req->param_count; i++) {
            check_text(req->params[i].name);
            check_text(req->params[i].value);
        }
        check_matches(req);
        check_query(req);
    }
    free(req->uri);
    free(req->decoded);
    free(req->joined);
    free(req);
    return 0;
}

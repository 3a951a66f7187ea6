/* The path and query of a request, from the raw URI: libmicrohttpd's own decoding would turn
 * "%2e%2e%2f" into "../" and cut at %00. Segments are split first and decoded afterwards, so that
 * an encoded slash stays inside its segment. */
#include "net/http_internal.h"

#include <stdlib.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes [p, end) to *out, which moves on. */
static int decode(const char *p, const char *end, bool plus, char **out, struct emp_str *ret,
                  struct emp_error *err)
{
    char *start = *out, *to = start;
    while (p < end) {
        int c = (unsigned char)*p++;
        if (c == '%') {
            int high = p < end ? hex(p[0]) : -1, low = p + 1 < end ? hex(p[1]) : -1;
            if (high < 0 || low < 0)
                return emp_fail(err, EMP_E_MALFORMED, "path",
                                "the address has a malformed %%-escape");
            c = high * 16 + low;
            p += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return emp_fail(err, EMP_E_INVALID, "path",
                            "the address has a control character (0x%02x)", (unsigned)c);
        *to++ = (char)c;
    }
    *ret = (struct emp_str){start, (uint32_t)(to - start)};
    if (!emp_utf8_valid(start, ret->len))
        return emp_fail(err, EMP_E_INVALID, "path", "the address is not valid UTF-8");
    *out = to;
    return 0;
}

/* "." or "..", also between decoded slashes. */
static bool has_dots(struct emp_str s)
{
    uint32_t from = 0;
    for (uint32_t i = 0; i <= s.len; i++) {
        if (i < s.len && s.ptr[i] != '/')
            continue;
        uint32_t n = i - from;
        if ((n == 1 || n == 2) && memcmp(s.ptr + from, "..", n) == 0)
            return true;
        from = i + 1;
    }
    return false;
}

static int parse_path(struct emp_http_request *req, char **out, struct emp_error *err)
{
    const char *p = req->raw_path.ptr, *end = p + req->raw_path.len;
    if (p == end || *p != '/')
        return emp_fail(err, EMP_E_INVALID, "path", "the address does not begin with '/'");
    p++;
    if (end > p && end[-1] == '/')
        end--;
    while (p < end) {
        const char *slash = memchr(p, '/', (size_t)(end - p)), *stop = slash ? slash : end;
        if (req->segment_count == EMP_HTTP_SEGMENTS_MAX)
            return emp_fail(err, EMP_E_INVALID, "path", "the path has more than %d parts",
                            EMP_HTTP_SEGMENTS_MAX);
        struct emp_str *s = &req->segments[req->segment_count++];
        int r = decode(p, stop, false, out, s, err);
        if (r < 0)
            return r;
        if (has_dots(*s))
            return emp_fail(err, EMP_E_INVALID, "path", "the path has a part \".\" or \"..\"");
        p = slash ? slash + 1 : end;
    }
    return 0;
}

static int parse_query(struct emp_http_request *req, const char *p, char **out,
                       struct emp_error *err)
{
    const char *end = p + strlen(p);
    while (p < end) {
        const char *amp = memchr(p, '&', (size_t)(end - p)), *stop = amp ? amp : end;
        const char *equals = memchr(p, '=', (size_t)(stop - p));
        if (stop > p) {
            if (req->param_count == EMP_HTTP_PARAMS_MAX)
                return emp_fail(err, EMP_E_INVALID, "query",
                                "the query has more than %d parameters", EMP_HTTP_PARAMS_MAX);
            struct emp_http_param *q = &req->params[req->param_count++];
            int r = decode(p, equals ? equals : stop, true, out, &q->name, err);
            if (r == 0 && equals)
                r = decode(equals + 1, stop, true, out, &q->value, err);
            if (r < 0)
                return r;
        }
        p = stop + (amp != NULL);
    }
    return 0;
}

int emp_http_uri_parse(struct emp_http_request *req, struct emp_error *err)
{
    size_t len = strlen(req->uri);
    const char *query = strchr(req->uri, '?');
    req->raw_path =
        (struct emp_str){req->uri, (uint32_t)(query ? (size_t)(query - req->uri) : len)};
    if (len > EMP_HTTP_URI_BYTES_MAX)
        return emp_fail(err, EMP_E_INVALID, "path", "the address is longer than %d bytes",
                        EMP_HTTP_URI_BYTES_MAX);
    if (req->method == EMP_HTTP_OPTIONS && strcmp(req->uri, "*") == 0)
        return 0;
    req->decoded = malloc(len + 1);
    if (req->decoded == NULL)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
    char *out = req->decoded;
    int r = parse_path(req, &out, err);
    return r == 0 && query ? parse_query(req, query + 1, &out, err) : r;
}

/* ------------------------------------------------------------------ matching */

/* The segments from `from` on, joined by '/'. */
static struct emp_str join(struct emp_http_request *req, uint32_t from)
{
    size_t len = 0;
    for (uint32_t i = from; i < req->segment_count; i++)
        len += req->segments[i].len + 1u;
    char *joined = realloc(req->joined, len + 1), *to = joined;
    if (joined == NULL)
        return (struct emp_str){0};
    req->joined = joined;
    for (uint32_t i = from; i < req->segment_count; i++) {
        struct emp_str s = req->segments[i];
        if (i > from)
            *to++ = '/';
        if (s.len)
            memcpy(to, s.ptr, s.len);
        to += s.len;
    }
    return (struct emp_str){joined, (uint32_t)(to - joined)};
}

bool emp_http_match(struct emp_http_request *req, const char *pattern, struct emp_str *args)
{
    uint32_t at = 0, n = 0;
    while (*pattern == '/' && pattern[1]) {
        const char *word = ++pattern;
        size_t len = strcspn(word, "/");
        pattern += len;
        if (at == req->segment_count)
            return false;
        struct emp_str s = req->segments[at];
        if (len == 1 && *word == '*') {
            if (args) {
                args[n] = at + 1 == req->segment_count ? s : join(req, at);
                return args[n].len > 0;
            }
            return true;
        }
        if (*word == ':') {
            if (s.len == 0)
                return false;
            if (args)
                args[n++] = s;
        } else if (s.len != len || memcmp(s.ptr, word, len) != 0) {
            return false;
        }
        at++;
    }
    return at == req->segment_count;
}

/* ------------------------------------------------------------------ reading */

struct emp_str emp_http_raw_path(const struct emp_http_request *req)
{
    return req->raw_path;
}

uint32_t emp_http_segment_count(const struct emp_http_request *req)
{
    return req->segment_count;
}

struct emp_str emp_http_segment(const struct emp_http_request *req, uint32_t i)
{
    return i < req->segment_count ? req->segments[i] : (struct emp_str){0};
}

uint32_t emp_http_param_count(const struct emp_http_request *req)
{
    return req->param_count;
}

struct emp_http_param emp_http_param_at(const struct emp_http_request *req, uint32_t i)
{
    return i < req->param_count ? req->params[i] : (struct emp_http_param){0};
}

bool emp_http_param(const struct emp_http_request *req, const char *name, struct emp_str *ret)
{
    for (uint32_t i = 0; i < req->param_count; i++) {
        if (!emp_str_eq(req->params[i].name, emp_str_z(name)))
            continue;
        if (ret)
            *ret = req->params[i].value;
        return true;
    }
    return false;
}

bool emp_http_param_duplicate(const struct emp_http_request *req, struct emp_str *ret_name)
{
    for (uint32_t i = 0; i < req->param_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (emp_str_eq(req->params[i].name, req->params[j].name)) {
                *ret_name = req->params[i].name;
                return true;
            }
    return false;
}

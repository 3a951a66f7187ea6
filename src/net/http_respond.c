/* Answers with an end: bodies from memory, files (with ranges), and the upgrade to a WebSocket. */
#include "net/http_internal.h"
#include "net/ws_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

struct MHD_Response *emp_http_dress(struct MHD_Response *response, const char *content_type,
                                    const struct emp_http_header *headers, size_t header_count)
{
    assert(header_count <= EMP_HTTP_HEADERS_MAX);
    if (response == NULL)
        return NULL;
    bool ok = content_type == NULL ||
              MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    for (size_t i = 0; ok && i < header_count; i++)
        ok = MHD_add_response_header(response, headers[i].name, headers[i].value);
    if (ok)
        return response;
    MHD_destroy_response(response);
    return NULL;
}

static void respond(struct emp_http_request *req, unsigned status, const char *content_type,
                    void *body, size_t len, enum MHD_ResponseMemoryMode mode,
                    const struct emp_http_header *headers, size_t header_count)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(len, body, mode);
    if (r == NULL && mode == MHD_RESPMEM_MUST_FREE)
        free(body);
    r = emp_http_dress(r, content_type, headers, header_count);
    if (r && req->content_range[0])
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_RANGE, req->content_range);
    emp_http_answer(req, status, r);
}

void emp_http_respond(struct emp_http_request *req, unsigned status, const char *content_type,
                      const void *body, size_t len, const struct emp_http_header *headers,
                      size_t header_count)
{
    respond(req, status, content_type, (void *)body, len,
            len ? MHD_RESPMEM_MUST_COPY : MHD_RESPMEM_PERSISTENT, headers, header_count);
}

void emp_http_respond_take(struct emp_http_request *req, unsigned status, const char *content_type,
                           char *body, size_t len, const struct emp_http_header *headers,
                           size_t header_count)
{
    respond(req, status, content_type, body, len,
            body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT, headers, header_count);
}

/* ------------------------------------------------------------------ files */

enum range { RANGE_NONE, RANGE_PART, RANGE_BAD };

static bool digits(const char **p, uint64_t *ret)
{
    char *end;
    if (**p < '0' || **p > '9')
        return false;
    errno = 0;
    *ret = strtoull(*p, &end, 10);
    if (errno)
        *ret = UINT64_MAX;
    *p = end;
    return true;
}

/* RFC 9110, section 14: one range of bytes; a form we do not know, or several ranges, count as
 * none. */
static enum range range_of(const char *text, uint64_t bytes, uint64_t *ret_from, uint64_t *ret_len)
{
    uint64_t first = 0, last = UINT64_MAX;
    if (text == NULL || strncasecmp(text, "bytes=", 6) != 0)
        return RANGE_NONE;
    const char *p = text + 6;
    bool has_first = digits(&p, &first);
    if (*p++ != '-')
        return RANGE_NONE;
    bool has_last = digits(&p, &last);
    if (*p || (!has_first && !has_last) || (has_first && has_last && last < first))
        return RANGE_NONE;
    if (!has_first) {
        first = last < bytes ? bytes - last : 0;
        if (last == 0)
            return RANGE_BAD;
        last = UINT64_MAX;
    }
    if (first >= bytes)
        return RANGE_BAD;
    *ret_from = first;
    *ret_len = (last < bytes ? last + 1 : bytes) - first;
    return RANGE_PART;
}

/* Is `etag` in the header's list? Weak comparison, "*" fits all. */
static bool etag_listed(const char *list, const char *etag)
{
    if (list == NULL || etag == NULL)
        return false;
    if (strcmp(list, "*") == 0)
        return true;
    const char *at = strstr(list, etag);
    return at && (at == list || strchr(" ,/", at[-1]));
}

static void answer_file(struct emp_http_request *req, int fd, unsigned status, uint64_t from,
                        uint64_t len, const char *content_type, const struct emp_http_header *h,
                        size_t n)
{
    struct MHD_Response *r = MHD_create_response_from_fd_at_offset64(len, fd, from);
    if (r == NULL)
        close(fd);
    emp_http_answer(req, status, emp_http_dress(r, content_type, h, n));
}

/* The error's answer, which also says how long the file is. */
static void refuse_range(struct emp_http_request *req, const char *wish, uint64_t bytes)
{
    struct emp_error err;
    emp_fail(&err, EMP_E_RANGE, "Range", "Range is \"%.100s\", and the file has %llu bytes", wish,
             (unsigned long long)bytes);
    snprintf(req->content_range, sizeof req->content_range, "bytes */%llu",
             (unsigned long long)bytes);
    emp_http_answer_error(req, &err);
}

void emp_http_respond_file(struct emp_http_request *req, int fd, uint64_t bytes,
                           const char *content_type, const char *etag,
                           const struct emp_http_header *headers, size_t header_count)
{
    struct emp_http_header h[EMP_HTTP_HEADERS_MAX];
    char content_range[80];
    uint64_t from = 0, len = bytes;
    size_t n = header_count;

    assert(n + 3 <= EMP_HTTP_HEADERS_MAX);
    if (n)
        memcpy(h, headers, n * sizeof *h);
    h[n++] = (struct emp_http_header){"Accept-Ranges", "bytes"};
    if (etag)
        h[n++] = (struct emp_http_header){"ETag", etag};
    if (etag_listed(emp_http_header(req, "If-None-Match"), etag)) {
        close(fd);
        emp_http_respond(req, 304, NULL, NULL, 0, h, n);
        return;
    }
    const char *wish = emp_http_header(req, "Range"), *same = emp_http_header(req, "If-Range");
    if (same && !(etag && strcmp(same, etag) == 0))
        wish = NULL;
    enum range range = range_of(wish, bytes, &from, &len);
    if (range == RANGE_NONE) {
        answer_file(req, fd, 200, 0, bytes, content_type, h, n);
        return;
    }
    if (range == RANGE_BAD) {
        close(fd);
        refuse_range(req, wish, bytes);
        return;
    }
    snprintf(content_range, sizeof content_range, "bytes %llu-%llu/%llu", (unsigned long long)from,
             (unsigned long long)(from + len - 1), (unsigned long long)bytes);
    h[n++] = (struct emp_http_header){"Content-Range", content_range};
    answer_file(req, fd, 206, from, len, content_type, h, n);
}

/* ------------------------------------------------------------------ upgrade */

/* A copy of the socket is given away and libmicrohttpd's own closed at once: kept inside, it would
 * cost 21 kB and a place among the connections. */
static void on_upgraded(void *cls, struct MHD_Connection *connection, void *req_cls,
                        const char *extra, size_t extra_len, MHD_socket sock,
                        struct MHD_UpgradeResponseHandle *handle)
{
    struct emp_http_request *req = req_cls;
    struct emp_http_upgrade up = req->upgrade;
    (void)cls, (void)connection;
    req->upgrade.done = NULL;
    int fd = fcntl(sock, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
    up.done(up.arg, fd, extra, fd >= 0 ? extra_len : 0);
}

static const char *why_no_upgrade(struct emp_http_request *req, const char *key)
{
    const char *version = emp_http_header(req, "Sec-WebSocket-Version");
    if (req->method != EMP_HTTP_GET)
        return "a WebSocket is opened by GET";
    if (!emp_ws_has_word(emp_http_header(req, "Upgrade"), "websocket") ||
        !emp_ws_has_word(emp_http_header(req, "Connection"), "upgrade"))
        return "this address is for WebSockets: the request has no Upgrade: websocket";
    if (version == NULL || strcmp(version, "13") != 0)
        return "only version 13 of the WebSocket protocol is spoken here";
    if (key == NULL || strlen(key) != 24)
        return "Sec-WebSocket-Key is missing or no base64 of 16 bytes";
    return NULL;
}

int emp_http_upgrade(struct emp_http_request *req, emp_http_upgraded done, void *arg)
{
    struct emp_error err;
    const char *key = emp_http_header(req, "Sec-WebSocket-Key"), *why = why_no_upgrade(req, key);
    char answer[EMP_WS_ACCEPT_TEXT];
    if (why == NULL && !emp_ws_accept(key, answer))
        why = "Sec-WebSocket-Key cannot be hashed";
    if (why) {
        emp_fail(&err, EMP_E_PROTOCOL, NULL, "%s", why);
        emp_http_answer_error(req, &err);
        return EMP_E_PROTOCOL;
    }
    struct emp_http_header h[] = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Accept", answer}};
    req->upgrade = (struct emp_http_upgrade){done, arg};
    emp_http_answer(req, MHD_HTTP_SWITCHING_PROTOCOLS,
                    emp_http_dress(MHD_create_response_for_upgrade(on_upgraded, NULL), NULL, h, 2));
    return 0;
}

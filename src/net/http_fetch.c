/* One request on the loop. */
#include "base/time.h"
#include "net/client_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    BODY_BYTES_DEFAULT = 1 << 20,
    CONNECT_MS_DEFAULT = 10000,
    STALL_MS_DEFAULT = 30000,
    REDIRECTS_DEFAULT = 10,
    ETAG_BYTES = 256,
    TYPE_BYTES = 128,
};

struct emp_http_fetch {
    struct emp_http_transfer t;
    struct emp_http_client *client;
    uv_timer_t stall; /* curl's own check averages over five seconds, and counts in whole ones */
    int64_t stall_ms, stall_bytes, stall_seen;
    bool stalled;
    struct emp_http_fetch_options o; /* its strings are not used after the start */
    struct curl_slist *headers;
    struct emp_buf body;
    char words[CURL_ERROR_SIZE];
    int64_t sent_at; /* of the upload */
    int code;        /* of a callback: why it ended the transfer */

    /* the head, as it comes in; a new one after each redirect */
    int status;
    bool head_told, redirect;
    int64_t length, range_from, range_total, retry_after_s;
    char etag[ETAG_BYTES], type[TYPE_BYTES];
    int64_t received;
};

/* ------------------------------------------------------------------ the head */

static int64_t number(const char *p)
{
    char *end;
    errno = 0;
    long long n = strtoll(p, &end, 10);
    return errno || end == p || n < 0 ? -1 : n;
}

static void head_begin(struct emp_http_fetch *f, const char *line)
{
    const char *space = strchr(line, ' ');
    f->status = space ? atoi(space + 1) : 0;
    f->redirect = false;
    f->length = f->range_from = f->range_total = f->retry_after_s = -1;
    f->etag[0] = f->type[0] = '\0';
}

static void content_range(struct emp_http_fetch *f, const char *value)
{
    if (strncasecmp(value, "bytes ", 6) != 0)
        return;
    f->range_from = number(value + 6);
    const char *slash = strchr(value, '/');
    f->range_total = slash ? number(slash + 1) : -1;
}

static void head_field(struct emp_http_fetch *f, const char *name, const char *value)
{
    if (strcasecmp(name, "content-length") == 0)
        f->length = number(value);
    else if (strcasecmp(name, "content-range") == 0)
        content_range(f, value);
    else if (strcasecmp(name, "etag") == 0)
        snprintf(f->etag, sizeof f->etag, "%s", value);
    else if (strcasecmp(name, "content-type") == 0)
        snprintf(f->type, sizeof f->type, "%s", value);
    else if (strcasecmp(name, "retry-after") == 0)
        f->retry_after_s = number(value);
    else if (strcasecmp(name, "location") == 0)
        f->redirect = f->status / 100 == 3; // curl follows all of these
}

static int head_end(struct emp_http_fetch *f)
{
    if (f->status < 200 || f->redirect || f->head_told)
        return 0;
    f->head_told = true;
    struct emp_http_head h = {
        .status = f->status,
        .offset = f->status == 206 && f->range_from > 0 ? f->range_from : 0,
        .total = f->status == 206 ? f->range_total : f->length,
        .etag = f->etag[0] ? f->etag : NULL,
        .content_type = f->type[0] ? f->type : NULL,
    };
    return f->o.on_head ? f->o.on_head(f->o.ctx, &h) : 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct emp_http_fetch *f = arg;
    size_t len = size * count, n = len;
    char line[4096];
    if (f->t.cancelled)
        return 0;
    while (n && (data[n - 1] == '\r' || data[n - 1] == '\n'))
        n--;
    if (n >= sizeof line)
        return len; // none that we know is so long
    memcpy(line, data, n);
    line[n] = '\0';
    if (n == 0) {
        f->code = head_end(f);
        return f->code < 0 ? 0 : len;
    }
    char *colon = strchr(line, ':');
    if (strncmp(line, "HTTP/", 5) == 0) {
        head_begin(f, line);
    } else if (colon) {
        *colon = '\0';
        head_field(f, line, colon + 1 + strspn(colon + 1, " \t"));
    }
    return len;
}

/* ------------------------------------------------------------------ bodies */

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct emp_http_fetch *f = arg;
    size_t len = size * count;
    bool good = f->status >= 200 && f->status < 300;
    if (f->t.cancelled)
        return 0;
    f->received += (int64_t)len;
    if (good && f->o.on_data) {
        f->code = f->o.on_data(f->o.ctx, data, len);
    } else if (len <= f->body.max - f->body.len) {
        emp_buf_add(&f->body, data, len);
        f->code = f->body.failed ? EMP_E_INTERNAL : 0;
    } else if (good) {
        f->code = EMP_E_LIMIT;
    } else { // of an error's body the beginning will do
        emp_buf_add(&f->body, data, f->body.max - f->body.len);
    }
    return f->code < 0 ? 0 : len;
}

static size_t on_upload(char *buf, size_t size, size_t count, void *arg)
{
    struct emp_http_fetch *f = arg;
    ssize_t n;
    do
        n = pread(f->o.upload_fd, buf, size * count, f->sent_at);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        f->code = EMP_E_IO;
        return CURL_READFUNC_ABORT;
    }
    f->sent_at += n;
    return (size_t)n;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct emp_http_fetch *f = arg;
    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    f->sent_at = offset;
    return CURL_SEEKFUNC_OK;
}

/* ------------------------------------------------------------------ the end */

static void fill_times(CURL *easy, struct emp_http_result *r)
{
    curl_off_t v;
    if (curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &v) == CURLE_OK)
        r->total_us = v;
    if (curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &v) == CURLE_OK)
        r->connect_us = v;
    if (curl_easy_getinfo(easy, CURLINFO_STARTTRANSFER_TIME_T, &v) == CURLE_OK)
        r->first_byte_us = v;
    if (curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &v) == CURLE_OK)
        r->sent_bytes = v;
    int64_t body_us = r->total_us - r->first_byte_us;
    if (r->received_bytes > 0)
        r->bytes_per_s = (double)r->received_bytes * 1e6 / (double)(body_us > 0 ? body_us : 1);
}

static void on_stall_closed(uv_handle_t *h)
{
    free(h->data);
}

static void tell_end(struct emp_http_fetch *f, int code, CURLcode curl_code)
{
    const char *url = NULL;
    curl_easy_getinfo(f->t.easy, CURLINFO_EFFECTIVE_URL, &url);
    struct emp_http_result r = {
        .code = code,
        .status = f->status,
        .body = {f->body.data ? f->body.data : "", (uint32_t)f->body.len},
        .url = url ? url : "",
        .received_bytes = f->received,
        .retry_after_s = f->retry_after_s,
    };
    fill_times(f->t.easy, &r);
    if (f->stalled)
        snprintf(f->words, sizeof f->words, "stalled: fewer than %lld bytes in %lld ms",
                 (long long)f->stall_bytes, (long long)f->stall_ms);
    if (code == EMP_E_CANCELLED && curl_code == CURLE_OK)
        snprintf(r.text, sizeof r.text, "cancelled");
    else if (code == EMP_E_LIMIT)
        emp_http_curl_text(curl_code, r.url, "the body is longer than is taken here", r.text);
    else if (code < 0)
        emp_http_curl_text(curl_code, r.url, f->words, r.text);
    f->o.on_done(f->o.ctx, &r);
    emp_http_transfer_drop(f->client, &f->t);
    curl_slist_free_all(f->headers);
    emp_buf_release(&f->body);
    uv_close((uv_handle_t *)&f->stall, on_stall_closed);
}

static void on_transfer_done(struct emp_http_transfer *t, CURLcode code)
{
    struct emp_http_fetch *f = (struct emp_http_fetch *)t;
    if (code == CURLE_OK && !f->head_told) { // that is good enough for curl
        code = CURLE_GOT_NOTHING;
        snprintf(f->words, sizeof f->words, "the connection broke off inside the answer's head");
    }
    tell_end(f, f->code < 0 ? f->code : emp_http_curl_code(code), code);
}

static void on_transfer_cancel(struct emp_http_transfer *t)
{
    struct emp_http_fetch *f = (struct emp_http_fetch *)t;
    tell_end(f, f->stalled ? EMP_E_TIMEOUT : EMP_E_CANCELLED, CURLE_OK);
}

/* Too little since the last look? Not before it is connected: that has a limit of its own. */
static void on_stall_check(uv_timer_t *timer)
{
    struct emp_http_fetch *f = timer->data;
    curl_off_t down = 0, up = 0, begun = 0;
    curl_easy_getinfo(f->t.easy, CURLINFO_PRETRANSFER_TIME_T, &begun);
    curl_easy_getinfo(f->t.easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    curl_easy_getinfo(f->t.easy, CURLINFO_SIZE_UPLOAD_T, &up);
    int64_t moved = down + up - f->stall_seen;
    f->stall_seen = begun ? down + up : f->stall_seen;
    if (begun == 0 || moved >= f->stall_bytes)
        return;
    f->stalled = true;
    uv_timer_stop(timer);
    emp_http_transfer_cancel(f->client, &f->t);
}

static void start_stall_check(struct emp_http_fetch *f)
{
    f->stall.data = f;
    uv_timer_init(f->client->loop, &f->stall);
    f->stall_ms = f->o.stall_ms ? f->o.stall_ms : STALL_MS_DEFAULT;
    if (f->stall_ms == EMP_NEVER)
        return;
    int64_t rate = f->o.stall_bytes_per_s ? f->o.stall_bytes_per_s : 1;
    f->stall_bytes = rate * f->stall_ms / 1000;
    if (f->stall_bytes < 1)
        f->stall_bytes = 1;
    uv_timer_start(&f->stall, on_stall_check, (uint64_t)f->stall_ms, (uint64_t)f->stall_ms);
}

/* ------------------------------------------------------------------ the start */

static bool add_header(struct emp_http_fetch *f, const char *name, const char *value)
{
    char line[8192];
    int n = snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *list = n < (int)sizeof line ? curl_slist_append(f->headers, line) : NULL;
    if (list == NULL)
        return false;
    f->headers = list;
    return true;
}

static bool set_headers(struct emp_http_fetch *f, const struct emp_http_fetch_options *o)
{
    char range[64];
    for (size_t i = 0; i < o->header_count; i++)
        if (!add_header(f, o->headers[i].name, o->headers[i].value))
            return false;
    if (o->resume_from > 0) { // not CURLOPT_RESUME_FROM, which fails when a server sends the whole
        snprintf(range, sizeof range, "bytes=%lld-", (long long)o->resume_from);
        if (!add_header(f, "Range", range) ||
            (o->if_range && !add_header(f, "If-Range", o->if_range)))
            return false;
    }
    curl_easy_setopt(f->t.easy, CURLOPT_HTTPHEADER, f->headers);
    if (o->bearer) {
        curl_easy_setopt(f->t.easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(f->t.easy, CURLOPT_XOAUTH2_BEARER, o->bearer);
    }
    return true;
}

static bool set_body(struct emp_http_fetch *f, const struct emp_http_fetch_options *o)
{
    CURL *e = f->t.easy;
    const char *method = o->method;
    if (o->upload || o->upload_bytes > 0) {
        curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(e, CURLOPT_READFUNCTION, on_upload);
        curl_easy_setopt(e, CURLOPT_READDATA, f);
        curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(e, CURLOPT_SEEKDATA, f);
        curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)o->upload_bytes);
    } else if (o->body) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_len);
        if (curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, o->body_len ? o->body : "") != CURLE_OK)
            return false;
    } else if (method && strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        method = NULL;
    }
    return method == NULL || curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
}

static void set_limits(CURL *e, const struct emp_http_fetch_options *o)
{
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(o->connect_timeout_ms ? o->connect_timeout_ms : CONNECT_MS_DEFAULT));
    curl_easy_setopt(e, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)o->bytes_per_s_max);
    curl_easy_setopt(e, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)o->bytes_per_s_max);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(e, CURLOPT_MAXREDIRS,
                     (long)(o->redirects_max ? o->redirects_max : REDIRECTS_DEFAULT));
}

static void fetch_free(struct emp_http_fetch *f)
{
    curl_easy_cleanup(f->t.easy);
    curl_slist_free_all(f->headers);
    free(f);
}

int emp_http_fetch_start(struct emp_http_client *c, const struct emp_http_fetch_options *o,
                         struct emp_http_fetch **ret)
{
    if (!emp_http_is_url(o->url))
        return EMP_E_INVALID;
    struct emp_http_fetch *f = calloc(1, sizeof *f);
    if (f == NULL)
        return EMP_E_INTERNAL;
    f->client = c;
    f->o = *o;
    f->length = f->range_from = f->range_total = f->retry_after_s = -1;
    f->t.done = on_transfer_done;
    f->t.cancel = on_transfer_cancel;
    emp_buf_init(&f->body, o->body_bytes_max ? o->body_bytes_max : BODY_BYTES_DEFAULT);
    f->t.easy = emp_http_easy(c, f->words);
    if (f->t.easy == NULL) {
        free(f);
        return EMP_E_INTERNAL;
    }
    curl_easy_setopt(f->t.easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(f->t.easy, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(f->t.easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(f->t.easy, CURLOPT_WRITEDATA, f);
    set_limits(f->t.easy, o);
    int r = EMP_E_INTERNAL;
    if (curl_easy_setopt(f->t.easy, CURLOPT_URL, o->url) == CURLE_OK && set_headers(f, o) &&
        set_body(f, o))
        r = emp_http_transfer_add(c, &f->t);
    if (r < 0) {
        fetch_free(f);
        return r;
    }
    start_stall_check(f);
    *ret = f;
    return 0;
}

void emp_http_fetch_cancel(struct emp_http_fetch *f)
{
    emp_http_transfer_cancel(f->client, &f->t);
}

void emp_http_fetch_set_rate(struct emp_http_fetch *f, int64_t bytes_per_s_max)
{
    curl_easy_setopt(f->t.easy, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)bytes_per_s_max);
    curl_easy_setopt(f->t.easy, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)bytes_per_s_max);
}

int64_t emp_http_fetch_received(const struct emp_http_fetch *f)
{
    return f->received;
}

/* A dial: libcurl connects (proxy, TLS), we shake hands over it, ws.c takes over. The curl handle
 * stays in the multi until the WebSocket has ended, for it owns the connection. */
#include "net/ws_client.h"
#include "net/client_internal.h"
#include "net/ws_internal.h"
#include "os/random.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    TIMEOUT_MS_DEFAULT = 10000,
    HEAD_BYTES_MAX = 16 * 1024,
};

struct emp_ws_dial {
    struct emp_http_transfer t;
    struct emp_http_client *client;
    struct emp_ws_connect_options o; /* its strings are not used after the start */
    char *url, *request;
    char words[CURL_ERROR_SIZE];
    char key[32];
    size_t request_len, request_at;
    char head[HEAD_BYTES_MAX + 1];
    size_t head_len;
    uv_timer_t timer;
    uv_poll_t poll;
    bool polling;
    int open_handles; /* of ours, before ws.c takes over */
    int fd;
    bool told; /* on_open or on_fail was called */
    struct emp_ws *ws;
};

/* ------------------------------------------------------------------ the end of a dial */

static void dial_free(struct emp_ws_dial *d)
{
    if (d->t.easy)
        emp_http_transfer_drop(d->client, &d->t);
    free(d->url);
    free(d->request);
    free(d);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct emp_ws_dial *d = h->data;
    if (--d->open_handles == 0 && d->ws == NULL)
        dial_free(d);
}

static void close_handles(struct emp_ws_dial *d)
{
    uv_close((uv_handle_t *)&d->timer, on_handle_closed);
    if (d->polling) {
        uv_poll_stop(&d->poll);
        uv_close((uv_handle_t *)&d->poll, on_handle_closed);
        d->polling = false;
    }
}

static void fail(struct emp_ws_dial *d, int code, int status, const char *text)
{
    struct emp_error err;
    if (d->told)
        return;
    d->told = true;
    emp_fail(&err, code, NULL, "%s", text);
    close_handles(d);
    d->o.on_fail(d->o.ctx, status, &err);
}

static void fail_curl(struct emp_ws_dial *d, CURLcode code)
{
    char text[EMP_ERROR_TEXT_MAX];
    emp_http_curl_text(code, d->url, d->words, text);
    fail(d, emp_http_curl_code(code), 0, text);
}

/* ------------------------------------------------------------------ bytes through curl */

static ssize_t curl_bytes(CURLcode code, size_t n)
{
    if (code == CURLE_OK)
        return (ssize_t)n;
    errno = code == CURLE_AGAIN ? EAGAIN : ECONNRESET;
    return -1;
}

static ssize_t dial_recv(void *arg, void *buf, size_t len)
{
    struct emp_ws_dial *d = arg;
    size_t n = 0;
    CURLcode code = curl_easy_recv(d->t.easy, buf, len, &n);
    return curl_bytes(code, n);
}

static ssize_t dial_send(void *arg, const void *buf, size_t len)
{
    struct emp_ws_dial *d = arg;
    size_t n = 0;
    CURLcode code = curl_easy_send(d->t.easy, buf, len, &n);
    return curl_bytes(code, n);
}

static void dial_close(void *arg)
{
    struct emp_ws_dial *d = arg;
    d->ws = NULL;
    if (d->open_handles == 0)
        dial_free(d);
}

/* ------------------------------------------------------------------ the handshake */

/* The value of a header of the answer, copied; false: it has none. */
static bool head_value(const struct emp_ws_dial *d, const char *name, char *out, size_t bytes)
{
    size_t n = strlen(name);
    for (const char *p = strstr(d->head, "\r\n"); p; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, n) != 0 || p[n] != ':')
            continue;
        p += n + 1;
        p += strspn(p, " \t");
        snprintf(out, bytes, "%.*s", (int)strcspn(p, "\r\n"), p);
        return true;
    }
    return false;
}

static int code_of(int status)
{
    switch (status) {
    case 401:
        return EMP_E_UNAUTHORIZED;
    case 403:
        return EMP_E_FORBIDDEN;
    case 404:
        return EMP_E_NOT_FOUND;
    case 503:
        return EMP_E_UNAVAILABLE;
    default:
        return EMP_E_PROTOCOL;
    }
}

static void open_ws(struct emp_ws_dial *d, const char *extra, size_t extra_len)
{
    struct emp_ws_transport t = {d->fd, d, dial_recv, dial_send, dial_close};
    close_handles(d);
    d->told = true;
    if (emp_ws_new_client(d->client->loop, &t, extra, extra_len, &d->o.ws, &d->ws) < 0) {
        struct emp_error err;
        emp_fail(&err, EMP_E_INTERNAL, NULL, "no memory for the connection");
        d->o.on_fail(d->o.ctx, 0, &err);
        return;
    }
    d->o.on_open(d->o.ctx, d->ws);
}

static void judge(struct emp_ws_dial *d, const char *end)
{
    char value[256], want[EMP_WS_ACCEPT_TEXT], text[EMP_ERROR_TEXT_MAX];
    int status = 0;
    if (sscanf(d->head, "HTTP/1.%*1[01] %3d", &status) != 1 || status < 100) {
        fail(d, EMP_E_PROTOCOL, 0, "the answer to the WebSocket handshake is no HTTP");
        return;
    }
    if (status != 101) {
        snprintf(text, sizeof text, "%s: answered %d to the WebSocket handshake", d->url, status);
        fail(d, code_of(status), status, text);
        return;
    }
    bool good = emp_ws_accept(d->key, want) && head_value(d, "Upgrade", value, sizeof value) &&
                emp_ws_has_word(value, "websocket") &&
                head_value(d, "Connection", value, sizeof value) &&
                emp_ws_has_word(value, "upgrade") &&
                head_value(d, "Sec-WebSocket-Accept", value, sizeof value) &&
                strcmp(value, want) == 0;
    if (good)
        open_ws(d, end, d->head_len - (size_t)(end - d->head));
    else
        fail(d, EMP_E_PROTOCOL, status, "the server's WebSocket handshake is not proper");
}

static void read_head(struct emp_ws_dial *d)
{
    for (;;) {
        ssize_t n = dial_recv(d, d->head + d->head_len, HEAD_BYTES_MAX - d->head_len);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            fail(d, d->head_len == HEAD_BYTES_MAX ? EMP_E_PROTOCOL : EMP_E_NET, 0,
                 "the connection broke off during the WebSocket handshake");
            return;
        }
        d->head_len += (size_t)n;
        d->head[d->head_len] = '\0';
        const char *end = strstr(d->head, "\r\n\r\n");
        if (end) {
            judge(d, end + 4);
            return;
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct emp_ws_dial *d = poll->data;
    (void)events;
    if (status < 0) {
        fail(d, EMP_E_NET, 0, "the connection broke off during the WebSocket handshake");
        return;
    }
    while (d->request_at < d->request_len) {
        ssize_t n = dial_send(d, d->request + d->request_at, d->request_len - d->request_at);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            fail(d, EMP_E_NET, 0, "the connection broke off during the WebSocket handshake");
            return;
        }
        d->request_at += (size_t)n;
    }
    uv_poll_start(poll, UV_READABLE, on_poll);
    read_head(d);
}

/* The connection stands, TLS included. */
static void on_connected(struct emp_http_transfer *t, CURLcode code)
{
    struct emp_ws_dial *d = (struct emp_ws_dial *)t;
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (d->told)
        return; // cancelled or too late: its handles are closing
    if (code != CURLE_OK) {
        fail_curl(d, code);
        return;
    }
    if (curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
        fd == CURL_SOCKET_BAD || uv_poll_init(d->client->loop, &d->poll, fd) < 0) {
        fail(d, EMP_E_NET, 0, "the connection is gone as soon as made");
        return;
    }
    d->fd = (int)fd;
    d->poll.data = d;
    d->polling = true;
    d->open_handles++;
    uv_poll_start(&d->poll, UV_READABLE | UV_WRITABLE, on_poll);
}

static void on_cancel(struct emp_http_transfer *t)
{
    struct emp_ws_dial *d = (struct emp_ws_dial *)t;
    if (d->ws)
        emp_ws_abort(d->ws);
    else
        fail(d, EMP_E_CANCELLED, 0, "cancelled");
}

static void on_timer(uv_timer_t *timer)
{
    fail(timer->data, EMP_E_TIMEOUT, 0, "no WebSocket connection in time");
}

/* ------------------------------------------------------------------ the start */

/* ws:// and wss:// as http:// and https://, from malloc; NULL: another scheme. */
static char *http_url(const char *url)
{
    static const struct {
        const char *from, *to;
    } schemes[] = {{"ws://", "http://"},
                   {"wss://", "https://"},
                   {"http://", "http://"},
                   {"https://", "https://"}};
    char *out = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes && out == NULL; i++)
        if (strncasecmp(url, schemes[i].from, strlen(schemes[i].from)) == 0 &&
            asprintf(&out, "%s%s", schemes[i].to, url + strlen(schemes[i].from)) < 0)
            return NULL;
    return out;
}

static void make_key(struct emp_ws_dial *d)
{
    unsigned char raw[16];
    emp_os_random(raw, sizeof raw);
    EVP_EncodeBlock((unsigned char *)d->key, raw, sizeof raw);
}

/* What goes into a line of the request must not end it. */
static bool has_control(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static int check_headers(const struct emp_ws_connect_options *o, struct emp_error *err)
{
    if (has_control(o->bearer))
        return emp_fail(err, EMP_E_INVALID, "token", "the token holds control characters");
    for (size_t i = 0; i < o->header_count; i++)
        if (has_control(o->headers[i].name) || has_control(o->headers[i].value))
            return emp_fail(err, EMP_E_INVALID, "headers", "a header holds control characters");
    return 0;
}

/* Host and path out of the URL, checked by curl's own parser. */
static int make_request(struct emp_ws_dial *d, const struct emp_ws_connect_options *o)
{
    char *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    struct emp_buf b;
    emp_buf_init(&b, 64 * 1024);
    CURLU *u = curl_url();
    bool ok = u && curl_url_set(u, CURLUPART_URL, d->url, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK;
    if (ok) {
        curl_url_get(u, CURLUPART_PORT, &port, 0);
        curl_url_get(u, CURLUPART_QUERY, &query, 0);
        emp_buf_printf(&b, "GET %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\n", path, query ? "?" : "",
                       query ? query : "", host, port ? ":" : "", port ? port : "");
        emp_buf_printf(&b,
                       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
                       d->key);
        if (o->bearer)
            emp_buf_printf(&b, "Authorization: Bearer %s\r\n", o->bearer);
        for (size_t i = 0; i < o->header_count; i++)
            emp_buf_printf(&b, "%s: %s\r\n", o->headers[i].name, o->headers[i].value);
        emp_buf_addz(&b, "\r\n");
    }
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(u);
    if (!ok || b.failed) {
        emp_buf_release(&b);
        return ok ? EMP_E_INTERNAL : EMP_E_INVALID;
    }
    d->request = b.data;
    d->request_len = b.len;
    return 0;
}

static int start(struct emp_ws_dial *d)
{
    d->t.easy = emp_http_easy(d->client, d->words);
    if (d->t.easy == NULL || curl_easy_setopt(d->t.easy, CURLOPT_URL, d->url) != CURLE_OK)
        return EMP_E_INTERNAL;
    curl_easy_setopt(d->t.easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(d->t.easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(d->t.easy, CURLOPT_HTTPPROXYTUNNEL, 1L); // a proxy must not look inside
    curl_easy_setopt(d->t.easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(d->t.easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
    curl_easy_setopt(d->t.easy, CURLOPT_TCP_NODELAY, 1L);
    return emp_http_transfer_add(d->client, &d->t);
}

int emp_ws_connect(struct emp_http_client *c, const struct emp_ws_connect_options *o,
                   struct emp_ws_dial **ret, struct emp_error *err)
{
    int r = check_headers(o, err);
    if (r < 0)
        return r;
    struct emp_ws_dial *d = calloc(1, sizeof *d);
    if (d == NULL)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
    d->client = c;
    d->o = *o;
    d->t.stay = true;
    d->t.done = on_connected;
    d->t.cancel = on_cancel;
    d->url = http_url(o->url);
    make_key(d);
    r = d->url ? make_request(d, o) : EMP_E_INVALID;
    if (r == EMP_E_INVALID)
        emp_fail(err, r, "broker", "\"%s\" is no ws:// or wss:// address", o->url);
    if (r == 0 && (r = start(d)) < 0) {
        emp_fail(err, r, NULL, "the connection cannot be started");
        curl_easy_cleanup(d->t.easy);
    }
    if (r < 0) {
        free(d->url);
        free(d->request);
        free(d);
        return r;
    }
    d->timer.data = d;
    uv_timer_init(c->loop, &d->timer);
    uv_timer_start(&d->timer, on_timer,
                   (uint64_t)(o->timeout_ms ? o->timeout_ms : TIMEOUT_MS_DEFAULT), 0);
    d->open_handles = 1;
    *ret = d;
    return 0;
}

void emp_ws_dial_cancel(struct emp_ws_dial *d)
{
    emp_http_transfer_cancel(d->client, &d->t);
}

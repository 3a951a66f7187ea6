/* libcurl's multi interface on a libuv loop: a uv_poll per socket, one timer. Whatever is cancelled
 * is taken out in a later turn, from an idle handle, since curl forbids it inside its callbacks. */
#include "net/client_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECTIONS_DEFAULT = 64, PER_HOST_DEFAULT = 16, HANDLES = 2 };

struct socket_watch {
    uv_poll_t poll;
    struct emp_http_client *client;
    curl_socket_t fd;
};

static void init_once(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void emp_http_global_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}

/* ------------------------------------------------------------------ curl's words */

int emp_http_curl_code(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return EMP_E_TIMEOUT;
    case CURLE_URL_MALFORMAT:
        return EMP_E_INVALID;
    case CURLE_READ_ERROR:
        return EMP_E_IO;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return EMP_E_INTERNAL;
    default:
        return EMP_E_NET;
    }
}

void emp_http_curl_text(CURLcode code, const char *url, const char *words,
                        char out[EMP_ERROR_TEXT_MAX])
{
    char *host = NULL;
    CURLU *u = curl_url();
    if (u == NULL || curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        host = NULL;
    snprintf(out, EMP_ERROR_TEXT_MAX, "%s: %s", host ? host : url,
             words && words[0] ? words : curl_easy_strerror(code));
    curl_free(host);
    curl_url_cleanup(u);
}

bool emp_http_is_url(const char *url)
{
    return url && (strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0);
}

CURL *emp_http_easy(const struct emp_http_client *c, char *text)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return NULL;
    text[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, c && c->user_agent ? c->user_agent : "emp");
    if (c && c->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca_file);
    return easy;
}

/* ------------------------------------------------------------------ transfers */

static void finished(struct emp_http_client *c)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl_multi_info_read(c->multi, &left))) {
        struct emp_http_transfer *t = NULL;
        CURLcode code = msg->data.result;
        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
        if (t->cancelled)
            continue; // its end is on the way
        if (!t->stay)
            curl_multi_remove_handle(c->multi, t->easy);
        t->done(t, code);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct emp_http_client *c = timer->data;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finished(c);
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
    struct emp_http_client *c = arg;
    (void)multi;
    if (c->open_handles < HANDLES)
        return 0;
    if (ms < 0)
        uv_timer_stop(&c->timer);
    else
        uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0);
    return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *w = poll->data;
    struct emp_http_client *c = w->client;
    int running, flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                         (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    curl_multi_socket_action(c->multi, w->fd, flags, &running);
    finished(c);
}

static void on_watch_closed(uv_handle_t *h)
{
    free(h->data);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct emp_http_client *c = arg;
    struct socket_watch *w = socket_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            curl_multi_assign(c->multi, fd, NULL);
            uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        }
        return 0;
    }
    if (w == NULL) {
        w = calloc(1, sizeof *w);
        if (w == NULL)
            return -1;
        w->client = c;
        w->fd = fd;
        w->poll.data = w;
        if (uv_poll_init_socket(c->loop, &w->poll, fd) < 0) {
            free(w);
            return -1;
        }
        curl_multi_assign(c->multi, fd, w);
    }
    uv_poll_start(&w->poll,
                  (what & CURL_POLL_IN ? UV_READABLE : 0) |
                      (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
                  on_socket);
    return 0;
}

int emp_http_transfer_add(struct emp_http_client *c, struct emp_http_transfer *t)
{
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    if (c->closing || curl_multi_add_handle(c->multi, t->easy) != CURLM_OK)
        return EMP_E_INTERNAL;
    t->prev = NULL;
    t->next = c->transfers;
    if (t->next)
        t->next->prev = t;
    c->transfers = t;
    return 0;
}

static void end_if_empty(struct emp_http_client *c);

void emp_http_transfer_drop(struct emp_http_client *c, struct emp_http_transfer *t)
{
    curl_multi_remove_handle(c->multi, t->easy);
    curl_easy_cleanup(t->easy);
    t->easy = NULL;
    *(t->prev ? &t->prev->next : &c->transfers) = t->next;
    if (t->next)
        t->next->prev = t->prev;
    end_if_empty(c);
}

static void on_later(uv_idle_t *idle)
{
    struct emp_http_client *c = idle->data;
    uv_idle_stop(idle);
    for (struct emp_http_transfer *t = c->transfers, *next; t; t = next) {
        next = t->next;
        if (!t->cancelled)
            continue;
        t->cancelled = false;
        t->cancel(t);
        next = c->transfers; // a callback may have dropped any
    }
    end_if_empty(c);
}

void emp_http_transfer_cancel(struct emp_http_client *c, struct emp_http_transfer *t)
{
    t->cancelled = true;
    if (c->open_handles == HANDLES)
        uv_idle_start(&c->later, on_later);
}

/* ------------------------------------------------------------------ life */

int emp_http_client_new(uv_loop_t *loop, const struct emp_http_client_options *o,
                        struct emp_http_client **ret)
{
    static const struct emp_http_client_options none;
    if (o == NULL)
        o = &none;
    emp_http_global_init();
    struct emp_http_client *c = calloc(1, sizeof *c);
    if (c == NULL || (c->multi = curl_multi_init()) == NULL) {
        free(c);
        return EMP_E_INTERNAL;
    }
    c->loop = loop;
    c->ca_file = o->ca_file ? strdup(o->ca_file) : NULL;
    c->user_agent = o->user_agent ? strdup(o->user_agent) : NULL;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      (long)(o->connections_max ? o->connections_max : CONNECTIONS_DEFAULT));
    curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long)(o->per_host_max ? o->per_host_max : PER_HOST_DEFAULT));
    c->timer.data = c->later.data = c;
    uv_timer_init(loop, &c->timer);
    uv_idle_init(loop, &c->later);
    c->open_handles = HANDLES;
    *ret = c;
    return 0;
}

static void on_client_closed(uv_handle_t *h)
{
    struct emp_http_client *c = h->data;
    if (--c->open_handles > 0)
        return;
    curl_multi_cleanup(c->multi);
    void (*closed)(void *arg) = c->closed;
    void *arg = c->closed_arg;
    free(c->ca_file);
    free(c->user_agent);
    free(c);
    if (closed)
        closed(arg);
}

static void end_if_empty(struct emp_http_client *c)
{
    if (!c->closing || c->transfers || uv_is_closing((uv_handle_t *)&c->timer))
        return;
    uv_close((uv_handle_t *)&c->timer, on_client_closed);
    uv_close((uv_handle_t *)&c->later, on_client_closed);
}

void emp_http_client_close(struct emp_http_client *c, void (*closed)(void *arg), void *arg)
{
    c->closing = true;
    c->closed = closed;
    c->closed_arg = arg;
    for (struct emp_http_transfer *t = c->transfers; t; t = t->next)
        t->cancelled = true;
    uv_idle_start(&c->later, on_later);
}

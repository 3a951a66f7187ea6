/* net/'s blocking calls, with the broker's address, the key, and the broker's way of saying no. */
#include "cli/client.h"

#include "cli/sse.h"
#include "cli/terminal.h"
#include "cli/view.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEADERS_MAX = 4, PATH_BYTES_MAX = 65536 };

struct request_headers {
    char authorization[1100];
    struct emp_http_header list[HEADERS_MAX];
    size_t count;
};

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

int emp_client_open(struct emp_client *c, const struct emp_cli *cli, struct emp_error *err)
{
    const char *url = emp_options_value(&cli->options, "broker"), *key = getenv("EMP_API_KEY");
    const char *said_by = url ? "--broker" : "EMP_BROKER";
    if (!url)
        url = getenv("EMP_BROKER");
    if (!url || !*url)
        url = "http://127.0.0.1:3331";
    *c = (struct emp_client){.cli = cli, .key = key && *key ? key : NULL};
    if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) || has_control(url))
        return emp_fail(err, EMP_E_INVALID, NULL, "%s %s: it wants http://HOST:PORT", said_by, url);
    if (strlen(url) >= sizeof c->url)
        return emp_fail(err, EMP_E_INVALID, NULL, "%s is longer than %zu bytes", said_by,
                        sizeof c->url - 1);
    if (c->key && (has_control(c->key) || strlen(c->key) > 1024))
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "EMP_API_KEY holds control characters, or more than 1024 bytes");
    snprintf(c->url, sizeof c->url, "%s", url);
    for (size_t n = strlen(c->url); n > 0 && c->url[n - 1] == '/'; n--)
        c->url[n - 1] = 0;
    return 0;
}

static void add_header(struct request_headers *h, const char *name, const char *value)
{
    h->list[h->count++] = (struct emp_http_header){name, value};
}

static void headers_for(const struct emp_client *c, const char *accept, struct request_headers *h)
{
    h->count = 0;
    add_header(h, "Accept", accept);
    if (!c->key)
        return;
    snprintf(h->authorization, sizeof h->authorization, "Bearer %s", c->key);
    add_header(h, "Authorization", h->authorization);
}

static int full_url(const struct emp_client *c, const char *path, struct emp_buf *url,
                    struct emp_error *err)
{
    emp_buf_init(url, PATH_BYTES_MAX);
    emp_buf_addz(url, c->url);
    emp_buf_addz(url, path);
    return url->failed ? emp_fail(err, EMP_E_INVALID, NULL, "the request's address is too long")
                       : 0;
}

static void parse_reply(struct emp_reply *reply)
{
    if (emp_json_parse(&reply->arena, reply->http.body, reply->http.len, NULL, &reply->json, NULL) <
        0)
        reply->json = NULL;
}

/* What a status means where the body says nothing of its own. */
static int code_of_status(int status)
{
    static const int codes[] = {EMP_E_UNAUTHORIZED, EMP_E_FORBIDDEN, EMP_E_NOT_FOUND,
                                EMP_E_METHOD,       EMP_E_CONFLICT,  EMP_E_TOO_LARGE,
                                EMP_E_UNAVAILABLE,  EMP_E_TIMEOUT,   EMP_E_DISK_FULL};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (emp_error_http(codes[i]) == status)
            return codes[i];
    return status >= 500 ? EMP_E_INTERNAL : EMP_E_INVALID;
}

/* The broker's refusal as an error of ours. */
static int refusal(const struct emp_client *c, const struct emp_reply *reply, struct emp_error *err)
{
    struct emp_str text = emp_view_text(reply->json, "error"),
                   code = emp_view_text(reply->json, "code");
    struct emp_str field = emp_view_text(reply->json, "field");
    char word[64], name[EMP_ERROR_FIELD_MAX];
    snprintf(word, sizeof word, "%.*s", EMP_STR_FMT(code));
    snprintf(name, sizeof name, "%.*s", EMP_STR_FMT(field));
    int r = code.len ? emp_error_from_name(word) : code_of_status(reply->http.status);
    if (r == EMP_E_UNAUTHORIZED && !c->key)
        return emp_fail(err, r, name, "%s asks for a key: set EMP_API_KEY", c->url);
    if (text.len == 0)
        return emp_fail(err, r, name, "%s answered with status %d", c->url, reply->http.status);
    return emp_fail(err, r, name, "%.*s", EMP_STR_FMT(text));
}

int emp_client_call(struct emp_client *c, const char *method, const char *path,
                    const struct emp_str *body, const char *idempotency_key,
                    struct emp_reply *reply, struct emp_error *err)
{
    struct request_headers h;
    struct emp_buf url;
    memset(reply, 0, sizeof *reply);
    emp_arena_init(&reply->arena, 0);
    headers_for(c, "application/json", &h);
    if (body)
        add_header(&h, "Content-Type", "application/json");
    if (idempotency_key && (has_control(idempotency_key) || !*idempotency_key))
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "the idempotency key is empty, or holds control characters");
    if (idempotency_key)
        add_header(&h, "Idempotency-Key", idempotency_key);
    int r = full_url(c, path, &url, err);
    if (r == 0)
        r = emp_http_call(method, url.data, h.list, h.count, body ? body->ptr : NULL,
                          body ? body->len : 0, EMP_CLIENT_TIMEOUT_MS, &reply->http, err);
    emp_buf_release(&url);
    if (r < 0)
        return r;
    parse_reply(reply);
    if (reply->http.status >= 200 && reply->http.status < 300)
        return reply->json ? 0
                           : emp_fail(err, EMP_E_PROTOCOL, NULL, "%s%s did not answer with JSON",
                                      c->url, path);
    if (c->cli->json && reply->json)
        emp_client_print_json(reply, NULL);
    return refusal(c, reply, err);
}

void emp_reply_release(struct emp_reply *reply)
{
    emp_http_response_release(&reply->http);
    emp_arena_release(&reply->arena);
    memset(reply, 0, sizeof *reply);
}

int emp_client_send(struct emp_client *c, const char *method, const char *prefix, const char *id,
                    const char *suffix, const char *body, struct emp_reply *reply,
                    struct emp_error *err)
{
    struct emp_buf path;
    emp_buf_init(&path, PATH_BYTES_MAX / 2);
    emp_buf_addz(&path, prefix);
    emp_url_escape(id, &path);
    emp_buf_addz(&path, suffix);
    if (path.failed || !*id) {
        memset(reply, 0, sizeof *reply);
        emp_arena_init(&reply->arena, 0);
        emp_buf_release(&path);
        return emp_fail(err, EMP_E_INVALID, NULL, "an id must have 1 to %d bytes",
                        PATH_BYTES_MAX / 8);
    }
    struct emp_str text = emp_str_z(body);
    int r = emp_client_call(c, method, path.data, body ? &text : NULL, NULL, reply, err);
    emp_buf_release(&path);
    return r;
}

int emp_client_get(struct emp_client *c, const char *prefix, const char *id, const char *suffix,
                   struct emp_reply *reply, struct emp_error *err)
{
    return emp_client_send(c, "GET", prefix, id, suffix, NULL, reply, err);
}

int emp_client_print_json(const struct emp_reply *reply, struct emp_error *err)
{
    const char *body = reply->http.body;
    size_t len = reply->http.len;
    int r = emp_cli_write(body, len, err);
    return r == 0 && (len == 0 || body[len - 1] != '\n') ? emp_cli_write("\n", 1, err) : r;
}

/* ── event streams ── */

static int feed(void *arg, const void *data, size_t len)
{
    struct emp_sse *s = arg;
    int r = emp_sse_feed(s, data, len);
    return r < 0 ? r : s->ended ? EMP_E_CANCELLED : 0;
}

int emp_client_follow(struct emp_client *c, const char *path,
                      bool (*event)(void *arg, const char *name, const char *data), void *arg,
                      struct emp_error *err)
{
    struct request_headers h;
    struct emp_buf url;
    struct emp_reply reply = {0};
    struct emp_sse sse;
    headers_for(c, "text/event-stream", &h);
    emp_arena_init(&reply.arena, 0);
    emp_sse_init(&sse, event, arg);
    int r = full_url(c, path, &url, err);
    if (r == 0)
        r = emp_http_call_stream("GET", url.data, h.list, h.count, EMP_CLIENT_STALL_MS, feed, &sse,
                                 &reply.http, err);
    if (sse.ended)
        r = 0;
    if (r == 0 && !sse.ended && reply.http.status >= 300) {
        parse_reply(&reply);
        r = refusal(c, &reply, err);
    }
    emp_sse_release(&sse);
    emp_buf_release(&url);
    emp_reply_release(&reply);
    return r;
}

/* Blocking requests, on an easy handle that each thread keeps for its connections. */
#include "net/client_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMEOUT_MS_DEFAULT = 30000,
    CONNECT_MS = 10000,
    HEADER_BYTES_MAX = 8192,
};
#define BODY_BYTES_MAX ((size_t)256 << 20)

static pthread_key_t easy_key;

static void free_easy(void *easy)
{
    curl_easy_cleanup(easy);
}

static void make_key(void)
{
    pthread_key_create(&easy_key, free_easy);
}

static CURL *thread_easy(char *words)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    emp_http_global_init();
    pthread_once(&once, make_key);
    CURL *old = pthread_getspecific(easy_key);
    if (old == NULL) {
        old = emp_http_easy(NULL, words);
        pthread_setspecific(easy_key, old);
        return old;
    }
    curl_easy_reset(old); // keeps its connections
    words[0] = '\0';
    curl_easy_setopt(old, CURLOPT_ERRORBUFFER, words);
    curl_easy_setopt(old, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(old, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(old, CURLOPT_USERAGENT, "emp");
    return old;
}

struct call {
    CURL *easy;
    struct emp_buf body;
    int (*on_data)(void *arg, const void *data, size_t len);
    void *arg;
    int code;
    bool head_ended;
};

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct call *call = arg;
    size_t len = size * count;
    if (len >= 5 && memcmp(data, "HTTP/", 5) == 0)
        call->head_ended = false;
    else if (data[0] == '\r' || data[0] == '\n')
        call->head_ended = true;
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct call *call = arg;
    size_t len = size * count;
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->on_data && status >= 200 && status < 300) {
        call->code = call->on_data(call->arg, data, len);
    } else {
        emp_buf_add(&call->body, data, len);
        if (call->body.failed)
            call->code = len > call->body.max - call->body.len ? EMP_E_LIMIT : EMP_E_INTERNAL;
    }
    return call->code < 0 ? 0 : len;
}

/* 0, or EMP_E_*: *ret is to be freed in any case. */
static int header_list(const struct emp_http_header *headers, size_t count, struct curl_slist **ret,
                       struct emp_error *err)
{
    char line[HEADER_BYTES_MAX];
    *ret = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < count && *ret; i++) {
        int n = snprintf(line, sizeof line, "%s: %s", headers[i].name, headers[i].value);
        if (n >= (int)sizeof line)
            return emp_fail(err, EMP_E_INVALID, headers[i].name,
                            "the header %s is longer than %d bytes", headers[i].name,
                            HEADER_BYTES_MAX - 1);
        struct curl_slist *longer = curl_slist_append(*ret, line);
        if (longer == NULL)
            return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
        *ret = longer;
    }
    return *ret ? 0 : emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
}

static int fill_response(struct call *call, struct emp_http_response *ret, struct emp_error *err)
{
    const char *type = NULL;
    long status = 0;
    curl_off_t after = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &after);
    char *body = call->body.data ? call->body.data : strdup("");
    if (body == NULL)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
    *ret = (struct emp_http_response){
        .status = (int)status,
        .body = body,
        .len = call->body.len,
        .retry_after_s = after > 0 ? after : -1,
    };
    snprintf(ret->content_type, sizeof ret->content_type, "%s", type ? type : "");
    return 0;
}

/* Of one request, after its end, good or bad. */
static int judge(struct call *call, const char *url, CURLcode code, const char *words,
                 struct emp_http_response *ret, struct emp_error *err)
{
    char text[EMP_ERROR_TEXT_MAX];
    if (code == CURLE_OK && call->head_ended)
        return fill_response(call, ret, err);
    if (code == CURLE_OK) { // that is good enough for curl
        code = CURLE_GOT_NOTHING;
        words = "the connection broke off inside the answer's head";
    }
    emp_buf_release(&call->body);
    int r = call->code < 0 ? call->code : emp_http_curl_code(code);
    emp_http_curl_text(code, url, words, text);
    return emp_fail(err, r, NULL, "%s", text);
}

static int perform(struct call *call, const char *method, const char *url,
                   const struct emp_http_header *headers, size_t header_count, const void *body,
                   size_t len, struct emp_http_response *ret, struct emp_error *err, char *words)
{
    CURL *e = call->easy;
    struct curl_slist *list;
    if (!emp_http_is_url(url))
        return emp_fail(err, EMP_E_INVALID, NULL, "\"%s\" is no http:// or https:// address", url);
    int r = header_list(headers, header_count, &list, err);
    if (r < 0) {
        curl_slist_free_all(list);
        return r;
    }
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
    if (body) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, len ? body : "");
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
    CURLcode code = curl_easy_perform(e);
    curl_slist_free_all(list);
    return judge(call, url, code, words, ret, err);
}

int emp_http_call(const char *method, const char *url, const struct emp_http_header *headers,
                  size_t header_count, const void *body, size_t len, int64_t timeout_ms,
                  struct emp_http_response *ret, struct emp_error *err)
{
    static _Thread_local char words[CURL_ERROR_SIZE];
    struct call call = {.easy = thread_easy(words)};
    if (call.easy == NULL)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
    emp_buf_init(&call.body, BODY_BYTES_MAX);
    curl_easy_setopt(call.easy, CURLOPT_TIMEOUT_MS,
                     (long)(timeout_ms ? timeout_ms : TIMEOUT_MS_DEFAULT));
    return perform(&call, method, url, headers, header_count, body, len, ret, err, words);
}

int emp_http_call_stream(const char *method, const char *url, const struct emp_http_header *headers,
                         size_t header_count, int64_t stall_ms,
                         int (*on_data)(void *arg, const void *data, size_t len), void *arg,
                         struct emp_http_response *ret, struct emp_error *err)
{
    static _Thread_local char words[CURL_ERROR_SIZE];
    struct call call = {.easy = thread_easy(words), .on_data = on_data, .arg = arg};
    if (call.easy == NULL)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
    emp_buf_init(&call.body, BODY_BYTES_MAX);
    if (stall_ms > 0) {
        curl_easy_setopt(call.easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(call.easy, CURLOPT_LOW_SPEED_TIME, (long)((stall_ms + 999) / 1000));
    }
    return perform(&call, method, url, headers, header_count, NULL, 0, ret, err, words);
}

void emp_http_response_release(struct emp_http_response *r)
{
    free(r->body);
    r->body = NULL;
    r->len = 0;
}

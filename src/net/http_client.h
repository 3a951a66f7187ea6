/* HTTP client over libcurl's multi interface on a libuv loop: any number of transfers at once on
 * one thread, connections reused, proxies by the usual environment variables (http_proxy,
 * https_proxy, no_proxy), TLS verified. http:// and https:// only, redirects included.
 *
 * All on the loop's thread but emp_http_call, which is for programs without a loop and blocks.
 * Callbacks never come from inside the function that starts or cancels. */
#ifndef EMP_NET_HTTP_CLIENT_H
#define EMP_NET_HTTP_CLIENT_H

#include "base/error.h"
#include "base/str.h"
#include "net/http_server.h" /* struct emp_http_header */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct emp_http_client;
struct emp_http_fetch;

struct emp_http_client_options {
    const char *ca_file;      /* PEM bundle instead of the system's; NULL: the system's */
    const char *user_agent;   /* NULL: "emp" */
    uint32_t connections_max; /* in all; 0: 64. Further transfers wait */
    uint32_t per_host_max;    /* 0: 16 */
};

/* Options may be NULL. 0; EMP_E_INTERNAL. */
int emp_http_client_new(uv_loop_t *loop, const struct emp_http_client_options *o,
                        struct emp_http_client **ret);
/* Cancels what runs (its `done` comes first, EMP_E_CANCELLED; WebSockets made through it are
 * aborted), closes everything, calls closed(arg) (may be NULL), then the client no longer exists.
 */
void emp_http_client_close(struct emp_http_client *c, void (*closed)(void *arg), void *arg);

/* What is known when the response's head is in. */
struct emp_http_head {
    int status;
    int64_t offset; /* where in the resource the body begins: of a 206, else 0: a server may ignore
                       the wish to resume */
    int64_t total;  /* size of the whole resource; -1: not said */
    const char *etag, *content_type; /* NULL: not said */
};

struct emp_http_result {
    int code; /* 0: a complete response came, whatever its status. Else EMP_E_NET (resolve, connect,
                 broken off, short body, TLS), TIMEOUT (also a stall), CANCELLED, INVALID (URL),
                 LIMIT (body too long), IO (reading the upload), INTERNAL, or what on_data or
                 on_head returned */
    char text[EMP_ERROR_TEXT_MAX]; /* why, with host and curl's own words; empty when code is 0 */
    int status;                    /* HTTP; 0: none came */
    struct emp_str body;           /* gathered, NUL-terminated, borrowed for the call */
    const char *url;               /* after redirects */
    int64_t received_bytes;        /* of the body */
    int64_t sent_bytes;
    int64_t total_us, connect_us, first_byte_us;
    double bytes_per_s;    /* while the body came */
    int64_t retry_after_s; /* -1: not said */
};

/* Strings, headers and body are copied; 0 or NULL: the default named. */
struct emp_http_fetch_options {
    const char *method; /* NULL: GET; PUT when there is an upload */
    const char *url;
    const char *bearer; /* Authorization: Bearer …; not sent to another host after a redirect */
    const struct emp_http_header *headers;
    size_t header_count;
    const void *body; /* in memory */
    size_t body_len;
    int upload_fd; /* ≥ 0 with upload_bytes > 0 or `upload`: sends a file from its start; borrowed
                      until done */
    int64_t upload_bytes;
    bool upload;
    int64_t resume_from; /* asks for the body from this byte on (Range); see emp_http_head.offset */
    const char *if_range;       /* with resume_from: the ETag of what is already there */
    size_t body_bytes_max;      /* of a gathered body; 0: 1 MiB. Longer: EMP_E_LIMIT */
    int64_t timeout_ms;         /* of all; 0: none */
    int64_t connect_timeout_ms; /* 0: 10 s */
    int64_t stall_bytes_per_s;  /* slower than this … */
    int64_t stall_ms; /* … for so long ends it, once it is connected, with EMP_E_TIMEOUT. 0: 30 s at
                         1 byte/s; EMP_NEVER: not checked */
    int64_t bytes_per_s_max; /* each way; 0: no limit */
    uint32_t redirects_max;  /* 0: 10 */

    void *ctx;
    int (*on_head)(void *ctx,
                   const struct emp_http_head
                       *head); /* the final one, before its body; negative ends the transfer */
    /* Body of a response with status 2xx, in pieces; other bodies are gathered in result.body.
     * NULL: all are gathered. Negative ends it. */
    int (*on_data)(void *ctx, const void *data, size_t len);
    void (*on_done)(
        void *ctx,
        const struct emp_http_result *result); /* exactly once; then the fetch no longer exists */
};

/* 0: on_done will come. EMP_E_INVALID, EMP_E_INTERNAL: nothing was started. */
int emp_http_fetch_start(struct emp_http_client *c, const struct emp_http_fetch_options *o,
                         struct emp_http_fetch **ret);
void emp_http_fetch_cancel(
    struct emp_http_fetch *f); /* on_done follows in a later turn with EMP_E_CANCELLED */
void emp_http_fetch_set_rate(struct emp_http_fetch *f,
                             int64_t bytes_per_s_max);           /* 0: none; takes effect at once */
int64_t emp_http_fetch_received(const struct emp_http_fetch *f); /* body bytes so far */

/* ---- Blocking, for the command line ---- */

struct emp_http_response {
    int status;
    char *body; /* NUL-terminated, from malloc; never NULL after success */
    size_t len;
    char content_type[128];
    int64_t retry_after_s; /* -1: not said */
};
/* One request on connections kept per thread. `body` may be NULL. 0 when a response came, whatever
 * its status; else EMP_E_* as in emp_http_result, with a text. timeout_ms 0: 30 s. Bodies up to 256
 * MiB. */
int emp_http_call(const char *method, const char *url, const struct emp_http_header *headers,
                  size_t header_count, const void *body, size_t len, int64_t timeout_ms,
                  struct emp_http_response *ret, struct emp_error *err);
/* The same, with the body handed out as it comes (event streams, downloads): negative from on_data
 * ends it and is returned. No timeout but for connecting and, with stall_ms > 0, for silence.
 * ret->body stays empty for status 2xx. */
int emp_http_call_stream(const char *method, const char *url, const struct emp_http_header *headers,
                         size_t header_count, int64_t stall_ms,
                         int (*on_data)(void *arg, const void *data, size_t len), void *arg,
                         struct emp_http_response *ret, struct emp_error *err);
void emp_http_response_release(struct emp_http_response *r);

#endif

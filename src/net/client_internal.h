/* What the files of the HTTP client share. All of it belongs to the loop's thread. */
#ifndef EMP_NET_CLIENT_INTERNAL_H
#define EMP_NET_CLIENT_INTERNAL_H

#include "net/http_client.h"

#include <curl/curl.h>

/* A curl handle in the multi, and who is told of its end. */
struct emp_http_transfer {
    CURL *easy;
    void (*done)(struct emp_http_transfer *t, CURLcode code); /* out of the multi already, unless
                                                                 stay: from the loop */
    void (*cancel)(struct emp_http_transfer *t); /* the client closes, or it was asked for: a later
                                                    turn */
    bool stay; /* in the multi after its end: its connection lives on (WebSockets) */
    bool cancelled;
    struct emp_http_transfer *next, *prev;
};

struct emp_http_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    uv_idle_t later;
    int open_handles;
    struct emp_http_transfer *transfers;
    char *ca_file, *user_agent;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* An easy handle with what all have in common; NULL when there is no memory. `text`
 * [CURL_ERROR_SIZE] gets curl's words. */
CURL *emp_http_easy(const struct emp_http_client *c, char *text);
/* 0 or EMP_E_INTERNAL. */
int emp_http_transfer_add(struct emp_http_client *c, struct emp_http_transfer *t);
/* Takes it out of the multi and the client's list, and frees the easy handle. */
void emp_http_transfer_drop(struct emp_http_client *c, struct emp_http_transfer *t);
/* Asks for its `cancel` in a later turn. */
void emp_http_transfer_cancel(struct emp_http_client *c, struct emp_http_transfer *t);

bool emp_http_is_url(const char *url); /* of a scheme of ours? */
/* curl's verdict as ours, with a text that names the host. */
int emp_http_curl_code(CURLcode code);
void emp_http_curl_text(CURLcode code, const char *url, const char *words,
                        char out[EMP_ERROR_TEXT_MAX]);

void emp_http_global_init(void);

#endif

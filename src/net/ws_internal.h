/* How a WebSocket reaches its bytes: a server's over a socket (ws.c itself), a client's over
 * whatever libcurl made, TLS included (ws_client.c). */
#ifndef EMP_NET_WS_INTERNAL_H
#define EMP_NET_WS_INTERNAL_H

#include "net/ws.h"

#include <sys/types.h>

struct emp_ws_transport {
    int fd; /* to be polled */
    void *arg;
    /* As recv(2) and send(2) on a non-blocking socket: -1 with errno EAGAIN, or another. */
    ssize_t (*recv)(void *arg, void *buf, size_t len);
    ssize_t (*send)(void *arg, const void *buf, size_t len);
    void (*close)(void *arg); /* exactly once, when nothing polls `fd` any more */
};

/* Takes the transport over on success. As emp_ws_new_server, in the client's role. */
int emp_ws_new_client(uv_loop_t *loop, const struct emp_ws_transport *t, const void *extra,
                      size_t extra_len, const struct emp_ws_options *o, struct emp_ws **ret);

/* What a server answers to a client's Sec-WebSocket-Key (RFC 6455, section 4.2.2). False: the key
 * is too long, or SHA-1 is not to be had. */
enum { EMP_WS_ACCEPT_TEXT = 32 };
bool emp_ws_accept(const char *key, char out[EMP_WS_ACCEPT_TEXT]);

/* Is `word` one of the words, separated by commas, of a header's value (which may be NULL)? Any
 * case. */
bool emp_ws_has_word(const char *list, const char *word);

#endif

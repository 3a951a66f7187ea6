/* Opens a WebSocket as a client: ws:// or wss:// (http:// and https:// mean the same), through
 * proxies and TLS as http_client.h does it: libcurl makes the connection (CONNECT_ONLY), the
 * handshake of RFC 6455 goes over it, then ws.h takes over in the client role, with masking.
 *
 * On the loop's thread. No callback comes from inside emp_ws_connect. */
#ifndef EMP_NET_WS_CLIENT_H
#define EMP_NET_WS_CLIENT_H

#include "net/http_client.h"
#include "net/ws.h"

struct emp_ws_dial;

/* Copied. */
struct emp_ws_connect_options {
    const char *url;    /* ws://HOST[:PORT][/PATH] */
    const char *bearer; /* Authorization: Bearer …; NULL: none */
    const struct emp_http_header *headers;
    size_t header_count;
    int64_t timeout_ms;       /* for connection and handshake together; 0: 10 s */
    struct emp_ws_options ws; /* of the connection, once open: its ctx, on_message, on_close */
    void *ctx;                /* of the two below; exactly one of them is called, once */
    void (*on_open)(void *ctx,
                    struct emp_ws *ws); /* from now on ws.h's rules; on_message comes later */
    /* err: EMP_E_NET (resolve, connect, TLS, broken off), TIMEOUT, UNAUTHORIZED (401), FORBIDDEN
     * (403), NOT_FOUND (404), UNAVAILABLE (503), PROTOCOL (anything else that is no proper answer),
     * CANCELLED. status: HTTP status, 0 when none came. */
    void (*on_fail)(void *ctx, int status, const struct emp_error *err);
};

/* The client must outlive the connection, or be closed with it. 0; EMP_E_INVALID (URL),
 * EMP_E_INTERNAL: nothing was started. */
int emp_ws_connect(struct emp_http_client *c, const struct emp_ws_connect_options *o,
                   struct emp_ws_dial **ret, struct emp_error *err);
/* Before on_open or on_fail has been called: on_fail follows in a later turn with EMP_E_CANCELLED.
 */
void emp_ws_dial_cancel(struct emp_ws_dial *d);

#endif

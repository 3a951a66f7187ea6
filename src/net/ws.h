/* A WebSocket connection (RFC 6455) on a libuv loop, in either role, after its handshake:
 * emp_http_upgrade gives the descriptor of a server's, ws_client.h makes a client's. Frames by
 * wslay; text messages only (binary: 1003), UTF-8 checked (1007), fragments joined.
 *
 * Everything on the loop's thread. Sending only queues; what one turn of the loop queues leaves in
 * one write(2) where it fits. Reading takes at most EMP_WS_TURN_BYTES per turn, so that no peer
 * owns the loop.
 *
 * The end: on_close comes exactly once, whoever ended it and however, never from inside a function
 * called here; after it the connection no longer exists. The peer's violations (1002, 1007, 1009)
 * are answered with the close code (a broken frame with none while half a frame of ours waits for
 * the peer) and ended; nothing the peer sends can do worse. */
#ifndef EMP_NET_WS_H
#define EMP_NET_WS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
    EMP_WS_TURN_BYTES = 256 << 10,
    EMP_WS_CLOSE_MS =
        2000, /* how long the peer may take to answer our close, and to take what waits */
    EMP_WS_REASON_MAX = 123,
};

/* Close codes used by us; others come from peers. */
enum emp_ws_code {
    EMP_WS_NORMAL = 1000,
    EMP_WS_GOING_AWAY = 1001,
    EMP_WS_PROTOCOL = 1002,
    EMP_WS_UNSUPPORTED = 1003,
    EMP_WS_NO_STATUS = 1005, /* the peer closed without a code */
    EMP_WS_ABNORMAL = 1006,  /* the connection broke or fell silent; never sent */
    EMP_WS_BAD_TEXT = 1007,
    EMP_WS_POLICY = 1008,
    EMP_WS_TOO_BIG = 1009,
    EMP_WS_INTERNAL = 1011,
    EMP_WS_TRY_LATER =
        1013, /* also: the peer did not take what we sent, send_bytes_max was reached */
};

struct emp_ws;

/* Copied. 0: the default named. */
struct emp_ws_options {
    size_t message_bytes_max; /* of one received message; 0: 16 MiB */
    size_t send_bytes_max;    /* that may wait for the peer, with 128 for each frame; 0: 64 MiB */
    int64_t
        ping_ms; /* a ping after so long without a byte from the peer; 0: 2 s; EMP_NEVER: none */
    int64_t idle_ms; /* the end (1006) after so long without; 0: 8 s; EMP_NEVER: none */
    void *ctx;
    /* Borrowed for the call, not NUL-terminated. May send, close, abort; is not called after. */
    void (*on_message)(void *ctx, struct emp_ws *ws, const char *data, size_t len);
    /* `code` as in enum emp_ws_code: the peer's if it closed first, else ours. `reason`
     * (NUL-terminated, sanitised) is for the log. */
    void (*on_close)(void *ctx, struct emp_ws *ws, int code, const char *reason);
};

/* Server role over a connected non-blocking socket, which it takes over on success, with bytes
 * already read. on_message begins in a later turn of the loop. 0; EMP_E_INTERNAL (no memory),
 * EMP_E_IO. */
int emp_ws_new_server(uv_loop_t *loop, int fd, const void *extra, size_t extra_len,
                      const struct emp_ws_options *o, struct emp_ws **ret);

/* Queues a text message (copied). 0; EMP_E_LIMIT: send_bytes_max reached: the connection ends with
 * 1013; EMP_E_NET: it is ending. */
int emp_ws_send_text(struct emp_ws *ws, const void *data, size_t len);
/* The same from pieces that form one message. */
struct emp_ws_piece {
    const void *data;
    size_t len;
};
int emp_ws_send_pieces(struct emp_ws *ws, const struct emp_ws_piece *pieces, size_t count);

size_t emp_ws_waiting_bytes(const struct emp_ws *ws); /* queued and not yet taken by the kernel */
size_t emp_ws_count(const struct emp_ws *ws, uint64_t *ret_received,
                    uint64_t *ret_sent);      /* messages so far; returns waiting bytes */
bool emp_ws_is_open(const struct emp_ws *ws); /* neither side has begun to close */
void *emp_ws_ctx(const struct emp_ws *ws);
void emp_ws_set_ctx(struct emp_ws *ws, void *ctx);

void emp_ws_close(struct emp_ws *ws, int code,
                  const char *reason); /* after what is queued; reason may be NULL, is cut to fit */
void emp_ws_abort(struct emp_ws *ws);  /* without courtesy: on_close with 1006 */

#endif

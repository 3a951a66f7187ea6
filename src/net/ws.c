/* wslay makes and reads frames; this file moves the bytes, keeps the times and orders the end.
 *
 * Going out, wslay's frames gather in `out`, which is written once per turn: an idle handle is
 * started by whoever queues something, and runs before the loop sleeps. It also reads on where the
 * last turn stopped at its limit, and ends what was aborted; so no callback comes from inside a
 * function called by the owner.
 *
 * What may wait for the peer is counted with what each frame costs, and answers to the peer's pings
 * count too: else empty frames would be free.
 *
 * The end has three ways. In order: both sides have sent a close frame. By violation or by us
 * alone: our close frame is out, then we read and drop until the peer closes, for a reset in place
 * of that would eat the frame. Broken: at once. A timer bounds the first two. */
#include "net/ws_internal.h"

#include "base/time.h"
#include "os/random.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

enum {
    MESSAGE_BYTES_DEFAULT = 16 << 20,
    SEND_BYTES_DEFAULT = 64 << 20,
    PING_MS_DEFAULT = 2000,
    IDLE_MS_DEFAULT = 8000,
    OUT_BYTES = 64 * 1024, /* gathered before a write; frames beyond wait in wslay */
    MASK_BYTES = 1024,
    FRAME_COST = 128, /* what wslay keeps of a queued frame beside its bytes, about */
    HANDLES = 3,
};

struct emp_ws {
    struct emp_ws_options o;
    struct emp_ws_transport t;
    wslay_event_context_ptr wslay;
    uv_poll_t poll;
    uv_idle_t turn;
    uv_timer_t timer;
    int poll_events;
    int open_handles;

    char *extra; /* read before us */
    size_t extra_len, extra_at;
    size_t turn_bytes; /* read in this turn */
    char *out; /* [OUT_BYTES]; NULL while nothing waits: most connections are silent most of the
                  time */
    size_t out_len, out_at;

    uint64_t last_byte_ms; /* of the peer */
    uint64_t pinged_ms;    /* since then; 0: not yet */
    uint64_t close_by_ms;  /* 0: nothing has begun to close */
    int close_after;       /* the code to close with once all that is queued is out; 0: none */
    bool broken;           /* no byte can pass any more */
    bool input_over;       /* none will come, or none is wanted */
    bool lingering;        /* our close is out: what comes is dropped */
    bool server;
    bool violated; /* our own answer to a broken frame is in `out`; wslay has done */
    bool dead;     /* on_close is due in this or the next turn */
    bool ended;    /* on_close was called */
    int code;      /* 0: as wslay says */
    char reason[EMP_WS_REASON_MAX + 1];
    uint64_t received, sent;
    unsigned char mask[MASK_BYTES];
    size_t mask_at;
};

/* ------------------------------------------------------------------ the end */

static void on_handle_closed(uv_handle_t *h)
{
    struct emp_ws *ws = h->data;
    if (--ws->open_handles > 0)
        return;
    ws->t.close(ws->t.arg);
    wslay_event_context_free(ws->wslay);
    free(ws->extra);
    free(ws->out);
    free(ws);
}

static void keep_reason(struct emp_ws *ws, const void *text, size_t len)
{
    const unsigned char *p = text;
    size_t n = 0;
    for (; n < len && n < EMP_WS_REASON_MAX; n++)
        ws->reason[n] = (char)(p[n] < 0x20 || p[n] == 0x7f ? '?' : p[n]);
    ws->reason[n] = '\0';
}

static int end_code(const struct emp_ws *ws)
{
    if (ws->code)
        return ws->code;
    if (wslay_event_get_close_received(ws->wslay))
        return wslay_event_get_status_code_received(ws->wslay);
    if (wslay_event_get_close_sent(ws->wslay))
        return wslay_event_get_status_code_sent(ws->wslay);
    return EMP_WS_ABNORMAL;
}

static void end(struct emp_ws *ws)
{
    if (ws->ended)
        return;
    ws->ended = true;
    if (ws->o.on_close)
        ws->o.on_close(ws->o.ctx, ws, end_code(ws), ws->reason);
    uv_close((uv_handle_t *)&ws->poll, on_handle_closed);
    uv_close((uv_handle_t *)&ws->turn, on_handle_closed);
    uv_close((uv_handle_t *)&ws->timer, on_handle_closed);
}

static void on_turn(uv_idle_t *idle);

static void soon(struct emp_ws *ws)
{
    if (!ws->ended)
        uv_idle_start(&ws->turn, on_turn);
}

static void die(struct emp_ws *ws, int code, const char *reason)
{
    if (ws->dead)
        return;
    ws->dead = true;
    if (code)
        ws->code = code;
    if (reason)
        keep_reason(ws, reason, strlen(reason));
    soon(ws);
}

/* ------------------------------------------------------------------ bytes */

static ssize_t take_extra(struct emp_ws *ws, void *buf, size_t len)
{
    size_t left = ws->extra_len - ws->extra_at, n = left < len ? left : len;
    memcpy(buf, ws->extra + ws->extra_at, n);
    ws->extra_at += n;
    if (ws->extra_at == ws->extra_len) {
        free(ws->extra);
        ws->extra = NULL;
        ws->extra_len = ws->extra_at = 0;
    }
    return (ssize_t)n;
}

/* ≥ 0: bytes; -1: none now; -2: it is over */
static ssize_t read_some(struct emp_ws *ws, void *buf, size_t len)
{
    if (ws->extra)
        return take_extra(ws, buf, len);
    if (ws->turn_bytes >= EMP_WS_TURN_BYTES) {
        soon(ws); // a transport that holds decrypted bytes would not wake the poll
        return -1;
    }
    ssize_t n;
    do
        n = ws->t.recv(ws->t.arg, buf, len);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        ws->turn_bytes += (size_t)n;
        ws->last_byte_ms = uv_now(ws->turn.loop);
        ws->pinged_ms = 0;
        return n;
    }
    if (n < 0 && (errno == EAGAIN))
        return -1;
    if (n < 0) { // an orderly end of theirs leaves us our last word
        ws->broken = true;
        keep_reason(ws, strerror(errno), strlen(strerror(errno)));
    }
    if (ws->close_by_ms == 0 && !wslay_event_get_close_received(ws->wslay))
        ws->code = EMP_WS_ABNORMAL; // wslay makes up a close frame now
    return -2;
}

static ssize_t wslay_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags,
                          void *arg)
{
    struct emp_ws *ws = arg;
    (void)flags;
    ssize_t n = ws->dead ? -2 : read_some(ws, buf, len);
    if (n > 0)
        return n;
    ws->input_over |= n == -2;
    wslay_event_set_error(ctx, n == -1 ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t wslay_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags,
                          void *arg)
{
    struct emp_ws *ws = arg;
    size_t room = OUT_BYTES - ws->out_len;
    (void)flags;
    if (ws->out == NULL && (ws->out = malloc(OUT_BYTES)) == NULL) {
        wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    if (room == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (len > room)
        len = room;
    memcpy(ws->out + ws->out_len, data, len);
    ws->out_len += len;
    return (ssize_t)len;
}

static int wslay_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, void *arg)
{
    struct emp_ws *ws = arg;
    (void)ctx;
    if (ws->mask_at + len > MASK_BYTES) {
        emp_os_random(ws->mask, MASK_BYTES);
        ws->mask_at = 0;
    }
    memcpy(buf, ws->mask + ws->mask_at, len);
    ws->mask_at += len;
    return 0;
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg)
{
    struct emp_ws *ws = arg;
    (void)ctx;
    if (m->opcode == WSLAY_CONNECTION_CLOSE && m->msg_length >= 2)
        keep_reason(ws, m->msg + 2, m->msg_length - 2);
    if (m->opcode == WSLAY_BINARY_FRAME)
        emp_ws_close(ws, EMP_WS_UNSUPPORTED, "text messages only");
    if (m->opcode != WSLAY_TEXT_FRAME || ws->dead || ws->close_by_ms)
        return; // the owner that has closed hears no more
    ws->received++;
    ws->o.on_message(ws->o.ctx, ws, (const char *)m->msg, m->msg_length);
}

static bool out_waits(const struct emp_ws *ws)
{
    return ws->out_at < ws->out_len || wslay_event_want_write(ws->wslay);
}

static void write_out(struct emp_ws *ws)
{
    while (!ws->broken && out_waits(ws)) {
        if (ws->out_at == ws->out_len)
            ws->out_at = ws->out_len = 0;
        if (ws->out_len < OUT_BYTES && wslay_event_want_write(ws->wslay) &&
            wslay_event_send(ws->wslay) != 0) {
            die(ws, EMP_WS_INTERNAL, "no memory");
            return;
        }
        if (ws->out_at == ws->out_len)
            return;
        ssize_t n = ws->t.send(ws->t.arg, ws->out + ws->out_at, ws->out_len - ws->out_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN))
            return;
        if (n < 0) {
            ws->broken = true;
            keep_reason(ws, strerror(errno), strlen(strerror(errno)));
            return;
        }
        ws->out_at += (size_t)n;
    }
}

/* wslay lets a close frame overtake what is queued, and drops that then: so it comes last. */
static void queue_close(struct emp_ws *ws)
{
    if (ws->close_after == 0 || wslay_event_get_queued_msg_count(ws->wslay) > 0)
        return;
    wslay_event_queue_close(ws->wslay, (uint16_t)ws->close_after, (const uint8_t *)ws->reason,
                            strlen(ws->reason));
    ws->close_after = 0;
    write_out(ws);
}

/* All that can leave. */
static void flush(struct emp_ws *ws)
{
    write_out(ws);
    queue_close(ws);
    if (ws->out_at < ws->out_len)
        return;
    free(ws->out);
    ws->out = NULL;
    ws->out_at = ws->out_len = 0;
}

/* ------------------------------------------------------------------ a turn */

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

static void set_poll(struct emp_ws *ws)
{
    int events = UV_READABLE | (out_waits(ws) ? UV_WRITABLE : 0);
    if (events == ws->poll_events)
        return;
    ws->poll_events = events;
    uv_poll_start(&ws->poll, events, on_poll);
}

static void drop_input(struct emp_ws *ws)
{
    char waste[16384];
    ssize_t n;
    while ((n = read_some(ws, waste, sizeof waste)) > 0)
        ;
    ws->dead |= n == -2;
}

static void linger(struct emp_ws *ws)
{
    ws->lingering = true;
    shutdown(ws->t.fd, SHUT_WR);
    drop_input(ws);
}

/* Does the state ask for the end? */
static void settle(struct emp_ws *ws)
{
    bool closing = ws->violated || wslay_event_get_close_sent(ws->wslay) ||
                   wslay_event_get_close_received(ws->wslay);
    uint64_t now = uv_now(ws->turn.loop);
    if (closing && ws->close_by_ms == 0) {
        ws->close_by_ms = now + EMP_WS_CLOSE_MS;
        uv_timer_start(&ws->timer, on_timer, EMP_WS_CLOSE_MS, 0);
    }
    bool done = closing && !out_waits(ws);
    if (done && wslay_event_get_close_received(ws->wslay))
        ws->dead = true;
    else if (done && !wslay_event_want_read(ws->wslay) && !ws->lingering)
        linger(ws);
    if (ws->broken || ws->dead)
        end(ws);
    else
        set_poll(ws);
}

/* Our own close frame in place of wslay's empty one. Only between frames: wslay sends no more. */
static void answer_violation(struct emp_ws *ws)
{
    unsigned char f[8] = {0x88, 2, EMP_WS_PROTOCOL >> 8, EMP_WS_PROTOCOL & 0xff};
    size_t len = 4;

    ws->violated = true;
    wslay_event_shutdown_write(ws->wslay);
    if (ws->out == NULL && (ws->out = malloc(OUT_BYTES)) == NULL)
        return;
    if (!ws->server) {
        f[1] |= 0x80;
        wslay_mask(ws->wslay, f + 2, 4, ws);
        f[6] = f[2] ^ EMP_WS_PROTOCOL >> 8;
        f[7] = f[3] ^ (EMP_WS_PROTOCOL & 0xff);
        len = 8;
    }
    if (OUT_BYTES - ws->out_len >= len) {
        memcpy(ws->out + ws->out_len, f, len);
        ws->out_len += len;
    }
}

/* wslay answers what breaks the rules of messages with a code, of its own accord. Of a head that
 * breaks those of frames it only says that it failed, with an empty close frame queued. */
static void read_frames(struct emp_ws *ws)
{
    bool between_frames = !wslay_event_want_write(ws->wslay) && ws->close_by_ms == 0;
    int r = wslay_event_recv(ws->wslay);
    if (r == WSLAY_ERR_NOMEM) {
        die(ws, EMP_WS_INTERNAL, "no memory");
    } else if (r != 0 && ws->input_over) {
        ws->dead = true;
    } else if (r != 0) {
        static const char why[] = "a frame that breaks the protocol";
        ws->code = EMP_WS_PROTOCOL;
        keep_reason(ws, why, sizeof why - 1);
        if (between_frames && !ws->dead)
            answer_violation(ws);
    }
}

static size_t backlog(const struct emp_ws *ws)
{
    return emp_ws_waiting_bytes(ws) + FRAME_COST * wslay_event_get_queued_msg_count(ws->wslay);
}

static void take_turn(struct emp_ws *ws)
{
    ws->turn_bytes = 0;
    if (ws->lingering)
        drop_input(ws);
    else if (!ws->dead && wslay_event_want_read(ws->wslay))
        read_frames(ws);
    flush(ws);
    if (backlog(ws) > ws->o.send_bytes_max)
        die(ws, EMP_WS_TRY_LATER, "the peer does not take what answers its pings");
    settle(ws);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct emp_ws *ws = poll->data;
    (void)events;
    if (status < 0)
        ws->broken = true;
    if (!ws->ended)
        take_turn(ws);
}

static void on_turn(uv_idle_t *idle)
{
    struct emp_ws *ws = idle->data;
    uv_idle_stop(idle);
    if (!ws->ended)
        take_turn(ws);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Not before what waits in the socket has been read: it may be the loop that is late. */
static bool is_silent(struct emp_ws *ws, uint64_t now)
{
    if (ws->last_byte_ms + (uint64_t)ws->o.idle_ms > now)
        return false;
    take_turn(ws);
    return ws->last_byte_ms + (uint64_t)ws->o.idle_ms <= now;
}

/* Silence: a ping, then the end. */
static void on_timer(uv_timer_t *timer)
{
    struct emp_ws *ws = timer->data;
    uint64_t now = uv_now(timer->loop), next = UINT64_MAX;
    if (ws->close_by_ms) {
        die(ws, 0, NULL);
        return;
    }
    if (ws->o.idle_ms != EMP_NEVER) {
        bool silent = is_silent(ws, now);
        if (ws->ended || ws->close_by_ms)
            return; // what was read has settled it
        if (silent) {
            die(ws, EMP_WS_ABNORMAL, "the peer is silent");
            return;
        }
        next = ws->last_byte_ms + (uint64_t)ws->o.idle_ms;
    }
    if (ws->o.ping_ms != EMP_NEVER) {
        uint64_t due = (ws->pinged_ms ? ws->pinged_ms : ws->last_byte_ms) + (uint64_t)ws->o.ping_ms;
        if (due <= now) {
            struct wslay_event_msg ping = {.opcode = WSLAY_PING};
            wslay_event_queue_msg(ws->wslay, &ping);
            ws->pinged_ms = now;
            due = now + (uint64_t)ws->o.ping_ms;
            soon(ws);
        }
        next = sooner(next, due);
    }
    if (next != UINT64_MAX)
        uv_timer_start(timer, on_timer, next - now, 0);
}

/* ------------------------------------------------------------------ making one */

static ssize_t socket_recv(void *arg, void *buf, size_t len)
{
    return recv((int)(intptr_t)arg, buf, len, 0);
}

static ssize_t socket_send(void *arg, const void *buf, size_t len)
{
    return send((int)(intptr_t)arg, buf, len, MSG_NOSIGNAL);
}

static void socket_close(void *arg)
{
    close((int)(intptr_t)arg);
}

static void defaults(struct emp_ws_options *o)
{
    if (o->message_bytes_max == 0)
        o->message_bytes_max = MESSAGE_BYTES_DEFAULT;
    if (o->send_bytes_max == 0)
        o->send_bytes_max = SEND_BYTES_DEFAULT;
    if (o->ping_ms == 0)
        o->ping_ms = PING_MS_DEFAULT;
    if (o->idle_ms == 0)
        o->idle_ms = IDLE_MS_DEFAULT;
}

static bool make_wslay(struct emp_ws *ws, bool server)
{
    struct wslay_event_callbacks callbacks = {
        .recv_callback = wslay_recv,
        .send_callback = wslay_send,
        .genmask_callback = wslay_mask,
        .on_msg_recv_callback = on_message,
    };
    int r = server ? wslay_event_context_server_init(&ws->wslay, &callbacks, ws)
                   : wslay_event_context_client_init(&ws->wslay, &callbacks, ws);
    if (r != 0)
        return false;
    wslay_event_config_set_max_recv_msg_length(ws->wslay, ws->o.message_bytes_max);
    return true;
}

static void start_handles(struct emp_ws *ws, uv_loop_t *loop)
{
    ws->open_handles = HANDLES;
    ws->poll.data = ws->turn.data = ws->timer.data = ws;
    uv_idle_init(loop, &ws->turn);
    uv_timer_init(loop, &ws->timer);
    ws->last_byte_ms = uv_now(loop);
    ws->poll_events = UV_READABLE;
    uv_poll_start(&ws->poll, UV_READABLE, on_poll);
    on_timer(&ws->timer);
    if (ws->extra)
        soon(ws);
}

static int ws_new(uv_loop_t *loop, const struct emp_ws_transport *t, const void *extra,
                  size_t extra_len, bool server, const struct emp_ws_options *o,
                  struct emp_ws **ret)
{
    struct emp_ws *ws = calloc(1, sizeof *ws);
    int r = EMP_E_INTERNAL;
    if (ws == NULL)
        return r;
    ws->o = *o;
    ws->t = *t;
    ws->server = server;
    ws->mask_at = MASK_BYTES;
    defaults(&ws->o);
    if (extra_len && (ws->extra = malloc(extra_len)) != NULL) {
        memcpy(ws->extra, extra, extra_len);
        ws->extra_len = extra_len;
    }
    if ((ws->extra || extra_len == 0) && make_wslay(ws, server)) {
        r = uv_poll_init(loop, &ws->poll, t->fd) == 0 ? 0 : EMP_E_IO;
        if (r < 0)
            wslay_event_context_free(ws->wslay);
    }
    if (r < 0) {
        free(ws->extra);
        free(ws);
        return r;
    }
    start_handles(ws, loop);
    *ret = ws;
    return 0;
}

int emp_ws_new_server(uv_loop_t *loop, int fd, const void *extra, size_t extra_len,
                      const struct emp_ws_options *o, struct emp_ws **ret)
{
    struct emp_ws_transport t = {fd, (void *)(intptr_t)fd, socket_recv, socket_send, socket_close};
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // else: no TCP socket, no delay
    return ws_new(loop, &t, extra, extra_len, true, o, ret);
}

int emp_ws_new_client(uv_loop_t *loop, const struct emp_ws_transport *t, const void *extra,
                      size_t extra_len, const struct emp_ws_options *o, struct emp_ws **ret)
{
    return ws_new(loop, t, extra, extra_len, false, o, ret);
}

/* ------------------------------------------------------------------ sending, closing */

bool emp_ws_is_open(const struct emp_ws *ws)
{
    return !ws->dead && !ws->ended && !ws->broken && !wslay_event_get_close_sent(ws->wslay) &&
           !wslay_event_get_close_received(ws->wslay) && ws->close_by_ms == 0;
}

size_t emp_ws_waiting_bytes(const struct emp_ws *ws)
{
    return wslay_event_get_queued_msg_length(ws->wslay) + ws->out_len - ws->out_at;
}

static int queue(struct emp_ws *ws, const void *data, size_t len)
{
    struct wslay_event_msg m = {.opcode = WSLAY_TEXT_FRAME, .msg = data, .msg_length = len};
    if (!emp_ws_is_open(ws))
        return EMP_E_NET;
    if (backlog(ws) + len > ws->o.send_bytes_max) {
        die(ws, EMP_WS_TRY_LATER, "the peer does not take what is sent");
        return EMP_E_LIMIT;
    }
    int r = wslay_event_queue_msg(ws->wslay, &m);
    if (r == WSLAY_ERR_NO_MORE_MSG)
        return EMP_E_NET;
    if (r != 0) {
        die(ws, EMP_WS_INTERNAL, "no memory");
        return EMP_E_NET;
    }
    ws->sent++;
    soon(ws);
    return 0;
}

int emp_ws_send_text(struct emp_ws *ws, const void *data, size_t len)
{
    return queue(ws, data, len);
}

int emp_ws_send_pieces(struct emp_ws *ws, const struct emp_ws_piece *pieces, size_t count)
{
    size_t len = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        len += pieces[i].len;
    char *all = malloc(len + 1);
    if (all == NULL) {
        die(ws, EMP_WS_INTERNAL, "no memory");
        return EMP_E_NET;
    }
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len)
            memcpy(all + at, pieces[i].data, pieces[i].len);
        at += pieces[i].len;
    }
    int r = queue(ws, all, len);
    free(all);
    return r;
}

size_t emp_ws_count(const struct emp_ws *ws, uint64_t *ret_received, uint64_t *ret_sent)
{
    *ret_received = ws->received;
    *ret_sent = ws->sent;
    return emp_ws_waiting_bytes(ws);
}

void *emp_ws_ctx(const struct emp_ws *ws)
{
    return ws->o.ctx;
}

void emp_ws_set_ctx(struct emp_ws *ws, void *ctx)
{
    ws->o.ctx = ctx;
}

void emp_ws_close(struct emp_ws *ws, int code, const char *reason)
{
    size_t len = reason ? strlen(reason) : 0;
    if (!emp_ws_is_open(ws))
        return;
    if (len > EMP_WS_REASON_MAX)
        for (len = EMP_WS_REASON_MAX; len && ((unsigned char)reason[len] & 0xc0) == 0x80;)
            len--;
    keep_reason(ws, reason, len);
    ws->close_after = code;
    write_out(ws); // a peer that has ended already still gets it
    queue_close(ws);
    ws->close_by_ms = uv_now(ws->turn.loop) + EMP_WS_CLOSE_MS;
    uv_timer_start(&ws->timer, on_timer, EMP_WS_CLOSE_MS, 0);
    soon(ws);
}

void emp_ws_abort(struct emp_ws *ws)
{
    die(ws, EMP_WS_ABNORMAL, NULL);
}

#include "agent/link.h"

#include "os/clock.h"
#include "os/log.h"
#include "os/random.h"
#include "proto/message_json.h"

#include <stdlib.h>

enum {
    PAUSE_MS_MIN = 50,
    PAUSE_MS_SOON = 2000, /* at most, in the first minute */
    PAUSE_MS_LATER = 30000,
    SOON_MS = 60000,
    LASTED_MS = 1000, /* a connection of this age was one */
    OUT_BYTES_MAX = EMP_MESSAGE_BYTES_MAX + 1024 * 1024,
    PATH_BYTES = 16,
};

static void dial(struct emp_agent_link *l);

static void on_timer(uv_timer_t *t)
{
    struct emp_agent_link *l = t->data;
    if (!l->closing)
        dial(l);
}

static void dial_later(struct emp_agent_link *l)
{
    int64_t max = emp_mono_now() - l->lost_at < SOON_MS ? PAUSE_MS_SOON : PAUSE_MS_LATER;
    int64_t pause = l->pause_ms < max ? l->pause_ms : max;
    l->pause_ms = pause * 2;
    pause = pause / 2 + (int64_t)emp_random_below(&l->random, (uint64_t)pause / 2 + 1);
    uv_timer_start(&l->timer, on_timer, (uint64_t)(pause < PAUSE_MS_MIN ? PAUSE_MS_MIN : pause), 0);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct emp_agent_link *l = h->data;
    emp_buf_release(&l->out);
    free(l->address);
    l->closed(l->o.arg);
}

static void finish_close(struct emp_agent_link *l)
{
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

static void on_message(void *ctx, struct emp_ws *ws, const char *data, size_t len)
{
    struct emp_agent_link *l = ctx;
    (void)ws;
    if (!l->closing)
        l->o.text(l->o.arg, data, len);
}

static void on_close(void *ctx, struct emp_ws *ws, int code, const char *reason)
{
    struct emp_agent_link *l = ctx;
    (void)ws;
    l->ws = NULL;
    if (l->closing) {
        finish_close(l);
        return;
    }
    emp_log(EMP_LOG_WARN, "link", "connection to the broker lost: %d%s%s", code,
            reason[0] ? " " : "", reason);
    if (emp_mono_now() - l->up_at >= LASTED_MS) {
        l->lost_at = emp_mono_now();
        l->pause_ms = PAUSE_MS_MIN;
    }
    dial_later(l);
    l->o.down(l->o.arg);
}

static void on_open(void *ctx, struct emp_ws *ws)
{
    struct emp_agent_link *l = ctx;
    l->dial = NULL;
    l->ws = ws;
    l->up_at = emp_mono_now();
    l->was_up = true;
    l->failed_code = 0;
    if (l->closing)
        emp_ws_close(ws, EMP_WS_GOING_AWAY, NULL);
    else
        l->o.up(l->o.arg);
}

static void on_fail(void *ctx, int status, const struct emp_error *err)
{
    struct emp_agent_link *l = ctx;
    (void)status;
    l->dial = NULL;
    if (l->closing) {
        finish_close(l);
        return;
    }
    if (!l->was_up && (err->code == EMP_E_UNAUTHORIZED || err->code == EMP_E_FORBIDDEN)) {
        l->o.refused(l->o.arg, err);
        return;
    }
    bool news = err->code != l->failed_code; // each kind of trouble is said once
    l->failed_code = err->code;
    emp_log(news ? EMP_LOG_WARN : EMP_LOG_DEBUG, "link",
            "cannot connect to the broker: %s; trying again", err->text);
    dial_later(l);
}

static void dial(struct emp_agent_link *l)
{
    struct emp_error err;
    struct emp_ws_connect_options o = {
        .url = l->address,
        .bearer = l->o.token,
        .ws = {.message_bytes_max = EMP_MESSAGE_BYTES_MAX,
               .ctx = l,
               .on_message = on_message,
               .on_close = on_close},
        .ctx = l,
        .on_open = on_open,
        .on_fail = on_fail,
    };
    if (emp_ws_connect(l->o.http, &o, &l->dial, &err) == 0)
        return;
    l->dial = NULL;
    emp_log_failure(EMP_LOG_ERROR, "link", "no connection can be begun", &err);
    dial_later(l);
}

int emp_agent_link_start(struct emp_agent_link *l, const struct emp_link_options *o,
                         struct emp_error *err)
{
    static const char *const schemes[] = {"ws://", "wss://", "http://", "https://"};
    uint64_t seed;
    bool known = false;
    size_t len = strlen(o->url);

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        known |= strncmp(o->url, schemes[i], strlen(schemes[i])) == 0 && len > strlen(schemes[i]);
    if (!known)
        return emp_fail(err, EMP_E_INVALID, "broker",
                        "\"%s\" is no address of a broker: ws://HOST:PORT or wss://HOST:PORT",
                        o->url);
    *l = (struct emp_agent_link){.o = *o};
    while (len > 0 && o->url[len - 1] == '/')
        len--;
    l->address = malloc(len + PATH_BYTES);
    if (l->address == NULL)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory");
    snprintf(l->address, len + PATH_BYTES, "%.*s/ws/agent", (int)len, o->url);
    emp_os_random(&seed, sizeof seed);
    emp_random_init(&l->random, seed);
    emp_buf_init(&l->out, OUT_BYTES_MAX);
    l->lost_at = emp_mono_now();
    l->pause_ms = PAUSE_MS_MIN;
    l->timer.data = l;
    uv_timer_init(o->loop, &l->timer);
    uv_timer_start(&l->timer, on_timer, 0, 0);
    return 0;
}

void emp_agent_link_send(struct emp_agent_link *l, const struct emp_message *m)
{
    if (l->ws == NULL)
        return;
    emp_buf_clear(&l->out);
    if (!emp_message_encode(m, &l->out)) {
        emp_log(EMP_LOG_ERROR, "link", "a message %s is too large to be sent",
                emp_message_word(m->kind));
        emp_buf_release(&l->out);
        return;
    }
    emp_ws_send_text(l->ws, l->out.data, l->out.len);
}

void emp_agent_link_reconnect(struct emp_agent_link *l, const char *reason)
{
    if (l->ws)
        emp_ws_close(l->ws, EMP_WS_NORMAL, reason);
}

void emp_agent_link_close(struct emp_agent_link *l, void (*closed)(void *arg))
{
    l->closing = true;
    l->closed = closed;
    uv_timer_stop(&l->timer);
    if (l->ws)
        emp_ws_close(l->ws, EMP_WS_GOING_AWAY, "the agent ends");
    else if (l->dial)
        emp_ws_dial_cancel(l->dial);
    else
        finish_close(l);
}

#include "cli/bench_agents.h"

#include "os/clock.h"
#include "os/random.h"
#include "proto/message_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OUT_BYTES_MAX = 16 << 20,
    HEAD_BYTES_MAX = 16 * 1024,
    MASK_BYTES = 4,
    UPGRADE_MS = 10000,
    OP_TEXT = 1,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10,
};

/* ------------------------------------------------------------------ frames out */

static void add_frame(struct emp_buf *out, unsigned op, const void *data, size_t len)
{
    unsigned char head[14] = {(unsigned char)(0x80 | op)};
    size_t n = 2;

    if (len < 126) {
        head[1] = (unsigned char)(0x80 | len);
    } else if (len < 65536) {
        head[1] = 0x80 | 126;
        head[n++] = (unsigned char)(len >> 8);
        head[n++] = (unsigned char)len;
    } else {
        head[1] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            head[n++] = (unsigned char)((uint64_t)len >> shift);
    }
    emp_buf_add(out, head, n + MASK_BYTES); // the key: four zero bytes
    emp_buf_add(out, data, len);
}

static void add_message(struct emp_bench_agents *a, const struct emp_message *m)
{
    emp_buf_clear(&a->message);
    emp_message_encode(m, &a->message);
    add_frame(&a->frames, OP_TEXT, a->message.data, a->message.len);
}

static void flush(struct emp_bench_agent *g)
{
    struct emp_buf *frames = &g->all->frames;

    if (frames->failed || g->all->message.failed)
        emp_load_fail(&g->peer, "too much to send at once");
    else if (frames->len > 0)
        emp_load_send(&g->peer, frames->data, frames->len);
    emp_buf_clear(frames);
}

/* ------------------------------------------------------------------ messages */

static void say_hello(struct emp_bench_agent *g, struct emp_str pool)
{
    struct emp_str services[] = {EMP_STR("simulation")};
    char id[64], boot[64];
    uint64_t random;

    emp_os_random(&random, sizeof random);
    snprintf(id, sizeof id, "bench-%u-%08x", g->number, (unsigned)random);
    snprintf(boot, sizeof boot, "%016" PRIx64, random);
    struct emp_message m = {
        .kind = EMP_MESSAGE_HELLO,
        .hello =
            {
                .protocol = EMP_PROTOCOL_VERSION,
                .facts =
                    {
                        .id = emp_str_z(id),
                        .boot = emp_str_z(boot),
                        .version = EMP_STR(EMP_VERSION),
                        .pool = pool,
                        .services = services,
                        .service_count = 1,
                        .slots = g->all->slots,
                        .cpu_cores = 8,
                        .ram_bytes = INT64_C(32000000000),
                        .disk_budget_bytes = INT64_C(40000000000),
                        .disk_free_bytes = INT64_C(40000000000),
                    },
            },
    };
    add_message(g->all, &m);
    flush(g);
}

static void do_job(struct emp_bench_agents *a, const struct emp_message_assign *job)
{
    int64_t now = emp_wall_now();
    struct emp_message started = {
        .kind = EMP_MESSAGE_STARTED,
        .started = {.job = job->job, .attempt = job->attempt, .at = now},
    };
    struct emp_message completed = {
        .kind = EMP_MESSAGE_COMPLETED,
        .finished =
            {
                .job = job->job,
                .attempt = job->attempt,
                .started_at = now,
                .ended_at = now,
                .result = EMP_STR("{\"simulated\":true,\"duration_ms\":0}"),
            },
    };

    a->assigned++;
    a->assigned_at = emp_mono_us();
    add_message(a, &started);
    add_message(a, &completed);
}

static void take_message(struct emp_bench_agent *g, const char *text, size_t len)
{
    struct emp_bench_agents *a = g->all;
    struct emp_message m;
    struct emp_error err;

    emp_arena_reset(&a->scratch);
    if (emp_message_decode(&a->scratch, text, len, 'B', &m, &err) < 0) {
        emp_load_fail(&g->peer, "%s", err.text);
        return;
    }
    switch (m.kind) {
    case EMP_MESSAGE_WELCOME:
        a->welcomed++;
        a->beat_us = (int64_t)m.welcome.beat_ms * 1000;
        break;
    case EMP_MESSAGE_ASSIGN:
        do_job(a, &m.assign);
        break;
    case EMP_MESSAGE_ACK:
        a->acknowledged++;
        break;
    case EMP_MESSAGE_REFUSED:
        emp_load_fail(&g->peer, "refused: %.*s", EMP_STR_FMT(m.refused.reason));
        break;
    default: // nothing else asks for anything here
        break;
    }
}

/* ------------------------------------------------------------------ frames in */

/* The bytes of the whole frame at the front, with where its payload begins; 0: more must come. */
static size_t frame_length(const unsigned char *data, size_t len, size_t *ret_payload_at)
{
    if (len < 2)
        return 0;
    uint64_t payload = data[1] & 0x7f;
    size_t at = payload == 126 ? 4 : payload == 127 ? 10 : 2;
    if (len < at)
        return 0;
    if (at > 2) {
        payload = 0;
        for (size_t i = 2; i < at; i++)
            payload = payload << 8 | data[i];
    }
    *ret_payload_at = at;
    return payload <= len - at ? at + (size_t)payload : 0;
}

/* False: not understood. Our broker sends every message in one frame. */
static bool take_frame(struct emp_bench_agent *g, unsigned first, const char *payload, size_t len)
{
    switch (first) {
    case 0x80 | OP_TEXT:
        take_message(g, payload, len);
        return true;
    case 0x80 | OP_PING:
        add_frame(&g->all->frames, OP_PONG, payload, len);
        return true;
    case 0x80 | OP_CLOSE:
        emp_load_fail(&g->peer, "closed by the broker: %.*s", len > 2 ? (int)len - 2 : 0,
                      len > 2 ? payload + 2 : "");
        return true;
    default:
        return false;
    }
}

static ssize_t take_upgrade(struct emp_bench_agent *g, const char *data, size_t len)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);

    if (!end)
        return len > HEAD_BYTES_MAX ? -1 : 0;
    if (strncmp(data, "HTTP/1.1 101 ", 13) != 0) {
        emp_load_fail(&g->peer, "no WebSocket, but: %.*s", len > 300 ? 300 : (int)len, data);
        return (ssize_t)len;
    }
    g->upgraded = true;
    return end - data + 4;
}

static ssize_t take(struct emp_load_peer *p, const char *data, size_t len)
{
    struct emp_bench_agent *g = (struct emp_bench_agent *)p;
    size_t at = 0, payload_at, frame;

    if (!g->upgraded) {
        ssize_t head = take_upgrade(g, data, len);
        if (head <= 0)
            return head;
        at = (size_t)head;
    }
    while ((frame = frame_length((const unsigned char *)data + at, len - at, &payload_at)) > 0) {
        if (!take_frame(g, (unsigned char)data[at], data + at + payload_at, frame - payload_at))
            return -1;
        at += frame;
    }
    flush(g);
    return (ssize_t)at;
}

/* ------------------------------------------------------------------ life */

static void ask_upgrade(struct emp_bench_agent *g, const char *token)
{
    struct emp_buf *b = &g->all->frames;

    emp_buf_addz(b, "GET /ws/agent HTTP/1.1\r\nHost: emp-bench\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    if (token)
        emp_buf_printf(b, "Authorization: Bearer %s\r\n", token);
    emp_buf_addz(b, "\r\n");
    flush(g);
}

static int connect_agent(struct emp_bench_agent *g, const struct emp_bench_agents_options *o,
                         struct emp_error *err)
{
    struct emp_load *load = g->all->load;
    emp_mono_ms end = emp_mono_now() + UPGRADE_MS;

    g->peer = (struct emp_load_peer){.load = load, .name = "agent", .fd = -1, .take = take};
    int r = emp_load_open(&g->peer, o->address, o->address_len, err);
    if (r < 0)
        return r;
    ask_upgrade(g, o->token);
    while (!g->upgraded && r == 0) {
        r = emp_load_turn(load, 100, err);
        if (r == 0 && !g->upgraded && emp_mono_now() > end)
            r = emp_fail(err, EMP_E_TIMEOUT, NULL, "the broker does not answer an agent");
    }
    if (r == 0)
        say_hello(g, emp_str_z(o->pool));
    return r;
}

int emp_bench_agents_open(struct emp_bench_agents *a, struct emp_load *load,
                          const struct emp_bench_agents_options *o, struct emp_error *err)
{
    *a = (struct emp_bench_agents){.load = load, .slots = o->slots, .beaten_at = emp_mono_us()};
    emp_arena_init(&a->scratch, 0);
    emp_buf_init(&a->message, OUT_BYTES_MAX);
    emp_buf_init(&a->frames, OUT_BYTES_MAX);
    a->agents = calloc(o->count, sizeof *a->agents);
    if (!a->agents)
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory for %u agents", o->count);
    while (a->count < o->count) {
        struct emp_bench_agent *g = &a->agents[a->count];
        g->all = a;
        g->number = a->count++;
        int r = connect_agent(g, o, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void emp_bench_agents_beat(struct emp_bench_agents *a)
{
    struct emp_message m = {.kind = EMP_MESSAGE_BEAT,
                            .beat = {.disk_free_bytes = INT64_C(40000000000)}};
    int64_t now = emp_mono_us();

    if (a->beat_us == 0 || now - a->beaten_at < a->beat_us)
        return;
    a->beaten_at = now;
    for (uint32_t i = 0; i < a->count; i++) {
        add_message(a, &m);
        flush(&a->agents[i]);
    }
}

void emp_bench_agents_close(struct emp_bench_agents *a)
{
    for (uint32_t i = 0; i < a->count; i++)
        emp_load_close(&a->agents[i].peer);
    free(a->agents);
    a->agents = NULL;
    a->count = 0;
    emp_buf_release(&a->message);
    emp_buf_release(&a->frames);
    emp_arena_release(&a->scratch);
}

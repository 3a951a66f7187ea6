#include "broker/agents.h"

#include "broker/shell.h"
#include "net/ws.h"
#include "os/clock.h"
#include "os/log.h"
#include "policy/pool.h"
#include "proto/job_json.h"
#include "proto/message_json.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUT_BYTES_MAX = EMP_MESSAGE_BYTES_MAX + 1024 * 1024, HELLO_CHECK_MS = 1000 };

/* A message that may not leave yet, because one before it waits for its payload. */
struct held {
    struct held *next;
    bool ready;
    bool close;          /* not a message: the link is to be closed, with `text` as the reason */
    struct emp_buf text; /* when ready */
};

struct emp_agent_link {
    struct emp_agent_link *next, **prev;
    struct emp_broker *broker;
    struct emp_ws *ws;
    emp_link number;
    uint32_t place; /* in the slab */
    bool greeted;   /* HELLO has come */
    bool gone;      /* told the core that it has closed */
    emp_mono_ms opened_at;
    struct held *held, **held_end;
};

/* A payload on its way from the store to an ASSIGN. */
struct load {
    uv_work_t work;
    struct emp_broker *broker;
    struct emp_batch *batch; /* a reference: the message's strings live there */
    struct emp_message message;
    emp_link link;
    struct held *held; /* of the link, if it is still there */
    struct emp_arena arena;
    struct emp_error err;
    int code;
};

static struct emp_agent_link *find(struct emp_broker *b, emp_link number)
{
    uint32_t place;

    return emp_map_get(&b->agents.by_link, number, &place) ? emp_slab_at(&b->agents.slab, place)
                                                           : NULL;
}

/* ------------------------------------------------------------------ opening and closing */

static void held_free(struct held *h)
{
    emp_buf_release(&h->text);
    free(h);
}

/* The core learns at most once that a link is gone. */
static void tell_gone(struct emp_agent_link *l)
{
    if (l->gone)
        return;
    l->gone = true;
    if (l->greeted && !l->broker->loop.ended)
        emp_loop_step(l->broker,
                      &(struct emp_event){.kind = EMP_EVENT_LINK_CLOSED, .link = l->number});
}

static void on_close(void *ctx, struct emp_ws *ws, int code, const char *reason)
{
    struct emp_agent_link *l = ctx;
    struct emp_agents *all = &l->broker->agents;

    (void)ws;
    emp_log_debug("link %llu closed: %d %s", (unsigned long long)l->number, code, reason);
    tell_gone(l);
    for (struct held *h = l->held, *next; h; h = next) {
        next = h->next;
        held_free(h);
    }
    *l->prev = l->next;
    if (l->next)
        l->next->prev = l->prev;
    emp_map_del(&all->by_link, l->number);
    emp_slab_free(&all->slab, l->place);
    all->count--;
}

/* Says why, and closes: the peer's fault. `lasting`: it would say the same again. */
static void refuse(struct emp_agent_link *l, const struct emp_error *err, bool lasting)
{
    struct emp_agents *all = &l->broker->agents;
    struct emp_message m = {.kind = EMP_MESSAGE_REFUSED};

    all->bad++;
    emp_log_warn("link %llu: %s; closing it", (unsigned long long)l->number, err->text);
    m.refused.code = err->code;
    m.refused.reason = emp_str_z(err->text);
    m.refused.retry = !lasting;
    emp_buf_clear(&all->out);
    if (emp_message_encode(&m, &all->out))
        emp_ws_send_text(l->ws, all->out.data, all->out.len);
    emp_ws_close(l->ws, EMP_WS_POLICY, err->text);
    tell_gone(l);
}

static void hello_check(uv_timer_t *t)
{
    struct emp_broker *b = t->data;
    emp_mono_ms now = emp_mono_now();

    for (struct emp_agent_link *l = b->agents.links;
         l && now - l->opened_at < EMP_AGENTS_HELLO_MS + 2 * HELLO_CHECK_MS; l = l->next) {
        struct emp_error err;
        if (l->greeted || l->gone || now - l->opened_at < EMP_AGENTS_HELLO_MS)
            continue;
        emp_fail(&err, EMP_E_PROTOCOL, NULL, "no hello within %d s", EMP_AGENTS_HELLO_MS / 1000);
        refuse(l, &err, false);
    }
}

/* ------------------------------------------------------------------ messages in */

static void on_event(struct emp_agent_link *l, struct emp_message *m)
{
    struct emp_broker *b = l->broker;
    struct emp_event e = {.kind = EMP_EVENT_MESSAGE, .message = {.link = l->number, .message = m}};

    if (m->kind == EMP_MESSAGE_COMPLETED) {
        struct emp_buf text;
        emp_buf_init(&text, EMP_MESSAGE_BYTES_MAX * 2u);
        emp_result_blob_write(&text, &m->finished);
        struct emp_blob *blob =
            text.failed ? NULL : emp_blob_new((struct emp_str){text.data, (uint32_t)text.len});
        emp_buf_release(&text);
        if (!blob)
            abort(); /* no memory: the store has everything */
        emp_batch_keep(emp_loop_batch(b), blob);
        e.message.result = emp_blob_token_of(blob);
    }
    emp_loop_step(b, &e);
}

/* It is taken all the same: work that goes to another pool is better than a machine that stands
 * idle for a slip of the pen. The agent sees it in WELCOME, clients in /api/machines. */
static void warn_of_pool(const struct emp_broker *b, const struct emp_machine_facts *f)
{
    if (f->pool.len && emp_pool_find(b->o.settings, f->pool) == (uint32_t)EMP_POOL_NONE)
        emp_log_warn(
            "machine %.*s asks for the pool \"%.*s\", which is not configured: it is placed "
            "by its hardware",
            EMP_STR_FMT(f->id), EMP_STR_FMT(f->pool));
}

static void on_message(void *ctx, struct emp_ws *ws, const char *data, size_t len)
{
    struct emp_agent_link *l = ctx;
    struct emp_agents *all = &l->broker->agents;
    struct emp_message m = {.kind = EMP_MESSAGE_COUNT};
    struct emp_error err = {0};

    if (l->gone || l->broker->loop.ended)
        return;
    all->messages++;
    emp_arena_reset(&all->scratch);
    int r = emp_message_decode(&all->scratch, data, len, 'A', &m, &err);
    if (r == 0 && !l->greeted && m.kind != EMP_MESSAGE_HELLO)
        r = emp_fail(&err, EMP_E_PROTOCOL, "type", "the first message is hello, not %s",
                     emp_message_word(m.kind));
    if (r < 0) {
        /* A hello that is wrong will be so again; all else may be a bad moment. */
        refuse(l, &err, !l->greeted && m.kind == EMP_MESSAGE_HELLO);
        return;
    }
    l->greeted = true;
    if (m.kind == EMP_MESSAGE_HELLO)
        warn_of_pool(l->broker, &m.hello.facts);
    on_event(l, &m);
    (void)ws;
}

void emp_agents_adopt(struct emp_broker *b, int fd, const void *extra, size_t extra_len)
{
    struct emp_agents *all = &b->agents;
    struct emp_agent_link *l;
    uint32_t place;

    if (b->loop.ended || atomic_load(&b->stopping) || all->count >= all->max) {
        emp_log_debug("a link is turned away: %u are open, %u may be", all->count, all->max);
        close(fd);
        return;
    }
    l = emp_slab_new(&all->slab, &place);
    l->broker = b;
    l->place = place;
    l->number = ++all->last;
    l->opened_at = emp_mono_now();
    l->held_end = &l->held;

    struct emp_settings_lease lease = b->o.settings->lease;
    struct emp_ws_options o = {
        .message_bytes_max = EMP_MESSAGE_BYTES_MAX,
        .ping_ms = lease.beat_ms,
        .idle_ms = lease.silent_ms,
        .ctx = l,
        .on_message = on_message,
        .on_close = on_close,
    };
    if (emp_ws_new_server(&b->loop.uv, fd, extra, extra_len, &o, &l->ws) < 0) {
        close(fd);
        emp_slab_free(&all->slab, place);
        return;
    }
    l->next = all->links;
    l->prev = &all->links;
    if (l->next)
        l->next->prev = &l->next;
    all->links = l;
    all->count++;
    emp_map_put(&all->by_link, l->number, place);
}

/* ------------------------------------------------------------------ messages out */

static struct held *hold(struct emp_agent_link *l)
{
    struct held *h = calloc(1, sizeof *h);

    if (!h)
        abort();
    emp_buf_init(&h->text, OUT_BYTES_MAX);
    *l->held_end = h;
    l->held_end = &h->next;
    return h;
}

/* Sends what no longer has to wait. */
static void flush(struct emp_agent_link *l)
{
    while (l->held && l->held->ready) {
        struct held *h = l->held;
        l->held = h->next;
        if (!l->held)
            l->held_end = &l->held;
        if (h->close)
            emp_ws_close(l->ws, EMP_WS_POLICY, h->text.data);
        else
            emp_ws_send_text(l->ws, h->text.data, h->text.len);
        held_free(h);
    }
}

static void load_work(uv_work_t *w)
{
    struct load *load = w->data;
    struct emp_broker *b = load->broker;
    struct emp_store_reader *reader;
    struct emp_job_parts parts;
    struct emp_str body;

    load->code = emp_readers_take(&b->readers, &reader, &load->err);
    if (load->code < 0)
        return;
    load->code = emp_store_body(reader, load->message.assign.job, &load->arena, &body, &load->err);
    emp_readers_give(&b->readers, reader);
    if (load->code < 0)
        return;
    load->code = emp_job_parts_find(&load->arena, body.ptr, body.len, &parts);
    if (load->code >= 0)
        load->message.assign.payload = parts.payload;
}

static void load_free(struct load *load)
{
    load->broker->agents.loads--;
    emp_batch_free(load->batch);
    emp_arena_release(&load->arena);
    free(load);
}

static void load_done(uv_work_t *w, int status)
{
    struct load *load = w->data;
    struct emp_agent_link *l = find(load->broker, load->link);

    (void)status;
    if (l) {
        bool encoded = load->code >= 0 && emp_message_encode(&load->message, &load->held->text);
        load->held->ready = true;
        if (!encoded) {
            /* The agent will come back, and the core sees then that it does not have the job. */
            emp_log_error("the payload of job %llu cannot be read: %s",
                          (unsigned long long)load->message.assign.job,
                          load->err.text[0] ? load->err.text : "its submission is damaged");
            emp_buf_clear(&load->held->text);
            emp_buf_addz(&load->held->text, "the broker cannot read a job's payload");
            load->held->close = true;
        }
        flush(l);
    }
    load_free(load);
}

/* ASSIGN of a job that is not in the cache. */
static void load_begin(struct emp_broker *b, struct emp_batch *batch, struct emp_agent_link *l,
                       const struct emp_message *m)
{
    struct load *load = calloc(1, sizeof *load);

    if (!load)
        abort();
    load->broker = b;
    load->batch = emp_batch_ref(batch);
    load->message = *m;
    load->link = l->number;
    load->held = hold(l);
    load->work.data = load;
    emp_arena_init(&load->arena, 0);
    b->agents.loads++;
    if (uv_queue_work(&b->loop.uv, &load->work, load_work, load_done) < 0)
        abort();
}

static void send_encoded(struct emp_agent_link *l, const struct emp_message *m)
{
    struct emp_buf *out = &l->broker->agents.out;

    emp_buf_clear(out);
    if (!emp_message_encode(m, out)) {
        emp_log_error("a message %s to link %llu is too large to be sent",
                      emp_message_word(m->kind), (unsigned long long)l->number);
        emp_buf_release(out);
        emp_buf_init(out, OUT_BYTES_MAX);
        return;
    }
    if (!l->held) {
        emp_ws_send_text(l->ws, out->data, out->len);
        return;
    }
    struct held *h = hold(l);
    emp_buf_add(&h->text, out->data, out->len);
    h->ready = true;
}

static void send_assign(struct emp_broker *b, struct emp_batch *batch, struct emp_agent_link *l,
                        struct emp_message *m)
{
    char id[EMP_JOB_ID_TEXT];

    emp_job_id_format(b->secret, m->assign.job, id);
    if (m->assign.job_id.len == 0)
        m->assign.job_id = emp_str_copy(&batch->arena, emp_str_z(id));
    struct emp_blob *blob = emp_payloads_get(&b->payloads, m->assign.job);
    if (!blob) {
        load_begin(b, batch, l, m);
        return;
    }
    m->assign.payload = emp_blob_payload(blob);
    send_encoded(l, m);
    emp_blob_unref(blob);
}

void emp_agents_send(struct emp_broker *b, struct emp_batch *batch, emp_link link,
                     const struct emp_message *m)
{
    struct emp_agent_link *l = find(b, link);

    if (!l || l->gone)
        return;
    if (m->kind == EMP_MESSAGE_ASSIGN) {
        struct emp_message copy = *m;
        send_assign(b, batch, l, &copy);
        return;
    }
    send_encoded(l, m);
}

void emp_agents_close(struct emp_broker *b, emp_link link, struct emp_str reason)
{
    struct emp_agent_link *l = find(b, link);
    char text[EMP_WS_REASON_MAX + 1];

    if (!l)
        return;
    snprintf(text, sizeof text, "%.*s", EMP_STR_FMT(reason));
    l->gone = true; /* the core has parted with it already */
    if (!l->held) {
        emp_ws_close(l->ws, EMP_WS_POLICY, text);
        return;
    }
    struct held *h = hold(l);
    emp_buf_addz(&h->text, text);
    h->ready = h->close = true;
}

/* ------------------------------------------------------------------ life */

int emp_agents_init(struct emp_broker *b)
{
    struct emp_agents *all = &b->agents;

    emp_arena_init(&all->arena, 0);
    emp_arena_init(&all->scratch, 0);
    emp_slab_init(&all->slab, &all->arena, sizeof(struct emp_agent_link));
    emp_map_init(&all->by_link, &all->arena);
    emp_buf_init(&all->out, OUT_BYTES_MAX);
    if (uv_timer_init(&b->loop.uv, &all->hello) < 0)
        return EMP_E_INTERNAL;
    all->hello.data = b;
    uv_timer_start(&all->hello, hello_check, HELLO_CHECK_MS, HELLO_CHECK_MS);
    return 0;
}

void emp_agents_close_all(struct emp_broker *b)
{
    uv_timer_stop(&b->agents.hello);
    uv_close((uv_handle_t *)&b->agents.hello, NULL);
    for (struct emp_agent_link *l = b->agents.links; l; l = l->next)
        emp_ws_close(l->ws, EMP_WS_GOING_AWAY, "the broker ends or restarts: come back");
}

void emp_agents_release(struct emp_broker *b)
{
    struct emp_agents *all = &b->agents;

    assert(all->count == 0 && all->loads == 0);
    emp_buf_release(&all->out);
    emp_arena_release(&all->scratch);
    emp_arena_release(&all->arena);
}

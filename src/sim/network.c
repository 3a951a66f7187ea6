/* A link has two ways, up and down; each is a queue of packets whose head has the only timer. An
 * end is open or not; a link is gone when neither is. A dead link carries nothing, but its ends do
 * not know it yet. */
#include "sim/network.h"

#include "proto/message_json.h"
#include "sim/copy.h"

#include <assert.h>

enum { PACKET_BLOCK = 1024 };

struct emp_sim_packet {
    struct emp_sim_packet *next;
    struct emp_arena arena;  /* of the message */
    struct emp_message copy; /* unless encoded */
    struct emp_buf text;
    emp_mono_ms at;
    bool close; /* no message: the other end has closed */
    enum emp_message_kind kind;
    int64_t job, attempt;
};

struct way {
    struct emp_sim_packet *first, *last;
    struct emp_sim_timer deliver; /* of the first */
    struct emp_sim_timer notice;  /* the receiving end finds out */
    bool open;                    /* the receiving end */
};

struct link {
    struct emp_sim_network *net;
    emp_link number;
    uint32_t place, agent;
    emp_mono_ms opened_at;
    bool dead;
    struct way ways[2];
};

struct emp_sim_port {
    struct emp_sim_network *net;
    uint32_t agent;
    struct link *link; /* while the agent's end is open */
    struct emp_sim_timer dial;
    bool cut[2];
};

void emp_sim_network_init(struct emp_sim_network *n, struct emp_sim_world *w,
                          const struct emp_sim_network_settings *s, const struct emp_sim_ends *ends,
                          void *ctx)
{
    *n = (struct emp_sim_network){.world = w, .settings = *s, .ends = ends, .ctx = ctx};
    emp_sim_random(w, "network", 0, &n->random);
    emp_arena_init(&n->arena, 0);
    emp_slab_init(&n->links, &n->arena, sizeof(struct link));
    emp_slab_init(&n->packets, &n->arena, sizeof(struct emp_sim_packet));
    emp_map_init(&n->link_by_number, &n->arena);
}

void emp_sim_network_release(struct emp_sim_network *n)
{
    for (uint32_t i = 1; i <= n->packets.high; i++) {
        struct emp_sim_packet *p = emp_slab_at(&n->packets, i);
        emp_arena_release(&p->arena);
        emp_buf_release(&p->text);
    }
    emp_arena_release(&n->arena);
}

/* ---- packets: never given back to the slab, so that each keeps its arena ---- */

static struct emp_sim_packet *spare(struct emp_sim_network *n)
{
    struct emp_sim_packet *p = n->spare;
    if (p) {
        n->spare = p->next;
        p->next = NULL;
        p->close = false;
        return p;
    }
    uint32_t number;
    p = emp_slab_new(&n->packets, &number);
    emp_arena_init(&p->arena, PACKET_BLOCK);
    emp_buf_init(&p->text, EMP_MESSAGE_BYTES_MAX);
    return p;
}

static void packet_free(struct emp_sim_network *n, struct emp_sim_packet *p)
{
    emp_arena_reset(&p->arena);
    emp_buf_clear(&p->text);
    p->next = n->spare;
    n->spare = p;
}

/* Which lease a message speaks of, for the log. */
static void lease_of(const struct emp_message *m, int64_t *job, int64_t *attempt)
{
    emp_job_num num = 0;
    uint32_t number = 0;
    switch (m->kind) {
    case EMP_MESSAGE_ASSIGN:
        num = m->assign.job, number = m->assign.attempt;
        break;
    case EMP_MESSAGE_STARTED:
        num = m->started.job, number = m->started.attempt;
        break;
    case EMP_MESSAGE_PROGRESS:
        num = m->progress.job, number = m->progress.attempt;
        break;
    case EMP_MESSAGE_COMPLETED:
    case EMP_MESSAGE_FAILED:
    case EMP_MESSAGE_RETURNED:
        num = m->finished.job, number = m->finished.attempt;
        break;
    case EMP_MESSAGE_CANCEL:
    case EMP_MESSAGE_ACK:
        num = m->lease.job, number = m->lease.attempt;
        break;
    default:
        break;
    }
    *job = (int64_t)num;
    *attempt = number;
}

static struct emp_sim_packet *packet_new(struct emp_sim_network *n, const struct emp_message *m)
{
    struct emp_sim_packet *p = spare(n);
    p->kind = m->kind;
    lease_of(m, &p->job, &p->attempt);
    if (!n->settings.encode) {
        emp_sim_message_copy(&p->arena, m, &p->copy);
    } else if (!emp_message_encode(m, &p->text)) {
        emp_sim_violation(n->world, "a %s for job %lld.%lld cannot be encoded",
                          emp_message_word(m->kind), (long long)p->job, (long long)p->attempt);
    }
    n->bytes += p->text.len;
    return p;
}

/* ---- links ---- */

static struct link *link_at(const struct emp_sim_network *n, emp_link number)
{
    uint32_t place;
    return number && emp_map_get(&n->link_by_number, number, &place) ? emp_slab_at(&n->links, place)
                                                                     : NULL;
}

static int32_t receiver(const struct link *l, int d)
{
    return d == EMP_SIM_UP ? EMP_SIM_BROKER : (int32_t)l->agent;
}

static void note(struct emp_sim_network *n, enum emp_sim_trace_kind kind, int32_t who,
                 const struct emp_sim_packet *p)
{
    emp_sim_log(n->world, kind, who, p->kind, p->job, p->attempt);
}

static void way_clear(struct emp_sim_network *n, struct way *w)
{
    for (struct emp_sim_packet *p = w->first, *next; p; p = next) {
        next = p->next;
        packet_free(n, p);
    }
    w->first = w->last = NULL;
    emp_sim_timer_cancel(n->world, &w->deliver);
}

static bool held_up(const struct link *l, int d)
{
    const struct emp_sim_network *n = l->net;
    return n->ports[l->agent]->cut[d] ||
           (d == EMP_SIM_DOWN && !n->ends->agent_listens(n->ctx, l->agent));
}

static void way_arm(struct link *l, int d)
{
    struct way *w = &l->ways[d];
    if (w->first && !held_up(l, d))
        emp_sim_timer_set(l->net->world, &w->deliver, w->first->at);
    else
        emp_sim_timer_cancel(l->net->world, &w->deliver);
}

static void link_free_if_done(struct link *l)
{
    struct emp_sim_network *n = l->net;
    if (l->ways[EMP_SIM_UP].open || l->ways[EMP_SIM_DOWN].open)
        return;
    for (int d = 0; d < 2; d++) {
        way_clear(n, &l->ways[d]);
        emp_sim_timer_cancel(n->world, &l->ways[d].notice);
    }
    emp_map_del(&n->link_by_number, l->number);
    emp_slab_free(&n->links, l->place);
}

/* The end that receives in direction d is closed from here on. */
static void end_shut(struct link *l, int d)
{
    struct emp_sim_network *n = l->net;
    struct emp_sim_port *port = n->ports[l->agent];
    l->ways[d].open = false;
    way_clear(n, &l->ways[d]);
    emp_sim_timer_cancel(n->world, &l->ways[d].notice);
    if (d == EMP_SIM_DOWN && port->link == l)
        port->link = NULL;
}

/* It finds out that the other end is gone. */
static void end_lost(struct link *l, int d)
{
    struct emp_sim_network *n = l->net;
    emp_link number = l->number;
    uint32_t agent = l->agent;
    end_shut(l, d);
    link_free_if_done(l);
    emp_sim_log(n->world, EMP_SIM_TRACE_LINK_DOWN,
                d == EMP_SIM_UP ? EMP_SIM_BROKER : (int32_t)agent, (int64_t)number, 0, 0);
    if (d == EMP_SIM_UP)
        n->ends->broker_closed(n->ctx, number);
    else
        n->ends->agent_closed(n->ctx, agent);
}

static void deliver_message(struct link *l, int d, struct emp_sim_packet *p)
{
    struct emp_sim_network *n = l->net;
    struct emp_message decoded, *m = &p->copy;
    struct emp_error err;
    emp_link number = l->number;
    uint32_t agent = l->agent;
    n->messages++;
    if (n->settings.encode) {
        m = &decoded;
        if (emp_message_decode(&p->arena, p->text.data, p->text.len, d == EMP_SIM_UP ? 'A' : 'B', m,
                               &err) < 0) {
            emp_sim_violation(n->world, "a %s was encoded and cannot be decoded: %s: %s",
                              emp_message_word(p->kind), err.field, err.text);
            return;
        }
    }
    note(n, EMP_SIM_TRACE_RECEIVE, receiver(l, d), p);
    if (d == EMP_SIM_UP)
        n->ends->broker_message(n->ctx, number, m);
    else
        n->ends->agent_message(n->ctx, agent, m);
}

static void deliver(struct link *l, int d)
{
    struct emp_sim_network *n = l->net;
    struct way *w = &l->ways[d];
    struct emp_sim_packet *p = w->first;
    emp_link number = l->number;
    w->first = p->next;
    if (w->first == NULL)
        w->last = NULL;
    if (p->close)
        end_lost(l, d);
    else
        deliver_message(l, d, p);
    packet_free(n, p);
    l = link_at(n, number); /* the receiver may have ended it */
    if (l)
        way_arm(l, d);
}

static void deliver_up(struct emp_sim_world *w, void *ctx)
{
    (void)w;
    deliver(ctx, EMP_SIM_UP);
}

static void deliver_down(struct emp_sim_world *w, void *ctx)
{
    (void)w;
    deliver(ctx, EMP_SIM_DOWN);
}

static void notice_up(struct emp_sim_world *w, void *ctx)
{
    (void)w;
    end_lost(ctx, EMP_SIM_UP);
}

/* The agent gives up on a connection that says nothing; where the way up still works, the broker
 * hears of it. */
static void notice_down(struct emp_sim_world *w, void *ctx)
{
    struct link *l = ctx;
    struct emp_sim_network *n = l->net;
    uint32_t agent = l->agent;
    (void)w;
    if (l->dead) {
        end_lost(l, EMP_SIM_DOWN);
        return;
    }
    emp_sim_network_agent_close(n, agent);
    n->ends->agent_closed(n->ctx, agent);
}

static struct link *link_new(struct emp_sim_network *n, uint32_t agent)
{
    uint32_t place;
    struct link *l = emp_slab_new(&n->links, &place);
    l->net = n;
    l->number = ++n->last;
    l->place = place;
    l->agent = agent;
    l->opened_at = n->world->now;
    emp_sim_timer_init(&l->ways[EMP_SIM_UP].deliver, deliver_up, l);
    emp_sim_timer_init(&l->ways[EMP_SIM_DOWN].deliver, deliver_down, l);
    emp_sim_timer_init(&l->ways[EMP_SIM_UP].notice, notice_up, l);
    emp_sim_timer_init(&l->ways[EMP_SIM_DOWN].notice, notice_down, l);
    l->ways[EMP_SIM_UP].open = l->ways[EMP_SIM_DOWN].open = true;
    emp_map_put(&n->link_by_number, l->number, place);
    return l;
}

static int64_t delay(struct emp_sim_network *n)
{
    return emp_sim_between(&n->random, n->settings.delay_ms_min, n->settings.delay_ms_max);
}

static int64_t notice_delay(struct emp_sim_network *n)
{
    return emp_sim_between(&n->random, n->settings.notice_ms_min, n->settings.notice_ms_max);
}

/* ---- sending ---- */

static void push(struct link *l, int d, struct emp_sim_packet *p)
{
    struct emp_sim_network *n = l->net;
    struct way *w = &l->ways[d];
    if (l->dead || !w->open) {
        packet_free(n, p);
        return;
    }
    p->at = n->world->now + delay(n);
    if (w->last && w->last->at > p->at)
        p->at = w->last->at;
    if (w->last)
        w->last->next = p;
    else
        w->first = p;
    w->last = p;
    if (w->first == p)
        way_arm(l, d);
}

/* The last two change places. */
static void swap_last(struct link *l, int d)
{
    struct way *w = &l->ways[d];
    struct emp_sim_packet *last = w->last, *before = NULL, *p = w->first;
    if (p == NULL || p == last)
        return;
    while (p->next != last) {
        before = p;
        p = p->next;
    }
    if (p->close)
        return;
    note(l->net, EMP_SIM_TRACE_SWAPPED, receiver(l, d), last);
    last->next = p;
    p->next = NULL;
    w->last = p;
    if (before)
        before->next = last;
    else
        w->first = last;
    emp_mono_ms at = p->at;
    p->at = last->at;
    last->at = at;
    way_arm(l, d);
}

static void send(struct link *l, int d, const struct emp_message *m)
{
    struct emp_sim_network *n = l->net;
    const struct emp_sim_network_settings *s = &n->settings;
    struct emp_sim_packet *p = packet_new(n, m);
    note(n, EMP_SIM_TRACE_SEND, d == EMP_SIM_UP ? (int32_t)l->agent : EMP_SIM_BROKER, p);
    if (s->lost && emp_sim_chance(&n->random, s->lost)) {
        note(n, EMP_SIM_TRACE_LOST, receiver(l, d), p);
        packet_free(n, p);
        return;
    }
    push(l, d, p);
    if (s->swapped && emp_sim_chance(&n->random, s->swapped))
        swap_last(l, d);
    if (s->doubled && emp_sim_chance(&n->random, s->doubled)) {
        struct emp_sim_packet *again = packet_new(n, m);
        note(n, EMP_SIM_TRACE_DOUBLED, receiver(l, d), again);
        push(l, d, again);
    }
}

void emp_sim_network_send_up(struct emp_sim_network *n, uint32_t agent, const struct emp_message *m)
{
    if (n->ports[agent]->link)
        send(n->ports[agent]->link, EMP_SIM_UP, m);
}

void emp_sim_network_send_down(struct emp_sim_network *n, emp_link link,
                               const struct emp_message *m)
{
    struct link *l = link_at(n, link);
    if (l && l->ways[EMP_SIM_UP].open)
        send(l, EMP_SIM_DOWN, m);
}

/* ---- opening and closing ---- */

static void dialled(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_port *port = ctx;
    struct emp_sim_network *n = port->net;
    if (port->cut[EMP_SIM_UP] || port->cut[EMP_SIM_DOWN] || !n->ends->broker_listens(n->ctx)) {
        emp_sim_log(w, EMP_SIM_TRACE_LINK_REFUSED, (int32_t)port->agent, 0, 0, 0);
        n->ends->agent_refused(n->ctx, port->agent);
        return;
    }
    struct link *l = port->link = link_new(n, port->agent);
    emp_sim_log(w, EMP_SIM_TRACE_LINK_UP, (int32_t)port->agent, (int64_t)l->number, 0, 0);
    n->ends->broker_opened(n->ctx, l->number, port->agent);
    n->ends->agent_opened(n->ctx, port->agent);
}

void emp_sim_network_add(struct emp_sim_network *n)
{
    struct emp_sim_port *port = emp_arena_new(&n->arena, struct emp_sim_port);
    port->net = n;
    port->agent = n->port_count;
    emp_sim_timer_init(&port->dial, dialled, port);
    size_t count = n->port_count;
    emp_arena_reserve(&n->arena, n->ports, count, n->port_cap);
    n->ports[n->port_count++] = port;
}

void emp_sim_network_connect(struct emp_sim_network *n, uint32_t agent)
{
    struct emp_sim_port *port = n->ports[agent];
    assert(port->link == NULL && !emp_sim_timer_is_set(&port->dial));
    emp_sim_timer_after(n->world, &port->dial, delay(n) + delay(n));
}

/* This end closes: what it has sent still travels, then the other end learns of it. */
static void end_close(struct link *l, int d)
{
    struct emp_sim_network *n = l->net;
    int other = d == EMP_SIM_UP ? EMP_SIM_DOWN : EMP_SIM_UP;
    end_shut(l, d);
    if (l->ways[other].open && !l->dead) {
        struct emp_sim_packet *p = spare(n);
        p->close = true;
        push(l, other, p);
    }
    link_free_if_done(l);
}

void emp_sim_network_agent_close(struct emp_sim_network *n, uint32_t agent)
{
    struct emp_sim_port *port = n->ports[agent];
    emp_sim_timer_cancel(n->world, &port->dial);
    if (port->link == NULL)
        return;
    emp_sim_log(n->world, EMP_SIM_TRACE_CLOSE, (int32_t)agent, (int64_t)port->link->number, 0, 0);
    end_close(port->link, EMP_SIM_DOWN);
}

void emp_sim_network_broker_close(struct emp_sim_network *n, emp_link link)
{
    struct link *l = link_at(n, link);
    if (l == NULL || !l->ways[EMP_SIM_UP].open)
        return;
    emp_sim_log(n->world, EMP_SIM_TRACE_CLOSE, EMP_SIM_BROKER, (int64_t)link, 0, 0);
    end_close(l, EMP_SIM_UP);
}

/* ---- faults ---- */

static void link_kill(struct link *l)
{
    l->dead = true;
    for (int d = 0; d < 2; d++)
        way_clear(l->net, &l->ways[d]);
}

static void arm_notice(struct link *l, int d)
{
    if (l->ways[d].open && l->net->settings.notice_ms_max >= 0)
        emp_sim_timer_after(l->net->world, &l->ways[d].notice, notice_delay(l->net));
}

void emp_sim_network_agent_gone(struct emp_sim_network *n, uint32_t agent, bool silent)
{
    struct emp_sim_port *port = n->ports[agent];
    struct link *l = port->link;
    emp_sim_timer_cancel(n->world, &port->dial);
    if (l == NULL)
        return;
    if (silent)
        link_kill(l);
    end_close(l, EMP_SIM_DOWN);
}

static void broker_end_gone(struct link *l)
{
    if (!l->ways[EMP_SIM_UP].open)
        return;
    way_clear(l->net, &l->ways[EMP_SIM_DOWN]);
    bool cut = l->net->ports[l->agent]->cut[EMP_SIM_DOWN];
    if (cut)
        link_kill(l);
    if (cut)
        arm_notice(l, EMP_SIM_DOWN);
    end_close(l, EMP_SIM_UP);
}

void emp_sim_network_broker_gone(struct emp_sim_network *n)
{
    for (emp_link i = 1; i <= n->last; i++) {
        struct link *l = link_at(n, i);
        if (l)
            broker_end_gone(l);
    }
}

void emp_sim_network_break(struct emp_sim_network *n, uint32_t agent)
{
    struct link *l = n->ports[agent]->link;
    if (l == NULL)
        return;
    emp_sim_log(n->world, EMP_SIM_TRACE_BREAK, (int32_t)agent, 0, 0, 0);
    link_kill(l);
    arm_notice(l, EMP_SIM_UP);
    arm_notice(l, EMP_SIM_DOWN);
}

void emp_sim_network_cut(struct emp_sim_network *n, uint32_t agent, bool up, bool down)
{
    struct emp_sim_port *port = n->ports[agent];
    emp_sim_log(n->world, EMP_SIM_TRACE_PARTITION, (int32_t)agent, up, down, 0);
    port->cut[EMP_SIM_UP] = up;
    port->cut[EMP_SIM_DOWN] = down;
    if (port->link == NULL)
        return;
    way_arm(port->link, EMP_SIM_UP);
    way_arm(port->link, EMP_SIM_DOWN);
    if (down)
        arm_notice(port->link, EMP_SIM_DOWN);
}

void emp_sim_network_heal(struct emp_sim_network *n, uint32_t agent)
{
    struct emp_sim_port *port = n->ports[agent];
    if (!port->cut[EMP_SIM_UP] && !port->cut[EMP_SIM_DOWN])
        return;
    emp_sim_log(n->world, EMP_SIM_TRACE_HEAL, (int32_t)agent, 0, 0, 0);
    port->cut[EMP_SIM_UP] = port->cut[EMP_SIM_DOWN] = false;
    for (emp_link i = 1; i <= n->last; i++) { /* older links of its may have ends still open */
        struct link *l = link_at(n, i);
        if (l == NULL || l->agent != agent)
            continue;
        if (!l->dead)
            emp_sim_timer_cancel(n->world, &l->ways[EMP_SIM_DOWN].notice);
        way_arm(l, EMP_SIM_UP);
        way_arm(l, EMP_SIM_DOWN);
    }
}

void emp_sim_network_sleep(struct emp_sim_network *n, uint32_t agent)
{
    emp_sim_network_wake(n, agent);
}

void emp_sim_network_wake(struct emp_sim_network *n, uint32_t agent)
{
    if (n->ports[agent]->link)
        way_arm(n->ports[agent]->link, EMP_SIM_DOWN);
}

emp_mono_ms emp_sim_network_opened_at(const struct emp_sim_network *n, emp_link link)
{
    const struct link *l = link_at(n, link);
    return l ? l->opened_at : 0;
}

bool emp_sim_network_is_cut(const struct emp_sim_network *n, uint32_t agent)
{
    return n->ports[agent]->cut[EMP_SIM_UP] || n->ports[agent]->cut[EMP_SIM_DOWN];
}

bool emp_sim_network_is_open(const struct emp_sim_network *n, uint32_t agent)
{
    return n->ports[agent]->link != NULL;
}

uint32_t emp_sim_network_agent_of(const struct emp_sim_network *n, emp_link link)
{
    const struct link *l = link_at(n, link);
    return l ? l->agent : UINT32_MAX;
}

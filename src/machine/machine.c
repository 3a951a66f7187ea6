/* The brain's step: event in, one pass over what can now be done, actions out. Here too: the link
 * to the broker, and leaving. */
#include "machine/internal.h"

enum {
    FETCHES_MAX = 3,
    ROOM_WAIT_MS = 60000,
    STOP_WAIT_MS = 20000,
    ACK_WAIT_MS = 3000,
    BEAT_MS = 2000,
};
#define LINK_BYTES_PER_S 25000000

/* ---------------------------------------------------------------- life */

static bool due_less(const void *a, const void *b)
{
    const struct emp_machine_attempt *x = a, *y = b;
    return x->due != y->due ? x->due < y->due : x->number < y->number;
}

static void fill_defaults(struct emp_machine_settings *s)
{
    if (s->fetches_max == 0)
        s->fetches_max = FETCHES_MAX;
    if (s->link_bytes_per_s <= 0)
        s->link_bytes_per_s = LINK_BYTES_PER_S;
    if (s->room_wait_ms <= 0)
        s->room_wait_ms = ROOM_WAIT_MS;
    if (s->stop_wait_ms <= 0)
        s->stop_wait_ms = STOP_WAIT_MS;
    if (s->ack_wait_ms <= 0)
        s->ack_wait_ms = ACK_WAIT_MS;
    if (s->beat_ms <= 0)
        s->beat_ms = BEAT_MS;
}

struct emp_machine *emp_machine_new(const struct emp_machine_settings *s)
{
    struct emp_arena arena;
    emp_arena_init(&arena, 0);
    struct emp_machine *m = emp_arena_new(&arena, struct emp_machine);
    m->arena = arena; /* from here on it holds itself */
    m->s = *s;
    fill_defaults(&m->s);
    emp_slab_init(&m->attempts, &m->arena, sizeof(struct emp_machine_attempt));
    emp_slab_init(&m->copies, &m->arena, sizeof(struct emp_machine_copy));
    emp_map_init(&m->by_job, &m->arena);
    emp_intern_init(&m->names, &m->arena);
    emp_heap_init(&m->dues, &m->arena, due_less, offsetof(struct emp_machine_attempt, place));
    for (int i = 0; i < EMP_ATTEMPT_STATE_COUNT; i++)
        emp_chain_init(&m->attempt_chain[i]);
    for (int i = 0; i < EMP_COPY_STATE_COUNT; i++)
        emp_chain_init(&m->copy_chain[i]);
    emp_memory_init(m);
    m->beat_ms = m->s.beat_ms;
    m->beat_due = m->leave_due = m->load_due = EMP_NEVER;
    emp_arena_init(&m->plan_arena, 0);
    m->link_bytes_per_s = m->s.link_bytes_per_s;
    return m;
}

void emp_machine_free(struct emp_machine *m)
{
    if (!m)
        return;
    for (int s = 0; s < EMP_ATTEMPT_STATE_COUNT; s++)
        for (struct emp_chain *i = m->attempt_chain[s].next; i != &m->attempt_chain[s]; i = i->next)
            emp_arena_release(&emp_chain_of(i, struct emp_machine_attempt, chain)->arena);
    for (uint32_t i = 1; i < m->names.count; i++) {
        emp_arena_release(&emp_copy_at(m, i)->arena);
        emp_arena_release(&emp_copy_at(m, i)->fresh_arena);
    }
    emp_arena_release(&m->plan_arena);
    struct emp_arena arena = m->arena;
    emp_arena_release(&arena);
}

uint32_t emp_machine_slots(const struct emp_machine *m)
{
    return m->s.facts->slots;
}

int64_t emp_machine_budget(const struct emp_machine *m)
{
    return m->s.facts->disk_budget_bytes;
}

struct emp_machine_action *emp_machine_act(struct emp_machine *m, enum emp_machine_action_kind kind)
{
    struct emp_machine_actions *out = m->out;
    emp_arena_reserve(out->arena, out->items, out->count, out->cap);
    struct emp_machine_action *a = &out->items[out->count++];
    memset(a, 0, sizeof *a);
    a->kind = kind;
    return a;
}

struct emp_message *emp_machine_send(struct emp_machine *m, enum emp_message_kind kind)
{
    if (m->link == EMP_LINK_DOWN)
        return NULL;
    struct emp_message *msg = &emp_machine_act(m, EMP_MACHINE_SEND)->send;
    msg->kind = kind;
    return msg;
}

/* ---------------------------------------------------------------- leaving */

static void say_goodbye(struct emp_machine *m, bool draining)
{
    struct emp_message *msg = emp_machine_send(m, EMP_MESSAGE_GOODBYE);
    if (!msg)
        return;
    msg->goodbye.reason = m->leave_reason;
    msg->goodbye.draining = draining;
    m->said_goodbye = m->said_goodbye || !draining;
}

static void leave(struct emp_machine *m, int code, struct emp_str reason)
{
    if (m->leave >= EMP_LEAVING)
        return;
    bool known = m->leave == EMP_DRAINING;
    m->leave = EMP_LEAVING;
    m->leave_due = m->now.mono + m->s.ack_wait_ms;
    m->exit_code = code;
    m->leave_reason = emp_str_copy(&m->arena, reason);
    if (!known && code == 0)
        say_goodbye(m, true); // before anything is handed back: it must not come back here
    emp_attempts_leave(m);
}

static void drain(struct emp_machine *m, struct emp_str reason)
{
    if (m->leave != EMP_WORKING)
        return;
    m->leave = EMP_DRAINING;
    m->leave_due = m->s.drain_ms > 0 && m->s.drain_ms < EMP_NEVER - m->now.mono
                       ? m->now.mono + m->s.drain_ms
                       : EMP_NEVER;
    m->leave_reason = emp_str_copy(&m->arena, reason);
    say_goodbye(m, true);
}

static void depart(struct emp_machine *m)
{
    if (m->leave == EMP_LEFT)
        return;
    m->leave = EMP_LEFT;
    m->leave_due = EMP_NEVER;
    if (!m->said_goodbye)
        say_goodbye(m, false);
    struct emp_machine_action *a = emp_machine_act(m, EMP_MACHINE_EXIT);
    a->exit.code = m->exit_code;
    a->exit.reason = m->leave_reason;
}

/* Nothing runs, nothing is unacknowledged: go. Time is up: go, handing back what would not stop. */
static void check_leaving(struct emp_machine *m)
{
    if (m->leave != EMP_DRAINING && m->leave != EMP_LEAVING)
        return;
    if (m->now.mono >= m->leave_due) {
        if (m->leave == EMP_DRAINING) {
            leave(m, 0, m->leave_reason);
        } else {
            emp_attempts_abandon(m);
            depart(m);
            return;
        }
    }
    if (emp_attempts_live(m) > 0)
        return;
    if (m->leave == EMP_LEAVING && !m->said_goodbye)
        say_goodbye(m, false);
    if (m->attempt_count[EMP_ATTEMPT_FINISHED] == 0)
        depart(m);
}

static void on_shutdown(struct emp_machine *m, const struct emp_machine_event *e)
{
    bool again = m->shut_down;
    m->shut_down = true;
    if (m->leave == EMP_LEAVING)
        depart(m);
    else if (e->shutdown.drain && !again)
        drain(m, e->shutdown.reason); // it may be draining already: the broker can ask for it too
    else
        leave(m, 0, e->shutdown.reason);
}

/* ---------------------------------------------------------------- link */

static void on_link_up(struct emp_machine *m, const struct emp_machine_event *e)
{
    (void)e;
    m->link = EMP_LINK_GREETED;
    m->beat_due = EMP_NEVER;
    m->said_goodbye = false;
    struct emp_message_hello *h = &emp_machine_send(m, EMP_MESSAGE_HELLO)->hello;
    h->protocol = EMP_PROTOCOL_VERSION;
    h->facts = *m->s.facts;
    h->facts.disk_free_bytes = emp_copies_free(m);
    h->facts.link_bytes_per_s = m->link_bytes_per_s;
    h->draining = m->leave != EMP_WORKING;
    emp_copies_list(m, m->out->arena, h);
    emp_attempts_held(m, m->out->arena, h);
    emp_attempts_repeat(m);
}

static void on_link_down(struct emp_machine *m, const struct emp_machine_event *e)
{
    (void)e;
    m->link = EMP_LINK_DOWN;
    m->beat_due = EMP_NEVER;
}

static void on_welcome(struct emp_machine *m, const struct emp_message *msg)
{
    if (msg->welcome.beat_ms > 0)
        m->beat_ms = msg->welcome.beat_ms;
    m->link = EMP_LINK_WELCOME;
    m->beat_due = m->now.mono + m->beat_ms;
}

static void on_refused(struct emp_machine *m, const struct emp_message *msg)
{
    if (msg->refused.retry)
        emp_machine_act(m, EMP_MACHINE_RECONNECT)->reconnect.reason =
            EMP_STR("the broker refused, for now");
    else
        leave(m, msg->refused.code < 0 ? msg->refused.code : EMP_E_FORBIDDEN, msg->refused.reason);
    on_link_down(m, NULL);
}

static void on_assign(struct emp_machine *m, const struct emp_message *msg)
{
    emp_machine_attempt_assign(m, &msg->assign);
}

static void on_cancel(struct emp_machine *m, const struct emp_message *msg)
{
    emp_attempt_cancel(m, &msg->lease);
}

static void on_ack(struct emp_machine *m, const struct emp_message *msg)
{
    emp_attempt_ack(m, &msg->lease);
}

static void on_drain(struct emp_machine *m, const struct emp_message *msg)
{
    drain(m, msg->drain.reason.len ? msg->drain.reason : EMP_STR("the broker asked for it"));
}

static void on_worth(struct emp_machine *m, const struct emp_message *msg)
{
    emp_copies_worth(m, &msg->worth);
}

static void on_plan(struct emp_machine *m, const struct emp_message *msg)
{
    emp_plan_replace(m, &msg->plan);
}

static void on_message(struct emp_machine *m, const struct emp_machine_event *e)
{
    static void (*const handlers[EMP_MESSAGE_COUNT])(struct emp_machine *,
                                                     const struct emp_message *) = {
        [EMP_MESSAGE_WELCOME] = on_welcome, [EMP_MESSAGE_REFUSED] = on_refused,
        [EMP_MESSAGE_ASSIGN] = on_assign,   [EMP_MESSAGE_CANCEL] = on_cancel,
        [EMP_MESSAGE_ACK] = on_ack,         [EMP_MESSAGE_DRAIN] = on_drain,
        [EMP_MESSAGE_WORTH] = on_worth,     [EMP_MESSAGE_PLAN] = on_plan,
    };
    if (m->link == EMP_LINK_DOWN)
        return; // the last words of a link that is gone
    if (handlers[e->message->kind])
        handlers[e->message->kind](m, e->message);
}

static void beat(struct emp_machine *m)
{
    if (m->now.mono < m->beat_due)
        return;
    m->beat_due = m->now.mono + m->beat_ms;
    struct emp_message *msg = emp_machine_send(m, EMP_MESSAGE_BEAT);
    if (!msg)
        return;
    msg->beat = (struct emp_message_beat){.disk_free_bytes = emp_copies_free(m),
                                          .link_bytes_per_s = m->link_bytes_per_s,
                                          .fetch_left_bytes = emp_copies_left(m),
                                          .cpu_load = m->cpu_load};
}

/* ---------------------------------------------------------------- step */

static void on_inventory(struct emp_machine *m, const struct emp_machine_event *e)
{
    emp_copies_found(m, e->inventory.found, e->inventory.count);
}

static void on_measured(struct emp_machine *m, const struct emp_machine_event *e)
{
    if (e->measured.link_bytes_per_s > 0)
        m->link_bytes_per_s = e->measured.link_bytes_per_s;
    double load = e->measured.cpu_load;
    m->cpu_load = load > 0 ? (load < 1 ? load : 1) : 0;
}

void emp_machine_step(struct emp_machine *m, struct emp_now now, const struct emp_machine_event *e,
                      struct emp_machine_actions *out)
{
    static void (*const handlers[EMP_MACHINE_EVENT_COUNT])(struct emp_machine *,
                                                           const struct emp_machine_event *) = {
        [EMP_MACHINE_EVENT_INVENTORY] = on_inventory,
        [EMP_MACHINE_EVENT_LINK_UP] = on_link_up,
        [EMP_MACHINE_EVENT_LINK_DOWN] = on_link_down,
        [EMP_MACHINE_EVENT_MESSAGE] = on_message,
        [EMP_MACHINE_EVENT_FETCH_PROGRESS] = emp_copy_fetch_progress,
        [EMP_MACHINE_EVENT_FETCH_DONE] = emp_copy_fetch_done,
        [EMP_MACHINE_EVENT_DELETED] = emp_copy_deleted,
        [EMP_MACHINE_EVENT_RUN_STARTED] = emp_attempt_started,
        [EMP_MACHINE_EVENT_RUN_PROGRESS] = emp_attempt_progress,
        [EMP_MACHINE_EVENT_RUN_STORING] = emp_attempt_storing,
        [EMP_MACHINE_EVENT_RUN_DONE] = emp_attempt_done,
        [EMP_MACHINE_EVENT_LOADED] = emp_plan_loaded,
        [EMP_MACHINE_EVENT_MEASURED] = on_measured,
        [EMP_MACHINE_EVENT_SHUTDOWN] = on_shutdown,
    };
    if (m->leave == EMP_LEFT)
        return;
    m->now = now;
    m->out = out;
    if (handlers[e->kind])
        handlers[e->kind](m, e); // TICK needs none
    emp_attempts_expire(m);
    emp_plan_expire(m);
    check_leaving(m);
    if (m->leave != EMP_LEFT) {
        emp_attempts_pump(m);
        emp_plan_pump(m);
        emp_copies_pump(m);
        emp_copies_tell(m);
        beat(m);
        check_leaving(m);
    }
    m->out = NULL;
}

emp_mono_ms emp_machine_next_due(const struct emp_machine *m)
{
    if (m->leave == EMP_LEFT)
        return EMP_NEVER;
    emp_mono_ms due = m->beat_due < m->leave_due ? m->beat_due : m->leave_due;
    emp_mono_ms plan = emp_plan_due(m);
    const struct emp_machine_attempt *t = emp_heap_peek(&m->dues);
    if (plan < due)
        due = plan;
    return t && t->due < due ? t->due : due;
}

enum emp_residency emp_machine_residency(const struct emp_machine *m, struct emp_str model)
{
    uint32_t number = emp_intern_find(&m->names, model);
    return number ? emp_copy_residency(emp_copy_at(m, number)) : EMP_RESIDENCY_NONE;
}

void emp_machine_stats(const struct emp_machine *m, struct emp_machine_stats *ret)
{
    *ret = (struct emp_machine_stats){.unacknowledged = m->attempt_count[EMP_ATTEMPT_FINISHED],
                                      .copies = m->copy_count[EMP_COPY_PRESENT],
                                      .fetching = m->copy_count[EMP_COPY_FETCHING],
                                      .disk_bytes = m->disk_bytes,
                                      .fetch_left_bytes = emp_copies_left(m),
                                      .fetches = m->fetches,
                                      .evictions = m->evictions};
    for (int s = 0; s < EMP_ATTEMPT_STATE_COUNT; s++) {
        if (emp_attempt_state_leased(s))
            ret->leased += m->attempt_count[s];
        if (emp_attempt_state_running(s))
            ret->running += m->attempt_count[s];
    }
}

/* Appending actions, and copying into their arena what they show: an action outlives the objects it
 * speaks of. */
#include "core/internal.h"

struct emp_action *emp_core_act(struct emp_core *c, enum emp_action_kind kind)
{
    struct emp_actions *out = c->out;
    emp_arena_reserve(out->arena, out->items, out->count, out->cap);
    struct emp_action *a = &out->items[out->count++];
    *a = (struct emp_action){.kind = kind};
    return a;
}

struct emp_str emp_core_keep(struct emp_core *c, struct emp_str s)
{
    return s.len ? emp_str_copy(c->out->arena, s) : (struct emp_str){0};
}

struct emp_reply *emp_core_reply(struct emp_core *c, emp_request r, emp_job_num job)
{
    struct emp_action *a = emp_core_act(c, EMP_ACTION_REPLY);
    a->reply.request = r;
    a->reply.reply.job = job;
    return &a->reply.reply;
}

struct emp_reply *emp_core_reply_error(struct emp_core *c, emp_request r,
                                       const struct emp_error *err)
{
    struct emp_reply *reply = emp_core_reply(c, r, 0);
    reply->code = err->code;
    reply->error = *err;
    return reply;
}

/* The message's struct, zeroed; valid until the next action is appended. */
static struct emp_message *send_to(struct emp_core *c, emp_link link, enum emp_message_kind kind)
{
    struct emp_action *a = emp_core_act(c, EMP_ACTION_SEND);
    a->send.link = link;
    a->send.message.kind = kind;
    return &a->send.message;
}

struct emp_message *emp_core_send(struct emp_core *c, struct machine *m, enum emp_message_kind kind)
{
    assert(m->link != 0);
    return send_to(c, m->link, kind);
}

void emp_core_send_lease(struct emp_core *c, emp_link link, enum emp_message_kind kind,
                         emp_job_num job, uint32_t attempt, const char *reason)
{
    if (link == 0)
        return;
    struct emp_message *msg = send_to(c, link, kind);
    msg->lease.job = job;
    msg->lease.attempt = attempt;
    msg->lease.reason = emp_str_z(reason);
}

void emp_core_close(struct emp_core *c, emp_link link, const char *reason)
{
    struct emp_action *a = emp_core_act(c, EMP_ACTION_CLOSE);
    a->close.link = link;
    a->close.reason = emp_str_z(reason);
}

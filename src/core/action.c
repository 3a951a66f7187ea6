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

struct emp_str *emp_strs_copy(struct emp_arena *a, const struct emp_str *s, uint32_t n)
{
    if (n == 0)
        return NULL;
    struct emp_str *to = emp_arena_array(a, struct emp_str, n);
    for (uint32_t i = 0; i < n; i++)
        to[i] = emp_str_copy(a, s[i]);
    return to;
}

void emp_model_copy(struct emp_arena *a, const struct emp_model *from, struct emp_model *to)
{
    *to = *from;
    to->name = emp_str_copy(a, from->name);
    to->kind = emp_str_copy(a, from->kind);
    to->category = emp_str_copy(a, from->category);
    to->path = emp_str_copy(a, from->path);
    to->owner = emp_str_copy(a, from->owner);
    to->urls = emp_strs_copy(a, from->urls, from->url_count);
}

static void facts_copy_lists(struct emp_arena *a, const struct emp_machine_facts *from,
                             struct emp_machine_facts *to)
{
    to->services = emp_strs_copy(a, from->services, from->service_count);
    to->specialties = emp_strs_copy(a, from->specialties, from->specialty_count);
    to->compliance = emp_strs_copy(a, from->compliance, from->compliance_count);
    to->custom_nodes = emp_strs_copy(a, from->custom_nodes, from->node_count);
    to->allowed_customers = emp_strs_copy(a, from->allowed_customers, from->allowed_count);
    to->denied_customers = emp_strs_copy(a, from->denied_customers, from->denied_count);
    to->caps = emp_arena_array(a, struct emp_capability, from->cap_count);
    for (uint32_t i = 0; i < from->cap_count; i++) {
        to->caps[i] = from->caps[i];
        to->caps[i].path = emp_str_copy(a, from->caps[i].path);
        to->caps[i].text = emp_str_copy(a, from->caps[i].text);
    }
    to->gpus = emp_arena_array(a, struct emp_gpu, from->gpu_count);
    for (uint32_t i = 0; i < from->gpu_count; i++) {
        to->gpus[i] = from->gpus[i];
        to->gpus[i].model = emp_str_copy(a, from->gpus[i].model);
    }
}

void emp_facts_copy(struct emp_arena *a, const struct emp_machine_facts *from,
                    struct emp_machine_facts *to)
{
    *to = *from;
    to->id = emp_str_copy(a, from->id);
    to->boot = emp_str_copy(a, from->boot);
    to->version = emp_str_copy(a, from->version);
    to->pool = emp_str_copy(a, from->pool);
    to->region = emp_str_copy(a, from->region);
    to->provider = emp_str_copy(a, from->provider);
    facts_copy_lists(a, from, to);
}

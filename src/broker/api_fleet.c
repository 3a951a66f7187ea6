/* Machines and pools: what the core knows of them, and the few things an operator may tell it.
 */
#include "broker/api.h"
#include "broker/look.h"
#include "proto/json.h"
#include "proto/view_json.h"

#include <unistd.h>

static void id_of(void *ctx, emp_job_num num, char out[EMP_JOB_ID_TEXT])
{
    emp_job_id_format(ctx, num, out);
}

/* ------------------------------------------------------------------ machines */

static void write_machine(struct emp_writer *w, struct emp_broker *b, const char *name,
                          const struct emp_core_machine *m, bool brief)
{
    struct emp_machine_view v = {
        .facts = m->facts,
        .state = m->state,
        .pool = m->pool,
        .busy = m->busy,
        .jobs = m->jobs,
        .copies = m->copies,
        .copy_count = m->copy_count,
        .disk_free_bytes = m->disk_free_bytes,
        .link_bytes_per_s = m->link_bytes_per_s,
        .fetch_left_bytes = m->fetch_left_bytes,
        .speed = m->speed,
        .jobs_completed = m->jobs_completed,
        .jobs_failed = m->jobs_failed,
        .first_seen = m->first_seen,
        .last_seen = m->last_seen,
        .quarantined_until = m->quarantined_until,
        .drained = m->drained,
        .brief = brief,
    };
    emp_view_machine(w, name, &v, id_of, (void *)b->secret);
}

static void machines_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_core_machine *machines;
    struct emp_writer w;
    uint32_t count = emp_core_machines(b->core, emp_loop_now(), &l->op.arena, &machines);

    emp_api_begin_success(&w, &l->body);
    emp_write_array(&w, "machines");
    for (uint32_t i = 0; i < count; i++)
        write_machine(&w, b, NULL, &machines[i], true);
    emp_write_end(&w);
    emp_api_end_success(&w);
}

void emp_api_machines(const struct emp_call *c)
{
    emp_look_post(c, machines_look, EMP_ANSWER_JSON);
}

static void machine_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_core_machine *machines;
    struct emp_writer w;
    uint32_t count = emp_core_machines(b->core, emp_loop_now(), &l->op.arena, &machines);

    for (uint32_t i = 0; i < count; i++) {
        if (!emp_str_eq(machines[i].facts->id, l->arg))
            continue;
        emp_api_begin_success(&w, &l->body);
        write_machine(&w, b, "machine", &machines[i], false);
        emp_api_end_success(&w);
        return;
    }
    emp_fail(&l->err, EMP_E_NOT_FOUND, NULL, "Machine %.*s not found", EMP_STR_FMT(l->arg));
}

void emp_api_machine(const struct emp_call *c)
{
    emp_look_post(c, machine_look, EMP_ANSWER_JSON);
}

/* ------------------------------------------------------------------ drain, forget */

struct tell {
    struct emp_op op;
    enum emp_event_kind kind;
    struct emp_str machine;
    bool on, leave;
    struct emp_error err; /* code 0: done */
};

static void tell_run(struct emp_broker *b, struct emp_op *op)
{
    struct tell *t = (struct tell *)op;

    emp_loop_step(b, &(struct emp_event){
                         .kind = t->kind,
                         .request = emp_op_request(op),
                         .machine = {.id = t->machine, .on = t->on, .leave = t->leave},
                     });
}

static void tell_reply(struct emp_op *op, const struct emp_reply *reply)
{
    ((struct tell *)op)->err = reply->error;
}

static void tell_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct tell *t = (struct tell *)op;
    struct emp_buf body;
    struct emp_writer w;

    (void)b;
    if (emp_api_refused(&op->peer, code, &t->err))
        return;
    emp_api_begin_success(&w, &body);
    emp_write_str(&w, "machine_id", t->machine);
    if (t->kind == EMP_EVENT_MACHINE_DRAIN) {
        emp_write_bool(&w, "drained", t->on);
        emp_write_z(&w, "message",
                    t->on ? "Machine takes nothing new" : "Machine takes work again");
    } else {
        emp_write_z(&w, "message", "Machine forgotten");
    }
    emp_api_end_success(&w);
    emp_answer_json(&op->peer, 200, &body);
}

static const struct emp_op_type tell_type = {
    .name = "tell",
    .run = tell_run,
    .reply = tell_reply,
    .finish = tell_finish,
    .writes = true,
};

static void tell(const struct emp_call *c, enum emp_event_kind kind, bool on, bool leave)
{
    struct tell *t = emp_op_new(sizeof *t, &tell_type, &c->peer);

    t->kind = kind;
    t->on = on;
    t->leave = leave;
    t->machine = emp_str_copy(&t->op.arena, c->args[0]);
    emp_api_post(c, &t->op);
}

void emp_api_machine_forget(const struct emp_call *c)
{
    tell(c, EMP_EVENT_MACHINE_FORGET, true, false);
}

/* An absent member leaves *ret as it is. */
static int member_bool(struct emp_arena *a, const struct emp_json *j, const char *name, bool *ret,
                       struct emp_error *err)
{
    const struct emp_json *v = emp_json_find(j, name);

    if (v && v->type != EMP_JSON_BOOL)
        return emp_fail(err, EMP_E_INVALID, name, "%s: must be true or false, not %s", name,
                        emp_json_excerpt(a, v));
    if (v)
        *ret = emp_json_true(v);
    return 0;
}

/* {"drain": false} takes it back; no body, or {}: drain; {"leave": true}: and end. */
static int drain_body(struct emp_arena *a, struct emp_str body, bool *ret_on, bool *ret_leave,
                      struct emp_error *err)
{
    struct emp_json *j;

    *ret_on = true;
    *ret_leave = false;
    if (body.len == 0)
        return 0;
    int r = emp_json_parse(a, body.ptr, body.len, NULL, &j, err);
    if (r < 0)
        return r;
    if (j->type != EMP_JSON_OBJECT)
        return emp_fail(err, EMP_E_INVALID, NULL, "the body must be an object, not %s",
                        emp_json_type_word(j->type));
    r = member_bool(a, j, "drain", ret_on, err);
    if (r == 0)
        r = member_bool(a, j, "leave", ret_leave, err);
    if (r == 0 && *ret_leave && !*ret_on)
        r = emp_fail(err, EMP_E_INVALID, "leave", "leave: true contradicts drain: false");
    return r;
}

void emp_api_machine_drain(const struct emp_call *c)
{
    struct emp_arena a;
    struct emp_error err;
    bool on, leave;

    emp_arena_init(&a, 4096);
    if (drain_body(&a, emp_http_body(c->peer.http), &on, &leave, &err) < 0)
        emp_answer_error(&c->peer, &err);
    else
        tell(c, EMP_EVENT_MACHINE_DRAIN, on, leave);
    emp_arena_release(&a);
}

/* ------------------------------------------------------------------ pools */

static void pools_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_core_pool *pools;
    struct emp_writer w;
    uint32_t count = emp_core_pools(b->core, &l->op.arena, &pools);

    emp_api_begin_success(&w, &l->body);
    emp_write_array(&w, "pools");
    for (uint32_t i = 0; i < count; i++) {
        struct emp_pool_view v = {pools[i].pool, pools[i].machines, pools[i].slots,
                                  pools[i].busy, pools[i].pending,  pools[i].running};
        emp_view_pool(&w, NULL, &v);
    }
    emp_write_end(&w);
    emp_api_end_success(&w);
}

void emp_api_pools(const struct emp_call *c)
{
    emp_look_post(c, pools_look, EMP_ANSWER_JSON);
}

/* ------------------------------------------------------------------ agents' links */

struct link {
    struct emp_op op;
    int fd;
    struct emp_str extra; /* in the arena */
};

static void link_run(struct emp_broker *b, struct emp_op *op)
{
    struct link *l = (struct link *)op;

    emp_agents_adopt(b, l->fd, l->extra.ptr, l->extra.len);
    l->fd = -1;
    op->finished = true;
    emp_op_free(op);
}

static void link_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    (void)b;
    (void)op;
    (void)code; /* there is nobody to answer: released, the socket closes */
}

static void link_release(struct emp_op *op)
{
    struct link *l = (struct link *)op;

    if (l->fd >= 0)
        close(l->fd);
}

static const struct emp_op_type link_type = {
    .name = "link",
    .run = link_run,
    .finish = link_finish,
    .release = link_release,
    .detached = true,
};

static void upgraded(void *arg, int fd, const void *extra, size_t extra_len)
{
    struct emp_broker *b = arg;
    struct emp_peer nobody = {.broker = b};

    if (fd < 0)
        return;
    struct link *l = emp_op_new(sizeof *l, &link_type, &nobody);
    l->fd = fd;
    if (extra_len)
        l->extra = emp_str_copy(&l->op.arena, (struct emp_str){extra, (uint32_t)extra_len});
    if (emp_loop_post(b, &l->op) < 0)
        emp_op_free(&l->op);
}

void emp_api_agent_link(const struct emp_call *c)
{
    if (emp_http_upgrade(c->peer.http, upgraded, c->peer.broker) == 0)
        emp_answer_count(c->peer.broker, 101);
}

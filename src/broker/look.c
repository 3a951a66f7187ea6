#include "broker/look.h"

static void look_run(struct emp_broker *b, struct emp_op *op)
{
    struct emp_look *l = (struct emp_look *)op;
    l->look(b, l);
}

static void look_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct emp_look *l = (struct emp_look *)op;

    (void)b;
    if (code < 0 && l->err.code == 0)
        emp_fail(&l->err, code, NULL, "%s", emp_error_text(code));
    if (l->err.code)
        emp_answer_error(&op->peer, &l->err);
    else
        emp_answer_text(&op->peer, 200, l->type, &l->body);
}

static void look_release(struct emp_op *op)
{
    emp_buf_release(&((struct emp_look *)op)->body);
}

static const struct emp_op_type look_type = {
    .name = "look",
    .run = look_run,
    .finish = look_finish,
    .release = look_release,
};

static struct emp_look *look_new(const struct emp_call *c, emp_look_fn look, const char *type)
{
    struct emp_look *l = emp_op_new(sizeof *l, &look_type, &c->peer);

    l->look = look;
    l->type = type;
    l->arg = emp_str_copy(&l->op.arena, c->args[0]);
    emp_buf_init(&l->body, EMP_API_ANSWER_MAX);
    return l;
}

void emp_look_post(const struct emp_call *c, emp_look_fn look, const char *type)
{
    emp_api_post(c, &look_new(c, look, type)->op);
}

void emp_look_post_list(const struct emp_call *c, emp_look_fn look, const char *type,
                        unsigned known)
{
    struct emp_query_pair pairs[EMP_HTTP_PARAMS_MAX];
    uint32_t count = emp_http_param_count(c->peer.http);
    struct emp_query_short q;
    struct emp_error err;

    for (uint32_t i = 0; i < count; i++) {
        struct emp_http_param p = emp_http_param_at(c->peer.http, i);
        pairs[i] = (struct emp_query_pair){p.name, p.value};
    }
    if (emp_query_short(pairs, count, known, &q, &err) < 0) {
        emp_answer_error(&c->peer, &err);
        return;
    }
    struct emp_look *l = look_new(c, look, type);
    l->query = (struct emp_query_short){
        .limit = q.limit,
        .model = emp_str_copy(&l->op.arena, q.model),
        .machine = emp_str_copy(&l->op.arena, q.machine),
    };
    emp_api_post(c, &l->op);
}

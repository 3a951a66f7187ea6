/* The catalogue of models: the list, adding and replacing, removing. */
#include "broker/api.h"
#include "broker/look.h"
#include "proto/json.h"
#include "proto/model_json.h"
#include "proto/view_json.h"

#include <stdlib.h>

/* ------------------------------------------------------------------ the list */

static void models_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_core_model *models;
    struct emp_writer w;
    uint32_t count = emp_core_models(b->core, &l->op.arena, &models);

    emp_api_begin_success(&w, &l->body);
    emp_write_array(&w, "models");
    for (uint32_t i = 0; i < count; i++) {
        struct emp_model_view v = {models[i].model, models[i].copies, models[i].fetching,
                                   models[i].uses, models[i].machines};
        emp_view_model(&w, NULL, &v);
    }
    emp_write_end(&w);
    emp_api_end_success(&w);
}

void emp_api_models(const struct emp_call *c)
{
    emp_look_post(c, models_look, EMP_ANSWER_JSON);
}

/* ------------------------------------------------------------------ adding and replacing */

struct put {
    struct emp_op op;
    char *text; /* models point into it */
    struct emp_model *models;
    uint32_t count;
    bool list;            /* {"models":[…]} */
    struct emp_error err; /* code 0: done */
};

/* All or none: nothing is given to the core before everything is known to be taken. */
static void put_run(struct emp_broker *b, struct emp_op *op)
{
    struct put *p = (struct put *)op;

    for (uint32_t i = 0; i < p->count; i++)
        if (emp_core_model_check(b->core, &p->models[i], &p->err) < 0)
            return;
    for (uint32_t i = 0; i < p->count && p->err.code == 0; i++)
        emp_loop_step(b, &(struct emp_event){.kind = EMP_EVENT_MODEL,
                                             .request = emp_op_request(op),
                                             .model = &p->models[i]});
}

static void put_reply(struct emp_op *op, const struct emp_reply *reply)
{
    ((struct put *)op)->err = reply->error;
}

static void put_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct put *p = (struct put *)op;
    struct emp_buf body;
    struct emp_writer w;

    (void)b;
    if (emp_api_refused(&op->peer, code, &p->err))
        return;
    emp_api_begin_success(&w, &body);
    if (p->list)
        emp_write_array(&w, "models");
    for (uint32_t i = 0; i < p->count; i++) {
        struct emp_model_view v = {.model = &p->models[i]};
        emp_view_model(&w, p->list ? NULL : "model", &v);
    }
    if (p->list)
        emp_write_end(&w);
    emp_api_end_success(&w);
    emp_answer_json(&op->peer, 201, &body);
}

static void put_release(struct emp_op *op)
{
    free(((struct put *)op)->text);
}

static const struct emp_op_type put_type = {
    .name = "model",
    .run = put_run,
    .reply = put_reply,
    .finish = put_finish,
    .release = put_release,
    .writes = true,
};

static bool names_a_list(struct emp_arena *a, const char *text, size_t len)
{
    static const char *const closed[] = {"models", NULL};
    struct emp_json_options o = {.closed = closed};
    struct emp_json *j;

    return emp_json_parse(a, text, len, &o, &j, NULL) == 0 && emp_json_find(j, "models") != NULL;
}

void emp_api_model_put(const struct emp_call *c)
{
    struct put *p = emp_op_new(sizeof *p, &put_type, &c->peer);
    struct emp_error err;
    size_t len;

    p->text = emp_http_body_take(c->peer.http, &len);
    if (emp_model_parse(&p->op.arena, p->text ? p->text : "", len, &p->models, &p->count, &err) <
        0) {
        emp_answer_error(&c->peer, &err);
        emp_op_free(&p->op);
        return;
    }
    p->list = names_a_list(&p->op.arena, p->text, len);
    emp_api_post(c, &p->op);
}

/* ------------------------------------------------------------------ removing */

struct removal {
    struct emp_op op;
    struct emp_str name;
    struct emp_error err; /* code 0: done */
};

static void removal_run(struct emp_broker *b, struct emp_op *op)
{
    emp_loop_step(b, &(struct emp_event){.kind = EMP_EVENT_MODEL_REMOVE,
                                         .request = emp_op_request(op),
                                         .model_name = ((struct removal *)op)->name});
}

static void removal_reply(struct emp_op *op, const struct emp_reply *reply)
{
    ((struct removal *)op)->err = reply->error;
}

static void removal_finish(struct emp_broker *b, struct emp_op *op, int code)
{
    struct removal *t = (struct removal *)op;
    struct emp_buf body;
    struct emp_writer w;

    (void)b;
    if (emp_api_refused(&op->peer, code, &t->err))
        return;
    emp_api_begin_success(&w, &body);
    emp_write_str(&w, "name", t->name);
    emp_write_z(&w, "message", "Model removed from the catalogue");
    emp_api_end_success(&w);
    emp_answer_json(&op->peer, 200, &body);
}

static const struct emp_op_type removal_type = {
    .name = "remove",
    .run = removal_run,
    .reply = removal_reply,
    .finish = removal_finish,
    .writes = true,
};

void emp_api_model_remove(const struct emp_call *c)
{
    struct removal *t = emp_op_new(sizeof *t, &removal_type, &c->peer);

    t->name = emp_str_copy(&t->op.arena, c->args[0]);
    emp_api_post(c, &t->op);
}

#include "cli/act.h"

#include "cli/client.h"
#include "cli/terminal.h"
#include "cli/view.h"

static int act_one(struct emp_client *client, const char *method, const char *prefix,
                   const char *id, const char *suffix, const char *body, const char *done,
                   struct emp_error *err)
{
    struct emp_reply reply;
    int r = emp_client_send(client, method, prefix, id, suffix, body, &reply, err);
    if (r == 0 && client->cli->json) {
        r = emp_client_print_json(&reply, err);
    } else if (r == 0) {
        struct emp_buf out;
        emp_buf_init(&out, 4096);
        emp_buf_printf(&out, "%s: ", done);
        emp_text_safe(emp_str_z(id), 0, &out);
        emp_buf_addz(&out, "\n");
        r = emp_cli_print(&out, err);
        emp_buf_release(&out);
    }
    emp_reply_release(&reply);
    return r;
}

int emp_cli_act(struct emp_cli *cli, const char *method, const char *prefix, const char *suffix,
                const char *body, const char *done, struct emp_error *err)
{
    struct emp_client client;
    struct emp_error first = {0};
    int r = emp_client_open(&client, cli, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < cli->options.arg_count; i++) {
        struct emp_error why = {0};
        if (act_one(&client, method, prefix, cli->options.args[i], suffix, body, done, &why) == 0)
            continue;
        if (first.code) /* the caller prints the first one only */
            emp_terminal_error(why.text);
        else
            first = why;
    }
    if (first.code)
        *err = first;
    return first.code;
}

int emp_cli_show(struct emp_cli *cli, const char *prefix, const char *id, const char *suffix,
                 void (*write)(struct emp_cli *cli, const char *id, const struct emp_json *answer,
                               struct emp_buf *out),
                 struct emp_error *err)
{
    struct emp_client client;
    struct emp_reply reply;
    struct emp_buf out;
    int r = emp_client_open(&client, cli, err);
    if (r < 0)
        return r;
    r = emp_client_get(&client, prefix, id, suffix, &reply, err);
    if (r == 0 && cli->json) {
        r = emp_client_print_json(&reply, err);
    } else if (r == 0) {
        emp_buf_init(&out, EMP_CLIENT_OUTPUT_MAX);
        write(cli, id, reply.json, &out);
        r = emp_cli_print(&out, err);
        emp_buf_release(&out);
    }
    emp_reply_release(&reply);
    return r;
}

int emp_cli_list(struct emp_cli *cli, const char *path, const char *name,
                 const struct emp_column *columns,
                 void (*add_row)(struct emp_table *t, const struct emp_json *element),
                 struct emp_error *err)
{
    struct emp_client client;
    struct emp_reply reply;
    struct emp_buf out;
    struct emp_table table;
    int r = emp_client_open(&client, cli, err);
    if (r < 0)
        return r;
    emp_buf_init(&out, EMP_CLIENT_OUTPUT_MAX);
    r = emp_client_call(&client, "GET", path, NULL, NULL, &reply, err);
    if (r == 0 && cli->json) {
        r = emp_client_print_json(&reply, err);
    } else if (r == 0) {
        emp_table_init(&table, &cli->arena, columns);
        for (const struct emp_json *e = emp_view_first(reply.json, name); e; e = e->next)
            add_row(&table, e);
        emp_table_write(&table, emp_terminal_colours(stdout), &out);
        r = emp_cli_print(&out, err);
    }
    emp_reply_release(&reply);
    emp_buf_release(&out);
    return r;
}

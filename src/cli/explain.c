/* A decision for people: what won and why, term by term in seconds, who came second, what a waiting
 * job waits for. */
#include "cli/act.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/view.h"

static const struct emp_column columns[] = {
    {"", false},     {"MACHINE", false}, {"POOL", false},    {"MODELS", false}, {"SLOT FREE", true},
    {"FETCH", true}, {"LOAD", true},     {"RUN ±", true},    {"POOL +", true},  {"DISPLACES", true},
    {"RISK", true},  {"= COST", true},   {"START IN", true}, {NULL, false},
};

static const char *const terms[] = {
    "terms.slot_free",    "terms.fetch",        "terms.load", "terms.run_delta",
    "terms.pool_penalty", "terms.displacement", "terms.risk",
};

/* `chosen` and `runner_up` are a machine's id, or a candidate. */
static struct emp_str machine_of(const struct emp_json *decision, const char *path)
{
    const struct emp_json *v = emp_view_get(decision, path);
    return emp_view_text(v, v && v->type == EMP_JSON_OBJECT ? "machine_id" : "");
}

static void add_candidate(struct emp_table *t, const struct emp_json *decision,
                          const struct emp_json *c)
{
    char span[EMP_SPAN_TEXT_MAX];
    struct emp_str id = emp_view_text(c, "machine_id");
    bool chosen = id.len && emp_str_eq(id, machine_of(decision, "chosen"));
    bool second = id.len && emp_str_eq(id, machine_of(decision, "runner_up"));
    emp_table_add(t, emp_str_z(chosen ? "→" : second ? "2nd" : ""), EMP_COLOUR_GOOD);
    emp_table_add(t, id, chosen ? EMP_COLOUR_STRONG : EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(c, "poolType"), EMP_COLOUR_NONE);
    emp_table_addz(t, emp_view_true(c, "machineHasModels") ? "there" : "missing");
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++)
        emp_table_addz(t, emp_span_text(emp_view_number(c, terms[i]), span));
    emp_table_addz(t, emp_span_text(emp_view_number(c, "cost"), span));
    emp_table_addz(t, emp_span_text(emp_view_number(c, "estimatedWaitTime"), span));
}

static void add_list(const struct emp_json *d, const char *label, const char *path,
                     struct emp_buf *out)
{
    struct emp_buf text;
    emp_buf_init(&text, 65536);
    emp_view_join(d, path, &text);
    emp_show_field(label, emp_str_z(text.data), out);
    emp_buf_release(&text);
}

static void add_span(const struct emp_json *d, const char *label, const char *path,
                     struct emp_buf *out)
{
    char span[EMP_SPAN_TEXT_MAX];
    emp_show_field(label, emp_str_z(emp_span_text(emp_view_number(d, path), span)), out);
}

static void write_decision(struct emp_cli *cli, const char *id, const struct emp_json *d,
                           struct emp_buf *out)
{
    struct emp_table t;
    emp_show_field("job", emp_str_z(id), out);
    emp_show_field("chosen", machine_of(d, "chosen"), out);
    emp_show_field("runner-up", machine_of(d, "runner_up"), out);
    emp_show_field("pool", emp_view_text(d, "pool"), out);
    emp_show_field("fallback", emp_view_text(d, "fallback"), out);
    emp_show_field("waits for", emp_view_text(d, "waiting_for"), out);
    emp_show_field("reason", emp_view_text(d, "reason"), out);
    add_span(d, "estimated", "estimatedDuration", out);
    emp_show_field("priority", emp_view_text(d, "priority"), out);
    emp_show_field("tier", emp_view_text(d, "userTier"), out);
    add_list(d, "models", "requiredModels", out);
    add_list(d, "nodes", "requiredCustomNodes", out);
    emp_table_init(&t, &cli->arena, columns);
    for (const struct emp_json *c = emp_view_first(d, "candidates"); c; c = c->next)
        add_candidate(&t, d, c);
    if (t.cell_count == 0)
        return;
    emp_buf_addz(out, "\n");
    emp_table_write(&t, emp_terminal_colours(stdout), out);
}

static void write_answer(struct emp_cli *cli, const char *id, const struct emp_json *answer,
                         struct emp_buf *out)
{
    const struct emp_json *d = emp_view_get(answer, "decision");
    write_decision(cli, id, d ? d : answer, out);
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    return emp_cli_show(cli, "/api/jobs/", cli->options.args[0], "/decision", write_answer, err);
}

const struct emp_command emp_command_explain = {
    .name = "explain",
    .args = "JOB",
    .summary = "Show why a job runs where it does, or why it waits.",
    .text = "Each candidate's cost in seconds: max(slot free, fetch) + load + difference in run "
            "time + penalty for\n"
            "leaving the job's pool + worth of what it displaces + risk of losing the machine. The "
            "least wins.\n",
    .client = true,
    .args_min = 1,
    .args_max = 1,
    .run = run,
};

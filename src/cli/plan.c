/* `emp plan`: which copy of a model should stand where; with --explain, why. */
#include "cli/plan.h"

#include "cli/client.h"
#include "cli/table.h"
#include "cli/view.h"

static const struct emp_option options[] = {
    {"explain", 0, "MODEL", "Why its copies should stand where they should, in sentences.", false,
     NULL},
    {"model", 0, "NAME", "This model alone.", false, NULL},
    {"machine", 0, "ID", "This machine alone.", false, NULL},
    {"limit", 'n', "N", "At most so many copies, 1 to 1000. Default: 100.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

static const struct emp_column columns[] = {
    {"MACHINE", false},     {"MODEL", false},    {"WANTED", false}, {"NOW", false},
    {"SAVES S/HOUR", true}, {"USES/HOUR", true}, {NULL, false},
};

int emp_cli_intelligence(struct emp_cli *cli, const char *path,
                         void (*write)(struct emp_cli *cli, const struct emp_json *answer,
                                       struct emp_buf *out),
                         struct emp_error *err)
{
    struct emp_client client;
    struct emp_reply reply;
    struct emp_buf out;
    int r = emp_client_open(&client, cli, err);
    if (r < 0)
        return r;
    emp_buf_init(&out, EMP_CLIENT_OUTPUT_MAX);
    r = emp_client_call(&client, "GET", path, NULL, NULL, &reply, err);
    if (r == 0 && cli->json) {
        r = emp_client_print_json(&reply, err);
    } else if (r == 0) {
        if (!emp_view_true(reply.json, "enabled"))
            emp_buf_addz(&out, "intelligence is switched off (intelligence.enabled)\n");
        else if (emp_view_time(reply.json, "planned_at") == 0)
            emp_buf_addz(&out, "there is no plan yet\n");
        else
            write(cli, reply.json, &out);
        r = emp_cli_print(&out, err);
    }
    emp_reply_release(&reply);
    emp_buf_release(&out);
    return r;
}

/* "102 more: --limit" where the answer is not all. */
static void write_rest(const struct emp_json *answer, struct emp_buf *out)
{
    double more = emp_view_number(answer, "total") - emp_view_count(answer, "placement");
    if (more > 0)
        emp_buf_printf(out, "%.0f more: --limit N, --machine ID or --model NAME shows others\n",
                       more);
}

/* What is known of how good it was; nothing while nothing is. */
static void write_scorecard(const struct emp_json *answer, struct emp_buf *out)
{
    const struct emp_json *card = emp_view_get(answer, "scorecard");
    const struct emp_json *forecast = emp_view_get(answer, "scorecard.forecast_24h");
    double evicted = emp_view_number(card, "evictions_regretted.by_plan.evicted") +
                     emp_view_number(card, "evictions_regretted.by_machine.evicted");
    double regretted = emp_view_number(card, "evictions_regretted.by_plan.regretted") +
                       emp_view_number(card, "evictions_regretted.by_machine.regretted");

    if (emp_view_number(forecast, "requests") > 0)
        emp_buf_printf(out,
                       "forecasts of the last %.0f h: off by %.0f %% of %.0f requests; the 80 %% "
                       "interval held %.0f %%\n",
                       emp_view_number(forecast, "hours"), 100 * emp_view_number(forecast, "wape"),
                       emp_view_number(forecast, "requests"),
                       100 * emp_view_number(forecast, "coverage_80"));
    if (emp_view_number(card, "prewarm.jobs") > 0)
        emp_buf_printf(out, "models there before the job: %.1f %% of %.0f jobs\n",
                       100 * emp_view_number(card, "prewarm.coverage"),
                       emp_view_number(card, "prewarm.jobs"));
    if (emp_view_number(card, "prewarm.planned") > 0)
        emp_buf_printf(out, "copies fetched ahead and used within 6 h: %.0f %% of %.0f\n",
                       100 * emp_view_number(card, "prewarm.precision"),
                       emp_view_number(card, "prewarm.planned"));
    if (evicted > 0)
        emp_buf_printf(out, "copies let go and wanted again within 6 h: %.0f %% of %.0f\n",
                       100 * regretted / evicted, evicted);
}

static void write_table(struct emp_cli *cli, const struct emp_json *answer, struct emp_buf *out)
{
    struct emp_table t;
    emp_table_init(&t, &cli->arena, columns);
    for (const struct emp_json *e = emp_view_first(answer, "placement"); e; e = e->next) {
        struct emp_str wanted = emp_view_text(e, "tier_wanted"),
                       now = emp_view_text(e, "tier_present");
        emp_table_add(&t, emp_view_text(e, "machine_id"), EMP_COLOUR_NONE);
        emp_table_add(&t, emp_view_text(e, "modelId"), EMP_COLOUR_NONE);
        emp_table_add(&t, wanted, emp_str_eq(wanted, now) ? EMP_COLOUR_NONE : EMP_COLOUR_BUSY);
        emp_table_add(&t, now, EMP_COLOUR_NONE);
        emp_table_addf(&t, "%.1f", emp_view_number(e, "worth"));
        emp_table_addf(&t, "%.2f", emp_view_number(e, "uses_per_hour"));
    }
    emp_table_write(&t, emp_terminal_colours(stdout), out);
    write_rest(answer, out);
    write_scorecard(answer, out);
}

static void write_reasons(struct emp_cli *cli, const struct emp_json *answer, struct emp_buf *out)
{
    if (emp_view_count(answer, "placement") == 0) {
        emp_text_safe(emp_str_z(emp_options_value(&cli->options, "explain")), 0, out);
        emp_buf_addz(out, ": no copy of it stands anywhere, and none is wanted\n");
    }
    for (const struct emp_json *e = emp_view_first(answer, "placement"); e; e = e->next) {
        emp_text_safe(emp_view_text(e, "machine_id"), 0, out);
        emp_buf_addz(out, ": ");
        emp_text_safe(emp_view_text(e, "why"), 0, out);
        emp_buf_addz(out, "\n");
    }
    write_rest(answer, out);
}

static void add_filter(const char *name, const char *value, struct emp_buf *path)
{
    if (!value)
        return;
    emp_buf_printf(path, "&%s=", name);
    emp_url_escape(value, path);
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    const struct emp_options *o = &cli->options;
    const char *explain = emp_options_value(o, "explain"), *model = emp_options_value(o, "model");
    int64_t limit = 100;
    struct emp_buf path;
    if (explain && model)
        return emp_fail(err, EMP_E_INVALID, "model",
                        "--explain MODEL and --model are one too many");
    int r = emp_options_int(o, "limit", 1, 1000, &limit, err);
    if (r < 0)
        return r;
    emp_buf_init(&path, 65536);
    emp_buf_printf(&path, "/api/intelligence/placement?limit=%lld", (long long)limit);
    add_filter("model", explain ? explain : model, &path);
    add_filter("machine", emp_options_value(o, "machine"), &path);
    if (path.failed)
        r = emp_fail(err, EMP_E_TOO_LARGE, NULL, "a name is too long");
    else
        r = emp_cli_intelligence(cli, path.data, explain ? write_reasons : write_table, err);
    emp_buf_release(&path);
    return r;
}

const struct emp_command emp_command_plan = {
    .name = "plan",
    .args = "",
    .summary = "Show which copies of models should stand where, and why.",
    .text = "The broker's last plan, most worth first: the tier that a copy should have (none, "
            "disk, ram, gpu),\n"
            "the one it had when the plan was made, and the seconds of jobs' waiting that it saves "
            "per hour.\n"
            "Below: how good forecasts and plans were since the broker started.\n",
    .options = options,
    .client = true,
    .run = run,
};

/* `emp models`: the catalogue and where its copies stand; `emp models add`: one more entry;
 * `emp models remove`: one less; `emp models --forecast`: how often each will be used. */
#include "cli/act.h"
#include "cli/client.h"
#include "cli/plan.h"
#include "cli/table.h"
#include "cli/view.h"
#include "config/units.h"
#include "proto/writer.h"

static const struct emp_option options[] = {
    {"forecast", 0, NULL, "list: what is expected of each model that was ever used.", false, NULL},
    {"bytes", 0, "SIZE", "add: exact size of the file (4661224676, 1.5gb).", false, NULL},
    {"sha256", 0, "HEX", "add: 64 hex digits.", false, NULL},
    {"url", 0, "URL", "add: where to fetch it; several are mirrors.", true, NULL},
    {"path", 0, "PATH", "add: file under the model directory; default: its name.", false, NULL},
    {"kind", 0, "WORD", "add: checkpoint, lora, vae, ocr, …", false, NULL},
    {"category", 0, "WORD", "add: specialty that it points to.", false, NULL},
    {"owner", 0, "ID", "add: customer whose jobs may use it.", false, NULL},
    {"pinned", 0, NULL, "add: never evicted where it stands.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

static const struct emp_column columns[] = {
    {"MODEL", false},  {"KIND", false},     {"CATEGORY", false}, {"SIZE", true},
    {"COPIES", true},  {"FETCHING", true},  {"USES", true},      {"OWNER", false},
    {"PINNED", false}, {"MACHINES", false}, {NULL, false},
};

static void add_row(struct emp_table *t, const struct emp_json *m)
{
    char size[EMP_SIZE_TEXT_MAX];
    struct emp_buf machines;
    emp_buf_init(&machines, 65536);
    emp_view_join(m, "machines", &machines);
    emp_table_add(t, emp_view_text(m, "name"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "kind"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "category"), EMP_COLOUR_NONE);
    emp_table_addz(t, emp_size_text(emp_view_number(m, "bytes"), size));
    emp_table_add(t, emp_view_text(m, "copies"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "fetching"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "uses"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "owner"), EMP_COLOUR_NONE);
    emp_table_addz(t, emp_view_true(m, "pinned") ? "pinned" : "");
    emp_table_addz(t, machines.data ? machines.data : "");
    emp_buf_release(&machines);
}

static int list(struct emp_cli *cli, struct emp_error *err)
{
    return emp_cli_list(cli, "/api/models", "models", columns, add_row, err);
}

static const struct emp_column forecast_columns[] = {
    {"MODEL", false},   {"10 MIN", true},      {"1 H", true},        {"6 H", true},
    {"24 H", true},     {"80 % OF 1 H", true}, {"SURE", true},       {"USES", true},
    {"PATTERN", false}, {"LIFE", false},       {"WANTED ON", false}, {NULL, false},
};

static void add_forecast(struct emp_table *t, const struct emp_json *m)
{
    static const char *const windows[] = {"predictedUsage.10m", "predictedUsage.1h",
                                          "predictedUsage.6h", "predictedUsage.24h"};
    struct emp_buf machines;
    emp_buf_init(&machines, 65536);
    emp_view_join(m, "recommendedPlacement", &machines);
    emp_table_add(t, emp_view_text(m, "modelId"), EMP_COLOUR_NONE);
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
        emp_table_addf(t, "%.2f", emp_view_number(m, windows[i]));
    emp_table_addf(t, "%.1f – %.1f", emp_view_number(m, "interval.1h.low"),
                   emp_view_number(m, "interval.1h.high"));
    emp_table_addf(t, "%.0f %%", 100 * emp_view_number(m, "confidenceScore"));
    emp_table_add(t, emp_view_text(m, "uses"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "timePattern"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "lifecycle.stage"), EMP_COLOUR_NONE);
    emp_table_addz(t, machines.data ? machines.data : "");
    emp_buf_release(&machines);
}

static void write_forecasts(struct emp_cli *cli, const struct emp_json *answer, struct emp_buf *out)
{
    struct emp_table t;
    emp_table_init(&t, &cli->arena, forecast_columns);
    for (const struct emp_json *m = emp_view_first(answer, "models"); m; m = m->next)
        add_forecast(&t, m);
    emp_table_write(&t, emp_terminal_colours(stdout), out);
}

static int forecast(struct emp_cli *cli, struct emp_error *err)
{
    return emp_cli_intelligence(cli, "/api/intelligence/forecast?limit=1000", write_forecasts, err);
}

static int write_model(const struct emp_cli *cli, struct emp_buf *body, struct emp_error *err)
{
    static const char *const texts[] = {"sha256", "path", "kind", "category", "owner"};
    const struct emp_options *o = &cli->options;
    const char *size = emp_options_value(o, "bytes"), *url;
    struct emp_writer w;
    int64_t bytes;
    if (!size || emp_bytes_parse(emp_str_z(size), &bytes) < 0)
        return emp_fail(err, EMP_E_INVALID, "bytes",
                        "--bytes SIZE is needed: the exact size, such as 335304388 or 1.5gb");
    emp_writer_init(&w, body);
    emp_write_object(&w, NULL);
    emp_write_str(&w, "name", emp_str_z(o->args[1]));
    emp_write_i64(&w, "bytes", bytes);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        emp_write_str_opt(&w, texts[i], emp_str_z(emp_options_value(o, texts[i])));
    if (emp_options_has(o, "url"))
        emp_write_array(&w, "urls");
    for (uint32_t i = 0; (url = emp_options_nth(o, "url", i)) != NULL; i++)
        emp_write_str(&w, NULL, emp_str_z(url));
    if (emp_options_has(o, "url"))
        emp_write_end(&w);
    if (emp_options_has(o, "pinned"))
        emp_write_bool(&w, "pinned", true);
    emp_write_end(&w);
    return body->failed ? emp_fail(err, EMP_E_TOO_LARGE, NULL, "the entry is too large") : 0;
}

static int add(struct emp_cli *cli, struct emp_error *err)
{
    struct emp_client client;
    struct emp_reply reply;
    struct emp_buf body, out;
    emp_buf_init(&body, 1 << 20);
    emp_buf_init(&out, 4096);
    int r = write_model(cli, &body, err);
    if (r == 0 && (r = emp_client_open(&client, cli, err)) == 0) {
        struct emp_str text = {body.data, (uint32_t)body.len};
        r = emp_client_call(&client, "POST", "/api/models", &text, NULL, &reply, err);
        if (r == 0 && cli->json) {
            r = emp_client_print_json(&reply, err);
        } else if (r == 0) {
            emp_buf_addz(&out, "in the catalogue: ");
            emp_text_safe(emp_str_z(cli->options.args[1]), 0, &out);
            emp_buf_addz(&out, "\n");
            r = emp_cli_print(&out, err);
        }
        emp_reply_release(&reply);
    }
    emp_buf_release(&body);
    emp_buf_release(&out);
    return r;
}

static int drop(struct emp_cli *cli, struct emp_error *err)
{
    cli->options.args++; /* the names alone */
    cli->options.arg_count--;
    return emp_cli_act(cli, "DELETE", "/api/models/", "", NULL, "removed", err);
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    const struct emp_options *o = &cli->options;
    const char *verb = o->arg_count ? o->args[0] : "list";
    bool lists = strcmp(verb, "list") == 0 && o->arg_count <= 1;
    bool drops = strcmp(verb, "remove") == 0 && o->arg_count > 1;
    if (strcmp(verb, "add") == 0 && o->arg_count == 2)
        return add(cli, err);
    if (!lists && !drops)
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "usage: emp models [list], emp models add NAME --bytes SIZE …, or "
                        "emp models remove NAME…");
    bool forecasts = lists && emp_options_has(o, "forecast");
    for (const struct emp_option *p = options; p->name; p++)
        if (emp_options_has(o, p->name) && !(forecasts && strcmp(p->name, "forecast") == 0))
            return emp_fail(err, EMP_E_INVALID, NULL, "--%s goes with `emp models add NAME` only",
                            p->name);
    if (forecasts)
        return forecast(cli, err);
    return lists ? list(cli, err) : drop(cli, err);
}

const struct emp_command emp_command_models = {
    .name = "models",
    .args = "[list | add NAME | remove NAME…]",
    .summary = "List the catalogue of models and their copies, add or remove one.",
    .text = "  emp models add ae.safetensors --bytes 335304388 --sha256 afc8… --url "
            "https://models.example/ae.safetensors\n"
            "  emp models remove ae.safetensors\n"
            "\n"
            "A model that jobs need, waiting or running, cannot be removed. Copies stay on the "
            "disks until\n"
            "the room is wanted; where one stands, jobs may still ask for it. A pinned one stays. "
            "An entry of the\n"
            "configuration file is back at the broker's next start.\n",
    .options = options,
    .client = true,
    .args_max = EMP_CLI_ARGS_MAX,
    .run = run,
};

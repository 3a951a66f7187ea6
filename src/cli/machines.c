#include "cli/act.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/view.h"

#include <stdio.h>

static const struct emp_column columns[] = {
    {"MACHINE", false}, {"STATUS", false},   {"POOL", false},     {"REGION", false},
    {"BUSY", true},     {"SLOTS", true},     {"DISK FREE", true}, {"LINK", true},
    {"MODELS", true},   {"FETCHING", true},  {"DONE", true},      {"FAILED", true},
    {"SEEN", true},     {"SERVICES", false}, {NULL, false},
};

/* Its pool; where the one it asked for is not configured, that too. */
static void add_pool(struct emp_table *t, const struct emp_json *m)
{
    struct emp_str pool = emp_view_text(m, "pool"), unknown = emp_view_text(m, "pool_unknown");
    struct emp_buf text;
    if (unknown.len == 0) {
        emp_table_add(t, pool, EMP_COLOUR_NONE);
        return;
    }
    emp_buf_init(&text, 4096);
    emp_buf_printf(&text, "%.*s (no pool %.*s)", EMP_STR_FMT(pool), EMP_STR_FMT(unknown));
    emp_table_add(t, emp_str_z(text.data), EMP_COLOUR_BUSY);
    emp_buf_release(&text);
}

static void add_row(struct emp_table *t, const struct emp_json *m)
{
    char text[EMP_SIZE_TEXT_MAX], span[EMP_SPAN_TEXT_MAX];
    struct emp_str status = emp_view_text(m, "status");
    double link = emp_view_number(m, "link_bytes_per_s"),
           left = emp_view_number(m, "fetch_left_bytes");
    struct emp_buf services;
    emp_buf_init(&services, 65536);
    emp_view_join(m, "services", &services);
    emp_table_add(t, emp_view_text(m, "machine_id"), EMP_COLOUR_NONE);
    emp_table_add(t, status, emp_colour_of_status(status));
    add_pool(t, m);
    emp_table_add(t, emp_view_text(m, "region"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "busy"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "slots"), EMP_COLOUR_NONE);
    emp_table_addz(t, emp_size_text(emp_view_number(m, "disk.free_bytes"), text));
    emp_table_addf(t, "%s%s", emp_size_text(link, text), link > 0 ? "/s" : "");
    emp_table_add(t, emp_view_text(m, "model_count"), EMP_COLOUR_NONE);
    emp_table_addz(t, left > 0 ? emp_size_text(left, text) : "");
    emp_table_add(t, emp_view_text(m, "jobs_completed"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(m, "jobs_failed"), EMP_COLOUR_NONE);
    emp_table_addz(t, emp_between_text(emp_view_time(m, "last_seen"), emp_wall_clock(), span));
    emp_table_addz(t, services.data ? services.data : "");
    emp_buf_release(&services);
}

/* One machine: all that the API says, for it has no two alike. */
static void write_one(struct emp_cli *cli, const char *id, const struct emp_json *answer,
                      struct emp_buf *out)
{
    const struct emp_json *m = emp_view_get(answer, "machine");
    (void)cli;
    (void)id;
    emp_view_pretty(m ? m : answer, 0, out);
    emp_buf_addz(out, "\n");
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    if (cli->options.arg_count)
        return emp_cli_show(cli, "/api/machines/", cli->options.args[0], "", write_one, err);
    return emp_cli_list(cli, "/api/machines", "machines", columns, add_row, err);
}

const struct emp_command emp_command_machines = {
    .name = "machines",
    .args = "[MACHINE]",
    .summary = "List machines: state, pool, slots, disk, what they offer.",
    .client = true,
    .args_max = 1,
    .run = run,
};

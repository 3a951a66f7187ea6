#include "cli/act.h"
#include "cli/client.h"
#include "cli/table.h"
#include "cli/view.h"

#include <math.h>
#include <stdio.h>

static const struct emp_column columns[] = {
    {"POOL", false},   {"JOBS OF", false},  {"DISK", false},    {"SPECIALTY", false},
    {"REGION", false}, {"CUSTOMER", false}, {"MACHINES", true}, {"BUSY", true},
    {"SLOTS", true},   {"WAITING", true},   {"RUNNING", true},  {NULL, false},
};

/* "30 s – 3 min", "≥ 3 min": seconds. */
static void add_run_range(struct emp_table *t, double min, double max)
{
    char low[EMP_SPAN_TEXT_MAX], high[EMP_SPAN_TEXT_MAX];
    emp_span_text(min, low);
    emp_span_text(max, high);
    if (*high && !(min > 0))
        emp_table_addf(t, "< %s", high);
    else if (*high)
        emp_table_addf(t, "%s – %s", low, high);
    else
        emp_table_addf(t, "%s%s", *low ? "≥ " : "", low);
}

static void add_disk_range(struct emp_table *t, double min, double max)
{
    char low[EMP_SIZE_TEXT_MAX], high[EMP_SIZE_TEXT_MAX];
    if (min > 0 && max > 0)
        emp_table_addf(t, "%s – %s", emp_size_text(min, low), emp_size_text(max, high));
    else if (min > 0)
        emp_table_addf(t, "≥ %s", emp_size_text(min, low));
    else
        emp_table_addf(t, "%s%s", max > 0 ? "≤ " : "", max > 0 ? emp_size_text(max, high) : "");
}

static void add_row(struct emp_table *t, const struct emp_json *p)
{
    emp_table_add(t, emp_view_text(p, "name"), EMP_COLOUR_NONE);
    add_run_range(t, emp_view_number(p, "run_s_min"), emp_view_number(p, "run_s_max"));
    add_disk_range(t, emp_view_number(p, "disk_bytes_min"), emp_view_number(p, "disk_bytes_max"));
    emp_table_add(t, emp_view_text(p, "specialty"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(p, "region"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(p, "customer"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(p, "machines"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(p, "busy"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(p, "slots"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(p, "pending"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(p, "running"), EMP_COLOUR_NONE);
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    return emp_cli_list(cli, "/api/pools", "pools", columns, add_row, err);
}

const struct emp_command emp_command_pools = {
    .name = "pools",
    .args = "",
    .summary = "List the pools: what belongs into them, how busy they are.",
    .client = true,
    .run = run,
};

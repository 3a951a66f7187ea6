#include "cli/client.h"
#include "cli/table.h"
#include "cli/view.h"

#include <math.h>

static const struct emp_option options[] = {
    {"status", 's', "STATUS",
     "Only these; several with commas: pending, assigned, in_progress, completed, failed, "
     "cancelled.",
     false, NULL},
    {"limit", 'n', "N", "At most so many, 1 to 1000; default 50.", false, NULL},
    {"offset", 0, "N", "Pass over so many first.", false, NULL},
    {"sort", 0, "KEY", "created_at, priority or finished_at.", false, NULL},
    {"order", 0, "ORDER", "desc (default) or asc.", false, NULL},
    {"service", 0, "NAME", "Only jobs of this service.", false, NULL},
    {"customer", 0, "ID", "Only jobs of this customer.", false, NULL},
    {"workflow", 0, "ID", "Only steps of this workflow.", false, NULL},
    {"pool", 0, "NAME", "Only jobs of this pool.", false, NULL},
    {"machine", 0, "ID", "Only jobs of this machine.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

static const struct emp_column columns[] = {
    {"JOB", false},      {"STATUS", false}, {"SERVICE", false}, {"PRIORITY", true},
    {"CUSTOMER", false}, {"POOL", false},   {"MACHINE", false}, {"AGE", true},
    {"WAITED", true},    {"RAN", true},     {"TRIES", true},    {NULL, false},
};

static void add_row(struct emp_table *t, const struct emp_json *job, emp_wall_ms now)
{
    static const char *const ends[] = {"completed_at", "failed_at", "cancelled_at"};
    char span[EMP_SPAN_TEXT_MAX];
    emp_wall_ms created = emp_view_time(job, "created_at"),
                started = emp_view_time(job, "started_at");
    emp_wall_ms ended = 0;
    struct emp_str status = emp_view_text(job, "status");
    for (size_t i = 0; !ended && i < sizeof ends / sizeof *ends; i++)
        ended = emp_view_time(job, ends[i]);
    emp_table_add(t, emp_view_text(job, "id"), EMP_COLOUR_NONE);
    emp_table_add(t, status, emp_colour_of_status(status));
    emp_table_add(t, emp_view_text(job, "service_required"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(job, "priority"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(job, "customer_id"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(job, "pool"), EMP_COLOUR_NONE);
    emp_table_add(t, emp_view_text(job, "worker_id"), EMP_COLOUR_NONE);
    emp_table_addz(t, emp_between_text(created, now, span));
    emp_table_addz(t, emp_between_text(created, started, span));
    emp_table_addz(t, emp_between_text(started, ended ? ended : now, span));
    emp_table_add(t, emp_view_text(job, "retry_count"), EMP_COLOUR_NONE);
}

static void write_jobs(struct emp_cli *cli, const struct emp_json *reply, struct emp_buf *out)
{
    struct emp_table table;
    uint32_t n = emp_view_count(reply, "jobs");
    double total = emp_view_number(reply, "total");
    emp_wall_ms now = emp_wall_clock();
    emp_table_init(&table, &cli->arena, columns);
    for (const struct emp_json *job = emp_view_first(reply, "jobs"); job; job = job->next)
        add_row(&table, job, now);
    emp_table_write(&table, emp_terminal_colours(stdout), out);
    if (total > (double)n)
        emp_buf_printf(out, "%u of %.0f; --limit and --offset show others\n", n, total);
}

/* The options that are query parameters of GET /api/jobs, by the parameter's name. */
static void add_query(const struct emp_options *o, struct emp_buf *path)
{
    static const struct {
        const char *option, *parameter;
    } map[] = {{"status", "status"},
               {"sort", "sort"},
               {"service", "service_required"},
               {"customer", "customer_id"},
               {"workflow", "workflow_id"},
               {"order", "order"},
               {"pool", "pool"},
               {"machine", "machine_id"}};
    for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
        const char *value = emp_options_value(o, map[i].option);
        if (!value)
            continue;
        emp_buf_printf(path, "&%s=", map[i].parameter);
        emp_url_escape(value, path);
    }
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    struct emp_client client;
    struct emp_reply reply;
    struct emp_buf path, out;
    int64_t limit = 50, offset = 0;
    int r;
    if ((r = emp_options_int(&cli->options, "limit", 1, 1000, &limit, err)) < 0 ||
        (r = emp_options_int(&cli->options, "offset", 0, INT64_MAX, &offset, err)) < 0 ||
        (r = emp_client_open(&client, cli, err)) < 0)
        return r;
    emp_buf_init(&path, 65536);
    emp_buf_init(&out, EMP_CLIENT_OUTPUT_MAX);
    emp_buf_printf(&path, "/api/jobs?limit=%lld&offset=%lld", (long long)limit, (long long)offset);
    add_query(&cli->options, &path);
    r = emp_client_call(&client, "GET", path.data, NULL, NULL, &reply, err);
    if (r == 0 && cli->json) {
        r = emp_client_print_json(&reply, err);
    } else if (r == 0) {
        write_jobs(cli, reply.json, &out);
        r = emp_cli_print(&out, err);
    }
    emp_reply_release(&reply);
    emp_buf_release(&path);
    emp_buf_release(&out);
    return r;
}

const struct emp_command emp_command_jobs = {
    .name = "jobs",
    .args = "",
    .summary = "List jobs, newest first.",
    .options = options,
    .client = true,
    .run = run,
};

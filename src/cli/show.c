#include "cli/show.h"

#include "cli/table.h"
#include "cli/view.h"
#include "domain/job.h"

#include <math.h>
#include <stdio.h>

enum { LABEL_COLUMNS = 12, RESULT_SHOWN_MAX = 64 * 1024 };

void emp_show_field(const char *label, struct emp_str value, struct emp_buf *out)
{
    if (value.len == 0)
        return;
    emp_buf_printf(out, "%-*s", LABEL_COLUMNS, label);
    emp_text_safe(value, 0, out);
    emp_buf_addz(out, "\n");
}

bool emp_show_is_final(struct emp_str status)
{
    enum emp_job_state state;
    return emp_job_state_parse(status, &state) == 0 && emp_job_state_terminal(state);
}

/* Fields in this order; those that are not there are passed over. */
static const struct {
    const char *label, *path;
} fields[] = {
    {"service", "service_required"},
    {"priority", "priority"},
    {"customer", "customer_id"},
    {"tier", "user_tier"},
    {"workflow", "workflow_id"},
    {"step", "current_step"},
    {"pool", "pool"},
    {"specialty", "specialty"},
    {"region", "region"},
    {"machine", "worker_id"},
    {"created", "created_at"},
    {"started", "started_at"},
    {"completed", "completed_at"},
    {"failed", "failed_at"},
    {"cancelled", "cancelled_at"},
    {"next try", "retry_at"},
    {"waits", "waiting_reason"},
    {"starts", "estimated_start"},
    {"starts by", "estimated_start_p90"},
    {"ends", "estimated_completion"},
    {"ends by", "estimated_completion_p90"},
    {"retries", "retry_count"},
    {"at most", "max_retries"},
    {"progress", "progress"},
    {"message", "progress_message"},
    {"error", "error"},
    {"code", "code"},
};

static void add_lists(const struct emp_json *job, struct emp_buf *out)
{
    static const struct {
        const char *label, *path;
    } lists[] = {{"models", "models"}, {"nodes", "custom_nodes"}, {"compliance", "compliance"}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct emp_buf text;
        emp_buf_init(&text, 65536);
        emp_view_join(job, lists[i].path, &text);
        emp_show_field(lists[i].label, emp_str_z(text.data), out);
        emp_buf_release(&text);
    }
}

static const struct emp_column attempt_columns[] = {
    {"ATTEMPT", true}, {"MACHINE", false}, {"POOL", false},  {"OUTCOME", false}, {"RAN", true},
    {"FETCHED", true}, {"COUNTED", false}, {"ERROR", false}, {NULL, false},
};

static void add_attempts(const struct emp_json *job, struct emp_arena *arena, bool colours,
                         struct emp_buf *out)
{
    struct emp_table t;
    emp_table_init(&t, arena, attempt_columns);
    for (const struct emp_json *a = emp_view_first(job, "attempts"); a; a = a->next) {
        char span[EMP_SPAN_TEXT_MAX];
        emp_wall_ms started = emp_view_time(a, "started_at"), ended = emp_view_time(a, "ended_at");
        struct emp_str outcome = emp_view_text(a, "outcome");
        double fetched = emp_view_number(a, "bytes_fetched");
        emp_table_add(&t, emp_view_text(a, "attempt"), EMP_COLOUR_NONE);
        emp_table_add(&t, emp_view_text(a, "machine_id"), EMP_COLOUR_NONE);
        emp_table_add(&t, emp_view_text(a, "pool"), EMP_COLOUR_NONE);
        emp_table_add(&t, outcome, emp_colour_of_status(outcome));
        emp_table_addz(&t, emp_between_text(started, ended, span));
        if (fetched > 0)
            emp_table_addf(&t, "%.1f MB", fetched / 1e6);
        else
            emp_table_addz(&t, "");
        emp_table_addz(&t, emp_view_get(a, "counted") ? (emp_view_true(a, "counted") ? "yes" : "no")
                                                      : "");
        emp_table_add(&t, emp_view_text(a, "error"), EMP_COLOUR_NONE);
    }
    if (t.cell_count == 0)
        return;
    emp_buf_addz(out, "\n");
    emp_table_write(&t, colours, out);
}

static const struct emp_column output_columns[] = {
    {"OUTPUT", false}, {"TYPE", false}, {"BYTES", true}, {"URL", false}, {NULL, false},
};

static void add_outputs(const struct emp_json *job, struct emp_arena *arena, bool colours,
                        struct emp_buf *out)
{
    struct emp_table t;
    emp_table_init(&t, arena, output_columns);
    for (const struct emp_json *o = emp_view_first(job, "outputs"); o; o = o->next) {
        emp_table_add(&t, emp_view_text(o, "name"), EMP_COLOUR_NONE);
        emp_table_add(&t, emp_view_text(o, "type"), EMP_COLOUR_NONE);
        emp_table_add(&t, emp_view_text(o, "bytes"), EMP_COLOUR_NONE);
        emp_table_add(&t, emp_view_text(o, "url"), EMP_COLOUR_NONE);
    }
    if (t.cell_count == 0)
        return;
    emp_buf_addz(out, "\n");
    emp_table_write(&t, colours, out);
}

static void add_result(const struct emp_json *job, struct emp_buf *out)
{
    const struct emp_json *result = emp_view_get(job, "result");
    if (!result)
        return;
    emp_buf_addz(out, "\nresult\n");
    if (result->raw.len > RESULT_SHOWN_MAX) {
        emp_buf_printf(out, "(%u bytes of JSON; --json shows them)\n", result->raw.len);
        return;
    }
    emp_view_pretty(result, 0, out);
    emp_buf_addz(out, "\n");
}

void emp_show_job(const struct emp_json *job, struct emp_arena *arena, bool colours,
                  struct emp_buf *out)
{
    struct emp_str status = emp_view_text(job, "status");
    enum emp_colour colour = emp_colour_of_status(status);
    emp_show_field("job", emp_view_text(job, "id"), out);
    emp_buf_printf(out, "%-*s%s", LABEL_COLUMNS, "status", emp_colour_on(colour, colours));
    emp_text_safe(status, 0, out);
    emp_buf_printf(out, "%s\n", emp_colour_off(colour, colours));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        emp_show_field(fields[i].label, emp_view_text(job, fields[i].path), out);
    add_lists(job, out);
    add_attempts(job, arena, colours, out);
    add_outputs(job, arena, colours, out);
    add_result(job, out);
}

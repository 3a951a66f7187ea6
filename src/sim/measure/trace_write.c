#include "sim/measure/trace_write.h"

#include <stdio.h>

void emp_trace_write_header(struct emp_buf *out)
{
    emp_buf_addz(out, "submitted_at,customer,tier,service,priority,pool,models,run_ms\n");
}

/* A field; quoted where a comma, a quote, an end of line or a blank at an end would be misread. */
static void add_field(struct emp_buf *out, struct emp_str s)
{
    bool quote = s.len && (s.ptr[0] == ' ' || s.ptr[s.len - 1] == ' ');
    for (uint32_t i = 0; i < s.len && !quote; i++)
        quote = strchr(",\"\r\n", s.ptr[i]) != NULL;
    if (!quote) {
        emp_buf_add(out, s.ptr, s.len);
        return;
    }
    emp_buf_addz(out, "\"");
    for (uint32_t i = 0; i < s.len; i++)
        emp_buf_printf(out, s.ptr[i] == '"' ? "\"%c" : "%c", s.ptr[i]);
    emp_buf_addz(out, "\"");
}

static bool is_word(struct emp_str s)
{
    bool letter = false;
    for (uint32_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        letter |= (c >= 'a' && c <= 'z') || c == '_';
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return letter;
}

/* NAME:BYTES[:KIND]; what would part names, or be trimmed, as %XX. */
static void add_model(struct emp_buf *out, const struct emp_trace_row_model *m)
{
    for (uint32_t i = 0; i < m->name.len; i++) {
        char c = m->name.ptr[i];
        bool end = i == 0 || i + 1 == m->name.len;
        if (c == ';' || c == '%' || (end && (c == ' ' || c == '\t')))
            emp_buf_printf(out, "%%%02X", (unsigned char)c);
        else
            emp_buf_add(out, &c, 1);
    }
    emp_buf_printf(out, ":%lld", (long long)m->bytes);
    if (is_word(m->kind))
        emp_buf_printf(out, ":%.*s", EMP_STR_FMT(m->kind));
}

void emp_trace_write_row(struct emp_buf *out, const struct emp_trace_row *row)
{
    char iso[EMP_ISO_MAX] = "";
    struct emp_buf models;
    emp_buf_init(&models, EMP_JOB_MODELS_MAX * (3 * EMP_NAME_MAX + 64));
    for (uint32_t i = 0; i < row->model_count; i++) {
        emp_buf_addz(&models, i ? ";" : "");
        add_model(&models, &row->models[i]);
    }
    if (row->submitted_at > 0)
        emp_iso_format(row->submitted_at, iso);
    emp_buf_printf(out, "%s,", iso);
    add_field(out, row->customer);
    emp_buf_printf(out, ",%s,", emp_tier_word(row->tier));
    add_field(out, row->service);
    emp_buf_printf(out, ",%.10g,", row->priority);
    add_field(out, row->pool);
    emp_buf_addz(out, ",");
    add_field(out, (struct emp_str){models.data, (uint32_t)models.len});
    if (row->run_ms >= 0)
        emp_buf_printf(out, ",%lld\n", (long long)row->run_ms);
    else
        emp_buf_addz(out, ",\n");
    emp_buf_release(&models);
}

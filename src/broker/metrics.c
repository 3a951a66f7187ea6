#include "broker/metrics.h"

#include <math.h>

static void emp_metric_head(struct emp_buf *out, const char *name, const char *type,
                            const char *help)
{
    emp_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void emp_metric_value(struct emp_buf *out, double v)
{
    if (v == floor(v) && fabs(v) < 1e15)
        emp_buf_printf(out, " %.0f\n", v);
    else
        emp_buf_printf(out, " %.9g\n", v);
}

static void emp_metric_line(struct emp_buf *out, const char *name, const char *label, double v)
{
    emp_buf_addz(out, name);
    if (label)
        emp_buf_printf(out, "{%s}", label);
    emp_metric_value(out, v);
}

/* A label's value: backslash, quote and newline escaped. */
static void emp_metric_pool_line(struct emp_buf *out, const char *name, struct emp_str pool,
                                 double v)
{
    emp_buf_addz(out, name);
    emp_buf_addz(out, "{pool=\"");
    for (uint32_t i = 0; i < pool.len; i++) {
        char c = pool.ptr[i];
        if (c == '\\' || c == '"')
            emp_buf_add(out, "\\", 1);
        emp_buf_add(out, c == '\n' ? "\\n" : &pool.ptr[i], c == '\n' ? 2 : 1);
    }
    emp_buf_addz(out, "\"}");
    emp_metric_value(out, v);
}

static void emp_metrics_pools(struct emp_buf *out, const struct emp_pool_metric *pools,
                              uint32_t count)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } table[] = {
        {"emp_pool_machines", "Connected machines of the pool.",
         offsetof(struct emp_pool_metric, machines)},
        {"emp_pool_slots", "Slots of the pool.", offsetof(struct emp_pool_metric, slots)},
        {"emp_pool_slots_busy", "Of those: taken.", offsetof(struct emp_pool_metric, busy)},
        {"emp_pool_jobs_pending", "Jobs that wait for the pool.",
         offsetof(struct emp_pool_metric, pending)},
        {"emp_pool_jobs_running", "Jobs that run in the pool.",
         offsetof(struct emp_pool_metric, running)},
    };

    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        emp_metric_head(out, table[t].name, "gauge", table[t].help);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t v = *(const uint64_t *)((const char *)&pools[i] + table[t].offset);
            emp_metric_pool_line(out, table[t].name, pools[i].pool, (double)v);
        }
    }
}

void emp_metrics_write(struct emp_buf *out, const struct emp_metrics *m,
                       const struct emp_pool_metric *pools, uint32_t pool_count)
{
#define EMP_METRIC(name, type, help, value)  \
    emp_metric_head(out, name, #type, help); \
    emp_metric_line(out, name, NULL, (double)(value));
#define EMP_METRIC_FAMILY(name, type, help)  emp_metric_head(out, name, #type, help);
#define EMP_METRIC_LABEL(name, label, value) emp_metric_line(out, name, label, (double)(value));
#include "broker/metrics.def"
    emp_metrics_pools(out, pools, pool_count);
}

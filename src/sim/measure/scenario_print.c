/* A scenario as text: every key of the table with its value and source, so that nothing that a
 * figure rests on is hidden in a file that its reader does not have. */
#include "config/units.h"
#include "sim/measure/scenario_internal.h"

static void add_source(struct emp_buf *out, struct emp_str source)
{
    if (source.len)
        emp_buf_printf(out, "  [%.*s]", EMP_STR_FMT(source));
    emp_buf_addz(out, "\n");
}

static void add_table(struct emp_buf *out, const struct emp_quantiles *q, double unit)
{
    emp_buf_printf(out, "p5 %.4g, p50 %.4g, p95 %.4g, max %.4g, mean %.4g",
                   emp_quantiles_at(q, .05) / unit, emp_quantiles_at(q, .5) / unit,
                   emp_quantiles_at(q, .95) / unit, emp_quantiles_at(q, 1) / unit,
                   emp_quantiles_mean(q) / unit);
    add_source(out, q->source);
}

static void add_weights(struct emp_buf *out, const double *w, int count)
{
    for (int i = 0; i < count; i++)
        emp_buf_printf(out, "%s%.3g", i ? " " : "", w[i]);
    emp_buf_addz(out, "\n");
}

static void add_pools(struct emp_buf *out, const struct emp_scenario *sc)
{
    emp_buf_printf(out, "%u in all\n", sc->machines);
    for (uint32_t i = 0; i < sc->pool_count; i++) {
        const struct emp_scenario_pool *p = &sc->pools[i];
        char gpu[EMP_UNIT_TEXT_MAX], ram[EMP_UNIT_TEXT_MAX], disk[EMP_UNIT_TEXT_MAX];
        emp_bytes_format(p->gpu_memory_bytes, gpu);
        emp_bytes_format(p->ram_bytes, ram);
        emp_bytes_format(p->disk_bytes, disk);
        emp_buf_printf(out,
                       "    %.*s: %u machines, %u slot%s each, %s of GPU memory, %s of RAM for "
                       "models, %s of disk; for%s%s%s jobs\n",
                       EMP_STR_FMT(p->name), p->machines, p->slots, p->slots == 1 ? "" : "s", gpu,
                       ram, disk, p->streams & 1u << EMP_TRACE_JOB_TRACE ? " the trace's" : "",
                       p->streams & 1u << EMP_TRACE_JOB_TEXT ? " text" : "",
                       p->streams & 1u << EMP_TRACE_JOB_VIDEO ? " video" : "");
    }
}

static void add_gpus(struct emp_buf *out, const struct emp_scenario *sc)
{
    for (uint32_t i = 0; i < sc->gpu_count; i++)
        emp_buf_printf(out, "%s%.*s %.0f %% (time %.3g, %.2f USD/h)", i ? "; " : "",
                       EMP_STR_FMT(sc->gpus[i].name), sc->gpus[i].share * 100, sc->gpus[i].time,
                       sc->gpus[i].price_h);
    add_source(out, sc->gpu_source);
}

static void add_families(struct emp_buf *out, const struct emp_scenario_kind *k)
{
    emp_buf_addz(out, "GB, by a hash of the id\n");
    for (uint32_t i = 0; i < k->family_count; i++) {
        emp_buf_printf(out, "    %.*s, %.0f %% of them: ", EMP_STR_FMT(k->families[i].name),
                       k->families[i].share * 100);
        add_table(out, &k->families[i].bytes, 1e9);
    }
}

static void add_value(struct emp_buf *out, const struct emp_scenario *sc,
                      const struct emp_scenario_key *k)
{
    const void *field = (const char *)sc + k->offset;
    char iso[EMP_ISO_MAX];
    switch (k->type) {
    case EMP_SCENARIO_TEXT:
        emp_buf_printf(out, "%.*s\n", EMP_STR_FMT(*(const struct emp_str *)field));
        break;
    case EMP_SCENARIO_NUMBER:
        emp_buf_printf(out, "%.6g\n", *(const double *)field / k->unit);
        break;
    case EMP_SCENARIO_COUNT64:
        emp_buf_printf(out, "%lld\n", (long long)*(const int64_t *)field);
        break;
    case EMP_SCENARIO_FLAG:
        emp_buf_addz(out, *(const bool *)field ? "yes\n" : "no\n");
        break;
    case EMP_SCENARIO_DATE:
        emp_iso_format(*(const emp_wall_ms *)field, iso);
        emp_buf_printf(out, "%.10s\n", iso);
        break;
    case EMP_SCENARIO_TABLE:
        add_table(out, field, k->unit);
        break;
    case EMP_SCENARIO_WEIGHTS4:
        add_weights(out, field, 4);
        break;
    case EMP_SCENARIO_WEIGHTS24:
        add_weights(out, field, 24);
        break;
    case EMP_SCENARIO_NOTES:
        emp_buf_addz(out, "\n");
        break;
    case EMP_SCENARIO_POOLS:
        add_pools(out, sc);
        break;
    case EMP_SCENARIO_GPUS:
        add_gpus(out, sc);
        break;
    case EMP_SCENARIO_FAMILIES:
        add_families(out, field);
        break;
    }
}

/* Is there something to say? What a scenario does not have or use is not printed. */
static bool is_said(const struct emp_scenario *sc, const struct emp_scenario_key *k)
{
    const void *field = (const char *)sc + k->offset;
    if (strncmp(k->path, "text.", 5) == 0 && !(sc->text.jobs_per_hour > 0))
        return false;
    if (strncmp(k->path, "video.", 6) == 0 && !(sc->video.jobs_per_hour > 0))
        return false;
    if (strncmp(k->path, "churn.", 6) == 0 && !sc->churn && strcmp(k->path, "churn.on") != 0)
        return false;
    if (strcmp(k->path, "about") == 0 || strcmp(k->path, "fleet.gpus_source") == 0)
        return false;
    if (k->type == EMP_SCENARIO_TEXT)
        return ((const struct emp_str *)field)->len > 0;
    if (k->type == EMP_SCENARIO_TABLE)
        return ((const struct emp_quantiles *)field)->count > 0;
    if (k->type == EMP_SCENARIO_FAMILIES)
        return ((const struct emp_scenario_kind *)field)->family_count > 0;
    return k->type != EMP_SCENARIO_NOTES;
}

void emp_scenario_print(const struct emp_scenario *sc, struct emp_buf *out)
{
    emp_buf_printf(out, "scenario %.*s: %.*s\n", EMP_STR_FMT(sc->name), EMP_STR_FMT(sc->about));
    for (const struct emp_scenario_key *k = emp_scenario_keys; k->path; k++) {
        if (!is_said(sc, k))
            continue;
        emp_buf_printf(out, "  %s: ", k->meaning);
        add_value(out, sc, k);
    }
    for (uint32_t i = 0; i < sc->note_count; i++)
        emp_buf_printf(out, "  note: %.*s\n", EMP_STR_FMT(sc->notes[i]));
}

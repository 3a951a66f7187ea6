#include "sim/measure/scenario.h"

#include "os/files.h"
#include "sim/measure/scenario_internal.h"

#include <math.h>
#include <stdio.h>

enum { SCENARIO_BYTES_MAX = 1 << 20 };

/* ── loading ── */

void emp_scenario_init(struct emp_scenario *sc)
{
    memset(sc, 0, sizeof *sc);
    emp_arena_init(&sc->arena, 0);
    sc->speedup = 1;
    sc->run_scale = 1;
    sc->run_ms_min = 1000;
    sc->disk_load_bytes_per_s = 300e6;
    sc->ram_load_bytes_per_s = 2.5e9;
    sc->text.priority = sc->video.priority = 50;
}

void emp_scenario_release(struct emp_scenario *sc)
{
    emp_arena_release(&sc->arena);
    memset(sc, 0, sizeof *sc);
}

const struct emp_scenario_builtin *emp_scenario_builtin(struct emp_str name)
{
    const struct emp_scenario_builtin *all;
    uint32_t count = emp_scenario_builtins(&all);
    for (uint32_t i = 0; i < count; i++)
        if (emp_str_eq(name, emp_str_z(all[i].name)))
            return &all[i];
    return NULL;
}

/* What a run cannot do without. */
int emp_scenario_check(const struct emp_scenario *sc, const char *file, struct emp_error *err)
{
    const struct emp_scenario_generator *g = &sc->generator;
    const char *missing = NULL;
    uint32_t streams = 0;
    for (uint32_t i = 0; i < sc->pool_count; i++)
        streams |= sc->pools[i].streams;
    if (!sc->pool_count)
        missing = "fleet.pools";
    else if (!sc->link_bytes_per_s.count)
        missing = "fleet.link_mbit_per_s";
    else if (!sc->gpu_count)
        missing = "fleet.gpus";
    else if (sc->churn && (!sc->uptime_ms.count || !sc->startup_ms.count))
        missing = "churn.uptime_h and churn.startup_min";
    else if (!sc->kinds[EMP_TRACE_BASE].family_count || !sc->kinds[EMP_TRACE_LORA].family_count)
        missing = "models.base.families and models.lora.families";
    else if (!g->start || !g->days || !g->jobs_per_workday || !g->burst.count ||
             !g->follow_ms.count || !g->base_rank.count || !g->lora_rank.count ||
             !g->user_rank.count || !g->exec_ms.count)
        missing = "all of generator's start, days, jobs_per_workday, burst, follow_s, base_rank, "
                  "lora_rank, user_rank and exec_s";
    else if (sc->text.jobs_per_hour > 0 &&
             (!sc->text.rate.count || !sc->text.cv.count || !sc->text.run_ms.count ||
              !sc->text.model_rank.count || !sc->kinds[EMP_TRACE_TEXT].family_count))
        missing = "text.rate, text.cv, text.run_s, text.model_rank and models.text.families";
    else if (sc->video.jobs_per_hour > 0 &&
             (!sc->video.run_ms.count || !sc->video.workflow_rank.count ||
              !sc->video.extra_count.count || !sc->kinds[EMP_TRACE_VIDEO].family_count ||
              !sc->kinds[EMP_TRACE_OTHER].family_count))
        missing = "video.run_s, video.workflow_rank, video.extra_count, models.video.families and "
                  "models.other.families";
    if (missing)
        return emp_fail(err, EMP_E_INVALID, NULL, "%s: it needs %s (\"like: office\" has them)",
                        file, missing);
    if (!(streams & 1u << EMP_TRACE_JOB_TRACE) ||
        (sc->text.jobs_per_hour > 0 && !(streams & 1u << EMP_TRACE_JOB_TEXT)) ||
        (sc->video.jobs_per_hour > 0 && !(streams & 1u << EMP_TRACE_JOB_VIDEO)))
        return emp_fail(err, EMP_E_INVALID, "fleet.pools",
                        "%s: fleet.pools: no pool is for some of the jobs (jobs: [trace, text, "
                        "video])",
                        file);
    return 0;
}

/* Weights that nobody gave are equal. */
static void fill_in(struct emp_scenario *sc)
{
    double *hours[] = {sc->generator.hour_weight, sc->text.hour_weight, sc->video.hour_weight};
    for (int k = 0; k < 3; k++) {
        double sum = 0;
        for (int h = 0; h < 24; h++)
            sum += hours[k][h];
        for (int h = 0; h < 24 && !(sum > 0); h++)
            hours[k][h] = 1.0 / 24;
    }
    double *counts = sc->generator.lora_count_share;
    if (!(counts[0] + counts[1] + counts[2] + counts[3] > 0))
        counts[0] = 1;
    sc->machines = 0;
    for (uint32_t i = 0; i < sc->pool_count; i++)
        sc->machines += sc->pools[i].machines;
}

/* "a/office.yaml" is office. */
static struct emp_str name_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    struct emp_str s = emp_str_z(slash ? slash + 1 : file);
    const char *dot = s.len ? memrchr(s.ptr, '.', s.len) : NULL;
    if (dot && dot > s.ptr)
        s.len = (uint32_t)(dot - s.ptr);
    return s;
}

int emp_scenario_parse(struct emp_scenario *sc, const char *file, const char *text, size_t len,
                       struct emp_error *err)
{
    emp_scenario_init(sc);
    int e = emp_scenario_apply(sc, file, text, len, 0, err);
    if (e == 0) {
        sc->name = emp_str_copy(&sc->arena, name_of(file));
        fill_in(sc);
        e = emp_scenario_check(sc, file, err);
    }
    if (e < 0)
        emp_scenario_release(sc);
    return e;
}

static int no_such(const char *name, struct emp_error *err)
{
    const struct emp_scenario_builtin *all;
    uint32_t count = emp_scenario_builtins(&all);
    struct emp_buf list;
    emp_buf_init(&list, 4096);
    for (uint32_t i = 0; i < count; i++)
        emp_buf_printf(&list, "%s%s", i ? ", " : "", all[i].name);
    emp_fail(err, EMP_E_NOT_FOUND, NULL,
             "no scenario \"%s\"; there are %s, and files of one's own (./mine.yaml)", name,
             list.data ? list.data : "none");
    emp_buf_release(&list);
    return EMP_E_NOT_FOUND;
}

int emp_scenario_load(struct emp_scenario *sc, const char *name_or_path, struct emp_error *err)
{
    const struct emp_scenario_builtin *b = emp_scenario_builtin(emp_str_z(name_or_path));
    if (b)
        return emp_scenario_parse(sc, b->name, b->text, b->len, err);
    if (!strchr(name_or_path, '/') && !strstr(name_or_path, ".y"))
        return no_such(name_or_path, err);
    struct emp_buf text;
    emp_buf_init(&text, SCENARIO_BYTES_MAX);
    int e = emp_file_read_all(name_or_path, SCENARIO_BYTES_MAX, &text, err);
    if (e == 0)
        e = emp_scenario_parse(sc, name_or_path, text.data ? text.data : "", text.len, err);
    emp_buf_release(&text);
    return e;
}

/* ── models ── */

int64_t emp_scenario_model_bytes(const struct emp_scenario *sc, const struct emp_trace_model *m)
{
    const struct emp_scenario_kind *k = &sc->kinds[m->kind];
    if (m->bytes > 0)
        return m->bytes;
    if (k->family_count == 0)
        k = &sc->kinds[EMP_TRACE_BASE];
    uint64_t hash = emp_str_hash(m->name);
    double which = (double)(emp_mix64(hash ^ 1) >> 11) * 0x1p-53;
    double share = (double)(emp_mix64(hash ^ 2) >> 11) * 0x1p-53;
    uint32_t f = 0;
    while (f + 1 < k->family_count && which >= k->families[f].share)
        which -= k->families[f++].share;
    int64_t bytes = llround(emp_quantiles_at(&k->families[f].bytes, share));
    return bytes < 1 ? 1 : bytes;
}

bool emp_scenario_holds(const struct emp_scenario *sc, const struct emp_trace *t,
                        const struct emp_trace_job *j)
{
    int64_t bytes = 0, most = 0;
    for (uint16_t i = 0; i < j->model_count; i++)
        bytes += emp_scenario_model_bytes(sc, &t->models[t->job_models[j->model + i]]);
    for (uint32_t i = 0; i < sc->pool_count; i++)
        most = sc->pools[i].machines && sc->pools[i].disk_bytes > most ? sc->pools[i].disk_bytes
                                                                       : most;
    return bytes <= most;
}

int64_t emp_scenario_load_ms(const struct emp_scenario *sc, enum emp_trace_model_kind kind,
                             int64_t bytes, bool from_ram, double share)
{
    const struct emp_scenario_kind *k = &sc->kinds[kind];
    const struct emp_quantiles *q = from_ram ? &k->load_ram_ms : &k->load_disk_ms;
    if (q->count)
        return llround(emp_quantiles_at(q, share));
    return llround((double)bytes * 1000 /
                   (from_ram ? sc->ram_load_bytes_per_s : sc->disk_load_bytes_per_s));
}

int64_t emp_scenario_run_ms(const struct emp_scenario *sc, const struct emp_trace *t,
                            const struct emp_trace_job *j)
{
    double ms = j->exec_ms;
    if (j->exec_has_load)
        for (uint16_t i = 0; i < j->model_count; i++)
            if (t->models[t->job_models[j->model + i]].kind == EMP_TRACE_LORA)
                ms -= sc->lora_ms_in_exec;
    if (j->kind == EMP_TRACE_JOB_TRACE)
        ms *= sc->run_scale;
    int64_t whole = llround(ms);
    return whole < sc->run_ms_min ? sc->run_ms_min : whole;
}

/* ── machines ── */

static const struct emp_scenario_gpu *gpu_at(const struct emp_scenario *sc, double share)
{
    uint32_t i = 0;
    while (i + 1 < sc->gpu_count && share >= sc->gpus[i].share)
        share -= sc->gpus[i++].share;
    return &sc->gpus[i];
}

/* The fleet's first machines stand evenly over the table's shares, in an order of the seed's. */
static double first_share(const struct emp_scenario *sc, uint64_t seed, uint32_t number)
{
    double turn = (double)(emp_mix64(seed ^ 0x67707573) >> 11) * 0x1p-53;
    double u = (number + turn) / sc->machines * 1.0;
    return u - floor(u);
}

static double mean_time(const struct emp_scenario *sc, uint64_t seed)
{
    double sum = 0;
    for (uint32_t i = 0; i < sc->machines; i++)
        sum += gpu_at(sc, first_share(sc, seed, i))->time;
    return sum / sc->machines;
}

static double mean_price(const struct emp_scenario *sc)
{
    double sum = 0;
    for (uint32_t i = 0; i < sc->gpu_count; i++)
        sum += sc->gpus[i].share * sc->gpus[i].price_h;
    return sum;
}

void emp_scenario_machine(const struct emp_scenario *sc, uint64_t seed, uint32_t number,
                          uint32_t life, struct emp_scenario_machine *ret)
{
    struct emp_random r;
    uint32_t pool = 0, left = number;
    emp_random_init(&r, emp_mix64(seed) ^ emp_mix64(((uint64_t)number << 32) + life + 1));
    while (pool + 1 < sc->pool_count && left >= sc->pools[pool].machines)
        left -= sc->pools[pool++].machines;
    *ret = (struct emp_scenario_machine){.pool = &sc->pools[pool], .up_ms = EMP_NEVER, .time = 1};
    ret->link_bytes_per_s = llround(emp_quantiles_draw(&sc->link_bytes_per_s, &r));
    if (ret->link_bytes_per_s < 1)
        ret->link_bytes_per_s = 1;
    double gpu = emp_random_unit(&r), up = emp_random_unit(&r), start = emp_random_unit(&r);
    if (sc->gpu_mixed) {
        ret->gpu = gpu_at(sc, life ? gpu : first_share(sc, seed, number));
        ret->time = ret->gpu->time / mean_time(sc, seed);
        ret->price_h = ret->gpu->price_h;
    } else {
        ret->price_h = mean_price(sc);
    }
    if (!sc->churn)
        return;
    if (up < 1 - sc->uptime_censored)
        ret->up_ms = llround(emp_quantiles_at(&sc->uptime_ms, up / (1 - sc->uptime_censored)));
    ret->startup_ms = llround(emp_quantiles_at(&sc->startup_ms, start));
}

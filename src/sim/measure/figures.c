/* The figures of a run, made of its records once it is over. */
#include "sim/measure/engine.h"

#include <stdlib.h>

double emp_measure_part(struct emp_measure_share s)
{
    return s.jobs ? (double)s.within / (double)s.jobs : 0;
}

static void count(struct emp_measure_share *s, bool good)
{
    s->jobs++;
    s->within += good;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The smallest value that at least this share of all reaches (nearest rank). */
static double rank(const double *v, size_t n, double share)
{
    size_t at = (size_t)((double)n * share);
    if ((double)at < (double)n * share)
        at++;
    return v[at > 0 ? at - 1 : 0];
}

static struct emp_measure_waits waits_of(double *v, size_t n)
{
    double sum = 0;
    if (n == 0)
        return (struct emp_measure_waits){0};
    qsort(v, n, sizeof *v, by_value);
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return (struct emp_measure_waits){.p50 = rank(v, n, 0.5),
                                      .p90 = rank(v, n, 0.9),
                                      .p95 = rank(v, n, 0.95),
                                      .p99 = rank(v, n, 0.99),
                                      .max = v[n - 1],
                                      .mean = sum / (double)n};
}

static double wait_s(const struct emp_measure_job *j)
{
    return (double)(j->started_at - j->submitted_at) / 1000;
}

/* One counted job into every share it belongs to. One that never started is in none of the good. */
static void count_job(const struct emp_measure_job *j, struct emp_measure_figures *f)
{
    int64_t wait = j->started_at < 0 ? EMP_NEVER : j->started_at - j->submitted_at;
    bool good = wait <= EMP_MEASURE_LATE_MS;
    f->jobs++;
    f->completed += j->completed;
    count(&f->within_10s, good);
    count(j->first_use ? &f->first_use : &f->repeat_use, good);
    count(&f->by_tier[j->tier], good);
    count(&f->pools[j->pool].within_10s, good);
    if (j->pool == 0)
        count(&f->prompt, wait <= EMP_MEASURE_PROMPT_MS);
    if (j->pool == 0 && j->beside_full)
        count(&f->prompt_beside, wait <= EMP_MEASURE_PROMPT_MS);
    count(&f->hit_gpu, j->hit_gpu);
    count(&f->hit_resident, j->hit_resident);
    count(&f->hit_disk, j->hit_disk);
    count(&f->ready, j->ready);
    if (j->best_at != EMP_NEVER)
        count(&f->best_machine,
              j->started_at >= 0 && j->started_at <= j->best_at + EMP_MEASURE_BEST_MS);
    if (j->run_ms < EMP_MEASURE_SHORT_MS)
        count(&f->short_done,
              j->ended_at >= 0 && j->ended_at - j->submitted_at <= EMP_MEASURE_SHORT_MS);
}

static void waits(struct emp_measure *m, struct emp_measure_figures *f)
{
    double *v = emp_arena_array(&m->arena, double, m->job_count);
    size_t n = 0;
    for (uint32_t i = 0; i < m->job_count; i++)
        if (m->jobs[i].counted && m->jobs[i].started_at >= 0)
            v[n++] = wait_s(&m->jobs[i]);
    f->wait_s = waits_of(v, n);
    for (uint32_t p = 0; p < f->pool_count; p++) {
        n = 0;
        for (uint32_t i = 0; i < m->job_count; i++)
            if (m->jobs[i].counted && m->jobs[i].started_at >= 0 && m->jobs[i].pool == p)
                v[n++] = wait_s(&m->jobs[i]);
        f->pools[p].wait_s = waits_of(v, n);
    }
    n = 0;
    for (uint32_t i = 0; i < m->job_count; i++) {
        const struct emp_measure_job *j = &m->jobs[i];
        if (j->counted && j->completed && j->ended_at > j->started_at)
            v[n++] = (double)(j->ended_at - j->submitted_at) /
                     (double)(j->ended_at - j->started_at);
    }
    f->slowdown = waits_of(v, n);
}

static void told_one(struct emp_measure *m, bool of_end, int32_t least_ms,
                     struct emp_measure_told *f)
{
    double *off = emp_arena_array(&m->arena, double, m->job_count);
    double *part = emp_arena_array(&m->arena, double, m->job_count);
    size_t n = 0;
    for (uint32_t i = 0; i < m->job_count; i++) {
        const struct emp_measure_job *j = &m->jobs[i];
        int32_t p50 = of_end ? j->told_end_ms : j->told_start_ms;
        int32_t p90 = of_end ? j->told_end_p90_ms : j->told_start_p90_ms;
        int64_t took = (of_end ? j->ended_at : j->started_at) - j->submitted_at;
        if (!j->counted || !j->completed || p50 < least_ms)
            continue;
        off[n] = (double)(took > p50 ? took - p50 : p50 - took) / 1000;
        part[n++] = took > 0 ? (double)(took > p50 ? took - p50 : p50 - took) / (double)took : 0;
        count(&f->p90, took <= p90);
    }
    f->median_error_s = waits_of(off, n).p50;
    f->median_error = waits_of(part, n).p50;
}

/* Busy machines of mean speed, over the time in which jobs were submitted. */
static void load(const struct emp_measure *m, struct emp_measure_figures *f)
{
    emp_mono_ms first = EMP_NEVER, last = 0;
    int64_t run_ms = 0;
    for (uint32_t i = 0; i < m->job_count; i++) {
        const struct emp_measure_job *j = &m->jobs[i];
        if (!j->counted)
            continue;
        run_ms += j->run_ms;
        first = j->submitted_at < first ? j->submitted_at : first;
        last = j->submitted_at;
    }
    f->span_s = last > first ? (double)(last - first) / 1000 : 0;
    f->offered_load = last > first ? (double)run_ms / (double)(last - first) : 0;
}

static void disks(const struct emp_measure *m, struct emp_measure_figures *f)
{
    double hits[EMP_MEASURE_POOLS_MAX] = {0}, days = f->span_s / 86400;
    for (uint32_t i = 0; i < m->job_count; i++)
        hits[m->jobs[i].pool] += m->jobs[i].counted && m->jobs[i].hit_disk;
    for (uint32_t p = 0; p < f->pool_count; p++) {
        struct emp_measure_pool *pool = &f->pools[p];
        if (m->disk_samples[p])
            pool->disk_used = m->disk_share[p] / (double)m->disk_samples[p];
        if (m->samples)
            pool->disk_gb = m->disk_bytes[p] / (double)m->samples / 1e9;
        if (pool->disk_gb > 0 && days > 0)
            pool->hits_per_gb = hits[p] / pool->disk_gb / days;
    }
}

static void score(const struct emp_measure *m, struct emp_measure_figures *f)
{
    f->score = emp_scorecard_since(&m->score.figures, &m->score_from);
    struct emp_scorecard_figures planner = emp_scorecard_since(&m->planner_to, &m->planner_from);
    f->score.forecast = planner.forecast;
    f->moves_told = planner.moves;
}

static void fleet(const struct emp_measure *m, struct emp_measure_figures *f)
{
    f->download_wait_s = (double)m->download_wait_ms / 1000;
    f->bytes_fetched = m->bytes_fetched;
    for (int why = 0; why < EMP_MEASURE_REDUNDANT_COUNT; why++)
        for (int planned = 0; planned < 2; planned++) {
            f->redundant_by[why][planned] = m->redundant_bytes[why][planned];
            f->redundant_bytes += m->redundant_bytes[why][planned];
        }
    f->fetches = m->fetches;
    f->evictions = m->evictions;
    f->attempts = m->attempts;
    f->attempts_lost = m->attempts_lost;
    f->machine_hours = (double)m->machine_ms / 3600000;
    f->busy_hours = (double)m->busy_ms / 3600000;
    f->wasted_gpu_s = (double)m->wasted_ms / 1000;
    f->cost_usd = m->cost;
}

void emp_measure_figures_make(struct emp_measure *m, struct emp_measure_figures *f)
{
    *f = (struct emp_measure_figures){
        .scenario = m->scenario->name,
        .trace = m->trace->name,
        .policy = m->asked->policy->name,
        .seed = m->asked->seed,
        .speedup = m->speedup,
        .pool_count = m->scenario->pool_count < EMP_MEASURE_POOLS_MAX ? m->scenario->pool_count
                                                                      : EMP_MEASURE_POOLS_MAX,
        .events = m->system.world.events,
        .log_hash = m->system.world.trace.hash,
        .virtual_s = (double)m->system.world.now / 1000,
    };
    for (uint32_t p = 0; p < f->pool_count; p++)
        f->pools[p].name = m->scenario->pools[p].name;
    for (uint32_t i = 0; i < m->job_count; i++)
        if (m->jobs[i].counted)
            count_job(&m->jobs[i], f);
    told_one(m, false, 0, &f->told_start);
    told_one(m, false, EMP_MEASURE_WAITS_MS, &f->told_wait);
    told_one(m, true, 0, &f->told_end);
    waits(m, f);
    load(m, f);
    fleet(m, f);
    disks(m, f);
    score(m, f);
}

/* The figures as JSON. Shares are fractions; names that end in _s are seconds. */
#include "proto/writer.h"
#include "sim/measure/measure.h"

#include <stdio.h>

static void put_waits(struct emp_writer *w, const char *name, const struct emp_measure_waits *v)
{
    emp_write_object(w, name);
    emp_write_double(w, "p50", v->p50);
    emp_write_double(w, "p90", v->p90);
    emp_write_double(w, "p95", v->p95);
    emp_write_double(w, "p99", v->p99);
    emp_write_double(w, "max", v->max);
    emp_write_double(w, "mean", v->mean);
    emp_write_end(w);
}

/* null where there is nothing to have a share of. */
static void put_share(struct emp_writer *w, const char *name, struct emp_measure_share s)
{
    if (s.jobs)
        emp_write_double(w, name, emp_measure_part(s));
    else
        emp_write_null(w, name);
}

static void put_pools(struct emp_writer *w, const struct emp_measure_figures *f)
{
    emp_write_object(w, "pools");
    for (uint32_t i = 0; i < f->pool_count; i++) {
        emp_write_key(w, f->pools[i].name);
        emp_write_object(w, NULL);
        emp_write_u64(w, "jobs", f->pools[i].within_10s.jobs);
        put_share(w, "within_10s", f->pools[i].within_10s);
        put_waits(w, "wait_s", &f->pools[i].wait_s);
        emp_write_end(w);
    }
    emp_write_end(w);
    emp_write_object(w, "disk_used");
    for (uint32_t i = 0; i < f->pool_count; i++) {
        emp_write_key(w, f->pools[i].name);
        emp_write_double(w, NULL, f->pools[i].disk_used);
    }
    emp_write_end(w);
    emp_write_object(w, "hits_per_gb");
    for (uint32_t i = 0; i < f->pool_count; i++) {
        emp_write_key(w, f->pools[i].name);
        emp_write_double(w, NULL, f->pools[i].hits_per_gb);
    }
    emp_write_end(w);
}

/* `part`: the error as a part of the time too, where times are not about nothing. */
static void put_told(struct emp_writer *w, const char *name, const struct emp_measure_told *t,
                     bool part)
{
    emp_write_object(w, name);
    emp_write_u64(w, "jobs", t->p90.jobs);
    if (t->p90.jobs) {
        emp_write_double(w, "median_error_s", t->median_error_s);
        if (part)
            emp_write_double(w, "median_error", t->median_error);
        put_share(w, "p90_covers", t->p90);
    }
    emp_write_end(w);
}

static void put_service(struct emp_writer *w, const struct emp_measure_figures *f)
{
    emp_write_u64(w, "jobs", f->jobs);
    emp_write_double(w, "offered_load", f->offered_load);
    put_waits(w, "wait_s", &f->wait_s);
    put_share(w, "within_10s", f->within_10s);
    put_share(w, "first_use_within_10s", f->first_use);
    put_share(w, "repeat_use_within_10s", f->repeat_use);
    emp_write_object(w, "tiers");
    for (int t = 0; t < EMP_TIER_COUNT; t++)
        if (f->by_tier[t].jobs)
            put_share(w, emp_tier_word(t), f->by_tier[t]);
    emp_write_end(w);
    put_pools(w, f);
    put_share(w, "fast_lane_done_30s", f->short_done);
    put_share(w, "first_pool_within_5s", f->prompt);
    put_share(w, "first_pool_within_5s_last_full", f->prompt_beside);
    put_waits(w, "slowdown", &f->slowdown);
    emp_write_double(w, "completion", f->jobs ? (double)f->completed / (double)f->jobs : 0);
    put_share(w, "best_machine", f->best_machine);
    emp_write_object(w, "eta");
    put_told(w, "start", &f->told_start, false);
    put_told(w, "start_of_waiting", &f->told_wait, true);
    put_told(w, "finish", &f->told_end, true);
    emp_write_end(w);
}

static void put_redundant(struct emp_writer *w, const struct emp_measure_figures *f)
{
    static const char *const causes[EMP_MEASURE_REDUNDANT_COUNT] = {"again", "unused", "half"};
    emp_write_object(w, "redundant_by");
    for (int why = 0; why < EMP_MEASURE_REDUNDANT_COUNT; why++) {
        emp_write_object(w, causes[why]);
        emp_write_i64(w, "job", f->redundant_by[why][false]);
        emp_write_i64(w, "plan", f->redundant_by[why][true]);
        emp_write_end(w);
    }
    emp_write_end(w);
}

static void put_cost(struct emp_writer *w, const struct emp_measure_figures *f)
{
    emp_write_object(w, "hit");
    put_share(w, "gpu", f->hit_gpu);
    put_share(w, "resident", f->hit_resident);
    put_share(w, "disk", f->hit_disk);
    emp_write_end(w);
    emp_write_i64(w, "bytes_fetched", f->bytes_fetched);
    emp_write_i64(w, "redundant_bytes", f->redundant_bytes);
    put_redundant(w, f);
    emp_write_double(w, "download_wait_s", f->download_wait_s);
    emp_write_u64(w, "fetches", f->fetches);
    emp_write_u64(w, "evictions", f->evictions);
    emp_write_u64(w, "attempts", f->attempts);
    emp_write_u64(w, "attempts_lost", f->attempts_lost);
    emp_write_double(w, "machine_hours", f->machine_hours);
    emp_write_double(w, "gpu_busy", f->machine_hours > 0 ? f->busy_hours / f->machine_hours : 0);
    emp_write_double(w, "wasted_gpu_s", f->wasted_gpu_s);
    emp_write_double(w, "cost_usd", f->cost_usd);
}

/* part / whole; null where there is no whole. */
static void put_part(struct emp_writer *w, const char *name, double part, double whole)
{
    if (whole > 0)
        emp_write_double(w, name, part / whole);
    else
        emp_write_null(w, name);
}

static void put_forecast(struct emp_writer *w, const struct emp_scorecard_forecast *s)
{
    static const char *const tops[EMP_SCORECARD_TOPS] = {"top5", "top10", "top20"};
    static const char *const before[EMP_SCORECARD_TOPS] = {"top5_yesterday", "top10_yesterday",
                                                           "top20_yesterday"};
    if (s->hours == 0) {
        emp_write_null(w, "forecast");
        return;
    }
    emp_write_object(w, "forecast");
    emp_write_u64(w, "hours", s->hours);
    put_part(w, "wape", s->missed, s->came);
    put_part(w, "coverage_80", s->held, (double)s->intervals);
    for (int t = 0; t < EMP_SCORECARD_TOPS; t++) {
        put_part(w, tops[t], s->top[t], s->came);
        put_part(w, before[t], s->top_yesterday[t], s->came);
    }
    emp_write_end(w);
}

static void put_evictions(struct emp_writer *w, const char *name,
                          const struct emp_scorecard_moves *s, enum emp_scorecard_for why)
{
    emp_write_object(w, name);
    emp_write_u64(w, "evicted", s->evicted[why]);
    emp_write_u64(w, "regretted", s->regretted[why]);
    emp_write_i64(w, "bytes", s->regretted_bytes[why]);
    emp_write_end(w);
}

static void put_moves(struct emp_writer *w, const struct emp_measure_figures *f)
{
    const struct emp_scorecard_moves *s = &f->score.moves;
    emp_write_object(w, "prewarm");
    put_share(w, "coverage", f->ready);
    put_part(w, "precision", (double)s->used, (double)s->planned);
    emp_write_u64(w, "planned", s->planned);
    emp_write_u64(w, "used", s->used);
    emp_write_i64(w, "planned_bytes", s->planned_bytes);
    emp_write_i64(w, "used_bytes", s->used_bytes);
    emp_write_end(w);
    emp_write_object(w, "evictions_regretted");
    put_evictions(w, "by_plan", s, EMP_SCORECARD_FOR_PLAN);
    put_evictions(w, "by_machine", s, EMP_SCORECARD_FOR_JOB);
    emp_write_end(w);
}

static void put_run(struct emp_writer *w, const struct emp_measure_figures *f)
{
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)f->log_hash);
    emp_write_object(w, NULL);
    emp_write_z(w, "policy", f->policy);
    emp_write_u64(w, "seed", f->seed);
    emp_write_double(w, "speedup", f->speedup);
    put_service(w, f);
    put_cost(w, f);
    put_forecast(w, &f->score.forecast);
    put_moves(w, f);
    emp_write_double(w, "virtual_s", f->virtual_s);
    emp_write_u64(w, "events", f->events);
    emp_write_double(w, "real_s", f->real_s);
    emp_write_double(w, "events_per_s", f->real_s > 0 ? (double)f->events / f->real_s : 0);
    emp_write_double(w, "jobs_per_s", f->real_s > 0 ? (double)f->jobs / f->real_s : 0);
    emp_write_i64(w, "memory_bytes", f->memory_bytes);
    emp_write_z(w, "log_hash", hash);
    emp_write_end(w);
}

void emp_measure_json(const struct emp_measure_figures *runs, uint32_t count, struct emp_buf *out)
{
    struct emp_writer w;
    emp_writer_init(&w, out);
    emp_write_object(&w, NULL);
    emp_write_str(&w, "scenario", count ? runs[0].scenario : (struct emp_str){0});
    emp_write_str(&w, "trace", count ? runs[0].trace : (struct emp_str){0});
    emp_write_array(&w, "runs");
    for (uint32_t i = 0; i < count; i++)
        put_run(&w, &runs[i]);
    emp_write_end(&w);
    emp_write_end(&w);
    emp_buf_addz(out, "\n");
}

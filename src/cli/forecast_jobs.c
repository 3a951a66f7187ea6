/* Format genai: the very code that plans online, fed job by job. At each judged hour the log knows
 * what was submitted before it, and nothing else; forecasts are for [hour, hour + horizon), of
 * every base model that the trace names anywhere (one that was not seen yet is forecast as 0).
 * Classical methods see the same hours as counts. */
#include "cli/forecast_genai.h"

#include "policy/duration.h"
#include "policy/forecast.h"
#include "policy/scorecard.h"
#include "policy/series.h"

#include <math.h>
#include <stdlib.h>

#define HOUR ((int64_t)EMP_USAGE_HOUR_MS)
#define DAY  ((int64_t)EMP_USAGE_DAY_MS)

enum { JUDGED_DAYS = 4, TOPS = EMP_SCORECARD_TOPS, NEED_HOURS = 48 };
static const enum emp_series_method baselines[] = {
    EMP_SERIES_NAIVE, EMP_SERIES_SNAIVE,  EMP_SERIES_SES, EMP_SERIES_HOLT_WINTERS,
    EMP_SERIES_THETA, EMP_SERIES_CROSTON, EMP_SERIES_TSB};
enum { BASELINES = sizeof baselines / sizeof *baselines };

struct sums {
    double error, actual, pinball, covered, covered_plain, cells;
};

struct base {
    struct emp_str name;
    double *counts; /* by hour from the first */
    double expected;
};

struct run {
    struct emp_cli *cli;
    const struct emp_genai *trace;
    struct emp_usage usage;
    struct emp_forecast forecast;
    enum emp_forecast_window window;
    uint32_t horizon, season;
    emp_wall_ms first; /* hour of the first job */
    uint32_t hours;
    struct base *bases;
    uint32_t base_count, base_cap;
    struct sums sums[BASELINES + 1]; /* ours is the last */
    struct emp_scorecard score;      /* for its tops */
    struct emp_duration duration;
    double *off; /* relative errors of run times on the judged days */
    uint32_t judged_runs, held;
};

/* ---- scores ---- */

static double loss(double y, double low, double middle, double high)
{
    static const double levels[] = {0.1, 0.5, 0.9};
    double q[] = {low, middle, high}, sum = 0;
    for (int k = 0; k < 3; k++)
        sum += (y >= q[k] ? levels[k] : levels[k] - 1) * (y - q[k]);
    return 2 * sum / 3;
}

static void judge_ours(struct run *r, struct base *b, double y, emp_wall_ms now)
{
    struct emp_forecast_one one = {0};
    struct sums *s = &r->sums[BASELINES];
    uint32_t n = emp_usage_find(&r->usage, EMP_USAGE_KIND_MODEL, b->name);
    emp_forecast_of(&r->forecast, n, r->window, now, &one);
    b->expected = one.expected;
    double low = one.quantiles[1], middle = one.quantiles[3], high = one.quantiles[5];
    s->error += fabs(y - middle);
    s->actual += y;
    s->pinball += loss(y, low, middle, high);
    if (n != EMP_USAGE_NONE) { // of what was never seen, there is no interval
        double upto = emp_forecast_below(&r->forecast, n, r->window, now, y);
        double below = y > 0 ? emp_forecast_below(&r->forecast, n, r->window, now, y - 1) : 0;
        s->covered += emp_scorecard_held(below, upto);
        s->covered_plain += y >= floor(low) && y <= ceil(high);
        s->cells++;
    }
}

static void judge_baselines(struct run *r, const struct base *b, uint32_t hour, double y,
                            struct emp_arena *scratch)
{
    double out[24];
    for (int m = 0; m < BASELINES; m++) {
        uint32_t season = baselines[m] == EMP_SERIES_SNAIVE || r->season % 24 ? r->season : 24;
        double sum = 0;
        emp_series_forecast(baselines[m], &(struct emp_series){b->counts, hour, season}, r->horizon,
                            scratch, out);
        for (uint32_t i = 0; i < r->horizon; i++)
            sum += fmax(0, out[i]);
        r->sums[m].error += fabs(y - sum);
        r->sums[m].actual += y;
        r->sums[m].pinball += loss(y, sum, sum, sum);
        emp_arena_reset(scratch);
    }
}

/* ---- the run ---- */

static uint32_t feed(struct run *r, uint32_t next, emp_wall_ms until)
{
    struct emp_str kinds[1 + EMP_GENAI_LORAS_MAX];
    for (uint32_t i = 0; i <= EMP_GENAI_LORAS_MAX; i++)
        kinds[i] = i ? EMP_STR("lora") : EMP_STR("checkpoint");
    for (; next < r->trace->count && r->trace->jobs[next].at < until; next++) {
        const struct emp_genai_job *j = &r->trace->jobs[next];
        emp_usage_observe(&r->usage, &(struct emp_usage_event){.at = j->at,
                                                               .models = j->models,
                                                               .groups = kinds,
                                                               .model_count = j->model_count});
    }
    return next;
}

static void judge_hour(struct run *r, uint32_t hour, struct emp_arena *scratch)
{
    emp_wall_ms now = r->first + hour * HOUR;
    struct emp_scorecard_cell *cells =
        emp_arena_array(&r->cli->arena, struct emp_scorecard_cell, r->base_count);
    emp_forecast_update(&r->forecast, now);
    for (uint32_t i = 0; i < r->base_count; i++) {
        struct base *b = &r->bases[i];
        struct emp_scorecard_cell *c = &cells[i];
        for (uint32_t h = 0; h < r->horizon; h++)
            c->came += b->counts[hour + h];
        for (uint32_t h = hour > 24 ? hour - 24 : 0; h < hour; h++)
            c->yesterday += b->counts[h];
        judge_ours(r, b, c->came, now);
        judge_baselines(r, b, hour, c->came, scratch);
        c->known = true;
        c->expected = b->expected;
    }
    emp_scorecard_hour(&r->score, hour, cells, r->base_count);
}

static int find_bases(struct run *r, struct emp_error *err)
{
    struct emp_intern names;
    const struct emp_genai *t = r->trace;
    if (t->count == 0)
        return emp_fail(err, EMP_E_MALFORMED, NULL, "no line of the trace has a time");
    r->first = t->jobs[0].at / HOUR * HOUR;
    r->hours = (uint32_t)((t->jobs[t->count - 1].at - r->first) / HOUR) + 1 + r->horizon;
    emp_intern_init(&names, &r->cli->arena);
    for (uint32_t i = 0; i < t->count; i++) {
        if (!t->jobs[i].model_count)
            continue;
        uint32_t n = emp_intern(&names, t->jobs[i].models[0]) - 1;
        if (n == r->base_count) {
            emp_arena_reserve(&r->cli->arena, r->bases, r->base_count, r->base_cap);
            r->bases[r->base_count++] = (struct base){
                t->jobs[i].models[0], emp_arena_array(&r->cli->arena, double, r->hours), 0};
        }
        r->bases[n].counts[(t->jobs[i].at - r->first) / HOUR]++;
    }
    return 0;
}

/* ---- what is judged ---- */

static int parse_day(const char *name, const char *text, emp_wall_ms *ret, struct emp_error *err)
{
    char iso[32];
    int n = snprintf(iso, sizeof iso, "%sT00:00:00Z", text);
    if (strlen(text) == 10 && emp_iso_parse(iso, (size_t)n, ret) == 0)
        return 0;
    return emp_fail(err, EMP_E_INVALID, name, "--%s \"%s\" is not a day (2025-02-11)", name, text);
}

/* The first and one past the last judged hour. */
static int span(const struct run *r, const struct emp_forecast_options *o, emp_wall_ms test_from,
                uint32_t *ret_from, uint32_t *ret_to, struct emp_error *err)
{
    emp_wall_ms last = r->trace->jobs[r->trace->count - 1].at / DAY * DAY + DAY;
    emp_wall_ms from = test_from ? test_from / HOUR * HOUR : last - JUDGED_DAYS * DAY, to = last;
    int n;
    if (o->from && (n = parse_day("from", o->from, &from, err)) < 0)
        return n;
    if (o->to) {
        if ((n = parse_day("to", o->to, &to, err)) < 0)
            return n;
        to += DAY;
    }
    if (to > last)
        to = last;
    if (from < r->first + NEED_HOURS * HOUR || to <= from)
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "nothing to judge: two days of history are needed before it");
    *ret_from = (uint32_t)((from - r->first) / HOUR);
    *ret_to = (uint32_t)((to - r->first) / HOUR);
    if (*ret_to > r->hours - r->horizon)
        *ret_to = r->hours - r->horizon;
    return 0;
}

/* ---- run times ---- */

static struct emp_duration_job work_of(const struct emp_genai_job *j)
{
    return (struct emp_duration_job){.service = j->type,
                                     .customer = j->user,
                                     .models = j->models,
                                     .model_count = j->model_count,
                                     .steps = j->steps,
                                     .images = j->images};
}

static bool has_run(const struct emp_genai_job *j)
{
    return j->succeeded && j->exec_s > 0;
}

static void learn_run(struct run *r, const struct emp_genai_job *j)
{
    struct emp_duration_job work = work_of(j);
    emp_duration_observe(&r->duration, &work, (int64_t)(j->exec_s * 1000));
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Guesses each judged job's run time at its submission, when those are known that had ended. */
static void judge_runs(struct run *r, emp_wall_ms from, emp_wall_ms to)
{
    const struct emp_genai *t = r->trace;
    uint32_t *running = emp_arena_array(&r->cli->arena, uint32_t, t->count), n = 0;
    r->off = emp_arena_array(&r->cli->arena, double, t->count);
    emp_duration_init(&r->duration, &r->cli->arena);
    for (uint32_t i = 0; i < t->untimed_count; i++)
        if (has_run(&t->untimed[i]))
            learn_run(r, &t->untimed[i]);
    for (uint32_t i = 0; i < t->count && t->jobs[i].at < to; i++) {
        const struct emp_genai_job *j = &t->jobs[i];
        uint32_t left = 0;
        for (uint32_t k = 0; k < n; k++) {
            const struct emp_genai_job *other = &t->jobs[running[k]];
            if (other->at + (emp_wall_ms)(other->exec_s * 1000) <= j->at)
                learn_run(r, other);
            else
                running[left++] = running[k];
        }
        n = left;
        if (!has_run(j))
            continue;
        struct emp_duration_guess g;
        struct emp_duration_job work = work_of(j);
        if (j->at >= from && emp_duration_guess(&r->duration, &work, &g)) {
            double ms = j->exec_s * 1000;
            r->off[r->judged_runs++] = fabs((double)g.p50_ms - ms) / ms;
            r->held += ms >= (double)g.p05_ms && ms <= (double)g.p95_ms;
        }
        running[n++] = i;
    }
    qsort(r->off, r->judged_runs, sizeof *r->off, by_number);
}

/* ---- output ---- */

/* Share of the requests that the models of a top had. */
static double top(const struct run *r, int t, bool yesterday)
{
    const struct emp_scorecard_forecast *f = &r->score.figures.forecast;
    return (yesterday ? f->top_yesterday[t] : f->top[t]) / f->came;
}

static void more_json(const struct emp_forecast_report *report, struct emp_writer *w)
{
    const struct run *r = report->more;
    emp_write_double(w, "coverage_80_plain",
                     r->sums[BASELINES].covered_plain / r->sums[BASELINES].cells);
    if (r->judged_runs) {
        emp_write_object(w, "duration");
        emp_write_i64(w, "jobs", r->judged_runs);
        emp_write_double(w, "median_error", r->off[r->judged_runs / 2]);
        emp_write_double(w, "coverage_90", (double)r->held / r->judged_runs);
        emp_write_end(w);
    }
    emp_write_object(w, "top");
    for (int t = 0; t < TOPS; t++) {
        char *name = emp_arena_printf(&r->cli->arena, "%u", emp_scorecard_tops[t]);
        emp_write_object(w, name);
        emp_write_double(w, "ours", top(r, t, false));
        emp_write_double(w, "yesterday", top(r, t, true));
        emp_write_end(w);
    }
    emp_write_end(w);
}

static void more_text(const struct emp_forecast_report *report, struct emp_buf *out)
{
    const struct run *r = report->more;
    emp_buf_printf(out, "\nrequests among the most wanted bases:\n");
    for (int t = 0; t < TOPS; t++)
        emp_buf_printf(out, "  top %-2u  forecast %.1f%%, yesterday's %.1f%%\n",
                       emp_scorecard_tops[t], 100 * top(r, t, false), 100 * top(r, t, true));
    if (r->judged_runs)
        emp_buf_printf(
            out, "run times of %u jobs: median error %.1f%%, 90%% interval holds %.1f%%\n",
            r->judged_runs, 100 * r->off[r->judged_runs / 2], 100.0 * r->held / r->judged_runs);
}

static void report(struct run *r, struct emp_forecast_report *ret)
{
    for (int m = 0; m <= BASELINES; m++) {
        const struct sums *s = &r->sums[m];
        bool ours = m == BASELINES;
        ret->scores[ret->count++] = (struct emp_forecast_score){
            .name = ours ? "ours" : emp_series_method_name(baselines[m]),
            .owa = NAN,
            .smape = NAN,
            .mase = NAN,
            .wape = s->actual > 0 ? s->error / s->actual : NAN,
            .pinball = s->actual > 0 ? s->pinball / s->actual : NAN,
            .coverage_80 = ours && s->cells > 0 ? s->covered / s->cells : NAN,
        };
    }
    ret->more = r;
    ret->more_json = more_json;
    ret->more_text = more_text;
}

static int window_of(uint32_t hours, enum emp_forecast_window *ret, struct emp_error *err)
{
    for (int w = EMP_FORECAST_1_HOUR; w < EMP_FORECAST_WINDOWS; w++)
        if (emp_forecast_window_ms[w] == hours * HOUR) {
            *ret = (enum emp_forecast_window)w;
            return 0;
        }
    return emp_fail(err, EMP_E_INVALID, "horizon",
                    "--horizon %u: for --format genai it is 1, 6 or 24 hours", hours);
}

int emp_forecast_eval_genai(struct emp_cli *cli, const struct emp_forecast_options *o,
                            struct emp_forecast_report *ret, struct emp_error *err)
{
    struct run *r = emp_arena_new(&cli->arena, struct run);
    struct emp_genai *trace = emp_arena_new(&cli->arena, struct emp_genai);
    struct emp_arena scratch;
    emp_wall_ms test_from = 0;
    uint32_t from = 0, to = 0, next = 0;
    int n;
    *r = (struct run){.cli = cli, .trace = trace};
    r->horizon = o->horizon ? o->horizon : 1;
    r->season = o->season ? o->season : 168;
    if ((n = window_of(r->horizon, &r->window, err)) < 0 ||
        (n = emp_genai_read(cli, o->train, trace, err)) < 0)
        return n;
    uint32_t train_jobs = trace->count;
    if (o->test && (n = emp_genai_read(cli, o->test, trace, err)) < 0)
        return n;
    if (o->test && trace->count > train_jobs)
        test_from = trace->jobs[train_jobs].at;
    if ((n = find_bases(r, err)) < 0 || (n = span(r, o, test_from, &from, &to, err)) < 0)
        return n;
    emp_usage_init(&r->usage, &cli->arena, NULL);
    emp_forecast_init(&r->forecast, &cli->arena, &r->usage);
    emp_scorecard_init(&r->score, &cli->arena);
    emp_arena_init(&scratch, 0);
    for (uint32_t hour = from; hour < to; hour += r->horizon) {
        next = feed(r, next, r->first + hour * HOUR);
        judge_hour(r, hour, &scratch);
    }
    emp_arena_release(&scratch);
    judge_runs(r, r->first + from * HOUR, r->first + to * HOUR);
    ret->header = emp_arena_printf(&cli->arena,
                                   "%u jobs, %u base models, %u hours judged, %u ahead",
                                   trace->count, r->base_count, to - from, r->horizon);
    report(r, ret);
    return 0;
}

/* Formats m4 and series: tables with one series a line. Each method forecasts from the same
 * origins: the end of TRAIN when there is a TEST; else, of each series, the last EMP origins that
 * are a horizon apart, what lies behind an origin being unknown to it. */
#include "cli/csv.h"
#include "cli/forecast.h"

#include "policy/series.h"

#include <math.h>

enum { ORIGINS = 3 };

struct table {
    struct emp_csv csv;
    struct emp_str *names;
    struct emp_series *series;
    uint32_t *lines;
    uint32_t count, name_cap, series_cap, line_cap, lines_count;
};

static const double levels[] = {0.1, 0.5, 0.9};

/* One line: id, then values; a first line without any number is a heading. */
static int take_record(struct emp_cli *cli, struct table *t, uint32_t season, struct emp_error *err)
{
    struct emp_csv *c = &t->csv;
    double *y = emp_arena_array(&cli->arena, double, c->count), v;
    uint32_t n = c->count;
    while (n > 1 && c->fields[n - 1].len == 0) // ragged: empty fields fill up the line
        n--;
    bool heading = t->count == 0;
    for (uint32_t i = 1; i < n && heading; i++)
        heading = !emp_csv_is_number(c->fields[i], &v);
    if (heading && t->lines_count++ == 0 && n > 1)
        return 0;
    if (n < 2)
        return emp_fail(err, EMP_E_MALFORMED, NULL, "%s:%u: a series needs an id and values",
                        c->name, c->line);
    for (uint32_t i = 1; i < n; i++) {
        int r = emp_csv_number(c, i, &y[i - 1], err);
        if (r < 0)
            return r;
    }
    emp_arena_reserve(&cli->arena, t->names, t->count, t->name_cap);
    emp_arena_reserve(&cli->arena, t->series, t->count, t->series_cap);
    emp_arena_reserve(&cli->arena, t->lines, t->count, t->line_cap);
    t->names[t->count] = c->fields[0];
    t->lines[t->count] = c->line;
    t->series[t->count++] = (struct emp_series){y, n - 1, season};
    return 0;
}

static int read_table(struct emp_cli *cli, const char *path, uint32_t season, struct table *t,
                      struct emp_error *err)
{
    struct emp_str text;
    int r = emp_forecast_read(cli, path, &text, err);
    *t = (struct table){0};
    if (r < 0)
        return r;
    emp_csv_init(&t->csv, path, text);
    while ((r = emp_csv_next(&t->csv, &cli->arena, err)) > 0)
        if ((r = take_record(cli, t, season, err)) < 0)
            return r;
    if (r == 0 && t->count == 0)
        return emp_fail(err, EMP_E_MALFORMED, NULL, "%s: there is no series in it", path);
    return r;
}

/* ---- scores ---- */

struct sums {
    double smape, mase, error, actual, pinball, inside;
    uint32_t series, scaled, values;
};

/* Quantile forecasts of a method: its point everywhere, but for ours. */
static double pinball(double y, const double quantile[3])
{
    double sum = 0;
    for (int k = 0; k < 3; k++)
        sum += y >= quantile[k] ? levels[k] * (y - quantile[k])
                                : (1 - levels[k]) * (quantile[k] - y);
    return 2 * sum / 3;
}

static void judge(struct sums *m, const struct emp_series *s, const double *actual,
                  const double *point, const double *low, const double *high, uint32_t horizon)
{
    double mase = emp_series_mase(s, actual, point, horizon);
    m->smape += emp_series_smape(actual, point, horizon);
    m->mase += mase >= 0 ? mase : 0;
    m->scaled += mase >= 0;
    m->series++;
    for (uint32_t i = 0; i < horizon; i++) {
        m->error += fabs(actual[i] - point[i]);
        m->actual += fabs(actual[i]);
        m->pinball += pinball(actual[i], (double[3]){low[i], point[i], high[i]});
        m->inside += actual[i] >= low[i] && actual[i] <= high[i];
        m->values++;
    }
}

static double over(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static struct emp_forecast_score score(enum emp_series_method method, const struct sums *m,
                                       const struct sums *naive2)
{
    struct emp_forecast_score s = {
        .name = emp_series_method_name(method),
        .smape = over(m->smape, m->series),
        .mase = over(m->mase, m->scaled),
        .wape = over(m->error, m->actual),
        .pinball = over(m->pinball, m->actual),
        .coverage_80 = method == EMP_SERIES_OURS ? over(m->inside, m->values) : NAN,
    };
    s.owa = (over(s.smape, naive2->smape / naive2->series) +
             over(s.mase, over(naive2->mase, naive2->scaled))) /
            2;
    return s;
}

/* All methods from one origin. */
static void origin(struct sums *sums, const struct emp_series *s, const double *actual,
                   uint32_t horizon, struct emp_arena *scratch)
{
    for (int m = 0; m <= EMP_SERIES_NAIVE2; m++) {
        double *out = emp_arena_array(scratch, double, horizon), *low = out, *high = out;
        if (m == EMP_SERIES_OURS) {
            low = emp_arena_array(scratch, double, horizon);
            high = emp_arena_array(scratch, double, horizon);
            emp_series_combine(s, horizon, scratch, out, low, high);
        } else {
            emp_series_forecast((enum emp_series_method)m, s, horizon, scratch, out);
        }
        judge(&sums[m], s, actual, out, low, high, horizon);
        emp_arena_reset(scratch);
    }
}

static void report(const struct sums *sums, struct emp_forecast_report *ret)
{
    for (int m = 0; m < EMP_SERIES_METHODS; m++)
        ret->scores[ret->count++] =
            score((enum emp_series_method)m, &sums[m], &sums[EMP_SERIES_NAIVE2]);
}

/* The line of TEST that continues `i` of TRAIN: the one at the same place, its id alike or absent.
 */
static int tested(const struct table *train, const struct table *test, uint32_t i, uint32_t horizon,
                  struct emp_error *err)
{
    if (!emp_str_eq(train->names[i], test->names[i]))
        return emp_fail(err, EMP_E_MALFORMED, NULL,
                        "%s:%u: the series is \"%.*s\", but line %u of %s is \"%.*s\"",
                        test->csv.name, test->lines[i], EMP_STR_FMT(test->names[i]),
                        train->lines[i], train->csv.name, EMP_STR_FMT(train->names[i]));
    if (test->series[i].n < horizon)
        return emp_fail(err, EMP_E_MALFORMED, NULL, "%s:%u: %u values, the horizon is %u",
                        test->csv.name, test->lines[i], test->series[i].n, horizon);
    return 0;
}

static int with_test(struct emp_cli *cli, const struct emp_forecast_options *o,
                     const struct table *train, struct sums *sums, struct emp_error *err)
{
    struct table test;
    struct emp_arena scratch;
    int r = read_table(cli, o->test, o->season, &test, err);
    if (r < 0)
        return r;
    if (test.count != train->count)
        return emp_fail(err, EMP_E_MALFORMED, NULL, "%s has %u series, %s has %u", o->test,
                        test.count, o->train, train->count);
    for (uint32_t i = 0; i < train->count; i++)
        if ((r = tested(train, &test, i, o->horizon, err)) < 0)
            return r;
    emp_arena_init(&scratch, 0);
    for (uint32_t i = 0; i < train->count; i++)
        origin(sums, &train->series[i], test.series[i].y, o->horizon, &scratch);
    emp_arena_release(&scratch);
    return 0;
}

static int without_test(const struct emp_forecast_options *o, const struct table *train,
                        struct sums *sums, struct emp_error *err)
{
    struct emp_arena scratch;
    uint32_t origins = 0;
    emp_arena_init(&scratch, 0);
    for (uint32_t i = 0; i < train->count; i++) {
        const struct emp_series *s = &train->series[i];
        for (uint32_t k = ORIGINS; k > 0; k--) {
            uint64_t ahead = (uint64_t)k * o->horizon;
            if (s->n < ahead + 2 * o->season)
                continue;
            struct emp_series past = {s->y, s->n - (uint32_t)ahead, s->season};
            origin(sums, &past, s->y + past.n, o->horizon, &scratch);
            origins++;
        }
    }
    emp_arena_release(&scratch);
    if (origins == 0)
        return emp_fail(err, EMP_E_INVALID, "horizon",
                        "%s: no series is as long as the horizon and two seasons (%u)", o->train,
                        o->horizon + 2 * o->season);
    return 0;
}

static int eval(struct emp_cli *cli, const struct emp_forecast_options *o,
                struct emp_forecast_report *ret, struct emp_error *err)
{
    struct sums sums[EMP_SERIES_NAIVE2 + 1] = {{0}};
    struct table train;
    if (o->from || o->to)
        return emp_fail(err, EMP_E_INVALID, NULL, "--from and --to are for --format genai");
    int r = read_table(cli, o->train, o->season, &train, err);
    if (r < 0)
        return r;
    r = o->test ? with_test(cli, o, &train, sums, err) : without_test(o, &train, sums, err);
    if (r < 0)
        return r;
    ret->header = emp_arena_printf(&cli->arena, "%u series, horizon %u, season %u", train.count,
                                   o->horizon, o->season);
    report(sums, ret);
    return 0;
}

int emp_forecast_eval_m4(struct emp_cli *cli, const struct emp_forecast_options *o,
                         struct emp_forecast_report *ret, struct emp_error *err)
{
    struct emp_forecast_options full = *o;
    full.horizon = o->horizon ? o->horizon : 48;
    full.season = o->season ? o->season : 24;
    return eval(cli, &full, ret, err);
}

int emp_forecast_eval_series(struct emp_cli *cli, const struct emp_forecast_options *o,
                             struct emp_forecast_report *ret, struct emp_error *err)
{
    if (!o->horizon || !o->season)
        return emp_fail(err, EMP_E_INVALID, NULL, "--format series needs --horizon and --season");
    return eval(cli, o, ret, err);
}

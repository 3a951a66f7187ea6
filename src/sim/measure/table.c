/* The figures as a table: a line per figure, a column per policy. Several seeds of a policy share
 * its column: the median, and below it the range. */
#include "sim/measure/measure.h"

#include <math.h>
#include <stdlib.h>

enum { NAME_COLUMNS = 26, COLUMN = 13, RUNS_MAX = 4096 };

typedef emp_measure_figure figure; /* NAN: there is none */

static double jobs(const struct emp_measure_figures *f)
{
    return (double)f->jobs;
}
static double offered(const struct emp_measure_figures *f)
{
    return f->offered_load;
}
static double p50(const struct emp_measure_figures *f)
{
    return f->wait_s.p50;
}
static double p90(const struct emp_measure_figures *f)
{
    return f->wait_s.p90;
}
static double p95(const struct emp_measure_figures *f)
{
    return f->wait_s.p95;
}
static double p99(const struct emp_measure_figures *f)
{
    return f->wait_s.p99;
}
static double longest(const struct emp_measure_figures *f)
{
    return f->wait_s.max;
}
static double within(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->within_10s);
}
static double first_use(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->first_use);
}
static double repeat_use(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->repeat_use);
}
static double prompt(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->prompt);
}
static double prompt_beside(const struct emp_measure_figures *f)
{
    return f->prompt_beside.jobs ? 100 * emp_measure_part(f->prompt_beside) : (double)NAN;
}
static double short_done(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->short_done);
}
static double slowdown(const struct emp_measure_figures *f)
{
    return f->slowdown.p95;
}
static double best(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->best_machine);
}
static double start_error(const struct emp_measure_figures *f)
{
    return f->told_start.median_error_s;
}
static double start_covers(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->told_start.p90);
}
static double wait_error(const struct emp_measure_figures *f)
{
    return f->told_wait.median_error_s;
}
static double wait_covers(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->told_wait.p90);
}
static double end_error(const struct emp_measure_figures *f)
{
    return f->told_end.median_error_s;
}
static double end_covers(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->told_end.p90);
}
static double hit_gpu(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->hit_gpu);
}
static double hit_resident(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->hit_resident);
}
static double hit_disk(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->hit_disk);
}
static double fetched(const struct emp_measure_figures *f)
{
    return (double)f->bytes_fetched / 1e9;
}
static double redundant(const struct emp_measure_figures *f)
{
    return (double)f->redundant_bytes / 1e9;
}
static double evictions(const struct emp_measure_figures *f)
{
    return (double)f->evictions;
}
static double download(const struct emp_measure_figures *f)
{
    return f->download_wait_s / 3600;
}
static double ready(const struct emp_measure_figures *f)
{
    return 100 * emp_measure_part(f->ready);
}
static double precision(const struct emp_measure_figures *f)
{
    return 100 * emp_scorecard_part((double)f->score.moves.used, (double)f->score.moves.planned);
}
static double regretted(const struct emp_measure_figures *f)
{
    uint64_t all = 0, again = 0;
    for (int why = 0; why < EMP_SCORECARD_FORS; why++) {
        all += f->score.moves.evicted[why];
        again += f->score.moves.regretted[why];
    }
    return 100 * emp_scorecard_part((double)again, (double)all);
}
static double wape(const struct emp_measure_figures *f)
{
    return emp_scorecard_part(f->score.forecast.missed, f->score.forecast.came);
}
static double coverage(const struct emp_measure_figures *f)
{
    return 100 * emp_scorecard_part(f->score.forecast.held, (double)f->score.forecast.intervals);
}
static double hours(const struct emp_measure_figures *f)
{
    return f->machine_hours;
}
static double busy(const struct emp_measure_figures *f)
{
    return f->machine_hours > 0 ? 100 * f->busy_hours / f->machine_hours : 0;
}
static double wasted(const struct emp_measure_figures *f)
{
    return f->wasted_gpu_s / 3600;
}
static double lost(const struct emp_measure_figures *f)
{
    return (double)f->attempts_lost;
}
static double completion(const struct emp_measure_figures *f)
{
    return f->jobs ? 100 * (double)f->completed / (double)f->jobs : 0;
}
static double cost(const struct emp_measure_figures *f)
{
    return f->cost_usd;
}
static double events_rate(const struct emp_measure_figures *f)
{
    return f->real_s > 0 ? (double)f->events / f->real_s / 1e6 : 0;
}
static double jobs_rate(const struct emp_measure_figures *f)
{
    return f->real_s > 0 ? (double)f->jobs / f->real_s * 60 / 1e6 : 0;
}

const struct emp_measure_line emp_measure_lines[] = {
    {"jobs", jobs, 0, 0, ""},
    {"offered load, machines", offered, 3, 0,
     "machines of mean speed that the jobs alone keep busy, loads and downloads not counted"},
    {"wait p50, s", p50, 2, -1,
     "half of the jobs wait no longer, from submission until they compute with every model in GPU "
     "memory"},
    {"     p90", p90, 2, -1, "nine of ten wait no longer"},
    {"     p95", p95, 2, -1, "19 of 20 wait no longer"},
    {"     p99", p99, 2, -1, "99 of 100 wait no longer"},
    {"     max", longest, 1, -1, "the longest wait"},
    {"within 10 s, %", within, 2, 1, "of all jobs, those that wait at most 10 s"},
    {"  first use of a model", first_use, 2, 1,
     "of jobs one of whose models nobody used in the 24 hours before"},
    {"  repeat use", repeat_use, 2, 1, "of all others"},
    {"first pool within 5 s, %", prompt, 2, 1,
     "of the jobs meant for the first pool, those that wait at most 5 s"},
    {"  while the last is full", prompt_beside, 2, 1,
     "of those, submitted while every slot of the last pool was taken"},
    {"run <30 s: done in 30 s, %", short_done, 2, 1,
     "of jobs that compute for less than 30 s, those that are done 30 s after submission"},
    {"slowdown p95", slowdown, 2, -1, "(wait + run) / run; 19 of 20 jobs have less"},
    {"best machine, %", best, 2, 1, "started within a second of the best machine in hindsight"},
    {"start told: off by, s", start_error, 2, -1,
     "between the start that jobs were told at submission (p50) and the true one, in the middle"},
    {"  within its p90, %", start_covers, 2, 0, "jobs that started by the p90 told; 90 is right"},
    {"  told to wait: off by, s", wait_error, 2, -1, "the same of those told a second or more"},
    {"  within its p90, %", wait_covers, 2, 0, "of these, who started by the p90 told"},
    {"end told: off by, s", end_error, 2, -1, "the same of their ends"},
    {"  within its p90, %", end_covers, 2, 0, "jobs that ended by the p90 told; 90 is right"},
    {"all models in GPU, %", hit_gpu, 2, 1,
     "of all jobs, those that came to a machine with all their models in GPU memory"},
    {"  in GPU or RAM", hit_resident, 2, 1, "… in GPU memory or RAM"},
    {"  on the disk", hit_disk, 2, 1, "… at least on its disk"},
    {"fetched, GB", fetched, 1, -1, "downloaded by all machines"},
    {"  redundant", redundant, 1, -1,
     "of it: fetched again, a second copy that was never used, or given up half-way"},
    {"evictions", evictions, 0, -1, "models deleted from a disk to make room"},
    {"  again within 6 h, %", regretted, 2, -1,
     "of those, wanted on the same machine again within 6 hours"},
    {"models there before, %", ready, 2, 1,
     "jobs whose models were all on the disk of their machine before they were submitted"},
    {"planned copies used, %", precision, 2, 1,
     "of copies fetched for the plan, used on their machine within 6 hours"},
    {"forecast: WAPE", wape, 3, -1,
     "error of the median, by model and hour, one hour ahead, over the requests that came"},
    {"  80 % interval holds, %", coverage, 1, 0, "what came lay in the forecast's 80 % interval"},
    {"waits for downloads, h", download, 2, -1,
     "jobs' hours on a machine that still fetched their models"},
    {"machine hours", hours, 1, 0, "that all machines were up, together"},
    {"GPU busy, %", busy, 2, 0, "of machine hours, those that computed"},
    {"GPU hours wasted", wasted, 2, -1, "loading for jobs, and computing that was lost"},
    {"attempts lost", lost, 0, -1, "runs that ended with their machine"},
    {"completion, %", completion, 3, 1, "of all jobs, those that completed"},
    {"cost, USD", cost, 2, 0, "machine hours at the prices of the scenario's GPU table"},
    {"events/s, M", events_rate, 2, 0, "speed of the simulator"},
    {"jobs/min, M", jobs_rate, 3, 0, "speed of the simulator"},
    {NULL, NULL, 0, 0, NULL},
};

/* ---- a policy's runs ---- */

struct column {
    const char *policy;
    const struct emp_measure_figures *runs[RUNS_MAX];
    uint32_t count;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, uint32_t n)
{
    qsort(v, n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void put_cell(const struct column *c, figure of, int decimals, bool range,
                     struct emp_buf *out)
{
    double v[RUNS_MAX];
    char text[64];
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->count; i++)
        if (!isnan(of(c->runs[i])))
            v[n++] = of(c->runs[i]);
    if (n == 0) {
        emp_buf_printf(out, " %*s", COLUMN, range ? "" : "-");
        return;
    }
    double middle = median(v, n);
    if (range)
        snprintf(text, sizeof text, "%.*f–%.*f", decimals, v[0], decimals, v[n - 1]);
    else
        snprintf(text, sizeof text, "%.*f", decimals, middle);
    emp_buf_printf(out, " %*s", COLUMN + (range ? 2 : 0), text); /* the dash has three bytes */
}

static void put_line(const struct column *columns, uint32_t count, const char *name, figure of,
                     int decimals, struct emp_buf *out)
{
    bool several = false;
    emp_buf_printf(out, "%-*s", NAME_COLUMNS, name);
    for (uint32_t i = 0; i < count; i++) {
        put_cell(&columns[i], of, decimals, false, out);
        several |= columns[i].count > 1;
    }
    emp_buf_addz(out, "\n");
    if (!several)
        return;
    emp_buf_printf(out, "%-*s", NAME_COLUMNS, "");
    for (uint32_t i = 0; i < count; i++)
        put_cell(&columns[i], of, decimals, true, out);
    emp_buf_addz(out, "\n");
}

static uint32_t sort_columns(const struct emp_measure_figures *runs, uint32_t count,
                             struct column *columns)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;
        while (at < n && strcmp(columns[at].policy, runs[i].policy) != 0)
            at++;
        if (at == n)
            columns[n++].policy = runs[i].policy;
        if (columns[at].count < RUNS_MAX)
            columns[at].runs[columns[at].count++] = &runs[i];
    }
    return n;
}

static void put_pools(const struct column *columns, uint32_t count,
                      const struct emp_measure_figures *first, struct emp_buf *out)
{
    for (uint32_t p = 0; p < first->pool_count && first->pool_count > 1; p++) {
        emp_buf_printf(out, "%.*s\n", EMP_STR_FMT(first->pools[p].name));
        const char *const names[] = {"  within 10 s, %", "  wait p99, s", "  disk used, %",
                                     "  hits per GB and day"};
        for (int line = 0; line < 4; line++) {
            emp_buf_printf(out, "%-*s", NAME_COLUMNS, names[line]);
            for (uint32_t i = 0; i < count; i++) {
                double v[RUNS_MAX];
                for (uint32_t r = 0; r < columns[i].count; r++) {
                    const struct emp_measure_pool *pool = &columns[i].runs[r]->pools[p];
                    v[r] = line == 0   ? 100 * emp_measure_part(pool->within_10s)
                           : line == 1 ? pool->wait_s.p99
                           : line == 2 ? 100 * pool->disk_used
                                       : pool->hits_per_gb;
                }
                emp_buf_printf(out, " %*.2f", COLUMN, median(v, columns[i].count));
            }
            emp_buf_addz(out, "\n");
        }
    }
}

void emp_measure_table(const struct emp_measure_figures *runs, uint32_t count, struct emp_buf *out)
{
    if (count == 0)
        return;
    struct column *columns = calloc(count, sizeof *columns);
    if (columns == NULL)
        abort();
    uint32_t n = sort_columns(runs, count, columns);
    emp_buf_printf(out, "%-*s", NAME_COLUMNS, "");
    for (uint32_t i = 0; i < n; i++)
        emp_buf_printf(out, " %*s", COLUMN, columns[i].policy);
    emp_buf_addz(out, "\n");
    for (const struct emp_measure_line *l = emp_measure_lines; l->name; l++)
        put_line(columns, n, l->name, l->of, l->decimals, out);
    put_pools(columns, n, &runs[0], out);
    free(columns);
}

/* Runs scenarios several times, each on a broker of its own, and prints the median of the runs with
 * the name of the machine, for a figure without its machine says nothing. */
#include "cli/bench_runs.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "domain/limits.h"
#include "proto/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { RUNS_MAX = 99, SCENARIOS_MAX = 8, OUTPUT_BYTES_MAX = 1 << 20 };

struct outcome {
    const struct emp_bench_scenario *scenario;
    struct emp_bench_result *runs; /* sorted by figure at the end */
    uint32_t count;
    struct emp_histogram times; /* of all runs */
};

struct bench_command {
    struct emp_cli *cli;
    struct emp_bench_options o;
    const char *url, *config, *dir; /* of the broker; url NULL: one of our own */
    int64_t runs;
    struct emp_bench_machine machine;
    struct outcome *outcomes;
    uint32_t outcome_count;
};

/* ------------------------------------------------------------------ running */

static int64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

static int run_once(struct bench_command *c, struct outcome *out, struct emp_error *err)
{
    struct emp_bench_result *result = &out->runs[out->count++];
    struct emp_bench_broker broker;

    int r = c->url ? emp_bench_broker_find(&broker, c->url, err)
                   : emp_bench_broker_start(&broker, c->dir, c->config, err);
    if (r < 0)
        return r;
    int64_t before = cpu_us();
    r = emp_bench_run(out->scenario, &broker, &c->o, result, err);
    result->load_us = cpu_us() - before;
    result->broker_us = emp_bench_broker_stop(&broker);
    emp_histogram_merge(&out->times, &result->times);
    return r;
}

static int by_figure(const void *a, const void *b, void *scenario)
{
    double x = emp_bench_figure(scenario, a), y = emp_bench_figure(scenario, b);
    return (x > y) - (x < y);
}

static int run_scenario(struct bench_command *c, struct outcome *out, struct emp_error *err)
{
    char text[96];
    int r = 0;

    out->runs = emp_arena_array(&c->cli->arena, struct emp_bench_result, (size_t)c->runs);
    for (int64_t i = 0; i < c->runs && r == 0; i++) {
        snprintf(text, sizeof text, "%s, run %lld of %lld", out->scenario->name, (long long)i + 1,
                 (long long)c->runs);
        emp_progress_draw((double)i / (double)c->runs, text);
        r = run_once(c, out, err);
    }
    emp_progress_clear();
    qsort_r(out->runs, out->count, sizeof *out->runs, by_figure, (void *)out->scenario);
    return r;
}

/* ------------------------------------------------------------------ printing */

static double median(const struct outcome *out)
{
    double upper = emp_bench_figure(out->scenario, &out->runs[out->count / 2]);
    double lower = emp_bench_figure(out->scenario, &out->runs[(out->count - 1) / 2]);
    return (lower + upper) / 2;
}

static double per_job(int64_t us, const struct emp_bench_result *r)
{
    return (double)us / (double)r->jobs;
}

static void add_figure(struct emp_table *t, bool timed, double figure)
{
    if (timed)
        emp_table_addf(t, "%.2f ms", figure / 1000);
    else
        emp_table_addf(t, "%.0f/s", figure);
}

static void add_row(struct emp_table *t, const struct outcome *out)
{
    const struct emp_bench_scenario *s = out->scenario;
    const struct emp_bench_result *middle = &out->runs[out->count / 2];

    emp_table_addz(t, s->name);
    add_figure(t, s->timed, median(out));
    add_figure(t, s->timed, emp_bench_figure(s, &out->runs[0]));
    add_figure(t, s->timed, emp_bench_figure(s, &out->runs[out->count - 1]));
    add_figure(t, s->timed, s->aim);
    emp_table_addf(t, "%llu", (unsigned long long)middle->jobs);
    add_figure(t, true, (double)emp_histogram_quantile(&out->times, 0.5));
    add_figure(t, true, (double)emp_histogram_quantile(&out->times, 0.99));
    if (middle->broker_us)
        emp_table_addf(t, "%.1f µs", per_job(middle->broker_us, middle));
    else
        emp_table_addz(t, "");
    emp_table_addf(t, "%.1f µs", per_job(middle->load_us, middle));
    emp_table_addz(t, s->what);
}

static const struct emp_column columns[] = {
    {"BENCH", false},     {"MEDIAN", true},   {"LOWEST", true}, {"HIGHEST", true},
    {"AIM", true},        {"JOBS", true},     {"P50", true},    {"P99", true},
    {"BROKER CPU", true}, {"LOAD CPU", true}, {"WHAT", false},  {NULL, false},
};

static void write_text(struct bench_command *c, struct emp_buf *out)
{
    const struct emp_bench_machine *m = &c->machine;
    struct emp_table table;

    emp_buf_printf(out, "emp %s on %s, %ld cores, %s", EMP_VERSION, m->cpu, m->cores, m->kernel);
    if (!c->url)
        emp_buf_printf(out, "; fdatasync of 4 KiB in %s: %.2f ms", c->dir,
                       (double)m->sync_us / 1000);
    emp_buf_printf(
        out, "\n%u connections, %u agents of %u slots, bodies of %lld bytes; runs: %lld\n\n",
        c->o.connections, c->o.agents, c->o.slots, (long long)c->o.payload, (long long)c->runs);
    emp_table_init(&table, &c->cli->arena, columns);
    for (uint32_t i = 0; i < c->outcome_count; i++)
        add_row(&table, &c->outcomes[i]);
    emp_table_write(&table, emp_terminal_colours(stdout), out);
}

static void write_outcome(struct emp_writer *w, const struct outcome *out)
{
    const struct emp_bench_scenario *s = out->scenario;
    const struct emp_bench_result *middle = &out->runs[out->count / 2];

    emp_write_object(w, NULL);
    emp_write_z(w, "name", s->name);
    emp_write_z(w, "what", s->what);
    emp_write_z(w, "unit", s->timed ? "us" : "jobs/s");
    emp_write_double(w, "median", median(out));
    emp_write_double(w, "aim", s->aim);
    emp_write_array(w, "runs");
    for (uint32_t i = 0; i < out->count; i++)
        emp_write_double(w, NULL, emp_bench_figure(s, &out->runs[i]));
    emp_write_end(w);
    emp_write_u64(w, "jobs", middle->jobs);
    emp_write_z(w, "times", s->times);
    emp_write_u64(w, "p50_us", emp_histogram_quantile(&out->times, 0.5));
    emp_write_u64(w, "p99_us", emp_histogram_quantile(&out->times, 0.99));
    emp_write_u64(w, "max_us", out->times.max);
    emp_write_double(w, "broker_cpu_us_per_job", per_job(middle->broker_us, middle));
    emp_write_double(w, "load_cpu_us_per_job", per_job(middle->load_us, middle));
    emp_write_end(w);
}

static void write_json(const struct bench_command *c, struct emp_buf *out)
{
    struct emp_writer w;

    emp_writer_init(&w, out);
    emp_write_object(&w, NULL);
    emp_write_z(&w, "version", EMP_VERSION);
    emp_write_object(&w, "machine");
    emp_write_z(&w, "cpu", c->machine.cpu);
    emp_write_i64(&w, "cores", c->machine.cores);
    emp_write_z(&w, "kernel", c->machine.kernel);
    emp_write_i64(&w, "fdatasync_us", c->machine.sync_us);
    emp_write_end(&w);
    emp_write_u64(&w, "connections", c->o.connections);
    emp_write_u64(&w, "agents", c->o.agents);
    emp_write_u64(&w, "slots", c->o.slots);
    emp_write_i64(&w, "body_bytes", c->o.payload);
    emp_write_array(&w, "results");
    for (uint32_t i = 0; i < c->outcome_count; i++)
        write_outcome(&w, &c->outcomes[i]);
    emp_write_end(&w);
    emp_write_end(&w);
    emp_buf_addz(out, "\n");
}

static int print(struct bench_command *c, struct emp_error *err)
{
    struct emp_buf out;

    emp_buf_init(&out, OUTPUT_BYTES_MAX);
    if (emp_options_has(&c->cli->options, "json"))
        write_json(c, &out);
    else
        write_text(c, &out);
    int r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

/* ------------------------------------------------------------------ the command */

static void choose(struct bench_command *c, const struct emp_bench_scenario *s)
{
    c->outcomes[c->outcome_count++].scenario = s;
}

static int choose_by_name(struct bench_command *c, const char *name, struct emp_error *err)
{
    for (const struct emp_bench_scenario *s = emp_bench_scenarios; s->name; s++)
        if (strcmp(s->name, name) == 0) {
            choose(c, s);
            return 0;
        }
    return emp_fail(err, EMP_E_INVALID, NULL,
                    "unknown benchmark \"%s\"; there are http, lifecycle and latency", name);
}

static int read_number(const struct bench_command *c, const char *name, int64_t max, uint32_t *ret,
                       struct emp_error *err)
{
    int64_t value = *ret;
    int r = emp_options_int(&c->cli->options, name, 1, max, &value, err);
    *ret = (uint32_t)value;
    return r;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int read_options(struct bench_command *c, struct emp_error *err)
{
    const struct emp_options *o = &c->cli->options;
    int64_t jobs = 0;

    c->url = emp_options_value(o, "broker");
    c->config = emp_options_value(o, "config");
    c->dir = emp_options_value(o, "dir");
    if (!c->dir)
        c->dir = environment("TMPDIR") ? environment("TMPDIR") : "/var/tmp";
    c->o.key = environment("EMP_API_KEY");
    c->o.token = environment("EMP_AGENT_TOKEN");
    int r = emp_options_int(o, "jobs", 1, 100000000, &jobs, err);
    c->o.jobs = (uint64_t)jobs;
    if (r == 0)
        r = emp_options_int(o, "runs", 1, RUNS_MAX, &c->runs, err);
    if (r == 0)
        r = emp_options_int(o, "body", 1, 1000000, &c->o.payload, err);
    if (r == 0)
        r = read_number(c, "connections", 10000, &c->o.connections, err);
    if (r == 0)
        r = read_number(c, "agents", 10000, &c->o.agents, err);
    return r < 0 ? r : read_number(c, "slots", EMP_MACHINE_SLOTS_MAX, &c->o.slots, err);
}

static void on_signal(int number)
{
    (void)number;
    emp_load_interrupted = 1;
}

/* An interrupted run still ends its broker and removes its directory. What starts is waited for;
 * only epoll_wait is never restarted. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    struct bench_command c = {
        .cli = cli,
        .o = {.payload = 256, .connections = 64, .agents = 8, .slots = 64},
        .runs = 3,
    };
    const struct emp_options *o = &cli->options;
    int r = read_options(&c, err);

    catch_signals();
    c.outcomes = emp_arena_array(&cli->arena, struct outcome, o->arg_count + SCENARIOS_MAX);
    for (uint32_t i = 0; i < o->arg_count && r == 0; i++)
        r = choose_by_name(&c, o->args[i], err);
    for (const struct emp_bench_scenario *s = emp_bench_scenarios; s->name && !o->arg_count; s++)
        choose(&c, s);
    if (r == 0)
        r = emp_bench_machine(c.dir, &c.machine, err);
    for (uint32_t i = 0; i < c.outcome_count && r == 0; i++)
        r = run_scenario(&c, &c.outcomes[i], err);
    return r < 0 ? r : print(&c, err);
}

static const struct emp_option options[] = {
    {"runs", 0, "N", "Runs of each, of which the median counts; default 3.", false, NULL},
    {"jobs", 0, "N", "Jobs of a run; default 100000, of latency 2000.", false, NULL},
    {"connections", 0, "N", "HTTP connections; default 64.", false, NULL},
    {"agents", 0, "N", "Agents of lifecycle; default 8.", false, NULL},
    {"slots", 0, "N", "Jobs that each agent takes at once; default 64.", false, NULL},
    {"body", 0, "BYTES", "Length of a submission; default 256.", false, NULL},
    {"dir", 0, "DIR", "Where its broker keeps its data; else TMPDIR, else /var/tmp.", false, NULL},
    {"config", 'c', "FILE", "Configuration of its broker.", false, NULL},
    {"broker", 0, "URL", "A broker that runs already, in place of one for each run.", false, NULL},
    {"json", 0, NULL, "Print the figures as JSON.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

const struct emp_command emp_command_bench = {
    .name = "bench",
    .args = "[NAME…]",
    .summary = "Measure a broker on this machine.",
    .text =
        "  http       durable submissions per second\n"
        "  lifecycle  jobs per second from submission to the acknowledged result, through agents\n"
        "  latency    time from a submission to the agent, one job at a time\n"
        "\n"
        "Each run starts a broker of its own, `emp serve` with default settings, on the same "
        "processors as the load. P50 and P99\n"
        "are the times of a POST, of latency those from submission to agent; CPU is per job. "
        "Keys for --broker come from\n"
        "EMP_API_KEY and EMP_AGENT_TOKEN; give it no other agents.\n",
    .options = options,
    .args_max = SCENARIOS_MAX,
    .run = run,
};

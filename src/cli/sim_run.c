/* emp sim run: one scenario and trace under one or several policies and seeds, beside each other.
 */
#include "cli/sim.h"
#include "cli/terminal.h"
#include "os/clock.h"
#include "os/files.h"
#include "sim/measure/picture.h"

#include <stdlib.h>
#include <sys/resource.h>

enum { POLICIES_MAX = 16, SEEDS_MAX = 100, OUTPUT_BYTES_MAX = 64 << 20 };

struct run_command {
    struct emp_cli *cli;
    struct emp_scenario scenario;
    const struct emp_measure_policy *policies[POLICIES_MAX];
    uint32_t policy_count;
    uint64_t first_seed, last_seed;
    double speedup;
    struct emp_measure_figures *figures;
    struct emp_measure_picture *pictures; /* of the first seed, one a policy; NULL: no report */
    uint32_t done, total;
};

/* ---- what is asked ---- */

static int add_policy(struct run_command *c, struct emp_str name, struct emp_error *err)
{
    const struct emp_measure_policy *p = emp_measure_policy_find(name);
    struct emp_buf known;
    if (p && c->policy_count < POLICIES_MAX) {
        c->policies[c->policy_count++] = p;
        return 0;
    }
    emp_buf_init(&known, 4096);
    for (size_t i = 0; emp_measure_policies[i]; i++)
        emp_buf_printf(&known, "%s%s", i ? ", " : "", emp_measure_policies[i]->name);
    emp_fail(err, EMP_E_INVALID, "policy", "--policy \"%.*s\": there is %s", EMP_STR_FMT(name),
             known.data);
    emp_buf_release(&known);
    return EMP_E_INVALID;
}

static int read_policies(struct run_command *c, struct emp_error *err)
{
    const char *list = emp_options_value(&c->cli->options, "policy");
    int r = 0;
    for (size_t i = 0; list == NULL && emp_measure_policies[i]; i++)
        c->policies[c->policy_count++] = emp_measure_policies[i];
    while (list && r == 0) {
        size_t len = strcspn(list, ",");
        r = add_policy(c, (struct emp_str){list, (uint32_t)len}, err);
        list = list[len] ? list + len + 1 : NULL;
    }
    return r;
}

static int read_seeds(struct run_command *c, struct emp_error *err)
{
    const char *seed = emp_options_value(&c->cli->options, "seed");
    const char *seeds = emp_options_value(&c->cli->options, "seeds");
    c->first_seed = c->last_seed = 1;
    if (seed && seeds)
        return emp_fail(err, EMP_E_INVALID, NULL, "--seed N or --seeds A..B, not both");
    if (seed && !emp_sim_seed(seed, &c->first_seed))
        return emp_fail(err, EMP_E_INVALID, "seed", "--seed \"%s\" is not a whole number", seed);
    if (seed)
        c->last_seed = c->first_seed;
    if (seeds && (!emp_sim_seed_range(seeds, &c->first_seed, &c->last_seed) ||
                  c->last_seed - c->first_seed >= SEEDS_MAX))
        return emp_fail(err, EMP_E_INVALID, "seeds",
                        "--seeds \"%s\" is not A..B, two whole numbers, A not above B, and at most "
                        "%d of them",
                        seeds, SEEDS_MAX);
    return 0;
}

static int read_speedup(struct run_command *c, struct emp_error *err)
{
    const char *text = emp_options_value(&c->cli->options, "speedup");
    char *end;
    if (text == NULL)
        return 0;
    c->speedup = strtod(text, &end);
    if (*text == '\0' || *end || !(c->speedup >= 0.001 && c->speedup <= 1e6))
        return emp_fail(err, EMP_E_INVALID, "speedup",
                        "--speedup \"%s\" is not a number between 0.001 and 1000000", text);
    return 0;
}

/* ---- running ---- */

static void progress(void *ctx, uint64_t done, uint64_t jobs)
{
    const struct run_command *c = ctx;
    double part = jobs ? (double)done / (double)jobs : 0;
    char text[128];
    snprintf(text, sizeof text, "run %u of %u", c->done + 1, c->total);
    emp_progress_draw(((double)c->done + part) / (double)c->total, text);
}

static int64_t memory_bytes(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)u.ru_maxrss * 1024;
}

static int run_one(struct run_command *c, const struct emp_trace *trace,
                   const struct emp_measure_policy *policy, uint64_t seed, struct emp_error *err)
{
    char violation[EMP_SIM_VIOLATION_MAX];
    struct emp_measure_figures *f = &c->figures[c->done];
    struct emp_measure_run run = {.scenario = &c->scenario,
                                  .trace = trace,
                                  .policy = policy,
                                  .seed = seed,
                                  .speedup = c->speedup,
                                  .progress = progress,
                                  .progress_ctx = c};
    if (emp_options_has(&c->cli->options, "trace-log"))
        run.log = stdout;
    if (c->pictures && c->done < c->policy_count)
        run.picture = &c->pictures[c->done];
    int64_t before = emp_mono_us();
    emp_measure(&run, f, violation);
    f->real_s = (double)(emp_mono_us() - before) / 1e6;
    f->memory_bytes = memory_bytes();
    f->trace = emp_str_copy(&c->cli->arena, f->trace);
    c->done++;
    if (violation[0])
        return emp_fail(err, EMP_E_INTERNAL, NULL, "%s, seed %llu: %s", policy->name,
                        (unsigned long long)seed, violation);
    return 0;
}

/* What was read over, and what counts. */
static int show_trace(const struct emp_scenario *sc, const struct emp_trace *t, uint64_t seed,
                      struct emp_error *err)
{
    struct emp_buf out;
    uint32_t too_large = 0;
    for (uint32_t i = t->counted_from; i < t->job_count; i++)
        too_large += !emp_scenario_holds(sc, t, &t->jobs[i]);
    emp_buf_init(&out, 1 << 16);
    emp_buf_printf(&out,
                   "trace %.*s (seed %llu): %u jobs counted, %u before them to warm up, %u of "
                   "history; %u models",
                   EMP_STR_FMT(t->name), (unsigned long long)seed, t->job_count - t->counted_from,
                   t->counted_from - t->history_count, t->history_count, t->model_count);
    for (int i = 0; i < EMP_TRACE_SKIP_COUNT; i++)
        if (t->skipped[i])
            emp_buf_printf(&out, "; %llu rows left out: %s", (unsigned long long)t->skipped[i],
                           emp_trace_skip_text(i));
    if (too_large)
        emp_buf_printf(&out, "; %u jobs whose models no machine's disk can hold never complete",
                       too_large);
    emp_buf_addz(&out, "\n");
    int r = emp_cli_write(out.data, out.len, err);
    emp_buf_release(&out);
    return r;
}

static int run_seed(struct run_command *c, uint64_t seed, struct emp_error *err)
{
    const struct emp_options *o = &c->cli->options;
    struct emp_trace trace;
    emp_trace_init(&trace);
    int r = emp_trace_open(&trace, &c->scenario, emp_options_value(o, "trace"),
                           emp_options_value(o, "from"), emp_options_value(o, "to"), seed, err);
    if (r == 0 && trace.counted_from == trace.job_count)
        r = emp_fail(err, EMP_E_INVALID, "trace", "%.*s: no job with a time counts",
                     EMP_STR_FMT(trace.name));
    if (r == 0 && seed == c->first_seed)
        r = show_trace(&c->scenario, &trace, seed, err);
    for (uint32_t p = 0; r == 0 && p < c->policy_count; p++)
        r = run_one(c, &trace, c->policies[p], seed, err);
    emp_trace_release(&trace);
    return r;
}

/* ---- showing ---- */

static int show_assumptions(const struct run_command *c, struct emp_error *err)
{
    struct emp_buf out;
    emp_buf_init(&out, 1 << 20);
    emp_scenario_print(&c->scenario, &out);
    for (uint32_t i = 0; i < c->policy_count; i++)
        emp_buf_printf(&out, "policy %s: %s\n", c->policies[i]->name, c->policies[i]->about);
    int r = emp_cli_write(out.data, out.len, err);
    emp_buf_release(&out);
    return r;
}

static int show_figures(const struct run_command *c, struct emp_error *err)
{
    const char *file = emp_options_value(&c->cli->options, "json");
    struct emp_buf out;
    emp_buf_init(&out, OUTPUT_BYTES_MAX);
    emp_measure_table(c->figures, c->done, &out);
    int r = emp_cli_write(out.data, out.len, err);
    if (r == 0 && file) {
        emp_buf_clear(&out);
        emp_measure_json(c->figures, c->done, &out);
        r = emp_file_write_atomic(file, out.data, out.len, 0644, err);
    }
    emp_buf_release(&out);
    return r;
}

/* As it could be typed again. */
static void add_command(const struct run_command *c, struct emp_buf *out)
{
    const struct emp_options *o = &c->cli->options;
    emp_buf_printf(out, "emp sim run %s", o->args[1]);
    for (uint32_t i = 0; i < o->given_count; i++) {
        emp_buf_printf(out, " --%s", o->given[i].option->name);
        if (o->given[i].value)
            emp_buf_printf(out, " %s", o->given[i].value);
    }
}

static int write_report(const struct run_command *c, struct emp_error *err)
{
    const char *file = emp_options_value(&c->cli->options, "report");
    struct emp_buf out, command;
    if (file == NULL)
        return 0;
    emp_buf_init(&out, OUTPUT_BYTES_MAX);
    emp_buf_init(&command, 1 << 16);
    add_command(c, &command);
    emp_measure_report(&(struct emp_measure_report){.scenario = &c->scenario,
                                                    .runs = c->figures,
                                                    .run_count = c->done,
                                                    .pictures = c->pictures,
                                                    .picture_count = c->policy_count,
                                                    .command = command.data ? command.data : ""},
                       &out);
    int r = out.failed ? emp_fail(err, EMP_E_LIMIT, "report", "the report is too large")
                       : emp_file_write_atomic(file, out.data, out.len, 0644, err);
    emp_buf_release(&command);
    emp_buf_release(&out);
    return r;
}

static void start_pictures(struct run_command *c)
{
    if (!emp_options_has(&c->cli->options, "report"))
        return;
    c->pictures = emp_arena_array(&c->cli->arena, struct emp_measure_picture, c->policy_count);
    for (uint32_t i = 0; i < c->policy_count; i++)
        emp_measure_picture_init(&c->pictures[i]);
}

int emp_sim_run(struct emp_cli *cli, struct emp_error *err)
{
    struct run_command c = {.cli = cli};
    if (cli->options.arg_count != 2)
        return emp_fail(err, EMP_E_INVALID, NULL, "emp sim run SCENARIO: one scenario is needed");
    int r = emp_scenario_load(&c.scenario, cli->options.args[1], err);
    if (r < 0)
        return r;
    if ((r = read_policies(&c, err)) == 0 && (r = read_seeds(&c, err)) == 0)
        r = read_speedup(&c, err);
    c.total = c.policy_count * (uint32_t)(c.last_seed - c.first_seed + 1);
    c.figures = emp_arena_array(&cli->arena, struct emp_measure_figures, c.total);
    start_pictures(&c);
    if (r == 0)
        r = show_assumptions(&c, err);
    for (uint64_t seed = c.first_seed; r == 0 && seed <= c.last_seed; seed++)
        r = run_seed(&c, seed, err);
    emp_progress_clear();
    if (r == 0)
        r = show_figures(&c, err);
    if (r == 0)
        r = write_report(&c, err);
    for (uint32_t i = 0; c.pictures && i < c.policy_count; i++)
        emp_measure_picture_release(&c.pictures[i]);
    emp_scenario_release(&c.scenario);
    return r;
}

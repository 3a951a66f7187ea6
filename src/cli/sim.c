#include "sim/check/check.h"

#include "cli/sim.h"

#include <stdlib.h>

static const struct emp_option options[] = {
    {"seed", 0, "N", "Run this seed alone (run: 1 if nothing is said).", false, NULL},
    {"seeds", 0, "A..B", "Run all seeds from A to B.", false, NULL},
    {"trace-log", 0, NULL, "Print everything that happens (check: with --seed).", false, NULL},
    {"trace", 0, "FILE", "run: replay this trace; else one is generated from the seed.", false,
     NULL},
    {"policy", 0, "A,B", "run: these policies; else all.", false, NULL},
    {"from", 0, "DATE", "run: count from this day on; what comes before warms up.", false, NULL},
    {"to", 0, "DATE", "run: up to and with this day.", false, NULL},
    {"speedup", 0, "X", "run: compress the trace's times by X instead of the scenario's.", false,
     NULL},
    {"json", 0, "FILE", "run: write the figures there.", false, NULL},
    {"data", 0, "DIR", "export: data directory of a broker that does not run.", false, NULL},
    {"broker", 0, "URL", "export: a running broker.", false, NULL},
    {"report", 0, "FILE", "run: one HTML page with the table and drawings.", false, NULL},
    {"job", 0, "N", "replay: only what is about this job, by its number.", false, NULL},
    {"quiet", 0, NULL, "replay: only whether it came out the same.", false, NULL},
    {"out", 0, "FILE", "export: where the trace goes.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

/* Whole numbers from 0; what follows the number goes to *ret_rest. */
static bool number(const char *text, uint64_t *ret, const char **ret_rest)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    *ret = strtoull(text, &end, 10);
    *ret_rest = end;
    return true;
}

bool emp_sim_seed_range(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
    const char *rest;
    return number(text, ret_first, &rest) && rest[0] == '.' && rest[1] == '.' &&
           number(rest + 2, ret_last, &rest) && *rest == '\0' && *ret_first <= *ret_last;
}

bool emp_sim_seed(const char *text, uint64_t *ret)
{
    const char *rest;
    return number(text, ret, &rest) && *rest == '\0';
}

static int check_one(const char *text, bool loud, struct emp_error *err)
{
    struct emp_sim_check_result r;
    uint64_t seed;
    if (!emp_sim_seed(text, &seed))
        return emp_fail(err, EMP_E_INVALID, "seed", "--seed \"%s\" is not a whole number", text);
    emp_sim_check_seed(
        seed, &(struct emp_sim_check_options){.log = loud ? stdout : NULL, .report = stdout}, &r);
    printf("seed %llu: %llu jobs: %llu completed, %llu failed, %llu cancelled; %llu events, "
           "%lld.%03lld s\n"
           "log hash %016llx\n1 seeds, %d violations\n",
           (unsigned long long)seed, (unsigned long long)r.jobs, (unsigned long long)r.completed,
           (unsigned long long)r.failed, (unsigned long long)r.cancelled,
           (unsigned long long)r.events, (long long)r.ended_at / 1000, (long long)r.ended_at % 1000,
           (unsigned long long)r.log_hash, r.violation[0] != '\0');
    return r.violation[0] ? 1 : 0;
}

static int check(struct emp_cli *cli, struct emp_error *err)
{
    const char *seed = emp_options_value(&cli->options, "seed");
    const char *seeds = emp_options_value(&cli->options, "seeds");
    bool loud = emp_options_has(&cli->options, "trace-log");
    uint64_t first, last;
    if (!seed == !seeds || (loud && !seed))
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "one of --seed N [--trace-log], --seeds A..B is needed");
    if (seed)
        return check_one(seed, loud, err);
    if (!emp_sim_seed_range(seeds, &first, &last))
        return emp_fail(err, EMP_E_INVALID, "seeds",
                        "--seeds \"%s\" is not A..B, two whole numbers, A not above B", seeds);
    return emp_sim_check_range(first, last, false, stdout) ? 1 : 0;
}

static const struct {
    const char *word;
    int (*run)(struct emp_cli *cli, struct emp_error *err);
    uint32_t args_max; /* after the word */
} kinds[] = {
    {"check", check, 0},
    {"run", emp_sim_run, 1},
    {"scenarios", emp_sim_scenarios, 1},
    {"export", emp_sim_export, 0},
    {"replay", emp_sim_replay, 1},
};

static int run(struct emp_cli *cli, struct emp_error *err)
{
    const char *word = cli->options.args[0];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].word, word) != 0)
            continue;
        if (cli->options.arg_count - 1 > kinds[i].args_max)
            return emp_fail(err, EMP_E_INVALID, NULL, "emp sim %s: \"%s\" is too much", word,
                            cli->options.args[1 + kinds[i].args_max]);
        return kinds[i].run(cli, err);
    }
    char known[256] = "";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                 kinds[i].word);
    return emp_fail(err, EMP_E_INVALID, NULL, "unknown \"emp sim %s\"; there is: %s", word, known);
}

const struct emp_command emp_command_sim = {
    .name = "sim",
    .args = "check|run|scenarios [SCENARIO]|export|replay FILE",
    .summary = "Simulate the broker and its machines under a virtual clock.",
    .text = "check: random systems under faults, held against an oracle; one seed is one run, and "
            "gives the\nsame log every time. Exit status 1 when something was violated.\n"
            "run: a trace on a scenario's fleet under one or several policies, and what its users "
            "saw.\n"
            "scenarios: lists the built-in ones; with one (or a file of one's own), all that it "
            "assumes.\n"
            "export: a broker's own history as a trace, for emp sim run --trace.\n"
            "replay: a recording of a broker's black box (blackbox.size), decision for decision; "
            "exit status 1 when\nthis build decides otherwise.\n",
    .options = options,
    .args_min = 1,
    .args_max = 2,
    .run = run,
};

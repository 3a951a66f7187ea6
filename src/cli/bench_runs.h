/* What `emp bench` measures: a table of scenarios, each of them one run against a fresh broker. */
#ifndef EMP_CLI_BENCH_RUNS_H
#define EMP_CLI_BENCH_RUNS_H

#include "cli/bench_broker.h"
#include "cli/bench_load.h"

#include <stdint.h>

struct emp_bench_options {
    uint64_t jobs;   /* of a run; 0: the scenario's own number */
    int64_t payload; /* bytes of each job's payload, about */
    uint32_t connections, agents, slots;
    const char *key, *token; /* NULL: none */
};

struct emp_bench_result {
    uint64_t jobs;
    int64_t wall_us;            /* of all of them */
    int64_t broker_us, load_us; /* CPU time; 0: not known */
    struct emp_histogram times; /* of one thing, see the scenario */
};

struct emp_bench;
struct emp_bench_scenario {
    const char *name;
    const char *what;  /* is counted, or timed */
    const char *times; /* what the histogram holds */
    bool timed;        /* the figure is the median time, not the rate */
    uint64_t jobs;
    double aim; /* jobs/s at least, or µs at most */
    int (*run)(struct emp_bench *b, struct emp_bench_result *ret, struct emp_error *err);
};
extern const struct emp_bench_scenario emp_bench_scenarios[]; /* ends with name NULL */

/* One run. A broker of one's own is to be fresh. */
int emp_bench_run(const struct emp_bench_scenario *s, const struct emp_bench_broker *broker,
                  const struct emp_bench_options *o, struct emp_bench_result *ret,
                  struct emp_error *err);
/* The figure of a result: jobs/s, or µs. */
double emp_bench_figure(const struct emp_bench_scenario *s, const struct emp_bench_result *r);

#endif

/* Small runs of the measuring engine: a scenario and a trace as text, a policy by its name, a seed.
 * What such a run says of itself is its figures, and when each job was where. Whoever reads a test
 * should be able to compute what it expects: messages take 25 ms each way, machines are there after
 * 75 ms, nothing else takes time but what the scenario says. */
#ifndef EMP_TESTS_SIM_BENCH_H
#define EMP_TESTS_SIM_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/measure/measure.h"

enum { BENCH_DELAY_MS = 25 };

/* A scenario without chance. A download takes half a second and 10 s a GB. Loads: a base 10 s from
 * the disk, 2 s from RAM. `pools` in the form of a scenario's list. */
#define BENCH_SCENARIO(pools)                                             \
    "like: office\n"                                                      \
    "fleet:\n"                                                            \
    "  pools: [" pools "]\n"                                              \
    "  link_mbit_per_s: {source: by hand, at: [[0, 800], [1, 800]]}\n"    \
    "  fetch_setup_ms: 500\n"                                             \
    "  gpus: [{name: X, share: 1, time: 1, usd_per_h: 0.5}]\n"            \
    "trace: {run_ms_min: 1}\n"                                            \
    "models:\n"                                                           \
    "  base:\n"                                                           \
    "    load_disk_ms: {source: by hand, at: [[0, 10000], [1, 10000]]}\n" \
    "    load_ram_ms: {source: by hand, at: [[0, 2000], [1, 2000]]}\n"
#define BENCH_POOL(name, machines, disk)   \
    "{name: " name ", machines: " machines \
    ", slots: 1, gpu_memory: 1.5gb, ram: 2.5gb, disk: " disk ", jobs: [trace]}"

/* A job, by its number: the order of submission, from 1. Times in ms, -1: it never was there. */
struct bench_job {
    int64_t submitted, assigned, computes, done, ended;
    int32_t machine;   /* of its last attempt */
    uint32_t attempts; /* assignments */
};

struct bench {
    struct emp_scenario scenario;
    struct emp_trace trace;
    struct emp_measure_figures figures;
    struct bench_job *jobs; /* [1 … job_count]; [0] is nobody */
    uint32_t job_count;
    char *log; /* all that happened, a line each */
    size_t log_length;
};

/* `trace` NULL: one is generated from the seed. Both stay until bench_release. */
void bench_init(struct bench *b, const char *scenario, const char *trace, uint64_t seed);
void bench_select(struct bench *b, const char *from, const char *to);
void bench_release(struct bench *b);
/* Fails the test at a violation. Runs after each other on one trace are each other's equals. */
void bench_run(struct bench *b, const char *policy, uint64_t seed);

/* The next line of the log, cut to fit into `text`; false: there is none. *at: 0 at first. */
bool bench_line(const struct bench *b, size_t *at, char *text, size_t size);
/* How many lines of the log have these words in them. */
uint32_t bench_lines(const struct bench *b, const char *words);

#define bench_near(value, expected, by)                                                  \
    do {                                                                                 \
        double v_ = (value), e_ = (expected);                                            \
        if (!(v_ >= e_ - (by) && v_ <= e_ + (by)))                                       \
            fail_msg("%s:%d: %s is %.9g, not %.9g", __FILE__, __LINE__, #value, v_, e_); \
    } while (0)

#endif

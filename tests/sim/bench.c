#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

void bench_init(struct bench *b, const char *scenario, const char *trace, uint64_t seed)
{
    struct emp_error err = {0};
    memset(b, 0, sizeof *b);
    if (emp_scenario_parse(&b->scenario, "tiny.yaml", scenario, strlen(scenario), &err) < 0)
        fail_msg("%s", err.text);
    emp_trace_init(&b->trace);
    int r = 0;
    if (trace)
        r = emp_trace_parse(&b->trace, "tiny.csv", trace, strlen(trace), &err);
    else
        emp_trace_generate(&b->trace, &b->scenario, seed);
    if (r < 0)
        fail_msg("%s", err.text);
    bench_select(b, NULL, NULL);
    if (trace == NULL)
        emp_trace_add_streams(&b->trace, &b->scenario, seed);
}

void bench_select(struct bench *b, const char *from, const char *to)
{
    struct emp_error err = {0};
    if (emp_trace_select(&b->trace, from, to, &err) < 0)
        fail_msg("%s", err.text);
}

void bench_release(struct bench *b)
{
    emp_scenario_release(&b->scenario);
    emp_trace_release(&b->trace);
    free(b->jobs);
    free(b->log);
}

/* ---- the log, read ---- */

static struct bench_job *job_at(struct bench *b, unsigned number)
{
    assert_in_range(number, 1, b->job_count);
    return &b->jobs[number];
}

static void line(struct bench *b, int64_t at, const char *what)
{
    unsigned job, attempt;
    int machine;
    if (sscanf(what, "job %u submitted", &job) == 1 && strstr(what, " submitted")) {
        job_at(b, job)->submitted = at;
    } else if (sscanf(what, "job %u.%u to m%d", &job, &attempt, &machine) == 3) {
        job_at(b, job)->assigned = at;
        job_at(b, job)->machine = machine;
        job_at(b, job)->attempts++;
    } else if (sscanf(what, "computes %u.%u", &job, &attempt) == 2) {
        job_at(b, job)->computes = at;
    } else if (sscanf(what, "has done %u.%u", &job, &attempt) == 2) {
        job_at(b, job)->done = at;
    } else if (sscanf(what, "job %u.%u", &job, &attempt) == 2 && strstr(what, " completed")) {
        job_at(b, job)->ended = at;
    }
}

/* By memchr: what searches for the end of a string measures all of a long log for each line, under
 * sanitizers also strchr. */
bool bench_line(const struct bench *b, size_t *at, char *text, size_t size)
{
    if (*at >= b->log_length)
        return false;
    const char *from = b->log + *at, *end = memchr(from, '\n', b->log_length - *at);
    size_t length = end ? (size_t)(end - from) : b->log_length - *at;
    size_t kept = length < size ? length : size - 1;
    memcpy(text, from, kept);
    text[kept] = '\0';
    *at += length + 1;
    return true;
}

static void read_log(struct bench *b)
{
    double seconds;
    char text[512], what[256];
    for (size_t at = 0; bench_line(b, &at, text, sizeof text);)
        if (sscanf(text, "%lf %*s %255[^\n]", &seconds, what) == 2)
            line(b, (int64_t)(seconds * 1000 + 0.5), what);
}

void bench_run(struct bench *b, const char *policy, uint64_t seed)
{
    char violation[EMP_SIM_VIOLATION_MAX];
    struct emp_measure_run run = {.scenario = &b->scenario,
                                  .trace = &b->trace,
                                  .policy = emp_measure_policy_find(emp_str_z(policy)),
                                  .seed = seed};
    assert_non_null(run.policy);
    free(b->log);
    free(b->jobs);
    b->log = NULL;
    b->job_count = b->trace.job_count - b->trace.history_count;
    b->jobs = calloc((size_t)b->job_count + 1, sizeof *b->jobs);
    assert_non_null(b->jobs);
    for (uint32_t i = 0; i <= b->job_count; i++)
        b->jobs[i] = (struct bench_job){-1, -1, -1, -1, -1, -1, 0};
    run.log = open_memstream(&b->log, &b->log_length);
    assert_non_null(run.log);
    emp_measure(&run, &b->figures, violation);
    fclose(run.log);
    if (violation[0])
        fail_msg("%s, seed %llu: %s", policy, (unsigned long long)seed, violation);
    read_log(b);
}

uint32_t bench_lines(const struct bench *b, const char *words)
{
    uint32_t n = 0;
    char text[512];
    for (size_t at = 0; bench_line(b, &at, text, sizeof text);)
        n += strstr(text, words) != NULL;
    return n;
}

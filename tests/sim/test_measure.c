/* What must hold of every run, whatever the policy. */
#include "bench.h"

#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

/* Small, and with everything that a run can have: three pools, churn, several slots, GPUs that
 * differ, little room. */
static char *scenario_of(uint64_t seed, bool churn, char *text, size_t size)
{
    struct emp_random r;
    emp_random_init(&r, seed);
    uint32_t fast = 1 + (uint32_t)emp_random_below(&r, 2),
             standard = 2 + (uint32_t)emp_random_below(&r, 3),
             slots = 1 + (uint32_t)emp_random_below(&r, 2),
             gpu = 10 + (uint32_t)emp_random_below(&r, 30),
             ram = 8 + (uint32_t)emp_random_below(&r, 30),
             disk = 40 + (uint32_t)emp_random_below(&r, 40),
             jobs = 100 + (uint32_t)emp_random_below(&r, 150);
    snprintf(text, size,
             "like: mixed\n"
             "fleet:\n"
             "  pools:\n"
             "    - {name: fast-lane, machines: %u, slots: %u, gpu_memory: %ugb, ram: %ugb, disk: "
             "%ugb, jobs: [text]}\n"
             "    - {name: standard, machines: %u, slots: 1, gpu_memory: %ugb, ram: %ugb, disk: "
             "%ugb, jobs: [trace]}\n"
             "    - {name: heavy, machines: 2, slots: 1, gpu_memory: 48gb, ram: 64gb, disk: 150gb, "
             "jobs: [video]}\n"
             "churn: {on: %s, outlives: 0, uptime_h: {source: by hand, at: [[0, 0.5], [1, 4]]}}\n"
             "generator: {days: 1, history: 300, jobs_per_workday: %u}\n"
             "text: {jobs_per_hour: 6}\n"
             "video: {jobs_per_hour: 2}\n",
             fast, slots, gpu, ram, disk, standard, gpu, ram, disk, churn ? "true" : "false", jobs);
    return text;
}

static void json_of(const struct bench *b, struct emp_buf *out)
{
    emp_buf_init(out, 1 << 20);
    emp_measure_json(&b->figures, 1, out);
}

static void the_same_four_give_the_same_bytes(void **state)
{
    char text[2048];
    struct bench b;
    (void)state;
    bench_init(&b, scenario_of(1, true, text, sizeof text), NULL, 1);
    for (size_t p = 0; emp_measure_policies[p]; p++) {
        const char *policy = emp_measure_policies[p]->name;
        struct emp_buf first, again, other;
        bench_run(&b, policy, 7);
        json_of(&b, &first);
        char *log = strdup(b.log);
        bench_run(&b, policy, 8); /* and nothing of it is left over */
        json_of(&b, &other);
        bench_run(&b, policy, 7);
        json_of(&b, &again);
        assert_string_equal(first.data, again.data);
        if (strcmp(log, b.log) != 0)
            fail_msg("%s: the log is another", policy);
        const char *hash = strstr(first.data, "\"log_hash\""),
                   *not = strstr(other.data, "\"log_hash\"");
        assert_non_null(hash);
        assert_string_not_equal(hash, not ); /* other machines, another run */
        free(log);
        emp_buf_release(&first);
        emp_buf_release(&again);
        emp_buf_release(&other);
    }
    bench_release(&b);
}

static void another_seed_generates_another_trace(void **state)
{
    char text[2048];
    struct bench a, b, c;
    (void)state;
    scenario_of(1, false, text, sizeof text);
    bench_init(&a, text, NULL, 1);
    bench_init(&b, text, NULL, 1);
    bench_init(&c, text, NULL, 2);
    assert_int_equal(a.trace.job_count, b.trace.job_count);
    assert_memory_equal(a.trace.jobs, b.trace.jobs, a.trace.job_count * sizeof *a.trace.jobs);
    assert_true(a.trace.job_count != c.trace.job_count ||
                memcmp(a.trace.jobs, c.trace.jobs, a.trace.job_count * sizeof *a.trace.jobs) != 0);
    bench_release(&a);
    bench_release(&b);
    bench_release(&c);
}

/* ---- what the log says against what the figures say ---- */

struct told {
    int64_t begun_bytes; /* of all fetches, when they began */
    uint32_t fetched, given_up, evicted;
    uint32_t returned; /* attempts: no room for the models beside those of the other slot's job */
};

static struct told told_by(const struct bench *b)
{
    struct told t = {0};
    char what[160];
    for (size_t at = 0; bench_line(b, &at, what, sizeof what);) {
        long long model, bytes;
        const char *word = strstr(what, "fetches model ");
        if (word && sscanf(word, "fetches model %lld, %lld bytes", &model, &bytes) == 2)
            t.begun_bytes += bytes;
        t.fetched += strstr(what, "  has model ") != NULL || strstr(what, " has model ") != NULL;
        t.given_up += strstr(what, "could not fetch model ") != NULL;
        t.evicted += strstr(what, "evicts model ") != NULL;
        t.returned += strstr(what, "queued again: disk_full") != NULL;
    }
    return t;
}

static void the_log_and_the_figures_agree(const struct bench *b, bool churn)
{
    const struct emp_measure_figures *f = &b->figures;
    struct told t = told_by(b);
    uint32_t attempts = 0;
    double wait = 0, longest = 0;
    for (uint32_t i = 1; i <= b->job_count; i++) {
        const struct bench_job *j = &b->jobs[i];
        double s = (double)(j->computes - j->submitted) / 1000;
        assert_true(j->submitted >= 0 && j->submitted <= j->assigned);
        assert_true(j->assigned + BENCH_DELAY_MS <= j->computes && j->computes < j->done);
        assert_int_equal(j->done + BENCH_DELAY_MS, j->ended);
        attempts += j->attempts;
        wait += s;
        longest = s > longest ? s : longest;
    }
    bench_near(f->wait_s.mean * (double)f->jobs, wait, 1e-3);
    bench_near(f->wait_s.max, longest, 1e-9);
    assert_int_equal(f->fetches, t.fetched);
    if (!churn) {
        assert_int_equal(f->attempts, attempts);
        assert_int_equal(f->attempts_lost, 0);
        if (t.given_up == 0)
            assert_int_equal(f->bytes_fetched, t.begun_bytes);
    }
    assert_true(f->attempts <= attempts); /* one may be lost on its way */
    assert_int_equal(f->attempts_lost + t.returned, f->attempts - f->jobs);
    assert_true(f->bytes_fetched <= t.begun_bytes);
    assert_in_range(f->evictions, 0, t.evicted);
}

static void figures_fit_each_other(const struct bench *b)
{
    const struct emp_measure_figures *f = &b->figures;
    uint64_t tiers = 0, pools = 0, within = 0;
    double disk = 0;
    for (int t = 0; t < EMP_TIER_COUNT; t++)
        tiers += f->by_tier[t].jobs;
    for (uint32_t p = 0; p < f->pool_count; p++) {
        pools += f->pools[p].within_10s.jobs;
        within += f->pools[p].within_10s.within;
        disk = f->pools[p].disk_used > disk ? f->pools[p].disk_used : disk;
    }
    assert_int_equal(f->jobs, b->job_count);
    assert_int_equal(f->completed, f->jobs);
    assert_int_equal(tiers, f->jobs);
    assert_int_equal(pools, f->jobs);
    assert_int_equal(within, f->within_10s.within);
    assert_int_equal(f->within_10s.jobs, f->jobs);
    assert_int_equal(f->first_use.jobs + f->repeat_use.jobs, f->jobs);
    assert_int_equal(f->first_use.within + f->repeat_use.within, f->within_10s.within);
    assert_true(f->hit_gpu.within <= f->hit_resident.within);
    assert_true(f->hit_resident.within <= f->hit_disk.within);
    assert_true(f->hit_disk.within <= f->jobs);
    const struct emp_measure_waits *w = &f->wait_s;
    assert_true(0 < w->p50 && w->p50 <= w->p90 && w->p90 <= w->p95 && w->p95 <= w->p99 &&
                w->p99 <= w->max && w->mean <= w->max);
    assert_true(f->slowdown.p50 >= 1);
    assert_true(f->redundant_bytes >= 0 && f->redundant_bytes <= f->bytes_fetched);
    assert_true(f->busy_hours > 0);
    assert_true(f->busy_hours + f->wasted_gpu_s / 3600 <= f->machine_hours * 2); /* slots */
    assert_true(f->cost_usd >= f->machine_hours * 0.25 && f->cost_usd <= f->machine_hours * 0.3);
    assert_true(disk <= 1);
}

static void every_policy_on_random_fleets(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        bool churn = seed % 2 == 0;
        double bound = 0;
        uint64_t lost = 0;
        char text[2048];
        struct bench b;
        size_t p = 0;
        bench_init(&b, scenario_of(seed, churn, text, sizeof text), NULL, seed);
        while (emp_measure_policies[p])
            p++;
        while (p-- > 0) { /* the bound stands last */
            bench_run(&b, emp_measure_policies[p]->name, seed);
            figures_fit_each_other(&b);
            the_log_and_the_figures_agree(&b, churn);
            lost += b.figures.attempts_lost;
            if (emp_measure_policies[p]->no_models)
                bound = b.figures.wait_s.mean;
            if (b.figures.wait_s.mean < bound)
                fail_msg("seed %llu: %s waits %g s, a queue %g", (unsigned long long)seed,
                         emp_measure_policies[p]->name, b.figures.wait_s.mean, bound);
        }
        assert_true(bound > 0);
        assert_true(lost > 0 || !churn);
        bench_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_four_give_the_same_bytes),
        cmocka_unit_test(another_seed_generates_another_trace),
        cmocka_unit_test(every_policy_on_random_fleets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

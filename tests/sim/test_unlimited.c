/* The bound that nobody can argue with: `unlimited` is a queue and nothing else. Held against one
 * computed here, to the millisecond. */
#include "bench.h"

#include <stdlib.h>

/* Bursts of jobs of every length, on three pools: whatever tells machines or jobs apart would show.
 */
static const char three_pools[] = "like: mixed\n"
                                  "fleet:\n"
                                  "  pools:\n"
                                  "    - {name: fast-lane, machines: 2, slots: 1, gpu_memory: "
                                  "24gb, ram: 32gb, disk: 60gb, jobs: [text]}\n"
                                  "    - {name: standard, machines: 3, slots: 1, gpu_memory: 24gb, "
                                  "ram: 32gb, disk: 90gb, jobs: [trace]}\n"
                                  "    - {name: heavy, machines: 2, slots: 1, gpu_memory: 48gb, "
                                  "ram: 64gb, disk: 200gb, jobs: [video]}\n"
                                  "generator: {days: 1, history: 500, jobs_per_workday: 1500}\n"
                                  "text: {jobs_per_hour: 200}\n"
                                  "video: {jobs_per_hour: 4}\n";

static const char one_pool[] = "like: office\n"
                               "fleet:\n"
                               "  pools:\n"
                               "    - {name: standard, machines: 6, slots: 1, gpu_memory: 24gb, "
                               "ram: 32gb, disk: 90gb, jobs: [trace]}\n"
                               "generator: {days: 1, history: 500, jobs_per_workday: 3000}\n";

/* When each machine is free next. */
static uint32_t first_free(const int64_t *free_at, uint32_t machines)
{
    uint32_t first = 0;
    for (uint32_t i = 1; i < machines; i++)
        if (free_at[i] < free_at[first])
            first = i;
    return first;
}

static uint32_t held_against_a_queue(const char *scenario, uint64_t seed)
{
    struct bench b;
    uint32_t waited = 0;
    bench_init(&b, scenario, NULL, seed);
    bench_run(&b, "unlimited", seed);
    int64_t *free_at = calloc(b.scenario.machines, sizeof *free_at);
    assert_non_null(free_at);
    for (uint32_t i = 0; i < b.scenario.machines; i++)
        free_at[i] = 75; /* until a machine has said hello */
    for (uint32_t i = 1; i <= b.job_count; i++) {
        const struct bench_job *j = &b.jobs[i];
        int64_t *at = &free_at[first_free(free_at, b.scenario.machines)];
        int64_t assigned = *at > j->submitted ? *at : j->submitted;
        if (j->assigned != assigned)
            fail_msg("seed %llu: job %u, submitted at %lld ms, could go at %lld and went at %lld",
                     (unsigned long long)seed, i, (long long)j->submitted, (long long)assigned,
                     (long long)j->assigned);
        assert_int_equal(j->attempts, 1);
        assert_int_equal(j->computes, j->assigned + BENCH_DELAY_MS);
        *at = j->done + BENCH_DELAY_MS;
        waited += assigned > j->submitted;
    }
    free(free_at);
    bench_release(&b);
    return waited;
}

static void nobody_waits_while_a_machine_is_idle(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) /* and there is a queue at times */
        assert_true(held_against_a_queue(one_pool, seed) > 100);
}

static void whatever_the_pools_and_the_lengths(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++)
        assert_true(held_against_a_queue(three_pools, seed) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits_while_a_machine_is_idle),
        cmocka_unit_test(whatever_the_pools_and_the_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

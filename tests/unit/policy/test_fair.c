/* Fairness: a small queue in virtual time, served by rank, one job after the other. */
#include "policy/fair.h"

#include "check.h"

#include <math.h>

enum { FLOWS = 8, JOBS = 6000, SLOTS = 4 };

static const struct emp_settings_fairness settings = {
    .point_ms = 60000,
    .patience_ms = {600000, 300000, 120000},
    .weight = {1, 3, 6},
};

struct job {
    uint32_t flow, class;
    enum emp_tier tier;
    int64_t run_ms, tag, rank;
    bool gone;
};
struct queue {
    struct emp_flow flows[FLOWS];
    int64_t virtual_now;
    uint32_t count, first; /* all before `first` are gone */
    double served_ms[FLOWS];
    struct job jobs[JOBS];
};

static struct queue *empty(void)
{
    static struct queue q;
    q = (struct queue){0};
    return &q;
}

static uint32_t submit(struct queue *q, uint32_t flow, enum emp_tier tier, int64_t run_ms,
                       double priority)
{
    struct job *j = &q->jobs[q->count];
    *j = (struct job){.flow = flow, .tier = tier, .run_ms = run_ms};
    j->tag = emp_fair_tag(&settings, &q->flows[flow], q->virtual_now, tier, run_ms, SLOTS);
    j->rank = emp_fair_rank(&settings, j->tag, priority);
    return q->count++;
}

/* Takes the first by rank and number of the class; JOBS when none waits. */
static uint32_t serve(struct queue *q, uint32_t class)
{
    uint32_t best = JOBS;
    while (q->first < q->count && q->jobs[q->first].gone)
        q->first++;
    for (uint32_t i = q->first; i < q->count; i++)
        if (!q->jobs[i].gone && q->jobs[i].class == class &&
            (best == JOBS || q->jobs[i].rank < q->jobs[best].rank))
            best = i;
    if (best == JOBS)
        return best;
    struct job *j = &q->jobs[best];
    j->gone = true;
    q->served_ms[j->flow] += (double)j->run_ms;
    q->virtual_now = emp_fair_clock(&settings, q->virtual_now, j->tag, j->tier, j->run_ms, SLOTS);
    return best;
}

/* Everybody has a backlog: service is shared as the weights, whatever the lengths of the jobs. */
static void shares_converge_to_weights(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 1);
    for (int n_case = 0; n_case < 10; n_case++) {
        struct queue *q = empty();
        static const enum emp_tier tiers[] = {EMP_TIER_FREE, EMP_TIER_PREMIUM, EMP_TIER_ENTERPRISE,
                                              EMP_TIER_FREE};
        double length[COUNT(tiers)], total = 0;
        for (uint32_t f = 0; f < COUNT(tiers); f++)
            length[f] = exp(uniform(&r, log(2000), log(60000)));
        for (double backlog_ms[COUNT(tiers)] = {0}, f_ms = 1e6; q->count < JOBS - 1;) {
            bool all = true;
            for (uint32_t f = 0; f < COUNT(tiers) && q->count < JOBS; f++) {
                if (backlog_ms[f] >= f_ms * settings.weight[tiers[f]])
                    continue;
                int64_t run = 1 + (int64_t)uniform(&r, 0.5 * length[f], 1.5 * length[f]);
                backlog_ms[f] += (double)run;
                submit(q, f, tiers[f], run, 50);
                all = false;
            }
            if (all)
                break;
        }
        bool backlog = true; // until the first flow runs dry
        while (backlog && serve(q, 0) != JOBS) {
            bool waits[COUNT(tiers)] = {false};
            for (uint32_t i = q->count; i-- > q->first;)
                waits[q->jobs[i].flow] |= !q->jobs[i].gone;
            for (uint32_t f = 0; f < COUNT(tiers); f++)
                backlog &= waits[f];
        }
        for (uint32_t f = 0; f < COUNT(tiers); f++)
            total += q->served_ms[f];
        for (uint32_t f = 0; f < COUNT(tiers); f++) {
            double fair = total * settings.weight[tiers[f]] / 11;
            check_case(n_case, fabs(q->served_ms[f] - fair) < 0.01 * total + 3 * 1.5 * length[f]);
        }
    }
}

/* A job of 5 ms on a fleet of 1,000 slots is spaced by 0.005 ms or less: rounding must not blur who
 * uses how much. */
static void short_jobs_on_large_fleets_count_exactly(void **state)
{
    (void)state;
    struct emp_flow shorts = {0}, longs = {0};
    for (int i = 0; i < 1000000; i++)
        emp_fair_tag(&settings, &shorts, 0, EMP_TIER_ENTERPRISE, 5, 1000);
    for (int i = 0; i < 100; i++)
        emp_fair_tag(&settings, &longs, 0, EMP_TIER_ENTERPRISE, 50000, 1000);
    assert_in_range(shorts.next_tag, 832, 834);
    assert_in_range(longs.next_tag, 832, 834);
}

/* k customers flood the queue with thousands; one who comes later waits for at most one job of
 * each. */
static void a_flood_does_not_delay_a_newcomer(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 2);
    for (int n_case = 0; n_case < 40; n_case++) {
        struct queue *q = empty();
        uint32_t floods = 1 + (uint32_t)emp_random_below(&r, FLOWS - 1);
        int64_t run = 100 + (int64_t)emp_random_below(&r, 60000);
        for (uint32_t i = 0; i < 600; i++)
            for (uint32_t f = 0; f < floods; f++)
                submit(q, f, EMP_TIER_FREE, run, 50);
        for (uint64_t served = emp_random_below(&r, 300); served > 0; served--)
            serve(q, 0);
        uint32_t before = 0, newcomer = submit(q, FLOWS - 1, EMP_TIER_FREE, run, 50);
        while (serve(q, 0) != newcomer)
            before++;
        check_case(n_case, before <= floods + 1);
    }
}

/* The flooder also has jobs for a machine that would be idle without them. They run at once, with
 * far tags; that does not push newcomers behind the flood. */
static void work_done_early_does_not_carry_the_clock_away(void **state)
{
    (void)state;
    struct queue *q = empty();
    for (uint32_t i = 0; i < 5000; i++)
        submit(q, 0, EMP_TIER_FREE, 10000, 50);
    for (uint32_t i = 0; i < 20; i++) {
        q->jobs[submit(q, 0, EMP_TIER_FREE, 10000, 50)].class = 1;
        serve(q, 1);
        serve(q, 0);
    }
    uint32_t before = 0, newcomer = submit(q, 1, EMP_TIER_FREE, 10000, 50);
    while (serve(q, 0) != newcomer)
        before++;
    assert_true(before <= 21); // at most what ran early is owed to nobody
}

/* Whoever was idle gets no credit for it: he shares from now on, he does not take over. */
static void idleness_earns_no_credit(void **state)
{
    (void)state;
    struct queue *q = empty();
    submit(q, 1, EMP_TIER_FREE, 1000, 50);
    for (uint32_t i = 0; i < 4000; i++)
        submit(q, 0, EMP_TIER_FREE, i % 7 ? 1000 : 9000, 50);
    for (int i = 0; i < 2000; i++)
        serve(q, 0);
    for (uint32_t i = 0; i < 1000; i++)
        submit(q, 1, EMP_TIER_FREE, 1000, 50);
    double served[2] = {q->served_ms[0], q->served_ms[1]};
    for (int i = 0; i < 500; i++)
        serve(q, 0);
    double ratio = (q->served_ms[1] - served[1]) / (q->served_ms[0] - served[0]);
    assert_true(ratio > 0.9 && ratio < 1.1);
}

static void first_in_first_out_within_customer_and_priority(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 3);
    for (int n_case = 0; n_case < 20; n_case++) {
        struct queue *q = empty();
        uint32_t last[FLOWS] = {0};
        double priority[2] = {uniform(&r, -100, 100), uniform(&r, -100, 100)};
        for (int i = 0; i < 1500; i++) {
            uint32_t level = (uint32_t)emp_random_below(&r, 2),
                     flow = (uint32_t)emp_random_below(&r, FLOWS / 2);
            submit(q, flow * 2 + level, EMP_TIER_PREMIUM, (int64_t)emp_random_below(&r, 90000),
                   priority[level]);
            if (emp_random_below(&r, 3) == 0) {
                uint32_t s = serve(q, 0);
                check_case(n_case, s >= last[q->jobs[s].flow]);
                last[q->jobs[s].flow] = s;
            }
        }
        for (uint32_t s; (s = serve(q, 0)) != JOBS;) {
            check_case(n_case, s >= last[q->jobs[s].flow]);
            last[q->jobs[s].flow] = s;
        }
    }
}

static void priority_goes_first_and_waiting_ages(void **state)
{
    (void)state;
    struct queue *q = empty();
    uint32_t low = submit(q, 0, EMP_TIER_FREE, 10000, 40), late = 0;
    /* a stream of higher priority that would occupy the fleet for ever: SLOTS jobs of 10 s are 10 s
     * of virtual time */
    for (int64_t submitted = 0; late == 0; submitted++) {
        submit(q, 1, EMP_TIER_FREE, 10000, 50);
        submit(q, 1, EMP_TIER_FREE, 10000, 50);
        uint32_t s = serve(q, 0);
        if (s == low)
            late = q->count;
        assert_true(submitted < 10000);
    }
    double waited_ms = q->served_ms[1] / SLOTS;
    assert_true(waited_ms > 9 * 60000.0 && waited_ms < 11 * 60000.0); // ten points are ten minutes
}

static void overdue(void **state)
{
    (void)state;
    assert_false(emp_fair_overdue(&settings, EMP_TIER_FREE, 599999));
    assert_true(emp_fair_overdue(&settings, EMP_TIER_FREE, 600000));
    assert_true(emp_fair_overdue(&settings, EMP_TIER_ENTERPRISE, 120000));
    assert_false(emp_fair_overdue(&settings, EMP_TIER_PREMIUM, INT64_MIN));
}

static void extremes_saturate(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    static const double priorities[] = {-INFINITY, -1e300, -1, 0, 1, 1e300, INFINITY};
    struct emp_settings_fairness odd = {.point_ms = INT64_MAX, .weight = {0, NAN, -INFINITY}};
    for (size_t i = 0; i < COUNT(times); i++) {
        int64_t last = INT64_MAX;
        for (size_t p = 0; p < COUNT(priorities); p++) { // more priority, never a later rank
            int64_t rank = emp_fair_rank(&odd, times[i], priorities[p]);
            check_case(i, rank <= last);
            last = rank;
        }
        check_case(i, emp_fair_rank(&settings, times[i], NAN) == times[i]);
        for (size_t k = 0; k < COUNT(times); k++) {
            struct emp_flow flow = {.next_tag = times[i]};
            int64_t tag = emp_fair_tag(&odd, &flow, times[k], EMP_TIER_PREMIUM, times[k], 0);
            check_case(i,
                       tag == (times[i] > times[k] ? times[i] : times[k]) && flow.next_tag >= tag);
            int64_t clock =
                emp_fair_clock(&odd, times[i], times[k], EMP_TIER_FREE, times[k], UINT32_MAX);
            check_case(i, clock >= times[i] && (clock <= times[k] || clock == times[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_converge_to_weights),
        cmocka_unit_test(short_jobs_on_large_fleets_count_exactly),
        cmocka_unit_test(a_flood_does_not_delay_a_newcomer),
        cmocka_unit_test(work_done_early_does_not_carry_the_clock_away),
        cmocka_unit_test(idleness_earns_no_credit),
        cmocka_unit_test(first_in_first_out_within_customer_and_priority),
        cmocka_unit_test(priority_goes_first_and_waiting_ages),
        cmocka_unit_test(overdue),
        cmocka_unit_test(extremes_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

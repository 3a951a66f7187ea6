/* Routing terms: by hand on one example, then monotone in every fact and bounded on absurd ones. */
#include "policy/policy.h"
#include "policy/route.h"

#include "check.h"

#include <math.h>

#define GB     (1000LL * 1000 * 1000)
#define HOUR   (3600LL * 1000)
#define SECOND 1000000LL /* terms are in microseconds */

static const struct emp_settings_routing settings = {
    .pool_quantile = 0.8,
    .longer_job_weight = 1,
    .warm_wait_ms_max = 120000,
    .link_bytes_per_s = 25000000,
    .load_bytes_per_s = 300000000,
    .ram_load_bytes_per_s = 2500000000,
    .run_delta_weight = 1.0,
    .spare_weight = 0.5,
    .displacement_weight = 1,
    .hazard_per_hour = 0.0108,
    .failure_weight_ms = 30000,
};

static struct emp_route_facts idle(void)
{
    return (struct emp_route_facts){.run_ms = 20000,
                                    .speed = 1,
                                    .own_pool = true,
                                    .pool_run_ms_max = EMP_NEVER,
                                    .age_ms = 30 * 24 * HOUR,
                                    .slots = 1};
}

static struct emp_route_terms terms(const struct emp_route_facts *f)
{
    struct emp_route_terms t;
    emp_route_terms(&settings, f, &t);
    return t;
}

static int64_t cost(const struct emp_route_facts *f)
{
    struct emp_route_terms t = terms(f);
    return emp_route_cost(&t);
}

static void by_hand(void **state)
{
    (void)state;
    struct emp_route_facts f = idle();
    f.slot_free_ms = 4000;
    f.fetch_bytes = 6 * GB;
    f.missing_bytes = 5 * GB;
    f.link_bytes_per_s = 100000000;
    f.load_ms = 22000;
    f.speed = 1.5;
    f.own_pool = false;
    f.pool_penalty_ms = 7000;
    f.displaced_ms = 3000;
    struct emp_route_terms t = terms(&f);
    assert_int_equal(t.slot_free, 4 * SECOND);
    assert_int_equal(t.fetch, 60 * SECOND);
    assert_int_equal(t.load, 22 * SECOND);
    assert_int_equal(t.run_delta, 10 * SECOND);
    assert_int_equal(t.pool_penalty, 7 * SECOND);
    assert_int_equal(t.displacement, 3 * SECOND);
    assert_in_range(t.risk, 1, SECOND / 10); // an old machine, two minutes

    f.link_bytes_per_s = 0; // not measured: assumed
    assert_int_equal(terms(&f).fetch, 240 * SECOND);
    f.pool_run_ms_max = 20000; // and the job is too long for that pool: its run of 30 s on top
    assert_int_equal(terms(&f).pool_penalty, 37 * SECOND);
    f.own_pool = true;
    assert_int_equal(terms(&f).pool_penalty, 0);
}

static void a_promise_that_would_be_broken_has_its_price(void **state)
{
    (void)state;
    struct emp_settings_routing s = settings;
    struct emp_route_facts f = idle();
    struct emp_route_terms t, before;
    s.promise_ms = 10000;
    s.late_ms = 40000;
    emp_route_terms(&s, &f, &before);
    f.load_ms = 5000; // half of it: nothing yet
    emp_route_terms(&s, &f, &t);
    assert_true(t.risk - before.risk < SECOND / 10);
    f.waited_ms = 5000; // together what is promised: half the price
    emp_route_terms(&s, &f, &t);
    assert_in_range(t.risk - before.risk, 20 * SECOND, 20 * SECOND + SECOND / 10);
    f.waited_ms = 600000;
    emp_route_terms(&s, &f, &t);
    assert_in_range(t.risk - before.risk, 40 * SECOND, 40 * SECOND + SECOND / 10);
}

static void nothing_to_do_costs_nothing(void **state)
{
    (void)state;
    struct emp_route_facts f = idle();
    struct emp_route_terms t = terms(&f);
    assert_int_equal(t.slot_free + t.fetch + t.load + t.run_delta + t.pool_penalty + t.displacement,
                     0);
    assert_true(t.risk < SECOND / 100);
}

static void a_busy_warm_machine_may_beat_an_idle_cold_one(void **state)
{
    (void)state;
    struct emp_route_facts warm = idle(), cold = idle();
    warm.slot_free_ms = 30000;
    cold.fetch_bytes = cold.missing_bytes = 7 * GB; // 280 s over the assumed link
    assert_true(cost(&warm) < cost(&cold));
    warm.slot_free_ms = 600000;
    assert_true(cost(&warm) > cost(&cold));
}

static void a_short_job_in_a_heavy_pool_is_not_a_long_job_in_a_fast_one(void **state)
{
    (void)state;
    struct emp_route_facts visit = idle(), block = idle();
    visit.own_pool = block.own_pool = false;
    visit.pool_penalty_ms = block.pool_penalty_ms = 5000;
    visit.run_ms = 2000;
    visit.pool_run_ms_max = EMP_NEVER;
    block.run_ms = 600000;
    block.pool_run_ms_max = 30000;
    assert_int_equal(terms(&visit).pool_penalty, 5 * SECOND);
    visit.pool_run_ms_min = 20000; // a tenth of what belongs there: it is soon out of the way
    assert_int_equal(terms(&visit).pool_penalty, SECOND / 2);
    assert_int_equal(terms(&block).pool_penalty, 605 * SECOND);
}

static void long_jobs_prefer_old_machines(void **state)
{
    (void)state;
    struct emp_route_facts young = idle(), old = idle();
    young.age_ms = HOUR;
    old.age_ms = 72 * HOUR;
    young.run_ms = old.run_ms = 3 * HOUR;
    int64_t gain_long = cost(&young) - cost(&old);
    young.run_ms = old.run_ms = 5000;
    assert_true(gain_long > 60 * SECOND && cost(&young) - cost(&old) < SECOND / 1000);
}

static void another_machine_is_preferred_after_a_failure(void **state)
{
    (void)state;
    struct emp_route_facts here = idle(), there = idle();
    here.failed_this_job = true;
    here.failure_rate = 0.125;
    there.slot_free_ms = 40000; // even busy
    assert_true(cost(&there) < cost(&here));
    there.fetch_bytes = there.missing_bytes = 20 * GB; // but not at any price
    assert_true(cost(&there) > cost(&here));
}

static void hazard_falls_with_age(void **state)
{
    (void)state;
    double last = emp_route_hazard_per_hour(&settings, INT64_MIN);
    assert_true(fabs(last - 3 * 0.0108) < 1e-9);
    assert_true(fabs(emp_route_hazard_per_hour(&settings, 2 * HOUR) - last) < 1e-9);
    for (int64_t age = 0; age < 400 * HOUR; age += HOUR / 3) {
        double now = emp_route_hazard_per_hour(&settings, age);
        assert_true(now <= last);
        last = now;
    }
    assert_true(emp_route_hazard_per_hour(&settings, 72 * HOUR) < 0.0108 * 0.42);
    assert_true(emp_route_hazard_per_hour(&settings, INT64_MAX) >= 0.0108 / 3);
    assert_true(emp_route_hazard_per_hour(&settings, INT64_MAX) < 0.0108 * 0.34);
}

/* ---- every fact, up: may a cost fall, or rise? ---- */

static struct emp_route_facts random_facts(struct emp_random *r)
{
    return (struct emp_route_facts){
        .slot_free_ms = (int64_t)exp(uniform(r, 0, 15)),
        .fetch_bytes = (int64_t)exp(uniform(r, 0, 26)),
        .missing_bytes = emp_random_below(r, 2) ? 0 : (int64_t)exp(uniform(r, 0, 26)),
        .link_bytes_per_s = emp_random_below(r, 4) ? (int64_t)exp(uniform(r, 8, 20)) : 0,
        .load_ms = (int64_t)exp(uniform(r, 0, 16)),
        .run_ms = (int64_t)exp(uniform(r, 0, 21)),
        .speed = exp(uniform(r, -1, 1)),
        .own_pool = emp_random_below(r, 2),
        .pool_penalty_ms = (int64_t)exp(uniform(r, 0, 12)),
        .pool_run_ms_min = emp_random_below(r, 2) ? 0 : (int64_t)exp(uniform(r, 5, 18)),
        .pool_run_ms_max = emp_random_below(r, 3) ? (int64_t)exp(uniform(r, 5, 18)) : EMP_NEVER,
        .displaced_ms = (int64_t)exp(uniform(r, 0, 14)),
        .waited_ms = (int64_t)exp(uniform(r, 0, 14)),
        .age_ms = (int64_t)exp(uniform(r, 0, 22)),
        .failure_rate = emp_random_unit(r),
        .failed_this_job = emp_random_below(r, 2),
        .slots = 1,
    };
}

enum { INTEGER, REAL, TRUTH };
static const struct fact {
    const char *name;
    size_t at;
    int kind;
    int cost; /* of more of it: 1 never less, -1 never more, 0 see `all_terms` */
} facts[] = {
#define FACT(name, kind, cost)                                    \
    {                                                             \
#name, offsetof(struct emp_route_facts, name), kind, cost \
    }
    FACT(slot_free_ms, INTEGER, 1),
    FACT(fetch_bytes, INTEGER, 1),
    FACT(missing_bytes, INTEGER, 1),
    FACT(load_ms, INTEGER, 1),
    FACT(speed, REAL, 1),
    FACT(own_pool, TRUTH, -1),
    FACT(pool_penalty_ms, INTEGER, 1),
    FACT(pool_run_ms_max, INTEGER, -1),
    FACT(pool_run_ms_min, INTEGER, -1),
    FACT(displaced_ms, INTEGER, 1),
    FACT(waited_ms, INTEGER, 1),
    FACT(age_ms, INTEGER, -1),
    FACT(failure_rate, REAL, 1),
    FACT(failed_this_job, TRUTH, 1),
    FACT(run_ms, INTEGER, 0),
    FACT(link_bytes_per_s, INTEGER, -1),
#undef FACT
};

static void raise_fact(struct emp_route_facts *f, const struct fact *fact, struct emp_random *r)
{
    char *at = (char *)f + fact->at;
    if (fact->kind == TRUTH) {
        *(bool *)at = true;
    } else if (fact->kind == REAL) {
        *(double *)at += exp(uniform(r, -20, 3));
    } else {
        int64_t *n = (int64_t *)at, more = (int64_t)exp(uniform(r, 0, 26));
        *n = __builtin_add_overflow(*n, more, &more) ? INT64_MAX : more;
    }
}

static int direction(int64_t before, int64_t after)
{
    return (after > before) - (after < before);
}

static void each_term_is_monotone_in_each_fact(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 6);
    for (long n_case = 0; n_case < 100000; n_case++) {
        const struct fact *fact = &facts[emp_random_below(&r, COUNT(facts))];
        struct emp_route_facts f = random_facts(&r), g;
        if (fact->at == offsetof(struct emp_route_facts, link_bytes_per_s))
            f.link_bytes_per_s |= 1; // 0 means not known: no part of the order
        g = f;
        raise_fact(&g, fact, &r);
        struct emp_route_terms a = terms(&f), b = terms(&g);
        const int64_t moves[] = {direction(a.slot_free, b.slot_free),
                                 direction(a.fetch, b.fetch),
                                 direction(a.load, b.load),
                                 direction(a.run_delta, b.run_delta),
                                 direction(a.pool_penalty, b.pool_penalty),
                                 direction(a.displacement, b.displacement),
                                 direction(a.risk, b.risk)};
        for (size_t i = 0; i < COUNT(moves); i++)
            if (fact->cost != 0 && moves[i] == -fact->cost)
                fail_msg("case %ld: more %s moves term %zu the wrong way", n_case, fact->name, i);
        if (fact->cost == 0) { // a longer run: dearer, but for what a faster machine gains by it
            check_case(n_case, moves[4] >= 0 && moves[6] >= 0);
            check_case(n_case, f.speed >= 1 ? moves[3] >= 0 : moves[3] <= 0);
        }
    }
}

static void absurd_facts_stay_in_range(void **state)
{
    (void)state;
    static const int64_t integers[] = {INT64_MIN, -1, 0, 1, EMP_BYTES_MAX, INT64_MAX};
    static const double reals[] = {-INFINITY, -1, 0, 1e-300, 1, 1e300, INFINITY, NAN};
    const int64_t most = 1000000000LL * SECOND;
    struct emp_random r;
    emp_random_init(&r, 7);
    for (long n_case = 0; n_case < 100000; n_case++) {
        struct emp_route_facts f = {0};
        for (size_t i = 0; i < COUNT(facts); i++) {
            char *at = (char *)&f + facts[i].at;
            if (facts[i].kind == TRUTH)
                *(bool *)at = emp_random_below(&r, 2);
            else if (facts[i].kind == REAL)
                *(double *)at = reals[emp_random_below(&r, COUNT(reals))];
            else
                *(int64_t *)at = integers[emp_random_below(&r, COUNT(integers))];
        }
        struct emp_settings_routing s = {
            .longer_job_weight = reals[emp_random_below(&r, COUNT(reals))],
            .link_bytes_per_s = integers[emp_random_below(&r, COUNT(integers))],
            .load_bytes_per_s = integers[emp_random_below(&r, COUNT(integers))],
            .ram_load_bytes_per_s = integers[emp_random_below(&r, COUNT(integers))],
            .displacement_weight = reals[emp_random_below(&r, COUNT(reals))],
            .spare_weight = reals[emp_random_below(&r, COUNT(reals))],
            .run_delta_weight = reals[emp_random_below(&r, COUNT(reals))],
            .promise_ms = integers[emp_random_below(&r, COUNT(integers))],
            .late_ms = integers[emp_random_below(&r, COUNT(integers))],
            .hazard_per_hour = reals[emp_random_below(&r, COUNT(reals))],
            .failure_weight_ms = reals[emp_random_below(&r, COUNT(reals))],
        };
        struct emp_route_terms t;
        emp_route_terms(&s, &f, &t);
        const int64_t never_negative[] = {t.slot_free,    t.fetch,        t.load,
                                          t.pool_penalty, t.displacement, t.risk};
        for (size_t i = 0; i < COUNT(never_negative); i++)
            check_case(n_case, never_negative[i] >= 0 && never_negative[i] <= most);
        check_case(n_case, t.run_delta >= -most && t.run_delta <= most);
        int64_t sum = emp_route_cost(&t);
        check_case(n_case, sum >= -most && sum <= 7 * most);
        int64_t spare = emp_route_spare(&s, &t, integers[emp_random_below(&r, COUNT(integers))],
                                        integers[emp_random_below(&r, COUNT(integers))]);
        check_case(n_case, spare >= -most && spare <= most);
    }
}

static void a_spare_is_worth_what_it_saves_less_what_it_costs(void **state)
{
    (void)state;
    struct emp_route_terms there = {
        .fetch = 80 * SECOND, .load = 20 * SECOND, .displacement = 2 * SECOND};
    // saved: half of 60 s - 20 s; the effort: 3 % of 100 s; and 2 s of others'
    assert_int_equal(emp_route_spare(&settings, &there, 60000, 20000), 15 * SECOND);
    assert_true(emp_route_spare(&settings, &there, 10000, 10000) < 0);
}

static void the_default_policy_is_this_one(void **state)
{
    (void)state;
    assert_true(emp_policy_default.terms == emp_route_terms && emp_policy_default.may_wait);
    assert_string_equal(emp_policy_default.name, "estimated-start");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(a_promise_that_would_be_broken_has_its_price),
        cmocka_unit_test(nothing_to_do_costs_nothing),
        cmocka_unit_test(a_busy_warm_machine_may_beat_an_idle_cold_one),
        cmocka_unit_test(a_short_job_in_a_heavy_pool_is_not_a_long_job_in_a_fast_one),
        cmocka_unit_test(long_jobs_prefer_old_machines),
        cmocka_unit_test(another_machine_is_preferred_after_a_failure),
        cmocka_unit_test(hazard_falls_with_age),
        cmocka_unit_test(each_term_is_monotone_in_each_fact),
        cmocka_unit_test(absurd_facts_stay_in_range),
        cmocka_unit_test(a_spare_is_worth_what_it_saves_less_what_it_costs),
        cmocka_unit_test(the_default_policy_is_this_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The forecast: on demand made of known laws, its intervals must hold what they promise; parts add
 * up; it knows nothing that it was not told yet; and what must hold always. */
#include "policy/forecast.h"

#include "check.h"
#include "policy/forecast_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOUR  ((int64_t)EMP_USAGE_HOUR_MS)
#define DAY   ((int64_t)EMP_USAGE_DAY_MS)
#define START (20000 * DAY)

struct fixture {
    struct emp_arena arena;
    struct emp_usage usage;
    struct emp_forecast forecast;
    struct emp_random random;
};

static void begin(struct fixture *f, uint64_t seed)
{
    emp_arena_init(&f->arena, 0);
    emp_usage_init(&f->usage, &f->arena, NULL);
    emp_forecast_init(&f->forecast, &f->arena, &f->usage);
    emp_random_init(&f->random, seed);
}

static void end(struct fixture *f)
{
    emp_arena_release(&f->arena);
}

static void use(struct fixture *f, emp_wall_ms at, const char *base, const char *lora)
{
    struct emp_str models[2] = {emp_str_z(base), emp_str_z(lora)};
    struct emp_str kinds[2] = {EMP_STR("checkpoint"), EMP_STR("lora")};
    emp_usage_observe(&f->usage, &(struct emp_usage_event){.at = at,
                                                           .models = models,
                                                           .groups = kinds,
                                                           .model_count = lora ? 2 : 1,
                                                           .pool = EMP_STR("fast")});
}

static uint32_t poisson(struct emp_random *r, double mean)
{
    double limit = exp(-mean), product = emp_random_unit(r);
    uint32_t n = 0;
    for (; product > limit; n++)
        product *= emp_random_unit(r);
    return n;
}

static double by_hour(int64_t hour, double mean)
{
    return mean * (1 + 0.9 * sin(6.2831853 * (double)(hour % 24) / 24));
}

static const char *name_of(int i)
{
    static char names[100][16];
    snprintf(names[i], sizeof names[i], "m%d", i);
    return names[i];
}

enum { MODELS = 12 };

/* One hour of Poisson demand: model i has a mean of about 0.2 to 13 an hour. */
static void make_hour(struct fixture *f, int64_t hour, uint32_t came[MODELS])
{
    for (int i = 0; i < MODELS; i++) {
        came[i] = poisson(&f->random, by_hour(hour, 0.2 * pow(1.46, i)));
        for (uint32_t k = 0; k < came[i]; k++)
            use(f, START + hour * HOUR + (int64_t)emp_random_below(&f->random, (uint64_t)HOUR),
                name_of(i), NULL);
    }
}

static uint32_t series_of(const struct fixture *f, const char *name)
{
    return emp_usage_find(&f->usage, EMP_USAGE_KIND_MODEL, emp_str_z(name));
}

static void check_one(long n_case, const struct emp_forecast_one *one)
{
    check_case(n_case, one->expected >= 0 && isfinite(one->expected));
    check_case(n_case, one->any >= 0 && one->any <= 1);
    check_case(n_case, one->confidence >= 0 && one->confidence <= 1);
    for (int i = 0; i < EMP_FORECAST_QUANTILES; i++)
        check_case(n_case, one->quantiles[i] >= (i ? one->quantiles[i - 1] : 0) &&
                               isfinite(one->quantiles[i]));
}

/* Of the probability that the law gives to [0.1, 0.9], the share that came (see the CLI's eval). */
static double inside(double below, double upto)
{
    return fmax(0, fmin(0.9, upto) - fmax(0.1, below)) / (upto - below);
}

static void poisson_demand_is_covered_as_promised(void **state)
{
    (void)state;
    struct fixture f;
    double covered = 0, cells = 0, error = 0, naive = 0, any = 0, said_any = 0, mean = 0,
           came_all = 0;
    uint32_t came[MODELS], before[MODELS] = {0};
    begin(&f, 1);
    for (int64_t hour = 0; hour < 21 * 24; hour++) {
        emp_wall_ms now = START + hour * HOUR;
        struct emp_forecast_one one[MODELS];
        double upto[MODELS][40];
        emp_forecast_update(&f.forecast, now);
        for (int i = 0; i < MODELS; i++) {
            uint32_t n = series_of(&f, name_of(i));
            emp_forecast_of(&f.forecast, n, EMP_FORECAST_1_HOUR, now, &one[i]);
            check_one(hour, &one[i]);
            for (int y = 0; y < 40; y++)
                upto[i][y] = emp_forecast_below(&f.forecast, n, EMP_FORECAST_1_HOUR, now, y);
        }
        make_hour(&f, hour, came);
        for (int i = 0; i < MODELS && hour >= 14 * 24; i++) {
            int y = came[i] < 39 ? (int)came[i] : 39;
            covered += inside(y ? upto[i][y - 1] : 0, upto[i][y]);
            cells++;
            error += fabs(came[i] - one[i].quantiles[3]);
            naive += fabs((double)came[i] - before[i]);
            any += came[i] > 0;
            said_any += one[i].any;
            mean += one[i].expected;
            came_all += came[i];
        }
        memcpy(before, came, sizeof came);
    }
    covered /= cells;
    assert_true(covered > 0.76 && covered < 0.84);
    assert_true(error < 0.75 * naive);
    assert_true(fabs(any - said_any) < 0.05 * cells);
    assert_true(fabs(mean - came_all) < 0.1 * came_all);
    end(&f);
}

static void longer_windows_expect_more(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t came[MODELS];
    begin(&f, 2);
    for (int64_t hour = 0; hour < 15 * 24; hour++)
        make_hour(&f, hour, came);
    emp_wall_ms now = START + 15 * DAY;
    emp_forecast_update(&f.forecast, now);
    double truth = 0;
    for (int h = 0; h < 24; h++)
        truth += by_hour(h, 0.2 * pow(1.46, MODELS - 1));
    struct emp_forecast_one one[EMP_FORECAST_WINDOWS];
    for (int w = 0; w < EMP_FORECAST_WINDOWS; w++) {
        emp_forecast_of(&f.forecast, series_of(&f, name_of(MODELS - 1)), w, now, &one[w]);
        check_one(w, &one[w]);
        assert_true(w == 0 || one[w].expected > one[w - 1].expected);
        assert_true(w == 0 || one[w].any >= one[w - 1].any - 0.02);
    }
    double day = one[EMP_FORECAST_24_HOURS].expected, six = one[EMP_FORECAST_6_HOURS].expected;
    assert_true(fabs(day - truth) < 0.2 * truth);
    double first = 0;
    for (int h = 0; h < 6; h++)
        first += by_hour(h, 0.2 * pow(1.46, MODELS - 1));
    assert_true(fabs(six - first) < 0.3 * first);
    end(&f);
}

/* Two logs that differ only in what comes after `now` give the same forecast. */
static void the_future_is_not_known(void **state)
{
    (void)state;
    struct fixture f, g;
    uint32_t came[MODELS];
    begin(&f, 3);
    begin(&g, 3);
    for (int64_t hour = 0; hour < 5 * 24; hour++) {
        make_hour(&f, hour, came);
        make_hour(&g, hour, came);
    }
    emp_wall_ms now = START + 5 * DAY;
    for (int k = 0; k < 500; k++)
        use(&g, now + k * 1000, k % 2 ? "m0" : "newcomer", NULL);
    emp_forecast_update(&f.forecast, now);
    emp_forecast_update(&g.forecast, now);
    for (int i = 0; i < MODELS; i++)
        for (int w = 0; w < EMP_FORECAST_WINDOWS; w++) {
            struct emp_forecast_one a, b;
            emp_forecast_of(&f.forecast, series_of(&f, name_of(i)), w, now, &a);
            emp_forecast_of(&g.forecast, series_of(&g, name_of(i)), w, now, &b);
            assert_memory_equal(&a, &b, sizeof a);
        }
    end(&f);
    end(&g);
}

/* Hour by hour, or all at once after a restart: the same. */
static void a_restart_changes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct emp_forecast late;
    uint32_t came[MODELS];
    begin(&f, 4);
    for (int64_t hour = 0; hour < 7 * 24; hour++) {
        emp_forecast_update(&f.forecast, START + hour * HOUR);
        make_hour(&f, hour, came);
    }
    emp_wall_ms now = START + 7 * DAY;
    emp_forecast_update(&f.forecast, now);
    emp_forecast_init(&late, &f.arena, &f.usage);
    emp_forecast_update(&late, now);
    for (int i = 0; i < MODELS; i++) {
        struct emp_forecast_one a, b;
        emp_forecast_of(&f.forecast, series_of(&f, name_of(i)), EMP_FORECAST_1_HOUR, now, &a);
        emp_forecast_of(&late, series_of(&f, name_of(i)), EMP_FORECAST_1_HOUR, now, &b);
        assert_true(fabs(a.expected - b.expected) < 1e-6 * (1 + a.expected));
    }
    end(&f);
}

static void sets_add_up_to_their_base(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 5);
    static const char *const loras[] = {NULL, "ink", "hands", "noir"};
    for (int64_t hour = 0; hour < 6 * 24; hour++)
        for (uint32_t k = poisson(&f.random, by_hour(hour, 6)); k > 0; k--)
            use(&f, START + hour * HOUR, "base", loras[emp_random_below(&f.random, 4)]);
    emp_wall_ms now = START + 6 * DAY;
    emp_forecast_update(&f.forecast, now);
    struct emp_forecast_one base, one;
    uint32_t n = series_of(&f, "base");
    emp_forecast_of(&f.forecast, n, EMP_FORECAST_6_HOURS, now, &base);
    double sum = 0;
    for (uint32_t i = 1; i < f.usage.series_count; i++) {
        if (f.usage.series[i].kind != EMP_USAGE_KIND_SET)
            continue;
        emp_forecast_of(&f.forecast, i, EMP_FORECAST_6_HOURS, now, &one);
        check_one(i, &one);
        assert_true(one.expected > 0.1 * base.expected);
        sum += one.expected;
    }
    assert_true(base.expected > 10);
    assert_true(fabs(sum - base.expected) < 1e-6 * base.expected);
    end(&f);
}

/* Models of a kind are much used on their first day: a new one of that kind is expected to be, one
 * of another kind less. */
static void newcomers_are_judged_by_their_kind(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 6);
    for (int64_t hour = 0; hour < 20 * 24; hour++) {
        char name[16];
        snprintf(name, sizeof name, "hit%d", (int)(hour / 24));
        for (uint32_t k = poisson(&f.random, 8); k > 0; k--)
            use(&f, START + hour * HOUR, name, NULL);
        for (uint32_t k = poisson(&f.random, 8); k > 0; k--)
            use(&f, START + hour * HOUR, "old", NULL);
        if (hour % 12 == 3) {
            snprintf(name, sizeof name, "niche%d", (int)hour);
            use(&f, START + hour * HOUR, "old", name);
        }
    }
    emp_wall_ms now = START + 20 * DAY;
    use(&f, now - HOUR / 2, "fresh", NULL);
    use(&f, now - HOUR / 2, "old", "small");
    emp_forecast_update(&f.forecast, now);
    struct emp_forecast_one hit, niche;
    emp_forecast_of(&f.forecast, series_of(&f, "fresh"), EMP_FORECAST_6_HOURS, now, &hit);
    emp_forecast_of(&f.forecast, series_of(&f, "small"), EMP_FORECAST_6_HOURS, now, &niche);
    assert_true(hit.expected > 2 * niche.expected);
    end(&f);
}

static void what_is_not_known_is_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct emp_forecast_one one;
    static const struct emp_forecast_one nothing = {0};
    struct emp_forecast_rank *rank;
    begin(&f, 7);
    emp_forecast_update(&f.forecast, 0);
    emp_forecast_update(&f.forecast, START);
    emp_forecast_of(&f.forecast, EMP_USAGE_FLEET, EMP_FORECAST_1_HOUR, START, &one);
    assert_memory_equal(&one, &nothing, sizeof one);
    assert_int_equal(emp_forecast_ranking(&f.forecast, EMP_FORECAST_1_HOUR, START, &f.arena, &rank),
                     0);
    use(&f, START, "m", NULL);
    emp_forecast_update(&f.forecast, START + HOUR);
    emp_forecast_of(&f.forecast, 12345, EMP_FORECAST_1_HOUR, START + HOUR, &one);
    assert_memory_equal(&one, &nothing, sizeof one);
    emp_forecast_of(&f.forecast, series_of(&f, "m"), EMP_FORECAST_1_HOUR, START + HOUR, &one);
    check_one(0, &one);
    assert_true(one.expected > 0);
    emp_forecast_update(&f.forecast, START);             // back in time: nothing
    emp_forecast_update(&f.forecast, START + 400 * DAY); // a year off
    emp_forecast_of(&f.forecast, series_of(&f, "m"), EMP_FORECAST_24_HOURS, START + 400 * DAY,
                    &one);
    check_one(0, &one);
    assert_true(one.any < 0.5);
    end(&f);
}

static void most_wanted_first(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t came[MODELS];
    struct emp_forecast_rank *rank;
    begin(&f, 8);
    for (int64_t hour = 0; hour < 10 * 24; hour++)
        make_hour(&f, hour, came);
    emp_wall_ms now = START + 10 * DAY + HOUR / 3; // in the middle of an hour
    emp_forecast_update(&f.forecast, now);
    uint32_t n = emp_forecast_ranking(&f.forecast, EMP_FORECAST_24_HOURS, now, &f.arena, &rank);
    assert_int_equal(n, MODELS);
    assert_int_equal(rank[0].series, series_of(&f, name_of(MODELS - 1)));
    for (uint32_t i = 1; i < n; i++)
        assert_true(rank[i].one.expected <= rank[i - 1].one.expected);
    end(&f);
}

static void patterns_are_told_apart(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 9);
    for (int64_t hour = 0; hour < 28 * 24; hour++) {
        emp_wall_ms at = START + hour * HOUR;
        bool weekend = hour / 24 % 7 >= 5, office = hour % 24 >= 9 && hour % 24 < 18;
        for (uint32_t k = poisson(&f.random, 2); k > 0; k--)
            use(&f, at, "steady", NULL);
        for (uint32_t k = poisson(&f.random, office ? 5 : 0.2); k > 0; k--)
            use(&f, at, "daily", NULL);
        for (uint32_t k = poisson(&f.random, office && !weekend ? 5 : 0.2); k > 0; k--)
            use(&f, at, "weekly", NULL);
        if (emp_random_below(&f.random, 60) == 0)
            for (int k = 0; k < 30; k++)
                use(&f, at + k * 1000, "bursty", NULL);
        if (emp_random_below(&f.random, 20) == 0)
            use(&f, at, "sporadic", NULL);
    }
    use(&f, START, "unknown", NULL);
    static const char *const names[] = {"steady", "daily",    "weekly",
                                        "bursty", "sporadic", "unknown"};
    for (size_t i = 0; i < COUNT(names); i++)
        assert_string_equal(emp_forecast_pattern_word(emp_forecast_pattern_of(
                                &f.forecast, series_of(&f, names[i]), START + 28 * DAY)),
                            names[i]);
    end(&f);
}

/* Random demand of all sorts, asked at any time: finite, ordered, within bounds; memory settles. */
static void anything_goes(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 10);
    emp_wall_ms now = START;
    size_t settled = 0;
    for (long n_case = 0; n_case < 4000; n_case++) {
        now += (int64_t)emp_random_below(&f.random, n_case % 100 ? 2 * HOUR : 12 * DAY);
        uint64_t burst = emp_random_below(&f.random, 20) ? 1 : 500;
        for (uint64_t k = emp_random_below(&f.random, burst + 1); k > 0; k--)
            use(&f, now - (int64_t)emp_random_below(&f.random, 3 * HOUR),
                name_of((int)emp_random_below(&f.random, 30)),
                emp_random_below(&f.random, 3)
                    ? NULL
                    : name_of(30 + (int)emp_random_below(&f.random, 40)));
        emp_forecast_update(&f.forecast, now);
        for (int i = 0; i < 3; i++) {
            struct emp_forecast_one one;
            uint32_t n = 1 + (uint32_t)emp_random_below(&f.random, f.usage.series_count);
            emp_forecast_of(&f.forecast, n, emp_random_below(&f.random, EMP_FORECAST_WINDOWS), now,
                            &one);
            check_one(n_case, &one);
        }
        if (n_case == 2000)
            settled = f.arena.total_bytes;
    }
    assert_true(f.arena.total_bytes < 2 * settled);
    end(&f);
}

static void laws_are_distributions(void **state)
{
    (void)state;
    static struct emp_forecast_spread s;
    static struct emp_forecast_shapes shapes;
    struct emp_random r;
    emp_random_init(&r, 12);
    for (long n_case = 0; n_case < 3000; n_case++) {
        double size = exp(uniform(&r, -8, 12));
        if (n_case % 50 == 0)
            emp_forecast_shapes_make(&s, &shapes);
        struct emp_forecast_law l = emp_forecast_law_of(&shapes, size);
        double last = 0, quantile = 0;
        for (double y = 0; y < 1e7; y = y * 1.5 + 1) {
            double p = emp_forecast_law_below(&l, y);
            check_case(n_case, p >= last - 1e-6 && p <= 1 + 1e-6);
            last = p;
        }
        for (double q = 0.01; q < 1; q += 0.01) {
            double v = emp_forecast_law_quantile(&l, q);
            check_case(n_case, v >= quantile);
            quantile = v;
        }
        double mean = emp_forecast_law_mean(&l);
        check_case(n_case, mean >= 0 && isfinite(mean));
        emp_forecast_spread_learn(&s, size, floor(size * -log(1 - emp_random_unit(&r))));
        if (n_case % 500 == 0)
            emp_forecast_spread_forget(&s, 0.5F);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poisson_demand_is_covered_as_promised),
        cmocka_unit_test(longer_windows_expect_more),
        cmocka_unit_test(the_future_is_not_known),
        cmocka_unit_test(a_restart_changes_nothing),
        cmocka_unit_test(sets_add_up_to_their_base),
        cmocka_unit_test(newcomers_are_judged_by_their_kind),
        cmocka_unit_test(what_is_not_known_is_nothing),
        cmocka_unit_test(most_wanted_first),
        cmocka_unit_test(patterns_are_told_apart),
        cmocka_unit_test(anything_goes),
        cmocka_unit_test(laws_are_distributions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

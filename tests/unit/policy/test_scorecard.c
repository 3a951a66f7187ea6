/* What was said, held against what came: by hand, and against slow oracles. */
#include "check.h"

#include "policy/scorecard.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HOUR (3600 * INT64_C(1000))
#define T0   (INT64_C(480000) * HOUR)
#define GB   INT64_C(1000000000)

struct card {
    struct emp_arena arena;
    struct emp_scorecard s;
};

static int setup(void **state)
{
    struct card *c = calloc(1, sizeof *c);
    emp_arena_init(&c->arena, 0);
    emp_scorecard_init(&c->s, &c->arena);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct card *c = *state;
    emp_arena_release(&c->arena);
    free(c);
    return 0;
}

static void near_(double a, double b)
{
    if (!(fabs(a - b) < 1e-9))
        fail_msg("%.12g is not %.12g", a, b);
}

/* ------------------------------------------------------------------ forecasts */

static void an_interval_holds_the_part_of_the_outcome_that_lies_inside(void **state)
{
    (void)state;
    near_(emp_scorecard_held(0.2, 0.6), 1);
    near_(emp_scorecard_held(0.05, 0.15), 0.5);
    near_(emp_scorecard_held(0, 1), 0.8); /* an outcome that was certain */
    near_(emp_scorecard_held(0.85, 0.95), 0.5);
    near_(emp_scorecard_held(0.95, 0.99), 0);
    near_(emp_scorecard_held(0.5, 0.5), 1);
    near_(emp_scorecard_held(0.05, 0.05), 0);
}

static void an_hour_by_hand(void **state)
{
    struct card *c = *state;
    const struct emp_scorecard_cell cells[] = {
        {.came = 4,
         .yesterday = 1,
         .known = true,
         .expected = 3.5,
         .median = 3,
         .below = 0.6,
         .upto = 0.8},
        {.came = 0,
         .yesterday = 9,
         .known = true,
         .expected = 1,
         .median = 0.5,
         .below = 0,
         .upto = 0.4},
        {.came = 2, .known = false, .expected = 7, .median = 7}, /* nothing of it was known */
    };
    emp_scorecard_hour(&c->s, 5, cells, COUNT(cells));
    const struct emp_scorecard_forecast *f = &c->s.figures.forecast;
    assert_int_equal(f->hours, 1);
    near_(f->came, 6);
    near_(f->missed, 1 + 0.5 + 2);
    assert_int_equal(f->intervals, 2);
    near_(f->held, 1 + 0.75);
    near_(f->top[0], 4); /* the third has no forecast, so it is in no top */
    near_(f->top_yesterday[0], 4);
    near_(emp_scorecard_part(f->missed, f->came), 3.5 / 6);
    assert_true(isnan(emp_scorecard_part(0, 0)));
}

static void tops_are_the_most_expected_and_the_most_used_yesterday(void **state)
{
    struct card *c = *state;
    struct emp_scorecard_cell cells[30];
    for (int i = 0; i < 30; i++) /* model i came i times; 29 is expected most, 0 was used most */
        cells[i] = (struct emp_scorecard_cell){
            .came = i, .known = true, .expected = 1 + i, .yesterday = 30 - i};
    emp_scorecard_hour(&c->s, 1, cells, 30);
    near_(c->s.figures.forecast.top[0], 29 + 28 + 27 + 26 + 25);
    near_(c->s.figures.forecast.top[1], 245);
    near_(c->s.figures.forecast.top[2], 390); /* 10 … 29 */
    near_(c->s.figures.forecast.top_yesterday[0], 0 + 1 + 2 + 3 + 4);
    near_(c->s.figures.forecast.top_yesterday[1], 45);
    near_(c->s.figures.forecast.top_yesterday[2], 190);
}

static void the_last_day_forgets_what_is_older(void **state)
{
    struct card *c = *state;
    const struct emp_scorecard_cell one = {.came = 1, .known = true, .median = 1};
    for (int64_t h = 100; h < 130; h++)
        emp_scorecard_hour(&c->s, h, &one, 1);
    assert_int_equal(c->s.figures.forecast.hours, 30);
    assert_int_equal(emp_scorecard_lately(&c->s).hours, 24);
    emp_scorecard_hour(&c->s, 150, &one, 1); /* 127, 128 and 129 are within its day */
    assert_int_equal(emp_scorecard_lately(&c->s).hours, 4);
    near_(emp_scorecard_lately(&c->s).came, 4);
}

struct said {
    bool known;
    struct emp_forecast_one one;
    double came;
};

/* Judged at an hour's end by a forecast that stands at its beginning: the very figures that were
 * said at the beginning. */
static void a_judgement_is_by_what_was_said_before_the_hour(void **state)
{
    enum { MODELS = 12, HOURS = 6 * 24 };
    struct card *c = *state;
    struct emp_usage u;
    struct emp_forecast f;
    struct emp_random r;
    static char names[MODELS][16];
    bool *leave_out = emp_arena_array(&c->arena, bool, 4 * MODELS);
    double missed = 0, came = 0, inside = 0;
    uint64_t intervals = 0;
    emp_random_init(&r, 7);
    emp_usage_init(&u, &c->arena, NULL);
    emp_forecast_init(&f, &c->arena, &u);
    for (int h = 0; h < HOURS; h++) {
        struct said said[MODELS] = {{false, {0}, 0}};
        emp_wall_ms from = T0 + h * HOUR;
        emp_forecast_update(&f, from);
        for (int m = 0; m < MODELS; m++) {
            uint32_t n = emp_usage_find(&u, EMP_USAGE_KIND_MODEL, emp_str_z(names[m]));
            said[m].known = n != EMP_USAGE_NONE;
            emp_forecast_of(&f, n, EMP_FORECAST_1_HOUR, from, &said[m].one);
        }
        for (int i = 0; i < 40; i++) {
            int m = (int)(MODELS * pow(uniform(&r, 0, 1), 3));
            if (m * 10 > h) /* some come later */
                continue;
            snprintf(names[m], sizeof names[m], "m%d", m);
            struct emp_str name = emp_str_z(names[m]);
            emp_usage_observe(&u, &(struct emp_usage_event){.at = from + i * HOUR / 40,
                                                            .models = &name,
                                                            .model_count = 1});
            said[m].came++;
        }
        for (int m = 0; m < MODELS && h > 0; m++) {
            uint32_t n = emp_usage_find(&u, EMP_USAGE_KIND_MODEL, emp_str_z(names[m]));
            if (n == EMP_USAGE_NONE || m == 3)
                continue;
            came += said[m].came;
            missed += fabs(said[m].came - (said[m].known ? said[m].one.quantiles[3] : 0));
            if (!said[m].known)
                continue;
            double y = said[m].came;
            intervals++;
            inside += emp_scorecard_held(
                y > 0 ? emp_forecast_below(&f, n, EMP_FORECAST_1_HOUR, from, y - 1) : 0,
                emp_forecast_below(&f, n, EMP_FORECAST_1_HOUR, from, y));
        }
        uint32_t third = emp_usage_find(&u, EMP_USAGE_KIND_MODEL, EMP_STR("m3"));
        leave_out[third] = third != EMP_USAGE_NONE;
        emp_scorecard_judge(&c->s, from / HOUR, &f, leave_out, &c->arena);
        emp_scorecard_judge(&c->s, from / HOUR + 1, &f, leave_out, &c->arena); /* not its hour */
    }
    const struct emp_scorecard_forecast *got = &c->s.figures.forecast;
    assert_int_equal(got->hours, HOURS - 1); /* in the first nothing was known of anything */
    near_(got->came, came);
    near_(got->missed, missed);
    assert_int_equal(got->intervals, intervals);
    near_(got->held, inside);
    assert_true(came > 4000 && missed > 0.1 * came && missed < came);
}

/* ------------------------------------------------------------------ moves */

static const struct emp_str sdxl = {"sdxl", 4}, cat = {"cat", 3}, a = {"a", 1}, b = {"b", 1};

static void starts(struct card *c, emp_wall_ms at, struct emp_str machine, struct emp_str model)
{
    emp_scorecard_started(&c->s, at, machine, &model, 1, true);
}

static void a_planned_copy_is_judged_after_six_hours_used_or_not(void **state)
{
    struct card *c = *state;
    const struct emp_scorecard_moves *m = &c->s.figures.moves;
    emp_scorecard_fetched(&c->s, T0, a, sdxl, 7 * GB, true, true);
    emp_scorecard_fetched(&c->s, T0, a, cat, GB, true, true);
    emp_scorecard_fetched(&c->s, T0, b, sdxl, 7 * GB, true, true);
    emp_scorecard_fetched(&c->s, T0, b, cat, GB, true, false); /* a job's own */
    emp_scorecard_fetched(&c->s, T0, b, cat, 0, false, true);  /* it never came */
    starts(c, T0 + HOUR, a, sdxl);
    starts(c, T0 + 6 * HOUR, a, cat); /* just in time */
    assert_int_equal(m->planned, 0);
    starts(c, T0 + 6 * HOUR + 1, b, sdxl); /* too late */
    assert_int_equal(m->planned, 3);
    assert_int_equal(m->used, 2);
    assert_int_equal(m->planned_bytes, 15 * GB);
    assert_int_equal(m->used_bytes, 8 * GB);
    assert_int_equal(m->jobs, 3);
    assert_int_equal(m->ready, 3);
    emp_scorecard_started(&c->s, T0, a, NULL, 0, true); /* without models: of no interest */
    emp_scorecard_started(&c->s, T0, a, &sdxl, 1, false);
    assert_int_equal(m->jobs, 4);
    assert_int_equal(m->ready, 3);
}

static void a_copy_that_went_before_it_was_used_was_not_used(void **state)
{
    struct card *c = *state;
    emp_scorecard_fetched(&c->s, T0, a, sdxl, 7 * GB, true, true);
    emp_scorecard_evicted(&c->s, T0 + 1, a, sdxl, 7 * GB, EMP_SCORECARD_FOR_JOB);
    emp_scorecard_fetched(&c->s, T0 + 2, a, sdxl, 7 * GB, true, false);
    starts(c, T0 + 3, a, sdxl);
    emp_scorecard_fetched(&c->s, T0 + 4, b, sdxl, 7 * GB, true, true); /* lost with its machine … */
    emp_scorecard_fetched(&c->s, T0 + 5, b, sdxl, 7 * GB, true, false); /* … that came back */
    starts(c, T0 + 6, b, sdxl);
    emp_scorecard_time(&c->s, T0 + 7 * HOUR);
    assert_int_equal(c->s.figures.moves.planned, 2);
    assert_int_equal(c->s.figures.moves.used, 0);
}

static void what_is_wanted_again_was_let_go_too_soon(void **state)
{
    struct card *c = *state;
    const struct emp_scorecard_moves *m = &c->s.figures.moves;
    emp_scorecard_evicted(&c->s, T0, a, sdxl, 7 * GB, EMP_SCORECARD_FOR_JOB);
    emp_scorecard_evicted(&c->s, T0, a, cat, GB, EMP_SCORECARD_FOR_PLAN);
    emp_scorecard_evicted(&c->s, T0, b, sdxl, 7 * GB, EMP_SCORECARD_FOR_PLAN);
    emp_scorecard_evicted(&c->s, T0, b, cat, GB, EMP_SCORECARD_FOR_PLAN);
    emp_scorecard_fetched(&c->s, T0 + HOUR, a, sdxl, 7 * GB, true, false);
    emp_scorecard_fetched(&c->s, T0 + HOUR, b, cat, 0, false, false); /* wanted is enough */
    emp_scorecard_fetched(&c->s, T0 + 7 * HOUR, a, cat, GB, true, false);
    assert_int_equal(m->evicted[EMP_SCORECARD_FOR_JOB], 1);
    assert_int_equal(m->regretted[EMP_SCORECARD_FOR_JOB], 1);
    assert_int_equal(m->regretted_bytes[EMP_SCORECARD_FOR_JOB], 7 * GB);
    assert_int_equal(m->evicted[EMP_SCORECARD_FOR_PLAN], 3);
    assert_int_equal(m->regretted[EMP_SCORECARD_FOR_PLAN], 1);
    assert_int_equal(m->regretted_bytes[EMP_SCORECARD_FOR_PLAN], GB);
}

static void a_clock_that_goes_back_stands_still(void **state)
{
    struct card *c = *state;
    emp_scorecard_fetched(&c->s, T0, a, sdxl, GB, true, true);
    emp_scorecard_fetched(&c->s, T0 - 100 * HOUR, b, sdxl, GB, true, true);
    starts(c, T0 - 100 * HOUR, b, sdxl);
    emp_scorecard_time(&c->s, T0 + 6 * HOUR);
    assert_int_equal(c->s.figures.moves.planned, 0);
    emp_scorecard_time(&c->s, T0 + 6 * HOUR + 1);
    assert_int_equal(c->s.figures.moves.planned, 2);
    assert_int_equal(c->s.figures.moves.used, 1);
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    struct card *c = *state;
    for (uint32_t i = 0; i < EMP_SCORECARD_MOVES_MAX + 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%u", i);
        emp_scorecard_fetched(&c->s, T0, a, emp_str_z(name), 1, true, true);
    }
    starts(c, T0, a, EMP_STR("m9"));  /* no longer known */
    starts(c, T0, a, EMP_STR("m10")); /* the oldest that is */
    emp_scorecard_time(&c->s, T0 + 7 * HOUR);
    assert_int_equal(c->s.figures.moves.dropped, 10);
    assert_int_equal(c->s.figures.moves.planned, EMP_SCORECARD_MOVES_MAX);
    assert_int_equal(c->s.figures.moves.used, 1);
}

static void figures_can_be_subtracted(void **state)
{
    struct card *c = *state;
    const struct emp_scorecard_cell one = {.came = 3, .known = true, .median = 1, .expected = 1};
    emp_scorecard_hour(&c->s, 1, &one, 1);
    emp_scorecard_fetched(&c->s, T0, a, sdxl, GB, true, true);
    starts(c, T0 + 7 * HOUR, a, sdxl);
    struct emp_scorecard_figures before = c->s.figures;
    emp_scorecard_hour(&c->s, 2, &one, 1);
    emp_scorecard_evicted(&c->s, T0 + 8 * HOUR, a, sdxl, GB, EMP_SCORECARD_FOR_PLAN);
    emp_scorecard_time(&c->s, T0 + 20 * HOUR);
    struct emp_scorecard_figures d = emp_scorecard_since(&c->s.figures, &before);
    assert_int_equal(d.forecast.hours, 1);
    near_(d.forecast.came, 3);
    near_(d.forecast.missed, 2);
    near_(d.forecast.top[0], 3);
    assert_int_equal(d.moves.planned, 0);
    assert_int_equal(d.moves.jobs, 0);
    assert_int_equal(d.moves.evicted[EMP_SCORECARD_FOR_PLAN], 1);
}

/* ------------------------------------------------------------------ against a slow oracle */

enum happening { FETCHED, FETCHED_PLANNED, EVICTED_JOB, EVICTED_PLAN, STARTED, HAPPENINGS };
struct event {
    enum happening what;
    emp_wall_ms at;
    int machine, model;
};

/* Does something that proves event `i` come in time, and before what ends its chance? */
static bool proved(const struct event *e, int count, int i)
{
    bool planned = e[i].what == FETCHED_PLANNED;
    for (int k = i + 1; k < count && e[k].at <= e[i].at + 6 * HOUR; k++) {
        bool fetch = e[k].what <= FETCHED_PLANNED;
        if (e[k].machine != e[i].machine || e[k].model != e[i].model)
            continue;
        if (planned ? e[k].what == STARTED : fetch)
            return true;
        if (planned ? e[k].what != STARTED : !fetch && e[k].what != STARTED)
            return false;
    }
    return false;
}

static void random_moves_are_judged_as_a_look_at_all_of_them_would(void **state)
{
    enum { EVENTS = 600 };
    static const struct emp_str machines[] = {{"x", 1}, {"y", 1}, {"z", 1}};
    static const struct emp_str models[] = {{"1", 1}, {"2", 1}, {"3", 1}, {"4", 1}};
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct event e[EVENTS];
        struct emp_random r;
        struct card *c;
        emp_wall_ms at = T0;
        struct emp_scorecard_moves want = {0};
        setup((void **)&c);
        emp_random_init(&r, seed);
        for (int i = 0; i < EVENTS; i++) {
            at += emp_random_below(&r, 8) ? (int64_t)emp_random_below(&r, (uint32_t)HOUR / 2) : 0;
            e[i] = (struct event){emp_random_below(&r, HAPPENINGS), at,
                                  (int)emp_random_below(&r, 3), (int)emp_random_below(&r, 4)};
            struct emp_str machine = machines[e[i].machine], model = models[e[i].model];
            if (e[i].what == STARTED)
                starts(c, at, machine, model);
            else if (e[i].what <= FETCHED_PLANNED)
                emp_scorecard_fetched(&c->s, at, machine, model, GB, true,
                                      e[i].what == FETCHED_PLANNED);
            else
                emp_scorecard_evicted(&c->s, at, machine, model, GB,
                                      e[i].what == EVICTED_PLAN ? EMP_SCORECARD_FOR_PLAN
                                                                : EMP_SCORECARD_FOR_JOB);
        }
        emp_scorecard_time(&c->s, at + 7 * HOUR);
        for (int i = 0; i < EVENTS; i++) {
            bool good = proved(e, EVENTS, i);
            int why = e[i].what == EVICTED_PLAN ? EMP_SCORECARD_FOR_PLAN : EMP_SCORECARD_FOR_JOB;
            if (e[i].what == FETCHED_PLANNED) {
                want.planned++;
                want.used += good;
            } else if (e[i].what == EVICTED_JOB || e[i].what == EVICTED_PLAN) {
                want.evicted[why]++;
                want.regretted[why] += good;
            }
        }
        const struct emp_scorecard_moves *got = &c->s.figures.moves;
        check_case(seed, got->planned == want.planned && got->used == want.used);
        check_case(seed, want.used > 0 && want.used < want.planned);
        for (int w = 0; w < EMP_SCORECARD_FORS; w++)
            check_case(seed, got->evicted[w] == want.evicted[w] &&
                                 got->regretted[w] == want.regretted[w] && want.regretted[w] > 0);
        teardown((void **)&c);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_interval_holds_the_part_of_the_outcome_that_lies_inside),
        TEST(an_hour_by_hand),
        TEST(tops_are_the_most_expected_and_the_most_used_yesterday),
        TEST(the_last_day_forgets_what_is_older),
        TEST(a_judgement_is_by_what_was_said_before_the_hour),
        TEST(a_planned_copy_is_judged_after_six_hours_used_or_not),
        TEST(a_copy_that_went_before_it_was_used_was_not_used),
        TEST(what_is_wanted_again_was_let_go_too_soon),
        TEST(a_clock_that_goes_back_stands_still),
        TEST(the_oldest_go_when_there_are_too_many),
        TEST(figures_can_be_subtracted),
        cmocka_unit_test(random_moves_are_judged_as_a_look_at_all_of_them_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Classical methods against values computed by hand, the combination against series whose future is
 * known, and what must hold for any series. */
#include "policy/series.h"

#include "check.h"
#include "policy/series_internal.h"

#include <math.h>
#include <string.h>

static bool close_to(double a, double b)
{
    return fabs(a - b) < 1e-3 * fmax(1, fabs(b));
}
#define near(a, b) assert_true(close_to((a), (b)))

static struct emp_arena arena;

static int set_up(void **state)
{
    (void)state;
    emp_arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    emp_arena_release(&arena);
    return 0;
}

static double first(enum emp_series_method m, const double *y, uint32_t n, uint32_t season)
{
    double out[2];
    emp_series_forecast(m, &(struct emp_series){y, n, season}, 2, &arena, out);
    return out[0];
}

static void naive_and_seasonal_naive(void **state)
{
    (void)state;
    static const double y[] = {1, 2, 3, 4, 5, 6, 7};
    double out[5];
    near(first(EMP_SERIES_NAIVE, y, 7, 3), 7);
    emp_series_forecast(EMP_SERIES_SNAIVE, &(struct emp_series){y, 7, 3}, 5, &arena, out);
    near(out[0], 5);
    near(out[2], 7);
    near(out[3], 5);
    near(first(EMP_SERIES_SNAIVE, y, 2, 3), 2); // shorter than a season
}

/* With two values, forecasts l and l + a(1 - l): any alpha < 1 has zero loss somewhere; with these
 * four the least squares are at alpha = 0: the mean. */
static void smoothing(void **state)
{
    (void)state;
    static const double swinging[] = {10, 0, 10, 0, 10, 0, 10, 0},
                        step[] = {1, 1, 1, 1, 9, 9, 9, 9};
    assert_true(fabs(first(EMP_SERIES_SES, swinging, 8, 1) - 5) < 0.01);
    // at alpha 0.9999 only the step itself is missed: 64; smaller alphas miss more
    assert_true(fabs(first(EMP_SERIES_SES, step, 8, 1) - 9) < 0.01);
    static const double flat[] = {4, 4, 4, 4};
    near(first(EMP_SERIES_SES, flat, 4, 1), 4);
}

/* A line y = 3 + 2t: theta 0 goes on to 3 + 2·10, theta 2 is the line itself, smoothed with alpha
 * near 1 to its last value 3 + 2·9; their mean. */
static void theta_of_a_line(void **state)
{
    (void)state;
    double y[10];
    for (int t = 0; t < 10; t++)
        y[t] = 3 + 2 * t;
    assert_true(fabs(first(EMP_SERIES_THETA, y, 10, 1) - (23 + 21) / 2.0) < 0.01);
}

/* Croston, alpha 0.1: sizes 4, 8 -> 4 + 0.1·4 = 4.4; gaps 2, 3 -> 2 + 0.1·1 = 2.1. TSB: size 4.4;
 * chance: means of the first ten: 2 uses in 5 = 0.4. */
static void intermittent_demand(void **state)
{
    (void)state;
    static const double y[] = {0, 4, 0, 0, 8}, never[] = {0, 0, 0};
    near(first(EMP_SERIES_CROSTON, y, 5, 1), 4.4 / 2.1);
    near(first(EMP_SERIES_TSB, y, 5, 1), 4.4 * 0.4);
    near(first(EMP_SERIES_CROSTON, never, 3, 1), 0);
    near(first(EMP_SERIES_TSB, never, 3, 1), 0);
}

static void holt_winters_continues_trend_and_season(void **state)
{
    (void)state;
    static const double season[] = {5, -2, -3, 0};
    double y[40], out[8];
    for (int t = 0; t < 40; t++)
        y[t] = 20 + 0.5 * t + season[t % 4];
    emp_series_forecast(EMP_SERIES_HOLT_WINTERS, &(struct emp_series){y, 40, 4}, 8, &arena, out);
    for (int i = 0; i < 8; i++)
        near(out[i], 20 + 0.5 * (40 + i) + season[i % 4]);
}

/* Multiplicative season: level 10 with factors 0.5 and 1.5, so Naive2 repeats them. */
static void naive2_adjusts_for_the_season(void **state)
{
    (void)state;
    double y[24], out[4];
    for (int t = 0; t < 24; t++)
        y[t] = 10 * (t % 2 ? 1.5 : 0.5);
    struct emp_series s = {y, 24, 2};
    assert_true(emp_series_is_seasonal(&s));
    emp_series_forecast(EMP_SERIES_NAIVE2, &s, 4, &arena, out);
    near(out[0], 5);
    near(out[1], 15);
    near(out[3], 15);
}

static void errors_as_m4_defines_them(void **state)
{
    (void)state;
    static const double history[] = {1, 2, 3, 5}, actual[] = {4, 0}, forecast[] = {2, 0};
    near(emp_series_smape(actual, forecast, 2), 200 * 2.0 / 6 / 2);
    // season 2: |3-1|, |5-2| -> scale 2.5; mean error 1
    near(emp_series_mase(&(struct emp_series){history, 4, 2}, actual, forecast, 2), 1 / 2.5);
    static const double flat[] = {3, 3, 3};
    near(emp_series_mase(&(struct emp_series){flat, 3, 1}, actual, forecast, 2), -1);
}

static double bowl(const double *x, void *context)
{
    (void)context;
    return (x[0] - 0.3) * (x[0] - 0.3) + 4 * (x[1] - 0.9) * (x[1] - 0.9) + (x[2] + 1) * (x[2] + 1);
}

static void the_minimum_is_found_inside_the_box(void **state)
{
    (void)state;
    double x[3] = {0.8, 0.1, 0.5}, low[3] = {0, 0, 0}, high[3] = {1, 1, 1};
    emp_series_minimise(bowl, NULL, x, low, high, 3, 400);
    assert_true(fabs(x[0] - 0.3) < 0.01 && fabs(x[1] - 0.9) < 0.01 && x[2] < 0.001 && x[2] >= 0);
}

static void equations_are_solved(void **state)
{
    (void)state;
    double a[9] = {4, 1, 0, 1, 3, 1, 0, 1, 2}, b[3] = {6, 10, 8}; // x = 1, 2, 3
    emp_series_solve(a, b, 3);
    near(b[0], 1);
    near(b[1], 2);
    near(b[2], 3);
}

enum { WEEKS = 6, HOURS = 168, AHEAD = 48 };

/* Two seasons with chance: what ours misses must be near the chance itself, while the daily naive
 * misses the weekend. */
static double noisy(struct emp_random *r, int t)
{
    double weekend = t % HOURS >= 120 ? 0.4 : 1, hour = 1 + 0.8 * sin(6.2831853 * t / 24);
    return weekend * hour * 100 * (0.9 + 0.2 * emp_random_unit(r)) + 5;
}

static void both_seasons_are_learned(void **state)
{
    (void)state;
    static double y[WEEKS * HOURS + AHEAD];
    struct emp_random r;
    double ours = 0, naive = 0, inside = 0;
    emp_random_init(&r, 5);
    for (int round = 0; round < 6; round++) {
        int n = WEEKS * HOURS - 24 * round;
        double out[AHEAD], low[AHEAD], high[AHEAD], plain[AHEAD];
        for (int t = 0; t < n + AHEAD; t++)
            y[t] = noisy(&r, t);
        struct emp_series s = {y, (uint32_t)n, 24};
        emp_series_combine(&s, AHEAD, &arena, out, low, high);
        emp_series_forecast(EMP_SERIES_SNAIVE, &s, AHEAD, &arena, plain);
        ours += emp_series_mase(&s, y + n, out, AHEAD);
        naive += emp_series_mase(&s, y + n, plain, AHEAD);
        for (int i = 0; i < AHEAD; i++) {
            inside += y[n + i] >= low[i] && y[n + i] <= high[i];
            assert_true(low[i] <= out[i] && out[i] <= high[i]);
        }
    }
    assert_true(ours < 0.6 * naive);
    inside /= 6 * AHEAD;
    assert_true(inside > 0.7 && inside < 0.92);
}

/* Any series, short ones and constant ones too: finite, not below zero when it never was, ordered.
 */
static void any_series_has_a_forecast(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 17);
    for (long n_case = 0; n_case < 300; n_case++) {
        double y[400], out[30], low[30], high[30];
        uint32_t n = 1 + (uint32_t)emp_random_below(&r, n_case % 3 ? 400 : 12);
        uint32_t season = 1 + (uint32_t)emp_random_below(&r, 30);
        uint32_t horizon = 1 + (uint32_t)emp_random_below(&r, 30);
        int kind = (int)emp_random_below(&r, 5);
        double scale = exp(uniform(&r, -5, 15));
        for (uint32_t t = 0; t < n; t++)
            y[t] = kind == 0   ? 0
                   : kind == 1 ? scale
                   : kind == 2 ? (emp_random_below(&r, 5) ? 0 : scale * emp_random_unit(&r))
                   : kind == 3 ? scale * emp_random_unit(&r)
                               : uniform(&r, -scale, scale);
        struct emp_series s = {y, n, season};
        for (int m = 0; m <= EMP_SERIES_NAIVE2; m++) {
            emp_series_forecast((enum emp_series_method)m, &s, horizon, &arena, out);
            for (uint32_t i = 0; i < horizon; i++)
                check_case(n_case, isfinite(out[i]));
        }
        emp_series_combine(&s, horizon, &arena, out, low, high);
        for (uint32_t i = 0; i < horizon; i++) {
            check_case(n_case, isfinite(low[i]) && low[i] <= out[i] && out[i] <= high[i]);
            check_case(n_case, kind == 4 || low[i] >= 0);
        }
        emp_arena_reset(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(naive_and_seasonal_naive),
        cmocka_unit_test(smoothing),
        cmocka_unit_test(theta_of_a_line),
        cmocka_unit_test(intermittent_demand),
        cmocka_unit_test(holt_winters_continues_trend_and_season),
        cmocka_unit_test(naive2_adjusts_for_the_season),
        cmocka_unit_test(errors_as_m4_defines_them),
        cmocka_unit_test(the_minimum_is_found_inside_the_box),
        cmocka_unit_test(equations_are_solved),
        cmocka_unit_test(both_seasons_are_learned),
        cmocka_unit_test(any_series_has_a_forecast),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

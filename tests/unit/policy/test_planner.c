/* The planner as a whole: notes go in, plans come out. */
#include "check.h"

#include "base/error.h"
#include "policy/planner.h"

#include <stdlib.h>

#define GB   INT64_C(1000000000)
#define HOUR (3600 * INT64_C(1000))
#define T0   INT64_C(1740000000000)

static struct emp_str sdxl[] = {{"sdxl", 4}}, flux[] = {{"flux", 4}};
static struct emp_str with_lora[] = {{"cat", 3}, {"sdxl", 4}}; /* the LoRA named first */

struct scene {
    struct emp_arena arena;
    struct emp_planner *planner;
    struct emp_planner_model models[3];
    struct emp_planner_machine machines[3];
    struct emp_planner_copy copies[3];
    struct emp_note notes[512];
    struct emp_snapshot snapshot;
    struct emp_plan_result result;
};

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    static const struct emp_str image = {"image", 5};
    emp_arena_init(&s->arena, 0);
    s->planner = emp_planner_new(NULL);
    s->models[0] = (struct emp_planner_model){
        .name = sdxl[0], .kind = EMP_STR("base"), .bytes = 7 * GB, .fetchable = true};
    s->models[1] = (struct emp_planner_model){
        .name = flux[0], .kind = EMP_STR("base"), .bytes = 17 * GB, .fetchable = true};
    s->models[2] = (struct emp_planner_model){.name = with_lora[0],
                                              .kind = EMP_STR("lora"),
                                              .bytes = GB / 5,
                                              .fetchable = true,
                                              .modifies = true};
    static char ids[3][3] = {"m0", "m1", "m2"};
    for (int i = 0; i < 3; i++)
        s->machines[i] = (struct emp_planner_machine){.id = emp_str_z(ids[i]),
                                                      .pool = EMP_STR("standard"),
                                                      .services = &image,
                                                      .service_count = 1,
                                                      .serves = true,
                                                      .slots = 1,
                                                      .disk_bytes = 100 * GB,
                                                      .ram_bytes = 32 * GB,
                                                      .gpu_bytes = 24 * GB,
                                                      .link_bytes_per_s = 50000000};
    s->snapshot = (struct emp_snapshot){.machines = s->machines,
                                        .models = s->models,
                                        .notes = s->notes,
                                        .machine_count = 3,
                                        .model_count = 3,
                                        .disk_load_bytes_per_s = 300000000,
                                        .ram_load_bytes_per_s = 2500000000,
                                        .link_bytes_per_s = 25000000};
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    emp_planner_free(s->planner);
    emp_arena_release(&s->arena);
    free(s);
    return 0;
}

static void uses(struct scene *s, const struct emp_str *models, uint32_t count, uint32_t times,
                 emp_wall_ms from)
{
    for (uint32_t i = 0; i < times; i++)
        s->notes[s->snapshot.note_count++] = (struct emp_note){.kind = EMP_NOTE_USE,
                                                               .at = from + i * 600000,
                                                               .models = models,
                                                               .model_count = count,
                                                               .service = EMP_STR("image"),
                                                               .pool = EMP_STR("standard"),
                                                               .run_ms = 20000};
}

static void plan(struct scene *s, emp_wall_ms now)
{
    emp_planner_run(s->planner, &s->snapshot, now, &s->arena, &s->result);
    s->snapshot.note_count = 0;
}

static enum emp_residency wanted(const struct scene *s, uint32_t machine, uint32_t model)
{
    const struct emp_plan_machine *m = &s->result.machines[machine];
    for (uint32_t i = 0; i < m->planned_count; i++)
        if (m->planned[i].model == model)
            return m->planned[i].residency;
    return EMP_RESIDENCY_NONE;
}

static void what_is_used_is_planned_into_gpu_memory_and_the_rest_is_not(void **state)
{
    struct scene *s = *state;
    uses(s, sdxl, 1, 432, T0);
    plan(s, T0 + 72 * HOUR);
    assert_int_equal(s->result.machine_count, 3);
    int gpu = 0;
    for (uint32_t i = 0; i < 3; i++) {
        gpu += wanted(s, i, 0) == EMP_RESIDENCY_GPU;
        assert_int_equal(wanted(s, i, 1), EMP_RESIDENCY_NONE);
    }
    assert_true(gpu >= 1);
    assert_int_equal(s->result.forecast_count, 1);
    assert_true(emp_str_eq(s->result.forecasts[0].model, sdxl[0]));
    assert_true(s->result.forecasts[0].windows[EMP_FORECAST_1_HOUR].expected > 3);
    const struct emp_place_want *w = emp_place_find(&s->result.plan, 0, 0);
    assert_non_null(w);
    assert_non_null(emp_place_explain(&s->arena, &s->result.input, &s->result.plan, w));
}

static void what_has_just_begun_is_expected_to_go_on(void **state)
{
    struct scene *s = *state;
    for (uint32_t i = 0; i < 40; i++)
        uses(s, sdxl, 1, 1, T0 + i * 100);
    plan(s, T0 + 60000);
    assert_true(wanted(s, 0, 0) + wanted(s, 1, 0) + wanted(s, 2, 0) > 0);
}

static void a_lora_goes_where_its_base_goes(void **state)
{
    struct scene *s = *state;
    uses(s, with_lora, 2, 432, T0);
    plan(s, T0 + 72 * HOUR);
    bool found = false;
    for (uint32_t i = 0; i < 3; i++) {
        if (wanted(s, i, 2) > EMP_RESIDENCY_NONE)
            assert_true(wanted(s, i, 0) > EMP_RESIDENCY_NONE);
        found |= wanted(s, i, 2) > EMP_RESIDENCY_NONE;
    }
    assert_true(found);
    assert_int_equal(s->result.collection_count, 1);
}

static void pools_that_are_reactive_get_no_plan(void **state)
{
    struct scene *s = *state;
    static const struct emp_str none = {"standard", 8};
    s->snapshot.no_plans = &none;
    s->snapshot.no_plan_count = 1;
    uses(s, sdxl, 1, 432, T0);
    plan(s, T0 + 72 * HOUR);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(s->result.machines[i].planned_count, 0);
    assert_int_equal(s->result.forecast_count, 1);
}

static void machines_of_another_service_are_no_use(void **state)
{
    struct scene *s = *state;
    static const struct emp_str text = {"text", 4};
    s->machines[0].services = &text;
    uses(s, sdxl, 1, 432, T0);
    plan(s, T0 + 72 * HOUR);
    assert_int_equal(wanted(s, 0, 0), EMP_RESIDENCY_NONE);
    assert_true(wanted(s, 1, 0) + wanted(s, 2, 0) > 0);
}

static void nothing_is_planned_on_machines_that_leave(void **state)
{
    struct scene *s = *state;
    s->machines[1].serves = false;
    uses(s, sdxl, 1, 432, T0);
    plan(s, T0 + 72 * HOUR);
    assert_int_equal(s->result.machines[1].planned_count, 0);
}

static void jobs_that_wait_bring_their_model_at_once(void **state)
{
    struct scene *s = *state;
    const struct emp_planner_waiting waiting = {.models = flux,
                                                .model_count = 1,
                                                .count = 3,
                                                .service = EMP_STR("image"),
                                                .pool = EMP_STR("standard"),
                                                .tier = EMP_TIER_ENTERPRISE,
                                                .run_ms = 20000};
    s->snapshot.waiting = &waiting;
    s->snapshot.waiting_count = 1;
    plan(s, T0);
    int copies = 0;
    for (uint32_t i = 0; i < 3; i++)
        copies += wanted(s, i, 1) > EMP_RESIDENCY_NONE;
    assert_true(copies >= 1);
}

/* Names of waiting jobs come before those of machines, and are many. */
static void many_new_names_at_once_do_no_harm(void **state)
{
    struct scene *s = *state;
    enum { MANY = 64 };
    struct emp_planner_waiting *waiting =
        emp_arena_array(&s->arena, struct emp_planner_waiting, MANY);
    for (int i = 0; i < MANY; i++)
        waiting[i] = (struct emp_planner_waiting){
            .models = flux,
            .model_count = 1,
            .count = 1,
            .pool = emp_str_z(emp_arena_printf(&s->arena, "pool %d", i)),
            .region = emp_str_z(emp_arena_printf(&s->arena, "region %d", i)),
            .customer = emp_str_z(emp_arena_printf(&s->arena, "customer %d", i)),
        };
    s->machines[0].pool = EMP_STR("late");
    s->snapshot.waiting = waiting;
    s->snapshot.waiting_count = MANY;
    plan(s, T0);
    s->machines[1].pool = EMP_STR("later");
    plan(s, T0 + HOUR);
    assert_int_equal(s->result.machine_count, 3);
}

static void the_foretold_takes_the_forecasts_place(void **state)
{
    struct scene *s = *state;
    const struct emp_planner_foretold told = {.models = flux,
                                              .model_count = 1,
                                              .service = EMP_STR("image"),
                                              .pool = EMP_STR("standard"),
                                              .uses_near = 30,
                                              .uses_far = 60,
                                              .run_ms = 20000};
    uses(s, sdxl, 1, 432, T0);
    s->snapshot.clairvoyant = true;
    s->snapshot.foretold = &told;
    s->snapshot.foretold_count = 1;
    plan(s, T0 + 72 * HOUR);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(wanted(s, i, 0), EMP_RESIDENCY_NONE);
    assert_true(wanted(s, 0, 1) + wanted(s, 1, 1) + wanted(s, 2, 1) > 0);
}

static void starts_and_downloads_are_counted(void **state)
{
    struct scene *s = *state;
    uses(s, sdxl, 1, 2, T0);
    s->notes[s->snapshot.note_count++] = (struct emp_note){.kind = EMP_NOTE_START,
                                                           .at = T0 + 1,
                                                           .models = sdxl,
                                                           .model_count = 1,
                                                           .wait_ms = 30000,
                                                           .brought = true};
    s->notes[s->snapshot.note_count++] = (struct emp_note){
        .kind = EMP_NOTE_START, .at = T0 + 2, .models = sdxl, .model_count = 1, .wait_ms = 500};
    s->notes[s->snapshot.note_count++] = (struct emp_note){.kind = EMP_NOTE_FETCH,
                                                           .at = T0 + 3,
                                                           .models = sdxl,
                                                           .model_count = 1,
                                                           .bytes = 7 * GB,
                                                           .ms = 140000,
                                                           .ok = true};
    s->notes[s->snapshot.note_count++] = (struct emp_note){
        .kind = EMP_NOTE_FETCH, .at = T0 + 4, .models = sdxl, .model_count = 1, .ms = 1000};
    plan(s, T0 + HOUR);
    const struct emp_plan_forecast *f = &s->result.forecasts[0];
    assert_int_equal(f->uses, 2);
    assert_int_equal(f->first.count, 1);
    assert_int_equal(f->repeat.count, 1);
    assert_int_equal(f->repeat.within_10s, 1);
    assert_int_equal(f->downloads.count, 2);
    assert_int_equal(f->downloads.failed, 1);
    assert_int_equal(f->downloads.bytes, 7 * GB);
}

static void what_was_first_used_within_this_hour_is_shown_as_the_plan_expects_it(void **state)
{
    struct scene *s = *state;
    static const struct emp_str newcomer[] = {EMP_STR("newcomer")};
    const emp_wall_ms begun = T0 + 72 * HOUR;
    uses(s, sdxl, 1, 432, T0);
    for (int i = 0; i < 10; i++)
        uses(s, newcomer, 1, 3, begun + 60000);
    plan(s, begun + HOUR / 2);
    assert_int_equal(s->result.forecast_count, 2);
    assert_true(emp_str_eq(s->result.forecasts[0].model, newcomer[0]));
    const struct emp_forecast_one *w = s->result.forecasts[0].windows;
    assert_float_equal(w[EMP_FORECAST_10_MIN].expected, 2.5, 1e-6);
    assert_float_equal(w[EMP_FORECAST_1_HOUR].expected, 15, 1e-6);
    assert_float_equal(w[EMP_FORECAST_6_HOURS].expected, 30, 1e-6);
    assert_float_equal(w[EMP_FORECAST_10_MIN].any, 0.918, 0.001);
    assert_float_equal(w[EMP_FORECAST_1_HOUR].quantiles[1], 1.58, 0.01);
    assert_float_equal(w[EMP_FORECAST_1_HOUR].quantiles[5], 34.54, 0.01);
    assert_float_equal(w[EMP_FORECAST_1_HOUR].confidence, 0, 1e-6);
}

static void its_rows_bring_a_new_planner_to_the_same_forecast(void **state)
{
    struct scene *s = *state;
    uses(s, sdxl, 1, 432, T0);
    plan(s, T0 + 72 * HOUR);
    struct emp_planner *again = emp_planner_new(NULL);
    assert_true(s->result.row_count > 0);
    for (uint32_t i = 0; i < s->result.row_count; i++) {
        const struct emp_usage_row *row = &s->result.rows[i];
        assert_int_equal(
            emp_planner_load(again, emp_planner_key(&s->arena, row), row->bytes, row->length), 0);
    }
    double before = s->result.forecasts[0].windows[EMP_FORECAST_1_HOUR].expected;
    emp_planner_free(s->planner);
    s->planner = again;
    plan(s, T0 + 72 * HOUR);
    assert_int_equal(s->result.forecast_count, 1);
    assert_float_equal(s->result.forecasts[0].windows[EMP_FORECAST_1_HOUR].expected, before,
                       before * 0.01);
}

static void other_keys_and_broken_rows_are_told_apart(void **state)
{
    struct scene *s = *state;
    static const struct {
        const char *key;
        int code;
    } cases[] = {
        {"run/0123456789abcdef", EMP_E_NOT_FOUND},
        {"use", EMP_E_NOT_FOUND},
        {"use/", EMP_E_NOT_FOUND},
        {"use/9/1", EMP_E_INVALID},
        {"use/0", EMP_E_INVALID},
        {"use/0/x", EMP_E_INVALID},
        {"use/0/1", EMP_E_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(emp_planner_load(s->planner, emp_str_z(cases[i].key), "?", 1),
                         cases[i].code);
}

static void nothing_at_all_gives_an_empty_plan(void **state)
{
    struct scene *s = *state;
    s->snapshot.machine_count = s->snapshot.model_count = 0;
    plan(s, T0);
    assert_int_equal(s->result.machine_count, 0);
    assert_int_equal(s->result.plan.move_count, 0);
}

/* Hour by hour, though plans are rarer: each is judged by what was known at its beginning. */
static void every_hour_that_is_over_is_judged_once(void **state)
{
    struct scene *s = *state;
    uses(s, with_lora, 2, 432, T0 - T0 % HOUR);
    plan(s, T0 - T0 % HOUR + 72 * HOUR); /* six an hour, all of it news: nothing had been said */
    assert_int_equal(s->result.score.forecast.hours, 0);
    for (int h = 72; h < 84; h += 3) {
        uses(s, with_lora, 2, 18, T0 - T0 % HOUR + h * HOUR);
        plan(s, T0 - T0 % HOUR + (h + 3) * HOUR + 60000);
    }
    plan(s, T0 - T0 % HOUR + 84 * HOUR + 120000);
    const struct emp_scorecard_forecast *f = &s->result.score.forecast;
    assert_int_equal(f->hours, 12);
    assert_int_equal(f->intervals, 12); /* the base; the LoRA hangs on it */
    assert_true(f->came > 71.5 && f->came < 72.5);
    assert_true(f->missed < 24); /* always six: not hard to foretell */
    assert_true(f->top[0] > 71.5 && f->top_yesterday[0] > 71.5);
    assert_int_equal(s->result.score_lately.hours, 12);
    plan(s, T0 - T0 % HOUR + 200 * HOUR); /* too long a silence to be judged */
    assert_int_equal(s->result.score.forecast.hours, 12);
}

static void moves_in_notes_are_scored(void **state)
{
    struct scene *s = *state;
    const struct emp_note at = {.at = T0,
                                .models = sdxl,
                                .model_count = 1,
                                .machine = {"m0", 2},
                                .bytes = 7 * GB,
                                .ok = true,
                                .planned = true,
                                .ready = true};
    struct emp_note *n = s->notes;
    n[0] = n[1] = n[2] = n[3] = at;
    n[0].kind = EMP_NOTE_FETCH;
    n[1].kind = EMP_NOTE_START;
    n[2].kind = EMP_NOTE_EVICT;
    n[3].kind = EMP_NOTE_FETCH;
    n[3].planned = false;
    n[4] = n[0];
    n[4].machine = (struct emp_str){0}; /* not known where: no move of anybody's */
    s->snapshot.note_count = 5;
    plan(s, T0 + 7 * HOUR);
    const struct emp_scorecard_moves *m = &s->result.score.moves;
    assert_int_equal(m->planned, 1);
    assert_int_equal(m->used, 1);
    assert_int_equal(m->evicted[EMP_SCORECARD_FOR_PLAN], 1);
    assert_int_equal(m->regretted[EMP_SCORECARD_FOR_PLAN], 1);
    assert_int_equal(m->jobs, 1);
    assert_int_equal(m->ready, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_used_is_planned_into_gpu_memory_and_the_rest_is_not),
        TEST(what_has_just_begun_is_expected_to_go_on),
        TEST(a_lora_goes_where_its_base_goes),
        TEST(pools_that_are_reactive_get_no_plan),
        TEST(machines_of_another_service_are_no_use),
        TEST(nothing_is_planned_on_machines_that_leave),
        TEST(jobs_that_wait_bring_their_model_at_once),
        TEST(many_new_names_at_once_do_no_harm),
        TEST(the_foretold_takes_the_forecasts_place),
        TEST(what_was_first_used_within_this_hour_is_shown_as_the_plan_expects_it),
        TEST(starts_and_downloads_are_counted),
        TEST(every_hour_that_is_over_is_judged_once),
        TEST(moves_in_notes_are_scored),
        TEST(its_rows_bring_a_new_planner_to_the_same_forecast),
        TEST(other_keys_and_broken_rows_are_told_apart),
        TEST(nothing_at_all_gives_an_empty_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

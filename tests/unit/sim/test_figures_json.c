/* The figures as JSON: a contract that other programs read. Every field, once. */
#include "check.h"
#include "sim/measure/measure.h"

static struct emp_measure_figures some(void)
{
    struct emp_measure_figures f = {
        .scenario = EMP_STR("office"),
        .trace = EMP_STR("a \"b\".csv"),
        .policy = "emp",
        .seed = 18446744073709551615u,
        .speedup = 2.5,
        .jobs = 8,
        .completed = 6,
        .offered_load = 0.5,
        .wait_s = {.p50 = 1.5, .p90 = 2, .p95 = 3, .p99 = 4, .max = 5, .mean = 1.75},
        .slowdown = {.p50 = 1, .p90 = 1.25, .p95 = 1.5, .p99 = 2, .max = 3, .mean = 1.125},
        .within_10s = {8, 7},
        .first_use = {2, 1},
        .repeat_use = {6, 6},
        .by_tier[EMP_TIER_FREE] = {4, 3},
        .by_tier[EMP_TIER_ENTERPRISE] = {4, 4},
        .pools[0] = {.name = EMP_STR("fast-lane"),
                     .within_10s = {8, 7},
                     .wait_s = {.p50 = 1, .p90 = 2, .p95 = 3, .p99 = 4, .max = 5, .mean = 6},
                     .disk_used = 0.75,
                     .hits_per_gb = 1.25},
        .pools[1] = {.name = EMP_STR("heavy")},
        .pool_count = 2,
        .hit_gpu = {8, 2},
        .hit_resident = {8, 4},
        .hit_disk = {8, 6},
        .best_machine = {4, 3},
        .short_done = {4, 1},
        .prompt = {8, 2},
        .prompt_beside = {4, 2},
        .ready = {8, 6},
        .score.forecast = {.hours = 2,
                           .came = 16,
                           .missed = 12,
                           .held = 3,
                           .intervals = 4,
                           .top = {2, 4, 8},
                           .top_yesterday = {1, 2, 4}},
        .score.moves =
            {.planned = 4,
             .used = 3,
             .planned_bytes = 400,
             .used_bytes = 300,
             .evicted = {[EMP_SCORECARD_FOR_JOB] = 5, [EMP_SCORECARD_FOR_PLAN] = 6},
             .regretted = {[EMP_SCORECARD_FOR_JOB] = 1, [EMP_SCORECARD_FOR_PLAN] = 2},
             .regretted_bytes = {[EMP_SCORECARD_FOR_JOB] = 10, [EMP_SCORECARD_FOR_PLAN] = 20}},
        .download_wait_s = 12.5,
        .bytes_fetched = INT64_C(9007199254740993), /* beyond a double's whole numbers */
        .redundant_bytes = 12,
        .redundant_by = {{1, 2}, {3, 4}, {0, 2}},
        .fetches = 3,
        .evictions = 4,
        .attempts = 9,
        .attempts_lost = 1,
        .machine_hours = 10,
        .busy_hours = 2.5,
        .wasted_gpu_s = 30.5,
        .cost_usd = 2.75,
        .events = 1000,
        .log_hash = 0xab,
        .virtual_s = 3600,
        .real_s = 0.5,
        .memory_bytes = 1048576,
    };
    return f;
}

static const char all[] =
    "{\"scenario\":\"office\",\"trace\":\"a \\\"b\\\".csv\",\"runs\":[{"
    "\"policy\":\"emp\",\"seed\":18446744073709551615,\"speedup\":2.5,"
    "\"jobs\":8,\"offered_load\":0.5,"
    "\"wait_s\":{\"p50\":1.5,\"p90\":2,\"p95\":3,\"p99\":4,\"max\":5,\"mean\":1.75},"
    "\"within_10s\":0.875,\"first_use_within_10s\":0.5,\"repeat_use_within_10s\":1,"
    "\"tiers\":{\"free\":0.75,\"enterprise\":1},"
    "\"pools\":{"
    "\"fast-lane\":{\"jobs\":8,\"within_10s\":0.875,"
    "\"wait_s\":{\"p50\":1,\"p90\":2,\"p95\":3,\"p99\":4,\"max\":5,\"mean\":6}},"
    "\"heavy\":{\"jobs\":0,\"within_10s\":null,"
    "\"wait_s\":{\"p50\":0,\"p90\":0,\"p95\":0,\"p99\":0,\"max\":0,\"mean\":0}}},"
    "\"disk_used\":{\"fast-lane\":0.75,\"heavy\":0},"
    "\"hits_per_gb\":{\"fast-lane\":1.25,\"heavy\":0},"
    "\"fast_lane_done_30s\":0.25,\"first_pool_within_5s\":0.25,"
    "\"first_pool_within_5s_last_full\":0.5,"
    "\"slowdown\":{\"p50\":1,\"p90\":1.25,\"p95\":1.5,\"p99\":2,\"max\":3,\"mean\":1.125},"
    "\"completion\":0.75,\"best_machine\":0.75,"
    "\"eta\":{\"start\":{\"jobs\":0},\"start_of_waiting\":{\"jobs\":0},\"finish\":{\"jobs\":0}},"
    "\"hit\":{\"gpu\":0.25,\"resident\":0.5,\"disk\":0.75},"
    "\"bytes_fetched\":9007199254740993,\"redundant_bytes\":12,"
    "\"redundant_by\":{\"again\":{\"job\":1,\"plan\":2},\"unused\":{\"job\":3,\"plan\":4},"
    "\"half\":{\"job\":0,\"plan\":2}},\"download_wait_s\":12.5,"
    "\"fetches\":3,\"evictions\":4,\"attempts\":9,\"attempts_lost\":1,"
    "\"machine_hours\":10,\"gpu_busy\":0.25,\"wasted_gpu_s\":30.5,\"cost_usd\":2.75,"
    "\"forecast\":{\"hours\":2,\"wape\":0.75,\"coverage_80\":0.75,"
    "\"top5\":0.125,\"top5_yesterday\":0.0625,\"top10\":0.25,\"top10_yesterday\":0.125,"
    "\"top20\":0.5,\"top20_yesterday\":0.25},"
    "\"prewarm\":{\"coverage\":0.75,\"precision\":0.75,\"planned\":4,\"used\":3,"
    "\"planned_bytes\":400,\"used_bytes\":300},"
    "\"evictions_regretted\":{\"by_plan\":{\"evicted\":6,\"regretted\":2,\"bytes\":20},"
    "\"by_machine\":{\"evicted\":5,\"regretted\":1,\"bytes\":10}},"
    "\"virtual_s\":3600,\"events\":1000,\"real_s\":0.5,\"events_per_s\":2000,\"jobs_per_s\":16,"
    "\"memory_bytes\":1048576,\"log_hash\":\"00000000000000ab\"}]}\n";

static void every_field_has_its_name_and_unit(void **state)
{
    struct emp_measure_figures f = some();
    struct emp_buf out;
    (void)state;
    emp_buf_init(&out, 1 << 20);
    emp_measure_json(&f, 1, &out);
    assert_string_equal(out.data, all);
    emp_buf_release(&out);
}

static void without_runs_it_is_still_json(void **state)
{
    struct emp_buf out;
    (void)state;
    emp_buf_init(&out, 1 << 20);
    emp_measure_json(NULL, 0, &out);
    assert_string_equal(out.data, "{\"scenario\":\"\",\"trace\":\"\",\"runs\":[]}\n");
    emp_buf_release(&out);
}

static void a_share_of_nothing_is_null(void **state)
{
    struct emp_measure_figures f = {.policy = "emp", .pool_count = 0};
    struct emp_buf out;
    (void)state;
    emp_buf_init(&out, 1 << 20);
    emp_measure_json(&f, 1, &out);
    static const char *const none[] = {
        "\"within_10s\":null",
        "\"first_use_within_10s\":null",
        "\"repeat_use_within_10s\":null",
        "\"tiers\":{}",
        "\"fast_lane_done_30s\":null",
        "\"best_machine\":null",
        "\"hit\":{\"gpu\":null,\"resident\":null,\"disk\":null}",
        "\"forecast\":null",
        "\"coverage\":null,\"precision\":null",
        "\"completion\":0",
        "\"gpu_busy\":0",
        "\"events_per_s\":0",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (strstr(out.data, none[i]) == NULL)
            fail_msg("%s is not in %s", none[i], out.data);
    assert_null(strstr(out.data, "nan"));
    emp_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_its_name_and_unit),
        cmocka_unit_test(without_runs_it_is_still_json),
        cmocka_unit_test(a_share_of_nothing_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

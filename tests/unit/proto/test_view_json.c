/* What the API shows, as whole texts: a client that reads them reads exactly this. */
#include "proto/json.h"
#include "proto/view_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#define T0 INT64_C(1700000000000) /* 2023-11-14T22:13:20.000Z */

static struct emp_arena arena;
static struct emp_buf buf;
static struct emp_writer w;

static int setup(void **state)
{
    (void)state;
    emp_arena_init(&arena, 0);
    emp_buf_init(&buf, 1 << 20);
    emp_writer_init(&w, &buf);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    emp_arena_release(&arena);
    emp_buf_release(&buf);
    return 0;
}

static void shows(const char *text)
{
    struct emp_json *v;
    struct emp_error err;
    if (emp_json_parse(&arena, buf.data, buf.len, NULL, &v, &err) != 0)
        fail_msg("%s: %s", err.text, buf.data);
    assert_string_equal(buf.data, text);
}

static const struct emp_job_spec plain_spec = {
    .service = {"simulation", 10}, .priority = 50, .workflow_priority = NAN, .max_retries = -1};

static const struct emp_eta soon = {.start_p50_ms = 2500,
                                    .start_p90_ms = EMP_ETA_UNKNOWN,
                                    .finish_p50_ms = EMP_ETA_UNKNOWN,
                                    .finish_p90_ms = EMP_ETA_UNKNOWN};

static void a_job_that_waits(void **state)
{
    struct emp_job_record r = {.num = 1, .state = EMP_JOB_PENDING, .submitted_at = T0};
    struct emp_job_view v = {.id = "ID",
                             .record = &r,
                             .spec = &plain_spec,
                             .body = EMP_STR("{\"service_required\":\"simulation\"}"),
                             .max_retries_default = 3,
                             .percent = -1,
                             .eta = &soon,
                             .now = T0 + 1000};
    (void)state;
    emp_view_job(&w, NULL, &v, &arena);
    shows("{\"id\":\"ID\",\"service_required\":\"simulation\",\"priority\":50,\"payload\":{},"
          "\"status\":\"pending\","
          "\"created_at\":\"2023-11-14T22:13:20.000Z\",\"retry_count\":0,\"max_retries\":3,\"user_"
          "tier\":\"free\","
          "\"estimated_start\":\"2023-11-14T22:13:23.500Z\"}");
}

static void a_job_that_completed_on_its_second_machine(void **state)
{
    struct emp_attempt attempts[] = {
        {.number = 1,
         .outcome = EMP_OUTCOME_LOST,
         .machine = EMP_STR("m1"),
         .pool = EMP_STR("heavy"),
         .assigned_at = T0 + 1,
         .ended_at = T0 + 5,
         .error_code = EMP_E_LOST,
         .error = EMP_STR("silent for 8 s")},
        {.number = 2,
         .outcome = EMP_OUTCOME_COMPLETED,
         .machine = EMP_STR("m2"),
         .pool = EMP_STR("standard"),
         .assigned_at = T0 + 10,
         .started_at = T0 + 20,
         .ended_at = T0 + 1520,
         .bytes_fetched = 7,
         .counted = true},
    };
    struct emp_str models[] = {EMP_STR("sdxl")};
    struct emp_job_spec spec = plain_spec;
    struct emp_job_record r = {.num = 1,
                               .state = EMP_JOB_COMPLETED,
                               .submitted_at = T0,
                               .finished_at = T0 + 1520,
                               .counted_attempts = 1,
                               .losses = 1,
                               .attempt = attempts[1]};
    struct emp_job_view v = {
        .id = "ID",
        .record = &r,
        .spec = &spec,
        .body = EMP_STR("{\"payload\":{\"seed\": 18446744073709551615},\"requirements\":{\"x\":1 "
                        "},\"ctx\":{}}"),
        .result_blob = EMP_STR("{\"result\":{\"a\":1.50},\"outputs\":[{\"name\":\"d/a "
                               "b.png\",\"type\":\"image/png\",\"bytes\":9}]}"),
        .attempts = attempts,
        .attempt_count = 2,
        .max_retries_default = 3,
        .percent = 40,
        .now = T0 + 5000};
    (void)state;
    spec.customer = EMP_STR("c1");
    spec.models = models;
    spec.model_count = 1;
    spec.workflow = EMP_STR("w");
    spec.workflow_priority = 7;
    spec.workflow_datetime = 12;
    spec.current_step = 1;
    spec.total_steps = 2;
    spec.tier = EMP_TIER_PREMIUM;
    spec.timeout_ms = 1500;
    emp_view_job(&w, NULL, &v, &arena);
    shows(
        "{\"id\":\"ID\",\"service_required\":\"simulation\",\"priority\":50,\"payload\":{\"seed\": "
        "18446744073709551615},"
        "\"requirements\":{\"x\":1 },\"customer_id\":\"c1\",\"status\":\"completed\","
        "\"created_at\":\"2023-11-14T22:13:20.000Z\",\"assigned_at\":\"2023-11-14T22:13:20.010Z\","
        "\"started_at\":\"2023-11-14T22:13:20.020Z\",\"completed_at\":\"2023-11-14T22:13:21.520Z\","
        "\"worker_id\":\"m2\","
        "\"machine_id\":\"m2\",\"pool\":\"standard\",\"attempt\":2,\"retry_count\":0,\"max_"
        "retries\":3,"
        "\"last_failed_worker\":\"m1\",\"workflow_id\":\"w\",\"workflow_priority\":7,\"workflow_"
        "datetime\":12,"
        "\"current_step\":1,\"total_steps\":2,\"models\":[\"sdxl\"],\"user_tier\":\"premium\","
        "\"timeout_s\":1.5,"
        "\"processing_time\":1500,\"progress\":100,\"result\":{\"a\":1.50},\"outputs\":[{\"name\":"
        "\"d/a b.png\","
        "\"type\":\"image/png\",\"bytes\":9,\"url\":\"/api/artifacts/ID/d/"
        "a%20b.png\"}],\"attempts\":[{\"attempt\":1,"
        "\"machine_id\":\"m1\",\"pool\":\"heavy\",\"assigned_at\":\"2023-11-14T22:13:20.001Z\","
        "\"ended_at\":\"2023-11-14T22:13:20.005Z\",\"outcome\":\"lost\",\"counted\":false,"
        "\"error\":\"silent for 8 s\","
        "\"code\":\"machine_lost\"},{\"attempt\":2,\"machine_id\":\"m2\",\"pool\":\"standard\","
        "\"assigned_at\":\"2023-11-14T22:13:20.010Z\",\"started_at\":\"2023-11-14T22:13:20.020Z\","
        "\"ended_at\":\"2023-11-14T22:13:21.520Z\",\"outcome\":\"completed\",\"counted\":true,"
        "\"bytes_fetched\":7}]}");
}

static void a_job_that_failed(void **state)
{
    struct emp_job_record r = {
        .num = 1,
        .state = EMP_JOB_FAILED,
        .submitted_at = T0,
        .finished_at = T0 + 9,
        .counted_attempts = 3,
        .error = EMP_STR("no \"luck\""),
        .error_code = EMP_E_JOB_FAILED,
        .attempt = {.number = 3, .outcome = EMP_OUTCOME_FAILED, .machine = EMP_STR("m")}};
    struct emp_job_view v = {
        .id = "ID", .record = &r, .spec = &plain_spec, .max_retries_default = 3, .percent = -1};
    (void)state;
    emp_view_job(&w, NULL, &v, &arena);
    shows(
        "{\"id\":\"ID\",\"service_required\":\"simulation\",\"priority\":50,\"status\":\"failed\","
        "\"created_at\":\"2023-11-14T22:13:20.000Z\",\"failed_at\":\"2023-11-14T22:13:20.009Z\","
        "\"worker_id\":\"m\","
        "\"machine_id\":\"m\",\"attempt\":3,\"retry_count\":3,\"max_retries\":3,\"last_failed_"
        "worker\":\"m\","
        "\"user_tier\":\"free\",\"error\":\"no \\\"luck\\\"\",\"code\":\"job_failed\"}");
}

static void a_job_cancelled_while_it_waited_has_no_machine(void **state)
{
    struct emp_job_record r = {.state = EMP_JOB_CANCELLED,
                               .submitted_at = T0,
                               .finished_at = T0,
                               .attempt = {.number = 2, .outcome = EMP_OUTCOME_FAILED}};
    struct emp_job_view v = {.id = "ID", .record = &r, .spec = &plain_spec, .percent = -1};
    (void)state;
    emp_view_job(&w, NULL, &v, &arena);
    assert_null(strstr(buf.data, "machine_id"));
    assert_null(strstr(buf.data, "worker"));
}

/* The existing system shows the retry count of the submitter's context instead of its own, where
 * there is one. */
static void the_contexts_retry_count_wins(void **state)
{
    static const char *const bodies[] = {
        "{\"ctx\":{\"workflow_context\":{\"retry_attempt\":4}},\"payload\":{\"ctx\":{\"retry_"
        "count\":9}}}",
        "{\"ctx\":{\"workflow_context\":{\"retry_attempt\":0}},\"payload\":{\"ctx\":{\"retry_"
        "count\":4}}}",
        "{\"payload\":{\"ctx\":{\"retryCount\":4}}}",
    };
    struct emp_job_record r = {.state = EMP_JOB_PENDING, .submitted_at = T0, .counted_attempts = 1};
    struct emp_job_view v = {.id = "ID", .record = &r, .spec = &plain_spec, .percent = -1};
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        v.body = emp_str_z(bodies[i]);
        emp_buf_clear(&buf);
        emp_writer_init(&w, &buf);
        emp_view_job(&w, NULL, &v, &arena);
        assert_non_null(strstr(buf.data, "\"retry_count\":4,"));
    }
}

static void a_decision(void **state)
{
    struct emp_job_spec spec = plain_spec;
    struct emp_str models[] = {EMP_STR("sdxl")};
    struct emp_job_record r = {
        .order_priority = 70,
        .decision = {
            .count = 2,
            .considered = 5,
            .fallback = EMP_FALLBACK_FETCH,
            .estimated_run_ms = 12500,
            .pool = EMP_STR("standard"),
            .candidates = {
                {.machine = EMP_STR("m1"),
                 .pool = EMP_STR("standard"),
                 .terms = {1500000, 2000000, 250000, -100000, 0, 1, 20},
                 .cost = 2150021,
                 .load_suitability = 0.75f},
                {.machine = EMP_STR("m2"), .pool = EMP_STR("heavy"), .has_models = true}}}};
    struct emp_decision_view v;
    (void)state;
    spec.models = models;
    spec.model_count = 1;
    emp_decision_view_of(&r, &spec, &v);
    emp_view_decision(&w, NULL, &v);
    shows("{\"chosen\":\"m1\",\"runner_up\":\"m2\",\"candidates\":[{\"machine_id\":\"m1\","
          "\"poolType\":\"standard\","
          "\"machineHasModels\":false,\"machineLoadSuitability\":0.75,\"estimatedWaitTime\":2.25,"
          "\"modelDownloadCost\":2,"
          "\"cost\":2.150021,\"terms\":{\"slot_free\":1.5,\"fetch\":2,\"load\":0.25,\"run_delta\":-"
          "0.1,\"pool_penalty\":0,"
          "\"displacement\":0.000001,\"risk\":0.00002}},{\"machine_id\":\"m2\",\"poolType\":"
          "\"heavy\","
          "\"machineHasModels\":true,\"machineLoadSuitability\":0,\"estimatedWaitTime\":0,"
          "\"modelDownloadCost\":0,\"cost\":0,"
          "\"terms\":{\"slot_free\":0,\"fetch\":0,\"load\":0,\"run_delta\":0,\"pool_penalty\":0,"
          "\"displacement\":0,\"risk\":0}}],"
          "\"considered\":5,\"pool\":\"standard\",\"requiredModels\":[\"sdxl\"],"
          "\"requiredCustomNodes\":[],"
          "\"estimatedDuration\":12.5,\"priority\":70,\"userTier\":\"free\",\"fallback\":\"fetch\","
          "\"waiting_for\":null,"
          "\"reason\":\"soonest start in its own pool; its models are fetched first\"}");
}

static void a_decision_that_is_still_to_be_taken(void **state)
{
    struct emp_decision_view v = {
        .waiting = true, .waiting_for = EMP_STR("m3"), .reason = EMP_STR("m3 is free soonest")};
    (void)state;
    emp_view_decision(&w, NULL, &v);
    shows("{\"chosen\":null,\"runner_up\":null,\"candidates\":[],\"considered\":0,\"pool\":null,"
          "\"requiredModels\":[],"
          "\"requiredCustomNodes\":[],\"estimatedDuration\":0,\"priority\":0,\"userTier\":\"free\","
          "\"fallback\":\"none\","
          "\"waiting_for\":\"m3\",\"reason\":\"m3 is free soonest\"}");
}

static void id_of(void *ctx, emp_job_num num, char out[37])
{
    (void)ctx;
    snprintf(out, 37, "job-%u", (unsigned)num);
}

static void a_machine(void **state)
{
    struct emp_str services[] = {EMP_STR("comfyui")};
    struct emp_gpu gpus[] = {{EMP_STR("RTX 4090"), 24000000000}};
    struct emp_capability caps[] = {{.path = EMP_STR("asset_type"),
                                     .text = EMP_STR("image"),
                                     .kind = EMP_CAPABILITY_TEXT,
                                     .in_array = true}};
    struct emp_copy copies[] = {{EMP_STR("sdxl"), 6900000000, EMP_RESIDENCY_GPU, true}};
    emp_job_num jobs[] = {7};
    struct emp_machine_facts f = {.id = EMP_STR("m1"),
                                  .boot = EMP_STR("b"),
                                  .services = services,
                                  .service_count = 1,
                                  .gpus = gpus,
                                  .gpu_count = 1,
                                  .caps = caps,
                                  .cap_count = 1,
                                  .slots = 2,
                                  .cpu_cores = 16,
                                  .ram_bytes = 64000000000,
                                  .disk_budget_bytes = 100};
    struct emp_machine_view v = {.facts = &f,
                                 .state = EMP_MACHINE_CONNECTED,
                                 .pool = EMP_STR("heavy"),
                                 .busy = 1,
                                 .jobs = jobs,
                                 .copies = copies,
                                 .copy_count = 1,
                                 .disk_free_bytes = 40,
                                 .speed = 1,
                                 .first_seen = T0,
                                 .last_seen = T0};
    (void)state;
    emp_view_machine(&w, NULL, &v, id_of, NULL);
    shows("{\"machine_id\":\"m1\",\"status\":\"connected\",\"pool\":\"heavy\",\"boot_id\":\"b\","
          "\"slots\":2,\"busy\":1,"
          "\"jobs\":[\"job-7\"],\"services\":[\"comfyui\"],\"isolation\":\"none\",\"hardware\":{"
          "\"cpu_cores\":16,\"ram_gb\":64,"
          "\"gpus\":[{\"model\":\"RTX "
          "4090\",\"memory_gb\":24}]},\"disk\":{\"budget_bytes\":100,\"free_bytes\":40},"
          "\"link_bytes_per_s\":0,\"fetch_left_bytes\":0,\"speed\":1,\"model_count\":1,\"models\":["
          "{\"model\":\"sdxl\","
          "\"bytes\":6900000000,\"residency\":\"gpu\",\"in_use\":true}],\"capabilities\":{\"asset_"
          "type\":[\"image\"]},"
          "\"jobs_completed\":0,\"jobs_failed\":0,\"drained\":false,\"first_seen\":\"2023-11-14T22:"
          "13:20.000Z\","
          "\"last_seen\":\"2023-11-14T22:13:20.000Z\"}");
}

/* Only where it was asked for and not given. */
static void a_pool_that_is_unknown(void **state)
{
    static const struct {
        const char *asked, *given, *shown;
    } cases[] = {
        {"", "heavy", "\"pool\":\"heavy\",\"boot"},
        {"heavy", "heavy", "\"pool\":\"heavy\",\"boot"},
        {"gold", "heavy", "\"pool\":\"heavy\",\"pool_unknown\":\"gold\",\"boot"},
        {"gold", "", "\"pool\":\"\",\"pool_unknown\":\"gold\",\"boot"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_machine_facts f = {
            .id = EMP_STR("m"), .boot = EMP_STR("b"), .pool = emp_str_z(cases[i].asked)};
        struct emp_machine_view v = {.facts = &f, .pool = emp_str_z(cases[i].given), .brief = true};
        emp_view_machine(&w, NULL, &v, id_of, NULL);
        if (strstr(buf.data, cases[i].shown) == NULL)
            fail_msg("not %s: %s", cases[i].shown, buf.data);
        emp_buf_clear(&buf);
        emp_writer_init(&w, &buf);
    }
}

static void a_model_and_a_pool(void **state)
{
    struct emp_model m = {.name = EMP_STR("a"), .path = EMP_STR("a"), .bytes = 5};
    struct emp_str machines[] = {EMP_STR("m1")};
    struct emp_pool p = {.name = EMP_STR("heavy"),
                         .run_ms_min = 180000,
                         .run_ms_max = EMP_NEVER,
                         .penalty_ms = 20000};
    (void)state;
    emp_write_array(&w, NULL);
    emp_view_model(
        &w, NULL,
        &(struct emp_model_view){.model = &m, .copies = 1, .uses = 3, .machines = machines});
    emp_view_pool(
        &w, NULL,
        &(struct emp_pool_view){
            .pool = &p, .machines = 2, .slots = 4, .busy = 1, .pending = 9, .running = 1});
    emp_write_end(&w);
    shows("[{\"name\":\"a\",\"path\":\"a\",\"bytes\":5,\"copies\":1,\"fetching\":0,\"uses\":3,"
          "\"machines\":[\"m1\"]},"
          "{\"name\":\"heavy\",\"run_s_min\":180,\"run_s_max\":null,\"disk_bytes_min\":0,\"disk_"
          "bytes_max\":0,"
          "\"hardware\":{\"gpu_memory_gb\":0,\"ram_gb\":0,\"cpu_cores\":0},\"penalty_s\":20,"
          "\"evict_lean\":0,\"machines\":2,"
          "\"slots\":4,\"busy\":1,\"pending\":9,\"running\":1}]");
}

static void answers(void **state)
{
    struct emp_error err = {
        .code = EMP_E_INVALID, .field = "priority", .text = "priority: \"x\" is not a number"};
    struct emp_error bare = {.code = EMP_E_NOT_FOUND};
    (void)state;
    emp_write_array(&w, NULL);
    emp_view_error(&w, NULL, &err, T0);
    emp_view_error(&w, NULL, &bare, T0);
    emp_view_submitted(&w, NULL, "ID", T0, NULL);
    emp_view_batch_element(&w, "ID", NULL, T0, NULL);
    emp_view_batch_element(&w, NULL, &err, T0, NULL);
    emp_write_end(&w);
    shows("[{\"success\":false,\"error\":\"priority: \\\"x\\\" is not a "
          "number\",\"code\":\"invalid\",\"field\":\"priority\","
          "\"timestamp\":\"2023-11-14T22:13:20.000Z\"},{\"success\":false,\"error\":\"there is no "
          "such thing\","
          "\"code\":\"not_found\",\"timestamp\":\"2023-11-14T22:13:20.000Z\"},{\"success\":true,"
          "\"job_id\":\"ID\","
          "\"message\":\"Job submitted "
          "successfully\",\"timestamp\":\"2023-11-14T22:13:20.000Z\"},{\"success\":true,"
          "\"job_id\":\"ID\"},{\"success\":false,\"error\":\"priority: \\\"x\\\" is not a "
          "number\",\"code\":\"invalid\","
          "\"field\":\"priority\"}]");
}

/* Behind what clients of the existing system read. */
static void an_answer_with_times(void **state)
{
    static const struct emp_eta all = {.start_p50_ms = 0,
                                       .start_p90_ms = 1500,
                                       .finish_p50_ms = 60000,
                                       .finish_p90_ms = 90000},
                                none = {-1, -1, -1, -1, EMP_STR("no machine is connected")};
    (void)state;
    emp_write_array(&w, NULL);
    emp_view_submitted(&w, NULL, "ID", T0, &all);
    emp_view_batch_element(&w, "ID", NULL, T0, &none);
    emp_write_end(&w);
    shows("[{\"success\":true,\"job_id\":\"ID\",\"message\":\"Job submitted successfully\","
          "\"timestamp\":\"2023-11-14T22:13:20.000Z\","
          "\"estimated_start\":\"2023-11-14T22:13:20.000Z\","
          "\"estimated_start_p90\":\"2023-11-14T22:13:21.500Z\","
          "\"estimated_completion\":\"2023-11-14T22:14:20.000Z\","
          "\"estimated_completion_p90\":\"2023-11-14T22:14:50.000Z\"},"
          "{\"success\":true,\"job_id\":\"ID\","
          "\"waiting_reason\":\"no machine is connected\"}]");
}

static void a_notice(void **state)
{
    struct emp_notice_view v = {.event = "complete_job",
                                .job_id = "ID",
                                .state = EMP_JOB_COMPLETED,
                                .attempt = 1,
                                .machine = EMP_STR("m"),
                                .pool = EMP_STR("heavy"),
                                .percent = 100,
                                .at = T0,
                                .result = EMP_STR("{}")};
    (void)state;
    emp_view_notice(&w, NULL, &v);
    shows("{\"type\":\"complete_job\",\"job_id\":\"ID\",\"status\":\"completed\",\"attempt\":1,"
          "\"worker_id\":\"m\","
          "\"machine_id\":\"m\",\"pool\":\"heavy\",\"progress\":100,\"result\":{},\"timestamp\":"
          "\"2023-11-14T22:13:20.000Z\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_job_that_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_that_completed_on_its_second_machine, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_job_that_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_cancelled_while_it_waited_has_no_machine, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_contexts_retry_count_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(a_decision, setup, teardown),
        cmocka_unit_test_setup_teardown(a_decision_that_is_still_to_be_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(a_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_with_times, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pool_that_is_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(a_model_and_a_pool, setup, teardown),
        cmocka_unit_test_setup_teardown(answers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_notice, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "agent/connectors/simulation.h"

#include "record.h"

static const char *run(struct place *p, const char *payload, uint32_t attempt)
{
    struct emp_connector_host host = {.loop = &p->loop};
    struct emp_connector *c = emp_simulation_new(&host, 5);
    struct record r;
    const char *story;
    record_init(&r, p, c, "simulation", payload);
    r.task.attempt = attempt;
    int code = record_start(&r);
    if (code < 0)
        story = emp_arena_printf(&p->arena, "%s: %s", emp_error_name(code), r.err.text);
    else
        story = record_end(&r);
    connector_close(p, c);
    return story;
}

static void sleeps_and_completes(void **state)
{
    struct place *p = *state;
    assert_string_equal(run(p, "", 1), "started\ncompleted {\"duration_ms\":5}\n");
    assert_string_equal(run(p, "{}", 1), "started\ncompleted {\"duration_ms\":5}\n");
    assert_string_equal(run(p, "{\"duration_ms\":0,\"other\":[1]}", 1),
                        "started\ncompleted {\"duration_ms\":0}\n");
    assert_string_equal(run(p, "{\"result\":{\"seed\":18446744073709551615}}", 1),
                        "started\ncompleted {\"seed\":18446744073709551615}\n");
}

static void takes_as_long_as_it_is_told(void **state)
{
    struct place *p = *state;
    struct emp_connector_host host = {.loop = &p->loop};
    struct emp_connector *c = emp_simulation_new(&host, 0);
    struct record r;
    emp_mono_ms began = emp_mono_now();
    record_init(&r, p, c, "simulation", "{\"duration_ms\":120,\"load_ms\":60}");
    assert_int_equal(record_start(&r), 0);
    assert_string_equal(record_end(&r), "started 60\ncompleted {\"duration_ms\":120}\n");
    assert_true(r.run_ms >= 119); // the load is not part of the run
    assert_true(emp_mono_now() - began >= 179);
    connector_close(p, c);
}

static void tells_its_steps(void **state)
{
    struct place *p = *state;
    assert_string_equal(
        run(p, "{\"duration_ms\":8,\"steps\":4}", 1),
        "started\nprogress 25 step 1 of 4\nprogress 50 step 2 of 4\nprogress 75 step 3 of 4\n"
        "progress 100 step 4 of 4\ncompleted {\"duration_ms\":8}\n");
    assert_null(strstr(run(p, "{\"duration_ms\":210,\"steps\":0}", 1), "progress"));
    assert_non_null(strstr(run(p, "{\"duration_ms\":210}", 1), "progress 100 step 10 of 10"));
}

static void fails_as_it_is_told(void **state)
{
    struct place *p = *state;
    assert_string_equal(run(p, "{\"fail\":false}", 1), "started\ncompleted {\"duration_ms\":5}\n");
    assert_string_equal(run(p, "{\"fail\":true}", 1),
                        "started\nfailed job_failed retryable: the simulation was asked to fail\n");
    assert_string_equal(run(p, "{\"fail\":\"permanent\"}", 1),
                        "started\nfailed job_rejected: the simulation was asked to fail\n");
    assert_string_equal(
        run(p, "{\"fail\":\"machine\"}", 1),
        "started\nfailed job_failed retryable machine: the simulation was asked to fail\n");
    assert_string_equal(run(p, "{\"fail_attempts\":2}", 2),
                        "started\nfailed job_failed retryable: the simulation was asked to fail\n");
    assert_string_equal(run(p, "{\"fail_attempts\":2}", 3),
                        "started\ncompleted {\"duration_ms\":5}\n");
}

static void writes_an_output(void **state)
{
    struct place *p = *state;
    assert_string_equal(run(p, "{\"output_bytes\":100000}", 1),
                        "started\ncompleted {\"duration_ms\":5} output.bin\n");
}

static void a_disk_that_does_not_take_the_output_is_to_blame(void **state)
{
    struct place *p = *state;
    place_write(p, "runs", "a file where the directory should be", 4);
    assert_string_equal(run(p, "{\"output_bytes\":10}", 1),
                        "started\nfailed io retryable machine: the output could not be written\n");
}

static void stops_at_once(void **state)
{
    struct place *p = *state;
    struct emp_connector_host host = {.loop = &p->loop};
    struct emp_connector *c = emp_simulation_new(&host, 0);
    struct record loading, running;
    record_init(&loading, p, c, "simulation", "{\"load_ms\":3600000}");
    record_init(&running, p, c, "simulation", "{\"duration_ms\":3600000}");
    assert_int_equal(record_start(&loading), 0);
    assert_int_equal(record_start(&running), 0);
    UNTIL(p, record_said(&running, "started"));
    c->ops->stop(c, loading.run, false);
    c->ops->stop(c, running.run, true);
    assert_false(loading.done || running.done); // never from inside stop()
    assert_string_equal(record_end(&loading), "failed cancelled retryable: stopped\n");
    assert_string_equal(record_end(&running), "started\nfailed cancelled retryable: stopped\n");
    connector_close(p, c);
}

static void wrong_payloads_are_rejected(void **state)
{
    struct place *p = *state;
    static const char *const wrong[][2] = {
        {"[]", "the payload of a simulation is an object, not an array"},
        {"{\"duration_ms\":-1}", "payload.duration_ms is -1; a number from 0 to"},
        {"{\"duration_ms\":\"5\"}", "payload.duration_ms is \"5\""},
        {"{\"duration_ms\":1e300}", "payload.duration_ms is 1e300"},
        {"{\"steps\":1001}", "payload.steps is 1001; a number from 0 to 1000 is wanted"},
        {"{\"load_ms\":null}", "payload.load_ms is null"},
        {"{\"output_bytes\":1000000001}", "payload.output_bytes is 1000000001"},
        {"{\"fail\":\"often\"}",
         "payload.fail is \"often\"; true, false, \"permanent\" or \"machine\" is wanted"},
        {"{\"fail\":1}", "payload.fail is 1"},
        {"{\"fail_attempts\":true}", "payload.fail_attempts is true"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *said = run(p, wrong[i][0], 1);
        if (strncmp(said, "job_rejected: ", 14) != 0 || strstr(said, wrong[i][1]) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", wrong[i][0], said, wrong[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(sleeps_and_completes), PLACED(takes_as_long_as_it_is_told),
        PLACED(tells_its_steps),      PLACED(fails_as_it_is_told),
        PLACED(writes_an_output),     PLACED(a_disk_that_does_not_take_the_output_is_to_blame),
        PLACED(stops_at_once),        PLACED(wrong_payloads_are_rejected),
    };
    return cmocka_run_group_tests_name("agent/simulation", tests, NULL, NULL);
}

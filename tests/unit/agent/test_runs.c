/* Runs between the brain, a connector that does what the test says, and a broker that takes
 * outputs. */
#include "agent/runs.h"

#include "check.h"
#include "origin.h"
#include "os/files.h"

#include <unistd.h>

/* ---------------------------------------------------------------- a connector in the test's hands
 */

enum { RUNS_MAX = 8 };

struct emp_run {
    struct emp_run_task task;
    struct emp_run_sink sink;
    bool stopped, hard;
};

struct puppet {
    struct emp_connector base;
    struct emp_run runs[RUNS_MAX]; /* in order of start */
    int count, refuse;             /* refuse: what start() answers */
};

static int puppet_start(struct emp_connector *c, const struct emp_run_task *task,
                        const struct emp_run_sink *sink, struct emp_run **ret,
                        struct emp_error *err)
{
    struct puppet *p = (struct puppet *)c;
    if (p->refuse)
        return emp_fail(err, p->refuse, NULL, "not like this");
    *ret = &p->runs[p->count++];
    **ret = (struct emp_run){*task, *sink, false, false};
    return 0;
}

static void puppet_stop(struct emp_connector *c, struct emp_run *run, bool hard)
{
    (void)c;
    run->stopped = true;
    run->hard |= hard;
}

static const struct emp_connector_ops puppet_ops = {puppet_start, puppet_stop, NULL};
static const struct emp_str puppet_services[] = {{"paint", 5}, {"draw", 4}};

/* ---------------------------------------------------------------- the rig */

struct rig {
    struct place *p;
    struct puppet puppet;
    struct emp_models models;
    struct emp_runs runs;
    struct origin origin;
    struct emp_http_client *http;
    struct emp_buf story;
    bool inside; /* a function of runs is being called: no event may come */
};

static void takes(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    origin_say(fd, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void never(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    origin_hold(fd);
}

static void gone(void *arg, int fd, const struct origin_request *r)
{
    (void)arg, (void)r;
    origin_say(fd, "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void on_event(void *arg, const struct emp_machine_event *e)
{
    struct rig *g = arg;
    struct emp_buf *b = &g->story;
    assert_false(g->inside);
    switch (e->kind) {
    case EMP_MACHINE_EVENT_RUN_STARTED:
        emp_buf_printf(b, "started %ld.%u\n", (long)e->run_started.job, e->run_started.attempt);
        break;
    case EMP_MACHINE_EVENT_RUN_PROGRESS:
        emp_buf_printf(b, "progress %ld %g %.*s\n", (long)e->run_progress.job,
                       e->run_progress.percent, EMP_STR_FMT(e->run_progress.text));
        break;
    case EMP_MACHINE_EVENT_RUN_STORING:
        emp_buf_printf(b, "storing %ld\n", (long)e->run_storing.job);
        break;
    case EMP_MACHINE_EVENT_RUN_DONE:
        if (e->run_done.code)
            emp_buf_printf(
                b, "failed %ld %s%s%s: %.*s\n", (long)e->run_done.job,
                emp_error_name(e->run_done.code), e->run_done.retryable ? " retryable" : "",
                e->run_done.machine_fault ? " machine" : "", EMP_STR_FMT(e->run_done.text));
        else
            emp_buf_printf(b, "done %ld %.*s %u outputs\n", (long)e->run_done.job,
                           EMP_STR_FMT(e->run_done.result), e->run_done.output_count);
        break;
    default:
        fail_msg("an event %d came", (int)e->kind);
    }
}

static int setup(void **state)
{
    static const struct origin_act all[] = {
        {"takes", takes, 0}, {"never", never, 0}, {"gone", gone, 0}, {NULL, NULL, 0}};
    static struct origin_act acts[4];
    if (place_make(state) < 0)
        return -1;
    struct rig *g = calloc(1, sizeof *g);
    g->p = *state;
    emp_buf_init(&g->story, 1 << 20);
    memcpy(acts, all, sizeof acts);
    origin_start(&g->origin, acts, g);
    emp_http_client_new(&g->p->loop, NULL, &g->http);
    emp_models_init(&g->models, &g->p->loop, place_path(g->p, "models"), NULL);
    g->puppet.base = (struct emp_connector){
        .ops = &puppet_ops, .name = "puppet", .services = puppet_services, .service_count = 2};
    place_write(g->p, "runs/7.1/left-behind", "x", 1);
    g->runs =
        (struct emp_runs){.loop = &g->p->loop,
                          .connectors = {&g->puppet.base},
                          .connector_count = 1,
                          .models = &g->models,
                          .upload = {.loop = &g->p->loop, .http = g->http, .pause_ms_max = 10},
                          .event = on_event,
                          .arg = g};
    *state = g;
    return emp_runs_init(&g->runs, g->p->dir, NULL);
}

static int teardown(void **state)
{
    struct rig *g = *state;
    *state = g->p;
    emp_http_client_close(g->http, NULL, NULL);
    while (uv_loop_alive(&g->p->loop))
        uv_run(&g->p->loop, UV_RUN_ONCE);
    bool empty = emp_runs_empty(&g->runs);
    origin_stop(&g->origin);
    emp_models_release(&g->models);
    emp_buf_release(&g->story);
    free(g);
    return place_remove(state) < 0 || !empty ? -1 : 0;
}

static void start(struct rig *g, emp_job_num job, const char *service)
{
    struct emp_message_assign *a = emp_arena_new(&g->p->arena, struct emp_message_assign);
    *a = (struct emp_message_assign){
        .job = job,
        .attempt = 1,
        .service = emp_str_z(service),
        .job_id = emp_str_z(emp_arena_printf(&g->p->arena, "job-%ld", (long)job))};
    g->inside = true;
    emp_runs_start(&g->runs, a);
    g->inside = false;
}

static void stop(struct rig *g, emp_job_num job, bool hard)
{
    g->inside = true;
    emp_runs_stop(&g->runs, job, 1, hard);
    g->inside = false;
}

static void end(struct emp_run *r, struct emp_run_end end)
{
    r->sink.done(r->sink.arg, &end);
}

/* Leaves an output for the broker that behaves so. */
static void end_with_output(struct rig *g, struct emp_run *r, const char *behaviour)
{
    const char *path = emp_arena_printf(&g->p->arena, "%s/a.txt", r->task.scratch);
    struct emp_run_output output = {.name = EMP_STR("a.txt"), .path = path};
    g->runs.upload.base = origin_url(&g->origin, g->p, behaviour).ptr;
    assert_int_equal(emp_dir_make_parent(path, 0755, NULL), 0);
    assert_int_equal(emp_file_write_atomic(path, "out", 3, 0644, NULL), 0);
    end(r, (struct emp_run_end){.result = EMP_STR("{}"), .outputs = &output, .output_count = 1});
}

static bool said(struct rig *g, const char *part)
{
    return g->story.data && strstr(g->story.data, part);
}

static void assert_story(struct rig *g, const char *expected)
{
    const char *last = strrchr(expected, '\n') - 1; // waits for the last line, then compares all
    while (last > expected && last[-1] != '\n')
        last--;
    UNTIL(g->p, said(g, last));
    assert_string_equal(g->story.data, expected);
}

/* ---------------------------------------------------------------- cases */

static void a_run_goes_to_who_offers_its_service(void **state)
{
    struct rig *g = *state;
    assert_false(place_has(g->p, "runs/7.1")); // of an earlier life
    start(g, 7, "draw");
    struct emp_run *r = &g->puppet.runs[0];
    assert_string_equal(r->task.scratch, place_path(g->p, "runs/7.1"));
    assert_string_equal(r->task.model_dir, place_path(g->p, "models"));
    r->sink.started(r->sink.arg, 5);
    r->sink.progress(r->sink.arg, 50, EMP_STR("half"));
    end(r, (struct emp_run_end){.result = EMP_STR("{\"a\":1}")});
    assert_story(g, "started 7.1\nprogress 7 50 half\ndone 7 {\"a\":1} 0 outputs\n");
}

static void a_service_that_nobody_offers_is_this_machines_fault(void **state)
{
    struct rig *g = *state;
    start(g, 7, "sing");
    assert_story(
        g,
        "failed 7 unknown_service retryable machine: no connector of this agent offers \"sing\"\n");
}

static void who_is_to_blame_for_a_start_that_failed(void **state)
{
    struct rig *g = *state;
    g->puppet.refuse = EMP_E_JOB_REJECTED;
    start(g, 1, "draw");
    assert_story(g, "failed 1 job_rejected: not like this\n");
    emp_buf_clear(&g->story);
    g->puppet.refuse = EMP_E_FORBIDDEN; // of a directory
    start(g, 2, "draw");
    assert_story(g, "failed 2 forbidden retryable machine: not like this\n");
}

static void a_failure_is_told_as_the_connector_says_it(void **state)
{
    struct rig *g = *state;
    start(g, 7, "draw");
    end(&g->puppet.runs[0], (struct emp_run_end){.code = EMP_E_JOB_FAILED,
                                                 .text = EMP_STR("no paint"),
                                                 .retryable = true,
                                                 .machine_fault = true});
    assert_story(g, "failed 7 job_failed retryable machine: no paint\n");
}

static void outputs_are_stored_before_it_is_done(void **state)
{
    struct rig *g = *state;
    start(g, 7, "draw");
    end_with_output(g, &g->puppet.runs[0], "takes");
    assert_story(g, "storing 7\ndone 7 {} 1 outputs\n");
    UNTIL(g->p, !place_has(g->p, "runs/7.1"));
}

static void outputs_that_nobody_wants_any_more(void **state)
{
    struct rig *g = *state;
    start(g, 7, "draw");
    end_with_output(g, &g->puppet.runs[0], "gone");
    UNTIL(g->p, said(g, "failed 7 conflict"));
    UNTIL(g->p, !place_has(g->p, "runs/7.1"));
}

static void more_than_a_connector_takes_wait_in_order(void **state)
{
    struct rig *g = *state;
    g->puppet.base.runs_max = 1;
    start(g, 1, "draw");
    start(g, 2, "draw");
    start(g, 3, "draw");
    assert_int_equal(g->puppet.count, 1);
    end_with_output(g, &g->puppet.runs[0], "never"); // its place is free while it is stored
    assert_int_equal(g->puppet.count, 2);
    assert_int_equal(g->puppet.runs[1].task.job, 2);
    end(&g->puppet.runs[1], (struct emp_run_end){.result = EMP_STR("2")});
    assert_int_equal(g->puppet.runs[2].task.job, 3);
    end(&g->puppet.runs[2], (struct emp_run_end){.result = EMP_STR("3")});
    stop(g, 1, false);
    assert_story(g, "storing 1\ndone 2 2 0 outputs\ndone 3 3 0 outputs\n"
                    "failed 1 cancelled: the upload of the outputs was cancelled\n");
}

static void a_waiting_run_that_fails_to_start_lets_the_next_in(void **state)
{
    struct rig *g = *state;
    g->puppet.base.runs_max = 1;
    start(g, 1, "draw");
    start(g, 2, "draw");
    start(g, 3, "draw");
    g->puppet.refuse = EMP_E_JOB_REJECTED;
    end(&g->puppet.runs[0], (struct emp_run_end){.result = EMP_STR("1")});
    assert_story(g, "done 1 1 0 outputs\nfailed 2 job_rejected: not like this\nfailed 3 "
                    "job_rejected: not like this\n");
}

static void stopped_before_it_began(void **state)
{
    struct rig *g = *state;
    g->puppet.base.runs_max = 1;
    start(g, 1, "draw");
    start(g, 2, "draw");
    stop(g, 2, false);
    assert_story(g, "failed 2 cancelled: stopped before it began\n");
    end(&g->puppet.runs[0], (struct emp_run_end){.result = EMP_STR("1")});
    assert_int_equal(g->puppet.count, 1);
    stop(g, 99, true); // not ours
}

static void stopped_while_it_runs(void **state)
{
    struct rig *g = *state;
    start(g, 7, "draw");
    stop(g, 7, false);
    assert_true(g->puppet.runs[0].stopped && !g->puppet.runs[0].hard);
    stop(g, 7, true);
    assert_true(g->puppet.runs[0].hard);
    end(&g->puppet.runs[0],
        (struct emp_run_end){.code = EMP_E_CANCELLED, .text = EMP_STR("stopped")});
    assert_story(g, "failed 7 cancelled: stopped\n");
}

static void a_run_that_does_not_stop_is_given_up(void **state)
{
    struct rig *g = *state;
    g->puppet.base.runs_max = 1;
    start(g, 7, "draw");
    struct emp_run *r = &g->puppet.runs[0];
    emp_runs_abandon(&g->runs, 7, 1); // answers at once, which is allowed here
    assert_true(r->hard);
    assert_story(
        g,
        "failed 7 internal retryable machine: the run did not stop when asked and was given up\n");
    start(g, 8, "draw"); // its place is not free before it has really ended
    assert_int_equal(g->puppet.count, 1);
    r->sink.progress(r->sink.arg, 99, EMP_STR("still here"));
    end(r, (struct emp_run_end){.result = EMP_STR("too late")});
    assert_false(said(g, "late"));
    assert_false(said(g, "still here"));
    assert_int_equal(g->puppet.count, 2);
    end(&g->puppet.runs[1], (struct emp_run_end){.result = EMP_STR("8")});
    UNTIL(g->p, said(g, "done 8"));
}

static void storing_is_given_up_as_well(void **state)
{
    struct rig *g = *state;
    start(g, 7, "draw");
    end_with_output(g, &g->puppet.runs[0], "never");
    UNTIL(g->p, strcmp(origin_story(&g->origin, g->p), "never") == 0);
    emp_runs_abandon(&g->runs, 7, 1);
    assert_story(g, "storing 7\nfailed 7 internal retryable machine: the run did not stop when "
                    "asked and was given up\n");
    UNTIL(g->p, emp_runs_empty(&g->runs));
}

static void a_result_too_long_is_refused(void **state)
{
    struct rig *g = *state;
    char *text = test_malloc(EMP_RESULT_BYTES_MAX + 1);
    memset(text, '1', EMP_RESULT_BYTES_MAX + 1);
    start(g, 7, "draw");
    end(&g->puppet.runs[0], (struct emp_run_end){.result = {text, EMP_RESULT_BYTES_MAX + 1}});
    assert_true(said(g, "failed 7 limit_exceeded: the result has 16777217 bytes"));
    test_free(text);
}

static void the_end_stops_all(void **state)
{
    struct rig *g = *state;
    g->puppet.base.runs_max = 1;
    start(g, 1, "draw");
    start(g, 2, "draw");
    g->inside = true;
    emp_runs_stop_all(&g->runs);
    g->inside = false;
    assert_true(g->puppet.runs[0].hard);
    assert_false(emp_runs_empty(&g->runs));
    end(&g->puppet.runs[0],
        (struct emp_run_end){.code = EMP_E_CANCELLED, .text = EMP_STR("stopped")});
    UNTIL(g->p, emp_runs_empty(&g->runs));
}

int main(void)
{
#define RIGGED(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        RIGGED(a_run_goes_to_who_offers_its_service),
        RIGGED(a_service_that_nobody_offers_is_this_machines_fault),
        RIGGED(who_is_to_blame_for_a_start_that_failed),
        RIGGED(a_failure_is_told_as_the_connector_says_it),
        RIGGED(outputs_are_stored_before_it_is_done),
        RIGGED(outputs_that_nobody_wants_any_more),
        RIGGED(more_than_a_connector_takes_wait_in_order),
        RIGGED(a_waiting_run_that_fails_to_start_lets_the_next_in),
        RIGGED(stopped_before_it_began),
        RIGGED(stopped_while_it_runs),
        RIGGED(a_run_that_does_not_stop_is_given_up),
        RIGGED(storing_is_given_up_as_well),
        RIGGED(a_result_too_long_is_refused),
        RIGGED(the_end_stops_all),
    };
    return cmocka_run_group_tests_name("agent/runs", tests, NULL, NULL);
}

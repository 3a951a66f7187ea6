/* The command connector with real programs: small shell scripts, as an operator might write them.
 * This program is also the supervisor of its own children (os/process.h). */
#include "agent/connectors/command.h"

#include "os/process.h"
#include "proto/json.h"
#include "record.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

enum { WORDS_MAX = 8 };

/* A service "s": argv is sh -c SCRIPT with further words as $0, $1, … */
struct rig {
    struct emp_str argv[WORDS_MAX], env[2];
    struct emp_command_service def;
    struct emp_connector *connector;
    struct record r;
};

static void rig(struct rig *g, struct place *p, const char *script, const char *payload)
{
    struct emp_connector_host host = {.loop = &p->loop};
    struct emp_error err = {0};
    uint32_t n = 3;
    if (g->argv[0].ptr == NULL)
        g->argv[0] = EMP_STR("sh");
    g->argv[1] = EMP_STR("-c");
    g->argv[2] = emp_str_z(script);
    while (n < WORDS_MAX && g->argv[n].ptr)
        n++;
    g->def.name = EMP_STR("s");
    g->def.argv = g->argv;
    g->def.argv_count = n;
    if (emp_command_new(&host, &g->def, 1, &g->connector, &err) < 0)
        fail_msg("%s", err.text);
    record_init(&g->r, p, g->connector, "s", payload);
}

/* Runs it to its end: the story, or why it did not start. */
static const char *run(struct rig *g, struct place *p, const char *script, const char *payload)
{
    const char *story;
    rig(g, p, script, payload);
    int code = record_start(&g->r);
    if (code < 0)
        story = emp_arena_printf(&p->arena, "%s: %s", emp_error_name(code), g->r.err.text);
    else
        story = record_end(&g->r);
    connector_close(p, g->connector);
    return story;
}

static const char *simply(struct place *p, const char *script)
{
    struct rig g = {0};
    return run(&g, p, script, "{}");
}

#define SAYS(text, part)                                         \
    do {                                                         \
        const char *said_ = (text);                              \
        if (strstr(said_, part) == NULL)                         \
            fail_msg("\"%s\" does not say \"%s\"", said_, part); \
    } while (0)

/* ---------------------------------------------------------------- results */

static void stdout_is_the_result(void **state)
{
    struct place *p = *state;
    assert_string_equal(simply(p, "echo hello"), "started\ncompleted {\"stdout\":\"hello\\n\"}\n");
    assert_string_equal(simply(p, "echo ' {{\"a\": [1, 2.50]}} '"),
                        "started\ncompleted {\"a\": [1, 2.50]}\n");
    assert_string_equal(simply(p, "true"), "started\ncompleted {\"stdout\":\"\"}\n");
    assert_string_equal(simply(p, "printf '{{\"a\":1}}{{'"),
                        "started\ncompleted {\"stdout\":\"{\\\"a\\\":1}{\"}\n");
}

static void bytes_that_are_no_text_make_no_broken_result(void **state)
{
    struct place *p = *state;
    struct emp_json *tree;
    const char *story = simply(p, "printf 'a\\377\\000b'");
    SAYS(story, "started\ncompleted ");
    story += strlen("started\ncompleted ");
    assert_int_equal(emp_json_parse(&p->arena, story, strlen(story) - 1, NULL, &tree, NULL), 0);
}

static void a_file_is_the_result(void **state)
{
    struct place *p = *state;
    struct rig g = {.def.result = EMP_COMMAND_RESULT_FILE};
    assert_string_equal(run(&g, p, "echo '[1,2]' > result.json; echo noise", "{}"),
                        "started\ncompleted [1,2]\n");
    SAYS(run(&g, p, "true", "{}"),
         "failed job_failed retryable: the command ended well but wrote no result.json");
    SAYS(run(&g, p, "echo '{{' > result.json", "{}"),
         "failed job_failed retryable: the command's result.json is not valid JSON");
    SAYS(run(&g, p, "head -c 5000000 /dev/zero > result.json", "{}"),
         "failed limit_exceeded: the command's result.json is larger");
}

static void nothing_is_the_result(void **state)
{
    struct rig g = {.def.result = EMP_COMMAND_RESULT_NONE};
    assert_string_equal(run(&g, *state, "echo hello", "{}"), "started\ncompleted \n");
}

static void a_result_too_long_is_refused(void **state)
{
    SAYS(simply(*state, "head -c 4200000 /dev/zero | tr '\\000' a; echo; echo progress 7"),
         "failed limit_exceeded: the command wrote more than");
}

/* ---------------------------------------------------------------- progress */

static void progress_lines_are_progress(void **state)
{
    assert_string_equal(simply(*state, "echo progress 1.5 first; echo kept; printf 'progress 50%% "
                                       "half\\rprogress: 7\\nprogress 100'"),
                        "started\nprogress 1.5 first\nprogress 50 half\n"
                        "completed {\"stdout\":\"kept\\nprogress: 7\\nprogress 100\"}\n");
}

static void the_prefix_is_the_operators(void **state)
{
    struct rig g = {.def.progress = EMP_STR("frame=")};
    assert_string_equal(run(&g, *state, "echo 'frame= 12 fps'; echo progress 3", "{}"),
                        "started\nprogress 12 fps\ncompleted {\"stdout\":\"progress 3\\n\"}\n");
}

/* However much it says: past what a result may have, standard output is read for its progress. */
static void progress_goes_on_behind_much_output(void **state)
{
    static const char *const much[] = {
        "yes x | head -c 4194000; echo progress 7; yes y | head -c 9000000; echo progress 8",
        "head -c 4194300 /dev/zero | tr '\\000' a; echo; echo progress 7; head -c 30000000 "
        "/dev/zero; "
        "echo; echo progress 8"};
    for (size_t i = 0; i < 2; i++) {
        struct rig g = {.def.result = EMP_COMMAND_RESULT_NONE};
        assert_string_equal(run(&g, *state, much[i], "{}"),
                            "started\nprogress 7 \nprogress 8 \ncompleted \n");
    }
}

static void progress_comes_while_it_runs(void **state)
{
    struct place *p = *state;
    struct rig g = {0};
    rig(&g, p, "echo progress 10 waiting; sleep 3600", "{}");
    assert_int_equal(record_start(&g.r), 0);
    UNTIL(p, record_said(&g.r, "progress 10 waiting"));
    assert_false(g.r.done);
    g.connector->ops->stop(g.connector, g.r.run, true);
    SAYS(record_end(&g.r), "started\nprogress 10 waiting\nfailed cancelled");
    connector_close(p, g.connector);
}

/* ---------------------------------------------------------------- files */

static void inputs_go_in_and_outputs_come_out(void **state)
{
    struct place *p = *state;
    struct rig g = {
        .argv = {[3] = EMP_STR("sh"), EMP_STR("{input.a.txt}"), EMP_STR("{output.up/b.txt}")}};
    assert_string_equal(run(&g, p, "tr a-z A-Z < \"$1\" > \"$2\"; echo more > out/z",
                            "{\"inputs\":{\"a.txt\":\"quiet\"}}"),
                        "started\ncompleted {\"stdout\":\"\"} up/b.txt z\n");
    assert_string_equal(g.r.out, "QUIET");
}

static void an_output_that_was_promised_must_come(void **state)
{
    struct rig g = {.argv = {[3] = EMP_STR("sh"), EMP_STR("{output.b.txt}")}};
    SAYS(run(&g, *state, "true", "{}"), "failed job_failed retryable: the command ended well but "
                                        "did not write its output \"b.txt\"");
}

static void values_never_reach_a_shell(void **state)
{
    struct place *p = *state;
    struct rig g = {.argv = {[3] = EMP_STR("sh"), EMP_STR("{payload.x}")}};
    assert_string_equal(run(&g, p, "printf %s \"$1\"", "{\"x\":\"$(touch pwned); `touch pwned`\"}"),
                        "started\ncompleted {\"stdout\":\"$(touch pwned); `touch pwned`\"}\n");
}

static void it_lives_in_its_scratch_directory(void **state)
{
    struct place *p = *state;
    struct rig g = {0};
    const char *story = run(&g, p, "pwd; echo $TMPDIR; cat; ls", "{}");
    assert_string_equal(
        story,
        emp_arena_printf(&p->arena,
                         "started\ncompleted {\"stdout\":\"%s\\n%s/tmp\\nin\\nout\\ntmp\\n\"}\n",
                         g.r.task.scratch, g.r.task.scratch));
}

static void the_environment_is_clean(void **state)
{
    struct place *p = *state;
    struct rig g = {0};
    g.env[0] = EMP_STR("COLOR=red blue");
    g.def.env = g.env;
    g.def.env_count = 1;
    setenv("EMP_AGENT_TOKEN", "secret", 1);
    const char *story = run(&g, p, "env", "{}");
    assert_null(strstr(story, "secret"));
    SAYS(story, "COLOR=red blue\\n");
    SAYS(story, "EMP_JOB_ID=0198-seven\\n");
    SAYS(story, "EMP_ATTEMPT=1\\n");
    SAYS(story, "PATH=");
}

static void the_payload_may_be_a_file(void **state)
{
    struct rig g = {.argv = {[3] = EMP_STR("sh"), EMP_STR("{payload_file}")}};
    assert_string_equal(run(&g, *state, "cat $1", "{\"seed\": 18446744073709551615}"),
                        "started\ncompleted {\"seed\": 18446744073709551615}\n");
}

static void wrong_payloads_are_rejected_before_anything_runs(void **state)
{
    struct place *p = *state;
    struct rig g = {.argv = {[3] = EMP_STR("sh"), EMP_STR("{payload.x}")}};
    SAYS(run(&g, p, "true", "[1]"),
         "job_rejected: the payload of this service is an object, not an array");
    SAYS(run(&g, p, "true", "{}"), "job_rejected: ");
    SAYS(run(&g, p, "true", "{\"x\":\"a\",\"inputs\":{\"../a\":\"\"}}"),
         "job_rejected: payload.inputs \"../a\"");
}

/* ---------------------------------------------------------------- ends */

static void exit_statuses_say_what_helps(void **state)
{
    struct place *p = *state;
    assert_string_equal(
        simply(p, "echo why >&2; exit 3"),
        "started\nfailed job_failed retryable: the command exited with status 3: why\n");
    assert_string_equal(
        simply(p, "echo bad option >&2; exit 64"),
        "started\nfailed job_rejected: the command exited with status 64: bad option\n");
    assert_string_equal(simply(p, "exit 65"),
                        "started\nfailed job_rejected: the command exited with status 65\n");
    SAYS(simply(p, "kill -SEGV $$"), "started\nfailed job_failed retryable: the command ");
    SAYS(simply(p, "kill -SEGV $$"), "SIGSEGV");
}

static void of_stderr_the_end_is_kept(void **state)
{
    const char *story =
        simply(*state, "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1");
    SAYS(story, "line 1999");
    assert_null(strstr(story, "line 1000\n"));
    assert_true(strlen(story) < 4096);
}

static void a_missing_program_is_this_machines_fault(void **state)
{
    struct rig g = {.argv = {EMP_STR("no-such-program-here")}};
    const char *story = run(&g, *state, "true", "{}");
    SAYS(story, "retryable machine: ");
    SAYS(story, "no-such-program-here");
    assert_null(strstr(story, "started\n"));
}

/* ---------------------------------------------------------------- limits */

static void a_service_has_its_own_time(void **state)
{
    struct rig g = {.def.timeout_ms = 200};
    assert_string_equal(run(&g, *state, "echo begun; sleep 3600", "{}"),
                        "started\nfailed timeout retryable: the command ran longer than its "
                        "service's limit of 0.200 s and was stopped\n");
}

static void one_file_too_large_is_a_limit(void **state)
{
    struct rig g = {.def.output_bytes_max = 100000};
    SAYS(run(&g, *state, "head -c 200000 /dev/zero > out/big", "{}"), "failed limit_exceeded: ");
    SAYS(run(&g, *state, "exec head -c 2000000 /dev/zero > out/big", "{}"),
         "failed limit_exceeded: ");
}

static void endless_output_is_a_limit(void **state)
{
    struct rig g = {.def.output_bytes_max = 100000};
    SAYS(run(&g, *state, "exec yes", "{}"), "started\nfailed limit_exceeded: ");
}

static void many_files_too_large_together_are_a_limit(void **state)
{
    struct rig g = {.def.output_bytes_max = 3000000};
    assert_string_equal(
        run(&g, *state, "for i in 1 2; do head -c 2000000 /dev/zero > out/$i; done", "{}"),
        "started\nfailed limit_exceeded: the command's outputs take more than the 3000000 bytes "
        "allowed\n");
    assert_string_equal(
        run(&g, *state, "for i in 1 2 3; do head -c 2000000 /dev/zero > tmp/$i; done; sleep 3600",
            "{}"),
        "started\nfailed limit_exceeded: the command wrote more than the 3000000 bytes allowed and "
        "was stopped\n");
}

static void inputs_do_not_count_as_output(void **state)
{
    struct place *p = *state;
    struct rig g = {.def.output_bytes_max = 1000};
    char *payload = emp_arena_alloc(&p->arena, 3000100);
    int n = sprintf(payload, "{\"inputs\":{\"a\":\"");
    memset(payload + n, 'a', 3000000);
    strcpy(payload + n + 3000000, "\"}}");
    assert_string_equal(run(&g, p, "sleep 0.2; wc -c < in/a", payload),
                        "started\ncompleted 3000000\n");
}

static void memory_is_bounded(void **state)
{
    struct rig g = {.def.memory_bytes_max = 200000000};
    SAYS(run(&g, *state, "exec dd if=/dev/zero of=/dev/null bs=400000000 count=1", "{}"),
         "started\nfailed job_failed retryable: ");
}

/* ---------------------------------------------------------------- stopping */

static int processes_in(struct place *p, const char *dir)
{
    int count = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; (e = readdir(d));) {
        char cwd[4096];
        const char *link = emp_arena_printf(&p->arena, "/proc/%s/cwd", e->d_name);
        ssize_t n = readlink(link, cwd, sizeof cwd - 1);
        if (n <= 0)
            continue;
        cwd[n] = '\0';
        count += strcmp(cwd, dir) == 0;
    }
    closedir(d);
    return count;
}

static void nothing_of_it_survives_a_stop(void **state)
{
    struct place *p = *state;
    struct rig g = {0};
    rig(&g, p,
        "(setsid sh -c 'sleep 3600' & sleep 3600 & wait) & sleep 3600 & trap 'echo asked >&2; exit "
        "9' TERM; echo progress 1 up; wait",
        "{}");
    assert_int_equal(record_start(&g.r), 0);
    UNTIL(p, record_said(&g.r, "progress 1 up") && processes_in(p, g.r.task.scratch) >= 5);
    g.connector->ops->stop(g.connector, g.r.run, false);
    SAYS(record_end(&g.r), "failed cancelled");
    UNTIL(p, processes_in(p, g.r.task.scratch) == 0);
    connector_close(p, g.connector);
}

static void who_does_not_listen_is_killed(void **state)
{
    struct place *p = *state;
    struct rig g = {0};
    rig(&g, p, "trap '' TERM; echo progress 1 deaf; while :; do sleep 0.1; done", "{}");
    assert_int_equal(record_start(&g.r), 0);
    UNTIL(p, record_said(&g.r, "deaf"));
    emp_mono_ms asked = emp_mono_now();
    g.connector->ops->stop(g.connector, g.r.run, false);
    SAYS(record_end(&g.r), "failed cancelled");
    assert_in_range(emp_mono_now() - asked, 1900, 20000);
    assert_int_equal(processes_in(p, g.r.task.scratch), 0);
    connector_close(p, g.connector);
}

static void grandchildren_end_with_a_command_that_ended_well(void **state)
{
    struct place *p = *state;
    struct rig g = {0};
    assert_string_equal(run(&g, p, "setsid sleep 3600 > /dev/null 2>&1 & echo done", "{}"),
                        "started\ncompleted {\"stdout\":\"done\\n\"}\n");
    assert_int_equal(processes_in(p, g.r.task.scratch), 0);
}

/* ---------------------------------------------------------------- services */

static const char *refused(struct place *p, struct emp_command_service def)
{
    struct emp_connector_host host = {.loop = &p->loop};
    struct emp_connector *c;
    struct emp_error err = {0};
    assert_int_equal(emp_command_new(&host, &def, 1, &c, &err), EMP_E_INVALID);
    return emp_arena_printf(&p->arena, "%s", err.text);
}

static void wrong_services_are_refused_at_the_start(void **state)
{
    struct place *p = *state;
    static const struct emp_str good[] = {{"true", 4}}, bad[] = {{"true", 4}, {"{nothing}", 9}},
                                env[] = {{"NOVALUE", 7}};
    SAYS(refused(p, (struct emp_command_service){.name = EMP_STR("x")}),
         "service x: argv is empty");
    SAYS(refused(p, (struct emp_command_service){.argv = good, .argv_count = 1}),
         "a service's name has 1 to");
    SAYS(refused(p,
                 (struct emp_command_service){.name = EMP_STR("x"), .argv = bad, .argv_count = 2}),
         "service x: argv[1] \"{nothing}\": {nothing} is no placeholder");
    SAYS(refused(
             p,
             (struct emp_command_service){
                 .name = EMP_STR("x"), .argv = good, .argv_count = 1, .env = env, .env_count = 1}),
         "service x: env \"NOVALUE\" is not NAME=value");
}

int main(int argc, char **argv)
{
    emp_process_shim_main(argc, argv);
    const struct CMUnitTest tests[] = {
        PLACED(stdout_is_the_result),
        PLACED(bytes_that_are_no_text_make_no_broken_result),
        PLACED(a_file_is_the_result),
        PLACED(nothing_is_the_result),
        PLACED(a_result_too_long_is_refused),
        PLACED(progress_lines_are_progress),
        PLACED(the_prefix_is_the_operators),
        PLACED(progress_goes_on_behind_much_output),
        PLACED(progress_comes_while_it_runs),
        PLACED(inputs_go_in_and_outputs_come_out),
        PLACED(an_output_that_was_promised_must_come),
        PLACED(values_never_reach_a_shell),
        PLACED(it_lives_in_its_scratch_directory),
        PLACED(the_environment_is_clean),
        PLACED(the_payload_may_be_a_file),
        PLACED(wrong_payloads_are_rejected_before_anything_runs),
        PLACED(exit_statuses_say_what_helps),
        PLACED(of_stderr_the_end_is_kept),
        PLACED(a_missing_program_is_this_machines_fault),
        PLACED(a_service_has_its_own_time),
        PLACED(one_file_too_large_is_a_limit),
        PLACED(endless_output_is_a_limit),
        PLACED(many_files_too_large_together_are_a_limit),
        PLACED(inputs_do_not_count_as_output),
        PLACED(memory_is_bounded),
        PLACED(nothing_of_it_survives_a_stop),
        PLACED(who_does_not_listen_is_killed),
        PLACED(grandchildren_end_with_a_command_that_ended_well),
        PLACED(wrong_services_are_refused_at_the_start),
    };
    return cmocka_run_group_tests_name("agent/command", tests, NULL, NULL);
}

/* Machines that vanish, fail, leave; jobs that fail; retries, blame, limits of time. */
#include "stories.h"

static void break_down(struct world *w, emp_link link, emp_job_num job, uint32_t attempt)
{
    world_finished(w, link, EMP_MESSAGE_FAILED, job, attempt, EMP_E_JOB_FAILED, 10);
}

static struct emp_core_machine machine(struct world *w, uint32_t i)
{
    struct emp_core_machine *m;
    assert_true(emp_core_machines(w->core, w->now, &w->arena, &m) > i);
    return m[i];
}

/* Seconds pass, in which these machines beat. */
static void live(struct world *w, int seconds, int links, ...)
{
    for (int i = 0; i < seconds; i++) {
        va_list ap;
        world_pass(w, 1000);
        va_start(ap, links);
        for (int k = 0; k < links; k++)
            world_beat(w, (emp_link)va_arg(ap, int));
        va_end(ap);
    }
}

/* ---- vanishing ---- */

/* Frozen, not gone: the connection is found dead by its silence, and closing it gives no new grace.
 */
static void silence_and_then_a_close_is_silence(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_started(w, 10, 1, 1);
    world_quiet(w);
    world_pass(w, 7900);
    world_close(w, 10);
    world_pass(w, 2000);
    world_expect(w, "");
    world_pass(w, 100); /* ten seconds after its last word, not thirteen */
    world_expect(w, "job 1 requeued: machine_lost\n");
}

static void after_a_broker_start_leases_live_ten_seconds(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_started(w, 10, 1, 1);
    world_restart(w);
    world_quiet(w);
    world_pass(w, 9900);
    world_expect(w, "");
    world_pass(w, 200);
    world_expect(w, "job 1 requeued: machine_lost\n");
}

static void a_machine_that_was_restarted_while_the_broker_was_away(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_restart(w);
    world_quiet(w);
    struct emp_machine_facts f = world_facts("m1", "fast-lane", 1);
    f.boot = EMP_STR("boot-2");
    world_hello(w, 11, &f, NULL, 0, NULL, 0);
    world_expect(w, "job 1 requeued: machine_lost\n"
                    "link 11: welcome to fast-lane\n"
                    "link 11: assign 1/2\n");
}

/* Losing its machine is not the job's fault, until it looks as if it were. */
static void a_job_that_kills_its_machines_ends(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation");
    s.max_retries = 2;
    world_submit(w, &s);
    struct emp_core_stats stats;
    for (emp_link link = 10; link < 40; link++) {
        world_join(w, link, "m1", "fast-lane", 1);
        world_pass(w, 3000); /* back-off */
        world_close(w, link);
        world_pass(w, 8000);
        emp_core_stats(w->core, &stats);
        if (stats.failed)
            break;
    }
    assert_int_equal(stats.attempts_lost, 5); /* three for nothing, then two that count */
    assert_int_equal(stats.failed, 1);
}

static void hand_backs_do_not_go_on_for_ever(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation");
    s.max_retries = 1;
    world_join(w, 10, "m1", "fast-lane", 1);
    world_submit(w, &s);
    for (uint32_t attempt = 1; attempt <= 20; attempt++)
        world_finished(w, 10, EMP_MESSAGE_RETURNED, 1, attempt, EMP_E_UNAVAILABLE, 0);
    world_quiet(w);
    world_finished(w, 10, EMP_MESSAGE_RETURNED, 1, 21, EMP_E_UNAVAILABLE, 0);
    world_expect(w, "job 1 failed\n"
                    "link 10: ack 1/21\n");
}

/* ---- leaving ---- */

static void a_machine_that_says_goodbye_gets_nothing_new(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 2);
    submit(w, "simulation");
    world_message(w, 10,
                  &(struct emp_message){.kind = EMP_MESSAGE_GOODBYE, .goodbye.draining = true});
    world_quiet(w);
    submit(w, "simulation");
    world_expect(w, "");
    complete(w, 10, 1, 1, 100); /* what it has it may finish */
    world_expect(w, "job 1 started\n"
                    "job 1 completed\n"
                    "link 10: ack 1/1\n");
    assert_int_equal(machine(w, 0).state, EMP_MACHINE_DRAINING);
}

static void an_operator_drains_a_machine_and_takes_it_back(void **state)
{
    struct world *w = *state;
    struct emp_event drain = {.kind = EMP_EVENT_MACHINE_DRAIN, .request = 3};
    drain.machine.id = EMP_STR("m1");
    drain.machine.on = true;
    world_join(w, 10, "m1", "fast-lane", 1);
    world_quiet(w);
    world_step(w, &drain);
    submit(w, "simulation");
    world_expect(w, "");
    world_restart(w); /* the wish is durable */
    world_join(w, 11, "m1", "fast-lane", 1);
    world_expect(w, "link 11: welcome to fast-lane\n");
    drain.machine.on = false;
    world_step(w, &drain);
    world_expect(w, "link 11: assign 1/1\n");
    drain.machine.on = drain.machine.leave = true;
    world_step(w, &drain);
    world_expect(w, "link 11: drain\n"); /* the agent is asked to end once it is done */
    world_close(w, 11);
    world_step(w, &drain);
    world_expect(w, ""); /* nobody there who could */
    drain.machine.on = drain.machine.leave = false;
    drain.machine.id = EMP_STR("nobody");
    world_step(w, &drain);
    world_expect(w, "refused, not_found\n");
}

static void a_forgotten_machine_loses_its_leases_at_once(void **state)
{
    struct world *w = *state;
    struct emp_event forget = {.kind = EMP_EVENT_MACHINE_FORGET, .request = 3};
    forget.machine.id = EMP_STR("m1");
    world_join(w, 10, "m1", "fast-lane", 1);
    world_join(w, 11, "m2", "fast-lane", 1);
    submit(w, "simulation");
    world_quiet(w);
    world_step(w, &forget);
    world_expect(w, "link 10: closed, forgotten by an operator\n"
                    "job 1 requeued: machine_lost\n"
                    "link 11: assign 1/2\n");
    world_step(w, &forget);
    world_expect(w, "refused, not_found\n");
}

static void another_protocol_is_refused(void **state)
{
    struct world *w = *state;
    struct emp_message m = {.kind = EMP_MESSAGE_HELLO, .hello.protocol = 2};
    world_message(w, 10, &m);
    world_expect(w, "link 10: refused protocol\n"
                    "link 10: closed, refused\n");
}

/* ---- retries ---- */

static void waits_double_up_to_the_maximum(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation");
    s.max_retries = 12;
    world_join(w, 10, "m1", "fast-lane", 1);
    world_submit(w, &s);
    world_quiet(w);
    static const int seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
    char line[64];
    for (uint32_t i = 0; i < 8; i++) {
        break_down(w, 10, 1, i + 1);
        snprintf(line, sizeof line, "job 1 requeued: job_failed\nlink 10: ack 1/%u\n", i + 1);
        world_expect(w, line);
        live(w, seconds[i] - 1, 1, 10);
        world_pass(w, 900);
        world_expect(w, "");
        world_pass(w, 100);
        snprintf(line, sizeof line, "link 10: assign 1/%u\n", i + 2);
        world_expect(w, line);
        world_beat(w, 10);
    }
}

static void jitter_spreads_what_failed_together(void **state)
{
    struct world *w = *state;
    w->settings.retry.jitter = 0.3;
    w->settings.retry.base_ms = 10000;
    world_join(w, 10, "m1", "fast-lane", 50);
    for (emp_job_num n = 1; n <= 50; n++)
        submit(w, "simulation");
    for (emp_job_num n = 1; n <= 50; n++)
        break_down(w, 10, n, 1);
    struct emp_core_job_view v;
    int64_t least = INT64_MAX, most = 0;
    for (emp_job_num n = 1; n <= 50; n++) {
        assert_int_equal(emp_core_job(w->core, n, &v), 0);
        least = v.expected_start_ms < least ? v.expected_start_ms : least;
        most = v.expected_start_ms > most ? v.expected_start_ms : most;
    }
    assert_in_range(least, 7000, 8500);
    assert_in_range(most, 11500, 13000);
}

static void another_machine_is_preferred_after_a_failure(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 4);
    submit(w, "simulation");
    world_join(w, 11, "m2", "standard", 1); /* although it is another pool's, and smaller */
    break_down(w, 10, 1, 1);
    world_quiet(w);
    world_pass(w, 1000);
    world_expect(w, "link 11: assign 1/2\n");
}

/* A lost job comes back to its old place, before jobs that came later. */
static void a_retried_job_keeps_its_place(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    submit(w, "simulation");
    break_down(w, 10, 1, 1);
    live(w, 2, 1, 10); /* 1 is due again, 2 runs */
    submit(w, "simulation");
    world_quiet(w);
    complete(w, 10, 2, 1, 10);
    world_expect(w, "job 2 started\n"
                    "job 2 completed\n"
                    "link 10: ack 2/1\n"
                    "link 10: assign 1/2\n");
}

/* ---- time limits ---- */

/* The agent stops what runs too long; if it does not, the broker does. */
static void a_run_past_its_limit_is_taken_back(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation");
    s.timeout_ms = 5000;
    s.max_retries = 1;
    world_join(w, 10, "m1", "fast-lane", 1);
    world_submit(w, &s);
    world_started(w, 10, 1, 1);
    world_quiet(w);
    live(w, 34, 1, 10);
    world_expect(w, "");
    live(w, 2, 1, 10);
    world_expect(w, "link 10: cancel 1/1\n"
                    "job 1 failed\n");
}

static void an_agents_time_out_is_counted_and_tried_elsewhere(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_join(w, 11, "m2", "fast-lane", 1);
    world_quiet(w);
    world_finished(w, 10, EMP_MESSAGE_FAILED, 1, 1, EMP_E_TIMEOUT, 5000);
    world_expect(w, "job 1 requeued: timeout\n"
                    "link 10: ack 1/1\n");
    world_pass(w, 1000);
    world_expect(w, "link 11: assign 1/2\n");
}

/* ---- blame ---- */

/* Fails what the other one then does. Returns how many it was given. */
static int suffer(struct world *w, int jobs)
{
    int given = 0;
    for (int n = 0; n < jobs; n++) {
        emp_job_num job = submit(w, "simulation");
        if (machine(w, 0).busy) {
            given++;
            break_down(w, 10, job, 1);
            live(w, 2, 2, 10, 11);
            complete(w, 11, job, 2, 10);
        } else {
            complete(w, 11, job, 1, 10);
        }
        live(w, 1, 2, 10, 11);
    }
    return given;
}

static void quarantine_ends_and_doubles(void **state)
{
    struct world *w = *state;
    w->settings.routing.failure_weight_ms = 0; /* else it is hardly chosen after the first */
    world_join(w, 10, "bad", "fast-lane", 1);
    world_join(w, 11, "good", "fast-lane", 1);
    suffer(w, 12);
    assert_int_equal(machine(w, 0).state, EMP_MACHINE_QUARANTINED);
    assert_int_equal(machine(w, 1).state, EMP_MACHINE_CONNECTED);
    int64_t left = machine(w, 0).quarantined_until - w->now.wall;
    assert_in_range(left, 200000, 300000);
    assert_int_equal(suffer(w, 6), 0);
    live(w, 300, 2, 10, 11);
    assert_int_equal(machine(w, 0).state, EMP_MACHINE_CONNECTED);
    suffer(w, 12);
    assert_int_equal(machine(w, 0).state, EMP_MACHINE_QUARANTINED);
    left = machine(w, 0).quarantined_until - w->now.wall;
    assert_in_range(left, 400000, 600000);
}

static void a_restart_may_have_mended_it(void **state)
{
    struct world *w = *state;
    w->settings.routing.failure_weight_ms = 0;
    world_join(w, 10, "bad", "fast-lane", 1);
    world_join(w, 11, "good", "fast-lane", 1);
    suffer(w, 12);
    assert_int_equal(machine(w, 0).state, EMP_MACHINE_QUARANTINED);
    struct emp_machine_facts f = world_facts("bad", "fast-lane", 1);
    f.boot = EMP_STR("boot-2");
    world_hello(w, 12, &f, NULL, 0, NULL, 0);
    world_pass(w, 1000);
    assert_int_equal(machine(w, 0).state, EMP_MACHINE_CONNECTED);
}

/* Every job fails everywhere: the jobs are bad, the fleet is not. */
static void bad_jobs_do_not_take_the_fleet_down(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    world_join(w, 11, "m2", "fast-lane", 1);
    world_join(w, 12, "m3", "fast-lane", 1);
    for (int n = 0; n < 30; n++) {
        emp_job_num job = submit(w, "simulation");
        for (uint32_t attempt = 1; attempt <= 3; attempt++) {
            for (uint32_t i = 0; i < 3; i++)
                if (machine(w, i).busy)
                    break_down(w, 10 + i, job, attempt);
            live(w, 4, 3, 10, 11, 12);
        }
    }
    struct emp_core_stats stats;
    emp_core_stats(w->core, &stats);
    assert_int_equal(stats.failed, 30);
    assert_int_equal(stats.attempts_failed, 90);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(machine(w, i).state, EMP_MACHINE_CONNECTED);
}

/* What an agent says of itself counts at once, and not against the job. */
static void a_machine_that_blames_itself_is_believed(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "full", "fast-lane", 1);
    world_join(w, 11, "good", "standard", 1);
    struct emp_message m = {.kind = EMP_MESSAGE_RETURNED};
    m.finished.attempt = 1;
    m.finished.error_code = EMP_E_DISK_FULL;
    m.finished.machine_fault = true;
    for (m.finished.job = 1; m.finished.job <= 3; m.finished.job++) {
        submit(w, "simulation");
        if (!machine(w, 0).busy)
            break;
        world_message(w, 10, &m);
        live(w, 2, 2, 10, 11);
        complete(w, 11, m.finished.job, 2, 10);
    }
    struct emp_core_machine full = machine(w, 0);
    assert_true(full.state == EMP_MACHINE_QUARANTINED || !full.busy);
    struct emp_core_stats stats;
    emp_core_stats(w->core, &stats);
    assert_int_equal(stats.attempts_failed, 0);
}

/* While it is connected, what counts is when it was heard; so it is when it has gone. */
static void last_seen_is_last_heard(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    for (int i = 0; i < 30; i++) {
        world_pass(w, 2000);
        world_beat(w, 10);
    }
    emp_wall_ms heard = w->now.wall;
    world_pass(w, 1000);
    assert_int_equal(machine(w, 0).last_seen, heard);
    world_close(w, 10);
    assert_int_equal(machine(w, 0).last_seen, heard);
    world_restart(w);
    assert_int_equal(machine(w, 0).last_seen, heard);
}

/* The store may know of a job on a machine that the limit leaves no room for: restoring takes it
 * all the same, only a stranger that greets is refused. */
static void the_limit_of_machines(void **state)
{
    struct world *w = *state;
    struct emp_change machine = {.kind = EMP_CHANGE_MACHINE};
    struct emp_job_spec spec = world_spec("simulation");
    struct emp_change job = {.kind = EMP_CHANGE_JOB};
    char id[16];
    emp_core_free(w->core);
    w->core = emp_core_new(&w->settings, &emp_policy_default, 8);
    for (int i = 0; i < EMP_MACHINES_MAX; i++) {
        snprintf(id, sizeof id, "m%d", i);
        machine.machine.facts = (struct emp_machine_facts){.id = emp_str_z(id), .slots = 1};
        machine.machine.last_seen = w->now.wall;
        emp_core_restore(w->core, &machine);
    }
    job.job.spec = &spec;
    job.job.record = (struct emp_job_record){.num = 1, .state = EMP_JOB_IN_PROGRESS};
    job.job.record.attempt = (struct emp_attempt){.number = 1, .machine = EMP_STR("one more")};
    emp_core_restore(w->core, &job);
    emp_core_start(w->core, w->now, 1);

    world_join(w, 10, "stranger", "fast-lane", 1);
    world_expect(w, "link 10: refused queue_full\n"
                    "link 10: closed, refused\n");
    struct emp_machine_facts f = world_facts("one more", "fast-lane", 1);
    struct emp_held held = {.job = 1, .attempt = 1, .started = true};
    world_hello(w, 11, &f, &held, 1, NULL, 0);
    world_expect(w, "job 1 requeued: machine_lost\n" /* of which boot it was, nobody knows */
                    "link 11: welcome to fast-lane\n"
                    "link 11: cancel 1/1\n"
                    "link 11: assign 1/2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(silence_and_then_a_close_is_silence),
        STORY(after_a_broker_start_leases_live_ten_seconds),
        STORY(a_machine_that_was_restarted_while_the_broker_was_away),
        STORY(a_job_that_kills_its_machines_ends),
        STORY(hand_backs_do_not_go_on_for_ever),
        STORY(a_machine_that_says_goodbye_gets_nothing_new),
        STORY(an_operator_drains_a_machine_and_takes_it_back),
        STORY(a_forgotten_machine_loses_its_leases_at_once),
        STORY(another_protocol_is_refused),
        STORY(waits_double_up_to_the_maximum),
        STORY(jitter_spreads_what_failed_together),
        STORY(another_machine_is_preferred_after_a_failure),
        STORY(a_retried_job_keeps_its_place),
        STORY(a_run_past_its_limit_is_taken_back),
        STORY(an_agents_time_out_is_counted_and_tried_elsewhere),
        STORY(quarantine_ends_and_doubles),
        STORY(a_restart_may_have_mended_it),
        STORY(bad_jobs_do_not_take_the_fleet_down),
        STORY(a_machine_that_blames_itself_is_believed),
        STORY(last_seen_is_last_heard),
        STORY(the_limit_of_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Short stories: what the broker's brain does in the situations that matter, as its own trace. */
#include "stories.h"

static void a_job_runs(void **state)
{
    struct world *w = *state;
    w->show_persist = true;
    assert_int_equal(submit(w, "simulation"), 1);
    world_expect(w, "persist job 1 pending attempt 0\n");
    world_join(w, 10, "m1", "fast-lane", 1);
    world_expect(w, "link 10: welcome to fast-lane\n"
                    "persist job 1 assigned attempt 1\n"
                    "link 10: assign 1/1\n");
    world_started(w, 10, 1, 1);
    world_finished(w, 10, EMP_MESSAGE_COMPLETED, 1, 1, 0, 50);
    world_expect(w, "persist job 1 in_progress attempt 1\n"
                    "job 1 started\n"
                    "persist job 1 completed attempt 1\n"
                    "job 1 completed\n"
                    "link 10: ack 1/1\n");
}

static void a_late_report_changes_nothing(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_quiet(w);
    world_pass(w, 7000); /* silent */
    world_expect(w, "");
    world_pass(w, 3000);
    world_expect(w, "link 10: closed, silent for too long\n"
                    "job 1 requeued: machine_lost\n");
    world_join(w, 11, "m2", "fast-lane", 1);
    world_quiet(w);
    /* the silent one comes back with its old lease, and then with a result */
    struct emp_machine_facts f = world_facts("m1", "fast-lane", 1);
    world_hello(w, 12, &f, &(struct emp_held){.job = 1, .attempt = 1, .started = true}, 1, NULL, 0);
    world_expect(w, "link 12: welcome to fast-lane\n"
                    "link 12: cancel 1/1\n");
    world_finished(w, 12, EMP_MESSAGE_COMPLETED, 1, 1, 0, 50);
    world_expect(w, "link 12: ack 1/1\n");
    world_finished(w, 11, EMP_MESSAGE_COMPLETED, 1, 2, 0, 50);
    world_expect(w, "job 1 completed\n"
                    "link 11: ack 1/2\n");
    world_finished(w, 11, EMP_MESSAGE_COMPLETED, 1, 2, 0, 50); /* repeated: our ACK was lost */
    world_expect(w, "link 11: ack 1/2\n");
}

static void a_closed_connection_may_return_within_five_seconds(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_started(w, 10, 1, 1);
    world_quiet(w);
    struct emp_event closed = {.kind = EMP_EVENT_LINK_CLOSED};
    closed.link = 10;
    world_step(w, &closed);
    submit(w, "simulation"); /* no new work at once */
    world_pass(w, 4000);
    world_expect(w, "");
    struct emp_machine_facts f = world_facts("m1", "fast-lane", 1);
    world_hello(w, 11, &f, &(struct emp_held){.job = 1, .attempt = 1, .started = true}, 1, NULL, 0);
    world_expect(w, "link 11: welcome to fast-lane\n");
    world_finished(w, 11, EMP_MESSAGE_COMPLETED, 1, 1, 0, 50);
    world_expect(w, "job 1 completed\n"
                    "link 11: ack 1/1\n"
                    "link 11: assign 2/1\n");
    closed.link = 11;
    world_step(w, &closed);
    world_quiet(w);
    world_pass(w, 4900);
    world_expect(w, "");
    world_pass(w, 200);
    world_expect(w, "job 2 requeued: machine_lost\n");
}

static void a_restarted_agent_loses_its_old_leases_at_once(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_quiet(w);
    struct emp_machine_facts f = world_facts("m1", "fast-lane", 1);
    f.boot = EMP_STR("boot-2");
    world_hello(w, 11, &f, NULL, 0, NULL, 0);
    world_expect(w, "link 10: closed, replaced by a newer connection\n"
                    "job 1 requeued: machine_lost\n"
                    "link 11: welcome to fast-lane\n"
                    "link 11: assign 1/2\n");
}

static void an_assignment_that_never_arrived_is_taken_back(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    struct emp_event closed = {.kind = EMP_EVENT_LINK_CLOSED};
    closed.link = 10;
    world_step(w, &closed);
    world_quiet(w);
    world_join(w, 11, "m1", "fast-lane", 1);
    world_expect(w, "link 11: welcome to fast-lane\n"
                    "job 1 requeued: machine_lost\n"
                    "link 11: assign 1/2\n");
}

static void a_broker_restart_adopts_what_runs(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    world_join(w, 11, "m2", "fast-lane", 1);
    for (int i = 0; i < 3; i++)
        submit(w, "simulation");
    world_started(w, 10, 1, 1);
    world_restart(w);
    world_quiet(w);
    world_pass(w, 5000);
    struct emp_machine_facts f = world_facts("m1", "fast-lane", 1);
    world_hello(w, 1, &f, &(struct emp_held){.job = 1, .attempt = 1, .started = true}, 1, NULL, 0);
    world_expect(w, "link 1: welcome to fast-lane\n");
    world_pass(w, 5100); /* m2 does not come back within the grace */
    world_expect(w, "job 2 requeued: machine_lost\n");
    world_finished(w, 1, EMP_MESSAGE_COMPLETED, 1, 1, 0, 9000);
    world_expect(w, "job 1 completed\n"
                    "link 1: ack 1/1\n"
                    "link 1: assign 2/2\n"); /* a lost job keeps its place before later ones */
}

static void a_short_job_does_not_stand_behind_a_video(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "fast", "fast-lane", 1);
    world_join(w, 11, "big", "heavy", 1);
    world_quiet(w);
    struct emp_job_spec video = world_spec("video");
    video.estimated_duration_ms = 600000;
    for (int i = 0; i < 3; i++)
        world_submit(w, &video);
    world_expect(w, "link 11: assign 1/1\n"); /* the others wait: a ten-minute job does not go to
                                                 the fast lane */
    struct emp_job_spec text = world_spec("simulation");
    text.estimated_duration_ms = 2000;
    world_submit(w, &text);
    world_expect(w, "link 10: assign 4/1\n");
}

static void a_job_waits_for_the_warm_machine_when_that_is_sooner(void **state)
{
    struct world *w = *state;
    world_model(w, "flux", 17LL << 30, "art");
    struct emp_copy copy = {
        .model = EMP_STR("flux"), .bytes = 17LL << 30, .residency = EMP_RESIDENCY_DISK};
    struct emp_machine_facts warm = world_facts("warm", "standard", 1),
                             cold = world_facts("cold", "standard", 1);
    world_hello(w, 10, &warm, NULL, 0, &copy, 1);
    world_hello(w, 11, &cold, NULL, 0, NULL, 0);
    world_quiet(w);
    struct emp_str models[] = {EMP_STR("flux")};
    struct emp_job_spec s = world_spec("simulation");
    s.models = models;
    s.model_count = 1;
    s.estimated_duration_ms = 40000;
    world_submit(w, &s);
    world_submit(w, &s);
    world_expect(w, "link 10: assign 1/1\n"); /* 17 GB at 50 MB/s are six minutes: the second one
                                                 waits 40 s instead */
    struct emp_explanation x;
    assert_int_equal(emp_core_explain(w->core, w->now, 2, &w->arena, &x), 0);
    assert_true(x.waiting);
    assert_int_equal(x.count, 2);
    assert_memory_equal(x.waiting_for.ptr, "warm", 4);
    assert_true(x.candidates[1].terms.fetch > 300 * 1000000LL);
    world_started(w, 10, 1, 1);
    world_finished(w, 10, EMP_MESSAGE_COMPLETED, 1, 1, 0, 40000);
    world_expect(w, "job 1 started\n"
                    "job 1 completed\n"
                    "link 10: ack 1/1\n"
                    "link 10: assign 2/1\n");
}

static bool in_use(struct world *w)
{
    struct emp_core_machine *all;
    assert_int_equal(emp_core_machines(w->core, w->now, &w->arena, &all), 2);
    assert_int_equal(all[0].copy_count, 1);
    return all[0].copies[0].in_use;
}

/* A model of a kilobyte is fetched in no time, yet the machine that has it is taken; and its copy
 * is in use as long as a run uses it. */
static void a_job_goes_where_its_model_is(void **state)
{
    struct world *w = *state;
    world_model(w, "small", 1000, "art");
    struct emp_copy copy = {
        .model = EMP_STR("small"), .bytes = 1000, .residency = EMP_RESIDENCY_DISK};
    struct emp_machine_facts has = world_facts("has", "fast-lane", 4),
                             lacks = world_facts("lacks", "fast-lane", 4);
    world_hello(w, 10, &has, NULL, 0, &copy, 1);
    world_hello(w, 11, &lacks, NULL, 0, NULL, 0);
    struct emp_str models[] = {EMP_STR("small")};
    struct emp_job_spec s = world_spec("simulation");
    s.models = models;
    s.model_count = 1;
    world_quiet(w);
    world_submit(w, &s);
    world_submit(w, &s);
    world_expect(w, "link 10: assign 1/1\n"
                    "link 10: assign 2/1\n");
    world_finished(w, 10, EMP_MESSAGE_COMPLETED, 1, 1, 0, 10);
    assert_true(in_use(w));
    world_finished(w, 10, EMP_MESSAGE_COMPLETED, 2, 1, 0, 10);
    assert_false(in_use(w));
}

static int put(struct world *w, const char *name, const char *path)
{
    struct emp_model m = {.name = emp_str_z(name), .path = emp_str_z(path), .bytes = 5};
    struct emp_event e = {.kind = EMP_EVENT_MODEL, .request = 1};
    e.model = &m;
    world_step(w, &e);
    return w->reply.code;
}

static void two_models_never_share_a_file(void **state)
{
    struct world *w = *state;
    assert_int_equal(put(w, "a", "x"), 0);
    assert_int_equal(put(w, "b", "x"), EMP_E_CONFLICT);
    assert_non_null(strstr(w->reply.error.text, "\"a\""));
    assert_null(emp_core_model_find(w->core, EMP_STR("b")));
    assert_int_equal(put(w, "a", "x"), 0); /* the same again */
    assert_int_equal(put(w, "a", "y"), 0); /* it moves */
    world_restart(w);
    assert_int_equal(put(w, "c", "y"), EMP_E_CONFLICT);
    assert_int_equal(put(w, "b", "x"), 0);
}

static void a_cancelled_run_frees_its_lease_at_once(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    submit(w, "simulation");
    world_quiet(w);
    struct emp_event cancel = {.kind = EMP_EVENT_CANCEL, .request = 5};
    cancel.job = 1;
    world_step(w, &cancel);
    world_expect(w, "link 10: cancel 1/1\n"
                    "job 1 cancelled\n"
                    "link 10: assign 2/1\n");
    cancel.job = 1;
    world_step(w, &cancel);
    world_expect(w, "refused, not_found\n");
}

static void a_poison_job_ends_and_machines_are_not_blamed(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    world_join(w, 11, "m2", "fast-lane", 1);
    submit(w, "simulation");
    world_quiet(w);
    world_finished(w, 10, EMP_MESSAGE_FAILED, 1, 1, EMP_E_JOB_FAILED, 10);
    world_pass(w, 1000);
    world_expect(w, "job 1 requeued: job_failed\n"
                    "link 10: ack 1/1\n"
                    "link 11: assign 1/2\n"); /* another machine is tried */
    world_finished(w, 11, EMP_MESSAGE_FAILED, 1, 2, EMP_E_JOB_FAILED, 10);
    world_pass(w, 2000);
    world_quiet(w);
    struct emp_core_machine *m;
    assert_int_equal(emp_core_machines(w->core, w->now, &w->arena, &m), 2);
    emp_link link = m[0].busy ? 10 : 11;
    world_finished(w, link, EMP_MESSAGE_FAILED, 1, 3, EMP_E_JOB_FAILED, 10);
    struct emp_core_stats stats;
    emp_core_stats(w->core, &stats);
    assert_int_equal(stats.failed, 1);
    assert_int_equal(stats.attempts_failed, 3);
    emp_core_machines(w->core, w->now, &w->arena, &m);
    assert_int_equal(m[0].state, EMP_MACHINE_CONNECTED);
    assert_int_equal(m[1].state, EMP_MACHINE_CONNECTED);
}

static void a_job_that_may_not_be_retried_fails_at_once(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_quiet(w);
    world_finished(w, 10, EMP_MESSAGE_FAILED, 1, 1, EMP_E_JOB_REJECTED, 0);
    world_expect(w, "job 1 failed\n"
                    "link 10: ack 1/1\n");
}

static void a_hand_back_is_not_counted(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    struct emp_job_spec s = world_spec("simulation");
    s.max_retries = 1;
    world_submit(w, &s);
    world_quiet(w);
    for (uint32_t attempt = 1; attempt <= 5; attempt++) {
        world_finished(w, 10, EMP_MESSAGE_RETURNED, 1, attempt, EMP_E_UNAVAILABLE, 0);
        world_quiet(w);
    }
    world_finished(w, 10, EMP_MESSAGE_COMPLETED, 1, 6, 0, 10);
    world_expect(w, "job 1 completed\n"
                    "link 10: ack 1/6\n");
}

static void what_nothing_can_run_is_refused(void **state)
{
    struct world *w = *state;
    assert_int_equal(submit(w, "teleport"), 0);
    world_expect(w, "refused, unknown_service\n");
    struct emp_job_spec s = world_spec("teleport");
    s.wait = true;
    assert_int_equal(world_submit(w, &s), 1);
    world_join(w, 10, "m1", "fast-lane", 1);
    struct emp_requirement need = {.path = EMP_STR("hardware.gpu_memory_gb"),
                                   .number = 24,
                                   .kind = EMP_REQUIRE_NUMBER_AT_LEAST};
    s = world_spec("simulation");
    s.requirements = &need;
    s.requirement_count = 1;
    world_quiet(w);
    assert_int_equal(world_submit(w, &s), 0);
    world_expect(w, "refused, unrunnable\n");
    assert_non_null(strstr(w->reply.error.text, "hardware.gpu_memory_gb"));
    struct emp_str models[] = {EMP_STR("fluxx")};
    world_model(w, "flux", 1000, "art");
    s = world_spec("simulation");
    s.models = models;
    s.model_count = 1;
    assert_int_equal(world_submit(w, &s), 0);
    world_expect(w, "refused, unknown_model\n");
    assert_non_null(strstr(w->reply.error.text, "did you mean \"flux\""));
}

static void a_repeated_key_is_the_first_job_again(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation");
    s.idempotency_key = EMP_STR("k1");
    s.body_hash = 5;
    assert_int_equal(world_submit(w, &s), 1);
    assert_int_equal(world_submit(w, &s), 1);
    assert_true(w->reply.duplicate);
    s.body_hash = 6;
    assert_int_equal(world_submit(w, &s), 0);
    assert_int_equal(w->reply.code, EMP_E_KEY_REUSED);
    s.customer = EMP_STR("other");
    assert_int_equal(world_submit(w, &s), 2);
}

static void impatience_overtakes_priority(void **state)
{
    struct world *w = *state;
    struct emp_job_spec low = world_spec("simulation"), high = world_spec("simulation");
    low.priority = -1000;
    high.priority = 100000;
    world_submit(w, &low);
    world_pass(w, w->settings.fairness.patience_ms[EMP_TIER_FREE] + 2000);
    for (int i = 0; i < 3; i++)
        world_submit(w, &high);
    world_quiet(w);
    world_join(w, 10, "m1", "fast-lane", 1);
    world_expect(w, "link 10: welcome to fast-lane\n"
                    "link 10: assign 1/1\n");
}

static void higher_priority_first_then_arrival(void **state)
{
    struct world *w = *state;
    double priorities[] = {10, 50, 50, 90, 50};
    for (size_t i = 0; i < 5; i++) {
        struct emp_job_spec s = world_spec("simulation");
        s.priority = priorities[i];
        world_submit(w, &s);
    }
    world_quiet(w);
    world_join(w, 10, "m1", "fast-lane", 5);
    world_expect(w, "link 10: welcome to fast-lane\n"
                    "link 10: assign 4/1\n"
                    "link 10: assign 2/1\n"
                    "link 10: assign 3/1\n"
                    "link 10: assign 5/1\n"
                    "link 10: assign 1/1\n");
}

static void a_flood_does_not_delay_others(void **state)
{
    struct world *w = *state;
    struct emp_job_spec flood = world_spec("simulation"), one = world_spec("simulation");
    flood.customer = EMP_STR("flood");
    one.customer = EMP_STR("one");
    for (int i = 0; i < 100; i++)
        world_submit(w, &flood);
    emp_job_num mine = world_submit(w, &one);
    world_quiet(w);
    world_join(w, 10, "m1", "fast-lane", 2);
    world_expect(w, "link 10: welcome to fast-lane\n"
                    "link 10: assign 1/1\n"
                    "link 10: assign 101/1\n");
    assert_int_equal(mine, 101);
}

static void a_machine_that_fails_good_jobs_is_quarantined(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "bad", "fast-lane", 1);
    world_join(w, 11, "good", "fast-lane", 1);
    struct emp_core_machine *m = NULL;
    for (int n = 0; n < 20; n++) {
        emp_job_num job = submit(w, "simulation");
        emp_core_machines(w->core, w->now, &w->arena, &m);
        if (m[0].busy) { /* the bad one fails it, the good one does it */
            world_finished(w, 10, EMP_MESSAGE_FAILED, job, 1, EMP_E_JOB_FAILED, 10);
            world_message(w, 11, &(struct emp_message){.kind = EMP_MESSAGE_BEAT});
            world_pass(w, 1500);
            world_finished(w, 11, EMP_MESSAGE_COMPLETED, job, 2, 0, 10);
        } else {
            world_finished(w, 11, EMP_MESSAGE_COMPLETED, job, 1, 0, 10);
        }
        world_message(w, 10, &(struct emp_message){.kind = EMP_MESSAGE_BEAT});
        world_message(w, 11, &(struct emp_message){.kind = EMP_MESSAGE_BEAT});
    }
    emp_core_machines(w->core, w->now, &w->arena, &m);
    assert_int_equal(m[1].state, EMP_MACHINE_CONNECTED);
    assert_true(m[0].state == EMP_MACHINE_QUARANTINED || m[0].jobs_failed <= 3);
}

/* Everybody is late, each the oldest of his kind: being late alone is not patience's turn. */
static void among_the_late_the_oldest_has_every_other_turn(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 6; i++) {
        struct emp_job_spec s = world_spec("simulation");
        s.estimated_duration_ms = 1000 << i; /* a class of its own */
        s.priority = 10 * i;
        world_submit(w, &s);
    }
    world_pass(w, w->settings.fairness.patience_ms[EMP_TIER_FREE] + 2000);
    world_quiet(w);
    world_join(w, 10, "m1", "fast-lane", 4);
    world_expect(w, "link 10: welcome to fast-lane\n"
                    "link 10: assign 1/1\n"
                    "link 10: assign 6/1\n"
                    "link 10: assign 2/1\n"
                    "link 10: assign 5/1\n");
}

/* Two machines become free in turn, and who is late and fits one of them alone still goes. */
static void patience_has_its_turns_on_every_machine(void **state)
{
    struct world *w = *state;
    struct emp_machine_facts here = world_facts("m1", "fast-lane", 1), there = here;
    struct emp_job_spec late = world_spec("simulation"), elsewhere = late, urgent = late;
    here.region = late.region = urgent.region = EMP_STR("here");
    there.id = EMP_STR("m2");
    there.region = elsewhere.region = EMP_STR("there");
    late.wait = elsewhere.wait = urgent.wait = true;
    urgent.priority = 100000;
    for (int i = 0; i < 3; i++)
        world_submit(w, &elsewhere); /* 1, 2, 3 */
    world_submit(w, &late);          /* 4 */
    world_pass(w, w->settings.fairness.patience_ms[EMP_TIER_FREE] + 2000);
    for (int i = 0; i < 3; i++)
        world_submit(w, &urgent); /* 5, 6, 7 */
    world_quiet(w);
    world_hello(w, 20, &there, NULL, 0, NULL, 0);
    world_hello(w, 10, &here, NULL, 0, NULL, 0);
    world_finished(w, 20, EMP_MESSAGE_COMPLETED, 1, 1, 0, 50);
    world_finished(w, 10, EMP_MESSAGE_COMPLETED, 4, 1, 0, 50);
    world_finished(w, 20, EMP_MESSAGE_COMPLETED, 2, 1, 0, 50);
    world_expect(w, "link 20: welcome to fast-lane\n"
                    "link 20: assign 1/1\n"
                    "link 10: welcome to fast-lane\n"
                    "link 10: assign 4/1\n"
                    "job 1 completed\n"
                    "link 20: ack 1/1\n"
                    "link 20: assign 2/1\n"
                    "job 4 completed\n"
                    "link 10: ack 4/1\n"
                    "link 10: assign 5/1\n"
                    "job 2 completed\n"
                    "link 20: ack 2/1\n"
                    "link 20: assign 3/1\n");
}

static void patience_does_not_look_at_the_wall(void **state)
{
    struct world *w = *state;
    struct emp_job_spec low = world_spec("simulation"), high = world_spec("simulation");
    low.priority = -1000;
    high.priority = 100000;
    world_submit(w, &low);
    world_pass(w, w->settings.fairness.patience_ms[EMP_TIER_FREE] + 2000);
    w->now.wall -= 24 * 3600 * 1000;
    world_submit(w, &high);
    world_quiet(w);
    world_join(w, 10, "m1", "fast-lane", 1);
    world_expect(w, "link 10: welcome to fast-lane\n"
                    "link 10: assign 1/1\n");
    w->now.wall += 48LL * 3600 * 1000; /* and nobody is late because it jumped */
    struct emp_job_spec later = world_spec("simulation");
    world_submit(w, &later);
    world_finished(w, 10, EMP_MESSAGE_COMPLETED, 1, 1, 0, 50);
    world_expect(w, "job 1 completed\n"
                    "link 10: ack 1/1\n"
                    "link 10: assign 2/1\n");
}

static void a_retry_of_what_ended_meanwhile_is_refused(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_started(w, 10, 1, 1);
    struct emp_job_record seen = w->changes[w->change_count - 1].job.record; /* in progress */
    world_finished(w, 10, EMP_MESSAGE_COMPLETED, 1, 1, 0, 50);
    world_quiet(w);
    struct emp_job_spec s = world_spec("simulation");
    struct emp_event e = {.kind = EMP_EVENT_RETRY, .request = 1};
    e.retry.record = &seen;
    e.retry.spec = &s;
    world_step(w, &e);
    world_expect(w, "refused, conflict\n");
}

/* Two models that are there or on their way, each for another job, do not fit together. */
static void models_on_their_way_take_room_too(void **state)
{
    struct world *w = *state;
    struct emp_machine_facts f = world_facts("m1", "fast-lane", 4);
    f.disk_budget_bytes = f.disk_free_bytes = 10LL << 30;
    struct emp_str names[] = {{"one", 3}, {"two", 3}};
    world_model(w, "one", 6LL << 30, "");
    world_model(w, "two", 6LL << 30, "");
    world_hello(w, 10, &f, NULL, 0, NULL, 0);
    for (int i = 0; i < 3; i++) {
        struct emp_job_spec s = world_spec("simulation");
        s.wait = true;
        s.models = i < 2 ? &names[i] : names;
        s.model_count = i < 2 ? 1 : 2;
        world_submit(w, &s);
    }
    world_expect(w, "link 10: welcome to fast-lane\n"
                    "link 10: assign 1/1\n"
                    "link 10: assign 2/1\n");
}

static void who_has_fewer_slots_than_we_think_greets_again(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    submit(w, "simulation");
    world_quiet(w);
    world_finished(w, 10, EMP_MESSAGE_RETURNED, 1, 1, EMP_E_AGAIN, 0);
    world_expect(w, "job 1 requeued: again\n"
                    "link 10: ack 1/1\n"
                    "link 10: closed, its leases are not those we know of: greet again\n");
    world_join(w, 11, "m1", "fast-lane", 1);
    world_expect(w, "link 11: welcome to fast-lane\n"
                    "link 11: assign 1/2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_job_runs),
        STORY(a_late_report_changes_nothing),
        STORY(a_closed_connection_may_return_within_five_seconds),
        STORY(a_restarted_agent_loses_its_old_leases_at_once),
        STORY(an_assignment_that_never_arrived_is_taken_back),
        STORY(a_broker_restart_adopts_what_runs),
        STORY(a_short_job_does_not_stand_behind_a_video),
        STORY(a_job_waits_for_the_warm_machine_when_that_is_sooner),
        STORY(a_job_goes_where_its_model_is),
        STORY(two_models_never_share_a_file),
        STORY(a_cancelled_run_frees_its_lease_at_once),
        STORY(a_poison_job_ends_and_machines_are_not_blamed),
        STORY(a_job_that_may_not_be_retried_fails_at_once),
        STORY(a_hand_back_is_not_counted),
        STORY(what_nothing_can_run_is_refused),
        STORY(a_repeated_key_is_the_first_job_again),
        STORY(impatience_overtakes_priority),
        STORY(among_the_late_the_oldest_has_every_other_turn),
        STORY(patience_has_its_turns_on_every_machine),
        STORY(patience_does_not_look_at_the_wall),
        STORY(a_retry_of_what_ended_meanwhile_is_refused),
        STORY(models_on_their_way_take_room_too),
        STORY(who_has_fewer_slots_than_we_think_greets_again),
        STORY(higher_priority_first_then_arrival),
        STORY(a_flood_does_not_delay_others),
        STORY(a_machine_that_fails_good_jobs_is_quarantined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

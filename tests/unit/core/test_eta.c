/* Times that jobs are told, and why there are none. */
#include "stories.h"

#include <stdlib.h>

static struct emp_eta told(struct world *w, const struct emp_job_spec *s)
{
    assert_true(world_submit(w, s) > 0);
    return w->reply.eta;
}

static struct emp_eta asked(struct world *w, emp_job_num job)
{
    struct emp_eta eta;
    assert_int_equal(emp_core_expect(w->core, w->now, job, &eta), 0);
    return eta;
}

static void orderly(struct emp_eta e)
{
    if (e.start_p50_ms < 0 || e.start_p90_ms < e.start_p50_ms || e.finish_p50_ms < e.start_p50_ms ||
        e.finish_p90_ms < e.finish_p50_ms || e.finish_p90_ms < e.start_p90_ms || e.reason.len)
        fail_msg("start %lld, %lld; finish %lld, %lld; \"%.*s\"", (long long)e.start_p50_ms,
                 (long long)e.start_p90_ms, (long long)e.finish_p50_ms, (long long)e.finish_p90_ms,
                 EMP_STR_FMT(e.reason));
}

/* Runs jobs of `run_ms` that start at once, until their times are known. */
static void teach(struct world *w, emp_link link, const struct emp_job_spec *s, int jobs,
                  int64_t run_ms)
{
    for (int i = 0; i < jobs; i++) {
        emp_job_num job = world_submit(w, s);
        world_started(w, link, job, 1);
        for (int64_t left = run_ms; left > 0; left -= 5000) {
            world_pass(w, left < 5000 ? left : 5000);
            world_beat(w, link);
        }
        world_finished(w, link, EMP_MESSAGE_COMPLETED, job, 1, 0, run_ms);
    }
}

static void a_free_machine_is_taken_at_once(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation");
    world_join(w, 10, "m", "fast-lane", 1);
    teach(w, 10, &s, 40, 20000);
    struct emp_eta e = told(w, &s);
    orderly(e);
    assert_true(e.start_p50_ms < 200 && e.start_p90_ms < 500);
    assert_true(e.finish_p50_ms > 18000 && e.finish_p50_ms < 22000 && e.finish_p90_ms < 25000);
    world_started(w, 10, w->reply.job, 1);
    world_pass(w, 5000);
    e = asked(w, w->reply.job);
    assert_int_equal(e.start_p50_ms, EMP_ETA_UNKNOWN);
    assert_int_equal(e.start_p90_ms, EMP_ETA_UNKNOWN);
    assert_true(e.finish_p50_ms > 12000 && e.finish_p50_ms < 17000);
    assert_true(e.finish_p90_ms >= e.finish_p50_ms);
}

static void the_queue_ahead_is_counted(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation"), urgent = s;
    urgent.priority = 1000;
    world_join(w, 10, "m", "fast-lane", 2);
    teach(w, 10, &s, 40, 20000);
    struct emp_eta at[42];
    for (int i = 0; i < 42; i++) {
        at[i] = told(w, &s);
        orderly(at[i]);
        world_pass(w, 10);
    }
    /* two run, and each two more are another 20 s */
    assert_true(at[0].start_p50_ms < 200 && at[1].start_p50_ms < 200);
    assert_true(at[2].start_p50_ms > 10000 && at[2].start_p50_ms < 30000);
    assert_true(at[41].start_p50_ms > 300000 && at[41].start_p50_ms < 500000);
    assert_true(at[21].start_p50_ms > at[2].start_p50_ms + 100000);
    struct emp_eta e = told(w, &urgent);
    orderly(e);
    assert_true(e.start_p50_ms < 60000);
    /* later, the line is looked at anew */
    world_pass(w, 3000);
    world_beat(w, 10);
    e = asked(w, w->reply.job - 1);
    orderly(e);
    assert_true(e.start_p50_ms > 250000 && e.start_p50_ms < 550000);
}

/* Who waits for nothing that could ever come is told so; nobody is told a time. */
static void why_there_is_no_time(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation"), far = s, alien = world_spec("render");
    far.wait = alien.wait = true;
    far.region = EMP_STR("moon");
    struct emp_eta e = told(w, &s);
    assert_int_equal(e.start_p50_ms, EMP_ETA_UNKNOWN);
    assert_int_equal(e.finish_p90_ms, EMP_ETA_UNKNOWN);
    assert_str(e.reason, "no machine is connected");
    world_join(w, 10, "m", "fast-lane", 1);
    assert_text(told(w, &far).reason, "no connected machine meets its requirements; m: ");
    assert_text(told(w, &alien).reason, "render");
    assert_text(asked(w, w->reply.job).reason, "render");
    assert_text(told(w, &alien).reason, "render"); /* of its class, as was found just now */
    world_step(w, &(struct emp_event){.kind = EMP_EVENT_MACHINE_DRAIN,
                                      .machine = {EMP_STR("m"), true, false}});
    world_pass(w, 2000);
    assert_text(told(w, &s).reason, "draining");
}

/* More lines than are kept: they start over, and each is told again what stands in it. */
static void many_lines(void **state)
{
    struct world *w = *state;
    enum { SERVICES = 600 };
    static char names[SERVICES][8];
    static struct emp_str services[SERVICES];
    for (int i = 0; i < SERVICES; i++) {
        snprintf(names[i], sizeof names[i], "s%d", i);
        services[i] = emp_str_z(names[i]);
    }
    struct emp_machine_facts f = world_facts("m", "fast-lane", 1);
    f.services = services;
    f.service_count = SERVICES;
    world_hello(w, 10, &f, NULL, 0, NULL, 0);
    struct emp_job_spec s = world_spec("s0");
    world_submit(w, &s);
    for (int i = 0; i < SERVICES; i++) {
        s = world_spec(names[i]);
        orderly(told(w, &s));
        orderly(asked(w, w->reply.job));
    }
    s = world_spec("s7");
    for (int i = 0; i < 50; i++)
        world_submit(w, &s);
    struct emp_eta last = w->reply.eta;
    s = world_spec("s8");
    orderly(last);
    assert_true(last.start_p50_ms > told(w, &s).start_p50_ms + 100000);
}

static void models_are_fetched_and_loaded_first(void **state)
{
    struct world *w = *state;
    static struct emp_str sdxl[] = {{"sdxl", 4}};
    struct emp_job_spec plain = world_spec("simulation"), s = plain;
    s.models = sdxl;
    s.model_count = 1;
    world_model(w, "sdxl", 7LL << 30, "art");
    world_join(w, 10, "m", "fast-lane", 2);
    struct emp_eta without = told(w, &plain), with = told(w, &s);
    orderly(without);
    orderly(with);
    struct emp_explanation x = explain(w, w->reply.job);
    assert_true(x.candidates[0].terms.fetch > 10000000);
    assert_true(with.start_p50_ms > 10000 && with.start_p50_ms > without.start_p50_ms + 10000);
}

/* Asking changes nothing: two brokers go the same way, and one of them is asked all the time. */
static void asking_changes_nothing(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation");
    struct emp_eta eta[2][30];
    struct emp_str trace[2];
    for (int run = 0; run < 2; run++) {
        if (run) {
            world_release(w);
            world_init(w);
        }
        world_join(w, 10, "m", "fast-lane", 1);
        world_join(w, 11, "n", "standard", 1);
        for (int64_t ms = 5000; ms <= 60000;
             ms += 5000) /* so that what is left is no straight line */
            teach(w, 10, &s, 1, ms);
        for (int i = 0; i < 30; i++) {
            eta[run][i] = told(w, &s);
            if (i < 2)
                world_started(w, 10 + (emp_link)i, w->reply.job, 1);
            world_pass(w, 270);
            for (emp_job_num job = 13; run && job <= w->reply.job; job++)
                asked(w, job);
            world_pass(w, 180);
            world_step(w, &(struct emp_event){.kind = EMP_EVENT_MACHINE_DRAIN,
                                              .machine = {EMP_STR("n"), i % 2 == 0, false}});
        }
        trace[run] =
            emp_str_copy(&w->arena, (struct emp_str){w->trace.data, (uint32_t)w->trace.len});
        if (run == 0) /* the arena goes with the world */
            trace[0].ptr = strndup(trace[0].ptr, trace[0].len);
    }
    assert_int_equal(trace[0].len, trace[1].len);
    assert_memory_equal(trace[0].ptr, trace[1].ptr, trace[0].len);
    for (int i = 0; i < 30; i++)
        if (eta[0][i].start_p50_ms != eta[1][i].start_p50_ms ||
            eta[0][i].finish_p90_ms != eta[1][i].finish_p90_ms)
            fail_msg("job %d was told %lld, and %lld where others asked", i,
                     (long long)eta[0][i].start_p50_ms, (long long)eta[1][i].start_p50_ms);
    free((void *)trace[0].ptr);
}

/* All that was learned is written after five seconds, and the next broker tells the same. */
static void what_is_told_outlives_the_broker(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = world_spec("simulation");
    s.work.steps = 30;
    world_join(w, 10, "m", "fast-lane", 1);
    teach(w, 10, &s, 40, 20000);
    world_pass(w, 6000);
    world_beat(w, 10);
    struct emp_eta before = told(w, &s);
    world_step(w, &(struct emp_event){.kind = EMP_EVENT_CANCEL, .job = w->reply.job});
    world_restart(w);
    world_join(w, 11, "m", "fast-lane", 1);
    struct emp_eta after = told(w, &s);
    assert_int_equal(after.start_p50_ms, before.start_p50_ms);
    assert_int_equal(after.start_p90_ms, before.start_p90_ms);
    assert_int_equal(after.finish_p50_ms, before.finish_p50_ms);
    assert_int_equal(after.finish_p90_ms, before.finish_p90_ms);
}

static void nobody_is_told_of_a_job_that_is_gone(void **state)
{
    struct world *w = *state;
    struct emp_eta e;
    world_join(w, 10, "m", "fast-lane", 1);
    complete(w, 10, submit(w, "simulation"), 1, 1000);
    assert_int_equal(emp_core_expect(w->core, w->now, 1, &e), EMP_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_free_machine_is_taken_at_once),
        STORY(the_queue_ahead_is_counted),
        STORY(many_lines),
        STORY(why_there_is_no_time),
        STORY(models_are_fetched_and_loaded_first),
        STORY(asking_changes_nothing),
        STORY(what_is_told_outlives_the_broker),
        STORY(nobody_is_told_of_a_job_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

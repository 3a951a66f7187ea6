/* Who is taken in, and in which order: refusals, shares, ageing, workflows. */
#include "stories.h"

static struct emp_job_spec of(const char *customer, enum emp_tier tier)
{
    struct emp_job_spec s = world_spec("simulation");
    s.customer = emp_str_z(customer);
    s.tier = tier;
    return s;
}

/* ---- admission ---- */

static void a_machine_is_remembered_for_a_day(void **state)
{
    const int64_t hour = 3600 * 1000;
    struct world *w = *state;
    world_join(w, 10, "m1", "fast-lane", 1);
    world_close(w, 10);
    world_pass(w, 23 * hour);
    assert_true(submit(w, "video") > 0);
    world_restart(w); /* over restarts, too */
    assert_true(submit(w, "video") > 0);
    world_pass(w, 2 * hour);
    world_quiet(w);
    assert_int_equal(submit(w, "video"), 0);
    world_expect(w, "refused, unknown_service\n");
    struct emp_job_spec s = world_spec("video");
    s.wait = true;
    assert_true(world_submit(w, &s) > 0);
}

static void built_in_services_are_taken_until_a_machine_is_seen(void **state)
{
    struct world *w = *state;
    static struct emp_str video[] = {{"video", 5}};
    assert_true(submit(w, "simulation") > 0);
    assert_int_equal(submit(w, "video"), 0);
    struct emp_machine_facts f = world_facts("m1", "fast-lane", 1);
    f.services = video;
    f.service_count = 1;
    world_hello(w, 10, &f, NULL, 0, NULL, 0);
    assert_true(submit(w, "video") > 0);
    assert_int_equal(submit(w, "simulation"), 0); /* now it is known what there is */
    assert_int_equal(w->reply.code, EMP_E_UNKNOWN_SERVICE);
}

/* A configured pool that names its services promises machines to come. */
static void a_pools_promise_is_enough(void **state)
{
    struct world *w = *state;
    static struct emp_str services[] = {{"comfyui", 7}};
    static struct emp_pool pool[] = {{.name = {"gpu", 3},
                                      .services = services,
                                      .service_count = 1,
                                      .gpu_memory_gb_min = 24,
                                      .run_ms_max = EMP_NEVER}};
    w->settings.pools = pool;
    w->settings.pool_count = 1;
    struct emp_requirement need = {.path = EMP_STR("hardware.gpu_memory_gb"),
                                   .number = 24,
                                   .kind = EMP_REQUIRE_NUMBER_AT_LEAST};
    struct emp_job_spec s = world_spec("comfyui");
    s.requirements = &need;
    s.requirement_count = 1;
    assert_true(world_submit(w, &s) > 0);
    need.number = 80;
    assert_int_equal(world_submit(w, &s), 0);
}

static void a_full_queue_says_when_to_come_back(void **state)
{
    struct world *w = *state;
    w->settings.pending_max = 2;
    assert_true(submit(w, "simulation") > 0 && submit(w, "simulation") > 0);
    world_quiet(w);
    assert_int_equal(submit(w, "simulation"), 0);
    world_expect(w, "refused, queue_full\n");
    assert_int_equal(w->reply.retry_after_ms, 5000);
    world_join(w, 10, "m1", "fast-lane", 1);
    assert_true(submit(w, "simulation") > 0);
}

/* ---- shares ---- */

/* Who got how many of the first `n` starts on one slot. */
static void count_starts(struct world *w, int n, emp_job_num border, int *ret_below, int *ret_above)
{
    *ret_below = *ret_above = 0;
    struct emp_core_machine *m;
    for (int i = 0; i < n; i++) {
        assert_int_equal(emp_core_machines(w->core, w->now, &w->arena, &m), 1);
        assert_int_equal(m[0].busy, 1);
        ++*(m[0].jobs[0] < border ? ret_below : ret_above);
        complete(w, 10, m[0].jobs[0], 1, 1000);
    }
}

static void tiers_share_by_weight(void **state)
{
    struct world *w = *state;
    struct emp_job_spec free_ = of("a", EMP_TIER_FREE), enterprise = of("b", EMP_TIER_ENTERPRISE);
    for (int i = 0; i < 200; i++)
        world_submit(w, &free_);
    for (int i = 0; i < 200; i++)
        world_submit(w, &enterprise);
    world_join(w, 10, "m1", "fast-lane", 1);
    int low, high;
    count_starts(w, 140, 201, &low, &high);
    assert_in_range(high, 115, 125); /* six of seven */
    assert_in_range(low, 15, 25);
}

static void customers_of_one_tier_share_equally(void **state)
{
    struct world *w = *state;
    struct emp_job_spec a = of("a", EMP_TIER_PREMIUM), b = of("b", EMP_TIER_PREMIUM);
    for (int i = 0; i < 150; i++)
        world_submit(w, &a);
    for (int i = 0; i < 50; i++)
        world_submit(w, &b);
    world_join(w, 10, "m1", "fast-lane", 1);
    int first, second;
    count_starts(w, 80, 151, &first, &second);
    assert_in_range(first, 38, 42);
    assert_in_range(second, 38, 42);
}

/* A point of priority is worth a minute: a low one that came long ago goes before a higher one. */
static void waiting_ages_a_job(void **state)
{
    struct world *w = *state;
    for (int t = 0; t < EMP_TIER_COUNT; t++)
        w->settings.fairness.patience_ms[t] = 3600 * 1000; /* patience is another story */
    world_join(w, 10, "m1", "fast-lane", 1);
    struct emp_job_spec runs = of("x", EMP_TIER_FREE), low = of("a", EMP_TIER_FREE),
                        high = of("b", EMP_TIER_FREE);
    low.priority = 49;
    high.priority = 51;
    runs.estimated_duration_ms = 30000; /* moves the virtual clock on */
    world_submit(w, &low);
    complete(w, 10, 1, 1, 10);
    emp_job_num busy = world_submit(w, &runs), old = world_submit(w, &low);
    for (int i = 0; i < 10; i++) { /* five minutes of others' work pass */
        runs.priority = 200;
        emp_job_num next = world_submit(w, &runs);
        complete(w, 10, busy, 1, 30000);
        busy = next;
    }
    world_submit(w, &high);
    world_quiet(w);
    complete(w, 10, busy, 1, 30000);
    char expected[128];
    snprintf(expected, sizeof expected,
             "job %d started\njob %d completed\nlink 10: ack %d/1\nlink 10: assign %d/1\n",
             (int)busy, (int)busy, (int)busy, (int)old);
    world_expect(w, expected);
}

/* ---- workflows ---- */

static struct emp_job_spec step(const char *workflow)
{
    struct emp_job_spec s = of("flow", EMP_TIER_FREE);
    s.workflow = emp_str_z(workflow);
    return s;
}

/* A queue of others grows; the second step comes when the first is done, and goes before them. */
static void a_later_step_keeps_the_place(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = step("wf-1");
    world_join(w, 10, "m1", "fast-lane", 1);
    world_submit(w, &s);
    for (int i = 0; i < 20; i++) {
        struct emp_job_spec other = of("crowd", EMP_TIER_FREE);
        world_submit(w, &other);
    }
    for (emp_job_num n = 1; n <= 5; n++)
        complete(w, 10, n, 1, 10000);
    emp_job_num second = world_submit(w, &s);
    world_quiet(w);
    complete(w, 10, 6, 1, 10000);
    assert_int_equal(second, 22);
    world_expect(w, "job 6 started\n"
                    "job 6 completed\n"
                    "link 10: ack 6/1\n"
                    "link 10: assign 22/1\n");
}

static void a_place_survives_a_restart_of_the_broker(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = step("wf-1");
    world_join(w, 10, "m1", "fast-lane", 1);
    world_submit(w, &s);
    for (int i = 0; i < 20; i++) {
        struct emp_job_spec other = of("crowd", EMP_TIER_FREE);
        world_submit(w, &other);
    }
    world_restart(w);
    emp_job_num second = world_submit(w, &s);
    struct emp_machine_facts f = world_facts("m1", "fast-lane", 1);
    world_hello(w, 11, &f, &(struct emp_held){.job = 1, .attempt = 1, .started = true}, 1, NULL, 0);
    world_quiet(w);
    world_finished(w, 11, EMP_MESSAGE_COMPLETED, 1, 1, 0, 10000);
    assert_int_equal(second, 22);
    world_finished(w, 11, EMP_MESSAGE_COMPLETED, 2, 1, 0, 10000);
    world_expect(w, "job 1 completed\n"
                    "link 11: ack 1/1\n"
                    "link 11: assign 2/1\n"
                    "job 2 completed\n"
                    "link 11: ack 2/1\n"
                    "link 11: assign 22/1\n");
}

/* A thousand steps under one name are a flood like any other. */
static void a_flood_under_one_workflow_stands_behind_itself(void **state)
{
    struct world *w = *state;
    struct emp_job_spec s = step("wf-flood"), one = of("one", EMP_TIER_FREE);
    for (int i = 0; i < 100; i++)
        world_submit(w, &s);
    emp_job_num mine = world_submit(w, &one);
    world_quiet(w);
    world_join(w, 10, "m1", "fast-lane", 2);
    assert_int_equal(mine, 101);
    world_expect(w, "link 10: welcome to fast-lane\n"
                    "link 10: assign 1/1\n"
                    "link 10: assign 101/1\n");
}

static void workflow_priority_and_date_decide_the_order(void **state)
{
    struct world *w = *state;
    struct emp_job_spec plain = of("a", EMP_TIER_FREE), dated = of("b", EMP_TIER_FREE),
                        urgent = of("c", EMP_TIER_FREE);
    plain.priority = 60; /* what its own priority says is not asked where the workflow has one */
    dated.workflow = EMP_STR("wf-1");
    dated.priority = 60;
    dated.workflow_datetime = w->now.wall - 30 * 60 * 1000;
    urgent.workflow = EMP_STR("wf-2");
    urgent.priority = 0;
    urgent.workflow_priority = 99;
    world_submit(w, &plain);
    world_submit(w, &dated);
    world_submit(w, &urgent);
    world_quiet(w);
    world_join(w, 10, "m1", "fast-lane", 3);
    world_expect(w, "link 10: welcome to fast-lane\n"
                    "link 10: assign 3/1\n"
                    "link 10: assign 2/1\n"
                    "link 10: assign 1/1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_machine_is_remembered_for_a_day),
        STORY(built_in_services_are_taken_until_a_machine_is_seen),
        STORY(a_pools_promise_is_enough),
        STORY(a_full_queue_says_when_to_come_back),
        STORY(tiers_share_by_weight),
        STORY(customers_of_one_tier_share_equally),
        STORY(waiting_ages_a_job),
        STORY(a_later_step_keeps_the_place),
        STORY(a_place_survives_a_restart_of_the_broker),
        STORY(a_flood_under_one_workflow_stands_behind_itself),
        STORY(workflow_priority_and_date_decide_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

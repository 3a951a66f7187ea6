/* Where jobs go: pools, specialties, customers, regions, compliance, fallbacks, and what is learned
 * about how long they run. */
#include "stories.h"

static struct emp_pool pools[8];

/* The three pools of the defaults, and one more. */
static void add_pool(struct world *w, struct emp_pool extra)
{
    if (w->settings.pools != pools) {
        memcpy(pools, w->settings.pools, w->settings.pool_count * sizeof *pools);
        w->settings.pools = pools;
    }
    pools[w->settings.pool_count++] = extra;
}

static struct emp_job_spec timed(int64_t seconds)
{
    struct emp_job_spec s = world_spec("simulation");
    s.estimated_duration_ms = seconds * 1000;
    return s;
}

static struct emp_str sdxl[] = {{"sdxl", 4}};

static struct emp_job_spec with_sdxl(void)
{
    struct emp_job_spec s = world_spec("simulation");
    s.models = sdxl;
    s.model_count = 1;
    return s;
}

static void greet_with_sdxl(struct world *w, emp_link link, const char *id, const char *pool)
{
    struct emp_machine_facts f = world_facts(id, pool, 1);
    struct emp_copy c = {.model = sdxl[0], .bytes = 7LL << 30, .residency = EMP_RESIDENCY_DISK};
    world_hello(w, link, &f, NULL, 0, &c, 1);
}

/* ---- pools by duration ---- */

static void each_length_goes_to_its_pool(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "fast", "fast-lane", 9);
    world_join(w, 11, "mid", "standard", 9);
    world_join(w, 12, "big", "heavy", 9);
    world_quiet(w);
    static const int64_t seconds[] = {1, 29, 30, 179, 180, 3600};
    for (size_t i = 0; i < 6; i++) {
        struct emp_job_spec s = timed(seconds[i]);
        world_submit(w, &s);
    }
    world_expect(w, "link 10: assign 1/1\n"
                    "link 10: assign 2/1\n"
                    "link 11: assign 3/1\n"
                    "link 11: assign 4/1\n"
                    "link 12: assign 5/1\n"
                    "link 12: assign 6/1\n");
}

/* The submitter said ten seconds; they take a minute. */
static void what_is_learned_overrules_what_was_said(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "fast", "fast-lane", 1);
    struct emp_job_spec s = timed(10);
    for (emp_job_num n = 1; n <= 12; n++) {
        world_submit(w, &s);
        complete(w, 10, n, 1, 60000);
    }
    world_join(w, 11, "mid", "standard", 1);
    world_quiet(w);
    world_submit(w, &s);
    world_expect(w, "link 11: assign 13/1\n");
    assert_true(explain(w, 13).estimated_run_ms >= 50000);
}

/* One run in three takes five minutes: the mean would say standard, the quantile says heavy. */
static void the_configured_quantile_decides(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "any", "fast-lane", 1);
    struct emp_job_spec s = timed(10);
    for (emp_job_num n = 1; n <= 30; n++) {
        world_submit(w, &s);
        complete(w, 10, n, 1, n % 3 ? 10000 : 300000);
    }
    world_submit(w, &s);
    assert_str(explain(w, 31).pool, "heavy");
    complete(w, 10, 31, 1, 10000);
    w->settings.routing.pool_quantile = 0.5;
    world_submit(w, &s);
    complete(w, 10, 32, 1, 10000);
    world_submit(w, &s);
    assert_str(explain(w, 33).pool, "fast-lane");
}

/* What is learned of jobs for one region holds for the same jobs elsewhere. */
static void classes_that_differ_in_place_alone_learn_together(void **state)
{
    struct world *w = *state;
    struct emp_machine_facts f = world_facts("m", "fast-lane", 1);
    f.region = EMP_STR("eu");
    world_hello(w, 10, &f, NULL, 0, NULL, 0);
    struct emp_job_spec anywhere = timed(10), eu = timed(10);
    eu.region = EMP_STR("eu");
    world_submit(w, &eu);
    complete(w, 10, 1, 1, 60000);
    for (emp_job_num n = 2; n <= 12; n++) {
        world_submit(w, &anywhere);
        complete(w, 10, n, 1, 60000);
    }
    world_submit(w, &eu);
    assert_str(explain(w, 13).pool, "standard");
}

/* The heavy machine's connection breaks: its videos do not rush into the fast lane meanwhile. */
static void a_video_waits_for_its_machine_to_return(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "fast", "fast-lane", 1);
    world_join(w, 12, "big", "heavy", 1);
    world_close(w, 12);
    world_quiet(w);
    struct emp_job_spec video = timed(600);
    world_submit(w, &video);
    for (int i = 0; i < 15; i++) {
        world_pass(w, 2000);
        world_beat(w, 10);
    }
    world_expect(w, "");
    assert_text(explain(w, 1).reason, "waits for big to return");
    world_join(w, 13, "big", "heavy", 1);
    world_expect(w, "link 13: welcome to heavy\n"
                    "link 13: assign 1/1\n");
}

/* After a start of the broker agents return one by one: the first ones do not get everything. */
static void a_video_waits_for_its_machine_after_a_broker_start(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "fast", "fast-lane", 1);
    world_join(w, 12, "big", "heavy", 1);
    struct emp_job_spec video = timed(600);
    world_submit(w, &video);
    world_submit(w, &video); /* waits */
    world_started(w, 12, 1, 1);
    world_restart(w);
    world_quiet(w);
    world_join(w, 20, "fast", "fast-lane", 1);
    world_pass(w, 3000);
    world_expect(w, "link 20: welcome to fast-lane\n");
    struct emp_machine_facts f = world_facts("big", "heavy", 1);
    world_hello(w, 21, &f, &(struct emp_held){.job = 1, .attempt = 1, .started = true}, 1, NULL, 0);
    world_finished(w, 21, EMP_MESSAGE_COMPLETED, 1, 1, 0, 1000);
    world_expect(w, "link 21: welcome to heavy\n"
                    "job 1 completed\n"
                    "link 21: ack 1/1\n"
                    "link 21: assign 2/1\n");
}

static void a_machine_gone_for_good_is_not_waited_for(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "fast", "fast-lane", 1);
    world_join(w, 12, "big", "heavy", 1);
    world_close(w, 12);
    world_quiet(w);
    struct emp_job_spec video = timed(600);
    world_submit(w, &video);
    for (int i = 0; i < 31; i++) {
        world_pass(w, 2000);
        world_beat(w, 10);
    }
    world_expect(w, "link 10: assign 1/1\n");
}

/* ---- fallbacks ---- */

static enum emp_fallback fallback_of(struct world *w, emp_job_num job)
{
    struct emp_explanation x = explain(w, job);
    assert_false(x.waiting);
    return x.fallback;
}

static void fallbacks_come_in_order(void **state)
{
    struct world *w = *state;
    world_model(w, "sdxl", 7LL << 30, "art");
    w->settings.routing.warm_wait_ms_max = 0;
    struct emp_job_spec s = with_sdxl();

    greet_with_sdxl(w, 10, "own-warm", "fast-lane");
    greet_with_sdxl(w, 12, "other-warm", "standard");
    world_quiet(w);
    world_submit(w, &s); /* own pool, the model is there */
    world_submit(w, &s); /* another pool has it */
    world_expect(w, "link 10: assign 1/1\n"
                    "link 12: assign 2/1\n");
    assert_int_equal(fallback_of(w, 1), EMP_FALLBACK_NONE);
    assert_int_equal(fallback_of(w, 2), EMP_FALLBACK_OTHER_POOL);

    world_join(w, 11, "own-cold", "fast-lane", 1);
    world_submit(w, &s); /* own pool, to be fetched */
    assert_int_equal(fallback_of(w, 3), EMP_FALLBACK_FETCH);
}

static void where_nobody_has_it_it_is_deployed_in_an_emergency(void **state)
{
    struct world *w = *state;
    world_model(w, "sdxl", 7LL << 30, "art");
    world_join(w, 12, "other", "standard", 1);
    world_quiet(w);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    world_expect(w, "link 12: assign 1/1\n");
    struct emp_explanation x = explain(w, 1);
    assert_int_equal(x.fallback, EMP_FALLBACK_EMERGENCY);
    /* a guess of 10 s, where jobs of 30 s and more belong: a third of the penalty */
    assert_int_equal(x.candidates[0].terms.pool_penalty, 20 * 1000000 / 3 + 1);
    assert_true(x.candidates[0].terms.fetch > 100 * 1000000);
}

static void a_penalty_keeps_jobs_at_home_as_long_as_it_pays(void **state)
{
    struct world *w = *state;
    world_join(w, 10, "own", "fast-lane", 1);
    world_join(w, 12, "other", "standard", 1);
    struct emp_job_spec s = timed(10), t = timed(25);
    world_submit(w, &s);
    world_started(w, 10, 1, 1);
    for (int i = 0; i < 2; i++) {
        world_pass(w, 4000);
        world_beat(w, 10);
        world_beat(w, 12);
    }
    world_quiet(w);
    world_submit(w, &s); /* 2 s of waiting are less than a third of the penalty of 20 s */
    world_expect(w, "");
    assert_text(explain(w, 2).reason, "waits for own");
    world_finished(w, 10, EMP_MESSAGE_COMPLETED, 1, 1, 0, 10000);
    world_expect(w, "job 1 completed\n"
                    "link 10: ack 1/1\n"
                    "link 10: assign 2/1\n");
    complete(w, 10, 2, 1, 10000);
    world_submit(w, &t);
    world_quiet(w);
    world_submit(w, &t); /* 25 s are more */
    world_expect(w, "link 12: assign 4/1\n");
}

/* ---- specialties ---- */

static void a_specialty_is_inferred_from_the_models(void **state)
{
    struct world *w = *state;
    add_pool(w, (struct emp_pool){.name = EMP_STR("photo"),
                                  .parent = EMP_STR("fast-lane"),
                                  .specialty = EMP_STR("photography"),
                                  .run_ms_max = EMP_NEVER,
                                  .penalty_ms = 20000});
    world_model(w, "sdxl", 1000, "photography");
    world_join(w, 10, "general", "fast-lane", 4);
    world_join(w, 11, "studio", "photo", 4);
    world_quiet(w);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    submit(w, "simulation");
    world_expect(w, "link 11: assign 1/1\n"
                    "link 10: assign 2/1\n");
    s.specialty = EMP_STR("research"); /* what is said counts */
    world_submit(w, &s);
    assert_str(explain(w, 3).pool, "fast-lane");
}

/* The catalogue changes its mind about a model whose class exists already. */
static void a_models_category_may_change(void **state)
{
    struct world *w = *state;
    add_pool(w, (struct emp_pool){.name = EMP_STR("photo"),
                                  .parent = EMP_STR("fast-lane"),
                                  .specialty = EMP_STR("photography"),
                                  .run_ms_max = EMP_NEVER,
                                  .penalty_ms = 20000});
    world_model(w, "sdxl", 1000, "art");
    world_join(w, 10, "general", "fast-lane", 1);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    assert_str(explain(w, 1).pool, "fast-lane");
    world_model(w, "sdxl", 1000, "photography");
    complete(w, 10, 1, 1, 1000);
    world_submit(w, &s);
    assert_str(explain(w, 2).pool, "photo");
}

/* ---- whose machines ---- */

static void a_customers_pool_is_nobody_elses(void **state)
{
    struct world *w = *state;
    add_pool(w, (struct emp_pool){.name = EMP_STR("acme"),
                                  .customer = EMP_STR("acme"),
                                  .run_ms_max = EMP_NEVER,
                                  .penalty_ms = 20000});
    world_join(w, 11, "theirs", "acme", 2);
    struct emp_job_spec acme = world_spec("simulation"), other = world_spec("simulation");
    acme.customer = EMP_STR("acme");
    other.customer = EMP_STR("other");
    world_quiet(w);
    assert_int_equal(world_submit(w, &other), 0); /* no machine that serves them was ever seen */
    world_expect(w, "refused, unrunnable\n");
    assert_string_equal(w->reply.error.text,
                        "machine theirs belongs to a pool of another customer");
    world_submit(w, &acme);
    world_expect(w, "link 11: assign 1/1\n");
    world_join(w, 10, "general", "fast-lane", 1);
    world_quiet(w);
    world_submit(w, &other);
    world_submit(w, &other);
    world_expect(w, "link 10: assign 2/1\n"); /* the second waits beside an idle slot of acme's */
    world_submit(w, &acme);
    world_expect(w, "link 11: assign 4/1\n");
}

static void compliance_is_kept(void **state)
{
    struct world *w = *state;
    static struct emp_str tags[] = {{"hipaa", 5}, {"soc2", 4}};
    struct emp_machine_facts some = world_facts("some", "fast-lane", 1),
                             both = world_facts("both", "fast-lane", 1);
    some.compliance = both.compliance = tags;
    some.compliance_count = 1;
    both.compliance_count = 2;
    world_hello(w, 10, &some, NULL, 0, NULL, 0);
    struct emp_job_spec s = world_spec("simulation");
    s.compliance = tags;
    s.compliance_count = 2;
    world_quiet(w);
    assert_int_equal(world_submit(w, &s), 0);
    world_expect(w, "refused, unrunnable\n");
    assert_non_null(strstr(w->reply.error.text, "compliance: needs \"soc2\""));
    world_hello(w, 11, &both, NULL, 0, NULL, 0);
    world_quiet(w);
    world_submit(w, &s);
    world_expect(w, "link 11: assign 1/1\n");
}

/* Reserved for a workflow: its jobs only, and also them elsewhere. */
static void a_reserved_machine_serves_its_workflow(void **state)
{
    struct world *w = *state;
    static struct emp_capability reserved[] = {
        {.path = {"workflow_id", 11}, .text = {"wf-7", 4}, .kind = EMP_CAPABILITY_TEXT}};
    struct emp_machine_facts f = world_facts("reserved", "fast-lane", 1);
    f.caps = reserved;
    f.cap_count = 1;
    world_hello(w, 10, &f, NULL, 0, NULL, 0);
    struct emp_job_spec ours = world_spec("simulation"), theirs = world_spec("simulation");
    ours.workflow = EMP_STR("wf-7");
    theirs.workflow = EMP_STR("wf-8");
    world_quiet(w);
    assert_int_equal(world_submit(w, &theirs), 0);
    world_expect(w, "refused, unrunnable\n");
    world_submit(w, &ours);
    world_expect(w, "link 10: assign 1/1\n");
    world_join(w, 11, "general", "fast-lane", 2);
    world_quiet(w);
    world_submit(w, &ours);
    world_submit(w, &theirs);
    world_expect(w, "link 11: assign 2/1\n"
                    "link 11: assign 3/1\n");
    complete(w, 10, 1, 1, 1000);
    world_restart(w); /* and the broker remembers who is reserved */
    world_submit(w, &ours);
    world_quiet(w);
    world_hello(w, 20, &f, NULL, 0, NULL, 0);
    world_expect(w, "link 20: welcome to fast-lane\n"
                    "link 20: assign 4/1\n");
}

/* ---- regions ---- */

static void join_in(struct world *w, emp_link link, const char *id, const char *region,
                    uint32_t slots)
{
    struct emp_machine_facts f = world_facts(id, "fast-lane", slots);
    f.region = emp_str_z(region);
    world_hello(w, link, &f, NULL, 0, NULL, 0);
}

static void a_job_stays_in_its_region(void **state)
{
    struct world *w = *state;
    join_in(w, 10, "m-us", "us", 4);
    struct emp_job_spec s = world_spec("simulation");
    s.region = EMP_STR("eu");
    world_quiet(w);
    assert_int_equal(world_submit(w, &s), 0);
    world_expect(w, "refused, unrunnable\n");
    join_in(w, 11, "m-eu", "eu", 1);
    world_quiet(w);
    world_submit(w, &s);
    world_submit(w, &s);
    world_expect(w, "link 11: assign 1/1\n");
}

/* Three machines here and one there: the load is balanced over regions, by their slots. */
static void regions_are_loaded_evenly(void **state)
{
    struct world *w = *state;
    join_in(w, 10, "us-1", "us", 4);
    join_in(w, 11, "us-2", "us", 4);
    join_in(w, 12, "us-3", "us", 4);
    join_in(w, 13, "eu-1", "eu", 4);
    for (int i = 0; i < 8; i++)
        submit(w, "simulation");
    struct emp_core_machine *m;
    assert_int_equal(emp_core_machines(w->core, w->now, &w->arena, &m), 4);
    assert_int_equal(m[3].busy, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(m[i].busy, 2);
}

/* ---- models and disks ---- */

static void an_equal_machine_with_the_model_in_memory_is_preferred(void **state)
{
    struct world *w = *state;
    static struct emp_gpu gpu[] = {{.memory_bytes = 24000000000}};
    world_model(w, "sdxl", 7LL << 30, "art");
    struct emp_machine_facts cold = world_facts("on-disk", "fast-lane", 1),
                             warm = world_facts("in-gpu", "fast-lane", 1);
    cold.gpus = warm.gpus = gpu;
    cold.gpu_count = warm.gpu_count = 1;
    struct emp_copy on_disk = {.model = sdxl[0],
                               .bytes = 7LL << 30,
                               .residency = EMP_RESIDENCY_DISK},
                    in_gpu = {.model = sdxl[0], .bytes = 7LL << 30, .residency = EMP_RESIDENCY_GPU};
    world_hello(w, 10, &cold, NULL, 0, &on_disk, 1);
    world_hello(w, 11, &warm, NULL, 0, &in_gpu, 1);
    world_quiet(w);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    world_expect(w, "link 11: assign 1/1\n");
    struct emp_explanation x = explain(w, 1);
    assert_int_equal(x.candidates[0].terms.load, 0);
    assert_true(x.candidates[1].terms.load > 20 * 1000000);
}

static void a_disk_too_small_is_told_at_submission(void **state)
{
    struct world *w = *state;
    world_model(w, "sdxl", 200LL << 30, "art");
    world_join(w, 10, "small", "fast-lane", 1);
    struct emp_job_spec s = with_sdxl();
    assert_int_equal(world_submit(w, &s), 0);
    assert_int_equal(w->reply.code, EMP_E_UNRUNNABLE);
    assert_non_null(strstr(w->reply.error.text, "the disk of machine small holds"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(each_length_goes_to_its_pool),
        STORY(what_is_learned_overrules_what_was_said),
        STORY(the_configured_quantile_decides),
        STORY(classes_that_differ_in_place_alone_learn_together),
        STORY(a_video_waits_for_its_machine_to_return),
        STORY(a_video_waits_for_its_machine_after_a_broker_start),
        STORY(a_machine_gone_for_good_is_not_waited_for),
        STORY(fallbacks_come_in_order),
        STORY(where_nobody_has_it_it_is_deployed_in_an_emergency),
        STORY(a_penalty_keeps_jobs_at_home_as_long_as_it_pays),
        STORY(a_specialty_is_inferred_from_the_models),
        STORY(a_models_category_may_change),
        STORY(a_customers_pool_is_nobody_elses),
        STORY(compliance_is_kept),
        STORY(a_reserved_machine_serves_its_workflow),
        STORY(a_job_stays_in_its_region),
        STORY(regions_are_loaded_evenly),
        STORY(an_equal_machine_with_the_model_in_memory_is_preferred),
        STORY(a_disk_too_small_is_told_at_submission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

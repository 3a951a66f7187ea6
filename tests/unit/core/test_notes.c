/* What the core notes for the planner: what was begun for whom, and what was there before. */
#include "stories.h"

#define GB (1LL << 30)

static struct emp_str sdxl[] = {{"sdxl", 4}};

static struct emp_snapshot take(struct world *w)
{
    struct emp_snapshot s;
    emp_core_snapshot(w->core, w->now, &w->arena, &s);
    return s;
}

static void begin(struct world *w)
{
    world_model(w, "sdxl", 7 * GB, "checkpoint");
    world_model(w, "flux", 17 * GB, "checkpoint");
    world_join(w, 10, "gpu-1", "standard", 1);
    take(w);
}

static void copies(struct world *w, const struct emp_copy *list, uint32_t count)
{
    struct emp_message m = {.kind = EMP_MESSAGE_COPIES};
    struct emp_copy c[4];
    memcpy(c, list, count * sizeof *c);
    m.copies.copies = c;
    m.copies.copy_count = count;
    world_message(w, 10, &m);
}

static void copy(struct world *w, const char *model, enum emp_residency at)
{
    copies(w, &(struct emp_copy){.model = emp_str_z(model), .bytes = 7 * GB, .residency = at}, 1);
}

/* The plan wants sdxl there. */
static void plan(struct world *w)
{
    struct emp_plan_item item = {.model = 0, .residency = EMP_RESIDENCY_DISK, .seconds_saved = 5};
    struct emp_plan_machine machine = {
        .id = EMP_STR("gpu-1"), .planned = &item, .planned_count = 1};
    struct emp_plan_result result = {.machines = &machine, .machine_count = 1, .model_names = sdxl};
    struct emp_event e = {.kind = EMP_EVENT_PLAN};
    e.plan = &result;
    world_step(w, &e);
}

static emp_job_num submit_sdxl(struct world *w)
{
    struct emp_job_spec s = world_spec("simulation");
    s.models = sdxl;
    s.model_count = 1;
    return world_submit(w, &s);
}

static struct emp_note find(const struct emp_snapshot *s, enum emp_note_kind kind)
{
    for (uint32_t i = 0; i < s->note_count; i++)
        if (s->notes[i].kind == kind)
            return s->notes[i];
    fail_msg("no note of kind %d", kind);
    return (struct emp_note){0};
}

static void about_sdxl_on_gpu_1(const struct emp_note *n)
{
    assert_int_equal(n->model_count, 1);
    assert_true(emp_str_eq(n->models[0], sdxl[0]));
    assert_true(emp_str_eq(n->machine, EMP_STR("gpu-1")));
}

static void a_fetch_for_the_plan_and_one_for_a_job(void **state)
{
    struct world *w = *state;
    begin(w);
    plan(w);
    copy(w, "sdxl", EMP_RESIDENCY_FETCHING);
    world_pass(w, 4000);
    copy(w, "sdxl", EMP_RESIDENCY_DISK);
    struct emp_snapshot s = take(w);
    struct emp_note n = find(&s, EMP_NOTE_FETCH);
    about_sdxl_on_gpu_1(&n);
    assert_true(n.planned && n.ok);
    assert_int_equal(n.bytes, 7 * GB);
    assert_int_equal(n.ms, 4000);

    copy(w, "sdxl", EMP_RESIDENCY_NONE);
    submit_sdxl(w); /* the plan wants it still, but a job waits for it now */
    copy(w, "sdxl", EMP_RESIDENCY_FETCHING);
    copy(w, "sdxl", EMP_RESIDENCY_DISK);
    s = take(w);
    n = find(&s, EMP_NOTE_FETCH);
    assert_true(n.ok && !n.planned);
}

static void what_no_plan_names_is_not_planned(void **state)
{
    struct world *w = *state;
    begin(w);
    plan(w);
    copy(w, "flux", EMP_RESIDENCY_FETCHING);
    copy(w, "flux", EMP_RESIDENCY_NONE); /* given up */
    struct emp_snapshot s = take(w);
    struct emp_note n = find(&s, EMP_NOTE_FETCH);
    assert_true(!n.planned && !n.ok);
    assert_int_equal(n.bytes, 0);
}

static void a_copy_that_goes_for_the_plan_and_one_for_a_job(void **state)
{
    struct world *w = *state;
    begin(w);
    copy(w, "flux", EMP_RESIDENCY_DISK);
    copies(w,
           (struct emp_copy[]){
               {.model = EMP_STR("flux"), .residency = EMP_RESIDENCY_NONE},
               {.model = sdxl[0], .bytes = 7 * GB, .residency = EMP_RESIDENCY_FETCHING}},
           2);
    struct emp_snapshot s = take(w);
    assert_false(find(&s, EMP_NOTE_EVICT).planned); /* there is no plan */

    copy(w, "sdxl", EMP_RESIDENCY_DISK);
    plan(w);
    copy(w, "sdxl", EMP_RESIDENCY_NONE);
    s = take(w);
    struct emp_note n = find(&s, EMP_NOTE_EVICT);
    about_sdxl_on_gpu_1(&n);
    assert_true(n.planned);
    assert_int_equal(n.bytes, 7 * GB);

    copy(w, "flux", EMP_RESIDENCY_DISK);
    submit_sdxl(w);
    copy(w, "flux", EMP_RESIDENCY_NONE); /* while a job waits for its model */
    s = take(w);
    assert_false(find(&s, EMP_NOTE_EVICT).planned);
}

/* In one message: the job's model is whole, and for the next planned one another goes. */
static void it_counts_what_is_there_after_the_message(void **state)
{
    struct world *w = *state;
    begin(w);
    plan(w);
    copy(w, "flux", EMP_RESIDENCY_DISK);
    submit_sdxl(w);
    copy(w, "sdxl", EMP_RESIDENCY_FETCHING);
    copies(
        w,
        (struct emp_copy[]){{.model = EMP_STR("flux"), .residency = EMP_RESIDENCY_NONE},
                            {.model = sdxl[0], .bytes = 7 * GB, .residency = EMP_RESIDENCY_DISK}},
        2);
    struct emp_snapshot s = take(w);
    assert_true(find(&s, EMP_NOTE_EVICT).planned);
}

static bool ready(struct world *w, emp_job_num job)
{
    world_started(w, 10, job, 1);
    struct emp_snapshot s = take(w);
    struct emp_note n = find(&s, EMP_NOTE_START);
    about_sdxl_on_gpu_1(&n);
    complete(w, 10, job, 1, 1000);
    return n.ready;
}

static void a_job_is_ready_whose_model_was_there_before_it(void **state)
{
    struct world *w = *state;
    begin(w);
    emp_job_num job = submit_sdxl(w);
    copy(w, "sdxl", EMP_RESIDENCY_FETCHING);
    world_pass(w, 1000);
    copy(w, "sdxl", EMP_RESIDENCY_DISK);
    assert_false(ready(w, job));
    assert_true(ready(w, submit_sdxl(w)));
    copy(w, "sdxl", EMP_RESIDENCY_GPU); /* higher up it is still the same copy */
    world_pass(w, 1000);
    assert_true(ready(w, submit_sdxl(w)));
}

/* Nobody knows since when; it is not something that a job brought. */
static void what_a_machine_greets_with_was_there(void **state)
{
    struct world *w = *state;
    struct emp_machine_facts f = world_facts("gpu-1", "standard", 1);
    struct emp_copy there = {.model = sdxl[0], .bytes = 7 * GB, .residency = EMP_RESIDENCY_DISK};
    world_model(w, "sdxl", 7 * GB, "checkpoint");
    emp_job_num job = submit_sdxl(w);
    world_pass(w, 1000);
    world_hello(w, 10, &f, NULL, 0, &there, 1);
    assert_true(ready(w, job));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_fetch_for_the_plan_and_one_for_a_job),
        STORY(what_no_plan_names_is_not_planned),
        STORY(a_copy_that_goes_for_the_plan_and_one_for_a_job),
        STORY(it_counts_what_is_there_after_the_message),
        STORY(a_job_is_ready_whose_model_was_there_before_it),
        STORY(what_a_machine_greets_with_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Spare copies: when the last idle machine with a model is taken, another makes it ready for the
 * next job. */
#include "stories.h"

static struct emp_str sdxl[] = {{"sdxl", 4}};
static const int64_t BYTES = 7000000000;

static struct emp_job_spec with_sdxl(void)
{
    struct emp_job_spec s = world_spec("simulation");
    s.models = sdxl;
    s.model_count = 1;
    s.estimated_duration_ms = 20000;
    return s;
}

static void greet(struct world *w, emp_link link, const char *id, enum emp_residency at)
{
    static struct emp_gpu gpu[] = {{.memory_bytes = 24000000000}};
    struct emp_machine_facts f = world_facts(id, "fast-lane", 1);
    f.gpus = gpu;
    f.gpu_count = 1;
    f.gpu_budget_bytes = 24000000000;
    struct emp_copy c = {.model = sdxl[0], .bytes = BYTES, .residency = at};
    world_hello(w, link, &f, NULL, 0, &c, at > EMP_RESIDENCY_NONE);
}

/* One machine has it in GPU memory, another is empty. */
static struct world *two_machines(void **state)
{
    struct world *w = *state;
    world_model(w, "sdxl", BYTES, "art");
    greet(w, 10, "warm", EMP_RESIDENCY_GPU);
    greet(w, 11, "cold", EMP_RESIDENCY_NONE);
    world_quiet(w);
    return w;
}

/* Time passes; both machines are there. */
static void pass(struct world *w, int seconds)
{
    for (int i = 0; i < seconds; i += 2) {
        world_pass(w, 2000);
        world_beat(w, 10);
        world_beat(w, 11);
    }
}

enum { BEFORE = 6 };

/* One after the other on the warm machine: so it is known to be wanted and busy, and no spare yet.
 */
static void run_some(struct world *w)
{
    double weight = w->settings.routing.spare_weight;
    w->settings.routing.spare_weight = 0;
    struct emp_job_spec s = with_sdxl();
    for (int i = 0; i < BEFORE; i++)
        world_submit(w, &s);
    for (emp_job_num job = 1; job <= BEFORE; job++) {
        world_started(w, 10, job, 1);
        pass(w, 20);
        world_finished(w, 10, EMP_MESSAGE_COMPLETED, job, 1, 0, 20000);
    }
    w->settings.routing.spare_weight = weight;
    world_quiet(w);
}

static void copies(struct world *w, emp_link link, enum emp_residency at)
{
    struct emp_copy c = {.model = sdxl[0], .bytes = BYTES, .residency = at};
    struct emp_message m = {.kind = EMP_MESSAGE_COPIES};
    m.copies.copies = &c;
    m.copies.copy_count = 1;
    m.copies.disk_free_bytes = 90000000000;
    world_message(w, link, &m);
}

static void the_next_job_finds_a_second_machine(void **state)
{
    struct world *w = two_machines(state);
    run_some(w);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    world_expect(w, "link 11: plan sdxl:gpu\n"
                    "link 10: assign 7/1\n");
    copies(w, 11, EMP_RESIDENCY_GPU);
    world_quiet(w);
    world_submit(w, &s);
    world_expect(w, "link 11: assign 8/1\n");
}

static void the_first_use_ever_is_no_reason(void **state)
{
    struct world *w = two_machines(state);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    world_expect(w, "link 10: assign 1/1\n");
}

static void not_while_another_is_idle(void **state)
{
    struct world *w = two_machines(state);
    run_some(w);
    greet(w, 12, "warm too", EMP_RESIDENCY_GPU);
    world_quiet(w);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    world_expect(w, "link 12: assign 7/1\n");
}

static void one_machine_at_a_time(void **state)
{
    struct world *w = two_machines(state);
    run_some(w);
    greet(w, 12, "cold too", EMP_RESIDENCY_NONE);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    world_quiet(w);
    world_submit(w, &s); // waits for the warm one, and the spare is on its way
    world_expect(w, "");
}

static void it_is_kept_for_its_time(void **state)
{
    struct world *w = two_machines(state);
    run_some(w);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    copies(w, 11, EMP_RESIDENCY_GPU);
    world_quiet(w);
    pass(w, 300);
    world_expect(w, ""); // five minutes, and what getting it ready may take
    pass(w, 300);
    world_expect(w, "link 11: plan\n");
}

static void who_goes_forgets_it(void **state)
{
    struct world *w = two_machines(state);
    run_some(w);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    world_close(w, 11);
    world_quiet(w);
    greet(w, 11, "cold", EMP_RESIDENCY_NONE);
    world_expect(w, "link 11: welcome to fast-lane\n");
}

static void not_where_it_is_switched_off(void **state)
{
    struct world *w = two_machines(state);
    w->settings.routing.spare_weight = 0;
    run_some(w);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    world_expect(w, "link 10: assign 7/1\n");
}

static void not_in_a_reactive_pool(void **state)
{
    static struct emp_pool pools[8];
    struct world *w = two_machines(state);
    memcpy(pools, w->settings.pools, w->settings.pool_count * sizeof *pools);
    for (uint32_t i = 0; i < w->settings.pool_count; i++)
        pools[i].reactive = true;
    w->settings.pools = pools;
    run_some(w);
    struct emp_job_spec s = with_sdxl();
    world_submit(w, &s);
    world_expect(w, "link 10: assign 7/1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(the_next_job_finds_a_second_machine),
        STORY(the_first_use_ever_is_no_reason),
        STORY(not_while_another_is_idle),
        STORY(one_machine_at_a_time),
        STORY(it_is_kept_for_its_time),
        STORY(who_goes_forgets_it),
        STORY(not_where_it_is_switched_off),
        STORY(not_in_a_reactive_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The broker's plan, carried out in idle time: told as stories. */
#include "story.h"

static struct story with(int64_t disk, int64_t gpu)
{
    return (struct story){.facts = {.slots = 1,
                                    .disk_budget_bytes = disk,
                                    .gpu_budget_bytes = gpu,
                                    .ram_budget_bytes = gpu}};
}

static void planned_models_come_one_by_one_in_their_order(void **state)
{
    (void)state;
    struct story s = with(1000, 0);
    story_begin(&s);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_DISK, "sdxl:600 vae:100 flux:900");
    story_expect(&s, "fetch sdxl 600\nsend copies free 400 sdxl=fetching\n");
    story_fetched(&s, "sdxl");
    story_expect(&s, "fetch vae 100\nsend copies free 300 sdxl=disk vae=fetching\n");
    story_fetched(&s, "vae"); // flux finds no room: what is planned before it stays
    story_expect(&s, "send copies free 300 vae=disk\n");
    story_end(&s);
}

static void a_job_takes_the_link_and_the_plan_goes_on_after_it(void **state)
{
    (void)state;
    struct story s = with(1000, 0);
    story_begin(&s);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_DISK, "sdxl:600");
    story_assign(&s, 1, 1, "vae:100", 0);
    story_expect(&s, "fetch_cancel sdxl\nfetch vae 100\nsend copies free 300 vae=fetching\n");
    story_fetch_failed(&s, "sdxl", EMP_E_CANCELLED, false, 250);
    story_expect(&s, "send copies free 650 sdxl=none\n");
    story_fetched(&s, "vae"); // the link is idle again
    story_expect(&s, "run 1.1 simulation\nfetch sdxl 600 from 250\n"
                     "send copies free 300 vae=disk* sdxl=fetching\n");
    story_end(&s);
}

static void a_job_that_wants_the_planned_model_takes_its_fetch_over(void **state)
{
    (void)state;
    struct story s = with(1000, 0);
    story_begin(&s);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_DISK, "sdxl:600");
    story_assign(&s, 1, 1, "sdxl:600", 0);
    story_expect(&s, "");
    story_plan(&s, EMP_RESIDENCY_DISK, ""); // it is the job's now
    story_expect(&s, "");
    story_fetched(&s, "sdxl");
    story_expect(&s, "run 1.1 simulation\nsend copies free 400 sdxl=disk*\n");
    story_end(&s);
}

static void a_new_plan_gives_up_what_it_no_longer_names(void **state)
{
    (void)state;
    struct story s = with(1000, 0);
    story_begin(&s);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_DISK, "sdxl:600 vae:100");
    story_plan(&s, EMP_RESIDENCY_DISK, "vae:100");
    story_expect(&s, "fetch_cancel sdxl\n");
    story_fetch_failed(&s, "sdxl", EMP_E_CANCELLED, false, 0);
    story_expect(&s, "fetch vae 100\nsend copies free 900 sdxl=none vae=fetching\n");
    story_end(&s);
}

static void only_what_is_worth_less_makes_room(void **state)
{
    (void)state;
    struct story s = with(1000, 0);
    story_begin(&s);
    story_found(&s, "old", 500, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "dear:400", 0);
    story_fetched(&s, "dear"); // in use, and used of late
    story_plan(&s, EMP_RESIDENCY_DISK, "sdxl:600");
    story_expect(&s, "delete old\nsend copies free 0 old=none sdxl=fetching\n");
    story_deleted(&s, "old", 0);
    story_expect(&s, "fetch sdxl 600\n");
    story_end(&s);
}

static void a_failed_fetch_is_left_alone_for_a_minute(void **state)
{
    (void)state;
    struct story s = with(1000, 0);
    story_begin(&s);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_DISK, "sdxl:600");
    story_fetch_failed(&s, "sdxl", EMP_E_NET, false, 100);
    story_expect(&s, "send copies free 900 sdxl=none\n");
    story_pass(&s, 59999);
    assert_null(strstr(s.trace.data, "fetch sdxl"));
    assert_int_equal(emp_machine_next_due(s.machine), s.now.mono + 1);
    story_pass(&s, 1);
    assert_non_null(strstr(s.trace.data, "fetch sdxl 600 from 100"));
    story_end(&s);
}

static void without_a_link_nothing_new_is_begun(void **state)
{
    (void)state;
    struct story s = with(1000, 0);
    story_begin(&s);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_DISK, "sdxl:600 vae:100");
    story_link(&s, false);
    story_fetched(&s, "sdxl");
    story_expect(&s, "");
    story_end(&s);
}

static void an_idle_machine_loads_what_is_planned_in_memory(void **state)
{
    (void)state;
    struct story s = with(2000, 1000);
    story_begin(&s);
    story_found(&s, "sdxl", 600, 0);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_GPU, "sdxl:600 vae:300 flux:500");
    story_expect(&s, "load sdxl gpu\nfetch vae 300\nsend copies free 1100 vae=fetching\n");
    story_loaded(&s, "sdxl", 0);
    story_expect(&s, "send copies free 1100 sdxl=gpu\n");
    story_fetched(&s, "vae");
    story_expect(&s, "load vae gpu\nfetch flux 500\n"
                     "send copies free 600 vae=disk flux=fetching\n");
    story_loaded(&s, "vae", 0);
    story_fetched(&s, "flux"); // does not fit beside those before it
    story_expect(&s, "send copies free 600 flux=disk\n");
    story_end(&s);
}

static void a_run_waits_for_its_own_model_and_ends_the_load_of_another(void **state)
{
    (void)state;
    struct story s = with(2000, 1000);
    story_begin(&s);
    story_found(&s, "sdxl", 600, 0);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_GPU, "sdxl:600");
    story_assign(&s, 1, 1, "sdxl:600", 0);
    story_expect(&s, "");
    story_loaded(&s, "sdxl", 0);
    story_expect(&s, "run 1.1 simulation\nsend copies free 1400 sdxl=gpu*\n");
    story_started(&s, 1, 1, true);
    story_done(&s, 1, 1);
    story_plan(&s, EMP_RESIDENCY_GPU, "vae:100");
    story_fetched(&s, "vae");
    story_expect(&s, "load vae gpu\nsend copies free 1300 vae=disk\n");
    story_assign(&s, 2, 1, "sdxl:600", 0);
    story_expect(&s, "load_cancel vae\n");
    story_loaded(&s, "vae", EMP_E_CANCELLED);
    story_expect(&s, "run 2.1 simulation\n");
    story_end(&s);
}

static void what_is_planned_in_memory_is_the_last_to_leave_it(void **state)
{
    (void)state;
    struct story s = with(2000, 1000);
    story_begin(&s);
    story_found(&s, "sdxl", 600, 0);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_GPU, "sdxl:600");
    story_loaded(&s, "sdxl", 0);
    story_assign(&s, 1, 1, "other:300", 0);
    story_fetched(&s, "other");
    story_started(&s, 1, 1, true);
    story_done(&s, 1, 1);
    story_assign(&s, 2, 1, "third:300", 0);
    story_fetched(&s, "third");
    story_started(&s, 2, 1, true); // `other` was used later than `sdxl`
    story_expect(&s, "send started 2.1 fetched 300 in 0 ms\n"
                     "send copies free 800 third=gpu* other=disk\n");
    story_end(&s);
}

static void a_load_without_an_answer_holds_nobody_up_for_ever(void **state)
{
    (void)state;
    struct story s = with(2000, 1000);
    story_begin(&s);
    story_found(&s, "sdxl", 600, 0);
    story_link(&s, true);
    story_plan(&s, EMP_RESIDENCY_GPU, "sdxl:600");
    story_assign(&s, 1, 1, "", 0);
    story_expect(&s, "load_cancel sdxl\n");
    story_pass(&s, 20000);
    story_expect(&s, "run 1.1 simulation\n");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planned_models_come_one_by_one_in_their_order),
        cmocka_unit_test(a_job_takes_the_link_and_the_plan_goes_on_after_it),
        cmocka_unit_test(a_job_that_wants_the_planned_model_takes_its_fetch_over),
        cmocka_unit_test(a_new_plan_gives_up_what_it_no_longer_names),
        cmocka_unit_test(only_what_is_worth_less_makes_room),
        cmocka_unit_test(a_failed_fetch_is_left_alone_for_a_minute),
        cmocka_unit_test(without_a_link_nothing_new_is_begun),
        cmocka_unit_test(an_idle_machine_loads_what_is_planned_in_memory),
        cmocka_unit_test(a_run_waits_for_its_own_model_and_ends_the_load_of_another),
        cmocka_unit_test(what_is_planned_in_memory_is_the_last_to_leave_it),
        cmocka_unit_test(a_load_without_an_answer_holds_nobody_up_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Models on the disk: one fetch for all, room, eviction, faults, residency: told as stories. */
#include "story.h"

static struct story with(uint32_t slots, int64_t budget)
{
    return (struct story){.facts = {.slots = slots, .disk_budget_bytes = budget}};
}

static void one_fetch_however_many_want_it(void **state)
{
    (void)state;
    struct story s = with(3, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "sdxl:600", 0);
    story_expect(&s, "fetch sdxl 600\nsend copies free 400 sdxl=fetching\n");
    story_assign(&s, 2, 1, "sdxl:600 vae:100", 0);
    story_expect(&s, "fetch vae 100\nsend copies free 300 vae=fetching\n");
    story_pass(&s, 700);
    story_fetched(&s, "sdxl");
    story_expect(&s, "run 1.1 simulation\nsend copies free 300 sdxl=disk*\n");
    story_assign(&s, 3, 1, "sdxl:600", 0);
    story_expect(&s, "run 3.1 simulation\n");
    story_started(&s, 1, 1, false);
    story_expect(&s, "send started 1.1 fetched 600 in 700 ms\n");
    story_started(&s, 3, 1, false);
    story_expect(&s, "send started 3.1 fetched 0 in 0 ms\n");
    story_fetched(&s, "vae");
    story_expect(&s, "run 2.1 simulation\nsend copies free 300 vae=disk*\n");
    story_end(&s);
}

static void a_model_named_twice_counts_once(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "sdxl:600 sdxl:600", 0);
    story_fetched(&s, "sdxl");
    story_expect(&s, "run 1.1 simulation\nsend copies free 400 sdxl=disk*\n");
    story_end(&s);
}

static void the_disk_makes_room_by_what_is_worth_least(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_found(&s, "often", 400, 0);
    story_found(&s, "never", 400, 0);
    story_link(&s, true);
    story_expect(&s, "send hello slots 1 free 200 often=disk never=disk\n");
    story_assign(&s, 1, 1, "often:400", 0);
    story_done(&s, 1, 1);
    story_assign(&s, 2, 1, "new:500", 0);
    story_expect(
        &s, "delete never\nsend copies free 100 never=none new=fetching\n"); // room is promised,
                                                                             // not yet there
    story_deleted(&s, "never", 0);
    story_expect(&s, "fetch new 500\n");
    story_fetched(&s, "new");
    story_expect(&s, "run 2.1 simulation\nsend copies free 100 new=disk*\n");
    story_end(&s);
}

static void what_the_broker_calls_worthy_stays(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_found(&s, "often", 400, 0);
    story_found(&s, "never", 400, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "often:400", 0);
    story_done(&s, 1, 1);
    struct emp_worth worths[] = {
        {EMP_STR("never"), 500.0, false}, {EMP_STR("often"), 0.1, false}, {EMP_STR("?"), 1, true}};
    struct emp_message worth = {.kind = EMP_MESSAGE_WORTH, .worth = {worths, 3}};
    story_step(&s,
               &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_MESSAGE, .message = &worth});
    story_assign(&s, 2, 1, "new:500", 0);
    story_expect(&s, "delete often\nsend copies free 100 often=none new=fetching\n");
    story_end(&s);
}

static void what_is_in_use_or_pinned_is_never_evicted(void **state)
{
    (void)state;
    struct story s = with(2, 1000);
    story_begin(&s);
    story_found(&s, "used", 600, 0);
    story_found(&s, "fixed", 300, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "used:600", 0);
    story_expect(&s, "run 1.1 simulation\n");
    story_assign(&s, 2, 1, "fixed^:300", 0);
    story_done(&s, 2, 1);
    story_assign(&s, 3, 1, "new:300", 0);
    story_expect(&s, ""); // waits for `used`
    story_done(&s, 1, 1);
    story_expect(
        &s, "send completed 1.1 {}\ndelete used\nsend copies free 400 used=none new=fetching\n");
    story_end(&s);
}

static void a_job_that_can_never_fit_goes_elsewhere(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:600 b:500", 0);
    story_expect(&s, "send returned 1.1 disk_full machine: the job's models take 1100 bytes; this "
                     "machine keeps 1000 bytes "
                     "for models, of which 0 are pinned\n");
    story_end(&s);
}

static void waiting_for_room_has_a_bound(void **state)
{
    (void)state;
    struct story s = with(2, 1000);
    story_begin(&s);
    story_found(&s, "used", 600, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "used:600", 0);
    story_assign(&s, 2, 1, "new:500", 0);
    story_expect(&s, "");
    story_pass(&s, 59999);
    story_expect(&s, "");
    story_pass(&s, 1);
    story_expect(&s, "send returned 2.1 disk_full machine: no room for the job's models within "
                     "60000 ms: the 1000 bytes "
                     "kept for models are in use by other jobs\nsend beat free 400 left 0\n");
    story_end(&s);
}

static void two_jobs_that_want_all_room_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct story s = with(2, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:500 b:500", 0);
    story_expect(&s, "fetch a 500\nfetch b 500\nsend copies free 0 a=fetching b=fetching\n");
    story_assign(&s, 2, 1, "c:500 d:500", 0);
    story_expect(&s, "");
    story_fetched(&s, "a");
    story_fetched(&s, "b");
    story_done(&s, 1, 1);
    story_expect(&s, "send completed 1.1 {}\ndelete a\ndelete b\n"
                     "send copies free 0 a=none b=none c=fetching d=fetching\n");
    story_deleted(&s, "a", 0);
    story_expect(&s, "fetch c 500\n");
    story_deleted(&s, "b", 0);
    story_expect(&s, "fetch d 500\n");
    story_end(&s);
}

static void a_fetch_nobody_wants_any_more_is_cancelled(void **state)
{
    (void)state;
    struct story s = with(3, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:600", 0);
    story_assign(&s, 2, 1, "a:600", 0);
    story_cancel(&s, 1, 1);
    story_expect(&s, "forget 1.1\n"); // job 2 still wants it
    story_cancel(&s, 2, 1);
    story_expect(&s, "fetch_cancel a\nforget 2.1\n");
    story_assign(&s, 3, 1, "a:600", 0); // too late to take it back: waits, then resumes
    story_expect(&s, "");
    story_fetch_failed(&s, "a", EMP_E_CANCELLED, false, 200);
    story_expect(&s, "fetch a 600 from 200\n");
    story_end(&s);
}

static void an_origin_that_fails_is_told_to_all_who_waited(void **state)
{
    (void)state;
    struct story s = with(3, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:600", 0);
    story_assign(&s, 2, 1, "a:600 b:100", 0);
    story_fetch_failed(&s, "a", EMP_E_HASH, false, 0);
    story_expect(&s, "send failed 1.1 hash_mismatch: it broke\n"
                     "fetch_cancel b\n"
                     "send failed 2.1 hash_mismatch: it broke\n"
                     "send copies free 900 a=none\n");
    story_end(&s);
}

static void a_disk_that_fails_hands_the_job_back(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:600", 0);
    story_fetch_failed(&s, "a", EMP_E_DISK_FULL, true, 0);
    story_expect(&s,
                 "send returned 1.1 disk_full machine: it broke\nsend copies free 1000 a=none\n");
    story_end(&s);
}

static void a_model_without_url_can_only_be_found(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_found(&s, "baked", 100, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "baked!:100", 0);
    story_expect(&s, "run 1.1 simulation\n");
    story_done(&s, 1, 1);
    story_assign(&s, 2, 1, "other!:100", 0);
    story_expect(&s, "send returned 2.1 not_found machine: model \"other\" is not on this machine, "
                     "and the catalogue has no "
                     "URL to fetch it from\n");
    story_end(&s);
}

static void half_files_are_resumed_or_go_first(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_found(&s, "half", 600, 250);
    story_found(&s, "whole", 500, 0);
    story_link(&s, true);
    story_expect(&s, "send hello slots 1 free 250 whole=disk\n");
    story_assign(&s, 1, 1, "new:400", 0);
    story_expect(&s, "delete half half\nsend copies free 100 new=fetching\n");
    story_deleted(&s, "half", 0);
    story_fetched(&s, "new");
    story_end(&s);

    s = with(1, 1000);
    story_begin(&s);
    story_found(&s, "half", 600, 250);
    story_link(&s, true);
    story_assign(&s, 1, 1, "half:600", 0);
    story_expect(&s, "fetch half 600 from 250\nsend copies free 400 half=fetching\n");
    story_fetched(&s, "half");
    story_started(&s, 1, 1, false);
    story_expect(&s, "send started 1.1 fetched 350 in 0 ms\n");
    story_end(&s);
}

static void changed_content_is_fetched_anew_when_nobody_uses_the_old(void **state)
{
    (void)state;
    struct story s = with(2, 1000);
    story_begin(&s);
    story_found(&s, "a", 300, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:300", 0);
    story_assign(&s, 2, 1, "a:350", 0);
    story_expect(&s, "");
    story_done(&s, 1, 1);
    story_expect(&s, "delete a\nsend completed 1.1 {}\nsend copies free 1000 a=none\n");
    story_deleted(&s, "a", 0);
    story_expect(&s, "fetch a 350\nsend copies free 650 a=fetching\n");
    story_end(&s);
}

static void a_deletion_that_fails_breaks_only_what_relied_on_it(void **state)
{
    (void)state;
    struct story s = with(2, 1000);
    story_begin(&s);
    story_found(&s, "old", 600, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:300", 0);
    story_expect(&s, "fetch a 300\nsend copies free 100 a=fetching\n");
    story_assign(&s, 2, 1, "b:500", 0);
    story_expect(&s, "delete old\nsend copies free 200 old=none b=fetching\n");
    story_deleted(&s, "old", EMP_E_IO);
    story_expect(&s, "send returned 2.1 io machine: a model that had to make room could not be "
                     "deleted from this machine's "
                     "disk\nsend copies free 100 old=disk b=none\n");
    story_end(&s);
}

static void more_found_than_the_budget_allows_is_trimmed(void **state)
{
    (void)state;
    struct story s = with(1, 500);
    story_begin(&s);
    story_found(&s, "a", 600, 0);
    story_expect(&s, "delete a\n");
    story_end(&s);
}

static void models_stay_in_gpu_memory_where_the_connector_keeps_them(void **state)
{
    (void)state;
    struct story s = with(1, 10000);
    s.facts.gpu_budget_bytes = 1000;
    story_begin(&s);
    story_found(&s, "a", 600, 0);
    story_found(&s, "b", 300, 0);
    story_found(&s, "c", 500, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:600", 0);
    story_started(&s, 1, 1, true);
    story_expect(&s, "send started 1.1 fetched 0 in 0 ms\nsend copies free 8600 a=gpu*\n");
    story_done(&s, 1, 1);
    story_assign(&s, 2, 1, "b:300", 0);
    story_started(&s, 2, 1, true);
    story_expect(&s, "send started 2.1 fetched 0 in 0 ms\nsend copies free 8600 b=gpu*\n");
    story_done(&s, 2, 1);
    story_assign(&s, 3, 1, "c:500", 0);
    story_started(&s, 3, 1, true);
    story_expect(&s, "send started 3.1 fetched 0 in 0 ms\nsend copies free 8600 c=gpu* a=disk\n");
    story_end(&s);
}

static void what_leaves_gpu_memory_stays_in_ram_for_a_while(void **state)
{
    (void)state;
    struct story s = with(1, 10000);
    s.facts.gpu_budget_bytes = 1000;
    s.facts.ram_budget_bytes = 1500;
    story_begin(&s);
    story_found(&s, "a", 600, 0);
    story_found(&s, "b", 700, 0);
    story_found(&s, "c", 500, 0);
    story_found(&s, "d", 1600, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:600", 0);
    assert_int_equal(emp_machine_residency(s.machine, EMP_STR("a")), EMP_RESIDENCY_DISK);
    story_started(&s, 1, 1, true);
    story_done(&s, 1, 1);
    story_assign(&s, 2, 1, "b:700", 0);
    story_started(&s, 2, 1, true);
    story_expect(&s, "send started 2.1 fetched 0 in 0 ms\nsend copies free 6600 b=gpu* a=ram\n");
    story_done(&s, 2, 1);
    story_assign(&s, 3, 1, "c:500", 0);
    story_started(&s, 3, 1, true); // RAM holds b and c; a was used before them
    story_expect(&s,
                 "send started 3.1 fetched 0 in 0 ms\nsend copies free 6600 c=gpu* b=ram a=disk\n");
    story_done(&s, 3, 1);
    story_assign(&s, 4, 1, "d:1600", 0);
    story_started(&s, 4, 1, true); // larger than either: it runs, and pushes nothing out of RAM
    story_expect(&s, "send started 4.1 fetched 0 in 0 ms\nsend copies free 6600 d=gpu* c=ram\n");
    assert_int_equal(emp_machine_residency(s.machine, EMP_STR("b")), EMP_RESIDENCY_RAM);
    story_end(&s);
}

static void fetches_at_once_are_limited_and_keep_their_order(void **state)
{
    (void)state;
    struct story s = with(4, 1000);
    s.settings.fetches_max = 2;
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:100 b:100 c:100", 0);
    story_expect(
        &s, "fetch a 100\nfetch b 100\nsend copies free 700 a=fetching b=fetching c=fetching\n");
    story_assign(&s, 2, 1, "d:100", 0);
    story_fetched(&s, "b");
    story_expect(&s, "fetch c 100\nsend copies free 600 b=disk\n");
    story_end(&s);
}

static void an_assignment_without_size_is_handed_back(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "a:100 b", 0);
    story_expect(&s,
                 "send returned 1.1 protocol: model \"b\" was assigned without its size or path\n");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fetch_however_many_want_it),
        cmocka_unit_test(a_model_named_twice_counts_once),
        cmocka_unit_test(the_disk_makes_room_by_what_is_worth_least),
        cmocka_unit_test(what_the_broker_calls_worthy_stays),
        cmocka_unit_test(what_is_in_use_or_pinned_is_never_evicted),
        cmocka_unit_test(a_job_that_can_never_fit_goes_elsewhere),
        cmocka_unit_test(waiting_for_room_has_a_bound),
        cmocka_unit_test(two_jobs_that_want_all_room_do_not_wait_for_each_other),
        cmocka_unit_test(a_fetch_nobody_wants_any_more_is_cancelled),
        cmocka_unit_test(an_origin_that_fails_is_told_to_all_who_waited),
        cmocka_unit_test(a_disk_that_fails_hands_the_job_back),
        cmocka_unit_test(a_model_without_url_can_only_be_found),
        cmocka_unit_test(half_files_are_resumed_or_go_first),
        cmocka_unit_test(changed_content_is_fetched_anew_when_nobody_uses_the_old),
        cmocka_unit_test(a_deletion_that_fails_breaks_only_what_relied_on_it),
        cmocka_unit_test(more_found_than_the_budget_allows_is_trimmed),
        cmocka_unit_test(models_stay_in_gpu_memory_where_the_connector_keeps_them),
        cmocka_unit_test(what_leaves_gpu_memory_stays_in_ram_for_a_while),
        cmocka_unit_test(fetches_at_once_are_limited_and_keep_their_order),
        cmocka_unit_test(an_assignment_without_size_is_handed_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

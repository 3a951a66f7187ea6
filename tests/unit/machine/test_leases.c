/* Leases, slots, reports, the link, leaving: told as stories. */
#include "story.h"

static struct story with(uint32_t slots, int64_t budget)
{
    return (struct story){.facts = {.slots = slots, .disk_budget_bytes = budget}};
}

static void a_job_runs_and_is_forgotten_when_acknowledged(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_expect(&s, "send hello slots 1 free 1000\n");
    story_assign(&s, 7, 1, "", 0);
    story_expect(&s, "run 7.1 simulation\n");
    story_started(&s, 7, 1, false);
    story_expect(&s, "send started 7.1 fetched 0 in 0 ms\n");
    story_done(&s, 7, 1);
    story_expect(&s, "send completed 7.1 {}\n");
    story_ack(&s, 7, 1);
    story_expect(&s, "forget 7.1\n");
    story_ack(&s, 7, 1);
    story_expect(&s, "");
    story_end(&s);
}

static void slots_are_never_oversubscribed(void **state)
{
    (void)state;
    struct story s = with(2, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_assign(&s, 2, 1, "", 0);
    story_expect(&s, "run 2.1 simulation\n");
    story_assign(&s, 3, 1, "", 0);
    story_expect(&s, "send returned 3.1 again: all 2 slots of this machine are taken\n");
    story_assign(&s, 3, 1, "", 0); // a repetition of the ASSIGN repeats the answer, no more
    story_expect(&s, "send returned 3.1 again: all 2 slots of this machine are taken\n");
    story_ack(&s, 3, 1);
    story_expect(&s, "forget 3.1\n");
    story_done(&s, 1, 1);
    story_assign(&s, 4, 1, "", 0);
    story_expect(&s, "run 4.1 simulation\n");
    story_end(&s);
}

static void a_cancelled_run_frees_its_slot_only_when_it_has_stopped(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_cancel(&s, 1, 1);
    story_expect(&s, "stop 1.1 cancelled\n");
    story_assign(&s, 2, 1, "", 0); // the broker counts the slot as free: accepted, but not yet run
    story_expect(&s, "");
    story_run_failed(&s, 1, 1, EMP_E_CANCELLED, false, false);
    story_expect(&s, "forget 1.1\nrun 2.1 simulation\n");
    story_end(&s);
}

static void a_cancelled_run_that_completes_anyway_is_not_reported(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_cancel(&s, 1, 1);
    story_done(&s, 1, 1);
    story_expect(&s, "forget 1.1\n");
    story_end(&s);
}

static void what_is_not_held_is_ignored(void **state)
{
    (void)state;
    struct story s = with(2, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 3, "", 0);
    story_assign(&s, 1, 3, "", 0);
    story_expect(&s, "");
    story_assign(&s, 1, 2, "", 0);
    story_expect(&s, "");
    story_cancel(&s, 1, 2);
    story_expect(&s, "");
    story_cancel(&s, 9, 1);
    story_expect(&s, "");
    story_ack(&s, 1, 3); // runs: there is nothing to acknowledge
    story_expect(&s, "");
    story_done(&s, 1, 2);
    story_expect(&s, "");
    story_end(&s);
}

static void a_newer_attempt_replaces_the_older_one(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_assign(&s, 1, 2, "", 0);
    story_expect(&s, "stop 1.1 cancelled\n");
    story_done(&s, 1, 1);
    story_expect(&s, "forget 1.1\nrun 1.2 simulation\n");
    story_done(&s, 1, 2);
    story_expect(&s, "send completed 1.2 {}\n");
    story_end(&s);
}

static void reports_are_kept_and_repeated_until_acknowledged(void **state)
{
    (void)state;
    struct story s = with(3, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_assign(&s, 2, 1, "", 0);
    story_assign(&s, 3, 1, "", 0);
    story_started(&s, 2, 1, false);
    story_link(&s, false);
    story_done(&s, 1, 1);
    story_expect(&s, ""); // nobody to tell
    story_run_failed(&s, 3, 1, EMP_E_JOB_REJECTED, false, false);
    story_pass(&s, 3600 * 1000);
    story_expect(&s, "");
    story_link(&s, true);
    story_expect(
        &s, "send hello slots 3 free 1000 held 2.1 started held 1.1 finished held 3.1 finished\n"
            "send completed 1.1 {}\n"
            "send failed 3.1 job_rejected final: boom\n");
    story_ack(&s, 1, 1);
    story_link(&s, false);
    story_link(&s, true);
    story_expect(&s, "send hello slots 3 free 1000 held 2.1 started held 3.1 finished\n"
                     "send failed 3.1 job_rejected final: boom\n");
    story_end(&s);
}

static void the_run_limit_counts_from_the_start_and_stops_it(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 5000);
    story_pass(&s, 4000);
    story_started(&s, 1, 1, false);
    story_pass(&s, 4999);
    story_expect(&s, "");
    story_pass(&s, 1);
    story_expect(&s, "stop 1.1 timeout\n");
    story_run_failed(&s, 1, 1, EMP_E_CANCELLED, false, false);
    story_expect(
        &s, "send failed 1.1 timeout: it ran longer than its limit of 5.000 s and was stopped\n");
    story_end(&s);
}

static void storing_outputs_has_no_run_limit(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 5000);
    story_started(&s, 1, 1, false);
    story_step(&s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_RUN_STORING,
                                               .run_storing = {.job = 1, .attempt = 1}});
    story_pass(&s, 50000);
    story_expect(&s, "");
    story_done(&s, 1, 1);
    story_expect(&s, "send completed 1.1 {}\n");
    story_end(&s);
}

static void a_stop_without_effect_calls_the_watchdog(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_cancel(&s, 1, 1);
    assert_int_equal(emp_machine_next_due(s.machine), s.now.mono + 20000);
    story_pass(&s, 20000);
    story_expect(&s, "watchdog 1.1\n");
    story_run_failed(&s, 1, 1, EMP_E_INTERNAL, true, true);
    story_expect(&s, "forget 1.1\n");
    story_end(&s);
}

static void who_is_to_blame_decides_the_report(void **state)
{
    (void)state;
    struct story s = with(3, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_assign(&s, 2, 1, "", 0);
    story_assign(&s, 3, 1, "", 0);
    story_run_failed(&s, 1, 1, EMP_E_UNKNOWN_SERVICE, false, true); // the machine, before it began
    story_expect(&s, "send returned 1.1 unknown_service machine: boom\n");
    story_started(&s, 2, 1, false);
    story_run_failed(&s, 2, 1, EMP_E_IO, false, true); // the machine, during the run
    story_expect(&s, "send failed 2.1 io machine: boom\n");
    story_started(&s, 3, 1, false);
    story_run_failed(&s, 3, 1, EMP_E_JOB_FAILED, true, false); // the job
    story_expect(&s, "send failed 3.1 job_failed: boom\n");
    story_end(&s);
}

static void progress_is_thinned_out(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    struct emp_machine_event e = {
        .kind = EMP_MACHINE_EVENT_RUN_PROGRESS,
        .run_progress = {.job = 1, .attempt = 1, .percent = 10, .text = EMP_STR("step 1")}};
    story_step(&s, &e);
    story_expect(&s, "send progress 1.1 10% step 1\n");
    story_pass(&s, 99);
    story_step(&s, &e);
    story_expect(&s, "");
    story_pass(&s, 1);
    e.run_progress.percent = 1e9;
    story_step(&s, &e);
    story_expect(&s, "send progress 1.1 100% step 1\n");
    story_end(&s);
}

static void it_beats_once_it_is_welcome(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    assert_int_equal(emp_machine_next_due(s.machine), EMP_NEVER);
    story_link(&s, true);
    assert_int_equal(emp_machine_next_due(s.machine), s.now.mono + 60000);
    story_pass(&s, 60000);
    story_expect(&s, "send beat free 1000 left 0\n");
    story_link(&s, false);
    assert_int_equal(emp_machine_next_due(s.machine), EMP_NEVER);
    story_end(&s);
}

static void refused_for_good_it_exits_with_the_reason(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_step(&s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_LINK_UP});
    struct emp_message no = {
        .kind = EMP_MESSAGE_REFUSED,
        .refused = {.code = EMP_E_PROTOCOL, .reason = EMP_STR("version 2 only")}};
    story_step(&s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_MESSAGE, .message = &no});
    story_expect(&s, "exit protocol: version 2 only\n");
    story_end(&s);
}

static void refused_for_now_it_comes_again(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    struct emp_message no = {.kind = EMP_MESSAGE_REFUSED,
                             .refused = {.code = EMP_E_UNAVAILABLE, .retry = true}};
    story_step(&s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_MESSAGE, .message = &no});
    story_expect(&s, "reconnect the broker refused, for now\n");
    story_end(&s);
}

static void leaving_stops_what_runs_and_hands_everything_back(void **state)
{
    (void)state;
    struct story s = with(3, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_assign(&s, 2, 1, "big:500", 0);
    story_expect(&s, "fetch big 500\nsend copies free 500 big=fetching\n");
    story_shutdown(&s, false);
    story_expect(&s, "send goodbye draining: SIGTERM\n"
                     "fetch_cancel big\n"
                     "send returned 2.1 unavailable: this agent is leaving; the job was handed "
                     "back before it ran\n"
                     "stop 1.1 leaving\n");
    story_run_failed(&s, 1, 1, EMP_E_CANCELLED, false, false);
    story_expect(&s, "send returned 1.1 unavailable: this agent is leaving; the job was stopped "
                     "and handed back\n"
                     "send goodbye leaving: SIGTERM\n");
    story_ack(&s, 1, 1);
    story_expect(&s, "forget 1.1\n");
    story_ack(&s, 2, 1);
    story_expect(&s, "forget 2.1\nexit 0: SIGTERM\n");
    story_end(&s);
}

/* The run that would not stop may still read the old content of a model that was replaced. */
static void leaving_deletes_nothing(void **state)
{
    (void)state;
    struct story s = with(2, 1000);
    story_begin(&s);
    story_found(&s, "sdxl", 100, 0);
    story_link(&s, true);
    story_assign(&s, 1, 1, "sdxl:100", 0);
    story_expect(&s, "run 1.1 simulation\n");
    story_assign(&s, 2, 1, "sdxl:200", 0); /* waits until the old one is used no more */
    story_shutdown(&s, false);
    story_pass(&s, 3000);
    story_expect(&s, "send returned 1.1 unavailable: this agent is leaving; the job was stopped "
                     "and handed back\n"
                     "send goodbye leaving: SIGTERM\n"
                     "exit 0: SIGTERM\n");
    story_end(&s);
}

static void leaving_has_a_bound(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_shutdown(&s, false);
    story_pass(&s, 2999);
    story_expect(&s, "");
    story_pass(&s, 1);
    story_expect(&s, "send returned 1.1 unavailable: this agent is leaving; the job was stopped "
                     "and handed back\n"
                     "send goodbye leaving: SIGTERM\n"
                     "exit 0: SIGTERM\n");
    story_pass(&s, 1);
    story_expect(&s, "");
    assert_int_equal(emp_machine_next_due(s.machine), EMP_NEVER);
    story_end(&s);
}

static void another_signal_is_obeyed_faster(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_shutdown(&s, true);
    story_expect(&s, "send goodbye draining: SIGTERM\n");
    story_shutdown(&s, true);
    story_expect(&s, "stop 1.1 leaving\n");
    story_shutdown(&s, true);
    story_expect(&s, "send goodbye leaving: SIGTERM\nexit 0: SIGTERM\n");
    story_end(&s);
}

static void a_signal_to_a_machine_that_drains_loses_nothing(void **state)
{
    (void)state;
    struct emp_message told = {.kind = EMP_MESSAGE_DRAIN, .drain = {.reason = EMP_STR("operator")}};
    for (int drain = 0; drain < 2; drain++) {
        struct story s = with(1, 1000);
        story_begin(&s);
        story_link(&s, true);
        story_assign(&s, 1, 1, "", 0);
        story_step(
            &s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_MESSAGE, .message = &told});
        story_expect(&s, "send goodbye draining: operator\n");
        story_shutdown(&s, drain);
        story_expect(&s, drain ? "" : "stop 1.1 leaving\n");
        story_end(&s);
    }
}

static void draining_finishes_first_and_takes_nothing_new(void **state)
{
    (void)state;
    struct story s = with(2, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    struct emp_message drain = {.kind = EMP_MESSAGE_DRAIN,
                                .drain = {.reason = EMP_STR("operator")}};
    story_step(&s,
               &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_MESSAGE, .message = &drain});
    story_expect(&s, "send goodbye draining: operator\n");
    story_assign(&s, 2, 1, "", 0);
    story_expect(
        &s, "send returned 2.1 unavailable: this agent is about to leave and takes nothing new\n");
    story_ack(&s, 2, 1);
    story_link(&s, false);
    story_done(&s, 1, 1);
    story_expect(&s, ""); // the result waits for its broker
    story_pass(&s, 3600 * 1000);
    story_expect(&s, "");
    story_link(&s, true);
    story_expect(
        &s, "send hello slots 2 free 1000 held 1.1 finished draining\nsend completed 1.1 {}\n");
    story_ack(&s, 1, 1);
    story_expect(&s, "forget 1.1\nsend goodbye leaving: operator\nexit 0: operator\n");
    story_end(&s);
}

static void a_drain_that_takes_too_long_hands_back(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    s.settings.drain_ms = 10000;
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    story_shutdown(&s, true);
    story_pass(&s, 10000);
    story_expect(&s, "stop 1.1 leaving\n");
    story_end(&s);
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    struct story s = with(1, 1000);
    story_begin(&s);
    story_link(&s, true);
    story_assign(&s, 1, 1, "", 0);
    static char text[EMP_ERROR_REPORT_MAX + 10];
    memset(text, 'x', sizeof text);
    memcpy(text + EMP_ERROR_REPORT_MAX - 1, "\xc3\xa4", 2); // ä across the limit
    story_step(&s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_RUN_DONE,
                                               .run_done = {.job = 1,
                                                            .attempt = 1,
                                                            .code = EMP_E_JOB_FAILED,
                                                            .text = {text, sizeof text}}});
    const char *start = strstr(s.trace.data, ": ") + 2;
    assert_int_equal(strlen(start), EMP_ERROR_REPORT_MAX - 1 + 1 /* newline */);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_runs_and_is_forgotten_when_acknowledged),
        cmocka_unit_test(slots_are_never_oversubscribed),
        cmocka_unit_test(a_cancelled_run_frees_its_slot_only_when_it_has_stopped),
        cmocka_unit_test(a_cancelled_run_that_completes_anyway_is_not_reported),
        cmocka_unit_test(what_is_not_held_is_ignored),
        cmocka_unit_test(a_newer_attempt_replaces_the_older_one),
        cmocka_unit_test(reports_are_kept_and_repeated_until_acknowledged),
        cmocka_unit_test(the_run_limit_counts_from_the_start_and_stops_it),
        cmocka_unit_test(storing_outputs_has_no_run_limit),
        cmocka_unit_test(a_stop_without_effect_calls_the_watchdog),
        cmocka_unit_test(who_is_to_blame_decides_the_report),
        cmocka_unit_test(progress_is_thinned_out),
        cmocka_unit_test(it_beats_once_it_is_welcome),
        cmocka_unit_test(refused_for_good_it_exits_with_the_reason),
        cmocka_unit_test(refused_for_now_it_comes_again),
        cmocka_unit_test(leaving_stops_what_runs_and_hands_everything_back),
        cmocka_unit_test(leaving_deletes_nothing),
        cmocka_unit_test(leaving_has_a_bound),
        cmocka_unit_test(another_signal_is_obeyed_faster),
        cmocka_unit_test(a_signal_to_a_machine_that_drains_loses_nothing),
        cmocka_unit_test(draining_finishes_first_and_takes_nothing_new),
        cmocka_unit_test(a_drain_that_takes_too_long_hands_back),
        cmocka_unit_test(long_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

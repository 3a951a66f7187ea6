/* What the whole system does in the situations that matter, as its own trace tells it. */
#include "story.h"

#define GB INT64_C(1000000000)

static void a_cold_start_fetches_then_loads_then_computes(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s);
    story_model(&s, "sdxl", 6 * GB);
    story_machine(&s, "standard", 1);
    story_pass(&s, 1000);
    story_quiet(&s);
    story_submit(&s, "sdxl", 20000, 0);
    story_pass(&s, 90000);
    story_expect(&s, "     1.005  broker  job 1 submitted\n"
                     "     1.005  broker  job 1.1 to m0\n"
                     "     1.015  m0      fetches model 1, 6000000000 bytes\n"
                     "    61.015  m0      has model 1\n"
                     "    67.015  m0      computes 1.1 after loading 6.000 s\n"
                     "    67.030  broker  job 1.1 started on m0\n"
                     "    87.015  m0      has done 1.1: ok\n"
                     "    87.030  broker  job 1.1 completed\n");
    story_submit(&s, "sdxl", 20000, 0); /* now it is there */
    story_pass(&s, 60000);
    story_expect(&s, "    91.005  broker  job 2 submitted\n"
                     "    91.005  broker  job 2.1 to m0\n"
                     "    97.015  m0      computes 2.1 after loading 6.000 s\n"
                     "    97.030  broker  job 2.1 started on m0\n"
                     "   117.015  m0      has done 2.1: ok\n"
                     "   117.030  broker  job 2.1 completed\n");
    story_end(&s);
}

static void a_spot_notice_costs_nothing_but_the_time(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s);
    struct emp_sim_agent *spot = story_machine(&s, "standard", 1);
    story_pass(&s, 1000);
    story_submit(&s, "", 60000, 60000);
    story_pass(&s, 10000);
    story_machine(&s, "standard", 1);
    story_pass(&s, 1000);
    story_quiet(&s);
    emp_sim_agent_shutdown(spot, false, "spot notice");
    story_pass(&s, 70000);
    story_expect(&s, "    12.000  m0      is told to leave, drain 0\n"
                     "    12.000  m0      stops 1.1: leaving\n"
                     "    12.100  m0      has done 1.1: cancelled\n"
                     "    12.115  broker  job 1.1 queued again: unavailable\n"
                     "    12.115  broker  job 1.2 to m1\n"
                     "    12.125  m0      exits: ok\n"
                     "    12.125  m1      computes 1.2 after loading 0.000 s\n"
                     "    12.145  broker  job 1.2 started on m1\n"
                     "    72.125  m1      has done 1.2: ok\n"
                     "    72.140  broker  job 1.2 completed\n");
    story_end(&s);
}

static void a_broker_restart_adopts_what_runs(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s);
    story_machine(&s, "standard", 1);
    story_pass(&s, 1000);
    story_submit(&s, "", 30000, 30000);
    story_submit(&s, "", 30000, 30000);
    story_pass(&s, 10000);
    story_quiet(&s);
    emp_sim_broker_crash(s.system.broker, true);
    story_pass(&s, 3000);
    emp_sim_broker_start(s.system.broker);
    story_pass(&s, 60000);
    story_expect(&s, "    11.000  broker  crashes; 0 changes were not committed\n"
                     "    14.000  broker  up, with 2 live jobs\n"
                     "    31.015  m0      has done 1.1: ok\n"
                     "    31.030  broker  job 1.1 completed\n"
                     "    31.030  broker  job 2.1 to m0\n"
                     "    31.040  m0      computes 2.1 after loading 0.000 s\n"
                     "    31.055  broker  job 2.1 started on m0\n"
                     "    61.040  m0      has done 2.1: ok\n"
                     "    61.055  broker  job 2.1 completed\n");
    story_end(&s);
}

static void a_partition_heals_and_the_old_lease_is_void(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s);
    struct emp_sim_agent *far = story_machine(&s, "standard", 1);
    story_pass(&s, 1000);
    story_submit(&s, "", 40000, 40000);
    story_pass(&s, 2000);
    story_machine(&s, "standard", 1);
    story_pass(&s, 2000);
    story_quiet(&s);
    emp_sim_network_cut(&s.system.network, far->index, true, true);
    story_pass(&s, 20000);
    emp_sim_network_heal(&s.system.network, far->index);
    story_pass(&s, 40000);
    story_expect(&s, "     5.000  m0      cut off: up 1, down 1\n"
                     "    12.060  broker  job 1.1 queued again: machine_lost\n"
                     "    12.060  broker  job 1.2 to m1\n"
                     "    12.070  m1      computes 1.2 after loading 0.000 s\n"
                     "    12.085  broker  job 1.2 started on m1\n"
                     "    25.000  m0      reachable again\n"
                     "    25.435  m0      stops 1.1: cancelled\n"
                     "    25.535  m0      has done 1.1: cancelled\n"
                     "    52.070  m1      has done 1.2: ok\n"
                     "    52.085  broker  job 1.2 completed\n");
    story_end(&s);
}

static void a_short_job_does_not_wait_behind_a_video(void **state)
{
    struct story s;
    (void)state;
    story_begin(&s);
    story_machine(&s, "heavy", 1);
    story_machine(&s, "fast-lane", 1);
    story_pass(&s, 1000);
    story_quiet(&s);
    for (int i = 0; i < 2; i++)
        story_submit(&s, "", 600000, 600000);
    story_submit(&s, "", 2000, 2000);
    story_pass(&s, 10000);
    story_expect(&s, "     1.005  broker  job 1 submitted\n"
                     "     1.005  broker  job 1.1 to m0\n"
                     "     1.010  broker  job 2 submitted\n"
                     "     1.010  broker  job 3 submitted\n"
                     "     1.010  broker  job 3.1 to m1\n"
                     "     1.015  m0      computes 1.1 after loading 0.000 s\n"
                     "     1.020  m1      computes 3.1 after loading 0.000 s\n"
                     "     1.030  broker  job 1.1 started on m0\n"
                     "     1.035  broker  job 3.1 started on m1\n"
                     "     3.020  m1      has done 3.1: ok\n"
                     "     3.035  broker  job 3.1 completed\n");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cold_start_fetches_then_loads_then_computes),
        cmocka_unit_test(a_spot_notice_costs_nothing_but_the_time),
        cmocka_unit_test(a_broker_restart_adopts_what_runs),
        cmocka_unit_test(a_partition_heals_and_the_old_lease_is_void),
        cmocka_unit_test(a_short_job_does_not_wait_behind_a_video),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

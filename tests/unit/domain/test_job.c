/* The state table: every move that is allowed, and no other. */
#include "domain/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

static void only_the_moves_of_the_table(void **state)
{
    static const char *const allowed[] = {
        "pending>assigned",      "pending>failed",     "pending>cancelled",
        "assigned>in_progress",  "assigned>pending",   "assigned>completed",
        "assigned>failed",       "assigned>cancelled", "in_progress>pending",
        "in_progress>completed", "in_progress>failed", "in_progress>cancelled",
        "failed>pending",        "cancelled>pending",
    };
    size_t found = 0;
    (void)state;
    for (unsigned from = 0; from < EMP_JOB_STATE_COUNT; from++) {
        for (unsigned to = 0; to < EMP_JOB_STATE_COUNT; to++) {
            char move[64];
            bool known = false;
            snprintf(move, sizeof move, "%s>%s", emp_job_state_word(from), emp_job_state_word(to));
            for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
                known |= strcmp(allowed[i], move) == 0;
            found += known;
            assert_int_equal(emp_job_move_allowed(from, to), known);
        }
    }
    assert_int_equal(found, sizeof allowed / sizeof *allowed);
}

/* A terminal state is left by hand only (retry), never for another terminal one. */
static void terminal_states_end(void **state)
{
    (void)state;
    for (unsigned s = 0; s < EMP_JOB_STATE_COUNT; s++) {
        bool terminal = s == EMP_JOB_COMPLETED || s == EMP_JOB_FAILED || s == EMP_JOB_CANCELLED;
        assert_int_equal(emp_job_state_terminal(s), terminal);
        for (unsigned to = 0; terminal && to < EMP_JOB_STATE_COUNT; to++)
            assert_false(emp_job_move_allowed(s, to) && to != EMP_JOB_PENDING);
    }
    assert_false(emp_job_move_allowed(EMP_JOB_COMPLETED, EMP_JOB_PENDING));
    assert_false(emp_job_state_terminal(EMP_JOB_STATE_COUNT));
}

static void hand_backs_and_losses_are_not_counted(void **state)
{
    (void)state;
    assert_true(emp_outcome_counted(EMP_OUTCOME_FAILED));
    assert_true(emp_outcome_counted(EMP_OUTCOME_REJECTED));
    assert_true(emp_outcome_counted(EMP_OUTCOME_TIMEOUT));
    assert_true(emp_outcome_counted(EMP_OUTCOME_COMPLETED));
    assert_false(emp_outcome_counted(EMP_OUTCOME_RETURNED));
    assert_false(emp_outcome_counted(EMP_OUTCOME_LOST));
    assert_false(emp_outcome_counted(EMP_OUTCOME_CANCELLED));
    assert_false(emp_outcome_counted(EMP_OUTCOME_RUNNING));
    assert_false(emp_outcome_counted(EMP_OUTCOME_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_moves_of_the_table),
        cmocka_unit_test(terminal_states_end),
        cmocka_unit_test(hand_backs_and_losses_are_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

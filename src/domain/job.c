/* The moves of a job, from states.def, as a bit matrix; and what counts against a job's retries. */
#include "domain/job.h"

#define BIT(n) (1u << (n))

static const unsigned terminal_states = 0
#define EMP_JOB_STATE(name, word, terminal) | ((terminal) ? BIT(EMP_JOB_##name) : 0)
#include "domain/states.def"
    ;

struct move {
    enum emp_job_state from, to;
};
static const struct move moves[] = {
#define EMP_JOB_MOVE(from, to) {EMP_JOB_##from, EMP_JOB_##to},
#include "domain/states.def"
};

static const unsigned counted_outcomes = BIT(EMP_OUTCOME_COMPLETED) | BIT(EMP_OUTCOME_FAILED) |
                                         BIT(EMP_OUTCOME_REJECTED) | BIT(EMP_OUTCOME_TIMEOUT);

bool emp_job_state_terminal(enum emp_job_state s)
{
    return (unsigned)s < EMP_JOB_STATE_COUNT && (terminal_states & BIT(s));
}

bool emp_job_move_allowed(enum emp_job_state from, enum emp_job_state to)
{
    for (size_t i = 0; i < sizeof moves / sizeof *moves; i++)
        if (moves[i].from == from && moves[i].to == to)
            return true;
    return false;
}

bool emp_outcome_counted(enum emp_outcome o)
{
    return (unsigned)o < EMP_OUTCOME_COUNT && (counted_outcomes & BIT(o));
}

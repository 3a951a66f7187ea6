/* The words of every enumeration of the domain: one array each, by the enum's numbers, and one way
 * to look a word up. The words are the contract with database, JSON and dashboard; the numbers are
 * not. */
#include "base/error.h"
#include "domain/job.h"
#include "domain/machine.h"
#include "domain/message.h"
#include "domain/model.h"
#include "domain/route.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* The word of number `i`; a number outside of the table is a fault of ours, and shows as such. */
static const char *word_of(const char *const *words, size_t count, unsigned i)
{
    return i < count ? words[i] : "?";
}

/* The number of a word, or `error`. */
static int number_of(const char *const *words, size_t count, struct emp_str word, int error)
{
    for (size_t i = 0; i < count; i++)
        if (emp_str_eq(emp_str_z(words[i]), word))
            return (int)i;
    return error;
}

/* Defines `type NAME_word(enum)` for a table. */
#define WORD_OF(function, type, table)                    \
    const char *function(type v)                          \
    {                                                     \
        return word_of(table, COUNT(table), (unsigned)v); \
    }

/* Defines the way back; *ret is untouched when the word is unknown. */
#define PARSE(function, type, table, error)                  \
    int function(struct emp_str word, type *ret)             \
    {                                                        \
        int n = number_of(table, COUNT(table), word, error); \
        if (n < 0)                                           \
            return n;                                        \
        *ret = (type)n;                                      \
        return 0;                                            \
    }

static const char *const job_states[] = {
#define EMP_JOB_STATE(name, word, terminal) [EMP_JOB_##name] = word,
#include "domain/states.def"
};
_Static_assert(COUNT(job_states) == EMP_JOB_STATE_COUNT, "a word for every state");
WORD_OF(emp_job_state_word, enum emp_job_state, job_states)
PARSE(emp_job_state_parse, enum emp_job_state, job_states, EMP_E_INVALID)

static const char *const tiers[] = {
    [EMP_TIER_FREE] = "free",
    [EMP_TIER_PREMIUM] = "premium",
    [EMP_TIER_ENTERPRISE] = "enterprise",
};
_Static_assert(COUNT(tiers) == EMP_TIER_COUNT, "a word for every tier");
WORD_OF(emp_tier_word, enum emp_tier, tiers)
PARSE(emp_tier_parse, enum emp_tier, tiers, EMP_E_INVALID)

static const char *const outcomes[] = {
    [EMP_OUTCOME_RUNNING] = "running",   [EMP_OUTCOME_COMPLETED] = "completed",
    [EMP_OUTCOME_FAILED] = "failed",     [EMP_OUTCOME_REJECTED] = "rejected",
    [EMP_OUTCOME_TIMEOUT] = "timeout",   [EMP_OUTCOME_LOST] = "lost",
    [EMP_OUTCOME_RETURNED] = "returned", [EMP_OUTCOME_CANCELLED] = "cancelled",
};
_Static_assert(COUNT(outcomes) == EMP_OUTCOME_COUNT, "a word for every outcome");
WORD_OF(emp_outcome_word, enum emp_outcome, outcomes)
PARSE(emp_outcome_parse, enum emp_outcome, outcomes, EMP_E_INVALID)

static const char *const residencies[] = {
    [EMP_RESIDENCY_NONE] = "none", [EMP_RESIDENCY_FETCHING] = "fetching",
    [EMP_RESIDENCY_DISK] = "disk", [EMP_RESIDENCY_RAM] = "ram",
    [EMP_RESIDENCY_GPU] = "gpu",
};
_Static_assert(COUNT(residencies) == EMP_RESIDENCY_COUNT, "a word for every residency");
WORD_OF(emp_residency_word, enum emp_residency, residencies)
PARSE(emp_residency_parse, enum emp_residency, residencies, EMP_E_INVALID)

static const char *const machine_states[] = {
    [EMP_MACHINE_CONNECTED] = "connected",
    [EMP_MACHINE_AWAY] = "away",
    [EMP_MACHINE_DRAINING] = "draining",
    [EMP_MACHINE_QUARANTINED] = "quarantined",
};
_Static_assert(COUNT(machine_states) == EMP_MACHINE_STATE_COUNT, "a word for every state");
WORD_OF(emp_machine_state_word, enum emp_machine_state, machine_states)

static const char *const isolations[] = {
    [EMP_ISOLATION_NONE] = "none",
    [EMP_ISOLATION_LOOSE] = "loose",
    [EMP_ISOLATION_STRICT] = "strict",
};
WORD_OF(emp_isolation_word, enum emp_isolation, isolations)
PARSE(emp_isolation_parse, enum emp_isolation, isolations, EMP_E_INVALID)

static const char *const fallbacks[] = {
    [EMP_FALLBACK_NONE] = "none",
    [EMP_FALLBACK_FETCH] = "fetch",
    [EMP_FALLBACK_OTHER_POOL] = "other_pool",
    [EMP_FALLBACK_EMERGENCY] = "emergency",
};
_Static_assert(COUNT(fallbacks) == EMP_FALLBACK_COUNT, "a word for every fallback");
WORD_OF(emp_fallback_word, enum emp_fallback, fallbacks)

static const char *const messages[] = {
#define MESSAGE_WORD(name, word, from) [EMP_MESSAGE_##name] = word,
    EMP_MESSAGES(MESSAGE_WORD)
#undef MESSAGE_WORD
};
WORD_OF(emp_message_word, enum emp_message_kind, messages)
PARSE(emp_message_kind_parse, enum emp_message_kind, messages, EMP_E_PROTOCOL)

/* Every word of every enumeration is there, differs from the others, and finds its way back. */
#include "base/error.h"
#include "domain/job.h"
#include "domain/machine.h"
#include "domain/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef const char *(*word_fn)(unsigned v);
typedef int (*parse_fn)(struct emp_str word, unsigned *ret);

/* Wrappers, so that one loop can walk all enumerations. */
#define WORDS(name, type)                   \
    static const char *name##_w(unsigned v) \
    {                                       \
        return emp_##name##_word((type)v);  \
    }
#define PARSE(name, function, type)                         \
    static int name##_p(struct emp_str word, unsigned *ret) \
    {                                                       \
        type v;                                             \
        int e = function(word, &v);                         \
        if (e == 0)                                         \
            *ret = (unsigned)v;                             \
        return e;                                           \
    }
WORDS(job_state, enum emp_job_state)
PARSE(job_state, emp_job_state_parse, enum emp_job_state)
WORDS(tier, enum emp_tier)
PARSE(tier, emp_tier_parse, enum emp_tier)
WORDS(outcome, enum emp_outcome)
PARSE(outcome, emp_outcome_parse, enum emp_outcome)
WORDS(residency, enum emp_residency)
PARSE(residency, emp_residency_parse, enum emp_residency)
WORDS(isolation, enum emp_isolation)
PARSE(isolation, emp_isolation_parse, enum emp_isolation)
WORDS(machine_state, enum emp_machine_state)
WORDS(fallback, enum emp_fallback)
WORDS(message, enum emp_message_kind)
PARSE(message, emp_message_kind_parse, enum emp_message_kind)

static const struct {
    const char *name;
    unsigned count;
    word_fn word;
    parse_fn parse; /* may be NULL */
    int unknown;    /* what parse says to a word that is none */
} all[] = {
    {"job_state", EMP_JOB_STATE_COUNT, job_state_w, job_state_p, EMP_E_INVALID},
    {"tier", EMP_TIER_COUNT, tier_w, tier_p, EMP_E_INVALID},
    {"outcome", EMP_OUTCOME_COUNT, outcome_w, outcome_p, EMP_E_INVALID},
    {"residency", EMP_RESIDENCY_COUNT, residency_w, residency_p, EMP_E_INVALID},
    {"isolation", EMP_ISOLATION_STRICT + 1, isolation_w, isolation_p, EMP_E_INVALID},
    {"machine_state", EMP_MACHINE_STATE_COUNT, machine_state_w, NULL, 0},
    {"fallback", EMP_FALLBACK_COUNT, fallback_w, NULL, 0},
    {"message", EMP_MESSAGE_COUNT, message_w, message_p, EMP_E_PROTOCOL},
};

static void words_differ_and_come_back(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof all / sizeof *all; t++) {
        for (unsigned i = 0; i < all[t].count; i++) {
            unsigned back = 1000;
            const char *word = all[t].word(i);
            assert_non_null(word);
            assert_true(strlen(word) > 1);
            for (unsigned k = 0; k < i; k++)
                assert_string_not_equal(word, all[t].word(k));
            if (all[t].parse) {
                assert_int_equal(all[t].parse(emp_str_z(word), &back), 0);
                assert_int_equal(back, i);
            }
        }
    }
}

static void other_words_are_refused(void **state)
{
    const char *const bad[] = {"", "?", "PENDING", "complete", "gpux", "hello "};
    (void)state;
    for (size_t t = 0; t < sizeof all / sizeof *all; t++) {
        unsigned untouched = 1000;
        for (size_t i = 0; all[t].parse && i < sizeof bad / sizeof *bad; i++)
            assert_int_equal(all[t].parse(emp_str_z(bad[i]), &untouched), all[t].unknown);
        assert_int_equal(untouched, 1000);
        assert_string_equal(all[t].word(all[t].count), "?");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_differ_and_come_back),
        cmocka_unit_test(other_words_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

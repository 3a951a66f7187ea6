/* Keys and tokens; and where a broker may listen without them. */
#include "check.h"

#include "broker/auth.h"
#include "broker/broker.h"

#include <string.h>

static const struct emp_str keys[] = {{"first-key", 9}, {"second", 6}};
static const struct emp_str tokens[] = {{"agent-token", 11}};
static const struct emp_auth closed = {
    .api_keys = keys, .api_key_count = 2, .agent_tokens = tokens, .agent_token_count = 1};

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        enum emp_auth_role role;
        const char *header;
        int expected;
    } cases[] = {
        {EMP_AUTH_CLIENT, "Bearer first-key", 0},
        {EMP_AUTH_CLIENT, "bearer second", 0},
        {EMP_AUTH_CLIENT, "Bearer  second", 0},
        {EMP_AUTH_CLIENT, "Bearer first-ke", EMP_E_UNAUTHORIZED},
        {EMP_AUTH_CLIENT, "Bearer first-keyy", EMP_E_UNAUTHORIZED},
        {EMP_AUTH_CLIENT, "Bearer secondsecond", EMP_E_UNAUTHORIZED},
        {EMP_AUTH_CLIENT, "Bearer ", EMP_E_UNAUTHORIZED},
        {EMP_AUTH_CLIENT, "Basic first-key", EMP_E_UNAUTHORIZED},
        {EMP_AUTH_CLIENT, NULL, EMP_E_UNAUTHORIZED},
        {EMP_AUTH_CLIENT, "Bearer agent-token", EMP_E_UNAUTHORIZED},
        {EMP_AUTH_AGENT, "Bearer agent-token", 0},
        {EMP_AUTH_AGENT, "Bearer first-key", EMP_E_UNAUTHORIZED},
        {EMP_AUTH_OPEN, NULL, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_error err = {0};
        assert_int_equal(emp_auth_check(&closed, cases[i].role, cases[i].header, &err),
                         cases[i].expected);
        assert_int_equal(err.code, cases[i].expected);
    }
}

static void test_no_keys_means_everybody(void **state)
{
    (void)state;
    struct emp_auth open = {0};

    assert_int_equal(emp_auth_check(&open, EMP_AUTH_CLIENT, NULL, NULL), 0);
    assert_int_equal(emp_auth_check(&open, EMP_AUTH_AGENT, "Bearer anything", NULL), 0);
}

static void test_may_listen(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        uint32_t keys, tokens;
        int expected;
    } cases[] = {
        {"127.0.0.1:3331", 0, 0, 0},
        {"127.9.9.9:0", 0, 0, 0},
        {"localhost:3331", 0, 0, 0},
        {"[::1]:3331", 0, 0, 0},
        {"0.0.0.0:3331", 0, 0, EMP_E_FORBIDDEN},
        {"0.0.0.0:3331", 1, 0, EMP_E_FORBIDDEN},
        {"0.0.0.0:3331", 0, 1, EMP_E_FORBIDDEN},
        {"0.0.0.0:3331", 1, 1, 0},
        {"[::]:3331", 0, 0, EMP_E_FORBIDDEN},
        {"10.0.0.7:3331", 2, 2, 0},
        {"somewhere.example:3331", 1, 1, EMP_E_INVALID},
        {"127.0.0.1", 0, 0, EMP_E_INVALID},
        {"127.0.0.1:", 0, 0, EMP_E_INVALID},
        {"127.0.0.1:65536", 0, 0, EMP_E_INVALID},
        {"127.0.0.1:-1", 0, 0, EMP_E_INVALID},
        {"127.0.0.1:80x", 0, 0, EMP_E_INVALID},
        {":3331", 0, 0, EMP_E_INVALID},
        {"", 0, 0, EMP_E_INVALID},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_error err = {0};
        int r =
            emp_broker_may_listen(emp_str_z(cases[i].listen), cases[i].keys, cases[i].tokens, &err);
        if (r != cases[i].expected)
            print_message("%s\n", cases[i].listen);
        assert_int_equal(r, cases[i].expected);
        if (r == EMP_E_FORBIDDEN)
            assert_non_null(strstr(err.text, "EMP_API_KEYS"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_no_keys_means_everybody),
        cmocka_unit_test(test_may_listen),
    };
    return cmocka_run_group_tests_name("broker/auth", tests, NULL, NULL);
}

/* Query strings of GET /api/jobs: what is understood, and what is refused with the parameter's
 * name. */
#include "check.h"

#include "broker/query.h"

#include <stdio.h>

/* "a=b&c=d", nothing decoded. */
static char text[1024];

static uint32_t pairs_of(const char *raw, struct emp_query_pair pairs[16])
{
    uint32_t count = 0;
    char *rest = text;

    snprintf(text, sizeof text, "%s", raw);
    for (char *one; (one = strsep(&rest, "&")) != NULL && *one;) {
        char *value = one, *name = strsep(&value, "=");
        pairs[count++] = (struct emp_query_pair){emp_str_z(name), emp_str_z(value)};
    }
    return count;
}

static int parse(const char *raw, struct emp_store_query *q, struct emp_error *err)
{
    struct emp_query_pair pairs[16];
    uint32_t count = pairs_of(raw, pairs);

    *err = (struct emp_error){0};
    return emp_query_jobs(pairs, count, q, err);
}

static void test_defaults(void **state)
{
    (void)state;
    struct emp_store_query q;
    struct emp_error err;

    assert_int_equal(parse("", &q, &err), 0);
    assert_int_equal(q.limit, 50);
    assert_int_equal(q.offset, 0);
    assert_int_equal(q.states, 0);
    assert_false(q.ascending);
    assert_int_equal(q.sort, EMP_STORE_BY_CREATED);
}

static void test_everything(void **state)
{
    (void)state;
    struct emp_store_query q;
    struct emp_error err;

    assert_int_equal(parse("status=failed,cancelled&service_required=a b "
                           "c&customer_id=\xc3\xbc&limit=1000&offset=12345678901&sort=priority"
                           "&order=asc&created_after=2026-11-24T04:15:45Z&created_before="
                           "1795493745001&pool=p&workflow_id=w&machine_id=m",
                           &q, &err),
                     0);
    assert_int_equal(q.states, 1u << EMP_JOB_FAILED | 1u << EMP_JOB_CANCELLED);
    assert_string_equal(q.service.ptr, "a b c");
    assert_string_equal(q.customer.ptr, "\xc3\xbc");
    assert_int_equal(q.limit, 1000);
    assert_int_equal(q.offset, 12345678901);
    assert_int_equal(q.sort, EMP_STORE_BY_PRIORITY);
    assert_true(q.ascending);
    assert_int_equal(q.created_from, 1795493745000);
    assert_int_equal(q.created_before, 1795493745001);
    assert_string_equal(q.pool.ptr, "p");
    assert_string_equal(q.workflow.ptr, "w");
    assert_string_equal(q.machine.ptr, "m");
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *field;
    } cases[] = {
        {"limit=abc", "limit"},
        {"limit=1001", "limit"},
        {"limit=-1", "limit"},
        {"limit=", "limit"},
        {"limit=1.5", "limit"},
        {"limit=99999999999999999999", "limit"},
        {"offset=-5", "offset"},
        {"offset=x", "offset"},
        {"status=done", "status"},
        {"status=", "status"},
        {"status=,failed", "status"},
        {"sort=name", "sort"},
        {"order=up", "order"},
        {"created_after=yesterday", "created_after"},
        {"pool=", "pool"},
        {"limit=1&limit=2", "limit"},
        {"stauts=failed", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_store_query q;
        struct emp_error err;
        if (parse(cases[i].raw, &q, &err) != EMP_E_INVALID)
            fail_msg("%s was taken", cases[i].raw);
        assert_string_equal(err.field, cases[i].field);
        assert_true(err.text[0] != '\0');
    }
}

static int parse_short(const char *raw, unsigned known, struct emp_query_short *q,
                       struct emp_error *err)
{
    struct emp_query_pair pairs[16];
    uint32_t count = pairs_of(raw, pairs);

    *err = (struct emp_error){0};
    return emp_query_short(pairs, count, known, q, err);
}

static void test_short_lists(void **state)
{
    (void)state;
    const unsigned all = EMP_QUERY_LIMIT | EMP_QUERY_MODEL | EMP_QUERY_MACHINE;
    struct emp_query_short q;
    struct emp_error err;

    assert_int_equal(parse_short("", all, &q, &err), 0);
    assert_int_equal(q.limit, 100);
    assert_int_equal(q.model.len + q.machine.len, 0);
    assert_int_equal(parse_short("machine=m&limit=1000&model=a", all, &q, &err), 0);
    assert_int_equal(q.limit, 1000);
    assert_string_equal(q.model.ptr, "a");
    assert_string_equal(q.machine.ptr, "m");

    static const struct {
        const char *raw, *told;
    } bad[] = {
        {"limit=0", "1 to 1000"},
        {"limit=1001", "1 to 1000"},
        {"limit=-1", "1 to 1000"},
        {"limit=5&limit=6", "twice"},
        {"model=", "1 to 256"},
        {"machine=", "1 to 256"},
        {"model=a&x=b", "there are limit, model, machine"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse_short(bad[i].raw, all, &q, &err), EMP_E_INVALID);
        assert_non_null(strstr(err.text, bad[i].told));
    }
    assert_int_equal(parse_short("machine=m", EMP_QUERY_LIMIT | EMP_QUERY_MODEL, &q, &err),
                     EMP_E_INVALID);
    assert_non_null(strstr(err.text, "there are limit, model"));
    assert_null(strstr(err.text, ", machine"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_short_lists),
    };
    return cmocka_run_group_tests_name("broker/query", tests, NULL, NULL);
}

/* The cache of submissions: bounded in bytes, whatever stays in its middle or at its head. */
#include "check.h"

#include "broker/payloads.h"

#include <stdio.h>

static struct emp_blob *blob_of(emp_job_num job, uint32_t len)
{
    struct emp_blob *b = emp_blob_reserve(len);
    assert_non_null(b);
    snprintf(b->bytes, len + 1, "%llu", (unsigned long long)job);
    return b;
}

static void put(struct emp_payloads *p, emp_job_num job, uint32_t len)
{
    struct emp_blob *b = blob_of(job, len);
    emp_payloads_put(p, job, b);
    emp_blob_unref(b);
}

static bool has(struct emp_payloads *p, emp_job_num job)
{
    struct emp_blob *b = emp_payloads_get(p, job);
    char expected[32];

    if (!b)
        return false;
    snprintf(expected, sizeof expected, "%llu", (unsigned long long)job);
    assert_string_equal(b->bytes, expected);
    emp_blob_unref(b);
    return true;
}

static void test_oldest_go_first(void **state)
{
    (void)state;
    struct emp_payloads p;

    emp_payloads_init(&p, 10000);
    for (emp_job_num j = 1; j <= 100; j++)
        put(&p, j, 400);
    assert_true(p.bytes <= 10000);
    assert_true(has(&p, 100));
    assert_true(has(&p, 90));
    assert_false(has(&p, 1));
    assert_int_equal(p.misses, 1);
    emp_payloads_release(&p);
}

static void test_too_large_is_not_kept(void **state)
{
    (void)state;
    struct emp_payloads p;

    emp_payloads_init(&p, 10000);
    put(&p, 1, 100);
    put(&p, 2, 5000);
    assert_true(has(&p, 1));
    assert_false(has(&p, 2));
    emp_payloads_release(&p);
}

static void test_dropping_and_replacing(void **state)
{
    (void)state;
    struct emp_payloads p;

    emp_payloads_init(&p, 100000);
    for (emp_job_num j = 1; j <= 50; j++)
        put(&p, j, 100);
    emp_payloads_drop(&p, 25);
    emp_payloads_drop(&p, 25);
    emp_payloads_drop(&p, 1000);
    assert_false(has(&p, 25));
    put(&p, 25, 200);
    assert_true(has(&p, 25));
    put(&p, 25, 300);
    assert_true(has(&p, 25));
    for (emp_job_num j = 1; j <= 50; j++)
        emp_payloads_drop(&p, j);
    assert_int_equal(p.bytes, 0);
    emp_payloads_release(&p);
}

/* One job waits for ever at the head while millions come and go: the ring must not grow with what
 * has gone. */
static void test_holes_do_not_grow(void **state)
{
    (void)state;
    struct emp_payloads p;

    emp_payloads_init(&p, 100000);
    put(&p, 1, 100);
    for (emp_job_num j = 2; j < 200000; j++) {
        put(&p, j, 50);
        emp_payloads_drop(&p, j);
    }
    assert_true(has(&p, 1));
    assert_true(p.cap <= 256);
    emp_payloads_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_go_first),
        cmocka_unit_test(test_too_large_is_not_kept),
        cmocka_unit_test(test_dropping_and_replacing),
        cmocka_unit_test(test_holes_do_not_grow),
    };
    return cmocka_run_group_tests_name("broker/payloads", tests, NULL, NULL);
}

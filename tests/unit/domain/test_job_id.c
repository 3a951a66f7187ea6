/* Ids: SipHash against its authors' vectors, the UUID's form, and that no other text is taken for
 * one. */
#include "base/error.h"
#include "base/random.h"
#include "domain/job_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct emp_job_secret reference = {
    {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};

/* Aumasson & Bernstein 2012, appendix A, and their reference code's table. */
static void siphash_gives_the_published_values(void **state)
{
    unsigned char in[15];
    (void)state;
    for (unsigned char i = 0; i < sizeof in; i++)
        in[i] = i;
    assert_true(emp_siphash(&reference, in, 15) == UINT64_C(0xa129ca6149be45e5));
    assert_true(emp_siphash(&reference, in, 0) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(emp_siphash(&reference, in, 1) == UINT64_C(0x74f839c593dc67fd));
    assert_true(emp_siphash(&reference, in, 2) == UINT64_C(0x0d6c8009d9a94f5a));
}

static void an_id_is_a_uuid_of_version_8(void **state)
{
    char id[EMP_JOB_ID_TEXT];
    (void)state;
    emp_job_id_format(&reference, 0x123456789abc, id);
    assert_int_equal(strlen(id), 36);
    assert_memory_equal(id, "12345678-9abc-8", 15);
    assert_non_null(strchr("89ab", id[19]));
    assert_true(id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-');
}

static void every_number_comes_back(void **state)
{
    const emp_job_num edges[] = {0, 1, 2, 255, 65536, (UINT64_C(1) << 48) - 1};
    struct emp_random r;
    (void)state;
    emp_random_init(&r, 1);
    for (size_t i = 0; i < 10000; i++) {
        size_t n = sizeof edges / sizeof *edges;
        emp_job_num num = i < n ? edges[i] : emp_random_u64(&r) >> 16, back = 0;
        char id[EMP_JOB_ID_TEXT];
        emp_job_id_format(&reference, num, id);
        assert_int_equal(emp_job_id_parse(&reference, emp_str_z(id), &back), 0);
        assert_true(back == num);
        for (char *p = id; *p; p++)
            if (*p >= 'a' && *p <= 'f')
                *p = (char)(*p - 'a' + 'A');
        assert_int_equal(emp_job_id_parse(&reference, emp_str_z(id), &back), 0);
    }
}

/* Any digit changed, another secret, another form: none of these is an id. */
static void nothing_else_is_an_id(void **state)
{
    const char *const texts[] = {"",
                                 "1",
                                 "not-a-uuid",
                                 "12345678-9abc-8000-8000-000000000000",
                                 "00000000-0000-8000-8000-000000000001 ",
                                 "g0000000-0000-8000-8000-000000000001"};
    struct emp_job_secret other = {{1, 2}};
    char id[EMP_JOB_ID_TEXT];
    emp_job_num num = 77;
    (void)state;
    emp_job_id_format(&reference, 12345, id);
    assert_int_equal(emp_job_id_parse(&other, emp_str_z(id), &num), EMP_E_NOT_FOUND);
    for (size_t i = 0; i < 36; i++) {
        char was = id[i];
        id[i] = was == '0' ? '1' : '0';
        assert_int_equal(emp_job_id_parse(&reference, emp_str_z(id), &num), EMP_E_NOT_FOUND);
        id[i] = was;
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(emp_job_id_parse(&reference, emp_str_z(texts[i]), &num), EMP_E_NOT_FOUND);
    assert_true(num == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_gives_the_published_values),
        cmocka_unit_test(an_id_is_a_uuid_of_version_8),
        cmocka_unit_test(every_number_comes_back),
        cmocka_unit_test(nothing_else_is_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

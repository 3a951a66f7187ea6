/* Random numbers cannot be tested, only their most likely faults can. */
#include "check.h"

#include "os/random.h"

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void a_uuid_has_the_form_of_version_4(void **state)
{
    char id[EMP_UUID_TEXT];
    (void)state;
    for (int n = 0; n < 100; n++) {
        emp_uuid4(id);
        assert_int_equal(strlen(id), 36);
        for (int i = 0; i < 36; i++) {
            if (i == 8 || i == 13 || i == 18 || i == 23)
                assert_int_equal(id[i], '-');
            else
                assert_non_null(strchr("0123456789abcdef", id[i]));
        }
        assert_int_equal(id[14], '4');
        assert_non_null(strchr("89ab", id[19]));
    }
}

static void no_two_are_alike(void **state)
{
    enum { N = 10000 };
    char(*ids)[EMP_UUID_TEXT] = malloc(N * sizeof *ids);
    (void)state;
    for (int i = 0; i < N; i++)
        emp_uuid4(ids[i]);
    qsort(ids, N, sizeof *ids, compare);
    for (int i = 1; i < N; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
    free(ids);
}

/* More than getrandom gives in one call without interruption (256 bytes): the last byte is filled
 * too, and nothing beyond it. */
static void every_byte_is_filled_and_none_beyond(void **state)
{
    enum { N = 100000 };
    uint8_t *buf = calloc(1, N + 1);
    unsigned seen[256] = {0};
    (void)state;
    emp_os_random(buf, N);
    for (int i = 0; i < N; i++)
        seen[buf[i]]++;
    for (int i = 0; i < 256; i++)
        assert_in_range(seen[i], 200, 600); // 390 expected, standard deviation 20
    assert_int_equal(buf[N], 0);
    free(buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uuid_has_the_form_of_version_4),
        cmocka_unit_test(no_two_are_alike),
        cmocka_unit_test(every_byte_is_filled_and_none_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

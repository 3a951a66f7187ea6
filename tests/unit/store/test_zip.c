/* Bytes at rest: they come back as they were, short and noisy ones are kept as they are, damage is
 * refused. */
#include "fixture.h"

#include "store/zip.h"

static struct emp_zip *zip;
static struct emp_arena arena;

static int setup(void **state)
{
    (void)state;
    emp_arena_init(&arena, 0);
    zip = emp_zip_new();
    return zip ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    emp_zip_free(zip);
    emp_arena_release(&arena);
    return 0;
}

static struct emp_str text_of(uint32_t len)
{
    char *p = emp_arena_alloc(&arena, len + 1);
    for (uint32_t i = 0; i < len; i++)
        p[i] = "a cat on a mat, "[i % 16];
    return (struct emp_str){p, len};
}

static struct emp_str noise_of(uint32_t len)
{
    struct emp_random r;
    char *p = emp_arena_alloc(&arena, len + 1);
    emp_random_init(&r, len);
    for (uint32_t i = 0; i < len; i++)
        p[i] = (char)emp_random_u64(&r);
    return (struct emp_str){p, len};
}

static void check(struct emp_str in, enum emp_zip_codec wanted)
{
    struct emp_str kept, back;
    enum emp_zip_codec codec = emp_zip_pack(zip, in, &arena, &kept);
    assert_int_equal(codec, wanted);
    if (codec != EMP_ZIP_NONE)
        assert_true(kept.len < in.len);
    assert_int_equal(emp_zip_unpack(zip, codec, kept, in.len, &arena, &back), 0);
    assert_str(back, in);
    assert_int_equal(back.ptr[back.len], 0);
    if (in.len)
        assert_int_equal(emp_zip_unpack(zip, codec, kept, in.len - 1, &arena, &back),
                         EMP_E_INTERNAL);
}

static void test_what_is_worth_it_is_shortened(void **state)
{
    (void)state;
    check((struct emp_str){0}, EMP_ZIP_NONE);
    check(text_of(1), EMP_ZIP_NONE);
    check(text_of(1023), EMP_ZIP_NONE);
    check(text_of(1024), EMP_ZIP_ZSTD);
    check(text_of(3000000), EMP_ZIP_ZSTD);
    check(noise_of(5000), EMP_ZIP_NONE);
}

static void test_damage_is_refused(void **state)
{
    (void)state;
    struct emp_str kept, back;
    emp_zip_pack(zip, text_of(100000), &arena, &kept);
    for (uint32_t len = 0; len < kept.len; len++)
        assert_int_equal(emp_zip_unpack(zip, EMP_ZIP_ZSTD, (struct emp_str){kept.ptr, len}, 1 << 20,
                                        &arena, &back),
                         EMP_E_INTERNAL);
    assert_int_equal(
        emp_zip_unpack(zip, EMP_ZIP_ZSTD, EMP_STR("not zstd at all"), 1 << 20, &arena, &back),
        EMP_E_INTERNAL);
    assert_int_equal(emp_zip_unpack(zip, 7, kept, 1 << 20, &arena, &back), EMP_E_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_worth_it_is_shortened),
        cmocka_unit_test(test_damage_is_refused),
    };
    return cmocka_run_group_tests_name("zip", tests, setup, teardown);
}

/* The slab against an array of what each number should hold: stable addresses, dense numbers,
 * zeroed when fresh. */
#include "base/slab.h"

#include "seeded.h"

#include <string.h>

enum { NUMBERS = 500, BYTES_MAX = 100 };

struct shadow {
    void *at;
    unsigned char fill;
};

static void check_content(const unsigned char *p, size_t bytes, unsigned char fill)
{
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(p[i], fill);
}

static void model(struct emp_random *r)
{
    struct emp_arena a;
    struct emp_slab s;
    struct shadow live[NUMBERS + 1] = {0};
    size_t bytes = 4 + emp_random_below(r, BYTES_MAX - 4);
    uint32_t count = 0, peak = 0;
    emp_arena_init(&a, 0);
    emp_slab_init(&s, &a, bytes);
    for (int step = 0; step < 5000; step++) {
        uint32_t n = 1 + (uint32_t)emp_random_below(r, NUMBERS);
        if (live[n].at) {
            assert_ptr_equal(emp_slab_at(&s, n), live[n].at);
            check_content(live[n].at, bytes, live[n].fill);
            emp_slab_free(&s, n);
            live[n].at = NULL;
            count--;
        } else if (count < NUMBERS) {
            void *p = emp_slab_new(&s, &n);
            assert_in_range(n, 1, NUMBERS);
            assert_null(live[n].at); /* no number twice */
            check_content(p, bytes, 0);
            live[n] = (struct shadow){p, (unsigned char)emp_random_u64(r)};
            memset(p, live[n].fill, bytes);
            count++;
        }
        peak = count > peak ? count : peak;
        assert_int_equal(s.count, count);
        assert_int_equal(s.high, peak); /* dense: a new number only when none is free */
    }
    for (uint32_t n = 1; n <= NUMBERS; n++)
        if (live[n].at)
            check_content(live[n].at, bytes, live[n].fill);
    emp_arena_release(&a);
}

static void random_operations_keep_objects(void **state)
{
    (void)state;
    each_seed("slab", model);
}

static void numbers_start_at_one(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_slab s;
    uint32_t n;
    emp_arena_init(&a, 0);
    emp_slab_init(&s, &a, 64);
    for (uint32_t i = 1; i <= 1000; i++) {
        assert_non_null(emp_slab_new(&s, &n));
        assert_int_equal(n, i);
    }
    emp_slab_free(&s, 7);
    assert_ptr_equal(emp_slab_new(&s, NULL), emp_slab_at(&s, 7));
    emp_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_keep_objects),
        cmocka_unit_test(numbers_start_at_one),
    };
    return cmocka_run_group_tests_name("base/slab", tests, NULL, NULL);
}

/* The hash map against a plain array over a small universe of keys, chosen so that homes collide;
 * and its invariant: no empty slot between a key and its home. */
#include "base/map.h"

#include "seeded.h"

enum { KEYS = 400 };

static void check_probes(const struct emp_map *m)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < m->cap; i++) {
        if (m->keys[i] == 0)
            continue;
        live++;
        uint32_t home = (uint32_t)emp_mix64(m->keys[i]) & (m->cap - 1);
        for (uint32_t at = home; at != i; at = (at + 1) & (m->cap - 1))
            assert_true(m->keys[at] != 0);
    }
    assert_int_equal(live, m->count);
    assert_true(m->count <= m->cap / 4 * 3);
}

/* Keys whose homes fall into eight slots near the end of the table, so that runs wrap around. */
static void colliding_keys(struct emp_random *r, uint64_t keys[KEYS])
{
    for (int i = 0; i < KEYS; i++) {
        do
            keys[i] = emp_random_u64(r);
        while (keys[i] == 0 || (emp_mix64(keys[i]) & 63) < 56);
    }
}

static void run(struct emp_random *r, const uint64_t keys[KEYS], uint32_t universe)
{
    struct emp_arena a;
    struct emp_map m;
    bool there[KEYS] = {0};
    uint32_t values[KEYS] = {0}, count = 0, got;
    emp_arena_init(&a, 0);
    emp_map_init(&m, &a);
    for (int step = 0; step < 6000; step++) {
        uint32_t i = (uint32_t)emp_random_below(r, universe);
        switch (emp_random_below(r, 3)) {
        case 0:
            count += !there[i];
            there[i] = true;
            values[i] = (uint32_t)emp_random_u64(r);
            emp_map_put(&m, keys[i], values[i]);
            break;
        case 1:
            assert_int_equal(emp_map_del(&m, keys[i]), there[i]);
            count -= there[i];
            there[i] = false;
            break;
        default:
            got = 0xdeadbeef;
            assert_int_equal(emp_map_get(&m, keys[i], &got), there[i]);
            assert_int_equal(got, there[i] ? values[i] : 0xdeadbeef);
        }
        assert_int_equal(m.count, count);
        if (step % 100 == 0)
            check_probes(&m);
    }
    for (uint32_t i = 0; i < universe; i++)
        assert_int_equal(emp_map_get(&m, keys[i], NULL), there[i]);
    emp_arena_release(&a);
}

static void model(struct emp_random *r)
{
    uint64_t keys[KEYS];
    colliding_keys(r, keys);
    run(r, keys, 40);
    run(r, keys, KEYS);
    for (int i = 0; i < KEYS; i++) /* as job numbers are */
        keys[i] = (uint64_t)i + 1;
    run(r, keys, KEYS);
}

static void random_operations_match_an_array(void **state)
{
    (void)state;
    each_seed("map", model);
}

static void empty_and_zero(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_map m;
    emp_arena_init(&a, 0);
    emp_map_init(&m, &a);
    assert_false(emp_map_get(&m, 1, NULL));
    assert_false(emp_map_del(&m, 1));
    emp_map_put(&m, UINT64_MAX, 7);
    assert_false(emp_map_get(&m, 0, NULL));
    assert_false(emp_map_del(&m, 0));
    assert_true(emp_map_get(&m, UINT64_MAX, NULL));
    emp_arena_release(&a);
}

static void million_keys_waste_nothing(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_map m;
    uint32_t got;
    emp_arena_init(&a, 0);
    emp_map_init(&m, &a);
    for (uint32_t i = 1; i <= 1000000; i++)
        emp_map_put(&m, i, i * 3);
    for (uint32_t i = 1; i <= 1000000; i++) {
        assert_true(emp_map_get(&m, i, &got));
        assert_int_equal(got, i * 3);
    }
    assert_true(a.total_bytes <= (size_t)m.cap * 12 + a.block_bytes); /* old tables went back */
    for (uint32_t i = 1; i <= 1000000; i++)
        assert_true(emp_map_del(&m, i));
    assert_int_equal(m.count, 0);
    emp_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_match_an_array),
        cmocka_unit_test(empty_and_zero),
        cmocka_unit_test(million_keys_waste_nothing),
    };
    return cmocka_run_group_tests_name("base/map", tests, NULL, NULL);
}

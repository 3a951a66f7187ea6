/* The heap against an unordered array that is searched for its least element. */
#include "base/heap.h"

#include "seeded.h"

enum { ITEMS = 300 };

struct item {
    int64_t key;
    uint32_t id, place;
};

static bool item_less(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return x->key != y->key ? x->key < y->key : x->id < y->id;
}

static void check_shape(const struct emp_heap *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        assert_int_equal(((struct item *)h->items[i])->place, i);
        if (i > 0)
            assert_false(item_less(h->items[i], h->items[(i - 1) / 2]));
    }
}

static struct item *least(struct item *items)
{
    struct item *best = NULL;
    for (uint32_t i = 0; i < ITEMS; i++)
        if (items[i].place != EMP_HEAP_OUT && (!best || item_less(&items[i], best)))
            best = &items[i];
    return best;
}

static void model(struct emp_random *r)
{
    struct emp_arena a;
    struct emp_heap h;
    struct item items[ITEMS];
    uint32_t in = 0;
    emp_arena_init(&a, 0);
    emp_heap_init(&h, &a, item_less, offsetof(struct item, place));
    for (uint32_t i = 0; i < ITEMS; i++)
        items[i] = (struct item){.id = i, .place = EMP_HEAP_OUT};
    for (int step = 0; step < 4000; step++) {
        struct item *it = &items[emp_random_below(r, ITEMS)];
        uint64_t what = emp_random_below(r, 8);
        if (what == 0) {
            struct item *expect = least(items);
            assert_ptr_equal(emp_heap_peek(&h), expect);
            assert_ptr_equal(emp_heap_pop(&h), expect);
            in -= expect != NULL;
            assert_true(!expect || expect->place == EMP_HEAP_OUT);
        } else if (it->place == EMP_HEAP_OUT) {
            it->key = (int64_t)emp_random_below(r, 50); /* many ties */
            emp_heap_push(&h, it);
            in++;
        } else if (what < 3) {
            emp_heap_remove(&h, it);
            assert_int_equal(it->place, EMP_HEAP_OUT);
            in--;
        } else {
            it->key = (int64_t)emp_random_below(r, 50);
            emp_heap_fix(&h, it);
        }
        assert_int_equal(h.count, in);
        if (step % 50 == 0)
            check_shape(&h);
    }
    check_shape(&h);
    for (struct item *it, *before = NULL; (it = emp_heap_pop(&h)); before = it)
        assert_true(!before || item_less(before, it));
    assert_null(emp_heap_peek(&h));
    assert_null(emp_heap_pop(&h));
    emp_arena_release(&a);
}

static void random_operations_match_a_search(void **state)
{
    (void)state;
    each_seed("heap", model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_operations_match_a_search)};
    return cmocka_run_group_tests_name("base/heap", tests, NULL, NULL);
}

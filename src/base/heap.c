/* A binary heap in an array: the children of i are 2i+1 and 2i+2, no child is less than its parent.
 * Every write to `items` goes through put(), which tells the element its place; so items[place(x)]
 * == x always holds. */
#include "base/heap.h"

#include <assert.h>

static uint32_t *place_of(const struct emp_heap *h, void *item)
{
    return (uint32_t *)((char *)item + h->place_offset);
}

static void put(struct emp_heap *h, uint32_t at, void *item)
{
    h->items[at] = item;
    *place_of(h, item) = at;
}

/* Moves `item`, for which there is a hole at `at`, towards the root to where it belongs. */
static void sift_up(struct emp_heap *h, uint32_t at, void *item)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (!h->less(item, h->items[parent]))
            break;
        put(h, at, h->items[parent]);
        at = parent;
    }
    put(h, at, item);
}

static void sift_down(struct emp_heap *h, uint32_t at, void *item)
{
    for (;;) {
        uint64_t child = 2 * (uint64_t)at + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->less(h->items[child + 1], h->items[child]))
            child++;
        if (!h->less(h->items[child], item))
            break;
        put(h, at, h->items[child]);
        at = (uint32_t)child;
    }
    put(h, at, item);
}

void emp_heap_init(struct emp_heap *h, struct emp_arena *arena, emp_heap_less less,
                   size_t place_offset)
{
    *h = (struct emp_heap){.arena = arena, .less = less, .place_offset = place_offset};
}

void emp_heap_push(struct emp_heap *h, void *item)
{
    assert(h->count < EMP_HEAP_OUT - 1);
    emp_arena_reserve(h->arena, h->items, h->count, h->cap);
    sift_up(h, h->count++, item);
}

void *emp_heap_peek(const struct emp_heap *h)
{
    return h->count ? h->items[0] : NULL;
}

void *emp_heap_pop(struct emp_heap *h)
{
    void *top = emp_heap_peek(h);
    if (top)
        emp_heap_remove(h, top);
    return top;
}

void emp_heap_remove(struct emp_heap *h, void *item)
{
    uint32_t at = *place_of(h, item);
    assert(at < h->count && h->items[at] == item);
    void *last = h->items[--h->count];
    if (last != item) { /* the last one fills the hole, and may belong above or below it */
        put(h, at, last);
        emp_heap_fix(h, last);
    }
    *place_of(h, item) = EMP_HEAP_OUT;
}

void emp_heap_fix(struct emp_heap *h, void *item)
{
    uint32_t at = *place_of(h, item);
    assert(at < h->count && h->items[at] == item);
    if (at > 0 && h->less(item, h->items[(at - 1) / 2]))
        sift_up(h, at, item);
    else
        sift_down(h, at, item);
}

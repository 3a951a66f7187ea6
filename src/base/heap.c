/* Binary heap; every move tells the element its new place. */
#include "base/heap.h"

#include <assert.h>

void emp_heap_init(struct emp_heap *h, struct emp_arena *arena, emp_heap_less less, size_t place_offset)
{
    *h = (struct emp_heap){.arena = arena, .less = less, .place_offset = place_offset};
}

static uint32_t *place_of(const struct emp_heap *h, void *item)
{
    return (uint32_t *)(void *)((char *)item + h->place_offset);
}

static void put(struct emp_heap *h, uint32_t at, void *item)
{
    h->items[at] = item;
    *place_of(h, item) = at;
}

static void sift_up(struct emp_heap *h, uint32_t at)
{
    void *item = h->items[at];
    for (; at > 0 && h->less(item, h->items[(at - 1) / 2]); at = (at - 1) / 2)
        put(h, at, h->items[(at - 1) / 2]);
    put(h, at, item);
}

static void sift_down(struct emp_heap *h, uint32_t at)
{
    void *item = h->items[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->less(h->items[child + 1], h->items[child]))
            child++;
        if (!h->less(h->items[child], item))
            break;
        put(h, at, h->items[child]);
        at = child;
    }
    put(h, at, item);
}

void emp_heap_push(struct emp_heap *h, void *item)
{
    size_t cap = h->cap;
    emp_arena_reserve(h->arena, h->items, h->count, cap);
    h->cap = (uint32_t)cap;
    h->items[h->count] = item;
    sift_up(h, h->count++);
}

void *emp_heap_peek(const struct emp_heap *h)
{
    return h->count ? h->items[0] : NULL;
}

void *emp_heap_pop(struct emp_heap *h)
{
    void *item = emp_heap_peek(h);
    if (item)
        emp_heap_remove(h, item);
    return item;
}

void emp_heap_remove(struct emp_heap *h, void *item)
{
    uint32_t at = *place_of(h, item);
    assert(at < h->count && h->items[at] == item);
    *place_of(h, item) = EMP_HEAP_OUT;
    void *last = h->items[--h->count];
    if (last == item)
        return;
    put(h, at, last);
    emp_heap_fix(h, last);
}

void emp_heap_fix(struct emp_heap *h, void *item)
{
    uint32_t at = *place_of(h, item);
    assert(at < h->count && h->items[at] == item);
    sift_up(h, at);
    sift_down(h, *place_of(h, item));
}

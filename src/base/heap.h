/* Binary heap of pointers whose elements know their place (an embedded uint32_t), so that removal
 * and re-keying are O(log n). Smallest first by `less`. In an arena; not thread-safe. */
#ifndef EMP_BASE_HEAP_H
#define EMP_BASE_HEAP_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

#define EMP_HEAP_OUT UINT32_MAX /* value of the place while the element is in no heap */

typedef bool (*emp_heap_less)(const void *a, const void *b);

struct emp_heap {
    struct emp_arena *arena;
    void **items;
    uint32_t count, cap;
    emp_heap_less less;  /* total order: break ties by an id */
    size_t place_offset; /* offsetof(element, its uint32_t place) */
};
void emp_heap_init(struct emp_heap *h, struct emp_arena *arena, emp_heap_less less,
                   size_t place_offset);
void emp_heap_push(struct emp_heap *h, void *item);   /* must be in no heap */
void *emp_heap_peek(const struct emp_heap *h);        /* NULL when empty */
void *emp_heap_pop(struct emp_heap *h);               /* NULL when empty */
void emp_heap_remove(struct emp_heap *h, void *item); /* must be in this heap */
void emp_heap_fix(struct emp_heap *h, void *item);    /* after its key changed */

#endif

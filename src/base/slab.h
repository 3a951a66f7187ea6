/* Slab: objects of one size with stable addresses and dense numbers, recycled through a free list;
 * in an arena. Numbers start at 1, so that 0 can mean none. A fresh object is zeroed. Not
 * thread-safe. */
#ifndef EMP_BASE_SLAB_H
#define EMP_BASE_SLAB_H

#include "base/arena.h"

#include <stdint.h>

struct emp_slab {
    struct emp_arena *arena;
    void **chunks;
    uint32_t chunk_count, chunk_cap;
    uint32_t object_bytes, count /* live */, high /* numbers ever given */;
    uint32_t free_head;
};
void emp_slab_init(struct emp_slab *s, struct emp_arena *arena,
                   size_t object_bytes /* at least 4 */);
void *emp_slab_new(struct emp_slab *s, uint32_t *ret_number);
void *emp_slab_at(const struct emp_slab *s, uint32_t number); /* no check that it is live */
void emp_slab_free(struct emp_slab *s, uint32_t number);

#endif

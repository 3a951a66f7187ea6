/* Objects stand in chunks of CHUNK that are never moved or given back before the arena; object n is
 * at place (n - 1) % CHUNK of chunk (n - 1) / CHUNK. A freed object's first four bytes hold the
 * number of the next free one (by memcpy: an object need not be aligned for it); the last freed is
 * the first reused, for it is still in the cache. */
#include "base/slab.h"

#include <assert.h>
#include <string.h>

enum { CHUNK = 64 };

void emp_slab_init(struct emp_slab *s, struct emp_arena *arena, size_t object_bytes)
{
    assert(object_bytes >= sizeof s->free_head && object_bytes <= UINT32_MAX / CHUNK);
    *s = (struct emp_slab){.arena = arena, .object_bytes = (uint32_t)object_bytes};
}

void *emp_slab_at(const struct emp_slab *s, uint32_t number)
{
    assert(number != 0 && number <= s->high);
    uint32_t i = number - 1;
    return (char *)s->chunks[i / CHUNK] + (size_t)(i % CHUNK) * s->object_bytes;
}

void *emp_slab_new(struct emp_slab *s, uint32_t *ret_number)
{
    uint32_t number = s->free_head;
    void *object;
    if (number) {
        object = emp_slab_at(s, number);
        memcpy(&s->free_head, object, sizeof s->free_head);
        memset(object, 0, s->object_bytes);
    } else {
        assert(s->high < UINT32_MAX);
        if (s->high == s->chunk_count * CHUNK) {
            emp_arena_reserve(s->arena, s->chunks, s->chunk_count, s->chunk_cap);
            s->chunks[s->chunk_count++] =
                emp_arena_alloc(s->arena, (size_t)CHUNK * s->object_bytes);
        }
        number = ++s->high;
        object = emp_slab_at(s, number);
    }
    s->count++;
    if (ret_number)
        *ret_number = number;
    return object;
}

void emp_slab_free(struct emp_slab *s, uint32_t number)
{
    void *object = emp_slab_at(s, number);
    assert(s->count > 0);
    memcpy(object, &s->free_head, sizeof s->free_head);
    s->free_head = number;
    s->count--;
}

/* Slab: chunks of CHUNK objects; a free object's first four bytes link to the next free number. */
#include "base/slab.h"

#include <assert.h>
#include <string.h>

enum { CHUNK = 256 };

void emp_slab_init(struct emp_slab *s, struct emp_arena *arena, size_t object_bytes)
{
    size_t align = _Alignof(max_align_t);
    assert(object_bytes >= sizeof(uint32_t) && object_bytes < UINT32_MAX / CHUNK);
    *s = (struct emp_slab){.arena = arena, .object_bytes = (uint32_t)((object_bytes + align - 1) / align * align)};
}

void *emp_slab_at(const struct emp_slab *s, uint32_t number)
{
    assert(number != 0 && number <= s->high);
    return (char *)s->chunks[(number - 1) / CHUNK] + (size_t)((number - 1) % CHUNK) * s->object_bytes;
}

void *emp_slab_new(struct emp_slab *s, uint32_t *ret_number)
{
    s->count++;
    if (s->free_head) {
        *ret_number = s->free_head;
        void *p = emp_slab_at(s, s->free_head);
        memcpy(&s->free_head, p, sizeof s->free_head);
        memset(p, 0, s->object_bytes);
        return p;
    }
    if (s->high == s->chunk_count * CHUNK) {
        size_t cap = s->chunk_cap;
        emp_arena_reserve(s->arena, s->chunks, s->chunk_count, cap);
        s->chunk_cap = (uint32_t)cap;
        s->chunks[s->chunk_count++] = emp_arena_alloc(s->arena, (size_t)CHUNK * s->object_bytes);
    }
    *ret_number = ++s->high;
    return emp_slab_at(s, s->high);
}

void emp_slab_free(struct emp_slab *s, uint32_t number)
{
    void *p = emp_slab_at(s, number);
    memset(p, 0, s->object_bytes);
    memcpy(p, &s->free_head, sizeof s->free_head);
    s->free_head = number;
    s->count--;
}

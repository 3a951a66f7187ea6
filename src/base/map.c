/* Open addressing, linear probing, backward-shift deletion (no tombstones), at most three quarters full. */
#include "base/map.h"
#include "base/random.h"

#include <assert.h>

void emp_map_init(struct emp_map *m, struct emp_arena *arena)
{
    *m = (struct emp_map){.arena = arena};
}

static uint32_t home(const struct emp_map *m, uint64_t key)
{
    return (uint32_t)emp_mix64(key) & (m->cap - 1);
}

static uint32_t place(const struct emp_map *m, uint64_t key)
{
    uint32_t at = home(m, key);
    while (m->keys[at] && m->keys[at] != key)
        at = (at + 1) & (m->cap - 1);
    return at;
}

static void grow(struct emp_map *m)
{
    struct emp_map old = *m;
    m->cap = old.cap ? old.cap * 2 : 16;
    m->keys = emp_arena_array(m->arena, uint64_t, m->cap);
    m->values = emp_arena_array(m->arena, uint32_t, m->cap);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.keys[i] == 0)
            continue;
        uint32_t at = place(m, old.keys[i]);
        m->keys[at] = old.keys[i];
        m->values[at] = old.values[i];
    }
    /* gives large tables back at once */
    emp_arena_realloc(m->arena, old.keys, old.cap * sizeof *old.keys, 0);
    emp_arena_realloc(m->arena, old.values, old.cap * sizeof *old.values, 0);
}

void emp_map_put(struct emp_map *m, uint64_t key, uint32_t value)
{
    assert(key != 0);
    if ((uint64_t)(m->count + 1) * 4 > (uint64_t)m->cap * 3)
        grow(m);
    uint32_t at = place(m, key);
    m->count += m->keys[at] == 0;
    m->keys[at] = key;
    m->values[at] = value;
}

bool emp_map_get(const struct emp_map *m, uint64_t key, uint32_t *ret)
{
    if (m->count == 0 || key == 0)
        return false;
    uint32_t at = place(m, key);
    if (m->keys[at] != key)
        return false;
    if (ret)
        *ret = m->values[at];
    return true;
}

bool emp_map_del(struct emp_map *m, uint64_t key)
{
    if (m->count == 0 || key == 0)
        return false;
    uint32_t hole = place(m, key);
    if (m->keys[hole] != key)
        return false;
    uint32_t mask = m->cap - 1;
    for (uint32_t at = (hole + 1) & mask; m->keys[at]; at = (at + 1) & mask) {
        uint32_t from_home = (at - home(m, m->keys[at])) & mask;
        if (from_home < ((at - hole) & mask))
            continue; /* its home lies behind the hole: it may stay */
        m->keys[hole] = m->keys[at];
        m->values[hole] = m->values[at];
        hole = at;
    }
    m->keys[hole] = 0;
    m->count--;
    return true;
}

/* Open addressing with linear probing: a key lives at its home (the low bits of its mixed value) or
 * after it with no empty slot between. Deletion keeps that true by moving later keys of the same
 * run back (Knuth, TAOCP 3, 6.4, algorithm R), so there are no tombstones and a table that shrinks
 * and grows for a year probes like a new one. At most 3/4 of the slots are taken. Keys and values
 * stand in two arrays: a probe reads eight keys per cache line. */
#include "base/map.h"

#include "base/random.h"

#include <assert.h>

enum { CAP_FIRST = 8 };

static uint32_t home_of(const struct emp_map *m, uint64_t key)
{
    return (uint32_t)emp_mix64(key) & (m->cap - 1);
}

/* The slot that holds `key`, or the empty one where it would go. */
static uint32_t slot_of(const struct emp_map *m, uint64_t key)
{
    uint32_t at = home_of(m, key);
    while (m->keys[at] != 0 && m->keys[at] != key)
        at = (at + 1) & (m->cap - 1);
    return at;
}

static void grow(struct emp_map *m)
{
    struct emp_map old = *m;
    m->cap = old.cap ? old.cap * 2 : CAP_FIRST;
    assert(m->cap != 0);
    m->keys = emp_arena_array(m->arena, uint64_t, m->cap);
    m->values = emp_arena_array(m->arena, uint32_t, m->cap);
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.keys[i] == 0)
            continue;
        uint32_t at = slot_of(m, old.keys[i]);
        m->keys[at] = old.keys[i];
        m->values[at] = old.values[i];
    }
    emp_arena_give_back(m->arena, old.keys, old.cap * sizeof *old.keys);
    emp_arena_give_back(m->arena, old.values, old.cap * sizeof *old.values);
}

void emp_map_init(struct emp_map *m, struct emp_arena *arena)
{
    *m = (struct emp_map){.arena = arena};
}

void emp_map_put(struct emp_map *m, uint64_t key, uint32_t value)
{
    assert(key != 0);
    if (m->count >= m->cap / 4 * 3)
        grow(m);
    uint32_t at = slot_of(m, key);
    if (m->keys[at] == 0) {
        m->keys[at] = key;
        m->count++;
    }
    m->values[at] = value;
}

bool emp_map_get(const struct emp_map *m, uint64_t key, uint32_t *ret)
{
    if (m->count == 0 || key == 0)
        return false;
    uint32_t at = slot_of(m, key);
    if (m->keys[at] == 0)
        return false;
    if (ret)
        *ret = m->values[at];
    return true;
}

bool emp_map_del(struct emp_map *m, uint64_t key)
{
    if (m->count == 0 || key == 0)
        return false;
    uint32_t mask = m->cap - 1;
    uint32_t hole = slot_of(m, key);
    if (m->keys[hole] == 0)
        return false;
    for (uint32_t at = (hole + 1) & mask; m->keys[at] != 0; at = (at + 1) & mask) {
        /* It may move back into the hole unless its home lies between the hole (exclusive) and
         * itself. */
        uint32_t from_home = (at - home_of(m, m->keys[at])) & mask;
        uint32_t from_hole = (at - hole) & mask;
        if (from_home < from_hole)
            continue;
        m->keys[hole] = m->keys[at];
        m->values[hole] = m->values[at];
        hole = at;
    }
    m->keys[hole] = 0;
    m->count--;
    return true;
}

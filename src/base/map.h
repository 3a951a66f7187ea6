/* Hash map from a 64-bit key (never 0) to a 32-bit value, open addressing with backward-shift
 * deletion; in an arena. Iteration order depends only on the history of calls, so it is the same in
 * every run. Not thread-safe. */
#ifndef EMP_BASE_MAP_H
#define EMP_BASE_MAP_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct emp_map {
    struct emp_arena *arena;
    uint64_t *keys; /* 0: empty */
    uint32_t *values;
    uint32_t count, cap; /* cap is a power of two, or 0 */
};
void emp_map_init(struct emp_map *m, struct emp_arena *arena);
void emp_map_put(struct emp_map *m, uint64_t key, uint32_t value); /* adds or replaces */
bool emp_map_get(const struct emp_map *m, uint64_t key,
                 uint32_t *ret);                   /* ret may be NULL; untouched when absent */
bool emp_map_del(struct emp_map *m, uint64_t key); /* was it there? */

#endif

/* Arena: memory with one owner and one end. Everything a brain holds lives in an arena; a request
 * or a batch has one that is reset when it is done. Running out of memory is fatal on purpose
 * (message on stderr, abort): the store has everything.
 *
 * Not thread-safe: one arena, one thread. Alignment is that of max_align_t. Memory is zeroed. The
 * struct may move (even into the arena itself): copy it, and use the old one no more. */
#ifndef EMP_BASE_ARENA_H
#define EMP_BASE_ARENA_H

#include <stddef.h>

struct emp_arena_block;
struct emp_arena {
    struct emp_arena_block *blocks; /* newest first */
    struct emp_arena_block *large;  /* allocations of their own, doubly linked */
    size_t block_bytes;
    size_t total_bytes; /* held from the system now, headers not counted */
};

void emp_arena_init(struct emp_arena *a, size_t block_bytes /* 0: 64 KiB */);
void emp_arena_release(struct emp_arena *a);
void emp_arena_reset(struct emp_arena *a); /* forgets all content, keeps one block for reuse */

/* Zeroed; `bytes` 0 is allowed and gives an address of its own. */
void *emp_arena_alloc(struct emp_arena *a, size_t bytes);
void *emp_arena_alloc_many(struct emp_arena *a, size_t count, size_t each); /* product checked */
void *emp_arena_dup(struct emp_arena *a, const void *p, size_t bytes);
char *emp_arena_printf(struct emp_arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Grows or shrinks; the tail of a grown one is zeroed. Allocations of 4 KiB and more are blocks of
 * their own, whose old place is returned to the system at once, so containers may grow in an arena
 * without waste. `old_bytes` is the size last asked for; p may be NULL (old_bytes 0). */
void *emp_arena_realloc(struct emp_arena *a, void *p, size_t old_bytes, size_t new_bytes);

/* Ends an allocation early: 4 KiB and more go back to the system, less stays where it is. p may be
 * NULL. */
void emp_arena_give_back(struct emp_arena *a, void *p, size_t bytes);

#define emp_arena_new(a, type)      ((type *)emp_arena_alloc((a), sizeof(type)))
#define emp_arena_array(a, type, n) ((type *)emp_arena_alloc_many((a), (n), sizeof(type)))

/* Makes room for one more in a (ptr, count, cap) array held in an arena. */
#define emp_arena_reserve(a, ptr, count, cap)                                    \
    do {                                                                         \
        if ((count) == (cap)) {                                                  \
            size_t emp_ncap_ = (cap) ? (size_t)(cap)*2 : 8;                      \
            (ptr) = emp_arena_realloc((a), (ptr), (size_t)(cap) * sizeof *(ptr), \
                                      emp_ncap_ * sizeof *(ptr));                \
            (cap) = emp_ncap_;                                                   \
        }                                                                        \
    } while (0)

/* Makes room for the element at `index` in a (ptr, cap) array held in an arena; what is new is
 * zero. It grows by doubling, from `first` on. */
#define emp_arena_reach(a, ptr, index, cap, first)                                                \
    do {                                                                                          \
        if ((index) >= (cap)) {                                                                   \
            size_t emp_reach_ = (cap) ? (cap) : (first);                                          \
            while (emp_reach_ <= (index))                                                         \
                emp_reach_ *= 2;                                                                  \
            (ptr) =                                                                               \
                emp_arena_realloc((a), (ptr), (cap) * sizeof *(ptr), emp_reach_ * sizeof *(ptr)); \
            (cap) = emp_reach_;                                                                   \
        }                                                                                         \
    } while (0)

#endif

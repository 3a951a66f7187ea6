/* Two kinds of memory stand behind an arena.
 *
 * Small allocations are cut off the newest block by moving `used` forward; what does not fit starts
 * a new block, and the rest of the old one is given up (at most LARGE bytes of it, so with the
 * default block at most one part in sixteen).
 *
 * Allocations of LARGE bytes and more have a block of their own in a doubly linked list, so that a
 * growing container can be moved by realloc(3), which for big ones remaps pages and copies nothing.
 * Which kind an address is follows from its size alone; that is why emp_arena_realloc must be told
 * the size that was asked for.
 *
 * Under AddressSanitizer what is not handed out is poisoned: a read past an allocation inside a
 * block, or of memory from before a reset, is reported like one of malloc's. */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define EMP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMP_ASAN 1
#endif
#endif

#ifdef EMP_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum {
    ALIGN = _Alignof(max_align_t),
    LARGE = 4096,
    BLOCK_DEFAULT = 64 * 1024,
};

struct emp_arena_block {
    struct emp_arena_block *next, *prev; /* prev: in the list of large ones only */
    size_t bytes;                        /* of data */
    size_t used;                         /* small blocks only */
    _Alignas(ALIGN) unsigned char data[];
};

static _Noreturn void die(const char *what, size_t bytes)
{
    fprintf(stderr, "emp: fatal: %s (%zu bytes)\n", what, bytes);
    abort();
}

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

/* A block for small allocations, in no list. Not zeroed: small_alloc does that piece by piece, and
 * most of a block is often given back unused. */
static struct emp_arena_block *block_new(struct emp_arena *a)
{
    struct emp_arena_block *b = malloc(sizeof *b + a->block_bytes);
    if (!b)
        die("out of memory", a->block_bytes);
    *b = (struct emp_arena_block){.bytes = a->block_bytes};
    a->total_bytes += b->bytes;
    return b;
}

/* A block for one large allocation of `bytes`, zeroed, in no list; `old` (may be NULL) is moved and
 * its place given back. */
static struct emp_arena_block *block_get(struct emp_arena *a, struct emp_arena_block *old,
                                         size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        die("allocation too large", bytes);
    size_t old_bytes = old ? old->bytes : 0;
    size_t all = sizeof(struct emp_arena_block) + bytes;
    struct emp_arena_block *b = old ? realloc(old, all) : calloc(1, all);
    if (!b)
        die("out of memory", bytes);
    if (old && bytes > old_bytes)
        memset(b->data + old_bytes, 0, bytes - old_bytes);
    b->bytes = bytes;
    a->total_bytes = a->total_bytes - old_bytes + bytes;
    return b;
}

static void block_put(struct emp_arena *a, struct emp_arena_block *b)
{
    UNPOISON(b->data, b->bytes);
    a->total_bytes -= b->bytes;
    free(b);
}

static void block_put_list(struct emp_arena *a, struct emp_arena_block *b)
{
    while (b) {
        struct emp_arena_block *next = b->next;
        block_put(a, b);
        b = next;
    }
}

static void large_link(struct emp_arena *a, struct emp_arena_block *b)
{
    b->prev = NULL;
    b->next = a->large;
    if (b->next)
        b->next->prev = b;
    a->large = b;
}

static void large_unlink(struct emp_arena *a, struct emp_arena_block *b)
{
    *(b->prev ? &b->prev->next : &a->large) = b->next;
    if (b->next)
        b->next->prev = b->prev;
}

static struct emp_arena_block *large_of(void *p)
{
    return (struct emp_arena_block *)((unsigned char *)p - offsetof(struct emp_arena_block, data));
}

void emp_arena_init(struct emp_arena *a, size_t block_bytes)
{
    if (block_bytes == 0)
        block_bytes = BLOCK_DEFAULT;
    if (block_bytes < LARGE)
        block_bytes = LARGE; /* whatever is small fits an empty block */
    *a = (struct emp_arena){.block_bytes = round_up(block_bytes)};
}

void emp_arena_release(struct emp_arena *a)
{
    block_put_list(a, a->blocks);
    block_put_list(a, a->large);
    a->blocks = a->large = NULL;
    assert(a->total_bytes == 0);
}

void emp_arena_reset(struct emp_arena *a)
{
    block_put_list(a, a->large);
    a->large = NULL;
    if (!a->blocks)
        return;
    block_put_list(a, a->blocks->next);
    a->blocks->next = NULL;
    a->blocks->used = 0;
    POISON(a->blocks->data, a->blocks->bytes);
}

static void *small_alloc(struct emp_arena *a, size_t bytes)
{
    struct emp_arena_block *b = a->blocks;
    size_t room = bytes ? round_up(bytes) : ALIGN; /* every allocation has an address of its own */
    if (!b || b->bytes - b->used < room) {
        b = block_new(a);
        POISON(b->data, b->bytes);
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = b->data + b->used;
    b->used += room;
    UNPOISON(p, bytes);
    memset(p, 0, bytes);
    return p;
}

void *emp_arena_alloc(struct emp_arena *a, size_t bytes)
{
    if (bytes < LARGE)
        return small_alloc(a, bytes);
    struct emp_arena_block *b = block_get(a, NULL, bytes);
    large_link(a, b);
    return b->data;
}

void *emp_arena_alloc_many(struct emp_arena *a, size_t count, size_t each)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, each, &bytes))
        die("array too long", count);
    return emp_arena_alloc(a, bytes);
}

void *emp_arena_dup(struct emp_arena *a, const void *p, size_t bytes)
{
    void *copy = emp_arena_alloc(a, bytes);
    if (bytes)
        memcpy(copy, p, bytes);
    return copy;
}

char *emp_arena_printf(struct emp_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        die("cannot format", 0);
    char *text = emp_arena_alloc(a, (size_t)len + 1);
    va_start(ap, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return text;
}

/* Grows or shrinks in place where the last small allocation is the one; else NULL. */
static void *small_resize(struct emp_arena *a, void *p, size_t old_bytes, size_t new_bytes)
{
    struct emp_arena_block *b = a->blocks;
    size_t old_room = old_bytes ? round_up(old_bytes) : ALIGN;
    if (!b || b->used < old_room || b->data + b->used - old_room != (unsigned char *)p)
        return NULL;
    size_t room = new_bytes ? round_up(new_bytes) : ALIGN;
    if (room > b->bytes - (b->used - old_room))
        return NULL;
    b->used = b->used - old_room + room;
    UNPOISON(p, new_bytes);
    if (new_bytes > old_bytes)
        memset((unsigned char *)p + old_bytes, 0, new_bytes - old_bytes);
    else
        POISON((unsigned char *)p + new_bytes, old_bytes - new_bytes);
    return p;
}

void *emp_arena_realloc(struct emp_arena *a, void *p, size_t old_bytes, size_t new_bytes)
{
    if (!p) {
        assert(old_bytes == 0);
        return emp_arena_alloc(a, new_bytes);
    }
    if (old_bytes >= LARGE) {
        struct emp_arena_block *b = large_of(p);
        assert(b->bytes == old_bytes);
        large_unlink(a, b);
        if (new_bytes >= LARGE) {
            b = block_get(a, b, new_bytes);
            large_link(a, b);
            return b->data;
        }
        void *small = emp_arena_dup(a, p, new_bytes);
        block_put(a, b);
        return small;
    }
    if (new_bytes < LARGE) {
        void *same = small_resize(a, p, old_bytes, new_bytes);
        if (same)
            return same;
        if (new_bytes <= old_bytes)
            return p;
    }
    void *grown = emp_arena_alloc(a, new_bytes);
    memcpy(grown, p, old_bytes);
    POISON(p, old_bytes);
    return grown;
}

void emp_arena_give_back(struct emp_arena *a, void *p, size_t bytes)
{
    if (p && bytes >= LARGE) {
        assert(large_of(p)->bytes == bytes);
        large_unlink(a, large_of(p));
        block_put(a, large_of(p));
    } else if (p) {
        POISON(p, bytes);
    }
}

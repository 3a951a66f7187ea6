/* Arena: blocks filled from the front, and large allocations of their own in a doubly linked list, so that growing containers
 * can give back their old place. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_BLOCK = 64 * 1024, LARGE = 4096, ALIGN = _Alignof(max_align_t) };

struct emp_arena_block {
    struct emp_arena_block *next, *prev; /* prev: large ones only */
    size_t bytes, used;
    _Alignas(max_align_t) unsigned char data[];
};

static struct emp_arena_block *block_new(struct emp_arena *a, size_t bytes)
{
    struct emp_arena_block *b = bytes < SIZE_MAX - sizeof *b ? calloc(1, sizeof *b + bytes) : NULL;
    if (b == NULL) {
        fprintf(stderr, "emp: out of memory (%zu bytes wanted, %zu held by this arena)\n", bytes, a->total_bytes);
        abort();
    }
    b->bytes = bytes;
    a->total_bytes += sizeof *b + bytes;
    return b;
}

static void block_free(struct emp_arena *a, struct emp_arena_block *b)
{
    a->total_bytes -= sizeof *b + b->bytes;
    free(b);
}

void emp_arena_init(struct emp_arena *a, size_t block_bytes)
{
    *a = (struct emp_arena){.block_bytes = block_bytes ? block_bytes : DEFAULT_BLOCK};
}

static void free_list(struct emp_arena *a, struct emp_arena_block *b)
{
    while (b) {
        struct emp_arena_block *next = b->next;
        block_free(a, b);
        b = next;
    }
}

void emp_arena_release(struct emp_arena *a)
{
    free_list(a, a->blocks);
    free_list(a, a->large);
    a->blocks = a->large = NULL;
}

void emp_arena_reset(struct emp_arena *a)
{
    free_list(a, a->large);
    a->large = NULL;
    if (a->blocks == NULL)
        return;
    free_list(a, a->blocks->next);
    a->blocks->next = NULL;
    memset(a->blocks->data, 0, a->blocks->used);
    a->blocks->used = 0;
}

static size_t aligned(size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        fprintf(stderr, "emp: absurd allocation of %zu bytes\n", bytes);
        abort();
    }
    return bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
}

static void *large_alloc(struct emp_arena *a, size_t bytes)
{
    struct emp_arena_block *b = block_new(a, bytes);
    b->used = bytes;
    b->next = a->large;
    if (a->large)
        a->large->prev = b;
    a->large = b;
    return b->data;
}

void *emp_arena_alloc(struct emp_arena *a, size_t bytes)
{
    size_t need = aligned(bytes);
    if (need >= LARGE)
        return large_alloc(a, need);
    struct emp_arena_block *b = a->blocks;
    if (b == NULL || b->bytes - b->used < need) {
        b = block_new(a, a->block_bytes > need ? a->block_bytes : need);
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = b->data + b->used;
    b->used += need;
    return p;
}

void *emp_arena_dup(struct emp_arena *a, const void *p, size_t bytes)
{
    void *q = emp_arena_alloc(a, bytes);
    if (bytes)
        memcpy(q, p, bytes);
    return q;
}

char *emp_arena_printf(struct emp_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *s = emp_arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
    if (n >= 0)
        vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}

static void large_free(struct emp_arena *a, struct emp_arena_block *b)
{
    if (b->prev)
        b->prev->next = b->next;
    else
        a->large = b->next;
    if (b->next)
        b->next->prev = b->prev;
    block_free(a, b);
}

void *emp_arena_realloc(struct emp_arena *a, void *p, size_t old_bytes, size_t new_bytes)
{
    if (p == NULL || old_bytes == 0)
        return emp_arena_alloc(a, new_bytes);
    size_t have = aligned(old_bytes);
    if (new_bytes <= have) {
        if (new_bytes > old_bytes)
            memset((char *)p + old_bytes, 0, new_bytes - old_bytes);
        if (have < LARGE || new_bytes >= LARGE)
            return p; /* a large one that shrinks below LARGE must move: its size tells where it lives */
    }
    void *q = emp_arena_alloc(a, new_bytes);
    memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    if (have >= LARGE)
        large_free(a, (struct emp_arena_block *)(void *)((char *)p - offsetof(struct emp_arena_block, data)));
    return q;
}

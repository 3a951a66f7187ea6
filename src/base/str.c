/* Slices, UTF-8, edit distance; the interner; the growable buffer. */
#include "base/str.h"
#include "base/random.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int emp_str_cmp(struct emp_str a, struct emp_str b)
{
    uint32_t n = a.len < b.len ? a.len : b.len;
    int r = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return r ? r : (a.len > b.len) - (a.len < b.len);
}

struct emp_str emp_str_copy(struct emp_arena *a, struct emp_str s)
{
    char *p = emp_arena_alloc(a, (size_t)s.len + 1);
    if (s.len)
        memcpy(p, s.ptr, s.len);
    return (struct emp_str){p, s.len};
}

uint64_t emp_str_hash(struct emp_str s)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (uint32_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3ULL;
    return emp_mix64(h);
}

/* Length of the well-formed sequence at p (RFC 3629), 0 if there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) ||
        (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

bool emp_utf8_valid(const char *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_sequence((const unsigned char *)p + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

unsigned emp_str_distance(struct emp_str a, struct emp_str b, unsigned max)
{
    enum { LONGEST = 256 };
    unsigned gap = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (gap > max || a.len > LONGEST || b.len > LONGEST)
        return max + 1;
    unsigned row[LONGEST + 1];
    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[b.len] <= max ? row[b.len] : max + 1;
}

/* ---- interner ---- */

void emp_intern_init(struct emp_intern *in, struct emp_arena *arena)
{
    *in = (struct emp_intern){.arena = arena};
    in->cap = 64;
    in->names = emp_arena_array(arena, struct emp_str, in->cap);
    in->count = 1;
    in->slot_count = 128;
    in->slots = emp_arena_array(arena, uint32_t, in->slot_count);
}

static uint32_t *intern_slot(const struct emp_intern *in, struct emp_str name)
{
    uint32_t at = (uint32_t)emp_str_hash(name) & (in->slot_count - 1);
    while (in->slots[at] && !emp_str_eq(in->names[in->slots[at]], name))
        at = (at + 1) & (in->slot_count - 1);
    return &in->slots[at];
}

uint32_t emp_intern_find(const struct emp_intern *in, struct emp_str name)
{
    return name.len ? *intern_slot(in, name) : 0;
}

static void intern_grow(struct emp_intern *in)
{
    in->names = emp_arena_realloc(in->arena, in->names, in->cap * sizeof *in->names, in->cap * 2 * sizeof *in->names);
    in->cap *= 2;
    in->slots = emp_arena_realloc(in->arena, in->slots, in->slot_count * sizeof *in->slots,
                                  in->slot_count * 2 * sizeof *in->slots);
    in->slot_count *= 2;
    memset(in->slots, 0, in->slot_count * sizeof *in->slots);
    for (uint32_t i = 1; i < in->count; i++)
        *intern_slot(in, in->names[i]) = i;
}

uint32_t emp_intern(struct emp_intern *in, struct emp_str name)
{
    if (name.len == 0)
        return 0;
    uint32_t *slot = intern_slot(in, name);
    if (*slot)
        return *slot;
    if (in->count == in->cap) {
        intern_grow(in);
        slot = intern_slot(in, name);
    }
    in->names[in->count] = emp_str_copy(in->arena, name);
    *slot = in->count;
    return in->count++;
}

struct emp_str emp_intern_name(const struct emp_intern *in, uint32_t id)
{
    return id < in->count ? in->names[id] : (struct emp_str){0};
}

/* ---- buffer ---- */

void emp_buf_init(struct emp_buf *b, size_t max_bytes)
{
    *b = (struct emp_buf){.max = max_bytes};
}

void emp_buf_release(struct emp_buf *b)
{
    free(b->data);
    *b = (struct emp_buf){.max = b->max};
}

void emp_buf_clear(struct emp_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

static bool buf_room(struct emp_buf *b, size_t more)
{
    if (b->failed || more > b->max - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 128;
    while (cap < need)
        cap *= 2;
    char *p = realloc(b->data, cap);
    if (p == NULL) {
        b->failed = true;
        return false;
    }
    b->data = p;
    b->cap = cap;
    return true;
}

void emp_buf_add(struct emp_buf *b, const void *p, size_t len)
{
    if (!buf_room(b, len))
        return;
    if (len)
        memcpy(b->data + b->len, p, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void emp_buf_addz(struct emp_buf *b, const char *z)
{
    emp_buf_add(b, z, strlen(z));
}

void emp_buf_printf(struct emp_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        b->failed = true;
    else if (buf_room(b, (size_t)n))
        b->len += (size_t)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    va_end(again);
}

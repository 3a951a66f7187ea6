/* Slices, UTF-8, distance of names; the interner; the growable text. */
#include "base/str.h"

#include "base/random.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int emp_str_cmp(struct emp_str a, struct emp_str b)
{
    uint32_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

struct emp_str emp_str_copy(struct emp_arena *a, struct emp_str s)
{
    char *copy = emp_arena_alloc(a, (size_t)s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct emp_str){copy, s.len};
}

char *emp_str_heap(struct emp_str s)
{
    char *copy = malloc((size_t)s.len + 1);
    if (copy == NULL)
        return NULL;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

uint64_t emp_str_hash(struct emp_str s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
    return emp_mix64(h); /* FNV's low bits alone are poor where keys differ in their last byte */
}

/* Length of the well-formed sequence (RFC 3629) at p, of which `left` bytes remain; 0 when it is
 * not one. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    /* By lead byte: length, and the range of the second byte, which rules out overlong forms,
     * surrogates and what lies above U+10FFFF. */
    static const struct {
        unsigned char first, last, len, low, high;
    } forms[] = {
        {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
        {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
        {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (p[0] < forms[i].first || p[0] > forms[i].last)
            continue;
        size_t len = forms[i].len;
        if (len > left || (len > 1 && (p[1] < forms[i].low || p[1] > forms[i].high)))
            return 0;
        for (size_t k = 2; k < len; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return len;
    }
    return 0;
}

bool emp_utf8_valid(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    for (size_t at = 0; at < len;) {
        uint64_t eight;
        if (len - at >= sizeof eight) { /* nearly all text is ASCII: eight at a time */
            memcpy(&eight, p + at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t step = utf8_sequence(p + at, len - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* One row of the table of Wagner and Fischer (1974) at a time, over the shorter name; ends early
 * when no cell of a row is within `max`. */
unsigned emp_str_distance(struct emp_str a, struct emp_str b, unsigned max)
{
    while (a.len && b.len && a.ptr[0] == b.ptr[0])
        a.ptr++, a.len--, b.ptr++, b.len--;
    while (a.len && b.len && a.ptr[a.len - 1] == b.ptr[b.len - 1])
        a.len--, b.len--;
    struct emp_str s = a.len < b.len ? a : b, t = a.len < b.len ? b : a;
    if (t.len - s.len > max || s.len > EMP_STR_DISTANCE_MAX)
        return max + 1;
    unsigned row[EMP_STR_DISTANCE_MAX + 1];
    for (uint32_t i = 0; i <= s.len; i++)
        row[i] = i;
    for (uint32_t j = 1; j <= t.len; j++) {
        unsigned diagonal = row[0], best = j;
        row[0] = j;
        for (uint32_t i = 1; i <= s.len; i++) {
            unsigned swap = diagonal + (s.ptr[i - 1] != t.ptr[j - 1]);
            diagonal = row[i];
            row[i] = min3(swap, row[i] + 1, row[i - 1] + 1);
            best = row[i] < best ? row[i] : best;
        }
        if (best > max)
            return max + 1;
    }
    return row[s.len] <= max ? row[s.len] : max + 1;
}

/* ---- interner: names by number, and a table of numbers probed linearly; at most half full;
 * nothing is ever removed */

enum { INTERN_SLOTS_FIRST = 16 };

void emp_intern_init(struct emp_intern *in, struct emp_arena *arena)
{
    *in = (struct emp_intern){.arena = arena, .slot_count = INTERN_SLOTS_FIRST};
    in->slots = emp_arena_array(arena, uint32_t, in->slot_count);
    emp_arena_reserve(arena, in->names, in->count, in->cap);
    in->names[in->count++] = EMP_STR("");
}

/* The slot that holds the number of `name`, or the empty one where it would go. */
static uint32_t intern_slot(const struct emp_intern *in, struct emp_str name)
{
    uint32_t mask = in->slot_count - 1;
    uint32_t at = (uint32_t)emp_str_hash(name) & mask;
    while (in->slots[at] != 0 && !emp_str_eq(in->names[in->slots[at]], name))
        at = (at + 1) & mask;
    return at;
}

static void intern_grow(struct emp_intern *in)
{
    uint32_t *old = in->slots;
    uint32_t old_count = in->slot_count;
    in->slot_count = old_count * 2;
    assert(in->slot_count != 0);
    in->slots = emp_arena_array(in->arena, uint32_t, in->slot_count);
    for (uint32_t id = 1; id < in->count; id++)
        in->slots[intern_slot(in, in->names[id])] = id;
    emp_arena_give_back(in->arena, old, old_count * sizeof *old);
}

uint32_t emp_intern(struct emp_intern *in, struct emp_str name)
{
    if (name.len == 0)
        return 0;
    uint32_t at = intern_slot(in, name);
    if (in->slots[at] != 0)
        return in->slots[at];
    if (in->count >= in->slot_count / 2) {
        intern_grow(in);
        at = intern_slot(in, name);
    }
    emp_arena_reserve(in->arena, in->names, in->count, in->cap);
    uint32_t id = in->count++;
    in->names[id] = emp_str_copy(in->arena, name);
    in->slots[at] = id;
    return id;
}

uint32_t emp_intern_find(const struct emp_intern *in, struct emp_str name)
{
    return name.len ? in->slots[intern_slot(in, name)] : 0;
}

struct emp_str emp_intern_name(const struct emp_intern *in, uint32_t id)
{
    assert(id < in->count);
    return in->names[id];
}

/* ---- growable text */

enum { BUF_CAP_FIRST = 128 };

void emp_buf_init(struct emp_buf *b, size_t max_bytes)
{
    *b = (struct emp_buf){.max = max_bytes < SIZE_MAX / 4 ? max_bytes : SIZE_MAX / 4};
}

void emp_buf_release(struct emp_buf *b)
{
    free(b->data);
    emp_buf_init(b, b->max);
}

void emp_buf_clear(struct emp_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = 0;
}

/* Room for `more` bytes and the NUL, or `failed`. */
static bool buf_reserve(struct emp_buf *b, size_t more)
{
    if (b->failed || more > b->max - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap * 2 : BUF_CAP_FIRST;
    cap = cap < need ? need : cap;
    cap = cap > b->max + 1 ? b->max + 1 : cap;
    char *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void emp_buf_add(struct emp_buf *b, const void *p, size_t len)
{
    if (!buf_reserve(b, len))
        return;
    if (len)
        memcpy(b->data + b->len, p, len);
    b->len += len;
    b->data[b->len] = 0;
}

void emp_buf_addz(struct emp_buf *b, const char *z)
{
    emp_buf_add(b, z, strlen(z));
}

void emp_buf_printf(struct emp_buf *b, const char *fmt, ...)
{
    if (b->failed)
        return;
    size_t room = b->cap - b->len; /* 0 while there is no data */
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
    va_end(ap);
    if (len >= 0 && (size_t)len < room && (size_t)len <= b->max - b->len) {
        b->len += (size_t)len;
        return;
    }
    if (room)
        b->data[b->len] = 0; /* as it was */
    if (len < 0 || !buf_reserve(b, (size_t)len)) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
}

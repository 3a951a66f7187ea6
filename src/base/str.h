/* Strings: slices that borrow, an interner that gives small numbers to names, and a growable text
 * buffer with a maximum. Slices need not end in NUL. Not thread-safe where there is state. */
#ifndef EMP_BASE_STR_H
#define EMP_BASE_STR_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct emp_str {
    const char *ptr; /* NULL only when len is 0 */
    uint32_t len;
};

#define EMP_STR(lit)   ((struct emp_str){(lit), sizeof(lit) - 1})
#define EMP_STR_FMT(s) (int)(s).len, (s).len ? (s).ptr : "" /* for "%.*s" */

static inline struct emp_str emp_str_z(const char *z)
{
    return (struct emp_str){z, z ? (uint32_t)strlen(z) : 0};
}
static inline bool emp_str_eq(struct emp_str a, struct emp_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
int emp_str_cmp(struct emp_str a, struct emp_str b);                /* bytewise; <0, 0, >0 */
struct emp_str emp_str_copy(struct emp_arena *a, struct emp_str s); /* NUL-terminated copy */
char *emp_str_heap(struct emp_str s);    /* the same from malloc; NULL when there is no memory */
uint64_t emp_str_hash(struct emp_str s); /* FNV-1a with a finaliser; the same everywhere */

/* Well-formed UTF-8 (RFC 3629: nothing overlong, no surrogates, up to U+10FFFF). NUL is a character
 * like others. */
bool emp_utf8_valid(const char *p, size_t len);

/* Levenshtein distance in bytes; max + 1 when farther. Meant for names: when, common beginning and
 * end aside, the shorter is longer than EMP_STR_DISTANCE_MAX, the answer is max + 1. Time is the
 * product of the lengths. */
enum { EMP_STR_DISTANCE_MAX = 256 };
unsigned emp_str_distance(struct emp_str a, struct emp_str b, unsigned max);

/* Interner: name -> number from 1 upward in order of first sight; 0 is "none" and the empty string.
 * Names are copied. */
struct emp_intern {
    struct emp_arena *arena;
    struct emp_str *names; /* by number; names[0] is empty */
    uint32_t count, cap;   /* count includes number 0 */
    uint32_t *slots;
    uint32_t slot_count;
};
void emp_intern_init(struct emp_intern *in, struct emp_arena *arena);
uint32_t emp_intern(struct emp_intern *in, struct emp_str name);            /* finds or adds */
uint32_t emp_intern_find(const struct emp_intern *in, struct emp_str name); /* 0 when absent */
struct emp_str emp_intern_name(const struct emp_intern *in, uint32_t id);

/* Growable text on the heap with a hard maximum (the NUL not counted). An append that does not fit,
 * or finds no memory, changes nothing and sets `failed`; later appends do nothing. So many appends
 * need one check, at the end. NUL-terminated whenever data is not NULL; what is appended must not
 * lie in the buffer itself. */
struct emp_buf {
    char *data;
    size_t len, cap, max;
    bool failed;
};
void emp_buf_init(struct emp_buf *b, size_t max_bytes);
void emp_buf_release(struct emp_buf *b); /* empty again, usable */
void emp_buf_clear(struct emp_buf *b);   /* empty and not failed; keeps the memory */
void emp_buf_add(struct emp_buf *b, const void *p, size_t len);
void emp_buf_addz(struct emp_buf *b, const char *z);
void emp_buf_printf(struct emp_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

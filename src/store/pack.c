/* See pack.h. One loop over a table writes, one reads; what differs by type stands in a table of
 * functions, so that adding a type is one writer and one reader. Offsets of strings are remembered
 * while writing (the first few, at least 4 bytes long): in a record the same machine and pool stand
 * up to five times. */
#include "store/pack.h"

#include "base/error.h"

#include <assert.h>
#include <math.h>

enum wire { WIRE_NUMBER, WIRE_FIXED, WIRE_STR, WIRE_GROUP, WIRE_STRS, WIRE_GROUPS };
enum { SEEN_MAX = 16, SEEN_LEN_MIN = 4, DEPTH_MAX = 8, VARINT_MAX = 10 };

/* ------------------------------------------------------------------ writing */

struct seen {
    uint32_t offset; /* of the header */
    struct emp_str str;
};
struct writer {
    struct emp_arena *arena;
    uint8_t *data;
    size_t len, cap;
    uint32_t seen_count;
    struct seen seen[SEEN_MAX];
};

static uint8_t *room(struct writer *w, size_t more)
{
    if (w->len + more > w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 512;
        while (cap < w->len + more)
            cap *= 2;
        w->data = emp_arena_realloc(w->arena, w->data, w->cap, cap);
        w->cap = cap;
    }
    return w->data + w->len;
}

static void put_varint(struct writer *w, uint64_t v)
{
    uint8_t *p = room(w, VARINT_MAX), *q = p;
    while (v >= 0x80) {
        *q++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *q++ = (uint8_t)v;
    w->len += (size_t)(q - p);
}

static void put_signed(struct writer *w, int64_t v)
{
    put_varint(w, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static void put_fixed(struct writer *w, uint64_t v)
{
    uint8_t *p = room(w, 8);
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
    w->len += 8;
}

static void put_key(struct writer *w, uint8_t tag, enum wire wire)
{
    put_varint(w, (uint64_t)tag << 3 | wire);
}

static void put_str(struct writer *w, struct emp_str s)
{
    if (s.len >= SEEN_LEN_MIN) {
        for (uint32_t i = 0; i < w->seen_count; i++) {
            if (emp_str_eq(w->seen[i].str, s)) {
                put_varint(w, (uint64_t)w->seen[i].offset << 1 | 1);
                return;
            }
        }
        if (w->seen_count < SEEN_MAX)
            w->seen[w->seen_count++] = (struct seen){(uint32_t)w->len, s};
    }
    put_varint(w, (uint64_t)s.len << 1);
    if (s.len)
        memcpy(room(w, s.len), s.ptr, s.len);
    w->len += s.len;
}

static void put_group(struct writer *w, const struct emp_pack_shape *shape, const void *object);

static uint32_t count_of(const struct emp_pack_field *f, const void *object)
{
    uint32_t n;
    memcpy(&n, (const char *)object + f->count_offset, sizeof n);
    assert(n <= f->max);
    return n;
}

static void write_str(struct writer *w, const struct emp_pack_field *f, const void *at,
                      const void *object)
{
    (void)object;
    put_key(w, f->tag, WIRE_STR);
    put_str(w, *(const struct emp_str *)at);
}

static void write_text(struct writer *w, const struct emp_pack_field *f, const void *at,
                       const void *object)
{
    (void)object;
    put_key(w, f->tag, WIRE_STR);
    put_str(w, (struct emp_str){at, (uint32_t)strnlen(at, f->max - 1)});
}

/* A whole number (the usual priority, the usual GB) is shorter as one; -0.0 and what is beyond
 * exactness go as bits. */
static void put_double(struct writer *w, uint8_t tag, double v)
{
    if (v == floor(v) && fabs(v) < 9007199254740992.0 && !(v == 0 && signbit(v))) {
        put_key(w, tag, WIRE_NUMBER);
        put_signed(w, (int64_t)v);
        return;
    }
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_key(w, tag, WIRE_FIXED);
    put_fixed(w, bits);
}

static void write_f64(struct writer *w, const struct emp_pack_field *f, const void *at,
                      const void *object)
{
    (void)object;
    put_double(w, f->tag, *(const double *)at);
}

static void write_f32(struct writer *w, const struct emp_pack_field *f, const void *at,
                      const void *object)
{
    (void)object;
    put_double(w, f->tag, (double)*(const float *)at);
}

static void write_i64(struct writer *w, const struct emp_pack_field *f, const void *at,
                      const void *object)
{
    (void)object;
    put_key(w, f->tag, WIRE_NUMBER);
    put_signed(w, *(const int64_t *)at);
}

static void write_i32(struct writer *w, const struct emp_pack_field *f, const void *at,
                      const void *object)
{
    (void)object;
    put_key(w, f->tag, WIRE_NUMBER);
    put_signed(w, *(const int32_t *)at);
}

static void write_u32(struct writer *w, const struct emp_pack_field *f, const void *at,
                      const void *object)
{
    (void)object;
    put_key(w, f->tag, WIRE_NUMBER);
    put_signed(w, *(const uint32_t *)at);
}

static void write_hash(struct writer *w, const struct emp_pack_field *f, const void *at,
                       const void *object)
{
    (void)object;
    put_key(w, f->tag, WIRE_FIXED);
    put_fixed(w, *(const uint64_t *)at);
}

static void write_bool(struct writer *w, const struct emp_pack_field *f, const void *at,
                       const void *object)
{
    (void)object;
    put_key(w, f->tag, WIRE_NUMBER);
    put_signed(w, *(const bool *)at);
}

static void write_error(struct writer *w, const struct emp_pack_field *f, const void *at,
                        const void *object)
{
    (void)object;
    int code = *(const int *)at;
    put_key(w, f->tag, WIRE_STR);
    put_str(w, code ? emp_str_z(emp_error_name(code)) : (struct emp_str){0});
}

static void write_strs(struct writer *w, const struct emp_pack_field *f, const void *at,
                       const void *object)
{
    uint32_t n = count_of(f, object);
    const struct emp_str *strs = *(struct emp_str *const *)at;
    put_key(w, f->tag, WIRE_STRS);
    put_varint(w, n);
    for (uint32_t i = 0; i < n; i++)
        put_str(w, strs[i]);
}

static void write_shape(struct writer *w, const struct emp_pack_field *f, const void *at,
                        const void *object)
{
    (void)object;
    put_key(w, f->tag, WIRE_GROUP);
    put_group(w, f->shape, at);
    put_varint(w, 0);
}

static void put_groups(struct writer *w, const struct emp_pack_field *f, const void *items,
                       uint32_t n)
{
    put_key(w, f->tag, WIRE_GROUPS);
    put_varint(w, n);
    for (uint32_t i = 0; i < n; i++) {
        put_group(w, f->shape, (const char *)items + (size_t)i * f->shape->size);
        put_varint(w, 0);
    }
}

static void write_shapes(struct writer *w, const struct emp_pack_field *f, const void *at,
                         const void *object)
{
    put_groups(w, f, *(const void *const *)at, count_of(f, object));
}

static void write_row(struct writer *w, const struct emp_pack_field *f, const void *at,
                      const void *object)
{
    put_groups(w, f, at, count_of(f, object));
}

/* ------------------------------------------------------------------ reading */

struct reader {
    const uint8_t *start, *at, *end;
    struct emp_arena *arena;
    unsigned depth;
};

static int get_varint(struct reader *r, uint64_t *ret)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t b = *r->at++;
        if (shift == 63 && b > 1)
            return EMP_E_INTERNAL;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *ret = v;
            return 0;
        }
    }
    return EMP_E_INTERNAL;
}

static int get_signed(struct reader *r, int64_t *ret)
{
    uint64_t v;
    if (get_varint(r, &v) < 0)
        return EMP_E_INTERNAL;
    *ret = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
    return 0;
}

static int get_ranged(struct reader *r, int64_t min, int64_t max, int64_t *ret)
{
    if (get_signed(r, ret) < 0 || *ret < min || *ret > max)
        return EMP_E_INTERNAL;
    return 0;
}

static int get_fixed(struct reader *r, uint64_t *ret)
{
    if (r->end - r->at < 8)
        return EMP_E_INTERNAL;
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)r->at[i] << (8 * i);
    r->at += 8;
    *ret = v;
    return 0;
}

/* The str whose header is at r->at; references must point backwards, to bytes. */
static int get_str(struct reader *r, struct emp_str *ret)
{
    const uint8_t *header = r->at;
    uint64_t v;
    if (get_varint(r, &v) < 0)
        return EMP_E_INTERNAL;
    if (v & 1) {
        struct reader back = {r->start, r->start, header, NULL, 0};
        if (v >> 1 >= (uint64_t)(header - r->start))
            return EMP_E_INTERNAL;
        back.at += v >> 1;
        if (get_varint(&back, &v) < 0 || (v & 1) || v >> 1 > (uint64_t)(back.end - back.at))
            return EMP_E_INTERNAL;
        *ret = (struct emp_str){(const char *)back.at, (uint32_t)(v >> 1)};
        return 0;
    }
    if (v >> 1 > (uint64_t)(r->end - r->at))
        return EMP_E_INTERNAL;
    *ret = (struct emp_str){v ? (const char *)r->at : NULL, (uint32_t)(v >> 1)};
    r->at += v >> 1;
    return 0;
}

static int get_group(struct reader *r, const struct emp_pack_shape *shape, void *object,
                     bool nested);

static int get_count(struct reader *r, uint32_t max, uint32_t *ret)
{
    uint64_t n;
    if (get_varint(r, &n) < 0 || n > max || n > (uint64_t)(r->end - r->at))
        return EMP_E_INTERNAL;
    *ret = (uint32_t)n;
    return 0;
}

static void set_count(const struct emp_pack_field *f, void *object, uint32_t n)
{
    memcpy((char *)object + f->count_offset, &n, sizeof n);
}

static int read_str(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                    void *object)
{
    (void)f, (void)object;
    return wire == WIRE_STR ? get_str(r, at) : EMP_E_INTERNAL;
}

static int read_text(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                     void *object)
{
    (void)object;
    struct emp_str s;
    if (wire != WIRE_STR || get_str(r, &s) < 0 || s.len >= f->max)
        return EMP_E_INTERNAL;
    memset(at, 0, f->max);
    if (s.len)
        memcpy(at, s.ptr, s.len);
    return 0;
}

static int read_f64(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                    void *object)
{
    (void)f, (void)object;
    int64_t whole;
    uint64_t bits;
    if (wire == WIRE_NUMBER) {
        if (get_signed(r, &whole) < 0)
            return EMP_E_INTERNAL;
        *(double *)at = (double)whole;
        return 0;
    }
    if (wire != WIRE_FIXED || get_fixed(r, &bits) < 0)
        return EMP_E_INTERNAL;
    memcpy(at, &bits, sizeof bits);
    return 0;
}

static int read_f32(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                    void *object)
{
    double v;
    if (read_f64(r, wire, f, &v, object) < 0)
        return EMP_E_INTERNAL;
    *(float *)at = (float)v;
    return 0;
}

static int read_i64(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                    void *object)
{
    (void)f, (void)object;
    return wire == WIRE_NUMBER ? get_signed(r, at) : EMP_E_INTERNAL;
}

static int read_i32(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                    void *object)
{
    (void)f, (void)object;
    int64_t v;
    if (wire != WIRE_NUMBER || get_ranged(r, INT32_MIN, INT32_MAX, &v) < 0)
        return EMP_E_INTERNAL;
    *(int32_t *)at = (int32_t)v;
    return 0;
}

static int read_u32(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                    void *object)
{
    (void)f, (void)object;
    int64_t v;
    if (wire != WIRE_NUMBER || get_ranged(r, 0, UINT32_MAX, &v) < 0)
        return EMP_E_INTERNAL;
    *(uint32_t *)at = (uint32_t)v;
    return 0;
}

static int read_hash(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                     void *object)
{
    (void)f, (void)object;
    return wire == WIRE_FIXED ? get_fixed(r, at) : EMP_E_INTERNAL;
}

static int read_bool(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                     void *object)
{
    (void)f, (void)object;
    int64_t v;
    if (wire != WIRE_NUMBER || get_ranged(r, 0, 1, &v) < 0)
        return EMP_E_INTERNAL;
    *(bool *)at = v != 0;
    return 0;
}

static int read_enum(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                     void *object)
{
    (void)object;
    int64_t v;
    if (wire != WIRE_NUMBER || get_ranged(r, 0, (int64_t)f->max - 1, &v) < 0)
        return EMP_E_INTERNAL;
    *(uint32_t *)at = (uint32_t)v;
    return 0;
}

static int read_error(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                      void *object)
{
    (void)f, (void)object;
    char name[64];
    struct emp_str s;
    if (wire != WIRE_STR || get_str(r, &s) < 0 || s.len >= sizeof name)
        return EMP_E_INTERNAL;
    if (s.len)
        memcpy(name, s.ptr, s.len);
    name[s.len] = '\0';
    *(int *)at = s.len ? emp_error_from_name(name) : 0;
    return 0;
}

static int read_strs(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                     void *object)
{
    uint32_t n;
    if (wire != WIRE_STRS || get_count(r, f->max, &n) < 0)
        return EMP_E_INTERNAL;
    struct emp_str *strs = emp_arena_array(r->arena, struct emp_str, n);
    for (uint32_t i = 0; i < n; i++)
        if (get_str(r, &strs[i]) < 0)
            return EMP_E_INTERNAL;
    *(struct emp_str **)at = strs;
    set_count(f, object, n);
    return 0;
}

static int read_shape(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                      void *object)
{
    (void)object;
    return wire == WIRE_GROUP ? get_group(r, f->shape, at, true) : EMP_E_INTERNAL;
}

static int get_groups(struct reader *r, const struct emp_pack_field *f, void *items, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (get_group(r, f->shape, (char *)items + (size_t)i * f->shape->size, true) < 0)
            return EMP_E_INTERNAL;
    return 0;
}

static int read_shapes(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                       void *object)
{
    uint32_t n;
    if (wire != WIRE_GROUPS || get_count(r, f->max, &n) < 0)
        return EMP_E_INTERNAL;
    void *items = emp_arena_alloc(r->arena, (size_t)n * f->shape->size);
    if (get_groups(r, f, items, n) < 0)
        return EMP_E_INTERNAL;
    *(void **)at = items;
    set_count(f, object, n);
    return 0;
}

static int read_row(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                    void *object)
{
    uint32_t n;
    if (wire != WIRE_GROUPS || get_count(r, f->max, &n) < 0 || get_groups(r, f, at, n) < 0)
        return EMP_E_INTERNAL;
    set_count(f, object, n);
    return 0;
}

/* ------------------------------------------------------------------ the table of types */

static const struct type {
    uint32_t size; /* compared with the default over so many bytes; 0: by count or content */
    void (*write)(struct writer *w, const struct emp_pack_field *f, const void *at,
                  const void *object);
    int (*read)(struct reader *r, enum wire wire, const struct emp_pack_field *f, void *at,
                void *object);
} types[] = {
    [EMP_PACK_STR] = {0, write_str, read_str},
    [EMP_PACK_TEXT] = {1, write_text, read_text}, /* empty or not */
    [EMP_PACK_F64] = {sizeof(double), write_f64, read_f64},
    [EMP_PACK_F32] = {sizeof(float), write_f32, read_f32},
    [EMP_PACK_I64] = {sizeof(int64_t), write_i64, read_i64},
    [EMP_PACK_I32] = {sizeof(int32_t), write_i32, read_i32},
    [EMP_PACK_U32] = {sizeof(uint32_t), write_u32, read_u32},
    [EMP_PACK_HASH] = {sizeof(uint64_t), write_hash, read_hash},
    [EMP_PACK_BOOL] = {sizeof(bool), write_bool, read_bool},
    [EMP_PACK_ENUM] = {sizeof(uint32_t), write_u32, read_enum},
    [EMP_PACK_ERROR] = {sizeof(int), write_error, read_error},
    [EMP_PACK_STRS] = {0, write_strs, read_strs},
    [EMP_PACK_SHAPE] = {0, write_shape, read_shape},
    [EMP_PACK_SHAPES] = {0, write_shapes, read_shapes},
    [EMP_PACK_ROW] = {0, write_row, read_row},
};

static bool at_default(const struct emp_pack_shape *shape, const struct emp_pack_field *f,
                       const char *object)
{
    static const uint64_t zero;
    const char *at = object + f->offset;
    uint32_t size = types[f->type].size;
    if (size)
        return memcmp(at,
                      shape->defaults ? (const char *)shape->defaults + f->offset
                                      : (const char *)&zero,
                      size) == 0;
    if (f->type == EMP_PACK_STR)
        return ((const struct emp_str *)(const void *)at)->len == 0;
    return f->type != EMP_PACK_SHAPE && count_of(f, object) == 0;
}

static void put_group(struct writer *w, const struct emp_pack_shape *shape, const void *object)
{
    for (uint32_t i = 0; i < shape->field_count; i++) {
        const struct emp_pack_field *f = &shape->fields[i];
        if (!at_default(shape, f, object))
            types[f->type].write(w, f, (const char *)object + f->offset, object);
    }
}

struct emp_str emp_pack(const struct emp_pack_shape *shape, const void *object, struct emp_arena *a)
{
    struct writer w = {.arena = a};
    put_group(&w, shape, object);
    return (struct emp_str){(const char *)w.data, (uint32_t)w.len};
}

static int skip_group(struct reader *r);

static int skip_list(struct reader *r, enum wire wire)
{
    uint32_t n;
    struct emp_str s;
    int rc = get_count(r, UINT32_MAX, &n);
    for (uint32_t i = 0; rc >= 0 && i < n; i++)
        rc = wire == WIRE_STRS ? get_str(r, &s) : skip_group(r);
    return rc;
}

static int skip_value(struct reader *r, unsigned wire)
{
    uint64_t number;
    struct emp_str s;
    switch (wire) {
    case WIRE_NUMBER:
        return get_varint(r, &number);
    case WIRE_FIXED:
        return get_fixed(r, &number);
    case WIRE_STR:
        return get_str(r, &s);
    case WIRE_GROUP:
        return skip_group(r);
    case WIRE_STRS:
    case WIRE_GROUPS:
        return skip_list(r, wire);
    default:
        return EMP_E_INTERNAL;
    }
}

static int skip_group(struct reader *r)
{
    uint64_t key;
    int rc = ++r->depth > DEPTH_MAX ? EMP_E_INTERNAL : get_varint(r, &key);
    while (rc >= 0 && key) {
        rc = skip_value(r, key & 7);
        if (rc >= 0)
            rc = get_varint(r, &key);
    }
    r->depth--;
    return rc;
}

/* The field of a tag: they come in ascending order, so the search goes on where the last one was
 * found. */
static const struct emp_pack_field *field_of(const struct emp_pack_shape *shape, uint32_t *from,
                                             uint64_t tag)
{
    for (uint32_t i = *from; i < shape->field_count; i++) {
        if (shape->fields[i].tag == tag) {
            *from = i + 1;
            return &shape->fields[i];
        }
    }
    return NULL;
}

static int get_fields(struct reader *r, const struct emp_pack_shape *shape, void *object,
                      bool nested)
{
    uint32_t from = 0;
    uint64_t key;
    while (nested || r->at < r->end) {
        if (get_varint(r, &key) < 0)
            return EMP_E_INTERNAL;
        if (key == 0)
            return nested ? 0 : EMP_E_INTERNAL;
        const struct emp_pack_field *f = field_of(shape, &from, key >> 3);
        int rc = f ? types[f->type].read(r, key & 7, f, (char *)object + f->offset, object)
                   : skip_value(r, key & 7);
        if (rc < 0)
            return EMP_E_INTERNAL;
    }
    return 0;
}

/* Strings, lists and structs inside have no default but being empty: those of `defaults` are empty,
 * too. */
static int get_group(struct reader *r, const struct emp_pack_shape *shape, void *object,
                     bool nested)
{
    if (shape->defaults)
        memcpy(object, shape->defaults, shape->size);
    else
        memset(object, 0, shape->size);
    int rc = ++r->depth > DEPTH_MAX ? EMP_E_INTERNAL : get_fields(r, shape, object, nested);
    r->depth--;
    return rc;
}

int emp_unpack(const struct emp_pack_shape *shape, struct emp_str bytes, struct emp_arena *a,
               void *ret)
{
    const uint8_t *p = (const uint8_t *)bytes.ptr;
    struct reader r = {p, p, p ? p + bytes.len : p, a, 0};
    return get_group(&r, shape, ret, false);
}

/* Structs to compact bytes and back, by tables that name each field. This is the durable form of
 * records, specs, machines and models: what is at its default takes no room, a string that stood
 * before is a reference to it, unknown fields of a later version are passed over. Pure; the writer
 * and what is decoded live in an arena; decoding never reads outside its input and refuses what is
 * damaged.
 *
 * Bytes of a group: fields, then (when nested or in a list) a 0 byte. A field is
 * varint(tag << 3 | wire), then, by its wire:
 *
 *   NUMBER   varint, zigzag
 *   FIXED    8 bytes, little endian
 *   STR      str
 *   GROUP    group
 *   STRS     varint count, strs
 *   GROUPS   varint count, groups
 *
 * where str is varint(len << 1) and len bytes, or varint(offset << 1 | 1): the str whose bytes
 * follow the header at that offset of the whole.
 *
 * Tags and the numbers of enums are durable: never change or reuse one. */
#ifndef EMP_STORE_PACK_H
#define EMP_STORE_PACK_H

#include "base/arena.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

enum emp_pack_type {
    EMP_PACK_STR,  /* struct emp_str */
    EMP_PACK_TEXT, /* char[max], NUL-terminated */
    EMP_PACK_F64,  /* double */
    EMP_PACK_F32,  /* float */
    EMP_PACK_I64,
    EMP_PACK_I32,
    EMP_PACK_U32,
    EMP_PACK_HASH, /* uint64_t whose bits are all used */
    EMP_PACK_BOOL,
    EMP_PACK_ENUM,   /* an enum below max */
    EMP_PACK_ERROR,  /* int, 0 or EMP_E_*: kept by its name */
    EMP_PACK_STRS,   /* struct emp_str *, with a uint32_t count up to max */
    EMP_PACK_SHAPE,  /* a struct inside */
    EMP_PACK_SHAPES, /* pointer to structs, with a uint32_t count up to max */
    EMP_PACK_ROW,    /* array of max structs inside, of which a uint32_t count are used */
};

struct emp_pack_shape;
struct emp_pack_field {
    uint8_t tag; /* 1 … 127 */
    uint8_t type;
    uint16_t offset, count_offset;
    uint32_t max;
    const struct emp_pack_shape *shape;
};
struct emp_pack_shape {
    uint32_t size; /* of the struct */
    uint32_t field_count;
    const void *defaults; /* such a struct, or NULL: all zero. Part of the durable form */
    const struct emp_pack_field *fields; /* tags ascending */
};

/* Encodes into the arena; valid until it is reset. Never fails: counts above their max are the
 * caller's fault and asserted. */
struct emp_str emp_pack(const struct emp_pack_shape *shape, const void *object,
                        struct emp_arena *a);

/* 0; or EMP_E_INTERNAL when the bytes are damaged, *ret then undefined. Strings point into `bytes`,
 * arrays live in `a`. */
int emp_unpack(const struct emp_pack_shape *shape, struct emp_str bytes, struct emp_arena *a,
               void *ret);

#endif

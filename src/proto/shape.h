/* Structs to JSON objects and back, by tables that name each field: its type, range and meaning.
 * One table feeds the decoder (which checks), the encoder (which leaves out what is at its default:
 * 0, empty, false), the tests and the manual.
 *
 * Decoding takes what it knows and ignores the rest; null is the same as absent. A value of the
 * wrong type or out of range, a string that is too long, a required field that is missing:
 * EMP_E_INVALID, err->field is the path ("models[3].sha256"), err->text tells the value. Strings
 * point into the parsed text or its arena. The object must be zeroed, or hold the defaults, before.
 *
 * Encoding brings what a peer would refuse into range rather than produce a message that cannot be
 * delivered: numbers to the nearer end, EMP_FIELD_CUT strings to their maximum. Counts above their
 * maximum are not cut: encoding then fails. Pure, any thread. */
#ifndef EMP_PROTO_SHAPE_H
#define EMP_PROTO_SHAPE_H

#include "proto/json.h"
#include "proto/writer.h"

#include <stddef.h>

enum emp_field_type {
    EMP_FIELD_STR,    /* struct emp_str of min … max bytes */
    EMP_FIELD_NAME,   /* likewise, without control characters */
    EMP_FIELD_SHA256, /* char[65]: empty, or 64 hex digits */
    EMP_FIELD_I64,    /* whole numbers, min … max */
    EMP_FIELD_I32,
    EMP_FIELD_U32,
    EMP_FIELD_U64,
    EMP_FIELD_F64, /* numbers, min … max */
    EMP_FIELD_F32,
    EMP_FIELD_SECONDS, /* int64_t milliseconds, in JSON seconds with decimals; min … max in seconds
                        */
    EMP_FIELD_BOOL,
    EMP_FIELD_WORD,   /* an enum, as one of `words` */
    EMP_FIELD_ERROR,  /* int, 0 or EMP_E_*: the word of base/error.def; unknown words are
                         EMP_E_INTERNAL */
    EMP_FIELD_NAMES,  /* struct emp_str *, up to max names of 1 … each_max bytes */
    EMP_FIELD_SHAPE,  /* a struct inside: an object */
    EMP_FIELD_SHAPES, /* pointer to up to max structs: an array of objects */
    EMP_FIELD_RAW,    /* struct emp_str: any value, as it stands in the text, up to max bytes */
    EMP_FIELD_OBJECT, /* likewise, an object */
    EMP_FIELD_CODEC,  /* by functions of its own */
    EMP_FIELD_TYPES
};

enum emp_field_flags {
    EMP_FIELD_REQUIRED = 1, /* must be there when decoding, and is always written */
    EMP_FIELD_CUT = 2,      /* STR: encoding cuts it at max */
};

/* The words of an enum that counts from 0. */
struct emp_words {
    const char *(*word)(unsigned v);
    unsigned count;
};

struct emp_field {
    const char *name;
    enum emp_field_type type;
    unsigned flags;
    uint32_t offset, count_offset; /* in the struct; count: uint32_t, of NAMES, SHAPES, CODEC */
    double min, max;
    uint32_t each_max;
    const struct emp_words *words;
    const struct emp_shape *shape;
    const struct emp_field_codec *codec;
    const char *meaning; /* for the manual: unit and sense, no full stop */
};

/* Where a value stands: a path whose parts live on the callers' stacks. */
struct emp_place {
    const struct emp_place *up; /* NULL: the top */
    struct emp_str name;        /* of a member */
    int64_t index;              /* of an element; -1: a member */
};

struct emp_shape_reader {
    struct emp_arena *arena;
    struct emp_error *err;
};

struct emp_shape {
    const char *name;
    const char *meaning;
    const struct emp_field *fields;
    uint32_t field_count; /* up to 64 */
    uint32_t size;        /* of the struct */
    int (*check)(struct emp_shape_reader *r, const struct emp_place *at,
                 void *object); /* after all fields; may be NULL */
};

struct emp_field_codec {
    const char *type; /* for the manual */
    int (*decode)(struct emp_shape_reader *r, const struct emp_field *f, const struct emp_place *at,
                  const struct emp_json *v, void *object);
    bool (*encode)(struct emp_writer *w, const struct emp_field *f,
                   const void *object); /* writes nothing when at its default */
};

/* Reads the members of `v` into `object`. `at` NULL: the top. 0 or EMP_E_INVALID. */
int emp_shape_decode(struct emp_shape_reader *r, const struct emp_shape *shape,
                     const struct emp_place *at, const struct emp_json *v, void *object);

/* Writes the fields as members of the object that is begun. False: a count is above its maximum. */
bool emp_shape_encode(struct emp_writer *w, const struct emp_shape *shape, const void *object);

/* Fills r->err with EMP_E_INVALID, the path, and "PATH: text"; returns EMP_E_INVALID. */
int emp_place_fail(struct emp_shape_reader *r, const struct emp_place *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks of one value, for codecs: 0 and *ret, or EMP_E_INVALID. A name has 1 … max bytes and no
 * control characters. */
int emp_place_name(struct emp_shape_reader *r, const struct emp_place *at, const struct emp_json *v,
                   uint32_t max, struct emp_str *ret);
int emp_place_number(struct emp_shape_reader *r, const struct emp_place *at,
                     const struct emp_json *v, double min, double max, double *ret);
int emp_place_type(struct emp_shape_reader *r, const struct emp_place *at, const struct emp_json *v,
                   enum emp_json_type type);

/* Type and range in a few words, for the manual ("whole number, 0 … 100"). In the arena. */
const char *emp_field_type_text(struct emp_arena *a, const struct emp_field *f);

#endif

/* JSON text, strictly (RFC 8259), into a tree that lives in an arena and knows where in the text
 * each value stands.
 *
 * Refused beyond the grammar: invalid UTF-8, lone surrogates, NUL in strings and keys (\u0000), a
 * name twice in one object, numbers that are not finite as a double, nesting deeper than
 * EMP_JSON_DEPTH_MAX, anything after the value. So a text that passed may be handed on byte for
 * byte, and no reader behind us will see something else in it. (json-c 0.16, strict, lets [01],
 * [1.], [NaN], raw control characters and doubled names pass, and keeps no positions; it is the
 * oracle of the tests instead.)
 *
 * Memory: one node of 72 bytes per value of the tree; a caller that needs only slices names what
 * stays closed. Strings without escapes point into the text, others into the arena: the text must
 * live, unchanged, as long as the tree. Pure, never blocks; one arena, one thread. */
#ifndef EMP_PROTO_JSON_H
#define EMP_PROTO_JSON_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum emp_json_type {
    EMP_JSON_NULL,
    EMP_JSON_BOOL,
    EMP_JSON_NUMBER,
    EMP_JSON_STRING,
    EMP_JSON_ARRAY,
    EMP_JSON_OBJECT,
};
const char *emp_json_type_word(enum emp_json_type t); /* with article: "a number", "an object" */

struct emp_json {
    enum emp_json_type type;
    uint32_t count;         /* of members or elements, of a closed container too */
    struct emp_str key;     /* of a member; empty for others */
    struct emp_str raw;     /* the value as it stands in the text */
    struct emp_json *first; /* child; NULL when there is none, or the container stayed closed */
    struct emp_json *next;  /* sibling */
    struct emp_str string;  /* of a STRING: unescaped. Of a BOOL: non-empty when true */
};

struct emp_json_options {
    uint32_t tree_depth; /* containers at this depth and deeper stay closed: checked, not entered.
                            0: all are entered */
    const char *const
        *closed; /* top-level members that stay closed ("payload"); NULL-terminated, or NULL */
};

/* Parses `len` bytes (at most 2^32 - 2). 0 and *ret (in the arena); EMP_E_MALFORMED with "… at byte
 * N" ; EMP_E_TOO_LARGE when the tree would pass a million nodes. `options`, `err` may be NULL.
 * Texts need not end in NUL. */
int emp_json_parse(struct emp_arena *a, const char *text, size_t len,
                   const struct emp_json_options *options, struct emp_json **ret,
                   struct emp_error *err);

/* The member of an object; NULL when absent, or when `object` is NULL or no open object. Linear. */
struct emp_json *emp_json_find(const struct emp_json *object, const char *name);

/* A NUMBER's value. Nearest double, as strtod. */
double emp_json_number(const struct emp_json *v);
/* A NUMBER that is a whole one within int64_t, written any way (5, 5.0, 5e3): true and *ret. */
bool emp_json_integer(const struct emp_json *v, int64_t *ret);
bool emp_json_true(const struct emp_json *v); /* the BOOL true */

/* "value" as it stands in the text, cut to a length fit for an error's text. In the arena. */
const char *emp_json_excerpt(struct emp_arena *a, const struct emp_json *v);

#endif

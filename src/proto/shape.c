/* Decoding: one function per type, found by the field's type. The path of a value is a chain
 * through the callers' stacks, made text only when something is wrong. */
#include "proto/shape.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { WORDS_TEXT_MAX = 200 };

#define FIELD(object, f, type) (*(type *)((char *)(object) + (f)->offset))
#define COUNT(object, f)       (*(uint32_t *)((char *)(object) + (f)->count_offset))

/* ---- places ---- */

static size_t place_text(const struct emp_place *at, char *out, size_t room)
{
    size_t n = at->up ? place_text(at->up, out, room) : 0;
    if (n >= room)
        return n;
    int more = at->index >= 0
                   ? snprintf(out + n, room - n, "[%" PRId64 "]", at->index)
                   : snprintf(out + n, room - n, "%s%.*s", n > 0 ? "." : "", EMP_STR_FMT(at->name));
    n += more > 0 ? (size_t)more : 0;
    return n < room ? n : room - 1;
}

int emp_place_fail(struct emp_shape_reader *r, const struct emp_place *at, const char *fmt, ...)
{
    char path[EMP_ERROR_FIELD_MAX] = "", text[EMP_ERROR_TEXT_MAX];
    va_list ap;
    if (at)
        place_text(at, path, sizeof path);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return emp_fail(r->err, EMP_E_INVALID, path, "%s%s%s", path, *path ? ": " : "", text);
}

int emp_place_type(struct emp_shape_reader *r, const struct emp_place *at, const struct emp_json *v,
                   enum emp_json_type type)
{
    if (v->type == type)
        return 0;
    return emp_place_fail(r, at, "%s is not %s", emp_json_excerpt(r->arena, v),
                          emp_json_type_word(type));
}

static bool has_control(struct emp_str s)
{
    for (uint32_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    return false;
}

static int text_of(struct emp_shape_reader *r, const struct emp_place *at, const struct emp_json *v,
                   double min, double max, bool name, struct emp_str *ret)
{
    int e = emp_place_type(r, at, v, EMP_JSON_STRING);
    if (e < 0)
        return e;
    if (v->string.len < min)
        return emp_place_fail(r, at, "is empty");
    if (v->string.len > max)
        return emp_place_fail(r, at, "has %" PRIu32 " bytes, at most %.0f are allowed",
                              v->string.len, max);
    if (name && has_control(v->string))
        return emp_place_fail(r, at, "%s contains a control character",
                              emp_json_excerpt(r->arena, v));
    *ret = v->string;
    return 0;
}

int emp_place_name(struct emp_shape_reader *r, const struct emp_place *at, const struct emp_json *v,
                   uint32_t max, struct emp_str *ret)
{
    return text_of(r, at, v, 1, max, true, ret);
}

int emp_place_number(struct emp_shape_reader *r, const struct emp_place *at,
                     const struct emp_json *v, double min, double max, double *ret)
{
    int e = emp_place_type(r, at, v, EMP_JSON_NUMBER);
    if (e < 0)
        return e;
    *ret = emp_json_number(v);
    if (*ret < min || *ret > max)
        return emp_place_fail(r, at, "%s is out of range (%.15g … %.15g)",
                              emp_json_excerpt(r->arena, v), min, max);
    return 0;
}

/* ---- decoding, by type ---- */

typedef int (*decoder)(struct emp_shape_reader *r, const struct emp_field *f,
                       const struct emp_place *at, const struct emp_json *v, void *object);

static int decode_str(struct emp_shape_reader *r, const struct emp_field *f,
                      const struct emp_place *at, const struct emp_json *v, void *object)
{
    return text_of(r, at, v, f->min, f->max, f->type == EMP_FIELD_NAME,
                   &FIELD(object, f, struct emp_str));
}

static int decode_sha256(struct emp_shape_reader *r, const struct emp_field *f,
                         const struct emp_place *at, const struct emp_json *v, void *object)
{
    char *out = &FIELD(object, f, char);
    int e = emp_place_type(r, at, v, EMP_JSON_STRING);
    if (e < 0)
        return e;
    bool good = v->string.len == 0 || v->string.len == 64;
    for (uint32_t i = 0; good && i < v->string.len; i++) {
        char c = v->string.ptr[i];
        out[i] = c >= 'A' && c <= 'F' ? (char)(c | 0x20) : c;
        good = (out[i] >= '0' && out[i] <= '9') || (out[i] >= 'a' && out[i] <= 'f');
    }
    out[good ? v->string.len : 0] = '\0';
    return good ? 0
                : emp_place_fail(r, at, "%s is not 64 hexadecimal digits",
                                 emp_json_excerpt(r->arena, v));
}

static int decode_integer(struct emp_shape_reader *r, const struct emp_field *f,
                          const struct emp_place *at, const struct emp_json *v, void *object)
{
    double number;
    int64_t n = 0;
    int e = emp_place_number(r, at, v, f->min, f->max, &number);
    if (e < 0)
        return e;
    if (!emp_json_integer(v, &n))
        return emp_place_fail(r, at, "%s is not a whole number", emp_json_excerpt(r->arena, v));
    if (f->type == EMP_FIELD_I32)
        FIELD(object, f, int32_t) = (int32_t)n;
    else if (f->type == EMP_FIELD_U32)
        FIELD(object, f, uint32_t) = (uint32_t)n;
    else if (f->type == EMP_FIELD_U64)
        FIELD(object, f, uint64_t) = (uint64_t)n;
    else
        FIELD(object, f, int64_t) = n;
    return 0;
}

static int decode_double(struct emp_shape_reader *r, const struct emp_field *f,
                         const struct emp_place *at, const struct emp_json *v, void *object)
{
    double number;
    int e = emp_place_number(r, at, v, f->min, f->max, &number);
    if (e < 0)
        return e;
    if (f->type == EMP_FIELD_F64)
        FIELD(object, f, double) = number;
    else if (f->type == EMP_FIELD_F32)
        FIELD(object, f, float) = (float)number;
    else /* to the nearest millisecond; what is not nothing does not become nothing */
        FIELD(object, f, int64_t) = number > 0 && number < 0.0005 ? 1
                                                                  : (int64_t)(number * 1000 + 0.5);
    return 0;
}

static int decode_bool(struct emp_shape_reader *r, const struct emp_field *f,
                       const struct emp_place *at, const struct emp_json *v, void *object)
{
    int e = emp_place_type(r, at, v, EMP_JSON_BOOL);
    if (e == 0)
        FIELD(object, f, bool) = emp_json_true(v);
    return e;
}

/* "free, premium, enterprise" */
static void words_text(const struct emp_words *words, char out[WORDS_TEXT_MAX])
{
    size_t n = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < words->count && n < WORDS_TEXT_MAX; i++)
        n += (size_t)snprintf(out + n, WORDS_TEXT_MAX - n, "%s%s", i ? ", " : "", words->word(i));
}

static int decode_word(struct emp_shape_reader *r, const struct emp_field *f,
                       const struct emp_place *at, const struct emp_json *v, void *object)
{
    char known[WORDS_TEXT_MAX];
    int e = emp_place_type(r, at, v, EMP_JSON_STRING);
    if (e < 0)
        return e;
    for (unsigned i = 0; i < f->words->count; i++)
        if (emp_str_eq(emp_str_z(f->words->word(i)), v->string)) {
            FIELD(object, f, unsigned) = i;
            return 0;
        }
    words_text(f->words, known);
    return emp_place_fail(r, at, "%s is none of %s", emp_json_excerpt(r->arena, v), known);
}

static int decode_error(struct emp_shape_reader *r, const struct emp_field *f,
                        const struct emp_place *at, const struct emp_json *v, void *object)
{
    struct emp_str word;
    int e = emp_place_name(r, at, v, 64, &word);
    if (e == 0)
        FIELD(object, f, int) =
            emp_error_from_name(emp_arena_printf(r->arena, "%.*s", EMP_STR_FMT(word)));
    return e;
}

static int array_of(struct emp_shape_reader *r, const struct emp_field *f,
                    const struct emp_place *at, const struct emp_json *v)
{
    int e = emp_place_type(r, at, v, EMP_JSON_ARRAY);
    if (e == 0 && v->count > f->max)
        return emp_place_fail(r, at, "has %" PRIu32 " elements, at most %.0f are allowed", v->count,
                              f->max);
    return e;
}

static int decode_names(struct emp_shape_reader *r, const struct emp_field *f,
                        const struct emp_place *at, const struct emp_json *v, void *object)
{
    struct emp_place element = {.up = at};
    int e = array_of(r, f, at, v);
    struct emp_str *names = e == 0 ? emp_arena_array(r->arena, struct emp_str, v->count) : NULL;
    for (const struct emp_json *c = e == 0 ? v->first : NULL; c && e == 0;
         c = c->next, element.index++)
        e = emp_place_name(r, &element, c, f->each_max, &names[element.index]);
    FIELD(object, f, struct emp_str *) = names;
    COUNT(object, f) = e == 0 ? v->count : 0;
    return e;
}

static int decode_shape(struct emp_shape_reader *r, const struct emp_field *f,
                        const struct emp_place *at, const struct emp_json *v, void *object)
{
    return emp_shape_decode(r, f->shape, at, v, &FIELD(object, f, char));
}

static int decode_shapes(struct emp_shape_reader *r, const struct emp_field *f,
                         const struct emp_place *at, const struct emp_json *v, void *object)
{
    struct emp_place element = {.up = at};
    int e = array_of(r, f, at, v);
    char *all = e == 0 ? emp_arena_alloc(r->arena, (size_t)v->count * f->shape->size) : NULL;
    for (const struct emp_json *c = e == 0 ? v->first : NULL; c && e == 0;
         c = c->next, element.index++)
        e = emp_shape_decode(r, f->shape, &element, c,
                             all + (size_t)element.index * f->shape->size);
    FIELD(object, f, void *) = all;
    COUNT(object, f) = e == 0 ? v->count : 0;
    return e;
}

static int decode_raw(struct emp_shape_reader *r, const struct emp_field *f,
                      const struct emp_place *at, const struct emp_json *v, void *object)
{
    int e = f->type == EMP_FIELD_OBJECT ? emp_place_type(r, at, v, EMP_JSON_OBJECT) : 0;
    if (e == 0 && v->raw.len > f->max)
        return emp_place_fail(r, at, "has %" PRIu32 " bytes, at most %.0f are allowed", v->raw.len,
                              f->max);
    if (e == 0)
        FIELD(object, f, struct emp_str) = v->raw;
    return e;
}

static int decode_codec(struct emp_shape_reader *r, const struct emp_field *f,
                        const struct emp_place *at, const struct emp_json *v, void *object)
{
    return f->codec->decode(r, f, at, v, object);
}

static const decoder decoders[EMP_FIELD_TYPES] = {
    [EMP_FIELD_STR] = decode_str,       [EMP_FIELD_NAME] = decode_str,
    [EMP_FIELD_SHA256] = decode_sha256, [EMP_FIELD_I64] = decode_integer,
    [EMP_FIELD_I32] = decode_integer,   [EMP_FIELD_U32] = decode_integer,
    [EMP_FIELD_U64] = decode_integer,   [EMP_FIELD_F64] = decode_double,
    [EMP_FIELD_F32] = decode_double,    [EMP_FIELD_SECONDS] = decode_double,
    [EMP_FIELD_BOOL] = decode_bool,     [EMP_FIELD_WORD] = decode_word,
    [EMP_FIELD_ERROR] = decode_error,   [EMP_FIELD_NAMES] = decode_names,
    [EMP_FIELD_SHAPE] = decode_shape,   [EMP_FIELD_SHAPES] = decode_shapes,
    [EMP_FIELD_RAW] = decode_raw,       [EMP_FIELD_OBJECT] = decode_raw,
    [EMP_FIELD_CODEC] = decode_codec,
};

static const struct emp_field *field_named(const struct emp_shape *shape, struct emp_str name)
{
    for (uint32_t i = 0; i < shape->field_count; i++)
        if (emp_str_eq(emp_str_z(shape->fields[i].name), name))
            return &shape->fields[i];
    return NULL;
}

int emp_shape_decode(struct emp_shape_reader *r, const struct emp_shape *shape,
                     const struct emp_place *at, const struct emp_json *v, void *object)
{
    uint64_t seen = 0;
    int e = emp_place_type(r, at, v, EMP_JSON_OBJECT);
    if (e < 0)
        return e;
    for (const struct emp_json *m = v->first; m; m = m->next) {
        const struct emp_field *f = m->type == EMP_JSON_NULL ? NULL : field_named(shape, m->key);
        if (f == NULL)
            continue;
        struct emp_place place = {.up = at, .name = m->key, .index = -1};
        e = decoders[f->type](r, f, &place, m, object);
        if (e < 0)
            return e;
        seen |= UINT64_C(1) << (f - shape->fields);
    }
    for (uint32_t i = 0; i < shape->field_count; i++) {
        struct emp_place place = {.up = at, .name = emp_str_z(shape->fields[i].name), .index = -1};
        if ((shape->fields[i].flags & EMP_FIELD_REQUIRED) && !(seen >> i & 1))
            return emp_place_fail(r, &place, "is missing");
    }
    return shape->check ? shape->check(r, at, object) : 0;
}

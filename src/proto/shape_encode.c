/* Encoding by the same tables; and their types in words, for the manual. */
#include "proto/shape.h"

#include <inttypes.h>
#include <math.h>

#define FIELD(object, f, type) (*(const type *)((const char *)(object) + (f)->offset))
#define COUNT(object, f)       (*(const uint32_t *)((const char *)(object) + (f)->count_offset))

typedef bool (*encoder)(struct emp_writer *w, const struct emp_field *f, const void *object);

static bool always(const struct emp_field *f)
{
    return f->flags & EMP_FIELD_REQUIRED;
}

static bool encode_str(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    struct emp_str s = FIELD(object, f, struct emp_str);
    if (s.len == 0 && !always(f))
        return true;
    if (f->flags & EMP_FIELD_CUT)
        emp_write_str_cut(w, f->name, s, (uint32_t)f->max);
    else
        emp_write_str(w, f->name, s);
    return true;
}

static bool encode_sha256(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    emp_write_str_opt(w, f->name, emp_str_z(&FIELD(object, f, char)));
    return true;
}

static bool encode_integer(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    int64_t v = f->type == EMP_FIELD_I32   ? FIELD(object, f, int32_t)
                : f->type == EMP_FIELD_U32 ? FIELD(object, f, uint32_t)
                                           : FIELD(object, f, int64_t);
    if (v == 0 && !always(f))
        return true;
    v = v < (int64_t)f->min ? (int64_t)f->min : v;
    v = v > (int64_t)f->max ? (int64_t)f->max : v;
    emp_write_i64(w, f->name, v);
    return true;
}

static bool encode_double(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    double v = f->type == EMP_FIELD_F64 ? FIELD(object, f, double)
                                        : (double)FIELD(object, f, float);
    if (isnan(v))
        v = 0;
    if (!always(f) && !(v < 0) && !(v > 0))
        return true;
    v = v < f->min ? f->min : v;
    v = v > f->max ? f->max : v;
    emp_write_double(w, f->name, v);
    return true;
}

static bool encode_seconds(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    int64_t v = FIELD(object, f, int64_t);
    if (v != 0 || always(f))
        emp_write_ms(w, f->name, v);
    return true;
}

static bool encode_bool(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    if (FIELD(object, f, bool) || always(f))
        emp_write_bool(w, f->name, FIELD(object, f, bool));
    return true;
}

static bool encode_word(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    unsigned v = FIELD(object, f, unsigned);
    if (v >= f->words->count)
        return false;
    if (v != 0 || always(f))
        emp_write_z(w, f->name, f->words->word(v));
    return true;
}

static bool encode_error(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    int code = FIELD(object, f, int);
    if (code != 0)
        emp_write_z(w, f->name, emp_error_name(code));
    return true;
}

static bool encode_names(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    uint32_t count = COUNT(object, f);
    if (count > f->max)
        return false;
    if (count > 0 || always(f))
        emp_write_strs(w, f->name, FIELD(object, f, struct emp_str *), count);
    return true;
}

static bool encode_shape(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    emp_write_object(w, f->name);
    bool good = emp_shape_encode(w, f->shape, &FIELD(object, f, char));
    emp_write_end(w);
    return good;
}

static bool encode_shapes(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    const char *one = FIELD(object, f, char *);
    uint32_t count = COUNT(object, f);
    bool good = count <= f->max;
    if (!good || (count == 0 && !always(f)))
        return good;
    emp_write_array(w, f->name);
    for (uint32_t i = 0; good && i < count; i++, one += f->shape->size) {
        emp_write_object(w, NULL);
        good = emp_shape_encode(w, f->shape, one);
        emp_write_end(w);
    }
    emp_write_end(w);
    return good;
}

static bool encode_raw(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    struct emp_str raw = FIELD(object, f, struct emp_str);
    if (raw.len > 0)
        emp_write_raw(w, f->name, raw);
    return raw.len <= f->max;
}

static bool encode_codec(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    return f->codec->encode(w, f, object);
}

static const encoder encoders[EMP_FIELD_TYPES] = {
    [EMP_FIELD_STR] = encode_str,       [EMP_FIELD_NAME] = encode_str,
    [EMP_FIELD_SHA256] = encode_sha256, [EMP_FIELD_I64] = encode_integer,
    [EMP_FIELD_I32] = encode_integer,   [EMP_FIELD_U32] = encode_integer,
    [EMP_FIELD_U64] = encode_integer,   [EMP_FIELD_F64] = encode_double,
    [EMP_FIELD_F32] = encode_double,    [EMP_FIELD_SECONDS] = encode_seconds,
    [EMP_FIELD_BOOL] = encode_bool,     [EMP_FIELD_WORD] = encode_word,
    [EMP_FIELD_ERROR] = encode_error,   [EMP_FIELD_NAMES] = encode_names,
    [EMP_FIELD_SHAPE] = encode_shape,   [EMP_FIELD_SHAPES] = encode_shapes,
    [EMP_FIELD_RAW] = encode_raw,       [EMP_FIELD_OBJECT] = encode_raw,
    [EMP_FIELD_CODEC] = encode_codec,
};

bool emp_shape_encode(struct emp_writer *w, const struct emp_shape *shape, const void *object)
{
    bool good = true;
    for (uint32_t i = 0; good && i < shape->field_count; i++)
        good = encoders[shape->fields[i].type](w, &shape->fields[i], object);
    return good;
}

/* ---- the manual's words ---- */

/* Bounds are whole numbers in all tables; %g would round the large ones away. */
static const char *range(struct emp_arena *a, const char *what, const struct emp_field *f)
{
    return emp_arena_printf(a, "%s, %.0f … %.0f", what, f->min, f->max);
}

static const char *words_of(struct emp_arena *a, const struct emp_words *words)
{
    const char *text = "";
    for (unsigned i = 0; i < words->count; i++)
        text = emp_arena_printf(a, "%s%s`%s`", text, i ? ", " : "", words->word(i));
    return text;
}

const char *emp_field_type_text(struct emp_arena *a, const struct emp_field *f)
{
    switch (f->type) {
    case EMP_FIELD_STR:
        return emp_arena_printf(a, "text, up to %.0f bytes%s", f->max,
                                f->flags & EMP_FIELD_CUT ? " (cut)" : "");
    case EMP_FIELD_NAME:
        return emp_arena_printf(a, "name, %.0f … %.0f bytes", f->min, f->max);
    case EMP_FIELD_SHA256:
        return "64 hex digits";
    case EMP_FIELD_I64:
    case EMP_FIELD_I32:
    case EMP_FIELD_U32:
    case EMP_FIELD_U64:
        return range(a, "whole number", f);
    case EMP_FIELD_F64:
    case EMP_FIELD_F32:
        return range(a, "number", f);
    case EMP_FIELD_SECONDS:
        return range(a, "seconds", f);
    case EMP_FIELD_BOOL:
        return "true, false";
    case EMP_FIELD_WORD:
        return words_of(a, f->words);
    case EMP_FIELD_ERROR:
        return "an [error code](#error-codes)";
    case EMP_FIELD_NAMES:
        return emp_arena_printf(a, "up to %.0f names of 1 … %" PRIu32 " bytes", f->max,
                                f->each_max);
    case EMP_FIELD_SHAPE:
        return emp_arena_printf(a, "[%s](#%s)", f->shape->name, f->shape->name);
    case EMP_FIELD_SHAPES:
        return emp_arena_printf(a, "up to %.0f of [%s](#%s)", f->max, f->shape->name,
                                f->shape->name);
    case EMP_FIELD_RAW:
        return emp_arena_printf(a, "any JSON, up to %.0f bytes", f->max);
    case EMP_FIELD_OBJECT:
        return emp_arena_printf(a, "an object, up to %.0f bytes", f->max);
    case EMP_FIELD_CODEC:
        return f->codec->type;
    case EMP_FIELD_TYPES:
        break;
    }
    return "?";
}

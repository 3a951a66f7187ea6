#include "random.h"

#include "base/error.h"
#include "domain/machine.h"

#include <string.h>

#define FIELD(object, f, type) (*(type *)((char *)(uintptr_t)(object) + (f)->offset))
#define COUNT(object, f)       (*(uint32_t *)((char *)(uintptr_t)(object) + (f)->count_offset))

struct emp_str random_text(struct emp_random *r, struct emp_arena *a, uint32_t min, uint32_t max,
                           bool name)
{
    static const char *const pieces[] = {"a",  "Z",    "0",    "-",  "_", " ", "é",
                                         "ß",  "漢",   "🎨",    "\"", "'", "{", "\n",
                                         "\t", "\x01", "\x7f", "\\", "/", "."};
    const uint64_t names = 13, all = sizeof pieces / sizeof *pieces;
    uint32_t want = min + (uint32_t)emp_random_below(r, (max < 60 ? max : 60) - min + 1), n = 0;
    char *out = emp_arena_alloc(a, want + 1);
    while (n < want) {
        const char *piece = pieces[emp_random_below(r, name ? names : all)];
        if (n + strlen(piece) > want)
            piece = "x";
        memcpy(out + n, piece, strlen(piece));
        n += (uint32_t)strlen(piece);
    }
    return (struct emp_str){out, n};
}

static double random_number(struct emp_random *r, const struct emp_field *f)
{
    switch (emp_random_below(r, 4)) {
    case 0:
        return f->min;
    case 1:
        return f->max;
    case 2: {
        double small = (double)emp_random_below(r, 1000);
        return small < f->min ? f->min : small > f->max ? f->max : small;
    }
    default:
        return f->min + emp_random_unit(r) * (f->max - f->min);
    }
}

static void random_caps(struct emp_random *r, struct emp_arena *a, const struct emp_field *f,
                        void *object)
{
    uint32_t n = (uint32_t)emp_random_below(r, 8), at = 0;
    struct emp_capability *caps = emp_arena_array(a, struct emp_capability, 4 * (size_t)n + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct emp_str path =
            emp_str_z(emp_arena_printf(a, "path%u.%s", i, i % 2 ? "x" : "long name"));
        uint32_t values = 1 + (uint32_t)emp_random_below(r, 3);
        bool array = values > 1 || emp_random_below(r, 2);
        for (uint32_t k = 0; k < values; k++) {
            struct emp_capability c = {.path = path,
                                       .in_array = array,
                                       .kind = (enum emp_capability_kind)emp_random_below(r, 3)};
            if (c.kind == EMP_CAPABILITY_TEXT)
                c.text = random_text(r, a, 1, 20, true);
            else
                c.number = c.kind == EMP_CAPABILITY_BOOL ? (double)emp_random_below(r, 2)
                                                         : emp_random_unit(r) * 1e6;
            caps[at++] = c;
        }
    }
    FIELD(object, f, struct emp_capability *) = caps;
    COUNT(object, f) = at;
}

static void random_list(struct emp_random *r, struct emp_arena *a, const struct emp_field *f,
                        void *object)
{
    uint32_t n = (uint32_t)emp_random_below(r, 4);
    if (f->type == EMP_FIELD_NAMES) {
        struct emp_str *names = emp_arena_array(a, struct emp_str, n);
        for (uint32_t i = 0; i < n; i++)
            names[i] = strcmp(f->name, "urls") == 0
                           ? emp_str_z(emp_arena_printf(a, "https://host/%u", i))
                           : random_text(r, a, 1, f->each_max, true);
        FIELD(object, f, struct emp_str *) = names;
    } else {
        char *all = emp_arena_alloc(a, (size_t)n * f->shape->size);
        for (uint32_t i = 0; i < n; i++)
            random_object(r, a, f->shape, all + (size_t)i * f->shape->size);
        FIELD(object, f, void *) = all;
    }
    COUNT(object, f) = n;
}

static void random_scalar(struct emp_random *r, struct emp_arena *a, const struct emp_field *f,
                          void *object)
{
    static const int codes[] = {0, EMP_E_INVALID, EMP_E_DISK_FULL, EMP_E_AGAIN, EMP_E_LOST};
    static const char *const raws[] = {"{}", "{\"a\":[1,2.50,\"\\u00e9\"]}", "{ \"x\" : null }"};
    switch (f->type) {
    case EMP_FIELD_STR:
    case EMP_FIELD_NAME:
        FIELD(object, f, struct emp_str) =
            random_text(r, a, (uint32_t)f->min, (uint32_t)f->max, f->type == EMP_FIELD_NAME);
        break;
    case EMP_FIELD_SHA256:
        for (int i = 0; i < 64; i++)
            (&FIELD(object, f, char))[i] = "0123456789abcdef"[emp_random_below(r, 16)];
        break;
    case EMP_FIELD_I64:
    case EMP_FIELD_SECONDS:
        FIELD(object, f, int64_t) = (int64_t)random_number(r, f);
        break;
    case EMP_FIELD_U64:
        FIELD(object, f, uint64_t) = (uint64_t)random_number(r, f);
        break;
    case EMP_FIELD_I32:
        FIELD(object, f, int32_t) = (int32_t)random_number(r, f);
        break;
    case EMP_FIELD_U32:
        FIELD(object, f, uint32_t) = (uint32_t)random_number(r, f);
        break;
    case EMP_FIELD_F64:
        FIELD(object, f, double) = random_number(r, f);
        break;
    case EMP_FIELD_F32:
        FIELD(object, f, float) = (float)random_number(r, f);
        break;
    case EMP_FIELD_BOOL:
        FIELD(object, f, bool) = emp_random_below(r, 2);
        break;
    case EMP_FIELD_WORD:
        FIELD(object, f, unsigned) = (unsigned)emp_random_below(r, f->words->count);
        break;
    case EMP_FIELD_ERROR:
        FIELD(object, f, int) = codes[emp_random_below(r, sizeof codes / sizeof *codes)];
        break;
    case EMP_FIELD_RAW:
    case EMP_FIELD_OBJECT:
        FIELD(object, f, struct emp_str) = emp_str_z(raws[emp_random_below(r, 3)]);
        break;
    default:
        break;
    }
}

void random_object(struct emp_random *r, struct emp_arena *a, const struct emp_shape *shape,
                   void *object)
{
    for (uint32_t i = 0; i < shape->field_count; i++) {
        const struct emp_field *f = &shape->fields[i];
        if (!(f->flags & EMP_FIELD_REQUIRED) && emp_random_below(r, 4) == 0)
            continue;
        if (f->type == EMP_FIELD_NAMES || f->type == EMP_FIELD_SHAPES)
            random_list(r, a, f, object);
        else if (f->type == EMP_FIELD_SHAPE)
            random_object(r, a, f->shape, &FIELD(object, f, char));
        else if (f->type == EMP_FIELD_CODEC)
            random_caps(r, a, f, object);
        else
            random_scalar(r, a, f, object);
    }
}

/* ---- comparison ---- */

static bool names_same(const struct emp_field *f, const void *a, const void *b)
{
    const struct emp_str *x = FIELD(a, f, struct emp_str *), *y = FIELD(b, f, struct emp_str *);
    bool same = COUNT(a, f) == COUNT(b, f);
    for (uint32_t i = 0; same && i < COUNT(a, f); i++)
        same = emp_str_eq(x[i], y[i]);
    return same;
}

static bool shapes_same(const struct emp_field *f, const void *a, const void *b)
{
    const char *x = FIELD(a, f, char *), *y = FIELD(b, f, char *);
    bool same = COUNT(a, f) == COUNT(b, f);
    for (uint32_t i = 0; same && i < COUNT(a, f); i++)
        same = !shape_difference(f->shape, x + (size_t)i * f->shape->size,
                                 y + (size_t)i * f->shape->size);
    return same;
}

static bool caps_same(const struct emp_field *f, const void *a, const void *b)
{
    const struct emp_capability *x = FIELD(a, f, struct emp_capability *),
                                *y = FIELD(b, f, struct emp_capability *);
    bool same = COUNT(a, f) == COUNT(b, f);
    for (uint32_t i = 0; same && i < COUNT(a, f); i++)
        same = emp_str_eq(x[i].path, y[i].path) && emp_str_eq(x[i].text, y[i].text) &&
               x[i].kind == y[i].kind && x[i].in_array == y[i].in_array &&
               !(x[i].number < y[i].number) && !(x[i].number > y[i].number);
    return same;
}

static bool field_same(const struct emp_field *f, const void *a, const void *b)
{
    switch (f->type) {
    case EMP_FIELD_STR:
    case EMP_FIELD_NAME:
    case EMP_FIELD_RAW:
    case EMP_FIELD_OBJECT:
        return emp_str_eq(FIELD(a, f, struct emp_str), FIELD(b, f, struct emp_str));
    case EMP_FIELD_SHA256:
        return strcmp(&FIELD(a, f, char), &FIELD(b, f, char)) == 0;
    case EMP_FIELD_I64:
    case EMP_FIELD_U64:
    case EMP_FIELD_SECONDS:
        return FIELD(a, f, int64_t) == FIELD(b, f, int64_t);
    case EMP_FIELD_F64:
        return !(FIELD(a, f, double) < FIELD(b, f, double)) &&
               !(FIELD(a, f, double) > FIELD(b, f, double));
    case EMP_FIELD_BOOL:
        return FIELD(a, f, bool) == FIELD(b, f, bool);
    case EMP_FIELD_I32:
    case EMP_FIELD_U32:
    case EMP_FIELD_F32: /* never NaN, and -0 is not made */
    case EMP_FIELD_WORD:
    case EMP_FIELD_ERROR:
        return FIELD(a, f, uint32_t) == FIELD(b, f, uint32_t);
    case EMP_FIELD_NAMES:
        return names_same(f, a, b);
    case EMP_FIELD_SHAPE:
        return !shape_difference(f->shape, &FIELD(a, f, char), &FIELD(b, f, char));
    case EMP_FIELD_SHAPES:
        return shapes_same(f, a, b);
    case EMP_FIELD_CODEC:
        return caps_same(f, a, b);
    case EMP_FIELD_TYPES:
        break;
    }
    return false;
}

const char *shape_difference(const struct emp_shape *shape, const void *a, const void *b)
{
    for (uint32_t i = 0; i < shape->field_count; i++)
        if (!field_same(&shape->fields[i], a, b))
            return shape->fields[i].name;
    return NULL;
}

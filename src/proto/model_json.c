/* Catalogue entries: the fields of the message's model (message.def), two aliases that people
 * write, and a check of the whole that every entry passes wherever it comes from. */
#include "proto/model_json.h"

#include "base/map.h"
#include "domain/limits.h"
#include "proto/message_shapes.h"
#include "proto/model_check.h"

enum { COMPONENT_MAX = 255 };

/* ---- paths ---- */

static bool component_safe(const char *p, size_t len)
{
    if (len == 0 || len > COMPONENT_MAX || (len <= 2 && memcmp(p, "..", len) == 0))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f || p[i] == '\\')
            return false;
    return true;
}

bool emp_path_safe(struct emp_str path)
{
    if (path.len == 0 || path.len > EMP_PATH_MAX)
        return false;
    const char *p = path.ptr, *end = p + path.len;
    for (;;) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *stop = slash ? slash : end;
        if (!component_safe(p, (size_t)(stop - p)))
            return false;
        if (slash == NULL)
            return true;
        p = slash + 1;
    }
}

/* ---- one entry ---- */

static bool starts(struct emp_str s, const char *with)
{
    size_t n = strlen(with);
    return s.len > n && memcmp(s.ptr, with, n) == 0;
}

static bool url_good(struct emp_str url)
{
    if (url.len > EMP_URL_MAX || !(starts(url, "http://") || starts(url, "https://")))
        return false;
    for (uint32_t i = 0; i < url.len; i++)
        if ((unsigned char)url.ptr[i] <= 0x20 || url.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool name_good(struct emp_str s, uint32_t max)
{
    for (uint32_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    return s.len <= max;
}

static int check_names(struct emp_shape_reader *r, const struct emp_place *at,
                       const struct emp_model *m)
{
    const struct {
        const char *field;
        struct emp_str value;
    } names[] = {
        {"name", m->name}, {"kind", m->kind}, {"category", m->category}, {"owner", m->owner}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct emp_place place = {.up = at, .name = emp_str_z(names[i].field), .index = -1};
        if (!name_good(names[i].value, EMP_NAME_MAX))
            return emp_place_fail(r, &place, "has more than %d bytes, or a control character",
                                  EMP_NAME_MAX);
        if (i == 0 && m->name.len == 0)
            return emp_place_fail(r, &place, "is missing");
    }
    return 0;
}

static int check_sha256(struct emp_shape_reader *r, const struct emp_place *at, struct emp_model *m)
{
    struct emp_place place = {.up = at, .name = EMP_STR("sha256"), .index = -1};
    size_t n = strnlen(m->sha256, sizeof m->sha256), good = 0;
    for (; good < n; good++) {
        char *c = &m->sha256[good];
        if (*c >= 'A' && *c <= 'F')
            *c = (char)(*c | 0x20);
        if (!((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'f')))
            break;
    }
    if (n != 0 && (n != 64 || good != 64))
        return emp_place_fail(r, &place, "\"%.65s\" is not 64 hexadecimal digits", m->sha256);
    return 0;
}

static int check_urls(struct emp_shape_reader *r, const struct emp_place *at,
                      const struct emp_model *m)
{
    struct emp_place urls = {.up = at, .name = EMP_STR("urls"), .index = -1}, one = {.up = &urls};
    if (m->url_count > EMP_MODEL_URLS_MAX)
        return emp_place_fail(r, &urls, "has %u elements, at most %d are allowed",
                              (unsigned)m->url_count, EMP_MODEL_URLS_MAX);
    for (; one.index < m->url_count; one.index++)
        if (!url_good(m->urls[one.index]))
            return emp_place_fail(
                r, &one, "\"%.*s\" is no http:// or https:// URL",
                (int)(m->urls[one.index].len > 100 ? 100 : m->urls[one.index].len),
                m->urls[one.index].ptr);
    return 0;
}

static int check_path(struct emp_shape_reader *r, const struct emp_place *at, struct emp_model *m)
{
    struct emp_place place = {.up = at, .name = EMP_STR("path"), .index = -1};
    bool named = m->path.len > 0;
    if (!named)
        m->path = m->name;
    if (emp_path_safe(m->path))
        return 0;
    return emp_place_fail(
        r, &place,
        "\"%.*s\"%s is not accepted: a path is relative, below the model directory, without empty, "
        "\".\" or \"..\" parts, backslashes and control characters",
        (int)(m->path.len > 100 ? 100 : m->path.len), m->path.ptr, named ? "" : " (the name)");
}

int emp_model_check_at(struct emp_shape_reader *r, const struct emp_place *at, struct emp_model *m)
{
    struct emp_place bytes = {.up = at, .name = EMP_STR("bytes"), .index = -1};
    int e = check_names(r, at, m);
    if (e == 0 && (m->bytes < 1 || m->bytes > EMP_BYTES_MAX))
        e = emp_place_fail(r, &bytes, "%lld is out of range (1 … %lld)", (long long)m->bytes,
                           EMP_BYTES_MAX);
    if (e == 0)
        e = check_sha256(r, at, m);
    if (e == 0)
        e = check_urls(r, at, m);
    return e < 0 ? e : check_path(r, at, m);
}

int emp_model_check(struct emp_model *m, struct emp_error *err)
{
    struct emp_shape_reader r = {.err = err};
    return emp_model_check_at(&r, NULL, m);
}

/* ---- bodies ---- */

/* Gives an alias its real name, unless that stands there too. */
static void rename_alias(struct emp_json *object, const char *alias, const char *name)
{
    struct emp_json *v = emp_json_find(object, alias);
    if (v && emp_json_find(object, name) == NULL)
        v->key = emp_str_z(name);
}

/* "url": "…" is "urls": ["…"]. */
static void wrap_url(struct emp_arena *a, struct emp_json *object)
{
    struct emp_json *v = emp_json_find(object, "url");
    if (v == NULL || v->type != EMP_JSON_STRING || emp_json_find(object, "urls"))
        return;
    struct emp_json *one = emp_arena_dup(a, v, sizeof *v);
    one->next = NULL;
    one->key = (struct emp_str){0};
    v->key = EMP_STR("urls");
    v->type = EMP_JSON_ARRAY;
    v->count = 1;
    v->first = one;
}

static int model_of(struct emp_shape_reader *r, const struct emp_place *at, struct emp_json *v,
                    struct emp_model *ret)
{
    rename_alias(v, "size", "bytes");
    wrap_url(r->arena, v);
    return emp_shape_decode(r, &emp_shape_of_model, at, v, ret);
}

/* Finds a text that was seen before; *map is by hash, equal hashes of other texts count as seen
 * elsewhere. */
static bool seen_before(struct emp_map *map, const struct emp_model *all, struct emp_str s,
                        size_t offset, uint32_t index)
{
    uint64_t key = emp_str_hash(s) | 1;
    uint32_t other;
    for (; emp_map_get(map, key, &other); key += 2)
        if (emp_str_eq(*(const struct emp_str *)((const char *)&all[other] + offset), s))
            return true;
    emp_map_put(map, key, index);
    return false;
}

static int check_unique(struct emp_shape_reader *r, const struct emp_place *at,
                        const struct emp_model *all, uint32_t count)
{
    struct emp_map names, paths;
    struct emp_place element = {.up = at};
    emp_map_init(&names, r->arena);
    emp_map_init(&paths, r->arena);
    for (uint32_t i = 0; i < count; i++) {
        element.index = i;
        if (seen_before(&names, all, all[i].name, offsetof(struct emp_model, name), i))
            return emp_place_fail(r, &element, "the name \"%.*s\" stands twice",
                                  EMP_STR_FMT(all[i].name));
        if (seen_before(&paths, all, all[i].path, offsetof(struct emp_model, path), i))
            return emp_place_fail(r, &element, "the path \"%.200s\" stands twice",
                                  emp_arena_printf(r->arena, "%.*s", EMP_STR_FMT(all[i].path)));
    }
    return 0;
}

static int models_of(struct emp_shape_reader *r, struct emp_json *list, struct emp_model **ret,
                     uint32_t *ret_count)
{
    struct emp_place at = {.name = EMP_STR("models"), .index = -1}, element = {.up = &at};
    int e = emp_place_type(r, &at, list, EMP_JSON_ARRAY);
    if (e < 0)
        return e;
    if (list->count == 0 || list->count > EMP_BATCH_JOBS_MAX)
        return emp_place_fail(r, &at, "has %u elements, 1 … %d are allowed", (unsigned)list->count,
                              EMP_BATCH_JOBS_MAX);
    struct emp_model *all = emp_arena_array(r->arena, struct emp_model, list->count);
    for (struct emp_json *v = list->first; v && e == 0; v = v->next, element.index++)
        e = model_of(r, &element, v, &all[element.index]);
    if (e == 0)
        e = check_unique(r, &at, all, list->count);
    *ret = all;
    *ret_count = list->count;
    return e;
}

int emp_model_parse(struct emp_arena *a, const char *text, size_t len, struct emp_model **ret,
                    uint32_t *ret_count, struct emp_error *err)
{
    struct emp_shape_reader r = {a, err};
    struct emp_json *root, *list;
    int e = emp_json_parse(a, text, len, NULL, &root, err);
    if (e < 0)
        return e;
    list = emp_json_find(root, "models");
    if (list)
        return models_of(&r, list, ret, ret_count);
    *ret = emp_arena_new(a, struct emp_model);
    *ret_count = 1;
    return model_of(&r, NULL, root, *ret);
}

/* Capabilities as JSON. An array of values is several capabilities of one path; an object inside
 * continues the path with a dot. What is null says nothing. Encoding writes each path once, at its
 * first capability. */
#include "domain/limits.h"
#include "proto/message_json.h"
#include "proto/message_shapes.h"

struct caps {
    struct emp_shape_reader *reader;
    struct emp_capability *items;
    uint32_t count;
    double max;
};

static int caps_value(struct caps *c, const struct emp_place *at, struct emp_str path,
                      const struct emp_json *v, bool in_array);

static int caps_scalar(struct caps *c, const struct emp_place *at, struct emp_str path,
                       const struct emp_json *v, bool in_array)
{
    struct emp_capability cap = {.path = path, .in_array = in_array};
    if (c->count >= c->max)
        return emp_place_fail(c->reader, at, "one capability too many: at most %.0f are allowed",
                              c->max);
    if (v->type == EMP_JSON_STRING) {
        int e = v->string.len ? emp_place_name(c->reader, at, v, EMP_NAME_MAX, &cap.text) : 0;
        if (e < 0)
            return e;
        cap.kind = EMP_CAPABILITY_TEXT;
    } else {
        cap.kind = v->type == EMP_JSON_BOOL ? EMP_CAPABILITY_BOOL : EMP_CAPABILITY_NUMBER;
        cap.number = v->type == EMP_JSON_BOOL ? emp_json_true(v) : emp_json_number(v);
    }
    c->items[c->count++] = cap;
    return 0;
}

static int caps_array(struct caps *c, const struct emp_place *at, struct emp_str path,
                      const struct emp_json *v)
{
    struct emp_place element = {.up = at};
    for (const struct emp_json *e = v->first; e; e = e->next, element.index++) {
        if (e->type == EMP_JSON_ARRAY || e->type == EMP_JSON_OBJECT)
            return emp_place_fail(c->reader, &element, "%s is no text, number or boolean",
                                  emp_json_excerpt(c->reader->arena, e));
        int n = e->type == EMP_JSON_NULL ? 0 : caps_scalar(c, &element, path, e, true);
        if (n < 0)
            return n;
    }
    return 0;
}

static int caps_object(struct caps *c, const struct emp_place *at, struct emp_str path,
                       const struct emp_json *v)
{
    for (const struct emp_json *m = v->first; m; m = m->next) {
        struct emp_place member = {.up = at, .name = m->key, .index = -1};
        struct emp_str key = m->key;
        if (key.len == 0 || path.len + (path.len > 0) + (uint64_t)key.len > EMP_NAME_MAX)
            return emp_place_fail(c->reader, at,
                                  "the name of a capability is empty or longer than %d bytes",
                                  EMP_NAME_MAX);
        if (path.len > 0)
            key = emp_str_z(emp_arena_printf(c->reader->arena, "%.*s.%.*s", EMP_STR_FMT(path),
                                             EMP_STR_FMT(m->key)));
        int e = caps_value(c, &member, key, m, false);
        if (e < 0)
            return e;
    }
    return 0;
}

static int caps_value(struct caps *c, const struct emp_place *at, struct emp_str path,
                      const struct emp_json *v, bool in_array)
{
    if (v->type == EMP_JSON_OBJECT)
        return caps_object(c, at, path, v);
    if (v->type == EMP_JSON_ARRAY)
        return caps_array(c, at, path, v);
    return v->type == EMP_JSON_NULL ? 0 : caps_scalar(c, at, path, v, in_array);
}

#define FIELD(object, f, type) (*(type *)((char *)(object) + (f)->offset))
#define COUNT(object, f)       (*(uint32_t *)((char *)(object) + (f)->count_offset))

static int caps_decode(struct emp_shape_reader *r, const struct emp_field *f,
                       const struct emp_place *at, const struct emp_json *v, void *object)
{
    struct caps c = {.reader = r, .max = f->max};
    int e = emp_place_type(r, at, v, EMP_JSON_OBJECT);
    if (e < 0 || v->count == 0)
        return e;
    c.items = emp_arena_array(r->arena, struct emp_capability, (size_t)f->max);
    e = caps_object(&c, at, (struct emp_str){0}, v);
    FIELD(object, f, struct emp_capability *) = c.items;
    COUNT(object, f) = e == 0 ? c.count : 0;
    return e;
}

static void cap_write(struct emp_writer *w, const struct emp_capability *c)
{
    if (c->kind == EMP_CAPABILITY_TEXT)
        emp_write_str(w, NULL, c->text);
    else if (c->kind == EMP_CAPABILITY_BOOL)
        emp_write_bool(w, NULL, c->number > 0);
    else
        emp_write_double(w, NULL, c->number);
}

static bool path_before(const struct emp_capability *caps, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (emp_str_eq(caps[k].path, caps[i].path))
            return true;
    return false;
}

/* All of one path: as an array where it is one, or has to be. */
static void path_write(struct emp_writer *w, const struct emp_capability *caps, uint32_t count,
                       uint32_t first)
{
    bool array = caps[first].in_array;
    for (uint32_t k = first + 1; !array && k < count; k++)
        array = emp_str_eq(caps[k].path, caps[first].path);
    emp_write_key(w, caps[first].path);
    if (!array) {
        cap_write(w, &caps[first]);
        return;
    }
    emp_write_array(w, NULL);
    for (uint32_t k = first; k < count; k++)
        if (emp_str_eq(caps[k].path, caps[first].path))
            cap_write(w, &caps[k]);
    emp_write_end(w);
}

void emp_caps_write(struct emp_writer *w, const char *name, const struct emp_capability *caps,
                    uint32_t count)
{
    emp_write_object(w, name);
    for (uint32_t i = 0; i < count; i++)
        if (!path_before(caps, i))
            path_write(w, caps, count, i);
    emp_write_end(w);
}

static bool caps_encode(struct emp_writer *w, const struct emp_field *f, const void *object)
{
    uint32_t count = COUNT(object, f);
    if (count > 0)
        emp_caps_write(w, f->name, FIELD(object, f, const struct emp_capability *), count);
    return count <= f->max;
}

const struct emp_field_codec emp_caps_codec = {
    .type =
        "an object of paths with a text, number, boolean, or an array of these; up to 512 values",
    .decode = caps_decode,
    .encode = caps_encode,
};

/* ---- what other facts imply ---- */

struct adding {
    struct emp_arena *arena;
    struct emp_machine_facts *facts;
    size_t cap;
};

static void caps_add(struct adding *to, struct emp_capability c)
{
    struct emp_machine_facts *f = to->facts;
    size_t count = f->cap_count;
    for (uint32_t i = 0; !c.in_array && i < f->cap_count; i++)
        if (emp_str_eq(f->caps[i].path, c.path))
            return;
    if (count == EMP_MACHINE_CAPS_MAX)
        return;
    emp_arena_reserve(to->arena, f->caps, count, to->cap);
    f->caps[f->cap_count++] = c;
}

static void caps_add_number(struct adding *to, const char *path, double v)
{
    struct emp_capability c = {.path = emp_str_z(path), .kind = EMP_CAPABILITY_NUMBER, .number = v};
    if (v > 0)
        caps_add(to, c);
}

static bool caps_have(const struct emp_machine_facts *f, struct emp_str path)
{
    for (uint32_t i = 0; i < f->cap_count; i++)
        if (emp_str_eq(f->caps[i].path, path))
            return true;
    return false;
}

void emp_machine_caps_fill(struct emp_arena *a, struct emp_machine_facts *facts)
{
    const struct emp_str model_path = EMP_STR("hardware.gpu_model");
    struct adding to = {a, facts, facts->cap_count};
    bool models_known = caps_have(facts, model_path);
    int64_t most = 0;
    for (uint32_t i = 0; i < facts->gpu_count; i++)
        most = facts->gpus[i].memory_bytes > most ? facts->gpus[i].memory_bytes : most;
    facts->caps = emp_arena_dup(a, facts->caps, facts->cap_count * sizeof *facts->caps);
    caps_add_number(&to, "hardware.gpu_memory_gb", (double)most / 1e9);
    caps_add_number(&to, "hardware.gpu_count", facts->gpu_count);
    caps_add_number(&to, "hardware.cpu_cores", facts->cpu_cores);
    caps_add_number(&to, "hardware.ram_gb", (double)facts->ram_bytes / 1e9);
    for (uint32_t i = 0; !models_known && i < facts->gpu_count; i++)
        if (facts->gpus[i].model.len > 0)
            caps_add(&to, (struct emp_capability){.path = model_path,
                                                  .text = facts->gpus[i].model,
                                                  .kind = EMP_CAPABILITY_TEXT,
                                                  .in_array = facts->gpu_count > 1});
}

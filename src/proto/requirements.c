/* Two passes over two objects (positive, negative). A positive member with a meaning of its own is
 * in a table; every other member, and every negative one, becomes predicates over capabilities. A
 * value that could never be compared with anything is refused here, at submission: it must not wait
 * in the queue and be found out there. */
#include "proto/requirements.h"

#include "base/error.h"
#include "domain/limits.h"

#include <inttypes.h>

#define SECONDS_MAX ((double)EMP_DURATION_MS_MAX / 1000)

struct compiler {
    struct emp_shape_reader *r;
    struct emp_job_spec *spec;
    size_t cap;
    bool negated;
};

typedef int (*compile_fn)(struct compiler *c, const struct emp_place *at, const struct emp_json *v);

/* ---- predicates ---- */

static int predicate(struct compiler *c, const struct emp_place *at, struct emp_requirement q)
{
    struct emp_job_spec *s = c->spec;
    size_t count = s->requirement_count;
    if (count == EMP_JOB_REQUIREMENTS_MAX)
        return emp_place_fail(c->r, at, "one requirement too many: at most %d are allowed",
                              EMP_JOB_REQUIREMENTS_MAX);
    emp_arena_reserve(c->r->arena, s->requirements, count, c->cap);
    q.negated = c->negated;
    s->requirements[s->requirement_count++] = q;
    return 0;
}

static int generic(struct compiler *c, const struct emp_place *at, struct emp_str path,
                   const struct emp_json *v);

static int generic_array(struct compiler *c, const struct emp_place *at, struct emp_str path,
                         const struct emp_json *v)
{
    struct emp_place element = {.up = at};
    int e = 0;
    for (const struct emp_json *m = v->first; m && e == 0; m = m->next, element.index++) {
        if (m->type == EMP_JSON_ARRAY || m->type == EMP_JSON_OBJECT)
            return emp_place_fail(c->r, &element, "%s inside of an array is no requirement",
                                  emp_json_type_word(m->type));
        e = generic(c, &element, path, m);
    }
    return e;
}

static int path_join(struct compiler *c, const struct emp_place *at, struct emp_str path,
                     struct emp_str key, struct emp_str *ret)
{
    if (key.len == 0 || (uint64_t)path.len + (path.len > 0) + key.len > EMP_NAME_MAX)
        return emp_place_fail(
            c->r, at, "the name of a requirement is empty, or longer than %d bytes", EMP_NAME_MAX);
    *ret = key;
    if (path.len > 0)
        *ret = emp_str_z(
            emp_arena_printf(c->r->arena, "%.*s.%.*s", EMP_STR_FMT(path), EMP_STR_FMT(key)));
    return 0;
}

static int generic_object(struct compiler *c, const struct emp_place *at, struct emp_str path,
                          const struct emp_json *v)
{
    for (const struct emp_json *m = v->first; m; m = m->next) {
        struct emp_place member = {.up = at, .name = m->key, .index = -1};
        struct emp_str inner;
        int e = path_join(c, at, path, m->key, &inner);
        if (e == 0)
            e = generic(c, &member, inner, m);
        if (e < 0)
            return e;
    }
    return 0;
}

/* What a value means for the capability under a path. */
static int generic(struct compiler *c, const struct emp_place *at, struct emp_str path,
                   const struct emp_json *v)
{
    struct emp_requirement q = {.path = path, .kind = EMP_REQUIRE_NEVER};
    int e = 0;
    switch (v->type) {
    case EMP_JSON_ARRAY:
        if (v->count > 0)
            return generic_array(c, at, path, v);
        break;
    case EMP_JSON_OBJECT:
        if (v->count > 0)
            return generic_object(c, at, path, v);
        break;
    case EMP_JSON_STRING:
        q.kind = EMP_REQUIRE_TEXT;
        e = v->string.len ? emp_place_name(c->r, at, v, EMP_NAME_MAX, &q.text) : 0;
        break;
    case EMP_JSON_NUMBER:
        q.kind = EMP_REQUIRE_NUMBER_AT_LEAST;
        q.number = emp_json_number(v);
        break;
    case EMP_JSON_BOOL:
        q.kind = emp_json_true(v) ? EMP_REQUIRE_TRUE : EMP_REQUIRE_FALSE;
        break;
    case EMP_JSON_NULL:
        break;
    }
    return e < 0 ? e : predicate(c, at, q);
}

/* ---- members with a meaning of their own ---- */

static bool is_all(const struct emp_json *v)
{
    return v->type == EMP_JSON_STRING && emp_str_eq(v->string, EMP_STR("all"));
}

/* Appends names to one of the spec's lists. */
static int names_add(struct compiler *c, const struct emp_place *at, const struct emp_json *v,
                     struct emp_str **list, uint32_t *count, uint32_t max)
{
    struct emp_place element = {.up = at};
    int e = emp_place_type(c->r, at, v, EMP_JSON_ARRAY);
    if (e < 0)
        return e;
    if (v->count > max - *count)
        return emp_place_fail(
            c->r, at,
            "has %" PRIu32 " elements, with those named elsewhere at most %" PRIu32 " are allowed",
            v->count, max);
    *list = emp_arena_realloc(c->r->arena, *list, *count * sizeof **list,
                              ((size_t)*count + v->count) * sizeof **list);
    for (const struct emp_json *m = v->first; m && e == 0; m = m->next, element.index++)
        e = emp_place_name(c->r, &element, m, EMP_NAME_MAX, &(*list)[(*count)++]);
    return e;
}

static int compile_models(struct compiler *c, const struct emp_place *at, const struct emp_json *v)
{
    if (v->type == EMP_JSON_STRING) /* "all"; and any other text, which never asked for anything */
        return 0;
    return names_add(c, at, v, &c->spec->models, &c->spec->model_count, EMP_JOB_MODELS_MAX);
}

static int compile_nodes(struct compiler *c, const struct emp_place *at, const struct emp_json *v)
{
    return names_add(c, at, v, &c->spec->custom_nodes, &c->spec->node_count, EMP_JOB_NODES_MAX);
}

static int compile_compliance(struct compiler *c, const struct emp_place *at,
                              const struct emp_json *v)
{
    return names_add(c, at, v, &c->spec->compliance, &c->spec->compliance_count, EMP_JOB_TAGS_MAX);
}

static int compile_isolation(struct compiler *c, const struct emp_place *at,
                             const struct emp_json *v)
{
    int e = emp_place_type(c->r, at, v, EMP_JSON_STRING);
    if (e == 0 && emp_isolation_parse(v->string, &c->spec->isolation) < 0)
        return emp_place_fail(c->r, at, "%s is none of none, loose, strict",
                              emp_json_excerpt(c->r->arena, v));
    return e;
}

static int compile_region(struct compiler *c, const struct emp_place *at, const struct emp_json *v)
{
    struct emp_str region;
    int e = emp_place_name(c->r, at, v, EMP_NAME_MAX, &region);
    if (e < 0)
        return e;
    if (c->spec->region.len > 0 && !emp_str_eq(c->spec->region, region))
        return emp_place_fail(c->r, at, "%s contradicts the region \"%.*s\" named elsewhere",
                              emp_json_excerpt(c->r->arena, v), EMP_STR_FMT(c->spec->region));
    c->spec->region = region;
    return 0;
}

static int compile_timeout(struct compiler *c, const struct emp_place *at, const struct emp_json *v)
{
    double minutes;
    int e = emp_place_number(c->r, at, v, 0.001, SECONDS_MAX / 60, &minutes);
    if (e == 0 && c->spec->timeout_ms == 0)
        c->spec->timeout_ms = (int64_t)(minutes * 60000 + 0.5);
    return e;
}

/* "all" asks for nothing in particular, other words for that one. */
static int compile_word_or_all(struct compiler *c, const struct emp_place *at,
                               const struct emp_json *v)
{
    return is_all(v) ? 0 : generic(c, at, at->name, v);
}

static int compile_hardware(struct compiler *c, const struct emp_place *at,
                            const struct emp_json *v)
{
    static const char *const asked[] = {"gpu_memory_gb", "cpu_cores", "ram_gb"};
    static const char *const paths[] = {"hardware.gpu_memory_gb", "hardware.cpu_cores",
                                        "hardware.ram_gb"};
    int e = emp_place_type(c->r, at, v, EMP_JSON_OBJECT);
    for (size_t i = 0; e == 0 && i < sizeof asked / sizeof *asked; i++) {
        const struct emp_json *m = emp_json_find(v, asked[i]);
        struct emp_place member = {.up = at, .name = emp_str_z(asked[i]), .index = -1};
        struct emp_requirement q = {.path = emp_str_z(paths[i]),
                                    .kind = EMP_REQUIRE_NUMBER_AT_LEAST};
        if (m == NULL || m->type == EMP_JSON_NULL || is_all(m))
            continue;
        e = emp_place_number(c->r, &member, m, 0, 1e6, &q.number);
        if (e == 0)
            e = predicate(c, &member, q);
    }
    return e;
}

static int compile_nothing(struct compiler *c, const struct emp_place *at, const struct emp_json *v)
{
    (void)c, (void)at, (void)v;
    return 0;
}

static const struct {
    const char *name;
    compile_fn compile;
    bool negative_too; /* means the same, negated, among negative requirements */
} members[] = {
    {"hardware", compile_hardware, true},
    {"models", compile_models, false},
    {"custom_nodes", compile_nodes, false},
    {"compliance", compile_compliance, false},
    {"customer_isolation", compile_isolation, false},
    {"geographic_region", compile_region, false},
    {"region", compile_region, false},
    {"timeout_minutes", compile_timeout, false},
    {"component", compile_word_or_all, true},
    {"workflow", compile_word_or_all, true},
    {"service_type", compile_nothing, true},
};

static int compile_member(struct compiler *c, const struct emp_place *at, const struct emp_json *v)
{
    struct emp_str path;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (!emp_str_eq(emp_str_z(members[i].name), v->key) ||
            (c->negated && !members[i].negative_too))
            continue;
        return v->type == EMP_JSON_NULL ? 0 : members[i].compile(c, at, v);
    }
    int e = path_join(c, at, (struct emp_str){0}, v->key, &path);
    return e < 0 ? e : generic(c, at, path, v);
}

static int compile_object(struct compiler *c, const struct emp_place *at, const struct emp_json *v,
                          const char *except)
{
    int e = emp_place_type(c->r, at, v, EMP_JSON_OBJECT);
    for (const struct emp_json *m = e == 0 ? v->first : NULL; m && e == 0; m = m->next) {
        struct emp_place member = {.up = at, .name = m->key, .index = -1};
        if (except == NULL || !emp_str_eq(emp_str_z(except), m->key))
            e = compile_member(c, &member, m);
    }
    return e;
}

static const char positive_name[] = "positive_requirements",
                  negative_name[] = "negative_requirements";

/* A half of the wrapper: NULL when absent or null. */
static const struct emp_json *half(const struct emp_json *v, const char *name)
{
    const struct emp_json *m = emp_json_find(v, name);
    return m && m->type != EMP_JSON_NULL ? m : NULL;
}

int emp_requirements_compile(struct emp_shape_reader *r, const struct emp_json *v,
                             struct emp_job_spec *spec)
{
    struct compiler c = {.r = r, .spec = spec};
    const struct emp_place at = {.name = EMP_STR("requirements"), .index = -1};
    const struct emp_json *positive = half(v, positive_name), *negative = half(v, negative_name);
    struct emp_place inner = {.up = &at, .name = EMP_STR(positive_name), .index = -1};
    int e = positive ? compile_object(&c, &inner, positive, NULL)
                     : compile_object(&c, &at, v, negative_name);
    if (e < 0 || negative == NULL)
        return e;
    inner.name = EMP_STR(negative_name);
    c.negated = true;
    return compile_object(&c, &inner, negative, NULL);
}

/* ---- the way back ---- */

static void value_write(struct emp_writer *w, const struct emp_requirement *q)
{
    switch (q->kind) {
    case EMP_REQUIRE_NUMBER_AT_LEAST:
        emp_write_double(w, NULL, q->number);
        break;
    case EMP_REQUIRE_TEXT:
        emp_write_str(w, NULL, q->text);
        break;
    case EMP_REQUIRE_TRUE:
    case EMP_REQUIRE_FALSE:
        emp_write_bool(w, NULL, q->kind == EMP_REQUIRE_TRUE);
        break;
    case EMP_REQUIRE_NEVER:
        emp_write_null(w, NULL);
        break;
    }
}

static bool same(const struct emp_requirement *a, const struct emp_requirement *b)
{
    return a->negated == b->negated && emp_str_eq(a->path, b->path);
}

/* All predicates of one path are one member, an array. */
static void half_write(struct emp_writer *w, const struct emp_job_spec *spec, bool negated)
{
    const struct emp_requirement *all = spec->requirements;
    for (uint32_t i = 0; i < spec->requirement_count; i++) {
        uint32_t first = 0;
        while (!same(&all[first], &all[i]))
            first++;
        if (first < i || all[i].negated != negated)
            continue;
        emp_write_key(w, all[i].path);
        emp_write_array(w, NULL);
        for (uint32_t k = i; k < spec->requirement_count; k++)
            if (same(&all[k], &all[i]))
                value_write(w, &all[k]);
        emp_write_end(w);
    }
}

void emp_requirements_write(struct emp_writer *w, const struct emp_job_spec *spec)
{
    if (spec->requirement_count == 0 && spec->isolation == EMP_ISOLATION_NONE)
        return;
    emp_write_object(w, "requirements");
    emp_write_object(w, positive_name);
    if (spec->isolation != EMP_ISOLATION_NONE)
        emp_write_z(w, "customer_isolation", emp_isolation_word(spec->isolation));
    half_write(w, spec, false);
    emp_write_end(w);
    emp_write_object(w, negative_name);
    half_write(w, spec, true);
    emp_write_end(w);
    emp_write_end(w);
}

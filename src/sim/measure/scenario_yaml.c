/* YAML into a scenario, along the table scenario_keys.def. "like: NAME" starts from a built-in one;
 * each key said replaces that key's whole value (a table, a list). The first fault stops the
 * reading and names file, line and key.
 *
 * An operator's own file, read by the operator's own command: bounded (EMP_SCENARIO_BYTES_MAX in
 * scenario.c, depth of "like"), but not hardened against a malicious one as config/ is. */
#include "config/units.h"
#include "sim/measure/scenario_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

enum { LIKE_DEPTH_MAX = 8, TABLE_MAX = 1000, PATH_BYTES = 128, LIST_MAX = 1000 };

const struct emp_scenario_key emp_scenario_keys[] = {
#define EMP_SCENARIO_KEY(path, type, field, unit, low, high, meaning) \
    {path, EMP_SCENARIO_##type, offsetof(struct emp_scenario, field), unit, low, high, meaning},
#include "sim/measure/scenario_keys.def"
#undef EMP_SCENARIO_KEY
    {NULL, 0, 0, 0, 0, 0, NULL},
};

struct reader {
    struct emp_scenario *sc;
    struct emp_error *err;
    const char *file;
    unsigned depth;
    yaml_document_t doc;
};

static int __attribute__((format(printf, 4, 5)))
fault(struct reader *r, const yaml_node_t *at, const char *key, const char *fmt, ...)
{
    char text[EMP_ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return emp_fail(r->err, EMP_E_INVALID, key, "%s:%zu: %s%s%s", r->file,
                    at ? at->start_mark.line + 1 : 1, key ? key : "", key ? ": " : "", text);
}

static struct emp_str text_of(const yaml_node_t *n)
{
    return (struct emp_str){(const char *)n->data.scalar.value, (uint32_t)n->data.scalar.length};
}

static yaml_node_t *item(struct reader *r, const yaml_node_t *list, size_t i)
{
    return yaml_document_get_node(&r->doc, list->data.sequence.items.start[i]);
}

static size_t item_count(const yaml_node_t *list)
{
    return (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
}

static int want(struct reader *r, const yaml_node_t *n, yaml_node_type_t type, const char *key)
{
    if (n->type == type)
        return 0;
    return fault(r, n, key, "%s is needed",
                 type == YAML_SCALAR_NODE     ? "a single value"
                 : type == YAML_SEQUENCE_NODE ? "a list"
                                              : "a map");
}

/* ── single values ── */

static int number(struct reader *r, const yaml_node_t *n, const char *key, double low, double high,
                  double *ret)
{
    int e = want(r, n, YAML_SCALAR_NODE, key);
    if (e < 0)
        return e;
    struct emp_str s = text_of(n);
    char *end;
    double v = strtod(s.ptr, &end);
    if (s.len == 0 || end != s.ptr + s.len || !isfinite(v))
        return fault(r, n, key, "\"%.*s\" is no number", EMP_STR_FMT(s));
    if (v < low || v > high)
        return fault(r, n, key, "%.*s is not in [%g, %g]", EMP_STR_FMT(s), low, high);
    *ret = v;
    return 0;
}

static int text(struct reader *r, const yaml_node_t *n, const char *key, struct emp_str *ret)
{
    int e = want(r, n, YAML_SCALAR_NODE, key);
    if (e == 0 && text_of(n).len == 0)
        e = fault(r, n, key, "it is empty");
    if (e == 0)
        *ret = emp_str_copy(&r->sc->arena, text_of(n));
    return e;
}

static int flag(struct reader *r, const yaml_node_t *n, const char *key, bool *ret)
{
    int e = want(r, n, YAML_SCALAR_NODE, key);
    if (e < 0)
        return e;
    *ret = emp_str_eq(text_of(n), EMP_STR("true"));
    return *ret || emp_str_eq(text_of(n), EMP_STR("false"))
               ? 0
               : fault(r, n, key, "\"%.*s\" is neither true nor false", EMP_STR_FMT(text_of(n)));
}

static int bytes(struct reader *r, const yaml_node_t *n, const char *key, int64_t *ret)
{
    int e = want(r, n, YAML_SCALAR_NODE, key);
    if (e < 0)
        return e;
    if (emp_bytes_parse(text_of(n), ret) < 0 || *ret < 1 || *ret > EMP_BYTES_MAX)
        return fault(r, n, key, "\"%.*s\" is no size; write 24gb", EMP_STR_FMT(text_of(n)));
    return 0;
}

static int date(struct reader *r, const yaml_node_t *n, const char *key, emp_wall_ms *ret)
{
    char iso[EMP_ISO_MAX];
    int e = want(r, n, YAML_SCALAR_NODE, key);
    if (e < 0)
        return e;
    snprintf(iso, sizeof iso, "%.10sT00:00:00Z", text_of(n).ptr);
    if (text_of(n).len != 10 || emp_iso_parse(iso, strlen(iso), ret) < 0 || *ret <= 0)
        return fault(r, n, key, "\"%.*s\" is no date; write 2025-02-01", EMP_STR_FMT(text_of(n)));
    return 0;
}

/* ── tables and lists ── */

static int weights(struct reader *r, const yaml_node_t *n, const char *key, size_t count,
                   double high, double *ret)
{
    double sum = 0;
    int e = want(r, n, YAML_SEQUENCE_NODE, key);
    if (e < 0)
        return e;
    if (item_count(n) != count)
        return fault(r, n, key, "%zu numbers; %zu are needed", item_count(n), count);
    for (size_t i = 0; i < count; i++) {
        if ((e = number(r, item(r, n, i), key, 0, high, &ret[i])) < 0)
            return e;
        sum += ret[i];
    }
    if (!(sum > 0))
        return fault(r, n, key, "all are 0");
    for (size_t i = 0; i < count; i++)
        ret[i] /= sum;
    return 0;
}

/* [[share, value], …]: shares from 0 to 1, growing; values not falling. */
static int points(struct reader *r, const yaml_node_t *n, const char *key, double unit, double low,
                  double high, struct emp_quantiles *ret)
{
    int e = want(r, n, YAML_SEQUENCE_NODE, key);
    if (e < 0)
        return e;
    size_t count = item_count(n);
    if (count < 2 || count > TABLE_MAX)
        return fault(r, n, key, "%zu points; 2 to %d are needed", count, TABLE_MAX);
    ret->share = emp_arena_array(&r->sc->arena, double, count);
    ret->value = emp_arena_array(&r->sc->arena, double, count);
    ret->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *p = item(r, n, i);
        if (p->type != YAML_SEQUENCE_NODE || item_count(p) != 2)
            return fault(r, p, key, "each point is [share, value]");
        if ((e = number(r, item(r, p, 0), key, 0, 1, &ret->share[i])) < 0 ||
            (e = number(r, item(r, p, 1), key, low, high, &ret->value[i])) < 0)
            return e;
        ret->value[i] *= unit;
        if (i && (ret->share[i] <= ret->share[i - 1] || ret->value[i] < ret->value[i - 1]))
            return fault(r, p, key, "shares must grow and values must not fall");
    }
    if (ret->share[0] != 0 || ret->share[count - 1] != 1)
        return fault(r, n, key, "the first share must be 0 and the last 1");
    return 0;
}

/* Walks a small map of known keys: `each` gets every pair, and answers 1 for a key unknown to it.
 */
typedef int (*pair_reader)(struct reader *r, struct emp_str key, const yaml_node_t *value,
                           const char *path, void *ctx);
static int pairs(struct reader *r, const yaml_node_t *n, const char *path, pair_reader each,
                 void *ctx)
{
    int e = want(r, n, YAML_MAPPING_NODE, path);
    if (e < 0)
        return e;
    for (const yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
        if ((e = want(r, key, YAML_SCALAR_NODE, path)) < 0)
            return e;
        e = each(r, text_of(key), yaml_document_get_node(&r->doc, p->value), path, ctx);
        if (e > 0)
            return fault(r, key, path, "unknown key \"%.*s\"", EMP_STR_FMT(text_of(key)));
        if (e < 0)
            return e;
    }
    return 0;
}

struct table {
    const struct emp_scenario_key *key;
    struct emp_quantiles q;
};

static int table_pair(struct reader *r, struct emp_str key, const yaml_node_t *value,
                      const char *path, void *ctx)
{
    struct table *t = ctx;
    if (emp_str_eq(key, EMP_STR("source")))
        return text(r, value, path, &t->q.source);
    if (emp_str_eq(key, EMP_STR("at")))
        return points(r, value, path, t->key->unit, t->key->low, t->key->high, &t->q);
    return 1;
}

static int table(struct reader *r, const yaml_node_t *n, const struct emp_scenario_key *k,
                 struct emp_quantiles *ret)
{
    struct table t = {.key = k};
    int e = pairs(r, n, k->path, table_pair, &t);
    if (e == 0 && t.q.source.len == 0)
        e = fault(r, n, k->path, "no source: say where the numbers are from");
    if (e == 0 && t.q.count == 0)
        e = fault(r, n, k->path, "no \"at\": a list of [share, value]");
    if (e == 0)
        *ret = t.q;
    return e;
}

static int family_pair(struct reader *r, struct emp_str key, const yaml_node_t *value,
                       const char *path, void *ctx)
{
    struct emp_scenario_family *f = ctx;
    if (emp_str_eq(key, EMP_STR("name")))
        return text(r, value, path, &f->name);
    if (emp_str_eq(key, EMP_STR("share")))
        return number(r, value, path, 0, 1e9, &f->share);
    if (emp_str_eq(key, EMP_STR("source")))
        return text(r, value, path, &f->bytes.source);
    if (emp_str_eq(key, EMP_STR("gb")))
        return points(r, value, path, 1e9, 1e-6, 1e5, &f->bytes);
    return 1;
}

static int pool_streams(struct reader *r, const yaml_node_t *n, const char *path, uint32_t *ret)
{
    static const char *const words[EMP_TRACE_JOB_KIND_COUNT] = {"trace", "text", "video"};
    int e = want(r, n, YAML_SEQUENCE_NODE, path);
    for (size_t i = 0; e == 0 && i < item_count(n); i++) {
        const yaml_node_t *w = item(r, n, i);
        int kind = 0;
        if ((e = want(r, w, YAML_SCALAR_NODE, path)) < 0)
            return e;
        while (kind < EMP_TRACE_JOB_KIND_COUNT && !emp_str_eq(text_of(w), emp_str_z(words[kind])))
            kind++;
        if (kind == EMP_TRACE_JOB_KIND_COUNT)
            return fault(r, w, path, "\"%.*s\" is none of trace, text, video",
                         EMP_STR_FMT(text_of(w)));
        *ret |= 1u << kind;
    }
    return e;
}

static int pool_count(struct reader *r, const yaml_node_t *n, const char *path, double high,
                      uint32_t *ret)
{
    double v = 0;
    int e = number(r, n, path, 1, high, &v);
    if (e == 0 && v != floor(v))
        e = fault(r, n, path, "%g is no whole number", v);
    *ret = (uint32_t)v;
    return e;
}

static int pool_pair(struct reader *r, struct emp_str key, const yaml_node_t *value,
                     const char *path, void *ctx)
{
    struct emp_scenario_pool *p = ctx;
    if (emp_str_eq(key, EMP_STR("name")))
        return text(r, value, path, &p->name);
    if (emp_str_eq(key, EMP_STR("machines")))
        return pool_count(r, value, path, EMP_MACHINES_MAX, &p->machines);
    if (emp_str_eq(key, EMP_STR("slots")))
        return pool_count(r, value, path, EMP_MACHINE_SLOTS_MAX, &p->slots);
    if (emp_str_eq(key, EMP_STR("gpu_memory")))
        return bytes(r, value, path, &p->gpu_memory_bytes);
    if (emp_str_eq(key, EMP_STR("ram")))
        return bytes(r, value, path, &p->ram_bytes);
    if (emp_str_eq(key, EMP_STR("disk")))
        return bytes(r, value, path, &p->disk_bytes);
    if (emp_str_eq(key, EMP_STR("jobs")))
        return pool_streams(r, value, path, &p->streams);
    return 1;
}

static int gpu_pair(struct reader *r, struct emp_str key, const yaml_node_t *value,
                    const char *path, void *ctx)
{
    struct emp_scenario_gpu *g = ctx;
    if (emp_str_eq(key, EMP_STR("name")))
        return text(r, value, path, &g->name);
    if (emp_str_eq(key, EMP_STR("share")))
        return number(r, value, path, 0, 1e9, &g->share);
    if (emp_str_eq(key, EMP_STR("time")))
        return number(r, value, path, 1e-3, 1e6, &g->time);
    if (emp_str_eq(key, EMP_STR("usd_per_h")))
        return number(r, value, path, 0, 1e4, &g->price_h);
    return 1;
}

/* A list of maps into a fresh array. */
static int records(struct reader *r, const yaml_node_t *n, const char *path, size_t each,
                   pair_reader read, void **ret, uint32_t *ret_count)
{
    int e = want(r, n, YAML_SEQUENCE_NODE, path);
    if (e < 0)
        return e;
    size_t count = item_count(n);
    if (count == 0 || count > LIST_MAX)
        return fault(r, n, path, "%zu entries; 1 to %d are needed", count, LIST_MAX);
    char *array = emp_arena_alloc_many(&r->sc->arena, count, each);
    for (size_t i = 0; i < count && e == 0; i++)
        e = pairs(r, item(r, n, i), path, read, array + i * each);
    *ret = array;
    *ret_count = (uint32_t)count;
    return e;
}

static int pools(struct reader *r, const yaml_node_t *n, const char *path)
{
    struct emp_scenario *sc = r->sc;
    void *list = NULL;
    int e = records(r, n, path, sizeof *sc->pools, pool_pair, &list, &sc->pool_count);
    sc->pools = list;
    for (uint32_t i = 0; e == 0 && i < sc->pool_count; i++) {
        const struct emp_scenario_pool *p = &sc->pools[i];
        if (!p->name.len || !p->machines || !p->slots || !p->gpu_memory_bytes || !p->ram_bytes ||
            !p->disk_bytes || !p->streams)
            e = fault(r, item(r, n, i), path,
                      "a pool needs name, machines, slots, gpu_memory, ram, disk and jobs");
        for (uint32_t j = 0; e == 0 && j < i; j++)
            if (emp_str_eq(p->name, sc->pools[j].name))
                e = fault(r, item(r, n, i), path, "pool \"%.*s\" stands twice",
                          EMP_STR_FMT(p->name));
    }
    return e;
}

static int gpus(struct reader *r, const yaml_node_t *n, const char *path)
{
    struct emp_scenario *sc = r->sc;
    void *list = NULL;
    double sum = 0;
    int e = records(r, n, path, sizeof *sc->gpus, gpu_pair, &list, &sc->gpu_count);
    sc->gpus = list;
    for (uint32_t i = 0; e == 0 && i < sc->gpu_count; i++) {
        sum += sc->gpus[i].share;
        if (!sc->gpus[i].name.len || !(sc->gpus[i].time > 0))
            e = fault(r, item(r, n, i), path, "a GPU needs name, share, time and usd_per_h");
    }
    if (e == 0 && !(sum > 0))
        e = fault(r, n, path, "all shares are 0");
    for (uint32_t i = 0; e == 0 && i < sc->gpu_count; i++)
        sc->gpus[i].share /= sum;
    return e;
}

static int families(struct reader *r, const yaml_node_t *n, const char *path,
                    struct emp_scenario_kind *kind)
{
    void *list = NULL;
    double sum = 0;
    int e = records(r, n, path, sizeof *kind->families, family_pair, &list, &kind->family_count);
    kind->families = list;
    for (uint32_t i = 0; e == 0 && i < kind->family_count; i++) {
        const struct emp_scenario_family *f = &kind->families[i];
        sum += f->share;
        if (!f->name.len || !f->bytes.count || !f->bytes.source.len)
            e = fault(r, item(r, n, i), path, "a family needs name, share, source and gb");
    }
    if (e == 0 && !(sum > 0))
        e = fault(r, n, path, "all shares are 0");
    for (uint32_t i = 0; e == 0 && i < kind->family_count; i++)
        kind->families[i].share /= sum;
    return e;
}

static int notes(struct reader *r, const yaml_node_t *n, const char *path)
{
    int e = want(r, n, YAML_SEQUENCE_NODE, path);
    if (e < 0)
        return e;
    if (item_count(n) > LIST_MAX)
        return fault(r, n, path, "more than %d", LIST_MAX);
    r->sc->notes = emp_arena_array(&r->sc->arena, struct emp_str, item_count(n));
    r->sc->note_count = (uint32_t)item_count(n);
    for (uint32_t i = 0; i < r->sc->note_count && e == 0; i++)
        e = text(r, item(r, n, i), path, &r->sc->notes[i]);
    return e;
}

/* ── the walk ── */

static int key_read(struct reader *r, const yaml_node_t *n, const struct emp_scenario_key *k)
{
    void *field = (char *)r->sc + k->offset;
    double v = 0;
    int e;
    switch (k->type) {
    case EMP_SCENARIO_TEXT:
        return text(r, n, k->path, field);
    case EMP_SCENARIO_FLAG:
        return flag(r, n, k->path, field);
    case EMP_SCENARIO_DATE:
        return date(r, n, k->path, field);
    case EMP_SCENARIO_TABLE:
        return table(r, n, k, field);
    case EMP_SCENARIO_WEIGHTS4:
        return weights(r, n, k->path, 4, k->high, field);
    case EMP_SCENARIO_WEIGHTS24:
        return weights(r, n, k->path, 24, k->high, field);
    case EMP_SCENARIO_NOTES:
        return notes(r, n, k->path);
    case EMP_SCENARIO_POOLS:
        return pools(r, n, k->path);
    case EMP_SCENARIO_GPUS:
        return gpus(r, n, k->path);
    case EMP_SCENARIO_FAMILIES:
        return families(r, n, k->path, field);
    case EMP_SCENARIO_NUMBER:
        if ((e = number(r, n, k->path, k->low, k->high, &v)) == 0)
            *(double *)field = v * k->unit;
        return e;
    case EMP_SCENARIO_COUNT64:
        if ((e = number(r, n, k->path, k->low, k->high, &v)) == 0)
            *(int64_t *)field = llround(v * k->unit);
        return e;
    }
    return fault(r, n, k->path, "a key of no type");
}

/* The key of this path, or, when only longer ones begin with it, *ret_section. */
static const struct emp_scenario_key *key_find(const char *path, bool *ret_section)
{
    size_t len = strlen(path);
    *ret_section = false;
    for (const struct emp_scenario_key *k = emp_scenario_keys; k->path; k++) {
        if (strcmp(k->path, path) == 0)
            return k;
        *ret_section |= strncmp(k->path, path, len) == 0 && k->path[len] == '.';
    }
    return NULL;
}

static int unknown(struct reader *r, const yaml_node_t *n, const char *path)
{
    const char *nearest = NULL;
    unsigned best = 6;
    for (const struct emp_scenario_key *k = emp_scenario_keys; k->path; k++) {
        unsigned d = emp_str_distance(emp_str_z(k->path), emp_str_z(path), best);
        if (d < best) {
            best = d;
            nearest = k->path;
        }
    }
    return fault(r, n, path, "unknown key%s%s%s", nearest ? "; is \"" : "", nearest ? nearest : "",
                 nearest ? "\" meant?" : "");
}

static int section(struct reader *r, const yaml_node_t *n, const char *prefix)
{
    int e = want(r, n, YAML_MAPPING_NODE, *prefix ? prefix : NULL);
    for (const yaml_node_pair_t *p = e < 0 ? NULL : n->data.mapping.pairs.start;
         p && p < n->data.mapping.pairs.top && e == 0; p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
        const yaml_node_t *value = yaml_document_get_node(&r->doc, p->value);
        char path[PATH_BYTES];
        bool deeper;
        if ((e = want(r, key, YAML_SCALAR_NODE, *prefix ? prefix : NULL)) < 0)
            return e;
        snprintf(path, sizeof path, "%s%s%.*s", prefix, *prefix ? "." : "",
                 EMP_STR_FMT(text_of(key)));
        if (strcmp(path, "like") == 0)
            continue; /* it came first */
        const struct emp_scenario_key *k = key_find(path, &deeper);
        e = k ? key_read(r, value, k) : deeper ? section(r, value, path) : unknown(r, key, path);
    }
    return e;
}

static int like(struct reader *r, const yaml_node_t *root)
{
    if (root->type != YAML_MAPPING_NODE)
        return fault(r, root, NULL, "a scenario is a map of keys");
    for (const yaml_node_pair_t *p = root->data.mapping.pairs.start;
         p < root->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, p->key);
        const yaml_node_t *value = yaml_document_get_node(&r->doc, p->value);
        if (key->type != YAML_SCALAR_NODE || !emp_str_eq(text_of(key), EMP_STR("like")))
            continue;
        int e = want(r, value, YAML_SCALAR_NODE, "like");
        if (e < 0)
            return e;
        const struct emp_scenario_builtin *b = emp_scenario_builtin(text_of(value));
        if (!b || r->depth == LIKE_DEPTH_MAX)
            return fault(r, value, "like", "\"%.*s\" is no built-in scenario",
                         EMP_STR_FMT(text_of(value)));
        return emp_scenario_apply(r->sc, b->name, b->text, b->len, r->depth + 1, r->err);
    }
    return 0;
}

int emp_scenario_apply(struct emp_scenario *sc, const char *file, const char *source, size_t len,
                       unsigned depth, struct emp_error *err)
{
    struct reader r = {.sc = sc, .err = err, .file = file, .depth = depth};
    yaml_parser_t parser;
    int e;
    if (!yaml_parser_initialize(&parser))
        return emp_fail(err, EMP_E_INTERNAL, NULL, "no memory to read %s", file);
    yaml_parser_set_input_string(&parser, (const unsigned char *)source, len);
    if (!yaml_parser_load(&parser, &r.doc)) {
        e = emp_fail(err, EMP_E_MALFORMED, NULL, "%s:%zu: %s", file, parser.problem_mark.line + 1,
                     parser.problem ? parser.problem : "not YAML");
        yaml_parser_delete(&parser);
        return e;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&r.doc);
    e = root ? like(&r, root) : fault(&r, NULL, NULL, "it is empty");
    if (e == 0)
        e = section(&r, root, "");
    yaml_document_delete(&r.doc);
    yaml_parser_delete(&parser);
    return e;
}

/* Walks a libyaml document along the table. Each function gets the dotted path of where it stands,
 * for messages and for the look-up; every node knows its line.
 *
 * Not trusted: depth (counted while parsing events would cost a second pass; libyaml's loader does
 * not recurse, so only our own walk needs the bound), aliases (each look at a node is counted),
 * mapping sizes (duplicates are searched pairwise). A fault does not stop the walk, so that one run
 * names them all. */
#include "config/reader.h"

#include "config/keys.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <yaml.h>

enum { PATH_MAX_BYTES = EMP_ERROR_FIELD_MAX };

struct reader {
    struct emp_config *c;
    yaml_document_t doc;
    uint32_t visits;
    bool stop;
};

/* Where we are: the section whose keys apply, the record they fill, and what stands before the key.
 */
struct place {
    const struct emp_section_info *section;
    void *record;
    int32_t *lines;              /* origin of each key of the record */
    char shown[PATH_MAX_BYTES];  /* "pools.heavy": for messages */
    char prefix[PATH_MAX_BYTES]; /* "routing": within the section */
};

static void __attribute__((format(printf, 5, 6)))
fault(struct reader *r, const yaml_node_t *at, int code, const char *key, const char *fmt, ...)
{
    char text[EMP_ERROR_TEXT_MAX];
    struct emp_error e = {0};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    unsigned line = at ? (unsigned)at->start_mark.line + 1 : 1;
    if (key && *key)
        emp_fail(&e, code, key, "%.*s:%u: %s: %s", EMP_STR_FMT(r->c->file), line, key, text);
    else
        emp_fail(&e, code, key, "%.*s:%u: %s", EMP_STR_FMT(r->c->file), line, text);
    emp_config_fault(r->c, &e);
    r->stop = r->stop || r->c->fault_count == EMP_CONFIG_FAULTS_MAX;
}

static yaml_node_t *node_at(struct reader *r, int number)
{
    if (++r->visits > EMP_YAML_VISITS_MAX && !r->stop) {
        fault(r, NULL, EMP_E_LIMIT, NULL, "too many values: more than %d", EMP_YAML_VISITS_MAX);
        r->stop = true;
    }
    return yaml_document_get_node(&r->doc, number);
}

static struct emp_str scalar_text(const yaml_node_t *n)
{
    return (struct emp_str){(const char *)n->data.scalar.value, (uint32_t)n->data.scalar.length};
}

/* Nothing said: "key:" with no value, "~", "null" unquoted. */
static bool is_null(const yaml_node_t *n)
{
    if (n->type != YAML_SCALAR_NODE || n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    struct emp_str s = scalar_text(n);
    return s.len == 0 || emp_str_eq(s, EMP_STR("~")) ||
           (s.len == 4 && strncasecmp(s.ptr, "null", 4) == 0);
}

static const char *node_word(const yaml_node_t *n)
{
    return n->type == YAML_MAPPING_NODE    ? "a map"
           : n->type == YAML_SEQUENCE_NODE ? "a list"
                                           : "a single value";
}

/* Appends as much as fits, never half a UTF-8 sequence. */
static size_t path_add(char out[PATH_MAX_BYTES], size_t at, struct emp_str part)
{
    size_t n = part.len, room = PATH_MAX_BYTES - 1 - at;
    if (n > room)
        for (n = room; n > 0 && ((unsigned char)part.ptr[n] & 0xc0) == 0x80; n--)
            ;
    if (n)
        memcpy(out + at, part.ptr, n);
    out[at + n] = 0;
    return at + n;
}

static void path_join(const char *prefix, struct emp_str key, char out[PATH_MAX_BYTES])
{
    size_t at = path_add(out, 0, emp_str_z(prefix));
    if (*prefix)
        at = path_add(out, at, EMP_STR("."));
    path_add(out, at, key);
}

/* ── mappings: what all of them share ── */

/* One key and value of a mapping; false when the key is unfit (the fault is kept) or the mapping is
 * at its end. */
static bool pair_at(struct reader *r, const yaml_node_t *map, size_t i, const char *path,
                    yaml_node_t **ret_key, yaml_node_t **ret_value)
{
    const yaml_node_pair_t *pair = &map->data.mapping.pairs.start[i];
    *ret_key = node_at(r, pair->key);
    *ret_value = node_at(r, pair->value);
    if (r->stop || !*ret_key || !*ret_value)
        return false;
    if ((*ret_key)->type != YAML_SCALAR_NODE || scalar_text(*ret_key).len == 0) {
        fault(r, *ret_key, EMP_E_INVALID, path, "a key must be a word, not %s",
              (*ret_key)->type == YAML_SCALAR_NODE ? "empty" : node_word(*ret_key));
        return false;
    }
    struct emp_str text = scalar_text(*ret_key);
    if (!emp_utf8_valid(text.ptr, text.len) || memchr(text.ptr, 0, text.len) ||
        text.len > EMP_NAME_MAX) {
        fault(r, *ret_key, EMP_E_INVALID, path, "a key must be UTF-8 of at most %d bytes",
              EMP_NAME_MAX);
        return false;
    }
    return true;
}

static size_t pair_count(const yaml_node_t *map)
{
    return (size_t)(map->data.mapping.pairs.top - map->data.mapping.pairs.start);
}

/* Reports keys that stand twice. False: too many to look at. */
static bool keys_are_unique(struct reader *r, const yaml_node_t *map, const char *path)
{
    size_t n = pair_count(map);
    bool unique = true;
    if (n > EMP_YAML_MAP_MAX) {
        fault(r, map, EMP_E_LIMIT, path, "%zu keys are too many: at most %d", n, EMP_YAML_MAP_MAX);
        return false;
    }
    for (size_t i = 1; i < n; i++) {
        const yaml_node_t *a =
            yaml_document_get_node(&r->doc, map->data.mapping.pairs.start[i].key);
        for (size_t j = 0; j < i && a && a->type == YAML_SCALAR_NODE; j++) {
            const yaml_node_t *b =
                yaml_document_get_node(&r->doc, map->data.mapping.pairs.start[j].key);
            if (!b || b->type != YAML_SCALAR_NODE || !emp_str_eq(scalar_text(a), scalar_text(b)))
                continue;
            char key[PATH_MAX_BYTES];
            path_join(path, scalar_text(a), key);
            fault(r, a, EMP_E_INVALID, key, "it stands twice; first in line %u",
                  (unsigned)b->start_mark.line + 1);
            unique = false;
            break;
        }
    }
    return unique;
}

/* ── values ── */

static void read_scalar(struct reader *r, const struct place *p, const struct emp_key *k,
                        const char *path, const yaml_node_t *n)
{
    struct emp_error why = {0};
    if (n->type != YAML_SCALAR_NODE)
        fault(r, n, EMP_E_INVALID, path, "it wants one value (%s), not %s",
              emp_key_type_word(k->type), node_word(n));
    else if (is_null(n))
        fault(r, n, EMP_E_INVALID, path, "it has no value; wanted is: %s",
              emp_key_type_word(k->type));
    else if (emp_value_parse(k, scalar_text(n), p->record, &r->c->arena, &why) < 0)
        fault(r, n, why.code, path, "%s",
              k->flags & EMP_KEY_SECRET ? "not a valid secret" : why.text);
}

static void read_texts(struct reader *r, const struct place *p, const struct emp_key *k,
                       const char *path, const yaml_node_t *n)
{
    struct emp_error why = {0};
    struct emp_str one, *texts = &one;
    uint32_t count = 1;
    if (n->type == YAML_MAPPING_NODE) {
        fault(r, n, EMP_E_INVALID, path, "it wants a list, not a map");
        return;
    }
    if (n->type == YAML_SCALAR_NODE) {
        one = scalar_text(n);
        count = is_null(n) ? 0 : 1;
    } else {
        size_t items = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
        count = items > EMP_CONFIG_LIST_MAX ? EMP_CONFIG_LIST_MAX + 1 : (uint32_t)items;
        texts = emp_arena_array(&r->c->arena, struct emp_str, count);
        for (uint32_t i = 0; i < count; i++) {
            const yaml_node_t *item = node_at(r, n->data.sequence.items.start[i]);
            if (r->stop || !item)
                return;
            if (item->type != YAML_SCALAR_NODE || is_null(item)) {
                fault(r, item, EMP_E_INVALID, path, "element %u is %s, not a text", i + 1,
                      item->type == YAML_SCALAR_NODE ? "empty" : node_word(item));
                return;
            }
            texts[i] = scalar_text(item);
        }
    }
    if (emp_value_parse_list(k, texts, count, p->record, &r->c->arena, &why) < 0)
        fault(r, n, why.code, path, "%s",
              k->flags & EMP_KEY_SECRET ? "not a list of valid secrets" : why.text);
}

/* ── capabilities: any tree, flattened to dotted paths ── */

struct caps {
    struct emp_capability *items;
    uint32_t count, cap, max;
};

static void caps_add(struct reader *r, struct caps *caps, const char *path, const yaml_node_t *n,
                     bool in_array)
{
    struct emp_str text = scalar_text(n);
    struct emp_capability c = {.path = emp_str_copy(&r->c->arena, emp_str_z(path)),
                               .in_array = in_array};
    bool plain = n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    char number[48], *end = number;
    if (text.len > EMP_NAME_MAX || !emp_utf8_valid(text.ptr, text.len) ||
        memchr(text.ptr, 0, text.len)) {
        fault(r, n, EMP_E_INVALID, path, "a capability must be UTF-8 of at most %d bytes",
              EMP_NAME_MAX);
        return;
    }
    snprintf(number, sizeof number, "%.*s", EMP_STR_FMT(text));
    double value = strspn(number, "0123456789+-.eE") == text.len ? strtod(number, &end) : 0;
    if (plain && text.len && text.len < sizeof number && end != number && *end == 0 &&
        isfinite(value)) {
        c.kind = EMP_CAPABILITY_NUMBER;
        c.number = value;
    } else if (plain && (emp_str_eq(text, EMP_STR("true")) || emp_str_eq(text, EMP_STR("false")))) {
        c.kind = EMP_CAPABILITY_BOOL;
        c.number = text.len == 4;
    } else {
        c.kind = EMP_CAPABILITY_TEXT;
        c.text = emp_str_copy(&r->c->arena, text);
    }
    if (caps->count == caps->max) {
        fault(r, n, EMP_E_LIMIT, path, "more than %u capabilities", caps->max);
        r->stop = true;
        return;
    }
    emp_arena_reserve(&r->c->arena, caps->items, caps->count, caps->cap);
    caps->items[caps->count++] = c;
}

static void read_caps_node(struct reader *r, struct caps *caps, const char *path,
                           const yaml_node_t *n, int depth);

static void read_caps_map(struct reader *r, struct caps *caps, const char *path,
                          const yaml_node_t *n, int depth)
{
    if (!keys_are_unique(r, n, path))
        return;
    for (size_t i = 0; i < pair_count(n) && !r->stop; i++) {
        yaml_node_t *key, *value;
        char sub[PATH_MAX_BYTES];
        if (!pair_at(r, n, i, path, &key, &value))
            continue;
        if (strlen(path) + (path[0] != 0) + scalar_text(key).len + 1 > sizeof sub) {
            fault(r, key, EMP_E_INVALID, path, "its path is longer than %d bytes", PATH_MAX_BYTES);
            continue;
        }
        path_join(path, scalar_text(key), sub);
        read_caps_node(r, caps, sub, value, depth + 1);
    }
}

static void read_caps_node(struct reader *r, struct caps *caps, const char *path,
                           const yaml_node_t *n, int depth)
{
    if (depth > EMP_YAML_DEPTH_MAX) {
        fault(r, n, EMP_E_LIMIT, path, "nested deeper than %d", EMP_YAML_DEPTH_MAX);
        r->stop = true;
    } else if (n->type == YAML_MAPPING_NODE) {
        read_caps_map(r, caps, path, n, depth);
    } else if (n->type == YAML_SCALAR_NODE) {
        caps_add(r, caps, path, n, false);
    } else {
        for (yaml_node_item_t *i = n->data.sequence.items.start;
             i < n->data.sequence.items.top && !r->stop; i++) {
            const yaml_node_t *item = node_at(r, *i);
            if (item && item->type == YAML_SCALAR_NODE)
                caps_add(r, caps, path, item, true);
            else if (item)
                fault(r, item, EMP_E_INVALID, path, "a list holds single values, not %s",
                      node_word(item));
        }
    }
}

static void read_caps(struct reader *r, const struct place *p, const struct emp_key *k,
                      const char *path, const yaml_node_t *n)
{
    struct caps caps = {.max = (uint32_t)k->max};
    if (is_null(n))
        return;
    if (n->type != YAML_MAPPING_NODE) {
        fault(r, n, EMP_E_INVALID, path, "it wants a map, not %s", node_word(n));
        return;
    }
    read_caps_map(r, &caps, "", n, 0);
    memcpy((char *)p->record + k->offset, &caps.items, sizeof caps.items);
    memcpy((char *)p->record + k->count_offset, &caps.count, sizeof caps.count);
}

/* ── records ── */

static void read_place(struct reader *r, struct place *p, const yaml_node_t *map);

/* The array of records that a key fills. */
struct records {
    const struct emp_section_info *section;
    char *items;
    uint32_t count;
    struct emp_config_origins *origins;
    char *at_items, *at_count; /* where the two stand in the configuration */
};

static struct records records_of(struct reader *r, const struct emp_key *k)
{
    struct records s = {.section = emp_section(k->section)};
    s.at_items = (char *)r->c + k->offset;
    s.at_count = (char *)r->c + k->count_offset;
    s.origins = (struct emp_config_origins *)(void *)((char *)r->c + s.section->origins_offset);
    memcpy(&s.items, s.at_items, sizeof s.items);
    memcpy(&s.count, s.at_count, sizeof s.count);
    return s;
}

static void *records_add(struct reader *r, struct records *s)
{
    size_t size = s->section->record_size, width = s->section->key_count;
    uint32_t cap = s->origins->cap;
    struct emp_arena *a = &r->c->arena;
    if (s->count == cap) {
        uint32_t more = cap ? cap * 2 : 8;
        s->items = emp_arena_realloc(a, s->items, cap * size, more * size);
        s->origins->lines = emp_arena_realloc(a, s->origins->lines, cap * width * sizeof(int32_t),
                                              more * width * sizeof(int32_t));
        s->origins->cap = more;
    }
    void *record = s->items + s->count * size;
    memset(record, 0, size);
    memset(s->origins->lines + s->count * width, 0, width * sizeof(int32_t));
    emp_value_defaults(s->section, record, a);
    s->count++;
    s->origins->count = s->count;
    memcpy(s->at_items, &s->items, sizeof s->items);
    memcpy(s->at_count, &s->count, sizeof s->count);
    return record;
}

static void *records_find(const struct records *s, struct emp_str name, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < s->count; i++) {
        char *record = s->items + i * s->section->record_size;
        struct emp_str *held = (struct emp_str *)(void *)(record + s->section->name_offset);
        if (emp_str_eq(*held, name)) {
            *ret_index = i;
            return record;
        }
    }
    return NULL;
}

static void check_required(struct reader *r, const struct place *p, const yaml_node_t *at)
{
    for (uint32_t i = 0; i < p->section->key_count && !r->stop; i++)
        if ((p->section->keys[i].flags & EMP_KEY_REQUIRED) && p->lines[i] == EMP_ORIGIN_DEFAULT)
            fault(r, at, EMP_E_INVALID, p->shown, "\"%s\" is missing", p->section->keys[i].name);
}

static void read_record(struct reader *r, struct records *s, void *record, uint32_t index,
                        const char *shown, const yaml_node_t *n)
{
    struct place p = {.section = s->section, .record = record};
    p.lines = s->origins->lines + index * s->section->key_count;
    snprintf(p.shown, sizeof p.shown, "%s", shown);
    if (n->type == YAML_MAPPING_NODE)
        read_place(r, &p, n);
    else if (!is_null(n))
        fault(r, n, EMP_E_INVALID, shown, "it wants a map, not %s", node_word(n));
    check_required(r, &p, n);
}

static void read_named(struct reader *r, struct records *s, const char *path, const yaml_node_t *n)
{
    if (!keys_are_unique(r, n, path))
        return;
    for (size_t i = 0; i < pair_count(n) && !r->stop; i++) {
        yaml_node_t *key, *value;
        char shown[PATH_MAX_BYTES];
        uint32_t index = s->count;
        if (!pair_at(r, n, i, path, &key, &value))
            continue;
        struct emp_str name = scalar_text(key);
        void *record = records_find(s, name, &index);
        path_join(path, name, shown);
        if (!record && s->count >= s->section->count_max) {
            fault(r, key, EMP_E_LIMIT, shown, "more than %u", s->section->count_max);
            return;
        }
        if (!record) {
            record = records_add(r, s);
            *(struct emp_str *)(void *)((char *)record + s->section->name_offset) =
                emp_str_copy(&r->c->arena, name);
        }
        read_record(r, s, record, index, shown, value);
    }
}

static void read_listed(struct reader *r, struct records *s, const char *path, const yaml_node_t *n)
{
    size_t count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    if (count > s->section->count_max) {
        fault(r, n, EMP_E_LIMIT, path, "%zu are too many: at most %u", count,
              s->section->count_max);
        return;
    }
    for (size_t i = 0; i < count && !r->stop; i++) {
        const yaml_node_t *item = node_at(r, n->data.sequence.items.start[i]);
        char shown[PATH_MAX_BYTES];
        if (!item)
            return;
        char number[24];
        snprintf(number, sizeof number, "[%zu]", i + 1);
        path_add(shown, path_add(shown, 0, emp_str_z(path)), emp_str_z(number));
        uint32_t index = s->count;
        void *record = records_add(r, s);
        read_record(r, s, record, index, shown, item);
    }
}

static void read_records(struct reader *r, const struct emp_key *k, const char *path,
                         const yaml_node_t *n)
{
    struct records s = records_of(r, k);
    if (is_null(n))
        return;
    if (n->type != (s.section->by_name ? YAML_MAPPING_NODE : YAML_SEQUENCE_NODE))
        fault(r, n, EMP_E_INVALID, path, "it wants %s, not %s",
              s.section->by_name ? "a map of names" : "a list", node_word(n));
    else if (s.section->by_name)
        read_named(r, &s, path, n);
    else
        read_listed(r, &s, path, n);
}

/* ── keys ── */

static void unknown_key(struct reader *r, const struct place *p, const yaml_node_t *at,
                        struct emp_str name, const char *path)
{
    struct emp_str near = emp_key_nearest(p->section, name);
    char known[PATH_MAX_BYTES];
    path_join(p->shown, near, known);
    if (near.len)
        fault(r, at, EMP_E_INVALID, path, "unknown key; did you mean \"%s\"?", known);
    else
        fault(r, at, EMP_E_INVALID, path, "unknown key; `emp config --doc` lists all");
}

static void read_key(struct reader *r, struct place *p, const struct emp_key *k, const char *path,
                     const yaml_node_t *key, const yaml_node_t *value)
{
    int32_t *line = &p->lines[k - p->section->keys];
    if (*line > 0) {
        fault(r, key, EMP_E_INVALID, path, "it stands twice; first in line %d", (int)*line);
        return;
    }
    *line = (int32_t)key->start_mark.line + 1;
    if (k->type == EMP_KEY_RECORDS)
        read_records(r, k, path, value);
    else if (k->type == EMP_KEY_CAPS)
        read_caps(r, p, k, path, value);
    else if (k->type == EMP_KEY_TEXTS || k->type == EMP_KEY_NAMES)
        read_texts(r, p, k, path, value);
    else
        read_scalar(r, p, k, path, value);
}

/* A mapping whose keys are those of the table below p->prefix. The depth is that of the table's
 * dots. */
static void read_place(struct reader *r, struct place *p, const yaml_node_t *map)
{
    char path[PATH_MAX_BYTES], prefix[PATH_MAX_BYTES], name_text[PATH_MAX_BYTES];
    path_join(p->shown, emp_str_z(p->prefix), path);
    snprintf(prefix, sizeof prefix, "%s", p->prefix);
    if (!keys_are_unique(r, map, *p->prefix ? path : p->shown))
        return;
    for (size_t i = 0; i < pair_count(map) && !r->stop; i++) {
        yaml_node_t *key, *value;
        if (!pair_at(r, map, i, p->shown, &key, &value))
            continue;
        path_join(prefix, scalar_text(key), name_text);
        struct emp_str name = emp_str_z(name_text);
        path_join(p->shown, name, path);
        const struct emp_key *k = emp_key_find(p->section, name);
        if (k) {
            read_key(r, p, k, path, key, value);
        } else if (!emp_key_is_group(p->section, name)) {
            unknown_key(r, p, key, name, path);
        } else if (value->type == YAML_MAPPING_NODE) {
            snprintf(p->prefix, sizeof p->prefix, "%s", name_text);
            read_place(r, p, value);
            snprintf(p->prefix, sizeof p->prefix, "%s", prefix);
        } else if (!is_null(value)) {
            fault(r, value, EMP_E_INVALID, path, "it wants a map, not %s", node_word(value));
        }
    }
}

/* ── the document ── */

static void drop_default_pools(struct reader *r, const yaml_node_t *root)
{
    const struct emp_key *k =
        emp_key_find(emp_section(EMP_SECTION_PLAIN), EMP_STR("default_pools"));
    struct emp_error ignored;
    if (root->type != YAML_MAPPING_NODE)
        return;
    for (size_t i = 0; i < pair_count(root); i++) {
        const yaml_node_t *key =
            yaml_document_get_node(&r->doc, root->data.mapping.pairs.start[i].key);
        const yaml_node_t *value =
            yaml_document_get_node(&r->doc, root->data.mapping.pairs.start[i].value);
        if (key && value && key->type == YAML_SCALAR_NODE && value->type == YAML_SCALAR_NODE &&
            emp_str_eq(scalar_text(key), emp_str_z(k->name)))
            emp_value_parse(k, scalar_text(value), r->c, &r->c->arena,
                            &ignored); /* its fault is told by the walk */
    }
    if (!r->c->default_pools)
        r->c->settings.pool_count = r->c->pool_origins.count = 0;
}

static void parser_fault(struct reader *r, const yaml_parser_t *p)
{
    yaml_node_t at = {.start_mark = p->problem_mark};
    if (p->error == YAML_MEMORY_ERROR)
        fault(r, NULL, EMP_E_LIMIT, NULL, "no memory to read it");
    else if (p->error == YAML_READER_ERROR)
        fault(r, NULL, EMP_E_MALFORMED, NULL, "byte %zu: %s", p->problem_offset,
              p->problem ? p->problem : "not UTF-8");
    else
        fault(r, &at, EMP_E_MALFORMED, NULL, "column %zu: %s%s%s", p->problem_mark.column + 1,
              p->problem ? p->problem : "not YAML", p->context ? ", " : "",
              p->context ? p->context : "");
}

static void read_document(struct reader *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->doc);
    struct place top = {
        .section = emp_section(EMP_SECTION_PLAIN), .record = r->c, .lines = r->c->origins};
    if (!root) /* an empty document: nothing said */
        return;
    drop_default_pools(r, root);
    if (root->type == YAML_MAPPING_NODE)
        read_place(r, &top, root);
    else if (!is_null(root))
        fault(r, root, EMP_E_INVALID, NULL, "the file wants a map of keys, not %s",
              node_word(root));
}

static bool has_more(yaml_parser_t *p)
{
    yaml_document_t next;
    if (!yaml_parser_load(p, &next))
        return true;
    bool more = yaml_document_get_root_node(&next) != NULL;
    yaml_document_delete(&next);
    return more;
}

void emp_config_read_yaml(struct emp_config *c, const char *text, size_t len)
{
    struct reader r = {.c = c};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        fault(&r, NULL, EMP_E_LIMIT, NULL, "no memory to read it");
        return;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, &r.doc)) {
        parser_fault(&r, &parser);
    } else {
        read_document(&r);
        if (!r.stop && has_more(&parser))
            fault(&r, NULL, EMP_E_MALFORMED, NULL, "there is more after the first document");
        yaml_document_delete(&r.doc);
    }
    yaml_parser_delete(&parser);
}

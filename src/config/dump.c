/* Effective values as YAML: read back, it gives the same configuration (but for secrets). Origins
 * stand in comments. */
#include "config/config.h"
#include "config/keys.h"

enum { COMMENT_COLUMN = 56, INDENT = 2 };

static void add_indent(struct emp_buf *out, unsigned depth)
{
    emp_buf_printf(out, "%*s", (int)(depth * INDENT), "");
}

static void add_origin(const struct emp_config *c, const struct emp_key *k, int32_t origin,
                       size_t line_start, struct emp_buf *out)
{
    size_t width = out->len - line_start;
    emp_buf_printf(out, "%*s# ", width < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - width) : 1, "");
    if (origin > 0)
        emp_buf_printf(out, "%.*s:%d\n", EMP_STR_FMT(c->file), (int)origin);
    else if (origin == EMP_ORIGIN_ENVIRONMENT)
        emp_buf_printf(out, "environment %s\n", k->env);
    else
        emp_buf_addz(out, origin == EMP_ORIGIN_OPTION ? "command line\n" : "default\n");
}

/* ── capabilities ── */

static void add_capability(const struct emp_capability *c, struct emp_buf *out)
{
    if (c->kind == EMP_CAPABILITY_TEXT)
        emp_value_quote(c->text, out);
    else if (c->kind == EMP_CAPABILITY_BOOL)
        emp_buf_addz(out, c->number != 0 ? "true" : "false");
    else
        emp_buf_printf(out, "%.17g", c->number);
}

static void dump_caps(const struct emp_key *k, const void *record, unsigned depth,
                      struct emp_buf *out)
{
    const struct emp_capability *caps;
    uint32_t count;
    memcpy(&caps, (const char *)record + k->offset, sizeof caps);
    memcpy(&count, (const char *)record + k->count_offset, sizeof count);
    for (uint32_t i = 0; i < count; i++) {
        add_indent(out, depth);
        emp_value_quote(caps[i].path, out);
        emp_buf_addz(out, caps[i].in_array ? ": [" : ": ");
        add_capability(&caps[i], out);
        while (caps[i].in_array && i + 1 < count && caps[i + 1].in_array &&
               emp_str_eq(caps[i].path, caps[i + 1].path)) {
            emp_buf_addz(out, ", ");
            add_capability(&caps[++i], out);
        }
        emp_buf_addz(out, caps[i].in_array ? "]\n" : "\n");
    }
}

/* ── keys, nested by their dots ── */

/* Opens the groups of `name` that were not open for `before`; returns the depth that its last part
 * stands in. */
static unsigned open_groups(const char *before, const char *name, unsigned depth,
                            struct emp_buf *out)
{
    size_t common = 0; /* bytes of shared groups, dots included */
    for (size_t i = 0; before[i] && before[i] == name[i]; i++)
        if (name[i] == '.')
            common = i + 1;
    for (size_t i = 0; i < common; i++)
        depth += name[i] == '.';
    const char *part = name + common;
    for (const char *dot; (dot = strchr(part, '.')) != NULL; part = dot + 1) {
        add_indent(out, depth++);
        emp_buf_printf(out, "%.*s:\n", (int)(dot - part), part);
    }
    return depth;
}

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static void dump_record(const struct emp_config *c, const struct emp_section_info *s,
                        const void *record, const int32_t *lines, unsigned depth, bool listed,
                        struct emp_buf *out);

static void dump_records(const struct emp_config *c, const struct emp_key *k, unsigned depth,
                         struct emp_buf *out)
{
    const struct emp_section_info *s = emp_section(k->section);
    const struct emp_config_origins *o = (const void *)((const char *)c + s->origins_offset);
    const char *items;
    uint32_t count;
    memcpy(&items, (const char *)c + k->offset, sizeof items);
    memcpy(&count, (const char *)c + k->count_offset, sizeof count);
    for (uint32_t i = 0; i < count; i++) {
        const char *record = items + i * s->record_size;
        if (s->by_name) {
            add_indent(out, depth);
            emp_value_quote(*(const struct emp_str *)(const void *)(record + s->name_offset), out);
            emp_buf_addz(out, ":\n");
        }
        dump_record(c, s, record, o->lines + (size_t)i * s->key_count, depth + 1, !s->by_name, out);
    }
}

static void dump_key(const struct emp_config *c, const struct emp_key *k, const void *record,
                     int32_t origin, unsigned depth, struct emp_buf *out)
{
    size_t start = out->len;
    emp_buf_printf(out, "%s:", last_part(k->name));
    if (k->type == EMP_KEY_RECORDS) {
        emp_buf_addz(out, "\n");
        dump_records(c, k, depth + 1, out);
        return;
    }
    if (k->type != EMP_KEY_CAPS) {
        emp_buf_addz(out, " ");
        emp_value_format(k, record, out);
    }
    add_origin(c, k, origin, start - depth * INDENT, out);
    if (k->type == EMP_KEY_CAPS)
        dump_caps(k, record, depth + 1, out);
}

/* `listed`: the first key of an element of a list gets its dash. */
static void dump_record(const struct emp_config *c, const struct emp_section_info *s,
                        const void *record, const int32_t *lines, unsigned depth, bool listed,
                        struct emp_buf *out)
{
    const char *before = "";
    for (uint32_t i = 0; i < s->key_count; i++) {
        const struct emp_key *k = &s->keys[i];
        unsigned at = open_groups(before, k->name, depth, out);
        if (listed && i == 0)
            emp_buf_printf(out, "%*s- ", (int)((at - 1) * INDENT), "");
        else
            add_indent(out, at);
        dump_key(c, k, record, lines[i], at, out);
        before = k->name;
    }
}

void emp_config_dump(const struct emp_config *c, struct emp_buf *out)
{
    dump_record(c, emp_section(EMP_SECTION_PLAIN), c, c->origins, 0, false, out);
}

/* The life of a configuration: defaults, then file, environment, options (each remembered as the
 * value's origin), then the checks that span several keys. */
#include "config/config.h"

#include "config/keys.h"
#include "config/reader.h"

#include <stdio.h>

void emp_config_init(struct emp_config *c)
{
    memset(c, 0, sizeof *c);
    emp_arena_init(&c->arena, 0);
    c->settings = *emp_settings_default();
    const struct emp_section_info *plain = emp_section(EMP_SECTION_PLAIN);
    emp_value_defaults(plain, c, &c->arena);
    c->origins = emp_arena_array(&c->arena, int32_t, plain->key_count);
    c->faults = emp_arena_array(&c->arena, struct emp_error, EMP_CONFIG_FAULTS_MAX);

    /* the default pools are constant: work on a copy */
    uint32_t n = c->settings.pool_count;
    c->settings.pools = emp_arena_dup(&c->arena, c->settings.pools, n * sizeof *c->settings.pools);
    c->pool_origins.count = c->pool_origins.cap = n;
    c->pool_origins.lines =
        emp_arena_array(&c->arena, int32_t, n * emp_section(EMP_SECTION_POOL)->key_count);
}

void emp_config_release(struct emp_config *c)
{
    emp_arena_release(&c->arena);
    memset(c, 0, sizeof *c);
}

int emp_config_fault(struct emp_config *c, const struct emp_error *e)
{
    if (c->fault_count < EMP_CONFIG_FAULTS_MAX)
        c->faults[c->fault_count++] = *e;
    return e->code;
}

static bool is_list(const struct emp_key *k)
{
    return k->type == EMP_KEY_TEXTS || k->type == EMP_KEY_NAMES;
}

static struct emp_str trimmed(struct emp_str s)
{
    while (s.len && s.ptr[0] == ' ')
        s.ptr++, s.len--;
    while (s.len && s.ptr[s.len - 1] == ' ')
        s.len--;
    return s;
}

/* "a, b,c" into a list; empty elements fall away. */
static int list_set(struct emp_config *c, const struct emp_key *k, const char *value,
                    struct emp_error *err)
{
    struct emp_str *parts = NULL;
    uint32_t count = 0, cap = 0;
    for (const char *p = value; *p;) {
        size_t len = strcspn(p, ",");
        struct emp_str part = trimmed((struct emp_str){p, (uint32_t)len});
        if (part.len && count < EMP_CONFIG_LIST_MAX) {
            emp_arena_reserve(&c->arena, parts, count, cap);
            parts[count++] = part;
        }
        p += len + (p[len] == ',');
    }
    return emp_value_parse_list(k, parts, count, c, &c->arena, err);
}

static int set_from(struct emp_config *c, const struct emp_key *k, const char *value,
                    int32_t origin, struct emp_error *err)
{
    if (strlen(value) > EMP_CONFIG_BYTES_MAX)
        return emp_fail(err, EMP_E_INVALID, k->name, "the value is too long");
    int r = is_list(k) ? list_set(c, k, value, err)
                       : emp_value_parse(k, emp_str_z(value), c, &c->arena, err);
    if (r == 0)
        c->origins[k - emp_section(EMP_SECTION_PLAIN)->keys] = origin;
    return r;
}

int emp_config_set(struct emp_config *c, const char *key, const char *value, struct emp_error *err)
{
    const struct emp_key *k = emp_key_find(emp_section(EMP_SECTION_PLAIN), emp_str_z(key));
    if (!k || k->type == EMP_KEY_RECORDS || k->type == EMP_KEY_CAPS)
        return emp_fail(err, EMP_E_NOT_FOUND, key, "there is no plain key \"%s\"", key);
    return set_from(c, k, value, EMP_ORIGIN_OPTION, err);
}

int emp_config_environment(struct emp_config *c, char *(*get)(const char *name),
                           struct emp_error *err)
{
    const struct emp_section_info *plain = emp_section(EMP_SECTION_PLAIN);
    for (uint32_t i = 0; i < plain->key_count; i++) {
        const struct emp_key *k = &plain->keys[i];
        const char *value = k->env ? get(k->env) : NULL;
        struct emp_error why = {0};
        if (!value || !*value)
            continue;
        if (set_from(c, k, value, EMP_ORIGIN_ENVIRONMENT, &why) < 0)
            return emp_fail(err, EMP_E_INVALID, k->name, "environment %s: %s", k->env,
                            k->flags & EMP_KEY_SECRET ? "not a valid secret" : why.text);
    }
    return 0;
}

static int load_file(const char *path, struct emp_buf *text, struct emp_error *err)
{
    char chunk[16384];
    size_t n;
    FILE *f = fopen(path, "rbe");
    if (!f)
        return emp_fail(err, EMP_E_IO, NULL, "%s: %m", path);
    while (!text->failed && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
        emp_buf_add(text, chunk, n);
    int r = 0;
    if (ferror(f))
        r = emp_fail(err, EMP_E_IO, NULL, "%s: %m", path);
    else if (text->failed)
        r = emp_fail(err, EMP_E_TOO_LARGE, NULL, "%s: larger than %d MB", path,
                     EMP_CONFIG_BYTES_MAX / 1000000);
    fclose(f);
    return r;
}

int emp_config_read_file(struct emp_config *c, const char *path, struct emp_error *err)
{
    struct emp_error why = {0};
    struct emp_buf text;
    emp_buf_init(&text, EMP_CONFIG_BYTES_MAX);
    int r = load_file(path, &text, &why);
    if (r == 0)
        r = emp_config_read_text(c, path, text.data ? text.data : "", text.len, err);
    else if (err)
        *err = why;
    if (why.code)
        emp_config_fault(c, &why);
    emp_buf_release(&text);
    return r;
}

int emp_config_read_text(struct emp_config *c, const char *name, const char *text, size_t len,
                         struct emp_error *err)
{
    c->file = emp_str_copy(&c->arena, emp_str_z(name));
    emp_config_read_yaml(c, text, len);
    if (c->fault_count == 0)
        return emp_config_check(c, err);
    if (err)
        *err = c->faults[0];
    return c->faults[0].code;
}

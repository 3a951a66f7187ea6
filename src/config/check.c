/* What no single key can tell. A table of checks, each over the whole configuration, each free to
 * find several faults. */
#include "config/config.h"
#include "config/keys.h"
#include "config/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Keeps a fault of `path`, with the line its value came from where that is a line of the file. */
static void __attribute__((format(printf, 4, 5)))
fault(struct emp_config *c, int32_t line, const char *path, const char *fmt, ...)
{
    char text[EMP_ERROR_TEXT_MAX];
    struct emp_error e = {0};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (line > 0)
        emp_fail(&e, EMP_E_INVALID, path, "%.*s:%d: %s: %s", EMP_STR_FMT(c->file), (int)line, path,
                 text);
    else
        emp_fail(&e, EMP_E_INVALID, path, "%s: %s", path, text);
    emp_config_fault(c, &e);
}

static int32_t plain_line(const struct emp_config *c, const char *key)
{
    const struct emp_section_info *s = emp_section(EMP_SECTION_PLAIN);
    const struct emp_key *k = emp_key_find(s, emp_str_z(key));
    return k ? c->origins[k - s->keys] : 0;
}

/* The line of a record's key; where that was not said, of the first that was. */
static int32_t record_line(const struct emp_config_origins *o, enum emp_section section,
                           uint32_t index, const char *key)
{
    const struct emp_section_info *s = emp_section(section);
    const struct emp_key *k = emp_key_find(s, emp_str_z(key));
    const int32_t *lines = o->lines + (size_t)index * s->key_count;
    int32_t line = k ? lines[k - s->keys] : 0;
    for (uint32_t i = 0; i < s->key_count && line <= 0; i++)
        line = lines[i];
    return line;
}

/* ── plain keys ── */

static void check_listen(struct emp_config *c)
{
    struct emp_str s = c->broker.listen;
    const char *colon = s.len ? memrchr(s.ptr, ':', s.len) : NULL;
    char *end = NULL;
    long port = colon && colon[1] >= '0' && colon[1] <= '9' ? strtol(colon + 1, &end, 10) : -1;
    if (port < 0 || port > 65535 || *end)
        fault(c, plain_line(c, "listen"), "listen",
              "\"%.*s\" is not HOST:PORT, for example 127.0.0.1:3331", EMP_STR_FMT(s));
}

static bool starts_with(struct emp_str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len > n && memcmp(s.ptr, prefix, n) == 0;
}

/* Less holds no more than the first minutes of a broker. */
static void check_blackbox(struct emp_config *c)
{
    if (c->broker.blackbox_bytes > 0 && c->broker.blackbox_bytes < 32000000)
        fault(c, plain_line(c, "blackbox.size"), "blackbox.size", "it must be 0 or at least 32mb");
}

static void check_agent(struct emp_config *c)
{
    struct emp_str s = c->agent.broker;
    if (!starts_with(s, "ws://") && !starts_with(s, "wss://"))
        fault(c, plain_line(c, "agent.broker"), "agent.broker",
              "\"%.*s\" is not ws://HOST:PORT or wss://HOST:PORT", EMP_STR_FMT(s));
}

/* Pairs of keys of which the first must not exceed the second. */
static void check_order(struct emp_config *c)
{
    const struct emp_settings *s = &c->settings;
    const struct {
        const char *low_key, *high_key;
        int64_t low, high;
    } pairs[] = {
        {"retry.base", "retry.max", s->retry.base_ms, s->retry.max_ms},
        {"http.body_max", "http.batch_max", c->broker.body_bytes_max, c->broker.batch_bytes_max},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].low > pairs[i].high)
            fault(c, plain_line(c, pairs[i].low_key), pairs[i].low_key, "it must not exceed %s",
                  pairs[i].high_key);
    if (s->lease.silent_ms < 2 * s->lease.beat_ms)
        fault(c, plain_line(c, "lease.silent"), "lease.silent",
              "it must be at least twice lease.beat (%u ms)", s->lease.beat_ms);
}

/* ── pools ── */

static const struct emp_pool *pool_find(const struct emp_settings *s, struct emp_str name)
{
    for (uint32_t i = 0; i < s->pool_count; i++)
        if (emp_str_eq(s->pools[i].name, name))
            return &s->pools[i];
    return NULL;
}

static void check_parent(struct emp_config *c, const struct emp_pool *p, int32_t line,
                         const char *path)
{
    const struct emp_pool *up = p;
    for (uint32_t steps = 0; up->parent.len; steps++) {
        const struct emp_pool *next = pool_find(&c->settings, up->parent);
        if (!next) {
            if (up == p) /* else it is told where it stands */
                fault(c, line, path, "there is no pool \"%.*s\"", EMP_STR_FMT(p->parent));
            return;
        }
        if (steps > c->settings.pool_count || next == p) {
            fault(c, line, path, "it is its own ancestor");
            return;
        }
        up = next;
    }
}

static void check_pool(struct emp_config *c, uint32_t i)
{
    const struct emp_pool *p = &c->settings.pools[i];
    char path[EMP_ERROR_FIELD_MAX];
#define FAULT_AT(key, ...)                                                                         \
    do {                                                                                           \
        snprintf(path, sizeof path, "pools.%.*s." key, (int)(p->name.len < 90 ? p->name.len : 90), \
                 p->name.ptr);                                                                     \
        fault(c, record_line(&c->pool_origins, EMP_SECTION_POOL, i, key), path, __VA_ARGS__);      \
    } while (0)
    if (p->run_ms_min >= p->run_ms_max)
        FAULT_AT("run_min", "it must be less than run_max");
    if (p->disk_bytes_max && p->disk_bytes_min > p->disk_bytes_max)
        FAULT_AT("disk_min", "it must not exceed disk_max");
#undef FAULT_AT
    snprintf(path, sizeof path, "pools.%.*s.parent", (int)(p->name.len < 90 ? p->name.len : 90),
             p->name.ptr);
    check_parent(c, p, record_line(&c->pool_origins, EMP_SECTION_POOL, i, "parent"), path);
}

static void check_pools(struct emp_config *c)
{
    if (c->settings.pool_count == 0)
        fault(c, plain_line(c, "default_pools"), "pools",
              "there is none: name one, or leave default_pools at true");
    for (uint32_t i = 0; i < c->settings.pool_count; i++)
        check_pool(c, i);
}

/* ── models ── */

/* A relative path that stays below its directory. */
static const char *path_problem(struct emp_str path)
{
    if (path.len == 0 || path.len > EMP_PATH_MAX)
        return "it must have 1 to 1024 bytes";
    if (path.ptr[0] == '/')
        return "it must be relative";
    for (uint32_t at = 0; at <= path.len;) {
        const char *part = path.ptr + at, *slash = memchr(part, '/', path.len - at);
        size_t len = slash ? (size_t)(slash - part) : path.len - at;
        if (len == 0 || (len <= 2 && memcmp(part, "..", len) == 0))
            return "it must not contain empty parts, \".\" or \"..\"";
        at += (uint32_t)len + 1;
    }
    for (uint32_t i = 0; i < path.len; i++)
        if ((unsigned char)path.ptr[i] < 0x20 || path.ptr[i] == 0x7f || path.ptr[i] == '\\')
            return "it must not contain control characters or backslashes";
    return NULL;
}

static void check_model_urls(struct emp_config *c, uint32_t i, const char *path)
{
    const struct emp_model *m = &c->models[i];
    for (uint32_t u = 0; u < m->url_count; u++) {
        struct emp_str url = m->urls[u];
        int32_t line = record_line(&c->model_origins, EMP_SECTION_MODEL, i, "urls");
        if (url.len > EMP_URL_MAX)
            fault(c, line, path, "URL %u is longer than %d bytes", u + 1, EMP_URL_MAX);
        else if (!starts_with(url, "http://") && !starts_with(url, "https://"))
            fault(c, line, path, "URL %u is not http:// or https://", u + 1);
    }
}

/* `seen_names`, `seen_paths`: number of each in order of first sight, so that a second one is found
 * in constant time. */
static void check_model(struct emp_config *c, uint32_t i, struct emp_intern *seen_names,
                        struct emp_intern *seen_paths)
{
    struct emp_model *m = &c->models[i];
    char path[EMP_ERROR_FIELD_MAX];
    int32_t line = record_line(&c->model_origins, EMP_SECTION_MODEL, i, "name");
    if (m->path.len == 0)
        m->path = m->name;
    snprintf(path, sizeof path, "models[%u].path", i + 1);
    const char *problem = path_problem(m->path);
    if (problem)
        fault(c, line, path, "%s", problem);
    else if (emp_intern_find(seen_paths, m->path))
        fault(c, line, path, "an earlier model has the same path \"%.*s\"", EMP_STR_FMT(m->path));
    snprintf(path, sizeof path, "models[%u].name", i + 1);
    if (emp_intern_find(seen_names, m->name))
        fault(c, line, path, "an earlier model has the same name \"%.*s\"", EMP_STR_FMT(m->name));
    emp_intern(seen_names, m->name);
    emp_intern(seen_paths, m->path);
    snprintf(path, sizeof path, "models[%u].urls", i + 1);
    check_model_urls(c, i, path);
}

static void check_models(struct emp_config *c)
{
    struct emp_arena scratch;
    struct emp_intern names, paths;
    emp_arena_init(&scratch, 0);
    emp_intern_init(&names, &scratch);
    emp_intern_init(&paths, &scratch);
    for (uint32_t i = 0; i < c->model_count; i++)
        check_model(c, i, &names, &paths);
    emp_arena_release(&scratch);
}

/* ── services of the command connector ── */

static bool is_assignment(struct emp_str s)
{
    const char *eq = s.len ? memchr(s.ptr, '=', s.len) : NULL;
    return eq && eq != s.ptr;
}

static void check_services(struct emp_config *c)
{
    for (uint32_t i = 0; i < c->agent.service_count; i++) {
        const struct emp_config_service *s = &c->agent.services[i];
        char path[EMP_ERROR_FIELD_MAX];
        snprintf(path, sizeof path, "agent.services.%.*s",
                 (int)(s->name.len < 90 ? s->name.len : 90), s->name.ptr);
        if (emp_str_eq(s->name, EMP_STR("simulation")))
            fault(c, record_line(&c->service_origins, EMP_SECTION_SERVICE, i, "argv"), path,
                  "the name belongs to the simulation connector");
        for (uint32_t e = 0; e < s->env_count; e++)
            if (!is_assignment(s->env[e]))
                fault(c, record_line(&c->service_origins, EMP_SECTION_SERVICE, i, "env"), path,
                      "env: \"%.*s\" is not NAME=value",
                      (int)(s->env[e].len < 80 ? s->env[e].len : 80), s->env[e].ptr);
    }
}

int emp_config_check(struct emp_config *c, struct emp_error *err)
{
    static void (*const checks[])(struct emp_config *) = {
        check_listen, check_order,    check_pools,    check_models,
        check_agent,  check_services, check_blackbox,
    };
    uint32_t before = c->fault_count;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](c);
    if (c->fault_count == before)
        return 0;
    if (err)
        *err = c->faults[before];
    return c->faults[before].code;
}

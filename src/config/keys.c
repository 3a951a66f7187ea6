/* keys.def becomes one array of rows per section; where and how a member is held is taken from the
 * compiler (offsetof, _Generic), so a row cannot disagree with its struct. */
#include "config/keys.h"

#include "config/config.h"

#define MINUTE_MS 60000.0
#define HOUR_MS   3600000.0
#define YEAR_MS   (365 * 24 * HOUR_MS)

#define OF_PLAIN   struct emp_config
#define OF_POOL    struct emp_pool
#define OF_MODEL   struct emp_model
#define OF_SERVICE struct emp_config_service

#define HELD(type, member)             \
    _Generic(((type *)0)->member, bool \
             : EMP_HELD_BOOL, int32_t  \
             : EMP_HELD_I32, uint32_t  \
             : EMP_HELD_U32, int64_t   \
             : EMP_HELD_I64, uint64_t  \
             : EMP_HELD_U64, double    \
             : EMP_HELD_F64, default   \
             : EMP_HELD_OTHER)

#define EMP_KEY(sec, key, kind, member, text, low, high, flag, variable, says) \
    IN_##sec({.name = key,                                                     \
              .type = EMP_KEY_##kind,                                          \
              .storage = HELD(OF_##sec, member),                               \
              .offset = offsetof(OF_##sec, member),                            \
              .fallback = text,                                                \
              .min = low,                                                      \
              .max = high,                                                     \
              .flags = flag,                                                   \
              .env = variable,                                                 \
              .meaning = says})
#define EMP_WORD(sec, key, member, text, list, variable, says) \
    IN_##sec({.name = key,                                     \
              .type = EMP_KEY_WORD,                            \
              .storage = HELD(OF_##sec, member),               \
              .offset = offsetof(OF_##sec, member),            \
              .fallback = text,                                \
              .words = list,                                   \
              .env = variable,                                 \
              .meaning = says})
#define EMP_LIST(sec, key, kind, member, counter, text, high, flag, variable, says) \
    IN_##sec({.name = key,                                                          \
              .type = EMP_KEY_##kind,                                               \
              .storage = EMP_HELD_OTHER,                                            \
              .offset = offsetof(OF_##sec, member),                                 \
              .count_offset = offsetof(OF_##sec, counter),                          \
              .fallback = text,                                                     \
              .max = high,                                                          \
              .flags = flag,                                                        \
              .env = variable,                                                      \
              .meaning = says})
#define EMP_RECORDS(key, of, member, counter, high, says)  \
    IN_PLAIN({.name = key,                                 \
              .type = EMP_KEY_RECORDS,                     \
              .storage = EMP_HELD_OTHER,                   \
              .offset = offsetof(OF_PLAIN, member),        \
              .count_offset = offsetof(OF_PLAIN, counter), \
              .max = high,                                 \
              .section = EMP_SECTION_##of,                 \
              .meaning = says})

static const struct emp_key plain_keys[] = {
#define IN_PLAIN(...) __VA_ARGS__,
#define IN_POOL(...)
#define IN_MODEL(...)
#define IN_SERVICE(...)
#include "config/keys.def"
};
#undef IN_PLAIN
#define IN_PLAIN(...)

static const struct emp_key pool_keys[] = {
#undef IN_POOL
#define IN_POOL(...) __VA_ARGS__,
#include "config/keys.def"
#undef IN_POOL
#define IN_POOL(...)
};

static const struct emp_key model_keys[] = {
#undef IN_MODEL
#define IN_MODEL(...) __VA_ARGS__,
#include "config/keys.def"
#undef IN_MODEL
#define IN_MODEL(...)
};

static const struct emp_key service_keys[] = {
#undef IN_SERVICE
#define IN_SERVICE(...) __VA_ARGS__,
#include "config/keys.def"
};

#define ROWS(array) .keys = (array), .key_count = sizeof(array) / sizeof *(array)

static const struct emp_section_info sections[EMP_SECTION_COUNT] = {
    [EMP_SECTION_PLAIN] = {.shown = "", .record_size = sizeof(struct emp_config), ROWS(plain_keys)},
    [EMP_SECTION_POOL] = {.shown = "pools.NAME",
                          .by_name = true,
                          .record_size = sizeof(struct emp_pool),
                          .name_offset = offsetof(struct emp_pool, name),
                          .origins_offset = offsetof(struct emp_config, pool_origins),
                          .count_max = EMP_POOLS_MAX,
                          ROWS(pool_keys)},
    [EMP_SECTION_MODEL] = {.shown = "models[]",
                           .record_size = sizeof(struct emp_model),
                           .name_offset = offsetof(struct emp_model, name),
                           .origins_offset = offsetof(struct emp_config, model_origins),
                           .count_max = EMP_MODELS_MAX,
                           ROWS(model_keys)},
    [EMP_SECTION_SERVICE] = {.shown = "agent.services.NAME",
                             .by_name = true,
                             .record_size = sizeof(struct emp_config_service),
                             .name_offset = offsetof(struct emp_config_service, name),
                             .origins_offset = offsetof(struct emp_config, service_origins),
                             .count_max = EMP_CONFIG_SERVICES_MAX,
                             ROWS(service_keys)},
};

const struct emp_section_info *emp_section(enum emp_section s)
{
    return &sections[s];
}

const struct emp_key *emp_key_find(const struct emp_section_info *s, struct emp_str name)
{
    for (uint32_t i = 0; i < s->key_count; i++)
        if (emp_str_eq(emp_str_z(s->keys[i].name), name))
            return &s->keys[i];
    return NULL;
}

bool emp_key_is_group(const struct emp_section_info *s, struct emp_str name)
{
    for (uint32_t i = 0; i < s->key_count; i++)
        if (strlen(s->keys[i].name) > name.len && s->keys[i].name[name.len] == '.' &&
            strncmp(s->keys[i].name, name.ptr, name.len) == 0)
            return true;
    return false;
}

static struct emp_str last_part(struct emp_str s)
{
    for (uint32_t i = s.len; i > 0; i--)
        if (s.ptr[i - 1] == '.')
            return (struct emp_str){s.ptr + i, s.len - i};
    return s;
}

/* How far two dotted names are apart: in letters as a whole; or, for a key put into the wrong
 * place, in the last part. */
static unsigned name_distance(struct emp_str a, struct emp_str b, unsigned max)
{
    struct emp_str la = last_part(a), lb = last_part(b);
    unsigned whole = emp_str_distance(a, b, max);
    if (la.len < 4 || lb.len < 4)
        return whole;
    unsigned part = emp_str_distance(la, lb, 1) + 1;
    return part <= 2 && part < whole ? part : whole;
}

struct emp_str emp_key_nearest(const struct emp_section_info *s, struct emp_str name)
{
    struct emp_str best = {0};
    unsigned allowed = name.len / 3 < 2   ? 2
                       : name.len / 3 > 6 ? 6
                                          : name.len / 3,
             best_distance = allowed + 1;
    for (uint32_t i = 0; i < s->key_count; i++) {
        struct emp_str whole = emp_str_z(s->keys[i].name);
        for (uint32_t end = 1; end <= whole.len; end++) { /* each group it belongs to, and itself */
            if (end < whole.len && whole.ptr[end] != '.')
                continue;
            struct emp_str candidate = {whole.ptr, end};
            unsigned d = name_distance(name, candidate, allowed);
            if (d < best_distance) {
                best_distance = d;
                best = candidate;
            }
        }
    }
    return best;
}

/* The table of configuration keys, compiled from keys.def, and the reading and writing of one value
 * of it. Used by the reader, the dump and the manual; everybody else uses config/config.h. */
#ifndef EMP_CONFIG_KEYS_H
#define EMP_CONFIG_KEYS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct emp_config;

/* What a value is. The first group is written as one scalar; TEXTS as a list of scalars (or one
 * scalar: a list of one). */
enum emp_key_type {
    EMP_KEY_BOOL,
    EMP_KEY_INT,
    EMP_KEY_NUMBER,
    EMP_KEY_DURATION,
    EMP_KEY_BYTES,
    EMP_KEY_RATE,
    EMP_KEY_TEXT,
    EMP_KEY_NAME, /* an id or name: see domain/limits.h */
    EMP_KEY_SHA256,
    EMP_KEY_WORD, /* one of `words` */
    EMP_KEY_TEXTS,
    EMP_KEY_NAMES,
    EMP_KEY_CAPS,    /* a free tree of capabilities */
    EMP_KEY_RECORDS, /* a map or list of records: `section` */
};

/* How it is held. */
enum emp_key_storage {
    EMP_HELD_BOOL,
    EMP_HELD_I32,
    EMP_HELD_U32,
    EMP_HELD_I64,
    EMP_HELD_U64,
    EMP_HELD_F64,
    EMP_HELD_OTHER
};

enum emp_key_flag {
    EMP_KEY_NEVER = 1,  /* durations: "never" is allowed and means EMP_NEVER */
    EMP_KEY_SECRET = 2, /* never shown */
    EMP_KEY_REQUIRED = 4,
};

enum emp_section {
    EMP_SECTION_PLAIN,
    EMP_SECTION_POOL,
    EMP_SECTION_MODEL,
    EMP_SECTION_SERVICE,
    EMP_SECTION_COUNT
};

struct emp_key {
    const char *name; /* dotted, within its section */
    enum emp_key_type type;
    enum emp_key_storage storage;
    size_t offset;       /* in the section's struct */
    size_t count_offset; /* of the uint32_t count of a list */
    const char
        *fallback; /* default as text; NULL: what emp_settings_default(), or zeroed memory, holds */
    double min, max;   /* numbers: allowed range; lists: of the count */
    const char *words; /* WORD: "a|b|c", numbered from 0 */
    unsigned flags;
    const char *env;          /* environment variable, or NULL */
    enum emp_section section; /* RECORDS: of what */
    const char *meaning;
};

struct emp_section_info {
    const char *shown; /* "pools.NAME" */
    bool by_name;      /* a map whose keys are names; else a list */
    size_t record_size;
    size_t name_offset;    /* by_name: of the emp_str */
    size_t origins_offset; /* in emp_config, of its emp_config_origins */
    uint32_t count_max;
    const struct emp_key *keys;
    uint32_t key_count;
};

const struct emp_section_info *emp_section(enum emp_section s);
const struct emp_key *emp_key_find(const struct emp_section_info *s,
                                   struct emp_str name); /* NULL when there is none */
/* Is `name` the beginning ("routing") of dotted keys ("routing.pool_quantile")? */
bool emp_key_is_group(const struct emp_section_info *s, struct emp_str name);
/* The known key, or group of keys, that looks most like `name`; empty when none is near. Static
 * storage. */
struct emp_str emp_key_nearest(const struct emp_section_info *s, struct emp_str name);

/* Puts `text` into the scalar field of `record`. Strings are copied into `arena`. 0, or
 * EMP_E_INVALID with a text that says value and allowed values ("12 is out of range: 1 to 8"),
 * field empty. */
int emp_value_parse(const struct emp_key *k, struct emp_str text, void *record,
                    struct emp_arena *arena, struct emp_error *err);
/* Replaces the list field by `count` strings, checked and copied likewise. */
int emp_value_parse_list(const struct emp_key *k, const struct emp_str *texts, uint32_t count,
                         void *record, struct emp_arena *arena, struct emp_error *err);
/* Applies the fallbacks of a section to a zeroed record; a wrong fallback is a fault of the table:
 * aborts. */
void emp_value_defaults(const struct emp_section_info *s, void *record, struct emp_arena *arena);

/* Appends a scalar field as YAML (quoted where needed), or a list field as a flow sequence; CAPS
 * and RECORDS as nothing. */
void emp_value_format(const struct emp_key *k, const void *record, struct emp_buf *out);
/* A text as a YAML scalar, double-quoted unless plain is safe. */
void emp_value_quote(struct emp_str text, struct emp_buf *out);

/* "duration", "1s to 5m", and so on, for the manual and for messages. */
const char *emp_key_type_word(enum emp_key_type t);
void emp_key_range_format(const struct emp_key *k,
                          struct emp_buf *out); /* empty where everything is allowed */

struct emp_str *emp_key_texts(const struct emp_key *k, const void *record,
                              uint32_t *ret_count); /* of a list field */

#endif

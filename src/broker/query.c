#include "broker/query.h"

#include "base/time.h"

#include <stddef.h>

/* The part before `mark`; *rest becomes what follows it, or empty. */
static struct emp_str emp_query_cut(struct emp_str *rest, char mark)
{
    const char *at = rest->len ? memchr(rest->ptr, mark, rest->len) : NULL;
    uint32_t len = at ? (uint32_t)(at - rest->ptr) : rest->len;
    struct emp_str part = {rest->ptr, len};

    *rest = at ? (struct emp_str){at + 1, rest->len - len - 1} : (struct emp_str){0};
    return part;
}

/* ------------------------------------------------------------------ GET /api/jobs */

struct emp_query_parameter {
    const char *name;
    int (*parse)(const struct emp_query_parameter *p, struct emp_str value,
                 struct emp_store_query *q, struct emp_error *err);
    size_t offset; /* of the field in emp_store_query */
    uint64_t max;
};

static int emp_query_bad(const struct emp_query_parameter *p, struct emp_str value,
                         const char *allowed, struct emp_error *err)
{
    return emp_fail(err, EMP_E_INVALID, p->name, "%s is \"%.*s\": %s", p->name,
                    (int)(value.len > 80 ? 80 : value.len), value.len ? value.ptr : "", allowed);
}

static int emp_query_name(const struct emp_query_parameter *p, struct emp_str value,
                          struct emp_store_query *q, struct emp_error *err)
{
    if (value.len == 0 || value.len > EMP_NAME_MAX)
        return emp_query_bad(p, value, "1 to 256 bytes are allowed", err);
    *(struct emp_str *)((char *)q + p->offset) = value;
    return 0;
}

/* Decimal digits alone. */
static bool emp_query_whole(struct emp_str value, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    if (value.len == 0 || value.len > 19)
        return false;
    for (uint32_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    *ret = n;
    return n <= max;
}

static int emp_query_limit(const struct emp_query_parameter *p, struct emp_str value,
                           struct emp_store_query *q, struct emp_error *err)
{
    uint64_t n;

    if (!emp_query_whole(value, p->max, &n))
        return emp_query_bad(p, value, "a whole number from 0 to 1000 is allowed", err);
    q->limit = (uint32_t)n;
    return 0;
}

static int emp_query_offset(const struct emp_query_parameter *p, struct emp_str value,
                            struct emp_store_query *q, struct emp_error *err)
{
    if (!emp_query_whole(value, p->max, &q->offset))
        return emp_query_bad(p, value, "a whole number from 0 is allowed", err);
    return 0;
}

static int emp_query_status(const struct emp_query_parameter *p, struct emp_str value,
                            struct emp_store_query *q, struct emp_error *err)
{
    struct emp_str rest = value;

    do {
        enum emp_job_state state;
        if (emp_job_state_parse(emp_query_cut(&rest, ','), &state) < 0)
            return emp_query_bad(p, value,
                                 "pending, assigned, in_progress, completed, failed, cancelled are "
                                 "allowed, separated by commas",
                                 err);
        q->states |= 1u << state;
    } while (rest.len > 0);
    return 0;
}

static int emp_query_time(const struct emp_query_parameter *p, struct emp_str value,
                          struct emp_store_query *q, struct emp_error *err)
{
    emp_wall_ms *field = (emp_wall_ms *)((char *)q + p->offset);
    uint64_t n;

    if (emp_query_whole(value, p->max, &n)) {
        *field = (emp_wall_ms)n;
        return 0;
    }
    if (emp_iso_parse(value.ptr, value.len, field) < 0)
        return emp_query_bad(
            p, value, "a time like 2026-11-24T04:15:45Z, or milliseconds since 1970, is allowed",
            err);
    return 0;
}

static int emp_query_sort(const struct emp_query_parameter *p, struct emp_str value,
                          struct emp_store_query *q, struct emp_error *err)
{
    static const struct {
        const char *word;
        enum emp_store_sort sort;
    } words[] = {
        {"created_at", EMP_STORE_BY_CREATED},
        {"priority", EMP_STORE_BY_PRIORITY},
        {"finished_at", EMP_STORE_BY_FINISHED},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (emp_str_eq(value, emp_str_z(words[i].word))) {
            q->sort = words[i].sort;
            return 0;
        }
    }
    return emp_query_bad(p, value, "created_at, priority or finished_at is allowed", err);
}

static int emp_query_order(const struct emp_query_parameter *p, struct emp_str value,
                           struct emp_store_query *q, struct emp_error *err)
{
    q->ascending = emp_str_eq(value, EMP_STR("asc"));
    if (!q->ascending && !emp_str_eq(value, EMP_STR("desc")))
        return emp_query_bad(p, value, "asc or desc is allowed", err);
    return 0;
}

#define EMP_QUERY_FIELD(f) offsetof(struct emp_store_query, f)
static const struct emp_query_parameter emp_query_jobs_table[] = {
    {"status", emp_query_status, 0, 0},
    {"service_required", emp_query_name, EMP_QUERY_FIELD(service), 0},
    {"customer_id", emp_query_name, EMP_QUERY_FIELD(customer), 0},
    {"workflow_id", emp_query_name, EMP_QUERY_FIELD(workflow), 0},
    {"pool", emp_query_name, EMP_QUERY_FIELD(pool), 0},
    {"machine_id", emp_query_name, EMP_QUERY_FIELD(machine), 0},
    {"worker_id", emp_query_name, EMP_QUERY_FIELD(machine), 0},
    {"created_after", emp_query_time, EMP_QUERY_FIELD(created_from), INT64_MAX},
    {"created_before", emp_query_time, EMP_QUERY_FIELD(created_before), INT64_MAX},
    {"sort", emp_query_sort, 0, 0},
    {"order", emp_query_order, 0, 0},
    {"limit", emp_query_limit, 0, EMP_STORE_LIST_MAX},
    {"offset", emp_query_offset, 0, INT64_MAX},
};

static const struct emp_query_parameter *emp_query_find(struct emp_str name)
{
    for (size_t i = 0; i < sizeof emp_query_jobs_table / sizeof *emp_query_jobs_table; i++)
        if (emp_str_eq(name, emp_str_z(emp_query_jobs_table[i].name)))
            return &emp_query_jobs_table[i];
    return NULL;
}

int emp_query_jobs(const struct emp_query_pair *pairs, uint32_t count, struct emp_store_query *ret,
                   struct emp_error *err)
{
    uint32_t seen = 0;

    *ret = (struct emp_store_query){.limit = EMP_QUERY_LIMIT_DEFAULT};
    for (uint32_t i = 0; i < count; i++) {
        struct emp_str name = pairs[i].name;
        const struct emp_query_parameter *p = emp_query_find(name);
        if (!p)
            return emp_fail(err, EMP_E_INVALID, NULL,
                            "\"%.*s\" is no parameter of this list; there are status, "
                            "service_required, customer_id, workflow_id, pool, "
                            "machine_id, created_after, created_before, sort, order, limit, offset",
                            (int)(name.len > 64 ? 64 : name.len), name.len ? name.ptr : "");
        uint32_t bit = 1u << (p - emp_query_jobs_table);
        if (seen & bit)
            return emp_fail(err, EMP_E_INVALID, p->name, "%s is given twice", p->name);
        seen |= bit;
        int r = p->parse(p, pairs[i].value, ret, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ------------------------------------------------------------------ lists that know fewer */

static const struct emp_query_word_of {
    const char *name;
    enum emp_query_word word;
    size_t offset; /* of the name in emp_query_short; limit: of none */
} emp_query_words[] = {
    {"limit", EMP_QUERY_LIMIT, 0},
    {"model", EMP_QUERY_MODEL, offsetof(struct emp_query_short, model)},
    {"machine", EMP_QUERY_MACHINE, offsetof(struct emp_query_short, machine)},
};

static const struct emp_query_word_of *emp_query_word_find(struct emp_str name, unsigned known)
{
    for (size_t i = 0; i < sizeof emp_query_words / sizeof *emp_query_words; i++)
        if (emp_query_words[i].word & known && emp_str_eq(name, emp_str_z(emp_query_words[i].name)))
            return &emp_query_words[i];
    return NULL;
}

static int emp_query_word_unknown(struct emp_str name, unsigned known, struct emp_error *err)
{
    return emp_fail(
        err, EMP_E_INVALID, NULL, "\"%.*s\" is no parameter of this list; there are limit%s%s",
        (int)(name.len > 64 ? 64 : name.len), name.len ? name.ptr : "",
        known & EMP_QUERY_MODEL ? ", model" : "", known & EMP_QUERY_MACHINE ? ", machine" : "");
}

static int emp_query_word_parse(const struct emp_query_word_of *p, struct emp_str value,
                                struct emp_query_short *ret, struct emp_error *err)
{
    const struct emp_query_parameter named = {.name = p->name};
    uint64_t n;

    if (p->word != EMP_QUERY_LIMIT) {
        if (value.len == 0 || value.len > EMP_NAME_MAX)
            return emp_query_bad(&named, value, "1 to 256 bytes are allowed", err);
        *(struct emp_str *)((char *)ret + p->offset) = value;
        return 0;
    }
    if (!emp_query_whole(value, EMP_STORE_LIST_MAX, &n) || n == 0)
        return emp_query_bad(&named, value, "a whole number from 1 to 1000 is allowed", err);
    ret->limit = (uint32_t)n;
    return 0;
}

int emp_query_short(const struct emp_query_pair *pairs, uint32_t count, unsigned known,
                    struct emp_query_short *ret, struct emp_error *err)
{
    unsigned seen = 0;

    *ret = (struct emp_query_short){.limit = EMP_QUERY_SHORT_LIMIT_DEFAULT};
    for (uint32_t i = 0; i < count; i++) {
        const struct emp_query_word_of *p = emp_query_word_find(pairs[i].name, known);
        if (!p)
            return emp_query_word_unknown(pairs[i].name, known, err);
        if (seen & p->word)
            return emp_fail(err, EMP_E_INVALID, p->name, "%s is given twice", p->name);
        seen |= p->word;
        int r = emp_query_word_parse(p, pairs[i].value, ret, err);
        if (r < 0)
            return r;
    }
    return 0;
}

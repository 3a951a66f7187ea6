/* Traces from CSV (a first byte-order mark is read over).
 *
 * The header decides the format and where each column stands; then each row goes through its
 * format's function. Every fault names file, line and column, and stops the reading: figures from
 * half a trace would be compared with figures from a whole one.
 *
 * A row with fewer columns than the header is a file cut inside a line. One cut inside the last
 * column cannot be told from a file whose last line merely has no end, and is taken. */
#include "os/files.h"
#include "sim/measure/csv.h"
#include "sim/measure/trace.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Columns of both formats, by what they say. */
enum column {
    COL_TIME,
    COL_USER,
    COL_STATUS,
    COL_EXEC_S,
    COL_RUN_MS,
    COL_IMAGES,
    COL_STEPS,
    COL_BASE,
    COL_LORAS,
    COL_MODELS,
    COL_TIER,
    COL_SERVICE,
    COL_PRIORITY,
    COL_POOL,
    COLUMN_COUNT
};

struct named_column {
    const char *name;
    enum column column;
    bool needed;
};
static const struct named_column genai_columns[] = {
    {"created", COL_TIME, true},    {"user", COL_USER, true},      {"status", COL_STATUS, true},
    {"exec_s", COL_EXEC_S, true},   {"images", COL_IMAGES, false}, {"steps", COL_STEPS, false},
    {"base_model", COL_BASE, true}, {"loras", COL_LORAS, true},    {NULL, 0, false},
};
static const struct named_column plain_columns[] = {
    {"submitted_at", COL_TIME, true},
    {"customer", COL_USER, false},
    {"tier", COL_TIER, false},
    {"service", COL_SERVICE, false},
    {"priority", COL_PRIORITY, false},
    {"pool", COL_POOL, false},
    {"models", COL_MODELS, true},
    {"run_ms", COL_RUN_MS, true},
    {"images", COL_IMAGES, false},
    {"steps", COL_STEPS, false},
    {NULL, 0, false},
};

struct reader {
    struct emp_trace *t;
    struct emp_error *err;
    struct emp_trace_csv csv;
    uint32_t header_count;
    const struct named_column *columns;
    int at[COLUMN_COUNT]; /* position in a row, -1: the file has no such column */
    emp_wall_ms last;
    uint64_t last_line;
};

static int __attribute__((format(printf, 4, 5)))
fault(struct reader *r, int code, const char *column, const char *fmt, ...)
{
    char text[EMP_ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return emp_fail(r->err, code, column, "%s:%llu: %s%s%s", r->csv.name,
                    (unsigned long long)r->csv.line, column ? column : "", column ? ": " : "",
                    text);
}

/* ── the header ── */

static struct emp_str trimmed(struct emp_str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s.ptr++, s.len--;
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static int header_find(const struct reader *r, const char *name)
{
    for (uint32_t i = 0; i < r->header_count; i++)
        if (emp_str_eq(trimmed(r->csv.fields[i]), emp_str_z(name)))
            return (int)i;
    return -1;
}

static int header_twice(struct reader *r)
{
    for (uint32_t i = 1; i < r->header_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (r->csv.fields[i].len &&
                emp_str_eq(trimmed(r->csv.fields[i]), trimmed(r->csv.fields[j])))
                return fault(r, EMP_E_INVALID, NULL, "column \"%.*s\" stands twice",
                             EMP_STR_FMT(trimmed(r->csv.fields[i])));
    return 0;
}

static int header_read(struct reader *r)
{
    int e = emp_trace_csv_next(&r->csv);
    if (e <= 0)
        return e < 0 ? e : fault(r, EMP_E_INVALID, NULL, "the file is empty; a header is needed");
    if (r->csv.fields[0].len >= 3 && memcmp(r->csv.fields[0].ptr, "\xef\xbb\xbf", 3) == 0) {
        r->csv.fields[0].ptr += 3;
        r->csv.fields[0].len -= 3;
    }
    r->header_count = r->csv.field_count;
    if ((e = header_twice(r)) < 0)
        return e;
    if (header_find(r, "submitted_at") >= 0)
        r->columns = plain_columns;
    else if (header_find(r, "base_model") >= 0)
        r->columns = genai_columns;
    else
        return fault(r, EMP_E_INVALID, NULL,
                     "no trace: the header has neither a column \"submitted_at\" nor "
                     "\"base_model\" (docs/simulation.md has both formats)");
    for (int i = 0; i < COLUMN_COUNT; i++)
        r->at[i] = -1;
    for (const struct named_column *c = r->columns; c->name; c++) {
        r->at[c->column] = header_find(r, c->name);
        if (c->needed && r->at[c->column] < 0)
            return fault(r, EMP_E_INVALID, c->name, "the header has no such column");
    }
    return 0;
}

/* ── values ── */

static struct emp_str value(const struct reader *r, enum column c)
{
    return r->at[c] < 0 ? (struct emp_str){0} : trimmed(r->csv.fields[r->at[c]]);
}

static const char *column_name(const struct reader *r, enum column c)
{
    for (const struct named_column *n = r->columns; n->name; n++)
        if (n->column == c)
            return n->name;
    return "?";
}

static bool parsed(struct emp_str s, double *ret)
{
    char text[64], *end;
    if (s.len == 0 || s.len >= sizeof text || strspn(s.ptr, "0123456789.+-eE") < s.len)
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    *ret = strtod(text, &end);
    return *end == '\0' && isfinite(*ret);
}

/* Decimal, in [low, high]. An empty one leaves *ret as it is. */
static int number(struct reader *r, enum column c, double low, double high, double *ret)
{
    struct emp_str s = value(r, c);
    double v;
    if (s.len == 0)
        return 0;
    if (!parsed(s, &v))
        return fault(r, EMP_E_MALFORMED, column_name(r, c), "\"%.*s\" is no number",
                     (int)(s.len < 64 ? s.len : 64), s.ptr);
    if (v < low || v > high)
        return fault(r, EMP_E_INVALID, column_name(r, c), "%.*s is not in [%.0f, %.0f]",
                     EMP_STR_FMT(s), low, high);
    *ret = v;
    return 0;
}

/* An empty one is 0. */
static int small(struct reader *r, enum column c, uint16_t *ret)
{
    double v = 0;
    int e = number(r, c, 0, UINT16_MAX, &v);
    *ret = (uint16_t)v;
    return e;
}

/* "2025-02-01 09:57:50", with 'T', a fraction, or an offset; 0 when empty. */
static int time_value(struct reader *r, emp_wall_ms *ret)
{
    struct emp_str s = value(r, COL_TIME);
    const char *name = column_name(r, COL_TIME);
    char iso[64];
    *ret = 0;
    if (s.len == 0)
        return 0;
    bool fits = s.len >= 19 && s.len + 2 < sizeof iso;
    if (fits) {
        memcpy(iso, s.ptr, s.len);
        if (iso[10] == ' ')
            iso[10] = 'T';
        size_t len = s.len;
        if (strspn(iso + 19, "0123456789.") >= len - 19 || len == 19)
            iso[len++] = 'Z';
        fits = emp_iso_parse(iso, len, ret) == 0 && *ret > 0;
    }
    if (!fits)
        return fault(r, EMP_E_MALFORMED, name, "\"%.*s\" is no time; write 2025-02-01 09:57:50",
                     (int)(s.len < 64 ? s.len : 64), s.ptr);
    if (*ret < r->last)
        return fault(r, EMP_E_INVALID, name,
                     "%.*s is before line %llu: time goes backwards; sort the file by it",
                     EMP_STR_FMT(s), (unsigned long long)r->last_line);
    return 0;
}

static int name_check(struct reader *r, enum column c, struct emp_str s)
{
    if (s.len > EMP_NAME_MAX)
        return fault(r, EMP_E_LIMIT, column_name(r, c), "a name of %u bytes; at most %d", s.len,
                     EMP_NAME_MAX);
    bool fits = emp_utf8_valid(s.ptr, s.len);
    for (uint32_t i = 0; i < s.len && fits; i++)
        fits = (unsigned char)s.ptr[i] >= 0x20 && s.ptr[i] != 0x7f;
    return fits ? 0
                : fault(r, EMP_E_MALFORMED, column_name(r, c),
                        "a name must be UTF-8 without control characters");
}

/* A name into its table; 0 when empty. At most `max` different ones. */
static int interned(struct reader *r, enum column c, struct emp_intern *in, uint32_t max,
                    uint32_t *ret)
{
    struct emp_str s = value(r, c);
    int e = name_check(r, c, s);
    *ret = 0;
    if (e < 0 || s.len == 0)
        return e;
    *ret = emp_intern(in, s);
    return *ret <= max
               ? 0
               : fault(r, EMP_E_LIMIT, column_name(r, c), "more than %u different ones", max);
}

/* ── a row's models ── */

struct models {
    uint32_t numbers[EMP_JOB_MODELS_MAX];
    uint16_t count;
};

static int models_add(struct reader *r, enum column c, struct models *m, struct emp_str name,
                      enum emp_trace_model_kind kind, int64_t bytes)
{
    int e = name_check(r, c, name);
    if (e < 0)
        return e;
    if (name.len == 0)
        return fault(r, EMP_E_MALFORMED, column_name(r, c), "a model without a name");
    uint32_t number = emp_trace_model(r->t, name, kind, bytes);
    for (uint16_t i = 0; i < m->count; i++)
        if (m->numbers[i] == number)
            return 0; /* named twice is needed once */
    if (m->count == EMP_JOB_MODELS_MAX)
        return fault(r, EMP_E_LIMIT, column_name(r, c), "more than %d models", EMP_JOB_MODELS_MAX);
    m->numbers[m->count++] = number;
    return 0;
}

/* The next part of a list, up to the separator; false at its end. */
static bool part(struct emp_str *rest, char separator, struct emp_str *ret)
{
    if (rest->len == 0)
        return false;
    const char *end = memchr(rest->ptr, separator, rest->len);
    uint32_t len = end ? (uint32_t)(end - rest->ptr) : rest->len;
    *ret = trimmed((struct emp_str){rest->ptr, len});
    uint32_t used = len + (end ? 1 : 0);
    *rest = (struct emp_str){rest->ptr + used, rest->len - used};
    return true;
}

static bool is_digits(struct emp_str s)
{
    for (uint32_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

/* What stands after the last ':' goes to *ret_tail, and off *s. */
static bool tail_cut(struct emp_str *s, struct emp_str *ret_tail)
{
    const char *colon = s->len ? memrchr(s->ptr, ':', s->len) : NULL;
    if (!colon)
        return false;
    *ret_tail = (struct emp_str){colon + 1, (uint32_t)(s->ptr + s->len - colon - 1)};
    s->len = (uint32_t)(colon - s->ptr);
    return true;
}

/* "L0012:0.8;L0100:1.0" */
static int loras(struct reader *r, struct models *m)
{
    struct emp_str rest = value(r, COL_LORAS), one, scale;
    while (part(&rest, ';', &one)) {
        double v;
        if (tail_cut(&one, &scale) && !parsed(scale, &v))
            return fault(r, EMP_E_MALFORMED, "loras", "\"%.*s\" is no number (scale of %.*s)",
                         (int)(scale.len < 32 ? scale.len : 32), scale.ptr,
                         (int)(one.len < 64 ? one.len : 64), one.ptr);
        int e = models_add(r, COL_LORAS, m, one, EMP_TRACE_LORA, 0);
        if (e < 0)
            return e;
    }
    return 0;
}

/* %3B and the like, in place of what would part names; other text stays. */
static struct emp_str unescaped(struct emp_str s, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    uint32_t n = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        const char *high, *low;
        if (s.ptr[i] == '%' && i + 2 < s.len && s.ptr[i + 1] && s.ptr[i + 2] &&
            (high = strchr(digits, s.ptr[i + 1])) && (low = strchr(digits, s.ptr[i + 2]))) {
            out[n++] = (char)((high - digits) * 16 + (low - digits));
            i += 2;
        } else {
            out[n++] = s.ptr[i];
        }
    }
    return (struct emp_str){out, n};
}

/* The catalogue's words for kinds, beside our own. */
static enum emp_trace_model_kind model_kind(struct emp_str word, bool first)
{
    static const struct {
        const char *word;
        enum emp_trace_model_kind kind;
    } more[] = {{"checkpoint", EMP_TRACE_BASE},
                {"diffusion_model", EMP_TRACE_BASE},
                {"unet", EMP_TRACE_BASE},
                {"llm", EMP_TRACE_TEXT},
                {"ollama", EMP_TRACE_TEXT}};
    for (int k = 0; k < EMP_TRACE_MODEL_KIND_COUNT; k++)
        if (emp_str_eq(word, emp_str_z(emp_trace_model_kind_word((enum emp_trace_model_kind)k))))
            return (enum emp_trace_model_kind)k;
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        if (emp_str_eq(word, emp_str_z(more[i].word)))
            return more[i].kind;
    return word.len == 0 && first ? EMP_TRACE_BASE : EMP_TRACE_OTHER;
}

/* "name:bytes" or "name:bytes:kind", parted by ';'. */
static int plain_models(struct reader *r, struct models *m)
{
    struct emp_str rest = value(r, COL_MODELS), one, tail, kind;
    while (part(&rest, ';', &one)) {
        struct emp_str whole = one;
        kind = (struct emp_str){0};
        bool fits = tail_cut(&one, &tail);
        if (fits && !is_digits(tail)) {
            kind = tail;
            fits = tail_cut(&one, &tail) && is_digits(tail);
        }
        if (!fits || tail.len > 16 || atoll(tail.ptr) > EMP_BYTES_MAX)
            return fault(r, EMP_E_MALFORMED, "models",
                         "\"%.*s\" is not NAME:BYTES or NAME:BYTES:KIND (0 bytes: not known)",
                         (int)(whole.len < 128 ? whole.len : 128), whole.ptr);
        char name[3 * EMP_NAME_MAX];
        if (one.len > sizeof name)
            return fault(r, EMP_E_LIMIT, "models", "a name of %u bytes; at most %d", one.len,
                         EMP_NAME_MAX);
        int e = models_add(r, COL_MODELS, m, unescaped(one, name), model_kind(kind, m->count == 0),
                           atoll(tail.ptr));
        if (e < 0)
            return e;
    }
    return 0;
}

/* ── rows ── */

static void skip(struct reader *r, enum emp_trace_skip why)
{
    r->t->skipped[why]++;
}

static int row_add(struct reader *r, struct emp_trace_job *job, const struct models *m)
{
    if (r->t->job_count == EMP_TRACE_ROWS_MAX)
        return fault(r, EMP_E_LIMIT, NULL, "more than %d rows", EMP_TRACE_ROWS_MAX);
    if (job->submitted_at == 0 && r->last > 0) {
        skip(r, EMP_TRACE_SKIP_NO_TIME);
        return 0;
    }
    if (job->submitted_at) {
        r->last = job->submitted_at;
        r->last_line = r->csv.line;
    }
    emp_trace_add(r->t, *job, m->numbers, m->count);
    return 0;
}

/* What both formats have. */
static int common(struct reader *r, struct emp_trace_job *job)
{
    int e;
    if ((e = time_value(r, &job->submitted_at)) < 0 ||
        (e = interned(r, COL_USER, &r->t->users, UINT32_MAX, &job->user)) < 0 ||
        (e = small(r, COL_IMAGES, &job->images)) < 0)
        return e;
    return small(r, COL_STEPS, &job->steps);
}

static int genai_row(struct reader *r)
{
    struct emp_trace_job job = {.priority = 50, .exec_has_load = true};
    struct models m = {.count = 0};
    struct emp_str status = value(r, COL_STATUS), base = value(r, COL_BASE);
    double exec_s = -1;
    int e;
    if ((e = common(r, &job)) < 0 || (e = number(r, COL_EXEC_S, 0, 2e6, &exec_s)) < 0 ||
        (base.len && (e = models_add(r, COL_BASE, &m, base, EMP_TRACE_BASE, 0)) < 0) ||
        (e = loras(r, &m)) < 0)
        return e;
    if (emp_str_eq(status, EMP_STR("PENDING")) || emp_str_eq(status, EMP_STR("PROCESSING")))
        skip(r, EMP_TRACE_SKIP_PENDING);
    else if (base.len == 0)
        skip(r, EMP_TRACE_SKIP_NO_MODEL);
    else if (exec_s < 0)
        skip(r, EMP_TRACE_SKIP_NO_EXEC);
    else {
        r->t->failed_rows += emp_str_eq(status, EMP_STR("FAILED"));
        job.exec_ms = (int32_t)lround(exec_s * 1000);
        return row_add(r, &job, &m);
    }
    return 0;
}

static int plain_row(struct reader *r)
{
    struct emp_trace_job job = {0};
    struct models m = {.count = 0};
    struct emp_str tier = value(r, COL_TIER);
    enum emp_tier t = EMP_TIER_FREE;
    uint32_t service, pool;
    double run_ms = -1, priority = 50;
    int e;
    if ((e = common(r, &job)) < 0 || (e = number(r, COL_RUN_MS, 0, 2e9, &run_ms)) < 0 ||
        (e = number(r, COL_PRIORITY, -EMP_PRIORITY_MAX, EMP_PRIORITY_MAX, &priority)) < 0 ||
        (e = interned(r, COL_SERVICE, &r->t->services, UINT8_MAX, &service)) < 0 ||
        (e = interned(r, COL_POOL, &r->t->pools, UINT8_MAX, &pool)) < 0 ||
        (e = plain_models(r, &m)) < 0)
        return e;
    if (tier.len && emp_tier_parse(tier, &t) < 0)
        return fault(r, EMP_E_INVALID, "tier", "\"%.*s\" is none of free, premium, enterprise",
                     (int)(tier.len < 64 ? tier.len : 64), tier.ptr);
    if (run_ms < 0) {
        skip(r, EMP_TRACE_SKIP_NO_EXEC);
        return 0;
    }
    job.tier = (uint8_t)t;
    job.service = (uint8_t)service;
    job.pool = (uint8_t)pool;
    job.priority = (float)priority;
    job.exec_ms = (int32_t)lround(run_ms);
    return row_add(r, &job, &m);
}

static int rows_read(struct reader *r)
{
    int e;
    while ((e = emp_trace_csv_next(&r->csv)) > 0) {
        if (r->csv.field_count == 1 && r->csv.fields[0].len == 0)
            continue; /* an empty line */
        if (r->csv.field_count != r->header_count)
            return fault(r, EMP_E_MALFORMED, NULL, "%u columns where the header has %u%s",
                         r->csv.field_count, r->header_count,
                         r->csv.field_count < r->header_count ? "; is the line cut?" : "");
        e = r->columns == plain_columns ? plain_row(r) : genai_row(r);
        if (e < 0)
            return e;
    }
    return e;
}

static int read_from(struct emp_trace *t, const char *name, FILE *in, struct emp_error *err)
{
    struct reader r = {.t = t, .err = err};
    const char *slash = strrchr(name, '/');
    t->name = emp_str_copy(&t->arena, emp_str_z(slash ? slash + 1 : name));
    int e = emp_trace_csv_open(&r.csv, name, in, err);
    if (e == 0)
        e = header_read(&r);
    if (e == 0)
        e = rows_read(&r);
    emp_trace_csv_release(&r.csv);
    return e;
}

int emp_trace_read(struct emp_trace *t, const char *path, struct emp_error *err)
{
    FILE *in = fopen(path, "re");
    if (!in)
        return emp_fail(err, emp_os_error(errno), NULL, "%s cannot be read: %s", path,
                        strerror(errno));
    int e = read_from(t, path, in, err);
    fclose(in);
    return e;
}

int emp_trace_parse(struct emp_trace *t, const char *name, const char *text, size_t len,
                    struct emp_error *err)
{
    /* fmemopen refuses a length of 0 on some systems; /dev/null is as empty. */
    FILE *in = len ? fmemopen((void *)(uintptr_t)text, len, "r") : fopen("/dev/null", "re");
    if (!in)
        return emp_fail(err, EMP_E_IO, NULL, "%s: %s", name, strerror(errno));
    int e = read_from(t, name, in, err);
    fclose(in);
    return e;
}

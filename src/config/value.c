/* One value of the table: text to member and back. Scalars that are numbers in the end (everything
 * but texts) share one path: parse to a number, hold it against the range, put it where the row
 * says. */
#include "config/config.h"
#include "config/keys.h"
#include "config/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TEXT_MAX = 4096, SHOWN_MAX = 80 };

/* A value in a message: cut, so that a megabyte of garbage does not become an error text. */
#define SHOW(s) shown_bytes(s), (s).len ? (s).ptr : "", (s).len > SHOWN_MAX ? "…" : ""

static int shown_bytes(struct emp_str s)
{
    uint32_t n = s.len;
    if (n > SHOWN_MAX) /* not inside a UTF-8 sequence */
        for (n = SHOWN_MAX; n > 0 && ((unsigned char)s.ptr[n] & 0xc0) == 0x80; n--)
            ;
    return (int)n;
}

static const char *const type_words[] = {
    [EMP_KEY_BOOL] = "boolean",
    [EMP_KEY_INT] = "integer",
    [EMP_KEY_NUMBER] = "number",
    [EMP_KEY_DURATION] = "duration",
    [EMP_KEY_BYTES] = "bytes",
    [EMP_KEY_RATE] = "bytes per second",
    [EMP_KEY_TEXT] = "text",
    [EMP_KEY_NAME] = "name",
    [EMP_KEY_SHA256] = "64 hex digits",
    [EMP_KEY_WORD] = "word",
    [EMP_KEY_TEXTS] = "list of texts",
    [EMP_KEY_NAMES] = "list of names",
    [EMP_KEY_CAPS] = "tree",
    [EMP_KEY_RECORDS] = "records",
};

const char *emp_key_type_word(enum emp_key_type t)
{
    return type_words[t];
}

/* ── numbers in their members ── */

static void number_put(const struct emp_key *k, void *record, double exact, int64_t whole)
{
    char *at = (char *)record + k->offset;
    switch (k->storage) {
    case EMP_HELD_BOOL:
        *(bool *)(void *)at = whole != 0;
        break;
    case EMP_HELD_I32:
        *(int32_t *)(void *)at = (int32_t)whole;
        break;
    case EMP_HELD_U32:
        *(uint32_t *)(void *)at = (uint32_t)whole;
        break;
    case EMP_HELD_I64:
        *(int64_t *)(void *)at = whole;
        break;
    case EMP_HELD_U64:
        *(uint64_t *)(void *)at = (uint64_t)whole;
        break;
    case EMP_HELD_F64:
        *(double *)(void *)at = exact;
        break;
    case EMP_HELD_OTHER:
        break;
    }
}

static int64_t whole_get(const struct emp_key *k, const void *record)
{
    const char *at = (const char *)record + k->offset;
    switch (k->storage) {
    case EMP_HELD_BOOL:
        return *(const bool *)(const void *)at;
    case EMP_HELD_I32:
        return *(const int32_t *)(const void *)at;
    case EMP_HELD_U32:
        return *(const uint32_t *)(const void *)at;
    case EMP_HELD_I64:
        return *(const int64_t *)(const void *)at;
    case EMP_HELD_U64:
        return (int64_t) * (const uint64_t *)(const void *)at;
    case EMP_HELD_F64:
        return (int64_t) * (const double *)(const void *)at;
    case EMP_HELD_OTHER:
        break;
    }
    return 0;
}

/* ── number → text ── */

/* The shortest text that reads back as the same; no exponent where the number is a plain one. */
static void real_format(double v, char out[EMP_UNIT_TEXT_MAX])
{
    if (v == floor(v) && fabs(v) < 1e15) {
        snprintf(out, EMP_UNIT_TEXT_MAX, "%.0f", v);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, EMP_UNIT_TEXT_MAX, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            break;
    }
}

static void number_format(const struct emp_key *k, double exact, int64_t whole, struct emp_buf *out)
{
    char text[EMP_UNIT_TEXT_MAX];
    switch (k->type) {
    case EMP_KEY_DURATION:
        if ((k->flags & EMP_KEY_NEVER) && whole == EMP_NEVER)
            snprintf(text, sizeof text, "never");
        else
            emp_duration_format(whole, text);
        break;
    case EMP_KEY_BYTES:
        emp_bytes_format(whole, text);
        break;
    case EMP_KEY_RATE:
        emp_rate_format(whole, text);
        break;
    case EMP_KEY_BOOL:
        snprintf(text, sizeof text, "%s", whole ? "true" : "false");
        break;
    case EMP_KEY_NUMBER:
        real_format(exact, text);
        break;
    default:
        snprintf(text, sizeof text, "%lld", (long long)whole);
        break;
    }
    emp_buf_addz(out, text);
}

static const char *range_format(const struct emp_key *k, char out[96])
{
    struct emp_buf b;
    emp_buf_init(&b, 96);
    emp_key_range_format(k, &b);
    snprintf(out, 96, "%s", b.data ? b.data : "");
    emp_buf_release(&b);
    return out;
}

void emp_key_range_format(const struct emp_key *k, struct emp_buf *out)
{
    if (k->type == EMP_KEY_WORD) {
        emp_buf_addz(out, k->words);
        return;
    }
    if (k->type >= EMP_KEY_TEXTS) {
        emp_buf_printf(out, "at most %.0f", k->max);
        return;
    }
    if (k->min == k->max)
        return;
    number_format(k, k->min, (int64_t)k->min, out);
    emp_buf_addz(out, " to ");
    number_format(k, k->max, (int64_t)k->max, out);
    if (k->flags & EMP_KEY_NEVER)
        emp_buf_addz(out, ", or never");
}

/* ── text → number ── */

static int int_parse(struct emp_str s, int64_t *ret)
{
    char text[24], *end;
    if (s.len == 0 || s.len >= sizeof text ||
        !(isdigit((unsigned char)s.ptr[0]) || s.ptr[0] == '-'))
        return EMP_E_INVALID;
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (*end || end == text || errno)
        return EMP_E_INVALID;
    *ret = v;
    return 0;
}

static int real_parse(struct emp_str s, double *ret)
{
    char text[48], *end;
    if (s.len == 0 || s.len >= sizeof text)
        return EMP_E_INVALID;
    for (uint32_t i = 0; i < s.len; i++) /* no hex, no nan, no inf */
        if (!s.ptr[i] || !strchr("0123456789.+-eE", s.ptr[i]))
            return EMP_E_INVALID;
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    double v = strtod(text, &end);
    if (*end || end == text || !isfinite(v))
        return EMP_E_INVALID;
    *ret = v;
    return 0;
}

static int bool_parse(struct emp_str s, int64_t *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"yes", true},
                 {"no", false},  {"on", true},     {"off", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (s.len == strlen(words[i].word) && strncasecmp(s.ptr, words[i].word, s.len) == 0) {
            *ret = words[i].value;
            return 0;
        }
    return EMP_E_INVALID;
}

static int word_parse(const struct emp_key *k, struct emp_str s, int64_t *ret)
{
    int64_t n = 0;
    for (const char *w = k->words; w; n++) {
        const char *bar = strchr(w, '|');
        size_t len = bar ? (size_t)(bar - w) : strlen(w);
        if (len == s.len && memcmp(w, s.ptr, len) == 0) {
            *ret = n;
            return 0;
        }
        w = bar ? bar + 1 : NULL;
    }
    return EMP_E_INVALID;
}

static const char *const forms[] = {
    [EMP_KEY_BOOL] = "true or false",
    [EMP_KEY_INT] = "a whole number",
    [EMP_KEY_NUMBER] = "a number",
    [EMP_KEY_DURATION] = "a duration such as 500ms, 10s, 5m, 24h, 7d",
    [EMP_KEY_BYTES] = "a size such as 4096, 512mb, 20gb, 1.5tb, 2gib",
    [EMP_KEY_RATE] = "a rate such as 25mb/s",
};

static int number_parse(const struct emp_key *k, struct emp_str s, double *exact, int64_t *whole)
{
    int r;
    switch (k->type) {
    case EMP_KEY_BOOL:
        r = bool_parse(s, whole);
        break;
    case EMP_KEY_INT:
        r = int_parse(s, whole);
        break;
    case EMP_KEY_NUMBER:
        return real_parse(s, exact);
    case EMP_KEY_DURATION:
        r = emp_duration_parse(s, whole);
        break;
    case EMP_KEY_BYTES:
        r = emp_bytes_parse(s, whole);
        break;
    case EMP_KEY_RATE:
        r = emp_rate_parse(s, whole);
        break;
    default:
        r = word_parse(k, s, whole);
        break;
    }
    if (r == 0)
        *exact = (double)*whole;
    return r;
}

static int number_set(const struct emp_key *k, struct emp_str s, void *record,
                      struct emp_error *err)
{
    char range[96];
    double exact = 0;
    int64_t whole = 0;
    if ((k->flags & EMP_KEY_NEVER) && emp_str_eq(s, EMP_STR("never"))) {
        number_put(k, record, (double)EMP_NEVER, EMP_NEVER);
        return 0;
    }
    int r = number_parse(k, s, &exact, &whole);
    if (r < 0 && k->type == EMP_KEY_WORD)
        return emp_fail(err, EMP_E_INVALID, NULL, "\"%.*s%s\" is not one of %s", SHOW(s), k->words);
    if (r == EMP_E_LIMIT)
        return emp_fail(err, EMP_E_INVALID, NULL,
                        "%.*s%s is too large, or not a whole number of %s", SHOW(s),
                        k->type == EMP_KEY_DURATION ? "milliseconds" : "bytes");
    if (r < 0)
        return emp_fail(err, EMP_E_INVALID, NULL, "\"%.*s%s\" is not %s", SHOW(s), forms[k->type]);
    if (k->min != k->max && (exact < k->min || exact > k->max))
        return emp_fail(err, EMP_E_INVALID, NULL, "%.*s%s is out of range: %s", SHOW(s),
                        range_format(k, range));
    number_put(k, record, exact, whole);
    return 0;
}

/* ── texts ── */

static bool has_control(struct emp_str s)
{
    for (uint32_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return true;
    return false;
}

static int text_check(enum emp_key_type type, struct emp_str s, struct emp_error *err)
{
    bool name = type == EMP_KEY_NAME || type == EMP_KEY_NAMES;
    uint32_t max = name ? EMP_NAME_MAX : TEXT_MAX;
    if (s.len > max)
        return emp_fail(err, EMP_E_INVALID, NULL, "\"%.*s%s\" is longer than %u bytes", SHOW(s),
                        max);
    if (s.len && !emp_utf8_valid(s.ptr, s.len))
        return emp_fail(err, EMP_E_INVALID, NULL, "it is not valid UTF-8");
    if (s.len && memchr(s.ptr, 0, s.len))
        return emp_fail(err, EMP_E_INVALID, NULL, "it contains a NUL byte");
    if (name && has_control(s))
        return emp_fail(err, EMP_E_INVALID, NULL, "a name must not contain control characters");
    return 0;
}

static int sha256_set(const struct emp_key *k, struct emp_str s, void *record,
                      struct emp_error *err)
{
    char *to = (char *)record + k->offset;
    if (s.len != 0 && s.len != 64)
        return emp_fail(err, EMP_E_INVALID, NULL, "\"%.*s%s\" has %u characters, not 64 hex digits",
                        SHOW(s), s.len);
    for (uint32_t i = 0; i < s.len; i++)
        if (!isxdigit((unsigned char)s.ptr[i]))
            return emp_fail(err, EMP_E_INVALID, NULL, "\"%.*s%s\" is not 64 hex digits", SHOW(s));
    for (uint32_t i = 0; i < s.len; i++)
        to[i] = (char)tolower((unsigned char)s.ptr[i]);
    to[s.len] = 0;
    return 0;
}

int emp_value_parse(const struct emp_key *k, struct emp_str text, void *record,
                    struct emp_arena *arena, struct emp_error *err)
{
    if (k->type == EMP_KEY_SHA256)
        return sha256_set(k, text, record, err);
    if (k->type != EMP_KEY_TEXT && k->type != EMP_KEY_NAME)
        return number_set(k, text, record, err);
    int r = text_check(k->type, text, err);
    if (r < 0)
        return r;
    if (text.len == 0 && (k->flags & EMP_KEY_REQUIRED))
        return emp_fail(err, EMP_E_INVALID, NULL, "it must not be empty");
    *(struct emp_str *)(void *)((char *)record + k->offset) = emp_str_copy(arena, text);
    return 0;
}

int emp_value_parse_list(const struct emp_key *k, const struct emp_str *texts, uint32_t count,
                         void *record, struct emp_arena *arena, struct emp_error *err)
{
    if (count > k->max)
        return emp_fail(err, EMP_E_INVALID, NULL, "%u elements are too many: at most %.0f", count,
                        k->max);
    if (count == 0 && (k->flags & EMP_KEY_REQUIRED))
        return emp_fail(err, EMP_E_INVALID, NULL, "it must not be empty");
    struct emp_str *copies = emp_arena_array(arena, struct emp_str, count);
    for (uint32_t i = 0; i < count; i++) {
        int r = text_check(k->type, texts[i], err);
        if (r < 0)
            return r;
        if (texts[i].len == 0 && k->type == EMP_KEY_NAMES)
            return emp_fail(err, EMP_E_INVALID, NULL, "element %u is empty", i + 1);
        copies[i] = emp_str_copy(arena, texts[i]);
    }
    memcpy((char *)record + k->offset, &copies, sizeof copies);
    memcpy((char *)record + k->count_offset, &count, sizeof count);
    return 0;
}

struct emp_str *emp_key_texts(const struct emp_key *k, const void *record, uint32_t *ret_count)
{
    struct emp_str *texts;
    memcpy(&texts, (const char *)record + k->offset, sizeof texts);
    memcpy(ret_count, (const char *)record + k->count_offset, sizeof *ret_count);
    return texts;
}

void emp_value_defaults(const struct emp_section_info *s, void *record, struct emp_arena *arena)
{
    for (uint32_t i = 0; i < s->key_count; i++) {
        const struct emp_key *k = &s->keys[i];
        struct emp_error err = {0};
        if (!k->fallback || (k->flags & EMP_KEY_REQUIRED) || k->type == EMP_KEY_CAPS)
            continue;
        struct emp_str text = emp_str_z(k->fallback);
        int r = k->type == EMP_KEY_TEXTS || k->type == EMP_KEY_NAMES
                    ? emp_value_parse_list(k, &text, text.len ? 1 : 0, record, arena, &err)
                    : emp_value_parse(k, text, record, arena, &err);
        if (r < 0) {
            fprintf(stderr, "emp: default of %s: %s\n", k->name, err.text);
            abort();
        }
    }
}

/* ── value → YAML ── */

static bool plain_is_safe(struct emp_str s)
{
    if (s.len == 0 || !(isalpha((unsigned char)s.ptr[0]) || s.ptr[0] == '/' || s.ptr[0] == '.'))
        return false;
    for (uint32_t i = 0; i < s.len; i++)
        if (!isalnum((unsigned char)s.ptr[i]) && !strchr("/._-+", s.ptr[i]))
            return false;
    static const char *const taken[] = {"true", "false", "yes", "no",    "on",   "off",
                                        "null", "y",     "n",   "never", ".inf", ".nan"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (s.len == strlen(taken[i]) && strncasecmp(s.ptr, taken[i], s.len) == 0)
            return false;
    return true;
}

void emp_value_quote(struct emp_str text, struct emp_buf *out)
{
    if (plain_is_safe(text)) {
        emp_buf_add(out, text.ptr, text.len);
        return;
    }
    emp_buf_addz(out, "\"");
    for (uint32_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            emp_buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            emp_buf_printf(out, "\\x%02x", c);
        else
            emp_buf_add(out, &text.ptr[i], 1);
    }
    emp_buf_addz(out, "\"");
}

static void texts_format(const struct emp_key *k, const void *record, struct emp_buf *out)
{
    uint32_t count;
    const struct emp_str *texts = emp_key_texts(k, record, &count);
    emp_buf_addz(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        emp_buf_addz(out, i ? ", " : "");
        emp_value_quote(k->flags & EMP_KEY_SECRET ? EMP_STR("***") : texts[i], out);
    }
    emp_buf_addz(out, "]");
}

static void word_format(const struct emp_key *k, int64_t n, struct emp_buf *out)
{
    const char *w = k->words;
    for (; n > 0 && strchr(w, '|'); n--)
        w = strchr(w, '|') + 1;
    emp_buf_add(out, w, strcspn(w, "|"));
}

void emp_value_format(const struct emp_key *k, const void *record, struct emp_buf *out)
{
    const char *at = (const char *)record + k->offset;
    struct emp_str text;
    switch (k->type) {
    case EMP_KEY_TEXT:
    case EMP_KEY_NAME:
        memcpy(&text, at, sizeof text);
        emp_value_quote((k->flags & EMP_KEY_SECRET) && text.len ? EMP_STR("***") : text, out);
        break;
    case EMP_KEY_SHA256:
        emp_value_quote(emp_str_z(at), out);
        break;
    case EMP_KEY_WORD:
        word_format(k, whole_get(k, record), out);
        break;
    case EMP_KEY_TEXTS:
    case EMP_KEY_NAMES:
        texts_format(k, record, out);
        break;
    case EMP_KEY_CAPS:
    case EMP_KEY_RECORDS:
        break;
    default:
        if (k->storage == EMP_HELD_F64)
            number_format(k, *(const double *)(const void *)at, whole_get(k, record), out);
        else
            number_format(k, 0, whole_get(k, record), out);
    }
}

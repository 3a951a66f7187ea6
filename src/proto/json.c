/* One pass, recursive over containers (at most EMP_JSON_DEPTH_MAX of them), over text that is never
 * changed. With a node to fill, a value becomes part of the tree; without one it is only checked,
 * by the same code: what stays closed was held against the same rules.
 *
 * Names of the objects that are open now stand on one stack, so that a doubled name is found
 * whether or not there is a tree: few are compared in pairs, many are sorted first, so no text
 * makes it quadratic. */
#include "proto/json.h"

#include "domain/limits.h"
#include "proto/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    NODES_MAX = 1000000,
    NUMBER_TEXT_MAX = 1000, /* digits of a number; more are nobody's honest number */
    KEYS_INLINE = 64,
    PAIRS_MAX = 12, /* names of one object that are compared in pairs */
};

struct reader {
    struct emp_arena *arena;
    const char *text, *p, *end;
    const struct emp_json_options *options;
    struct emp_error *err;
    uint32_t nodes;
    uint32_t depth;       /* of containers around p */
    struct emp_str *keys; /* names of the open objects */
    size_t key_count, key_cap;
};

static const struct emp_json_options no_options;

static int value(struct reader *r, struct emp_json *node);

/* ---- saying what was wrong ---- */

static int wrong_at(struct reader *r, const char *at, const char *what)
{
    return emp_fail(r->err, EMP_E_MALFORMED, NULL, "not valid JSON: %s at byte %zu", what,
                    (size_t)(at - r->text));
}

static int wrong(struct reader *r, const char *what)
{
    return wrong_at(r, r->p, r->p < r->end ? what : "the text ends too early");
}

/* ---- strings ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The 16 bits of the "XXXX" at p; -1 when there are no four hex digits. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(p[i]);
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* Reads the code point of the "\uXXXX" at p, of a pair of them where that makes one; the bytes it
 * takes, 0 when it is none. */
static unsigned unicode_escape(const char *p, const char *end, uint32_t *ret)
{
    int32_t high = hex4(p + 2, end), low;
    if (high < 0)
        return 0;
    *ret = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return 6;
    if (high > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return 0;
    low = hex4(p + 8, end);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret = 0x10000 + (((uint32_t)high & 0x3ff) << 10) + ((uint32_t)low & 0x3ff);
    return 12;
}

static int escape(struct reader *r)
{
    uint32_t code;
    if (r->end - r->p < 2)
        return wrong_at(r, r->end, "the text ends too early");
    if (r->p[1] != 'u') {
        if (r->p[1] == '\0' || !strchr("\"\\/bfnrt", r->p[1]))
            return wrong(r, "an unknown escape");
        r->p += 2;
        return 0;
    }
    unsigned n = unicode_escape(r->p, r->end, &code);
    if (n == 0)
        return wrong(r, "a \\u escape that is no character");
    if (code == 0)
        return wrong(r, "the character NUL (\\u0000), which is not accepted,");
    r->p += n;
    return 0;
}

static char *utf8_put(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* What checked text between quotes says; no longer than the text. */
static struct emp_str unescape(struct emp_arena *a, const char *p, const char *end)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *out = emp_arena_alloc(a, (size_t)(end - p) + 1), *start = out;
    while (p < end) {
        uint32_t code;
        if (*p != '\\') {
            *out++ = *p++;
        } else if (p[1] == 'u') {
            p += unicode_escape(p, end, &code);
            out = utf8_put(out, code);
        } else {
            *out++ = to[strchr(from, p[1]) - from];
            p += 2;
        }
    }
    return (struct emp_str){start, (uint32_t)(out - start)};
}

/* The string at p. *ret may be NULL: only checked. */
static int string(struct reader *r, struct emp_str *ret)
{
    const char *start = r->p + 1;
    bool escaped = false;
    for (r->p++;;) {
        unsigned n = 1;
        if (r->p == r->end)
            return wrong(r, NULL);
        unsigned char c = (unsigned char)*r->p;
        if (c == '"')
            break;
        if (c == '\\') {
            int e = escape(r);
            if (e < 0)
                return e;
            escaped = true;
            continue;
        }
        if (c < 0x20)
            return wrong(r, "a control character in a string");
        if (c >= 0x80)
            n = emp_utf8_bytes(r->p, r->end);
        if (n == 0)
            return wrong(r, "invalid UTF-8");
        r->p += n;
    }
    if (ret && escaped)
        *ret = unescape(r->arena, start, r->p);
    else if (ret)
        *ret = (struct emp_str){start, (uint32_t)(r->p - start)};
    r->p++;
    return 0;
}

/* ---- numbers and literals ---- */

static bool digits(struct reader *r)
{
    const char *start = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return r->p > start;
}

static bool take(struct reader *r, char c)
{
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static int number(struct reader *r, struct emp_json *node)
{
    const char *start = r->p;
    bool exponent = false;
    take(r, '-');
    if (!take(r, '0') && !digits(r))
        return wrong(r, "a number without digits");
    if (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        return wrong_at(r, start, "a number with a leading zero");
    if (take(r, '.') && !digits(r))
        return wrong(r, "a number without digits after its point");
    if (take(r, 'e') || take(r, 'E')) {
        exponent = true;
        if (!take(r, '+'))
            take(r, '-');
        if (!digits(r))
            return wrong(r, "a number without digits in its exponent");
    }
    struct emp_json v = {.type = EMP_JSON_NUMBER, .raw = {start, (uint32_t)(r->p - start)}};
    if (r->p - start > NUMBER_TEXT_MAX)
        return wrong_at(r, start, "a number of more than 1000 characters");
    if ((exponent || v.raw.len > 300) && !isfinite(emp_json_number(&v)))
        return wrong_at(r, start, "a number too large for a double");
    if (node)
        node->type = EMP_JSON_NUMBER;
    return 0;
}

static int literal(struct reader *r, const char *word, enum emp_json_type type, uint32_t is_true,
                   struct emp_json *node)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return wrong(r, "a word that is none of true, false, null");
    r->p += n;
    if (node) {
        node->type = type;
        node->count = is_true;
    }
    return 0;
}

/* ---- containers ---- */

static void space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t'))
        r->p++;
}

static int node_new(struct reader *r, struct emp_json **ret)
{
    if (++r->nodes > NODES_MAX)
        return emp_fail(r->err, EMP_E_TOO_LARGE, NULL, "the JSON text has more than %d values",
                        NODES_MAX);
    *ret = emp_arena_new(r->arena, struct emp_json);
    return 0;
}

/* Does the container around which p now stands become part of the tree? r->depth counts it already.
 */
static bool opens(const struct reader *r, const struct emp_json *node)
{
    if (node == NULL || (r->options->tree_depth > 0 && r->depth > r->options->tree_depth))
        return false;
    const char *const *closed = r->depth == 2 ? r->options->closed : NULL;
    for (; closed && *closed; closed++)
        if (emp_str_eq(emp_str_z(*closed), node->key))
            return false;
    return true;
}

/* The value of a child, at p; linked after *last (NULL: the container's first), or only checked
 * when the container is closed. */
static int child(struct reader *r, struct emp_json *parent, struct emp_json **last,
                 struct emp_str key)
{
    struct emp_json *node = NULL;
    if (parent) {
        int e = node_new(r, &node);
        if (e < 0)
            return e;
        node->key = key;
        *(*last ? &(*last)->next : &parent->first) = node;
        *last = node;
    }
    return value(r, node);
}

static void key_push(struct reader *r, struct emp_str key)
{
    if (r->key_count == r->key_cap) {
        struct emp_str *more = emp_arena_array(r->arena, struct emp_str, 2 * r->key_cap);
        memcpy(more, r->keys, r->key_count * sizeof *more);
        r->keys = more;
        r->key_cap *= 2;
    }
    r->keys[r->key_count++] = key;
}

static int by_text(const void *a, const void *b)
{
    const struct emp_str *x = a, *y = b;
    return emp_str_cmp(*x, *y);
}

/* A name that stands twice among keys[0..n), or NULL. May reorder them. */
static const struct emp_str *doubled(struct emp_str *keys, size_t n)
{
    if (n > PAIRS_MAX) {
        qsort(keys, n, sizeof *keys, by_text);
        for (size_t i = 1; i < n; i++)
            if (emp_str_eq(keys[i - 1], keys[i]))
                return &keys[i];
        return NULL;
    }
    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (emp_str_eq(keys[k], keys[i]))
                return &keys[i];
    return NULL;
}

/* One member, from its name on. */
static int member(struct reader *r, struct emp_json *parent, struct emp_json **last)
{
    struct emp_str key;
    if (r->p == r->end || *r->p != '"')
        return wrong(r, "something that is no name in quotes");
    int e = string(r, &key);
    if (e < 0)
        return e;
    key_push(r, key);
    space(r);
    if (!take(r, ':'))
        return wrong(r, "a name without a colon");
    space(r);
    return child(r, parent, last, key);
}

/* The members or elements up to `close`; p stands behind the bracket that opens. *ret_count: how
 * many. */
static int children(struct reader *r, struct emp_json *parent, char close, uint32_t *ret_count)
{
    struct emp_json *last = NULL;
    *ret_count = 0;
    space(r);
    if (take(r, close))
        return 0;
    do {
        space(r);
        int e = close == '}' ? member(r, parent, &last)
                             : child(r, parent, &last, (struct emp_str){0});
        if (e < 0)
            return e;
        ++*ret_count;
        space(r);
    } while (take(r, ','));
    if (!take(r, close))
        return wrong(r, close == '}' ? "neither a comma nor the end of the object"
                                     : "neither a comma nor the end of the array");
    return 0;
}

static int container(struct reader *r, enum emp_json_type type, struct emp_json *node)
{
    size_t base = r->key_count;
    const char *start = r->p;
    uint32_t count;
    if (++r->depth > EMP_JSON_DEPTH_MAX)
        return wrong(r, "nesting deeper than 64");
    r->p++;
    int e = children(r, opens(r, node) ? node : NULL, type == EMP_JSON_OBJECT ? '}' : ']', &count);
    if (e < 0)
        return e;
    const struct emp_str *twice = doubled(r->keys + base, r->key_count - base);
    if (twice)
        return emp_fail(r->err, EMP_E_MALFORMED, NULL,
                        "not valid JSON: the name \"%.*s\" stands twice in the object at byte %zu",
                        (int)(twice->len > 80 ? 80 : twice->len), twice->ptr,
                        (size_t)(start - r->text));
    r->key_count = base;
    r->depth--;
    if (node) {
        node->type = type;
        node->count = count;
    }
    return 0;
}

/* ---- values ---- */

static int scalar(struct reader *r, struct emp_json *node)
{
    if (r->p == r->end)
        return wrong(r, NULL);
    switch (*r->p) {
    case '"':
        if (node)
            node->type = EMP_JSON_STRING;
        return string(r, node ? &node->string : NULL);
    case 't':
        return literal(r, "true", EMP_JSON_BOOL, 1, node);
    case 'f':
        return literal(r, "false", EMP_JSON_BOOL, 0, node);
    case 'n':
        return literal(r, "null", EMP_JSON_NULL, 0, node);
    default:
        if (*r->p != '-' && (*r->p < '0' || *r->p > '9'))
            return wrong(r, "an unexpected character");
        return number(r, node);
    }
}

static int value(struct reader *r, struct emp_json *node)
{
    const char *start = r->p;
    char c = '\0';
    if (r->p < r->end)
        c = *r->p;
    int e = c == '{'   ? container(r, EMP_JSON_OBJECT, node)
            : c == '[' ? container(r, EMP_JSON_ARRAY, node)
                       : scalar(r, node);
    if (e == 0 && node)
        node->raw = (struct emp_str){start, (uint32_t)(r->p - start)};
    return e;
}

int emp_json_parse(struct emp_arena *a, const char *text, size_t len,
                   const struct emp_json_options *options, struct emp_json **ret,
                   struct emp_error *err)
{
    struct emp_str keys[KEYS_INLINE];
    struct reader r = {
        .arena = a,
        .text = text,
        .p = text,
        .end = len ? text + len : text,
        .options = options ? options : &no_options,
        .err = err,
        .keys = keys,
        .key_cap = KEYS_INLINE,
    };
    struct emp_json *root;
    if (len > UINT32_MAX - 1)
        return emp_fail(err, EMP_E_TOO_LARGE, NULL, "the JSON text is larger than 4 GB");
    int e = node_new(&r, &root);
    space(&r);
    if (e == 0 && r.p == r.end)
        return emp_fail(err, EMP_E_MALFORMED, NULL, "not valid JSON: the text is empty");
    if (e == 0)
        e = value(&r, root);
    if (e < 0)
        return e;
    space(&r);
    if (r.p != r.end)
        return wrong(&r, "more text behind the value");
    *ret = root;
    return 0;
}

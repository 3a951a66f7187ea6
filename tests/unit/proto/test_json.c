/* The reader of JSON: what it takes, what it refuses and where, and that it agrees with json-c
 * wherever json-c is as strict. */
#include "base/random.h"
#include "domain/limits.h"
#include "proto/json.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct emp_arena arena;

static int setup(void **state)
{
    (void)state;
    emp_arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    emp_arena_release(&arena);
    return 0;
}

/* Parses a copy on the heap that ends where the text ends, so that a sanitizer sees every step
 * beyond. */
static int parse(const char *text, size_t len, struct emp_json **ret, struct emp_error *err)
{
    struct emp_str copy = {emp_arena_dup(&arena, text, len), (uint32_t)len};
    char *tight = malloc(len ? len : 1);
    struct emp_json *other;
    memcpy(tight, text, len);
    int closed = emp_json_parse(&arena, tight, len, &(struct emp_json_options){.tree_depth = 1},
                                &other, NULL);
    free(tight);
    int e = emp_json_parse(&arena, copy.ptr, len, NULL, ret, err);
    assert_int_equal(e, closed); // what stays closed is checked as strictly
    return e;
}

struct refused {
    const char *text;
    size_t len;
    const char *says;
};
#define BAD(lit, says)             \
    {                              \
        lit, sizeof(lit) - 1, says \
    }

static const struct refused refused[] = {
    BAD("", "is empty"),
    BAD("  \n", "is empty"),
    BAD("[1,]", "unexpected character at byte 3"),
    BAD("[1 2]", "neither a comma nor the end of the array at byte 3"),
    BAD("{\"a\":1,}", "no name in quotes at byte 7"),
    BAD("{\"a\" 1}", "a name without a colon at byte 5"),
    BAD("{a:1}", "no name in quotes at byte 1"),
    BAD("[1]x", "more text behind the value at byte 3"),
    BAD("{\"a\":1}{}", "more text behind the value at byte 7"),
    BAD("[1", "ends too early at byte 2"),
    BAD("[\"abc", "ends too early at byte 5"),
    BAD("[\"abc\\", "ends too early"),
    BAD("nul", "none of true, false, null at byte 0"),
    BAD("nUll", "none of true, false, null at byte 0"),
    BAD("[NaN]", "unexpected character at byte 1"),
    BAD("[-Infinity]", "a number without digits at byte 2"),
    BAD("[01]", "a leading zero at byte 1"),
    BAD("[-01]", "a leading zero"),
    BAD("[1.]", "without digits after its point"),
    BAD("[.5]", "unexpected character"),
    BAD("[+1]", "unexpected character"),
    BAD("[1e]", "in its exponent"),
    BAD("[1e+]", "in its exponent"),
    BAD("[1e400]", "too large for a double at byte 1"),
    BAD("[-1e400]", "too large for a double"),
    BAD("[0x10]", "neither a comma"),
    BAD("[\"a\tb\"]", "a control character in a string at byte 3"),
    BAD("[\"a\0b\"]", "a control character"),
    BAD("[\"\\u0000\"]", "NUL"),
    BAD("{\"a\\u0000\":1}", "NUL"),
    BAD("[\"\\ud800\"]", "no character at byte 2"),
    BAD("[\"\\ud800\\u0041\"]", "no character"),
    BAD("[\"\\udc00\"]", "no character"),
    BAD("[\"\\u12g4\"]", "no character"),
    BAD("[\"\\x41\"]", "unknown escape"),
    BAD("[\"\xff\"]", "invalid UTF-8 at byte 2"),
    BAD("[\"\xc0\x80\"]", "invalid UTF-8"),
    BAD("[\"\xed\xa0\x80\"]", "invalid UTF-8"),
    BAD("[\"\xf4\x90\x80\x80\"]", "invalid UTF-8"),
    BAD("[\"\xe2\x82\"]", "invalid UTF-8"),
    BAD("\xef\xbb\xbf[]", "unexpected character at byte 0"),
    BAD("{\"a\":1,\"b\":2,\"a\":3}", "the name \"a\" stands twice in the object at byte 0"),
    BAD("{\"x\":{\"a\":1,\"\\u0061\":3}}", "the name \"a\" stands twice in the object at byte 5"),
    BAD("//c\n[]", "unexpected character at byte 0"),
    BAD("['a']", "unexpected character"),
};

static void refuses_and_says_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct emp_json *v = NULL;
        struct emp_error err = {0};
        int e = parse(refused[i].text, refused[i].len, &v, &err);
        if (e != EMP_E_MALFORMED || !strstr(err.text, refused[i].says))
            fail_msg("%s: %d, \"%s\", wanted \"%s\"", refused[i].text, e, err.text,
                     refused[i].says);
        assert_int_equal(err.code, EMP_E_MALFORMED);
    }
}

static void takes_what_is_json(void **state)
{
    static const char *const good[] = {
        "{}",
        "[]",
        " [ ] ",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "0.5",
        "-1.5e-7",
        "1E5",
        "\"\"",
        "\"a\"",
        "[[],{}]",
        "{\"a\":{\"a\":{\"a\":1}}}",
        "{\"\":1}",
        "[1,\"\\u00e9\\ud83c\\udfa8\\n\"]",
        "18446744073709551616",
        "{\"a\":1,\"A\":2,\"a \":3}",
        "\"\x7f\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct emp_json *v = NULL;
        struct emp_error err = {0};
        if (parse(good[i], strlen(good[i]), &v, &err) != 0)
            fail_msg("%s: %s", good[i], err.text);
    }
}

static char *nested(int depth, const char *open, const char *inside, const char *close)
{
    struct emp_buf b;
    emp_buf_init(&b, 1 << 20);
    for (int i = 0; i < depth; i++)
        emp_buf_addz(&b, open);
    emp_buf_addz(&b, inside);
    for (int i = 0; i < depth; i++)
        emp_buf_addz(&b, close);
    char *text = emp_arena_dup(&arena, b.data, b.len + 1);
    emp_buf_release(&b);
    return text;
}

static void nests_64_deep_and_no_deeper(void **state)
{
    struct emp_json *v;
    struct emp_error err = {0};
    (void)state;
    char *text = nested(EMP_JSON_DEPTH_MAX, "[", "1", "]");
    assert_int_equal(parse(text, strlen(text), &v, &err), 0);
    text = nested(EMP_JSON_DEPTH_MAX + 1, "[", "", "]");
    assert_int_equal(parse(text, strlen(text), &v, &err), EMP_E_MALFORMED);
    assert_non_null(strstr(err.text, "nesting deeper than 64 at byte 64"));
    text = nested(100000, "{\"a\":", "1", "}");
    assert_int_equal(parse(text, strlen(text), &v, &err), EMP_E_MALFORMED);
}

/* Many names: sorted instead of compared in pairs, and still every doubled one is found. */
static void finds_a_doubled_name_among_many(void **state)
{
    struct emp_buf b;
    struct emp_json *v;
    struct emp_error err = {0};
    (void)state;
    for (int twice = -1; twice < 3000; twice += 997) {
        emp_buf_init(&b, 1 << 20);
        emp_buf_addz(&b, "{");
        for (int i = 0; i < 3000; i++)
            emp_buf_printf(&b, "\"n%d\":%d,", i, i);
        emp_buf_printf(&b, "\"n%d\":0}", twice);
        assert_int_equal(parse(b.data, b.len, &v, &err), twice < 0 ? 0 : EMP_E_MALFORMED);
        if (twice >= 0)
            assert_non_null(
                strstr(err.text, emp_arena_printf(&arena, "\"n%d\" stands twice", twice)));
        emp_buf_release(&b);
    }
}

static void numbers_are_strtods(void **state)
{
    struct emp_random r;
    (void)state;
    emp_random_init(&r, 7);
    for (int i = 0; i < 100000; i++) {
        char text[64];
        struct emp_json *v;
        uint64_t digits = emp_random_u64(&r) >> emp_random_below(&r, 64);
        switch (emp_random_below(&r, 3)) {
        case 0:
            snprintf(text, sizeof text, "%s%llu", i % 2 ? "-" : "", (unsigned long long)digits);
            break;
        case 1:
            snprintf(text, sizeof text, "%.*f", (int)emp_random_below(&r, 12),
                     (double)digits / 1e9);
            break;
        default:
            snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits,
                     (int)emp_random_below(&r, 560) - 290);
        }
        if (!isfinite(strtod(text, NULL)))
            continue;
        assert_int_equal(parse(text, strlen(text), &v, NULL), 0);
        double ours = emp_json_number(v), theirs = strtod(text, NULL);
        assert_memory_equal(&ours, &theirs, sizeof ours);
        emp_arena_reset(&arena);
    }
}

static void whole_numbers_in_any_writing(void **state)
{
    static const struct {
        const char *text;
        bool whole;
        int64_t value;
    } cases[] = {
        {"5", true, 5},
        {"-5", true, -5},
        {"5.0", true, 5},
        {"5e3", true, 5000},
        {"-0", true, 0},
        {"5.5", false, 0},
        {"1e300", false, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"9.3e18", false, 0},
        {"1e-3", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_json *v;
        int64_t n = 0;
        assert_int_equal(parse(cases[i].text, strlen(cases[i].text), &v, NULL), 0);
        assert_int_equal(emp_json_integer(v, &n), cases[i].whole);
        assert_true(n == cases[i].value);
    }
}

static void knows_where_values_stand(void **state)
{
    const char text[] = " { \"a\" : [1, {\"b\":2} ] ,\"p\\u0061y\": {\"x\": [ ]} }";
    static const char *const closed[] = {"pay", NULL};
    struct emp_json *v;
    (void)state;
    assert_int_equal(emp_json_parse(&arena, text, sizeof text - 1,
                                    &(struct emp_json_options){.closed = closed}, &v, NULL),
                     0);
    struct emp_json *a = emp_json_find(v, "a"), *pay = emp_json_find(v, "pay");
    assert_true(emp_str_eq(a->raw, EMP_STR("[1, {\"b\":2} ]")) && a->count == 2 && a->first);
    assert_true(emp_str_eq(pay->raw, EMP_STR("{\"x\": [ ]}")) && pay->count == 1 && !pay->first);
    assert_true(pay->type == EMP_JSON_OBJECT && emp_json_find(pay, "x") == NULL);
    assert_null(emp_json_find(v, "none"));
    assert_null(emp_json_find(NULL, "none"));
}

static void a_tree_has_an_end(void **state)
{
    size_t len = 3 * 1000 * 1000;
    char *text = malloc(len);
    struct emp_json *v;
    struct emp_error err = {0};
    (void)state;
    for (size_t i = 0; i < len; i += 2)
        memcpy(text + i, "1,", 2);
    text[0] = '[';
    text[1] = ' ';
    text[len - 1] = ']';
    assert_int_equal(emp_json_parse(&arena, text, len, NULL, &v, &err), EMP_E_TOO_LARGE);
    assert_int_equal(
        emp_json_parse(&arena, text, len, &(struct emp_json_options){.tree_depth = 1}, &v, &err),
        EMP_E_TOO_LARGE);
    free(text);
}

/* ---- against json-c ---- */

static bool same_tree(const struct emp_json *v, struct json_object *o)
{
    size_t i = 0;
    switch (json_object_get_type(o)) {
    case json_type_null:
        return v->type == EMP_JSON_NULL;
    case json_type_boolean:
        return v->type == EMP_JSON_BOOL && emp_json_true(v) == json_object_get_boolean(o);
    case json_type_int:
    case json_type_double:
        return v->type == EMP_JSON_NUMBER &&
               (v->raw.len > 15 || fabs(emp_json_number(v) - json_object_get_double(o)) <= 0);
    case json_type_string:
        return v->type == EMP_JSON_STRING &&
               v->string.len == (uint32_t)json_object_get_string_len(o) &&
               memcmp(v->string.ptr, json_object_get_string(o), v->string.len) == 0;
    case json_type_array:
        if (v->type != EMP_JSON_ARRAY || v->count != json_object_array_length(o))
            return false;
        for (const struct emp_json *c = v->first; c; c = c->next)
            if (!same_tree(c, json_object_array_get_idx(o, i++)))
                return false;
        return true;
    case json_type_object:
        if (v->type != EMP_JSON_OBJECT || v->count != (uint32_t)json_object_object_length(o))
            return false;
        for (const struct emp_json *c = v->first; c; c = c->next) {
            struct json_object *m;
            char *key = emp_arena_printf(&arena, "%.*s", EMP_STR_FMT(c->key));
            if (!json_object_object_get_ex(o, key, &m) || !same_tree(c, m))
                return false;
        }
        return true;
    }
    return false;
}

static struct json_object *by_json_c(const char *text, size_t len)
{
    struct json_tokener *t = json_tokener_new_ex(EMP_JSON_DEPTH_MAX + 1);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    char *z = emp_arena_printf(&arena, "%.*s", (int)len, text);
    struct json_object *o = json_tokener_parse_ex(t, z, (int)strlen(z) + 1);
    bool whole = json_tokener_get_error(t) == json_tokener_success;
    json_tokener_free(t);
    if (!whole) {
        json_object_put(o);
        return NULL;
    }
    return o;
}

static void random_json(struct emp_random *r, struct emp_buf *b, int depth)
{
    uint64_t kind = emp_random_below(r, depth > 5 ? 4 : 6), n = emp_random_below(r, 4);
    static const char *const words[] = {
        "null", "true", "false", "\"\\n\\u00e9\"", "-1.25e2", "1e-7", "\"\\ud83c\\udfa8\"", "0"};
    if (kind < 2) {
        emp_buf_addz(b, words[emp_random_below(r, 8)]);
    } else if (kind < 3) {
        emp_buf_printf(b, "%lld", (long long)(emp_random_u64(r) >> emp_random_below(r, 63)));
    } else if (kind < 4) {
        struct emp_str s = random_text(r, &arena, 0, 12, true);
        for (uint32_t i = 0; i < s.len; i++)
            if (s.ptr[i] == '"')
                ((char *)(uintptr_t)s.ptr)[i] = '_';
        emp_buf_printf(b, "\"%.*s\"", EMP_STR_FMT(s));
    } else {
        emp_buf_addz(b, kind == 4 ? "[" : "{");
        for (uint64_t i = 0; i < n; i++) {
            if (kind == 5)
                emp_buf_printf(b, "%s\"k%d\" : ", i ? "," : "", (int)i);
            else if (i)
                emp_buf_addz(b, " , ");
            random_json(r, b, depth + 1);
        }
        emp_buf_addz(b, kind == 4 ? "]" : "}");
    }
}

/* Random texts, many with one byte changed: what we take json-c takes, and it finds the same in it.
 */
static void agrees_with_json_c(void **state)
{
    const uint64_t seed = 20240;
    struct emp_random r;
    size_t taken = 0;
    (void)state;
    emp_random_init(&r, seed);
    for (int i = 0; i < 20000; i++) {
        struct emp_buf b;
        struct emp_json *v = NULL;
        emp_buf_init(&b, 1 << 20);
        random_json(&r, &b, 0);
        if (i % 2 && b.len > 0)
            b.data[emp_random_below(&r, b.len)] = "{}[],:\"\\0e.- x"[emp_random_below(&r, 15)];
        if (parse(b.data, b.len, &v, NULL) == 0) {
            struct json_object *o = by_json_c(b.data, b.len);
            bool null = v->type == EMP_JSON_NULL && o == NULL;
            if (!null && !(o && same_tree(v, o)))
                fail_msg("seed %llu, text %d: %s", (unsigned long long)seed, i, b.data);
            json_object_put(o);
            taken++;
        } else {
            assert_true(i % 2);
        }
        emp_buf_release(&b);
        emp_arena_reset(&arena);
    }
    assert_true(taken >= 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_and_says_where, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_what_is_json, setup, teardown),
        cmocka_unit_test_setup_teardown(nests_64_deep_and_no_deeper, setup, teardown),
        cmocka_unit_test_setup_teardown(finds_a_doubled_name_among_many, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_are_strtods, setup, teardown),
        cmocka_unit_test_setup_teardown(whole_numbers_in_any_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(knows_where_values_stand, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tree_has_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(agrees_with_json_c, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The JSON reader: what it takes json-c takes too, and the tree is what the text says. */
#include "fuzz.h"

#include "domain/limits.h"
#include "proto/json.h"

#include <json-c/json.h>
#include <math.h>

const char *const fuzz_words[] = {
    "\"a\":",   ",", "\\ud83c\\udfa8",         "\\ud83c", "\\/", "1.5e-3", "01", "[[[[[[[[",
    "]]]]]]]]", " ", "{\"a\":{\"b\":[1,{}]}}", NULL,
};

static bool inside(struct emp_str part, const uint8_t *data, size_t size)
{
    return (const uint8_t *)part.ptr >= data && (const uint8_t *)part.ptr + part.len <= data + size;
}

static void check_value(const struct emp_json *v, const uint8_t *data, size_t size, int depth)
{
    uint32_t children = 0;
    int64_t whole;
    FUZZ_CHECK(depth <= EMP_JSON_DEPTH_MAX + 1);
    FUZZ_CHECK(v->raw.len > 0 && inside(v->raw, data, size));
    for (const struct emp_json *c = v->first; c; c = c->next, children++) {
        if (v->type == EMP_JSON_OBJECT) {
            FUZZ_CHECK(emp_utf8_valid(c->key.ptr, c->key.len));
            FUZZ_CHECK(!c->key.len || !memchr(c->key.ptr, '\0', c->key.len));
        }
        check_value(c, data, size, depth + 1);
    }
    if (v->type == EMP_JSON_ARRAY || v->type == EMP_JSON_OBJECT)
        FUZZ_CHECK(children == v->count);
    if (v->type == EMP_JSON_STRING) {
        FUZZ_CHECK(emp_utf8_valid(v->string.ptr, v->string.len));
        FUZZ_CHECK(!v->string.len || !memchr(v->string.ptr, '\0', v->string.len));
    } else if (v->type == EMP_JSON_NUMBER && emp_json_integer(v, &whole)) {
        FUZZ_CHECK(fabs(emp_json_number(v) - (double)whole) <= 0);
    }
}

static bool json_c_takes(const uint8_t *data, size_t size)
{
    struct json_tokener *t = json_tokener_new_ex(EMP_JSON_DEPTH_MAX + 1);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    char *z = malloc(size + 1);
    memcpy(z, data, size);
    z[size] = '\0';
    struct json_object *o = json_tokener_parse_ex(t, z, (int)size + 1);
    bool taken = json_tokener_get_error(t) == json_tokener_success;
    json_object_put(o);
    json_tokener_free(t);
    free(z);
    return taken;
}

/* Closed containers change what is kept, not what is accepted. */
static void check_closed(struct emp_arena *a, const uint8_t *data, size_t size, bool taken)
{
    static const char *const closed[] = {"payload", "a", NULL};
    struct emp_json *v;
    FUZZ_CHECK((emp_json_parse(a, (const char *)data, size,
                               &(struct emp_json_options){.tree_depth = 1}, &v, NULL) == 0) ==
               taken);
    FUZZ_CHECK((emp_json_parse(a, (const char *)data, size,
                               &(struct emp_json_options){.closed = closed}, &v, NULL) == 0) ==
               taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_arena a;
    struct emp_json *v;
    struct emp_error err = {0};
    emp_arena_init(&a, 0);
    int r = emp_json_parse(&a, (const char *)data, size, NULL, &v, &err);
    if (r == 0) {
        fuzz_taken++;
        check_value(v, data, size, 1);
        FUZZ_CHECK(json_c_takes(data, size));
    } else {
        FUZZ_CHECK(r == EMP_E_MALFORMED && err.code == r && err.text[0]);
    }
    check_closed(&a, data, size, r == 0);
    emp_arena_release(&a);
    return 0;
}

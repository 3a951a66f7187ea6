/* Catalogue entries: one, many, aliases, and every way in which one is refused; paths that stay
 * inside. */
#include "domain/limits.h"
#include "proto/model_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"

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

static void one_entry(void **state)
{
    const char text[] =
        "{\"name\":\"flux/"
        "ae.sft\",\"bytes\":335304388,\"kind\":\"vae\",\"category\":\"art\",\"sha256\":\"" SHA "\","
        "\"urls\":[\"https://a/x\",\"http://b/y\"],\"owner\":\"c1\",\"pinned\":true}";
    struct emp_model *m;
    struct emp_error err;
    uint32_t n;
    (void)state;
    assert_int_equal(emp_model_parse(&arena, text, strlen(text), &m, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_true(emp_str_eq(m->name, EMP_STR("flux/ae.sft")) && emp_str_eq(m->path, m->name));
    assert_true(m->bytes == 335304388 && m->url_count == 2 && m->pinned);
    assert_string_equal(m->sha256,
                        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
}

static void aliases_and_lists(void **state)
{
    const char text[] = "{\"models\":[{\"name\":\"a\",\"size\":1,\"url\":\"http://h/"
                        "a\"},{\"name\":\"b\",\"bytes\":2,\"path\":\"x/b\"}]}";
    struct emp_model *m;
    uint32_t n;
    (void)state;
    assert_int_equal(emp_model_parse(&arena, text, strlen(text), &m, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_true(m[0].bytes == 1 && m[0].url_count == 1 &&
                emp_str_eq(m[0].urls[0], EMP_STR("http://h/a")));
    assert_true(emp_str_eq(m[1].path, EMP_STR("x/b")));
}

static void refuses_with_field_and_value(void **state)
{
    static const struct {
        const char *text, *field, *says;
    } cases[] = {
        {"[]", "", "not an object"},
        {"{}", "name", "is missing"},
        {"{\"name\":\"a\"}", "bytes", "is missing"},
        {"{\"name\":\"a\",\"bytes\":0}", "bytes", "0 is out of range"},
        {"{\"name\":\"a\",\"bytes\":\"1\"}", "bytes", "is not a number"},
        {"{\"name\":\"../a\",\"bytes\":1}", "path", "\"../a\" (the name) is not accepted"},
        {"{\"name\":\"a\",\"path\":\"/a\",\"bytes\":1}", "path", "\"/a\" is not accepted"},
        {"{\"name\":\"a\",\"path\":\"x/../../a\",\"bytes\":1}", "path", "is not accepted"},
        {"{\"name\":\"a\",\"sha256\":\"abc\",\"bytes\":1}", "sha256",
         "\"abc\" is not 64 hexadecimal digits"},
        {"{\"name\":\"a\",\"urls\":[\"ftp://x/y\"],\"bytes\":1}", "urls[0]",
         "\"ftp://x/y\" is no http"},
        {"{\"name\":\"a\",\"urls\":[\"file:///etc/passwd\"],\"bytes\":1}", "urls[0]", "is no http"},
        {"{\"name\":\"a\",\"urls\":[\"http://a b\"],\"bytes\":1}", "urls[0]", "is no http"},
        {"{\"name\":\"a\",\"pinned\":\"yes\",\"bytes\":1}", "pinned", "is not true or false"},
        {"{\"models\":[]}", "models", "has 0 elements"},
        {"{\"models\":7}", "models", "7 is not an array"},
        {"{\"models\":[{\"name\":\"a\",\"bytes\":1},{\"name\":\"b\"}]}", "models[1].bytes",
         "models[1].bytes: is missing"},
        {"{\"models\":[{\"name\":\"a\",\"bytes\":1},{\"name\":\"a\",\"bytes\":1}]}", "models[1]",
         "the name \"a\" stands twice"},
        {"{\"models\":[{\"name\":\"a\",\"bytes\":1},{\"name\":\"b\",\"path\":\"a\",\"bytes\":1}]}",
         "models[1]", "the path \"a\" stands twice"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_model *m;
        struct emp_error err = {0};
        uint32_t n;
        int e = emp_model_parse(&arena, cases[i].text, strlen(cases[i].text), &m, &n, &err);
        if (e != EMP_E_INVALID || strcmp(err.field, cases[i].field) != 0 ||
            !strstr(err.text, cases[i].says))
            fail_msg("%s: %s, field \"%s\", \"%s\"", cases[i].text, emp_error_name(e), err.field,
                     err.text);
    }
}

static void paths_stay_inside(void **state)
{
    static const char *const good[] = {"a",   "a/b/c.safetensors", "...", "..a",
                                       "a..", ".hidden",           "ü/ñ", "a b"};
    static const char *const bad[] = {"",     "/",    "/a",    "a/",     "a//b", ".",    "..",
                                      "a/..", "../a", "a/./b", "a/../b", "a\\b", "a\nb", "a\x7f"};
    char name[256], path[EMP_PATH_MAX + 2];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(emp_path_safe(emp_str_z(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(emp_path_safe(emp_str_z(bad[i])));
    assert_false(emp_path_safe(EMP_STR("a\0b")));
    memset(name, 'n', sizeof name);
    assert_true(emp_path_safe((struct emp_str){name, 255}));
    assert_false(emp_path_safe((struct emp_str){name, 256}));
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 2 ? '/' : 'p';
    assert_true(emp_path_safe((struct emp_str){path, EMP_PATH_MAX - 1}));
    assert_false(emp_path_safe((struct emp_str){path, EMP_PATH_MAX + 1}));
}

/* Of an entry that came from elsewhere: the same checks without JSON. */
static void entries_from_elsewhere_are_checked(void **state)
{
    struct emp_str urls[] = {EMP_STR("http://x/y"), EMP_STR("nonsense")};
    struct emp_model m = {.name = EMP_STR("n"), .bytes = 5, .urls = urls, .url_count = 2};
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_model_check(&m, &err), EMP_E_INVALID);
    assert_string_equal(err.field, "urls[1]");
    m.url_count = 1;
    assert_int_equal(emp_model_check(&m, &err), 0);
    assert_true(emp_str_eq(m.path, m.name));
    strcpy(m.sha256, "zz");
    assert_int_equal(emp_model_check(&m, &err), EMP_E_INVALID);
    m.sha256[0] = '\0';
    m.name = EMP_STR("a\nb");
    assert_int_equal(emp_model_check(&m, &err), EMP_E_INVALID);
    assert_string_equal(err.field, "name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(aliases_and_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_with_field_and_value, setup, teardown),
        cmocka_unit_test_setup_teardown(paths_stay_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(entries_from_elsewhere_are_checked, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

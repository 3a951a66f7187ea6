/* A run's files: inputs out of the payload, outputs out of a directory, base64. */
#include "agent/connectors/scratch.h"

#include "agent/connectors/command.h"
#include "check.h"
#include "domain/limits.h"

#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- base64 */

static const char *decoded(const char *text)
{
    static uint8_t out[64];
    int64_t n = emp_base64_decode(text, strlen(text), out);
    if (n < 0)
        return emp_error_name((int)n);
    out[n] = '\0';
    return (const char *)out;
}

static void base64_by_the_book(void **state)
{
    (void)state;
    /* RFC 4648, section 10 */
    assert_string_equal(decoded(""), "");
    assert_string_equal(decoded("Zg=="), "f");
    assert_string_equal(decoded("Zm8="), "fo");
    assert_string_equal(decoded("Zm9v"), "foo");
    assert_string_equal(decoded("Zm9vYg=="), "foob");
    assert_string_equal(decoded("Zm9vYmE="), "fooba");
    assert_string_equal(decoded("Zm9vYmFy"), "foobar");
}

static void base64_is_strict(void **state)
{
    static const char *const wrong[] = {
        "Z",          "Zg",    "Zg=",       "Zm9v\n",   "Zm 9v", "Zm9-", "Zm9_",
        "=",          "====",  "Z===",      "Zg==Zg==", "Zg=v",  "Z=gv", "Zm9v====",
        "\xff\xff==", "Zm9v=", "Zm9vZg===", "Zh==",     "Zm9="};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (strcmp(decoded(wrong[i]), "malformed") != 0)
            fail_msg("\"%s\" passed as \"%s\"", wrong[i], decoded(wrong[i]));
}

static void base64_of_all_bytes(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t bytes[255], back[256];
    char text[341];
    (void)state;
    for (int i = 0; i < 255; i++)
        bytes[i] = (uint8_t)(255 - i);
    for (int i = 0; i < 255; i += 3)
        for (int j = 0; j < 4; j++)
            text[i / 3 * 4 + j] =
                digits[(bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2]) >> (18 - 6 * j) & 63];
    assert_int_equal(emp_base64_decode(text, 340, back), 255);
    assert_memory_equal(bytes, back, 255);
}

/* ---------------------------------------------------------------- inputs */

static const char *inputs(struct place *p, const char *payload)
{
    struct emp_json *tree;
    struct emp_str *names;
    uint32_t count;
    struct emp_error err = {0};
    assert_int_equal(emp_json_parse(&p->arena, payload, strlen(payload), NULL, &tree, &err), 0);
    int r = emp_inputs_write(&p->arena, tree, place_path(p, "in"), &names, &count, &err);
    if (r < 0)
        return emp_arena_printf(&p->arena, "%s: %s", emp_error_name(r), err.text);
    const char *text = "";
    for (uint32_t i = 0; i < count; i++)
        text = emp_arena_printf(&p->arena, "%s%s%.*s", text, i ? " " : "", EMP_STR_FMT(names[i]));
    return text;
}

#define SAYS(text, part)                                         \
    do {                                                         \
        const char *said_ = (text);                              \
        if (strstr(said_, part) == NULL)                         \
            fail_msg("\"%s\" does not say \"%s\"", said_, part); \
    } while (0)

static void inputs_become_files(void **state)
{
    struct place *p = *state;
    assert_string_equal(inputs(p,
                               "{\"inputs\":{\"a.txt\":\"plain\",\"d/e/b.txt\":{\"text\":\"deep\"},"
                               "\"c.bin\":{\"base64\":\"AAH/\"},\"empty\":\"\"}}"),
                        "a.txt d/e/b.txt c.bin empty");
    assert_string_equal(place_read(p, place_path(p, "in/a.txt")), "plain");
    assert_string_equal(place_read(p, place_path(p, "in/d/e/b.txt")), "deep");
    assert_memory_equal(place_read(p, place_path(p, "in/c.bin")), "\0\x01\xff", 4);
    assert_string_equal(place_read(p, place_path(p, "in/empty")), "");
}

static void no_inputs_are_fine(void **state)
{
    struct place *p = *state;
    assert_string_equal(inputs(p, "{}"), "");
    assert_string_equal(inputs(p, "{\"inputs\":null}"), "");
    assert_string_equal(inputs(p, "{\"inputs\":{}}"), "");
}

static void wrong_inputs_are_rejected(void **state)
{
    struct place *p = *state;
    static const char *const names[] = {"../x", "/etc/x", "a/../../x", "a//b",     ".",
                                        "..",   "",       "a\\\\b",    "a\\u0007b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        SAYS(inputs(p, emp_arena_printf(&p->arena, "{\"inputs\":{\"%s\":\"x\"}}", names[i])),
             "job_rejected: payload.inputs");
    SAYS(inputs(p, "{\"inputs\":[1]}"), "payload.inputs is an array; an object is wanted");
    SAYS(inputs(p, "{\"inputs\":{\"a\":7}}"), "payload.inputs \"a\": a text");
    SAYS(inputs(p, "{\"inputs\":{\"a\":{}}}"), "payload.inputs \"a\": a text");
    SAYS(inputs(p, "{\"inputs\":{\"a\":{\"text\":1}}}"), "payload.inputs \"a\": a text");
    SAYS(inputs(p, "{\"inputs\":{\"a\":{\"text\":\"x\",\"base64\":\"\"}}}"),
         "payload.inputs \"a\": a text");
    SAYS(inputs(p, "{\"inputs\":{\"b\":{\"base64\":\"Zg=\"}}}"),
         "payload.inputs \"b\": this is not base64");
    assert_false(place_has(p, "x"));
}

static void inputs_that_collide_are_rejected(void **state)
{
    struct place *p = *state;
    SAYS(inputs(p, "{\"inputs\":{\"a\":\"x\",\"a/b\":\"y\"}}"), "job_rejected: ");
    SAYS(inputs(p, "{\"inputs\":{\"c/d\":\"x\",\"c\":\"y\"}}"), "job_rejected: ");
}

static void too_many_inputs_are_rejected(void **state)
{
    struct place *p = *state;
    struct emp_buf b;
    emp_buf_init(&b, 1 << 20);
    for (int i = 0; i <= EMP_COMMAND_INPUTS_MAX; i++)
        emp_buf_printf(&b, "%s\"f%d\":\"\"", i ? "," : "{\"inputs\":{", i);
    emp_buf_addz(&b, "}}");
    SAYS(inputs(p, b.data), "has 257 files; at most 256 are taken");
    emp_buf_release(&b);
}

static void a_link_in_the_way_is_not_followed(void **state)
{
    struct place *p = *state;
    place_write(p, "secret", "old", 3);
    place_write(p, "in/x", "", 0);
    assert_int_equal(symlink(place_path(p, "secret"), place_path(p, "in/link")), 0);
    SAYS(inputs(p, "{\"inputs\":{\"link\":\"new\"}}"), "job_rejected: ");
    assert_string_equal(place_read(p, place_path(p, "secret")), "old");
}

/* ---------------------------------------------------------------- outputs */

static const char *outputs(struct place *p, int64_t bytes_max)
{
    struct emp_run_output *list = NULL;
    uint32_t count = 0;
    struct emp_error err = {0};
    int r = emp_outputs_collect(&p->arena, place_path(p, "out"), bytes_max, &list, &count, &err);
    if (r < 0)
        return emp_arena_printf(&p->arena, "%s: %s", emp_error_name(r), err.text);
    const char *text = "";
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(list[i].path, emp_arena_printf(&p->arena, "%s/out/%.*s", p->dir,
                                                           EMP_STR_FMT(list[i].name)));
        text =
            emp_arena_printf(&p->arena, "%s%s%.*s", text, i ? " " : "", EMP_STR_FMT(list[i].name));
    }
    return text;
}

static void outputs_are_listed_by_name(void **state)
{
    struct place *p = *state;
    place_write(p, "out/z.png", "1", 1);
    place_write(p, "out/a/b/c.txt", "12", 2);
    place_write(p, "out/a.txt", "", 0);
    assert_string_equal(outputs(p, 100), "a.txt a/b/c.txt z.png");
    assert_string_equal(outputs(p, 3), "a.txt a/b/c.txt z.png");
    SAYS(outputs(p, 2), "limit_exceeded: the command's outputs take more than the 2 bytes allowed");
}

static void links_and_special_files_are_left_out(void **state)
{
    struct place *p = *state;
    place_write(p, "out/file", "x", 1);
    assert_int_equal(symlink("/etc/passwd", place_path(p, "out/link")), 0);
    assert_int_equal(symlink("/etc", place_path(p, "out/dir")), 0);
    assert_int_equal(mkfifo(place_path(p, "out/pipe"), 0600), 0);
    assert_string_equal(outputs(p, 100), "file");
}

static void outputs_are_bounded(void **state)
{
    struct place *p = *state;
    const char *deep = "out";
    for (int i = 0; i <= EMP_COMMAND_OUTPUT_DEPTH_MAX; i++)
        deep = emp_arena_printf(&p->arena, "%s/d", deep);
    place_write(p, emp_arena_printf(&p->arena, "%s/f", deep), "x", 1);
    SAYS(outputs(p, 100), "limit_exceeded: the command's outputs lie deeper than 16 directories");
}

static void outputs_are_not_too_many(void **state)
{
    struct place *p = *state;
    for (int i = 0; i < EMP_ATTEMPT_OUTPUTS_MAX; i++)
        place_write(p, emp_arena_printf(&p->arena, "out/%d", i), "", 0);
    assert_non_null(strstr(outputs(p, 100), "99"));
    place_write(p, "out/one-more", "", 0);
    SAYS(outputs(p, 100), "limit_exceeded: the command wrote more than");
}

static void unusable_names_fail_the_job(void **state)
{
    struct place *p = *state;
    place_write(p, "out/a\nb", "x", 1);
    SAYS(outputs(p, 100), "job_failed: the command wrote an output whose name is not usable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(base64_by_the_book),
        CASE(base64_is_strict),
        CASE(base64_of_all_bytes),
        PLACED(inputs_become_files),
        PLACED(no_inputs_are_fine),
        PLACED(wrong_inputs_are_rejected),
        PLACED(inputs_that_collide_are_rejected),
        PLACED(too_many_inputs_are_rejected),
        PLACED(a_link_in_the_way_is_not_followed),
        PLACED(outputs_are_listed_by_name),
        PLACED(links_and_special_files_are_left_out),
        PLACED(outputs_are_bounded),
        PLACED(outputs_are_not_too_many),
        PLACED(unusable_names_fail_the_job),
    };
    return cmocka_run_group_tests_name("agent/scratch", tests, NULL, NULL);
}

/* The manual is the table's, the dump reads back as what it shows. */
#include "check.h"
#include "config/keys.h"

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = calloc(1, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    assert_true(n < (1 << 20) - 1);
    return text;
}

static void the_manual_is_current(void **state)
{
    struct emp_buf out;
    (void)state;
    emp_buf_init(&out, 1 << 20);
    emp_config_document(&out);
    assert_false(out.failed);
    char *held = read_file(DOCUMENT);
    if (!held || strcmp(held, out.data) != 0)
        fail_msg("docs/configuration.md is not what the table says: emp config --doc > "
                 "docs/configuration.md");
    free(held);
    emp_buf_release(&out);
}

/* The example of the manual is one that works. */
static void the_example_is_good(void **state)
{
    struct emp_config c;
    struct emp_buf out;
    (void)state;
    emp_buf_init(&out, 1 << 20);
    emp_config_document(&out);
    char *start = strstr(out.data, "```yaml\n"), *end = start ? strstr(start + 8, "```") : NULL;
    assert_non_null(end);
    *end = 0;
    read_good(&c, start + 8);
    assert_int_equal(c.settings.pool_count, 4);
    emp_config_release(&c);
    emp_buf_release(&out);
}

static void every_key_has_a_meaning_and_a_good_default(void **state)
{
    (void)state;
    for (int s = 0; s < EMP_SECTION_COUNT; s++) {
        const struct emp_section_info *info = emp_section((enum emp_section)s);
        for (uint32_t i = 0; i < info->key_count; i++) {
            const struct emp_key *k = &info->keys[i];
            assert_true(strlen(k->meaning) > 10);
            assert_ptr_equal(emp_key_find(info, emp_str_z(k->name)), k); /* no name twice */
            assert_false(emp_key_is_group(info, emp_str_z(k->name)));
            assert_true(k->min <= k->max);
        }
    }
}

static const char rich[] =
    "listen: 127.0.0.1:4000\n"
    "routing: {pool_quantile: 0.123456789, hazard_per_hour: 0.0108}\n"
    "retention: {jobs: never}\n"
    "pools:\n"
    "  fast-lane: {run_max: 500ms}\n"
    "  standard: {run_min: 500ms}\n"
    "  \"odd: name\": {run_max: 5m, services: [\"true\", 'a\"b', \"c\\\\d\", \"é\"]}\n"
    "models:\n"
    "  - {name: \"llama3.1:8b\", bytes: 4661224676, path: llama/8b, urls: [http://a/x, "
    "http://b/x]}\n"
    "  - {name: '7', bytes: 1gib}\n"
    "agent:\n"
    "  slots: 2\n"
    "  capabilities: {hardware: {gpu_memory_gb: 24.5, on: true}, tags: [a, \"1\", 2], \"null\": "
    "\"~\"}\n"
    "  services:\n"
    "    ocr: {argv: [tesseract, \"{input}\", \"\"], env: [\"A=b c\"], progress: \"%\"}\n";

/* The dump without its comments, which name lines that differ. */
static char *dump_of(const struct emp_config *c)
{
    struct emp_buf out;
    emp_buf_init(&out, 1 << 24);
    emp_config_dump(c, &out);
    assert_false(out.failed);
    return out.data;
}

static char *without_origins(char *dump)
{
    char *to = dump;
    for (const char *line = dump; *line;) {
        const char *end = strchr(line, '\n'), *comment = strstr(line, "# ");
        size_t len = (size_t)((comment && comment < end ? comment : end) - line);
        memmove(to, line, len);
        to += len;
        *to++ = '\n';
        line = end + 1;
    }
    *to = 0;
    return dump;
}

static void the_dump_reads_back(void **state)
{
    struct emp_config c, again;
    (void)state;
    read_good(&c, rich);
    char *first = dump_of(&c);
    read_good(&again, first);
    assert_int_equal(again.agent.cap_count, 6);
    assert_int_equal(again.models[0].bytes, 4661224676);
    char *second = dump_of(&again);
    assert_string_equal(without_origins(first), without_origins(second));
    free(first);
    free(second);
    emp_config_release(&c);
    emp_config_release(&again);
}

static void the_dump_tells_origins_and_hides_secrets(void **state)
{
    struct emp_config c;
    (void)state;
    read_good(&c, "listen: a:1\nauth: {api_keys: [topsecret]}\nagent: {token: topsecret}\n");
    assert_int_equal(emp_config_set(&c, "data", "/d", NULL), 0);
    char *dump = dump_of(&c);
    assert_null(strstr(dump, "topsecret"));
    assert_non_null(strstr(dump, "# emp.yaml:2"));
    assert_non_null(strstr(dump, "# command line"));
    assert_non_null(strstr(dump, "# default"));
    free(dump);
    emp_config_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_is_current),
        cmocka_unit_test(the_example_is_good),
        cmocka_unit_test(every_key_has_a_meaning_and_a_good_default),
        cmocka_unit_test(the_dump_reads_back),
        cmocka_unit_test(the_dump_tells_origins_and_hides_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whatever the file holds, reading it ends, and with an error that has a text. Seeded: a failure
 * can be had again. */
#include "base/random.h"
#include "check.h"
#include "config/reader.h"

static const char good[] =
    "listen: 127.0.0.1:3331\n"
    "http: {body_max: 5mb, cors_origins: [a, b]}\n"
    "pools:\n"
    "  heavy: &h {disk_max: 1.5tb, run_min: 5m}\n"
    "  other: *h\n"
    "models:\n"
    "  - {name: ae, bytes: 335304388, urls: [\"https://a.example/ae\"], pinned: true}\n"
    "agent:\n"
    "  capabilities: {hardware: {gpu_memory_gb: 24, list: [1, true, x]}}\n"
    "  services: {ocr: {argv: [tesseract, '{input}'], env: [A=b], timeout: 10s}}\n";

static int read_bytes(const char *text, size_t len)
{
    struct emp_config c;
    struct emp_error err = {0};
    emp_config_init(&c);
    int r = emp_config_read_text(&c, "f", text, len, &err);
    assert_true(c.fault_count <= EMP_CONFIG_FAULTS_MAX);
    assert_int_equal(r<0, c.fault_count> 0);
    for (uint32_t i = 0; i < c.fault_count; i++) {
        assert_true(c.faults[i].code < 0);
        assert_true(c.faults[i].text[0] != 0);
    }
    if (r == 0) { /* what was accepted can be written out */
        struct emp_buf out;
        emp_buf_init(&out, 1 << 24);
        emp_config_dump(&c, &out);
        assert_false(out.failed);
        emp_buf_release(&out);
    }
    emp_config_release(&c);
    return r;
}

static void mutated_files_do_no_harm(void **state)
{
    static const char spice[] = "{}[]:,-&*?!|>'\"%@`#~\n\t \\0aA9.\xff\xc3\x80";
    struct emp_random random;
    int accepted = 0;
    (void)state;
    emp_random_init(&random, 20261124);
    assert_int_equal(read_bytes(good, sizeof good - 1), 0);
    for (int round = 0; round < 4000; round++) {
        char text[2 * sizeof good];
        size_t len = sizeof good - 1;
        memcpy(text, good, len);
        for (uint64_t n = 1 + emp_random_below(&random, 6); n > 0; n--) {
            size_t at = emp_random_below(&random, len), cut = emp_random_below(&random, 20);
            switch (emp_random_below(&random, 4)) {
            case 0:
                text[at] = spice[emp_random_below(&random, sizeof spice)];
                break;
            case 1:
                text[at] = (char)emp_random_u64(&random);
                break;
            case 2: /* cut some out */
                cut = cut < len - at ? cut : len - at - 1;
                memmove(text + at, text + at + cut, len - at - cut);
                len -= cut;
                break;
            default: /* repeat some */
                cut = cut < len - at ? cut : len - at - 1;
                if (len + cut < sizeof text) {
                    memmove(text + at + cut, text + at, len - at);
                    len += cut;
                }
            }
        }
        accepted += read_bytes(text, len) == 0;
    }
    assert_true(accepted > 0 && accepted < 4000);
}

static void random_bytes_do_no_harm(void **state)
{
    struct emp_random random;
    (void)state;
    emp_random_init(&random, 99);
    for (int round = 0; round < 2000; round++) {
        char text[256];
        size_t len = emp_random_below(&random, sizeof text);
        for (size_t i = 0; i < len; i++)
            text[i] = round % 2 ? (char)emp_random_u64(&random)
                                : (char)(32 + emp_random_below(&random, 95));
        read_bytes(text, len);
    }
}

static void deep_nesting_is_bounded(void **state)
{
    enum { DEPTH = 20000 };
    char *text = malloc(2 * DEPTH + 64);
    (void)state;
    int n = sprintf(text, "agent: {capabilities: ");
    memset(text + n, '{', DEPTH);
    memset(text + n + DEPTH, '}', DEPTH);
    text[n + 2 * DEPTH] = '}';
    assert_true(read_bytes(text, (size_t)n + 2 * DEPTH + 1) < 0);
    free(text);

    struct emp_buf maps; /* proper keys all the way down */
    emp_buf_init(&maps, 1 << 20);
    emp_buf_addz(&maps, "agent: {capabilities: ");
    for (int i = 0; i < EMP_YAML_DEPTH_MAX + 5; i++)
        emp_buf_addz(&maps, "{a: ");
    emp_buf_addz(&maps, "1");
    for (int i = 0; i < EMP_YAML_DEPTH_MAX + 6; i++)
        emp_buf_addz(&maps, "}");
    assert_true(read_bytes(maps.data, maps.len) < 0);
    emp_buf_release(&maps);
}

static void aliases_cannot_blow_up(void **state)
{
    struct emp_buf text;
    (void)state;
    emp_buf_init(&text, 1 << 20);
    emp_buf_addz(&text, "agent:\n  capabilities:\n    a0: &a0 {}\n");
    for (int level = 1; level < 20; level++) {
        emp_buf_printf(&text, "    a%d: &a%d {", level, level);
        for (int i = 0; i < 10; i++)
            emp_buf_printf(&text, "%sk%d: *a%d", i ? ", " : "", i, level - 1);
        emp_buf_addz(&text, "}\n");
    }
    assert_true(read_bytes(text.data, text.len) < 0);
    emp_buf_release(&text);
    static const char cycle[] = "agent: {capabilities: &a {b: *a}}\n";
    assert_true(read_bytes(cycle, sizeof cycle - 1) < 0);
    static const char list_cycle[] = "auth: {api_keys: &a [*a]}\n";
    assert_true(read_bytes(list_cycle, sizeof list_cycle - 1) < 0);
}

static void long_texts_are_bounded(void **state)
{
    enum { LONG = 300000 };
    char *text = malloc(LONG + 64);
    (void)state;
    static const char *const heads[] = {"listen: ", "agent: {pool: ", "", "models: [{name: "};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t head = strlen(heads[i]);
        memcpy(text, heads[i], head);
        memset(text + head, 'x', LONG);
        assert_true(read_bytes(text, head + LONG) < 0);
    }
    free(text);
}

static void many_models_are_read(void **state)
{
    enum { MODELS = 20000 };
    struct emp_config c;
    struct emp_buf text;
    (void)state;
    emp_buf_init(&text, 1 << 24);
    emp_buf_addz(&text, "models:\n");
    for (int i = 0; i < MODELS; i++)
        emp_buf_printf(&text, "- {name: m%d, bytes: %dmb}\n", i, i + 1);
    read_good(&c, text.data);
    assert_int_equal(c.model_count, MODELS);
    assert_str(c.models[MODELS - 1].name, "m19999");
    emp_config_release(&c);
    emp_buf_release(&text);
}

static void many_pools_are_bounded(void **state)
{
    struct emp_buf text;
    (void)state;
    emp_buf_init(&text, 1 << 20);
    emp_buf_addz(&text, "pools:\n");
    for (int i = 0; i < EMP_POOLS_MAX - 3; i++)
        emp_buf_printf(&text, "  p%d: {}\n", i);
    assert_int_equal(read_bytes(text.data, text.len), 0);
    emp_buf_addz(&text, "  one_more: {}\n");
    assert_true(read_bytes(text.data, text.len) < 0);
    emp_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_files_do_no_harm), cmocka_unit_test(random_bytes_do_no_harm),
        cmocka_unit_test(deep_nesting_is_bounded),  cmocka_unit_test(aliases_cannot_blow_up),
        cmocka_unit_test(long_texts_are_bounded),   cmocka_unit_test(many_models_are_read),
        cmocka_unit_test(many_pools_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

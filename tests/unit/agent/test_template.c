/* Each case is one line: a template, what a job brings, and the arguments, or the error, that come
 * of it. */
#include "agent/connectors/template.h"

#include "check.h"

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

/* "convert|{payload.x}" → the words between the bars */
static struct emp_template *compile(const char *line, struct emp_error *err)
{
    struct emp_str words[16];
    uint32_t count = 0;
    struct emp_template *t = NULL;
    memset(err, 0, sizeof *err);
    for (const char *p = line, *end; *line; p = end + 1) {
        end = strchrnul(p, '|');
        words[count++] = (struct emp_str){p, (uint32_t)(end - p)};
        if (*end == '\0')
            break;
    }
    emp_template_compile(&arena, words, count, &t, err);
    return t;
}

/* The job of all cases: its payload, two models, one input. */
static const char *fill(const char *line, const char *payload)
{
    static const struct emp_run_model models[] = {
        {{"eng", 3}, {"ocr", 3}, "/m/ocr/eng.traineddata"},
        {{"a/b", 3}, {"", 0}, "/m/a/b"},
    };
    static const struct emp_str inputs[] = {{"photo.png", 9}, {"d/deep.txt", 10}};
    struct emp_run_task task = {.job_id = EMP_STR("0198-id"),
                                .attempt = 3,
                                .models = models,
                                .model_count = 2,
                                .model_dir = "/m",
                                .scratch = "/s"};
    struct emp_json *tree;
    struct emp_error err;
    struct emp_buf out;
    const char *const *argv;
    struct emp_template *t = compile(line, &err);
    if (t == NULL)
        return emp_arena_printf(&arena, "compile: %s", err.text);
    assert_int_equal(emp_json_parse(&arena, payload, strlen(payload), NULL, &tree, &err), 0);
    struct emp_template_values v = {.task = &task,
                                    .payload = tree,
                                    .input_dir = "/s/in",
                                    .output_dir = "/s/out",
                                    .payload_file = "/s/payload.json",
                                    .inputs = inputs,
                                    .input_count = 2};
    int r = emp_template_fill(t, &v, &arena, &argv, &err);
    if (r < 0)
        return emp_arena_printf(&arena, "%s: %s", emp_error_name(r), err.text);
    emp_buf_init(&out, 1 << 20);
    for (int i = 0; argv[i]; i++)
        emp_buf_printf(&out, "%s[%s]", i ? " " : "", argv[i]);
    const char *text = emp_arena_printf(&arena, "%s", out.data);
    emp_buf_release(&out);
    return text;
}

#define FILLS(line, payload, expected) assert_string_equal(fill(line, payload), expected)
#define TELLS(line, payload, part)                               \
    do {                                                         \
        const char *said_ = fill(line, payload);                 \
        if (strstr(said_, part) == NULL)                         \
            fail_msg("\"%s\" does not say \"%s\"", said_, part); \
    } while (0)

static void values_stay_one_argument(void **state)
{
    (void)state;
    FILLS("echo|{payload.x}", "{\"x\":\"a b\"}", "[echo] [a b]");
    FILLS("echo|{payload.x}", "{\"x\":\"$(rm -rf /); `id` | \\\" ' * ? ~ \\\\ \\n\"}",
          "[echo] [$(rm -rf /); `id` | \" ' * ? ~ \\ \n]");
    FILLS("echo|{payload.x}", "{\"x\":\"{payload.y} {{\"}",
          "[echo] [{payload.y} {{]"); // not filled again
    FILLS("echo|{payload.x}|", "{\"x\":\"\"}", "[echo] [] []");
    FILLS("echo|-r {payload.w}x{payload.h}", "{\"w\":12,\"h\":1.50}", "[echo] [-r 12x1.50]");
    FILLS("echo|{payload.n}", "{\"n\":18446744073709551615}",
          "[echo] [18446744073709551615]"); // as written
}

static void keys_go_deep(void **state)
{
    (void)state;
    FILLS("echo|{payload.size.width}", "{\"size\":{\"width\":640}}", "[echo] [640]");
    TELLS("echo|{payload.size.width}", "{\"size\":7}", "job_rejected: ");
    TELLS("echo|{payload.size.width}", "{\"size\":{}}", "payload.size.width");
    TELLS("echo|{payload.size}", "{\"size\":{\"width\":640}}", "payload.size is an object");
    TELLS("echo|{payload.x}", "{\"x\":true}", "payload.x is true or false");
    TELLS("echo|{payload.x}", "{\"x\":[1]}", "payload.x is an array");
}

static void defaults_stand_in_for_what_is_missing(void **state)
{
    (void)state;
    FILLS("echo|{payload.x=1 2}", "{}", "[echo] [1 2]");
    FILLS("echo|{payload.x=}", "{}", "[echo] []");
    FILLS("echo|{payload.x=a=b}", "{}", "[echo] [a=b]");
    FILLS("echo|{payload.x=no}", "{\"x\":\"yes\"}", "[echo] [yes]");
    TELLS("echo|{payload.x}", "{}", "job_rejected: ");
    TELLS("echo|{payload.x}", "{}", "payload.x");
}

static void values_cannot_become_options(void **state)
{
    (void)state;
    TELLS("echo|{payload.x}", "{\"x\":\"-rf\"}", "payload.x begins with '-'");
    TELLS("echo|{payload.x}", "{\"x\":\"@/etc/passwd\"}", "payload.x begins with '@'");
    TELLS("echo|{payload.x}", "{\"x\":-1}", "begins with '-'");
    TELLS("echo|{payload.e=}{payload.x}", "{\"x\":\"-rf\"}",
          "begins with '-'"); // still at the beginning
    FILLS("echo|--size={payload.x}", "{\"x\":-1}", "[echo] [--size=-1]");
    FILLS("echo|{payload.x:any}", "{\"x\":\"-1\"}", "[echo] [-1]");
    FILLS("echo|{payload.x:any=-5}", "{}", "[echo] [-5]");
}

static void files_and_models(void **state)
{
    (void)state;
    FILLS("c|{input.photo.png}|{output.a/b.png}|{outputs}", "{}",
          "[c] [/s/in/photo.png] [/s/out/a/b.png] [/s/out]");
    FILLS("c|{input.d/deep.txt}", "{}", "[c] [/s/in/d/deep.txt]");
    FILLS("c|png:{output.x}", "{}", "[c] [png:/s/out/x]");
    FILLS("c|{model.eng}|{models.1}|{model.a/b}|{model_dir}", "{}",
          "[c] [/m/ocr/eng.traineddata] [/m/a/b] [/m/a/b] [/m]");
    FILLS("c|{payload_file}|{scratch}|{job_id}.{attempt}", "{}",
          "[c] [/s/payload.json] [/s] [0198-id.3]");
    TELLS("c|{input.other}", "{}", "payload.inputs has no \"other\"");
    TELLS("c|{model.deu}", "{}", "does not name the model \"deu\"");
    TELLS("c|{models.2}", "{}", "names 2 models; this service wants at least 3");
}

static void braces_are_doubled(void **state)
{
    (void)state;
    FILLS("awk|{{print $1}}", "{}", "[awk] [{print $1}]");
    FILLS("echo|{{{payload.x}}}", "{\"x\":1}", "[echo] [{1}]");
    FILLS("echo|a}b", "{}", "[echo] [a}b]");
}

static void wrong_templates_are_refused(void **state)
{
    (void)state;
    TELLS("", "{}", "compile: ");
    TELLS("{payload.x}", "{}", "the program is fixed by the operator");
    TELLS("bin/{payload.x}|a", "{}", "the program is fixed by the operator");
    TELLS("echo|{payload.x", "{}", "argv[1] \"{payload.x\": a '{' lacks its '}'");
    TELLS("echo|{", "{}", "lacks its '}'");
    TELLS("echo|{}", "{}", "{} is no placeholder");
    TELLS("echo|{paylod.x}", "{}", "{paylod.x} is no placeholder");
    TELLS("echo|{payload}", "{}", "{payload} is no placeholder");
    TELLS("echo|{payload.}", "{}", "lacks a key");
    TELLS("echo|{outputs.x}", "{}", "is no placeholder");
    TELLS("echo|{output.../x}", "{}", "is no usable file name");
    TELLS("echo|{output./x}", "{}", "is no usable file name");
    TELLS("echo|{input.a/../b}", "{}", "is no usable file name");
    TELLS("echo|{models.}", "{}", "lacks a number");
    TELLS("echo|{models.x}", "{}", "lacks a number");
    TELLS("echo|{models.99999}", "{}", "lacks a number");
}

static void long_values_are_refused(void **state)
{
    char *payload = test_malloc(EMP_TEMPLATE_VALUE_MAX + 100);
    (void)state;
    int n = sprintf(payload, "{\"x\":\"");
    memset(payload + n, 'a', EMP_TEMPLATE_VALUE_MAX);
    strcpy(payload + n + EMP_TEMPLATE_VALUE_MAX, "\"}");
    assert_int_equal(strlen(fill("e|{payload.x}", payload)),
                     strlen("[e] []") + EMP_TEMPLATE_VALUE_MAX);
    TELLS("e|{payload.x}{payload.x}.", payload, "an argument would be longer than");
    memset(payload + n, 'a', EMP_TEMPLATE_VALUE_MAX + 1);
    strcpy(payload + n + EMP_TEMPLATE_VALUE_MAX + 1, "\"}");
    TELLS("e|{payload.x}", payload, "at most 65536 fit into an argument");
    test_free(payload);
}

static void tells_what_it_needs(void **state)
{
    struct emp_error err;
    const struct emp_str *names;
    (void)state;
    struct emp_template *t = compile("c|{output.a}|{output.b}{output.a}|{{output.c}}", &err);
    assert_int_equal(emp_template_outputs(t, &names), 2);
    assert_true(emp_str_eq(names[0], EMP_STR("a")) && emp_str_eq(names[1], EMP_STR("b")));
    assert_false(emp_template_wants_payload_file(t));
    assert_true(emp_template_wants_payload_file(compile("c|x={payload_file}", &err)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(values_stay_one_argument),
        CASE(keys_go_deep),
        CASE(defaults_stand_in_for_what_is_missing),
        CASE(values_cannot_become_options),
        CASE(files_and_models),
        CASE(braces_are_doubled),
        CASE(wrong_templates_are_refused),
        CASE(long_values_are_refused),
        CASE(tells_what_it_needs),
    };
    return cmocka_run_group_tests_name("agent/template", tests, setup, teardown);
}

/* argv templates, filled in with a payload: each word of the template is exactly one argument, what
 * began as no option ends as none. The input is words, one per line, an empty line, the payload. */
#include "fuzz.h"

#include "agent/connectors/template.h"

const char *const fuzz_words[] = {
    "{payload.x}",
    "{payload.x:any}",
    "{payload.x=7}",
    "{payload.a.b}",
    "{input.a}",
    "{output.o.png}",
    "{outputs}",
    "{model.0}",
    "{models.0}",
    "{model_dir}",
    "{payload_file}",
    "{scratch}",
    "{job_id}",
    "{attempt}",
    "{{",
    "}}",
    "{",
    "}",
    "\n\n{\"x\":\"-v\"}",
    "\"inputs\":{\"a\":\"b\"}",
    NULL,
};

enum { WORDS_MAX = 64 };

static uint32_t split(const char *text, size_t len, struct emp_str words[WORDS_MAX],
                      struct emp_str *payload)
{
    const char *end = text + len;
    uint32_t n = 0;
    while (text < end && n < WORDS_MAX) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)),
                   *stop = newline ? newline : end;
        const char *next = newline ? newline + 1 : end;
        if (stop == text) {
            text = next;
            break;
        }
        words[n++] = (struct emp_str){text, (uint32_t)(stop - text)};
        text = next;
    }
    *payload = (struct emp_str){text, (uint32_t)(end - text)};
    return n;
}

static void check_filled(const struct emp_str *words, uint32_t n, const char *const *argv)
{
    static const char plain[] = "{payload.x}";
    for (uint32_t i = 0; i < n; i++) {
        FUZZ_CHECK(argv[i] != NULL);
        if (words[i].len >= sizeof plain - 1 && memcmp(words[i].ptr, plain, sizeof plain - 1) == 0)
            FUZZ_CHECK(argv[i][0] != '-' && argv[i][0] != '@');
    }
    FUZZ_CHECK(argv[n] == NULL);
}

static void fill(struct emp_arena *a, const struct emp_template *t, const struct emp_str *words,
                 uint32_t n, struct emp_str text)
{
    static const struct emp_run_model models[] = {{.name = {"m", 1}, .path = "/models/m"}};
    static struct emp_str inputs[] = {{"a", 1}};
    struct emp_run_task task = {.job = 1,
                                .attempt = 2,
                                .job_id = EMP_STR("id"),
                                .models = models,
                                .model_count = 1,
                                .model_dir = "/models",
                                .scratch = "/scratch",
                                .payload = text};
    struct emp_template_values v = {.task = &task,
                                    .input_dir = "/in",
                                    .output_dir = "/out",
                                    .payload_file = "/p.json",
                                    .inputs = inputs,
                                    .input_count = 1};
    struct emp_json *payload;
    const char *const *argv;
    struct emp_error err = {0};
    if (emp_json_parse(a, text.ptr, text.len, NULL, &payload, &err) < 0 ||
        payload->type != EMP_JSON_OBJECT)
        return;
    v.payload = payload;
    int r = emp_template_fill(t, &v, a, &argv, &err);
    if (r < 0) {
        FUZZ_CHECK(r == EMP_E_JOB_REJECTED && err.text[0]);
        return;
    }
    fuzz_taken++;
    check_filled(words, n, argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_str words[WORDS_MAX], payload;
    struct emp_template *t;
    struct emp_arena a;
    struct emp_error err = {0};
    emp_arena_init(&a, 0);
    uint32_t n = split((const char *)data, size, words, &payload);
    if (emp_template_compile(&a, words, n, &t, &err) < 0)
        FUZZ_CHECK(err.code == EMP_E_INVALID && err.text[0]);
    else
        fill(&a, t, words, n, payload);
    emp_arena_release(&a);
    return 0;
}

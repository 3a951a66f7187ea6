/* Catalogue entries: what is taken can be fetched to a place below the model directory. */
#include "fuzz.h"

#include "domain/limits.h"
#include "proto/model_json.h"

const char *const fuzz_words[] = {
    "\"name\":\"a/b\",",
    "\"path\":\"../x\",",
    "\"path\":\"a/b\",",
    "\"bytes\":1,",
    "\"size\":",
    "\"models\":[",
    "\"urls\":[\"https://h/x\"],",
    "\"url\":\"http://h\",",
    "\"sha256\":\"",
    "\"file:///etc\"",
    "//",
    "./",
    NULL,
};

static bool sha256_good(const char *hex)
{
    return hex[0] == '\0' || (strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64);
}

static void check_model(struct emp_model *m)
{
    struct emp_model before = *m;
    struct emp_error err = {0};
    FUZZ_CHECK(m->name.len > 0 && m->name.len <= EMP_NAME_MAX);
    FUZZ_CHECK(m->bytes > 0 && m->bytes <= EMP_BYTES_MAX);
    FUZZ_CHECK(m->path.len <= EMP_PATH_MAX && emp_path_safe(m->path));
    FUZZ_CHECK(m->url_count <= EMP_MODEL_URLS_MAX);
    FUZZ_CHECK(sha256_good(m->sha256));
    for (uint32_t i = 0; i < m->url_count; i++)
        FUZZ_CHECK(m->urls[i].len > 7 && memcmp(m->urls[i].ptr, "http", 4) == 0);
    FUZZ_CHECK(emp_model_check(m, &err) == 0); // checked is checked
    FUZZ_CHECK(emp_str_eq(m->path, before.path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_arena a;
    struct emp_model *models;
    uint32_t count;
    struct emp_error err = {0};
    emp_arena_init(&a, 0);
    int r = emp_model_parse(&a, (const char *)data, size, &models, &count, &err);
    if (r < 0) {
        FUZZ_CHECK(err.code == r && err.text[0]);
    } else {
        fuzz_taken++;
        FUZZ_CHECK(count >= 1);
        for (uint32_t i = 0; i < count; i++)
            check_model(&models[i]);
    }
    emp_arena_release(&a);
    return 0;
}

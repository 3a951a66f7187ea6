/* Tables of text: fields hold no NUL, numbers are finite, errors name a line that exists. */
#include "fuzz.h"

#include "cli/csv.h"

#include <math.h>

const char *const fuzz_words[] = {"\"",   "\"\"",         ",",   "\r\n", "\n", "\"a,b\"", "1e308",
                                  "-0.5", "\xef\xbb\xbf", "nan", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_arena arena;
    struct emp_csv c;
    struct emp_error err = {0};
    uint32_t lines = 1;
    int r;
    char *copy = malloc(size + 1); // its end is an end: a byte too far is seen by the sanitizer
    memcpy(copy, data, size);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    emp_arena_init(&arena, 0);
    emp_csv_init(&c, "f", (struct emp_str){copy, (uint32_t)size});
    for (uint32_t last = 0; (r = emp_csv_next(&c, &arena, &err)) > 0; last = c.line) {
        fuzz_taken++;
        FUZZ_CHECK(c.count >= 1 && c.line >= last && c.line <= lines);
        for (uint32_t i = 0; i < c.count; i++) {
            double v = 0;
            FUZZ_CHECK(c.fields[i].len <= size);
            FUZZ_CHECK(!c.fields[i].len || !memchr(c.fields[i].ptr, '\0', c.fields[i].len));
            int n = emp_csv_number(&c, i, &v, &err);
            FUZZ_CHECK(n == EMP_E_MALFORMED ? err.text[0] != '\0' : n == 0 && isfinite(v));
        }
    }
    FUZZ_CHECK(r == 0 || (r == EMP_E_MALFORMED && err.text[0]));
    emp_arena_release(&arena);
    free(copy);
    return 0;
}

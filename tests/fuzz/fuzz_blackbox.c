/* Records of a black box: whatever is taken can be written, and read again as the same bytes. */
#include "fuzz.h"

#include "broker/blackbox_format.h"

const char *const fuzz_words[] = {
    "{\"type\":\"beat\"}", "{\"type\":\"hello\"",  "\x02\x01", "\x05\x03\x08",
    "\x80\x80\x01",        "\xff\xff\xff\xff\x0f", NULL,
};

/* A number may be written in more bytes than it needs, so the first writing may be shorter than
 * what was read; the second may not differ from the first. */
static void again(const struct emp_blackbox_record *r, struct emp_arena *scratch,
                  struct emp_arena *arena)
{
    struct emp_blackbox_clock a = {.last = {0, 0}}, b = a, c = a;
    struct emp_blackbox_record back;
    struct emp_error err;
    struct emp_buf first, second;
    size_t at = 0;
    emp_buf_init(&first, EMP_BLACKBOX_RECORD_MAX * 2);
    emp_buf_init(&second, EMP_BLACKBOX_RECORD_MAX * 2);
    if (emp_blackbox_write(&a, r, scratch, &first) == 0) {
        struct emp_str bytes = {first.data, (uint32_t)first.len};
        FUZZ_CHECK(emp_blackbox_read(&b, bytes, &at, arena, &back, &err) == 1 && at == first.len);
        FUZZ_CHECK(back.kind == r->kind);
        FUZZ_CHECK(emp_blackbox_write(&c, &back, scratch, &second) == 0);
        FUZZ_CHECK(second.len == first.len && memcmp(first.data, second.data, first.len) == 0);
    }
    emp_buf_release(&first);
    emp_buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_blackbox_clock clock = {.last = {0, 0}};
    struct emp_blackbox_record r;
    struct emp_arena arena, more, scratch;
    struct emp_error err = {0};
    size_t at = 0, records = 0;
    int code;
    emp_arena_init(&arena, 0);
    emp_arena_init(&more, 0);
    emp_arena_init(&scratch, 0);
    while ((code = emp_blackbox_read(&clock, (struct emp_str){(const char *)data, (uint32_t)size},
                                     &at, &arena, &r, &err)) == 1) {
        FUZZ_CHECK(at <= size && r.kind < EMP_BLACKBOX_KIND_COUNT);
        r.now.mono = r.now.mono < 0 ? 0 : r.now.mono;
        again(&r, &scratch, &more);
        emp_arena_reset(&more);
        records++;
    }
    FUZZ_CHECK(code == 0 || (code == EMP_E_MALFORMED && err.text[0]));
    fuzz_taken += code == 0 && records > 0;
    emp_arena_release(&arena);
    emp_arena_release(&more);
    emp_arena_release(&scratch);
    return 0;
}

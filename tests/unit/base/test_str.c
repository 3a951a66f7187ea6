/* Slices, UTF-8 against a decoder written the long way, distance against the textbook recursion,
 * interner and text buffer against naive models. */
#include "base/str.h"

#include "seeded.h"

static struct emp_str random_str(struct emp_random *r, char *room, uint32_t max, uint32_t letters)
{
    uint32_t len = (uint32_t)emp_random_below(r, max + 1);
    for (uint32_t i = 0; i < len; i++)
        room[i] = (char)('a' + emp_random_below(r, letters));
    return (struct emp_str){room, len};
}

static void slices(void **state)
{
    (void)state;
    assert_true(emp_str_eq(EMP_STR("abc"), emp_str_z("abc")));
    assert_false(emp_str_eq(EMP_STR("abc"), EMP_STR("abd")));
    assert_true(emp_str_eq(emp_str_z(NULL), EMP_STR("")));
    assert_true(emp_str_cmp(EMP_STR("a"), EMP_STR("ab")) < 0);
    assert_true(emp_str_cmp(EMP_STR("b"), EMP_STR("ab")) > 0);
    assert_true(emp_str_cmp(EMP_STR("\xff"), EMP_STR("a")) > 0);
    assert_int_equal(emp_str_cmp(emp_str_z(NULL), EMP_STR("")), 0);
    struct emp_arena a;
    emp_arena_init(&a, 0);
    struct emp_str copy = emp_str_copy(&a, (struct emp_str){"abcdef", 3});
    assert_string_equal(copy.ptr, "abc");
    assert_string_equal(emp_str_copy(&a, emp_str_z(NULL)).ptr, "");
    char *heap = emp_str_heap((struct emp_str){"abcdef", 3});
    assert_string_equal(heap, "abc");
    free(heap);
    emp_arena_release(&a);
}

/* The same on every machine and in every version: state on disk may depend on it. */
static void hash_is_fixed(void **state)
{
    (void)state;
    assert_true(emp_str_hash(EMP_STR("")) == emp_mix64(UINT64_C(0xcbf29ce484222325)));
    assert_true(emp_str_hash(EMP_STR("a")) == emp_mix64(UINT64_C(0xaf63dc4c8601ec8c)));
    assert_true(emp_str_hash(EMP_STR("foobar")) == emp_mix64(UINT64_C(0x85944171f73967e8)));
}

/* By decoding: the code point, then whether its shortest form has this length. */
static bool utf8_by_decoding(const unsigned char *p, size_t len)
{
    for (size_t at = 0; at < len;) {
        static const struct {
            unsigned char mask, is;
            uint32_t from;
        } leads[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
        size_t k = 0;
        while (k < 4 && (p[at] & leads[k].mask) != leads[k].is)
            k++;
        if (k == 4 || at + k >= len)
            return false;
        uint32_t point = p[at] & (unsigned char)~leads[k].mask;
        for (size_t i = 1; i <= k; i++) {
            if ((p[at + i] & 0xc0) != 0x80)
                return false;
            point = point << 6 | (p[at + i] & 0x3f);
        }
        if (point < leads[k].from || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
        at += k + 1;
    }
    return true;
}

/* Every string of up to three bytes, and of four with the leads that matter. */
static void utf8_exhaustively(void **state)
{
    (void)state;
    unsigned char p[4];
    for (uint32_t x = 0; x < 1 << 24; x++) {
        p[0] = (unsigned char)x;
        p[1] = (unsigned char)(x >> 8);
        p[2] = (unsigned char)(x >> 16);
        if (p[1] >= 0x80 && p[1] < 0xc0 && p[1] % 16 != 0 && p[1] % 16 != 15)
            continue; /* the inside of a range */
        for (size_t len = 1; len <= 3; len++)
            if (emp_utf8_valid((char *)p, len) != utf8_by_decoding(p, len))
                fail_msg("%02x %02x %02x, length %zu", p[0], p[1], p[2], len);
    }
    for (uint32_t x = 0; x < 16 << 16; x++) {
        p[0] = (unsigned char)(0xf0 + (x >> 16));
        p[1] = (unsigned char)(x >> 8);
        p[2] = (unsigned char)x;
        for (size_t i = 0; i < 4; i++) {
            p[3] = (const unsigned char[]){0x7f, 0x80, 0xbf, 0xc0}[i];
            assert_int_equal(emp_utf8_valid((char *)p, 4), utf8_by_decoding(p, 4));
        }
    }
}

static void utf8_random(struct emp_random *r)
{
    static const char *const parts[] = {"abcdefgh", "x", "ä", "€", "😀", "\xc3", "\xe2\x82", "\xff"};
    for (int n = 0; n < 300; n++) {
        struct emp_buf b;
        emp_buf_init(&b, 4096);
        uint64_t kinds = emp_random_below(r, 2) ? 5 : 8; /* whole characters only, or any bytes */
        for (uint64_t i = emp_random_below(r, 30); i > 0; i--)
            emp_buf_addz(&b, parts[emp_random_below(r, kinds)]);
        emp_buf_addz(&b, "");
        bool expect = utf8_by_decoding((unsigned char *)b.data, b.len);
        assert_int_equal(emp_utf8_valid(b.data, b.len), expect);
        assert_true(kinds == 8 || expect);
        emp_buf_release(&b);
    }
}

static void utf8_of_all_lengths(void **state)
{
    (void)state;
    each_seed("utf8", utf8_random);
    assert_true(emp_utf8_valid(NULL, 0));
}

static unsigned naive_distance(struct emp_str a, struct emp_str b)
{
    if (a.len == 0 || b.len == 0)
        return a.len + b.len;
    struct emp_str a1 = {a.ptr + 1, a.len - 1}, b1 = {b.ptr + 1, b.len - 1};
    if (a.ptr[0] == b.ptr[0])
        return naive_distance(a1, b1);
    unsigned best = naive_distance(a1, b1), d = naive_distance(a1, b);
    best = d < best ? d : best;
    d = naive_distance(a, b1);
    return 1 + (d < best ? d : best);
}

static void distance_random(struct emp_random *r)
{
    for (int n = 0; n < 150; n++) {
        char x[8], y[8];
        struct emp_str a = random_str(r, x, 6, 3), b = random_str(r, y, 6, 3);
        unsigned d = naive_distance(a, b);
        for (unsigned max = 0; max < 8; max++)
            assert_int_equal(emp_str_distance(a, b, max), d <= max ? d : max + 1);
    }
}

static void distance_matches_the_definition(void **state)
{
    (void)state;
    each_seed("distance", distance_random);
    assert_int_equal(emp_str_distance(EMP_STR("max_atempts"), EMP_STR("max_attempts"), 3), 1);
    char a[600], b[600];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    assert_int_equal(emp_str_distance((struct emp_str){a, 600}, (struct emp_str){b, 600}, 5), 6);
    assert_int_equal(emp_str_distance((struct emp_str){a, 600}, (struct emp_str){a, 599}, 5), 1);
    assert_int_equal(emp_str_distance((struct emp_str){a, 256}, (struct emp_str){b, 256}, 300),
                     256);
}

static void intern_model(struct emp_random *r)
{
    enum { NAMES = 300 };
    struct emp_arena a;
    struct emp_intern in;
    char names[NAMES + 1][8];
    uint32_t known = 0;
    emp_arena_init(&a, 0);
    emp_intern_init(&in, &a);
    for (int step = 0; step < 3000 && known < NAMES; step++) {
        char room[8];
        struct emp_str s = random_str(r, room, 4, 5);
        uint32_t expect = 0;
        for (uint32_t i = 1; i <= known; i++)
            if (emp_str_eq(emp_str_z(names[i]), s))
                expect = i;
        assert_int_equal(emp_intern_find(&in, s), expect);
        if (s.len && !expect) {
            expect = ++known;
            snprintf(names[known], sizeof names[known], "%.*s", EMP_STR_FMT(s));
        }
        assert_int_equal(emp_intern(&in, s), expect);
    }
    assert_int_equal(in.count, known + 1);
    for (uint32_t i = 1; i <= known; i++)
        assert_string_equal(emp_intern_name(&in, i).ptr, names[i]);
    assert_int_equal(emp_intern_name(&in, 0).len, 0);
    emp_arena_release(&a);
}

static void interner_numbers_by_first_sight(void **state)
{
    (void)state;
    each_seed("interner", intern_model);
}

static void buf_model(struct emp_random *r)
{
    enum { MAX = 3000 };
    char expect[MAX + 1] = "";
    size_t len = 0;
    bool failed = false;
    struct emp_buf b;
    emp_buf_init(&b, MAX);
    for (int step = 0; step < 400; step++) {
        char room[200];
        struct emp_str s = random_str(r, room, sizeof room - 1, 26);
        room[s.len] = 0;
        switch (emp_random_below(r, 60)) {
        case 0:
            emp_buf_clear(&b);
            len = 0;
            failed = false;
            continue;
        case 1:
            emp_buf_release(&b);
            assert_null(b.data);
            len = 0;
            failed = false;
            continue;
        default:
            break;
        }
        if (emp_random_below(r, 2))
            emp_buf_printf(&b, "%s", room);
        else
            emp_buf_add(&b, room, s.len);
        failed = failed || len + s.len > MAX;
        if (!failed) {
            memcpy(expect + len, room, s.len);
            len += s.len;
        }
        assert_int_equal(b.failed, failed);
        assert_int_equal(b.len, len);
        if (b.data) {
            assert_memory_equal(b.data, expect, len);
            assert_int_equal(b.data[len], 0);
        }
    }
    emp_buf_release(&b);
}

static void buffer_keeps_its_maximum(void **state)
{
    (void)state;
    each_seed("buffer", buf_model);
    struct emp_buf b;
    emp_buf_init(&b, 3);
    emp_buf_addz(&b, "abc");
    assert_false(b.failed);
    emp_buf_printf(&b, "%d", 1);
    assert_true(b.failed);
    assert_string_equal(b.data, "abc");
    emp_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices),
        cmocka_unit_test(hash_is_fixed),
        cmocka_unit_test(utf8_exhaustively),
        cmocka_unit_test(utf8_of_all_lengths),
        cmocka_unit_test(distance_matches_the_definition),
        cmocka_unit_test(interner_numbers_by_first_sight),
        cmocka_unit_test(buffer_keeps_its_maximum),
    };
    return cmocka_run_group_tests_name("base/str", tests, NULL, NULL);
}

/* The durable form: every field of every shape survives, damage is refused and never read past,
 * later versions' fields are passed over. */
#include "fixture.h"

#include "store/shapes.h"

#include <stdlib.h>

static const struct {
    const char *name;
    const struct emp_pack_shape *shape;
} shapes[] = {
    {"spec", &emp_shape_spec},       {"record", &emp_shape_record}, {"attempt", &emp_shape_attempt},
    {"machine", &emp_shape_machine}, {"model", &emp_shape_model},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* ------------------------------------------------------------------ filling any shape by its own
 * table */

static void fill(const struct emp_pack_shape *shape, void *object, struct emp_random *r,
                 struct emp_arena *a);

static struct emp_str any_str(struct emp_random *r, struct emp_arena *a)
{
    static const uint32_t lengths[] = {1, 3, 4, 36, 127, 128, 300};
    uint32_t len = lengths[emp_random_below(r, 7)];
    char *p = emp_arena_alloc(a, len);
    memset(p, 'a' + (int)emp_random_below(r, 3), len); // few letters: strings repeat
    return (struct emp_str){p, len};
}

static uint32_t any_count(const struct emp_pack_field *f, struct emp_random *r)
{
    return 1 + (uint32_t)emp_random_below(r, f->max < 5 ? f->max : 5);
}

static void fill_list(const struct emp_pack_field *f, char *object, struct emp_random *r,
                      struct emp_arena *a)
{
    uint32_t n = any_count(f, r);
    memcpy(object + f->count_offset, &n, sizeof n);
    if (f->type == EMP_PACK_STRS) {
        struct emp_str *strs = emp_arena_array(a, struct emp_str, n);
        for (uint32_t i = 0; i < n; i++)
            strs[i] = any_str(r, a);
        memcpy(object + f->offset, &strs, sizeof(void *));
        return;
    }
    char *items = f->type == EMP_PACK_ROW ? object + f->offset
                                          : emp_arena_alloc(a, (size_t)n * f->shape->size);
    for (uint32_t i = 0; i < n; i++)
        fill(f->shape, items + (size_t)i * f->shape->size, r, a);
    if (f->type == EMP_PACK_SHAPES)
        memcpy(object + f->offset, &items, sizeof(void *));
}

static void fill_number(const struct emp_pack_field *f, char *at, struct emp_random *r)
{
    static const double reals[] = {1, -1, 0.5, -0.0, 1e300, 9007199254740992.0, -123456789.25};
    uint64_t bits = emp_random_u64(r) >> emp_random_below(r, 64) | 1;
    double real = reals[emp_random_below(r, 7)];
    float small = (float)real;
    uint32_t below = f->max ? 1 + (uint32_t)emp_random_below(r, f->max - 1) : 0;
    int code = EMP_E_DISK_FULL;
    bool yes = true;
    const void *from[] = {
        [EMP_PACK_F64] = &real, [EMP_PACK_F32] = &small,  [EMP_PACK_I64] = &bits,
        [EMP_PACK_I32] = &bits, [EMP_PACK_U32] = &bits,   [EMP_PACK_HASH] = &bits,
        [EMP_PACK_BOOL] = &yes, [EMP_PACK_ENUM] = &below, [EMP_PACK_ERROR] = &code};
    static const size_t sizes[] = {[EMP_PACK_F64] = 8,  [EMP_PACK_F32] = 4,  [EMP_PACK_I64] = 8,
                                   [EMP_PACK_I32] = 4,  [EMP_PACK_U32] = 4,  [EMP_PACK_HASH] = 8,
                                   [EMP_PACK_BOOL] = 1, [EMP_PACK_ENUM] = 4, [EMP_PACK_ERROR] = 4};
    memcpy(at, from[f->type], sizes[f->type]);
}

static void fill(const struct emp_pack_shape *shape, void *object, struct emp_random *r,
                 struct emp_arena *a)
{
    for (uint32_t i = 0; i < shape->field_count; i++) {
        const struct emp_pack_field *f = &shape->fields[i];
        char *at = (char *)object + f->offset;
        if (f->type == EMP_PACK_STR)
            *(struct emp_str *)(void *)at = any_str(r, a);
        else if (f->type == EMP_PACK_TEXT)
            memset(at, 'f', f->max - 1);
        else if (f->type == EMP_PACK_SHAPE)
            fill(f->shape, at, r, a);
        else if (f->type >= EMP_PACK_STRS)
            fill_list(f, object, r, a);
        else
            fill_number(f, at, r);
    }
}

/* Same bytes again, whatever the struct: two objects are equal when they pack alike. */
static void check_round_trip(const struct emp_pack_shape *shape, const void *object,
                             struct emp_arena *a)
{
    void *back = emp_arena_alloc(a, shape->size);
    struct emp_str packed = emp_pack(shape, object, a);
    assert_int_equal(emp_unpack(shape, packed, a, back), 0);
    assert_str(emp_pack(shape, back, a), packed);
}

static void test_every_field_survives(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_random r;
    emp_random_init(&r, 1);
    emp_arena_init(&a, 0);
    for (int i = 0; i < SHAPES; i++) {
        for (int n = 0; n < 200; n++) {
            void *object = emp_arena_alloc(&a, shapes[i].shape->size);
            fill(shapes[i].shape, object, &r, &a);
            check_round_trip(shapes[i].shape, object, &a);
            emp_arena_reset(&a);
        }
    }
    emp_arena_release(&a);
}

/* ------------------------------------------------------------------ no field is forgotten */

static const size_t sizes[] = {
    [EMP_PACK_STR] = sizeof(struct emp_str),
    [EMP_PACK_F64] = 8,
    [EMP_PACK_F32] = 4,
    [EMP_PACK_I64] = 8,
    [EMP_PACK_I32] = 4,
    [EMP_PACK_U32] = 4,
    [EMP_PACK_HASH] = 8,
    [EMP_PACK_BOOL] = 1,
    [EMP_PACK_ENUM] = 4,
    [EMP_PACK_ERROR] = 4,
    [EMP_PACK_STRS] = sizeof(void *),
    [EMP_PACK_SHAPES] = sizeof(void *),
};

static size_t size_of(const struct emp_pack_field *f)
{
    if (f->type == EMP_PACK_TEXT)
        return f->max;
    if (f->type == EMP_PACK_SHAPE)
        return f->shape->size;
    return f->type == EMP_PACK_ROW ? (size_t)f->max * f->shape->size : sizes[f->type];
}

/* Bytes of the struct and of those inside it that no field covers: padding, or a member somebody
 * forgot. */
static size_t uncovered(const struct emp_pack_shape *shape)
{
    size_t n = 0;
    char *covered = calloc(1, shape->size);
    for (uint32_t i = 0; i < shape->field_count; i++) {
        const struct emp_pack_field *f = &shape->fields[i];
        assert_true(i == 0 || f->tag > shape->fields[i - 1].tag);
        memset(covered + f->offset, 1, size_of(f));
        if (f->type == EMP_PACK_STRS || f->type == EMP_PACK_SHAPES || f->type == EMP_PACK_ROW)
            memset(covered + f->count_offset, 1, 4);
        if (f->shape)
            n += uncovered(f->shape);
    }
    for (uint32_t i = 0; i < shape->size; i++)
        n += !covered[i];
    free(covered);
    return n;
}

static void test_no_member_is_forgotten(void **state)
{
    (void)state;
    /* Padding of each struct; a number that changes means that a member was added: give it a tag in
     * shapes.c (or, of a record, a column). */
    assert_int_equal(uncovered(&emp_shape_spec), 3 + 3);
    assert_int_equal(uncovered(&emp_shape_attempt), 3);
    assert_int_equal(uncovered(&emp_shape_model), 10);
    assert_int_equal(uncovered(&emp_shape_machine), 7 + 8 + 3);
    const size_t columns = sizeof(emp_job_num) + sizeof(enum emp_job_state) + sizeof(double) +
                           2 * sizeof(emp_wall_ms);
    assert_int_equal(uncovered(&emp_shape_record) - columns, 8 + 3 + 4 + 3);
}

/* ------------------------------------------------------------------ defaults, references, later
 * versions */

static void test_defaults_take_no_room(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_job_spec spec;
    emp_arena_init(&a, 0);
    assert_int_equal(emp_unpack(&emp_shape_spec, (struct emp_str){0}, &a, &spec), 0);
    assert_true(spec.priority == 50 && spec.workflow_priority != spec.workflow_priority &&
                spec.max_retries == 3);
    assert_int_equal(emp_pack(&emp_shape_spec, &spec, &a).len, 0);
    spec.priority = 0; // not the default, although zero
    check_round_trip(&emp_shape_spec, &spec, &a);
    struct emp_job_spec back;
    assert_int_equal(emp_unpack(&emp_shape_spec, emp_pack(&emp_shape_spec, &spec, &a), &a, &back),
                     0);
    assert_true(back.priority == 0);
    emp_arena_release(&a);
}

static void test_repeated_strings_are_kept_once(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_attempt attempt = {.number = 1,
                                  .machine = EMP_STR("a machine with a long name"),
                                  .pool = EMP_STR("a machine with a long name")},
                       back;
    emp_arena_init(&a, 0);
    struct emp_str packed = emp_pack(&emp_shape_attempt, &attempt, &a);
    assert_true(packed.len < 36);
    assert_int_equal(emp_unpack(&emp_shape_attempt, packed, &a, &back), 0);
    assert_str(back.pool, attempt.machine);
    emp_arena_release(&a);
}

/* A later version's struct, read by a table that knows only its first and last field. */
static void test_unknown_fields_are_passed_over(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_random r;
    emp_random_init(&r, 2);
    emp_arena_init(&a, 0);
    for (int i = 0; i < SHAPES; i++) {
        const struct emp_pack_shape *whole = shapes[i].shape;
        struct emp_pack_field known[2] = {whole->fields[0], whole->fields[whole->field_count - 1]};
        struct emp_pack_shape old = {whole->size, 2, NULL, known};
        char *object = emp_arena_alloc(&a, whole->size), *back = emp_arena_alloc(&a, whole->size);
        fill(whole, object, &r, &a);
        assert_int_equal(emp_unpack(&old, emp_pack(whole, object, &a), &a, back), 0);
        assert_str(emp_pack(&old, back, &a), emp_pack(&old, object, &a));
    }
    emp_arena_release(&a);
}

static void test_errors_are_kept_by_name(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_attempt attempt = {.error_code = EMP_E_LOST};
    emp_arena_init(&a, 0);
    struct emp_str packed = emp_pack(&emp_shape_attempt, &attempt, &a);
    assert_non_null(memmem(packed.ptr, packed.len, "machine_lost", 12));
    emp_arena_release(&a);
}

/* ------------------------------------------------------------------ damage */

/* The bytes at the very end of an allocation of their own, so that a sanitizer sees every step too
 * far. */
static int unpack_exact(const struct emp_pack_shape *shape, const char *bytes, uint32_t len,
                        struct emp_arena *a)
{
    char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    void *back = emp_arena_alloc(a, shape->size);
    int rc = emp_unpack(shape, (struct emp_str){copy, len}, a, back);
    if (rc == 0)
        emp_pack(shape, back, a); // what was accepted can be used
    free(copy);
    return rc;
}

static void test_cut_bytes_are_refused(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_random r;
    emp_random_init(&r, 3);
    emp_arena_init(&a, 0);
    for (int i = 0; i < SHAPES; i++) {
        void *object = emp_arena_alloc(&a, shapes[i].shape->size);
        fill(shapes[i].shape, object, &r, &a);
        struct emp_str packed = emp_pack(shapes[i].shape, object, &a);
        unsigned accepted = 0;
        for (uint32_t len = 0; len < packed.len; len++)
            accepted += unpack_exact(shapes[i].shape, packed.ptr, len, &a) == 0;
        assert_true(accepted <= shapes[i].shape->field_count); // only a cut between two fields
    }
    emp_arena_release(&a);
}

static void test_changed_bytes_never_harm(void **state)
{
    (void)state;
    struct emp_arena a;
    struct emp_random r;
    emp_random_init(&r, 4);
    emp_arena_init(&a, 0);
    for (int n = 0; n < 4000; n++) {
        const struct emp_pack_shape *shape = shapes[n % SHAPES].shape;
        void *object = emp_arena_alloc(&a, shape->size);
        fill(shape, object, &r, &a);
        struct emp_str packed = emp_pack(shape, object, &a);
        char *bytes = emp_arena_dup(&a, packed.ptr, packed.len);
        for (uint64_t changes = 1 + emp_random_below(&r, 4); changes; changes--)
            bytes[emp_random_below(&r, packed.len)] = (char)emp_random_u64(&r);
        int rc = unpack_exact(shape, bytes, packed.len, &a);
        assert_true(rc == 0 || rc == EMP_E_INTERNAL);
        emp_arena_reset(&a);
    }
    emp_arena_release(&a);
}

static void test_particular_damage_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t len;
    } bad[] = {
        {"\x1a\x09", 2},                 // a string that refers to itself
        {"\x1a\xff\xff\xff\xff\x0f", 6}, // refers far ahead
        {"\x1a\x0a"
         "ab",
         4},                                                  // longer than what is there
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11}, // a number above 64 bits
        {"\x08\x01", 2},                                      // a negative count
        {"\x10\x20", 2},                                      // an outcome that does not exist
        {"\x00", 1},                                          // an end that ends nothing
        {"\x7f\x00", 2},                                      // wire 7
        {"\x09\x00", 2},                                      // a number as fixed
        {"\xfc\x01\xff\xff\x03", 5}, // an unknown list longer than what is there
    };
    struct emp_arena a;
    emp_arena_init(&a, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(unpack_exact(&emp_shape_attempt, bad[i].bytes, bad[i].len, &a),
                         EMP_E_INTERNAL);
    char deep[64];
    memset(deep, 0xfb, sizeof deep); // groups inside groups inside groups
    for (size_t i = 1; i < sizeof deep; i += 2)
        deep[i] = 1;
    assert_int_equal(unpack_exact(&emp_shape_attempt, deep, sizeof deep, &a), EMP_E_INTERNAL);
    emp_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field_survives),
        cmocka_unit_test(test_no_member_is_forgotten),
        cmocka_unit_test(test_defaults_take_no_room),
        cmocka_unit_test(test_repeated_strings_are_kept_once),
        cmocka_unit_test(test_unknown_fields_are_passed_over),
        cmocka_unit_test(test_errors_are_kept_by_name),
        cmocka_unit_test(test_cut_bytes_are_refused),
        cmocka_unit_test(test_changed_bytes_never_harm),
        cmocka_unit_test(test_particular_damage_is_refused),
    };
    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}

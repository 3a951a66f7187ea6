/* The directory of models as crashes, other programs and disks leave it. */
#include "agent/models.h"

#include "check.h"
#include "os/files.h"
#include "os/sha256.h"

#include <sys/stat.h>
#include <unistd.h>

static struct emp_models models; /* in the place */

static int setup(void **state)
{
    if (place_make(state) < 0)
        return -1;
    struct place *p = *state;
    return emp_models_init(&models, &p->loop, place_path(p, "models"), NULL);
}

static int teardown(void **state)
{
    emp_models_release(&models);
    return place_remove(state);
}

/* What is found, one "NAME BYTES [half N] [pinned] [sha]" after the other, by name. */
static int by_name(const void *a, const void *b)
{
    const struct emp_machine_found *x = a, *y = b;
    return emp_str_cmp(x->name, y->name);
}

static const char *inventory(struct place *p, struct emp_models *m, int64_t *ret_bytes)
{
    struct emp_machine_found *found = NULL;
    uint32_t count = 0;
    int64_t bytes = -1;
    const char *text = "";
    struct emp_error err = {0};
    if (emp_models_inventory(m, &p->arena, &found, &count, &bytes, &err) < 0)
        return emp_arena_printf(&p->arena, "%s", err.text);
    if (count)
        qsort(found, count, sizeof *found, by_name);
    for (uint32_t i = 0; i < count; i++) {
        const struct emp_machine_found *f = &found[i];
        text = emp_arena_printf(&p->arena, "%s%s%.*s %lld", text, i ? ", " : "",
                                EMP_STR_FMT(f->name), (long long)f->bytes);
        if (f->half_bytes)
            text = emp_arena_printf(&p->arena, "%s half %lld", text, (long long)f->half_bytes);
        if (f->pinned)
            text = emp_arena_printf(&p->arena, "%s pinned", text);
        if (f->sha256[0])
            text = emp_arena_printf(&p->arena, "%s %.4s", text, f->sha256);
    }
    if (ret_bytes)
        *ret_bytes = bytes;
    return text;
}

static void note(struct emp_models *m, const char *name, const char *path, int64_t bytes)
{
    struct emp_models_note n = {.name = emp_str_z(name), .path = emp_str_z(path), .bytes = bytes};
    struct emp_error err;
    memset(n.sha256, 'a', 64);
    assert_int_equal(emp_models_note_write(m, &n, &err), 0);
}

static const char *part_of(struct emp_models *m, const char *name)
{
    static char path[EMP_MODELS_PATH];
    emp_models_part_path(m, emp_str_z(name), path);
    return path;
}

static void put(const char *path, size_t bytes)
{
    char *content = test_calloc(1, bytes + 1);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, bytes, f), bytes);
    fclose(f);
    test_free(content);
}

static int files_aside(struct place *p)
{
    int64_t count = 0;
    FILE *f = popen(
        emp_arena_printf(&p->arena, "find %s/models/.emp -type f ! -name lock | wc -l", p->dir),
        "r");
    assert_int_equal(fscanf(f, "%ld", &count), 1);
    pclose(f);
    return (int)count;
}

/* ---------------------------------------------------------------- what is found */

static void an_empty_directory_is_made(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    assert_string_equal(inventory(p, m, NULL), "");
    assert_true(place_has(p, "models/.emp"));
}

static void whole_models_are_found_with_their_hash(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    int64_t bytes;
    note(m, "sdxl", "checkpoints/sdxl.safetensors", 1000);
    place_write(p, "models/checkpoints/sdxl.safetensors", (char[1000]){0}, 1000);
    assert_string_equal(inventory(p, m, &bytes), "sdxl 1000 aaaa");
    assert_int_equal(bytes, 1000);
}

static void files_of_others_are_found_and_pinned(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    int64_t bytes;
    place_write(p, "models/loras/a.safetensors", "12345", 5);
    place_write(p, "models/b", "123", 3);
    place_write(p, "models/empty", "", 0);
    place_write(p, "models/.hidden", "123", 3);
    place_write(p, "models/.git/c", "123", 3);
    place_write(p, "elsewhere", "123", 3);
    assert_int_equal(symlink(place_path(p, "elsewhere"), place_path(p, "models/link")), 0);
    assert_int_equal(mkfifo(place_path(p, "models/pipe"), 0600), 0);
    assert_string_equal(inventory(p, m, &bytes), "b 3 pinned, loras/a.safetensors 5 pinned");
    assert_int_equal(bytes, 8);
}

static void names_that_nobody_could_say_are_passed_over(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    const char *deep = "models";
    place_write(p, "models/a\nb", "1", 1);
    place_write(p, "models/\xff\xfe", "1", 1);
    for (int i = 0; i < 40; i++)
        deep = emp_arena_printf(&p->arena, "%s/dddddddd", deep);
    place_write(p, emp_arena_printf(&p->arena, "%s/f", deep), "1", 1);
    assert_string_equal(inventory(p, m, NULL), "");
}

/* ---------------------------------------------------------------- what a crash leaves */

static void a_half_file_is_known_and_kept(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    int64_t bytes;
    note(m, "m", "m.bin", 1000);
    put(part_of(m, "m"), 400);
    assert_string_equal(inventory(p, m, &bytes), "m 1000 half 400 aaaa");
    assert_int_equal(bytes, 400);
    assert_string_equal(inventory(p, m, NULL), "m 1000 half 400 aaaa"); // and again
}

static void room_that_was_reserved_is_given_back(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    struct stat st;
    note(m, "m", "m.bin", 5000000);
    put(part_of(m, "m"), 4096);
    FILE *f = fopen(part_of(m, "m"), "r+");
    if (fallocate(fileno(f), FALLOC_FL_KEEP_SIZE, 0, 5000000) == 0)
        inventory(p, m, NULL);
    fclose(f);
    assert_int_equal(stat(part_of(m, "m"), &st), 0);
    assert_in_range(st.st_blocks * 512, 1, 100000);
}

static void a_note_without_a_file_is_forgotten(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    note(m, "m", "m.bin", 1000);
    assert_string_equal(inventory(p, m, NULL), "");
    assert_int_equal(files_aside(p), 0);
}

static void a_part_without_a_note_is_removed(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    put(part_of(m, "m"), 400);
    place_write(p, "models/.emp/rubbish", "x", 1);
    place_write(p, "models/.emp/xyz.json.tmp-1-2", "x", 1);
    assert_string_equal(inventory(p, m, NULL), "");
    assert_int_equal(files_aside(p), 0);
}

static void a_part_too_long_is_removed(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    note(m, "m", "m.bin", 1000);
    put(part_of(m, "m"), 1001);
    assert_string_equal(inventory(p, m, NULL), "");
    assert_int_equal(files_aside(p), 0);
}

static void published_with_its_part_still_there(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    note(m, "m", "m.bin", 1000);
    put(place_path(p, "models/m.bin"), 1000);
    put(part_of(m, "m"), 300);
    assert_string_equal(inventory(p, m, NULL), "m 1000 aaaa");
    assert_int_equal(files_aside(p), 1); // the note
}

static void a_visible_file_of_another_length_is_not_the_model(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    note(m, "m", "m.bin", 1000);
    put(place_path(p, "models/m.bin"), 999);
    assert_string_equal(inventory(p, m, NULL), "");
    assert_false(place_has(p, "models/m.bin"));
}

static void a_directory_in_the_models_place_is_left_alone(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    note(m, "m", "dir", 1000);
    place_write(p, "models/dir/file", "12", 2);
    assert_string_equal(inventory(p, m, NULL), "dir/file 2 pinned");
}

static void damaged_notes_are_forgotten(void **state)
{
    static const char *const damaged[] = {
        "",
        "{",
        "[]",
        "7",
        "{}",
        "{\"name\":\"m\"}",
        "{\"name\":\"m\",\"path\":\"../m\",\"bytes\":1}",
        "{\"name\":\"m\",\"path\":\"/etc/passwd\",\"bytes\":1}",
        "{\"name\":\"m\",\"path\":\"m\",\"bytes\":-1}",
        "{\"name\":\"m\",\"path\":\"m\",\"bytes\":\"1\"}",
        "{\"name\":\"m\",\"path\":\"m\",\"bytes\":1,\"sha256\":\"abc\"}",
        "{\"name\":\"\",\"path\":\"m\",\"bytes\":1}",
        "{\"name\":\"m\",\"path\":\".emp/x\",\"bytes\":1}",
    };
    struct place *p = *state;
    struct emp_models *m = &models;
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++)
        place_write(p, emp_arena_printf(&p->arena, "models/.emp/%zu.json", i), damaged[i],
                    strlen(damaged[i]));
    assert_string_equal(inventory(p, m, NULL), "");
    assert_int_equal(files_aside(p), 0);
}

static void two_notes_cannot_own_one_path(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    note(m, "one", "same.bin", 1000);
    note(m, "two", "same.bin", 1000);
    put(place_path(p, "models/same.bin"), 1000);
    const char *found = inventory(p, m, NULL);
    assert_true(strcmp(found, "one 1000 aaaa") == 0 || strcmp(found, "two 1000 aaaa") == 0);
    assert_int_equal(files_aside(p), 1);
}

/* ---------------------------------------------------------------- notes and paths */

static void notes_are_read_as_they_were_written(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    struct emp_models_note back, n = {.name = EMP_STR("a \"b\"/\xc3\xa9"),
                                      .path = EMP_STR("x/y z"),
                                      .etag = EMP_STR("\"e\\1\""),
                                      .url = EMP_STR("http://h/x?y=%20"),
                                      .bytes = 1234567890123,
                                      .pinned = true};
    memset(n.sha256, 'f', 64);
    assert_int_equal(emp_models_note_write(m, &n, NULL), 0);
    assert_int_equal(emp_models_note_read(m, n.name, &p->arena, &back), 0);
    assert_true(emp_str_eq(back.name, n.name) && emp_str_eq(back.path, n.path));
    assert_true(emp_str_eq(back.etag, n.etag) && emp_str_eq(back.url, n.url));
    assert_string_equal(back.sha256, n.sha256);
    assert_true(back.bytes == n.bytes && back.pinned);
    assert_int_not_equal(emp_models_note_read(m, EMP_STR("other"), &p->arena, &back), 0);
    emp_models_note_drop(m, n.name);
    assert_int_not_equal(emp_models_note_read(m, n.name, &p->arena, &back), 0);
}

static void the_owner_of_a_path_is_known(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    note(m, "one", "x/same.bin", 1000);
    struct emp_str path = EMP_STR("x/same.bin");
    assert_true(
        emp_str_eq(emp_models_path_owner(m, &p->arena, EMP_STR("two"), path), EMP_STR("one")));
    assert_int_equal(emp_models_path_owner(m, &p->arena, EMP_STR("one"), path).len, 0);
    assert_int_equal(emp_models_path_owner(m, &p->arena, EMP_STR("two"), EMP_STR("other")).len, 0);

    note(m, "one", "y.bin", 1000); // its entry was replaced: the old path is free
    assert_int_equal(emp_models_path_owner(m, &p->arena, EMP_STR("two"), path).len, 0);
    note(m, "two", "x/same.bin", 1000);
    assert_true(
        emp_str_eq(emp_models_path_owner(m, &p->arena, EMP_STR("one"), path), EMP_STR("two")));
    emp_models_note_drop(m, EMP_STR("two"));
    assert_int_equal(emp_models_path_owner(m, &p->arena, EMP_STR("one"), path).len, 0);

    put(place_path(p, "models/y.bin"), 1000); // and who comes anew learns it from the inventory
    emp_models_release(m);
    assert_int_equal(emp_models_init(m, &p->loop, place_path(p, "models"), NULL), 0);
    inventory(p, m, NULL);
    assert_true(emp_str_eq(emp_models_path_owner(m, &p->arena, EMP_STR("two"), EMP_STR("y.bin")),
                           EMP_STR("one")));
}

static void paths_stay_inside(void **state)
{
    static const char *const wrong[] = {"",    "/x",   "../x",   "a/../../x", "a//b",
                                        "./a", ".emp", ".emp/x", "a\nb"};
    struct place *p = *state;
    struct emp_models *m = &models;
    char out[EMP_MODELS_PATH];
    struct emp_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(emp_models_path(m, emp_str_z(wrong[i]), out, &err), EMP_E_INVALID);
    assert_int_equal(emp_models_path(m, EMP_STR("a/.empty/b"), out, &err), 0);
    assert_string_equal(out, place_path(p, "models/a/.empty/b"));
}

/* ---------------------------------------------------------------- deleting */

struct gone {
    char name[64];
    int code;
    bool told;
};

static void on_gone(void *arg, struct emp_str name, const struct emp_error *err)
{
    struct gone *g = arg;
    snprintf(g->name, sizeof g->name, "%.*s", EMP_STR_FMT(name));
    g->code = err->code;
    g->told = true;
}

static int del(struct place *p, struct emp_models *m, const char *name, const char *path)
{
    struct gone g = {0};
    emp_models_delete(m, emp_str_z(name), emp_str_z(path), on_gone, &g);
    assert_false(g.told);
    UNTIL(p, g.told);
    assert_string_equal(g.name, name);
    return g.code;
}

static void deleting_takes_all_that_belongs_to_it(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    note(m, "m", "x/m.bin", 1000);
    place_write(p, "models/x/m.bin", "1", 1);
    place_write(p, "models/x/other", "1", 1);
    put(part_of(m, "m"), 10);
    assert_int_equal(del(p, m, "m", "x/m.bin"), 0);
    assert_int_equal(files_aside(p), 0);
    assert_false(place_has(p, "models/x/m.bin"));
    assert_true(place_has(p, "models/x/other"));
    assert_int_equal(del(p, m, "m", "x/m.bin"), 0); // what is not there is gone
    assert_int_equal(del(p, m, "m", "no/such/dir"), 0);
}

static void what_cannot_be_deleted_keeps_its_note(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models;
    note(m, "m", "dir", 1000);
    place_write(p, "models/dir/file", "1", 1);
    assert_int_not_equal(del(p, m, "m", "dir"), 0);
    assert_int_equal(files_aside(p), 1);
}

static void an_unusable_directory_is_told(void **state)
{
    struct place *p = *state;
    struct emp_models other;
    struct emp_error err = {0};
    place_write(p, "file", "x", 1);
    assert_true(emp_models_init(&other, &p->loop, place_path(p, "file"), &err) < 0);
    assert_non_null(strstr(err.text, "/file"));
    emp_models_release(&other);
}

static void two_agents_do_not_share_it(void **state)
{
    struct place *p = *state;
    struct emp_models *m = &models, other;
    struct emp_error err = {0};
    assert_int_equal(emp_models_init(&other, &p->loop, place_path(p, "models"), &err),
                     EMP_E_CONFLICT);
    assert_non_null(strstr(err.text, "in use"));
    emp_models_release(&other);
    assert_string_equal(inventory(p, m, NULL), ""); // the lock is no rubbish, and no model
    assert_int_equal(emp_models_init(&other, &p->loop, place_path(p, "models"), &err),
                     EMP_E_CONFLICT);
    emp_models_release(&other);
}

int main(void)
{
#define OPENED(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        OPENED(an_empty_directory_is_made),
        OPENED(whole_models_are_found_with_their_hash),
        OPENED(files_of_others_are_found_and_pinned),
        OPENED(names_that_nobody_could_say_are_passed_over),
        OPENED(a_half_file_is_known_and_kept),
        OPENED(room_that_was_reserved_is_given_back),
        OPENED(a_note_without_a_file_is_forgotten),
        OPENED(a_part_without_a_note_is_removed),
        OPENED(a_part_too_long_is_removed),
        OPENED(published_with_its_part_still_there),
        OPENED(a_visible_file_of_another_length_is_not_the_model),
        OPENED(a_directory_in_the_models_place_is_left_alone),
        OPENED(damaged_notes_are_forgotten),
        OPENED(two_notes_cannot_own_one_path),
        OPENED(notes_are_read_as_they_were_written),
        OPENED(the_owner_of_a_path_is_known),
        OPENED(paths_stay_inside),
        OPENED(deleting_takes_all_that_belongs_to_it),
        OPENED(what_cannot_be_deleted_keeps_its_note),
        OPENED(an_unusable_directory_is_told),
        OPENED(two_agents_do_not_share_it),
    };
    return cmocka_run_group_tests_name("agent/models", tests, NULL, NULL);
}

/* Directories: made with their parents, measured, removed without ever leaving the tree. */
#include "check.h"

#include "os/files.h"

#include <pthread.h>
#include <stdatomic.h>

static void a_directory_is_made_with_its_parents(void **state)
{
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_dir_make("a/b/c", 0755, &err), 0);
    assert_int_equal(emp_dir_make("a/b/c", 0755, &err), 0);
    assert_int_equal(emp_dir_make("a/b/c/", 0755, &err), 0);
    assert_int_equal(emp_dir_make("a//b//d", 0755, &err), 0);
    assert_int_equal(emp_dir_make("/", 0755, &err), 0);
    assert_true(there("a/b/c") && there("a/b/d"));
    assert_int_equal(emp_dir_make("", 0755, &err), EMP_E_INVALID);
}

static void a_file_in_the_way_is_a_conflict(void **state)
{
    struct emp_error err;
    (void)state;
    put("f", "");
    assert_int_equal(emp_dir_make("f", 0755, &err), EMP_E_CONFLICT);
    assert_string_equal(err.text, "cannot make the directory f: File exists");
    assert_int_equal(emp_dir_make("f/below", 0755, &err), EMP_E_CONFLICT);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(emp_dir_make("dangling", 0755, &err), EMP_E_CONFLICT);
}

static void a_link_to_a_directory_will_do(void **state)
{
    struct emp_error err;
    (void)state;
    assert_int_equal(mkdir("real", 0755), 0);
    assert_int_equal(symlink("real", "link"), 0);
    assert_int_equal(emp_dir_make("link/below", 0755, &err), 0);
    assert_true(there("real/below"));
}

static void the_parent_is_made_for_a_file_to_come(void **state)
{
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_dir_make_parent("x/y/file", 0755, &err), 0);
    assert_true(there("x/y"));
    assert_false(there("x/y/file"));
    assert_int_equal(emp_dir_make_parent("file", 0755, &err), 0);
    assert_int_equal(emp_dir_make_parent("/file", 0755, &err), 0);
    assert_int_equal(emp_dir_fsync_parent("x/y/file", &err), 0);
    assert_int_equal(emp_dir_fsync_parent("file", &err), 0);
    assert_int_equal(emp_dir_fsync("no/such", &err), EMP_E_NOT_FOUND);
    assert_string_equal(err.text, "cannot open no/such: No such file or directory");
}

static void *make_many(void *arg)
{
    atomic_int *failed = arg;
    char path[64];
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "shared/%d/%d", i / 10, i);
        if (emp_dir_make(path, 0755, NULL) < 0)
            atomic_fetch_add(failed, 1);
    }
    return NULL;
}

static void two_who_make_the_same_both_succeed(void **state)
{
    pthread_t other;
    atomic_int failed = 0;
    (void)state;
    assert_int_equal(pthread_create(&other, NULL, make_many, &failed), 0);
    make_many(&failed);
    pthread_join(other, NULL);
    assert_int_equal(failed, 0);
}

/* ---- removing ---- */

static void a_tree_is_removed_with_all_it_holds(void **state)
{
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_dir_make("t/a/b", 0755, &err), 0);
    put("t/a/b/f", "x");
    put("t/g", "x");
    assert_int_equal(symlink("nowhere", "t/dangling"), 0);
    assert_int_equal(mkfifo("t/pipe", 0600), 0); // opening it would block for ever
    assert_int_equal(emp_remove_tree("t", &err), 0);
    assert_false(there("t"));
    assert_int_equal(emp_remove_tree("t", &err), 0); // what is not there is success
    put("f", "x");
    assert_int_equal(emp_remove_tree("f", &err), 0);
    assert_false(there("f"));
}

static void links_are_removed_and_never_followed(void **state)
{
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_dir_make("precious/deep", 0755, &err), 0);
    put("precious/file", "x");
    assert_int_equal(mkdir("t", 0755), 0);
    assert_int_equal(symlink("../precious", "t/link"), 0);
    assert_int_equal(symlink("../precious/file", "t/file"), 0);
    assert_int_equal(emp_remove_tree("t", &err), 0);
    assert_file("precious/file", "x");

    assert_int_equal(symlink("precious", "link"), 0);
    assert_true(emp_dir_clear("link", &err) < 0);
    assert_true(emp_dir_clear("link/", &err) < 0); // a slash would follow it
    assert_file("precious/file", "x");
    assert_int_equal(emp_remove_tree("link/", &err), 0);
    assert_false(there("link"));
    assert_file("precious/file", "x");
}

static void clearing_keeps_the_directory_itself(void **state)
{
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_dir_make("t/a", 0755, &err), 0);
    put("t/f", "x");
    assert_int_equal(emp_dir_clear("t", &err), 0);
    assert_true(there("t"));
    assert_false(there("t/a") || there("t/f"));
    assert_int_equal(emp_dir_clear("no/such", &err), 0);
}

/* Deeper than the walk goes: an error, not a crash; what can be removed is. */
static void a_tree_without_a_floor_is_an_error(void **state)
{
    struct emp_error err;
    char *path = malloc(4096);
    size_t len = 0;
    (void)state;
    for (int i = 0; i < 300; i++)
        len += (size_t)snprintf(path + len, 4096 - len, "%sd", i ? "/" : "");
    assert_int_equal(emp_dir_make(path, 0755, &err), 0);
    put("d/file", "x");
    assert_true(emp_remove_tree("d", &err) < 0);
    assert_has(err.text, "below d");
    assert_false(there("d/file"));
    free(path);
}

/* The rest goes although one thing cannot. */
static void removal_goes_on_after_a_failure(void **state)
{
    struct emp_error err;
    (void)state;
    if (geteuid() == 0)
        skip(); // root may do everything
    assert_int_equal(emp_dir_make("t/locked", 0755, &err), 0);
    put("t/locked/f", "x");
    put("t/z", "x");
    assert_int_equal(chmod("t/locked", 0555), 0);
    assert_int_equal(emp_remove_tree("t", &err), EMP_E_FORBIDDEN);
    assert_has(err.text, "cannot remove f below t");
    assert_false(there("t/z"));
    assert_int_equal(chmod("t/locked", 0755), 0);
}

/* ---- measuring ---- */

static void the_bytes_of_a_tree_are_those_on_the_disk(void **state)
{
    struct emp_error err;
    struct stat st;
    (void)state;
    assert_int_equal(emp_dir_make("t/a", 0755, &err), 0);
    assert_int_equal(emp_dir_bytes("t", &err), 0);
    int fd = open("t/a/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    char block[65536] = {1};
    assert_int_equal(emp_fd_write_all(fd, block, sizeof block), 0);
    assert_int_equal(fsync(fd), 0);
    close(fd);
    assert_int_equal(stat("t/a/f", &st), 0);
    assert_int_equal(symlink("a/f", "t/link"), 0);
    assert_int_equal(emp_dir_bytes("t", &err), (int64_t)st.st_blocks * 512);
    assert_int_equal(emp_dir_bytes("no/such", &err), EMP_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        place_test(a_directory_is_made_with_its_parents),
        place_test(a_file_in_the_way_is_a_conflict),
        place_test(a_link_to_a_directory_will_do),
        place_test(the_parent_is_made_for_a_file_to_come),
        place_test(two_who_make_the_same_both_succeed),
        place_test(a_tree_is_removed_with_all_it_holds),
        place_test(links_are_removed_and_never_followed),
        place_test(clearing_keeps_the_directory_itself),
        place_test(a_tree_without_a_floor_is_an_error),
        place_test(removal_goes_on_after_a_failure),
        place_test(the_bytes_of_a_tree_are_those_on_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

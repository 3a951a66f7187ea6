/* Files: whole or not at all, errors by name, names from outside, the lock on a directory. */
#include "check.h"

#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- errno ---- */

static void an_errno_becomes_the_error_of_the_manual(void **state)
{
    (void)state;
    assert_int_equal(emp_os_error(ENOENT), EMP_E_NOT_FOUND);
    assert_int_equal(emp_os_error(ENOTDIR), EMP_E_NOT_FOUND);
    assert_int_equal(emp_os_error(EACCES), EMP_E_FORBIDDEN);
    assert_int_equal(emp_os_error(EROFS), EMP_E_FORBIDDEN);
    assert_int_equal(emp_os_error(ENOSPC), EMP_E_DISK_FULL);
    assert_int_equal(emp_os_error(EDQUOT), EMP_E_DISK_FULL);
    assert_int_equal(emp_os_error(EEXIST), EMP_E_CONFLICT);
    assert_int_equal(emp_os_error(ENOTEMPTY), EMP_E_CONFLICT);
    assert_int_equal(emp_os_error(EIO), EMP_E_IO);
    assert_int_equal(emp_os_error(0), EMP_E_IO);
}

/* ---- reading ---- */

static void a_file_is_read_whole(void **state)
{
    struct emp_buf b;
    struct emp_error err;
    (void)state;
    emp_buf_init(&b, 1 << 20);
    put("a", "hello");
    assert_int_equal(emp_file_read_all("a", 100, &b, &err), 0);
    assert_string_equal(b.data, "hello");
    put("a", "");
    assert_int_equal(emp_file_read_all("a", 100, &b, &err), 0);
    assert_int_equal(b.len, 0);
    emp_buf_release(&b);
}

static void a_file_without_a_size_is_read_too(void **state)
{
    struct emp_buf b;
    struct emp_error err;
    (void)state;
    emp_buf_init(&b, 1 << 20);
    assert_int_equal(emp_file_read_all("/proc/self/status", 1 << 20, &b, &err), 0);
    assert_has(b.data, "Pid:");
    emp_buf_release(&b);
}

static void the_limit_is_exact_and_the_buffer_usable_after_it(void **state)
{
    struct emp_buf b;
    struct emp_error err;
    (void)state;
    put("a", "12345");
    emp_buf_init(&b, 1 << 20);
    assert_int_equal(emp_file_read_all("a", 5, &b, &err), 0);
    assert_int_equal(emp_file_read_all("a", 4, &b, &err), EMP_E_TOO_LARGE);
    assert_string_equal(err.text, "a is larger than 4 bytes");
    assert_int_equal(b.len, 0);
    assert_int_equal(emp_file_read_all("a", 5, &b, NULL), 0);
    emp_buf_release(&b);

    emp_buf_init(&b, 3); // the buffer's own maximum counts too
    assert_int_equal(emp_file_read_all("a", 100, &b, &err), EMP_E_TOO_LARGE);
    assert_string_equal(err.text, "a is larger than 3 bytes");
    emp_buf_release(&b);
}

static void what_cannot_be_read_is_named_with_its_reason(void **state)
{
    struct emp_buf b;
    struct emp_error err;
    (void)state;
    emp_buf_init(&b, 100);
    assert_int_equal(emp_file_read_all("no/such", 10, &b, &err), EMP_E_NOT_FOUND);
    assert_string_equal(err.text, "cannot read no/such: No such file or directory");
    assert_int_equal(emp_file_read_all(".", 10, &b, &err), EMP_E_IO);
    assert_string_equal(err.text, "cannot read .: Is a directory");
    emp_buf_release(&b);
}

/* ---- writing ---- */

static int entries(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void a_write_replaces_the_whole_file_and_leaves_nothing_else(void **state)
{
    struct emp_error err;
    struct stat st;
    (void)state;
    put("a", "the old content, which is longer");
    assert_int_equal(emp_file_write_atomic("a", "new", 3, 0640, &err), 0);
    assert_file("a", "new");
    assert_int_equal(stat("a", &st), 0);
    assert_int_equal(st.st_mode & 07777 & ~022, 0640);
    assert_int_equal(emp_file_write_atomic("empty", "", 0, 0600, &err), 0);
    assert_file("empty", "");
    assert_int_equal(entries("."), 2);
}

/* A full disk, in small: a limit on the size of files. */
static void a_full_disk_leaves_the_old_content_and_no_debris(void **state)
{
    struct rlimit old, small;
    struct emp_error err;
    char data[4096];
    (void)state;
    memset(data, 'x', sizeof data);
    put("a", "old");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){1000, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = emp_file_write_atomic("a", data, sizeof data, 0644, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(r, EMP_E_DISK_FULL);
    assert_has(err.text, "cannot write a.tmp-");
    assert_file("a", "old");
    assert_int_equal(entries("."), 1);
}

static void a_write_to_a_missing_directory_says_so(void **state)
{
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_file_write_atomic("no/a", "x", 1, 0644, &err), EMP_E_NOT_FOUND);
    assert_has(err.text, "cannot create no/a.tmp-");
    char *path = malloc(EMP_FILE_PATH_MAX + 10);
    memset(path, 'p', EMP_FILE_PATH_MAX + 9);
    path[EMP_FILE_PATH_MAX + 9] = '\0';
    assert_int_equal(emp_file_write_atomic(path, "x", 1, 0644, &err), EMP_E_TOO_LARGE);
    free(path);
}

static void a_directory_in_the_way_keeps_the_file_out(void **state)
{
    struct emp_error err;
    (void)state;
    assert_int_equal(mkdir("a", 0755), 0);
    assert_true(emp_file_write_atomic("a", "x", 1, 0644, &err) < 0);
    assert_has(err.text, "cannot rename to a");
    assert_int_equal(entries("."), 1);
}

static void publishing_moves_a_finished_file_under_its_name(void **state)
{
    struct emp_error err;
    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    int fd = open("half", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(emp_fd_write_all(fd, "whole", 5), 0);
    assert_int_equal(emp_file_publish(fd, "half", "d/model", &err), 0);
    close(fd);
    assert_file("d/model", "whole");
    assert_false(there("half"));
}

static void a_write_error_is_its_error(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(emp_fd_write_all(fd, "x", 1), EMP_E_DISK_FULL);
    close(fd);
    assert_int_equal(emp_fd_write_all(fd, "x", 1), EMP_E_IO); // closed
    assert_int_equal(emp_fd_write_all(fd, "x", 0), 0);
}

/* A pipe takes 64 kB at once: the rest goes in further writes. */
static void short_writes_are_continued(void **state)
{
    enum { BYTES = 300000 };
    int fds[2];
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        char *data = malloc(BYTES);
        memset(data, 'x', BYTES);
        _exit(emp_fd_write_all(fds[1], data, BYTES) == 0 ? 0 : 1);
    }
    close(fds[1]);
    char sink[4096];
    size_t got = 0;
    for (ssize_t n; (n = read(fds[0], sink, sizeof sink)) > 0;)
        got += (size_t)n;
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(got, BYTES);
}

static void the_free_room_is_what_the_file_system_says(void **state)
{
    int64_t room = -1, total = -1;
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_disk_free(".", &room, &total, &err), 0);
    assert_true(room >= 0 && total > 0 && room <= total);
    assert_int_equal(emp_disk_free(".", NULL, NULL, &err), 0);
    assert_int_equal(emp_disk_free("no/such", &room, NULL, &err), EMP_E_NOT_FOUND);
}

/* ---- names from outside ---- */

static void names_that_stay_below_are_safe(void **state)
{
    static const char *const safe[] = {
        "a", "a/b/c.safetensors", "..a", "a..", "...", ".hidden", "a b", "Größe/日本.png", "-rf",
    };
    (void)state;
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        if (!emp_path_is_safe_relative(safe[i]))
            fail_msg("\"%s\" should be safe", safe[i]);
}

static void names_that_lead_elsewhere_are_not(void **state)
{
    static const char *const unsafe[] = {
        "",       "/",     "/etc/passwd", ".",       "..",       "../a",     "a/../b", "a/..",
        "a/./b",  "./a",   "a//b",        "a/",      "a\\b",     "a\nb",     "a\x7f",  "\x01",
        "a/\xff", "\xc0/", "a/../../../", "a/b/../", "..\\..\\", "a\xc3(b)", "/a/b",
    };
    (void)state;
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++)
        if (emp_path_is_safe_relative(unsafe[i]))
            fail_msg("\"%s\" should not be safe", unsafe[i]);
    assert_false(emp_path_is_safe_relative_str((struct emp_str){"a\0b", 3}));
    assert_false(emp_path_is_safe_relative_str((struct emp_str){NULL, 0}));
}

static void long_names_are_not_safe(void **state)
{
    char name[EMP_NAME_TOTAL_MAX + 2];
    (void)state;
    memset(name, 'a', sizeof name);
    name[EMP_NAME_PART_MAX] = '\0';
    assert_true(emp_path_is_safe_relative(name));
    name[EMP_NAME_PART_MAX] = 'a';
    name[EMP_NAME_PART_MAX + 1] = '\0';
    assert_false(emp_path_is_safe_relative(name)); // one part, one byte too long
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 100 == 99 ? '/' : 'a';
    name[EMP_NAME_TOTAL_MAX] = '\0';
    assert_true(emp_path_is_safe_relative(name));
    name[EMP_NAME_TOTAL_MAX] = 'a';
    name[EMP_NAME_TOTAL_MAX + 1] = '\0';
    assert_false(emp_path_is_safe_relative(name));
}

static void paths_are_joined_with_one_slash(void **state)
{
    char out[EMP_FILE_PATH_MAX];
    char *big = malloc(EMP_FILE_PATH_MAX);
    (void)state;
    assert_int_equal(emp_path_join(out, "a", "b"), 0);
    assert_string_equal(out, "a/b");
    assert_int_equal(emp_path_join(out, "a/", "b"), 0);
    assert_string_equal(out, "a/b");
    assert_int_equal(emp_path_join(out, "/", "b"), 0);
    assert_string_equal(out, "/b");
    assert_int_equal(emp_path_join(out, "", "b"), 0); // not at the root of all
    assert_string_equal(out, "b");
    memset(big, 'x', EMP_FILE_PATH_MAX);
    big[EMP_FILE_PATH_MAX - 2] = '\0';
    assert_int_equal(emp_path_join(out, "a", big), EMP_E_TOO_LARGE);
    big[EMP_FILE_PATH_MAX - 3] = '\0';
    assert_int_equal(emp_path_join(out, "a", big), 0);
    free(big);
}

/* ---- the lock ---- */

static void a_locked_directory_names_its_holder(void **state)
{
    struct emp_dir_lock mine, other = {-1};
    struct emp_error err;
    char holder[64];
    (void)state;
    assert_int_equal(emp_dir_lock_take(&mine, ".", &err), 0);
    snprintf(holder, sizeof holder, ". is in use by pid %ld", (long)getpid());
    assert_int_equal(emp_dir_lock_take(&other, ".", &err), EMP_E_CONFLICT);
    assert_string_equal(err.text, holder);
    emp_dir_lock_release(&mine);
    assert_int_equal(mine.fd, -1);
    emp_dir_lock_release(&mine); // twice is fine
    assert_int_equal(emp_dir_lock_take(&other, ".", &err), 0);
    emp_dir_lock_release(&other);
    assert_int_equal(emp_dir_lock_take(&mine, "no/such", &err), EMP_E_NOT_FOUND);
}

/* kill -9 of the holder frees it. */
static void the_lock_ends_with_its_process(void **state)
{
    struct emp_dir_lock mine;
    struct emp_error err;
    int ready[2];
    char c;
    (void)state;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t holder = fork();
    if (holder == 0) {
        if (emp_dir_lock_take(&mine, ".", NULL) == 0 && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    assert_int_equal(emp_dir_lock_take(&mine, ".", &err), EMP_E_CONFLICT);
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_int_equal(emp_dir_lock_take(&mine, ".", &err), 0);
    emp_dir_lock_release(&mine);
}

static void the_limit_of_descriptors_is_raised_to_what_is_allowed(void **state)
{
    struct rlimit before, l;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    l = before;
    l.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
    assert_int_equal(emp_fd_limit_raise(), before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
    assert_int_equal(l.rlim_cur, before.rlim_max);
    assert_int_equal(emp_fd_limit_raise(), before.rlim_max); // nothing left to raise
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_errno_becomes_the_error_of_the_manual),
        place_test(a_file_is_read_whole),
        place_test(a_file_without_a_size_is_read_too),
        place_test(the_limit_is_exact_and_the_buffer_usable_after_it),
        place_test(what_cannot_be_read_is_named_with_its_reason),
        place_test(a_write_replaces_the_whole_file_and_leaves_nothing_else),
        place_test(a_full_disk_leaves_the_old_content_and_no_debris),
        place_test(a_write_to_a_missing_directory_says_so),
        place_test(a_directory_in_the_way_keeps_the_file_out),
        place_test(publishing_moves_a_finished_file_under_its_name),
        place_test(a_write_error_is_its_error),
        place_test(short_writes_are_continued),
        place_test(the_free_room_is_what_the_file_system_says),
        cmocka_unit_test(the_limit_of_descriptors_is_raised_to_what_is_allowed),
        cmocka_unit_test(names_that_stay_below_are_safe),
        cmocka_unit_test(names_that_lead_elsewhere_are_not),
        cmocka_unit_test(long_names_are_not_safe),
        cmocka_unit_test(paths_are_joined_with_one_slash),
        place_test(a_locked_directory_names_its_holder),
        place_test(the_lock_ends_with_its_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

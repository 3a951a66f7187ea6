/* Directories. Trees are walked by descriptors (openat, O_NOFOLLOW), never by joined paths: whoever
 * renames or links inside a tree while it is being removed cannot lead us out of it. */
#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 256 };

static int emp_dir_fail(struct emp_error *err, const char *doing, const char *path)
{
    int e = errno;
    return emp_fail(err, emp_os_error(e), NULL, "cannot %s %s: %s", doing, path, strerror(e));
}

static int emp_dir_make_one(const char *path, mode_t mode, struct emp_error *err)
{
    if (mkdir(path, mode) == 0)
        return 0;
    int saved = errno;
    struct stat st;
    if (saved == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    errno = saved;
    return emp_dir_fail(err, "make the directory", path);
}

int emp_dir_make(const char *path, mode_t mode, struct emp_error *err)
{
    char part[EMP_FILE_PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return emp_fail(err, EMP_E_INVALID, NULL, "\"%.64s\" is no path for a directory", path);
    memcpy(part, path, len + 1);
    struct stat st;
    if (stat(part, &st) == 0 && S_ISDIR(st.st_mode))
        return 0; // also spares parents that may be looked through but not written
    for (size_t i = 1; i < len; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        int r = stat(part, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : emp_dir_make_one(part, mode, err);
        if (r < 0)
            return r;
        part[i] = '/';
    }
    return emp_dir_make_one(part, mode, err);
}

/* The directory that holds `path`, into out. */
static int emp_dir_parent(char out[EMP_FILE_PATH_MAX], const char *path, struct emp_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= EMP_FILE_PATH_MAX)
        return emp_fail(err, EMP_E_TOO_LARGE, NULL, "the path %.64s… is too long", path);
    memcpy(out, slash ? path : ".", len);
    out[len] = '\0';
    return 0;
}

int emp_dir_make_parent(const char *path, mode_t mode, struct emp_error *err)
{
    char parent[EMP_FILE_PATH_MAX];
    int r = emp_dir_parent(parent, path, err);
    return r < 0 ? r : emp_dir_make(parent, mode, err);
}

int emp_dir_fsync(const char *path, struct emp_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return emp_dir_fail(err, "open", path);
    int r = fsync(fd) < 0 ? emp_dir_fail(err, "sync", path) : 0;
    close(fd);
    return r;
}

int emp_dir_fsync_parent(const char *path, struct emp_error *err)
{
    char parent[EMP_FILE_PATH_MAX];
    int r = emp_dir_parent(parent, path, err);
    return r < 0 ? r : emp_dir_fsync(parent, err);
}

/* What a walk does with each entry. */
struct emp_walk {
    const char *root; /* for messages */
    bool remove;
    int64_t bytes;
    int code; /* first failure */
    struct emp_error *err;
};

static void emp_walk_fail(struct emp_walk *w, const char *doing, const char *name)
{
    int e = errno;
    if (e == ENOENT || w->code != 0)
        return;
    w->code = emp_fail(w->err, emp_os_error(e), NULL, "cannot %s %s below %s: %s", doing, name,
                       w->root, strerror(e));
}

static void emp_walk_dir(struct emp_walk *w, int fd, int depth);

static void emp_walk_entry(struct emp_walk *w, int dir, const char *name, int depth)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        emp_walk_fail(w, "look at", name);
        return;
    }
    if (S_ISREG(st.st_mode))
        w->bytes += (int64_t)st.st_blocks * 512;
    if (S_ISDIR(st.st_mode)) {
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            emp_walk_fail(w, "open", name);
        else
            emp_walk_dir(w, fd, depth + 1);
    }
    if (w->remove && unlinkat(dir, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
        emp_walk_fail(w, "remove", name);
}

/* Takes over fd. */
static void emp_walk_dir(struct emp_walk *w, int fd, int depth)
{
    DIR *d = depth > DEPTH_MAX ? NULL : fdopendir(fd);
    if (!d) {
        if (depth > DEPTH_MAX)
            errno = ELOOP;
        emp_walk_fail(w, "go into", "a directory");
        close(fd);
        return;
    }
    struct dirent *e;
    while (errno = 0, (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            emp_walk_entry(w, dirfd(d), e->d_name, depth);
    if (errno != 0)
        emp_walk_fail(w, "read", "a directory");
    closedir(d);
}

/* `path` without the slashes at its end: "link/" means what the link points to, even to O_NOFOLLOW
 * and lstat. */
static int emp_dir_bare(char out[EMP_FILE_PATH_MAX], const char *path, struct emp_error *err)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len >= EMP_FILE_PATH_MAX)
        return emp_fail(err, EMP_E_TOO_LARGE, NULL, "the path %.64s… is too long", path);
    memcpy(out, path, len);
    out[len] = '\0';
    return 0;
}

/* Walks what is inside the root, which must be a directory. 0, or the code with its text. */
static int emp_walk_path(struct emp_walk *w)
{
    char bare[EMP_FILE_PATH_MAX];
    int r = emp_dir_bare(bare, w->root, w->err);
    if (r < 0)
        return r;
    int fd = open(bare, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT && w->remove ? 0 : emp_dir_fail(w->err, "open", w->root);
    emp_walk_dir(w, fd, 0);
    return w->code;
}

int emp_dir_clear(const char *path, struct emp_error *err)
{
    struct emp_walk w = {.root = path, .remove = true, .err = err};
    return emp_walk_path(&w);
}

int emp_remove_tree(const char *name, struct emp_error *err)
{
    char path[EMP_FILE_PATH_MAX];
    struct stat st;
    int r = emp_dir_bare(path, name, err);
    if (r < 0)
        return r;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : emp_dir_fail(err, "remove", path);
    if (!S_ISDIR(st.st_mode))
        return unlink(path) == 0 || errno == ENOENT ? 0 : emp_dir_fail(err, "remove", path);
    r = emp_dir_clear(path, err);
    if (r < 0)
        return r;
    return rmdir(path) == 0 || errno == ENOENT ? 0 : emp_dir_fail(err, "remove", path);
}

int64_t emp_dir_bytes(const char *path, struct emp_error *err)
{
    struct emp_walk w = {.root = path, .err = err};
    int r = emp_walk_path(&w);
    return r < 0 ? r : w.bytes;
}

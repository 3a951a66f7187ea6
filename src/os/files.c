/* Durable writing follows one recipe: a file beside the final one, fsync of its content, rename
 * over, fsync of the directory. A crash before the rename leaves a stray PATH.tmp-…, which its
 * owner's start-up may remove; a crash after it leaves the new content. */
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int emp_os_error(int errnum)
{
    static const struct {
        int errnum, code;
    } table[] = {
        {ENOENT, EMP_E_NOT_FOUND},   {ENOTDIR, EMP_E_NOT_FOUND}, {EACCES, EMP_E_FORBIDDEN},
        {EPERM, EMP_E_FORBIDDEN},    {EROFS, EMP_E_FORBIDDEN},   {ENOSPC, EMP_E_DISK_FULL},
        {EDQUOT, EMP_E_DISK_FULL},   {EFBIG, EMP_E_DISK_FULL},   {EEXIST, EMP_E_CONFLICT},
        {ENOTEMPTY, EMP_E_CONFLICT},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].errnum == errnum)
            return table[i].code;
    return EMP_E_IO;
}

static int emp_file_fail(struct emp_error *err, const char *doing, const char *path)
{
    int e = errno;
    return emp_fail(err, emp_os_error(e), NULL, "cannot %s %s: %s", doing, path, strerror(e));
}

/* Reads until the end or one byte beyond `max`. 0, or -1 with errno. */
static int emp_fd_read_all(int fd, size_t max, struct emp_buf *buf)
{
    char chunk[16384];
    while (buf->len <= max && !buf->failed) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -1 : 0;
        emp_buf_add(buf, chunk, (size_t)n);
    }
    return 0;
}

int emp_file_read_all(const char *path, size_t max, struct emp_buf *buf, struct emp_error *err)
{
    emp_buf_clear(buf);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return emp_file_fail(err, "read", path);
    int r = 0;
    if (emp_fd_read_all(fd, max, buf) < 0)
        r = emp_file_fail(err, "read", path);
    else if (buf->failed || buf->len > max)
        r = emp_fail(err, EMP_E_TOO_LARGE, NULL, "%s is larger than %zu bytes", path,
                     max < buf->max ? max : buf->max);
    close(fd);
    if (r < 0)
        emp_buf_clear(buf);
    return r;
}

int emp_fd_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return emp_os_error(errno);
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

uint32_t emp_fd_limit_raise(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return 1024; // what every system gives
    rlim_t before = l.rlim_cur;
    l.rlim_cur = l.rlim_max;
    if (l.rlim_cur != before && setrlimit(RLIMIT_NOFILE, &l) < 0)
        l.rlim_cur = before;
    return l.rlim_cur > UINT32_MAX ? UINT32_MAX : (uint32_t)l.rlim_cur;
}

int emp_file_publish(int fd, const char *from, const char *to, struct emp_error *err)
{
    if (fsync(fd) < 0)
        return emp_file_fail(err, "sync", from);
    if (rename(from, to) < 0)
        return emp_file_fail(err, "rename to", to);
    return emp_dir_fsync_parent(to, err);
}

int emp_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
                          struct emp_error *err)
{
    static atomic_uint counter;
    char tmp[EMP_FILE_PATH_MAX];
    int n = snprintf(tmp, sizeof tmp, "%s.tmp-%ld-%u", path, (long)getpid(),
                     atomic_fetch_add(&counter, 1));
    if (n < 0 || (size_t)n >= sizeof tmp)
        return emp_fail(err, EMP_E_TOO_LARGE, NULL, "the path %.64s… is too long", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return emp_file_fail(err, "create", tmp);
    int r = emp_fd_write_all(fd, data, len) < 0 ? emp_file_fail(err, "write", tmp)
                                                : emp_file_publish(fd, tmp, path, err);
    if (close(fd) < 0 && r == 0)
        r = emp_file_fail(err, "write", path);
    if (r < 0)
        unlink(tmp); // gone already where only the directory's fsync failed
    return r;
}

int emp_disk_free(const char *path, int64_t *ret_free, int64_t *ret_total, struct emp_error *err)
{
    struct statvfs v;
    if (statvfs(path, &v) < 0)
        return emp_file_fail(err, "look at the file system of", path);
    if (ret_free)
        *ret_free = (int64_t)(v.f_bavail * v.f_frsize);
    if (ret_total)
        *ret_total = (int64_t)(v.f_blocks * v.f_frsize);
    return 0;
}

static bool emp_path_part_is_safe(const char *part, size_t len)
{
    if (len == 0 || len > EMP_NAME_PART_MAX)
        return false;
    return !(part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')));
}

bool emp_path_is_safe_relative_str(struct emp_str path)
{
    if (path.len == 0 || path.len > EMP_NAME_TOTAL_MAX || !emp_utf8_valid(path.ptr, path.len))
        return false;
    size_t start = 0;
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        if (c < 0x20 || c == 0x7f || c == '\\')
            return false;
        if (c != '/')
            continue;
        if (!emp_path_part_is_safe(path.ptr + start, i - start))
            return false;
        start = i + 1;
    }
    return emp_path_part_is_safe(path.ptr + start, path.len - start);
}

bool emp_path_is_safe_relative(const char *path)
{
    size_t len = strnlen(path, EMP_NAME_TOTAL_MAX + 1);
    return emp_path_is_safe_relative_str((struct emp_str){path, (uint32_t)len});
}

int emp_path_join(char out[EMP_FILE_PATH_MAX], const char *dir, const char *name)
{
    size_t len = strlen(dir);
    const char *slash = len == 0 || dir[len - 1] == '/' ? "" : "/";
    int n = snprintf(out, EMP_FILE_PATH_MAX, "%s%s%s", dir, slash, name);
    return n < 0 || n >= EMP_FILE_PATH_MAX ? EMP_E_TOO_LARGE : 0;
}

/* Who holds it, for the message: the pid in the file, 0 when none can be read. */
static long emp_dir_lock_holder(int fd)
{
    char text[32];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    return strtol(text, NULL, 10);
}

int emp_dir_lock_take(struct emp_dir_lock *ret, const char *dir, struct emp_error *err)
{
    char path[EMP_FILE_PATH_MAX], pid[32];
    if (emp_path_join(path, dir, "lock") < 0)
        return emp_fail(err, EMP_E_TOO_LARGE, NULL, "the path %.64s… is too long", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return emp_file_fail(err, "lock", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int r = errno != EWOULDBLOCK
                    ? emp_file_fail(err, "lock", path)
                    : emp_fail(err, EMP_E_CONFLICT, NULL, "%s is in use by pid %ld", dir,
                               emp_dir_lock_holder(fd));
        close(fd);
        return r;
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n) {
        int r = emp_file_fail(err, "write", path);
        close(fd);
        return r;
    }
    ret->fd = fd;
    return 0;
}

void emp_dir_lock_release(struct emp_dir_lock *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

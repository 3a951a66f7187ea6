/* Files: reading whole, writing so that a crash leaves either the old or the new content,
 * directories, the lock on a data directory. Paths are NUL-terminated. All of these block for as
 * long as the disk does; call them off the loop where that matters. Thread-safe as far as two
 * threads do not work on the same path.
 *
 * Errors unless said otherwise: EMP_E_NOT_FOUND (ENOENT, ENOTDIR), EMP_E_FORBIDDEN (EACCES, EPERM,
 * EROFS), EMP_E_DISK_FULL (ENOSPC, EDQUOT, EFBIG), EMP_E_CONFLICT (EEXIST, ENOTEMPTY), EMP_E_IO;
 * `err` (may be NULL) names the path and the reason. */
#ifndef EMP_OS_FILES_H
#define EMP_OS_FILES_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { EMP_FILE_PATH_MAX = 4096, EMP_NAME_TOTAL_MAX = 1024, EMP_NAME_PART_MAX = 255 };

int emp_os_error(int errnum); /* the EMP_E_* of an errno, by the list above */

/* Reads a file into `buf`, which must be initialised (its maximum counts too) and is cleared first.
 * Larger than `max` bytes: EMP_E_TOO_LARGE. Works for files without a size (/proc). */
int emp_file_read_all(const char *path, size_t max, struct emp_buf *buf, struct emp_error *err);

/* Replaces `path` by `len` bytes: writes PATH.tmp-PID-N beside it, fsync, rename, fsync of the
 * directory. After success it is durable; after failure the old content stands (or the new one,
 * when only the last fsync failed) and nothing is left beside it. */
int emp_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
                          struct emp_error *err);

/* Makes a finished file visible under its name: fsync(fd), rename(from, to), fsync of to's
 * directory. Does not close fd. */
int emp_file_publish(int fd, const char *from, const char *to, struct emp_error *err);

/* Writes all of it, over short writes and EINTR. 0 or EMP_E_*. */
int emp_fd_write_all(int fd, const void *data, size_t len);

/* Raises this process's limit of open descriptors to the highest that the system allows it, and
 * returns it. For a process with many sockets; not for one that starts old programs, which inherit
 * it. */
uint32_t emp_fd_limit_raise(void);

/* mkdir -p: makes missing parents too; an existing directory is success (its mode is left alone), a
 * file in its place EMP_E_CONFLICT. */
int emp_dir_make(const char *path, mode_t mode, struct emp_error *err);
int emp_dir_make_parent(const char *path, mode_t mode,
                        struct emp_error *err); /* the directory that is to hold `path` */
int emp_dir_fsync(const char *path, struct emp_error *err);
int emp_dir_fsync_parent(const char *path,
                         struct emp_error *err); /* of the directory that holds `path` */

/* Removes a file, or a directory with all it holds. Never follows a symbolic link and never leaves
 * the tree, even when others rename in it. What is not there is success. Goes on after a failure
 * and reports the first. Depth at most 256. */
int emp_remove_tree(const char *path, struct emp_error *err);
int emp_dir_clear(const char *path, struct emp_error *err); /* all inside it, not itself */

/* Bytes on disk of all regular files below (st_blocks), symbolic links not followed. Negative:
 * EMP_E_*. */
int64_t emp_dir_bytes(const char *path, struct emp_error *err);

/* Bytes an unprivileged process may still write on the file system of `path`, and its size; each
 * may be NULL. */
int emp_disk_free(const char *path, int64_t *ret_free, int64_t *ret_total, struct emp_error *err);

/* May a name from outside be used as a path below a directory of ours? No absolute path; no empty,
 * "." or ".." component; no control characters, backslash or invalid UTF-8; components of at most
 * EMP_NAME_PART_MAX, the whole at most EMP_NAME_TOTAL_MAX bytes. Pure. */
bool emp_path_is_safe_relative(const char *path);
bool emp_path_is_safe_relative_str(struct emp_str path); /* a NUL inside makes it unsafe */

/* "a/b" from "a" and "b" into out[EMP_FILE_PATH_MAX], "b" from "" and "b"; EMP_E_TOO_LARGE when it
 * does not fit. */
int emp_path_join(char out[EMP_FILE_PATH_MAX], const char *dir, const char *name);

/* The lock on a data directory: DIR/lock, flock(2)ed and holding our pid; the kernel drops it when
 * the process ends, however it ends. Taken: EMP_E_CONFLICT, "DIR is in use by pid N". */
struct emp_dir_lock {
    int fd; /* -1: not held */
};
int emp_dir_lock_take(struct emp_dir_lock *ret, const char *dir, struct emp_error *err);
void emp_dir_lock_release(
    struct emp_dir_lock *l); /* the file stays: removing it would race with the next */

#endif

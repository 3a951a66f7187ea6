/* Child processes with limits, on a libuv loop.
 *
 * Between us and the program stands a small supervisor: this very executable, started again as
 * `/proc/self/exe __exec …`, which main() must hand over to first of all (emp_process_shim_main).
 * The supervisor starts the program in a process group of its own, with the limits set, and
 *   - passes SIGTERM and SIGKILL on to the whole group;
 *   - when the program has ended, or we have died (however), kills what is left of the group and of
 *     all descendants, also of those that left the group (it is their subreaper), and waits for
 *     them;
 *   - then ends as the program ended (same exit status, or same signal).
 *
 * So no process of a run outlives the run or us. Rejected: exec in place with PR_SET_PDEATHSIG,
 * which loses grandchildren; killing a group from here, which races with the reuse of its number.
 *
 * All functions and callbacks: on the loop's thread, which must live as long as its children (they
 * are told of the death of that thread). Nothing blocks. No shell is ever involved. stdin is
 * /dev/null. */
#ifndef EMP_OS_PROCESS_H
#define EMP_OS_PROCESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
    EMP_PROCESS_LINE_DEFAULT = 4096,
    EMP_PROCESS_TAIL_DEFAULT = 8192,
    EMP_PROCESS_GRACE_MS = 5000,
    EMP_PROCESS_DRAIN_MS =
        1000, /* output held open by others is waited for so long after the end */
    EMP_PROCESS_ARGS_MAX = 1024,
};

/* How it ended. Exactly one of: started is false; exit_status ≥ 0; signal > 0. */
struct emp_process_end {
    bool started;    /* false: the program could not be executed: `code` and `text` say why;
                        exit_status is 127 */
    int exit_status; /* -1 when a signal ended it */
    int signal;      /* 0 when it exited by itself */
    int code; /* 0: exit status 0. EMP_E_NOT_FOUND, EMP_E_FORBIDDEN, EMP_E_INVALID, EMP_E_IO: not
                 started. EMP_E_CANCELLED: ended after emp_process_kill. EMP_E_LIMIT: by SIGXFSZ or
                 SIGXCPU, or stdout was longer than allowed. Else EMP_E_JOB_FAILED */
    char text[512]; /* sentence for people: "exited with status 3", "was killed by SIGKILL" …; empty
                       when code is 0 */
    const char *stderr_tail; /* last bytes of stderr, NUL-terminated, borrowed for the call */
    size_t stderr_tail_len;
    int64_t wall_ms; /* from start to end */
    int64_t
        cpu_ms; /* of the program and its awaited descendants, user + system; 0 when not known */
    int64_t rss_bytes_max; /* largest resident set of one process; 0 when not known */
};

/* Everything is copied at start. NULL or 0: the default named. */
struct emp_process_options {
    const char *const *
        argv; /* NULL-terminated, argv[0] found by PATH of the child's environment; at most 1,024 */
    const char *const *env; /* NULL-terminated "NAME=value", over what is inherited; may be NULL */
    bool clear_env;         /* inherit only PATH, HOME, LANG, TMPDIR */
    const char *cwd;        /* NULL: ours */
    int64_t memory_bytes_max; /* address space of each process (RLIMIT_AS); 0: no limit */
    int64_t file_bytes_max;   /* of each file written (RLIMIT_FSIZE); 0: no limit */
    int64_t stdout_bytes_max; /* beyond it the run is killed; 0: no limit */
    int64_t cpu_s_max;        /* of each process (RLIMIT_CPU); 0: no limit */
    bool no_new_privs;        /* the program cannot gain rights (setuid, sudo) */
    int grace_ms;             /* between SIGTERM and SIGKILL; 0: EMP_PROCESS_GRACE_MS */
    size_t line_bytes_max;    /* 0: EMP_PROCESS_LINE_DEFAULT */
    size_t stderr_tail_max;   /* 0: EMP_PROCESS_TAIL_DEFAULT */

    void *ctx;
    /* The program is executing. Before on_exit, at most once; its first output may be faster. May
     * be NULL. */
    void (*on_running)(void *ctx);
    /* A line of stdout without its newline (a carriage return ends one too: progress bars). Longer
     * than the maximum: the first bytes, with `cut`, the rest of the line is dropped. Not
     * NUL-terminated. May be NULL. */
    void (*on_line)(void *ctx, const char *line, size_t len, bool cut);
    /* stdout as bytes, before lines are made of it. May be NULL. */
    void (*on_stdout)(void *ctx, const char *data, size_t len);
    /* Exactly once, after all output was delivered; then the process no longer exists (do not use
     * the pointer). Never from inside emp_process_start or emp_process_kill. */
    void (*on_exit)(void *ctx, const struct emp_process_end *end);
};

struct emp_process;

/* 0: on_exit will come. Negative: nothing was started and no callback comes: EMP_E_INVALID (argv),
 * EMP_E_IO, EMP_E_INTERNAL. A program that cannot be executed is reported by on_exit. */
int emp_process_start(uv_loop_t *loop, const struct emp_process_options *o,
                      struct emp_process **ret, struct emp_error *err);

/* Asks it to end: SIGTERM to the group, after grace_ms SIGKILL; hard: SIGKILL at once. May be
 * repeated. */
void emp_process_kill(struct emp_process *p, bool hard);

int emp_process_pid(const struct emp_process *p); /* of the supervisor */

/* First thing in main(): when this process was started as a supervisor, does that work and never
 * returns; else returns at once. */
void emp_process_shim_main(int argc, char **argv);

#endif

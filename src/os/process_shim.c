/* The supervisor between us and a program; process.h says what for. Single-threaded, takes every
 * signal synchronously (sigwaitinfo), so there are no handlers and no races between them.
 *
 * The program leads a process group of its own. While its zombie is kept (WNOWAIT) the group's
 * number cannot be given to others, so the last kill of the group hits nobody else. Descendants
 * that left the group come to us as their subreaper, and are found in /proc/self/task/PID/children;
 * killing goes on until there are none. */
#include "os/process.h"
#include "os/process_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const int taken[] = {SIGCHLD,
                            SIGINT,
                            SIGHUP,
                            SIGQUIT,
                            EMP_SHIM_SIGNAL_SOFT,
                            EMP_SHIM_SIGNAL_HARD,
                            EMP_SHIM_SIGNAL_ORPHAN};

struct emp_shim {
    pid_t parent;  /* whose death ends all */
    pid_t program; /* leader of its group */
};

static void emp_shim_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void emp_shim_report(const char *fmt, ...)
{
    char line[64];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    /* A pipe takes a short line at once; when nobody reads any more, nobody wants to know. */
    if (n > 0 && write(EMP_SHIM_REPORT_FD, line, (size_t)n) < 0)
        return;
}

static void emp_shim_limit(int resource, const char *text)
{
    rlim_t want = (rlim_t)strtoull(text, NULL, 10);
    struct rlimit l;
    if (want == 0 || getrlimit(resource, &l) < 0)
        return;
    if (l.rlim_max == RLIM_INFINITY || want < l.rlim_max)
        l.rlim_max = want;
    l.rlim_cur = l.rlim_max;
    if (resource == RLIMIT_CPU && l.rlim_max != RLIM_INFINITY)
        l.rlim_max++; // SIGXCPU first, SIGKILL a second later
    setrlimit(resource, &l);
}

/* execvp without its last resort: that gives to a shell what is no program. Returns only when
 * nothing could be executed, with the most telling errno. */
static void emp_shim_exec(char **argv)
{
    const char *path = getenv("PATH");
    if (strchr(argv[0], '/')) {
        execv(argv[0], argv);
        return;
    }
    int why = ENOENT;
    for (const char *at = path ? path : "/usr/bin:/bin"; at;
         at = strchr(at, ':'), at += at != NULL) {
        char file[PATH_MAX];
        int dir = (int)strcspn(at, ":");
        int n = snprintf(file, sizeof file, "%.*s%s%s", dir, at, dir ? "/" : "", argv[0]);
        if (n < 0 || (size_t)n >= sizeof file)
            continue;
        execv(file, argv);
        if (errno != ENOENT && errno != ENOTDIR)
            why = errno;
        if (why != ENOENT && why != EACCES)
            break;
    }
    errno = why;
}

/* In the forked child. `gate` closes when it becomes the program, or takes why it could not. */
static _Noreturn void emp_shim_become(pid_t supervisor, int gate, char **argv)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor)
        _exit(EMP_SHIM_EXEC_FAILED);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    emp_shim_limit(RLIMIT_FSIZE, argv[EMP_SHIM_ARG_FILE]);
    emp_shim_limit(RLIMIT_CPU, argv[EMP_SHIM_ARG_CPU]);
    if (argv[EMP_SHIM_ARG_NNP][0] == '1')
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    emp_shim_limit(RLIMIT_AS, argv[EMP_SHIM_ARG_MEMORY]);
    sigset_t none_blocked;
    sigemptyset(&none_blocked);
    sigprocmask(SIG_SETMASK, &none_blocked, NULL);
    emp_shim_exec(argv + EMP_SHIM_ARG_PROGRAM);
    int why = errno;
    _exit(write(gate, &why, sizeof why) > 0 ? EMP_SHIM_EXEC_FAILED : EXIT_FAILURE);
}

/* Waits until the child has become the program, or could not, and tells which. Nothing in between
 * waits for anybody. */
static void emp_shim_tell_begin(int gate)
{
    int why;
    ssize_t n;
    while ((n = read(gate, &why, sizeof why)) < 0 && errno == EINTR)
        continue;
    if (n == (ssize_t)sizeof why)
        emp_shim_report("exec %d\n", why);
    else
        emp_shim_report("running\n");
    close(gate);
}

/* SIGKILL to every child we have now; those of the dead will be ours next. */
static void emp_shim_kill_children(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    long pid;
    while (fscanf(f, "%ld", &pid) == 1)
        kill((pid_t)pid, SIGKILL);
    fclose(f);
}

static void emp_shim_kill_all(const struct emp_shim *s)
{
    kill(-s->program, SIGKILL);
    emp_shim_kill_children();
}

/* Reaps adopted children. True: the program has ended; it stays a zombie. */
static bool emp_shim_program_ended(const struct emp_shim *s)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)s->program, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid != 0)
            return true;
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return false;
        if (info.si_pid != s->program)
            waitpid(info.si_pid, NULL, 0);
    }
}

static void emp_shim_watch(const struct emp_shim *s, const sigset_t *set)
{
    while (!emp_shim_program_ended(s)) {
        int sig = sigwaitinfo(set, NULL);
        if (sig == EMP_SHIM_SIGNAL_SOFT) {
            kill(-s->program, SIGTERM);
            kill(-s->program, SIGCONT); // a stopped one must wake up to hear it
        } else if (sig == EMP_SHIM_SIGNAL_HARD ||
                   (sig == EMP_SHIM_SIGNAL_ORPHAN && getppid() != s->parent)) {
            emp_shim_kill_all(s);
        }
    }
}

/* Ends all that is left and returns the program's wait status. */
static int emp_shim_bury(const struct emp_shim *s)
{
    int status = 0, other;
    kill(-s->program, SIGKILL);
    waitpid(s->program, &status, 0);
    do
        emp_shim_kill_children();
    while (waitpid(-1, &other, 0) > 0 || errno == EINTR);
    return status;
}

static _Noreturn void emp_shim_end_like(int status)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    long long cpu_ms = (long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
                       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
    emp_shim_report("usage %lld %lld\n", cpu_ms, (long long)u.ru_maxrss * 1024);
    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status));
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(WTERMSIG(status), SIG_DFL);
    sigset_t none_blocked;
    sigemptyset(&none_blocked);
    sigprocmask(SIG_SETMASK, &none_blocked, NULL);
    raise(WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

/* Only the program shall hold its pipes: their end is its end. */
static void emp_shim_let_go_of_output(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < EMP_SHIM_REPORT_FD; fd++)
        dup2(null, fd);
    if (null > EMP_SHIM_REPORT_FD)
        close(null);
}

void emp_process_shim_main(int argc, char **argv)
{
    if (argc <= EMP_SHIM_ARG_PROGRAM || strcmp(argv[EMP_SHIM_ARG_WORD], EMP_SHIM_WORD) != 0)
        return;
    struct emp_shim s = {.parent = (pid_t)strtol(argv[EMP_SHIM_ARG_PARENT], NULL, 10)};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaddset(&set, taken[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fcntl(EMP_SHIM_REPORT_FD, F_SETFD, FD_CLOEXEC);
    close_range(EMP_SHIM_REPORT_FD + 1, UINT_MAX, 0); // whatever was forgotten to be closed on exec
    prctl(PR_SET_NAME, "emp-exec");
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, EMP_SHIM_SIGNAL_ORPHAN);
    if (getppid() != s.parent)
        _exit(EMP_SHIM_EXEC_FAILED); // it died before we could ask to be told
    pid_t self = getpid();
    int gate[2] = {-1, -1};
    s.program = pipe2(gate, O_CLOEXEC) == 0 ? fork() : -1;
    if (s.program < 0) {
        emp_shim_report("exec %d\n", errno);
        _exit(EMP_SHIM_EXEC_FAILED);
    }
    if (s.program == 0)
        emp_shim_become(self, gate[1], argv);
    setpgid(s.program, s.program); // whoever is first; the other finds it done
    close(gate[1]);
    emp_shim_tell_begin(gate[0]);
    emp_shim_let_go_of_output();
    emp_shim_watch(&s, &set);
    emp_shim_end_like(emp_shim_bury(&s));
}

#include "cli/bench_broker.h"

#include "os/clock.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 16, SYNCS = 100, SYNC_BYTES = 4096, LINE_BYTES = 512 };

/* ------------------------------------------------------------------ our own */

/* In the child. It dies with us, however we end. */
static void become_broker(const struct emp_bench_broker *b, const char *config, int out)
{
    const char *argv[ARGS_MAX] = {"emp",    "serve", "--listen",    "127.0.0.1:0",
                                  "--data", b->data, "--log-level", "warn"};

    if (config) {
        argv[8] = "--config";
        argv[9] = config;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    execv("/proc/self/exe", (char **)argv);
    _exit(127);
}

static int find_address(struct emp_bench_broker *b, const char *url, struct emp_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char host[256], port[16];
    int r = EAI_NONAME;

    if (sscanf(url, "http://[%255[^]]]:%15[0-9]", host, port) == 2 ||
        sscanf(url, "http://%255[^:/]:%15[0-9]", host, port) == 2)
        r = getaddrinfo(host, port, &hints, &found);
    if (r != 0)
        return emp_fail(err, EMP_E_INVALID, NULL, "\"%s\" is no http://HOST:PORT that is known: %s",
                        url, gai_strerror(r));
    memcpy(&b->address, found->ai_addr, found->ai_addrlen);
    b->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int emp_bench_broker_find(struct emp_bench_broker *b, const char *url, struct emp_error *err)
{
    *b = (struct emp_bench_broker){0};
    return find_address(b, url, err);
}

/* Its first line says where it listens. */
static int read_address(struct emp_bench_broker *b, FILE *out, struct emp_error *err)
{
    char line[LINE_BYTES];
    const char *url = fgets(line, sizeof line, out) ? strstr(line, "http://") : NULL;

    if (!url)
        return emp_fail(err, EMP_E_UNAVAILABLE, NULL, "the broker to be measured did not start");
    line[strcspn(line, "\n")] = 0;
    return find_address(b, url, err);
}

int emp_bench_broker_start(struct emp_bench_broker *b, const char *parent, const char *config,
                           struct emp_error *err)
{
    int pipes[2];

    *b = (struct emp_bench_broker){0};
    if (snprintf(b->data, sizeof b->data, "%s/emp-bench-XXXXXX", parent) >= (int)sizeof b->data)
        return emp_fail(err, EMP_E_INVALID, "dir", "the path is too long");
    if (!mkdtemp(b->data))
        return emp_fail(err, emp_os_error(errno), "dir", "a directory in %s: %m", parent);
    if (pipe2(pipes, O_CLOEXEC) < 0 || (b->pid = fork()) < 0) {
        b->pid = 0;
        return emp_fail(err, EMP_E_INTERNAL, NULL, "starting a broker: %m");
    }
    if (b->pid == 0)
        become_broker(b, config, pipes[1]);
    close(pipes[1]);
    FILE *out = fdopen(pipes[0], "r");
    int r = out ? read_address(b, out, err) : EMP_E_INTERNAL;
    if (out)
        fclose(out);
    if (r < 0)
        emp_bench_broker_stop(b);
    return r;
}

int64_t emp_bench_broker_stop(struct emp_bench_broker *b)
{
    struct rusage use = {0};

    if (b->pid > 0) {
        kill(b->pid, SIGTERM);
        while (wait4(b->pid, NULL, 0, &use) < 0 && errno == EINTR)
            ;
    }
    if (b->data[0])
        emp_remove_tree(b->data, NULL);
    *b = (struct emp_bench_broker){0};
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * INT64_C(1000000) + use.ru_utime.tv_usec +
           use.ru_stime.tv_usec;
}

/* ------------------------------------------------------------------ the machine */

static void find_cpu(char *ret, size_t size)
{
    struct emp_buf text;

    snprintf(ret, size, "unknown CPU");
    emp_buf_init(&text, 1 << 20);
    if (emp_file_read_all("/proc/cpuinfo", 1 << 20, &text, NULL) == 0) {
        const char *line = strstr(text.data, "model name");
        const char *value = line ? strchr(line, ':') : NULL;
        if (value)
            snprintf(ret, size, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
    }
    emp_buf_release(&text);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int measure_sync(const char *dir, int64_t *ret_us, struct emp_error *err)
{
    static const char zeros[SYNC_BYTES];
    int64_t times[SYNCS];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return emp_fail(err, emp_os_error(errno), "dir", "a file in %s: %m", dir);
    int r = 0;
    for (unsigned i = 0; i < SYNCS && r == 0; i++) {
        int64_t began = emp_mono_us();
        r = emp_fd_write_all(fd, zeros, sizeof zeros);
        if (r == 0 && fdatasync(fd) < 0)
            r = emp_os_error(errno);
        times[i] = emp_mono_us() - began;
    }
    close(fd);
    if (r < 0)
        return emp_fail(err, r, "dir", "writing to %s: %s", dir, emp_error_text(r));
    qsort(times, SYNCS, sizeof *times, compare);
    *ret_us = times[SYNCS / 2];
    return 0;
}

int emp_bench_machine(const char *dir, struct emp_bench_machine *ret, struct emp_error *err)
{
    struct utsname u;

    *ret = (struct emp_bench_machine){.cores = sysconf(_SC_NPROCESSORS_ONLN)};
    find_cpu(ret->cpu, sizeof ret->cpu);
    if (uname(&u) == 0)
        snprintf(ret->kernel, sizeof ret->kernel, "%s %s", u.sysname, u.release);
    return measure_sync(dir, &ret->sync_us, err);
}

/* The broker that `emp bench` measures: one of its own, a process in a fresh directory, or one that
 * runs already. And the machine it runs on, in words. */
#ifndef EMP_CLI_BENCH_BROKER_H
#define EMP_CLI_BENCH_BROKER_H

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct emp_bench_broker {
    struct sockaddr_storage address;
    socklen_t address_len;
    pid_t pid;       /* 0: not ours */
    char data[4096]; /* its directory, removed at the end */
};

/* `emp serve` in a new directory below `parent`, with `config` (NULL: none); returns when it
 * listens. EMP_E_UNAVAILABLE: it ended instead; what it says is on stderr. */
int emp_bench_broker_start(struct emp_bench_broker *b, const char *parent, const char *config,
                           struct emp_error *err);
/* One that runs, http://HOST:PORT. */
int emp_bench_broker_find(struct emp_bench_broker *b, const char *url, struct emp_error *err);
/* Ends ours and removes its directory; the CPU time it took, in µs. Not ours: 0. */
int64_t emp_bench_broker_stop(struct emp_bench_broker *b);

struct emp_bench_machine {
    char cpu[128];    /* model */
    char kernel[192]; /* "Linux 6.1.0-13-amd64" */
    long cores;
    int64_t sync_us; /* median of 100: 4 KiB appended to a file, fdatasync */
};
/* `dir` is where the broker's data will be. */
int emp_bench_machine(const char *dir, struct emp_bench_machine *ret, struct emp_error *err);

#endif

/* What the two sides of a supervisor's pipe agree on: process.c writes the command line and reads
 * the reports, process_shim.c the other way round. Both come from one binary, so there is no
 * version.
 *
 * Command line: /proc/self/exe __exec PPID MEMORY FILE CPU NNP argv…      (decimal; 0: no limit)
 * Reports on descriptor 3, one per line:   running         the program is executing
 *                                          exec ERRNO      or it could not be executed
 *                                          usage CPU_MS RSS_BYTES */
#ifndef EMP_OS_PROCESS_INTERNAL_H
#define EMP_OS_PROCESS_INTERNAL_H

#include <signal.h>

#define EMP_SHIM_WORD "__exec"

enum {
    EMP_SHIM_ARG_WORD = 1,
    EMP_SHIM_ARG_PARENT,
    EMP_SHIM_ARG_MEMORY,
    EMP_SHIM_ARG_FILE,
    EMP_SHIM_ARG_CPU,
    EMP_SHIM_ARG_NNP,
    EMP_SHIM_ARG_PROGRAM,
    EMP_SHIM_REPORT_FD = 3,
    EMP_SHIM_EXEC_FAILED = 127,
    EMP_SHIM_SIGNAL_SOFT = SIGTERM,   /* SIGTERM to the group */
    EMP_SHIM_SIGNAL_HARD = SIGUSR1,   /* SIGKILL to all */
    EMP_SHIM_SIGNAL_ORPHAN = SIGUSR2, /* from the kernel: the parent has died */
};

#endif

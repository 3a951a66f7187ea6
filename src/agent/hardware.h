/* What this machine has: processors and memory (as far as this container may use them), GPUs
 * through NVML, which is loaded at run time where it is there. Reads /proc and /sys once; blocks
 * for some milliseconds, with NVML for longer. One thread. */
#ifndef EMP_AGENT_HARDWARE_H
#define EMP_AGENT_HARDWARE_H

#include "base/arena.h"
#include "domain/machine.h"

/* Where it looks. NULL, all of it or one: the usual place. */
struct emp_hardware_sources {
    const char *nvml;   /* library; libnvidia-ml.so.1 */
    const char *cgroup; /* directory, version 1 or 2; /sys/fs/cgroup */
};

/* Fills cpu_cores, ram_bytes and gpus of *facts; strings in the arena. */
void emp_hardware_find(struct emp_arena *a, const struct emp_hardware_sources *from,
                       struct emp_machine_facts *facts);

/* 0 … 1: how busy the processors were in the last minute; 0 where that is not known. */
double emp_hardware_cpu_load(double cpu_cores);

#endif

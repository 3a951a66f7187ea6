/* NVML's header is not in Debian's main section; the few functions that are needed are declared
 * here, as in NVIDIA's NVML API reference (ABI stable since the "_v2" entry points). */
#include "agent/hardware.h"

#include "os/files.h"
#include "os/log.h"

#include <dlfcn.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

enum { NVML_SUCCESS = 0, NVML_NAME_BYTES = 96, CGROUP_TEXT_MAX = 4096 };

struct nvml_memory {
    unsigned long long total, free, used;
};

struct nvml {
    void *library;
    int (*init)(void);
    int (*shutdown)(void);
    int (*count)(unsigned *count);
    int (*handle)(unsigned index, void **device);
    int (*name)(void *device, char *name, unsigned length);
    int (*memory)(void *device, struct nvml_memory *memory);
};

static bool nvml_open(struct nvml *n, const char *name)
{
    n->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (n->library == NULL)
        return false;
    const struct {
        void **to;
        const char *symbol;
    } symbols[] = {
        {(void **)&n->init, "nvmlInit_v2"},
        {(void **)&n->shutdown, "nvmlShutdown"},
        {(void **)&n->count, "nvmlDeviceGetCount_v2"},
        {(void **)&n->handle, "nvmlDeviceGetHandleByIndex_v2"},
        {(void **)&n->name, "nvmlDeviceGetName"},
        {(void **)&n->memory, "nvmlDeviceGetMemoryInfo"},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        *symbols[i].to = dlsym(n->library, symbols[i].symbol);
        if (*symbols[i].to == NULL) {
            emp_log(EMP_LOG_WARN, "hardware", "%s has no %s: GPUs are not seen", name,
                    symbols[i].symbol);
            dlclose(n->library);
            return false;
        }
    }
    if (n->init() == NVML_SUCCESS)
        return true;
    emp_log(EMP_LOG_WARN, "hardware", "%s is there but finds no driver: GPUs are not seen", name);
    dlclose(n->library);
    return false;
}

static void find_gpus(struct emp_arena *a, const char *name, struct emp_machine_facts *facts)
{
    struct nvml n;
    unsigned count = 0;

    facts->gpu_count = 0;
    if (!nvml_open(&n, name))
        return;
    if (n.count(&count) != NVML_SUCCESS)
        count = 0;
    if (count > EMP_MACHINE_GPUS_MAX)
        count = EMP_MACHINE_GPUS_MAX;
    facts->gpus = emp_arena_array(a, struct emp_gpu, count);
    for (unsigned i = 0; i < count; i++) {
        char text[NVML_NAME_BYTES] = "";
        struct nvml_memory memory;
        void *device;
        if (n.handle(i, &device) != NVML_SUCCESS || n.memory(device, &memory) != NVML_SUCCESS) {
            emp_log(EMP_LOG_WARN, "hardware", "GPU %u does not answer: left out", i);
            continue;
        }
        if (n.name(device, text, sizeof text) != NVML_SUCCESS)
            text[0] = '\0';
        text[sizeof text - 1] = '\0';
        facts->gpus[facts->gpu_count++] = (struct emp_gpu){
            .model = emp_str_copy(a, emp_str_z(text)), .memory_bytes = (int64_t)memory.total};
    }
    n.shutdown();
    dlclose(n.library);
}

/* First number(s) of a cgroup file; how many ("max", or no such file: 0). */
static int cgroup_numbers(const char *dir, const char *name, double *first, double *second)
{
    char path[PATH_MAX];
    struct emp_buf b;
    int count = 0;

    emp_buf_init(&b, CGROUP_TEXT_MAX);
    if (snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path &&
        emp_file_read_all(path, CGROUP_TEXT_MAX, &b, NULL) == 0 && b.data)
        count = sscanf(b.data, "%lf %lf", first, second);
    emp_buf_release(&b);
    return count > 0 ? count : 0;
}

/* Rented machines still come with the first version of cgroups as well as with the second. */
static double cpu_cores(const char *cgroup)
{
    cpu_set_t set;
    double cores = 1, quota = 0, period = 0, unused;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cores = CPU_COUNT(&set);
    if (cgroup_numbers(cgroup, "cpu.max", &quota, &period) < 2 &&
        (cgroup_numbers(cgroup, "cpu/cpu.cfs_quota_us", &quota, &unused) < 1 ||
         cgroup_numbers(cgroup, "cpu/cpu.cfs_period_us", &period, &unused) < 1))
        return cores;
    return quota > 0 && period > 0 && quota / period < cores ? quota / period : cores;
}

static int64_t ram_bytes(const char *cgroup)
{
    struct sysinfo info;
    double limit = 0, unused;
    int64_t bytes = 0;

    if (sysinfo(&info) == 0)
        bytes = (int64_t)info.totalram * info.mem_unit;
    if (cgroup_numbers(cgroup, "memory.max", &limit, &unused) == 0)
        cgroup_numbers(cgroup, "memory/memory.limit_in_bytes", &limit, &unused);
    return limit > 0 && limit < (double)bytes ? (int64_t)limit : bytes;
}

void emp_hardware_find(struct emp_arena *a, const struct emp_hardware_sources *from,
                       struct emp_machine_facts *facts)
{
    const char *cgroup = from && from->cgroup ? from->cgroup : "/sys/fs/cgroup";

    facts->cpu_cores = cpu_cores(cgroup);
    facts->ram_bytes = ram_bytes(cgroup);
    find_gpus(a, from && from->nvml ? from->nvml : "libnvidia-ml.so.1", facts);
}

double emp_hardware_cpu_load(double cores)
{
    double load;

    if (getloadavg(&load, 1) != 1 || cores <= 0)
        return 0;
    load /= cores;
    return load > 1 ? 1 : load;
}

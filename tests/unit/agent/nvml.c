/* A stand-in for libnvidia-ml.so.1: what it finds is said by $FAKE_NVML, a comma-separated list of
 * "NAME:MEMORY" (or "broken"); "none" finds no driver. NVML's own numbers: 0 success, 9 driver not
 * loaded, 999 unknown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
int nvmlDeviceGetName(void *device, char *name, unsigned length);
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long memory[3]);

static const char *list(void)
{
    const char *text = getenv("FAKE_NVML");
    return text ? text : "none";
}

int nvmlInit_v2(void)
{
    return strcmp(list(), "none") == 0 ? 9 : 0;
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = *list() != '\0';
    for (const char *p = list(); *p; p++)
        *count += *p == ',';
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
    const char *p = list();
    for (; index; index--)
        p = strchr(p, ',') + 1;
    *device = (void *)(size_t)p;
    return strncmp(p, "broken", 6) == 0 ? 999 : 0;
}

int nvmlDeviceGetName(void *device, char *name, unsigned length)
{
    snprintf(name, length, "%.*s", (int)strcspn(device, ":"), (char *)device);
    return 0;
}

int nvmlDeviceGetMemoryInfo(void *device, unsigned long long memory[3])
{
    memory[0] = strtoull(strchr(device, ':') + 1, NULL, 10);
    memory[1] = memory[0] - 1;
    memory[2] = 1;
    return 0;
}

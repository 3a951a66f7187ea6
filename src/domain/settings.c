/* The defaults of every brain setting. docs/configuration.md shows them beside their meaning; the
 * reasons that are not obvious stand here. */
#include "domain/settings.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define MB     INT64_C(1000000)
#define GB     (1000 * MB)

/* Disk ranges are those of the machines such jobs are rented for. Leaning: many small models come
 * and go in the fast lane, while one large model that takes minutes to fetch again is what a heavy
 * machine must not lose. */
static struct emp_pool pools[] = {
    {
        .name = {"fast-lane", 9},
        .run_ms_min = 0,
        .run_ms_max = 30 * SECOND,
        .disk_bytes_min = 20 * GB,
        .disk_bytes_max = 40 * GB,
        .cpu_cores_min = 2,
        .ram_gb_min = 4,
        .penalty_ms = 20 * SECOND,
        .evict_small_lean = 0.5,
    },
    {
        .name = {"standard", 8},
        .run_ms_min = 30 * SECOND,
        .run_ms_max = 3 * MINUTE,
        .disk_bytes_min = 80 * GB,
        .disk_bytes_max = 120 * GB,
        .gpu_memory_gb_min = 12,
        .cpu_cores_min = 4,
        .ram_gb_min = 16,
        .penalty_ms = 20 * SECOND,
    },
    {
        .name = {"heavy", 5},
        .run_ms_min = 3 * MINUTE,
        .run_ms_max = EMP_NEVER,
        .disk_bytes_min = 150 * GB,
        .disk_bytes_max = 300 * GB,
        .gpu_memory_gb_min = 24,
        .cpu_cores_min = 8,
        .ram_gb_min = 32,
        .penalty_ms = 20 * SECOND,
        .evict_small_lean = -0.5,
    },
};

static struct emp_str builtin_services[] = {{"simulation", 10}};

static const struct emp_settings defaults = {
    .pools = pools,
    .pool_count = sizeof pools / sizeof *pools,
    .builtin_services = builtin_services,
    .builtin_service_count = sizeof builtin_services / sizeof *builtin_services,
    .pending_max = 10000000,
    .machine_memory_ms = 24 * HOUR,
    .routing =
        {
            .pool_quantile = 0.8,
            .longer_job_weight = 0.3,
            .warm_wait_ms_max = 120 * SECOND,
            .link_bytes_per_s = 25 * MB,
            .load_bytes_per_s = 300 * MB,
            .ram_load_bytes_per_s = 2500 * MB,
            .displacement_weight = 1.0,
            .spare_weight = 0.6,
            .run_delta_weight = 0.1,
            .promise_ms = 10 * SECOND,
            .late_ms = 40 * SECOND,
            .hazard_per_hour = 0.0108,
            .failure_weight_ms = 30 * SECOND,
        },
    .fairness =
        {
            .point_ms = 60 * SECOND,
            .patience_ms = {600 * SECOND, 300 * SECOND, 120 * SECOND},
            .weight = {1, 3, 6},
        },
    .lease =
        {
            .beat_ms = 2 * SECOND,
            .silent_ms = 8 * SECOND,
            .closed_ms = 5 * SECOND,
            .start_grace_ms = 10 * SECOND,
        },
    .retry =
        {
            .base_ms = 1 * SECOND,
            .max_ms = 60 * SECOND,
            .jitter = 0.3,
            .max_retries = 3,
            .returns_max = 20,
            .losses_max = 3,
            .timeout_ms = 30 * MINUTE,
        },
    .blame =
        {
            .quarantine_failures = 3,
            .quarantine_ms = 5 * MINUTE,
        },
    .intelligence =
        {
            .on = true,
            .every_ms = 60 * SECOND,
        },
};

const struct emp_settings *emp_settings_default(void)
{
    return &defaults;
}

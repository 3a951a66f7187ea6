/* Every maximum of the project that is not a matter of configuration. What comes from outside is
 * held against these where it is parsed, so that brains may rely on them. */
#ifndef EMP_DOMAIN_LIMITS_H
#define EMP_DOMAIN_LIMITS_H

enum {
    EMP_NAME_MAX = 256,  /* bytes of an id or name: machine, customer, model, pool, region, key */
    EMP_PATH_MAX = 1024, /* bytes of a model's or output's relative path */
    EMP_URL_MAX = 2048,
    EMP_JSON_DEPTH_MAX = 64,
    EMP_JOB_MODELS_MAX = 64, /* models one job names */
    EMP_JOB_NODES_MAX = 128, /* custom nodes one job names */
    EMP_JOB_TAGS_MAX = 32,   /* compliance tags */
    EMP_JOB_REQUIREMENTS_MAX = 128,
    EMP_BATCH_JOBS_MAX = 10000,
    EMP_MODEL_URLS_MAX = 16,
    EMP_MODELS_MAX = 100000, /* catalogue */
    EMP_MACHINE_SLOTS_MAX = 1024,
    EMP_MACHINE_SERVICES_MAX = 64,
    EMP_MACHINE_CAPS_MAX = 512,
    EMP_MACHINE_NODES_MAX = 1024,
    EMP_MACHINE_GPUS_MAX = 32,
    EMP_MACHINES_MAX = 100000, /* remembered */
    EMP_POOLS_MAX = 256,
    EMP_ATTEMPT_OUTPUTS_MAX = 1024,
    EMP_ERROR_REPORT_MAX = 4096, /* bytes of an error text kept for an attempt */
    EMP_PROGRESS_TEXT_MAX = 512,
    EMP_DECISION_KEPT = 4,                    /* candidates kept with an assignment, best first */
    EMP_MESSAGE_BYTES_MAX = 32 * 1024 * 1024, /* one broker–agent message */
    EMP_RESULT_BYTES_MAX = 16 * 1024 *
                           1024, /* a result's JSON; anything larger belongs into an output file */
    EMP_PRIORITY_MAX = 1000000,  /* priorities lie in [-this, this] */
    EMP_RETRIES_MAX = 1000,
};

#define EMP_DURATION_MS_MAX \
    (30LL * 24 * 3600 * 1000)     /* longest estimate, timeout, lease: 30 days */
#define EMP_BYTES_MAX (1LL << 50) /* largest model, disk, memory */

#endif

/* Configuration: all that an operator can set, as plain structs, and where each value came from.
 *
 * One table (config/keys.def) knows every key: name, type, unit, default, range, meaning. From it
 * come the reader, the error texts, `emp config --dump` and docs/configuration.md. A value is
 * decided by the last of: default, configuration file (YAML; JSON is a subset), environment,
 * command line. One file may hold the broker's keys and the agent's (`agent:`).
 *
 * Ownership: strings and arrays live in the arena of the struct until _release; `settings`,
 * `models` and so on borrow from it. Not thread-safe while being filled, constant afterwards.
 * Reading blocks on the disk; nothing else here does.
 *
 * Bad input never crashes and never half-applies silently: every fault is collected (at most
 * EMP_CONFIG_FAULTS_MAX), each text says FILE:LINE, key, value and what is allowed. */
#ifndef EMP_CONFIG_CONFIG_H
#define EMP_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "domain/machine.h"
#include "domain/model.h"
#include "domain/settings.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EMP_CONFIG_BYTES_MAX = 64 * 1024 * 1024, /* of a configuration file */
    EMP_CONFIG_FAULTS_MAX = 20,              /* reported of one file */
    EMP_CONFIG_LIST_MAX = 4096,              /* elements of a list of texts */
    EMP_CONFIG_SERVICES_MAX = EMP_MACHINE_SERVICES_MAX,
};

enum emp_log_choice {
    EMP_LOG_CHOICE_ERROR,
    EMP_LOG_CHOICE_WARN,
    EMP_LOG_CHOICE_INFO,
    EMP_LOG_CHOICE_DEBUG
};

/* What of a finished command becomes the job's result; in the order of agent/agent.h's
 * emp_command_result. */
enum emp_result_choice { EMP_RESULT_CHOICE_STDOUT, EMP_RESULT_CHOICE_FILE, EMP_RESULT_CHOICE_NONE };

/* The broker's shell. Times in ms, sizes in bytes. */
struct emp_config_broker {
    struct emp_str listen; /* HOST:PORT, [V6]:PORT */
    struct emp_str data;   /* directory */
    uint32_t http_threads; /* 0: as the cores allow */
    uint32_t connections_max;
    uint32_t event_streams_max;
    int64_t idle_timeout_ms;
    int64_t body_bytes_max, batch_bytes_max, artifact_bytes_max;
    int64_t payload_cache_bytes;
    int64_t blackbox_bytes; /* 0: off */
    int64_t retention_ms;   /* EMP_NEVER: finished jobs are kept for ever */
    struct emp_str *cors_origins, *api_keys, *agent_tokens;
    uint32_t cors_count, api_key_count, agent_token_count;
};

/* A service of the agent's command connector. */
struct emp_config_service {
    struct emp_str name;  /* what jobs say in service_required */
    struct emp_str *argv; /* template; never given to a shell */
    struct emp_str *env;  /* "NAME=value", added to a minimal environment */
    uint32_t argv_count, env_count;
    int64_t timeout_ms;       /* of one run; 0: the job's own limit alone. The shorter counts */
    int64_t output_bytes_max; /* of all output files of a run */
    int64_t memory_bytes_max; /* address space; 0: no limit */
    struct emp_str progress;  /* what progress lines on standard output begin with */
    uint32_t result;          /* enum emp_result_choice */
};

/* The agent's shell. */
struct emp_config_agent {
    struct emp_str broker;                 /* ws://HOST:PORT or wss://… */
    struct emp_str token;                  /* bearer token; empty: none */
    struct emp_str data;                   /* directory */
    struct emp_str pool, region, provider; /* empty: not said */
    struct emp_str *connectors;
    struct emp_str *specialties, *compliance, *custom_nodes;
    struct emp_str *allowed_customers, *denied_customers;
    uint32_t connector_count, specialty_count, compliance_count, node_count, allowed_count,
        denied_count;
    uint32_t isolation;           /* enum emp_isolation */
    uint32_t slots;               /* 0: one per GPU, at least one */
    struct emp_str models_dir;    /* empty: DATA/models */
    int64_t disk_budget_bytes;    /* for models; 0: what is free at start, less a tenth */
    int64_t link_bytes_per_s_max; /* of each fetch; 0: no limit */
    uint32_t fetches_max;         /* at once */
    int64_t fetch_stall_ms;       /* a mirror that sends nothing for so long is given up */
    bool drain;                   /* SIGTERM: finish what runs first */
    int64_t drain_timeout_ms;     /* then what still runs is handed back; EMP_NEVER: no end */
    double evict_lean;            /* -1 … 1; where not said, that of the pool of its name */
    struct emp_capability *caps;  /* extra capabilities, flattened */
    uint32_t cap_count;
    struct emp_config_service *services;
    uint32_t service_count;
    int64_t simulation_run_ms; /* of a job that names no duration_ms */
};

/* Where a value came from: > 0 a line of the file, else one of these. */
enum { EMP_ORIGIN_DEFAULT = 0, EMP_ORIGIN_ENVIRONMENT = -1, EMP_ORIGIN_OPTION = -2 };

/* Origins of the elements of one map or list of records, one per key and element: lines[element *
 * keys + key]. */
struct emp_config_origins {
    int32_t *lines;
    uint32_t count, cap; /* cap: of `lines` and of the records themselves */
};

struct emp_config {
    struct emp_arena arena;
    bool log_json;
    uint32_t log_level;           /* enum emp_log_choice */
    struct emp_settings settings; /* of the brains: pools, routing, fairness, … */
    bool default_pools;           /* start from fast-lane, standard, heavy */
    struct emp_config_broker broker;
    struct emp_config_agent agent;
    struct emp_model *models; /* catalogue */
    uint32_t model_count;

    struct emp_str file; /* that was read; empty: none */
    int32_t *origins;    /* of the plain keys, by place in the table */
    struct emp_config_origins pool_origins, model_origins, service_origins;
    struct emp_error *faults; /* all that were found, in order */
    uint32_t fault_count;
};

/* Everything at its default. Always succeeds; release it with _release, also after failed calls
 * below. */
void emp_config_init(struct emp_config *c);
void emp_config_release(struct emp_config *c);

/* Reads a file, or text that is already in memory (`name` stands in messages). 0; or the code of
 * the first fault, which `err` (may be NULL) gets; all are in c->faults. EMP_E_IO: cannot be read.
 * At most once per struct. */
int emp_config_read_file(struct emp_config *c, const char *path, struct emp_error *err);
int emp_config_read_text(struct emp_config *c, const char *name, const char *text, size_t len,
                         struct emp_error *err);

/* Takes the environment variables that the table names; `get` is getenv, or a test's own. 0 or
 * EMP_E_INVALID. */
int emp_config_environment(struct emp_config *c, char *(*get)(const char *name),
                           struct emp_error *err);

/* Sets one plain key from text (a command line option); lists are separated by commas. 0;
 * EMP_E_INVALID with the allowed values in `err`; EMP_E_NOT_FOUND: no such key. `err->text` does
 * not name the option: the caller does. */
int emp_config_set(struct emp_config *c, const char *key, const char *value, struct emp_error *err);

/* What no single key can tell: ranges that contradict each other, unknown parents, duplicate names,
 * paths that leave their directory. _read_* call it; call it again after _environment and _set. 0
 * or the first fault, as above. */
int emp_config_check(struct emp_config *c, struct emp_error *err);

/* Effective values as YAML, each with its origin as a comment. Secrets appear as "***". */
void emp_config_dump(const struct emp_config *c, struct emp_buf *out);

/* The manual of all keys: docs/configuration.md. */
void emp_config_document(struct emp_buf *out);

#endif

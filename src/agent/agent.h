/* The agent's shell: link to the broker, model files, transfers, connectors, wired around the
 * machine's brain (machine/). `emp agent` fills the options (config/ and the command line decide
 * the values) and calls emp_agent_run, which owns the process until it is told to stop.
 *
 * One thread runs everything (a libuv loop); only hashing of found files, fsync and unlink of large
 * files go to libuv's thread pool. */
#ifndef EMP_AGENT_AGENT_H
#define EMP_AGENT_AGENT_H

#include "base/error.h"
#include "base/str.h"
#include "domain/job.h"
#include "domain/machine.h"

#include <stdbool.h>
#include <stdint.h>

/* What of a finished command becomes the job's `result`. */
enum emp_command_result {
    /* Standard output without progress lines: as JSON when it is JSON, else {"stdout": text}. */
    EMP_COMMAND_RESULT_STDOUT,
    /* The JSON in the file "result.json" of its scratch directory, which is no output. */
    EMP_COMMAND_RESULT_FILE,
    EMP_COMMAND_RESULT_NONE, /* null */
};

/* A service of the `command` connector: connectors/command.h says what a template may hold. 0 or
 * empty is the default named. */
struct emp_command_service {
    struct emp_str name; /* what jobs say in service_required */
    /* Template; never given to a shell. argv[0] has no placeholder, and is found by PATH. */
    const struct emp_str *argv;
    const struct emp_str *env; /* "NAME=value", added to PATH, HOME, LANG, TMPDIR */
    uint32_t argv_count, env_count;
    int64_t timeout_ms; /* of one run; 0: the job's own limit alone. The shorter of both counts */
    int64_t output_bytes_max; /* all output files and stdout of a run; 0: 1 GB */
    int64_t memory_bytes_max; /* address space of each process; 0: no limit */
    /* Lines of stdout that begin so and go on with a number (0…100) are progress; empty:
     * "progress". */
    struct emp_str progress;
    enum emp_command_result result;
};

/* All strings and arrays are borrowed and must live until emp_agent_run returns. */
struct emp_agent_options {
    struct emp_str broker; /* ws://HOST:PORT, wss://HOST:PORT; http(s):// is taken as ws(s):// */
    struct emp_str token;  /* bearer token (EMP_AGENT_TOKEN); empty: none */
    struct emp_str data;   /* directory; created when missing. Empty: ./emp-agent */
    struct emp_str pool, region, provider; /* empty: not said */
    /* Names; none: "simulation", and "command" where it has services. */
    const struct emp_str *connectors;
    const struct emp_str *specialties, *compliance, *custom_nodes;
    const struct emp_str *allowed_customers, *denied_customers;
    uint32_t connector_count, specialty_count, compliance_count, node_count, allowed_count,
        denied_count;
    const struct emp_capability *caps; /* extra capabilities, flattened */
    uint32_t cap_count;
    enum emp_isolation isolation;
    uint32_t slots;            /* 0: one per GPU, at least one */
    struct emp_str models_dir; /* empty: DATA/models */
    /* For models; 0: what is free at start plus what models take already, less a tenth. */
    int64_t disk_budget_bytes;
    int64_t link_bytes_per_s_max; /* of each fetch; 0: no limit */
    uint32_t fetches_max;         /* at once; 0: 3 */
    int64_t fetch_stall_ms;       /* a mirror that sends nothing for so long is given up; 0: 30 s */
    /* SIGTERM, SIGINT: finish what runs first; a second one hands it back, a third exits at once.
     */
    bool drain;
    int64_t drain_timeout_ms; /* then what still runs is handed back; 0 or EMP_NEVER: no end */
    double evict_lean;        /* eviction leaning of its pool: 1 keeps small, -1 keeps large */
    const struct emp_command_service *services;
    uint32_t service_count;
    int64_t simulation_run_ms; /* of a simulation job that names no duration_ms; 0: 1 s */
};

/* Runs an agent until SIGTERM or SIGINT, or until the broker tells it to leave. Prints "emp: agent
 * ID connected to URL" on stdout (flushed) at the first WELCOME. Returns 0 after an orderly end, or
 * an EMP_E_* with the reason logged: INVALID (options), IO (data directory), CONFLICT (data
 * directory in use), UNAUTHORIZED, FORBIDDEN or PROTOCOL (the broker refuses it for good). At most
 * one at a time in a process. */
int emp_agent_run(const struct emp_agent_options *o);

#endif

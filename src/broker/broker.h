/* The broker's shell: HTTP API, agents' links, event streams, store and core wired together. `emp
 * serve` fills the options (config/ and the command line decide the values) and calls
 * emp_broker_run, which owns the process until it is told to stop.
 *
 * Threads: N HTTP threads (parse, validate, read the store), one loop thread (the core, agents'
 * WebSockets, event streams), one writer thread (commits), one reader thread (payloads that have
 * left the cache). Nothing another party can see happens before what it rests on is durable: a
 * request's reply, an ASSIGN, a notice leave only after the commit of their batch. */
#ifndef EMP_BROKER_BROKER_H
#define EMP_BROKER_BROKER_H

#include "base/error.h"
#include "base/str.h"
#include "domain/model.h"
#include "domain/settings.h"

#include <stdbool.h>
#include <stdint.h>

/* All strings, arrays and structs are borrowed and must live until emp_broker_run returns. Where a
 * number says "0: default", 0 gives the value named. */
struct emp_broker_options {
    struct emp_str
        listen; /* HOST:PORT or [V6]:PORT; port 0: the system chooses. Empty: 127.0.0.1:3331 */
    struct emp_str data; /* data directory; created when missing. Empty: ./emp-data */
    const struct emp_settings *settings; /* of the brain; NULL: emp_settings_default() */
    const struct emp_model *models;      /* the configuration's catalogue, added at start */
    uint32_t model_count;

    const struct emp_str *api_keys;     /* clients; none: every client may */
    const struct emp_str *agent_tokens; /* agents; none: every agent may */
    const struct emp_str *cors_origins; /* "*" or origins; none: "*" */
    uint32_t api_key_count, agent_token_count, cors_count;

    int64_t body_bytes_max;      /* of one submission; 0: 10 MB. Larger: 413 */
    int64_t batch_bytes_max;     /* of a batch; 0: 64 MB */
    int64_t artifact_bytes_max;  /* of one output file; 0: 10 GB */
    int64_t payload_cache_bytes; /* recent payloads kept in memory for ASSIGN; 0: 64 MB */
    int64_t retention_ms;     /* finished jobs are deleted after it; 0: 30 days; EMP_NEVER: kept */
    int64_t idle_timeout_ms;  /* of an HTTP connection; 0: 60 s */
    int64_t blackbox_bytes;   /* of recordings of the core's inputs; 0: none are made */
    uint32_t http_threads;    /* 0: as the cores allow (1 … 8) */
    uint32_t connections_max; /* HTTP connections; 0: 10,000 */
    uint32_t event_streams_max; /* 0: 10,000 */
};

/* Runs a broker until SIGTERM or SIGINT: opens the store, restores, listens, prints "emp: listening
 * on http://HOST:PORT" on stdout (flushed) once requests are answered. Returns 0 after an orderly
 * end, or an EMP_E_* with the reason logged: INVALID (options), FORBIDDEN (beyond loopback without
 * keys), IO (data directory, port taken), CONFLICT (data directory in use). Blocks signals SIGTERM,
 * SIGINT and ignores SIGPIPE in the whole process. At most one at a time in a process. */
int emp_broker_run(const struct emp_broker_options *o);

/* Splits "HOST:PORT" or "[V6]:PORT" into a NUL-terminated host (brackets removed) and a port. 0 or
 * EMP_E_INVALID. */
int emp_broker_split_listen(struct emp_str listen, char host[64], uint16_t *ret_port,
                            struct emp_error *err);

/* May a broker listen there with so many API keys and agent tokens? 0; or EMP_E_FORBIDDEN with a
 * text that says how to set a key; EMP_E_INVALID when it is no IP address (or "localhost") and
 * port. Pure. */
int emp_broker_may_listen(struct emp_str listen, uint32_t api_keys, uint32_t agent_tokens,
                          struct emp_error *err);

#endif

/* Facts of a machine, as its agent reports them in HELLO; and its state as the broker sees it.
 * Plain structs, borrowed strings. */
#ifndef EMP_DOMAIN_MACHINE_H
#define EMP_DOMAIN_MACHINE_H

#include "base/str.h"
#include "base/time.h"
#include "domain/job.h"
#include "domain/model.h"

/* connected ─► away (closed or silent; leases run out) ─► connected …
 * draining: takes nothing new, asked by operator or by its own SIGTERM; quarantined: fails good
 * jobs, tried again after a while */
enum emp_machine_state {
    EMP_MACHINE_CONNECTED,
    EMP_MACHINE_AWAY,
    EMP_MACHINE_DRAINING,
    EMP_MACHINE_QUARANTINED,
    EMP_MACHINE_STATE_COUNT
};
const char *emp_machine_state_word(enum emp_machine_state s);

/* One capability value; an array is several entries of one path. Numbers in their unit as named
 * ("hardware.ram_gb"). */
enum emp_capability_kind { EMP_CAPABILITY_NUMBER, EMP_CAPABILITY_TEXT, EMP_CAPABILITY_BOOL };
struct emp_capability {
    struct emp_str path;
    struct emp_str text;
    double number; /* for BOOL: 0 or 1 */
    enum emp_capability_kind kind;
    bool in_array;
};

struct emp_gpu {
    struct emp_str model;
    int64_t memory_bytes;
};

struct emp_machine_facts {
    struct emp_str id;      /* kept in the agent's data directory */
    struct emp_str boot;    /* new at every start of the agent */
    struct emp_str version; /* of the agent */
    struct emp_str pool;    /* may be empty: the broker chooses by hardware */
    struct emp_str region;
    struct emp_str provider;
    struct emp_str *services; /* what its connectors offer */
    struct emp_str *specialties;
    struct emp_str *compliance;
    struct emp_str *custom_nodes;
    struct emp_str *allowed_customers, *denied_customers;
    struct emp_capability
        *caps; /* everything else; "hardware.*" is filled in from below by the decoder's caller */
    struct emp_gpu *gpus;
    uint32_t service_count, specialty_count, compliance_count, node_count, allowed_count,
        denied_count, cap_count, gpu_count;
    uint32_t slots; /* 1 … EMP_MACHINE_SLOTS_MAX */
    double cpu_cores;
    int64_t ram_bytes;
    int64_t disk_budget_bytes; /* for models */
    int64_t disk_free_bytes;   /* of that budget */
    int64_t gpu_budget_bytes; /* GPU memory that connectors may keep models in; 0: they keep none */
    int64_t ram_budget_bytes; /* RAM likewise, where what leaves GPU memory stays */
    int64_t link_bytes_per_s; /* measured download rate; 0: not yet known */
    enum emp_isolation isolation; /* customer_access.isolation */
    emp_wall_ms booted_at;
};

#endif

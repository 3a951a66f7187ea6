/* A machine: the agent's process around the real brain (machine/), its disk with model files, its
 * download link shared by the fetches under way, its connectors' runs. The disk outlives the
 * process; the process's brain, link, fetches and runs do not.
 *
 * What the shell promises to the brain (machine/machine.h) is kept here, also under faults: one
 * answer to each action, none after the process has ended. A process that hangs handles nothing;
 * fetches and runs go on outside of it and are heard of when it wakes. */
#ifndef EMP_SIM_AGENT_H
#define EMP_SIM_AGENT_H

#include "machine/machine.h"
#include "sim/system.h"

struct emp_sim_agent_settings {
    struct emp_machine_facts facts;    /* id, services, slots, disk_budget_bytes … */
    struct emp_machine_settings brain; /* its facts are filled in */
    int64_t link_bytes_per_s;          /* of all its fetches together */
    int64_t reconnect_ms_min, reconnect_ms_max;
    int64_t late_ms_max; /* ticks come up to so late */
    int64_t progress_ms; /* fetch progress is told so often; 0: never */
};

enum emp_sim_file_state { EMP_SIM_FILE_NONE, EMP_SIM_FILE_HALF, EMP_SIM_FILE_WHOLE };
/* A model's file, by the model's number. A fetch under way has its bytes here as it goes. */
struct emp_sim_file {
    enum emp_sim_file_state state;
    int64_t bytes; /* on the disk */
    int64_t whole_bytes;
    uint32_t version;            /* of the content */
    struct emp_sim_fetch *fetch; /* that writes it now */
    bool deleting;
};

struct emp_sim_fetch;
struct emp_sim_deletion;
struct emp_sim_run;

struct emp_sim_agent {
    struct emp_sim_system *system;
    uint32_t index;
    struct emp_sim_agent_settings settings;
    struct emp_machine_facts facts; /* of this boot: what the brain borrows */
    struct emp_machine *brain;      /* NULL: no process */
    uint32_t boots;
    char boot_name[32];
    emp_mono_ms hung_until; /* 0: it does not */
    bool closed_while_hung;
    int64_t mono_offset, wall_skew;
    struct emp_random random;
    struct emp_sim_timer tick, dial, wake, flow, load;
    uint32_t loading; /* number of the model that is brought into memory for the plan */
    int load_code;
    struct emp_machine_actions actions;
    struct emp_arena step_arena;
    bool stepping;
    /* disk and link */
    struct emp_sim_file *files;
    size_t file_cap;
    int64_t disk_bytes; /* of all files */
    struct emp_sim_fetch *fetches, *spare_fetches;
    struct emp_sim_deletion *deletions, *spare_deletions;
    uint32_t flowing; /* fetches whose bytes flow */
    emp_mono_ms flowed_at;
    /* connectors */
    struct emp_sim_run *runs, *spare_runs;
    uint32_t run_count;
    double slowness;    /* of runs: 1 normal, 3 three times as long */
    bool gone;          /* for good */
    uint64_t completed; /* runs that ended well */
    void *user;         /* of whoever built the system */
};

/* A new machine, not started. */
struct emp_sim_agent *emp_sim_agent_add(struct emp_sim_system *s,
                                        const struct emp_sim_agent_settings *settings);
void emp_sim_agent_release(struct emp_sim_agent *a);

/* Starts its process: a new boot, with what is on the disk. */
void emp_sim_agent_start(struct emp_sim_agent *a);
/* SIGTERM, a spot notice. */
void emp_sim_agent_shutdown(struct emp_sim_agent *a, bool drain, const char *reason);

/* ---- faults ---- */
void emp_sim_agent_kill(struct emp_sim_agent *a, bool silent); /* the process; silent: all of it */
void emp_sim_agent_hang(struct emp_sim_agent *a, int64_t ms);
void emp_sim_agent_lose_disk(struct emp_sim_agent *a);        /* not while its process lives */
void emp_sim_agent_jump(struct emp_sim_agent *a, int64_t ms); /* its wall clock */

/* Puts a whole copy of a model on the disk of a machine that is not started. */
void emp_sim_agent_give(struct emp_sim_agent *a, uint32_t model);
bool emp_sim_agent_has(const struct emp_sim_agent *a, uint32_t model); /* whole */
struct emp_sim_file *emp_sim_agent_file(struct emp_sim_agent *a, uint32_t model);
/* Bytes that its fetches have yet to bring, as of now. */
int64_t emp_sim_agent_fetch_left(const struct emp_sim_agent *a);
/* Bytes of the model that are there, what a fetch has brought so far included. */
int64_t emp_sim_agent_fetched(const struct emp_sim_agent *a, uint32_t model);
struct emp_now emp_sim_agent_now(const struct emp_sim_agent *a);

/* ---- the network's end ---- */
void emp_sim_agent_opened(struct emp_sim_agent *a);
void emp_sim_agent_refused(struct emp_sim_agent *a);
void emp_sim_agent_message(struct emp_sim_agent *a, const struct emp_message *m);
void emp_sim_agent_closed(struct emp_sim_agent *a);

/* Sends something beside what the brain says: a lie. */
void emp_sim_agent_say(struct emp_sim_agent *a, const struct emp_message *m);

#endif

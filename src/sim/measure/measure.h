/* Measuring: one trace, one scenario, one policy, one seed give one run of a whole system
 * (system.h: the real core and machines' brains), and the figures of what its users saw. The same
 * four give the same figures, and the same log.
 *
 *   measure.c    a run from begin to end: what is submitted when; the catalogue
 *   fleet.c      machines and their lives
 *   behave.c     how executions and downloads go
 *   record.c     what happened to each job, machine and copy, as it happens
 *   figures.c    the figures made of it
 *   hindsight.c  where a job could have started soonest
 *   table.c, figures_json.c   the figures as text, as JSON
 *   picture.c, report.c       what can be drawn, and the page that shows it
 *   policies/    the rivals
 *
 * One thread, no I/O. Memory: about 150 bytes a job beside the trace. */
#ifndef EMP_SIM_MEASURE_MEASURE_H
#define EMP_SIM_MEASURE_MEASURE_H

#include "policy/scorecard.h"
#include "sim/measure/policies/policies.h"
#include "sim/measure/scenario.h"
#include "sim/measure/trace.h"

enum {
    EMP_MEASURE_POOLS_MAX = 16,
    EMP_MEASURE_LATE_MS = 10000,   /* a wait within this is a good one */
    EMP_MEASURE_PROMPT_MS = 5000,  /* … of a short job beside heavy ones */
    EMP_MEASURE_WAITS_MS = 1000,   /* who is told so is told to wait */
    EMP_MEASURE_SHORT_MS = 30000,  /* run time of a short job, and when it should be done */
    EMP_MEASURE_BEST_MS = 1000,    /* so close to the best start in hindsight counts as it */
    EMP_MEASURE_SAMPLE_MS = 60000, /* gauges are read this often */
};

struct emp_measure_picture;

struct emp_measure_run {
    const struct emp_scenario *scenario;
    const struct emp_trace *trace;
    const struct emp_measure_policy *policy;
    uint64_t seed;
    double speedup; /* of the trace's times; 0: the scenario's */
    FILE *log;      /* everything that happens, a line each; NULL: none */
    /* told now and then; NULL: nobody is */
    void (*progress)(void *ctx, uint64_t done, uint64_t jobs);
    void *progress_ctx;
    struct emp_measure_picture *picture; /* filled in for a report (picture.h); NULL: none */
};

/* Bytes that need not have been moved. */
enum emp_measure_redundant {
    EMP_MEASURE_AGAIN,  /* of what this machine had before */
    EMP_MEASURE_UNUSED, /* of a second copy that nobody came to use */
    EMP_MEASURE_HALF,   /* of what was never whole, and deleted */
    EMP_MEASURE_REDUNDANT_COUNT
};

struct emp_measure_share {
    uint64_t jobs, within; /* of all; those that were good */
};

struct emp_measure_waits {
    double p50, p90, p95, p99, max, mean; /* seconds; all 0 without jobs */
};

/* What jobs were told at submission against what came: seconds between the time told as p50 and the
 * true one, in the middle; that as a part of the true one; within what was told as p90. */
struct emp_measure_told {
    double median_error_s, median_error;
    struct emp_measure_share p90;
};

struct emp_measure_pool {
    struct emp_str name;
    struct emp_measure_share within_10s; /* of the jobs meant for it */
    struct emp_measure_waits wait_s;
    double disk_used;   /* mean over time, of the budget of machines that were up */
    double disk_gb;     /* likewise, on all of them together */
    double hits_per_gb; /* a day: jobs meant for it that found all models on the disk, by disk_gb */
};

struct emp_measure_figures {
    struct emp_str scenario, trace; /* borrowed from these */
    const char *policy;
    uint64_t seed;
    double speedup;

    uint64_t jobs, completed;          /* counted ones */
    double span_s;                     /* from the first to the last submission */
    double offered_load;               /* busy machines of mean speed */
    struct emp_measure_waits wait_s;   /* of those that started */
    struct emp_measure_waits slowdown; /* (wait + run) / run, of those that ended */
    struct emp_measure_share within_10s, first_use, repeat_use;
    struct emp_measure_share by_tier[EMP_TIER_COUNT];
    struct emp_measure_pool pools[EMP_MEASURE_POOLS_MAX];
    uint32_t pool_count;
    /* of the machine a job was sent to, when it came there: all its models in GPU memory; in
     * memory; on the disk */
    struct emp_measure_share hit_gpu, hit_resident, hit_disk;
    struct emp_measure_share best_machine;
    struct emp_measure_share ready;     /* all models were on the machine's disk before the job was
                                           submitted: coverage of what was fetched ahead */
    struct emp_scorecard_figures score; /* while jobs were counted; forecasts: of the planner */
    struct emp_scorecard_moves moves_told; /* moves as the planner knows them from its notes */
    struct emp_measure_share short_done;   /* jobs that run under 30 s: done within 30 s */
    /* of those that were told, and completed; told_wait: starts of those told to wait a second */
    struct emp_measure_told told_start, told_wait, told_end;
    struct emp_measure_share prompt;        /* jobs meant for the first pool: started within 5 s */
    struct emp_measure_share prompt_beside; /* of those, submitted while all slots of the last pool
                                               were taken */
    double download_wait_s; /* jobs' time between arriving at a machine and having all models
                               there, total */
    int64_t bytes_fetched, redundant_bytes;
    int64_t redundant_by[EMP_MEASURE_REDUNDANT_COUNT][2]; /* [1]: fetched for a plan */
    uint64_t fetches, evictions, attempts, attempts_lost;
    double machine_hours, busy_hours; /* busy: computing */
    double wasted_gpu_s;              /* loading, and computing that was lost */
    double cost_usd;

    /* of the simulation */
    uint64_t events, log_hash;
    double virtual_s;
    double real_s;        /* the caller's, who has a clock; 0: not told */
    int64_t memory_bytes; /* likewise: of the process, at most */
};

/* Runs it. Nothing can fail but what is a fault of ours: then `violation` is not empty. */
void emp_measure(const struct emp_measure_run *r, struct emp_measure_figures *ret,
                 char violation[EMP_SIM_VIOLATION_MAX]);

double emp_measure_part(struct emp_measure_share s); /* within / jobs; 0 without any */

/* ---- showing ---- */

/* What the table says of a run, a line each. */
typedef double (*emp_measure_figure)(const struct emp_measure_figures *f); /* NAN: none */
struct emp_measure_line {
    const char *name; /* NULL ends the list */
    emp_measure_figure of;
    int decimals;
    int better; /* 1: more, -1: less; 0: neither */
    const char *meaning;
};
extern const struct emp_measure_line emp_measure_lines[];

/* Columns beside each other, one per run; with several seeds of a policy the median, then the
 * range. Lines of at most 100 characters for up to six policies. */
void emp_measure_table(const struct emp_measure_figures *runs, uint32_t count, struct emp_buf *out);
/* {"scenario":…,"trace":…,"runs":[…]} */
void emp_measure_json(const struct emp_measure_figures *runs, uint32_t count, struct emp_buf *out);

#endif

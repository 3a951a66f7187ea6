/* What of a run can be drawn: how waits are distributed, how many jobs wait and run over time, and
 * for the busiest hour what each machine did. Filled in by emp_measure when a run asks for it, and
 * then independent of it. Bounded: some 300 kB. */
#ifndef EMP_SIM_MEASURE_PICTURE_H
#define EMP_SIM_MEASURE_PICTURE_H

#include "sim/measure/measure.h"

enum {
    EMP_PICTURE_WAITS = 181,  /* points of the distribution: 30 a decade, 10 s is one of them */
    EMP_PICTURE_POINTS = 600, /* columns over time */
    EMP_PICTURE_ROWS = 40,    /* machines shown */
    EMP_PICTURE_STRETCHES_MAX = 6000,
};
#define EMP_PICTURE_WINDOW_MS (3600LL * 1000)

enum emp_picture_kind {
    EMP_PICTURE_FETCH, /* the job is here, its models are not yet on the disk */
    EMP_PICTURE_LOAD,  /* … not yet in GPU memory */
    EMP_PICTURE_RUN,
    EMP_PICTURE_DOWN, /* no machine here */
};
struct emp_picture_stretch {
    emp_mono_ms from, to;
    uint16_t row;   /* the machine's number */
    uint16_t model; /* number in `models` of the job's first; 0: none */
    uint8_t kind;
};

struct emp_measure_picture {
    struct emp_arena arena;
    const char *policy, *about; /* borrowed from the policy */
    uint64_t seed;
    emp_wall_ms epoch; /* wall time of virtual time 0 */

    double wait_share[EMP_PICTURE_WAITS]; /* of counted jobs: those that wait at most
                                             emp_picture_wait_s(i) */
    emp_mono_ms from, to;                 /* of the columns: from the first counted job to the last
                                             one's end */
    uint32_t waiting[EMP_PICTURE_POINTS], running[EMP_PICTURE_POINTS]; /* most in each column */

    emp_mono_ms window_from; /* the hour with most submissions: the same for all policies */
    uint32_t rows;
    struct emp_str row_names[EMP_PICTURE_ROWS];
    struct emp_intern models;
    struct emp_picture_stretch *stretches;
    uint32_t stretch_count;
    bool cut;                                 /* there were more */
    emp_mono_ms down_since[EMP_PICTURE_ROWS]; /* while recording: EMP_NEVER when up */
};
void emp_measure_picture_init(struct emp_measure_picture *p);
void emp_measure_picture_release(struct emp_measure_picture *p);

double emp_picture_wait_s(uint32_t i); /* 0.1 s … 100,000 s, evenly on a logarithmic scale */

/* ── the page (report.c) ── */

struct emp_measure_report {
    const struct emp_scenario *scenario;
    const struct emp_measure_figures *runs; /* all policies and seeds */
    uint32_t run_count;
    const struct emp_measure_picture *pictures; /* one a policy */
    uint32_t picture_count;
    const char *command; /* how it was made */
};
/* One HTML page that needs nothing else: no network, no script. */
void emp_measure_report(const struct emp_measure_report *r, struct emp_buf *out);

#endif

/* How good the intelligence was: what it had said, held against what came. Two halves:
 *
 *   forecasts  for each whole hour, what each model was expected to be used, one hour ahead
 *   moves      planned copies that were used; copies let go that had to come again; jobs whose
 *              models were all on their machine's disk before they were submitted
 *
 * The planner keeps one, fed with its notes (policy/planner.h), and the simulator another, fed with
 * what truly happens on its machines, for any policy. A planned copy, and one let go, is judged
 * once EMP_SCORECARD_PATIENCE_MS have passed, never before: so those that turn out well early
 * weigh no more than the others. What a machine takes with it when it vanishes was not used.
 *
 * Figures are sums from the beginning: two of them can be subtracted. Memory: at most
 * EMP_SCORECARD_MOVES_MAX moves wait for their judgement (about 6 MB); beyond that the oldest are
 * dropped, and counted. Not durable: a restart begins anew.
 *
 * Pure, deterministic, arena-owned; one thread. Times may go back; then they stand still. */
#ifndef EMP_POLICY_SCORECARD_H
#define EMP_POLICY_SCORECARD_H

#include "policy/forecast.h"

enum {
    EMP_SCORECARD_PATIENCE_MS = 6 * 3600 * 1000,
    EMP_SCORECARD_MOVES_MAX = 1 << 16,
    EMP_SCORECARD_TOPS = 3,
    EMP_SCORECARD_TOP_MOST = 20,
    EMP_SCORECARD_LATELY_HOURS = 24,
};
extern const uint32_t emp_scorecard_tops[EMP_SCORECARD_TOPS]; /* 5, 10, 20 */

/* Why a copy was let go. */
enum emp_scorecard_for {
    EMP_SCORECARD_FOR_JOB,  /* by the machine itself, for what a job needs */
    EMP_SCORECARD_FOR_PLAN, /* for a copy that the plan wants there */
    EMP_SCORECARD_FORS
};

/* Of the models that hang on no other. */
struct emp_scorecard_forecast {
    uint64_t hours;                           /* judged */
    double came;                              /* uses in them */
    double missed;                            /* sum of |uses - median| over models and hours */
    double held;                              /* of `intervals`, those that held what came */
    uint64_t intervals;                       /* of 80 %: models that had a forecast, by hours */
    double top[EMP_SCORECARD_TOPS];           /* uses of the models expected most … */
    double top_yesterday[EMP_SCORECARD_TOPS]; /* … and of those used most in the 24 hours before */
};
struct emp_scorecard_moves {
    uint64_t jobs, ready;   /* started jobs with models; those that found all of them on the disk
                               since before they were submitted */
    uint64_t planned, used; /* copies fetched for the plan, judged; those that a job used in time */
    int64_t planned_bytes, used_bytes;
    uint64_t evicted[EMP_SCORECARD_FORS];   /* judged */
    uint64_t regretted[EMP_SCORECARD_FORS]; /* of those: wanted there again in time */
    int64_t regretted_bytes[EMP_SCORECARD_FORS];
    uint64_t dropped; /* moves never judged: there were too many */
};
struct emp_scorecard_figures {
    struct emp_scorecard_forecast forecast;
    struct emp_scorecard_moves moves;
};
/* What came since `from`, figures of the same scorecard taken earlier. */
struct emp_scorecard_figures emp_scorecard_since(const struct emp_scorecard_figures *now,
                                                 const struct emp_scorecard_figures *from);
/* part / whole; NAN when there is no whole. WAPE is missed / came, coverage held / intervals. */
double emp_scorecard_part(double part, double whole);

/* ------------------------------------------------------------------ life */

struct emp_scorecard_move;
struct emp_scorecard {
    struct emp_scorecard_figures figures;
    struct emp_scorecard_forecast hours[EMP_SCORECARD_LATELY_HOURS]; /* by hour of day, UTC */
    int64_t hour_of[EMP_SCORECARD_LATELY_HOURS];                     /* hour since 1970 */
    int64_t last_hour;
    emp_wall_ms now;
    struct emp_arena *arena;
    struct emp_scorecard_move *moves; /* ring of `cap`, a power of two; in order of time */
    uint32_t first, next, cap;        /* numbers of moves; they wrap */
    struct emp_map planned, evicted;  /* machine and model -> the last such move */
};
void emp_scorecard_init(struct emp_scorecard *s, struct emp_arena *arena);

/* The forecasts of the last EMP_SCORECARD_LATELY_HOURS before the last judged hour's end. */
struct emp_scorecard_forecast emp_scorecard_lately(const struct emp_scorecard *s);

/* ------------------------------------------------------------------ forecasts */

/* One model, one window. */
struct emp_scorecard_cell {
    double came;      /* uses in it */
    double yesterday; /* uses in the 24 hours before it */
    bool known; /* it had a forecast; else none of it was expected, and there is no interval */
    double expected, median;
    double below, upto; /* chance that the forecast gave to fewer uses than came, and to no more */
};
/* Counts are whole, so no interval of theirs holds exactly 80 %. The share of an outcome that lies
 * inside is taken from the forecast's distribution at the outcome (the non-randomised PIT of
 * Czado, Gneiting & Held 2009): right for any discrete law, and the plain share for a smooth
 * one. 0 … 1. */
double emp_scorecard_held(double below, double upto);
/* An hour is over (hours since 1970); its cells in any order, equals rank as they come. */
void emp_scorecard_hour(struct emp_scorecard *s, int64_t hour,
                        const struct emp_scorecard_cell *cells, uint32_t count);
/* The same, asked of a forecast that has learned from the hours before `hour`, and from no later
 * one, when the usage log knows all uses of the hour. `leave_out` by series: models that do not
 * count. Does nothing while nothing was learned. */
void emp_scorecard_judge(struct emp_scorecard *s, int64_t hour, const struct emp_forecast *f,
                         const bool *leave_out, struct emp_arena *scratch);

/* ------------------------------------------------------------------ moves */

/* A fetch ended; `came`: with a copy. `planned`: it was begun for the plan, not for a job. */
void emp_scorecard_fetched(struct emp_scorecard *s, emp_wall_ms at, struct emp_str machine,
                           struct emp_str model, int64_t bytes, bool came, bool planned);
void emp_scorecard_evicted(struct emp_scorecard *s, emp_wall_ms at, struct emp_str machine,
                           struct emp_str model, int64_t bytes, enum emp_scorecard_for why);
/* A job begins; `ready`: its models had all been on the disk when it was submitted. */
void emp_scorecard_started(struct emp_scorecard *s, emp_wall_ms at, struct emp_str machine,
                           const struct emp_str *models, uint32_t count, bool ready);
/* Judges what is old enough. */
void emp_scorecard_time(struct emp_scorecard *s, emp_wall_ms now);

#endif

/* How far off the times are that jobs are told, and intervals by it: what is foreseen (of a start,
 * of an end) becomes the p50 and p90 that are told, so that these hold what they promise whatever
 * the foresight forgets. Errors are counted per kind of foresight, for a warm start errs by tenths
 * of a second and a long queue by minutes, and forgotten again (conform.h). Pure, plain data; zero
 * it and emp_eta_errors_init. */
#ifndef EMP_POLICY_ETA_H
#define EMP_POLICY_ETA_H

#include "base/arena.h"
#include "policy/conform.h"

#include <stdbool.h>

/* What a start hangs on. */
enum emp_eta_start {
    EMP_ETA_WARM,  /* a slot is free, every model in GPU memory */
    EMP_ETA_LOAD,  /* … to be loaded */
    EMP_ETA_FETCH, /* … to be fetched first */
    EMP_ETA_SOON,  /* waits for a slot: seconds */
    EMP_ETA_LATER, /* … a minute */
    EMP_ETA_LATE,  /* … longer */
    EMP_ETA_STARTS
};
enum {
    EMP_ETA_SOON_MS = 15000,
    EMP_ETA_LATER_MS = 120000,
    EMP_ETA_KNOWN = 6,
    EMP_ETA_KINDS = 2 * EMP_ETA_STARTS +
                    EMP_ETA_KNOWN, /* starts, ends, ends after a prompt start */
    EMP_ETA_ROWS = EMP_ETA_KINDS + 2,
};
enum emp_eta_start emp_eta_start_of(int64_t slot_ms, int64_t fetch_ms, int64_t load_ms);
/* Kinds of the guess of an end: by how its start is foreseen, and where that is sure, by how well
 * the run is known (struct emp_duration_guess). */
uint32_t emp_eta_end_of(enum emp_eta_start start, uint32_t known);

struct emp_eta_kind {
    struct emp_conform errors;
    bool changed;
};
struct emp_eta_errors {
    struct emp_eta_kind kind[EMP_ETA_ROWS]; /* the last two: of all starts, of all ends */
};
void emp_eta_errors_init(struct emp_eta_errors *e);

/* It took `took_ms` from the telling; `foreseen_ms` was foreseen, both >= 0. */
void emp_eta_learn(struct emp_eta_errors *e, uint32_t kind, int64_t foreseen_ms, int64_t took_ms);
/* What to tell: 0 <= *p50_ms <= *p90_ms. */
void emp_eta_tell(const struct emp_eta_errors *e, uint32_t kind, int64_t foreseen_ms,
                  int64_t *p50_ms, int64_t *p90_ms);

/* Durability: EMP_ETA_ROWS rows. One that changed since it was last handed out, its bytes in
 * `arena`; false: none. Load: into fresh ones; 0, or EMP_E_INVALID (nothing changed). */
struct emp_eta_row {
    uint32_t number;
    const void *bytes;
    uint32_t length;
};
bool emp_eta_changed(struct emp_eta_errors *e, struct emp_arena *arena, struct emp_eta_row *ret);
int emp_eta_load(struct emp_eta_errors *e, const struct emp_eta_row *row);

#endif

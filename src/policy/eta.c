/* An error is log((took + SLACK) / (foreseen + SLACK)): of times around nothing, seconds count and
 * not ratios. A kind begins with the errors of all kinds, and these with a guess of ours: some
 * errors up to a factor of two, either way, that are soon outweighed. */
#include "policy/eta.h"

#include "base/bytes.h"
#include "base/error.h"
#include "domain/limits.h"

#include <math.h>

enum { LAYOUT = 1, ROW_BYTES = 4 + 4 * EMP_CONFORM_BINS };

#define SLACK_MS 500.0
#define KEEP     0.99 /* half in 70: queues are as they were lately */
#define KEEP_ALL 0.999
#define PRIOR    10.0 /* errors that those of all kinds count for, at first */
#define OWN      50.0 /* … and where the kind has so many of its own, nothing */
#define DOUBT    8.0  /* errors of ours */
#define DOUBT_TO 0.7

enum emp_eta_start emp_eta_start_of(int64_t slot_ms, int64_t fetch_ms, int64_t load_ms)
{
    if (slot_ms > 0)
        return slot_ms <= EMP_ETA_SOON_MS    ? EMP_ETA_SOON
               : slot_ms <= EMP_ETA_LATER_MS ? EMP_ETA_LATER
                                             : EMP_ETA_LATE;
    return fetch_ms > 0 ? EMP_ETA_FETCH : load_ms > 0 ? EMP_ETA_LOAD : EMP_ETA_WARM;
}

uint32_t emp_eta_end_of(enum emp_eta_start start, uint32_t known)
{
    if (start > EMP_ETA_LOAD)
        return EMP_ETA_STARTS + start;
    return 2 * EMP_ETA_STARTS + (known < EMP_ETA_KNOWN ? known : EMP_ETA_KNOWN - 1);
}

void emp_eta_errors_init(struct emp_eta_errors *e)
{
    int half = (int)(DOUBT_TO / EMP_CONFORM_WIDTH);
    *e = (struct emp_eta_errors){0};
    for (int all = EMP_ETA_KINDS; all < EMP_ETA_ROWS; all++)
        for (int b = -half; b < half; b++)
            e->kind[all].errors.bins[EMP_CONFORM_BINS / 2 + b] = (float)(DOUBT / (2 * half));
}

static uint32_t all_of(uint32_t kind)
{
    return kind < EMP_ETA_STARTS ? EMP_ETA_KINDS : EMP_ETA_KINDS + 1;
}

void emp_eta_learn(struct emp_eta_errors *e, uint32_t kind, int64_t foreseen_ms, int64_t took_ms)
{
    double error = log(((double)took_ms + SLACK_MS) / ((double)foreseen_ms + SLACK_MS));
    emp_conform_count(&e->kind[kind].errors, error, KEEP);
    emp_conform_count(&e->kind[all_of(kind)].errors, error, KEEP_ALL);
    e->kind[kind].changed = e->kind[all_of(kind)].changed = true;
}

static int64_t moved(int64_t ms, double off)
{
    double to = ((double)ms + SLACK_MS) * exp(off) - SLACK_MS;
    return to <= 0 ? 0 : to > (double)EMP_DURATION_MS_MAX ? EMP_DURATION_MS_MAX : (int64_t)to;
}

void emp_eta_tell(const struct emp_eta_errors *e, uint32_t kind, int64_t foreseen_ms,
                  int64_t *p50_ms, int64_t *p90_ms)
{
    static const double q[] = {0.5, 0.9};
    const struct emp_conform *own = &e->kind[kind].errors;
    double off[2], prior = PRIOR * fmax(0, 1 - emp_conform_weight(own) / OWN);
    emp_conform_quantiles(own, &e->kind[all_of(kind)].errors, prior, q, 2, off);
    *p50_ms = moved(foreseen_ms, off[0]);
    *p90_ms = moved(foreseen_ms, off[1]);
}

/* ---- rows ---- */

bool emp_eta_changed(struct emp_eta_errors *e, struct emp_arena *arena, struct emp_eta_row *ret)
{
    for (uint32_t n = 0; n < EMP_ETA_ROWS; n++) {
        struct emp_eta_kind *k = &e->kind[n];
        if (!k->changed)
            continue;
        k->changed = false;
        unsigned char *bytes = emp_arena_alloc(arena, ROW_BYTES), *at = bytes;
        at = emp_bytes_put(at, LAYOUT, 4);
        for (int i = 0; i < EMP_CONFORM_BINS; i++)
            at = emp_bytes_put_float(at, k->errors.bins[i]);
        *ret = (struct emp_eta_row){n, bytes, ROW_BYTES};
        return true;
    }
    return false;
}

int emp_eta_load(struct emp_eta_errors *e, const struct emp_eta_row *row)
{
    const unsigned char *at = row->bytes;
    struct emp_conform errors;
    if (row->number >= EMP_ETA_ROWS || row->length != ROW_BYTES || emp_bytes_get(&at, 4) != LAYOUT)
        return EMP_E_INVALID;
    for (int i = 0; i < EMP_CONFORM_BINS; i++) {
        errors.bins[i] = emp_bytes_get_float(&at);
        if (!(errors.bins[i] >= 0 && errors.bins[i] < 1e6F))
            return EMP_E_INVALID;
    }
    e->kind[row->number].errors = errors;
    return 0;
}

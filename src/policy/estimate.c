/* Three bins to each doubling: 96 bins reach from 1 ms to 2^32 ms (49 days), each 26% wide. Edges
 * are powers of two times 1, 2^(1/3) or 2^(2/3), so that finding a bin is integer arithmetic and
 * comparing against two constants: no logarithm, the same answer on every machine.
 *
 * Forgetting: every observation first shrinks all bins by 2^(-1/half-life), so the weight settles
 * near 289 and a class that changed its ways is believed again after a few hundred runs. */
#include "policy/estimate.h"

#include "base/bytes.h"
#include "base/error.h"
#include "domain/limits.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { LAYOUT = 1, BINS_PER_DOUBLING = 3, HEAD_BYTES = 16, ENTRY_BYTES = 6 };

#define KEEP               0.996540262827868 /* 2^(-1 / EMP_ESTIMATE_HALF_LIFE) */
#define CBRT_2             1.2599210498948732
#define CBRT_4             1.5874010519681994
#define PRIOR_OBSERVATIONS 3.0

_Static_assert(EMP_ESTIMATE_HALF_LIFE == 200, "KEEP belongs to a half-life of 200");
_Static_assert(EMP_ESTIMATE_BINS == 32 * BINS_PER_DOUBLING, "an edge is a shift of at most 31");
_Static_assert(EMP_ESTIMATE_BYTES_MAX == HEAD_BYTES + EMP_ESTIMATE_BINS * ENTRY_BYTES, "layout");
_Static_assert(EMP_DURATION_MS_MAX < 1LL << 32, "the last bin holds the longest duration");

static int64_t within_range(int64_t ms)
{
    return ms < 1 ? 1 : ms > EMP_DURATION_MS_MAX ? EMP_DURATION_MS_MAX : ms;
}

static uint32_t bin_of(int64_t ms)
{
    uint64_t x = (uint64_t)within_range(ms);
    uint32_t doubling = 63u - (uint32_t)__builtin_clzll(x);
    double mantissa = (double)x / (double)(1ULL << doubling);
    return doubling * BINS_PER_DOUBLING + (mantissa >= CBRT_2) + (mantissa >= CBRT_4);
}

static double edge(uint32_t bin) /* lower edge of the bin, ms */
{
    static const double step[BINS_PER_DOUBLING] = {1, CBRT_2, CBRT_4};
    return (double)(1ULL << bin / BINS_PER_DOUBLING) * step[bin % BINS_PER_DOUBLING];
}

void emp_estimate_init(struct emp_estimate *e)
{
    memset(e, 0, sizeof *e);
    e->version = LAYOUT;
}

void emp_estimate_observe(struct emp_estimate *e, int64_t run_ms)
{
    e->version = LAYOUT;
    double sum = 0;
    e->bins[bin_of(run_ms)] += (float)(1.0 / KEEP); // shrinks to 1 below
    for (uint32_t i = 0; i < EMP_ESTIMATE_BINS; i++) {
        e->bins[i] = (float)(e->bins[i] * KEEP);
        if (e->bins[i] < 1e-6F) // forgotten; keeps denormal numbers and saved bytes away
            e->bins[i] = 0;
        sum += e->bins[i];
    }
    e->weight = (float)sum;
    if (e->observations < UINT32_MAX)
        e->observations++;
}

/* What the bin weighs with the prior in it. */
static double mass(const struct emp_estimate *e, uint32_t bin, uint32_t prior_bin)
{
    return e->bins[bin] + (bin == prior_bin ? PRIOR_OBSERVATIONS : 0);
}

static bool nothing_seen(const struct emp_estimate *e)
{
    return !(e->weight > 0);
}

int64_t emp_estimate_quantile(const struct emp_estimate *e, double q, int64_t prior_ms)
{
    if (nothing_seen(e))
        return prior_ms > 0 ? within_range(prior_ms) : -1;

    uint32_t prior_bin = prior_ms > 0 ? bin_of(prior_ms) : EMP_ESTIMATE_BINS;
    double total = 0;
    for (uint32_t i = 0; i < EMP_ESTIMATE_BINS; i++)
        total += mass(e, i, prior_bin);

    double wanted = (q > 0 ? q < 1 ? q : 1 : 0) * total, below = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < EMP_ESTIMATE_BINS; i++) {
        double m = mass(e, i, prior_bin);
        if (!(m > 0))
            continue;
        if (below + m >= wanted)
            return within_range(
                (int64_t)(edge(i) + (edge(i + 1) - edge(i)) * (wanted - below) / m + 0.5));
        below += m;
        last = i;
    }
    return within_range((int64_t)edge(last + 1)); // rounding left `wanted` a hair above the sum
}

int64_t emp_estimate_mean(const struct emp_estimate *e, int64_t prior_ms)
{
    if (nothing_seen(e))
        return prior_ms > 0 ? within_range(prior_ms) : -1;

    double total = 0, sum = 0;
    for (uint32_t i = 0; i < EMP_ESTIMATE_BINS; i++) {
        total += e->bins[i];
        sum += e->bins[i] * (edge(i) + edge(i + 1)) / 2;
    }
    if (prior_ms > 0) {
        total += PRIOR_OBSERVATIONS;
        sum += PRIOR_OBSERVATIONS * (double)within_range(prior_ms);
    }
    return within_range((int64_t)(sum / total + 0.5));
}

/* A bin that the time so far divides counts with its upper part, as if spread evenly. */
int64_t emp_estimate_left(const struct emp_estimate *e, int64_t ran_ms, int64_t prior_ms)
{
    double ran = ran_ms > 0 ? (double)ran_ms : 0, mass_left = 0, sum = 0;
    if (nothing_seen(e) && prior_ms <= 0)
        return -1;
    uint32_t prior_bin = prior_ms > 0 ? bin_of(prior_ms) : EMP_ESTIMATE_BINS;
    for (uint32_t i = ran_ms > 0 ? bin_of(ran_ms) : 0; i < EMP_ESTIMATE_BINS; i++) {
        double m = mass(e, i, prior_bin);
        if (!(m > 0))
            continue;
        double low = edge(i), high = edge(i + 1);
        if (low < ran) {
            m *= (high - ran) / (high - low);
            low = ran;
        }
        mass_left += m;
        sum += m * ((low + high) / 2 - ran);
    }
    double left = mass_left > 1e-3 ? sum / mass_left : ran / 8;
    return within_range((int64_t)(left + 0.5));
}

/* ---- bytes: version, observations, number of entries, zero; then (bin, weight as IEEE 754
 * single), ascending; little-endian ---- */

uint32_t emp_estimate_save(const struct emp_estimate *e, unsigned char out[EMP_ESTIMATE_BYTES_MAX])
{
    unsigned char *at = out + HEAD_BYTES;
    uint32_t entries = 0;
    for (uint32_t i = 0; i < EMP_ESTIMATE_BINS; i++) {
        if (!(e->bins[i] > 0))
            continue;
        at = emp_bytes_put_float(emp_bytes_put(at, i, 2), e->bins[i]);
        entries++;
    }
    unsigned char *head = emp_bytes_put(emp_bytes_put(out, LAYOUT, 4), e->observations, 4);
    emp_bytes_put(emp_bytes_put(head, entries, 4), 0, 4);
    return (uint32_t)(at - out);
}

/* Fills e->bins; false at the first entry that save cannot have written. */
static bool load_entries(struct emp_estimate *e, const unsigned char *at, uint32_t entries)
{
    double sum = 0;
    uint32_t lowest = 0;
    for (uint32_t k = 0; k < entries; k++) {
        uint32_t bin = (uint32_t)emp_bytes_get(&at, 2);
        float weight = emp_bytes_get_float(&at);
        if (bin < lowest || bin >= EMP_ESTIMATE_BINS || !isfinite(weight) || !(weight > 0) ||
            weight > 1e6F)
            return false;
        e->bins[bin] = weight;
        sum += weight;
        lowest = bin + 1;
    }
    e->weight = (float)sum;
    return true;
}

int emp_estimate_load(struct emp_estimate *e, const void *bytes, uint32_t length)
{
    const unsigned char *at = bytes;
    emp_estimate_init(e);
    if (length < HEAD_BYTES || emp_bytes_get(&at, 4) != LAYOUT)
        return EMP_E_INVALID;

    uint32_t observations = (uint32_t)emp_bytes_get(&at, 4);
    uint32_t entries = (uint32_t)emp_bytes_get(&at, 4);
    if (emp_bytes_get(&at, 4) != 0 || entries > EMP_ESTIMATE_BINS ||
        length != HEAD_BYTES + entries * ENTRY_BYTES || !load_entries(e, at, entries)) {
        emp_estimate_init(e);
        return EMP_E_INVALID;
    }
    e->observations = observations;
    return 0;
}

void emp_rate_observe(struct emp_rate *r, double value)
{
    enum { MEMORY = 16 };
    if (!isfinite(value) || !(value > 0))
        return;
    if (r->n < UINT32_MAX)
        r->n++;
    r->value += (value - r->value) / (r->n < MEMORY ? r->n : MEMORY);
}

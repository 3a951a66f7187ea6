/* Eviction as minimum-knapsack cover: free at least `need` bytes at the least total worth.
 *
 * Worth is an expectation: uses per hour × seconds to fetch the copy again. The decayed use counter
 * turns into a rate because a steady λ uses per hour settles at λ × half-life / ln 2. GDSF's ageing
 * clock is replaced by that decay: both forget, but a half-life is in hours, so that worths of
 * different machines compare.
 *
 * Choosing walks the copies by rising worth per byte. A copy that is too small to finish the cover
 * joins the prefix; one that would finish it is only noted as a complete answer, prefix + itself,
 * and left out of the prefix. The best answer noted costs at most twice the optimum (Csirik, Frenk,
 * Labbé, Zhang 1991), which plain greedy does not promise: it may evict ten small copies and then
 * one large one that would have done alone. All of it happens inside the caller's victims[]: the
 * front holds a heap of copies not looked at yet, the room it gives up at the back holds the
 * prefix. No allocation. */
#include "policy/evict.h"

#include <math.h>

/* hours by which a use counter in balance exceeds the rate per hour: half-life / ln 2 */
#define COUNT_PER_RATE_H (EMP_EVICT_HALF_LIFE_MS / 3600000.0 / 0.69314718055994531)

/* A copy that nobody has used yet was brought for a reason: it starts with half a use, which decays
 * like any other. */
#define USES_BEFORE_FIRST 0.5

/* Worth is leaned by (bytes / this)^-lean: a copy of this size is neither favoured nor punished. */
#define LEAN_NEUTRAL_BYTES (4.0 * 1024 * 1024 * 1024)

#define USES_MAX  1e12 /* keeps every product finite */
#define WORTH_MAX 1e15

struct problem {
    const struct emp_evict_copy *copies;
    int64_t link_bytes_per_s;
    double lean;
};

/* x within [low, high]; NaN is low */
static double bounded(double x, double low, double high)
{
    if (!(x > low))
        return low;
    return x < high ? x : high;
}

static double decay(int64_t idle_ms)
{
    return idle_ms > 0 ? exp2(-(double)idle_ms / EMP_EVICT_HALF_LIFE_MS) : 1.0;
}

double emp_evict_use(double uses, int64_t idle_ms)
{
    return bounded(uses, 0, USES_MAX) * decay(idle_ms) + 1.0;
}

/* Its expected uses per hour. */
static double uses_per_hour(const struct emp_evict_copy *c)
{
    return bounded(c->uses, USES_BEFORE_FIRST, USES_MAX) * decay(c->idle_ms) / COUNT_PER_RATE_H;
}

double emp_evict_regret(double uses_per_hour, double seconds)
{
    double uses = bounded(uses_per_hour, 0, USES_MAX) * EMP_EVICT_REGRET_H;
    return (1 - exp(-uses)) * bounded(seconds, 0, WORTH_MAX);
}

double emp_evict_worth(const struct emp_evict_copy *c, int64_t link_bytes_per_s, double lean)
{
    if (c->bytes <= 0)
        return 0;

    double worth;
    if (c->seconds_saved >= 0) {
        worth = c->seconds_saved;
    } else {
        double link = link_bytes_per_s > 0 ? (double)link_bytes_per_s : 1.0;
        worth = uses_per_hour(c) * ((double)c->bytes / link);
    }
    lean = bounded(lean, -1, 1);
    if (lean < 0 || lean > 0)
        worth *= exp2(-lean * log2((double)c->bytes / LEAN_NEUTRAL_BYTES));
    return bounded(worth, 0, WORTH_MAX);
}

static double worth_of(const struct problem *p, uint32_t i)
{
    return emp_evict_worth(&p->copies[i], p->link_bytes_per_s, p->lean);
}

/* Does a go before b? Less worth per byte, then idle longer, then the larger, then the lower index:
 * a total order. */
static bool goes_before(const struct problem *p, uint32_t a, uint32_t b)
{
    const struct emp_evict_copy *ca = &p->copies[a], *cb = &p->copies[b];
    double da = worth_of(p, a) / (double)ca->bytes, db = worth_of(p, b) / (double)cb->bytes;
    if (da < db || da > db)
        return da < db;
    if (ca->idle_ms != cb->idle_ms)
        return ca->idle_ms > cb->idle_ms;
    if (ca->bytes != cb->bytes)
        return ca->bytes > cb->bytes;
    return a < b;
}

static void sift_down(const struct problem *p, uint32_t *heap, uint32_t size, uint32_t at)
{
    for (;;) {
        uint32_t first = at, left = 2 * at + 1;
        for (uint32_t child = left; child < size && child <= left + 1; child++)
            if (goes_before(p, heap[child], heap[first]))
                first = child;
        if (first == at)
            return;
        uint32_t moved = heap[at];
        heap[at] = heap[first];
        heap[first] = moved;
        at = first;
    }
}

static uint32_t pop(const struct problem *p, uint32_t *heap, uint32_t *size)
{
    uint32_t top = heap[0];
    heap[0] = heap[--*size];
    sift_down(p, heap, *size, 0);
    return top;
}

static int64_t add_bytes(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static uint32_t gather(const struct problem *p, uint32_t count, int64_t need, uint32_t *heap)
{
    uint32_t n = 0;
    int64_t evictable = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (p->copies[i].keep || p->copies[i].bytes <= 0)
            continue;
        heap[n++] = i;
        evictable = add_bytes(evictable, p->copies[i].bytes);
    }
    if (evictable < need)
        return 0;
    for (uint32_t i = n / 2; i-- > 0;)
        sift_down(p, heap, n, i);
    return n;
}

/* Leaves the best answer's prefix at the back of v, last first, and its finishing copy in
 * *ret_last; returns the prefix's length. The whole of v[0..n) is evictable and enough, so that an
 * answer exists. */
static uint32_t search(const struct problem *p, int64_t need, uint32_t *v, uint32_t n,
                       uint32_t *ret_last)
{
    uint32_t heap_size = n, prefix = 0, best_prefix = 0;
    int64_t freed = 0;
    double cost = 0, best_cost = INFINITY;
    while (heap_size > 0 && cost < best_cost) {
        uint32_t i = pop(p, v, &heap_size);
        double worth = worth_of(p, i);
        if (add_bytes(freed, p->copies[i].bytes) < need) {
            freed += p->copies[i].bytes;
            cost += worth;
            prefix++;
            v[n - prefix] = i;
        } else if (cost + worth < best_cost) {
            best_cost = cost + worth;
            best_prefix = prefix;
            *ret_last = i;
        }
    }
    return best_prefix;
}

/* Drops every victim without which the others still free enough, the most worth per byte first
 * (they stand last). One pass is enough: what was needed once stays needed while others are
 * dropped. */
static uint32_t take_back(const struct problem *p, int64_t need, uint32_t *v, uint32_t n)
{
    int64_t freed = 0;
    for (uint32_t k = 0; k < n; k++)
        freed = add_bytes(freed, p->copies[v[k]].bytes);

    const uint32_t dropped = UINT32_MAX;
    for (uint32_t k = n; k-- > 0;) {
        int64_t without = freed - p->copies[v[k]].bytes;
        if (without >= need) {
            freed = without;
            v[k] = dropped;
        }
    }

    uint32_t left = 0;
    for (uint32_t k = 0; k < n; k++)
        if (v[k] != dropped)
            v[left++] = v[k];
    return left;
}

uint32_t emp_evict_choose(const struct emp_evict_copy *copies, uint32_t count, int64_t need,
                          int64_t link_bytes_per_s, double lean, uint32_t *victims)
{
    struct problem p = {copies, link_bytes_per_s, lean};
    if (need <= 0)
        return 0;

    uint32_t n = gather(&p, count, need, victims);
    if (n == 0)
        return 0;

    uint32_t last = 0, prefix = search(&p, need, victims, n, &last);
    for (uint32_t k = 0; k < n / 2; k++) { // bring the prefix to the front, in order
        uint32_t moved = victims[k];
        victims[k] = victims[n - 1 - k];
        victims[n - 1 - k] = moved;
    }
    victims[prefix] = last;
    return take_back(&p, need, victims, prefix + 1);
}

uint32_t emp_evict_choose_oldest(const struct emp_evict_copy *copies, uint32_t count, int64_t need,
                                 uint32_t *victims)
{
    uint32_t n = 0;
    int64_t freed = 0;
    while (freed < need) {
        uint32_t oldest = count;
        for (uint32_t i = 0; i < count; i++) {
            const struct emp_evict_copy *c = &copies[i], *o = &copies[oldest];
            bool taken = c->keep || c->bytes <= 0;
            for (uint32_t v = 0; v < n && !taken; v++)
                taken = victims[v] == i;
            if (!taken && (oldest == count || c->idle_ms > o->idle_ms))
                oldest = i;
        }
        if (oldest == count)
            return 0;
        victims[n++] = oldest;
        freed = add_bytes(freed, copies[oldest].bytes);
    }
    return n;
}

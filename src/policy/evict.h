/* What to evict from a full disk. Worth of a copy = expected waiting seconds saved per byte by
 * keeping it: GDSF's frequency × cost / size with the cost in seconds to fetch it again over this
 * machine's own link (Cherkasova 1998; anchors C.4), or the broker's own forecast where it sent
 * one. Used by the agent alone and by the broker's displacement price alike. Pure. */
#ifndef EMP_POLICY_EVICT_H
#define EMP_POLICY_EVICT_H

#include <stdbool.h>
#include <stdint.h>

struct emp_evict_copy {
    int64_t bytes;
    double uses;     /* decayed count: emp_evict_use */
    int64_t idle_ms; /* since the last use; since it came when never used */
    double
        seconds_saved; /* the broker's WORTH, waiting seconds saved per hour; negative: not told */
    bool keep;         /* in use, being fetched, loading, wanted by an accepted job, pinned */
};

/* Expected waiting seconds saved per hour. lean: a pool's eviction leaning (settings: 1 keeps
 * small, -1 keeps large). */
double emp_evict_worth(const struct emp_evict_copy *c, int64_t link_bytes_per_s, double lean);

/* Expected waiting seconds lost by letting go of what is used so often, when it takes `seconds` to
 * have it back: it is paid at most once, for then it is back; so the chance of a use within a day
 * (that long it might have stayed, where nothing else pushes) times that. */
enum { EMP_EVICT_REGRET_H = 24 };
double emp_evict_regret(double uses_per_hour, double seconds);

/* Chooses victims, least worth per byte first, until `need` bytes are freed; then takes back any
 * that turned out not to be needed. Writes their indices to victims[count] and returns how many; 0
 * with need > 0 means that it cannot be done (nothing is chosen). */
uint32_t emp_evict_choose(const struct emp_evict_copy *copies, uint32_t count, int64_t need,
                          int64_t link_bytes_per_s, double lean, uint32_t *victims);

/* The same by time alone, as rivals do: idle longest first (then the lower index). */
uint32_t emp_evict_choose_oldest(const struct emp_evict_copy *copies, uint32_t count, int64_t need,
                                 uint32_t *victims);

/* Use counter that halves every EMP_EVICT_HALF_LIFE_MS of idleness: call at a use. */
enum { EMP_EVICT_HALF_LIFE_MS = 6 * 3600 * 1000 };
double emp_evict_use(double uses, int64_t idle_ms);

#endif

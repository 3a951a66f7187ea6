/* Seeded randomness (xoshiro256++, seeded by splitmix64; Blackman & Vigna 2019). The same seed
 * gives the same numbers on every machine. Not for secrets: those come from os/. Caller's storage;
 * not thread-safe. */
#ifndef EMP_BASE_RANDOM_H
#define EMP_BASE_RANDOM_H

#include <stdint.h>

struct emp_random {
    uint64_t s[4];
};
void emp_random_init(struct emp_random *r, uint64_t seed);
uint64_t emp_random_u64(struct emp_random *r);
uint64_t emp_random_below(struct emp_random *r, uint64_t n); /* [0, n), unbiased; 0 when n is 0 */
double emp_random_unit(struct emp_random *r);                /* [0, 1) */
uint64_t emp_mix64(uint64_t x); /* splitmix64's finaliser: a hash of one number */

#endif

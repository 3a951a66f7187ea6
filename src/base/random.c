/* xoshiro256++ 1.0 and splitmix64 as published by their authors (David Blackman and Sebastiano
 * Vigna, public domain). */
#include "base/random.h"

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t emp_mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void emp_random_init(struct emp_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64 never yields four zeros in a row */
        seed += UINT64_C(0x9e3779b97f4a7c15);
        r->s[i] = emp_mix64(seed);
    }
}

uint64_t emp_random_u64(struct emp_random *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t emp_random_below(struct emp_random *r, uint64_t n)
{
    if (n == 0)
        return 0;
    uint64_t reject = -n % n; /* 2^64 mod n: what is left of the range is a multiple of n */
    uint64_t x;
    do
        x = emp_random_u64(r);
    while (x < reject);
    return x % n;
}

double emp_random_unit(struct emp_random *r)
{
    return (double)(emp_random_u64(r) >> 11) * 0x1p-53;
}

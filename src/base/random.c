/* xoshiro256++ 1.0 and splitmix64, after the public-domain descriptions of David Blackman and Sebastiano Vigna. */
#include "base/random.h"

uint64_t emp_mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

void emp_random_init(struct emp_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = emp_mix64(seed += 0x9e3779b97f4a7c15ULL);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t emp_random_u64(struct emp_random *r)
{
    uint64_t *s = r->s, result = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
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
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
    do
        x = emp_random_u64(r);
    while (x >= limit);
    return x % n;
}

double emp_random_unit(struct emp_random *r)
{
    return (double)(emp_random_u64(r) >> 11) * 0x1.0p-53;
}

/* Numbers as bytes of a row, little-endian, whatever the machine: whole ones of 1 to 8 bytes, reals
 * as IEEE 754 bits. The caller sees to the room; who reads judges what comes (NaN may). Both
 * directions walk: put returns where the next one goes, get moves *at. */
#ifndef EMP_BASE_BYTES_H
#define EMP_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline unsigned char *emp_bytes_put(unsigned char *at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *at++ = (unsigned char)(v >> 8 * i);
    return at;
}

static inline uint64_t emp_bytes_get(const unsigned char **at, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t) * (*at)++ << 8 * i;
    return v;
}

static inline unsigned char *emp_bytes_put_double(unsigned char *at, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return emp_bytes_put(at, bits, 8);
}

static inline double emp_bytes_get_double(const unsigned char **at)
{
    uint64_t bits = emp_bytes_get(at, 8);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static inline unsigned char *emp_bytes_put_float(unsigned char *at, float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return emp_bytes_put(at, bits, 4);
}

static inline float emp_bytes_get_float(const unsigned char **at)
{
    uint32_t bits = (uint32_t)emp_bytes_get(at, 4);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

#endif

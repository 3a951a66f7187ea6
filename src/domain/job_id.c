/* UUID version 8: 48 bits of number, then two tags around the version and variant bits.
 *
 *   nnnnnnnn-nnnn-8aaa-vbbb-bbbbbbbbbbbb
 *
 *   n    number
 *   a    12 bits of tag(num, 1)
 *   v+b  62 bits of tag(num, 0)
 *
 * The 74 bits of tag are what a guesser must hit. The number is readable, on purpose: an id found
 * in a log says when its job came. Rejected: encrypting the number (a block cipher more, for hiding
 * how many jobs there were), random ids (an index with random order over every job). SipHash-2-4:
 * Aumasson & Bernstein 2012. */
#include "domain/job_id.h"

#include "base/error.h"

#include <assert.h>

#define NUM_BITS     48
#define TAG_LOW_BITS 62
#define MASK(bits)   ((UINT64_C(1) << (bits)) - 1)

static uint64_t rotl(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static uint64_t word_le(const unsigned char *p, size_t n)
{
    uint64_t w = 0;
    for (size_t i = 0; i < n; i++)
        w |= (uint64_t)p[i] << (8 * i);
    return w;
}

uint64_t emp_siphash(const struct emp_job_secret *s, const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t v[4] = {
        s->k[0] ^ UINT64_C(0x736f6d6570736575),
        s->k[1] ^ UINT64_C(0x646f72616e646f6d),
        s->k[0] ^ UINT64_C(0x6c7967656e657261),
        s->k[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = len & ~(size_t)7;
    for (size_t i = 0; i <= whole; i += 8) {
        uint64_t m = i < whole ? word_le(p + i, 8)
                               : word_le(p + i, len - whole) | (uint64_t)(len & 0xff) << 56;
        v[3] ^= m;
        sip_round(v);
        sip_round(v);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The two halves of the id of a number. */
static void id_words(const struct emp_job_secret *s, emp_job_num num, uint64_t ret[2])
{
    unsigned char in[9];
    for (int i = 0; i < 8; i++)
        in[i] = (unsigned char)(num >> (8 * i));
    in[8] = 1;
    ret[0] = num << 16 | UINT64_C(8) << 12 | (emp_siphash(s, in, 9) & MASK(12));
    ret[1] = UINT64_C(2) << TAG_LOW_BITS | (emp_siphash(s, in, 8) & MASK(TAG_LOW_BITS));
}

static bool dash_before(int digit)
{
    return digit == 8 || digit == 12 || digit == 16 || digit == 20;
}

void emp_job_id_format(const struct emp_job_secret *s, emp_job_num num, char out[EMP_JOB_ID_TEXT])
{
    uint64_t w[2];
    assert(num <= MASK(NUM_BITS));
    id_words(s, num, w);
    for (int i = 0; i < 32; i++) {
        if (dash_before(i))
            *out++ = '-';
        *out++ = "0123456789abcdef"[w[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
    *out = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int emp_job_id_parse(const struct emp_job_secret *s, struct emp_str text, emp_job_num *ret)
{
    uint64_t w[2] = {0}, own[2];
    const char *p = text.ptr;
    if (text.len != EMP_JOB_ID_TEXT - 1)
        return EMP_E_NOT_FOUND;
    for (int i = 0; i < 32; i++) {
        if (dash_before(i) && *p++ != '-')
            return EMP_E_NOT_FOUND;
        int digit = hex_digit(*p++);
        if (digit < 0)
            return EMP_E_NOT_FOUND;
        w[i / 16] = w[i / 16] << 4 | (uint64_t)digit;
    }
    emp_job_num num = w[0] >> 16;
    id_words(s, num, own);
    if (((w[0] ^ own[0]) | (w[1] ^ own[1])) != 0) // one comparison: its time tells nothing
        return EMP_E_NOT_FOUND;
    *ret = num;
    return 0;
}

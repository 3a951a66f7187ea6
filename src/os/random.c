#include "os/random.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void emp_os_random(void *buf, size_t len)
{
    uint8_t *at = buf;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fprintf(stderr, "emp: the kernel gives no random numbers: %s\n", strerror(errno));
            abort();
        }
        at += n;
        len -= (size_t)n;
    }
}

void emp_uuid4(char out[EMP_UUID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t b[16];
    emp_os_random(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); // version 4
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80); // variant of RFC 9562
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[b[i] >> 4];
        *p++ = digits[b[i] & 15];
    }
    *p = '\0';
}

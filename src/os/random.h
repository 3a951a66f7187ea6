/* Randomness from the kernel, fit for secrets and identifiers. Any thread. Blocks at most until the
 * kernel has been seeded once after boot; a kernel that gives none is fatal (message, abort):
 * identifiers that repeat would be worse. */
#ifndef EMP_OS_RANDOM_H
#define EMP_OS_RANDOM_H

#include <stddef.h>

enum { EMP_UUID_TEXT = 37 };

void emp_os_random(void *buf, size_t len);
void emp_uuid4(char out[EMP_UUID_TEXT]); /* RFC 9562 version 4, lower case, NUL-terminated */

#endif

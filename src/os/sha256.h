/* SHA-256, streaming, over OpenSSL. One context, one thread at a time; contexts are independent. */
#ifndef EMP_OS_SHA256_H
#define EMP_OS_SHA256_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EMP_SHA256_BYTES = 32, EMP_SHA256_HEX = 65 };

struct emp_sha256;                          /* opaque: 0.5 kB on the heap */
struct emp_sha256 *emp_sha256_new(void);    /* NULL: no memory */
void emp_sha256_free(struct emp_sha256 *s); /* NULL is fine */
void emp_sha256_reset(struct emp_sha256 *s);
void emp_sha256_add(struct emp_sha256 *s, const void *data, size_t len);
void emp_sha256_end(struct emp_sha256 *s,
                    uint8_t out[EMP_SHA256_BYTES]); /* then only _reset or _free */

void emp_sha256_of(const void *data, size_t len, uint8_t out[EMP_SHA256_BYTES]);
void emp_sha256_hex(const uint8_t digest[EMP_SHA256_BYTES],
                    char out[EMP_SHA256_HEX]); /* lower case, NUL-terminated */

/* Hash of a file's content and its length (may be NULL), reading from the start; blocks. Errors as
 * in os/files.h. `stop` (may be NULL) is read between blocks of 1 MiB; when it is set:
 * EMP_E_CANCELLED. */
int emp_sha256_file(const char *path, const atomic_bool *stop, uint8_t out[EMP_SHA256_BYTES],
                    int64_t *ret_bytes, struct emp_error *err);

#endif

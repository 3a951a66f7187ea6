/* A thin skin over EVP, so that no other file needs OpenSSL for a hash. EVP's SHA-256 cannot fail
 * once the context exists; should it, a wrong digest would be worse than the end. */
#include "os/sha256.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 1 << 20 };

struct emp_sha256 {
    EVP_MD_CTX *evp;
};

static void emp_sha256_must(int ok)
{
    if (ok == 1)
        return;
    fputs("emp: OpenSSL's SHA-256 failed\n", stderr);
    abort();
}

struct emp_sha256 *emp_sha256_new(void)
{
    struct emp_sha256 *s = malloc(sizeof *s);
    EVP_MD_CTX *evp = EVP_MD_CTX_new();
    if (!s || !evp) {
        free(s);
        EVP_MD_CTX_free(evp);
        return NULL;
    }
    s->evp = evp;
    emp_sha256_reset(s);
    return s;
}

void emp_sha256_free(struct emp_sha256 *s)
{
    if (!s)
        return;
    EVP_MD_CTX_free(s->evp);
    free(s);
}

void emp_sha256_reset(struct emp_sha256 *s)
{
    emp_sha256_must(EVP_DigestInit_ex(s->evp, EVP_sha256(), NULL));
}

void emp_sha256_add(struct emp_sha256 *s, const void *data, size_t len)
{
    emp_sha256_must(EVP_DigestUpdate(s->evp, data, len));
}

void emp_sha256_end(struct emp_sha256 *s, uint8_t out[EMP_SHA256_BYTES])
{
    emp_sha256_must(EVP_DigestFinal_ex(s->evp, out, NULL));
}

void emp_sha256_of(const void *data, size_t len, uint8_t out[EMP_SHA256_BYTES])
{
    emp_sha256_must(EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL));
}

void emp_sha256_hex(const uint8_t digest[EMP_SHA256_BYTES], char out[EMP_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < EMP_SHA256_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * EMP_SHA256_BYTES] = '\0';
}

/* Feeds the file into `s`; returns its length or an EMP_E_*, with errno for emp_os_error's texts.
 */
static int64_t emp_sha256_feed(struct emp_sha256 *s, int fd, const atomic_bool *stop,
                               uint8_t *block)
{
    int64_t total = 0;
    for (;;) {
        if (stop && atomic_load_explicit(stop, memory_order_relaxed))
            return EMP_E_CANCELLED;
        ssize_t n = read(fd, block, BLOCK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return emp_os_error(errno);
        if (n == 0)
            return total;
        emp_sha256_add(s, block, (size_t)n);
        total += n;
    }
}

int emp_sha256_file(const char *path, const atomic_bool *stop, uint8_t out[EMP_SHA256_BYTES],
                    int64_t *ret_bytes, struct emp_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return emp_fail(err, emp_os_error(errno), NULL, "cannot read %s: %s", path,
                        strerror(errno));
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    struct emp_sha256 *s = emp_sha256_new();
    uint8_t *block = malloc(BLOCK_BYTES);
    int64_t n = s && block ? emp_sha256_feed(s, fd, stop, block) : EMP_E_INTERNAL;
    int saved = errno;
    if (n >= 0) {
        emp_sha256_end(s, out);
        if (ret_bytes)
            *ret_bytes = n;
    }
    free(block);
    emp_sha256_free(s);
    close(fd);
    if (n >= 0)
        return 0;
    if (n == EMP_E_CANCELLED)
        return emp_fail(err, (int)n, NULL, "reading %s was cancelled", path);
    return emp_fail(err, (int)n, NULL, "cannot read %s: %s", path,
                    n == EMP_E_INTERNAL ? "out of memory" : strerror(saved));
}

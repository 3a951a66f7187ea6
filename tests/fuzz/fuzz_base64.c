/* Base64: what is taken is the one text that its bytes are written as. */
#include "fuzz.h"

#include "agent/connectors/scratch.h"

const char *const fuzz_words[] = {"=", "==", "QUJD", "+/+/", " ", "-_", "\n", NULL};

static void encode(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                     (left > 2 ? bytes[i + 2] : 0);
        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = left > 1 ? digits[v >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[v & 63] : '=';
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size / 4 * 3 + 1);
    char *again = malloc(size + 4);
    int64_t n = emp_base64_decode((const char *)data, size, bytes);
    if (n < 0) {
        FUZZ_CHECK(n == EMP_E_MALFORMED);
    } else {
        fuzz_taken++;
        FUZZ_CHECK((size_t)n <= size / 4 * 3 && ((size_t)n + 2) / 3 * 4 == size);
        encode(bytes, (size_t)n, again);
        FUZZ_CHECK(memcmp(again, data, size) == 0);
    }
    free(again);
    free(bytes);
    return 0;
}

/* What both sides of the handshake compute. */
#include "net/ws_internal.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool emp_ws_accept(const char *key, char out[EMP_WS_ACCEPT_TEXT])
{
    unsigned char digest[EVP_MAX_MD_SIZE], text[128];
    unsigned len;
    int n = snprintf((char *)text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    if (n < 0 || n >= (int)sizeof text ||
        EVP_Digest(text, (size_t)n, digest, &len, EVP_sha1(), NULL) != 1)
        return false;
    EVP_EncodeBlock((unsigned char *)out, digest, (int)len);
    return true;
}

bool emp_ws_has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t len = strcspn(list, " \t,");
        if (len == n && strncasecmp(list, word, n) == 0)
            return true;
        list += len;
    }
    return false;
}

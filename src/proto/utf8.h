/* One UTF-8 sequence, for the reader and the writer of JSON. */
#ifndef EMP_PROTO_UTF8_H
#define EMP_PROTO_UTF8_H

#include <stddef.h>

/* Bytes of the valid sequence at p, 1 … 4; 0 when there is none (RFC 3629: shortest form, no
 * surrogates, up to U+10FFFF). p < end. */
unsigned emp_utf8_bytes(const char *p, const char *end);

#endif

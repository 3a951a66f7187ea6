/* Event streams (WHATWG HTML, server-sent events): bytes in any portions to events. Lines end in
 * LF, CR or CRLF; comments and unknown fields are passed over; data of several lines is joined by
 * newlines. Lines and events are bounded; a longer one ends the stream as broken. No I/O. */
#ifndef EMP_CLI_SSE_H
#define EMP_CLI_SSE_H

#include "base/str.h"

#include <stdbool.h>

enum { EMP_SSE_BYTES_MAX = 32 * 1024 * 1024 };

struct emp_sse {
    struct emp_buf line, data;
    char name[64]; /* of the event being read; "message" where not said */
    bool after_cr;
    bool ended;                                                   /* the handler wants no more */
    bool (*event)(void *arg, const char *name, const char *data); /* false: no more */
    void *arg;
};
void emp_sse_init(struct emp_sse *s, bool (*event)(void *arg, const char *name, const char *data),
                  void *arg);
void emp_sse_release(struct emp_sse *s);
/* 0, or EMP_E_TOO_LARGE. After the handler said no more, further bytes are ignored. */
int emp_sse_feed(struct emp_sse *s, const char *bytes, size_t len);

#endif

#include "cli/sse.h"

#include "base/error.h"

#include <stdio.h>

void emp_sse_init(struct emp_sse *s, bool (*event)(void *arg, const char *name, const char *data),
                  void *arg)
{
    *s = (struct emp_sse){.event = event, .arg = arg};
    emp_buf_init(&s->line, EMP_SSE_BYTES_MAX);
    emp_buf_init(&s->data, EMP_SSE_BYTES_MAX);
}

void emp_sse_release(struct emp_sse *s)
{
    emp_buf_release(&s->line);
    emp_buf_release(&s->data);
}

/* An empty line: the event is whole. One without data is none. */
static void dispatch(struct emp_sse *s)
{
    if (s->data.len > 0) {
        s->data.data[s->data.len - 1] = 0; /* the newline after its last line */
        s->ended = !s->event(s->arg, s->name[0] ? s->name : "message", s->data.data);
    }
    emp_buf_clear(&s->data);
    s->name[0] = 0;
}

static void take_line(struct emp_sse *s)
{
    const char *line = s->line.data ? s->line.data : "", *colon = strchr(line, ':');
    size_t field = colon ? (size_t)(colon - line) : strlen(line);
    const char *value = colon ? colon + 1 + (colon[1] == ' ') : "";
    if (s->line.len == 0) {
        dispatch(s);
    } else if (field == 4 && memcmp(line, "data", 4) == 0) {
        emp_buf_addz(&s->data, value);
        emp_buf_addz(&s->data, "\n");
    } else if (field == 5 && memcmp(line, "event", 5) == 0) {
        snprintf(s->name, sizeof s->name, "%s", value);
    }
    emp_buf_clear(&s->line);
}

int emp_sse_feed(struct emp_sse *s, const char *bytes, size_t len)
{
    size_t start = 0;
    for (size_t i = 0; i < len && !s->ended; i++) {
        bool follows_cr = s->after_cr;
        s->after_cr = bytes[i] == '\r';
        if (bytes[i] != '\n' && bytes[i] != '\r')
            continue;
        if (bytes[i] == '\n' && follows_cr) { /* the second half of CRLF */
            start = i + 1;
            continue;
        }
        emp_buf_add(&s->line, bytes + start, i - start);
        start = i + 1;
        take_line(s);
    }
    if (!s->ended && start < len)
        emp_buf_add(&s->line, bytes + start, len - start);
    return s->line.failed || s->data.failed ? EMP_E_TOO_LARGE : 0;
}

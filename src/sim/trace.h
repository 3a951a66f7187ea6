/* The log of a run: what happened, when, to whom, in whole numbers. Entries are structs, hashed as
 * they come; text is made only for those that are shown, from the table trace.def. So the same
 * entries give the same text, byte for byte, and a log that nobody reads costs next to nothing. */
#ifndef EMP_SIM_TRACE_H
#define EMP_SIM_TRACE_H

#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum emp_sim_trace_kind {
#define EMP_SIM_TRACE(name, story, format) EMP_SIM_TRACE_##name,
#include "sim/trace.def"
    EMP_SIM_TRACE_KIND_COUNT
};

enum { EMP_SIM_BROKER = -1, EMP_SIM_CLIENT = -2, EMP_SIM_WORLD = -3 }; /* who, else a machine */

struct emp_sim_entry {
    emp_mono_ms at;
    enum emp_sim_trace_kind kind;
    int32_t who;
    int64_t a, b, c;
};

enum { EMP_SIM_TRACE_KEPT = 64 }; /* the last entries, for the report of a violation */

struct emp_sim_trace {
    uint64_t hash, count;
    struct emp_sim_entry last[EMP_SIM_TRACE_KEPT]; /* a ring */
    FILE *file;                                    /* every entry as a line; NULL: none */
    struct emp_buf *story; /* entries marked as part of a story; NULL: none */
};

void emp_sim_trace_add(struct emp_sim_trace *t, const struct emp_sim_entry *e);
/* "    12.345  m3      run 17.1\n" */
void emp_sim_trace_format(const struct emp_sim_entry *e, struct emp_buf *out);
void emp_sim_trace_last(const struct emp_sim_trace *t, uint32_t count, struct emp_buf *out);
bool emp_sim_trace_is_story(enum emp_sim_trace_kind kind);

struct emp_sim_world;
void emp_sim_log(struct emp_sim_world *w, enum emp_sim_trace_kind kind, int32_t who, int64_t a,
                 int64_t b, int64_t c);

#endif

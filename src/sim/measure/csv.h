/* CSV, record by record (RFC 4180: quotes, doubled quotes, line ends inside quotes, CRLF). One
 * bounded line is held at a time, so a file may be of any size. Not held against a header: that is
 * the reader's who knows what the columns mean. One thread; reads its FILE without locks. */
#ifndef EMP_SIM_MEASURE_CSV_H
#define EMP_SIM_MEASURE_CSV_H

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>
#include <stdio.h>

enum { EMP_CSV_LINE_MAX = 64 * 1024, EMP_CSV_COLUMNS_MAX = 64 };

struct emp_trace_csv {
    const char *name; /* of the file, for messages; borrowed */
    FILE *in;         /* borrowed */
    struct emp_error *err;
    uint64_t line, next_line;                   /* of the record's first byte; of what comes next */
    struct emp_str fields[EMP_CSV_COLUMNS_MAX]; /* of the record, each followed by a NUL */
    uint32_t field_count;                       /* >= 1; an empty line has one empty field */
    char *buf;
};

int emp_trace_csv_open(struct emp_trace_csv *r, const char *name, FILE *in, struct emp_error *err);
void emp_trace_csv_release(struct emp_trace_csv *r);

/* The next record, into `fields` until the next call. 1; 0 at the end of the file; EMP_E_MALFORMED
 * (a quote inside a field, a NUL, an end inside quotes), EMP_E_LIMIT or EMP_E_IO with "FILE:LINE:
 * what". */
int emp_trace_csv_next(struct emp_trace_csv *r);

#endif

/* Tables of text (RFC 4180): records of fields separated by commas, quoted where need be ("" inside
 * quotes is one). Lines end in LF or CRLF, the last may lack it; empty lines are passed over. In
 * memory, pure; fields lie in the arena that is passed and live as long as it does. */
#ifndef EMP_CLI_CSV_H
#define EMP_CLI_CSV_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

enum { EMP_CSV_FIELDS_MAX = 1 << 20 };

struct emp_csv {
    const char *at, *end;
    const char *name; /* of the file, for errors */
    uint32_t line;    /* of the record read last, from 1 */
    uint32_t next_line;
    struct emp_str *fields; /* of the record read last */
    uint32_t count, cap;
};

/* A byte order mark at the beginning is passed over. */
void emp_csv_init(struct emp_csv *c, const char *name, struct emp_str text);

/* 1: a record stands in c->fields; 0: the end. Empty lines are passed over.
 * EMP_E_MALFORMED: a quote that is not closed, text after a closing quote, a NUL, more than
 * EMP_CSV_FIELDS_MAX fields; err names file and line. */
int emp_csv_next(struct emp_csv *c, struct emp_arena *arena, struct emp_error *err);

/* 0 and the number of a field; EMP_E_MALFORMED, with file, line and text, when it is none: decimal,
 * finite, nothing around it but blanks. */
int emp_csv_number(const struct emp_csv *c, uint32_t field, double *ret, struct emp_error *err);
bool emp_csv_is_number(struct emp_str s, double *ret);

#endif

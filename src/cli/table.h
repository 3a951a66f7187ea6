/* Tables for people: columns as wide as their content, numbers to the right, cells made safe for a
 * terminal. In an arena. */
#ifndef EMP_CLI_TABLE_H
#define EMP_CLI_TABLE_H

#include "base/arena.h"
#include "base/str.h"
#include "cli/terminal.h"

#include <stdbool.h>
#include <stdint.h>

enum { EMP_TABLE_COLUMNS_MAX = 16, EMP_CELL_COLUMNS_MAX = 60 };

struct emp_column {
    const char *title;
    bool right; /* aligned to the right: numbers */
};

struct emp_cell {
    struct emp_str text;
    unsigned columns;
    enum emp_colour colour;
};

struct emp_table {
    struct emp_arena *arena;
    const struct emp_column *columns; /* ends with title NULL */
    unsigned column_count;
    struct emp_cell *cells; /* row by row, all full */
    uint32_t cell_count, cell_cap;
};

void emp_table_init(struct emp_table *t, struct emp_arena *arena, const struct emp_column *columns);
/* The next cell, left to right, then the next row. Text is copied; cut at EMP_CELL_COLUMNS_MAX
 * columns. */
void emp_table_add(struct emp_table *t, struct emp_str text, enum emp_colour colour);
void emp_table_addz(struct emp_table *t, const char *text);
void emp_table_addf(struct emp_table *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Columns that are empty in every row are left out. Nothing but the titles when there is no row. */
void emp_table_write(const struct emp_table *t, bool colours, struct emp_buf *out);

#endif

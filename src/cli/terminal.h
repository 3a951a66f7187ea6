/* What depends on whether a person is looking: colours, progress bars, widths. A stream is "live"
 * when it is a terminal, TERM is not "dumb"; colours want NO_COLOR to be unset or empty too. Text
 * from elsewhere is made safe first: no control characters reach a terminal. */
#ifndef EMP_CLI_TERMINAL_H
#define EMP_CLI_TERMINAL_H

#include "base/str.h"

#include <stdbool.h>
#include <stdio.h>

enum emp_colour {
    EMP_COLOUR_NONE,
    EMP_COLOUR_GOOD,
    EMP_COLOUR_BAD,
    EMP_COLOUR_BUSY,
    EMP_COLOUR_DIM,
    EMP_COLOUR_STRONG
};

bool emp_terminal_live(FILE *stream);
bool emp_terminal_colours(FILE *stream);
unsigned emp_terminal_width(FILE *stream); /* columns; 80 where not known */

/* Escape sequences around coloured text; empty strings where colours are off. */
const char *emp_colour_on(enum emp_colour c, bool colours);
const char *emp_colour_off(enum emp_colour c, bool colours);
enum emp_colour emp_colour_of_status(struct emp_str status); /* of a job or machine */

/* Columns that UTF-8 text takes, one per code point. */
unsigned emp_text_columns(struct emp_str s);
/* Appends text with control characters as spaces and what is not UTF-8 as "?", cut to `columns_max`
 * columns with "…" (0: not cut). */
void emp_text_safe(struct emp_str s, unsigned columns_max, struct emp_buf *out);

/* "emp: text" on stderr. */
void emp_terminal_error(const char *text);

/* A line at the bottom of stderr that is drawn again and again: "▕████████      ▏ 62%  text".
 * `fraction` < 0: not known. Does nothing where stderr is not live. _clear removes it. */
void emp_progress_draw(double fraction, const char *text);
void emp_progress_clear(void);
/* The bar alone, `columns` wide, for _draw and for tables. */
void emp_progress_bar(double fraction, unsigned columns, struct emp_buf *out);

#endif

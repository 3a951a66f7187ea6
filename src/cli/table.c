#include "cli/table.h"

#include <stdarg.h>
#include <stdio.h>

void emp_table_init(struct emp_table *t, struct emp_arena *arena, const struct emp_column *columns)
{
    *t = (struct emp_table){.arena = arena, .columns = columns};
    while (columns[t->column_count].title && t->column_count < EMP_TABLE_COLUMNS_MAX)
        t->column_count++;
}

void emp_table_add(struct emp_table *t, struct emp_str text, enum emp_colour colour)
{
    struct emp_buf safe;
    emp_buf_init(&safe, 4096);
    emp_text_safe(text, EMP_CELL_COLUMNS_MAX, &safe);
    emp_arena_reserve(t->arena, t->cells, t->cell_count, t->cell_cap);
    struct emp_cell *c = &t->cells[t->cell_count++];
    c->text = emp_str_copy(t->arena, emp_str_z(safe.data));
    c->columns = emp_text_columns(c->text);
    c->colour = colour;
    emp_buf_release(&safe);
}

void emp_table_addz(struct emp_table *t, const char *text)
{
    emp_table_add(t, emp_str_z(text), EMP_COLOUR_NONE);
}

void emp_table_addf(struct emp_table *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    emp_table_addz(t, text);
}

/* 0: the column is empty in every row, and there are rows. */
static unsigned column_width(const struct emp_table *t, unsigned column)
{
    unsigned title = emp_text_columns(emp_str_z(t->columns[column].title)), width = 0;
    for (uint32_t i = column; i < t->cell_count; i += t->column_count)
        if (t->cells[i].columns > width)
            width = t->cells[i].columns;
    if (width == 0 && t->cell_count > 0)
        return 0;
    return width > title ? width : title;
}

static void add_padded(struct emp_str text, unsigned columns, unsigned width, bool right, bool last,
                       enum emp_colour colour, bool colours, struct emp_buf *out)
{
    unsigned pad = width > columns ? width - columns : 0;
    emp_buf_printf(out, "%*s%s", right ? (int)pad : 0, "", emp_colour_on(colour, colours));
    emp_buf_add(out, text.ptr, text.len);
    emp_buf_printf(out, "%s%*s", emp_colour_off(colour, colours), right || last ? 0 : (int)pad, "");
}

void emp_table_write(const struct emp_table *t, bool colours, struct emp_buf *out)
{
    unsigned widths[EMP_TABLE_COLUMNS_MAX], last = 0;
    for (unsigned c = 0; c < t->column_count; c++) {
        widths[c] = column_width(t, c);
        last = widths[c] ? c : last;
    }
    uint32_t rows = t->column_count ? t->cell_count / t->column_count : 0;
    for (uint32_t r = 0; r <= rows; r++) { /* row 0: the titles */
        for (unsigned c = 0; c <= last && c < t->column_count; c++) {
            struct emp_cell title = {.text = emp_str_z(t->columns[c].title),
                                     .colour = EMP_COLOUR_DIM};
            const struct emp_cell *cell = r ? &t->cells[(r - 1) * t->column_count + c] : &title;
            if (widths[c] == 0)
                continue;
            add_padded(cell->text, emp_text_columns(cell->text), widths[c], t->columns[c].right,
                       c == last, cell->colour, colours, out);
            emp_buf_addz(out, c == last ? "" : "  ");
        }
        emp_buf_addz(out, "\n");
    }
}

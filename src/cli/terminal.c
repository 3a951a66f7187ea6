#include "cli/terminal.h"

#include <math.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_UNKNOWN = 80, BAR_COLUMNS = 24 };

bool emp_terminal_live(FILE *stream)
{
    const char *term = getenv("TERM");
    return isatty(fileno(stream)) && (!term || strcmp(term, "dumb") != 0);
}

bool emp_terminal_colours(FILE *stream)
{
    const char *no = getenv("NO_COLOR");
    return emp_terminal_live(stream) && (!no || !*no);
}

unsigned emp_terminal_width(FILE *stream)
{
    struct winsize size;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return WIDTH_UNKNOWN;
}

static const char *const escapes[] = {
    [EMP_COLOUR_NONE] = "",         [EMP_COLOUR_GOOD] = "\x1b[32m", [EMP_COLOUR_BAD] = "\x1b[31m",
    [EMP_COLOUR_BUSY] = "\x1b[36m", [EMP_COLOUR_DIM] = "\x1b[2m",   [EMP_COLOUR_STRONG] = "\x1b[1m",
};

const char *emp_colour_on(enum emp_colour c, bool colours)
{
    return colours ? escapes[c] : "";
}

const char *emp_colour_off(enum emp_colour c, bool colours)
{
    return colours && c != EMP_COLOUR_NONE ? "\x1b[0m" : "";
}

enum emp_colour emp_colour_of_status(struct emp_str status)
{
    static const struct {
        const char *word;
        enum emp_colour colour;
    } known[] = {
        {"completed", EMP_COLOUR_GOOD}, {"connected", EMP_COLOUR_GOOD},
        {"failed", EMP_COLOUR_BAD},     {"quarantined", EMP_COLOUR_BAD},
        {"away", EMP_COLOUR_BAD},       {"in_progress", EMP_COLOUR_BUSY},
        {"assigned", EMP_COLOUR_BUSY},  {"draining", EMP_COLOUR_BUSY},
        {"cancelled", EMP_COLOUR_DIM},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (emp_str_eq(emp_str_z(known[i].word), status))
            return known[i].colour;
    return EMP_COLOUR_NONE;
}

unsigned emp_text_columns(struct emp_str s)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* Bytes of the code point at s.ptr[i], by its first byte; never beyond the end. */
static uint32_t sequence_bytes(struct emp_str s, uint32_t i)
{
    uint32_t end = i + 1;
    while (end < s.len && ((unsigned char)s.ptr[end] & 0xc0) == 0x80)
        end++;
    return end - i;
}

/* C0, DEL, and C1 (U+0080 … U+009F, in UTF-8 C2 80 … C2 9F): some terminals obey those, too. */
static bool is_control(const char *p, uint32_t bytes)
{
    unsigned char a = (unsigned char)p[0];
    return a < 0x20 || a == 0x7f || (bytes == 2 && a == 0xc2 && (unsigned char)p[1] < 0xa0);
}

void emp_text_safe(struct emp_str s, unsigned columns_max, struct emp_buf *out)
{
    bool cut = columns_max && emp_text_columns(s) > columns_max;
    unsigned left = cut ? columns_max - 1 : UINT32_MAX;
    for (uint32_t i = 0, n; i < s.len && left > 0; i += n, left--) {
        n = sequence_bytes(s, i);
        if (is_control(s.ptr + i, n))
            emp_buf_addz(out, " ");
        else if (!emp_utf8_valid(s.ptr + i, n))
            emp_buf_addz(out, "?");
        else
            emp_buf_add(out, s.ptr + i, n);
    }
    if (cut)
        emp_buf_addz(out, "…");
}

void emp_terminal_error(const char *text)
{
    struct emp_buf safe;
    bool colours = emp_terminal_colours(stderr);
    emp_progress_clear();
    emp_buf_init(&safe, 8192);
    emp_text_safe(emp_str_z(text), 0, &safe);
    fprintf(stderr, "%semp:%s %s\n", emp_colour_on(EMP_COLOUR_BAD, colours),
            emp_colour_off(EMP_COLOUR_BAD, colours), safe.data ? safe.data : "");
    emp_buf_release(&safe);
}

void emp_progress_bar(double fraction, unsigned columns, struct emp_buf *out)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double f = isfinite(fraction) && fraction > 0 ? (fraction < 1 ? fraction : 1) : 0;
    unsigned filled = (unsigned)lround(f * columns * 8), full = filled / 8, rest = filled % 8;
    for (unsigned i = 0; i < full; i++)
        emp_buf_addz(out, "█");
    emp_buf_addz(out, eighths[rest]);
    for (unsigned i = full + (rest != 0); i < columns; i++)
        emp_buf_addz(out, " ");
}

static bool drawn;

void emp_progress_draw(double fraction, const char *text)
{
    struct emp_buf line;
    unsigned room = emp_terminal_width(stderr) - 1;
    if (!emp_terminal_live(stderr))
        return;
    emp_buf_init(&line, 4096);
    emp_buf_addz(&line, "\r\x1b[K");
    if (fraction >= 0 && room > BAR_COLUMNS + 10) {
        emp_buf_addz(&line, "▕");
        emp_progress_bar(fraction, BAR_COLUMNS, &line);
        emp_buf_printf(&line, "▏%3.0f%%  ", fraction < 1 ? fraction * 100 : 100.0);
        room -= BAR_COLUMNS + 8;
    }
    emp_text_safe(emp_str_z(text), room, &line);
    if (!line.failed)
        fputs(line.data, stderr);
    fflush(stderr);
    drawn = true;
    emp_buf_release(&line);
}

void emp_progress_clear(void)
{
    if (!drawn)
        return;
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
    drawn = false;
}

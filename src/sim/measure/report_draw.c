/* The report's drawings: plain SVG, with titles that browsers show under the pointer. */
#include "sim/measure/report_internal.h"

#include <math.h>

enum { LEFT = 86, WIDTH = 980, PLOT = WIDTH - LEFT - 12 };

/* Okabe and Ito's palette, which most colour-blind people can tell apart, and three more. */
const char *emp_report_colour(uint32_t n)
{
    static const char *const colours[EMP_REPORT_COLOURS] = {
        "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
        "#56b4e9", "#7a4fbf", "#8c564b", "#b5bd00", "#17becf",
    };
    return colours[n % EMP_REPORT_COLOURS];
}

static void begin(struct emp_buf *out, int height, const char *label)
{
    emp_buf_printf(out,
                   "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\" "
                   "xmlns=\"http://www.w3.org/2000/svg\">\n",
                   WIDTH, height, label);
}

/* ---- waits ---- */

enum { CDF_HEIGHT = 360, CDF_TOP = 14, CDF_BOTTOM = CDF_HEIGHT - 40 };

static double wait_x(double s)
{
    return LEFT + PLOT * log10(s / 0.1) / 6;
}

/* The tail is what matters: shares are drawn by how many are left, 0, 90, 99, 99.9 % evenly. */
static double share_y(double share)
{
    double nines = share >= 1 ? 4 : -log10(1 - share);
    nines = nines > 4 ? 4 : nines;
    return CDF_BOTTOM - (CDF_BOTTOM - CDF_TOP) * nines / 4;
}

static void waits_axes(struct emp_buf *out)
{
    static const struct {
        double s;
        const char *label;
    } at[] = {{0.1, "0.1 s"},  {1, "1 s"},    {10, "10 s"},   {60, "1 min"},
              {600, "10 min"}, {3600, "1 h"}, {36000, "10 h"}};
    static const double shares[] = {0, 0.5, 0.9, 0.99, 0.999, 1};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        emp_buf_printf(out,
                       "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text "
                       "x=\"%.1f\" y=\"%d\" class=\"mid\">%s</text>\n",
                       at[i].s == 10 ? "mark" : "grid", wait_x(at[i].s), wait_x(at[i].s), CDF_TOP,
                       CDF_BOTTOM, wait_x(at[i].s), CDF_BOTTOM + 18, at[i].label);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        emp_buf_printf(out,
                       "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text "
                       "x=\"%d\" y=\"%.1f\" class=\"end\">%g %%</text>\n",
                       LEFT, LEFT + PLOT, share_y(shares[i]), share_y(shares[i]), LEFT - 6,
                       share_y(shares[i]) + 4, shares[i] * 100);
    emp_buf_printf(out, "<text x=\"%d\" y=\"%d\" class=\"mid\">waited at most …</text>\n",
                   LEFT + PLOT / 2, CDF_BOTTOM + 36);
}

void emp_report_waits(const struct emp_measure_report *r, struct emp_buf *out)
{
    begin(out, CDF_HEIGHT, "Share of jobs by how long they waited, a line for each policy");
    waits_axes(out);
    for (uint32_t k = 0; k < r->picture_count; k++) {
        const struct emp_measure_picture *p = &r->pictures[k];
        emp_buf_printf(out, "<polyline class=\"line\" stroke=\"%s\" points=\"",
                       emp_report_colour(k));
        for (uint32_t i = 0; i < EMP_PICTURE_WAITS; i++)
            emp_buf_printf(out, "%.1f,%.1f ", wait_x(emp_picture_wait_s(i)),
                           share_y(p->wait_share[i]));
        emp_buf_printf(out, "\"><title>%s</title></polyline>\n", p->policy);
    }
    emp_buf_addz(out, "</svg>\n");
}

/* ---- the queue ---- */

enum {
    QUEUE_HEIGHT = 130,
    QUEUE_TOP = 8,
    QUEUE_BOTTOM = QUEUE_HEIGHT - 24,
    TICKS = 9,
    TICK_TEXT = 84
};

static void area(struct emp_buf *out, const uint32_t v[EMP_PICTURE_POINTS], uint32_t most,
                 const char *style)
{
    double height = QUEUE_BOTTOM - QUEUE_TOP;
    emp_buf_printf(out, "<path class=\"%s\" d=\"M%d,%d", style, LEFT, QUEUE_BOTTOM);
    for (uint32_t i = 0; i < EMP_PICTURE_POINTS; i++)
        emp_buf_printf(out, "L%.1f,%.1f", LEFT + (double)PLOT * i / (EMP_PICTURE_POINTS - 1),
                       QUEUE_BOTTOM - height * v[i] / most);
    emp_buf_printf(out, "L%d,%dZ\"/>\n", LEFT + PLOT, QUEUE_BOTTOM);
}

/* Round times, at most TICKS of them. */
static int64_t tick_ms(int64_t span)
{
    static const int64_t minutes[] = {1, 5, 10, 30, 60, 180, 360, 720, 1440, 2880, 10080};
    for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++)
        if (span / (minutes[i] * 60000) < TICKS)
            return minutes[i] * 60000;
    return (span / TICKS / 86400000 + 1) * 86400000;
}

void emp_report_queue(const struct emp_measure_picture *p, uint32_t most, struct emp_buf *out)
{
    most = most ? most : 1;
    begin(out, QUEUE_HEIGHT, "Jobs that wait and jobs that run, over time");
    area(out, p->waiting, most, "waiting");
    area(out, p->running, most, "running");
    emp_buf_printf(out,
                   "<text x=\"%d\" y=\"%d\" class=\"end\">%u jobs</text><text x=\"%d\" y=\"%d\" "
                   "class=\"end\">0</text>\n",
                   LEFT - 6, QUEUE_TOP + 8, most, LEFT - 6, QUEUE_BOTTOM + 4);
    int64_t step = tick_ms(p->to - p->from), at = p->from + step - 1;
    for (at -= at % step; at <= p->to; at += step) { /* the simulation begins at a midnight */
        double x = LEFT + (double)PLOT * (double)(at - p->from) / (double)(p->to - p->from + 1);
        emp_buf_printf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n",
                       x, x, QUEUE_BOTTOM, QUEUE_BOTTOM + 5);
        if (x > WIDTH - TICK_TEXT / 2)
            break; /* no room for its name */
        emp_buf_printf(out, "<text x=\"%.1f\" y=\"%d\" class=\"mid\">", x, QUEUE_BOTTOM + 18);
        emp_report_time(out, p, at);
        emp_buf_addz(out, "</text>\n");
    }
    emp_buf_addz(out, "</svg>\n");
}

/* ---- machines ---- */

enum { ROW = 18, MINUTES = 10 };

static double window_x(const struct emp_measure_picture *p, emp_mono_ms at)
{
    return LEFT + (double)PLOT * (double)(at - p->window_from) / (double)EMP_PICTURE_WINDOW_MS;
}

static const char *model_colour(struct emp_str model, const struct emp_str *shown, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (emp_str_eq(model, shown[i]))
            return emp_report_colour(i);
    return "#8a8a8a";
}

static void stretch(const struct emp_measure_picture *p, const struct emp_picture_stretch *s,
                    const struct emp_str *shown, uint32_t count, struct emp_buf *out)
{
    static const char *const words[] = {"fetches", "loads", "computes with", "no machine"};
    static const double tall[] = {0.25, 0.5, 1, 1};
    struct emp_str model = emp_intern_name(&p->models, s->model);
    double x = window_x(p, s->from), width = window_x(p, s->to) - x,
           height = (ROW - 4) * tall[s->kind];
    emp_buf_printf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" ", x,
                   s->row * ROW + (ROW - 2) - height, width < 0.6 ? 0.6 : width, height);
    if (s->kind == EMP_PICTURE_DOWN)
        emp_buf_addz(out, "class=\"down\"");
    else
        emp_buf_printf(out, "fill=\"%s\"", model_colour(model, shown, count));
    emp_buf_printf(out, "><title>%s ", words[s->kind]);
    emp_report_text(out, model);
    emp_buf_printf(out, ", %.1f s</title></rect>\n", (double)(s->to - s->from) / 1000);
}

/* As much as there is room for, in whole characters. */
static void pool_name(struct emp_buf *out, struct emp_str name)
{
    enum { LETTERS = 10 };
    uint32_t n = 0;
    for (uint32_t letters = 0; n < name.len; n++)
        if (((unsigned char)name.ptr[n] & 0xc0) != 0x80 && letters++ == LETTERS)
            break;
    emp_report_text(out, (struct emp_str){name.ptr, n});
    emp_buf_addz(out, n < name.len ? "… " : " ");
}

void emp_report_machines(const struct emp_measure_picture *p,
                         const struct emp_str shown[EMP_REPORT_COLOURS], uint32_t count,
                         struct emp_buf *out)
{
    int bottom = (int)p->rows * ROW;
    begin(out, bottom + 24, "What each machine did in the busiest hour");
    for (uint32_t i = 0; i < p->rows; i++) {
        emp_buf_printf(out, "<rect class=\"row\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>",
                       LEFT, (int)i * ROW + 2, PLOT, ROW - 4);
        emp_buf_printf(out, "<text class=\"end\" x=\"%d\" y=\"%d\">", LEFT - 6, (int)i * ROW + 13);
        if (i == 0 || !emp_str_eq(p->row_names[i], p->row_names[i - 1]))
            pool_name(out, p->row_names[i]);
        emp_buf_printf(out, "%u", i + 1);
        emp_buf_addz(out, "</text>\n");
    }
    for (uint32_t i = 0; i < p->stretch_count; i++)
        stretch(p, &p->stretches[i], shown, count, out);
    for (int m = 0; m <= 60; m += MINUTES) {
        emp_mono_ms at = p->window_from + m * 60000;
        emp_buf_printf(out, "<text x=\"%.1f\" y=\"%d\" class=\"%s\">", window_x(p, at), bottom + 16,
                       m == 60 ? "end" : "mid");
        emp_report_time(out, p, at);
        emp_buf_addz(out, "</text>\n");
    }
    emp_buf_addz(out, "</svg>\n");
}

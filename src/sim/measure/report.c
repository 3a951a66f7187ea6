/* The report's page: for a reader who knows what a job queue is, and nothing of this project. */
#include "sim/measure/report_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLICIES_MAX = 64, SEEDS_MAX = 4096 };

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#fff;max-width:1160px;"
    "margin:2em auto;padding:0 1em}\n"
    "h1{font-size:1.6em;margin-bottom:.2em}h2{margin-top:2em;font-size:1.2em}h3{font-size:1em;"
    "margin:1.2em 0 .2em}\n"
    "table{border-collapse:collapse;width:100%}td,th{padding:.2em .6em;text-align:right;"
    "border-bottom:1px solid #e4e4e4;vertical-align:top}\n"
    "td:first-child,th:first-child{text-align:left;min-width:20em;white-space:pre-wrap}th{white-"
    "space:nowrap}"
    "td small,p small{color:#666;display:block}.wide{overflow-x:auto}.bound{color:#666}"
    "td small.range{white-space:nowrap}\n"
    ".best{font-weight:700;background:#eef6ee}.key span{display:inline-block;margin-right:1.2em}"
    ".key i{display:inline-block;width:1em;height:.8em;margin-right:.4em}\n"
    "svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:#555}svg .mid{"
    "text-anchor:middle}svg .end{text-anchor:end}\n"
    "svg .grid{stroke:#e4e4e4}svg .mark{stroke:#999;stroke-dasharray:4 3}svg .line{fill:none;"
    "stroke-width:2.2}\n"
    "svg .waiting{fill:#d55e00;opacity:.75}svg .running{fill:#0072b2;opacity:.55}svg .row{"
    "fill:#f4f4f4}svg .down{fill:#222}\n"
    "pre{white-space:pre-wrap;font-size:12px;background:#f6f6f6;padding:1em}\n"
    "</style>\n";

void emp_report_text(struct emp_buf *out, struct emp_str s)
{
    for (uint32_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '<')
            emp_buf_addz(out, "&lt;");
        else if (c == '>')
            emp_buf_addz(out, "&gt;");
        else if (c == '&')
            emp_buf_addz(out, "&amp;");
        else if (c == '"')
            emp_buf_addz(out, "&quot;");
        else
            emp_buf_add(out, &c, 1);
    }
}

void emp_report_time(struct emp_buf *out, const struct emp_measure_picture *p, emp_mono_ms at)
{
    static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    emp_wall_ms wall = p->epoch + at;
    char iso[EMP_ISO_MAX];
    emp_iso_format(wall, iso);
    emp_buf_printf(out, "%s %.2s, %.5s", days[wall / 86400000 % 7], iso + 8, iso + 11);
}

/* ---- the table ---- */

struct cell {
    double median, low, high;
    bool several, none;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static struct cell cell_of(const struct emp_measure_report *r, const char *policy,
                           emp_measure_figure of)
{
    double *v = malloc(r->run_count * sizeof *v);
    uint32_t n = 0;
    if (v == NULL)
        abort();
    for (uint32_t i = 0; i < r->run_count; i++)
        if (strcmp(r->runs[i].policy, policy) == 0 && !isnan(of(&r->runs[i])))
            v[n++] = of(&r->runs[i]);
    struct cell c = {.none = n == 0};
    if (n) {
        qsort(v, n, sizeof *v, by_value);
        c = (struct cell){n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2, v[0], v[n - 1], n > 1,
                          false};
    }
    free(v);
    return c;
}

/* Bounds know what no policy can: they do not compete. */
static bool competes(const char *policy)
{
    return strcmp(policy, "unlimited") != 0 && strcmp(policy, "clairvoyant") != 0;
}

/* As it is shown: what reads the same is the same. */
static double shown(double v, int decimals)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f", decimals, v);
    return strtod(text, NULL);
}

/* UINT32_MAX: nobody is better than all others. */
static uint32_t best_of(const struct emp_measure_report *r, const struct emp_measure_line *l,
                        const struct cell *cells)
{
    uint32_t best = UINT32_MAX, same = 0, competing = 0;
    for (uint32_t k = 0; k < r->picture_count && l->better; k++) {
        if (cells[k].none || !competes(r->pictures[k].policy))
            continue;
        competing++;
        double ahead = best == UINT32_MAX ? 1
                                          : l->better * (shown(cells[k].median, l->decimals) -
                                                         shown(cells[best].median, l->decimals));
        same = ahead > 0 ? 0 : same + !(ahead < 0);
        best = ahead > 0 ? k : best;
    }
    return competing > 1 && same == 0 ? best : UINT32_MAX;
}

static void row(const struct emp_measure_report *r, const struct emp_measure_line *l,
                struct emp_buf *out)
{
    struct cell cells[POLICIES_MAX];
    for (uint32_t k = 0; k < r->picture_count; k++)
        cells[k] = cell_of(r, r->pictures[k].policy, l->of);
    uint32_t best = best_of(r, l, cells);
    emp_buf_addz(out, "<tr><td>");
    emp_report_text(out, emp_str_z(l->name));
    if (l->meaning[0]) {
        emp_buf_addz(out, "<small>");
        emp_report_text(out, emp_str_z(l->meaning));
        emp_buf_addz(out, "</small>");
    }
    emp_buf_addz(out, "</td>");
    for (uint32_t k = 0; k < r->picture_count; k++) {
        const char *style = k == best                         ? " class=\"best\""
                            : competes(r->pictures[k].policy) ? ""
                                                              : " class=\"bound\"";
        emp_buf_printf(out, "<td%s>", style);
        if (!cells[k].none)
            emp_buf_printf(out, "%.*f", l->decimals, cells[k].median);
        if (cells[k].several)
            emp_buf_printf(out, "<small class=\"range\">%.*f – %.*f</small>", l->decimals,
                           cells[k].low, l->decimals, cells[k].high);
        emp_buf_addz(out, "</td>");
    }
    emp_buf_addz(out, "</tr>\n");
}

static void table(const struct emp_measure_report *r, struct emp_buf *out)
{
    emp_buf_addz(out, "<p>The best of a row is marked. Bounds (grey) know what no policy can, and "
                      "do not compete.");
    if (r->run_count > r->picture_count)
        emp_buf_addz(out, " The median of all seeds, below it the range.");
    emp_buf_addz(out, "</p>\n<div class=\"wide\"><table><tr><th></th>");
    for (uint32_t k = 0; k < r->picture_count; k++)
        emp_buf_printf(out, "<th%s>%s</th>",
                       competes(r->pictures[k].policy) ? "" : " class=\"bound\"",
                       r->pictures[k].policy);
    emp_buf_addz(out, "</tr>\n");
    for (const struct emp_measure_line *l = emp_measure_lines; l->name; l++)
        row(r, l, out);
    emp_buf_addz(out, "</table></div>\n");
}

/* ---- what is most used in the hour shown ---- */

struct use {
    struct emp_str model;
    int64_t ms;
};

static int by_use(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    return x->ms != y->ms ? (x->ms < y->ms ? 1 : -1) : emp_str_cmp(x->model, y->model);
}

static uint32_t most_used(const struct emp_measure_report *r, struct emp_str top[])
{
    struct emp_arena arena;
    struct emp_intern names;
    struct use *uses = NULL;
    size_t cap = 0, count = 0;
    emp_arena_init(&arena, 0);
    emp_intern_init(&names, &arena);
    for (uint32_t k = 0; k < r->picture_count; k++) {
        const struct emp_measure_picture *p = &r->pictures[k];
        for (uint32_t i = 0; i < p->stretch_count; i++) {
            const struct emp_picture_stretch *s = &p->stretches[i];
            if (s->kind != EMP_PICTURE_RUN || s->model == 0)
                continue;
            struct emp_str model = emp_intern_name(&p->models, s->model);
            uint32_t n = emp_intern(&names, model);
            if (n > count) {
                emp_arena_reserve(&arena, uses, count, cap);
                uses[count++] = (struct use){.model = model};
            }
            uses[n - 1].ms += s->to - s->from;
        }
    }
    if (count)
        qsort(uses, count, sizeof *uses, by_use);
    uint32_t n = count < EMP_REPORT_COLOURS ? (uint32_t)count : EMP_REPORT_COLOURS;
    for (uint32_t i = 0; i < n; i++)
        top[i] = uses[i].model; /* borrowed from the pictures */
    emp_arena_release(&arena);
    return n;
}

/* ---- sections ---- */

static void key(struct emp_buf *out, const char *colour, struct emp_str name)
{
    emp_buf_printf(out, "<span><i style=\"background:%s\"></i>", colour);
    emp_report_text(out, name);
    emp_buf_addz(out, "</span>");
}

/* Beginning with a capital. */
static void sentence(struct emp_buf *out, struct emp_str s)
{
    if (s.len == 0)
        return;
    char first = s.ptr[0] >= 'a' && s.ptr[0] <= 'z' ? (char)(s.ptr[0] - 'a' + 'A') : s.ptr[0];
    emp_report_text(out, (struct emp_str){&first, 1});
    emp_report_text(out, (struct emp_str){s.ptr + 1, s.len - 1});
}

static void opening(const struct emp_measure_report *r, struct emp_buf *out)
{
    const struct emp_measure_figures *f = &r->runs[0];
    emp_buf_addz(out, head);
    emp_buf_addz(out, "<title>emp sim: ");
    emp_report_text(out, f->scenario);
    emp_buf_addz(out, "</title></head><body>\n<h1>Scenario <em>");
    emp_report_text(out, f->scenario);
    emp_buf_addz(out, "</em></h1>\n<p>");
    sentence(out, r->scenario->about);
    emp_buf_addz(out, ". The jobs are those of <em>");
    emp_report_text(out, f->trace);
    emp_buf_printf(out, "</em>%s: ",
                   emp_str_eq(f->trace, EMP_STR("generated"))
                       ? " (drawn from the scenario's tables, by the seed)"
                       : "");
    emp_buf_printf(out,
                   "%llu of them count, which alone keep %.2f of %u machines busy on average. "
                   "%u run%s of %u polic%s.</p>\n",
                   (unsigned long long)f->jobs, f->offered_load, r->scenario->machines,
                   r->run_count, r->run_count == 1 ? "" : "s", r->picture_count,
                   r->picture_count == 1 ? "y" : "ies");
    if (f->speedup < 1 || f->speedup > 1)
        emp_buf_printf(out,
                       "<p>Jobs come %g times as fast as the trace has them, and run as long as "
                       "they did. Dates below are the simulation's.</p>\n",
                       f->speedup);
    emp_buf_addz(out, "<p>Each policy decides which machine runs which job, and when, on the same "
                      "fleet with the same jobs. A job <em>waits</em> from its submission until it "
                      "computes with every model in GPU memory: in the queue, for downloads, for "
                      "loading, and for attempts that were lost.</p>\n<p><small>");
    emp_report_text(out, emp_str_z(r->command));
    emp_buf_addz(out, "</small></p>\n");
}

static void policies(const struct emp_measure_report *r, struct emp_buf *out)
{
    emp_buf_addz(out, "<ul>\n");
    for (uint32_t k = 0; k < r->picture_count; k++) {
        emp_buf_printf(out, "<li><b>%s</b>: ", r->pictures[k].policy);
        emp_report_text(out, emp_str_z(r->pictures[k].about));
        emp_buf_addz(out, "</li>\n");
    }
    emp_buf_addz(out, "</ul>\n");
}

static void drawings(const struct emp_measure_report *r, struct emp_buf *out)
{
    struct emp_str shown[EMP_REPORT_COLOURS];
    uint32_t count = most_used(r, shown), most = 0;
    for (uint32_t k = 0; k < r->picture_count; k++)
        for (int i = 0; i < EMP_PICTURE_POINTS; i++) {
            const struct emp_measure_picture *p = &r->pictures[k];
            most = p->waiting[i] > most ? p->waiting[i] : most;
            most = p->running[i] > most ? p->running[i] : most;
        }
    emp_buf_printf(
        out,
        "<h2>Waits</h2>\n<p>How large a share of jobs waited at most so long; higher is "
        "better, and further left. The upper half of the scale is the last percent of the "
        "jobs. This and the drawings below are of seed %llu.</p>\n"
        "<p class=\"key\">",
        (unsigned long long)r->pictures[0].seed);
    for (uint32_t k = 0; k < r->picture_count; k++)
        key(out, emp_report_colour(k), emp_str_z(r->pictures[k].policy));
    emp_buf_addz(out, "</p>\n");
    emp_report_waits(r, out);
    emp_buf_addz(out, "<h2>Queue</h2>\n<p>How many jobs were waiting, and how many computing, over "
                      "the whole time: the most at once in each stretch of it. The areas stand "
                      "one before the other, they are not added up.</p>\n<p class=\"key\">");
    key(out, "#d55e00", EMP_STR("waiting (queue, download, load)"));
    key(out, "#0072b2", EMP_STR("computing"));
    emp_buf_addz(out, "</p>\n");
    for (uint32_t k = 0; k < r->picture_count; k++) {
        emp_buf_printf(out, "<h3>%s</h3>\n", r->pictures[k].policy);
        emp_report_queue(&r->pictures[k], most, out);
    }
    emp_buf_addz(out,
                 "<h2>Machines in the busiest hour</h2>\n<p>A row is a machine, a colour the "
                 "model it works with. Full height: it computes; half: it loads into GPU "
                 "memory; a quarter: it downloads for a job; blank: it is idle, or prepares for "
                 "jobs to come. Many changes of colour in a row are many loads. Under the "
                 "pointer a browser names model and time.</p>\n<p class=\"key\">");
    for (uint32_t i = 0; i < count; i++)
        key(out, emp_report_colour(i), shown[i]);
    key(out, "#8a8a8a", EMP_STR("other models"));
    if (r->scenario->churn)
        key(out, "#222", EMP_STR("the machine is gone"));
    emp_buf_addz(out, "</p>\n");
    for (uint32_t k = 0; k < r->picture_count; k++) {
        const struct emp_measure_picture *p = &r->pictures[k];
        emp_buf_printf(out, "<h3>%s</h3>\n", p->policy);
        emp_report_machines(p, shown, count, out);
        if (p->rows < r->scenario->machines || p->cut)
            emp_buf_printf(out, "<p><small>The first %u of %u machines%s.</small></p>\n", p->rows,
                           r->scenario->machines, p->cut ? "; not all that they did" : "");
    }
}

static void assumptions(const struct emp_measure_report *r, struct emp_buf *out)
{
    struct emp_buf text;
    emp_buf_init(&text, 1 << 20);
    emp_scenario_print(r->scenario, &text);
    emp_buf_addz(out, "<h2>Assumptions</h2>\n<details><summary>All that these figures rest on, "
                      "with sources</summary><pre>");
    emp_report_text(out, (struct emp_str){text.data, (uint32_t)text.len});
    emp_buf_addz(out, "</pre></details>\n</body></html>\n");
    emp_buf_release(&text);
}

void emp_measure_report(const struct emp_measure_report *r, struct emp_buf *out)
{
    if (r->run_count == 0 || r->picture_count == 0 || r->picture_count > POLICIES_MAX)
        return;
    opening(r, out);
    policies(r, out);
    emp_buf_addz(out, "<h2>Figures</h2>\n");
    table(r, out);
    drawings(r, out);
    assumptions(r, out);
}

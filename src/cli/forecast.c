#include "cli/forecast.h"

#include "cli/table.h"
#include "os/files.h"
#include "policy/series.h"

#include <math.h>
#include <stdlib.h>

static const struct emp_option options[] = {
    {"test", 0, "FILE", "What came after TRAIN. Without it, TRAIN's end is judged.", false, NULL},
    {"format", 0, "FORMAT", "m4, series or genai (needed).", false, NULL},
    {"horizon", 0, "H", "Steps ahead (m4: 48; genai: 1, 6 or 24 hours).", false, NULL},
    {"season", 0, "S", "Steps in a period (m4: 24, genai: 168).", false, NULL},
    {"from", 0, "DAY", "genai: the first day that is judged (the last four days).", false, NULL},
    {"to", 0, "DAY", "genai: the last day that is judged.", false, NULL},
    {"json", 0, NULL, "As JSON.", false, NULL},
    {NULL, 0, NULL, NULL, false, NULL},
};

static const struct {
    const char *name;
    int (*eval)(struct emp_cli *cli, const struct emp_forecast_options *o,
                struct emp_forecast_report *ret, struct emp_error *err);
} formats[] = {
    {"m4", emp_forecast_eval_m4},
    {"series", emp_forecast_eval_series},
    {"genai", emp_forecast_eval_genai},
};

enum { FILE_BYTES_MAX = 1 << 30 };

int emp_forecast_read(struct emp_cli *cli, const char *path, struct emp_str *ret,
                      struct emp_error *err)
{
    struct emp_buf buf;
    emp_buf_init(&buf, FILE_BYTES_MAX);
    int r = emp_file_read_all(path, FILE_BYTES_MAX, &buf, err);
    if (r >= 0)
        *ret = (struct emp_str){emp_arena_dup(&cli->arena, buf.data ? buf.data : "", buf.len),
                                (uint32_t)buf.len};
    emp_buf_release(&buf);
    return r;
}

/* ---- output ---- */

static void write_score(struct emp_writer *w, const struct emp_forecast_score *s)
{
    emp_write_double(w, "owa", s->owa); // NAN: null
    emp_write_double(w, "smape", s->smape);
    emp_write_double(w, "mase", s->mase);
    emp_write_double(w, "wape", s->wape);
    emp_write_double(w, "pinball", s->pinball);
    emp_write_double(w, "coverage_80", s->coverage_80);
}

static void as_json(const struct emp_forecast_report *r, struct emp_buf *out)
{
    struct emp_writer w;
    emp_writer_init(&w, out);
    emp_write_object(&w, NULL);
    write_score(&w, &r->scores[r->count - 1]);
    if (r->more_json)
        r->more_json(r, &w);
    emp_write_array(&w, "methods");
    for (uint32_t i = 0; i < r->count; i++) {
        emp_write_object(&w, NULL);
        emp_write_z(&w, "name", r->scores[i].name);
        write_score(&w, &r->scores[i]);
        emp_write_end(&w);
    }
    emp_write_end(&w);
    emp_write_end(&w);
    emp_buf_addz(out, "\n");
}

static void add_figure(struct emp_table *t, double v, int digits)
{
    if (isfinite(v))
        emp_table_addf(t, "%.*f", digits, v);
    else
        emp_table_addz(t, "");
}

static void as_text(struct emp_cli *cli, const struct emp_forecast_report *r, struct emp_buf *out)
{
    static const struct emp_column columns[] = {
        {"METHOD", false}, {"OWA", true},     {"SMAPE %", true},      {"MASE", true},
        {"WAPE", true},    {"PINBALL", true}, {"80% COVERS %", true}, {NULL, false}};
    struct emp_table t;
    emp_table_init(&t, &cli->arena, columns);
    for (uint32_t i = 0; i < r->count; i++) {
        const struct emp_forecast_score *s = &r->scores[i];
        emp_table_addz(&t, s->name);
        add_figure(&t, s->owa, 4);
        add_figure(&t, s->smape, 3);
        add_figure(&t, s->mase, 3);
        add_figure(&t, s->wape, 4);
        add_figure(&t, s->pinball, 4);
        add_figure(&t, s->coverage_80 * 100, 1);
    }
    if (r->header)
        emp_buf_printf(out, "%s\n", r->header);
    emp_table_write(&t, false, out);
    if (r->more_text)
        r->more_text(r, out);
}

/* ---- the command ---- */

static int whole(struct emp_cli *cli, const char *name, int64_t max, uint32_t *ret,
                 struct emp_error *err)
{
    int64_t v = 0;
    int r = emp_options_int(&cli->options, name, 1, max, &v, err);
    *ret = (uint32_t)v;
    return r;
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    struct emp_forecast_report report = {.count = 0};
    struct emp_forecast_options o = {
        .train = cli->options.args[1],
        .test = emp_options_value(&cli->options, "test"),
        .from = emp_options_value(&cli->options, "from"),
        .to = emp_options_value(&cli->options, "to"),
    };
    const char *format = emp_options_value(&cli->options, "format");
    struct emp_buf out;
    int r;
    if (strcmp(cli->options.args[0], "eval") != 0)
        return emp_fail(err, EMP_E_INVALID, NULL, "unknown \"emp forecast %s\"; there is: eval",
                        cli->options.args[0]);
    if ((r = whole(cli, "horizon", EMP_SERIES_HORIZON_MAX, &o.horizon, err)) < 0 ||
        (r = whole(cli, "season", EMP_SERIES_LENGTH_MAX, &o.season, err)) < 0)
        return r;
    size_t i = 0;
    while (i < sizeof formats / sizeof *formats && (!format || strcmp(formats[i].name, format)))
        i++;
    if (i == sizeof formats / sizeof *formats)
        return emp_fail(err, EMP_E_INVALID, "format", "--format %s: it is one of m4, series, genai",
                        format ? format : "is missing");
    if ((r = formats[i].eval(cli, &o, &report, err)) < 0)
        return r;
    emp_buf_init(&out, 1 << 20);
    if (emp_options_has(&cli->options, "json"))
        as_json(&report, &out);
    else
        as_text(cli, &report, &out);
    r = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return r;
}

const struct emp_command emp_command_forecast = {
    .name = "forecast",
    .args = "eval TRAIN",
    .summary = "Judge the forecasts on data of one's own.",
    .text =
        "eval: forecasts what follows from what came before, by the classical methods and by ours, "
        "and\n"
        "prints their errors: OWA, sMAPE and MASE as the M4 competition defines them (OWA against "
        "Naive2\n"
        "on the same data), WAPE, the pinball loss over the 10, 50 and 90% quantiles as a share of "
        "what\n"
        "happened, and how often the 80% interval holds it.\n"
        "m4, series: a line is an id and its values, oldest first; a heading is passed over. TEST\n"
        "continues each line. Without TEST the last three horizons of each series are judged.\n"
        "genai: a line is a job, with columns created, base_model and, where there are such, "
        "loras, exec_s,\n"
        "type, status, steps, images; lines without a time teach run times only. Uses of each base "
        "model are "
        "forecast\n"
        "hour by hour by the code that plans online. Judged are TEST, or the days from --from to "
        "--to.\n",
    .options = options,
    .args_min = 2,
    .args_max = 2,
    .run = run,
};

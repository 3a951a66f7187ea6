/* `emp forecast eval`: what its files share. */
#ifndef EMP_CLI_FORECAST_H
#define EMP_CLI_FORECAST_H

#include "cli/cli.h"
#include "proto/writer.h"

enum { EMP_FORECAST_SCORES_MAX = 16 };

/* Errors of one method. What does not apply is NAN, and null in the JSON. */
struct emp_forecast_score {
    const char *name;
    double owa, smape, mase, wape, pinball, coverage_80;
};

struct emp_forecast_report {
    struct emp_forecast_score scores[EMP_FORECAST_SCORES_MAX]; /* "ours" is the last */
    uint32_t count;
    const char *header; /* a line before the table */
    /* more members of the top level, and more lines after the table; NULL: none */
    void (*more_json)(const struct emp_forecast_report *r, struct emp_writer *w);
    void (*more_text)(const struct emp_forecast_report *r, struct emp_buf *out);
    const void *more;
};

/* What the command line says. */
struct emp_forecast_options {
    const char *train, *test; /* test may be NULL */
    uint32_t horizon, season; /* 0: the format's own */
    const char *from, *to;    /* genai: first and last day to judge; may be NULL */
};

int emp_forecast_eval_m4(struct emp_cli *cli, const struct emp_forecast_options *o,
                         struct emp_forecast_report *ret, struct emp_error *err);
int emp_forecast_eval_series(struct emp_cli *cli, const struct emp_forecast_options *o,
                             struct emp_forecast_report *ret, struct emp_error *err);
int emp_forecast_eval_genai(struct emp_cli *cli, const struct emp_forecast_options *o,
                            struct emp_forecast_report *ret, struct emp_error *err);

/* The whole file, as text that lives as long as the process. */
int emp_forecast_read(struct emp_cli *cli, const char *path, struct emp_str *ret,
                      struct emp_error *err);

#endif

/* Traces of jobs as tables, for judging: one line a job, named columns as the Alibaba GenAI trace
 * has them. */
#ifndef EMP_CLI_FORECAST_GENAI_H
#define EMP_CLI_FORECAST_GENAI_H

#include "base/time.h"
#include "cli/forecast.h"

enum { EMP_GENAI_LORAS_MAX = 15 };

struct emp_genai_job {
    emp_wall_ms at;            /* submission; the file's clock is taken as UTC */
    struct emp_str type, user; /* TXT_2_IMG, …; may be empty */
    struct emp_str models[1 + EMP_GENAI_LORAS_MAX]; /* the base, then LoRAs */
    uint32_t model_count;
    double exec_s; /* -1: not known */
    double steps, images;
    bool succeeded; /* or nothing is said */
    uint32_t line;
};
struct emp_genai {
    struct emp_genai_job *jobs; /* in order of time */
    uint32_t count, cap;
    struct emp_genai_job *untimed; /* lines without a time, which came before, in their order */
    uint32_t untimed_count, untimed_cap;
};

/* Columns created and base_model are needed; loras (id:scale;…), exec_s, type, steps, images, user
 * are used where they are. EMP_E_MALFORMED with file and line. Appends to *ret. */
int emp_genai_read(struct emp_cli *cli, const char *path, struct emp_genai *ret,
                   struct emp_error *err);

#endif

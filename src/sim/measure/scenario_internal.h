/* What the files that make up scenario.h share: the table of keys. */
#ifndef EMP_SIM_MEASURE_SCENARIO_INTERNAL_H
#define EMP_SIM_MEASURE_SCENARIO_INTERNAL_H

#include "sim/measure/scenario.h"

#include <stddef.h>

enum emp_scenario_type {
    EMP_SCENARIO_TEXT,      /* struct emp_str */
    EMP_SCENARIO_NUMBER,    /* double */
    EMP_SCENARIO_COUNT64,   /* int64_t */
    EMP_SCENARIO_FLAG,      /* bool */
    EMP_SCENARIO_DATE,      /* emp_wall_ms */
    EMP_SCENARIO_TABLE,     /* struct emp_quantiles */
    EMP_SCENARIO_WEIGHTS4,  /* double[4], sum 1 */
    EMP_SCENARIO_WEIGHTS24, /* double[24], sum 1 */
    EMP_SCENARIO_NOTES,     /* the rest know their own fields */
    EMP_SCENARIO_POOLS,
    EMP_SCENARIO_GPUS,
    EMP_SCENARIO_FAMILIES, /* struct emp_scenario_kind */
};

struct emp_scenario_key {
    const char *path;
    enum emp_scenario_type type;
    size_t offset; /* in struct emp_scenario */
    double unit, low, high;
    const char *meaning;
};
extern const struct emp_scenario_key emp_scenario_keys[]; /* ends with path NULL */

/* Fills in what a scenario has before its file says anything. */
void emp_scenario_init(struct emp_scenario *sc);
const struct emp_scenario_builtin *emp_scenario_builtin(struct emp_str name); /* NULL: none */

/* Applies a YAML text to `sc`. Used by _parse alone, and by itself for "like". */
int emp_scenario_apply(struct emp_scenario *sc, const char *file, const char *text, size_t len,
                       unsigned depth, struct emp_error *err);
/* Does it hold together? */
int emp_scenario_check(const struct emp_scenario *sc, const char *file, struct emp_error *err);

#endif

/* The kinds of `emp sim`, each in a file of its own: the process's exit status, or an EMP_E_*.
 * Their words, arguments and options stand in sim.c. */
#ifndef EMP_CLI_SIM_H
#define EMP_CLI_SIM_H

#include "cli/cli.h"

/* "A..B", whole numbers from 0, A not above B; one whole number from 0. */
bool emp_sim_seed_range(const char *text, uint64_t *ret_first, uint64_t *ret_last);
bool emp_sim_seed(const char *text, uint64_t *ret);

int emp_sim_run(struct emp_cli *cli, struct emp_error *err);       /* SCENARIO */
int emp_sim_scenarios(struct emp_cli *cli, struct emp_error *err); /* [SCENARIO] */
int emp_sim_export(struct emp_cli *cli, struct emp_error *err);    /* --data | --broker, --out */
int emp_sim_replay(struct emp_cli *cli, struct emp_error *err);    /* FILE, --job, --quiet */

#endif

/* emp sim scenarios: what there is to run. */
#include "cli/sim.h"
#include "sim/measure/scenario.h"

int emp_sim_scenarios(struct emp_cli *cli, struct emp_error *err)
{
    const struct emp_scenario_builtin *all;
    uint32_t count = emp_scenario_builtins(&all);
    struct emp_buf out;
    int e = 0;
    emp_buf_init(&out, 1 << 20);
    if (cli->options.arg_count > 1) {
        struct emp_scenario sc;
        e = emp_scenario_load(&sc, cli->options.args[1], err);
        if (e == 0) {
            emp_scenario_print(&sc, &out);
            emp_scenario_release(&sc);
        }
    }
    for (uint32_t i = 0; i < count && cli->options.arg_count == 1 && e == 0; i++) {
        struct emp_scenario sc;
        e = emp_scenario_load(&sc, all[i].name, err);
        if (e == 0) {
            emp_buf_printf(&out, "%-8s  %.*s\n", all[i].name, EMP_STR_FMT(sc.about));
            emp_scenario_release(&sc);
        }
    }
    if (e == 0)
        e = emp_cli_print(&out, err);
    emp_buf_release(&out);
    return e;
}

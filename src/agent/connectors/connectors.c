#include "agent/connectors/connectors.h"

#include "agent/connectors/command.h"
#include "agent/connectors/simulation.h"

static int make_simulation(const struct emp_connector_host *host, const struct emp_agent_options *o,
                           struct emp_connector **ret, struct emp_error *err)
{
    *ret = emp_simulation_new(host, o->simulation_run_ms);
    return *ret ? 0 : emp_fail(err, EMP_E_INTERNAL, NULL, "no memory for a connector");
}

static int make_command(const struct emp_connector_host *host, const struct emp_agent_options *o,
                        struct emp_connector **ret, struct emp_error *err)
{
    if (o->service_count == 0)
        return emp_fail(err, EMP_E_INVALID, "connectors",
                        "the command connector has no services: name some in agent.services");
    return emp_command_new(host, o->services, o->service_count, ret, err);
}

static const struct {
    const char *name;
    int (*make)(const struct emp_connector_host *host, const struct emp_agent_options *o,
                struct emp_connector **ret, struct emp_error *err);
} known[] = {
    {"simulation", make_simulation},
    {"command", make_command},
};
enum { KNOWN_COUNT = sizeof known / sizeof *known };

static int make(const struct emp_connector_host *host, const struct emp_agent_options *o,
                struct emp_str name, struct emp_connector *ret[EMP_CONNECTORS_MAX], uint32_t *count,
                struct emp_error *err)
{
    struct emp_buf names;

    for (uint32_t i = 0; i < *count; i++)
        if (emp_str_eq(name, emp_str_z(ret[i]->name)))
            return 0; // named twice
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (!emp_str_eq(name, emp_str_z(known[i].name)))
            continue;
        int r = known[i].make(host, o, &ret[*count], err);
        *count += r == 0;
        return r;
    }
    emp_buf_init(&names, 256);
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        emp_buf_printf(&names, "%s%s", i ? ", " : "", known[i].name);
    emp_fail(err, EMP_E_INVALID, "connectors", "there is no connector \"%.*s\"; there are: %s",
             EMP_STR_FMT(name), names.data);
    emp_buf_release(&names);
    return EMP_E_INVALID;
}

int emp_connectors_make(const struct emp_connector_host *host, const struct emp_agent_options *o,
                        struct emp_connector *ret[EMP_CONNECTORS_MAX], uint32_t *ret_count,
                        struct emp_error *err)
{
    int r = 0;

    *ret_count = 0;
    for (uint32_t i = 0; i < o->connector_count && r == 0; i++)
        r = make(host, o, o->connectors[i], ret, ret_count, err);
    if (o->connector_count == 0) {
        r = make(host, o, EMP_STR("simulation"), ret, ret_count, err);
        if (r == 0 && o->service_count)
            r = make(host, o, EMP_STR("command"), ret, ret_count, err);
    }
    return r;
}

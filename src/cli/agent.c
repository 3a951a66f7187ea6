#include "agent/agent.h"

#include "cli/settings.h"
#include "config/keys.h"

static const struct emp_option options[] = {
    {"broker", 0, "URL", "Broker, ws://HOST:PORT or wss://HOST:PORT; default ws://127.0.0.1:3331.",
     false, "agent.broker"},
    {"data", 0, "DIR", "Directory of identity, models and unfinished work; default emp-agent.",
     false, "agent.data"},
    {"pool", 0, "NAME", "Pool to join; default: the broker chooses by hardware.", false,
     "agent.pool"},
    {"region", 0, "NAME", "Where the machine stands.", false, "agent.region"},
    {"slots", 0, "N", "Jobs at once; default: one per GPU, at least one.", false, "agent.slots"},
    {"connector", 0, "NAME,…", "Connectors to start; default: all that are configured.", false,
     "agent.connectors"},
    {"models-dir", 0, "DIR", "Directory of models; default: models in the data directory.", false,
     "agent.models.dir"},
    {"disk-budget", 0, "SIZE", "Room for models (100gb); default: what is free, less a tenth.",
     false, "agent.models.disk_budget"},
    {"drain", 0, NULL, "On SIGTERM finish what runs, instead of handing it back.", false,
     "agent.drain"},
    {"drain-timeout", 0, "TIME", "Then hand back what still runs after this (5m).", false,
     "agent.drain_timeout"},
    {"config", 'c', "FILE", "Configuration, YAML or JSON; see docs/configuration.md.", false, NULL},
    {"log-level", 0, "LEVEL", "error, warn, info or debug.", false, "log.level"},
    {NULL, 0, NULL, NULL, false, NULL},
};

_Static_assert((int)EMP_RESULT_CHOICE_STDOUT == (int)EMP_COMMAND_RESULT_STDOUT &&
                   (int)EMP_RESULT_CHOICE_FILE == (int)EMP_COMMAND_RESULT_FILE &&
                   (int)EMP_RESULT_CHOICE_NONE == (int)EMP_COMMAND_RESULT_NONE,
               "config's words for a command's result are the agent's");

static struct emp_command_service *services_of(const struct emp_config_agent *a,
                                               struct emp_arena *arena)
{
    struct emp_command_service *services =
        emp_arena_array(arena, struct emp_command_service, a->service_count);
    for (uint32_t i = 0; i < a->service_count; i++) {
        const struct emp_config_service *s = &a->services[i];
        services[i] = (struct emp_command_service){
            .name = s->name,
            .argv = s->argv,
            .argv_count = s->argv_count,
            .env = s->env,
            .env_count = s->env_count,
            .timeout_ms = s->timeout_ms,
            .output_bytes_max = s->output_bytes_max,
            .memory_bytes_max = s->memory_bytes_max,
            .progress = s->progress,
            .result = (enum emp_command_result)s->result,
        };
    }
    return services;
}

/* Not said: as the pool of its name, where the configuration knows that. */
static double lean_of(const struct emp_config *c)
{
    const struct emp_section_info *plain = emp_section(EMP_SECTION_PLAIN);
    const struct emp_key *k = emp_key_find(plain, EMP_STR("agent.models.evict_lean"));
    if (c->origins[k - plain->keys] == EMP_ORIGIN_DEFAULT)
        for (uint32_t i = 0; i < c->settings.pool_count; i++)
            if (emp_str_eq(c->settings.pools[i].name, c->agent.pool))
                return c->settings.pools[i].evict_small_lean;
    return c->agent.evict_lean;
}

static struct emp_agent_options agent_options(const struct emp_config *c, struct emp_arena *arena)
{
    const struct emp_config_agent *a = &c->agent;
    return (struct emp_agent_options){
        .broker = a->broker,
        .token = a->token,
        .data = a->data,
        .pool = a->pool,
        .region = a->region,
        .provider = a->provider,
        .connectors = a->connectors,
        .connector_count = a->connector_count,
        .specialties = a->specialties,
        .specialty_count = a->specialty_count,
        .compliance = a->compliance,
        .compliance_count = a->compliance_count,
        .custom_nodes = a->custom_nodes,
        .node_count = a->node_count,
        .allowed_customers = a->allowed_customers,
        .allowed_count = a->allowed_count,
        .denied_customers = a->denied_customers,
        .denied_count = a->denied_count,
        .caps = a->caps,
        .cap_count = a->cap_count,
        .isolation = (enum emp_isolation)a->isolation,
        .slots = a->slots,
        .models_dir = a->models_dir,
        .disk_budget_bytes = a->disk_budget_bytes,
        .link_bytes_per_s_max = a->link_bytes_per_s_max,
        .fetches_max = a->fetches_max,
        .fetch_stall_ms = a->fetch_stall_ms,
        .drain = a->drain,
        .drain_timeout_ms = a->drain_timeout_ms,
        .evict_lean = lean_of(c),
        .services = services_of(a, arena),
        .service_count = a->service_count,
        .simulation_run_ms = a->simulation_run_ms,
    };
}

static int run(struct emp_cli *cli, struct emp_error *err)
{
    struct emp_config config;
    int r = emp_cli_settings(cli, &config, err);
    if (r == 0) {
        struct emp_agent_options o = agent_options(&config, &cli->arena);
        r = emp_agent_run(&o);
        if (r < 0)
            emp_fail(err, r, NULL, "the agent has stopped: %s", emp_error_text(r));
    }
    emp_config_release(&config);
    return r;
}

const struct emp_command emp_command_agent = {
    .name = "agent",
    .args = "",
    .summary = "Run an agent: offer this machine to a broker.",
    .text =
        "One outbound WebSocket: it works behind NAT. EMP_AGENT_TOKEN is presented where the "
        "broker asks for a token.\n"
        "SIGTERM hands unfinished work back to the broker; with --drain it is finished first.\n",
    .options = options,
    .run = run,
};

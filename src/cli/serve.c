#include "broker/broker.h"
#include "cli/settings.h"

static const struct emp_option options[] = {
    {"listen", 0, "HOST:PORT", "Address of the API; default 127.0.0.1:3331.", false, "listen"},
    {"data", 0, "DIR", "Directory of the database and of output files; default emp-data.", false,
     "data"},
    {"config", 'c', "FILE", "Configuration, YAML or JSON; see docs/configuration.md.", false, NULL},
    {"log-level", 0, "LEVEL", "error, warn, info or debug.", false, "log.level"},
    {NULL, 0, NULL, NULL, false, NULL},
};

static struct emp_broker_options broker_options(const struct emp_config *c)
{
    const struct emp_config_broker *b = &c->broker;
    return (struct emp_broker_options){
        .listen = b->listen,
        .data = b->data,
        .settings = &c->settings,
        .models = c->models,
        .model_count = c->model_count,
        .api_keys = b->api_keys,
        .api_key_count = b->api_key_count,
        .agent_tokens = b->agent_tokens,
        .agent_token_count = b->agent_token_count,
        .cors_origins = b->cors_origins,
        .cors_count = b->cors_count,
        .body_bytes_max = b->body_bytes_max,
        .batch_bytes_max = b->batch_bytes_max,
        .artifact_bytes_max = b->artifact_bytes_max,
        .payload_cache_bytes = b->payload_cache_bytes,
        .blackbox_bytes = b->blackbox_bytes,
        .retention_ms = b->retention_ms,
        .idle_timeout_ms = b->idle_timeout_ms,
        .http_threads = b->http_threads,
        .connections_max = b->connections_max,
        .event_streams_max = b->event_streams_max,
    };
}

/* emp_broker_run asks emp_broker_may_listen, too; asked here first, the refusal is one line that
 * says what to do. */
static int run(struct emp_cli *cli, struct emp_error *err)
{
    struct emp_config config;
    int r = emp_cli_settings(cli, &config, err);
    if (r == 0)
        r = emp_broker_may_listen(config.broker.listen, config.broker.api_key_count,
                                  config.broker.agent_token_count, err);
    if (r == 0) {
        struct emp_broker_options o = broker_options(&config);
        r = emp_broker_run(&o);
        if (r < 0)
            emp_fail(err, r, NULL, "the broker has stopped: %s", emp_error_text(r));
    }
    emp_config_release(&config);
    return r;
}

const struct emp_command emp_command_serve = {
    .name = "serve",
    .args = "",
    .summary = "Run the broker.",
    .text = "Beyond loopback it wants keys: auth.api_keys and auth.agent_tokens in the "
            "configuration, or EMP_API_KEYS and\n"
            "EMP_AGENT_TOKENS (several with commas) in the environment. SIGTERM ends it; nothing "
            "acknowledged is lost.\n",
    .options = options,
    .run = run,
};

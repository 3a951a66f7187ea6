#include "sim/system.h"

#include "sim/agent.h"
#include "sim/broker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what the network calls ---- */

static bool broker_listens(void *ctx)
{
    const struct emp_sim_system *s = ctx;
    return s->broker && emp_sim_broker_is_up(s->broker);
}

static bool agent_listens(void *ctx, uint32_t agent)
{
    const struct emp_sim_system *s = ctx;
    return s->agents[agent]->hung_until == 0;
}

static void broker_opened(void *ctx, emp_link link, uint32_t agent)
{
    (void)agent;
    emp_sim_broker_opened(((struct emp_sim_system *)ctx)->broker, link);
}

static void broker_message(void *ctx, emp_link link, const struct emp_message *m)
{
    emp_sim_broker_message(((struct emp_sim_system *)ctx)->broker, link, m);
}

static void broker_closed(void *ctx, emp_link link)
{
    emp_sim_broker_closed(((struct emp_sim_system *)ctx)->broker, link);
}

static void agent_opened(void *ctx, uint32_t agent)
{
    emp_sim_agent_opened(((struct emp_sim_system *)ctx)->agents[agent]);
}

static void agent_refused(void *ctx, uint32_t agent)
{
    emp_sim_agent_refused(((struct emp_sim_system *)ctx)->agents[agent]);
}

static void agent_message(void *ctx, uint32_t agent, const struct emp_message *m)
{
    emp_sim_agent_message(((struct emp_sim_system *)ctx)->agents[agent], m);
}

static void agent_closed(void *ctx, uint32_t agent)
{
    emp_sim_agent_closed(((struct emp_sim_system *)ctx)->agents[agent]);
}

static const struct emp_sim_ends ends = {
    .broker_listens = broker_listens,
    .agent_listens = agent_listens,
    .broker_opened = broker_opened,
    .broker_message = broker_message,
    .broker_closed = broker_closed,
    .agent_opened = agent_opened,
    .agent_refused = agent_refused,
    .agent_message = agent_message,
    .agent_closed = agent_closed,
};

/* ---- life ---- */

void emp_sim_system_init(struct emp_sim_system *s, uint64_t seed,
                         const struct emp_sim_network_settings *network,
                         const struct emp_sim_behaviour *behaviour)
{
    *s = (struct emp_sim_system){.behaviour = *behaviour};
    emp_sim_world_init(&s->world, seed);
    emp_intern_init(&s->model_names, &s->world.arena);
    emp_intern_init(&s->machine_names, &s->world.arena);
    emp_sim_network_init(&s->network, &s->world, network, &ends, s);
}

void emp_sim_system_release(struct emp_sim_system *s)
{
    if (s->broker)
        emp_sim_broker_release(s->broker);
    for (uint32_t i = 0; i < s->agent_count; i++)
        emp_sim_agent_release(s->agents[i]);
    emp_sim_network_release(&s->network);
    emp_sim_world_release(&s->world);
}

void emp_sim_system_observe(struct emp_sim_system *s, const struct emp_sim_observer *o)
{
    assert(s->observer_count < EMP_SIM_OBSERVERS_MAX);
    s->observers[s->observer_count++] = *o;
}

uint32_t emp_sim_agent_number(const struct emp_sim_system *s, struct emp_str id)
{
    uint32_t n = emp_intern_find(&s->machine_names, id);
    return n ? n - 1 : UINT32_MAX;
}

/* ---- models ---- */

uint32_t emp_sim_model_find(const struct emp_sim_system *s, struct emp_str name)
{
    return emp_intern_find(&s->model_names, name);
}

/* Not a hash, but as long as one: tells name and version. */
void emp_sim_sha_make(struct emp_str name, uint32_t version, char out[65])
{
    uint64_t h = emp_str_hash(name);
    snprintf(out, 65, "%016llx%016llx%016llx%08x%08x", (unsigned long long)h,
             (unsigned long long)emp_mix64(h), (unsigned long long)emp_mix64(h + version), 0u,
             version);
}

uint32_t emp_sim_sha_version(const char sha256[65])
{
    return strlen(sha256) == 64 ? (uint32_t)strtoul(sha256 + 56, NULL, 16) : 0;
}

uint32_t emp_sim_model_put(struct emp_sim_system *s, const struct emp_model *model)
{
    struct emp_arena *a = &s->world.arena;
    uint32_t number = emp_intern(&s->model_names, model->name);
    while (number >= s->model_cap) {
        size_t cap = s->model_cap ? s->model_cap * 2 : 64;
        s->models = emp_arena_realloc(a, s->models, s->model_cap * sizeof *s->models,
                                      cap * sizeof *s->models);
        s->model_cap = cap;
    }
    struct emp_sim_model *m = &s->models[number];
    m->model = *model;
    m->version++;
    emp_sim_sha_make(model->name, m->version, m->model.sha256);
    return number;
}

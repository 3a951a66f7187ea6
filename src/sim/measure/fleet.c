/* Machines and their lives. A place is held by one machine after another: when one is gone, without
 * a word, its replacement comes with an empty disk and a name, a link and a GPU of its own. What a
 * machine is, and how long it lives, comes from the scenario by place and life: the same for every
 * policy.
 *
 * Beats are rare here (they would be most of what happens): that a machine is gone is noticed when
 * the network says so, after as long as silence would take. */
#include "sim/measure/engine.h"

#include <stdio.h>

enum { BEAT_MS = 60000 };

static void pool_settings(struct emp_measure *m, uint32_t index)
{
    const struct emp_scenario_pool *from = &m->scenario->pools[index];
    const struct emp_settings *s = emp_settings_default();
    struct emp_pool *to = &m->pools[index];
    *to = (struct emp_pool){.run_ms_max = EMP_NEVER};
    for (uint32_t i = 0; i < s->pool_count; i++)
        if (m->scenario->pool_count > 1 && emp_str_eq(s->pools[i].name, from->name))
            *to = s->pools[i];
    to->name = from->name;
}

/* A fleet of one pool takes jobs of any length in it. */
void emp_measure_fleet_settings(struct emp_measure *m)
{
    m->settings = *emp_settings_default();
    m->settings.pools = m->pools;
    m->settings.pool_count = m->scenario->pool_count;
    m->settings.intelligence.on = m->asked->policy->predictive;
    m->settings.lease.beat_ms = BEAT_MS;
    m->settings.lease.silent_ms = 1000 * BEAT_MS;
    m->settings.lease.closed_ms = 0;
    m->settings.retry.losses_max = INT32_MAX; /* no job here kills machines */
    for (uint32_t i = 0; i < m->scenario->pool_count; i++)
        pool_settings(m, i);
}

static void facts_of(struct emp_measure *m, const struct emp_measure_place *p,
                     struct emp_sim_agent_settings *s)
{
    const struct emp_scenario_pool *pool = p->is.pool;
    char *id = emp_arena_printf(&m->arena, "m%u.%u", p->number, p->life);
    struct emp_gpu *gpu = emp_arena_new(&m->arena, struct emp_gpu);
    *gpu = (struct emp_gpu){p->is.gpu ? p->is.gpu->name : EMP_STR("mean"), pool->gpu_memory_bytes};
    s->facts = (struct emp_machine_facts){
        .id = emp_str_z(id),
        .version = EMP_STR("1"),
        .pool = pool->name,
        .services = m->services,
        .service_count = m->service_count,
        .gpus = gpu,
        .gpu_count = 1,
        .slots = pool->slots,
        .cpu_cores = 16,
        .ram_bytes = pool->ram_bytes * 2,
        .disk_budget_bytes = pool->disk_bytes,
        .gpu_budget_bytes = pool->gpu_memory_bytes,
        .ram_budget_bytes = pool->ram_bytes,
        .link_bytes_per_s = p->is.link_bytes_per_s,
        .booted_at = m->system.world.epoch + emp_measure_now(m),
    };
    s->link_bytes_per_s = p->is.link_bytes_per_s;
    s->reconnect_ms_min = s->reconnect_ms_max = 1000;
    s->brain.link_bytes_per_s = p->is.link_bytes_per_s;
    s->brain.evict_oldest = m->asked->policy->evict_oldest;
    s->brain.evict_lean = m->pools[p->pool].evict_small_lean;
    s->brain.beat_ms = BEAT_MS;
}

static void comes(struct emp_measure_place *p)
{
    struct emp_measure *m = p->run;
    struct emp_sim_agent_settings s = {0};
    emp_scenario_machine(m->scenario, m->asked->seed, p->number, p->life, &p->is);
    p->pool = (uint32_t)(p->is.pool - m->scenario->pools);
    facts_of(m, p, &s);
    p->agent = emp_sim_agent_add(&m->system, &s);
    size_t count = p->agent->index;
    emp_arena_reserve(&m->arena, m->place_of_agent, count, m->place_of_agent_cap);
    m->place_of_agent[count] = p;
    p->up = true;
    p->up_since = emp_measure_now(m);
    emp_measure_picture_up(m, p);
    emp_sim_agent_start(p->agent);
    if (p->is.up_ms != EMP_NEVER)
        emp_sim_timer_after(&m->system.world, &p->turn, p->is.up_ms);
}

static void book_hours(struct emp_measure *m, struct emp_measure_place *p)
{
    int64_t ms = emp_measure_now(m) - p->up_since;
    p->up_since = emp_measure_now(m);
    if (!p->up || !m->counting)
        return;
    m->machine_ms += ms;
    m->cost += p->is.price_h * (double)ms / 3600000;
}

static void goes(struct emp_measure_place *p)
{
    struct emp_measure *m = p->run;
    book_hours(m, p);
    emp_sim_network_break(&m->system.network, p->agent->index);
    emp_sim_agent_kill(p->agent, false);
    p->agent->gone = true;
    p->up = false;
    p->life++;
    emp_sim_timer_after(&m->system.world, &p->turn, p->is.startup_ms);
}

static void turns(struct emp_sim_world *w, void *ctx)
{
    struct emp_measure_place *p = ctx;
    (void)w;
    if (p->up)
        goes(p);
    else
        comes(p);
}

void emp_measure_fleet_start(struct emp_measure *m)
{
    m->places = emp_arena_array(&m->arena, struct emp_measure_place, m->scenario->machines);
    for (uint32_t i = 0; i < m->scenario->machines; i++) {
        struct emp_measure_place *p = &m->places[i];
        p->run = m;
        p->number = i;
        emp_sim_timer_init(&p->turn, turns, p);
        comes(p);
    }
}

void emp_measure_fleet_count_until_now(struct emp_measure *m)
{
    for (uint32_t i = 0; i < m->scenario->machines; i++)
        book_hours(m, &m->places[i]);
}

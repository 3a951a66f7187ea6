/* Looking in: jobs, machines, pools, models and counters as the API shows them. */
#include "core/internal.h"

int emp_core_job(const struct emp_core *c, emp_job_num num, struct emp_core_job_view *ret)
{
    const struct job *j = emp_job_find(c, num);
    if (j == NULL)
        return EMP_E_NOT_FOUND;
    *ret = (struct emp_core_job_view){
        .state = j->state, .percent = j->percent, .expected_start_ms = -1};
    if (j->progress) {
        const struct progress *p = emp_slab_at(&c->progresses, j->progress);
        ret->progress_text = (struct emp_str){p->text, p->length};
    }
    if (j->timer_place != EMP_HEAP_OUT && j->machine == NULL)
        ret->expected_start_ms = j->due - c->now.mono;
    return 0;
}

static void machine_view(const struct emp_core *c, const struct machine *m, struct emp_now now,
                         struct emp_arena *arena, struct emp_core_machine *v)
{
    *v = (struct emp_core_machine){
        .facts = &m->facts,
        .state = emp_machine_state(c, m),
        .pool = emp_pool_name(c, m->pool),
        .disk_free_bytes = m->disk_free,
        .link_bytes_per_s = m->link_rate,
        .fetch_left_bytes = emp_machine_fetch_left(c, m),
        .speed = m->speed.value > 0 ? m->speed.value : 1,
        .jobs_completed = m->jobs_completed,
        .jobs_failed = m->jobs_failed,
        .first_seen = m->first_seen,
        .last_seen = m->link ? now.wall - (now.mono - m->last_heard) : m->last_seen,
        .quarantined_until = m->quarantined_until ? now.wall + (m->quarantined_until - now.mono)
                                                  : 0,
        .drained = m->drained,
    };
    v->jobs = emp_arena_array(arena, emp_job_num, m->busy);
    for (const struct job *j = m->running; j; j = j->next)
        v->jobs[v->busy++] = j->num;
    v->copies = emp_arena_array(arena, struct emp_copy, m->copy_count);
    v->copy_count = m->copy_count;
    for (uint32_t i = 0; i < m->copy_count; i++)
        v->copies[i] = (struct emp_copy){
            .model = emp_core_name(c, m->copies[i].model),
            .bytes = m->copies[i].bytes,
            .residency = m->copies[i].residency,
            .in_use = m->copies[i].in_use,
        };
}

uint32_t emp_core_machines(const struct emp_core *c, struct emp_now now, struct emp_arena *arena,
                           struct emp_core_machine **ret)
{
    *ret = emp_arena_array(arena, struct emp_core_machine, c->all_count);
    for (size_t i = 0; i < c->all_count; i++)
        machine_view(c, c->all[i], now, arena, &(*ret)[i]);
    return (uint32_t)c->all_count;
}

uint32_t emp_core_pools(const struct emp_core *c, struct emp_arena *arena,
                        struct emp_core_pool **ret)
{
    uint32_t n = c->settings->pool_count;
    struct emp_core_pool *v = *ret = emp_arena_array(arena, struct emp_core_pool, n);
    for (uint32_t i = 0; i < n; i++)
        v[i].pool = &c->settings->pools[i];
    for (size_t i = 0; i < c->all_count; i++) {
        const struct machine *m = c->all[i];
        if (m->link == 0 || m->pool >= n)
            continue;
        v[m->pool].machines++;
        v[m->pool].slots += m->facts.slots;
        v[m->pool].busy += m->busy;
        for (const struct job *j = m->running; j; j = j->next)
            v[m->pool].running++;
    }
    for (uint32_t i = 1; i <= c->classes.high; i++) {
        const struct class *k = emp_slab_at(&c->classes, i);
        if (k->pending && k->pool < n)
            v[k->pool].pending += k->pending;
    }
    return n;
}

static void model_machines(const struct emp_core *c, uint32_t name, struct emp_arena *arena,
                           struct emp_core_model *v)
{
    for (int fill = 0; fill < 2; fill++) {
        uint32_t n = 0;
        v->fetching = 0;
        for (size_t i = 0; i < c->all_count; i++) {
            const struct copy *copy = c->all[i]->link ? emp_machine_copy(c->all[i], name) : NULL;
            if (copy && copy->residency == EMP_RESIDENCY_FETCHING)
                v->fetching++;
            if (copy == NULL || copy->residency < EMP_RESIDENCY_DISK)
                continue;
            if (fill)
                v->machines[n] = emp_core_name(c, c->all[i]->name);
            n++;
        }
        v->copies = n;
        if (!fill)
            v->machines = emp_arena_array(arena, struct emp_str, n);
    }
}

uint32_t emp_core_models(const struct emp_core *c, struct emp_arena *arena,
                         struct emp_core_model **ret)
{
    *ret = emp_arena_array(arena, struct emp_core_model, c->model_count);
    uint32_t n = 0;
    for (size_t i = 0; i < c->model_count; i++) {
        const struct model_entry *e = c->models[c->model_order[i]];
        if (!e->catalogued)
            continue;
        struct emp_core_model *v = &(*ret)[n++];
        v->model = &e->model;
        v->uses = e->uses;
        model_machines(c, e->name, arena, v);
    }
    return n;
}

const struct emp_model *emp_core_model_find(const struct emp_core *c, struct emp_str name)
{
    uint32_t id = emp_intern_find(&c->names, name);
    return id && id < c->model_cap && c->models[id] && c->models[id]->catalogued
               ? &c->models[id]->model
               : NULL;
}

void emp_core_stats(const struct emp_core *c, struct emp_core_stats *ret)
{
    *ret = c->stats;
    ret->classes = c->classes.count;
    ret->machines_known = (uint32_t)c->all_count;
    ret->slots = c->slots;
    for (size_t i = 0; i < c->all_count; i++) {
        ret->machines_connected += c->all[i]->link != 0;
        ret->slots_busy += c->all[i]->link ? c->all[i]->busy : 0;
    }
}

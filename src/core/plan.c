/* The core's side of planning: notes of what was used, the snapshot, and what comes of a plan.
 *
 * Notes are kept until the next snapshot, NOTES_MAX at most. A machine's plan is remembered as it
 * was last sent, and sent anew when the machine comes back, or when a new plan differs from it.
 * What it makes ready as a spare (spare.c) goes before it, in the same message. */
#include "core/internal.h"

#include <math.h>

enum {
    NOTES_MAX = 65536,
    QUIET_FACTOR = 10, /* in quiet times plans are so much rarer */
};

/* ---- notes ---- */

static struct emp_note *note(struct emp_core *c, enum emp_note_kind kind)
{
    if (!c->settings->intelligence.on)
        return NULL;
    c->noted = true;
    if (c->note_count == NOTES_MAX) {
        c->notes_lost++;
        return NULL;
    }
    emp_arena_reserve(&c->arena, c->notes, c->note_count, c->note_cap);
    struct emp_note *n = &c->notes[c->note_count++];
    *n = (struct emp_note){.kind = kind, .at = c->now.wall};
    return n;
}

static struct emp_str *names_of(struct emp_core *c, const struct class *k, struct emp_arena *a)
{
    struct emp_str *names = emp_arena_array(a, struct emp_str, k->spec.model_count);
    for (uint32_t i = 0; i < k->spec.model_count; i++)
        names[i] = emp_core_name(c, k->models[i]);
    return names;
}

/* Names that live as long as the core, whatever becomes of the class. */
static struct emp_str kept(struct emp_core *c, struct emp_str s)
{
    return s.len ? emp_core_name(c, emp_intern(&c->names, s)) : (struct emp_str){0};
}

static struct emp_str own_customer(struct emp_core *c, const struct class *k)
{
    return k->spec.isolation != EMP_ISOLATION_NONE ? kept(c, k->spec.customer)
                                                   : (struct emp_str){0};
}

void emp_plan_note_use(struct emp_core *c, const struct job *j)
{
    struct class *k = j->class;
    struct emp_note *n = note(c, EMP_NOTE_USE);
    if (n == NULL)
        return;
    n->models = names_of(c, k, &c->note_arena);
    n->model_count = k->spec.model_count;
    n->service = kept(c, k->spec.service);
    n->pool = emp_pool_name(c, k->pool);
    n->region = kept(c, k->spec.region);
    n->customer = own_customer(c, k);
    n->tier = j->tier;
    n->run_ms = k->mean_ms;
}

void emp_plan_note_start(struct emp_core *c, const struct job *j, int64_t bytes_fetched)
{
    struct emp_note *n = j->class->spec.model_count ? note(c, EMP_NOTE_START) : NULL;
    if (n == NULL)
        return;
    n->models = names_of(c, j->class, &c->note_arena);
    n->model_count = j->class->spec.model_count;
    n->tier = j->tier;
    n->wait_ms = emp_job_waited_ms(c, j);
    n->brought = bytes_fetched > 0;
    n->ready = true;
    for (uint32_t i = 0; i < j->class->spec.model_count; i++) {
        const struct copy *copy = emp_machine_copy(j->machine, j->class->models[i]);
        n->ready &= copy && copy->residency >= EMP_RESIDENCY_DISK && copy->came_at <= j->arrived;
    }
    n->machine = emp_core_name(c, j->machine->name);
}

static struct emp_note *note_copy(struct emp_core *c, enum emp_note_kind kind,
                                  const struct machine *m, const struct copy *copy)
{
    struct emp_note *n = note(c, kind);
    if (n == NULL)
        return NULL;
    struct emp_str *name = emp_arena_array(&c->note_arena, struct emp_str, 1);
    *name = emp_core_name(c, copy->model);
    n->models = name;
    n->model_count = 1;
    n->machine = emp_core_name(c, m->name);
    n->bytes = copy->bytes;
    return n;
}

void emp_plan_note_fetch(struct emp_core *c, const struct machine *m, const struct copy *copy,
                         bool ok)
{
    struct emp_note *n = note_copy(c, EMP_NOTE_FETCH, m, copy);
    if (n == NULL)
        return;
    n->bytes = ok ? copy->bytes : 0;
    n->ms = c->now.mono - copy->fetching_since;
    n->planned = copy->planned;
    n->ok = ok;
}

static bool spared(const struct machine *m, uint32_t model)
{
    for (uint32_t i = 0; i < m->spare.count; i++)
        if (m->spare.models[i] == model)
            return true;
    return false;
}

/* Does a job there wait for models? Of all of them, or of this one (0: any that is missing). */
static bool job_waits_for(const struct machine *m, uint32_t model)
{
    for (const struct job *j = m->running; j; j = j->next)
        for (uint32_t i = 0; j->state == EMP_JOB_ASSIGNED && i < j->class->spec.model_count; i++) {
            const struct copy *copy = emp_machine_copy(m, j->class->models[i]);
            bool missing = copy == NULL || copy->residency < EMP_RESIDENCY_DISK;
            if (model ? j->class->models[i] == model : missing)
                return true;
        }
    return false;
}

/* The machine lets go for what it fetches: for a job that waits for models, if there is one. */
void emp_plan_note_evict(struct emp_core *c, const struct machine *m, const struct copy *copy)
{
    struct emp_note *n = note_copy(c, EMP_NOTE_EVICT, m, copy);
    if (n)
        n->planned = m->planned_count + m->spare.count > 0 && !job_waits_for(m, 0);
}

bool emp_plan_fetches(const struct machine *m, uint32_t model)
{
    bool planned = spared(m, model);
    for (uint32_t i = 0; i < m->planned_count; i++)
        planned |= m->planned[i].model == model;
    return planned && !job_waits_for(m, model);
}

static void notes_hand_over(struct emp_core *c, struct emp_arena *a, struct emp_snapshot *ret)
{
    struct emp_note *notes = emp_arena_array(a, struct emp_note, c->note_count);
    for (size_t i = 0; i < c->note_count; i++) {
        notes[i] = c->notes[i];
        if (notes[i].model_count)
            notes[i].models =
                emp_arena_dup(a, notes[i].models, notes[i].model_count * sizeof *notes[i].models);
    }
    ret->notes = notes;
    ret->note_count = (uint32_t)c->note_count;
    ret->notes_lost = c->notes_lost;
    c->note_count = 0;
    c->notes_lost = 0;
    emp_arena_reset(&c->note_arena);
}

/* ---- the snapshot ---- */

/* The index in the snapshot by interned name; UINT32_MAX: not in it. */
static uint32_t *models_take(struct emp_core *c, struct emp_arena *a, struct emp_snapshot *ret)
{
    uint32_t *index = emp_arena_array(&c->scratch, uint32_t, c->model_cap);
    struct emp_planner_model *models = emp_arena_array(a, struct emp_planner_model, c->model_count);
    for (size_t i = 0; i < c->model_cap; i++)
        index[i] = UINT32_MAX;
    for (size_t i = 0; i < c->model_count; i++) {
        const struct model_entry *e = c->models[c->model_order[i]];
        if (!e->catalogued)
            continue;
        index[e->name] = ret->model_count;
        models[ret->model_count++] = (struct emp_planner_model){
            .name = emp_core_name(c, e->name),
            .kind = emp_str_copy(a, e->model.kind),
            .bytes = e->model.bytes,
            .owner = emp_str_copy(a, e->model.owner),
            .fetchable = e->model.url_count > 0,
            .pinned = e->model.pinned,
            .modifies = e->modifies,
        };
    }
    ret->models = models;
    return index;
}

static void machine_take(struct emp_core *c, const struct machine *m, const uint32_t *index,
                         struct emp_arena *a, struct emp_planner_machine *v)
{
    const struct emp_pool *pool = m->pool == (uint32_t)EMP_POOL_NONE ? NULL
                                                                     : &c->settings->pools[m->pool];
    struct emp_planner_copy *copies = emp_arena_array(a, struct emp_planner_copy, m->copy_count);
    int64_t age_ms = m->facts.booted_at ? c->now.wall - m->facts.booted_at : 0;
    *v = (struct emp_planner_machine){
        .id = emp_core_name(c, m->name),
        .pool = emp_pool_name(c, m->pool),
        .region = emp_core_name(c, m->region),
        .customer = pool ? pool->customer : (struct emp_str){0},
        .services = emp_strs_copy(a, m->facts.services, m->facts.service_count),
        .service_count = m->facts.service_count,
        .serves = emp_machine_usable(c, m),
        .slots = m->facts.slots,
        .busy = m->busy,
        .disk_bytes = m->facts.disk_budget_bytes,
        .ram_bytes = m->facts.ram_budget_bytes,
        .gpu_bytes = m->facts.gpu_budget_bytes,
        .link_bytes_per_s = m->link_rate,
        .hazard_per_hour = emp_route_hazard_per_hour(&c->settings->routing, age_ms),
        .copies = copies,
    };
    for (uint32_t i = 0; i < m->copy_count; i++)
        if (index[m->copies[i].model] != UINT32_MAX)
            copies[v->copy_count++] = (struct emp_planner_copy){
                index[m->copies[i].model], m->copies[i].residency, m->copies[i].in_use};
}

static enum emp_tier highest_waiting(const struct class *k)
{
    for (int t = EMP_TIER_COUNT - 1; t > 0; t--)
        if (k->by_age[t].first)
            return (enum emp_tier)t;
    return 0;
}

static void waiting_take(struct emp_core *c, struct emp_arena *a, struct emp_snapshot *ret)
{
    struct emp_planner_waiting *list =
        emp_arena_array(a, struct emp_planner_waiting, c->classes.count);
    for (uint32_t i = 1; i <= c->classes.high; i++) {
        const struct class *k = emp_slab_at(&c->classes, i);
        if (k->pending == 0 || k->spec.model_count == 0)
            continue;
        list[ret->waiting_count++] = (struct emp_planner_waiting){
            .models = names_of(c, k, a),
            .model_count = k->spec.model_count,
            .count = (uint32_t)(k->pending < UINT32_MAX ? k->pending : UINT32_MAX),
            .service = kept(c, k->spec.service),
            .pool = emp_pool_name(c, k->pool),
            .region = kept(c, k->spec.region),
            .customer = own_customer(c, k),
            .tier = highest_waiting(k),
            .run_ms = k->mean_ms,
        };
    }
    ret->waiting = list;
}

static void pools_without_plans(const struct emp_core *c, struct emp_arena *a,
                                struct emp_snapshot *ret)
{
    struct emp_str *names = emp_arena_array(a, struct emp_str, c->settings->pool_count);
    for (uint32_t i = 0; i < c->settings->pool_count; i++)
        if (c->settings->pools[i].reactive)
            names[ret->no_plan_count++] = c->settings->pools[i].name;
    ret->no_plans = names;
}

void emp_core_snapshot(struct emp_core *c, struct emp_now now, struct emp_arena *arena,
                       struct emp_snapshot *ret)
{
    const struct emp_settings_routing *r = &c->settings->routing;
    emp_arena_reset(&c->scratch);
    c->now = now;
    *ret = (struct emp_snapshot){.disk_load_bytes_per_s = r->load_bytes_per_s,
                                 .ram_load_bytes_per_s = r->ram_load_bytes_per_s,
                                 .link_bytes_per_s = r->link_bytes_per_s};
    const uint32_t *index = models_take(c, arena, ret);
    struct emp_planner_machine *machines =
        emp_arena_array(arena, struct emp_planner_machine, c->all_count);
    for (size_t i = 0; i < c->all_count; i++)
        if (c->all[i]->link)
            machine_take(c, c->all[i], index, arena, &machines[ret->machine_count++]);
    ret->machines = machines;
    waiting_take(c, arena, ret);
    pools_without_plans(c, arena, ret);
    notes_hand_over(c, arena, ret);
}

/* ---- a plan has come ---- */

static bool same_worth(double a, double b)
{
    return fabs(a - b) <= 0.25 * fmax(fabs(a), fabs(b));
}

static bool same_plan(const struct machine *m, const struct planned *list, uint32_t count)
{
    if (m->planned_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (m->planned[i].model != list[i].model || m->planned[i].residency != list[i].residency ||
            !same_worth(m->planned[i].seconds_saved, list[i].seconds_saved))
            return false;
    return true;
}

static uint32_t list_planned(struct emp_core *c, struct planned p, struct emp_planned *list,
                             uint32_t n)
{
    const struct model_entry *e = emp_core_model_entry(c, p.model);
    if (!e->catalogued || n == EMP_PLANNED_MAX)
        return n;
    emp_model_copy(c->out->arena, &e->model, &list[n].model);
    list[n].residency = p.residency;
    list[n].seconds_saved = p.seconds_saved;
    return n + 1;
}

void emp_plan_send(struct emp_core *c, struct machine *m)
{
    struct emp_planned *list =
        emp_arena_array(c->out->arena, struct emp_planned, m->planned_count + m->spare.count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->spare.count; i++)
        n = list_planned(
            c, (struct planned){m->spare.models[i], m->spare.residency, m->spare.seconds_saved},
            list, n);
    for (uint32_t i = 0; i < m->planned_count; i++)
        if (!spared(m, m->planned[i].model))
            n = list_planned(c, m->planned[i], list, n);
    struct emp_message_plan *p = &emp_core_send(c, m, EMP_MESSAGE_PLAN)->plan;
    p->planned = list;
    p->planned_count = n;
}

static void send_worth(struct emp_core *c, struct machine *m, const struct emp_plan_machine *p,
                       const struct emp_plan_result *r)
{
    struct emp_worth *list = emp_arena_array(c->out->arena, struct emp_worth, p->other_count);
    for (uint32_t i = 0; i < p->other_count; i++)
        list[i] = (struct emp_worth){
            .model = kept(c, r->model_names[p->others[i].model]),
            .seconds_saved = p->others[i].seconds_saved,
        };
    struct emp_message_worth *w = &emp_core_send(c, m, EMP_MESSAGE_WORTH)->worth;
    w->worths = list;
    w->worth_count = p->other_count;
}

static void machine_planned(struct emp_core *c, const struct emp_plan_machine *p,
                            const struct emp_plan_result *r)
{
    struct machine *m = emp_machine_find(c, p->id);
    if (m == NULL || m->link == 0)
        return;
    uint32_t count = p->planned_count < EMP_PLANNED_MAX ? p->planned_count : EMP_PLANNED_MAX;
    struct planned *list = emp_arena_array(&c->scratch, struct planned, count);
    for (uint32_t i = 0; i < count; i++)
        list[i] = (struct planned){emp_intern(&c->names, r->model_names[p->planned[i].model]),
                                   p->planned[i].residency, p->planned[i].seconds_saved};
    if (same_plan(m, list, count))
        return;
    emp_arena_reset(&m->plan_arena);
    m->planned = count ? emp_arena_dup(&m->plan_arena, list, count * sizeof *list) : NULL;
    m->planned_count = count;
    emp_plan_send(c, m);
    if (p->other_count)
        send_worth(c, m, p, r);
    c->stats.plans_sent++;
}

static void rows_persist(struct emp_core *c, const struct emp_plan_result *r)
{
    for (uint32_t i = 0; i < r->row_count; i++) {
        const struct emp_usage_row *row = &r->rows[i];
        struct emp_change *change = &emp_core_act(c, EMP_ACTION_PERSIST)->change;
        change->kind = EMP_CHANGE_LEARNED;
        change->learned.key = emp_planner_key(c->out->arena, row);
        change->learned.bytes = row->length ? emp_arena_dup(c->out->arena, row->bytes, row->length)
                                            : NULL;
        change->learned.length = row->length;
    }
}

void emp_core_on_plan(struct emp_core *c, const struct emp_event *e)
{
    c->plan_asked = false;
    c->plan_at = c->now.mono + c->settings->intelligence.every_ms;
    c->stats.plans++;
    rows_persist(c, e->plan);
    for (uint32_t i = 0; i < e->plan->machine_count; i++)
        machine_planned(c, &e->plan->machines[i], e->plan);
}

/* Where nothing was used and nobody came or went, only time moves the forecast. */
emp_mono_ms emp_plan_next(const struct emp_core *c)
{
    const struct emp_settings_intelligence *s = &c->settings->intelligence;
    if (!s->on || c->plan_asked)
        return EMP_NEVER;
    bool quiet = !c->noted && c->plan_fleet == c->fleet_version;
    return quiet ? c->plan_at + (QUIET_FACTOR - 1) * s->every_ms : c->plan_at;
}

void emp_plan_tick(struct emp_core *c)
{
    if (c->now.mono < emp_plan_next(c))
        return;
    c->plan_asked = true;
    c->plan_fleet = c->fleet_version;
    c->noted = false;
    emp_core_act(c, EMP_ACTION_PLAN_DUE);
}

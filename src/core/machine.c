/* Machines: who is there, what they hold, how they do, when their leases end.
 *
 *   connected: link != 0. Heard within silent_ms, or it is disconnected.
 *   away:      link == 0. Leases, if any, end at its deadline.
 *
 * The idle list holds exactly the machines that may be given a job now: usable, with a free slot.
 */
#include "core/internal.h"

struct machine *emp_machine_find(const struct emp_core *c, struct emp_str id)
{
    uint32_t n, name = emp_intern_find(&c->names, id);
    return name && emp_map_get(&c->machine_by_name, name, &n) ? emp_slab_at(&c->machines, n) : NULL;
}

struct machine *emp_machine_of_link(const struct emp_core *c, emp_link link)
{
    uint32_t n;
    return link && emp_map_get(&c->machine_by_link, link, &n) ? emp_slab_at(&c->machines, n) : NULL;
}

struct machine *emp_machine_get(struct emp_core *c, struct emp_str id)
{
    struct machine *m = emp_machine_find(c, id);
    if (m)
        return m;
    uint32_t number;
    m = emp_slab_new(&c->machines, &number);
    m->number = number;
    m->version = (uint32_t)++c->fleet_version; /* numbers are reused: a version never is */
    m->name = emp_intern(&c->names, id);
    m->pool = EMP_POOL_NONE;
    m->deadline = EMP_NEVER;
    m->deadline_place = EMP_HEAP_OUT;
    m->idle_index = UINT32_MAX;
    m->first_seen = c->now.wall;
    emp_arena_init(&m->arena, 2048);
    emp_arena_init(&m->plan_arena, 1024);
    emp_map_init(&m->copy_index, &c->arena);
    m->facts.id = emp_core_name(c, m->name);
    emp_map_put(&c->machine_by_name, m->name, number);
    emp_arena_reserve(&c->arena, c->all, c->all_count, c->all_cap);
    c->all[c->all_count++] = m;
    return m;
}

enum emp_machine_state emp_machine_state(const struct emp_core *c, const struct machine *m)
{
    (void)c;
    if (m->link == 0)
        return EMP_MACHINE_AWAY;
    if (m->drained || m->leaving)
        return EMP_MACHINE_DRAINING;
    return m->quarantined_until ? EMP_MACHINE_QUARANTINED : EMP_MACHINE_CONNECTED;
}

bool emp_machine_usable(const struct emp_core *c, const struct machine *m)
{
    return emp_machine_state(c, m) == EMP_MACHINE_CONNECTED;
}

bool emp_machine_serves(const struct emp_core *c, const struct machine *m, struct emp_str customer)
{
    if (m->pool == (uint32_t)EMP_POOL_NONE)
        return true;
    struct emp_str owner = c->settings->pools[m->pool].customer;
    return owner.len == 0 || emp_str_eq(owner, customer);
}

static void region_add(struct emp_core *c, uint32_t region, int slots, int busy)
{
    emp_arena_reach(&c->arena, c->regions, region, c->region_cap, 64);
    c->regions[region].slots += (uint32_t)slots;
    c->regions[region].busy += (uint32_t)busy;
}

void emp_machine_slots_changed(struct emp_core *c, struct machine *m)
{
    bool idle = emp_machine_usable(c, m) && m->busy < m->facts.slots;
    bool listed = m->idle_index != UINT32_MAX;
    if (idle && !listed) {
        emp_arena_reserve(&c->arena, c->idle, c->idle_count, c->idle_cap);
        m->idle_index = (uint32_t)c->idle_count;
        c->idle[c->idle_count++] = m;
        m->idle_since = c->now.mono;
    } else if (!idle && listed) {
        struct machine *last = c->idle[--c->idle_count];
        c->idle[m->idle_index] = last;
        last->idle_index = m->idle_index;
        m->idle_index = UINT32_MAX;
    }
    if (idle)
        c->dirty_all = true;
}

void emp_machine_busy(struct emp_core *c, struct machine *m, int delta)
{
    m->busy += (uint32_t)delta;
    emp_busy_set(&m->busy_share, (double)m->busy / (m->facts.slots ? m->facts.slots : 1),
                 c->now.mono);
    if (m->link)
        region_add(c, m->region, 0, delta);
    emp_machine_slots_changed(c, m);
}

void emp_machine_deadline(struct emp_core *c, struct machine *m, emp_mono_ms deadline)
{
    m->deadline = deadline;
    if (deadline == EMP_NEVER) {
        if (m->deadline_place != EMP_HEAP_OUT)
            emp_heap_remove(&c->deadlines, m);
    } else if (m->deadline_place != EMP_HEAP_OUT) {
        emp_heap_fix(&c->deadlines, m);
    } else {
        emp_heap_push(&c->deadlines, m);
    }
}

void emp_machine_facts_set(struct emp_core *c, struct machine *m, const struct emp_machine_facts *f)
{
    struct emp_arena old = m->arena;
    emp_arena_init(&m->arena, 2048);
    emp_facts_copy(&m->arena, f, &m->facts);
    m->facts.id = emp_core_name(c, m->name);
    emp_arena_release(&old);
    m->version = (uint32_t)++c->fleet_version;
    m->region = emp_intern(&c->names, f->region);
    uint32_t named = f->pool.len ? emp_pool_find(c->settings, f->pool) : (uint32_t)EMP_POOL_NONE;
    m->pool = named != (uint32_t)EMP_POOL_NONE ? named
                                               : emp_pool_for_machine(c->settings, &m->facts);
    c->reserved -= m->reserved;
    m->reserved = emp_match_reserved(&m->facts, (struct emp_str){0});
    c->reserved += m->reserved;
    m->disk_free = f->disk_free_bytes;
    if (f->link_bytes_per_s > 0)
        m->link_rate = f->link_bytes_per_s;
}

void emp_machine_persist(struct emp_core *c, struct machine *m)
{
    struct emp_action *a = emp_core_act(c, EMP_ACTION_PERSIST);
    a->change.kind = EMP_CHANGE_MACHINE;
    struct emp_change_machine *cm = &a->change.machine;
    emp_facts_copy(c->out->arena, &m->facts, &cm->facts);
    cm->first_seen = m->first_seen;
    cm->last_seen = m->last_seen;
    cm->jobs_completed = m->jobs_completed;
    cm->jobs_failed = m->jobs_failed;
    cm->drained = m->drained;
    m->saved_at = c->now.wall;
}

void emp_machine_connect(struct emp_core *c, struct machine *m, emp_link link)
{
    assert(m->link == 0);
    m->link = link;
    m->last_heard = c->now.mono;
    m->last_seen = c->now.wall;
    emp_map_put(&c->machine_by_link, link, m->number);
    c->slots += m->facts.slots;
    region_add(c, m->region, (int)m->facts.slots, (int)m->busy);
    emp_machine_deadline(c, m, c->now.mono + c->settings->lease.silent_ms);
    emp_machine_slots_changed(c, m);
}

/* The grace of a close does not come on top of silence: a machine that fell silent first, and whose
 * connection was closed for it, has had most of its time already. */
static emp_mono_ms leases_end(const struct emp_core *c, const struct machine *m, int64_t grace_ms)
{
    const struct emp_settings_lease *l = &c->settings->lease;
    emp_mono_ms closed = c->now.mono + grace_ms;
    emp_mono_ms silent = m->last_heard + l->silent_ms + l->beat_ms;
    return closed < silent ? closed : silent > c->now.mono ? silent : c->now.mono;
}

void emp_machine_disconnect(struct emp_core *c, struct machine *m, int64_t grace_ms)
{
    if (m->link == 0)
        return;
    emp_map_del(&c->machine_by_link, m->link);
    m->last_seen = c->now.wall - (c->now.mono - m->last_heard);
    m->link = 0;
    m->leaving = false;
    m->spare = (struct spare){0};
    c->slots -= m->facts.slots;
    region_add(c, m->region, -(int)m->facts.slots, -(int)m->busy);
    m->awaited_until = c->now.mono + AWAY_HOME_MS;
    emp_machine_deadline(c, m, m->running ? leases_end(c, m, grace_ms) : EMP_NEVER);
    emp_machine_slots_changed(c, m);
    emp_machine_persist(c, m);
}

void emp_machine_quarantine(struct emp_core *c, struct machine *m, int64_t ms)
{
    if (m->quarantined_until == 0)
        c->quarantined++;
    m->quarantined_until = c->now.mono + ms;
    emp_machine_slots_changed(c, m);
}

/* ---- copies ---- */

struct copy *emp_machine_copy(const struct machine *m, uint32_t model)
{
    uint32_t at;
    return emp_map_get(&m->copy_index, model, &at) ? &m->copies[at] : NULL;
}

/* One fetch is over: what is left is of the others. */
static void fetch_clamp(struct emp_core *c, struct machine *m)
{
    int64_t left = emp_machine_fetch_left(c, m);
    emp_machine_fetch_told(c, m, left < m->fetching_bytes ? left : m->fetching_bytes);
}

/* Books its bytes out of (-1) or into (1) the sums by residency. */
static void count_bytes(struct machine *m, const struct copy *copy, int sign)
{
    if (copy->residency == EMP_RESIDENCY_FETCHING)
        m->fetching_bytes += sign * copy->bytes;
    if (copy->residency == EMP_RESIDENCY_GPU)
        m->gpu_bytes += sign * copy->bytes;
    if (copy->residency >= EMP_RESIDENCY_RAM)
        m->ram_bytes += sign * copy->bytes;
}

int64_t emp_machine_fetch_left(const struct emp_core *c, const struct machine *m)
{
    int64_t rate = m->link_rate > 0 ? m->link_rate : c->settings->routing.link_bytes_per_s;
    int64_t s = (c->now.mono - m->fetch_told) / 1000, ms = (c->now.mono - m->fetch_told) % 1000;
    if (m->fetch_left <= 0 || rate <= 0)
        return m->fetch_left;
    if (s >= m->fetch_left / rate + 1)
        return 0;
    int64_t came = s * rate + ms * rate / 1000;
    return came < m->fetch_left ? m->fetch_left - came : 0;
}

void emp_machine_fetch_told(struct emp_core *c, struct machine *m, int64_t left)
{
    m->fetch_left = left > 0 ? left : 0;
    m->fetch_told = c->now.mono;
}

bool emp_machine_is_warm(const struct machine *m, enum emp_residency at)
{
    return at >= (m->facts.gpu_budget_bytes > 0 ? EMP_RESIDENCY_RAM : EMP_RESIDENCY_DISK);
}

static void list_warm(struct emp_core *c, struct machine *m, uint32_t model, bool was, bool is)
{
    struct model_entry *e = emp_core_model_entry(c, model);
    if (is && !was) {
        size_t cap = e->warm_cap;
        emp_arena_reserve(&c->arena, e->warm, e->warm_count, cap);
        e->warm_cap = (uint32_t)cap;
        e->warm[e->warm_count++] = m;
        return;
    }
    for (uint32_t i = 0; was && !is && i < e->warm_count; i++) {
        if (e->warm[i] == m) {
            e->warm[i] = e->warm[--e->warm_count];
            return;
        }
    }
}

static void copy_remove(struct emp_core *c, struct machine *m, uint32_t model)
{
    uint32_t at;
    if (!emp_map_get(&m->copy_index, model, &at))
        return;
    emp_map_del(&m->copy_index, model);
    emp_core_model_entry(c, model)->holders--;
    count_bytes(m, &m->copies[at], -1);
    list_warm(c, m, model, m->copies[at].warm, false);
    m->copies_version++;
    if (m->copies[at].residency == EMP_RESIDENCY_FETCHING) {
        emp_plan_note_fetch(c, m, &m->copies[at], false);
        fetch_clamp(c, m);
    }
    m->copies[at] = m->copies[--m->copy_count];
    if (at < m->copy_count)
        emp_map_put(&m->copy_index, m->copies[at].model, at);
}

void emp_machine_copy_set(struct emp_core *c, struct machine *m, uint32_t model, int64_t bytes,
                          enum emp_residency residency, bool in_use)
{
    if (residency == EMP_RESIDENCY_NONE) {
        copy_remove(c, m, model);
        return;
    }
    struct copy *copy = emp_machine_copy(m, model);
    if (copy == NULL) {
        size_t cap = m->copy_cap;
        emp_arena_reserve(&c->arena, m->copies, m->copy_count, cap);
        m->copy_cap = (uint32_t)cap;
        emp_map_put(&m->copy_index, model, m->copy_count);
        copy = &m->copies[m->copy_count++];
        *copy = (struct copy){.model = model, .last_use = c->now.mono};
        emp_core_model_entry(c, model)->holders++;
    }
    bool was_fetching = copy->residency == EMP_RESIDENCY_FETCHING;
    bool came = copy->residency == EMP_RESIDENCY_FETCHING && residency > EMP_RESIDENCY_FETCHING;
    m->copies_version++;
    count_bytes(m, copy, -1);
    copy->bytes = bytes > 0 ? bytes : copy->bytes;
    copy->residency = residency;
    count_bytes(m, copy, 1);
    list_warm(c, m, model, copy->warm, emp_machine_is_warm(m, residency));
    copy->warm = emp_machine_is_warm(m, residency);
    copy->in_use = in_use;
    if (residency == EMP_RESIDENCY_FETCHING && !was_fetching) {
        copy->fetching_since = c->now.mono;
        copy->planned = emp_plan_fetches(m, model);
    }
    if (came) {
        copy->came_at = c->now.mono;
        emp_plan_note_fetch(c, m, copy, true);
        fetch_clamp(c, m);
    }
}

/* ---- going ---- */

void emp_core_on_link_closed(struct emp_core *c, const struct emp_event *e)
{
    struct machine *m = emp_machine_of_link(c, e->link);
    if (m)
        emp_machine_disconnect(c, m, c->settings->lease.closed_ms);
}

void emp_machine_release(struct machine *m)
{
    emp_arena_release(&m->arena);
    emp_arena_release(&m->plan_arena);
}

static void machine_drop(struct emp_core *c, struct machine *m)
{
    assert(m->running == NULL && m->link == 0);
    while (m->copy_count)
        copy_remove(c, m, m->copies[0].model);
    emp_machine_deadline(c, m, EMP_NEVER);
    if (m->quarantined_until)
        c->quarantined--;
    c->reserved -= m->reserved;
    emp_map_del(&c->machine_by_name, m->name);
    size_t at = 0;
    while (c->all[at] != m)
        at++;
    memmove(&c->all[at], &c->all[at + 1], (c->all_count - at - 1) * sizeof(struct machine *));
    c->all_count--;
    c->fleet_version++;
    emp_machine_release(m);
    emp_slab_free(&c->machines, m->number);
}

void emp_machine_forget(struct emp_core *c, struct machine *m)
{
    if (m->link) {
        emp_core_close(c, m->link, "forgotten by an operator");
        emp_machine_disconnect(c, m, 0);
    }
    emp_attempts_lose(c, m, "the machine was removed by an operator");
    struct emp_action *a = emp_core_act(c, EMP_ACTION_PERSIST);
    a->change.kind = EMP_CHANGE_MACHINE_FORGOTTEN;
    a->change.machine_forgotten = emp_core_name(c, m->name);
    emp_learned_forget_machine(c, m);
    machine_drop(c, m);
}

static struct machine *named(struct emp_core *c, const struct emp_event *e)
{
    struct machine *m = emp_machine_find(c, e->machine.id);
    if (m == NULL) {
        struct emp_error err;
        emp_fail(&err, EMP_E_NOT_FOUND, NULL, "Machine %.*s not found", EMP_STR_FMT(e->machine.id));
        emp_core_reply_error(c, e->request, &err);
    }
    return m;
}

void emp_core_on_forget(struct emp_core *c, const struct emp_event *e)
{
    struct machine *m = named(c, e);
    if (m == NULL)
        return;
    emp_machine_forget(c, m);
    emp_core_reply(c, e->request, 0);
}

void emp_core_on_drain(struct emp_core *c, const struct emp_event *e)
{
    struct machine *m = named(c, e);
    if (m == NULL)
        return;
    m->drained = e->machine.on;
    if (m->drained && e->machine.leave && m->link)
        emp_core_send(c, m, EMP_MESSAGE_DRAIN)->drain.reason = EMP_STR("drained by an operator");
    emp_machine_slots_changed(c, m);
    emp_machine_persist(c, m);
    emp_core_reply(c, e->request, 0);
}

/* ---- time ---- */

static void deadline_passed(struct emp_core *c, struct machine *m)
{
    if (m->link == 0) {
        emp_machine_deadline(c, m, EMP_NEVER);
        emp_attempts_lose(c, m, "the machine went away");
        return;
    }
    emp_mono_ms end = m->last_heard + c->settings->lease.silent_ms;
    if (end > c->now.mono) { /* heard meanwhile: the heap is not touched at every message */
        emp_machine_deadline(c, m, end);
        return;
    }
    emp_core_close(c, m->link, "silent for too long");
    emp_machine_disconnect(c, m, 0);
    emp_machine_deadline(c, m, EMP_NEVER);
    emp_attempts_lose(c, m, "the machine fell silent");
}

static void quarantines_end(struct emp_core *c)
{
    for (size_t i = 0; c->quarantined && i < c->all_count; i++) {
        struct machine *m = c->all[i];
        if (m->quarantined_until == 0 || m->quarantined_until > c->now.mono)
            continue;
        m->quarantined_until = 0;
        c->quarantined--;
        emp_machine_slots_changed(c, m);
    }
}

/* Every ten minutes: last_seen of the connected, so that "seen in the last 24 h" survives a
 * restart; the long gone are forgotten. */
static void machines_save(struct emp_core *c)
{
    if (c->now.mono - c->machines_saved < MACHINE_SAVE_MS)
        return;
    c->machines_saved = c->now.mono;
    for (size_t i = c->all_count; i-- > 0;) {
        struct machine *m = c->all[i];
        if (m->link) {
            m->last_seen = c->now.wall;
            emp_machine_persist(c, m);
        } else if (!m->drained && m->running == NULL &&
                   c->now.wall - m->last_seen > MACHINE_PRUNE_MS) {
            emp_machine_forget(c, m);
        }
    }
}

void emp_machines_tick(struct emp_core *c)
{
    struct machine *m;
    while ((m = emp_heap_peek(&c->deadlines)) && m->deadline <= c->now.mono)
        deadline_passed(c, m);
    quarantines_end(c);
    machines_save(c);
}

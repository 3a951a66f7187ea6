/* The broker's plan for this machine: what to have before a job asks for it. Carried out in idle
 * time and given up at once for a job:
 *
 *   fetching  one planned model at a time, and only while no attempt waits for models: the link is
 *             theirs. One that comes to wait for others takes the link and the room; what was
 *             fetched stays as a half file and is resumed.
 *   room      only what is worth less than the newcomer goes for it, by PLAN and WORTH: never what
 *             the plan names before it, what attempts want, or what is pinned.
 *   loading   into RAM or GPU memory, one model at a time, and only while nothing runs: loading and
 *             running share the bus and the memory. A run that finds a load under way waits for its
 *             end, which is hastened unless it is the run's own model.
 *
 * What fails is left alone for RETRY_MS. Without a link nothing new is begun. */
#include "machine/internal.h"
#include "policy/evict.h"

enum { RETRY_MS = 60000, LOAD_MS_MAX = 600000 };

static const struct emp_machine_planned *planned_of(const struct emp_machine *m,
                                                    const struct emp_machine_copy *c)
{
    return c->planned ? &m->plan[c->planned - 1] : NULL;
}

bool emp_plan_in_memory(const struct emp_machine *m, const struct emp_machine_copy *c)
{
    const struct emp_machine_planned *p = planned_of(m, c);
    return p && p->residency > EMP_RESIDENCY_DISK;
}

void emp_plan_replace(struct emp_machine *m, const struct emp_message_plan *plan)
{
    for (uint32_t i = 0; i < m->plan_count; i++) {
        emp_copy_at(m, m->plan[i].copy)->planned = 0;
        emp_copy_at(m, m->plan[i].copy)->seconds_saved = -1; // not told any more
    }
    emp_arena_reset(&m->plan_arena);
    m->plan = emp_arena_array(&m->plan_arena, struct emp_machine_planned, plan->planned_count);
    m->plan_count = 0;
    for (uint32_t i = 0; i < plan->planned_count; i++) {
        const struct emp_planned *p = &plan->planned[i];
        uint32_t number = p->residency >= EMP_RESIDENCY_DISK ? emp_copy_describe(m, &p->model) : 0;
        if (number == 0 || emp_copy_at(m, number)->planned)
            continue;
        m->plan[m->plan_count++] = (struct emp_machine_planned){number, p->residency};
        struct emp_machine_copy *c = emp_copy_at(m, number);
        c->planned = m->plan_count;
        c->seconds_saved = p->seconds_saved;
    }
    emp_prefetches_drop(m, false);
    if (m->loading && !emp_plan_in_memory(m, emp_copy_at(m, m->loading)))
        emp_plan_stop_loading(m);
}

/* ---------------------------------------------------------------- loading */

void emp_plan_stop_loading(struct emp_machine *m)
{
    if (!m->loading || m->load_cancelled)
        return;
    m->load_cancelled = true;
    m->load_due = m->now.mono + m->s.stop_wait_ms;
    emp_machine_act(m, EMP_MACHINE_LOAD_CANCEL)->load_cancel.model =
        emp_copy_at(m, m->loading)->name;
}

static void load_over(struct emp_machine *m, bool loaded)
{
    uint32_t copy = m->loading;
    enum emp_residency to = m->load_to;
    m->loading = 0;
    m->load_cancelled = false;
    m->load_due = EMP_NEVER;
    emp_copies_unpin(m, &copy, 1);
    if (loaded)
        emp_memory_came(m, copy, to);
    else
        emp_copy_at(m, copy)->plan_retry_at = m->now.mono + RETRY_MS;
}

void emp_plan_loaded(struct emp_machine *m, const struct emp_machine_event *e)
{
    if (m->loading && emp_str_eq(emp_copy_at(m, m->loading)->name, e->loaded.model))
        load_over(m, e->loaded.code >= 0);
}

void emp_plan_expire(struct emp_machine *m)
{
    if (m->now.mono < m->load_due)
        return;
    if (m->load_cancelled)
        load_over(m, false); // the shell does not answer: nothing waits for it for ever
    else
        emp_plan_stop_loading(m);
}

bool emp_plan_lets_run(struct emp_machine *m, const uint32_t *copies, uint32_t count)
{
    if (!m->loading)
        return true;
    for (uint32_t i = 0; i < count; i++)
        if (copies[i] == m->loading)
            return false; // it comes
    emp_plan_stop_loading(m);
    return !m->loading;
}

static void load(struct emp_machine *m, uint32_t copy, enum emp_residency to)
{
    emp_copies_pin(m, &copy, 1);
    m->loading = copy;
    m->load_to = to;
    m->load_due = m->now.mono + LOAD_MS_MAX;
    struct emp_machine_action *a = emp_machine_act(m, EMP_MACHINE_LOAD);
    a->load.model = &emp_copy_at(m, copy)->model;
    a->load.to = to;
}

/* What the plan wants in each memory is loaded as far as it fits there in its order. */
static void load_next(struct emp_machine *m)
{
    int64_t room[EMP_MEMORY_COUNT] = {emp_memory_budget(m, EMP_MEMORY_RAM),
                                      emp_memory_budget(m, EMP_MEMORY_GPU)};
    for (uint32_t i = 0; i < m->plan_count; i++) {
        const struct emp_machine_planned *p = &m->plan[i];
        struct emp_machine_copy *c = emp_copy_at(m, p->copy);
        if (p->residency <= EMP_RESIDENCY_DISK || c->state != EMP_COPY_PRESENT || c->stale)
            continue;
        enum emp_memory where = p->residency == EMP_RESIDENCY_GPU ? EMP_MEMORY_GPU : EMP_MEMORY_RAM;
        if (c->model.bytes > room[where])
            continue;
        room[where] -= c->model.bytes;
        if (emp_copy_residency(c) >= p->residency || m->now.mono < c->plan_retry_at)
            continue;
        load(m, p->copy, p->residency);
        return;
    }
}

/* ---------------------------------------------------------------- fetching */

static void fetch_next(struct emp_machine *m)
{
    for (uint32_t i = 0; i < m->plan_count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, m->plan[i].copy);
        bool absent = c->state == EMP_COPY_ABSENT || c->state == EMP_COPY_HALF;
        if (absent && !c->stale && c->model.url_count > 0 && m->now.mono >= c->plan_retry_at &&
            emp_copy_prefetch(m, c))
            return;
    }
}

void emp_plan_fetch_failed(struct emp_machine *m, struct emp_machine_copy *c)
{
    c->plan_retry_at = m->now.mono + RETRY_MS;
}

void emp_plan_pump(struct emp_machine *m)
{
    if (m->link != EMP_LINK_WELCOME || m->leave != EMP_WORKING)
        return;
    if (m->attempt_count[EMP_ATTEMPT_ACCEPTED] + m->attempt_count[EMP_ATTEMPT_FETCHING] == 0 &&
        m->copy_count[EMP_COPY_QUEUED] + m->copy_count[EMP_COPY_FETCHING] == 0)
        fetch_next(m);
    if (!m->loading && emp_attempts_live(m) == 0)
        load_next(m);
}

/* When something that failed may be tried again. */
emp_mono_ms emp_plan_due(const struct emp_machine *m)
{
    emp_mono_ms due = m->load_due;
    for (uint32_t i = 0; i < m->plan_count; i++) {
        const struct emp_machine_copy *c = emp_copy_at(m, m->plan[i].copy);
        if (c->plan_retry_at > m->now.mono && c->plan_retry_at < due)
            due = c->plan_retry_at;
    }
    return due;
}

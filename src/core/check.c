/* Invariants that can be seen from inside, checked in full: slow, for tests and the simulator. */
#include "core/internal.h"

struct tally {
    uint64_t pending, running, delayed, waiting;
    uint32_t slots, quarantined;
};

static const char *check_job(const struct emp_core *c, const struct job *j, struct tally *t)
{
    bool leased = j->state == EMP_JOB_ASSIGNED || j->state == EMP_JOB_IN_PROGRESS;
    uint32_t n;
    if (!emp_map_get(&c->job_by_num, j->num, &n) || emp_slab_at(&c->jobs, n) != j)
        return "a job is not found by its number";
    if (emp_job_state_terminal(j->state))
        return "a terminal job is still live";
    if (leased != (j->machine != NULL))
        return "a job has a machine exactly while it is assigned or in progress";
    if (leased && j->attempt == 0)
        return "an assigned job has no attempt number";
    if (leased && (j->place != EMP_HEAP_OUT || j->in_list))
        return "an assigned job is in a queue";
    if (j->state == EMP_JOB_PENDING && (j->place != EMP_HEAP_OUT) != j->in_list)
        return "a waiting job is in one of its two queues only";
    if (j->state == EMP_JOB_PENDING &&
        (j->place != EMP_HEAP_OUT) == (j->timer_place != EMP_HEAP_OUT))
        return "a pending job is neither queued nor delayed, or both";
    t->pending += !leased;
    t->running += leased;
    t->waiting += j->place != EMP_HEAP_OUT;
    t->delayed += !leased && j->timer_place != EMP_HEAP_OUT;
    return NULL;
}

static const char *check_running(const struct emp_core *c, const struct machine *m)
{
    uint32_t busy = 0;
    for (const struct job *j = m->running; j; j = j->next, busy++) {
        if (j->machine != m)
            return "a machine's list holds a job of another machine";
        const struct class *k = j->class;
        if (m->number < k->match_cap && k->match[m->number] == 2 &&
            k->match_version[m->number] == m->version && m->link == 0)
            return "a job runs on a machine that does not meet its requirements";
    }
    if (busy != m->busy)
        return "a machine's busy count is wrong";
    (void)c;
    return NULL;
}

static const char *check_machine(const struct emp_core *c, const struct machine *m, struct tally *t)
{
    const char *bad = check_running(c, m);
    if (bad)
        return bad;
    bool idle = emp_machine_usable(c, m) && m->busy < m->facts.slots;
    if (idle != (m->idle_index != UINT32_MAX) || (idle && c->idle[m->idle_index] != m))
        return "the idle list is wrong";
    if (m->link == 0 && m->running && m->deadline == EMP_NEVER)
        return "a machine that is away holds leases without a deadline";
    if (m->link && m->deadline == EMP_NEVER)
        return "a connected machine has no deadline";
    t->slots += m->link ? m->facts.slots : 0;
    t->quarantined += m->quarantined_until != 0;
    return NULL;
}

/* Invariant 6: nobody waits beside an idle machine that fits, unless held for a better one. */
static const char *check_idle(struct emp_core *c, const struct job *j)
{
    if (j->place == EMP_HEAP_OUT || j->held_for || c->idle_count == 0 || c->holding)
        return NULL;
    for (size_t i = 0; i < c->idle_count; i++) {
        struct verdict v;
        if (!emp_class_matches(c, j->class, c->idle[i]))
            continue;
        emp_core_decide(c, j->class, (struct job *)j, &v);
        /* that patience with a machine of its own length has ended is noticed within a second */
        if (v.chosen && !v.chosen->too_short)
            return "a job waits although an idle machine fits and nothing better is promised";
    }
    return NULL;
}

static const char *check_totals(const struct emp_core *c, const struct tally *t)
{
    if (t->pending != c->stats.pending || t->running != c->stats.running ||
        t->delayed != c->stats.delayed)
        return "the gauges of pending, running or delayed jobs are wrong";
    if (t->slots != c->slots || t->quarantined != c->quarantined)
        return "the counts of slots or quarantined machines are wrong";
    uint64_t queued = 0;
    for (uint32_t i = 0; i < c->ready.count; i++)
        queued += ((const struct class *)c->ready.items[i])->waiting.count;
    return queued == t->waiting ? NULL
                                : "a class with waiting jobs is not in the list of ready ones";
}

const char *emp_core_check(const struct emp_core *core, struct emp_arena *arena)
{
    struct emp_core *c =
        (struct emp_core *)core; /* deciding fills caches, and changes nothing else */
    struct tally t = {0};
    const char *bad = NULL;
    (void)arena;
    for (size_t i = 0; !bad && i < c->all_count; i++)
        bad = check_machine(c, c->all[i], &t);
    for (uint32_t n = 1; !bad && n <= c->jobs.high; n++) {
        const struct job *j = emp_slab_at(&c->jobs, n);
        if (j->class == NULL || !emp_map_get(&c->job_by_num, j->num, &(uint32_t){0}) ||
            emp_job_find(c, j->num) != j) /* a free place */
            continue;
        bad = check_job(c, j, &t);
        if (!bad)
            bad = check_idle(c, j);
    }
    return bad ? bad : check_totals(c, &t);
}

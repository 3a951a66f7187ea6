/* The invariants that can be seen from inside, counted anew from the elements themselves. */
#include "machine/internal.h"

struct sums {
    int64_t disk, promised, memory[EMP_MEMORY_COUNT];
    uint32_t *wanted, *pins, *runs; /* by copy */
    uint32_t leased, running;
};

static const char *attempt_fault(const struct emp_machine *m, const struct emp_machine_attempt *t,
                                 int state, struct sums *sums, struct emp_arena *a)
{
    if ((int)t->state != state)
        return emp_arena_printf(a, "attempt %llu.%u is in the wrong chain",
                                (unsigned long long)t->job, t->attempt);
    if (emp_attempt_state_leased(t->state))
        sums->leased++;
    if (emp_attempt_state_running(t->state))
        sums->running++;
    bool on_heap = t->place != EMP_HEAP_OUT;
    if (on_heap != (t->due != EMP_NEVER))
        return "an attempt's deadline and the heap of deadlines disagree";
    bool pinned = t->state != EMP_ATTEMPT_ACCEPTED && t->state != EMP_ATTEMPT_FINISHED;
    if (t->pinned != pinned)
        return "an attempt's pins do not fit its state";
    if (t->state == EMP_ATTEMPT_FINISHED && t->copy_count)
        return "a finished attempt holds copies";
    uint32_t missing = 0;
    for (uint32_t i = 0; i < t->copy_count; i++) {
        const struct emp_machine_copy *c = emp_copy_at(m, t->copies[i]);
        sums->wanted[t->copies[i]]++;
        if (t->pinned)
            sums->pins[t->copies[i]]++;
        if (t->in_use)
            sums->runs[t->copies[i]]++;
        if (c->state != EMP_COPY_PRESENT)
            missing++;
    }
    if (pinned && missing != (t->state == EMP_ATTEMPT_FETCHING ? t->missing : 0))
        return emp_arena_printf(a, "attempt %llu.%u is %s and misses %u models",
                                (unsigned long long)t->job, t->attempt,
                                emp_attempt_state_word(t->state), missing);
    return NULL;
}

static const char *copy_fault(const struct emp_machine_copy *c, struct sums *sums,
                              struct emp_arena *a)
{
    bool whole = c->state == EMP_COPY_FETCHING || c->state == EMP_COPY_PRESENT ||
                 (c->state == EMP_COPY_DELETING && !c->was_half);
    bool coming = c->state == EMP_COPY_QUEUED || c->state == EMP_COPY_FETCHING ||
                  c->state == EMP_COPY_PRESENT;
    sums->disk += whole ? c->model.bytes : c->kept_bytes;
    if (coming)
        sums->promised += c->model.bytes;
    else if (c->state == EMP_COPY_HALF)
        sums->promised += c->kept_bytes;
    for (int i = 0; i < EMP_MEMORY_COUNT; i++) {
        if (!emp_memory_holds(c, i))
            continue;
        sums->memory[i] += c->model.bytes;
        if (c->state != EMP_COPY_PRESENT)
            return "a copy that is not present is in memory";
    }
    if (c->prefetch && c->state != EMP_COPY_QUEUED && c->state != EMP_COPY_FETCHING)
        return "a copy is fetched for the plan and not on its way";
    if (c->pins && !coming)
        return emp_arena_printf(a, "pinned copy %.*s is %s", EMP_STR_FMT(c->name),
                                emp_copy_state_word(c->state));
    if (c->pins != sums->pins[c->number] || c->wanted != sums->wanted[c->number] ||
        c->runs != sums->runs[c->number])
        return emp_arena_printf(a, "copy %.*s counts %u/%u/%u uses, its attempts %u/%u/%u",
                                EMP_STR_FMT(c->name), c->wanted, c->pins, c->runs,
                                sums->wanted[c->number], sums->pins[c->number],
                                sums->runs[c->number]);
    return NULL;
}

static const char *totals_fault(const struct emp_machine *m, const struct sums *sums,
                                struct emp_arena *a)
{
    if (sums->leased > emp_machine_slots(m))
        return "more leases than slots";
    if (sums->running > emp_machine_slots(m))
        return "more runs than slots";
    if (sums->disk != m->disk_bytes || sums->promised != m->promised_bytes)
        return emp_arena_printf(a, "sums of bytes are wrong: disk %lld/%lld, promised %lld/%lld",
                                (long long)m->disk_bytes, (long long)sums->disk,
                                (long long)m->promised_bytes, (long long)sums->promised);
    for (int i = 0; i < EMP_MEMORY_COUNT; i++)
        if (sums->memory[i] != m->memory[i].bytes)
            return "sums of bytes in memory are wrong";
    if (m->memory[EMP_MEMORY_RAM].bytes > m->s.facts->ram_budget_bytes)
        return "more models in RAM than it may hold";
    if (m->copy_count[EMP_COPY_FETCHING] > m->s.fetches_max)
        return "more fetches than allowed";
    return NULL;
}

const char *emp_machine_check(const struct emp_machine *m, struct emp_arena *a)
{
    struct sums sums = {.wanted = emp_arena_array(a, uint32_t, m->names.count + 1),
                        .pins = emp_arena_array(a, uint32_t, m->names.count + 1),
                        .runs = emp_arena_array(a, uint32_t, m->names.count + 1)};
    const char *fault = NULL;
    uint32_t seen = 0;
    for (int s = 0; s < EMP_ATTEMPT_STATE_COUNT && !fault; s++) {
        const struct emp_chain *head = &m->attempt_chain[s];
        for (const struct emp_chain *i = head->next; i != head && !fault; i = i->next, seen++)
            fault =
                attempt_fault(m, emp_chain_of(i, struct emp_machine_attempt, chain), s, &sums, a);
    }
    if (!fault && seen != m->attempts.count)
        fault = "attempts are in no chain";
    if (m->loading)
        sums.pins[m->loading]++;
    for (uint32_t i = 1; i < m->names.count && !fault; i++)
        fault = copy_fault(emp_copy_at(m, i), &sums, a);
    return fault ? fault : totals_fault(m, &sums, a);
}

/* A queue that machines pull from, as rivals of ours work: whoever asks first takes the first job
 * in order that it can run. Nothing is weighed against another machine, nothing is held back.
 *
 * An idle machine asks every pull_ms (its slots as workers of their own: that much more often), at
 * a phase that its number decides. What counts is whether it asks now, or has asked since the last
 * step while something was waiting and it was idle. */
#include "core/internal.h"

#include "base/random.h"

static int64_t interval(const struct emp_core *c, const struct machine *m)
{
    int64_t ms = c->policy->pull_ms / (m->facts.slots ? m->facts.slots : 1);
    return ms > 0 ? ms : 1;
}

/* The last time it asked, at or before now. */
static emp_mono_ms asked_at(const struct emp_core *c, const struct machine *m)
{
    int64_t every = interval(c, m), phase = (int64_t)(emp_mix64(m->number) % (uint64_t)every);
    int64_t since = (c->now.mono - phase) % every;
    return c->now.mono - (since < 0 ? since + every : since);
}

static bool asks(const struct emp_core *c, const struct machine *m)
{
    emp_mono_ms at = asked_at(c, m);
    return at == c->now.mono || (at > c->pull_seen && at >= m->idle_since);
}

/* The machine takes the first of those it looks at; these stand in `looked`, out of their heaps. */
static void take(struct emp_core *c, struct machine *m, struct job **looked, uint32_t *ret_count)
{
    struct class *k;
    while (*ret_count < c->policy->pull_window && (k = emp_heap_peek(&c->ready))) {
        struct job *j = k->head;
        struct candidate x;
        if (emp_core_candidate(c, k, j, m, &x)) {
            struct verdict v = {.candidates = &x, .count = 1, .best = &x, .chosen = &x};
            struct emp_decision d;
            emp_core_decision_fill(c, k, &v, &d);
            emp_class_dequeue(c, k, j);
            emp_attempt_assign(c, j, m, &d);
            return;
        }
        looked[(*ret_count)++] = j;
        emp_heap_remove(&k->waiting, j);
        emp_class_refresh_head(c, k);
    }
}

void emp_core_pull(struct emp_core *c)
{
    struct job **looked = emp_arena_array(&c->scratch, struct job *, c->policy->pull_window);
    struct machine **idle = emp_arena_array(&c->scratch, struct machine *, c->idle_count);
    size_t count = c->idle_count;
    if (count)
        memcpy(idle, c->idle, count * sizeof *idle); /* taking changes the list */
    c->holding = false;
    for (size_t i = 0; i < count && c->ready.count; i++) {
        uint32_t n = 0;
        if (!asks(c, idle[i]))
            continue;
        take(c, idle[i], looked, &n);
        for (uint32_t l = 0; l < n; l++) {
            emp_heap_push(&looked[l]->class->waiting, looked[l]);
            emp_class_refresh_head(c, looked[l]->class);
        }
    }
    /* who asks while nothing waits goes away empty-handed */
    c->pull_seen = c->ready.count ? c->now.mono : EMP_NEVER;
}

emp_mono_ms emp_core_pull_due(const struct emp_core *c)
{
    emp_mono_ms due = EMP_NEVER;
    for (size_t i = 0; i < c->idle_count && c->ready.count; i++) {
        emp_mono_ms at = asked_at(c, c->idle[i]) + interval(c, c->idle[i]);
        due = at < due ? at : due;
    }
    return due;
}

/* Why a job is where it is: the terms of every candidate, in words and numbers. Evaluates a waiting
 * job with the very function that schedules it. */
#include "core/internal.h"

#include <stdio.h>

enum { CANDIDATES_SHOWN = 64 };

static void explain_assigned(struct emp_core *c, const struct job *j, struct emp_arena *arena,
                             struct emp_explanation *x)
{
    const struct emp_decision *d = j->decision ? emp_slab_at(&c->decisions, j->decision) : NULL;
    x->reason = emp_str_z(
        emp_arena_printf(arena, "runs on %.*s", EMP_STR_FMT(emp_core_name(c, j->machine->name))));
    if (d == NULL)
        return;
    x->count = d->count;
    x->candidates = emp_arena_dup(arena, d->candidates, d->count * sizeof d->candidates[0]);
    x->considered = d->considered;
    x->fallback = d->fallback;
    x->estimated_run_ms = d->estimated_run_ms;
    x->pool = d->pool;
}

/* Nothing fits: the most telling reason of the first machine that does not. */
static const char *nobody_fits(struct emp_core *c, struct class *k, struct emp_arena *arena)
{
    size_t connected = 0;
    for (size_t i = 0; i < c->all_count; i++)
        connected += c->all[i]->link != 0;
    if (connected == 0)
        return "no machine is connected";
    struct emp_error why;
    for (size_t i = 0; i < c->all_count; i++) {
        const struct machine *m = c->all[i];
        if (m->link && !emp_match_machine(&k->spec, &m->facts, &why))
            return emp_arena_printf(arena, "no connected machine meets its requirements; %.*s: %s",
                                    EMP_STR_FMT(m->facts.id), why.text);
    }
    return "every machine that fits is draining, quarantined, or cannot hold or fetch its models";
}

const char *emp_core_why_waiting(struct emp_core *c, const struct job *j, const struct verdict *v,
                                 struct emp_arena *arena)
{
    if (j->timer_place != EMP_HEAP_OUT)
        return emp_arena_printf(arena, "backs off after a failed attempt; next try in %.1f s",
                                (double)(j->due - c->now.mono) / 1000);
    if (v->away)
        return emp_arena_printf(arena,
                                "waits for %.*s to return; what is there is for shorter jobs",
                                EMP_STR_FMT(emp_core_name(c, v->away->name)));
    if (v->best == NULL)
        return nobody_fits(c, j->class, arena);
    struct emp_str name = emp_core_name(c, v->best->machine->name);
    if (v->chosen)
        return emp_arena_printf(arena, "is about to start on %.*s",
                                EMP_STR_FMT(emp_core_name(c, v->chosen->machine->name)));
    for (uint32_t i = 0; i < v->count; i++)
        if (v->candidates[i].terms.slot_free == 0)
            return emp_arena_printf(
                arena, "waits for %.*s, which is expected to start it sooner than any idle machine",
                EMP_STR_FMT(name));
    return emp_arena_printf(arena,
                            "every machine that fits is busy; %.*s is expected to be free first",
                            EMP_STR_FMT(name));
}

void emp_core_weigh(struct emp_core *c, struct job *j, struct verdict *v)
{
    bool has_home = j->class->has_home;
    c->pass++; /* no promises of the last pass */
    emp_core_decide(c, j->class, j, v);
    j->class->has_home = has_home;
}

struct job *emp_core_asked(struct emp_core *c, struct emp_now now, emp_job_num num)
{
    struct job *j = emp_job_find(c, num);
    if (j == NULL)
        return NULL;
    emp_arena_reset(&c->scratch);
    if (now.mono > c->now.mono)
        c->now = now;
    return j;
}

static void explain_waiting(struct emp_core *c, struct job *j, struct emp_arena *arena,
                            struct emp_explanation *x)
{
    struct verdict v;
    emp_core_weigh(c, j, &v);
    struct candidate *best[CANDIDATES_SHOWN];
    x->waiting = true;
    x->count = emp_core_best_first(&v, best, CANDIDATES_SHOWN);
    x->candidates = emp_arena_array(arena, struct emp_route_choice, x->count);
    for (uint32_t i = 0; i < x->count; i++)
        emp_core_choice_fill(c, best[i], &x->candidates[i]);
    x->considered = v.count;
    x->estimated_run_ms = j->class->run_ms;
    x->pool = emp_pool_name(c, j->class->pool);
    if (v.best) {
        x->fallback = emp_core_fallback(&v, v.best);
        x->waiting_for = emp_core_name(c, v.best->machine->name);
    }
    x->reason = emp_str_z(emp_core_why_waiting(c, j, &v, arena));
}

int emp_core_explain(struct emp_core *c, struct emp_now now, emp_job_num num,
                     struct emp_arena *arena, struct emp_explanation *ret)
{
    struct job *j = emp_core_asked(c, now, num);
    if (j == NULL)
        return EMP_E_NOT_FOUND;
    *ret = (struct emp_explanation){
        .models = j->class->spec.models,
        .model_count = j->class->spec.model_count,
        .nodes = j->class->spec.custom_nodes,
        .node_count = j->class->spec.node_count,
        .priority = j->priority,
        .tier = j->tier,
    };
    if (j->machine)
        explain_assigned(c, j, arena, ret);
    else
        explain_waiting(c, j, arena, ret);
    return 0;
}

/* Models that are brought into memory for the plan, without a run. */
#include "sim/agent_internal.h"

enum { CANCEL_MS = 10 };

static void ends(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_agent *a = ctx;
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_LOADED};
    if (emp_sim_agent_defer(a, &a->load))
        return;
    e.loaded.model = a->system->models[a->loading].model.name;
    e.loaded.code = a->load_code;
    emp_sim_log(w, EMP_SIM_TRACE_LOADED, (int32_t)a->index, a->loading, a->load_code, 0);
    a->loading = 0;
    emp_sim_agent_step(a, &e);
}

void emp_sim_load_init(struct emp_sim_agent *a)
{
    emp_sim_timer_init(&a->load, ends, a);
}

void emp_sim_load_begin(struct emp_sim_agent *a, const struct emp_model *model,
                        enum emp_residency to)
{
    const struct emp_sim_behaviour *b = &a->system->behaviour; /* one that hung gave an older up */
    a->loading = emp_sim_model_find(a->system, model->name);
    int64_t ms = b->load ? b->load(b->ctx, a, model, to) : EMP_E_UNAVAILABLE;
    a->load_code = ms < 0 ? (int)ms : 0;
    emp_sim_log(&a->system->world, EMP_SIM_TRACE_LOAD, (int32_t)a->index, a->loading, to, ms);
    emp_sim_timer_after(&a->system->world, &a->load, ms < 0 ? CANCEL_MS : ms);
}

void emp_sim_load_cancel(struct emp_sim_agent *a)
{
    if (a->loading == 0)
        return;
    a->load_code = EMP_E_CANCELLED;
    emp_sim_timer_after(&a->system->world, &a->load, CANCEL_MS);
}

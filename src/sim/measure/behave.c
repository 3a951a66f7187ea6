/* How things go: nothing fails here but machines. What an execution loads is told by its machine's
 * brain; how long each load and run takes is drawn from the scenario by job and model, the same for
 * every policy. */
#include "sim/measure/engine.h"

/* One number in [0, 1) per job and model. */
static double share_of(const struct emp_measure *m, uint32_t job, uint64_t model)
{
    uint64_t h = emp_mix64(emp_mix64(m->asked->seed + 1) ^ emp_mix64(job + 1)) + model;
    return (double)(emp_mix64(h) >> 11) * 0x1p-53;
}

int64_t emp_measure_load_ms(const struct emp_measure *m, const struct emp_sim_agent *a,
                            uint32_t job)
{
    const struct emp_trace_job *row = emp_measure_row(m, job);
    int64_t ms = 0;
    if (m->asked->policy->no_models || a->brain == NULL)
        return 0;
    for (uint32_t i = 0; i < row->model_count; i++) {
        uint32_t model = m->trace->job_models[row->model + i];
        const struct emp_trace_model *t = &m->trace->models[model];
        enum emp_residency at = emp_machine_residency(a->brain, t->name);
        if (at == EMP_RESIDENCY_GPU)
            continue;
        ms += emp_scenario_load_ms(m->scenario, t->kind,
                                   m->system.models[m->model_number[model]].model.bytes,
                                   at == EMP_RESIDENCY_RAM, share_of(m, job, model));
    }
    return ms;
}

int64_t emp_measure_run_ms(const struct emp_measure *m, const struct emp_measure_place *p,
                           uint32_t job)
{
    double time = m->asked->policy->no_models ? 1 : p->is.time;
    int64_t ms = (int64_t)((double)m->jobs[job].run_ms * time + 0.5);
    return ms > 0 ? ms : 1;
}

static void run(void *ctx, struct emp_sim_agent *a, const struct emp_message_assign *assign,
                struct emp_sim_run_plan *ret)
{
    const struct emp_measure *m = ctx;
    uint32_t job = emp_measure_job_of(m, assign->job);
    *ret = (struct emp_sim_run_plan){
        .load_ms = emp_measure_load_ms(m, a, job),
        .run_ms = emp_measure_run_ms(m, emp_measure_place_of(m, a), job),
        .keeps_loaded = true,
    };
}

static void fetch(void *ctx, struct emp_sim_agent *a, const struct emp_model *model, int64_t kept,
                  struct emp_sim_fetch_plan *ret)
{
    const struct emp_measure *m = ctx;
    (void)a;
    (void)kept;
    *ret = (struct emp_sim_fetch_plan){.setup_ms = (int64_t)m->scenario->fetch_setup_ms,
                                       .end_bytes = model->bytes};
}

/* For the plan. */
static int64_t load(void *ctx, struct emp_sim_agent *a, const struct emp_model *model,
                    enum emp_residency to)
{
    const struct emp_measure *m = ctx;
    enum emp_trace_model_kind kind = EMP_TRACE_BASE;
    enum emp_residency at = emp_machine_residency(a->brain, model->name);
    (void)to;
    for (int k = 0; k < EMP_TRACE_MODEL_KIND_COUNT; k++)
        if (emp_str_eq(model->kind, emp_str_z(emp_trace_model_kind_word(k))))
            kind = k;
    return emp_scenario_load_ms(m->scenario, kind, model->bytes, at == EMP_RESIDENCY_RAM,
                                share_of(m, a->index, emp_str_hash(model->name)));
}

const struct emp_sim_behaviour emp_measure_behaviour = {.run = run, .fetch = fetch, .load = load};

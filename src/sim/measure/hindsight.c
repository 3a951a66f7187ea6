/* The best machine in hindsight: for each that is up, when a slot of it is truly free, when the
 * missing bytes are truly there, and how long the load truly takes. Who else waits is not counted:
 * a bound, reached where nobody does. */
#include "sim/measure/engine.h"

static emp_mono_ms slot_free_at(const struct emp_measure *m, const struct emp_measure_place *p)
{
    emp_mono_ms now = emp_measure_now(m), first = EMP_NEVER;
    if (p->hand_count < p->agent->facts.slots)
        return now;
    for (uint32_t i = 0; i < p->hand_count; i++) {
        const struct emp_measure_hand *h = &p->hands[i];
        emp_mono_ms ends = h->ends_at;
        if (h->computes_at < 0) { /* still fetching or loading */
            int64_t fetch = emp_sim_agent_fetch_left(p->agent) * 1000 / p->is.link_bytes_per_s;
            int64_t load = emp_measure_load_ms(m, p->agent, h->job);
            ends = h->begun_at < 0 ? now + fetch + load : h->begun_at + load;
            ends += emp_measure_run_ms(m, p, h->job);
        }
        ends = ends > now ? ends : now;
        first = ends < first ? ends : first;
    }
    return first;
}

static int64_t missing_bytes(const struct emp_measure *m, const struct emp_sim_agent *a,
                             uint32_t job, bool *ret_waits)
{
    const struct emp_trace_job *row = emp_measure_row(m, job);
    int64_t missing = 0;
    *ret_waits = false;
    for (uint32_t i = 0; i < row->model_count; i++) {
        uint32_t number = m->model_number[m->trace->job_models[row->model + i]];
        const struct emp_sim_file *f = number < a->file_cap ? &a->files[number] : NULL;
        if (f && f->state == EMP_SIM_FILE_WHOLE && !f->deleting)
            continue;
        *ret_waits = true;
        if (f == NULL || f->fetch == NULL)
            missing += m->system.models[number].model.bytes;
    }
    return missing;
}

emp_mono_ms emp_measure_best_start(const struct emp_measure *m, uint32_t job)
{
    emp_mono_ms now = emp_measure_now(m), best = EMP_NEVER;
    for (uint32_t i = 0; i < m->scenario->machines; i++) {
        const struct emp_measure_place *p = &m->places[i];
        bool waits = false;
        if (!p->up)
            continue;
        emp_mono_ms at = slot_free_at(m, p);
        if (at >= best)
            continue;
        if (!m->asked->policy->no_models) {
            int64_t bytes = missing_bytes(m, p->agent, job, &waits);
            bytes += waits ? emp_sim_agent_fetch_left(p->agent) : 0;
            emp_mono_ms there = now +
                                (int64_t)((double)bytes * 1000 / (double)p->is.link_bytes_per_s);
            at = there > at ? there : at;
        }
        at += emp_measure_load_ms(m, p->agent, job);
        best = at < best ? at : best;
    }
    return best;
}

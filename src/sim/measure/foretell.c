/* What is going to be asked for, by set of models and pool, as the trace has it. */
#include "sim/measure/engine.h"

#include <string.h>

#define NEAR_MS (1LL * 3600 * 1000)
#define FAR_MS  (6LL * 3600 * 1000)

static bool same_models(const struct emp_measure *m, uint32_t a, uint32_t b)
{
    const struct emp_trace_job *x = emp_measure_row(m, a), *y = emp_measure_row(m, b);
    return x->model_count == y->model_count && m->jobs[a].pool == m->jobs[b].pool &&
           memcmp(m->trace->job_models + x->model, m->trace->job_models + y->model,
                  x->model_count * sizeof *m->trace->job_models) == 0;
}

static uint64_t key_of(const struct emp_measure *m, uint32_t job)
{
    const struct emp_trace_job *row = emp_measure_row(m, job);
    uint64_t h = emp_mix64(m->jobs[job].pool + 1);
    for (uint32_t i = 0; i < row->model_count; i++)
        h = emp_mix64(h + m->trace->job_models[row->model + i] + 1);
    return h | 1;
}

/* Models that nobody has asked for yet are not in the catalogue: nothing can be known of them. */
static bool catalogued(const struct emp_measure *m, uint32_t job)
{
    const struct emp_trace_job *row = emp_measure_row(m, job);
    for (uint32_t i = 0; i < row->model_count; i++)
        if (m->model_number[m->trace->job_models[row->model + i]] == 0)
            return false;
    return row->model_count > 0;
}

static struct emp_planner_foretold of_job(const struct emp_measure *m, uint32_t job)
{
    const struct emp_trace_job *row = emp_measure_row(m, job);
    return (struct emp_planner_foretold){
        .models = m->names + row->model,
        .model_count = row->model_count,
        .service = m->services[row->kind],
        .pool = m->pools[m->jobs[job].pool].name,
        .tier = row->tier,
    };
}

void emp_measure_foretell(void *ctx, struct emp_arena *a, struct emp_snapshot *s)
{
    const struct emp_measure *m = ctx;
    struct emp_planner_foretold *list = NULL;
    size_t count = 0, cap = 0;
    struct emp_map known;
    uint32_t *first = NULL; /* by entry: a job of it */
    size_t first_cap = 0;
    emp_mono_ms now = emp_measure_now(m);
    emp_map_init(&known, a);
    for (uint32_t i = m->next; i < m->job_count && m->jobs[i].submitted_at < now + FAR_MS; i++) {
        uint32_t at;
        if (!catalogued(m, i))
            continue;
        uint64_t key = key_of(m, i);
        bool found = emp_map_get(&known, key, &at) && same_models(m, first[at], i);
        if (!found) {
            at = (uint32_t)count;
            size_t n = count;
            emp_arena_reserve(a, first, n, first_cap);
            first[at] = i;
            emp_arena_reserve(a, list, count, cap);
            list[count++] = of_job(m, i);
            emp_map_put(&known, key, at);
        }
        list[at].uses_near += m->jobs[i].submitted_at < now + NEAR_MS;
        list[at].uses_far += 1;
        list[at].run_ms += m->jobs[i].run_ms;
    }
    for (size_t i = 0; i < count; i++)
        list[i].run_ms = (int64_t)((double)list[i].run_ms / list[i].uses_far);
    s->clairvoyant = true;
    s->foretold = list;
    s->foretold_count = (uint32_t)count;
}

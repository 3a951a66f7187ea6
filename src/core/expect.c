/* What is expected of an execution: how long its models load, how long a run goes on yet.
 *
 * Loading is learned from what agents report with `started`: per model and where it came from, and
 * per kind of model, which stands for models that nobody has seen load. Before that bytes over the
 * configured rates are assumed. Where several models loaded at once, each takes its share of what
 * was foreseen. Not kept over a restart: a few runs tell it again. */
#include "core/internal.h"

enum { KIND_SEEN = 3, KIND_WEIGHT = 2, PLACES = 2 };

static uint32_t place(enum emp_residency from)
{
    return from == EMP_RESIDENCY_RAM;
}

/* NULL: a model without a kind, or from machines alone. */
static struct emp_rate *kind_loads(const struct emp_core *c, const struct model_entry *e)
{
    return e->kind_loads ? &c->kind_loads[e->kind_loads - 1] : NULL;
}

void emp_core_kind_set(struct emp_core *c, struct model_entry *e)
{
    uint32_t name = emp_intern(&c->names, e->model.kind), at = 0;
    e->kind_loads = 0;
    if (name == 0)
        return;
    if (!emp_map_get(&c->kind_by_name, name, &at)) {
        at = (uint32_t)c->kind_load_count;
        for (int i = 0; i < PLACES; i++) {
            emp_arena_reserve(&c->arena, c->kind_loads, c->kind_load_count, c->kind_load_cap);
            c->kind_loads[c->kind_load_count++] = (struct emp_rate){0};
        }
        emp_map_put(&c->kind_by_name, name, at);
    }
    e->kind_loads = at + 1;
}

/* By its kind where that is known, else by its bytes. */
static double assumed_s(const struct emp_core *c, const struct model_entry *e, int64_t bytes,
                        enum emp_residency from)
{
    const struct emp_settings_routing *s = &c->settings->routing;
    const struct emp_rate *kind = kind_loads(c, e);
    int64_t rate = from == EMP_RESIDENCY_RAM ? s->ram_load_bytes_per_s : s->load_bytes_per_s;
    if (kind && kind[place(from)].n >= KIND_SEEN)
        return kind[place(from)].value;
    return rate > 0 ? (double)bytes / (double)rate : 0;
}

double emp_core_load_s(const struct emp_core *c, const struct model_entry *e, int64_t bytes,
                       enum emp_residency from)
{
    if (from == EMP_RESIDENCY_GPU)
        return 0;
    const struct emp_rate *own = &e->load[place(from)];
    double assumed = own->n < 64 ? assumed_s(c, e, bytes, from) : 0, n = own->n < 64 ? own->n : 64;
    if (own->n >= 64)
        return own->value;
    return (assumed * KIND_WEIGHT + own->value * n) / (KIND_WEIGHT + n);
}

void emp_core_learn_load(struct emp_core *c, const struct class *k, const struct machine *m,
                         int64_t load_ms)
{
    double each[EMP_JOB_MODELS_MAX], foreseen = 0;
    enum emp_residency from[EMP_JOB_MODELS_MAX];
    if (m->facts.gpu_count == 0)
        return; /* nothing is loaded where there is no GPU */
    for (uint32_t i = 0; i < k->spec.model_count; i++) {
        struct model_entry *e = emp_core_model_entry(c, k->models[i]);
        const struct copy *copy = emp_machine_copy(m, k->models[i]);
        from[i] = copy && copy->residency > EMP_RESIDENCY_DISK ? copy->residency
                                                               : EMP_RESIDENCY_DISK;
        each[i] = emp_core_load_s(c, e, copy ? copy->bytes : e->model.bytes, from[i]);
        foreseen += each[i];
    }
    double took = load_ms > 0 ? (double)load_ms / 1000 : 0.001;
    for (uint32_t i = 0; i < k->spec.model_count && foreseen > 0; i++) {
        struct model_entry *e = emp_core_model_entry(c, k->models[i]);
        struct emp_rate *kind = kind_loads(c, e);
        if (from[i] == EMP_RESIDENCY_GPU)
            continue;
        emp_rate_observe(&e->load[place(from[i])], took * each[i] / foreseen);
        if (kind)
            emp_rate_observe(&kind[place(from[i])], took * each[i] / foreseen);
    }
}

/* ---- runs ---- */

double emp_machine_speed(const struct machine *m)
{
    return m->speed.value > 0 ? m->speed.value : 1;
}

/* A class that few jobs of have run is judged by its service. */
static int64_t run_left_ms(const struct class *k, double ran_ms)
{
    enum { OWN_SEEN = 5 };
    const struct estimate_entry *e = k->own;
    if (e == NULL || (e->estimate.observations < OWN_SEEN && k->service))
        e = k->service;
    int64_t prior = k->mean_ms > 0 ? k->mean_ms : 1;
    return e ? emp_estimate_left(&e->estimate, (int64_t)ran_ms, prior) : prior;
}

int64_t emp_job_left_ms(const struct emp_core *c, struct job *j)
{
    enum {
        FRESH_PART = 16, /* a reckoning of 16 s holds for one second */
        LEAST_MS = 250,  /* what runs is never free now */
    };
    int64_t age = c->now.mono - j->left_at;
    if (j->state != EMP_JOB_IN_PROGRESS) { /* fetching, loading: as foreseen, or about to start */
        int64_t left = j->expected_end - c->now.mono;
        int64_t run = (int64_t)((double)j->class->mean_ms * emp_machine_speed(j->machine));
        return left > run ? left : run > LEAST_MS ? run : LEAST_MS;
    }
    if (j->left_at == 0 || age * FRESH_PART > j->left_ms) {
        double speed = emp_machine_speed(j->machine);
        double ran = (double)(c->now.mono - j->computes_at) / speed;
        j->left_ms = (int64_t)((double)run_left_ms(j->class, ran) * speed);
        j->left_at = c->now.mono;
        age = 0;
    }
    return j->left_ms - age > LEAST_MS ? j->left_ms - age : LEAST_MS;
}

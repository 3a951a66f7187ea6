/* What is expected of an execution: how long its models load, how long a run goes on yet.
 *
 * Loading is learned from what agents report with `started`: per model and where it came from, and
 * per kind of model, which stands for models that nobody has seen load. Before that bytes over the
 * configured rates are assumed. Where several models loaded at once, each takes its share of what
 * was foreseen. */
#include "core/internal.h"

enum { KIND_SEEN = 3, KIND_WEIGHT = 2 };

static uint32_t place(enum emp_residency from)
{
    return from == EMP_RESIDENCY_RAM;
}

/* NULL: a model without a kind, or from machines alone. */
static struct load_kind *kind_of(const struct emp_core *c, const struct model_entry *e)
{
    return e->load_kind ? &c->kinds[e->load_kind - 1] : NULL;
}

struct load_kind *emp_core_load_kind(struct emp_core *c, uint32_t name)
{
    uint32_t at = 0;
    if (name == 0)
        return NULL;
    if (!emp_map_get(&c->kind_by_name, name, &at)) {
        at = (uint32_t)c->kind_count;
        emp_arena_reserve(&c->arena, c->kinds, c->kind_count, c->kind_cap);
        c->kinds[c->kind_count++] = (struct load_kind){.name = name};
        emp_map_put(&c->kind_by_name, name, at);
    }
    return &c->kinds[at];
}

void emp_core_kind_set(struct emp_core *c, struct model_entry *e)
{
    const struct load_kind *kind = emp_core_load_kind(c, emp_intern(&c->names, e->model.kind));
    e->load_kind = kind ? (uint32_t)(kind - c->kinds) + 1 : 0;
}

/* By its kind where that is known, else by its bytes. */
static double assumed_s(const struct emp_core *c, const struct model_entry *e, int64_t bytes,
                        enum emp_residency from)
{
    const struct emp_settings_routing *s = &c->settings->routing;
    const struct load_kind *kind = kind_of(c, e);
    int64_t rate = from == EMP_RESIDENCY_RAM ? s->ram_load_bytes_per_s : s->load_bytes_per_s;
    if (kind && kind->load[place(from)].n >= KIND_SEEN)
        return kind->load[place(from)].value;
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
        struct load_kind *kind = kind_of(c, e);
        if (from[i] == EMP_RESIDENCY_GPU)
            continue;
        emp_rate_observe(&e->load[place(from[i])], took * each[i] / foreseen);
        emp_learned_changed(c, &e->load_mark, EMP_LEARNED_LOAD, e->name);
        if (kind == NULL)
            continue;
        emp_rate_observe(&kind->load[place(from[i])], took * each[i] / foreseen);
        emp_learned_changed(c, &kind->mark, EMP_LEARNED_KIND, kind->name);
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

/* The base first, then what modifies it; in scratch. */
static struct emp_duration_job duration_job(struct emp_core *c, const struct job *j,
                                            const struct machine *m)
{
    const struct class *k = j->class;
    struct emp_str *models = emp_arena_array(&c->scratch, struct emp_str, k->spec.model_count);
    uint32_t n = 0;
    for (int modifies = 0; modifies < 2; modifies++)
        for (uint32_t i = 0; i < k->spec.model_count; i++)
            if (emp_core_model_entry(c, k->models[i])->modifies == (modifies == 1))
                models[n++] = k->spec.models[i];
    return (struct emp_duration_job){
        .service = k->spec.service,
        .customer = emp_core_name(c, j->customer),
        .gpu = m && m->facts.gpu_count ? m->facts.gpus[0].model : (struct emp_str){0},
        .models = models,
        .model_count = n,
        .steps = (double)j->work.steps,
        .pixels = (double)j->work.pixels,
        .images = (double)j->work.images,
        .frames = (double)j->work.frames,
    };
}

bool emp_core_guess_run(struct emp_core *c, const struct job *j, const struct machine *m,
                        struct emp_duration_guess *ret)
{
    struct emp_duration_job work = duration_job(c, j, m);
    return emp_duration_guess(&c->duration, &work, ret);
}

void emp_core_learn_run(struct emp_core *c, const struct job *j, const struct machine *m,
                        int64_t run_ms)
{
    struct emp_duration_job work = duration_job(c, j, m);
    emp_duration_observe(&c->duration, &work, run_ms);
    c->learned_dirty = true;
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
    int64_t reckoned = j->left_ms;
    if (j->left_at == 0 || age * FRESH_PART > j->left_ms) {
        double speed = emp_machine_speed(j->machine);
        double ran = (double)(c->now.mono - j->computes_at) / speed;
        reckoned = (int64_t)((double)run_left_ms(j->class, ran) * speed);
        age = 0;
        if (c->out) { /* a look from outside leaves no trace */
            j->left_ms = reckoned;
            j->left_at = c->now.mono;
        }
    }
    return reckoned - age > LEAST_MS ? reckoned - age : LEAST_MS;
}

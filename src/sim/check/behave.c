/* Each execution, fetch and deletion draws from a stream of its own, named by what it is: so a
 * fault elsewhere does not change how this one goes. */
#include "sim/check/scene.h"

static struct emp_random stream(const struct emp_sim_scene *c, const char *purpose, uint64_t a,
                                uint64_t b)
{
    struct emp_random r;
    emp_sim_random(&c->system.world, purpose, emp_mix64(a) + b, &r);
    return r;
}

static int64_t load_ms(const struct emp_sim_scene *c, const struct emp_sim_agent *a,
                       const struct emp_sim_kind *k)
{
    const struct emp_sim_machine_plan *m = &c->plan.machines[a->index];
    return k->models_bytes / (m->load_bytes_per_s / 1000);
}

static void run(void *ctx, struct emp_sim_agent *a, const struct emp_message_assign *assign,
                struct emp_sim_run_plan *ret)
{
    struct emp_sim_scene *c = ctx;
    const struct emp_sim_work *w = emp_sim_work_of(c->system.broker, assign);
    const struct emp_sim_kind *k = &c->plan.kinds[w ? w->kind : 0];
    struct emp_random r = stream(c, "run", assign->job, assign->attempt);
    bool calm = c->calm;
    *ret = (struct emp_sim_run_plan){
        .load_ms = load_ms(c, a, k),
        .run_ms =
            (int64_t)((double)emp_sim_between(&r, k->run_ms_min, k->run_ms_max) * a->slowness),
        .store_ms = emp_sim_chance(&r, 3000) ? emp_sim_between(&r, 1, 2000) : 0,
        .stop_ms = emp_sim_chance(&r, 1000) ? EMP_NEVER : emp_sim_between(&r, 0, 3000),
        .progress_ms = emp_sim_chance(&r, 3000) ? emp_sim_between(&r, 50, 4000) : 0,
        .keeps_loaded = a->facts.gpu_budget_bytes > 0,
    };
    if (emp_sim_chance(&r, k->hangs) && !calm)
        ret->run_ms = EMP_NEVER;
    if (emp_sim_chance(&r, k->rejects)) {
        ret->code = EMP_E_JOB_REJECTED;
    } else if (emp_sim_chance(&r, k->blames) && !calm) {
        ret->code = EMP_E_IO;
        ret->machine_fault = true;
    } else if (!calm && (emp_sim_chance(&r, k->fails) ||
                         emp_sim_chance(&r, c->plan.machines[a->index].fails))) {
        ret->code = EMP_E_JOB_FAILED;
        ret->retryable = true;
    }
    ret->fails_early = ret->code && emp_sim_chance(&r, 3000);
    if (ret->code == 0 && emp_sim_chance(&r, k->starts_badly) && !calm) {
        ret->code = EMP_E_UNAVAILABLE;
        ret->machine_fault = ret->fails_early = true;
    }
}

static void fetch(void *ctx, struct emp_sim_agent *a, const struct emp_model *model, int64_t kept,
                  struct emp_sim_fetch_plan *ret)
{
    static const int codes[] = {EMP_E_HASH, EMP_E_NET, EMP_E_SIZE, EMP_E_IO};
    struct emp_sim_scene *c = ctx;
    const struct emp_sim_model *origin =
        &c->system.models[emp_sim_model_find(&c->system, model->name)];
    struct emp_random *r = &a->random;
    *ret = (struct emp_sim_fetch_plan){.setup_ms = emp_sim_between(r, 1, 200),
                                       .end_bytes = model->bytes};
    if (origin->version != emp_sim_sha_version(model->sha256)) {
        ret->code = EMP_E_HASH; /* what is served there now is something else */
    } else if (!c->calm && emp_sim_chance(r, c->plan.bad_fetches)) {
        ret->code = codes[emp_random_below(r, 4)];
        if (ret->code != EMP_E_HASH)
            ret->end_bytes = emp_sim_between(r, kept, model->bytes);
        ret->keeps_half = ret->code == EMP_E_NET;
        ret->machine_fault = ret->code == EMP_E_IO;
    }
}

static int64_t load(void *ctx, struct emp_sim_agent *a, const struct emp_model *model,
                    enum emp_residency to)
{
    struct emp_sim_scene *c = ctx;
    (void)model;
    (void)to;
    return !c->calm && emp_sim_chance(&a->random, c->plan.bad_loads)
               ? EMP_E_UNAVAILABLE
               : emp_sim_between(&a->random, 100, 15000);
}

static int del(void *ctx, struct emp_sim_agent *a, uint32_t model)
{
    struct emp_sim_scene *c = ctx;
    (void)model;
    return !c->calm && emp_sim_chance(&a->random, c->plan.bad_deletes) ? EMP_E_IO : 0;
}

static void exited(void *ctx, struct emp_sim_agent *a, int code)
{
    struct emp_sim_scene *c = ctx;
    (void)code;
    emp_sim_agent_back(c, a->index, emp_sim_between(&a->random, 500, c->calm ? 2000 : 30000));
}

const struct emp_sim_behaviour emp_sim_check_behaviour = {
    .run = run, .fetch = fetch, .load = load, .del = del, .exited = exited};

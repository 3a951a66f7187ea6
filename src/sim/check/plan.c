#include "sim/check/plan.h"

#include <math.h>

#define GB           INT64_C(1000000000)
#define MB           INT64_C(1000000)
#define SLOWEST_LOAD (200 * MB) /* bytes a second into GPU memory */

struct draw {
    struct emp_sim_plan *p;
    struct emp_random r;
};

static int64_t between(struct draw *d, int64_t low, int64_t high)
{
    return emp_sim_between(&d->r, low, high);
}

static bool one_in(struct draw *d, uint32_t n)
{
    return emp_random_below(&d->r, n) == 0;
}

static struct emp_str name(struct draw *d, const char *what, int64_t n)
{
    return emp_str_z(emp_arena_printf(&d->p->arena, "%s%lld", what, (long long)n));
}

static struct emp_str *list_of_one(struct draw *d, struct emp_str s)
{
    return emp_arena_dup(&d->p->arena, &s, sizeof s);
}

static const char *const regions[] = {"eu", "us"};
static const char *const services[] = {"comfy", "text", "video"};
static const char *const pool_names[] = {"fast-lane", "standard", "heavy"};

/* ---- models ---- */

static void make_models(struct draw *d)
{
    struct emp_sim_plan *p = d->p;
    p->model_count = (uint32_t)between(d, 1, EMP_SIM_MODELS_MAX);
    for (uint32_t i = 1; i <= p->model_count; i++) {
        struct emp_model *m = &p->models[i];
        bool large = one_in(d, 3);
        m->name = name(d, "model-", i);
        m->path = name(d, "models/", i);
        m->kind = EMP_STR("checkpoint");
        m->bytes = large ? between(d, 2 * GB, 8 * GB) : between(d, 50 * MB, GB);
        m->urls = list_of_one(d, name(d, "http://origin/", i));
        m->url_count = one_in(d, 12) ? 0 : 1; /* baked into images */
    }
}

/* ---- machines ---- */

static struct emp_str *offered(struct draw *d, uint32_t *count)
{
    struct emp_str *list = emp_arena_array(&d->p->arena, struct emp_str, 3);
    *count = 0;
    for (int i = 0; i < 3; i++)
        if (i == 0 || one_in(d, 2))
            list[(*count)++] = emp_str_z(services[i]);
    return list;
}

static void make_facts(struct draw *d, uint32_t index, struct emp_sim_machine_plan *m)
{
    struct emp_machine_facts *f = &m->settings.facts;
    f->id = name(d, "m", index);
    f->version = EMP_STR("1");
    f->region = emp_str_z(regions[emp_random_below(&d->r, 2)]);
    f->provider = one_in(d, 3) ? EMP_STR("spot") : EMP_STR("owned");
    if (d->p->pooled && !one_in(d, 3))
        f->pool = emp_str_z(pool_names[emp_random_below(&d->r, 3)]);
    f->services = offered(d, &f->service_count);
    f->slots = one_in(d, 2) ? 1 : (uint32_t)between(d, 1, 4);
    f->cpu_cores = 8;
    f->ram_bytes = 32 * GB;
    f->gpus = emp_arena_new(&d->p->arena, struct emp_gpu);
    f->gpu_count = one_in(d, 8) ? 0 : 1;
    m->gpu_memory_gb = f->gpu_count ? (double)between(d, 1, 3) * 8 : 0;
    f->gpus[0] = (struct emp_gpu){EMP_STR("gpu"), (int64_t)m->gpu_memory_gb * GB};
    f->disk_budget_bytes = between(d, 6, 30) * GB;
    if (one_in(d, 4))
        f->custom_nodes = list_of_one(d, EMP_STR("node-a")), f->node_count = 1;
    if (one_in(d, 4))
        f->allowed_customers = list_of_one(d, EMP_STR("customer-1")), f->allowed_count = 1;
    f->isolation = one_in(d, 3) ? EMP_ISOLATION_STRICT : EMP_ISOLATION_NONE;
}

static void make_machine(struct draw *d, uint32_t index)
{
    struct emp_sim_machine_plan *m = &d->p->machines[index];
    struct emp_sim_agent_settings *s = &m->settings;
    make_facts(d, index, m);
    s->link_bytes_per_s = between(d, 20, 400) * MB;
    s->facts.link_bytes_per_s = one_in(d, 3) ? 0 : s->link_bytes_per_s;
    s->reconnect_ms_min = 500;
    s->reconnect_ms_max = 3000;
    s->late_ms_max = one_in(d, 4) ? 300 : 0;
    s->progress_ms = one_in(d, 2) ? 0 : between(d, 200, 3000);
    s->brain.fetches_max = (uint32_t)between(d, 0, 4);
    s->brain.link_bytes_per_s = s->link_bytes_per_s;
    s->facts.gpu_budget_bytes = one_in(d, 2) ? 0 : (int64_t)m->gpu_memory_gb * GB;
    s->facts.ram_budget_bytes = one_in(d, 2) ? 0 : between(d, 1, 32) * GB;
    s->brain.room_wait_ms = one_in(d, 3) ? 3000 : 0;
    s->brain.stop_wait_ms = one_in(d, 3) ? 2000 : 0;
    s->brain.drain_ms = one_in(d, 2) ? 20000 : 0;
    m->load_bytes_per_s = between(d, SLOWEST_LOAD, 2000 * MB);
    m->fails = one_in(d, 6) ? (uint32_t)between(d, 3000, 10000) : 0;
    int64_t room = s->facts.disk_budget_bytes;
    for (uint32_t i = 1; i <= d->p->model_count; i++) {
        if (!one_in(d, 3) || d->p->models[i].bytes > room)
            continue;
        m->given |= 1u << i;
        room -= d->p->models[i].bytes;
    }
}

static void make_machines(struct draw *d)
{
    d->p->machine_count = (uint32_t)between(d, 1, EMP_SIM_MACHINES_MAX);
    for (uint32_t i = 0; i < d->p->machine_count; i++)
        make_machine(d, i);
}

/* ---- kinds of jobs ---- */

static void ask_models(struct draw *d, struct emp_sim_kind *k)
{
    uint32_t n = one_in(d, 4) ? 0 : (uint32_t)between(d, 1, 3);
    struct emp_str *list = emp_arena_array(&d->p->arena, struct emp_str, 3);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t model = (uint32_t)between(d, 1, d->p->model_count);
        bool twice = false;
        for (uint32_t j = 0; j < k->spec.model_count; j++)
            twice |= k->models[j] == model;
        if (twice)
            continue;
        k->models[k->spec.model_count] = model;
        k->models_bytes += d->p->models[model].bytes;
        list[k->spec.model_count++] = d->p->models[model].name;
    }
    k->spec.models = list;
}

static void ask_hardware(struct draw *d, struct emp_sim_kind *k)
{
    struct emp_requirement *r = emp_arena_array(&d->p->arena, struct emp_requirement, 2);
    k->spec.requirements = r;
    if (one_in(d, 3)) {
        k->gpu_memory_gb = one_in(d, 2) ? 8 : 16;
        r[k->spec.requirement_count++] =
            (struct emp_requirement){.path = EMP_STR("hardware.gpu_memory_gb"),
                                     .kind = EMP_REQUIRE_NUMBER_AT_LEAST,
                                     .number = k->gpu_memory_gb};
    }
    if (one_in(d, 5)) {
        k->not_spot = true;
        r[k->spec.requirement_count++] = (struct emp_requirement){.path = EMP_STR("provider"),
                                                                  .kind = EMP_REQUIRE_TEXT,
                                                                  .text = EMP_STR("spot"),
                                                                  .negated = true};
    }
}

static void ask_place(struct draw *d, struct emp_sim_kind *k)
{
    struct emp_job_spec *s = &k->spec;
    if (one_in(d, 5))
        s->region = emp_str_z(regions[emp_random_below(&d->r, 2)]);
    if (one_in(d, 6))
        s->custom_nodes = list_of_one(d, EMP_STR("node-a")), s->node_count = 1;
    if (one_in(d, 6))
        s->isolation = one_in(d, 2) ? EMP_ISOLATION_STRICT : EMP_ISOLATION_LOOSE;
    k->pool_given = d->p->pooled && one_in(d, 2);
    if (k->pool_given)
        s->pool = emp_str_z(pool_names[emp_random_below(&d->r, 3)]);
}

static void make_kind(struct draw *d, uint32_t index)
{
    struct emp_sim_kind *k = &d->p->kinds[index];
    struct emp_job_spec *s = &k->spec;
    bool fails = one_in(d, 3);
    s->service = emp_str_z(services[one_in(d, 2) ? 0 : emp_random_below(&d->r, 3)]);
    s->customer = name(d, "customer-", between(d, 0, 3));
    s->workflow_priority = NAN;
    s->max_retries = one_in(d, 2) ? -1 : (int32_t)between(d, 0, 4);
    s->tier = (enum emp_tier)emp_random_below(&d->r, EMP_TIER_COUNT);
    s->wait = true; /* in these runs nobody knows what machines will come */
    ask_models(d, k);
    ask_hardware(d, k);
    ask_place(d, k);
    k->run_ms_min = one_in(d, 5) ? between(d, 20000, 60000) : between(d, 20, 15000);
    k->run_ms_max = k->run_ms_min * between(d, 1, 3);
    if (one_in(d, 3))
        s->estimated_duration_ms = k->run_ms_min;
    int64_t load_ms = k->models_bytes / (SLOWEST_LOAD / 1000); /* counts as part of the run */
    s->timeout_ms = one_in(d, 2) ? 0 : k->run_ms_max * 2 + load_ms + 2000;
    if (fails)
        k->fails = (uint32_t)between(d, 500, 6000);
    k->rejects = one_in(d, 6) ? 1000 : 0;
    k->hangs = one_in(d, 6) && s->timeout_ms ? 1500 : 0;
    k->blames = one_in(d, 6) ? 1000 : 0;
    k->starts_badly = one_in(d, 8) ? 1000 : 0;
}

/* ---- what the brains are told ---- */

static void make_settings(struct draw *d)
{
    struct emp_settings *s = &d->p->core;
    *s = *emp_settings_default();
    d->p->pooled = one_in(d, 3);
    if (!d->p->pooled)
        s->pool_count = 0;
    s->pending_max = one_in(d, 6) ? (uint64_t)between(d, 5, 30) : s->pending_max;
    s->routing.warm_wait_ms_max = one_in(d, 3) ? between(d, 0, 20) * 1000 : 120000;
    s->retry.timeout_ms = one_in(d, 2) ? 300000 : s->retry.timeout_ms;
    s->retry.returns_max = one_in(d, 4) ? (int32_t)between(d, 0, 3) : s->retry.returns_max;
    s->retry.losses_max = one_in(d, 4) ? (int32_t)between(d, 0, 2) : s->retry.losses_max;
    s->retry.max_ms = one_in(d, 3) ? 5000 : s->retry.max_ms;
    s->retry.jitter = one_in(d, 4) ? 0 : s->retry.jitter;
    s->blame.quarantine_ms = one_in(d, 2) ? 20000 : s->blame.quarantine_ms;
    if (one_in(d, 3)) {
        s->fairness.patience_ms[0] = 60000;
        s->fairness.patience_ms[1] = 30000;
        s->fairness.patience_ms[2] = 15000;
    }
    d->p->policy = emp_policy_default;
    d->p->policy.may_wait = !one_in(d, 4);
}

static void make_network(struct draw *d)
{
    struct emp_sim_network_settings *n = &d->p->network;
    n->delay_ms_min = between(d, 0, 20);
    n->delay_ms_max = n->delay_ms_min + (one_in(d, 5) ? 2500 : between(d, 0, 80));
    n->notice_ms_min = one_in(d, 2) ? 10 : 4000;
    n->notice_ms_max = n->notice_ms_min + between(d, 0, 12000);
    n->encode = one_in(d, 4);
    if (one_in(d, 4)) {
        n->lost = one_in(d, 2) ? 0 : (uint32_t)between(d, 5, 200);
        n->doubled = one_in(d, 2) ? 0 : (uint32_t)between(d, 5, 300);
        n->swapped = one_in(d, 2) ? 0 : (uint32_t)between(d, 5, 300);
    }
}

static void make_broker(struct draw *d)
{
    struct emp_sim_broker_settings *b = &d->p->broker;
    b->core = &d->p->core;
    b->policy = &d->p->policy;
    b->durable = b->check = true;
    b->commit_ms_min = between(d, 0, 5);
    b->commit_ms_max = b->commit_ms_min + (one_in(d, 5) ? 400 : between(d, 0, 20));
    b->slow_commits = one_in(d, 5) ? 100 : 0;
    b->commit_slow_ms = between(d, 1000, 6000);
    b->batch_steps_max = one_in(d, 3) ? 1 : 0;
    b->late_ms_max = one_in(d, 4) ? 300 : 0;
}

static const int64_t fault_seconds[EMP_SIM_FAULT_COUNT] = {
#define EMP_SIM_FAULT(name, mean_s) [EMP_SIM_FAULT_##name] = mean_s,
#include "sim/check/faults.def"
};

/* Each fault: often, seldom or never. */
static void make_faults(struct draw *d)
{
    bool peaceful = one_in(d, 8);
    for (int i = 0; i < EMP_SIM_FAULT_COUNT; i++) {
        int64_t factor = one_in(d, 3) ? 1000 : one_in(d, 2) ? 3000 : 0;
        d->p->fault_ms[i] = peaceful ? 0 : fault_seconds[i] * factor;
    }
    d->p->bad_fetches = peaceful || one_in(d, 2) ? 0 : (uint32_t)between(d, 500, 4000);
    d->p->bad_deletes = peaceful || !one_in(d, 4) ? 0 : 1500;
}

static void make_load(struct draw *d)
{
    struct emp_sim_plan *p = d->p;
    static const int64_t arrivals[] = {300, 1500, 4000};
    p->arrival_ms = arrivals[emp_random_below(&d->r, 3)];
    p->burst_max = one_in(d, 3) ? 12 : 1;
    p->jobs_max = (uint32_t)between(d, 20, 160);
    p->faulty_ms = between(d, 120, 500) * 1000;
    p->keys = one_in(d, 2) ? 5000 : 0;
}

/* Plans on every other seed, and far more often than in life. */
static void make_intelligence(struct draw *d)
{
    struct emp_settings_intelligence *s = &d->p->core.intelligence;
    s->on = one_in(d, 2);
    s->every_ms = between(d, 200, 20000);
    d->p->broker.plan_ms_min = between(d, 0, 50);
    d->p->broker.plan_ms_max = d->p->broker.plan_ms_min + (one_in(d, 4) ? 5000 : 100);
    d->p->bad_loads = one_in(d, 2) ? 0 : 2000;
}

void emp_sim_plan_make(struct emp_sim_plan *p, const struct emp_sim_world *w)
{
    struct draw d = {.p = p};
    *p = (struct emp_sim_plan){0};
    emp_arena_init(&p->arena, 1 << 14);
    emp_sim_random(w, "plan", 0, &d.r);
    make_settings(&d);
    make_models(&d);
    make_machines(&d);
    p->kind_count = (uint32_t)between(&d, 1, EMP_SIM_KINDS_MAX);
    for (uint32_t i = 0; i < p->kind_count; i++)
        make_kind(&d, i);
    make_network(&d);
    make_broker(&d);
    make_faults(&d);
    make_load(&d);
    emp_sim_random(w, "intelligence", 0, &d.r);
    make_intelligence(&d);
}

void emp_sim_plan_release(struct emp_sim_plan *p)
{
    emp_arena_release(&p->arena);
}

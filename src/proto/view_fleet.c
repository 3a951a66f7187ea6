/* Decisions, machines, models and pools for the HTTP API. */
#include "proto/message_shapes.h"
#include "proto/view_json.h"

#include <math.h>

/* ---- decisions ---- */

/* Absent parties of a decision are null, not left out: clients look at these members. */
static void write_name_or_null(struct emp_writer *w, const char *name, struct emp_str s)
{
    if (s.len > 0)
        emp_write_str(w, name, s);
    else
        emp_write_null(w, name);
}

static int64_t start_us(const struct emp_route_terms *t)
{
    const struct emp_route_terms start = {
        .slot_free = t->slot_free, .fetch = t->fetch, .load = t->load};
    return emp_route_cost(&start);
}

static void write_candidate(struct emp_writer *w, const struct emp_route_choice *c)
{
    const struct emp_route_terms *t = &c->terms;
    emp_write_object(w, NULL);
    emp_write_str(w, "machine_id", c->machine);
    emp_write_str(w, "poolType", c->pool);
    emp_write_bool(w, "machineHasModels", c->has_models);
    emp_write_double(w, "machineLoadSuitability", round((double)c->load_suitability * 1000) / 1000);
    emp_write_us(w, "estimatedWaitTime", start_us(t));
    emp_write_us(w, "modelDownloadCost", t->fetch);
    emp_write_us(w, "cost", c->cost);
    emp_write_object(w, "terms");
    emp_write_us(w, "slot_free", t->slot_free);
    emp_write_us(w, "fetch", t->fetch);
    emp_write_us(w, "load", t->load);
    emp_write_us(w, "run_delta", t->run_delta);
    emp_write_us(w, "pool_penalty", t->pool_penalty);
    emp_write_us(w, "displacement", t->displacement);
    emp_write_us(w, "risk", t->risk);
    emp_write_end(w);
    emp_write_end(w);
}

void emp_view_decision(struct emp_writer *w, const char *name, const struct emp_decision_view *v)
{
    const struct emp_str nobody = {0};
    bool chosen = !v->waiting && v->count > 0;
    emp_write_object(w, name);
    write_name_or_null(w, "chosen", chosen ? v->candidates[0].machine : nobody);
    write_name_or_null(w, "runner_up", chosen && v->count > 1 ? v->candidates[1].machine : nobody);
    emp_write_array(w, "candidates");
    for (uint32_t i = 0; i < v->count; i++)
        write_candidate(w, &v->candidates[i]);
    emp_write_end(w);
    emp_write_u64(w, "considered", v->considered);
    write_name_or_null(w, "pool", v->pool);
    emp_write_strs(w, "requiredModels", v->models, v->model_count);
    emp_write_strs(w, "requiredCustomNodes", v->nodes, v->node_count);
    emp_write_ms(w, "estimatedDuration", v->estimated_run_ms);
    emp_write_double(w, "priority", v->priority);
    emp_write_z(w, "userTier", emp_tier_word(v->tier));
    emp_write_z(w, "fallback", emp_fallback_word(v->fallback));
    write_name_or_null(w, "waiting_for", v->waiting_for);
    emp_write_str(w, "reason", v->reason);
    emp_write_end(w);
}

void emp_decision_view_of(const struct emp_job_record *record, const struct emp_job_spec *spec,
                          struct emp_decision_view *ret)
{
    static const char *const reasons[EMP_FALLBACK_COUNT] = {
        [EMP_FALLBACK_NONE] = "soonest start in its own pool, models in place",
        [EMP_FALLBACK_FETCH] = "soonest start in its own pool; its models are fetched first",
        [EMP_FALLBACK_OTHER_POOL] = "soonest start in another pool, its penalty included",
        [EMP_FALLBACK_EMERGENCY] = "no machine had its models: fetched outside of its pool",
    };
    const struct emp_decision *d = &record->decision;
    *ret = (struct emp_decision_view){
        .candidates = d->candidates,
        .count = d->count,
        .considered = d->considered,
        .fallback = d->fallback,
        .estimated_run_ms = d->estimated_run_ms,
        .pool = d->pool,
        .reason = emp_str_z(d->count > 0 ? reasons[d->fallback] : "it was never assigned"),
        .models = spec->models,
        .nodes = spec->custom_nodes,
        .model_count = spec->model_count,
        .node_count = spec->node_count,
        .priority = record->order_priority,
        .tier = spec->tier,
        .waiting = d->count == 0,
    };
}

/* ---- machines ---- */

static double gigabytes(int64_t bytes)
{
    return round((double)bytes / 1e6) / 1e3;
}

static void write_hardware(struct emp_writer *w, const struct emp_machine_facts *f)
{
    emp_write_object(w, "hardware");
    emp_write_double(w, "cpu_cores", f->cpu_cores);
    emp_write_double(w, "ram_gb", gigabytes(f->ram_bytes));
    emp_write_array(w, "gpus");
    for (uint32_t i = 0; i < f->gpu_count; i++) {
        emp_write_object(w, NULL);
        emp_write_str(w, "model", f->gpus[i].model);
        emp_write_double(w, "memory_gb", gigabytes(f->gpus[i].memory_bytes));
        emp_write_end(w);
    }
    emp_write_end(w);
    emp_write_end(w);
}

static void write_strs_opt(struct emp_writer *w, const char *name, const struct emp_str *v,
                           uint32_t count)
{
    if (count > 0)
        emp_write_strs(w, name, v, count);
}

static void write_serves(struct emp_writer *w, const struct emp_machine_facts *f)
{
    emp_write_strs(w, "services", f->services, f->service_count);
    write_strs_opt(w, "specialties", f->specialties, f->specialty_count);
    write_strs_opt(w, "compliance", f->compliance, f->compliance_count);
    write_strs_opt(w, "custom_nodes", f->custom_nodes, f->node_count);
    write_strs_opt(w, "allowed_customers", f->allowed_customers, f->allowed_count);
    write_strs_opt(w, "denied_customers", f->denied_customers, f->denied_count);
    emp_write_z(w, "isolation", emp_isolation_word(f->isolation));
}

static void write_copies(struct emp_writer *w, const struct emp_machine_view *v)
{
    emp_write_array(w, "models");
    for (uint32_t i = 0; i < v->copy_count; i++) {
        const struct emp_copy *c = &v->copies[i];
        emp_write_object(w, NULL);
        emp_write_str(w, "model", c->model);
        emp_write_i64(w, "bytes", c->bytes);
        emp_write_z(w, "residency", emp_residency_word(c->residency));
        emp_write_bool(w, "in_use", c->in_use);
        emp_write_end(w);
    }
    emp_write_end(w);
}

static void write_running(struct emp_writer *w, const struct emp_machine_view *v,
                          emp_view_job_id id_of, void *ctx)
{
    char id[37];
    emp_write_u64(w, "slots", v->facts->slots);
    emp_write_u64(w, "busy", v->busy);
    emp_write_array(w, "jobs");
    for (uint32_t i = 0; i < v->busy && v->jobs; i++) {
        id_of(ctx, v->jobs[i], id);
        emp_write_z(w, NULL, id);
    }
    emp_write_end(w);
}

static void write_disk(struct emp_writer *w, const struct emp_machine_view *v)
{
    emp_write_object(w, "disk");
    emp_write_i64(w, "budget_bytes", v->facts->disk_budget_bytes);
    emp_write_i64(w, "free_bytes", v->disk_free_bytes);
    emp_write_end(w);
    emp_write_i64(w, "link_bytes_per_s", v->link_bytes_per_s);
    emp_write_i64(w, "fetch_left_bytes", v->fetch_left_bytes);
}

void emp_view_machine(struct emp_writer *w, const char *name, const struct emp_machine_view *v,
                      emp_view_job_id id_of, void *ctx)
{
    const struct emp_machine_facts *f = v->facts;
    emp_write_object(w, name);
    emp_write_str(w, "machine_id", f->id);
    emp_write_z(w, "status", emp_machine_state_word(v->state));
    emp_write_str(w, "pool", v->pool);
    if (!emp_str_eq(f->pool, v->pool))
        emp_write_str_opt(w, "pool_unknown", f->pool);
    emp_write_str_opt(w, "region", f->region);
    emp_write_str_opt(w, "provider", f->provider);
    emp_write_str_opt(w, "version", f->version);
    emp_write_str_opt(w, "boot_id", f->boot);
    write_running(w, v, id_of, ctx);
    write_serves(w, f);
    write_hardware(w, f);
    write_disk(w, v);
    emp_write_double(w, "speed", round(v->speed * 1000) / 1000);
    emp_write_u64(w, "model_count", v->copy_count);
    if (!v->brief)
        write_copies(w, v);
    if (!v->brief && f->cap_count > 0)
        emp_caps_write(w, "capabilities", f->caps, f->cap_count);
    emp_write_u64(w, "jobs_completed", v->jobs_completed);
    emp_write_u64(w, "jobs_failed", v->jobs_failed);
    emp_write_bool(w, "drained", v->drained);
    emp_write_time_opt(w, "first_seen", v->first_seen);
    emp_write_time_opt(w, "last_seen", v->last_seen);
    emp_write_time_opt(w, "quarantined_until", v->quarantined_until);
    emp_write_end(w);
}

/* ---- models and pools ---- */

void emp_view_model(struct emp_writer *w, const char *name, const struct emp_model_view *v)
{
    emp_write_object(w, name);
    emp_shape_encode(w, &emp_shape_of_model, v->model);
    emp_write_u64(w, "copies", v->copies);
    emp_write_u64(w, "fetching", v->fetching);
    emp_write_u64(w, "uses", v->uses);
    emp_write_strs(w, "machines", v->machines, v->machines ? v->copies : 0);
    emp_write_end(w);
}

static void write_pool_class(struct emp_writer *w, const struct emp_pool *p)
{
    emp_write_ms(w, "run_s_min", p->run_ms_min);
    if (p->run_ms_max == EMP_NEVER)
        emp_write_null(w, "run_s_max");
    else
        emp_write_ms(w, "run_s_max", p->run_ms_max);
    emp_write_i64(w, "disk_bytes_min", p->disk_bytes_min);
    emp_write_i64(w, "disk_bytes_max", p->disk_bytes_max);
    emp_write_object(w, "hardware");
    emp_write_double(w, "gpu_memory_gb", p->gpu_memory_gb_min);
    emp_write_double(w, "ram_gb", p->ram_gb_min);
    emp_write_double(w, "cpu_cores", p->cpu_cores_min);
    emp_write_end(w);
    emp_write_ms(w, "penalty_s", p->penalty_ms);
    emp_write_double(w, "evict_lean", p->evict_small_lean);
}

void emp_view_pool(struct emp_writer *w, const char *name, const struct emp_pool_view *v)
{
    const struct emp_pool *p = v->pool;
    emp_write_object(w, name);
    emp_write_str(w, "name", p->name);
    emp_write_str_opt(w, "specialty", p->specialty);
    emp_write_str_opt(w, "region", p->region);
    emp_write_str_opt(w, "customer", p->customer);
    emp_write_str_opt(w, "parent", p->parent);
    write_strs_opt(w, "compliance", p->compliance, p->compliance_count);
    write_strs_opt(w, "services", p->services, p->service_count);
    write_pool_class(w, p);
    emp_write_u64(w, "machines", v->machines);
    emp_write_u64(w, "slots", v->slots);
    emp_write_u64(w, "busy", v->busy);
    emp_write_u64(w, "pending", v->pending);
    emp_write_u64(w, "running", v->running);
    emp_write_end(w);
}

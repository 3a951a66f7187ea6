#include "sim/measure/engine.h"

#include <math.h>
#include <stdlib.h>

enum {
    DELAY_MS = 25,       /* of a message, one way */
    PLAN_MS = 200,       /* a plan takes so long */
    NOTICE_MS = 9000,    /* until a machine that vanished is missed */
    PROGRESS_EVERY = 60, /* samples */
    JOB_LIMIT_MS = 12 * 3600 * 1000,
};
#define FIRST_USE_MS (24LL * 3600 * 1000)      /* nobody used it for so long, in the trace's time */
#define GIVE_UP_MS   (30LL * 24 * 3600 * 1000) /* after the last submission */

/* ---- jobs ---- */

uint32_t emp_measure_job_of(const struct emp_measure *m, emp_job_num num)
{
    return num <= m->job_count ? m->job_of_num[num] : UINT32_MAX;
}

void emp_measure_job_ended(struct emp_measure *m, uint32_t job)
{
    (void)job;
    if (++m->ended == m->job_count)
        m->system.world.ended = true;
}

static uint8_t meant_for(const struct emp_scenario *sc, const struct emp_trace_job *row)
{
    for (uint32_t i = 0; i < sc->pool_count && i < EMP_MEASURE_POOLS_MAX; i++)
        if (sc->pools[i].streams >> row->kind & 1)
            return (uint8_t)i;
    return 0;
}

/* When each model was last asked for decides what a first use is; known before anything runs. */
static void make_jobs(struct emp_measure *m)
{
    const struct emp_trace *t = m->trace;
    emp_wall_ms *last = emp_arena_array(&m->arena, emp_wall_ms, t->model_count);
    m->job_count = t->job_count - t->history_count;
    m->jobs = emp_arena_array(&m->arena, struct emp_measure_job, m->job_count);
    m->job_of_num = emp_arena_array(&m->arena, uint32_t, (size_t)m->job_count + 1);
    for (uint32_t i = 0; i < m->job_count; i++) {
        const struct emp_trace_job *row = emp_measure_row(m, i);
        struct emp_measure_job *j = &m->jobs[i];
        *j = (struct emp_measure_job){
            .submitted_at = emp_trace_virtual_ms(t, row, m->speedup),
            .best_at = EMP_NEVER,
            .started_at = -1,
            .ended_at = -1,
            .told_start_ms = -1,
            .told_end_ms = -1,
            .run_ms = (int32_t)emp_scenario_run_ms(m->scenario, t, row),
            .pool = meant_for(m->scenario, row),
            .tier = row->tier,
            .counted = t->history_count + i >= t->counted_from,
        };
        for (uint32_t k = 0; k < row->model_count; k++) {
            uint32_t model = t->job_models[row->model + k];
            j->first_use |= last[model] == 0 || row->submitted_at - last[model] > FIRST_USE_MS;
            last[model] = row->submitted_at;
        }
    }
}

/* ---- models ---- */

static void publish(struct emp_measure *m, uint32_t model)
{
    const struct emp_trace_model *t = &m->trace->models[model];
    static struct emp_str url = {"sim://origin", 12};
    struct emp_model x = {.name = t->name,
                          .kind = emp_str_z(emp_trace_model_kind_word(t->kind)),
                          .path = t->name,
                          .bytes = emp_scenario_model_bytes(m->scenario, t),
                          .urls = &url,
                          .url_count = 1};
    if (m->model_number[model])
        return;
    uint32_t number = m->model_number[model] = emp_sim_model_put(&m->system, &x);
    emp_sim_broker_model(m->system.broker, 0, &m->system.models[number].model);
}

/* What was seen before the first timed job. */
static void publish_history(struct emp_measure *m)
{
    const struct emp_trace *t = m->trace;
    for (uint32_t i = 0; i < t->history_count; i++)
        for (uint32_t k = 0; k < t->jobs[i].model_count; k++)
            publish(m, t->job_models[t->jobs[i].model + k]);
}

static void make_models(struct emp_measure *m)
{
    const struct emp_trace *t = m->trace;
    m->model_number = emp_arena_array(&m->arena, uint32_t, t->model_count);
    m->names = emp_arena_array(&m->arena, struct emp_str, t->job_model_count);
    for (uint32_t i = 0; i < t->job_model_count; i++)
        m->names[i] = t->models[t->job_models[i]].name;
}

/* ---- submitting ---- */

static struct emp_str service_of(const struct emp_measure *m, const struct emp_trace_job *row)
{
    return row->service ? emp_intern_name(&m->trace->services, row->service)
                        : m->services[row->kind];
}

static void make_services(struct emp_measure *m)
{
    m->services[EMP_TRACE_JOB_TRACE] = EMP_STR("image");
    m->services[EMP_TRACE_JOB_TEXT] = EMP_STR("text");
    m->services[EMP_TRACE_JOB_VIDEO] = EMP_STR("video");
    m->service_count = EMP_TRACE_JOB_KIND_COUNT;
    for (uint32_t i = 1; i < m->trace->services.count && i < 256; i++)
        m->services[m->service_count++] = emp_intern_name(&m->trace->services, i);
}

static bool last_pool_full(const struct emp_measure *m)
{
    for (uint32_t i = m->scenario->machines; i-- > 0;) {
        const struct emp_measure_place *p = &m->places[i];
        if (p->pool + 1 < m->scenario->pool_count)
            continue;
        if (p->up && p->hand_count < p->agent->facts.slots)
            return false;
    }
    return true;
}

static void submit(struct emp_measure *m, uint32_t job)
{
    const struct emp_trace_job *row = emp_measure_row(m, job);
    struct emp_sim_work work = {.run_ms = m->jobs[job].run_ms, .kind = job};
    bool models = !m->asked->policy->no_models;
    for (uint32_t k = 0; k < row->model_count; k++)
        publish(m, m->trace->job_models[row->model + k]);
    if (models && !emp_scenario_holds(m->scenario, m->trace, row)) {
        emp_measure_job_ended(m, job); /* it could wait for ever: it never completes */
        return;
    }
    if (m->jobs[job].counted && !m->counting) {
        emp_measure_fleet_count_until_now(m);
        emp_measure_record_count(m);
        m->counting = true;
        m->counting_since = emp_measure_now(m);
    }
    m->jobs[job].beside_full = m->scenario->pool_count > 1 && last_pool_full(m);
    /* in a large fleet the best start is looked for now and then */
    if (m->jobs[job].counted && job % (1 + m->scenario->machines / 64) == 0)
        m->jobs[job].best_at = emp_measure_best_start(m, job);
    work.spec = (struct emp_job_spec){
        .service = service_of(m, row),
        .customer = emp_intern_name(&m->trace->users, row->user),
        .pool = emp_intern_name(&m->trace->pools, row->pool),
        .models = models ? m->names + row->model : NULL,
        .model_count = models ? row->model_count : 0,
        .priority = (double)row->priority,
        .workflow_priority = NAN,
        .max_retries = -1,
        .tier = row->tier,
        .timeout_ms = JOB_LIMIT_MS,
        .work = {.steps = (float)row->steps, .images = (float)row->images},
        .wait = true,
    };
    emp_sim_broker_submit(m->system.broker, job + 1, emp_sim_work_new(m->system.broker, &work));
}

static void submit_due(struct emp_sim_world *w, void *ctx)
{
    struct emp_measure *m = ctx;
    while (m->next < m->job_count && m->jobs[m->next].submitted_at <= w->now)
        submit(m, m->next++);
    if (m->next < m->job_count)
        emp_sim_timer_set(w, &m->submit, m->jobs[m->next].submitted_at);
}

/* ---- gauges ---- */

static void sample(struct emp_sim_world *w, void *ctx)
{
    struct emp_measure *m = ctx;
    m->samples += m->counting;
    for (uint32_t i = 0; i < m->scenario->machines && m->counting; i++) {
        const struct emp_measure_place *p = &m->places[i];
        if (!p->up || p->pool >= EMP_MEASURE_POOLS_MAX)
            continue;
        m->disk_share[p->pool] += (double)p->agent->disk_bytes / (double)p->is.pool->disk_bytes;
        m->disk_samples[p->pool]++;
        m->disk_bytes[p->pool] += (double)p->agent->disk_bytes;
    }
    if (m->asked->progress && w->now / EMP_MEASURE_SAMPLE_MS % PROGRESS_EVERY == 0)
        m->asked->progress(m->asked->progress_ctx, m->ended, m->job_count);
    emp_sim_timer_after(w, &m->sample, EMP_MEASURE_SAMPLE_MS);
}

/* ---- a run ---- */

static void begin(struct emp_measure *m)
{
    static const struct emp_sim_network_settings network = {
        .delay_ms_min = DELAY_MS,
        .delay_ms_max = DELAY_MS,
        .notice_ms_min = NOTICE_MS,
        .notice_ms_max = NOTICE_MS,
    };
    struct emp_sim_behaviour behaviour = emp_measure_behaviour;
    behaviour.ctx = m;
    emp_sim_system_init(&m->system, m->asked->seed, &network, &behaviour);
    m->system.world.epoch = m->trace->origin;
    m->system.world.trace.file = m->asked->log;
    emp_measure_fleet_settings(m);
    emp_measure_record_init(m);
    make_services(m);
    make_jobs(m);
    make_models(m);
    emp_sim_broker_new(&m->system,
                       &(struct emp_sim_broker_settings){
                           .core = &m->settings,
                           .policy = m->asked->policy->core,
                           .plan_ms_min = PLAN_MS,
                           .plan_ms_max = PLAN_MS,
                           .foretell = m->asked->policy->clairvoyant ? emp_measure_foretell : NULL,
                           .foretell_ctx = m});
    emp_sim_broker_start(m->system.broker);
    publish_history(m);
    emp_measure_picture_begin(m);
    emp_measure_fleet_start(m);
    emp_sim_timer_init(&m->submit, submit_due, m);
    emp_sim_timer_init(&m->sample, sample, m);
    if (m->job_count == 0)
        return;
    emp_sim_timer_set(&m->system.world, &m->submit, m->jobs[0].submitted_at);
    emp_sim_timer_set(&m->system.world, &m->sample, 0);
}

void emp_measure(const struct emp_measure_run *r, struct emp_measure_figures *ret,
                 char violation[EMP_SIM_VIOLATION_MAX])
{
    struct emp_measure *m = calloc(1, sizeof *m);
    if (m == NULL)
        abort();
    m->asked = r;
    m->scenario = r->scenario;
    m->trace = r->trace;
    m->speedup = r->speedup > 0 ? r->speedup : r->scenario->speedup;
    emp_arena_init(&m->arena, 1 << 20);
    begin(m);
    if (m->job_count) {
        emp_mono_ms last = m->jobs[m->job_count - 1].submitted_at;
        emp_sim_world_run(&m->system.world, last + GIVE_UP_MS);
        if (m->ended < m->job_count)
            emp_sim_violation(&m->system.world, "%u of %u jobs never ended",
                              m->job_count - m->ended, m->job_count);
    }
    emp_measure_fleet_count_until_now(m);
    emp_measure_record_end(m);
    emp_measure_figures_make(m, ret);
    emp_measure_picture_end(m);
    memcpy(violation, m->system.world.violation, EMP_SIM_VIOLATION_MAX);
    emp_sim_system_release(&m->system);
    emp_arena_release(&m->arena);
    free(m);
}

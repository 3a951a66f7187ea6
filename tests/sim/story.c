#include "story.h"

#include <math.h>
#include <string.h>

#define MB INT64_C(1000000)

/* ---- how things behave ---- */

static void run(void *ctx, struct emp_sim_agent *a, const struct emp_message_assign *assign,
                struct emp_sim_run_plan *ret)
{
    const struct story *s = ctx;
    const struct emp_sim_work *w = emp_sim_work_of(s->system.broker, assign);
    int64_t bytes = 0;
    (void)a;
    for (uint32_t i = 0; i < assign->model_count; i++)
        bytes += assign->models[i].bytes;
    *ret = (struct emp_sim_run_plan){
        .load_ms = bytes / MB, .run_ms = w ? w->run_ms : 0, .stop_ms = 100};
}

static void fetch(void *ctx, struct emp_sim_agent *a, const struct emp_model *model, int64_t kept,
                  struct emp_sim_fetch_plan *ret)
{
    (void)ctx;
    (void)a;
    (void)kept;
    *ret = (struct emp_sim_fetch_plan){.end_bytes = model->bytes};
}

/* ---- life ---- */

void story_begin(struct story *s)
{
    static const struct emp_sim_network_settings network = {.delay_ms_min = 10,
                                                            .delay_ms_max = 10,
                                                            .notice_ms_min = 10,
                                                            .notice_ms_max = 10,
                                                            .encode = true};
    *s = (struct story){.settings = *emp_settings_default()};
    emp_sim_system_init(&s->system, 1, &network,
                        &(struct emp_sim_behaviour){.run = run, .fetch = fetch, .ctx = s});
    emp_buf_init(&s->trace, 1 << 20);
    s->system.world.trace.story = &s->trace;
    emp_sim_broker_start(emp_sim_broker_new(
        &s->system, &(struct emp_sim_broker_settings){.core = &s->settings,
                                                      .policy = &emp_policy_default,
                                                      .durable = true,
                                                      .check = true,
                                                      .commit_ms_min = 5,
                                                      .commit_ms_max = 5}));
    story_quiet(s);
}

void story_end(struct story *s)
{
    assert_string_equal(s->system.world.violation, "");
    emp_sim_system_release(&s->system);
    emp_buf_release(&s->trace);
}

static struct emp_str keep(struct story *s, const char *text)
{
    return emp_str_copy(&s->system.world.arena, emp_str_z(text));
}

uint32_t story_model(struct story *s, const char *name, int64_t bytes)
{
    struct emp_str *url = emp_arena_new(&s->system.world.arena, struct emp_str);
    *url = EMP_STR("http://origin/model");
    struct emp_model m = {
        .name = keep(s, name), .path = keep(s, name), .bytes = bytes, .urls = url, .url_count = 1};
    uint32_t number = emp_sim_model_put(&s->system, &m);
    emp_sim_broker_model(s->system.broker, ++s->requests, &s->system.models[number].model);
    return number;
}

struct emp_sim_agent *story_machine(struct story *s, const char *pool, uint32_t slots)
{
    static struct emp_str services[] = {{"simulation", 10}};
    struct emp_arena *arena = &s->system.world.arena;
    const char *id = emp_arena_printf(arena, "m%u", s->system.agent_count);
    struct emp_sim_agent *a = emp_sim_agent_add(
        &s->system, &(struct emp_sim_agent_settings){.facts = {.id = emp_str_z(id),
                                                               .pool = keep(s, pool),
                                                               .services = services,
                                                               .service_count = 1,
                                                               .slots = slots,
                                                               .disk_budget_bytes = 10000 * MB,
                                                               .link_bytes_per_s = 100 * MB},
                                                     .link_bytes_per_s = 100 * MB,
                                                     .reconnect_ms_min = 1000,
                                                     .reconnect_ms_max = 1000});
    emp_sim_agent_start(a);
    return a;
}

static void add_models(struct story *s, struct emp_job_spec *spec, const char *models)
{
    spec->models = emp_arena_array(&s->system.world.arena, struct emp_str, strlen(models) + 1);
    while (*models) {
        size_t length = strcspn(models, " ");
        spec->models[spec->model_count++] = (struct emp_str){models, (uint32_t)length};
        models += length + (models[length] == ' ');
    }
}

void story_submit(struct story *s, const char *models, int64_t run_ms, int64_t estimated_ms)
{
    struct emp_sim_work w = {.run_ms = run_ms};
    w.spec = (struct emp_job_spec){.service = EMP_STR("simulation"),
                                   .priority = 50,
                                   .workflow_priority = NAN,
                                   .max_retries = -1,
                                   .estimated_duration_ms = estimated_ms};
    add_models(s, &w.spec, models);
    emp_sim_broker_submit(s->system.broker, ++s->requests, emp_sim_work_new(s->system.broker, &w));
}

void story_pass(struct story *s, int64_t ms)
{
    emp_sim_world_run(&s->system.world, s->system.world.now + ms);
}

void story_quiet(struct story *s)
{
    emp_buf_clear(&s->trace);
}

void story_expect(struct story *s, const char *text)
{
    assert_false(s->trace.failed);
    assert_string_equal(s->trace.data ? s->trace.data : "", text);
    story_quiet(s);
}

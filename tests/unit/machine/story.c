#include "story.h"

#include <stdio.h>
#include <stdlib.h>

void story_begin(struct story *s)
{
    s->facts.id = EMP_STR("m1");
    s->settings.facts = &s->facts;
    s->machine = emp_machine_new(&s->settings);
    s->now = (struct emp_now){.mono = 1000, .wall = 1700000000000};
    emp_arena_init(&s->arena, 0);
    emp_buf_init(&s->trace, 1 << 20);
}

void story_end(struct story *s)
{
    emp_machine_free(s->machine);
    emp_arena_release(&s->arena);
    emp_buf_release(&s->trace);
}

void story_step(struct story *s, const struct emp_machine_event *e)
{
    emp_arena_reset(&s->arena);
    emp_buf_clear(&s->trace);
    struct emp_machine_actions out = {.arena = &s->arena};
    emp_machine_step(s->machine, s->now, e, &out);
    for (uint32_t i = 0; i < out.count; i++) {
        emp_machine_action_format(&out.items[i], &s->trace);
        emp_buf_addz(&s->trace, "\n");
    }
    const char *fault = emp_machine_check(s->machine, &s->arena);
    if (fault)
        fail_msg("%s", fault);
}

void story_pass(struct story *s, int64_t ms)
{
    s->now.mono += ms;
    s->now.wall += ms;
    story_step(s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_TICK});
}

static void message(struct story *s, const struct emp_message *m)
{
    story_step(s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_MESSAGE, .message = m});
}

void story_link(struct story *s, bool up)
{
    if (!up) {
        story_step(s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_LINK_DOWN});
        return;
    }
    story_step(s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_LINK_UP});
    char *seen = s->trace.data ? strdup(s->trace.data) : strdup("");
    message(s, &(struct emp_message){.kind = EMP_MESSAGE_WELCOME,
                                     .welcome = {.protocol = 1, .beat_ms = 60000}});
    emp_buf_clear(&s->trace);
    emp_buf_addz(&s->trace, seen);
    free(seen);
}

void story_found(struct story *s, const char *model, int64_t bytes, int64_t half_bytes)
{
    char path[64];
    snprintf(path, sizeof path, "%s.bin", model);
    struct emp_machine_found f = {.name = emp_str_z(model),
                                  .path = emp_str_z(path),
                                  .bytes = bytes,
                                  .half_bytes = half_bytes};
    story_step(
        s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_INVENTORY, .inventory = {&f, 1}});
}

struct emp_model story_model(struct emp_arena *a, const char *word)
{
    size_t len = strcspn(word, ":!^");
    struct emp_model m = {.name = {emp_arena_printf(a, "%.*s", (int)len, word), (uint32_t)len}};
    m.path = emp_str_z(emp_arena_printf(a, "%.*s.bin", (int)len, word));
    m.urls = emp_arena_new(a, struct emp_str);
    m.urls[0] = EMP_STR("http://origin/");
    m.url_count = 1;
    for (word += len; *word && *word != ':'; word++) {
        if (*word == '!')
            m.url_count = 0;
        if (*word == '^')
            m.pinned = true;
    }
    m.bytes = *word ? atoll(word + 1) : 0;
    return m;
}

void story_assign(struct story *s, emp_job_num job, uint32_t attempt, const char *models,
                  int64_t timeout_ms)
{
    struct emp_arena a;
    emp_arena_init(&a, 0);
    struct emp_model list[16];
    uint32_t n = 0;
    char *copy = emp_arena_dup(&a, models, strlen(models) + 1), *save = NULL;
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        list[n++] = story_model(&a, w);
    message(s, &(struct emp_message){.kind = EMP_MESSAGE_ASSIGN,
                                     .assign = {.job = job,
                                                .attempt = attempt,
                                                .job_id = EMP_STR("id"),
                                                .service = EMP_STR("simulation"),
                                                .models = list,
                                                .model_count = n,
                                                .timeout_ms = timeout_ms,
                                                .payload = EMP_STR("{}")}});
    emp_arena_release(&a);
}

void story_plan(struct story *s, enum emp_residency residency, const char *models)
{
    struct emp_arena a;
    emp_arena_init(&a, 0);
    struct emp_planned list[16];
    uint32_t n = 0;
    char *copy = emp_arena_dup(&a, models, strlen(models) + 1), *save = NULL;
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        list[n++] = (struct emp_planned){story_model(&a, w), residency, 10};
    message(s, &(struct emp_message){.kind = EMP_MESSAGE_PLAN, .plan = {list, n}});
    emp_arena_release(&a);
}

void story_loaded(struct story *s, const char *model, int code)
{
    story_step(s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_LOADED,
                                              .loaded = {emp_str_z(model), code}});
}

void story_cancel(struct story *s, emp_job_num job, uint32_t attempt)
{
    message(s, &(struct emp_message){.kind = EMP_MESSAGE_CANCEL,
                                     .lease = {.job = job, .attempt = attempt}});
}

void story_ack(struct story *s, emp_job_num job, uint32_t attempt)
{
    message(s, &(struct emp_message){.kind = EMP_MESSAGE_ACK,
                                     .lease = {.job = job, .attempt = attempt}});
}

void story_fetched(struct story *s, const char *model)
{
    story_step(s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_FETCH_DONE,
                                              .fetch_done = {.model = emp_str_z(model)}});
}

void story_fetch_failed(struct story *s, const char *model, int code, bool machine_fault,
                        int64_t kept_bytes)
{
    story_step(s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_FETCH_DONE,
                                              .fetch_done = {.model = emp_str_z(model),
                                                             .code = code,
                                                             .text = EMP_STR("it broke"),
                                                             .machine_fault = machine_fault,
                                                             .kept_bytes = kept_bytes}});
}

void story_deleted(struct story *s, const char *model, int code)
{
    story_step(s,
               &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_DELETED,
                                           .deleted = {.model = emp_str_z(model), .code = code}});
}

void story_started(struct story *s, emp_job_num job, uint32_t attempt, bool keeps_loaded)
{
    story_step(s,
               &(struct emp_machine_event){
                   .kind = EMP_MACHINE_EVENT_RUN_STARTED,
                   .run_started = {.job = job, .attempt = attempt, .keeps_loaded = keeps_loaded}});
}

void story_done(struct story *s, emp_job_num job, uint32_t attempt)
{
    story_step(s, &(struct emp_machine_event){
                      .kind = EMP_MACHINE_EVENT_RUN_DONE,
                      .run_done = {
                          .job = job, .attempt = attempt, .run_ms = 10, .result = EMP_STR("{}")}});
}

void story_run_failed(struct story *s, emp_job_num job, uint32_t attempt, int code, bool retryable,
                      bool machine_fault)
{
    story_step(s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_RUN_DONE,
                                              .run_done = {.job = job,
                                                           .attempt = attempt,
                                                           .code = code,
                                                           .text = EMP_STR("boom"),
                                                           .retryable = retryable,
                                                           .machine_fault = machine_fault}});
}

void story_shutdown(struct story *s, bool drain)
{
    story_step(
        s, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_SHUTDOWN,
                                       .shutdown = {.drain = drain, .reason = EMP_STR("SIGTERM")}});
}

#include "world.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

void world_init(struct world *w)
{
    *w = (struct world){0};
    emp_arena_init(&w->arena, 0);
    emp_arena_init(&w->store_arena, 0);
    emp_arena_init(&w->step_arena, 0);
    emp_buf_init(&w->trace, 1 << 22);
    w->settings = *emp_settings_default();
    w->settings.retry.jitter = 0;
    w->now = (struct emp_now){.mono = 1000, .wall = 1800000000000};
    w->core = emp_core_new(&w->settings, &emp_policy_default, 7);
    emp_core_start(w->core, w->now, 0);
}

void world_release(struct world *w)
{
    emp_core_free(w->core);
    emp_arena_release(&w->arena);
    emp_arena_release(&w->store_arena);
    emp_arena_release(&w->step_arena);
    emp_buf_release(&w->trace);
}

/* ---- the store: deep copies ---- */

static struct emp_str keep(struct world *w, struct emp_str s)
{
    return s.len ? emp_str_copy(&w->store_arena, s) : (struct emp_str){0};
}

static struct emp_str *keep_all(struct world *w, const struct emp_str *s, uint32_t n)
{
    struct emp_str *to = emp_arena_array(&w->store_arena, struct emp_str, n);
    for (uint32_t i = 0; i < n; i++)
        to[i] = keep(w, s[i]);
    return to;
}

static void keep_attempt(struct world *w, struct emp_attempt *a)
{
    a->machine = keep(w, a->machine);
    a->pool = keep(w, a->pool);
    a->error = keep(w, a->error);
}

static struct emp_job_spec *keep_spec(struct world *w, const struct emp_job_spec *s)
{
    struct emp_job_spec *k = emp_arena_dup(&w->store_arena, s, sizeof *s);
    k->service = keep(w, s->service);
    k->customer = keep(w, s->customer);
    k->workflow = keep(w, s->workflow);
    k->pool = keep(w, s->pool);
    k->specialty = keep(w, s->specialty);
    k->region = keep(w, s->region);
    k->idempotency_key = keep(w, s->idempotency_key);
    k->models = keep_all(w, s->models, s->model_count);
    k->custom_nodes = keep_all(w, s->custom_nodes, s->node_count);
    k->compliance = keep_all(w, s->compliance, s->compliance_count);
    k->requirements = emp_arena_dup(&w->store_arena, s->requirements,
                                    s->requirement_count * sizeof *s->requirements);
    return k;
}

static void keep_facts(struct world *w, struct emp_machine_facts *f)
{
    f->id = keep(w, f->id);
    f->boot = keep(w, f->boot);
    f->pool = keep(w, f->pool);
    f->region = keep(w, f->region);
    f->services = keep_all(w, f->services, f->service_count);
    f->compliance = keep_all(w, f->compliance, f->compliance_count);
    struct emp_capability *caps =
        emp_arena_dup(&w->store_arena, f->caps, f->cap_count * sizeof *f->caps);
    for (uint32_t i = 0; i < f->cap_count; i++) {
        caps[i].path = keep(w, caps[i].path);
        caps[i].text = keep(w, caps[i].text);
    }
    f->caps = caps;
    f->gpus = emp_arena_dup(&w->store_arena, f->gpus, f->gpu_count * sizeof *f->gpus);
    for (uint32_t i = 0; i < f->gpu_count; i++)
        f->gpus[i].model = keep(w, f->gpus[i].model);
}

static const struct emp_job_spec *spec_of(const struct world *w, emp_job_num num)
{
    for (size_t i = 0; i < w->change_count; i++)
        if (w->changes[i].kind == EMP_CHANGE_JOB && w->changes[i].job.record.num == num &&
            w->changes[i].job.spec)
            return w->changes[i].job.spec;
    return NULL;
}

/* The last row of each key. */
static void keep_learned(struct world *w, const struct emp_change_learned *l)
{
    size_t i = 0;
    while (i < w->row_count && !emp_str_eq(w->rows[i].learned.key, l->key))
        i++;
    if (i == w->row_count) {
        emp_arena_reserve(&w->store_arena, w->rows, w->row_count, w->row_cap);
        w->rows[w->row_count++] =
            (struct emp_change){.kind = EMP_CHANGE_LEARNED, .learned.key = keep(w, l->key)};
    }
    w->rows[i].learned.length = l->length;
    w->rows[i].learned.bytes = emp_arena_dup(&w->store_arena, l->bytes, l->length);
}

static void persist(struct world *w, const struct emp_change *change)
{
    if (change->kind == EMP_CHANGE_LEARNED) {
        keep_learned(w, &change->learned);
        return;
    }
    emp_arena_reserve(&w->store_arena, w->changes, w->change_count, w->change_cap);
    struct emp_change *c = &w->changes[w->change_count++];
    *c = *change;
    if (c->kind == EMP_CHANGE_JOB) {
        if (c->job.record.num > w->last_num)
            w->last_num = c->job.record.num;
        if (c->job.spec)
            c->job.spec = keep_spec(w, c->job.spec);
        keep_attempt(w, &c->job.record.attempt);
        c->job.record.error = keep(w, c->job.record.error);
        c->job.record.decision.count = 0;
    } else if (c->kind == EMP_CHANGE_ATTEMPT) {
        keep_attempt(w, &c->attempt.attempt);
    } else if (c->kind == EMP_CHANGE_MACHINE) {
        keep_facts(w, &c->machine.facts);
    } else if (c->kind == EMP_CHANGE_MODEL) {
        c->model.name = keep(w, c->model.name);
        c->model.category = keep(w, c->model.category);
        c->model.kind = keep(w, c->model.kind);
        c->model.path = keep(w, c->model.path);
        c->model.urls = keep_all(w, c->model.urls, c->model.url_count);
    } else {
        w->change_count--;
    }
}

static bool job_seen_later(const struct world *w, size_t at)
{
    for (size_t i = at + 1; i < w->change_count; i++)
        if (w->changes[i].kind == EMP_CHANGE_JOB &&
            w->changes[i].job.record.num == w->changes[at].job.record.num)
            return true;
    return false;
}

void world_restart(struct world *w)
{
    emp_core_free(w->core);
    w->core = emp_core_new(&w->settings, &emp_policy_default, 8);
    for (size_t i = 0; i < w->change_count; i++)
        if (w->changes[i].kind == EMP_CHANGE_MODEL || w->changes[i].kind == EMP_CHANGE_MACHINE)
            emp_core_restore(w->core, &w->changes[i]);
    for (size_t i = 0; i < w->row_count; i++)
        if (w->rows[i].learned.length)
            emp_core_restore(w->core, &w->rows[i]);
    for (size_t i = 0; i < w->change_count; i++) {
        struct emp_change c = w->changes[i];
        if (c.kind != EMP_CHANGE_JOB || job_seen_later(w, i))
            continue;
        c.job.spec = spec_of(w, c.job.record.num);
        emp_core_restore(w->core, &c);
    }
    emp_core_start(w->core, w->now, w->last_num);
}

/* ---- the trace ---- */

static void trace_send(struct world *w, const struct emp_action *a)
{
    const struct emp_message *m = &a->send.message;
    emp_buf_printf(&w->trace, "link %llu: %s", (unsigned long long)a->send.link,
                   emp_message_word(m->kind));
    if (m->kind == EMP_MESSAGE_ASSIGN)
        emp_buf_printf(&w->trace, " %llu/%u", (unsigned long long)m->assign.job, m->assign.attempt);
    else if (m->kind == EMP_MESSAGE_CANCEL || m->kind == EMP_MESSAGE_ACK)
        emp_buf_printf(&w->trace, " %llu/%u", (unsigned long long)m->lease.job, m->lease.attempt);
    else if (m->kind == EMP_MESSAGE_WELCOME)
        emp_buf_printf(&w->trace, " to %.*s", EMP_STR_FMT(m->welcome.pool));
    else if (m->kind == EMP_MESSAGE_REFUSED)
        emp_buf_printf(&w->trace, " %s", emp_error_name(m->refused.code));
    for (uint32_t i = 0; m->kind == EMP_MESSAGE_PLAN && i < m->plan.planned_count; i++)
        emp_buf_printf(&w->trace, " %.*s:%s", EMP_STR_FMT(m->plan.planned[i].model.name),
                       emp_residency_word(m->plan.planned[i].residency));
    emp_buf_addz(&w->trace, "\n");
}

static void trace_change(struct world *w, const struct emp_change *c)
{
    if (c->kind == EMP_CHANGE_JOB)
        emp_buf_printf(&w->trace, "persist job %llu %s attempt %u\n",
                       (unsigned long long)c->job.record.num,
                       emp_job_state_word(c->job.record.state), c->job.record.attempt.number);
}

static void trace_notice(struct world *w, const struct emp_notice *n)
{
    if (n->kind == EMP_NOTICE_REQUEUED)
        emp_buf_printf(&w->trace, "job %llu requeued: %s\n", (unsigned long long)n->job,
                       emp_error_name(n->code));
    else if (n->kind == EMP_NOTICE_ENDED)
        emp_buf_printf(&w->trace, "job %llu %s\n", (unsigned long long)n->job,
                       emp_job_state_word(n->state));
    else if (n->kind == EMP_NOTICE_STARTED)
        emp_buf_printf(&w->trace, "job %llu started\n", (unsigned long long)n->job);
}

static void trace(struct world *w, const struct emp_action *a)
{
    if (a->kind == EMP_ACTION_SEND)
        trace_send(w, a);
    else if (a->kind == EMP_ACTION_CLOSE)
        emp_buf_printf(&w->trace, "link %llu: closed, %.*s\n", (unsigned long long)a->close.link,
                       EMP_STR_FMT(a->close.reason));
    else if (a->kind == EMP_ACTION_PERSIST && w->show_persist)
        trace_change(w, &a->change);
    else if (a->kind == EMP_ACTION_NOTIFY)
        trace_notice(w, &a->notice);
    else if (a->kind == EMP_ACTION_REPLY && a->reply.reply.code)
        emp_buf_printf(&w->trace, "refused, %s\n", emp_error_name(a->reply.reply.code));
}

void world_step(struct world *w, const struct emp_event *e)
{
    emp_arena_reset(&w->step_arena);
    struct emp_actions out = {.arena = &w->step_arena};
    emp_core_step(w->core, w->now, e, &out);
    for (size_t i = 0; i < out.count; i++) {
        const struct emp_action *a = &out.items[i];
        if (a->kind == EMP_ACTION_PERSIST)
            persist(w, &a->change);
        if (a->kind == EMP_ACTION_REPLY)
            w->reply = a->reply.reply;
        trace(w, a);
        if (w->on_action)
            w->on_action(w, a);
    }
    const char *bad = emp_core_check(w->core, &w->step_arena);
    if (bad)
        fail_msg("invariant: %s\ntrace so far:\n%s", bad, w->trace.data ? w->trace.data : "");
}

void world_pass(struct world *w, int64_t ms)
{
    emp_mono_ms end = w->now.mono + ms;
    while (w->now.mono < end) {
        emp_mono_ms due = emp_core_next_due(w->core);
        emp_mono_ms next = due < end ? due : end;
        if (next <= w->now.mono)
            next = w->now.mono + 1;
        w->now.wall += next - w->now.mono;
        w->now.mono = next;
        world_step(w, &(struct emp_event){.kind = EMP_EVENT_TICK});
    }
}

void world_expect(struct world *w, const char *expected)
{
    assert_false(w->trace.failed);
    assert_string_equal(w->trace.data ? w->trace.data : "", expected);
    emp_buf_clear(&w->trace);
}

void world_quiet(struct world *w)
{
    emp_buf_clear(&w->trace);
}

/* ---- who speaks ---- */

struct emp_job_spec world_spec(const char *service)
{
    return (struct emp_job_spec){
        .service = emp_str_z(service), .priority = 50, .workflow_priority = NAN, .max_retries = -1};
}

emp_job_num world_submit(struct world *w, const struct emp_job_spec *s)
{
    w->reply = (struct emp_reply){.code = -1};
    struct emp_event e = {.kind = EMP_EVENT_SUBMIT, .request = 1};
    e.submit.spec = s;
    world_step(w, &e);
    return w->reply.code ? 0 : w->reply.job;
}

void world_message(struct world *w, emp_link link, const struct emp_message *m)
{
    struct emp_event e = {.kind = EMP_EVENT_MESSAGE};
    e.message.link = link;
    e.message.message = m;
    world_step(w, &e);
}

struct emp_machine_facts world_facts(const char *id, const char *pool, uint32_t slots)
{
    static struct emp_str services[] = {{"simulation", 10}, {"video", 5}};
    return (struct emp_machine_facts){
        .id = emp_str_z(id),
        .boot = EMP_STR("boot-1"),
        .pool = emp_str_z(pool),
        .services = services,
        .service_count = 2,
        .slots = slots,
        .disk_budget_bytes = 100LL << 30,
        .disk_free_bytes = 100LL << 30,
        .link_bytes_per_s = 50000000,
    };
}

void world_hello(struct world *w, emp_link link, const struct emp_machine_facts *f,
                 const struct emp_held *held, uint32_t held_count, const struct emp_copy *copies,
                 uint32_t copy_count)
{
    struct emp_message m = {.kind = EMP_MESSAGE_HELLO};
    m.hello.protocol = EMP_PROTOCOL_VERSION;
    m.hello.facts = *f;
    m.hello.held = (struct emp_held *)held;
    m.hello.held_count = held_count;
    m.hello.copies = (struct emp_copy *)copies;
    m.hello.copy_count = copy_count;
    world_message(w, link, &m);
}

void world_join(struct world *w, emp_link link, const char *id, const char *pool, uint32_t slots)
{
    struct emp_machine_facts f = world_facts(id, pool, slots);
    world_hello(w, link, &f, NULL, 0, NULL, 0);
}

void world_close(struct world *w, emp_link link)
{
    struct emp_event e = {.kind = EMP_EVENT_LINK_CLOSED};
    e.link = link;
    world_step(w, &e);
}

void world_beat(struct world *w, emp_link link)
{
    struct emp_message m = {.kind = EMP_MESSAGE_BEAT};
    m.beat.disk_free_bytes = 100LL << 30;
    world_message(w, link, &m);
}

void world_started(struct world *w, emp_link link, emp_job_num job, uint32_t attempt)
{
    struct emp_message m = {.kind = EMP_MESSAGE_STARTED};
    m.started.job = job;
    m.started.attempt = attempt;
    m.started.at = w->now.wall;
    world_message(w, link, &m);
}

void world_finished(struct world *w, emp_link link, enum emp_message_kind kind, emp_job_num job,
                    uint32_t attempt, int code, int64_t run_ms)
{
    struct emp_message m = {.kind = kind};
    m.finished.job = job;
    m.finished.attempt = attempt;
    m.finished.error_code = code;
    m.finished.error = code ? EMP_STR("it did not work") : (struct emp_str){0};
    m.finished.retryable = kind == EMP_MESSAGE_FAILED && code != EMP_E_JOB_REJECTED;
    m.finished.run_ms = run_ms;
    m.finished.ended_at = w->now.wall;
    m.finished.started_at = w->now.wall - run_ms;
    world_message(w, link, &m);
}

void world_model(struct world *w, const char *name, int64_t bytes, const char *category)
{
    static struct emp_str url[] = {{"http://127.0.0.1/model", 22}};
    struct emp_model m = {.name = emp_str_z(name),
                          .path = emp_str_z(name),
                          .category = emp_str_z(category),
                          .bytes = bytes,
                          .urls = url,
                          .url_count = 1};
    struct emp_event e = {.kind = EMP_EVENT_MODEL, .request = 1};
    e.model = &m;
    world_step(w, &e);
}

#include "sim/broker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HELLO_WAIT_MS = 10000, /* a connection that has not greeted by then is closed */
    LINK_OPEN = 1,
    LINK_GREETED = 2,
    PAYLOAD_MAX = 32,
};

struct emp_sim_batch {
    struct emp_sim_batch *next;
    struct emp_arena arena;
    struct emp_actions actions;
    uint32_t steps;
    uint64_t changes;
};

/* ---- batches ---- */

static struct emp_sim_batch *batch_new(struct emp_sim_broker *b)
{
    struct emp_sim_batch *x = b->spare;
    if (x == NULL) {
        x = emp_arena_new(&b->arena, struct emp_sim_batch);
        emp_arena_init(&x->arena, 1 << 16);
    } else {
        b->spare = x->next;
    }
    x->next = NULL;
    x->actions = (struct emp_actions){.arena = &x->arena};
    x->steps = 0;
    x->changes = 0;
    return x;
}

static void batch_free(struct emp_sim_broker *b, struct emp_sim_batch *x)
{
    emp_arena_reset(&x->arena);
    x->next = b->spare;
    b->spare = x;
}

/* ---- releasing ---- */

/* The shell joins the payload: here the work's number. */
static void send(struct emp_sim_broker *b, emp_link link, const struct emp_message *m)
{
    struct emp_message joined = *m;
    char payload[PAYLOAD_MAX], id[PAYLOAD_MAX];
    uint32_t number = 0;
    if (m->kind == EMP_MESSAGE_ASSIGN) {
        emp_map_get(&b->work_of_job, m->assign.job, &number);
        snprintf(payload, sizeof payload, "{\"work\":%u}", number);
        snprintf(id, sizeof id, "job-%llu", (unsigned long long)m->assign.job);
        joined.assign.payload = emp_str_z(payload);
        joined.assign.job_id = emp_str_z(id);
    }
    emp_sim_network_send_down(&b->system->network, link, &joined);
}

static void link_close(struct emp_sim_broker *b, emp_link link)
{
    emp_map_del(&b->links, link);
    emp_sim_network_broker_close(&b->system->network, link);
}

static void log_notice(struct emp_sim_broker *b, const struct emp_notice *n)
{
    static const enum emp_sim_trace_kind kinds[EMP_NOTICE_COUNT] = {
        [EMP_NOTICE_SUBMITTED] = EMP_SIM_TRACE_SUBMITTED,
        [EMP_NOTICE_ASSIGNED] = EMP_SIM_TRACE_ASSIGNED,
        [EMP_NOTICE_STARTED] = EMP_SIM_TRACE_STARTED,
        [EMP_NOTICE_REQUEUED] = EMP_SIM_TRACE_REQUEUED,
        [EMP_NOTICE_ENDED] = EMP_SIM_TRACE_ENDED,
    };
    int64_t last = n->code;
    if (n->kind == EMP_NOTICE_PROGRESS)
        return;
    if (n->kind == EMP_NOTICE_ASSIGNED || n->kind == EMP_NOTICE_STARTED)
        last = emp_sim_agent_number(b->system, n->machine);
    else if (n->kind == EMP_NOTICE_ENDED)
        last = n->state;
    emp_sim_log(&b->system->world, kinds[n->kind], EMP_SIM_BROKER, (int64_t)n->job, n->attempt,
                last);
}

/* A job's work is of no more use once its end is known; a durable broker may be asked again. */
static void forget_work(struct emp_sim_broker *b, emp_job_num job)
{
    uint32_t number;
    if (b->settings.durable || !emp_map_get(&b->work_of_job, job, &number))
        return;
    emp_map_del(&b->work_of_job, job);
    emp_slab_free(&b->works, number);
}

/* The planner sees the world as it is now; the core hears of it when the planner has done. */
static void plan(struct emp_sim_broker *b)
{
    struct emp_snapshot snapshot;
    struct emp_now now = emp_sim_broker_now(b);
    emp_arena_reset(&b->plan_arena);
    emp_core_snapshot(b->core, now, &b->plan_arena, &snapshot);
    if (b->settings.foretell)
        b->settings.foretell(b->settings.foretell_ctx, &b->plan_arena, &snapshot);
    b->plan_result = emp_arena_new(&b->plan_arena, struct emp_plan_result);
    emp_planner_run(b->planner, &snapshot, now.wall, &b->plan_arena, b->plan_result);
    emp_sim_timer_after(
        &b->system->world, &b->plan,
        emp_sim_between(&b->random, b->settings.plan_ms_min, b->settings.plan_ms_max));
}

static void release(struct emp_sim_broker *b, const struct emp_action *a)
{
    EMP_SIM_WATCH(b->system, released, a);
    switch (a->kind) {
    case EMP_ACTION_PERSIST:
        break;
    case EMP_ACTION_REPLY:
        if (a->reply.request)
            emp_sim_log(&b->system->world, EMP_SIM_TRACE_REPLY, EMP_SIM_BROKER,
                        (int64_t)a->reply.request, (int64_t)a->reply.reply.job,
                        a->reply.reply.code);
        break;
    case EMP_ACTION_SEND:
        send(b, a->send.link, &a->send.message);
        break;
    case EMP_ACTION_CLOSE:
        link_close(b, a->close.link);
        break;
    case EMP_ACTION_PLAN_DUE:
        plan(b);
        break;
    case EMP_ACTION_NOTIFY:
        log_notice(b, &a->notice);
        if (a->notice.kind == EMP_NOTICE_ENDED)
            forget_work(b, a->notice.job);
        break;
    }
}

static void release_all(struct emp_sim_broker *b, const struct emp_sim_batch *x)
{
    for (size_t i = 0; i < x->actions.count; i++)
        if (x->actions.items[i].kind != EMP_ACTION_PERSIST)
            release(b, &x->actions.items[i]);
}

/* ---- committing ---- */

static void make_durable(struct emp_sim_broker *b, const struct emp_sim_batch *x)
{
    for (size_t i = 0; i < x->actions.count; i++) {
        const struct emp_change *change = &x->actions.items[i].change;
        if (x->actions.items[i].kind != EMP_ACTION_PERSIST)
            continue;
        if (!emp_sim_store_apply(&b->store, change))
            emp_sim_violation(&b->system->world, "job %llu is changed before it was ever stored",
                              (unsigned long long)change->job.record.num);
        EMP_SIM_WATCH(b->system, committed, change);
    }
    b->commits++;
    emp_sim_log(&b->system->world, EMP_SIM_TRACE_COMMIT, EMP_SIM_BROKER, (int64_t)x->changes,
                (int64_t)(x->actions.count - x->changes), 0);
}

static void commit_begin(struct emp_sim_broker *b)
{
    const struct emp_sim_broker_settings *s = &b->settings;
    if (b->sealed == NULL || emp_sim_timer_is_set(&b->commit))
        return;
    int64_t ms = emp_sim_between(&b->random, s->commit_ms_min, s->commit_ms_max);
    if (s->slow_commits && emp_sim_chance(&b->random, s->slow_commits))
        ms = s->commit_slow_ms;
    emp_sim_timer_after(&b->system->world, &b->commit, b->sealed->changes ? ms : 0);
}

static void seal(struct emp_sim_broker *b)
{
    *b->sealed_end = b->gather;
    b->sealed_end = &b->gather->next;
    b->gather = batch_new(b);
    commit_begin(b);
}

static void committed(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_broker *b = ctx;
    struct emp_sim_batch *x = b->sealed;
    (void)w;
    make_durable(b, x);
    release_all(b, x);
    b->sealed = x->next;
    if (b->sealed == NULL)
        b->sealed_end = &b->sealed;
    batch_free(b, x);
    if (b->sealed)
        commit_begin(b);
    else if (b->gather->actions.count)
        seal(b);
}

/* ---- stepping ---- */

struct emp_now emp_sim_broker_now(const struct emp_sim_broker *b)
{
    const struct emp_sim_world *w = &b->system->world;
    return (struct emp_now){.mono = w->now + b->mono_offset,
                            .wall = w->epoch + w->now + b->wall_skew};
}

static void arm_tick(struct emp_sim_broker *b)
{
    emp_mono_ms due = emp_core_next_due(b->core);
    if (due != EMP_NEVER)
        due += emp_sim_between(&b->random, 0, b->settings.late_ms_max) - b->mono_offset;
    emp_sim_timer_set(&b->system->world, &b->tick, due);
}

static void check(struct emp_sim_broker *b)
{
    struct emp_arena scratch;
    emp_arena_init(&scratch, 4096);
    const char *bad = emp_core_check(b->core, &scratch);
    if (bad)
        emp_sim_violation(&b->system->world, "core: %s", bad);
    emp_arena_release(&scratch);
}

static void count(struct emp_sim_broker *b, size_t from)
{
    const struct emp_actions *out = &b->gather->actions;
    for (size_t i = from; i < out->count; i++) {
        if (out->items[i].kind != EMP_ACTION_PERSIST)
            continue;
        b->gather->changes++;
        const struct emp_change *c = &out->items[i].change;
        if (c->kind == EMP_CHANGE_JOB && c->job.spec)
            emp_map_put(&b->work_of_job, c->job.record.num, (uint32_t)c->job.body);
    }
}

static void step(struct emp_sim_broker *b, const struct emp_event *e)
{
    struct emp_sim_batch *x = b->gather;
    size_t before = x->actions.count;
    assert(!b->stepping);
    b->stepping = true;
    EMP_SIM_WATCH(b->system, core_event, e, emp_sim_broker_now(b));
    emp_core_step(b->core, emp_sim_broker_now(b), e, &x->actions);
    b->steps++;
    x->steps++;
    count(b, before);
    if (b->settings.check)
        check(b);
    EMP_SIM_WATCH(b->system, core_stepped, e, x->actions.items + before, x->actions.count - before);
    b->stepping = false;
    arm_tick(b);
    if (!b->settings.durable) {
        release_all(b, x);
        emp_arena_reset(&x->arena);
        x->actions = (struct emp_actions){.arena = &x->arena};
        x->changes = 0;
        return;
    }
    bool full = b->settings.batch_steps_max && x->steps >= b->settings.batch_steps_max;
    if (x->actions.count && (full || b->sealed == NULL))
        seal(b);
}

static void planned(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_broker *b = ctx;
    emp_sim_log(w, EMP_SIM_TRACE_PLANNED, EMP_SIM_BROKER, b->plan_result->plan.want_count,
                b->plan_result->plan.move_count, 0);
    step(b, &(struct emp_event){.kind = EMP_EVENT_PLAN, .plan = b->plan_result});
}

static void ticked(struct emp_sim_world *w, void *ctx)
{
    (void)w;
    step(ctx, &(struct emp_event){.kind = EMP_EVENT_TICK});
}

/* ---- agents' links ---- */

static void greet_check(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_broker *b = ctx;
    uint32_t state;
    bool left = false;
    (void)w;
    for (emp_link l = 1; l <= b->system->network.last; l++) {
        if (!emp_map_get(&b->links, l, &state) || state >= LINK_GREETED)
            continue;
        if (b->system->world.now - emp_sim_network_opened_at(&b->system->network, l) >=
            HELLO_WAIT_MS)
            link_close(b, l);
        else
            left = true;
    }
    if (left)
        emp_sim_timer_after(&b->system->world, &b->greet, 1000);
}

void emp_sim_broker_opened(struct emp_sim_broker *b, emp_link link)
{
    emp_map_put(&b->links, link, LINK_OPEN);
    if (!emp_sim_timer_is_set(&b->greet))
        emp_sim_timer_after(&b->system->world, &b->greet, HELLO_WAIT_MS);
}

void emp_sim_broker_message(struct emp_sim_broker *b, emp_link link, const struct emp_message *m)
{
    struct emp_event e = {.kind = EMP_EVENT_MESSAGE, .message = {.link = link, .message = m}};
    if (b->core == NULL || !emp_map_get(&b->links, link, NULL))
        return;
    if (m->kind == EMP_MESSAGE_HELLO)
        emp_map_put(&b->links, link, LINK_GREETED);
    if (m->kind == EMP_MESSAGE_COMPLETED) /* the result's token tells which attempt made it */
        e.message.result = m->finished.job << 24 | m->finished.attempt;
    step(b, &e);
}

void emp_sim_broker_closed(struct emp_sim_broker *b, emp_link link)
{
    uint32_t state;
    if (b->core == NULL || !emp_map_get(&b->links, link, &state))
        return;
    emp_map_del(&b->links, link);
    if (state == LINK_GREETED)
        step(b, &(struct emp_event){.kind = EMP_EVENT_LINK_CLOSED, .link = link});
}

/* ---- life ---- */

struct emp_sim_broker *emp_sim_broker_new(struct emp_sim_system *s,
                                          const struct emp_sim_broker_settings *settings)
{
    struct emp_arena arena;
    emp_arena_init(&arena, 1 << 16);
    struct emp_sim_broker *b = emp_arena_new(&arena, struct emp_sim_broker);
    b->arena = arena;
    b->system = s;
    b->settings = *settings;
    emp_sim_random(&s->world, "broker", 0, &b->random);
    emp_sim_store_init(&b->store);
    emp_slab_init(&b->works, &b->arena, sizeof(struct emp_sim_work));
    emp_map_init(&b->work_of_job, &b->arena);
    emp_map_init(&b->links, &b->arena);
    emp_sim_timer_init(&b->tick, ticked, b);
    emp_sim_timer_init(&b->commit, committed, b);
    emp_sim_timer_init(&b->greet, greet_check, b);
    emp_sim_timer_init(&b->plan, planned, b);
    emp_arena_init(&b->plan_arena, 1 << 16);
    b->sealed_end = &b->sealed;
    b->gather = batch_new(b);
    s->broker = b;
    return b;
}

void emp_sim_broker_release(struct emp_sim_broker *b)
{
    struct emp_sim_batch *lists[] = {b->gather, b->sealed, b->spare};
    emp_core_free(b->core);
    emp_planner_free(b->planner);
    emp_arena_release(&b->plan_arena);
    emp_sim_store_release(&b->store);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (struct emp_sim_batch *x = lists[i]; x; x = x->next)
            emp_arena_release(&x->arena);
    struct emp_arena arena = b->arena;
    emp_arena_release(&arena);
}

static void restored(void *ctx, const struct emp_change *change)
{
    struct emp_sim_broker *b = ctx;
    const struct emp_change_learned *l = &change->learned;
    if (b->planner && change->kind == EMP_CHANGE_LEARNED)
        emp_planner_load(b->planner, l->key, l->bytes, l->length);
    emp_core_restore(b->core, change); /* leaves what is the planner's */
}

void emp_sim_broker_start(struct emp_sim_broker *b)
{
    const struct emp_core_stats none = {0};
    struct emp_core_stats stats = none;
    assert(b->core == NULL);
    b->starts++;
    b->mono_offset = 1000 + (int64_t)emp_random_below(&b->random, 100000);
    b->core = emp_core_new(b->settings.core, b->settings.policy,
                           emp_mix64(b->system->world.seed + b->starts));
    if (b->settings.core->intelligence.on)
        b->planner = emp_planner_new(NULL);
    emp_sim_store_restore(&b->store, restored, b);
    emp_core_start(b->core, emp_sim_broker_now(b), b->store.last_num);
    emp_core_stats(b->core, &stats);
    emp_sim_log(&b->system->world, EMP_SIM_TRACE_BROKER_UP, EMP_SIM_BROKER,
                (int64_t)(stats.pending + stats.running), 0, 0);
    EMP_SIM_WATCH0(b->system, broker_up);
    arm_tick(b);
}

static void batches_drop(struct emp_sim_broker *b)
{
    while (b->sealed) {
        struct emp_sim_batch *x = b->sealed;
        b->sealed = x->next;
        batch_free(b, x);
    }
    b->sealed_end = &b->sealed;
    batch_free(b, b->gather);
    b->gather = batch_new(b);
}

void emp_sim_broker_crash(struct emp_sim_broker *b, bool durable)
{
    struct emp_sim_world *w = &b->system->world;
    uint64_t lost = b->gather->changes;
    assert(b->core && b->settings.durable && !b->stepping);
    if (durable && b->sealed)
        make_durable(b, b->sealed);
    for (const struct emp_sim_batch *x = b->sealed; x; x = x->next)
        lost += durable && x == b->sealed ? 0 : x->changes;
    emp_sim_log(w, EMP_SIM_TRACE_BROKER_CRASH, EMP_SIM_BROKER, (int64_t)lost, 0, 0);
    emp_core_free(b->core);
    b->core = NULL;
    emp_planner_free(b->planner);
    b->planner = NULL;
    batches_drop(b);
    emp_sim_timer_cancel(w, &b->tick);
    emp_sim_timer_cancel(w, &b->commit);
    emp_sim_timer_cancel(w, &b->greet);
    emp_sim_timer_cancel(w, &b->plan);
    emp_map_init(&b->links, &b->arena);
    EMP_SIM_WATCH0(b->system, broker_down);
    emp_sim_network_broker_gone(&b->system->network);
}

void emp_sim_broker_jump(struct emp_sim_broker *b, int64_t ms)
{
    b->wall_skew += ms;
    emp_sim_log(&b->system->world, EMP_SIM_TRACE_CLOCK_JUMP, EMP_SIM_BROKER, ms, 0, 0);
}

bool emp_sim_broker_is_up(const struct emp_sim_broker *b)
{
    return b->core != NULL;
}

/* ---- works ---- */

uint32_t emp_sim_work_new(struct emp_sim_broker *b, const struct emp_sim_work *work)
{
    uint32_t number;
    struct emp_sim_work *w = emp_slab_new(&b->works, &number);
    *w = *work;
    w->submitted_at = b->system->world.now;
    return number;
}

struct emp_sim_work *emp_sim_work_at(const struct emp_sim_broker *b, uint32_t number)
{
    return emp_slab_at(&b->works, number);
}

struct emp_sim_work *emp_sim_work_of(const struct emp_sim_broker *b,
                                     const struct emp_message_assign *assign)
{
    static const char start[] = "{\"work\":";
    unsigned long number = 0;
    if (assign->payload.len > sizeof start - 1 &&
        memcmp(assign->payload.ptr, start, sizeof start - 1) == 0)
        number = strtoul(assign->payload.ptr + sizeof start - 1, NULL, 10);
    return number && number <= b->works.high ? emp_slab_at(&b->works, (uint32_t)number) : NULL;
}

struct emp_sim_work *emp_sim_work_of_job(const struct emp_sim_broker *b, emp_job_num job)
{
    uint32_t number;
    return emp_map_get(&b->work_of_job, job, &number) ? emp_slab_at(&b->works, number) : NULL;
}

/* ---- requests ---- */

void emp_sim_broker_submit(struct emp_sim_broker *b, emp_request request, uint32_t work)
{
    const struct emp_sim_work *x = emp_sim_work_at(b, work);
    struct emp_event e = {.kind = EMP_EVENT_SUBMIT, .request = request};
    if (b->core == NULL)
        return;
    e.submit.spec = &x->spec;
    e.submit.body = work;
    step(b, &e);
}

void emp_sim_broker_cancel(struct emp_sim_broker *b, emp_request request, emp_job_num job)
{
    if (b->core)
        step(b, &(struct emp_event){.kind = EMP_EVENT_CANCEL, .request = request, .job = job});
}

void emp_sim_broker_retry(struct emp_sim_broker *b, emp_request request, emp_job_num job)
{
    const struct emp_sim_stored_job *stored = emp_sim_store_job(&b->store, job);
    struct emp_event e = {.kind = EMP_EVENT_RETRY, .request = request};
    if (b->core == NULL || stored == NULL)
        return;
    e.retry.record = &stored->record;
    e.retry.spec = stored->spec;
    step(b, &e);
}

void emp_sim_broker_model(struct emp_sim_broker *b, emp_request request,
                          const struct emp_model *model)
{
    struct emp_event e = {.kind = EMP_EVENT_MODEL, .request = request};
    e.model = model;
    if (b->core)
        step(b, &e);
}

static void on_machine(struct emp_sim_broker *b, enum emp_event_kind kind, emp_request request,
                       struct emp_str machine, bool on)
{
    struct emp_event e = {.kind = kind, .request = request};
    e.machine.id = machine;
    e.machine.on = e.machine.leave = on;
    if (b->core)
        step(b, &e);
}

void emp_sim_broker_drain(struct emp_sim_broker *b, emp_request request, struct emp_str machine,
                          bool on)
{
    on_machine(b, EMP_EVENT_MACHINE_DRAIN, request, machine, on);
}

void emp_sim_broker_forget(struct emp_sim_broker *b, emp_request request, struct emp_str machine)
{
    on_machine(b, EMP_EVENT_MACHINE_FORGET, request, machine, false);
}

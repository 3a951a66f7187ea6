#include "sim/agent_internal.h"

#include <assert.h>
#include <stdio.h>

/* ---- stepping the brain ---- */

struct emp_now emp_sim_agent_now(const struct emp_sim_agent *a)
{
    const struct emp_sim_world *w = &a->system->world;
    return (struct emp_now){.mono = w->now + a->mono_offset,
                            .wall = w->epoch + w->now + a->wall_skew};
}

bool emp_sim_agent_defer(struct emp_sim_agent *a, struct emp_sim_timer *t)
{
    if (a->hung_until == 0)
        return false;
    emp_sim_timer_set(&a->system->world, t, a->hung_until);
    return true;
}

static void gone(struct emp_sim_agent *a);

static void exits(struct emp_sim_agent *a, int code)
{
    struct emp_sim_system *s = a->system;
    emp_sim_log(&s->world, EMP_SIM_TRACE_EXIT, (int32_t)a->index, code, 0, 0);
    gone(a);
    emp_sim_network_agent_gone(&s->network, a->index, false);
    if (s->behaviour.exited)
        s->behaviour.exited(s->behaviour.ctx, a, code);
}

static void redial(struct emp_sim_agent *a)
{
    emp_sim_timer_after(
        &a->system->world, &a->dial,
        emp_sim_between(&a->random, a->settings.reconnect_ms_min, a->settings.reconnect_ms_max));
}

/* True: go on with the next action. */
static bool carry_out(struct emp_sim_agent *a, const struct emp_machine_action *x)
{
    struct emp_sim_system *s = a->system;
    int32_t who = (int32_t)a->index;
    switch (x->kind) {
    case EMP_MACHINE_SEND:
        emp_sim_network_send_up(&s->network, a->index, &x->send);
        break;
    case EMP_MACHINE_FETCH:
        emp_sim_fetch_begin(a, x->fetch.model, x->fetch.kept_bytes);
        break;
    case EMP_MACHINE_FETCH_CANCEL:
        emp_sim_fetch_cancel(a, x->fetch_cancel.model);
        break;
    case EMP_MACHINE_LOAD:
        emp_sim_load_begin(a, x->load.model, x->load.to);
        break;
    case EMP_MACHINE_LOAD_CANCEL:
        emp_sim_load_cancel(a);
        break;
    case EMP_MACHINE_DELETE:
        emp_sim_delete(a, x->del.model, x->del.half);
        break;
    case EMP_MACHINE_RUN:
        emp_sim_run_begin(a, x->run);
        break;
    case EMP_MACHINE_STOP:
        emp_sim_log(&s->world, EMP_SIM_TRACE_STOP, who, (int64_t)x->stop.job, x->stop.attempt,
                    x->stop.reason);
        emp_sim_run_stop(a, x->stop.job, x->stop.attempt);
        break;
    case EMP_MACHINE_WATCHDOG:
        emp_sim_log(&s->world, EMP_SIM_TRACE_WATCHDOG, who, (int64_t)x->lease.job, x->lease.attempt,
                    0);
        emp_sim_run_abandon(a, x->lease.job, x->lease.attempt);
        break;
    case EMP_MACHINE_FORGET:
        break; /* scratch files: there are none */
    case EMP_MACHINE_RECONNECT:
        emp_sim_network_agent_close(&s->network, a->index);
        redial(a);
        break;
    case EMP_MACHINE_EXIT:
        exits(a, x->exit.code);
        return false;
    case EMP_MACHINE_ACTION_COUNT:
        break;
    }
    return true;
}

static void arm_tick(struct emp_sim_agent *a)
{
    emp_mono_ms due = emp_machine_next_due(a->brain);
    if (due != EMP_NEVER)
        due += emp_sim_between(&a->random, 0, a->settings.late_ms_max) - a->mono_offset;
    emp_sim_timer_set(&a->system->world, &a->tick, due);
}

void emp_sim_agent_step(struct emp_sim_agent *a, const struct emp_machine_event *e)
{
    assert(a->brain && a->hung_until == 0 && !a->stepping);
    a->stepping = true;
    emp_arena_reset(&a->step_arena);
    a->actions = (struct emp_machine_actions){.arena = &a->step_arena};
    EMP_SIM_WATCH(a->system, machine_event, a, e);
    emp_machine_step(a->brain, emp_sim_agent_now(a), e, &a->actions);
    a->stepping = false;
    for (uint32_t i = 0; i < a->actions.count; i++) {
        EMP_SIM_WATCH(a->system, machine_action, a, &a->actions.items[i]);
        if (!carry_out(a, &a->actions.items[i]))
            return;
    }
    EMP_SIM_WATCH(a->system, machine_stepped, a);
    arm_tick(a);
}

static void ticked(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_agent *a = ctx;
    (void)w;
    if (!emp_sim_agent_defer(a, &a->tick))
        emp_sim_agent_step(a, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_TICK});
}

/* ---- the link ---- */

static void dials(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_agent *a = ctx;
    (void)w;
    if (!emp_sim_agent_defer(a, &a->dial))
        emp_sim_network_connect(&a->system->network, a->index);
}

void emp_sim_agent_opened(struct emp_sim_agent *a)
{
    if (a->hung_until) { /* it answers nobody: by the time it wakes, this is over */
        emp_sim_network_agent_close(&a->system->network, a->index);
        redial(a);
        return;
    }
    emp_sim_agent_step(a, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_LINK_UP});
}

void emp_sim_agent_refused(struct emp_sim_agent *a)
{
    redial(a);
}

void emp_sim_agent_message(struct emp_sim_agent *a, const struct emp_message *m)
{
    emp_sim_agent_step(
        a, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_MESSAGE, .message = m});
}

static void told_closed(struct emp_sim_agent *a)
{
    emp_sim_agent_step(a, &(struct emp_machine_event){.kind = EMP_MACHINE_EVENT_LINK_DOWN});
    if (a->brain)
        redial(a);
}

void emp_sim_agent_closed(struct emp_sim_agent *a)
{
    if (a->hung_until)
        a->closed_while_hung = true;
    else
        told_closed(a);
}

void emp_sim_agent_say(struct emp_sim_agent *a, const struct emp_message *m)
{
    emp_sim_network_send_up(&a->system->network, a->index, m);
}

/* ---- life ---- */

static void wakes(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_agent *a = ctx;
    (void)w;
    a->hung_until = 0;
    if (a->closed_while_hung) {
        a->closed_while_hung = false;
        told_closed(a);
    } else {
        emp_sim_network_wake(&a->system->network, a->index);
    }
}

struct emp_sim_agent *emp_sim_agent_add(struct emp_sim_system *s,
                                        const struct emp_sim_agent_settings *settings)
{
    struct emp_arena *arena = &s->world.arena;
    struct emp_sim_agent *a = emp_arena_new(arena, struct emp_sim_agent);
    a->system = s;
    a->index = s->agent_count;
    a->settings = *settings;
    a->slowness = 1;
    emp_sim_random(&s->world, "agent", a->index, &a->random);
    emp_arena_init(&a->step_arena, 4096);
    emp_sim_timer_init(&a->tick, ticked, a);
    emp_sim_timer_init(&a->dial, dials, a);
    emp_sim_timer_init(&a->wake, wakes, a);
    emp_sim_transfer_init(a);
    emp_sim_load_init(a);
    emp_sim_network_add(&s->network);
    size_t count = s->agent_count;
    emp_arena_reserve(arena, s->agents, count, s->agent_cap);
    s->agents[s->agent_count++] = a;
    uint32_t name = emp_intern(&s->machine_names, settings->facts.id);
    assert(name == s->agent_count);
    (void)name;
    return a;
}

void emp_sim_agent_release(struct emp_sim_agent *a)
{
    emp_machine_free(a->brain);
    emp_arena_release(&a->step_arena);
}

void emp_sim_agent_start(struct emp_sim_agent *a)
{
    struct emp_sim_system *s = a->system;
    struct emp_machine_settings brain = a->settings.brain;
    assert(a->brain == NULL && !a->gone);
    a->boots++;
    snprintf(a->boot_name, sizeof a->boot_name, "boot-%u", a->boots);
    a->facts = a->settings.facts;
    a->facts.boot = emp_str_z(a->boot_name);
    a->mono_offset = 1000 + (int64_t)emp_random_below(&a->random, 100000);
    brain.facts = &a->facts;
    a->brain = emp_machine_new(&brain);
    uint32_t whole = 0;
    for (size_t i = 0; i < a->file_cap; i++)
        whole += a->files[i].state == EMP_SIM_FILE_WHOLE;
    emp_sim_log(&s->world, EMP_SIM_TRACE_BOOT, (int32_t)a->index, a->boots, whole, 0);
    EMP_SIM_WATCH(s, agent_up, a);
    emp_sim_inventory(a);
    emp_sim_network_connect(&s->network, a->index);
}

/* The process is no more: nothing of it is answered, what it wrote stays. */
static void gone(struct emp_sim_agent *a)
{
    struct emp_sim_world *w = &a->system->world;
    EMP_SIM_WATCH(a->system, agent_down, a);
    emp_machine_free(a->brain);
    a->brain = NULL;
    a->hung_until = 0;
    a->loading = 0;
    a->closed_while_hung = false;
    struct emp_sim_timer *timers[] = {&a->tick, &a->dial, &a->wake, &a->load};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++)
        emp_sim_timer_cancel(w, timers[i]);
    emp_sim_transfers_drop(a);
    emp_sim_runs_drop(a);
}

void emp_sim_agent_kill(struct emp_sim_agent *a, bool silent)
{
    if (a->brain == NULL)
        return;
    emp_sim_log(&a->system->world, silent ? EMP_SIM_TRACE_VANISH : EMP_SIM_TRACE_DIE,
                (int32_t)a->index, 0, 0, 0);
    gone(a);
    emp_sim_network_agent_gone(&a->system->network, a->index, silent);
}

void emp_sim_agent_shutdown(struct emp_sim_agent *a, bool drain, const char *reason)
{
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_SHUTDOWN};
    if (a->brain == NULL || a->hung_until)
        return;
    e.shutdown.drain = drain;
    e.shutdown.reason = emp_str_z(reason);
    emp_sim_log(&a->system->world, EMP_SIM_TRACE_NOTICE, (int32_t)a->index, drain, 0, 0);
    emp_sim_agent_step(a, &e);
}

void emp_sim_agent_hang(struct emp_sim_agent *a, int64_t ms)
{
    if (a->brain == NULL || a->hung_until)
        return;
    emp_sim_log(&a->system->world, EMP_SIM_TRACE_HANG, (int32_t)a->index, ms, 0, 0);
    a->hung_until = a->system->world.now + ms;
    emp_sim_timer_set(&a->system->world, &a->wake, a->hung_until);
    emp_sim_network_sleep(&a->system->network, a->index);
}

void emp_sim_agent_jump(struct emp_sim_agent *a, int64_t ms)
{
    a->wall_skew += ms;
    emp_sim_log(&a->system->world, EMP_SIM_TRACE_CLOCK_JUMP, (int32_t)a->index, ms, 0, 0);
}

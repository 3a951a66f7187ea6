/* What an agent does to its machine: runs, files, bytes. The truth is the simulated disk and the
 * simulated connectors, not what the brain believes. */
#include "sim/check/scene.h"

enum { LATE_MS = 50 };

static emp_mono_ms now(const struct emp_sim_oracle *o)
{
    return o->scene->system.world.now;
}

static struct emp_sim_oracle_run *run_of(struct emp_sim_oracle *o, emp_job_num job,
                                         uint32_t attempt, uint32_t machine)
{
    for (size_t i = 0; i < o->run_count; i++)
        if (o->runs[i].job == job && o->runs[i].attempt == attempt && o->runs[i].machine == machine)
            return &o->runs[i];
    return NULL;
}

static uint32_t running_on(const struct emp_sim_oracle *o, uint32_t machine)
{
    uint32_t n = 0;
    for (size_t i = 0; i < o->run_count; i++)
        n += o->runs[i].machine == machine;
    return n;
}

/* ---- runs ---- */

static void check_models(struct emp_sim_oracle *o, struct emp_sim_agent *a,
                         const struct emp_sim_oracle_run *r, const struct emp_sim_oracle_attempt *t)
{
    const struct emp_sim_kind *k = &o->scene->plan.kinds[r->kind];
    for (uint32_t i = 0; i < k->spec.model_count; i++) {
        const struct emp_sim_file *f = emp_sim_agent_file(a, k->models[i]);
        if (f->state != EMP_SIM_FILE_WHOLE || f->deleting)
            emp_sim_oracle_wrong(o, "m%u runs %llu.%u without model %u whole on its disk", a->index,
                                 (unsigned long long)r->job, r->attempt, k->models[i]);
        else if (f->version < t->versions[k->models[i]])
            emp_sim_oracle_wrong(o, "m%u runs %llu.%u on version %u of model %u, not %u", a->index,
                                 (unsigned long long)r->job, r->attempt, f->version, k->models[i],
                                 t->versions[k->models[i]]);
    }
}

static void on_run(struct emp_sim_oracle *o, struct emp_sim_agent *a,
                   const struct emp_message_assign *assign)
{
    const struct emp_sim_work *w = emp_sim_work_of(o->scene->system.broker, assign);
    const struct emp_sim_network_settings *n = &o->scene->plan.network;
    struct emp_sim_oracle_attempt *t =
        emp_sim_oracle_attempt(o, assign->job, assign->attempt, false);
    if (w == NULL || t == NULL || !t->sent || t->machine != a->index) {
        emp_sim_oracle_wrong(o, "m%u runs %llu.%u, which was never assigned to it", a->index,
                             (unsigned long long)assign->job, assign->attempt);
        return;
    }
    if (t->ran && n->doubled + n->swapped == 0)
        emp_sim_oracle_wrong(o, "m%u runs %llu.%u twice", a->index, (unsigned long long)assign->job,
                             assign->attempt);
    t->ran = true;
    if (running_on(o, a->index) >= a->facts.slots)
        emp_sim_oracle_wrong(o, "m%u runs more jobs than it has slots", a->index);
    if (!emp_sim_oracle_meets(o, w->kind, a->index))
        emp_sim_oracle_wrong(o, "m%u runs %llu.%u and does not meet what it asks", a->index,
                             (unsigned long long)assign->job, assign->attempt);
    emp_arena_reserve(&o->arena, o->runs, o->run_count, o->run_cap);
    struct emp_sim_oracle_run *r = &o->runs[o->run_count++];
    *r = (struct emp_sim_oracle_run){.job = assign->job,
                                     .attempt = assign->attempt,
                                     .machine = a->index,
                                     .kind = w->kind,
                                     .timeout_ms = assign->timeout_ms,
                                     .limit_at = now(o) + assign->timeout_ms};
    check_models(o, a, r, t);
}

static void on_stop(struct emp_sim_oracle *o, const struct emp_sim_agent *a,
                    const struct emp_machine_action *x)
{
    struct emp_sim_oracle_run *r = run_of(o, x->stop.job, x->stop.attempt, a->index);
    if (r == NULL)
        return;
    if (x->stop.reason == EMP_STOP_TIMEOUT && now(o) < r->limit_at)
        emp_sim_oracle_wrong(o, "m%u stops %llu.%u, which has %lld ms left", a->index,
                             (unsigned long long)r->job, r->attempt,
                             (long long)(r->limit_at - now(o)));
    if (x->stop.reason == EMP_STOP_TIMEOUT &&
        now(o) > r->limit_at + a->settings.late_ms_max + LATE_MS &&
        o->machines[a->index].trouble_at < r->limit_at)
        emp_sim_oracle_wrong(o, "m%u stops %llu.%u %lld ms late", a->index,
                             (unsigned long long)r->job, r->attempt,
                             (long long)(now(o) - r->limit_at));
    r->stopping = true;
}

void emp_sim_oracle_run_ended(void *ctx, struct emp_sim_agent *a, emp_job_num job, uint32_t attempt,
                              int code)
{
    struct emp_sim_oracle *o = ctx;
    struct emp_sim_oracle_run *r = run_of(o, job, attempt, a->index);
    struct emp_sim_oracle_attempt *t = emp_sim_oracle_attempt(o, job, attempt, false);
    if (r == NULL || t == NULL)
        return;
    t->completed |= code == 0;
    t->ended_at = now(o);
    *r = o->runs[--o->run_count];
}

/* ---- files ---- */

static void on_delete(struct emp_sim_oracle *o, const struct emp_sim_agent *a, struct emp_str model)
{
    uint32_t number = emp_sim_model_find(&o->scene->system, model);
    for (size_t i = 0; i < o->run_count; i++) {
        const struct emp_sim_oracle_run *r = &o->runs[i];
        const struct emp_sim_kind *k = &o->scene->plan.kinds[r->kind];
        for (uint32_t n = 0; r->machine == a->index && n < k->spec.model_count; n++)
            if (k->models[n] == number)
                emp_sim_oracle_wrong(o, "m%u deletes model %u, which %llu.%u uses", a->index,
                                     number, (unsigned long long)r->job, r->attempt);
    }
}

static int64_t bytes_to_come(struct emp_sim_agent *a)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < a->file_cap; i++)
        if (a->files[i].fetch)
            bytes += a->files[i].whole_bytes - a->files[i].bytes;
    return bytes;
}

/* ---- events and steps ---- */

/* What the agent is given and what is taken from it: from these it must tell what it holds. */
static void on_message(struct emp_sim_oracle *o, const struct emp_sim_agent *a,
                       const struct emp_message *m)
{
    struct emp_sim_oracle_attempt *t;
    if (m->kind == EMP_MESSAGE_ASSIGN) {
        for (uint32_t older = 1; older < m->assign.attempt; older++)
            if ((t = emp_sim_oracle_attempt(o, m->assign.job, older, false)))
                t->boot = 0;
        emp_sim_oracle_attempt(o, m->assign.job, m->assign.attempt, true)->boot = a->boots;
    } else if (m->kind == EMP_MESSAGE_CANCEL || m->kind == EMP_MESSAGE_ACK) {
        struct emp_sim_oracle_run *r = run_of(o, m->lease.job, m->lease.attempt, a->index);
        if (r && m->kind == EMP_MESSAGE_CANCEL)
            r->cancelled = true;
        if ((t = emp_sim_oracle_attempt(o, m->lease.job, m->lease.attempt, false)))
            t->boot = 0;
    }
}

static void on_hello(struct emp_sim_oracle *o, const struct emp_sim_agent *a,
                     const struct emp_message_hello *h)
{
    uint32_t mine = 0, told = 0;
    const struct emp_sim_network_settings *n = &o->scene->plan.network;
    for (size_t i = 0; i < o->attempt_count; i++)
        mine += o->attempts[i].machine == a->index && o->attempts[i].boot == a->boots;
    for (uint32_t i = 0; i < h->held_count; i++) {
        const struct emp_sim_oracle_attempt *t =
            emp_sim_oracle_attempt(o, h->held[i].job, h->held[i].attempt, false);
        told += t && t->machine == a->index && t->boot == a->boots;
    }
    if (told != mine && n->doubled + n->swapped == 0)
        emp_sim_oracle_wrong(o, "m%u holds %u attempts, and tells of %u", a->index, mine, told);
}

void emp_sim_oracle_machine_event(void *ctx, struct emp_sim_agent *a,
                                  const struct emp_machine_event *e)
{
    struct emp_sim_oracle *o = ctx;
    if (e->kind == EMP_MACHINE_EVENT_LINK_UP || e->kind == EMP_MACHINE_EVENT_LINK_DOWN ||
        e->kind == EMP_MACHINE_EVENT_INVENTORY)
        emp_sim_oracle_disturbed(o, a->index, 0);
    if (e->kind == EMP_MACHINE_EVENT_MESSAGE)
        on_message(o, a, e->message);
    if (e->kind != EMP_MACHINE_EVENT_RUN_STARTED && e->kind != EMP_MACHINE_EVENT_RUN_STORING)
        return;
    struct emp_sim_oracle_run *r = run_of(o, e->run_started.job, e->run_started.attempt, a->index);
    if (r)
        r->limit_at = e->kind == EMP_MACHINE_EVENT_RUN_STARTED ? now(o) + r->timeout_ms : EMP_NEVER;
}

void emp_sim_oracle_machine_action(void *ctx, struct emp_sim_agent *a,
                                   const struct emp_machine_action *x)
{
    struct emp_sim_oracle *o = ctx;
    if (x->kind == EMP_MACHINE_RUN)
        on_run(o, a, x->run);
    else if (x->kind == EMP_MACHINE_STOP)
        on_stop(o, a, x);
    else if (x->kind == EMP_MACHINE_DELETE)
        on_delete(o, a, x->del.model);
    else if (x->kind == EMP_MACHINE_SEND && x->send.kind == EMP_MESSAGE_HELLO)
        on_hello(o, a, &x->send.hello);
}

void emp_sim_oracle_machine_stepped(void *ctx, struct emp_sim_agent *a)
{
    struct emp_sim_oracle *o = ctx;
    struct emp_arena scratch;
    int64_t bytes = a->disk_bytes + bytes_to_come(a);
    if (bytes > a->facts.disk_budget_bytes)
        emp_sim_oracle_wrong(o, "m%u has a budget of %lld bytes for models and takes %lld",
                             a->index, (long long)a->facts.disk_budget_bytes, (long long)bytes);
    for (size_t i = 0; i < o->run_count; i++) {
        const struct emp_sim_oracle_run *r = &o->runs[i];
        if (r->machine == a->index && !r->stopping && r->limit_at != EMP_NEVER &&
            now(o) > r->limit_at + a->settings.late_ms_max + LATE_MS)
            emp_sim_oracle_wrong(o, "m%u lets %llu.%u run past its limit", a->index,
                                 (unsigned long long)r->job, r->attempt);
        if (r->machine == a->index && r->cancelled && !r->stopping)
            emp_sim_oracle_wrong(o, "m%u was told to stop %llu.%u, and does not", a->index,
                                 (unsigned long long)r->job, r->attempt);
    }
    if (o->outside_only)
        return;
    emp_arena_init(&scratch, 4096);
    const char *bad = emp_machine_check(a->brain, &scratch);
    if (bad)
        emp_sim_oracle_wrong(o, "m%u: %s", a->index, bad);
    emp_arena_release(&scratch);
}

void emp_sim_oracle_agent_down(void *ctx, struct emp_sim_agent *a)
{
    struct emp_sim_oracle *o = ctx;
    emp_sim_oracle_disturbed(o, a->index, 0);
    for (size_t i = o->run_count; i-- > 0;)
        if (o->runs[i].machine == a->index)
            o->runs[i] = o->runs[--o->run_count];
}

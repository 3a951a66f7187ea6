/* Model files and what moves them. All fetches whose bytes flow share the machine's link equally;
 * whenever their number changes, what has come so far is booked and the next end is computed anew.
 * Whole bytes and milliseconds only.
 *
 * A fetch that is under way has its file half on the disk; the process may die at any byte. */
#include "sim/agent_internal.h"

#include <assert.h>

enum { DELETE_MS = 20, CANCEL_MS = 5 };

struct emp_sim_fetch {
    struct emp_sim_fetch *next;
    struct emp_sim_agent *agent;
    uint32_t model, version; /* version of the content asked for */
    int64_t whole_bytes;
    struct emp_sim_fetch_plan plan;
    bool flows, ended;
    int code;                   /* that it ends with */
    struct emp_sim_timer timer; /* set-up, then the end's answer */
    emp_mono_ms told_at;
};

struct emp_sim_deletion {
    struct emp_sim_agent *agent;
    uint32_t model;
    struct emp_sim_timer timer;
    struct emp_sim_deletion *next;
};

/* ---- files ---- */

struct emp_sim_file *emp_sim_agent_file(struct emp_sim_agent *a, uint32_t model)
{
    emp_arena_reach(&a->system->world.arena, a->files, model, a->file_cap, 32);
    return &a->files[model];
}

static void file_set(struct emp_sim_agent *a, uint32_t model, enum emp_sim_file_state state,
                     int64_t bytes)
{
    struct emp_sim_file *f = emp_sim_agent_file(a, model);
    a->disk_bytes += bytes - f->bytes;
    f->bytes = bytes;
    f->state = state == EMP_SIM_FILE_HALF && bytes == 0 ? EMP_SIM_FILE_NONE : state;
}

void emp_sim_agent_give(struct emp_sim_agent *a, uint32_t model)
{
    const struct emp_sim_model *m = &a->system->models[model];
    struct emp_sim_file *f = emp_sim_agent_file(a, model);
    assert(a->brain == NULL && f->state == EMP_SIM_FILE_NONE);
    f->version = m->version;
    f->whole_bytes = m->model.bytes;
    file_set(a, model, EMP_SIM_FILE_WHOLE, m->model.bytes);
}

bool emp_sim_agent_has(const struct emp_sim_agent *a, uint32_t model)
{
    return model < a->file_cap && a->files[model].state == EMP_SIM_FILE_WHOLE;
}

void emp_sim_agent_lose_disk(struct emp_sim_agent *a)
{
    assert(a->brain == NULL);
    emp_sim_log(&a->system->world, EMP_SIM_TRACE_DISK_LOST, (int32_t)a->index, 0, 0, 0);
    for (size_t i = 0; i < a->file_cap; i++)
        file_set(a, (uint32_t)i, EMP_SIM_FILE_NONE, 0);
}

void emp_sim_inventory(struct emp_sim_agent *a)
{
    struct emp_arena scratch;
    emp_arena_init(&scratch, 4096);
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_INVENTORY};
    struct emp_machine_found *found =
        emp_arena_array(&scratch, struct emp_machine_found, a->file_cap);
    uint32_t n = 0;
    for (size_t i = 0; i < a->file_cap; i++) {
        const struct emp_sim_file *f = &a->files[i];
        const struct emp_sim_model *m = &a->system->models[i];
        if (f->state == EMP_SIM_FILE_NONE)
            continue;
        found[n] = (struct emp_machine_found){
            .name = m->model.name,
            .path = m->model.path,
            .bytes = f->whole_bytes,
            .half_bytes = f->state == EMP_SIM_FILE_HALF ? f->bytes : 0,
            .pinned = m->model.pinned,
        };
        emp_sim_sha_make(m->model.name, f->version, found[n++].sha256);
    }
    e.inventory.found = found;
    e.inventory.count = n;
    emp_sim_agent_step(a, &e);
    emp_arena_release(&scratch);
}

/* ---- the link ---- */

static int64_t share_of(const struct emp_sim_agent *a)
{
    int64_t rate = a->settings.link_bytes_per_s / (a->flowing ? a->flowing : 1);
    return rate > 0 ? rate : 1;
}

/* Books what has come since the last time. */
static void settle(struct emp_sim_agent *a)
{
    int64_t ms = a->system->world.now - a->flowed_at;
    a->flowed_at = a->system->world.now;
    if (ms <= 0 || a->flowing == 0)
        return;
    int64_t came = share_of(a) * ms / 1000;
    for (struct emp_sim_fetch *f = a->fetches; f; f = f->next) {
        struct emp_sim_file *file = emp_sim_agent_file(a, f->model);
        if (!f->flows)
            continue;
        int64_t left = f->plan.end_bytes - file->bytes;
        file_set(a, f->model, EMP_SIM_FILE_HALF, file->bytes + (came < left ? came : left));
    }
}

/* By each fetch that flows, since it was booked last. */
static int64_t came_since(const struct emp_sim_agent *a)
{
    return a->flowing ? share_of(a) * (a->system->world.now - a->flowed_at) / 1000 : 0;
}

int64_t emp_sim_agent_fetched(const struct emp_sim_agent *a, uint32_t model)
{
    const struct emp_sim_file *file = model < a->file_cap ? &a->files[model] : NULL;
    if (file == NULL || file->fetch == NULL || !file->fetch->flows)
        return file ? file->bytes : 0;
    int64_t bytes = file->bytes + came_since(a);
    return bytes < file->fetch->plan.end_bytes ? bytes : file->fetch->plan.end_bytes;
}

int64_t emp_sim_agent_fetch_left(const struct emp_sim_agent *a)
{
    int64_t came = came_since(a);
    int64_t left = 0;
    for (const struct emp_sim_fetch *f = a->fetches; f; f = f->next) {
        int64_t own = f->plan.end_bytes - a->files[f->model].bytes - (f->flows ? came : 0);
        left += own > 0 ? own : 0;
    }
    return left;
}

static emp_mono_ms next_end(struct emp_sim_agent *a)
{
    emp_mono_ms at = EMP_NEVER;
    for (const struct emp_sim_fetch *f = a->fetches; f; f = f->next) {
        if (!f->flows)
            continue;
        int64_t left = f->plan.end_bytes - emp_sim_agent_file(a, f->model)->bytes;
        int64_t rate = share_of(a);
        int64_t ms = left > 0 ? left / rate * 1000 + (left % rate * 1000 + rate - 1) / rate : 0;
        emp_mono_ms end = a->system->world.now + ms;
        at = end < at ? end : at;
    }
    if (at != EMP_NEVER && a->settings.progress_ms &&
        a->system->world.now + a->settings.progress_ms < at)
        at = a->system->world.now + a->settings.progress_ms;
    return at;
}

static void rearm(struct emp_sim_agent *a)
{
    emp_sim_timer_set(&a->system->world, &a->flow, next_end(a));
}

static void stop_flowing(struct emp_sim_agent *a, struct emp_sim_fetch *f)
{
    settle(a);
    if (f->flows) {
        f->flows = false;
        a->flowing--;
    }
    rearm(a);
}

/* Its bytes have come, or it breaks off; the brain hears of it at once, or when it wakes. */
static void end_fetch(struct emp_sim_agent *a, struct emp_sim_fetch *f, int code, int64_t after_ms)
{
    stop_flowing(a, f);
    f->ended = true;
    f->code = code;
    emp_sim_timer_after(&a->system->world, &f->timer, after_ms);
}

static bool progress_due(const struct emp_sim_agent *a, const struct emp_sim_fetch *f)
{
    return a->settings.progress_ms && f->flows && a->hung_until == 0 &&
           a->system->world.now - f->told_at >= a->settings.progress_ms;
}

/* One at a time: telling may change the list. */
static bool tell_progress(struct emp_sim_agent *a)
{
    for (struct emp_sim_fetch *f = a->fetches; f; f = f->next) {
        if (!progress_due(a, f))
            continue;
        struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_FETCH_PROGRESS};
        f->told_at = a->system->world.now;
        e.fetch_progress.model = a->system->models[f->model].model.name;
        e.fetch_progress.bytes = emp_sim_agent_file(a, f->model)->bytes;
        emp_sim_agent_step(a, &e);
        return a->brain != NULL;
    }
    return false;
}

static void flowed(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_agent *a = ctx;
    (void)w;
    settle(a);
    for (struct emp_sim_fetch *f = a->fetches; f; f = f->next)
        if (f->flows && emp_sim_agent_file(a, f->model)->bytes >= f->plan.end_bytes)
            end_fetch(a, f, f->plan.code, 0);
    while (tell_progress(a)) {}
    if (a->brain)
        rearm(a);
}

/* ---- fetches ---- */

static void unlink_fetch(struct emp_sim_agent *a, struct emp_sim_fetch *f)
{
    struct emp_sim_fetch **at = &a->fetches;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    emp_sim_agent_file(a, f->model)->fetch = NULL;
    emp_sim_timer_cancel(&a->system->world, &f->timer);
    f->next = a->spare_fetches;
    a->spare_fetches = f;
}

static struct emp_sim_fetch *fetch_new(struct emp_sim_agent *a)
{
    struct emp_sim_fetch *f = a->spare_fetches;
    if (f)
        a->spare_fetches = f->next;
    else
        f = emp_arena_new(&a->system->world.arena, struct emp_sim_fetch);
    *f = (struct emp_sim_fetch){.agent = a};
    return f;
}

static void tell_done(struct emp_sim_agent *a, const struct emp_sim_fetch *f)
{
    struct emp_sim_world *w = &a->system->world;
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_FETCH_DONE};
    const struct emp_sim_file *file = emp_sim_agent_file(a, f->model);
    e.fetch_done.model = a->system->models[f->model].model.name;
    e.fetch_done.code = f->code;
    if (f->code) {
        e.fetch_done.text = EMP_STR("the fetch did not end well");
        e.fetch_done.machine_fault = f->plan.machine_fault;
        e.fetch_done.kept_bytes = file->bytes;
        emp_sim_log(w, EMP_SIM_TRACE_FETCH_FAILED, (int32_t)a->index, f->model, f->code,
                    file->bytes);
    } else {
        emp_sim_log(w, EMP_SIM_TRACE_FETCHED, (int32_t)a->index, f->model, 0, 0);
    }
    emp_sim_agent_step(a, &e);
}

static void finish(struct emp_sim_agent *a, struct emp_sim_fetch *f)
{
    struct emp_sim_fetch done = *f;
    struct emp_sim_file *file = emp_sim_agent_file(a, f->model);
    if (f->code == 0)
        file_set(a, f->model, EMP_SIM_FILE_WHOLE, f->whole_bytes);
    else if (!f->plan.keeps_half && f->code != EMP_E_CANCELLED)
        file_set(a, f->model, EMP_SIM_FILE_NONE, 0);
    file->version = f->version;
    unlink_fetch(a, f);
    tell_done(a, &done);
}

static void fetch_timer(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_fetch *f = ctx;
    struct emp_sim_agent *a = f->agent;
    (void)w;
    if (f->ended) {
        if (!emp_sim_agent_defer(a, &f->timer))
            finish(a, f);
        return;
    }
    settle(a);
    f->flows = true;
    a->flowing++;
    rearm(a);
}

void emp_sim_fetch_begin(struct emp_sim_agent *a, const struct emp_model *model, int64_t kept)
{
    struct emp_sim_system *s = a->system;
    uint32_t number = emp_sim_model_find(s, model->name);
    struct emp_sim_file *file = emp_sim_agent_file(a, number);
    struct emp_sim_fetch *f = fetch_new(a);
    assert(number && file->fetch == NULL && kept == file->bytes);
    f->model = number;
    f->version = emp_sim_sha_version(model->sha256);
    f->whole_bytes = model->bytes;
    f->told_at = s->world.now;
    s->behaviour.fetch(s->behaviour.ctx, a, model, kept, &f->plan);
    file->fetch = f;
    file->whole_bytes = model->bytes;
    file->version = f->version;
    f->next = a->fetches;
    a->fetches = f;
    emp_sim_timer_init(&f->timer, fetch_timer, f);
    emp_sim_timer_after(&s->world, &f->timer, f->plan.setup_ms);
    emp_sim_log(&s->world, EMP_SIM_TRACE_FETCH, (int32_t)a->index, number, model->bytes - kept, 0);
}

void emp_sim_fetch_cancel(struct emp_sim_agent *a, struct emp_str model)
{
    uint32_t number = emp_sim_model_find(a->system, model);
    struct emp_sim_fetch *f = emp_sim_agent_file(a, number)->fetch;
    emp_sim_log(&a->system->world, EMP_SIM_TRACE_FETCH_CANCEL, (int32_t)a->index, number, 0, 0);
    if (f && !f->ended) /* else its end is on its way already */
        end_fetch(a, f, EMP_E_CANCELLED, CANCEL_MS);
}

/* ---- deletions ---- */

static void deleted(struct emp_sim_world *w, void *ctx)
{
    struct emp_sim_deletion *d = ctx;
    struct emp_sim_agent *a = d->agent;
    struct emp_sim_system *s = a->system;
    struct emp_machine_event e = {.kind = EMP_MACHINE_EVENT_DELETED};
    if (emp_sim_agent_defer(a, &d->timer))
        return;
    int code = s->behaviour.del ? s->behaviour.del(s->behaviour.ctx, a, d->model) : 0;
    if (code == 0)
        file_set(a, d->model, EMP_SIM_FILE_NONE, 0);
    emp_sim_agent_file(a, d->model)->deleting = false;
    emp_sim_log(w, EMP_SIM_TRACE_DELETED, (int32_t)a->index, d->model, code, 0);
    e.deleted.model = s->models[d->model].model.name;
    e.deleted.code = code;
    struct emp_sim_deletion **at = &a->deletions;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    d->next = a->spare_deletions;
    a->spare_deletions = d;
    emp_sim_agent_step(a, &e);
}

void emp_sim_delete(struct emp_sim_agent *a, struct emp_str model, bool half)
{
    struct emp_sim_deletion *d = a->spare_deletions;
    uint32_t number = emp_sim_model_find(a->system, model);
    (void)half;
    if (d)
        a->spare_deletions = d->next;
    else
        d = emp_arena_new(&a->system->world.arena, struct emp_sim_deletion);
    d->agent = a;
    d->model = number;
    d->next = a->deletions;
    a->deletions = d;
    emp_sim_agent_file(a, number)->deleting = true;
    emp_sim_log(&a->system->world, EMP_SIM_TRACE_DELETE, (int32_t)a->index, number, 0, 0);
    emp_sim_timer_init(&d->timer, deleted, d);
    emp_sim_timer_after(&a->system->world, &d->timer, DELETE_MS);
}

/* ---- life ---- */

void emp_sim_transfer_init(struct emp_sim_agent *a)
{
    emp_sim_timer_init(&a->flow, flowed, a);
}

void emp_sim_transfers_drop(struct emp_sim_agent *a)
{
    settle(a);
    while (a->fetches)
        unlink_fetch(a, a->fetches);
    a->flowing = 0;
    emp_sim_timer_cancel(&a->system->world, &a->flow);
    while (a->deletions) {
        struct emp_sim_deletion *d = a->deletions;
        a->deletions = d->next;
        emp_sim_agent_file(a, d->model)->deleting = false;
        emp_sim_timer_cancel(&a->system->world, &d->timer);
        d->next = a->spare_deletions;
        a->spare_deletions = d;
    }
}

/* Attempts: accepted, given their models, run, reported. All changes of state go through move(),
 * all reports through finish(). */
#include "machine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bool allowed[EMP_ATTEMPT_STATE_COUNT][EMP_ATTEMPT_STATE_COUNT] = {
#define EMP_ATTEMPT_MOVE(from, to) [EMP_ATTEMPT_##from][EMP_ATTEMPT_##to] = true,
#include "machine/states.def"
};

/* ---------------------------------------------------------------- finding and counting */

static struct emp_machine_attempt *at(const struct emp_machine *m, uint32_t number)
{
    return emp_slab_at(&m->attempts, number);
}

static struct emp_machine_attempt *newest(const struct emp_machine *m, emp_job_num job)
{
    uint32_t number;
    return job && emp_map_get(&m->by_job, job, &number) ? at(m, number) : NULL;
}

static struct emp_machine_attempt *find(const struct emp_machine *m, emp_job_num job,
                                        uint32_t attempt)
{
    struct emp_machine_attempt *t = newest(m, job);
    while (t && t->attempt != attempt)
        t = t->older ? at(m, t->older) : NULL;
    return t;
}

static uint32_t count_of(const struct emp_machine *m, bool (*in)(enum emp_attempt_state))
{
    uint32_t n = 0;
    for (int s = 0; s < EMP_ATTEMPT_STATE_COUNT; s++)
        if (in(s))
            n += m->attempt_count[s];
    return n;
}

uint32_t emp_attempts_live(const struct emp_machine *m)
{
    return m->attempts.count - m->attempt_count[EMP_ATTEMPT_FINISHED];
}

/* ---------------------------------------------------------------- the one place where an attempt
 * changes */

static void unlink_job(struct emp_machine *m, struct emp_machine_attempt *t)
{
    struct emp_machine_attempt *n = newest(m, t->job);
    if (n != t) {
        while (n && n->older != t->number)
            n = n->older ? at(m, n->older) : NULL;
        if (n)
            n->older = t->older;
    } else if (t->older) {
        emp_map_put(&m->by_job, t->job, t->older);
    } else {
        emp_map_del(&m->by_job, t->job);
    }
}

static void release(struct emp_machine *m, struct emp_machine_attempt *t)
{
    struct emp_machine_action *a = emp_machine_act(m, EMP_MACHINE_FORGET);
    a->lease.job = t->job;
    a->lease.attempt = t->attempt;
    unlink_job(m, t);
    emp_arena_release(&t->arena);
    emp_slab_free(&m->attempts, t->number);
}

static void set_due(struct emp_machine *m, struct emp_machine_attempt *t, emp_mono_ms due)
{
    t->due = due;
    if (t->place == EMP_HEAP_OUT) {
        if (due != EMP_NEVER)
            emp_heap_push(&m->dues, t);
    } else if (due == EMP_NEVER) {
        emp_heap_remove(&m->dues, t);
    } else {
        emp_heap_fix(&m->dues, t);
    }
}

static emp_mono_ms after(const struct emp_machine *m, int64_t ms)
{
    return ms <= 0 || ms > EMP_NEVER - 1 - m->now.mono ? EMP_NEVER : m->now.mono + ms;
}

/* Its copies are let go of only here, when it no longer runs nor waits for them. */
static void let_copies_go(struct emp_machine *m, struct emp_machine_attempt *t)
{
    if (t->in_use)
        emp_copies_use(m, t->copies, t->copy_count, -1);
    if (t->pinned)
        emp_copies_unpin(m, t->copies, t->copy_count);
    emp_copies_want(m, t->copies, t->copy_count, -1);
    t->in_use = t->pinned = false;
    t->copy_count = 0;
}

/* Takes t out of memory when it goes to GONE. */
static void move(struct emp_machine *m, struct emp_machine_attempt *t, enum emp_attempt_state to)
{
    if (!allowed[t->state][to])
        abort();
    m->attempt_count[t->state]--;
    emp_chain_del(&t->chain);
    set_due(m, t, EMP_NEVER);
    t->state = to;
    if (to == EMP_ATTEMPT_FINISHED || to == EMP_ATTEMPT_GONE)
        let_copies_go(m, t);
    if (to == EMP_ATTEMPT_GONE) {
        release(m, t);
        return;
    }
    emp_chain_add(&m->attempt_chain[to], &t->chain);
    m->attempt_count[to]++;
}

/* ---------------------------------------------------------------- reports */

static void send_report(struct emp_machine *m, const struct emp_machine_attempt *t)
{
    struct emp_message *msg = emp_machine_send(m, t->report_kind);
    if (msg)
        msg->finished = t->report;
}

void emp_attempts_repeat(struct emp_machine *m)
{
    struct emp_chain *head = &m->attempt_chain[EMP_ATTEMPT_FINISHED];
    for (struct emp_chain *i = head->next; i != head; i = i->next)
        send_report(m, emp_chain_of(i, struct emp_machine_attempt, chain));
}

/* At most `max` bytes, never cut inside a UTF-8 sequence. */
static struct emp_str cut(struct emp_str s, uint32_t max)
{
    if (s.len <= max)
        return s;
    s.len = max;
    while (s.len > 0 && ((unsigned char)s.ptr[s.len] & 0xc0) == 0x80)
        s.len--;
    return s;
}

static struct emp_output *copy_outputs(struct emp_arena *a, const struct emp_output *from,
                                       uint32_t count)
{
    struct emp_output *to = emp_arena_array(a, struct emp_output, count);
    for (uint32_t i = 0; i < count; i++) {
        to[i] = from[i];
        to[i].name = emp_str_copy(a, from[i].name);
        to[i].type = emp_str_copy(a, from[i].type);
    }
    return to;
}

/* Ends the attempt with a report, whose strings are copied; what the assignment held is freed. */
static void finish(struct emp_machine *m, struct emp_machine_attempt *t, enum emp_message_kind kind,
                   const struct emp_message_finished *report)
{
    struct emp_arena fresh;
    emp_arena_init(&fresh, 512);
    t->report_kind = kind;
    t->report = *report;
    t->report.job = t->job;
    t->report.attempt = t->attempt;
    t->report.started_at = t->started_at;
    t->report.ended_at = m->now.wall;
    t->report.bytes_fetched = t->bytes_fetched;
    t->report.result = emp_str_copy(&fresh, report->result);
    t->report.error = emp_str_copy(&fresh, cut(report->error, EMP_ERROR_REPORT_MAX));
    t->report.outputs = copy_outputs(&fresh, report->outputs, report->output_count);
    move(m, t, EMP_ATTEMPT_FINISHED);
    emp_arena_release(&t->arena);
    t->arena = fresh;
    t->assign = NULL;
    t->copies = NULL;
    send_report(m, t);
}

static void finish_error(struct emp_machine *m, struct emp_machine_attempt *t,
                         enum emp_message_kind kind, int code, struct emp_str text,
                         bool machine_fault)
{
    struct emp_message_finished r = {
        .error_code = code, .error = text, .retryable = true, .machine_fault = machine_fault};
    finish(m, t, kind, &r);
}

/* ---------------------------------------------------------------- accepting */

static void stop(struct emp_machine *m, struct emp_machine_attempt *t, enum emp_stop_reason reason)
{
    struct emp_machine_action *a = emp_machine_act(m, EMP_MACHINE_STOP);
    a->stop.job = t->job;
    a->stop.attempt = t->attempt;
    a->stop.reason = reason;
    t->stop = reason;
    move(m, t, EMP_ATTEMPT_STOPPING);
    set_due(m, t, after(m, m->s.stop_wait_ms));
}

static void cancel(struct emp_machine *m, struct emp_machine_attempt *t)
{
    if (t->state == EMP_ATTEMPT_STOPPING)
        t->stop = EMP_STOP_CANCELLED; // whatever it was stopped for, nobody asks any more
    else if (emp_attempt_state_running(t->state))
        stop(m, t, EMP_STOP_CANCELLED);
    else
        move(m, t, EMP_ATTEMPT_GONE);
}

static void copy_assign(struct emp_machine_attempt *t, const struct emp_message_assign *from)
{
    struct emp_arena *a = &t->arena;
    struct emp_message_assign *to = emp_arena_dup(a, from, sizeof *from);
    to->job_id = emp_str_copy(a, from->job_id);
    to->service = emp_str_copy(a, from->service);
    to->customer = emp_str_copy(a, from->customer);
    to->payload = emp_str_copy(a, from->payload);
    to->models = emp_arena_array(a, struct emp_model, from->model_count);
    for (uint32_t i = 0; i < from->model_count; i++) {
        struct emp_model *model = &to->models[i];
        model->name = emp_str_copy(a, from->models[i].name);
        model->kind = emp_str_copy(a, from->models[i].kind);
        model->path = emp_str_copy(a, from->models[i].path);
        model->bytes = from->models[i].bytes;
    }
    t->assign = to;
}

static struct emp_machine_attempt *new_attempt(struct emp_machine *m,
                                               const struct emp_message_assign *a)
{
    uint32_t number;
    struct emp_machine_attempt *t = emp_slab_new(&m->attempts, &number);
    t->number = number;
    t->place = EMP_HEAP_OUT;
    t->due = EMP_NEVER;
    t->job = a->job;
    t->attempt = a->attempt;
    t->accepted_at = t->ready_at = m->now.mono;
    t->progress_at = m->now.mono - EMP_MACHINE_PROGRESS_MS;
    emp_arena_init(&t->arena, 2048);
    if (!emp_map_get(&m->by_job, a->job, &t->older))
        t->older = 0;
    emp_map_put(&m->by_job, a->job, number);
    emp_chain_add(&m->attempt_chain[EMP_ATTEMPT_ACCEPTED], &t->chain);
    m->attempt_count[EMP_ATTEMPT_ACCEPTED]++;
    copy_assign(t, a);
    return t;
}

/* Lists its copies, each once. False: the assignment cannot be kept, err says why. */
static bool list_copies(struct emp_machine *m, struct emp_machine_attempt *t,
                        const struct emp_message_assign *a, struct emp_error *err)
{
    t->copies = emp_arena_array(&t->arena, uint32_t, a->model_count);
    for (uint32_t i = 0; i < a->model_count; i++) {
        const struct emp_model *model = &a->models[i];
        if (model->bytes <= 0 || model->bytes > EMP_BYTES_MAX || model->path.len == 0) {
            emp_fail(err, EMP_E_PROTOCOL, "models",
                     "model \"%.*s\" was assigned without its size or path",
                     EMP_STR_FMT(model->name));
            return false;
        }
        uint32_t copy = emp_copy_describe(m, model);
        if (copy == 0) {
            emp_fail(err, EMP_E_LIMIT, "models",
                     "this machine has seen %d models and keeps track of no more", EMP_MODELS_MAX);
            return false;
        }
        bool known = false;
        for (uint32_t j = 0; j < t->copy_count; j++)
            known = known || t->copies[j] == copy;
        if (!known)
            t->copies[t->copy_count++] = copy;
    }
    return true;
}

static void hand_back(struct emp_machine *m, struct emp_machine_attempt *t, int code,
                      const char *text, bool machine_fault)
{
    finish_error(m, t, EMP_MESSAGE_RETURNED, code, emp_str_z(text), machine_fault);
}

void emp_machine_attempt_assign(struct emp_machine *m, const struct emp_message_assign *a)
{
    struct emp_machine_attempt *t = newest(m, a->job);
    if (a->job == 0 || a->attempt == 0 || (t && a->attempt < t->attempt))
        return;
    if (t && a->attempt == t->attempt) { // a repetition
        if (t->state == EMP_ATTEMPT_FINISHED)
            send_report(m, t);
        return;
    }
    if (t)
        cancel(m, t);
    if (m->attempt_count[EMP_ATTEMPT_FINISHED] >= EMP_MACHINE_FINISHED_MAX) {
        emp_machine_act(m, EMP_MACHINE_RECONNECT)->reconnect.reason =
            EMP_STR("too many reports are not acknowledged");
        return;
    }
    uint32_t leased = count_of(m, emp_attempt_state_leased);
    struct emp_error err = {0};
    t = new_attempt(m, a);
    if (m->leave != EMP_WORKING) {
        hand_back(m, t, EMP_E_UNAVAILABLE, "this agent is about to leave and takes nothing new",
                  false);
    } else if (leased >= emp_machine_slots(m)) {
        emp_fail(&err, EMP_E_AGAIN, NULL, "all %u slots of this machine are taken",
                 emp_machine_slots(m));
        hand_back(m, t, err.code, err.text, false);
    } else if (!list_copies(m, t, a, &err)) {
        t->copy_count = 0;
        hand_back(m, t, err.code, err.text, false);
    } else {
        emp_copies_want(m, t->copies, t->copy_count, 1);
        set_due(m, t, after(m, m->s.room_wait_ms));
    }
}

void emp_attempt_cancel(struct emp_machine *m, const struct emp_message_lease *l)
{
    struct emp_machine_attempt *t = find(m, l->job, l->attempt);
    if (t)
        cancel(m, t);
}

void emp_attempt_ack(struct emp_machine *m, const struct emp_message_lease *l)
{
    struct emp_machine_attempt *t = find(m, l->job, l->attempt);
    if (t && t->state == EMP_ATTEMPT_FINISHED)
        move(m, t, EMP_ATTEMPT_GONE);
}

/* ---------------------------------------------------------------- models */

static bool lists(const struct emp_machine_attempt *t, uint32_t copy)
{
    for (uint32_t i = 0; i < t->copy_count; i++)
        if (t->copies[i] == copy)
            return true;
    return false;
}

static void ready(struct emp_machine *m, struct emp_machine_attempt *t)
{
    t->ready_at = m->now.mono;
    move(m, t, EMP_ATTEMPT_READY);
}

/* The first who waits for it is charged with its bytes. */
void emp_attempts_copy_came(struct emp_machine *m, uint32_t copy, int64_t fetched_bytes)
{
    struct emp_chain *head = &m->attempt_chain[EMP_ATTEMPT_FETCHING];
    for (struct emp_chain *i = head->next, *next; i != head; i = next) {
        next = i->next;
        struct emp_machine_attempt *t = emp_chain_of(i, struct emp_machine_attempt, chain);
        if (!lists(t, copy))
            continue;
        t->bytes_fetched += fetched_bytes;
        fetched_bytes = 0;
        if (--t->missing == 0)
            ready(m, t);
    }
}

void emp_attempts_copy_failed(struct emp_machine *m, uint32_t copy, int code, struct emp_str text,
                              bool machine_fault)
{
    struct emp_chain *head = &m->attempt_chain[EMP_ATTEMPT_FETCHING];
    for (struct emp_chain *i = head->next, *next; i != head; i = next) {
        next = i->next;
        struct emp_machine_attempt *t = emp_chain_of(i, struct emp_machine_attempt, chain);
        if (!lists(t, copy))
            continue;
        finish_error(m, t, machine_fault ? EMP_MESSAGE_RETURNED : EMP_MESSAGE_FAILED, code, text,
                     machine_fault);
    }
}

/* In order of arrival. Once one waits for room, later ones get none before it, but may run on what
 * is there. */
static void admit_all(struct emp_machine *m)
{
    bool may_grow = true;
    struct emp_chain *head = &m->attempt_chain[EMP_ATTEMPT_ACCEPTED];
    for (struct emp_chain *i = head->next, *next; i != head; i = next) {
        next = i->next;
        struct emp_machine_attempt *t = emp_chain_of(i, struct emp_machine_attempt, chain);
        struct emp_error err = {0};
        uint32_t missing = 0;
        enum emp_room room =
            emp_copies_admit(m, t->copies, t->copy_count, may_grow, &missing, &err);
        if (room == EMP_ROOM_NEVER) {
            hand_back(m, t, err.code, err.text, true);
        } else if (room == EMP_ROOM_LATER) {
            may_grow = false;
        } else {
            t->pinned = true;
            t->missing = missing;
            if (missing)
                move(m, t, EMP_ATTEMPT_FETCHING);
            else
                ready(m, t);
        }
    }
}

/* ---------------------------------------------------------------- running */

static void run(struct emp_machine *m, struct emp_machine_attempt *t)
{
    emp_machine_act(m, EMP_MACHINE_RUN)->run = t->assign;
    t->run_at = m->now.mono;
    t->started_at = m->now.wall;
    t->in_use = true;
    emp_copies_use(m, t->copies, t->copy_count, 1);
    move(m, t, EMP_ATTEMPT_RUNNING);
    set_due(m, t, after(m, t->assign->timeout_ms));
}

void emp_attempts_pump(struct emp_machine *m)
{
    admit_all(m);
    emp_copies_pump(m);
    struct emp_chain *head = &m->attempt_chain[EMP_ATTEMPT_READY];
    while (!emp_chain_empty(head) &&
           count_of(m, emp_attempt_state_running) < emp_machine_slots(m)) {
        struct emp_machine_attempt *t = emp_chain_of(head->next, struct emp_machine_attempt, chain);
        if (!emp_plan_lets_run(m, t->copies, t->copy_count))
            return;
        run(m, t);
    }
}

void emp_attempt_started(struct emp_machine *m, const struct emp_machine_event *e)
{
    struct emp_machine_attempt *t = find(m, e->run_started.job, e->run_started.attempt);
    if (!t || t->state != EMP_ATTEMPT_RUNNING || t->started)
        return;
    t->started = true;
    t->started_at = m->now.wall;
    t->load_ms = e->run_started.load_ms;
    set_due(m, t, after(m, t->assign->timeout_ms));
    if (e->run_started.keeps_loaded)
        emp_memory_loaded(m, t->copies, t->copy_count);
    struct emp_message *msg = emp_machine_send(m, EMP_MESSAGE_STARTED);
    if (!msg)
        return;
    msg->started = (struct emp_message_started){.job = t->job,
                                                .attempt = t->attempt,
                                                .at = t->started_at,
                                                .bytes_fetched = t->bytes_fetched,
                                                .fetch_ms = t->ready_at - t->accepted_at,
                                                .load_ms = t->load_ms};
}

void emp_attempt_progress(struct emp_machine *m, const struct emp_machine_event *e)
{
    struct emp_machine_attempt *t = find(m, e->run_progress.job, e->run_progress.attempt);
    if (!t || t->state != EMP_ATTEMPT_RUNNING ||
        m->now.mono - t->progress_at < EMP_MACHINE_PROGRESS_MS)
        return;
    double percent = e->run_progress.percent;
    if (!(percent >= 0))
        percent = 0; // NaN too
    if (percent > 100)
        percent = 100;
    struct emp_message *msg = emp_machine_send(m, EMP_MESSAGE_PROGRESS);
    if (!msg)
        return;
    t->progress_at = m->now.mono;
    msg->progress.job = t->job;
    msg->progress.attempt = t->attempt;
    msg->progress.percent = (float)percent;
    msg->progress.text =
        emp_str_copy(m->out->arena, cut(e->run_progress.text, EMP_PROGRESS_TEXT_MAX));
}

void emp_attempt_storing(struct emp_machine *m, const struct emp_machine_event *e)
{
    struct emp_machine_attempt *t = find(m, e->run_storing.job, e->run_storing.attempt);
    if (t && t->state == EMP_ATTEMPT_RUNNING)
        move(m, t, EMP_ATTEMPT_STORING);
}

static void finish_completed(struct emp_machine *m, struct emp_machine_attempt *t,
                             const struct emp_machine_event *e)
{
    struct emp_message_finished r = {.run_ms = e->run_done.run_ms,
                                     .result = e->run_done.result,
                                     .outputs = (struct emp_output *)e->run_done.outputs,
                                     .output_count = e->run_done.output_count};
    finish(m, t, EMP_MESSAGE_COMPLETED, &r);
}

static void finish_timeout(struct emp_machine *m, struct emp_machine_attempt *t, int64_t run_ms)
{
    struct emp_error err = {0};
    emp_fail(&err, EMP_E_TIMEOUT, NULL, "it ran longer than its limit of %.3f s and was stopped",
             (double)t->assign->timeout_ms / 1000);
    struct emp_message_finished r = {
        .run_ms = run_ms, .error_code = err.code, .error = emp_str_z(err.text), .retryable = true};
    finish(m, t, EMP_MESSAGE_FAILED, &r);
}

static void finish_failed(struct emp_machine *m, struct emp_machine_attempt *t,
                          const struct emp_machine_event *e)
{
    struct emp_message_finished r = {.run_ms = e->run_done.run_ms,
                                     .error_code = e->run_done.code,
                                     .error = e->run_done.text,
                                     .retryable = e->run_done.retryable ||
                                                  e->run_done.machine_fault,
                                     .machine_fault = e->run_done.machine_fault};
    bool never_began = r.machine_fault && !t->started;
    finish(m, t, never_began ? EMP_MESSAGE_RETURNED : EMP_MESSAGE_FAILED, &r);
}

#define LEAVING_TEXT "this agent is leaving; the job was stopped and handed back"

void emp_attempt_done(struct emp_machine *m, const struct emp_machine_event *e)
{
    struct emp_machine_attempt *t = find(m, e->run_done.job, e->run_done.attempt);
    if (!t || !emp_attempt_state_running(t->state))
        return;
    bool stopped = t->state == EMP_ATTEMPT_STOPPING;
    if (stopped && t->stop == EMP_STOP_CANCELLED)
        move(m, t, EMP_ATTEMPT_GONE);
    else if (e->run_done.code >= 0)
        finish_completed(m, t, e); // also when a stop came too late
    else if (stopped && t->stop == EMP_STOP_TIMEOUT)
        finish_timeout(m, t, e->run_done.run_ms);
    else if (stopped)
        hand_back(m, t, EMP_E_UNAVAILABLE, LEAVING_TEXT, false);
    else
        finish_failed(m, t, e);
}

/* ---------------------------------------------------------------- deadlines and leaving */

static void expire_accepted(struct emp_machine *m, struct emp_machine_attempt *t)
{
    struct emp_error err = {0};
    emp_fail(&err, EMP_E_DISK_FULL, "models",
             "no room for the job's models within %lld ms: the %lld bytes kept for models are in "
             "use by other jobs",
             (long long)m->s.room_wait_ms, (long long)emp_machine_budget(m));
    hand_back(m, t, err.code, err.text, true);
}

static void expire_running(struct emp_machine *m, struct emp_machine_attempt *t)
{
    stop(m, t, EMP_STOP_TIMEOUT);
}

static void expire_stopping(struct emp_machine *m, struct emp_machine_attempt *t)
{
    struct emp_machine_action *a = emp_machine_act(m, EMP_MACHINE_WATCHDOG);
    a->lease.job = t->job;
    a->lease.attempt = t->attempt;
    set_due(m, t, EMP_NEVER);
}

void emp_attempts_expire(struct emp_machine *m)
{
    static void (*const expire[EMP_ATTEMPT_STATE_COUNT])(struct emp_machine *,
                                                         struct emp_machine_attempt *) = {
        [EMP_ATTEMPT_ACCEPTED] = expire_accepted,
        [EMP_ATTEMPT_RUNNING] = expire_running,
        [EMP_ATTEMPT_STOPPING] = expire_stopping,
    };
    struct emp_machine_attempt *t;
    while ((t = emp_heap_peek(&m->dues)) && t->due <= m->now.mono)
        expire[t->state](m, t);
}

static void each(struct emp_machine *m, enum emp_attempt_state state,
                 void (*act)(struct emp_machine *, struct emp_machine_attempt *))
{
    struct emp_chain *head = &m->attempt_chain[state];
    for (struct emp_chain *i = head->next, *next; i != head; i = next) {
        next = i->next;
        act(m, emp_chain_of(i, struct emp_machine_attempt, chain));
    }
}

static void leave_waiting(struct emp_machine *m, struct emp_machine_attempt *t)
{
    hand_back(m, t, EMP_E_UNAVAILABLE,
              "this agent is leaving; the job was handed back before it ran", false);
}

static void leave_running(struct emp_machine *m, struct emp_machine_attempt *t)
{
    stop(m, t, EMP_STOP_LEAVING);
}

static void abandon(struct emp_machine *m, struct emp_machine_attempt *t)
{
    if (t->stop == EMP_STOP_CANCELLED)
        move(m, t, EMP_ATTEMPT_GONE);
    else
        hand_back(m, t, EMP_E_UNAVAILABLE, LEAVING_TEXT, false);
}

void emp_attempts_leave(struct emp_machine *m)
{
    each(m, EMP_ATTEMPT_ACCEPTED, leave_waiting);
    each(m, EMP_ATTEMPT_FETCHING, leave_waiting);
    each(m, EMP_ATTEMPT_READY, leave_waiting);
    each(m, EMP_ATTEMPT_RUNNING, leave_running);
    each(m, EMP_ATTEMPT_STORING, leave_running);
}

void emp_attempts_abandon(struct emp_machine *m)
{
    each(m, EMP_ATTEMPT_STOPPING, abandon);
}

/* ---------------------------------------------------------------- HELLO */

void emp_attempts_held(const struct emp_machine *m, struct emp_arena *a,
                       struct emp_message_hello *h)
{
    h->held = emp_arena_array(a, struct emp_held, m->attempts.count);
    for (int s = 0; s < EMP_ATTEMPT_STATE_COUNT; s++) {
        const struct emp_chain *head = &m->attempt_chain[s];
        for (const struct emp_chain *i = head->next; i != head; i = i->next) {
            const struct emp_machine_attempt *t =
                emp_chain_of(i, struct emp_machine_attempt, chain);
            if (s == EMP_ATTEMPT_STOPPING && t->stop == EMP_STOP_CANCELLED)
                continue;
            h->held[h->held_count++] = (struct emp_held){.job = t->job,
                                                         .attempt = t->attempt,
                                                         .started = t->started,
                                                         .finished = s == EMP_ATTEMPT_FINISHED,
                                                         .started_at = t->started_at};
        }
    }
}

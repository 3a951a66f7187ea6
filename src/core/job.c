/* Jobs: their one way from state to state, their record, their timers. */
#include "core/internal.h"

struct job *emp_job_find(const struct emp_core *c, emp_job_num num)
{
    uint32_t n;
    return num && emp_map_get(&c->job_by_num, num, &n) ? emp_slab_at(&c->jobs, n) : NULL;
}

struct job *emp_job_new(struct emp_core *c, emp_job_num num, const struct emp_job_spec *spec)
{
    uint32_t number;
    struct job *j = emp_slab_new(&c->jobs, &number);
    j->num = num;
    j->number = number;
    j->state = EMP_JOB_PENDING;
    j->class = emp_class_get(c, spec);
    j->class->pending++;
    c->stats.pending++;
    j->tier = spec->tier;
    j->customer = emp_intern(&c->names, spec->customer);
    j->timeout_ms = spec->timeout_ms;
    j->work = spec->work;
    j->max_retries = spec->max_retries;
    j->place = j->timer_place = EMP_HEAP_OUT;
    emp_map_put(&c->job_by_num, num, number);
    return j;
}

bool emp_job_is_older(const struct job *a, const struct job *b)
{
    return a->arrived != b->arrived ? a->arrived < b->arrived : a->num < b->num;
}

int64_t emp_job_waited_ms(const struct emp_core *c, const struct job *j)
{
    return c->now.mono - j->arrived;
}

void emp_job_arrived_at(struct emp_core *c, struct job *j, emp_wall_ms submitted_at)
{
    int64_t ago = c->now.wall - submitted_at;
    j->submitted_at = submitted_at;
    j->arrived = c->now.mono - (ago > 0 ? ago : 0);
}

/* Which gauge a state counts in: 0 pending, 1 running, 2 none. */
static int gauge_of(enum emp_job_state s)
{
    return s == EMP_JOB_PENDING ? 0 : emp_job_state_terminal(s) ? 2 : 1;
}

static void gauge_add(struct emp_core *c, struct class *k, int gauge, int64_t delta)
{
    if (gauge == 0) {
        c->stats.pending += (uint64_t)delta;
        k->pending += (uint64_t)delta;
    } else if (gauge == 1) {
        c->stats.running += (uint64_t)delta;
        k->running += (uint64_t)delta;
    }
}

void emp_job_move(struct emp_core *c, struct job *j, enum emp_job_state to)
{
    assert(emp_job_move_allowed(j->state, to));
    gauge_add(c, j->class, gauge_of(j->state), -1);
    gauge_add(c, j->class, gauge_of(to), 1);
    j->state = to;
}

void emp_job_record(struct emp_core *c, const struct job *j, struct emp_job_record *r)
{
    *r = (struct emp_job_record){
        .num = j->num,
        .state = j->state,
        .order_priority = j->priority,
        .order_tag = j->tag,
        .submitted_at = j->submitted_at,
        .not_before = j->not_before,
        .counted_attempts = j->counted,
        .returns = j->returns,
        .losses = j->losses,
        .retried_by_hand = j->retried_by_hand,
    };
    r->attempt.number = j->attempt;
    if (j->machine) {
        r->attempt.machine = emp_core_name(c, j->machine->name);
        r->attempt.pool = emp_pool_name(c, j->machine->pool);
        r->attempt.assigned_at = j->assigned_at;
        r->attempt.started_at = j->started_at;
        r->attempt.bytes_fetched = j->fetch_bytes;
    }
    if (j->decision)
        r->decision = *(struct emp_decision *)emp_slab_at(&c->decisions, j->decision);
}

struct emp_change_job *emp_job_persist(struct emp_core *c, const struct job *j)
{
    struct emp_action *a = emp_core_act(c, EMP_ACTION_PERSIST);
    a->change.kind = EMP_CHANGE_JOB;
    emp_job_record(c, j, &a->change.job.record);
    return &a->change.job;
}

struct emp_notice *emp_job_notify(struct emp_core *c, const struct job *j,
                                  enum emp_notice_kind kind)
{
    struct emp_action *a = emp_core_act(c, EMP_ACTION_NOTIFY);
    a->notice = (struct emp_notice){
        .kind = kind,
        .job = j->num,
        .state = j->state,
        .attempt = j->attempt,
        .percent = j->percent,
        .at = c->now.wall,
    };
    if (j->machine) {
        a->notice.machine = emp_core_name(c, j->machine->name);
        a->notice.pool = emp_pool_name(c, j->machine->pool);
    }
    return &a->notice;
}

static void remember_finished(struct emp_core *c, const struct job *j)
{
    struct emp_job_num_attempt *e = &c->finished[c->finished_next];
    uint32_t at;
    if (e->num && emp_map_get(&c->finished_index, e->num, &at) && at == c->finished_next)
        emp_map_del(&c->finished_index, e->num);
    *e = (struct emp_job_num_attempt){j->num, j->attempt};
    emp_map_put(&c->finished_index, j->num, c->finished_next);
    c->finished_next = (c->finished_next + 1) % FINISHED_RECENT;
}

void emp_job_forget(struct emp_core *c, struct job *j)
{
    assert(emp_job_state_terminal(j->state) && j->machine == NULL && !j->in_list);
    struct class *k = j->class;
    remember_finished(c, j);
    if (j->decision)
        emp_slab_free(&c->decisions, j->decision);
    if (j->progress)
        emp_slab_free(&c->progresses, j->progress);
    emp_map_del(&c->job_by_num, j->num);
    emp_slab_free(&c->jobs, j->number);
    emp_class_unuse(c, k);
}

void emp_job_timer(struct emp_core *c, struct job *j, emp_mono_ms due)
{
    j->due = due;
    if (due == EMP_NEVER) {
        if (j->timer_place != EMP_HEAP_OUT)
            emp_heap_remove(&c->timers, j);
    } else if (j->timer_place != EMP_HEAP_OUT) {
        emp_heap_fix(&c->timers, j);
    } else {
        emp_heap_push(&c->timers, j);
    }
}

void emp_job_wait(struct emp_core *c, struct job *j, int64_t delay_ms)
{
    assert(j->state == EMP_JOB_PENDING && j->machine == NULL);
    j->held_since = 0;
    j->held_for = NULL;
    if (delay_ms > 0) {
        c->stats.delayed++;
        emp_job_timer(c, j, c->now.mono + delay_ms);
    } else {
        emp_class_enqueue(c, j->class, j);
    }
}

void emp_job_unwait(struct emp_core *c, struct job *j)
{
    if (j->timer_place != EMP_HEAP_OUT) {
        emp_job_timer(c, j, EMP_NEVER);
        c->stats.delayed--;
    } else {
        emp_class_dequeue(c, j->class, j);
    }
}

void emp_job_avoid(struct job *j, const struct machine *m, bool settled)
{
    uint8_t at = 0;
    while (at < j->avoid_count && j->avoid[at].machine != m->number)
        at++;
    if (at == JOB_AVOID_MAX) { /* the oldest grudge is forgotten */
        memmove(j->avoid, j->avoid + 1, (JOB_AVOID_MAX - 1) * sizeof j->avoid[0]);
        at--;
    } else if (at == j->avoid_count) {
        j->avoid_count++;
    }
    j->avoid[at] = (struct grudge){.machine = m->number, .settled = settled};
}

bool emp_job_avoids(const struct job *j, const struct machine *m)
{
    for (uint8_t i = 0; i < j->avoid_count; i++)
        if (j->avoid[i].machine == m->number)
            return true;
    return false;
}

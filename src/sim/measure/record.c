/* Watches the run and notes what the figures need: for each job its last attempt, for each machine
 * what is in its hands, for each copy whether it was worth its bytes. */
#include "sim/measure/engine.h"

/* ---- copies ---- */

static struct emp_measure_copy *copy_at(struct emp_measure *m, struct emp_measure_place *p,
                                        uint32_t model)
{
    emp_arena_reach(&m->arena, p->copies, model, p->copy_cap, 64);
    return &p->copies[model];
}

static uint32_t *holders_of(struct emp_measure *m, uint32_t model)
{
    emp_arena_reach(&m->arena, m->holders, model, m->holder_cap, 256);
    return &m->holders[model];
}

/* Bytes that need not have been moved: those of a model that this machine had before, those of a
 * second copy that nobody came to use, and those of a half that was deleted. */
static void redundant(struct emp_measure *m, const struct emp_measure_copy *c,
                      enum emp_measure_redundant why, int64_t bytes)
{
    if (m->counting)
        m->redundant_bytes[why][c->planned] += bytes;
}

/* Whatever comes over a link counts, also what is never whole. */
static void moved(struct emp_measure *m, struct emp_measure_copy *c, int64_t until)
{
    int64_t bytes = until > c->from ? until - c->from : 0;
    c->fetching = false;
    c->bytes = until;
    if (!m->counting)
        return;
    m->bytes_fetched += bytes;
    if (c->had)
        redundant(m, c, EMP_MEASURE_AGAIN, bytes);
}

static void copy_begins(struct emp_measure *m, struct emp_measure_place *p,
                        const struct emp_machine_action *x)
{
    struct emp_measure_copy *c =
        copy_at(m, p, emp_sim_model_find(&m->system, x->fetch.model->name));
    c->fetching = true;
    c->from = x->fetch.kept_bytes;
    c->planned = x->fetch.planned;
}

static void copy_came(struct emp_measure *m, struct emp_measure_place *p,
                      const struct emp_machine_event *e)
{
    uint32_t model = emp_sim_model_find(&m->system, e->fetch_done.model);
    struct emp_measure_copy *c = copy_at(m, p, model);
    if (e->fetch_done.code) {
        moved(m, c, e->fetch_done.kept_bytes);
        return;
    }
    uint32_t *holders = holders_of(m, model);
    moved(m, c, m->system.models[model].model.bytes);
    m->fetches += m->counting;
    /* had: its bytes are counted already */
    c->second = m->counting && *holders > 0 && !c->had;
    c->present = c->had = true;
    c->used = false;
    c->came_at = emp_measure_now(m);
    ++*holders;
}

static void copy_goes(struct emp_measure *m, struct emp_measure_copy *c, uint32_t model)
{
    if (!c->present)
        return;
    if (c->second && !c->used)
        redundant(m, c, EMP_MEASURE_UNUSED, c->bytes);
    c->present = false;
    --*holders_of(m, model);
}

static void fetch_done(struct emp_measure *m, struct emp_sim_agent *a,
                       const struct emp_machine_event *e)
{
    struct emp_measure_place *p = emp_measure_place_of(m, a);
    uint32_t model = emp_sim_model_find(&m->system, e->fetch_done.model);
    emp_scorecard_fetched(&m->score, emp_measure_now(m), a->facts.id, e->fetch_done.model,
                          m->system.models[model].model.bytes, e->fetch_done.code == 0,
                          copy_at(m, p, model)->planned);
    copy_came(m, p, e);
}

static void evicted(struct emp_measure *m, struct emp_sim_agent *a,
                    const struct emp_machine_action *x)
{
    uint32_t model = emp_sim_model_find(&m->system, x->del.model);
    struct emp_measure_copy *c = copy_at(m, emp_measure_place_of(m, a), model);
    if (x->del.half) {
        redundant(m, c, EMP_MEASURE_HALF, c->bytes);
    } else {
        m->evictions += m->counting;
        emp_scorecard_evicted(&m->score, emp_measure_now(m), a->facts.id, x->del.model, c->bytes,
                              x->del.planned ? EMP_SCORECARD_FOR_PLAN : EMP_SCORECARD_FOR_JOB);
    }
    copy_goes(m, c, model);
}

/* ---- attempts ---- */

static struct emp_measure_hand *hand_of(struct emp_measure_place *p, uint32_t job)
{
    for (uint32_t i = 0; i < p->hand_count; i++)
        if (p->hands[i].job == job)
            return &p->hands[i];
    return NULL;
}

static void hand_drop(struct emp_measure_place *p, struct emp_measure_hand *h)
{
    *h = p->hands[--p->hand_count];
}

/* From when it counts what the machine does with it. */
static int64_t since(const struct emp_measure *m, emp_mono_ms at)
{
    return emp_measure_now(m) - (at > m->counting_since ? at : m->counting_since);
}

/* It is over before it computed, or before it had ended. */
static void hand_in_vain(struct emp_measure *m, const struct emp_measure_hand *h)
{
    if (!m->counting)
        return;
    if (h->begun_at >= 0)
        m->wasted_ms += since(m, h->computes_at >= 0 ? h->computes_at : h->begun_at);
    else if (m->jobs[h->job].counted)
        m->download_wait_ms += emp_measure_now(m) - m->jobs[h->job].arrived_at;
}

static void note_hits(struct emp_measure *m, struct emp_sim_agent *a, uint32_t job)
{
    struct emp_measure_job *j = &m->jobs[job];
    const struct emp_trace_job *row = emp_measure_row(m, job);
    enum emp_residency least = EMP_RESIDENCY_GPU;
    for (uint32_t i = 0; i < row->model_count && !m->asked->policy->no_models; i++) {
        uint32_t model = m->trace->job_models[row->model + i];
        enum emp_residency at = emp_machine_residency(a->brain, m->trace->models[model].name);
        least = at < least ? at : least;
    }
    j->hit_gpu = least >= EMP_RESIDENCY_GPU;
    j->hit_resident = least >= EMP_RESIDENCY_RAM;
    j->hit_disk = least >= EMP_RESIDENCY_DISK;
}

static void arrives(struct emp_measure *m, struct emp_sim_agent *a,
                    const struct emp_message_assign *assign)
{
    struct emp_measure_place *p = emp_measure_place_of(m, a);
    uint32_t job = emp_measure_job_of(m, assign->job);
    struct emp_measure_hand *h = hand_of(p, job);
    if (h == NULL) {
        size_t count = p->hand_count;
        emp_arena_reserve(&m->arena, p->hands, count, p->hand_cap);
        h = &p->hands[p->hand_count++];
    }
    *h = (struct emp_measure_hand){
        .job = job, .attempt = assign->attempt, .begun_at = -1, .computes_at = -1, .ends_at = -1};
    m->jobs[job].arrived_at = emp_measure_now(m);
    note_hits(m, a, job);
    m->attempts += m->jobs[job].counted;
}

static void begins(struct emp_measure *m, struct emp_sim_agent *a, emp_job_num num)
{
    struct emp_measure_place *p = emp_measure_place_of(m, a);
    uint32_t job = emp_measure_job_of(m, num);
    const struct emp_trace_job *row = emp_measure_row(m, job);
    struct emp_measure_hand *h = hand_of(p, job);
    if (h == NULL)
        return;
    h->begun_at = emp_measure_now(m);
    if (m->jobs[job].counted)
        m->download_wait_ms += h->begun_at - m->jobs[job].arrived_at;
    bool ready = true;
    for (uint32_t i = 0; i < row->model_count && !m->asked->policy->no_models; i++) {
        struct emp_measure_copy *c =
            copy_at(m, p, m->model_number[m->trace->job_models[row->model + i]]);
        c->used = true;
        ready &= c->came_at <= m->jobs[job].submitted_at;
    }
    m->jobs[job].ready = ready;
    emp_scorecard_started(&m->score, h->begun_at, a->facts.id, m->names + row->model,
                          m->asked->policy->no_models ? 0 : row->model_count, ready);
}

static void computes(struct emp_measure *m, struct emp_sim_agent *a, emp_job_num num)
{
    struct emp_measure_place *p = emp_measure_place_of(m, a);
    uint32_t job = emp_measure_job_of(m, num);
    struct emp_measure_hand *h = hand_of(p, job);
    if (h == NULL)
        return;
    h->computes_at = emp_measure_now(m);
    h->ends_at = h->computes_at + emp_measure_run_ms(m, p, job);
    m->jobs[job].started_at = h->computes_at;
    if (m->counting)
        m->wasted_ms += since(m, h->begun_at);
}

/* ---- what is watched ---- */

static void machine_event(void *ctx, struct emp_sim_agent *a, const struct emp_machine_event *e)
{
    struct emp_measure *m = ctx;
    if (e->kind == EMP_MACHINE_EVENT_MESSAGE && e->message->kind == EMP_MESSAGE_ASSIGN)
        arrives(m, a, &e->message->assign);
    else if (e->kind == EMP_MACHINE_EVENT_RUN_STARTED)
        computes(m, a, e->run_started.job);
    else if (e->kind == EMP_MACHINE_EVENT_FETCH_DONE)
        fetch_done(m, a, e);
}

static void machine_action(void *ctx, struct emp_sim_agent *a, const struct emp_machine_action *x)
{
    struct emp_measure *m = ctx;
    struct emp_measure_place *p = emp_measure_place_of(m, a);
    if (x->kind == EMP_MACHINE_RUN) {
        begins(m, a, x->run->job);
    } else if (x->kind == EMP_MACHINE_FETCH) {
        copy_begins(m, p, x);
    } else if (x->kind == EMP_MACHINE_DELETE) {
        evicted(m, a, x);
    } else if (x->kind == EMP_MACHINE_SEND &&
               (x->send.kind == EMP_MESSAGE_RETURNED || x->send.kind == EMP_MESSAGE_FAILED)) {
        struct emp_measure_hand *h = hand_of(p, emp_measure_job_of(m, x->send.finished.job));
        if (h && h->begun_at < 0) {
            hand_in_vain(m, h);
            hand_drop(p, h);
        }
    }
}

static void run_ended(void *ctx, struct emp_sim_agent *a, emp_job_num num, uint32_t attempt,
                      int code)
{
    struct emp_measure *m = ctx;
    struct emp_measure_place *p = emp_measure_place_of(m, a);
    struct emp_measure_hand *h = hand_of(p, emp_measure_job_of(m, num));
    if (h == NULL || h->attempt != attempt)
        return;
    emp_measure_picture_hand(m, p, h);
    if (code)
        hand_in_vain(m, h);
    else if (m->counting && h->computes_at >= 0)
        m->busy_ms += since(m, h->computes_at);
    hand_drop(p, h);
}

static void agent_down(void *ctx, struct emp_sim_agent *a)
{
    struct emp_measure *m = ctx;
    struct emp_measure_place *p = emp_measure_place_of(m, a);
    for (uint32_t i = 0; i < p->hand_count; i++)
        emp_measure_picture_hand(m, p, &p->hands[i]);
    emp_measure_picture_down(m, p);
    for (uint32_t i = 0; i < p->hand_count; i++) {
        m->attempts_lost += m->jobs[p->hands[i].job].counted;
        hand_in_vain(m, &p->hands[i]);
    }
    p->hand_count = 0;
    for (size_t i = 0; i < p->copy_cap; i++) {
        if (p->copies[i].fetching)
            moved(m, &p->copies[i], emp_sim_agent_fetched(a, (uint32_t)i));
        copy_goes(m, &p->copies[i], (uint32_t)i);
        p->copies[i] = (struct emp_measure_copy){0};
    }
}

static int32_t whole(int64_t ms)
{
    return ms > INT32_MAX ? INT32_MAX : (int32_t)ms;
}

static void told(struct emp_measure_job *j, const struct emp_eta *eta)
{
    j->told_start_ms = whole(eta->start_p50_ms);
    j->told_start_p90_ms = whole(eta->start_p90_ms);
    j->told_end_ms = whole(eta->finish_p50_ms);
    j->told_end_p90_ms = whole(eta->finish_p90_ms);
}

static void released(void *ctx, const struct emp_action *action)
{
    struct emp_measure *m = ctx;
    if (action->kind == EMP_ACTION_REPLY && action->reply.request) {
        uint32_t job = (uint32_t)action->reply.request - 1;
        if (action->reply.reply.code) {
            emp_sim_violation(&m->system.world, "job %u was refused: %s", job,
                              action->reply.reply.error.text);
            return;
        }
        m->job_of_num[action->reply.reply.job] = job;
        told(&m->jobs[job], &action->reply.reply.eta);
    } else if (action->kind == EMP_ACTION_NOTIFY && action->notice.kind == EMP_NOTICE_ENDED) {
        uint32_t job = emp_measure_job_of(m, action->notice.job);
        m->jobs[job].completed = action->notice.state == EMP_JOB_COMPLETED;
        m->jobs[job].ended_at = emp_measure_now(m);
        emp_measure_job_ended(m, job);
    }
}

void emp_measure_record_init(struct emp_measure *m)
{
    emp_scorecard_init(&m->score, &m->arena);
    emp_sim_system_observe(&m->system, &(struct emp_sim_observer){.ctx = m,
                                                                  .machine_event = machine_event,
                                                                  .machine_action = machine_action,
                                                                  .run_ended = run_ended,
                                                                  .agent_down = agent_down,
                                                                  .released = released});
}

static const struct emp_planner *planner_of(const struct emp_measure *m)
{
    return m->asked->policy->clairvoyant ? NULL : m->system.broker->planner;
}

void emp_measure_record_count(struct emp_measure *m)
{
    m->score_from = m->score.figures;
    if (planner_of(m))
        m->planner_from = emp_planner_scorecard(planner_of(m))->figures;
}

void emp_measure_record_end(struct emp_measure *m)
{
    emp_scorecard_time(&m->score, emp_measure_now(m));
    if (planner_of(m))
        m->planner_to = emp_planner_scorecard(planner_of(m))->figures;
    for (uint32_t i = 0; i < m->scenario->machines; i++)
        for (size_t c = 0; c < m->places[i].copy_cap; c++)
            copy_goes(m, &m->places[i].copies[c], (uint32_t)c);
}

#include "sim/measure/picture.h"

#include "sim/measure/engine.h"

#include <math.h>
#include <stdlib.h>

void emp_measure_picture_init(struct emp_measure_picture *p)
{
    memset(p, 0, sizeof *p);
    emp_arena_init(&p->arena, 0);
    emp_intern_init(&p->models, &p->arena);
}

void emp_measure_picture_release(struct emp_measure_picture *p)
{
    emp_arena_release(&p->arena);
    memset(p, 0, sizeof *p);
}

double emp_picture_wait_s(uint32_t i)
{
    return 0.1 * pow(10, 6.0 * i / (EMP_PICTURE_WAITS - 1));
}

/* ---- while it runs ---- */

/* The start of the hour in which most counted jobs are submitted. */
static emp_mono_ms busiest(const struct emp_measure *m)
{
    uint32_t first = 0, best = 0;
    emp_mono_ms at = 0;
    while (first < m->job_count && !m->jobs[first].counted)
        first++;
    for (uint32_t end = first; end < m->job_count; end++) {
        while (m->jobs[end].submitted_at - m->jobs[first].submitted_at >= EMP_PICTURE_WINDOW_MS)
            first++;
        if (end - first + 1 > best) {
            best = end - first + 1;
            at = m->jobs[first].submitted_at;
        }
    }
    return at;
}

void emp_measure_picture_begin(struct emp_measure *m)
{
    struct emp_measure_picture *p = m->asked->picture;
    if (p == NULL)
        return;
    p->policy = m->asked->policy->name;
    p->about = m->asked->policy->about;
    p->seed = m->asked->seed;
    p->epoch = m->trace->origin;
    p->window_from = busiest(m);
    p->rows = m->scenario->machines < EMP_PICTURE_ROWS ? m->scenario->machines : EMP_PICTURE_ROWS;
    p->stretches =
        emp_arena_array(&p->arena, struct emp_picture_stretch, EMP_PICTURE_STRETCHES_MAX);
    for (uint32_t i = 0; i < p->rows; i++) {
        struct emp_scenario_machine is;
        emp_scenario_machine(m->scenario, m->asked->seed, i, 0, &is);
        p->row_names[i] = emp_str_copy(&p->arena, is.pool->name);
        p->down_since[i] = EMP_NEVER;
    }
}

static void add(struct emp_measure_picture *p, uint32_t row, enum emp_picture_kind kind,
                struct emp_str model, emp_mono_ms from, emp_mono_ms to)
{
    emp_mono_ms end = p->window_from + EMP_PICTURE_WINDOW_MS;
    from = from < p->window_from ? p->window_from : from;
    to = to > end ? end : to;
    if (row >= p->rows || from >= to)
        return;
    p->cut |= p->stretch_count == EMP_PICTURE_STRETCHES_MAX;
    if (p->cut)
        return;
    p->stretches[p->stretch_count++] =
        (struct emp_picture_stretch){.from = from,
                                     .to = to,
                                     .row = (uint16_t)row,
                                     .model = (uint16_t)emp_intern(&p->models, model),
                                     .kind = (uint8_t)kind};
}

void emp_measure_picture_hand(struct emp_measure *m, const struct emp_measure_place *place,
                              const struct emp_measure_hand *h)
{
    struct emp_measure_picture *p = m->asked->picture;
    const struct emp_trace_job *row = emp_measure_row(m, h->job);
    emp_mono_ms now = emp_measure_now(m);
    if (p == NULL || place->number >= p->rows || now < p->window_from ||
        m->jobs[h->job].arrived_at > p->window_from + EMP_PICTURE_WINDOW_MS)
        return;
    struct emp_str model = {0};
    if (row->model_count)
        model = m->trace->models[m->trace->job_models[row->model]].name;
    emp_mono_ms begun = h->begun_at < 0 ? now : h->begun_at;
    emp_mono_ms computes = h->computes_at < 0 ? now : h->computes_at;
    add(p, place->number, EMP_PICTURE_FETCH, model, m->jobs[h->job].arrived_at, begun);
    add(p, place->number, EMP_PICTURE_LOAD, model, begun, computes);
    add(p, place->number, EMP_PICTURE_RUN, model, computes, now);
}

void emp_measure_picture_down(struct emp_measure *m, const struct emp_measure_place *place)
{
    struct emp_measure_picture *p = m->asked->picture;
    if (p && place->number < p->rows)
        p->down_since[place->number] = emp_measure_now(m);
}

void emp_measure_picture_up(struct emp_measure *m, const struct emp_measure_place *place)
{
    struct emp_measure_picture *p = m->asked->picture;
    if (p == NULL || place->number >= p->rows || p->down_since[place->number] == EMP_NEVER)
        return;
    add(p, place->number, EMP_PICTURE_DOWN, (struct emp_str){0}, p->down_since[place->number],
        emp_measure_now(m));
    p->down_since[place->number] = EMP_NEVER;
}

/* ---- once it is over ---- */

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void waits(const struct emp_measure *m, struct emp_measure_picture *p)
{
    uint64_t within[EMP_PICTURE_WAITS] = {0}, counted = 0;
    for (uint32_t i = 0; i < m->job_count; i++) {
        const struct emp_measure_job *j = &m->jobs[i];
        if (!j->counted)
            continue;
        counted++;
        if (j->started_at < 0)
            continue;
        double s = (double)(j->started_at - j->submitted_at) / 1000;
        double at = ceil(log10((s < 0.1 ? 0.1 : s) / 0.1) * (EMP_PICTURE_WAITS - 1) / 6 - 1e-9);
        if (at < EMP_PICTURE_WAITS)
            within[(uint32_t)at]++;
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < EMP_PICTURE_WAITS; i++) {
        sum += within[i];
        p->wait_share[i] = counted ? (double)sum / (double)counted : 0;
    }
}

/* The most that were between two kinds of instants at once, by column; both in order of time. */
static void between(const struct emp_measure_picture *p, const emp_mono_ms *in, uint32_t in_count,
                    const emp_mono_ms *out, uint32_t out_count, uint32_t ret[EMP_PICTURE_POINTS])
{
    uint32_t a = 0, b = 0, depth = 0, column = 0;
    int64_t width = (p->to - p->from) / EMP_PICTURE_POINTS + 1;
    while (column < EMP_PICTURE_POINTS) {
        emp_mono_ms next_in = a < in_count ? in[a] : EMP_NEVER;
        emp_mono_ms next_out = b < out_count ? out[b] : EMP_NEVER;
        emp_mono_ms next = next_out <= next_in ? next_out : next_in;
        while (column < EMP_PICTURE_POINTS && next >= p->from + (column + 1) * width) {
            ret[column] = depth > ret[column] ? depth : ret[column];
            if (++column < EMP_PICTURE_POINTS)
                ret[column] = depth;
        }
        if (column == EMP_PICTURE_POINTS)
            break;
        if (next_out <= next_in)
            b++, depth -= depth > 0;
        else
            a++, depth++;
        if (next >= p->from && depth > ret[column])
            ret[column] = depth;
    }
}

static void over_time(const struct emp_measure *m, struct emp_measure_picture *p)
{
    emp_mono_ms *in =
        emp_arena_array(&m->asked->picture->arena, emp_mono_ms, 3 * (size_t)m->job_count);
    emp_mono_ms *start = in + m->job_count, *end = start + m->job_count;
    uint32_t jobs = 0, starts = 0, ends = 0;
    p->from = EMP_NEVER;
    for (uint32_t i = 0; i < m->job_count; i++) {
        const struct emp_measure_job *j = &m->jobs[i];
        in[jobs++] = j->submitted_at;
        if (j->started_at >= 0)
            start[starts++] = j->started_at;
        if (j->started_at >= 0 && j->ended_at >= 0)
            end[ends++] = j->ended_at;
        if (j->counted && j->submitted_at < p->from)
            p->from = j->submitted_at;
        if (j->counted && j->ended_at > p->to)
            p->to = j->ended_at;
    }
    qsort(start, starts, sizeof *start, by_time);
    qsort(end, ends, sizeof *end, by_time);
    if (p->from == EMP_NEVER)
        p->from = p->to;
    between(p, in, jobs, start, starts, p->waiting);
    between(p, start, starts, end, ends, p->running);
    emp_arena_give_back(&p->arena, in, 3 * (size_t)m->job_count * sizeof *in);
}

void emp_measure_picture_end(struct emp_measure *m)
{
    struct emp_measure_picture *p = m->asked->picture;
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->rows; i++)
        emp_measure_picture_up(m, &m->places[i]);
    waits(m, p);
    over_time(m, p);
}

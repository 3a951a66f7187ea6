/* Moves stand in a ring in order of time, so what is to be judged next is always the first. Two
 * maps find the last planned copy, and the last one let go, of a machine and model; an older one of
 * the same pair is left to its judgement as it stands. */
#include "policy/scorecard.h"

#include "base/random.h"
#include "policy/forecast_internal.h"

#include <math.h>
#include <string.h>

enum { RING_FIRST = 256 };
#define HOUR   ((int64_t)EMP_USAGE_HOUR_MS)
#define INSIDE 0.8

const uint32_t emp_scorecard_tops[EMP_SCORECARD_TOPS] = {5, 10, EMP_SCORECARD_TOP_MOST};

struct emp_scorecard_move {
    uint64_t key;
    emp_wall_ms at;
    int64_t bytes;
    bool planned; /* else let go, `why` */
    uint8_t why;
    bool proved; /* used; wanted again */
};

/* ------------------------------------------------------------------ figures */

double emp_scorecard_part(double part, double whole)
{
    return whole > 0 ? part / whole : (double)NAN;
}

static void add(struct emp_scorecard_forecast *to, const struct emp_scorecard_forecast *x)
{
    to->hours += x->hours;
    to->came += x->came;
    to->missed += x->missed;
    to->held += x->held;
    to->intervals += x->intervals;
    for (int t = 0; t < EMP_SCORECARD_TOPS; t++) {
        to->top[t] += x->top[t];
        to->top_yesterday[t] += x->top_yesterday[t];
    }
}

struct emp_scorecard_figures emp_scorecard_since(const struct emp_scorecard_figures *now,
                                                 const struct emp_scorecard_figures *from)
{
    struct emp_scorecard_figures d = *now;
    struct emp_scorecard_forecast *f = &d.forecast;
    struct emp_scorecard_moves *m = &d.moves;
    f->hours -= from->forecast.hours;
    f->came -= from->forecast.came;
    f->missed -= from->forecast.missed;
    f->held -= from->forecast.held;
    f->intervals -= from->forecast.intervals;
    for (int t = 0; t < EMP_SCORECARD_TOPS; t++) {
        f->top[t] -= from->forecast.top[t];
        f->top_yesterday[t] -= from->forecast.top_yesterday[t];
    }
    m->jobs -= from->moves.jobs;
    m->ready -= from->moves.ready;
    m->planned -= from->moves.planned;
    m->used -= from->moves.used;
    m->planned_bytes -= from->moves.planned_bytes;
    m->used_bytes -= from->moves.used_bytes;
    m->dropped -= from->moves.dropped;
    for (int w = 0; w < EMP_SCORECARD_FORS; w++) {
        m->evicted[w] -= from->moves.evicted[w];
        m->regretted[w] -= from->moves.regretted[w];
        m->regretted_bytes[w] -= from->moves.regretted_bytes[w];
    }
    return d;
}

void emp_scorecard_init(struct emp_scorecard *s, struct emp_arena *arena)
{
    *s = (struct emp_scorecard){.arena = arena};
    emp_map_init(&s->planned, arena);
    emp_map_init(&s->evicted, arena);
}

struct emp_scorecard_forecast emp_scorecard_lately(const struct emp_scorecard *s)
{
    struct emp_scorecard_forecast sum = {0};
    for (int h = 0; h < EMP_SCORECARD_LATELY_HOURS; h++)
        if (s->hour_of[h] > s->last_hour - EMP_SCORECARD_LATELY_HOURS)
            add(&sum, &s->hours[h]);
    return sum;
}

/* ------------------------------------------------------------------ forecasts */

double emp_scorecard_held(double below, double upto)
{
    double low = (1 - INSIDE) / 2, high = 1 - low;
    if (upto - below < 1e-9)
        return upto >= low && upto <= high;
    return fmax(0, fmin(high, upto) - fmax(low, below)) / (upto - below);
}

static double worth(const struct emp_scorecard_cell *c, bool yesterday)
{
    return yesterday ? c->yesterday : c->known ? c->expected : 0;
}

/* Uses of the models worth most, for each of the tops; what is worth nothing is in none. */
static void tops(const struct emp_scorecard_cell *cells, uint32_t count, bool yesterday,
                 double ret[EMP_SCORECARD_TOPS])
{
    const struct emp_scorecard_cell *best[EMP_SCORECARD_TOP_MOST];
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        double w = worth(&cells[i], yesterday);
        if (w <= 0 || (n == EMP_SCORECARD_TOP_MOST &&
                       w <= worth(best[EMP_SCORECARD_TOP_MOST - 1], yesterday)))
            continue;
        uint32_t at = n < EMP_SCORECARD_TOP_MOST ? n++ : n - 1;
        for (; at > 0 && worth(best[at - 1], yesterday) < w; at--)
            best[at] = best[at - 1];
        best[at] = &cells[i];
    }
    for (int t = 0; t < EMP_SCORECARD_TOPS; t++)
        for (uint32_t i = 0; i < n && i < emp_scorecard_tops[t]; i++)
            ret[t] += best[i]->came;
}

void emp_scorecard_hour(struct emp_scorecard *s, int64_t hour,
                        const struct emp_scorecard_cell *cells, uint32_t count)
{
    struct emp_scorecard_forecast f = {.hours = 1};
    for (uint32_t i = 0; i < count; i++) {
        const struct emp_scorecard_cell *c = &cells[i];
        f.came += c->came;
        f.missed += fabs(c->came - (c->known ? c->median : 0));
        if (c->known) {
            f.held += emp_scorecard_held(c->below, c->upto);
            f.intervals++;
        }
    }
    tops(cells, count, false, f.top);
    tops(cells, count, true, f.top_yesterday);
    add(&s->figures.forecast, &f);
    int64_t slot = hour % EMP_SCORECARD_LATELY_HOURS;
    s->hours[slot] = f;
    s->hour_of[slot] = s->last_hour = hour;
}

/* One model's hour; false: it was neither expected nor used, ever. */
static bool cell_of(const struct emp_forecast *f, const struct emp_forecast_view *v, uint32_t n,
                    int64_t hour, struct emp_scorecard_cell *ret)
{
    const struct emp_usage_series *s = &f->usage->series[n];
    struct emp_forecast_one one;
    *ret = (struct emp_scorecard_cell){.known = emp_forecast_in_view(v, n, &one)};
    ret->came = emp_usage_bucket(s, EMP_USAGE_HOUR, (uint32_t)hour);
    for (int h = 1; h <= 24 && s->last_at >= (hour - 24) * HOUR; h++)
        ret->yesterday += emp_usage_bucket(s, EMP_USAGE_HOUR, (uint32_t)(hour - h));
    if (!ret->known)
        return ret->came > 0;
    ret->expected = one.expected;
    ret->median = one.quantiles[EMP_FORECAST_QUANTILES / 2];
    ret->upto = emp_forecast_below_in_view(v, n, ret->came);
    ret->below = ret->came > 0 ? emp_forecast_below_in_view(v, n, ret->came - 1) : 0;
    return true;
}

void emp_scorecard_judge(struct emp_scorecard *s, int64_t hour, const struct emp_forecast *f,
                         const bool *leave_out, struct emp_arena *scratch)
{
    const struct emp_usage *u = f->usage;
    struct emp_scorecard_cell *cells =
        emp_arena_array(scratch, struct emp_scorecard_cell, u->series_count);
    struct emp_forecast_view v;
    uint32_t n = 0;
    if (!emp_forecast_view_of(f, EMP_FORECAST_1_HOUR, hour * HOUR, &v) || !v.aligned)
        return;
    for (uint32_t i = 1; i < u->series_count; i++)
        if (u->series[i].kind == EMP_USAGE_KIND_MODEL && !leave_out[i])
            n += cell_of(f, &v, i, hour, &cells[n]);
    emp_scorecard_hour(s, hour, cells, n);
}

/* ------------------------------------------------------------------ moves */

static uint64_t key_of(struct emp_str machine, struct emp_str model)
{
    return emp_mix64(emp_str_hash(machine) ^ emp_mix64(emp_str_hash(model))) | 1;
}

static struct emp_scorecard_move *at(const struct emp_scorecard *s, uint32_t number)
{
    return &s->moves[number & (s->cap - 1)];
}

static struct emp_map *map_of(struct emp_scorecard *s, const struct emp_scorecard_move *m)
{
    return m->planned ? &s->planned : &s->evicted;
}

static void count(struct emp_scorecard_moves *f, const struct emp_scorecard_move *m)
{
    if (m->planned) {
        f->planned++;
        f->planned_bytes += m->bytes;
        f->used += m->proved;
        f->used_bytes += m->proved ? m->bytes : 0;
    } else {
        f->evicted[m->why]++;
        f->regretted[m->why] += m->proved;
        f->regretted_bytes[m->why] += m->proved ? m->bytes : 0;
    }
}

static void drop_first(struct emp_scorecard *s)
{
    struct emp_scorecard_move *m = at(s, s->first);
    uint32_t last;
    if (emp_map_get(map_of(s, m), m->key, &last) && last == s->first)
        emp_map_del(map_of(s, m), m->key);
    s->first++;
}

void emp_scorecard_time(struct emp_scorecard *s, emp_wall_ms now)
{
    s->now = now > s->now ? now : s->now;
    while (s->first != s->next && at(s, s->first)->at + EMP_SCORECARD_PATIENCE_MS < s->now) {
        count(&s->figures.moves, at(s, s->first));
        drop_first(s);
    }
}

static void make_room(struct emp_scorecard *s)
{
    if (s->next - s->first < s->cap)
        return;
    if (s->cap == EMP_SCORECARD_MOVES_MAX) {
        drop_first(s);
        s->figures.moves.dropped++;
        return;
    }
    uint32_t cap = s->cap ? s->cap * 2 : RING_FIRST;
    struct emp_scorecard_move *moves = emp_arena_array(s->arena, struct emp_scorecard_move, cap);
    for (uint32_t i = s->first; i != s->next; i++)
        moves[i & (cap - 1)] = *at(s, i);
    s->moves = moves;
    s->cap = cap;
}

static void add_move(struct emp_scorecard *s, const struct emp_scorecard_move *m)
{
    make_room(s);
    *at(s, s->next) = *m;
    emp_map_put(map_of(s, m), m->key, s->next++);
}

static void prove(struct emp_scorecard *s, const struct emp_map *map, uint64_t key)
{
    uint32_t number;
    if (emp_map_get(map, key, &number))
        at(s, number)->proved = true;
}

void emp_scorecard_fetched(struct emp_scorecard *s, emp_wall_ms when, struct emp_str machine,
                           struct emp_str model, int64_t bytes, bool came, bool planned)
{
    uint64_t key = key_of(machine, model);
    emp_scorecard_time(s, when);
    prove(s, &s->evicted, key);
    emp_map_del(&s->evicted, key);
    if (!came)
        return;
    emp_map_del(&s->planned, key); /* an earlier copy is gone, whatever became of it */
    if (planned)
        add_move(s, &(struct emp_scorecard_move){
                        .key = key, .at = s->now, .bytes = bytes, .planned = true});
}

void emp_scorecard_evicted(struct emp_scorecard *s, emp_wall_ms when, struct emp_str machine,
                           struct emp_str model, int64_t bytes, enum emp_scorecard_for why)
{
    uint64_t key = key_of(machine, model);
    emp_scorecard_time(s, when);
    emp_map_del(&s->planned, key);
    add_move(s, &(struct emp_scorecard_move){
                    .key = key, .at = s->now, .bytes = bytes, .why = (uint8_t)why});
}

void emp_scorecard_started(struct emp_scorecard *s, emp_wall_ms when, struct emp_str machine,
                           const struct emp_str *models, uint32_t model_count, bool ready)
{
    emp_scorecard_time(s, when);
    if (model_count == 0)
        return;
    s->figures.moves.jobs++;
    s->figures.moves.ready += ready;
    for (uint32_t i = 0; i < model_count; i++)
        prove(s, &s->planned, key_of(machine, models[i]));
}

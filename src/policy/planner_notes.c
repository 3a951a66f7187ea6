/* What notes become: uses go to the usage log, which the forecast learns from hour by hour; what a
 * set of models needs is kept beside it; what came of forecasts and moves goes to the scorecard. */
#include "policy/planner_internal.h"

#include <string.h>

enum { CATCH_UP_HOURS = 48 /* judged after a silence; what was longer ago is not */ };
#define RUN_MEMORY 0.2 /* weight of the newest run time */

const double emp_planner_tier_weight[EMP_TIER_COUNT] = {1, 2, 4};

uint32_t emp_planner_name(struct emp_planner *p, struct emp_str s)
{
    return s.len ? emp_intern(&p->names, s) : 0;
}

struct emp_planner_facts *emp_planner_facts_of(struct emp_planner *p, uint32_t set)
{
    emp_arena_reach(&p->arena, p->sets, set, p->set_cap, 256);
    struct emp_planner_facts *f = &p->sets[set];
    if (f->generation != p->usage.series[set].generation || f->run_ms <= 0)
        *f = (struct emp_planner_facts){.generation = p->usage.series[set].generation, .weight = 1};
    return f;
}

/* The names' models in the order that the usage log wants: what others hang on first. */
static void base_first(const struct emp_note *n, const struct emp_snapshot *in,
                       const struct emp_map *index, struct emp_str *models, struct emp_str *kinds)
{
    uint32_t at = 0;
    for (int hangs = 0; hangs < 2; hangs++)
        for (uint32_t i = 0; i < n->model_count; i++) {
            uint32_t m;
            bool known = emp_map_get(index, emp_str_hash(n->models[i]) | 1, &m) &&
                         emp_str_eq(in->models[m].name, n->models[i]);
            if ((known && in->models[m].modifies) != (hangs == 1))
                continue;
            models[at] = n->models[i];
            kinds[at++] = known ? in->models[m].kind : (struct emp_str){0};
        }
}

static void note_use(struct emp_planner *p, const struct emp_note *n,
                     const struct emp_usage_event *e)
{
    uint32_t set = emp_usage_observe(&p->usage, e);
    if (set == EMP_USAGE_NONE)
        return;
    struct emp_planner_facts *f = emp_planner_facts_of(p, set);
    double run_ms = n->run_ms > 0 ? (double)n->run_ms : EMP_PLANNER_RUN_GUESS_MS;
    double weight = emp_planner_tier_weight[(unsigned)n->tier < EMP_TIER_COUNT ? n->tier : 0];
    bool first = f->run_ms <= 0;
    f->service = n->service.len ? emp_intern(&p->services, n->service) : 0;
    f->pool = emp_planner_name(p, n->pool);
    f->region = emp_planner_name(p, n->region);
    f->customer = emp_planner_name(p, n->customer);
    f->run_ms = first ? run_ms : f->run_ms + RUN_MEMORY * (run_ms - f->run_ms);
    f->weight = first ? weight : f->weight + RUN_MEMORY * (weight - f->weight);
}

/* Models that hang on others are not judged, nor those that nobody can ask for any more. */
static const bool *not_judged(const struct emp_planner *p, const struct emp_snapshot *in,
                              const struct emp_map *index, struct emp_arena *a)
{
    const struct emp_usage *u = &p->usage;
    bool *leave_out = emp_arena_array(a, bool, u->series_count);
    for (uint32_t i = 1; i < u->series_count; i++) {
        uint32_t m;
        leave_out[i] = u->series[i].kind == EMP_USAGE_KIND_MODEL &&
                       (!emp_map_get(index, emp_str_hash(u->series[i].name) | 1, &m) ||
                        in->models[m].modifies);
    }
    return leave_out;
}

/* Each hour that is over is judged by the forecast as it stood at its beginning, before that
 * learns of the hour. */
void emp_planner_hours_pass(struct emp_planner *p, const struct emp_snapshot *in,
                            const struct emp_map *index, emp_wall_ms until, struct emp_arena *a)
{
    int64_t hour = until / EMP_USAGE_HOUR_MS;
    if (p->hour == 0 || hour - p->hour > CATCH_UP_HOURS) {
        emp_forecast_update(&p->forecast, until);
        p->hour = hour;
        return;
    }
    while (p->hour < hour) {
        emp_scorecard_judge(&p->score, p->hour, &p->forecast, not_judged(p, in, index, a), a);
        p->hour++;
        emp_forecast_update(&p->forecast, p->hour * EMP_USAGE_HOUR_MS);
    }
}

static void note_score(struct emp_planner *p, const struct emp_note *n)
{
    if (n->machine.len == 0 || n->model_count == 0)
        return;
    if (n->kind == EMP_NOTE_START)
        emp_scorecard_started(&p->score, n->at, n->machine, n->models, n->model_count, n->ready);
    else if (n->kind == EMP_NOTE_FETCH)
        emp_scorecard_fetched(&p->score, n->at, n->machine, n->models[0], n->bytes, n->ok,
                              n->planned);
    else if (n->kind == EMP_NOTE_EVICT)
        emp_scorecard_evicted(&p->score, n->at, n->machine, n->models[0], n->bytes,
                              n->planned ? EMP_SCORECARD_FOR_PLAN : EMP_SCORECARD_FOR_JOB);
}

void emp_planner_take_notes(struct emp_planner *p, const struct emp_snapshot *in,
                            const struct emp_map *index, struct emp_arena *a)
{
    for (uint32_t i = 0; i < in->note_count; i++) {
        const struct emp_note *n = &in->notes[i];
        note_score(p, n);
        if (n->kind == EMP_NOTE_EVICT)
            continue;
        struct emp_str *models = emp_arena_array(a, struct emp_str, n->model_count);
        struct emp_str *kinds = emp_arena_array(a, struct emp_str, n->model_count);
        base_first(n, in, index, models, kinds);
        struct emp_usage_event e = {.at = n->at,
                                    .models = models,
                                    .groups = kinds,
                                    .model_count = n->model_count,
                                    .pool = n->pool,
                                    .region = n->region,
                                    .tier = emp_str_z(emp_tier_word(n->tier))};
        if (n->kind == EMP_NOTE_USE) {
            if (p->hour)
                emp_planner_hours_pass(p, in, index, n->at, a);
            note_use(p, n, &e);
        } else if (n->kind == EMP_NOTE_START) {
            uint32_t set = emp_usage_find_set(&p->usage, models, n->model_count);
            if (set != EMP_USAGE_NONE)
                emp_usage_observe_wait(&p->usage, set, n->wait_ms, n->brought);
        } else {
            uint32_t model = emp_usage_find(&p->usage, EMP_USAGE_KIND_MODEL, n->models[0]);
            if (model != EMP_USAGE_NONE)
                emp_usage_observe_download(&p->usage, model, n->bytes, n->ms, n->ok);
        }
    }
}

/* Intelligence in the open: what the last plan (planning.h) rests on, and what it wants. Looks on
 * the loop's thread; nothing is computed but the sentences. Until there is a plan, and with
 * intelligence off, all lists are empty. */
#include "broker/api.h"
#include "broker/look.h"

#include <math.h>
#include <stdlib.h>

enum { LOW = 1, HIGH = 5 }; /* of emp_forecast_levels: .1 and .9 */

static const char *const window_names[EMP_FORECAST_WINDOWS] = {"10m", "1h", "6h", "24h"};

/* The last plan, or NULL; with what every answer begins with. */
static const struct emp_plan_result *begin(struct emp_broker *b, struct emp_look *l,
                                           struct emp_writer *w)
{
    bool on = b->o.settings->intelligence.on;
    const struct emp_planning_run *last = b->planning.last;

    emp_api_begin_success(w, &l->body);
    emp_write_bool(w, "enabled", on);
    if (last)
        emp_write_time(w, "planned_at", last->result.at);
    else
        emp_write_null(w, "planned_at");
    return last ? &last->result : NULL;
}

/* Three decimals: more says nothing about a forecast. */
static void write_number(struct emp_writer *w, const char *name, double v)
{
    emp_write_double(w, name, round(v * 1000) / 1000);
}

static void write_when(struct emp_writer *w, const char *name, emp_wall_ms at)
{
    if (at)
        emp_write_time(w, name, at);
    else
        emp_write_null(w, name);
}

static bool fits(struct emp_str wanted, struct emp_str name)
{
    return wanted.len == 0 || emp_str_eq(wanted, name);
}

/* The forecasts that the query asks for, most wanted first: each to `write`, at most `limit`. */
static void write_forecasts(struct emp_writer *w, const char *name,
                            const struct emp_plan_result *plan, const struct emp_look *l,
                            void (*write)(struct emp_writer *w, const struct emp_plan_forecast *f,
                                          void *ctx),
                            void *ctx)
{
    uint32_t total = 0;

    emp_write_array(w, name);
    for (uint32_t i = 0; plan && i < plan->forecast_count; i++) {
        if (!fits(l->query.model, plan->forecasts[i].model))
            continue;
        if (total++ < l->query.limit)
            write(w, &plan->forecasts[i], ctx);
    }
    emp_write_end(w);
    emp_write_u64(w, "total", total);
}

/* ------------------------------------------------------------------ how good it was */

static void write_part(struct emp_writer *w, const char *name, double part, double whole)
{
    if (whole > 0)
        write_number(w, name, part / whole);
    else
        emp_write_null(w, name);
}

static void write_accuracy(struct emp_writer *w, const char *name,
                           const struct emp_scorecard_forecast *f)
{
    static const char *const tops[EMP_SCORECARD_TOPS] = {"top5", "top10", "top20"};
    static const char *const yesterday[EMP_SCORECARD_TOPS] = {"top5_yesterday", "top10_yesterday",
                                                              "top20_yesterday"};

    emp_write_object(w, name);
    emp_write_u64(w, "hours", f->hours);
    emp_write_double(w, "requests", f->came);
    write_part(w, "wape", f->missed, f->came);
    write_part(w, "coverage_80", f->held, (double)f->intervals);
    for (int t = 0; t < EMP_SCORECARD_TOPS; t++) {
        write_part(w, tops[t], f->top[t], f->came);
        write_part(w, yesterday[t], f->top_yesterday[t], f->came);
    }
    emp_write_end(w);
}

static void write_evictions(struct emp_writer *w, const char *name,
                            const struct emp_scorecard_moves *m, enum emp_scorecard_for why)
{
    emp_write_object(w, name);
    emp_write_u64(w, "evicted", m->evicted[why]);
    emp_write_u64(w, "regretted", m->regretted[why]);
    emp_write_end(w);
}

/* What was said before, held against what came. */
static void write_scorecard(struct emp_writer *w, const struct emp_plan_result *plan)
{
    if (plan == NULL) {
        emp_write_null(w, "scorecard");
        return;
    }
    const struct emp_scorecard_moves *m = &plan->score.moves;
    emp_write_object(w, "scorecard");
    write_accuracy(w, "forecast", &plan->score.forecast);
    write_accuracy(w, "forecast_24h", &plan->score_lately);
    emp_write_object(w, "prewarm");
    emp_write_u64(w, "jobs", m->jobs);
    write_part(w, "coverage", (double)m->ready, (double)m->jobs);
    emp_write_u64(w, "planned", m->planned);
    write_part(w, "precision", (double)m->used, (double)m->planned);
    emp_write_end(w);
    emp_write_object(w, "evictions_regretted");
    write_evictions(w, "by_plan", m, EMP_SCORECARD_FOR_PLAN);
    write_evictions(w, "by_machine", m, EMP_SCORECARD_FOR_JOB);
    emp_write_end(w);
    emp_write_end(w);
}

/* ------------------------------------------------------------------ forecast */

/* Where the plan wants a model: machines by model, each model's from[m] to from[m + 1]. */
struct holders {
    const struct emp_plan_result *plan;
    struct emp_map index; /* hash of the model's name -> number */
    uint32_t *from, *machines;
};

static void holders_make(struct holders *h, const struct emp_plan_result *plan, struct emp_arena *a)
{
    uint32_t models = plan->input.model_count;

    h->plan = plan;
    h->from = emp_arena_array(a, uint32_t, models + 2);
    h->machines = emp_arena_array(a, uint32_t, plan->plan.want_count);
    memset(h->from, 0, (models + 2) * sizeof *h->from);
    emp_map_init(&h->index, a);
    for (uint32_t i = 0; i < models; i++)
        emp_map_put(&h->index, emp_str_hash(plan->model_names[i]) | 1, i);
    for (uint32_t i = 0; i < plan->plan.want_count; i++)
        h->from[plan->plan.wants[i].model + 2] += plan->plan.wants[i].tier > EMP_RESIDENCY_NONE;
    for (uint32_t i = 2; i < models + 2; i++)
        h->from[i] += h->from[i - 1];
    for (uint32_t i = 0; i < plan->plan.want_count; i++) {
        const struct emp_place_want *want = &plan->plan.wants[i];
        if (want->tier > EMP_RESIDENCY_NONE)
            h->machines[h->from[want->model + 1]++] = want->machine;
    }
}

static void write_holders(struct emp_writer *w, const struct holders *h, struct emp_str model)
{
    uint32_t m;

    emp_write_array(w, "recommendedPlacement");
    if (emp_map_get(&h->index, emp_str_hash(model) | 1, &m) &&
        emp_str_eq(h->plan->model_names[m], model))
        for (uint32_t i = h->from[m]; i < h->from[m + 1]; i++)
            emp_write_str(w, NULL, h->plan->machine_ids[h->machines[i]]);
    emp_write_end(w);
}

static void write_interval(struct emp_writer *w, const char *name,
                           const struct emp_forecast_one *one)
{
    emp_write_object(w, name);
    write_number(w, "low", one->quantiles[LOW]);
    write_number(w, "high", one->quantiles[HIGH]);
    emp_write_end(w);
}

static void write_life(struct emp_writer *w, const struct emp_usage_evidence *e)
{
    emp_write_object(w, "lifecycle");
    emp_write_z(w, "stage", emp_usage_life_word(e->life));
    write_number(w, "age_days", e->age_days);
    write_number(w, "silent_days", e->silent_days);
    write_number(w, "recent", e->recent);
    write_number(w, "before", e->before);
    write_number(w, "fleet_recent", e->fleet_recent);
    write_number(w, "fleet_before", e->fleet_before);
    write_number(w, "score", e->score);
    emp_write_end(w);
}

static void write_forecast(struct emp_writer *w, const struct emp_plan_forecast *f, void *ctx)
{
    emp_write_object(w, NULL);
    emp_write_str(w, "modelId", f->model);
    emp_write_str_opt(w, "kind", f->kind);
    emp_write_object(w, "predictedUsage");
    for (int i = 0; i < EMP_FORECAST_WINDOWS; i++)
        write_number(w, window_names[i], f->windows[i].expected);
    emp_write_end(w);
    emp_write_object(w, "interval");
    for (int i = 0; i < EMP_FORECAST_WINDOWS; i++)
        write_interval(w, window_names[i], &f->windows[i]);
    emp_write_end(w);
    write_number(w, "confidenceScore", f->windows[EMP_FORECAST_1_HOUR].confidence);
    write_holders(w, ctx, f->model);
    emp_write_z(w, "timePattern", emp_forecast_pattern_word(f->pattern));
    write_life(w, &f->life);
    emp_write_u64(w, "uses", f->uses);
    emp_write_end(w);
}

static void forecast_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_writer w;
    struct holders h;
    const struct emp_plan_result *plan = begin(b, l, &w);

    if (plan)
        holders_make(&h, plan, &l->op.arena);
    write_forecasts(&w, "models", plan, l, write_forecast, &h);
    emp_api_end_success(&w);
}

void emp_api_forecast(const struct emp_call *c)
{
    emp_look_post_list(c, forecast_look, EMP_ANSWER_JSON, EMP_QUERY_LIMIT | EMP_QUERY_MODEL);
}

/* ------------------------------------------------------------------ patterns */

static void write_waits(struct emp_writer *w, const char *name, const struct emp_usage_waits *v)
{
    emp_write_object(w, name);
    emp_write_u64(w, "count", v->count);
    emp_write_ms(w, "seconds", (int64_t)v->sum_ms);
    emp_write_u64(w, "within_10s", v->within_10s);
    emp_write_end(w);
}

static void write_pattern(struct emp_writer *w, const struct emp_plan_forecast *f, void *ctx)
{
    (void)ctx;
    emp_write_object(w, NULL);
    emp_write_str(w, "modelId", f->model);
    emp_write_str_opt(w, "kind", f->kind);
    emp_write_u64(w, "uses", f->uses);
    write_number(w, "uses_3_days", f->life.recent);
    write_when(w, "last_used_at", f->last_at);
    write_waits(w, "first_uses", &f->first);
    write_waits(w, "repeated_uses", &f->repeat);
    emp_write_object(w, "downloads");
    emp_write_u64(w, "count", f->downloads.count);
    emp_write_u64(w, "failed", f->downloads.failed);
    emp_write_u64(w, "bytes", f->downloads.bytes);
    emp_write_ms(w, "seconds", (int64_t)f->downloads.ms);
    emp_write_end(w);
    emp_write_z(w, "timePattern", emp_forecast_pattern_word(f->pattern));
    emp_write_end(w);
}

static void patterns_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_writer w;
    const struct emp_plan_result *plan = begin(b, l, &w);

    write_forecasts(&w, "models", plan, l, write_pattern, NULL);
    emp_api_end_success(&w);
}

void emp_api_patterns(const struct emp_call *c)
{
    emp_look_post_list(c, patterns_look, EMP_ANSWER_JSON, EMP_QUERY_LIMIT | EMP_QUERY_MODEL);
}

/* ------------------------------------------------------------------ affinity */

static void affinity_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_writer w;
    const struct emp_plan_result *plan = begin(b, l, &w);
    uint32_t total = plan ? plan->collection_count : 0;

    emp_write_array(&w, "collections");
    for (uint32_t i = 0; i < total && i < l->query.limit; i++) {
        const struct emp_plan_collection *c = &plan->collections[i];
        emp_write_object(&w, NULL);
        emp_write_strs(&w, "models", c->models, c->model_count);
        write_number(&w, "strength", c->strength);
        write_number(&w, "uses", c->uses);
        emp_write_end(&w);
    }
    emp_write_end(&w);
    emp_write_u64(&w, "total", total);
    emp_api_end_success(&w);
}

void emp_api_affinity(const struct emp_call *c)
{
    emp_look_post_list(c, affinity_look, EMP_ANSWER_JSON, EMP_QUERY_LIMIT);
}

/* ------------------------------------------------------------------ placement */

/* Most worth first, then as in the plan: by machine and model. */
static int by_worth(const void *x, const void *y)
{
    const struct emp_place_want *a = *(const struct emp_place_want *const *)x,
                                *b = *(const struct emp_place_want *const *)y;

    if (a->worth != b->worth)
        return a->worth > b->worth ? -1 : 1;
    return (a > b) - (a < b);
}

static uint32_t wants_asked(const struct emp_plan_result *plan, struct emp_look *l,
                            const struct emp_place_want ***ret)
{
    uint32_t count = 0;

    *ret = emp_arena_array(&l->op.arena, const struct emp_place_want *, plan->plan.want_count);
    for (uint32_t i = 0; i < plan->plan.want_count; i++) {
        const struct emp_place_want *want = &plan->plan.wants[i];
        if (fits(l->query.machine, plan->machine_ids[want->machine]) &&
            fits(l->query.model, plan->model_names[want->model]))
            (*ret)[count++] = want;
    }
    if (count)
        qsort(*ret, count, sizeof **ret, by_worth);
    return count;
}

static void write_want(struct emp_writer *w, const struct emp_plan_result *plan,
                       const struct emp_place_want *want, struct emp_arena *a)
{
    emp_write_object(w, NULL);
    emp_write_str(w, "machine_id", plan->machine_ids[want->machine]);
    emp_write_str(w, "modelId", plan->model_names[want->model]);
    emp_write_z(w, "tier_wanted", emp_residency_word(want->tier));
    emp_write_z(w, "tier_present", emp_residency_word(want->present));
    write_number(w, "worth", want->worth);
    write_number(w, "uses_per_hour", want->uses_per_hour);
    emp_write_u64(w, "replica", want->replica);
    emp_write_u64(w, "replicas", want->replicas);
    emp_write_z(w, "why", emp_place_explain(a, &plan->input, &plan->plan, want));
    emp_write_end(w);
}

static void placement_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_writer w;
    const struct emp_place_want **wants = NULL;
    const struct emp_plan_result *plan = begin(b, l, &w);
    uint32_t total = plan ? wants_asked(plan, l, &wants) : 0;

    emp_write_array(&w, "placement");
    for (uint32_t i = 0; i < total && i < l->query.limit; i++)
        write_want(&w, plan, wants[i], &l->op.arena);
    emp_write_end(&w);
    emp_write_u64(&w, "total", total);
    write_scorecard(&w, plan);
    emp_api_end_success(&w);
}

void emp_api_placement(const struct emp_call *c)
{
    emp_look_post_list(c, placement_look, EMP_ANSWER_JSON,
                       EMP_QUERY_LIMIT | EMP_QUERY_MODEL | EMP_QUERY_MACHINE);
}

/* ------------------------------------------------------------------ predictions */

static void write_prediction(struct emp_writer *w, const struct emp_plan_forecast *f, void *ctx)
{
    const struct emp_forecast_one *one = &f->windows[EMP_FORECAST_1_HOUR];

    (void)ctx;
    emp_write_object(w, NULL);
    emp_write_str(w, "modelId", f->model);
    write_number(w, "expected", one->expected);
    write_number(w, "probability", one->any);
    write_interval(w, "interval", one);
    write_number(w, "confidenceScore", one->confidence);
    emp_write_end(w);
}

static void predictions_look(struct emp_broker *b, struct emp_look *l)
{
    struct emp_writer w;
    const struct emp_plan_result *plan = begin(b, l, &w);
    emp_wall_ms until = plan ? plan->at + emp_forecast_window_ms[EMP_FORECAST_1_HOUR]
                             : (emp_wall_ms)0;

    write_when(&w, "until", until);
    write_forecasts(&w, "predictions", plan, l, write_prediction, NULL);
    write_scorecard(&w, plan);
    emp_api_end_success(&w);
}

void emp_api_predictions(const struct emp_call *c)
{
    emp_look_post_list(c, predictions_look, EMP_ANSWER_JSON, EMP_QUERY_LIMIT | EMP_QUERY_MODEL);
}

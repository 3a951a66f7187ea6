/* Jobs beside the trace, for scenarios that have them: text after ServeGen's arrival laws (rate and
 * variation of the gaps change every ten minutes, gaps are gamma), video as a Poisson stream by the
 * hour with sets of models out of a catalogue of workflows. */
#include "sim/measure/draw.h"
#include "sim/measure/scenario.h"

#include <math.h>
#include <stdio.h>

#define DAY_MS    INT64_C(86400000)
#define WINDOW_MS INT64_C(600000)

enum { USERS = 300, SET_MAX = EMP_JOB_MODELS_MAX };

struct list {
    struct emp_trace_job *jobs;
    uint32_t count;
    size_t cap;
};

static void list_add(struct emp_trace *t, struct list *l, struct emp_trace_job job)
{
    emp_arena_reserve(&t->arena, l->jobs, l->count, l->cap);
    l->jobs[l->count++] = job;
}

static uint32_t rank_draw(struct emp_random *r, const struct emp_quantiles *q)
{
    uint32_t count = (uint32_t)emp_quantiles_at(q, 1), rank = (uint32_t)emp_quantiles_draw(q, r);
    return count == 0 ? 0 : rank < count ? rank : count - 1;
}

static uint32_t user_draw(struct emp_trace *t, struct emp_random *r, const char *stream)
{
    char name[32];
    snprintf(name, sizeof name, "%s-user-%03u", stream, (unsigned)emp_random_below(r, USERS));
    return emp_intern(&t->users, emp_str_z(name));
}

static uint32_t model_named(struct emp_trace *t, uint64_t seed, enum emp_trace_model_kind kind,
                            uint32_t n)
{
    char name[48];
    snprintf(name, sizeof name, "%s-%03u-%04x", emp_trace_model_kind_word(kind), n,
             (unsigned)(emp_mix64(seed * 1000003 + n + (uint64_t)kind * 65537) & 0xffff));
    return emp_trace_model(t, emp_str_z(name), kind, 0);
}

static struct emp_trace_job job_of(struct emp_trace *t, enum emp_trace_job_kind kind,
                                   const char *service, int64_t at, double run_ms, double priority)
{
    return (struct emp_trace_job){
        .submitted_at = at,
        .exec_ms = (int32_t)lround(run_ms),
        .priority = (float)priority,
        .service = (uint8_t)emp_intern(&t->services, emp_str_z(service)),
        .kind = (uint8_t)kind,
    };
}

/* ── text ── */

static void text_job(struct emp_trace *t, const struct emp_scenario_text *x, struct emp_random *r,
                     uint64_t seed, int64_t at, struct list *l)
{
    struct emp_trace_job job =
        job_of(t, EMP_TRACE_JOB_TEXT, "text", at, emp_quantiles_draw(&x->run_ms, r), x->priority);
    uint32_t model = model_named(t, seed, EMP_TRACE_TEXT, rank_draw(r, &x->model_rank));
    job.user = user_draw(t, r, "text");
    job.model = emp_trace_job_models(t, &model, 1);
    job.model_count = 1;
    list_add(t, l, job);
}

/* A gap is drawn in units of the mean gap and used up at the rates of the windows it spans. */
static void text(struct emp_trace *t, const struct emp_scenario *sc, uint64_t seed, int64_t end,
                 struct list *l)
{
    const struct emp_scenario_text *x = &sc->text;
    double mean = emp_quantiles_mean(&x->rate), left = 0;
    struct emp_random r;
    emp_random_init(&r, emp_mix64(seed ^ UINT64_C(0x74657874)));
    if (!(x->jobs_per_hour > 0) || !(mean > 0))
        return;
    for (int64_t start = t->origin; start < end; start += WINDOW_MS) {
        double hour = x->hour_weight[start % DAY_MS / 3600000] * 24 * x->jobs_per_hour;
        double per_ms = hour * emp_quantiles_draw(&x->rate, &r) / mean / 3600000;
        double cv = emp_quantiles_draw(&x->cv, &r), at = 0;
        while (at + left / (per_ms > 0 ? per_ms : 1e-18) < WINDOW_MS) {
            at += left / per_ms;
            text_job(t, x, &r, seed, start + (int64_t)at, l);
            left = emp_draw_gamma(&r, cv);
        }
        left -= (WINDOW_MS - at) * per_ms;
        left = left < 0 ? 0 : left;
    }
}

/* ── video ── */

/* The models of a workflow: its diffusion model, and others that it shares with other workflows. */
static uint16_t workflow_models(struct emp_trace *t, const struct emp_scenario_video *v,
                                uint64_t seed, uint32_t workflow, uint32_t models[SET_MAX])
{
    struct emp_random r;
    emp_random_init(&r, emp_mix64(seed ^ ((uint64_t)workflow << 20) ^ UINT64_C(0x766964656f)));
    uint32_t count = (uint32_t)lround(emp_quantiles_draw(&v->extra_count, &r));
    uint32_t extras = v->extras < 1 ? 1 : (uint32_t)v->extras;
    uint16_t n = 0;
    models[n++] = model_named(t, seed, EMP_TRACE_VIDEO, workflow);
    for (uint32_t i = 0; i < count && n < SET_MAX; i++) {
        /* Squared: some are in many workflows (a VAE), most in few. */
        double u = emp_random_unit(&r);
        uint32_t extra = model_named(t, seed, EMP_TRACE_OTHER, (uint32_t)(u * u * extras));
        bool twice = false;
        for (uint16_t k = 0; k < n; k++)
            twice |= models[k] == extra;
        if (!twice)
            models[n++] = extra;
    }
    return n;
}

static void video(struct emp_trace *t, const struct emp_scenario *sc, uint64_t seed, int64_t end,
                  struct list *l)
{
    const struct emp_scenario_video *v = &sc->video;
    struct emp_random r;
    double left;
    emp_random_init(&r, emp_mix64(seed ^ UINT64_C(0x76696473)));
    if (!(v->jobs_per_hour > 0))
        return;
    left = emp_draw_gamma(&r, 1);
    for (int64_t start = t->origin; start < end; start += WINDOW_MS) {
        double hour = v->hour_weight[start % DAY_MS / 3600000] * 24 * v->jobs_per_hour;
        double per_ms = hour / 3600000, at = 0;
        while (per_ms > 0 && at + left / per_ms < WINDOW_MS) {
            uint32_t models[SET_MAX];
            at += left / per_ms;
            struct emp_trace_job job = job_of(t, EMP_TRACE_JOB_VIDEO, "video", start + (int64_t)at,
                                              emp_quantiles_draw(&v->run_ms, &r), v->priority);
            uint16_t n = workflow_models(t, v, seed, rank_draw(&r, &v->workflow_rank), models);
            job.user = user_draw(t, &r, "video");
            job.model = emp_trace_job_models(t, models, n);
            job.model_count = n;
            list_add(t, l, job);
            left = emp_draw_gamma(&r, 1);
        }
        left -= (WINDOW_MS - at) * per_ms;
        left = left < 0 ? 0 : left;
    }
}

/* ── together ── */

/* Puts sorted jobs among the timed ones; of equal times the trace's come first. */
static void merge(struct emp_trace *t, const struct list *l)
{
    size_t cap = (size_t)t->job_count + l->count;
    struct emp_trace_job *all = emp_arena_array(&t->arena, struct emp_trace_job, cap);
    uint32_t a = t->history_count, b = 0, n = t->history_count;
    if (l->count == 0)
        return;
    memcpy(all, t->jobs, (size_t)t->history_count * sizeof *all);
    while (a < t->job_count || b < l->count) {
        bool first = b == l->count ||
                     (a < t->job_count && t->jobs[a].submitted_at <= l->jobs[b].submitted_at);
        all[n++] = first ? t->jobs[a++] : l->jobs[b++];
    }
    t->jobs = all;
    t->job_count = n;
    t->job_cap = cap;
    for (t->counted_from = t->history_count;
         t->counted_from < n && all[t->counted_from].submitted_at < t->counted_since;)
        t->counted_from++;
}

void emp_trace_add_streams(struct emp_trace *t, const struct emp_scenario *sc, uint64_t seed)
{
    struct list texts = {0}, videos = {0};
    if (t->job_count == t->history_count)
        return;
    int64_t end = t->jobs[t->job_count - 1].submitted_at / DAY_MS * DAY_MS + DAY_MS;
    text(t, sc, seed, end, &texts);
    video(t, sc, seed, end, &videos);
    merge(t, &texts);
    merge(t, &videos);
}

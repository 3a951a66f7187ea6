/* One pass per job. The regression is weighted by the inverse of the error (least absolute
 * deviations, as in forecast_mix.c): run times have a long upper tail of waits and loads that must
 * not bend it. */
#include "policy/duration_internal.h"

#include "base/random.h"
#include "domain/limits.h"
#include "policy/series_internal.h"

#include <math.h>
#include <string.h>

enum { SETTLE_EVERY = 100 };

#define KEEP         0.99977 /* of the regression, per job: half in 3,000 */
#define KEEP_ERRORS  0.9995  /* of the errors: half in 1,400 */
#define LOAD_GAIN    0.1
#define LOAD_SHARE   0.5
#define OFF_MAX      0.7 /* what one job may teach: a factor of two */
#define NEAR         0.1
#define ERRORS_PRIOR 30.0 /* observations that the pooled errors count for */

/* Shrinkage in jobs, and what a like keeps per job of its own. */
static const struct {
    double doubt, keep;
} levels[LEVELS] = {{5, 0.9977}, {5, 0.9931}, {3, 0.9772}, {2, 0.9548}, {4, 0.9}};

void emp_duration_init(struct emp_duration *d, struct emp_arena *arena)
{
    *d = (struct emp_duration){arena, emp_arena_new(arena, struct emp_duration_state)};
    for (int l = 0; l < LEVELS; l++)
        emp_map_init(&d->state->level[l].by_key, arena);
}

/* ---- a job in numbers ---- */

static double log_of(double v)
{
    return v > 0 && isfinite(v) ? log(v) : 0;
}

static void features(const struct emp_duration_job *job, double x[FEATURES])
{
    double others = job->model_count > 1 ? fmin(job->model_count - 1, EMP_DURATION_MODELS_MAX) : 0;
    x[0] = 1;
    x[1] = log_of(job->images);
    x[2] = log_of(job->steps / 30);
    x[3] = others > 0;
    x[4] = others > 1 ? others - 1 : 0;
    x[5] = others > 0 ? log_of(job->images) : 0;
    x[6] = log_of(job->pixels / (512 * 512));
    x[7] = log_of(job->frames);
    x[8] = job->frames > 0;
}

static uint64_t mix(uint64_t key, uint64_t more)
{
    key = emp_mix64(key ^ more) + 1;
    return key ? key : 1;
}

static uint64_t bits_of(double v)
{
    uint64_t bits = 0;
    v = v > 0 ? v : 0;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void keys(const struct emp_duration_job *job, uint64_t key[LEVELS])
{
    uint32_t n = job->model_count < EMP_DURATION_MODELS_MAX ? job->model_count
                                                            : EMP_DURATION_MODELS_MAX;
    uint64_t others = 0;
    for (uint32_t i = 1; i < n; i++)
        others += emp_mix64(emp_str_hash(job->models[i])); // in any order
    key[0] = mix(emp_str_hash(job->gpu), emp_str_hash(job->service));
    key[1] = mix(emp_str_hash(job->gpu) + 1, n ? emp_str_hash(job->models[0]) : 0);
    key[2] = mix(key[1], others);
    key[3] = mix(mix(mix(key[2], bits_of(job->images)), bits_of(job->steps)),
                 mix(mix(bits_of(job->pixels), bits_of(job->frames)), key[0]));
    key[4] = mix(key[1], emp_str_hash(job->customer) + 2);
}

/* ---- likes ---- */

static const struct like *find(const struct level *l, uint64_t key)
{
    uint32_t at;
    return emp_map_get(&l->by_key, key, &at) ? &l->likes[at] : NULL;
}

static struct like *find_or_enter(struct emp_arena *arena, struct level *l, uint64_t key)
{
    enum { LOOKED_AT = 32 };
    uint32_t at;
    if (emp_map_get(&l->by_key, key, &at))
        return &l->likes[at];
    if (l->count < EMP_DURATION_LIKES_MAX) {
        emp_arena_reserve(arena, l->likes, l->count, l->cap);
        at = l->count++;
    } else { // the stalest of the next few
        at = l->hand %= l->count;
        for (uint32_t i = 0; i < LOOKED_AT; i++, l->hand = (l->hand + 1) % l->count)
            if (l->likes[l->hand].touched < l->likes[at].touched)
                at = l->hand;
        if (l->likes[at].key)
            emp_map_del(&l->by_key, l->likes[at].key);
    }
    l->likes[at] = (struct like){.key = key};
    emp_map_put(&l->by_key, key, at);
    return &l->likes[at];
}

static double off_of(const struct like *like, int level)
{
    return like ? like->off / (like->weight + levels[level].doubt) : 0;
}

/* ---- guessing ---- */

static double regression(const struct emp_duration_state *s, const double x[FEATURES])
{
    double sum = 0;
    for (int i = 0; i < FEATURES; i++)
        sum += s->weight[i] * x[i];
    return sum;
}

/* Logarithm of the guess; how many levels know the job. */
static double middle(const struct emp_duration_state *s, const struct emp_duration_job *job,
                     uint32_t *ret_known)
{
    double x[FEATURES];
    uint64_t key[LEVELS];
    features(job, x);
    keys(job, key);
    double sum = regression(s, x) + LOAD_SHARE * s->load;
    *ret_known = 0;
    for (int l = 0; l < LEVELS; l++) {
        const struct like *like = find(&s->level[l], key[l]);
        sum += off_of(like, l);
        *ret_known += like != NULL;
    }
    return sum;
}

static int64_t to_ms(double log_ms)
{
    double ms = exp(fmin(log_ms, 40));
    return ms < 1 ? 1 : ms > (double)EMP_DURATION_MS_MAX ? EMP_DURATION_MS_MAX : (int64_t)ms;
}

bool emp_duration_guess(const struct emp_duration *d, const struct emp_duration_job *job,
                        struct emp_duration_guess *ret)
{
    const struct emp_duration_state *s = d->state;
    struct emp_duration_guess g;
    if (!s->observed)
        return false;
    static const double q[] = {0.05, 0.5, 0.9, 0.95};
    double m = middle(s, job, &g.known), off[4];
    emp_conform_quantiles(&s->errors[g.known], &s->pooled, ERRORS_PRIOR, q, 4, off);
    g.p05_ms = to_ms(m + off[0]);
    g.p50_ms = to_ms(m + off[1]);
    g.p90_ms = to_ms(m + off[2]);
    g.p95_ms = to_ms(m + off[3]);
    *ret = g;
    return true;
}

/* ---- learning ---- */

static void settle(struct emp_duration_state *s)
{
    double gram[FEATURES * FEATURES];
    memcpy(gram, s->gram, sizeof gram);
    memcpy(s->weight, s->right, sizeof s->weight);
    for (int i = 0; i < FEATURES; i++)
        gram[i * FEATURES + i] += i ? 0.5 : 1e-6;
    emp_series_solve(gram, s->weight, FEATURES);
}

static void learn_regression(struct emp_duration_state *s, const double x[FEATURES], double y)
{
    double trust = NEAR / fmax(NEAR, s->observed ? fabs(y - regression(s, x)) : NEAR);
    for (int i = 0; i < FEATURES; i++) {
        for (int j = 0; j <= i; j++)
            s->gram[i * FEATURES + j] = s->gram[i * FEATURES + j] * KEEP + trust * x[i] * x[j];
        s->right[i] = s->right[i] * KEEP + trust * x[i] * y;
    }
    uint64_t n = s->observed + 1;
    if (n % SETTLE_EVERY == 0 || (n < SETTLE_EVERY && (n & (n - 1)) == 0))
        settle(s);
}

static double within(double v)
{
    return fmax(-OFF_MAX, fmin(OFF_MAX, v));
}

void emp_duration_observe(struct emp_duration *d, const struct emp_duration_job *job, int64_t ms)
{
    struct emp_duration_state *s = d->state;
    double x[FEATURES], y;
    uint64_t key[LEVELS];
    uint32_t known;
    if (ms <= 0)
        return;
    y = log((double)(ms < EMP_DURATION_MS_MAX ? ms : EMP_DURATION_MS_MAX));
    if (s->observed) {
        double error = y - middle(s, job, &known);
        emp_conform_count(&s->errors[known], error, KEEP_ERRORS);
        emp_conform_count(&s->pooled, error, KEEP_ERRORS);
    }
    features(job, x);
    keys(job, key);
    learn_regression(s, x, y);
    double left = y - regression(s, x);
    s->observed++;
    for (int l = 0; l < LEVELS; l++) {
        struct like *like = find_or_enter(d->arena, &s->level[l], key[l]);
        double off = off_of(like, l);
        like->weight = (float)(like->weight * levels[l].keep + 1);
        like->off = (float)(like->off * levels[l].keep + within(left));
        like->touched = s->observed;
        s->level[l].changed |= UINT64_C(1) << (uint32_t)(like - s->level[l].likes) / PAGE;
        left -= off;
    }
    s->load += LOAD_GAIN * (within(left) - s->load);
    s->changed = true;
}

/* The state: per series a few decayed sums and a profile of the day (and of the week, for those
 * that are used often enough); per class of series and window the mix and the spread.
 *
 * Each hour that is over is taken in this order: what the state of its beginning said of each
 * window is compared with what came (mix and spread learn), then the hour goes into the state.
 * Windows longer than an hour have one forecast pending for each series, asked at an hour of its
 * own, so that all hours of the day are learned from. A series that was silent for a week is passed
 * over: it costs nothing until it is used again. Sets have no state of their own beside their share
 * of their base.
 *
 * Rejected: weights for each series (a week of one model's hours is too little to tell experts
 * apart; what a series needs of its own, its level and profile, is in the experts), gradient
 * boosting on the same features (no better on held-out days, see docs/model-intelligence.md). */
#include "policy/forecast.h"

#include "policy/forecast_internal.h"

#include <math.h>
#include <string.h>

#define HOUR ((int64_t)EMP_USAGE_HOUR_MS)
#define FINE ((int64_t)EMP_USAGE_FINE_MS)

const int64_t emp_forecast_window_ms[EMP_FORECAST_WINDOWS] = {FINE, HOUR, 6 * HOUR, 24 * HOUR};
const double emp_forecast_levels[EMP_FORECAST_QUANTILES] = {0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95};

/* What a state remembers, per hour. */
#define KEEP_12_HOURS 0.943874312681694 /* 2^(-1/12) */
#define KEEP_48_HOURS 0.985663198640187 /* 2^(-1/48) */
#define KEEP_4_HOURS  0.840896415253715 /* 2^(-1/4) */
#define KEEP_WEEK     0.995882572104953 /* 2^(-1/168) */
#define KEEP_4_DAYS   0.992805720491269 /* 2^(-1/96) */
#define DAY_GAIN      0.4               /* of a profile's hour, for the newest day */
#define WEEK_GAIN     0.4
#define SHARE_PRIOR   10.0 /* of the fleet's jobs */
#define KIND_HOURS    6.0
#define SILENT_HOURS  EMP_FORECAST_WEEK

enum { CLASS_MODELS, CLASS_YOUNG, CLASS_PLACES, CLASSES }; // young: models on their first day
enum { WEEK_USES_MIN = 30, SHAPES_EVERY = 6 /* hours, in a replay */ };

struct learner {
    struct emp_forecast_mix mix;
    struct emp_forecast_spread spread;
    struct emp_forecast_shapes shapes; /* of it, as of some hours ago at most */
    double missed, came;
};

struct pending {
    uint32_t until; /* hour at whose beginning it is over; 0: none */
    struct learner *learner;
    float x[EMP_EXPERTS];
};

struct one {
    uint32_t generation; /* of the series it belongs to; 0: none */
    uint32_t last;       /* hour of the last use */
    float last_hour, sum_12, sum_48, sum_96, slow;
    float level_came, level_said; /* decayed in 4 hours */
    float day[EMP_FORECAST_DAY];
    uint32_t hours;                                                 /* taken in: its age */
    float *week;                                                    /* NULL: not used enough */
    struct pending pending[2];                                      /* 6 hours, a day */
    float missed[EMP_FORECAST_WINDOWS], came[EMP_FORECAST_WINDOWS]; /* decayed, of confidence */
};

/* Models of one kind: uses per hour of those of an age, decayed. */
struct kind_ages {
    float uses[EMP_FORECAST_AGES], hours[EMP_FORECAST_AGES];
};

struct emp_forecast_state {
    struct one *of; /* by series number */
    uint32_t count, cap;
    struct learner learner[CLASSES][EMP_FORECAST_WINDOWS];
    struct kind_ages kinds[EMP_USAGE_GROUPS_MAX + 2];
    uint32_t next; /* hour that is to be taken next; 0: nothing was taken yet */
};

static void make_shapes(struct emp_forecast_state *s)
{
    for (int c = 0; c < CLASSES; c++)
        for (int w = 0; w < EMP_FORECAST_WINDOWS; w++)
            emp_forecast_shapes_make(&s->learner[c][w].spread, &s->learner[c][w].shapes);
}

void emp_forecast_init(struct emp_forecast *f, struct emp_arena *arena,
                       const struct emp_usage *usage)
{
    *f = (struct emp_forecast){arena, usage, emp_arena_new(arena, struct emp_forecast_state)};
    for (int c = 0; c < CLASSES; c++)
        for (int w = 0; w < EMP_FORECAST_WINDOWS; w++)
            emp_forecast_mix_init(&f->state->learner[c][w].mix);
    make_shapes(f->state);
}

static bool is_learned(enum emp_usage_kind k)
{
    return k != EMP_USAGE_KIND_FREE && k != EMP_USAGE_KIND_SET;
}

/* ---- experts ---- */

static double usual(const struct one *o, uint32_t hour)
{
    double day = o->day[hour % EMP_FORECAST_DAY];
    if (!o->week || o->week[hour % EMP_FORECAST_WEEK] < 0)
        return day;
    return (day + o->week[hour % EMP_FORECAST_WEEK]) / 2;
}

static double week_of(const struct one *o, uint32_t hour)
{
    float v = o->week ? o->week[hour % EMP_FORECAST_WEEK] : -1;
    return v < 0 ? o->day[hour % EMP_FORECAST_DAY] : v;
}

static double day_of(const struct one *o, uint32_t hour)
{
    return o->day[hour % EMP_FORECAST_DAY];
}

/* A profile's sum over [at, at + hours), cut hours by their share. */
static double over(const struct one *o, double (*profile)(const struct one *, uint32_t),
                   emp_wall_ms at, double hours)
{
    double from = (double)at / (double)HOUR, to = from + hours, sum = 0;
    for (uint32_t h = (uint32_t)from; h < to; h++)
        sum += profile(o, h) * (fmin(to, h + 1.0) - fmax(from, h));
    return sum;
}

static double level(const struct one *o, double doubt)
{
    return (o->level_came + doubt) / (o->level_said + doubt);
}

static struct emp_forecast_view view_of(const struct emp_forecast *f, enum emp_forecast_window w,
                                        emp_wall_ms at)
{
    const struct one *fleet = &f->state->of[EMP_USAGE_FLEET];
    struct emp_forecast_view v = {.f = f, .window = w, .at = at};
    v.aligned = at == f->state->next * HOUR;
    v.has_fine = f->usage->last_at - at < (EMP_USAGE_FINE_KEPT - 12) * FINE;
    v.hours = (double)emp_forecast_window_ms[w] / (double)HOUR;
    v.profile = over(fleet, usual, at, v.hours);
    double pace = fleet->slow, doubt = 1 + 0.05 * pace; // where the profile is near zero
    v.levelled = v.profile * level(fleet, 1 + 0.1 * pace);
    double before = over(fleet, usual, at - HOUR, 1);
    v.ratio = fmin(4 * v.hours, (v.profile + doubt * v.hours) / (before + doubt));
    v.ratio_10 = v.ratio * 6;
    v.shape = pace > 0 ? v.profile / pace : v.hours;
    return v;
}

static int age_band(uint32_t hours)
{
    return hours < 24 ? 0 : hours < 72 ? 1 : hours < 168 ? 2 : 3;
}

/* Uses per hour of a model that is new: what it had itself, and as much as KIND_HOURS of what
 * models of its kind had at this age; 0 for one that is not new. */
static double young_rate(const struct emp_forecast_state *s, uint32_t group, const struct one *o)
{
    int band = age_band(o->hours);
    if (band == EMP_FORECAST_AGES - 1)
        return 0;
    const struct kind_ages *k = &s->kinds[group];
    double like = k->uses[band] / (k->hours[band] + 1.0);
    return (like * KIND_HOURS + o->slow * o->hours) / (KIND_HOURS + o->hours);
}

static bool is_silent(const struct one *o, uint32_t hour)
{
    return hour > o->last && hour - o->last > SILENT_HOURS;
}

static void experts(const struct emp_forecast_view *v, uint32_t number, float x[EMP_EXPERTS])
{
    const struct emp_forecast_state *s = v->f->state;
    const struct emp_usage_series *series = &v->f->usage->series[number];
    const struct one *o = &s->of[number], *fleet = &s->of[EMP_USAGE_FLEET];
    uint32_t hour_now = (uint32_t)(v->at / HOUR);
    if (is_silent(o, hour_now)) { // its state stands still: only its slow level fades
        memset(x, 0, EMP_EXPERTS * sizeof *x);
        x[EMP_EXPERT_TSB] = (float)(o->slow * v->shape * pow(KEEP_WEEK, hour_now - o->last));
        return;
    }
    double share_96 = fleet->sum_96 > 0 ? o->sum_96 / fleet->sum_96 : 0;
    double share_48 = (o->sum_48 + SHARE_PRIOR * share_96) / (fleet->sum_48 + SHARE_PRIOR);
    double share_12 = (o->sum_12 + SHARE_PRIOR * share_96) / (fleet->sum_12 + SHARE_PRIOR);
    double hour = v->aligned ? o->last_hour : emp_usage_between(series, v->at - HOUR, v->at, v->at);
    double fine = v->has_fine ? emp_usage_between(series, v->at - FINE, v->at, v->at) : hour / 6;
    double day = over(o, day_of, v->at, v->hours);
    x[EMP_EXPERT_SHARE_LONG] = (float)(share_48 * v->levelled);
    x[EMP_EXPERT_SHARE_SHORT] = (float)(share_12 * v->levelled);
    x[EMP_EXPERT_SHARE_PLAIN] = (float)(share_48 * v->profile);
    x[EMP_EXPERT_LAST_HOUR] = (float)(hour * v->ratio);
    x[EMP_EXPERT_LAST_10_MIN] = (float)(fine * v->ratio_10);
    x[EMP_EXPERT_DAY] = (float)day;
    x[EMP_EXPERT_DAY_LEVEL] = (float)(day * fmin(4, level(o, 1 + 0.1 * o->slow)));
    x[EMP_EXPERT_WEEK] = (float)(o->week ? over(o, week_of, v->at, v->hours) : day);
    x[EMP_EXPERT_TSB] = (float)(o->slow * v->shape);
    x[EMP_EXPERT_KIND] = (float)(young_rate(s, series->group, o) * v->shape);
}

/* ---- learning ---- */

static void score(struct learner *l, struct one *o, enum emp_forecast_window w, double median,
                  double y)
{
    o->missed[w] += (float)fabs(y - median);
    o->came[w] += (float)y;
    l->missed += fabs(y - median);
    l->came += y;
}

static struct learner *learner_of(const struct emp_forecast *f, uint32_t number,
                                  enum emp_forecast_window w)
{
    bool young = f->state->of[number].hours < EMP_FORECAST_DAY;
    int c = f->usage->series[number].kind != EMP_USAGE_KIND_MODEL ? CLASS_PLACES
            : young                                               ? CLASS_YOUNG
                                                                  : CLASS_MODELS;
    return &f->state->learner[c][w];
}

static void learn(struct learner *l, struct one *o, enum emp_forecast_window w,
                  const float x[EMP_EXPERTS], double y)
{
    double size = emp_forecast_mix_of(&l->mix, x);
    if (size > 0.05 || y > 0) { // the median of less is 0
        struct emp_forecast_law law = emp_forecast_law_of(&l->shapes, size);
        score(l, o, w, emp_forecast_law_quantile(&law, 0.5), y);
    }
    emp_forecast_mix_learn(&l->mix, x, y);
    emp_forecast_spread_learn(&l->spread, size, y);
}

/* The longer windows: the pending forecast that is over now, and the next one. */
static void learn_long(struct emp_forecast *f, const struct emp_forecast_view *v, uint32_t number,
                       int which, uint32_t hour)
{
    enum emp_forecast_window w = which ? EMP_FORECAST_24_HOURS : EMP_FORECAST_6_HOURS;
    uint32_t hours = which ? 24 : 6;
    struct one *o = &f->state->of[number];
    struct pending *p = &o->pending[which];
    const struct emp_usage_series *series = &f->usage->series[number];
    if (p->until == hour) {
        double y = 0;
        for (uint32_t h = hour - hours; h < hour; h++)
            y += emp_usage_bucket(series, EMP_USAGE_HOUR, h);
        learn(p->learner, o, w, p->x, y);
        p->until = 0;
    }
    if (hour % hours == number % hours) {
        experts(v, number, p->x);
        p->until = hour + hours;
        p->learner = learner_of(f, number, w);
    }
}

static void learn_10_min(struct emp_forecast *f, const struct emp_forecast_view *v, uint32_t number)
{
    const struct emp_usage_series *series = &f->usage->series[number];
    float x[EMP_EXPERTS];
    experts(v, number, x);
    learn(learner_of(f, number, EMP_FORECAST_10_MIN), &f->state->of[number], EMP_FORECAST_10_MIN, x,
          emp_usage_bucket(series, EMP_USAGE_FINE, (uint32_t)(v->at / FINE)));
}

/* Forecasts of this hour against what came of it. */
static void learn_hour(struct emp_forecast *f, uint32_t hour, bool has_fine)
{
    struct emp_forecast_state *s = f->state;
    emp_wall_ms at = hour * HOUR;
    struct emp_forecast_view one = view_of(f, EMP_FORECAST_1_HOUR, at);
    struct emp_forecast_view six = view_of(f, EMP_FORECAST_6_HOURS, at);
    struct emp_forecast_view day = view_of(f, EMP_FORECAST_24_HOURS, at), fine[6];
    for (int k = 0; k < 6; k++)
        fine[k] = view_of(f, EMP_FORECAST_10_MIN, at + k * FINE);
    for (uint32_t n = 1; n < s->count; n++) {
        const struct emp_usage_series *series = &f->usage->series[n];
        struct one *o = &s->of[n];
        if (!o->generation || is_silent(o, hour))
            continue;
        float x[EMP_EXPERTS];
        experts(&one, n, x);
        learn(learner_of(f, n, EMP_FORECAST_1_HOUR), o, EMP_FORECAST_1_HOUR, x,
              emp_usage_bucket(series, EMP_USAGE_HOUR, hour));
        learn_long(f, &six, n, 0, hour);
        learn_long(f, &day, n, 1, hour);
        if (has_fine)
            learn_10_min(f, &fine[(n + hour) % 6], n);
    }
    for (int c = 0; c < CLASSES; c++)
        for (int w = 0; w < EMP_FORECAST_WINDOWS; w++) {
            struct learner *l = &s->learner[c][w];
            emp_forecast_mix_settle(&l->mix, KEEP_WEEK);
            l->missed *= KEEP_WEEK;
            l->came *= KEEP_WEEK;
            if (hour % SHAPES_EVERY == 0)
                emp_forecast_shapes_make(&l->spread, &l->shapes);
            if (hour % 24 == 0)
                emp_forecast_spread_forget(&l->spread, 0.95F); // half in two weeks
        }
}

/* ---- taking an hour in ---- */

static void into_week(struct emp_forecast *f, struct one *o, const struct emp_usage_series *series,
                      uint32_t hour, float y)
{
    if (!o->week) {
        if (series->uses < WEEK_USES_MIN || o->hours < EMP_FORECAST_WEEK / 2)
            return;
        o->week = emp_arena_array(f->arena, float, EMP_FORECAST_WEEK);
        for (int i = 0; i < EMP_FORECAST_WEEK; i++)
            o->week[i] = -1;
    }
    float *slot = &o->week[hour % EMP_FORECAST_WEEK];
    *slot = *slot < 0 ? y : *slot + (float)WEEK_GAIN * (y - *slot);
}

static void take(struct emp_forecast *f, uint32_t number, uint32_t hour, float y)
{
    struct one *o = &f->state->of[number];
    const struct emp_usage_series *series = &f->usage->series[number];
    float *slot = &o->day[hour % EMP_FORECAST_DAY];
    uint32_t rounds = o->hours / EMP_FORECAST_DAY;
    o->level_came = (float)(o->level_came * KEEP_4_HOURS + y);
    o->level_said = (float)(o->level_said * KEEP_4_HOURS + usual(o, hour));
    *slot += (float)fmax(DAY_GAIN, 1.0 / (rounds + 1)) * (y - *slot);
    into_week(f, o, series, hour, y);
    o->slow += (float)fmax(1 - KEEP_WEEK, 1.0 / (o->hours + 1)) * (y - o->slow);
    o->hours++;
    o->sum_12 = (float)(o->sum_12 * KEEP_12_HOURS + y);
    o->sum_48 = (float)(o->sum_48 * KEEP_48_HOURS + y);
    o->sum_96 = (float)(o->sum_96 * KEEP_4_DAYS + y);
    o->last_hour = y;
    if (y > 0)
        o->last = hour;
    for (int w = 0; w < EMP_FORECAST_WINDOWS; w++) {
        o->missed[w] *= (float)KEEP_WEEK;
        o->came[w] *= (float)KEEP_WEEK;
    }
}

static void take_kind(struct emp_forecast_state *s, uint32_t group, uint32_t age, float y)
{
    struct kind_ages *k = &s->kinds[group];
    k->uses[age_band(age)] += y;
    k->hours[age_band(age)] += 1;
}

/* A series that is new, or has taken another's number: it begins with its first use. */
static void begin(struct one *o, const struct emp_usage_series *series, uint32_t hour)
{
    float *week = o->week;
    *o = (struct one){.generation = series->generation, .last = hour, .week = week};
    for (int i = 0; week && i < EMP_FORECAST_WEEK; i++)
        week[i] = -1;
}

/* An hour in which a silent series stays so is not taken into it: it begins anew. */
static void take_hour(struct emp_forecast *f, uint32_t hour)
{
    struct emp_forecast_state *s = f->state;
    for (uint32_t n = 1; n < s->count; n++) {
        const struct emp_usage_series *series = &f->usage->series[n];
        struct one *o = &s->of[n];
        if (!is_learned(series->kind))
            continue;
        if (o->generation == series->generation && is_silent(o, hour) &&
            series->last_at < hour * HOUR)
            continue;
        float y = (float)emp_usage_bucket(series, EMP_USAGE_HOUR, hour);
        if (o->generation != series->generation || (is_silent(o, hour) && y > 0)) {
            if (y == 0 && n != EMP_USAGE_FLEET)
                continue;
            begin(o, series, hour);
        }
        if (series->kind == EMP_USAGE_KIND_MODEL)
            take_kind(s, series->group, o->hours, y);
        take(f, n, hour, y);
    }
}

static void make_room(struct emp_forecast *f)
{
    struct emp_forecast_state *s = f->state;
    while (s->count < f->usage->series_count) {
        emp_arena_reserve(f->arena, s->of, s->count, s->cap);
        s->of[s->count++] = (struct one){0};
    }
}

static uint32_t first_hour(const struct emp_usage *u, uint32_t end)
{
    const struct emp_usage_buckets *b = &u->series[EMP_USAGE_FLEET].grain[EMP_USAGE_HOUR];
    uint32_t first = b->count ? b->at[0].index : end;
    uint32_t oldest = end > EMP_FORECAST_REPLAY_HOURS ? end - EMP_FORECAST_REPLAY_HOURS : 1;
    return first > oldest ? first : oldest;
}

void emp_forecast_update(struct emp_forecast *f, emp_wall_ms now)
{
    struct emp_forecast_state *s = f->state;
    uint32_t end = now > 0 ? (uint32_t)(now / HOUR) : 0;
    make_room(f);
    if (!f->usage->series[EMP_USAGE_FLEET].uses)
        return;
    if (s->next == 0)
        s->next = first_hour(f->usage, end);
    if (end > s->next + EMP_FORECAST_REPLAY_HOURS)
        s->next = end - EMP_FORECAST_REPLAY_HOURS;
    for (; s->next < end; s->next++) {
        bool has_fine = (end - s->next) * 6 + 12 < EMP_USAGE_FINE_KEPT;
        learn_hour(f, s->next, has_fine);
        take_hour(f, s->next);
        if (s->next + 1 == end)
            make_shapes(s);
    }
}

/* ---- asking ---- */

static double confidence(const struct learner *l, const struct one *o, enum emp_forecast_window w)
{
    enum { LIKE = 20 }; // uses that its like's error counts for
    double like = l->came > 0 ? l->missed / l->came : 1;
    double relative = (o->missed[w] + LIKE * like) / (o->came[w] + LIKE);
    return fmin(1, fmax(0, 1 - relative));
}

static void law_into(const struct emp_forecast_law *l, struct emp_forecast_one *ret)
{
    ret->expected = emp_forecast_law_mean(l);
    for (int i = 0; i < EMP_FORECAST_QUANTILES; i++)
        ret->quantiles[i] = emp_forecast_law_quantile(l, emp_forecast_levels[i]);
    ret->any = 1 - emp_forecast_law_below(l, 0);
}

static bool is_known(const struct emp_forecast *f, uint32_t n)
{
    return n != EMP_USAGE_NONE && n < f->state->count && n < f->usage->series_count &&
           f->state->of[n].generation == f->usage->series[n].generation;
}

static struct emp_forecast_law law_for(const struct emp_forecast_view *v, uint32_t number,
                                       double part)
{
    const struct learner *l = learner_of(v->f, number, v->window);
    float x[EMP_EXPERTS];
    experts(v, number, x);
    return emp_forecast_law_of(&l->shapes, part * emp_forecast_mix_of(&l->mix, x));
}

/* The series whose forecast a series' own is a part of, and which: a set's is its base's, by how
 * many of the base's uses of the last week were the set's; all others' is their own. 0: none is
 * known. */
static uint32_t part_of(const struct emp_forecast_view *v, uint32_t number, double *ret_part)
{
    const struct emp_usage *u = v->f->usage;
    *ret_part = 1;
    if (number == EMP_USAGE_NONE || number >= u->series_count)
        return EMP_USAGE_NONE;
    const struct emp_usage_series *s = &u->series[number];
    if (s->kind == EMP_USAGE_KIND_SET) {
        emp_wall_ms from = v->at - (int64_t)EMP_FORECAST_WEEK * HOUR;
        double own = emp_usage_between(s, from, v->at, v->at);
        double all = emp_usage_between(&u->series[s->base], from, v->at, v->at);
        *ret_part = all > 0 ? fmin(1, own / all) : 0;
        number = s->base;
    }
    return is_known(v->f, number) ? number : EMP_USAGE_NONE;
}

bool emp_forecast_view_of(const struct emp_forecast *f, enum emp_forecast_window w, emp_wall_ms now,
                          struct emp_forecast_view *ret)
{
    if (!is_known(f, EMP_USAGE_FLEET))
        return false;
    *ret = view_of(f, w, now);
    return true;
}

bool emp_forecast_in_view(const struct emp_forecast_view *v, uint32_t number,
                          struct emp_forecast_one *ret)
{
    double part;
    uint32_t whole = part_of(v, number, &part);
    *ret = (struct emp_forecast_one){0};
    if (whole == EMP_USAGE_NONE)
        return false;
    struct emp_forecast_law law = law_for(v, whole, part);
    law_into(&law, ret);
    if (whole != number) // parts add up to the whole
    {
        struct emp_forecast_law all = law_for(v, whole, 1);
        ret->expected = part * emp_forecast_law_mean(&all);
    }
    ret->confidence =
        confidence(learner_of(v->f, whole, v->window), &v->f->state->of[whole], v->window);
    return true;
}

void emp_forecast_of(const struct emp_forecast *f, uint32_t series, enum emp_forecast_window w,
                     emp_wall_ms now, struct emp_forecast_one *ret)
{
    struct emp_forecast_view v;
    *ret = (struct emp_forecast_one){0};
    if (emp_forecast_view_of(f, w, now, &v))
        emp_forecast_in_view(&v, series, ret);
}

double emp_forecast_below_in_view(const struct emp_forecast_view *v, uint32_t number, double uses)
{
    double part;
    uint32_t whole = part_of(v, number, &part);
    if (whole == EMP_USAGE_NONE)
        return uses < 0 ? 0 : 1;
    struct emp_forecast_law law = law_for(v, whole, part);
    return emp_forecast_law_below(&law, uses);
}

double emp_forecast_below(const struct emp_forecast *f, uint32_t series, enum emp_forecast_window w,
                          emp_wall_ms now, double uses)
{
    struct emp_forecast_view v;
    if (!emp_forecast_view_of(f, w, now, &v))
        return uses < 0 ? 0 : 1;
    return emp_forecast_below_in_view(&v, series, uses);
}

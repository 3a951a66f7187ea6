/* A trace from a scenario's tables, of the shape of the one they were taken from.
 *
 * Arrivals: every ten minutes have a rate, of the day's jobs by the hour's weight and a burst's
 * factor; a Poisson number of jobs falls into them. Who and what: a job opens a session of some
 * user, or goes on with the one that is longest due. Every job is followed by another with the
 * chance follow_share; the follower keeps base and LoRAs with the chances of the table, so models
 * come in runs as they do where people try one prompt after another. A fresh choice draws from the
 * popularity tables; a LoRA has one base as its home. Models come and go by day: a new one takes
 * the rank of one that was not among the most used. A base decides part of how long its jobs take.
 *
 * What it does not have: trends of popularity, habits of a user beyond a session, seasons. Where a
 * forecast lives on those, only a recorded trace can judge it. */
#include "sim/measure/draw.h"
#include "sim/measure/scenario.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DAY_MS     INT64_C(86400000)
#define BIN_MS     INT64_C(600000)
#define BINS       144
#define SESSION_MS INT64_C(1800000) /* one so long overdue has ended */

enum { SESSIONS_MAX = 4096, LORAS_MAX = 4, STAY = 20 /* a twentieth stays for ever */ };

struct session {
    int64_t due;
    uint32_t user, base; /* rank */
    uint32_t loras[LORAS_MAX], lora_count;
};
struct rank {
    uint32_t model; /* in the trace */
    uint32_t home;  /* of a LoRA: rank of its base */
    double lean;    /* of a base: where its jobs' times lie, normal law */
};
struct generator {
    struct emp_trace *t;
    const struct emp_scenario_generator *g;
    struct emp_random random;
    uint64_t seed;
    struct rank *bases, *loras;
    uint32_t base_count, lora_count, names;
    struct session
        sessions[SESSIONS_MAX]; /* a heap by due would be faster; few are open at a time */
    uint32_t session_count;
};

/* ── models ── */

static uint32_t rank_draw(struct generator *g, const struct emp_quantiles *q, uint32_t count)
{
    uint32_t rank = (uint32_t)emp_quantiles_draw(q, &g->random);
    return rank < count ? rank : count - 1;
}

static uint32_t model_new(struct generator *g, enum emp_trace_model_kind kind)
{
    char name[48];
    uint32_t n = ++g->names;
    /* The seed is in the name, for a model's bytes come from it. */
    snprintf(name, sizeof name, "%s-%05u-%04x", emp_trace_model_kind_word(kind), n,
             (unsigned)(emp_mix64(g->seed * 1000003 + n) & 0xffff));
    return emp_trace_model(g->t, emp_str_z(name), kind, 0);
}

static void lora_new(struct generator *g, uint32_t rank)
{
    g->loras[rank].model = model_new(g, EMP_TRACE_LORA);
    g->loras[rank].home = rank_draw(g, &g->g->base_rank, g->base_count);
}

/* The share of requests below this rank. */
static double share_below(const struct emp_quantiles *q, double rank)
{
    for (uint32_t i = 1; i < q->count; i++)
        if (rank <= q->value[i]) {
            double width = q->value[i] - q->value[i - 1];
            double part = width > 0 ? (rank - q->value[i - 1]) / width : 1;
            return q->share[i - 1] + part * (q->share[i] - q->share[i - 1]);
        }
    return 1;
}

/* Spreads the bases over the law of run times in a random order, each with room for its share of
 * requests, so that all jobs together follow the table whatever the seed. */
static void leans(struct generator *g)
{
    uint32_t *order = malloc(g->base_count * sizeof *order);
    double at = 0;
    if (!order)
        abort();
    for (uint32_t i = 0; i < g->base_count; i++) {
        uint32_t j = (uint32_t)emp_random_below(&g->random, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (uint32_t i = 0; i < g->base_count; i++) {
        uint32_t rank = order[i];
        double share = share_below(&g->g->base_rank, rank + 1) -
                       share_below(&g->g->base_rank, rank);
        double middle = at + share / 2;
        middle = middle < 1e-6 ? 1e-6 : middle > 1 - 1e-6 ? 1 - 1e-6 : middle;
        g->bases[rank].lean = emp_normal_quantile(middle);
        at += share;
    }
    free(order);
}

static void models_init(struct generator *g)
{
    g->base_count = (uint32_t)emp_quantiles_at(&g->g->base_rank, 1);
    g->lora_count = (uint32_t)emp_quantiles_at(&g->g->lora_rank, 1);
    g->base_count += g->base_count == 0;
    g->lora_count += g->lora_count == 0;
    g->bases = emp_arena_array(&g->t->arena, struct rank, g->base_count);
    g->loras = emp_arena_array(&g->t->arena, struct rank, g->lora_count);
    for (uint32_t i = 0; i < g->base_count; i++)
        g->bases[i].model = model_new(g, EMP_TRACE_BASE);
    leans(g);
    for (uint32_t i = 0; i < g->lora_count; i++)
        lora_new(g, i);
}

static void day_begins(struct generator *g)
{
    uint32_t stay = g->base_count / STAY + 1;
    uint32_t bases = emp_draw_poisson(&g->random, g->g->new_bases_per_day);
    for (; bases > 0 && stay < g->base_count; bases--) {
        uint32_t rank = stay + (uint32_t)emp_random_below(&g->random, g->base_count - stay);
        g->bases[rank].model = model_new(g, EMP_TRACE_BASE);
    }
    stay = g->lora_count / STAY + 1;
    uint32_t loras = emp_draw_poisson(&g->random, g->g->new_loras_per_day);
    for (; loras > 0 && stay < g->lora_count; loras--)
        lora_new(g, stay + (uint32_t)emp_random_below(&g->random, g->lora_count - stay));
}

/* ── sessions ── */

static bool chance(struct generator *g, double share)
{
    return emp_random_unit(&g->random) < share;
}

static bool has_lora(const struct session *s, uint32_t rank)
{
    for (uint32_t i = 0; i < s->lora_count; i++)
        if (s->loras[i] == rank)
            return true;
    return false;
}

/* LoRAs for a session, and the base with them; later ones are of the first one's home where a few
 * tries find such. */
static void loras_draw(struct generator *g, struct session *s)
{
    double u = emp_random_unit(&g->random);
    uint32_t want = 1;
    while (want < LORAS_MAX && u >= g->g->lora_count_share[want - 1])
        u -= g->g->lora_count_share[want++ - 1];
    s->lora_count = 0;
    for (int tries = 0; s->lora_count < want && tries < 32; tries++) {
        uint32_t rank = rank_draw(g, &g->g->lora_rank, g->lora_count);
        bool stranger = s->lora_count && g->loras[rank].home != g->loras[s->loras[0]].home;
        if (!has_lora(s, rank) && (!stranger || tries >= 16))
            s->loras[s->lora_count++] = rank;
    }
    if (chance(g, g->g->lora_home_share))
        s->base = g->loras[s->loras[0]].home;
}

static void choose(struct generator *g, struct session *s)
{
    s->base = rank_draw(g, &g->g->base_rank, g->base_count);
    s->lora_count = 0;
    if (chance(g, g->g->lora_job_share))
        loras_draw(g, s);
}

/* Takes the session that is due longest; false when none is. */
static bool session_take(struct generator *g, int64_t now, struct session *ret)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < g->session_count;) {
        struct session *s = &g->sessions[i];
        if (s->due < now - SESSION_MS) {
            *s = g->sessions[--g->session_count];
            continue;
        }
        if (s->due <= now && (best == UINT32_MAX || s->due < g->sessions[best].due))
            best = i;
        i++;
    }
    if (best == UINT32_MAX)
        return false;
    *ret = g->sessions[best];
    g->sessions[best] = g->sessions[--g->session_count];
    return true;
}

static void session_next(struct generator *g, int64_t now, struct session *s)
{
    if (session_take(g, now, s)) {
        if (!chance(g, g->g->follow_same_base)) {
            choose(g, s);
        } else if (!chance(g, g->g->follow_same_loras)) {
            uint32_t base = s->base;
            s->lora_count = 0;
            if (chance(g, g->g->lora_job_share))
                loras_draw(g, s);
            s->base = base;
        }
    } else {
        s->user = (uint32_t)emp_quantiles_draw(&g->g->user_rank, &g->random);
        choose(g, s);
    }
    if (g->session_count < SESSIONS_MAX && chance(g, g->g->follow_share)) {
        s->due = now + (int64_t)emp_quantiles_draw(&g->g->follow_ms, &g->random);
        g->sessions[g->session_count++] = *s;
    }
}

/* ── jobs ── */

static int32_t exec_draw(struct generator *g, const struct rank *base)
{
    double w = g->g->exec_base_share;
    double x = sqrt(w) * base->lean + sqrt(1 - w) * emp_draw_normal(&g->random);
    double s = round(emp_quantiles_at(&g->g->exec_ms, emp_normal_share(x)) / 1000);
    return s < 1 ? 1000 : (int32_t)(s * 1000); /* whole seconds, as recorded ones are */
}

/* A job at `now`; history without it. */
static void job_add(struct generator *g, int64_t now, bool history)
{
    struct session s = {0};
    uint32_t models[1 + LORAS_MAX];
    char user[24];
    session_next(g, now, &s);
    models[0] = g->bases[s.base].model;
    for (uint32_t i = 0; i < s.lora_count; i++)
        models[1 + i] = g->loras[s.loras[i]].model;
    snprintf(user, sizeof user, "user-%05u", s.user);
    emp_trace_add(g->t,
                  (struct emp_trace_job){
                      .submitted_at = history ? 0 : now,
                      .user = emp_intern(&g->t->users, emp_str_z(user)),
                      .exec_ms = exec_draw(g, &g->bases[s.base]),
                      .exec_has_load = true,
                      .priority = 50,
                      .images = 1,
                  },
                  models, (uint16_t)(1 + s.lora_count));
}

static void history(struct generator *g)
{
    uint32_t count = (uint32_t)g->g->history;
    int64_t gap = (int64_t)(DAY_MS / g->g->jobs_per_workday), at = g->g->start - gap * count;
    int64_t day = at / DAY_MS;
    gap += gap == 0;
    for (uint32_t i = 0; i < count; i++, at += gap) {
        if (at / DAY_MS != day)
            day_begins(g);
        day = at / DAY_MS;
        job_add(g, at, true);
    }
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void bin(struct generator *g, int64_t start, double mean)
{
    uint32_t count = emp_draw_poisson(&g->random, mean);
    int64_t *at = malloc((count + 1) * sizeof *at);
    if (!at)
        abort();
    for (uint32_t i = 0; i < count; i++)
        at[i] = start + (int64_t)emp_random_below(&g->random, BIN_MS / 1000) * 1000;
    qsort(at, count, sizeof *at, by_time);
    for (uint32_t i = 0; i < count; i++)
        job_add(g, at[i], false);
    free(at);
}

static void day(struct generator *g, int64_t midnight)
{
    /* 1970-01-01 was a Thursday. */
    int64_t weekday = (midnight / DAY_MS + 3) % 7; /* 0: Monday */
    double jobs = g->g->jobs_per_workday * (weekday >= 5 ? g->g->weekend_share : 1);
    double burst[BINS], sum = 0;
    day_begins(g);
    for (int i = 0; i < BINS; i++) {
        burst[i] = emp_quantiles_draw(&g->g->burst, &g->random) * g->g->hour_weight[i / 6] / 6;
        sum += burst[i];
    }
    /* Days differ by what a Poisson law gives, not by how many bursts fell into them. */
    for (int i = 0; i < BINS && sum > 0; i++)
        bin(g, midnight + i * BIN_MS, jobs * burst[i] / sum);
}

void emp_trace_generate(struct emp_trace *t, const struct emp_scenario *sc, uint64_t seed)
{
    struct generator *g = calloc(1, sizeof *g);
    if (!g)
        abort();
    g->t = t;
    g->g = &sc->generator;
    g->seed = seed;
    emp_random_init(&g->random, emp_mix64(seed ^ UINT64_C(0x67656e6572617465)));
    t->name = EMP_STR("generated");
    models_init(g);
    history(g);
    for (uint32_t i = 0; i < (uint32_t)sc->generator.days; i++)
        day(g, sc->generator.start + i * DAY_MS);
    free(g);
}

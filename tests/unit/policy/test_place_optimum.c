/* The placement plan against the exact optimum, on random fleets small enough to solve: a mixed
 * integer program for GLPK.
 *
 *   x[m,o,t]      copy of model o on machine m stands at tier t (binary; at most one t)
 *   z[d,w,m,q]    machine m holds the models of demand d at the tiers q (as far as the window sees)
 *   a[d,w,s,m,q]  share of d's jobs that start there in scenario s: which machines are free, busy,
 * gone
 *
 * Capacities bound x, x bounds z, z bounds a, the a of a scenario and "bring all" sum to one. The
 * objective is that of place.h, written out scenario by scenario: thus it also holds the walk that
 * the plan computes it with against plain enumeration. */
#include "place_case.h"
#include "policy/place_internal.h"

#include <glpk.h>
#include <stdio.h>
#include <stdlib.h>

enum { CASES = 120, MACHINES_MAX = 3, SET_MAX = 2, COMBOS = 16, SCENARIOS = 27 };

struct program {
    struct place p;
    struct place_case *c;
    glp_prob *lp;
    int x[MACHINES_MAX][8][TIER_COUNT];
    int *row, *column;
    double *value;
    int entries, cap;
};

static int add_column(struct program *g, double objective, bool binary)
{
    int j = glp_add_cols(g->lp, 1);
    glp_set_obj_coef(g->lp, j, objective);
    if (binary)
        glp_set_col_kind(g->lp, j, GLP_BV);
    else
        glp_set_col_bnds(g->lp, j, GLP_DB, 0, 1);
    return j;
}

static int add_row(struct program *g, int kind, double bound)
{
    int i = glp_add_rows(g->lp, 1);
    glp_set_row_bnds(g->lp, i, kind, bound, bound);
    return i;
}

static void enter(struct program *g, int row, int column, double value)
{
    if (g->entries + 1 >= g->cap) {
        g->cap = g->cap ? g->cap * 2 : 4096;
        g->row = realloc(g->row, (size_t)g->cap * sizeof *g->row);
        g->column = realloc(g->column, (size_t)g->cap * sizeof *g->column);
        g->value = realloc(g->value, (size_t)g->cap * sizeof *g->value);
    }
    g->entries++;
    g->row[g->entries] = row;
    g->column[g->entries] = column;
    g->value[g->entries] = value;
}

static void place_copies(struct program *g)
{
    struct place *p = &g->p;
    for (uint32_t m = 0; m < p->machines; m++) {
        int room[TIER_COUNT];
        for (int t = TIER_DISK; t < TIER_COUNT; t++)
            room[t] = add_row(g, GLP_UP, 1e-9 * (double)p->machine[m].budget[t]);
        for (uint32_t o = 0; o < p->models; o++) {
            int one = add_row(g, GLP_UP, 1);
            for (uint8_t t = TIER_DISK; t < TIER_COUNT; t++) {
                double gb = 1e-9 * (double)p->bytes[o];
                int x = g->x[m][o][t] = add_column(g, -place_price(p, m, o, t, true), true);
                enter(g, one, x, 1);
                enter(g, room[TIER_DISK], x, gb);
                if (t > TIER_DISK)
                    enter(g, room[t], x, gb);
            }
        }
    }
}

/* Seconds to start with the models at the tiers of combination q, as the window sees it. */
static double combo_cost(const struct place *p, const struct place_set *s, uint32_t m, uint32_t q,
                         enum place_window w)
{
    double cost = 0, mean_s = p->scopes[s->scope].link_s;
    if (s->bytes > p->machine[m].budget[TIER_DISK])
        return INFINITY;
    for (uint32_t k = 0; k < s->model_count; k++, q /= TIER_COUNT) {
        double bytes = (double)p->bytes[s->models[k]];
        uint32_t t = q % TIER_COUNT;
        if (t == TIER_NONE)
            cost += bytes * fmax(p->machine[m].link_s, mean_s);
        if (t == TIER_RAM && w == WINDOW_NEAR)
            cost += bytes * p->machine[m].ram_s;
        else if (t != TIER_GPU || w == WINDOW_FAR)
            cost += bytes * p->machine[m].disk_s;
    }
    return cost;
}

/* z for the combination; far windows do not tell disk and memory apart. */
static int add_combo(struct program *g, const struct place_set *s, uint32_t m, uint32_t q,
                     enum place_window w)
{
    int z = add_column(g, 0, false);
    for (uint32_t k = 0; k < s->model_count; k++, q /= TIER_COUNT) {
        uint8_t t = (uint8_t)(q % TIER_COUNT);
        int least = add_row(g, GLP_UP, 0);
        if (t == TIER_NONE) // needs nothing
            continue;
        enter(g, least, z, 1);
        for (uint8_t up = TIER_DISK; up < TIER_COUNT; up++)
            if (up == t || (w == WINDOW_FAR && t == TIER_DISK))
                enter(g, least, g->x[m][s->models[k]][up], -1);
    }
    return z;
}

struct scenario {
    double chance;
    int state[MACHINES_MAX]; /* 0 free, 1 busy, 2 gone */
};

static uint32_t list_scenarios(const struct place *p, const struct place_set *s,
                               enum place_window w, struct scenario *ret)
{
    uint32_t all = 1, n = 0;
    for (uint32_t m = 0; m < p->machines; m++)
        all *= 3;
    for (uint32_t i = 0; i < all; i++) {
        struct scenario sc = {.chance = 1};
        uint32_t rest = i;
        for (uint32_t m = 0; m < p->machines; m++, rest /= 3) {
            double stays = p->machine[m].stays[w];
            double free = stays * (1 - p->machine[m].busy) / (1 + s->concurrency);
            const double chances[] = {free, stays - free, 1 - stays};
            sc.state[m] = (int)(rest % 3);
            sc.chance *= chances[rest % 3];
        }
        if (sc.chance > 0)
            ret[n++] = sc;
    }
    return n;
}

static void serve(struct program *g, const struct place_set *s, enum place_window w)
{
    struct place *p = &g->p;
    struct scenario scenarios[SCENARIOS];
    uint32_t n = list_scenarios(p, s, w, scenarios), combos = s->model_count == 1 ? 4 : COMBOS;
    int z[MACHINES_MAX][COMBOS] = {{0}};
    double cost[MACHINES_MAX][COMBOS];
    for (uint32_t m = 0; m < p->machines; m++)
        for (uint32_t q = 1; q < combos; q++) {
            cost[m][q] = combo_cost(p, s, m, q, w);
            bool memory = q % TIER_COUNT > TIER_DISK || q / TIER_COUNT > TIER_DISK;
            if (cost[m][q] < s->none_s && !(w == WINDOW_FAR && memory))
                z[m][q] = add_combo(g, s, m, q, w);
        }
    for (uint32_t i = 0; i < n; i++) {
        double weight = s->weight[w] * scenarios[i].chance;
        int sum = add_row(g, GLP_FX, 1);
        enter(g, sum, add_column(g, -weight * s->none, false), 1);
        for (uint32_t m = 0; m < p->machines; m++)
            for (uint32_t q = 1; q < combos; q++) {
                double wait = cost[m][q] + (scenarios[i].state[m] == 1 ? s->run_s : 0);
                if (z[m][q] == 0 || scenarios[i].state[m] == 2 || !(wait < s->none_s))
                    continue;
                int a = add_column(g, -weight * place_count_wait(&p->s, wait), false);
                int bound = add_row(g, GLP_UP, 0);
                enter(g, sum, a, 1);
                enter(g, bound, a, 1);
                enter(g, bound, z[m][q], -1);
            }
    }
}

/* The optimum's value less prices; its copies into `best`. Negative: not solved in time. */
static double solve(struct place_case *c, struct emp_place_copy *best, uint32_t *count)
{
    struct program g = {.c = c, .lp = glp_create_prob()};
    double none = 0;
    place_build(&g.p, &c->arena, &c->in);
    glp_set_obj_dir(g.lp, GLP_MAX);
    place_copies(&g);
    for (uint32_t i = 0; i < g.p.real_count; i++)
        for (int w = 0; w < WINDOWS; w++) {
            none += g.p.sets[i].weight[w] * g.p.sets[i].none;
            if (g.p.sets[i].weight[w] > 0)
                serve(&g, &g.p.sets[i], w);
        }
    glp_load_matrix(g.lp, g.entries, g.row, g.column, g.value);
    glp_iocp how;
    glp_init_iocp(&how);
    how.presolve = GLP_ON;
    how.msg_lev = GLP_MSG_OFF;
    how.tm_lim = 20000;
    how.mir_cuts = GLP_ON;
    how.mip_gap = 1e-5;
    int failed = glp_intopt(g.lp, &how);
    double value = none + glp_mip_obj_val(g.lp);
    if (failed || (glp_mip_status(g.lp) != GLP_OPT && glp_mip_status(g.lp) != GLP_FEAS))
        value = -1;
    *count = 0;
    for (uint32_t m = 0; m < g.p.machines && value >= 0; m++)
        for (uint32_t o = 0; o < g.p.models; o++)
            for (uint8_t t = TIER_DISK; t < TIER_COUNT; t++)
                if (glp_mip_col_val(g.lp, g.x[m][o][t]) > 0.5)
                    best[(*count)++] =
                        (struct emp_place_copy){.machine = m,
                                                .model = o,
                                                .residency = t == TIER_DISK  ? EMP_RESIDENCY_DISK
                                                             : t == TIER_RAM ? EMP_RESIDENCY_RAM
                                                                             : EMP_RESIDENCY_GPU};
    glp_delete_prob(g.lp);
    free(g.row);
    free(g.column);
    free(g.value);
    return value;
}

static double prices_of(struct place_case *c, const struct emp_place_copy *copies, uint32_t count)
{
    struct place p;
    double sum = 0;
    place_build(&p, &c->arena, &c->in);
    for (uint32_t i = 0; i < count; i++)
        sum += place_price(&p, copies[i].machine, copies[i].model,
                           (uint8_t)(copies[i].residency - 1), true);
    return sum;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void near_the_optimum(void **state)
{
    (void)state;
    double gap[CASES], over[CASES];
    int n = 0, unsolved = 0;
    bool verbose = getenv("EMP_VERBOSE") != NULL;
    for (uint64_t seed = 1; n < CASES; seed++) {
        struct place_case c;
        struct emp_place_copy best[64];
        struct emp_random r;
        uint32_t count;
        emp_random_init(&r, seed);
        case_init(&c);
        uint32_t machines = 2 + (uint32_t)emp_random_below(&r, 2);
        random_small(&c, &r, machines, 3 + (uint32_t)emp_random_below(&r, 3),
                     2 + (uint32_t)emp_random_below(&r, 3));
        for (uint32_t m = 0; m < machines; m++)
            if (machines == MACHINES_MAX)
                c.machines[m].hazard_per_hour = 0; // keeps the scenarios few
        if (seed % 2)
            c.in.copy_count = 0;
        c.settings.margin = c.settings.gain_fetch_s = c.settings.gain_load_s = 0;
        c.settings.chance_min = c.settings.confidence_min = 0;
        c.settings.moves_per_machine = 1000;
        c.settings.link_share = 1000;
        c.settings.keep_last = false;
        double optimum = solve(&c, best, &count);
        plan_case(&c);
        double ours = c.plan.value - c.plan.price;
        if (optimum < 0) {
            unsolved++;
            case_release(&c);
            assert_true(unsolved < CASES / 4);
            continue;
        }
        double prices = prices_of(&c, best, count);
        c.in.copies = best;
        c.in.copy_count = count;
        double again = emp_place_value(&c.arena, &c.in);
        check_case((long)seed, fabs(again - prices - optimum) < 1e-3 + 1e-4 * optimum);
        check_case((long)seed, ours <= optimum + 1e-3 + 1e-4 * optimum);
        double best_gain = optimum - c.plan.value_before;
        gap[n] = optimum > 0.1 ? (optimum - ours) / optimum : 0;
        over[n] = best_gain > 0.01 * optimum + 0.1 ? (optimum - ours) / best_gain : 0;
        if (verbose)
            print_message("seed %d: ours %.3f optimum %.3f gap %.4f, of what moves gain %.4f\n",
                          (int)seed, ours, optimum, gap[n], over[n]);
        n++;
        case_release(&c);
    }
    qsort(gap, CASES, sizeof *gap, ascending);
    qsort(over, CASES, sizeof *over, ascending);
    print_message("%d cases, %d not solved in time; value below the optimum: median %.3f %%, p90 "
                  "%.3f %%, worst %.3f %%; of what the best moves gain: median %.3f %%, p90 %.3f "
                  "%%, worst %.3f %%\n",
                  CASES, unsolved, 100 * gap[CASES / 2], 100 * gap[CASES * 9 / 10],
                  100 * gap[CASES - 1], 100 * over[CASES / 2], 100 * over[CASES * 9 / 10],
                  100 * over[CASES - 1]);
    assert_true(gap[CASES / 2] <= 0.02);
    assert_true(gap[CASES - 1] <= 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_the_optimum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

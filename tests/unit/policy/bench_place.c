/* How long a plan takes for a large fleet: the first one, on a fleet that holds what it happens to
 * hold, and the next ones, each after the last was carried out and demand has changed by up to a
 * quarter. Seconds are of processor time.
 *
 *   bench_place [MACHINES [MODELS [DEMANDS]]] */
#include "place_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Popularity by rank: few models make most of the demand, as in any trace. */
static uint32_t by_rank(struct emp_random *r, uint32_t n)
{
    double u = emp_random_unit(r);
    uint32_t i = (uint32_t)(pow((double)n, u) - 1);
    return i < n ? i : n - 1;
}

static void build(struct place_case *c, struct emp_random *r, uint32_t machines, uint32_t models,
                  uint32_t demands)
{
    uint32_t bases = 1 + models / 8;
    for (uint32_t m = 0; m < machines; m++) {
        add_machine(c, (int64_t)uniform(r, 100e9, 500e9), 32 * GB, 24 * GB);
        c->machines[m].pool = m % 3;
        c->machines[m].busy = uniform(r, 0, 0.6);
        c->machines[m].link_bytes_per_s = (int64_t)uniform(r, 10e6, 150e6);
    }
    for (uint32_t o = 0; o < models; o++)
        add_model(c, o < bases ? (int64_t)uniform(r, 2e9, 14e9) : (int64_t)uniform(r, 5e7, 1e9));
    for (uint32_t i = 0; i < demands; i++) {
        uint32_t set[] = {by_rank(r, bases), bases + by_rank(r, models - bases),
                          bases + by_rank(r, models - bases)};
        struct emp_place_demand *d = add_demand(c,
                                                40.0 * machines / demands * exp(uniform(r, -4, 2)),
                                                1 + (uint32_t)emp_random_below(r, 3), set);
        d->pool = (uint32_t)emp_random_below(r, 3);
    }
    for (uint32_t m = 0; m < machines; m++)
        for (int64_t room = c->machines[m].disk_bytes; room > 0;) {
            uint32_t o = emp_random_below(r, 2) ? by_rank(r, bases)
                                                : bases + by_rank(r, models - bases);
            room -= c->models[o].bytes;
            if (room > 0 && c->in.copy_count < CASE_COPIES)
                add_copy(c, m, o, EMP_RESIDENCY_DISK);
        }
}

static void report(const char *what, const struct place_case *c, double seconds)
{
    uint32_t kinds[4] = {0};
    for (uint32_t i = 0; i < c->plan.move_count; i++)
        kinds[c->plan.moves[i].kind]++;
    printf("%-10s %.3f s; %u copies; %u fetches, %u loads, %u drops; value %.0f -> %.0f, price "
           "%.0f; %u walks\n",
           what, seconds, c->in.copy_count, kinds[EMP_PLACE_FETCH], kinds[EMP_PLACE_LOAD],
           kinds[EMP_PLACE_DROP], c->plan.value_before, c->plan.value, c->plan.price,
           c->plan.evaluations);
}

/* As carry_out(), without its quadratic search. */
static void settle(struct place_case *c)
{
    c->in.copy_count = 0;
    for (uint32_t i = 0; i < c->plan.want_count; i++)
        if (c->plan.wants[i].tier != EMP_RESIDENCY_NONE)
            add_copy(c, c->plan.wants[i].machine, c->plan.wants[i].model, c->plan.wants[i].tier);
}

int main(int argc, char **argv)
{
    uint32_t size[] = {1000, 2000, 4000};
    for (int i = 1; i < argc && i < 4; i++)
        size[i - 1] = (uint32_t)atoi(argv[i]);
    struct place_case c;
    struct emp_random r;
    emp_random_init(&r, 1);
    case_init(&c);
    build(&c, &r, size[0], size[1], size[2]);
    for (int i = 0; i < 6; i++) {
        double start = now_s();
        plan_case(&c);
        report(i == 0 ? "first" : "next", &c, now_s() - start);
        settle(&c);
        for (uint32_t d = 0; d < c.in.demand_count; d++) {
            double by = uniform(&r, 0.8, 1.25);
            c.demands[d].uses_near *= by;
            c.demands[d].uses_far *= by;
        }
    }
    case_release(&c);
    return 0;
}

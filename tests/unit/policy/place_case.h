/* Placement inputs for tests: built by hand or at random, small or large. */
#ifndef EMP_TESTS_POLICY_PLACE_CASE_H
#define EMP_TESTS_POLICY_PLACE_CASE_H

#include "policy/place.h"

#include "check.h"

#include <math.h>
#include <string.h>

#define MB (1000LL * 1000)
#define GB (1000 * MB)

enum { CASE_MACHINES = 1000, CASE_MODELS = 2000, CASE_COPIES = 400000, CASE_DEMANDS = 8000 };

struct place_case {
    struct emp_arena arena;
    struct emp_place_settings settings;
    struct emp_place_input in;
    struct emp_place_machine *machines;
    struct emp_place_model *models;
    struct emp_place_copy *copies;
    struct emp_place_demand *demands;
    struct emp_place_plan plan;
};

static inline void case_init(struct place_case *c)
{
    memset(c, 0, sizeof *c);
    emp_arena_init(&c->arena, 0);
    c->settings = *emp_place_settings_default();
    c->machines = emp_arena_array(&c->arena, struct emp_place_machine, CASE_MACHINES);
    c->models = emp_arena_array(&c->arena, struct emp_place_model, CASE_MODELS);
    c->copies = emp_arena_array(&c->arena, struct emp_place_copy, CASE_COPIES);
    c->demands = emp_arena_array(&c->arena, struct emp_place_demand, CASE_DEMANDS);
    c->in = (struct emp_place_input){.settings = &c->settings,
                                     .machines = c->machines,
                                     .models = c->models,
                                     .copies = c->copies,
                                     .demands = c->demands};
}

static inline void case_release(struct place_case *c)
{
    emp_arena_release(&c->arena);
}

static inline uint32_t add_machine(struct place_case *c, int64_t disk, int64_t ram, int64_t gpu)
{
    c->machines[c->in.machine_count] = (struct emp_place_machine){
        .serves = true,
        .moves = true,
        .disk_bytes = disk,
        .ram_bytes = ram,
        .gpu_bytes = gpu,
        .link_bytes_per_s = 50 * MB,
        .busy = 0.1,
        .hazard_per_hour = 0.005,
    };
    return c->in.machine_count++;
}

static inline uint32_t add_model(struct place_case *c, int64_t bytes)
{
    c->models[c->in.model_count] =
        (struct emp_place_model){.bytes = bytes, .fetchable = true, .loads = true};
    return c->in.model_count++;
}

static inline struct emp_place_copy *add_copy(struct place_case *c, uint32_t machine,
                                              uint32_t model, enum emp_residency r)
{
    struct emp_place_copy *copy = &c->copies[c->in.copy_count++];
    *copy = (struct emp_place_copy){.machine = machine, .model = model, .residency = r};
    return copy;
}

static inline struct emp_place_demand *add_demand(struct place_case *c, double uses_near,
                                                  uint32_t count, const uint32_t *models)
{
    struct emp_place_demand *d = &c->demands[c->in.demand_count++];
    *d = (struct emp_place_demand){
        .models = emp_arena_dup(&c->arena, models, count * sizeof *models),
        .model_count = count,
        .pool = EMP_PLACE_ANY,
        .region = EMP_PLACE_ANY,
        .uses_near = uses_near,
        .uses_far = 6 * uses_near,
        .chance_far = 1 - exp(-6 * uses_near),
        .confidence = 0.7,
        .weight = 1,
        .run_s = 30,
        .concurrency = -1,
    };
    return d;
}
#define add_demand_of(c, uses, ...)                                               \
    add_demand((c), (uses), sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), \
               (uint32_t[]){__VA_ARGS__})

static inline void plan_case(struct place_case *c)
{
    emp_place_plan(&c->arena, &c->in, &c->plan);
}

static inline enum emp_residency wanted(const struct place_case *c, uint32_t machine,
                                        uint32_t model)
{
    const struct emp_place_want *w = emp_place_find(&c->plan, machine, model);
    return w ? w->tier : EMP_RESIDENCY_NONE;
}

static inline uint32_t replicas(const struct place_case *c, uint32_t model,
                                enum emp_residency least)
{
    uint32_t n = 0;
    for (uint32_t m = 0; m < c->in.machine_count; m++)
        n += wanted(c, m, model) >= least;
    return n;
}

static inline const struct emp_place_copy *given(const struct place_case *c, uint32_t machine,
                                                 uint32_t model)
{
    for (uint32_t i = 0; i < c->in.copy_count; i++)
        if (c->copies[i].machine == machine && c->copies[i].model == model &&
            c->copies[i].residency != EMP_RESIDENCY_NONE)
            return &c->copies[i];
    return NULL;
}

/* The plan carried out: its wants are the copies. */
static inline void carry_out(struct place_case *c)
{
    uint32_t n = 0;
    struct emp_place_copy *old =
        emp_arena_dup(&c->arena, c->copies, c->in.copy_count * sizeof *old);
    uint32_t old_count = c->in.copy_count;
    for (uint32_t i = 0; i < c->plan.want_count; i++) {
        const struct emp_place_want *w = &c->plan.wants[i];
        struct emp_place_copy copy = {.machine = w->machine, .model = w->model};
        for (uint32_t j = 0; j < old_count; j++)
            if (old[j].machine == w->machine && old[j].model == w->model) {
                copy = old[j];
                break;
            }
        copy.residency = w->tier;
        if (w->tier != EMP_RESIDENCY_NONE)
            c->copies[n++] = copy;
    }
    c->in.copy_count = n;
}

/* A small fleet: few machines, a base or two with add-ons, copies that fit. */
static inline void random_small(struct place_case *c, struct emp_random *r, uint32_t machines,
                                uint32_t models, uint32_t demands)
{
    uint32_t bases = 1 + (uint32_t)emp_random_below(r, models > 3 ? 3 : models);
    for (uint32_t i = 0; i < machines; i++) {
        uint32_t m = add_machine(c, (int64_t)uniform(r, 4e9, 30e9), (int64_t)uniform(r, 0, 20e9),
                                 (int64_t)uniform(r, 0, 16e9));
        c->machines[m].busy = uniform(r, 0, 0.7);
        c->machines[m].hazard_per_hour = uniform(r, 0, 0.03);
        c->machines[m].link_bytes_per_s = (int64_t)uniform(r, 10e6, 150e6);
    }
    for (uint32_t i = 0; i < models; i++)
        add_model(c, i < bases ? (int64_t)uniform(r, 2e9, 9e9) : (int64_t)uniform(r, 5e7, 2e9));
    for (uint32_t i = 0; i < demands; i++) {
        uint32_t set[2] = {(uint32_t)emp_random_below(r, bases),
                           (uint32_t)emp_random_below(r, models)};
        double uses = exp(uniform(r, -3, 4));
        struct emp_place_demand *d = add_demand(c, uses, set[1] == set[0] ? 1 : 2, set);
        d->uses_far = uses * uniform(r, 1, 8);
        d->run_s = exp(uniform(r, 0, 5));
        d->weight = emp_random_below(r, 2) ? 1 : 3;
        d->concurrency = emp_random_below(r, 2) ? -1 : uniform(r, 0, 2);
    }
    for (uint32_t m = 0; m < machines; m++) {
        int64_t room[EMP_RESIDENCY_COUNT] = {[EMP_RESIDENCY_DISK] = c->machines[m].disk_bytes,
                                             [EMP_RESIDENCY_RAM] = c->machines[m].ram_bytes,
                                             [EMP_RESIDENCY_GPU] = c->machines[m].gpu_bytes};
        for (uint32_t o = 0; o < models; o++) {
            enum emp_residency at = EMP_RESIDENCY_DISK + (enum emp_residency)emp_random_below(r, 3);
            int64_t bytes = c->models[o].bytes;
            if (emp_random_below(r, 2) || room[EMP_RESIDENCY_DISK] < bytes)
                continue;
            if (at != EMP_RESIDENCY_DISK && (room[at] < bytes || c->machines[m].gpu_bytes == 0))
                at = EMP_RESIDENCY_DISK;
            room[EMP_RESIDENCY_DISK] -= bytes;
            if (at != EMP_RESIDENCY_DISK)
                room[at] -= bytes;
            add_copy(c, m, o, at);
        }
    }
}

#endif

/* The placement plan: what must always hold, on random fleets; and what a planner should do, on
 * fleets small enough to see it. */
#include "place_case.h"

/* ---- what must always hold ---- */

static void check_capacity(long n, const struct place_case *c)
{
    for (uint32_t m = 0; m < c->in.machine_count; m++) {
        int64_t used[EMP_RESIDENCY_COUNT] = {0}, before[EMP_RESIDENCY_COUNT] = {0};
        int64_t budget[EMP_RESIDENCY_COUNT] = {[EMP_RESIDENCY_DISK] = c->machines[m].disk_bytes,
                                               [EMP_RESIDENCY_RAM] = c->machines[m].ram_bytes,
                                               [EMP_RESIDENCY_GPU] = c->machines[m].gpu_bytes};
        for (uint32_t o = 0; o < c->in.model_count; o++) {
            const struct emp_place_copy *g = given(c, m, o);
            enum emp_residency at = wanted(c, m, o);
            used[EMP_RESIDENCY_DISK] += at != EMP_RESIDENCY_NONE ? c->models[o].bytes : 0;
            before[EMP_RESIDENCY_DISK] += g ? c->models[o].bytes : 0;
            if (at > EMP_RESIDENCY_DISK)
                used[at] += c->models[o].bytes;
            if (g && g->residency > EMP_RESIDENCY_DISK)
                before[g->residency] += c->models[o].bytes;
        }
        for (int t = EMP_RESIDENCY_DISK; t <= EMP_RESIDENCY_GPU; t++)
            check_case(n, used[t] <= budget[t] || used[t] <= before[t]);
    }
}

static void check_kept(long n, const struct place_case *c)
{
    bool named[CASE_MODELS] = {false};
    for (uint32_t i = 0; i < c->in.demand_count; i++)
        for (uint32_t k = 0; k < c->demands[i].model_count; k++)
            named[c->demands[i].models[k]] = true;
    for (uint32_t o = 0; o < c->in.model_count; o++) {
        uint32_t whole = 0, kept = 0;
        for (uint32_t m = 0; m < c->in.machine_count; m++) {
            const struct emp_place_copy *g = given(c, m, o);
            enum emp_residency at = wanted(c, m, o);
            if (g && !c->machines[m].serves)
                check_case(n, emp_place_find(&c->plan, m, o)->present == g->residency);
            if (!c->machines[m].serves || !c->machines[m].moves)
                check_case(n, at == (!g                                       ? EMP_RESIDENCY_NONE
                                     : g->residency == EMP_RESIDENCY_FETCHING ? EMP_RESIDENCY_DISK
                                                                              : g->residency));
            if (!g)
                continue;
            if (g->in_use)
                check_case(n, at >= EMP_RESIDENCY_DISK && at >= g->residency);
            if (g->pinned || c->models[o].keep ||
                (g->residency == EMP_RESIDENCY_FETCHING && !g->planned))
                check_case(n, at >= EMP_RESIDENCY_DISK);
            if (g->residency >= EMP_RESIDENCY_DISK && c->machines[m].serves) {
                whole++;
                kept += at >= EMP_RESIDENCY_DISK;
            }
        }
        check_case(n, whole == 0 || kept > 0 || (!named[o] && c->models[o].fetchable));
    }
}

/* Each difference has its move and each move its difference; drops belong to what needs the room.
 */
static void check_moves(long n, const struct place_case *c)
{
    uint32_t differences = 0;
    for (uint32_t i = 0; i < c->plan.want_count; i++) {
        const struct emp_place_want *w = &c->plan.wants[i];
        check_case(n, isfinite(w->worth) && w->worth >= 0 && isfinite(w->uses_per_hour));
        check_case(n, w->tier != EMP_RESIDENCY_FETCHING);
        enum emp_residency present = w->present == EMP_RESIDENCY_FETCHING ? EMP_RESIDENCY_DISK
                                                                          : w->present;
        if (w->tier != present)
            differences += present == EMP_RESIDENCY_NONE && w->tier > EMP_RESIDENCY_DISK ? 2 : 1;
        if (i > 0)
            check_case(n, w[-1].machine < w->machine ||
                              (w[-1].machine == w->machine && w[-1].model < w->model));
    }
    check_case(n, differences == c->plan.move_count);
    for (uint32_t i = 0; i < c->plan.move_count; i++) {
        const struct emp_place_move *m = &c->plan.moves[i];
        check_case(n, isfinite(m->gain) && isfinite(m->seconds) && m->seconds >= 0);
        check_case(n, c->machines[m->machine].serves && c->machines[m->machine].moves);
        if (m->kind == EMP_PLACE_FETCH)
            check_case(n, !given(c, m->machine, m->model) && c->models[m->model].fetchable);
        if (m->kind == EMP_PLACE_DROP) {
            check_case(n, m->after < c->plan.move_count);
            check_case(n, c->plan.moves[m->after].machine == m->machine);
            check_case(n, c->plan.moves[m->after].kind <= EMP_PLACE_LOAD);
        }
        if (m->kind == EMP_PLACE_LOAD && !given(c, m->machine, m->model))
            check_case(n, m->after != EMP_PLACE_NONE && c->plan.moves[m->after].model == m->model);
    }
}

static void check_value(long n, struct place_case *c)
{
    bool free = true; // to be worth it: not what is urgent, nor what gives a price back
    for (uint32_t i = 0; i < c->plan.move_count; i++)
        free &= !c->plan.moves[i].urgent && c->plan.moves[i].kind != EMP_PLACE_CANCEL;
    check_case(n, !free || c->plan.value + 1e-6 >= c->plan.value_before + c->plan.price);
    check_case(n, fabs(emp_place_value(&c->arena, &c->in) - c->plan.value_before) <
                      1e-6 * (1 + c->plan.value_before));
}

static void spoil(struct place_case *c, struct emp_random *r)
{
    for (uint32_t i = 0; i < c->in.copy_count; i++) {
        struct emp_place_copy *copy = &c->copies[i];
        copy->pinned = emp_random_below(r, 8) == 0;
        copy->in_use = emp_random_below(r, 6) == 0;
        if (emp_random_below(r, 6) == 0) {
            copy->residency = EMP_RESIDENCY_FETCHING;
            copy->planned = emp_random_below(r, 2);
            copy->bytes_left = c->models[copy->model].bytes / 2;
        }
    }
    for (uint32_t i = 0; i < c->in.machine_count; i++) {
        c->machines[i].serves = emp_random_below(r, 6) != 0;
        c->machines[i].moves = emp_random_below(r, 6) != 0;
        c->machines[i].pool = (uint32_t)emp_random_below(r, 2);
        c->machines[i].customer = emp_random_below(r, 6) ? 0 : 7;
    }
    for (uint32_t i = 0; i < c->in.model_count; i++) {
        c->models[i].fetchable = emp_random_below(r, 8) != 0;
        c->models[i].loads = emp_random_below(r, 8) != 0;
        c->models[i].keep = emp_random_below(r, 12) == 0;
        c->models[i].customer = emp_random_below(r, 8) ? 0 : 7 + (uint32_t)emp_random_below(r, 2);
    }
    for (uint32_t i = 0; i < c->in.demand_count; i++) {
        c->demands[i].pool = emp_random_below(r, 2) ? EMP_PLACE_ANY : 0;
        c->demands[i].waiting = (uint32_t)emp_random_below(r, 3);
        c->demands[i].critical = emp_random_below(r, 4) == 0;
        c->demands[i].customer = emp_random_below(r, 4) ? 0 : 7;
    }
}

static void random_fleets(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 1);
    uint32_t moves = 0;
    for (long n = 0; n < 300; n++) {
        struct place_case c;
        case_init(&c);
        c.settings.effort = 0.1;
        random_small(&c, &r, 1 + (uint32_t)emp_random_below(&r, 6),
                     2 + (uint32_t)emp_random_below(&r, 10), (uint32_t)emp_random_below(&r, 12));
        if (n % 2)
            spoil(&c, &r);
        plan_case(&c);
        check_capacity(n, &c);
        check_kept(n, &c);
        check_moves(n, &c);
        check_value(n, &c);
        moves += c.plan.move_count;
        case_release(&c);
    }
    assert_true(moves > 1000);
}

static void privacy_is_kept(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 9);
    for (long n = 0; n < 100; n++) {
        struct place_case c;
        case_init(&c);
        random_small(&c, &r, 4, 6, 8);
        c.in.copy_count = 0;
        spoil(&c, &r);
        plan_case(&c);
        for (uint32_t i = 0; i < c.plan.want_count; i++) {
            const struct emp_place_want *w = &c.plan.wants[i];
            uint32_t model = c.models[w->model].customer, machine = c.machines[w->machine].customer;
            check_case(n, model == 0 || machine == 0 || model == machine);
        }
        case_release(&c);
    }
}

static void same_input_same_plan(void **state)
{
    (void)state;
    for (long n = 0; n < 20; n++) {
        struct place_case c[2];
        for (int i = 0; i < 2; i++) {
            struct emp_random r;
            emp_random_init(&r, 100 + (uint64_t)n);
            case_init(&c[i]);
            random_small(&c[i], &r, 5, 10, 10);
            plan_case(&c[i]);
        }
        check_case(n, c[0].plan.want_count == c[1].plan.want_count);
        check_case(n, c[0].plan.move_count == c[1].plan.move_count);
        for (uint32_t i = 0; i < c[0].plan.want_count; i++)
            check_case(n, c[0].plan.wants[i].tier == c[1].plan.wants[i].tier &&
                              c[0].plan.wants[i].model == c[1].plan.wants[i].model);
        case_release(&c[0]);
        case_release(&c[1]);
    }
}

/* Carried out, the plan asks for nothing more; and a little more or less demand changes nothing. */
static void a_plan_that_stands_is_left_alone(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 3);
    uint32_t again = 0, shaken = 0, first = 0;
    for (long n = 0; n < 100; n++) {
        struct place_case c;
        case_init(&c);
        random_small(&c, &r, 4, 8, 10);
        plan_case(&c);
        first += c.plan.move_count;
        carry_out(&c);
        plan_case(&c);
        again += c.plan.move_count;
        carry_out(&c);
        for (uint32_t i = 0; i < c.in.demand_count; i++) {
            double by = uniform(&r, 0.95, 1.05);
            c.demands[i].uses_near *= by;
            c.demands[i].uses_far *= by;
        }
        plan_case(&c);
        shaken += c.plan.move_count;
        case_release(&c);
    }
    print_message("moves of 100 plans: %u; carried out, planned again: %u; demand shaken by 5 %%: "
                  "%u\n",
                  first, again, shaken);
    assert_true(first > 300);
    assert_true(again * 10 <= first);
    assert_true(shaken * 20 <= first);
}

/* ---- what a planner should do ---- */

static void nothing_in_nothing_out(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    plan_case(&c);
    assert_int_equal(c.plan.want_count, 0);
    assert_int_equal(c.plan.move_count, 0);
    uint32_t o = add_model(&c, 6 * GB);
    add_demand_of(&c, 10, o);
    plan_case(&c);
    assert_int_equal(c.plan.move_count, 0);
    add_machine(&c, 100 * GB, 32 * GB, 24 * GB);
    c.in.demand_count = 0;
    plan_case(&c);
    assert_int_equal(c.plan.move_count, 0);
    case_release(&c);
}

static void what_is_wanted_comes_into_gpu_memory(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    add_machine(&c, 100 * GB, 32 * GB, 24 * GB);
    uint32_t base = add_model(&c, 6 * GB), lora = add_model(&c, 200 * MB), no = add_model(&c, GB);
    add_demand_of(&c, 10, base, lora);
    plan_case(&c);
    assert_int_equal(wanted(&c, 0, base), EMP_RESIDENCY_GPU);
    assert_int_equal(wanted(&c, 0, lora), EMP_RESIDENCY_GPU);
    assert_int_equal(wanted(&c, 0, no), EMP_RESIDENCY_NONE);
    assert_int_equal(c.plan.move_count, 4);
    assert_int_equal(c.plan.moves[0].kind, EMP_PLACE_FETCH);
    assert_true(c.plan.moves[0].gain > 0);
    assert_int_equal(c.plan.moves[0].demand, 0);
    assert_true(emp_place_find(&c.plan, 0, base)->worth > 10);
    case_release(&c);
}

/* Ten idle machines with room for three bases each: with thirty bases and little load, each stands
 * in some GPU memory before the hottest stands everywhere. */
static void an_idle_fleet_spreads_its_gpu_memory(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    for (int i = 0; i < 10; i++)
        c.machines[add_machine(&c, 300 * GB, 0, 21 * GB)].busy = 0.04;
    for (uint32_t o = 0; o < 30; o++) {
        add_model(&c, 6900 * MB);
        struct emp_place_demand *d = add_demand_of(&c, 6.0 / (1 + o), o);
        d->concurrency = 0;
        for (uint32_t m = 0; m < 10; m++)
            add_copy(&c, m, o, EMP_RESIDENCY_DISK);
    }
    plan_case(&c);
    uint32_t in_memory = 0;
    for (uint32_t o = 0; o < 30; o++)
        in_memory += replicas(&c, o, EMP_RESIDENCY_GPU) > 0;
    print_message("%u of 30 bases in GPU memory, the hottest on %u machines\n", in_memory,
                  replicas(&c, 0, EMP_RESIDENCY_GPU));
    assert_true(in_memory >= 24);
    case_release(&c);
}

/* Never fewer replicas for more demand. */
static void more_demand_more_replicas(void **state)
{
    (void)state;
    uint32_t before = 0;
    for (double uses = 0.01; uses < 2000; uses *= 2) {
        struct place_case c;
        case_init(&c);
        for (int i = 0; i < 8; i++)
            add_machine(&c, 100 * GB, 32 * GB, 24 * GB);
        add_demand_of(&c, uses, add_model(&c, 6 * GB));
        plan_case(&c);
        uint32_t now = replicas(&c, 0, EMP_RESIDENCY_DISK);
        assert_true(now >= before);
        before = now;
        case_release(&c);
    }
    assert_int_equal(before, 8);
}

static void an_add_on_goes_where_its_base_is(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    for (int i = 0; i < 5; i++)
        add_machine(&c, 100 * GB, 0, 10 * GB);
    uint32_t base = add_model(&c, 6 * GB), lora = add_model(&c, 300 * MB);
    add_copy(&c, 3, base, EMP_RESIDENCY_GPU);
    c.settings.moves_per_machine = 1;
    add_demand_of(&c, 0.5, base, lora);
    plan_case(&c);
    assert_int_equal(wanted(&c, 3, lora), EMP_RESIDENCY_GPU);
    case_release(&c);
}

/* Of a base that many rare sets share, none of which is likely, the base is likely. */
static void a_shared_base_counts_for_all_its_sets(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    for (int i = 0; i < 3; i++)
        add_machine(&c, 100 * GB, 0, 24 * GB);
    uint32_t base = add_model(&c, 6 * GB);
    for (int i = 0; i < 60; i++)
        add_demand_of(&c, 0.02, base, add_model(&c, 200 * MB));
    plan_case(&c);
    assert_true(wanted(&c, 0, base) + wanted(&c, 1, base) + wanted(&c, 2, base) >=
                EMP_RESIDENCY_GPU);
    for (uint32_t m = 0; m < 3; m++)
        for (uint32_t o = 1; o <= 60; o++)
            assert_int_equal(wanted(&c, m, o), EMP_RESIDENCY_NONE); // too unlikely to be fetched
    case_release(&c);
}

static void only_what_is_in_the_way_is_dropped(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    add_machine(&c, 20 * GB, 0, 24 * GB);
    for (int i = 0; i < 4; i++)
        add_copy(&c, 0, add_model(&c, 4 * GB), EMP_RESIDENCY_DISK); // nobody wants them
    c.copies[1].pinned = true;
    c.copies[2].in_use = true;
    uint32_t wants = add_model(&c, 7 * GB);
    add_demand_of(&c, 10, wants);
    plan_case(&c);
    assert_int_equal(wanted(&c, 0, wants), EMP_RESIDENCY_GPU);
    assert_int_equal(wanted(&c, 0, 1), EMP_RESIDENCY_DISK);
    assert_int_equal(wanted(&c, 0, 2), EMP_RESIDENCY_DISK);
    assert_int_equal(
        (wanted(&c, 0, 0) == EMP_RESIDENCY_NONE) + (wanted(&c, 0, 3) == EMP_RESIDENCY_NONE), 1);
    case_release(&c);
}

/* The only copy of a rare model stands in the way of a hot one: it is kept as long as no other
 * whole copy stands, and may go as soon as one does. */
static void the_last_copy_stays_until_another_stands(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    add_machine(&c, 10 * GB, 0, 24 * GB);
    add_machine(&c, 10 * GB, 0, 24 * GB);
    uint32_t rare = add_model(&c, 6 * GB), hot = add_model(&c, 6 * GB);
    add_copy(&c, 0, rare, EMP_RESIDENCY_DISK);
    add_demand_of(&c, 0.001, rare);
    add_demand_of(&c, 400, hot);
    c.machines[1].disk_bytes = 0; // nowhere else to go
    plan_case(&c);
    assert_int_equal(wanted(&c, 0, rare), EMP_RESIDENCY_DISK);
    assert_int_equal(wanted(&c, 0, hot), EMP_RESIDENCY_NONE);
    c.machines[1].disk_bytes = 10 * GB;
    add_copy(&c, 1, rare, EMP_RESIDENCY_DISK);
    plan_case(&c);
    assert_int_equal(replicas(&c, rare, EMP_RESIDENCY_DISK), 1);
    assert_int_equal(replicas(&c, hot, EMP_RESIDENCY_DISK), 1);
    case_release(&c);
}

static void an_urgent_model_is_brought_at_once(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    for (int i = 0; i < 3; i++)
        add_machine(&c, 100 * GB, 0, 24 * GB);
    uint32_t o = add_model(&c, 6 * GB), other = add_model(&c, 5 * GB);
    struct emp_place_demand *d = add_demand_of(&c, 0, o);
    d->waiting = 1;
    d->critical = true;
    add_demand_of(&c, 500, other);
    c.settings.moves_per_machine = 0;
    c.settings.gain_fetch_s = 1e6;
    plan_case(&c);
    assert_int_equal(c.plan.moves[0].kind, EMP_PLACE_FETCH);
    assert_int_equal(c.plan.moves[0].model, o);
    assert_true(c.plan.moves[0].urgent);
    assert_int_equal(replicas(&c, o, EMP_RESIDENCY_DISK), 1);
    assert_int_equal(replicas(&c, other, EMP_RESIDENCY_DISK), 0);
    d->critical = false;
    plan_case(&c);
    assert_int_equal(c.plan.move_count, 0);
    case_release(&c);
}

static void a_useless_fetch_is_cancelled(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    add_machine(&c, 100 * GB, 0, 24 * GB);
    for (int i = 0; i < 3; i++) {
        struct emp_place_copy *copy = add_copy(&c, 0, add_model(&c, GB), EMP_RESIDENCY_FETCHING);
        copy->bytes_left = GB / 2;
        copy->planned = i != 1;
    }
    add_demand_of(&c, 10, 2);
    plan_case(&c);
    assert_int_equal(wanted(&c, 0, 0), EMP_RESIDENCY_NONE);
    assert_int_equal(wanted(&c, 0, 1), EMP_RESIDENCY_DISK); // a job's
    assert_int_equal(wanted(&c, 0, 2), EMP_RESIDENCY_GPU);
    assert_int_equal(c.plan.move_count, 2);
    assert_int_equal(c.plan.moves[1].kind, EMP_PLACE_CANCEL);
    case_release(&c);
}

static void limits_of_a_plan(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    for (int i = 0; i < 4; i++)
        add_machine(&c, 500 * GB, 0, 24 * GB);
    for (int i = 0; i < 20; i++)
        add_demand_of(&c, 5, add_model(&c, 5 * GB));
    c.settings.moves_per_machine = 3;
    plan_case(&c);
    uint32_t fetches[4] = {0}, all = 0;
    for (uint32_t i = 0; i < c.plan.move_count; i++)
        if (c.plan.moves[i].kind == EMP_PLACE_FETCH)
            fetches[c.plan.moves[i].machine]++;
    for (int i = 0; i < 4; i++) {
        assert_true(fetches[i] <= 3);
        all += fetches[i];
    }
    assert_int_equal(all, 12);
    c.settings.fetch_bytes = 26 * GB;
    plan_case(&c);
    all = 0;
    for (uint32_t i = 0; i < c.plan.move_count; i++)
        all += c.plan.moves[i].kind == EMP_PLACE_FETCH;
    assert_int_equal(all, 5);
    case_release(&c);
}

static void a_young_machine_is_trusted_less(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    add_machine(&c, 100 * GB, 0, 24 * GB);
    add_machine(&c, 100 * GB, 0, 24 * GB);
    c.machines[0].hazard_per_hour = 0.5;
    add_demand_of(&c, 0.3, add_model(&c, 3 * GB));
    plan_case(&c);
    assert_int_equal(wanted(&c, 0, 0), EMP_RESIDENCY_NONE);
    assert_int_equal(wanted(&c, 1, 0), EMP_RESIDENCY_GPU);
    case_release(&c);
}

static void absurd_input(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 5);
    const double odd[] = {NAN, INFINITY, -INFINITY, -1, 0, 1e300, 1e-300};
    const int64_t whole[] = {0, -1, INT64_MAX, INT64_MIN, 1};
#define ODD   odd[emp_random_below(&r, COUNT(odd))]
#define WHOLE whole[emp_random_below(&r, COUNT(whole))]
    for (long n = 0; n < 300; n++) {
        struct place_case c;
        case_init(&c);
        c.settings.effort = 0.1;
        random_small(&c, &r, 3, 5, 6);
        for (uint32_t i = 0; i < 3; i++) {
            struct emp_place_machine *m = &c.machines[i];
            switch (emp_random_below(&r, 4)) {
            case 0:
                m->busy = ODD;
                m->hazard_per_hour = ODD;
                break;
            case 1:
                m->disk_bytes = WHOLE;
                m->gpu_bytes = WHOLE;
                m->ram_bytes = WHOLE;
                break;
            case 2:
                m->link_bytes_per_s = WHOLE;
                m->disk_load_bytes_per_s = WHOLE;
                m->ram_load_bytes_per_s = WHOLE;
                break;
            default:
                break;
            }
            c.models[i].bytes = emp_random_below(&r, 3) ? c.models[i].bytes : WHOLE;
        }
        for (uint32_t i = 0; i < c.in.demand_count; i++) {
            struct emp_place_demand *d = &c.demands[i];
            double *fields[] = {&d->uses_near, &d->uses_far, &d->chance_far, &d->confidence,
                                &d->weight,    &d->run_s,    &d->concurrency};
            *fields[emp_random_below(&r, COUNT(fields))] = ODD;
        }
        double *settings[] = {
            &c.settings.near_h,     &c.settings.far_h,      &c.settings.far_share,
            &c.settings.promise_s,  &c.settings.late_s,     &c.settings.load_s,
            &c.settings.margin,     &c.settings.gb_moved_s, &c.settings.effort,
            &c.settings.link_share, &c.settings.gb_hour_s,  &c.settings.chance_min};
        double **which = &settings[emp_random_below(&r, COUNT(settings))];
        if (*which != &c.settings.effort)
            **which = ODD;
        add_copy(&c, 77, 0, EMP_RESIDENCY_GPU);
        add_copy(&c, 0, 77, EMP_RESIDENCY_GPU);
        plan_case(&c);
        check_case(n, isfinite(c.plan.value) && isfinite(c.plan.price));
        for (uint32_t i = 0; i < c.plan.want_count; i++)
            check_case(n, isfinite(c.plan.wants[i].worth) && c.plan.wants[i].worth >= 0);
        for (uint32_t i = 0; i < c.plan.move_count; i++)
            check_case(n, isfinite(c.plan.moves[i].gain) && isfinite(c.plan.moves[i].seconds));
        case_release(&c);
    }
}

static void explains_itself(void **state)
{
    (void)state;
    struct place_case c;
    case_init(&c);
    add_machine(&c, 10 * GB, 0, 24 * GB);
    add_machine(&c, 10 * GB, 0, 24 * GB);
    c.machines[1].serves = false;
    uint32_t old = add_model(&c, 8 * GB), hot = add_model(&c, 8 * GB);
    add_copy(&c, 0, old, EMP_RESIDENCY_DISK);
    add_copy(&c, 1, old, EMP_RESIDENCY_DISK);
    add_demand_of(&c, 60, hot);
    plan_case(&c);
#define EXPLAIN(m, o) emp_place_explain(&c.arena, &c.in, &c.plan, emp_place_find(&c.plan, m, o))
    assert_non_null(strstr(EXPLAIN(0, hot), "is fetched (gpu): 60.00 uses per hour expected here, "
                                            "copy 1 of 1"));
    assert_non_null(strstr(EXPLAIN(0, hot), "bringing it costs"));
    assert_non_null(strstr(EXPLAIN(0, old), "leaves to make room: 0.00 uses"));
    assert_non_null(strstr(EXPLAIN(1, old), "takes no jobs"));
    case_release(&c);
}

/* Wanted in the hours after the next one only: worth it, unless that counts for little yet. */
static void what_is_wanted_later_is_brought_as_far_as_it_counts(void **state)
{
    static const double shares[] = {1, 0.3, 0};
    (void)state;
    for (size_t i = 0; i < COUNT(shares); i++) {
        struct place_case c;
        case_init(&c);
        uint32_t machine = add_machine(&c, 100 * GB, 32 * GB, 24 * GB);
        uint32_t often = add_model(&c, 7 * GB), once = add_model(&c, 7 * GB);
        add_demand_of(&c, 0, often)->uses_far = 6;
        add_demand_of(&c, 0, once)->uses_far = 0.08;
        c.demands[0].chance_far = c.demands[1].chance_far = 1;
        c.settings.far_share = shares[i];
        plan_case(&c);
        check_case(i, (wanted(&c, machine, often) >= EMP_RESIDENCY_DISK) == (shares[i] > 0));
        check_case(i, (wanted(&c, machine, once) >= EMP_RESIDENCY_DISK) == (shares[i] == 1));
        case_release(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_fleets),
        cmocka_unit_test(privacy_is_kept),
        cmocka_unit_test(same_input_same_plan),
        cmocka_unit_test(a_plan_that_stands_is_left_alone),
        cmocka_unit_test(nothing_in_nothing_out),
        cmocka_unit_test(what_is_wanted_comes_into_gpu_memory),
        cmocka_unit_test(an_idle_fleet_spreads_its_gpu_memory),
        cmocka_unit_test(more_demand_more_replicas),
        cmocka_unit_test(an_add_on_goes_where_its_base_is),
        cmocka_unit_test(a_shared_base_counts_for_all_its_sets),
        cmocka_unit_test(only_what_is_in_the_way_is_dropped),
        cmocka_unit_test(the_last_copy_stays_until_another_stands),
        cmocka_unit_test(an_urgent_model_is_brought_at_once),
        cmocka_unit_test(a_useless_fetch_is_cancelled),
        cmocka_unit_test(limits_of_a_plan),
        cmocka_unit_test(a_young_machine_is_trusted_less),
        cmocka_unit_test(absurd_input),
        cmocka_unit_test(explains_itself),
        cmocka_unit_test(what_is_wanted_later_is_brought_as_far_as_it_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

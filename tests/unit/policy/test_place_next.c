/* What a machine may do now: jobs first, room first, one at a time; and what is cancelled. */
#include "place_case.h"

/* One machine with a disk of 20 GB. Models 0 and 1 (4 GB each) stand there unwanted, 2 (7 GB) is
 * fetched into their place and loaded, 3 (5 GB) stands on disk and is loaded. */
struct fixture {
    struct place_case c;
    struct emp_place_now_copy copies[8];
    struct emp_place_now now;
    struct emp_place_step steps[16];
    uint32_t count;
};

static void init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    struct place_case *c = &f->c;
    case_init(c);
    add_machine(c, 16 * GB, 0, 24 * GB);
    add_copy(c, 0, add_model(c, 4 * GB), EMP_RESIDENCY_DISK);
    add_copy(c, 0, add_model(c, 4 * GB), EMP_RESIDENCY_DISK);
    uint32_t comes = add_model(c, 7 * GB), stands = add_model(c, 5 * GB);
    add_copy(c, 0, stands, EMP_RESIDENCY_DISK);
    add_demand_of(c, 20, comes);
    add_demand_of(c, 10, stands);
    plan_case(c);
    f->copies[0] = (struct emp_place_now_copy){.model = 0, .residency = EMP_RESIDENCY_DISK};
    f->copies[1] = (struct emp_place_now_copy){.model = 1, .residency = EMP_RESIDENCY_DISK};
    f->copies[2] = (struct emp_place_now_copy){.model = 3, .residency = EMP_RESIDENCY_DISK};
    f->now = (struct emp_place_now){.copies = f->copies,
                                    .copy_count = 3,
                                    .disk_free_bytes = 3 * GB,
                                    .slots_free = 1,
                                    .link_bytes_per_s = 50 * MB};
}

static void next(struct fixture *f)
{
    f->count = emp_place_next_moves(&f->c.in, &f->c.plan, &f->now, f->steps, COUNT(f->steps));
}

static uint32_t steps_of(const struct fixture *f, enum emp_place_kind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->count; i++)
        n += f->steps[i].kind == kind;
    return n;
}

static const struct emp_place_step *step_of(const struct fixture *f, enum emp_place_kind kind)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->steps[i].kind == kind)
            return &f->steps[i];
    return NULL;
}

static void an_idle_machine_starts_one_of_each(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    next(&f);
    assert_int_equal(f.count, 3);
    assert_int_equal(steps_of(&f, EMP_PLACE_DROP), 1); // 3 GB free and 4 are enough
    assert_int_equal(step_of(&f, EMP_PLACE_FETCH)->model, 2);
    assert_int_equal(step_of(&f, EMP_PLACE_LOAD)->model, 3);
    assert_int_equal(step_of(&f, EMP_PLACE_LOAD)->tier, EMP_RESIDENCY_GPU);
    assert_true(step_of(&f, EMP_PLACE_DROP) < step_of(&f, EMP_PLACE_FETCH));
    assert_true(f.c.plan.moves[step_of(&f, EMP_PLACE_FETCH)->move].kind == EMP_PLACE_FETCH);
    case_release(&f.c);
}

static void jobs_come_first(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    f.now.job_fetches = 1;
    next(&f);
    assert_int_equal(steps_of(&f, EMP_PLACE_FETCH) + steps_of(&f, EMP_PLACE_DROP), 0);
    assert_int_equal(steps_of(&f, EMP_PLACE_LOAD), 1);
    f.now.jobs_preparing = 1;
    next(&f);
    assert_int_equal(f.count, 0);
    f.now.jobs_preparing = f.now.job_fetches = 0;
    f.now.slots_free = 0;
    next(&f);
    assert_int_equal(steps_of(&f, EMP_PLACE_LOAD), 0);
    assert_int_equal(steps_of(&f, EMP_PLACE_FETCH), 1);
    case_release(&f.c);
}

static void nothing_in_use_is_dropped(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    f.copies[0].in_use = f.copies[1].in_use = true;
    next(&f);
    assert_int_equal(steps_of(&f, EMP_PLACE_FETCH) + steps_of(&f, EMP_PLACE_DROP), 0);
    f.now.disk_free_bytes = 7 * GB;
    next(&f);
    assert_int_equal(steps_of(&f, EMP_PLACE_FETCH), 1);
    assert_int_equal(steps_of(&f, EMP_PLACE_DROP), 0);
    case_release(&f.c);
}

/* The drop and its fetch come together or not at all. */
static void no_drop_without_its_fetch(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    for (uint32_t max = 0; max < 4; max++) {
        f.count = emp_place_next_moves(&f.c.in, &f.c.plan, &f.now, f.steps, max);
        assert_true(f.count <= max);
        assert_true(steps_of(&f, EMP_PLACE_DROP) <= steps_of(&f, EMP_PLACE_FETCH));
    }
    case_release(&f.c);
}

static void running_fetches(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    f.copies[3] = (struct emp_place_now_copy){
        .model = 2, .residency = EMP_RESIDENCY_FETCHING, .planned = true, .bytes_left = 5 * GB};
    f.now.copy_count = 4;
    next(&f); // goes on
    assert_int_equal(steps_of(&f, EMP_PLACE_FETCH) + steps_of(&f, EMP_PLACE_CANCEL), 0);
    f.now.job_fetches = 1;
    next(&f); // is in a job's way
    assert_int_equal(steps_of(&f, EMP_PLACE_CANCEL), 1);
    assert_int_equal(step_of(&f, EMP_PLACE_CANCEL)->model, 2);
    f.copies[3].bytes_left = 50 * MB;
    next(&f); // nearly done
    assert_int_equal(steps_of(&f, EMP_PLACE_CANCEL), 0);
    f.copies[3].bytes_left = 5 * GB;
    f.copies[3].planned = false;
    next(&f); // the job's own
    assert_int_equal(steps_of(&f, EMP_PLACE_CANCEL), 0);
    f.copies[3].planned = true;
    f.now.job_fetches = 0;
    f.c.in.demand_count = 0;
    plan_case(&f.c);
    next(&f); // the plan has changed
    assert_int_equal(f.count, 1);
    assert_int_equal(f.steps[0].kind, EMP_PLACE_CANCEL);
    case_release(&f.c);
}

static void one_fetch_at_a_time_or_as_many_as_told(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    struct place_case *c = &f.c;
    c->machines[0].disk_bytes = 100 * GB;
    for (int i = 0; i < 3; i++)
        add_demand_of(c, 5, add_model(c, GB));
    plan_case(c);
    f.now.disk_free_bytes = 80 * GB;
    next(&f);
    assert_int_equal(steps_of(&f, EMP_PLACE_FETCH), 1);
    assert_int_equal(step_of(&f, EMP_PLACE_FETCH)->model, 2); // the most gainful
    f.now.fetches_max = 3;
    next(&f);
    assert_int_equal(steps_of(&f, EMP_PLACE_FETCH), 3);
    assert_int_equal(steps_of(&f, EMP_PLACE_DROP), 0);
    case_release(c);
}

static void what_no_longer_fits_is_passed_over(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    f.copies[2].residency = EMP_RESIDENCY_GPU; // a job has loaded it
    f.copies[3] = (struct emp_place_now_copy){.model = 2, .residency = EMP_RESIDENCY_DISK};
    f.now.copy_count = 4;
    next(&f); // a job has fetched 2: it is loaded now
    assert_int_equal(f.count, 1);
    assert_int_equal(f.steps[0].kind, EMP_PLACE_LOAD);
    assert_int_equal(f.steps[0].model, 2);
    f.copies[0].loading = true;
    next(&f); // one load at a time
    assert_int_equal(f.count, 0);
    f.copies[0].loading = false;
    f.now.machine = 7;
    next(&f);
    assert_int_equal(f.count, 0);
    f.now.machine = 0;
    f.c.machines[0].serves = false; // draining by now
    next(&f);
    assert_int_equal(f.count, 0);
    case_release(&f.c);
}

static void urgent_fetches_do_not_wait_for_the_link(void **state)
{
    (void)state;
    struct fixture f;
    init(&f);
    f.c.demands[0].waiting = 2;
    f.c.demands[0].critical = true;
    plan_case(&f.c);
    f.now.job_fetches = 1;
    next(&f);
    assert_int_equal(steps_of(&f, EMP_PLACE_FETCH), 1);
    f.copies[3] = (struct emp_place_now_copy){
        .model = 2, .residency = EMP_RESIDENCY_FETCHING, .planned = true, .bytes_left = 5 * GB};
    f.now.copy_count = 4;
    next(&f);
    assert_int_equal(steps_of(&f, EMP_PLACE_CANCEL), 0);
    case_release(&f.c);
}

/* Whatever stands there, step by step the plan is carried out, within the disk at all times. */
static void step_by_step_the_plan_is_done(void **state)
{
    (void)state;
    struct emp_random r;
    emp_random_init(&r, 11);
    for (long n = 0; n < 60; n++) {
        struct place_case c;
        case_init(&c);
        c.settings.effort = 0.1;
        random_small(&c, &r, 2, 8, 8);
        plan_case(&c);
        for (uint32_t m = 0; m < 2; m++) {
            struct emp_place_now_copy copies[8];
            enum emp_residency at[8];
            for (uint32_t o = 0; o < 8; o++)
                at[o] = given(&c, m, o) ? given(&c, m, o)->residency : EMP_RESIDENCY_NONE;
            for (int turn = 0; turn < 40; turn++) {
                struct emp_place_step steps[16];
                struct emp_place_now now = {.machine = m,
                                            .copies = copies,
                                            .disk_free_bytes = c.machines[m].disk_bytes,
                                            .slots_free = 1};
                for (uint32_t o = 0; o < 8; o++) {
                    if (at[o] == EMP_RESIDENCY_NONE)
                        continue;
                    copies[now.copy_count++] =
                        (struct emp_place_now_copy){.model = o, .residency = at[o]};
                    now.disk_free_bytes -= c.models[o].bytes;
                }
                check_case(n, now.disk_free_bytes >= 0);
                uint32_t count = emp_place_next_moves(&c.in, &c.plan, &now, steps, 16);
                for (uint32_t i = 0; i < count; i++)
                    at[steps[i].model] = steps[i].tier;
            }
            for (uint32_t o = 0; o < 8; o++)
                check_case(n, at[o] >= wanted(&c, m, o));
        }
        case_release(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_machine_starts_one_of_each),
        cmocka_unit_test(jobs_come_first),
        cmocka_unit_test(nothing_in_use_is_dropped),
        cmocka_unit_test(no_drop_without_its_fetch),
        cmocka_unit_test(running_fetches),
        cmocka_unit_test(one_fetch_at_a_time_or_as_many_as_told),
        cmocka_unit_test(what_no_longer_fits_is_passed_over),
        cmocka_unit_test(urgent_fetches_do_not_wait_for_the_link),
        cmocka_unit_test(step_by_step_the_plan_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pools: of jobs, of machines, specialties. */
#include "policy/pool.h"

#include "check.h"

#define S(z)             \
    {                    \
        z, sizeof(z) - 1 \
    }
#define GB     (1000LL * 1000 * 1000)
#define MINUTE (60LL * 1000)

static struct emp_str hipaa[] = {S("hipaa")}, ocr[] = {S("ocr")};

enum { FAST, STANDARD, HEAVY, PHOTO, EU, ACME, OCR, HIPAA };

static struct emp_pool table[] = {
    {.name = S("fast-lane"),
     .run_ms_max = 30000,
     .disk_bytes_min = 20 * GB,
     .disk_bytes_max = 40 * GB},
    {.name = S("standard"),
     .run_ms_min = 30000,
     .run_ms_max = 3 * MINUTE,
     .disk_bytes_min = 80 * GB,
     .gpu_memory_gb_min = 12},
    {.name = S("heavy"),
     .run_ms_min = 3 * MINUTE,
     .run_ms_max = EMP_NEVER,
     .disk_bytes_min = 150 * GB,
     .gpu_memory_gb_min = 24},
    {.name = S("photo"),
     .parent = S("standard"),
     .specialty = S("photography"),
     .disk_bytes_min = 80 * GB},
    {.name = S("standard-eu"),
     .parent = S("standard"),
     .region = S("eu"),
     .disk_bytes_min = 80 * GB},
    {.name = S("acme"), .customer = S("acme"), .run_ms_max = EMP_NEVER},
    {.name = S("ocr"), .parent = S("fast-lane"), .services = ocr, .service_count = 1},
    {.name = S("hipaa"), .parent = S("heavy"), .compliance = hipaa, .compliance_count = 1},
};
static const struct emp_settings settings = {.pools = table, .pool_count = COUNT(table)};

static uint32_t of(struct emp_job_spec job, const char *specialty, int64_t run_ms)
{
    if (job.service.len == 0)
        job.service = EMP_STR("comfyui");
    return emp_pool_for_job(&settings, &job, emp_str_z(specialty), run_ms);
}

#define JOB(...) ((struct emp_job_spec){__VA_ARGS__})

static void durations_decide(void **state)
{
    (void)state;
    static const struct {
        int64_t run_ms;
        uint32_t pool;
    } cases[] = {{-1, FAST},         {0, FAST},           {29999, FAST},     {30000, STANDARD},
                 {179999, STANDARD}, {3 * MINUTE, HEAVY}, {INT64_MAX, HEAVY}};
    for (size_t i = 0; i < COUNT(cases); i++)
        check_case(i, of(JOB(.wait = false), "", cases[i].run_ms) == cases[i].pool);
}

static void sub_pools_attract_their_own(void **state)
{
    (void)state;
    assert_int_equal(of(JOB(.wait = false), "photography", MINUTE), PHOTO);
    assert_int_equal(of(JOB(.wait = false), "photography", 1000),
                     FAST); // a short job stays where short jobs are
    assert_int_equal(of(JOB(.wait = false), "art", MINUTE), STANDARD);
    assert_int_equal(of(JOB(.region = S("eu")), "", MINUTE), EU);
    assert_int_equal(of(JOB(.region = S("us")), "", MINUTE), STANDARD);
    assert_int_equal(of(JOB(.service = S("ocr")), "", 1000), OCR);
    assert_int_equal(of(JOB(.compliance = hipaa, .compliance_count = 1), "", 5 * MINUTE), HIPAA);
    assert_int_equal(of(JOB(.compliance = hipaa, .compliance_count = 1), "", 1000),
                     HIPAA); // no other promises it
}

static void wishes_and_customers(void **state)
{
    (void)state;
    assert_int_equal(of(JOB(.pool = S("heavy")), "", 1), HEAVY);
    assert_int_equal(of(JOB(.pool = S("nowhere")), "", 1), FAST);
    assert_int_equal(of(JOB(.customer = S("acme")), "photography", MINUTE), ACME);
    assert_int_equal(of(JOB(.customer = S("acme"), .pool = S("standard")), "", 1), STANDARD);
    assert_int_equal(of(JOB(.pool = S("acme")), "", 1), FAST); // another customer's: never
    assert_int_equal(
        of(JOB(.customer = S("acme"), .compliance = hipaa, .compliance_count = 1), "", 1), HIPAA);
}

static void odd_configurations(void **state)
{
    (void)state;
    struct emp_job_spec job = {.service = S("comfyui"), .region = S("asia")};
    struct emp_settings none = {0}, others = {&table[ACME], 1, .pending_max = 0},
                        only_eu = {&table[EU], 1, .pending_max = 0};
    struct emp_pool gap[] = {{.name = S("a"), .run_ms_max = 1000},
                             {.name = S("b"), .run_ms_min = 60000, .run_ms_max = EMP_NEVER}};
    struct emp_settings gapped = {gap, 2, .pending_max = 0};
    assert_int_equal(emp_pool_for_job(&none, &job, EMP_STR(""), 1), EMP_POOL_NONE);
    assert_int_equal(emp_pool_for_job(&others, &job, EMP_STR(""), 1), EMP_POOL_NONE);
    assert_int_equal(emp_pool_for_job(&only_eu, &job, EMP_STR(""), 1), 0); // better than none
    assert_int_equal(emp_pool_for_job(&gapped, &job, EMP_STR(""), 5000), 0);
    assert_int_equal(emp_pool_for_job(&gapped, &job, EMP_STR(""), 59000), 1);
}

/* The order of configuration decides nothing but ties. */
static void restrictions_attract_only_who_asks(void **state)
{
    (void)state;
    struct emp_pool pools[] = {
        {.name = S("everything")},
        {.name = S("eu"), .run_ms_max = 30000, .region = S("eu")},
        {.name = S("hipaa"), .run_ms_max = 30000, .compliance = hipaa, .compliance_count = 1},
        {.name = S("short"), .run_ms_max = 30000},
        {.name = S("shortest"), .run_ms_max = 10000}};
    struct emp_settings s = {.pools = pools, .pool_count = COUNT(pools)};
    struct emp_job_spec job = {.service = S("comfyui")};
    assert_int_equal(emp_pool_for_job(&s, &job, EMP_STR(""), 20000), 3);
    assert_int_equal(emp_pool_for_job(&s, &job, EMP_STR(""), 5000), 4);
    assert_int_equal(emp_pool_for_job(&s, &job, EMP_STR(""), 50000), 0);
    job.region = EMP_STR("eu");
    assert_int_equal(emp_pool_for_job(&s, &job, EMP_STR(""), 5000), 1);
}

static void finding(void **state)
{
    (void)state;
    assert_int_equal(emp_pool_find(&settings, EMP_STR("heavy")), HEAVY);
    assert_int_equal(emp_pool_find(&settings, EMP_STR("Heavy")), EMP_POOL_NONE);
    assert_int_equal(emp_pool_find(&settings, EMP_STR("")), EMP_POOL_NONE);
}

static void machines_by_hardware(void **state)
{
    (void)state;
    struct emp_settings three = {table, 3, .pending_max = 0};
    struct emp_gpu gpu = {.memory_bytes = 24 * GB};
    struct emp_machine_facts m = {.gpus = &gpu, .gpu_count = 1, .disk_budget_bytes = 200 * GB};
    assert_int_equal(emp_pool_for_machine(&three, &m), HEAVY);
    gpu.memory_bytes = 16 * GB;
    assert_int_equal(emp_pool_for_machine(&three, &m), STANDARD);
    m.disk_budget_bytes = 30 * GB;
    assert_int_equal(emp_pool_for_machine(&three, &m), FAST);
    m.gpu_count = 0;
    m.disk_budget_bytes = 2 * GB; // too small for all
    assert_int_equal(emp_pool_for_machine(&three, &m), FAST);
    three.pool_count = 0;
    assert_int_equal(emp_pool_for_machine(&three, &m), EMP_POOL_NONE);
}

static void machines_by_what_they_serve(void **state)
{
    (void)state;
    struct emp_str photography = S("photography"), acme = S("acme");
    struct emp_gpu gpu = {.memory_bytes = 16 * GB};
    struct emp_machine_facts m = {.gpus = &gpu, .gpu_count = 1, .disk_budget_bytes = 100 * GB};
    assert_int_equal(emp_pool_for_machine(&settings, &m),
                     STANDARD); // reserved pools are not for it
    m.specialties = &photography;
    m.specialty_count = 1;
    assert_int_equal(emp_pool_for_machine(&settings, &m), PHOTO);
    m.specialty_count = 0;
    m.region = EMP_STR("eu");
    assert_int_equal(emp_pool_for_machine(&settings, &m), EU);
    m.region = EMP_STR("us");
    m.allowed_customers = &acme;
    m.allowed_count = 1;
    assert_int_equal(emp_pool_for_machine(&settings, &m), ACME);
    m.allowed_count = 0;
    m.services = ocr;
    m.service_count = 1;
    m.disk_budget_bytes = 1 * GB;
    assert_int_equal(emp_pool_for_machine(&settings, &m), OCR);
}

static void specialties(void **state)
{
    (void)state;
    struct emp_model art = {.category = S("art"), .bytes = 6 * GB},
                     lora = {.category = S("photography"), .bytes = 4 * GB},
                     vae = {.bytes = 90 * GB},
                     huge = {.category = S("photography"), .bytes = INT64_MAX};
    const struct emp_model *models[] = {&art, &vae, &lora, &lora};
    assert_str(emp_pool_infer_specialty(models, 3), "art");
    assert_str(emp_pool_infer_specialty(models, 4), "photography"); // two of 4 GB
    const struct emp_model *plain[] = {&vae};
    assert_int_equal(emp_pool_infer_specialty(plain, 1).len, 0);
    assert_int_equal(emp_pool_infer_specialty(NULL, 0).len, 0);
    const struct emp_model *absurd[] = {&art, &huge, &huge};
    assert_str(emp_pool_infer_specialty(absurd, 3), "photography");
}

/* Whatever is configured and asked: an index in range or NONE, and never another customer's pool.
 */
static void fuzz(void **state)
{
    (void)state;
    static const struct emp_str words[] = {S(""), S("a"), S("b"), S("acme")};
    struct emp_random r;
    emp_random_init(&r, 4);
    for (long n_case = 0; n_case < 20000; n_case++) {
        struct emp_pool pools[6];
        struct emp_str tags[2];
        for (size_t i = 0; i < COUNT(tags); i++)
            tags[i] = words[emp_random_below(&r, 4)];
        for (size_t i = 0; i < COUNT(pools); i++)
            pools[i] = (struct emp_pool){.name = words[emp_random_below(&r, 4)],
                                         .customer = words[emp_random_below(&r, 4)],
                                         .specialty = words[emp_random_below(&r, 4)],
                                         .region = words[emp_random_below(&r, 4)],
                                         .parent = words[emp_random_below(&r, 4)],
                                         .run_ms_min = (int64_t)emp_random_u64(&r),
                                         .run_ms_max = (int64_t)emp_random_u64(&r),
                                         .compliance = tags,
                                         .services = tags,
                                         .service_count = (uint32_t)emp_random_below(&r, 3),
                                         .compliance_count = (uint32_t)emp_random_below(&r, 3),
                                         .gpu_memory_gb_min = uniform(&r, -1, 100),
                                         .disk_bytes_min = (int64_t)emp_random_u64(&r)};
        struct emp_settings s = {.pools = pools, .pool_count = (uint32_t)emp_random_below(&r, 7)};
        struct emp_job_spec job = {.service = words[1],
                                   .customer = words[emp_random_below(&r, 4)],
                                   .pool = words[emp_random_below(&r, 4)],
                                   .region = words[emp_random_below(&r, 4)],
                                   .compliance = tags,
                                   .compliance_count = (uint32_t)emp_random_below(&r, 3)};
        uint32_t p =
            emp_pool_for_job(&s, &job, words[emp_random_below(&r, 4)], (int64_t)emp_random_u64(&r));
        bool any = false;
        for (uint32_t i = 0; i < s.pool_count; i++)
            any |= pools[i].customer.len == 0 || emp_str_eq(pools[i].customer, job.customer);
        check_case(n_case, any ? p < s.pool_count : p == EMP_POOL_NONE);
        check_case(n_case, !any || pools[p].customer.len == 0 ||
                               emp_str_eq(pools[p].customer, job.customer));
        struct emp_machine_facts m = {.disk_budget_bytes = (int64_t)emp_random_u64(&r),
                                      .region = words[1]};
        p = emp_pool_for_machine(&s, &m);
        check_case(n_case, s.pool_count ? p < s.pool_count : p == EMP_POOL_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_decide),
        cmocka_unit_test(sub_pools_attract_their_own),
        cmocka_unit_test(wishes_and_customers),
        cmocka_unit_test(odd_configurations),
        cmocka_unit_test(restrictions_attract_only_who_asks),
        cmocka_unit_test(finding),
        cmocka_unit_test(machines_by_hardware),
        cmocka_unit_test(machines_by_what_they_serve),
        cmocka_unit_test(specialties),
        cmocka_unit_test(fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

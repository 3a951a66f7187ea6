/* Matching: first the recorded answers of the existing system, then our own meaning. */
#include "policy/match.h"

#include "check.h"

#include <math.h>
#include <string.h>

/* ---- conformance ---- */

// clang-format off
#define GE(p, n) {.path = {p, sizeof(p) - 1}, .number = (n), .kind = EMP_REQUIRE_NUMBER_AT_LEAST}
#define IS(p, t) {.path = {p, sizeof(p) - 1}, .text = {t, sizeof(t) - 1}, .kind = EMP_REQUIRE_TEXT}
#define TRUTH(p) {.path = {p, sizeof(p) - 1}, .kind = EMP_REQUIRE_TRUE}
#define NEVER(p) {.path = {p, sizeof(p) - 1}, .kind = EMP_REQUIRE_NEVER}
#define NOT_GE(p, n) {.path = {p, sizeof(p) - 1}, .number = (n), .negated = true}
#define NOT_TRUTH(p) {.path = {p, sizeof(p) - 1}, .kind = EMP_REQUIRE_TRUE, .negated = true}
#define NUM(p, n) {.path = {p, sizeof(p) - 1}, .number = (n), .kind = EMP_CAPABILITY_NUMBER}
#define WORD(p, t) {.path = {p, sizeof(p) - 1}, .text = {t, sizeof(t) - 1}, .kind = EMP_CAPABILITY_TEXT}
#define ITEM(p, t) {.path = {p, sizeof(p) - 1}, .text = {t, sizeof(t) - 1}, .kind = EMP_CAPABILITY_TEXT, .in_array = true}
#define YES(p) {.path = {p, sizeof(p) - 1}, .number = 1, .kind = EMP_CAPABILITY_BOOL}
// clang-format on

enum answer { MATCH, NO };

/* One vector: the job's part as the predicates that it compiles to, the worker's as facts and
 * capabilities, what the existing system answered, what we answer. Where they differ, `mended` says
 * by which line of the list of mends. Vectors about bytes (65, 67: requirements that are no object;
 * 3: no service; 69: no worker id) are refused before matching: proto/test_requirements.c. */
struct vector {
    int number;
    const char *what;
    struct emp_requirement requirements[2];
    struct emp_capability caps[2];
    const char *customer, *workflow, *region, *allowed, *denied, *worker_region;
    enum emp_isolation isolation, worker_isolation;
    double gpu_gb, ram_gb;
    bool no_service;
    enum answer existing, ours;
    const char *mended;
};

static const struct vector vectors[] = {
    {1, "a job that asks for nothing", .existing = MATCH, .ours = MATCH},
    {5, "a machine without services", .no_service = true, .existing = NO, .ours = NO},
    {7, "an object without members asks for nothing", .existing = MATCH, .ours = MATCH},
    {9, "the service, said again among the requirements: compiles to nothing", .existing = MATCH,
     .ours = MATCH},
    {11,
     "16 GB where 24 are asked",
     {GE("hardware.gpu_memory_gb", 24)},
     .gpu_gb = 16,
     .existing = NO,
     .ours = NO},
    {13, "no GPU at all", {GE("hardware.gpu_memory_gb", 1)}, .existing = NO, .ours = NO},
    {15,
     "a machine that does not say how many cores",
     {GE("hardware.cpu_cores", 2)},
     .gpu_gb = 24,
     .ram_gb = 64,
     .existing = NO,
     .ours = NO},
    {17, "the name of the GPU: compiles to nothing", .existing = MATCH, .ours = MATCH},
    {19, "a model that is still to be fetched", .existing = NO, .ours = MATCH,
     .mended = "models are what routing is about"},
    {21, "models as a text: compiles to nothing", .existing = MATCH, .ours = MATCH},
    {23, "a machine that claims every model", .caps = {WORD("models", "all")}, .existing = NO,
     .ours = MATCH, .mended = "models are what routing is about"},
    {25, "a strict job, a loose machine", .customer = "c1", .isolation = EMP_ISOLATION_STRICT,
     .worker_isolation = EMP_ISOLATION_LOOSE, .existing = NO, .ours = NO},
    {27, "a machine for somebody else", .customer = "c1", .isolation = EMP_ISOLATION_LOOSE,
     .worker_isolation = EMP_ISOLATION_LOOSE, .allowed = "c2", .existing = NO, .ours = NO},
    {29, "denied, but the job does not care who shares the machine", .customer = "c1",
     .denied = "c1", .existing = MATCH, .ours = MATCH},
    {31, "nobody's job, on a machine of named customers", .isolation = EMP_ISOLATION_LOOSE,
     .allowed = "c2", .existing = NO, .ours = NO},
    {33, "whatever component: compiles to nothing", .existing = NO, .ours = MATCH,
     .mended = "they mean what they say"},
    {35, "a region, by the machine's field", .region = "eu", .worker_region = "eu", .existing = NO,
     .ours = MATCH, .mended = "they mean what they say"},
    {35,
     "a region, by the machine's capability",
     {IS("geographic_region", "eu")},
     {WORD("location.region", "eu")},
     .existing = NO,
     .ours = MATCH,
     .mended = "they mean what they say"},
    {37,
     "one member of an object that has two",
     {IS("location.region", "eu")},
     {WORD("location.region", "eu"), WORD("location.country", "de")},
     .existing = MATCH,
     .ours = MATCH},
    {39,
     "a level that the machine lists",
     {IS("quality_level", "fast")},
     {ITEM("performance.quality_levels", "fast")},
     .existing = NO,
     .ours = MATCH,
     .mended = "they mean what they say"},
    {41, "a limit of the run: compiles to nothing", .caps = {NUM("timeout_minutes", 60)},
     .existing = MATCH, .ours = MATCH},
    {43,
     "a switch that is on",
     {TRUTH("features_x")},
     {YES("features_x")},
     .existing = MATCH,
     .ours = MATCH},
    {45,
     "one of two kinds",
     {IS("asset_type", "video")},
     {ITEM("asset_type", "image"), ITEM("asset_type", "video")},
     .existing = MATCH,
     .ours = MATCH},
    {47,
     "more than is asked",
     {GE("max_batch_size", 4)},
     {NUM("max_batch_size", 8)},
     .existing = MATCH,
     .ours = MATCH},
    {49, "nothing that could be compared", {NEVER("foo")}, .existing = NO, .ours = NO},
    {51,
     "asked for inside the wrapper: 16 GB, not 24",
     {GE("hardware.gpu_memory_gb", 24)},
     .gpu_gb = 16,
     .existing = NO,
     .ours = NO},
    {53, "asked for beside the wrapper: counts for nothing", .gpu_gb = 1, .existing = MATCH,
     .ours = MATCH},
    {55,
     "a switch that must be off, and is not there",
     {NOT_TRUTH("development_mode")},
     .existing = MATCH,
     .ours = MATCH},
    {57,
     "more than there may be",
     {NOT_GE("hardware.gpu_memory_gb", 16)},
     .gpu_gb = 24,
     .existing = NO,
     .ours = NO},
    {59, "an object without members, as a value", {NEVER("foo")}, .existing = NO, .ours = NO},
    {61, "a machine kept for a workflow, a job of none", .caps = {WORD("workflow_id", "wf")},
     .existing = NO, .ours = NO},
    {63, "a machine kept for another workflow", .workflow = "zz",
     .caps = {WORD("workflow_id", "wf")}, .existing = NO, .ours = NO},
};

static struct emp_str service = {"comfyui", 7};

static bool answer(const struct vector *v, struct emp_error *why)
{
    struct emp_str allowed = emp_str_z(v->allowed), denied = emp_str_z(v->denied);
    struct emp_gpu gpu = {.memory_bytes = (int64_t)(v->gpu_gb * 1e9)};
    struct emp_requirement requirements[COUNT(v->requirements)];
    struct emp_capability caps[COUNT(v->caps)];
    memcpy(requirements, v->requirements, sizeof requirements);
    memcpy(caps, v->caps, sizeof caps);
    struct emp_job_spec job = {
        .service = service,
        .customer = emp_str_z(v->customer),
        .workflow = emp_str_z(v->workflow),
        .region = emp_str_z(v->region),
        .isolation = v->isolation,
        .requirements = requirements,
    };
    struct emp_machine_facts m = {
        .services = &service,
        .service_count = !v->no_service,
        .region = emp_str_z(v->worker_region),
        .isolation = v->worker_isolation,
        .allowed_customers = &allowed,
        .allowed_count = allowed.len > 0,
        .denied_customers = &denied,
        .denied_count = denied.len > 0,
        .gpus = &gpu,
        .gpu_count = gpu.memory_bytes > 0,
        .ram_bytes = (int64_t)(v->ram_gb * 1e9),
        .caps = caps,
    };
    while (job.requirement_count < COUNT(requirements) &&
           requirements[job.requirement_count].path.len > 0)
        job.requirement_count++;
    while (m.cap_count < COUNT(caps) && caps[m.cap_count].path.len > 0)
        m.cap_count++;
    return emp_match_machine(&job, &m, why);
}

static void recorded_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct emp_error why = {0};
        bool match = answer(v, &why);
        if (match != (v->ours == MATCH))
            fail_msg("vector %d, %s: %s %s", v->number, v->what,
                     match ? "matches" : "does not match:", why.text);
        if (!match && (why.text[0] == '\0' || why.field[0] == '\0' ||
                       why.code != (v->no_service ? EMP_E_UNKNOWN_SERVICE : EMP_E_UNRUNNABLE)))
            fail_msg("vector %d, %s: no reason given", v->number, v->what);
        if ((v->existing != v->ours) != (v->mended != NULL))
            fail_msg("vector %d, %s: a difference must be a mend, and say which", v->number,
                     v->what);
        assert_int_equal(answer(v, NULL), match);
    }
}

/* ---- our own meaning ---- */

struct pair {
    struct emp_job_spec job;
    struct emp_machine_facts m;
    struct emp_requirement r;
    struct emp_capability caps[4];
    struct emp_gpu gpus[2];
};

static struct pair *fresh(void)
{
    static struct pair p;
    p = (struct pair){
        .job = {.service = service, .requirements = &p.r},
        .m = {.services = &service, .service_count = 1, .caps = p.caps, .gpus = p.gpus}};
    return &p;
}

static bool asks(struct pair *p, struct emp_requirement r)
{
    p->r = r;
    p->job.requirement_count = 1;
    return emp_match_machine(&p->job, &p->m, NULL);
}

static const char *reason(struct pair *p, struct emp_requirement r)
{
    static struct emp_error why;
    p->r = r;
    p->job.requirement_count = 1;
    assert_false(emp_match_machine(&p->job, &p->m, &why));
    return why.text;
}

#define ASK(...) ((struct emp_requirement)__VA_ARGS__)

static void hardware_comes_from_the_fields_first(void **state)
{
    (void)state;
    struct pair *p = fresh();
    p->gpus[0] = (struct emp_gpu){EMP_STR("NVIDIA L4"), 24LL * 1000 * 1000 * 1000};
    p->gpus[1] = (struct emp_gpu){EMP_STR("NVIDIA H100"), 80LL * 1000 * 1000 * 1000};
    p->m.gpu_count = 2;
    p->m.cpu_cores = 7.5;
    p->caps[0] = (struct emp_capability)NUM("hardware.gpu_memory_gb", 1000);
    p->caps[1] = (struct emp_capability)NUM("hardware.ram_gb", 64);
    p->m.cap_count = 2;
    assert_true(asks(p, ASK(GE("hardware.gpu_memory_gb", 80)))); // the largest GPU
    assert_false(asks(p, ASK(GE("hardware.gpu_memory_gb", 81))));
    assert_true(asks(p, ASK(GE("hardware.gpu_count", 2))));
    assert_true(asks(p, ASK(IS("hardware.gpu_model", "NVIDIA L4"))));
    assert_true(asks(p, ASK(GE("hardware.cpu_cores", 7.5))));
    assert_false(asks(p, ASK(GE("hardware.cpu_cores", 8))));
    assert_true(asks(p, ASK(GE("hardware.ram_gb", 64)))); // field not known: the capability
    p->m.ram_bytes = 32LL * 1000 * 1000 * 1000;
    assert_false(asks(p, ASK(GE("hardware.ram_gb", 64))));
}

/* What is sold as 24 GB reports 24,564 MiB, as 64 GB of RAM some 62.8 GiB: both are what was asked
 * for. */
static void sizes_are_as_sold(void **state)
{
    (void)state;
    struct pair *p = fresh();
    p->gpus[0].memory_bytes = 24564LL << 20;
    p->m.gpu_count = 1;
    p->m.ram_bytes = (int64_t)(62.8 * 1024 * 1024 * 1024);
    assert_true(asks(p, ASK(GE("hardware.gpu_memory_gb", 24))));
    assert_true(asks(p, ASK(GE("hardware.ram_gb", 64))));
    assert_false(asks(p, ASK(GE("hardware.gpu_memory_gb", 32))));
}

static void kinds_do_not_mix(void **state)
{
    (void)state;
    struct pair *p = fresh();
    p->caps[0] = (struct emp_capability)NUM("n", 1);
    p->caps[1] = (struct emp_capability)WORD("t", "1");
    p->caps[2] = (struct emp_capability)YES("b");
    p->caps[3] = (struct emp_capability){.path = EMP_STR("f"), .kind = EMP_CAPABILITY_BOOL};
    p->m.cap_count = 4;
    assert_false(asks(p, ASK(IS("n", "1"))));
    assert_false(asks(p, ASK(GE("t", 1))));
    assert_false(asks(p, ASK(GE("b", 1))));
    assert_false(asks(p, ASK(TRUTH("n"))));
    assert_false(asks(p, ASK(TRUTH("f"))));
    struct emp_requirement no = {.path = EMP_STR("f"), .kind = EMP_REQUIRE_FALSE};
    assert_true(asks(p, no));
    no.path = EMP_STR("b");
    assert_false(asks(p, no));
    no.path = EMP_STR("absent");
    assert_false(asks(p, no)); // false must be said
    assert_false(asks(p, ASK(GE("n", NAN))));
    assert_true(asks(p, ASK(GE("n", -INFINITY))));
}

static void numbers_in_arrays_are_members(void **state)
{
    (void)state;
    struct pair *p = fresh();
    p->caps[0] = (struct emp_capability){.path = EMP_STR("steps"), .number = 20, .in_array = true};
    p->caps[1] = (struct emp_capability){.path = EMP_STR("steps"), .number = 50, .in_array = true};
    p->m.cap_count = 2;
    assert_true(asks(p, ASK(GE("steps", 20))));
    assert_false(asks(p, ASK(GE("steps", 30))));
    assert_false(asks(p, ASK(GE("steps", NAN))));
}

static void negation_turns_everything_round(void **state)
{
    (void)state;
    struct pair *p = fresh();
    p->caps[0] = (struct emp_capability)WORD("stage", "beta");
    p->m.cap_count = 1;
    struct emp_requirement r = ASK(IS("stage", "beta"));
    assert_true(asks(p, r));
    r.negated = true;
    assert_false(asks(p, r));
    r.text = EMP_STR("alpha");
    assert_true(asks(p, r));
    r = ASK(NEVER("stage"));
    r.negated = true;
    assert_true(asks(p, r));
}

static void region_compliance_nodes(void **state)
{
    (void)state;
    struct pair *p = fresh();
    struct emp_error why;
    struct emp_str wanted[] = {EMP_STR("hipaa"), EMP_STR("soc2")},
                   has[] = {EMP_STR("soc2"), EMP_STR("hipaa")};
    p->job.region = EMP_STR("eu");
    assert_false(emp_match_machine(&p->job, &p->m, &why));
    assert_string_equal(why.text, "region: needs \"eu\", has none");
    p->caps[0] = (struct emp_capability)WORD("location.region", "eu");
    p->m.cap_count = 1;
    assert_true(emp_match_machine(&p->job, &p->m, NULL));
    p->m.region = EMP_STR("us"); // the field is asked first
    assert_false(emp_match_machine(&p->job, &p->m, NULL));
    p->m.region = EMP_STR("eu");

    p->job.compliance = wanted;
    p->job.compliance_count = 2;
    p->m.compliance = has;
    p->m.compliance_count = 1;
    assert_false(emp_match_machine(&p->job, &p->m, &why));
    assert_string_equal(why.text, "compliance: needs \"hipaa\", has \"soc2\"");
    assert_string_equal(why.field, "compliance");
    p->m.compliance_count = 2;
    assert_true(emp_match_machine(&p->job, &p->m, NULL));

    p->job.custom_nodes = wanted;
    p->job.node_count = 2;
    p->m.custom_nodes = has;
    p->m.node_count = 1;
    assert_false(emp_match_machine(&p->job, &p->m, &why));
    assert_string_equal(why.field, "custom_nodes");
    p->m.node_count = 2;
    assert_true(emp_match_machine(&p->job, &p->m, NULL));
}

static void isolation(void **state)
{
    (void)state;
    struct emp_str c1 = EMP_STR("c1"), c2 = EMP_STR("c2");
    struct pair *p = fresh();
    struct emp_error why;
    p->job.customer = c1;
    p->job.isolation = EMP_ISOLATION_STRICT;
    p->m.isolation = EMP_ISOLATION_LOOSE;
    assert_false(emp_match_machine(&p->job, &p->m, &why));
    assert_string_equal(why.text, "customer_isolation: needs \"strict\", has \"loose\"");
    p->m.isolation = EMP_ISOLATION_STRICT;
    assert_true(emp_match_machine(&p->job, &p->m, NULL));
    p->m.allowed_customers = &c2;
    p->m.allowed_count = 1;
    assert_false(emp_match_machine(&p->job, &p->m, &why));
    assert_string_equal(why.field, "customer_id");
    p->m.allowed_customers = &c1;
    assert_true(emp_match_machine(&p->job, &p->m, NULL));
    p->m.denied_customers = &c1;
    p->m.denied_count = 1;
    assert_false(emp_match_machine(&p->job, &p->m, NULL));
}

static void workflow_reserved_machine(void **state)
{
    (void)state;
    struct pair *p = fresh();
    p->caps[0] = (struct emp_capability)WORD("workflow_id", "wf");
    p->m.cap_count = 1;
    p->job.workflow = EMP_STR("wf");
    assert_true(emp_match_machine(&p->job, &p->m, NULL));
}

static void reasons_name_both_values(void **state)
{
    (void)state;
    struct pair *p = fresh();
    p->gpus[0].memory_bytes = 16LL * 1000 * 1000 * 1000;
    p->m.gpu_count = 1;
    p->caps[0] = (struct emp_capability)ITEM("features", "a");
    p->caps[1] = (struct emp_capability)ITEM("features", "b");
    p->caps[2] = (struct emp_capability)YES("debug");
    p->m.cap_count = 3;
    assert_string_equal(reason(p, ASK(GE("hardware.gpu_memory_gb", 24))),
                        "hardware.gpu_memory_gb: needs 24, has 16");
    assert_string_equal(reason(p, ASK(GE("hardware.ram_gb", 1.5))),
                        "hardware.ram_gb: needs 1.5, has none");
    assert_string_equal(reason(p, ASK(IS("features", "c"))),
                        "features: needs \"c\", has \"a\", \"b\"");
    assert_string_equal(reason(p, ASK(NOT_TRUTH("debug"))), "debug: must not have true, has true");
    assert_string_equal(reason(p, ASK(NOT_GE("hardware.gpu_memory_gb", 8))),
                        "hardware.gpu_memory_gb: must not have 8 or more, has 16");
    assert_non_null(
        strstr(reason(p, ASK(NEVER("foo"))), "foo: needs a value that no machine can have"));

    struct emp_error why;
    p->job.requirement_count = 0;
    p->job.service = EMP_STR("ocr");
    assert_false(emp_match_machine(&p->job, &p->m, &why));
    assert_int_equal(why.code, EMP_E_UNKNOWN_SERVICE);
    assert_string_equal(why.text, "service_required: needs \"ocr\", has \"comfyui\"");
}

/* Names of the greatest length, many of them, cut inside no UTF-8 sequence. */
static void reasons_are_bounded(void **state)
{
    (void)state;
    static char name[EMP_NAME_MAX + 1];
    static struct emp_capability caps[EMP_MACHINE_CAPS_MAX];
    for (size_t i = 0; i < EMP_NAME_MAX; i++)
        name[i] = i % 2 ? '\xA9' : '\xC3'; // é
    struct pair *p = fresh();
    struct emp_str s = {name, EMP_NAME_MAX};
    for (size_t i = 0; i < COUNT(caps); i++)
        caps[i] = (struct emp_capability){.path = s, .text = s, .kind = EMP_CAPABILITY_TEXT};
    p->m.caps = caps;
    p->m.cap_count = COUNT(caps);
    s.len--; // ends inside a sequence, so that it differs
    for (size_t i = 0; i < COUNT(caps); i++)
        caps[i].text = s;
    s.len++;
    const char *text =
        reason(p, (struct emp_requirement){.path = s, .text = s, .kind = EMP_REQUIRE_TEXT});
    assert_true(strlen(text) < EMP_ERROR_TEXT_MAX);
    for (size_t i = 0; text[i]; i++)
        if (text[i] == '\xC3')
            assert_int_equal((unsigned char)text[i + 1], 0xA9);
}

static void pools(void **state)
{
    (void)state;
    struct emp_str services[] = {EMP_STR("comfyui")}, tags[] = {EMP_STR("hipaa")};
    struct pair *p = fresh();
    struct emp_pool pool = {.name = EMP_STR("heavy"), .gpu_memory_gb_min = 24, .ram_gb_min = 11.3};
    struct emp_error why;

    assert_false(emp_match_pool(&p->job, &pool, &why)); // names no services
    assert_int_equal(why.code, EMP_E_UNRUNNABLE);
    pool.services = services;
    pool.service_count = 1;
    assert_true(emp_match_pool(&p->job, &pool, NULL));

    p->r = ASK(GE("hardware.gpu_memory_gb", 24));
    p->job.requirement_count = 1;
    assert_true(emp_match_pool(&p->job, &pool, NULL));
    p->r = ASK(GE("hardware.ram_gb", 11.3));
    assert_true(emp_match_pool(&p->job, &pool, NULL));
    p->r = ASK(GE("hardware.gpu_memory_gb", 25));
    assert_false(emp_match_pool(&p->job, &pool, NULL));
    p->r = ASK(TRUTH("features_x"));
    assert_false(emp_match_pool(&p->job, &pool, NULL));
    p->job.requirement_count = 0;

    p->job.region = EMP_STR("eu");
    assert_false(emp_match_pool(&p->job, &pool, NULL)); // any region is no promise of this one
    pool.region = EMP_STR("eu");
    assert_true(emp_match_pool(&p->job, &pool, NULL));

    p->job.compliance = tags;
    p->job.compliance_count = 1;
    assert_false(emp_match_pool(&p->job, &pool, NULL));
    pool.compliance = tags;
    pool.compliance_count = 1;
    assert_true(emp_match_pool(&p->job, &pool, NULL));

    pool.customer = EMP_STR("acme");
    assert_false(emp_match_pool(&p->job, &pool, &why));
    assert_string_equal(why.field, "customer_id");
    p->job.customer = EMP_STR("acme");
    p->job.isolation = EMP_ISOLATION_STRICT;
    assert_true(emp_match_pool(&p->job, &pool, NULL));
    p->job.node_count = 1;
    p->job.custom_nodes = tags;
    assert_false(emp_match_pool(&p->job, &pool, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_answers),
        cmocka_unit_test(hardware_comes_from_the_fields_first),
        cmocka_unit_test(sizes_are_as_sold),
        cmocka_unit_test(kinds_do_not_mix),
        cmocka_unit_test(numbers_in_arrays_are_members),
        cmocka_unit_test(negation_turns_everything_round),
        cmocka_unit_test(region_compliance_nodes),
        cmocka_unit_test(isolation),
        cmocka_unit_test(workflow_reserved_machine),
        cmocka_unit_test(reasons_name_both_values),
        cmocka_unit_test(reasons_are_bounded),
        cmocka_unit_test(pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Submissions: what the fields mean, what is refused with which words, batches, and the way back.
 */
#include "base/random.h"
#include "domain/limits.h"
#include "proto/job_json.h"
#include "proto/json.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct emp_arena arena;

static int setup(void **state)
{
    (void)state;
    emp_arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    emp_arena_release(&arena);
    return 0;
}

static struct emp_job_spec good(const char *text)
{
    struct emp_job_spec spec;
    struct emp_error err = {0};
    if (emp_job_spec_parse(&arena, text, strlen(text), &spec, NULL, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return spec;
}

#define S "\"service_required\":\"comfyui\""

static void absent_is_the_default_and_zero_is_zero(void **state)
{
    struct emp_job_spec s = good("{" S "}");
    (void)state;
    assert_true(emp_str_eq(s.service, EMP_STR("comfyui")));
    assert_int_equal((int)s.priority, 50);
    assert_int_equal(s.max_retries, -1);
    assert_true(isnan(s.workflow_priority));
    assert_true(s.tier == EMP_TIER_FREE && s.isolation == EMP_ISOLATION_NONE && !s.wait);
    assert_int_equal(s.payload_bytes, 0);
    s = good("{" S ",\"priority\":0,\"max_retries\":0,\"workflow_priority\":0}");
    assert_int_equal((int)s.priority, 0);
    assert_int_equal(s.max_retries, 0);
    assert_false(isnan(s.workflow_priority));
    s = good("{" S ",\"priority\":null,\"customer_id\":\"\",\"models\":null,\"requirements\":null,"
             "\"payload\":null}");
    assert_int_equal((int)s.priority, 50);
    assert_int_equal(s.customer.len, 0);
}

static void the_first_name_of_the_service_counts(void **state)
{
    (void)state;
    assert_true(
        emp_str_eq(good("{\"type\":\"c\",\"job_type\":\"b\",\"service_required\":\"a\"}").service,
                   EMP_STR("a")));
    assert_true(
        emp_str_eq(good("{\"type\":\"c\",\"job_type\":\"b\",\"service_required\":\"\"}").service,
                   EMP_STR("b")));
    assert_true(emp_str_eq(good("{\"type\":\"c\"}").service, EMP_STR("c")));
}

static void every_field_is_read(void **state)
{
    const char text[] =
        "{" S ",\"priority\":70.5,\"customer_id\":\"c1\",\"max_retries\":5,\"retry_count\":2,"
        "\"workflow_id\":\"w\","
        "\"workflow_priority\":-3,\"workflow_datetime\":1700000000000,\"current_step\":2,\"total_"
        "steps\":3,"
        "\"payload\": {\"a\" :1},\"ctx\":{\"b\":2},\"requirements\":{\"hardware\":{\"ram_gb\":8}},"
        "\"models\":[\"m1\",\"m2\",\"m1\"],\"custom_nodes\":[\"n\"],\"compliance\":[\"gdpr\"],"
        "\"user_tier\":\"enterprise\","
        "\"estimated_duration_s\":1.5,\"timeout_s\":600,\"pool\":\"heavy\",\"specialty\":\"art\","
        "\"region\":\"eu\","
        "\"idempotency_key\":\"k\",\"wait\":true,\"id\":\"ignored\",\"unknown\":[1,2,{}]}";
    struct emp_job_spec s;
    struct emp_job_parts p;
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_job_spec_parse(&arena, text, strlen(text), &s, &p, &err), 0);
    assert_true(fabs(s.priority - 70.5) < 1e-9 && fabs(s.workflow_priority + 3) < 1e-9);
    assert_true(emp_str_eq(s.customer, EMP_STR("c1")) && emp_str_eq(s.workflow, EMP_STR("w")));
    assert_true(s.max_retries == 5 && s.retry_count == 2 && s.current_step == 2 &&
                s.total_steps == 3);
    assert_true(s.workflow_datetime == 1700000000000);
    assert_int_equal(s.model_count, 2);
    assert_true(emp_str_eq(s.models[1], EMP_STR("m2")));
    assert_true(s.node_count == 1 && s.compliance_count == 1 && s.requirement_count == 1);
    assert_true(s.tier == EMP_TIER_ENTERPRISE && s.wait);
    assert_true(s.estimated_duration_ms == 1500 && s.timeout_ms == 600000);
    assert_true(emp_str_eq(s.pool, EMP_STR("heavy")) && emp_str_eq(s.specialty, EMP_STR("art")));
    assert_true(emp_str_eq(s.region, EMP_STR("eu")) && emp_str_eq(s.idempotency_key, EMP_STR("k")));
    assert_true(emp_str_eq(p.payload, EMP_STR("{\"a\" :1}")) && p.payload.ptr > text &&
                p.payload.ptr < text + sizeof text);
    assert_int_equal(s.payload_bytes, 8);
    assert_true(emp_str_eq(p.ctx, EMP_STR("{\"b\":2}")));
    struct emp_job_parts again;
    assert_int_equal(emp_job_parts_find(&arena, text, strlen(text), &again), 0);
    assert_true(emp_str_eq(again.payload, p.payload) &&
                emp_str_eq(again.requirements, p.requirements));
}

static void refuses_with_field_and_value(void **state)
{
    static const struct {
        const char *text, *field, *says;
        int code;
    } cases[] = {
        {"", "", "is empty", EMP_E_MALFORMED},
        {"{", "", "ends too early", EMP_E_MALFORMED},
        {"[]", "", "a job is a JSON object, not an array", EMP_E_INVALID},
        {"5", "", "not a number", EMP_E_INVALID},
        {"\"x\"", "", "not a string", EMP_E_INVALID},
        {"null", "", "not null", EMP_E_INVALID},
        {"{}", "service_required", "service_required is missing", EMP_E_INVALID},
        {"{\"service_required\":\"\"}", "service_required", "is missing", EMP_E_INVALID},
        {"{\"service_required\":5}", "service_required", "service_required: 5 is not a string",
         EMP_E_INVALID},
        {"{\"service_required\":\"a\\nb\"}", "service_required", "control character",
         EMP_E_INVALID},
        {"{" S ",\"priority\":\"high\"}", "priority", "priority: \"high\" is not a number",
         EMP_E_INVALID},
        {"{" S ",\"priority\":1e7}", "priority", "1e7 is out of range (-1000000 … 1000000)",
         EMP_E_INVALID},
        {"{" S ",\"priority\":1e999}", "", "too large", EMP_E_MALFORMED},
        {"{" S ",\"priority\":[1]}", "priority", "an array is not a number", EMP_E_INVALID},
        {"{" S ",\"max_retries\":-1}", "max_retries", "-1 is out of range", EMP_E_INVALID},
        {"{" S ",\"max_retries\":1.5}", "max_retries", "1.5 is not a whole number", EMP_E_INVALID},
        {"{" S ",\"max_retries\":100000}", "max_retries", "out of range (0 … 1000)", EMP_E_INVALID},
        {"{" S ",\"payload\":[1]}", "payload", "an array is not an object", EMP_E_INVALID},
        {"{" S ",\"payload\":\"x\"}", "payload", "\"x\" is not an object", EMP_E_INVALID},
        {"{" S ",\"payload\":{\"a\":1,\"a\":2}}", "", "stands twice", EMP_E_MALFORMED},
        {"{" S ",\"models\":\"sdxl\"}", "models", "\"sdxl\" is not an array", EMP_E_INVALID},
        {"{" S ",\"models\":[\"a\",7]}", "models[1]", "models[1]: 7 is not a string",
         EMP_E_INVALID},
        {"{" S ",\"models\":[\"\"]}", "models[0]", "is empty", EMP_E_INVALID},
        {"{" S ",\"user_tier\":\"gold\"}", "user_tier",
         "\"gold\" is none of free, premium, enterprise", EMP_E_INVALID},
        {"{" S ",\"timeout_s\":0}", "timeout_s", "0 is out of range", EMP_E_INVALID},
        {"{" S ",\"timeout_s\":-5}", "timeout_s", "-5 is out of range", EMP_E_INVALID},
        {"{" S ",\"timeout_s\":1e9}", "timeout_s", "1e9 is out of range", EMP_E_INVALID},
        {"{" S ",\"estimated_duration_s\":-0.1}", "estimated_duration_s", "-0.1 is out of range",
         EMP_E_INVALID},
        {"{" S ",\"wait\":1}", "wait", "1 is not true or false", EMP_E_INVALID},
        {"{" S ",\"workflow_datetime\":\"2024-01-01\"}", "workflow_datetime", "is not a number",
         EMP_E_INVALID},
        {"{" S ",\"workflow_datetime\":-1}", "workflow_datetime", "out of range", EMP_E_INVALID},
        {"{" S ",\"requirements\":\"{}\"}", "requirements", "is not an object", EMP_E_INVALID},
        {"{" S ",\"requirements\":5}", "requirements", "5 is not an object", EMP_E_INVALID},
        {"{" S ",\"requirements\":{\"hardware\":{\"ram_gb\":\"big\"}}}",
         "requirements.hardware.ram_gb", "requirements.hardware.ram_gb: \"big\" is not a number",
         EMP_E_INVALID},
        {"{" S ",\"requirements\":{\"hardware\":{\"ram_gb\":-1}}}", "requirements.hardware.ram_gb",
         "out of range", EMP_E_INVALID},
        {"{" S ",\"requirements\":{\"hardware\":8}}", "requirements.hardware", "8 is not an object",
         EMP_E_INVALID},
        {"{" S ",\"requirements\":{\"models\":5}}", "requirements.models", "is not an array",
         EMP_E_INVALID},
        {"{" S ",\"requirements\":{\"customer_isolation\":\"total\"}}",
         "requirements.customer_isolation", "none, loose, strict", EMP_E_INVALID},
        {"{" S ",\"requirements\":{\"timeout_minutes\":\"5\"}}", "requirements.timeout_minutes",
         "is not a number", EMP_E_INVALID},
        {"{" S ",\"region\":\"eu\",\"requirements\":{\"geographic_region\":\"us\"}}",
         "requirements.geographic_region", "contradicts the region \"eu\"", EMP_E_INVALID},
        {"{" S ",\"requirements\":{\"x\":[[1]]}}", "requirements.x[0]",
         "an array inside of an array", EMP_E_INVALID},
        {"{" S ",\"requirements\":{\"positive_requirements\":[]}}",
         "requirements.positive_requirements", "[] is not an object", EMP_E_INVALID},
        {"{" S ",\"requirements\":{\"negative_requirements\":7}}",
         "requirements.negative_requirements", "7 is not an object", EMP_E_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct emp_job_spec spec;
        struct emp_error err = {0};
        int e = emp_job_spec_parse(&arena, cases[i].text, strlen(cases[i].text), &spec, NULL, &err);
        if (e != cases[i].code || err.code != e || strcmp(err.field, cases[i].field) != 0 ||
            !strstr(err.text, cases[i].says))
            fail_msg("%s: %s, field \"%s\", \"%s\"", cases[i].text, emp_error_name(e), err.field,
                     err.text);
    }
}

/* Every name of a submission has its maximum, and the byte beyond it is refused. */
static void names_end_at_256_bytes(void **state)
{
    static const char *const names[] = {"service_required", "customer_id", "workflow_id",    "pool",
                                        "specialty",        "region",      "idempotency_key"};
    char name[EMP_NAME_MAX + 2];
    (void)state;
    memset(name, 'n', sizeof name);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (int len = EMP_NAME_MAX; len <= EMP_NAME_MAX + 1; len++) {
            char *text =
                emp_arena_printf(&arena, "{\"type\":\"t\",\"%s\":\"%.*s\"}", names[i], len, name);
            struct emp_job_spec spec;
            struct emp_error err = {0};
            int e = emp_job_spec_parse(&arena, text, strlen(text), &spec, NULL, &err);
            assert_int_equal(e, len > EMP_NAME_MAX ? EMP_E_INVALID : 0);
            if (e < 0)
                assert_non_null(strstr(err.text, "has 257 bytes, at most 256 are allowed"));
        }
    }
}

static void requirements_join_the_fields(void **state)
{
    struct emp_job_spec s = good(
        "{" S
        ",\"models\":[\"a\"],\"compliance\":[\"x\"],\"requirements\":{\"models\":[\"b\",\"a\"],"
        "\"compliance\":[\"y\"],\"custom_nodes\":[\"n\"],\"customer_isolation\":\"strict\","
        "\"geographic_region\":\"eu\",\"timeout_minutes\":1.5,\"service_type\":\"zzz\","
        "\"component\":\"all\"}}");
    (void)state;
    assert_int_equal(s.model_count, 2);
    assert_int_equal(s.compliance_count, 2);
    assert_int_equal(s.node_count, 1);
    assert_int_equal(s.requirement_count, 0);
    assert_true(s.isolation == EMP_ISOLATION_STRICT && s.timeout_ms == 90000 &&
                emp_str_eq(s.region, EMP_STR("eu")));
    s = good("{" S ",\"timeout_s\":5,\"requirements\":{\"models\":\"all\",\"timeout_minutes\":3}}");
    assert_true(s.model_count == 0 && s.timeout_ms == 5000);
}

static void too_many_of_anything_is_refused(void **state)
{
    static const struct {
        const char *before, *one, *after;
        int max;
    } cases[] = {
        {"{" S ",\"models\":[", "\"m%d\"", "]}", EMP_JOB_MODELS_MAX},
        {"{" S ",\"models\":[\"m0\"],\"requirements\":{\"models\":[", "\"m%d\"", "]}}",
         EMP_JOB_MODELS_MAX - 1},
        {"{" S ",\"custom_nodes\":[", "\"m%d\"", "]}", EMP_JOB_NODES_MAX},
        {"{" S ",\"compliance\":[", "\"m%d\"", "]}", EMP_JOB_TAGS_MAX},
        {"{" S ",\"requirements\":{", "\"m%d\":1", "}}", EMP_JOB_REQUIREMENTS_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int n = cases[i].max; n <= cases[i].max + 1; n++) {
            struct emp_buf b;
            struct emp_job_spec spec;
            emp_buf_init(&b, 1 << 20);
            emp_buf_addz(&b, cases[i].before);
            for (int k = 0; k < n; k++) {
                char one[32];
                snprintf(one, sizeof one, i == 4 ? "\"m%d\":1" : "\"m%d\"", k);
                emp_buf_printf(&b, "%s%s", k ? "," : "", one);
            }
            emp_buf_addz(&b, cases[i].after);
            assert_int_equal(emp_job_spec_parse(&arena, b.data, b.len, &spec, NULL, NULL),
                             n > cases[i].max ? EMP_E_INVALID : 0);
            emp_buf_release(&b);
        }
    }
}

static void the_same_body_has_the_same_hash(void **state)
{
    (void)state;
    assert_true(good("{" S "}").body_hash == good("{" S "}").body_hash);
    assert_true(good("{" S "}").body_hash != good("{" S " }").body_hash);
}

static void the_header_may_bring_the_key(void **state)
{
    struct emp_job_spec s = good("{" S "}");
    struct emp_error err;
    char long_key[EMP_NAME_MAX + 1];
    (void)state;
    memset(long_key, 'k', sizeof long_key);
    assert_int_equal(emp_job_spec_set_key(&s, EMP_STR("abc"), &err), 0);
    assert_true(emp_str_eq(s.idempotency_key, EMP_STR("abc")));
    assert_int_equal(emp_job_spec_set_key(&s, EMP_STR("abc"), &err), 0);
    assert_int_equal(emp_job_spec_set_key(&s, EMP_STR("other"), &err), EMP_E_INVALID);
    assert_int_equal(emp_job_spec_set_key(&s, (struct emp_str){0}, &err), EMP_E_INVALID);
    assert_int_equal(emp_job_spec_set_key(&s, EMP_STR("a\tb"), &err), EMP_E_INVALID);
    assert_int_equal(emp_job_spec_set_key(&s, EMP_STR("a\xff"), &err), EMP_E_INVALID);
    assert_int_equal(emp_job_spec_set_key(&s, (struct emp_str){long_key, sizeof long_key}, &err),
                     EMP_E_INVALID);
    assert_string_equal(err.field, "idempotency_key");
}

static void a_batch_is_read_element_by_element(void **state)
{
    const char text[] = " {\"note\":1, \"jobs\" : [ {" S
                        ",\"payload\":{\"n\":1}} , {\"priority\":1}, 7 ,{" S "}]}";
    struct emp_job_request *all;
    uint32_t n;
    struct emp_error err;
    (void)state;
    assert_int_equal(emp_job_batch_parse(&arena, text, strlen(text), &all, &n, &err), 0);
    assert_int_equal(n, 4);
    assert_null(all[0].err);
    assert_true(emp_str_eq(all[0].parts.payload, EMP_STR("{\"n\":1}")));
    assert_true(emp_str_eq(all[0].body, EMP_STR("{" S ",\"payload\":{\"n\":1}}")));
    assert_true(all[0].spec.body_hash == emp_str_hash(all[0].body));
    assert_string_equal(all[1].err->field, "service_required");
    assert_non_null(strstr(all[2].err->text, "a job is a JSON object, not a number"));
    assert_null(all[3].err);
}

static void a_bad_batch_is_refused_whole(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", EMP_E_MALFORMED},
        {"{\"jobs\":[{" S "},{\"a\":01}]}", EMP_E_MALFORMED},
        {"{\"jobs\":[{" S "}", EMP_E_MALFORMED},
        {"[]", EMP_E_INVALID},
        {"{}", EMP_E_INVALID},
        {"{\"jobs\":{}}", EMP_E_INVALID},
        {"{\"jobs\":[]}", EMP_E_INVALID},
    };
    struct emp_job_request *all;
    struct emp_error err;
    struct emp_buf b;
    uint32_t n;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(
            emp_job_batch_parse(&arena, cases[i].text, strlen(cases[i].text), &all, &n, &err),
            cases[i].code);
    for (int count = EMP_BATCH_JOBS_MAX; count <= EMP_BATCH_JOBS_MAX + 1; count++) {
        emp_buf_init(&b, 1 << 20);
        emp_buf_addz(&b, "{\"jobs\":[");
        for (int i = 0; i < count; i++)
            emp_buf_addz(&b, i ? ",{" S "}" : "{" S "}");
        emp_buf_addz(&b, "]}");
        assert_int_equal(emp_job_batch_parse(&arena, b.data, b.len, &all, &n, &err),
                         count > EMP_BATCH_JOBS_MAX ? EMP_E_INVALID : 0);
        emp_buf_release(&b);
    }
}

/* ---- there and back ---- */

static struct emp_str *random_names(struct emp_random *r, uint32_t *count)
{
    *count = (uint32_t)emp_random_below(r, 4);
    struct emp_str *names = emp_arena_array(&arena, struct emp_str, *count);
    for (uint32_t i = 0; i < *count; i++)
        names[i] = emp_str_z(emp_arena_printf(&arena, "name %u %llu", i,
                                              (unsigned long long)emp_random_below(r, 1000)));
    return names;
}

static void random_requirements(struct emp_random *r, struct emp_job_spec *s)
{
    s->requirement_count = (uint32_t)emp_random_below(r, 5);
    s->requirements = emp_arena_array(&arena, struct emp_requirement, s->requirement_count);
    for (uint32_t i = 0; i < s->requirement_count; i++) {
        struct emp_requirement *q = &s->requirements[i];
        q->negated = i >= 2; // they are written positive ones first
        q->path = emp_str_z(emp_arena_printf(&arena, i ? "x.y%u" : "hardware.gpu_memory_gb", i));
        q->kind = (enum emp_requirement_kind)emp_random_below(r, 5);
        if (q->kind == EMP_REQUIRE_NUMBER_AT_LEAST)
            q->number = emp_random_unit(r) * 100;
        if (q->kind == EMP_REQUIRE_TEXT)
            q->text = random_text(r, &arena, 1, 20, true);
    }
}

static struct emp_str random_name(struct emp_random *r)
{
    return emp_random_below(r, 3) ? random_text(r, &arena, 1, 30, true) : (struct emp_str){0};
}

static struct emp_job_spec random_spec(struct emp_random *r)
{
    struct emp_job_spec s = {
        .service = random_text(r, &arena, 1, 40, true),
        .customer = random_name(r),
        .workflow = random_name(r),
        .pool = random_name(r),
        .specialty = random_name(r),
        .region = random_name(r),
        .idempotency_key = random_name(r),
        .priority = emp_random_unit(r) * 2000 - 1000,
        .workflow_priority = emp_random_below(r, 2) ? NAN : emp_random_unit(r),
        .workflow_datetime = (int64_t)emp_random_below(r, 1 << 30),
        .estimated_duration_ms = (int64_t)emp_random_below(r, 100000),
        .timeout_ms = (int64_t)emp_random_below(r, 100000),
        .max_retries = (int32_t)emp_random_below(r, 1000) - 1,
        .retry_count = (int32_t)emp_random_below(r, 5),
        .current_step = (int32_t)emp_random_below(r, 5),
        .total_steps = (int32_t)emp_random_below(r, 5),
        .tier = (enum emp_tier)emp_random_below(r, EMP_TIER_COUNT),
        .isolation = (enum emp_isolation)emp_random_below(r, 3),
        .wait = emp_random_below(r, 2),
    };
    s.models = random_names(r, &s.model_count);
    s.custom_nodes = random_names(r, &s.node_count);
    s.compliance = random_names(r, &s.compliance_count);
    random_requirements(r, &s);
    return s;
}

static bool lists_same(const struct emp_str *a, uint32_t n, const struct emp_str *b, uint32_t m)
{
    bool same = n == m;
    for (uint32_t i = 0; same && i < n; i++)
        same = emp_str_eq(a[i], b[i]);
    return same;
}

static bool numbers_same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (!(a < b) && !(a > b) && !isnan(a) && !isnan(b));
}

static bool requirements_same(const struct emp_job_spec *a, const struct emp_job_spec *b)
{
    bool same = a->requirement_count == b->requirement_count;
    for (uint32_t i = 0; same && i < a->requirement_count; i++) {
        const struct emp_requirement *x = &a->requirements[i], *y = &b->requirements[i];
        same = emp_str_eq(x->path, y->path) && emp_str_eq(x->text, y->text) &&
               numbers_same(x->number, y->number) && x->kind == y->kind && x->negated == y->negated;
    }
    return same;
}

static bool specs_same(const struct emp_job_spec *a, const struct emp_job_spec *b)
{
    return emp_str_eq(a->service, b->service) && emp_str_eq(a->customer, b->customer) &&
           emp_str_eq(a->workflow, b->workflow) && emp_str_eq(a->pool, b->pool) &&
           emp_str_eq(a->specialty, b->specialty) && emp_str_eq(a->region, b->region) &&
           emp_str_eq(a->idempotency_key, b->idempotency_key) &&
           lists_same(a->models, a->model_count, b->models, b->model_count) &&
           lists_same(a->custom_nodes, a->node_count, b->custom_nodes, b->node_count) &&
           lists_same(a->compliance, a->compliance_count, b->compliance, b->compliance_count) &&
           numbers_same(a->priority, b->priority) &&
           numbers_same(a->workflow_priority, b->workflow_priority) &&
           a->workflow_datetime == b->workflow_datetime &&
           a->estimated_duration_ms == b->estimated_duration_ms && a->timeout_ms == b->timeout_ms &&
           a->max_retries == b->max_retries && a->retry_count == b->retry_count &&
           a->current_step == b->current_step && a->total_steps == b->total_steps &&
           a->tier == b->tier && a->isolation == b->isolation && a->wait == b->wait &&
           requirements_same(a, b);
}

static void a_written_spec_reads_the_same(void **state)
{
    (void)state;
    for (unsigned long long seed = 1; seed <= 2000; seed++) {
        struct emp_random r;
        struct emp_buf b;
        struct emp_job_spec back;
        struct emp_job_parts parts;
        struct emp_error err = {0};
        emp_random_init(&r, seed);
        struct emp_job_spec s = random_spec(&r);
        emp_buf_init(&b, 1 << 20);
        emp_job_spec_write(&b, &s, EMP_STR("{\"p\": 1}"));
        if (emp_job_spec_parse(&arena, b.data, b.len, &back, &parts, &err) != 0 ||
            !specs_same(&s, &back))
            fail_msg("seed %llu: %s\n%s", seed, err.text, b.data);
        assert_true(emp_str_eq(parts.payload, EMP_STR("{\"p\": 1}")));
        emp_buf_release(&b);
        emp_arena_reset(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(absent_is_the_default_and_zero_is_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_name_of_the_service_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(every_field_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_with_field_and_value, setup, teardown),
        cmocka_unit_test_setup_teardown(names_end_at_256_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(requirements_join_the_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_of_anything_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_body_has_the_same_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(the_header_may_bring_the_key, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_is_read_element_by_element, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_batch_is_refused_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_written_spec_reads_the_same, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Requirements from their text to the answer: does the machine match? The cases are the existing
 * system's, as its running function answered (MATCH, no), where we keep its behaviour, and the
 * mended ones beside them. Job and machine are comfyui. */
#include "policy/match.h"
#include "proto/job_json.h"
#include "proto/json.h"
#include "proto/message_shapes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum answer { NO, MATCH, INVALID };

static const struct {
    const char *what, *requirements, *machine;
    enum answer answer;
} vectors[] = {
    {"nothing asked", "{}", "{}", MATCH},
    {"service_type differs", "{\"service_type\":\"zzz\"}", "{}", MATCH},
    {"GPU too small", "{\"hardware\":{\"gpu_memory_gb\":24}}",
     "{\"gpus\":[{\"memory_bytes\":16000000000}]}", NO},
    {"GPU large enough", "{\"hardware\":{\"gpu_memory_gb\":24}}",
     "{\"gpus\":[{\"memory_bytes\":24000000000}]}", MATCH},
    {"no GPU", "{\"hardware\":{\"gpu_memory_gb\":1}}", "{}", NO},
    {"cores not known", "{\"hardware\":{\"cpu_cores\":2}}", "{\"ram_bytes\":64000000000}", NO},
    {"hardware all", "{\"hardware\":{\"cpu_cores\":\"all\",\"ram_gb\":8}}",
     "{\"ram_bytes\":64000000000}", MATCH},
    {"other hardware is ignored", "{\"hardware\":{\"gpu_model\":\"H100\"}}",
     "{\"caps\":{\"hardware.gpu_model\":\"4090\"}}", MATCH},
    {"isolation strict, loose machine", "{\"customer_isolation\":\"strict\"}",
     "{\"isolation\":\"loose\"}", NO},
    {"isolation strict, strict machine", "{\"customer_isolation\":\"strict\"}",
     "{\"isolation\":\"strict\"}", MATCH},
    {"isolation, others allowed", "{\"customer_isolation\":\"loose\"}",
     "{\"isolation\":\"loose\",\"allowed_customers\":[\"c2\"]}", NO},
    {"isolation, denied", "{\"customer_isolation\":\"loose\"}",
     "{\"isolation\":\"loose\",\"denied_customers\":[\"c1\"]}", NO},
    {"no isolation, denied", "{}", "{\"denied_customers\":[\"c1\"]}", MATCH},
    {"mended: component all", "{\"component\":\"all\"}", "{}", MATCH},
    {"component", "{\"component\":\"x\"}", "{\"caps\":{\"supported_components\":[\"x\",\"y\"]}}",
     MATCH},
    {"component missing", "{\"component\":\"z\"}",
     "{\"caps\":{\"supported_components\":[\"x\",\"y\"]}}", NO},
    {"mended: geographic_region", "{\"geographic_region\":\"eu\"}", "{\"region\":\"eu\"}", MATCH},
    {"mended: geographic_region elsewhere", "{\"geographic_region\":\"eu\"}", "{\"region\":\"us\"}",
     NO},
    {"nested object", "{\"location\":{\"region\":\"eu\"}}",
     "{\"caps\":{\"location\":{\"region\":\"eu\",\"country\":\"de\"}}}", MATCH},
    {"nested object differs", "{\"location\":{\"country\":\"fr\"}}",
     "{\"caps\":{\"location\":{\"country\":\"de\"}}}", NO},
    {"mended: quality_level", "{\"quality_level\":\"fast\"}",
     "{\"caps\":{\"performance\":{\"quality_levels\":[\"fast\"]}}}", MATCH},
    {"mended: timeout_minutes", "{\"timeout_minutes\":30}", "{}", MATCH},
    {"true", "{\"features_x\":true}", "{\"caps\":{\"features_x\":true}}", MATCH},
    {"true, is false", "{\"features_x\":true}", "{\"caps\":{\"features_x\":false}}", NO},
    {"false, absent", "{\"features_x\":false}", "{}", NO},
    {"member of the machine's array", "{\"asset_type\":\"video\"}",
     "{\"caps\":{\"asset_type\":[\"image\",\"video\"]}}", MATCH},
    {"array, all there", "{\"asset_type\":[\"video\",\"image\"]}",
     "{\"caps\":{\"asset_type\":[\"image\",\"video\"]}}", MATCH},
    {"array, one missing", "{\"asset_type\":[\"video\",\"audio\"]}",
     "{\"caps\":{\"asset_type\":[\"image\",\"video\"]}}", NO},
    {"number at least", "{\"max_batch_size\":4}", "{\"caps\":{\"max_batch_size\":8}}", MATCH},
    {"number too small", "{\"max_batch_size\":4}", "{\"caps\":{\"max_batch_size\":2}}", NO},
    {"number, text there", "{\"max_batch_size\":4}", "{\"caps\":{\"max_batch_size\":\"8\"}}", NO},
    {"null", "{\"foo\":null}", "{}", NO},
    {"empty object", "{\"foo\":{}}", "{}", NO},
    {"empty array", "{\"foo\":[]}", "{}", NO},
    {"wrapper", "{\"positive_requirements\":{\"hardware\":{\"gpu_memory_gb\":24}}}",
     "{\"gpus\":[{\"memory_bytes\":16000000000}]}", NO},
    {"beside the wrapper nothing counts",
     "{\"hardware\":{\"gpu_memory_gb\":99},\"positive_requirements\":{}}", "{}", MATCH},
    {"negative, absent",
     "{\"positive_requirements\":{},\"negative_requirements\":{\"development_mode\":true}}", "{}",
     MATCH},
    {"negative, present",
     "{\"positive_requirements\":{},\"negative_requirements\":{\"development_mode\":true}}",
     "{\"caps\":{\"development_mode\":true}}", NO},
    {"negative hardware",
     "{\"positive_requirements\":{},\"negative_requirements\":{\"hardware\":{\"gpu_memory_gb\":16}}"
     "}",
     "{\"gpus\":[{\"memory_bytes\":24000000000}]}", NO},
    {"mended: negative beside flat ones",
     "{\"max_batch_size\":4,\"negative_requirements\":{\"development_mode\":true}}",
     "{\"caps\":{\"max_batch_size\":8}}", MATCH},
    {"negative region", "{\"negative_requirements\":{\"geographic_region\":\"us\"}}",
     "{\"region\":\"us\"}", NO},
    {"the machine is another workflow's", "{}", "{\"caps\":{\"workflow_id\":\"wf\"}}", NO},
    {"mended, vector 65: a text", "\"abc\"", "{}", INVALID},
    {"mended, vector 67: a number", "5", "{}", INVALID},
    {"mended: a word for a number", "{\"hardware\":{\"ram_gb\":\"lots\"}}", "{}", INVALID},
    {"models as a text ask for nothing", "{\"models\":\"sdxl\"}", "{}", MATCH},
    {"mended: models of no shape at all", "{\"models\":5}", "{}", INVALID},
    {"models are for routing, not for matching", "{\"models\":[\"a\",\"z\"]}", "{}", MATCH},
};

static enum answer ask(struct emp_arena *a, size_t i, struct emp_error *err)
{
    struct emp_job_spec spec;
    struct emp_machine_facts facts = {0};
    struct emp_shape_reader reader = {a, err};
    struct emp_json *v;
    const char *job = emp_arena_printf(
        a, "{\"service_required\":\"comfyui\",\"customer_id\":\"c1\",\"requirements\":%s}",
        vectors[i].requirements);
    const char *machine = emp_arena_printf(
        a, "{\"id\":\"m\",\"boot\":\"b\",\"slots\":1,\"services\":[\"comfyui\"]%s%s",
        vectors[i].machine[1] == '}' ? "" : ",", vectors[i].machine + 1);
    int e = emp_job_spec_parse(a, job, strlen(job), &spec, NULL, err);
    if (e < 0)
        return INVALID;
    assert_int_equal(emp_json_parse(a, machine, strlen(machine), NULL, &v, err), 0);
    for (struct emp_json *g = emp_json_find(v, "gpus") ? emp_json_find(v, "gpus")->first : NULL; g;
         g = g->next)
        assert_non_null(emp_json_find(g, "memory_bytes"));
    assert_int_equal(emp_shape_decode(&reader, &emp_shape_of_machine, NULL, v, &facts), 0);
    return emp_match_machine(&spec, &facts, err) ? MATCH : NO;
}

static void vectors_are_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct emp_arena a;
        struct emp_error err = {0};
        emp_arena_init(&a, 0);
        enum answer got = ask(&a, i, &err);
        if (got != vectors[i].answer)
            fail_msg("%s: %s against %s: %d, %s", vectors[i].what, vectors[i].requirements,
                     vectors[i].machine, got, err.text);
        if (got == INVALID)
            assert_non_null(strstr(err.field, "requirements"));
        emp_arena_release(&a);
    }
}

static void fails(int got, int want, const struct emp_error *err, const char *field)
{
    assert_int_equal(got, want);
    assert_string_equal(err->field, field);
    assert_true(err->text[0] != '\0');
}

/* Vector 3: a job of no service fitted every machine. 69: a machine of no name was an error of the
 * matcher. Both are refused when they arrive. */
static void what_has_no_name_is_refused_before_matching(void **state)
{
    static const char *const jobs[] = {"{}", "{\"service_required\":null}",
                                       "{\"service_required\":\"\",\"payload\":{}}"};
    static const char machine[] = "{\"boot\":\"b\",\"slots\":1,\"services\":[\"comfyui\"]}";
    struct emp_arena a;
    struct emp_error err;
    struct emp_job_spec spec;
    struct emp_machine_facts facts = {0};
    struct emp_shape_reader reader = {&a, &err};
    struct emp_json *v;

    (void)state;
    emp_arena_init(&a, 0);
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        fails(emp_job_spec_parse(&a, jobs[i], strlen(jobs[i]), &spec, NULL, &err), EMP_E_INVALID,
              &err, "service_required");
    assert_int_equal(emp_json_parse(&a, machine, strlen(machine), NULL, &v, &err), 0);
    fails(emp_shape_decode(&reader, &emp_shape_of_machine, NULL, v, &facts), EMP_E_INVALID, &err,
          "id");
    emp_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_answered),
        cmocka_unit_test(what_has_no_name_is_refused_before_matching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

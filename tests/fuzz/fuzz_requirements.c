/* Requirements against a machine that has something of everything: compiling ends in predicates or
 * in an error with a field; asked with nothing but what it demands, a machine's answer has a
 * reason. */
#include "fuzz.h"

#include "policy/match.h"
#include "proto/job_json.h"

const char *const fuzz_words[] = {
    "\"hardware\":{\"gpu_memory_gb\":24,\"ram_gb\":\"all\"},",
    "\"models\":\"all\",",
    "\"models\":[\"sdxl\"],",
    "\"custom_nodes\":[\"n\"],",
    "\"compliance\":[\"hipaa\"],",
    "\"positive_requirements\":{",
    "\"negative_requirements\":{",
    "\"component\":\"all\",",
    "\"customer_isolation\":\"loose\",",
    "\"geographic_region\":\"eu\",",
    "\"a\":{\"b\":{\"c\":",
    "\"timeout_minutes\":5,",
    "\"quality_level\":\"fast\",",
    "\"workflow_id\":\"w\",",
    NULL,
};

static struct emp_str services[] = {{"x", 1}}, regions[] = {{"eu", 2}};
static struct emp_capability caps[] = {
    {.path = {"performance.quality_levels", 26},
     .text = {"fast", 4},
     .kind = EMP_CAPABILITY_TEXT,
     .in_array = true},
    {.path = {"a.b", 3}, .number = 3, .kind = EMP_CAPABILITY_NUMBER},
    {.path = {"flag", 4}, .number = 1, .kind = EMP_CAPABILITY_BOOL},
};
static struct emp_gpu gpus[] = {{.model = {"RTX 4090", 8}, .memory_bytes = 24000000000}};
static const struct emp_machine_facts machine = {
    .id = {"m", 1},
    .services = services,
    .service_count = 1,
    .region = {"eu", 2},
    .compliance = regions,
    .compliance_count = 1,
    .caps = caps,
    .cap_count = sizeof caps / sizeof *caps,
    .gpus = gpus,
    .gpu_count = 1,
    .slots = 1,
    .ram_bytes = 64000000000,
    .cpu_cores = 8,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_arena a;
    struct emp_buf text;
    struct emp_job_spec spec;
    struct emp_error err = {0};
    emp_arena_init(&a, 0);
    emp_buf_init(&text, 1 << 20);
    emp_buf_addz(&text, "{\"service_required\":\"x\",\"requirements\":");
    emp_buf_add(&text, data, size);
    emp_buf_addz(&text, "}");
    int r = emp_job_spec_parse(&a, text.data, text.len, &spec, NULL, &err);
    if (r < 0) {
        FUZZ_CHECK(err.code == r && err.text[0]);
    } else {
        fuzz_taken++;
        FUZZ_CHECK(spec.requirement_count <= EMP_JOB_REQUIREMENTS_MAX);
        struct emp_error why = {0};
        if (!emp_match_machine(&spec, &machine, &why))
            FUZZ_CHECK(why.code < 0 && why.text[0]);
    }
    emp_buf_release(&text);
    emp_arena_release(&a);
    return 0;
}

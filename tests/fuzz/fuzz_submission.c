/* Submissions, alone and in batches: what is taken lies within the limits, and comes back when it
 * is written and read again. */
#include "fuzz.h"

#include "policy/match.h"
#include "proto/job_json.h"

const char *const fuzz_words[] = {
    "\"service_required\":\"x\",",
    "\"priority\":",
    "\"max_retries\":",
    "\"models\":[\"a\"],",
    "\"requirements\":{",
    "\"positive_requirements\":{",
    "\"negative_requirements\":{",
    "\"customer_isolation\":\"strict\",",
    "\"timeout_s\":",
    "\"estimated_duration_s\":",
    "\"idempotency_key\":\"k\",",
    "\"workflow_datetime\":",
    "\"user_tier\":\"premium\",",
    "\"hardware\":{\"gpu_memory_gb\":24},",
    "\"all\"",
    "\"jobs\":[",
    "\"wait\":true,",
    NULL,
};

static void check_limits(const struct emp_job_spec *s, size_t size)
{
    FUZZ_CHECK(s->service.len > 0 && s->service.len <= EMP_NAME_MAX);
    FUZZ_CHECK(s->customer.len <= EMP_NAME_MAX && s->workflow.len <= EMP_NAME_MAX);
    FUZZ_CHECK(s->model_count <= EMP_JOB_MODELS_MAX);
    FUZZ_CHECK(s->node_count <= EMP_JOB_NODES_MAX);
    FUZZ_CHECK(s->compliance_count <= EMP_JOB_TAGS_MAX);
    FUZZ_CHECK(s->requirement_count <= EMP_JOB_REQUIREMENTS_MAX);
    FUZZ_CHECK(s->priority >= -EMP_PRIORITY_MAX && s->priority <= EMP_PRIORITY_MAX);
    FUZZ_CHECK(s->estimated_duration_ms >= 0 && s->estimated_duration_ms <= EMP_DURATION_MS_MAX);
    FUZZ_CHECK(s->timeout_ms >= 0 && s->timeout_ms <= EMP_DURATION_MS_MAX);
    FUZZ_CHECK(s->max_retries >= -1 && s->max_retries <= EMP_RETRIES_MAX);
    FUZZ_CHECK(s->payload_bytes <= size);
    for (uint32_t i = 0; i < s->model_count; i++)
        FUZZ_CHECK(s->models[i].len > 0 && s->models[i].len <= EMP_NAME_MAX);
}

static void write_again(struct emp_buf *out, const struct emp_job_spec *s, struct emp_str payload)
{
    emp_buf_init(out, 1 << 24);
    emp_job_spec_write(out, s, payload);
    FUZZ_CHECK(!out->failed);
}

static void check_comes_back(struct emp_arena *a, const struct emp_job_spec *s,
                             const struct emp_job_parts *p)
{
    struct emp_buf first, second;
    struct emp_job_spec again;
    struct emp_job_parts parts;
    struct emp_error err = {0};
    write_again(&first, s, p->payload);
    if (emp_job_spec_parse(a, first.data, first.len, &again, &parts, &err) < 0) {
        fprintf(stderr, "%s\n%s\n", first.data, err.text);
        abort();
    }
    write_again(&second, &again, parts.payload);
    if (strcmp(first.data, second.data) != 0) {
        fprintf(stderr, "%s\n%s\n", first.data, second.data);
        abort();
    }
    emp_buf_release(&first);
    emp_buf_release(&second);
}

static void check_batch(struct emp_arena *a, const char *text, size_t size)
{
    struct emp_job_request *jobs;
    uint32_t count;
    struct emp_error err = {0};
    if (emp_job_batch_parse(a, text, size, &jobs, &count, &err) < 0) {
        FUZZ_CHECK(err.code < 0 && err.text[0]);
        return;
    }
    fuzz_taken++;
    FUZZ_CHECK(count >= 1 && count <= EMP_BATCH_JOBS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        FUZZ_CHECK(jobs[i].body.ptr >= text && jobs[i].body.ptr + jobs[i].body.len <= text + size);
        if (jobs[i].err)
            FUZZ_CHECK(jobs[i].err->code < 0 && jobs[i].err->text[0]);
        else
            check_limits(&jobs[i].spec, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct emp_machine_facts machine = {.id = {"m", 1}, .slots = 1};
    const char *text = (const char *)data;
    struct emp_arena a;
    struct emp_job_spec spec;
    struct emp_job_parts parts, found;
    struct emp_error err = {0};
    emp_arena_init(&a, 0);
    int r = emp_job_spec_parse(&a, text, size, &spec, &parts, &err);
    if (r == 0) {
        fuzz_taken++;
        check_limits(&spec, size);
        check_comes_back(&a, &spec, &parts);
        FUZZ_CHECK(emp_job_parts_find(&a, text, size, &found) == 0);
        FUZZ_CHECK(emp_str_eq(found.payload, parts.payload));
        emp_match_machine(&spec, &machine, &err);
    } else {
        FUZZ_CHECK(err.code == r && err.text[0]);
    }
    check_batch(&a, text, size);
    emp_arena_release(&a);
    return 0;
}

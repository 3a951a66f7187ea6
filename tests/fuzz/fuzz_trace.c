/* Traces: every fault has a text with a line, and what is taken is in order and refers to what is
 * there. */
#include "fuzz.h"

#include "sim/measure/trace.h"

const char *const fuzz_words[] = {
    "submitted_at,models,run_ms\n",
    "created,",
    "base_model",
    "exec_s",
    "loras",
    "status",
    "user",
    ",,,,",
    "\"",
    "\"\"",
    "\r\n",
    "PENDING",
    "PROCESSING",
    "FAILED",
    "2025-02-01 09:57:50",
    "2026-01-02T03:04:05.250Z",
    "+01:00",
    "a:1;b:2:lora",
    "%3B",
    ":0",
    "1e9",
    "-1",
    "premium",
    "\xef\xbb\xbf",
    NULL,
};

static void check(const struct emp_trace *t)
{
    FUZZ_CHECK(t->history_count <= t->counted_from && t->counted_from <= t->job_count);
    for (uint32_t i = 0; i < t->job_count; i++) {
        const struct emp_trace_job *j = &t->jobs[i];
        FUZZ_CHECK((j->submitted_at == 0) == (i < t->history_count));
        FUZZ_CHECK(i == 0 || j->submitted_at >= t->jobs[i - 1].submitted_at);
        FUZZ_CHECK(j->exec_ms >= 0 && j->model_count <= EMP_JOB_MODELS_MAX);
        FUZZ_CHECK(j->model + j->model_count <= t->job_model_count);
        FUZZ_CHECK(j->user < t->users.count && j->service < t->services.count &&
                   j->pool < t->pools.count);
        for (uint16_t k = 0; k < j->model_count; k++)
            FUZZ_CHECK(t->job_models[j->model + k] < t->model_count);
    }
    for (uint32_t i = 0; i < t->model_count; i++)
        FUZZ_CHECK(t->models[i].name.len > 0 && t->models[i].bytes >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_trace t;
    struct emp_error err = {0};
    emp_trace_init(&t);
    int r = emp_trace_parse(&t, "input", (const char *)data, size, &err);
    FUZZ_CHECK(r == 0 || (r == err.code && strncmp(err.text, "input:", 6) == 0));
    check(&t);
    fuzz_taken += r == 0;
    emp_trace_release(&t);
    return 0;
}

#include "sim/measure/trace.h"

#include "sim/measure/scenario.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)

static const char *const kind_words[EMP_TRACE_MODEL_KIND_COUNT] = {
    "base", "lora", "controlnet", "video", "text", "other",
};
static const char *const skip_texts[EMP_TRACE_SKIP_COUNT] = {
    "still pending or processing",
    "without a base model",
    "without a run time",
    "without a time, after rows that have one",
};

const char *emp_trace_model_kind_word(enum emp_trace_model_kind k)
{
    return k >= 0 && k < EMP_TRACE_MODEL_KIND_COUNT ? kind_words[k] : "unknown";
}

const char *emp_trace_skip_text(enum emp_trace_skip s)
{
    return s >= 0 && s < EMP_TRACE_SKIP_COUNT ? skip_texts[s] : "unknown";
}

void emp_trace_init(struct emp_trace *t)
{
    memset(t, 0, sizeof *t);
    emp_arena_init(&t->arena, 1 << 20);
    emp_intern_init(&t->users, &t->arena);
    emp_intern_init(&t->services, &t->arena);
    emp_intern_init(&t->pools, &t->arena);
    emp_intern_init(&t->model_names, &t->arena);
}

void emp_trace_release(struct emp_trace *t)
{
    emp_arena_release(&t->arena);
    memset(t, 0, sizeof *t);
}

uint32_t emp_trace_model(struct emp_trace *t, struct emp_str name, enum emp_trace_model_kind kind,
                         int64_t bytes)
{
    uint32_t number = emp_intern(&t->model_names, name);
    if (number <= t->model_count)
        return number - 1;
    emp_arena_reserve(&t->arena, t->models, t->model_count, t->model_cap);
    t->models[t->model_count] = (struct emp_trace_model){
        .name = emp_intern_name(&t->model_names, number), .kind = kind, .bytes = bytes};
    return t->model_count++;
}

uint32_t emp_trace_job_models(struct emp_trace *t, const uint32_t *models, uint16_t count)
{
    uint32_t first = t->job_model_count;
    for (uint16_t i = 0; i < count; i++) {
        emp_arena_reserve(&t->arena, t->job_models, t->job_model_count, t->job_model_cap);
        t->job_models[t->job_model_count++] = models[i];
    }
    return first;
}

void emp_trace_add(struct emp_trace *t, struct emp_trace_job job, const uint32_t *models,
                   uint16_t count)
{
    job.model = emp_trace_job_models(t, models, count);
    job.model_count = count;
    bool timed = t->job_count > t->history_count;
    if (job.submitted_at == 0) {
        t->history_count++;
        t->counted_from = t->history_count;
    } else if (!timed) {
        t->origin = job.submitted_at - (job.submitted_at % DAY_MS + DAY_MS) % DAY_MS;
    }
    emp_arena_reserve(&t->arena, t->jobs, t->job_count, t->job_cap);
    t->jobs[t->job_count++] = job;
}

/* ── which days ── */

static int date(const char *text, const char *option, emp_wall_ms *ret, struct emp_error *err)
{
    char iso[EMP_ISO_MAX];
    if (strlen(text) == 10) {
        snprintf(iso, sizeof iso, "%.10sT00:00:00Z", text);
        if (emp_iso_parse(iso, strlen(iso), ret) == 0)
            return 0;
    }
    return emp_fail(err, EMP_E_INVALID, option, "--%s \"%s\" is no date; write 2025-02-11", option,
                    text);
}

/* The first job not before `at`. */
static uint32_t first_from(const struct emp_trace *t, emp_wall_ms at)
{
    uint32_t low = t->history_count, high = t->job_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (t->jobs[mid].submitted_at < at)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int nothing_there(const struct emp_trace *t, struct emp_error *err)
{
    char first[EMP_ISO_MAX], last[EMP_ISO_MAX];
    if (t->job_count == t->history_count)
        return emp_fail(err, EMP_E_INVALID, NULL, "%.*s has no job with a time",
                        EMP_STR_FMT(t->name));
    emp_iso_format(t->jobs[t->history_count].submitted_at, first);
    emp_iso_format(t->jobs[t->job_count - 1].submitted_at, last);
    return emp_fail(err, EMP_E_INVALID, NULL,
                    "%.*s has no job on those days; it goes from %.10s to %.10s",
                    EMP_STR_FMT(t->name), first, last);
}

int emp_trace_select(struct emp_trace *t, const char *from, const char *to, struct emp_error *err)
{
    emp_wall_ms start = 0, end = 0;
    int r;
    if ((from && (r = date(from, "from", &start, err)) < 0) ||
        (to && (r = date(to, "to", &end, err)) < 0))
        return r;
    if (from && to && end < start)
        return emp_fail(err, EMP_E_INVALID, "from", "--from %s is after --to %s", from, to);
    uint32_t first = from ? first_from(t, start) : t->history_count;
    uint32_t last = to ? first_from(t, end + DAY_MS) : t->job_count;
    if (first >= last)
        return nothing_there(t, err);
    t->counted_from = first;
    t->counted_since = from ? start : t->origin;
    t->job_count = last;
    return 0;
}

int emp_trace_open(struct emp_trace *t, const struct emp_scenario *sc, const char *path,
                   const char *from, const char *to, uint64_t seed, struct emp_error *err)
{
    int r = 0;
    if (path)
        r = emp_trace_read(t, path, err);
    else
        emp_trace_generate(t, sc, seed);
    if (r == 0)
        r = emp_trace_select(t, from, to, err);
    if (r == 0)
        emp_trace_add_streams(t, sc, seed);
    return r;
}

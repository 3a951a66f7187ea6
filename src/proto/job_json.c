/* A submission's fields by one table (shape.h); then what one field says about another: aliases of
 * the service, models named in two places, a region named twice. `requirements` has a file of its
 * own. */
#include "proto/job_json.h"

#include "proto/job_work.h"
#include "proto/requirements.h"
#include "proto/shape.h"

#include <inttypes.h>
#include <math.h>

#define WALL_MAX    INT64_C(253402300799999)
#define SECONDS_MAX ((double)EMP_DURATION_MS_MAX / 1000)

/* The spec, and what is only read on the way to it. */
struct submission {
    struct emp_job_spec spec;
    struct emp_str job_type, type;
    struct emp_job_parts parts;
};

static const char *tier_word(unsigned v)
{
    return emp_tier_word((enum emp_tier)v);
}
static const struct emp_words tier_words = {tier_word, EMP_TIER_COUNT};

#define AT(member) .offset = offsetof(struct submission, member)
#define NAME(json, member)                                                    \
    {                                                                         \
        .name = json, .type = EMP_FIELD_NAME, AT(member), .max = EMP_NAME_MAX \
    }
#define NUMBER(json, kind, member, least, most)                                       \
    {                                                                                 \
        .name = json, .type = EMP_FIELD_##kind, AT(member), .min = least, .max = most \
    }
#define NAMES(json, member, n, most)                                                               \
    {                                                                                              \
        .name = json, .type = EMP_FIELD_NAMES, AT(spec.member),                                    \
        .count_offset = offsetof(struct submission, spec.n), .max = most, .each_max = EMP_NAME_MAX \
    }
#define OBJECT(json, member)                                                        \
    {                                                                               \
        .name = json, .type = EMP_FIELD_OBJECT, AT(parts.member), .max = UINT32_MAX \
    }

static const struct emp_field fields[] = {
    NAME("service_required", spec.service),
    NAME("job_type", job_type),
    NAME("type", type),
    OBJECT("payload", payload),
    NAME("customer_id", spec.customer),
    NUMBER("priority", F64, spec.priority, -EMP_PRIORITY_MAX, EMP_PRIORITY_MAX),
    NUMBER("max_retries", I32, spec.max_retries, 0, EMP_RETRIES_MAX),
    NUMBER("retry_count", I32, spec.retry_count, 0, INT32_MAX),
    NAME("workflow_id", spec.workflow),
    NUMBER("workflow_priority", F64, spec.workflow_priority, -EMP_PRIORITY_MAX, EMP_PRIORITY_MAX),
    NUMBER("workflow_datetime", I64, spec.workflow_datetime, 0, WALL_MAX),
    NUMBER("current_step", I32, spec.current_step, 0, INT32_MAX),
    NUMBER("total_steps", I32, spec.total_steps, 0, INT32_MAX),
    OBJECT("requirements", requirements),
    OBJECT("ctx", ctx),
    NAMES("models", models, model_count, EMP_JOB_MODELS_MAX),
    NAMES("custom_nodes", custom_nodes, node_count, EMP_JOB_NODES_MAX),
    NAMES("compliance", compliance, compliance_count, EMP_JOB_TAGS_MAX),
    {.name = "user_tier", .type = EMP_FIELD_WORD, AT(spec.tier), .words = &tier_words},
    NUMBER("estimated_duration_s", SECONDS, spec.estimated_duration_ms, 0, SECONDS_MAX),
    NUMBER("timeout_s", SECONDS, spec.timeout_ms, 0.001, SECONDS_MAX),
    NAME("pool", spec.pool),
    NAME("specialty", spec.specialty),
    NAME("region", spec.region),
    NAME("idempotency_key", spec.idempotency_key),
    {.name = "wait", .type = EMP_FIELD_BOOL, AT(spec.wait)},
};

static const struct emp_shape shape = {
    .name = "submission",
    .fields = fields,
    .field_count = sizeof fields / sizeof *fields,
    .size = sizeof(struct submission),
};

static const char *const closed[] = {"payload", "ctx", NULL};

/* ---- lists named in two places ---- */

/* `list` without what stands in it twice; order kept. Lists are short. */
static uint32_t distinct(struct emp_str *list, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = 0;
        while (k < kept && !emp_str_eq(list[k], list[i]))
            k++;
        if (k == kept)
            list[kept++] = list[i];
    }
    return kept;
}

static const struct emp_json_options options = {.closed = closed};

static int read_submission(struct emp_shape_reader *r, const struct emp_json *root,
                           struct submission *s)
{
    *s = (struct submission){
        .spec = {.priority = 50, .workflow_priority = NAN, .max_retries = -1},
    };
    if (root->type != EMP_JSON_OBJECT)
        return emp_fail(r->err, EMP_E_INVALID, NULL, "a job is a JSON object, not %s",
                        emp_json_type_word(root->type));
    int e = emp_shape_decode(r, &shape, NULL, root, s);
    if (e < 0)
        return e;
    if (s->spec.service.len == 0)
        s->spec.service = s->job_type.len > 0 ? s->job_type : s->type;
    if (s->spec.service.len == 0)
        return emp_fail(r->err, EMP_E_INVALID, "service_required",
                        "service_required is missing: it names the service that is to do the job, "
                        "\"comfyui\" for example");
    const struct emp_json *requirements = emp_json_find(root, "requirements");
    if (s->parts.requirements.len > 0)
        e = emp_requirements_compile(r, requirements, &s->spec);
    s->spec.model_count = distinct(s->spec.models, s->spec.model_count);
    s->spec.node_count = distinct(s->spec.custom_nodes, s->spec.node_count);
    s->spec.compliance_count = distinct(s->spec.compliance, s->spec.compliance_count);
    return e;
}

static int spec_of(struct emp_arena *a, const char *text, size_t len, struct emp_job_spec *spec,
                   struct emp_job_parts *parts, struct emp_error *err)
{
    struct emp_shape_reader r = {a, err};
    struct submission s;
    struct emp_json *root;
    int e = emp_json_parse(a, text, len, &options, &root, err);
    if (e == 0)
        e = read_submission(&r, root, &s);
    if (e < 0)
        return e;
    s.spec.payload_bytes = s.parts.payload.len;
    emp_job_work_read(s.parts.payload, &s.spec.work);
    s.spec.body_hash = emp_str_hash((struct emp_str){text, (uint32_t)len});
    *spec = s.spec;
    if (parts)
        *parts = s.parts;
    return 0;
}

int emp_job_spec_parse(struct emp_arena *a, const char *text, size_t len, struct emp_job_spec *spec,
                       struct emp_job_parts *parts, struct emp_error *err)
{
    return spec_of(a, text, len, spec, parts, err);
}

int emp_job_spec_set_key(struct emp_job_spec *spec, struct emp_str key, struct emp_error *err)
{
    if (key.len == 0 || key.len > EMP_NAME_MAX)
        return emp_fail(err, EMP_E_INVALID, "idempotency_key",
                        "idempotency_key: the Idempotency-Key header has %" PRIu32
                        " bytes, 1 … %d are allowed",
                        key.len, EMP_NAME_MAX);
    for (uint32_t i = 0; i < key.len; i++)
        if ((unsigned char)key.ptr[i] < 0x20 || key.ptr[i] == 0x7f)
            return emp_fail(
                err, EMP_E_INVALID, "idempotency_key",
                "idempotency_key: the Idempotency-Key header contains a control character");
    if (!emp_utf8_valid(key.ptr, key.len))
        return emp_fail(err, EMP_E_INVALID, "idempotency_key",
                        "idempotency_key: the Idempotency-Key header is not valid UTF-8");
    if (spec->idempotency_key.len > 0 && !emp_str_eq(spec->idempotency_key, key))
        return emp_fail(
            err, EMP_E_INVALID, "idempotency_key",
            "idempotency_key: the body says \"%.*s\", the Idempotency-Key header \"%.*s\"",
            EMP_STR_FMT(spec->idempotency_key), EMP_STR_FMT(key));
    spec->idempotency_key = key;
    return 0;
}

/* ---- batches ---- */

static void request_of(struct emp_arena *a, struct emp_str body, struct emp_job_request *q)
{
    struct emp_error err = {0};
    q->body = body;
    if (spec_of(a, body.ptr, body.len, &q->spec, &q->parts, &err) < 0)
        q->err = emp_arena_dup(a, &err, sizeof err);
}

int emp_job_batch_parse(struct emp_arena *a, const char *text, size_t len,
                        struct emp_job_request **ret, uint32_t *ret_count, struct emp_error *err)
{
    /* Elements stay closed: checked here, so that a malformed batch is refused whole, read again
     * one by one. */
    struct emp_json *root;
    int e = emp_json_parse(a, text, len, &(struct emp_json_options){.tree_depth = 2}, &root, err);
    if (e < 0)
        return e;
    const struct emp_json *jobs = emp_json_find(root, "jobs");
    if (jobs == NULL || jobs->type != EMP_JSON_ARRAY)
        return emp_fail(err, EMP_E_INVALID, "jobs",
                        "jobs: a batch is {\"jobs\":[…]}, an object with an array of jobs");
    if (jobs->count == 0 || jobs->count > EMP_BATCH_JOBS_MAX)
        return emp_fail(err, EMP_E_INVALID, "jobs",
                        "jobs: has %" PRIu32 " elements, 1 … %d are allowed", jobs->count,
                        EMP_BATCH_JOBS_MAX);
    struct emp_job_request *all = emp_arena_array(a, struct emp_job_request, jobs->count);
    uint32_t n = 0;
    for (const struct emp_json *v = jobs->first; v; v = v->next)
        request_of(a, v->raw, &all[n++]);
    *ret = all;
    *ret_count = n;
    return 0;
}

/* ---- parts, and the way back ---- */

int emp_job_parts_find(struct emp_arena *a, const char *text, size_t len, struct emp_job_parts *ret)
{
    static const struct emp_json_options top = {.tree_depth = 1};
    const struct {
        const char *name;
        struct emp_str *at;
    } parts[] = {
        {"payload", &ret->payload}, {"requirements", &ret->requirements}, {"ctx", &ret->ctx}};
    struct emp_json *root;
    *ret = (struct emp_job_parts){0};
    int e = emp_json_parse(a, text, len, &top, &root, NULL);
    if (e < 0 || root->type != EMP_JSON_OBJECT)
        return EMP_E_MALFORMED;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const struct emp_json *v = emp_json_find(root, parts[i].name);
        if (v && v->type == EMP_JSON_OBJECT)
            *parts[i].at = v->raw;
    }
    return 0;
}

void emp_job_spec_write(struct emp_buf *out, const struct emp_job_spec *spec,
                        struct emp_str payload)
{
    struct submission s = {.spec = *spec, .parts = {.payload = payload}};
    struct emp_writer w;
    /* What differs from "not said" by another value than zero is written by hand. */
    double priority = spec->priority;
    int32_t retries = spec->max_retries;
    s.spec.priority = 0;
    s.spec.max_retries = 0;
    s.spec.workflow_priority = 0;
    emp_writer_init(&w, out);
    emp_write_object(&w, NULL);
    if (!emp_shape_encode(&w, &shape, &s))
        out->failed = true;
    emp_write_double(&w, "priority", priority);
    if (retries >= 0)
        emp_write_i64(&w, "max_retries", retries);
    if (!isnan(spec->workflow_priority))
        emp_write_double(&w, "workflow_priority", spec->workflow_priority);
    emp_requirements_write(&w, spec);
    emp_write_end(&w);
}

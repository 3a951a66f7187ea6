/* A submission as JSON into struct emp_job_spec: POST /api/jobs, each element of POST
 * /api/jobs/batch, and the same text again when the store restores. All checks of one job's fields
 * are here; what needs to know machines or the catalogue is the core's.
 *
 * Fields (docs/openapi.yaml has them with their ranges). Unknown ones are ignored, as clients send
 * many; a known one of the wrong type or out of range is EMP_E_INVALID with the field and the
 * value. null is the same as absent, and an empty name too.
 *
 * - service_required; aliases job_type and type: the first that is not empty counts
 * - payload {}, ctx {}: kept as they stand
 * - customer_id, user_tier (free, premium, enterprise)
 * - priority: absent 50, 0 is 0; max_retries: absent -1 (the configured default), 0 is 0;
 *   retry_count
 * - workflow_id, workflow_priority, workflow_datetime (ms since 1970), current_step, total_steps
 * - requirements {}, models[], custom_nodes[], compliance[], pool, specialty, region
 * - estimated_duration_s, timeout_s, idempotency_key, wait
 *
 * `requirements` is flat, or has members positive_requirements and negative_requirements; with
 * positive_requirements nothing beside these two counts. Members with a meaning of their own:
 *
 * - models[] (or "all": none in particular), custom_nodes[], compliance[]: merged with the fields
 * - customer_isolation (strict, loose, none): isolation
 * - geographic_region, region: region; one that contradicts another is refused
 * - timeout_minutes: timeout_ms, unless timeout_s is given
 * - hardware: gpu_memory_gb, cpu_cores, ram_gb: numbers, at least; "all": any. Others are ignored
 * - component, workflow: "all" asks for nothing
 * - service_type: ignored
 *
 * Any other member becomes predicates over the machine's capabilities. A number: at least; a text:
 * equal or a member; true, false: equal; an array: each of its elements; an object: each of its
 * members, the path joined by dots; null, {} and [] are what no machine can offer. In
 * negative_requirements each predicate is negated, hardware's too; members that mean something else
 * than a capability above are predicates there.
 *
 * Strings of what is parsed point into the text or the arena: both must live as long. Pure, any
 * thread. */
#ifndef EMP_PROTO_JOB_JSON_H
#define EMP_PROTO_JOB_JSON_H

#include "base/arena.h"
#include "base/error.h"
#include "domain/job.h"

/* Where parts of a submission stand in its text, as received. */
struct emp_job_parts {
    struct emp_str payload;      /* empty: absent or null, means {} */
    struct emp_str requirements; /* likewise empty when absent */
    struct emp_str ctx;
};

/* Fills *spec, and *parts (may be NULL). 0; EMP_E_MALFORMED (no JSON), EMP_E_INVALID (a field, or
 * not an object), EMP_E_TOO_LARGE. spec->body_hash is the hash of the whole text,
 * spec->payload_bytes the payload's length. */
int emp_job_spec_parse(struct emp_arena *a, const char *text, size_t len, struct emp_job_spec *spec,
                       struct emp_job_parts *parts, struct emp_error *err);

/* The idempotency key of a request's header, checked like the field. 0 with spec->idempotency_key =
 * key; EMP_E_INVALID: too long, control characters, or the body names another one. */
int emp_job_spec_set_key(struct emp_job_spec *spec, struct emp_str key, struct emp_error *err);

/* One element of a batch. */
struct emp_job_request {
    struct emp_str body;      /* its bytes, inside the batch's text */
    struct emp_job_spec spec; /* where err is NULL */
    struct emp_job_parts parts;
    const struct emp_error *err; /* in the arena; NULL: good */
};

/* {"jobs":[…]}, 1 … EMP_BATCH_JOBS_MAX elements; other members are ignored. 0 when the batch as a
 * whole is well-formed, whatever its elements are; *ret in the arena. EMP_E_MALFORMED,
 * EMP_E_INVALID, EMP_E_TOO_LARGE: nothing of it counts. */
int emp_job_batch_parse(struct emp_arena *a, const char *text, size_t len,
                        struct emp_job_request **ret, uint32_t *ret_count, struct emp_error *err);

/* Only where the parts stand, of a text that emp_job_spec_parse once took (the store's).
 * EMP_E_MALFORMED when it did not. */
int emp_job_parts_find(struct emp_arena *a, const char *text, size_t len,
                       struct emp_job_parts *ret);

/* Fields to a submission's text, for the CLI and tests: what emp_job_spec_parse takes. `payload` is
 * JSON, may be empty. Predicates of requirements are written in their wrapper form. */
struct emp_buf;
void emp_job_spec_write(struct emp_buf *out, const struct emp_job_spec *spec,
                        struct emp_str payload);

#endif

/* A submission as JSON into struct emp_job_spec: POST /api/jobs, each element of POST /api/jobs/batch, and the same text
 * again when the store restores. All checks of one job's fields are here; what needs to know machines or the catalogue is the core's.
 *
 * Fields (docs/openapi.yaml has them with their ranges). Unknown ones are ignored, as clients send many; a known one of the wrong type
 * or out of range is EMP_E_INVALID with the field and the value. null is the same as absent.
 *
 *   service_required (aliases job_type, type: the first that is a non-empty string) · payload {} · customer_id · priority (absent: 50, 0 is 0)
 *   max_retries (absent: -1, the configured default; 0 is 0) · retry_count · workflow_id, workflow_priority, workflow_datetime,
 *   current_step, total_steps · ctx {} · requirements {} · models[], custom_nodes[], compliance[] · user_tier · estimated_duration_s ·
 *   timeout_s · pool · specialty · region · idempotency_key · wait
 *
 * `requirements` is flat, or {"positive_requirements":{…},"negative_requirements":{…}} (then nothing beside them counts). Known members:
 *   models[] (or "all": none in particular)     merged with `models`
 *   custom_nodes[], compliance[]                merged likewise
 *   customer_isolation strict | loose | none    isolation
 *   geographic_region, region, location.region  region, unless `region` is given
 *   timeout_minutes                             timeout_ms, unless `timeout_s` is given
 *   service_type                                ignored
 *   component, workflow "all"                   nothing required
 *   hardware {gpu_memory_gb, cpu_cores, ram_gb} numbers at least, "all": any; other members ignored, as ever
 * Any other member becomes predicates over the machine's capabilities: number: at least; string: equal or member; true, false: equal; array: each of
 * its elements; object: each of its members, path joined by dots; null, empty object, empty array: nothing can offer it (array: nothing
 * required). In negative_requirements everything becomes a negated predicate, hardware too.
 *
 * Strings of what is parsed point into the text or the arena: both must live as long. Pure, any thread. */
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

/* Fills *spec, and *parts (may be NULL). 0; EMP_E_MALFORMED (no JSON), EMP_E_INVALID (a field, or not an object), EMP_E_TOO_LARGE. spec->body_hash is
 * the hash of the whole text, spec->payload_bytes the payload's length. */
int emp_job_spec_parse(struct emp_arena *a, const char *text, size_t len, struct emp_job_spec *spec, struct emp_job_parts *parts,
                       struct emp_error *err);

/* The idempotency key of a request's header, checked like the field. 0 with spec->idempotency_key = key; EMP_E_INVALID: too long, control
 * characters, or the body names another one. */
int emp_job_spec_set_key(struct emp_job_spec *spec, struct emp_str key, struct emp_error *err);

/* One element of a batch. */
struct emp_job_request {
    struct emp_str body;         /* its bytes, inside the batch's text */
    struct emp_job_spec spec;    /* where err is NULL */
    struct emp_job_parts parts;
    const struct emp_error *err; /* in the arena; NULL: good */
};

/* {"jobs":[…]}, 1 … EMP_BATCH_JOBS_MAX elements; other members are ignored. 0 when the batch as a whole is well-formed, whatever its
 * elements are; *ret in the arena. EMP_E_MALFORMED, EMP_E_INVALID, EMP_E_TOO_LARGE: nothing of it counts. */
int emp_job_batch_parse(struct emp_arena *a, const char *text, size_t len, struct emp_job_request **ret, uint32_t *ret_count,
                        struct emp_error *err);

/* Only where the parts stand, of a text that emp_job_spec_parse once took (the store's). EMP_E_MALFORMED when it did not. */
int emp_job_parts_find(struct emp_arena *a, const char *text, size_t len, struct emp_job_parts *ret);

/* Fields to a submission's text, for the CLI and tests: what emp_job_spec_parse takes. `payload` is JSON, may be empty. Predicates of
 * requirements are written in their wrapper form. */
struct emp_buf;
void emp_job_spec_write(struct emp_buf *out, const struct emp_job_spec *spec, struct emp_str payload);

#endif

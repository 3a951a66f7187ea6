/* See shapes.h. The numbers of the enums that are kept as numbers are pinned here: whoever inserts
 * a member in their middle is told by the compiler, not by somebody's database. (States and errors
 * are kept by their words and may be reordered.) */
#include "store/shapes.h"

#include "domain/change.h"

#include <assert.h>
#include <math.h>

static_assert(EMP_TIER_FREE == 0 && EMP_TIER_ENTERPRISE == 2,
              "numbers of enum emp_tier are durable");
static_assert(EMP_ISOLATION_NONE == 0 && EMP_ISOLATION_STRICT == 2,
              "numbers of enum emp_isolation are durable");
static_assert(EMP_REQUIRE_NUMBER_AT_LEAST == 0 && EMP_REQUIRE_NEVER == 4,
              "numbers of enum emp_requirement_kind are durable");
static_assert(EMP_OUTCOME_RUNNING == 0 && EMP_OUTCOME_TIMEOUT == 4 && EMP_OUTCOME_CANCELLED == 7,
              "numbers of enum emp_outcome are durable");
static_assert(EMP_FALLBACK_NONE == 0 && EMP_FALLBACK_EMERGENCY == 3,
              "numbers of enum emp_fallback are durable");
static_assert(EMP_CAPABILITY_NUMBER == 0 && EMP_CAPABILITY_BOOL == 2,
              "numbers of enum emp_capability_kind are durable");

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FIELD(tag, kind, type, member)                                  \
    {                                                                   \
        tag, EMP_PACK_##kind, offsetof(struct type, member), 0, 0, NULL \
    }
#define ENUM(tag, type, member, below)                                    \
    {                                                                     \
        tag, EMP_PACK_ENUM, offsetof(struct type, member), 0, below, NULL \
    }
#define STRS(tag, type, member, counted, most)                                                   \
    {                                                                                            \
        tag, EMP_PACK_STRS, offsetof(struct type, member), offsetof(struct type, counted), most, \
            NULL                                                                                 \
    }
#define INSIDE(tag, type, member, of)                                   \
    {                                                                   \
        tag, EMP_PACK_SHAPE, offsetof(struct type, member), 0, 0, &(of) \
    }
#define ITEMS(tag, kind, type, member, counted, most, of)                                          \
    {                                                                                              \
        tag, EMP_PACK_##kind, offsetof(struct type, member), offsetof(struct type, counted), most, \
            &(of)                                                                                  \
    }
#define SHAPE(type, table, fallback)                       \
    {                                                      \
        sizeof(struct type), COUNT(table), fallback, table \
    }

/* ------------------------------------------------------------------ job: what was asked */

static const struct emp_pack_field requirement_fields[] = {
    FIELD(1, STR, emp_requirement, path),     FIELD(2, STR, emp_requirement, text),
    FIELD(3, F64, emp_requirement, number),   ENUM(4, emp_requirement, kind, EMP_REQUIRE_NEVER + 1),
    FIELD(5, BOOL, emp_requirement, negated),
};
static const struct emp_pack_shape shape_requirement =
    SHAPE(emp_requirement, requirement_fields, NULL);

static const struct emp_pack_field spec_fields[] = {
    FIELD(1, STR, emp_job_spec, service),
    FIELD(2, STR, emp_job_spec, customer),
    FIELD(3, STR, emp_job_spec, workflow),
    FIELD(4, STR, emp_job_spec, pool),
    FIELD(5, STR, emp_job_spec, specialty),
    FIELD(6, STR, emp_job_spec, region),
    FIELD(7, STR, emp_job_spec, idempotency_key),
    STRS(8, emp_job_spec, models, model_count, EMP_JOB_MODELS_MAX),
    STRS(9, emp_job_spec, custom_nodes, node_count, EMP_JOB_NODES_MAX),
    STRS(10, emp_job_spec, compliance, compliance_count, EMP_JOB_TAGS_MAX),
    ITEMS(11, SHAPES, emp_job_spec, requirements, requirement_count, EMP_JOB_REQUIREMENTS_MAX,
          shape_requirement),
    FIELD(12, F64, emp_job_spec, priority),
    FIELD(13, F64, emp_job_spec, workflow_priority),
    FIELD(14, I64, emp_job_spec, workflow_datetime),
    FIELD(15, I64, emp_job_spec, estimated_duration_ms),
    FIELD(16, I64, emp_job_spec, timeout_ms),
    FIELD(17, I32, emp_job_spec, max_retries),
    FIELD(18, I32, emp_job_spec, retry_count),
    FIELD(19, I32, emp_job_spec, current_step),
    FIELD(20, I32, emp_job_spec, total_steps),
    ENUM(21, emp_job_spec, tier, EMP_TIER_COUNT),
    ENUM(22, emp_job_spec, isolation, EMP_ISOLATION_STRICT + 1),
    FIELD(23, BOOL, emp_job_spec, wait),
    FIELD(24, U32, emp_job_spec, payload_bytes),
    FIELD(25, HASH, emp_job_spec, body_hash),
    FIELD(26, F32, emp_job_spec, work.steps),
    FIELD(27, F32, emp_job_spec, work.pixels),
    FIELD(28, F32, emp_job_spec, work.images),
    FIELD(29, F32, emp_job_spec, work.frames),
};
static const struct emp_job_spec spec_defaults = {
    .priority = 50, .workflow_priority = NAN, .max_retries = 3};
const struct emp_pack_shape emp_shape_spec = SHAPE(emp_job_spec, spec_fields, &spec_defaults);

/* ------------------------------------------------------------------ job: where it stands */

static const struct emp_pack_field attempt_fields[] = {
    FIELD(1, U32, emp_attempt, number),      ENUM(2, emp_attempt, outcome, EMP_OUTCOME_COUNT),
    FIELD(3, STR, emp_attempt, machine),     FIELD(4, STR, emp_attempt, pool),
    FIELD(5, I64, emp_attempt, assigned_at), FIELD(6, I64, emp_attempt, started_at),
    FIELD(7, I64, emp_attempt, ended_at),    FIELD(8, I64, emp_attempt, bytes_fetched),
    FIELD(9, BOOL, emp_attempt, counted),    FIELD(10, ERROR, emp_attempt, error_code),
    FIELD(11, STR, emp_attempt, error),
};
const struct emp_pack_shape emp_shape_attempt = SHAPE(emp_attempt, attempt_fields, NULL);

static const struct emp_pack_field terms_fields[] = {
    FIELD(1, I64, emp_route_terms, slot_free),    FIELD(2, I64, emp_route_terms, fetch),
    FIELD(3, I64, emp_route_terms, load),         FIELD(4, I64, emp_route_terms, run_delta),
    FIELD(5, I64, emp_route_terms, pool_penalty), FIELD(6, I64, emp_route_terms, displacement),
    FIELD(7, I64, emp_route_terms, risk),
};
static const struct emp_pack_shape shape_terms = SHAPE(emp_route_terms, terms_fields, NULL);

static const struct emp_pack_field choice_fields[] = {
    FIELD(1, STR, emp_route_choice, machine),
    FIELD(2, STR, emp_route_choice, pool),
    INSIDE(3, emp_route_choice, terms, shape_terms),
    FIELD(4, I64, emp_route_choice, cost),
    FIELD(5, BOOL, emp_route_choice, has_models),
    FIELD(6, F32, emp_route_choice, load_suitability),
};
static const struct emp_pack_shape shape_choice = SHAPE(emp_route_choice, choice_fields, NULL);

static const struct emp_pack_field decision_fields[] = {
    FIELD(1, U32, emp_decision, considered),
    ENUM(2, emp_decision, fallback, EMP_FALLBACK_COUNT),
    FIELD(3, I64, emp_decision, estimated_run_ms),
    FIELD(4, STR, emp_decision, pool),
    ITEMS(5, ROW, emp_decision, candidates, count, EMP_DECISION_KEPT, shape_choice),
};
static const struct emp_pack_shape shape_decision = SHAPE(emp_decision, decision_fields, NULL);

static const struct emp_pack_field record_fields[] = {
    FIELD(1, I64, emp_job_record, order_tag),
    FIELD(2, I64, emp_job_record, not_before),
    FIELD(3, U32, emp_job_record, counted_attempts),
    FIELD(4, U32, emp_job_record, returns),
    FIELD(5, U32, emp_job_record, losses),
    FIELD(6, U32, emp_job_record, retried_by_hand),
    INSIDE(7, emp_job_record, attempt, emp_shape_attempt),
    INSIDE(8, emp_job_record, decision, shape_decision),
    FIELD(9, STR, emp_job_record, error),
    FIELD(10, ERROR, emp_job_record, error_code),
};
const struct emp_pack_shape emp_shape_record = SHAPE(emp_job_record, record_fields, NULL);

/* ------------------------------------------------------------------ machines, models */

static const struct emp_pack_field capability_fields[] = {
    FIELD(1, STR, emp_capability, path),
    FIELD(2, STR, emp_capability, text),
    FIELD(3, F64, emp_capability, number),
    ENUM(4, emp_capability, kind, EMP_CAPABILITY_BOOL + 1),
    FIELD(5, BOOL, emp_capability, in_array),
};
static const struct emp_pack_shape shape_capability =
    SHAPE(emp_capability, capability_fields, NULL);

static const struct emp_pack_field gpu_fields[] = {
    FIELD(1, STR, emp_gpu, model),
    FIELD(2, I64, emp_gpu, memory_bytes),
};
static const struct emp_pack_shape shape_gpu = SHAPE(emp_gpu, gpu_fields, NULL);

/* What a machine may say is bounded where it is parsed; here only by what no message can hold. */
enum { FACTS_MAX = 65536 };
static const struct emp_pack_field facts_fields[] = {
    FIELD(1, STR, emp_machine_facts, id),
    FIELD(2, STR, emp_machine_facts, boot),
    FIELD(3, STR, emp_machine_facts, version),
    FIELD(4, STR, emp_machine_facts, pool),
    FIELD(5, STR, emp_machine_facts, region),
    FIELD(6, STR, emp_machine_facts, provider),
    STRS(7, emp_machine_facts, services, service_count, FACTS_MAX),
    STRS(8, emp_machine_facts, specialties, specialty_count, FACTS_MAX),
    STRS(9, emp_machine_facts, compliance, compliance_count, FACTS_MAX),
    STRS(10, emp_machine_facts, custom_nodes, node_count, FACTS_MAX),
    STRS(11, emp_machine_facts, allowed_customers, allowed_count, FACTS_MAX),
    STRS(12, emp_machine_facts, denied_customers, denied_count, FACTS_MAX),
    ITEMS(13, SHAPES, emp_machine_facts, caps, cap_count, FACTS_MAX, shape_capability),
    ITEMS(14, SHAPES, emp_machine_facts, gpus, gpu_count, FACTS_MAX, shape_gpu),
    FIELD(15, U32, emp_machine_facts, slots),
    FIELD(16, F64, emp_machine_facts, cpu_cores),
    FIELD(17, I64, emp_machine_facts, ram_bytes),
    FIELD(18, I64, emp_machine_facts, disk_budget_bytes),
    FIELD(19, I64, emp_machine_facts, disk_free_bytes),
    FIELD(20, I64, emp_machine_facts, link_bytes_per_s),
    ENUM(21, emp_machine_facts, isolation, EMP_ISOLATION_STRICT + 1),
    FIELD(22, I64, emp_machine_facts, booted_at),
    FIELD(23, I64, emp_machine_facts, gpu_budget_bytes),
    FIELD(24, I64, emp_machine_facts, ram_budget_bytes),
};
static const struct emp_pack_shape shape_facts = SHAPE(emp_machine_facts, facts_fields, NULL);

static const struct emp_pack_field machine_fields[] = {
    INSIDE(1, emp_change_machine, facts, shape_facts),
    FIELD(2, I64, emp_change_machine, first_seen),
    FIELD(3, I64, emp_change_machine, last_seen),
    FIELD(4, U32, emp_change_machine, jobs_completed),
    FIELD(5, U32, emp_change_machine, jobs_failed),
    FIELD(6, BOOL, emp_change_machine, drained),
};
const struct emp_pack_shape emp_shape_machine = SHAPE(emp_change_machine, machine_fields, NULL);

static const struct emp_pack_field model_fields[] = {
    FIELD(1, STR, emp_model, name),
    FIELD(2, STR, emp_model, kind),
    FIELD(3, STR, emp_model, category),
    FIELD(4, STR, emp_model, path),
    FIELD(5, STR, emp_model, owner),
    {6, EMP_PACK_TEXT, offsetof(struct emp_model, sha256), 0,
     sizeof(((struct emp_model *)0)->sha256), NULL},
    FIELD(7, I64, emp_model, bytes),
    STRS(8, emp_model, urls, url_count, EMP_MODEL_URLS_MAX),
    FIELD(9, BOOL, emp_model, pinned),
};
const struct emp_pack_shape emp_shape_model = SHAPE(emp_model, model_fields, NULL);

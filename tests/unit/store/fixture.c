#include "fixture.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ------------------------------------------------------------------ directories */

void dir_init(struct dir *d)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(d->path, sizeof d->path, "%s/emp-store-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(d->path));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void dir_release(struct dir *d)
{
    assert_int_equal(nftw(d->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void dir_path(const struct dir *d, const char *name, char *out, size_t out_bytes)
{
    snprintf(out, out_bytes, "%s/%s", d->path, name);
}

/* ------------------------------------------------------------------ bytes */

emp_blob_token body_token(emp_job_num num)
{
    return num * 2;
}

emp_blob_token result_token(emp_job_num num)
{
    return num * 2 + 1;
}

/* Most short; every 7th some KB of text; every 31st some KB of noise. */
static uint32_t length_of(emp_blob_token token)
{
    if (token % 31 == 0)
        return 3000 + (uint32_t)(token % 1000);
    return token % 7 == 0 ? 5000 + (uint32_t)(token % 5000) : 40 + (uint32_t)(token % 60);
}

int resolve_bytes(void *arena, emp_blob_token token, struct emp_str *ret)
{
    struct emp_random r;
    uint32_t len = length_of(token);
    char *p = emp_arena_alloc(arena, len);
    emp_random_init(&r, token);
    for (uint32_t i = 0; i < len; i++)
        p[i] = token % 31 == 0 ? (char)emp_random_u64(&r)
                               : "{\"prompt\": \"a cat\"}"[(i + token) % 19];
    *ret = (struct emp_str){p, len};
    return 0;
}

void assert_str(struct emp_str got, struct emp_str wanted)
{
    assert_int_equal(got.len, wanted.len);
    if (got.len)
        assert_memory_equal(got.ptr, wanted.ptr, got.len);
}

void check_bytes(struct emp_str got, emp_blob_token token)
{
    struct emp_arena a;
    struct emp_str wanted;
    emp_arena_init(&a, 0);
    resolve_bytes(&a, token, &wanted);
    assert_str(got, wanted);
    assert_int_equal(got.ptr[got.len], 0);
    emp_arena_release(&a);
}

/* ------------------------------------------------------------------ changes */

struct changes *changes_new(void)
{
    struct changes *c = calloc(1, sizeof *c);
    assert_non_null(c);
    emp_arena_init(&c->arena, 0);
    return c;
}

void changes_free(struct changes *c)
{
    emp_arena_release(&c->arena);
    free(c);
}

void changes_clear(struct changes *c)
{
    emp_arena_reset(&c->arena);
    c->count = 0;
}

static struct emp_str strf(struct emp_arena *a, const char *fmt, unsigned long long n)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return emp_str_z(emp_arena_printf(a, fmt, n));
#pragma GCC diagnostic pop
}

void job_spec(struct emp_arena *a, emp_job_num num, struct emp_job_spec *ret)
{
    *ret = (struct emp_job_spec){
        .service = strf(a, "service-%llu", num % 3),
        .customer = num % 5 ? strf(a, "customer-%llu", num % 5) : (struct emp_str){0},
        .workflow = num % 4 == 0 ? strf(a, "workflow-%llu", num / 20) : (struct emp_str){0},
        .pool = num % 6 == 0 ? EMP_STR("heavy") : (struct emp_str){0},
        .idempotency_key = num % 2 ? strf(a, "key-%llu", num) : (struct emp_str){0},
        .priority = 10.0 + (double)(num % 9) / 2,
        .workflow_priority = num % 4 == 0 ? 70 : NAN,
        .estimated_duration_ms = (int64_t)(num * 1000),
        .max_retries = (int32_t)(num % 4),
        .tier = num % 3,
        .payload_bytes = (uint32_t)(num % 1000),
        .body_hash = emp_mix64(num),
        .model_count = (uint32_t)(num % 3),
        .requirement_count = num % 2,
    };
    ret->models = emp_arena_array(a, struct emp_str, 3);
    for (uint32_t i = 0; i < ret->model_count; i++)
        ret->models[i] = strf(a, "model-%llu", num + i);
    ret->requirements = emp_arena_new(a, struct emp_requirement);
    *ret->requirements =
        (struct emp_requirement){.path = EMP_STR("hardware.gpu_memory_gb"), .number = 24};
}

static void set_attempt(struct emp_arena *a, emp_job_num num, int step, struct emp_attempt *ret)
{
    static const enum emp_outcome outcomes[] = {EMP_OUTCOME_RUNNING, EMP_OUTCOME_RUNNING,
                                                EMP_OUTCOME_RUNNING, EMP_OUTCOME_COMPLETED,
                                                EMP_OUTCOME_FAILED,  EMP_OUTCOME_CANCELLED};
    *ret = (struct emp_attempt){
        .number = 1,
        .outcome = outcomes[step],
        .machine = strf(a, "6a3a9d5e-1f0b-4c5d-8f5e-machine%05llu", num % 7),
        .pool = num % 2 ? EMP_STR("fast-lane") : EMP_STR("standard"),
        .assigned_at = (emp_wall_ms)(1700000001000 + num),
        .started_at = step >= 2 ? (emp_wall_ms)(1700000002000 + num) : 0,
        .ended_at = step >= 3 ? (emp_wall_ms)(1700000003000 + num) : 0,
        .counted = step == 3 || step == 4,
        .error_code = step == 4 ? EMP_E_JOB_FAILED : 0,
        .error = step == 4 ? strf(a, "it broke at %llu", num) : (struct emp_str){0},
    };
}

static void set_decision(const struct emp_attempt *attempt, struct emp_decision *ret)
{
    ret->count = 2;
    ret->considered = 6;
    ret->fallback = EMP_FALLBACK_FETCH;
    ret->estimated_run_ms = 1500;
    ret->pool = attempt->pool;
    for (uint32_t i = 0; i < ret->count; i++) {
        ret->candidates[i] = (struct emp_route_choice){
            .machine = i == 0 ? attempt->machine : EMP_STR("6a3a9d5e-1f0b-4c5d-8f5e-machineRUNUP"),
            .pool = attempt->pool,
            .terms = {.fetch = 1200345 * (i + 1), .load = 800000, .run_delta = -50},
            .cost = 2000295 * (i + 1),
            .load_suitability = 0.25F,
        };
    }
}

void job_record(struct emp_arena *a, emp_job_num num, int step, struct emp_job_record *ret)
{
    static const enum emp_job_state states[] = {EMP_JOB_PENDING,     EMP_JOB_ASSIGNED,
                                                EMP_JOB_IN_PROGRESS, EMP_JOB_COMPLETED,
                                                EMP_JOB_FAILED,      EMP_JOB_CANCELLED};
    *ret = (struct emp_job_record){
        .num = num,
        .state = states[step],
        .order_priority = 10.0 + (double)(num % 9) / 2,
        .order_tag = (int64_t)num * 17,
        .submitted_at = (emp_wall_ms)(1700000000000 + num),
        .finished_at = step >= 3 ? (emp_wall_ms)(1700000003000 + (num * 7919) % 1000) : 0,
        .counted_attempts = step >= 3,
    };
    if (step == 0)
        return;
    set_attempt(a, num, step, &ret->attempt);
    set_decision(&ret->attempt, &ret->decision);
    ret->error = ret->attempt.error;
    ret->error_code = ret->attempt.error_code;
}

static struct emp_change *add(struct changes *c, enum emp_change_kind kind)
{
    assert_true(c->count < sizeof c->items / sizeof c->items[0]);
    struct emp_change *change = &c->items[c->count++];
    memset(change, 0, sizeof *change);
    change->kind = kind;
    return change;
}

void add_job(struct changes *c, emp_job_num num, int step, bool first)
{
    struct emp_change_job *job = &add(c, EMP_CHANGE_JOB)->job;
    job_record(&c->arena, num, step, &job->record);
    if (first) {
        struct emp_job_spec *spec = emp_arena_new(&c->arena, struct emp_job_spec);
        job_spec(&c->arena, num, spec);
        job->spec = spec;
        job->body = body_token(num);
    }
    job->result = step == 3 ? result_token(num) : 0;
}

void add_attempt(struct changes *c, emp_job_num num, uint32_t number)
{
    struct emp_change_attempt *attempt = &add(c, EMP_CHANGE_ATTEMPT)->attempt;
    attempt->job = num;
    set_attempt(&c->arena, num, 4, &attempt->attempt);
    attempt->attempt.number = number;
}

void add_machine(struct changes *c, unsigned which, uint32_t completed)
{
    struct emp_change_machine *m = &add(c, EMP_CHANGE_MACHINE)->machine;
    m->facts.id = strf(&c->arena, "machine-%llu", which);
    m->facts.pool = EMP_STR("heavy");
    m->facts.slots = 2;
    m->facts.cap_count = 1;
    m->facts.caps = emp_arena_new(&c->arena, struct emp_capability);
    m->facts.caps[0] = (struct emp_capability){.path = EMP_STR("hardware.ram_gb"), .number = 63.5};
    m->first_seen = 1700000000000;
    m->jobs_completed = completed;
}

void add_model(struct changes *c, unsigned which, int64_t bytes)
{
    struct emp_model *m = &add(c, EMP_CHANGE_MODEL)->model;
    m->name = strf(&c->arena, "model-%llu", which);
    m->path = strf(&c->arena, "checkpoints/model-%llu.safetensors", which);
    m->bytes = bytes;
    memset(m->sha256, 'a', 64);
    m->url_count = 1;
    m->urls = emp_arena_new(&c->arena, struct emp_str);
    m->urls[0] = EMP_STR("http://127.0.0.1:1/model");
}

void add_learned(struct changes *c, unsigned which, uint32_t length)
{
    struct emp_change_learned *l = &add(c, EMP_CHANGE_LEARNED)->learned;
    l->key = strf(&c->arena, "duration/class-%llu", which);
    l->bytes = emp_arena_alloc(&c->arena, length);
    l->length = length;
}

void commit(struct emp_store *s, struct changes *c)
{
    struct emp_error err = {0};
    int rc = emp_store_commit(s, c->items, c->count, resolve_bytes, &c->arena, &err);
    if (rc < 0)
        print_error("commit: %s\n", err.text);
    assert_int_equal(rc, 0);
    changes_clear(c);
}

/* ------------------------------------------------------------------ checks */

void check_spec(const struct emp_job_spec *got, emp_job_num num)
{
    struct emp_arena a;
    struct emp_job_spec s;
    emp_arena_init(&a, 0);
    job_spec(&a, num, &s);
    assert_str(got->service, s.service);
    assert_str(got->customer, s.customer);
    assert_str(got->workflow, s.workflow);
    assert_str(got->pool, s.pool);
    assert_str(got->idempotency_key, s.idempotency_key);
    assert_true(got->priority == s.priority);
    assert_int_equal(isnan(got->workflow_priority), isnan(s.workflow_priority));
    assert_int_equal(got->estimated_duration_ms, s.estimated_duration_ms);
    assert_int_equal(got->max_retries, s.max_retries);
    assert_int_equal(got->tier, s.tier);
    assert_true(got->body_hash == s.body_hash);
    assert_int_equal(got->model_count, s.model_count);
    for (uint32_t i = 0; i < s.model_count; i++)
        assert_str(got->models[i], s.models[i]);
    assert_int_equal(got->requirement_count, s.requirement_count);
    if (s.requirement_count)
        assert_str(got->requirements[0].path, s.requirements[0].path);
    emp_arena_release(&a);
}

static void check_attempt(const struct emp_attempt *got, const struct emp_attempt *wanted)
{
    assert_int_equal(got->number, wanted->number);
    assert_int_equal(got->outcome, wanted->outcome);
    assert_str(got->machine, wanted->machine);
    assert_str(got->pool, wanted->pool);
    assert_int_equal(got->assigned_at, wanted->assigned_at);
    assert_int_equal(got->started_at, wanted->started_at);
    assert_int_equal(got->ended_at, wanted->ended_at);
    assert_int_equal(got->counted, wanted->counted);
    assert_int_equal(got->error_code, wanted->error_code);
    assert_str(got->error, wanted->error);
}

void check_record(const struct emp_job_record *got, emp_job_num num, int step)
{
    struct emp_arena a;
    struct emp_job_record r;
    emp_arena_init(&a, 0);
    job_record(&a, num, step, &r);
    assert_int_equal(got->num, r.num);
    assert_int_equal(got->state, r.state);
    assert_true(got->order_priority == r.order_priority);
    assert_int_equal(got->order_tag, r.order_tag);
    assert_int_equal(got->submitted_at, r.submitted_at);
    assert_int_equal(got->finished_at, r.finished_at);
    assert_int_equal(got->counted_attempts, r.counted_attempts);
    check_attempt(&got->attempt, &r.attempt);
    assert_int_equal(got->decision.count, r.decision.count);
    for (uint32_t i = 0; i < r.decision.count; i++) {
        assert_str(got->decision.candidates[i].machine, r.decision.candidates[i].machine);
        assert_int_equal(got->decision.candidates[i].terms.fetch,
                         r.decision.candidates[i].terms.fetch);
        assert_int_equal(got->decision.candidates[i].terms.run_delta,
                         r.decision.candidates[i].terms.run_delta);
        assert_true(got->decision.candidates[i].load_suitability ==
                    r.decision.candidates[i].load_suitability);
    }
    assert_str(got->error, r.error);
    assert_int_equal(got->error_code, r.error_code);
    emp_arena_release(&a);
}

/* ------------------------------------------------------------------ the story */

void story_batch(struct changes *c, int b)
{
    changes_clear(c);
    for (int i = 1; i <= STORY_JOBS; i++) {
        add_job(c, (emp_job_num)(b * STORY_JOBS + i), 0, true);
        if (b >= 1)
            add_job(c, (emp_job_num)((b - 1) * STORY_JOBS + i), 1, false);
        if (b >= 2)
            add_job(c, (emp_job_num)((b - 2) * STORY_JOBS + i), 3, false);
    }
    add_machine(c, 1, (uint32_t)b);
}

/* `age` of a job: batches since its own. */
static void story_job(struct emp_store_reader *r, emp_job_num num, int age)
{
    struct emp_arena a;
    struct emp_store_job job;
    emp_arena_init(&a, 0);
    int rc = emp_store_job(r, num, EMP_STORE_BODY | EMP_STORE_RESULT, &a, &job, NULL);
    assert_int_equal(rc, age < 0 ? EMP_E_NOT_FOUND : 0);
    if (age >= 0) {
        check_record(&job.record, num, age == 0 ? 0 : age == 1 ? 1 : 3);
        check_spec(&job.spec, num);
        check_bytes(job.body, body_token(num));
    }
    if (age >= 2)
        check_bytes(job.result, result_token(num));
    emp_arena_release(&a);
}

bool story_holds(struct emp_store *s, int n)
{
    struct emp_store_reader *r;
    uint64_t counts[EMP_JOB_STATE_COUNT];
    assert_int_equal(emp_store_reader_new(s, &r, NULL), 0);
    assert_int_equal(emp_store_counts(r, counts, NULL), 0);
    bool exact = counts[EMP_JOB_PENDING] == (n >= 1 ? STORY_JOBS : 0) &&
                 counts[EMP_JOB_ASSIGNED] == (n >= 2 ? STORY_JOBS : 0) &&
                 counts[EMP_JOB_COMPLETED] == (n >= 3 ? (uint64_t)(n - 2) * STORY_JOBS : 0);
    for (int num = 1; exact && num <= (n + 1) * STORY_JOBS; num++)
        story_job(r, (emp_job_num)num, n - 1 - (num - 1) / STORY_JOBS);
    emp_store_reader_free(r);
    return exact;
}

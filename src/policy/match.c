/* Everything a job asks is put as predicates over values found under a path, so that there is one
 * way of looking up, one of comparing and one of saying what was wrong. What a machine offers under
 * a path is a stream of values (struct values): of a field of the facts, else of its capabilities.
 * An array and several values of one path are the same thing. */
#include "policy/match.h"

#include <stdio.h>

/* ---- what a machine offers under a path ---- */

static double most_gpu_memory_gb(const struct emp_machine_facts *m)
{
    int64_t most = 0;
    for (uint32_t i = 0; i < m->gpu_count; i++)
        if (m->gpus[i].memory_bytes > most)
            most = m->gpus[i].memory_bytes;
    return (double)most / 1e9;
}

static double gpu_count(const struct emp_machine_facts *m)
{
    return m->gpu_count;
}

static double cpu_cores(const struct emp_machine_facts *m)
{
    return m->cpu_cores;
}

static double ram_gb(const struct emp_machine_facts *m)
{
    return (double)m->ram_bytes / 1e9;
}

static double disk_gb(const struct emp_machine_facts *m)
{
    return (double)m->disk_budget_bytes / 1e9;
}

static double slots(const struct emp_machine_facts *m)
{
    return m->slots;
}

enum field_kind { FIELD_NUMBER, FIELD_TEXT, FIELD_LIST, FIELD_GPU_MODELS, FIELD_ISOLATION };
struct field {
    const char *path;
    enum field_kind kind;
    double (*number)(const struct emp_machine_facts *m); /* FIELD_NUMBER; 0: not known */
    size_t at, count_at; /* FIELD_TEXT: struct emp_str; FIELD_LIST: pointer and count */
};

#define NUMBER(path, f) path, FIELD_NUMBER, f, 0, 0
#define TEXT(path, m)   path, FIELD_TEXT, NULL, offsetof(struct emp_machine_facts, m), 0
#define LIST(path, m, n)                                           \
    path, FIELD_LIST, NULL, offsetof(struct emp_machine_facts, m), \
        offsetof(struct emp_machine_facts, n)

static const struct field fields[] = {
    {NUMBER("hardware.gpu_memory_gb", most_gpu_memory_gb)},
    {NUMBER("hardware.gpu_count", gpu_count)},
    {NUMBER("hardware.cpu_cores", cpu_cores)},
    {NUMBER("hardware.ram_gb", ram_gb)},
    {NUMBER("hardware.disk_gb", disk_gb)},
    {"hardware.gpu_model", FIELD_GPU_MODELS, NULL, 0, 0},
    {NUMBER("slots", slots)},
    {NUMBER("performance.concurrent_jobs", slots)},
    {TEXT("region", region)},
    {TEXT("geographic_region", region)},
    {TEXT("location.region", region)},
    {TEXT("provider", provider)},
    {TEXT("pool", pool)},
    {TEXT("machine_id", id)},
    {TEXT("worker_id", id)},
    {LIST("services", services, service_count)},
    {LIST("job_service_required_map", services, service_count)},
    {LIST("specialty", specialties, specialty_count)},
    {LIST("specialties", specialties, specialty_count)},
    {LIST("specialization", specialties, specialty_count)},
    {LIST("compliance", compliance, compliance_count)},
    {LIST("location.compliance_zones", compliance, compliance_count)},
    {LIST("custom_nodes", custom_nodes, node_count)},
    {LIST("customer_access.allowed_customers", allowed_customers, allowed_count)},
    {LIST("customer_access.denied_customers", denied_customers, denied_count)},
    {"customer_access.isolation", FIELD_ISOLATION, NULL, 0, 0},
};

/* A job's word, and under which other path machines offer it. */
static const struct {
    const char *asked, *offered;
} synonyms[] = {
    {"region", "location.region"},
    {"geographic_region", "location.region"},
    {"compliance", "location.compliance_zones"},
    {"quality_level", "performance.quality_levels"},
    {"component", "supported_components"},
};

static const char *const isolation_words[] = {
    [EMP_ISOLATION_NONE] = "none",
    [EMP_ISOLATION_LOOSE] = "loose",
    [EMP_ISOLATION_STRICT] = "strict",
};

struct values {
    const struct emp_machine_facts *machine;
    const struct field *field; /* NULL: from the capabilities */
    struct emp_str path;       /* of capabilities */
    uint32_t next;
};

static bool path_is(struct emp_str path, const char *z)
{
    return emp_str_eq(path, emp_str_z(z));
}

static struct emp_capability text_value(struct emp_str text, bool in_array)
{
    return (struct emp_capability){.kind = EMP_CAPABILITY_TEXT, .text = text, .in_array = in_array};
}

static bool next_of_field(struct values *v, struct emp_capability *ret)
{
    const struct emp_machine_facts *m = v->machine;
    const char *base = (const char *)m;
    uint32_t i = v->next++;
    switch (v->field->kind) {
    case FIELD_NUMBER:
        *ret =
            (struct emp_capability){.kind = EMP_CAPABILITY_NUMBER, .number = v->field->number(m)};
        return i == 0 && ret->number > 0;
    case FIELD_TEXT:
        *ret = text_value(*(const struct emp_str *)(base + v->field->at), false);
        return i == 0 && ret->text.len > 0;
    case FIELD_LIST:
        if (i >= *(const uint32_t *)(base + v->field->count_at))
            return false;
        *ret = text_value((*(struct emp_str *const *)(base + v->field->at))[i], true);
        return true;
    case FIELD_GPU_MODELS:
        if (i >= m->gpu_count)
            return false;
        *ret = text_value(m->gpus[i].model, true);
        return true;
    case FIELD_ISOLATION:
        *ret = text_value(emp_str_z(isolation_words[m->isolation]), false);
        return i == 0;
    }
    return false;
}

static bool next_value(struct values *v, struct emp_capability *ret)
{
    if (v->field)
        return next_of_field(v, ret);
    while (v->next < v->machine->cap_count) {
        const struct emp_capability *cap = &v->machine->caps[v->next++];
        if (emp_str_eq(cap->path, v->path)) {
            *ret = *cap;
            return true;
        }
    }
    return false;
}

static bool any_value(struct values v)
{
    struct emp_capability first;
    return next_value(&v, &first);
}

static const struct field *field_of(struct emp_str path)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (path_is(path, fields[i].path))
            return &fields[i];
    return NULL;
}

static struct values values_of(const struct emp_machine_facts *m, struct emp_str path)
{
    struct values v = {.machine = m, .field = field_of(path), .path = path};
    if (v.field && any_value(v))
        return v;
    v.field = NULL;
    if (any_value(v))
        return v;
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (path_is(path, synonyms[i].asked))
            v.path = emp_str_z(synonyms[i].offered);
    return v;
}

/* ---- predicates ---- */

static bool value_satisfies(const struct emp_requirement *r, const struct emp_capability *v)
{
    switch (r->kind) {
    case EMP_REQUIRE_NUMBER_AT_LEAST:
        if (v->kind != EMP_CAPABILITY_NUMBER)
            return false;
        return v->number >= r->number && (!v->in_array || v->number <= r->number);
    case EMP_REQUIRE_TEXT:
        return v->kind == EMP_CAPABILITY_TEXT && emp_str_eq(v->text, r->text);
    case EMP_REQUIRE_TRUE:
        return v->kind == EMP_CAPABILITY_BOOL && v->number > 0;
    case EMP_REQUIRE_FALSE:
        return v->kind == EMP_CAPABILITY_BOOL && !(v->number > 0);
    case EMP_REQUIRE_NEVER:
        return false;
    }
    return false;
}

static bool satisfied(const struct emp_requirement *r, const struct emp_machine_facts *m)
{
    struct values v = values_of(m, r->path);
    struct emp_capability value;
    while (next_value(&v, &value))
        if (value_satisfies(r, &value))
            return true;
    return false;
}

/* ---- saying what was wrong ---- */

enum { FOUND_MAX = 160, WANTED_MAX = 96, TEXT_SHOWN_MAX = 64 };

/* The first `max` bytes at most, never part of a UTF-8 sequence. */
static struct emp_str shown(struct emp_str s, uint32_t max)
{
    if (s.len <= max)
        return s;
    while (max > 0 && ((unsigned char)s.ptr[max] & 0xC0) == 0x80)
        max--;
    return (struct emp_str){s.ptr, max};
}

static void print_value(char *out, size_t room, const struct emp_capability *v)
{
    if (v->kind == EMP_CAPABILITY_NUMBER)
        snprintf(out, room, "%.6g", v->number);
    else if (v->kind == EMP_CAPABILITY_BOOL)
        snprintf(out, room, "%s", v->number > 0 ? "true" : "false");
    else
        snprintf(out, room, "\"%.*s\"", EMP_STR_FMT(shown(v->text, TEXT_SHOWN_MAX)));
}

/* All values, separated by commas, as many as fit; "none" where there are none. */
static void print_found(char out[FOUND_MAX], struct values v)
{
    struct emp_capability value;
    size_t len = 0;
    snprintf(out, FOUND_MAX, "none");
    while (next_value(&v, &value)) {
        char one[WANTED_MAX];
        print_value(one, sizeof one, &value);
        if (len + strlen(one) + sizeof ", …" >= FOUND_MAX) {
            snprintf(out + len, FOUND_MAX - len, ", …");
            return;
        }
        len += (size_t)snprintf(out + len, FOUND_MAX - len, "%s%s", len ? ", " : "", one);
    }
}

static void print_wanted(char out[WANTED_MAX], const struct emp_requirement *r)
{
    static const enum emp_capability_kind kind_of[] = {
        [EMP_REQUIRE_NUMBER_AT_LEAST] = EMP_CAPABILITY_NUMBER,
        [EMP_REQUIRE_TEXT] = EMP_CAPABILITY_TEXT,
        [EMP_REQUIRE_TRUE] = EMP_CAPABILITY_BOOL,
        [EMP_REQUIRE_FALSE] = EMP_CAPABILITY_BOOL,
        [EMP_REQUIRE_NEVER] = EMP_CAPABILITY_BOOL,
    };
    struct emp_capability wanted = {.kind = kind_of[r->kind], .text = r->text, .number = r->number};
    if (wanted.kind == EMP_CAPABILITY_BOOL)
        wanted.number = r->kind == EMP_REQUIRE_TRUE;
    if (r->kind == EMP_REQUIRE_NEVER)
        snprintf(out, WANTED_MAX, "a value that no machine can have (null or an empty object)");
    else
        print_value(out, WANTED_MAX, &wanted);
}

static void explain(const struct emp_requirement *r, const struct emp_machine_facts *m, int code,
                    const char *field, struct emp_error *why)
{
    char name[EMP_ERROR_FIELD_MAX], wanted[WANTED_MAX], found[FOUND_MAX];
    if (why == NULL)
        return;
    snprintf(name, sizeof name, "%.*s", EMP_STR_FMT(shown(r->path, sizeof name - 1)));
    print_wanted(wanted, r);
    print_found(found, values_of(m, r->path));
    if (field == NULL)
        field = name;
    emp_fail(why, code, field, "%s: %s %s%s, has %s", field, r->negated ? "must not have" : "needs",
             wanted, r->negated && r->kind == EMP_REQUIRE_NUMBER_AT_LEAST ? " or more" : "", found);
}

/* ---- the questions ---- */

static bool require(const struct emp_requirement *r, const struct emp_machine_facts *m, int code,
                    const char *field, struct emp_error *why)
{
    if (satisfied(r, m) != r->negated)
        return true;
    explain(r, m, code, field, why);
    return false;
}

static bool require_text(const char *path, struct emp_str text, const struct emp_machine_facts *m,
                         struct emp_error *why)
{
    struct emp_requirement r = {.path = emp_str_z(path), .text = text, .kind = EMP_REQUIRE_TEXT};
    return require(&r, m, EMP_E_UNRUNNABLE, NULL, why);
}

static bool require_texts(const char *path, const struct emp_str *texts, uint32_t count,
                          const struct emp_machine_facts *m, struct emp_error *why)
{
    for (uint32_t i = 0; i < count; i++)
        if (!require_text(path, texts[i], m, why))
            return false;
    return true;
}

static bool service_offered(const struct emp_job_spec *job, const struct emp_machine_facts *m,
                            struct emp_error *why)
{
    struct emp_requirement r = {
        .path = EMP_STR("services"), .text = job->service, .kind = EMP_REQUIRE_TEXT};
    return require(&r, m, EMP_E_UNKNOWN_SERVICE, "service_required", why);
}

bool emp_match_reserved(const struct emp_machine_facts *m, struct emp_str workflow)
{
    struct emp_requirement r = {
        .path = EMP_STR("workflow_id"), .text = workflow, .kind = EMP_REQUIRE_TEXT};
    return workflow.len ? satisfied(&r, m) : any_value(values_of(m, r.path));
}

static bool workflow_admitted(const struct emp_job_spec *job, const struct emp_machine_facts *m,
                              struct emp_error *why)
{
    bool ours = job->workflow.len && emp_match_reserved(m, job->workflow);
    if (ours || !emp_match_reserved(m, (struct emp_str){0}))
        return true;
    if (why)
        emp_fail(why, EMP_E_UNRUNNABLE, "workflow_id",
                 "workflow_id: the machine is reserved for another workflow");
    return false;
}

static bool listed(const struct emp_str *list, uint32_t count, struct emp_str s)
{
    for (uint32_t i = 0; i < count; i++)
        if (emp_str_eq(list[i], s))
            return true;
    return false;
}

static bool isolation_kept(const struct emp_job_spec *job, const struct emp_machine_facts *m,
                           struct emp_error *why)
{
    if (job->isolation == EMP_ISOLATION_NONE)
        return true;
    if (job->isolation == EMP_ISOLATION_STRICT && m->isolation != EMP_ISOLATION_STRICT) {
        emp_fail(why, EMP_E_UNRUNNABLE, "customer_isolation",
                 "customer_isolation: needs \"strict\", has \"%s\"", isolation_words[m->isolation]);
        return false;
    }
    bool refused =
        (m->allowed_count > 0 && !listed(m->allowed_customers, m->allowed_count, job->customer)) ||
        listed(m->denied_customers, m->denied_count, job->customer);
    if (refused)
        emp_fail(why, EMP_E_UNRUNNABLE, "customer_id",
                 "customer_id: the machine does not serve customer \"%.*s\"",
                 EMP_STR_FMT(job->customer));
    return !refused;
}

bool emp_match_machine(const struct emp_job_spec *job, const struct emp_machine_facts *m,
                       struct emp_error *why)
{
    if (!service_offered(job, m, why) || !workflow_admitted(job, m, why))
        return false;
    if (job->region.len > 0 && !require_text("region", job->region, m, why))
        return false;
    if (!require_texts("compliance", job->compliance, job->compliance_count, m, why) ||
        !require_texts("custom_nodes", job->custom_nodes, job->node_count, m, why) ||
        !isolation_kept(job, m, why))
        return false;
    for (uint32_t i = 0; i < job->requirement_count; i++)
        if (!require(&job->requirements[i], m, EMP_E_UNRUNNABLE, NULL, why))
            return false;
    return true;
}

static int64_t bytes_of_gb(double gb)
{
    double bytes = gb * 1e9;
    return bytes > 0 ? bytes < (double)EMP_BYTES_MAX ? (int64_t)(bytes + 0.5) : EMP_BYTES_MAX : 0;
}

bool emp_match_pool(const struct emp_job_spec *job, const struct emp_pool *pool,
                    struct emp_error *why)
{
    if (pool->service_count == 0) {
        emp_fail(why, EMP_E_UNRUNNABLE, "pool", "pool %.*s names no services, so it promises none",
                 EMP_STR_FMT(pool->name));
        return false;
    }
    if (pool->customer.len > 0 && !emp_str_eq(pool->customer, job->customer)) {
        emp_fail(why, EMP_E_UNRUNNABLE, "customer_id", "pool %.*s belongs to another customer",
                 EMP_STR_FMT(pool->name));
        return false;
    }

    /* the least machine that the pool may have */
    struct emp_gpu gpu = {.memory_bytes = bytes_of_gb(pool->gpu_memory_gb_min)};
    struct emp_str customer = pool->customer, specialty = pool->specialty;
    struct emp_machine_facts least = {
        .pool = pool->name,
        .region = pool->region,
        .services = pool->services,
        .service_count = pool->service_count,
        .specialties = &specialty,
        .specialty_count = specialty.len > 0,
        .compliance = pool->compliance,
        .compliance_count = pool->compliance_count,
        .allowed_customers = &customer,
        .allowed_count = customer.len > 0,
        .gpus = &gpu,
        .gpu_count = gpu.memory_bytes > 0,
        .cpu_cores = pool->cpu_cores_min,
        .ram_bytes = bytes_of_gb(pool->ram_gb_min),
        .disk_budget_bytes = pool->disk_bytes_min,
        .isolation = customer.len > 0 ? EMP_ISOLATION_STRICT : EMP_ISOLATION_NONE,
    };
    return emp_match_machine(job, &least, why);
}

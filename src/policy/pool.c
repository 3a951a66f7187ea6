/* Both choices are a maximum over all pools by a score compared field by field, most important
 * first; ties go to the pool configured first. Pools are few (EMP_POOLS_MAX) and the core asks once
 * per class, so scanning is fine. */
#include "policy/pool.h"

static bool holds(const struct emp_str *list, uint32_t count, struct emp_str s)
{
    for (uint32_t i = 0; i < count; i++)
        if (emp_str_eq(list[i], s))
            return true;
    return false;
}

static bool holds_all(const struct emp_str *list, uint32_t count, const struct emp_str *wanted,
                      uint32_t wanted_count)
{
    for (uint32_t i = 0; i < wanted_count; i++)
        if (!holds(list, count, wanted[i]))
            return false;
    return true;
}

uint32_t emp_pool_find(const struct emp_settings *s, struct emp_str name)
{
    for (uint32_t i = 0; name.len > 0 && i < s->pool_count; i++)
        if (emp_str_eq(s->pools[i].name, name))
            return i;
    return EMP_POOL_NONE;
}

/* ---- of a job ---- */

struct job_score {
    bool fits;        /* specialty, region, compliance, service: nothing contradicts */
    bool customer;    /* the pool is this customer's own */
    int64_t off_ms;   /* how far the duration lies outside the pool's; 0: inside */
    uint32_t matched; /* of specialty, region, compliance, service: said by both and the same */
    uint32_t unasked; /* restrictions of the pool that the job did not ask for */
    int64_t width_ms; /* of the pool's durations: narrow before wide */
};

static int64_t better_bool(bool a, bool b)
{
    return (int64_t)a - (int64_t)b;
}

static int64_t better_less(int64_t a, int64_t b) /* positive when a < b */
{
    return (a < b) - (a > b);
}

static bool job_score_better(const struct job_score *a, const struct job_score *b)
{
    int64_t d = better_bool(a->fits, b->fits);
    if (d == 0)
        d = better_bool(a->customer, b->customer);
    if (d == 0)
        d = better_less(a->off_ms, b->off_ms);
    if (d == 0)
        d = better_less(b->matched, a->matched);
    if (d == 0)
        d = better_less(a->unasked, b->unasked);
    if (d == 0)
        d = better_less(a->width_ms, b->width_ms);
    return d > 0;
}

/* The pool that says which durations belong here: itself, or its parent. */
static const struct emp_pool *durations_of(const struct emp_settings *s, const struct emp_pool *p)
{
    uint32_t parent = emp_pool_find(s, p->parent);
    return parent == EMP_POOL_NONE ? p : &s->pools[parent];
}

/* One trait of a job against one of a pool: counts a match or a restriction nobody asked for; false
 * on contradiction. */
static bool weigh(struct job_score *score, struct emp_str wanted, struct emp_str offered)
{
    if (offered.len == 0)
        return true; // a general pool takes anything
    if (wanted.len == 0)
        score->unasked++;
    else if (emp_str_eq(wanted, offered))
        score->matched++;
    else
        return false;
    return true;
}

static struct job_score score_job(const struct emp_settings *s, const struct emp_pool *p,
                                  const struct emp_job_spec *job, struct emp_str specialty,
                                  int64_t run_ms)
{
    const struct emp_pool *d = durations_of(s, p);
    struct job_score score = {.fits = true, .customer = p->customer.len > 0};
    int64_t start = d->run_ms_min > 0 ? d->run_ms_min : 0;
    int64_t end = d->run_ms_max > 0 ? d->run_ms_max : EMP_NEVER;

    score.width_ms = end - start;
    if (run_ms < start)
        score.off_ms = start - run_ms;
    else if (run_ms >= end)
        score.off_ms = run_ms - end + 1;

    score.fits &= weigh(&score, specialty, p->specialty);
    score.fits &= weigh(&score, job->region, p->region);
    score.fits &=
        holds_all(p->compliance, p->compliance_count, job->compliance, job->compliance_count);
    score.matched += job->compliance_count > 0;
    if (p->compliance_count > job->compliance_count)
        score.unasked += p->compliance_count - job->compliance_count;
    if (p->service_count > 0) {
        bool named = holds(p->services, p->service_count, job->service);
        score.fits &= named;
        score.matched += named;
    }
    return score;
}

uint32_t emp_pool_for_job(const struct emp_settings *s, const struct emp_job_spec *job,
                          struct emp_str specialty, int64_t run_ms)
{
    uint32_t wish = emp_pool_find(s, job->pool), best = EMP_POOL_NONE;
    struct job_score best_score = {0};
    run_ms = run_ms < 0 ? 0 : run_ms;
    for (uint32_t i = 0; i < s->pool_count; i++) {
        const struct emp_pool *p = &s->pools[i];
        if (p->customer.len > 0 && !emp_str_eq(p->customer, job->customer))
            continue;
        if (i == wish)
            return i;
        struct job_score score = score_job(s, p, job, specialty, run_ms);
        if (best == EMP_POOL_NONE || job_score_better(&score, &best_score)) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

/* ---- of a machine ---- */

/* Hardware as four numbers in the order in which they set machines apart. */
enum { GPU_GB, DISK_BYTES, RAM_GB, CORES, HARDWARE_COUNT };

struct machine_score {
    bool satisfied;   /* hardware reaches what the pool expects */
    uint32_t special; /* customer, specialty, region, compliance: of the pool, and the machine
                         serves it */
    double demand[HARDWARE_COUNT];
};

static bool machine_score_better(const struct machine_score *a, const struct machine_score *b)
{
    if (a->satisfied != b->satisfied)
        return a->satisfied;
    if (a->satisfied && a->special != b->special)
        return a->special > b->special;
    for (int i = 0; i < HARDWARE_COUNT; i++) {
        if (a->demand[i] < b->demand[i] || a->demand[i] > b->demand[i])
            return a->satisfied ==
                   (a->demand[i] > b->demand[i]); // too small for all: the least demanding
    }
    return a->special > b->special;
}

static double gpu_memory_gb(const struct emp_machine_facts *m)
{
    int64_t most = 0;
    for (uint32_t i = 0; i < m->gpu_count; i++)
        if (m->gpus[i].memory_bytes > most)
            most = m->gpus[i].memory_bytes;
    return (double)most / 1e9;
}

/* Does the machine serve whom the pool is reserved for? Counts what sets the pool apart. */
static bool serves(const struct emp_pool *p, const struct emp_machine_facts *m, uint32_t *special)
{
    bool ok = true;
    if (p->customer.len > 0)
        ok &= holds(m->allowed_customers, m->allowed_count, p->customer);
    if (p->specialty.len > 0)
        ok &= holds(m->specialties, m->specialty_count, p->specialty);
    if (p->region.len > 0)
        ok &= emp_str_eq(p->region, m->region);
    ok &= holds_all(m->compliance, m->compliance_count, p->compliance, p->compliance_count);
    *special = (p->customer.len > 0) + (p->specialty.len > 0) + (p->region.len > 0) +
               (p->compliance_count > 0);

    if (p->service_count >
        0) { // a pool for services that the machine does not offer is not its pool
        bool any = false;
        for (uint32_t i = 0; i < p->service_count; i++)
            any |= holds(m->services, m->service_count, p->services[i]);
        ok &= any;
    }
    return ok;
}

uint32_t emp_pool_for_machine(const struct emp_settings *s, const struct emp_machine_facts *m)
{
    const double has[HARDWARE_COUNT] = {gpu_memory_gb(m), (double)m->disk_budget_bytes,
                                        (double)m->ram_bytes / 1e9, m->cpu_cores};
    uint32_t best = EMP_POOL_NONE;
    bool best_serves = false;
    struct machine_score best_score = {0};
    for (uint32_t i = 0; i < s->pool_count; i++) {
        const struct emp_pool *p = &s->pools[i];
        struct machine_score score = {
            .satisfied = true,
            .demand = {p->gpu_memory_gb_min, (double)p->disk_bytes_min, p->ram_gb_min,
                       p->cpu_cores_min},
        };
        bool ok = serves(p, m, &score.special);
        for (int h = 0; h < HARDWARE_COUNT; h++)
            score.satisfied &= has[h] >= score.demand[h];
        bool better = ok != best_serves ? ok : machine_score_better(&score, &best_score);
        if (best == EMP_POOL_NONE || better) {
            best = i;
            best_score = score;
            best_serves = ok;
        }
    }
    return best;
}

/* ---- specialty ---- */

static int64_t bytes_of(const struct emp_model *const *models, uint32_t count,
                        struct emp_str category)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        if (emp_str_eq(models[i]->category, category) &&
            __builtin_add_overflow(bytes, models[i]->bytes, &bytes))
            return INT64_MAX;
    return bytes;
}

struct emp_str emp_pool_infer_specialty(const struct emp_model *const *models, uint32_t count)
{
    struct emp_str best = {0};
    int64_t best_bytes = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (models[i]->category.len == 0)
            continue;
        int64_t bytes = bytes_of(models, count, models[i]->category);
        if (bytes > best_bytes) {
            best = models[i]->category;
            best_bytes = bytes;
        }
    }
    return best;
}

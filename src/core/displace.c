/* What a job would push out on a machine, as waiting of later jobs: copies that leave the disk for
 * its downloads, and models that leave GPU memory, and RAM, when its own are loaded. Each is priced
 * at what it takes to have it back, times the chance that somebody asks for it within the hour.
 *
 * Which copies leave memory is the machine's choice, least recently used first; here it is foreseen
 * by the broker's own record of uses. */
#include "core/internal.h"

#include <stdlib.h>

enum { FRESH_MS = 10000 }; /* an order by worth stands so long, if nothing else changes */

static double regret_s(const struct emp_core *c, const struct copy *copy, double seconds)
{
    return emp_evict_regret(emp_heat_per_hour(&copy->heat, c->now.mono), seconds);
}

static int64_t milliseconds(double s)
{
    return s > 1e9 ? 1000000000000 : (int64_t)(s * 1000);
}

/* ---- in which order they would leave ---- */

struct sortable {
    double key; /* the least leaves first */
    uint32_t model, index;
};

static int by_key(const void *a, const void *b)
{
    const struct sortable *x = a, *y = b;
    if (x->key < y->key || x->key > y->key)
        return x->key < y->key ? -1 : 1;
    return x->model < y->model ? -1 : x->model > y->model;
}

/* Of the copies that stand at least so high, by `key`. */
static void order(struct emp_core *c, struct machine *m, struct leaving *l,
                  enum emp_residency least,
                  double (*key)(const struct emp_core *c, const struct machine *m,
                                const struct copy *copy))
{
    if (l->version == m->copies_version && c->now.mono - l->at < FRESH_MS)
        return;
    struct sortable *list = emp_arena_array(&c->scratch, struct sortable, m->copy_count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->copy_count; i++)
        if (m->copies[i].residency >= least)
            list[n++] = (struct sortable){key(c, m, &m->copies[i]), m->copies[i].model, i};
    qsort(list, n, sizeof *list, by_key);
    if (n > l->cap) {
        l->copies = emp_arena_realloc(&c->arena, l->copies, l->cap * sizeof *l->copies,
                                      m->copy_cap * sizeof *l->copies);
        l->cap = m->copy_cap;
    }
    for (uint32_t i = 0; i < n; i++)
        l->copies[i] = list[i].index;
    l->count = n;
    l->version = m->copies_version;
    l->at = c->now.mono;
}

static double last_use(const struct emp_core *c, const struct machine *m, const struct copy *copy)
{
    (void)c;
    (void)m;
    return (double)copy->last_use;
}

static int64_t link_rate(const struct emp_core *c, const struct machine *m)
{
    return m->link_rate > 0 ? m->link_rate : c->settings->routing.link_bytes_per_s;
}

/* What is priced is seconds: a pool's leaning would distort them. */
static double worth_per_byte(const struct emp_core *c, const struct machine *m,
                             const struct copy *copy)
{
    const struct emp_evict_copy x = {.bytes = copy->bytes,
                                     .uses = copy->uses,
                                     .idle_ms = c->now.mono - copy->last_use,
                                     .seconds_saved = -1};
    return copy->bytes > 0 ? emp_evict_worth(&x, link_rate(c, m), 0) / (double)copy->bytes : 0;
}

/* ---- disk ---- */

int64_t emp_core_displaced_disk_ms(struct emp_core *c, struct machine *m, int64_t need)
{
    double regret = 0;
    if (need <= 0)
        return 0;
    order(c, m, &m->disk_leaves, EMP_RESIDENCY_DISK, worth_per_byte);
    for (uint32_t i = 0; i < m->disk_leaves.count && need > 0; i++) {
        const struct copy *victim = &m->copies[m->disk_leaves.copies[i]];
        if (victim->in_use)
            continue;
        regret += regret_s(c, victim, (double)victim->bytes / (double)link_rate(c, m));
        need -= victim->bytes;
    }
    return milliseconds(regret);
}

/* ---- memory ---- */

static bool wants(const struct class *k, uint32_t model)
{
    for (uint32_t i = 0; i < k->spec.model_count; i++)
        if (k->models[i] == model)
            return true;
    return false;
}

static double load_s(struct emp_core *c, const struct copy *copy, enum emp_residency from)
{
    return emp_core_load_s(c, emp_core_model_entry(c, copy->model), copy->bytes, from);
}

/* Out of GPU memory: it must be loaded again, from RAM where that keeps it. Out of RAM: what is in
 * neither then comes from the disk, which takes that much longer. */
int64_t emp_core_displaced_memory_ms(struct emp_core *c, const struct class *k, struct machine *m,
                                     int64_t load_bytes, int64_t ram_bytes)
{
    const struct emp_machine_facts *f = &m->facts;
    double regret = 0;
    if (f->gpu_budget_bytes <= 0 || load_bytes <= 0)
        return 0;
    int64_t over_gpu = m->gpu_bytes + load_bytes - f->gpu_budget_bytes, over_ram = 0;
    if (f->ram_budget_bytes > 0 && load_bytes > ram_bytes)
        over_ram = m->ram_bytes + load_bytes - ram_bytes - f->ram_budget_bytes;
    if (over_gpu <= 0 && over_ram <= 0)
        return 0;
    enum emp_residency then = f->ram_budget_bytes > 0 ? EMP_RESIDENCY_RAM : EMP_RESIDENCY_DISK;
    order(c, m, &m->memory_leaves, EMP_RESIDENCY_RAM, last_use);
    for (uint32_t i = 0; i < m->memory_leaves.count && (over_gpu > 0 || over_ram > 0); i++) {
        const struct copy *victim = &m->copies[m->memory_leaves.copies[i]];
        double seconds = 0;
        if (wants(k, victim->model))
            continue;
        if (over_gpu > 0 && victim->residency == EMP_RESIDENCY_GPU) {
            seconds += load_s(c, victim, then);
            over_gpu -= victim->bytes;
        }
        if (over_ram > 0) {
            seconds += load_s(c, victim, EMP_RESIDENCY_DISK) - load_s(c, victim, EMP_RESIDENCY_RAM);
            over_ram -= victim->bytes;
        }
        regret += regret_s(c, victim, seconds);
    }
    return milliseconds(regret);
}

/* What a job would push out on a machine, as waiting of later jobs: copies that leave the disk for
 * its downloads, and models that leave GPU memory, and RAM, when its own are loaded. Each is priced
 * at what it takes to have it back, times the chance that somebody asks for it within the hour.
 *
 * Which copies leave memory is the machine's choice, least recently used first; here it is foreseen
 * by the broker's own record of uses. */
#include "core/internal.h"

#include <stdlib.h>

static struct emp_evict_copy as_evictable(const struct emp_core *c, const struct copy *copy)
{
    return (struct emp_evict_copy){
        .bytes = copy->bytes,
        .uses = copy->uses,
        .idle_ms = c->now.mono - copy->last_use,
        .seconds_saved = -1,
        .keep = copy->in_use || copy->residency == EMP_RESIDENCY_FETCHING,
    };
}

static double regret_s(const struct emp_core *c, const struct copy *copy, double seconds)
{
    struct emp_evict_copy x = as_evictable(c, copy);
    return emp_evict_regret(&x, seconds);
}

static int64_t milliseconds(double s)
{
    return s > 1e9 ? 1000000000000 : (int64_t)(s * 1000);
}

/* ---- disk ---- */

int64_t emp_core_displaced_disk_ms(struct emp_core *c, const struct machine *m, int64_t need)
{
    if (need <= 0 || m->copy_count == 0)
        return 0;
    struct emp_evict_copy *copies =
        emp_arena_array(&c->scratch, struct emp_evict_copy, m->copy_count);
    uint32_t *victims = emp_arena_array(&c->scratch, uint32_t, m->copy_count);
    for (uint32_t i = 0; i < m->copy_count; i++)
        copies[i] = as_evictable(c, &m->copies[i]);
    const double lean = 0; /* what is priced is seconds: a pool's leaning would distort them */
    int64_t link = m->link_rate ? m->link_rate : c->settings->routing.link_bytes_per_s;
    uint32_t n = emp_evict_choose(copies, m->copy_count, need, link, lean, victims);
    double regret = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct emp_evict_copy *victim = &copies[victims[i]];
        regret += emp_evict_regret(victim, (double)victim->bytes / (double)link);
    }
    return milliseconds(regret);
}

/* ---- memory ---- */

static double load_s(int64_t bytes, int64_t bytes_per_s)
{
    return bytes_per_s > 0 ? (double)bytes / (double)bytes_per_s : 0;
}

static int by_last_use(const void *a, const void *b)
{
    const struct copy *x = *(const struct copy *const *)a, *y = *(const struct copy *const *)b;
    if (x->last_use != y->last_use)
        return x->last_use < y->last_use ? -1 : 1;
    return x->model < y->model ? -1 : x->model > y->model;
}

static bool wants(const struct class *k, uint32_t model)
{
    for (uint32_t i = 0; i < k->spec.model_count; i++)
        if (k->models[i] == model)
            return true;
    return false;
}

/* Those that stand at least so high and are not the job's own, least recently used first. */
static uint32_t in_memory(struct emp_core *c, const struct class *k, const struct machine *m,
                          enum emp_residency least, const struct copy ***ret)
{
    uint32_t n = 0;
    *ret = emp_arena_array(&c->scratch, const struct copy *, m->copy_count);
    for (uint32_t i = 0; i < m->copy_count; i++)
        if (m->copies[i].residency >= least && !wants(k, m->copies[i].model))
            (*ret)[n++] = &m->copies[i];
    qsort(*ret, n, sizeof **ret, by_last_use);
    return n;
}

/* Out of GPU memory: it must be loaded again, from RAM where that keeps it. */
static double pushed_out_of_gpu(struct emp_core *c, const struct class *k, const struct machine *m,
                                int64_t over)
{
    const struct emp_settings_routing *s = &c->settings->routing;
    int64_t rate = m->facts.ram_budget_bytes > 0 ? s->ram_load_bytes_per_s : s->load_bytes_per_s;
    const struct copy **list;
    uint32_t n = over > 0 ? in_memory(c, k, m, EMP_RESIDENCY_GPU, &list) : 0;
    double regret = 0;
    for (uint32_t i = 0; i < n && over > 0; i++) {
        regret += regret_s(c, list[i], load_s(list[i]->bytes, rate));
        over -= list[i]->bytes;
    }
    return regret;
}

/* Out of RAM: what is in neither then comes from the disk, which takes that much longer. */
static double pushed_out_of_ram(struct emp_core *c, const struct class *k, const struct machine *m,
                                int64_t over)
{
    const struct emp_settings_routing *s = &c->settings->routing;
    const struct copy **list;
    uint32_t n = over > 0 ? in_memory(c, k, m, EMP_RESIDENCY_RAM, &list) : 0;
    double regret = 0;
    for (uint32_t i = 0; i < n && over > 0; i++) {
        double longer = load_s(list[i]->bytes, s->load_bytes_per_s) -
                        load_s(list[i]->bytes, s->ram_load_bytes_per_s);
        regret += regret_s(c, list[i], longer);
        over -= list[i]->bytes;
    }
    return regret;
}

int64_t emp_core_displaced_memory_ms(struct emp_core *c, const struct class *k,
                                     const struct machine *m, int64_t load_bytes, int64_t ram_bytes)
{
    if (m->facts.gpu_budget_bytes <= 0 || load_bytes <= 0)
        return 0;
    double regret =
        pushed_out_of_gpu(c, k, m, m->gpu_bytes + load_bytes - m->facts.gpu_budget_bytes);
    int64_t from_disk = load_bytes - ram_bytes;
    if (m->facts.ram_budget_bytes > 0 && from_disk > 0)
        regret += pushed_out_of_ram(c, k, m, m->ram_bytes + from_disk - m->facts.ram_budget_bytes);
    return milliseconds(regret);
}

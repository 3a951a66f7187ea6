/* Spare copies. The next jobs for a model go where it is warm, and wait when all of these machines
 * are busy. So when the last idle one is taken, or a job is held for a busy one, another idle
 * machine may be told to make the model ready: without a forecast, by what its jobs found lately
 * and how busy its machines are.
 *
 * It goes with the machine's plan, so that it is done in idle time and gives way to any job. One
 * machine at a time is made ready for a model, and one model on a machine, which then keeps it for
 * some minutes: else two models would push each other out in turn. The job that gave cause does not
 * pay: it runs, or waits, where that is best for itself. */
#include "core/internal.h"

#include <math.h>

/* ---- crowding: what the next jobs are to expect ---- */

struct crowd {
    double all_busy;   /* chance that all machines where it is warm are */
    double found_none; /* share of its jobs that found all of them busy */
    uint32_t warm;     /* how many these are */
    double waiting_ms; /* of an hour's uses, were they so always */
};

/* The one that decides where its jobs go: the largest of those that stand for themselves. */
static struct model_entry *key_model(struct emp_core *c, const struct class *k)
{
    struct model_entry *key = NULL;
    for (uint32_t i = 0; i < k->spec.model_count; i++) {
        struct model_entry *e = emp_core_model_entry(c, k->models[i]);
        if (key == NULL || (key->modifies && !e->modifies) ||
            (key->modifies == e->modifies && e->model.bytes > key->model.bytes))
            key = e;
    }
    return key;
}

/* After the job at hand has taken a slot of `taken`. */
static bool warm_and_idle(const struct emp_core *c, const struct model_entry *key,
                          const struct machine *taken)
{
    for (uint32_t i = 0; i < key->warm_count; i++) {
        const struct machine *m = key->warm[i];
        if (emp_machine_usable(c, m) && m->busy + (m == taken) < m->facts.slots)
            return true;
    }
    return false;
}

/* Was there a machine that had its model and time? Jobs come in bursts, so that what they find is
 * not what machines' shares of busy time multiply to. */
void emp_spare_note(struct emp_core *c, const struct class *k)
{
    enum { MEMORY = 32 };
    struct model_entry *key = key_model(c, k);
    if (key && key->warm_count)
        key->found_none += ((warm_and_idle(c, key, NULL) ? 0 : 1) - key->found_none) / MEMORY;
}

/* The chance that none of its slots is free: as if each were taken on its own. */
static double all_slots_busy(const struct emp_core *c, const struct machine *m)
{
    const double least = 0.01; /* nobody is free for sure */
    double share = emp_busy_mean(&m->busy_share, c->now.mono);
    return pow(share > least ? share : least, m->facts.slots ? m->facts.slots : 1);
}

static void crowd_init(const struct emp_core *c, const struct class *k,
                       const struct model_entry *key, struct crowd *ret)
{
    const double at_most = 600; /* an hour's: beyond that it is no longer any one machine's doing */
    double uses = emp_heat_per_hour(&key->heat, c->now.mono);
    *ret = (struct crowd){.all_busy = 1};
    ret->waiting_ms = (uses < at_most ? uses : at_most) * (double)k->mean_ms;
    for (uint32_t i = 0; i < key->warm_count; i++) {
        if (!key->warm[i]->link)
            continue;
        ret->all_busy *= all_slots_busy(c, key->warm[i]);
        ret->warm++;
    }
    ret->found_none = ret->warm ? key->found_none : 1;
}

/* Expected waiting of the next hour's jobs; `more`: the chance that a further machine is busy, 1
 * without one. Of two reckonings the worse: by what machines are busy, and by what jobs of this
 * model have found lately. */
static int64_t crowd_ms(const struct crowd *w, double more)
{
    double all_busy = w->all_busy * more;
    double found_none = w->found_none * (1 - (1 - more) / (w->warm + 1));
    return (int64_t)(w->waiting_ms * (all_busy > found_none ? all_busy : found_none));
}

/* ---- the spare ---- */

static bool has_warm(const struct machine *m, uint32_t model)
{
    const struct copy *copy = emp_machine_copy(m, model);
    return copy && copy->warm;
}

static bool is_coming(const struct emp_core *c, uint32_t model)
{
    for (size_t i = 0; i < c->all_count; i++)
        if (c->all[i]->spare.count && c->all[i]->spare.key == model && !has_warm(c->all[i], model))
            return true;
    return false;
}

static bool may_have_spares(const struct emp_core *c, const struct candidate *x)
{
    const struct machine *m = x->machine;
    bool reactive = m->pool != (uint32_t)EMP_POOL_NONE && c->settings->pools[m->pool].reactive;
    return x->terms.slot_free == 0 && !x->too_short && !reactive && m->spare.count == 0;
}

static void make_ready(struct emp_core *c, const struct class *k, uint32_t key,
                       const struct candidate *x, int64_t worth_us)
{
    enum { KEPT_MS = 300000 };
    struct machine *m = x->machine;
    int64_t ready_ms = (x->terms.fetch + x->terms.load) / 1000;
    m->spare = (struct spare){
        .count = k->spec.model_count,
        .key = key,
        .residency = m->facts.gpu_budget_bytes > 0 ? EMP_RESIDENCY_GPU : EMP_RESIDENCY_DISK,
        .until = c->now.mono + ready_ms + ready_ms / 2 + KEPT_MS,
        .seconds_saved = (double)worth_us / 1e6,
    };
    memcpy(m->spare.models, k->models, k->spec.model_count * sizeof *k->models);
    emp_plan_send(c, m);
    c->stats.spares++;
}

void emp_spare_consider(struct emp_core *c, const struct class *k, const struct verdict *v,
                        const struct machine *taken)
{
    const struct emp_settings_routing *s = &c->settings->routing;
    struct model_entry *key = key_model(c, k);
    const struct candidate *best = NULL;
    int64_t worth_us = 0;
    if (!c->policy->spares || s->spare_weight <= 0 || key == NULL ||
        k->spec.model_count > SPARE_MODELS_MAX || warm_and_idle(c, key, taken) ||
        is_coming(c, key->name))
        return;
    struct crowd crowd;
    crowd_init(c, k, key, &crowd);
    for (uint32_t i = 0; i < v->count; i++) {
        const struct candidate *x = &v->candidates[i];
        if (x->machine == taken || !may_have_spares(c, x) || has_warm(x->machine, key->name))
            continue;
        int64_t us = emp_route_spare(s, &x->terms, crowd_ms(&crowd, 1),
                                     crowd_ms(&crowd, all_slots_busy(c, x->machine)));
        if (us > worth_us) {
            worth_us = us;
            best = x;
        }
    }
    if (best)
        make_ready(c, k, key->name, best, worth_us);
}

void emp_spare_settle(struct emp_core *c, struct machine *m)
{
    if (m->spare.count == 0 || c->now.mono < m->spare.until)
        return;
    m->spare = (struct spare){0};
    emp_plan_send(c, m);
}

/* What a machine may do now. Jobs come first in everything: their fetches own the link, their
 * preparation owns the loader. */
#include "policy/place.h"

struct next {
    const struct emp_place_input *in;
    const struct emp_place_plan *plan;
    const struct emp_place_now *now;
    struct emp_place_step *steps;
    uint32_t count, max;
    uint32_t fetching; /* planned fetches that run on or start */
    int64_t free;
    bool loading;
};

static const struct emp_place_now_copy *copy_of(const struct emp_place_now *now, uint32_t model)
{
    for (uint32_t i = 0; i < now->copy_count; i++)
        if (now->copies[i].model == model)
            return &now->copies[i];
    return NULL;
}

static void add(struct next *n, uint32_t move, uint32_t model, enum emp_place_kind kind,
                enum emp_residency tier)
{
    if (n->count < n->max)
        n->steps[n->count++] =
            (struct emp_place_step){.model = model, .kind = kind, .tier = tier, .move = move};
}

static bool is_urgent(const struct next *n, uint32_t model)
{
    for (uint32_t i = 0; i < n->plan->move_count && n->plan->moves[i].urgent; i++) // they lead
        if (n->plan->moves[i].machine == n->now->machine && n->plan->moves[i].model == model)
            return true;
    return false;
}

static bool nearly_done(const struct emp_place_now *now, const struct emp_place_now_copy *c)
{
    return now->link_bytes_per_s > 0 && c->bytes_left / now->link_bytes_per_s < EMP_PLACE_NEARLY_S;
}

static uint32_t cancelling_move(const struct next *n, uint32_t model)
{
    for (uint32_t i = 0; i < n->plan->move_count; i++) {
        const struct emp_place_move *m = &n->plan->moves[i];
        if (m->machine == n->now->machine && m->model == model && m->kind == EMP_PLACE_CANCEL)
            return i;
    }
    return EMP_PLACE_NONE;
}

static void cancel(struct next *n)
{
    for (uint32_t i = 0; i < n->now->copy_count; i++) {
        const struct emp_place_now_copy *c = &n->now->copies[i];
        n->loading |= c->loading;
        if (c->residency != EMP_RESIDENCY_FETCHING || !c->planned || c->in_use)
            continue;
        const struct emp_place_want *w = emp_place_find(n->plan, n->now->machine, c->model);
        bool wanted = w && w->tier != EMP_RESIDENCY_NONE;
        bool in_the_way = n->now->job_fetches > 0 && !is_urgent(n, c->model);
        if (wanted && (!in_the_way || nearly_done(n->now, c))) {
            n->fetching++;
            continue;
        }
        add(n, wanted ? EMP_PLACE_NONE : cancelling_move(n, c->model), c->model, EMP_PLACE_CANCEL,
            EMP_RESIDENCY_NONE);
    }
}

/* Has this step list an entry that lets the model go? */
static bool let_go(const struct next *n, uint32_t model)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (n->steps[i].model == model && n->steps[i].kind == EMP_PLACE_DROP)
            return true;
    return false;
}

static bool may_delete(const struct next *n, const struct emp_place_move *d)
{
    if (d->kind != EMP_PLACE_DROP || d->machine != n->now->machine ||
        d->tier != EMP_RESIDENCY_NONE || let_go(n, d->model))
        return false;
    const struct emp_place_now_copy *c = copy_of(n->now, d->model);
    return c && c->residency >= EMP_RESIDENCY_DISK && !c->in_use && !c->loading;
}

/* Drops for a fetch: its own ones first, then those of others, until it fits. */
static bool make_room(struct next *n, uint32_t move)
{
    uint32_t mark = n->count;
    int64_t before = n->free, need = n->plan->moves[move].bytes;
    for (int own = 1; own >= 0 && n->free < need; own--)
        for (uint32_t i = 0; i < n->plan->move_count && n->free < need; i++) {
            const struct emp_place_move *d = &n->plan->moves[i];
            if ((d->after == move) != (own == 1) || !may_delete(n, d))
                continue;
            add(n, i, d->model, EMP_PLACE_DROP, EMP_RESIDENCY_NONE);
            n->free += d->bytes;
        }
    if (n->free >= need && n->count < n->max)
        return true;
    n->count = mark;
    n->free = before;
    return false;
}

static void fetch(struct next *n, uint32_t move)
{
    const struct emp_place_move *m = &n->plan->moves[move];
    uint32_t at_once = n->now->fetches_max ? n->now->fetches_max : 1;
    if (copy_of(n->now, m->model) && copy_of(n->now, m->model)->residency != EMP_RESIDENCY_NONE)
        return;
    if (!m->urgent && (n->now->job_fetches > 0 || n->fetching >= at_once))
        return;
    if (!make_room(n, move))
        return;
    add(n, move, m->model, EMP_PLACE_FETCH, EMP_RESIDENCY_DISK);
    n->free -= m->bytes;
    n->fetching++;
}

static void load(struct next *n, uint32_t move)
{
    const struct emp_place_move *m = &n->plan->moves[move];
    const struct emp_place_now_copy *c = copy_of(n->now, m->model);
    if (n->loading || n->now->slots_free == 0 || n->now->jobs_preparing > 0 || c == NULL ||
        c->residency < EMP_RESIDENCY_DISK || c->residency >= m->tier || c->in_use ||
        let_go(n, m->model))
        return;
    uint32_t mark = n->count;
    for (uint32_t i = 0; i < n->plan->move_count; i++) {
        const struct emp_place_move *d = &n->plan->moves[i];
        if (d->kind != EMP_PLACE_DROP || d->after != move || d->tier == EMP_RESIDENCY_NONE)
            continue;
        const struct emp_place_now_copy *other = copy_of(n->now, d->model);
        if (other && other->residency > d->tier && !other->in_use && !let_go(n, d->model))
            add(n, i, d->model, EMP_PLACE_DROP, d->tier);
    }
    if (n->count == n->max) {
        n->count = mark;
        return;
    }
    add(n, move, m->model, EMP_PLACE_LOAD, m->tier);
    n->loading = true;
}

uint32_t emp_place_next_moves(const struct emp_place_input *in, const struct emp_place_plan *plan,
                              const struct emp_place_now *now, struct emp_place_step *steps,
                              uint32_t max)
{
    struct next n = {.in = in,
                     .plan = plan,
                     .now = now,
                     .steps = steps,
                     .max = max,
                     .free = now->disk_free_bytes};
    cancel(&n);
    if (now->machine >= in->machine_count || !in->machines[now->machine].serves ||
        !in->machines[now->machine].moves)
        return n.count;
    for (uint32_t i = 0; i < plan->move_count; i++) {
        if (plan->moves[i].machine != now->machine)
            continue;
        if (plan->moves[i].kind == EMP_PLACE_FETCH)
            fetch(&n, i);
        else if (plan->moves[i].kind == EMP_PLACE_LOAD)
            load(&n, i);
    }
    return n.count;
}

/* The plan written out: wants, moves, and the sentence that explains one. */
#include "policy/place_internal.h"

#include <stdlib.h>
#include <string.h>

const char *emp_place_kind_word(enum emp_place_kind k)
{
    switch (k) {
    case EMP_PLACE_FETCH:
        return "fetch";
    case EMP_PLACE_LOAD:
        return "load";
    case EMP_PLACE_DROP:
        return "drop";
    case EMP_PLACE_CANCEL:
        return "cancel";
    }
    return "?";
}

static enum emp_residency residency_of(uint8_t tier)
{
    static const enum emp_residency of[] = {EMP_RESIDENCY_NONE, EMP_RESIDENCY_DISK,
                                            EMP_RESIDENCY_RAM, EMP_RESIDENCY_GPU};
    return of[tier];
}

static enum emp_residency present_of(const struct place *p, size_t cell)
{
    return p->flags[cell] & COPY_FETCHING ? EMP_RESIDENCY_FETCHING : residency_of(p->present[cell]);
}

/* ---- wants ---- */

/* Expected jobs per hour, by model and scope. */
static double *count_uses(const struct place *p)
{
    double *uses = emp_arena_array(p->arena, double, (size_t)p->models * p->scope_count);
    for (uint32_t i = 0; i < p->real_count; i++) {
        const struct place_set *s = &p->sets[i];
        const struct emp_place_demand *d = &p->in->demands[s->demand];
        double far = place_bounded(d->uses_far, 0, 1e9), near = place_bounded(d->uses_near, 0, 1e9);
        double jobs = ((far > near ? far : near) + d->waiting) / p->s.far_h;
        for (uint32_t k = 0; k < s->model_count; k++)
            uses[(size_t)s->models[k] * p->scope_count + s->scope] += jobs;
    }
    return uses;
}

static double value_of_copy(struct place *p, uint32_t machine, uint32_t model, uint8_t without)
{
    double gain = place_value_gain(p, machine, &(struct place_change){model, without}, 1);
    return gain < 0 ? -gain : 0;
}

static struct emp_place_want want_of(const struct place *p, uint32_t machine, uint32_t model,
                                     const double *uses)
{
    size_t cell = place_cell(p, machine, model);
    struct emp_place_want w = {.machine = machine,
                               .model = model,
                               .tier = residency_of(p->tier[cell]),
                               .present = present_of(p, cell)};
    if (p->in->machines[machine].serves)
        w.move_s = place_price(p, machine, model, p->tier[cell], false);
    for (uint32_t i = 0; i < p->scope_count; i++)
        if (p->scopes[i].has[machine])
            w.uses_per_hour += uses[(size_t)model * p->scope_count + i];
    return w;
}

/* Machines of one pool and region share a number. */
static uint32_t *group_machines(const struct place *p)
{
    uint32_t *group = emp_arena_array(p->arena, uint32_t, p->machines), next = 0;
    struct emp_map seen;
    emp_map_init(&seen, p->arena);
    for (uint32_t i = 0; i < p->machines; i++) {
        const struct emp_place_machine *m = &p->in->machines[i];
        uint64_t key = ((uint64_t)m->pool << 32 | m->region) + 1;
        key += key == 0;
        if (!emp_map_get(&seen, key, &group[i])) {
            group[i] = next++;
            emp_map_put(&seen, key, group[i]);
        }
    }
    return group;
}

static void write_wants(struct place *p, struct emp_place_plan *ret, uint32_t *from)
{
    const double *uses = count_uses(p);
    uint32_t cap = 0;
    for (uint32_t m = 0; m < p->machines; m++) {
        for (uint32_t o = 0; o < p->models; o++) {
            size_t cell = place_cell(p, m, o);
            if ((p->tier[cell] | p->present[cell]) == TIER_NONE)
                continue;
            emp_arena_reserve(p->arena, ret->wants, ret->want_count, cap);
            ret->wants[ret->want_count++] = want_of(p, m, o, uses);
        }
        from[m + 1] = ret->want_count;
    }
}

struct worths {
    struct emp_place_want *wants;
    const uint32_t *from;
    double hours;
};

static void add_worth(void *ctx, uint32_t machine, uint32_t model, double loss)
{
    const struct worths *w = ctx;
    uint32_t low = w->from[machine], high = w->from[machine + 1];
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (w->wants[mid].model < model)
            low = mid + 1;
        else
            high = mid;
    }
    if (loss > 0)
        w->wants[low].worth += loss / w->hours; // it has a want: it holds the model
}

/* Their numbers among the replicas of a pool and region, by machine. */
static void number_replicas(struct place *p, struct emp_place_plan *ret)
{
    uint32_t *group = group_machines(p);
    struct emp_map last;
    emp_map_init(&last, p->arena);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < ret->want_count; i++) {
            struct emp_place_want *w = &ret->wants[i];
            uint64_t key = ((uint64_t)group[w->machine] << 32 | w->model) + 1;
            if (w->tier == EMP_RESIDENCY_NONE || !p->in->machines[w->machine].serves)
                continue;
            if (pass == 1) {
                emp_map_get(&last, key, &w->replicas);
                continue;
            }
            emp_map_get(&last, key, &w->replica);
            emp_map_put(&last, key, ++w->replica);
        }
}

const struct emp_place_want *emp_place_find(const struct emp_place_plan *plan, uint32_t machine,
                                            uint32_t model)
{
    uint32_t low = 0, high = plan->want_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct emp_place_want *w = &plan->wants[mid];
        if (w->machine == machine && w->model == model)
            return w;
        if (w->machine < machine || (w->machine == machine && w->model < model))
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* ---- moves ---- */

static void name_demand(const struct place *p, struct emp_place_move *m)
{
    double most = 0;
    m->demand = EMP_PLACE_NONE;
    for (uint32_t j = p->sets_from[m->model]; j < p->sets_from[m->model + 1]; j++) {
        if (p->sets_by_model[j].set >= p->real_count)
            return;
        const struct place_set *s = &p->sets[p->sets_by_model[j].set];
        double weight = s->weight[WINDOW_NEAR] + s->weight[WINDOW_FAR];
        if (!p->scopes[s->scope].has[m->machine] || weight <= most)
            continue;
        most = weight;
        m->demand = s->demand;
        m->confidence = place_bounded(p->in->demands[s->demand].confidence, 0, 1);
    }
}

static struct emp_place_move *add_move(struct place *p, struct emp_place_plan *ret, uint32_t *cap,
                                       uint32_t machine, uint32_t model, enum emp_place_kind kind)
{
    emp_arena_reserve(p->arena, ret->moves, ret->move_count, *cap);
    struct emp_place_move *m = &ret->moves[ret->move_count++];
    *m = (struct emp_place_move){.machine = machine,
                                 .model = model,
                                 .kind = kind,
                                 .bytes = p->bytes[model],
                                 .after = EMP_PLACE_NONE};
    name_demand(p, m);
    return m;
}

/* What a want gains by being moved up from where it stands. */
static void add_raise(struct place *p, struct emp_place_plan *ret, uint32_t *cap,
                      const struct emp_place_want *w)
{
    size_t cell = place_cell(p, w->machine, w->model);
    uint8_t tier = p->tier[cell], present = p->present[cell];
    double gain = value_of_copy(p, w->machine, w->model, present) - w->move_s;
    if (present == TIER_NONE) {
        struct emp_place_move *m = add_move(p, ret, cap, w->machine, w->model, EMP_PLACE_FETCH);
        m->tier = EMP_RESIDENCY_DISK;
        m->seconds = (double)m->bytes * p->machine[w->machine].link_s;
        m->gain = gain;
        m->urgent = p->flags[cell] & COPY_URGENT;
    }
    if (tier > TIER_DISK) {
        uint8_t from = present == TIER_NONE ? TIER_DISK : present;
        struct emp_place_move *m = add_move(p, ret, cap, w->machine, w->model, EMP_PLACE_LOAD);
        m->tier = w->tier;
        m->seconds = place_load_s(p, w->machine, w->model, from, tier);
        m->gain = gain;
        m->urgent = p->flags[cell] & COPY_URGENT;
    }
}

static int by_gain(const void *a, const void *b)
{
    const struct emp_place_move *x = a, *y = b;
    if (x->urgent != y->urgent)
        return x->urgent ? -1 : 1;
    if (x->gain < y->gain || x->gain > y->gain)
        return x->gain > y->gain ? -1 : 1;
    if (x->machine != y->machine)
        return x->machine < y->machine ? -1 : 1;
    if (x->model != y->model)
        return x->model < y->model ? -1 : 1;
    return (x->kind > y->kind) - (x->kind < y->kind);
}

struct releases {
    bool *written;               /* by want */
    const uint32_t *from;        /* first want of a machine */
    int64_t (*room)[TIER_COUNT]; /* by machine, now */
};

static void add_release(struct place *p, struct emp_place_plan *ret, uint32_t *cap,
                        struct releases *r, uint32_t want, uint32_t after)
{
    const struct emp_place_want *w = &ret->wants[want];
    size_t cell = place_cell(p, w->machine, w->model);
    uint8_t tier = p->tier[cell], present = p->present[cell];
    int64_t *room = r->room[w->machine];
    r->written[want] = true;
    if (tier == TIER_NONE)
        room[TIER_DISK] += p->bytes[w->model];
    if (present > TIER_DISK)
        room[present] += p->bytes[w->model];
    double gain = place_value_gain(p, w->machine, &(struct place_change){w->model, present}, 1);
    bool cancel = (p->flags[cell] & COPY_FETCHING) && tier == TIER_NONE;
    struct emp_place_move *m =
        add_move(p, ret, cap, w->machine, w->model, cancel ? EMP_PLACE_CANCEL : EMP_PLACE_DROP);
    m->tier = residency_of(tier);
    m->gain = gain > 0 ? -gain : 0;
    m->after = after;
}

/* Gives each move on its machine the releases that make its room. all: whatever is left. */
static void add_releases_for(struct place *p, struct emp_place_plan *ret, uint32_t *cap,
                             struct releases *r, uint32_t move, bool all)
{
    uint32_t machine = ret->moves[move].machine;
    uint8_t needs = ret->moves[move].kind == EMP_PLACE_FETCH     ? TIER_DISK
                    : ret->moves[move].tier == EMP_RESIDENCY_GPU ? TIER_GPU
                                                                 : TIER_RAM;
    int64_t *room = r->room[machine];
    if (!all)
        room[needs] -= ret->moves[move].bytes;
    for (uint32_t i = r->from[machine]; i < r->from[machine + 1]; i++) {
        const struct emp_place_want *w = &ret->wants[i];
        size_t cell = place_cell(p, machine, w->model);
        if (r->written[i] || p->tier[cell] >= p->present[cell])
            continue;
        bool helps = needs == TIER_DISK ? p->tier[cell] == TIER_NONE : p->present[cell] == needs;
        if (all || (helps && room[needs] < 0))
            add_release(p, ret, cap, r, i, move);
    }
}

static void write_releases(struct place *p, struct emp_place_plan *ret, uint32_t *cap,
                           const uint32_t *from)
{
    uint32_t raises = ret->move_count;
    struct releases r = {.from = from,
                         .written = emp_arena_array(p->arena, bool, ret->want_count),
                         .room = emp_arena_alloc_many(p->arena, p->machines, sizeof *r.room)};
    for (uint32_t m = 0; m < p->machines; m++)
        for (int t = TIER_DISK; t < TIER_COUNT; t++)
            r.room[m][t] = p->machine[m].budget[t];
    for (uint32_t i = 0; i < ret->want_count; i++) {
        const struct emp_place_want *w = &ret->wants[i];
        uint8_t present = p->present[place_cell(p, w->machine, w->model)];
        r.room[w->machine][TIER_DISK] -= present != TIER_NONE ? p->bytes[w->model] : 0;
        if (present > TIER_DISK)
            r.room[w->machine][present] -= p->bytes[w->model];
    }
    for (uint32_t i = 0; i < raises; i++)
        add_releases_for(p, ret, cap, &r, i, false);
    for (uint32_t i = 0; i < raises; i++)
        add_releases_for(p, ret, cap, &r, i, true);
    for (uint32_t i = 0; i < ret->want_count; i++) { // cancelled, for nothing else
        const struct emp_place_want *w = &ret->wants[i];
        size_t cell = place_cell(p, w->machine, w->model);
        if (!r.written[i] && p->tier[cell] < p->present[cell])
            add_release(p, ret, cap, &r, i, EMP_PLACE_NONE);
    }
}

static void write_moves(struct place *p, struct emp_place_plan *ret, const uint32_t *from)
{
    uint32_t cap = 0;
    for (uint32_t i = 0; i < ret->want_count; i++) {
        const struct emp_place_want *w = &ret->wants[i];
        size_t cell = place_cell(p, w->machine, w->model);
        ret->price += p->tier[cell] > p->present[cell] ? w->move_s : 0;
        if (p->tier[cell] > p->present[cell])
            add_raise(p, ret, &cap, w);
    }
    if (ret->move_count > 0)
        qsort(ret->moves, ret->move_count, sizeof *ret->moves, by_gain);
    for (uint32_t i = 1; i < ret->move_count; i++) { // a fetch and its load stand together
        struct emp_place_move *m = &ret->moves[i], *before = m - 1;
        if (m->kind == EMP_PLACE_LOAD && before->kind == EMP_PLACE_FETCH &&
            before->machine == m->machine && before->model == m->model)
            m->after = i - 1;
    }
    write_releases(p, ret, &cap, from);
}

void place_write(struct place *p, struct emp_place_plan *ret)
{
    uint32_t *from = emp_arena_array(p->arena, uint32_t, (size_t)p->machines + 1);
    ret->value = place_value_total(p);
    write_wants(p, ret, from);
    struct worths worths = {ret->wants, from, p->s.far_h};
    for (uint32_t i = 0; i < p->real_count; i++)
        place_value_losses(p, &p->sets[i], TIER_NONE, add_worth, &worths);
    number_replicas(p, ret);
    write_moves(p, ret, from);
    ret->evaluations = p->evaluations > UINT32_MAX ? UINT32_MAX : (uint32_t)p->evaluations;
}

/* ---- in words ---- */

const char *emp_place_explain(struct emp_arena *arena, const struct emp_place_input *in,
                              const struct emp_place_plan *plan, const struct emp_place_want *w)
{
    const struct emp_place_settings *s = in->settings ? in->settings : emp_place_settings_default();
    const struct emp_place_move *move = NULL;
    for (uint32_t i = 0; i < plan->move_count && move == NULL; i++)
        if (plan->moves[i].machine == w->machine && plan->moves[i].model == w->model)
            move = &plan->moves[i];
    if (!in->machines[w->machine].serves)
        return emp_arena_printf(arena, "stays as it is: the machine takes no jobs");
    if (w->tier == EMP_RESIDENCY_NONE) {
        if (move && move->kind == EMP_PLACE_CANCEL)
            return emp_arena_printf(arena,
                                    "its fetch is cancelled: %.2f uses per hour expected "
                                    "here do not pay for the rest of it",
                                    w->uses_per_hour);
        return emp_arena_printf(arena,
                                "leaves to make room: %.2f uses per hour expected here, its going "
                                "costs %.1f s of waiting in %.0f h",
                                w->uses_per_hour, move ? -move->gain : 0, s->far_h);
    }
    const char *does = !move                           ? "stays"
                       : move->kind == EMP_PLACE_FETCH ? "is fetched"
                       : move->kind == EMP_PLACE_LOAD  ? "is loaded"
                                                       : "leaves memory";
    return emp_arena_printf(
        arena,
        "%s (%s): %.2f uses per hour expected here, copy %u of %u for its pool and region saves "
        "%.1f s of waiting per hour%s%s",
        does, emp_residency_word(w->tier), w->uses_per_hour, w->replica, w->replicas, w->worth,
        move && move->urgent ? "; urgent: jobs wait for it and it stands nowhere" : "",
        w->move_s > 0 ? emp_arena_printf(arena, "; bringing it costs %.1f s", w->move_s) : "");
}

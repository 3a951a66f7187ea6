/* What was learned, into rows for the store and back: run times of each class (run/KEY), what they
 * hang on (duration/N), how long models and kinds of models load (load/NAME, kind/NAME), how fast
 * machines are (speed/ID), how far off times were that were told (eta/N). What changed is written
 * every five seconds, all of one turn together, so that a broker that dies loses that much at most.
 * Rows are as many as what they tell of: that of a model goes with its catalogue entry, that of a
 * machine when it is forgotten; of models that machines brought with them none is kept. */
#include "core/internal.h"

#include "base/bytes.h"

#include <math.h>
#include <stdlib.h>

enum { RATE_BYTES = 12, KINDS_KEPT = 256 };

static void row_put(struct emp_core *c, const char *prefix, struct emp_str name, const void *bytes,
                    uint32_t length)
{
    struct emp_action *a = emp_core_act(c, EMP_ACTION_PERSIST);
    a->change.kind = EMP_CHANGE_LEARNED;
    a->change.learned.key =
        emp_str_z(emp_arena_printf(c->out->arena, "%s/%.*s", prefix, EMP_STR_FMT(name)));
    a->change.learned.bytes = bytes;
    a->change.learned.length = length;
}

/* ---- rates: value as IEEE 754 double, count; little-endian ---- */

static void rates_put(struct emp_core *c, const char *prefix, uint32_t name,
                      const struct emp_rate *rates, uint32_t n)
{
    unsigned char *bytes = emp_arena_alloc(c->out->arena, (size_t)n * RATE_BYTES), *at = bytes;
    for (uint32_t i = 0; i < n; i++)
        at = emp_bytes_put(emp_bytes_put_double(at, rates[i].value), rates[i].n, 4);
    row_put(c, prefix, emp_core_name(c, name), bytes, n * RATE_BYTES);
}

/* Leaves them as they are where the bytes are not of `n` rates. */
static void rates_get(const struct emp_change_learned *l, struct emp_rate *rates, uint32_t n)
{
    const unsigned char *at = l->bytes;
    for (uint32_t i = 0; i < n && l->length == n * RATE_BYTES; i++) {
        struct emp_rate r = {.value = emp_bytes_get_double(&at)};
        r.n = (uint32_t)emp_bytes_get(&at, 4);
        if (isfinite(r.value) && r.value >= 0)
            rates[i] = r;
    }
}

/* ---- saving ---- */

void emp_learned_changed(struct emp_core *c, struct emp_learned_mark *mark, enum emp_learned what,
                         uint32_t name)
{
    c->learned_dirty = true;
    if (mark->queued)
        return;
    mark->queued = true;
    emp_arena_reserve(&c->arena, c->learned, c->learned_count, c->learned_cap);
    c->learned[c->learned_count++] = (struct emp_learned_item){what, name};
}

static void save_run(struct emp_core *c, uint32_t number)
{
    struct estimate_entry *e = emp_slab_at(&c->estimates, number);
    unsigned char *bytes = emp_arena_alloc(c->out->arena, EMP_ESTIMATE_BYTES_MAX);
    char *key = emp_arena_printf(c->out->arena, "%016llx", (unsigned long long)e->key);
    row_put(c, "run", emp_str_z(key), bytes, emp_estimate_save(&e->estimate, bytes));
    e->mark.queued = false;
}

static void save_load(struct emp_core *c, uint32_t name)
{
    struct model_entry *e = c->models[name];
    e->load_mark.queued = false;
    if (e->catalogued)
        rates_put(c, "load", name, e->load, EMP_LOAD_PLACES);
}

static void save_kind(struct emp_core *c, uint32_t name)
{
    uint32_t at;
    if (!emp_map_get(&c->kind_by_name, name, &at))
        return;
    c->kinds[at].mark.queued = false;
    if (at < KINDS_KEPT)
        rates_put(c, "kind", name, c->kinds[at].load, EMP_LOAD_PLACES);
}

static void save_speed(struct emp_core *c, uint32_t name)
{
    struct machine *m = emp_machine_find(c, emp_core_name(c, name));
    if (m == NULL)
        return;
    m->speed_mark.queued = false;
    rates_put(c, "speed", name, &m->speed, 1);
}

static void save_durations(struct emp_core *c)
{
    struct emp_duration_row row;
    while (emp_duration_changed(&c->duration, c->out->arena, &row))
        row_put(c, "duration", emp_str_z(emp_arena_printf(c->out->arena, "%u", row.number)),
                row.bytes, row.length);
}

static void save_eta(struct emp_core *c)
{
    struct emp_eta_row row;
    while (emp_eta_changed(&c->eta, c->out->arena, &row))
        row_put(c, "eta", emp_str_z(emp_arena_printf(c->out->arena, "%u", row.number)), row.bytes,
                row.length);
}

void emp_learned_save(struct emp_core *c)
{
    static void (*const save[])(struct emp_core *, uint32_t) = {
        [EMP_LEARNED_RUN] = save_run,
        [EMP_LEARNED_LOAD] = save_load,
        [EMP_LEARNED_KIND] = save_kind,
        [EMP_LEARNED_SPEED] = save_speed,
    };
    if (!c->learned_dirty || c->now.mono - c->learned_saved < LEARNED_SAVE_MS)
        return;
    c->learned_saved = c->now.mono;
    c->learned_dirty = false;
    for (size_t i = 0; i < c->learned_count; i++)
        save[c->learned[i].what](c, c->learned[i].name);
    c->learned_count = 0;
    save_durations(c);
    save_eta(c);
}

void emp_learned_forget_model(struct emp_core *c, struct model_entry *e)
{
    if (e->load[0].n || e->load[1].n)
        row_put(c, "load", emp_core_name(c, e->name), NULL, 0);
    memset(e->load, 0, sizeof e->load);
}

void emp_learned_forget_machine(struct emp_core *c, const struct machine *m)
{
    if (m->speed.n)
        row_put(c, "speed", emp_core_name(c, m->name), NULL, 0);
}

/* ---- restoring ---- */

/* The number after the prefix; false: there is none. */
static bool number_of(struct emp_str text, int base, uint64_t *ret)
{
    char digits[24] = {0}, *end;
    if (text.len == 0 || text.len >= sizeof digits)
        return false;
    memcpy(digits, text.ptr, text.len);
    *ret = strtoull(digits, &end, base);
    return *end == '\0';
}

static void restore_run(struct emp_core *c, struct emp_str name, const struct emp_change_learned *l)
{
    uint64_t key;
    struct estimate_entry *e = name.len == 16 && number_of(name, 16, &key) ? emp_estimate_at(c, key)
                                                                           : NULL;
    if (e)
        emp_estimate_load(&e->estimate, l->bytes, l->length);
}

static void restore_duration(struct emp_core *c, struct emp_str name,
                             const struct emp_change_learned *l)
{
    uint64_t number;
    if (number_of(name, 10, &number) && number < EMP_DURATION_ROWS_MAX)
        emp_duration_load(&c->duration,
                          &(struct emp_duration_row){(uint32_t)number, l->bytes, l->length});
}

static void restore_eta(struct emp_core *c, struct emp_str name, const struct emp_change_learned *l)
{
    uint64_t number;
    if (number_of(name, 10, &number) && number < EMP_ETA_ROWS)
        emp_eta_load(&c->eta, &(struct emp_eta_row){(uint32_t)number, l->bytes, l->length});
}

static void restore_load(struct emp_core *c, struct emp_str name,
                         const struct emp_change_learned *l)
{
    uint32_t id = emp_intern_find(&c->names, name);
    if (id && id < c->model_cap && c->models[id] && c->models[id]->catalogued)
        rates_get(l, c->models[id]->load, EMP_LOAD_PLACES);
}

static void restore_kind(struct emp_core *c, struct emp_str name,
                         const struct emp_change_learned *l)
{
    struct load_kind *kind = emp_core_load_kind(c, emp_intern(&c->names, name));
    if (kind)
        rates_get(l, kind->load, EMP_LOAD_PLACES);
}

static void restore_speed(struct emp_core *c, struct emp_str name,
                          const struct emp_change_learned *l)
{
    struct machine *m = emp_machine_find(c, name);
    if (m)
        rates_get(l, &m->speed, 1);
}

/* Rows of other prefixes are the planner's. */
void emp_learned_restore(struct emp_core *c, const struct emp_change_learned *l)
{
    static const struct {
        struct emp_str prefix;
        void (*restore)(struct emp_core *, struct emp_str, const struct emp_change_learned *);
    } kinds[] = {
        {EMP_STR("run/"), restore_run},     {EMP_STR("duration/"), restore_duration},
        {EMP_STR("load/"), restore_load},   {EMP_STR("kind/"), restore_kind},
        {EMP_STR("speed/"), restore_speed}, {EMP_STR("eta/"), restore_eta},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct emp_str p = kinds[i].prefix;
        if (l->key.len > p.len && memcmp(l->key.ptr, p.ptr, p.len) == 0)
            kinds[i].restore(c, (struct emp_str){l->key.ptr + p.len, l->key.len - p.len}, l);
    }
}

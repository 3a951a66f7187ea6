/* See batch.h. Changes are joined by a hash of what they are about, in an open table with twice the
 * room of the changes; what a key is stands in one table by kind. A machine's change and its being
 * forgotten are about the same thing, so are a model's and its removal. */
#include "store/batch.h"

#include "base/random.h"
#include "store/shapes.h"

#include <assert.h>

struct key {
    uint32_t what; /* kind of thing */
    uint64_t num, sub;
    struct emp_str name;
};

static struct key key_job(const struct emp_change *c)
{
    return (struct key){.num = c->job.record.num};
}
static struct key key_attempt(const struct emp_change *c)
{
    return (struct key){.num = c->attempt.job, .sub = c->attempt.attempt.number};
}
static struct key key_machine(const struct emp_change *c)
{
    return (struct key){.name = c->machine.facts.id};
}
static struct key key_forgotten(const struct emp_change *c)
{
    return (struct key){.name = c->machine_forgotten};
}
static struct key key_model(const struct emp_change *c)
{
    return (struct key){.name = c->model.name};
}
static struct key key_removed(const struct emp_change *c)
{
    return (struct key){.name = c->model_removed};
}
static struct key key_learned(const struct emp_change *c)
{
    return (struct key){.name = c->learned.key};
}

static struct emp_str pack_job(const struct emp_change *c, struct emp_arena *a)
{
    return emp_pack(&emp_shape_record, &c->job.record, a);
}
static struct emp_str pack_attempt(const struct emp_change *c, struct emp_arena *a)
{
    return emp_pack(&emp_shape_attempt, &c->attempt.attempt, a);
}
static struct emp_str pack_machine(const struct emp_change *c, struct emp_arena *a)
{
    return emp_pack(&emp_shape_machine, &c->machine, a);
}
static struct emp_str pack_nothing(const struct emp_change *c, struct emp_arena *a)
{
    (void)c, (void)a;
    return (struct emp_str){0};
}
static struct emp_str pack_model(const struct emp_change *c, struct emp_arena *a)
{
    return emp_pack(&emp_shape_model, &c->model, a);
}
static struct emp_str pack_learned(const struct emp_change *c, struct emp_arena *a)
{
    (void)a;
    return (struct emp_str){c->learned.bytes, c->learned.length};
}

static const struct kind {
    uint32_t what;
    struct key (*key)(const struct emp_change *c);
    struct emp_str (*pack)(const struct emp_change *c, struct emp_arena *a);
} kinds[] = {
    [EMP_CHANGE_JOB] = {1, key_job, pack_job},
    [EMP_CHANGE_ATTEMPT] = {2, key_attempt, pack_attempt},
    [EMP_CHANGE_MACHINE] = {3, key_machine, pack_machine},
    [EMP_CHANGE_MACHINE_FORGOTTEN] = {3, key_forgotten, pack_nothing},
    [EMP_CHANGE_MODEL] = {4, key_model, pack_model},
    [EMP_CHANGE_MODEL_REMOVED] = {4, key_removed, pack_nothing},
    [EMP_CHANGE_LEARNED] = {5, key_learned, pack_learned},
};

static struct key key_of(const struct emp_change *c)
{
    assert((size_t)c->kind < sizeof kinds / sizeof kinds[0]);
    struct key k = kinds[c->kind].key(c);
    k.what = kinds[c->kind].what;
    return k;
}

static uint64_t hash_of(const struct key *k)
{
    return emp_mix64(emp_mix64(k->num ^ (uint64_t)k->what << 56) + k->sub) ^
           (k->name.len ? emp_str_hash(k->name) : 0);
}

static bool same(const struct key *a, const struct key *b)
{
    return a->what == b->what && a->num == b->num && a->sub == b->sub &&
           emp_str_eq(a->name, b->name);
}

/* The item of what `c` is about, a new one when it is the first. */
static struct emp_batch_item *item_of(struct emp_batch *b, uint32_t *slots, uint32_t mask,
                                      const struct emp_change *c)
{
    struct key k = key_of(c);
    uint32_t at = (uint32_t)hash_of(&k) & mask;
    for (; slots[at]; at = (at + 1) & mask) {
        struct emp_batch_item *item = &b->items[slots[at] - 1];
        struct key other = key_of(item->change);
        if (same(&k, &other))
            return item;
    }
    slots[at] = ++b->count;
    return &b->items[b->count - 1];
}

static void take(struct emp_batch_item *item, const struct emp_change *c)
{
    item->change = c;
    if (c->kind != EMP_CHANGE_JOB)
        return;
    if (c->job.spec && !item->spec) {
        item->spec = c->job.spec;
        item->body = c->job.body;
    }
    if (c->job.result)
        item->result = c->job.result;
}

void emp_batch_make(const struct emp_change *changes, uint32_t count, struct emp_arena *a,
                    struct emp_batch *ret)
{
    assert(count <= EMP_BATCH_MAX);
    uint32_t slots_count = 16;
    while (slots_count < 2 * count)
        slots_count *= 2;
    uint32_t *slots = emp_arena_array(a, uint32_t, slots_count);
    ret->items = emp_arena_array(a, struct emp_batch_item, count);
    ret->count = 0;
    for (uint32_t i = 0; i < count; i++)
        take(item_of(ret, slots, slots_count - 1, &changes[i]), &changes[i]);
    for (uint32_t i = 0; i < ret->count; i++) {
        struct emp_batch_item *item = &ret->items[i];
        item->packed = kinds[item->change->kind].pack(item->change, a);
        if (item->spec)
            item->packed_spec = emp_pack(&emp_shape_spec, item->spec, a);
    }
}

struct emp_str emp_batch_pool(const struct emp_job_record *record, const struct emp_job_spec *spec)
{
    if (record->attempt.number && record->attempt.pool.len)
        return record->attempt.pool;
    if (record->decision.pool.len || !spec)
        return record->decision.pool;
    return spec->pool;
}

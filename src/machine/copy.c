/* Copies of models on this disk: room, fetches, deletions.
 *
 * Two sums are kept with every move of a copy. disk_bytes is what the disk may hold at this moment,
 * a running fetch counted as whole; a fetch starts only when it fits into the budget beside that.
 * promised_bytes is where it will stand when queued fetches have come and deletions are through; an
 * attempt is admitted only when all its missing models fit into the budget beside that. So what is
 * promised always comes true, and no two attempts wait for each other: an attempt gets room for all
 * its models at once, or pins nothing.
 *
 * Rejected: letting an attempt take room model by model. Two attempts with two models each could
 * then hold one each for ever. */
#include "domain/copy.h"
#include "machine/internal.h"
#include "policy/evict.h"

#include <stdlib.h>
#include <string.h>

enum { STUCK_MS = 60000 }; /* a file that could not be deleted is left alone so long */

static const bool allowed[EMP_COPY_STATE_COUNT][EMP_COPY_STATE_COUNT] = {
#define EMP_COPY_MOVE(from, to) [EMP_COPY_##from][EMP_COPY_##to] = true,
#include "machine/states.def"
};

struct emp_machine_copy *emp_copy_at(const struct emp_machine *m, uint32_t number)
{
    return emp_slab_at(&m->copies, number);
}

/* ---------------------------------------------------------------- the one place where a copy
 * changes */

static int64_t on_disk(const struct emp_machine_copy *c)
{
    switch (c->state) {
    case EMP_COPY_HALF:
    case EMP_COPY_QUEUED:
        return c->kept_bytes;
    case EMP_COPY_FETCHING:
    case EMP_COPY_PRESENT:
        return c->model.bytes;
    case EMP_COPY_DELETING:
        return c->was_half ? c->kept_bytes : c->model.bytes;
    default:
        return 0;
    }
}

static int64_t promised(const struct emp_machine_copy *c)
{
    switch (c->state) {
    case EMP_COPY_HALF:
        return c->kept_bytes;
    case EMP_COPY_QUEUED:
    case EMP_COPY_FETCHING:
    case EMP_COPY_PRESENT:
        return c->model.bytes;
    default:
        return 0;
    }
}

enum emp_residency emp_copy_residency(const struct emp_machine_copy *c)
{
    if (c->state == EMP_COPY_PRESENT)
        return emp_memory_holds(c, EMP_MEMORY_GPU)   ? EMP_RESIDENCY_GPU
               : emp_memory_holds(c, EMP_MEMORY_RAM) ? EMP_RESIDENCY_RAM
                                                     : EMP_RESIDENCY_DISK;
    if (c->state == EMP_COPY_QUEUED || c->state == EMP_COPY_FETCHING)
        return EMP_RESIDENCY_FETCHING;
    return EMP_RESIDENCY_NONE;
}

void emp_copy_mark(struct emp_machine *m, struct emp_machine_copy *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    emp_arena_reserve(&m->arena, m->dirty, m->dirty_count, m->dirty_cap);
    m->dirty[m->dirty_count++] = c->number;
}

static void move(struct emp_machine *m, struct emp_machine_copy *c, enum emp_copy_state to,
                 int64_t kept_bytes)
{
    if (!allowed[c->state][to])
        abort();
    m->disk_bytes -= on_disk(c);
    m->promised_bytes -= promised(c);
    m->copy_count[c->state]--;
    emp_chain_del(&c->chain);
    if (to == EMP_COPY_DELETING) {
        c->was_half = c->state == EMP_COPY_HALF;
        emp_memory_drop(m, c);
    }
    c->state = to;
    c->kept_bytes = kept_bytes;
    c->got_bytes = to == EMP_COPY_FETCHING ? kept_bytes : 0;
    c->cancelled = false;
    if (to != EMP_COPY_QUEUED && to != EMP_COPY_FETCHING)
        c->prefetch = false;
    emp_chain_add(&m->copy_chain[to], &c->chain);
    m->copy_count[to]++;
    m->disk_bytes += on_disk(c);
    m->promised_bytes += promised(c);
    emp_copy_mark(m, c);
}

/* ---------------------------------------------------------------- what the catalogue says */

static void adopt(struct emp_machine_copy *c, const struct emp_model *model)
{
    struct emp_arena fresh;
    struct emp_model copy;
    emp_arena_init(&fresh, 1024);
    emp_model_copy(&fresh, model, &copy);
    emp_arena_release(&c->arena);
    c->arena = fresh;
    c->model = copy;
}

static void remember_fresh(struct emp_machine_copy *c, const struct emp_model *model)
{
    emp_arena_release(&c->fresh_arena);
    emp_arena_init(&c->fresh_arena, 1024);
    emp_model_copy(&c->fresh_arena, model, &c->fresh);
    c->stale = true;
}

static void drop_fresh(struct emp_machine_copy *c)
{
    emp_arena_release(&c->fresh_arena);
    emp_arena_init(&c->fresh_arena, 1024);
    memset(&c->fresh, 0, sizeof c->fresh);
    c->stale = false;
}

static bool same_content(const struct emp_model *a, const struct emp_model *b)
{
    if (a->bytes != b->bytes || !emp_str_eq(a->path, b->path))
        return false;
    return a->sha256[0] == '\0' || b->sha256[0] == '\0' || strcmp(a->sha256, b->sha256) == 0;
}

static struct emp_machine_copy *copy_of(struct emp_machine *m, struct emp_str name)
{
    uint32_t number = emp_intern_find(&m->names, name);
    if (number)
        return emp_copy_at(m, number);
    if (m->names.count > EMP_MODELS_MAX || name.len == 0)
        return NULL;
    number = emp_intern(&m->names, name);
    uint32_t slab_number;
    struct emp_machine_copy *c = emp_slab_new(&m->copies, &slab_number);
    if (slab_number != number)
        abort();
    c->number = number;
    c->name = emp_intern_name(&m->names, number);
    c->seconds_saved = -1;
    c->used_at = m->now.mono;
    emp_arena_init(&c->arena, 1024);
    emp_arena_init(&c->fresh_arena, 1024);
    emp_chain_add(&m->copy_chain[EMP_COPY_ABSENT], &c->chain);
    m->copy_count[EMP_COPY_ABSENT]++;
    return c;
}

static void discard(struct emp_machine *m, struct emp_machine_copy *c, bool planned)
{
    struct emp_machine_action *a = emp_machine_act(m, EMP_MACHINE_DELETE);
    a->del.model = c->name;
    a->del.path = c->model.path;
    a->del.half = c->state == EMP_COPY_HALF;
    a->del.planned = planned;
    move(m, c, EMP_COPY_DELETING, c->kept_bytes);
}

/* Lets go of what nobody needs in the state it is in. */
static void settle(struct emp_machine *m, struct emp_machine_copy *c)
{
    if (c->pins || (c->prefetch && !c->stale))
        return;
    if (c->state == EMP_COPY_QUEUED)
        move(m, c, c->kept_bytes ? EMP_COPY_HALF : EMP_COPY_ABSENT, c->kept_bytes);
    if (c->state == EMP_COPY_FETCHING && !c->cancelled && (c->wanted == 0 || c->stale)) {
        c->cancelled = true;
        emp_machine_act(m, EMP_MACHINE_FETCH_CANCEL)->fetch_cancel.model = c->name;
    }
    if (!c->stale || m->leave >= EMP_LEAVING)
        return; // who leaves deletes nothing: a run that would not stop may still use it
    if ((c->state == EMP_COPY_PRESENT || c->state == EMP_COPY_HALF) &&
        m->now.mono >= c->stuck_until)
        discard(m, c, false);
    if (c->state == EMP_COPY_ABSENT) {
        adopt(c, &c->fresh);
        drop_fresh(c);
    }
}

uint32_t emp_copy_describe(struct emp_machine *m, const struct emp_model *model)
{
    struct emp_machine_copy *c = copy_of(m, model->name);
    if (!c)
        return 0;
    if (c->state == EMP_COPY_DELETING) {
        remember_fresh(c, model); // the shell still holds the old path
    } else if (c->state == EMP_COPY_ABSENT || same_content(&c->model, model)) {
        if (c->state != EMP_COPY_FETCHING)
            adopt(c, model); // the shell holds what is being fetched
        drop_fresh(c);
    } else {
        remember_fresh(c, model);
        settle(m, c);
    }
    return c->number;
}

void emp_copies_worth(struct emp_machine *m, const struct emp_message_worth *w)
{
    for (uint32_t i = 0; i < w->worth_count; i++) {
        uint32_t number = emp_intern_find(&m->names, w->worths[i].model);
        if (!number)
            continue;
        struct emp_machine_copy *c = emp_copy_at(m, number);
        c->seconds_saved = w->worths[i].seconds_saved >= 0 ? w->worths[i].seconds_saved : 0;
        c->worth_pinned = w->worths[i].pinned;
    }
}

/* ---------------------------------------------------------------- room */

static bool pinned_here(const struct emp_machine_copy *c)
{
    return c->model.pinned || c->worth_pinned;
}

/* For whom room is made: attempts, or a planned model, for which only what is worth less goes. */
struct newcomer {
    const struct emp_machine_copy *planned; /* NULL: attempts */
};

/* What a planned model may not push out. */
static bool worth_more(const struct emp_machine *m, const struct emp_machine_copy *c,
                       const struct emp_machine_copy *newcomer)
{
    if (c->wanted || c->state == EMP_COPY_HALF)
        return c->wanted > 0;
    if (c->planned && c->planned < newcomer->planned)
        return true;
    struct emp_evict_copy a = {.bytes = c->model.bytes,
                               .uses = c->uses,
                               .idle_ms = m->now.mono - c->used_at,
                               .seconds_saved = c->seconds_saved};
    struct emp_evict_copy b = {.bytes = newcomer->model.bytes,
                               .seconds_saved = newcomer->seconds_saved};
    return emp_evict_worth(&a, m->link_bytes_per_s, m->s.evict_lean) * (double)b.bytes >=
           emp_evict_worth(&b, m->link_bytes_per_s, m->s.evict_lean) * (double)a.bytes;
}

static uint32_t candidates(struct emp_machine *m, bool spare_wanted, struct newcomer to,
                           struct emp_evict_copy *list, struct emp_machine_copy **who)
{
    static const enum emp_copy_state states[] = {EMP_COPY_HALF, EMP_COPY_PRESENT};
    uint32_t n = 0;
    for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
        struct emp_chain *head = &m->copy_chain[states[s]];
        for (struct emp_chain *i = head->next; i != head; i = i->next) {
            struct emp_machine_copy *c = emp_chain_of(i, struct emp_machine_copy, chain);
            bool half = c->state == EMP_COPY_HALF;
            list[n] = (struct emp_evict_copy){
                .bytes = half ? c->kept_bytes : c->model.bytes,
                .uses = half ? 0 : c->uses,
                .idle_ms = m->now.mono - c->used_at,
                .seconds_saved = half ? 0 : c->seconds_saved,
                .keep = c->pins || pinned_here(c) || m->now.mono < c->stuck_until ||
                        (spare_wanted && c->wanted) || (to.planned && worth_more(m, c, to.planned)),
            };
            who[n++] = c;
        }
    }
    return n;
}

/* Deletes what is worth least until `need` bytes are promised free; nothing if that cannot be. */
static bool evict(struct emp_machine *m, int64_t need, struct newcomer to)
{
    uint32_t most = m->copy_count[EMP_COPY_HALF] + m->copy_count[EMP_COPY_PRESENT];
    struct emp_arena *a = m->out->arena;
    struct emp_evict_copy *list = emp_arena_array(a, struct emp_evict_copy, most);
    struct emp_machine_copy **who = emp_arena_array(a, struct emp_machine_copy *, most);
    uint32_t *victims = emp_arena_array(a, uint32_t, most);
    uint32_t chosen = 0;
    for (int spare_wanted = 1; spare_wanted >= 0 && chosen == 0; spare_wanted--) {
        uint32_t n = candidates(m, spare_wanted, to, list, who);
        chosen = m->s.evict_oldest ? emp_evict_choose_oldest(list, n, need, victims)
                                   : emp_evict_choose(list, n, need, m->link_bytes_per_s,
                                                      m->s.evict_lean, victims);
    }
    for (uint32_t i = 0; i < chosen; i++) {
        discard(m, who[victims[i]], to.planned != NULL);
        m->evictions++;
    }
    return chosen > 0;
}

static void pin(struct emp_machine *m, const uint32_t *copies, uint32_t count, bool on)
{
    for (uint32_t i = 0; i < count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, copies[i]);
        if (on)
            c->pins++;
        else
            c->pins--;
    }
}

/* What the job's models take in all, and what can never go for them. */
static bool fits_at_all(struct emp_machine *m, const uint32_t *copies, uint32_t count,
                        struct emp_error *err)
{
    int64_t own = 0, fixed = 0;
    for (uint32_t i = 0; i < count; i++)
        own += emp_copy_at(m, copies[i])->model.bytes;
    struct emp_chain *head = &m->copy_chain[EMP_COPY_PRESENT];
    for (struct emp_chain *i = head->next; i != head; i = i->next) {
        struct emp_machine_copy *c = emp_chain_of(i, struct emp_machine_copy, chain);
        if (pinned_here(c))
            fixed += c->model.bytes;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, copies[i]);
        if (c->state == EMP_COPY_PRESENT && pinned_here(c))
            fixed -= c->model.bytes;
    }
    if (own + fixed <= emp_machine_budget(m))
        return true;
    emp_fail(err, EMP_E_DISK_FULL, "models",
             "the job's models take %lld bytes; this machine keeps %lld bytes for models, of which "
             "%lld are pinned",
             (long long)own, (long long)emp_machine_budget(m), (long long)fixed);
    return false;
}

/* Can each copy be had, and how many bytes are missing? */
static enum emp_room survey(struct emp_machine *m, const uint32_t *copies, uint32_t count,
                            int64_t *ret_need, struct emp_error *err)
{
    enum emp_room room = EMP_ROOM_NOW;
    *ret_need = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, copies[i]);
        settle(m, c);
        if (c->state == EMP_COPY_DELETING || c->stale || c->cancelled) {
            room = EMP_ROOM_LATER;
        } else if (c->state == EMP_COPY_ABSENT || c->state == EMP_COPY_HALF) {
            if (c->model.url_count == 0) {
                emp_fail(err, EMP_E_NOT_FOUND, "models",
                         "model \"%.*s\" is not on this machine, and the catalogue has no URL to "
                         "fetch it from",
                         EMP_STR_FMT(c->name));
                return EMP_ROOM_NEVER;
            }
            *ret_need += c->model.bytes - c->kept_bytes;
        }
    }
    return room;
}

enum emp_room emp_copies_admit(struct emp_machine *m, const uint32_t *copies, uint32_t count,
                               bool may_grow, uint32_t *ret_missing, struct emp_error *err)
{
    int64_t need;
    enum emp_room room = survey(m, copies, count, &need, err);
    if (room == EMP_ROOM_NEVER || room == EMP_ROOM_LATER)
        return room;
    if (need > 0) {
        if (!fits_at_all(m, copies, count, err))
            return EMP_ROOM_NEVER;
        if (!may_grow)
            return EMP_ROOM_LATER;
    }
    pin(m, copies, count, true);
    for (uint32_t i = 0; i < count; i++)
        emp_copy_at(m, copies[i])->prefetch = false; // it is theirs now
    if (need > 0)
        emp_prefetches_drop(m, true);
    int64_t over = m->promised_bytes + need - emp_machine_budget(m);
    if (need > 0 && over > 0 && !evict(m, over, (struct newcomer){NULL})) {
        pin(m, copies, count, false);
        emp_fail(err, EMP_E_DISK_FULL, "models",
                 "%lld bytes have to be fetched; of the %lld bytes this machine keeps for models, "
                 "%lld are in use by other jobs",
                 (long long)need, (long long)emp_machine_budget(m), (long long)m->promised_bytes);
        return EMP_ROOM_LATER;
    }
    *ret_missing = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, copies[i]);
        if (c->state == EMP_COPY_ABSENT || c->state == EMP_COPY_HALF)
            move(m, c, EMP_COPY_QUEUED, c->kept_bytes);
        if (c->state != EMP_COPY_PRESENT)
            (*ret_missing)++;
    }
    return EMP_ROOM_NOW;
}

/* ---------------------------------------------------------------- what attempts do with them */

void emp_copies_want(struct emp_machine *m, const uint32_t *copies, uint32_t count, int by)
{
    for (uint32_t i = 0; i < count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, copies[i]);
        c->wanted += (uint32_t)by;
        if (by < 0)
            settle(m, c);
    }
}

void emp_copies_pin(struct emp_machine *m, const uint32_t *copies, uint32_t count)
{
    pin(m, copies, count, true);
}

void emp_copies_unpin(struct emp_machine *m, const uint32_t *copies, uint32_t count)
{
    pin(m, copies, count, false);
    for (uint32_t i = 0; i < count; i++)
        settle(m, emp_copy_at(m, copies[i]));
}

void emp_copies_use(struct emp_machine *m, const uint32_t *copies, uint32_t count, int by)
{
    for (uint32_t i = 0; i < count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, copies[i]);
        c->runs += (uint32_t)by;
        if (by > 0)
            c->uses = emp_evict_use(c->uses, m->now.mono - c->used_at);
        c->used_at = m->now.mono;
    }
}

/* ---------------------------------------------------------------- for the plan */

bool emp_copy_prefetch(struct emp_machine *m, struct emp_machine_copy *c)
{
    settle(m, c);
    if (c->state != EMP_COPY_ABSENT && c->state != EMP_COPY_HALF)
        return false;
    int64_t over = m->promised_bytes + c->model.bytes - c->kept_bytes - emp_machine_budget(m);
    c->pins++; // its own half file stays
    bool room = over <= 0 || evict(m, over, (struct newcomer){c});
    c->pins--;
    if (!room)
        return false;
    c->prefetch = true;
    move(m, c, EMP_COPY_QUEUED, c->kept_bytes);
    return true;
}

void emp_prefetches_drop(struct emp_machine *m, bool all)
{
    static const enum emp_copy_state states[] = {EMP_COPY_QUEUED, EMP_COPY_FETCHING};
    for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
        struct emp_chain *head = &m->copy_chain[states[s]];
        for (struct emp_chain *i = head->next, *next; i != head; i = next) {
            next = i->next;
            struct emp_machine_copy *c = emp_chain_of(i, struct emp_machine_copy, chain);
            if (!c->prefetch || (c->planned && !all))
                continue;
            c->prefetch = false;
            settle(m, c);
        }
    }
}

/* ---------------------------------------------------------------- answers of the shell */

static struct emp_machine_copy *in_state(struct emp_machine *m, struct emp_str name,
                                         enum emp_copy_state state)
{
    uint32_t number = emp_intern_find(&m->names, name);
    if (!number)
        return NULL;
    struct emp_machine_copy *c = emp_copy_at(m, number);
    return c->state == state ? c : NULL;
}

void emp_copy_fetch_progress(struct emp_machine *m, const struct emp_machine_event *e)
{
    struct emp_machine_copy *c = in_state(m, e->fetch_progress.model, EMP_COPY_FETCHING);
    if (!c)
        return;
    int64_t got = e->fetch_progress.bytes;
    c->got_bytes = got < 0 ? 0 : got > c->model.bytes ? c->model.bytes : got;
}

void emp_copy_fetch_done(struct emp_machine *m, const struct emp_machine_event *e)
{
    struct emp_machine_copy *c = in_state(m, e->fetch_done.model, EMP_COPY_FETCHING);
    if (!c)
        return;
    if (e->fetch_done.code >= 0) {
        int64_t fetched = c->model.bytes - c->kept_bytes;
        move(m, c, EMP_COPY_PRESENT, 0);
        c->used_at = m->now.mono;
        emp_attempts_copy_came(m, c->number, fetched);
    } else {
        int64_t kept = e->fetch_done.kept_bytes;
        if (kept < 0)
            kept = 0;
        if (kept > c->model.bytes)
            kept = c->model.bytes;
        bool cancelled = c->cancelled;
        if (c->prefetch)
            emp_plan_fetch_failed(m, c);
        move(m, c, kept ? EMP_COPY_HALF : EMP_COPY_ABSENT, kept);
        if (!cancelled)
            emp_attempts_copy_failed(m, c->number, e->fetch_done.code, e->fetch_done.text,
                                     e->fetch_done.machine_fault);
    }
    settle(m, c);
}

/* A deletion failed although its room is promised: queued fetches that no longer fit are given up,
 * the last first. */
static void break_promises(struct emp_machine *m)
{
    while (m->promised_bytes > emp_machine_budget(m) &&
           !emp_chain_empty(&m->copy_chain[EMP_COPY_QUEUED])) {
        struct emp_machine_copy *c =
            emp_chain_of(m->copy_chain[EMP_COPY_QUEUED].prev, struct emp_machine_copy, chain);
        c->prefetch = false;
        settle(m, c);
        if (c->state != EMP_COPY_QUEUED)
            continue;
        emp_attempts_copy_failed(
            m, c->number, EMP_E_IO,
            EMP_STR("a model that had to make room could not be deleted from this machine's disk"),
            true);
        if (c->state == EMP_COPY_QUEUED)
            abort(); // those who queued it are gone, so it must be
    }
}

void emp_copy_deleted(struct emp_machine *m, const struct emp_machine_event *e)
{
    struct emp_machine_copy *c = in_state(m, e->deleted.model, EMP_COPY_DELETING);
    if (!c)
        return;
    if (e->deleted.code >= 0) {
        move(m, c, EMP_COPY_ABSENT, 0);
        settle(m, c);
        return;
    }
    move(m, c, c->was_half ? EMP_COPY_HALF : EMP_COPY_PRESENT, c->kept_bytes);
    c->stuck_until = m->now.mono + STUCK_MS;
    if (c->stale && same_content(&c->model, &c->fresh)) {
        adopt(c, &c->fresh);
        drop_fresh(c);
    }
    break_promises(m);
}

void emp_copies_found(struct emp_machine *m, const struct emp_machine_found *found, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct emp_machine_found *f = &found[i];
        struct emp_machine_copy *c = copy_of(m, f->name);
        if (!c || c->state != EMP_COPY_ABSENT || f->bytes <= 0)
            continue;
        struct emp_model model = {
            .name = f->name, .path = f->path, .bytes = f->bytes, .pinned = f->pinned};
        memcpy(model.sha256, f->sha256, sizeof model.sha256);
        adopt(c, &model);
        move(m, c, f->half_bytes > 0 ? EMP_COPY_HALF : EMP_COPY_PRESENT,
             f->half_bytes > 0 ? f->half_bytes : 0);
    }
    int64_t over = m->promised_bytes - emp_machine_budget(m);
    if (over > 0)
        evict(m, over, (struct newcomer){NULL});
}

/* ---------------------------------------------------------------- once a step */

void emp_copies_pump(struct emp_machine *m)
{
    struct emp_chain *head = &m->copy_chain[EMP_COPY_QUEUED];
    for (struct emp_chain *i = head->next, *next; i != head; i = next) {
        next = i->next;
        if (m->copy_count[EMP_COPY_FETCHING] >= m->s.fetches_max)
            return;
        struct emp_machine_copy *c = emp_chain_of(i, struct emp_machine_copy, chain);
        if (m->disk_bytes - c->kept_bytes + c->model.bytes > emp_machine_budget(m))
            continue;
        struct emp_machine_action *a = emp_machine_act(m, EMP_MACHINE_FETCH);
        a->fetch.model = &c->model;
        a->fetch.kept_bytes = c->kept_bytes;
        a->fetch.planned = c->prefetch;
        move(m, c, EMP_COPY_FETCHING, c->kept_bytes);
        m->fetches++;
    }
}

static struct emp_copy tell(struct emp_machine_copy *c)
{
    c->told = emp_copy_residency(c);
    return (struct emp_copy){c->name, c->model.bytes, c->told, c->runs > 0};
}

void emp_copies_tell(struct emp_machine *m)
{
    if (m->link == EMP_LINK_DOWN)
        return; // HELLO will say it all
    struct emp_copy *list = NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->dirty_count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, m->dirty[i]);
        c->dirty = false;
        if (c->told == emp_copy_residency(c))
            continue;
        if (!list)
            list = emp_arena_array(m->out->arena, struct emp_copy, m->dirty_count);
        list[n++] = tell(c);
    }
    m->dirty_count = 0;
    if (n == 0)
        return;
    struct emp_message *msg = emp_machine_send(m, EMP_MESSAGE_COPIES);
    msg->copies.copies = list;
    msg->copies.copy_count = n;
    msg->copies.disk_free_bytes = emp_copies_free(m);
}

void emp_copies_list(struct emp_machine *m, struct emp_arena *a, struct emp_message_hello *h)
{
    h->copies = emp_arena_array(a, struct emp_copy, m->names.count);
    for (uint32_t i = 1; i < m->names.count; i++) {
        struct emp_machine_copy *c = emp_copy_at(m, i);
        c->dirty = false;
        struct emp_copy copy = tell(c);
        if (copy.residency != EMP_RESIDENCY_NONE)
            h->copies[h->copy_count++] = copy;
    }
    m->dirty_count = 0;
}

int64_t emp_copies_left(const struct emp_machine *m)
{
    static const enum emp_copy_state states[] = {EMP_COPY_QUEUED, EMP_COPY_FETCHING};
    int64_t left = 0;
    for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
        const struct emp_chain *head = &m->copy_chain[states[s]];
        for (const struct emp_chain *i = head->next; i != head; i = i->next) {
            const struct emp_machine_copy *c = emp_chain_of(i, struct emp_machine_copy, chain);
            left += c->model.bytes - (c->state == EMP_COPY_FETCHING ? c->got_bytes : c->kept_bytes);
        }
    }
    return left;
}

int64_t emp_copies_free(const struct emp_machine *m)
{
    int64_t free_bytes = emp_machine_budget(m) - m->promised_bytes;
    return free_bytes > 0 ? free_bytes : 0;
}

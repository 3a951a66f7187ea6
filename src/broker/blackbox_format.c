/* A record is varint(length), a byte of its kind, and its fields: varints, zigzag where they may be
 * negative, strings as varint(length) and bytes. Structs are in the store's durable form (pack.h),
 * messages in the protocol's: both know their fields already. */
#include "broker/blackbox_format.h"

#include "proto/message_json.h"
#include "store/pack.h"
#include "store/shapes.h"

#include <math.h>
#include <stdio.h>

enum { NAMES_MAX = 65536 };

/* ------------------------------------------------------------------ writing */

struct writer {
    struct emp_arena *arena;
    struct emp_buf *out;
};

static void put(struct writer *w, uint64_t v)
{
    unsigned char b[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        b[n++] = (unsigned char)(v | 0x80);
    b[n++] = (unsigned char)v;
    emp_buf_add(w->out, b, n);
}

static void put_signed(struct writer *w, int64_t v)
{
    put(w, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static void put_bytes(struct writer *w, const void *p, size_t len)
{
    put(w, len);
    emp_buf_add(w->out, p, len);
}

static void put_str(struct writer *w, struct emp_str s)
{
    put_bytes(w, s.ptr, s.len);
}

static void put_strs(struct writer *w, const struct emp_str *list, uint32_t count)
{
    put(w, count);
    for (uint32_t i = 0; i < count; i++)
        put_str(w, list[i]);
}

static void put_struct(struct writer *w, const struct emp_pack_shape *shape, const void *object)
{
    put_str(w, emp_pack(shape, object, w->arena));
}

static void put_now(struct writer *w, struct emp_blackbox_clock *clock, struct emp_now now)
{
    put(w, (uint64_t)(now.mono - clock->last.mono));
    put_signed(w, (now.wall - clock->last.wall) - (now.mono - clock->last.mono));
    clock->last = now;
}

static void put_pool(struct writer *w, const struct emp_pool *p)
{
    struct emp_pool plain = *p; /* numbers alone: pointers mean nothing to a reader */

    plain.name = plain.specialty = plain.region = plain.customer = plain.parent =
        (struct emp_str){0};
    plain.compliance = plain.services = NULL;
    put_bytes(w, &plain, sizeof plain);
    put_str(w, p->name);
    put_str(w, p->specialty);
    put_str(w, p->region);
    put_str(w, p->customer);
    put_str(w, p->parent);
    put_strs(w, p->compliance, p->compliance_count);
    put_strs(w, p->services, p->service_count);
}

static void put_head(struct writer *w, const struct emp_blackbox_head *h)
{
    struct emp_settings plain = h->settings;

    plain.pools = NULL;
    plain.builtin_services = NULL;
    put_str(w, h->version);
    put(w, sizeof h->settings);
    put(w, sizeof(struct emp_pool));
    put_str(w, h->policy);
    put(w, h->seed);
    put_bytes(w, &plain, sizeof plain);
    put(w, h->settings.pool_count);
    for (uint32_t i = 0; i < h->settings.pool_count; i++)
        put_pool(w, &h->settings.pools[i]);
    put_strs(w, h->settings.builtin_services, h->settings.builtin_service_count);
}

/* With what the store keeps in columns of its own. */
static void put_record(struct writer *w, const struct emp_job_record *r)
{
    put(w, r->num);
    put(w, r->state);
    emp_buf_add(w->out, &r->order_priority, sizeof r->order_priority);
    put_signed(w, r->submitted_at);
    put_signed(w, r->finished_at);
    put_struct(w, &emp_shape_record, r);
}

static bool put_change(struct writer *w, const struct emp_change *c)
{
    put(w, c->kind);
    switch (c->kind) {
    case EMP_CHANGE_JOB:
        put_record(w, &c->job.record);
        put(w, c->job.spec != NULL);
        if (c->job.spec)
            put_struct(w, &emp_shape_spec, c->job.spec);
        return true;
    case EMP_CHANGE_MACHINE:
        put_struct(w, &emp_shape_machine, &c->machine);
        return true;
    case EMP_CHANGE_MODEL:
        put_struct(w, &emp_shape_model, &c->model);
        return true;
    case EMP_CHANGE_LEARNED:
        put_str(w, c->learned.key);
        put_bytes(w, c->learned.bytes, c->learned.length);
        return true;
    default: /* no restoring brings others */
        return false;
    }
}

/* A result may be megabytes, and a core does not look at it. */
static bool put_message(struct writer *w, const struct emp_message *m)
{
    struct emp_message copy = *m;
    struct emp_buf text;
    bool good;

    if (m->kind == EMP_MESSAGE_COMPLETED)
        copy.finished.result = (struct emp_str){0};
    emp_buf_init(&text, EMP_BLACKBOX_RECORD_MAX);
    good = emp_message_encode(&copy, &text);
    put_bytes(w, text.data, text.len);
    w->out->failed |= text.failed;
    emp_buf_release(&text);
    return good || w->out->failed;
}

/* What a core looks at of a plan. Worth is told in whole ms (policy/planner.c). */
static void put_items(struct writer *w, const struct emp_plan_result *p,
                      const struct emp_plan_item *items, uint32_t count)
{
    put(w, count);
    for (uint32_t i = 0; i < count; i++) {
        put_str(w, p->model_names[items[i].model]);
        put(w, items[i].residency);
        put(w, (uint64_t)llround(items[i].seconds_saved * 1000));
    }
}

static void put_plan(struct writer *w, const struct emp_plan_result *p)
{
    put(w, p->machine_count);
    for (uint32_t i = 0; i < p->machine_count; i++) {
        const struct emp_plan_machine *m = &p->machines[i];
        put_str(w, m->id);
        put_items(w, p, m->planned, m->planned_count);
        put_items(w, p, m->others, m->other_count);
    }
    put(w, p->row_count);
    for (uint32_t i = 0; i < p->row_count; i++) {
        put(w, p->rows[i].table);
        put(w, p->rows[i].number);
        put_bytes(w, p->rows[i].bytes, p->rows[i].length);
    }
}

static bool put_event(struct writer *w, const struct emp_event *e)
{
    put(w, e->kind);
    put(w, e->request != 0);
    switch (e->kind) {
    case EMP_EVENT_SUBMIT:
        put_struct(w, &emp_shape_spec, e->submit.spec);
        put(w, e->submit.body != 0);
        return true;
    case EMP_EVENT_CANCEL:
        put(w, e->job);
        return true;
    case EMP_EVENT_RETRY:
        put_record(w, e->retry.record);
        put_struct(w, &emp_shape_spec, e->retry.spec);
        return true;
    case EMP_EVENT_MESSAGE:
        put(w, e->message.link);
        put(w, e->message.result != 0);
        return put_message(w, e->message.message);
    case EMP_EVENT_LINK_CLOSED:
        put(w, e->link);
        return true;
    case EMP_EVENT_MODEL:
        put_struct(w, &emp_shape_model, e->model);
        return true;
    case EMP_EVENT_MODEL_REMOVE:
        put_str(w, e->model_name);
        return true;
    case EMP_EVENT_MACHINE_DRAIN:
    case EMP_EVENT_MACHINE_FORGET:
        put_str(w, e->machine.id);
        put(w, (unsigned)e->machine.on | (unsigned)e->machine.leave << 1);
        return true;
    case EMP_EVENT_PLAN:
        put_plan(w, e->plan);
        return true;
    case EMP_EVENT_TICK:
        return true;
    default:
        return false;
    }
}

static bool put_fields(struct writer *w, struct emp_blackbox_clock *clock,
                       const struct emp_blackbox_record *r)
{
    if (r->kind == EMP_BLACKBOX_START || r->kind == EMP_BLACKBOX_EVENT)
        put_now(w, clock, r->now);
    switch (r->kind) {
    case EMP_BLACKBOX_HEAD:
        put_head(w, &r->head);
        return true;
    case EMP_BLACKBOX_RESTORE:
        return put_change(w, &r->change);
    case EMP_BLACKBOX_START:
        put(w, r->last_num);
        return true;
    case EMP_BLACKBOX_EVENT:
        return put_event(w, &r->event);
    case EMP_BLACKBOX_ANSWER:
        put(w, r->answer.count);
        emp_buf_add(w->out, &r->answer.hash, sizeof r->answer.hash);
        return true;
    case EMP_BLACKBOX_END:
        put_str(w, r->reason);
        return true;
    case EMP_BLACKBOX_KIND_COUNT:
        break;
    }
    return false;
}

int emp_blackbox_write(struct emp_blackbox_clock *clock, const struct emp_blackbox_record *r,
                       struct emp_arena *scratch, struct emp_buf *out)
{
    struct emp_blackbox_clock before = *clock;
    struct emp_buf fields;
    struct writer w = {.arena = scratch, .out = &fields};
    int code = 0;

    emp_arena_reset(scratch);
    emp_buf_init(&fields, EMP_BLACKBOX_RECORD_MAX - 16);
    bool known = put_fields(&w, clock, r);
    if (fields.failed)
        code = EMP_E_LIMIT;
    else if (!known)
        code = EMP_E_INTERNAL;
    if (code < 0) {
        *clock = before;
    } else {
        w.out = out;
        put(&w, fields.len + 1);
        emp_buf_add(out, &(unsigned char){(unsigned char)r->kind}, 1);
        emp_buf_add(out, fields.data, fields.len);
    }
    emp_buf_release(&fields);
    return code;
}

/* ------------------------------------------------------------------ reading */

struct reader {
    struct emp_arena *arena;
    const unsigned char *p, *end;
    bool bad; /* damaged: all that is read from now on is 0 */
};

static uint64_t get(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->p == r->end)
            break;
        unsigned char b = *r->p++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}

static uint64_t get_up_to(struct reader *r, uint64_t max)
{
    uint64_t v = get(r);

    r->bad |= v > max;
    return r->bad ? 0 : v;
}

static int64_t get_signed(struct reader *r)
{
    uint64_t v = get(r);

    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static struct emp_str get_str(struct reader *r)
{
    uint64_t len = get(r);

    if (r->bad || len > (uint64_t)(r->end - r->p)) {
        r->bad = true;
        return (struct emp_str){0};
    }
    struct emp_str s = {(const char *)r->p, (uint32_t)len};
    r->p += len;
    return s;
}

static void get_raw(struct reader *r, void *ret, size_t len)
{
    if (r->bad || len > (size_t)(r->end - r->p)) {
        r->bad = true;
        return;
    }
    memcpy(ret, r->p, len);
    r->p += len;
}

static void get_sized(struct reader *r, void *ret, size_t len)
{
    struct emp_str s = get_str(r);

    r->bad |= s.len != len;
    if (!r->bad)
        memcpy(ret, s.ptr, len);
}

static struct emp_str *get_strs(struct reader *r, uint32_t *ret_count)
{
    uint32_t count = (uint32_t)get_up_to(r, NAMES_MAX);
    struct emp_str *list = emp_arena_array(r->arena, struct emp_str, count);

    for (uint32_t i = 0; i < count; i++)
        list[i] = get_str(r);
    *ret_count = count;
    return list;
}

/* Into *ret, which must be as large as the shape says. */
static void get_struct(struct reader *r, const struct emp_pack_shape *shape, void *ret)
{
    struct emp_str s = get_str(r);

    if (!r->bad && emp_unpack(shape, s, r->arena, ret) < 0)
        r->bad = true;
}

static void *new_struct(struct reader *r, const struct emp_pack_shape *shape)
{
    void *object = emp_arena_alloc(r->arena, shape->size);

    get_struct(r, shape, object);
    return object;
}

static struct emp_now get_now(struct reader *r, struct emp_blackbox_clock *clock)
{
    /* Unsigned, so that nothing overflows; times of a damaged recording mean nothing anyway. */
    uint64_t mono = get_up_to(r, INT64_MAX / 4), wall = (uint64_t)get_signed(r);

    clock->last.wall = (emp_wall_ms)((uint64_t)clock->last.wall + wall + mono);
    clock->last.mono = (emp_mono_ms)(((uint64_t)clock->last.mono + mono) & INT64_MAX);
    return clock->last;
}

static void get_pool(struct reader *r, struct emp_pool *p)
{
    get_sized(r, p, sizeof *p);
    p->name = get_str(r);
    p->specialty = get_str(r);
    p->region = get_str(r);
    p->customer = get_str(r);
    p->parent = get_str(r);
    p->compliance = get_strs(r, &p->compliance_count);
    p->services = get_strs(r, &p->service_count);
}

/* False: of another build, and no more of it is read. */
static bool get_head(struct reader *r, struct emp_blackbox_head *h)
{
    struct emp_settings *s = &h->settings;

    h->version = get_str(r);
    if (get(r) != sizeof *s || get(r) != sizeof(struct emp_pool))
        return false;
    h->policy = get_str(r);
    h->seed = get(r);
    get_sized(r, s, sizeof *s);
    s->pool_count = (uint32_t)get_up_to(r, EMP_POOLS_MAX);
    s->pools = emp_arena_array(r->arena, struct emp_pool, s->pool_count);
    for (uint32_t i = 0; i < s->pool_count; i++)
        get_pool(r, &s->pools[i]);
    s->builtin_services = get_strs(r, &s->builtin_service_count);
    return true;
}

static void get_record(struct reader *r, struct emp_job_record *ret)
{
    emp_job_num num = get(r);
    enum emp_job_state state = (enum emp_job_state)get_up_to(r, EMP_JOB_STATE_COUNT - 1);
    double priority = 0;

    get_raw(r, &priority, sizeof priority);
    emp_wall_ms submitted = get_signed(r), finished = get_signed(r);
    get_struct(r, &emp_shape_record, ret);
    ret->num = num;
    ret->state = state;
    ret->order_priority = priority;
    ret->submitted_at = submitted;
    ret->finished_at = finished;
}

static void get_change(struct reader *r, struct emp_change *c)
{
    c->kind = (enum emp_change_kind)get_up_to(r, EMP_CHANGE_LEARNED);
    switch (c->kind) {
    case EMP_CHANGE_JOB:
        get_record(r, &c->job.record);
        if (get(r))
            c->job.spec = new_struct(r, &emp_shape_spec);
        break;
    case EMP_CHANGE_MACHINE:
        get_struct(r, &emp_shape_machine, &c->machine);
        break;
    case EMP_CHANGE_MODEL:
        get_struct(r, &emp_shape_model, &c->model);
        break;
    case EMP_CHANGE_LEARNED: {
        c->learned.key = get_str(r);
        struct emp_str bytes = get_str(r);
        c->learned.bytes = bytes.ptr;
        c->learned.length = bytes.len;
        break;
    }
    default:
        r->bad = true;
    }
}

static const struct emp_message *get_message(struct reader *r)
{
    struct emp_str text = get_str(r);
    struct emp_message *m = emp_arena_new(r->arena, struct emp_message);
    struct emp_error err;

    if (r->bad || emp_message_decode(r->arena, text.ptr, text.len, 'A', m, &err) < 0)
        r->bad = true;
    return m;
}

/* Every item names a model of its own: that one model has several numbers does no harm. */
static const struct emp_plan_item *get_items(struct reader *r, struct emp_plan_result *p,
                                             size_t *names, size_t *cap, uint32_t *ret_count)
{
    uint64_t count = get_up_to(r, EMP_MODELS_MAX);
    struct emp_plan_item *items = NULL;
    size_t n = 0, room = 0;
    for (; n < count && !r->bad;) {
        emp_arena_reserve(r->arena, p->model_names, *names, *cap);
        emp_arena_reserve(r->arena, items, n, room);
        p->model_names[*names] = get_str(r);
        items[n].model = (uint32_t)(*names)++;
        items[n].residency = (enum emp_residency)get_up_to(r, EMP_RESIDENCY_COUNT - 1);
        items[n++].seconds_saved = (double)get(r) / 1000;
    }
    *ret_count = (uint32_t)n;
    return items;
}

static struct emp_plan_result *get_plan(struct reader *r)
{
    struct emp_plan_result *p = emp_arena_new(r->arena, struct emp_plan_result);
    uint64_t machines = get_up_to(r, EMP_MACHINES_MAX), rows;
    size_t count = 0, cap = 0, names = 0, name_cap = 0, row_count = 0, row_cap = 0;
    while (count < machines && !r->bad) {
        emp_arena_reserve(r->arena, p->machines, count, cap);
        struct emp_plan_machine *m = &p->machines[count++];
        *m = (struct emp_plan_machine){.id = get_str(r)};
        m->planned = get_items(r, p, &names, &name_cap, &m->planned_count);
        m->others = get_items(r, p, &names, &name_cap, &m->other_count);
    }
    p->machine_count = (uint32_t)count;
    rows = get_up_to(r, UINT32_MAX);
    while (row_count < rows && !r->bad) {
        emp_arena_reserve(r->arena, p->rows, row_count, row_cap);
        struct emp_usage_row *row = &p->rows[row_count++];
        row->table = (enum emp_usage_table)get_up_to(r, EMP_USAGE_TABLE_PAIRS);
        row->number = (uint32_t)get_up_to(r, UINT32_MAX);
        struct emp_str bytes = get_str(r);
        row->bytes = bytes.ptr;
        row->length = bytes.len;
    }
    p->row_count = (uint32_t)row_count;
    return p;
}

static void get_event(struct reader *r, struct emp_event *e)
{
    e->kind = (enum emp_event_kind)get_up_to(r, EMP_EVENT_TICK);
    e->request = get_up_to(r, 1);
    switch (e->kind) {
    case EMP_EVENT_SUBMIT:
        e->submit.spec = new_struct(r, &emp_shape_spec);
        e->submit.body = get_up_to(r, 1);
        break;
    case EMP_EVENT_CANCEL:
        e->job = get(r);
        break;
    case EMP_EVENT_RETRY: {
        struct emp_job_record *record = emp_arena_new(r->arena, struct emp_job_record);
        get_record(r, record);
        e->retry.record = record;
        e->retry.spec = new_struct(r, &emp_shape_spec);
        break;
    }
    case EMP_EVENT_MESSAGE:
        e->message.link = get(r);
        e->message.result = get_up_to(r, 1);
        e->message.message = get_message(r);
        break;
    case EMP_EVENT_LINK_CLOSED:
        e->link = get(r);
        break;
    case EMP_EVENT_MODEL:
        e->model = new_struct(r, &emp_shape_model);
        break;
    case EMP_EVENT_MODEL_REMOVE:
        e->model_name = get_str(r);
        break;
    case EMP_EVENT_MACHINE_DRAIN:
    case EMP_EVENT_MACHINE_FORGET: {
        e->machine.id = get_str(r);
        uint64_t flags = get_up_to(r, 3);
        e->machine.on = flags & 1;
        e->machine.leave = flags & 2;
        break;
    }
    case EMP_EVENT_PLAN:
        e->plan = get_plan(r);
        break;
    case EMP_EVENT_TICK:
        break;
    default:
        r->bad = true;
    }
}

static int get_fields(struct reader *r, struct emp_blackbox_clock *clock,
                      struct emp_blackbox_record *ret, struct emp_error *err)
{
    ret->kind = (enum emp_blackbox_kind)get_up_to(r, EMP_BLACKBOX_KIND_COUNT - 1);
    if (ret->kind == EMP_BLACKBOX_START || ret->kind == EMP_BLACKBOX_EVENT)
        ret->now = get_now(r, clock);
    switch (ret->kind) {
    case EMP_BLACKBOX_HEAD:
        if (!get_head(r, &ret->head))
            return emp_fail(err, EMP_E_MALFORMED, NULL,
                            "it was recorded by another build (%.*s): replay it with that one",
                            EMP_STR_FMT(ret->head.version));
        break;
    case EMP_BLACKBOX_RESTORE:
        get_change(r, &ret->change);
        break;
    case EMP_BLACKBOX_START:
        ret->last_num = get(r);
        break;
    case EMP_BLACKBOX_EVENT:
        get_event(r, &ret->event);
        break;
    case EMP_BLACKBOX_ANSWER:
        ret->answer.count = (uint32_t)get_up_to(r, UINT32_MAX);
        get_raw(r, &ret->answer.hash, sizeof ret->answer.hash);
        break;
    case EMP_BLACKBOX_END:
        ret->reason = get_str(r);
        break;
    case EMP_BLACKBOX_KIND_COUNT:
        break;
    }
    return 0;
}

int emp_blackbox_read(struct emp_blackbox_clock *clock, struct emp_str bytes, size_t *at,
                      struct emp_arena *arena, struct emp_blackbox_record *ret,
                      struct emp_error *err)
{
    struct reader r = {.arena = arena,
                       .p = (const unsigned char *)bytes.ptr + *at,
                       .end = (const unsigned char *)bytes.ptr + bytes.len};
    int code = 0;

    memset(ret, 0, sizeof *ret);
    if (*at == bytes.len)
        return 0;
    uint64_t len = get_up_to(&r, EMP_BLACKBOX_RECORD_MAX);
    if (len == 0 || len > (uint64_t)(r.end - r.p))
        r.bad = true;
    else
        r.end = r.p + len;
    if (!r.bad)
        code = get_fields(&r, clock, ret, err);
    if (code == 0 && (r.bad || r.p != r.end))
        code = emp_fail(err, EMP_E_MALFORMED, NULL, "damaged at byte %zu of its block", *at);
    if (code < 0)
        return code;
    *at = (size_t)(r.end - (const unsigned char *)bytes.ptr);
    return 1;
}

/* ------------------------------------------------------------------ what a step answered */

static void mix(uint64_t *h, uint64_t v)
{
    *h = emp_mix64(*h ^ v) + 0x9e3779b97f4a7c15u;
}

static void mix_str(uint64_t *h, struct emp_str s)
{
    mix(h, s.len ? emp_str_hash(s) : 0);
}

static void mix_change(uint64_t *h, const struct emp_change *c)
{
    mix(h, c->kind);
    if (c->kind == EMP_CHANGE_JOB) {
        const struct emp_job_record *r = &c->job.record;
        mix(h, r->num);
        mix(h, r->state);
        mix(h, (uint64_t)r->order_tag);
        mix(h, (uint64_t)r->not_before);
        mix(h, (uint64_t)r->counted_attempts << 32 | r->attempt.number);
        mix(h, r->attempt.outcome);
        mix_str(h, r->attempt.machine);
        mix(h, r->decision.count ? (uint64_t)r->decision.candidates[0].cost : 0);
        mix(h, (uint64_t)c->job.record.error_code);
    } else if (c->kind == EMP_CHANGE_ATTEMPT) {
        mix(h, c->attempt.job);
        mix(h, c->attempt.attempt.number);
        mix(h, c->attempt.attempt.outcome);
    } else if (c->kind == EMP_CHANGE_MACHINE) {
        mix_str(h, c->machine.facts.id);
        mix(h, (uint64_t)c->machine.jobs_completed << 32 | c->machine.jobs_failed);
    } else if (c->kind == EMP_CHANGE_LEARNED) {
        mix_str(h, c->learned.key);
        mix_str(h, (struct emp_str){c->learned.bytes, c->learned.length});
    } else if (c->kind == EMP_CHANGE_MODEL) {
        mix_str(h, c->model.name);
    } else if (c->kind == EMP_CHANGE_MODEL_REMOVED) {
        mix_str(h, c->model_removed);
    }
}

static void mix_message(uint64_t *h, const struct emp_message *m)
{
    mix(h, m->kind);
    if (m->kind == EMP_MESSAGE_ASSIGN) {
        mix(h, m->assign.job);
        mix(h, m->assign.attempt);
        for (uint32_t i = 0; i < m->assign.model_count; i++)
            mix_str(h, m->assign.models[i].name);
    } else if (m->kind == EMP_MESSAGE_CANCEL || m->kind == EMP_MESSAGE_ACK) {
        mix(h, m->lease.job);
        mix(h, m->lease.attempt);
    } else if (m->kind == EMP_MESSAGE_WELCOME) {
        mix_str(h, m->welcome.pool);
    }
}

uint64_t emp_blackbox_hash(const struct emp_action *actions, size_t count)
{
    uint64_t h = count;

    for (size_t i = 0; i < count; i++) {
        const struct emp_action *a = &actions[i];
        mix(&h, a->kind);
        switch (a->kind) {
        case EMP_ACTION_PERSIST:
            mix_change(&h, &a->change);
            break;
        case EMP_ACTION_REPLY:
            mix(&h, (uint64_t)a->reply.reply.code);
            mix(&h, a->reply.reply.job);
            break;
        case EMP_ACTION_SEND:
            mix(&h, a->send.link);
            mix_message(&h, &a->send.message);
            break;
        case EMP_ACTION_CLOSE:
            mix(&h, a->close.link);
            break;
        case EMP_ACTION_PLAN_DUE:
            break;
        case EMP_ACTION_NOTIFY:
            mix(&h, a->notice.kind);
            mix(&h, a->notice.job);
            mix(&h, (uint64_t)a->notice.state << 32 | a->notice.attempt);
            break;
        }
    }
    return h;
}

#include "broker/replay.h"

#include "broker/blackbox.h"
#include "broker/blackbox_format.h"

#include <stdlib.h>

struct replay {
    const struct emp_replay_options *o;
    struct emp_replay_result *result;
    struct emp_error *err;
    struct emp_blackbox_clock clock;
    struct emp_settings settings;
    struct emp_arena head, read, step; /* settings; one record; one step's actions */
    struct emp_core *core;
    struct emp_actions actions;
    bool started, open; /* an event waits for its answer */
};

/* ------------------------------------------------------------------ decisions, for people */

static void say_time(struct replay *r)
{
    char iso[EMP_ISO_MAX];

    emp_iso_format(r->result->last, iso);
    fprintf(r->o->out, "%.10s %.12s  ", iso, iso + 11);
}

static void say_choice(FILE *out, const struct emp_route_choice *c)
{
    static const struct {
        const char *word;
        size_t offset;
    } terms[] = {
        {"slot", offsetof(struct emp_route_terms, slot_free)},
        {"fetch", offsetof(struct emp_route_terms, fetch)},
        {"load", offsetof(struct emp_route_terms, load)},
        {"run", offsetof(struct emp_route_terms, run_delta)},
        {"pool", offsetof(struct emp_route_terms, pool_penalty)},
        {"displaces", offsetof(struct emp_route_terms, displacement)},
        {"risk", offsetof(struct emp_route_terms, risk)},
    };
    const char *sep = " (";

    fprintf(out, "%.*s at %.1f s", EMP_STR_FMT(c->machine), (double)c->cost / 1e6);
    for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
        int64_t us = *(const int64_t *)((const char *)&c->terms + terms[i].offset);
        if (llabs((long long)us) < 50000)
            continue; /* would be shown as 0.0 */
        fprintf(out, "%s%s %.1f", sep, terms[i].word, (double)us / 1e6);
        sep = ", ";
    }
    fputs(*sep == ',' ? ")" : "", out);
}

static bool wanted(const struct replay *r, emp_job_num job)
{
    return r->o->out && (r->o->job == 0 || r->o->job == job);
}

static void say_assigned(struct replay *r, const struct emp_job_record *j)
{
    const struct emp_decision *d = &j->decision;

    say_time(r);
    fprintf(r->o->out, "job %llu attempt %u -> ", (unsigned long long)j->num, j->attempt.number);
    if (d->count == 0)
        fprintf(r->o->out, "%.*s", EMP_STR_FMT(j->attempt.machine));
    for (uint32_t i = 0; i < d->count && i < 2; i++) {
        fputs(i ? "; next " : "", r->o->out);
        say_choice(r->o->out, &d->candidates[i]);
    }
    if (d->fallback != EMP_FALLBACK_NONE)
        fprintf(r->o->out, "; fallback: %s", emp_fallback_word(d->fallback));
    fprintf(r->o->out, "; %u could\n", d->considered);
}

static void say_notice(struct replay *r, const struct emp_notice *n)
{
    if (n->kind == EMP_NOTICE_ASSIGNED || n->kind == EMP_NOTICE_PROGRESS || !wanted(r, n->job))
        return;
    say_time(r);
    fprintf(r->o->out, "job %llu %s%s%s", (unsigned long long)n->job, emp_notice_word(n->kind),
            n->kind == EMP_NOTICE_ENDED ? " as " : "",
            n->kind == EMP_NOTICE_ENDED ? emp_job_state_word(n->state) : "");
    if (n->machine.len)
        fprintf(r->o->out, " on %.*s", EMP_STR_FMT(n->machine));
    if (n->text.len)
        fprintf(r->o->out, ": %.*s", EMP_STR_FMT(n->text));
    fputc('\n', r->o->out);
}

static void say(struct replay *r)
{
    for (size_t i = 0; i < r->actions.count; i++) {
        const struct emp_action *a = &r->actions.items[i];
        bool assigned = a->kind == EMP_ACTION_PERSIST && a->change.kind == EMP_CHANGE_JOB &&
                        a->change.job.record.state == EMP_JOB_ASSIGNED;
        r->result->decisions += assigned;
        if (assigned && wanted(r, a->change.job.record.num))
            say_assigned(r, &a->change.job.record);
        else if (a->kind == EMP_ACTION_NOTIFY)
            say_notice(r, &a->notice);
    }
}

/* ------------------------------------------------------------------ records */

static int begin(struct replay *r, const struct emp_blackbox_head *h)
{
    const struct emp_policy *policy = r->o->policy ? r->o->policy : &emp_policy_default;

    snprintf(r->result->version, sizeof r->result->version, "%.*s", EMP_STR_FMT(h->version));
    if (!emp_str_eq(h->policy, emp_str_z(policy->name)))
        return emp_fail(r->err, EMP_E_MALFORMED, NULL, "its policy \"%.*s\" is not in this build",
                        EMP_STR_FMT(h->policy));
    r->settings = h->settings;
    r->core = emp_core_new(&r->settings, policy, h->seed);
    return 0;
}

static void event(struct replay *r, const struct emp_blackbox_record *record)
{
    struct emp_replay_result *result = r->result;

    result->events++;
    result->last = record->now.wall;
    if (result->events == 1)
        result->first = result->last;
    emp_arena_reset(&r->step);
    r->actions = (struct emp_actions){.arena = &r->step};
    emp_core_step(r->core, record->now, &record->event, &r->actions);
    result->actions += r->actions.count;
    r->open = true;
    say(r);
}

static void answered(struct replay *r, const struct emp_blackbox_record *record)
{
    r->open = false;
    if (record->answer.count == r->actions.count &&
        record->answer.hash == emp_blackbox_hash(r->actions.items, r->actions.count))
        return;
    r->result->differs = r->result->events;
    r->result->differs_at = r->result->last;
}

/* What a recording may say where it stands; anything else would misuse the core. */
static bool in_place(const struct replay *r, enum emp_blackbox_kind kind)
{
    switch (kind) {
    case EMP_BLACKBOX_HEAD:
        return !r->core;
    case EMP_BLACKBOX_RESTORE:
    case EMP_BLACKBOX_START:
        return r->core && !r->started;
    case EMP_BLACKBOX_EVENT:
        return r->started && !r->open;
    case EMP_BLACKBOX_ANSWER:
        return r->open;
    case EMP_BLACKBOX_END:
        return r->core != NULL;
    case EMP_BLACKBOX_KIND_COUNT:
        break;
    }
    return false;
}

static int record(struct replay *r, const struct emp_blackbox_record *record)
{
    if (!in_place(r, record->kind))
        return emp_fail(r->err, EMP_E_MALFORMED, NULL, "its records are out of order");
    switch (record->kind) {
    case EMP_BLACKBOX_HEAD:
        return begin(r, &record->head);
    case EMP_BLACKBOX_RESTORE:
        emp_core_restore(r->core, &record->change);
        r->result->restored++;
        break;
    case EMP_BLACKBOX_START:
        emp_core_start(r->core, record->now, record->last_num);
        r->started = true;
        break;
    case EMP_BLACKBOX_EVENT:
        event(r, record);
        break;
    case EMP_BLACKBOX_ANSWER:
        answered(r, record);
        break;
    case EMP_BLACKBOX_END:
        snprintf(r->result->ended, sizeof r->result->ended, "%.*s", EMP_STR_FMT(record->reason));
        break;
    case EMP_BLACKBOX_KIND_COUNT:
        break;
    }
    return 0;
}

static int block(void *ctx, struct emp_str bytes)
{
    struct replay *r = ctx;
    size_t at = 0;
    int code = 1;

    if (!r->core) { /* the settings' strings stay */
        char *copy = emp_arena_dup(&r->head, bytes.ptr, bytes.len);
        bytes.ptr = copy;
    }
    while (code == 1 && r->result->differs == 0 && !r->result->ended[0]) {
        struct emp_blackbox_record next;
        struct emp_arena *arena = r->core ? &r->read : &r->head;
        if (r->core)
            emp_arena_reset(&r->read);
        code = emp_blackbox_read(&r->clock, bytes, &at, arena, &next, r->err);
        if (code == 1 && record(r, &next) < 0)
            code = r->err->code;
    }
    return code < 0 ? code : 0;
}

static void init(struct replay *r)
{
    memset(r->result, 0, sizeof *r->result);
    emp_arena_init(&r->head, 0);
    emp_arena_init(&r->read, 0);
    emp_arena_init(&r->step, 0);
}

static int finish(struct replay *r, int code)
{
    if (code == 0 && !r->started && !r->result->ended[0])
        code = emp_fail(r->err, EMP_E_MALFORMED, NULL,
                        "the recording ends before the broker had started");
    r->result->unanswered = r->open;
    emp_core_free(r->core);
    emp_arena_release(&r->head);
    emp_arena_release(&r->read);
    emp_arena_release(&r->step);
    return code;
}

int emp_replay(const char *path, const struct emp_replay_options *o, struct emp_replay_result *ret,
               struct emp_error *err)
{
    struct replay r = {.o = o, .result = ret, .err = err};

    init(&r);
    return finish(&r, emp_blackbox_blocks(path, block, &r, &ret->cut, err));
}

int emp_replay_records(struct emp_str records, const struct emp_replay_options *o,
                       struct emp_replay_result *ret, struct emp_error *err)
{
    struct replay r = {.o = o, .result = ret, .err = err};

    init(&r);
    return finish(&r, block(&r, records));
}

/* The black box on the whole system under faults: whatever a core was told on these seeds, with all
 * kinds of events, from each start of its broker, is written, read, given to a new core, and must
 * be answered as it was. */
#include "broker/blackbox_format.h"
#include "broker/replay.h"
#include "sim/broker.h"
#include "sim/check/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SEEDS = 60, RECORDING_MAX = 256 << 20 };

struct recorder {
    struct emp_sim_system *system;
    struct emp_policy policy; /* a seed may draw one: kept beyond its system */
    struct emp_blackbox_clock clock;
    struct emp_arena scratch;
    struct emp_buf bytes;
    uint64_t seed, recordings, events, decisions, by_kind[EMP_EVENT_TICK + 1];
    uint32_t flip; /* of the first recording, this answer is changed; 0: none */
    uint64_t answers, found;
};

static void put(struct recorder *r, const struct emp_blackbox_record *record)
{
    assert_int_equal(emp_blackbox_write(&r->clock, record, &r->scratch, &r->bytes), 0);
}

static void replay(struct recorder *r)
{
    struct emp_replay_result result;
    struct emp_error err = {0};
    if (r->bytes.len == 0)
        return;
    assert_false(r->bytes.failed);
    int code = emp_replay_records((struct emp_str){r->bytes.data, (uint32_t)r->bytes.len},
                                  &(struct emp_replay_options){.policy = &r->policy}, &result,
                                  &err);
    if (code < 0)
        fail_msg("seed %llu: %s", (unsigned long long)r->seed, err.text);
    if (result.differs && !r->flip)
        fail_msg("seed %llu: event %llu of recording %llu is answered otherwise",
                 (unsigned long long)r->seed, (unsigned long long)result.differs,
                 (unsigned long long)r->recordings);
    r->found = result.differs ? result.differs : r->found;
    r->recordings++;
    r->events += result.events;
    r->decisions += result.decisions;
    emp_buf_clear(&r->bytes);
}

static void restored(void *ctx, const struct emp_change *change)
{
    put(ctx, &(struct emp_blackbox_record){.kind = EMP_BLACKBOX_RESTORE, .change = *change});
}

static void broker_up(void *ctx)
{
    struct recorder *r = ctx;
    const struct emp_sim_broker *b = r->system->broker;
    replay(r);
    r->policy = *b->settings.policy;
    r->clock = (struct emp_blackbox_clock){0};
    put(r,
        &(struct emp_blackbox_record){.kind = EMP_BLACKBOX_HEAD,
                                      .head = {.version = EMP_STR("test"),
                                               .policy = emp_str_z(b->settings.policy->name),
                                               .seed = emp_mix64(r->system->world.seed + b->starts),
                                               .settings = *b->settings.core}});
    emp_sim_store_restore(&b->store, restored, r);
    put(r, &(struct emp_blackbox_record){.kind = EMP_BLACKBOX_START,
                                         .now = emp_sim_broker_now(b),
                                         .last_num = b->store.last_num});
}

static void core_event(void *ctx, const struct emp_event *e, struct emp_now now)
{
    struct recorder *r = ctx;
    r->by_kind[e->kind]++;
    put(r, &(struct emp_blackbox_record){.kind = EMP_BLACKBOX_EVENT, .now = now, .event = *e});
}

static void core_stepped(void *ctx, const struct emp_event *e, const struct emp_action *actions,
                         size_t count)
{
    struct recorder *r = ctx;
    uint64_t hash = emp_blackbox_hash(actions, count);
    (void)e;
    hash ^= ++r->answers == r->flip;
    put(r, &(struct emp_blackbox_record){.kind = EMP_BLACKBOX_ANSWER,
                                         .answer = {hash, (uint32_t)count}});
}

static void watch(void *ctx, struct emp_sim_system *s)
{
    struct recorder *r = ctx;
    r->system = s;
    s->network.settings.encode =
        true; /* as in production: what a message may say, its encoding keeps */
    emp_sim_system_observe(s, &(struct emp_sim_observer){.ctx = r,
                                                         .core_event = core_event,
                                                         .core_stepped = core_stepped,
                                                         .broker_up = broker_up});
}

static void record_seed(struct recorder *r, uint64_t seed)
{
    struct emp_sim_check_result result;
    r->seed = seed;
    r->answers = 0;
    emp_sim_check_seed(seed, &(struct emp_sim_check_options){.watch = watch, .watch_ctx = r},
                       &result);
    assert_string_equal(result.violation, "");
    replay(r);
}

static void init(struct recorder *r)
{
    *r = (struct recorder){.system = NULL};
    emp_arena_init(&r->scratch, 0);
    emp_buf_init(&r->bytes, RECORDING_MAX);
}

static void release(struct recorder *r)
{
    emp_arena_release(&r->scratch);
    emp_buf_release(&r->bytes);
}

static void every_recording_is_answered_as_it_was(void **state)
{
    struct recorder r;
    (void)state;
    init(&r);
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        record_seed(&r, seed);
    for (int kind = 0; kind <= EMP_EVENT_TICK; kind++)
        if (r.by_kind[kind] == 0 && kind != EMP_EVENT_MODEL_REMOVE) /* nobody does so there */
            fail_msg("no event of kind %d was recorded", kind);
    assert_true(r.recordings > SEEDS); /* brokers crashed, too */
    assert_true(r.decisions > 1000);
    print_message("%llu recordings, %llu events, %llu assignments\n",
                  (unsigned long long)r.recordings, (unsigned long long)r.events,
                  (unsigned long long)r.decisions);
    release(&r);
}

static void another_answer_is_noticed_where_it_stands(void **state)
{
    struct recorder r;
    (void)state;
    init(&r);
    r.flip = 17;
    record_seed(&r, 1);
    assert_int_equal(r.found, 17);
    release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recording_is_answered_as_it_was),
        cmocka_unit_test(another_answer_is_noticed_where_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
